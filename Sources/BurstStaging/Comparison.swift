import CSys
import Glibc
import Synchronization

/// Holds what another program copied against its source (staging.md §4.8): names, types, sizes, modes and times, and
/// from `inline` on every byte. What a copy may lack by its own rules is counted as degraded.
extension CopyWorker {
    static let missing = SystemFault("is missing in the copy", 0)

    static func differs(_ what: String) -> SystemFault { SystemFault("the copy differs: \(what)", 0) }

    /// Bits of a mode that go where owner or group could not be kept.
    static func kept(_ status: stat, _ there: stat) -> mode_t {
        var bits: mode_t = 0o1777
        if status.st_uid == there.st_uid { bits |= 0o4000 }
        if status.st_gid == there.st_gid { bits |= 0o2000 }
        return bits
    }

    /// - Returns: the source's status, and what the copy lacks.
    func compareFile(
        _ source: Int32, _ target: Int32, _ name: UnsafePointer<CChar>
    ) throws(SystemFault) -> (stat, Degraded) {
        let (from, status) = try openSource(source, name)
        defer { Glibc.close(from) }
        let to = bb_open_leaf(target, name, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0)
        guard to >= 0 else {
            switch errno {
            case ENOENT: throw Self.missing
            case ELOOP: throw Self.differs("type")
            default: throw SystemFault("open")
            }
        }
        defer { Glibc.close(to) }
        try run.seam?(.copied, to)
        var there = stat()
        _ = try check(fstat(to, &there), "stat")
        guard there.st_mode & S_IFMT == S_IFREG else { throw Self.differs("type") }
        guard there.st_size == status.st_size else { throw Self.differs("size") }
        let bits = Self.kept(status, there)
        guard there.st_mode & bits == status.st_mode & bits else { throw Self.differs("mode") }
        guard there.st_mtim.nanoseconds == status.st_mtim.nanoseconds else { throw Self.differs("time") }
        if run.syncs, run.bufferSync == nil { _ = try check(fdatasync(to), "fdatasync") }
        if run.order.verify >= .inline { try compareBytes(from, to, status) }
        guard try isSame(from, status) else { throw SystemFault.changed }
        var degraded = try metadata.missing(status, from: from, in: to, there)
        if status.st_nlink > 1, there.st_nlink == 1 { degraded.insert(.hardLink) }
        return (status, degraded)
    }

    private func compareBytes(_ from: Int32, _ to: Int32, _ status: stat) throws(SystemFault) {
        let size = Int64(status.st_size)
        let holes = ByteCopy.Holes(from, status)
        let drops = run.order.verify == .readback
        if drops, !run.syncs || run.bufferSync != nil { _ = try check(fdatasync(to), "fdatasync") }
        let wanted = try bytesOf.sum(of: from, like: from, from: 0, to: size, holes: holes, drops: false)
        let found: UInt32
        do throws(SystemFault) {
            found = try bytesOf.sum(of: to, like: from, from: 0, to: size, holes: holes, drops: drops)
        } catch {
            // Something stands where the source has a hole.
            throw error == .damaged ? Self.differs("content") : error
        }
        guard found == wanted else { throw Self.differs("content") }
        run.progress.bytesVerified.wrappingAdd(Int(size), ordering: .relaxed)
    }
}

extension StageRun {
    func compareFolder(
        _ directory: Directory, _ source: Int32, _ status: stat, _ target: Int32, _ there: stat,
        _ metadata: inout MetadataCopy
    ) throws(SystemFault) {
        // One that was there before is as whoever made it wanted it.
        if directory.setsMetadata {
            let bits = CopyWorker.kept(status, there)
            guard there.st_mode & bits == status.st_mode & bits else { throw CopyWorker.differs("mode") }
            var degraded = try metadata.missing(status, from: source, in: target, there)
            if there.st_mtim.nanoseconds != status.st_mtim.nanoseconds { degraded.insert(.time) }
            degrade(directory, nil, target: nil, degraded)
        }
        guard directory.comparison == .whole else { return }
        var listing = DirectoryListing()
        var extra: [CChar]?
        _ = lseek(target, 0, SEEK_SET)
        try listing.forEach(target) { name, length, _ in
            guard extra == nil, faccessat(source, name, F_OK, AT_SYMLINK_NOFOLLOW) != 0, errno == ENOENT else { return }
            extra = chars(UnsafeRawBufferPointer(start: name, count: length))
        }
        if let extra { throw CopyWorker.differs("it holds \(FileName.shown(bytes(extra))), which the source does not") }
    }
}
