import BurstModel
import BurstScreen
import BurstTestSupport
import Testing

/// Compares a screen with its golden text under `Screens`.
func expectScreen(_ grid: Grid, _ name: String, at location: SourceLocation = #_sourceLocation) {
    let folder = Fixtures.top + "/Tests/ScreenTests/Screens"
    if let difference = GoldenScreen.difference(grid, folder: folder, name: name) {
        Issue.record(Comment(rawValue: difference), sourceLocation: location)
    }
}

/// A cluster in trouble, told by Slurm's own texts and watched for two hours: two plugins, each with its kind of
/// trouble.
struct Scene {
    /// When the screens are looked at.
    static let now = Timestamp(rfc3339: "2026-11-22T14:02:15Z")!
    static let zone = LocalTime.Zone.fixed()

    /// A job as squeue prints it.
    struct SqueueJob {
        var id: Int
        var array: Int?
        var task = "N/A"
        var user = "alice"
        var name = "run"
        var state = "RUNNING"
        var reason = "None"
        var priority = 4_294_901_000
        var spec = ""
        var bufferState = ""
        var start = "N/A"
        var comment = ""

        var text: String {
            let uid = ["alice": 4402, "bob": 4405, "carol": 4407, "dan": 4411, "erin": 4413][user] ?? 4499
            let fields = [
                "\(id)", "\(array ?? id)", task, user, "\(uid)", "bio", "work", "normal", name, state, reason,
                "\(priority)", spec, bufferState, "2026-11-22T10:02:00", start, "N/A", "", comment,
            ]
            return fields.joined(separator: "\u{1f}") + "\u{1e}\n"
        }
    }

