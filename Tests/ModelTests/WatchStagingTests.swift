import BurstModel
import BurstStager
import BurstTestSupport
import Testing

/// The stager's sessions joined with Slurm's buffers and jobs, and the rules R19 to R24.
@Suite struct WatchStagingTests {
    private func document(
        _ scene: Scene, _ phase: StagerSession.Phase, progress: StagerProgress? = nil,
        _ change: (inout StagerSession) -> Void = { _ in }
    ) -> StagerDocument {
        var document = StagerDocument(at: scene.now)
        document.add("7", phase: phase, progress: progress, change)
        return document
    }

    private func copying(_ scene: Scene) -> StagerSession.Phase {
        .stagingIn(StagerDocument.work(since: scene.now))
    }

    private func progress(_ scene: Scene, done: UInt64, _ change: (inout StagerProgress) -> Void = { _ in })
        -> StagerProgress
    {
        var progress = StagerDocument.progress(.stageIn, seconds: 60, at: scene.now) { report in
            report.planComplete = true
            (report.bytesTotal, report.bytesDone, report.filesTotal) = (100 << 30, done << 30, 10)
        }
        change(&progress)
        return progress
    }

    @Test func sessionsAreJoinedByJobAndByName() throws {
        var scene = Scene(plugin: "datawarp")
        scene.poll(
            [Scene.buffer(7, .stagedIn), Scene.buffer(.persistent("alpha"), .allocated, user: "bob")],
            [Scene.job(7, "PENDING", .stagingIn)])
        var document = document(scene, copying(scene), progress: progress(scene, done: 50))
        document.add("alpha", uid: 1002, phase: .ready) { $0.persistent = .init(access: .init()) }
        document.add("99", uid: 4711, phase: .stagedIn)
        scene.watch.ingest(document.sample())
        let board = scene.board
        #expect(board.stagingRows.map(\.user) == ["alice", "bob", "4711"])
        #expect(board.stagingRows.map(\.word) == [.state(.stagingIn), .state(.allocated), .absent])
        #expect(board.stagingRows.map(\.job) == [JobID(7), nil, JobID(99)])
        #expect(board.stagingRows[1].buffer?.id == .persistent("alpha"))
        #expect(board.bufferRows.map(\.staging) == [0, 1] && board.jobRows.map(\.staging) == [0])
        #expect(board.progress(at: board.bufferRows[0].staging)?.percent == 49)
        #expect(board.stagingTotals.text == "STAGING 1 (in 1, out 0)")
    }

    @Test func aPhaseThatChangesIsAnEventAndItsAgeIsKnown() throws {
        var scene = Scene()
        scene.poll([Scene.buffer(7)], [Scene.job(7, "PENDING", .stagingIn)])
        scene.watch.ingest(document(scene, copying(scene)).sample())
        #expect(scene.board.stagingRows[0].sinceSeen == false)
        scene.now = scene.now.adding(seconds: 5)
        scene.watch.ingest(document(scene, .stagedIn).sample())
        let row = try #require(scene.board.stagingRows.first)
        #expect(row.sinceSeen && row.since == scene.now)
        #expect(scene.board.events.last?.text == "stager: staging-in -> staged-in")
    }

    static let failures: [(String, String, String)] = [
        ("in", "stage-in FAIL", "stager: no such file"),
        ("out", "stage-out FAIL", "data still in the buffer: no such file"),
        ("save", "save FAIL", "data still in the buffer: no such file"),
    ]

    @Test(arguments: failures) func aFailedCopyIsCritical(which: String, title: String, message: String) throws {
        var scene = Scene()
        let failure = StagerDocument.failure("no such file", at: scene.now)
        let phase: StagerSession.Phase =
            which == "in" ? .stageInFailed(failure) : which == "out" ? .stageOutFailed(failure) : .savingFailed(failure)
        scene.watch.ingest(document(scene, phase) { $0.lastError = "no such file" }.sample())
        let alert = try #require(scene.alert("R19"))
        #expect(alert.severity == .crit && alert.title == title && alert.message == message)
        #expect(alert.subject == .job(JobID(7)) && scene.board.stagingTotals.failed == 1)
        scene.now = scene.now.adding(seconds: 5)
        scene.watch.ingest(document(scene, .stagedIn).sample())
        #expect(scene.alert("R19") == nil)
    }

    @Test func anAlertStaysTheSameWhenItsBufferAppears() throws {
        var scene = Scene()
        let failure = StagerDocument.failure("x", at: scene.now)
        scene.watch.ingest(document(scene, .stageOutFailed(failure)).sample())
        #expect(scene.alert("R19")?.subject == .job(JobID(7)))
        scene.poll([Scene.buffer(7)], [Scene.job(7, "STAGE_OUT", .stagingOut)])
        #expect(scene.alert("R19")?.subject == .buffer(BufferKey(plugin: "lua", id: .job(JobID(7)))))
        #expect(scene.board.events.count { $0.kind == .alert && $0.text.hasPrefix("R19") } == 1)
        #expect(scene.board.stagingRows.first?.severity == .crit && scene.row(7)?.severity == .crit)
    }

