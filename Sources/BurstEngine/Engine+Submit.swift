import BurstModel

/// Submission: checks in Slurm's order, then `slurm_bb_job_process`, then the job exists (spec §3.3, §3.5).
extension Engine {
    /// Submissions that wait for the first answer of `slurm_bb_pools`; nothing of them is recorded.
    package var earlyRequests: [RequestID] { early.map(\.request) }

    /// Drops them: their clients are told otherwise.
    package mutating func forgetEarlyRequests() { early = [] }

    mutating func submit(_ given: SubmitOrder, by caller: Caller, _ request: RequestID, at now: Timestamp) {
        var order = given
        if settings.plugin != nil, !poolsKnown, poolsCall != nil, early.count < EngineLimits.earlySubmissionsMax {
            early.append(EarlySubmission(request: request, order: order, caller: caller))
            return
        }
        var notes: [String] = []
        do throws(SubmissionFault) {
            guard jobs.count < settings.maxJobCount else {
                throw SubmissionFault(
                    .maxJobCount, ["\(jobs.count) jobs are held: MaxJobCount=\(settings.maxJobCount)"])
            }
            guard order.script.utf8.count <= EngineLimits.scriptBytesMax else {
                throw SubmissionFault(
                    .pathnameTooLong,
                    ["the script has \(order.script.utf8.count) bytes: write at most \(EngineLimits.scriptBytesMax)"])
            }
            if rules.plugin == .datawarp, let option = order.burstBuffer {
                order.burstBuffer = try BurstBufferOption.translated(option)
            }
            let job = try makeJob(order, by: caller, notes: &notes, at: now)
            if order.testOnly {
                nextJobID = job.id + 1
                out.records.append(.nextJobID(nextJobID))
                let start = settings.zone.local(now).text
                notes.append(
                    "Job \(job.id) to start at \(start) using \(job.cpus) processors on nodes \(settings.hostName) in partition \(job.partition)"
                )
                reply(request, .submitted(0, notes: notes))
                return
            }
            nextJobID = job.id + 1
            out.records.append(.nextJobID(nextJobID))
            var script = order.script
            if let option = order.burstBuffer { script = BurstBufferOption.inserted(option, into: script) }
            out.effects.append(.writeJobFiles(job.id, script: script, environment: order.environment))
            let pending = PendingSubmission(request: request, caller: caller, job: job, notes: notes)
            guard let work = job.buffer, settings.plugin != nil, poolsKnown, rules.preparesScript(work) else {
                if job.buffer != nil, !poolsKnown { log(.info, "Burst buffer down, skip tests for JobId=\(job.id)") }
                accept(pending, at: now)
                return
            }
            callJobProcess(job, for: .submission(pending), at: now)
        } catch {
            refuse(request, error, notes: notes, caller: caller, at: now)
        }
    }

    private mutating func refuse(
        _ request: RequestID, _ fault: SubmissionFault, notes: [String], caller: Caller, at now: Timestamp
    ) {
        out.records.append(
            .action(
                ActionEntry(at: now, uid: caller.uid, verb: "submit", jobID: nil, outcome: fault.description)))
        for line in fault.lines { log(.error, line) }
        reply(request, .refused(Refusal(fault.code), notes: notes + fault.lines))
    }

    mutating func submissionAnswered(_ pending: PendingSubmission, _ answer: HookAnswer, at now: Timestamp) {
        if answer.isSuccess {
            accept(pending, at: now)
            return
        }
        out.effects.append(.removeJobFiles(pending.job.id))
        let text: String? =
            switch answer.end {
            case .failure(_, let message): message
            case .broken(let why): why
            case .timedOut: answer.failureText(limit: limitSeconds(.jobProcess))
            case .success, .killed: nil
            }
        let fault = Submission.refusedByHook(text, pluginName: settings.plugin?.name ?? "lua")
        refuse(pending.request, fault, notes: pending.notes, caller: pending.caller, at: now)
    }

