import BurstModel

/// Around the job's run: pre_run and post_run.
extension Stager {
    mutating func preRun(_ token: String, _ nodes: [String], _ request: StagerRequest, at now: Timestamp) {
        guard let session = current(token) else { return answer(request, .failed(noSession(token))) }
        guard !session.isPersistent else { return answer(request, .failed("\(token) is a persistent buffer")) }
        guard nodes.count <= StagerLimits.nodesMax else {
            return answer(request, .failed("\(nodes.count) hosts are named, \(StagerLimits.nodesMax) are possible"))
        }
        guard nodes.allSatisfy(StagerName.isValid) else {
            return answer(request, .failed("a host is no name of [A-Za-z0-9_.-]"))
        }
        switch session.phase {
        case .stagedIn: activate(session.id, nodes, request, at: now)
        case .ready where session.plan.stageIn == 0: activate(session.id, nodes, request, at: now)
        case .ready: answer(request, .failed("data_in was not done"))
        case .preRun, .running:
            // Without a list the nodes are those of before; with another one the job has other nodes now.
            if !nodes.isEmpty, nodes != session.nodes {
                return activate(session.id, nodes, request, at: now)
            }
            if case .running = session.phase { return answer(request, .done) }
            wait(request, .preRun, for: session.id)
        case .waitingForSpace, .allocating, .mounting: answer(request, .failed("setup is still under way"))
        case .stagingIn: answer(request, .failed("data_in is still under way"))
        case .stageInFailed(let failure): answer(request, .failed("data_in failed: \(failure.text)"))
        case .postRun, .ranPost, .stagingOut, .stageOutFailed, .stagedOut:
            answer(request, .failed("the job has run already"))
        case .lost: answer(request, .failed(lostText(session)))
        case .saving, .savingFailed, .ending: answer(request, .failed(noSession(token)))
        }
    }

    private mutating func activate(
        _ id: SessionID, _ nodes: [String], _ request: StagerRequest, at now: Timestamp
    ) {
        guard let session = sessions[id] else { return }
        let step = StagerSession.Step(
            operation: newOperation(for: id), until: now.adding(seconds: settings.preRunLimit))
        var activations = session.activations
        if activations.isEmpty {
            for registration in session.registrations {
                guard let owner = sessions[registration.of],
                    let configuration = owner.configuration(registration.configuration), configuration.access != .swap
                else { continue }
                activations.append(
                    StagerSession.Activation(
                        id: newID(), configuration: configuration.id,
                        mount: Self.mountName(owner.token, configuration.access)))
            }
        }
        change(id, at: now) {
            $0.activations = activations
            $0.nodes = nodes
            $0.phase = .preRun(step)
        }
        wait(request, .preRun, for: id)
        guard let session = sessions[id], !mounts(session).isEmpty else {
            operations[step.operation] = nil
            return running(id, at: now)
        }
        change(id, at: now) { $0.mayBeMounted = true }
        timers.add(step.until, .session(id))
        out.effects.append(.activate(mountOrder(session, step.operation)))
    }

    /// The session's own mounts: a persistent buffer's stay for its life, whoever uses it.
    private func mounts(_ session: StagerSession) -> [MountOrder.Mount] {
        session.instances.flatMap { instance in
            instance.configurations.filter { $0.access != .swap }.map {
                MountOrder.Mount(
                    name: Self.mountName(session.token, $0.access), instance: instance.id, access: $0.access)
            }
        }
    }

    func mountOrder(_ session: StagerSession, _ operation: OperationID) -> MountOrder {
        MountOrder(
            operation: operation, session: session.id, key: session.key, owner: session.owner,
            mounts: mounts(session), nodes: session.nodes)
    }

    private mutating func running(_ id: SessionID, at now: Timestamp) {
        change(id, at: now) {
            $0.phase = .running
            // From now on the job may write.
            $0.hasRun = true
        }
        answer([.preRun], of: id, .done)
    }

