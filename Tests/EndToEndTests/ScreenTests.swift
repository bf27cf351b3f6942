import BurstScreen
import BurstTestSupport
import Glibc
import Testing

/// burstmon on a terminal: every screen at every size, and every key.
@Suite(.onWorkers, .timeLimit(.minutes(15)))
struct ScreenTests {
    static let sizes = [(80, 24), (40, 12), (20, 5), (200, 50)].map { Size(columns: $0.0, rows: $0.1) }
    static let titles = ["Overview", "Pools", "Buffers", "Users", "Jobs", "Status", "Events", "Config"]

    @Test func theFirstFrameComesBeforeTheFirstAnswer() throws {
        let slurm = try StubCommands()
        slurm.delay("burst", seconds: 600)
        let terminal = try slurm.screen()
        #expect(terminal.wait(for: "CONNECTING"), "\(terminal.emulator.text)")
        #expect(terminal.emulator.contains("Overview"))
        #expect(terminal.wait { _ in slurm.running.count == 1 })
        #expect(terminal.quit() == .exited(0))
        #expect(terminal.isGivenBack)
        #expect(Wait.until { slurm.running.isEmpty })
    }

    @Test(arguments: sizes)
    func everyScreenAtEverySize(size: Size) throws {
        let slurm = try StubCommands()
        let terminal = try slurm.screen(size: size)
        #expect(terminal.waitForData(), "\(terminal.emulator.text)")
        #expect(terminal.wait(for: "nvme"), "\(terminal.emulator.text)")
        for (index, title) in Self.titles.enumerated() {
            terminal.type("\(index + 1)")
            if size.columns >= 78 {
                #expect(terminal.wait(for: "[\(index + 1)]\(title)"), "\(terminal.emulator.text)")
            } else if size.columns >= 40 {
                #expect(terminal.wait(for: "[\(index + 1)]"), "\(terminal.emulator.text)")
            }
            terminal.waitUntilIdle()
            let rows = terminal.emulator.text.split(separator: "\n", omittingEmptySubsequences: true)
            #expect(rows.count >= (size.columns < 40 ? 1 : 2), "\(title): \(terminal.emulator.text)")
        }
        // Down to nothing and back: the same screen, the same row.
        terminal.type("3jjj")
        terminal.waitUntilSettled()
        func body() -> [String] { (1..<size.rows - 1).map { terminal.emulator.line($0) } }
        let before = body()
        for small in [(1, 1), (10, 3), (0, 0), (1, 1)] {
            terminal.resize(to: Size(columns: small.0, rows: small.1))
            terminal.wait(seconds: 0.1) { _ in false }
            #expect(terminal.end == nil)
        }
        terminal.resize(to: size)
        #expect(terminal.wait { _ in body() == before }, "\(before)\n\(terminal.emulator.text)")
        #expect(terminal.quit() == .exited(0))
        #expect(terminal.isGivenBack)
    }

    @Test func searchFilterAndSort() throws {
        let slurm = try StubCommands()
        let terminal = try slurm.screen("--screen", "buffers", size: Size(columns: 120, rows: 60))
        #expect(terminal.waitForData())
        #expect(terminal.wait(for: "169001"), "\(terminal.emulator.text)")
        #expect(terminal.press("/169033", until: "169033"))
        terminal.type("\r")
        #expect(terminal.wait { StubCommands.selected($0).contains("169033") }, "\(terminal.emulator.text)")
        terminal.type("\u{1b}")
        #expect(terminal.press("\\pool=nvme size>1GiB\r", until: "of 40"), "\(terminal.emulator.text)")
        #expect(
            terminal.wait { !StubCommands.rows($0).contains { $0.contains("scratch") } }, "\(terminal.emulator.text)")
        #expect(StubCommands.rows(terminal).count > 3)
        // A filter that is wrong is told and changes nothing.
        terminal.type("\\ nosuch=3\r")
        #expect(terminal.wait(for: "nosuch"), "\(terminal.emulator.text)")
        terminal.type("\u{1b}")
        #expect(terminal.wait { StubCommands.rows($0).count > 20 }, "\(terminal.emulator.text)")

