import BurstModel

/// How a session begins: setup and create_persistent.
extension Stager {
    mutating func setUp(_ order: SetupOrder, _ request: StagerRequest, at now: Timestamp) {
        guard StagerName.isValid(order.token) else {
            return answer(
                request, .failed("the token is no name of [A-Za-z0-9_.-], at most \(StagerName.charactersMax)"))
        }
        if let text = whyNoOrder(order) { return answer(request, .failed(text)) }
        if let session = current(order.token) {
            guard !session.isPersistent, isSame(session, order) else {
                let text = "token \(order.token) has another session already: tear that down first"
                return answer(request, .failed(text))
            }
            return answerSetupAgain(session, .setup, request)
        }
        guard sessions.count < StagerLimits.sessionsMax else {
            return answer(request, .failed("\(StagerLimits.sessionsMax) sessions exist: no more are possible"))
        }
        var buffers: [StagerSession] = []
        for name in order.persistent where !buffers.contains(where: { $0.token == name }) {
            guard let buffer = current(name), buffer.isPersistent, case .ready = buffer.phase else {
                let shown = StagerName.isValid(name) ? " \(name)" : ""
                return answer(request, .failed("persistent buffer\(shown) does not exist"))
            }
            guard mayUse(buffer, order.owner) else {
                return answer(request, .failed("persistent buffer \(name): permission denied"))
            }
            buffers.append(buffer)
        }
        if let text = whyNoSpace(order.space) { return answer(request, .failed(text)) }
        var session = StagerSession(
            id: SessionID(newID()),
            key: SessionKey(token: order.token, generation: nextGeneration(of: order.token)),
            owner: order.owner, creator: order.creator, created: now, plan: order.plan.lines,
            phase: .waitingForSpace(until: now.adding(seconds: settings.setupLimit)))
        session.instances = newInstances(order.space)
        for configuration in session.instances.flatMap(\.configurations) {
            session.registrations.append(
                StagerSession.Registration(id: newID(), configuration: configuration.id, of: session.id))
        }
        for buffer in buffers {
            for configuration in buffer.instances.flatMap(\.configurations) {
                session.registrations.append(
                    StagerSession.Registration(id: newID(), configuration: configuration.id, of: buffer.id))
            }
        }
        add(session, plan: order.plan.text, at: now)
        wait(request, .setup, for: session.id)
        admit(session.id, at: now)
    }

    mutating func create(_ order: CreateOrder, _ request: StagerRequest, at now: Timestamp) {
        guard StagerName.isValid(order.name) else {
            return answer(
                request, .failed("the name must be of [A-Za-z0-9_.-], at most \(StagerName.charactersMax) of them"))
        }
        guard !StagerName.isJobToken(order.name) else {
            return answer(request, .failed("name \(order.name) begins with a digit, as only jobs do"))
        }
        if let creators = settings.persistentCreators, !creators.contains(order.owner.uid) {
            return answer(request, .failed("user \(order.owner.uid) may not create persistent buffers here"))
        }
        guard order.space.access == [.striped] else {
            return answer(request, .failed("a persistent buffer must have access_mode=striped and nothing else"))
        }
        guard order.space.bytes > 0 else { return answer(request, .failed("capacity is 0: say how much is wanted")) }
        if let session = current(order.name) {
            // Nobody is told whose it is.
            guard session.isPersistent, session.owner.uid == order.owner.uid, isSame(session, [order.space]) else {
                return answer(request, .failed("a buffer named \(order.name) exists already"))
            }
            return answerSetupAgain(session, .create, request)
        }
        guard sessions.count < StagerLimits.sessionsMax else {
            return answer(request, .failed("\(StagerLimits.sessionsMax) sessions exist: no more are possible"))
        }
        if let text = whyNoSpace([order.space]) { return answer(request, .failed(text)) }
        var session = StagerSession(
            id: SessionID(newID()), key: SessionKey(token: order.name, generation: nextGeneration(of: order.name)),
            owner: order.owner, creator: .cli, created: now, plan: SessionPlan.Lines(),
            phase: .waitingForSpace(until: now.adding(seconds: settings.setupLimit)))
        session.persistent = StagerSession.Persistent(access: order.access ?? settings.persistentAccess)
        session.instances = newInstances([order.space])
        add(session, at: now)
        wait(request, .create, for: session.id)
        admit(session.id, at: now)
    }

