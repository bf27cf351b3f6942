/// What a watch remembers of each buffer and each job from one reply to the next. There may be 100,000 of each, so
/// these records are small: states are codes, texts stay in the replies.

/// A buffer state in one byte: its rank where Slurm's releases know it, else a place in a table.
struct StateTable: Sendable {
    /// Codes of texts that are no known state: more than Slurm could print.
    private static let othersMax = 200
    static let none = UInt8.max
    private static let firstOther = BufferState.named.count

    private var others: [String] = []
    private static let byRank = BufferState.named.sorted { $0.rank < $1.rank }

    mutating func code(_ state: BufferState) -> UInt8 {
        guard case .other(let text) = state else { return UInt8(state.rank) }
        if let known = others.firstIndex(of: text) { return UInt8(Self.firstOther + known) }
        if others.count < Self.othersMax { others.append(text) }
        return UInt8(Self.firstOther + others.count - 1)
    }

    mutating func code(_ state: BufferState?) -> UInt8 { state.map { code($0) } ?? Self.none }

    func state(_ code: UInt8) -> BufferState? {
        if code == Self.none { return nil }
        return Int(code) < Self.firstOther ? Self.byRank[Int(code)] : .other(others[Int(code) - Self.firstOther])
    }

    func name(_ code: UInt8) -> String { state(code)?.name ?? "(unknown)" }
}

/// Codes of states that rules ask for.
enum Code {
    static let pending = UInt8(BufferState.pending.rank)
    static let stagingIn = UInt8(BufferState.stagingIn.rank)
    static let preRun = UInt8(BufferState.preRun.rank)
    static let allocRevoke = UInt8(BufferState.allocRevoke.rank)
    static let postRun = UInt8(BufferState.postRun.rank)
    static let stagingOut = UInt8(BufferState.stagingOut.rank)
    static let teardown = UInt8(BufferState.teardown.rank)
    static let teardownFail = UInt8(BufferState.teardownFail.rank)
    static let complete = UInt8(BufferState.complete.rank)
}

/// A buffer of the newest report, in the report's order over all plugins.
struct BufferTrack: Sendable {
    var place: BufferRow.Place
    /// The job's id; 0 for a persistent buffer.
    var job: UInt32
    /// Its job among the job tracks; -1: none, or jobs are not known.
    var jobTrack: Int32
    /// Place of the plugin's name in `Watch.pluginNames`.
    var plugin: UInt16
    /// Place among the pools; -1: none.
    var pool: Int16
    /// The allocation's state and the job's.
    var state: UInt8
    var stage: UInt8
    var sinceSeen: Bool
    /// It appeared while we watched; what it is now, it became since.
    var watched: Bool
    /// CreateTime moves with the clock: Slurm prints the time of the call where it knows none.
    var createdMoves: Bool
    /// Slurm knew the job at an earlier poll.
    var jobWasKnown: Bool
    /// Polls of the jobs in a row that did not list the job.
    var orphanPolls: UInt8
    /// Since when both states together.
    var since: Timestamp
    /// As printed; `.min` where it is no time.
    var createdLocal: Int64
    var created: Timestamp
    /// Number of the report in which it came, and of the one that last changed it.
    var appearedIn: Int32
    var changedIn: Int32

    var isPersistent: Bool { job == 0 }
    var knownCreation: Timestamp? { createdMoves || createdLocal == .min ? nil : created }
}

/// What a job's state and reason say about its buffer.
struct JobFacts: OptionSet, Sendable {
    let rawValue: UInt16

    static let pending = JobFacts(rawValue: 1 << 0)
    static let stageOut = JobFacts(rawValue: 1 << 1)
    static let final = JobFacts(rawValue: 1 << 2)
    static let held = JobFacts(rawValue: 1 << 3)
    /// PENDING for BurstBufferResources with BB state pending: it waits for space (R9).
    static let waits = JobFacts(rawValue: 1 << 4)
    /// The reason is a hook's failure, other than a teardown's.
    static let failed = JobFacts(rawValue: 1 << 5)
    /// The reason is a lua teardown's failure (R2).
    static let luaTeardownFailed = JobFacts(rawValue: 1 << 6)
    /// The reason is a failed setup; DataWarp gives the space back but keeps the row (R15).
    static let setupFailed = JobFacts(rawValue: 1 << 7)
    /// Stage-in failed, and the job has not left staging-in since.
    static let stageInFailed = JobFacts(rawValue: 1 << 8)
    /// `paths` failed: held without a text, or released after that.
    static let pathsFailed = JobFacts(rawValue: 1 << 9)
    /// Failed stage-in, released: nothing goes on (R5).
    static let stuck = JobFacts(rawValue: 1 << 10)
    /// The state that it is in was entered while we watched.
    static let sinceSeen = JobFacts(rawValue: 1 << 11)
    static let running = JobFacts(rawValue: 1 << 12)
    static let datawarpTeardownFailed = JobFacts(rawValue: 1 << 13)
    /// Its buffer left a report that is newer than what is known of the job: what it was at is past.
    static let outdated = JobFacts(rawValue: 1 << 14)
}

