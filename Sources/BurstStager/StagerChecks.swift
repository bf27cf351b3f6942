/// What must hold of a stager's state after every decision. Simulations ask after each step, a check of the whole site
/// at rest.
package enum StagerChecks {
    /// One line for each fault; none if all is well.
    package static func faults(in stager: Stager) -> [String] {
        sums(stager) + stager.sessions.values.sorted { $0.id < $1.id }.flatMap { faults(of: $0, stager) }
            + tokens(stager)
    }

    /// What a pool counts is what its buffers have.
    private static func sums(_ stager: Stager) -> [String] {
        var sums: [String: PoolUse] = [:]
        for session in stager.sessions.values where session.isCharged {
            for instance in session.instances { sums[instance.pool, default: PoolUse()].live += instance.granules }
        }
        for buffer in stager.quarantine.values {
            for instance in buffer.instances {
                sums[instance.pool, default: PoolUse()].quarantined += instance.granules
            }
        }
        let pools = Set(sums.keys).union(stager.use.keys).sorted()
        return pools.compactMap { pool in
            let sum = sums[pool, default: PoolUse()]
            let use = stager.use[pool, default: PoolUse()]
            return sum == use ? nil : "pool \(pool) counts \(use), its buffers are \(sum) together"
        }
    }

    private static func faults(of session: StagerSession, _ stager: Stager) -> [String] {
        var found: [String] = []
        func report(_ text: String) { found.append("session \(session.id.number) (\(session.phaseName)): \(text)") }
        for waiter in stager.waiters[session.id] ?? [] {
            if !mayWait(waiter.verb, session.phase) { report("somebody waits for \(waiter.verb), in vain") }
            if stager.waitsAt[waiter.request] != session.id { report("a request waits that nobody would find") }
        }
        if let worker = session.worker, stager.workers[worker] != session.id {
            if case .ending = session.phase {} else { report("its worker is not known") }
        }
        if let step = session.step, stager.operations[step.operation] != session.id {
            report("it waits for an answer that nobody gives")
        }
        if session.hasUnsaved, case .ending = session.phase, !session.isHurried {
            report("it is ending with results that nobody has")
        }
        if stager.quarantine[session.id] != nil { report("it is in quarantine as well") }
        return found
    }

    /// Whether the phase leads to an answer for those who wait for the verb.
    private static func mayWait(_ verb: Stager.Waiter.Verb, _ phase: StagerSession.Phase) -> Bool {
        switch phase {
        case .waitingForSpace, .allocating, .mounting: verb == .setup || verb == .create
        case .stagingIn: verb == .dataIn
        case .preRun: verb == .preRun
        case .postRun: verb == .postRun
        case .stagingOut: verb == .dataOut
        case .ending(.waitingForUsers), .ending(.quarantineFailed): false
        case .ending: verb == .teardown
        case .ready, .stageInFailed, .stagedIn, .running, .ranPost, .stageOutFailed, .stagedOut, .saving, .savingFailed,
            .lost:
            false
        }
    }

    /// A token has one session that is listed, and it is the youngest.
    private static func tokens(_ stager: Stager) -> [String] {
        var found: [String] = []
        for (token, ids) in stager.byToken.sorted(by: { $0.key < $1.key }) {
            if ids != ids.sorted() { found.append("token \(token): its sessions are out of order") }
            if ids.dropLast().contains(where: { stager.sessions[$0]?.isListed != false }) {
                found.append("token \(token): an older session is listed")
            }
        }
        let known = stager.byToken.values.reduce(0) { $0 + $1.count }
        if known != stager.sessions.count { found.append("\(stager.sessions.count) sessions, \(known) by token") }
        return found
    }
}

extension StagerSession {
    /// What the phase waits for.
    fileprivate var step: Step? {
        switch phase {
        case .allocating(let step), .mounting(let step), .preRun(let step), .postRun(let step),
            .ending(.unmounting(let step)), .ending(.quarantining(let step)):
            step
        case .waitingForSpace, .ready, .stagingIn, .stageInFailed, .stagedIn, .running, .ranPost, .stagingOut,
            .stageOutFailed, .stagedOut, .saving, .savingFailed, .ending, .lost:
            nil
        }
    }
}