    private mutating func accept(_ pending: PendingSubmission, at now: Timestamp) {
        var job = pending.job
        // A pool may have gone while job_process ran: the job waits then.
        job.buffer?.since = now
        keep(job, before: nil, at: now)
        out.records.append(
            .action(ActionEntry(at: now, uid: pending.caller.uid, verb: "submit", jobID: job.id, outcome: "ok")))
        if let begin = job.begin { timers.add(begin, job: job.id) }
        reply(pending.request, .submitted(job.id, notes: pending.notes))
        // A held array's tasks are split off, though none is staged (spec §3.5).
        if job.isHeld, job.buffer != nil, !job.arrayTasksLeft.isEmpty { splitTasks(of: job.id, at: now) }
        wantPass(at: now)
    }

    // MARK: The record

    private func makeJob(
        _ order: SubmitOrder, by caller: Caller, notes: inout [String], at now: Timestamp
    ) throws(SubmissionFault) -> EngineJob {
        if order.uid != caller.uid, !caller.isOperator { throw SubmissionFault(.invalidUserID) }
        let partition = order.partition ?? settings.partition
        guard partition == settings.partition else {
            throw SubmissionFault(
                .invalidPartitionName,
                ["partition \(PlainText.quoted(partition)) is not configured: write \(settings.partition)"])
        }
        let accepted = try checkBuffers(order, by: caller, notes: &notes)
        // A job without nodes can do something to persistent buffers, and no more (spec §3.3).
        let needsNone = rules.plugin == .datawarp && accepted?.requests.isEmpty == true && order.array == nil
        if !needsNone {
            try Submission.checkNodes(order.nodes ?? 1, hasRequest: accepted != nil, isPart: order.array != nil)
        }
        guard order.nodes ?? 1 <= 1 else {
            throw SubmissionFault(
                .requestedNodeConfigUnavailable, ["\(order.nodes ?? 0) nodes are asked for: there is one"])
        }
        var job = EngineJob(
            id: nextJobID, uid: order.uid, gid: order.gid, userName: order.userName, name: order.name,
            priority: order.isHeld ? 0 : order.priority ?? 1, submitted: now)
        job.groupName = order.groupName
        job.partition = partition
        job.nodes = order.nodes ?? 1
        job.tasks = order.tasks ?? 1
        job.cpusPerTask = order.cpusPerTask ?? 1
        guard job.tasks > 0 else { throw SubmissionFault(.badTaskCount) }
        guard job.cpusPerTask > 0 else { throw SubmissionFault(.invalidCPUCount) }
        guard UInt64(job.tasks) * UInt64(job.cpusPerTask) <= UInt64(settings.cpus) else {
            throw SubmissionFault(
                .requestedNodeConfigUnavailable,
                ["\(UInt64(job.tasks) * UInt64(job.cpusPerTask)) CPUs are asked for: there are \(settings.cpus)"])
        }
        job.timeLimitMinutes = order.timeLimitMinutes ?? settings.defaultTimeLimitMinutes
        // Slurm's INFINITE: `--time=UNLIMITED`.
        if job.timeLimitMinutes == UInt32.max { job.timeLimitMinutes = nil }
        if let most = settings.maxTimeLimitMinutes, (job.timeLimitMinutes ?? UInt32.max) > most {
            guard order.timeLimitMinutes == nil else { throw SubmissionFault(.invalidTimeLimit) }
            job.timeLimitMinutes = most
        }
        if order.nice < 0, !caller.isOperator { throw SubmissionFault(.invalidNice) }
        job.nice = order.nice
        if let text = order.dependency, !text.isEmpty {
            _ = try Dependency(text)
            job.dependency = text
        }
        if let name = order.reservation, !name.isEmpty {
            guard let reservation = reservations[name] else { throw SubmissionFault(.reservationInvalid) }
            guard caller.isOperator || reservation.users.contains(order.userName) else {
                throw SubmissionFault(.reservationAccess)
            }
            job.reservation = name
        }
        if let text = order.array {
            let array = try ArrayTasks(text, maxArraySize: settings.maxArraySize)
            job.arrayJobID = job.id
            job.arrayTasksLeft = array.tasks
            job.arrayTasksRunningMax = array.runningMax
        }
        fill(&job, order, accepted, at: now)
        return job
    }

