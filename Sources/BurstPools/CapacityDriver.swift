package import BurstModel
import CSys
import Glibc

/// What a buffer holds and may hold.
package struct BufferUsage: Hashable, Sendable {
    package var bytes: UInt64
    package var bytesMax: UInt64
    /// nil: not known.
    package var inodes: UInt64?
    /// nil: not limited.
    package var inodesMax: UInt64?
    /// Counted by us, some time ago, and bound by nothing.
    package var isSoft: Bool

    package init(bytes: UInt64, bytesMax: UInt64, inodes: UInt64? = nil, inodesMax: UInt64? = nil, isSoft: Bool = false)
    {
        self.bytes = bytes
        self.bytesMax = bytesMax
        self.inodes = inodes
        self.inodesMax = inodesMax
        self.isSoft = isSoft
    }
}

/// What became of the data of a buffer in quarantine.
package enum Removal: Hashable, Sendable {
    case removed
    /// Something still holds on to it; to be tried again.
    case later(String)
}

/// Whether a driver works on a pool's file system, as this kernel and this user have it.
package struct DriverProbe: Hashable, Sendable {
    package var driver: PoolDriver
    /// nil: it works. Else one line.
    package var obstacle: String?

    package init(_ driver: PoolDriver, obstacle: String? = nil) {
        self.driver = driver
        self.obstacle = obstacle
    }
}

/// Keeps buffers within their size. Each call bears to be repeated, and to be continued after the program was killed in
/// the middle of it; each is called for one buffer by one thread at a time.
protocol CapacityDriver: Sendable {
    var kind: PoolDriver { get }

    /// Makes what holds the buffer's data, at `buffers/NAME`, with its limit set before the first byte; or makes what
    /// is missing of it. Numbers that it needs to find it again go into the record, which is written before the next
    /// call.
    func allocate(_ record: inout BufferRecord, _ place: PoolPlace) throws(PoolFault)

    /// Makes all that was made of a buffer outlive a power cut: called before the record says that it is ready.
    func settle(_ record: BufferRecord, _ place: PoolPlace) throws(PoolFault)

    /// Whether the data are where they should be.
    func presence(_ record: BufferRecord, _ place: PoolPlace) -> Presence

    func usage(_ record: BufferRecord, _ place: PoolPlace) throws(PoolFault) -> BufferUsage

    /// The record already has the new size.
    func resize(_ record: BufferRecord, from: BufferRecord, _ place: PoolPlace) throws(PoolFault)

    /// Moves the data out of the way into a folder of quarantine, in constant time. What is missing was moved before.
    func release(_ record: BufferRecord, entry: String, _ place: PoolPlace) throws(PoolFault)

    /// Removes what lies in a folder of quarantine, but for the record.
    /// - Parameter record: nil where it cannot be read.
    func remove(_ record: BufferRecord?, entry: String, _ place: PoolPlace) throws(PoolFault) -> Removal

    /// Adds what is of this driver's own kind and belongs to no record.
    func addStrays(_ records: [BufferRecord], _ inventory: inout PoolInventory, _ place: PoolPlace)

    /// Takes away one of those.
    func repair(_ leak: Leak, _ place: PoolPlace) throws(PoolFault)
}

/// Where a buffer's data are.
enum Presence: Hashable {
    case here
    /// Nothing, or not all of it, was made.
    case absent
    /// In a file system that is not mounted.
    case unmounted
    /// Gone with the last run of the machine.
    case lost
}

extension CapacityDriver {
    /// The folders that are new, those within first.
    func settle(_ record: BufferRecord, _ place: PoolPlace) throws(PoolFault) {
        let path = place.path(of: record.name)
        let top = try place.buffer(record.name)
        for folder in ["data/striped", "data/private", "stage", "data"] {
            try Files.sync(try Files.openFolder(top, folder, path), "\(path)/\(folder)")
        }
        try Files.sync(top, path)
        try Files.sync(place.buffers, "\(place.path)/buffers")
    }

