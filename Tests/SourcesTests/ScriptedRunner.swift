import BurstModel
import BurstSources
import BurstTestSupport
import Synchronization

/// Answers calls by a script and counts what it is asked.
final class ScriptedRunner: CommandRunner {
    enum Answer: Sendable {
        case text([UInt8])
        case failure(String)
        /// Until the task is cancelled or the time limit is over.
        case hang
        /// Until it is let go.
        case held
    }

    private struct State {
        var asked: [[String]] = []
        var inFlight = 0
        var mostInFlight = 0
        var unexpected: [[String]] = []
        var stopped = 0
        var isLetGo = false
        var answers: [[String]: Answer]
    }

    private let state: Mutex<State>
    private let clock: SourceClock

    init(_ answers: [[String]: Answer], clock: SourceClock) {
        state = Mutex(State(answers: answers))
        self.clock = clock
    }

    var asked: [[String]] { state.withLock { $0.asked } }
    var mostInFlight: Int { state.withLock { $0.mostInFlight } }
    var unexpected: [[String]] { state.withLock { $0.unexpected } }
    func answer(_ call: Call, _ answer: Answer) { state.withLock { $0.answers[call.arguments()] = answer } }
    func script(_ call: Call) -> Answer {
        state.withLock { $0.answers[call.arguments()] ?? .failure("not in the script") }
    }
    /// Calls that hung when their task was cancelled.
    var stopped: Int { state.withLock { $0.stopped } }
    func letGo() { state.withLock { $0.isLetGo = true } }
    func count(_ call: Call) -> Int { asked.count { $0 == call.arguments() } }

    func run(_ arguments: [String], timeoutSeconds: Int) async -> CommandRun {
        let startedAt = clock.now()
        let answer: Answer? = state.withLock { state in
            state.asked.append(arguments)
            state.inFlight += 1
            state.mostInFlight = max(state.mostInFlight, state.inFlight)
            if state.answers[arguments] == nil { state.unexpected.append(arguments) }
            return state.answers[arguments]
        }
        let result: CommandResult
        switch answer {
        case .text(let text): result = CommandResult(end: .exit(0), output: text)
        case .failure(let why): result = CommandResult(end: .exit(1), errors: Array((why + "\n").utf8))
        case .hang:
            let slept: Void? = try? await clock.sleep(Int64(timeoutSeconds) * 1000)
            if slept == nil { state.withLock { $0.stopped += 1 } }
            result = CommandResult(end: slept == nil ? .failed("\(arguments[0]) was stopped") : .timedOut)
        case .held:
            _ = await eventually { state.withLock { $0.isLetGo } }
            result = CommandResult(end: .exit(0))
        case nil: result = CommandResult(end: .failed("not in the script"))
        }
        state.withLock { $0.inFlight -= 1 }
        let milliseconds = clock.now().milliseconds - startedAt.milliseconds
        // Real work would look slow on a clock that runs fast.
        return CommandRun(result, startedAt: startedAt, durationMilliseconds: answer.isHang ? milliseconds : 5)
    }

    /// What a quiet lua site answers.
    static func site(_ buffers: Int = 3, clock: SourceClock) -> ScriptedRunner {
        let rows = (1...max(1, buffers)).prefix(buffers).map {
            "    JobID=\($0) Account=bio Partition=work QOS=normal Pool=nvme Size=1GiB State=allocated "
                + "CreateTime=2026-11-23T22:29:42 UserID=alice(1001)\n"
        }
        let text =
            "Name=lua DefaultPool=(null) Granularity=1 TotalSpace=0 FreeSpace=0 UsedSpace=0\n"
            + "  PoolName[0]=nvme Granularity=1GiB TotalSpace=8TiB FreeSpace=8TiB UsedSpace=\(buffers)GiB\n"
            + "  Flags=DisablePersistent\n  StageInTimeout=60 StageOutTimeout=60 ValidateTimeout=5 OtherTimeout=40\n"
            + (buffers > 0 ? "  Allocated Buffers:\n" + rows.joined() : "")
        let answers: [[String]: Answer] = [
            Call.burst.arguments(): .text(Array(text.utf8)),
            Call.jobs.arguments(): .text([]),
            Call.config.arguments(): .text(Array("ClusterName = alps\nSLURM_VERSION = 22.05.8\n".utf8)),
            Call.reservations.arguments(): .text(Array("No reservations in the system\n".utf8)),
        ]
        return ScriptedRunner(answers, clock: clock)
    }
}

extension ScriptedRunner.Answer? {
    fileprivate var isHang: Bool { if case .hang = self { true } else { false } }
}

extension SourceClock {
    /// Runs so many times as fast as a real one.
    static func fast(_ times: Int) -> SourceClock {
        let start = ContinuousClock().now
        @Sendable func elapsed() -> Int64 {
            let (seconds, attoseconds) = (ContinuousClock().now - start).components
            return (seconds * 1_000_000 + attoseconds / 1_000_000_000_000) * Int64(times) / 1000
        }
        return SourceClock(
            now: { Timestamp(milliseconds: 1_790_000_000_000 + elapsed()) }, monotonicMilliseconds: elapsed,
            sleep: { try await sleepForClock(microseconds: $0 * 1000 / Int64(times)) })
    }
}
