import BurstModel
import BurstStager
import BurstTestSupport
import Testing

/// The daemon, slurmctld and the machine are started again at the worst time.
@Suite struct RestartTests {
    /// Clients reconnect and say the same; the copy that runs is found again.
    @Test func aClientThatComesBackWaitsForTheSameWorker() throws {
        let scene = Scene()
        scene.bring("7", to: "ready")
        scene.world.workerPlan = { _ in StagerWorld.WorkerPlan(milliseconds: 20_000) }
        let first = scene.start(.dataIn(token: "7"))
        scene.world.run(seconds: 5)
        scene.world.restart()
        #expect(scene.world.running.count == 1)
        #expect(scene.ask(.dataIn(token: "7")) == .done)
        #expect(scene.workersStarted == 1)
        #expect(scene.answer(first) == nil)
    }

    @Test func aWorkerThatDiedWithUsIsFollowedByAnother() throws {
        let scene = Scene()
        scene.bring("7", to: "post-run-done")
        scene.world.workerPlan = { _ in StagerWorld.WorkerPlan(milliseconds: 20_000) }
        _ = scene.start(.dataOut(token: "7"))
        scene.world.run(seconds: 5)
        scene.world.reboot(losing: nil)
        #expect(scene.ask(.dataOut(token: "7")) == .done)
        let orders = scene.effects.compactMap { if case .startWorker(let order) = $0 { order } else { nil } }
        #expect(orders.map(\.attempt) == [1, 1, 2])
        #expect(scene.stager.current("7")?.progress?.restarts == 1)
    }

    /// Every phase that waits for something goes on, whether that was done or not when the daemon died.
    @Test(arguments: [true, false]) func everyStepSurvivesACrash(isDone: Bool) throws {
        let verbs: [StagerVerb] = [
            Scene.setup("7", inLines: 1, outLines: 1), .dataIn(token: "7"), .preRun(token: "7", nodes: ["node1"]),
            .postRun(token: "7"), .dataOut(token: "7"), .teardown(token: "7", hurry: false),
        ]
        let scene = Scene()
        scene.world.plan = { _ in StagerWorld.Plan(milliseconds: 400) }
        scene.world.isDoneAtCrash = { isDone }
        for verb in verbs {
            _ = scene.start(verb)
            scene.world.run(until: scene.world.now.adding(milliseconds: 100))
            scene.world.restart()
            let answer = try #require(scene.ask(verb))
            let isGone = answer == .tokenNotFound && verb.name == "teardown"
            #expect(answer.status == 0 || isGone, "\(verb.name): \(answer.text)")
        }
        scene.world.run(seconds: 10)
        #expect(scene.world.folders.isEmpty && scene.world.mounted.isEmpty && scene.world.running.isEmpty)
        #expect(scene.free == 95)
    }

    /// F8: whatever happens to the daemon, what Slurm knows is there when it asks again.
    @Test func sessionsOutliveTheDaemon() {
        let scene = Scene()
        for job in 1...20 { #expect(scene.ask(Scene.setup("\(job)", gibibytes: 1)) == .done) }
        _ = scene.ask(Scene.create("alpha", gibibytes: 1))
        let before = SlurmDocument.showSessions.bytes(scene.snapshot)
        for _ in 0..<3 { scene.world.restart() }
        #expect(SlurmDocument.showSessions.bytes(scene.snapshot) == before)
        // The first thing after a start is the list.
        let stager = Stager(settings: StagerSettings(), recovered: scene.world.disk.recovered)
        #expect(SlurmDocument.showSessions.bytes(stager.snapshot(at: scene.world.now)) == before)
    }

    /// R4: slurmctld was restarted while the job was staging in or staged in.
    @Test(arguments: ["ready", "staged-in"]) func slurmRestartsAStagingJob(phase: String) {
        let scene = Scene()
        scene.bring("7", to: phase)
        #expect(scene.ask(.teardown(token: "7", hurry: true)) == .done)
        scene.world.run(seconds: 60)
        scene.bring("7", to: "staged-out")
        #expect(scene.phase("7") == "staged-out")
        #expect(scene.stager.current("7")?.key.generation == 2)
    }

    /// R4: restarted in pre-run (paths and pre_run again), in post-run or staging-out (post_run and data_out again).
    @Test(arguments: ["running", "post-run-done", "staged-out"]) func slurmRestartsARunningJob(phase: String) {
        let scene = Scene()
        scene.bring("7", to: phase)
        if phase == "running" {
            #expect(scene.ask(.paths(token: "7"))?.status == 0)
            #expect(scene.ask(.preRun(token: "7", nodes: ["node1"])) == .done)
        }
        #expect(scene.ask(.postRun(token: "7")) == .done)
        #expect(scene.ask(.dataOut(token: "7")) == .done)
        #expect(scene.ask(.teardown(token: "7", hurry: false)) == .done)
        #expect(scene.ask(.teardown(token: "7", hurry: false)) == .tokenNotFound)
        scene.world.run(seconds: 5)
        #expect(scene.free == 95)
    }

    /// Nodes were taken away and given anew: the buffer stays, and pre_run names others.
    @Test func preRunWithOtherNodesMountsAgain() {
        let scene = Scene()
        scene.bring("7", to: "running")
        #expect(scene.ask(.preRun(token: "7", nodes: ["node2", "node3"])) == .done)
        #expect(scene.stager.current("7")?.nodes == ["node2", "node3"])
        let orders = scene.effects.compactMap { if case .activate(let order) = $0 { order } else { nil } }
        #expect(orders.map(\.nodes) == [["node1"], ["node2", "node3"]])
    }

    /// Lost sessions are listed until Slurm tears them down (staging.md §4.6).
    @Test func whatMemoryForgotIsSaidToBeLost() throws {
        let scene = Scene()
        scene.bring("7", to: "running")
        scene.world.reboot(losing: "nvme")
        #expect(scene.phase("7") == "lost")
        #expect(try #require(scene.ask(.dataOut(token: "7"))).text.hasPrefix("the data are lost: "))
        #expect(scene.ask(Scene.setup("7", inLines: 1, outLines: 1))?.status == 1)
        // There is nothing to save.
        #expect(scene.ask(.teardown(token: "7", hurry: false)) == .done)
        scene.world.run(seconds: 5)
        #expect(scene.workersStarted == 1)
        #expect(scene.free == 95)
    }

    @Test func aPoolThatIsAwayTakesNothingAndKeepsWhatItHas() throws {
        let scene = Scene()
        #expect(scene.ask(Scene.setup("7")) == .done)
        scene.world.send(.poolState("nvme", .unavailable("it is not mounted")))
        #expect(scene.ask(Scene.setup("8"))?.text == "pool nvme is not available: it is not mounted")
        #expect(scene.free == 0)
        #expect(scene.phase("7") == "ready")
        scene.world.send(.pools([]))
        #expect(scene.snapshot.pools.map(\.pool.id) == ["nvme"])
        scene.world.send(.pools([StagerPool(id: "nvme", granularity: Scene.gibibyte, quantity: 200)]))
        #expect(scene.free == 180)
    }

    @Test func otherGranulesCountWhatIsThereAnew() {
        let scene = Scene()
        #expect(scene.ask(Scene.setup("7", gibibytes: 10)) == .done)
        scene.world.send(.pools([StagerPool(id: "nvme", granularity: 4 * Scene.gibibyte, quantity: 25)]))
        #expect(scene.free == 20)
        #expect(scene.ask(.teardown(token: "7", hurry: true)) == .done)
        scene.world.run(seconds: 5)
        #expect(scene.free == 23)
    }
}
