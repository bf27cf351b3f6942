import BurstModel
import BurstStager
import BurstTestSupport
import Testing

@testable import BurstScreen

/// The stager's copies on the screens.
@Suite struct StageScreenTests {
    /// The scene with a stager that works for five of its jobs.
    static let board: Board = board()

    static func board(viewer: Dwstat.Viewer = .operator, _ change: (inout StagerDocument) -> Void = { _ in }) -> Board {
        var watch = Scene.watched
        let at = Scene.now.adding(seconds: -4)
        var document = StagerDocument.busy(
            at: at, tokens: ["169509", "169515", "169520", "169471", "169544"], uids: [4411, 4413, 4405, 4405, 4405])
        change(&document)
        watch.ingest(document.sample(viewer: viewer))
        var board = watch.board(at: Scene.now)
        board.calls = Scene.board.calls
        return board
    }

    @Test(arguments: [(80, 24), (40, 12), (20, 5), (60, 20), (100, 30), (144, 30), (200, 50)])
    func theTableInAllSizes(columns: Int, rows: Int) {
        expectScreen(
            Scene.grid(Scene.state(columns, rows, screen: .stage, board: Self.board)),
            "staging-stage-\(columns)x\(rows)")
    }

    @Test func inASCII() {
        let grid = Scene.grid(Scene.state(screen: .stage, board: Self.board), ascii: true)
        expectScreen(grid, "staging-stage-80x24-ascii")
        #expect(grid.text.utf8.allSatisfy { $0 < 0x80 })
    }

    @Test(arguments: [ScreenID.overview, .buffers, .jobs], [(80, 24), (144, 30), (40, 12)])
    func theOtherScreensBesideIt(screen: ScreenID, size: (Int, Int)) {
        var state = Scene.state(size.0, size.1, screen: screen, board: Self.board)
        if screen != .overview { state.command("filter dan") }
        expectScreen(Scene.grid(state), "staging-\(screen.name)-\(size.0)x\(size.1)")
    }

    @Test func aFailedOneAndOneThatIsStillPlanned() {
        var state = Scene.state(screen: .stage, board: Self.board)
        state.press(.down)
        expectScreen(Scene.grid(state), "staging-stage-planned")
        state.press(.down)
        expectScreen(Scene.grid(state), "staging-stage-failed")
    }

    @Test func othersAreShownWithoutPaths() {
        var state = Scene.state(screen: .stage, board: Self.board(viewer: .user(4405)))
        let text = Scene.grid(state).text
        #expect(!text.contains("genomes") && text.contains("another user's"))
        #expect(text.contains("169509") && text.contains("169471"))
        state.command("filter user=bob")
        #expect(Scene.grid(state).text.contains("out.0042"))
    }

    @Test func anEmptyTableSaysWhatWouldBeThere() {
        let none = Scene.grid(Scene.state(screen: .stage)).text
        #expect(none.contains("no stager answers") && none.contains("0 stagings"))
        let idle = Self.board { $0.snapshot.sessions = [] }
        #expect(Scene.grid(Scene.state(screen: .stage, board: idle)).text.contains("the stager holds no session"))
    }

    @Test func aLostStagerAndQuarantineAreSaid() {
        var board = Self.board { $0.quarantine("169400", failures: 1, error: "busy", since: Scene.now) }
        board.stagingLost = StagingLoss(reason: "gone", since: Scene.now.adding(seconds: -75))
        let text = Scene.grid(Scene.state(100, 30, screen: .stage, board: board)).text
        #expect(text.contains("OLD: stager lost 1m ago") && text.contains("quarantine 1 (10G)"))
    }

    @Test func aBarIsFullOnlyAtTheEnd() {
        for (share, filled) in [(0.0, 0), (0.001, 1), (0.5, 5), (0.999, 9), (1.0, 10)] {
            let bar = Draw.bar(share, cells: 10) { $0.rawValue == Glyph.barUsed.rawValue ? "#" : "." }
            #expect(bar[0].0.count == filled && bar[0].0.count + bar[1].0.count == 10)
        }
    }

