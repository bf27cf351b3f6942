/// Keeps all threads together within a rate, which can change while they run (staging.md §4.4).
///
/// Each taker reserves the next stretch of time and waits for its turn, so that the sum is exact over any second.
final class Throttle: Sendable {
    private struct State {
        var rate: StageOrder.Rate
        /// When the next byte, the next file may go, nanoseconds.
        var nextByte: Int64 = 0
        var nextFile: Int64 = 0
        var isStopped = false
        /// Counts changes of the rate: who waits looks again.
        var version = 0
    }

    private let state: Guarded<State>
    /// Unused time up to this is made up for, nanoseconds.
    private static let slack: Int64 = 50_000_000

    init(_ rate: StageOrder.Rate) { state = Guarded(State(rate: rate)) }

    var rate: StageOrder.Rate { state.with { $0.rate } }

    func set(_ rate: StageOrder.Rate) {
        state.change { state in
            state.rate = rate
            state.nextByte = 0
            state.nextFile = 0
            state.version += 1
        }
    }

    /// Lets all waiting threads go; nobody waits from now on.
    func stop() { state.change { $0.isStopped = true } }

    /// How many bytes to move at once, so that a change of the rate is felt soon: a tenth of a second's.
    func piece(_ most: Int) -> Int {
        guard let rate = state.with({ $0.rate.bytesPerSecond }), rate > 0 else { return most }
        return min(most, max(4096, Int(clamping: rate / 10) & ~4095))
    }

    func takeFile() { take(\.filesPerSecond, \.nextFile, 1) }

    func takeBytes(_ count: Int) { take(\.bytesPerSecond, \.nextByte, Int64(count)) }

    private func take(
        _ limit: KeyPath<StageOrder.Rate, UInt64?>, _ next: WritableKeyPath<State, Int64>, _ count: Int64
    ) {
        while true {
            let turn: (at: Int64, version: Int)? = state.wait { state in
                guard !state.isStopped, let rate = state.rate[keyPath: limit] else { return (0, -1) }
                // Paused: wait for a change.
                guard rate > 0 else { return nil }
                let time = now()
                let begin = max(state[keyPath: next], time - Self.slack)
                let length = Double(count) / Double(rate) * 1e9
                state[keyPath: next] = begin + Int64(min(length, 1e18))
                return (state[keyPath: next], state.version)
            }
            guard let turn, turn.version >= 0 else { return }
            let hasChanged = state.wait(until: turn.at) { state -> Bool? in
                state.isStopped || state.version != turn.version ? true : nil
            }
            if hasChanged == nil { return }
        }
    }
}
