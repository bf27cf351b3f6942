package import BurstEngine
import CLuaGlue
import Glibc

/// Runs the functions of `burst_buffer.lua` as Slurm 26.05 does (spec §4): pools, job_process and paths in this
/// process, on a thread of their own, all others in children of burst-scriptd.
package final class LuaHooks: HookRunner {
    private let inProcess: InProcessHooks
    private let children: ScriptDaemon

    /// Why no hooks can be run.
    package struct Fault: Error, CustomStringConvertible {
        package let description: String
    }

    /// Starts burst-scriptd. `stop` has to be called before the value is given up.
    /// - Parameters:
    ///   - script: The path of `burst_buffer.lua`, which is read anew for each call.
    ///   - clusterName: What `slurm.CLUSTER_NAME` says.
    ///   - scriptd: The path of burst-scriptd; nil: it lies beside the running program.
    ///   - record: A file that names what runs, so that the next life ends what a kill of this one leaves; nil: none.
    ///   - log: Takes what is not part of an answer: a call that runs for long, burst-scriptd's death. On any thread.
    ///   - answer: Takes each call's answer, once. On a thread of the runner's; it must not wait for the runner.
    /// - Throws: `Fault` where burst-scriptd is not there.
    package init(
        script: String, clusterName: String, scriptd: String? = nil, record: String? = nil,
        limits: HookLimits = HookLimits(),
        log: @escaping @Sendable (HookLogLine) -> Void, answer: @escaping @Sendable (CallID, HookAnswer) -> Void
    ) throws(Fault) {
        let path = scriptd ?? Self.besideProgram()
        guard access(path, X_OK) == 0 else {
            let why = String(cString: strerror(errno))
            throw Fault(description: "\(path): \(why): install burst-scriptd there, beside burstd")
        }
        inProcess = InProcessHooks(script: script, cluster: clusterName, limits: limits, log: log, answer: answer)
        children = ScriptDaemon(
            path: path, script: script, cluster: clusterName, limits: limits, record: record, log: log,
            answer: answer)
    }

    package func start(_ call: HookCall) {
        if call.function.runsInProcess { inProcess.start(call) } else { children.start(call) }
    }

    /// A call in this process is ended as soon as Lua code runs; a C function that it called, such as `string.find`, is
    /// waited for.
    package func kill(_ id: CallID) {
        inProcess.kill(id)
        children.kill(id)
    }

    package func stop() async {
        async let first: Void = inProcess.stop()
        async let second: Void = children.stop()
        _ = await (first, second)
    }

    /// The process id of the burst-scriptd that runs.
    package var scriptdPID: Int32? { children.pid }

    /// What is wrong with the script, one line each, as Slurm 26.05 says it behind `burst_buffer/lua: ` before it
    /// refuses to start. Runs the script's top level, on this thread; empty where nothing is wrong.
    package static func check(script: String, clusterName: String = "") -> [String] {
        let call = HookCall(id: CallID(0), function: .pools, arguments: [])
        let frame = HookFrame.call(
            call, script: script, cluster: clusterName, memoryMax: UInt64(HookLimits().inProcessMemoryBytes),
            function: "")
        let answer = HookAnswer.made(of: frame, stop: nil)
        guard case .broken(let why) = answer.end else { return [] }
        // Lines of the script's own begin with "lua: ".
        let missing = answer.log.filter { $0.level == .error && !$0.text.hasPrefix("lua: ") }
        return missing.map(\.text) + [why]
    }

    private static func besideProgram() -> String {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink("/proc/self/exe", &buffer, buffer.count)
        let bytes = buffer.prefix(max(count, 0)).map { UInt8(bitPattern: $0) }
        let folder = bytes.lastIndex(of: UInt8(ascii: "/")).map { bytes[...$0] } ?? []
        return String(decoding: folder, as: UTF8.self) + "burst-scriptd"
    }
}
