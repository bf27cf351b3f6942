import BurstModel

/// The way out. A teardown does not fail: what is in the way is worked around or done later, and the space is counted
/// as used until it is really free (staging.md §0, fact 4; §4.6).
extension Stager {
    mutating func tearDown(_ token: String, hurry: Bool, _ request: StagerRequest, at now: Timestamp) {
        guard let session = current(token) else { return tearDownAgain(token, hurry: hurry, request, at: now) }
        let id = session.id
        if hurry { change(id, at: now) { $0.isHurried = true } }
        let text = "the session was torn down"
        answer([.setup, .create, .dataIn, .preRun, .postRun], of: id, .failed(text))
        answer([.dataOut], of: id, .noMatchingSession)
        if !session.isCharged {
            forget(id, at: now)
            return answer(request, .done)
        }
        waitForEnd(request, of: id, at: now)
        guard session.hasUnsaved, !hurry, !session.isHurried else { return beginEnding(id, at: now) }
        save(id, at: now)
        answer([.teardown], of: id, .done)
    }

    /// Slurm has torn it down before: it asks again after a restart, or now in haste.
    private mutating func tearDownAgain(
        _ token: String, hurry: Bool, _ request: StagerRequest, at now: Timestamp
    ) {
        guard let session = leaving(token) else { return answer(request, .tokenNotFound) }
        let id = session.id
        if hurry { change(id, at: now) { $0.isHurried = true } }
        switch session.phase {
        case .saving, .savingFailed, .ending(.waitingForUsers):
            guard hurry else { return answer(request, .done) }
            waitForEnd(request, of: id, at: now)
            beginEnding(id, at: now)
        case .ending(.quarantineFailed): answer(request, .done)
        case .ending: waitForEnd(request, of: id, at: now)
        default: preconditionFailure("a session that is leaving has another phase")
        }
    }

    private mutating func waitForEnd(_ request: StagerRequest, of id: SessionID, at now: Timestamp) {
        wait(request, .teardown, for: id)
        timers.add(now.adding(seconds: settings.teardownLimit), .teardown(request))
    }

    /// A refusal that Slurm would repeat at once and for ever. The first one is told at once; from the second on each
    /// takes longer, the more tokens fail, so that all of them together start less than one client a second.
    mutating func failTeardown(
        _ request: StagerRequest, _ token: String, _ refusal: StagerAnswer, at now: Timestamp
    ) {
        let oldest = now.adding(seconds: -StagerLimits.failingTeardownSeconds)
        failingTeardowns = failingTeardowns.filter { $0.value >= oldest }
        let isFirst = failingTeardowns.isEmpty
        if StagerName.isValid(token), failingTeardowns.count < StagerLimits.failingTeardownsMax {
            failingTeardowns[token] = now
        }
        guard !isFirst else { return answer(request, refusal) }
        let pause = min(
            StagerLimits.failingTeardownPauseMax, StagerLimits.failingTeardownPause * max(1, failingTeardowns.count))
        lateAnswers[request] = refusal
        timers.add(now.adding(seconds: pause), .answer(request))
    }

    // MARK: Results first

    /// Nobody asked for haste, and there are results that only this buffer has: they are copied out, though Slurm does
    /// not wait for it any more.
    private mutating func save(_ id: SessionID, at now: Timestamp) {
        guard let session = sessions[id] else { return }
        log(.notice, session, "torn down with results that were not staged out: they are saved first")
        if session.mayBeMounted {
            out.effects.append(.deactivate(mountOrder(session, newOperation(for: id))))
        }
        if case .stagingOut(let work) = session.phase {
            return change(id, at: now) {
                $0.phase = .saving(work)
                $0.activations = []
            }
        }
        let since = StagerSession.Failure(text: session.lastError ?? "torn down before its stage-out", at: now)
        change(id, at: now) {
            $0.phase = .savingFailed(since)
            $0.activations = []
        }
        startWork(id, .stageOut, at: now)
    }

    // MARK: Steps

    mutating func beginEnding(_ id: SessionID, at now: Timestamp) {
        guard let session = sessions[id] else { return }
        if session.isPersistent, !session.isHurried, !(users[id] ?? []).isEmpty {
            change(id, at: now) { $0.phase = .ending(.waitingForUsers) }
            // Slurm destroys a buffer while jobs use it; they keep it until their end.
            return answer([.teardown], of: id, .done)
        }
        guard let worker = session.worker, workers[worker] != nil else { return unmountForEnding(id, at: now) }
        let until = now.adding(seconds: StagerLimits.stopWorkerSeconds)
        change(id, at: now) { $0.phase = .ending(.stoppingWorker(worker, until: until)) }
        timers.add(until, .session(id))
        out.effects.append(.stopWorker(worker))
    }

    /// The last job that used a persistent buffer is gone.
    mutating func userLeft(_ id: SessionID, at now: Timestamp) {
        guard let session = sessions[id], case .ending(.waitingForUsers) = session.phase,
            (users[id] ?? []).isEmpty
        else { return }
        beginEnding(id, at: now)
    }

    mutating func unmountForEnding(_ id: SessionID, at now: Timestamp) {
        guard let session = sessions[id] else { return }
        guard session.mayBeMounted else { return quarantineForEnding(id, at: now) }
        let step = endingStep(id, at: now)
        change(id, at: now) { $0.phase = .ending(.unmounting(step)) }
        out.effects.append(.deactivate(mountOrder(session, step.operation)))
    }

    private mutating func endingStep(_ id: SessionID, at now: Timestamp) -> StagerSession.Step {
        let until = now.adding(seconds: StagerLimits.teardownStepSeconds)
        timers.add(until, .session(id))
        return StagerSession.Step(operation: newOperation(for: id), until: until)
    }

