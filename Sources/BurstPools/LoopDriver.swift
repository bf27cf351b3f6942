internal import BurstModel
import CSys
import Glibc

/// A file system of its own in a sparse file for each buffer. The file is a little larger than the buffer, for what the
/// file system needs itself, so that what was asked for can be stored; the pool's reserve pays for it.
struct LoopDriver: CapacityDriver {
    /// So long a mkfs may take, milliseconds.
    static let formatMillisecondsMax: Int32 = 600_000
    /// How long a removal waits for the kernel to let a device go, milliseconds.
    static let detachMillisecondsMax: Int32 = 2000
    /// mkfs.xfs refuses less.
    static let xfsBytesMin: UInt64 = 300 << 20
    private static let xfsLogBytes: UInt64 = 64 << 20
    private static let xfsReserveMax: UInt64 = 32 << 20
    private static let inodeBytes: UInt64 = 256
    private static let xfsInodeBytes: UInt64 = 512
    private static let blockBytes: UInt64 = 4096
    /// A group of ext4: what one block of bits stands for.
    private static let groupBytes: UInt64 = 128 << 20
    private static let growthMax: UInt64 = 16
    /// mkfs.ext4 takes no more for this.
    private static let blocksMax: UInt64 = (1 << 32) - 1
    /// For the folders of the layout and what ext4 keeps for itself.
    private static let inodesOfLayout: UInt64 = 32

    let image: PoolSettings.Image
    let granularity: UInt64
    var kind: PoolDriver { .loop }

    /// How large the file is so that `record` fits into it.
    func imageBytes(_ record: BufferRecord) -> UInt64 {
        let bytes = record.granules * granularity
        let whole: UInt64
        switch image {
        case .ext4:
            let inodes = (record.inodes + Self.inodesOfLayout) * Self.inodeBytes
            let groups = (bytes + inodes) / Self.groupBytes + 1
            // Bitmaps, descriptors, copies of the superblock; inode tables are rounded up in each group.
            whole = bytes + inodes + journalBytes(bytes) + groups * 8 * Self.blockBytes + (1 << 20)
        case .xfs:
            // What XFS keeps back: a twentieth up to 32 MiB, and some for its trees.
            let reserve = min(bytes / 20, Self.xfsReserveMax) + bytes / 100 + (16 << 20)
            whole = max(Self.xfsBytesMin, bytes + Self.xfsLogBytes + reserve)
        }
        let mebibyte: UInt64 = 1 << 20
        return (whole + mebibyte - 1) / mebibyte * mebibyte
    }

    private func journalBytes(_ bytes: UInt64) -> UInt64 { bytes < 1 << 30 ? 4 << 20 : 64 << 20 }

    private func file(_ record: BufferRecord) -> String { "\(record.name).img" }

    func allocate(_ record: inout BufferRecord, _ place: PoolPlace) throws(PoolFault) {
        let path = place.path(of: record.name)
        let file = file(record)
        // Under its name a file is formatted.
        if Files.status(place.images, file) == nil { try format(record, place) }
        place.step("make the mount point")
        _ = try Files.makeFolder(place.buffers, record.name.description, mode: 0o711, "\(place.path)/buffers")
        if place.isForeign(place.buffers, record.name.description) { return }
        let number = bb_open_without_links(place.images.number, file, O_RDWR, 0)
        guard number >= 0 else { throw .system(place.path(ofImage: file), "be opened") }
        let image = Descriptor(number)
        place.step("attach a loop device")
        var device = [CChar](repeating: 0, count: 64)
        let attached = bb_loop_attach(image.number, 1, &device, device.count)
        guard attached >= 0 else { throw .system(place.path(ofImage: file), "be attached to a loop device") }
        // From here on the mount keeps it.
        let held = Descriptor(attached)
        place.step("mount")
        let name = device.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
        guard bb_mount(name, path, self.image.rawValue, nil) == 0 else { throw .system(path, "be mounted") }
        let top = try place.buffer(record.name)
        guard fchmod(top.number, 0o711) == 0 else { throw .system(path, "get mode 0711") }
        withExtendedLifetime(held) {}
        if !record.isReady {
            let facts = try Files.fileSystem(top, path)
            record.overhead = (facts.blocks - min(facts.blocks, facts.available_blocks)) * facts.block_bytes
        }
    }

