import BurstClient
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

enum Machine {
    static let isRoot = geteuid() == 0
    /// `.ci/run` looks whether this machine mounts at all, and says so where it does not.
    static let canMount = isRoot && getenv("BURST_WITHOUT_MOUNTS") == nil
    /// Of a user who has no name here; who is not root stages as himself.
    static let owner: UInt32 = isRoot ? 54_331 : geteuid()
    static let group: UInt32 = isRoot ? 54_331 : getegid()
    static let stranger: UInt32 = 54_332
}

/// A burstd that is the stager alone, with a pool in a folder of the test's own. What a Slurm would ask it is asked
/// over its socket.
final class StagerRig {
    /// What `dw_wlm_cli` would print, and how it would end.
    struct Said: Equatable {
        var status: Int32
        var text: String
        var lines: [String] = []

        static let done = Said(status: 0, text: "")
    }

    let folder: TemporaryFolder
    private let bin: String
    /// Whose sessions are.
    private let owner: (uid: UInt32, gid: UInt32)
    private var program: PipedProgram?

    /// The folder the programs were built in may be closed to the users.
    private static let programs = Result<TemporaryFolder, any Error> {
        let folder = try TemporaryFolder("burst-bin", openToOthers: true)
        for name in ["burst", "burstd", "burst-stage", "burst-stepd", "burst-scriptd", "daemon-probe", "dw_wlm_cli"] {
            let copied = try PipedProgram.run(
                ["/bin/cp", "--reflink=auto", Programs.path(of: name), folder(name)], environment: [:])
            guard copied.end == .exited(0) else { throw HarnessError("cp \(name): \(copied.errorText)") }
        }
        return folder
    }

    var socket: String { folder("run/burstd.sock") }
    var source: String { folder("source") }
    var target: String { folder("target") }
    var log: String { folder.text(of: "burstd.log") }

    /// - Parameters:
    ///   - driver: of the pool.
    ///   - megabytes: granules of 1 MiB.
    ///   - more: lines of the pool's.
    init(
        driver: String = "accounting", megabytes: Int = 256, more: String = "",
        owner: (uid: UInt32, gid: UInt32) = (Machine.owner, Machine.group)
    ) throws {
        self.owner = owner
        folder = try TemporaryFolder("burst-stager", openToOthers: true)
        for name in ["conf", "pool", "run", "source", "target"] { folder.makeFolder(name) }
        chmod(folder("pool"), 0o711)
        for name in ["source", "target"] { chown(folder(name), owner.uid, owner.gid) }
        bin = try Self.programs.get().path
        folder.write(
            """
            [[pool]]
            name = "nvme"
            path = "\(folder("pool"))"
            granularity = "1MiB"
            quantity = \(megabytes)
            driver = "\(driver)"
            metadata_reserve_percent = 0
            \(more)
            """, to: "conf/burst.toml")
        let made = try PipedProgram.run(
            ["\(bin)/burst", "pool", "create", "nvme", "--on-root", "--config", folder("conf")],
            environment: ["PATH": "/usr/bin:/bin"])
        guard made.end == .exited(0) else { throw HarnessError("pool create: \(made.text)\(made.errorText)") }
    }

    deinit {
        if let program {
            program.signal(SIGKILL)
            _ = program.waitForEnd()
        }
        // They would go on, or wait for hosts that are no more.
        for pid in workers() { Glibc.kill(pid, SIGKILL) }
        unmountAll()
    }

    private func unmountAll() {
        let text = String(decoding: Fixtures.bytes(of: "/proc/self/mounts"), as: UTF8.self)
        for line in text.split(separator: "\n").reversed() {
            let path = line.split(separator: " ")[1]
            if path.hasPrefix(folder.path + "/") { bb_unmount(String(path), 1) }
        }
    }

    // MARK: The daemon

    var probe: String { bin + "/daemon-probe" }

    /// Starts it, and returns when it answers.
    func start() throws { try start(seconds: 60) }

    /// Fails as soon as it has ended.
    func startOnce() throws { try start(seconds: 60, isEndFatal: true) }

    private func start(seconds: Double, isEndFatal: Bool = false) throws {
        let options = ["--config", folder("conf"), "--state", folder("state"), "--socket", socket, "--foreground"]
        let line = "exec \(bin)/burstd \(options.joined(separator: " ")) >>\(folder("burstd.log")) 2>&1"
        program = try PipedProgram(["/bin/sh", "-c", line], environment: ["PATH": "/usr/bin:/bin"])
        var answers = false
        Wait.until(seconds: seconds) {
            answers = (try? BurstConnection.connect(path: socket, program: "test")) != nil
            return answers || isEndFatal && program?.hasEnded == true
        }
        guard answers else { throw HarnessError("burstd does not answer: \(log)") }
    }

    /// SIGKILL, and waits until it is gone.
    func kill() {
        program?.signal(SIGKILL)
        _ = program?.waitForEnd()
        program = nil
    }

    /// In order.
    func stop() throws {
        program?.signal(SIGTERM)
        let end = program?.waitForEnd().end
        program = nil
        guard end == .exited(0) else { throw HarnessError("burstd ended with \(String(describing: end)): \(log)") }
    }

    func reload() { program?.signal(SIGHUP) }

    // MARK: Asking

