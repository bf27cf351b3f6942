import BurstEngine
import BurstModel
import BurstTestSupport
import Testing

/// One job's life, as the guide's last section and spec §7 tell it.
@Suite struct LifeCycleTests {
    static let pools = [
        ReportedPool(name: "nvme", quantity: 10240, granularity: 1 << 30),
        ReportedPool(name: "pool2", quantity: 5, granularity: 2),
    ]

    static func world(_ change: (inout EngineSettings) -> Void = { _ in }) -> EngineWorld {
        var settings = EngineSettings()
        settings.cpus = 4
        settings.stateFolder = "/state"
        settings.plugin?.pollInterval = 2
        change(&settings)
        let world = EngineWorld(settings: settings)
        world.hook = { answer($0) }
        world.send(.started)
        world.run(seconds: 1)
        return world
    }

    static func answer(_ call: HookCall, _ failing: [HookFunction: HookAnswer.End] = [:]) -> EngineWorld.HookPlan {
        if call.function == .pools {
            return EngineWorld.HookPlan(end: .success(message: "{}"), pools: pools)
        }
        return EngineWorld.HookPlan(end: failing[call.function] ?? .success(message: nil))
    }

    static func order(_ directives: String = "#BB_LUA pool=nvme capacity=4GB", user: UInt32 = 1001) -> SubmitOrder {
        SubmitOrder(
            script: "#!/bin/bash\n\(directives)\nsleep 1\n", name: "job", workDir: "/home", uid: user, gid: user,
            userName: "u\(user)")
    }

    static let root = Caller(uid: 0, gid: 0, userName: "root", isOperator: true)
    static let alice = Caller(uid: 1001, gid: 1001, userName: "u1001", isOperator: false)

    private func states(_ world: EngineWorld, _ job: UInt32 = 1) -> [String] {
        var states: [String] = []
        for change in world.changes where change.jobID == job {
            if let state = change.bufferState, states.last != state { states.append(state) }
        }
        return states
    }

    private func functions(_ world: EngineWorld) -> [HookFunction] {
        world.calls.map(\.function).filter { $0 != .pools }
    }

