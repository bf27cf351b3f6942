import Glibc
import Synchronization

/// Small files, symbolic links and hard links that are copied, made durable and noted together (staging.md §4.4).
/// Compact, since a plan of a million files waits in memory.
final class Batch: @unchecked Sendable {
    enum Kind: UInt8 {
        case file, symlink
        /// A further name of a file whose first name `group` has.
        case link
    }

    struct Entry {
        var size: Int64
        /// When the source was changed, nanoseconds since 1970.
        var modified: Int64
        /// Allocated, of 512 bytes.
        var blocks: UInt32
        var nameOffset: UInt32
        /// The same as `nameOffset` where the target has the source's name.
        var targetOffset: UInt32
        var group: Int32
        var kind: Kind
        /// The journal says that it is done.
        var isRecorded: Bool
    }

    struct Part {
        var directory: Directory
        var first: Int
        var end: Int
    }

    static let bytesMax: Int64 = 64 << 20

    private(set) var parts: [Part] = []
    private(set) var entries: [Entry] = []
    private(set) var groups: [LinkGroup] = []
    private(set) var bytes: Int64 = 0
    private var names: UnsafeMutableRawPointer
    private var capacity = 4096
    private var used = 0

    init() { names = .allocate(byteCount: capacity, alignment: 1) }

    deinit { names.deallocate() }

    /// What it takes in memory, about.
    var weight: Int { capacity + entries.capacity * MemoryLayout<Entry>.stride + parts.count * 64 + 200 }

    var isEmpty: Bool { entries.isEmpty }

    func isFull(entries most: Int, parts: Int) -> Bool {
        entries.count >= most || bytes >= Self.bytesMax || self.parts.count >= parts
    }

    /// The directory waits for this batch from now on.
    func add(
        _ directory: Directory, _ name: UnsafePointer<CChar>, target: UnsafePointer<CChar>? = nil, _ kind: Kind,
        size: Int64, blocks: Int64 = 0, modified: Int64, group: LinkGroup? = nil, isRecorded: Bool = false
    ) {
        if parts.last?.directory !== directory {
            directory.pending.wrappingAdd(1, ordering: .relaxed)
            parts.append(Part(directory: directory, first: entries.count, end: entries.count))
        }
        let offset = keep(name)
        var number: Int32 = -1
        if let group {
            number = Int32(groups.count)
            groups.append(group)
        }
        entries.append(
            Entry(
                size: size, modified: modified, blocks: UInt32(clamping: blocks), nameOffset: offset,
                targetOffset: target.map(keep) ?? offset,
                group: number, kind: kind,
                isRecorded: isRecorded))
        parts[parts.count - 1].end = entries.count
        bytes += size
    }

    private func keep(_ name: UnsafePointer<CChar>) -> UInt32 {
        let length = strlen(name) + 1
        if used + length > capacity {
            let larger = max(capacity * 2, used + length)
            let moved = UnsafeMutableRawPointer.allocate(byteCount: larger, alignment: 1)
            moved.copyMemory(from: names, byteCount: used)
            names.deallocate()
            names = moved
            capacity = larger
        }
        memcpy(names + used, name, length)
        defer { used += length }
        return UInt32(used)
    }

    /// Good as long as the batch lives and nothing is added.
    func name(_ entry: Entry) -> UnsafePointer<CChar> { at(entry.nameOffset) }

    func target(_ entry: Entry) -> UnsafePointer<CChar> { at(entry.targetOffset) }

    private func at(_ offset: UInt32) -> UnsafePointer<CChar> {
        UnsafePointer((names + Int(offset)).assumingMemoryBound(to: CChar.self))
    }
}

/// A file with several names: copied under the first one met, linked under the others.
final class LinkGroup: Sendable {
    enum State {
        /// Names that came while the first one was being copied.
        case copying(waiting: [(Directory, [CChar])])
        case done(Directory, [CChar])
        case failed(SystemFault)
    }

    private let state = Guarded(State.copying(waiting: []))

    /// Where the first name is. Nil: it is not there yet, and whoever brings it makes this link too; the directory
    /// waits for it.
    func target(for directory: Directory, _ name: UnsafePointer<CChar>) throws(SystemFault) -> (Directory, [CChar])? {
        try state.with { state throws(SystemFault) in
            switch state {
            case .copying(var waiting):
                directory.pending.wrappingAdd(1, ordering: .relaxed)
                waiting.append((directory, chars(bytes(name))))
                state = .copying(waiting: waiting)
                return nil
            case .done(let first, let name): return (first, name)
            case .failed(let fault): throw fault
            }
        }
    }

    /// - Returns: the links to make now.
    func finish(_ directory: Directory, _ name: [CChar]) -> [(Directory, [CChar])] {
        end(.done(directory, name))
    }

    /// - Returns: the links that cannot be made.
    func fail(_ fault: SystemFault) -> [(Directory, [CChar])] { end(.failed(fault)) }

    private func end(_ new: State) -> [(Directory, [CChar])] {
        state.with { state in
            guard case .copying(let waiting) = state else { return [] }
            state = new
            return waiting
        }
    }
}
