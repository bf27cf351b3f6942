import CSys
import Glibc
import Synchronization

/// Places in a copy at which tests look on, or make the disk or the source worse than they are.
package enum StageMoment: Sendable {
    /// The source is open and was looked at; the descriptor is the source's.
    case opened
    /// The bytes are in the temporary file; the descriptor is the target's.
    case copied
    /// The temporary file is on the disk; the descriptor is the target's.
    case synced
}

/// What all threads of one run share.
final class StageRun: Sendable {
    typealias Seam = @Sendable (StageMoment, Int32) throws(SystemFault) -> Void

    /// Why a run ends before its plan.
    enum Stop: Sendable {
        case cancelled
        case full(SystemFault)
        case failed
        /// The journal cannot be written: nothing more could be promised.
        case journal(SystemFault)
    }

    let order: StageOrder
    let progress: Progress
    let queue: WorkQueue
    let throttle: Throttle
    let journal: Journal
    let past: Journal.Past
    let report: Report
    let temporaries: Temporaries
    let cache: DirectoryCache
    let ways = FastWays()
    /// One call for the whole file system, where that is the buffer's.
    let bufferSync: GroupSync?
    let threads: Int
    /// How many copied files a thread may hold open until they are synced.
    let heldFilesMax: Int
    /// Directories that one batch may hold files of.
    let batchPartsMax: Int
    /// Folders of single files that are open at once.
    let topsMax: Int
    let seam: Seam?

    private let isStopped = Atomic<Bool>(false)
    private let stopReason = Guarded<Stop?>(nil)
    private let firstFault = Guarded<String?>(nil)
    private let treeKey = Guarded(Key(high: 0, low: 0))

    /// - Parameters:
    ///   - buffer: the buffer's descriptor.
    ///   - partsOver: so many parts of the order are over, and this run finishes them.
    init(
        order: StageOrder, journal: Journal, past: Journal.Past, report: Report, buffer: Int32, threads: Int,
        filesMax: Int, partsOver: Int = 0, seam: Seam?
    ) {
        self.order = order
        self.journal = journal
        self.past = past
        self.report = report
        self.threads = threads
        self.seam = seam
        progress = Progress(slots: threads)
        queue = WorkQueue(threads: threads)
        throttle = Throttle(order.rate)
        temporaries = Temporaries(token: order.token, generation: order.generation, start: past.starts)
        let further = (0..<partsOver).map {
            Temporaries.prefix(token: order.partToken($0), generation: order.generation)
        }
        cache = DirectoryCache(
            most: max(8, min(512, filesMax / 16)),
            leftovers: past.starts > 0 || past.isJoined
                ? Leftovers(
                    prefix: temporaries.prefix, kept: Set(past.large.values.map(\.number)),
                    end: temporaries.first, further: further) : nil)
        // What several hosts share is not the engine's alone.
        let syncsAtOnce = order.phase == .stageIn && order.durability == .batch && order.parts == nil
        bufferSync = syncsAtOnce ? GroupSync(buffer) : nil
        // Together less than all: held files, two for each part of a batch, two for each top and each idle directory.
        batchPartsMax = max(4, min(64, filesMax / 8 / threads))
        topsMax = max(8, min(256, filesMax / 16))
        let held = filesMax / 4 / threads / (order.verify == .readback ? 2 : 1)
        heldFilesMax = order.durability == .file ? 1 : max(1, min(order.batchFiles, held))
    }

    var isResumed: Bool { past.starts > 0 || past.isJoined }
    var syncs: Bool { order.durability != .none }

    // MARK: Stopping

    var isStopping: Bool { isStopped.load(ordering: .relaxed) }
    var stopped: Stop? { stopReason.with { $0 } }

    func stop(_ reason: Stop) {
        stopReason.change { $0 = $0 ?? reason }
        isStopped.store(true, ordering: .sequentiallyConsistent)
        queue.stop()
        throttle.stop()
    }

    // MARK: Failures

    var lastError: String? { firstFault.with { $0 } }

    /// A file is not staged. A full target ends the run.
    func fail(
        _ directory: Directory, _ name: UnsafePointer<CChar>?, target: UnsafePointer<CChar>?, _ fault: SystemFault
    ) {
        let (source, destination) = paths(directory, name, target ?? name)
        fail(source, destination, fault)
    }

    func fail(_ source: [UInt8], _ destination: [UInt8], _ fault: SystemFault) {
        // What a stop keeps from being copied is no failure of its own.
        if fault.kind == .cancelled { return }
        let number = progress.errors.wrappingAdd(1, ordering: .relaxed).newValue
        report.note(.failed, "\(fault.call): \(fault.shown)", source: source, destination: destination)
        let files = progress.filesDone.load(ordering: .relaxed) + number
        let total = max(files, progress.filesTotal.load(ordering: .relaxed))
        firstFault.with { first in
            first =
                first
                ?? StageMessage.failure(
                    phase: order.phase, number: files, total: total, source: source, destination: destination,
                    text: fault.shown, session: order.token)
        }
        if fault.kind == .full {
            stop(.full(fault))
        } else if order.onError == .stop {
            stop(.failed)
        }
    }

