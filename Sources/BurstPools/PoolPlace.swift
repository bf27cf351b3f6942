internal import BurstModel
import CSys
import Glibc

/// The folders of a pool, open (staging.md §4.2).
struct PoolPlace: Sendable {
    static let images = "images"
    static let records = "records"
    static let quarantine = "quarantine"

    /// Absolute, without symbolic links.
    let path: String
    let root: Descriptor
    let meta: Descriptor
    let records: Descriptor
    let images: Descriptor
    let quarantine: Descriptor
    let buffers: Descriptor
    let mnt: Descriptor
    /// Told before each step of what changes the disk, so that tests can stop at each.
    let step: @Sendable (String) -> Void

    /// Folders below the pool, with their modes. Others may pass where they need to, and list nothing.
    static let layout: [(path: String, mode: mode_t)] = [
        (".bb", 0o711), (".bb/journal", 0o700), (".bb/status", 0o755), (".bb/quarantine", 0o700),
        (".bb/records", 0o700), (".bb/images", 0o700), ("buffers", 0o711), ("mnt", 0o711),
    ]
    static let rootMode: mode_t = 0o711

    func path(of name: PoolInventory.Name) -> String { "\(path)/buffers/\(name)" }
    func path(ofEntry entry: String) -> String { "\(path)/.bb/quarantine/\(entry)" }
    func path(ofImage image: String) -> String { "\(path)/.bb/images/\(image)" }

    /// The path as the kernel has it, and a descriptor of the folder it leads to. Symbolic links on the way there are
    /// the administrator's and are followed (staging.md §3.2, trusted anchor).
    static func anchor(_ path: String) throws(PoolFault) -> (path: String, root: Descriptor) {
        let number = Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard number >= 0 else {
            if errno == ENOENT || errno == ENOTDIR {
                throw PoolFault(.unmarked, path, "is no folder", "make or mount it, then run burst pool create")
            }
            throw .system(path, "be opened")
        }
        let root = Descriptor(number)
        guard let resolved = realpath(path, nil) else { throw .system(path, "be looked up") }
        defer { free(resolved) }
        return (String(cString: resolved), root)
    }

    /// Opens the layout.
    init(path: String, root: Descriptor, step: @escaping @Sendable (String) -> Void) throws(PoolFault) {
        self.path = path
        self.root = root
        self.step = step
        meta = try Files.openFolder(root, ".bb", path)
        records = try Files.openFolder(root, ".bb/\(Self.records)", path)
        images = try Files.openFolder(root, ".bb/\(Self.images)", path)
        quarantine = try Files.openFolder(root, ".bb/\(Self.quarantine)", path)
        buffers = try Files.openFolder(root, "buffers", path)
        mnt = try Files.openFolder(root, "mnt", path)
    }

    /// Makes what is missing of the layout.
    static func make(path: String, root: Descriptor) throws(PoolFault) {
        guard fchmod(root.number, rootMode) == 0 else { throw .system(path, "get mode 0711") }
        for (folder, mode) in layout {
            let parts = folder.split(separator: "/").map(String.init)
            let parent = parts.count == 1 ? root : try Files.openFolder(root, parts[0], path)
            let made = try Files.makeFolder(parent, parts[parts.count - 1], mode: mode, "\(path)/\(parts[0])")
            guard fchmod(made.number, mode) == 0 else { throw .system("\(path)/\(folder)", "get its mode") }
        }
    }

    // MARK: Parts of buffers

    /// Whether another file system is mounted on a folder, or it is a subvolume.
    func isForeign(_ parent: Descriptor, _ name: String) -> Bool {
        guard let status = Files.status(parent, name) else { return false }
        return status.st_dev != Files.status(parent).st_dev
    }

    /// The folder of a buffer.
    func buffer(_ name: PoolInventory.Name) throws(PoolFault) -> Descriptor {
        try Files.openFolder(buffers, name.description, "\(path)/buffers")
    }

    func entry(_ entry: String) throws(PoolFault) -> Descriptor {
        try Files.openFolder(quarantine, entry, "\(path)/.bb/quarantine")
    }

    /// Moves a name, where it still stands in its old place. One that has been moved before is left alone.
    func move(
        _ from: Descriptor, _ name: String, to: Descriptor, _ new: String, _ place: String
    ) throws(PoolFault) {
        if bb_rename_new(from.number, name, to.number, new) == 0 || errno == ENOENT { return }
        throw .system(place, "be moved to quarantine")
    }

    /// Unmounts what is mounted at a path; true if all of it is gone at once, false if some of it is in use and goes
    /// with its last user.
    @discardableResult
    static func unmount(_ path: String) throws(PoolFault) -> Bool {
        var isIdle = true
        for _ in 0..<unmountsMax {
            if bb_unmount(path, 0) == 0 { continue }
            switch errno {
            case EINVAL, ENOENT: return isIdle
            case EBUSY:
                isIdle = false
                if bb_unmount(path, 1) != 0, errno != EINVAL { throw .system(path, "be unmounted") }
            default: throw .system(path, "be unmounted")
            }
        }
        throw PoolFault(.busy, path, "has more than \(unmountsMax) mounts", "unmount them by hand")
    }

    /// Mounts on one place, one above the other.
    private static let unmountsMax = 64
}
