import CSys
import Glibc

/// Walks what an order names once, to cut it into parts: the same walk as `Planner`'s, of which only paths and sizes
/// are kept (staging.md §4.8).
final class PlanSurvey {
    private let order: StageOrder
    private let anchors: Anchors
    private let cache = DirectoryCache(most: 64, leftovers: nil)
    private var listing = DirectoryListing()
    private var cutter = PlanCutter()

    init(_ order: StageOrder, buffer: Int32) {
        self.order = order
        anchors = Anchors(buffer: buffer, syncs: false)
    }

    /// What cannot be looked at is left to the run that finishes, which says so.
    func survey() -> PlanCutter {
        for (index, transfer) in order.transfers.enumerated() {
            switch transfer.kind {
            case .directory:
                guard let source = try? anchors.open(transfer.source) else { continue }
                walk(index, source)
            case .file:
                add(index, [], size(of: transfer.source))
            case .list:
                // As many files as it has lines of a usual length.
                add(index, [], size(of: transfer.source) / Self.lineBytes * PlanCutter.fileCost)
            }
        }
        return cutter
    }

    private static let lineBytes: Int64 = 64

    private func add(_ transfer: Int, _ path: [UInt8], _ bytes: Int64, _ inode: PlanCutter.Inode? = nil) {
        cutter.add(Array("\(transfer)/".utf8) + path, bytes: bytes, inode: inode)
    }

    private func size(of place: StageOrder.Place) -> Int64 {
        guard let (folder, name) = try? anchors.folder(of: place, followsLink: true),
            let fd = try? anchors.open(folder)
        else { return 0 }
        defer { close(fd) }
        var status = stat()
        return fstatat(fd, chars(name), &status, AT_SYMLINK_NOFOLLOW) == 0 ? Int64(status.st_size) : 0
    }

    private func walk(_ index: Int, _ source: Int32) {
        let top = Directory(
            source: source, target: -1, key: .zero, transfer: index, wasMade: false, isWhole: false,
            top: ([], []), cache: cache)
        var stack = [top]
        while let directory = stack.popLast() {
            guard let fd = try? directory.pinSource() else { continue }
            defer { directory.unpin() }
            var found: [Directory] = []
            _ = lseek(fd, 0, SEEK_SET)
            try? listing.forEach(fd) { name, length, type in
                var status = stat()
                if type != UInt8(DT_DIR), fstatat(fd, name, &status, AT_SYMLINK_NOFOLLOW) != 0 { return }
                switch type == UInt8(DT_DIR) ? S_IFDIR : status.st_mode & S_IFMT {
                case S_IFDIR:
                    found.append(Directory(directory, chars(UnsafeRawBufferPointer(start: name, count: length))))
                case S_IFREG, S_IFLNK:
                    let inode = PlanCutter.Inode(device: UInt64(status.st_dev), number: UInt64(status.st_ino))
                    add(
                        index, directory.path(name),
                        Int64(Progress.work(size: Int64(status.st_size), blocks: Int64(status.st_blocks))),
                        status.st_nlink > 1 ? inode : nil)
                // Empty folders and what is skipped: the run that finishes sees to them.
                default: break
                }
            }
            stack += found.reversed()
        }
        cache.clear()
    }
}
