import BurstModel

/// Times that something is due, the earliest first. What is due, the state tells: a timer that is out of date does no
/// harm.
struct StagerTimers: Sendable {
    enum Key: Hashable, Sendable {
        case session(SessionID)
        case quarantined(SessionID)
        case answer(StagerRequest)
        case teardown(StagerRequest)
    }

    private var heap: [(at: Timestamp, key: Key)] = []

    var first: Timestamp? { heap.first?.at }

    mutating func add(_ at: Timestamp, _ key: Key) {
        heap.append((at, key))
        var child = heap.count - 1
        while child > 0, case let parent = (child - 1) / 2, heap[child].at < heap[parent].at {
            heap.swapAt(child, parent)
            child = parent
        }
    }

    /// Takes the earliest timer away, if its time has come.
    mutating func popDue(at now: Timestamp) -> Key? {
        guard let first = heap.first, first.at <= now else { return nil }
        let last = heap.removeLast()
        if !heap.isEmpty {
            heap[0] = last
            sink()
        }
        return first.key
    }

    private mutating func sink() {
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && heap[child].at < heap[least].at {
                least = child
            }
            guard least != parent else { return }
            heap.swapAt(parent, least)
            parent = least
        }
    }
}
