import BurstModel
import BurstScreen
import BurstTestSupport
import Testing

/// Every screen as its user sees it. A changed one is looked at, then recorded anew with RECORD=1.
struct GoldenScreenTests {
    @Test(arguments: ScreenID.allCases)
    func everyScreenAtItsBaseline(screen: ScreenID) {
        expectScreen(Scene.grid(Scene.state(screen: screen)), "\(screen.name)-80x24")
    }

    @Test(arguments: ScreenID.allCases)
    func everyScreenInASCII(screen: ScreenID) {
        let grid = Scene.grid(Scene.state(screen: screen), ascii: true)
        expectScreen(grid, "\(screen.name)-80x24-ascii")
        #expect(grid.text.utf8.allSatisfy { $0 < 0x80 })
    }

    @Test(arguments: [(40, 12), (20, 5), (160, 45), (200, 50), (120, 30), (60, 20), (20, 2)])
    func theOverviewInOtherSizes(columns: Int, rows: Int) {
        expectScreen(Scene.grid(Scene.state(columns, rows)), "overview-\(columns)x\(rows)")
    }

    @Test(arguments: [ScreenID.pools, .buffers, .users, .jobs, .events], [(40, 12), (20, 5), (144, 30), (60, 20)])
    func tablesInOtherSizes(screen: ScreenID, size: (Int, Int)) {
        expectScreen(
            Scene.grid(Scene.state(size.0, size.1, screen: screen)), "\(screen.name)-\(size.0)x\(size.1)")
    }

    // MARK: Health

    @Test func anOldBoardIsShownAsOld() {
        expectScreen(Scene.grid(Scene.state(board: Scene.stale())), "stale-overview")
        expectScreen(Scene.grid(Scene.state(screen: .buffers, board: Scene.stale())), "stale-buffers")
        expectScreen(Scene.grid(Scene.state(40, 10, board: Scene.stale())), "stale-40x10")
        expectScreen(Scene.grid(Scene.state(20, 5, board: Scene.stale())), "stale-20x5")
    }

    @Test func nothingKnownYet() {
        expectScreen(Scene.grid(Scene.state(board: Scene.connecting)), "connecting")
        expectScreen(Scene.grid(Scene.state(screen: .buffers, board: Scene.connecting)), "connecting-buffers")
        expectScreen(Scene.grid(Scene.state(20, 5, board: Scene.connecting)), "connecting-20x5")
        expectScreen(Scene.grid(Scene.state(board: Scene.neverAnswered)), "never-answered")
    }

    @Test func noPluginIsConfigured() {
        expectScreen(Scene.grid(Scene.state(board: Scene.noPlugin)), "no-plugin")
        expectScreen(Scene.grid(Scene.state(screen: .buffers, board: Scene.noPlugin)), "no-plugin-buffers")
    }

    @Test(arguments: [ScreenID.overview, .pools, .buffers, .users, .jobs, .status, .events])
    func aClusterWithNothingInUse(screen: ScreenID) {
        expectScreen(Scene.grid(Scene.state(screen: screen, board: Scene.empty)), "empty-\(screen.name)")
    }

    @Test func pausedWhileSamplesArrive() {
        var state = Scene.state(screen: .buffers)
        state.press(.character("z"))
        for _ in 0..<3 { state.take { $0.board.burst!.at = $0.board.burst!.at.adding(seconds: 10) } }
        _ = Monitor.tick(&state, at: Scene.now.adding(seconds: 60))
        expectScreen(Scene.grid(state), "paused")
    }

    @Test func replayAndReadOnly() {
        var board = Scene.board
        board.source.kind = .replay
        var state = Scene.state(screen: .buffers, board: board, replay: true)
        state.take {
            $0.replay = ReplayPosition(
                time: Scene.now, first: Scene.now.adding(seconds: -7200), last: Scene.now.adding(seconds: 3600),
                index: 720, count: 1080, playing: true, speed: 10)
        }
        expectScreen(Scene.grid(state), "replay")
        expectScreen(Scene.grid(Scene.state(screen: .buffers, readOnly: true)), "read-only")
    }

    @Test func strangeNamesStayInTheirColumns() {
        for screen in [ScreenID.overview, .buffers, .users, .jobs, .pools] {
            let grid = Scene.grid(Scene.state(screen: screen, board: Scene.strangeNames))
            expectScreen(grid, "names-\(screen.name)")
            #expect(!grid.text.unicodeScalars.contains { $0.value < 0x20 && $0 != "\n" })
        }
    }

    // MARK: Over the screen

    /// The popup on a job, with the answer of the call that verifies it.
    static func popup(_ id: Int, _ detail: String?, screen: ScreenID = .jobs) -> MonitorState {
        var state = Scene.state(screen: screen)
        state.command("cancel \(id)")
        if let detail {
            let sample = Scene.sample(
                .job(JobID(UInt32(id))), detail, at: Scene.now, exit: detail.isEmpty ? 1 : 0,
                errors: detail.isEmpty ? "slurm_load_jobs error: Invalid job id specified" : "")
            guard case .job(let answer) = sample.answer else { return state }
            state.take { $0.details[JobID(UInt32(id))] = Sampled(answer, at: Scene.now, durationMilliseconds: 42) }
        }
        return state
    }

