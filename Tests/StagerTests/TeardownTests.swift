import BurstModel
import BurstStager
import BurstTestSupport
import Testing

/// A teardown does not fail, and nothing is counted free before it is (staging.md §0, fact 4; L2).
@Suite struct TeardownTests {
    @Test func spaceIsFreeOnlyWhenItIsRemoved() {
        let scene = Scene()
        scene.bring("7", to: "staged-in")
        scene.world.plan = { effect in
            if case .remove = effect { StagerWorld.Plan(milliseconds: 30_000) } else { StagerWorld.Plan() }
        }
        #expect(scene.ask(.teardown(token: "7", hurry: true), seconds: 2) == .done)
        #expect(scene.free == 85)
        #expect(scene.snapshot.pools[0].use.quarantined == 10)
        #expect(scene.stager.sessions.isEmpty)
        scene.world.run(seconds: 29)
        #expect(scene.free == 85)
        scene.world.run(seconds: 2)
        #expect(scene.free == 95)
    }

    /// Slurm counts the space free when the teardown is answered, and sends the next setup.
    @Test func setupWaitsForSpaceThatIsOnItsWayBack() throws {
        let scene = Scene()
        #expect(scene.ask(Scene.setup("7", gibibytes: 90)) == .done)
        scene.world.plan = { effect in
            if case .remove = effect { StagerWorld.Plan(milliseconds: 30_000) } else { StagerWorld.Plan() }
        }
        #expect(scene.ask(.teardown(token: "7", hurry: true), seconds: 2) == .done)
        let request = scene.start(Scene.setup("8", gibibytes: 50))
        scene.world.run(seconds: 20)
        #expect(scene.answer(request) == nil)
        #expect(scene.phase("8") == "waiting-for-space")
        scene.world.run(seconds: 15)
        #expect(scene.answer(request) == .done)
        // Nothing is coming back for this one.
        let answer = try #require(scene.ask(Scene.setup("9", gibibytes: 60), seconds: 1))
        #expect(answer.text == "pool nvme: 60GiB are wanted, 45GiB are free")
        #expect(scene.phase("9") == nil)
    }

    @Test func waitingForSpaceEnds() throws {
        let scene = Scene()
        #expect(scene.ask(Scene.setup("7", gibibytes: 90)) == .done)
        scene.world.plan = { effect in
            if case .remove = effect { StagerWorld.Plan(failure: "EIO") } else { StagerWorld.Plan() }
        }
        #expect(scene.ask(.teardown(token: "7", hurry: true)) == .done)
        let answer = try #require(scene.ask(Scene.setup("8", gibibytes: 50), seconds: 300))
        #expect(answer.text == "pool nvme: 50GiB are wanted, 5GiB are free after 280 s")
        #expect(scene.phase("8") == nil)
        // The removal is tried until it works.
        scene.world.plan = { _ in StagerWorld.Plan() }
        scene.world.run(seconds: 1200)
        #expect(scene.free == 95)
    }

    @Test(arguments: ["deactivate", "quarantine", "both"])
    func whateverIsInTheWayATeardownSucceeds(what: String) {
        let scene = Scene()
        scene.bring("7", to: "running")
        scene.world.plan = { effect in
            switch effect {
            case .deactivate where what != "quarantine", .quarantine where what != "deactivate":
                StagerWorld.Plan(failure: "EBUSY (the device or resource is busy)")
            default: StagerWorld.Plan()
            }
        }
        #expect(scene.ask(.teardown(token: "7", hurry: true)) == .done)
        #expect(scene.phase("7") == nil)
        #expect(scene.ask(.teardown(token: "7", hurry: false), seconds: 5)?.status != nil)
        // The next life is not disturbed by what is left of the last.
        #expect(scene.ask(Scene.setup("7")) == .done)
        scene.world.plan = { _ in StagerWorld.Plan() }
        scene.world.run(seconds: 100)
        #expect(scene.world.folders.count == 1)
        #expect(scene.free == 85)
    }

    @Test(arguments: ["deactivate", "quarantine"])
    func whateverHangsATeardownIsAnsweredWithinAMinute(what: String) {
        let scene = Scene()
        scene.bring("7", to: "running")
        scene.world.plan = { effect in
            switch effect {
            case .deactivate where what == "deactivate", .quarantine where what == "quarantine":
                StagerWorld.Plan(milliseconds: 1_000_000)
            default: StagerWorld.Plan()
            }
        }
        #expect(scene.ask(.teardown(token: "7", hurry: true), seconds: 61) == .done)
    }

    @Test func aWorkerThatDoesNotEndDelaysOnlyTheRemoval() {
        let scene = Scene()
        scene.bring("7", to: "ready")
        scene.world.workerPlan = { _ in
            StagerWorld.WorkerPlan(milliseconds: 3_600_000, hangsMilliseconds: 60_000)
        }
        _ = scene.start(.dataIn(token: "7"))
        scene.world.run(seconds: 1)
        #expect(scene.ask(.teardown(token: "7", hurry: true), seconds: 10) == .done)
        scene.world.run(seconds: 30)
        #expect(scene.world.folders.count == 1)
        scene.world.restart()
        scene.world.run(seconds: 10)
        #expect(scene.world.folders.count == 1)
        scene.world.run(seconds: 60)
        #expect(scene.world.folders.isEmpty)
    }

    /// F5: jobs whose teardown fails start less than one client a second, all together.
    @Test(arguments: [1, 2, 5, 20]) func failingTeardownsAreAnsweredSlowly(jobs: Int) {
        let scene = Scene()
        let stranger = StagerCaller(uid: 4242, isOperator: false)
        let started = scene.world.now
        var starts = 0
        var open = (0..<jobs).map { index in
            starts += 1
            return (index, scene.world.call(.teardown(token: "\(index)", hurry: false), by: stranger))
        }
        // As Slurm does where two fail in turn: again at once, without a pause.
        while scene.world.now.seconds(since: started) < 120 {
            scene.world.run(until: scene.world.now.adding(milliseconds: 100))
            for place in open.indices where scene.answer(open[place].1) != nil {
                #expect(scene.answer(open[place].1)?.status == 1)
                starts += 1
                let token = "\(open[place].0)"
                open[place].1 = scene.world.call(.teardown(token: token, hurry: false), by: stranger)
            }
        }
        #expect(starts < 120)
    }

    @Test func aTeardownWhileSetupIsUnderWayLeavesNothing() {
        let scene = Scene()
        scene.world.plan = { _ in StagerWorld.Plan(milliseconds: 3000) }
        let setup = scene.start(Scene.setup("7"))
        scene.world.run(seconds: 1)
        #expect(scene.ask(.teardown(token: "7", hurry: true)) == .done)
        #expect(scene.answer(setup)?.status == 1)
        scene.world.run(seconds: 20)
        #expect(scene.world.folders.isEmpty)
        #expect(scene.free == 95)
    }

    @Test func aFailedSetupLeavesNothing() throws {
        let scene = Scene()
        scene.world.plan = { effect in
            if case .allocate = effect { StagerWorld.Plan(failure: "mkfs: ENOSPC") } else { StagerWorld.Plan() }
        }
        #expect(scene.ask(Scene.setup("7")) == StagerAnswer(status: 1, text: "mkfs: ENOSPC"))
        scene.world.run(seconds: 5)
        #expect(scene.world.folders.isEmpty)
        #expect(scene.free == 95)
        #expect(scene.ask(.realSize(token: "7"))?.status == 1)
        #expect(scene.ask(.teardown(token: "7", hurry: true)) == .tokenNotFound)
    }
}
