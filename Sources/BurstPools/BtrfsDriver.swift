internal import BurstModel
import CSys
import Glibc

/// A subvolume for each buffer, limited by a quota group of level 1, which subvolumes that users make within it join
/// where quotas are simple ones (Linux 6.7).
struct BtrfsDriver: CapacityDriver {
    /// How long a removal waits for the kernel's cleaner, milliseconds; then it is tried again later.
    static let cleanerMillisecondsMax = 10_000
    static let groupsMax: Int32 = 100_000

    let granularity: UInt64
    var kind: PoolDriver { .btrfs }

    func allocate(_ record: inout BufferRecord, _ place: PoolPlace) throws(PoolFault) {
        let path = place.path(of: record.name)
        if bb_btrfs_quota_state(place.root.number) == Int32(BB_QUOTA_OFF) {
            place.step("enable quotas")
            guard bb_btrfs_quota_enable(place.root.number) == 0 else { throw .system(place.path, "enable quotas") }
        }
        place.step("make the subvolume")
        if bb_btrfs_create(place.buffers.number, record.name.description) != 0, errno != EEXIST {
            throw .system(path, "be made")
        }
        let folder = try place.buffer(record.name)
        guard let id = subvolume(folder) else {
            throw PoolFault(.damaged, path, "is no subvolume", "remove it, nothing of ours has made it")
        }
        record.subvolume = id
        place.step("make the group")
        guard bb_btrfs_group_make(place.root.number, id) == 0 else { throw .system(path, "get a quota group") }
        place.step("set the limit")
        try limit(id, record.granules * granularity, place)
        guard fchmod(folder.number, 0o711) == 0 else { throw .system(path, "get mode 0711") }
    }

    private func subvolume(_ folder: Descriptor) -> UInt64? {
        var id: UInt64 = 0
        var isTop: Int32 = 0
        guard bb_btrfs_subvolume(folder.number, &id, &isTop) == 0, isTop != 0 else { return nil }
        return id
    }

    private func limit(_ id: UInt64, _ bytes: UInt64, _ place: PoolPlace) throws(PoolFault) {
        guard bb_btrfs_limit(place.root.number, bb_btrfs_group(id), bytes) == 0 else {
            throw .system("\(place.path): subvolume \(id)", "be limited")
        }
    }

    /// Limits are no part of what fsync(2) writes here; a commit is.
    func settle(_ record: BufferRecord, _ place: PoolPlace) throws(PoolFault) {
        guard bb_btrfs_commit(place.root.number) == 0 else { throw .system(place.path, "commit") }
    }

    func presence(_ record: BufferRecord, _ place: PoolPlace) -> Presence {
        guard record.subvolume != nil else { return .absent }
        return place.isForeign(place.buffers, record.name.description) ? .here : .absent
    }

    func usage(_ record: BufferRecord, _ place: PoolPlace) throws(PoolFault) -> BufferUsage {
        var bytes: UInt64 = 0
        var limit: UInt64 = 0
        guard let id = record.subvolume,
            bb_btrfs_usage(place.root.number, bb_btrfs_group(id), &bytes, &limit) == 0
        else { throw .system(place.path(of: record.name), "be asked for its usage") }
        return BufferUsage(bytes: bytes, bytesMax: limit == 0 ? record.granules * granularity : limit)
    }

    func resize(_ record: BufferRecord, from: BufferRecord, _ place: PoolPlace) throws(PoolFault) {
        guard let id = record.subvolume else { return }
        place.step("set the limit")
        try limit(id, record.granules * granularity, place)
        try settle(record, place)
    }

    func release(_ record: BufferRecord, entry: String, _ place: PoolPlace) throws(PoolFault) {
        place.step("move the subvolume")
        try moveFolder(record, entry: entry, place)
    }

    func remove(_ record: BufferRecord?, entry: String, _ place: PoolPlace) throws(PoolFault) -> Removal {
        let folder = try place.entry(entry)
        var id = record?.subvolume
        if var record, id == nil, let tree = try? Files.openFolder(folder, "tree", entry) {
            // Its allocation was cut short, and no record names the subvolume yet. Once it is deleted, nothing else
            // would lead to its group.
            id = subvolume(tree)
            record.subvolume = id
            try Files.write(Document.bytes(record), folder, BufferRecord.file, mode: 0o600, entry)
        }
        place.step("delete the subvolume")
        // Not empty: there are subvolumes of users in it, which go first.
        if bb_btrfs_destroy(folder.number, "tree") != 0, errno != ENOENT {
            if case .later(let reason) = TreeRemoval.remove(folder, "tree") { return .later(reason) }
        }
        guard let id else { return try removeNames(entry: entry, place) }
        place.step("wait for the cleaner")
        guard bb_btrfs_sync(place.root.number) == 0 else { throw .system(place.path, "be synced") }
        var waited: Int32 = 0
        while bb_btrfs_exists(place.root.number, id) == 1 {
            if waited >= Self.cleanerMillisecondsMax { return .later("the kernel still frees its space") }
            poll(nil, 0, 20)
            waited += 20
            if waited % 1000 == 0 { bb_btrfs_sync(place.root.number) }
        }
        place.step("forget the groups")
        // That of the subvolume first, since it is in the other one. The kernel takes it away itself in newer versions.
        for group in [id, bb_btrfs_group(id)] {
            while bb_btrfs_forget(place.root.number, group) != 0 {
                if errno == ENOENT || errno == EINVAL || errno == ENOTCONN { break }
                guard errno == EBUSY else { throw .system("\(place.path): group \(group)", "be forgotten") }
                // It stays in use until what was freed is committed.
                if waited >= Self.cleanerMillisecondsMax { return .later("its quota group is still in use") }
                bb_btrfs_sync(place.root.number)
                poll(nil, 0, 20)
                waited += 20
            }
        }
        return try removeNames(entry: entry, place)
    }

    func addStrays(_ records: [BufferRecord], _ inventory: inout PoolInventory, _ place: PoolPlace) {
        var ids = [UInt64](repeating: 0, count: Int(Self.groupsMax))
        let count = bb_btrfs_groups(place.root.number, &ids, Self.groupsMax)
        guard count > 0 else { return }
        let ours = Set(records.compactMap(\.subvolume))
        // Of level 1, those alone which are named after a subvolume, as ours are.
        for group in ids.prefix(Int(count)) {
            let id = group & 0xffff_ffff_ffff
            guard group >> 48 <= 1, id >= 256, !ours.contains(id), bb_btrfs_exists(place.root.number, id) == 0 else {
                continue
            }
            var bytes: UInt64 = 0
            var limit: UInt64 = 0
            bb_btrfs_usage(place.root.number, group, &bytes, &limit)
            inventory.groups.append(PoolInventory.Stray(name: "\(group >> 48)/\(id)", bytes: bytes))
        }
    }

    func repair(_ leak: Leak, _ place: PoolPlace) throws(PoolFault) {
        guard leak.kind == .strayGroup else { return }
        let parts = leak.name.split(separator: "/")
        guard parts.count == 2, let level = UInt64(parts[0]), let id = UInt64(parts[1]),
            bb_btrfs_exists(place.root.number, id) == 0
        else { return }
        if bb_btrfs_forget(place.root.number, level << 48 | id) != 0, errno != ENOENT {
            throw .system("\(place.path): group \(leak.name)", "be forgotten")
        }
    }
}
