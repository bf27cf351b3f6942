import BurstModel
import Testing

/// The rules of monitor.md §3.7, one by one, with what each must not take for a fault.
@Suite struct WatchRuleTests {
    // MARK: R1

    @Test func aTeardownThatFailsIsCriticalAndCountsTheTriesThatSlurmNoted() throws {
        var scene = Scene(plugin: "datawarp")
        let comment = [1, 6, 11].map { Scene.entry($0, "teardown: instance 7 busy\n", plugin: "datawarp") }
            .joined(separator: "\n")
        scene.poll(
            [Scene.buffer(7, .teardownFail, gib: 200)],
            [Scene.job(7, "COMPLETED", .teardown, reason: "burst_buffer/datawarp: teardown: busy\n", comment: comment)])
        let alert = try #require(scene.alert("R1"))
        #expect(alert.severity == .crit)
        #expect(alert.title == "teardown-fail")
        #expect(alert.message == "retrying, 3 tries seen: instance 7 busy")
        #expect(alert.user == "alice" && alert.size == Amount(200 * Scene.gib) && alert.pool == "nvme")
        #expect(scene.row(7)?.flag == "FAILED" && scene.row(7)?.severity == .crit)
    }

    @Test func aDatawarpTeardownThatIsBeingRetriedStaysAnAlertWhileTheRowSaysTeardown() {
        var scene = Scene(plugin: "datawarp")
        let job = Scene.job(7, "COMPLETED", .teardown, reason: "burst_buffer/datawarp: teardown: busy\n")
        scene.poll([Scene.buffer(7, .teardownFail)], [job])
        scene.poll([Scene.buffer(7, .teardown)], [job])
        #expect(scene.alert("R1") != nil)
        #expect(scene.events(.alert).count == 1)
    }

    @Test func aBufferWhoseDatawarpTeardownFailedForLongIsNoLeakWhenItIsGone() {
        var scene = Scene(plugin: "datawarp")
        let comment = (0..<5).map { Scene.entry($0 * 5, "teardown: busy", plugin: "datawarp") }.joined(separator: "\n")
        let reason = "burst_buffer/datawarp: teardown: busy"
        scene.poll(
            [Scene.buffer(7, .teardownFail)], [Scene.job(7, "COMPLETED", .teardown, reason: reason, comment: comment)])
        scene.poll([], [Scene.job(7, "COMPLETED", .complete, reason: reason, comment: comment)])
        #expect(scene.board.alerts.isEmpty)
        #expect(scene.row(7) == nil)
    }

    // MARK: R2, R3

    static let reasons = [
        "burst_buffer/lua: teardown: disk on fire", "burst_buffer/lua: teardown failed: disk on fire",
    ]

    @Test(arguments: reasons) func aFailingLuaTeardownShowsWhichTryOfThreeComesNext(reason: String) throws {
        var scene = Scene()
        let one = Scene.entry(10, "teardown: disk on fire")
        scene.poll([Scene.buffer(7)], [Scene.job(7, "COMPLETED", .teardown, reason: reason, comment: one)])
        #expect(scene.alert("R2")?.title == "teardown 2/3")
        #expect(scene.row(7)?.flag == "2/3")
        let two = one + "\n" + Scene.entry(20, "teardown: disk on fire")
        scene.poll([Scene.buffer(7)], [Scene.job(7, "COMPLETED", .teardown, reason: reason, comment: two)])
        let alert = try #require(scene.alert("R2"))
        #expect(scene.row(7)?.flag == "3/3")
        #expect(alert.severity == .crit)
        #expect(alert.since == Scene.start.adding(seconds: 10))
        #expect(scene.board.stage(try #require(scene.row(7))) == .teardown)
    }

    @Test(arguments: reasons) func luaGivingUpIsToldWithinOnePollAndLeavesATombstone(reason: String) throws {
        var scene = Scene()
        let two = Scene.entry(10, "teardown: x") + "\n" + Scene.entry(20, "teardown: x")
        scene.poll([Scene.buffer(7, gib: 40)], [Scene.job(7, "COMPLETED", .teardown, reason: reason, comment: two)])
        scene.poll([], [Scene.job(7, "COMPLETED", .complete, reason: reason, comment: two)])
        let alert = try #require(scene.alert("R3"))
        #expect(alert.severity == .crit && alert.title == "LEAK?" && alert.latched)
        #expect(alert.user == "alice" && alert.size == Amount(40 * Scene.gib) && alert.pool == "nvme")
        let row = try #require(scene.row(7))
        #expect(row.place == nil && row.gone?.buffer.size == Amount(40 * Scene.gib) && row.flag == "LEAK?")
        #expect(scene.alert("R2") == nil)
    }

