internal import Glibc

/// Wakes a loop from another thread, through a pipe that poll(2) can watch.
final class Wake: Sendable {
    let descriptor: Int32
    private let writer: Int32

    init() {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { preconditionFailure("no file descriptor is left") }
        for end in ends {
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
        }
        descriptor = ends[0]
        writer = ends[1]
    }

    deinit {
        close(descriptor)
        close(writer)
    }

    /// A full pipe has been rung already.
    func ring() {
        var byte: UInt8 = 1
        _ = write(writer, &byte, 1)
    }

    /// True if it rang since the last time.
    func take() -> Bool {
        var bytes = [UInt8](repeating: 0, count: 512)
        var rang = false
        while read(descriptor, &bytes, bytes.count) > 0 { rang = true }
        return rang
    }
}
