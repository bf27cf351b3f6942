import BurstModel

/// Calls of hooks: what each is given (spec §4.2, the column of 26.05) and what its answer means (§4.3, §4.6-4.9).
extension Engine {
    // MARK: Making calls

    mutating func makeCall(
        _ function: HookFunction, for purpose: CallPurpose, job: EngineJob?, arguments: [String], hasInfo: Bool,
        limit: UInt32, at now: Timestamp
    ) -> CallID {
        let id = CallID(nextCallNumber)
        nextCallNumber += 1
        calls[id] = purpose
        let limitSeconds = function.runsInProcess || limit == 0 ? nil : limit
        out.records.append(
            .callStarted(
                CallStart(
                    id: id, function: function, jobID: job?.id, arguments: arguments, limitSeconds: limitSeconds,
                    at: now)))
        out.effects.append(
            .call(
                HookCall(
                    id: id, function: function, jobID: job?.id, arguments: arguments,
                    jobInfo: hasInfo ? job.map { JobInfo.fields($0, settings: settings, at: now) } : nil,
                    limitSeconds: limitSeconds)))
        return id
    }

    /// Calls the step of a job's life that is due: everything but teardown.
    mutating func callStep(_ id: UInt32, _ step: BufferWork.Step, at now: Timestamp) {
        guard let job = jobs[id], let work = job.buffer, let plugin = settings.plugin else { return }
        let state = settings.stateFolder
        let plain = EnginePaths.script(id, in: state)
        let script = work.hasSymbols ? EnginePaths.symbols(id, in: state) : plain
        let owner = ["\(job.uid)", "\(job.gid)"]
        let (arguments, limit): ([String], UInt32) =
            switch step.function {
            case .setup:
                (["\(id)"] + owner + [work.pool ?? "(null)", "\(work.size)", script], plugin.otherTimeout)
            case .dataIn, .testDataIn: (["\(id)", script] + owner, plugin.stageInTimeout)
            case .realSize: (["\(id)"] + owner, plugin.stageInTimeout)
            case .paths:
                (["\(id)", plain, EnginePaths.path(id, in: state)] + owner, 0)
            case .preRun: (["\(id)", plain] + owner, plugin.otherTimeout)
            case .postRun: (["\(id)", script] + owner, plugin.otherTimeout)
            case .dataOut, .testDataOut: (["\(id)", script] + owner, plugin.stageOutTimeout)
            case .pools, .jobProcess, .jobTeardown, .getStatus: ([], 0)
            }
        if step.function == .paths { out.effects.append(.makePathFile(id)) }
        let call = makeCall(
            step.function, for: .stage(id), job: job, arguments: arguments, hasInfo: true, limit: limit, at: now)
        var step = step
        step.call = call
        step.callAt = nil
        if step.firstAskedAt == nil { step.firstAskedAt = now }
        change(id, at: now) { $0.buffer?.stage = work.stage.with(step) }
    }

    mutating func callTeardown(_ id: UInt32, at now: Timestamp) {
        guard let job = jobs[id], case .teardown(var teardown)? = job.buffer?.stage, teardown.call == nil,
            teardown.after == nil, let plugin = settings.plugin
        else { return }
        teardown.callAt = nil
        teardown.call = makeCall(
            .jobTeardown, for: .stage(id), job: job,
            arguments: [
                "\(id)", EnginePaths.script(id, in: settings.stateFolder), teardown.hurry ? "true" : "false",
                "\(job.uid)",
                "\(job.gid)",
            ], hasInfo: false, limit: plugin.otherTimeout, at: now)
        change(id, at: now) { $0.buffer?.stage = .teardown(teardown) }
    }

    // MARK: Answers

    mutating func hookEnded(
        _ call: CallID, _ answer: HookAnswer, lines: [String], reading: PoolsReading?, at now: Timestamp
    ) {
        // An answer of a call that we do not know is one of an earlier life: the store wrote it off.
        guard let purpose = calls.removeValue(forKey: call) else { return }
        out.records.append(.callEnded(CallEnd(call, purpose.jobID, answer)))
        for line in answer.log { out.effects.append(.log(line)) }
        switch purpose {
        case .pools: poolsAnswered(answer, reading, at: now)
        case .submission(let submission): submissionAnswered(submission, answer, at: now)
        case .task(let id): taskProcessed(id, answer, at: now)
        case .status(let request):
            if case .success(let message) = answer.end {
                reply(request, .status(message ?? ""))
            } else {
                reply(request, .status("Error running slurm_bb_get_status\n"))
            }
        case .stage(let id): stageAnswered(id, call, answer, lines: lines, at: now)
        }
    }

