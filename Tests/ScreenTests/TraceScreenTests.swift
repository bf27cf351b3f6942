import BurstModel
import BurstScreen
import BurstTestSupport
import Testing

/// What a source tells that runs the script itself; a source that cannot tell shows nothing of it.
struct TraceScreenTests {
    private static let staging = JobID(169_509)

    private static var calls: [HookRun] {
        func call(
            _ number: UInt64, _ function: String, _ seconds: Int, _ outcome: String?, _ microseconds: Int64?,
            _ arguments: [String] = ["169509", "/var/lib/burst/hash.9/job.169509/script", "4411", "4400"]
        ) -> HookRun {
            var call = HookRun(
                number: number, function: function, job: function == "slurm_bb_pools" ? nil : staging,
                arguments: function == "slurm_bb_pools" ? [] : arguments,
                at: Scene.now.adding(milliseconds: Int64(-seconds) * 1000 + 123))
            call.outcome = outcome
            call.durationMicroseconds = microseconds
            return call
        }
        var failed = call(5, "slurm_bb_data_in", 61, "failure", 2_410_000)
        failed.status = -1
        failed.message = "rsync: connection\nreset by peer \u{1b}[31m(104)"
        failed.notes = ["info: lua: 12 files to copy", "rsync error: 12"]
        return [
            call(3, "slurm_bb_pools", 75, "success", 850),
            call(4, "slurm_bb_setup", 70, "success", 12_345, ["169509", "4411", "4400", "pool1", "3298534883328"]),
            failed, call(6, "slurm_bb_job_teardown", 30, "timeout", nil), call(7, "slurm_bb_data_in", 9, nil, nil),
        ]
    }

    private static func state(_ columns: Int, _ rows: Int, screen: ScreenID, progress: Bool = true) -> MonitorState {
        var board = Scene.board
        board.source.kind = .burstd
        var work = StageWork()
        work.function = "slurm_bb_data_in"
        work.functionSince = Scene.now.adding(seconds: -9)
        if progress {
            var done = StageProgress()
            (done.filesDone, done.filesTotal) = (3, 12)
            (done.bytesDone, done.bytesTotal) = (3 << 30, 12 << 30)
            (done.bytesPerSecond, done.secondsLeft) = (210 * 1_048_576, 43.2)
            work.progress = done
        }
        board.work = [staging: work]
        var state = Scene.state(columns, rows, screen: screen, board: board)
        state.take { $0.calls = calls }
        return state
    }

    @Test(arguments: [(80, 24), (144, 30)])
    func theCallsAreListedOnTheStatusScreen(columns: Int, rows: Int) {
        expectScreen(
            Scene.grid(Self.state(columns, rows, screen: .status)), "trace-status-\(columns)x\(rows)")
    }

    @Test func aJobShowsItsCallsAndWhatIsBeingDoneForIt() {
        var state = Self.state(120, 40, screen: .jobs)
        state.command("job 169509")
        expectScreen(Scene.grid(state), "trace-job")
        state = Self.state(120, 40, screen: .jobs, progress: false)
        state.command("job 169509")
        let text = Scene.grid(state).text
        #expect(text.contains("now in slurm_bb_data_in for 9s") && !text.contains("progress "))
    }

    @Test func withoutSuchASourceNothingIsSaidOfIt() {
        var state = Scene.state(144, 30, screen: .status)
        #expect(!Scene.grid(state).text.contains("trace"))
        state.command("job 169509")
        #expect(!Scene.grid(state).text.contains("calls for it") && !Scene.grid(state).text.contains("now in"))
    }

    @Test func progressSaysWhatIsKnownOfIt() {
        var progress = StageProgress()
        #expect(progress.text == "" && progress.share == nil)
        progress.filesDone = 7
        #expect(progress.text == "7 files" && progress.share == nil)
        progress.filesTotal = 14
        #expect(progress.text == "7 of 14 files" && progress.share == 0.5)
        progress.bytesDone = 5 << 30
        progress.bytesTotal = 4 << 30
        progress.bytesPerSecond = .infinity
        progress.secondsLeft = .nan
        #expect(progress.share == 1 && !progress.text.contains("/s") && !progress.text.contains("left"))
    }
}
