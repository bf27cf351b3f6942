import BurstEngine
import BurstModel
import BurstStore
import BurstTestSupport

/// Records with something in every field.
enum Samples {
    static func at(_ milliseconds: Int64) -> Timestamp { Timestamp(milliseconds: 1_800_000_000_000 + milliseconds) }

    static var job: EngineJob {
        var job = EngineJob(
            id: 17, uid: 1001, gid: 1002, userName: "alice", name: "näme\n\"quoted\"", priority: 4_294_967_295,
            submitted: at(1))
        job.arrayJobID = 15
        job.arrayTaskID = 3
        job.arrayTasksLeft = [4, 5]
        job.arrayTasksRunningMax = 2
        job.hetJobID = 14
        job.hetOffset = 1
        job.hetJobIDs = [14, 17]
        job.groupName = "users"
        job.partition = "debug"
        job.account = "physics"
        job.qos = "normal"
        job.comment = "a \u{0} byte"
        job.command = "/home/alice/job.sh"
        job.submitLine = "sbatch job.sh"
        job.workDir = "/home/alice"
        job.stdOut = "slurm-%j.out"
        job.appendsOutput = true
        job.timeLimitMinutes = 60
        job.nice = -5
        job.dependency = "afterok:3"
        job.mayRequeue = false
        job.mailTypes = [.begin, .stageOut]
        job.mailUser = "alice@example.org"
        job.eligible = at(2)
        job.begin = at(3)
        job.start = at(4)
        job.end = at(5)
        job.restartCount = 2
        job.suspendedAt = at(6)
        job.suspendedMilliseconds = 7
        job.state = .completed
        job.flags = [.stageOut, .requeue]
        job.reason = .burstBufferOperation
        job.reasonText = "burst_buffer/lua: Stage-out in progress"
        job.systemComment = "first\nsecond"
        job.exitStatus = 256
        var work = BufferWork(spec: "#BB_LUA pool=nvme capacity=1GiB\n#BB_LUA more", since: at(8))
        work.requests = [BufferWork.Request(pool: "nvme", size: 1 << 30)]
        work.pool = "nvme"
        work.size = .max - 4
        work.hasSymbols = true
        work.created = at(9)
        work.preRunFailures = 1
        work.stage = .stagingOut(
            BufferWork.Step(.testDataOut, call: CallID(41), callAt: nil, firstAskedAt: at(10)))
        job.buffer = work
        return job
    }

    static var plainJob: EngineJob {
        EngineJob(id: 18, uid: 1001, gid: 1002, userName: "bob", name: "plain", priority: 0, submitted: at(1))
    }

    static let stages: [BufferWork.Stage] = {
        var teardown = BufferWork.Teardown(hurry: true)
        teardown.failures = 2
        teardown.callAt = at(3)
        return [
            .pending, .stagingIn(BufferWork.Step(.setup, call: CallID(1))), .stageInFailed, .stagedIn,
            .preRun(BufferWork.Step(.paths, callAt: at(1))), .running, .postRun(BufferWork.Step(.postRun)),
            .postRunFailed, .stagingOut(BufferWork.Step(.dataOut, call: CallID(.max >> 1))), .stageOutFailed,
            .teardown(teardown), .complete,
        ]
    }()

    static let pools = [
        EnginePool(name: "zeta", granularity: 16 << 20, total: .max, used: .max - 4, reportedFree: 0),
        EnginePool(name: "alpha", granularity: 1, total: 10, used: 0, reportedFree: nil, isReported: false),
    ]

    static var reservation: EngineReservation {
        var reservation = EngineReservation(
            name: "root_1", users: ["alice", "bob"], start: at(1), end: at(2), burstBuffer: "lua:pool3:2,pool1:3GB")
        reservation.flags = "BURST_BUFFER"
        return reservation
    }

    static func change(_ job: UInt32 = 17, at time: Timestamp = at(1)) -> StateChange {
        StateChange(
            jobID: job, uid: 1001, at: time, jobState: "STAGE_OUT", bufferState: "post-run", reason: "None",
            pool: "nvme", size: .max - 4)
    }

    static func start(_ id: UInt64, job: UInt32? = 17, at time: Timestamp = at(1)) -> CallStart {
        CallStart(
            id: CallID(id), function: .dataOut, jobID: job, arguments: ["data_out", "17", "two\nlines", "ü"],
            limitSeconds: 86400, at: time)
    }

    static func end(_ id: UInt64, job: UInt32? = 17) -> CallEnd {
        CallEnd(
            id: CallID(id), jobID: job, outcome: "failure", status: 255, message: "No space left on device",
            printed: "warning: slow\n", log: [HookLogLine(.info, "copying"), HookLogLine(.error, "rc=1")], pid: 4711,
            startedMicroseconds: 1_800_000_000_000_123, durationMicroseconds: 2_500_000)
    }

    static func action(_ job: UInt32? = 17, at time: Timestamp = at(1)) -> ActionEntry {
        ActionEntry(at: time, uid: 0, verb: "cancel --hurry", jobID: job, outcome: "ok")
    }
}

/// A store in a folder of a test's own.
struct TemporaryStore {
    let folder: TemporaryFolder
    let store: Store

    init() throws {
        folder = try TemporaryFolder("burst-store")
        store = try Store.open(folder: folder("state"))
    }

    var path: String { folder("state") }
}

/// The fault that something ends with; nil if it goes well.
func refusal(_ body: () throws -> Void) -> StoreFault? {
    do {
        try body()
        return nil
    } catch {
        return error as? StoreFault
    }
}
