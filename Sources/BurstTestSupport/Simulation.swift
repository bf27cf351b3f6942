package import BurstEngine
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

    /// What a life of datawarp's starts and ends with on the site's side.
    private final class Site {
        /// Sessions by token, and how many bytes they have.
        var sessions: [String: UInt64] = [:]
        /// The engine is told of none: `Flags=EmulateCray`.
        var isEmulated = false
    }

    /// - Parameter plugin: each has lives of its own.
    package init(seed: UInt64, plugin: BurstPlugin = .lua) {
        var chance = Chance(seed: seed)
        var settings = EngineSettings()
        let site = Site()
        if plugin == .datawarp {
            settings.plugin?.name = plugin.rawValue
            settings.plugin?.allowsPersistent = true
            site.isEmulated = chance.isOneIn(2)
            settings.plugin?.emulatesCray = site.isEmulated
            settings.plugin?.validateTimeout = 5
        }
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
        world.hook = { Self.plan($0, failing: failing, site, &dice) }
        var runs = Chance(seed: seed &+ 77)
        world.script = { _ in (Int64(runs.below(40_000)), runs.isOneIn(4) ? 256 : 0) }
        var order = CallOrder(plugin)
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
            Self.act(world, plugin, &chance)
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
            world.hook = { Self.plan($0, failing: 0, site, &dice) }
            world.settle(seconds: 2000)
            for id in world.engine.jobs.keys.sorted() {
                world.perform(.release(.job(id)), by: Self.root)
                world.perform(.cancel(.job(id), hurry: true, signal: nil, batchOnly: false), by: Self.root)
            }
            world.settle(seconds: 2000)
            wrong = Self.faults(world) ?? Self.leftovers(world) ?? Self.persistentLeft(world, site)
        }
        broken = wrong.map { "seed \(seed): \($0)" }
        self.decisions = decisions
        crashes = world.crashes
    }

    private static let root = Caller(uid: 0, gid: 0, userName: "root", isOperator: true)

    private static func plan(
        _ call: HookCall, failing: Int, _ site: Site, _ dice: inout Chance
    ) -> EngineWorld.HookPlan {
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
        let limit = call.limitSeconds.map { Int64($0) * 1000 } ?? .max
        let message: String? =
            switch call.function {
            case .createPersistent:
                created(call, site, isInTime: milliseconds <= limit, says: failing == 0 || !dice.isOneIn(6))
            case .destroyPersistent, .jobTeardown: destroyed(call, site, isInTime: milliseconds <= limit)
            case .setup: setUp(call, site)
            case .testDataIn, .testDataOut: dice.isOneIn(3) ? "BUSY" : ""
            case .realSize: dice.isOneIn(3) ? "\(dice.below(30))" : nil
            default: nil
            }
        var plan = EngineWorld.HookPlan(milliseconds: milliseconds, end: .success(message: message))
        switch call.function {
        case .showInstances:
            let sizes = site.sessions.values.enumerated()
            plan.site = .instances(Dictionary(uniqueKeysWithValues: sizes.map { (Int64($0.offset), $0.element) }))
        case .showSessions:
            plan.site = .sessions(
                site.sessions.keys.sorted().enumerated().map {
                    ReportedSession(id: Int64($0.offset), token: $0.element, uid: 1001, userName: "alice")
                })
        default: break
        }
        return plan
    }

    /// The site has the buffer when its answer comes, as far as it comes in time; a name it has already is fine.
    private static func created(_ call: HookCall, _ site: Site, isInTime: Bool, says: Bool) -> String {
        guard says else { return "" }
        if let at = call.arguments.firstIndex(of: "-t"), isInTime { site.sessions[call.arguments[at + 1]] = 4 }
        return "created"
    }

    private static func setUp(_ call: HookCall, _ site: Site) -> String? {
        if let at = call.arguments.firstIndex(of: "--token") { site.sessions[call.arguments[at + 1]] = 4 }
        return nil
    }

    private static func destroyed(_ call: HookCall, _ site: Site, isInTime: Bool) -> String? {
        if let at = call.arguments.firstIndex(of: "--token"), isInTime { site.sessions[call.arguments[at + 1]] = nil }
        return nil
    }

    private static let scripts: [BurstPlugin: [@Sendable (Int, Int) -> String]] = [
        .lua: [
            { _, _ in "#BB_LUA" }, { large, _ in "#BB_LUA pool=a capacity=\(large)" },
            { _, small in "#BB_LUA pool=b capacity=\(small)" },
            { _, _ in "#BB_LUA pool=a capacity=5\n#BB_LUA pool=b capacity=2" }, { _, _ in "# plain" },
        ],
        .datawarp: [
            { large, _ in "#DW jobdw pool=a capacity=\(large)" }, { _, small in "#DW jobdw capacity=\(small)" },
            { _, _ in "#DW jobdw pool=a capacity=5\n#DW jobdw pool=b capacity=2" }, { _, _ in "# plain" },
            { large, small in "#BB create_persistent name=p\(large % 3) capacity=\(small) pool=b" },
            { large, _ in "#BB create_persistent name=p\(large % 3) capacity=4\n#DW persistentdw name=p\(large % 3)" },
            { large, _ in "#DW persistentdw name=p\(large % 3)" },
            { large, _ in "#DW persistentdw name=p\(large % 3)\n#DW jobdw capacity=2 pool=b" },
            { large, _ in "#BB destroy_persistent name=p\(large % 3)" },
            { large, _ in "#BB destroy_persistent name=p\(large % 3) hurry" },
            { large, _ in
                "#BB destroy_persistent name=p\(large % 3)\n#BB create_persistent name=p\(large % 3) capacity=6"
            },
        ],
    ]

    private static func act(_ world: EngineWorld, _ plugin: BurstPlugin, _ chance: inout Chance) {
        let jobs = world.engine.jobs.keys.sorted()
        guard !jobs.isEmpty, !chance.isOneIn(3) else {
            let scripts = scripts[plugin] ?? []
            let (large, small) = (1 + chance.below(30), 1 + chance.below(9))
            let lines = scripts[chance.below(scripts.count)](large, small)
            let isBob = plugin == .datawarp && chance.isOneIn(4)
            var order = SubmitOrder(
                script: "#!/bin/sh\n\(lines)\n", name: "j", workDir: "/", uid: isBob ? 1002 : 1001,
                gid: isBob ? 1002 : 1001, userName: isBob ? "bob" : "alice")
            if plugin == .datawarp, chance.isOneIn(4) { order.nodes = 0 }
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
        if world.disk.persistentBuffers != world.engine.persistentBuffers { return "buffers are not as recorded" }
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
        for pool in world.engine.pools {
            let kept = world.engine.persistentBuffers.values.filter { $0.pool == pool.name }.reduce(0) { $0 + $1.size }
            if pool.used != kept { return "pool \(pool.name) leaks \(pool.used - min(kept, pool.used))" }
        }
        return nil
    }

    /// What the engine lists the site has, and nothing is at work any more.
    private static func persistentLeft(_ world: EngineWorld, _ site: Site) -> String? {
        for buffer in world.engine.persistentBuffers.values.sorted(by: { $0.name < $1.name }) {
            if buffer.state != .allocated { return "buffer \(buffer.name) is \(buffer.state) in the end" }
            if site.sessions[buffer.name] == nil, !site.isEmulated, buffer.missingSince == nil {
                return "buffer \(buffer.name) is listed, and the site has no such session"
            }
        }
        for token in site.sessions.keys.sorted() where token.first?.isNumber == true {
            return "the site still has a session of job \(token)"
        }
        return nil
    }
}