    private func format(_ record: BufferRecord, _ place: PoolPlace) throws(PoolFault) {
        let new = file(record) + ".new"
        let path = place.path(ofImage: new)
        place.step("make the image")
        unlinkat(place.images.number, new, 0)
        let number = bb_open_without_links(place.images.number, new, O_RDWR | O_CREAT | O_EXCL, 0o600)
        guard number >= 0 else { throw .system(path, "be made") }
        let image = Descriptor(number)
        guard ftruncate(number, Int(imageBytes(record))) == 0 else { throw .system(path, "get its size") }
        place.step("format")
        switch self.image {
        case .ext4:
            let blocks = imageBytes(record) / Self.blockBytes
            let journal = journalBytes(record.granules * granularity) >> 20
            try Program.run(
                "mkfs.ext4",
                [
                    "-q", "-F", "-m", "0", "-b", "\(Self.blockBytes)", "-I", "\(Self.inodeBytes)",
                    "-N", "\(record.inodes + Self.inodesOfLayout)", "-J", "size=\(journal)",
                    // Room in its tables to grow that much while it is mounted.
                    "-E",
                    "resize=\(min(blocks * Self.growthMax, Self.blocksMax)),nodiscard,root_owner=0:0"
                        + ",lazy_itable_init=1,lazy_journal_init=1",
                    "--", path,
                ], limitMilliseconds: Self.formatMillisecondsMax)
        case .xfs:
            let percent = min(100, (record.inodes + 64) * Self.xfsInodeBytes * 100 / imageBytes(record) + 1)
            try Program.run(
                "mkfs.xfs",
                ["-q", "-f", "-K", "-l", "size=\(Self.xfsLogBytes)", "-i", "maxpct=\(percent)", "--", path],
                limitMilliseconds: Self.formatMillisecondsMax)
        }
        guard fsync(number) == 0 else { throw .system(path, "be made durable") }
        withExtendedLifetime(image) {}
        place.step("name the image")
        guard renameat(place.images.number, new, place.images.number, file(record)) == 0 else {
            throw .system(path, "get its name")
        }
        try Files.sync(place.images, "\(place.path)/.bb/images")
    }

    func presence(_ record: BufferRecord, _ place: PoolPlace) -> Presence {
        if place.isForeign(place.buffers, record.name.description) { return .here }
        return Files.status(place.images, file(record)) != nil ? .unmounted : .absent
    }

    func usage(_ record: BufferRecord, _ place: PoolPlace) throws(PoolFault) -> BufferUsage {
        try mountedUsage(record, place)
    }

    func resize(_ record: BufferRecord, from: BufferRecord, _ place: PoolPlace) throws(PoolFault) {
        let path = place.path(of: record.name)
        guard record.granules >= from.granules else {
            throw PoolFault(.impossible, path, "a mounted image cannot become smaller", "copy into a new buffer")
        }
        guard let device = device(record, place) else { throw PoolFault(.noBuffer, path, "is not mounted") }
        let bytes = imageBytes(record)
        place.step("grow the image")
        let number = bb_open_without_links(place.images.number, file(record), O_RDWR, 0)
        guard number >= 0 else { throw .system(place.path(ofImage: file(record)), "be opened") }
        let image = Descriptor(number)
        guard ftruncate(image.number, Int(bytes)) == 0 else { throw .system(path, "grow") }
        place.step("grow the device")
        guard bb_loop_grow(device) == 0 else { throw .system(path, "grow") }
        place.step("grow the file system")
        let top = try place.buffer(record.name)
        if bb_file_system_grow(top.number, bytes) != 0 {
            if errno == EPERM, self.image == .ext4 {
                throw PoolFault(
                    .impossible, path, "cannot grow while it is mounted",
                    "ext4 does so with CAP_SYS_RESOURCE alone, which this process has not; image = \"xfs\" needs none")
            }
            throw .system(path, "grow")
        }
    }

    /// The device that a buffer is mounted from.
    private func device(_ record: BufferRecord, _ place: PoolPlace) -> String? {
        guard let image = Files.status(place.images, file(record)) else { return nil }
        return LoopDevice.all().first { $0.holds(image) }?.path
    }

    func release(_ record: BufferRecord, entry: String, _ place: PoolPlace) throws(PoolFault) {
        let folder = try place.entry(entry)
        try moveMount(record, entry: entry, place)
        for (name, new) in [(file(record), "image"), (file(record) + ".new", "image.new")] {
            place.step("move \(new)")
            try place.move(place.images, name, to: folder, new, place.path(ofImage: name))
        }
    }

