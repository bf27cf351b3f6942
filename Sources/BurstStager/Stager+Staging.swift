import BurstModel

/// Copies: data_in, data_out and the workers behind them (staging.md §4.4, §4.6).
extension Stager {
    mutating func dataIn(_ token: String, _ request: StagerRequest, at now: Timestamp) {
        // Never "No matching session": Slurm would read that as staged.
        guard let session = current(token) else { return answer(request, .failed(noSession(token))) }
        guard !session.isPersistent else { return answer(request, .failed("\(token) is a persistent buffer")) }
        switch session.phase {
        case .waitingForSpace, .allocating, .mounting: answer(request, .failed("setup is still under way"))
        case .ready:
            guard session.plan.stageIn > 0 else {
                change(session.id, at: now) { $0.phase = .stagedIn }
                return answer(request, .done)
            }
            wait(request, .dataIn, for: session.id)
            startWork(session.id, .stageIn, at: now)
        case .stageInFailed:
            wait(request, .dataIn, for: session.id)
            startWork(session.id, .stageIn, at: now)
        case .stagingIn: wait(request, .dataIn, for: session.id)
        case .stagedIn, .preRun, .running: answer(request, .done)
        case .postRun, .ranPost, .stagingOut, .stageOutFailed, .stagedOut:
            answer(request, .failed("the job has run already: its results would be overwritten"))
        case .lost: answer(request, .failed(lostText(session)))
        case .saving, .savingFailed, .ending: answer(request, .failed(noSession(token)))
        }
    }

    mutating func dataOut(_ token: String, _ request: StagerRequest, at now: Timestamp) {
        guard let session = current(token) else {
            // Torn down in haste while the job's chain went on: success for Slurm. A token that we never knew is not.
            return answer(request, wasTornDown(token) ? .noMatchingSession : .failed(noSession(token)))
        }
        guard !session.isPersistent else { return answer(request, .failed("\(token) is a persistent buffer")) }
        switch session.phase {
        case .ranPost:
            guard session.plan.stageOut > 0 else {
                change(session.id, at: now) {
                    $0.phase = .stagedOut
                    $0.isSaved = true
                }
                return answer(request, .done)
            }
            wait(request, .dataOut, for: session.id)
            startWork(session.id, .stageOut, at: now)
        case .stageOutFailed:
            wait(request, .dataOut, for: session.id)
            startWork(session.id, .stageOut, at: now)
        case .stagingOut: wait(request, .dataOut, for: session.id)
        case .stagedOut: answer(request, .done)
        case .lost: answer(request, .failed(lostText(session)))
        case .waitingForSpace, .allocating, .mounting, .ready, .stagingIn, .stageInFailed, .stagedIn, .preRun, .running,
            .postRun:
            answer(request, .failed("post_run was not done: the session is \(session.phaseName)"))
        case .saving, .savingFailed, .ending: answer(request, .noMatchingSession)
        }
    }

    /// For those who began a copy and do not wait: the lua plugin asks again and again (spec §4.6).
    func test(_ token: String, _ direction: StageDirection) -> StagerAnswer {
        guard let session = current(token) else {
            return direction == .stageOut && wasTornDown(token) ? .noMatchingSession : .failed(noSession(token))
        }
        guard !session.isPersistent else { return .failed("\(token) is a persistent buffer") }
        let busy = StagerAnswer(status: 0, text: StagerText.busy)
        switch (direction, session.phase) {
        case (_, .waitingForSpace), (_, .allocating), (_, .mounting): return .failed("setup is still under way")
        case (_, .lost): return .failed(lostText(session))
        case (.stageIn, .ready): return session.plan.stageIn == 0 ? .done : .failed("data_in was not begun")
        case (.stageIn, .stagingIn), (.stageOut, .stagingOut): return busy
        case (.stageIn, .stageInFailed(let failure)), (.stageOut, .stageOutFailed(let failure)):
            return .failed(failure.text)
        case (.stageIn, _), (.stageOut, .stagedOut): return .done
        case (.stageOut, _): return .failed("data_out was not begun: the session is \(session.phaseName)")
        }
    }

