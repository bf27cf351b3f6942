import BurstEngine
import BurstModel
import BurstTestSupport
import Testing

/// What the engine prints against what Slurm 26.05 printed in the same state.
@Suite struct TextTests {
    static let sections = Fixtures.sections("engine/text-26.05-lua.txt")

    static func recorded(_ scenario: String, _ command: String) -> String {
        guard let section = sections.first(where: { $0.origin.contains(scenario) && $0.command == command }) else {
            fatalError("no fixture for \(scenario): \(command)")
        }
        return String(decoding: section.output, as: UTF8.self)
    }

    /// What only Slurm's scheduler or terminal decides is left out of the comparison.
    static func comparable(_ text: String) -> String {
        let dropped = ["AllocNode:Sid=", "Scheduler=", "LastSchedEval=", "AccrueTime=", "SchedNodeList="]
        return text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            line.split(separator: " ", omittingEmptySubsequences: false)
                .map { word in dropped.first { word.hasPrefix($0) } ?? String(word) }
                .filter { $0 != "SchedNodeList=" }
                .joined(separator: " ")
        }.joined(separator: "\n")
    }

    static func string(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

    @Test func showBurstIsByteForByteWhatSlurmPrinted() {
        let text = TextScene.formats().text()
        #expect(Self.string(text.showBurst()) == Self.recorded("formats/08", "scontrol show burst"))
        #expect(Self.string(text.showBurst(oneLine: true)) == Self.recorded("formats/09", "scontrol -o show burst"))
        #expect(Self.string(text.showBurst(verbose: true)) == Self.recorded("formats/10", "scontrol -v show burst"))
        #expect(
            Self.string(TextScene(now: "22:10:10").text().showBurst())
                == Self.recorded("formats/01", "scontrol show burst"))
    }

    @Test func tasksOfAnArrayAreListedNewestFirstUnderTheirArray() {
        let text = TextScene.array(cancelled: false).text()
        #expect(Self.string(text.showBurst()) == Self.recorded("arrays/02", "scontrol show burst"))
    }

    @Test func anArraysTasksKeepTheirIDsAfterARestart() throws {
        // Slurm forgets them (spec §10, Q51); here the engine is built from what the store kept.
        let text = Self.string(TextScene.array(cancelled: true).text().showBurst())
        #expect(text.contains("    JobID=1_4(1) ") && text.contains("    JobID=1_2(3) "))
    }

    @Test func privateDataHidesRowsButNoTotals() {
        var scene = TextScene.formats()
        scene.settings.plugin?.hidesOthers = true
        scene.settings.plugin?.shown.flags = "DisablePersistent,PrivateData"
        let seen = Self.string(scene.text(for: TextScene.bob).showBurst())
        #expect(seen.contains("UsedSpace=14GiB") && !seen.contains("Allocated Buffers") && !seen.contains("Per User"))
        #expect(Self.string(scene.text().showBurst()).contains("JobID=2 "))
    }

    @Test func freeSpaceNeverWraps() {
        var scene = TextScene.formats()
        scene.pools[0].used = 11 << 40
        scene.pools[1].reportedFree = 4096
        let text = Self.string(scene.text().showBurst())
        #expect(text.contains("PoolName[0]=nvme Granularity=1GiB TotalSpace=10TiB FreeSpace=0 UsedSpace=11TiB\n"))
        #expect(text.contains("PoolName[1]=pool1 Granularity=1KiB TotalSpace=1000KiB FreeSpace=4KiB UsedSpace=0\n"))
    }

    @Test func usersStandInTheOrderOfTheirBuckets() {
        var scene = TextScene.formats()
        var job = scene.jobs[0]
        (job.id, job.uid, job.userName) = (3, 2000, "carol")
        scene.jobs.append(job)
        let lines = Self.string(scene.text().showBurst()).split(separator: "\n").suffix(6)
        #expect(lines.map { $0.split(separator: "=").last! }.suffix(2) == ["4GiB", "14GiB"])
        #expect(lines[lines.startIndex].hasPrefix("    JobID=3 "))
    }

    @Test func noPluginPrintsNothing() {
        var scene = TextScene.formats()
        scene.settings.plugin = nil
        #expect(scene.text().showBurst() == [])
        #expect(Self.string(scene.text().showConfig()).contains("BurstBufferType         = (null)\n"))
    }

    @Test func odderSettingsStandInSlurmsOrderAndUnderItsLabels() {
        var scene = TextScene(now: "22:00:00")
        scene.pools = []
        scene.settings.plugin?.shown.denyUsers = "bob"
        scene.settings.plugin?.shown.startStageIn = "/ssi"
        scene.settings.plugin?.shown.startStageOut = "/sso"
        scene.settings.plugin?.shown.stopStageIn = "/tsi"
        scene.settings.plugin?.shown.stopStageOut = "/tso"
        let expected = [
            "DenyUsers=bob", "GetSysState=(null)", "GetSysStatus=(null)", "StartStageIn=/ssi", "StartStageIn=/sso",
            "StopStageIn=/tsi", "StopStageIn=/tso",
        ]
        let lines = Self.string(scene.text().showBurst()).split(separator: "\n").suffix(expected.count)
        #expect(lines.map(String.init) == expected.map { "  " + $0 })
        scene.settings.plugin?.shown.allowUsers = "alice"
        #expect(!Self.string(scene.text().showBurst()).contains("DenyUsers"))
    }

    @Test func showJobHasSlurmsLayout() throws {
        let text = TextScene.formats().text()
        for (place, command, oneLine) in [("22", "scontrol show job", false), ("23", "scontrol -o show job", true)] {
            let ours = Self.comparable(Self.string(try text.showJobs(oneLine: oneLine)))
            #expect(ours == Self.comparable(Self.recorded("formats/" + place, command)))
        }
        #expect(Self.string(try TextScene(now: "22:10:10").text().showJobs()) == "No jobs in the system\n")
        #expect(throws: Refusal(code: 2017, text: "Invalid job id specified")) { _ = try text.showJobs(id: "77") }
    }

    @Test func showJobOfAnArrayPrintsItsTasks() throws {
        let text = TextScene.array(cancelled: true).text()
        var expected = Self.comparable(Self.recorded("arrays/07", "scontrol show job 1"))
        #expect(Self.comparable(Self.string(try text.showJobs(id: "1"))) == expected)
        expected = Self.comparable(Self.recorded("arrays/07", "scontrol show job 1"))
        let task = Self.comparable(Self.string(try text.showJobs(id: "1_2")))
        #expect(expected.contains(task) && task.hasPrefix("JobId=3 ArrayJobId=1 ArrayTaskId=2 "))
        #expect(throws: Refusal.self) { _ = try text.showJobs(id: "1_9") }
    }

    @Test func tasksNotSplitOffAreOneRecord() throws {
        var scene = TextScene(now: "22:20:00")
        var job = TextScene.job(5, "a.sh", submitted: "22:19:00")
        (job.arrayJobID, job.arrayTasksLeft, job.arrayTasksRunningMax) = (5, [1, 2, 3, 7, 9], 2)
        scene.jobs = [job]
        let text = scene.text()
        #expect(
            Self.string(try text.showJobs()).hasPrefix("JobId=5 ArrayJobId=5 ArrayTaskId=1-3,7,9 ArrayTaskThrottle=2 "))
        var query = QueueQuery()
        query.fields = "JobArrayID:.24"
        query.hasHeader = false
        #expect(Self.string(try text.queue(query)) == "           5_[1-3,7,9%2]\n")
        query.arrayElements = true
        query.fields = "JobArrayID:"
        #expect(Self.string(try text.queue(query)) == "5_1\n5_2\n5_3\n5_7\n5_9\n")
    }

    @Test func squeueIsByteForByteWhatSlurmPrinted() throws {
        let text = TextScene.formats().text()
        func run(_ place: String, _ command: String, _ change: (inout QueueQuery) -> Void) throws {
            var query = QueueQuery()
            change(&query)
            #expect(Self.string(try text.queue(query)) == Self.recorded("formats/" + place, command), "\(command)")
        }
        try run("26", "squeue") { _ in }
        try run("27", "squeue -l") { $0.isLong = true }
        let fields = "JobArrayID:12,UserName:8,State:12,Reason:120,BurstBufferState:18,BurstBuffer:120"
        try run("29", "squeue -a -h -O " + fields) { ($0.fields, $0.hasHeader) = (fields, false) }
        let short = "JobID,BurstBuffer,BurstBufferState"
        try run("30", "squeue -O " + short) { $0.fields = short }
        let mixed = "jobid,burstbuffer:30,burstbufferstate"
        try run("31", "squeue -O " + mixed) { $0.fields = mixed }
        try run("33", "squeue -h -j 1") { ($0.jobs, $0.hasHeader) = (["1"], false) }
        try run("35", "squeue -O BurstBufferSize") { $0.fields = "BurstBufferSize" }
        #expect(QueueColumn.parse(fields: "JobID,BurstBufferSize:3").unknown == ["BurstBufferSize"])
    }

    @Test func squeueSortsAsSlurmDoes() throws {
        let long = try TextScene.array(cancelled: false).text().queue(QueueQuery())
        #expect(Self.string(long) == Self.recorded("arrays/02", "squeue"))
        var query = QueueQuery()
        query.arrayElements = true
        let rest = try TextScene.array(cancelled: true).text().queue(query)
        #expect(Self.string(rest) == Self.recorded("arrays/09", "squeue -r"))
        // Held: no start is known, so the list comes out backwards.
        var held = TextScene(now: "22:13:58")
        for (id, task) in [(5, 9), (6, 5), (7, 7)] as [(UInt32, UInt32)] {
            var job = TextScene.job(id, "submit-held.sh", submitted: "22:13:56")
            (job.arrayJobID, job.arrayTaskID, job.priority, job.reason) = (5, task, 0, .jobHeldUser)
            held.jobs.append(job)
        }
        #expect(Self.string(try held.text().queue(QueueQuery())) == Self.recorded("arrays/12", "squeue"))
        query.sort = "-i"
        query.fields = "JobArrayID:"
        query.hasHeader = false
        #expect(Self.string(try held.text().queue(query)) == "5_9\n5_7\n5_5\n")
        query.sort = "i"
        #expect(Self.string(try held.text().queue(query)) == "5_5\n5_7\n5_9\n")
    }

    @Test func jobsInStageOutStandBelowThoseThatRunWithTheirReason() throws {
        var scene = TextScene(now: "22:10:00")
        var out = TextScene.job(1, "submit-a.sh", submitted: "22:09:00")
        (out.state, out.flags, out.start, out.end) = (.completed, .stageOut, TextScene.time("22:09:59"), scene.now)
        out.end = out.start
        out.reasonText = "burst_buffer/lua: Stage-out in progress"
        var running = TextScene.job(2, "submit-b.sh", submitted: "22:09:00")
        (running.state, running.start) = (.running, scene.now)
        scene.jobs = [out, running]
        #expect(Self.string(try scene.text().queue(QueueQuery())) == Self.recorded("cancel-many/15", "squeue"))
    }

    @Test func finalJobsAreListedOnRequestOnly() throws {
        var scene = TextScene.formats()
        for (index, end) in ["22:10:16", "22:10:17"].enumerated() {
            (scene.jobs[index].state, scene.jobs[index].end) = (.completed, TextScene.time(end))
        }
        scene.jobs[1].start = TextScene.time("22:10:17")
        var query = QueueQuery()
        query.hasHeader = false
        #expect(try scene.text().queue(query) == [])
        query.states = ["all"]
        query.hasHeader = true
        #expect(Self.string(try scene.text().queue(query)) == Self.recorded("formats/51", "squeue -t all"))
        query.states = ["cd"]
        #expect(Self.string(try scene.text().queue(query)) == Self.recorded("formats/51", "squeue -t all"))
        query.states = ["nonsense"]
        #expect(throws: Refusal(code: 0, text: "Invalid job state specified: nonsense")) {
            _ = try scene.text().queue(query)
        }
    }

    @Test func filtersAndJobsThatDoNotExist() throws {
        let text = TextScene.formats().text()
        func ids(_ change: (inout QueueQuery) -> Void) throws -> String {
            var query = QueueQuery()
            (query.fields, query.hasHeader) = ("JobID:", false)
            change(&query)
            return Self.string(try text.queue(query)).split(separator: "\n").joined(separator: " ")
        }
        #expect(try ids { $0.users = ["1001"] } == "2 1")
        #expect(try ids { $0.users = ["bob"] } == "")
        #expect(try ids { $0.names = ["first"] } == "1")
        #expect(try ids { $0.states = ["PD"] } == "2")
        #expect(try ids { $0.partitions = ["debug"] } == "2 1")
        #expect(try ids { $0.accounts = ["physics"] } == "")
        #expect(throws: Refusal.self) { _ = try ids { $0.jobs = ["9"] } }
        #expect(try ids { $0.jobs = ["9", "2"] } == "2")
    }

    @Test func theMonitorReadsItsBulkFormatBack() throws {
        var scene = TextScene.formats()
        scene.jobs[1].buffer?.spec = "#BB_LUA pool=nvme capacity=1GB\n#BB_LUA pool=pool1 capacity=1"
        var query = QueueQuery()
        (query.fields, query.states, query.hasHeader) = (SqueueText.format, ["all"], false)
        let read = SqueueText.parse(try scene.text().queue(query), zone: .fixed())
        #expect(read.faults.isEmpty)
        #expect(read.jobs.map(\.id.number) == [2, 1])
        #expect(read.jobs[0].spec == scene.jobs[1].buffer?.spec)
        #expect(read.jobs[0].bufferState == .stagingIn && read.jobs[0].reason == "BurstBufferStageIn")
        #expect(read.jobs[1].start == scene.jobs[0].start && read.jobs[1].account == nil)
        let shown = BurstReport.parse(showBurst: scene.text().showBurst(verbose: true))
        #expect(shown.faults.isEmpty && shown.bufferCount == 2)
    }

    @Test func formatLettersPrintTheirFields() throws {
        let text = TextScene.formats().text()
        var query = QueueQuery()
        (query.format, query.jobs) = ("<%i|%.5A|%5u|%t|%T|%r|%M|%l|%S|%e|%L|%D|%C|%U|%Q|%Z|%o>", ["1"])
        query.hasHeader = false
        let expected =
            "<1|    1|alice|R|RUNNING|None|0:02|365-00:00:00|2026-11-22T22:10:13|2027-11-22T22:10:13|"
            + "364-23:59:58|1|1|1001|1|/srv/ref/home/alice|/srv/ref/home/alice/submit.sh>\n"
        #expect(Self.string(try text.queue(query)) == expected)
    }

    @Test func reservationsAreShownAsSlurmShowsThem() {
        var scene = TextScene(now: "22:04:06")
        for (name, text) in [("r0", "lua:100GB"), ("r1", "100GB"), ("r2", "lua:nvme:1TB")] {
            var reservation = EngineReservation(
                name: name, users: ["alice"], start: TextScene.time("22:04:05"), end: TextScene.time("23:04:05"),
                burstBuffer: text)
            reservation.flags = "ANY_NODES"
            scene.reservations.append(reservation)
        }
        let text = scene.text()
        #expect(Self.string(text.showReservations()) == Self.recorded("reservation/15", "scontrol show reservation"))
        let oneLine = Self.string(text.showReservations(oneLine: true))
        #expect(oneLine == Self.recorded("reservation/16", "scontrol -o show reservation"))
        #expect(Self.string(text.showReservations(name: "zz")) == "Reservation zz not found\n")
        #expect(Self.string(TextScene(now: "22:00:00").text().showReservations()) == "No reservations in the system\n")
    }

    @Test func documentsHaveTheKeysOfTheMonitorsJSON() throws {
        var scene = TextScene.formats()
        scene.jobs[0].name = "quote\" \u{7} größe"
        let text = scene.text()
        let jobs = try JSON(text.jobsJSON()).elements
        #expect(jobs.count == 2)
        #expect(jobs[0].members["name"]?.text == scene.jobs[0].name)
        #expect(jobs[1].members["buffer_state"]?.text == "staging-in" && jobs[1].members["held"]?.flag == false)
        let pools = try JSON(text.poolsJSON()).elements
        #expect(pools[0].members["used"]?.number == 14 << 30 && pools[0].members["unit"]?.text == "bytes")
        #expect(pools[0].members["buffers"]?.number == 2)
        #expect(try JSON(text.buffersJSON(pretty: true)).elements.map { $0.members["id"]?.text } == ["2", "1"])
        #expect(try JSON(text.usersJSON()).elements[0].members["user"]?.text == "alice")
        #expect(try JSON(text.configJSON()).members["plugin"]?.text == "lua")
    }

    @Test func tasksAreWrittenShort() throws {
        var scene = TextScene(now: "22:20:00")
        var job = TextScene.job(5, "a.sh", submitted: "22:19:00")
        for (tasks, expected) in [
            ([4], "4"), ([1, 2], "1-2"), ([1, 3, 5], "1,3,5"), ([1, 9, 17], "1-17:8"), ([1, 3], "1,3"),
            ([0, 4, 5], "0,4-5"),
        ]
            as [([UInt32], String)]
        {
            (job.arrayJobID, job.arrayTasksLeft) = (5, tasks)
            scene.jobs = [job]
            #expect(Self.string(try scene.text().showJobs()).hasPrefix("JobId=5 ArrayJobId=5 ArrayTaskId=\(expected) "))
        }
    }
}
