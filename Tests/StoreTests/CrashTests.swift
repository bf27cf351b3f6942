import BurstEngine
import BurstModel
import BurstStore
import BurstTestSupport
import Glibc
import Testing

/// What is acknowledged stays, whatever happens to the process, the file or the disk.
@Suite struct CrashTests {
    /// How often a process is killed.
    private static let kills = Environment["BURST_STORE_KILLS"].flatMap { Int($0) } ?? 30

    /// The last number that the probe said; nil before the first.
    private func said(_ probe: PipedProgram) -> UInt32? {
        // The last line may be half of one.
        let text = String(decoding: probe.output, as: UTF8.self)
        guard let end = text.lastIndex(of: "\n") else { return nil }
        return text[..<end].split(separator: "\n").last.flatMap { UInt32($0) }
    }

    /// All that belongs to the numbers up to the last is there, and nothing of the next one.
    private func expectPrefix(_ store: Store, sourceLocation: SourceLocation = #_sourceLocation) throws -> UInt32 {
        let state = try store.recover()
        let last = state.nextJobID - 1
        #expect(state.jobs.map(\.id) == Array(1..<(last + 1)), sourceLocation: sourceLocation)
        #expect(state.nextCallNumber == UInt64(last) + 1, sourceLocation: sourceLocation)
        let rows = try store.query(
            sql: """
                SELECT (SELECT count(*) FROM state_changes), (SELECT max(job_id) FROM state_changes),
                    (SELECT count(*) FROM calls WHERE outcome = 'success'), (SELECT count(*) FROM calls)
                """
        ).rows
        let count = Int64(last)
        #expect(
            rows == [
                [
                    .integer(count), last == 0 ? .null : .integer(count), .integer(max(0, count - 1)), .integer(count),
                ]
            ], sourceLocation: sourceLocation)
        return last
    }

    @Test(.timeLimit(.minutes(15))) func whatIsAcknowledgedSurvivesAKill() throws {
        let folder = try TemporaryFolder("burst-store")
        var random = SystemRandomNumberGenerator()
        var last: UInt32 = 0
        for _ in 0..<Self.kills {
            let probe = try Probe.start("persist", folder("state"))
            let end = last + UInt32.random(in: 1...40, using: &random)
            #expect(probe.wait { (self.said($0) ?? 0) >= end })
            probe.signal(SIGKILL)
            let result = probe.waitForEnd()
            #expect(result.errorText == "")
            let acknowledged = try #require(said(probe))
            let store = try Store.open(folder: folder("state"))
            last = try expectPrefix(store)
            // At most the one that was being written when the end came.
            #expect(last == acknowledged || last == acknowledged + 1)
            #expect(try store.check() == [])
            store.close()
        }
        #expect(last >= UInt32(Self.kills))
    }

    /// A power cut leaves the database and some beginning of the log, the last page of which may be torn.
    @Test(.timeLimit(.minutes(15))) func anyBeginningOfTheLogIsABeginningOfTheCommits() throws {
        let folder = try TemporaryFolder("burst-store")
        let probe = try Probe.start("persist", folder("state"))
        #expect(probe.wait { (self.said($0) ?? 0) >= 20 })
        // Nothing is written while the files are copied; the log is not taken in before it has 1000 pages.
        probe.signal(SIGSTOP)
        var status: Int32 = 0
        #expect(waitpid(probe.pid, &status, WUNTRACED) == probe.pid)
        let database = Fixtures.bytes(of: folder("state/burst.db"))
        let log = Fixtures.bytes(of: folder("state/burst.db-wal"))
        _ = probe.wait(seconds: 0.2) { _ in false }
        let acknowledged = try #require(said(probe))
        probe.signal(SIGKILL)
        _ = probe.waitForEnd()
        #expect(log.count < 1000 * 4096)

        var lasts: Set<UInt32> = []
        var random = SystemRandomNumberGenerator()
        let ends = [0, 31, 32, log.count] + (0..<40).map { _ in Int.random(in: 0...log.count, using: &random) }
        for end in ends {
            var part = Array(log[..<end])
            if end < log.count, Bool.random(using: &random) {
                part += (0..<Int.random(in: 1...8192, using: &random)).map { _ in
                    UInt8.random(in: 0...255, using: &random)
                }
            }
            let copy = try TemporaryFolder("burst-store")
            copy.makeFolder("state")
            copy.write(database, to: "state/burst.db", mode: 0o600)
            copy.write(part, to: "state/burst.db-wal", mode: 0o600)
            let store = try Store.open(folder: copy("state"))
            let last = try expectPrefix(store)
            #expect(try store.check() == [])
            if end == log.count { #expect(last == acknowledged || last == acknowledged + 1) }
            lasts.insert(last)
            try store.persist([.nextJobID(last + 2)])
            #expect(try store.recover().nextJobID == last + 2)
        }
        #expect(lasts.count > 5)
    }

    @Test func aFullDiskIsSaidAndTheStoreGoesOn() throws {
        let folder = try TemporaryFolder("burst-store")
        let result = try Probe.start("starve", folder("state"), "400000").waitForEnd()
        #expect(result.errorText == "")
        let lines = result.text.split(separator: "\n").map(String.init)
        try #require(lines.count == 4)
        let kept = try #require(UInt32(lines[0].dropFirst("kept ".count)))
        #expect(kept > 0)
        #expect(lines[1].hasPrefix(folder("state/burst.db") + ": cannot be written "))
        #expect(
            lines[1].hasSuffix(
                "nothing of this step was kept; make room on the disk, raise the limit of a file's size, or see the kernel's log"
            ))
        #expect(lines[2] == "read \(kept)")
        #expect(lines[3] == "kept \(kept + 1)")
        let store = try Store.open(folder: folder("state"))
        #expect(try expectPrefix(store) == kept + 1)
        #expect(try store.check() == [])
    }

    @Test func aFullDatabaseIsSaidAndTheStoreGoesOn() throws {
        let there = try TemporaryStore()
        try there.store.limitPages(60)
        var kept: UInt32 = 0
        let fault = refusal {
            for id in UInt32(1)...10_000 {
                var job = Samples.job
                job.id = id
                try there.store.persist([.job(job), .nextJobID(id + 1)])
                kept = id
            }
        }
        #expect(fault?.kind == .full)
        #expect(
            fault?.description
                == "\(there.store.path): the disk is full, nothing of this step was kept; make room on it")
        #expect(try there.store.state().jobs.count == Int(kept))
        try there.store.limitPages(1_000_000)
        try there.store.persist([.job(Samples.plainJob), .nextJobID(50_000)])
        #expect(try there.store.recover().nextJobID == 50_000)
        #expect(try there.store.check().filter { $0.text.hasPrefix("database") } == [])
    }
}
