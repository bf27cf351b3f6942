import BurstClient
import BurstTestSupport
import BurstWire
import Dispatch
import Glibc
import Synchronization

/// A burstd in a folder of its own, and its clients.
final class BurstdRig {
    let folder: TemporaryFolder
    private let program: PipedProgram
    private let burst: String

    var socket: String { folder("burstd.sock") }

    /// - Parameters:
    ///   - programs: the folder of burstd, burst-scriptd, burst-stepd and burst.
    ///   - buffers: room in the pool.
    ///   - gate: `data_in` of each job waits at this FIFO of the folder, until it is opened.
    init(programs: String, cpus: Int, buffers: Int, gate: String? = nil) throws(HarnessError) {
        let folder = try TemporaryFolder("burst-bench", openToOthers: true)
        self.folder = folder
        burst = programs + "burst"
        for name in ["etc", "state"] { folder.makeFolder(name) }
        folder.write(
            """
            ClusterName=bench
            SlurmUser=root
            StateSaveLocation=\(folder("state"))
            SlurmctldLogFile=\(folder("burstd.log"))
            SlurmctldDebug=error
            BurstBufferType=burst_buffer/lua
            MaxJobCount=200000
            SchedulerParameters=bb_array_stage_cnt=10
            NodeName=node1 CPUs=\(cpus)
            PartitionName=debug Nodes=node1 Default=YES MaxTime=INFINITE State=UP

            """, to: "etc/slurm.conf")
        folder.write("", to: "etc/burst_buffer.conf")
        if let gate { mkfifo(folder(gate), 0o666) }
        folder.write(
            ImmediateScript.lua(buffers: buffers, gate: gate.map { folder($0) }), to: "etc/burst_buffer.lua")
        program = try PipedProgram(
            [
                programs + "burstd", "-D", "--config", folder("etc"), "--state", folder("state"), "--socket",
                folder("burstd.sock"),
            ], environment: ["PATH": "/usr/bin:/bin", "SWIFT_BACKTRACE": "enable=no"])
        let (socket, program) = (folder("burstd.sock"), program)
        guard
            program.wait(
                seconds: 30,
                until: { _ in
                    guard let connection = try? BurstConnection.connect(path: socket, program: "burst-bench") else {
                        return false
                    }
                    defer { connection.close() }
                    return Self.show(.burst(oneLine: true, verbose: false), connection)?.contains(ImmediateScript.pool)
                        == true
                })
        else {
            throw HarnessError("burstd does not serve within 30 s: \(String(decoding: program.errors, as: UTF8.self))")
        }
    }

    func end() {
        program.signal(SIGTERM)
        _ = program.waitForEnd(seconds: 30)
    }

    func connect() throws(HarnessError) -> BurstConnection {
        do {
            return try BurstConnection.connect(path: socket, program: "burst-bench")
        } catch {
            throw HarnessError("\(error)")
        }
    }

    static func show(_ show: Show, _ connection: BurstConnection) -> String? {
        guard let (answer, body) = try? connection.ask(.show(show)), case .body = answer else { return nil }
        return String(decoding: body, as: UTF8.self)
    }

    // MARK: Jobs

    /// Submits from several connections at once, each with a number of questions under way.
    /// - Returns: the jobs' numbers.
    @discardableResult
    func submit(_ count: Int, connections: Int = 8, underWay: Int = 32, isHeld: Bool = false) throws(HarnessError)
        -> [UInt32]
    {
        var submission = Submission(name: "bench", workDir: "/tmp")
        submission.stdOut = "/dev/null"
        submission.isHeld = isHeld
        submission.environment = ["PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/root", "LANG=C.UTF-8", "SHELL=/bin/sh"]
        return try submit(count, submission, ImmediateScript.job, connections: connections, underWay: underWay)
    }

    /// A job without a buffer that keeps all CPUs.
    func block(cpus: Int) throws(HarnessError) {
        var submission = Submission(name: "blocker", workDir: "/tmp")
        submission.stdOut = "/dev/null"
        submission.tasks = UInt32(cpus)
        submission.timeLimitMinutes = 60
        try submit(1, submission, ImmediateScript.blocker, connections: 1, underWay: 1)
        guard try wait(seconds: 30, { () throws(HarnessError) in try count(["RUNNING"]) == 1 }) else {
            throw HarnessError("the job that keeps the CPUs does not start")
        }
        // A script that cannot be launched runs for a moment, by its record.
        Wait.until(seconds: 1) { false }
        guard try count(["RUNNING"]) == 1 else {
            throw HarnessError("the job that keeps the CPUs does not start")
        }
    }