    /// Minutes before `now` at which something is; the report is that of the moment.
    static func burstText(minutesAgo minutes: Int) -> String {
        let failed = minutes < 38
        let late = minutes < 9
        let wlmUsed = minutes > 1 ? 2600 : 2400
        let scratchUsed = late ? 5000 : 4600
        let scratchFree = late ? "0" : "400GiB"
        var text = """
            Name=datawarp DefaultPool=wlm_pool Granularity=200GiB TotalSpace=4200GiB FreeSpace=\(3600 - wlmUsed)GiB \
            UsedSpace=\(wlmUsed)GiB
              PoolName[0]=sm_pool Granularity=20GiB TotalSpace=2000GiB FreeSpace=1700GiB UsedSpace=300GiB
              PoolName[1]=scratchX Granularity=1GiB TotalSpace=5000GiB FreeSpace=\(scratchFree) \
            UsedSpace=\(scratchUsed)GiB
              Flags=TeardownFailure
              PollInterval=15
              StageInTimeout=86400 StageOutTimeout=86400 ValidateTimeout=5 OtherTimeout=300
              GetSysState=/opt/cray/dw_wlm/default/bin/dw_wlm_cli
              GetSysStatus=/opt/cray/dws/default/bin/dwstat
              Allocated Buffers:

            """
        func row(
            _ id: String, _ user: String, _ uid: Int, _ pool: String, _ size: String, _ state: String, _ created: String
        ) {
            text += "    \(id) Account=bio CreateTime=\(created) Partition=work Pool=\(pool) QOS=normal Size=\(size)"
            text += " State=\(state) UserID=\(user)(\(uid))\n"
        }
        let morning = "2026-11-22T11:20:07"
        row("JobID=169488", "alice", 4402, "wlm_pool", "800GiB", failed ? "teardown-fail" : "teardown", morning)
        row("JobID=169471", "bob", 4405, "wlm_pool", "1200GiB", "staged-in", morning)
        row("JobID=169544", "bob", 4405, "wlm_pool", "400GiB", "running", morning)
        if minutes > 1 { row("JobID=169455", "bob", 4405, "wlm_pool", "200GiB", "running", morning) }
        row("JobID=169460", "carol", 4407, "scratchX", "400GiB", "staged-in", "2026-11-21T10:00:00")
        if late { row("JobID=169550", "dan", 4411, "scratchX", "400GiB", "staged-in", "2026-11-22T13:53:02") }
        row("Name=refdata", "svc_ml", 4499, "scratchX", "4200GiB", "allocated", "2026-11-12T09:00:00")
        row("Name=alpha", "svc_ml", 4499, "sm_pool", "300GiB", "allocated", "2026-09-26T09:00:00")
        text += """
              Per User Buffer Use:
                UserID=alice(4402) Used=1600GiB
                UserID=bob(4405) Used=\(minutes > 1 ? 1800 : 1600)GiB
                UserID=carol(4407) Used=400GiB
                UserID=svc_ml(4499) Used=4500GiB
                UserID=dan(4411) Used=\(late ? "400GiB" : "0")
            Name=lua DefaultPool=(null) Granularity=1 TotalSpace=0 FreeSpace=0 UsedSpace=0
              PoolName[0]=pool1 Granularity=1KiB TotalSpace=4TiB FreeSpace=1030821971KiB UsedSpace=3264145325KiB
              PoolName[1]=tokens Granularity=2 TotalSpace=30001 FreeSpace=29999 UsedSpace=2
              PoolName[2]=burnt Granularity=1GiB TotalSpace=100GiB FreeSpace=17179869164GiB UsedSpace=120GiB
              Flags=DisablePersistent
              StageInTimeout=8400 StageOutTimeout=86400 ValidateTimeout=5 OtherTimeout=300
              GetSysState=(null)
              GetSysStatus=(null)
              Allocated Buffers:

            """
        row("JobID=169502_7(169509)", "dan", 4411, "pool1", "3TiB", "allocated", "2026-11-22T12:01:00")
        row("JobID=169511", "erin", 4413, "pool1", "976563KiB", "allocated", "2026-11-22T12:30:00")
        row("JobID=169515", "erin", 4413, "pool1", "250KiB", "allocated", "2026-11-22T12:31:00")
        row("JobID=169520", "bob", 4405, "pool1", "40GiB", "allocated", "2026-11-22T13:01:00")
        row("JobID=169530", "erin", 4413, "tokens", "2", "allocated", "2026-11-22T13:01:00")
        row("JobID=169551", "dan", 4411, "burnt", "120GiB", "allocated", "2026-11-22T13:01:00")
        text += """
              Per User Buffer Use:
                UserID=dan(4411) Used=3192GiB
                UserID=erin(4413) Used=1000256514
                UserID=bob(4405) Used=40GiB

            """
        return text
    }

