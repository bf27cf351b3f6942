import BurstModel
import BurstScreen
import BurstTestSupport
import Testing

/// How a cancel is decided (monitor.md §3.6).
struct CancelTests {
    /// The popup on a job that is verified.
    private func popup(_ id: Int, state jobState: String = "RUNNING", bufferState: String = "running") -> MonitorState {
        GoldenScreenTests.popup(
            id,
            Scene.jobText(
                id, name: "x", user: "bob", state: jobState, reason: "None", bufferState: bufferState))
    }

    private func orders(_ requests: [MonitorRequest]) -> [CancelOrder] {
        requests.flatMap { request -> [CancelOrder] in
            if case .source(.cancel(let orders)) = request { orders } else { [] }
        }
    }

    private func dialog(_ state: MonitorState) -> CancelDialog? {
        if case .cancel(let dialog)? = state.overlay { dialog } else { nil }
    }

    @Test func itOpensOnKeepAndAsksAboutTheJob() {
        var state = Scene.state(screen: .jobs)
        #expect(state.press(.character("c")) == [.source(.detail(JobID(169_471), again: true))])
        #expect(dialog(state)?.focus == .keep)
        #expect(state.press(.enter).isEmpty)
        #expect(state.overlay == nil)
    }

    @Test func nothingIsSentBeforeTheTargetIsVerified() {
        var state = Scene.state(screen: .jobs)
        state.press(.character("c"), .character("c"))
        #expect(orders(state.press(.enter)).isEmpty)
        #expect(dialog(state)?.notice == "not verified yet")
        // An answer from before the popup opened says nothing about now.
        var old = popup(169_544)
        old.take { $0.details[JobID(169_544)]!.at = Scene.now.adding(seconds: -1) }
        old.press(.character("c"))
        #expect(orders(old.press(.enter)).isEmpty)
    }

    @Test func aTargetThatCannotBeVerifiedSaysWhy() {
        var state = Scene.state(screen: .jobs)
        state.press(.character("c"))
        state.take { $0.detailFailures[JobID(169_471)] = "slurm_load_jobs error: Unable to contact\nslurm controller" }
        let text = Draw.grid(state, theme: .builtInDefault, ascii: true, now: Scene.now).text
        #expect(text.contains("could not be verified: slurm_load_jobs error:"), "\(text)")
        #expect(!text.contains("asking scontrol"))
        #expect(orders(state.press(.character("c"), .enter)).isEmpty)
        #expect(dialog(state)?.notice == "not verified: close and try again")
        state.press(.escape, .enter)
        let page = Draw.grid(state, theme: .builtInDefault, ascii: true, now: Scene.now).text
        #expect(page.contains("could not be verified"), "\(page)")
    }

    @Test func aPlainCancelTakesTwoKeysMore() {
        var state = popup(169_544)
        state.press(.character("c"))
        #expect(orders(state.press(.enter)) == [CancelOrder(jobID: JobID(169_544), hurry: false)])
        #expect(state.overlay == nil)
    }

    @Test func hurryNeedsTheTypedID() {
        var state = popup(169_544)
        state.press(.tab, .tab)
        #expect(dialog(state)?.focus == .keep, "Tab does not reach a locked button")
        state.type("169545")
        state.press(.tab, .tab)
        #expect(dialog(state)?.focus == .keep)
        state.press(.backspace)
        state.type("4")
        state.press(.tab, .tab)
        #expect(dialog(state)?.focus == .hurry)
        #expect(orders(state.press(.enter)) == [CancelOrder(jobID: JobID(169_544), hurry: true)])
    }

    @Test func lettersDoNotUnlockAndChangedDigitsLock() {
        var state = popup(169_544)
        state.type("x169544")
        state.press(.tab, .tab)
        #expect(dialog(state)?.focus == .hurry)
        state.press(.backspace)
        #expect(dialog(state)?.focus == .keep)
        state.press(.tab, .tab, .enter)
        #expect(orders(state.press(.enter)).isEmpty)
    }

    @Test func aChangedTargetSendsTheFocusBack() {
        var state = popup(169_544)
        state.type("169544")
        state.press(.tab, .tab)
        #expect(dialog(state)?.focus == .hurry)
        let changed = Scene.sample(
            .job(JobID(169_544)),
            Scene.jobText(
                169_544, name: "x", user: "bob", state: "STAGE_OUT", reason: "None", bufferState: "staging-out"),
            at: Scene.now)
        guard case .job(let answer) = changed.answer else { return }
        state.take { $0.details[JobID(169_544)]!.value = answer }
        #expect(dialog(state)?.focus == .keep)
        #expect(dialog(state)?.typed.text == "")
        #expect(Scene.grid(state).text.contains("169544 changed: RUNNING running -> STAGE_OUT staging-out"))
    }

    @Test func severalJobsAreCancelledByTheirNumber() {
        var state = Scene.state(screen: .jobs)
        for _ in 0..<3 { state.press(.character(" ")) }
        #expect(state.press(.character("c")) == [.source(.refresh)])
        state.press(.character("c"))
        #expect(orders(state.press(.enter)).isEmpty, "the list is older than the popup")
        state.take { $0.board.jobs!.at = Scene.now.adding(seconds: 1) }
        state.type("3")
        state.press(.tab)
        let sent = orders(state.press(.enter))
        #expect(sent.count == 3)
        #expect(sent.allSatisfy { $0.hurry })
        #expect(state.tags.isEmpty)
    }

