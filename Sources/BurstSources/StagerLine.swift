import BurstClient
import BurstModel
import BurstWire
import Synchronization

/// The stager of a `burstd` beside Slurm's commands: one connection on a thread of its own that nothing waits for.
/// Where nobody listens it is tried again ever more rarely, and nobody is told: most sites have no stager.
final class StagerLine: Sendable {
    /// Milliseconds between two tries at most.
    static let backOffMax: Int64 = 60_000
    /// Milliseconds between two pushes.
    static let pushEvery = 2_000
    /// Milliseconds between two questions whether it is there, and after which it must have answered.
    static let pingEvery: Int64 = 10_000
    static let silenceMax: Int64 = 15_000
    /// Milliseconds for the first answer, where one board is printed and no more.
    static let firstWithin: Int64 = 2_000
    private static let lookMilliseconds: Int64 = 10

    private struct State {
        var generation = 0
        /// Of the newest connection: the questions after the document, and after its life.
        var asked: UInt64?
        var pinged: UInt64?
        var pingedAt: Int64 = 0
        /// It has told a document, and its loss is news.
        var isKnown = false
    }

    private let line: EngineLine
    private let clock: SourceClock
    private let state = Mutex(State())

    init(path: String, program: String, clock: SourceClock) {
        line = EngineLine(path: path, program: program, clock: clock, backOffMax: Self.backOffMax)
        self.clock = clock
    }

    func start(onNews: @escaping @Sendable () -> Void) { line.start(onNews: onNews) }
    func stop() { line.stop() }

    /// Asks whether it is still there, when it is time.
    func beat() {
        let now = clock.monotonicMilliseconds()
        state.withLock { state in
            guard state.isKnown, state.generation > 0 else { return }
            if state.pinged != nil, now - state.pingedAt > Self.silenceMax {
                line.drop("burstd has not answered for \(Self.silenceMax / 1000) s", generation: state.generation)
            } else if state.pinged == nil, now - state.pingedAt >= Self.pingEvery {
                state.pinged = line.send(.ping, generation: state.generation)
                state.pingedAt = now
            }
        }
    }

    /// What came since the last time: documents with their text, and the loss of a stager that was known.
    func samples(zone: LocalTime.Zone) -> [(sample: Sample, body: [UInt8]?)] {
        line.take().compactMap { take($0, zone) }
    }

    private func take(_ event: EngineLine.Event, _ zone: LocalTime.Zone) -> (Sample, [UInt8]?)? {
        switch event {
        case .connected(let generation):
            var subscription = Subscription()
            subscription.burst = false
            subscription.extras = false
            subscription.calls = false
            subscription.staging = true
            subscription.intervalMilliseconds = Self.pushEvery
            state.withLock { state in
                state.generation = generation
                state.pinged = nil
                state.pingedAt = clock.monotonicMilliseconds()
                state.asked = line.send(.list(.staging), generation: generation)
            }
            _ = line.send(.subscribe(subscription), generation: generation)
            return nil
        case .message(let message, let at):
            if case .push(.staging) = message.answer { return document(message.body, at, zone) }
            guard let id = message.question else { return nil }
            let isDocument = state.withLock { state in
                if id == state.pinged { state.pinged = nil }
                return id == state.asked
            }
            if isDocument, case .body = message.answer { return document(message.body, at, zone) }
            if case .refused(_, _, let text, _) = message.answer {
                line.drop(text, generation: state.withLock { $0.generation })
            }
            return nil
        case .lost(let reason, let startedAt, _, _):
            let wasKnown = state.withLock { state in
                defer { (state.generation, state.isKnown) = (0, false) }
                return state.isKnown
            }
            guard wasKnown else { return nil }
            return (sample(CommandResult(end: .failed(reason)), startedAt, zone), nil)
        }
    }

    private func document(_ body: [UInt8], _ at: Timestamp, _ zone: LocalTime.Zone) -> (Sample, [UInt8]?) {
        state.withLock { $0.isKnown = true }
        return (sample(CommandResult(end: .exit(0), output: body), at, zone), body)
    }

    private func sample(_ result: CommandResult, _ at: Timestamp, _ zone: LocalTime.Zone) -> Sample {
        Sample.read(
            .staging, arguments: Call.staging.arguments(), result: result, startedAt: at, durationMilliseconds: 0,
            zone: zone)
    }

    /// The first document, or nil: nobody listens, or it has none, or it takes too long.
    func first(clock: SourceClock, zone: LocalTime.Zone) async -> Sample? {
        let until = clock.monotonicMilliseconds() + Self.firstWithin
        while clock.monotonicMilliseconds() < until {
            for event in line.take() {
                if let (sample, _) = take(event, zone) { return sample }
                if case .lost = event { return nil }
            }
            guard (try? await clock.sleep(Self.lookMilliseconds)) != nil else { return nil }
        }
        return nil
    }
}

/// The stager's document changes every second while a copy goes on; a recording needs fewer of them, and the last.
struct StagingRecordPace {
    /// Milliseconds between two records.
    static let every: Int64 = 10_000

    private var newest: (body: [UInt8], at: Timestamp)?
    private var recorded: Timestamp?

    mutating func took(_ body: [UInt8], at: Timestamp) { newest = (body, at) }

    /// The newest document, when it is time for it to be recorded.
    mutating func due(at now: Timestamp) -> (body: [UInt8], at: Timestamp)? {
        guard let newest, recorded.map({ abs(now.milliseconds - $0.milliseconds) >= Self.every }) ?? true else {
            return nil
        }
        self.newest = nil
        recorded = now
        return newest
    }
}
