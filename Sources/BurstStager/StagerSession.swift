package import BurstModel

/// A session: one life of a job's buffer, or a persistent buffer, as the stager holds it and as the store keeps it.
package struct StagerSession: Hashable, Codable, Sendable, Identifiable {
    package var id: SessionID
    package var key: SessionKey
    package var owner: Owner
    package var creator: Creator
    package var created: Timestamp
    /// None for a job that only uses, creates or destroys persistent buffers.
    package var instances: [Instance] = []
    /// Persistent buffers and own configurations that the job uses.
    package var registrations: [Registration] = []
    package var activations: [Activation] = []
    package var plan: SessionPlan.Lines
    package var phase: Phase
    /// The last teardown asked for haste: never forgotten, though Slurm asks again without (staging.md §1.10).
    package var isHurried = false
    /// pre_run began once: there may be results that nobody else has.
    package var hasRun = false
    /// The copy out is whole.
    package var isSaved = false
    /// Nil for a job's session.
    package var persistent: Persistent?
    /// Mounts were asked for, and nobody said yet that they are gone.
    package var mayBeMounted = false
    /// Hosts that pre_run named.
    package var nodes: [String] = []
    /// Of the phase under way, or of the last one.
    package var progress: StagerProgress?
    /// What went wrong last, though it may have been mended since: for the monitor.
    package var lastError: String?
    package var throttle: Throttle?
    /// Why the data are gone, where they are: a pool in memory after a restart of the machine.
    package var lostWhy: String?

    package init(
        id: SessionID, key: SessionKey, owner: Owner, creator: Creator, created: Timestamp, plan: SessionPlan.Lines,
        phase: Phase
    ) {
        self.id = id
        self.key = key
        self.owner = owner
        self.creator = creator
        self.created = created
        self.plan = plan
        self.phase = phase
    }

    package var token: String { key.token }

    package enum Creator: String, Hashable, Codable, Sendable { case slurm = "SLURM", cli = "CLI" }

    package struct Owner: Hashable, Codable, Sendable {
        package var uid: UInt32
        package var gid: UInt32
        /// All groups, the first one included: who may use a persistent buffer is decided by them.
        package var groups: Set<UInt32>

        package init(uid: UInt32, gid: UInt32, groups: Set<UInt32> = []) {
            self.uid = uid
            self.gid = gid
            self.groups = groups.union([gid])
        }
    }

    /// What a persistent buffer has beside the rest.
    package struct Persistent: Hashable, Codable, Sendable {
        package var access: AccessList

        package init(access: AccessList) { self.access = access }
    }

    /// Space in a pool.
    package struct Instance: Hashable, Codable, Sendable {
        package var id: UInt64
        package var pool: String
        /// Bytes, as they were asked for.
        package var asked: UInt64
        package var granules: UInt64
        /// Granules times granularity, as it was when the space was taken.
        package var bytes: UInt64
        package var fragment: UInt64
        package var configurations: [Configuration]

        package init(
            id: UInt64, pool: String, asked: UInt64, granules: UInt64, bytes: UInt64, fragment: UInt64,
            configurations: [Configuration]
        ) {
            self.id = id
            self.pool = pool
            self.asked = asked
            self.granules = granules
            self.bytes = bytes
            self.fragment = fragment
            self.configurations = configurations
        }
    }

    /// How an instance is seen.
    package struct Configuration: Hashable, Codable, Sendable {
        package var id: UInt64
        package var access: AccessMode
        package var namespace: UInt64

        package init(id: UInt64, access: AccessMode, namespace: UInt64) {
            self.id = id
            self.access = access
            self.namespace = namespace
        }
    }

    /// That a session uses a configuration, its own or a persistent buffer's.
    package struct Registration: Hashable, Codable, Sendable {
        package var id: UInt64
        package var configuration: UInt64
        /// Whose configuration it is: the session itself, or a persistent buffer.
        package var of: SessionID

        package init(id: UInt64, configuration: UInt64, of: SessionID) {
            self.id = id
            self.configuration = configuration
            self.of = of
        }
    }

    /// That a configuration is mounted for the session.
    package struct Activation: Hashable, Codable, Sendable {
        package var id: UInt64
        package var configuration: UInt64
        /// Name below the folder of mounts: `83_striped_scratch`.
        package var mount: String

        package init(id: UInt64, configuration: UInt64, mount: String) {
            self.id = id
            self.configuration = configuration
            self.mount = mount
        }
    }

    package enum AccessMode: String, Hashable, Codable, Sendable { case striped, `private`, swap }

    /// Where the session stands: the engine's own word, beside Slurm's (staging.md §1.9).
    package enum Phase: Hashable, Codable, Sendable {
        /// Waits until a removal under way frees the space. Next: `allocating`, or gone after a failure.
        case waitingForSpace(until: Timestamp)
        /// Folder, limit and quota are made. Next: `ready`, `mounting` (persistent), or gone after a failure.
        case allocating(Step)
        /// A persistent buffer's mount, which stays for its life. Next: `ready`, or gone after a failure.
        case mounting(Step)
        /// Set up. For a persistent buffer: to be used. Next: `stagingIn`, `stagedIn`.
        case ready
        case stagingIn(Work)
        case stageInFailed(Failure)
        case stagedIn
        /// Mounts are made. Next: `running`, `stagedIn` after a failure.
        case preRun(Step)
        case running
        /// Mounts are taken away. Next: `ranPost`.
        case postRun(Step)
        /// The job has ended, its results are here. Next: `stagingOut`, `stagedOut`.
        case ranPost
        case stagingOut(Work)
        case stageOutFailed(Failure)
        case stagedOut
        /// Torn down for Slurm, and its results are still being copied out: nobody asked for haste. Next: `ending`.
        case saving(Work)
        /// As `saving`, and the copy failed: waits for an operator, or for a teardown in haste.
        case savingFailed(Failure)
        /// The way out. Next: quarantined, which is no session any more.
        case ending(Ending)
        /// The data are gone (`lostWhy`); listed until Slurm tears it down (staging.md §4.6). Next: `ending`.
        case lost
    }

    /// Something that the outside does, with a limit of ours.
    package struct Step: Hashable, Codable, Sendable {
        package var operation: OperationID
        package var until: Timestamp

        package init(operation: OperationID, until: Timestamp) {
            self.operation = operation
            self.until = until
        }
    }

    /// A worker's run.
    package struct Work: Hashable, Codable, Sendable {
        package var worker: WorkerID
        /// The first try of this phase began.
        package var since: Timestamp
        package var until: Timestamp
        /// From 1.
        package var attempt: Int
        /// Of those, workers that failed for a reason that may pass.
        package var failures = 0
        /// The limit is over: the worker was told to stop.
        package var isStopping = false
        /// A failed worker is followed by another one then.
        package var againAt: Timestamp?

        package init(worker: WorkerID, since: Timestamp, until: Timestamp, attempt: Int) {
            self.worker = worker
            self.since = since
            self.until = until
            self.attempt = attempt
        }
    }

    package struct Failure: Hashable, Codable, Sendable {
        package var text: String
        package var at: Timestamp

        package init(text: String, at: Timestamp) {
            self.text = text
            self.at = at
        }
    }

    /// Steps of a teardown.
    package enum Ending: Hashable, Codable, Sendable {
        /// A persistent buffer that jobs still use.
        case waitingForUsers
        case stoppingWorker(WorkerID, until: Timestamp)
        case unmounting(Step)
        /// Renamed out of the way; asked again where it did not work.
        case quarantining(Step)
        case quarantineFailed(againAt: Timestamp)
    }
}