    static func said(_ answer: Answer, _ body: [UInt8]) -> Said {
        let text = String(decoding: body, as: UTF8.self)
        switch answer {
        case .staged(_, let status, let lines):
            return Said(status: status, text: text.hasSuffix("\n") ? String(text.dropLast()) : text, lines: lines)
        case .refused(_, _, let text, _): return Said(status: -1, text: text)
        default: return Said(status: -1, text: "\(answer)")
        }
    }

    /// As `dw_wlm_cli --function`.
    func wlm(_ words: String..., script: String? = nil, nodes: [String] = []) throws -> Said {
        var call = StageCall(.wlm, arguments: ["--function"] + words)
        if let script {
            call.arguments += ["--job", "/spool/script"]
            call.hasScript = true
            call.nodes = nodes
            return try ask(.stage(call), body: Array(script.utf8))
        }
        call.nodes = nodes
        return try ask(.stage(call))
    }

    func ask(_ ask: Question.Ask, body: [UInt8] = []) throws -> Said {
        let connection = try BurstConnection.connect(path: socket, program: "test")
        let (answer, body) = try connection.ask(ask, body: body, seconds: 120)
        return Self.said(answer, body)
    }

    /// What the program prints by itself, whether burstd is there or not.
    func alone(_ verb: String) throws -> String {
        try PipedProgram.run(
            ["\(bin)/dw_wlm_cli", "--function", verb], environment: ["PATH": "/usr/bin:/bin", "BURST_SOCKET": socket],
            seconds: 120
        ).text
    }

    /// A call whose answer is not waited for.
    func begin(_ words: String..., script: String? = nil) throws -> BurstConnection {
        let connection = try BurstConnection.connect(path: socket, program: "test")
        var call = StageCall(.wlm, arguments: ["--function"] + words)
        if script != nil {
            call.arguments += ["--job", "/spool/script"]
            call.hasScript = true
        }
        _ = try connection.send(.stage(call), body: Array((script ?? "").utf8))
        return connection
    }

    func setUp(_ token: String, _ script: String, megabytes: Int = 16) throws -> Said {
        try wlm(
            "setup", "--token", token, "--caller", "SLURM", "--user", "\(owner.uid)", "--groupid",
            "\(owner.gid)", "--capacity", "nvme:\(megabytes)MiB", script: script)
    }

    /// The document of `List.staging`, as the daemon's own user sees it.
    func staging() throws -> JSON {
        let connection = try BurstConnection.connect(path: socket, program: "test")
        return try JSON(try connection.ask(.list(.staging)).1)
    }

    func session(_ token: String) throws -> JSON? {
        try staging()["sessions"].elements.last { $0["token"].text == token }
    }

    func phase(_ token: String) throws -> String? { try session(token)?["phase"].text }

    /// Granules in use, live and in quarantine.
    func used() throws -> Int64 {
        let pool = try staging()["pools"].elements.first
        return (pool?["live"].number ?? -1) + (pool?["quarantined"].number ?? -1)
    }

    /// Processes that copy.
    func workers() -> [Int32] {
        Folders.names(folder("state/stager/workers")).compactMap { name in
            let words = folder.text(of: "state/stager/workers/" + name).split(whereSeparator: \.isWhitespace)
            guard words.count >= 2, let pid = Int32(words[0]), bb_process_start(pid) == UInt64(words[1]) else {
                return nil
            }
            return pid
        }
    }

    // MARK: Trees

    /// Files of the owner's, with what a tree may hold: folders, links, times, modes, a hole.
    func fill(files: Int = 40, bytes: Int = 20_000) {
        for index in 0..<files {
            let inner = "source/d\(index % 5)"
            folder.makeFolder(inner)
            let content = (0..<bytes).map { UInt8(truncatingIfNeeded: ($0 &* 31) ^ index ^ ($0 >> 8)) }
            folder.write(content, to: "\(inner)/f\(index)", mode: index % 2 == 0 ? 0o640 : 0o755)
        }
        symlink("f0", folder("source/d0/link"))
        link(folder("source/d0/f0"), folder("source/d1/hard"))
        folder.makeFolder("source/empty")
        folder.write([], to: "source/hole")
        truncate(folder("source/hole"), 3_000_000)
        Self.give(folder("source"), to: owner)
    }

    static func give(_ path: String, to owner: (uid: UInt32, gid: UInt32) = (Machine.owner, Machine.group)) {
        lchown(path, owner.uid, owner.gid)
        var status = stat()
        guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else { return }
        for name in Folders.names(path) { give(path + "/" + name, to: owner) }
    }

    /// A job that brings a folder in and takes it out again.
    var script: String {
        """
        #!/bin/bash
        #DW jobdw type=scratch capacity=16MiB access_mode=striped
        #DW stage_in type=directory source=\(source) destination=$DW_JOB_STRIPED/in
        #DW stage_out type=directory source=$DW_JOB_STRIPED/in destination=\(target)
        true

        """
    }

    /// The one buffer's own folder, whoever has it mounted.
    var buffer: String { folder("pool/buffers/\(Folders.names(folder("pool/buffers")).first ?? "none")") }

    func mounted(_ token: String) -> String { folder("state/mnt/\(token)_striped_scratch/") }
}

enum Folders {
    static func names(_ path: String) -> [String] {
        guard let stream = opendir(path) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }
}
