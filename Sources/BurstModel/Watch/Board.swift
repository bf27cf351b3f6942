/// What everything shown or printed derives from: the newest replies, joined, aged and judged. A value; building one
/// asks nobody anything.
package struct Board: Hashable, Sendable {
    package var source: SourceInfo
    /// The moment for which ages were computed.
    package var now: Timestamp
    package var health: Health

    /// The newest good reply of each kind, nil before the first.
    package var burst: Sampled<BurstReport>?
    /// The text of that reply.
    package var raw: [UInt8]
    package var jobs: Sampled<[Job]>?
    package var reservations: Sampled<[Reservation]>?
    package var config: Sampled<ControllerConfig>?
    /// The stager's document; nil where no stager was seen.
    package var staging: Sampled<StagingReport>?
    /// It does not answer any more: what is known of it is old.
    package var stagingLost: StagingLoss?
    /// Faults of the newest replies: the board is partial.
    package var faults: [Fault]

    /// Rows, each in Slurm's order; the screens sort.
    package var poolRows: [PoolRow]
    package var bufferRows: [BufferRow]
    package var userRows: [UserRow]
    package var jobRows: [JobRow]
    package var stagingRows: [StagingRow] = []
    /// Jobs with buffers that are over, with nothing left to tell: counted, not listed.
    package var finishedJobs = 0

    /// What is being done for jobs right now, where the source can tell.
    package var work: [JobID: StageWork] = [:]

    /// The worst first; within a severity the newest first.
    package var alerts: [Alert]
    /// Newest last.
    package var events: [Event]
    package var calls: CallStatistics

    package init(source: SourceInfo, now: Timestamp) {
        self.source = source
        self.now = now
        health = .connecting
        raw = []
        faults = []
        poolRows = []
        bufferRows = []
        userRows = []
        jobRows = []
        alerts = []
        events = []
        calls = CallStatistics()
    }

    package func buffer(_ row: BufferRow) -> Buffer? {
        row.place.map { burst!.value.plugins[Int($0.plugin)].buffers[Int($0.index)] } ?? row.gone?.buffer
    }

    package func job(_ row: BufferRow) -> Job? { row.job.map { jobs!.value[Int($0)] } }
    package func job(_ row: JobRow) -> Job { jobs!.value[Int(row.job)] }

    // One field at a time: filters and sorting look at 100,000 rows, and a copy of a whole buffer or job counts the
    // references of a dozen strings.

    /// A field of a row's buffer.
    @inline(__always)
    package func buffer<Value>(_ row: BufferRow, _ get: (Buffer) -> Value) -> Value? {
        if let place = row.place { return get(burst!.value.plugins[Int(place.plugin)].buffers[Int(place.index)]) }
        return row.gone.map { get($0.buffer) }
    }

    /// A field of a row's job.
    @inline(__always)
    package func job<Value>(_ row: BufferRow, _ get: (Job) -> Value) -> Value? {
        row.job.map { get(jobs!.value[Int($0)]) }
    }

    /// A field of a row's job.
    @inline(__always)
    package func job<Value>(_ row: JobRow, _ get: (Job) -> Value) -> Value { get(jobs!.value[Int(row.job)]) }

    package func pool(_ row: PoolRow) -> Pool { row.pool }
    package func session(_ row: StagingRow) -> StagingReport.Session { staging!.value.sessions[Int(row.session)] }

    /// How far the copy of a row's session is, where that is known: `staging` is the place that rows carry.
    package func progress(at staging: Int32) -> StagingProgress? {
        staging >= 0 ? session(stagingRows[Int(staging)]).progress : nil
    }

    /// The joined buffer state that tells the stage: the job's own where it is known, else the buffer's.
    package func stage(_ row: BufferRow) -> BufferState {
        (job(row) { $0.bufferState } ?? nil) ?? buffer(row) { $0.state } ?? .other("?")
    }

    package var criticalCount: Int { alerts.count { $0.severity == .crit && !$0.acknowledged } }
    package var warningCount: Int { alerts.count { $0.severity == .warn && !$0.acknowledged } }

    /// Nothing newer than this is known of the buffers: nil before the first answer.
    package var ageSeconds: Int? { burst.map { now.seconds(since: $0.at) } }
}

