import CSys
import Glibc
import Synchronization

/// Walks what is to be staged and hands it out as it goes; copying starts with the first batch (staging.md §4.4, step
/// 1).
final class Planner {
    let run: StageRun
    private let anchors: Anchors
    private var batch = Batch()
    private var groups: [Inode: Names] = [:]
    private var metadata = MetadataCopy()
    private var listing = DirectoryListing()
    private var bytesNeeded: UInt64 = 0
    private var inodesNeeded: UInt64 = 0

    private struct Inode: Hashable {
        var device: UInt64
        var inode: UInt64
    }

    private struct Names {
        var group: LinkGroup
        /// Not met so far.
        var left: Int
    }

    /// A batch for threads that have nothing to do.
    private static let hungryEntries = 128

    init(_ run: StageRun, _ anchors: Anchors) {
        self.run = run
        self.anchors = anchors
    }

    func plan() {
        if let part = run.order.part, let parts = run.order.parts {
            do {
                try planPart(PartFolder(path: parts).list(part))
            } catch {
                run.fail(parts, [], error)
            }
            return end()
        }
        for (index, transfer) in run.order.transfers.enumerated() where !run.isStopping {
            do {
                switch transfer.kind {
                case .directory: try planDirectory(index, transfer)
                case .file: try planFile(index, transfer)
                case .list: try planList(index, transfer)
                }
            } catch {
                run.fail(transfer.source.bytes, transfer.destination.bytes, error)
            }
            forgetFolders()
        }
        end()
    }

    private func end() {
        push()
        if !run.isStopping { run.progress.isPlanned.store(true, ordering: .relaxed) }
        run.queue.close()
    }

    // MARK: Directories

    private func planDirectory(_ index: Int, _ transfer: StageOrder.Transfer) throws(SystemFault) {
        walk(try openTop(index, transfer, isPart: false))
    }

    /// Both ends of a transfer.
    func openTop(_ index: Int, _ transfer: StageOrder.Transfer, isPart: Bool) throws(SystemFault) -> Directory {
        let source = try retrying { () throws(SystemFault) in try anchors.open(transfer.source) }
        if let copy = run.order.compared?[index] { return try openCompared(index, transfer, source, copy) }
        let (target, isNew): (Int32, Bool)
        do {
            (target, isNew) = try anchors.make(transfer.destination) { () throws(SystemFault) in
                guard run.note(.madeRoot(UInt32(index))) else { throw SystemFault.cancelled }
            }
        } catch {
            close(source)
            throw error
        }
        return Directory(
            source: source, target: target, key: topKey(index, []), transfer: index,
            wasMade: isNew || run.past.madeRoots.contains(UInt32(index)), isWhole: true, isPart: isPart,
            top: (transfer.source.bytes, transfer.destination.bytes), cache: run.cache)
    }

    private func openCompared(
        _ index: Int, _ transfer: StageOrder.Transfer, _ source: Int32, _ copy: StageOrder.Place
    ) throws(SystemFault) -> Directory {
        let target: Int32
        do {
            target = try retrying { () throws(SystemFault) in try anchors.open(copy) }
        } catch {
            close(source)
            throw error
        }
        // One that lies elsewhere until it was compared is a copy and nothing else.
        let isWhole = copy != transfer.destination
        return Directory(
            source: source, target: target, key: topKey(index, []), transfer: index, wasMade: isWhole, isWhole: true,
            comparison: isWhole ? .whole : .within, top: (transfer.source.bytes, transfer.destination.bytes),
            cache: run.cache)
    }

    private func topKey(_ index: Int, _ path: [UInt8]) -> Key {
        var key = Key.zero
        key.mix(UInt64(index))
        key.mix(path)
        return key
    }

    func retrying<Value>(_ body: () throws(SystemFault) -> Value) throws(SystemFault) -> Value {
        var attempt = 1
        while true {
            do {
                return try body()
            } catch {
                guard run.waits(afterTry: attempt, error) else { throw error }
                attempt += 1
            }
        }
    }

    private func walk(_ top: Directory) {
        var stack = [top]
        run.progress.directoriesTotal.wrappingAdd(1, ordering: .relaxed)
        while let directory = stack.popLast() {
            if run.isStopping { return }
            do {
                try walk(directory, top, &stack)
                directory.noteWalked()
            } catch {
                run.fail(directory, nil, target: nil, error)
            }
            run.release(directory, &metadata)
        }
    }

