import BurstModel
import BurstStager

/// One life of a stager by chance: jobs as slurmctld brings them, restarts of slurmctld and of the daemon, killed
/// clients, repeated calls, haste, failing and hanging workers, all from a seed, with checks after every decision. The
/// same seed is the same life.
package struct StagerSimulation: Sendable {
    /// What broke a promise, with the seed that shows it; nil: nothing did.
    package let broken: String?
    package let decisions: Int
    package let crashes: Int
    package let answers: Int
    /// Sessions that were torn down without haste before their results were copied out.
    package let saves: Int
    /// Jobs that came to their end.
    package let jobs: Int

    static let pools = [
        StagerPool(id: "nvme", granularity: 16, quantity: 40),
        StagerPool(id: "memory", granularity: 4, quantity: 30),
    ]

    package init(seed: UInt64) {
        var chance = Chance(seed: seed)
        var settings = StagerSettings()
        settings.stageInLimit = 40
        settings.stageOutLimit = 40
        settings.setupLimit = 25
        settings.preRunLimit = 15
        settings.postRunLimit = 15
        let world = StagerWorld(settings: settings, pools: Self.pools)
        // A part of the lives is calm, a part is rough.
        let failing = chance.below(3)
        let crashing = chance.below(3)
        var dice = Chance(seed: seed ^ 0x9E37_79B9_7F4A_7C15)
        world.plan = { _ in Self.plan(failing, &dice) }
        world.workerPlan = { _ in Self.workerPlan(failing, &dice) }
        world.isDoneAtCrash = { dice.isOneIn(2) }
        let slurm = SimulatedSlurm(world, chance: Chance(seed: seed &+ 77))
        let checks = StagerSimulationChecks(world, slurm)
        world.watch = { checks.look($0, $1) }
        world.begin()
        for _ in 0..<(20 + chance.below(30)) {
            Self.act(slurm, &chance)
            if crashing > 0, chance.isOneIn(crashing == 1 ? 12 : 4) {
                world.nextCrash =
                    switch chance.below(3) {
                    case 0: .beforeRecords
                    case 1: .beforeEffects
                    default: .afterEffects(chance.below(4))
                    }
            }
            world.run(until: world.now.adding(milliseconds: Int64(chance.below(9000))))
            checks.lookAtRest()
            if slurm.wrong != nil { break }
        }
        if slurm.wrong == nil {
            Self.end(slurm, &dice)
            checks.lookAtRest()
            checks.lookForLeftovers()
        }
        broken = slurm.wrong.map { "seed \(seed): \($0)" }
        decisions = world.decisions
        crashes = world.crashes
        answers = slurm.answers
        saves = checks.saves
        jobs = slurm.jobs.count { $0.step == .done }
    }

    /// Everybody gets out in the end: what is done works again, and what is stuck is hurried away.
    private static func end(_ slurm: SimulatedSlurm, _ dice: inout Chance) {
        let world = slurm.world
        world.nextCrash = nil
        world.plan = { _ in StagerWorld.Plan() }
        world.workerPlan = { _ in StagerWorld.WorkerPlan() }
        for pool in pools { world.send(.poolState(pool.id, .available)) }
        world.run(seconds: 1500)
        for index in slurm.jobs.indices { slurm.cancel(index, hurry: true) }
        world.run(seconds: 300)
        for index in slurm.jobs.indices { slurm.cancel(index, hurry: true) }
        for name in slurm.persistent.keys.sorted() { slurm.call(.teardown(token: name, hurry: true)) }
        // Results that could not be saved wait for an operator.
        for session in world.stager.sessions.values.sorted(by: { $0.id < $1.id }) {
            if case .savingFailed = session.phase { slurm.call(.retry(token: session.token)) }
        }
        world.run(seconds: 1500)
    }

    private static func plan(_ failing: Int, _ dice: inout Chance) -> StagerWorld.Plan {
        let milliseconds = dice.isOneIn(12) ? Int64(dice.below(30_000)) : Int64(dice.below(300))
        let fails = failing > 0 && dice.isOneIn(failing == 1 ? 15 : 5)
        return StagerWorld.Plan(milliseconds: milliseconds, failure: fails ? "it doesn't work:\nEIO" : nil)
    }

    private static func workerPlan(_ failing: Int, _ dice: inout Chance) -> StagerWorld.WorkerPlan {
        var plan = StagerWorld.WorkerPlan(milliseconds: Int64(dice.below(9000)))
        if dice.isOneIn(15) { plan.milliseconds = 100_000 }
        if dice.isOneIn(10) { plan.hangsMilliseconds = Int64(dice.below(30_000)) }
        guard failing > 0, dice.isOneIn(failing == 1 ? 8 : 3) else { return plan }
        switch dice.below(3) {
        case 0: plan.end = .failed("3 of 7 files: token not found, No matching session", isTransient: false)
        case 1: plan.end = .failed("ESTALE", isTransient: true)
        default: plan.end = .dies
        }
        return plan
    }

    // MARK: What happens

    private static func act(_ slurm: SimulatedSlurm, _ chance: inout Chance) {
        let world = slurm.world
        guard !slurm.jobs.isEmpty, !chance.isOneIn(3) else { return submit(slurm, &chance) }
        let index = chance.below(slurm.jobs.count)
        let token = slurm.jobs[index].token
        switch chance.below(18) {
        case 0: slurm.cancel(index, hurry: false)
        case 1, 2: slurm.cancel(index, hurry: true)
        case 3: slurm.restart()
        case 4, 5: slurm.timeOut(index)
        case 6: slurm.requeue(index)
        case 7, 8: callTwice(slurm, index, &chance)
        case 9: slurm.call(.retry(token: token), isAside: true)
        case 10:
            let throttle = Throttle(bytesPerSecond: UInt64(chance.below(3)) << 20, filesPerSecond: nil)
            slurm.call(.throttle(token: token, throttle), isAside: true)
        case 11:
            // A stranger: never has an effect.
            let stranger = StagerCaller(uid: 4242, isOperator: false)
            slurm.call(.teardown(token: token, hurry: true), isAside: true, by: stranger)
        case 12:
            let state: StagerPool.State = chance.isOneIn(2) ? .available : .unavailable("it is not mounted")
            world.send(.poolState("nvme", state))
        case 13: world.restart()
        case 14: if chance.isOneIn(4) { world.reboot(losing: chance.isOneIn(2) ? "memory" : nil) }
        case 15: createOrDestroy(slurm, &chance)
        case 16: slurm.killClient { job, _ in job == nil }
        default:
            // TeardownFailure, or a job that nobody knows any more.
            if [.stuckOut, .running].contains(slurm.jobs[index].step) {
                slurm.teardown(index, hurry: false, again: false)
            }
        }
    }

    private static func submit(_ slurm: SimulatedSlurm, _ chance: inout Chance) {
        let uid = UInt32(1001 + chance.below(2))
        var order = SetupOrder(
            token: "\(slurm.jobs.count + 1)", owner: StagerSession.Owner(uid: uid, gid: uid), space: [],
            plan: SessionPlan(
                text: "the plan", lines: SessionPlan.Lines(stageIn: chance.below(2), stageOut: chance.below(3))))
        if !chance.isOneIn(5) {
            let pool = pools[chance.below(2)]
            order.space = [
                SpaceRequest(
                    pool: pool.id, bytes: UInt64(chance.below(120)),
                    access: chance.isOneIn(3) ? [.striped, .private] : [.striped])
            ]
        }
        if chance.isOneIn(12) { order.space.append(SpaceRequest(pool: "nvme", bytes: 9, access: [.swap])) }
        if chance.isOneIn(4), let name = slurm.persistent.keys.sorted().first { order.persistent = [name] }
        slurm.submit(order)
    }

    /// Verbs come twice, and from two clients at once.
    private static func callTwice(_ slurm: SimulatedSlurm, _ index: Int, _ chance: inout Chance) {
        let job = slurm.jobs[index]
        switch job.step {
        case .setup: slurm.call(.setup(job.order), isAside: true)
        case .dataIn, .realSize, .staged: slurm.call(.dataIn(token: job.token), isAside: true)
        case .paths: slurm.call(.paths(token: job.token), isAside: true)
        case .preRun, .running: slurm.call(.preRun(token: job.token, nodes: ["node1"]), isAside: true)
        case .postRun: slurm.call(.postRun(token: job.token), isAside: true)
        case .dataOut, .stuckOut:
            let verb: StagerVerb = chance.isOneIn(2) ? .postRun(token: job.token) : .dataOut(token: job.token)
            slurm.call(verb, isAside: true)
        case .teardown: slurm.call(.teardown(token: job.token, hurry: false), isAside: true)
        case .queued, .held, .done: break
        }
    }

    private static func createOrDestroy(_ slurm: SimulatedSlurm, _ chance: inout Chance) {
        let name = "alpha\(chance.below(2))"
        if slurm.persistent[name] != nil, chance.isOneIn(2) {
            slurm.persistent[name] = nil
            return slurm.call(.teardown(token: name, hurry: chance.isOneIn(3)))
        }
        let order =
            slurm.persistent[name]
            ?? CreateOrder(
                name: name, owner: StagerSession.Owner(uid: 1001, gid: 1001),
                space: SpaceRequest(pool: "nvme", bytes: UInt64(1 + chance.below(100))),
                access: AccessList(everyone: true))
        slurm.persistent[name] = order
        slurm.call(.createPersistent(order))
    }
}