    /// What no site has room for.
    private func whyNoOrder(_ order: SetupOrder) -> String? {
        if order.persistent.count > StagerLimits.persistentPerJobMax {
            return "\(order.persistent.count) persistent buffers, \(StagerLimits.persistentPerJobMax) are possible"
        }
        if order.space.count > StagerLimits.spacePerJobMax {
            return "\(order.space.count) requests for space, \(StagerLimits.spacePerJobMax) are possible"
        }
        if order.plan.text.utf8.count > StagerLimits.planBytesMax {
            return "the plan has \(order.plan.text.utf8.count) bytes, \(StagerLimits.planBytesMax) are possible"
        }
        for request in order.space where request.access.isEmpty || Set(request.access).count < request.access.count {
            return "a request for space in \(request.pool) must name each access mode once, and at least one"
        }
        return nil
    }

    private mutating func newInstances(_ space: [SpaceRequest]) -> [StagerSession.Instance] {
        space.compactMap { request in
            guard request.bytes > 0, let pool = pool(request.pool) else { return nil }
            let granules = pool.granules(for: request.bytes)
            return StagerSession.Instance(
                id: newID(), pool: pool.id, asked: request.bytes, granules: granules,
                bytes: granules * pool.granularity, fragment: newID(),
                configurations: request.access.map {
                    StagerSession.Configuration(id: newID(), access: $0, namespace: newID())
                })
        }
    }

    /// What setup was asked before, whatever became of it since.
    private func isSame(_ session: StagerSession, _ order: SetupOrder) -> Bool {
        let users = session.registrations.map(\.of).filter { $0 != session.id }
        let names = Set(users.compactMap { sessions[$0]?.token })
        return session.owner.uid == order.owner.uid && session.owner.gid == order.owner.gid
            && session.plan == order.plan.lines && plans[session.id] ?? "" == order.plan.text
            && isSame(session, order.space) && names == Set(order.persistent)
    }

    private func isSame(_ session: StagerSession, _ space: [SpaceRequest]) -> Bool {
        let asked = space.filter { $0.bytes > 0 }
        return session.instances.count == asked.count
            && zip(session.instances, asked).allSatisfy {
                $0.pool == $1.pool && $0.asked == $1.bytes && $0.configurations.map(\.access) == $1.access
            }
    }

    private mutating func answerSetupAgain(
        _ session: StagerSession, _ verb: Waiter.Verb, _ request: StagerRequest
    ) {
        switch session.phase {
        case .waitingForSpace, .allocating, .mounting: wait(request, verb, for: session.id)
        case .lost: answer(request, .failed(lostText(session)))
        case .ready, .stagingIn, .stageInFailed, .stagedIn, .preRun, .running, .postRun, .ranPost, .stagingOut,
            .stageOutFailed, .stagedOut, .saving, .savingFailed, .ending:
            answer(request, setUpAnswer(verb))
        }
    }

    /// Slurm looks for the word `created` (staging.md §1.2).
    private func setUpAnswer(_ verb: Waiter.Verb) -> StagerAnswer {
        verb == .create ? StagerAnswer(status: 0, text: "created") : .done
    }

    // MARK: Space

    /// Granules wanted of each pool.
    private func wanted(_ space: [SpaceRequest]) -> [String: UInt64] {
        var wanted: [String: UInt64] = [:]
        for request in space where request.bytes > 0 {
            guard let pool = pool(request.pool) else { continue }
            let (sum, isOver) = wanted[pool.id, default: 0].addingReportingOverflow(pool.granules(for: request.bytes))
            wanted[pool.id] = isOver ? .max : sum
        }
        return wanted
    }

    /// Nil: it can be had, now or when a removal under way is over. Slurm counts space free as soon as a teardown is
    /// answered, so it asks before the removal is over.
    private func whyNoSpace(_ space: [SpaceRequest]) -> String? {
        for request in space where request.bytes > 0 {
            guard let pool = pool(request.pool) else { return unknownPool(request.pool) }
            if case .unavailable(let why) = pool.state { return "pool \(pool.id) is not available: \(why)" }
        }
        let wanted = wanted(space)
        for pool in pools {
            guard let granules = wanted[pool.id], granules > free(pool) else { continue }
            let (sum, isOver) = free(pool).addingReportingOverflow(comingBack(pool.id))
            guard !isOver, granules > sum else { continue }
            return "pool \(pool.id): \(size(granules, of: pool)) are wanted, \(size(free(pool), of: pool)) are free"
        }
        return nil
    }

