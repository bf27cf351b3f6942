import BurstModel
import BurstReports
import Testing

@Suite struct OnceReportTests {
    @Test func theOverviewAsText() {
        #expect(
            OnceReport(SampleBoards.full).text == """
                burstmon  cluster=alps  plugin=datawarp  slurm=26.05.3  LIVE  burst 14:02:11 (4s ago)  jobs 14:01:48 (27s ago)

                POOL             [used # drained x free .]             USED  DRAIN   FREE    FIT  GRAN  BUFS  WAIT
                wlm_pool*        [########################xxx......]  4.30T   544G  1.17T  1.17T  200G     3     0
                licences, "x=1"  [#################################]      8      0     -3      0     1     0     7

                ATTENTION 5 (2 crit, 1 warn, 1 info, 1 acknowledged)
                 !  R1   teardown-fail  169488    alice   800G  wlm_pool  38m+  retrying, 41 tries seen | exit 23
                 !  R3   leak?          169460    carol   400G  wlm_pool  11m   gone after its teardown failed
                 ~  R6   stage-in slow  169509    dan    3.13T  wlm_pool  21h   87% of StageInTimeout
                 .  R10  drained        wlm_pool                          2h    544G are drained
                 i  R12  old            svc_ml                            1m    57 days

                TOP USERS   USED  SHARE  BUFS  OLDEST
                 dan       3.13T    80%     1
                 alice      800G    20%     1     21h

                STATES       CNT   SIZE
                 staging-in    1  3.13T
                 teardown      1   800G
                 42            1      0
                 (gone)        1

                EVENTS
                 2026-11-22T14:01:51  CRIT  STATE       169488      teardown -> teardown-fail
                 2026-11-22T13:41:00  ERR   CONTROLLER  controller  did not answer for 2m20s

                """)
    }

    @Test func outagesStandInTheFirstLines() {
        let stale = OnceReport(SampleBoards.stale, zone: .fixed(secondsEastOfUTC: 3600)).text
        #expect(
            stale.hasPrefix(
                """
                burstmon  cluster=alps  plugin=datawarp  slurm=26.05.3  STALE 2m14s  try 6  burst 15:02:11 (4s ago)  \
                jobs 15:01:48 (27s ago)
                !! Unable to contact slurm controller | connect failure; what follows is OLD

                POOL
                """))
        #expect(
            OnceReport(SampleBoards.neverAnswered).text == """
                burstmon  STALE 2m14s  try 6
                !! slurm_load_burst_buffer_info error: Unable to contact slurm controller (connect failure)

                """)
        #expect(OnceReport(SampleBoards.empty).text == "burstmon  CONNECTING\n!! no answer yet\n")
        #expect(
            OnceReport(SampleBoards.noPlugin).text == "burstmon  NO PLUGIN\n!! no burst buffer plugin is configured\n")
    }

    @Test func whatIsMissingIsSaid() {
        var board = SampleBoards.calm
        board.jobs = nil
        for index in board.bufferRows.indices { board.bufferRows[index].job = nil }
        board.burst?.value.plugins[0].flags.append("PrivateData")
        board.faults = [Fault(reply: "squeue", line: 3, message: "too few\u{1b}columns")]
        board.events = []
        let lines = OnceReport(board).text.split(separator: "\n", omittingEmptySubsequences: false)
        #expect(
            lines[1..<5].elementsEqual([
                "~ jobs are not known: states are those of the buffers alone",
                "~ restricted view: other users' buffers are hidden", "~ squeue: line 3: too few?columns", "",
            ]))
        #expect(lines.contains("ATTENTION none"))
        #expect(lines.contains(" teardown-fail    1   800G"))
        #expect(!lines.contains("EVENTS"))
        board.poolRows = []
        board.bufferRows = []
        board.userRows = []
        let text = OnceReport(board).text
        #expect(text.hasSuffix("\n\nPOOLS none\n\nATTENTION none\n\nUSERS none\n\nBUFFERS none\n"))
    }

    @Test func onlyPrintableASCIIWhateverTheNames() {
        var board = SampleBoards.full
        let awkward = "\u{1b}]0;x\u{7}Jürgen\u{9b}31m\r\n\u{202e}日本 \u{0}"
        board.source.cluster = awkward
        board.poolRows[0].pool.name = awkward
        board.userRows[0].user = awkward
        board.alerts[0].message = awkward
        board.alerts[0].user = awkward
        board.events[0].text = awkward
        for width in [0, 20, 80, 1000] {
            let text = OnceReport(board, width: width).text
            #expect(text.utf8.allSatisfy { $0 == 10 || ($0 >= 0x20 && $0 < 0x7f) })
            #expect(text.split(separator: "\n", omittingEmptySubsequences: false).count == 27)
        }
    }

    @Test func barsFillTheWidth() {
        for (width, bar) in [(80, 23), (100, 33), (110, 43), (500, 60)] {
            let line = OnceReport(SampleBoards.full, width: width).text.split(separator: "\n")[2]
            #expect(line.drop { $0 != "[" }.prefix { $0 != "]" }.count - 1 == bar, "\(width): \(line)")
        }
    }

    @Test func poolsOfTwoPluginsAreToldApart() {
        var board = SampleBoards.full
        board.poolRows.append(board.poolRows[0])
        board.poolRows[2].pool.plugin = "lua"
        board.poolRows[2].goneSince = board.now
        let text = OnceReport(board).text
        #expect(text.contains("\ndatawarp/wlm_pool*  "))
        #expect(text.contains("\nlua/wlm_pool* (gone since 14:02:15)  "))
    }

    @Test func manyUsersShareTheLastLine() {
        var board = SampleBoards.full
        board.userRows = (1...14).map { number in
            var user = UserRow(user: "user\(number)", uid: UInt32(number))
            user.used = UInt64(number) << 30
            user.buffers = 2
            user.share = 0.01
            return user
        }
        let text = OnceReport(board).text
        #expect(text.contains("\n user14      14G     1%     2\n user13      13G"))
        #expect(text.contains("\n (4 more)    10G     4%     8\n"))
    }
}
