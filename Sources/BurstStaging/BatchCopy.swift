import CSys
import Glibc
import Synchronization

/// Copies one batch: all of its files to temporary names, one sync, all renames, one sync of the directories, one
/// record in the journal (staging.md §4.4, step 6).
struct BatchCopy: ~Copyable {
    private let worker: CopyWorker
    private let run: StageRun
    private let batch: Batch
    private var waiting: [Waiting] = []
    /// When the first of those that wait began.
    private var waitingSince: Int64 = 0
    private var links: [Link] = []
    /// Whose targets' descriptors are in use; each is pinned once for every time that it is here.
    private var pinned: [Directory] = []

    /// Under a temporary name.
    private struct Waiting {
        var entry: Int
        var part: Int
        /// The directory.
        var target: Int32
        var number: UInt64
        var status: stat
        /// Nil: a symbolic link.
        var copied: CopyWorker.Copied?
    }

    private struct Link {
        var directory: Directory
        var name: [CChar]
        var first: (Directory, [CChar])
        /// The directory waits for it by itself, rather than for its batch.
        var isLate: Bool
    }

    init(_ worker: CopyWorker, _ batch: Batch) {
        self.worker = worker
        self.run = worker.run
        self.batch = batch
    }

    consuming func copy() {
        for index in batch.parts.indices { copyPart(index) }
        flush()
        unpin(keeping: 0)
        for part in batch.parts { run.release(part.directory, &worker.metadata) }
    }

    // MARK: Copying

    private mutating func copyPart(_ index: Int) {
        let part = batch.parts[index]
        var attempt = 1
        while !run.isStopping {
            do {
                let source = try part.directory.pinSource()
                defer { part.directory.unpin() }
                let target = try part.directory.pinTarget()
                pinned.append(part.directory)
                for number in part.first..<part.end where !run.isStopping {
                    if waiting.isEmpty { waitingSince = now() }
                    copyEntry(number, index, source, target)
                    guard waiting.count >= run.heldFilesMax || isDue else { continue }
                    flush()
                    unpin(keeping: 1)
                }
                return
            } catch {
                if run.waits(afterTry: attempt, error) {
                    attempt += 1
                    continue
                }
                for number in part.first..<part.end { fail(number, index, error) }
                return
            }
        }
    }

    /// Nobody waits longer than this to see what a slow or throttled copy has done, and no more is done again after an
    /// end, nanoseconds.
    private static let heldNanoseconds: Int64 = 2_000_000_000

    private var isDue: Bool { !waiting.isEmpty && now() - waitingSince >= Self.heldNanoseconds }

    private mutating func unpin(keeping count: Int) {
        let last = pinned.suffix(count)
        for directory in pinned.dropLast(count) { directory.unpin() }
        pinned = Array(last)
    }

    private mutating func copyEntry(_ number: Int, _ part: Int, _ source: Int32, _ target: Int32) {
        let entry = batch.entries[number]
        let directory = batch.parts[part].directory
        var attempt = 1
        while true {
            do {
                if directory.comparison != .none {
                    return try compare(number, part, source, target)
                }
                switch entry.kind {
                case .file:
                    if entry.isRecorded, isDone(number, part, target) { return }
                    try copyFile(number, part, source, target, isPlain: false)
                case .symlink:
                    try copySymlink(number, part, source, target)
                case .link:
                    let group = batch.groups[Int(entry.group)]
                    guard let first = try group.target(for: directory, batch.target(entry)) else { return }
                    let name = chars(bytes(batch.target(entry)))
                    links.append(Link(directory: directory, name: name, first: first, isLate: false))
                }
                return
            } catch {
                if run.waits(afterTry: attempt, error) {
                    attempt += 1
                    continue
                }
                return fail(number, part, error)
            }
        }
    }

    private mutating func copyFile(
        _ number: Int, _ part: Int, _ source: Int32, _ target: Int32, isPlain: Bool
    ) throws(SystemFault) {
        let directory = batch.parts[part].directory
        var copied = try worker.copy(directory, source, target, batch.name(batch.entries[number]), isPlain: isPlain)
        // Where one sync is for all, nothing more is done with the descriptors.
        if run.bufferSync != nil || !run.syncs, run.order.verify != .readback {
            copied.close()
            copied.source = -1
            copied.target = -1
        }
        waiting.append(
            Waiting(
                entry: number, part: part, target: target, number: copied.number, status: copied.status,
                copied: copied))
    }