extension StagerSession {
    package var isPersistent: Bool { persistent != nil }

    /// Torn down for Slurm, so `show_sessions` has it no longer.
    package var isListed: Bool {
        switch phase {
        case .saving, .savingFailed, .ending: false
        case .waitingForSpace, .allocating, .mounting, .ready, .stagingIn, .stageInFailed, .stagedIn, .preRun, .running,
            .postRun, .ranPost, .stagingOut, .stageOutFailed, .stagedOut, .lost:
            true
        }
    }

    /// The worker that may be alive for it.
    package var worker: WorkerID? {
        switch phase {
        case .stagingIn(let work), .stagingOut(let work), .saving(let work): work.againAt == nil ? work.worker : nil
        case .ending(.stoppingWorker(let worker, _)): worker
        case .waitingForSpace, .allocating, .mounting, .ready, .stageInFailed, .stagedIn, .preRun, .running, .postRun,
            .ranPost, .stageOutFailed, .stagedOut, .savingFailed, .ending, .lost:
            nil
        }
    }

    /// There are results that only this buffer has.
    package var hasUnsaved: Bool { hasRun && plan.stageOut > 0 && !isSaved && lostWhy == nil }

    /// Space is taken from pools.
    package var isCharged: Bool { if case .waitingForSpace = phase { false } else { true } }

