package import BurstModel

/// What a decision makes durable before its effects start: one transaction for each decision.
package enum Record: Hashable, Sendable {
    /// The job as it is now, new or changed.
    case job(EngineJob)
    /// The job is forgotten, `MinJobAge` after its end.
    case forget(UInt32)
    /// All pools as they are now: used and totals survive a restart (names in order of first report).
    case pools([EnginePool])
    /// A persistent buffer as it is now, new or changed.
    case persistent(PersistentBuffer)
    case forgetPersistent(String)
    case reservation(EngineReservation)
    case forgetReservation(String)
    /// The next job's id.
    case nextJobID(UInt32)
    case change(StateChange)
    case callStarted(CallStart)
    case callEnded(CallEnd)
    case action(ActionEntry)
}

/// A pool as the engine holds it.
package struct EnginePool: Codable, Hashable, Sendable {
    package var name: String
    /// Bytes or units; at least 1.
    package var granularity: UInt64
    /// Bytes or units; 0 when it is no longer reported.
    package var total: UInt64
    /// What we charged.
    package var used: UInt64
    /// Bytes or units that the site says are free; nil where it does not say.
    package var reportedFree: UInt64?
    package var isReported: Bool

    package init(
        name: String, granularity: UInt64 = 1, total: UInt64 = 0, used: UInt64 = 0, reportedFree: UInt64? = nil,
        isReported: Bool = true
    ) {
        self.name = name
        self.granularity = granularity
        self.total = total
        self.used = used
        self.reportedFree = reportedFree
        self.isReported = isReported
    }

    /// What a request may take now: never more than the site says is free (spec §10, Q46).
    package var available: UInt64 {
        let ours = total > used ? total - used : 0
        return reportedFree.map { min(ours, $0) } ?? ours
    }
}

/// A reservation that sets space of pools aside (spec §6.5).
package struct EngineReservation: Codable, Hashable, Sendable {
    package var name: String
    package var users: [String]
    package var start: Timestamp
    package var end: Timestamp
    /// As typed: `lua:pool3:2,pool1:3GB`.
    package var burstBuffer: String
    package var flags: String = ""

    package init(name: String, users: [String], start: Timestamp, end: Timestamp, burstBuffer: String) {
        self.name = name
        self.users = users
        self.start = start
        self.end = end
        self.burstBuffer = burstBuffer
    }
}

/// A change of a job's state or of its buffer's, for the history.
package struct StateChange: Codable, Hashable, Sendable {
    package var jobID: UInt32
    package var uid: UInt32
    package var at: Timestamp
    package var jobState: String
    /// Nil for a job without burst buffers.
    package var bufferState: String?
    package var reason: String
    package var pool: String?
    package var size: UInt64

    package init(
        jobID: UInt32, uid: UInt32, at: Timestamp, jobState: String, bufferState: String?, reason: String,
        pool: String?,
        size: UInt64
    ) {
        self.jobID = jobID
        self.uid = uid
        self.at = at
        self.jobState = jobState
        self.bufferState = bufferState
        self.reason = reason
        self.pool = pool
        self.size = size
    }
}

/// A call of a hook that is about to be made.
package struct CallStart: Codable, Hashable, Sendable {
    package var id: CallID
    package var function: HookFunction
    package var jobID: UInt32?
    package var arguments: [String]
    package var limitSeconds: UInt32?
    /// When the engine decided to make it.
    package var at: Timestamp

    package init(
        id: CallID, function: HookFunction, jobID: UInt32?, arguments: [String], limitSeconds: UInt32?, at: Timestamp
    ) {
        self.id = id
        self.function = function
        self.jobID = jobID
        self.arguments = arguments
        self.limitSeconds = limitSeconds
        self.at = at
    }
}

/// How a call of a hook ended.
package struct CallEnd: Codable, Hashable, Sendable {
    package var id: CallID
    package var jobID: UInt32?
    /// `success`, `failure`, `broken`, `timeout`, `killed`, `lost` (the engine restarted).
    package var outcome: String
    package var status: Int
    /// At most `messageCharactersMax`.
    package var message: String?
    package var printed: String
    package var log: [HookLogLine]
    package var pid: Int32?
    package var startedMicroseconds: Int64
    package var durationMicroseconds: Int64

    package static let messageCharactersMax = 65_536

    package init(
        id: CallID, jobID: UInt32?, outcome: String, status: Int, message: String?, printed: String, log: [HookLogLine],
        pid: Int32?, startedMicroseconds: Int64, durationMicroseconds: Int64
    ) {
        self.id = id
        self.jobID = jobID
        self.outcome = outcome
        self.status = status
        self.message = message
        self.printed = printed
        self.log = log
        self.pid = pid
        self.startedMicroseconds = startedMicroseconds
        self.durationMicroseconds = durationMicroseconds
    }
}

/// What somebody asked for, for the history.
package struct ActionEntry: Codable, Hashable, Sendable {
    package var at: Timestamp
    package var uid: UInt32
    /// `submit`, `cancel`, `cancel --hurry`, `hold`, `release`, `requeue`, `reconfigure`...
    package var verb: String
    package var jobID: UInt32?
    /// `ok`, or the error as the client saw it.
    package var outcome: String

    package init(at: Timestamp, uid: UInt32, verb: String, jobID: UInt32?, outcome: String) {
        self.at = at
        self.uid = uid
        self.verb = verb
        self.jobID = jobID
        self.outcome = outcome
    }
}