    /// An operator or the owner: what failed is copied again, from where it ended.
    mutating func retry(_ token: String, _ request: StagerRequest, at now: Timestamp) {
        for id in (byToken[token] ?? []).reversed() {
            guard let session = sessions[id] else { continue }
            switch session.phase {
            case .stageInFailed: startWork(id, .stageIn, at: now)
            case .stageOutFailed, .savingFailed: startWork(id, .stageOut, at: now)
            case .stagingIn(let work) where work.againAt != nil, .stagingOut(let work) where work.againAt != nil,
                .saving(let work) where work.againAt != nil:
                startWorkAgain(id, work, isFailure: false, at: now)
            default: continue
            }
            return answer(request, .done)
        }
        answer(request, current(token) == nil ? .tokenNotFound : .failed("nothing of \(token) has failed"))
    }

    // MARK: Workers

    /// A phase's first worker, or the first one after the phase failed.
    mutating func startWork(_ id: SessionID, _ direction: StageDirection, at now: Timestamp) {
        guard let session = sessions[id] else { return }
        let limit = direction == .stageIn ? settings.stageInLimit : settings.stageOutLimit
        let attempt = (session.progress?.direction == direction ? session.progress?.restarts ?? 0 : -1) + 2
        let work = StagerSession.Work(
            worker: WorkerID(newID()), since: now, until: now.adding(seconds: limit), attempt: attempt)
        change(id, at: now) {
            if $0.progress?.direction != direction { $0.progress = StagerProgress(direction, started: now) }
            $0.progress?.restarts = attempt - 1
            $0.progress?.throttle = $0.throttle
            switch (direction, $0.isListed) {
            case (.stageIn, _): $0.phase = .stagingIn(work)
            case (.stageOut, true): $0.phase = .stagingOut(work)
            case (.stageOut, false): $0.phase = .saving(work)
            }
        }
        start(work, of: id)
    }

    /// The next worker of a phase that goes on: after a failure that may pass, or one that was lost.
    mutating func startWorkAgain(
        _ id: SessionID, _ work: StagerSession.Work, isFailure: Bool, at now: Timestamp
    ) {
        var next = work
        next.worker = WorkerID(newID())
        next.attempt += 1
        next.againAt = nil
        next.isStopping = false
        if isFailure { next.failures += 1 }
        change(id, at: now) {
            $0.phase.replaceWork(next)
            $0.progress?.restarts = next.attempt - 1
        }
        start(next, of: id)
    }

    private mutating func start(_ work: StagerSession.Work, of id: SessionID) {
        guard let session = sessions[id], let direction = session.progress?.direction else { return }
        workers[work.worker] = id
        timers.add(work.until, .session(id))
        var persistent: [String: SessionID] = [:]
        for registration in session.registrations where registration.of != id {
            if let buffer = sessions[registration.of] { persistent[buffer.token] = buffer.id }
        }
        out.effects.append(
            .startWorker(
                WorkerOrder(
                    worker: work.worker, session: id, key: session.key, owner: session.owner, direction: direction,
                    plan: plans[id] ?? "", instances: session.instances, persistent: persistent,
                    throttle: session.throttle, attempt: work.attempt)))
    }

    mutating func workerReported(_ worker: WorkerID, _ report: ProgressReport, at now: Timestamp) {
        guard let id = workers[worker], let session = sessions[id], session.worker == worker else { return }
        guard var progress = session.progress else { return }
        let before = (progress.percent, progress.counts.planComplete)
        progress.apply(report, at: now)
        // Every percent is kept, so that none is taken back after a crash; the rest may be told again by the worker.
        if before != (progress.percent, progress.counts.planComplete) {
            change(id, at: now) { $0.progress = progress }
        } else {
            sessions[id]?.progress = progress
            isSomethingChanged = true
        }
    }

    mutating func workerEnded(_ worker: WorkerID, _ end: WorkerEnd, at now: Timestamp) {
        guard let id = workers.removeValue(forKey: worker) else { return }
        releaseQuarantine(from: worker, at: now)
        guard let session = sessions[id] else { return }
        switch session.phase {
        case .stagingIn(let work), .stagingOut(let work), .saving(let work):
            if work.worker == worker { workEnded(session, work, end, at: now) }
        case .ending(.stoppingWorker(let stopping, _)):
            if stopping == worker { unmountForEnding(id, at: now) }
        case .waitingForSpace, .allocating, .mounting, .ready, .stageInFailed, .stagedIn, .preRun, .running, .postRun,
            .ranPost, .stageOutFailed, .stagedOut, .savingFailed, .ending, .lost:
            break
        }
    }

