internal import Glibc

/// The driver's queue: many write, one thread reads and sleeps while there is nothing.
///
/// Answers of hooks and steps are always taken: there are only so many under way. Clients' questions have a limit,
/// beyond
/// which they stay where they are.
final class Inbox<Item: Sendable>: @unchecked Sendable {
    // Guarded by `lock`.
    private var items: [Item] = []
    private var questions: [Item] = []
    private var questionBytes = 0
    private var isFull = false
    private var isClosed = false
    private let lock: UnsafeMutablePointer<pthread_mutex_t>
    private let arrival: UnsafeMutablePointer<pthread_cond_t>

    init() {
        lock = .allocate(capacity: 1)
        arrival = .allocate(capacity: 1)
        lock.initialize(to: pthread_mutex_t())
        arrival.initialize(to: pthread_cond_t())
        pthread_mutex_init(lock, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(arrival, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(arrival)
        pthread_mutex_destroy(lock)
        arrival.deallocate()
        lock.deallocate()
    }

    /// Puts in what must not be lost.
    /// - Parameter behindQuestions: it must not overtake the questions that are there.
    func add(_ item: Item, behindQuestions: Bool = false) {
        pthread_mutex_lock(lock)
        if !isClosed, behindQuestions { questions.append(item) }
        if !isClosed, !behindQuestions { items.append(item) }
        pthread_cond_signal(arrival)
        pthread_mutex_unlock(lock)
    }

    /// Puts in a question of a client; false where it has to wait outside.
    func offer(_ item: Item, bytes: Int) -> Bool {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        guard !isClosed else { return true }
        let fits =
            questions.count < DaemonLimits.questionsWaitingMax
            && (questions.isEmpty || questionBytes + bytes <= DaemonLimits.questionBytesWaitingMax)
        guard fits else {
            isFull = true
            return false
        }
        questions.append(item)
        questionBytes += bytes
        pthread_cond_signal(arrival)
        return true
    }

    /// Takes what is there, after at most so many milliseconds; nil: without limit. Questions come last, all of them:
    /// who asks does not wait until the answers of a thousand hooks are worked through.
    /// - Parameter most: so many besides questions.
    /// - Returns: also whether somebody was turned away since the last time and may come again.
    func take(milliseconds: Int64?, most: Int = .max) -> (items: [Item], wasFull: Bool) {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        if let milliseconds {
            var until = timespec()
            clock_gettime(CLOCK_MONOTONIC, &until)
            let nanoseconds = Int64(until.tv_nsec) + max(0, milliseconds) % 1000 * 1_000_000
            until.tv_sec += Int(max(0, milliseconds) / 1000 + nanoseconds / 1_000_000_000)
            until.tv_nsec = Int(nanoseconds % 1_000_000_000)
            while items.isEmpty, questions.isEmpty, !isClosed, pthread_cond_timedwait(arrival, lock, &until) == 0 {}
        } else {
            while items.isEmpty, questions.isEmpty, !isClosed { pthread_cond_wait(arrival, lock) }
        }
        let taken = items.prefix(most) + questions
        let wasFull = isFull
        items.removeFirst(min(most, items.count))
        questions = []
        questionBytes = 0
        isFull = false
        return (Array(taken), wasFull)
    }

    /// Nothing is taken in any more.
    func close() {
        pthread_mutex_lock(lock)
        isClosed = true
        pthread_cond_signal(arrival)
        pthread_mutex_unlock(lock)
    }
}

/// A thread of our own: Swift's shared ones, of which there are as many as processors, must not wait for disks.
enum OwnThread {
    private final class Work {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    nonisolated static func start(_ body: @escaping @Sendable () -> Void) {
        var thread = pthread_t()
        let work = Unmanaged.passRetained(Work(body))
        let status = pthread_create(
            &thread, nil,
            { pointer in
                Unmanaged<Work>.fromOpaque(pointer!).takeRetainedValue().body()
                return nil
            }, work.toOpaque())
        precondition(status == 0, "the system gives no thread: error \(status)")
        pthread_detach(thread)
    }
}
