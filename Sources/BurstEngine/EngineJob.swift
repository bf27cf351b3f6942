package import BurstModel

/// A job as the engine holds it and as the store keeps it: what Slurm's job record says, as far as batch jobs, burst
/// buffers and the commands' output need it. The script and the environment are files in the job's folder.
package struct EngineJob: Codable, Hashable, Sendable, Identifiable {
    // Identity.
    package var id: UInt32
    /// The array's id; 0 for a job that is no array.
    package var arrayJobID: UInt32 = 0
    /// Nil for a job that is no array and for the tasks of an array that are not split off yet.
    package var arrayTaskID: UInt32?
    /// Tasks not split off yet; empty for others.
    package var arrayTasksLeft: [UInt32] = []
    /// At most so many tasks run at once; 0: no limit.
    package var arrayTasksRunningMax: UInt32 = 0
    /// The first component's id; 0 for a job that is not heterogeneous.
    package var hetJobID: UInt32 = 0
    package var hetOffset: UInt32 = 0
    package var hetJobIDs: [UInt32] = []

    // Owner.
    package var uid: UInt32
    package var gid: UInt32
    package var userName: String
    package var groupName: String = ""

    // What was asked.
    package var name: String
    package var partition: String = ""
    package var account: String?
    package var qos: String?
    package var comment: String?
    /// The script's path as submitted; empty for one from standard input.
    package var command: String = ""
    /// The script's.
    package var arguments: [String] = []
    package var submitLine: String?
    package var workDir: String = "/"
    package var stdIn: String = "/dev/null"
    /// With `%j` and the like still in it.
    package var stdOut: String = ""
    package var stdErr: String = ""
    package var appendsOutput = false
    package var nodes: UInt32 = 1
    package var tasks: UInt32 = 1
    package var cpusPerTask: UInt32 = 1
    /// Nil: no limit.
    package var timeLimitMinutes: UInt32?
    package var nice: Int32 = 0
    package var dependency: String?
    package var reservation: String?
    package var mayRequeue = true
    package var mailTypes: MailTypes = []
    package var mailUser: String?
    package var licenses: String?

    // Scheduling.
    /// 0: held.
    package var priority: UInt32
    package var submitted: Timestamp
    package var eligible: Timestamp?
    /// Not before.
    package var begin: Timestamp?
    /// When it began or, while it waits, when it is expected to.
    package var start: Timestamp?
    package var end: Timestamp?
    package var restartCount: UInt32 = 0
    package var suspendedAt: Timestamp?
    /// Milliseconds that it has been suspended so far.
    package var suspendedMilliseconds: Int64 = 0

    // Where it stands.
    package var state: Base = .pending
    package var flags: Flags = []
    package var reason: Reason = .none
    /// Text in the reason's place.
    package var reasonText: String?
    package var systemComment: String?
    package var adminComment: String?
    /// As wait(2) gives it: status * 256 + signal.
    package var exitStatus: UInt32 = 0

    /// What it asks of burst buffers; nil for a job that asks nothing.
    package var buffer: BufferWork?

    package init(
        id: UInt32, uid: UInt32, gid: UInt32, userName: String, name: String, priority: UInt32, submitted: Timestamp
    ) {
        self.id = id
        self.uid = uid
        self.gid = gid
        self.userName = userName
        self.name = name
        self.priority = priority
        self.submitted = submitted
    }

    package var cpus: UInt32 { max(1, tasks &* cpusPerTask) }
    package var isHeld: Bool { priority == 0 }

    /// Slurm's base state of a job.
    package enum Base: String, Codable, Sendable {
        case pending = "PENDING"
        case running = "RUNNING"
        case suspended = "SUSPENDED"
        case completed = "COMPLETED"
        case cancelled = "CANCELLED"
        case failed = "FAILED"
        case timeout = "TIMEOUT"
        case nodeFail = "NODE_FAIL"
        case deadline = "DEADLINE"

        package var isFinal: Bool {
            switch self {
            case .pending, .running, .suspended: false
            case .completed, .cancelled, .failed, .timeout, .nodeFail, .deadline: true
            }
        }
    }

    /// Slurm's flags on the base state.
    package struct Flags: OptionSet, Codable, Hashable, Sendable {
        package let rawValue: UInt8

        package init(rawValue: UInt8) { self.rawValue = rawValue }

        package static let configuring = Flags(rawValue: 1)
        package static let completing = Flags(rawValue: 2)
        package static let stageOut = Flags(rawValue: 4)
        /// It goes back to PENDING when its stage-out and teardown are over.
        package static let requeue = Flags(rawValue: 8)
        /// And is held then.
        package static let requeueHold = Flags(rawValue: 16)
        /// Its processes are being ended.
        package static let ending = Flags(rawValue: 32)
        /// It was cancelled with --hurry while it ran: nothing is staged out.
        package static let hurry = Flags(rawValue: 64)
        /// A task whose `job_process` runs: not considered before that ended.
        package static let processing = Flags(rawValue: 128)
    }

    /// What `squeue %T` and `JobState=` print: COMPLETING hides STAGE_OUT, which hides the final state (spec §7.2).
    package var shownState: JobState {
        if flags.contains(.completing) { return .completing }
        if flags.contains(.configuring) { return .configuring }
        if flags.contains(.stageOut) { return .stageOut }
        return JobState(state.rawValue)
    }

    /// Mail that the owner wants.
    package struct MailTypes: OptionSet, Codable, Hashable, Sendable {
        package let rawValue: UInt32

        package init(rawValue: UInt32) { self.rawValue = rawValue }

        package static let begin = MailTypes(rawValue: 0x1)
        package static let end = MailTypes(rawValue: 0x2)
        package static let fail = MailTypes(rawValue: 0x4)
        package static let requeue = MailTypes(rawValue: 0x8)
        package static let time100 = MailTypes(rawValue: 0x10)
        package static let time90 = MailTypes(rawValue: 0x20)
        package static let time80 = MailTypes(rawValue: 0x40)
        package static let time50 = MailTypes(rawValue: 0x80)
        package static let stageOut = MailTypes(rawValue: 0x100)
        package static let arrayTasks = MailTypes(rawValue: 0x200)
        package static let invalidDependency = MailTypes(rawValue: 0x400)
        /// `--mail-type=ALL`.
        package static let all: MailTypes = [.begin, .end, .fail, .invalidDependency, .requeue, .stageOut]
    }

    /// Slurm's reason codes that can occur here; the raw value is what is printed.
    package enum Reason: String, Codable, Sendable {
        case none = "None"
        case priority = "Priority"
        case resources = "Resources"
        case dependency = "Dependency"
        case dependencyNeverSatisfied = "DependencyNeverSatisfied"
        case beginTime = "BeginTime"
        case jobArrayTaskLimit = "JobArrayTaskLimit"
        case jobHeldUser = "JobHeldUser"
        case jobHeldAdmin = "JobHeldAdmin"
        case jobLaunchFailure = "JobLaunchFailure"
        case nonZeroExitCode = "NonZeroExitCode"
        case raisedSignal = "RaisedSignal:%d"
        case timeLimit = "TimeLimit"
        case nodeDown = "NodeDown"
        case partitionDown = "PartitionDown"
        case partitionNodeLimit = "PartitionNodeLimit"
        case partitionTimeLimit = "PartitionTimeLimit"
        case reservation = "Reservation"
        case burstBufferOperation = "BurstBufferOperation"
        case burstBufferResources = "BurstBufferResources"
        case burstBufferStageIn = "BurstBufferStageIn"
        case badConstraints = "BadConstraints"
        case launchFailedRequeuedHeld = "launch_failed_requeued_held"
    }

    /// As `squeue %r` prints it.
    package var shownReason: String { reasonText ?? reason.rawValue }
}

