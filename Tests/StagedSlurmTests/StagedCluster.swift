import BurstClient
import BurstTestSupport
import BurstWire
import CSys
import Dispatch
import Glibc
import Synchronization

/// A real Slurm whose burst buffers are ours: slurmctld with one of its plugins, `dw_wlm_cli`, `dwstat` and the ready
/// `burst_buffer.lua` over a burstd that is the stager alone, with a pool of 64 granules of 16 MiB.
final class StagedCluster {
    let slurm: ReferenceCluster
    private var burstd: PipedProgram?

    static let user = "bbalice"
    private let granules: Int
    private let isInMemory: Bool

    var folder: String { slurm.folder }
    private var socket: String { folder + "/burst/burstd.sock" }

    /// What users copy from and to.
    var source: String { folder + "/jobs/source" }
    var target: String { folder + "/jobs/target" }

    /// - Parameters:
    ///   - bytesPerSecond: of copies; nil: as fast as they go.
    ///   - granules: of the pool, 16 MiB each.
    ///   - inMemory: pool and state need no disk, which would be what takes the time.
    init(
        _ plugin: ReferenceCluster.Plugin, bytesPerSecond: Int? = nil, granules: Int = 64, inMemory: Bool = false
    ) throws {
        self.granules = granules
        isInMemory = inMemory
        var started: PipedProgram?
        let persistent = plugin == .datawarp ? ["--bb", "Flags=EnablePersistent"] : []
        slurm = try ReferenceCluster(plugin) { folder in
            if inMemory { try Self.mountMemory(folder + "/burst") }
            try Self.makePool(folder, bytesPerSecond, granules)
            started = try Self.start(folder)
            return ["--stager", try StagedPrograms.folder()] + persistent
        }
        burstd = started
        for path in [source, target] { try asUser("mkdir", "-p", path) }
    }

    deinit {
        endBurstd(SIGKILL)
        if isInMemory { while bb_unmount(folder + "/burst", 1) == 0 {} }
    }

    private static func mountMemory(_ path: String) throws {
        mkdir(path, 0o755)
        let mounted = try PipedProgram.run(
            ["/usr/bin/mount", "-t", "tmpfs", "-o", "mode=755,size=1t", "burst-test", path],
            environment: ["PATH": "/usr/bin:/bin"])
        guard mounted.end == .exited(0) else { throw HarnessError("mount: \(mounted.errorText)") }
    }

    private static func makePool(_ folder: String, _ bytesPerSecond: Int?, _ granules: Int) throws {
        for name in ["burst", "burst/conf", "burst/pool"] { mkdir("\(folder)/\(name)", 0o755) }
        chmod(folder + "/burst/pool", 0o711)
        let limit = bytesPerSecond.map { "bytes_per_second = \($0)\n" } ?? ""
        let text = """
            [[pool]]
            name = "nvme"
            path = "\(folder)/burst/pool"
            granularity = "16MiB"
            quantity = \(granules)
            driver = "accounting"
            metadata_reserve_percent = 0
            \(limit)
            """
        guard let file = fopen(folder + "/burst/conf/burst.toml", "w") else { throw HarnessError("burst.toml") }
        fputs(text, file)
        fclose(file)
        let made = try PipedProgram.run(
            [
                try StagedPrograms.folder() + "/burst", "pool", "create", "nvme", "--on-root", "--config",
                folder + "/burst/conf",
            ],
            environment: ReferenceCluster.environment)
        guard made.end == .exited(0) else { throw HarnessError("pool create: \(made.text)\(made.errorText)") }
    }

    // MARK: The daemon

    private static func start(_ folder: String) throws -> PipedProgram {
        let line = """
            exec "$1/burstd" --config "$2/conf" --state "$2/state" --socket "$2/burstd.sock" \
            --foreground >>"$2/log" 2>&1
            """
        // Should this process be killed, the cluster's keeper finds it by its environment.
        let program = try PipedProgram(
            ["/bin/sh", "-c", line, "sh", try StagedPrograms.folder(), folder + "/burst"],
            environment: ReferenceCluster.environment.merging(["BB_CLUSTER": folder]) { $1 })
        let answers = Wait.until(seconds: 60) {
            (try? BurstConnection.connect(path: folder + "/burst/burstd.sock", program: "test")) != nil
        }
        guard answers else { throw HarnessError("burstd does not answer: \(log(folder))") }
        return program
    }

