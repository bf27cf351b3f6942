import CSys
import Glibc
import Synchronization

/// Which fast ways this run may still try; one that the file systems do not know is not tried again.
final class FastWays: Sendable {
    let clone = Atomic<Bool>(true)
    let range = Atomic<Bool>(true)
}

/// Moves a file's bytes: clone, copy_file_range, else read and write; holes stay holes (staging.md §4.4, step 4).
struct ByteCopy: ~Copyable {
    struct Rules: Sendable {
        var verify: StageOrder.Verify
        /// Where a fast way gave bytes that were not right.
        var isPlain = false
    }

    /// Small enough to stay in a processor's cache between the read and the write.
    static let pieceBytes = 512 << 10
    /// Moved by the kernel at once; a cancel is heard between two.
    static let rangeBytes = 8 << 20
    /// Below this a read and a write cost less than a fast way's setup.
    static let fastBytesMin: Int64 = 128 << 10
    /// Zeros of this length, at places that divide by it, become holes where the source does not tell of its own.
    private static let blockBytes = 4096

    private let buffer = UnsafeMutableRawPointer.allocate(byteCount: pieceBytes, alignment: 4096)
    private var second: UnsafeMutableRawPointer?
    private let ways: FastWays
    private let throttle: Throttle
    private let isStopped: @Sendable () -> Bool
    private let moved: @Sendable (Int) -> Void

    init(
        ways: FastWays, throttle: Throttle, isStopped: @escaping @Sendable () -> Bool,
        moved: @escaping @Sendable (Int) -> Void
    ) {
        self.ways = ways
        self.throttle = throttle
        self.isStopped = isStopped
        self.moved = moved
    }

    deinit {
        buffer.deallocate()
        second?.deallocate()
    }

    /// The whole file as a clone; false: not here.
    func clone(_ source: Int32, _ target: Int32) throws(SystemFault) -> Bool {
        guard ways.clone.load(ordering: .relaxed) else { return false }
        if bb_clone(source, target) == 0 { return true }
        switch errno {
        case EXDEV, EOPNOTSUPP, ENOTTY, ENOSYS: ways.clone.store(false, ordering: .relaxed)
        case ENOSPC, EDQUOT: throw SystemFault("clone")
        default: break
        }
        return false
    }

    /// What a file tells of its holes.
    enum Holes: Sendable {
        case none
        case reported
        /// Fewer blocks than bytes, but no word on where.
        case unknown

        init(_ fd: Int32, _ status: stat) {
            guard Int64(status.st_blocks) * 512 < Int64(status.st_size) else {
                self = .none
                return
            }
            let first = bb_seek_hole(fd, 0)
            self = first >= 0 && first < Int64(status.st_size) ? .reported : .unknown
        }
    }

    /// Copies from `start` to `end`, at most the source's size.
    /// - Parameter before: the sum over what was read up to `start`.
    /// - Returns: the sum over what was read, holes left out; 0 where nothing is verified.
    mutating func copy(
        _ source: Int32, _ target: Int32, from start: Int64, to end: Int64, after before: UInt32 = 0, holes: Holes,
        rules: Rules
    ) throws(SystemFault) -> UInt32 {
        var sum = before
        guard holes == .reported else {
            try copyData(source, target, start, end, makesHoles: holes == .unknown, rules, &sum)
            return sum
        }
        var at = start
        while at < end {
            let data = bb_seek_data(source, at)
            if data < 0, errno == ENXIO { break }
            _ = try check(data, "lseek")
            if data >= end { break }
            let hole = try check(bb_seek_hole(source, data), "lseek")
            try copyData(source, target, data, min(hole, end), makesHoles: false, rules, &sum)
            at = hole
        }
        return sum
    }

    private mutating func copyData(
        _ source: Int32, _ target: Int32, _ start: Int64, _ end: Int64, makesHoles: Bool, _ rules: Rules,
        _ sum: inout UInt32
    ) throws(SystemFault) {
        var at = start
        if rules.verify < .inline, !rules.isPlain, !makesHoles, end - start >= Self.fastBytesMin {
            at = try copyRange(source, target, at, end)
        }
        while at < end {
            if isStopped() { throw SystemFault.cancelled }
            let most = throttle.piece(Self.pieceBytes)
            let count = try check(
                pread(source, buffer, min(most, Int(clamping: end - at)), off_t(at)), "read")
            // The file has become shorter, which the look afterwards finds.
            if count == 0 { return }
            throttle.takeBytes(count)
            if rules.verify >= .inline { sum = bb_crc32c(sum, buffer, count) }
            if makesHoles {
                try writeWithHoles(target, count, at)
            } else {
                try write(target, buffer, count, at)
            }
            moved(count)
            at += Int64(count)
        }
    }

