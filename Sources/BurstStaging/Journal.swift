import CSys
import Glibc

/// What is done, so that a second start does not do it again (staging.md §4.4). A file of records, each
///
///     length of the payload  UInt32, little-endian
///     CRC32C of the payload  UInt32
///     payload                its first byte says what it is
///
/// Only appended to. What follows the last whole record was never promised, and is cut off.
package final class Journal: Sendable {
    package static let version: UInt32 = 1
    package static let recordBytesMax = 1 << 20

    /// What a large file's parts tell.
    package struct Parts: Hashable, Sendable {
        /// Of its temporary file.
        package var number: UInt64
        package var done: Set<UInt32> = []

        package init(number: UInt64) { self.number = number }
    }

    /// What an earlier life left.
    package struct Past: Sendable {
        package var starts = 0
        package var done: Set<Key> = []
        package var large: [Key: Parts] = [:]
        /// Transfers whose destination directory this phase made.
        package var madeRoots: Set<UInt32> = []
        package var summary: Summary?
        /// What of it others have done: parts on several hosts.
        package var isJoined = false
    }

    /// The complete mark: the only thing that makes a phase complete.
    package struct Summary: Hashable, Sendable {
        package var files: UInt64
        package var directories: UInt64
        package var links: UInt64
        package var bytes: UInt64
        package var skipped: UInt64
        package var degraded: UInt64
        /// Over the names, types and metadata of all that was staged, in any order.
        package var tree: Key

        package init(
            files: UInt64, directories: UInt64, links: UInt64, bytes: UInt64, skipped: UInt64, degraded: UInt64,
            tree: Key
        ) {
            self.files = files
            self.directories = directories
            self.links = links
            self.bytes = bytes
            self.skipped = skipped
            self.degraded = degraded
            self.tree = tree
        }
    }

    package enum Record: Hashable, Sendable {
        case header(version: UInt32, plan: Key)
        case start
        case done([Key])
        case large(Key, number: UInt64)
        case part(Key, index: UInt32)
        case madeRoot(UInt32)
        case complete(Summary)
    }

    package enum Fault: Error, Hashable, Sendable {
        case refused(SystemFault)
        case inUse
        case otherPlan
        case otherVersion(UInt32)
    }

    private let descriptor: Int32
    private let end: Guarded<Int64>

    /// Reads what is there, cuts off what is not whole, and notes this start.
    /// - Parameter descriptor: open for reading and writing; closed by whoever opened it.
    package static func open(
        _ descriptor: Int32, plan: Key, synced: Bool
    ) throws(Fault) -> (journal: Journal, past: Past) {
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            throw errno == EWOULDBLOCK ? .inUse : .refused(SystemFault("flock"))
        }
        var past = Past()
        var sawHeader = false
        var end: Int64 = 0
        var wrong: Fault?
        try read(descriptor) { payload, whole in
            guard wrong == nil, let record = Record(payload) else { return false }
            if !sawHeader {
                guard case .header(let version, let was) = record else { return false }
                if version != Self.version {
                    wrong = .otherVersion(version)
                } else if was != plan {
                    wrong = .otherPlan
                }
                sawHeader = true
            } else {
                past.apply(record)
            }
            end = whole
            return true
        }
        if let wrong { throw wrong }
        if ftruncate(descriptor, off_t(end)) != 0 { throw .refused(SystemFault("ftruncate")) }
        let journal = Journal(descriptor, end: end)
        do {
            if !sawHeader { try journal.append(.header(version: version, plan: plan)) }
            try journal.append(.start)
            if synced { try journal.sync() }
        } catch {
            throw .refused(error)
        }
        return (journal, past)
    }

    /// Reads another worker's journal and leaves it as it is.
    package static func past(of descriptor: Int32) throws(Fault) -> Past {
        guard flock(descriptor, LOCK_SH | LOCK_NB) == 0 else {
            throw errno == EWOULDBLOCK ? .inUse : .refused(SystemFault("flock"))
        }
        var past = Past()
        try read(descriptor) { payload, _ in
            guard let record = Record(payload) else { return false }
            past.apply(record)
            return true
        }
        return past
    }

    private init(_ descriptor: Int32, end: Int64) {
        self.descriptor = descriptor
        self.end = Guarded(end)
    }

    package func append(_ record: Record) throws(SystemFault) {
        let payload = record.encoded
        precondition(payload.count <= Self.recordBytesMax)
        let sum = payload.withUnsafeBytes { bb_crc32c(0, $0.baseAddress, $0.count) }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(payload.count + 8)
        bytes.append(word: UInt32(payload.count))
        bytes.append(word: sum)
        bytes += payload
        try end.with { end throws(SystemFault) in
            var written = 0
            while written < bytes.count {
                let count = bytes.withUnsafeBytes { all in
                    pwrite(descriptor, all.baseAddress! + written, all.count - written, off_t(end) + off_t(written))
                }
                written += try check(count, "pwrite")
            }
            end += Int64(bytes.count)
        }
    }

    package func sync() throws(SystemFault) { _ = try check(fdatasync(descriptor), "fdatasync") }

    /// Hands out whole records in order, with the file's length up to each one's end, until one is refused or none is
    /// left.
    private static func read(_ descriptor: Int32, _ take: ([UInt8], Int64) -> Bool) throws(Fault) {
        var buffer: [UInt8] = []
        var start = 0
        var consumed: Int64 = 0
        var offset: off_t = 0
        var block = [UInt8](repeating: 0, count: 1 << 20)
        while true {
            while buffer.count - start >= 8 {
                let length = Int(buffer.word(at: start) as UInt32)
                guard length <= recordBytesMax else { return }
                guard buffer.count - start >= 8 + length else { break }
                let payload = Array(buffer[start + 8..<start + 8 + length])
                let sum = payload.withUnsafeBytes { bb_crc32c(0, $0.baseAddress, $0.count) }
                guard sum == buffer.word(at: start + 4) else { return }
                start += 8 + length
                consumed += Int64(8 + length)
                guard take(payload, consumed) else { return }
            }
            buffer.removeFirst(start)
            start = 0
            let count = pread(descriptor, &block, block.count, offset)
            guard count >= 0 else { throw .refused(SystemFault("pread")) }
            if count == 0 { return }
            buffer += block[..<count]
            offset += off_t(count)
        }
    }
}

