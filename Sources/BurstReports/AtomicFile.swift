import Glibc

/// Writes a file so that readers see the old text or the new one, whole.
package enum AtomicFile {
    /// Why a file could not be written, in one line.
    package struct Fault: Error, Hashable, Sendable, CustomStringConvertible {
        package var path: String
        package var reason: String

        package var description: String { "\(path): cannot be written: \(reason)" }
    }

    /// Writes beside the file under another name that ends in `.tmp`, and then renames: mode 0644, on the disk before
    /// it
    /// has its name.
    package static func write(_ bytes: [UInt8], to path: String) throws(Fault) {
        guard !path.isEmpty, path.utf8.last != UInt8(ascii: "/"), !path.utf8.contains(0) else {
            throw Fault(path: path, reason: "the name of a file is needed")
        }
        let folder: Substring
        let name: Substring
        if let slash = path.lastIndex(of: "/") {
            folder = slash == path.startIndex ? "/" : path[..<slash]
            name = path[path.index(after: slash)...]
        } else {
            folder = "."
            name = path[...]
        }
        // A reader of `*.prom` passes over it, and so does a listing.
        let temporary = "\(folder)/.\(name).\(getpid()).tmp"
        do throws(Fault) {
            try fill(temporary, bytes)
            guard rename(temporary, path) == 0 else { throw last(path) }
        } catch {
            unlink(temporary)
            throw Fault(path: path, reason: error.reason)
        }
        sync(folder: String(folder))
    }

    private static func fill(_ temporary: String, _ bytes: [UInt8]) throws(Fault) {
        var descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o644)
        if descriptor < 0, errno == EEXIST {
            // Left by a process that had our number and was killed.
            unlink(temporary)
            descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o644)
        }
        guard descriptor >= 0 else { throw last(temporary) }
        do throws(Fault) {
            // The umask may have taken what the reader needs.
            guard fchmod(descriptor, 0o644) == 0 else { throw last(temporary) }
            var written = 0
            while written < bytes.count {
                let count = bytes.withUnsafeBytes {
                    Glibc.write(descriptor, $0.baseAddress! + written, $0.count - written)
                }
                if count < 0 {
                    if errno == EINTR { continue }
                    throw last(temporary)
                }
                written += count
            }
            guard fsync(descriptor) == 0 else { throw last(temporary) }
        } catch {
            close(descriptor)
            throw error
        }
        guard close(descriptor) == 0 else { throw last(temporary) }
    }

    /// Makes the new name last; a folder that cannot be synced has it all the same.
    private static func sync(folder: String) {
        let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        fsync(descriptor)
        close(descriptor)
    }

    private static func last(_ path: String) -> Fault { Fault(path: path, reason: String(cString: strerror(errno))) }
}
