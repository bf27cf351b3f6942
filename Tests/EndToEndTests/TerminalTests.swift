import BurstScreen
import BurstTestSupport
import Glibc
import Testing

/// The whole program and its terminal (A11 to A15): given back however it ends, spoken to in its own language.
@Suite(.onWorkers, .timeLimit(.minutes(15)))
struct GivingBackTests {
    enum Way: String, CaseIterable, Sendable {
        case quit, interruptKey, command, term, int, quitSignal, hangUpSignal, kill, crash
    }

    @Test(arguments: Way.allCases)
    func theTerminalIsGivenBackAndNoCallIsLeft(way: Way) throws {
        let slurm = try StubCommands()
        slurm.delay("squeue", seconds: 600)
        let terminal = try slurm.screen()
        #expect(terminal.waitForData())
        #expect(terminal.wait { _ in slurm.running.count == 1 && slurm.calls.last?.line.hasPrefix("squeue") ?? false })
        let program = try #require(Processes.children(of: terminal.pid).first)
        #expect(terminal.emulator.isOnAlternateScreen)
        let expected: PseudoTerminal.End
        switch way {
        case .quit:
            terminal.type("q")
            expected = .exited(0)
        case .interruptKey:
            terminal.type("\u{3}")
            expected = .exited(0)
        case .command:
            terminal.type(":q\r")
            expected = .exited(0)
        case .term:
            terminal.signal(SIGTERM)
            expected = .killed(signal: SIGTERM)
        case .int:
            terminal.signal(SIGINT)
            expected = .killed(signal: SIGINT)
        case .quitSignal:
            terminal.signal(SIGQUIT)
            expected = .killed(signal: SIGQUIT)
        case .hangUpSignal:
            terminal.signal(SIGHUP)
            expected = .killed(signal: SIGHUP)
        case .kill:
            terminal.signal(SIGKILL, to: program)
            expected = .killed(signal: SIGKILL)
        case .crash:
            terminal.signal(SIGSEGV, to: program)
            expected = .killed(signal: SIGSEGV)
        }
        #expect(terminal.waitForEnd() == expected)
        #expect(terminal.isGivenBack, "\(terminal.emulator.modes)")
        #expect(!Processes.isAlive(program))
        // What ends without a chance to act leaves its call to itself: it ends when its own limit comes.
        if way != .kill && way != .crash {
            #expect(Wait.until { slurm.running.isEmpty })
        } else {
            for pid in slurm.running { kill(-pid, SIGKILL) }
        }
    }

    @Test func aHangUpEndsItAndItsCallWithinASecond() throws {
        let isSoon = try Wait.once { () throws -> Bool in
            let slurm = try StubCommands()
            slurm.delay("squeue", seconds: 600)
            let terminal = try slurm.screen()
            #expect(terminal.waitForData())
            #expect(terminal.wait { _ in slurm.running.count == 1 })
            let begun = PseudoTerminal.now
            terminal.hangUp()
            #expect(terminal.waitForEnd() != nil)
            let seconds = Double(PseudoTerminal.now - begun) / 1e9
            #expect(Wait.until { slurm.running.isEmpty })
            return seconds <= 1
        }
        #expect(isSoon)
    }

