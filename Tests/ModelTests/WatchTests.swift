import BurstModel
import Testing

/// Joins, ages, events and the board.
@Suite struct WatchTests {
    // MARK: Join

    @Test func buffersFindTheirJobsAlsoTasksOfArrays() throws {
        var scene = Scene()
        let task = BufferID.arrayTask(array: JobID(40), task: 3, job: JobID(43))
        scene.poll(
            [Scene.buffer(7), Scene.buffer(task), Scene.buffer(.persistent("alpha"))],
            [Scene.job(43, "PENDING", .stagedIn), Scene.job(5, "RUNNING", nil, spec: nil), Scene.job(7)])
        let board = scene.board
        #expect(board.bufferRows.map { board.job($0)?.id.number } == [7, 43, nil])
        #expect(board.bufferRows.map { board.stage($0) } == [.running, .stagedIn, .allocated])
        #expect(board.jobRows.map(\.id.number) == [43, 7])
        #expect(board.jobRows.map { $0.buffer?.id.short } == ["40_3", "7"])
    }

    @Test func rowsInAnyOrderKeepTheirAges() throws {
        var scene = Scene()
        let jobs = (1...50).map { Scene.job($0) }
        scene.poll((1...50).map { Scene.buffer($0) }, jobs)
        scene.poll((1...50).map { Scene.buffer($0) }.reversed() + [Scene.buffer(99)], jobs)
        let start = Scene.start.adding(seconds: 30)
        #expect(scene.board.bufferRows.dropLast().allSatisfy { $0.since == start && !$0.sinceSeen && $0.mark == .none })
        #expect(scene.row(99)?.sinceSeen == true && scene.row(99)?.mark == .new)
    }

    // MARK: Health

    @Test func anEmptyReplyAfterPluginsIsBelievedWhenItComesTwice() {
        var scene = Scene()
        scene.burst([Scene.buffer(7)])
        scene.now = scene.now.adding(seconds: 10)
        scene.ingest(.burst, .burst(BurstReport(), raw: []))
        guard case .stale(let reason, _, 1, _) = scene.board.health else {
            Issue.record("\(scene.board.health)")
            return
        }
        #expect(reason == "scontrol show burst printed nothing")
        #expect(scene.board.bufferRows.count == 1)
        scene.now = scene.now.adding(seconds: 10)
        scene.ingest(.burst, .burst(BurstReport(), raw: []))
        #expect(scene.board.health == .noPlugin)
    }

    // MARK: Ages

    @Test func theStateOfTheFirstSampleMayBeOlderThanItsAge() throws {
        var scene = Scene()
        scene.poll([Scene.buffer(7)], [Scene.job(7)])
        scene.poll([Scene.buffer(7)], [Scene.job(7)], after: 120)
        #expect(scene.row(7)?.ageText(at: scene.now) == "2m+")
    }

    @Test func aChangeThatWasSeenHasItsExactAge() throws {
        var scene = Scene()
        scene.poll([Scene.buffer(7)], [Scene.job(7, "PENDING", .stagedIn)])
        scene.poll([Scene.buffer(7)], [Scene.job(7)])
        let row = try #require(scene.row(7))
        #expect(row.since == scene.now && row.sinceSeen && row.mark == .changed)
        scene.poll([Scene.buffer(7)], [Scene.job(7)])
        #expect(scene.row(7)?.ageText(at: scene.now) == "31s")
        #expect(scene.row(7)?.mark == BufferRow.Mark.none)
    }

    @Test func aChangeOfTheAllocationStartsANewAge() {
        var scene = Scene(plugin: "datawarp")
        scene.burst([Scene.buffer(7)])
        scene.burst([Scene.buffer(7, .stagedIn)])
        #expect(scene.row(7)?.since == scene.now && scene.row(7)?.sinceSeen == true)
    }

    @Test func aChangeWithinAGapMayBeOlderThanItsAge() {
        var scene = Scene(plugin: "datawarp")
        scene.burst([Scene.buffer(7), Scene.buffer(8, .stagedIn)])
        scene.burst([Scene.buffer(7, .stagedIn), Scene.buffer(8, .stagedIn)])
        let seen = scene.now
        scene.fail(.burst)
        scene.burst([Scene.buffer(7, .teardown), Scene.buffer(8, .stagedIn), Scene.buffer(9)])
        #expect(scene.row(7)?.since == scene.now && scene.row(7)?.sinceSeen == false)
        #expect(scene.row(9)?.sinceSeen == false)
        #expect(scene.row(8)?.since == Scene.start.adding(seconds: 10))
        scene.burst([Scene.buffer(7, .stagedIn)], after: Watch.gapSeconds + 1)
        #expect(scene.row(7)?.sinceSeen == false && seen < scene.now)
    }

