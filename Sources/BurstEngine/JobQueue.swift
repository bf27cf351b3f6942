import BurstModel

/// Waiting jobs in the order in which they are considered: priority, then age; tasks of an array one after the other.
struct JobQueue: Sendable {
    struct Key: Hashable, Comparable, Sendable {
        /// Of two, that with the higher priority comes first.
        var priority: UInt32
        /// The array's, or its own.
        var number: UInt32
        /// Tasks that are not split off come last.
        var task: UInt32
        var id: UInt32

        init(_ job: EngineJob) {
            priority = job.priority
            (number, task) = job.place
            id = job.id
        }

        static func < (left: Key, right: Key) -> Bool {
            left.priority != right.priority
                ? left.priority > right.priority
                : (left.number, left.task, left.id) < (right.number, right.task, right.id)
        }
    }

    private(set) var keys: [Key] = []

    var count: Int { keys.count }

    /// Where the key is or would be.
    private func place(_ key: Key) -> Int {
        var low = 0
        var high = keys.count
        // New jobs mostly come last.
        if let last = keys.last, last < key { return high }
        while low < high {
            let middle = (low + high) / 2
            if keys[middle] < key { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// Where the jobs behind this one begin, whether it is still there or not.
    func index(after key: Key) -> Int {
        let place = place(key)
        return place < keys.count && keys[place] == key ? place + 1 : place
    }

    mutating func insert(_ job: EngineJob) {
        let key = Key(job)
        let place = place(key)
        if place < keys.count, keys[place] == key { return }
        keys.insert(key, at: place)
    }

    mutating func remove(_ key: Key) {
        let place = place(key)
        if place < keys.count, keys[place] == key { keys.remove(at: place) }
    }
}

extension EngineJob {
    /// Among jobs of one priority: the array's id or its own, and the task.
    var place: (number: UInt32, task: UInt32) {
        arrayJobID == 0 ? (id, 0) : (arrayJobID, arrayTaskID ?? UInt32.max)
    }
}

/// Times at which jobs want to be looked at. An entry may be out of date: who is woken looks for himself.
struct TimerHeap: Sendable {
    private struct Entry: Comparable {
        var at: Timestamp
        var job: UInt32

        static func < (left: Entry, right: Entry) -> Bool {
            left.at != right.at ? left.at < right.at : left.job < right.job
        }
    }

    private var entries: [Entry] = []

    var first: Timestamp? { entries.first?.at }

    mutating func add(_ at: Timestamp, job: UInt32) {
        entries.append(Entry(at: at, job: job))
        var child = entries.count - 1
        while child > 0, entries[child] < entries[(child - 1) / 2] {
            entries.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    mutating func popDue(at now: Timestamp) -> (at: Timestamp, job: UInt32)? {
        guard let top = entries.first, top.at <= now else { return nil }
        entries.swapAt(0, entries.count - 1)
        entries.removeLast()
        var parent = 0
        while true {
            let left = 2 * parent + 1
            guard left < entries.count else { break }
            let child = left + 1 < entries.count && entries[left + 1] < entries[left] ? left + 1 : left
            guard entries[child] < entries[parent] else { break }
            entries.swapAt(child, parent)
            parent = child
        }
        return (top.at, top.job)
    }
}
