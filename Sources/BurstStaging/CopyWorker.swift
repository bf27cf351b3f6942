import CSys
import Glibc
import Synchronization

/// A thread of a run: takes batches and parts of large files until none is left.
final class CopyWorker {
    let run: StageRun
    let slot: Int
    var bytesOf: ByteCopy
    var metadata = MetadataCopy()

    init(_ run: StageRun, slot: Int) {
        self.run = run
        self.slot = slot
        bytesOf = ByteCopy(
            ways: run.ways, throttle: run.throttle, isStopped: { run.isStopping },
            moved: { count in
                run.progress.bytesMoved.wrappingAdd(count, ordering: .relaxed)
                run.progress.active[slot].with { $0?.done += Int64(count) }
            })
    }

    func work() {
        while let work = run.queue.take() {
            switch work {
            case .batch(let batch): BatchCopy(self, batch).copy()
            case .large(let file): file.open(self)
            case .part(let file): file.copyPart(self)
            }
            run.queue.done(work)
        }
    }

    /// How much of a file is worth showing while it is copied.
    static let shownBytesMin: Int64 = 4 << 20

    /// What was copied and is not yet under its final name.
    struct Copied {
        var source: Int32
        var target: Int32
        var number: UInt64
        var status: stat
        var sum: UInt32
        var degraded: Degraded
        var holes: ByteCopy.Holes

        func close() {
            if source >= 0 { Glibc.close(source) }
            if target >= 0 { Glibc.close(target) }
        }
    }

    /// Opens a regular file to be read. What is something else by now was changed.
    func openSource(_ directory: Int32, _ name: UnsafePointer<CChar>) throws(SystemFault) -> (Int32, stat) {
        let fd = try check(bb_open_leaf(directory, name, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0), "open")
        do throws(SystemFault) {
            var status = stat()
            _ = try check(fstat(fd, &status), "stat")
            guard status.st_mode & S_IFMT == S_IFREG else { throw SystemFault.changed }
            try settle(fd, &status)
            try run.seam?(.opened, fd)
            return (fd, status)
        } catch {
            Glibc.close(fd)
            throw error
        }
    }

    /// A file that was changed within the clock's last ticks could change again and keep its times: waits until a
    /// further change shows.
    private func settle(_ fd: Int32, _ status: inout stat) throws(SystemFault) {
        for _ in 0..<Self.settleTriesMax {
            let age = wallClock() - status.st_ctim.nanoseconds
            guard age >= 0, age < Self.clockTickNanoseconds else { return }
            var rest = timespec(tv_sec: 0, tv_nsec: Int(Self.clockTickNanoseconds - age))
            nanosleep(&rest, nil)
            _ = try check(fstat(fd, &status), "stat")
        }
    }

    private static let clockTickNanoseconds: Int64 = 12_000_000
    private static let settleTriesMax = 5

    /// Makes the temporary file, open for reading and writing.
    func makeTemporary(_ directory: Int32) throws(SystemFault) -> (Int32, UInt64) {
        while true {
            let number = run.temporaries.number()
            let fd = bb_open_leaf(
                directory, run.temporaries.name(number), O_RDWR | O_CREAT | O_EXCL, 0o600)
            if fd >= 0 { return (fd, number) }
            guard errno == EEXIST else { throw SystemFault("create") }
        }
    }

    /// Copies a file's bytes and metadata to a temporary file, whose content and metadata are of one moment.
    /// - Parameter isPlain: by reading and writing only.
    func copy(
        _ directory: Directory, _ source: Int32, _ target: Int32, _ name: UnsafePointer<CChar>, isPlain: Bool
    ) throws(SystemFault) -> Copied {
        run.throttle.takeFile()
        var isPlain = isPlain
        var (from, status) = try openSource(source, name)
        var to: Int32 = -1
        var number: UInt64 = 0
        do throws(SystemFault) {
            (to, number) = try makeTemporary(target)
            var tries = 1
            while true {
                let size = Int64(status.st_size)
                if size >= Self.shownBytesMin { show(directory, name, size) }
                defer { if size >= Self.shownBytesMin { hide() } }
                let holes = ByteCopy.Holes(from, status)
                guard let sum = try copyBytes(from, to, status, holes, isPlain) else {
                    guard !isPlain else { throw SystemFault.damaged }
                    isPlain = true
                    _ = try check(ftruncate(to, 0), "ftruncate")
                    continue
                }
                let degraded = try metadata.apply(
                    status, from: from, to: to, group: directory.groupOfNew, mode: 0o600,
                    clears: directory.hasDefaultList || tries > 1)
                if try isSame(from, status) {
                    try compare(to, status)
                    return Copied(
                        source: from, target: to, number: number, status: status, sum: sum, degraded: degraded,
                        holes: holes)
                }
                guard tries < SystemFault.changedTriesMax else { throw SystemFault.changed }
                tries += 1
                // By its name, which may be another file's by now.
                Glibc.close(from)
                from = -1
                (from, status) = try openSource(source, name)
                _ = try check(fchmod(to, 0o600), "chmod")
                _ = try check(ftruncate(to, 0), "ftruncate")
            }
        } catch {
            if from >= 0 { Glibc.close(from) }
            if to >= 0 {
                Glibc.close(to)
                unlinkat(target, run.temporaries.name(number), 0)
            }
            throw error
        }
    }

