import BurstModel
import BurstStager
import BurstTestSupport
import Testing

/// What each verb finds and answers (staging.md §1.2, §1.10, §4.6).
@Suite struct VerbTests {
    @Test func aLife() throws {
        let scene = Scene()
        #expect(scene.ask(Scene.setup("83", gibibytes: 10, inLines: 1, outLines: 1)) == .done)
        let session = try #require(scene.stager.current("83"))
        #expect(session.key == SessionKey(token: "83", generation: 1))
        #expect(session.creator == .slurm)
        #expect(scene.free == 85)
        #expect(scene.ask(.dataIn(token: "83")) == .done)
        let size = try #require(scene.ask(.realSize(token: "83")))
        #expect(size.text == #"{"capacity": 10737418240, "units": "bytes"}"#)
        let paths = try #require(scene.ask(.paths(token: "83")))
        #expect(paths.lines == ["DW_JOB_STRIPED=/var/lib/burst/mnt/83_striped_scratch/"])
        #expect(scene.ask(.preRun(token: "83", nodes: ["node1", "node2"])) == .done)
        #expect(scene.world.mounted == [session.id])
        #expect(scene.stager.current("83")?.activations.map(\.mount) == ["83_striped_scratch"])
        #expect(scene.ask(.postRun(token: "83")) == .done)
        #expect(scene.world.mounted.isEmpty)
        #expect(scene.ask(.dataOut(token: "83")) == .done)
        #expect(scene.stager.current("83")?.isSaved == true)
        #expect(scene.ask(.teardown(token: "83", hurry: false)) == .done)
        scene.world.run(seconds: 5)
        #expect(scene.world.folders.isEmpty)
        #expect(scene.free == 95)
        #expect(scene.stager.sessions.isEmpty && scene.stager.quarantine.isEmpty)
    }

    /// R3: a verb that comes twice changes nothing the second time, and says so benignly.
    @Test(arguments: [
        ("ready", Scene.setup("7", inLines: 1, outLines: 1)), ("staged-in", Scene.setup("7", inLines: 1, outLines: 1)),
        ("running", Scene.setup("7", inLines: 1, outLines: 1)),
        ("staged-in", .dataIn(token: "7")), ("running", .dataIn(token: "7")),
        ("running", .preRun(token: "7", nodes: ["node1"])), ("running", .preRun(token: "7", nodes: [])),
        ("post-run-done", .postRun(token: "7")), ("staged-out", .postRun(token: "7")),
        ("staged-out", .dataOut(token: "7")), ("running", .paths(token: "7")), ("staged-in", .realSize(token: "7")),
    ])
    func aRepeatedVerbIsBenign(phase: String, verb: StagerVerb) throws {
        let scene = Scene()
        scene.bring("7", to: phase)
        let before = try #require(scene.stager.current("7"))
        #expect(before.phaseName == phase)
        let started = scene.workersStarted
        #expect(scene.ask(verb)?.status == 0)
        #expect(scene.stager.current("7") == before)
        #expect(scene.workersStarted == started)
    }

    @Test func dataInAskedAgainAttachesToTheCopyUnderWay() throws {
        let scene = Scene()
        scene.world.workerPlan = { _ in StagerWorld.WorkerPlan(milliseconds: 10_000) }
        scene.bring("7", to: "ready")
        let first = scene.start(.dataIn(token: "7"))
        scene.world.run(seconds: 3)
        let second = scene.start(.dataIn(token: "7"))
        #expect(scene.answer(first) == nil && scene.answer(second) == nil)
        scene.world.run(seconds: 8)
        #expect(scene.answer(first) == .done)
        #expect(scene.answer(second) == .done)
        #expect(scene.workersStarted == 1)
    }

    @Test func aKilledClientCostsNothing() throws {
        let scene = Scene()
        scene.world.workerPlan = { _ in StagerWorld.WorkerPlan(milliseconds: 10_000) }
        scene.bring("7", to: "ready")
        let request = scene.start(.dataIn(token: "7"))
        scene.world.run(seconds: 1)
        scene.world.hangUp(request)
        scene.world.run(seconds: 10)
        #expect(scene.phase("7") == "staged-in")
        #expect(scene.answer(request) == nil)
        #expect(scene.ask(.dataIn(token: "7")) == .done)
        #expect(scene.workersStarted == 1)
    }

