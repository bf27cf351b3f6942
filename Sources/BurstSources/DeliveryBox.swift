import BurstModel
import Synchronization

/// Where a source leaves its newest delivery for the user's thread.
final class DeliveryBox: Sendable {
    private let state: Mutex<Delivery>
    private let prepare: @Sendable (Board) -> Void
    private let onChange: @Sendable () -> Void

    init(
        _ first: Delivery, prepare: @escaping @Sendable (Board) -> Void, onChange: @escaping @Sendable () -> Void
    ) {
        state = Mutex(first)
        self.prepare = prepare
        self.onChange = onChange
    }

    var latest: Delivery { state.withLock { $0 } }

    /// - Parameter isNew: the board's rows are not those of the delivery before.
    func deliver(_ delivery: Delivery, isNew: Bool) {
        if isNew { prepare(delivery.board) }
        state.withLock { state in
            let sequence = state.sequence + 1
            state = delivery
            state.sequence = sequence
        }
        onChange()
    }
}

/// A task that reads messages in turn, and the way to send them and to end it.
final class Mailbox<Message: Sendable>: Sendable {
    /// What stop() may take at most.
    static var stopMilliseconds: Int { 280 }

    private let stream: AsyncStream<Message>
    private let continuation: AsyncStream<Message>.Continuation
    private let state = Mutex<(loop: Task<Void, Never>?, work: Task<Void, Never>?, isStopped: Bool)>((nil, nil, false))

    init() { (stream, continuation) = AsyncStream.makeStream() }

    func send(_ message: Message) { continuation.yield(message) }

    /// Starts the reader, once.
    func start(_ body: @escaping @Sendable (AsyncStream<Message>) async -> Void) {
        state.withLock { state in
            guard state.loop == nil, !state.isStopped else { return }
            let stream = stream
            state.loop = Task { await body(stream) }
        }
    }

    /// The work that stop() ends.
    func work(_ task: Task<Void, Never>) {
        let isLate = state.withLock { state in
            state.work = task
            return state.isStopped
        }
        if isLate { task.cancel() }
    }

    var isStopped: Bool { state.withLock { $0.isStopped } }

    /// Ends the stream and the work under way; waits for the reader, but not for ever.
    func stop() async {
        let (loop, work) = state.withLock { state in
            state.isStopped = true
            return (state.loop, state.work)
        }
        continuation.finish()
        work?.cancel()
        let (ends, end) = AsyncStream<Void>.makeStream()
        Task {
            await work?.value
            await loop?.value
            end.finish()
        }
        let limit = Task {
            try? await Task.sleep(for: .milliseconds(Self.stopMilliseconds))
            end.finish()
        }
        for await _ in ends {}
        limit.cancel()
    }
}