    private static func log(_ folder: String) -> String {
        String(decoding: Fixtures.bytes(of: folder + "/burst/log"), as: UTF8.self)
    }

    func startBurstd() throws { burstd = try Self.start(folder) }

    func endBurstd(_ signal: Int32 = SIGTERM) {
        burstd?.signal(signal)
        _ = burstd?.waitForEnd()
        burstd = nil
    }

    func pauseBurstd() { burstd?.signal(SIGSTOP) }
    func resumeBurstd() { burstd?.signal(SIGCONT) }

    /// Copies of a session stand still, from now on or once there are any; or they go on.
    func hold(_ job: Int) throws {
        let isHeld = Wait.until(seconds: 60, every: 0.05) { (try? throttle(job, 0)) != nil }
        guard isHeld else { throw HarnessError("job \(job) has no session\n\(said())") }
    }
    func letGo(_ job: Int) throws { try throttle(job, nil) }

    private func throttle(_ job: Int, _ bytes: UInt64?) throws {
        let connection = try BurstConnection.connect(path: socket, program: "test")
        let order = StageOrder.throttle(token: "\(job)", bytesPerSecond: bytes, filesPerSecond: nil)
        let (answer, body) = try connection.ask(.stageOrder(order))
        guard case .staged(_, 0, _) = answer else {
            throw HarnessError("throttle: \(answer) \(String(decoding: body, as: UTF8.self))")
        }
    }

    /// Persistent buffers of the user's with a granule each: `p1`, `p2` and so on.
    func makePersistent(_ count: Int) throws {
        guard let user = getpwnam(Self.user) else { throw HarnessError("no user \(Self.user)") }
        let owner = ["-u", "\(user.pointee.pw_uid)", "--groupid", "\(user.pointee.pw_gid)"]
        let socket = socket
        let fault = Mutex<String?>(nil)
        let next = Atomic<Int>(1)
        DispatchQueue.concurrentPerform(iterations: 8) { _ in
            do {
                let connection = try BurstConnection.connect(path: socket, program: "test")
                while case let number = next.wrappingAdd(1, ordering: .relaxed).oldValue, number <= count {
                    let words = ["--function", "create_persistent", "-c", "CLI", "-t", "p\(number)"]
                    let space = ["-C", "nvme:\(16 << 20)"]
                    let call = StageCall(.wlm, arguments: words + owner + space)
                    let (answer, body) = try connection.ask(.stage(call), seconds: 120)
                    guard case .staged(_, 0, _) = answer else {
                        throw HarnessError("\(answer) \(String(decoding: body, as: UTF8.self))")
                    }
                }
            } catch {
                fault.withLock { $0 = "\(error)" }
            }
        }
        if let text = fault.withLock({ $0 }) { throw HarnessError("create_persistent: \(text)") }
    }

    /// A program of a job's session runs on the controller.
    func isCalled(_ verb: String, of job: Int) -> Bool {
        Self.names("/proc").contains { name in
            func words(_ kind: String) -> [String] {
                guard Int32(name) != nil, let file = fopen("/proc/\(name)/\(kind)", "r") else { return [] }
                defer { fclose(file) }
                var bytes = [UInt8](repeating: 0, count: 1 << 16)
                let count = fread(&bytes, 1, bytes.count, file)
                return bytes[..<count].split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
            }
            let command = words("cmdline")
            guard command.contains(verb), let place = command.firstIndex(of: "--token"), place + 1 < command.count
            else { return false }
            return command[place + 1] == "\(job)" && words("environ").contains("BURST_SOCKET=\(socket)")
        }
    }

    /// What `dw_wlm_cli` of the cluster prints.
    func stager(_ words: String...) throws -> PipedProgram.Result {
        try PipedProgram.run(
            [folder + "/bin/dw_wlm_cli", "--function"] + words,
            environment: ReferenceCluster.environment.merging(["BURST_SOCKET": socket]) { $1 })
    }

    /// Tokens of the sessions there are.
    func tokens() throws -> [String] {
        let answer = try JSON(try stager("show_sessions").output)
        return answer["sessions"].elements.compactMap { $0["token"].text }
    }

