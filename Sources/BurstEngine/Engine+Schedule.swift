import BurstModel

/// Which waiting job is staged in, which one starts (spec §6.2-6.4).
extension Engine {
    /// Jobs that a pass looks at before it gives way to what is waiting outside; a later pass begins at the front again, as
    /// Slurm's does.
    package static let passJobsMax = 1000
    /// Jobs for which a pass works out an expected start of their own.
    static let plannedJobsMax = 100

    mutating func pass(at now: Timestamp) {
        passWanted = false
        passNotBefore = nil
        var plan = SlotPlan(free: settings.cpus > busyCPUs ? settings.cpus - busyCPUs : 0, at: now)
        var runningTasks: [UInt32: UInt32] = [:]
        for id in running.sorted() {
            guard let job = jobs[id] else { continue }
            plan.add(job, settings: settings, at: now)
            if job.arrayJobID != 0 { runningTasks[job.arrayJobID, default: 0] += 1 }
        }
        var looked = 0
        let before = changes
        // The queue changes while it is walked: over a copy.
        for key in queue.keys {
            guard looked < Self.passJobsMax else {
                // Where nothing changed, the next one would find the same; what happens meanwhile asks for one.
                if changes != before { wantPass(at: now) }
                break
            }
            guard let job = jobs[key.id], job.isQueued else { continue }
            if consider(job, &plan, &runningTasks, at: now) { looked += 1 }
        }
    }

    /// - Returns: whether the job could be staged in or started now, were there room: those that merely wait for a time or
    ///   another job cost nothing.
    private mutating func consider(
        _ job: EngineJob, _ plan: inout SlotPlan, _ runningTasks: inout [UInt32: UInt32], at now: Timestamp
    ) -> Bool {
        var job = job
        // What an earlier run still has to do comes first.
        switch job.buffer?.stage {
        case .postRun, .stagingOut, .teardown, .postRunFailed, .stageOutFailed, .running, .preRun: return false
        case .complete: change(job.id, at: now) { $0.buffer?.stage = .pending }
        case nil, .pending, .stagingIn, .stageInFailed, .stagedIn: break
        }
        if let begin = job.begin, begin > now {
            waits(job.id, .beginTime, keepsText: true, at: now)
            return false
        }
        if job.begin != nil {
            change(job.id, at: now) {
                $0.begin = nil
                if $0.reason == .beginTime { $0.reason = .none }
            }
        }
        switch dependencyState(of: job, at: now) {
        case .satisfied: break
        case .waits:
            waits(job.id, .dependency, at: now)
            return false
        case .never:
            waits(job.id, .dependencyNeverSatisfied, at: now)
            return false
        }
        if job.cpus > settings.cpus {
            waits(job.id, .partitionNodeLimit, at: now)
            return false
        }
        if !job.arrayTasksLeft.isEmpty {
            splitTasks(of: job.id, at: now)
            guard let left = jobs[job.id], left.isQueued else { return true }
            job = left
            // The tasks that are left are not staged before they are split off (spec §3.5).
            if !job.arrayTasksLeft.isEmpty {
                waits(job.id, .priority, at: now)
                return false
            }
        }
        job = jobs[job.id] ?? job
        let expected = plan.start(of: job)
        switch job.buffer?.stage {
        case .pending:
            guard poolsKnown || job.buffer?.requests.isEmpty == true else {
                waits(job.id, .burstBufferResources, start: now.adding(seconds: 3600), at: now)
                return true
            }
            switch fit(job) {
            case .fits:
                guard expected <= now.adding(seconds: EngineLimits.stageAheadSeconds) else {
                    waits(job.id, .priority, start: expected, at: now)
                    return true
                }
                stageIn(job.id, start: expected, at: now)
            case .waits: waits(job.id, .burstBufferResources, start: now, at: now)
            case .exceeds: waits(job.id, .burstBufferResources, start: now.adding(seconds: 365 * 86400), at: now)
            }
            return true
        case .stagingIn:
            waits(job.id, .burstBufferStageIn, start: expected, at: now)
            return true
        case .stageInFailed:
            // Released after a failure: Slurm leaves it stuck (spec §10, Q12).
            change(job.id, at: now) {
                $0.reason = .none
                $0.reasonText = nil
            }
            tearDown(job.id, hurry: true, then: .again, at: now)
            return true
        case nil, .stagedIn, .preRun, .running, .postRun, .postRunFailed, .stagingOut, .stageOutFailed, .teardown,
            .complete:
            break
        }
        if job.arrayJobID != 0, job.arrayTasksRunningMax > 0,
            runningTasks[job.arrayJobID, default: 0] >= job.arrayTasksRunningMax
        {
            waits(job.id, .jobArrayTaskLimit, at: now)
            return true
        }
        guard hetIsReady(job) else {
            waits(job.id, .priority, at: now)
            return true
        }
        guard plan.mayStart(job, at: now) else {
            waits(job.id, plan.isBlocked ? .priority : .resources, start: expected, at: now)
            plan.block(job, expected: expected)
            return true
        }
        plan.take(job, at: now)
        if job.arrayJobID != 0 { runningTasks[job.arrayJobID, default: 0] += 1 }
        start(job.id, at: now)
        return true
    }

