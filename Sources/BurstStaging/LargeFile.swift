import CSys
import Glibc
import Synchronization

/// A file of 256 MiB or more: copied in parts of 64 MiB by several threads, each part noted once it is on the disk, so
/// that a later life goes on where this one ended (staging.md §4.4, step 2).
final class LargeFile: @unchecked Sendable {
    private let directory: Directory
    private let name: [CChar]
    private let targetName: [CChar]
    private let planned: Int64
    /// What copying it takes, as `Progress.work`.
    private let work: Int
    private let partBytes: Int64
    private let group: LinkGroup?
    private let isRecorded: Bool
    private let state = Guarded(State())

    private struct State {
        var source: Int32 = -1
        var target: Int32 = -1
        /// The target once more. Who waits for the disk through it takes no failure away from a sync of `target`.
        var behind: Int32 = -1
        /// The target's directory.
        var folder: Int32 = -1
        var number: UInt64 = 0
        var status = stat()
        var key = Key.zero
        var holes = ByteCopy.Holes.none
        var next: Int64 = 0
        var done: Set<UInt32> = []
        var inParts = 0
        var work = 0
        var running = 0
        /// Copied and not yet on the disk, with the sums of what was read.
        var unsynced: [(part: UInt32, sum: UInt32)] = []
        /// On the disk and to be read back.
        var unread: [(part: UInt32, sum: UInt32)] = []
        var isSyncing = false
        var isExhausted = false
        var isEnding = false
        var fault: SystemFault?
        var isPlain = false
        var tries = 0
        var faultTries = 1
    }

    /// The directory waits for it from now on.
    init(
        _ directory: Directory, _ name: UnsafePointer<CChar>, target: UnsafePointer<CChar>, size: Int64,
        work: Int, partBytes: Int64, group: LinkGroup?, isRecorded: Bool
    ) {
        directory.pending.wrappingAdd(1, ordering: .relaxed)
        self.directory = directory
        self.name = chars(bytes(name))
        targetName = chars(bytes(target))
        planned = size
        self.work = work
        self.partBytes = partBytes
        self.group = group
        self.isRecorded = isRecorded
    }

    // MARK: Begin

    func open(_ worker: CopyWorker) {
        let run = worker.run
        while true {
            do throws(SystemFault) {
                let source = try directory.pinSource()
                defer { directory.unpin() }
                let folder = try directory.pinTarget()
                if isRecorded, let status = statusIfDone(folder) {
                    run.progress.bytesSkipped.wrappingAdd(Int(planned), ordering: .relaxed)
                    state.with { $0.status = status }
                    complete(worker)
                    directory.unpin()
                    return
                }
                do throws(SystemFault) {
                    try begin(worker, source, folder)
                    return
                } catch {
                    close(keepsTemporary: false, worker)
                    directory.unpin()
                    throw error
                }
            } catch {
                if retries(worker, error) { continue }
                return fail(worker, error)
            }
        }
    }

    private func retries(_ worker: CopyWorker, _ fault: SystemFault) -> Bool {
        let attempt = state.with { state in
            defer { state.faultTries += 1 }
            return state.faultTries
        }
        return worker.run.waits(afterTry: attempt, fault)
    }

    private func statusIfDone(_ folder: Int32) -> stat? {
        var there = stat()
        guard fstatat(folder, targetName, &there, AT_SYMLINK_NOFOLLOW) == 0, there.st_mode & S_IFMT == S_IFREG,
            Int64(there.st_size) == planned
        else { return nil }
        return there
    }

