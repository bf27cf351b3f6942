import CSys
import Glibc
import Synchronization

/// Removes what is in quarantine, on one thread that gives way to everybody else.
package final class PoolCleaner: Sendable {
    /// What could not be removed is tried again after so long, milliseconds.
    package static let retryMilliseconds: Int32 = 30_000

    private let pools: [PoolFolder]
    private let waker: Int32
    private let isStopped = Atomic<Bool>(false)
    private let hasEnded = Atomic<Bool>(false)
    private let onLeft: @Sendable (PoolFolder, String, String) -> Void

    /// - Parameter onLeft: told of each entry that stays for later: its pool, its name, the reason.
    package init(
        _ pools: [PoolFolder], onLeft: @escaping @Sendable (PoolFolder, String, String) -> Void = { _, _, _ in }
    ) throws(PoolFault) {
        let waker = bb_waker_open()
        guard waker >= 0 else { throw .system("eventfd", "be opened") }
        self.pools = pools
        self.waker = waker
        self.onLeft = onLeft
        var thread = pthread_t()
        let own = Unmanaged.passRetained(self)
        let result = pthread_create(
            &thread, nil,
            { pointer in
                Unmanaged<PoolCleaner>.fromOpaque(pointer!).takeRetainedValue().work()
                return nil
            }, own.toOpaque())
        guard result == 0 else {
            own.release()
            throw .system("a thread", "be started", result)
        }
        pthread_detach(thread)
    }

    deinit { close(waker) }

    /// There is something to do.
    package func wake() { bb_wake(waker) }

    /// Ends the thread after the entry that it is at.
    package func stop() {
        isStopped.store(true, ordering: .releasing)
        bb_wake(waker)
    }

    package var isDone: Bool { hasEnded.load(ordering: .acquiring) }

    private func work() {
        bb_low_priority()
        while !isStopped.load(ordering: .acquiring) {
            var isLeft = false
            for pool in pools {
                for (entry, reason) in pool.removeQuarantined(while: { !isStopped.load(ordering: .acquiring) }) {
                    isLeft = true
                    onLeft(pool, entry, reason)
                }
            }
            if isStopped.load(ordering: .acquiring) { break }
            var descriptor = pollfd(fd: waker, events: Int16(POLLIN), revents: 0)
            poll(&descriptor, 1, isLeft ? Self.retryMilliseconds : -1)
            bb_waker_clear(waker)
        }
        hasEnded.store(true, ordering: .releasing)
    }
}
