package import BurstEngine
import BurstHooks
import Synchronization

/// Whoever waits for a call's answer.
final class CallAnswers: Sendable {
    private let waiting = Mutex<[CallID: CheckedContinuation<HookAnswer, Never>]>([:])

    func wait(for call: CallID, _ continuation: CheckedContinuation<HookAnswer, Never>) {
        waiting.withLock { $0[call] = continuation }
    }

    func came(_ call: CallID, _ answer: HookAnswer) {
        waiting.withLock { $0.removeValue(forKey: call) }?.resume(returning: answer)
    }
}

/// The hooks of `burst_buffer.lua` behind the driver's door.
package final class LuaCalls: Hooks {
    private let runner: LuaHooks
    private let answers: CallAnswers
    private let script: String
    private let cluster: String

    /// - Parameters:
    ///   - script: `burst_buffer.lua`, read anew for each call.
    ///   - scriptd: the path of burst-scriptd; nil: beside this program.
    ///   - record: a file that names the burst-scriptd that runs; see `LuaHooks`.
    package init(
        script: String, cluster: String, scriptd: String?, record: String? = nil,
        log: @escaping @Sendable (HookLogLine) -> Void
    ) throws(StateFault) {
        let answers = CallAnswers()
        do throws(LuaHooks.Fault) {
            runner = try LuaHooks(
                script: script, clusterName: cluster, scriptd: scriptd, record: record, log: log,
                answer: { call, answer in answers.came(call, answer) })
        } catch {
            throw StateFault(error.description)
        }
        self.answers = answers
        self.script = script
        self.cluster = cluster
    }

    package func run(_ call: HookCall) async -> HookAnswer {
        await withCheckedContinuation { continuation in
            answers.wait(for: call.id, continuation)
            runner.start(call)
        }
    }

    package func kill(_ call: CallID) { runner.kill(call) }
    package func check() async -> String? { Self.fault(script: script, cluster: cluster) }
    package func readPools(_ document: String) -> PoolsReading { PoolsDocument.read(document) }
    package func stop() async { await runner.stop() }

    /// Why the script cannot be used: a missing function refuses the start, as in Slurm 26.05.
    package static func fault(script: String, cluster: String) -> String? {
        let lines = LuaHooks.check(script: script, clusterName: cluster)
        guard !lines.isEmpty else { return nil }
        let text = lines.joined(separator: "; ")
        return text.hasPrefix(script) ? text : "\(script): \(text)"
    }
}

/// No plugin is configured: the engine calls nothing.
package struct NoHooks: Hooks {
    package init() {}

    package func run(_ call: HookCall) async -> HookAnswer { HookAnswer(end: .broken("no plugin is configured")) }
    package func kill(_ call: CallID) {}
    package func check() async -> String? { nil }
    package func readPools(_ document: String) -> PoolsReading { PoolsReading() }
    package func stop() async {}
}
