import BurstModel

/// Boards built by hand, small enough that every figure in the expected reports can be checked by eye.
enum SampleBoards {
    /// 2026-11-22T14:02:15Z
    static let now = Timestamp(rfc3339: "2026-11-22T14:02:15Z")!
    static let gib: UInt64 = 1 << 30

    static let empty = Board(source: SourceInfo(kind: .slurm), now: now)

    static var noPlugin: Board {
        var board = empty
        board.health = .noPlugin
        return board
    }

    /// The first call failed, and all after it.
    static var neverAnswered: Board {
        var board = empty
        board.health = .stale(
            reason: "slurm_load_burst_buffer_info error: Unable to contact slurm controller (connect failure)",
            since: now.adding(seconds: -134), tries: 6, lastGood: nil)
        board.calls.count = 6
        board.calls.failures = 6
        return board
    }

    static var stale: Board {
        var board = full
        board.health = .stale(
            reason: "Unable to contact slurm controller | connect failure", since: now.adding(seconds: -134), tries: 6,
            lastGood: now.adding(seconds: -144))
        return board
    }

    /// Without alerts.
    static var calm: Board {
        var board = full
        board.alerts = []
        return board
    }

    /// Two pools of datawarp: one healthy with drained space, one over-committed, of units; a failed teardown, an
    /// array's
    /// task, a persistent buffer with an awkward name, one that is gone.
    static var full: Board {
        var board = Board(source: SourceInfo(kind: .slurm, cluster: "alps", version: "26.05.3"), now: now)
        board.health = .live
        let at = now.adding(seconds: -4)
        let (record, report) = report
        board.burst = Sampled(report, at: at, durationMilliseconds: 12)
        board.jobs = Sampled(jobs, at: now.adding(seconds: -27), durationMilliseconds: 40)
        board.reservations = Sampled([reservation], at: at, durationMilliseconds: 8)
        board.poolRows = record.pools.map { PoolRow(pool: $0, history: PoolHistory()) }
        board.poolRows[0].reserved = 200 * gib
        board.poolRows[0].bufferCount = 3
        board.poolRows[1].waiting = 7
        board.bufferRows = bufferRows(record)
        board.jobRows = jobRows
        board.userRows = userRows
        board.alerts = alerts
        board.events = events
        board.calls.count = 42
        board.calls.failures = 1
        board.calls.perMinute = 7
        board.calls.medianMilliseconds = 12
        board.calls.p95Milliseconds = 1040
        return board
    }

    static let failed = BufferKey(plugin: "datawarp", id: .job(JobID(169488)))
    static let task = BufferKey(plugin: "datawarp", id: .arrayTask(array: JobID(169502), task: 7, job: JobID(169509)))
    static let persistent = BufferKey(plugin: "datawarp", id: .persistent("al\"pha\u{1b}[1m\nü"))
    static let gone = BufferKey(plugin: "datawarp", id: .job(JobID(169460)))

    private static var report: (PluginRecord, BurstReport) {
        var record = PluginRecord(name: "datawarp")
        record.defaultPool = "wlm_pool"
        record.granularity = Amount(text: "200GiB")
        record.total = Amount(text: "6TiB")
        record.free = Amount(text: "1200GiB")
        record.used = Amount(text: "4400GiB")
        record.alternatePools = [
            Pool(
                plugin: "datawarp", name: "licences, \"x=1\"", granularity: Amount(text: "1"), total: Amount(text: "5"),
                free: Amount(text: "18446744073709551613"), used: Amount(text: "8"))
        ]
        record.flags = ["EnablePersistent", "TeardownFailure"]
        record.pollInterval = 15
        record.stageInTimeout = 86400
        record.stageOutTimeout = 86400
        record.validateTimeout = 5
        record.otherTimeout = 300
        record.settings = [
            .init("AllowUsers", "alice,dan"), .init("GetSysState", "/opt/dw_wlm_cli"), .init("DenyUsers", nil),
        ]
        var first = Buffer(
            id: failed.id, pool: "wlm_pool", size: Amount(text: "800GiB"), state: .teardownFail, user: "alice",
            uid: 4402)
        first.account = "bio"
        first.partition = "work"
        first.qos = "normal"
        first.createdLocal = LocalTime(text: "2026-11-21T17:01:07")
        let second = Buffer(
            id: task.id, pool: "wlm_pool", size: Amount(text: "3276800MiB"), state: .allocated, user: "dan", uid: 4411)
        var third = Buffer(
            id: persistent.id, pool: nil, size: Amount(text: "INFINITE"), state: .other("42"), user: "svc_ml", uid: 4499
        )
        third.createdText = "never"
        record.buffers = [first, second, third]
        record.users = [UserUse(user: "alice", uid: 4402, used: Amount(text: "800GiB"))]
        return (record, BurstReport(plugins: [record]))
    }

