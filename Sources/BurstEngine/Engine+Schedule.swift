import BurstModel

/// Which waiting job is staged in, which one starts (spec §6.2-6.4).
extension Engine {
    /// Jobs that a pass looks at before it gives way to what is waiting outside; it goes on where it stopped.
    package static let passSliceMax = 1000
    /// Jobs for which a pass works out an expected start of their own.
    static let plannedJobsMax = 100

    /// A pass over the queue that is not through yet.
    struct Pass: Sendable {
        var plan: SlotPlan
        /// Tasks of each array that run.
        var runningTasks: [UInt32: UInt32]
        /// The last job that was looked at.
        var after: JobQueue.Key?
    }

    mutating func pass(at now: Timestamp) {
        passWanted = false
        passNotBefore = nil
        var pass = passUnderWay ?? newPass(at: now)
        passUnderWay = nil
        // The queue changes while it is walked: over a copy.
        let keys = queue.keys
        var index = pass.after.map { queue.index(after: $0) } ?? 0
        let end = min(keys.count, index + Self.passSliceMax)
        while index < end {
            if let job = jobs[keys[index].id], job.isQueued {
                consider(job, &pass.plan, &pass.runningTasks, at: now)
            }
            index += 1
        }
        guard end < keys.count else {
            if passAgain {
                passAgain = false
                wantPass(at: now)
            }
            return
        }
        pass.after = keys[end - 1]
        passUnderWay = pass
        passWanted = true
        passNotBefore = now
    }

    private func newPass(at now: Timestamp) -> Pass {
        var plan = SlotPlan(free: settings.cpus > busyCPUs ? settings.cpus - busyCPUs : 0, at: now)
        var runningTasks: [UInt32: UInt32] = [:]
        for id in running.sorted() {
            guard let job = jobs[id] else { continue }
            plan.add(job, settings: settings, at: now)
            if job.arrayJobID != 0 { runningTasks[job.arrayJobID, default: 0] += 1 }
        }
        return Pass(plan: plan, runningTasks: runningTasks)
    }