    mutating func quarantineForEnding(_ id: SessionID, at now: Timestamp) {
        guard let session = sessions[id] else { return }
        guard !session.instances.isEmpty else {
            answer([.teardown], of: id, .done)
            return forget(id, at: now)
        }
        let step = endingStep(id, at: now)
        change(id, at: now) {
            $0.activations = []
            $0.phase = .ending(.quarantining(step))
        }
        out.effects.append(.quarantine(quarantineOrder(session, step.operation)))
    }

    private func quarantineOrder(_ session: StagerSession, _ operation: OperationID) -> QuarantineOrder {
        QuarantineOrder(
            operation: operation, session: session.id, key: session.key, owner: session.owner,
            instances: session.instances)
    }

    mutating func endingDue(_ id: SessionID, _ ending: StagerSession.Ending, at now: Timestamp) {
        switch ending {
        case .waitingForUsers: break
        case .stoppingWorker(_, let until):
            guard until <= now else { return }
            // It may hang in the kernel. Renaming does not disturb it, and removal waits for its end.
            noteTrouble(id, "the worker does not end", at: now)
            unmountForEnding(id, at: now)
        case .unmounting(let step):
            guard step.until <= now else { return }
            noteTrouble(id, "unmounting takes too long", at: now)
            quarantineForEnding(id, at: now)
        case .quarantining(let step):
            // The rename hangs: Slurm is not kept waiting, and the answer is still taken when it comes.
            if step.until <= now { answer([.teardown], of: id, .done) }
        case .quarantineFailed(let again):
            if again <= now { quarantineForEnding(id, at: now) }
        }
    }

    mutating func quarantined(_ operation: OperationID, failure: String?, at now: Timestamp) {
        guard let id = operations.removeValue(forKey: operation), let session = sessions[id],
            case .ending(.quarantining(let step)) = session.phase, step.operation == operation
        else { return }
        answer([.teardown], of: id, .done)
        if let failure {
            let again = now.adding(seconds: StagerLimits.quarantineAgainSeconds)
            change(id, at: now) { $0.phase = .ending(.quarantineFailed(againAt: again)) }
            timers.add(again, .session(id))
            return noteTrouble(id, "not renamed into quarantine: \(failure)", at: now)
        }
        let busy = Set(workers.filter { worker, owner in owner == id || uses(owner, id) }.keys)
        let buffer = QuarantinedBuffer(
            id: id, key: session.key, owner: session.owner, creator: session.creator, created: session.created,
            since: now, instances: session.instances, removal: .waiting(for: busy), lastError: session.lastError)
        forget(id, at: now)
        keep(buffer)
        remove(id, at: now)
    }

    private func uses(_ user: SessionID, _ buffer: SessionID) -> Bool {
        sessions[user]?.registrations.contains { $0.of == buffer } ?? false
    }

    // MARK: Removal

    private mutating func keep(_ buffer: QuarantinedBuffer) {
        if quarantine[buffer.id] == nil {
            for instance in buffer.instances { use[instance.pool, default: PoolUse()].quarantined += instance.granules }
        }
        quarantine[buffer.id] = buffer
        out.records.append(.quarantined(buffer))
        isSomethingChanged = true
    }

    /// Starts the removal, unless a worker may still have a file open or it is under way.
    mutating func remove(_ id: SessionID, at now: Timestamp) {
        guard var buffer = quarantine[id] else { return }
        switch buffer.removal {
        case .waiting(let busy): guard busy.isEmpty else { return }
        case .again(let at, _): guard at <= now else { return }
        case .underWay: return
        }
        let operation = newOperation(for: id)
        removalFailures[id] = buffer.failures
        buffer.removal = .underWay(operation)
        keep(buffer)
        out.effects.append(
            .remove(
                QuarantineOrder(
                    operation: operation, session: id, key: buffer.key, owner: buffer.owner,
                    instances: buffer.instances)))
    }

    mutating func removed(_ operation: OperationID, failure: String?, at now: Timestamp) {
        guard let id = operations.removeValue(forKey: operation), var buffer = quarantine[id],
            buffer.removal == .underWay(operation)
        else { return }
        let failures = (removalFailures.removeValue(forKey: id) ?? 0) + 1
        if let failure {
            let pause = min(
                StagerLimits.removeAgainSecondsMax, StagerLimits.removeAgainSeconds << min(failures - 1, 16))
            let at = now.adding(seconds: pause)
            buffer.removal = .again(at: at, failures: failures)
            buffer.lastError = StagerText.failure(failure)
            keep(buffer)
            timers.add(at, .quarantined(id))
            return log(.error, nil, "quarantine \(id.number) of token \(buffer.key.token) is not removed: \(failure)")
        }
        quarantine[id] = nil
        for instance in buffer.instances { use[instance.pool, default: PoolUse()].quarantined -= instance.granules }
        out.records.append(.forgetQuarantined(id))
        isSomethingChanged = true
        admitWaiting(at: now)
    }

    mutating func releaseQuarantine(from worker: WorkerID, at now: Timestamp) {
        for (id, buffer) in quarantine {
            guard case .waiting(var busy) = buffer.removal, busy.remove(worker) != nil else { continue }
            var buffer = buffer
            buffer.removal = .waiting(for: busy)
            keep(buffer)
            remove(id, at: now)
        }
    }
}

extension QuarantinedBuffer {
    /// Removals that failed so far.
    var failures: Int { if case .again(_, let failures) = removal { failures } else { 0 } }
}