    /// The plan does not fit; the text says so.
    func stopFull(_ text: String) {
        progress.errors.wrappingAdd(1, ordering: .relaxed)
        firstFault.with { $0 = $0 ?? text }
        stop(.full(SystemFault("capacity", ENOSPC)))
    }

    func skip(_ directory: Directory, _ name: UnsafePointer<CChar>, _ text: String) {
        progress.skipped.wrappingAdd(1, ordering: .relaxed)
        let (source, destination) = paths(directory, name, name)
        report.note(.skipped, text, source: source, destination: destination)
    }

    func degrade(
        _ directory: Directory, _ name: UnsafePointer<CChar>?, target: UnsafePointer<CChar>?, _ degraded: Degraded
    ) {
        guard !degraded.isEmpty else { return }
        progress.degraded.wrappingAdd(1, ordering: .relaxed)
        let (source, destination) = paths(directory, name, target ?? name)
        report.note(.degraded, degraded.shown, source: source, destination: destination)
    }

    private func paths(
        _ directory: Directory, _ name: UnsafePointer<CChar>?, _ target: UnsafePointer<CChar>?
    ) -> ([UInt8], [UInt8]) {
        (directory.sourcePath(name), directory.targetPath(target))
    }

    /// After a transient fault: waits, and says whether to try again.
    func waits(afterTry attempt: Int, _ fault: SystemFault) -> Bool {
        guard fault.kind == .transient, attempt < order.retry.tries, !isStopping else { return false }
        progress.retries.wrappingAdd(1, ordering: .relaxed)
        let milliseconds = min(
            order.retry.lastMilliseconds, order.retry.firstMilliseconds << min(attempt - 1, 20))
        _ = stopReason.wait(until: now() + Int64(milliseconds) * 1_000_000) { $0 == nil ? nil : true }
        return !isStopping
    }

    // MARK: Durability

    /// Makes the directories' entries durable.
    func syncDirectories(_ descriptors: [Int32]) throws(SystemFault) {
        guard syncs else { return }
        if let bufferSync { return try bufferSync.sync() }
        for fd in descriptors { _ = try check(fsync(fd), "fsync") }
    }

    func note(_ record: Journal.Record) -> Bool {
        do {
            try journal.append(record)
            return true
        } catch {
            stop(.journal(error))
            return false
        }
    }

    // MARK: The tree

    func addToTree(_ key: Key) { treeKey.with { $0.add(key) } }

    var tree: Key { treeKey.with { $0 } }

    // MARK: Directories

    /// One thing less to wait for; the last one has the directory's own metadata set, and then counts for the one
    /// above.
    func release(_ directory: Directory, _ metadata: inout MetadataCopy) {
        var at = directory
        while at.pending.wrappingSubtract(1, ordering: .acquiringAndReleasing).newValue == 0 {
            finish(at, &metadata)
            guard let above = at.parent else { return }
            at = above
        }
    }

    private func finish(_ directory: Directory, _ metadata: inout MetadataCopy) {
        guard !isStopping else { return directory.forget() }
        var attempt = 1
        while true {
            do {
                try finishOnce(directory, &metadata)
                break
            } catch {
                if waits(afterTry: attempt, error) {
                    attempt += 1
                    continue
                }
                fail(directory, nil, target: nil, error)
                break
            }
        }
        directory.forget()
    }

    private func finishOnce(_ directory: Directory, _ metadata: inout MetadataCopy) throws(SystemFault) {
        let target = try directory.pinTarget()
        defer { directory.unpin() }
        for number in directory.keptTemporaries { unlinkat(target, temporaries.name(number), 0) }
        if directory.isPart { return }
        // A walk that failed has been counted; its directory is made as far as it is known.
        guard directory.isWalked else { return try finishUnread(directory, target) }
        let source = try directory.pinSource()
        defer { directory.unpin() }
        var status = stat()
        _ = try check(fstat(source, &status), "stat")
        var there = stat()
        _ = try check(fstat(target, &there), "stat")
        if directory.comparison != .none {
            try compareFolder(directory, source, status, target, there, &metadata)
        } else if directory.setsMetadata {
            let degraded = try metadata.apply(
                status, from: source, to: target, group: there.st_gid, mode: there.st_mode,
                clears: !directory.targetWasMade || directory.hasDefaultList)
            degrade(directory, nil, target: nil, degraded)
        }
        // Its entries too, which may be folders that were made in it.
        if syncs, bufferSync == nil { _ = try check(fsync(target), "fsync") }
        var key = directory.key
        key.mix(UInt64(status.st_mode))
        addToTree(key)
        progress.directoriesDone.wrappingAdd(1, ordering: .relaxed)
    }

    /// What could not be listed gets what can be known of it from outside.
    private func finishUnread(_ directory: Directory, _ target: Int32) throws(SystemFault) {
        guard let above = directory.parent, directory.comparison == .none else { return }
        let source = try above.pinSource()
        defer { above.unpin() }
        var status = stat()
        guard fstatat(source, directory.name, &status, AT_SYMLINK_NOFOLLOW) == 0 else { return }
        _ = try check(fchmod(target, status.st_mode & 0o1777), "chmod")
        _ = futimens(target, [status.st_atim, status.st_mtim])
    }
}
