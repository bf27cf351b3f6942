import BurstModel

/// The run of a batch script and what follows it.
extension Engine {
    mutating func stepEnded(_ id: UInt32, _ result: StepResult, at now: Timestamp) {
        guard let job = jobs[id], job.takesSlots, !job.flags.contains(.configuring) else { return }
        let ended: Timestamp
        switch result {
        case .notStarted(let why):
            log(.error, "batch launch of JobId=\(id) failed: \(why)")
            // Nothing ran, so there is nothing to stage out; and it would fail again.
            requeueUnrun(
                id, reason: .launchFailedRequeuedHeld, text: "launch failed: \(why)", hold: true, at: now)
            return
        case .neverStarted:
            requeueUnrun(id, reason: .beginTime, text: nil, hold: false, at: now)
            return
        case .lost: ended = now
        case .ended(_, let at): ended = min(at, now)
        }
        let wasCancelled = job.flags.contains(.ending)
        let requeue = job.flags.contains(.requeue) || (result == .lost && job.mayRequeue)
        let hurry = job.flags.contains(.hurry)
        change(id, at: now) {
            $0.flags.subtract([.ending, .requeue, .hurry])
            $0.end = ended
            $0.suspendedAt = nil
            if case .ended(let status, _) = result { $0.exitStatus = status }
            if $0.reason == .timeLimit {
                $0.state = .timeout
            } else if result == .lost {
                $0.state = .nodeFail
                $0.reason = .nodeDown
            } else if wasCancelled {
                $0.state = .cancelled
                $0.reason = .none
            } else if $0.exitStatus == 0 {
                $0.state = .completed
                $0.reason = .none
            } else {
                $0.state = .failed
                $0.reason = .nonZeroExitCode
            }
        }
        if requeue {
            waitAgain(id, hold: job.flags.contains(.requeueHold), at: now)
        }
        finishBuffer(id, hurry: hurry, at: now)
        wantPass(at: now)
    }

    /// A job that ran waits again.
    mutating func waitAgain(_ id: UInt32, hold: Bool, at now: Timestamp) {
        let begin = now.adding(seconds: EngineLimits.requeueDelaySeconds)
        timers.add(begin, job: id)
        change(id, at: now) {
            $0.flags.subtract([.requeueHold, .stageOut])
            $0.state = .pending
            $0.restartCount += 1
            $0.start = nil
            $0.end = nil
            $0.exitStatus = 0
            $0.begin = begin
            $0.eligible = begin
            $0.reason = hold ? .jobHeldUser : .beginTime
            $0.reasonText = nil
            if hold { $0.priority = 0 } else if $0.priority == 0 { $0.priority = 1 }
        }
    }

    /// What is done with the data of a job whose script has ended.
    private mutating func finishBuffer(_ id: UInt32, hurry: Bool, at now: Timestamp) {
        guard let job = jobs[id], let work = job.buffer else {
            if let job = jobs[id], job.state.isFinal {
                timers.add((job.end ?? now).adding(seconds: settings.minJobAgeSeconds), job: id)
            }
            return
        }
        guard work.stage == .running else { return }
        if hurry {
            tearDown(id, hurry: true, then: job.state.isFinal ? .end : .again, at: now)
            return
        }
        let progress = stageOutText
        change(id, at: now) {
            if $0.state.isFinal {
                $0.flags.insert(.stageOut)
                if $0.reason != .timeLimit { $0.reasonText = progress }
            }
            $0.buffer?.stage = .postRun(BufferWork.Step(.postRun))
        }
        callStep(id, BufferWork.Step(.postRun), at: now)
    }

    mutating func endForTimeLimit(_ job: EngineJob, at now: Timestamp) {
        change(job.id, at: now) {
            $0.flags.insert(.ending)
            $0.reason = .timeLimit
        }
        out.effects.append(.signalStep(job.id, .end))
    }
}
