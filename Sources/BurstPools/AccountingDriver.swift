internal import BurstModel
import CSys
import Glibc
import Synchronization

/// A directory whose size is counted now and then, a slice at a time; nothing is refused by the kernel.
final class AccountingDriver: CapacityDriver {
    /// So many names are looked at in a call.
    static let sliceNames = 20_000
    /// Hard links are counted once, as long as there are no more than so many.
    static let linksMax = 100_000

    let granularity: UInt64
    var kind: PoolDriver { .accounting }

    private struct Scan {
        /// Folders that are still to be read, relative to the buffer's.
        var waiting: [[UInt8]] = [[]]
        var links: Set<UInt64> = []
        var bytes: UInt64 = 0
        var inodes: UInt64 = 0
    }

    private struct Counted {
        var scan = Scan()
        /// Of the last scan that came to its end.
        var bytes: UInt64 = 0
        var inodes: UInt64 = 0
    }

    private let counted = Mutex<[PoolInventory.Name: Counted]>([:])

    init(granularity: UInt64) { self.granularity = granularity }

    func allocate(_ record: inout BufferRecord, _ place: PoolPlace) throws(PoolFault) {
        place.step("make the folder")
        _ = try Files.makeFolder(place.buffers, record.name.description, mode: 0o711, "\(place.path)/buffers")
    }

    func presence(_ record: BufferRecord, _ place: PoolPlace) -> Presence {
        Files.status(place.buffers, record.name.description) != nil ? .here : .absent
    }

    /// Goes on counting by one slice, and tells what the last whole count said, or what this one has so far if it is
    /// the first.
    func usage(_ record: BufferRecord, _ place: PoolPlace) throws(PoolFault) -> BufferUsage {
        var own = counted.withLock { $0[record.name] ?? Counted() }
        let folder = try place.buffer(record.name)
        let isWhole = Self.go(&own.scan, folder)
        if isWhole {
            own.bytes = own.scan.bytes
            own.inodes = own.scan.inodes
            own.scan = Scan()
        } else {
            own.bytes = max(own.bytes, own.scan.bytes)
            own.inodes = max(own.inodes, own.scan.inodes)
        }
        counted.withLock { [own] in $0[record.name] = own }
        return BufferUsage(
            bytes: own.bytes, bytesMax: record.granules * granularity, inodes: own.inodes, inodesMax: record.inodes,
            isSoft: true)
    }

    /// True when nothing is left to read.
    private static func go(_ scan: inout Scan, _ top: Descriptor) -> Bool {
        var looked = 0
        while looked < sliceNames, let path = scan.waiting.popLast() {
            let flags = O_RDONLY | O_DIRECTORY | withoutAccessTime
            let number = (path.isEmpty ? Array(".".utf8) : path).withUnsafeBufferPointer { bytes in
                let name = bytes.map { CChar(bitPattern: $0) } + [0]
                let opened = bb_open_without_links(top.number, name, flags, 0)
                // Of others' folders this is refused without root.
                return opened >= 0 || errno != EPERM
                    ? opened : bb_open_without_links(top.number, name, O_RDONLY | O_DIRECTORY, 0)
            }
            // Gone meanwhile, or closed to us, or too deep.
            guard number >= 0, let stream = fdopendir(number) else {
                if number >= 0 { close(number) }
                continue
            }
            defer { closedir(stream) }
            while let entry = readdir(stream) {
                let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                    pointer.withMemoryRebound(to: CChar.self, capacity: 256) {
                        UnsafeBufferPointer(start: $0, count: strlen($0)).map { UInt8(bitPattern: $0) }
                    }
                }
                if name == Array("..".utf8) || (name == Array(".".utf8) && !path.isEmpty) { continue }
                var status = stat()
                let isThere = (name.map { CChar(bitPattern: $0) } + [0]).withUnsafeBufferPointer {
                    fstatat(dirfd(stream), $0.baseAddress!, &status, AT_SYMLINK_NOFOLLOW) == 0
                }
                guard isThere else { continue }
                looked += 1
                let isFolder = status.st_mode & S_IFMT == S_IFDIR
                if !isFolder, status.st_nlink > 1, scan.links.count < linksMax {
                    guard scan.links.insert(UInt64(status.st_ino)).inserted else { continue }
                }
                scan.bytes += UInt64(status.st_blocks) * 512
                scan.inodes += 1
                if isFolder, name != Array(".".utf8) {
                    scan.waiting.append(path.isEmpty ? name : path + [UInt8(ascii: "/")] + name)
                }
            }
        }
        return scan.waiting.isEmpty
    }

    func resize(_ record: BufferRecord, from: BufferRecord, _ place: PoolPlace) throws(PoolFault) {}

    func release(_ record: BufferRecord, entry: String, _ place: PoolPlace) throws(PoolFault) {
        counted.withLock { _ = $0.removeValue(forKey: record.name) }
        place.step("move the folder")
        try moveFolder(record, entry: entry, place)
    }

    func remove(_ record: BufferRecord?, entry: String, _ place: PoolPlace) throws(PoolFault) -> Removal {
        place.step("remove the tree")
        return try removeNames(entry: entry, place)
    }
}

/// O_NOATIME, which Glibc shows to _GNU_SOURCE only.
private let withoutAccessTime: Int32 = 0o1000000