    private mutating func stageAnswered(
        _ id: UInt32, _ call: CallID, _ answer: HookAnswer, lines: [String], at now: Timestamp
    ) {
        guard let job = jobs[id], let work = job.buffer else { return }
        switch work.stage {
        case .stagingIn(let step) where step.call == call:
            stageInAnswered(job, step, answer, at: now)
        case .preRun(let step) where step.call == call:
            preRunAnswered(job, step, answer, lines: lines, at: now)
        case .postRun(let step) where step.call == call, .stagingOut(let step) where step.call == call:
            stageOutAnswered(job, step, answer, at: now)
        case .teardown(var teardown) where teardown.after == call:
            teardown.after = nil
            change(id, at: now) { $0.buffer?.stage = .teardown(teardown) }
            callTeardown(id, at: now)
        case .teardown(let teardown) where teardown.call == call:
            teardownAnswered(job, teardown, answer, at: now)
        case .pending, .stagingIn, .stageInFailed, .stagedIn, .preRun, .running, .postRun, .postRunFailed, .stagingOut,
            .stageOutFailed, .teardown, .complete:
            break
        }
    }

    private mutating func stageInAnswered(
        _ job: EngineJob, _ step: BufferWork.Step, _ answer: HookAnswer, at now: Timestamp
    ) {
        guard case .success(let message) = answer.end else {
            stageInFailed(job, step.function, answer.failureText(limit: limitSeconds(step.function)), at: now)
            return
        }
        func next(_ function: HookFunction) { callStep(job.id, BufferWork.Step(function), at: now) }
        switch step.function {
        case .setup: next(.dataIn)
        case .dataIn: next(.testDataIn)
        case .testDataIn:
            if isBusy(message) {
                askAgain(job, step, limit: limitSeconds(.testDataIn), at: now)
            } else if job.buffer?.requests.isEmpty == false {
                next(.realSize)
            } else {
                stagedIn(job.id, at: now)
            }
        case .realSize:
            if let grown = realSize(message, job) {
                guard grow(job, to: grown) else {
                    let pool = job.buffer?.pool ?? "(null)"
                    stageInFailed(
                        job, .realSize, "pool \(pool) has no room for the real size \(grown)", at: now)
                    return
                }
                log(
                    .info,
                    "_start_stage_in: JobId=\(job.id) total_size increased from \(job.buffer?.size ?? 0) to \(grown)")
                change(job.id, at: now) { $0.buffer?.size = grown }
            }
            stagedIn(job.id, at: now)
        case .pools, .jobProcess, .paths, .preRun, .postRun, .dataOut, .testDataOut, .jobTeardown, .getStatus: break
        }
    }

    private func isBusy(_ message: String?) -> Bool { message?.lowercased() == "busy" }

    /// Seconds that a call of the function may take; 0: no limit.
    private func limitSeconds(_ function: HookFunction) -> UInt32 {
        guard let plugin = settings.plugin else { return 0 }
        return switch function {
        case .dataIn, .testDataIn, .realSize: plugin.stageInTimeout
        case .dataOut, .testDataOut: plugin.stageOutTimeout
        case .setup, .preRun, .postRun, .jobTeardown, .getStatus: plugin.otherTimeout
        case .pools, .jobProcess, .paths: 0
        }
    }

    /// All calls that answer BUSY share one limit.
    private mutating func askAgain(_ job: EngineJob, _ step: BufferWork.Step, limit: UInt32, at now: Timestamp) {
        if limit > 0, let first = step.firstAskedAt, first.adding(seconds: Int(limit)) <= now {
            if step.function == .testDataIn {
                stageInFailed(job, step.function, "Poll exceeded time limit", at: now)
            } else {
                stageOutFailed(job, step.function, "Poll exceeded time limit", at: now)
            }
            return
        }
        var step = step
        step.call = nil
        // A pause of 0 would ask in a circle.
        let at = now.adding(milliseconds: max(100, Int64(settings.plugin?.pollInterval ?? 15) * 1000))
        step.callAt = at
        timers.add(at, job: job.id)
        guard let stage = job.buffer?.stage else { return }
        change(job.id, at: now) { $0.buffer?.stage = stage.with(step) }
    }