    /// R4, R5 and R19 of one job.
    @Test(arguments: ["out", "in"]) func aFailureThatSlurmTellsTooIsOneLine(direction: String) throws {
        var scene = Scene()
        let failure = StagerDocument.failure("disk full", at: scene.now)
        let reason = "burst_buffer/lua: slurm_bb_data_\(direction) failed: exit 1"
        func poll() {
            scene.poll(
                [Scene.buffer(7)],
                [
                    direction == "out"
                        ? Scene.job(7, "STAGE_OUT", .stagingOut, reason: reason)
                        : Scene.job(7, "PENDING", .stagingIn, reason: reason)
                ])
        }
        poll()
        let rule = direction == "out" ? "R4" : "R5"
        let alone = try #require(scene.alert(rule))
        #expect(alone.parts.isEmpty && alone.rules == [rule])
        let phase: StagerSession.Phase = direction == "out" ? .stageOutFailed(failure) : .stageInFailed(failure)
        scene.watch.ingest(document(scene, phase) { $0.lastError = "disk full" }.sample())
        let alert = try #require(scene.alert("R19"))
        #expect(scene.alert(rule) == nil && scene.board.alerts.count == 1)
        #expect(alert.rules == ["R19", rule] && alert.title == alone.title && alert.severity == .crit)
        let stagers = direction == "out" ? "data still in the buffer: disk full" : "stager: disk full"
        #expect(alert.message.hasPrefix("\(stagers); Slurm: ") && alert.message.contains(reason))
        #expect(alert.user == alone.user && alert.pool == alone.pool && alert.since == alone.since)
        // Known is known, of both.
        scene.watch.acknowledge(alert.id, at: scene.now)
        #expect(scene.alert("R19")?.acknowledged == true)
        #expect(scene.alert("R19")?.parts.map(\.acknowledged) == [true, true])
        scene.watch.acknowledge(Alert.ID(rule: rule, subject: alert.subject), at: scene.now)
        #expect(scene.alert("R19")?.acknowledged == false)
        // The stager has mended it, and Slurm does not know yet.
        scene.watch.ingest(document(scene, .running).sample())
        #expect(scene.board.alerts.map(\.rules).contains([rule]) && scene.alert("R19") == nil)
    }

    @Test func aCopyThatMovesNothingIsToldAndOneThatMovesOrIsPausedIsNot() throws {
        var scene = Scene()
        for round in 0..<4 {
            scene.poll([Scene.buffer(7)], [Scene.job(7, "PENDING", .stagingIn)], after: 99)
            scene.watch.ingest(
                document(scene, copying(scene), progress: progress(scene, done: UInt64(round + 1))).sample())
        }
        #expect(scene.alert("R20") == nil)
        // Nothing is pushed any more, for nothing changes.
        for _ in 0..<2 { scene.poll([Scene.buffer(7)], [Scene.job(7, "PENDING", .stagingIn)], after: 99) }
        #expect(scene.alert("R20") == nil)
        scene.poll([Scene.buffer(7)], [Scene.job(7, "PENDING", .stagingIn)], after: 99)
        let alert = try #require(scene.alert("R20"))
        #expect(alert.severity == .warn && alert.message.hasPrefix("staging-in at 3% moved nothing for 5m"))
        let paused = progress(scene, done: 4) { $0.throttle = Throttle(bytesPerSecond: 0, filesPerSecond: nil) }
        scene.watch.ingest(document(scene, copying(scene), progress: paused).sample())
        #expect(scene.alert("R20") == nil)
    }

    @Test func wordsThatDifferForMoreThanAMinuteAreToldOnceSlurmWasAskedAgain() throws {
        var scene = Scene()
        scene.poll([Scene.buffer(7)], [Scene.job(7, "PENDING", .stagingIn)])
        scene.watch.ingest(document(scene, .stagedIn).sample())
        #expect(scene.board.stagingRows[0].differsSince == scene.now)
        let since = scene.now
        scene.poll([Scene.buffer(7)], [Scene.job(7, "PENDING", .stagingIn)], after: 30)
        #expect(scene.alert("R21") == nil)
        // Only buffers were asked for: what squeue says is as old as before.
        scene.burst([Scene.buffer(7)], after: 60)
        #expect(scene.alert("R21") == nil)
        scene.poll([Scene.buffer(7)], [Scene.job(7, "PENDING", .stagingIn)], after: 10)
        let alert = try #require(scene.alert("R21"))
        #expect(alert.severity == .warn && alert.since == since)
        #expect(alert.message.hasPrefix("Slurm says staging-in, the stager staged-in, for 1m"))
        scene.poll([Scene.buffer(7)], [Scene.job(7, "PENDING", .stagedIn)])
        #expect(scene.alert("R21") == nil && scene.board.stagingRows[0].differsSince == nil)
    }