    private static var jobs: [Job] {
        var first = Job(
            id: JobID(169488), name: "cfd", user: "alice", uid: 4402, state: .completed,
            reason: "burst_buffer/datawarp: teardown:\nexit 23")
        first.bufferState = .teardown
        first.start = now.adding(seconds: -9000)
        var second = Job(
            id: JobID(169509), name: "\"big\"", user: "dan", uid: 4411, state: .pending, reason: "BurstBufferStageIn")
        second.arrayJobID = JobID(169502)
        second.arrayTask = "7"
        second.bufferState = .stagingIn
        second.spec = "#BB_LUA pool=wlm_pool capacity=3200GiB\n#BB_LUA x\\y"
        second.priority = 0
        second.start = now.adding(seconds: 3600)
        return [first, second]
    }

    private static var reservation: Reservation {
        var reservation = Reservation(name: "maintenance")
        reservation.state = "ACTIVE"
        reservation.burstBuffer = "datawarp:200GiB"
        reservation.start = now.adding(seconds: -60)
        return reservation
    }

    private static func bufferRows(_ record: PluginRecord) -> [BufferRow] {
        var first = BufferRow(key: failed, since: now.adding(seconds: -38 * 60), sinceSeen: false)
        first.place = .init(plugin: 0, index: 0)
        first.job = 0
        first.created = now.adding(seconds: -75668)
        var second = BufferRow(key: task, since: now.adding(seconds: -21 * 3600), sinceSeen: true)
        second.place = .init(plugin: 0, index: 1)
        second.job = 1
        var third = BufferRow(key: persistent, since: now.adding(seconds: 3), sinceSeen: true)
        third.place = .init(plugin: 0, index: 2)
        var last = BufferRow(key: gone, since: now.adding(seconds: -660), sinceSeen: true)
        last.gone = .init(
            buffer: Buffer(
                id: gone.id, pool: "wlm_pool", size: Amount(text: "400GiB"), state: .teardown, user: "carol", uid: 4403),
            at: now.adding(seconds: -600))
        return [first, second, third, last]
    }

    private static var jobRows: [JobRow] {
        var first = JobRow(job: 0, id: JobID(169488), since: now, sinceSeen: true)
        first.buffer = failed
        first.pool = "wlm_pool"
        var second = JobRow(job: 1, id: JobID(169509), since: now, sinceSeen: true)
        second.buffer = task
        second.pool = "wlm_pool"
        second.need = 3200 * gib
        return [first, second]
    }

    private static var userRows: [UserRow] {
        var alice = UserRow(user: "alice", uid: 4402)
        alice.used = 800 * gib
        alice.sum = 800 * gib
        alice.buffers = 1
        alice.share = 0.2
        alice.oldestSeconds = 75668
        var dan = UserRow(user: "dan", uid: 4411)
        dan.sum = 3200 * gib
        dan.buffers = 1
        dan.share = 0.8
        return [alice, dan]
    }

    private static var alerts: [Alert] {
        var acknowledged = Alert(
            rule: "R10", severity: .warn, subject: .pool(PoolKey(plugin: "datawarp", name: "wlm_pool")),
            title: "drained",
            pool: "wlm_pool", message: "544G are drained", since: now.adding(seconds: -7200))
        acknowledged.acknowledged = true
        return [
            Alert(
                rule: "R1", severity: .crit, subject: .buffer(failed), title: "teardown-fail", user: "alice",
                size: Amount(text: "800GiB"), pool: "wlm_pool", message: "retrying, 41 tries seen | exit 23",
                since: now.adding(seconds: -38 * 60), sinceSeen: false),
            Alert(
                rule: "R3", severity: .crit, subject: .buffer(gone), title: "leak?", user: "carol",
                size: Amount(text: "400GiB"), pool: "wlm_pool", message: "gone after its teardown failed",
                since: now.adding(seconds: -660), latched: true),
            Alert(
                rule: "R6", severity: .warn, subject: .job(JobID(169509)), title: "stage-in slow", user: "dan",
                size: Amount(text: "3200GiB"), pool: "wlm_pool", message: "87% of StageInTimeout",
                since: now.adding(seconds: -21 * 3600)),
            acknowledged,
            Alert(
                rule: "R12", severity: .info, subject: .user("svc_ml"), title: "old", message: "57 days",
                since: now.adding(seconds: -60)),
        ]
    }

    private static var events: [Event] {
        [
            Event(
                at: now.adding(seconds: -1275), level: .error, kind: .controller, subject: .controller,
                text: "did not answer for 2m20s"),
            Event(
                at: now.adding(seconds: -24), level: .crit, kind: .state, subject: .buffer(failed), user: "alice",
                text: "teardown -> teardown-fail"),
        ]
    }
}