    @Test func aJobGoesThroughAllStagesInOrder() throws {
        let world = Self.world()
        let request = world.submit(Self.order())
        world.settle()
        #expect(world.replies[request] == .submitted(1, notes: []))
        #expect(
            functions(world) == [
                .jobProcess, .setup, .dataIn, .testDataIn, .realSize, .paths, .preRun, .postRun, .dataOut, .testDataOut,
                .jobTeardown,
            ])
        #expect(
            states(world) == [
                "pending", "staging-in", "staged-in", "pre-run", "running", "post-run", "staging-out", "teardown",
                "complete",
            ])
        let job = try #require(world.engine.jobs[1])
        #expect(job.state == .completed)
        #expect(world.engine.pools[0].used == 0)
    }

    @Test func aSubmissionThatComesBeforeThePoolsWaitsForThem() throws {
        var settings = EngineSettings()
        settings.cpus = 1
        let world = EngineWorld(settings: settings)
        world.hook = { Self.answer($0) }
        world.send(.started)
        let request = world.submit(Self.order())
        #expect(world.replies[request] == nil)
        world.run(seconds: 1)
        #expect(world.replies[request] == .submitted(1, notes: []))
    }

    @Test func argumentsAreThoseOf2605() {
        let world = Self.world()
        world.submit(Self.order())
        world.settle()
        let script = "/state/hash.1/job.1/script"
        let arguments = Dictionary(world.calls.map { ($0.function, $0.arguments) }) { first, _ in first }
        #expect(arguments[.jobProcess] == [script, "1001", "1001"])
        #expect(arguments[.setup] == ["1", "1001", "1001", "nvme", "4294967296", script])
        #expect(arguments[.dataIn] == ["1", script, "1001", "1001"])
        #expect(arguments[.realSize] == ["1", "1001", "1001"])
        #expect(arguments[.paths] == ["1", script, "/state/hash.1/job.1/path", "1001", "1001"])
        #expect(arguments[.jobTeardown] == ["1", script, "false", "1001", "1001"])
        #expect(world.calls.first { $0.function == .jobTeardown }?.jobInfo == nil)
        #expect(world.calls.first { $0.function == .setup }?.jobInfo?["burst_buffer_state"] == .text("staging-in"))
    }

    @Test func spaceIsTakenAtStageInAndGivenBackAfterTeardown() {
        let world = Self.world()
        world.submit(Self.order())
        world.run(seconds: 1)
        #expect(world.engine.pools[0].used == 4 << 30)
        world.settle()
        #expect(world.engine.pools[0].used == 0)
    }

    @Test func aFailedSetupHoldsTheJobAndKeepsItsBuffer() throws {
        let world = Self.world()
        world.hook = { Self.answer($0, [.setup: .failure(status: 1, message: "disk on fire")]) }
        world.submit(Self.order())
        world.run(seconds: 5)
        let job = try #require(world.engine.jobs[1])
        #expect(job.isHeld)
        #expect(job.shownReason == "burst_buffer/lua: JobHeldAdmin: slurm_bb_setup failed: disk on fire")
        #expect(job.systemComment?.hasSuffix(" burst_buffer/lua: slurm_bb_setup: disk on fire") == true)
        #expect(job.buffer?.created != nil)
        #expect(world.engine.pools[0].used == 4 << 30)
    }

    @Test func aReleasedFailureIsTornDownAndStagedAnew() throws {
        let world = Self.world()
        world.hook = { Self.answer($0, [.dataIn: .failure(status: 1, message: "no")]) }
        world.submit(Self.order())
        world.run(seconds: 2)
        world.hook = { Self.answer($0) }
        let refused = world.perform(.release(.job(1)), by: Self.alice)
        #expect(
            world.replies[refused]
                == .done([JobOutcome(jobID: 1, shownID: "1", refusal: Refusal(.accessDenied))]))
        world.perform(.release(.job(1)), by: Self.root)
        world.settle()
        #expect(world.engine.jobs[1]?.state == .completed)
        #expect(
            functions(world).prefix(6) == [.jobProcess, .setup, .dataIn, .jobTeardown, .setup, .dataIn])
    }

    @Test func teardownIsTriedThreeTimesTenSecondsApart() throws {
        let world = Self.world()
        world.hook = { Self.answer($0, [.jobTeardown: .failure(status: 1, message: "busy")]) }
        world.submit(Self.order())
        world.settle()
        #expect(functions(world).filter { $0 == .jobTeardown }.count == 3)
        let job = try #require(world.engine.jobs[1])
        #expect(job.buffer?.stage == .complete)
        #expect(job.shownReason == "burst_buffer/lua: teardown failed: busy")
        #expect(job.systemComment?.split(separator: "\n").count == 2)
        #expect(world.engine.pools[0].used == 0)
    }

    @Test(arguments: [false, true]) func aCancelledStageInIsKilledAndTornDown(hurry: Bool) throws {
        let world = Self.world()
        world.hook = { call in
            call.function == .dataIn ? EngineWorld.HookPlan(milliseconds: 60_000) : Self.answer(call)
        }
        world.submit(Self.order())
        world.run(seconds: 2)
        world.perform(.cancel(.job(1), hurry: hurry, signal: nil, batchOnly: false), by: Self.alice)
        #expect(world.engine.jobs[1]?.state == .cancelled)
        world.settle()
        #expect(functions(world) == [.jobProcess, .setup, .dataIn, .jobTeardown])
        #expect(world.calls.last { $0.function == .jobTeardown }?.arguments[2] == "true")
    }

    @Test func aHurriedCancelDuringStageOutTearsDownOnceAfterTheHookEnded() throws {
        let world = Self.world()
        world.hook = { call in
            call.function == .dataOut ? EngineWorld.HookPlan(milliseconds: 60_000) : Self.answer(call)
        }
        world.submit(Self.order())
        world.run(seconds: 4)
        let plain = world.perform(.cancel(.job(1), hurry: false, signal: nil, batchOnly: false), by: Self.alice)
        #expect(
            world.replies[plain] == .done([JobOutcome(jobID: 1, shownID: "1", refusal: Refusal(.alreadyDone))]))
        world.perform(.cancel(.job(1), hurry: true, signal: nil, batchOnly: false), by: Self.alice)
        world.settle()
        #expect(functions(world).filter { $0 == .jobTeardown }.count == 1)
        #expect(world.engine.jobs[1]?.state == .completed)
    }

    @Test func aFailedPreRunIsTriedAgainAndHeldAtTheFourthFailure() throws {
        let world = Self.world()
        world.hook = { Self.answer($0, [.preRun: .failure(status: 1, message: "no")]) }
        world.submit(Self.order())
        world.settle()
        #expect(functions(world).filter { $0 == .preRun }.count == 4)
        let job = try #require(world.engine.jobs[1])
        #expect(job.isHeld)
        #expect(job.shownReason == "burst_buffer/lua: JobHeldAdmin: slurm_bb_pre_run failed: no")
        #expect(job.buffer?.stage == .complete)
    }

    @Test func busyIsAskedAgainAfterThePollInterval() throws {
        let world = Self.world()
        var asked = 0
        world.hook = { call in
            guard call.function == .testDataIn else { return Self.answer(call) }
            asked += 1
            return EngineWorld.HookPlan(end: .success(message: asked < 4 ? "BUSY" : ""))
        }
        world.submit(Self.order())
        world.settle()
        #expect(asked == 4)
        #expect(world.engine.jobs[1]?.state == .completed)
    }

    @Test func busyForEverExceedsTheTimeLimit() throws {
        let world = Self.world { $0.plugin?.stageInTimeout = 6 }
        world.hook = { Self.answer($0, [.testDataIn: .success(message: "BUSY")]) }
        world.submit(Self.order())
        world.settle()
        #expect(
            world.engine.jobs[1]?.shownReason
                == "burst_buffer/lua: JobHeldAdmin: slurm_bb_test_data_in failed: Poll exceeded time limit")
    }

    @Test func aSmallJobOvertakesALargeOneThatWaitsForSpace() throws {
        let world = Self.world()
        world.script = { _ in (10_000, 0) }
        world.submit(Self.order("#BB_LUA pool=pool2 capacity=6"))
        world.submit(Self.order("#BB_LUA pool=pool2 capacity=6"))
        world.submit(Self.order("#BB_LUA pool=pool2 capacity=2"))
        world.run(seconds: 2)
        #expect(world.engine.jobs[2]?.shownReason == "BurstBufferResources")
        #expect(world.engine.jobs[2]?.buffer?.stage == .pending)
        #expect(world.engine.jobs[3]?.state == .running)
        world.settle()
        #expect(world.engine.jobs[2]?.state == .completed)
    }

    @Test(arguments: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20])
    func aCrashAtAnyStepLosesNothing(step: Int) throws {
        for point in [EngineWorld.CrashPoint.beforeRecords, .beforeEffects, .afterEffects(0), .afterEffects(1)] {
            let world = Self.world()
            world.submit(Self.order())
            var count = 0
            while count < step, world.engine.jobs[1]?.isSettled != true {
                world.run(until: world.now.adding(milliseconds: 9))
                count += 1
            }
            world.nextCrash = point
            world.settle()
            // Who was not answered may have to submit again; who was finds the job.
            if world.replies.isEmpty, world.engine.jobs[1] == nil { continue }
            let job = try #require(world.engine.jobs[1])
            #expect(job.state == .completed, "crash \(point) at step \(step)")
            #expect(world.engine.pools[0].used == 0)
        }
    }
}