    @Test func aLeakIsToldOnceStaysAndGoesWhenAcknowledged() throws {
        var scene = Scene()
        let two = Scene.entry(10, "teardown: x") + "\n" + Scene.entry(20, "teardown: x")
        let over = Scene.job(7, "COMPLETED", .complete, reason: Self.reasons[0], comment: two)
        scene.poll([Scene.buffer(7)], [Scene.job(7, "COMPLETED", .teardown, reason: Self.reasons[0], comment: two)])
        scene.poll([], [over])
        scene.poll([], [over])
        scene.poll([], [])
        let alert = try #require(scene.alert("R3"))
        scene.watch.acknowledge(alert.id, at: scene.now)
        #expect(scene.alert("R3") == nil && scene.row(7) == nil)
        scene.poll([], [over])
        #expect(scene.events(.alert).filter { $0.hasPrefix("R3") }.count == 1)
    }

    @Test func anAcknowledgedLeakIsNotToldAgainWhileItsJobIsListed() throws {
        var scene = Scene()
        let two = Scene.entry(10, "teardown: x") + "\n" + Scene.entry(20, "teardown: x")
        let over = Scene.job(7, "COMPLETED", .complete, reason: Self.reasons[0], comment: two)
        scene.poll([], [over])
        let alert = try #require(scene.alert("R3"))
        #expect(alert.subject == .job(JobID(7)))
        scene.watch.acknowledge(alert.id, at: scene.now)
        scene.poll([], [over])
        #expect(scene.alert("R3") == nil)
    }

    @Test func oneFailedTeardownThatThenSucceedsIsNoLeak() {
        var scene = Scene()
        let one = Scene.entry(10, "teardown: x")
        scene.poll([Scene.buffer(7)], [Scene.job(7, "COMPLETED", .teardown, reason: Self.reasons[0], comment: one)])
        scene.poll([], [Scene.job(7, "COMPLETED", .complete, reason: Self.reasons[0], comment: one)])
        #expect(scene.board.alerts.isEmpty)
    }

    @Test func failuresOfTwoDifferentRunsAreNoLeak() {
        var scene = Scene()
        let runs = Scene.entry(10, "teardown: x") + "\n" + Scene.entry(4000, "teardown: x")
        scene.poll([Scene.buffer(7)], [Scene.job(7, "RUNNING", .running, comment: runs)])
        scene.poll([], [Scene.job(7, "COMPLETED", .complete, comment: runs)])
        #expect(scene.board.alerts.isEmpty)
    }

    @Test func aBufferThatVanishesWhileSlurmDoesNotKnowItsJobIsAPossibleLeak() throws {
        var scene = Scene()
        for _ in 0..<4 { scene.poll([Scene.buffer(7)], []) }
        #expect(scene.alert("R8") != nil)
        scene.burst([])
        #expect(scene.alert("R8") == nil)
        #expect(try #require(scene.alert("R3")).message.contains("unknown to Slurm"))
        #expect(scene.row(7)?.flag == "LEAK?")
    }

    // MARK: R4

    @Test(arguments: [
        "burst_buffer/lua: slurm_bb_data_out: disk on fire",
        "burst_buffer/lua: JobHeldAdmin: slurm_bb_data_out failed: disk on fire",
        "burst_buffer/datawarp: dws_data_out: exit status 23\n",
    ]) func aFailedStageOutIsToldByTheJobsReason(reason: String) throws {
        var scene = Scene()
        let comment = Scene.entry(5, "slurm_bb_data_out: disk on fire")
        scene.poll(
            [Scene.buffer(7, .stagedIn)], [Scene.job(7, "STAGE_OUT", .stagingOut, reason: reason, comment: comment)])
        let alert = try #require(scene.alert("R4"))
        #expect(alert.severity == .crit && alert.title == "stage-out FAIL")
        #expect(alert.since == Scene.start.adding(seconds: 5) && alert.sinceSeen)
        #expect(scene.row(7)?.flag == "FAILED")
    }

    @Test(arguments: [
        "burst_buffer/lua: Stage-out in progress", "burst_buffer/datawarp: Stage-out in progress", "TimeLimit", "None",
        "NonZeroExitCode",
    ])
    func aHealthyStageOutIsNoFailure(reason: String) {
        var scene = Scene()
        scene.poll([Scene.buffer(7, .stagedIn)], [Scene.job(7, "STAGE_OUT", .stagingOut, reason: reason)])
        #expect(scene.board.alerts.isEmpty)
    }