    @Test func stageInBeganWhenTheBufferWasCreated() {
        var scene = Scene()
        let created = Scene.start.adding(seconds: -3600)
        scene.poll([Scene.buffer(7, created: created)], [Scene.job(7, "PENDING", .stagingIn)])
        #expect(scene.row(7)?.since == created && scene.row(7)?.sinceSeen == true)
        #expect(scene.board.jobRows.first?.since == created)
    }

    @Test func aNewRowIsAsOldAsItsCreation() {
        var scene = Scene()
        scene.burst([])
        scene.burst([Scene.buffer(7, created: scene.now.adding(seconds: 4))])
        #expect(scene.row(7)?.since == scene.now.adding(seconds: -6))
    }

    @Test func aCreateTimeThatMovesWithTheClockIsUnknown() {
        var scene = Scene()
        for _ in 0..<3 { scene.burst([Scene.buffer(7, created: scene.now.adding(seconds: 10))]) }
        #expect(scene.row(7)?.created == nil)
        #expect(scene.row(7)?.since == Scene.start.adding(seconds: 10))
        #expect(scene.events(.state).isEmpty)
    }

    @Test func aBufferCreatedAnewUnderTheSameIdIsANewOne() {
        var scene = Scene()
        scene.burst([Scene.buffer(7, created: Scene.start.adding(seconds: -500))])
        scene.burst([Scene.buffer(7, created: Scene.start.adding(seconds: 15))])
        #expect(scene.row(7)?.created == Scene.start.adding(seconds: 15))
        #expect(scene.row(7)?.since == Scene.start.adding(seconds: 15))
        #expect(scene.events(.state) == ["created anew"])
    }

    // MARK: Events