    /// Granules in a pool.
    package func granules(in pool: String) -> UInt64 {
        instances.reduce(0) { $1.pool == pool ? $0 + $1.granules : $0 }
    }

    package var bytes: UInt64 { instances.reduce(0) { $0 + $1.bytes } }

    /// One word for the phase, for people and for JSON.
    package var phaseName: String {
        switch phase {
        case .waitingForSpace: "waiting-for-space"
        case .allocating, .mounting: "setting-up"
        case .ready: "ready"
        case .stagingIn: "staging-in"
        case .stageInFailed: "stage-in-failed"
        case .stagedIn: "staged-in"
        case .preRun: "pre-run"
        case .running: "running"
        case .postRun: "post-run"
        case .ranPost: "post-run-done"
        case .stagingOut: "staging-out"
        case .stageOutFailed: "stage-out-failed"
        case .stagedOut: "staged-out"
        case .saving: "saving"
        case .savingFailed: "save-failed"
        case .ending: "teardown"
        case .lost: "lost"
        }
    }
}

/// What is to be copied, as the parser of the directives made it: once, at setup, and never again (staging.md §0,
/// fact 6). The stager counts the lines and hands the text to workers as it came; the text is recorded once, beside its
/// session.
package struct SessionPlan: Hashable, Sendable {
    package var text: String
    package var lines: Lines

    /// `stage_in` and `stage_out` lines.
    package struct Lines: Hashable, Codable, Sendable {
        package var stageIn: Int
        package var stageOut: Int

        package init(stageIn: Int = 0, stageOut: Int = 0) {
            self.stageIn = stageIn
            self.stageOut = stageOut
        }
    }

    package init(text: String = "", lines: Lines = Lines()) {
        self.text = text
        self.lines = lines
    }
}

/// Who may use a persistent buffer beside its owner.
package struct AccessList: Hashable, Codable, Sendable {
    package var everyone: Bool
    package var users: Set<UInt32>
    package var groups: Set<UInt32>

    package init(everyone: Bool = false, users: Set<UInt32> = [], groups: Set<UInt32> = []) {
        self.everyone = everyone
        self.users = users
        self.groups = groups
    }

    package func admits(_ user: StagerSession.Owner) -> Bool {
        everyone || users.contains(user.uid) || !groups.isDisjoint(with: user.groups)
    }
}

/// How fast a session's workers may copy. 0 stops them for a while; nil is no limit.
package struct Throttle: Hashable, Codable, Sendable {
    package var bytesPerSecond: UInt64?
    package var filesPerSecond: UInt64?

    package init(bytesPerSecond: UInt64?, filesPerSecond: UInt64?) {
        self.bytesPerSecond = bytesPerSecond
        self.filesPerSecond = filesPerSecond
    }

    package var isPause: Bool { bytesPerSecond == 0 || filesPerSecond == 0 }
}

/// A torn-down buffer that is still there: its space counts as used until it is removed (staging.md §4.3).
package struct QuarantinedBuffer: Hashable, Codable, Sendable, Identifiable {
    package var id: SessionID
    package var key: SessionKey
    package var owner: StagerSession.Owner
    package var creator: StagerSession.Creator
    /// Of the session.
    package var created: Timestamp
    /// In quarantine.
    package var since: Timestamp
    package var instances: [StagerSession.Instance]
    package var removal: Removal
    package var lastError: String?

    package init(
        id: SessionID, key: SessionKey, owner: StagerSession.Owner, creator: StagerSession.Creator,
        created: Timestamp, since: Timestamp, instances: [StagerSession.Instance], removal: Removal,
        lastError: String?
    ) {
        self.id = id
        self.key = key
        self.owner = owner
        self.creator = creator
        self.created = created
        self.since = since
        self.instances = instances
        self.removal = removal
        self.lastError = lastError
    }

    package enum Removal: Hashable, Codable, Sendable {
        /// A worker may still have a file of it open.
        case waiting(for: Set<WorkerID>)
        case underWay(OperationID)
        /// It failed so often.
        case again(at: Timestamp, failures: Int)
    }

    package func granules(in pool: String) -> UInt64 {
        instances.reduce(0) { $1.pool == pool ? $0 + $1.granules : $0 }
    }
}

/// What is left of a session that is torn down: enough to answer those who come late, and to count generations.
package struct Tombstone: Hashable, Codable, Sendable {
    package var key: SessionKey
    package var at: Timestamp

    package init(key: SessionKey, at: Timestamp) {
        self.key = key
        self.at = at
    }
}
