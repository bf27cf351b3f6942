import BurstClient
import BurstStore
import BurstTestSupport
import BurstWire
import CSys
import Glibc
import Testing

/// Runs the tests of a suite on threads that may wait.
struct OnWorkers: SuiteTrait, TestTrait, TestScoping {
    var isRecursive: Bool { true }

    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        try await withTaskExecutorPreference(Workers.shared) { try await function() }
    }
}

extension Trait where Self == OnWorkers {
    static var onWorkers: Self { Self() }
}

/// A real burstd with its programs in a folder of its own. Every process that comes of it carries a mark in its
/// environment, by which it is found.
final class BurstdRig {
    /// An ordinary user of the machine.
    struct User {
        var name: String
        var uid: UInt32
        var gid: UInt32
    }

    let folder: TemporaryFolder
    let mark: String
    private var program: PipedProgram?
    /// Seconds, of a clock that nobody sets, for the starts so far.
    private(set) var startSeconds: [Double] = []

    static let startSecondsMax = 60.0
    static let endSecondsMax = 60.0

    var socket: String { folder("run/burstd.sock") }
    var state: String { folder("state") }
    var log: String { folder.text(of: "burstd.log") }

    /// Where a program was built: beside this one, or in `BURST_PROGRAMS`, say a release build.
    private static func built(_ name: String) -> String {
        getenv("BURST_PROGRAMS").map { String(cString: $0) + "/" + name } ?? Programs.path(of: name)
    }

    /// Why it cannot run here; nil where it can.
    static var missing: String? {
        if getuid() != 0 { return "not root" }
        let absent = ["burst", "burstd", "burst-scriptd", "burst-stepd"].filter { access(built($0), X_OK) != 0 }
        return absent.isEmpty ? nil : "not built: \(absent.joined(separator: " "))"
    }

    /// - Parameters:
    ///   - script: burst_buffer.lua.
    ///   - buffers: lines of burst_buffer.conf.
    ///   - conf: further lines of slurm.conf.
    init(script: String, buffers: [String] = [], conf: [String] = [], cpus: Int = 64) throws {
        if let missing = Self.missing { throw HarnessError("burstd cannot be tried: \(missing)") }
        folder = try TemporaryFolder("burst-e2e", openToOthers: true)
        mark = "BURST_E2E=\(folder.path)"
        for name in ["conf", "bin", "data"] { folder.makeFolder(name) }
        chmod(folder("data"), 0o1777)
        // The folder it was built in may be closed to the users.
        for name in ["burst", "burstd", "burst-scriptd", "burst-stepd"] {
            let copied = try PipedProgram.run(
                ["/bin/cp", "--reflink=auto", Self.built(name), folder("bin/" + name)], environment: [:])
            guard copied.end == .exited(0) else { throw HarnessError("cp \(name): \(copied.errorText)") }
        }
        for name in ["sbatch", "scancel", "scontrol", "squeue"] { symlink("burst", folder("bin/" + name)) }
        folder.write(script, to: "conf/burst_buffer.lua")
        folder.write(buffers.map { $0 + "\n" }.joined(), to: "conf/burst_buffer.conf")
        writeConf(conf, cpus: cpus)
    }

    func writeConf(_ more: [String] = [], cpus: Int = 64) {
        let lines =
            [
                "ClusterName=e2e", "SlurmctldDebug=info", "BurstBufferType=burst_buffer/lua", "KillWait=2",
                "MinJobAge=100000", "MailProg=/bin/true", "NodeName=node1 CPUs=\(cpus)",
                "PartitionName=debug Nodes=node1 Default=YES MaxTime=INFINITE State=UP",
            ] + more
        folder.write(lines.map { $0 + "\n" }.joined(), to: "conf/slurm.conf")
    }

    deinit {
        if let program, program.end == nil {
            program.signal(SIGKILL)
            _ = program.waitForEnd(seconds: 10)
        }
        // Nothing of a test that failed stays.
        for _ in 0..<100 {
            let left = marked()
            if left.isEmpty { break }
            for pid in left { kill(pid, SIGKILL) }
            Wait.until(seconds: 0.05) { false }
        }
    }

    // MARK: Life

    var environment: [String: String] {
        [
            "PATH": folder("bin") + ":/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C.UTF-8", "TZ": "UTC",
            "BURST_E2E": folder.path, "BURST_SOCKET": socket, "SWIFT_BACKTRACE": "enable=no",
        ]
    }

