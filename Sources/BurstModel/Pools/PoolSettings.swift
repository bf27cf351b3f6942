/// How a pool keeps its buffers within their size (staging.md §4.3).
package enum PoolDriver: String, Hashable, Sendable, CaseIterable {
    /// A directory in an XFS project of its own.
    case xfsQuota = "xfs-quota"
    /// A directory in an ext4 project of its own. Root is not bound.
    case ext4Quota = "ext4-quota"
    /// A subvolume with a limit on its quota group. No limit on inodes.
    case btrfs
    /// A file system of its own in a sparse file. Works anywhere; as root only.
    case loop
    /// Memory; lost when the machine restarts.
    case tmpfs
    /// A directory whose size is counted now and then. Nothing is refused by the kernel.
    case accounting

    /// Whether the kernel refuses what is too much.
    package var isHard: Bool { self != .accounting }
    /// Whether it does so for root too.
    package var bindsRoot: Bool { isHard && self != .ext4Quota }
    /// Whether the number of files is limited too.
    package var limitsInodes: Bool { isHard && self != .btrfs }
    /// Whether buffers outlive a restart of the machine.
    package var isLasting: Bool { self != .tmpfs }
}

/// A pool as `burst.toml` has it.
package struct PoolSettings: Hashable, Sendable {
    /// The file system within a loop image.
    package enum Image: String, Hashable, Sendable, CaseIterable {
        case ext4
        case xfs
    }

    package enum Quantity: Hashable, Sendable {
        case granules(UInt64)
        /// As many as the file system has room for when the pool is created.
        case all
    }

    package static let poolsMax = 64
    package static let granularityMin: UInt64 = 1 << 20
    package static let granularityMax: UInt64 = 1 << 50
    package static let bytesPerInodeMin: UInt64 = 1024
    package static let bytesPerInodeMax: UInt64 = 1 << 30
    package static let threadsMax = 256

    /// `[A-Za-z0-9_.-]`, at most 64.
    package var name: String
    /// Absolute, without `.`, `..`, doubled or trailing slashes.
    package var path: String
    /// Bytes. What is asked for is rounded up to whole granules.
    package var granularity: UInt64
    package var quantity: Quantity
    /// nil: the best that the machine can do ("auto").
    package var driver: PoolDriver?
    package var image: Image
    /// One inode is allowed for each so many bytes of a buffer (staging.md §4.3).
    package var bytesPerInode: UInt64
    /// So much of the pool is never handed out: file systems need some for themselves.
    package var metadataReservePercent: Int
    /// How many threads copy for one session, at most; nil: twice the cores, at most 16 (staging.md §4.4).
    package var threads: Int?
    /// How fast all sessions of the pool together copy, at most; nil: no limit.
    package var bytesPerSecond: UInt64?
    package var filesPerSecond: UInt64?
    package var staging: StagingSettings

    package init(
        name: String, path: String, granularity: UInt64, quantity: Quantity, driver: PoolDriver? = nil,
        image: Image = .ext4, bytesPerInode: UInt64 = 16 << 10, metadataReservePercent: Int = 5, threads: Int? = nil,
        bytesPerSecond: UInt64? = nil, filesPerSecond: UInt64? = nil, staging: StagingSettings = StagingSettings()
    ) {
        self.name = name
        self.path = path
        self.granularity = granularity
        self.quantity = quantity
        self.driver = driver
        self.image = image
        self.bytesPerInode = bytesPerInode
        self.metadataReservePercent = metadataReservePercent
        self.threads = threads
        self.bytesPerSecond = bytesPerSecond
        self.filesPerSecond = filesPerSecond
        self.staging = staging
    }
}

/// Names that become parts of paths: of pools, of sessions (staging.md §4.2).
package enum PoolName {
    package static let bytesMax = 64
    package static let rule = "use letters, digits, dots, dashes and underscores, at most \(bytesMax)"

    package static func isName(_ text: some StringProtocol) -> Bool {
        let bytes = text.utf8
        guard !bytes.isEmpty, bytes.count <= bytesMax, text != ".", text != ".." else { return false }
        return bytes.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: "-"):
                true
            default: false
            }
        }
    }
}

/// What a pool hands out and has handed out. Everything is in granules (staging.md §4.3, "Accounting truth").
package struct PoolAccount: Hashable, Sendable {
    package var quantity: UInt64
    package var live: UInt64
    package var quarantined: UInt64
    package var reservePercent: Int

    package init(quantity: UInt64, live: UInt64 = 0, quarantined: UInt64 = 0, reservePercent: Int = 5) {
        self.quantity = quantity
        self.live = live
        self.quarantined = quarantined
        self.reservePercent = reservePercent
    }

    /// Rounded up; a pool of one granule with any reserve has nothing to give.
    package var reserve: UInt64 {
        let (product, overflow) = quantity.multipliedReportingOverflow(by: UInt64(reservePercent))
        if overflow { return quantity / 100 * UInt64(reservePercent) }
        return product / 100 + (product % 100 == 0 ? 0 : 1)
    }

    /// Never below zero, also where more was handed out than the pool now has.
    package var free: UInt64 {
        var free = quantity
        for part in [live, quarantined, reserve] { free -= min(free, part) }
        return free
    }

    /// How many granules hold so many bytes. At least one.
    package static func granules(bytes: UInt64, granularity: UInt64) -> UInt64 {
        max(1, bytes / granularity + (bytes % granularity == 0 ? 0 : 1))
    }
}
