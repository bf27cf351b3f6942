import BurstStaging
import BurstTestSupport
import Glibc
import Testing

/// What a journal says after any accident is true (staging.md §5, R5).
@Suite struct JournalTests {
    private let plan = Key(high: 1, low: 2)

    private func open(_ path: String) throws -> (journal: Journal, past: Journal.Past, file: Int32) {
        let file = Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        try #require(file >= 0)
        // A program that another test starts just now has every file of ours open for a moment, locks and all.
        var found: (journal: Journal, past: Journal.Past)?
        _ = try Wait.until {
            do {
                found = try Journal.open(file, plan: plan, synced: false)
            } catch Journal.Fault.inUse {
                return false
            }
            return true
        }
        let (journal, past) = try #require(found)
        return (journal, past, file)
    }

    private func key(_ number: UInt64) -> Key {
        var key = Key.zero
        key.mix(number)
        return key
    }

    private static let summary = Journal.Summary(
        files: 3, directories: 2, links: 1, bytes: 1 << 40, skipped: 5, degraded: 6, tree: Key(high: 7, low: 8))

    /// Batches, a large file in parts, and a complete mark last.
    private func fill(_ journal: Journal) throws -> [Set<Key>] {
        var after: [Set<Key>] = [[]]
        for batch in 0..<40 {
            let keys = (0..<UInt64(batch % 7)).map { key(UInt64(batch) * 100 + $0) }
            try journal.append(.done(keys))
            after.append(after.last!.union(keys))
            if batch == 20 {
                try journal.append(.madeRoot(3))
                try journal.append(.large(key(5000), number: 77))
            }
            if batch > 20, batch % 5 == 0 { try journal.append(.part(key(5000), index: UInt32(batch))) }
        }
        try journal.append(.complete(Self.summary))
        return after
    }

    @Test func whatWasNotedIsThere() throws {
        let folder = try TemporaryFolder()
        let first = try open(folder("journal"))
        #expect(first.past.starts == 0)
        let after = try fill(first.journal)
        close(first.file)
        let second = try open(folder("journal"))
        defer { close(second.file) }
        #expect(second.past.starts == 1)
        #expect(second.past.done == after.last!)
        #expect(second.past.madeRoots == [3])
        #expect(second.past.large == [key(5000): partsOf(77, [25, 30, 35])])
        #expect(second.past.summary == Self.summary)
    }

    private func partsOf(_ number: UInt64, _ done: Set<UInt32>) -> Journal.Parts {
        var parts = Journal.Parts(number: number)
        parts.done = done
        return parts
    }

    @Test func cutAnywhereItTellsNothingThatIsNotSo() throws {
        let folder = try TemporaryFolder()
        let first = try open(folder("journal"))
        let after = try fill(first.journal)
        close(first.file)
        let bytes = Fixtures.bytes(of: folder("journal"))
        #expect(bytes.count > 1000)
        var last: Set<Key> = []
        for length in max(0, bytes.count - 4096)...bytes.count {
            folder.write(bytes[..<length], to: "cut")
            let cut = try open(folder("cut"))
            #expect(after.contains(cut.past.done), "cut at \(length)")
            #expect(cut.past.done.isSuperset(of: last), "cut at \(length)")
            #expect((cut.past.summary != nil) == (length == bytes.count))
            last = cut.past.done
            // What is noted from now on is found after it.
            try cut.journal.append(.done([key(999_999)]))
            close(cut.file)
            let again = try open(folder("cut"))
            #expect(again.past.done == last.union([key(999_999)]), "cut at \(length)")
            close(again.file)
        }
    }

    @Test func aDamagedRecordEndsIt() throws {
        let folder = try TemporaryFolder()
        let first = try open(folder("journal"))
        let after = try fill(first.journal)
        close(first.file)
        let bytes = Fixtures.bytes(of: folder("journal"))
        for place in stride(from: 60, to: bytes.count, by: 3) {
            var damaged = bytes
            damaged[place] ^= 1 << (place % 8)
            folder.write(damaged, to: "damaged")
            let read = try open(folder("damaged"))
            #expect(after.contains(read.past.done), "byte \(place)")
            #expect(read.past.summary == nil)
            close(read.file)
        }
    }

    @Test func otherPlansVersionsAndWorkersAreRefused() throws {
        let folder = try TemporaryFolder()
        let first = try open(folder("journal"))
        let file = Glibc.open(folder("journal"), O_RDWR | O_CLOEXEC)
        defer { close(file) }
        #expect(throws: Journal.Fault.inUse) { try Journal.open(file, plan: plan, synced: false) }
        close(first.file)
        // Others may have it open for a moment yet.
        _ = Wait.until {
            do {
                _ = try Journal.open(file, plan: Key(high: 9, low: 9), synced: false)
                return true
            } catch { return error as? Journal.Fault != .inUse }
        }
        #expect(throws: Journal.Fault.otherPlan) {
            try Journal.open(file, plan: Key(high: 9, low: 9), synced: false)
        }
    }
}
