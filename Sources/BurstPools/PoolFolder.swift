package import BurstModel
import CSys
import Glibc
import Synchronization

/// A pool of storage on this machine: its folder, its mark, its buffers (staging.md §4.2, §4.3).
///
/// Calls may come from any thread; those on one buffer come one after the other, a second one meanwhile is refused as
/// busy. They wait for the disk, and making a buffer of an image runs mkfs: never call them from a loop that must not
/// wait. Every change bears to be repeated after a kill at any point: `allocate` continues an allocation, `release` a
/// release, `removeQuarantined` a removal.
package final class PoolFolder: Sendable {
    /// What a caller is going to do.
    package enum Use: Sendable {
        /// Only look; another program may have the pool in use.
        case look
        /// Alone.
        case own
    }

    package let settings: PoolSettings
    /// By chance, from the pool's creation.
    package let id: String
    package let driver: PoolDriver
    /// Without symbolic links.
    package var path: String { place.path }
    /// Granules.
    package let quantity: UInt64

    let place: PoolPlace
    let capacity: any CapacityDriver
    let state: Mutex<State>
    /// Held as long as the pool is in use.
    private let lock: Descriptor?

    struct State {
        var records: [PoolInventory.Name: BufferRecord] = [:]
        /// Names of folders in quarantine and the granules they hold.
        var quarantined: [String: UInt64] = [:]
        /// Buffers that a call works on.
        var claimed: Set<PoolInventory.Name> = []
    }

    private init(
        _ settings: PoolSettings, _ mark: PoolMark, _ driver: PoolDriver, _ quantity: UInt64, _ place: PoolPlace,
        _ lock: Descriptor?
    ) throws(PoolFault) {
        self.settings = settings
        self.id = mark.id
        self.driver = driver
        self.quantity = quantity
        self.place = place
        self.lock = lock
        let image = PoolSettings.Image(rawValue: mark.image) ?? .ext4
        capacity = Drivers.driver(driver, image: image, granularity: mark.granularity)
        state = Mutex(try Self.load(place, granularity: mark.granularity))
    }

    // MARK: Creating

    /// What `create` found and did.
    package struct Created: Hashable, Sendable {
        package var driver: PoolDriver
        package var quantity: UInt64
        package var probes: [DriverProbe]
    }

    /// Prepares an empty folder and marks it, last of all: a creation that was cut short is simply done again.
    /// - Parameter onRoot: it may lie on the root file system, where a full pool stops the machine.
    @discardableResult
    package static func create(
        _ settings: PoolSettings, now: Timestamp, onRoot: Bool = false
    ) throws(PoolFault) -> Created {
        let (path, root) = try PoolPlace.anchor(settings.path)
        try checkFolder(Files.status(root), path)
        let isOnRoot = bb_is_on_root(root.number) != 0
        if isOnRoot, !onRoot {
            throw PoolFault(
                .impossible, path, "lies on the root file system",
                "mount a file system of its own there, or say so with --on-root")
        }
        let allowed: Set<String> = [".bb", "buffers", "mnt", "lost+found"]
        if let stranger = Files.names(root).first(where: { !allowed.contains($0) }) {
            throw PoolFault(.impossible, path, "holds \(stranger)", "a pool begins as an empty folder")
        }
        if let meta = try? Files.openFolder(root, ".bb", path), Files.status(meta, PoolMark.file) != nil {
            throw PoolFault(.impossible, path, "is a pool already", "check it with burst pool check \(settings.name)")
        }
        let driver = try Drivers.choose(settings, root, path)
        let facts = try Files.fileSystem(root, path)
        let (bytes, overflow) = facts.blocks.multipliedReportingOverflow(by: facts.block_bytes)
        let room = (overflow ? UInt64.max : bytes) / settings.granularity
        let quantity: UInt64
        switch settings.quantity {
        case .granules(let granules): quantity = granules
        case .all where driver == .tmpfs:
            throw PoolFault(
                .impossible, path, "quantity is \"all\"", "with driver tmpfs it has to be a number of granules")
        case .all: quantity = room
        }
        if driver != .tmpfs, quantity > room || quantity == 0 {
            throw PoolFault(
                .impossible, path,
                "\(quantity) granules of \(PoolText.size(settings.granularity)) are asked for and \(room) have room",
                "lower quantity in the settings")
        }
        if driver == .btrfs, bb_btrfs_quota_state(root.number) == Int32(BB_QUOTA_OFF),
            bb_btrfs_quota_enable(root.number) != 0
        {
            throw .system(path, "enable quotas")
        }
        try PoolPlace.make(path: path, root: root)
        let mark = PoolMark(
            id: identity(), name: settings.name, granularity: settings.granularity, quantity: quantity,
            driver: driver.rawValue, image: settings.image.rawValue, fileSystem: PoolMark.fileSystem(facts),
            isOnRoot: isOnRoot, createdAt: now.milliseconds)
        let meta = try Files.openFolder(root, ".bb", path)
        try Files.write(Document.bytes(mark), meta, PoolMark.file, mode: 0o644, "\(path)/.bb")
        try Files.sync(root, path)
        return Created(driver: driver, quantity: quantity, probes: try Drivers.probe(root, path))
    }

    /// What each driver would be able to do on a folder, best first.
    package static func probe(_ path: String) throws(PoolFault) -> [DriverProbe] {
        let (path, root) = try PoolPlace.anchor(path)
        return try Drivers.probe(root, path)
    }

    private static func identity() -> String {
        var random = SystemRandomNumberGenerator()
        let text = String(random.next() | 1 << 63, radix: 16)
        return text + String(random.next() | 1 << 63, radix: 16)
    }

    private static func checkFolder(_ status: stat, _ path: String) throws(PoolFault) {
        guard status.st_uid == geteuid() else {
            throw PoolFault(
                .unsafe, path, "belongs to user \(status.st_uid)",
                "it has to belong to user \(geteuid()), who runs this")
        }
        guard status.st_mode & 0o022 == 0 else {
            throw PoolFault(
                .unsafe, path, "may be written by others (mode \(String(status.st_mode & 0o7777, radix: 8)))",
                "its owner alone may: chmod go-w")
        }
    }

    // MARK: Opening

    deinit {
        // Not by closing alone: a program that is being started holds a copy of the descriptor until its exec, and a
        // pool whose settings changed is opened anew at once.
        if let lock { flock(lock.number, LOCK_UN) }
    }

    /// Opens a pool after all of its checks.
    /// - Throws: the first fault that `check` would tell.
    package static func open(
        _ settings: PoolSettings, for use: Use = .own, step: @escaping @Sendable (String) -> Void = { _ in }
    ) throws(PoolFault) -> PoolFolder {
        let (path, root) = try PoolPlace.anchor(settings.path)
        let mark = try readMark(settings, path, root)
        if let fault = faults(settings, mark, path, root).first { throw fault }
        let place = try PoolPlace(path: path, root: root, step: step)
        var lock: Descriptor?
        if use == .own {
            let number = bb_open_without_links(place.meta.number, "lock", O_RDWR | O_CREAT, 0o600)
            guard number >= 0 else { throw .system("\(path)/.bb/lock", "be opened") }
            let file = Descriptor(number)
            guard flock(number, LOCK_EX | LOCK_NB) == 0 else {
                throw PoolFault(.busy, path, "is in use by another burstd", "one at a time may have it")
            }
            lock = file
        }
        guard let driver = PoolDriver(rawValue: mark.driver) else {
            throw PoolFault(
                .damaged, path, "was made with driver \(mark.driver)", "this program does not know it: use a newer one")
        }
        let quantity: UInt64 = if case .granules(let granules) = settings.quantity { granules } else { mark.quantity }
        return try PoolFolder(settings, mark, driver, quantity, place, lock)
    }

    /// All that stands in the way of using a pool.
    package static func check(_ settings: PoolSettings) -> [PoolFault] {
        do throws(PoolFault) {
            let (path, root) = try PoolPlace.anchor(settings.path)
            let mark = try readMark(settings, path, root)
            return faults(settings, mark, path, root)
        } catch {
            return [error]
        }
    }

    private static func readMark(
        _ settings: PoolSettings, _ path: String, _ root: Descriptor
    ) throws(PoolFault) -> PoolMark {
        let place = "\(path)/.bb"
        guard let meta = try? Files.openFolder(root, ".bb", path),
            let bytes = try Files.read(meta, PoolMark.file, place)
        else {
            throw PoolFault(
                .unmarked, path, "has no mark of a pool",
                "mount its file system, or prepare it once with burst pool create \(settings.name)")
        }
        return try Document.value(PoolMark.self, bytes, version: PoolMark.version, "\(place)/\(PoolMark.file)")
    }

    private static func faults(
        _ settings: PoolSettings, _ mark: PoolMark, _ path: String, _ root: Descriptor
    ) -> [PoolFault] {
        var faults: [PoolFault] = []
        func add(_ kind: PoolFault.Kind, _ wrong: String, _ right: String) {
            faults.append(PoolFault(kind, path, wrong, right))
        }
        do throws(PoolFault) {
            let facts = try Files.fileSystem(root, path)
            let own = PoolMark.fileSystem(facts)
            if own != mark.fileSystem {
                add(
                    .unmarked, "lies on file system \(own), and was created on \(mark.fileSystem)",
                    "mount the one that it was created on")
            }
            if bb_is_on_root(root.number) != 0, !mark.isOnRoot {
                add(.unmarked, "lies on the root file system, where it was not created", "mount its own file system")
            }
            if let driver = PoolDriver(rawValue: mark.driver),
                let obstacle = try Drivers.probe(root, path).first(where: { $0.driver == driver })?.obstacle
            {
                add(.impossible, "driver \(driver.rawValue) does not work any more: \(obstacle)", "make it work again")
            }
            if mark.driver == PoolDriver.btrfs.rawValue {
                let state = bb_btrfs_quota_state(root.number)
                if state == Int32(BB_QUOTA_OFF) {
                    add(.impossible, "has its quotas off", "run btrfs quota enable --simple \(path)")
                } else if state == Int32(BB_QUOTA_INCONSISTENT) {
                    add(.impossible, "has quotas that do not agree with its data", "run btrfs quota rescan -w \(path)")
                }
            }
        } catch {
            faults.append(error)
        }
        if mark.name != settings.name {
            add(.impossible, "was created as pool \(mark.name)", "name it so, or use another folder")
        }
        if mark.granularity != settings.granularity {
            add(
                .impossible,
                "has granularity \(PoolText.size(settings.granularity)) in the settings and "
                    + "\(PoolText.size(mark.granularity)) since its creation", "set it back, or create the pool anew")
        }
        if let driver = settings.driver, driver.rawValue != mark.driver {
            add(
                .impossible, "has driver \(driver.rawValue) in the settings and \(mark.driver) since its creation",
                "set it back, or create the pool anew")
        }
        var statuses: [(String, stat?)] = [(path, Files.status(root))]
        for (folder, _) in PoolPlace.layout {
            let parts = folder.split(separator: "/").map(String.init)
            let parent = parts.count == 1 ? root : try? Files.openFolder(root, parts[0], path)
            statuses.append(("\(path)/\(folder)", parent.flatMap { Files.status($0, parts[parts.count - 1]) }))
        }
        for ((folder, status), mode) in zip(statuses, [PoolPlace.rootMode] + PoolPlace.layout.map(\.mode)) {
            guard let status, status.st_mode & S_IFMT == S_IFDIR else {
                faults.append(PoolFault(.unsafe, folder, "is no folder", "make it with mode \(String(mode, radix: 8))"))
                continue
            }
            do throws(PoolFault) { try checkFolder(status, folder) } catch { faults.append(error) }
            let extra = status.st_mode & 0o7777 & ~mode
            if status.st_mode & 0o022 == 0, extra != 0 {
                faults.append(
                    PoolFault(
                        .unsafe, folder, "has mode \(String(status.st_mode & 0o7777, radix: 8))",
                        "it has to be \(String(mode, radix: 8))"))
            }
        }
        return faults
    }

    /// Reads the records of buffers and of quarantine.
    private static func load(_ place: PoolPlace, granularity: UInt64) throws(PoolFault) -> State {
        var state = State()
        for name in Files.names(place.records) where name.hasSuffix(".json") {
            let path = "\(place.path)/.bb/\(PoolPlace.records)"
            guard let bytes = try Files.read(place.records, name, path) else { continue }
            let record = try Document.value(
                BufferRecord.self, bytes, version: BufferRecord.version, "\(path)/\(name)")
            guard file(record.name) == name else {
                throw PoolFault(.damaged, "\(path)/\(name)", "speaks of buffer \(record.name)", "move it away")
            }
            state.records[record.name] = record
        }
        for entry in Files.names(place.quarantine) {
            state.quarantined[entry] = entryRecord(entry, place)?.granules ?? 0
        }
        return state
    }

    static func file(_ name: PoolInventory.Name) -> String { "\(name).json" }

    /// The record in a folder of quarantine; nil where it has none that can be read.
    static func entryRecord(_ entry: String, _ place: PoolPlace) -> BufferRecord? {
        guard let folder = try? place.entry(entry),
            let bytes = try? Files.read(folder, BufferRecord.file, entry)
        else { return nil }
        return try? Document.value(BufferRecord.self, bytes, version: BufferRecord.version, entry)
    }

    // MARK: Accounts

    /// What is left to hand out. Buffers in quarantine still hold their granules (staging.md §4.3).
    package var account: PoolAccount { state.withLock { account(of: $0) } }

    func account(of state: State) -> PoolAccount {
        PoolAccount(
            quantity: quantity, live: state.records.values.reduce(0) { $0 + $1.granules },
            quarantined: state.quarantined.values.reduce(0, +), reservePercent: settings.metadataReservePercent)
    }

    /// Does something to a buffer while nobody else does.
    func claiming<Result>(
        _ name: PoolInventory.Name, _ body: () throws(PoolFault) -> Result
    ) throws(PoolFault) -> Result {
        guard state.withLock({ $0.claimed.insert(name).inserted }) else {
            throw PoolFault(.busy, "buffer \(name)", "is being worked on", "ask again when that is done")
        }
        defer { state.withLock { _ = $0.claimed.remove(name) } }
        return try body()
    }

    func record(_ name: PoolInventory.Name) throws(PoolFault) -> BufferRecord {
        if let record = state.withLock({ $0.records[name] }) { return record }
        throw PoolFault(.noBuffer, "pool \(settings.name)", "has no buffer \(name)")
    }

    func save(_ record: BufferRecord) throws(PoolFault) {
        try Files.write(
            Document.bytes(record), place.records, Self.file(record.name), mode: 0o600,
            "\(path)/.bb/\(PoolPlace.records)")
        state.withLock { $0.records[record.name] = record }
    }
}