    /// All components of a heterogeneous job are staged in before any starts (spec §3.6).
    private func hetIsReady(_ job: EngineJob) -> Bool {
        guard job.hetJobID != 0 else { return true }
        return job.hetJobIDs.allSatisfy { id in
            guard let other = jobs[id] else { return false }
            if other.state != .pending { return true }
            guard let stage = other.buffer?.stage else { return !other.isHeld }
            return stage == .stagedIn
        }
    }

    private mutating func waits(
        _ id: UInt32, _ reason: EngineJob.Reason, keepsText: Bool = false, start: Timestamp? = nil, at now: Timestamp
    ) {
        guard let job = jobs[id] else { return }
        // A failed pre-run's text stays until the job is tried again.
        let text = keepsText ? job.reasonText : nil
        let reason = keepsText && job.reasonText != nil ? job.reason : reason
        // An expected start moves all the time; only one that people would notice is worth a write.
        let moved = start.map { abs($0.seconds(since: job.start ?? Timestamp(seconds: 0))) > 60 } ?? (job.start != nil)
        guard job.reason != reason || job.reasonText != text || moved else { return }
        change(id, at: now) {
            $0.reason = reason
            $0.reasonText = text
            if moved { $0.start = start }
        }
    }

    // MARK: Space

    enum Fit {
        case fits, waits, exceeds
    }

    func fit(_ job: EngineJob) -> Fit {
        var fit = Fit.fits
        for charge in job.buffer?.charges ?? [] {
            guard let pool = pools.first(where: { $0.name == charge.pool }), charge.size <= pool.total else {
                return .exceeds
            }
            let reserved = reservedSpace(of: charge.pool, against: job)
            if pool.available < reserved || pool.available - reserved < charge.size { fit = .waits }
        }
        return fit
    }

    mutating func stageIn(_ id: UInt32, start: Timestamp, at now: Timestamp) {
        guard let work = jobs[id]?.buffer else { return }
        for charge in work.charges {
            guard let index = pools.firstIndex(where: { $0.name == charge.pool }) else { continue }
            pools[index].used += charge.size
            poolsChanged = true
        }
        change(id, at: now) {
            $0.reason = .burstBufferStageIn
            $0.reasonText = nil
            $0.start = start
            $0.buffer?.created = now
            $0.buffer?.stage = .stagingIn(BufferWork.Step(.setup))
        }
        writeSymbols(id)
        callStep(id, BufferWork.Step(.setup), at: now)
    }

    /// The real size is charged where the pool has room for it.
    mutating func grow(_ job: EngineJob, to size: UInt64) -> Bool {
        guard let work = job.buffer, let name = work.pool, let index = pools.firstIndex(where: { $0.name == name }),
            size >= work.size
        else { return true }
        let more = size - work.size
        guard pools[index].available >= more else { return false }
        pools[index].used += more
        poolsChanged = true
        return true
    }

