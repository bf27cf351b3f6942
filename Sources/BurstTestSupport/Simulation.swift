import BurstEngine
import BurstModel

/// One life of an engine by chance: jobs, commands, failing and slow hooks, crashes, all from a seed, with checks after
/// every decision. The same seed is the same life.
package struct Simulation: Sendable {
    /// What broke a promise, with the seed that shows it; nil: nothing did.
    package let broken: String?
    package let decisions: Int
    package let crashes: Int

    private static let pools = [
        ReportedPool(name: "a", quantity: 20, granularity: 4), ReportedPool(name: "b", quantity: 9, granularity: 1),
    ]

    package init(seed: UInt64) {
        var chance = Chance(seed: seed)
        var settings = EngineSettings()
        settings.cpus = 3
        settings.minJobAgeSeconds = 200
        settings.plugin?.pollInterval = 1
        settings.plugin?.otherTimeout = 20
        settings.plugin?.stageInTimeout = 30
        settings.plugin?.stageOutTimeout = 30
        settings.plugin?.tearsDownAfterFailure = chance.isOneIn(2)
        let world = EngineWorld(settings: settings)
        // A part of the lives is calm, a part is rough.
        let failing = chance.below(4)
        let crashing = chance.below(3)
        var dice = Chance(seed: seed ^ 0x9E37_79B9_7F4A_7C15)
        world.hook = { Self.plan($0, failing: failing, &dice) }
        var runs = Chance(seed: seed &+ 77)
        world.script = { _ in (Int64(runs.below(40_000)), runs.isOneIn(4) ? 256 : 0) }
        var order = CallOrder()
        var wrong: String?
        var decisions = 0
        var lastCrashes = 0
        world.watch = { records, effects in
            decisions += 1
            if world.crashes != lastCrashes {
                lastCrashes = world.crashes
                order.restarted()
            }
            guard wrong == nil else { return }
            wrong = order.feed(records).first ?? Self.unrecorded(effects, records)
        }
        world.send(.started)
        for _ in 0..<(20 + chance.below(30)) {
            Self.act(world, &chance)
            if crashing > 0, chance.isOneIn(crashing == 1 ? 12 : 4) {
                world.nextCrash =
                    switch chance.below(3) {
                    case 0: .beforeRecords
                    case 1: .beforeEffects
                    default: .afterEffects(chance.below(3))
                    }
            }
            world.run(until: world.now.adding(milliseconds: Int64(chance.below(9000))))
            wrong = wrong ?? Self.faults(world)
            if wrong != nil { break }
        }
        if wrong == nil {
            // Everybody gets out in the end: hooks work again, what is held is released, what failed is hurried away.
            world.nextCrash = nil
            world.hook = { Self.plan($0, failing: 0, &dice) }
            world.settle(seconds: 2000)
            for id in world.engine.jobs.keys.sorted() {
                world.perform(.release(.job(id)), by: Self.root)
                world.perform(.cancel(.job(id), hurry: true, signal: nil, batchOnly: false), by: Self.root)
            }
            world.settle(seconds: 2000)
            wrong = Self.faults(world) ?? Self.leftovers(world)
        }
        broken = wrong.map { "seed \(seed): \($0)" }
        self.decisions = decisions
        crashes = world.crashes
    }

    private static let root = Caller(uid: 0, gid: 0, userName: "root", isOperator: true)

    private static func plan(_ call: HookCall, failing: Int, _ dice: inout Chance) -> EngineWorld.HookPlan {
        let milliseconds = dice.isOneIn(10) ? Int64(dice.below(60_000)) : Int64(dice.below(2000))
        if call.function == .pools {
            if failing > 0, dice.isOneIn(6) { return EngineWorld.HookPlan(end: .broken("no script")) }
            var reported = pools
            if failing > 1, dice.isOneIn(8) { reported.removeLast() }
            return EngineWorld.HookPlan(milliseconds: 3, end: .success(message: "{}"), pools: reported)
        }
        if failing > 0, dice.isOneIn(failing == 1 ? 12 : 4) {
            return EngineWorld.HookPlan(milliseconds: milliseconds, end: .failure(status: 1, message: "no"))
        }
        let message: String? =
            switch call.function {
            case .testDataIn, .testDataOut: dice.isOneIn(3) ? "BUSY" : ""
            case .realSize: dice.isOneIn(3) ? "\(dice.below(30))" : nil
            default: nil
            }
        return EngineWorld.HookPlan(milliseconds: milliseconds, end: .success(message: message))
    }

    private static func act(_ world: EngineWorld, _ chance: inout Chance) {
        let jobs = world.engine.jobs.keys.sorted()
        guard !jobs.isEmpty, !chance.isOneIn(3) else {
            let directives = [
                "#BB_LUA", "#BB_LUA pool=a capacity=\(1 + chance.below(30))",
                "#BB_LUA pool=b capacity=\(1 + chance.below(9))",
                "#BB_LUA pool=a capacity=5\n#BB_LUA pool=b capacity=2", "# plain",
            ]
            var order = SubmitOrder(
                script: "#!/bin/sh\n\(directives[chance.below(directives.count)])\n", name: "j", workDir: "/",
                uid: 1001,
                gid: 1001, userName: "alice")
            if chance.isOneIn(6) { order.timeLimitMinutes = 1 }
            if chance.isOneIn(8) { order.isHeld = true }
            if chance.isOneIn(8) { order.array = "1-\(1 + chance.below(5))%2" }
            if chance.isOneIn(8), let last = jobs.last { order.dependency = "afterany:\(last)" }
            world.submit(order)
            return
        }
        let job = JobSelector.job(jobs[chance.below(jobs.count)])
        let command: JobCommand =
            switch chance.below(9) {
            case 0: .cancel(job, hurry: false, signal: nil, batchOnly: false)
            case 1: .cancel(job, hurry: true, signal: nil, batchOnly: false)
            case 2: .hold(job, byUser: true)
            case 3, 4: .release(job)
            case 5: .requeue(job, hold: false)
            case 6: .requeue(job, hold: true)
            case 7: .suspend(job)
            default: .resume(job)
            }
        world.perform(command, by: root)
    }

    // MARK: Checks

    private static func faults(_ world: EngineWorld) -> String? {
        if let fault = EngineChecks.faults(in: world.engine).first { return fault }
        for pool in world.engine.pools where pool.isReported && pool.used > pool.total {
            return "pool \(pool.name) has \(pool.used) used of \(pool.total)"
        }
        // What the disk has is what the engine knows: record before effect.
        for (id, job) in world.engine.jobs where world.disk.jobs[id] != job { return "job \(id) is not as recorded" }
        if world.disk.jobs.count != world.engine.jobs.count { return "jobs are recorded that nobody knows" }
        let busy = world.engine.jobs.values.filter { $0.state == .running || $0.state == .suspended }
        if busy.reduce(0, { $0 + $1.cpus }) > world.settings.cpus { return "more jobs run than there are CPUs" }
        return nil
    }

    /// Nothing is done that was not written down in the same decision.
    private static func unrecorded(_ effects: [Effect], _ records: [BurstEngine.Record]) -> String? {
        for effect in effects {
            switch effect {
            case .call(let call):
                let isThere = records.contains {
                    if case .callStarted(let start) = $0 { start.id == call.id } else { false }
                }
                if !isThere { return "call \(call.id) is made and not recorded" }
            case .startStep(let start):
                let isThere = records.contains { if case .job(let job) = $0 { job.id == start.job.id } else { false } }
                if !isThere { return "job \(start.job.id) is started and not recorded" }
            default: break
            }
        }
        return nil
    }

    private static func leftovers(_ world: EngineWorld) -> String? {
        for job in world.engine.jobs.values.sorted(by: { $0.id < $1.id }) {
            if !job.state.isFinal { return "job \(job.id) is \(job.shownState) in the end: \(job.shownReason)" }
            if let stage = job.buffer?.stage, stage != .complete { return "job \(job.id) ends in \(stage)" }
        }
        for pool in world.engine.pools where pool.used != 0 { return "pool \(pool.name) leaks \(pool.used)" }
        return nil
    }
}
