// A small program on the real store, which tests kill, freeze and starve of disk: `store-probe MODE FOLDER [NUMBER]`.
import BurstEngine
import BurstModel
import BurstStore
import Glibc

func say(_ text: String) {
    let bytes = Array((text + "\n").utf8)
    _ = write(1, bytes, bytes.count)
}

func fail(_ text: String) -> Never {
    let bytes = Array((text + "\n").utf8)
    _ = write(2, bytes, bytes.count)
    exit(1)
}

/// What belongs to one number: a job, the next job's id, a change, and a call that ends with the number after it.
func records(_ number: UInt32) -> [Record] {
    let at = Timestamp(milliseconds: Int64(number))
    var job = EngineJob(
        id: number, uid: 1000, gid: 1000, userName: "alice", name: "job\(number)", priority: 1, submitted: at)
    job.buffer = BufferWork(spec: "#BB_LUA pool=nvme capacity=1GiB", since: at)
    var records: [Record] = [
        .job(job), .nextJobID(number + 1),
        .change(
            StateChange(
                jobID: number, uid: 1000, at: at, jobState: "PENDING", bufferState: "pending", reason: "None",
                pool: "nvme", size: 1 << 30)),
        .callStarted(
            CallStart(
                id: CallID(UInt64(number)), function: .setup, jobID: number, arguments: ["setup", "\(number)"],
                limitSeconds: 300, at: at)),
    ]
    if number > 1 {
        records.append(
            .callEnded(
                CallEnd(
                    id: CallID(UInt64(number - 1)), jobID: number - 1, outcome: "success", status: 0, message: nil,
                    printed: String(repeating: "x", count: Int(number % 97)), log: [], pid: 7, startedMicroseconds: 1,
                    durationMicroseconds: 1)))
    }
    return records
}

let arguments = CommandLine.arguments
guard arguments.count >= 3 else { fail("usage: store-probe persist|starve|hold FOLDER [NUMBER]") }
do {
    let store = try Store.open(folder: arguments[2])
    switch arguments[1] {
    case "persist":
        // Numbers are said when they are durable.
        var number = try store.recover().nextJobID
        say("from \(number)")
        while true {
            try store.persist(records(number))
            say("\(number)")
            number += 1
        }
    case "starve":
        // Files may not grow beyond so many bytes for a while.
        guard arguments.count > 3, let bytes = UInt(arguments[3]) else { fail("how many bytes?") }
        signal(SIGXFSZ, SIG_IGN)
        var limit = rlimit()
        let resource = __rlimit_resource_t(RLIMIT_FSIZE.rawValue)
        getrlimit(resource, &limit)
        let before = limit.rlim_cur
        limit.rlim_cur = bytes
        setrlimit(resource, &limit)
        var number: UInt32 = 1
        do {
            while true {
                try store.persist(records(number))
                number += 1
            }
        } catch {
            say("kept \(number - 1)")
            say("\(error)")
        }
        // Still there, and read.
        say("read \(try store.state().jobs.count)")
        limit.rlim_cur = before
        setrlimit(resource, &limit)
        try store.persist(records(number))
        say("kept \(number)")
    case "hold":
        say("ready")
        var byte: UInt8 = 0
        while read(0, &byte, 1) > 0 {}
    default:
        fail("usage: store-probe persist|starve|hold FOLDER [NUMBER]")
    }
    store.close()
} catch {
    fail("\(error)")
}
