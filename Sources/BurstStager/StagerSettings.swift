/// What the site decides about staging. Times in seconds.
package struct StagerSettings: Hashable, Sendable {
    /// The folder whose entries `DW_JOB_STRIPED` and the like name; without a slash at the end.
    package var mountFolder = "/var/lib/burst/mnt"
    /// This machine, in `dwstat nodes`.
    package var host = "localhost"

    // Each a little shorter than Slurm's own, so that the job shows our text instead of none (staging.md §1.1).
    package var stageInLimit = 86_390
    package var stageOutLimit = 86_390
    /// setup and create_persistent, waiting for space included.
    package var setupLimit = 280
    /// Slurm's is 83 hours by a mistake of its own (staging.md §0, fact 5).
    package var preRunLimit = 240
    package var postRunLimit = 240
    /// A teardown is answered then, whatever is still to do.
    package var teardownLimit = 60

    /// Who may use a persistent buffer that was just created, beside its owner.
    package var persistentAccess = AccessList()
    /// Nil: everybody.
    package var persistentCreators: Set<UInt32>?

    package init() {}
}

/// Limits that are ours alone.
package enum StagerLimits {
    /// Sessions, persistent ones included.
    package static let sessionsMax = 100_000
    /// Persistent buffers that a job may use.
    package static let persistentPerJobMax = 32
    package static let nodesMax = 65_536
    /// Requests for space in one setup: a job's buffer and its swap, in several pools.
    package static let spacePerJobMax = 16
    /// The text of a plan.
    package static let planBytesMax = 4 << 20
    /// A worker that was told to stop is waited for so long; then the teardown goes on without.
    package static let stopWorkerSeconds = 5
    /// Unmounting, renaming: a teardown waits so long for each and then goes on.
    package static let teardownStepSeconds = 20
    /// A rename into quarantine that failed is tried again.
    package static let quarantineAgainSeconds = 30
    /// A removal that failed is tried again: doubled each time from the first to the second.
    package static let removeAgainSeconds = 5
    package static let removeAgainSecondsMax = 600
    /// A worker that ended for a reason that may pass is started again so often, after 1, 2, 4... s.
    package static let workerAttemptsMax = 5
    package static let workerAgainSecondsMax = 60
    /// Failing teardowns are counted for so long.
    package static let failingTeardownSeconds = 60
    package static let failingTeardownsMax = 1024
    /// The second failing teardown waits so long for its answer, times the tokens that fail (staging.md §0, fact 4;
    /// F5).
    package static let failingTeardownPause = 3
    package static let failingTeardownPauseMax = 240
    /// Who comes late to a session that is gone is told so, for so long.
    package static let tombstoneSeconds = 30 * 86_400
    package static let tombstonesMax = 50_000
    package static let errorBytesMax = 1024
}