    /// An earlier life copied it, and it is still there as it was.
    private mutating func isDone(_ number: Int, _ part: Int, _ target: Int32) -> Bool {
        let entry = batch.entries[number]
        var there = stat()
        guard fstatat(target, batch.target(entry), &there, AT_SYMLINK_NOFOLLOW) == 0,
            there.st_mode & S_IFMT == S_IFREG, Int64(there.st_size) == entry.size,
            there.st_mtim.nanoseconds == entry.modified
        else { return false }
        run.progress.bytesSkipped.wrappingAdd(Int(entry.size), ordering: .relaxed)
        count(number, part, there)
        finishGroup(number, part)
        return true
    }

    private mutating func copySymlink(
        _ number: Int, _ part: Int, _ source: Int32, _ target: Int32
    ) throws(SystemFault) {
        let entry = batch.entries[number]
        let name = batch.name(entry)
        var status = stat()
        _ = try check(fstatat(source, name, &status, AT_SYMLINK_NOFOLLOW), "stat")
        guard status.st_mode & S_IFMT == S_IFLNK else { throw SystemFault.changed }
        let text = try linkText(source, name)
        if run.isResumed {
            var there = stat()
            if fstatat(target, batch.target(entry), &there, AT_SYMLINK_NOFOLLOW) == 0,
                there.st_mode & S_IFMT == S_IFLNK, there.st_mtim.nanoseconds == status.st_mtim.nanoseconds,
                try linkText(target, batch.target(entry)) == text
            {
                count(number, part, status)
                finishGroup(number, part)
                return
            }
        }
        run.throttle.takeFile()
        var temporary: UInt64 = 0
        while true {
            temporary = run.temporaries.number()
            if symlinkat(text, target, run.temporaries.name(temporary)) == 0 { break }
            guard errno == EEXIST else { throw SystemFault("symlink") }
        }
        let new = run.temporaries.name(temporary)
        if status.st_gid != batch.parts[part].directory.groupOfNew {
            _ = fchownat(target, new, uid_t.max, status.st_gid, AT_SYMLINK_NOFOLLOW)
        }
        _ = utimensat(target, new, [status.st_atim, status.st_mtim], AT_SYMLINK_NOFOLLOW)
        waiting.append(
            Waiting(entry: number, part: part, target: target, number: temporary, status: status, copied: nil))
    }

    /// Another program has copied it: it is as it should be, or this fails.
    private func compare(_ number: Int, _ part: Int, _ source: Int32, _ target: Int32) throws(SystemFault) {
        let entry = batch.entries[number]
        let name = batch.name(entry)
        let status: stat
        if entry.kind == .symlink {
            var found = stat()
            _ = try check(fstatat(source, name, &found, AT_SYMLINK_NOFOLLOW), "stat")
            let text = try linkText(source, name)
            var there = stat()
            guard fstatat(target, name, &there, AT_SYMLINK_NOFOLLOW) == 0 else {
                throw errno == ENOENT ? CopyWorker.missing : SystemFault("stat")
            }
            guard there.st_mode & S_IFMT == S_IFLNK, try linkText(target, name) == text else {
                throw CopyWorker.differs("link")
            }
            status = found
        } else {
            let degraded: Degraded
            (status, degraded) = try worker.compareFile(source, target, name)
            run.degrade(batch.parts[part].directory, name, target: name, degraded)
        }
        count(number, part, status)
    }

    private func linkText(_ directory: Int32, _ name: UnsafePointer<CChar>) throws(SystemFault) -> [CChar] {
        var text = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
        let count = try check(readlinkat(directory, name, &text, text.count - 1), "readlink")
        return Array(text[..<count]) + [0]
    }

    // MARK: Finishing

    /// Brings what waits under its final name.
    private mutating func flush() {
        syncFiles()
        if run.order.verify == .readback { readBack() }
        rename()
        makeLinks()
        guard !waiting.isEmpty || !links.isEmpty else { return }
        syncDirectories()
        let keys = waiting.compactMap { item in
            item.copied.map { _ in
                Identity(item.status).key(
                    batch.parts[item.part].directory.key, batch.target(batch.entries[item.entry]))
            }
        }
        if !keys.isEmpty, !run.note(.done(keys)) {
            waiting = []
            links = []
            return
        }
        for item in waiting {
            count(item.entry, item.part, item.status)
            if let copied = item.copied {
                let entry = batch.entries[item.entry]
                run.degrade(
                    batch.parts[item.part].directory, batch.name(entry), target: batch.target(entry), copied.degraded)
            }
        }
        waiting = []
        for link in links {
            var key = link.directory.key
            link.name.withUnsafeBytes { key.mix(UnsafeRawBufferPointer(rebasing: $0.dropLast())) }
            run.addToTree(key)
            run.progress.linksDone.wrappingAdd(1, ordering: .relaxed)
        }
        endLinks()
    }