    static func jobsText(minutesAgo minutes: Int) -> String {
        let failed = minutes < 38
        var jobs = [
            SqueueJob(
                id: 169488, user: "alice", name: "qcd_48", state: "COMPLETED",
                spec: "#DW jobdw type=scratch access_mode=striped capacity=800GiB",
                bufferState: failed ? "teardown-fail" : "teardown", start: "2026-11-22T11:25:00",
                comment: failed
                    ? "11/22/26 13:24:31 burst_buffer/datawarp: dws_teardown: token busy on dw-node-17\n11/22/26 13:24:36 burst_buffer/datawarp: dws_teardown: token busy on dw-node-17\n"
                    : ""),
            SqueueJob(
                id: 169471, user: "bob", name: "cfd_run12", state: "STAGE_OUT",
                reason: minutes < 92
                    ? "burst_buffer/datawarp: dws_data_out: exit status 23"
                    : "burst_buffer/datawarp: Stage-out in progress",
                spec:
                    "#DW jobdw type=scratch access_mode=striped capacity=1200GiB\n#DW stage_out type=file source=$DW_JOB_STRIPED/r destination=/lus/r",
                bufferState: "staging-out", start: "2026-11-22T10:30:00",
                comment: minutes < 92
                    ? "11/22/26 12:31:02 burst_buffer/datawarp: dws_data_out: exit status 23\n" : ""),
            SqueueJob(
                id: 169544, user: "bob", name: "cfd_run13", state: "RUNNING", spec: "#DW jobdw capacity=400GiB",
                bufferState: "running", start: "2026-11-22T11:25:00"),
            SqueueJob(
                id: 169509, array: 169502, task: "7", user: "dan", name: "genome", state: "PENDING",
                reason: "BurstBufferStageIn", spec: "#BB_LUA pool=pool1 capacity=3TiB", bufferState: "staging-in"),
            SqueueJob(
                id: 169511, user: "erin", name: "fit", state: "PENDING", reason: "Resources",
                spec: "#BB_LUA pool=pool1 capacity=1GB", bufferState: "staged-in", start: "2026-11-22T15:30:00"),
            SqueueJob(
                id: 169515, user: "erin", name: "fit", state: "STAGE_OUT",
                reason: "burst_buffer/lua: Stage-out in progress", spec: "#BB_LUA pool=pool1 capacity=250KiB",
                bufferState: "staging-out", start: "2026-11-22T12:35:00"),
            SqueueJob(
                id: 169520, user: "bob", name: "cfd_post", state: "CONFIGURING",
                spec: "#BB_LUA pool=pool1 capacity=40GiB", bufferState: "pre-run", start: "2026-11-22T14:01:00"),
            SqueueJob(
                id: 169530, user: "erin", name: "sweep", state: "PENDING",
                reason: "burst_buffer/lua: slurm_bb_data_in: rsync: connection reset by peer (104): JobHeldAdmin",
                priority: 0, spec: "#BB_LUA pool=tokens capacity=2", bufferState: "staging-in",
                comment: "11/22/26 13:01:40 burst_buffer/lua: slurm_bb_data_in: rsync: connection reset by peer (104)\n"
            ),
            SqueueJob(
                id: 169541, user: "carol", name: "big_io", state: "PENDING", reason: "BurstBufferResources",
                spec: "#DW jobdw pool=scratchX capacity=200GiB", bufferState: "pending"),
        ]
        if minutes < 9 {
            jobs.append(
                SqueueJob(
                    id: 169550, user: "dan", name: "sort", state: "RUNNING",
                    spec: "#DW jobdw pool=scratchX capacity=400GiB", bufferState: "running",
                    start: "2026-11-22T13:53:20"))
        }
        jobs.append(
            SqueueJob(
                id: 169551, user: "dan", name: "merge", state: "RUNNING", spec: "#BB_LUA pool=burnt capacity=120GiB",
                bufferState: "running", start: "2026-11-22T11:25:00"))
        if minutes > 1 {
            jobs.append(
                SqueueJob(
                    id: 169455, user: "bob", name: "cfd_run11", state: "RUNNING", spec: "#DW jobdw capacity=200GiB",
                    bufferState: "running", start: "2026-11-22T11:25:00"))
        }
        return jobs.map(\.text).joined()
    }

    static let configText = """
        Configuration data as of 2026-11-22T13:30:00
        BOOT_TIME               = 2026-11-01T06:12:09
        BurstBufferType         = burst_buffer/datawarp,burst_buffer/lua
        ClusterName             = alps
        MessageTimeout          = 10 sec
        MinJobAge               = 300 sec
        PrivateData             = none
        SLURM_VERSION           = 26.05.3
        SlurmctldHost[0]        = ctl1(10.0.0.1)

        """

    static let jobText = """
        JobId=169471 JobName=cfd_run12
           UserId=bob(4405) GroupId=bob(4405) MCS_label=N/A
           Priority=4294901000 Nice=0 Account=bio QOS=normal
           JobState=STAGE_OUT Reason=burst_buffer/datawarp:_dws_data_out:_exit_status_23 Dependency=(null)
           RunTime=01:30:00 TimeLimit=1-00:00:00 TimeMin=N/A
           SubmitTime=2026-11-22T10:02:00 EligibleTime=2026-11-22T10:02:00
           StartTime=2026-11-22T10:30:00 EndTime=2026-11-22T12:00:00 Deadline=N/A
           Partition=work AllocNode:Sid=login1:5844
           NodeList=nid[00012-00027]
           NumNodes=16 NumCPUs=512 NumTasks=512 CPUs/Task=1 ReqB:S:C:T=0:0:*:*
           Command=/home/bob/cfd/run.sh
           WorkDir=/home/bob/cfd
           BurstBuffer=#DW jobdw type=scratch access_mode=striped capacity=1200GiB
           BurstBufferState=staging-out

        """