/// A value and when it was asked for.
package struct Sampled<Value: Hashable & Sendable>: Hashable, Sendable {
    package var value: Value
    /// When the answer came.
    package var at: Timestamp
    package var durationMilliseconds: Int64

    package init(_ value: Value, at: Timestamp, durationMilliseconds: Int64) {
        self.value = value
        self.at = at
        self.durationMilliseconds = durationMilliseconds
    }
}

/// Where the samples come from.
package struct SourceInfo: Hashable, Sendable {
    package enum Kind: String, Hashable, Sendable { case slurm, burstd, replay }
    package var kind: Kind
    /// ClusterName; nil until known.
    package var cluster: String?
    /// Slurm's version; nil until known.
    package var version: String?
    /// `root@login1`
    package var viewer: String

    package init(kind: Kind, cluster: String? = nil, version: String? = nil, viewer: String = "") {
        self.kind = kind
        self.cluster = cluster
        self.version = version
        self.viewer = viewer
    }
}

/// Since when the stager does not answer, and why.
package struct StagingLoss: Hashable, Sendable {
    package var reason: String
    package var since: Timestamp

    package init(reason: String, since: Timestamp) {
        self.reason = reason
        self.since = since
    }
}

/// Whether the source answers.
package enum Health: Hashable, Sendable {
    /// No answer yet, and no failure.
    case connecting
    case live
    /// The last calls failed. `since`: the first failure; `tries` failed calls so far; the last good answer, if any.
    case stale(reason: String, since: Timestamp, tries: Int, lastGood: Timestamp?)
    /// The controller answers, but no burst buffer plugin is configured.
    case noPlugin
}

package struct PoolRow: Hashable, Sendable {
    package var pool: Pool
    /// Space set aside by active reservations (lua ignores them; Slurm never shows it in `show burst`).
    package var reserved: UInt64
    /// Visible buffers in the pool and the sum of their sizes.
    package var bufferCount: Int
    package var bufferSum: UInt64
    /// What rounding up to granules costs: size minus what the jobs' directives ask for, where they are known.
    package var waste: UInt64
    /// Jobs that wait for space in this pool, and the smallest request among them (rounded up), if known.
    package var waiting: Int
    package var smallestWaiting: UInt64?
    /// Nil: present. Else the pool is no longer reported since then.
    package var goneSince: Timestamp?
    package var history: PoolHistory
    package var severity: Severity?

    package init(pool: Pool, history: PoolHistory) {
        self.pool = pool
        self.history = history
        reserved = 0
        bufferCount = 0
        bufferSum = 0
        waste = 0
        waiting = 0
    }
}

package struct BufferRow: Hashable, Sendable {
    /// Where a buffer stands in the report.
    package struct Place: Hashable, Sendable {
        package var plugin: Int32
        package var index: Int32

        package init(plugin: Int32, index: Int32) {
            self.plugin = plugin
            self.index = index
        }
    }

    /// What is kept of a buffer that is no longer reported but matters (rules R3, R8).
    package struct Tombstone: Hashable, Sendable {
        package var buffer: Buffer
        package var at: Timestamp

        package init(buffer: Buffer, at: Timestamp) {
            self.buffer = buffer
            self.at = at
        }
    }

    package enum Mark: UInt8, Hashable, Sendable { case none, new, changed }

    package var key: BufferKey
    /// Nil for a tombstone.
    package var place: Place?
    package var gone: Tombstone? {
        get { stone.first }
        set { stone = newValue.map { [$0] } ?? [] }
    }
    /// In an array, since 100,000 rows must not each keep room for a buffer.
    private var stone: [Tombstone] = []
    /// Index into the jobs.
    package var job: Int32?
    /// Since when the joined state (allocation and job) was seen.
    package var since: Timestamp
    /// The change into the state was seen; otherwise it may be older: an age is printed with a `+`.
    package var sinceSeen: Bool
    /// Where Slurm says: when it was created. Nil where unknown (a CreateTime that moves with the clock is).
    package var created: Timestamp?
    package var mark: Mark
    package var severity: Severity?
    /// One word for the flag column: `87%TO`, `OLD`, `LEAK?`, `cancel 12s`.
    package var flag: String
    /// Place of its session among the staging rows; -1: none.
    package var staging: Int32 = -1

    package init(key: BufferKey, since: Timestamp, sinceSeen: Bool) {
        self.key = key
        self.since = since
        self.sinceSeen = sinceSeen
        mark = .none
        flag = ""
    }

    /// `38m`, `38m+` where the start was not seen.
    package func ageText(at now: Timestamp) -> String {
        Age.short(seconds: now.seconds(since: since)) + (sinceSeen ? "" : "+")
    }
}