    private func begin(_ worker: CopyWorker, _ source: Int32, _ folder: Int32) throws(SystemFault) {
        let run = worker.run
        let (from, status) = try worker.openSource(source, name)
        let key = Identity(status).key(directory.key, targetName)
        let tries = state.with { state in
            state.source = from
            state.status = status
            state.key = key
            state.folder = folder
            state.next = 0
            state.isExhausted = false
            state.isEnding = false
            state.fault = nil
            state.done = []
            state.unsynced = []
            state.unread = []
            state.isSyncing = false
            state.holes = ByteCopy.Holes(from, status)
            state.tries += 1
            return state.tries
        }
        bb_read_in_order(from)
        let size = Int64(status.st_size)
        if tries == 1, let past = run.past.large[key],
            let there = try reopen(folder, run.temporaries.name(past.number), size)
        {
            let copied = past.done.reduce(0) { $0 + Int(length(of: $1, size)) }
            state.with { state in
                state.target = there
                state.number = past.number
                state.done = past.done
                state.inParts = copied
                state.work = share(copied)
            }
            run.progress.bytesSkipped.wrappingAdd(copied, ordering: .relaxed)
            run.progress.workInParts.wrappingAdd(share(copied), ordering: .relaxed)
        } else {
            let (to, number) = try worker.makeTemporary(folder)
            if run.order.verify == .readback { bb_read_in_order(to) }
            state.with { state in
                state.target = to
                state.number = number
            }
            if run.order.verify < .inline, !state.with({ $0.isPlain }), try worker.bytesOf.clone(from, to) {
                run.progress.bytesCloned.wrappingAdd(Int(size), ordering: .relaxed)
                run.progress.bytesMoved.wrappingAdd(Int(size), ordering: .relaxed)
                state.with { state in
                    state.next = size
                    state.isExhausted = true
                    state.isEnding = true
                }
                return end(worker)
            }
            _ = try check(ftruncate(to, off_t(size)), "ftruncate")
            let isDense = state.with {
                if case .none = $0.holes { true } else { false }
            }
            if isDense, bb_allocate(to, size) != 0, errno == ENOSPC || errno == EDQUOT {
                throw SystemFault("fallocate")
            }
            guard run.note(.large(key, number: number)) else { throw SystemFault.cancelled }
        }
        state.with { $0.behind = again(folder, run.temporaries.name($0.number), $0.target) }
        run.queue.activate(self)
    }

    /// Another descriptor of an open file; -1: not to be had.
    private func again(_ folder: Int32, _ name: [CChar], _ file: Int32) -> Int32 {
        let fd = bb_open_leaf(folder, name, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0)
        guard fd >= 0 else { return -1 }
        var one = stat()
        var other = stat()
        if fstat(fd, &one) == 0, fstat(file, &other) == 0, one.st_ino == other.st_ino, one.st_dev == other.st_dev {
            return fd
        }
        Glibc.close(fd)
        return -1
    }