    private func walk(_ directory: Directory, _ top: Directory, _ stack: inout [Directory]) throws(SystemFault) {
        let source = try retrying { () throws(SystemFault) in try directory.pinSource() }
        defer { directory.unpin() }
        if directory !== top, directory.isSource(sameAs: top) { throw SystemFault("destination within source", ELOOP) }
        needs(0, inodes: 1)
        var found: [Directory] = []
        // A second descriptor's place in the directory is its own, should this one be used before.
        _ = lseek(source, 0, SEEK_SET)
        try listing.forEach(source) { name, length, type in
            if run.isStopping { return }
            if UnsafeRawBufferPointer(start: name, count: length).starts(with: run.temporaries.prefix) { return }
            var kind = mode_t(0)
            var status = stat()
            if type != UInt8(DT_DIR) {
                guard fstatat(source, name, &status, AT_SYMLINK_NOFOLLOW) == 0 else {
                    // Gone since it was listed, or not to be seen.
                    if errno != ENOENT { run.fail(directory, name, target: nil, SystemFault("stat")) }
                    return
                }
                kind = status.st_mode & S_IFMT
            }
            if type == UInt8(DT_DIR) || kind == S_IFDIR {
                directory.pending.wrappingAdd(1, ordering: .relaxed)
                run.progress.directoriesTotal.wrappingAdd(1, ordering: .relaxed)
                found.append(Directory(directory, chars(UnsafeRawBufferPointer(start: name, count: length))))
            } else {
                add(directory, name, name, status, groups: directory.comparison == .none)
            }
        }
        stack += found.reversed()
    }

    func release(_ directory: Directory) { run.release(directory, &metadata) }

    // MARK: Entries