    @Test func cancelPopups() {
        expectScreen(Scene.grid(Self.popup(169_544, nil)), "cancel-unverified")
        let running = Scene.jobText(
            169_544, name: "cfd_run13", user: "bob", state: "RUNNING", reason: "None", bufferState: "running")
        var state = Self.popup(169_544, running)
        expectScreen(Scene.grid(state), "cancel-running")
        state.type("169544")
        state.press(.tab, .tab)
        expectScreen(Scene.grid(state), "cancel-running-hurry")
        expectScreen(Scene.grid(Self.popup(169_471, Scene.jobText)), "cancel-stage-out-failed")
        expectScreen(Scene.grid(Self.popup(169_460, "")), "cancel-unknown-job")
        state = Self.popup(169_471, Scene.jobText)
        state.take { $0.board = Scene.stale() }
        expectScreen(Scene.grid(state), "cancel-locked")
        state = Self.popup(169_471, Scene.jobText)
        state.size = Size(columns: 40, rows: 12)
        expectScreen(Scene.grid(state), "cancel-40x12")
        expectScreen(Scene.grid(state, ascii: true), "cancel-40x12-ascii")
    }

    @Test func cancelOfSeveralJobs() {
        var state = Scene.state(screen: .jobs)
        for _ in 0..<4 { state.press(.character(" ")) }
        state.press(.character("c"))
        state.take { $0.board.jobs?.at = Scene.now.adding(seconds: 1) }
        expectScreen(Scene.grid(state), "cancel-several")
    }

    @Test func aPersistentBufferCannotBeCancelled() {
        var state = Scene.state(screen: .buffers)
        state.command("filter id=alpha")
        state.press(.character("c"))
        expectScreen(Scene.grid(state), "cancel-persistent")
    }

    @Test func helpPickListsAndAlerts() {
        var state = Scene.state(screen: .buffers)
        state.press(.character("?"))
        expectScreen(Scene.grid(state), "help")
        state.press(.pageDown)
        expectScreen(Scene.grid(state), "help-2")
        state.press(.pageDown, .pageDown)
        expectScreen(Scene.grid(state), "help-4")
        state = Scene.state(screen: .buffers)
        state.press(.character("S"), .down)
        expectScreen(Scene.grid(state), "pick-state")
        state = Scene.state(screen: .buffers)
        state.press(.character("C"))
        expectScreen(Scene.grid(state), "pick-columns")
        state = Scene.state(screen: .buffers)
        state.press(.character("t"))
        expectScreen(Scene.grid(state), "pick-theme")
        state = Scene.state(40, 12, screen: .buffers)
        state.press(.character("s"))
        expectScreen(Scene.grid(state), "pick-sort-40x12")
        state = Scene.state()
        state.press(.character("A"), .down)
        expectScreen(Scene.grid(state), "alerts")
    }

    @Test func jobDetails() {
        var state = Scene.state(screen: .jobs)
        state.command("job 169471")
        expectScreen(Scene.grid(state), "job-asking")
        let sample = Scene.sample(.job(JobID(169_471)), Scene.jobText, at: Scene.now)
        guard case .job(let answer) = sample.answer else { return }
        state.take { $0.details[JobID(169_471)] = Sampled(answer, at: Scene.now, durationMilliseconds: 42) }
        expectScreen(Scene.grid(state), "job")
        state.press(.character("v"))
        expectScreen(Scene.grid(state), "job-raw")
        state = Scene.state(screen: .buffers)
        state.press(.character("v"))
        expectScreen(Scene.grid(state), "buffer-raw")
        state = Scene.state()
        state.press(.character("v"))
        expectScreen(Scene.grid(state), "burst-raw")
    }

    @Test func linesBeingTyped() {
        var state = Scene.state(screen: .buffers)
        state.press(.character("\\"))
        state.type("size>lots")
        expectScreen(Scene.grid(state), "prompt-filter-error")
        state = Scene.state(screen: .buffers)
        state.press(.character("/"))
        state.type("erin")
        expectScreen(Scene.grid(state), "prompt-search")
        state = Scene.state(screen: .buffers)
        state.type(":s")
        state.press(.tab)
        expectScreen(Scene.grid(state), "prompt-command")
        state = Scene.state(screen: .buffers)
        state.command("filter pool=pool1 state!=running")
        expectScreen(Scene.grid(state), "filtered-buffers")
        state = Scene.state(screen: .buffers)
        state.command("nonsense")
        expectScreen(Scene.grid(state), "command-error")
    }

    @Test func statusWithALeftOverSession() {
        let sessions = """
             sess state      token creator owner             created expiration nodes
              832 CA---     169488  tester 12345 2015-09-08T16:20:36      never    20
              833 CA---     169471  tester 12345 2015-09-08T16:21:36      never     1
              834 D----     169460  tester 12345 2015-09-08T16:21:36      never     1
              903 D---- 1875700000  tester 12345 2015-09-08T17:26:05      never     0

            """
        var state = Scene.state(screen: .status)
        state.take {
            $0.status = StatusOutcome(
                request: StatusRequest(word: "dwstat", arguments: ["sessions"]),
                result: CommandResult(end: .exit(0), output: Array(sessions.utf8)), at: Scene.now.adding(seconds: -73),
                durationMilliseconds: 420)
        }
        expectScreen(Scene.grid(state), "status-sessions")
        state.take { $0.statusRunningSince = Scene.now.adding(seconds: -12) }
        state.press(.character("O"))
        expectScreen(Scene.grid(state), "status-asking")
    }
}
