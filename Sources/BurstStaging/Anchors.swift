import CSys
import Glibc

/// Opens what an order names. A buffer's tail is never trusted: it is opened beneath the buffer's descriptor. A path of
/// the user's own is followed as he wrote it, since he wrote it; what lies below is not (staging.md §4.5).
struct Anchors {
    let buffer: Int32
    let syncs: Bool
    private static let modeOfMade: mode_t = 0o755

    /// A source directory.
    func open(_ place: StageOrder.Place) throws(SystemFault) -> Int32 {
        switch place {
        case .buffer(let path):
            try check(bb_open_beneath(buffer, chars(path), O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0), "open")
        case .parallel(let path):
            try check(Glibc.open(chars(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC), "open")
        }
    }

    /// A file that is read as a whole, such as a list.
    func openFile(_ place: StageOrder.Place) throws(SystemFault) -> Int32 {
        let fd =
            switch place {
            case .buffer(let path):
                try check(bb_open_beneath(buffer, chars(path), O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0), "open")
            case .parallel(let path): try check(Glibc.open(chars(path), O_RDONLY | O_CLOEXEC | O_NONBLOCK), "open")
            }
        var status = stat()
        guard fstat(fd, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            close(fd)
            throw SystemFault("open", EINVAL)
        }
        return fd
    }

    /// A destination directory; it and what is missing above it are made.
    /// - Parameter willMake: called before the directory itself is made.
    func make(
        _ place: StageOrder.Place, willMake: () throws(SystemFault) -> Void
    ) throws(SystemFault) -> (fd: Int32, wasMade: Bool) {
        switch place {
        case .buffer(let path):
            var at = try check(bb_open_beneath(buffer, [0], O_RDONLY | O_DIRECTORY, 0), "open")
            var wasMade = false
            let steps = FileName.steps(path)
            for (index, word) in steps.enumerated() {
                let name = chars(word)
                let above = at
                defer { close(above) }
                wasMade = faccessat(above, name, F_OK, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT
                if wasMade, index == steps.count - 1 { try willMake() }
                at = try step(below: above, name, makes: wasMade)
            }
            return (at, wasMade)
        case .parallel(let path):
            return try make(path, isLast: true, willMake)
        }
    }

    private func make(
        _ path: [UInt8], isLast: Bool, _ willMake: () throws(SystemFault) -> Void
    ) throws(SystemFault) -> (fd: Int32, wasMade: Bool) {
        let there = Glibc.open(chars(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        if there >= 0 { return (there, false) }
        guard errno == ENOENT, let (above, name) = Self.split(path) else { throw SystemFault("open") }
        let parent = try make(above, isLast: false, willMake).fd
        defer { close(parent) }
        if isLast { try willMake() }
        return (try step(below: parent, chars(name), makes: true), true)
    }

    private func step(below parent: Int32, _ name: [CChar], makes: Bool) throws(SystemFault) -> Int32 {
        if makes {
            if mkdirat(parent, name, Self.modeOfMade) != 0, errno != EEXIST { throw SystemFault("mkdir") }
            if syncs { _ = fsync(parent) }
        }
        return try check(bb_open_leaf(parent, name, O_RDONLY | O_DIRECTORY, 0), "open")
    }

    /// A path's folder and last name. Nil: it has no last name of use.
    static func split(_ path: [UInt8]) -> (folder: [UInt8], name: [UInt8])? {
        var path = path
        let slash = UInt8(ascii: "/")
        while path.count > 1, path.last == slash { path.removeLast() }
        let name = Array(path.split(separator: slash, omittingEmptySubsequences: false).last ?? [])
        guard FileName.isUsable(name) else { return nil }
        var folder = Array(path.dropLast(name.count))
        while folder.count > 1, folder.last == slash { folder.removeLast() }
        return (folder, name)
    }

    /// The folder of a file, and the file's name in it. A link that the user names himself is followed.
    func folder(
        of place: StageOrder.Place, followsLink: Bool
    ) throws(SystemFault) -> (folder: StageOrder.Place, name: [UInt8]) {
        switch place {
        case .buffer(let path):
            guard let (folder, name) = Self.split(path) else { throw SystemFault("open", EINVAL) }
            return (.buffer(folder), name)
        case .parallel(var path):
            var status = stat()
            if followsLink, lstat(chars(path), &status) == 0, status.st_mode & S_IFMT == S_IFLNK,
                let real = realpath(chars(path), nil)
            {
                path = bytes(real)
                free(real)
            }
            guard let (folder, name) = Self.split(path) else { throw SystemFault("open", EINVAL) }
            return (.parallel(folder), name)
        }
    }
}
