import BurstScreen
import BurstTestSupport
import Glibc
import Testing

/// Criteria A11 to A14 of the terminal's discipline: whatever ends or stops the program, the shell gets its terminal
/// back.
@Suite(.timeLimit(.minutes(15)))
struct GivenBackTests {
    static let signals = [
        SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGPIPE, SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE,
    ]

    /// How many moments to try for each signal; BURST_SIGNAL_ROUNDS=100 is the full criterion.
    static let rounds = getenv("BURST_SIGNAL_ROUNDS").flatMap { Int(String(cString: $0)) } ?? 6

    @Test(arguments: signals)
    func aSignalAtAnyMomentGivesTheTerminalBack(signal: Int32) throws {
        for round in 0..<Self.rounds {
            let terminal =
                try round % 3 == 2
                ? Probe.start("mouse", "focus", "sync", "no-guardian") : Probe.start("mouse", "focus")
            // A moment between the start and well into the work.
            let moment = Double.random(in: 0...0.05)
            terminal.wait(seconds: moment) { _ in false }
            terminal.type("rbn\u{1B}[B")
            let toChild = round % 2 == 1 ? Probe.child(of: terminal) : nil
            terminal.signal(signal, to: toChild)
            let end = terminal.waitForEnd()
            #expect(end == .killed(signal: signal), "after \(moment) s")
            #expect(terminal.isGivenBack, "after \(moment) s: \(terminal.emulator.modes) \(terminal.lineDiscipline)")
        }
    }

    @Test(arguments: ["T", "F", "S", "A", "O"])
    func aCrashGivesTheTerminalBackAndKeepsItsStatus(key: String) throws {
        for arguments in [["no-guardian"], []] {
            // The runtime's text is followed by a trace, whose lines fold in 80 columns.
            let size = Size(columns: 120, rows: 50)
            let terminal = try arguments.isEmpty ? Probe.start(size: size) : Probe.start("no-guardian", size: size)
            #expect(terminal.wait(for: "terminal-probe"))
            terminal.type(key)
            let expected = ["T": [SIGILL, SIGTRAP], "F": [SIGILL, SIGTRAP], "A": [SIGABRT]][key] ?? [SIGSEGV]
            let end = terminal.waitForEnd()
            #expect(expected.contains { end == .killed(signal: $0) }, "\(String(describing: end))")
            #expect(terminal.isGivenBack)
            if key == "F" {
                #expect(terminal.emulator.contains("the probe ends as it was told"), "\(terminal.emulator.text)")
            }
        }
    }

    @Test(arguments: ["", "no-guardian"])
    func anExitWithoutGoodbyeGivesTheTerminalBackAndKeepsItsStatus(arguments: String) throws {
        let terminal = try Probe.start(arguments)
        #expect(terminal.wait(for: "terminal-probe"))
        terminal.type("X")
        #expect(terminal.waitForEnd() == .exited(7))
        #expect(terminal.isGivenBack)
    }

    @Test func quittingGivesTheTerminalBackAndShowsStrayText() throws {
        let terminal = try Probe.start("mouse", "focus")
        #expect(terminal.wait(for: "terminal-probe"))
        #expect(terminal.emulator.isOnAlternateScreen)
        #expect(terminal.emulator.reportsMouse)
        #expect(terminal.emulator.reportsFocus)
        terminal.type("e")
        #expect(terminal.wait { $0.emulator.contains("keys e") })
        #expect(!terminal.emulator.contains("stray text"))
        terminal.type("q")
        #expect(terminal.waitForEnd() == .exited(0))
        #expect(terminal.emulator.contains("stray text"))
        #expect(terminal.isGivenBack)
    }