    @Test func slurmMayForgetOnlyWhatIsOver() {
        var scene = Scene()
        scene.poll([], [])
        scene.watch.ingest(document(scene, .running).sample())
        for _ in 0..<3 { scene.poll([], []) }
        #expect(scene.alert("R21")?.message.hasPrefix("Slurm does not list it, the stager running") == true)
        // Another's session: its job may be hidden from who looks.
        scene = Scene()
        scene.poll([], [])
        scene.watch.ingest(document(scene, .running).sample(viewer: .nobody))
        for _ in 0..<3 { scene.poll([], []) }
        #expect(scene.alert("R21") == nil)
        // Torn down for Slurm: it still copies.
        scene = Scene()
        scene.poll([], [])
        scene.watch.ingest(document(scene, .saving(StagerDocument.work(since: scene.now))).sample())
        for _ in 0..<3 { scene.poll([], []) }
        #expect(scene.alert("R21") == nil)
    }

    /// A burstd that is the stager alone, with no Slurm behind it.
    @Test func withoutAPluginThereIsNobodyToDifferFrom() {
        var scene = Scene()
        for _ in 0..<10 {
            scene.now = scene.now.adding(seconds: 20)
            scene.ingest(.burst, .burst(BurstReport(plugins: [], faults: []), raw: []), took: 5)
            scene.jobs([])
            scene.watch.ingest(document(scene, .running).sample())
        }
        #expect(scene.board.stagingRows.count == 1 && scene.board.stagingRows[0].word == .unknown)
        #expect(scene.alert("R21") == nil && scene.board.stagingRows[0].differsSince == nil)
    }

    @Test func wordsOfOneStageAgree() {
        var scene = Scene()
        let fits: [(StagerSession.Phase, BufferState)] = [
            (.running, .suspended), (.stagedOut, .stagedOut), (.ready, .stagingIn), (.ranPost, .postRun),
            (.stageInFailed(StagerDocument.failure("x", at: scene.now)), .teardown),
        ]
        for (phase, state) in fits {
            scene = Scene()
            scene.poll([Scene.buffer(7)], [Scene.job(7, "RUNNING", state)])
            scene.watch.ingest(document(scene, phase).sample())
            #expect(scene.board.stagingRows[0].differsSince == nil, "\(phase) \(state)")
        }
    }

    @Test func poolsLossesAndQuarantineAreTold() throws {
        var scene = Scene()
        scene.poll([Scene.buffer(7)], [Scene.job(7, "RUNNING", .running)])
        var document = document(scene, .lost) { $0.lostWhy = "the machine was restarted" }
        document.snapshot.pools[0].pool.state = .unavailable("not mounted")
        document.quarantine("5", failures: 2, error: "busy", since: scene.now)
        document.quarantine("6", failures: 3, error: "busy", since: scene.now.adding(seconds: -90))
        scene.watch.ingest(document.sample())
        let pool = try #require(scene.alert("R22"))
        #expect(pool.subject == .pool(PoolKey(plugin: "lua", name: "nvme")) && pool.message.hasSuffix(": not mounted"))
        #expect(scene.alert("R23")?.title == "buffer lost" && scene.alert("R21") == nil)
        let stuck = scene.board.alerts.filter { $0.rule == "R24" }
        #expect(stuck.map(\.subject) == [.job(JobID(6))] && stuck[0].since == scene.now.adding(seconds: -90))
        #expect(stuck[0].message == "torn down, and 3 removals failed; its space is not free: busy")
    }

    @Test func aLostStagerKeepsWhatItSaidAndOneThatNeverWasIsNoNews() throws {
        var scene = Scene()
        scene.fail(.staging, "nobody listens")
        #expect(scene.board.staging == nil && scene.board.stagingLost == nil && scene.board.events.isEmpty)
        scene.poll([Scene.buffer(7)], [Scene.job(7, "STAGE_OUT", .stagingOut)])
        let failure = StagerDocument.failure("x", at: scene.now)
        scene.watch.ingest(document(scene, .stageOutFailed(failure)).sample())
        scene.fail(.staging, "the connection ended")
        scene.poll([Scene.buffer(7)], [Scene.job(7, "STAGE_OUT", .stagingOut)])
        #expect(scene.alert("R19") != nil && scene.board.stagingRows.count == 1)
        #expect(scene.board.stagingLost?.reason == "the connection ended" && scene.board.health == .live)
        scene.watch.ingest(document(scene, .stagingOut(StagerDocument.work(since: scene.now))).sample())
        #expect(scene.board.stagingLost == nil && scene.alert("R19") == nil)
    }

    @Test func rulesCanBeSwitchedOff() {
        var thresholds = RuleThresholds()
        thresholds.disabled = ["R19"]
        var scene = Scene(thresholds: thresholds)
        let failure = StagerDocument.failure("x", at: scene.now)
        scene.watch.ingest(document(scene, .stageInFailed(failure)).sample())
        #expect(scene.board.alerts.isEmpty && scene.board.stagingRows.count == 1)
    }
}
