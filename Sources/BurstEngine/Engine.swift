package import BurstModel

/// The burst buffer half of slurmctld with just enough of a job runner, as a value: events go in, records and effects
/// come out. No clock, file, thread or chance inside: the same events at the same times give the same decisions.
package struct Engine: Sendable {
    package internal(set) var settings: EngineSettings
    package internal(set) var jobs = JobTable()
    /// In order of first report.
    package internal(set) var pools: [EnginePool] = []
    package internal(set) var reservations: [String: EngineReservation] = [:]
    /// Datawarp's, by name.
    package internal(set) var persistentBuffers: [String: PersistentBuffer] = [:]
    package internal(set) var nextJobID: UInt32 = 1
    var nextCallNumber: UInt64 = 1

    /// Calls under way and whom they are for. Nothing of this outlives the process, nor do the calls.
    package internal(set) var calls: [CallID: CallPurpose] = [:]
    /// What they call.
    var functions: [CallID: HookFunction] = [:]
    /// What `paths` gave the job that is about to start.
    var pathLines: [UInt32: [String]] = [:]
    /// Waiting jobs that are not held, in the order in which they are considered.
    var queue = JobQueue()
    var timers = TimerHeap()
    /// Pools were read successfully at least once since the start (spec §4.5: else the plugin is down).
    package internal(set) var poolsKnown = false
    var nextPoolsAt: Timestamp?
    var poolsCall: CallID?
    /// What datawarp's site said of itself.
    var site = SiteState()
    var isStopping = false
    /// Submissions that came before the first answer of `pools` after the start: no pool could be checked yet.
    var early: [EarlySubmission] = []
    /// Slots of jobs that run, and which those are.
    var busyCPUs: UInt32 = 0
    /// Jobs that run.
    var running: Set<UInt32> = []
    var passUnderWay: Pass?
    /// Something changed while a pass was under way: another follows.
    var passAgain = false
    var passWanted = false
    var passNotBefore: Timestamp?

    // Of the step under way.
    var out = Decision()
    var dirtyJobs: Set<UInt32> = []
    var poolsChanged = false

    /// What the store kept.
    package struct Recovered: Sendable {
        package var jobs: [EngineJob] = []
        package var pools: [EnginePool] = []
        package var reservations: [EngineReservation] = []
        package var persistentBuffers: [PersistentBuffer] = []
        package var nextJobID: UInt32 = 1
        /// Greater than that of every call in the history.
        package var nextCallNumber: UInt64 = 1

        package init() {}
    }

    /// Why a call was made.
    package enum CallPurpose: Hashable, Sendable {
        case pools
        case submission(PendingSubmission)
        /// A task that was split off its array.
        case task(UInt32)
        case stage(UInt32)
        case status(RequestID)
        /// `show_instances` or `show_sessions`.
        case site
        /// A persistent buffer is created or destroyed, for a job.
        case persistent(String, job: UInt32?)
        /// The session of a job that nobody knows is torn down.
        case vestigial(String)
    }

    /// A submission whose `job_process` runs.
    package struct PendingSubmission: Hashable, Sendable {
        var request: RequestID
        var caller: Caller
        var job: EngineJob
        var notes: [String]
    }

    /// A submission that waits for the pools to be known.
    struct EarlySubmission: Sendable {
        var request: RequestID
        var order: SubmitOrder
        var caller: Caller
    }

    package init(settings: EngineSettings, recovered: Recovered = Recovered()) {
        self.settings = settings
        jobs = JobTable(recovered.jobs)
        pools = recovered.pools
        reservations = Dictionary(uniqueKeysWithValues: recovered.reservations.map { ($0.name, $0) })
        persistentBuffers = Dictionary(uniqueKeysWithValues: recovered.persistentBuffers.map { ($0.name, $0) })
        nextJobID = recovered.nextJobID
        nextCallNumber = recovered.nextCallNumber
        for job in recovered.jobs {
            nextJobID = max(nextJobID, job.id + 1)
            if job.takesSlots {
                busyCPUs += job.cpus
                running.insert(job.id)
            }
            if job.isQueued { queue.insert(job) }
        }
    }

    /// What is shown of it, without what only decides: of that a copy would have to be made with the next change.
    package var shown: Engine {
        var shown = self
        shown.queue = JobQueue()
        shown.timers = TimerHeap()
        shown.calls = [:]
        shown.functions = [:]
        shown.pathLines = [:]
        shown.early = []
        return shown
    }

    /// When `.tick` is wanted next; nil: never.
    package var nextWake: Timestamp? {
        guard !isStopping else { return nil }
        return [timers.first, poolsCall == nil ? nextPoolsAt : nil, passWanted ? passNotBefore : nil].compactMap { $0 }
            .min()
    }

    /// Decides. The records must be durable before any of the effects starts.
    package mutating func step(_ event: EngineEvent, at now: Timestamp) -> Decision {
        out = Decision()
        switch event {
        case .started: recover(at: now)
        case .submit(let request, let order, let caller): submit(order, by: caller, request, at: now)
        case .command(let request, let command, let caller): perform(command, by: caller, request, at: now)
        case .reserve(let request, let command, let caller): reserve(command, by: caller, request, at: now)
        case .status(let request, let arguments, let caller):
            askStatus(arguments, by: caller, request, at: now)
        case .configured(let settings): configure(settings, at: now)
        case .hookEnded(let call, let answer): hookEnded(call, answer, lines: [], reading: nil, at: now)
        case .poolsRead(let call, let answer, let reading):
            hookEnded(call, answer, lines: [], reading: reading, at: now)
        case .pathsRead(let call, let answer, let lines):
            hookEnded(call, answer, lines: lines, reading: nil, at: now)
        case .siteRead(let call, let answer, let reading):
            hookEnded(call, answer, lines: [], reading: nil, site: reading, at: now)
        case .stepStarted: break
        case .stepEnded(let job, let result): stepEnded(job, result, at: now)
        case .tick: break
        case .stopping: isStopping = true
        }
        if !isStopping {
            runTimers(at: now)
            if passWanted, (passNotBefore ?? now) <= now { pass(at: now) }
        }
        return finish()
    }

    // MARK: Bookkeeping

    /// Changes a job; what a change means for the history, the queue and the slots is noted here and nowhere else.
    mutating func change(_ id: UInt32, at now: Timestamp, _ body: (inout EngineJob) -> Void) {
        guard let before = jobs[id] else { return }
        var job = before
        body(&job)
        guard job != before else { return }
        if job.buffer?.stage.state != before.buffer?.stage.state { job.buffer?.since = now }
        keep(job, before: before, at: now)
    }

    /// Puts a job in its place, new (`before` nil) or changed.
    mutating func keep(_ job: EngineJob, before: EngineJob?, at now: Timestamp) {
        jobs[job.id] = job
        dirtyJobs.insert(job.id)
        if before?.shownState != job.shownState || before?.buffer?.stage.state != job.buffer?.stage.state
            || before?.shownReason != job.shownReason || before == nil
        {
            out.records.append(.change(StateChange(of: job, at: now)))
        }
        let slotsBefore = before.map { $0.takesSlots ? $0.cpus : 0 } ?? 0
        let slots = job.takesSlots ? job.cpus : 0
        if slots != slotsBefore {
            busyCPUs = busyCPUs - slotsBefore + slots
            if slots > 0 { running.insert(job.id) } else { running.remove(job.id) }
        }
        let place = before.flatMap { $0.isQueued ? JobQueue.Key($0) : nil }
        let newPlace = job.isQueued ? JobQueue.Key(job) : nil
        if place != newPlace {
            if let place { queue.remove(place) }
            if newPlace != nil { queue.insert(job) }
        }
    }

    mutating func log(_ level: HookLogLine.Level, _ text: String) {
        out.effects.append(.log(HookLogLine(level, text)))
    }

    mutating func reply(_ request: RequestID, _ reply: Reply) {
        out.effects.append(.reply(request, reply))
    }

    mutating func wantPass(at now: Timestamp) {
        guard passUnderWay == nil else {
            passAgain = true
            return
        }
        passWanted = true
        // A long queue is walked less often, so that submissions by the thousand stay cheap.
        if passNotBefore == nil {
            passNotBefore = now.adding(milliseconds: min(1000, Int64(queue.count) / 200))
        }
    }

    private mutating func finish() -> Decision {
        for id in dirtyJobs.sorted() {
            if let job = jobs[id] { out.records.append(.job(job)) }
        }
        dirtyJobs.removeAll(keepingCapacity: true)
        if poolsChanged {
            out.records.append(.pools(pools))
            poolsChanged = false
        }
        let decision = out
        out = Decision()
        return decision
    }

    // MARK: Time

    private mutating func runTimers(at now: Timestamp) {
        if let at = nextPoolsAt, at <= now, poolsCall == nil { askPools(at: now) }
        while let (at, id) = timers.popDue(at: now) {
            guard let job = jobs[id] else { continue }
            due(job, at: now, timer: at)
        }
    }

    /// A time of the job has come; which, the job itself tells.
    private mutating func due(_ job: EngineJob, at now: Timestamp, timer: Timestamp) {
        if job.state == .running, !job.flags.contains(.ending), let limit = job.timeLimitMinutes, let start = job.start,
            start.adding(seconds: Int(limit) * 60).adding(milliseconds: job.suspendedMilliseconds) <= now
        {
            endForTimeLimit(job, at: now)
        }
        if job.isForgettable(at: now, ageSeconds: settings.minJobAgeSeconds) {
            forget(job)
            return
        }
        switch job.buffer?.stage {
        case .stagingIn(let step) where step.call == nil && (step.callAt ?? now) <= now,
            .stagingOut(let step) where step.call == nil && (step.callAt ?? now) <= now:
            callStep(job.id, step, at: now)
        case .teardown(let teardown) where teardown.call == nil && teardown.after == nil:
            if (teardown.callAt ?? now) <= now { callTeardown(job.id, at: now) }
        default: break
        }
        if job.isQueued { wantPass(at: now) }
    }

    mutating func forget(_ job: EngineJob) {
        jobs[job.id] = nil
        dirtyJobs.remove(job.id)
        out.records.append(.forget(job.id))
        out.effects.append(.removeJobFiles(job.id))
    }
}

extension EngineJob {
    /// Uses slots now.
    var takesSlots: Bool { state == .running || state == .suspended }

    /// Waits for the scheduler: pending, not held, with nothing of an earlier run still to do.
    var isQueued: Bool { state == .pending && priority > 0 && !flags.contains(.processing) }

    /// Its script ran to an end and its data too; kept only to be looked at.
    func isForgettable(at now: Timestamp, ageSeconds: Int) -> Bool {
        guard state.isFinal, let end, end.adding(seconds: ageSeconds) <= now else { return false }
        return buffer == nil || buffer?.stage == .complete
    }
}

extension StateChange {
    init(of job: EngineJob, at now: Timestamp) {
        self.init(
            jobID: job.id, uid: job.uid, at: now, jobState: job.shownState.name,
            bufferState: job.buffer?.stage.state.name, reason: job.shownReason, pool: job.buffer?.pool,
            size: job.buffer?.size ?? 0)
    }
}