    private func copyRange(
        _ source: Int32, _ target: Int32, _ start: Int64, _ end: Int64
    ) throws(SystemFault) -> Int64 {
        var at = start
        while at < end, ways.range.load(ordering: .relaxed) {
            if isStopped() { throw SystemFault.cancelled }
            let most = throttle.piece(Self.rangeBytes)
            let count = bb_copy_range(source, at, target, at, min(most, Int(clamping: end - at)))
            if count < 0 {
                switch errno {
                case EXDEV, EOPNOTSUPP, ENOSYS: ways.range.store(false, ordering: .relaxed)
                case EINVAL, EPERM: break
                default: throw SystemFault("copy_file_range")
                }
                return at
            }
            if count == 0 { return at }
            throttle.takeBytes(count)
            moved(count)
            at += Int64(count)
        }
        return at
    }

    private func write(
        _ target: Int32, _ bytes: UnsafeRawPointer, _ count: Int, _ offset: Int64
    ) throws(SystemFault) {
        var written = 0
        while written < count {
            written += try check(
                pwrite(target, bytes + written, count - written, off_t(offset) + off_t(written)), "write")
        }
    }

    private func writeWithHoles(_ target: Int32, _ count: Int, _ offset: Int64) throws(SystemFault) {
        var at = 0
        while at < count {
            var end = at
            while end < count, bb_is_zero(buffer + end, min(Self.blockBytes, count - end)) == 1 {
                end += Self.blockBytes
            }
            at = min(end, count)
            while end < count, bb_is_zero(buffer + end, min(Self.blockBytes, count - end)) == 0 {
                end += Self.blockBytes
            }
            end = min(end, count)
            if end > at { try write(target, buffer + at, end - at, offset + Int64(at)) }
            at = end
        }
    }

    /// Reads the same data again, from the target, along the source's map of holes: the sum must be the same; and what
    /// is a hole in the source must be zeros in the target.
    mutating func sum(
        of target: Int32, like source: Int32, from start: Int64, to end: Int64, holes: Holes, drops: Bool
    ) throws(SystemFault) -> UInt32 {
        if drops { bb_drop_cache(target, start, end - start) }
        let buffer = second ?? UnsafeMutableRawPointer.allocate(byteCount: Self.pieceBytes, alignment: 4096)
        second = buffer
        var sum: UInt32 = 0
        var at = start
        while at < end {
            var stop = end
            var isHole = false
            if holes == .reported {
                let data = bb_seek_data(source, at)
                if data < 0, errno == ENXIO {
                    isHole = true
                } else if data > at {
                    isHole = true
                    stop = min(end, data)
                } else if data == at {
                    let hole = bb_seek_hole(source, at)
                    guard hole >= 0 else { throw SystemFault("lseek") }
                    stop = min(end, hole)
                }
            }
            if isHole {
                try checkZeros(target, buffer, at, stop)
                at = stop
                continue
            }
            while at < stop {
                if isStopped() { throw SystemFault.cancelled }
                let most = min(Self.pieceBytes, Int(clamping: stop - at))
                let count = try check(pread(target, buffer, most, off_t(at)), "read")
                guard count > 0 else { throw SystemFault.damaged }
                sum = bb_crc32c(sum, buffer, count)
                at += Int64(count)
            }
        }
        return sum
    }

    private func checkZeros(
        _ target: Int32, _ buffer: UnsafeMutableRawPointer, _ start: Int64, _ end: Int64
    ) throws(SystemFault) {
        var at = start
        while at < end {
            // Holes cost nothing where the target tells of them.
            let data = bb_seek_data(target, at)
            if data < 0, errno == ENXIO { return }
            if data > at { at = data }
            if at >= end { return }
            if isStopped() { throw SystemFault.cancelled }
            let count = try check(
                pread(target, buffer, min(Self.pieceBytes, Int(clamping: end - at)), off_t(at)), "read")
            guard count > 0, bb_is_zero(buffer, count) == 1 else { throw SystemFault.damaged }
            at += Int64(count)
        }
    }
}
