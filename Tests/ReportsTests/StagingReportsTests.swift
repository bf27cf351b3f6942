import BurstModel
import BurstReports
import BurstStager
import BurstTestSupport
import Testing

/// The stager's copies in JSON, text, metrics and the check line.
@Suite struct StagingReportsTests {
    private static let reply = """
        Name=lua DefaultPool=(null) Granularity=1 TotalSpace=0 FreeSpace=0 UsedSpace=0
          PoolName[0]=nvme Granularity=1GiB TotalSpace=8TiB FreeSpace=8TiB UsedSpace=0
          Flags=DisablePersistent
          StageInTimeout=60000 StageOutTimeout=60000 ValidateTimeout=5 OtherTimeout=40

        """

    private static func board(viewer: Dwstat.Viewer = .operator, jobs: [Job] = []) -> Board {
        var watch = Watch(source: SourceInfo(kind: .slurm, cluster: "alps"), zone: .fixed())
        let now = SampleBoards.now
        var document = StagerDocument.busy(
            at: now, tokens: ["7", "8", "9", "10", "alpha"], uids: [1001, 1002, 1001, 1002, 1003])
        document.quarantine("6", failures: 1, error: "busy", since: now)
        watch.ingest(
            Sample(
                call: .burst, arguments: [], startedAt: now, durationMilliseconds: 0,
                answer: .burst(BurstReport.parse(showBurst: Array(reply.utf8)), raw: [])))
        if !jobs.isEmpty {
            watch.ingest(
                Sample(
                    call: .jobs, arguments: Call.jobs.arguments(), startedAt: now, durationMilliseconds: 0,
                    answer: .jobs(jobs, faults: [])))
        }
        watch.ingest(document.sample(viewer: viewer))
        return watch.board(at: now)
    }

