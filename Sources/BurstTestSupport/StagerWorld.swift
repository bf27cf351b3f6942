package import BurstModel
package import BurstStager

/// Everything around a stager, as values in simulated time: a disk that keeps what was persisted, folders, mounts and
/// copy workers that take as long and fail as they are told, clients, and crashes between any two steps.
///
/// Faults we claim to survive: the daemon dying before a decision is durable, after it and before any effect, and
/// between any two effects, with whatever it was doing for a session done or not; clients that go away at any time and
/// call again; workers that fail for good or for a while, die, hang, or end while no daemon runs; allocations, mounts,
/// renames and removals that fail or take long; pools that go away and come back, and pools that forget. Not modelled:
/// a disk that forgets what it acknowledged.
package final class StagerWorld {
    /// How the outside takes an order.
    package struct Plan {
        package var milliseconds: Int64
        package var failure: String?

        package init(milliseconds: Int64 = 20, failure: String? = nil) {
            self.milliseconds = milliseconds
            self.failure = failure
        }
    }

    package struct WorkerPlan {
        package enum End { case complete, failed(String, isTransient: Bool), dies }

        package var milliseconds: Int64
        package var end: End
        /// How long it does not heed a stop.
        package var hangsMilliseconds: Int64

        package init(milliseconds: Int64 = 1000, end: End = .complete, hangsMilliseconds: Int64 = 0) {
            self.milliseconds = milliseconds
            self.end = end
            self.hangsMilliseconds = hangsMilliseconds
        }
    }

    /// What was made durable.
    package struct Disk {
        package var sessions: [SessionID: StagerSession] = [:]
        package var plans: [SessionID: String] = [:]
        package var quarantine: [SessionID: QuarantinedBuffer] = [:]
        package var pools: [String: StagerPool] = [:]
        package var tombstones: [String: Tombstone] = [:]
        package var generationFloor: UInt64 = 0
        package var nextID: UInt64 = 1

        package mutating func keep(_ records: [StagerRecord]) {
            for record in records {
                switch record {
                case .session(let session): sessions[session.id] = session
                case .plan(let id, let text): plans[id] = text
                case .forgetSession(let id):
                    sessions[id] = nil
                    plans[id] = nil
                case .quarantined(let buffer): quarantine[buffer.id] = buffer
                case .forgetQuarantined(let id): quarantine[id] = nil
                case .pool(let pool): pools[pool.id] = pool
                case .forgetPool(let id): pools[id] = nil
                case .tombstone(let tombstone): tombstones[tombstone.key.token] = tombstone
                case .forgetTombstone(let token): tombstones[token] = nil
                case .generationFloor(let floor): generationFloor = floor
                case .nextID(let id): nextID = id
                case .entered: break
                }
            }
        }

        package var recovered: Stager.Recovered {
            var recovered = Stager.Recovered()
            recovered.sessions = sessions.values.sorted { $0.id < $1.id }
            recovered.plans = plans
            recovered.quarantine = quarantine.values.sorted { $0.id < $1.id }
            recovered.pools = pools.values.sorted { $0.id < $1.id }
            recovered.tombstones = tombstones.values.sorted { $0.key.token < $1.key.token }
            recovered.generationFloor = generationFloor
            recovered.nextID = nextID
            return recovered
        }
    }

    /// Where a crash cuts.
    package enum CrashPoint: Hashable {
        case beforeRecords, beforeEffects
        /// After so many effects.
        case afterEffects(Int)
    }

    /// A copy that runs, whoever of us lives.
    package struct Running {
        package var session: SessionID
        package var direction: StageDirection
        package var started: Timestamp
        package var end: Timestamp
        package var how: WorkerPlan.End
        var hangsMilliseconds: Int64
        var isStopped = false
    }

    private enum Thing {
        case event(StagerEvent)
        /// Something is done for a session, and then told.
        case work(SessionID, StagerEffect, Plan)
        case workerEnds(WorkerID)
        case action(() -> Void)
    }

    package var settings: StagerSettings
    package var configured: [StagerPool]
    package private(set) var stager: Stager
    package private(set) var now: Timestamp
    package private(set) var disk = Disk()
    package private(set) var running: [WorkerID: Running] = [:]
    /// Folders that exist: of a session, in its pools. What is renamed away is still one.
    package private(set) var folders: [SessionID: [StagerSession.Instance]] = [:]
    /// Sessions whose mounts are made.
    package private(set) var mounted: Set<SessionID> = []
    /// Whole copies: the complete mark was written, whoever was told.
    package private(set) var copied: Set<Copied> = []
    package private(set) var decisions = 0
    package private(set) var crashes = 0
    package var nextCrash: CrashPoint?
    /// The stager of this life has seen its start: before, it only knows what the disk has.
    package private(set) var hasStarted = false

    package struct Copied: Hashable {
        package var session: SessionID
        package var direction: StageDirection

        package init(session: SessionID, direction: StageDirection) {
            self.session = session
            self.direction = direction
        }
    }

    /// How an order to the outside goes; by default well, after 20 ms.
    package var plan: (StagerEffect) -> Plan = { _ in Plan() }
    package var workerPlan: (WorkerOrder) -> WorkerPlan = { _ in WorkerPlan() }
    /// Sees each decision when its records are durable, before its effects.
    package var watch: ([StagerRecord], [StagerEffect]) -> Void = { _, _ in }
    package var answered: (StagerRequest, StagerAnswer) -> Void = { _, _ in }
    /// The daemon is there again: clients may call.
    package var restarted: () -> Void = {}
    /// Whether what was under way at a crash was done.
    package var isDoneAtCrash: () -> Bool = { true }

    private var coming: [(at: Timestamp, order: Int, life: Int?, thing: Thing)] = []
    private var order = 0
    private var nextRequest: UInt64 = 1
    /// What is done for a session is done in order.
    private var busyUntil: [SessionID: Timestamp] = [:]

    package init(
        settings: StagerSettings = StagerSettings(), pools: [StagerPool],
        at start: Timestamp = Timestamp(seconds: 1_800_000_000)
    ) {
        self.settings = settings
        configured = pools
        now = start
        stager = Stager(settings: settings)
    }

    package func begin() {
        send(.pools(configured))
        send(.started(workers: [:]))
    }

    // MARK: Clients

    @discardableResult
    package func call(
        _ verb: StagerVerb, by caller: StagerCaller = StagerCaller(uid: 0, isOperator: true)
    ) -> StagerRequest {
        let request = StagerRequest(nextRequest)
        nextRequest += 1
        // As a client that connects a moment later: its request has a name before it can be answered.
        schedule(.event(.verb(request, verb, caller)), at: now, life: crashes)
        return request
    }

    package func hangUp(_ request: StagerRequest) { send(.clientGone(request)) }

    package func at(_ time: Timestamp, _ action: @escaping () -> Void) {
        schedule(.action(action), at: time, life: nil)
    }

    // MARK: Time

    package func run(until end: Timestamp) {
        while let index = firstComing(until: end) {
            let item = coming.remove(at: index)
            now = max(now, item.at)
            switch item.thing {
            case .event(let event): send(event)
            case .work(let session, let effect, let plan): finish(session, effect, plan)
            case .workerEnds(let worker): workerEnds(worker)
            case .action(let action): action()
            }
        }
        now = max(now, end)
    }

    package func run(seconds: Int) { run(until: now.adding(seconds: seconds)) }

    private func firstComing(until end: Timestamp) -> Int? {
        var best: Int?
        for (index, item) in coming.enumerated() where item.at <= end {
            if let current = best, (coming[current].at, coming[current].order) < (item.at, item.order) { continue }
            best = index
        }
        return best
    }

    private func schedule(_ thing: Thing, at: Timestamp, life: Int?) {
        order += 1
        coming.append((at, order, life, thing))
    }

    package func send(_ event: StagerEvent) {
        let decision = stager.step(event, at: now)
        if case .started = event { hasStarted = true }
        decisions += 1
        let crash = nextCrash
        nextCrash = nil
        if crash == .beforeRecords { return restart() }
        disk.keep(decision.records)
        watch(decision.records, decision.effects)
        if crash == .beforeEffects { return restart() }
        let life = crashes
        for (index, effect) in decision.effects.enumerated() {
            if crash == .afterEffects(index) { return restart() }
            perform(effect)
            // A client that is answered may have brought the daemon down by what it did next.
            if crashes != life { return }
        }
        if case .afterEffects = crash { restart() }
    }

    /// The daemon dies and starts anew from the disk. Copies go on.
    package func restart() {
        crashes += 1
        for item in coming {
            guard let life = item.life, life < crashes else { continue }
            if case .work(let session, let effect, let plan) = item.thing, plan.failure == nil, isDoneAtCrash() {
                carryOut(session, effect)
            }
        }
        coming.removeAll { $0.life != nil }
        busyUntil.removeAll()
        let down = now.adding(milliseconds: 700)
        // Workers may end meanwhile; nobody is told.
        let life = crashes
        while let index = firstComing(until: down), case .workerEnds(let worker) = coming[index].thing {
            now = max(now, coming.remove(at: index).at)
            endQuietly(worker)
        }
        now = max(now, down)
        stager = Stager(settings: settings, recovered: disk.recovered)
        hasStarted = false
        send(.pools(configured))
        guard crashes == life else { return }
        send(.started(workers: running.mapValues(\.session)))
        guard crashes == life else { return }
        restarted()
    }

    /// The machine was restarted: no worker lives, no mount is left, and pools in memory are empty.
    package func reboot(losing pool: String?) {
        running.removeAll()
        mounted.removeAll()
        coming.removeAll { if case .workerEnds = $0.thing { true } else { false } }
        if let pool {
            for (id, instances) in folders where instances.contains(where: { $0.pool == pool }) { folders[id] = nil }
        }
        restart()
        if let pool { send(.contentsLost(pool: pool, why: "pool \(pool) is in memory and the machine was restarted")) }
    }

    // MARK: Effects

    private func perform(_ effect: StagerEffect) {
        switch effect {
        case .answer(let request, let answer): answered(request, answer)
        case .allocate(let order): begin(order.session, effect)
        case .activate(let order), .deactivate(let order): begin(order.session, effect)
        case .quarantine(let order), .remove(let order): begin(order.session, effect)
        case .startWorker(let order): startWorker(order)
        case .stopWorker(let worker): stop(worker)
        case .wake(let time): schedule(.event(.tick), at: max(now, time), life: crashes)
        case .throttle, .grant, .list, .listAll, .writeSnapshot, .log: break
        }
    }

    private func begin(_ session: SessionID, _ effect: StagerEffect) {
        let plan = plan(effect)
        let start = max(now, busyUntil[session] ?? now)
        let end = start.adding(milliseconds: plan.milliseconds)
        busyUntil[session] = end
        schedule(.work(session, effect, plan), at: end, life: crashes)
    }

    private func carryOut(_ session: SessionID, _ effect: StagerEffect) {
        switch effect {
        case .allocate(let order): folders[session] = order.instances
        case .activate: mounted.insert(session)
        case .deactivate: mounted.remove(session)
        case .quarantine: break
        case .remove: folders[session] = nil
        case .answer, .startWorker, .stopWorker, .throttle, .grant, .list, .listAll, .writeSnapshot, .wake, .log: break
        }
    }

    private func finish(_ session: SessionID, _ effect: StagerEffect, _ plan: Plan) {
        if plan.failure == nil { carryOut(session, effect) }
        switch effect {
        case .allocate(let order):
            // Half of it may be there.
            if plan.failure != nil { folders[session] = order.instances }
            send(.allocated(order.operation, failure: plan.failure))
        case .activate(let order): send(.activated(order.operation, failure: plan.failure))
        case .deactivate(let order):
            // Detached lazily.
            mounted.remove(session)
            send(.deactivated(order.operation, trouble: plan.failure))
        case .quarantine(let order): send(.quarantined(order.operation, failure: plan.failure))
        case .remove(let order): send(.removed(order.operation, failure: plan.failure))
        case .answer, .startWorker, .stopWorker, .throttle, .grant, .list, .listAll, .writeSnapshot, .wake, .log: break
        }
    }

    // MARK: Workers

    private func startWorker(_ order: WorkerOrder) {
        var plan = workerPlan(order)
        precondition(order.plan == "the plan", "a worker gets what was handed over at setup")
        if copied.contains(Copied(session: order.session, direction: order.direction)) {
            // The journal says that nothing is left to do.
            plan = WorkerPlan(milliseconds: 5)
        }
        let end = now.adding(milliseconds: plan.milliseconds)
        running[order.worker] = Running(
            session: order.session, direction: order.direction, started: now, end: end, how: plan.end,
            hangsMilliseconds: plan.hangsMilliseconds)
        schedule(.workerEnds(order.worker), at: end, life: nil)
        for second in stride(from: 1000, to: min(plan.milliseconds, 20_000), by: 1000) {
            schedule(
                .event(.workerProgress(order.worker, Self.report(done: second, of: plan.milliseconds))),
                at: now.adding(milliseconds: second), life: crashes)
        }
    }

    private static func report(done: Int64, of total: Int64) -> ProgressReport {
        var report = ProgressReport()
        report.planComplete = done * 10 > total
        report.bytesTotal = UInt64(report.planComplete ? total : done + 1000) << 20
        report.bytesDone = UInt64(done) << 20
        return report
    }

    private func stop(_ worker: WorkerID) {
        guard let one = running[worker], !one.isStopped else { return }
        running[worker]?.isStopped = true
        let end = now.adding(milliseconds: 50 + one.hangsMilliseconds)
        guard end < one.end else { return }
        running[worker]?.end = end
        coming.removeAll { if case .workerEnds(worker) = $0.thing { true } else { false } }
        schedule(.workerEnds(worker), at: end, life: nil)
    }

    @discardableResult
    private func endQuietly(_ worker: WorkerID) -> Running? {
        guard let one = running.removeValue(forKey: worker) else { return nil }
        if !one.isStopped, case .complete = one.how {
            copied.insert(Copied(session: one.session, direction: one.direction))
        }
        return one
    }

    private func workerEnds(_ worker: WorkerID) {
        guard let one = endQuietly(worker) else { return }
        if one.isStopped { return send(.workerEnded(worker, .stopped)) }
        switch one.how {
        case .complete: send(.workerEnded(worker, .complete(Self.report(done: 1000, of: 1000))))
        case .failed(let text, let isTransient):
            send(.workerEnded(worker, .failed(text, isTransient: isTransient)))
        case .dies: send(.workerEnded(worker, .failed("the worker was killed", isTransient: true)))
        }
    }
}