/// A job of the newest reply that has to do with burst buffers.
struct JobTrack: Sendable {
    var id: UInt32
    /// Place in the reply.
    var index: Int32
    /// Its buffer; -1: none.
    var row: Int32
    var stage: UInt8
    /// Polls in a row in which it should have had a buffer and had none.
    var lostPolls: UInt8
    /// Polls in a row in which it was pending in pre-run for BurstBufferResources.
    var pathsPolls: UInt8
    var facts: JobFacts
    var since: Timestamp
    /// From its directives; shared by jobs with equal ones.
    var requests: [BufferRequest]
    /// Failures that slurmctld noted.
    var incidents: [Incident]

    /// Failures of the teardown that is going on or was the last: entries at the end of the comment.
    var teardownFailures: Int {
        incidents.reversed().prefix { $0.hook == "teardown" }.count
    }

    /// The same, where each follows the one before as retries do, 10 s after a hook that may take `limit` seconds.
    func retries(plugin: String, limit: Int) -> Int {
        var count = 0
        var later: LocalTime?
        for incident in incidents.reversed() {
            guard incident.hook == "teardown", incident.plugin == plugin else { break }
            if let later, later.secondsSinceEpoch - incident.time.secondsSinceEpoch > Int64(limit) + 30 { break }
            count += 1
            later = incident.time
        }
        return count
    }
}

/// A buffer that is no longer reported.
struct Departed: Sendable {
    var key: BufferKey
    var track: BufferTrack
    var buffer: Buffer
    var at: Timestamp
}

/// What a pool was at the newest report that had it.
struct PoolTrack: Sendable {
    var pool: Pool
    var history = PoolHistory()
    /// First report without it.
    var goneSince: Timestamp?
    /// First report in which the total had fallen to 0.
    var zeroSince: Timestamp?
    /// The newest total above 0.
    var lastTotal: Amount?
    /// Reports in a row in which its used space is not the sum of its buffers.
    var gapPolls = 0
}

/// A row's identity while two reports are compared.
struct RowLookup {
    private var jobs: [UInt64: Int32] = [:]
    private var names: [BufferKey: Int32] = [:]

    private static func number(_ plugin: UInt16, _ job: UInt32) -> UInt64 { UInt64(plugin) << 32 | UInt64(job) }

    mutating func reserve(_ count: Int) { jobs.reserveCapacity(count) }

    mutating func add(plugin: UInt16, job: UInt32, key: @autoclosure () -> BufferKey, at index: Int32) {
        if job == 0 { names[key()] = index } else { jobs[Self.number(plugin, job)] = index }
    }

    func find(plugin: UInt16, job: UInt32, key: @autoclosure () -> BufferKey) -> Int32? {
        job == 0 ? names[key()] : jobs[Self.number(plugin, job)]
    }
}

/// The zone's rule is asked once for each hour that occurs: rows come in hash order, their times in none.
struct HourlyZone: Sendable {
    private static let hoursMax = 20_000
    let zone: LocalTime.Zone
    private var offsets: [Int64: Int64] = [:]

    init(_ zone: LocalTime.Zone) { self.zone = zone }

    mutating func moment(_ local: Int64) -> Timestamp {
        let hour = local >= 0 ? local / 3600 : (local - 3599) / 3600
        if let offset = offsets[hour] { return Timestamp(milliseconds: local * 1000 + offset) }
        let offset = zone.moment(LocalTime(secondsSinceEpoch: hour * 3600)).milliseconds - hour * 3_600_000
        if offsets.count >= Self.hoursMax { offsets = [:] }
        offsets[hour] = offset
        return Timestamp(milliseconds: local * 1000 + offset)
    }
}

/// A scancel that Slurm accepted, until something proves that it acted.
struct SentCancel: Sendable {
    var id: JobID
    var hurry: Bool
    var at: Timestamp
    var stage: UInt8
    var state: String
}

/// One kind of call that fails.
struct Failing: Sendable {
    var since: Timestamp
    var tries: Int
    var reason: String
}