    /// The text must be a number as a whole; only a greater one counts (spec §4.6; a negative one is no size).
    private mutating func realSize(_ message: String?, _ job: EngineJob) -> UInt64? {
        guard let message, !message.isEmpty else { return nil }
        guard let size = UInt64(message) else {
            log(.error, "slurm_bb_real_size return value=\"\(message)\" is invalid, discarding result")
            return nil
        }
        return size > (job.buffer?.size ?? 0) ? size : nil
    }

    private mutating func stagedIn(_ id: UInt32, at now: Timestamp) {
        change(id, at: now) {
            $0.buffer?.stage = .stagedIn
            if !$0.isHeld { $0.reason = .none }
        }
        wantPass(at: now)
    }

    mutating func stageInFailed(_ job: EngineJob, _ function: HookFunction, _ message: String, at now: Timestamp) {
        log(.error, "\(function.rawValue) for JobId=\(job.id) failed, response=\(message).")
        change(job.id, at: now) {
            $0.priority = 0
            $0.reason = .burstBufferOperation
            $0.reasonText = "burst_buffer/lua: JobHeldAdmin: \(function.rawValue) failed: \(message)"
            $0.buffer?.stage = .stageInFailed
        }
        note(job.id, function.rawValue, message, at: now)
        if settings.plugin?.tearsDownAfterFailure == true { tearDown(job.id, hurry: true, then: .again, at: now) }
    }

    private mutating func preRunAnswered(
        _ job: EngineJob, _ step: BufferWork.Step, _ answer: HookAnswer, lines: [String], at now: Timestamp
    ) {
        switch (step.function, answer.isSuccess) {
        case (.paths, true):
            pathLines[job.id] = lines
            callStep(job.id, BufferWork.Step(.preRun), at: now)
        case (.paths, false):
            // Slurm loses the message and leaves the job stuck (spec §10, Q14).
            let message = answer.failureText(limit: 0)
            log(.error, "paths for JobId=\(job.id) failed")
            note(job.id, "paths", message, at: now)
            requeueUnrun(
                job.id, reason: .jobHeldAdmin,
                text: "burst_buffer/lua: JobHeldAdmin: \(step.function.rawValue) failed: \(message)", hold: true,
                at: now)
        case (_, true):
            change(job.id, at: now) {
                $0.flags.remove(.configuring)
                $0.buffer?.stage = .running
                $0.buffer?.preRunFailures = 0
            }
            launch(job.id, at: now)
        case (_, false):
            let message = answer.failureText(limit: limitSeconds(.preRun))
            log(.error, "\(step.function.rawValue) failed for JobId=\(job.id)")
            note(job.id, "pre_run", message, at: now)
            let failures = (job.buffer?.preRunFailures ?? 0) + 1
            let hold = failures > EngineLimits.preRunRetriesMax + 1
            change(job.id, at: now) {
                $0.buffer?.preRunFailures = failures
                $0.exitStatus = 1
            }
            requeueUnrun(
                job.id, reason: .burstBufferOperation,
                text: "burst_buffer/lua: \(hold ? "JobHeldAdmin: " : "")\(step.function.rawValue) failed: \(message)",
                hold: hold, at: now)
        }
    }

    /// A job that had its slots but never ran waits again.
    mutating func requeueUnrun(
        _ id: UInt32, reason: EngineJob.Reason, text: String?, hold: Bool, at now: Timestamp
    ) {
        pathLines[id] = nil
        let begin = now.adding(seconds: EngineLimits.requeueDelaySeconds)
        timers.add(begin, job: id)
        change(id, at: now) {
            $0.state = .pending
            $0.flags.remove(.configuring)
            $0.start = nil
            $0.end = nil
            $0.begin = begin
            $0.eligible = begin
            $0.reason = reason
            $0.reasonText = text
            if hold { $0.priority = 0 }
        }
        if jobs[id]?.buffer != nil { tearDown(id, hurry: true, then: .again, at: now) }
        wantPass(at: now)
    }

    private mutating func stageOutAnswered(
        _ job: EngineJob, _ step: BufferWork.Step, _ answer: HookAnswer, at now: Timestamp
    ) {
        guard case .success(let message) = answer.end else {
            stageOutFailed(job, step.function, answer.failureText(limit: limitSeconds(step.function)), at: now)
            return
        }
        switch step.function {
        case .postRun:
            change(job.id, at: now) { $0.buffer?.stage = .stagingOut(BufferWork.Step(.dataOut)) }
            callStep(job.id, BufferWork.Step(.dataOut), at: now)
        case .dataOut: callStep(job.id, BufferWork.Step(.testDataOut), at: now)
        case .testDataOut:
            if isBusy(message) {
                askAgain(job, step, limit: limitSeconds(.testDataOut), at: now)
            } else {
                tearDown(job.id, hurry: false, then: job.state.isFinal ? .end : .again, at: now)
            }
        case .pools, .jobProcess, .setup, .dataIn, .testDataIn, .realSize, .paths, .preRun, .jobTeardown, .getStatus:
            break
        }
    }