    @Test func aFailedStageOutIsNotToldByItsAgeAsWell() {
        var scene = Scene()
        let job = Scene.job(7, "STAGE_OUT", .stagingOut, reason: "burst_buffer/lua: slurm_bb_data_out: x")
        scene.poll([Scene.buffer(7)], [job])
        scene.poll([Scene.buffer(7)], [job], after: 2000)
        #expect(scene.board.alerts.map(\.rule) == ["R4"])
    }

    // MARK: R5

    @Test(arguments: [
        ("burst_buffer/lua: slurm_bb_data_in: x", BufferState.stagingIn, "stage-in FAIL"),
        ("burst_buffer/lua: JobHeldAdmin: slurm_bb_setup failed: x", .stagingIn, "stage-in FAIL"),
        ("burst_buffer/lua: slurm_bb_data_in: x", .complete, "stage-in FAIL"),
        ("Burst buffer pre_run error", .complete, "pre-run FAIL"),
        ("burst_buffer/lua: slurm_bb_pre_run failed: x", .complete, "pre-run FAIL"),
        ("JobHeldAdmin", .preRun, "paths FAIL"),
    ]) func aPendingJobWithAFailedHookIsCritical(reason: String, stage: BufferState, title: String) throws {
        var scene = Scene()
        scene.poll([Scene.buffer(7)], [Scene.job(7, "PENDING", stage, reason: reason, priority: 0)])
        let alert = try #require(scene.alert("R5"))
        #expect(alert.title == title && alert.severity == .crit)
    }

    @Test(arguments: [
        ("BurstBufferStageIn", BufferState.stagingIn), ("burst_buffer/lua: Stage-out in progress", .stagingOut),
        ("JobHeldAdmin", .stagedIn), ("JobHeldUser", .stagedIn), ("BeginTime", .complete),
    ]) func aPendingJobThatIsOnlyHeldOrBusyIsNoFailure(reason: String, stage: BufferState) {
        var scene = Scene()
        scene.poll([Scene.buffer(7)], [Scene.job(7, "PENDING", stage, reason: reason)])
        #expect(scene.alert("R5") == nil)
    }

    @Test func aStageInReleasedAfterAFailureIsStuck() throws {
        var scene = Scene()
        let comment = Scene.entry(0, "slurm_bb_data_in: x")
        scene.poll(
            [Scene.buffer(7)], [Scene.job(7, "PENDING", .stagingIn, reason: "BurstBufferStageIn", comment: comment)])
        let alert = try #require(scene.alert("R5"))
        #expect(alert.title == "stage-in STUCK" && alert.message.contains("only scancel helps"))
    }

    @Test func aStageInThatBeganAnewAfterAFailureIsNotStuck() {
        var scene = Scene()
        let comment = Scene.entry(0, "slurm_bb_data_in: x")
        let job = Scene.job(7, "PENDING", .stagingIn, reason: "BurstBufferStageIn", comment: comment)
        scene.poll([Scene.buffer(7, created: Scene.start.adding(seconds: 20))], [job])
        #expect(scene.alert("R5") == nil)
    }

    @Test func aStageInAfterAFailedPreRunIsNotStuck() {
        var scene = Scene()
        let comment = Scene.entry(0, "pre_run: x")
        let job = Scene.job(7, "PENDING", .stagingIn, reason: "BurstBufferStageIn", comment: comment)
        scene.poll([Scene.buffer(7)], [job])
        #expect(scene.alert("R5") == nil)
    }

    @Test func aJobReleasedAfterFailedPathsIsToldWhenTwoPollsShowItWaiting() {
        var scene = Scene()
        let job = Scene.job(7, "PENDING", .preRun, reason: "BurstBufferResources")
        scene.poll([Scene.buffer(7)], [job])
        #expect(scene.alert("R5") == nil)
        scene.poll([Scene.buffer(7)], [job])
        #expect(scene.alert("R5")?.title == "paths FAIL")
        #expect(scene.pool()?.waiting == 0)
    }

    @Test func anAlertStaysTheSameWhenTheJobsBufferComesIntoView() {
        var scene = Scene()
        let job = Scene.job(7, "PENDING", .stagingIn, reason: "burst_buffer/lua: slurm_bb_data_in: x", priority: 0)
        scene.burst([])
        scene.jobs([job])
        scene.watch.acknowledge(Alert.ID(rule: "R5", subject: .job(JobID(7))), at: scene.now)
        scene.burst([Scene.buffer(7)])
        #expect(scene.alerts("R5").map(\.acknowledged) == [true])
        #expect(scene.events(.alert).filter { $0.hasPrefix("R5") }.count == 1)
    }

