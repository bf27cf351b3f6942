import BurstEngine
import BurstModel
import BurstStore
import Testing

/// The history is asked, and it does not grow without end.
@Suite struct HistoryTests {
    private func filled(_ rows: Int64) throws -> TemporaryStore {
        let there = try TemporaryStore()
        // A row each hour.
        for first in stride(from: 0, to: rows, by: 100) {
            try there.store.persist(
                (first..<min(rows, first + 100)).flatMap { number -> [BurstEngine.Record] in
                    let at = Samples.at(number * 3_600_000)
                    let id = UInt64(number + 1)
                    return [
                        .change(Samples.change(UInt32(number), at: at)), .callStarted(Samples.start(id, at: at)),
                        .callEnded(Samples.end(id)), .action(Samples.action(UInt32(number), at: at)),
                    ]
                })
        }
        return there
    }

    private func trim(_ store: Store, _ limits: HistoryLimits, at now: Timestamp) throws -> Int {
        var steps = 0
        while try store.trim(limits, at: now) {
            steps += 1
            try #require(steps < 10_000)
        }
        return steps
    }

    @Test func defaultsKeepWhatIsYoungAndSmall() throws {
        let there = try filled(200)
        #expect(try trim(there.store, HistoryLimits(), at: Samples.at(200 * 3_600_000)) == 0)
        #expect(try there.store.changes(limit: 1000).count == 200)
    }

    @Test func trimmingByAgeKeepsTheNewest() throws {
        let there = try filled(200)
        var limits = HistoryLimits()
        limits.days = 2
        #expect(try trim(there.store, limits, at: Samples.at(200 * 3_600_000)) > 0)
        #expect(try there.store.changes(limit: 1000).map(\.jobID) == Array(152..<200))
        #expect(try there.store.calls(limit: 1000).map(\.start.id.number) == Array(153...200))
        #expect(try there.store.actions(limit: 1000).map(\.jobID) == Array(152..<200))
    }

    @Test func trimmingByRowsKeepsTheNewest() throws {
        let there = try filled(300)
        var limits = HistoryLimits()
        limits.rows = 10
        #expect(try trim(there.store, limits, at: Samples.at(0)) > 0)
        #expect(try there.store.changes(limit: 1000).map(\.jobID) == Array(290..<300))
        #expect(try there.store.calls(limit: 1000).map(\.start.id.number) == Array(291...300))
        #expect(try there.store.actions(limit: 1000).count == 10)
    }