    /// Nothing is left of any job: no session, no taken space, no folder of a buffer.
    func isEmpty() throws -> Bool {
        let pools = try JSON(try stager("pools").output)
        let free = pools["pools"].elements.first?["free"].number
        return try tokens().isEmpty && free == Int64(granules)
            && Self.names(folder + "/burst/pool/buffers").isEmpty
            && Self.names(folder + "/burst/state/mnt").isEmpty && Self.names(folder + "/burst/stager/paths").isEmpty
    }

    private static func names(_ folder: String) -> [String] {
        guard let stream = opendir(folder) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names
    }

    // MARK: Users and jobs

    @discardableResult
    func asUser(_ words: String...) throws -> PipedProgram.Result {
        let result = try PipedProgram.run(
            ["/usr/sbin/runuser", "-u", Self.user, "--"] + words, environment: slurm.environment)
        guard result.end == .exited(0) else { throw HarnessError("\(words): \(result.text)\(result.errorText)") }
        return result
    }

    /// A tree with most of what a tree can have.
    func makeSource(megabytes: Int = 1) throws {
        let script = """
            set -e
            cd "$0"
            mkdir -p deep/er/still empty 'with blank'
            for i in $(seq 60); do head -c $((i * 100)) /dev/urandom >deep/f$i; done
            head -c $(($1 * 1048576)) /dev/urandom >large
            echo x >"with blank/it's"; chmod 640 "with blank/it's"
            ln -s ../large deep/link; ln -s /nowhere dangling; ln large deep/er/hard
            truncate -s 5M sparse; chmod 750 deep; chmod 4711 deep/f1; : >none
            touch -d '2001-02-03 04:05:06.789' deep/f2 empty deep/er
            """
        try asUser("/bin/bash", "-c", script, source, "\(megabytes)")
    }

    /// Directives of either plugin: `jobdw`, `stage_in` and so on.
    func submit(_ directives: String..., run: String, options: [String] = []) throws -> Int {
        let mark = slurm.plugin == .lua ? "#BB_LUA" : "#DW"
        let lines = directives.map { $0.hasPrefix("#") ? $0 : "\(mark) \($0)" }
        let path = slurm.jobFile("\(PseudoTerminal.now).sh")
        guard let file = fopen(path, "w") else { throw HarnessError("cannot write \(path)") }
        fputs((["#!/bin/bash"] + lines + ["set -e", run, ""]).joined(separator: "\n"), file)
        fclose(file)
        chmod(path, 0o755)
        let words = [Self.user, "--", "-o", slurm.jobFile("out-%j"), "-t", "30"] + options + [path]
        let said = try slurm.steer("submit", words)
        guard let number = said.split(whereSeparator: \.isWhitespace).last.flatMap({ Int($0) }) else {
            throw HarnessError("sbatch says: \(said)")
        }
        return number
    }

    static let buffer = "jobdw pool=nvme capacity=64MiB type=scratch access_mode=striped"
    var stageIn: String { "stage_in type=directory source=\(source) destination=$DW_JOB_STRIPED/in" }
    func stageOut(to name: String) -> String {
        "stage_out type=directory source=$DW_JOB_STRIPED/out destination=\(target)/\(name)"
    }
    /// What comes out is what went in, made anew.
    static let work = "mkdir -m 755 $DW_JOB_STRIPED/out; cp -a $DW_JOB_STRIPED/in/. $DW_JOB_STRIPED/out/"

    /// A job that copies the source into its buffer, does something, and copies a folder of the target's out.
    func submitCopy(to name: String, run: String = StagedCluster.work, options: [String] = []) throws -> Int {
        try submit(Self.buffer, stageIn, stageOut(to: name), run: run, options: options)
    }

    /// What a job does that waits for a file of ours first.
    var gatedWork: String { "until [ -e \(folder)/jobs/gate ]; do sleep 0.2; done; " + Self.work }
    func openGate() { slurm.put("", "jobs/gate") }