    private mutating func stageOutFailed(
        _ job: EngineJob, _ function: HookFunction, _ message: String, at now: Timestamp
    ) {
        log(.error, "\(function.rawValue) for JobId=\(job.id) failed, response=\(message).")
        change(job.id, at: now) {
            $0.priority = 0
            $0.reason = .burstBufferOperation
            $0.reasonText = "burst_buffer/lua: JobHeldAdmin: \(function.rawValue) failed: \(message)"
            $0.buffer?.stage = function == .postRun ? .postRunFailed : .stageOutFailed
        }
        note(job.id, function.rawValue, message, at: now)
        if settings.plugin?.tearsDownAfterFailure == true {
            tearDown(job.id, hurry: false, then: job.state.isFinal ? .end : .again, at: now)
        }
    }

    // MARK: Teardown

    /// Begins the way out, whatever the buffer was doing.
    mutating func tearDown(_ id: UInt32, hurry: Bool, then: BufferWork.Then, at now: Timestamp) {
        guard let work = jobs[id]?.buffer else { return }
        // The call whose answer led here has ended.
        let running = work.stage.call.flatMap { calls[$0] == nil ? nil : $0 }
        if let running { out.effects.append(.killCall(running)) }
        change(id, at: now) {
            $0.flags.remove(.stageOut)
            // Why it ended stays.
            if $0.state.isFinal, $0.reason == .none || $0.reasonText == Self.stageOutText { $0.reasonText = nil }
            $0.buffer?.stage = .teardown(BufferWork.Teardown(hurry: hurry, then: then, after: running))
        }
        if running == nil { callTeardown(id, at: now) }
    }

    private mutating func teardownAnswered(
        _ job: EngineJob, _ teardown: BufferWork.Teardown, _ answer: HookAnswer, at now: Timestamp
    ) {
        if answer.isSuccess {
            toreDown(job.id, at: now)
            return
        }
        var teardown = teardown
        teardown.call = nil
        teardown.failures += 1
        let message = answer.failureText(limit: limitSeconds(.jobTeardown))
        let status = answer.status
        guard teardown.failures < EngineLimits.teardownAttemptsMax else {
            log(
                .error,
                "Teardown for JobId=\(job.id) failed 2 times. We won't retry teardown anymore. Removing burst buffer.")
            toreDown(job.id, at: now)
            return
        }
        log(
            .error,
            "Teardown for JobId=\(job.id) failed. status: \(status), response: \(message). Retrying after \(EngineLimits.teardownRetrySeconds) seconds. Current retry count=\(teardown.failures - 1), max retries=\(EngineLimits.teardownAttemptsMax - 1)"
        )
        let at = now.adding(seconds: EngineLimits.teardownRetrySeconds)
        teardown.callAt = at
        timers.add(at, job: job.id)
        change(job.id, at: now) {
            $0.reason = .burstBufferOperation
            $0.reasonText = "burst_buffer/lua: teardown failed: \(message)"
            $0.buffer?.stage = .teardown(teardown)
        }
        note(job.id, "teardown", message, at: now)
    }

    /// The buffer is gone, or given up after the third failure.
    private mutating func toreDown(_ id: UInt32, at now: Timestamp) {
        guard let job = jobs[id], let work = job.buffer else { return }
        release(work)
        var then = BufferWork.Then.end
        if case .teardown(let teardown) = work.stage { then = teardown.then }
        change(id, at: now) {
            $0.buffer?.created = nil
            $0.buffer?.size = work.requests.reduce(0) { $0 + $1.size }
            $0.buffer?.stage = .complete
        }
        if job.state.isFinal {
            if then == .end, job.mailTypes.contains(.stageOut) {
                mailStageOut(job, at: now)
                // It is sent once; Slurm takes the wish away too (corpus mail).
                change(id, at: now) { $0.mailTypes.remove(.stageOut) }
            }
            timers.add((job.end ?? now).adding(seconds: settings.minJobAgeSeconds), job: id)
        } else if let begin = job.begin {
            timers.add(max(begin, now), job: id)
        }
        wantPass(at: now)
    }