    @Test func trimmingBySizeKeepsTheNewestAndMakesTheFileSmaller() throws {
        let there = try filled(1500)
        try there.store.persist([.job(Samples.job)])
        let pages =
            "SELECT (page_count - freelist_count) * page_size, page_count * page_size "
            + "FROM pragma_page_count, pragma_freelist_count, pragma_page_size"
        let before = try there.store.query(sql: pages).rows
        guard case .integer(let bytes) = try #require(before.first?.first) else { return }
        var limits = HistoryLimits()
        limits.bytes = Int(bytes) / 2
        #expect(try trim(there.store, limits, at: Samples.at(0)) > 1)
        let after = try #require(try there.store.query(sql: pages).rows.first)
        for case .integer(let bytes) in after { #expect(bytes <= limits.bytes) }
        let changes = try there.store.changes(limit: 10_000).map(\.jobID)
        #expect(changes.count > 100)
        #expect(changes == Array((1500 - UInt32(changes.count))..<1500))
        let calls = try there.store.calls(limit: 10_000).map(\.start.id.number)
        #expect(calls.count > 100)
        #expect(calls == Array((1501 - UInt64(calls.count))...1500))
        #expect(try there.store.recover().jobs == [Samples.job])
        #expect(try there.store.check().filter { $0.text.hasPrefix("database") } == [])
    }

    @Test func callsUnderWayAreNotTrimmed() throws {
        let there = try TemporaryStore()
        try there.store.persist([
            .callStarted(Samples.start(1)), .callStarted(Samples.start(2)), .callEnded(Samples.end(2)),
            .callStarted(Samples.start(3)),
        ])
        var limits = HistoryLimits()
        limits.days = 0
        limits.rows = 0
        limits.bytes = 0
        _ = try trim(there.store, limits, at: Samples.at(1_000_000_000))
        #expect(try there.store.calls(limit: 10).map(\.start.id.number) == [1, 3])
        try there.store.persist([.callEnded(Samples.end(1))])
        #expect(try there.store.calls(limit: 1).isEmpty == false)
    }

    // MARK: Questions

    @Test(arguments: [
        "SELECT count(*) FROM calls", " select count(*) from calls;", "-- how many\nSELECT count(*) FROM calls",
        "/* how */ /* many */ SELECT count(*) FROM calls", "WITH c AS (SELECT * FROM calls) SELECT count(*) FROM c",
        "VALUES (1)",
    ])
    func questionsAreAnswered(sql: String) throws {
        let there = try TemporaryStore()
        try there.store.persist([.callStarted(Samples.start(1))])
        #expect(try there.store.query(sql: sql).rows == [[.integer(1)]])
    }

    @Test func everyKindOfValueComes() throws {
        let there = try TemporaryStore()
        let answer = try there.store.query(sql: "SELECT NULL AS a, 1, 2.5, 'text', x'00ff'")
        #expect(answer.columns == ["a", "1", "2.5", "'text'", "x'00ff'"])
        #expect(answer.rows == [[.null, .integer(1), .number(2.5), .text("text"), .bytes([0, 255])]])
        #expect(!answer.isCut)
    }

    @Test(arguments: [
        "", "   ", "/* open", "DELETE FROM jobs", "UPDATE jobs SET uid = 0", "DROP TABLE jobs", "PRAGMA query_only = 0",
        "ATTACH 'other.db' AS other", "BEGIN", "SELECT 1; DELETE FROM jobs", "SELECT 1; SELECT 2",
        "WITH c AS (SELECT 1) DELETE FROM jobs", "SELECT * FROM nothing", "SELECT", "EXPLAIN SELECT 1",
        "VACUUM INTO 'a'",
        "SELECT load_extension('a')", "SELECT ?", "SELECT 1 \u{0} 2", "SELECT length(zeroblob(1000000000))",
        "REPLACE INTO counters VALUES ('next_job_id', 1)", "INSERT INTO actions SELECT 1",
    ])
    func whatIsNoQuestionIsRefused(sql: String) throws {
        let there = try TemporaryStore()
        try there.store.persist([.job(Samples.job), .nextJobID(9)])
        let fault = refusal { _ = try there.store.query(sql: sql) }
        #expect(fault?.kind == .question)
        #expect(fault?.description.hasPrefix("SQL: ") == true)
        #expect(fault?.description.contains("\n") == false)
        #expect(try there.store.recover().jobs == [Samples.job])
        #expect(try there.store.query(sql: "SELECT 1").rows == [[.integer(1)]])
    }

    @Test func questionsWithoutEndAreEnded() throws {
        let there = try TemporaryStore()
        let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
        let fault = refusal { _ = try there.store.query(sql: endless, seconds: 1) }
        #expect(fault?.description == "SQL: takes longer than 1 s; ask for less, or add a LIMIT")
        #expect(try there.store.query(sql: "SELECT 2").rows == [[.integer(2)]])
    }

    @Test func longAnswersAreCut() throws {
        let there = try TemporaryStore()
        let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"
        let answer = try there.store.query(sql: endless, rowsMax: 100)
        #expect(answer.rows.count == 100)
        #expect(answer.isCut)
        let wide = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT zeroblob(1000000) FROM n"
        let cut = try there.store.query(sql: wide)
        #expect(cut.isCut)
        #expect(cut.rows.count < 20)
        #expect(!(try there.store.query(sql: "VALUES (1), (2)", rowsMax: 2)).isCut)
    }

    @Test func theTablesAreDescribed() throws {
        let there = try TemporaryStore()
        let text = try there.store.describe()
        for name in ["jobs", "pools", "reservations", "state_changes", "calls", "actions", "counters"] {
            #expect(text.contains("CREATE TABLE \(name) ("))
        }
        #expect(text.contains("-- how long it took, microseconds"))
        #expect(!text.contains("grdb") && !text.contains("sqlite_"))
        // Its example works.
        let example = text.split(separator: "\n").drop { !$0.contains("-- SELECT") }.map {
            $0.drop { "- ".contains($0) }
        }
        #expect(try there.store.query(sql: example.joined(separator: "\n")).columns.count == 4)
    }
}
