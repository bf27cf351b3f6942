package import BurstModel

/// What the outside is to do, once the decision's records are durable. All but `answer` and `log` may come twice for
/// the same thing, after a restart, and must bear it. What concerns one session is done in the order in which it is
/// asked for, each when the one before is over; workers alone run beside the rest.
package enum StagerEffect: Hashable, Sendable {
    /// To whoever waits; a client that is gone is no error.
    case answer(StagerRequest, StagerAnswer)
    /// `buffers/ID.GENERATION` in each pool, with its limit set before the first byte. Answer: `allocated`.
    case allocate(AllocationOrder)
    /// Answers: `workerProgress` at most once a second, then `workerEnded`. A worker that cannot start has failed.
    case startWorker(WorkerOrder)
    /// SIGTERM, then SIGKILL within a second. Its end is told as any.
    case stopWorker(WorkerID)
    case throttle(WorkerID, Throttle)
    /// Answer: `activated`. Mounts that are there already are success; one of that name that shows another instance is
    /// detached first.
    case activate(MountOrder)
    /// Answer: `deactivated`. Mounts that are not there are success, one of that name that shows another
    /// instance is left alone; busy ones are detached lazily.
    case deactivate(MountOrder)
    /// Renames the buffer into the quarantine of each pool: constant time. Answer: `quarantined`. One that is there
    /// already, or that never was, is success.
    case quarantine(QuarantineOrder)
    /// Removes what is in quarantine. Answer: `removed`.
    case remove(QuarantineOrder)
    /// Who may use a persistent buffer has changed: groups and access lists of its folder.
    case grant(SessionID, SessionKey, [StagerSession.Instance], AccessList)
    /// The session is one of those that Slurm is told of, or is so no more. The file that stands in for us must say so
    /// before the effects that follow (staging.md §1.10, "daemon down").
    case list(SessionID)
    /// The same for all sessions: that file may be of another life.
    case listAll
    /// Something else is shown that was not so before: its files are written within a second, or a while later where
    /// that is much work.
    case writeSnapshot
    /// `tick` is wanted then; an earlier one stands.
    case wake(Timestamp)
    case log(StagerLogLine)
}

/// What a client prints and how it ends. Standard output on success and on failure: Slurm merges both outputs.
package struct StagerAnswer: Hashable, Sendable {
    package var status: Int32
    package var text: String
    /// `KEY=VALUE` lines for the path file, of `paths`.
    package var lines: [String] = []

    package init(status: Int32, text: String, lines: [String] = []) {
        self.status = status
        self.text = text
        self.lines = lines
    }

    package static let done = StagerAnswer(status: 0, text: "")
    package static let tokenNotFound = StagerAnswer(status: 1, text: StagerText.tokenNotFound)
    package static let noMatchingSession = StagerAnswer(status: 1, text: StagerText.noMatchingSession)

    package static func failed(_ text: String) -> StagerAnswer {
        StagerAnswer(status: 1, text: StagerText.failure(text))
    }
}

package struct AllocationOrder: Hashable, Sendable {
    package var operation: OperationID
    package var session: SessionID
    package var key: SessionKey
    package var owner: StagerSession.Owner
    package var instances: [StagerSession.Instance]
    /// Nil for a job's buffer.
    package var access: AccessList?
}

package struct WorkerOrder: Hashable, Sendable {
    package var worker: WorkerID
    package var session: SessionID
    package var key: SessionKey
    package var owner: StagerSession.Owner
    package var direction: StageDirection
    /// As it was handed over at setup.
    package var plan: String
    /// Whose folders the plan's placeholders mean: own instances, and persistent buffers by name.
    package var instances: [StagerSession.Instance]
    package var persistent: [String: SessionID]
    package var throttle: Throttle?
    /// From 1; later ones go on where the journal of the earlier ends.
    package var attempt: Int
}

package struct MountOrder: Hashable, Sendable {
    package struct Mount: Hashable, Sendable {
        /// Name below the folder of mounts.
        package var name: String
        package var instance: UInt64
        package var access: StagerSession.AccessMode

        package init(name: String, instance: UInt64, access: StagerSession.AccessMode) {
            self.name = name
            self.instance = instance
            self.access = access
        }
    }

    package var operation: OperationID
    package var session: SessionID
    package var key: SessionKey
    package var owner: StagerSession.Owner
    package var mounts: [Mount]
    /// Each has a folder of its own in a private configuration.
    package var nodes: [String]
}

package struct QuarantineOrder: Hashable, Sendable {
    package var operation: OperationID
    package var session: SessionID
    package var key: SessionKey
    package var owner: StagerSession.Owner
    package var instances: [StagerSession.Instance]
}

/// A line for the log, with whose it is as a field.
package struct StagerLogLine: Hashable, Sendable {
    package enum Level: String, Hashable, Sendable { case error, notice, debug }

    package var level: Level
    package var session: SessionID?
    package var token: String?
    package var text: String

    package init(level: Level, session: SessionID? = nil, token: String? = nil, text: String) {
        self.level = level
        self.session = session
        self.token = token
        self.text = text
    }
}

/// A step of the stager: what to write down, then what to do.
package struct StagerDecision: Sendable {
    package var records: [StagerRecord] = []
    package var effects: [StagerEffect] = []

    package init() {}
}

/// What a decision makes durable before its effects start: one transaction for each decision.
package enum StagerRecord: Hashable, Sendable {
    /// As it is now, new or changed.
    case session(StagerSession)
    /// What a session is to copy, as text; once, with its first record.
    case plan(SessionID, String)
    /// Its plan as well.
    case forgetSession(SessionID)
    case quarantined(QuarantinedBuffer)
    case forgetQuarantined(SessionID)
    case pool(StagerPool)
    case forgetPool(String)
    /// The last generation of a token, replacing an earlier one.
    case tombstone(Tombstone)
    case forgetTombstone(token: String)
    /// Tokens without a tombstone begin behind this generation.
    case generationFloor(UInt64)
    /// The next id of anything.
    case nextID(UInt64)
    /// For the history: the session entered another phase.
    case entered(SessionID, token: String, phase: String, at: Timestamp)
}