    private func fill(_ job: inout EngineJob, _ order: SubmitOrder, _ accepted: Submission.Accepted?, at now: Timestamp)
    {
        job.account = order.account
        job.qos = order.qos
        job.comment = order.comment
        job.command = order.command
        job.arguments = order.arguments
        job.submitLine = order.submitLine
        job.workDir = order.workDir
        job.stdIn = order.stdIn ?? "/dev/null"
        job.stdOut = order.stdOut ?? (job.arrayJobID == 0 ? "slurm-%j.out" : "slurm-%A_%a.out")
        job.stdErr = order.stdErr ?? ""
        job.appendsOutput = order.appendsOutput
        job.mayRequeue = order.mayRequeue
        job.mailTypes = order.mailTypes
        job.mailUser = order.mailUser
        job.begin = order.begin.flatMap { $0 > now ? $0 : nil }
        job.eligible = job.begin ?? now
        if order.isHeld { job.reason = .jobHeldUser }
        guard let accepted else { return }
        var work = BufferWork(spec: accepted.spec, since: now)
        var requests = accepted.perPool
        if let pool = accepted.pool, let last = requests.firstIndex(where: { $0.pool == pool }) {
            requests.append(requests.remove(at: last))
        }
        work.requests = requests
        work.pool = accepted.pool
        work.size = accepted.size
        work.hasSymbols = accepted.hasSymbols
        work.acts = accepted.acts
        if !accepted.stagesOut { job.mailTypes.remove(.stageOut) }
        job.buffer = work
        if !order.isHeld { job.reason = .burstBufferResources }
    }

    private func checkBuffers(
        _ order: SubmitOrder, by caller: Caller, notes: inout [String]
    ) throws(SubmissionFault) -> Submission.Accepted? {
        // Without a plugin directives are plain comments (spec §1.7).
        guard let plugin = settings.plugin else { return nil }
        let known = pools.map {
            Submission.Pool(name: $0.name, granularity: $0.granularity, total: $0.isReported ? $0.total : nil)
        }
        var rules = Submission.Rules(plugin)
        rules.defaultPool = defaultPool
        rules.allowsPersistent = plugin.allowsPersistent || caller.isOperator
        return try Submission.check(
            .batch(script: order.script, option: order.burstBuffer), rules: rules, pools: known,
            ownerUserID: order.uid, warnings: &notes)
    }

    // MARK: Symbols

    mutating func writeSymbols(_ id: UInt32) {
        guard let job = jobs[id], let work = job.buffer, work.hasSymbols else { return }
        out.effects.append(.writeSymbols(id, text: SymbolText(job).file(work.spec)))
    }

    // MARK: Arrays

    /// Splits tasks off until so many wait on their own (spec §3.5); the last keeps the array's id.
    mutating func splitTasks(of id: UInt32, at now: Timestamp) {
        guard let job = jobs[id] else { return }
        let waiting = jobs.ofArray(id).count {
            $0.id != id && ($0.state == .pending || $0.flags.contains(.processing))
        }
        var places = settings.arrayStageCount - waiting
        while places > 0, let left = jobs[id]?.arrayTasksLeft, let task = left.first {
            places -= 1
            split(task, of: job.id, isLast: left.count == 1, at: now)
        }
    }

    /// One task becomes a job of its own.
    mutating func split(_ task: UInt32, of id: UInt32, isLast: Bool, at now: Timestamp) {
        guard let array = jobs[id] else { return }
        if isLast {
            change(id, at: now) {
                $0.arrayTasksLeft = []
                $0.arrayTaskID = task
            }
            return
        }
        var job = array
        job.id = nextJobID
        nextJobID += 1
        out.records.append(.nextJobID(nextJobID))
        job.arrayTaskID = task
        job.arrayTasksLeft = []
        job.buffer?.since = now
        change(id, at: now) { $0.arrayTasksLeft.removeAll { $0 == task } }
        out.effects.append(.linkJobFiles(from: id, to: job.id))
        if let work = job.buffer, poolsKnown, rules.preparesScript(work) { job.flags.insert(.processing) }
        keep(job, before: nil, at: now)
        if job.flags.contains(.processing) { callJobProcess(job, for: .task(job.id), at: now) }
    }

    /// The result is not looked at: the array was accepted as a whole (spec §3.5).
    mutating func taskProcessed(_ id: UInt32, _ answer: HookAnswer, at now: Timestamp) {
        if !answer.isSuccess {
            log(.error, "slurm_bb_job_process for JobId=\(id) failed, response=\(answer.failureText(limit: 0)).")
        }
        change(id, at: now) { $0.flags.remove(.processing) }
        wantPass(at: now)
    }
}