    @Test func theGuardianGivesTheTerminalBackAfterSIGKILL() throws {
        for round in 0..<Self.rounds {
            let terminal = try Probe.start("mouse", "focus", "sync")
            if round > 0 { #expect(terminal.wait { $0.emulator.isOnAlternateScreen }) }
            terminal.wait(seconds: Double.random(in: 0...0.02)) { _ in false }
            guard let child = Probe.child(of: terminal) else { continue }
            terminal.signal(SIGKILL, to: child)
            #expect(terminal.waitForEnd() == .killed(signal: SIGKILL))
            #expect(terminal.isGivenBack)
        }
    }

    @Test func withoutItsGuardianTheProgramEndsInGoodOrder() throws {
        let terminal = try Probe.start()
        #expect(terminal.wait(for: "terminal-probe"))
        let child = try #require(Probe.child(of: terminal))
        terminal.signal(SIGKILL)
        #expect(terminal.waitForEnd() == .killed(signal: SIGKILL))
        #expect(terminal.wait { _ in !Processes.isAlive(child) })
        #expect(terminal.wait { $0.isGivenBack })
    }

    @Test func aProgramThatHangsEndsWithTheSecondRequest() throws {
        let terminal = try Probe.start()
        #expect(terminal.wait(for: "terminal-probe"))
        terminal.type("H")
        terminal.signal(SIGTERM)
        #expect(!terminal.wait(seconds: 1.1) { $0.end != nil })
        terminal.signal(SIGTERM)
        #expect(terminal.waitForEnd() == .killed(signal: SIGTERM))
        #expect(terminal.isGivenBack)
    }

    @Test(arguments: [true, false])
    func aHangUpEndsEverythingWithinASecond(guarded: Bool) throws {
        let isSoon = try Wait.once { () throws -> Bool in
            let terminal = try guarded ? Probe.start() : Probe.start("no-guardian")
            #expect(terminal.wait(for: "terminal-probe"))
            let child = Probe.child(of: terminal)
            let start = PseudoTerminal.now
            terminal.hangUp()
            let end = terminal.waitForEnd()
            let seconds = Double(PseudoTerminal.now - start) / 1e9
            #expect(end == .killed(signal: SIGHUP))
            if let child { #expect(!Processes.isAlive(child)) }
            return seconds <= 1
        }
        #expect(isSoon)
    }

    @Test func theGuardianWaitsWithoutWorking() throws {
        let terminal = try Probe.start()
        #expect(terminal.wait(for: "terminal-probe"))
        let before = Processes.switches(of: terminal.pid)
        for _ in 0..<20 { terminal.type("\u{1B}[B") }
        #expect(terminal.wait(for: "down down down down down down"))
        #expect(Processes.switches(of: terminal.pid) == before)
        terminal.type("q")
        #expect(terminal.waitForEnd() == .exited(0))
    }
}

/// Job control, in a real shell.
@Suite(.timeLimit(.minutes(15)))
struct JobControlTests {
    /// An interactive shell with the probe in its foreground.
    private func shell(_ arguments: String = "") throws -> PseudoTerminal {
        var environment = Probe.environment()
        environment["PS1"] = "prompt> "
        let terminal = try PseudoTerminal(["/bin/bash", "--norc", "--noediting", "-i"], environment: environment)
        #expect(terminal.wait(for: "prompt>"))
        terminal.type("\(Probe.path) \(arguments)\n")
        #expect(terminal.wait { $0.emulator.isOnAlternateScreen && $0.emulator.contains("tick 0") })
        return terminal
    }

    /// The shell has the terminal again. The screen may still show the text of an earlier stop: what counts is where
    /// the cursor stands.
    private func isAtPrompt(_ terminal: PseudoTerminal) -> Bool {
        let emulator = terminal.emulator
        return !emulator.isOnAlternateScreen && emulator.contains("Stopped") && terminal.isGivenBack
            && emulator.line(emulator.cursor.row) == "prompt>"
    }

    private func finish(_ terminal: PseudoTerminal) {
        terminal.type("q")
        #expect(terminal.wait { !$0.emulator.isOnAlternateScreen && $0.isGivenBack })
        terminal.type("exit\n")
        #expect(terminal.waitForEnd() == .exited(0))
    }

    @Test(arguments: ["", "no-guardian"])
    func controlZStopsAndFgGoesOn(arguments: String) throws {
        let terminal = try shell(arguments)
        for round in 0..<3 {
            terminal.type("\u{1A}")
            #expect(terminal.wait { isAtPrompt($0) }, "round \(round): \(terminal.emulator.text)")
            let size = Size(columns: 70 + round, rows: 20 + round)
            terminal.resize(to: size)
            terminal.forgetBytes()
            terminal.type("fg\n")
            #expect(
                terminal.wait {
                    $0.emulator.isOnAlternateScreen && $0.emulator.contains("\(size.columns)x\(size.rows)")
                        && $0.emulator.contains("resumed")
                }, "round \(round): \(terminal.emulator.text)")
            #expect(terminal.wait { !$0.emulator.isCursorVisible }, "\(terminal.escaped)")
            #expect(!terminal.lineDiscipline.isCanonical)
        }
        finish(terminal)
    }

    @Test(arguments: [SIGTSTP, SIGSTOP])
    func stopSignalsToEitherProcessAreHonoured(signal: Int32) throws {
        for toChild in [true, false] {
            // Of SIGSTOP to the guardian alone nobody can learn; the kernel tells no one.
            if signal == SIGSTOP && !toChild { continue }
            let terminal = try shell()
            let job = try #require(Processes.children(of: terminal.pid).first)
            let child = try #require(Processes.children(of: job).first)
            terminal.signal(signal, to: toChild ? child : job)
            #expect(terminal.wait { isAtPrompt($0) }, "\(terminal.emulator.text)")
            #expect(Processes.state(of: child) == "T")
            #expect(Processes.state(of: job) == "T")
            terminal.type("fg\n")
            #expect(terminal.wait { $0.emulator.isOnAlternateScreen && $0.emulator.contains("resumed") })
            finish(terminal)
        }
    }

    @Test func aStoppedProgramStaysStoppedInTheBackground() throws {
        let terminal = try shell()
        terminal.type("\u{1A}")
        #expect(terminal.wait { isAtPrompt($0) })
        let job = try #require(Processes.children(of: terminal.pid).first)
        let child = try #require(Processes.children(of: job).first)
        let before = Processes.switches(of: child)
        terminal.type("bg\n")
        #expect(
            terminal.wait { _ in
                Processes.switches(of: child) != before && Processes.state(of: child) == "T"
                    && Processes.state(of: job) == "T"
            }, "\(terminal.emulator.text)")
        #expect(!terminal.emulator.isOnAlternateScreen)
        terminal.type("fg\n")
        #expect(terminal.wait { $0.emulator.isOnAlternateScreen && $0.emulator.contains("resumed") })
        finish(terminal)
    }

    @Test func aStoppedProgramCanBeEnded() throws {
        let terminal = try shell()
        terminal.type("\u{1A}")
        #expect(terminal.wait { isAtPrompt($0) })
        let job = try #require(Processes.children(of: terminal.pid).first)
        terminal.type("kill %1\n")
        #expect(terminal.wait { _ in !Processes.isAlive(job) }, "\(terminal.emulator.text)")
        #expect(terminal.wait { $0.isGivenBack })
        terminal.type("exit\n")
        _ = terminal.waitForEnd()
    }

    @Test func whereNothingCouldContinueItControlZOnlyRepaints() throws {
        // The probe leads the session itself, as in `xterm -e`: its process group is orphaned.
        let terminal = try Probe.start()
        #expect(terminal.wait(for: "tick 0"))
        terminal.type("\u{1A}")
        #expect(terminal.wait { $0.emulator.isOnAlternateScreen && $0.emulator.contains("resumed") })
        // Curses would reset the colours that the user gave to the palette.
        #expect(terminal.emulator.commands.isEmpty)
        terminal.type("q")
        #expect(terminal.waitForEnd() == .exited(0))
        #expect(terminal.isGivenBack)
    }
}
