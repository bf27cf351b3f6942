package import BurstEngine
package import BurstModel

/// Everything around an engine, as values in simulated time: a disk that keeps what was persisted, hooks and batch
/// scripts that take as long and end as they are told, and crashes between any two steps.
///
/// Faults we claim to survive: hooks that fail, hang until their limit, answer late or are killed; the engine's process
/// dying before a decision is durable, after it is durable and before any effect, and between any two effects; batch
/// scripts that end while no engine runs; clocks that jump ahead. Not modelled: a disk that forgets what it
/// acknowledged.
package final class EngineWorld {
    /// How a hook answers.
    package struct HookPlan {
        package var milliseconds: Int64
        package var end: HookAnswer.End
        /// What `pools` reports.
        package var pools: [ReportedPool] = []
        /// What `show_instances` and `show_sessions` report.
        package var site: SiteReading?

        package init(milliseconds: Int64 = 10, end: HookAnswer.End = .success(message: nil), pools: [ReportedPool] = [])
        {
            self.milliseconds = milliseconds
            self.end = end
            self.pools = pools
        }
    }

    /// What was made durable.
    package struct Disk {
        package var jobs: [UInt32: EngineJob] = [:]
        package var pools: [EnginePool] = []
        package var reservations: [String: EngineReservation] = [:]
        package var persistentBuffers: [String: PersistentBuffer] = [:]
        package var nextJobID: UInt32 = 1
        package var nextCallNumber: UInt64 = 1

        package mutating func keep(_ records: [Record]) {
            for record in records {
                switch record {
                case .job(let job): jobs[job.id] = job
                case .forget(let id): jobs[id] = nil
                case .pools(let all): pools = all
                case .persistent(let buffer): persistentBuffers[buffer.name] = buffer
                case .forgetPersistent(let name): persistentBuffers[name] = nil
                case .reservation(let reservation): reservations[reservation.name] = reservation
                case .forgetReservation(let name): reservations[name] = nil
                case .nextJobID(let id): nextJobID = id
                case .callStarted(let call): nextCallNumber = max(nextCallNumber, call.id.number + 1)
                case .callEnded, .change, .action: break
                }
            }
        }

        var recovered: Engine.Recovered {
            var recovered = Engine.Recovered()
            recovered.jobs = jobs.values.sorted { $0.id < $1.id }
            recovered.pools = pools
            recovered.reservations = reservations.values.sorted { $0.name < $1.name }
            recovered.persistentBuffers = persistentBuffers.values.sorted { $0.name < $1.name }
            recovered.nextJobID = nextJobID
            recovered.nextCallNumber = nextCallNumber
            return recovered
        }
    }

    /// Where a crash cuts.
    package enum CrashPoint: Hashable {
        case beforeRecords, beforeEffects
        /// After so many effects.
        case afterEffects(Int)
    }

    private struct Coming {
        var at: Timestamp
        var order: Int
        var event: EngineEvent
        var call: CallID?
    }

    package var settings: EngineSettings
    package private(set) var engine: Engine
    package private(set) var now: Timestamp
    package private(set) var disk = Disk()
    /// Answers a hook; by default success after 10 ms.
    package var hook: (HookCall) -> HookPlan = { _ in HookPlan() }
    /// How long a script runs, in milliseconds, and its status as wait(2) gives it.
    package var script: (EngineJob) -> (milliseconds: Int64, status: UInt32) = { _ in (1000, 0) }
    /// Sees each decision when its records are durable, before its effects.
    package var watch: ([Record], [Effect]) -> Void = { _, _ in }
    package private(set) var replies: [RequestID: Reply] = [:]
    package private(set) var calls: [HookCall] = []
    package private(set) var mails: [Mail] = []
    package private(set) var log: [HookLogLine] = []
    package private(set) var changes: [StateChange] = []
    package private(set) var crashes = 0
    /// Set before a step: it is cut there and the engine starts anew.
    package var nextCrash: CrashPoint?

    private var coming: [Coming] = []
    private var order = 0
    private var nextRequest: UInt64 = 1
    /// Batch scripts know nothing of the engine's life: end and status of those that run.
    private var steps: [UInt32: (end: Timestamp, status: UInt32)] = [:]
    /// Scripts whose end the engine was not told yet.
    private var ended: [UInt32: (at: Timestamp, status: UInt32)] = [:]

    /// The engine begins with the first `send(.started)`.
    package init(settings: EngineSettings, at start: Timestamp = Timestamp(seconds: 1_800_000_000)) {
        self.settings = settings
        now = start
        engine = Engine(settings: settings)
    }

    // MARK: What people do

    @discardableResult
    package func submit(_ order: SubmitOrder, by caller: Caller? = nil) -> RequestID {
        let request = RequestID(nextRequest)
        nextRequest += 1
        let caller =
            caller ?? Caller(uid: order.uid, gid: order.gid, userName: order.userName, isOperator: false)
        send(.submit(request, order, caller))
        return request
    }

    @discardableResult
    package func perform(_ command: JobCommand, by caller: Caller) -> RequestID {
        let request = RequestID(nextRequest)
        nextRequest += 1
        send(.command(request, command, caller))
        return request
    }

    // MARK: Time

    /// Lets everything happen that is due by then, in order.
    package func run(until end: Timestamp) {
        while let next = nextMoment, next <= end {
            now = max(now, next)
            if let index = firstDue() {
                let item = coming.remove(at: index)
                if case .stepEnded(let job, _) = item.event { ended[job] = nil }
                send(item.event)
            } else {
                send(.tick)
            }
        }
        now = max(now, end)
    }

    package func run(seconds: Int) { run(until: now.adding(seconds: seconds)) }

    /// Runs until nothing more will happen by itself but the polling of pools, at most so long.
    package func settle(seconds: Int = 3600) {
        let end = now.adding(seconds: seconds)
        while now < end, !isSettled { run(seconds: 1) }
    }

    private var isSettled: Bool {
        engine.calls.values.allSatisfy { $0 == .pools } && engine.jobs.values.allSatisfy(\.isSettled)
    }

    private var nextMoment: Timestamp? { [coming.map(\.at).min(), engine.nextWake].compactMap { $0 }.min() }

    private func firstDue() -> Int? {
        var best: Int?
        for (index, item) in coming.enumerated() where item.at <= now {
            guard let current = best else {
                best = index
                continue
            }
            if (item.at, item.order) < (coming[current].at, coming[current].order) { best = index }
        }
        return best
    }

    package func send(_ event: EngineEvent) {
        let decision = engine.step(event, at: now)
        let crash = nextCrash
        nextCrash = nil
        if crash == .beforeRecords { return restart() }
        disk.keep(decision.records)
        for case .change(let change) in decision.records { changes.append(change) }
        watch(decision.records, decision.effects)
        if crash == .beforeEffects { return restart() }
        for (index, effect) in decision.effects.enumerated() {
            if crash == .afterEffects(index) { return restart() }
            perform(effect)
        }
        if case .afterEffects = crash { restart() }
    }

    /// The engine's process dies and starts anew from the disk; calls die with it, scripts do not.
    package func restart() {
        crashes += 1
        coming.removeAll()
        now = now.adding(milliseconds: 700)
        engine = Engine(settings: settings, recovered: disk.recovered)
        for (job, step) in steps where step.end <= now {
            ended[job] = (step.end, step.status)
            steps[job] = nil
        }
        send(.started)
        for job in engine.jobs.values.sorted(by: { $0.id < $1.id })
        where job.takesSlotsNow && !job.flags.contains(.configuring) {
            if let end = ended.removeValue(forKey: job.id) {
                send(.stepEnded(job.id, .ended(status: end.status, at: end.at)))
            } else if let step = steps[job.id] {
                schedule(.stepEnded(job.id, .ended(status: step.status, at: step.end)), at: step.end)
                // A restarted engine ends again what was being ended.
                if job.flags.contains(.ending) { end(job.id) }
            } else {
                send(.stepEnded(job.id, .neverStarted))
            }
        }
    }

    private func schedule(_ event: EngineEvent, at: Timestamp, call: CallID? = nil) {
        order += 1
        coming.append(Coming(at: at, order: order, event: event, call: call))
    }

    // MARK: Effects

    private func perform(_ effect: Effect) {
        switch effect {
        case .call(let call): answer(call)
        case .killCall(let id):
            guard let index = coming.firstIndex(where: { $0.call == id }) else { return }
            let item = coming.remove(at: index)
            // A call in process ends by itself; with datawarp none is.
            let isInProcess = calls.first { $0.id == id }?.function.runsInProcess == true
            if isInProcess, settings.plugin?.name == BurstPlugin.lua.rawValue {
                coming.append(item)
            } else {
                schedule(.hookEnded(id, HookAnswer(end: .killed)), at: now.adding(milliseconds: 5), call: id)
            }
        case .startStep(let start):
            precondition(steps[start.job.id] == nil, "job \(start.job.id) is started twice")
            let plan = script(start.job)
            let end = now.adding(milliseconds: plan.milliseconds)
            steps[start.job.id] = (end, plan.status)
            schedule(.stepEnded(start.job.id, .ended(status: plan.status, at: end)), at: end)
        case .signalStep(let job, let control):
            if control == .end { end(job) }
        case .mail(let mail): mails.append(mail)
        case .reply(let request, let reply): replies[request] = reply
        case .log(let line): log.append(line)
        case .writeJobFiles, .linkJobFiles, .writeSymbols, .makePathFile, .writeNodes, .removeJobFiles: break
        }
        // Ended scripts are told once.
        steps = steps.filter { job, _ in
            coming.contains { $0.event.endsStep(of: job) }
        }
    }

    private func end(_ job: UInt32) {
        guard steps[job] != nil else { return }
        coming.removeAll { $0.event.endsStep(of: job) }
        let at = now.adding(milliseconds: 50)
        steps[job] = (at, 15)
        schedule(.stepEnded(job, .ended(status: 15, at: at)), at: at)
    }

    private func answer(_ call: HookCall) {
        calls.append(call)
        let plan = hook(call)
        var answer = HookAnswer(end: plan.end)
        var at = now.adding(milliseconds: plan.milliseconds)
        if let limit = call.limitSeconds, at > now.adding(seconds: Int(limit)) {
            at = now.adding(seconds: Int(limit))
            answer.end = .timedOut
        }
        let event: EngineEvent =
            switch call.function {
            case .pools: .poolsRead(call.id, answer, PoolsReading(pools: plan.pools))
            case .paths: .pathsRead(call.id, answer, lines: [])
            case .showInstances, .showSessions:
                plan.site.map { .siteRead(call.id, answer, $0) } ?? .hookEnded(call.id, answer)
            default: .hookEnded(call.id, answer)
            }
        schedule(event, at: at, call: call.id)
    }
}

extension EngineJob {
    /// Nothing more happens to it by itself.
    package var isSettled: Bool {
        if isHeld, state == .pending {
            switch buffer?.stage {
            case nil, .pending, .stageInFailed, .complete, .stagedIn: return true
            default: return false
            }
        }
        guard state.isFinal else { return false }
        switch buffer?.stage {
        case nil, .complete, .postRunFailed, .stageOutFailed: return true
        default: return false
        }
    }

    var takesSlotsNow: Bool { state == .running || state == .suspended }
}

extension EngineEvent {
    fileprivate func endsStep(of job: UInt32) -> Bool {
        if case .stepEnded(job, _) = self { true } else { false }
    }
}
