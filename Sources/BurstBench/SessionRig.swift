import BurstClient
import BurstTestSupport
import BurstWire
import CSys
import Glibc
import Synchronization

/// A burstd that is the stager alone, with a pool in a folder of its own, asked as `dw_wlm_cli` asks it.
final class SessionRig: Sendable {
    /// What `dw_wlm_cli` would print, and how it would end.
    struct Said: Sendable {
        var status: Int32
        var text: String

        var isDone: Bool { status == 0 }
    }

    /// Seconds for an answer, and for a daemon to be there.
    static let answerSeconds = 120

    let folder: TemporaryFolder
    let programs: String
    private let restarting = Mutex<Bool>(false)
    private let program = Mutex<PipedProgram?>(nil)

    var socket: String { folder("run/burstd.sock") }
    var log: String { folder.text(of: "burstd.log") }
    /// The same environment for all that is started.
    var environment: [String: String] { ["PATH": "/usr/bin:/bin", "BURST_SOCKET": socket] }

    /// - Parameters:
    ///   - programs: the folder of burstd, burst, burst-stage, dw_wlm_cli and dwstat, with its last slash.
    ///   - granules: of 1 MiB.
    init(programs: String, driver: String, granules: Int) throws(HarnessError) {
        self.programs = programs
        folder = try TemporaryFolder("burst-bench", openToOthers: true)
        for name in ["conf", "pool", "run", "source", "target"] { folder.makeFolder(name) }
        chmod(folder("pool"), 0o711)
        for name in ["source", "target"] { chown(folder(name), StagingBench.owner, StagingBench.owner) }
        folder.write(
            """
            [[pool]]
            name = "nvme"
            path = "\(folder("pool"))"
            granularity = "1MiB"
            quantity = \(granules)
            driver = "\(driver)"
            metadata_reserve_percent = 0

            """, to: "conf/burst.toml")
        if driver == "tmpfs" {
            let mounted = try PipedProgram.run(
                ["/usr/bin/mount", "-t", "tmpfs", "-o", "mode=711,size=\(granules)m", "burst-bench", folder("pool")],
                environment: ["PATH": "/usr/bin:/bin"])
            guard mounted.end == .exited(0) else { throw HarnessError("mount: \(mounted.errorText)") }
        }
        let made = try PipedProgram.run(
            [programs + "burst", "pool", "create", "nvme", "--on-root", "--config", folder("conf")],
            environment: environment)
        guard made.end == .exited(0) else { throw HarnessError("pool create: \(made.text)\(made.errorText)") }
    }

    // MARK: The daemon

    var pid: Int32 { program.withLock { $0?.pid ?? 0 } }

    func start() throws(HarnessError) {
        let words = [
            programs + "burstd", "--config", folder("conf"), "--state", folder("state"), "--socket", socket,
            "--foreground",
        ]
        let line = "exec \(words.joined(separator: " ")) >>\(folder("burstd.log")) 2>&1"
        let environment = environment
        try program.withLock { program throws(HarnessError) in
            program = try PipedProgram(["/bin/sh", "-c", line], environment: environment)
        }
        let socket = socket
        guard
            Wait.until(
                seconds: Double(Self.answerSeconds),
                { (try? BurstConnection.connect(path: socket, program: "burst-bench")).map { $0.close() } != nil })
        else { throw HarnessError("burstd does not answer: \(log.suffix(2000))") }
    }

    /// SIGKILL, and waits until it is gone.
    func kill() { end(SIGKILL) }

    /// SIGKILL, and a new life. One at a time.
    func restart() throws(HarnessError) {
        try restarting.withLock { _ throws(HarnessError) in
            kill()
            try start()
        }
    }

    /// In order, and with it whatever it mounted.
    func stop() {
        end(SIGTERM)
        for path in mounts.reversed() { bb_unmount(path, 1) }
        let pool = folder("pool")
        while bb_unmount(pool, 1) == 0 {}
    }

    private func end(_ signal: Int32) {
        program.withLock { program in
            program?.signal(signal)
            _ = program?.waitForEnd(seconds: 60)
            program = nil
        }
    }

    // MARK: Asking

    static func call(_ words: [String], script: String?) -> (call: Question.Ask, body: [UInt8]) {
        var call = StageCall(.wlm, arguments: ["--function"] + words)
        if script != nil {
            call.arguments += ["--job", "/spool/script"]
            call.hasScript = true
        }
        return (.stage(call), Array((script ?? "").utf8))
    }

