package import BurstModel

/// A persistent buffer of datawarp (spec §5.6): it belongs to a user, not to a job, and outlives the job that created
/// it.
package struct PersistentBuffer: Codable, Hashable, Sendable, Identifiable {
    package var name: String
    package var id: String { name }
    package var uid: UInt32
    package var userName: String
    package var account: String?
    package var partition: String = ""
    package var qos: String?
    package var pool: String
    /// Bytes, in whole granules of its pool; charged to it as long as the buffer is known.
    package var size: UInt64
    /// `access_mode=` and `type=` as the directive has them; nil where it has none, or another system created it.
    package var access: String?
    package var type: String?
    package var created: Timestamp
    package var state: State
    /// The job whose directive is at work on it.
    package var jobID: UInt32?
    /// Calls that failed since its destruction was asked for.
    package var failures = 0
    /// When its destruction is tried again.
    package var callAt: Timestamp?
    /// Its destruction gives data up that is not staged out.
    package var isHurried = false
    /// When the site's list of sessions lacked it for the first time in a row; nil: it does not.
    package var missingSince: Timestamp?

    package init(
        name: String, uid: UInt32, userName: String, pool: String, size: UInt64, created: Timestamp, state: State
    ) {
        self.name = name
        self.uid = uid
        self.userName = userName
        self.pool = pool
        self.size = size
        self.created = created
        self.state = state
    }

    /// Next states stand at each.
    package enum State: Codable, Hashable, Sendable {
        /// `create_persistent` is under way; nil: lost with an earlier life, and to be made again unless the site knows
        /// the buffer. Next: `allocated`, or the record goes.
        case creating(CallID?)
        /// Jobs may use it. Next: `destroying`.
        case allocated
        /// Its teardown is under way; nil: it failed and is tried again at `callAt`. Next: the record goes, or
        /// `allocated` where whoever asked has gone.
        case destroying(CallID?)

        /// As rows of `scontrol show burst` say it.
        package var shown: BufferState {
            switch self {
            case .creating: .allocating
            case .allocated: .allocated
            case .destroying: .deleting
            }
        }
    }
}

/// What a job's directives do to persistent buffers, in their order.
package struct PersistentAct: Codable, Hashable, Sendable {
    package enum Verb: String, Codable, Sendable { case create, destroy, use }

    package var verb: Verb
    package var name: String
    /// Of what is created.
    package var pool: String?
    package var size: UInt64 = 0
    package var access: String?
    package var type: String?
    /// `#BB destroy_persistent ... hurry`.
    package var isHurried = false
    /// A create or destroy that has been done; it is not done again when the job is requeued.
    package var isDone = false

    package init(_ verb: Verb, name: String) {
        self.verb = verb
        self.name = name
    }
}