    @Test func atMostFiftyAtOnce() {
        var state = Scene.state(screen: .jobs)
        state.tags = Set((1...51).map { .job(JobID($0)) })
        state.press(.character("c"))
        #expect(state.overlay == nil)
        #expect(state.message.contains("at most 50"))
        state.tags = Set((1...50).map { .job(JobID($0)) })
        state.press(.character("c"))
        #expect(dialog(state)?.jobs.count == 50)
        let text = Scene.grid(state).text
        for id in 1...50 { #expect(text.contains(" \(id) ") || text.contains(" \(id)\n")) }
    }

    @Test func itIsLockedWhereItCouldHurt() {
        var stale = Scene.state(screen: .jobs, board: Scene.stale())
        #expect(stale.press(.character("c")).isEmpty)
        #expect(stale.overlay == nil)
        #expect(stale.message.contains("locked"))
        var readOnly = Scene.state(screen: .jobs, readOnly: true)
        readOnly.press(.character("c"))
        #expect(readOnly.overlay == nil)
        readOnly.command("cancel 169544")
        #expect(readOnly.overlay == nil)
        #expect(readOnly.message.contains("read-only"))
        var board = Scene.board
        board.source.kind = .replay
        var replay = Scene.state(screen: .jobs, board: board)
        replay.press(.character("c"))
        #expect(replay.overlay == nil)
    }

    @Test func losingTheControllerLocksAnOpenPopup() {
        var state = popup(169_544)
        state.type("169544")
        state.press(.tab, .tab)
        state.take { $0.board.health = Scene.stale().health }
        #expect(orders(state.press(.enter)).isEmpty)
        #expect(Scene.grid(state).text.contains("LOCKED: the controller does not answer"))
    }

    @Test func anArrayTaskIsCancelledByItsOwnID() {
        var state = Scene.state(screen: .buffers)
        state.command("filter id=169502_7")
        #expect(state.press(.character("c")) == [.source(.detail(JobID(169_509), again: true))])
        #expect(dialog(state)?.password == "169509")
    }

    // MARK: What it does, in words: each row of the table in monitor.md §3.6

    struct Row: CustomTestStringConvertible {
        var state: String
        var stage: BufferState?
        var reason = "None"
        var held = false
        var plain: Bool
        var hurry: Bool
        var destroys: Bool
        var says: String

        var testDescription: String { "\(state) \(stage?.name ?? "-") \(reason)" }
    }

    static let table: [Row] = [
        Row(state: "PENDING", stage: .pending, plain: true, hurry: true, destroys: false, says: "no hook runs"),
        Row(state: "PENDING", stage: .stagingIn, plain: true, hurry: true, destroys: false, says: "no stage-out"),
        Row(state: "PENDING", stage: .stagedIn, plain: true, hurry: true, destroys: false, says: "no stage-out"),
        Row(state: "CONFIGURING", stage: .preRun, plain: true, hurry: true, destroys: false, says: "no stage-out"),
        Row(
            state: "PENDING", stage: .preRun, reason: "JobHeldAdmin", held: true, plain: true, hurry: true,
            destroys: false, says: "no stage-out"),
        Row(state: "PENDING", stage: .complete, plain: true, hurry: true, destroys: false, says: "queued again"),
        Row(state: "RUNNING", stage: .running, plain: true, hurry: true, destroys: true, says: "NO STAGE-OUT"),
        Row(state: "SUSPENDED", stage: .suspended, plain: true, hurry: true, destroys: true, says: "NO STAGE-OUT"),
        Row(state: "STAGE_OUT", stage: .postRun, plain: false, hurry: true, destroys: true, says: "no effect"),
        Row(
            state: "STAGE_OUT", stage: .stagingOut, reason: "burst_buffer/lua: Stage-out in progress", plain: false,
            hurry: true, destroys: true, says: "being staged out"),
        Row(
            state: "STAGE_OUT", stage: .stagingOut, reason: "burst_buffer/lua:_Stage-out_in_progress", plain: false,
            hurry: true, destroys: true, says: "being staged out"),
        Row(
            state: "STAGE_OUT", stage: .stagingOut, reason: "burst_buffer/datawarp: dws_data_out: exit status 23",
            plain: false, hurry: true, destroys: true, says: "FAILED"),
        Row(
            state: "PENDING", stage: .stagingIn, reason: "burst_buffer/lua: slurm_bb_data_in: bad", held: true,
            plain: true, hurry: true, destroys: false, says: "FAILED"),
        Row(
            state: "COMPLETED", stage: .teardown, plain: false, hurry: false, destroys: false,
            says: "no further teardown"),
        Row(
            state: "STAGE_OUT", stage: .teardown, reason: "burst_buffer/lua: teardown: busy", plain: false,
            hurry: false, destroys: false, says: "no further teardown"),
        Row(
            state: "CANCELLED", stage: .teardownFail, plain: false, hurry: false, destroys: false,
            says: "no further teardown"),
        Row(state: "COMPLETED", stage: .complete, plain: false, hurry: false, destroys: false, says: "gone"),
        Row(state: "FAILED", stage: nil, plain: false, hurry: false, destroys: false, says: "over"),
        Row(state: "RUNNING", stage: nil, plain: true, hurry: true, destroys: true, says: "LOST"),
    ]

    @Test(arguments: table)
    func theAdviceIsTheTruthForTheState(row: Row) {
        var job = Job(id: JobID(7), state: JobState(row.state), reason: row.reason)
        job.bufferState = row.stage
        job.priority = row.held ? 0 : 10
        let advice = CancelAdvice.advice(for: job)
        #expect(advice.plainActs == row.plain)
        #expect(advice.hurryActs == row.hurry)
        #expect(advice.hurryDestroys == row.destroys)
        let words = [advice.situation, advice.plain, advice.hurry].joined(separator: " | ")
        #expect(words.contains(row.says), "\(words)")
        #expect(advice.plainActs != advice.plain.contains("no effect"), "\(words)")
        #expect(advice.hurryActs != advice.hurry.contains("no effect"), "\(words)")
    }
}