    @Test(arguments: [Dwstat.Viewer.operator, .nobody]) func theDocumentFitsTheSchema(viewer: Dwstat.Viewer) throws {
        let schema = JSONSchema(try JSON(Array(BoardDocument.schema.utf8)))
        let document = try JSON(BoardDocument(Self.board(viewer: viewer)).json(pretty: false))
        #expect(schema.faults(in: document) == [])
        let rows = try #require(document["stagings"]?.elements)
        #expect(
            rows.map { $0["phase"]?.text } == ["staging-in", "staging-out", "pre-run", "stage-out-failed", "running"])
        #expect(rows.map { $0["direction"]?.text } == ["in", "out", nil, "out", nil])
        #expect(rows[0]["percent"]?.number == (viewer == .operator ? 90 : nil))
        #expect(rows[3]["last_error"]?.text == (viewer == .operator ? "/lus/r: Disk quota exceeded" : nil))
        #expect(document["stager_sampled_at"]?.text == "2026-11-22T14:02:15Z")
        #expect(document["stager_error"] == .null)
        let pool = try #require(document["stager_pools"]?.elements.first)
        let report = try #require(Self.board(viewer: viewer).staging?.value)
        #expect(pool["name"]?.text == report.pools.first?.id)
        for (key, granules) in [
            ("total", report.pools[0].quantity), ("live", report.pools[0].live),
            ("quarantined", report.pools[0].quarantined), ("reserve", report.pools[0].reserve),
            ("free", report.pools[0].free),
        ] {
            #expect(pool[key]?.number == Int64(granules * report.pools[0].granularity), "\(key)")
        }
        #expect(pool["quarantined"]?.number ?? 0 > 0 && pool["unavailable"] == .null)
        let buffer = try #require(document["quarantine"]?.elements.first)
        #expect(document["quarantine"]?.elements.count == 1)
        #expect(buffer["token"]?.text == "6" && buffer["failures"]?.number == 1)
        #expect(buffer["size"]?.number == pool["quarantined"]?.number)
        #expect(buffer["since"]?.text == "2026-11-22T14:02:15Z")
        #expect(buffer["last_error"]?.text == (viewer == .operator ? "busy" : nil))
    }

    @Test func withoutAStagerTheListIsEmpty() throws {
        let document = try JSON(BoardDocument(SampleBoards.full).json(pretty: false))
        #expect(document["stagings"]?.elements.isEmpty == true && document["stager_sampled_at"] == .null)
        #expect(document["stager_pools"]?.elements.isEmpty == true && document["quarantine"]?.elements.isEmpty == true)
        #expect(!OnceReport(SampleBoards.full).text.contains("STAGING"))
        #expect(!PrometheusReport(SampleBoards.full).text.contains("burst_staging"))
    }

    @Test func theTextListsWhatIsUnderWayOrFailed() {
        let lines = OnceReport(Self.board()).text.split(separator: "\n", omittingEmptySubsequences: false).map(
            String.init)
        guard let at = lines.firstIndex(where: { $0.hasPrefix("STAGING 2") }) else {
            Issue.record("no section of copies")
            return
        }
        #expect(
            Array(lines[at..<(at + 5)]) == [
                "STAGING 2 (in 1, out 1), 1 failed",
                "STAGING  USER       DONE         BYTES      FILES     RATE   ETA  ERR  PHASE",
                " 7       1001  in    90%   2.55T/2.83T  3100/3400  4.35G/s    1m    0  staging-in",
                " 8       1002  out     ?  1.00G/4.00G+   200/800+  25.6M/s  >=2m    0  staging-out",
                " 10      1002  out   93%   1.01T/1.07T      45/48        -     -    3  stage-out-failed",
            ])
    }

    @Test func metricsAreByDirection() {
        let text = PrometheusReport(Self.board()).text
        for line in [
            #"burst_stagings{direction="in"} 1"#, #"burst_stagings{direction="out"} 1"#,
            #"burst_stagings{direction="save"} 0"#, #"burst_stagings_failed{direction="out"} 1"#,
            #"burst_staging_bytes_done{direction="in"} 2802466160640"#,
            #"burst_staging_bytes_total{direction="in"} 3113851289600"#, #"burst_staging_errors{direction="out"} 3"#,
            "burst_quarantine_buffers 1", "burst_quarantine_bytes 10737418240",
            #"burst_alerts{rule="R19",severity="crit"} 1"#,
        ] { #expect(text.contains("\n\(line)\n"), "\(line)") }
        var lost = Self.board()
        lost.stagingLost = StagingLoss(reason: "gone", since: SampleBoards.now)
        #expect(!PrometheusReport(lost).text.contains("burst_stagings"))
    }

    /// R4 and R19 of one job: one line for a reader, both rules for whoever looks for one.
    @Test func aFailureThatSlurmTellsTooIsCountedOnce() throws {
        var job = Job(
            id: JobID(10), name: "out", user: "bob", uid: 1002, state: JobState("STAGE_OUT"),
            reason: "burst_buffer/lua: slurm_bb_data_out failed: exit 1")
        job.bufferState = .stagingOut
        let board = Self.board(jobs: [job])
        let document = try JSON(BoardDocument(board).json(pretty: false))
        #expect(JSONSchema(try JSON(Array(BoardDocument.schema.utf8))).faults(in: document) == [])
        let alerts = try #require(document["alerts"]?.elements).filter { $0["title"]?.text == "stage-out FAIL" }
        #expect(alerts.map { $0["rule"]?.text } == ["R19", "R4"])
        #expect(alerts.map { $0["same_as"]?.text } == [nil, "R19"])
        #expect(alerts.allSatisfy { $0["subject"]?.text == "10" })
        let lines = OnceReport(board).text.split(separator: "\n").filter {
            $0.hasPrefix(" !") && $0.contains("stage-out FAIL")
        }
        #expect(lines.count == 1 && lines[0].contains("R19+R4") && lines[0].contains("Slurm: burst_buffer/lua"))
        for rules in ["R4", "R19", "R4,R19"] {
            let report = CheckReport(board, rules: try CheckReport.rules(rules))
            #expect(report.line.hasPrefix("BURST CRITICAL - 1 crit"), "\(report.line)")
        }
        let metrics = PrometheusReport(board).text
        for rule in ["R4", "R19"] {
            #expect(metrics.contains("\nburst_alerts{rule=\"\(rule)\",severity=\"crit\"} 1\n"))
        }
    }

    @Test func theCheckKnowsTheRules() throws {
        let report = CheckReport(Self.board(), rules: try CheckReport.rules("R19,R20"))
        #expect(report.status == .critical)
        #expect(report.line.hasPrefix("BURST CRITICAL - 1 crit"))
        #expect(
            report.line.contains("R19 10 stage-out FAIL 1002 - data still in the buffer: /lus/r: Disk quota exceeded"))
    }
}