package struct UserRow: Hashable, Sendable {
    package var user: String
    package var uid: UInt32
    /// `Per User Buffer Use:` of all plugins together; nil where the user is not in that list.
    package var used: UInt64?
    /// Sum of the user's visible buffers, and how many.
    package var sum: UInt64
    package var buffers: Int
    /// Share of all use, 0 to 1.
    package var share: Double
    package var pools: Int
    /// When the oldest buffer was created; nil where unknown.
    package var oldest: Timestamp?
    /// Its age in seconds.
    package var oldestSeconds: Int?
    /// How many buffers are in each stage, in order of life.
    package var states: [StateCount]
    package var severity: Severity?

    package struct StateCount: Hashable, Sendable {
        package var state: BufferState
        package var count: Int

        package init(state: BufferState, count: Int) {
            self.state = state
            self.count = count
        }
    }

    package init(user: String, uid: UInt32) {
        self.user = user
        self.uid = uid
        sum = 0
        buffers = 0
        share = 0
        pools = 0
        states = []
    }

    /// Use minus the sum of the visible buffers; nil where the use is not listed.
    package var gap: Int64? { used.map { Int64(clamping: $0) - Int64(clamping: sum) } }
}

package struct JobRow: Hashable, Sendable {
    /// Index into the jobs.
    package var job: Int32
    package var id: JobID
    /// The buffer, where there is one.
    package var buffer: BufferKey?
    /// The pool of its buffer or of its first directive.
    package var pool: String?
    /// What it asks for, rounded up to granules where the pool is known; nil where its directives name no size.
    package var need: UInt64?
    package var needCountsBytes: Bool
    /// Place of its session among the staging rows; -1: none.
    package var staging: Int32 = -1
    package var since: Timestamp
    package var sinceSeen: Bool
    package var severity: Severity?

    package init(job: Int32, id: JobID, since: Timestamp, sinceSeen: Bool) {
        self.job = job
        self.id = id
        self.since = since
        self.sinceSeen = sinceSeen
        needCountsBytes = true
    }

    package func ageText(at now: Timestamp) -> String {
        Age.short(seconds: now.seconds(since: since)) + (sinceSeen ? "" : "+")
    }
}

/// A session of the stager, joined with what Slurm says of it.
package struct StagingRow: Hashable, Sendable {
    /// What Slurm calls the stage.
    package enum Word: Hashable, Sendable {
        case state(BufferState)
        /// Slurm lists neither job nor buffer.
        case absent
        /// Nothing can be told.
        case unknown

        /// As it is shown.
        package var text: String {
            switch self {
            case .state(let state): state.name
            case .absent: "(not listed)"
            case .unknown: "-"
            }
        }
    }

    /// Index into the document's sessions.
    package var session: Int32
    package var key: StagingReport.Key
    /// The owner's name; its number where no name is known.
    package var user: String
    package var job: JobID?
    package var buffer: BufferKey?
    package var word: Word
    /// Slurm's word and the stager's are not of the same stage, since then.
    package var differsSince: Timestamp?
    /// Since when the phase was seen.
    package var since: Timestamp
    package var sinceSeen: Bool
    package var severity: Severity?

    package init(session: Int32, key: StagingReport.Key, user: String, word: Word, since: Timestamp, sinceSeen: Bool) {
        self.session = session
        self.key = key
        self.user = user
        self.word = word
        self.since = since
        self.sinceSeen = sinceSeen
    }

    /// `38m`, `38m+` where the start was not seen.
    package func ageText(at now: Timestamp) -> String {
        Age.short(seconds: now.seconds(since: since)) + (sinceSeen ? "" : "+")
    }

    /// Whether an alert about a buffer or a job is about this one.
    package func isAbout(_ subject: Subject) -> Bool {
        switch subject {
        case .buffer(let key): key == buffer || job != nil && key.id.jobID == job
        case .job(let id): id == job
        case .pool, .user, .controller: false
        }
    }
}

