package import BurstModel

/// Names a client's question until it is answered. The driver gives it out.
package struct RequestID: Hashable, Sendable {
    package let number: UInt64

    package init(_ number: UInt64) { self.number = number }
}

/// Who asks, as the socket's peer credentials say.
package struct Caller: Hashable, Sendable {
    package var uid: UInt32
    package var gid: UInt32
    package var userName: String
    /// root, the engine's own user, or SlurmUser.
    package var isOperator: Bool

    package init(uid: UInt32, gid: UInt32, userName: String, isOperator: Bool) {
        self.uid = uid
        self.gid = gid
        self.userName = userName
        self.isOperator = isOperator
    }
}

/// What the outside tells the engine.
package enum EngineEvent: Sendable {
    /// Once, after the start: calls of hooks that were under way are lost, steps were looked for.
    case started
    case submit(RequestID, SubmitOrder, Caller)
    case command(RequestID, JobCommand, Caller)
    case reserve(RequestID, ReservationCommand, Caller)
    case status(RequestID, arguments: [String], Caller)
    /// The configuration was read anew.
    case configured(EngineSettings)
    case hookEnded(CallID, HookAnswer)
    /// `pools` answered with a document that was read already.
    case poolsRead(CallID, HookAnswer, PoolsReading)
    /// `show_instances` or `show_sessions` answered with a document that was read already.
    case siteRead(CallID, HookAnswer, SiteReading)
    /// The lines of the path file after a successful `paths` (spec §4.7).
    case pathsRead(CallID, HookAnswer, lines: [String])
    /// The batch script runs.
    case stepStarted(UInt32)
    case stepEnded(UInt32, StepResult)
    /// Something is due: see `Engine.nextWake`.
    case tick
    /// The engine is about to end in order.
    case stopping
}

/// How a batch script ended.
package enum StepResult: Hashable, Sendable {
    /// As wait(2) gives it: status * 256 + signal.
    case ended(status: UInt32, at: Timestamp)
    /// It could not be started: why.
    case notStarted(String)
    /// It ran, and nothing is known of its end: the machine was restarted.
    case lost
    /// It was to be started when the engine died, and never was.
    case neverStarted
}

/// A batch job as a client hands it over. The client has read the `#SBATCH` lines; the engine reads the directives.
package struct SubmitOrder: Hashable, Sendable {
    package var script: String
    /// `--bb`; inserted as the script's second line.
    package var burstBuffer: String?
    package var environment: [String] = []
    /// The script's.
    package var arguments: [String] = []
    package var name: String
    package var workDir: String
    package var command: String = ""
    package var submitLine: String?
    /// On whose behalf; only operators may name another.
    package var uid: UInt32
    package var gid: UInt32
    package var userName: String
    package var groupName: String = ""
    package var partition: String?
    package var account: String?
    package var qos: String?
    package var comment: String?
    package var stdIn: String?
    package var stdOut: String?
    package var stdErr: String?
    package var appendsOutput: Bool = false
    /// Nil: 1.
    package var nodes: UInt32?
    package var tasks: UInt32?
    package var cpusPerTask: UInt32?
    package var timeLimitMinutes: UInt32?
    package var isHeld: Bool = false
    package var priority: UInt32?
    package var nice: Int32 = 0
    package var begin: Timestamp?
    package var dependency: String?
    package var array: String?
    package var reservation: String?
    package var mayRequeue: Bool = true
    package var mailTypes: EngineJob.MailTypes = []
    package var mailUser: String?
    /// Checked only, nothing is submitted.
    package var testOnly: Bool = false

    package init(script: String, name: String, workDir: String, uid: UInt32, gid: UInt32, userName: String) {
        self.script = script
        self.name = name
        self.workDir = workDir
        self.uid = uid
        self.gid = gid
        self.userName = userName
    }
}

/// What can be asked of jobs.
package enum JobCommand: Hashable, Sendable {
    /// `signal` nil: end the job. `batchOnly`: `scancel --batch`.
    case cancel(JobSelector, hurry: Bool, signal: Int32?, batchOnly: Bool)
    case hold(JobSelector, byUser: Bool)
    case release(JobSelector)
    case requeue(JobSelector, hold: Bool)
    case suspend(JobSelector)
    case resume(JobSelector)
    case update(JobSelector, [JobUpdate])
}

/// Which jobs.
package enum JobSelector: Hashable, Sendable {
    case job(UInt32)
    case task(array: UInt32, task: UInt32)
    /// `7_[1-3]`.
    case tasks(array: UInt32, [UInt32])
    /// Every job that all of these fit; nil fits any.
    case matching(user: String?, name: String?, partition: String?, account: String?, state: String?)
}

/// A field that `scontrol update job` may change.
package enum JobUpdate: Hashable, Sendable {
    case name(String)
    case comment(String)
    case priority(UInt32)
    case nice(Int32)
    case timeLimitMinutes(UInt32?)
    case begin(Timestamp)
    case dependency(String)
    case burstBuffer(String)
    case mailUser(String)
    case requeue(Bool)
    case reservation(String)
}

/// What can be asked of reservations.
package enum ReservationCommand: Hashable, Sendable {
    case create(name: String?, users: [String], start: Timestamp, end: Timestamp, burstBuffer: String, flags: String)
    case update(name: String, users: [String]?, burstBuffer: String?, end: Timestamp?)
    case delete(name: String)
}