    private mutating func workEnded(
        _ session: StagerSession, _ work: StagerSession.Work, _ end: WorkerEnd, at now: Timestamp
    ) {
        switch end {
        case .complete(let report):
            let isSaving = !session.isListed
            change(session.id, at: now) {
                $0.progress?.complete(report, at: now)
                $0.lastError = nil
                if $0.progress?.direction == .stageIn {
                    $0.phase = .stagedIn
                } else {
                    $0.isSaved = true
                    if !isSaving { $0.phase = .stagedOut }
                }
            }
            answer([.dataIn, .dataOut], of: session.id, .done)
            if isSaving { beginEnding(session.id, at: now) }
        case .failed(let text, let isTransient):
            if isTransient, !work.isStopping, work.failures + 1 < StagerLimits.workerAttemptsMax {
                return startLater(session.id, work, text, at: now)
            }
            failWork(session.id, work.isStopping ? limitText(session) : text, at: now)
        case .stopped:
            if work.isStopping { return failWork(session.id, limitText(session), at: now) }
            // Not by us: as if it had died.
            startLater(session.id, work, "the worker was stopped", at: now)
        }
    }

    private mutating func startLater(
        _ id: SessionID, _ work: StagerSession.Work, _ text: String, at now: Timestamp
    ) {
        var next = work
        let pause = min(StagerLimits.workerAgainSecondsMax, 1 << min(work.failures, 16))
        next.againAt = now.adding(seconds: pause)
        timers.add(now.adding(seconds: pause), .session(id))
        change(id, at: now) {
            $0.phase.replaceWork(next)
            $0.lastError = StagerText.failure(text)
        }
    }

    private func limitText(_ session: StagerSession) -> String {
        let direction = session.progress?.direction ?? .stageOut
        let limit = direction == .stageIn ? settings.stageInLimit : settings.stageOutLimit
        return "\(direction.rawValue): not over after \(limit) s; session \(session.id.number)"
    }

    mutating func workDue(_ id: SessionID, _ work: StagerSession.Work, at now: Timestamp) {
        guard let session = sessions[id] else { return }
        if work.until <= now, !work.isStopping {
            guard work.againAt == nil else { return failWork(id, limitText(session), at: now) }
            var stopping = work
            stopping.isStopping = true
            change(id, at: now) { $0.phase.replaceWork(stopping) }
            out.effects.append(.stopWorker(work.worker))
            // Slurm's patience ends as well.
            return answer([.dataIn, .dataOut], of: id, .failed(limitText(session)))
        }
        if let again = work.againAt, again <= now { startWorkAgain(id, work, isFailure: true, at: now) }
    }

    /// The buffer and what was copied stay: the next worker goes on from there.
    mutating func failWork(_ id: SessionID, _ text: String, at now: Timestamp) {
        guard let session = sessions[id] else { return }
        let failure = StagerSession.Failure(text: StagerText.failure(text), at: now)
        change(id, at: now) {
            $0.lastError = failure.text
            switch $0.phase {
            case .stagingIn: $0.phase = .stageInFailed(failure)
            case .stagingOut: $0.phase = .stageOutFailed(failure)
            case .saving: $0.phase = .savingFailed(failure)
            default: break
            }
        }
        log(.error, session, "\(session.phaseName) failed: \(text)")
        answer([.dataIn, .dataOut], of: id, .failed(text))
    }
}

extension StagerSession.Phase {
    /// The same phase with another worker.
    fileprivate mutating func replaceWork(_ work: StagerSession.Work) {
        switch self {
        case .stagingIn: self = .stagingIn(work)
        case .stagingOut: self = .stagingOut(work)
        case .saving: self = .saving(work)
        case .waitingForSpace, .allocating, .mounting, .ready, .stageInFailed, .stagedIn, .preRun, .running, .postRun,
            .ranPost, .stageOutFailed, .stagedOut, .savingFailed, .ending, .lost:
            preconditionFailure("only a phase that copies has a worker")
        }
    }
}