package enum Severity: Int, Comparable, Hashable, Sendable, CaseIterable {
    case info, warn, crit

    package static func < (left: Severity, right: Severity) -> Bool { left.rawValue < right.rawValue }

    /// `i`, `~`, `!`
    package var sign: String {
        switch self {
        case .info: "i"
        case .warn: "~"
        case .crit: "!"
        }
    }

    /// `INFO`, `WARN`, `CRIT`
    package var word: String {
        switch self {
        case .info: "INFO"
        case .warn: "WARN"
        case .crit: "CRIT"
        }
    }
}

/// What an alert or an event is about.
package enum Subject: Hashable, Sendable {
    case buffer(BufferKey)
    case job(JobID)
    case pool(PoolKey)
    case user(String)
    case controller

    /// `169488`, `pool1`, `alice`, `controller`.
    package var short: String {
        switch self {
        case .buffer(let key): key.id.short
        case .job(let id): "\(id)"
        case .pool(let key): key.name
        case .user(let name): name
        case .controller: "controller"
        }
    }

    /// The job that it is, or whose buffer.
    package var job: JobID? {
        switch self {
        case .buffer(let key): key.id.jobID
        case .job(let id): id
        case .pool, .user, .controller: nil
        }
    }
}

/// A rule that holds for a subject (monitor.md §3.7).
package struct Alert: Hashable, Sendable {
    /// `R1` to `R24`.
    package var rule: String
    package var severity: Severity
    package var subject: Subject
    /// Two or three words for a narrow column: `teardown-fail`, `stage-out FAIL`, `orphan`.
    package var title: String
    /// Whose: user, size, pool; empty where they do not apply.
    package var user: String
    package var size: Amount?
    package var pool: String
    /// A sentence that says why.
    package var message: String
    package var since: Timestamp
    package var sinceSeen: Bool
    package var acknowledged: Bool
    /// Stays until acknowledged although its condition has passed.
    package var latched: Bool
    /// The alerts that this one line stands for, this one first; empty where it stands for itself.
    package private(set) var parts: [Alert] = []

    /// The rules that it stands for.
    package var rules: [String] { parts.isEmpty ? [rule] : parts.map(\.rule) }

    /// Takes in what Slurm says of the same failure: its words stand behind the stager's.
    mutating func join(_ slurms: Alert) {
        parts = [self, slurms]
        // What both say before they say why.
        let why = slurms.message.trimmingPrefix("data still in the buffer: ")
        message += "; Slurm: \(why)"
        if slurms.since < since { (since, sinceSeen) = (slurms.since, slurms.sinceSeen) }
        if user.isEmpty || user.allSatisfy(\.isNumber) { user = slurms.user }
        if pool.isEmpty { pool = slurms.pool }
        size = slurms.size ?? size
        acknowledged = acknowledged && slurms.acknowledged
    }

    package init(
        rule: String, severity: Severity, subject: Subject, title: String, user: String = "", size: Amount? = nil,
        pool: String = "", message: String, since: Timestamp, sinceSeen: Bool = true, latched: Bool = false
    ) {
        self.rule = rule
        self.severity = severity
        self.subject = subject
        self.title = title
        self.user = user
        self.size = size
        self.pool = pool
        self.message = message
        self.since = since
        self.sinceSeen = sinceSeen
        self.latched = latched
        acknowledged = false
    }

    package struct ID: Hashable, Sendable {
        package var rule: String
        package var subject: Subject

        package init(rule: String, subject: Subject) {
            self.rule = rule
            self.subject = subject
        }
    }

    package var id: ID { ID(rule: rule, subject: subject) }
}