    @Test func dataInOfAnUnknownTokenIsNoSuccess() throws {
        let answer = try #require(Scene().ask(.dataIn(token: "7")))
        #expect(answer.status != 0)
        // Slurm would start the job without its data.
        #expect(!answer.text.contains("No matching session"))
    }

    @Test(arguments: [true, false]) func teardownOfAnUnknownTokenSaysSo(hurry: Bool) {
        let scene = Scene()
        #expect(scene.ask(.teardown(token: "7", hurry: hurry)) == .tokenNotFound)
        #expect(scene.ask(.teardown(token: "../x y", hurry: hurry)) == .tokenNotFound)
    }

    /// scancel --hurry during stage-out (staging.md §1.10).
    @Test func hurryStopsTheCopyOutAndItsClientIsToldThatThereIsNoSession() throws {
        let scene = Scene()
        scene.bring("7", to: "post-run-done")
        scene.world.workerPlan = { _ in StagerWorld.WorkerPlan(milliseconds: 3_600_000) }
        let out = scene.start(.dataOut(token: "7"))
        scene.world.run(seconds: 5)
        #expect(scene.world.running.count == 1)
        let teardown = scene.start(.teardown(token: "7", hurry: true))
        #expect(scene.answer(out) == .noMatchingSession)
        scene.world.run(seconds: 2)
        #expect(scene.world.running.isEmpty)
        #expect(scene.answer(teardown) == .done)
        // The chain goes on.
        #expect(scene.ask(.postRun(token: "7")) == .done)
        #expect(scene.ask(.dataOut(token: "7")) == .noMatchingSession)
        #expect(scene.ask(.teardown(token: "7", hurry: false)) == .tokenNotFound)
        scene.world.run(seconds: 10)
        #expect(scene.workersStarted == 2)
        #expect(scene.free == 95)
    }

    /// Slurm asks again without the word after a restart (staging.md §1.10).
    @Test func hurryIsRememberedWhateverComesAfter() throws {
        let scene = Scene()
        scene.world.plan = { _ in StagerWorld.Plan(milliseconds: 5000) }
        scene.bring("7", to: "running")
        _ = scene.start(.teardown(token: "7", hurry: true))
        scene.world.restart()
        #expect(scene.ask(.teardown(token: "7", hurry: false)) == .done)
        scene.world.run(seconds: 60)
        #expect(scene.workersStarted == 1)
        #expect(scene.world.folders.isEmpty)
    }

    @Test func resultsAreSavedThoughSlurmTearsDown() throws {
        let scene = Scene()
        scene.bring("7", to: "running")
        scene.world.workerPlan = { _ in StagerWorld.WorkerPlan(milliseconds: 30_000) }
        #expect(scene.ask(.teardown(token: "7", hurry: false), seconds: 1) == .done)
        #expect(scene.phase("7") == nil)
        #expect(scene.free == 85)
        // The token may come back meanwhile.
        #expect(scene.ask(Scene.setup("7", inLines: 1, outLines: 1)) == .done)
        #expect(scene.stager.current("7")?.key.generation == 2)
        scene.world.run(seconds: 60)
        #expect(scene.world.copied.contains { $0.direction == .stageOut })
        #expect(scene.world.folders.count == 1)
        #expect(scene.free == 85)
    }

    @Test func resultsThatCannotBeSavedWaitForAnOperator() throws {
        let scene = Scene()
        scene.bring("7", to: "running")
        scene.world.workerPlan = { _ in
            StagerWorld.WorkerPlan(milliseconds: 100, end: .failed("EACCES", isTransient: false))
        }
        #expect(scene.ask(.teardown(token: "7", hurry: false)) == .done)
        scene.world.run(seconds: 4000)
        #expect(scene.stager.sessions.values.map(\.phaseName) == ["save-failed"])
        #expect(scene.world.folders.count == 1)
        // Slurm's repetition neither fails nor removes.
        #expect(scene.ask(.teardown(token: "7", hurry: false)) == .done)
        #expect(scene.world.folders.count == 1)
        scene.world.workerPlan = { _ in StagerWorld.WorkerPlan() }
        let owner = StagerCaller(uid: 1001, isOperator: false)
        #expect(scene.ask(.retry(token: "7"), by: StagerCaller(uid: 1002, isOperator: false))?.status == 1)
        #expect(scene.ask(.retry(token: "7"), by: owner) == .done)
        scene.world.run(seconds: 10)
        #expect(scene.world.folders.isEmpty)
    }

