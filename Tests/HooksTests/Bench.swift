import BurstEngine
import BurstHooks
import BurstTestSupport
import Glibc
import Synchronization
import Testing

/// Hooks with a script of the test's own, and the answers that came.
final class Bench: Sendable {
    let folder: TemporaryFolder
    let hooks: LuaHooks
    private let state: Collected
    private let ids = Mutex<UInt64>(0)

    private final class Collected: Sendable {
        let answers = Mutex<[CallID: [HookAnswer]]>([:])
        let log = Mutex<[HookLogLine]>([])
    }

    /// All thirteen functions return SUCCESS; `body` follows and defines those that matter.
    static func script(_ body: String) -> String {
        HookFunction.ofLua.map { "function \($0.rawValue)() return slurm.SUCCESS end\n" }.joined() + body
    }

    init(_ body: String, limits: HookLimits = HookLimits(), scriptd: String? = nil) throws {
        folder = try TemporaryFolder("burst-hooks")
        folder.write(Self.script(body), to: "burst_buffer.lua")
        let collected = Collected()
        state = collected
        hooks = try LuaHooks(
            script: folder("burst_buffer.lua"), clusterName: "ref", scriptd: scriptd ?? Self.scriptd, limits: limits,
            log: { line in collected.log.withLock { $0.append(line) } },
            answer: { id, answer in collected.answers.withLock { $0[id, default: []].append(answer) } })
    }

    var script: String { folder("burst_buffer.lua") }
    var log: [HookLogLine] { state.log.withLock { $0 } }
    var answered: Int { state.answers.withLock { $0.count } }

    /// Runs `body` and stops the hooks, also where it throws.
    static func run(
        _ script: String, limits: HookLimits = HookLimits(), _ body: (Bench) async throws -> Void
    ) async throws {
        let bench = try Bench(script, limits: limits)
        do {
            try await body(bench)
        } catch {
            await bench.hooks.stop()
            throw error
        }
        await bench.hooks.stop()
    }

    func start(
        _ function: HookFunction, _ arguments: [String] = [], jobInfo: [String: JobInfoValue]? = nil,
        limit: UInt32? = nil
    ) -> CallID {
        let id = CallID(
            ids.withLock {
                $0 += 1
                return $0
            })
        hooks.start(
            HookCall(id: id, function: function, arguments: arguments, jobInfo: jobInfo, limitSeconds: limit))
        return id
    }

    func answer(of id: CallID, seconds: Double = 60) async throws -> HookAnswer {
        _ = await eventually(seconds: seconds) { self.answers(of: id).isEmpty == false }
        return try #require(answers(of: id).first, "no answer to call \(id)")
    }

    func answers(of id: CallID) -> [HookAnswer] { state.answers.withLock { $0[id] ?? [] } }

    func call(
        _ function: HookFunction, _ arguments: [String] = [], jobInfo: [String: JobInfoValue]? = nil,
        limit: UInt32? = nil
    ) async throws -> HookAnswer {
        try await answer(of: start(function, arguments, jobInfo: jobInfo, limit: limit))
    }

    /// How the call ended; broken where no answer came.
    func end(
        _ function: HookFunction, _ arguments: [String] = [], jobInfo: [String: JobInfoValue]? = nil,
        limit: UInt32? = nil
    ) async -> HookAnswer.End {
        (try? await call(function, arguments, jobInfo: jobInfo, limit: limit).end) ?? .broken("no answer came")
    }

    func end(of id: CallID) async -> HookAnswer.End {
        (try? await answer(of: id).end) ?? .broken("no answer came")
    }

    static let scriptd = Programs.path(of: "burst-scriptd")
}

/// Processes as /proc shows them.
enum Processes {
    /// Those with `text` in their environment.
    static func marked(_ text: String) -> [Int32] {
        all().filter { pid in
            guard let bytes = read("/proc/\(pid)/environ") else { return false }
            return String(decoding: bytes, as: UTF8.self).contains(text)
        }
    }

    /// The children of a process, zombies left out.
    static func children(of parent: Int32) -> [Int32] {
        all().filter { pid in
            guard let bytes = read("/proc/\(pid)/stat") else { return false }
            let text = String(decoding: bytes, as: UTF8.self)
            let rest = text[(text.lastIndex(of: ")") ?? text.startIndex)...].split(separator: " ")
            return rest.count > 2 && rest[1] != "Z" && rest[2] == "\(parent)"
        }
    }

    static func lives(_ pid: Int32) -> Bool {
        guard let bytes = read("/proc/\(pid)/stat") else { return false }
        let text = String(decoding: bytes, as: UTF8.self)
        return text[(text.lastIndex(of: ")") ?? text.startIndex)...].dropFirst(2).first != "Z"
    }

    private static func all() -> [Int32] {
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

    private static func read(_ path: String) -> [UInt8]? {
        let file = open(path, O_RDONLY)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while case let count = Glibc.read(file, &buffer, buffer.count), count > 0 { bytes += buffer[0..<count] }
        return bytes
    }
}