    /// Granules that are on their way back.
    private func comingBack(_ pool: String) -> UInt64 {
        let ending = sessions.values.lazy.filter { session in
            switch session.phase {
            case .ending(.waitingForUsers), .savingFailed: false
            case .ending, .saving: true
            default: false
            }
        }
        return ending.reduce(use[pool, default: PoolUse()].quarantined) { $0 + $1.granules(in: pool) }
    }

    /// Takes the space if it is there now; else the session waits.
    mutating func admit(_ id: SessionID, at now: Timestamp) {
        guard let session = sessions[id], case .waitingForSpace(let until) = session.phase else { return }
        var wanted: [String: UInt64] = [:]
        for instance in session.instances { wanted[instance.pool, default: 0] += instance.granules }
        let fits = wanted.allSatisfy { name, granules in
            pool(name).map { $0.isAvailable && free($0) >= granules } ?? false
        }
        guard fits else { return timers.add(until, .session(id)) }
        guard !session.instances.isEmpty else {
            change(id, at: now) { $0.phase = .ready }
            return answer([.setup, .create], of: id, .done)
        }
        allocate(id, until: until, at: now)
    }

    mutating func allocate(_ id: SessionID, until: Timestamp, at now: Timestamp) {
        guard let session = sessions[id] else { return }
        let step = StagerSession.Step(operation: newOperation(for: id), until: until)
        change(id, at: now) { $0.phase = .allocating(step) }
        timers.add(until, .session(id))
        out.effects.append(
            .allocate(
                AllocationOrder(
                    operation: step.operation, session: id, key: session.key, owner: session.owner,
                    instances: session.instances, access: session.persistent?.access)))
    }

    /// Space came back: who waits is served in the order of coming, and a smaller wish does not wait for a larger one.
    mutating func admitWaiting(at now: Timestamp) {
        for id in waitingForSpace.sorted() { admit(id, at: now) }
    }

    func spaceText(_ session: StagerSession) -> String {
        let parts = session.instances.compactMap { instance -> String? in
            guard let pool = pool(instance.pool) else { return nil }
            return "pool \(pool.id): \(IECSize.text(instance.bytes)) are wanted, \(size(free(pool), of: pool)) are free"
        }
        return parts.joined(separator: "; ") + " after \(settings.setupLimit) s"
    }

    mutating func allocated(_ operation: OperationID, failure: String?, at now: Timestamp) {
        guard let id = operations.removeValue(forKey: operation), let session = sessions[id],
            case .allocating(let step) = session.phase, step.operation == operation
        else { return }
        if let failure { return failSetup(id, failure, at: now) }
        if session.isPersistent {
            let step = StagerSession.Step(operation: newOperation(for: id), until: step.until)
            change(id, at: now) {
                $0.phase = .mounting(step)
                $0.mayBeMounted = true
            }
            timers.add(step.until, .session(id))
            return out.effects.append(.activate(mountOrder(session, step.operation)))
        }
        change(id, at: now) { $0.phase = .ready }
        answer([.setup], of: id, .done)
    }

    mutating func persistentMounted(_ id: SessionID, failure: String?, at now: Timestamp) {
        if let failure { return failSetup(id, failure, at: now) }
        change(id, at: now) { $0.phase = .ready }
        answer([.create], of: id, StagerAnswer(status: 0, text: "created"))
    }

    /// A failed setup leaves nothing behind that anybody would have to tear down.
    mutating func failSetup(_ id: SessionID, _ text: String, at now: Timestamp) {
        guard let session = sessions[id] else { return }
        log(.error, session, "setup failed: \(text)")
        answer([.setup, .create], of: id, .failed(text))
        if !session.isCharged { return forget(id, at: now) }
        change(id, at: now) { $0.lastError = StagerText.failure(text) }
        beginEnding(id, at: now)
    }
}