    /// A job's text as `scontrol show job` prints it, from the bulk reply's fields.
    static func jobText(_ id: Int, name: String, user: String, state: String, reason: String, bufferState: String)
        -> String
    {
        """
        JobId=\(id) JobName=\(name)
           UserId=\(user)(4405) GroupId=\(user)(4405) MCS_label=N/A
           Priority=10 Nice=0 Account=bio QOS=normal
           JobState=\(state) Reason=\(reason) Dependency=(null)
           BurstBuffer=#DW jobdw capacity=400GiB
           BurstBufferState=\(bufferState)

        """
    }

    static func sample(
        _ call: Call, _ text: String, at: Timestamp, milliseconds: Int64 = 42, exit status: Int32 = 0,
        errors: String = ""
    ) -> Sample {
        Sample.read(
            call, arguments: call.arguments(),
            result: CommandResult(end: .exit(status), output: Array(text.utf8), errors: Array(errors.utf8)),
            startedAt: at.adding(milliseconds: -milliseconds), durationMilliseconds: milliseconds, zone: zone)
    }

    /// The watch after two hours, four seconds before `now`.
    static let watched: Watch = {
        var watch = Watch(
            source: SourceInfo(kind: .slurm, cluster: "alps", version: "26.05.3", viewer: "root@login1"), zone: zone)
        let last = now.adding(seconds: -4)
        watch.ingest(sample(.config, configText, at: last.adding(seconds: -7300)))
        for minutes in stride(from: 120, through: 0, by: -1) {
            let at = last.adding(seconds: -60 * minutes)
            watch.ingest(sample(.burst, burstText(minutesAgo: minutes), at: at))
            watch.ingest(sample(.jobs, jobsText(minutesAgo: minutes), at: at.adding(seconds: minutes == 0 ? -23 : 1)))
        }
        return watch
    }()

    static let board: Board = {
        var watch = watched
        var board = watch.board(at: now)
        board.calls.count = 913
        board.calls.failures = 2
        board.calls.perMinute = 7
        board.calls.medianMilliseconds = 42
        board.calls.p95Milliseconds = 210
        board.calls.burstInterval = 10
        board.calls.jobsInterval = 30
        board.calls.nextAt = now.adding(seconds: 6)
        return board
    }()

    static func delivery(_ board: Board = board) -> Delivery {
        var delivery = Delivery(board: board)
        delivery.sequence = 1
        return delivery
    }

    static let themes = ["default", "deuteranopia", "high-contrast", "light", "mono", "nord"]

    static func state(
        _ columns: Int = 80, _ rows: Int = 24, screen: ScreenID = .overview, board: Board = board,
        readOnly: Bool = false, replay: Bool = false
    ) -> MonitorState {
        var state = MonitorState(
            size: Size(columns: columns, rows: rows), data: delivery(board),
            keys: KeyMap(readOnly: readOnly, replay: replay), readOnly: readOnly, themes: themes)
        state.show(screen)
        return state
    }

    static func grid(_ state: MonitorState, ascii: Bool = false) -> Grid {
        Draw.grid(state, theme: .builtInDefault, ascii: ascii, now: now)
    }

    // MARK: Other weather

    static func stale(tries: Int = 6, seconds: Int = 134) -> Board {
        var board = board
        let good = now.adding(seconds: -seconds)
        board.health = .stale(
            reason: "slurm_load_burst_buffer_info error: Unable to contact slurm controller (connect failure)",
            since: good.adding(seconds: 10), tries: tries, lastGood: good)
        board.calls.nextAt = now.adding(seconds: 38)
        board.calls.intervalReason = "no answer"
        return board
    }

    static var connecting: Board {
        Board(source: SourceInfo(kind: .slurm, viewer: "root@login1"), now: now)
    }