    /// Asks until there is an answer, as `dw_wlm_cli` does while burstd is away.
    func ask(_ words: [String], script: String? = nil) throws(HarnessError) -> Said {
        let (call, body) = Self.call(words, script: script)
        let until = ContinuousClock().now + .seconds(Self.answerSeconds)
        var last = ""
        while ContinuousClock().now < until {
            do throws(ClientError) {
                let connection = try BurstConnection.connect(path: socket, program: "burst-bench")
                defer { connection.close() }
                let (answer, body) = try connection.ask(call, body: body, seconds: Self.answerSeconds)
                switch answer {
                case .staged(_, let status, _):
                    return Said(status: status, text: String(decoding: body, as: UTF8.self))
                case .refused(_, let code, _, _) where code == Answer.daemonEnded: break
                case .refused(_, _, let text, _): return Said(status: -1, text: text)
                default: throw ClientError(.broken, "\(answer)")
                }
            } catch {
                last = "\(error)"
            }
            usleep(20_000)
        }
        throw HarnessError("no answer to \(words.joined(separator: " ")): \(last)")
    }

    /// A call whose answer is not waited for.
    func begin(_ words: [String], script: String? = nil) -> BurstConnection? {
        let (call, body) = Self.call(words, script: script)
        guard let connection = try? BurstConnection.connect(path: socket, program: "burst-bench") else { return nil }
        _ = try? connection.send(call, body: body)
        return connection
    }

    func setUp(_ token: String, _ script: String, megabytes: Int = 1) throws(HarnessError) -> Said {
        try ask(
            [
                "setup", "--token", token, "--caller", "SLURM", "--user", "\(StagingBench.owner)", "--groupid",
                "\(StagingBench.owner)", "--capacity", "nvme:\(megabytes)MiB",
            ], script: script)
    }

    /// A job that brings a folder in and takes it out again.
    func script(source: String, target: String) -> String {
        """
        #!/bin/bash
        #DW jobdw type=scratch capacity=1MiB access_mode=striped
        #DW stage_in type=directory source=\(source) destination=$DW_JOB_STRIPED/in
        #DW stage_out type=directory source=$DW_JOB_STRIPED/in destination=\(target)
        true

        """
    }

    func fill(_ name: String, files: Int, bytes: Int) {
        folder.makeFolder(name)
        for index in 0..<files {
            folder.write((0..<bytes).map { UInt8(truncatingIfNeeded: $0 &* 31 ^ index) }, to: "\(name)/f\(index)")
            chown(folder("\(name)/f\(index)"), StagingBench.owner, StagingBench.owner)
        }
        chown(folder(name), StagingBench.owner, StagingBench.owner)
    }

    // MARK: What is left

    /// All that the stager tells of itself, and the end of its log.
    func everything() -> String {
        let connection = try? BurstConnection.connect(path: socket, program: "burst-bench")
        let said = (try? connection?.ask(.list(.staging), seconds: Self.answerSeconds))??.1 ?? []
        return String(decoding: said, as: UTF8.self) + "\n" + log.suffix(8000)
    }

    /// Processes that copy for a session, all where none is named.
    func workers() -> [Int32] {
        Processes.names(in: folder("state/stager/workers")).compactMap { name in
            let words = folder.text(of: "state/stager/workers/" + name).split(whereSeparator: \.isWhitespace)
            guard words.count == 2, let pid = Int32(words[0]), bb_process_start(pid) == UInt64(words[1]) else {
                return nil
            }
            return pid
        }
    }

    private var mounts: [String] {
        Fixtures.text("/proc/self/mounts").split(separator: "\n").map { String($0.split(separator: " ")[1]) }
            .filter { $0.hasPrefix(folder.path + "/") && $0 != folder("pool") }
    }

    /// What there is beside the daemon's own files: names below the pool and the state, mounts, children, descriptors.
    func inventory() -> [(what: String, count: Int)] {
        let folders = [
            "pool/buffers", "pool/mnt", "pool/.bb/records", "pool/.bb/images", "pool/.bb/quarantine", "state/mnt",
            "state/stager/workers", "state/stager/journals", "run/stager/paths",
        ].filter { folder.exists($0) }
        var found = folders.map { ($0, Processes.names(in: folder($0)).count) }
        let loops = Processes.names(in: "/sys/block").count { name in
            Processes.text("/sys/block/\(name)/loop/backing_file").hasPrefix(folder.path)
        }
        let own = pid
        let children = Processes.names(in: "/proc").count { name in
            guard let close = Processes.text("/proc/\(name)/stat").split(separator: ")").last else { return false }
            let fields = close.split(separator: " ")
            return Int32(name) != nil && fields.count > 1 && Int32(fields[1]) == own
        }
        found += [("mounts", mounts.count), ("loop devices", loops), ("children", children)]
        return found + [("descriptors", Processes.names(in: "/proc/\(own)/fd").count)]
    }
}
