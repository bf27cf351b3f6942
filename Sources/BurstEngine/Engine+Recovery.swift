import BurstModel

/// What the start makes of what the store kept (spec §7.3, rows "restart"; §7.6). All calls of the earlier life are
/// dead; steps were looked for by the driver, whose `stepEnded` events follow for those that have ended.
extension Engine {
    mutating func recover(at now: Timestamp) {
        if settings.plugin != nil { askPools(at: now) }
        // Pools are those that the script of this life reports; older ones matter as far as they are in use.
        if pools.contains(where: { $0.used == 0 }) {
            pools.removeAll { $0.used == 0 }
            poolsChanged = true
        }
        addPoolsOfConf()
        for job in jobs.values.sorted(by: { $0.id < $1.id }) {
            if job.flags.contains(.processing) { change(job.id, at: now) { $0.flags.remove(.processing) } }
            if let begin = job.begin { timers.add(begin, job: job.id) }
            if job.state == .running, let limit = job.timeLimitMinutes, let start = job.start {
                timers.add(start.adding(seconds: Int(limit) * 60), job: job.id)
            }
            if job.state.isFinal, let end = job.end {
                timers.add(end.adding(seconds: settings.minJobAgeSeconds), job: job.id)
            }
            recoverBuffer(job, at: now)
        }
        recoverPersistent(at: now)
        wantPass(at: now)
    }

    private mutating func recoverBuffer(_ job: EngineJob, at now: Timestamp) {
        guard let work = job.buffer else { return }
        switch work.stage {
        case .pending, .preparing, .running, .complete, .postRunFailed, .stageOutFailed:
            if case .postRunFailed = work.stage { restartStageOut(job.id, at: now) }
            if case .stageOutFailed = work.stage { restartStageOut(job.id, at: now) }
        case .stagingIn, .stagedIn, .stageInFailed:
            // A clean restart throws staging away; so does one after a crash, where Slurm forgets the job (§10, Q9).
            let begin = max(job.begin ?? now, now.adding(seconds: EngineLimits.restartDelaySeconds))
            timers.add(begin, job: job.id)
            let wasHeld = job.isHeld
            change(job.id, at: now) {
                $0.begin = begin
                $0.start = nil
                if !wasHeld {
                    $0.reason = .beginTime
                    $0.reasonText = nil
                }
                $0.buffer?.stage = .teardown(BufferWork.Teardown(hurry: true, then: .again))
            }
            callTeardown(job.id, at: now)
        case .preRun:
            // Paths and pre_run run again.
            change(job.id, at: now) { $0.buffer?.stage = .preRun(BufferWork.Step(.paths)) }
            callStep(job.id, BufferWork.Step(.paths), at: now)
        case .postRun, .stagingOut: restartStageOut(job.id, at: now)
        case .teardown(let teardown):
            // With lua not hurried, even if it was (spec §7.3), unless it was never called; failures count on.
            let wasCalled = !rules.remembersHurry && (teardown.call != nil || teardown.failures > 0)
            var again = BufferWork.Teardown(hurry: wasCalled ? false : teardown.hurry, then: teardown.then)
            again.failures = teardown.failures
            change(job.id, at: now) { $0.buffer?.stage = .teardown(again) }
            callTeardown(job.id, at: now)
        }
    }

    /// Stage-out starts over with post_run, also after a failure.
    mutating func restartStageOut(_ id: UInt32, at now: Timestamp) {
        let progress = stageOutText
        change(id, at: now) {
            if $0.state.isFinal {
                $0.flags.insert(.stageOut)
                if $0.reason != .timeLimit {
                    $0.reason = $0.state == .failed ? .nonZeroExitCode : .none
                    $0.reasonText = progress
                }
            }
            $0.buffer?.stage = .postRun(BufferWork.Step(.postRun))
        }
        callStep(id, BufferWork.Step(.postRun), at: now)
    }
}
