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
        functions[id] = function
        let limitSeconds = limit == 0 ? nil : limit
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

    /// Calls a hook with what the plugin gives it.
    private mutating func makeCall(
        _ function: HookFunction, for purpose: CallPurpose, job: EngineJob, isHurried: Bool = false,
        at now: Timestamp
    ) -> CallID {
        makeCall(
            function, for: purpose, job: job,
            arguments: rules.arguments(of: function, for: job, isHurried: isHurried, settings),
            hasInfo: rules.givesJobInfo(function), limit: limitSeconds(function), at: now)
    }

    mutating func callJobProcess(_ job: EngineJob, for purpose: CallPurpose, at now: Timestamp) {
        _ = makeCall(.jobProcess, for: purpose, job: job, at: now)
    }

    /// Calls the step of a job's life that is due: everything but teardown.
    mutating func callStep(_ id: UInt32, _ step: BufferWork.Step, at now: Timestamp) {
        guard let job = jobs[id], let work = job.buffer, settings.plugin != nil else { return }
        if step.function == .paths { out.effects.append(.makePathFile(id)) }
        if step.function == .preRun, rules.plugin == .datawarp {
            out.effects.append(.writeNodes(id, [settings.hostName]))
        }
        let call = makeCall(step.function, for: .stage(id), job: job, at: now)
        var step = step
        step.call = call
        step.callAt = nil
        if step.firstAskedAt == nil { step.firstAskedAt = now }
        change(id, at: now) { $0.buffer?.stage = work.stage.with(step) }
    }

    mutating func callTeardown(_ id: UInt32, at now: Timestamp) {
        guard let job = jobs[id], case .teardown(var teardown)? = job.buffer?.stage, teardown.call == nil,
            teardown.after == nil, settings.plugin != nil
        else { return }
        teardown.callAt = nil
        teardown.call = makeCall(.jobTeardown, for: .stage(id), job: job, isHurried: teardown.hurry, at: now)
        change(id, at: now) { $0.buffer?.stage = .teardown(teardown) }
    }

    // MARK: Answers

    mutating func hookEnded(
        _ call: CallID, _ answer: HookAnswer, lines: [String], reading: PoolsReading?, site: SiteReading? = nil,
        at now: Timestamp
    ) {
        // An answer of a call that we do not know is one of an earlier life: the store wrote it off.
        guard let purpose = calls.removeValue(forKey: call) else { return }
        let answer = functions.removeValue(forKey: call).map { rules.read(answer, of: $0) } ?? answer
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
                reply(request, .status(rules.statusFailureText))
            }
        case .stage(let id): stageAnswered(id, call, answer, lines: lines, at: now)
        case .site: siteAnswered(answer, site, at: now)
        case .persistent(let name, let job): persistentAnswered(name, call, answer, for: job, at: now)
        case .vestigial(let token): vestigialAnswered(token, answer)
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
        case .pending, .preparing, .stagingIn, .stageInFailed, .stagedIn, .preRun, .running, .postRun, .postRunFailed,
            .stagingOut, .stageOutFailed, .teardown, .complete:
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
        if step.function == .testDataIn, isBusy(message) {
            askAgain(job, step, limit: limitSeconds(.testDataIn), at: now)
            return
        }
        if step.function == .realSize, let grown = realSize(message, job) {
            guard grow(job, to: grown) else {
                let pool = job.buffer?.pool ?? "(null)"
                stageInFailed(job, .realSize, "pool \(pool) has no room for the real size \(grown)", at: now)
                return
            }
            log(
                .info,
                "_start_stage_in: JobId=\(job.id) total_size increased from \(job.buffer?.size ?? 0) to \(grown)")
            change(job.id, at: now) { $0.buffer?.size = grown }
        }
        if let next = next(after: step.function, of: job) {
            callStep(job.id, BufferWork.Step(next), at: now)
        } else {
            stagedIn(job.id, at: now)
        }
    }

    private func next(after function: HookFunction, of job: EngineJob) -> HookFunction? {
        job.buffer.flatMap { rules.next(after: function, for: $0) }
    }

    private func isBusy(_ message: String?) -> Bool { message?.lowercased() == "busy" }

    /// Seconds that a call of the function may take; 0: no limit.
    func limitSeconds(_ function: HookFunction) -> UInt32 {
        settings.plugin.map { rules.limitSeconds(of: function, $0) } ?? 0
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

    /// Only a greater one counts (spec §4.6).
    private mutating func realSize(_ message: String?, _ job: EngineJob) -> UInt64? {
        do throws(SizeFault) {
            guard let message, let size = try rules.realSize(message) else { return nil }
            return size > (job.buffer?.size ?? 0) ? size : nil
        } catch {
            log(.error, error.description)
            return nil
        }
    }

    private mutating func stagedIn(_ id: UInt32, at now: Timestamp) {
        change(id, at: now) {
            $0.buffer?.stage = .stagedIn
            if !$0.isHeld { $0.reason = .none }
        }
        wantPass(at: now)
    }

    mutating func stageInFailed(_ job: EngineJob, _ function: HookFunction, _ message: String, at now: Timestamp) {
        log(.error, "\(name(function)) for JobId=\(job.id) failed, response=\(message).")
        let text = rules.reasonText(function, message, isHeld: true)
        change(job.id, at: now) {
            $0.priority = 0
            $0.reason = .burstBufferOperation
            $0.reasonText = text
            $0.buffer?.stage = .stageInFailed
        }
        note(job.id, function, message, at: now)
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
            let message = answer.failureText(limit: limitSeconds(.paths))
            log(.error, "paths for JobId=\(job.id) failed")
            note(job.id, .paths, message, at: now)
            requeueUnrun(
                job.id, reason: .jobHeldAdmin, text: rules.reasonText(.paths, message, isHeld: true), hold: true,
                at: now)
        case (_, true):
            runs(job.id, at: now)
        case (_, false):
            let message = answer.failureText(limit: limitSeconds(.preRun))
            log(.error, "\(name(step.function)) failed for JobId=\(job.id)")
            note(job.id, .preRun, message, at: now)
            let failures = (job.buffer?.preRunFailures ?? 0) + 1
            let hold = failures > EngineLimits.preRunRetriesMax + 1
            change(job.id, at: now) {
                $0.buffer?.preRunFailures = failures
                $0.exitStatus = 1
            }
            requeueUnrun(
                job.id, reason: .burstBufferOperation, text: rules.reasonText(.preRun, message, isHeld: hold),
                hold: hold, at: now)
        }
    }

    /// Its buffer is ready and its script starts.
    mutating func runs(_ id: UInt32, at now: Timestamp) {
        change(id, at: now) {
            $0.flags.remove(.configuring)
            $0.buffer?.stage = .running
            $0.buffer?.preRunFailures = 0
        }
        launch(id, at: now)
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
        if step.function == .testDataOut, isBusy(message) {
            askAgain(job, step, limit: limitSeconds(.testDataOut), at: now)
            return
        }
        guard let next = next(after: step.function, of: job) else {
            tearDown(job.id, hurry: false, then: job.state.isFinal ? .end : .again, at: now)
            return
        }
        if step.function == .postRun {
            change(job.id, at: now) { $0.buffer?.stage = .stagingOut(BufferWork.Step(next)) }
        }
        callStep(job.id, BufferWork.Step(next), at: now)
    }

    private mutating func stageOutFailed(
        _ job: EngineJob, _ function: HookFunction, _ message: String, at now: Timestamp
    ) {
        log(.error, "\(name(function)) for JobId=\(job.id) failed, response=\(message).")
        let holds = rules.holdsAfterStageOut
        let text = rules.reasonText(function, message, isHeld: holds)
        let stage = rules.failedStage(of: function)
        change(job.id, at: now) {
            if holds { $0.priority = 0 }
            $0.reason = .burstBufferOperation
            $0.reasonText = text
            $0.buffer?.stage = stage
        }
        note(job.id, function, message, at: now)
        if settings.plugin?.tearsDownAfterFailure == true {
            tearDown(job.id, hurry: false, then: job.state.isFinal ? .end : .again, at: now)
        }
    }

    /// As the log names it.
    private func name(_ function: HookFunction) -> String {
        rules.plugin == .lua ? function.rawValue : function.shortName
    }

    // MARK: Teardown

    /// Begins the way out, whatever the buffer was doing.
    mutating func tearDown(_ id: UInt32, hurry: Bool, then: BufferWork.Then, at now: Timestamp) {
        guard let work = jobs[id]?.buffer else { return }
        // The call whose answer led here has ended.
        let running = work.stage.call.flatMap { calls[$0] == nil ? nil : $0 }
        if let running { out.effects.append(.killCall(running)) }
        let progress = stageOutText
        change(id, at: now) {
            $0.flags.remove(.stageOut)
            // Why it ended stays.
            if $0.state.isFinal, $0.reason == .none || $0.reasonText == progress { $0.reasonText = nil }
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
        guard let pause = rules.teardownPauseSeconds(failures: teardown.failures) else {
            log(
                .error,
                "Teardown for JobId=\(job.id) failed 2 times. We won't retry teardown anymore. Removing burst buffer.")
            toreDown(job.id, at: now)
            return
        }
        let most = rules.plugin == .lua ? ", max retries=\(EngineLimits.teardownAttemptsMax - 1)" : ""
        log(
            .error,
            "Teardown for JobId=\(job.id) failed. status: \(status), response: \(message). Retrying after \(pause) seconds. Current retry count=\(teardown.failures - 1)\(most)"
        )
        let at = now.adding(seconds: pause)
        teardown.callAt = at
        timers.add(at, job: job.id)
        let text = rules.reasonText(.jobTeardown, message, isHeld: false)
        change(job.id, at: now) {
            $0.reason = .burstBufferOperation
            $0.reasonText = text
            $0.buffer?.stage = .teardown(teardown)
        }
        note(job.id, .jobTeardown, message, at: now)
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
    mutating func note(_ id: UInt32, _ function: HookFunction, _ message: String, at now: Timestamp) {
        let time = settings.zone.local(now).commentText
        let entry = "\(time) \(rules.fullName): \(rules.commentWord(function)): \(message)"
        change(id, at: now) {
            guard let comment = $0.systemComment else {
                $0.systemComment = entry
                return
            }
            if comment.utf8.count < EngineLimits.systemCommentBytesMax { $0.systemComment = comment + "\n" + entry }
        }
    }

    var stageOutText: String { rules.stageOutText }

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
        case .pools, .status, .site, .vestigial: nil
        case .persistent(_, let job): job
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
        case .pending, .preparing, .stageInFailed, .stagedIn, .running, .postRunFailed, .stageOutFailed, .complete: nil
        }
    }

    /// The same stage with another step.
    func with(_ step: BufferWork.Step) -> BufferWork.Stage {
        switch self {
        case .stagingIn: .stagingIn(step)
        case .preRun: .preRun(step)
        case .postRun: .postRun(step)
        case .stagingOut: .stagingOut(step)
        case .pending, .preparing, .stageInFailed, .stagedIn, .running, .postRunFailed, .stageOutFailed, .teardown,
            .complete:
            self
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
