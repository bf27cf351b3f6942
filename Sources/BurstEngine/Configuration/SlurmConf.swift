/// What of `slurm.conf` concerns burst buffers and the few jobs that the engine runs (slurm.conf(5); spec §1.1).
/// Every other key is accepted and stays in the `ConfigText`, so that a cluster's own file loads. Two that are equal
/// steer alike.
package struct SlurmConf: Hashable, Sendable {
    package var clusterName = "burst"
    /// Nil: no plugin, directives are comments (spec §1.7).
    package var plugin: BurstPlugin?
    /// Accepted and read by nobody, as in Slurm.
    package var burstBufferParameters: String?
    package var debugFlags: [String] = []
    package var accountingStorageTRES: [String] = []
    /// The weight of a buffer's size in the priority: `bb/lua=3`; nil without one.
    package var burstBufferWeight: Double?
    package var priorityWeightTRES: String?
    package var priorityType = "priority/multifactor"
    package var schedulerParameters = SchedulerParameters()
    package var mailProg: String?
    package var mailDomain: String?
    /// Nil: wherever the program keeps its state.
    package var stateSaveLocation: String?
    /// Seconds that a client waits for an answer.
    package var messageTimeoutSeconds: UInt32 = 10
    /// Seconds that a finished job stays listed.
    package var minJobAgeSeconds: UInt32 = 300
    package var maxJobCount: UInt32 = 10_000
    package var firstJobID: UInt32 = 1
    package var maxJobID: UInt32 = 0x03ff_0000
    /// The largest task number plus 1.
    package var maxArraySize: UInt32 = 1001
    /// Seconds between SIGTERM and SIGKILL.
    package var killWaitSeconds: UInt32 = 30
    /// Minutes that a job may run beyond its limit.
    package var overTimeLimitMinutes: UInt32 = 0
    package var jobMayRequeue = true
    package var appendsOutput = false
    package var privateData: [String] = []
    package var slurmUser = "root"
    package var nodes: [Node] = []
    package var partitions: [Partition] = []
    package init() {}

    /// `DebugFlags=BurstBuffer`: the plugin says what it loads and what jobs ask for.
    package var logsBurstBuffer: Bool { debugFlags.contains { $0.lowercased() == "burstbuffer" } }

    /// The partition of jobs that name none: the one with `Default=YES`.
    package var defaultPartition: Partition? { partitions.last { $0.isDefault } }
}

// MARK: Parts

extension SlurmConf {
    /// `SchedulerParameters`, as far as it steers anything here; the other words are kept in `words`.
    package struct SchedulerParameters: Hashable, Sendable {
        package var words: [String] = []
        /// Tasks of an array that are split off early, to be staged (spec §1.1).
        package var arrayStageCount: UInt32 = 10
        /// Seconds.
        package var backfillInterval: UInt32 = 30
        /// Seconds.
        package var mainInterval: UInt32 = 60
        /// Bytes of a batch script.
        package var maxScriptBytes: UInt32 = 4 * 1024 * 1024
        /// Jobs whose dependency can never be satisfied are cancelled.
        package var killsInvalidDependents = false

        package init() {}
    }

    package struct Node: Hashable, Sendable {
        package var name: String
        package var cpus: UInt32 = 1
        /// MiB.
        package var realMemory: UInt64 = 1
    }

    package struct Partition: Hashable, Sendable {
        package var name: String
        /// As written: `ALL`, `n[1-3]`.
        package var nodes = ""
        package var isDefault = false
        /// Minutes; nil: no limit.
        package var maxTimeMinutes: UInt32?
        /// Minutes of jobs that ask for none; nil: `maxTimeMinutes`.
        package var defaultTimeMinutes: UInt32?
        package var state = State.up

        package enum State: String, CaseIterable, Sendable {
            case up = "UP"
            case down = "DOWN"
            case drain = "DRAIN"
            case inactive = "INACTIVE"
        }
    }

    package static let nodesMax = 65_536
}
