import BurstModel
import BurstScreen
import BurstTestSupport
import Testing

/// Keys, sizes and boards by chance; a failure names its seed.
struct ChanceTests {
    /// SplitMix64: the same seed, the same run.
    struct Random: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var mixed = state
            mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
            mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
            return mixed ^ mixed >> 31
        }
    }

    static let keys: [Key] =
        (0x20..<0x7f).map { .character(Character(Unicode.Scalar(UInt8($0)))) }
        + "abcdefghijklmnopqrstuvwxyz".map { .control($0) }
        + (1...12).map { .function($0) }
        + [
            .enter, .enter, .enter, .escape, .tab, .tab, .tab, .backTab, .backspace, .delete, .up, .down, .left, .right,
            .pageUp, .pageDown, .home, .end, .focus(true), .unknown, .character("é"), .character("語"),
        ]

    /// A key, oftener one that leads to a cancel.
    private func key(_ random: inout Random, _ state: MonitorState) -> Key {
        switch Int.random(in: 0..<10, using: &random) {
        case 0: return .character("c")
        case 1: return [Key.tab, .enter].randomElement(using: &random)!
        case 2:
            // Digits of the word asked for, or of another target.
            guard case .cancel(let dialog)? = state.overlay,
                let digit = dialog.password.dropFirst(
                    dialog.typed.text.count
                ).first
            else { return .character(" ") }
            return .character(digit)
        case 3:
            return .mouse(
                Key.Mouse(
                    [.press, .doubleClick, .wheelUp, .wheelDown].randomElement(using: &random)!,
                    column: Int.random(in: -2..<220, using: &random), row: Int.random(in: -2..<60, using: &random)))
        default: return Self.keys.randomElement(using: &random)!
        }
    }

    static let boards: [Board] = [
        Scene.board, Scene.board, Scene.board, Scene.board, Scene.stale(), Scene.empty, Scene.strangeNames,
        Scene.connecting, Scene.noPlugin, Scene.neverAnswered,
    ]

    /// New data: rows in another order, other states, some gone; details of the jobs asked for, or of none.
    private func change(_ data: inout Delivery, asked: JobID?, at now: Timestamp, _ random: inout Random) {
        data.sequence += 1
        data.board = Self.boards.randomElement(using: &random)!
        data.board.now = now
        data.board.jobRows.shuffle(using: &random)
        data.board.bufferRows.shuffle(using: &random)
        if Bool.random(using: &random) {
            data.board.bufferRows.removeLast(min(data.board.bufferRows.count, Int.random(in: 0..<6, using: &random)))
        }
        if Bool.random(using: &random) { data.board.alerts.shuffle(using: &random) }
        data.board.jobs?.at = now.adding(seconds: Int.random(in: -3...3, using: &random))
        if let asked, Int.random(in: 0..<3, using: &random) > 0 {
            var job = Job(id: asked, name: "x", user: "bob", state: .running)
            job.bufferState = Bool.random(using: &random) ? .running : .stagingOut
            let known = Int.random(in: 0..<5, using: &random) > 0
            data.details[asked] = Sampled(
                known ? JobDetail(job: job, fields: [Field("JobId", "\(asked)")], text: "JobId=\(asked)") : nil,
                at: now.adding(seconds: Int.random(in: -2...1, using: &random)), durationMilliseconds: 1)
        }
    }

    /// A19: what is cancelled was in the popup that was confirmed, and every lock holds.
    @Test(arguments: 0..<10)
    func noCancelOfWhatWasNotConfirmed(part: Int) {
        var ordered = 0
        for seed in (part * 1000)..<(part * 1000 + 1000) {
            var random = Random(state: UInt64(seed))
            let readOnly = seed % 10 == 3
            var state = Scene.state(
                screen: [.buffers, .jobs, .overview].randomElement(using: &random)!, readOnly: readOnly)
            if seed % 10 == 7 { state.live.board.source.kind = .replay }
            let isReplay = seed % 10 == 7
            var now = Scene.now
            var asked: JobID?
            for _ in 0..<60 {
                now = now.adding(milliseconds: 100)
                if Int.random(in: 0..<4, using: &random) == 0 {
                    var data = state.live
                    change(&data, asked: asked, at: now, &random)
                    if isReplay { data.board.source.kind = .replay }
                    Monitor.take(data, &state, at: now)
                }
                let before = state
                let requests = Monitor.press(key(&random, state), &state, at: now)
                for case .source(let request) in requests {
                    if case .detail(let id, again: true) = request { asked = id }
                    guard case .cancel(let orders) = request else { continue }
                    ordered += 1
                    guard case .cancel(let dialog)? = before.overlay else {
                        Issue.record("seed \(seed): a cancel without a popup")
                        return
                    }
                    let isRight =
                        orders.map(\.jobID) == dialog.jobs && !readOnly && !isReplay && before.cancelLock == nil
                        && before.live.board.health == .live
                        && orders.allSatisfy { !$0.hurry || dialog.typed.text == dialog.password }
                        && orders.allSatisfy { $0.hurry == (dialog.focus == .hurry) }
                        && dialog.focus != .keep && orders.count <= CancelDialog.jobsMax
                        && Monitor.isVerified(dialog, before.live)
                    #expect(isRight, "seed \(seed): \(orders) of \(dialog)")
                    if !isRight { return }
                }
            }
        }
        #expect(ordered > 20, "the runs have to get as far as a cancel to say anything")
    }

    @Test(arguments: 0..<4)
    func noKeyOnNoBoardInNoSizeStopsTheProgram(part: Int) {
        for seed in (part * 40)..<(part * 40 + 40) {
            var random = Random(state: UInt64(seed) &+ 1 << 40)
            var state = Scene.state(screen: ScreenID.allCases.randomElement(using: &random)!)
            var now = Scene.now
            for _ in 0..<60 {
                now = now.adding(milliseconds: 700)
                if Int.random(in: 0..<6, using: &random) == 0 {
                    var data = state.live
                    change(&data, asked: JobID(169_471), at: now, &random)
                    Monitor.take(data, &state, at: now)
                }
                if Int.random(in: 0..<8, using: &random) == 0 {
                    let size = Size(
                        columns: Int.random(in: 0..<160, using: &random), rows: Int.random(in: 0..<50, using: &random))
                    Monitor.resize(size, &state)
                }
                _ = Monitor.press(key(&random, state), &state, at: now)
                _ = Monitor.tick(&state, at: now)
                let grid = Draw.grid(state, theme: .builtInDefault, ascii: Bool.random(using: &random), now: now)
                #expect(grid.size == state.size)
                if let cursor = grid.cursor {
                    #expect(cursor.column >= 0 && cursor.column <= max(0, grid.size.columns - 1), "seed \(seed)")
                }
            }
        }
    }

    /// A10: every screen and everything that lies over one.
    @Test(arguments: ScreenID.allCases)
    func everySizeIsDrawn(screen: ScreenID) {
        let ways: [[Key]] = [
            [], [.character("?")], [.character("s")], [.character("C")], [.character("S")], [.character("A")],
            [.character("c")], [.character("v")], [.enter], [.character("/"), .character("x")], [.character(":")],
            [.character("\\"), .character("(")], [.character("d")], [.character("O")],
        ]
        for way in ways {
            var state = Scene.state(screen: screen)
            for key in way { state.press(key) }
            // All of them for what takes the whole screen; a few that matter for the rest.
            let all = way.isEmpty
            for rows in all ? Array(0...12) : [0, 1, 2, 3, 5, 12] {
                for columns in all ? Array(0...30) : [0, 1, 2, 5, 13, 30] {
                    Monitor.resize(Size(columns: columns, rows: rows), &state)
                    #expect(Scene.grid(state).size == state.size)
                }
            }
            for size in [Size(columns: 500, rows: 3), Size(columns: 41, rows: 200), Size(columns: 300, rows: 100)] {
                Monitor.resize(size, &state)
                #expect(Scene.grid(state).size == state.size)
            }
        }
    }
}