    func addStrays(_ records: [BufferRecord], _ inventory: inout PoolInventory, _ place: PoolPlace) {}

    func repair(_ leak: Leak, _ place: PoolPlace) throws(PoolFault) {}

    /// Directories move as a whole.
    func moveFolder(_ record: BufferRecord, entry: String, _ place: PoolPlace) throws(PoolFault) {
        let folder = try place.entry(entry)
        try place.move(place.buffers, record.name.description, to: folder, "tree", place.path(of: record.name))
    }

    /// Removes all of an entry but the record.
    func removeNames(entry: String, _ place: PoolPlace) throws(PoolFault) -> Removal {
        let folder = try place.entry(entry)
        for name in Files.names(folder) where name != BufferRecord.file {
            if case .later(let reason) = TreeRemoval.remove(folder, name) { return .later(reason) }
        }
        return .removed
    }
}

/// Which driver a pool gets.
enum Drivers {
    static let btrfsType: UInt64 = 0x9123_683e
    static let xfsType: UInt64 = 0x5846_5342
    static let extType: UInt64 = 0xef53

    /// What works on a folder, best first (staging.md §4.3). tmpfs stands where it is asked for by name alone: what it
    /// holds is memory, and lost with the machine.
    static func probe(_ root: Descriptor, _ place: String) throws(PoolFault) -> [DriverProbe] {
        let type = try Files.fileSystem(root, place).type
        let isRoot = geteuid() == 0
        let needsRoot = isRoot ? nil : "needs root"
        let enforced = bb_project_enforced(root.number) == 1
        func project(_ driver: PoolDriver, _ wanted: UInt64, _ name: String) -> DriverProbe {
            if type != wanted { return DriverProbe(driver, obstacle: "the file system is not \(name)") }
            if let needsRoot { return DriverProbe(driver, obstacle: needsRoot) }
            if !enforced {
                return DriverProbe(
                    driver, obstacle: "project quotas are not enforced: mount with prjquota, on a kernel that has them")
            }
            return DriverProbe(driver)
        }
        let btrfs = type == btrfsType ? needsRoot : "the file system is not btrfs"
        var loop = needsRoot
        if loop == nil, access("/dev/loop-control", R_OK | W_OK) != 0 { loop = "there is no /dev/loop-control" }
        return [
            project(.xfsQuota, xfsType, "XFS"), project(.ext4Quota, extType, "ext4"),
            DriverProbe(.btrfs, obstacle: btrfs), DriverProbe(.loop, obstacle: loop),
            DriverProbe(.tmpfs, obstacle: needsRoot), DriverProbe(.accounting),
        ]
    }

    static func choose(
        _ settings: PoolSettings, _ root: Descriptor, _ place: String
    ) throws(PoolFault) -> PoolDriver {
        let probes = try probe(root, place)
        guard let wanted = settings.driver else {
            return probes.first { $0.obstacle == nil && $0.driver != .tmpfs }?.driver ?? .accounting
        }
        guard let obstacle = probes.first(where: { $0.driver == wanted })?.obstacle else { return wanted }
        let possible = probes.filter { $0.obstacle == nil }.map(\.driver.rawValue)
        throw PoolFault(
            .impossible, place, "driver \(wanted.rawValue) does not work here: \(obstacle)",
            "possible: \(possible.joined(separator: ", "))")
    }

    static func driver(_ kind: PoolDriver, image: PoolSettings.Image, granularity: UInt64) -> any CapacityDriver {
        switch kind {
        case .xfsQuota, .ext4Quota: ProjectDriver(kind: kind, granularity: granularity)
        case .btrfs: BtrfsDriver(granularity: granularity)
        case .loop: LoopDriver(image: image, granularity: granularity)
        case .tmpfs: TmpfsDriver(granularity: granularity)
        case .accounting: AccountingDriver(granularity: granularity)
        }
    }
}