    @Test func aFailedStageOutKeepsTheBufferAndGoesOnWhenAskedAgain() throws {
        let scene = Scene()
        scene.bring("7", to: "post-run-done")
        scene.world.workerPlan = { _ in
            StagerWorld.WorkerPlan(milliseconds: 100, end: .failed("stage_out file 3 of 7: EDQUOT", isTransient: false))
        }
        let answer = try #require(scene.ask(.dataOut(token: "7")))
        #expect(answer == StagerAnswer(status: 1, text: "stage_out file 3 of 7: EDQUOT"))
        #expect(scene.phase("7") == "stage-out-failed")
        scene.world.workerPlan = { _ in StagerWorld.WorkerPlan() }
        #expect(scene.ask(.postRun(token: "7")) == .done)
        #expect(scene.ask(.dataOut(token: "7")) == .done)
        let orders = scene.effects.compactMap { if case .startWorker(let order) = $0 { order } else { nil } }
        #expect(orders.map(\.attempt) == [1, 1, 2])
    }

    @Test func aPassingFailureIsTriedAgainByItself() throws {
        let scene = Scene()
        scene.bring("7", to: "ready")
        var left = 3
        scene.world.workerPlan = { _ in
            left -= 1
            let end: StagerWorld.WorkerPlan.End = left >= 0 ? .failed("ESTALE", isTransient: true) : .complete
            return StagerWorld.WorkerPlan(milliseconds: 100, end: end)
        }
        #expect(scene.ask(.dataIn(token: "7")) == .done)
        #expect(scene.workersStarted == 4)
        // One that does not pass ends it.
        let other = Scene()
        other.bring("8", to: "ready")
        other.world.workerPlan = { _ in StagerWorld.WorkerPlan(end: .failed("ESTALE", isTransient: true)) }
        #expect(other.ask(.dataIn(token: "8"), seconds: 300) == StagerAnswer(status: 1, text: "ESTALE"))
        #expect(other.workersStarted == StagerLimits.workerAttemptsMax)
    }

    @Test func stagingHasALimitOfOurOwn() throws {
        var settings = StagerSettings()
        settings.stageInLimit = 30
        let scene = Scene(settings: settings)
        scene.world.workerPlan = { _ in StagerWorld.WorkerPlan(milliseconds: 3_600_000) }
        scene.bring("7", to: "ready")
        let started = scene.world.now
        let answer = try #require(scene.ask(.dataIn(token: "7"), seconds: 60))
        #expect(answer.text == "stage_in: not over after 30 s; session 1")
        #expect((30...31).contains(scene.world.now.seconds(since: started)))
        scene.world.run(seconds: 2)
        #expect(scene.world.running.isEmpty)
        #expect(scene.phase("7") == "stage-in-failed")
    }

    /// Slurm's own is 83 hours (staging.md §0, fact 5).
    @Test func preRunHasALimitOfOurOwn() throws {
        let scene = Scene()
        scene.bring("7", to: "staged-in")
        scene.world.plan = { effect in
            if case .activate = effect { StagerWorld.Plan(milliseconds: 3_600_000) } else { StagerWorld.Plan() }
        }
        let started = scene.world.now
        let answer = try #require(scene.ask(.preRun(token: "7", nodes: ["node1"]), seconds: 300))
        #expect(answer.status == 1)
        #expect(scene.world.now.seconds(since: started) == 240)
        #expect(scene.ask(.teardown(token: "7", hurry: true), seconds: 100)?.status == 0)
    }

    @Test func theSameTokenAfterATeardownIsTheNextGeneration() throws {
        let scene = Scene()
        var ids: Set<UInt64> = []
        for generation in 1...4 {
            #expect(scene.ask(Scene.setup("7")) == .done)
            let session = try #require(scene.stager.current("7"))
            #expect(session.key.generation == UInt64(generation))
            ids.insert(session.id.number)
            ids.formUnion(session.instances.map(\.id))
            #expect(scene.ask(.teardown(token: "7", hurry: true)) == .done)
            if generation == 2 { scene.world.restart() }
        }
        #expect(ids.count == 8)
    }

