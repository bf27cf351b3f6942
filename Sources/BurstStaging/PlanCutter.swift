/// Cuts a plan into parts of about equal work, a part for a host (staging.md §4.8).
///
/// Names of one file stay together. Whatever is large goes first, each to the part that has least; the rest follows in
/// the order of the plan, so that a part holds whole folders where it can. No part has more than the average and one
/// file.
package struct PlanCutter: Sendable {
    package struct Part: Hashable, Sendable {
        /// Each with a byte 0 at its end.
        package var paths: [UInt8] = []
        package var files = 0
        package var bytes: Int64 = 0
        /// Bytes, and `fileCost` for each file.
        package var work: Int64 = 0

        package init() {}
    }

    /// A file on several names.
    package struct Inode: Hashable, Sendable {
        package var device: UInt64
        package var number: UInt64

        package init(device: UInt64, number: UInt64) {
            self.device = device
            self.number = number
        }
    }

    /// What opening, naming and syncing one small file takes, in bytes that a disk moves meanwhile.
    package static let fileCost: Int64 = 128 << 10
    /// A unit is large where it is more than this share of a part.
    private static let largeShare: Int64 = 8

    private struct Item {
        var offset: Int
        var bytes: Int64
        /// The next name of the same file, as an index; -1: none.
        var next = -1
    }

    private var paths: [UInt8] = []
    private var items: [Item] = []
    /// Of the first names, in the order of the plan.
    private var first: [Int] = []
    private var last: [Inode: Int] = [:]
    private var work: Int64 = 0

    package init() {}

    package var files: Int { items.count }
    package private(set) var bytes: Int64 = 0

    /// - Parameter inode: of a file with more than one name.
    package mutating func add(_ path: some Sequence<UInt8>, bytes: Int64, inode: Inode? = nil) {
        let index = items.count
        items.append(Item(offset: paths.count, bytes: bytes))
        paths += path
        paths.append(0)
        if let inode {
            defer { last[inode] = index }
            if let before = last[inode] {
                // A further name costs no bytes.
                items[index].bytes = 0
                items[before].next = index
                work += Self.fileCost
                return
            }
        }
        first.append(index)
        self.bytes += bytes
        work += bytes + Self.fileCost
    }

    /// - Parameter count: at least 1. A part may be empty.
    package consuming func cut(into count: Int) -> [Part] {
        var parts = [Part](repeating: Part(), count: count)
        let large = work / Int64(count) / Self.largeShare
        var rest: [Int] = []
        var heavy: [(index: Int, work: Int64)] = []
        var restWork: Int64 = 0
        for index in first {
            let work = work(of: index)
            if work > large {
                heavy.append((index, work))
            } else {
                rest.append(index)
                restWork += work
            }
        }
        heavy.sort { ($1.work, $0.index) < ($0.work, $1.index) }
        for (index, _) in heavy {
            let least = parts.indices.min { (parts[$0].work, $0) < (parts[$1].work, $1) }!
            take(index, &parts[least])
        }
        // As water would: the parts that have least are filled up to one level.
        let level = Self.level(parts.map(\.work).sorted(), restWork)
        var at = 0
        for index in rest {
            while at + 1 < count, parts[at].work >= level { at += 1 }
            take(index, &parts[at])
        }
        return parts
    }

    private static func level(_ loads: [Int64], _ rest: Int64) -> Int64 {
        var sum: Int64 = rest
        for (index, load) in loads.enumerated() {
            sum += load
            let level = (sum + Int64(index)) / Int64(index + 1)
            if index + 1 == loads.count || level <= loads[index + 1] { return level }
        }
        return sum
    }

    private func work(of index: Int) -> Int64 {
        var sum: Int64 = 0
        var at = index
        while at >= 0 {
            sum += items[at].bytes + Self.fileCost
            at = items[at].next
        }
        return sum
    }

    private func take(_ index: Int, _ part: inout Part) {
        var at = index
        while at >= 0 {
            let start = items[at].offset
            let end = at + 1 < items.count ? items[at + 1].offset : paths.count
            part.paths += paths[start..<end]
            part.files += 1
            part.bytes += items[at].bytes
            part.work += items[at].bytes + Self.fileCost
            at = items[at].next
        }
    }
}