/// One line of the log that Slurm does not keep.
package struct Event: Hashable, Sendable {
    package enum Kind: String, Hashable, Sendable, CaseIterable {
        case state = "STATE"
        case pool = "POOL"
        case alert = "ALERT"
        case action = "ACTION"
        case controller = "CONTROLLER"
        case note = "NOTE"
    }

    package enum Level: String, Hashable, Sendable { case info = "INFO", warn = "WARN", crit = "CRIT", error = "ERR" }

    package var at: Timestamp
    package var level: Level
    package var kind: Kind
    package var subject: Subject
    package var user: String
    package var text: String

    package init(at: Timestamp, level: Level, kind: Kind, subject: Subject, user: String = "", text: String) {
        self.at = at
        self.level = level
        self.kind = kind
        self.subject = subject
        self.user = user
        self.text = text
    }
}

/// What a pool held over time, for sparklines: one point a minute, 24 hours of them.
package struct PoolHistory: Hashable, Sendable {
    /// Minutes kept.
    package static let pointsMax = 1440

    package struct Point: Hashable, Sendable {
        /// Minutes since 1970.
        package var minute: Int32
        /// The largest of the minute, in the pool's unit.
        package var used: UInt64
        package var drained: UInt64
        package var total: UInt64

        package init(minute: Int32, used: UInt64, drained: UInt64, total: UInt64) {
            self.minute = minute
            self.used = used
            self.drained = drained
            self.total = total
        }
    }

    /// Oldest first; minutes without a sample are missing.
    package private(set) var points: [Point]

    package init() { points = [] }

    package mutating func add(_ pool: Pool, at time: Timestamp) {
        let minute = Int32(clamping: time.milliseconds / 60_000)
        let point = Point(
            minute: minute, used: pool.used.known ?? 0, drained: pool.drainedAmount.known ?? 0,
            total: pool.total.known ?? 0)
        if let last = points.last, last.minute >= minute {
            guard last.minute == minute else { return }
            points[points.count - 1] = Point(
                minute: minute, used: max(last.used, point.used), drained: max(last.drained, point.drained),
                total: point.total)
            return
        }
        points.append(point)
        if points.count > Self.pointsMax { points.removeFirst(points.count - Self.pointsMax) }
    }

    /// Shares of the total that were used or drained, 0 to 1 and above, in `columns` equal pieces of the last
    /// `minutes`;
    /// nil where no sample was taken. The newest is last.
    package func shares(columns: Int, minutes: Int, until now: Timestamp) -> [Double?] {
        guard columns > 0 else { return [] }
        var shares = [Double?](repeating: nil, count: columns)
        let end = now.milliseconds / 60_000 + 1
        for point in points.reversed() {
            let back = end - Int64(point.minute) - 1
            if back >= Int64(minutes) { break }
            if back < 0 { continue }
            let column = columns - 1 - Int(back) * columns / minutes
            let share = point.total == 0 ? 0 : (Double(point.used) + Double(point.drained)) / Double(point.total)
            shares[column] = max(shares[column] ?? 0, share)
        }
        return shares
    }
}

/// What the tool cost the controller.
package struct CallStatistics: Hashable, Sendable {
    package var count = 0
    package var failures = 0
    /// Calls within the last 60 s.
    package var perMinute = 0
    package var medianMilliseconds: Int64?
    package var p95Milliseconds: Int64?
    /// Seconds between polls now, and why it is not the base, if it is not.
    package var burstInterval = 0
    package var jobsInterval = 0
    package var intervalReason = ""
    /// When the next call is due.
    package var nextAt: Timestamp?
    /// The call that is under way, and since when.
    package var running: String?
    package var runningSince: Timestamp?

    package init() {}
}