    /// Who comes late is told so for a month; then the token is forgotten, and its generations are not used again.
    @Test func aGenerationIsNeverUsedTwiceThoughTheTokenIsForgotten() throws {
        let scene = Scene()
        for _ in 1...3 {
            #expect(scene.ask(Scene.setup("7")) == .done)
            #expect(scene.ask(.teardown(token: "7", hurry: true)) == .done)
        }
        #expect(scene.ask(.dataOut(token: "7")) == .noMatchingSession)
        scene.world.run(seconds: StagerLimits.tombstoneSeconds + 1)
        #expect(scene.ask(Scene.setup("8")) == .done)
        #expect(scene.stager.current("8")?.key.generation == 1)
        #expect(scene.ask(.teardown(token: "8", hurry: true)) == .done)
        // Nothing is known of it any more: no success.
        #expect(scene.ask(.dataOut(token: "7"))?.text == "token 7 has no session")
        scene.world.restart()
        #expect(scene.ask(Scene.setup("7")) == .done)
        #expect(scene.stager.current("7")?.key.generation == 4)
        #expect(scene.stager.tombstones.count == 1)
    }

    @Test func anotherSetupOfALivingTokenIsRefused() throws {
        let scene = Scene()
        #expect(scene.ask(Scene.setup("7", gibibytes: 10)) == .done)
        #expect(scene.ask(Scene.setup("7", gibibytes: 11))?.status == 1)
        #expect(scene.ask(Scene.setup("7", gibibytes: 10, owner: Scene.bob))?.status == 1)
        #expect(scene.ask(Scene.setup("7", gibibytes: 10)) == .done)
        #expect(scene.free == 85)
    }

    @Test func dataInWhoseSessionIsTornDownIsNoSuccess() throws {
        let scene = Scene()
        scene.bring("7", to: "ready")
        scene.world.workerPlan = { _ in StagerWorld.WorkerPlan(milliseconds: 60_000) }
        let request = scene.start(.dataIn(token: "7"))
        scene.world.run(seconds: 1)
        #expect(scene.ask(.teardown(token: "7", hurry: true)) == .done)
        let answer = try #require(scene.answer(request))
        #expect(answer.status == 1 && !answer.text.contains("No matching session"))
    }

    @Test(arguments: [
        "token not found", "No matching session", "invalid function: x", "job_file_valid True", "don't\npanic",
        String(repeating: "é", count: 300),
    ])
    func whatWorkersSayIsNeverMistaken(text: String) throws {
        let scene = Scene()
        scene.bring("7", to: "post-run-done")
        scene.world.workerPlan = { _ in StagerWorld.WorkerPlan(end: .failed("a: \(text)", isTransient: false)) }
        let answer = try #require(scene.ask(.dataOut(token: "7")))
        #expect(answer.status == 1)
        for word in ["token not found", "No matching session", "invalid function", "'", "\n"] {
            #expect(!answer.text.contains(word))
        }
        #expect(answer.text.utf8.count <= StagerText.bytesMax)
        #expect(!StagerText.failure(text).hasPrefix("job_file_valid"))
    }