    private mutating func syncFiles() {
        guard run.syncs else { return }
        var attempt = 1
        while !waiting.isEmpty, !run.isStopping {
            do {
                try syncOnce()
                if let seam = run.seam {
                    for item in waiting { if let copied = item.copied { try seam(.synced, copied.target) } }
                }
                return
            } catch {
                // The kernel tells once, and then takes the pages for clean: what was written is written again.
                let again = waiting
                discard()
                if run.waits(afterTry: attempt, error) {
                    attempt += 1
                    for item in again { copyAgain(item, isPlain: false) }
                } else {
                    for item in again { fail(item.entry, item.part, error) }
                }
            }
        }
    }

    private func syncOnce() throws(SystemFault) {
        if let bufferSync = run.bufferSync { return try bufferSync.sync() }
        for item in waiting { if let copied = item.copied { bb_begin_writing(copied.target) } }
        for item in waiting {
            if let copied = item.copied { _ = try check(fdatasync(copied.target), "fdatasync") }
        }
    }

    private mutating func copyAgain(_ item: Waiting, isPlain: Bool) {
        let directory = batch.parts[item.part].directory
        do {
            let source = try directory.pinSource()
            defer { directory.unpin() }
            if isPlain {
                try copyFile(item.entry, item.part, source, item.target, isPlain: true)
            } else {
                copyEntry(item.entry, item.part, source, item.target)
            }
        } catch {
            fail(item.entry, item.part, error)
        }
    }

    /// Reads each file from the disk again. What is not right is copied once more, by reading and writing only.
    private mutating func readBack() {
        for attempt in 1...2 {
            let items = waiting
            var damaged: [Waiting] = []
            waiting = []
            for item in items {
                guard let copied = item.copied, !run.isStopping else {
                    waiting.append(item)
                    continue
                }
                let size = Int64(item.status.st_size)
                let sum: UInt32?
                do throws(SystemFault) {
                    sum = try worker.bytesOf.sum(
                        of: copied.target, like: copied.source, from: 0, to: size, holes: copied.holes, drops: true)
                } catch {
                    sum = nil
                    if error.number == 0 || error.kind == .transient {
                        damaged.append(item)
                    } else {
                        remove(item)
                        fail(item.entry, item.part, error)
                    }
                    continue
                }
                if sum == copied.sum {
                    run.progress.bytesVerified.wrappingAdd(Int(size), ordering: .relaxed)
                    waiting.append(item)
                } else {
                    damaged.append(item)
                }
            }
            if damaged.isEmpty { return }
            for item in damaged {
                remove(item)
                if attempt == 2 { fail(item.entry, item.part, .damaged) }
            }
            if attempt == 2 { return }
            let good = waiting
            waiting = []
            for item in damaged { copyAgain(item, isPlain: true) }
            syncFiles()
            waiting += good
        }
    }

    private mutating func rename() {
        if run.isStopping { return discard() }
        let items = waiting
        waiting = []
        for item in items {
            item.copied?.close()
            let entry = batch.entries[item.entry]
            if renameat(item.target, run.temporaries.name(item.number), item.target, batch.target(entry)) == 0 {
                waiting.append(item)
                finishGroup(item.entry, item.part)
            } else {
                let fault = SystemFault("rename")
                unlinkat(item.target, run.temporaries.name(item.number), 0)
                fail(item.entry, item.part, fault)
            }
        }
    }

    private mutating func finishGroup(_ number: Int, _ part: Int) {
        let entry = batch.entries[number]
        guard entry.kind != .link, entry.group >= 0 else { return }
        let directory = batch.parts[part].directory
        let name = chars(bytes(batch.target(entry)))
        for (other, link) in batch.groups[Int(entry.group)].finish(directory, name) {
            links.append(Link(directory: other, name: link, first: (directory, name), isLate: true))
        }
    }

    private mutating func makeLinks() {
        let all = links
        links = []
        for link in all {
            var attempt = 1
            var fault: SystemFault?
            while !run.isStopping {
                do {
                    let target = try link.directory.pinTarget()
                    pinned.insert(link.directory, at: 0)
                    try make(link, target)
                    fault = nil
                    break
                } catch {
                    fault = error
                    guard run.waits(afterTry: attempt, error) else { break }
                    attempt += 1
                }
            }
            if fault == nil, !run.isStopping {
                links.append(link)
                continue
            }
            if let fault { run.fail(link.directory, link.name, target: nil, fault) }
            if link.isLate { run.release(link.directory, &worker.metadata) }
        }
    }

