import CSys
import Glibc
import Synchronization

/// A directory of the source and the one it becomes, below a transfer's two anchors.
///
/// Both are opened step by step from the anchors, a name at a time and never through a symbolic link, and are closed
/// when too many are open; a directory that is another one when it is opened again is refused.
final class Directory: @unchecked Sendable {
    let parent: Directory?
    /// With a byte 0 at its end, as the kernel takes it. Empty for a transfer's top.
    let name: [CChar]
    let key: Key
    /// Which transfer, from 0.
    let transfer: Int
    /// What must happen before its own metadata are set: the walk through it, batches that hold entries of it,
    /// subdirectories, hard links to come.
    let pending = Atomic<Int>(1)
    /// Whether its own metadata are the source's at the end; not for a folder that was there before the transfer, nor
    /// for the folder of a single file.
    let setsMetadata: Bool
    /// A part's: others copy into it too, and whoever finishes sets its metadata.
    let isPart: Bool
    /// Another program has copied it: it is looked at, and nothing in it is changed.
    let comparison: Comparison
    /// What the user called the two ends of the transfer.
    let top: (source: [UInt8], target: [UInt8])
    private let walked = Atomic<Bool>(false)

    private let cache: DirectoryCache
    private let lock = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private var source: Int32
    private var target: Int32
    private var pins: Int
    private var isFinished = false
    private var sourceIdentity: (device: dev_t, inode: ino_t)?
    private var targetIdentity: (device: dev_t, inode: ino_t)?
    /// What is written in it by default gets an access list of its own.
    private(set) var hasDefaultList = false
    private(set) var targetWasMade = false
    /// The group that new files in the target get.
    private(set) var groupOfNew: gid_t = 0
    /// Numbers of temporary files of an earlier life that may still be of use; what is left of them is removed last.
    private(set) var keptTemporaries: [UInt64] = []
    fileprivate(set) var isIdle = false

    enum Comparison {
        /// It is copied.
        case none
        /// The target may hold more than the source does.
        case within
        /// The target is a copy of the source and nothing else.
        case whole
    }

    /// A transfer's top.
    /// - Parameters:
    ///   - source: open as long as this lives, as is `target`.
    ///   - key: of the place in the plan.
    ///   - wasMade: by this phase, in this life or an earlier one: then it gets the source's metadata.
    ///   - isWhole: all of the directory is staged, not single files of it.
    init(
        source: Int32, target: Int32, key: Key, transfer: Int, wasMade: Bool, isWhole: Bool, isPart: Bool = false,
        comparison: Comparison = .none, top: (source: [UInt8], target: [UInt8]), cache: DirectoryCache
    ) {
        parent = nil
        self.isPart = isPart
        self.comparison = comparison
        name = []
        self.key = key
        self.transfer = transfer
        self.cache = cache
        self.source = source
        self.target = target
        targetWasMade = wasMade
        setsMetadata = wasMade && isWhole
        self.top = top
        pins = 1
        pthread_mutex_init(lock, nil)
        var status = stat()
        if fstat(target, &status) == 0 { targetIdentity = (status.st_dev, status.st_ino) }
        cache.topBegan()
        look(target)
        keptTemporaries = cache.leftovers?.clear(target) ?? []
    }

    /// - Parameter name: with a byte 0 at its end.
    init(_ parent: Directory, _ name: [CChar]) {
        self.parent = parent
        self.name = name
        var key = parent.key
        name.withUnsafeBytes { key.mix($0) }
        self.key = key
        transfer = parent.transfer
        setsMetadata = true
        isPart = parent.isPart
        comparison = parent.comparison
        top = parent.top
        cache = parent.cache
        source = -1
        target = -1
        pins = 0
        pthread_mutex_init(lock, nil)
    }

    deinit {
        close()
        pthread_mutex_destroy(lock)
        lock.deallocate()
    }

    private func close() {
        if source >= 0 { Glibc.close(source) }
        if target >= 0 { Glibc.close(target) }
        source = -1
        target = -1
    }

    // MARK: Opening

    /// The source's descriptor, good until `unpin`.
    func pinSource() throws(SystemFault) -> Int32 {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        if source < 0, let parent {
            let above = try parent.pinSource()
            defer { parent.unpin() }
            let fd = try check(bb_open_leaf(above, name, O_RDONLY | O_DIRECTORY, 0), "open")
            do {
                try compare(fd, &sourceIdentity)
            } catch {
                Glibc.close(fd)
                throw error
            }
            source = fd
        }
        pins += 1
        return source
    }

    /// The target's descriptor, good until `unpin`; the directory is made where it is missing.
    func pinTarget() throws(SystemFault) -> Int32 {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        if target < 0, let parent {
            let above = try parent.pinTarget()
            defer { parent.unpin() }
            target = try openTarget(above)
        }
        pins += 1
        return target
    }

    func unpin() {
        pthread_mutex_lock(lock)
        pins -= 1
        precondition(pins >= 0)
        let isLast = pins == 0 && parent != nil
        pthread_mutex_unlock(lock)
        if isLast { cache.note(self) }
    }

