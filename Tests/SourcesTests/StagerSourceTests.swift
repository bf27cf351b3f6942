import BurstModel
import BurstSources
import BurstStager
import BurstTestSupport
import BurstWire
import Testing

/// The stager's document, from a burstd that is the source and from one beside Slurm's commands; recorded, played,
/// redacted.
@Suite(.timeLimit(.minutes(15))) struct StagerSourceTests {
    private let clock = SourceClock.fast(10)

    private static func document(_ phase: StagerSession.Phase? = nil) -> [UInt8] {
        let at = Timestamp(milliseconds: 1_790_000_000_000)
        var document = StagerDocument.busy(
            at: at, tokens: ["7", "8", "9", "10", "secret"], uids: [1001, 1002, 1001, 1002, 1003])
        if let phase { document.snapshot.sessions[0].phase = phase }
        document.snapshot.sessions[0].nodes = ["nid00012"]
        document.snapshot.sessions[0].lastError = "alice: /lus/alice/in: no such file"
        return document.json()
    }

    /// A burstd whose stager has a document: asked, and pushed to who wants it.
    private static func server() throws -> EngineServer {
        let server = try EngineServer { question in
            guard case .list(.staging) = question.ask else { return nil }
            return (.body(question.id), document())
        }
        server.setPushes(EngineServer.usual + [(.staging(at: 1), document())])
        return server
    }

    private func engine(_ server: EngineServer, clock: SourceClock, recorder: Recorder? = nil) -> EngineSource {
        EngineSource(
            path: server.path, program: "test", settings: .init(), zone: .fixed(), clock: clock, recorder: recorder,
            onChange: {})
    }

    @Test func burstdPushesIt() async throws {
        let server = try Self.server()
        let source = engine(server, clock: clock)
        source.start()
        #expect(await eventually { source.latest().board.stagingRows.count == 5 })
        #expect(server.subscriptions.first?.staging == true)
        let board = source.latest().board
        #expect(board.bufferRows.first.flatMap { board.progress(at: $0.staging)?.percent } == 90)
        server.push(.staging(at: 2), Self.document(.stagedIn))
        #expect(
            await eventually {
                let board = source.latest().board
                return board.stagingRows.first.map { board.session($0).phase.name } == "staged-in"
            })
        // What cannot be read is told, and what was known stays.
        server.push(.staging(at: 3), Array("{".utf8))
        #expect(await eventually { source.latest().board.stagingLost != nil })
        #expect(source.latest().board.stagingRows.count == 5 && source.latest().board.health == .live)
        await source.stop()
    }

    @Test func oneAnswerHoldsItAndABurstdWithoutOneIsNoFailure() async throws {
        let server = try Self.server()
        let with = await engine(server, clock: .system).oneShot()
        server.stop()
        #expect(with.board.stagingRows.count == 5 && with.board.health == .live)
        let other = try EngineServer()
        let without = await engine(other, clock: .system).oneShot()
        other.stop()
        #expect(without.board.staging == nil && without.board.health == .live && without.board.faults == [])
    }

    // MARK: Beside Slurm

    private func collector(
        _ runner: ScriptedRunner, stager: String?, clock: SourceClock? = nil, recorder: Recorder? = nil
    ) -> Collector {
        Collector(
            runner: runner, settings: .init(), zone: .fixed(), clock: clock ?? self.clock, recorder: recorder,
            stager: stager,
            jitter: { 0 }, onChange: {})
    }

    @Test func aStagerBesideSlurmIsShown() async throws {
        let server = try Self.server()
        let temporary = Temporary()
        let recorder = try Recorder(
            path: temporary.file("r.jsonl"), tool: "test", host: "h", utcOffsetSeconds: 0, now: clock.now())
        let source = collector(ScriptedRunner.site(clock: clock), stager: server.path, recorder: recorder)
        source.start()
        #expect(await eventually { source.latest().board.stagingRows.count == 5 })
        #expect(await eventually { source.latest().board.burst != nil })
        let subscription = try #require(server.subscriptions.first)
        #expect(!subscription.burst && !subscription.extras && !subscription.calls && subscription.queue == nil)
        // It is asked whether it lives, and its loss is told in the table and nowhere else.
        #expect(await eventually { server.count { if case .ping = $0 { true } else { false } } > 0 })
        server.stop()
        #expect(await eventually { source.latest().board.stagingLost != nil })
        #expect(source.latest().board.health == .live && source.latest().board.stagingRows.count == 5)
        try server.listen()
        #expect(await eventually { source.latest().board.stagingLost == nil })
        await source.stop()
        let reader = try RecordingReader(path: temporary.file("r.jsonl"))
        #expect(reader.entries.contains { $0.call == .staging })
    }

    @Test func nobodyThereIsNoNewsAndHoldsNothingUp() async throws {
        let temporary = Temporary()
        let source = collector(ScriptedRunner.site(clock: clock), stager: temporary.file("nobody"))
        source.start()
        #expect(await eventually { source.latest().board.burst != nil && source.latest().board.jobs != nil })
        let board = source.latest().board
        #expect(board.staging == nil && board.stagingLost == nil && board.faults == [])
        #expect(board.events.allSatisfy { !$0.text.contains("stager") })
        await source.stop()
        let once = await collector(ScriptedRunner.site(clock: clock), stager: temporary.file("nobody")).oneShot(
            jobs: true)
        #expect(once.board.staging == nil && once.board.burst != nil && once.board.faults == [])
    }

    @Test func oneBoardOfSlurmHoldsIt() async throws {
        let server = try Self.server()
        let runner = ScriptedRunner.site(clock: .system)
        let once = await collector(runner, stager: server.path, clock: .system).oneShot(jobs: true)
        server.stop()
        #expect(once.board.stagingRows.count == 5 && once.board.burst != nil)
    }

    // MARK: Recordings

    private func recorded(_ path: String, redacts: Bool) throws {
        let recorder = try Recorder(
            path: path, tool: "test", host: "h", utcOffsetSeconds: 0, redacts: redacts,
            now: Timestamp(milliseconds: 1_790_000_000_000))
        for (number, (call, text)) in [
            (Call.burst, EngineServer.burst()), (.jobs, EngineServer.queue()), (.staging, Self.document()),
        ].enumerated() {
            let run = CommandRun(
                CommandResult(end: .exit(0), output: text),
                startedAt: Timestamp(milliseconds: 1_790_000_000_000 + Int64(number)), durationMilliseconds: 0)
            _ = recorder.record(run, arguments: call.arguments(), monotonicMilliseconds: Int64(number))
        }
    }

    @Test func aReplayShowsIt() throws {
        let temporary = Temporary()
        try recorded(temporary.file("r.jsonl"), redacts: false)
        let board = try ReplaySource(path: temporary.file("r.jsonl"), onChange: {}).oneShot().board
        #expect(board.stagingRows.count == 5 && board.stagingRows[0].user == "alice")
        #expect(board.alerts.contains { $0.rule == "R19" })
    }

    @Test func redactingTakesPathsAndNamesAndLeavesFigures() throws {
        let temporary = Temporary()
        try recorded(temporary.file("r.jsonl"), redacts: true)
        let text = String(decoding: Fixtures.bytes(of: temporary.file("r.jsonl")), as: UTF8.self)
        for name in ["genomes", "/lus", "alice", "secret", "nid00012", "out.0042"] {
            #expect(!text.contains(name), "\(name)")
        }
        let board = try ReplaySource(path: temporary.file("r.jsonl"), onChange: {}).oneShot().board
        #expect(board.faults == [] && board.stagingRows.count == 5)
        let session = board.session(board.stagingRows[0])
        #expect(session.progress?.percent == 90 && session.progress?.active.first?.path.hasPrefix("/path") == true)
        #expect(session.details?.nodes == ["host1"])
        #expect(board.stagingRows[4].key.token == "buffer1")
    }
}