    private func make(_ link: Link, _ target: Int32) throws(SystemFault) {
        let first = try link.first.0.pinTarget()
        defer { link.first.0.unpin() }
        var one = stat()
        var other = stat()
        _ = try check(fstatat(first, link.first.1, &one, AT_SYMLINK_NOFOLLOW), "stat")
        // A rename of one name to another of the same file would do nothing.
        if fstatat(target, link.name, &other, AT_SYMLINK_NOFOLLOW) == 0, one.st_ino == other.st_ino,
            one.st_dev == other.st_dev
        {
            return
        }
        while true {
            let name = run.temporaries.name(run.temporaries.number())
            guard linkat(first, link.first.1, target, name, 0) == 0 else {
                switch errno {
                case EEXIST: continue
                case EMLINK, EXDEV, EPERM, EOPNOTSUPP: return try copyInstead(link, target)
                default: throw SystemFault("link")
                }
            }
            if renameat(target, name, target, link.name) == 0 { return }
            let fault = SystemFault("rename")
            unlinkat(target, name, 0)
            throw fault
        }
    }

    /// Where the target cannot have one more name for the file, it gets another file.
    private func copyInstead(_ link: Link, _ target: Int32) throws(SystemFault) {
        let source = try link.directory.pinSource()
        defer { link.directory.unpin() }
        let copied = try worker.copy(link.directory, source, target, link.name, isPlain: false)
        defer { copied.close() }
        if run.syncs { _ = try check(fdatasync(copied.target), "fdatasync") }
        guard renameat(target, run.temporaries.name(copied.number), target, link.name) == 0 else {
            let fault = SystemFault("rename")
            unlinkat(target, run.temporaries.name(copied.number), 0)
            throw fault
        }
        run.degrade(link.directory, link.name, target: nil, copied.degraded.union(.hardLink))
    }

    private mutating func syncDirectories() {
        var attempt = 1
        while !run.isStopping {
            var descriptors: Set<Int32> = []
            do {
                for directory in pinned {
                    descriptors.insert(try directory.pinTarget())
                    directory.unpin()
                }
                return try run.syncDirectories(Array(descriptors))
            } catch {
                if run.waits(afterTry: attempt, error) {
                    attempt += 1
                    continue
                }
                for item in waiting { fail(item.entry, item.part, error) }
                for link in links { run.fail(link.directory, link.name, target: nil, error) }
                break
            }
        }
        waiting = []
        endLinks()
    }

    private mutating func endLinks() {
        for link in links where link.isLate { run.release(link.directory, &worker.metadata) }
        links = []
    }

    private mutating func discard() {
        for item in waiting { remove(item) }
        waiting = []
    }

    private func remove(_ item: Waiting) {
        item.copied?.close()
        unlinkat(item.target, run.temporaries.name(item.number), 0)
    }

    // MARK: Counting

    private func count(_ number: Int, _ part: Int, _ status: stat) {
        let entry = batch.entries[number]
        var key = batch.parts[part].directory.key
        let name = batch.target(entry)
        key.mix(UnsafeRawBufferPointer(start: name, count: strlen(name)))
        key.mix(UInt64(status.st_mode))
        key.mix(UInt64(bitPattern: Int64(status.st_size)))
        key.mix(UInt64(bitPattern: status.st_mtim.nanoseconds))
        run.addToTree(key)
        if entry.kind == .file {
            run.progress.filesDone.wrappingAdd(1, ordering: .relaxed)
            // What was planned; a file that changed since is another one as a whole.
            run.progress.bytesDone.wrappingAdd(Int(entry.size), ordering: .relaxed)
            run.progress.workDone.wrappingAdd(
                Progress.work(size: entry.size, blocks: Int64(entry.blocks)), ordering: .relaxed)
        } else {
            run.progress.linksDone.wrappingAdd(1, ordering: .relaxed)
        }
    }

    private mutating func fail(_ number: Int, _ part: Int, _ fault: SystemFault) {
        let entry = batch.entries[number]
        let directory = batch.parts[part].directory
        run.fail(directory, batch.name(entry), target: batch.target(entry), fault)
        guard entry.kind != .link, entry.group >= 0 else { return }
        for (other, name) in batch.groups[Int(entry.group)].fail(fault) {
            run.fail(other, name, target: nil, fault)
            run.release(other, &worker.metadata)
        }
    }
}
