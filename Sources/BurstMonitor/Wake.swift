import Glibc

/// Wakes the loop of the screen from another thread.
final class Wake: Sendable {
    let descriptor: Int32

    init() { descriptor = eventfd(0, Int32(EFD_CLOEXEC.rawValue | EFD_NONBLOCK.rawValue)) }

    deinit { close(descriptor) }

    func ring() { _ = eventfd_write(descriptor, 1) }

    /// True if it rang since the last time.
    func take() -> Bool {
        var value: eventfd_t = 0
        return eventfd_read(descriptor, &value) == 0
    }
}