    @discardableResult
    private func submit(
        _ count: Int, _ submission: Submission, _ script: String, connections: Int, underWay: Int
    ) throws(HarnessError) -> [UInt32] {
        let connections = min(connections, count)
        var submission = submission
        // Root has neither buffers nor scripts; whoever else runs this has his own.
        if geteuid() == 0 { submission.user = getpwnam(ImmediateScript.user) == nil ? "nobody" : ImmediateScript.user }
        let results = Mutex<(jobs: [UInt32], fault: String?)>(([], nil))
        let body = Array(script.utf8)
        let socket = socket
        DispatchQueue.concurrentPerform(iterations: connections) { [submission] index in
            var jobs: [UInt32] = []
            do {
                let connection = try BurstConnection.connect(path: socket, program: "burst-bench")
                defer { connection.close() }
                let share = count / connections + (index < count % connections ? 1 : 0)
                var sent = 0
                while jobs.count < share {
                    while sent < share, sent - jobs.count < underWay {
                        try connection.send(.submit(submission), body: body)
                        sent += 1
                    }
                    let message = try connection.next(seconds: 60)
                    guard case .submitted(_, let job, _) = message.answer else {
                        throw HarnessError("burstd answers a submission with \(message.answer)")
                    }
                    jobs.append(job)
                }
            } catch {
                results.withLock { $0.fault = "\(error)" }
            }
            results.withLock { $0.jobs += jobs }
        }
        let (jobs, fault) = results.withLock { $0 }
        if let fault { throw HarnessError(fault) }
        return jobs
    }

    func release(_ jobs: [UInt32]) throws(HarnessError) {
        let connection = try connect()
        defer { connection.close() }
        guard let (answer, _) = try? connection.ask(.command(Command(.release, jobs: jobs.map { "\($0)" }))),
            case .done(_, let outcomes) = answer, outcomes.allSatisfy({ $0.code == 0 })
        else { throw HarnessError("burstd does not release \(jobs.count) jobs") }
    }

    /// Jobs in these states.
    func count(_ states: [String]) throws(HarnessError) -> Int {
        var queue = Show.Queue()
        queue.header = false
        queue.format = "%T"
        queue.states = states
        return try text(.queue(queue)).utf8.count { $0 == UInt8(ascii: "\n") }
    }

    func text(_ show: Show) throws(HarnessError) -> String {
        let connection = try connect()
        defer { connection.close() }
        guard let text = Self.show(show, connection) else { throw HarnessError("burstd does not show its state") }
        return text
    }

    /// Buffers that are listed, those in one state if one is named.
    func buffers(_ state: String = "") throws(HarnessError) -> Int {
        Counting.lines(of: try text(.burst(oneLine: true, verbose: false)), state: state)
    }

    func wait(seconds: Double, _ condition: () throws(HarnessError) -> Bool) throws(HarnessError) -> Bool {
        try Counting.wait(seconds: seconds, every: 0.05, condition)
    }

    /// `burst show burst`.
    func runShow() throws(HarnessError) -> PipedProgram.Result {
        try PipedProgram.run(
            [burst, "show", "burst"], environment: ["BURST_SOCKET": socket, "SWIFT_BACKTRACE": "enable=no"])
    }

    /// Milliseconds of `burst show burst`, from exec to the end of its output.
    func showTime(expecting buffers: Int) throws(HarnessError) -> Double {
        let result = try runShow()
        let found = Counting.lines(of: result.text, state: "")
        guard found == buffers else {
            throw HarnessError("burst show burst lists \(found) buffers, not \(buffers): \(result.errorText)")
        }
        return result.seconds * 1000
    }

    /// burstd and burst-scriptd.
    var processes: [Int32] {
        [program.pid] + Processes.children(of: program.pid).filter { Processes.name(of: $0) == "burst-scriptd" }
    }
    var daemon: Int32 { program.pid }
}

/// What both engines print alike.
enum Counting {
    /// Lines of buffers in what `show burst` prints.
    static func lines(of text: String, state: String) -> Int {
        text.split(separator: "\n").count {
            $0.utf8.contains(UInt8(ascii: "J")) && $0.contains("JobID=")
                && (state.isEmpty || $0.contains("State=\(state)"))
        }
    }

    /// Looks again and again; false where it never held.
    static func wait(
        seconds: Double, every: Double, _ condition: () throws(HarnessError) -> Bool
    ) throws(HarnessError) -> Bool {
        let deadline = PseudoTerminal.now + UInt64(seconds * 1e9)
        while try !condition() {
            if PseudoTerminal.now >= deadline { return false }
            _ = poll(nil, 0, Int32(every * 1000))
        }
        return true
    }

    static func seconds(since start: UInt64) -> Double { Double(PseudoTerminal.now - start) / 1e9 }
}