    @Test func onlyOperatorsRunALife() {
        let scene = Scene()
        scene.bring("7", to: "running")
        let alice = StagerCaller(uid: 1001, isOperator: false)
        let verbs: [StagerVerb] = [
            Scene.setup("8"), .dataIn(token: "7"), .realSize(token: "7"), .paths(token: "7"),
            .preRun(token: "7", nodes: []), .postRun(token: "7"), .dataOut(token: "7"),
            .teardown(token: "7", hurry: true), Scene.create("mine"),
            .throttle(token: "7", Throttle(bytesPerSecond: 0, filesPerSecond: nil)),
        ]
        for verb in verbs { #expect(scene.ask(verb, by: alice)?.text == "permission denied") }
        #expect(scene.phase("7") == "running")
    }

    /// The only place that can say no (staging.md §0, fact 8).
    @Test func jobProcessRefusesWhatCanNeverBe() {
        let scene = Scene()
        func check(_ pool: String, _ gibibytes: UInt64) -> StagerAnswer? {
            let space = [SpaceRequest(pool: pool, bytes: gibibytes << 30)]
            return scene.ask(.jobProcess(.accepted(space: space, persistent: [], owner: Scene.alice)))
        }
        #expect(check("nvme", 95) == .done)
        #expect(check("nvme", 96)?.text == "pool nvme has 95GiB in all, 96GiB are wanted")
        #expect(check("gold", 1)?.text == "pool gold is not known; known are: nvme")
        #expect(scene.ask(.jobProcess(.refused("line 3: capacity 3.5TB")))?.text == "line 3: capacity 3.5TB")
    }

    @Test func ordersBeyondAllMeasureAreRefused() {
        let scene = Scene()
        func ask(_ change: (inout SetupOrder) -> Void) -> Int32? {
            let space = SpaceRequest(pool: "nvme", bytes: 1)
            var order = SetupOrder(token: "7", owner: Scene.alice, space: [space])
            change(&order)
            return scene.ask(.setup(order))?.status
        }
        #expect(ask { $0.token = "7'" } == 1)
        #expect(ask { $0.space[0].access = [] } == 1)
        #expect(ask { $0.space[0].access = [.striped, .striped] } == 1)
        #expect(ask { $0.space = Array(repeating: $0.space[0], count: StagerLimits.spacePerJobMax + 1) } == 1)
        #expect(ask { $0.plan.text = String(repeating: " ", count: StagerLimits.planBytesMax + 1) } == 1)
        let names = (0...StagerLimits.persistentPerJobMax).map { "b\($0)" }
        #expect(ask { $0.persistent = names } == 1)
        #expect(scene.stager.sessions.isEmpty)
        let nodes = Array(repeating: "n", count: StagerLimits.nodesMax + 1)
        #expect(ask { _ in } == 0)
        #expect(scene.ask(.preRun(token: "7", nodes: nodes))?.status == 1)
        #expect(scene.ask(.preRun(token: "7", nodes: ["a'b"]))?.status == 1)
    }

    /// What comes late, or for nobody, is ignored.
    @Test func answersThatNobodyWaitsForChangeNothing() {
        let scene = Scene()
        scene.bring("7", to: "running")
        let before = scene.stager.sessions.sorted
        for number in 0..<(scene.world.disk.nextID + 10) {
            let operation = OperationID(number)
            scene.world.send(.allocated(operation, failure: "EIO"))
            scene.world.send(.activated(operation, failure: "EIO"))
            scene.world.send(.deactivated(operation, trouble: "EIO"))
            scene.world.send(.quarantined(operation, failure: nil))
            scene.world.send(.removed(operation, failure: nil))
            scene.world.send(.workerProgress(WorkerID(number), ProgressReport()))
            scene.world.send(.workerEnded(WorkerID(number), .complete(ProgressReport())))
            scene.world.send(.clientGone(StagerRequest(number)))
        }
        scene.world.send(.poolState("nowhere", .unavailable("")))
        scene.world.send(.contentsLost(pool: "nowhere", why: ""))
        scene.world.send(.tick)
        #expect(scene.stager.sessions.sorted == before)
    }

    /// Only `step` lets time pass: what falls due meanwhile is for the next one.
    @Test func whoeverAsksInPassingTakesNothingAway() throws {
        let scene = Scene()
        scene.bring("7", to: "ready")
        scene.world.workerPlan = { _ in StagerWorld.WorkerPlan(milliseconds: 60_000) }
        _ = scene.start(.dataIn(token: "7"))
        var stager = scene.stager
        let now = scene.world.now
        let worker = try #require(stager.current("7")?.worker)
        _ = stager.step(.workerEnded(worker, .failed("signal 9", isTransient: true)), at: now)
        let later = now.adding(seconds: 5)
        #expect(stager.paths("7").lines.count == 1)
        #expect(stager.paths("8").status == 1)
        stager.forgetClient(StagerRequest(4711))
        let step = stager.step(.tick, at: later)
        let started = step.effects.contains { if case .startWorker = $0 { true } else { false } }
        #expect(started && !step.records.isEmpty)
    }

    @Test func aThrottleReachesTheWorkerAndTheNextOne() throws {
        let scene = Scene()
        scene.bring("7", to: "ready")
        scene.world.workerPlan = { _ in StagerWorld.WorkerPlan(milliseconds: 10_000) }
        let request = scene.start(.dataIn(token: "7"))
        let pause = Throttle(bytesPerSecond: 0, filesPerSecond: nil)
        #expect(scene.ask(.throttle(token: "7", pause)) == .done)
        let worker = try #require(scene.world.running.keys.first)
        #expect(scene.effects.contains(.throttle(worker, pause)))
        #expect(scene.stager.current("7")?.progress?.etaSeconds == nil)
        scene.world.run(seconds: 11)
        #expect(scene.answer(request) == .done)
        scene.bring("7", to: "post-run-done")
        _ = scene.start(.dataOut(token: "7"))
        let last = scene.effects.compactMap { if case .startWorker(let order) = $0 { order } else { nil } }.last
        #expect(last?.throttle == pause)
    }
}
