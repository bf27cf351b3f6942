import BurstEngine
import BurstModel
import FoundationEssentials
import Testing

@testable import BurstStore

/// What is handed over comes back.
@Suite struct RecordTests {
    @Test func anEmptyStoreIsABeginning() throws {
        let there = try TemporaryStore()
        let state = try there.store.recover()
        #expect(state.jobs == [] && state.pools == [] && state.reservations == [])
        #expect(state.nextJobID == 1)
        #expect(state.nextCallNumber == 1)
        #expect(try there.store.check(jobFolders: []) == [])
    }

    @Test func jobsComeBack() throws {
        let there = try TemporaryStore()
        try there.store.persist([.job(Samples.job), .job(Samples.plainJob), .nextJobID(400)])
        var changed = Samples.plainJob
        changed.state = .cancelled
        try there.store.persist([.job(changed)])
        let state = try there.store.recover()
        #expect(state.jobs == [Samples.job, changed])
        #expect(state.nextJobID == 400)
        try there.store.persist([.forget(17)])
        #expect(try there.store.state().jobs == [changed])
    }

    @Test(arguments: Samples.stages)
    func everyStageComesBack(stage: BufferWork.Stage) throws {
        let there = try TemporaryStore()
        var job = Samples.job
        job.buffer?.stage = stage
        try there.store.persist([.job(job)])
        #expect(try there.store.recover().jobs == [job])
        let said = try there.store.query(
            sql: "SELECT buffer_state, job_state, pool, size, started - submitted FROM jobs")
        #expect(said.columns == ["buffer_state", "job_state", "pool", "size", "started - submitted"])
        #expect(
            said.rows == [
                [
                    .text(stage.state.name), .text("STAGE_OUT"), .text("nvme"), .text("18446744073709551611"),
                    .integer(3),
                ]
            ])
    }

    @Test func poolsComeBackInOrder() throws {
        let there = try TemporaryStore()
        try there.store.persist([.pools(Samples.pools)])
        #expect(try there.store.recover().pools == Samples.pools)
        let turned = Array(Samples.pools.reversed())
        try there.store.persist([.pools(turned), .pools(turned)])
        #expect(try there.store.recover().pools == turned)
        try there.store.persist([.pools([])])
        #expect(try there.store.recover().pools == [])
    }

    @Test func reservationsComeBack() throws {
        let there = try TemporaryStore()
        var other = Samples.reservation
        other.name = "root_2"
        try there.store.persist([.reservation(Samples.reservation), .reservation(other), .forgetReservation("root_2")])
        other = Samples.reservation
        other.users = []
        #expect(try there.store.recover().reservations == [Samples.reservation])
        try there.store.persist([.reservation(other)])
        #expect(try there.store.recover().reservations == [other])
    }

    @Test func historyComesBack() throws {
        let there = try TemporaryStore()
        try there.store.persist([
            .change(Samples.change(17, at: Samples.at(1))), .change(Samples.change(18, at: Samples.at(2))),
            .callStarted(Samples.start(5)), .callStarted(Samples.start(6, job: nil, at: Samples.at(2))),
            .action(Samples.action()), .action(Samples.action(nil, at: Samples.at(2))),
        ])
        try there.store.persist([.callEnded(Samples.end(5))])
        let calls = [
            CallEntry(start: Samples.start(5), end: Samples.end(5)),
            CallEntry(start: Samples.start(6, job: nil, at: Samples.at(2)), end: nil),
        ]
        #expect(try there.store.calls(limit: 10) == calls)
        #expect(try there.store.calls(limit: 1) == [calls[1]])
        #expect(try there.store.calls(job: 17, limit: 10) == [calls[0]])
        #expect(try there.store.calls(job: 17, since: Samples.at(2), limit: 10) == [])
        #expect(try there.store.calls(since: Samples.at(2), limit: 10) == [calls[1]])
        #expect(try there.store.changes(job: 18, limit: 10) == [Samples.change(18, at: Samples.at(2))])
        #expect(try there.store.changes(limit: 10).map(\.jobID) == [17, 18])
        #expect(try there.store.changes(limit: 0) == [])
        #expect(try there.store.actions(limit: 10) == [Samples.action(), Samples.action(nil, at: Samples.at(2))])
        #expect(try there.store.actions(job: 17, limit: 10) == [Samples.action()])
    }

    @Test func nulBytesDoNotCutTexts() throws {
        let there = try TemporaryStore()
        var end = Samples.end(5)
        end.printed = "before\u{0}behind"
        end.message = "\u{0}"
        try there.store.persist([.callStarted(Samples.start(5)), .callEnded(end)])
        let said = try #require(try there.store.calls(limit: 1).first?.end)
        #expect(said.printed == "before\u{2400}behind")
        #expect(said.message == "\u{2400}")
    }

    @Test func aCallThatNeverEndedIsLost() throws {
        let there = try TemporaryStore()
        try there.store.persist([
            .callStarted(Samples.start(5)), .callEnded(Samples.end(5)), .callStarted(Samples.start(6)),
        ])
        #expect(try there.store.state().nextCallNumber == 7)
        #expect(try there.store.calls(limit: 10).map(\.end?.outcome) == ["failure", nil])
        _ = try there.store.recover()
        #expect(try there.store.calls(limit: 10).map(\.end?.outcome) == ["failure", "lost"])
    }

    @Test func callNumbersAreNeverUsedAgain() throws {
        let there = try TemporaryStore()
        try there.store.persist([.callStarted(Samples.start(900)), .callEnded(Samples.end(900))])
        var limits = HistoryLimits()
        limits.rows = 0
        while try there.store.trim(limits, at: Samples.at(1)) {}
        #expect(try there.store.calls(limit: 10) == [])
        #expect(try there.store.recover().nextCallNumber == 901)
        // Nor is one that only a job knows of.
        var job = Samples.job
        job.buffer?.stage = .stagingIn(BufferWork.Step(.setup, call: CallID(1000)))
        try there.store.persist([.job(job)])
        #expect(try there.store.recover().nextCallNumber == 1001)
    }

    @Test func aBatchIsKeptWhollyOrNotAtAll() throws {
        let there = try TemporaryStore()
        try there.store.persist([.callStarted(Samples.start(5))])
        // A call's number stands once only.
        let fault = refusal {
            try there.store.persist([.job(Samples.job), .nextJobID(9), .callStarted(Samples.start(5))])
        }
        #expect(fault?.kind == .database)
        #expect(try there.store.recover().jobs == [])
        #expect(try there.store.recover().nextJobID == 1)
        try there.store.persist([.job(Samples.job)])
        #expect(try there.store.recover().jobs == [Samples.job])
    }

    @Test func hundredJobsAreOneBatch() throws {
        let there = try TemporaryStore()
        let jobs = (1...100).map { number in
            EngineJob(
                id: number, uid: 1, gid: 1, userName: "u", name: "n", priority: 1, submitted: Samples.at(Int64(number)))
        }
        try there.store.persist(jobs.map { .job($0) })
        #expect(try there.store.recover().jobs == jobs)
        #expect(try there.store.recover().nextJobID == 101)
    }

    @Test(arguments: [
        [], [""], ["a", "b c", "/x/y"],
        ["\"quoted\" \\ back", "tab\tline\nreturn\r", "\u{1}\u{1F}\u{7F}", "漢字 👩\u{200D}👧"],
    ])
    func listsOfTextsAreJSON(texts: [String]) throws {
        let json = Scribe.json(texts)
        #expect(try JSONDecoder().decode([String].self, from: Data(json.utf8)) == texts)
        let encoder = JSONEncoder()
        encoder.outputFormatting = .withoutEscapingSlashes
        if !texts.contains(where: { $0.utf8.contains { $0 < 0x20 } }) {
            #expect(json == String(decoding: try encoder.encode(texts), as: UTF8.self))
        }
    }
}
