import BurstModel
import BurstReports
import Testing

@Suite struct CheckReportTests {
    @Test func alertsMakeTheLine() {
        let check = CheckReport(SampleBoards.full)
        #expect(check.status == .critical)
        #expect(
            check.line == """
                BURST CRITICAL - 2 crit, 1 warn (1 acknowledged): \
                R1 169488 teardown-fail alice - retrying, 41 tries seen / exit 23; \
                R3 169460 leak? carol - gone after its teardown failed; \
                R6 169509 stage-in slow dan - 87% of StageInTimeout \
                | crit=2;;;0; warn=1;;;0; age=4s;;;0; buffers=3;;;0; \
                wlm_pool_used=4724464025600B;5937362789990;6597069766656;0;6597069766656 \
                wlm_pool_drained=584115552256B;;;0;6597069766656 \
                'licences, "x_1"_used'=8;4;5;0;5 'licences, "x_1"_drained'=0;;;0;5
                """)
    }

    @Test func onlyTheChosenRulesCount() throws {
        let full = SampleBoards.full
        #expect(CheckReport(full, rules: ["R6"]).status == .warning)
        #expect(CheckReport(full, rules: ["R6"]).line.hasPrefix("BURST WARNING - 1 warn: R6 169509 stage-in slow dan"))
        #expect(CheckReport(full, rules: ["R10"]).status == .ok)
        #expect(
            CheckReport(full, rules: ["R10"]).line.hasPrefix(
                "BURST OK - 3 buffers in 2 pools (1 acknowledged) | crit=0;"))
        #expect(CheckReport(full, rules: ["R12"]).status == .ok)
        #expect(CheckReport(full, rules: try CheckReport.rules("r9, R3")).status == .critical)
    }

    @Test func rulesAreRead() throws {
        #expect(try CheckReport.rules("") == [])
        #expect(try CheckReport.rules("R1,r24 R1") == ["R1", "R24"])
        for (text, line) in [
            ("R25", "--check: no rule is called \"R25\"; there are R1 to R24"),
            ("R1,teardown\u{1b}", "--check: no rule is called \"teardown?\"; there are R1 to R24"),
        ] {
            #expect {
                try CheckReport.rules(text)
            } throws: { "\($0)" == line }
        }
    }

    @Test func noAnswerIsUnknown() {
        let boards: [(Board, String)] = [
            (
                SampleBoards.stale,
                "BURST UNKNOWN - no answer for 2m14s: Unable to contact slurm controller / connect failure "
                    + "(last good 2026-11-22T13:59:51Z) | age=4s;;;0;"
            ),
            (
                SampleBoards.neverAnswered,
                "BURST UNKNOWN - no answer for 2m14s: slurm_load_burst_buffer_info error: Unable to contact slurm "
                    + "controller (connect failure)"
            ),
            (SampleBoards.empty, "BURST UNKNOWN - no answer yet"),
            (SampleBoards.noPlugin, "BURST UNKNOWN - no burst buffer plugin is configured"),
        ]
        for (board, line) in boards {
            let check = CheckReport(board, rules: ["R6"])
            #expect(check.status == .unknown)
            #expect(check.line == line)
        }
    }

    @Test func aDamagedReplyIsNeverOK() {
        var board = SampleBoards.calm
        #expect(CheckReport(board).status == .ok)
        #expect(CheckReport(board).line.hasPrefix("BURST OK - 3 buffers in 2 pools | crit=0;;;0; warn=0;;;0; age=4s"))
        board.jobs = nil
        #expect(CheckReport(board).line.hasPrefix("BURST OK - 3 buffers in 2 pools (jobs are not known) | "))
        board.faults = [Fault(reply: "squeue", line: 3, message: "too few columns")]
        #expect(CheckReport(board).status == .unknown)
        #expect(
            CheckReport(board).line.hasPrefix(
                "BURST UNKNOWN - the reply is damaged: squeue: line 3: too few columns | "))
        var alarming = SampleBoards.full
        alarming.faults = board.faults
        #expect(CheckReport(alarming).status == .critical)
        #expect(CheckReport(alarming).line.contains("the reply is damaged: squeue: line 3"))
    }

    @Test func manyAlertsAreCounted() {
        var board = SampleBoards.full
        board.alerts = (1...50).map { number in
            Alert(
                rule: "R8", severity: .crit, subject: .job(JobID(UInt32(number))), title: "orphan", message: "",
                since: board.now)
        }
        let line = CheckReport(board).line
        #expect(
            line.hasPrefix(
                "BURST CRITICAL - 50 crit: R8 1 orphan; R8 2 orphan; R8 3 orphan; R8 4 orphan; R8 5 orphan; 45 more | ")
        )
    }

    @Test func thresholdsFollowTheSettings() {
        var thresholds = RuleThresholds()
        thresholds.disabled = ["R9"]
        #expect(
            CheckReport(SampleBoards.full, thresholds: thresholds).line.contains(
                "wlm_pool_used=4724464025600B;;;0;6597069766656"))
        thresholds.disabled = []
        thresholds.poolWarnPercent = 50
        #expect(
            CheckReport(SampleBoards.full, thresholds: thresholds).line.contains("B;3298534883328;6597069766656;0;"))
    }

    @Test func codesAreThoseOfThePlugInGuidelines() {
        #expect(CheckReport.Status.allCases.map(\.rawValue) == [0, 1, 2, 3])
        #expect(ExitCode.allCases.map(\.rawValue) == [0, 1, 2, 3])
    }
}
