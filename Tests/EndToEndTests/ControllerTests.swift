import BurstScreen
import BurstTestSupport
import Glibc
import Testing

/// Controllers in every bad mood (A17), the budget of calls (A18), and cancels that nobody meant (A19).
@Suite(.onWorkers, .timeLimit(.minutes(15)))
struct ControllerTests {
    static let usual = SyntheticCluster(buffers: 40)

    enum Mood: String, CaseIterable, Sendable { case fails, hangs, printsGarbage, printsNothing, printsHalf, dies }

    @Test(arguments: Mood.allCases)
    func aBadControllerIsShownAndOutlived(mood: Mood) throws {
        let slurm = try StubCommands()
        slurm.folder.write("timeout_seconds = 4\n", to: "fast.toml")
        let terminal = try slurm.screen("--screen", "buffers", "--interval", "5", "--config", slurm.folder("fast.toml"))
        #expect(terminal.waitForData())
        #expect(terminal.wait(for: "169001"))
        let row = StubCommands.rows(terminal).first { $0.contains("169001") }
        let good = Self.usual.burstText()
        switch mood {
        case .fails: slurm.fail("burst")
        case .hangs: slurm.delay("burst", seconds: 600)
        case .printsGarbage:
            slurm.answer("burst", (0..<4000).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ 11) })
        case .printsNothing: slurm.answer("burst", "")
        case .printsHalf: slurm.answer("burst", good.prefix(good.count / 2 - 17))
        case .dies:
            slurm.answer("burst", good.prefix(600))
            slurm.fail("burst", "slurm_load_burst_buffer_info error: Zero Bytes were transmitted or received\n")
        }
        terminal.type("R")
        let isTold = terminal.wait { terminal in
            switch mood {
            case .printsHalf: terminal.emulator.text.contains("fault") || terminal.emulator.contains("damaged")
            // As where no plugin is configured.
            case .printsNothing: terminal.emulator.contains("NO PLUGIN")
            default: terminal.emulator.contains("STALE")
            }
        }
        if mood == .printsHalf {
            // A part is shown, and the fault is told in the log.
            terminal.type("7")
            #expect(isTold || terminal.wait { $0.emulator.text.contains("NOTE") || $0.emulator.text.contains("ends") })
        } else if mood == .printsNothing {
            #expect(isTold, "\(terminal.emulator.text)")
        } else {
            #expect(isTold, "\(terminal.emulator.text)")
            #expect(terminal.emulator.contains("!! "), "\(terminal.emulator.text)")
            #expect(StubCommands.rows(terminal).contains { $0.contains("169001") }, "\(String(describing: row))")
            terminal.type("c")
            #expect(terminal.wait(for: "cancel is locked"), "\(terminal.emulator.text)")
        }
        // Keys answer all the while, and nothing is left of a call that was given up.
        let isQuick = Wait.once {
            terminal.type("13")
            #expect(terminal.wait(for: "[3]Buffers"))
            terminal.type("2")
            return terminal.wait(for: "[2]Pools", seconds: 2)
        }
        #expect(isQuick)
        if mood == .hangs { #expect(terminal.wait { _ in slurm.running.count <= 1 }) }
        #expect(terminal.end == nil)
        slurm.heal("burst")
        slurm.show(Self.usual)
        terminal.type("3R")
        #expect(
            terminal.wait { $0.emulator.contains("LIVE") && $0.emulator.contains("169001") },
            "\(terminal.emulator.text)")
        #expect(!terminal.emulator.contains("!! "))
        #expect(slurm.mostAtOnce == 1)
        #expect(terminal.quit() == .exited(0))
        #expect(Wait.until { slurm.running.isEmpty })
    }

    /// Calls are counted, with `R` held down, screens cycled and dialogs opened.
    @Test func theBudgetOfCallsIsKeptWhateverIsPressed() throws {
        let slurm = try StubCommands()
        let jobs = (0..<40).map { 169_001 + $0 }
        for job in jobs { slurm.showJob(job, state: "RUNNING", stage: "running") }
        let terminal = try slurm.screen("--interval", "5")
        #expect(terminal.waitForData())
        let begun = PseudoTerminal.now
        let seconds = 40.0
        var presses = 0
        while Double(PseudoTerminal.now - begun) / 1e9 < seconds {
            let keys = [
                "R", "3", "R", "j", "R", "\r", "R", "\u{1b}", "5", "R", "\r", "R", "\u{1b}", "4", "R", "2", "6", "R",
            ]
            terminal.type(keys[presses % keys.count])
            presses += 1
            terminal.wait(seconds: 0.03) { _ in false }
        }
        #expect(terminal.end == nil)
        let passed = Double(PseudoTerminal.now - begun) / 1e9
        let calls = slurm.calls
        print("\(presses) keys in \(passed) s: \(calls.count) calls")
        // Five at once, then one in five seconds; one may be under way at either end.
        #expect(Double(calls.count) <= 5 + 0.2 * (passed + 2) + 1, "\(calls.map(\.line))")
        #expect(calls.count > 5)
        #expect(slurm.mostAtOnce == 1)
        #expect(slurm.count("bbstat") + slurm.count("dwstat") == 0)
        #expect(slurm.count("scancel") == 0)
        // A job's page may be open: q would close only that.
        terminal.type("Q")
        #expect(terminal.waitForEnd() == .exited(0))
    }

    /// Random keys while the rows change their order: whatever is pressed, nothing is cancelled that was not confirmed.
    @Test func nothingIsCancelledThatWasNotConfirmed() throws {
        let slurm = try StubCommands()
        for job in 169_001...169_040 { slurm.showJob(job, state: "RUNNING", stage: "running") }
        let terminal = try slurm.screen("--interval", "5", "--screen", "jobs")
        #expect(terminal.waitForData())
        var random = SplitMix(seed: 20_261_124)
        // Without what ends or stops the program, or opens a line that could.
        let letters = Array("abcdfghijklmnopstuvwxyzABCDFGHIJKLMNOPRSTUVWXY0123456789!/\\<>+-? ").map(String.init)
        let keys = letters + ["c", "c", "\t", "\t", "\u{1b}", "\u{1b}[A", "\u{1b}[B", "\u{7f}", "\r", "\r"]
        var opened = 0
        let begun = PseudoTerminal.now
        var count = 0
        while Double(PseudoTerminal.now - begun) / 1e9 < 15 {
            count += 1
            if count % 50 == 0 { slurm.show(Self.usual, tick: count) }
            let key = keys[Int(random.next() % UInt64(keys.count))]
            if key == "\r" {
                // The one thing that is not done: to press Enter on a button that cancels.
                terminal.waitUntilIdle()
                let isOpen = terminal.emulator.contains("Keep (Esc)")
                if isOpen { opened += 1 }
                if isOpen && !terminal.emulator.contains(">[ Keep (Esc) ]<") { continue }
            }
            terminal.type(key)
        }
        #expect(terminal.end == nil)
        print("\(count) random keys, \(opened) times Enter with the popup open: \(slurm.count("scancel")) cancels")
        #expect(slurm.count("scancel") == 0)
        terminal.signal(SIGTERM)
        #expect(terminal.waitForEnd() == .killed(signal: SIGTERM))
        #expect(terminal.isGivenBack)
    }

    /// The popup is about the id it shows, wherever its row goes meanwhile; `--hurry` needs that id typed.
    @Test func aCancelGoesToTheIdShownAndHurryNeedsItTyped() throws {
        let slurm = try StubCommands()
        for job in 169_001...169_040 { slurm.showJob(job, state: "RUNNING", stage: "running") }
        let terminal = try slurm.screen("--interval", "5", "--screen", "jobs", size: Size(columns: 100, rows: 30))
        #expect(terminal.waitForData())
        #expect(terminal.wait(for: "169002"), "\(terminal.emulator.text)")
        terminal.type("gjj")
        terminal.waitUntilIdle()
        let row = StubCommands.selected(terminal)
        let id = try #require(
            row.split(separator: " ").first { $0.hasPrefix("169") }.map { String($0.prefix(6)) }, "\(row)")
        terminal.type("c")
        #expect(terminal.wait(for: "Keep (Esc)"), "\(terminal.emulator.text)")
        #expect(terminal.wait(for: "(scontrol show job)"), "\(terminal.emulator.text)")
        let shown = try #require(slurm.calls.last { $0.line.contains("show job") }?.line.split(separator: " ").last)
        // Everything moves under it.
        slurm.show(SyntheticCluster(buffers: 40), tick: 300)
        terminal.type("R")
        // Not unlocked by another number.
        terminal.type("123\t\t")
        terminal.waitUntilIdle()
        #expect(!terminal.emulator.contains(">[ Cancel --hurry ]<"), "\(terminal.emulator.text)")
        terminal.type("\u{7f}\u{7f}\u{7f}\(shown)")
        #expect(
            terminal.wait {
                if $0.emulator.contains(">[ Cancel --hurry ]<") { return true }
                $0.type("\t")
                $0.waitUntilIdle()
                return $0.emulator.contains(">[ Cancel --hurry ]<")
            }, "\(terminal.emulator.text)")
        #expect(terminal.emulator.contains("scancel --hurry \(shown)"), "\(terminal.emulator.text)")
        #expect(slurm.count("scancel") == 0)
        terminal.type("\r")
        #expect(terminal.wait { _ in slurm.count("scancel") == 1 })
        #expect(slurm.count("scancel --hurry \(shown)") == 1, "\(slurm.calls.map(\.line))")
        #expect(terminal.wait(for: "scancel --hurry \(shown): accepted"), "\(terminal.emulator.text)")
        _ = id

        // A target that changes while the popup is open sends the focus back to Keep.
        slurm.showJob(169_004, state: "RUNNING", stage: "running")
        terminal.type(":cancel 169004\r")
        #expect(terminal.wait(for: "(scontrol show job)"), "\(terminal.emulator.text)")
        terminal.type("c")
        #expect(terminal.wait(for: ">[ Cancel (c) ]<"), "\(terminal.emulator.text)")
        #expect(slurm.count("scancel") == 1)
        terminal.type("\u{1b}")
        #expect(terminal.wait { !$0.emulator.contains("Keep (Esc)") })
        // Words of a refusal are shown as they came.
        slurm.fail(
            "scancel", "scancel: error: Kill job error on job id 169004: Access/permission denied\n", status: 210)
        terminal.type(":cancel 169004\r")
        #expect(terminal.wait(for: "(scontrol show job)"), "\(terminal.emulator.text)")
        terminal.type("c\r")
        #expect(terminal.wait(for: "exit 210"), "\(terminal.emulator.text)")
        #expect(terminal.emulator.contains("Access/permission denied"), "\(terminal.emulator.text)")
        #expect(terminal.quit() == .exited(0))
        #expect(slurm.count("scancel") == 2)
        #expect(slurm.count("--hurry") == 1)
    }
}

/// Chance that repeats itself (SplitMix64).
struct SplitMix: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}
