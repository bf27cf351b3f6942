import BurstModel
import BurstStager

/// slurmctld as the stager sees it: which verbs come when, again after which restart, and what their answers lead to
/// (staging.md §1.2, §1.10). It notes what was promised to it, and says what was not kept.
final class SimulatedSlurm {
    struct Job {
        enum Step: Hashable {
            case queued, setup, dataIn, realSize, staged, paths, preRun, running, postRun, dataOut
            case stuckOut, held, done
            case teardown(again: Bool)
        }

        var order: SetupOrder
        var step = Step.queued
        var preRunFailures = 0
        /// The end of its run is followed by another life.
        var isRequeued = false
        /// Counts lives, so that an end of a run that was cut short is not taken for one of the next.
        var life = 0
        var token: String { order.token }
    }

    private struct Call {
        var job: Int?
        var verb: StagerVerb
        /// Nobody goes on by its answer: a second client, a stranger.
        var isAside: Bool
        var caller: StagerCaller
        /// The session that a teardown found.
        var target: SessionID?
    }

    static let root = StagerCaller(uid: 0, isOperator: true)

    let world: StagerWorld
    var jobs: [Job] = []
    /// What each persistent buffer was ordered with.
    var persistent: [String: CreateOrder] = [:]
    private var open: [StagerRequest: Call] = [:]
    private var gone: Set<StagerRequest> = []
    /// Tokens that Slurm was told of and did not tear down.
    private(set) var promised: Set<String> = []
    /// Sessions whose job ran, and those that somebody tore down in haste.
    private(set) var ran: Set<SessionID> = []
    private(set) var hurried: Set<SessionID> = []
    private(set) var answers = 0
    var wrong: String?
    var chance: Chance

    init(_ world: StagerWorld, chance: Chance) {
        self.world = world
        self.chance = chance
        world.answered = { [unowned self] in answered($0, $1) }
        world.restarted = { [unowned self] in callAgain() }
    }

    var openCount: Int { open.count }

    func fail(_ text: String) { wrong = wrong ?? text }

    // MARK: Calls

    func call(
        _ verb: StagerVerb, job: Int? = nil, isAside: Bool = false, by caller: StagerCaller = SimulatedSlurm.root
    ) {
        if case .teardown(let token, let hurry) = verb, caller.isOperator {
            promised.remove(token)
            if hurry {
                for session in world.stager.sessions.values where session.token == token { hurried.insert(session.id) }
            }
        }
        var target: SessionID?
        if case .teardown(let token, _) = verb { target = world.stager.current(token)?.id }
        let request = world.call(verb, by: caller)
        open[request] = Call(job: job, verb: verb, isAside: isAside, caller: caller, target: target)
    }

    /// The daemon is there again: clients reconnect and say the same.
    private func callAgain() {
        let before = open.sorted { $0.key.number < $1.key.number }
        open.removeAll()
        for (request, call) in before {
            gone.insert(request)
            open[world.call(call.verb, by: call.caller)] = call
        }
    }

    /// Kills a client; true if there was one.
    @discardableResult
    func killClient(where fits: (Int?, StagerVerb) -> Bool) -> Bool {
        guard
            let request = open.filter({ fits($0.value.job, $0.value.verb) }).keys.min(by: { $0.number < $1.number })
        else { return false }
        open[request] = nil
        gone.insert(request)
        world.hangUp(request)
        return true
    }

    private func killClients(of job: Int) {
        while killClient(where: { owner, _ in owner == job }) {}
    }

    private func answered(_ request: StagerRequest, _ answer: StagerAnswer) {
        guard let call = open.removeValue(forKey: request) else {
            if !gone.contains(request) { fail("request \(request.number) is answered twice: \(answer.text)") }
            return
        }
        answers += 1
        if answer.text.contains("'") || answer.text.contains("\n") || answer.text.utf8.count > 200 {
            fail("\(call.verb.name) answers what Slurm cannot show: \(answer.text)")
        }
        check(call, answer)
        guard let index = call.job, !call.isAside else { return }
        goOn(index, call.verb, answer)
    }

    // MARK: What an answer promises