    @Test func controlZStopsWithoutCallsAndFgGoesOn() throws {
        let slurm = try StubCommands()
        var environment = slurm.environment()
        environment["PS1"] = "prompt> "
        let terminal = try PseudoTerminal(["/bin/bash", "--norc", "--noediting", "-i"], environment: environment)
        #expect(terminal.wait(for: "prompt>"))
        terminal.type("\(StubCommands.burstmon) --interval 5 --screen jobs\n")
        #expect(terminal.waitForData())
        #expect(terminal.wait(for: "169001"), "\(terminal.emulator.text)")
        // In the middle of a dialog, too.
        terminal.type(":cancel 169001\r")
        #expect(terminal.wait(for: "Keep (Esc)"))
        #expect(terminal.wait { _ in slurm.running.isEmpty })
        let job = try #require(Processes.children(of: terminal.pid).first)
        let program = try #require(Processes.children(of: job).first)
        terminal.signal(SIGTSTP, to: program)
        #expect(
            terminal.wait { !$0.emulator.isOnAlternateScreen && $0.emulator.contains("Stopped") && $0.isGivenBack },
            "\(terminal.emulator.text)")
        #expect(terminal.wait { _ in Processes.state(of: program) == "T" })
        // What was begun before may still be on its way into the log; nothing comes for longer than an interval then.
        #expect(terminal.wait { _ in !Processes.children(of: program).contains(where: Processes.isAlive) })
        let count = slurm.calls.count
        terminal.wait(seconds: 6) { _ in slurm.calls.count > count }
        #expect(slurm.calls.count == count)
        terminal.resize(to: Size(columns: 90, rows: 28))
        terminal.type("fg\n")
        #expect(
            terminal.wait { $0.emulator.isOnAlternateScreen && $0.emulator.contains("Keep (Esc)") },
            "\(terminal.emulator.text)")
        terminal.type("\u{1b}")
        #expect(
            terminal.wait { $0.emulator.line(27).contains("Help") && !$0.emulator.contains("Keep") },
            "\(terminal.emulator.text)")
        #expect(terminal.wait { _ in slurm.calls.count > count })
        terminal.type("\u{1a}")
        #expect(terminal.wait { !$0.emulator.isOnAlternateScreen && $0.isGivenBack })
        terminal.type("fg\n")
        #expect(terminal.wait { $0.emulator.isOnAlternateScreen })
        terminal.type("q")
        #expect(terminal.wait { !$0.emulator.isOnAlternateScreen })
        terminal.type("exit\n")
        #expect(terminal.waitForEnd() == .exited(0))
    }

    /// Shows each screen and the help, and ends.
    private func tour(_ slurm: StubCommands, _ environment: [String: String]) throws -> PseudoTerminal {
        let terminal = try slurm.screen(environment: environment)
        #expect(terminal.waitForData(), "\(terminal.emulator.text)")
        for key in ["2", "3", "4", "5", "6", "7", "8", "?", "\u{1b}", "1"] {
            terminal.type(key)
            terminal.waitUntilIdle()
        }
        #expect(terminal.quit() == .exited(0))
        #expect(terminal.isGivenBack)
        return terminal
    }

    @Test func everyTerminalIsSpokenToInItsLanguage() throws {
        let slurm = try StubCommands()
        for locale in ["C.UTF-8", "C"] {
            for environment in [["TERM": "vt100"], ["NO_COLOR": "1"], ["TERM": "xterm-256color"]] {
                let terminal = try tour(slurm, environment.merging(["LC_ALL": locale]) { $1 })
                if locale == "C" { #expect(terminal.emulator.bytesBeyondASCII == 0, "\(environment)") }
                let isPlain = environment["TERM"] != "xterm-256color"
                #expect(terminal.colors.isEmpty == isPlain, "\(environment) \(terminal.colors.prefix(3))")
            }
        }
        let ascii = try slurm.screen("--ascii", "--color", "never")
        #expect(ascii.waitForData())
        #expect(ascii.quit() == .exited(0))
        #expect(ascii.emulator.bytesBeyondASCII == 0)
        #expect(ascii.colors.isEmpty)
    }

    @Test func aTerminalThatCannotBeDrawnOnIsRefusedInOneLine() throws {
        let slurm = try StubCommands()
        for term in ["dumb", nil] as [String?] {
            let terminal = try PseudoTerminal(
                [StubCommands.burstmon], environment: slurm.environment(term: term), size: Size(columns: 200, rows: 24))
            #expect(terminal.waitForEnd() == .exited(3), "\(terminal.emulator.text)")
            let lines = terminal.emulator.text.split(separator: "\n")
            #expect(lines.count == 1, "\(terminal.emulator.text)")
            #expect(lines.first?.hasPrefix("burstmon: ") ?? false, "\(terminal.emulator.text)")
            #expect(terminal.emulator.text.contains("--once"), "\(terminal.emulator.text)")
            #expect(!terminal.received.contains(0x1b))
        }
    }

    @Test func withoutScontrolItSaysSoInOneLine() throws {
        let slurm = try StubCommands()
        var environment = slurm.environment()
        environment["PATH"] = slurm.folder("home")
        let terminal = try PseudoTerminal(
            [StubCommands.burstmon], environment: environment, size: Size(columns: 200, rows: 24))
        #expect(terminal.waitForEnd() == .exited(1))
        #expect(terminal.emulator.text.split(separator: "\n").count == 1, "\(terminal.emulator.text)")
        #expect(terminal.emulator.contains("scontrol is not in PATH"))
        #expect(terminal.isGivenBack)
    }
}

/// Whether there is a tmux. In CI it has to be there.
enum Tmux {
    static let isUsable: Bool = {
        if access("/usr/bin/tmux", X_OK) == 0 || getenv("BURST_CI").map({ String(cString: $0) }) == "1" { return true }
        print("TmuxTests: left out, tmux is not installed")
        return false
    }()
}

/// In a real tmux.
@Suite(.onWorkers, .timeLimit(.minutes(15)), .enabled(if: Tmux.isUsable))
struct TmuxTests {
    private func tmux(_ slurm: StubCommands, _ arguments: String...) throws -> PipedProgram.Result {
        try PipedProgram.run(
            ["/usr/bin/tmux", "-S", slurm.folder("tmux.socket"), "-f", "/dev/null"] + arguments,
            environment: slurm.environment())
    }

    private func screen(_ slurm: StubCommands) -> String { (try? tmux(slurm, "capture-pane", "-p"))?.text ?? "" }

    @Test(arguments: [("80", "24"), ("40", "12")])
    func itShowsTheSameInTmux(columns: String, rows: String) throws {
        let slurm = try StubCommands()
        let begun = try tmux(
            slurm, "new-session", "-d", "-x", columns, "-y", rows,
            "TERM=tmux-256color \(StubCommands.burstmon); echo over; read -r _")
        #expect(begun.end == .exited(0), "\(begun.errorText)")
        defer { _ = try? tmux(slurm, "kill-server") }
        // A status line takes a row.
        #expect(try tmux(slurm, "set", "-g", "status", "off").end == .exited(0))
        #expect(Wait.until { screen(slurm).contains("LIVE") }, "\(screen(slurm))")
        let size = Size(columns: Int(columns)!, rows: Int(rows)!)
        let terminal = try slurm.screen(size: size)
        #expect(terminal.waitForData())
        for key in ["2", "3", "4", "8"] {
            _ = try tmux(slurm, "send-keys", key)
            terminal.type(key)
            terminal.waitUntilIdle()
            func body(_ text: String) -> [Substring] {
                text.split(separator: "\n", omittingEmptySubsequences: false).dropFirst().prefix(size.rows - 1).map {
                    $0
                }
            }
            // Config counts calls, which differ.
            if key == "8" { continue }
            let isEqual = Wait.until {
                terminal.waitUntilIdle()
                return body(screen(slurm)) == body(terminal.emulator.text)
            }
            #expect(isEqual, "\(key)\n\(screen(slurm))\n\(terminal.emulator.text)")
        }
        _ = try tmux(slurm, "send-keys", "q")
        #expect(Wait.until { screen(slurm).contains("over") }, "\(screen(slurm))")
        #expect(terminal.quit() == .exited(0))
    }
}