    func remove(_ record: BufferRecord?, entry: String, _ place: PoolPlace) throws(PoolFault) -> Removal {
        let folder = try place.entry(entry)
        if place.isForeign(folder, "tree") {
            place.step("shut the file system")
            // Nothing of it is wanted any more, also not what is not written yet; users who are still in get EIO.
            if let top = try? Files.openFolder(folder, "tree", entry) { bb_file_system_shut(top.number) }
            place.step("unmount")
            if try !PoolPlace.unmount(place.path(ofEntry: entry) + "/tree") { return .later("somebody is still in it") }
        }
        if let image = Files.status(folder, "image") {
            var waited: Int32 = 0
            while let device = LoopDevice.all().first(where: { $0.holds(image) }) {
                if waited >= Self.detachMillisecondsMax { return .later("\(device.path) is still in use") }
                poll(nil, 0, 10)
                waited += 10
            }
        }
        place.step("remove the image")
        return try removeNames(entry: entry, place)
    }

    func addStrays(_ records: [BufferRecord], _ inventory: inout PoolInventory, _ place: PoolPlace) {
        let files = Set(records.flatMap { [file($0), file($0) + ".new"] })
        for name in Files.names(place.images) where !files.contains(name) {
            guard let status = Files.status(place.images, name) else { continue }
            inventory.images.append(
                PoolInventory.Stray(
                    name: name, bytes: UInt64(status.st_blocks) * 512,
                    since: Timestamp(milliseconds: Int64(status.st_ctim.tv_sec) * 1000)))
        }
        let mounted = Set(MountTable.read().map(\.source))
        for device in LoopDevice.all() {
            guard let file = device.file(below: place.path + "/.bb/") else { continue }
            let isOfRecord = file.hasPrefix("images/") && files.contains(String(file.dropFirst(7)))
            // In quarantine it goes with its entry.
            let isOfEntry = file.hasPrefix("quarantine/") && !file.hasSuffix(LoopDevice.deleted)
            if !isOfRecord && !isOfEntry || (!mounted.contains(device.path) && !isOfEntry) {
                inventory.loops.append(PoolInventory.Stray(name: device.path))
            }
        }
    }

    func repair(_ leak: Leak, _ place: PoolPlace) throws(PoolFault) {
        switch leak.kind {
        case .strayImage:
            if unlinkat(place.images.number, leak.name, 0) != 0, errno != ENOENT {
                throw .system(place.path(ofImage: leak.name), "be removed")
            }
        case .strayLoop:
            guard
                LoopDevice.all().contains(where: { $0.path == leak.name && $0.file(below: place.path + "/.bb/") != nil }
                )
            else { return }
            if bb_loop_detach(leak.name) != 0, errno != ENXIO { throw .system(leak.name, "be detached") }
        default: return
        }
    }
}

/// A loop device that has a file.
struct LoopDevice {
    /// What the kernel adds to the name of a file that is gone.
    static let deleted = " (deleted)"

    /// `/dev/loopN`
    var path: String
    /// The file's path, as the kernel has it.
    var file: String

    func file(below folder: String) -> String? {
        file.hasPrefix(folder) ? String(file.dropFirst(folder.count)) : nil
    }

    func holds(_ image: stat) -> Bool {
        var device: UInt64 = 0
        var inode: UInt64 = 0
        var isDirect: Int32 = 0
        guard bb_loop_backing(path, &device, &inode, &isDirect) == 0 else { return false }
        return inode == UInt64(image.st_ino) && device == UInt64(image.st_dev)
    }

    static func all() -> [LoopDevice] {
        let number = open("/sys/block", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard number >= 0 else { return [] }
        let folder = Descriptor(number)
        return Files.names(folder).compactMap { name in
            guard name.hasPrefix("loop") else { return nil }
            let file = open("/sys/block/\(name)/loop/backing_file", O_RDONLY | O_CLOEXEC)
            guard file >= 0 else { return nil }
            defer { close(file) }
            var bytes = [UInt8](repeating: 0, count: 8192)
            let count = read(file, &bytes, bytes.count)
            guard count > 0 else { return nil }
            let text = String(decoding: bytes[..<count].prefix { $0 != 10 }, as: UTF8.self)
            return LoopDevice(path: "/dev/\(name)", file: text)
        }
    }
}
