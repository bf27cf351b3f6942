import CSys
import Synchronization

/// Does things for many, each in order for whom it is done, and side by side for others: what one session wants of a
/// pool waits for what it wanted before, and for nobody else's.
final class Lanes<Key: Hashable & Sendable>: Sendable {
    private struct State {
        /// Whose turn has come, and what is to be done for them behind that. A key stands here while something of it
        /// is under way.
        var lanes: [Key: [@Sendable () -> Void]] = [:]
        var running = 0
        var waiting: [(Key, @Sendable () -> Void)] = []
        var first = 0
        var isClosed = false
    }

    private let threadsMax: Int
    private let isBackground: Bool
    private let state = Mutex(State())
    private let idle = Gate()

    /// - Parameters:
    ///   - threadsMax: so many at once.
    ///   - isBackground: gives way to everybody else.
    init(threadsMax: Int, isBackground: Bool = false) {
        self.threadsMax = threadsMax
        self.isBackground = isBackground
    }

    /// Never waits.
    func add(_ key: Key, _ order: @escaping @Sendable () -> Void) {
        let isNew = state.withLock { state -> Bool in
            guard !state.isClosed else { return false }
            if state.lanes[key] != nil {
                state.lanes[key]?.append(order)
                return false
            }
            state.lanes[key] = []
            guard state.running < threadsMax else {
                state.waiting.append((key, order))
                return false
            }
            state.running += 1
            return true
        }
        guard isNew else { return }
        OwnThread.start { [self] in
            if isBackground { bb_low_priority() }
            var next: (Key, @Sendable () -> Void)? = (key, order)
            while let (key, order) = next {
                order()
                next = after(key)
            }
        }
    }

    /// What the thread does next, after something for the key; nil: it ends.
    private func after(_ key: Key) -> (Key, @Sendable () -> Void)? {
        let (next, isLast) = state.withLock { state -> ((Key, @Sendable () -> Void)?, Bool) in
            if var lane = state.lanes[key], !lane.isEmpty, !state.isClosed {
                let order = lane.removeFirst()
                state.lanes[key] = lane
                // Others first: they have waited longer.
                state.waiting.append((key, order))
            } else {
                state.lanes[key] = nil
            }
            if state.first < state.waiting.count, !state.isClosed {
                let next = state.waiting[state.first]
                state.first += 1
                // What is done must not be kept; and what is taken from the front moves all that is behind.
                if state.first == state.waiting.count || state.first > 1024 {
                    state.waiting.removeFirst(state.first)
                    state.first = 0
                }
                return (next, false)
            }
            state.running -= 1
            return (nil, state.running == 0 && state.isClosed)
        }
        if isLast { idle.open() }
        return next
    }

    /// Takes nothing more, forgets what waits, and returns when what is under way is over.
    func close() async {
        let isIdle = state.withLock { state in
            state.isClosed = true
            state.waiting = []
            state.first = 0
            return state.running == 0
        }
        if isIdle { return }
        await idle.wait()
    }
}