    func add(
        _ directory: Directory, _ name: UnsafePointer<CChar>, _ target: UnsafePointer<CChar>, _ status: stat,
        groups isGrouped: Bool
    ) {
        let kind: Batch.Kind
        switch status.st_mode & S_IFMT {
        case S_IFREG: kind = .file
        case S_IFLNK: kind = .symlink
        case S_IFIFO: return run.skip(directory, name, "a fifo")
        case S_IFSOCK: return run.skip(directory, name, "a socket")
        case S_IFCHR, S_IFBLK: return run.skip(directory, name, "a device")
        default: return run.skip(directory, name, "of no known type")
        }
        let progress = run.progress
        var group: LinkGroup?
        if isGrouped, status.st_nlink > 1 {
            let inode = Inode(device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
            if var names = groups[inode] {
                names.left -= 1
                groups[inode] = names.left > 0 ? names : nil
                progress.linksTotal.wrappingAdd(1, ordering: .relaxed)
                batch.add(directory, name, .link, size: 0, modified: 0, group: names.group)
                return pushIfFull()
            }
            let new = LinkGroup()
            groups[inode] = Names(group: new, left: Int(status.st_nlink) - 1)
            group = new
        }
        let modified = status.st_mtim.nanoseconds
        if kind == .symlink {
            progress.linksTotal.wrappingAdd(1, ordering: .relaxed)
            needs(0, inodes: 1)
            batch.add(directory, name, target: target, .symlink, size: 0, modified: modified, group: group)
            return pushIfFull()
        }
        let size = Int64(status.st_size)
        progress.filesTotal.wrappingAdd(1, ordering: .relaxed)
        progress.bytesTotal.wrappingAdd(Int(size), ordering: .relaxed)
        let work = Progress.work(size: size, blocks: Int64(status.st_blocks))
        needs(UInt64(work), inodes: 1)
        progress.workTotal.wrappingAdd(work, ordering: .relaxed)
        let isRecorded =
            !run.past.done.isEmpty && run.past.done.contains(Identity(status).key(directory.key, target))
        if size >= run.order.largeBytes, directory.comparison == .none {
            run.queue.push(
                LargeFile(
                    directory, name, target: target, size: size, work: work, partBytes: run.order.partBytes,
                    group: group, isRecorded: isRecorded))
            return
        }
        batch.add(
            directory, name, target: name == target ? nil : target, .file, size: size,
            blocks: Int64(status.st_blocks), modified: modified,
            group: group, isRecorded: isRecorded)
        pushIfFull()
    }

    /// Stops before what cannot fit is copied.
    private func needs(_ bytes: UInt64, inodes: UInt64) {
        bytesNeeded += bytes
        inodesNeeded += inodes
        let order = run.order
        if order.capacityBytes > 0, bytesNeeded > order.capacityBytes {
            run.stopFull(
                StageMessage.full(
                    phase: order.phase, needed: bytesNeeded, capacity: order.capacityBytes, session: order.token))
        } else if order.capacityInodes > 0, inodesNeeded > order.capacityInodes {
            run.stopFull(
                StageMessage.fullOfInodes(
                    phase: order.phase, capacity: order.capacityInodes, session: order.token))
        }
    }

    private func pushIfFull() {
        if batch.isFull(entries: run.order.batchFiles, parts: run.batchPartsMax) {
            push()
        } else if batch.entries.count % Self.hungryEntries == 0, run.queue.isHungry {
            push()
        }
    }

    private func push() {
        guard !batch.isEmpty else { return }
        let full = batch
        batch = Batch()
        run.queue.push(full)
    }

    // MARK: Single files

    private struct Folders: Hashable {
        var source: StageOrder.Place
        var target: StageOrder.Place
    }

    private var folders: [Folders: Directory] = [:]

    func planFile(_ index: Int, _ transfer: StageOrder.Transfer) throws(SystemFault) {
        try planFile(index, transfer.source, transfer.destination)
    }

    private func planFile(
        _ index: Int, _ source: StageOrder.Place, _ destination: StageOrder.Place
    ) throws(SystemFault) {
        let (sourceFolder, sourceName) = try anchors.folder(of: source, followsLink: true)
        let (targetFolder, targetName) = try anchors.folder(of: destination, followsLink: false)
        let directory = try folder(index, Folders(source: sourceFolder, target: targetFolder))
        let name = chars(sourceName)
        var status = stat()
        let fd = try directory.pinSource()
        defer { directory.unpin() }
        try retrying { () throws(SystemFault) in
            _ = try check(fstatat(fd, name, &status, AT_SYMLINK_NOFOLLOW), "stat")
        }
        switch status.st_mode & S_IFMT {
        case S_IFREG: break
        case S_IFDIR: throw SystemFault("open", EISDIR)
        case S_IFLNK: throw SystemFault("open", ELOOP)
        // Never opened, and nothing that could be left out without a word: the user named it.
        default: throw SystemFault("open", EINVAL)
        }
        let target = chars(targetName)
        add(directory, name, target, status, groups: false)
    }

    private func folder(_ index: Int, _ folders: Folders) throws(SystemFault) -> Directory {
        if let known = self.folders[folders] { return known }
        if self.folders.count >= run.topsMax {
            forgetFolders()
            push()
            run.cache.waitForTops(below: run.topsMax) { run.isStopping }
        }
        let source = try retrying { () throws(SystemFault) in try anchors.open(folders.source) }
        let target: Int32
        do {
            target = try anchors.make(folders.target) { () throws(SystemFault) in }.fd
        } catch {
            close(source)
            throw error
        }
        let new = Directory(
            source: source, target: target, key: topKey(index, folders.target.bytes), transfer: index,
            wasMade: false, isWhole: false, top: (folders.source.bytes, folders.target.bytes), cache: run.cache)
        self.folders[folders] = new
        return new
    }

    func forgetFolders() {
        for directory in folders.values { run.release(directory, &metadata) }
        folders = [:]
    }

    // MARK: Lists

    func planList(_ index: Int, _ transfer: StageOrder.Transfer) throws(SystemFault) {
        let fd = try anchors.openFile(transfer.source)
        defer { close(fd) }
        var block = [UInt8](repeating: 0, count: ListFile.headBytesMax)
        var list: ListFile?
        while !run.isStopping {
            let count = try check(read(fd, &block, block.count), "read")
            if count == 0 { break }
            var file = list ?? ListFile(head: block[..<count])
            file.feed(block[..<count]) { take($0, index, transfer) }
            list = file
        }
        list?.finish { take($0, index, transfer) }
    }

    private func take(
        _ result: Result<ListFile.Pair, ListFile.Fault>, _ index: Int, _ transfer: StageOrder.Transfer
    ) {
        if run.isStopping { return }
        switch result {
        case .failure(let fault):
            run.fail(transfer.source.bytes, [], SystemFault(fault.description, EINVAL))
        case .success(let pair):
            do {
                let source = try place(pair.source, transfer, isSource: true)
                let destination = try place(pair.destination, transfer, isSource: false)
                try planFile(index, source, destination)
            } catch {
                run.fail(pair.source, pair.destination, error)
            }
        }
    }

    /// One side of a pair is in the buffer: relative, or after `$DW_JOB_STRIPED/` or `$DW_PERSISTENT_STRIPED_name/`,
    /// with braces or without. The other one is absolute.
    private func place(
        _ path: [UInt8], _ transfer: StageOrder.Transfer, isSource: Bool
    ) throws(SystemFault) -> StageOrder.Place {
        let isInBuffer = isSource == (run.order.phase == .stageOut)
        guard isInBuffer else {
            guard path.first == UInt8(ascii: "/"), path.count <= StageOrder.pathBytesMax else {
                throw SystemFault("a path of this side of a list begins with /", EINVAL)
            }
            return .parallel(path)
        }
        var rest = path[...]
        if rest.first == UInt8(ascii: "$") {
            let variable = rest.prefix { $0 != UInt8(ascii: "/") }
            let name = variable.dropFirst().filter { $0 != UInt8(ascii: "{") && $0 != UInt8(ascii: "}") }
            let isOurs =
                name.elementsEqual("DW_JOB_STRIPED".utf8) || name.starts(with: "DW_PERSISTENT_STRIPED_".utf8)
            if isOurs { rest = rest.dropFirst(variable.count + 1) }
        }
        let steps = FileName.steps(rest)
        guard rest.first != UInt8(ascii: "/"), !steps.isEmpty, steps.allSatisfy(FileName.isUsable) else {
            throw SystemFault("a path in the buffer is relative and has no ..", EINVAL)
        }
        let all = FileName.steps(transfer.destination.bytes) + steps
        return .buffer(Array(all.joined(separator: [UInt8(ascii: "/")])))
    }
}