    @Test func changesOfBothStatesAreLogged() {
        var scene = Scene(plugin: "datawarp")
        scene.poll([Scene.buffer(7)], [Scene.job(7, "PENDING", .stagingIn)])
        scene.poll([Scene.buffer(7, .stagedIn), Scene.buffer(8)], [Scene.job(7, "PENDING", .stagedIn), Scene.job(8)])
        scene.poll([Scene.buffer(8, .teardownFail)], [Scene.job(8)])
        #expect(
            scene.events(.state) == [
                "allocated -> staged-in", "new: 10GiB in nvme, allocated", "job staging-in -> staged-in",
                "new job, running", "allocated -> teardown-fail", "gone, was staged-in",
                "job is no longer listed, was staged-in",
            ])
        let fail = scene.board.events.first { $0.text.hasSuffix("teardown-fail") }
        #expect(fail?.level == .crit && fail?.user == "alice" && fail?.subject.short == "8")
    }

    @Test func theFirstSampleIsOneEventNotOneForEachBuffer() {
        var scene = Scene()
        scene.burst((1...100).map { Scene.buffer($0) })
        #expect(scene.events() == ["watching lua: 1 pool, 100 buffers"])
    }

    @Test func changesOfPoolsAreLogged() {
        var scene = Scene()
        scene.pools = [Scene.pool(used: 900)]
        scene.burst([Scene.buffer(7, gib: 900)])
        scene.pools = [Scene.pool(total: 1100, used: 900, drained: 200)]
        scene.burst([Scene.buffer(7, gib: 900)])
        scene.pools = []
        scene.burst([])
        scene.pools = [Scene.pool()]
        scene.burst([])
        #expect(
            scene.events(.pool) == [
                "total 1000GiB -> 1100GiB", "drained 0 -> 200GiB", "free 100GiB -> 0", "no longer reported",
                "reported again, total 1000GiB", "total 1100GiB -> 1000GiB", "drained 200GiB -> 0",
                "free 0 -> 1000GiB",
            ])
    }

    @Test func aGapIsLoggedWithItsSpanAndTheCallsThatFailed() {
        var scene = Scene()
        scene.burst([])
        for _ in 0..<14 { scene.fail(.burst) }
        #expect(
            scene.board.health
                == .stale(
                    reason: "connect failure", since: Scene.start.adding(milliseconds: 19_995), tries: 14,
                    lastGood: Scene.start.adding(seconds: 10)))
        scene.burst([])
        #expect(
            scene.events(.controller) == [
                "no answer: connect failure", "no answer 13:00:19-13:02:40 (14 calls failed)",
            ])
        #expect(scene.board.health == .live)
    }

    @Test func restartsAndVersionsAreLoggedAndNamed() {
        var scene = Scene()
        var config = ControllerConfig()
        config.cluster = "alps"
        config.version = "22.05.8"
        config.bootTime = LocalTime(text: "2026-11-23T12:00:00")
        scene.config(config)
        scene.config(config)
        config.version = "26.05.3"
        config.bootTime = LocalTime(text: "2026-11-23T13:00:01")
        scene.config(config)
        #expect(
            scene.events(.controller) == [
                "slurmctld was started anew at 2026-11-23T13:00:01", "Slurm 22.05.8 -> 26.05.3",
            ])
        #expect(scene.board.source.cluster == "alps" && scene.board.source.version == "26.05.3")
    }

    @Test func changesOfThePluginAreLogged() {
        var scene = Scene()
        scene.burst([])
        scene.timeout = 60
        scene.burst([])
        scene.plugin = "datawarp"
        scene.burst([])
        #expect(
            scene.events(.controller) == [
                "lua: StageInTimeout 1000 -> 60", "lua: StageOutTimeout 1000 -> 60", "plugin lua is gone",
                "plugin datawarp is here",
            ])
    }

    @Test func theLogIsBounded() {
        var scene = Scene()
        scene.burst([])
        for round in 0..<8 { scene.burst((1...2000).map { Scene.buffer(UInt32($0 + round * 5000)) }) }
        #expect(scene.board.events.count == Watch.eventsMax)
        #expect(scene.events(.note).last == "3000 more changes are not listed")
    }

    // MARK: Cancel

    @Test func anAcceptedCancelIsShownUntilTheStateProvesIt() {
        var scene = Scene()
        scene.poll([Scene.buffer(7)], [Scene.job(7)])
        scene.cancel(7)
        #expect(scene.row(7)?.flag == "cancel 0s")
        scene.burst([Scene.buffer(7)], after: 12)
        #expect(scene.row(7)?.flag == "cancel 12s")
        scene.jobs([Scene.job(7, "STAGE_OUT", .postRun)])
        #expect(scene.row(7)?.flag == "")
        #expect(
            scene.events(.action) == ["root@login1 scancel 7 -> accepted (exit 0)", "post-run 13s after scancel"])
    }

    @Test func aCancelWithoutEffectIsToldAfterTwoMinutes() {
        var scene = Scene()
        let job = Scene.job(7, "STAGE_OUT", .stagingOut, reason: "burst_buffer/lua: Stage-out in progress")
        scene.poll([Scene.buffer(7)], [job])
        scene.cancel(7)
        for _ in 0..<4 { scene.poll([Scene.buffer(7)], [job]) }
        #expect(scene.row(7)?.flag == "")
        #expect(scene.events(.action).last == "no effect of scancel seen in 120s")
    }

    @Test func aBufferThatGoesProvesTheCancelOfItsJob() {
        var scene = Scene()
        scene.poll([Scene.buffer(7)], [Scene.job(7)])
        scene.cancel(7, hurry: true)
        scene.burst([], after: 9)
        #expect(scene.events(.action).last == "gone 9s after scancel --hurry")
    }

    @Test func aRefusedCancelIsLoggedWithWhatItSaid() {
        var scene = Scene()
        scene.poll([Scene.buffer(7)], [Scene.job(7)])
        scene.cancel(7, exit: 210, errors: "scancel: error: Kill job error on job id 7: Access/permission denied\n")
        #expect(
            scene.events(.action) == [
                "root@login1 scancel 7 -> exit 210: not yours to cancel: "
                    + "scancel: error: Kill job error on job id 7: Access/permission denied"
            ])
        #expect(scene.row(7)?.flag == "")
        #expect(scene.board.events.last?.level == .warn)
    }

    // MARK: Board

    @Test func aWatchWithoutSamplesIsConnecting() {
        let scene = Scene()
        #expect(scene.board.health == .connecting && scene.board.burst == nil)
    }

    @Test func anEmptyReportMeansNoPlugin() {
        var scene = Scene()
        scene.ingest(.burst, .burst(BurstReport(), raw: []))
        #expect(scene.board.health == .noPlugin)
    }

    @Test func whatIsKnownStaysWhileTheControllerIsSilent() {
        var scene = Scene()
        scene.poll([Scene.buffer(7)], [Scene.job(7)])
        scene.fail(.burst)
        #expect(scene.board.bufferRows.count == 1 && scene.board.ageSeconds == 11)
    }

    @Test func aDamagedReportLosesNoAges() {
        var scene = Scene()
        scene.burst([Scene.buffer(7), Scene.buffer(8)])
        scene.burst([Scene.buffer(7)], faults: [Fault(reply: "scontrol show burst", line: 9, message: "cut")])
        #expect(scene.events(.state).isEmpty && scene.board.faults.count == 1)
        scene.burst([Scene.buffer(8)])
        #expect(scene.row(8)?.since == Scene.start.adding(seconds: 10))
        #expect(scene.events(.state) == ["gone, was allocated"])
    }

    @Test func aDamagedReplyOfSqueueLosesNoAges() {
        var scene = Scene()
        scene.poll([Scene.buffer(7), Scene.buffer(8)], [Scene.job(7), Scene.job(8)])
        let since = scene.row(8)?.since
        scene.jobs([Scene.job(7)], faults: [Fault(reply: "squeue", line: 0, message: "cut")])
        scene.jobs([Scene.job(7), Scene.job(8)])
        #expect(since != nil && scene.row(8)?.since == since)
    }

    @Test func whatWaitsIsKeptWhileSqueueFails() {
        var scene = Scene()
        scene.poll([], [WatchRuleTests.waiting(1, "2000G")])
        scene.fail(.jobs)
        scene.burst([])
        #expect(scene.pool()?.waiting == 1 && scene.alert("R9")?.title == "jobs wait")
    }

    @Test func usersAreSummedWithSharesGapsAndStages() throws {
        var scene = Scene()
        scene.pools = [Scene.pool(used: 40), Scene.pool("other", used: 10)]
        scene.users = [use("alice", gib: 30), use("bob", gib: 20), use("carol", gib: 50)]
        let old = Scene.start.adding(seconds: -7200)
        scene.poll(
            [
                Scene.buffer(1, created: old), Scene.buffer(2), Scene.buffer(3, gib: 10, user: "bob", pool: "other"),
                Scene.buffer(4, gib: 10, user: "bob"),
            ], [Scene.job(1), Scene.job(2, "PENDING", .stagingIn), Scene.job(3, user: "bob")])
        let rows = scene.board.userRows
        #expect(rows.map(\.user) == ["alice", "bob", "carol"])
        #expect(rows.map(\.buffers) == [2, 2, 0] && rows.map(\.pools) == [1, 2, 0])
        #expect(rows[0].gap == Int64(10 * Scene.gib) && rows[1].gap == 0)
        #expect(rows.map(\.share) == [0.3, 0.2, 0.5])
        #expect(rows[0].states == [.init(state: .stagingIn, count: 1), .init(state: .running, count: 1)])
        #expect(rows[0].oldestSeconds == scene.now.seconds(since: old))
    }

    @Test func poolsTellReservedSpaceBuffersAndWaste() throws {
        var scene = Scene(plugin: "datawarp")
        scene.pools = [Scene.pool(plugin: "datawarp", used: 200, grain: 200)]
        scene.poll([Scene.buffer(7, gib: 200)], [Scene.job(7, spec: "#DW jobdw type=scratch capacity=150GiB")])
        var active = Reservation(name: "a")
        active.state = "ACTIVE"
        active.burstBuffer = "datawarp:100GiB"
        var later = active
        later.state = "INACTIVE"
        scene.ingest(.reservations, .reservations([active, later], faults: []))
        let row = try #require(scene.pool())
        #expect(row.reserved == 100 * Scene.gib && row.bufferCount == 1 && row.bufferSum == 200 * Scene.gib)
        #expect(row.waste == 50 * Scene.gib)
        #expect(row.history.points.map(\.used) == [200 * Scene.gib])
    }

    @Test func historyHasAPointAMinute() {
        var scene = Scene()
        for _ in 0..<13 { scene.burst([]) }
        #expect(scene.pool()?.history.points.count == 3)
    }

    @Test func finishedJobsAreCountedNotListed() {
        var scene = Scene()
        scene.poll(
            [Scene.buffer(3)],
            [
                Scene.job(1, "COMPLETED", .complete), Scene.job(2, "CANCELLED", .complete),
                Scene.job(3, "COMPLETED", .teardown),
            ])
        #expect(scene.board.jobRows.map(\.id.number) == [3] && scene.board.finishedJobs == 2)
    }

    @Test func needIsRoundedUpToGranules() {
        var scene = Scene(plugin: "datawarp")
        scene.pools = [Scene.pool(plugin: "datawarp", grain: 200), Scene.pool(plugin: "datawarp", "cache", grain: 1)]
        scene.poll(
            [],
            [
                Scene.job(1, "PENDING", .pending, spec: "#DW jobdw capacity=4GB type=scratch"),
                Scene.job(2, "PENDING", .pending, spec: "#DW jobdw capacity=4GiB pool=cache"),
            ])
        #expect(scene.board.jobRows.map(\.need) == [200 * Scene.gib, 4 * Scene.gib])
        #expect(scene.board.jobRows.map(\.pool) == ["nvme", "cache"])
    }

    @Test func heldJobsAreMarked() {
        var scene = Scene()
        scene.poll([Scene.buffer(7)], [Scene.job(7, "PENDING", .stagedIn, reason: "JobHeldUser", priority: 0)])
        #expect(scene.row(7)?.flag == "HELD")
    }

    @Test func detailsAreKeptForTheNewestJobs() {
        var scene = Scene()
        let detail = JobDetail(job: Scene.job(1), fields: [], text: "")
        for id in 1...(UInt32(Watch.detailsMax) + 1) { scene.ingest(.job(JobID(id)), .job(id == 2 ? nil : detail)) }
        #expect(scene.watch.detail(JobID(1)) == nil)
        #expect(scene.watch.detail(JobID(2)) != nil && scene.watch.detail(JobID(2))?.value == nil)
        #expect(scene.watch.detail(JobID(3))?.value == detail)
    }

    @Test func aCopyGoesItsOwnWay() {
        var scene = Scene()
        scene.poll([Scene.buffer(7)], [Scene.job(7)])
        let point = scene
        scene.poll([Scene.buffer(8)], [Scene.job(8)])
        #expect(point.board.bufferRows.map(\.key.id.short) == ["7"])
        var again = point
        again.poll([Scene.buffer(8)], [Scene.job(8)])
        #expect(again.board == scene.board)
    }

    @Test func aLaterMomentChangesAgesOnly() {
        var scene = Scene()
        scene.poll([Scene.buffer(7)], [Scene.job(7)])
        let early = scene.watch.board(at: scene.now)
        let late = scene.watch.board(at: scene.now.adding(seconds: 60))
        #expect(late.ageSeconds == 61 && late.events == early.events && late.alerts == early.alerts)
        #expect(late.userRows[0].oldestSeconds == early.userRows[0].oldestSeconds! + 60)
    }

    // MARK: One job

    private func detail(_ job: Job, in scene: inout Scene, after seconds: Int = 5) {
        scene.now = scene.now.adding(seconds: seconds)
        scene.ingest(.job(job.id), .job(JobDetail(job: job, fields: [], text: "")))
    }

    @Test func theAnswerAboutOneJobUpdatesItsRow() {
        var scene = Scene()
        let job = Scene.job(7, "PENDING", .stagingIn, reason: "BurstBufferStageIn")
        scene.poll([Scene.buffer(7)], [job, Scene.job(8)])
        scene.poll([Scene.buffer(7)], [job, Scene.job(8)])
        let asked = scene.board.jobs?.at
        var failed = job
        failed.reason = "burst_buffer/lua:_slurm_bb_data_in:_no_space"
        failed.priority = 0
        detail(failed, in: &scene)
        #expect(scene.alert("R5")?.subject == .buffer(scene.row(7)!.key))
        #expect(scene.board.jobs?.value.first?.reason == "burst_buffer/lua: slurm bb data in: no space")
        // The list is not newer for it.
        #expect(scene.board.jobs?.at == asked)
        var running = job
        (running.state, running.bufferState, running.reason) = (.running, .running, "None")
        detail(running, in: &scene)
        #expect(scene.alert("R5") == nil)
        #expect(scene.row(7).map { scene.board.stage($0) } == .running)
        #expect(scene.row(7).map { $0.sinceSeen && $0.since == scene.now } == true)
        #expect(scene.events(.state).last == "job staging-in -> running")
        // The next reply of squeue says the same, and nothing has happened.
        let events = scene.events(.state).count
        scene.poll([Scene.buffer(7)], [running, Scene.job(8)])
        #expect(scene.events(.state).count == events)
    }

    @Test func whatSqueuePrintsBetterStays() {
        var scene = Scene()
        var job = Scene.job(
            7, "COMPLETED", .teardown, reason: "burst_buffer/lua: teardown failed: busy",
            comment: Scene.entry(0, "slurm_bb_job_teardown: busy") + "\n"
                + Scene.entry(11, "slurm_bb_job_teardown: busy"))
        scene.poll([Scene.buffer(7)], [job])
        let before = scene.board.jobs
        job.reason = "burst_buffer/lua:_teardown_failed:_busy"
        job.systemComment = job.systemComment?.split(separator: "\n").joined(separator: " ")
        job.spec = nil
        detail(job, in: &scene)
        #expect(scene.board.jobs == before)
        // Jobs that nobody listed, and jobs that are another's.
        detail(Scene.job(9), in: &scene)
        scene.ingest(.job(JobID(7)), .job(nil))
        #expect(scene.board.jobs == before)
    }
}