    // MARK: R6, R7

    @Test(arguments: [(799, nil), (800, Severity.warn), (949, .warn), (950, .crit), (1100, .crit)])
    func theAgeOfAStageIsComparedWithItsTimeout(seconds: Int, severity: Severity?) {
        var scene = Scene()
        let created = Scene.start.adding(seconds: 100)
        let job = Scene.job(7, "PENDING", .stagingIn, reason: "BurstBufferStageIn")
        scene.burst([Scene.buffer(7, created: created)], after: 110)
        scene.jobs([job], after: 0)
        scene.burst([Scene.buffer(7, created: created)], after: seconds - 10)
        scene.jobs([job], after: 0)
        #expect(scene.alert("R6")?.severity == severity)
        if severity != nil { #expect(scene.row(7)?.flag == "\(seconds / 10)%TO") }
    }

    @Test func anAgeWhoseStartWasNotSeenIsALowerBound() throws {
        var scene = Scene()
        scene.poll([Scene.buffer(7)], [Scene.job(7, "STAGE_OUT", .stagingOut)])
        scene.poll([Scene.buffer(7)], [Scene.job(7, "STAGE_OUT", .stagingOut)], after: 900)
        let alert = try #require(scene.alert("R6"))
        #expect(!alert.sinceSeen && alert.title == "stage-out slow")
        #expect(alert.message.contains("%+ of StageOutTimeout, left "))
    }

    @Test func aStageIsNotAgedBeyondWhatSqueueLastSaid() {
        var scene = Scene()
        scene.poll([Scene.buffer(7)], [Scene.job(7, "STAGE_OUT", .stagingOut)])
        for _ in 0..<20 { scene.burst([Scene.buffer(7)], after: 60) }
        #expect(scene.alert("R6") == nil)
    }

    @Test(arguments: [BufferState.teardown, .preRun, .postRun]) func aHookBeyondOtherTimeoutIsAWarning(
        stage: BufferState
    ) {
        var scene = Scene()
        let state = stage == .preRun ? "CONFIGURING" : "COMPLETED"
        for seconds in [30, 200, 90] { scene.poll([Scene.buffer(7)], [Scene.job(7, state, stage)], after: seconds) }
        #expect(scene.alert("R7") == nil)
        scene.poll([Scene.buffer(7)], [Scene.job(7, state, stage)], after: 30)
        #expect(scene.alert("R7")?.severity == .warn)
        #expect(scene.alert("R7")?.title == "\(stage.name) slow")
    }

    // MARK: R8

    @Test func aBufferWhoseJobIsUnknownInTwoPollsOfSqueueIsAnOrphan() throws {
        var scene = Scene()
        scene.poll([Scene.buffer(7), Scene.buffer(8)], [Scene.job(8)])
        #expect(scene.alert("R8") == nil)
        scene.burst([Scene.buffer(7), Scene.buffer(8)])
        #expect(scene.alert("R8") == nil, "polls of squeue count, not reports")
        scene.poll([Scene.buffer(7), Scene.buffer(8)], [Scene.job(8)])
        let alert = try #require(scene.alert("R8"))
        #expect(alert.title == "orphan" && alert.severity == .crit && alert.latched)
        #expect(alert.subject == .buffer(BufferKey(plugin: "lua", id: .job(JobID(7)))))
        #expect(scene.alerts("R8").count == 1)
    }

    @Test func aBufferWhoseJobSaysNothingOfBuffersIsNoOrphan() {
        var scene = Scene()
        for _ in 0..<3 { scene.poll([Scene.buffer(7)], [Scene.job(7, "RUNNING", nil, spec: nil)]) }
        #expect(scene.board.alerts.isEmpty)
    }

    @Test func buffersAreNoOrphansWhereSqueueShowsOnlySomeJobs() {
        var damaged = Scene()
        var own = Scene(viewer: "bob@login1")
        var hidden = Scene(viewer: "bob@login1")
        var config = ControllerConfig()
        config.privateData = "jobs,usage"
        hidden.config(config)
        for _ in 0..<3 {
            damaged.burst([Scene.buffer(7)])
            damaged.jobs([], faults: [Fault(reply: "squeue", line: 0, message: "cut")])
            own.burst([Scene.buffer(7)])
            own.jobs([], arguments: SqueueText.arguments(user: "bob"))
            hidden.poll([Scene.buffer(7)], [])
        }
        #expect(damaged.alert("R8") == nil)
        #expect(own.alert("R8") == nil)
        #expect(hidden.alert("R8") == nil)
    }

    @Test func anOrphanWhoseJobComesBackStaysUntilAcknowledged() throws {
        var scene = Scene()
        for _ in 0..<2 { scene.poll([Scene.buffer(7)], []) }
        scene.poll([Scene.buffer(7)], [Scene.job(7)])
        let alert = try #require(scene.alert("R8"))
        scene.watch.acknowledge(alert.id, at: scene.now)
        #expect(scene.alert("R8") == nil)
    }

    @Test(arguments: [BufferState.stagingIn, .postRun, .stagingOut])
    func aJobThatShouldHaveABufferAndHasNoneInTwoPollsIsLost(stage: BufferState) throws {
        var scene = Scene()
        let job = Scene.job(7, "STAGE_OUT", stage, reason: "burst_buffer/lua: Stage-out in progress")
        scene.poll([], [job])
        scene.jobs([job])
        #expect(scene.alert("R8") == nil, "the same report says nothing new")
        scene.poll([], [job])
        let alert = try #require(scene.alert("R8"))
        #expect(alert.subject == .job(JobID(7)) && alert.title == "no buffer")
    }

    @Test func jobsWithoutRowsAreNotLostWherePrivateDataHidesRows() {
        var scene = Scene()
        scene.flags = ["PrivateData"]
        for _ in 0..<3 { scene.poll([], [Scene.job(7, "PENDING", .stagingIn)]) }
        #expect(scene.alert("R8") == nil)
    }

    @Test(arguments: [BufferState.teardown, .stagedIn, .running, .complete, .pending])
    func jobsInOtherStagesMayBeWithoutABuffer(stage: BufferState) {
        var scene = Scene()
        for _ in 0..<3 { scene.poll([], [Scene.job(7, "RUNNING", stage)]) }
        #expect(scene.alert("R8") == nil)
    }

    // MARK: R9, R10, R16

    @Test(arguments: [(899, nil), (900, .warn), (999, .warn), (1000, .crit)] as [(UInt64, Severity?)])
    func aFullPoolIsToldByItsShare(used: UInt64, severity: Severity?) {
        var scene = Scene()
        scene.pools = [Scene.pool(used: used)]
        scene.burst([Scene.buffer(7, gib: used)])
        #expect(scene.alert("R9")?.severity == severity)
    }

    @Test func drainedSpaceCountsTowardsAFullPool() {
        var scene = Scene()
        scene.pools = [Scene.pool(used: 500, drained: 500)]
        scene.burst([Scene.buffer(7, gib: 500)])
        #expect(scene.alert("R9")?.title == "pool full")
        #expect(scene.alert("R10")?.message == "500GiB of 1000GiB neither used nor free")
    }

    static func waiting(_ id: UInt32, _ size: String, user: String = "bob") -> Job {
        Scene.job(
            id, "PENDING", .pending, reason: "BurstBufferResources", user: user,
            spec: "#BB_LUA pool=nvme capacity=\(size)")
    }

    @Test func jobsThatWaitForSpaceAreCountedWithTheSmallestRequest() throws {
        var scene = Scene()
        scene.pools = [Scene.pool(used: 1000)]
        scene.poll([Scene.buffer(7, gib: 1000)], [Self.waiting(1, "300G"), Self.waiting(2, "199GB"), Scene.job(7)])
        #expect(scene.pool()?.waiting == 2)
        #expect(scene.pool()?.smallestWaiting == 186 * Scene.gib)
        #expect(scene.alert("R9")?.message == "0 free; 2 jobs wait, the smallest wants 186GiB")
        #expect(scene.alert("R9")?.severity == .crit)
        #expect(scene.alert("R16") == nil, "nothing is free")
    }

    @Test func theTasksOfAWaitingArrayAreCounted() {
        var scene = Scene()
        var job = Self.waiting(9, "2000G")
        job.arrayJobID = JobID(9)
        job.arrayTask = "1-5,7,10-20:5%2"
        scene.poll([], [job])
        #expect(scene.pool()?.waiting == 9)
    }

    @Test func aRequestThatIsLargerThanWhatFitsIsCriticalAndToldWhy() throws {
        var scene = Scene()
        scene.pools = [Scene.pool(used: 400, grain: 200)]
        scene.poll([Scene.buffer(7, gib: 400)], [Self.waiting(1, "700G"), Scene.job(7)])
        #expect(scene.alert("R9")?.severity == .crit && scene.alert("R9")?.title == "jobs wait")
        let alert = try #require(scene.alert("R16"))
        #expect(alert.severity == .warn)
        #expect(alert.message.contains("at most 600GiB fits in grains of 200GiB"))
    }

    @Test func aRequestThatWouldFitWaitsForTheSchedulerOnly() {
        var scene = Scene()
        scene.poll([], [Self.waiting(1, "700G")])
        #expect(scene.pool()?.waiting == 1)
        #expect(scene.board.alerts.isEmpty)
    }

    @Test func jobsInStagingInAreNotWaitingThoughTheirReasonStillSaysSo() {
        var scene = Scene()
        scene.pools = [Scene.pool(used: 10)]
        scene.poll([Scene.buffer(7)], [Scene.job(7, "PENDING", .stagingIn, reason: "BurstBufferResources")])
        #expect(scene.pool()?.waiting == 0)
    }

    @Test func freeSpaceBeyondTheTotalIsNoDrain() {
        var scene = Scene(plugin: "datawarp")
        var pool = Scene.pool(plugin: "datawarp", total: 5800, used: 1600)
        pool.free = Amount(4600 * Scene.gib)
        scene.pools = [pool]
        scene.burst([Scene.buffer(7, gib: 1600)])
        #expect(scene.alert("R10") == nil)
    }

    @Test func moreDrainedSpaceTakesBackAnAcknowledgement() throws {
        var scene = Scene()
        scene.pools = [Scene.pool(drained: 10)]
        scene.burst([])
        scene.watch.acknowledge(try #require(scene.alert("R10")).id, at: scene.now)
        scene.burst([])
        #expect(scene.alert("R10")?.acknowledged == true)
        scene.pools = [Scene.pool(drained: 20)]
        scene.burst([])
        #expect(scene.alert("R10")?.acknowledged == false)
    }

    // MARK: R11

    @Test func totalsOfZeroForHalfAMinuteAreAReconfigureAndLongerAnAlert() throws {
        var scene = Scene()
        scene.burst([])
        scene.pools[0].total = .zero
        scene.pools[0].free = .zero
        for _ in 0..<4 { scene.burst([]) }
        #expect(scene.board.alerts.isEmpty)
        scene.burst([])
        #expect(try #require(scene.alert("R11")).title == "pool total 0")
        scene.pools = [Scene.pool()]
        scene.burst([])
        #expect(scene.board.alerts.isEmpty)
    }

    @Test func aReconfigureThatWrapsFreeSpaceRaisesNothing() {
        var scene = Scene()
        scene.pools = [Scene.pool(used: 4)]
        scene.burst([Scene.buffer(7, gib: 4)])
        scene.pools[0].total = .zero
        scene.pools[0].free = Amount(text: "17179869180GiB")
        for _ in 0..<3 { scene.burst([Scene.buffer(7, gib: 4)]) }
        #expect(scene.board.alerts.isEmpty)
    }

    @Test func aPoolThatIsNoLongerReportedStaysListedAndIsCriticalAfterHalfAMinute() throws {
        var scene = Scene()
        scene.pools = [Scene.pool(), Scene.pool("old", total: 5)]
        scene.burst([])
        scene.pools = [Scene.pool()]
        scene.burst([])
        #expect(scene.pool("old")?.goneSince == scene.now && scene.alert("R11") == nil)
        scene.burst([], after: 31)
        let alert = try #require(scene.alert("R11"))
        #expect(alert.message.contains("had 5GiB") && alert.pool == "old" && alert.severity == .crit)
    }

    @Test func aPluginWithoutPoolsIsCriticalAndLuasFirstLineOfZerosIsNot() throws {
        var scene = Scene()
        scene.burst([])
        scene.burst([], after: 60)
        #expect(scene.board.alerts.isEmpty)
        var bare = Scene()
        bare.pools = []
        bare.burst([])
        bare.burst([], after: 31)
        #expect(try #require(bare.alert("R11")).title == "no pools")
    }

    // MARK: R12 to R14

    @Test func anOldPersistentBufferIsToldWithItsAge() throws {
        var scene = Scene(plugin: "datawarp")
        let old = Scene.buffer(.persistent("alpha"), created: Scene.start.adding(seconds: -43 * 86_400))
        let young = Scene.buffer(.persistent("beta"), created: Scene.start.adding(seconds: -41 * 86_400))
        scene.burst([old, young])
        let alert = try #require(scene.alert("R12"))
        #expect(alert.severity == .info && alert.message.contains("43 days") && alert.subject.short == "alpha")
        #expect(scene.board.bufferRows.map(\.flag) == ["OLD", ""])
    }

    @Test func aUserWithALargeShareIsToldWhileOthersWait() {
        var scene = Scene()
        scene.pools = [Scene.pool(used: 1000)]
        scene.users = [use("alice", gib: 600), use("bob", gib: 400)]
        let buffers = [Scene.buffer(7, gib: 600), Scene.buffer(8, gib: 400, user: "bob")]
        scene.poll(buffers, [Scene.job(7), Scene.job(8, user: "bob"), Self.waiting(9, "10G", user: "alice")])
        #expect(scene.alert("R13") == nil, "only she waits")
        scene.poll(buffers, [Scene.job(7), Scene.job(8, user: "bob"), Self.waiting(9, "10G", user: "bob")])
        #expect(scene.alert("R13")?.subject == .user("alice"))
        #expect(scene.alert("R13")?.severity == .info)
    }

    @Test func aRevokedAllocationIsCritical() {
        var scene = Scene(plugin: "datawarp")
        scene.burst([Scene.buffer(7, .allocRevoke)])
        #expect(scene.alert("R14")?.severity == .crit)
        scene.poll([Scene.buffer(7)], [Scene.job(7, "PENDING", .allocRevoke)])
        #expect(scene.alerts("R14").count == 1)
    }

    // MARK: R15

    @Test func sumsThatDifferInTwoReportsAreAnAccountingGap() throws {
        var scene = Scene()
        scene.pools = [Scene.pool(used: 30)]
        scene.burst([Scene.buffer(7, gib: 10)])
        #expect(scene.alert("R15") == nil)
        scene.burst([Scene.buffer(7, gib: 10)])
        let alert = try #require(scene.alert("R15"))
        #expect(alert.severity == .warn && alert.title == "accounting gap" && alert.size == Amount(20 * Scene.gib))
        scene.pools = [Scene.pool(used: 10)]
        scene.burst([Scene.buffer(7, gib: 10)])
        #expect(scene.alert("R15") == nil)
    }

    @Test func hiddenRowsAreARestrictedViewAndNoGap() throws {
        var scene = Scene()
        scene.flags = ["PrivateData"]
        scene.pools = [Scene.pool(used: 30)]
        scene.burst([Scene.buffer(7, gib: 10)])
        scene.burst([Scene.buffer(7, gib: 10)])
        let alert = try #require(scene.alert("R15"))
        #expect(alert.severity == .info && alert.title == "restricted")
    }

    @Test func aFailedSetupOfDatawarpThatGaveItsSpaceBackIsNoGap() {
        var scene = Scene(plugin: "datawarp")
        let job = Scene.job(7, "PENDING", .stagingIn, reason: "burst_buffer/datawarp: setup: x", priority: 0)
        for _ in 0..<3 { scene.poll([Scene.buffer(7, gib: 10)], [job]) }
        #expect(scene.alert("R15") == nil)
    }

    @Test func aUsersSumThatDiffersIsToldWherePoolsAgree() {
        var scene = Scene()
        scene.pools = [Scene.pool(used: 10)]
        scene.users = [use("alice", gib: 50)]
        scene.burst([Scene.buffer(7, gib: 10)])
        scene.burst([Scene.buffer(7, gib: 10)])
        #expect(scene.alert("R15")?.subject == .user("alice"))
    }

    // MARK: R17, R18

    @Test func aSlowAnswerIsAWarningUntilTheNextIsQuick() {
        var scene = Scene()
        scene.burst([], took: 2001)
        #expect(scene.alert("R17")?.severity == .warn && scene.alert("R17")?.title == "slow answer")
        scene.burst([])
        #expect(scene.alert("R17") == nil)
    }

    @Test func noAnswerIsCriticalAndSaysWhy() throws {
        var scene = Scene()
        scene.burst([])
        scene.fail(.burst, "Unable to contact slurm controller (connect failure)")
        let alert = try #require(scene.alert("R17"))
        #expect(alert.severity == .crit && alert.message.contains("connect failure"))
        scene.burst([])
        #expect(scene.alert("R17") == nil)
    }

    @Test func aSizeFarFromTheDirectivesIsToldAndRoundingIsNot() {
        var scene = Scene()
        scene.pools = [Scene.pool(used: 27, grain: 2)]
        scene.poll(
            [Scene.buffer(7, gib: 12), Scene.buffer(8, gib: 15)],
            [Scene.job(7), Scene.job(8, spec: "#BB_LUA pool=nvme capacity=10G")])
        #expect(scene.alerts("R18").map(\.subject.short) == ["8"])
        #expect(scene.alert("R18")?.severity == .info)
    }

    @Test func aPersistentBufferThatAJobCreatesIsNoPartOfItsOwnSize() {
        var scene = Scene(plugin: "datawarp")
        let spec =
            "#DW create_persistent name=alpha capacity=500GiB access=striped type=scratch\n"
            + "#DW jobdw type=scratch capacity=10GiB"
        scene.pools = [Scene.pool(plugin: "datawarp", used: 10)]
        scene.poll([Scene.buffer(7, gib: 10)], [Scene.job(7, spec: spec)])
        #expect(scene.alert("R18") == nil)
    }

    // MARK: All

    @Test func titlesFitAColumnOf14Characters() {
        let titles = [
            "teardown-fail", "teardown 3/3", "LEAK?", "stage-out FAIL", "stage-in FAIL", "stage-in STUCK",
            "pre-run FAIL",
            "paths FAIL", "hook FAIL", "stage-in slow", "stage-out slow", "teardown slow", "pre-run slow",
            "post-run slow",
            "orphan", "no buffer", "pool full", "jobs wait", "pool 99%", "drained", "pool GONE", "pool total 0",
            "no pools",
            "old", "large share", "alloc-revoke", "accounting gap", "restricted", "does not fit", "no answer",
            "squeue fails", "slow answer", "size differs",
        ]
        #expect(titles.allSatisfy { $0.count <= 14 })
    }

    @Test func aDisabledRuleIsSilent() {
        var thresholds = RuleThresholds()
        thresholds.disabled = ["R1", "R3", "R17"]
        var scene = Scene(plugin: "datawarp", thresholds: thresholds)
        scene.burst([Scene.buffer(7, .teardownFail)])
        scene.fail(.burst)
        #expect(scene.board.alerts.isEmpty && scene.row(7)?.severity == nil && scene.row(7)?.flag == "")
    }

    @Test func withoutJobsTheRulesThatNeedThemAreSilent() {
        var scene = Scene()
        scene.pools = [Scene.pool(used: 10)]
        for _ in 0..<5 { scene.burst([Scene.buffer(7)], after: 300) }
        #expect(scene.board.alerts.isEmpty)
        for _ in 0..<3 { scene.fail(.jobs) }
        #expect(scene.board.alerts.map(\.rule) == ["R17"])
        #expect(scene.board.health == .live)
        #expect(scene.board.faults.map(\.reply) == ["squeue"])
    }

    @Test func whatJobsSaidIsKeptWhileSqueueFails() {
        var scene = Scene()
        let job = Scene.job(7, "STAGE_OUT", .stagingOut, reason: "burst_buffer/lua: slurm_bb_data_out: x")
        scene.poll([Scene.buffer(7)], [job])
        scene.fail(.jobs)
        scene.burst([Scene.buffer(7)])
        #expect(scene.alert("R4") != nil)
        scene.burst([])
        #expect(scene.alert("R4") == nil)
    }

    @Test func alertsBeyondTheLimitOfARuleAreCounted() {
        var scene = Scene(plugin: "datawarp")
        let many = Watch.alertsPerRuleMax + 20
        scene.burst((1...many).map { Scene.buffer(UInt32($0), .teardownFail) })
        #expect(scene.alerts("R1").count == Watch.alertsPerRuleMax + 1)
        #expect(scene.alerts("R1").contains { $0.title == "and 20 more" })
        #expect(scene.board.bufferRows.allSatisfy { $0.severity == .crit })
    }

    @Test func alertsAreSortedUnacknowledgedThenWorstThenNewest() throws {
        var thresholds = RuleThresholds()
        thresholds.disabled = ["R15"]
        var scene = Scene(plugin: "datawarp", thresholds: thresholds)
        scene.pools = [Scene.pool(plugin: "datawarp", drained: 10)]
        scene.burst([])
        scene.burst([Scene.buffer(7, .teardownFail)])
        scene.burst([Scene.buffer(7, .teardownFail), Scene.buffer(8, .teardownFail)])
        #expect(scene.board.alerts.map(\.subject.short) == ["8", "7", "nvme"])
        scene.watch.acknowledge(scene.board.alerts[0].id, at: scene.now)
        #expect(scene.board.alerts.map(\.subject.short) == ["7", "nvme", "8"])
        #expect(scene.board.criticalCount == 1 && scene.board.warningCount == 1)
    }
}
