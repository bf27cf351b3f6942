package import BurstModel

/// What of the configuration steers decisions. The daemon makes it of `slurm.conf` and `burst_buffer.conf`.
package struct EngineSettings: Sendable {
    // slurm.conf
    package var clusterName = "burst"
    package var hostName = "localhost"
    package var partition = "debug"
    /// Slots for jobs, one a CPU.
    package var cpus: UInt32 = 1
    /// Nil: none.
    package var defaultTimeLimitMinutes: UInt32?
    package var maxTimeLimitMinutes: UInt32?
    package var minJobAgeSeconds = 300
    package var maxJobCount = 10_000
    package var maxArraySize: UInt32 = 1001
    package var arrayStageCount = 10
    package var killWaitSeconds = 30
    package var slurmUserID: UInt32 = 0

    // burst_buffer.conf; nil: no plugin is configured (spec §1.7)
    package var plugin: Plugin? = Plugin()

    /// Where jobs' folders are: for the arguments of hooks.
    package var stateFolder = "/var/lib/burst"
    package var zone = LocalTime.Zone.fixed()

    package init() {}

    /// What `burst_buffer.conf` says.
    package struct Plugin: Sendable {
        package var name = "lua"
        package var directive = "BB_LUA"
        /// Nil: everybody.
        package var allowedUserIDs: Set<UInt32>?
        package var deniedUserIDs: Set<UInt32> = []
        package var tearsDownAfterFailure = false
        package var hidesOthers = false
        /// Seconds; 0: no limit.
        package var otherTimeout: UInt32 = 300
        package var stageInTimeout: UInt32 = 86400
        package var stageOutTimeout: UInt32 = 86400
        /// Of `job_process` and `paths`; datawarp only.
        package var validateTimeout: UInt32 = 5
        /// Seconds between two calls that answer BUSY.
        package var pollInterval: UInt32 = 15
        /// Datawarp only; nil: the first that is reported.
        package var defaultPool: String?
        /// Datawarp only: ordinary users may create and destroy persistent buffers (`Flags=EnablePersistent`).
        package var allowsPersistent = false
        /// Datawarp only: the site's list of sessions says nothing (`Flags=EmulateCray`, spec §5.8).
        package var emulatesCray = false
        /// Names of `Pools=`, which the plugin of this name lists and no more (spec §1.3).
        package var listedPools: [String] = []
        /// `Flags=`, timeouts and so on as `scontrol show burst` prints them, line by line.
        package var shown: Shown = Shown()

        package init() {}
    }

    /// What only `scontrol show burst` needs.
    package struct Shown: Hashable, Sendable {
        package var granularity: UInt64 = 1
        /// As printed: `DisablePersistent`.
        package var flags = "DisablePersistent"
        package var getSysState: String?
        package var getSysStatus: String?
        /// The text of the file.
        package var allowUsers: String?
        package var denyUsers: String?
        package var createBuffer: String?
        package var destroyBuffer: String?
        package var startStageIn: String?
        package var startStageOut: String?
        package var stopStageIn: String?
        package var stopStageOut: String?

        package init() {}
    }
}

/// Limits of the engine that no configuration changes.
package enum EngineLimits {
    /// Seconds between two calls of `slurm_bb_pools` (spec §1.7).
    package static let poolsIntervalSeconds = 30
    /// Submissions that wait for the first answer of `slurm_bb_pools`; more are checked without pools.
    package static let earlySubmissionsMax = 10_000
    /// Seconds between two teardowns that fail (spec §4.9).
    package static let teardownRetrySeconds = 10
    package static let teardownAttemptsMax = 3
    /// With datawarp the pause grows from the one to the other; it is tried for ever (spec §10, Q17).
    package static let teardownPauseSecondsMin = 5
    package static let teardownPauseSecondsMax = 300
    /// A persistent buffer that the site's sessions lack for longer is forgotten (spec §5.7).
    package static let missingSessionSeconds = 60
    /// Seconds after which a requeued job may start again: two minutes and the rounding of Slurm's minute (spec §7.3).
    package static let requeueDelaySeconds = 121
    /// Seconds after which a job may be staged again that a restart interrupted (spec §7.3).
    package static let restartDelaySeconds = 60
    /// A pre-run that failed more often holds the job (spec §7.5).
    package static let preRunRetriesMax: UInt32 = 2
    /// Bytes of `SystemComment`; a longer one takes no more entries (spec §4.8).
    package static let systemCommentBytesMax = 1024
    /// Bytes of `--bb` (spec §3.3).
    package static let burstBufferOptionBytesMax = 8192
    /// Bytes of a batch script: slurm.conf's `max_script_size` default.
    package static let scriptBytesMax = 4 * 1024 * 1024
}

/// Names of the files of a job, below `StateSaveLocation` (spec §3.7).
package enum EnginePaths {
    package static func folder(_ job: UInt32, in state: String) -> String { "\(state)/hash.\(job % 10)/job.\(job)" }
    package static func script(_ job: UInt32, in state: String) -> String { folder(job, in: state) + "/script" }
    package static func environment(_ job: UInt32, in state: String) -> String {
        folder(job, in: state) + "/environment"
    }
    /// The nodes that a job runs on, a name a line: for datawarp's `pre_run`.
    package static func nodes(_ job: UInt32, in state: String) -> String { folder(job, in: state) + "/client_nids" }
    /// What a datawarp teardown is given where there is no job's script.
    package static func noScript(in state: String) -> String { state + "/burst_buffer_script" }
    package static func path(_ job: UInt32, in state: String) -> String { folder(job, in: state) + "/path" }
    /// Directives with their symbols replaced; Slurm has it in memory as `/proc/PID/fd/N` (spec §3.8).
    package static func symbols(_ job: UInt32, in state: String) -> String { folder(job, in: state) + "/symbols" }
}
