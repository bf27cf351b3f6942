import BurstSteps
import BurstTestSupport
import Glibc
import Synchronization

/// A runner with folders of its own, and what its steps left.
final class Bench: Sendable {
    /// Whose scripts run: bbalice or nobody where the tests run as root, else ourselves.
    struct Owner {
        var uid: UInt32
        var gid: UInt32
        var name: String

        static let isRoot = geteuid() == 0

        static let current: Owner = {
            if !isRoot, let own = getpwuid(geteuid()) { return Owner(own) }
            guard let other = getpwnam("bbalice") ?? getpwnam("nobody") else { fatalError("no user to run scripts") }
            return Owner(other)
        }()

        private init(_ entry: UnsafeMutablePointer<passwd>) {
            uid = entry.pointee.pw_uid
            gid = entry.pointee.pw_gid
            name = String(cString: entry.pointee.pw_name)
        }
    }

    let folder: TemporaryFolder
    let runner: ProcessSteps
    private let ends = Mutex<[UInt32: [StepEnd]]>([:])

    init() throws {
        folder = try TemporaryFolder("burst-steps", openToOthers: true)
        mkdir(folder("jobs"), 0o700)
        mkdir(folder("home"), 0o777)
        chmod(folder("home"), 0o777)
        runner = try ProcessSteps(program: Programs.path(of: "burst-stepd"), spool: folder("spool"))
        let endings = runner.endings
        Task { [weak self] in
            for await ending in endings {
                guard let self else { return }
                ends.withLock { $0[ending.jobID, default: []].append(ending.end) }
            }
        }
    }

    deinit {
        runner.stop()
        for pid in marked() { kill(pid, SIGKILL) }
    }

    func order(_ script: String, jobID: UInt32 = 1) -> StepOrder {
        StepOrder(
            jobID: jobID, uid: Owner.current.uid, gid: Owner.current.gid, userName: Owner.current.name,
            workDir: folder("home"), script: .text(Array(script.utf8)), stdout: folder("home/\(jobID).out"),
            environment: ["PATH=/usr/bin:/bin", "BURST_TEST=\(folder.path)"], killWaitSeconds: 1,
            folder: folder("jobs/\(jobID)"))
    }

    /// Runs a script to its end.
    func run(_ order: StepOrder) async throws -> StepEnd? {
        try runner.start(order)
        return await end(order.jobID)
    }

    func run(_ script: String) async throws -> StepEnd? { try await run(order(script)) }

    /// The ending of a job's step: waited for, and the only one.
    func end(_ jobID: UInt32 = 1, seconds: Double = Wait.hangSeconds) async -> StepEnd? {
        guard await eventually(seconds: seconds, { !all(jobID).isEmpty }) else { return nil }
        return all(jobID).count == 1 ? all(jobID)[0] : nil
    }

    func all(_ jobID: UInt32) -> [StepEnd] { ends.withLock { $0[jobID] ?? [] } }

    func forget(_ jobID: UInt32) { ends.withLock { $0[jobID] = nil } }

    func output(_ jobID: UInt32 = 1) -> String { folder.text(of: "home/\(jobID).out") }

    /// The script has got so far as to say this.
    func said(_ text: String, _ jobID: UInt32 = 1) async -> Bool { await eventually { output(jobID).contains(text) } }

    /// Live processes that carry this bench's mark in their environment: scripts and all that they started.
    func marked() -> [Int32] {
        let mark = Array("BURST_TEST=\(folder.path)".utf8)
        guard let stream = opendir("/proc") else { return [] }
        defer { closedir(stream) }
        var found: [Int32] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard let pid = Int32(name), Processes.isAlive(pid) else { continue }
            let variables = Self.bytes(of: "/proc/\(pid)/environ").split(separator: 0)
            if variables.contains(where: { $0.elementsEqual(mark) }) { found.append(pid) }
        }
        return found
    }

    private static func bytes(of path: String) -> [UInt8] {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return [] }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: 65536)
        return Array(bytes[..<max(0, read(file, &bytes, bytes.count))])
    }

    /// The burst-stepd of a job, from its file `step`.
    func keeper(_ jobID: UInt32 = 1) -> Int32? {
        folder.text(of: "jobs/\(jobID)/step").split(separator: "\n").first { $0.hasPrefix("pid=") }
            .flatMap { Int32($0.dropFirst(4)) }
    }
}

extension StepEnd {
    /// Exit code and signal as Slurm prints them: `3:0`; else what became of it.
    var text: String {
        switch self {
        case .ended(let result): "\(result.exitCode):\(result.signal)"
        case .lost: "lost"
        case .couldNotStart(let why): why
        }
    }
}