extension Journal.Past {
    fileprivate mutating func apply(_ record: Journal.Record) {
        switch record {
        case .header: break
        case .start: starts += 1
        case .done(let keys):
            for key in keys {
                done.insert(key)
                large[key] = nil
            }
        case .large(let key, let number): large[key] = Journal.Parts(number: number)
        case .part(let key, let index): large[key]?.done.insert(index)
        case .madeRoot(let index): madeRoots.insert(index)
        case .complete(let summary): self.summary = summary
        }
    }
}

extension Journal.Record {
    fileprivate var encoded: [UInt8] {
        var bytes: [UInt8] = []
        switch self {
        case .header(let version, let plan):
            bytes = [1]
            bytes.append(word: version)
            bytes.append(plan)
        case .start: bytes = [2]
        case .done(let keys):
            bytes.reserveCapacity(1 + 16 * keys.count)
            bytes.append(3)
            for key in keys { bytes.append(key) }
        case .large(let key, let number):
            bytes = [4]
            bytes.append(key)
            bytes.append(word: number)
        case .part(let key, let index):
            bytes = [5]
            bytes.append(key)
            bytes.append(word: index)
        case .madeRoot(let index):
            bytes = [6]
            bytes.append(word: index)
        case .complete(let summary):
            bytes = [7]
            for number in [
                summary.files, summary.directories, summary.links, summary.bytes, summary.skipped, summary.degraded,
            ] { bytes.append(word: number) }
            bytes.append(summary.tree)
        }
        return bytes
    }

    /// Nil: not a record of this version.
    fileprivate init?(_ bytes: [UInt8]) {
        guard let kind = bytes.first else { return nil }
        let length = bytes.count - 1
        switch kind {
        case 1 where length == 20: self = .header(version: bytes.word(at: 1), plan: bytes.key(at: 5))
        case 2 where length == 0: self = .start
        case 3 where length % 16 == 0:
            self = .done(stride(from: 1, to: bytes.count, by: 16).map { bytes.key(at: $0) })
        case 4 where length == 24: self = .large(bytes.key(at: 1), number: bytes.word(at: 17))
        case 5 where length == 20: self = .part(bytes.key(at: 1), index: bytes.word(at: 17))
        case 6 where length == 4: self = .madeRoot(bytes.word(at: 1))
        case 7 where length == 64:
            self = .complete(
                Journal.Summary(
                    files: bytes.word(at: 1), directories: bytes.word(at: 9), links: bytes.word(at: 17),
                    bytes: bytes.word(at: 25), skipped: bytes.word(at: 33), degraded: bytes.word(at: 41),
                    tree: bytes.key(at: 49)))
        default: return nil
        }
    }
}

extension [UInt8] {
    fileprivate mutating func append<Word: FixedWidthInteger>(word: Word) {
        Swift.withUnsafeBytes(of: word.littleEndian) { append(contentsOf: $0) }
    }

    fileprivate mutating func append(_ key: Key) {
        append(word: key.high)
        append(word: key.low)
    }

    fileprivate func word<Word: FixedWidthInteger>(at index: Int) -> Word {
        withUnsafeBytes { Word(littleEndian: $0.loadUnaligned(fromByteOffset: index, as: Word.self)) }
    }

    fileprivate func key(at index: Int) -> Key { Key(high: word(at: index), low: word(at: index + 8)) }
}
