/// What is planned and not yet taken. The plan waits when there is too much of it (staging.md §4.4, step 2).
final class WorkQueue: Sendable {
    enum Work {
        case batch(Batch)
        /// To be opened.
        case large(LargeFile)
        /// To have its next part copied.
        case part(LargeFile)
    }

    private struct State {
        /// Nil: taken, and not kept alive from here.
        var batches: [Batch?] = []
        var firstBatch = 0
        var large: [LargeFile?] = []
        var firstLarge = 0
        var active: [Active] = []
        var weight = 0
        /// Taken and not yet returned.
        var working = 0
        var onParts = 0
        var waiting = 0
        var isClosed = false
        var isStopped = false
    }

    private struct Active {
        var file: LargeFile
        var workers = 0
    }

    private let state = Guarded(State())
    private let threads: Int
    /// Memory for the part of the plan that waits.
    static let weightMax = 64 << 20
    private static let largeWeight = 400
    private static let openLargeMax = 3
    /// More threads than this wait for one file's lock rather than for the disk.
    private static let workersPerFile = 3

    init(threads: Int) { self.threads = threads }

    /// Whether a thread has nothing to do: then small batches are better than none.
    var isHungry: Bool { state.with { $0.waiting > 0 } }

    /// Waits while the queue is full. False: stopped.
    @discardableResult func push(_ batch: Batch) -> Bool {
        waitForRoom()
        return state.change { state in
            guard !state.isStopped else { return false }
            state.batches.append(batch)
            state.weight += batch.weight
            return true
        }
    }

    @discardableResult func push(_ file: LargeFile) -> Bool {
        waitForRoom()
        return state.change { state in
            guard !state.isStopped else { return false }
            state.large.append(file)
            state.weight += Self.largeWeight
            return true
        }
    }

    private func waitForRoom() {
        state.wait { $0.weight < Self.weightMax || $0.isStopped ? () : nil }
    }

    /// Nothing is pushed any more by the plan.
    func close() { state.change { $0.isClosed = true } }

    /// Nobody gets anything any more.
    func stop() { state.change { $0.isStopped = true } }

    /// It is open: its parts may be taken.
    func activate(_ file: LargeFile) { state.change { $0.active.append(Active(file: file)) } }

    /// It has no further part to take.
    func retire(_ file: LargeFile) { state.change { $0.active.removeAll { $0.file === file } } }

    /// The next work. Nil: all is done, or stopped.
    func take() -> Work? {
        state.wait { state -> Work?? in
            if state.isStopped { return .some(nil) }
            if let work = Self.next(&state, threads) {
                state.working += 1
                return .some(work)
            }
            if state.isClosed, state.working == 0, state.active.isEmpty { return .some(nil) }
            state.waiting += 1
            // Counted until it looks again.
            return nil
        }
    }

    private static func next(_ state: inout State, _ threads: Int) -> Work? {
        state.waiting = 0
        let hasBatches = state.firstBatch < state.batches.count
        let hasLarge = state.firstLarge < state.large.count
        if !hasBatches || state.onParts < max(1, threads / 2),
            let least = state.active.indices.min(by: { state.active[$0].workers < state.active[$1].workers }),
            state.active[least].workers < workersPerFile
        {
            state.onParts += 1
            state.active[least].workers += 1
            return .part(state.active[least].file)
        }
        if hasLarge, state.active.isEmpty || (!hasBatches && state.active.count < openLargeMax),
            let file = state.large[state.firstLarge]
        {
            state.large[state.firstLarge] = nil
            state.firstLarge += 1
            state.weight -= largeWeight
            return .large(file)
        }
        guard hasBatches, let batch = state.batches[state.firstBatch] else { return nil }
        state.batches[state.firstBatch] = nil
        state.firstBatch += 1
        if state.firstBatch > 256 {
            state.batches.removeFirst(state.firstBatch)
            state.firstBatch = 0
        }
        state.weight -= batch.weight
        return .batch(batch)
    }

    /// What was taken is done with.
    func done(_ work: Work) {
        state.change { state in
            state.working -= 1
            guard case .part(let file) = work else { return }
            state.onParts -= 1
            if let index = state.active.firstIndex(where: { $0.file === file }) { state.active[index].workers -= 1 }
        }
    }
}
