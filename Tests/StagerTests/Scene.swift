import BurstModel
import BurstStager
import BurstTestSupport

/// A stager in a simulated world, and clients that ask it.
final class Scene {
    static let gibibyte: UInt64 = 1 << 30
    static let alice = StagerSession.Owner(uid: 1001, gid: 1001)
    static let bob = StagerSession.Owner(uid: 1002, gid: 1002)

    let world: StagerWorld
    private(set) var answers: [StagerRequest: StagerAnswer] = [:]
    private(set) var effects: [StagerEffect] = []
    private(set) var records: [StagerRecord] = []

    /// 100 granules of 1 GiB, of which 95 may be used.
    init(
        pools: [StagerPool] = [StagerPool(id: "nvme", granularity: Scene.gibibyte, quantity: 100)],
        settings: StagerSettings = StagerSettings()
    ) {
        world = StagerWorld(settings: settings, pools: pools)
        world.answered = { [unowned self] in answers[$0] = $1 }
        world.watch = { [unowned self] in
            records += $0
            effects += $1
        }
        world.begin()
    }

    var stager: Stager { world.stager }
    var snapshot: StagerSnapshot { stager.snapshot(at: world.now) }
    var free: UInt64 { snapshot.pools[0].free }

    static func setup(
        _ token: String, gibibytes: UInt64 = 10, inLines: Int = 0, outLines: Int = 0, persistent: [String] = [],
        owner: StagerSession.Owner = Scene.alice
    ) -> StagerVerb {
        .setup(
            SetupOrder(
                token: token, owner: owner, space: [SpaceRequest(pool: "nvme", bytes: gibibytes * gibibyte)],
                persistent: persistent,
                plan: SessionPlan(
                    text: "the plan", lines: SessionPlan.Lines(stageIn: inLines, stageOut: outLines))))
    }

    static func create(
        _ name: String, gibibytes: UInt64 = 10, owner: StagerSession.Owner = Scene.alice, access: AccessList? = nil
    ) -> StagerVerb {
        .createPersistent(
            CreateOrder(
                name: name, owner: owner, space: SpaceRequest(pool: "nvme", bytes: gibibytes * gibibyte),
                access: access))
    }

    /// Calls and lets time pass until the answer is there, at most so long.
    func ask(
        _ verb: StagerVerb, seconds: Int = 60, by caller: StagerCaller = StagerCaller(uid: 0, isOperator: true)
    ) -> StagerAnswer? {
        let request = world.call(verb, by: caller)
        for _ in 0..<(seconds * 100) {
            world.run(until: world.now.adding(milliseconds: 10))
            if let answer = answers[request] { return answer }
        }
        return nil
    }

    func start(_ verb: StagerVerb) -> StagerRequest {
        let request = world.call(verb)
        world.run(until: world.now)
        return request
    }

    func answer(_ request: StagerRequest) -> StagerAnswer? { answers[request] }

    func phase(_ token: String) -> String? { stager.current(token)?.phaseName }

    /// A job with data both ways, brought to a phase by Slurm's verbs.
    func bring(_ token: String, to phase: String) {
        let verbs: [StagerVerb] = [
            Self.setup(token, inLines: 1, outLines: 1), .dataIn(token: token),
            .preRun(token: token, nodes: ["node1"]), .postRun(token: token), .dataOut(token: token),
        ]
        for verb in verbs where self.phase(token) != phase {
            if ask(verb)?.status != 0 { return }
        }
    }

    var workersStarted: Int { effects.count { if case .startWorker = $0 { true } else { false } } }
}
