package import BurstModel

/// The stager behind `dw_wlm_cli` as a value: sessions, their space and their copies. Events go in, records and effects
/// come out; no clock, file, thread or chance inside: the same events at the same times give the same decisions.
///
/// Every verb may come twice, in any order that a restart of slurmctld can give, and from a client that reconnects
/// after a restart of ours: a call that finds its work under way waits for it, one that finds it done says so.
package struct Stager: Sendable {
    package internal(set) var settings: StagerSettings
    /// In the order in which they are configured.
    package internal(set) var pools: [StagerPool] = []
    package internal(set) var sessions = SessionTable()
    /// Of those that copy anything.
    package internal(set) var plans: [SessionID: String] = [:]
    package internal(set) var quarantine: [SessionID: QuarantinedBuffer] = [:]
    package internal(set) var tombstones: [String: Tombstone] = [:]
    package internal(set) var generationFloor: UInt64 = 0
    package internal(set) var nextID: UInt64 = 1

    // What follows from the above.
    /// Oldest first; the last one may be listed, those before it are on their way out.
    var byToken: [String: [SessionID]] = [:]
    package internal(set) var use: [String: PoolUse] = [:]
    /// Who uses a persistent buffer.
    var users: [SessionID: Set<SessionID>] = [:]
    var waitingForSpace: Set<SessionID> = []
    /// Tokens by the time of their tombstone, for trimming.
    var buried: [Tombstone] = []

    // Of this life of the process alone.
    /// Workers that may be alive, and whose they are or were.
    package internal(set) var workers: [WorkerID: SessionID] = [:]
    /// What the outside was asked to do for a session. One that no phase waits for is only looked at for trouble.
    var operations: [OperationID: SessionID] = [:]
    var waiters: [SessionID: [Waiter]] = [:]
    /// Where a request waits.
    var waitsAt: [StagerRequest: SessionID] = [:]
    /// Of removals under way.
    var removalFailures: [SessionID: Int] = [:]
    /// Failures that are told late (staging.md §0, fact 4).
    var lateAnswers: [StagerRequest: StagerAnswer] = [:]
    /// Tokens whose teardown failed, and when.
    var failingTeardowns: [String: Timestamp] = [:]
    var timers = StagerTimers()
    var wakeAnnounced: Timestamp?

    // Of the step under way.
    var out = StagerDecision()
    var dirty: Set<SessionID> = []
    /// Who is listed now, or no more.
    var listed: Set<SessionID> = []
    var isListedAnew = false
    var isSomethingChanged = false
    var idBefore: UInt64 = 1

    struct Waiter: Hashable, Sendable {
        enum Verb: Hashable, Sendable { case setup, create, dataIn, preRun, postRun, dataOut, teardown }

        var request: StagerRequest
        var verb: Verb
    }

    /// What the store kept.
    package struct Recovered: Sendable {
        package var pools: [StagerPool] = []
        package var sessions: [StagerSession] = []
        package var plans: [SessionID: String] = [:]
        package var quarantine: [QuarantinedBuffer] = []
        package var tombstones: [Tombstone] = []
        package var generationFloor: UInt64 = 0
        package var nextID: UInt64 = 1

        package init() {}
    }

    package init(settings: StagerSettings, recovered: Recovered = Recovered()) {
        self.settings = settings
        pools = recovered.pools
        generationFloor = recovered.generationFloor
        nextID = recovered.nextID
        plans = recovered.plans
        buried = recovered.tombstones.sorted { ($0.at, $0.key.token) < ($1.at, $1.key.token) }
        tombstones = Dictionary(uniqueKeysWithValues: buried.map { ($0.key.token, $0) })
        for session in recovered.sessions.sorted(by: { $0.id < $1.id }) { put(session, before: nil) }
        for buffer in recovered.quarantine {
            quarantine[buffer.id] = buffer
            for instance in buffer.instances { use[instance.pool, default: PoolUse()].quarantined += instance.granules }
        }
    }

    /// Decides. The records must be durable before any of the effects starts.
    package mutating func step(_ event: StagerEvent, at now: Timestamp) -> StagerDecision {
        out = StagerDecision()
        idBefore = nextID
        if let announced = wakeAnnounced, announced <= now { wakeAnnounced = nil }
        switch event {
        case .started(let workers): recover(workers, at: now)
        case .verb(let request, let verb, let caller): perform(verb, by: caller, request, at: now)
        case .clientGone(let request): forgetClient(request)
        case .allocated(let operation, let failure): allocated(operation, failure: failure, at: now)
        case .activated(let operation, let failure): activated(operation, failure: failure, at: now)
        case .deactivated(let operation, let trouble): deactivated(operation, trouble: trouble, at: now)
        case .quarantined(let operation, let failure): quarantined(operation, failure: failure, at: now)
        case .removed(let operation, let failure): removed(operation, failure: failure, at: now)
        case .workerProgress(let worker, let report): workerReported(worker, report, at: now)
        case .workerEnded(let worker, let end): workerEnded(worker, end, at: now)
        case .pools(let pools): configure(pools, at: now)
        case .poolState(let pool, let state): setState(state, ofPool: pool, at: now)
        case .contentsLost(let pool, let why): loseContents(ofPool: pool, why, at: now)
        case .configured(let settings): self.settings = settings
        case .tick: break
        }
        while let key = timers.popDue(at: now) { due(key, at: now) }
        return finish()
    }

    // MARK: Bookkeeping

    /// A number that nothing had before.
    mutating func newID() -> UInt64 {
        defer { nextID += 1 }
        return nextID
    }

    mutating func newOperation(for session: SessionID) -> OperationID {
        let operation = OperationID(newID())
        operations[operation] = session
        return operation
    }

    /// The session that Slurm means by the token.
    package func current(_ token: String) -> StagerSession? {
        guard let id = byToken[token]?.last, let session = sessions[id], session.isListed else { return nil }
        return session
    }

    /// The youngest of the token that is on its way out.
    func leaving(_ token: String) -> StagerSession? {
        byToken[token]?.last.flatMap { sessions[$0] }.flatMap { $0.isListed ? nil : $0 }
    }

    /// There was a session of the token, and it was torn down.
    func wasTornDown(_ token: String) -> Bool { tombstones[token] != nil || leaving(token) != nil }

    func pool(_ id: String) -> StagerPool? { pools.first { $0.id == id } }

    func free(_ pool: StagerPool) -> UInt64 { use[pool.id, default: PoolUse()].free(of: pool) }

    /// Changes a session; what a change means for records, sums and the history is noted here and nowhere else.
    mutating func change(_ id: SessionID, at now: Timestamp, _ body: (inout StagerSession) -> Void) {
        guard let before = sessions[id] else { return }
        var session = before
        body(&session)
        guard session != before else { return }
        put(session, before: before)
        dirty.insert(id)
        noteEntered(session, before: before, at: now)
    }

    mutating func add(_ session: StagerSession, plan: String = "", at now: Timestamp) {
        put(session, before: nil)
        if !plan.isEmpty {
            plans[session.id] = plan
            out.records.append(.plan(session.id, plan))
        }
        dirty.insert(session.id)
        noteEntered(session, before: nil, at: now)
    }

    private mutating func noteEntered(_ session: StagerSession, before: StagerSession?, at now: Timestamp) {
        isSomethingChanged = true
        if session.isListed != (before?.isListed ?? false) { listed.insert(session.id) }
        guard session.phaseName != before?.phaseName else { return }
        out.records.append(.entered(session.id, token: session.token, phase: session.phaseName, at: now))
    }

    private mutating func put(_ session: StagerSession, before: StagerSession?) {
        sessions[session.id] = session
        charge(before, session)
        if before == nil { byToken[session.token, default: []].append(session.id) }
        if before?.registrations != session.registrations {
            for registration in before?.registrations ?? [] { users[registration.of]?.remove(session.id) }
            for registration in session.registrations where registration.of != session.id {
                users[registration.of, default: []].insert(session.id)
            }
        }
        if session.isCharged { waitingForSpace.remove(session.id) } else { waitingForSpace.insert(session.id) }
    }

    private mutating func charge(_ before: StagerSession?, _ after: StagerSession?) {
        if let before, let after, before.isCharged == after.isCharged, before.instances == after.instances { return }
        if let before, before.isCharged {
            for instance in before.instances { use[instance.pool, default: PoolUse()].live -= instance.granules }
        }
        if let after, after.isCharged {
            for instance in after.instances { use[instance.pool, default: PoolUse()].live += instance.granules }
        }
    }

    /// The session is no more; a tombstone tells of it.
    mutating func forget(_ id: SessionID, at now: Timestamp) {
        guard let session = sessions.removeValue(forKey: id) else { return }
        plans[id] = nil
        charge(session, nil)
        byToken[session.token]?.removeAll { $0 == id }
        if byToken[session.token]?.isEmpty == true { byToken[session.token] = nil }
        waitingForSpace.remove(id)
        users[id] = nil
        dirty.remove(id)
        if session.isListed { listed.insert(id) }
        isSomethingChanged = true
        out.records.append(.forgetSession(id))
        out.records.append(.entered(id, token: session.token, phase: "gone", at: now))
        bury(session.key, at: now)
        for registration in session.registrations where registration.of != id {
            users[registration.of]?.remove(id)
            userLeft(registration.of, at: now)
        }
    }

    /// Counts generations on: a token without a tombstone begins behind all that were forgotten.
    func nextGeneration(of token: String) -> UInt64 {
        let living = byToken[token]?.compactMap { sessions[$0]?.key.generation }.max() ?? 0
        return max(living, tombstones[token]?.key.generation ?? generationFloor) + 1
    }

    private mutating func bury(_ key: SessionKey, at now: Timestamp) {
        let tombstone = Tombstone(key: key, at: now)
        if let older = tombstones[key.token], older.key.generation > key.generation { return }
        tombstones[key.token] = tombstone
        buried.append(tombstone)
        out.records.append(.tombstone(tombstone))
        trimTombstones(at: now)
    }

    private mutating func trimTombstones(at now: Timestamp) {
        let oldest = now.adding(seconds: -StagerLimits.tombstoneSeconds)
        var count = 0
        while count < buried.count, tombstones.count > StagerLimits.tombstonesMax || buried[count].at < oldest {
            let tombstone = buried[count]
            count += 1
            // A younger one of the same token stands in its place already.
            guard tombstones[tombstone.key.token] == tombstone else { continue }
            tombstones[tombstone.key.token] = nil
            out.records.append(.forgetTombstone(token: tombstone.key.token))
            if tombstone.key.generation > generationFloor {
                generationFloor = tombstone.key.generation
                out.records.append(.generationFloor(generationFloor))
            }
        }
        if count > 0 { buried.removeFirst(count) }
    }

    mutating func log(_ level: StagerLogLine.Level, _ session: StagerSession?, _ text: String) {
        out.effects.append(
            .log(StagerLogLine(level: level, session: session?.id, token: session?.token, text: text)))
    }

    // MARK: Clients

    mutating func answer(_ request: StagerRequest, _ answer: StagerAnswer) {
        out.effects.append(.answer(request, answer))
    }

    mutating func wait(_ request: StagerRequest, _ verb: Waiter.Verb, for id: SessionID) {
        waiters[id, default: []].append(Waiter(request: request, verb: verb))
        waitsAt[request] = id
    }

    /// Answers those who wait for one of the verbs.
    mutating func answer(_ verbs: Set<Waiter.Verb>, of id: SessionID, _ answer: StagerAnswer) {
        guard let waiting = waiters[id] else { return }
        for waiter in waiting where verbs.contains(waiter.verb) {
            waitsAt[waiter.request] = nil
            self.answer(waiter.request, answer)
        }
        let rest = waiting.filter { !verbs.contains($0.verb) }
        waiters[id] = rest.isEmpty ? nil : rest
    }

    /// Nobody waits for the request's answer any more. Nothing of that is recorded, and no time passes.
    package mutating func forgetClient(_ request: StagerRequest) {
        lateAnswers[request] = nil
        guard let id = waitsAt.removeValue(forKey: request) else { return }
        waiters[id]?.removeAll { $0.request == request }
        if waiters[id]?.isEmpty == true { waiters[id] = nil }
    }

    // MARK: Time

    private mutating func due(_ key: StagerTimers.Key, at now: Timestamp) {
        switch key {
        case .session(let id): sessionDue(id, at: now)
        case .quarantined(let id):
            if case .again(let at, _) = quarantine[id]?.removal, at <= now { remove(id, at: now) }
        case .answer(let request):
            if let late = lateAnswers.removeValue(forKey: request) { answer(request, late) }
        case .teardown(let request):
            // Whatever is still to do: a teardown does not fail.
            guard let id = waitsAt[request], let waiter = waiters[id]?.first(where: { $0.request == request }) else {
                return
            }
            waitsAt[request] = nil
            waiters[id]?.removeAll { $0 == waiter }
            answer(request, .done)
        }
    }

    private mutating func sessionDue(_ id: SessionID, at now: Timestamp) {
        guard let session = sessions[id] else { return }
        switch session.phase {
        case .waitingForSpace(let until):
            if until <= now { failSetup(id, spaceText(session), at: now) }
        case .allocating(let step), .mounting(let step):
            if step.until <= now { failSetup(id, "not ready after \(settings.setupLimit) s", at: now) }
        case .preRun(let step):
            if step.until <= now { failPreRun(id, "mounts not ready after \(settings.preRunLimit) s", at: now) }
        case .postRun(let step):
            if step.until <= now { ranPost(id, trouble: "unmounting took too long", at: now) }
        case .stagingIn(let work), .stagingOut(let work), .saving(let work): workDue(id, work, at: now)
        case .ending(let ending): endingDue(id, ending, at: now)
        case .ready, .stageInFailed, .stagedIn, .running, .ranPost, .stageOutFailed, .stagedOut, .savingFailed, .lost:
            break
        }
    }

    // MARK: The end of a step

    private mutating func finish() -> StagerDecision {
        for id in dirty.sorted() {
            guard var session = sessions[id] else { continue }
            session.progress = session.progress?.kept
            out.records.append(.session(session))
        }
        dirty.removeAll(keepingCapacity: true)
        if nextID != idBefore { out.records.append(.nextID(nextID)) }
        if isListedAnew || isSomethingChanged || !listed.isEmpty {
            // First of all: whoever is answered may ask for the list the next moment.
            let lists = isListedAnew ? [.listAll] : listed.sorted().map { StagerEffect.list($0) }
            out.effects.insert(contentsOf: lists + [.writeSnapshot], at: 0)
            listed.removeAll(keepingCapacity: true)
            isListedAnew = false
            isSomethingChanged = false
        }
        if let first = timers.first, wakeAnnounced.map({ first < $0 }) ?? true {
            wakeAnnounced = first
            out.effects.append(.wake(first))
        }
        let decision = out
        out = StagerDecision()
        return decision
    }
}