    private mutating func consider(
        _ job: EngineJob, _ plan: inout SlotPlan, _ runningTasks: inout [UInt32: UInt32], at now: Timestamp
    ) {
        var job = job
        // What an earlier run still has to do comes first.
        switch job.buffer?.stage {
        case .postRun, .stagingOut, .teardown, .postRunFailed, .stageOutFailed, .running, .preRun: return
        case nil, .pending, .preparing, .stagingIn, .stageInFailed, .stagedIn, .complete: break
        }
        if let begin = job.begin, begin > now {
            waits(job.id, .beginTime, keepsText: true, at: now)
            return
        }
        if job.begin != nil {
            change(job.id, at: now) {
                $0.begin = nil
                if $0.reason == .beginTime { $0.reason = .none }
            }
        }
        switch dependencyState(of: job, at: now) {
        case .satisfied:
            if job.dependency != nil { change(job.id, at: now) { $0.dependency = nil } }
        case .waits:
            waits(job.id, .dependency, at: now)
            return
        case .never:
            waits(job.id, .dependencyNeverSatisfied, at: now)
            return
        }
        if job.cpus > settings.cpus {
            waits(job.id, .partitionNodeLimit, at: now)
            return
        }
        if !job.arrayTasksLeft.isEmpty {
            splitTasks(of: job.id, at: now)
            guard let left = jobs[job.id], left.isQueued else { return }
            job = left
            // The tasks that are left are not staged before they are split off (spec §3.5).
            if !job.arrayTasksLeft.isEmpty {
                waits(job.id, .priority, at: now)
                return
            }
        }
        // A job that is run again gets a buffer again.
        if job.buffer?.stage == .complete { change(job.id, at: now) { $0.buffer?.stage = .pending } }
        job = jobs[job.id] ?? job
        let expected = plan.start(of: job)
        switch job.buffer?.stage {
        case .pending, .preparing:
            let needsPools = rules.plugin == .datawarp || job.buffer?.requests.isEmpty == false
            guard poolsKnown || !needsPools else {
                waits(job.id, .burstBufferResources, start: now.adding(seconds: 3600), at: now)
                return
            }
            guard prepare(job.id, at: now), let ready = jobs[job.id], waitForSpace(ready, at: now) else { return }
            stageIn(job.id, start: expected, at: now)
            return
        case .stagingIn:
            waits(job.id, .burstBufferStageIn, start: expected, at: now)
            return
        case .stageInFailed:
            // Released after a failure: Slurm leaves it stuck (spec §10, Q12).
            change(job.id, at: now) {
                $0.reason = .none
                $0.reasonText = nil
            }
            tearDown(job.id, hurry: true, then: .again, at: now)
            return
        case .stagedIn where job.nodes == 0:
            endWithoutNodes(job.id, at: now)
            return
        case nil, .stagedIn, .preRun, .running, .postRun, .postRunFailed, .stagingOut, .stageOutFailed, .teardown,
            .complete:
            break
        }
        if job.arrayJobID != 0, job.arrayTasksRunningMax > 0,
            runningTasks[job.arrayJobID, default: 0] >= job.arrayTasksRunningMax
        {
            waits(job.id, .jobArrayTaskLimit, at: now)
            return
        }
        guard hetIsReady(job) else {
            waits(job.id, .priority, at: now)
            return
        }
        guard plan.mayStart(job, at: now) else {
            waits(job.id, plan.isBlocked ? .priority : .resources, start: expected, at: now)
            plan.block(job, expected: expected)
            return
        }
        plan.take(job, at: now)
        if job.arrayJobID != 0 { runningTasks[job.arrayJobID, default: 0] += 1 }
        start(job.id, at: now)
        return
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

    mutating func waits(
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
        for charge in job.buffer.map(space(of:)) ?? [] {
            guard let pool = pools.first(where: { $0.name == charge.pool }), charge.size <= pool.total else {
                return .exceeds
            }
            let reserved = reservedSpace(of: charge.pool, against: job)
            if pool.available < reserved || pool.available - reserved < charge.size { fit = .waits }
        }
        return fit
    }

    /// What the job still takes of each pool: its buffer, and persistent ones that it is to create.
    private func space(of work: BufferWork) -> [BufferWork.Request] {
        var space = work.charges
        for act in work.acts where act.verb == .create && !act.isDone && persistentBuffers[act.name] == nil {
            guard let pool = act.pool else { continue }
            if let index = space.firstIndex(where: { $0.pool == pool }) {
                space[index].size &+= act.size
            } else {
                space.append(BufferWork.Request(pool: pool, size: act.size))
            }
        }
        return space
    }

    /// - Returns: whether there is room now; else the job says that it waits.
    mutating func waitForSpace(_ job: EngineJob, at now: Timestamp) -> Bool {
        switch fit(job) {
        case .fits: return true
        case .waits: waits(job.id, .burstBufferResources, start: now, at: now)
        case .exceeds: waits(job.id, .burstBufferResources, start: now.adding(seconds: 365 * 86400), at: now)
        }
        return false
    }

    /// Takes space of a pool; what the site says is free is less by as much until it says so anew (spec §6.1).
    mutating func charge(_ name: String, _ size: UInt64) {
        guard size > 0, let index = pools.firstIndex(where: { $0.name == name }) else { return }
        pools[index].used += size
        pools[index].reportedFree = pools[index].reportedFree.map { $0 - min($0, size) }
        poolsChanged = true
    }

    /// Gives space back.
    mutating func discharge(_ name: String, _ size: UInt64) {
        guard size > 0, let index = pools.firstIndex(where: { $0.name == name }) else { return }
        precondition(pools[index].used >= size, "more is given back to pool \(name) than was taken")
        pools[index].used -= size
        let total = pools[index].total
        pools[index].reportedFree = pools[index].reportedFree.map { min(total, $0 &+ size) }
        poolsChanged = true
    }

    mutating func stageIn(_ id: UInt32, start: Timestamp, at now: Timestamp) {
        guard let work = jobs[id]?.buffer else { return }
        for each in work.charges { charge(each.pool, each.size) }
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
        charge(name, more)
        return true
    }

    /// Gives the buffer's space back.
    mutating func release(_ work: BufferWork) {
        guard work.created != nil else { return }
        for each in work.charges { discharge(each.pool, each.size) }
    }

    // MARK: Start

    private mutating func start(_ id: UInt32, at now: Timestamp) {
        let work = jobs[id]?.buffer
        // The buffer of a job that only creates or destroys persistent ones needs no more.
        let hasBuffer = work.map(rules.preparesScript) ?? false
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
        } else if work != nil {
            runs(id, at: now)
        } else {
            launch(id, at: now)
        }
    }

    /// A job without nodes has done what it was for (spec §5.6).
    private mutating func endWithoutNodes(_ id: UInt32, at now: Timestamp) {
        change(id, at: now) {
            $0.state = .completed
            $0.start = now
            $0.end = now
            $0.reason = .none
            $0.reasonText = nil
        }
        tearDown(id, hurry: true, then: .end, at: now)
    }

    mutating func launch(_ id: UInt32, at now: Timestamp) {
        guard let job = jobs[id] else { return }
        out.effects.append(.startStep(StepStart(job: job, paths: pathLines.removeValue(forKey: id) ?? [])))
        if let limit = job.timeLimitMinutes { timers.add(now.adding(seconds: Int(limit) * 60), job: id) }
    }
}

/// When slots become free: jobs that run, and those that a pass has placed before the one at hand.
struct SlotPlan: Sendable {
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