    static var neverAnswered: Board {
        var board = connecting
        board.health = .stale(
            reason: "slurm_load_burst_buffer_info error: Unable to contact slurm controller (connect failure)",
            since: now.adding(seconds: -31), tries: 3, lastGood: nil)
        return board
    }

    /// The board of these texts alone.
    static func board(burst: String, jobs: String? = nil, plugins: Int = 1) -> Board {
        var watch = Watch(
            source: SourceInfo(kind: .slurm, cluster: "alps", version: "26.05.3", viewer: "root@login1"), zone: zone)
        for seconds in [-64, -4] {
            watch.ingest(sample(.burst, burst, at: now.adding(seconds: seconds)))
            if let jobs { watch.ingest(sample(.jobs, jobs, at: now.adding(seconds: seconds + 1))) }
        }
        var board = watch.board(at: now)
        board.calls.burstInterval = 10
        board.calls.jobsInterval = 30
        return board
    }

    static var noPlugin: Board { board(burst: "", jobs: "") }

    static var empty: Board {
        board(
            burst: """
                Name=lua DefaultPool=(null) Granularity=1 TotalSpace=0 FreeSpace=0 UsedSpace=0
                  PoolName[0]=nvme Granularity=1GiB TotalSpace=10TiB FreeSpace=10TiB UsedSpace=0
                  Flags=DisablePersistent
                  PollInterval=15
                  StageInTimeout=86400 StageOutTimeout=86400 ValidateTimeout=5 OtherTimeout=300

                """, jobs: "")
    }

    /// Names of every width, and some that would steer a terminal.
    static var strangeNames: Board {
        let names = ["データ", "cafe\u{301}", "a\u{200b}b", "\u{1b}[31mred", "👨‍👩‍👧", String(repeating: "long", count: 1000)]
        var burst = """
            Name=lua DefaultPool=(null) Granularity=1 TotalSpace=0 FreeSpace=0 UsedSpace=0
              PoolName[0]=プール一 Granularity=1GiB TotalSpace=10TiB FreeSpace=9TiB UsedSpace=1TiB
              Flags=PrivateData
              StageInTimeout=86400 StageOutTimeout=86400 ValidateTimeout=5 OtherTimeout=300
              Allocated Buffers:

            """
        var jobs = ""
        for (index, name) in names.enumerated() {
            burst += "    JobID=\(100 + index) Account=bio CreateTime=2026-11-22T13:00:00 Partition=work Pool=プール一"
            burst += " QOS=normal Size=\(index + 1)GiB State=allocated UserID=\(name)(\(5000 + index))\n"
            jobs +=
                SqueueJob(
                    id: 100 + index, user: name, name: name, state: "RUNNING", reason: "None\u{7}\n\tnext",
                    spec: "#BB_LUA pool=プール一 capacity=\(index + 1)GiB", bufferState: "running"
                ).text
        }
        return board(burst: burst, jobs: jobs)
    }
}

extension MonitorState {
    /// Goes to a screen as its key does.
    mutating func show(_ screen: ScreenID) { press(.character(Character("\(screen.rawValue)"))) }

    @discardableResult
    mutating func press(_ keys: Key..., at now: Timestamp = Scene.now) -> [MonitorRequest] {
        var requests: [MonitorRequest] = []
        for key in keys { requests += Monitor.press(key, &self, at: now) }
        return requests
    }

    /// Types text, character by character.
    @discardableResult
    mutating func type(_ text: String, at now: Timestamp = Scene.now) -> [MonitorRequest] {
        text.reduce(into: []) { $0 += Monitor.press(.character($1), &self, at: now) }
    }

    /// A `:` command and Enter.
    @discardableResult
    mutating func command(_ text: String) -> [MonitorRequest] {
        type(":" + text) + press(.enter)
    }

    /// Takes changed data, as one more delivery.
    mutating func take(_ change: (inout Delivery) -> Void, at now: Timestamp = Scene.now) {
        var data = live
        data.sequence += 1
        change(&data)
        Monitor.take(data, &self, at: now)
    }

    /// The row under the cursor.
    var selected: RowID? { tables[screen]?.selected }
}