        terminal.type("g:sort -size\r")
        #expect(terminal.wait(for: "sort SIZE"), "\(terminal.emulator.text)")
        let large = StubCommands.rows(terminal)
        #expect(large.first?.contains("800G") ?? false, "\(terminal.emulator.text)")
        terminal.type("I")
        #expect(terminal.wait { StubCommands.rows($0).first?.contains("1.00G") ?? false }, "\(terminal.emulator.text)")
        // The menu, and the letters beside it.
        #expect(terminal.press("s", until: "Sort by"))
        terminal.type("\u{1b}")
        #expect(terminal.wait { !$0.emulator.contains("Sort by") })
        let sorted = { (terminal: PseudoTerminal) in
            terminal.emulator.text.split(separator: "\n").first { $0.contains(" sort ") }.map(String.init) ?? ""
        }
        let order = sorted(terminal)
        terminal.type(">")
        #expect(terminal.wait { sorted($0) != order })
        terminal.type("<")
        #expect(terminal.wait { sorted($0) == order })
        // Quick filters.
        #expect(terminal.press("p", until: "(all)"))
        #expect(terminal.press("j\r", until: "of 40"), "\(terminal.emulator.text)")
        #expect(terminal.quit() == .exited(0))
    }

    @Test func drillingDownAndBack() throws {
        let slurm = try StubCommands()
        slurm.showJob(169_001, state: "RUNNING", stage: "running")
        let terminal = try slurm.screen("--screen", "pools", size: Size(columns: 100, rows: 60))
        #expect(terminal.waitForData())
        #expect(terminal.wait { StubCommands.selected($0).contains("flash") }, "\(terminal.emulator.text)")
        terminal.type("\r")
        #expect(terminal.wait(for: "[3]Buffers"))
        #expect(terminal.wait(for: "of 40"), "\(terminal.emulator.text)")
        #expect(!StubCommands.rows(terminal).contains { $0.contains("scratch") }, "\(terminal.emulator.text)")
        let count = slurm.count("show job")
        #expect(count == 0)
        terminal.type("\r")
        #expect(terminal.wait { _ in slurm.count("show job") == 1 }, "\(terminal.emulator.text)")
        terminal.type("\u{1b}")
        #expect(terminal.wait { !StubCommands.selected($0).isEmpty })
        terminal.type("\u{1b}")
        #expect(terminal.wait(for: "[2]Pools"), "\(terminal.emulator.text)")
        terminal.type("J")
        #expect(terminal.wait(for: "there is no job"), "\(terminal.emulator.text)")
        #expect(terminal.quit() == .exited(0))
    }

    @Test func tagsAndPause() throws {
        let slurm = try StubCommands()
        let terminal = try slurm.screen("--screen", "buffers", "--interval", "5")
        #expect(terminal.waitForData())
        #expect(terminal.press("  m", until: "3 tagged"), "\(terminal.emulator.text)")
        terminal.type("U")
        #expect(terminal.wait { !$0.emulator.contains("tagged") })
        #expect(terminal.press("z", until: "PAUSED"))
        let rows = StubCommands.rows(terminal)
        // Another answer comes while the view stands.
        slurm.show(SyntheticCluster(buffers: 7))
        terminal.type("R")
        #expect(
            terminal.wait { $0.emulator.contains("PAUSED +") && !$0.emulator.contains("PAUSED +0") },
            "\(terminal.emulator.text)")
        #expect(StubCommands.rows(terminal).map { $0.prefix(12) } == rows.map { $0.prefix(12) })
        terminal.type("z")
        #expect(terminal.wait { $0.emulator.contains("LIVE") && StubCommands.rows($0) != rows })
        #expect(terminal.quit() == .exited(0))
    }

    @Test func theHelpListsExactlyTheBoundKeys() throws {
        let slurm = try StubCommands()
        for (arguments, keys) in [([], KeyMap()), (["--read-only"], KeyMap(readOnly: true))] as [([String], KeyMap)] {
            let terminal = try PseudoTerminal(
                [StubCommands.burstmon] + arguments, environment: slurm.environment(),
                size: Size(columns: 120, rows: 200))
            #expect(terminal.waitForData())
            #expect(terminal.press("?", until: "Commands (:)"), "\(terminal.emulator.text)")
            let lines = (0..<200).map { terminal.emulator.line($0).filter { !"│|".contains($0) } }
            for action in Action.allCases {
                let text = action.usual.text
                let names = action.usual.keys.map(\.name).joined(separator: " ")
                let isListed = lines.contains { line in
                    let words = line.split(separator: " ").joined(separator: " ")
                    return words == names + " " + text
                }
                #expect(isListed == (keys.keys[action] != nil), "\(action): \(names) \(text)")
            }
            terminal.type("\u{1b}")
            #expect(terminal.wait { !$0.emulator.contains("Commands (:)") })
            // Everything has a key that is a letter or a sign, without Control, Meta or a function key.
            for (action, bound) in keys.keys where action != .interrupt && action != .halfDown && action != .halfUp {
                let isPlain = bound.contains { key in
                    if case .character = key { true } else { key == .tab || key == .enter || key == .escape }
                }
                #expect(isPlain, "\(action)")
            }
            // An unbound key says so, once.
            let free = try #require(
                "abcdefghijklmnopqrstuvwxyzEHKMVWXY0=".first { keys.action(for: .character($0)) == nil })
            #expect(terminal.press("\(free)", until: "\(free) is not bound"), "\(terminal.emulator.text)")
            #expect(terminal.quit() == .exited(0))
        }
    }

    @Test func readOnlyHasNoCancel() throws {
        let slurm = try StubCommands()
        let terminal = try slurm.screen("--read-only", "--screen", "jobs")
        #expect(terminal.waitForData())
        #expect(terminal.emulator.contains("read-only"))
        #expect(!terminal.emulator.line(23).contains("Cancel"), "\(terminal.emulator.text)")
        terminal.type(" c")
        #expect(terminal.wait(for: "c is not bound"), "\(terminal.emulator.text)")
        terminal.type(":cancel 169001\r")
        #expect(terminal.wait(for: "cancel is locked: read-only"), "\(terminal.emulator.text)")
        #expect(terminal.quit() == .exited(0))
        #expect(slurm.count("scancel") == 0)
    }

    @Test func themesChangeTheColoursAndBackAgain() throws {
        let slurm = try StubCommands()
        let terminal = try slurm.screen("--theme", "default")
        #expect(terminal.waitForData())
        func looks() -> Set<TerminalEmulator.Rendition> {
            Set((0..<24).flatMap { row in (0..<80).map { terminal.emulator[column: $0, row: row].rendition } })
        }
        terminal.waitUntilIdle()
        let usual = looks()
        terminal.type(":theme nord\r")
        #expect(terminal.wait { _ in !looks().isSuperset(of: usual) && !terminal.emulator.contains(":theme") })
        terminal.waitUntilIdle()
        let nord = looks()
        // The list shows each one as the cursor moves, and Esc takes it back.
        #expect(terminal.press("t", until: "solarized-dark"), "\(terminal.emulator.text)")
        terminal.type("k")
        #expect(terminal.wait { _ in !looks().isSuperset(of: nord) })
        terminal.type("\u{1b}")
        #expect(terminal.wait { _ in looks() == nord }, "\(terminal.emulator.text)")
        terminal.type(":theme nosuch\r")
        #expect(terminal.wait(for: "no theme \"nosuch\""))
        #expect(terminal.quit() == .exited(0))
        let result = try slurm.screen("--theme", "nosuch", size: Size(columns: 400, rows: 24))
        #expect(result.waitForEnd() == .exited(2))
        #expect(result.emulator.text.split(separator: "\n").count == 1, "\(result.emulator.text)")
    }

    @Test func aPopupThatIsOpenedAgainAtOnceIsVerified() throws {
        let slurm = try StubCommands()
        slurm.showJob(169_001, state: "RUNNING", stage: "running")
        let terminal = try slurm.screen("--screen", "jobs")
        #expect(terminal.waitForData())
        for _ in 0..<3 {
            #expect(
                terminal.press(":cancel 169001\r", until: "(scontrol show job)"),
                "\(terminal.emulator.text)")
            terminal.type("\u{1b}")
            #expect(terminal.wait { !$0.emulator.contains("Keep (Esc)") })
        }
        #expect(slurm.count("scancel") == 0)
        #expect(terminal.quit() == .exited(0))
    }

    @Test func aStatusIsAskedForOnlyOnDemand() throws {
        let slurm = try StubCommands()
        slurm.answer("status", " sess state      token creator owner\n  832 CA---  783000000  tester 12345\n")
        let terminal = try slurm.screen("--screen", "status")
        #expect(terminal.waitForData())
        #expect(slurm.count("bbstat") == 0)
        #expect(terminal.press(":bbstat sessions\r", until: "783000000"), "\(terminal.emulator.text)")
        #expect(slurm.count("show bbstat sessions") == 1)
        #expect(terminal.quit() == .exited(0))
    }
}