    private func openTarget(_ above: Int32) throws(SystemFault) -> Int32 {
        let isFirst = targetIdentity == nil
        if isFirst, comparison == .none {
            if mkdirat(above, name, 0o700) == 0 {
                targetWasMade = true
            } else if errno != EEXIST {
                throw SystemFault("mkdir")
            }
        }
        var fd = bb_open_leaf(above, name, O_RDONLY | O_DIRECTORY, 0)
        if fd < 0, errno == EACCES, !isFinished, comparison == .none, bb_chmod_leaf(above, name, 0o700) == 0 {
            fd = bb_open_leaf(above, name, O_RDONLY | O_DIRECTORY, 0)
        }
        _ = try check(fd, "open")
        do {
            let status = try compare(fd, &targetIdentity)
            // Closed to its owner, it cannot be filled; it gets its final mode last.
            if !isFinished, comparison == .none, status.st_mode & 0o700 != 0o700, status.st_uid == geteuid() {
                _ = try check(fchmod(fd, status.st_mode & 0o7777 | 0o700), "chmod")
            }
        } catch {
            Glibc.close(fd)
            throw error
        }
        look(fd)
        if isFirst, !targetWasMade, comparison == .none { keptTemporaries = cache.leftovers?.clear(fd) ?? [] }
        return fd
    }

    private func look(_ target: Int32) {
        var status = stat()
        if fstat(target, &status) == 0 {
            groupOfNew = status.st_mode & 0o2000 != 0 ? status.st_gid : getegid()
        }
        hasDefaultList = bb_get_attribute(target, "system.posix_acl_default", nil, 0) > 0
    }

    @discardableResult private func compare(
        _ fd: Int32, _ identity: inout (device: dev_t, inode: ino_t)?
    ) throws(SystemFault) -> stat {
        var status = stat()
        _ = try check(fstat(fd, &status), "stat")
        if let identity, identity.device != status.st_dev || identity.inode != status.st_ino {
            throw SystemFault.changed
        }
        identity = (status.st_dev, status.st_ino)
        return status
    }

    fileprivate func closeIfIdle() {
        // Whoever holds it uses it, or notes it again; it may be the very thread that asks.
        guard pthread_mutex_trylock(lock) == 0 else { return }
        if pins == 0 { close() }
        pthread_mutex_unlock(lock)
    }

    /// Its entries are all known.
    var isWalked: Bool { walked.load(ordering: .acquiring) }

    func noteWalked() { walked.store(true, ordering: .releasing) }

    /// It is done with: its descriptors go when nobody uses them. One that links are made from may be opened again.
    func forget() {
        pthread_mutex_lock(lock)
        isFinished = true
        if pins == 0, parent != nil { close() }
        pthread_mutex_unlock(lock)
        if parent == nil { cache.topEnded() }
    }

    /// Whether it is the directory into which all is copied. After `pinSource`.
    func isSource(sameAs top: Directory) -> Bool {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        guard let sourceIdentity, let other = top.targetIdentity else { return false }
        return sourceIdentity.device == other.device && sourceIdentity.inode == other.inode
    }

    // MARK: Names

    func sourcePath(_ entry: UnsafePointer<CChar>? = nil) -> [UInt8] { Self.join(top.source, path(entry)) }

    func targetPath(_ entry: UnsafePointer<CChar>? = nil) -> [UInt8] { Self.join(top.target, path(entry)) }

    private static func join(_ one: [UInt8], _ other: [UInt8]) -> [UInt8] {
        let slash = UInt8(ascii: "/")
        return other.isEmpty ? one : one + (one.isEmpty || one.last == slash ? [] : [slash]) + other
    }

    /// The path below the transfer's top, or that of an entry in it.
    func path(_ entry: UnsafePointer<CChar>? = nil) -> [UInt8] {
        var steps: [[UInt8]] = []
        var at: Directory? = self
        while let directory = at, directory.parent != nil {
            steps.append(directory.name.dropLast().map { UInt8(bitPattern: $0) })
            at = directory.parent
        }
        steps.reverse()
        if let entry { steps.append(bytes(entry)) }
        return Array(steps.joined(separator: [UInt8(ascii: "/")]))
    }
}

/// Directories that are open and that nobody uses just now: the one unused longest is closed first.
final class DirectoryCache: Sendable {
    private struct State {
        var idle: [Directory] = []
        var first = 0
    }

    private let state = Guarded(State())
    private let tops = Guarded(0)
    private let most: Int
    fileprivate let leftovers: Leftovers?

    /// - Parameters:
    ///   - most: how many may stay open unused; each has up to two descriptors.
    ///   - leftovers: what an earlier life may have left in a target; nil: there was none.
    init(most: Int, leftovers: Leftovers?) {
        self.most = most
        self.leftovers = leftovers
    }

    fileprivate func note(_ directory: Directory) {
        let oldest: Directory? = state.with { state in
            guard !directory.isIdle else { return nil }
            directory.isIdle = true
            state.idle.append(directory)
            guard state.idle.count - state.first > most else { return nil }
            let oldest = state.idle[state.first]
            state.first += 1
            if state.first > 1024 {
                state.idle.removeFirst(state.first)
                state.first = 0
            }
            oldest.isIdle = false
            return oldest
        }
        oldest?.closeIfIdle()
    }

    // Tops are open as long as they are staged, so that there may only be so many.

    fileprivate func topBegan() { tops.change { $0 += 1 } }

    fileprivate func topEnded() { tops.change { $0 -= 1 } }

    func waitForTops(below most: Int, isStopped: () -> Bool) {
        while !isStopped() {
            let isBelow = tops.wait(until: now() + Self.lookNanoseconds) { $0 < most ? true : nil }
            if isBelow == true { return }
        }
    }

    private static let lookNanoseconds: Int64 = 100_000_000

    /// Closes all; for the end.
    func clear() {
        let all = state.with { state in
            defer { state = State() }
            return state.idle[state.first...].map { $0 }
        }
        for directory in all { directory.closeIfIdle() }
    }
}

func bytes(_ name: UnsafePointer<CChar>) -> [UInt8] {
    Array(UnsafeRawBufferPointer(start: name, count: strlen(name)))
}

/// A name as C takes it.
func chars(_ name: some Sequence<UInt8>) -> [CChar] { name.map { CChar(bitPattern: $0) } + [0] }
