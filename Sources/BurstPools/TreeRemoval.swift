import CSys
import Glibc

/// Removes what users have left, whatever they did to it: relative to descriptors, never through a symbolic link or
/// into another mount, with few descriptors however deep the tree is (staging.md §4.2, "Removal").
struct TreeRemoval {
    /// So many descriptors are open at once. Deeper folders are first moved up.
    static let depthMax = 32
    /// So many names are taken from a folder before they are removed.
    static let namesPerPass = 1024
    /// Someone who is still inside may add names as fast as they are removed: then it is left for later.
    static let passesMax = 100_000

    enum Outcome: Equatable {
        case removed
        /// Something is in use, or comes back; to be tried again.
        case later(String)
    }

    private struct Frame {
        var folder: Int32
    }

    private var frames: [Frame] = []
    private var passes = 0
    private var moved = 0
    private var reason: String?

    /// Removes `name` in `parent`, with all that is below.
    static func remove(_ parent: Descriptor, _ name: String) -> Outcome {
        var removal = TreeRemoval()
        let bytes = Array(name.utf8CString)
        let isGone = bytes.withUnsafeBufferPointer { removal.removeEntry(parent.number, $0.baseAddress!) }
        return isGone ? .removed : .later(removal.reason ?? "cannot be removed")
    }

    /// Whether the name is gone.
    private mutating func removeEntry(_ folder: Int32, _ name: UnsafePointer<CChar>) -> Bool {
        for attempt in 0..<2 {
            if unlinkat(folder, name, 0) == 0 || errno == ENOENT { return true }
            if errno == EISDIR { return removeFolder(folder, name) }
            // Linux says EPERM of a folder too where POSIX would have it; what stands there decides.
            let number = errno
            var status = stat()
            guard fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) == 0 else { return errno == ENOENT }
            if status.st_mode & S_IFMT == S_IFDIR { return removeFolder(folder, name) }
            guard attempt == 0, number == EPERM || number == EACCES else { return fail(number) }
            unlock(folder, name, status)
        }
        return fail(errno)
    }

    /// Takes off what keeps a name from being removed: flags of the file and of its folder, the folder's mode.
    private func unlock(_ folder: Int32, _ name: UnsafePointer<CChar>, _ status: stat) {
        bb_unlock_flags(folder)
        fchmod(folder, 0o700)
        guard status.st_mode & S_IFMT == S_IFREG || status.st_mode & S_IFMT == S_IFDIR else { return }
        let file = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
        guard file >= 0 else { return }
        bb_unlock_flags(file)
        close(file)
    }

    private mutating func removeFolder(_ parent: Int32, _ name: UnsafePointer<CChar>) -> Bool {
        if unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT { return true }
        if errno == EBUSY { return fail(EBUSY) }
        if frames.count >= Self.depthMax, moveUp(parent, name) { return true }
        guard let folder = open(parent, name) else { return errno == ENOENT || fail(errno) }
        frames.append(Frame(folder: folder))
        defer {
            frames.removeLast()
            close(folder)
        }
        while passes < Self.passesMax {
            passes += 1
            let (isEmpty, isGone) = removeSome(folder)
            guard isGone else { return false }
            guard isEmpty else { continue }
            if unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT { return true }
            if errno == EPERM || errno == EACCES {
                bb_unlock_flags(folder)
                bb_unlock_flags(parent)
                fchmod(parent, 0o700)
                if unlinkat(parent, name, AT_REMOVEDIR) == 0 { return true }
            }
            guard errno == ENOTEMPTY || errno == EEXIST else { return fail(errno) }
        }
        reason = "names come back as fast as they are removed"
        return false
    }

    /// The folder itself, never one that a link leads to, also where its owner has closed it.
    private func open(_ parent: Int32, _ name: UnsafePointer<CChar>) -> Int32? {
        let flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
        let folder = openat(parent, name, flags)
        if folder >= 0 { return folder }
        guard errno == EACCES || errno == EPERM else { return nil }
        let number = errno
        let path: Int32 = openat(parent, name, O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | openPathOnly)
        guard path >= 0 else { return nil }
        defer { close(path) }
        bb_mode_of_path(path, 0o700)
        let again = openat(parent, name, flags)
        if again < 0 { errno = number }
        return again >= 0 ? again : nil
    }

    /// Removes some of what is in a folder. `isGone`: all of those are.
    private mutating func removeSome(_ folder: Int32) -> (isEmpty: Bool, isGone: Bool) {
        let again = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard again >= 0, let stream = fdopendir(again) else {
            let number = errno
            if again >= 0 { close(again) }
            return (false, fail(number))
        }
        // File names are bytes, and stay so.
        var names: [[CChar]] = []
        while names.count < Self.namesPerPass, let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) {
                    Array(UnsafeBufferPointer(start: $0, count: strlen($0) + 1))
                }
            }
            let dot = CChar(UInt8(ascii: "."))
            if name != [dot, 0], name != [dot, dot, 0] { names.append(name) }
        }
        closedir(stream)
        if names.isEmpty { return (true, true) }
        for name in names {
            let isGone = name.withUnsafeBufferPointer { removeEntry(folder, $0.baseAddress!) }
            if !isGone { return (false, false) }
        }
        return (false, true)
    }

    /// Moves a folder to one further up, where it is found later. As far up as the file system lets it: a subvolume
    /// keeps its own.
    private mutating func moveUp(_ parent: Int32, _ name: UnsafePointer<CChar>) -> Bool {
        for frame in frames.dropLast() {
            for _ in 0..<Self.depthMax {
                moved += 1
                if bb_rename_new(parent, name, frame.folder, ".deep.\(moved)") == 0 { return true }
                if errno == EACCES {
                    // Its entry `..` changes, so it has to be open to its owner.
                    let path = openat(parent, name, O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | openPathOnly)
                    if path >= 0 {
                        bb_mode_of_path(path, 0o700)
                        close(path)
                    }
                    fchmod(parent, 0o700)
                } else if errno != EEXIST {
                    break
                }
            }
        }
        return false
    }

    private mutating func fail(_ number: Int32) -> Bool {
        reason = String(cString: strerror(number))
        return false
    }
}

/// O_PATH, which Glibc shows to _GNU_SOURCE only.
let openPathOnly: Int32 = 0o10000000