    /// Gives the buffer's space back.
    mutating func release(_ work: BufferWork) {
        guard work.created != nil else { return }
        for charge in work.charges {
            guard let index = pools.firstIndex(where: { $0.name == charge.pool }) else { continue }
            precondition(pools[index].used >= charge.size, "more is given back to pool \(charge.pool) than was taken")
            pools[index].used -= charge.size
            poolsChanged = true
        }
    }

    // MARK: Start

    private mutating func start(_ id: UInt32, at now: Timestamp) {
        let hasBuffer = jobs[id]?.buffer != nil
        change(id, at: now) {
            $0.state = .running
            $0.start = now
            $0.end = nil
            $0.reason = .none
            $0.reasonText = nil
            $0.suspendedMilliseconds = 0
            if hasBuffer {
                $0.flags.insert(.configuring)
                $0.buffer?.stage = .preRun(BufferWork.Step(.paths))
            }
        }
        if hasBuffer {
            callStep(id, BufferWork.Step(.paths), at: now)
        } else {
            launch(id, at: now)
        }
    }

    mutating func launch(_ id: UInt32, at now: Timestamp) {
        guard let job = jobs[id] else { return }
        out.effects.append(.startStep(StepStart(job: job, paths: pathLines.removeValue(forKey: id) ?? [])))
        if let limit = job.timeLimitMinutes { timers.add(now.adding(seconds: Int(limit) * 60), job: id) }
    }
}

/// When slots become free: jobs that run, and those that a pass has placed before the one at hand.
struct SlotPlan {
    private var free: UInt32
    /// Slots that become free, in order of time.
    private var ends: [(at: Timestamp, cpus: UInt32)] = []
    private var sorted = false
    private let now: Timestamp
    private(set) var isBlocked = false
    /// When the first job that could not start will: later ones may not push it back.
    private var shadow: Timestamp?
    private var shadowFree: UInt32 = 0
    private var planned = 0
    private var lastStart: Timestamp

    init(free: UInt32, at now: Timestamp) {
        self.free = free
        self.now = now
        lastStart = now
    }

    mutating func add(_ job: EngineJob, settings: EngineSettings, at now: Timestamp) {
        let limit = job.timeLimitMinutes.map { Int($0) * 60 } ?? 365 * 86400
        ends.append((max(now, (job.start ?? now).adding(seconds: limit)), job.cpus))
        sorted = false
    }

    private mutating func sort() {
        if !sorted { ends.sort { $0.at < $1.at } }
        sorted = true
    }

    /// When so many slots are free, going by time limits.
    private mutating func earliest(cpus: UInt32) -> (at: Timestamp, free: UInt32) {
        sort()
        var available = free
        if available >= cpus { return (now, available) }
        for end in ends {
            available += end.cpus
            if available >= cpus { return (end.at, available) }
        }
        return (now.adding(seconds: 365 * 86400), available)
    }

    /// When the job is expected to start: exact for the first of the queue, then no earlier than those before it.
    mutating func start(of job: EngineJob) -> Timestamp {
        guard planned < Engine.plannedJobsMax else { return lastStart }
        planned += 1
        let start = earliest(cpus: job.cpus).at
        lastStart = max(lastStart, start)
        return start
    }

    /// There are slots, and the job does not push back the first that waits for some.
    func mayStart(_ job: EngineJob, at now: Timestamp) -> Bool {
        guard job.cpus <= free else { return false }
        guard let shadow else { return true }
        if let limit = job.timeLimitMinutes, now.adding(seconds: Int(limit) * 60) <= shadow { return true }
        return job.cpus <= shadowFree
    }

    mutating func take(_ job: EngineJob, at now: Timestamp) {
        free -= job.cpus
        if shadow != nil { shadowFree -= min(shadowFree, job.cpus) }
        let limit = job.timeLimitMinutes.map { Int($0) * 60 } ?? 365 * 86400
        ends.append((now.adding(seconds: limit), job.cpus))
        sorted = false
    }

    mutating func block(_ job: EngineJob, expected: Timestamp) {
        isBlocked = true
        guard shadow == nil else { return }
        let (at, available) = earliest(cpus: job.cpus)
        shadow = at
        shadowFree = available > job.cpus ? available - job.cpus : 0
    }
}
