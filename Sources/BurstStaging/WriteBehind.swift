import CSys

/// Sends what is copied to the disk while more is being copied, waits there for a disk that is slower, and has the
/// kernel forget what is done with.
///
/// Else each page of a large file costs the kernel one fresh page for the source and one for the target, and the sync
/// in the end has all of the file to write. With a few pages that are used over and over a copy takes a third of the
/// processor's time (README, S1). Pages of the source that were in the cache before stay there: somebody uses them.
struct WriteBehind {
    private let source: Int32
    private let target: Int32
    private let behind: Int32
    private let isUsed: Bool
    private let dropsSource: Bool
    /// Being written, in order.
    private var writing: [Range<Int64>] = []
    /// So many stretches are being written while the next one is copied.
    private static let depth = 2

    /// - Parameters:
    ///   - behind: another descriptor of the target; the kernel tells of a failed write once for each descriptor, and
    ///     the target's own is for the sync. -1: nothing is waited for.
    ///   - start, end: all that will be copied.
    init(_ source: Int32, _ target: Int32, _ behind: Int32, from start: Int64, to end: Int64, isUsed: Bool) {
        self.source = source
        self.target = target
        self.behind = behind
        // Small files are for the batch's one sync.
        self.isUsed = isUsed && end - start >= CopyWorker.stretchBytes
        // Its middle is beyond what was read ahead for others.
        dropsSource = self.isUsed && bb_is_cached(source, start + (end - start) / 2) == 0
    }

    /// This was copied, and nobody looks at it any more.
    mutating func add(_ start: Int64, _ end: Int64) {
        guard isUsed, end > start else { return }
        bb_begin_writing_range(target, start, end - start)
        if dropsSource { bb_drop_cache(source, start, end - start) }
        guard behind >= 0 else { return }
        writing.append(start..<end)
        guard writing.count > Self.depth else { return }
        let oldest = writing.removeFirst()
        bb_wait_for_writing(behind, oldest.lowerBound, oldest.upperBound - oldest.lowerBound)
        bb_drop_cache(behind, oldest.lowerBound, oldest.upperBound - oldest.lowerBound)
    }
}
