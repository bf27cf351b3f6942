import BurstModel

/// What a start makes of what the store kept: every phase goes on where it was, whatever of the effects was done. All
/// clients of the earlier life are gone; those that still want an answer call again (staging.md §4.6).
extension Stager {
    mutating func recover(_ found: [WorkerID: SessionID], at now: Timestamp) {
        workers = found
        let alive = Set(found.keys)
        // Of a session that is gone, or of a phase that is over: nobody waits for it.
        for (worker, id) in found.sorted(by: { $0.key < $1.key }) where sessions[id]?.worker != worker {
            out.effects.append(.stopWorker(worker))
        }
        for session in sessions.values.sorted(by: { $0.id < $1.id }) { recover(session, alive, at: now) }
        for buffer in quarantine.values.sorted(by: { $0.id < $1.id }) { recover(buffer, alive, at: now) }
        isListedAnew = true
        admitWaiting(at: now)
    }

    private mutating func recover(_ session: StagerSession, _ alive: Set<WorkerID>, at now: Timestamp) {
        let id = session.id
        switch session.phase {
        case .waitingForSpace: break
        case .allocating: allocate(id, until: now.adding(seconds: settings.setupLimit), at: now)
        case .mounting:
            let step = StagerSession.Step(
                operation: newOperation(for: id), until: now.adding(seconds: settings.setupLimit))
            change(id, at: now) { $0.phase = .mounting(step) }
            timers.add(step.until, .session(id))
            out.effects.append(.activate(mountOrder(session, step.operation)))
        case .preRun:
            let step = StagerSession.Step(
                operation: newOperation(for: id), until: now.adding(seconds: settings.preRunLimit))
            change(id, at: now) { $0.phase = .preRun(step) }
            timers.add(step.until, .session(id))
            out.effects.append(.activate(mountOrder(session, step.operation)))
        case .postRun:
            let step = StagerSession.Step(
                operation: newOperation(for: id), until: now.adding(seconds: settings.postRunLimit))
            change(id, at: now) { $0.phase = .postRun(step) }
            timers.add(step.until, .session(id))
            out.effects.append(.deactivate(mountOrder(session, step.operation)))
        case .stagingIn(let work), .stagingOut(let work), .saving(let work):
            recover(session, work, alive, at: now)
        case .ending(let ending): recover(session, ending, at: now)
        case .running: ensureMounts(session)
        case .ready: if session.isPersistent { ensureMounts(session) }
        case .stageInFailed, .stagedIn, .ranPost, .stageOutFailed, .stagedOut, .savingFailed, .lost: break
        }
    }

    /// They may be gone with the machine's last life; those that are there stay.
    private mutating func ensureMounts(_ session: StagerSession) {
        guard session.mayBeMounted else { return }
        out.effects.append(.activate(mountOrder(session, newOperation(for: session.id))))
    }

    private mutating func recover(
        _ session: StagerSession, _ work: StagerSession.Work, _ alive: Set<WorkerID>, at now: Timestamp
    ) {
        timers.add(work.until, .session(session.id))
        if let again = work.againAt { return timers.add(again, .session(session.id)) }
        if alive.contains(work.worker) {
            if work.isStopping { out.effects.append(.stopWorker(work.worker)) }
            return
        }
        if work.isStopping { return failWork(session.id, "not over in time; the worker is gone", at: now) }
        // Lost with us, or never started: that is no failure of its own.
        startWorkAgain(session.id, work, isFailure: false, at: now)
    }

    private mutating func recover(
        _ session: StagerSession, _ ending: StagerSession.Ending, at now: Timestamp
    ) {
        switch ending {
        case .waitingForUsers:
            ensureMounts(session)
            userLeft(session.id, at: now)
        case .stoppingWorker(let worker, _):
            guard workers[worker] != nil else { return unmountForEnding(session.id, at: now) }
            let until = now.adding(seconds: StagerLimits.stopWorkerSeconds)
            change(session.id, at: now) { $0.phase = .ending(.stoppingWorker(worker, until: until)) }
            timers.add(until, .session(session.id))
            out.effects.append(.stopWorker(worker))
        // Unmounting may have been given up for taking too long, and died with us.
        case .unmounting, .quarantining, .quarantineFailed: unmountForEnding(session.id, at: now)
        }
    }

    private mutating func recover(_ buffer: QuarantinedBuffer, _ alive: Set<WorkerID>, at now: Timestamp) {
        var buffer = buffer
        switch buffer.removal {
        case .waiting(let busy): buffer.removal = .waiting(for: busy.intersection(alive))
        case .underWay: buffer.removal = .waiting(for: [])
        case .again(let at, _): return timers.add(at, .quarantined(buffer.id))
        }
        quarantine[buffer.id] = buffer
        remove(buffer.id, at: now)
    }
}