    @Test func keysFiltersAndSorting() throws {
        var state = Scene.state(board: Self.board)
        state.press(.character("9"))
        #expect(state.screen == .stage)
        func tokens(_ state: MonitorState) -> [String] {
            var copy = state
            return copy.rows(.stage).map { copy.board.stagingRows[Int($0)].key.token }
        }
        // What is under way first, then what failed.
        #expect(tokens(state) == ["169509", "169515", "169471", "169520", "169544"])
        state.command("filter direction=out")
        #expect(tokens(state) == ["169515", "169471"])
        state.command("filter percent>=90 errors=0")
        #expect(tokens(state) == ["169509"])
        state.command("filter")
        state.command("sort -files")
        #expect(tokens(state).first == "169509")
        state.press(.character("g"))
        #expect(state.press(.enter) == [.source(.detail(JobID(169_509), again: false))])
        guard case .job(JobID(169_509), _, _)? = state.overlay else {
            Issue.record("Enter opens the job")
            return
        }
    }

    @Test func anAlertOfTheStagerOpensItsRow() throws {
        var state = Scene.state(board: Self.board)
        let place = try #require(state.board.alerts.firstIndex { $0.rule == "R19" })
        for _ in 0..<place { state.press(.down) }
        state.press(.enter)
        #expect(state.screen == .stage)
        #expect(state.selected == .staging(StagingReport.Key(token: "169471", generation: 1)))
        // Slurm's word of the same failure is in the same line, and acknowledged with it.
        #expect(state.board.alerts[place].rules == ["R19", "R4"])
        #expect(state.press(.character("a")).contains(.source(.acknowledge(state.board.alerts[place].id))))
        state.press(.escape)
        #expect(state.screen == .overview)
        // The other way on.
        state.press(.character("J"))
        #expect(state.screen == .jobs && state.selected == .job(JobID(169_471)))
        // The same from the list of all.
        state.press(.escape)
        state.press(.character("A"))
        for _ in 0..<place { state.press(.down) }
        state.press(.character("J"))
        #expect(state.overlay == nil && state.screen == .jobs && state.selected == .job(JobID(169_471)))
        state.press(.escape)
        state.press(.character("A"))
        for _ in 0..<place { state.press(.down) }
        state.press(.enter)
        #expect(state.overlay == nil && state.screen == .stage)
    }

    @Test func theTableAsCSV() {
        let context = TableContext(board: Self.board, zone: .fixed())
        var query = TableQuery(screen: .stage)
        query.quick = ["user": "dan"]
        let columns = ["token", "user", "direction", "progress", "bytes", "files", "phase", "slurm"]
        #expect(
            Monitor.csv(.stage, rows: Table.order(query, context), columns: columns, context)
                == "token,user,direction,progress,bytes,files,phase,slurm\r\n"
                + "169509,dan,in,90,2802466160640,3100,staging-in,staging-in\r\n")
        #expect(
            Monitor.csv(.buffers, rows: Table.order(query.on(.buffers), context), columns: ["id", "progress"], context)
                == "id,progress\r\n169502_7,90\r\n169550,\r\n169551,\r\n")
    }

    /// All tabs are seen from 40 cells on, and from 78 on the counts behind them.
    @Test(arguments: [40, 45, 46, 60, 77, 78, 80, 89, 90, 120])
    func allTabsFit(columns: Int) {
        for screen in ScreenID.allCases {
            let state = Scene.state(columns, 24, screen: screen, board: Self.board)
            let row = Scene.grid(state).text.split(separator: "\n", omittingEmptySubsequences: false)[1]
            let digits = row.prefix(columns >= 78 ? columns - 7 : columns).filter(\.isNumber)
            #expect(digits.hasPrefix("123456789"), "\(columns): \(row)")
            if columns >= 78 { #expect(row.contains("~"), "\(columns): \(row)") }
        }
    }
}

extension TableQuery {
    /// The same on another screen.
    fileprivate func on(_ screen: ScreenID) -> TableQuery {
        var query = TableQuery(screen: screen)
        query.quick = quick
        query.sort = "id"
        query.descending = false
        return query
    }
}
