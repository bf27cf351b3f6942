import BurstModel
import Glibc
import Subprocess
import Synchronization
import SystemPackage

/// Runs commands as children: each in a session of its own, ended with all that it started.
///
/// swift-subprocess offers no hook between fork and exec, so a child does not die with us by itself; whoever stops a
/// source
/// ends its child.
package struct SubprocessRunner: CommandRunner {
    /// What a command may print before it is ended.
    package static let outputBytesMax = 256 << 20
    package static let errorBytesMax = 1 << 20
    /// Between the request to end and the order.
    package static let graceMilliseconds = 200

    private let environment: [String: String]
    private let outputMax: Int
    private let clock: SourceClock

    /// - Parameter environment: ours; what changes Slurm's output is taken out.
    package init(
        environment: [String: String], outputMax: Int = SubprocessRunner.outputBytesMax, clock: SourceClock = .system
    ) {
        self.environment = Self.clean(environment)
        self.outputMax = outputMax
        self.clock = clock
    }

    /// The environment in which Slurm's commands print what the parsers read: no format, filter or sort of the user's.
    package static func clean(_ environment: [String: String]) -> [String: String] {
        var clean = environment.filter { name, _ in
            name != "SLURM_TIME_FORMAT" && !name.hasPrefix("SQUEUE_") && !name.hasPrefix("SCANCEL_")
                && !name.hasPrefix("LC_") && name != "LANGUAGE"
        }
        clean["LC_ALL"] = "C.UTF-8"
        // Lists of array tasks are cut at 64 bytes otherwise.
        clean["SLURM_BITSTR_LEN"] = "0"
        return clean
    }

    package func run(_ arguments: [String], timeoutSeconds: Int) async -> CommandRun {
        let startedAt = clock.now()
        let start = clock.monotonicMilliseconds()
        let result = await result(arguments, timeoutSeconds: timeoutSeconds)
        return CommandRun(
            result, startedAt: startedAt, durationMilliseconds: max(0, clock.monotonicMilliseconds() - start))
    }

    private func result(_ arguments: [String], timeoutSeconds: Int) async -> CommandResult {
        guard let program = arguments.first, !program.isEmpty else {
            return CommandResult(end: .failed("no command was given"))
        }
        let child = Child()
        let ender = Task {
            try await Task.sleep(for: .seconds(timeoutSeconds))
            await child.end(because: .time)
        }
        defer { ender.cancel() }
        return await withTaskCancellationHandler {
            await spawned(program, arguments, child)
        } onCancel: {
            Task { await child.end(because: .wish) }
        }
    }

    private func spawned(_ program: String, _ arguments: [String], _ child: Child) async -> CommandResult {
        var options = PlatformOptions()
        options.createSession = true
        options.teardownSequence = [
            .send(
                signal: .terminate, toProcessGroup: true,
                allowedDurationToNextStep: .milliseconds(Self.graceMilliseconds))
        ]
        let output = Collected(limit: outputMax)
        let errors = Collected(limit: Self.errorBytesMax)
        let custom = Dictionary(
            uniqueKeysWithValues: environment.compactMap { name, value in
                Environment.Key(rawValue: name).map { ($0, value) }
            })
        do {
            let end = try await Subprocess.run(
                program.contains("/") ? .path(FilePath(program)) : .name(program),
                arguments: Arguments(Array(arguments.dropFirst())), environment: .custom(custom),
                platformOptions: options, input: .none, output: .sequence, error: .sequence
            ) { execution in
                await child.began(execution.processIdentifier.value)
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { try await errors.take(execution.standardError) }
                    try await output.take(execution.standardOutput)
                    try await group.waitForAll()
                }
            }
            await child.ended()
            let (text, errorText) = (output.bytes, errors.bytes)
            switch await child.reason {
            case .time: return CommandResult(end: .timedOut, output: text, errors: errorText)
            case .wish: return CommandResult(end: .failed("\(program) was stopped"), output: text, errors: errorText)
            case nil: break
            }
            switch end.terminationStatus {
            case .exited(let status): return CommandResult(end: .exit(status), output: text, errors: errorText)
            case .signaled(let signal): return CommandResult(end: .signal(signal), output: text, errors: errorText)
            }
        } catch {
            await child.ended()
            switch await child.reason {
            case .time: return CommandResult(end: .timedOut)
            case .wish: return CommandResult(end: .failed("\(program) was stopped"))
            case nil: break
            }
            if error is TooMuch {
                return CommandResult(end: .failed("\(program) printed more than \(Self.size(outputMax)) and was ended"))
            }
            if let error = error as? SubprocessError, error.code == .executableNotFound {
                return CommandResult(end: .failed("\(program): not found"))
            }
            return CommandResult(end: .failed("\(program): \(error)"))
        }
    }

    private static func size(_ bytes: Int) -> String {
        bytes >= 1 << 20 ? "\(bytes >> 20) MiB" : "\(bytes >> 10) KiB"
    }
}

/// A command printed more than it may.
private struct TooMuch: Error {}

/// What a stream gave so far.
private final class Collected: Sendable {
    private let limit: Int
    private let store = Mutex<[UInt8]>([])

    init(limit: Int) { self.limit = limit }

    var bytes: [UInt8] { store.withLock { $0 } }

    func take(_ stream: SubprocessOutputSequence) async throws {
        for try await buffer in stream {
            let fits = store.withLock { bytes in
                buffer.withUnsafeBytes { bytes.append(contentsOf: $0) }
                return bytes.count <= limit
            }
            if !fits { throw TooMuch() }
        }
    }
}

/// A running child, to end it with its whole group.
private actor Child {
    enum Reason { case time, wish }

    private(set) var reason: Reason?
    private var group: pid_t?
    private var isOver = false

    func began(_ id: pid_t) {
        group = id
        // The wish may have come before the child did.
        if reason != nil { Task { await signal() } }
    }

    func end(because why: Reason) async {
        guard reason == nil, !isOver else { return }
        reason = why
        await signal()
    }

    private func signal() async {
        guard let group, group > 1, !isOver else { return }
        kill(-group, SIGTERM)
        try? await Task.sleep(for: .milliseconds(SubprocessRunner.graceMilliseconds))
        if !isOver { kill(-group, SIGKILL) }
    }

    /// The child is gone; what it left behind in its group goes too.
    func ended() {
        guard !isOver else { return }
        isOver = true
        if let group, group > 1 { kill(-group, SIGKILL) }
    }
}