/// What a job asks of burst buffers and how far that is.
package struct BufferWork: Codable, Hashable, Sendable {
    /// The directives as Slurm shows them in `BurstBuffer=`.
    package var spec: String
    /// A pool and a rounded size in bytes or units for each pool that lines name, in order of first mention but for
    /// `pool`, which is last.
    package var requests: [Request] = []
    /// The pool that `setup` gets and rows show: that of the last line with a size (spec §3.1). Nil without one.
    package var pool: String?
    /// What `setup` gets and rows show: the sum of the requests, or what `real_size` said where that is more.
    package var size: UInt64 = 0
    /// Datawarp: what is done to persistent buffers, before the job's own is set up.
    package var acts: [PersistentAct] = []
    /// The directives hold symbols: hooks get a file with those replaced (spec §3.8).
    package var hasSymbols = false

    /// When the buffer was created (charged to its pool and listed); nil: there is none.
    package var created: Timestamp?
    package var stage: Stage = .pending
    /// When `state` became what it is.
    package var since: Timestamp
    /// Pre-run failures since the last release.
    package var preRunFailures: UInt32 = 0

    package init(spec: String, since: Timestamp) {
        self.spec = spec
        self.since = since
    }

    /// What each pool is charged while the buffer exists: each line's size to its own pool (Slurm charges all to the
    /// last: spec §10, Q34), and what `real_size` added to the last.
    package var charges: [Request] {
        var charges = requests
        let asked = requests.reduce(0) { $0 &+ $1.size }
        if let pool, size > asked, let last = charges.lastIndex(where: { $0.pool == pool }) {
            charges[last].size += size - asked
        }
        return charges
    }

    /// A line's size in a pool.
    package struct Request: Codable, Hashable, Sendable {
        package var pool: String
        package var size: UInt64

        package init(pool: String, size: UInt64) {
            self.pool = pool
            self.size = size
        }
    }

    /// Where the life cycle stands. Next states stand at each; any state leads to `teardown` on a cancel that ends the
    /// job.
    package enum Stage: Codable, Hashable, Sendable {
        /// Waits for space and its turn. Next: `stagingIn`, with datawarp `preparing`.
        case pending
        /// Persistent buffers are created and destroyed, one after the other; then it waits as `pending` does. The
        /// calls are those of the persistent buffers. Next: itself, `pending`, `stagingIn`.
        case preparing(Preparation)
        /// `setup`, `data_in`, `test_data_in`, `real_size` in turn. Next: itself, `stagedIn`, `stageInFailed`.
        case stagingIn(Step)
        /// Held until released or cancelled; the buffer is kept. Next: `teardown`.
        case stageInFailed
        /// Waits for its nodes. Next: `preRun`.
        case stagedIn
        /// `paths`, then `pre_run`. Next: itself, `running`, `teardown`.
        case preRun(Step)
        /// The script runs. Next: `postRun`, `teardown`.
        case running
        /// `post_run`. Next: `stagingOut`, `postRunFailed`.
        case postRun(Step)
        /// The data is kept until somebody cancels with --hurry. Next: `teardown`.
        case postRunFailed
        /// `data_out`, `test_data_out`. Next: itself, `teardown`, `stageOutFailed`.
        case stagingOut(Step)
        /// As `postRunFailed`.
        case stageOutFailed
        /// `job_teardown`, up to three times with lua, as often as it takes with datawarp. Next: itself, `complete`.
        case teardown(Teardown)
        /// The buffer is gone. Next: `pending`, if the job is requeued.
        case complete

        /// As `BurstBufferState=` prints it.
        package var state: BufferState {
            switch self {
            case .pending: .pending
            case .preparing(.allocating): .allocating
            case .preparing(.allocated): .allocated
            case .preparing(.deleting): .deleting
            case .preparing(.deleted): .deleted
            case .stagingIn, .stageInFailed: .stagingIn
            case .stagedIn: .stagedIn
            case .preRun: .preRun
            case .running: .running
            case .postRun, .postRunFailed: .postRun
            case .stagingOut, .stageOutFailed: .stagingOut
            case .teardown: .teardown
            case .complete: .complete
            }
        }
    }

    /// What a job does to persistent buffers: the first that is not done, or what has been done last.
    package enum Preparation: String, Codable, Sendable {
        case allocating, allocated, deleting, deleted
    }

    /// A hook that is under way, or about to be called.
    package struct Step: Codable, Hashable, Sendable {
        package var function: HookFunction
        /// The call under way; nil: it waits for `callAt`.
        package var call: CallID?
        /// When it is asked again after BUSY.
        package var callAt: Timestamp?
        /// When the first of the calls that answered BUSY was made: all share one limit (spec §4.8).
        package var firstAskedAt: Timestamp?

        package init(
            _ function: HookFunction, call: CallID? = nil, callAt: Timestamp? = nil, firstAskedAt: Timestamp? = nil
        ) {
            self.function = function
            self.call = call
            self.callAt = callAt
            self.firstAskedAt = firstAskedAt
        }
    }

    /// What follows a teardown.
    package enum Then: String, Codable, Sendable {
        /// The job is over, or held: it stays what it is.
        case end
        /// The job waits again and is staged in anew when its time comes.
        case again
    }

    /// The way out.
    package struct Teardown: Codable, Hashable, Sendable {
        package var hurry: Bool
        /// Calls that failed so far.
        package var failures = 0
        package var call: CallID?
        /// When it is tried again.
        package var callAt: Timestamp?
        /// A hook of the job that was killed and must have ended before (spec §10, Q15: never two calls at once).
        package var after: CallID?
        /// What becomes of the job then.
        package var then: Then = .end

        package init(hurry: Bool, then: Then = .end, after: CallID? = nil) {
            self.hurry = hurry
            self.then = then
            self.after = after
        }
    }
}
