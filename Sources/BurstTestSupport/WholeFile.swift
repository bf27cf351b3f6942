import Glibc

/// Files that tests write while other tests start programs.
package enum WholeFile {
    /// How long a program may be open for writing in others, until it cannot be what this is about, seconds.
    private static let busySecondsMax = 60.0
    /// fcntl(2)'s F_SETLEASE, which glibc shows to _GNU_SOURCE only.
    private static let setLease: Int32 = 1024

    /// Writes a file, by way of another name so that nobody reads half of it. What may be executed can be from then on:
    /// a child that another thread was just starting has what is written here open until its exec, and nothing that is
    /// open for writing can be executed (ETXTBSY).
    package static func write(
        _ text: some Sequence<UInt8>, to path: String, mode: UInt32 = 0o644, owner: UInt32? = nil
    ) throws(HarnessError) {
        let bytes = Array(text)
        let new = path + ".new"
        unlink(new)
        // The mode is that wanted, whatever the umask.
        let file = open(new, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw HarnessError("cannot write \(new): errno \(errno)") }
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes { Glibc.write(file, $0.baseAddress! + done, $0.count - done) }
            guard count > 0 else { break }
            done += count
        }
        let isOwned = owner.map { fchown(file, $0, $0) == 0 } ?? true
        let isWhole = done == bytes.count && isOwned && fchmod(file, mode) == 0
        guard close(file) == 0, isWhole else { throw HarnessError("cannot write \(new): errno \(errno)") }
        if mode & 0o111 != 0 { try waitUntilClosed(new) }
        guard rename(new, path) == 0 else { throw HarnessError("cannot write \(path): errno \(errno)") }
    }

    /// Waits until nobody has a file open for writing: a lease for reading is refused till then.
    private static func waitUntilClosed(_ path: String) throws(HarnessError) {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw HarnessError("cannot open \(path): errno \(errno)") }
        defer { close(file) }
        var error: Int32 = 0
        let isFree = Wait.until(seconds: busySecondsMax, every: 0.001) {
            error = fcntl(file, setLease, F_RDLCK) == 0 ? 0 : errno
            return error != EAGAIN
        }
        // A file system may know no leases.
        if error == 0 { _ = fcntl(file, setLease, F_UNLCK) }
        guard isFree else { throw HarnessError("somebody keeps \(path) open for writing") }
    }
}
