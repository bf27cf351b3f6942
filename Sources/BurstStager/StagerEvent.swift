/// What the outside tells the stager.
package enum StagerEvent: Sendable {
    /// Once, after the start, behind the first `pools`. `workers`: those of the earlier life that are still there and
    /// report again, with the session that their order named.
    case started(workers: [WorkerID: SessionID])
    /// A client's call. The same call may come twice, from the same client or another (staging.md §1.10).
    case verb(StagerRequest, StagerVerb, StagerCaller)
    /// The client is gone: nobody waits for the answer. Work goes on.
    case clientGone(StagerRequest)
    /// Space is there, with its limit set, or it could not be had: why.
    case allocated(OperationID, failure: String?)
    case activated(OperationID, failure: String?)
    /// Mounts are gone, or were detached lazily: what was in the way, for the monitor.
    case deactivated(OperationID, trouble: String?)
    case quarantined(OperationID, failure: String?)
    case removed(OperationID, failure: String?)
    case workerProgress(WorkerID, ProgressReport)
    case workerEnded(WorkerID, WorkerEnd)
    /// All pools that are configured, new or changed. One that is missing is kept as long as it is in use.
    case pools([StagerPool])
    case poolState(String, StagerPool.State)
    /// What the pool held is gone: memory after a restart of the machine.
    case contentsLost(pool: String, why: String)
    case configured(StagerSettings)
    /// Something is due: see `StagerEffect.wake`.
    case tick
}

/// How a worker ended.
package enum WorkerEnd: Hashable, Sendable {
    /// Everything that was planned is there and durable: the complete mark was written.
    case complete(ProgressReport)
    /// `isTransient`: the same may work in a while (ESTALE, EIO of a network file system, the worker was killed).
    case failed(String, isTransient: Bool)
    /// It was told to.
    case stopped
}

/// What clients ask for, read and checked for form already.
package enum StagerVerb: Hashable, Sendable {
    case jobProcess(JobCheck)
    case setup(SetupOrder)
    case dataIn(token: String)
    case realSize(token: String)
    case paths(token: String)
    case preRun(token: String, nodes: [String])
    case postRun(token: String)
    case dataOut(token: String)
    case teardown(token: String, hurry: Bool)
    case createPersistent(CreateOrder)
    /// How a copy that nobody waits for is: `BUSY`, done, or why it failed.
    case test(token: String, StageDirection)
    // Of operators, and of owners as far as noted.
    /// Copies again what failed. Owners may.
    case retry(token: String)
    case throttle(token: String, Throttle)
    /// Owners may.
    case access(name: String, AccessList)

    /// The name on the command line.
    package var name: String {
        switch self {
        case .jobProcess: "job_process"
        case .setup: "setup"
        case .dataIn: "data_in"
        case .realSize: "real_size"
        case .paths: "paths"
        case .preRun: "pre_run"
        case .postRun: "post_run"
        case .dataOut: "data_out"
        case .teardown: "teardown"
        case .createPersistent: "create_persistent"
        case .test(_, .stageIn): "test_data_in"
        case .test(_, .stageOut): "test_data_out"
        case .retry: "retry"
        case .throttle: "throttle"
        case .access: "access"
        }
    }
}

/// Space that is asked for.
package struct SpaceRequest: Hashable, Sendable {
    /// Empty in a check alone: whichever Slurm takes.
    package var pool: String
    package var bytes: UInt64
    /// At least one: striped and private each make a configuration.
    package var access: [StagerSession.AccessMode]

    package init(pool: String, bytes: UInt64, access: [StagerSession.AccessMode] = [.striped]) {
        self.pool = pool
        self.bytes = bytes
        self.access = access
    }
}

/// What the parser of the directives found in a script.
package enum JobCheck: Hashable, Sendable {
    /// One line: which line of the script, what, and what would be right.
    case refused(String)
    case accepted(space: [SpaceRequest], persistent: [String], owner: StagerSession.Owner?)
}

package struct SetupOrder: Hashable, Sendable {
    package var token: String
    package var owner: StagerSession.Owner
    package var creator: StagerSession.Creator = .slurm
    /// Empty, or of zero bytes, for a job that only uses, creates or destroys persistent buffers.
    package var space: [SpaceRequest]
    /// Names of persistent buffers that the job uses.
    package var persistent: [String] = []
    package var plan: SessionPlan

    package init(
        token: String, owner: StagerSession.Owner, space: [SpaceRequest], persistent: [String] = [],
        plan: SessionPlan = SessionPlan()
    ) {
        self.token = token
        self.owner = owner
        self.space = space
        self.persistent = persistent
        self.plan = plan
    }
}

package struct CreateOrder: Hashable, Sendable {
    package var name: String
    package var owner: StagerSession.Owner
    package var space: SpaceRequest
    /// Nil: the site's default.
    package var access: AccessList?

    package init(name: String, owner: StagerSession.Owner, space: SpaceRequest, access: AccessList? = nil) {
        self.name = name
        self.owner = owner
        self.space = space
        self.access = access
    }
}