    /// - Returns: as `copyStretches` does.
    private func copyBytes(
        _ from: Int32, _ to: Int32, _ status: stat, _ holes: ByteCopy.Holes, _ isPlain: Bool
    ) throws(SystemFault) -> UInt32? {
        let size = Int64(status.st_size)
        if run.order.verify < .inline, !isPlain, size >= ByteCopy.fastBytesMin, try bytesOf.clone(from, to) {
            run.progress.bytesCloned.wrappingAdd(Int(size), ordering: .relaxed)
            run.progress.bytesMoved.wrappingAdd(Int(size), ordering: .relaxed)
            try run.seam?(.copied, to)
            return 0
        }
        // A hole at the end.
        if holes != .none { _ = try check(ftruncate(to, off_t(size)), "ftruncate") }
        return try copyStretches(from, to, status, from: 0, to: size, holes: holes, isPlain: isPlain)
    }

    /// What of a file is copied, verified inline and sent to the disk at once: it is verified while it is in the cache.
    static let stretchBytes: Int64 = 8 << 20

    /// Copies a file's bytes from `start` to `end`.
    /// - Parameter behind: another descriptor of the target, for what waits for the disk; -1: nothing waits.
    /// - Returns: the sum over what was read, 0 where it is of no further use. Nil: what is in the target is not what
    ///   was read.
    func copyStretches(
        _ source: Int32, _ target: Int32, _ status: stat, from start: Int64, to end: Int64, holes: ByteCopy.Holes,
        isPlain: Bool, behind: Int32 = -1
    ) throws(SystemFault) -> UInt32? {
        let rules = ByteCopy.Rules(verify: run.order.verify, isPlain: isPlain)
        let isInline = run.order.verify == .inline
        var writing = WriteBehind(source, target, behind, from: start, to: end, isUsed: run.syncs)
        var sum: UInt32 = 0
        var at = start
        repeat {
            let next = min(end, at + Self.stretchBytes)
            sum = try bytesOf.copy(
                source, target, from: at, to: next, after: isInline ? 0 : sum, holes: holes, rules: rules)
            try run.seam?(.copied, target)
            if isInline, try !isRight(sum, source, target, status, from: at, to: next, holes: holes) { return nil }
            writing.add(at, next)
            at = next
        } while at < end
        guard isInline else { return sum }
        run.progress.bytesVerified.wrappingAdd(Int(end - start), ordering: .relaxed)
        return 0
    }

    /// What is in the target is what was read. A source that has changed is looked at in the end.
    /// - Parameter drops: it is read from the disk.
    func isRight(
        _ sum: UInt32, _ source: Int32, _ target: Int32, _ status: stat, from start: Int64, to end: Int64,
        holes: ByteCopy.Holes, drops: Bool = false
    ) throws(SystemFault) -> Bool {
        let there = try bytesOf.sum(of: target, like: source, from: start, to: end, holes: holes, drops: drops)
        if there == sum { return true }
        return try !isSame(source, status)
    }

    func isSame(_ source: Int32, _ status: stat) throws(SystemFault) -> Bool {
        var again = stat()
        _ = try check(fstat(source, &again), "stat")
        return Identity(again) == Identity(status)
    }

    /// `verify size`: the target's size and time are the source's.
    func compare(_ target: Int32, _ status: stat) throws(SystemFault) {
        guard run.order.verify >= .size else { return }
        var there = stat()
        _ = try check(fstat(target, &there), "stat")
        guard there.st_size == status.st_size, there.st_mtim.nanoseconds == status.st_mtim.nanoseconds else {
            throw SystemFault.damaged
        }
    }

    func show(_ directory: Directory, _ name: UnsafePointer<CChar>, _ size: Int64, done: Int64 = 0) {
        let file = Progress.Active(path: directory.path(name), size: size, done: done, started: now())
        run.progress.active[slot].with { $0 = file }
    }

    func hide() { run.progress.active[slot].with { $0 = nil } }
}
