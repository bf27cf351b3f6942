import BurstModel
import BurstStager

/// What must hold of a stager after every decision, counted apart from it.
final class StagerSimulationChecks {
    private let world: StagerWorld
    private let slurm: SimulatedSlurm
    /// What each number names.
    private var names: [UInt64: String] = [:]
    private var plans: [SessionID: SessionPlan.Lines] = [:]
    private var keys: [SessionKey: SessionID] = [:]
    private var isLost: Set<SessionID> = []
    private(set) var saves = 0

    init(_ world: StagerWorld, _ slurm: SimulatedSlurm) {
        self.world = world
        self.slurm = slurm
    }

    /// After the records are durable, before the effects.
    func look(_ records: [StagerRecord], _ effects: [StagerEffect]) {
        guard slurm.wrong == nil else { return }
        for case .session(let session) in records { look(session) }
        for case .entered(_, _, "saving", _) in records { saves += 1 }
        for effect in effects { look(effect) }
        // Without a record nothing changed but how far a copy is.
        guard !records.isEmpty else { return }
        if world.hasStarted, let fault = StagerChecks.faults(in: world.stager).first { slurm.fail(fault) }
        lookAtSpace()
        for token in slurm.promised where world.stager.current(token) == nil {
            slurm.fail("\(token) was set up, was not torn down, and is not listed")
        }
    }

    private func look(_ session: StagerSession) {
        plans[session.id] = session.plan
        if session.lostWhy != nil { isLost.insert(session.id) }
        if let other = keys.updateValue(session.id, forKey: session.key), other != session.id {
            slurm.fail("\(session.token) has generation \(session.key.generation) twice")
        }
        func name(_ number: UInt64, _ text: String) {
            if number >= world.disk.nextID { slurm.fail("\(text) is beyond the next id") }
            let text = "\(text) of session \(session.id.number)"
            if let other = names.updateValue(text, forKey: number), other != text {
                slurm.fail("id \(number) names \(other) and \(text)")
            }
        }
        name(session.id.number, "session")
        for instance in session.instances {
            name(instance.id, "instance")
            name(instance.fragment, "fragment")
            for configuration in instance.configurations {
                name(configuration.id, "configuration")
                name(configuration.namespace, "namespace")
            }
        }
        for registration in session.registrations { name(registration.id, "registration") }
        for activation in session.activations { name(activation.id, "activation") }
        if let worker = session.worker { name(worker.number, "worker") }
    }

    /// Nothing is done that was not written down before.
    private func look(_ effect: StagerEffect) {
        switch effect {
        case .startWorker(let order):
            if world.disk.sessions[order.session]?.worker != order.worker {
                slurm.fail("worker \(order.worker.number) starts and is not recorded")
            }
            for (worker, one) in world.running where one.session == order.session && worker != order.worker {
                slurm.fail("session \(order.session.number) has workers \(worker.number) and \(order.worker.number)")
            }
        case .allocate(let order):
            guard case .allocating(let step) = world.disk.sessions[order.session]?.phase,
                step.operation == order.operation
            else { return slurm.fail("session \(order.session.number) is allocated and not recorded so") }
        case .quarantine(let order):
            guard case .ending(.quarantining(let step)) = world.disk.sessions[order.session]?.phase,
                step.operation == order.operation
            else { return slurm.fail("session \(order.session.number) is renamed away and not recorded so") }
        case .remove(let order): lookAtRemoval(order)
        case .answer, .stopWorker, .throttle, .activate, .deactivate, .grant, .list, .listAll, .writeSnapshot, .wake,
            .log:
            break
        }
    }

    private func lookAtRemoval(_ order: QuarantineOrder) {
        let id = order.session
        if world.disk.quarantine[id]?.removal != .underWay(order.operation) {
            slurm.fail("session \(id.number) is removed and not recorded so")
        }
        if world.running.values.contains(where: { $0.session == id }) {
            slurm.fail("session \(id.number) is removed under a worker")
        }
        guard slurm.ran.contains(id), (plans[id]?.stageOut ?? 0) > 0, !slurm.hurried.contains(id),
            !isLost.contains(id)
        else { return }
        if !world.copied.contains(StagerWorld.Copied(session: id, direction: .stageOut)) {
            slurm.fail("session \(id.number) is removed with results that nobody has")
        }
    }

    /// What is told to be free is free of every folder that exists.
    private func lookAtSpace() {
        let snapshot = world.stager.snapshot(at: world.now)
        for row in snapshot.pools {
            var there: UInt64 = 0
            for instance in world.folders.values.joined() where instance.pool == row.pool.id {
                there += instance.granules
            }
            if there > row.pool.usable { slurm.fail("pool \(row.pool.id) holds \(there) of \(row.pool.usable)") }
            if row.free + there > row.pool.usable {
                slurm.fail("pool \(row.pool.id) has \(row.free) free with \(there) in use")
            }
            let live = snapshot.sessions.reduce(0) { $1.isCharged ? $0 + $1.granules(in: row.pool.id) : $0 }
            let quarantined = snapshot.quarantine.reduce(0) { $0 + $1.granules(in: row.pool.id) }
            if row.use.live != live || row.use.quarantined != quarantined {
                slurm.fail("pool \(row.pool.id) counts \(row.use), there are \(live) and \(quarantined)")
            }
        }
    }

    /// Between events: what the disk has is what the stager knows.
    func lookAtRest() {
        guard slurm.wrong == nil else { return }
        let stager = world.stager
        func bare(_ session: StagerSession?) -> StagerSession? {
            var session = session
            session?.progress = nil
            return session
        }
        for session in stager.sessions.values where bare(world.disk.sessions[session.id]) != bare(session) {
            slurm.fail("session \(session.id.number) is not as recorded")
        }
        if stager.sessions.count != world.disk.sessions.count { slurm.fail("sessions are recorded that nobody knows") }
        if stager.plans != world.disk.plans { slurm.fail("plans are not as recorded") }
        if stager.quarantine != world.disk.quarantine { slurm.fail("the quarantine is not as recorded") }
        if stager.tombstones != world.disk.tombstones { slurm.fail("tombstones are not as recorded") }
    }

    func lookForLeftovers() {
        guard slurm.wrong == nil else { return }
        for job in slurm.jobs where job.step != .done { slurm.fail("job \(job.token) ends in \(job.step)") }
        for session in world.stager.sessions.values.sorted(by: { $0.id < $1.id }) {
            slurm.fail("session \(session.id.number) of \(session.token) ends in \(session.phase)")
        }
        if !world.stager.quarantine.isEmpty { slurm.fail("\(world.stager.quarantine.count) stay in quarantine") }
        if !world.folders.isEmpty { slurm.fail("folders are left: \(world.folders.keys.map(\.number).sorted())") }
        if !world.running.isEmpty { slurm.fail("workers are left: \(world.running.keys.map(\.number).sorted())") }
        if !world.mounted.isEmpty { slurm.fail("mounts are left: \(world.mounted.map(\.number).sorted())") }
        if slurm.openCount > 0 { slurm.fail("\(slurm.openCount) requests were never answered") }
        for row in world.stager.snapshot(at: world.now).pools where row.use != PoolUse() {
            slurm.fail("pool \(row.pool.id) leaks \(row.use)")
        }
    }
}
