import Glibc
import Synchronization

/// The folder that one engine has for itself: made, checked and locked before anything in it is touched.
final class StoreFolder: Sendable {
    static let databaseName = "burst.db"
    static let lockName = "burst.lock"

    let path: String
    var databasePath: String { path + "/" + Self.databaseName }
    /// Open as long as the folder is ours; the lock goes with the process, however that ends.
    private let lock: Mutex<Int32>

    /// Makes the folder (0700) with those above it, takes its lock and makes the database file (0600) if there is none.
    init(_ path: String) throws(StoreFault) {
        self.path = path
        try Self.make(path)
        let descriptor = try Self.takeLock(path)
        lock = Mutex(descriptor)
        try Self.makeDatabase(in: path)
    }

    deinit { release() }

    /// Gives the folder up.
    func release() {
        lock.withLock { descriptor in
            if descriptor >= 0 { close(descriptor) }
            descriptor = -1
        }
    }

    private static func fault(_ place: String, _ wrong: String, _ right: String) -> StoreFault {
        StoreFault(.folder, place: place, wrong: wrong, right: right)
    }

    private static func make(_ path: String) throws(StoreFault) {
        guard path.utf8.first == UInt8(ascii: "/"), !path.utf8.contains(0) else {
            throw fault(path, "is no folder's full path", "name it from the root, as /var/lib/burst")
        }
        var above = ""
        for part in path.split(separator: "/") {
            above += "/" + part
            guard mkdir(above, 0o700) != 0, errno != EEXIST else { continue }
            let code = errno
            var status = stat()
            if stat(above, &status) == 0 { continue }
            throw fault(
                above, "cannot be made: \(String(cString: strerror(code)))",
                "make it, or name another state folder (StateSaveLocation)")
        }
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
            throw fault(path, "is no folder", "name a folder as state folder (StateSaveLocation)")
        }
        guard status.st_uid == geteuid() else {
            throw fault(
                path, "belongs to user \(status.st_uid), and this is user \(geteuid())",
                "start burstd as its owner, or chown it")
        }
        guard status.st_mode & 0o022 == 0 else {
            throw fault(path, "can be written to by others", "say: chmod 700 \(path)")
        }
    }

    private static func takeLock(_ folder: String) throws(StoreFault) -> Int32 {
        let name = folder + "/" + lockName
        let descriptor = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else {
            throw fault(
                name, "cannot be opened: \(String(cString: strerror(errno)))",
                "the state folder must be writable by burstd")
        }
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            let code = errno
            if code == EINTR { continue }
            var text = [UInt8](repeating: 0, count: 16)
            let count = pread(descriptor, &text, text.count, 0)
            close(descriptor)
            guard code == EWOULDBLOCK else {
                throw fault(
                    name, "cannot be locked: \(String(cString: strerror(code)))",
                    "the state folder must be on a file system that has locks")
            }
            let holder = String(decoding: text.prefix(max(0, count)).prefix { $0 > 32 }, as: UTF8.self)
            throw StoreFault(
                .held, place: folder,
                wrong: "another burstd\(holder.isEmpty ? "" : " (pid \(holder))") has this state folder",
                right: "stop that one first, or name another state folder (StateSaveLocation)")
        }
        // For people only: the lock itself is what counts.
        let own = Array("\(getpid())\n".utf8)
        if ftruncate(descriptor, 0) == 0 { _ = pwrite(descriptor, own, own.count, 0) }
        return descriptor
    }

    private static func makeDatabase(in folder: String) throws(StoreFault) {
        let name = folder + "/" + databaseName
        let made = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        if made >= 0 {
            close(made)
            let directory = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
            if directory >= 0 {
                fsync(directory)
                close(directory)
            }
            return
        }
        let code = errno
        var status = stat()
        guard code == EEXIST, lstat(name, &status) == 0 else {
            throw fault(
                name, "cannot be made: \(String(cString: strerror(code)))",
                "the state folder must be writable by burstd")
        }
        guard status.st_mode & S_IFMT == S_IFREG, status.st_uid == geteuid() else {
            throw fault(name, "is no file of ours", "move it away")
        }
        // The history shows what jobs asked for and printed: it is nobody else's.
        if status.st_mode & 0o077 != 0 { chmod(name, 0o600) }
    }
}
