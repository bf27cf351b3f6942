package import BurstModel

/// What `scancel` and `scancel --hurry` do to a job in its present state (monitor.md §3.6, spec §7.4), in words.
package struct CancelAdvice: Hashable, Sendable {
    /// The situation, where it needs a sentence.
    package var situation: String
    package var plain: String
    package var hurry: String
    package var plainActs: Bool
    package var hurryActs: Bool
    /// `--hurry` loses data that plain cancel would bring out, or that a failed stage-out kept.
    package var hurryDestroys: Bool

    private init(
        _ situation: String = "", plain: String, hurry: String, plainActs: Bool = true, hurryActs: Bool = true,
        hurryDestroys: Bool = false
    ) {
        self.situation = situation
        self.plain = plain
        self.hurry = hurry
        self.plainActs = plainActs
        self.hurryActs = hurryActs
        self.hurryDestroys = hurryDestroys
    }

    /// For a job; `bufferState` of the allocation decides nothing, the job's own does.
    package static func advice(for job: Job) -> CancelAdvice {
        let stage = job.bufferState
        // The reason's blanks are underscores in `scontrol show job`.
        let reason = job.reason
        let isInProgress = reason.hasSuffix("Stage-out in progress") || reason.hasSuffix("Stage-out_in_progress")
        switch stage {
        case .teardown, .teardownFail:
            if job.state.isFinal || job.state == .stageOut || job.state == .completing {
                return CancelAdvice(
                    "The buffer is being torn down; retries go on by themselves.",
                    plain: "no effect: Slurm calls this job already done",
                    hurry: "no effect either: no further teardown is started",
                    plainActs: false, hurryActs: false)
            }
            return CancelAdvice(
                "The buffer is being torn down before the job is queued again.",
                plain: "the job ends; teardown goes on",
                hurry: "the same")
        case .complete where job.state == .pending:
            return CancelAdvice(
                "The job was queued again after its teardown.", plain: "the job ends; nothing is left to tear down",
                hurry: "the same")
        case .complete, .deleted:
            return CancelAdvice(
                "The buffer is gone.", plain: "no effect: the job is over", hurry: "no effect: the job is over",
                plainActs: false, hurryActs: false)
        case .postRun, .stagingOut, .stagedOut:
            return stageOut(isInProgress || reason == "TimeLimit" || reason == "None")
        default: break
        }
        if job.state == .stageOut { return stageOut(isInProgress || reason == "TimeLimit") }
        if job.state.isFinal {
            return CancelAdvice(
                "The job is over.", plain: "no effect: the job is over", hurry: "no effect: the job is over",
                plainActs: false, hurryActs: false)
        }
        switch stage {
        case .stagingIn, .stagedIn, .preRun, .allocRevoke, .allocating, .allocated, .deleting:
            let failed = reason.contains("burst_buffer/") && job.isHeld
            return CancelAdvice(
                failed ? "Its stage-in has FAILED; it is held and never goes on by itself." : "",
                plain: "the job ends; a running hook is killed, then teardown (hurry). It never ran: no stage-out",
                hurry: "the same")
        case .running, .suspended:
            return CancelAdvice(
                plain: "the job ends, then its data is staged out, then teardown",
                hurry: "the job ends and the buffer is torn down at once: NO STAGE-OUT, results are LOST",
                hurryDestroys: true)
        default:
            if job.state == .running || job.state == .completing || job.state == .suspended {
                return CancelAdvice(
                    plain: "the job ends, then its data is staged out, then teardown",
                    hurry: "the job ends and the buffer is torn down at once: results are LOST", hurryDestroys: true)
            }
            return CancelAdvice(plain: "the job ends; no hook runs, it has no buffer yet", hurry: "the same")
        }
    }

    private static func stageOut(_ healthy: Bool) -> CancelAdvice {
        CancelAdvice(
            healthy
                ? "The data is being staged out."
                : "A stage-out has FAILED. Data written by the job is still in the buffer.",
            plain: "no effect: Slurm calls this job already done",
            hurry: healthy
                ? "tears down now; data not yet staged out is DESTROYED (a running hook is not killed)"
                : "tears down now; un-staged data is DESTROYED",
            plainActs: false, hurryDestroys: true)
    }
}
