import BurstModel

/// What people ask of jobs (spec §7.3, §7.4; scancel(1), scontrol(1)).
extension Engine {
    mutating func perform(_ command: JobCommand, by caller: Caller, _ request: RequestID, at now: Timestamp) {
        let selector = command.selector
        let (chosen, missing) = select(selector)
        if let missing {
            out.records.append(
                .action(
                    ActionEntry(at: now, uid: caller.uid, verb: command.verb, jobID: nil, outcome: missing.text)))
            reply(request, .refused(missing, notes: []))
            return
        }
        var outcomes: [JobOutcome] = []
        for id in chosen {
            guard let job = jobs[id] else { continue }
            // A filter takes only what the caller may touch.
            if case .matching = selector, !mayTouch(job, caller) { continue }
            let refusal =
                mayTouch(job, caller) ? perform(command, on: job, by: caller, at: now) : SlurmError.accessDenied
            out.records.append(
                .action(
                    ActionEntry(
                        at: now, uid: caller.uid, verb: command.verb, jobID: id, outcome: refusal?.text ?? "ok")))
            outcomes.append(
                JobOutcome(jobID: id, shownID: selector.shown(job), refusal: refusal.map { Refusal($0) }))
        }
        reply(request, .done(outcomes))
    }

    package func mayTouch(_ job: EngineJob, _ caller: Caller) -> Bool { caller.isOperator || caller.uid == job.uid }

    /// The jobs in the order of their ids, or why there are none.
    private func select(_ selector: JobSelector) -> ([UInt32], Refusal?) {
        func known(_ ids: [UInt32]) -> ([UInt32], Refusal?) {
            ids.isEmpty ? ([], Refusal(.invalidJobID)) : (ids.sorted(), nil)
        }
        switch selector {
        case .job(let id):
            // An array's id means all its tasks.
            let tasks = jobs.ofArray(id).map(\.id)
            return known(tasks.isEmpty ? jobs[id].map { [$0.id] } ?? [] : tasks)
        case .task(let array, let task):
            return known(jobs.ofArray(array).filter { $0.arrayTaskID == task }.map(\.id))
        case .tasks(let array, let tasks):
            return known(jobs.ofArray(array).filter { $0.arrayTaskID.map(tasks.contains) == true }.map(\.id))
        case .matching(let user, let name, let partition, let account, let state):
            return (
                jobs.values.filter {
                    !$0.state.isFinal && (user == nil || $0.userName == user || "\($0.uid)" == user)
                        && (name == nil || $0.name == name) && (partition == nil || $0.partition == partition)
                        && (account == nil || $0.account == account)
                        && (state == nil || $0.shownState.name == state || $0.shownState.code == state)
                }.map(\.id).sorted(), nil
            )
        }
    }

    private mutating func perform(
        _ command: JobCommand, on job: EngineJob, by caller: Caller, at now: Timestamp
    ) -> SlurmError? {
        switch command {
        case .cancel(_, let hurry, let signal, let batchOnly):
            if let signal, signal != 9 { return send(signal, batchOnly: batchOnly, to: job) }
            // There is no script any more (corpus cancel-many).
            if batchOnly, job.state.isFinal { return .invalidJobID }
            return cancel(job, hurry: hurry, at: now)
        case .hold(_, let byUser): return hold(job, byUser: byUser || !caller.isOperator, at: now)
        case .release: return release(job, by: caller, at: now)
        case .requeue(_, let hold): return requeue(job, hold: hold, at: now)
        case .suspend: return suspend(job, at: now)
        case .resume: return resume(job, at: now)
        case .update(_, let updates): return update(job, updates, by: caller, at: now)
        }
    }

    private mutating func send(_ signal: Int32, batchOnly: Bool, to job: EngineJob) -> SlurmError? {
        guard job.state == .running, !job.flags.contains(.configuring) else {
            return job.state == .pending ? .jobNotRunning : .invalidJobID
        }
        out.effects.append(.signalStep(job.id, .signal(signal, batchOnly: batchOnly)))
        return nil
    }

    // MARK: Cancel

    /// Spec §7.4. `alreadyDone` is what `scancel -v` tells; it exits 0 all the same.
    private mutating func cancel(_ job: EngineJob, hurry: Bool, at now: Timestamp) -> SlurmError? {
        switch job.state {
        case .pending: return cancelPending(job, hurry: hurry, at: now)
        case .running, .suspended:
            if job.flags.contains(.configuring) {
                change(job.id, at: now) {
                    $0.state = .cancelled
                    $0.flags.remove(.configuring)
                    $0.end = now
                    $0.reason = .none
                }
                tearDown(job.id, hurry: true, then: .end, at: now)
                wantPass(at: now)
                return nil
            }
            change(job.id, at: now) {
                $0.flags.insert(.ending)
                $0.flags.subtract([.requeue, .requeueHold])
                if hurry { $0.flags.insert(.hurry) }
            }
            // A stopped process does not end.
            if job.state == .suspended { out.effects.append(.signalStep(job.id, .resume)) }
            out.effects.append(.signalStep(job.id, .end))
            return nil
        case .completed, .cancelled, .failed, .timeout, .nodeFail, .deadline:
            guard hurry else { return .alreadyDone }
            return hurryStageOut(job, at: now)
        }
    }

