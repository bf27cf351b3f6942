import CSys
import Glibc
import Synchronization

/// Names of files that are not whole yet: `.bbpart.TOKEN-GENERATION.NUMBER` beside their target, however long the
/// target's own name is. The tag keeps sessions that stage into one directory apart.
final class Temporaries: Sendable {
    let prefix: [UInt8]
    /// This life's numbers begin here.
    let first: UInt64
    private let next: Atomic<UInt64>

    /// - Parameter start: how many lives there were; numbers of different lives differ.
    init(token: String, generation: UInt64, start: Int) {
        prefix = Self.prefix(token: token, generation: generation)
        first = UInt64(start) << 40
        next = Atomic(first)
    }

    static func prefix(token: String, generation: UInt64) -> [UInt8] { Array(".bbpart.\(token)-\(generation).".utf8) }

    func number() -> UInt64 { next.wrappingAdd(1, ordering: .relaxed).oldValue }

    func name(_ number: UInt64) -> [CChar] { chars(prefix + Array(String(number).utf8)) }
}

/// What a killed life left in a target: temporary files of the same tag.
struct Leftovers: Sendable {
    var prefix: [UInt8]
    /// Of large files, some parts of which are whole.
    var kept: Set<UInt64>
    /// This life's own numbers begin here. A folder may be met twice, with files under way in it.
    var end: UInt64
    /// Of parts that are over: all of theirs goes.
    var further: [[UInt8]] = []

    /// Removes what is of no use.
    /// - Returns: the numbers that stay.
    func clear(_ directory: Int32) -> [UInt64] {
        var found: [(name: [CChar], number: UInt64?)] = []
        var listing = DirectoryListing()
        // Another descriptor, since that one's place in the directory may be in use.
        let fd = bb_open_leaf(directory, ".", O_RDONLY | O_DIRECTORY, 0)
        guard fd >= 0 else { return [] }
        defer { close(fd) }
        try? listing.forEach(fd) { name, length, _ in
            let bytes = UnsafeRawBufferPointer(start: name, count: length)
            if further.contains(where: { bytes.starts(with: $0) }) { return found.append((chars(bytes), nil)) }
            guard bytes.starts(with: prefix) else { return }
            found.append((chars(bytes), UInt64(String(decoding: bytes.dropFirst(prefix.count), as: UTF8.self))))
        }
        var kept: [UInt64] = []
        for (name, number) in found {
            if let number, number >= end { continue }
            if let number, self.kept.contains(number) {
                kept.append(number)
            } else {
                unlinkat(directory, name, 0)
            }
        }
        return kept
    }
}

/// Reads directories entry by entry, with one buffer for all.
struct DirectoryListing: ~Copyable {
    private let buffer = UnsafeMutableRawPointer.allocate(byteCount: bufferBytes, alignment: 16)
    private static let bufferBytes = 256 << 10

    deinit { buffer.deallocate() }

    /// Name, its length and its `d_type`, without `.` and `..`.
    mutating func forEach(
        _ fd: Int32, _ take: (UnsafePointer<CChar>, Int, UInt8) -> Void
    ) throws(SystemFault) {
        while true {
            let count = try check(bb_directory_entries(fd, buffer, Self.bufferBytes), "getdents")
            if count == 0 { return }
            var offset = 0
            while offset < count {
                let entry = bb_entry_at(buffer + offset)
                offset += entry.record_length
                let name = entry.name!
                if name[0] == 0x2e, entry.name_length == 1 || (entry.name_length == 2 && name[1] == 0x2e) { continue }
                take(name, entry.name_length, entry.type)
            }
        }
    }
}
