import Glibc

/// Threads of our own: what runs on them may block for as long as it likes.
enum HookThread {
    private final class Body {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    /// Bytes of stack: Lua's own C calls are nested at most 200 deep.
    private static let stackBytes = 8 << 20

    /// - Parameter takesSignals: Whether signals may arrive on it, as on the thread that calls; what it starts has the
    ///   same mask.
    static func start(takesSignals: Bool, _ run: @escaping @Sendable () -> Void) {
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        pthread_attr_setstacksize(&attributes, stackBytes)
        pthread_attr_setdetachstate(&attributes, CInt(PTHREAD_CREATE_DETACHED))
        defer { pthread_attr_destroy(&attributes) }
        var all = sigset_t()
        var before = sigset_t()
        if takesSignals { sigemptyset(&all) } else { sigfillset(&all) }
        pthread_sigmask(SIG_BLOCK, &all, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        var thread = pthread_t()
        let body = Unmanaged.passRetained(Body(run))
        let error = pthread_create(
            &thread, &attributes,
            { raw in
                guard let raw else { return nil }
                Unmanaged<Body>.fromOpaque(raw).takeRetainedValue().run()
                return nil
            }, body.toOpaque())
        precondition(error == 0, "no thread for hooks: errno \(error)")
    }
}

/// Items handed to one thread, in order.
final class HookQueue<Item: Sendable>: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var items: [Item] = []
    private var first = 0
    private var isClosed = false
    private let countMax: Int

    init(countMax: Int) {
        self.countMax = countMax
        pthread_mutex_init(mutex, nil)
        pthread_cond_init(condition, nil)
    }

    deinit {
        pthread_cond_destroy(condition)
        pthread_mutex_destroy(mutex)
        condition.deallocate()
        mutex.deallocate()
    }

    /// False where it is full or closed.
    func put(_ item: Item) -> Bool {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        guard !isClosed, items.count - first < countMax else { return false }
        items.append(item)
        pthread_cond_signal(condition)
        return true
    }

    /// Waits for an item; nil once the queue is closed.
    func take() -> Item? {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        while first == items.count, !isClosed { pthread_cond_wait(condition, mutex) }
        guard !isClosed else { return nil }
        let item = items[first]
        first += 1
        if first > 64, first * 2 > items.count {
            items.removeFirst(first)
            first = 0
        }
        return item
    }

    /// Takes the first item that fits out of the row.
    func remove(where fits: (Item) -> Bool) -> Item? {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        guard let index = items[first...].firstIndex(where: fits) else { return nil }
        return items.remove(at: index)
    }

    /// - Returns: what was still waiting.
    func close() -> [Item] {
        pthread_mutex_lock(mutex)
        defer { pthread_mutex_unlock(mutex) }
        isClosed = true
        let left = Array(items[first...])
        items = []
        first = 0
        pthread_cond_broadcast(condition)
        return left
    }
}