    /// Waits until squeue shows a stage of a job; says what it shows where that does not come.
    func wait(_ job: Int, for stage: String, seconds: Double = 60) throws {
        guard try slurm.reaches(job, stage, seconds: seconds) else {
            throw HarnessError("job \(job) is not \(stage): \(try slurm.stage(job))\n\(said())")
        }
    }

    /// Waits until a job has run and nothing of it is left.
    func waitForEnd(_ job: Int, state: String = "COMPLETED", seconds: Double = 60) throws {
        let isOver = try Wait.until(seconds: seconds, every: 0.3) {
            try self.slurm.stage(job).state == state && self.slurm.stage(job).stage == "complete"
        }
        guard isOver else { throw HarnessError("job \(job) has not ended: \(try slurm.stage(job))\n\(said())") }
    }

    /// Waits until a job that was cancelled during its stage-in is gone. Slurm may kill the teardown with which it
    /// begins then (spec §4.10), and says so; nothing goes on before its next start.
    func waitForCancel(_ job: Int) throws {
        let wasKilled = "teardown for JobId=\(job) terminated by slurmctld"
        func isOver() throws -> Bool {
            let shown = try slurm.stage(job)
            return shown.state == "CANCELLED" && shown.stage == "complete"
        }
        let isKnown = try Wait.until(every: 0.3) { try isOver() || slurmctldLog.contains(wasKilled) }
        if try isKnown && !isOver() { try slurm.steer("restart", []) }
        try waitForEnd(job, state: "CANCELLED")
    }

    /// A restart gives jobs a begin time a minute ahead.
    func startNow(_ job: Int) throws { _ = try slurm.ask(["scontrol", "update", "JobId=\(job)", "StartTime=now"]) }

    func output(of job: Int) -> String {
        let path = slurm.jobFile("out-\(job)")
        return access(path, R_OK) == 0 ? String(decoding: Fixtures.bytes(of: path), as: UTF8.self) : ""
    }

    /// The ends of both logs, for a test's message.
    private func said() -> String {
        let outputs = StagedCluster.names(folder + "/jobs").filter { $0.hasPrefix("out-") }.sorted().map {
            "\(folder)/jobs/\($0)"
        }
        return ([folder + "/log/slurmctld.log", folder + "/burst/log"] + outputs).map { path in
            String(decoding: Fixtures.bytes(of: path), as: UTF8.self).split(separator: "\n").suffix(25)
                .joined(separator: "\n")
        }.joined(separator: "\n--\n")
    }

    var slurmctldLog: String {
        String(decoding: Fixtures.bytes(of: folder + "/log/slurmctld.log"), as: UTF8.self)
    }

    /// How a copy differs from the source.
    func differences(_ name: String) throws -> [String] {
        try TreeHash(of: "\(target)/\(name)").differences(from: try TreeHash(of: source))
    }

    /// Buffers of jobs that Slurm lists.
    func listed() throws -> Set<Int> {
        let words = try slurm.ask(["scontrol", "show", "burst"]).text.split(whereSeparator: \.isWhitespace)
        return Set(words.compactMap { $0.hasPrefix("JobID=") ? Int($0.dropFirst(6)) : nil })
    }

    func cancel(_ job: Int, _ options: String...) throws { _ = try slurm.ask(["scancel"] + options + ["\(job)"]) }

    /// Waits until nothing of any job is left.
    func waitUntilEmpty(seconds: Double = Wait.hangSeconds) throws {
        guard Wait.until(seconds: seconds, every: 0.2, { (try? isEmpty()) == true }) else {
            throw HarnessError("something is left: \(try tokens()) \(try stager("pools").text)\n\(said())")
        }
    }
}

/// The programs where users may run them: the folder they were built in may be closed.
enum StagedPrograms {
    private static let copies = Result<TemporaryFolder, any Error> {
        let folder = try TemporaryFolder("burst-bin", openToOthers: true)
        let names = ["burst", "burstd", "burst-stage", "burst-scriptd", "burst-stepd", "dw_wlm_cli", "dwstat"]
        let copied = try PipedProgram.run(
            ["/bin/cp", "--reflink=auto"] + names.map(Programs.path(of:)) + [folder.path], environment: [:])
        guard copied.end == .exited(0) else { throw HarnessError("cp: \(copied.errorText)") }
        return folder
    }

    static func folder() throws -> String { try copies.get().path }
}
