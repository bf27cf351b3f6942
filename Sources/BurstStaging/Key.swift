import Glibc

/// 128 bits that stand for a path, or for a file with its identity. Not for secrets: who makes two alike deceives only
/// himself, and the target is looked at before a file counts as done.
package struct Key: Hashable, Sendable {
    package var high: UInt64
    package var low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    package static let zero = Key(high: 0x9e37_79b9_7f4a_7c15, low: 0xc2b2_ae3d_27d4_eb4f)

    private static func fold(_ one: UInt64, _ other: UInt64) -> UInt64 {
        let product = one.multipliedFullWidth(by: other)
        return product.high ^ product.low
    }

    package mutating func mix(_ word: UInt64) {
        high = Self.fold(high ^ word, 0xa076_1d64_78bd_642f) &+ low.rotated(29)
        low = Self.fold(low &+ word, 0xe703_7ed1_a0b4_28db) ^ high
    }

    package mutating func mix(_ bytes: UnsafeRawBufferPointer) {
        mix(UInt64(bytes.count))
        var index = 0
        while index + 8 <= bytes.count {
            mix(bytes.loadUnaligned(fromByteOffset: index, as: UInt64.self))
            index += 8
        }
        guard index < bytes.count else { return }
        var last: UInt64 = 0
        while index < bytes.count {
            last = last << 8 | UInt64(bytes[index])
            index += 1
        }
        mix(last)
    }

    package mutating func mix(_ bytes: [UInt8]) { bytes.withUnsafeBytes { mix($0) } }

    /// Sums are the same in any order.
    package mutating func add(_ other: Key) {
        let (sum, overflow) = low.addingReportingOverflow(other.low)
        low = sum
        high = high &+ other.high &+ (overflow ? 1 : 0)
    }

    package var shown: String {
        [high, low].map { word in
            let digits = String(word, radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }.joined()
    }
}

extension UInt64 {
    fileprivate func rotated(_ bits: UInt64) -> UInt64 { self << bits | self >> (64 - bits) }
}

/// What a source was when it was looked at. Changed in any part, it is another file.
struct Identity: Hashable, Sendable {
    var device: UInt64
    var inode: UInt64
    var size: Int64
    var modified: Int64
    var changed: Int64

    init(_ status: stat) {
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
        size = Int64(status.st_size)
        modified = status.st_mtim.nanoseconds
        changed = status.st_ctim.nanoseconds
    }

    /// The key of a file of this identity below that directory. The device's number is left out: it may be another
    /// one after the file system was mounted again.
    func key(_ directory: Key, _ name: UnsafePointer<CChar>) -> Key {
        var key = directory
        key.mix(UnsafeRawBufferPointer(start: name, count: strlen(name)))
        key.mix(inode)
        key.mix(UInt64(bitPattern: size))
        key.mix(UInt64(bitPattern: modified))
        key.mix(UInt64(bitPattern: changed))
        return key
    }
}

extension timespec {
    var nanoseconds: Int64 { Int64(tv_sec) &* 1_000_000_000 &+ Int64(tv_nsec) }
}