    private func check(_ call: Call, _ answer: StagerAnswer) {
        guard answer.status == 0 else { return }
        switch call.verb {
        case .setup(let order): checkSetUp(order.token, order.space)
        case .createPersistent(let order):
            if answer.text != "created" { fail("create_persistent succeeds without the word: \(answer.text)") }
            checkSetUp(order.name, [order.space])
        case .dataIn(let token):
            guard let session = current(token, "data_in") else { return }
            if session.plan.stageIn > 0, !isCopied(session, .stageIn) { fail("data_in of \(token) succeeds uncopied") }
        case .dataOut(let token):
            guard let session = current(token, "data_out") else { return }
            if session.plan.stageOut > 0, !isCopied(session, .stageOut) {
                fail("data_out of \(token) succeeds uncopied")
            }
        case .test(let token, let direction):
            guard answer.text.isEmpty, let session = current(token, call.verb.name) else { return }
            let lines = direction == .stageIn ? session.plan.stageIn : session.plan.stageOut
            if lines > 0, !isCopied(session, direction) { fail("\(call.verb.name) of \(token) succeeds uncopied") }
        case .preRun(let token, _):
            guard let session = current(token, "pre_run") else { return }
            ran.insert(session.id)
            let access = session.instances.flatMap(\.configurations).map(\.access)
            if access.contains(where: { $0 != .swap }), !world.mounted.contains(session.id) {
                fail("pre_run of \(token) succeeds without mounts")
            }
        case .paths(let token):
            guard let session = current(token, "paths") else { return }
            if order(token)?.space.contains(where: { $0.bytes > 0 && $0.access != [.swap] }) == true,
                answer.lines.isEmpty || session.lostWhy != nil
            {
                fail("paths of \(token) are none")
            }
        case .teardown(let token, _):
            if let id = call.target, world.stager.sessions[id]?.isListed == true {
                fail("\(token) is torn down and still listed")
            }
        case .jobProcess, .realSize, .postRun, .retry, .throttle, .access: break
        }
    }

    private func order(_ token: String) -> SetupOrder? { jobs.first { $0.token == token }?.order }

    private func isCopied(_ session: StagerSession, _ direction: StageDirection) -> Bool {
        world.copied.contains(StagerWorld.Copied(session: session.id, direction: direction))
    }

    private func current(_ token: String, _ verb: String) -> StagerSession? {
        let session = world.stager.current(token)
        if session == nil { fail("\(verb) of \(token) succeeds without a session") }
        return session
    }

    private func checkSetUp(_ token: String, _ space: [SpaceRequest]) {
        guard let session = current(token, "setup") else { return }
        // A teardown is on its way already where another one came meanwhile.
        if !isTeardownOpen(token) { promised.insert(token) }
        if space.contains(where: { $0.bytes > 0 }), world.folders[session.id] == nil {
            fail("setup of \(token) succeeds without a folder")
        }
    }

    private func isTeardownOpen(_ token: String) -> Bool {
        open.values.contains { if case .teardown(token, _) = $0.verb { true } else { false } }
    }

    // MARK: A job's way

    func submit(_ order: SetupOrder) {
        jobs.append(Job(order: order))
        start(jobs.count - 1)
    }

    private func start(_ index: Int) {
        jobs[index].step = .setup
        jobs[index].life += 1
        call(.setup(jobs[index].order), job: index)
    }

    private func later(_ index: Int, seconds: Int, _ step: Job.Step, _ body: @escaping () -> Void) {
        let life = jobs[index].life
        world.at(world.now.adding(seconds: seconds)) { [unowned self] in
            if jobs[index].life == life, jobs[index].step == step { body() }
        }
    }

