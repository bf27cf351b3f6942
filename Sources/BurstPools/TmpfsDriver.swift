internal import BurstModel
import CSys
import Glibc

/// A tmpfs for each buffer. A restart of the machine loses it, and nothing makes a new one in its place unasked.
struct TmpfsDriver: CapacityDriver {
    /// For the folders of the layout within.
    static let inodesOfLayout: UInt64 = 16

    let granularity: UInt64
    var kind: PoolDriver { .tmpfs }

    private func options(_ record: BufferRecord) -> String {
        "size=\(record.granules * granularity),nr_inodes=\(record.inodes + Self.inodesOfLayout),mode=0711"
    }

    func allocate(_ record: inout BufferRecord, _ place: PoolPlace) throws(PoolFault) {
        let path = place.path(of: record.name)
        place.step("make the mount point")
        _ = try Files.makeFolder(place.buffers, record.name.description, mode: 0o711, "\(place.path)/buffers")
        if place.isForeign(place.buffers, record.name.description) { return }
        record.boot = Files.bootID()
        place.step("mount")
        // Large pages where the kernel has them.
        if bb_mount("burst", path, "tmpfs", options(record) + ",huge=within_size") == 0 { return }
        guard bb_mount("burst", path, "tmpfs", options(record)) == 0 else { throw .system(path, "be mounted") }
    }

    func presence(_ record: BufferRecord, _ place: PoolPlace) -> Presence {
        if place.isForeign(place.buffers, record.name.description) { return .here }
        return record.isReady ? .lost : .absent
    }

    func usage(_ record: BufferRecord, _ place: PoolPlace) throws(PoolFault) -> BufferUsage {
        try mountedUsage(record, place)
    }

    func resize(_ record: BufferRecord, from: BufferRecord, _ place: PoolPlace) throws(PoolFault) {
        place.step("remount")
        let path = place.path(of: record.name)
        guard bb_remount(path, options(record)) == 0 else { throw .system(path, "be resized") }
    }

    func release(_ record: BufferRecord, entry: String, _ place: PoolPlace) throws(PoolFault) {
        try moveMount(record, entry: entry, place)
    }

    func remove(_ record: BufferRecord?, entry: String, _ place: PoolPlace) throws(PoolFault) -> Removal {
        place.step("unmount")
        if try !PoolPlace.unmount(place.path(ofEntry: entry) + "/tree") { return .later("somebody is still in it") }
        return try removeNames(entry: entry, place)
    }
}

extension CapacityDriver {
    /// Of a buffer that is a file system of its own.
    func mountedUsage(_ record: BufferRecord, _ place: PoolPlace) throws(PoolFault) -> BufferUsage {
        guard place.isForeign(place.buffers, record.name.description) else {
            throw PoolFault(.noBuffer, place.path(of: record.name), "is not mounted")
        }
        let facts = try Files.fileSystem(try place.buffer(record.name), place.path(of: record.name))
        let free = facts.available_blocks * facts.block_bytes
        let size = facts.blocks * facts.block_bytes
        let overhead = min(record.overhead ?? 0, size)
        let used = size - min(size, free)
        return BufferUsage(
            bytes: used - min(used, overhead), bytesMax: size - overhead,
            inodes: facts.inodes - min(facts.inodes, facts.free_inodes), inodesMax: facts.inodes)
    }

    /// Moves a mounted file system to quarantine without waiting for what is not written yet: it is mounted there a
    /// second time, then taken away here, so that it is never unmounted as a whole.
    func moveMount(_ record: BufferRecord, entry: String, _ place: PoolPlace) throws(PoolFault) {
        let path = place.path(of: record.name)
        let folder = try place.entry(entry)
        if place.isForeign(place.buffers, record.name.description) {
            place.step("make a mount point in quarantine")
            _ = try Files.makeFolder(folder, "tree", mode: 0o700, entry)
            if !place.isForeign(folder, "tree") {
                place.step("mount in quarantine")
                let there = place.path(ofEntry: entry) + "/tree"
                guard bb_bind(path, there) == 0 else { throw .system(path, "be moved to quarantine") }
            }
            place.step("unmount in the old place")
            while bb_unmount(path, 1) == 0 {}
            guard errno == EINVAL else { throw .system(path, "be unmounted") }
        }
        place.step("move the mount point")
        try place.move(place.buffers, record.name.description, to: folder, "point", path)
    }
}