    private func words(_ more: [String]) -> [String] {
        [folder("bin/burstd"), "--config", folder("conf"), "--state", state, "--socket", socket] + more
    }

    /// Starts it; it may not be ready yet.
    func launch() throws {
        guard program?.end != nil || program == nil else { throw HarnessError("it runs already") }
        program = try PipedProgram(
            ["/bin/sh", "-c", #"exec "$@" 2>>"$BURST_E2E/burstd.log" >&2"#, "sh"] + words(["--foreground"]),
            environment: environment)
    }

    /// Starts it and waits until it answers.
    func start() throws {
        let began = PseudoTerminal.now
        try launch()
        try waitUntilReady()
        startSeconds.append(Double(PseudoTerminal.now - began) / 1e9)
    }

    func waitUntilReady() throws {
        let isReady = Wait.until(seconds: Self.startSecondsMax, every: 0.01) {
            (try? connect().ask(.ping)) != nil || hasEnded
        }
        if !isReady || hasEnded { throw HarnessError("burstd is not ready: \(log.suffix(2000))") }
    }

    /// Tries a burstd that should refuse to start, and gives what it said.
    func refusedStart(_ more: [String] = []) throws -> PipedProgram.Result {
        try PipedProgram.run(words(["--foreground"] + more), environment: environment, seconds: Self.startSecondsMax)
    }

    var pid: Int32 { program?.pid ?? -1 }

    var hasEnded: Bool {
        program?.wait(seconds: 0) { $0.end != nil }
        guard let program else { return true }
        return program.waitForEnd(seconds: 0).end != nil
    }

    /// Ends it by a signal and waits for its end.
    @discardableResult
    func end(_ signal: Int32) throws -> PipedProgram.Result {
        guard let program else { throw HarnessError("it does not run") }
        program.signal(signal)
        return try waitForEnd()
    }

    @discardableResult
    func waitForEnd() throws -> PipedProgram.Result {
        guard let program else { throw HarnessError("it does not run") }
        let result = program.waitForEnd(seconds: Self.endSecondsMax)
        guard result.end != nil else { throw HarnessError("burstd does not end: \(log.suffix(2000))") }
        return result
    }

    // MARK: Clients

    func connect() throws -> BurstConnection {
        try BurstConnection.connect(path: socket, program: "test", milliseconds: Int(Wait.hangSeconds * 1000))
    }

    /// One of those that `Tests/Reference/cluster users` makes.
    static func user(_ name: String) throws -> User {
        if let made = usersFault { throw HarnessError(made) }
        guard let entry = getpwnam(name)?.pointee else { throw HarnessError("no user \(name)") }
        return User(name: name, uid: entry.pw_uid, gid: entry.pw_gid)
    }

    private static let usersFault: String? = {
        let names = ["bbalice", "bbbob", "bbcarol"]
        if names.allSatisfy({ getpwnam($0) != nil }) { return nil }
        let tool = Fixtures.top + "/Tests/Reference/cluster"
        let path = ["PATH": "/usr/bin:/bin:/usr/sbin:/sbin"]
        let result = try? PipedProgram.run([tool, "users"], environment: path, seconds: 60)
        return names.allSatisfy { getpwnam($0) != nil } ? nil : "no users: \(result?.errorText ?? "")"
    }()

    /// A command line of a user, ready to be started.
    func command(_ words: [String], as user: User?) -> [String] {
        let command = [words[0].hasPrefix("/") ? words[0] : folder("bin/" + words[0])] + words.dropFirst()
        guard let user else { return command }
        return ["/usr/bin/setpriv", "--reuid", "\(user.uid)", "--regid", "\(user.gid)", "--clear-groups", "--"]
            + command
    }

    /// Runs one of our commands, in the folder that all may write to.
    func run(_ words: [String], as user: User? = nil, seconds: Double = 60) throws -> PipedProgram.Result {
        try begin(words, as: user).waitForEnd(seconds: seconds)
    }

    /// Starts one of our commands, in the folder that all may write to.
    func begin(_ words: [String], as user: User? = nil) throws -> PipedProgram {
        var variables = environment
        variables["HOME"] = folder("data")
        variables["USER"] = user?.name ?? "root"
        return try PipedProgram(
            ["/bin/sh", "-c", #"cd "$BURST_E2E/data" && exec "$@""#, "sh"] + command(words, as: user),
            environment: variables)
    }

    /// Submits a script as a user and gives the job's number. Root may have no buffers (spec §3.3).
    func submit(_ script: String, as user: User? = nil, _ options: [String] = []) throws -> UInt32 {
        let user = try user ?? Self.user("bbalice")
        let name = "data/job-\(PseudoTerminal.now).sh"
        folder.write(script, to: name, mode: 0o755)
        let result = try run(["burst", "submit"] + options + [folder(name)], as: user)
        guard result.end == .exited(0), let job = UInt32(result.text.filter(\.isNumber)) else {
            throw HarnessError("submit: \(result.errorText)")
        }
        return job
    }

    /// What `scontrol show job` says of a job, by key.
    func job(_ id: UInt32) throws -> [String: String] {
        let (answer, body) = try connect().ask(.show(.jobs(id: "\(id)", oneLine: true)))
        guard case .body = answer else { throw HarnessError("job \(id): \(answer)") }
        var fields: [String: String] = [:]
        for word in String(decoding: body, as: UTF8.self).split(whereSeparator: { $0 == " " || $0 == "\n" }) {
            let pair = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if pair.count == 2, fields[String(pair[0])] == nil { fields[String(pair[0])] = String(pair[1]) }
        }
        return fields
    }

    /// No buffer, and no space used, by the text of `show burst`.
    static func isUnused(_ text: String) -> Bool {
        text.contains("PoolName[0]=nvme") && !text.contains("JobID=") && !text.contains(/UsedSpace=[1-9]/)
    }

    /// Waits until a field of a job begins with a text.
    func waits(for id: UInt32, _ key: String, _ text: String, seconds: Double = 60) throws -> Bool {
        try Wait.until(seconds: seconds, every: 0.05) { try job(id)[key]?.hasPrefix(text) == true }
    }

    // MARK: What is left

    /// Processes with the mark, or started with a path of ours (burst-stepd has no environment), burstd itself among
    /// them; zombies left out, since nothing of them runs.
    func marked() -> [Int32] {
        let mark = Array(mark.utf8)
        let path = Array((folder.path + "/").utf8)
        return Processes.all().filter { pid in
            if let bytes = Processes.text("/proc/\(pid)/environ"),
                bytes.split(separator: 0).contains(where: { $0.elementsEqual(mark) })
            {
                return true
            }
            return Processes.text("/proc/\(pid)/cmdline")?.split(separator: 0).contains { $0.starts(with: path) }
                == true
        }
    }

    /// burst-scriptd of the running burstd.
    var scriptd: Int32? {
        Processes.children(of: pid).first { Processes.name($0) == "burst-scriptd" }
    }
}

/// Processes as /proc shows them.
enum Processes {
    static func all() -> [Int32] {
        guard let folder = opendir("/proc") else { return [] }
        defer { closedir(folder) }
        var found: [Int32] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if let pid = Int32(name) { found.append(pid) }
        }
        return found
    }

    /// The children of a process, zombies left out.
    static func children(of parent: Int32) -> [Int32] {
        all().filter { pid in
            guard let fields = fields(pid) else { return false }
            return fields[0] != "Z" && fields[1] == "\(parent)"
        }
    }

    /// Clock ticks of the processor that it has used.
    static func ticks(_ pid: Int32) -> Int {
        guard let fields = fields(pid), fields.count > 12 else { return 0 }
        return (Int(fields[11]) ?? 0) + (Int(fields[12]) ?? 0)
    }

    static func name(_ pid: Int32) -> String {
        String(decoding: text("/proc/\(pid)/comm") ?? [], as: UTF8.self).filter { $0 != "\n" }
    }

    /// The fields of /proc/PID/stat behind the name: state, parent...
    private static func fields(_ pid: Int32) -> [Substring]? {
        guard let bytes = text("/proc/\(pid)/stat") else { return nil }
        let line = String(decoding: bytes, as: UTF8.self)
        guard let bracket = line.lastIndex(of: ")") else { return nil }
        let fields = line[line.index(after: bracket)...].split(separator: " ")
        return fields.count > 2 ? fields : nil
    }

    /// nil where it cannot be read: the process may be gone.
    static func text(_ path: String) -> [UInt8]? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while case let count = read(file, &buffer, buffer.count), count > 0 { bytes += buffer[..<count] }
        return bytes
    }
}

/// A number of the environment, for tests that can go on for longer.
func setting(_ name: String, _ usual: Int) -> Int {
    getenv(name).flatMap { Int(String(cString: $0)) } ?? usual
}