    /// An earlier life's temporary file.
    private func reopen(_ folder: Int32, _ name: [CChar], _ size: Int64) throws(SystemFault) -> Int32? {
        let fd = bb_open_leaf(folder, name, O_RDWR, 0)
        guard fd >= 0 else { return nil }
        var status = stat()
        if fstat(fd, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_uid == geteuid(),
            status.st_nlink == 1, Int64(status.st_size) == size
        {
            return fd
        }
        Glibc.close(fd)
        return nil
    }

    private func length(of part: UInt32, _ size: Int64) -> Int64 {
        max(0, min(partBytes, size - Int64(part) * partBytes))
    }

    /// Of the file's work, what so many of its bytes are.
    private func share(_ bytes: Int) -> Int { Int(Double(bytes) / Double(max(1, planned)) * Double(work)) }

    // MARK: Parts

    private enum Step {
        case copy(UInt32, State)
        case readBack(UInt32, UInt32, State)
        case nothing
        case end
    }

    /// Reads back or copies the next part that nobody has taken, if there is one.
    func copyPart(_ worker: CopyWorker) {
        let run = worker.run
        switch nextPart(run) {
        case .nothing: run.queue.retire(self)
        case .end:
            run.queue.retire(self)
            end(worker)
        case .copy(let part, let work):
            finish(worker) { () throws(SystemFault) in try copy(part, work, worker) }
        case .readBack(let part, let sum, let work):
            finish(worker) { () throws(SystemFault) in try readBack(part, sum, work, worker) }
        }
    }

    private func finish(_ worker: CopyWorker, _ body: () throws(SystemFault) -> Void) {
        var fault: SystemFault?
        do throws(SystemFault) {
            try body()
        } catch {
            fault = error
        }
        let isLast = state.with { state in
            state.running -= 1
            if let fault {
                state.fault = state.fault ?? fault
                state.isExhausted = true
            }
            guard state.isExhausted, state.running == 0, !state.isEnding else { return false }
            state.isEnding = true
            return true
        }
        if isLast {
            worker.run.queue.retire(self)
            end(worker)
        }
    }

    private func nextPart(_ run: StageRun) -> Step {
        state.with { state in
            let size = Int64(state.status.st_size)
            if run.isStopping { state.isExhausted = true }
            // First what is to be read back, so that all threads have a share in it.
            if !state.isEnding, state.fault == nil, !run.isStopping, let next = state.unread.popLast() {
                state.running += 1
                return .readBack(next.part, next.sum, state)
            }
            while !state.isExhausted {
                let index = UInt32(state.next / partBytes)
                let end = min(size, Int64(index + 1) * partBytes)
                if state.next >= size {
                    state.isExhausted = true
                } else if state.done.contains(index) {
                    state.next = end
                } else if case .reported = state.holes {
                    let data = bb_seek_data(state.source, state.next)
                    if data < 0 {
                        if errno != ENXIO { state.fault = SystemFault("lseek") }
                        state.isExhausted = true
                    } else if data >= end {
                        state.next = data / partBytes * partBytes
                    } else {
                        state.next = end
                        state.running += 1
                        return .copy(index, state)
                    }
                } else {
                    state.next = end
                    state.running += 1
                    return .copy(index, state)
                }
            }
            guard state.running == 0, !state.isEnding else { return .nothing }
            state.isEnding = true
            return .end
        }
    }

    private func copy(_ part: UInt32, _ work: State, _ worker: CopyWorker) throws(SystemFault) {
        let run = worker.run
        let start = Int64(part) * partBytes
        let end = start + length(of: part, Int64(work.status.st_size))
        worker.show(directory, name, planned, done: Int64(work.inParts))
        defer { worker.hide() }
        var isPlain = work.isPlain
        var attempt = 1
        var sum: UInt32 = 0
        while true {
            do throws(SystemFault) {
                let copied = try worker.copyStretches(
                    work.source, work.target, work.status, from: start, to: end, holes: work.holes,
                    isPlain: isPlain, behind: work.behind)
                if let copied {
                    sum = copied
                    break
                }
                guard !isPlain else { throw SystemFault.damaged }
                isPlain = true
            } catch {
                guard run.waits(afterTry: attempt, error) else { throw error }
                attempt += 1
            }
        }
        // A sync that fails tells nothing of which part is lost: then all of the file is copied again.
        try noteCopied(part, sum, work, worker)
    }

    /// One sync is for several parts, and one thread does it while the others go on: each sync holds up all writes.
    private func noteCopied(
        _ part: UInt32, _ sum: UInt32, _ work: State, _ worker: CopyWorker
    ) throws(SystemFault) {
        let run = worker.run
        let parts = state.with { state -> [(part: UInt32, sum: UInt32)] in
            state.unsynced.append((part, sum))
            guard !run.syncs || (!state.isSyncing && state.unsynced.count >= Self.partsPerSync) else { return [] }
            state.isSyncing = run.syncs
            defer { state.unsynced = [] }
            return state.unsynced
        }
        if !parts.isEmpty { try noteDone(parts, work, worker) }
    }

    private static let partsPerSync = 3

    private func noteDone(
        _ parts: [(part: UInt32, sum: UInt32)], _ work: State, _ worker: CopyWorker
    ) throws(SystemFault) {
        let run = worker.run
        defer { state.with { $0.isSyncing = false } }
        if run.syncs {
            _ = try check(fdatasync(work.target), "fdatasync")
            try run.seam?(.synced, work.target)
        }
        if run.order.verify == .readback { return state.with { $0.unread += parts } }
        for (part, _) in parts { try noteWhole(part, work, worker) }
    }

    private func readBack(
        _ part: UInt32, _ sum: UInt32, _ work: State, _ worker: CopyWorker
    ) throws(SystemFault) {
        let start = Int64(part) * partBytes
        let end = start + length(of: part, Int64(work.status.st_size))
        let isRight = try worker.isRight(
            sum, work.source, work.target, work.status, from: start, to: end, holes: work.holes, drops: true)
        guard isRight else { throw .damaged }
        worker.run.progress.bytesVerified.wrappingAdd(Int(end - start), ordering: .relaxed)
        try noteWhole(part, work, worker)
    }

    /// A part is on the disk, and right as far as it was to be verified.
    private func noteWhole(_ part: UInt32, _ work: State, _ worker: CopyWorker) throws(SystemFault) {
        let run = worker.run
        let bytes = length(of: part, Int64(work.status.st_size))
        // What was not waited for is on the disk by now, and may have been read back.
        if run.syncs { bb_drop_cache(work.target, Int64(part) * partBytes, bytes) }
        guard run.note(.part(work.key, index: part)) else { throw .cancelled }
        let share = share(Int(bytes))
        state.with { state in
            state.done.insert(part)
            state.inParts += Int(bytes)
            state.work += share
        }
        run.progress.workInParts.wrappingAdd(share, ordering: .relaxed)
    }

    // MARK: End

    /// All parts are there, or it has come to nothing.
    private func end(_ worker: CopyWorker) {
        let run = worker.run
        let work = state.with { $0 }
        do throws(SystemFault) {
            if run.isStopping { throw SystemFault.cancelled }
            if let fault = work.fault { throw fault }
            if !work.unsynced.isEmpty { try noteDone(work.unsynced, work, worker) }
            let unread = state.with { state in
                defer { state.unread = [] }
                return state.unread
            }
            for (part, sum) in unread { try readBack(part, sum, work, worker) }
            let group = directory.groupOfNew
            let degraded = try worker.metadata.apply(
                work.status, from: work.source, to: work.target, group: group, mode: 0o600,
                clears: directory.hasDefaultList)
            guard try worker.isSame(work.source, work.status) else { throw SystemFault.changed }
            try worker.compare(work.target, work.status)
            if run.syncs { _ = try check(fsync(work.target), "fsync") }
            guard renameat(work.folder, run.temporaries.name(work.number), work.folder, targetName) == 0 else {
                throw SystemFault("rename")
            }
            try run.syncDirectories([work.folder])
            guard run.note(.done([work.key])) else { throw SystemFault.cancelled }
            close(keepsTemporary: true, worker)
            run.degrade(directory, name, target: targetName, degraded)
            complete(worker)
            directory.unpin()
        } catch {
            // What a stop leaves goes on in the next life, unless its parts are of no use.
            close(keepsTemporary: error.kind == .cancelled, worker)
            directory.unpin()
            if error == .changed, work.tries < SystemFault.changedTriesMax { return open(worker) }
            if error == .damaged, !work.isPlain {
                state.with { $0.isPlain = true }
                return open(worker)
            }
            if retries(worker, error) { return open(worker) }
            fail(worker, error)
        }
    }

    private func close(keepsTemporary: Bool, _ worker: CopyWorker) {
        state.with { state in
            if state.source >= 0 { Glibc.close(state.source) }
            if state.target >= 0 {
                Glibc.close(state.target)
                if !keepsTemporary { unlinkat(state.folder, worker.run.temporaries.name(state.number), 0) }
            }
            if state.behind >= 0 { Glibc.close(state.behind) }
            worker.run.progress.workInParts.wrappingSubtract(state.work, ordering: .relaxed)
            state.behind = -1
            state.inParts = 0
            state.work = 0
            state.source = -1
            state.target = -1
        }
    }

    private func complete(_ worker: CopyWorker) {
        let run = worker.run
        let status = state.with { $0.status }
        var key = directory.key
        targetName.withUnsafeBytes { key.mix(UnsafeRawBufferPointer(rebasing: $0.dropLast())) }
        key.mix(UInt64(status.st_mode))
        key.mix(UInt64(bitPattern: Int64(status.st_size)))
        key.mix(UInt64(bitPattern: status.st_mtim.nanoseconds))
        run.addToTree(key)
        run.progress.filesDone.wrappingAdd(1, ordering: .relaxed)
        run.progress.bytesDone.wrappingAdd(Int(planned), ordering: .relaxed)
        run.progress.workDone.wrappingAdd(work, ordering: .relaxed)
        if let group {
            for (other, link) in group.finish(directory, targetName) {
                let batch = Batch()
                batch.add(other, link, .link, size: 0, modified: 0, group: group)
                BatchCopy(worker, batch).copy()
                run.release(other, &worker.metadata)
            }
        }
        run.release(directory, &worker.metadata)
    }

    private func fail(_ worker: CopyWorker, _ fault: SystemFault) {
        let run = worker.run
        run.fail(directory, name, target: targetName, fault)
        if let group {
            for (other, link) in group.fail(fault) {
                run.fail(other, link, target: nil, fault)
                run.release(other, &worker.metadata)
            }
        }
        run.release(directory, &worker.metadata)
    }
}