    private func goOn(_ index: Int, _ verb: StagerVerb, _ answer: StagerAnswer) {
        let token = jobs[index].token
        let isDone = answer.status == 0
        let isGone = answer.text.contains("No matching session")
        switch (verb, jobs[index].step) {
        case (.setup, .setup):
            jobs[index].step = isDone ? .dataIn : .held
            if isDone { call(.dataIn(token: token), job: index) } else { call(.realSize(token: token), isAside: true) }
        case (.dataIn, .dataIn):
            jobs[index].step = isDone || isGone ? .realSize : .held
            call(.realSize(token: token), job: index)
        case (.realSize, .realSize):
            jobs[index].step = .staged
            later(index, seconds: chance.below(5), .staged) { [unowned self] in
                jobs[index].step = .paths
                call(.paths(token: token), job: index)
            }
        case (.paths, .paths):
            jobs[index].step = isDone ? .preRun : .held
            if isDone { call(.preRun(token: token, nodes: ["node1"]), job: index) }
        case (.preRun, .preRun):
            if !isDone {
                jobs[index].preRunFailures += 1
                return teardown(index, hurry: true, again: jobs[index].preRunFailures < 4)
            }
            jobs[index].step = .running
            later(index, seconds: chance.below(20), .running) { [unowned self] in ended(index) }
        case (.postRun, .postRun):
            jobs[index].step = isDone ? .dataOut : .stuckOut
            if isDone { call(.dataOut(token: token), job: index) }
        case (.dataOut, .dataOut):
            guard isDone || isGone else { return jobs[index].step = .stuckOut }
            teardown(index, hurry: false, again: jobs[index].isRequeued)
            jobs[index].isRequeued = false
        case (.teardown(_, let hurry), .teardown(let again)):
            if isDone || isGone || answer.text.contains("token not found") {
                jobs[index].step = again ? .queued : .done
                if again { later(index, seconds: 60, .queued) { [unowned self] in start(index) } }
            } else {
                later(index, seconds: 5, jobs[index].step) { [unowned self] in
                    call(.teardown(token: token, hurry: hurry), job: index)
                }
            }
        default: break
        }
    }

    func ended(_ index: Int) {
        jobs[index].step = .postRun
        call(.postRun(token: jobs[index].token), job: index)
    }

    func teardown(_ index: Int, hurry: Bool, again: Bool) {
        jobs[index].step = .teardown(again: again)
        call(.teardown(token: jobs[index].token, hurry: hurry), job: index)
    }

    /// scancel.
    func cancel(_ index: Int, hurry: Bool) {
        let token = jobs[index].token
        switch jobs[index].step {
        case .queued: jobs[index].step = .done
        case .setup, .dataIn, .realSize, .staged, .held, .paths:
            killClients(of: index)
            teardown(index, hurry: true, again: false)
        case .preRun:
            killClients(of: index)
            teardown(index, hurry: true, again: false)
        case .running: ended(index)
        case .postRun, .dataOut:
            // The client is not killed; the chain goes on when it is answered.
            if hurry { call(.teardown(token: token, hurry: true), isAside: true) }
        case .stuckOut: if hurry { teardown(index, hurry: true, again: false) }
        case .teardown, .done: break
        }
    }

    /// A node failed, or somebody said so: the job comes again with the same token.
    func requeue(_ index: Int) {
        guard jobs[index].step == .running else { return }
        jobs[index].isRequeued = true
        ended(index)
    }

    /// A step took longer than Slurm waits: the client is killed and the step counts as failed, with no text.
    func timeOut(_ index: Int) {
        killClients(of: index)
        let failed = StagerAnswer(status: 1, text: "")
        let token = jobs[index].token
        switch jobs[index].step {
        case .setup: goOn(index, .setup(jobs[index].order), failed)
        case .dataIn: goOn(index, .dataIn(token: token), failed)
        case .realSize: goOn(index, .realSize(token: token), failed)
        case .paths: goOn(index, .paths(token: token), failed)
        case .preRun: goOn(index, .preRun(token: token, nodes: []), failed)
        case .postRun: goOn(index, .postRun(token: token), failed)
        case .dataOut: goOn(index, .dataOut(token: token), failed)
        case .teardown: goOn(index, .teardown(token: token, hurry: false), failed)
        case .queued, .staged, .running, .stuckOut, .held, .done: break
        }
    }

    /// slurmctld is stopped and started again (staging.md §1.10).
    func restart() {
        for request in open.keys.sorted(by: { $0.number < $1.number }) {
            guard open.removeValue(forKey: request) != nil else { continue }
            gone.insert(request)
            world.hangUp(request)
        }
        for index in jobs.indices {
            let token = jobs[index].token
            switch jobs[index].step {
            case .setup, .dataIn, .realSize, .staged: teardown(index, hurry: true, again: true)
            case .paths, .preRun:
                jobs[index].step = .paths
                call(.paths(token: token), job: index)
            case .postRun, .dataOut, .stuckOut: ended(index)
            // Without haste, even if it was asked for.
            case .teardown(let again): teardown(index, hurry: false, again: again)
            case .queued: later(index, seconds: 60, .queued) { [unowned self] in start(index) }
            case .running: later(index, seconds: 5, .running) { [unowned self] in ended(index) }
            case .held, .done: break
            }
        }
    }
}