    private mutating func cancelPending(_ job: EngineJob, hurry: Bool, at now: Timestamp) -> SlurmError? {
        let stage = job.buffer?.stage
        let progress = stageOutText
        change(job.id, at: now) {
            $0.state = .cancelled
            $0.end = now
            $0.begin = nil
            $0.arrayTasksLeft = []
        }
        if job.flags.contains(.processing) { change(job.id, at: now) { $0.flags.remove(.processing) } }
        switch stage {
        case nil, .complete:
            timers.add(now.adding(seconds: settings.minJobAgeSeconds), job: job.id)
        case .pending, .preparing:
            change(job.id, at: now) { $0.buffer?.stage = .complete }
            abandonPersistent(of: job.id)
            timers.add(now.adding(seconds: settings.minJobAgeSeconds), job: job.id)
        case .stagingIn, .stageInFailed, .stagedIn, .preRun, .running:
            tearDown(job.id, hurry: true, then: .end, at: now)
        case .postRun, .stagingOut:
            // Requeued while its data was still to be staged out: that goes on, or is hurried.
            if hurry {
                tearDown(job.id, hurry: true, then: .end, at: now)
            } else {
                change(job.id, at: now) {
                    $0.flags.insert(.stageOut)
                    $0.reasonText = progress
                }
            }
        case .postRunFailed, .stageOutFailed:
            if hurry {
                tearDown(job.id, hurry: true, then: .end, at: now)
            } else {
                change(job.id, at: now) { $0.flags.insert(.stageOut) }
            }
        case .teardown(var teardown):
            teardown.then = .end
            change(job.id, at: now) { $0.buffer?.stage = .teardown(teardown) }
        }
        wantPass(at: now)
        return nil
    }

    /// The hook under way is killed and its end awaited; one teardown follows (spec §10, Q15).
    private mutating func hurryStageOut(_ job: EngineJob, at now: Timestamp) -> SlurmError? {
        switch job.buffer?.stage {
        case .postRun, .stagingOut, .postRunFailed, .stageOutFailed:
            tearDown(job.id, hurry: true, then: .end, at: now)
            return nil
        case nil, .pending, .preparing, .stagingIn, .stageInFailed, .stagedIn, .preRun, .running, .teardown, .complete:
            return .alreadyDone
        }
    }

    // MARK: Hold and release

    private mutating func hold(_ job: EngineJob, byUser: Bool, at now: Timestamp) -> SlurmError? {
        if job.state.isFinal { return .jobFinished }
        change(job.id, at: now) {
            // An administrator's hold is not made weaker by its owner.
            if $0.isHeld, $0.reason == .jobHeldAdmin, byUser { return }
            $0.priority = 0
            if $0.state == .pending {
                $0.reason = byUser ? .jobHeldUser : .jobHeldAdmin
                $0.reasonText = nil
            }
        }
        return nil
    }

    private mutating func release(_ job: EngineJob, by caller: Caller, at now: Timestamp) -> SlurmError? {
        if job.state.isFinal { return .jobFinished }
        let heldByUser = job.reason == .jobHeldUser || job.reason == .launchFailedRequeuedHeld
        if job.isHeld, !heldByUser, !caller.isOperator, job.state == .pending { return .accessDenied }
        change(job.id, at: now) {
            $0.priority = $0.priority == 0 ? 1 : $0.priority
            guard $0.state == .pending else { return }
            $0.reason = .none
            $0.reasonText = nil
            $0.buffer?.preRunFailures = 0
        }
        switch job.buffer?.stage {
        case .postRunFailed, .stageOutFailed:
            // It was requeued, and its data is still here: that is staged out before it runs again.
            restartStageOut(job.id, at: now)
            change(job.id, at: now) { $0.reason = .beginTime }
        default: break
        }
        wantPass(at: now)
        return nil
    }

    // MARK: Requeue, suspend

    private mutating func requeue(_ job: EngineJob, hold: Bool, at now: Timestamp) -> SlurmError? {
        switch job.state {
        case .pending: return .jobPending
        case .running, .suspended:
            if job.flags.contains(.configuring) {
                change(job.id, at: now) { $0.restartCount += 1 }
                requeueUnrun(
                    job.id, reason: hold ? .jobHeldUser : .beginTime, text: nil, hold: hold, at: now)
                return nil
            }
            change(job.id, at: now) {
                $0.flags.formUnion([.ending, .requeue])
                if hold { $0.flags.insert(.requeueHold) }
            }
            if job.state == .suspended { out.effects.append(.signalStep(job.id, .resume)) }
            out.effects.append(.signalStep(job.id, .end))
            return nil
        case .completed, .cancelled, .failed, .timeout, .nodeFail, .deadline:
            waitAgain(job.id, hold: hold, at: now)
            if case .teardown(var teardown)? = job.buffer?.stage {
                teardown.then = .again
                change(job.id, at: now) { $0.buffer?.stage = .teardown(teardown) }
            }
            return nil
        }
    }