    // MARK: Comments

    /// `MM/DD/YY HH:MM:SS burst_buffer/lua: OP: M`, one entry a failure (spec §4.8).
    mutating func note(_ id: UInt32, _ operation: String, _ message: String, at now: Timestamp) {
        let entry = "\(settings.zone.local(now).commentText) burst_buffer/lua: \(operation): \(message)"
        change(id, at: now) {
            guard let comment = $0.systemComment else {
                $0.systemComment = entry
                return
            }
            if comment.utf8.count < EngineLimits.systemCommentBytesMax { $0.systemComment = comment + "\n" + entry }
        }
    }

    static let stageOutText = "burst_buffer/lua: Stage-out in progress"

    private mutating func mailStageOut(_ job: EngineJob, at now: Timestamp) {
        let seconds = job.end.map { now.seconds(since: $0) } ?? 0
        let time = Age.clock(seconds)
        var environment = [
            "SLURM_JOB_ID": "\(job.id)", "SLURM_JOB_NAME": job.name, "SLURM_JOB_USER": job.userName,
            "SLURM_JOB_MAIL_TYPE": "StageOut/Teardown", "SLURM_JOB_STAGE_OUT_TIME": time,
            "SLURM_JOB_STATE": job.state.rawValue, "SLURM_CLUSTER_NAME": settings.clusterName,
            "SLURM_JOB_WORK_DIR": job.workDir,
        ]
        if let task = job.arrayTaskID {
            environment["SLURM_ARRAY_JOB_ID"] = "\(job.arrayJobID)"
            environment["SLURM_ARRAY_TASK_ID"] = "\(task)"
        }
        let name = job.arrayTaskID.map { "\(job.arrayJobID)_\($0) (\(job.id))" } ?? "\(job.id)"
        out.effects.append(
            .mail(
                Mail(
                    user: job.mailUser ?? job.userName,
                    // The guide's subject; Slurm's own lacks the time (spec §10, Q31).
                    subject: "Slurm Job_id=\(name) Name=\(job.name) Staged Out, StageOut time \(time)",
                    environment: environment)))
    }
}

extension Engine.CallPurpose {
    var jobID: UInt32? {
        switch self {
        case .pools, .status: nil
        case .submission(let submission): submission.job.id
        case .task(let id), .stage(let id): id
        }
    }
}

extension BufferWork.Stage {
    /// The call under way.
    package var call: CallID? {
        switch self {
        case .stagingIn(let step), .preRun(let step), .postRun(let step), .stagingOut(let step): step.call
        case .teardown(let teardown): teardown.call
        case .pending, .stageInFailed, .stagedIn, .running, .postRunFailed, .stageOutFailed, .complete: nil
        }
    }

    /// The same stage with another step.
    func with(_ step: BufferWork.Step) -> BufferWork.Stage {
        switch self {
        case .stagingIn: .stagingIn(step)
        case .preRun: .preRun(step)
        case .postRun: .postRun(step)
        case .stagingOut: .stagingOut(step)
        case .pending, .stageInFailed, .stagedIn, .running, .postRunFailed, .stageOutFailed, .teardown, .complete: self
        }
    }
}

extension HookAnswer {
    /// What a person reads of a failure; where Slurm 26.05 says nothing (a time-out, an error in the script) it says
    /// what happened.
    func failureText(limit: UInt32) -> String {
        switch end {
        case .success: ""
        case .failure(_, let message): message ?? ""
        case .broken(let why): why
        case .timedOut: "Timeout @ \(UInt64(limit) * 1000) msec"
        case .killed: "terminated by burstd"
        }
    }

    var status: Int {
        switch end {
        case .success: 0
        case .failure(let status, _): status
        case .broken: 255
        case .timedOut, .killed: -1
        }
    }
}

extension CallEnd {
    init(_ id: CallID, _ job: UInt32?, _ answer: HookAnswer) {
        let (outcome, message): (String, String?) =
            switch answer.end {
            case .success(let message): ("success", message)
            case .failure(_, let message): ("failure", message)
            case .broken(let why): ("broken", why)
            case .timedOut: ("timeout", nil)
            case .killed: ("killed", nil)
            }
        self.init(
            id: id, jobID: job, outcome: outcome, status: answer.status,
            message: message.map { String($0.prefix(Self.messageCharactersMax)) }, printed: answer.printed,
            log: answer.log, pid: answer.pid, startedMicroseconds: answer.startedAt,
            durationMicroseconds: answer.durationMicroseconds)
    }
}