    mutating func activated(_ operation: OperationID, failure: String?, at now: Timestamp) {
        guard let id = operations.removeValue(forKey: operation), let session = sessions[id] else { return }
        switch session.phase {
        case .preRun(let step) where step.operation == operation:
            if let failure { failPreRun(id, failure, at: now) } else { running(id, at: now) }
        case .mounting(let step) where step.operation == operation:
            persistentMounted(id, failure: failure, at: now)
        default:
            // Mounts made again after a restart.
            if let failure, session.isListed { noteTrouble(id, failure, at: now) }
        }
    }

    /// Slurm answers with a teardown in haste and puts the job back.
    mutating func failPreRun(_ id: SessionID, _ text: String, at now: Timestamp) {
        guard let session = sessions[id] else { return }
        out.effects.append(.deactivate(mountOrder(session, newOperation(for: id))))
        change(id, at: now) {
            // It may have run before: its nodes were taken away and given anew.
            $0.phase = .stagedIn
            $0.activations = []
            $0.lastError = StagerText.failure(text)
        }
        log(.error, session, "pre_run failed: \(text)")
        answer([.preRun], of: id, .failed(text))
    }

    mutating func postRun(_ token: String, _ request: StagerRequest, at now: Timestamp) {
        guard let session = current(token) else {
            // Torn down in haste: the chain goes on and must come to its end.
            return answer(request, wasTornDown(token) ? .done : .failed(noSession(token)))
        }
        guard !session.isPersistent else { return answer(request, .failed("\(token) is a persistent buffer")) }
        switch session.phase {
        case .preRun, .running, .stagedIn, .ready:
            answer([.preRun], of: session.id, .failed("post_run came meanwhile"))
            guard session.mayBeMounted else {
                change(session.id, at: now) {
                    $0.phase = .ranPost
                    $0.activations = []
                }
                return answer(request, .done)
            }
            let step = StagerSession.Step(
                operation: newOperation(for: session.id), until: now.adding(seconds: settings.postRunLimit))
            change(session.id, at: now) { $0.phase = .postRun(step) }
            timers.add(step.until, .session(session.id))
            wait(request, .postRun, for: session.id)
            out.effects.append(.deactivate(mountOrder(session, step.operation)))
        case .postRun: wait(request, .postRun, for: session.id)
        case .ranPost, .stagingOut, .stageOutFailed, .stagedOut, .lost: answer(request, .done)
        case .waitingForSpace, .allocating, .mounting, .stagingIn, .stageInFailed:
            answer(request, .failed("the job cannot have run: the session is \(session.phaseName)"))
        case .saving, .savingFailed, .ending: answer(request, .done)
        }
    }

    mutating func deactivated(_ operation: OperationID, trouble: String?, at now: Timestamp) {
        guard let id = operations.removeValue(forKey: operation), let session = sessions[id] else { return }
        switch session.phase {
        // One that was asked for before these mounts were.
        case .preRun, .running, .mounting, .ready: break
        default: change(id, at: now) { $0.mayBeMounted = false }
        }
        switch session.phase {
        case .postRun(let step) where step.operation == operation: ranPost(id, trouble: trouble, at: now)
        case .ending(.unmounting(let step)) where step.operation == operation:
            if let trouble { noteTrouble(id, trouble, at: now) }
            quarantineForEnding(id, at: now)
        default: if let trouble { noteTrouble(id, trouble, at: now) }
        }
    }

    /// A mount that is busy was detached lazily: the job has ended, and its results can be copied.
    mutating func ranPost(_ id: SessionID, trouble: String?, at now: Timestamp) {
        change(id, at: now) {
            $0.phase = .ranPost
            $0.activations = []
        }
        if let trouble { noteTrouble(id, trouble, at: now) }
        answer([.postRun], of: id, .done)
    }

    mutating func noteTrouble(_ id: SessionID, _ text: String, at now: Timestamp) {
        log(.error, sessions[id], text)
        change(id, at: now) { $0.lastError = StagerText.failure(text) }
    }
}