    private mutating func suspend(_ job: EngineJob, at now: Timestamp) -> SlurmError? {
        if job.state == .pending { return .jobPending }
        if job.state == .suspended { return nil }
        guard job.state == .running, !job.flags.contains(.ending) else { return .alreadyDone }
        if job.flags.contains(.configuring) { return .transitionStateNoUpdate }
        change(job.id, at: now) {
            $0.state = .suspended
            $0.suspendedAt = now
        }
        out.effects.append(.signalStep(job.id, .suspend))
        return nil
    }

    private mutating func resume(_ job: EngineJob, at now: Timestamp) -> SlurmError? {
        if job.state.isFinal { return .alreadyDone }
        guard job.state == .suspended else { return .jobNotSuspended }
        change(job.id, at: now) {
            $0.state = .running
            if let since = $0.suspendedAt { $0.suspendedMilliseconds += now.milliseconds - since.milliseconds }
            $0.suspendedAt = nil
        }
        if let changed = jobs[job.id], let limit = changed.timeLimitMinutes, let start = changed.start {
            timers.add(
                start.adding(seconds: Int(limit) * 60).adding(milliseconds: changed.suspendedMilliseconds), job: job.id)
        }
        out.effects.append(.signalStep(job.id, .resume))
        return nil
    }

    // MARK: Update

    private mutating func update(
        _ job: EngineJob, _ updates: [JobUpdate], by caller: Caller, at now: Timestamp
    ) -> SlurmError? {
        for update in updates {
            if case .burstBuffer = update { return .notSupported }
        }
        if job.state.isFinal { return .jobFinished }
        // All or nothing: what is refused is found before anything changes.
        for update in updates {
            switch update {
            case .priority(let priority):
                if !caller.isOperator, priority > job.priority { return .accessDenied }
            case .nice(let nice):
                if nice < 0, !caller.isOperator { return .accessDenied }
            case .timeLimitMinutes(let minutes):
                let isMore = minutes.map { more in job.timeLimitMinutes.map { more > $0 } ?? false } ?? true
                if isMore, !caller.isOperator, job.timeLimitMinutes != nil { return .accessDenied }
            case .dependency(let text):
                if job.state != .pending { return .jobNotPending }
                if !text.isEmpty, (try? Dependency(text)) == nil { return .dependency }
            case .begin:
                if job.state != .pending { return .jobNotPending }
            case .reservation(let name):
                if !name.isEmpty, reservations[name] == nil { return .reservationInvalid }
            case .name, .comment, .burstBuffer, .mailUser, .requeue: break
            }
        }
        for update in updates { apply(update, to: job.id, at: now) }
        wantPass(at: now)
        return nil
    }

    private mutating func apply(_ update: JobUpdate, to id: UInt32, at now: Timestamp) {
        change(id, at: now) {
            switch update {
            case .name(let name): $0.name = name
            case .comment(let comment): $0.comment = comment
            case .priority(let priority): $0.priority = priority
            case .nice(let nice): $0.nice = nice
            case .timeLimitMinutes(let minutes): $0.timeLimitMinutes = minutes
            case .begin(let begin):
                $0.begin = begin
                $0.eligible = begin
            case .dependency(let text): $0.dependency = text.isEmpty ? nil : text
            case .mailUser(let user): $0.mailUser = user
            case .requeue(let may): $0.mayRequeue = may
            case .reservation(let name): $0.reservation = name.isEmpty ? nil : name
            case .burstBuffer: break
            }
        }
        guard let job = jobs[id] else { return }
        if let begin = job.begin { timers.add(begin, job: id) }
        if job.state == .running, let limit = job.timeLimitMinutes, let start = job.start {
            timers.add(
                start.adding(seconds: Int(limit) * 60).adding(milliseconds: job.suspendedMilliseconds), job: id)
        }
    }
}

extension JobCommand {
    var selector: JobSelector {
        switch self {
        case .cancel(let selector, _, _, _), .hold(let selector, _), .release(let selector), .requeue(let selector, _),
            .suspend(let selector), .resume(let selector), .update(let selector, _):
            selector
        }
    }

    /// As the history has it.
    package var verb: String {
        switch self {
        case .cancel(_, let hurry, let signal, _):
            signal.map { "signal \($0)" } ?? (hurry ? "cancel --hurry" : "cancel")
        case .hold: "hold"
        case .release: "release"
        case .requeue(_, let hold): hold ? "requeuehold" : "requeue"
        case .suspend: "suspend"
        case .resume: "resume"
        case .update: "update"
        }
    }
}

extension JobSelector {
    func shown(_ job: EngineJob) -> String {
        switch self {
        case .job, .matching: "\(job.id)"
        case .task(let array, let task): "\(array)_\(task)"
        case .tasks(let array, _): job.arrayTaskID.map { "\(array)_\($0)" } ?? "\(job.id)"
        }
    }
}
