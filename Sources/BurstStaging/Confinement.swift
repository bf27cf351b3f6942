import CSys
import Glibc

/// A second belt behind descriptors and the user's own rights (staging.md §4.5): where the kernel has Landlock, this
/// process changes nothing but what the order's destinations hold, and reads nothing but that and its sources.
///
/// A destination that is yet to be made is allowed by the folder that it will be made in. A list names what it likes on
/// its far side: on the way in nothing is bound that is read, on the way out nothing at all, since a kernel that bounds
/// reads alone allows no link from one folder to another.
struct Confinement {
    private var readable: [Int32] = []
    private var writable: [Int32] = []

    /// For good. From the thread that starts all others.
    /// - Returns: whether the kernel does it.
    static func enter(_ order: StageOrder) -> Bool {
        let lists = order.transfers.contains { $0.kind == .list }
        guard bb_landlock_version() >= 2, !lists || order.phase == .stageIn else { return false }
        var places = Confinement()
        defer { for fd in places.readable + places.writable { close(fd) } }
        places.add(order)
        let readables = lists ? -1 : Int32(places.readable.count)
        return bb_confine(places.readable, readables, places.writable, Int32(places.writable.count)) == 0
    }

    private mutating func add(_ order: StageOrder) {
        let isIn = order.phase == .stageIn
        switch order.buffer {
        case .path(let path): allow(path, writes: isIn)
        case .descriptor(let fd): take(fcntl(fd, F_DUPFD_CLOEXEC, 3), writes: isIn)
        }
        // Files that are opened by their names, made perhaps.
        for file in [order.journal, order.report] {
            if case .path(let path)? = file { allowFolder(of: path, writes: true) }
        }
        if let parts = order.parts { allowFolder(of: parts, writes: true) }
        for transfer in order.transfers {
            if case .parallel(let path) = transfer.source {
                switch transfer.kind {
                case .directory, .list: allow(path, writes: false)
                case .file: allowFolder(of: Self.followed(path), writes: false)
                }
            }
            if case .parallel(let path) = transfer.destination {
                if transfer.kind == .file { allowFolder(of: path, writes: true) } else { allow(path, writes: true) }
            }
        }
    }

    /// A link that the user names himself is followed, as it will be.
    private static func followed(_ path: [UInt8]) -> [UInt8] {
        guard let real = realpath(chars(path), nil) else { return path }
        defer { free(real) }
        return bytes(real)
    }

    private mutating func allowFolder(of path: [UInt8], writes: Bool) {
        if let (folder, _) = Anchors.split(path) { allow(folder, writes: writes) }
    }

    /// What is not there yet is allowed by what is above it; what cannot be had will not be had later either.
    private mutating func allow(_ path: [UInt8], writes: Bool) {
        var path = path
        while true {
            let fd = bb_open_place(chars(path))
            if fd >= 0 { return take(fd, writes: writes) }
            guard writes, errno == ENOENT, let (folder, _) = Anchors.split(path), folder.count < path.count else {
                return
            }
            path = folder
        }
    }

    private mutating func take(_ fd: Int32, writes: Bool) {
        guard fd >= 0 else { return }
        if writes { writable.append(fd) } else { readable.append(fd) }
    }
}

extension StageOrder {
    /// Binds this process to what the order names.
    mutating func confine() { isConfined = Confinement.enter(self) }
}
