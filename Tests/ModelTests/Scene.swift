import BurstModel

/// A watch and a clock: samples are made by hand, a poll at a time.
struct Scene {
    static let start = Timestamp(rfc3339: "2026-11-23T13:00:00Z")!
    static let gib: UInt64 = 1 << 30

    var watch: Watch
    var now = Scene.start
    var plugin: String
    var flags: [String] = []
    /// As long as nobody sets them, what they use is the sum of the buffers.
    var pools: [Pool] { didSet { balances = false } }
    private var balances = true
    var timeout = 1000
    var otherTimeout = 300
    var users: [UserUse] = []

    init(plugin: String = "lua", thresholds: RuleThresholds = .init(), viewer: String = "root@login1") {
        self.plugin = plugin
        watch = Watch(
            source: SourceInfo(kind: .slurm, viewer: viewer), thresholds: thresholds, zone: .fixed())
        pools = [Scene.pool(plugin: plugin)]
    }

    /// 1000 GiB in grains of 1 GiB, nothing drained.
    static func pool(
        plugin: String = "lua", _ name: String = "nvme", total: UInt64 = 1000, used: UInt64 = 0, drained: UInt64 = 0,
        grain: UInt64 = 1
    ) -> Pool {
        Pool(
            plugin: plugin, name: name, isDefault: plugin == "datawarp", granularity: Amount(grain * gib),
            total: Amount(total * gib), free: Amount((total - used - drained) * gib), used: Amount(used * gib))
    }

    static func buffer(
        _ id: UInt32, _ state: BufferState = .allocated, gib size: UInt64 = 10, user: String = "alice",
        pool: String? = "nvme", created: Timestamp? = nil
    ) -> Buffer {
        buffer(.job(JobID(id)), state, gib: size, user: user, pool: pool, created: created)
    }

    static func buffer(
        _ id: BufferID, _ state: BufferState = .allocated, gib size: UInt64 = 10, user: String = "alice",
        pool: String? = "nvme", created: Timestamp? = nil
    ) -> Buffer {
        var buffer = Buffer(
            id: id, pool: pool, size: Amount(size * gib), state: state, user: user, uid: uid(user))
        buffer.createdLocal = LocalTime(secondsSinceEpoch: (created ?? start.adding(seconds: -60)).milliseconds / 1000)
        return buffer
    }

    static func uid(_ user: String) -> UInt32 { user == "alice" ? 1001 : user == "bob" ? 1002 : 1003 }

    static func job(
        _ id: UInt32, _ state: String = "RUNNING", _ stage: BufferState? = .running, reason: String = "None",
        user: String = "alice", priority: UInt64 = 1, comment: String? = nil,
        spec: String? = "#BB_LUA pool=nvme capacity=10G"
    ) -> Job {
        var job = Job(
            id: JobID(id), name: "job\(id)", user: user, uid: uid(user), state: JobState(state), reason: reason)
        job.bufferState = stage
        job.priority = priority
        job.systemComment = comment
        job.spec = spec
        return job
    }

    /// The entry of a failure at so many seconds after the start.
    static func entry(_ seconds: Int, _ text: String, plugin: String = "lua") -> String {
        let local = LocalTime(secondsSinceEpoch: start.adding(seconds: seconds).milliseconds / 1000)
        return "11/23/26 \(local.clock) burst_buffer/\(plugin): \(text)"
    }

    /// A good report, `seconds` after the sample before it.
    mutating func burst(_ buffers: [Buffer], after seconds: Int = 10, faults: [Fault] = [], took: Int64 = 5) {
        now = now.adding(seconds: seconds)
        var record = PluginRecord(name: plugin)
        record.flags = flags
        record.stageInTimeout = timeout
        record.stageOutTimeout = timeout
        record.otherTimeout = otherTimeout
        record.buffers = buffers
        record.users = users
        var pools = pools
        if balances {
            let used = buffers.reduce(0) { $0 + $1.size.value! } / Scene.gib
            pools = [Scene.pool(plugin: plugin, total: used > 800 ? used * 4 : 1000, used: used)]
        }
        record.alternatePools = pools
        if plugin == "datawarp", let first = pools.first {
            record.defaultPool = first.name
            (record.granularity, record.total) = (first.granularity, first.total)
            (record.free, record.used) = (first.free, first.used)
            record.alternatePools = Array(pools.dropFirst())
        }
        ingest(.burst, .burst(BurstReport(plugins: [record], faults: faults), raw: []), took: took)
    }

    /// A good reply of squeue.
    mutating func jobs(
        _ jobs: [Job], after seconds: Int = 1, faults: [Fault] = [], arguments: [String] = ["squeue"]
    ) {
        now = now.adding(seconds: seconds)
        ingest(.jobs, .jobs(jobs, faults: faults), arguments: arguments)
    }

    /// A report and a reply of squeue, as after one round of polls.
    mutating func poll(_ buffers: [Buffer], _ jobs: [Job], after seconds: Int = 30) {
        burst(buffers, after: seconds)
        self.jobs(jobs)
    }

    mutating func fail(_ call: Call, _ reason: String = "connect failure", after seconds: Int = 10) {
        now = now.adding(seconds: seconds)
        ingest(call, .failure(reason))
    }

    mutating func cancel(
        _ id: UInt32, hurry: Bool = false, exit: Int32 = 0, errors: String = "", after seconds: Int = 1
    ) {
        now = now.adding(seconds: seconds)
        ingest(
            .cancel(JobID(id), hurry: hurry), .cancel(CommandResult(end: .exit(exit), errors: Array(errors.utf8))))
    }

    mutating func config(_ config: ControllerConfig, after seconds: Int = 1) {
        now = now.adding(seconds: seconds)
        ingest(.config, .config(config))
    }

    mutating func ingest(_ call: Call, _ answer: Sample.Answer, arguments: [String]? = nil, took: Int64 = 5) {
        watch.ingest(
            Sample(
                call: call, arguments: arguments ?? call.arguments(),
                startedAt: now.adding(milliseconds: -took), durationMilliseconds: took, answer: answer))
    }

    var board: Board {
        var copy = watch
        return copy.board(at: now)
    }

    func alerts(_ rule: String) -> [Alert] { board.alerts.filter { $0.rule == rule } }
    func alert(_ rule: String) -> Alert? { alerts(rule).first }
    func row(_ id: UInt32) -> BufferRow? { board.bufferRows.first { $0.key.id.jobID?.number == id } }
    func pool(_ name: String = "nvme") -> PoolRow? { board.poolRows.first { $0.pool.name == name } }

    /// The texts of events, oldest first.
    func events(_ kind: Event.Kind? = nil) -> [String] {
        board.events.filter { kind == nil || $0.kind == kind }.map(\.text)
    }
}

func use(_ user: String, gib: UInt64) -> UserUse {
    UserUse(user: user, uid: Scene.uid(user), used: Amount(gib * Scene.gib))
}
