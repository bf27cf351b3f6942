import BurstScreen
import BurstTestSupport
import Glibc
import Testing

/// Criteria A15 and A16: every kind of terminal is spoken to in its own language, and no name can spoil the screen.
@Suite(.timeLimit(.minutes(15)))
struct MatrixTests {
    static let terms = ["vt100", "linux", "xterm", "xterm-256color", "screen", "screen-256color", "tmux-256color"]
    static let sizes = [(80, 24), (40, 12), (20, 5), (200, 50)].map { Size(columns: $0.0, rows: $0.1) }

    /// What the probe showed on each of its pages, and the emulator at the end.
    private struct Tour {
        var screens: [String] = []
        var emulator: TerminalEmulator
    }

    private func tour(_ term: String, _ locale: String, _ size: Size, _ arguments: String...) throws -> Tour {
        let terminal = try PseudoTerminal(
            [Probe.path] + arguments, environment: Probe.environment(term: term, locale: locale), size: size)
        var tour = Tour(emulator: terminal.emulator)
        let keys = [
            ("b", "b"), ("\u{1B}[B", "down"), ("\u{1B}[6~", "pageDown"), ("\u{1B}[A", "up"), ("r", "r"), ("n", "n"),
            ("\u{C}", "^l"),
        ]
        for (typed, name) in keys {
            terminal.type(typed)
            #expect(
                terminal.wait { $0.emulator.line(size.rows - 1).hasPrefix("keys \(name)") },
                "\(term) \(locale) \(size): \(terminal.emulator.text)")
            terminal.waitUntilIdle()
            tour.screens.append(terminal.emulator.text)
        }
        terminal.type("q")
        #expect(terminal.waitForEnd() == .exited(0), "\(term) \(locale)")
        #expect(terminal.isGivenBack, "\(term) \(locale): \(terminal.emulator.modes)")
        tour.emulator = terminal.emulator
        return tour
    }

    /// The kinds of sequences in a terminfo entry, as tput says them.
    private func vocabulary(_ term: String) throws -> Set<String> {
        let capabilities = [
            "cup 1 1", "home", "cuu1", "cud1", "cuf1", "cub1", "cuu 2", "cud 2", "cuf 2", "cub 2", "hpa 3", "vpa 3",
            "cr", "csr 1 5",
            "el", "el1", "ed", "clear", "ich 2", "ich1", "dch 2", "dch1", "il 2", "il1", "dl 2", "dl1", "ech 2",
            "rep 65 3", "ind",
            "ri", "indn 2", "rin 2", "smcup", "rmcup", "civis", "cnorm", "cvvis", "sgr0", "smacs", "rmacs", "enacs",
            "smkx", "rmkx",
            "smam", "rmam", "smir", "rmir", "bold", "dim", "rev", "smul", "rmul", "sitm", "ritm", "smso", "rmso", "op",
            "oc", "sc",
            "rc", "ht", "cbt", "sgr 0 1 1 0 0 1 0 0 1", "sgr 1 0 0 0 1 0 0 0 0",
        ]
        let colors = (Array(0...15) + [100]).flatMap { ["setaf \($0)", "setab \($0)"] }
        let script = (capabilities + colors).map { "tput \($0) 2>/dev/null" }.joined(separator: "\n")
        let terminal = try PseudoTerminal(["/bin/sh", "-c", script], environment: Probe.environment(term: term))
        #expect(terminal.waitForEnd() != nil)
        return terminal.emulator.seen
    }

    @Test(arguments: terms)
    func onlyTheLanguageOfTheTerminalIsSpoken(term: String) throws {
        let vocabulary = try vocabulary(term)
        for locale in ["C.UTF-8", "C"] {
            for size in Self.sizes {
                let tour = try tour(term, locale, size)
                let emulator = tour.emulator
                #expect(emulator.seen.subtracting(vocabulary).isEmpty, "\(term) \(locale)")
                #expect(emulator.unknown.isEmpty, "\(term) \(locale)")
                if locale == "C" { #expect(emulator.bytesBeyondASCII == 0, "\(term) \(size)") }
                if term == "vt100" { #expect(colors(emulator).isEmpty) }
                if term != "vt100", size.columns >= 80 { #expect(!colors(emulator).isEmpty) }
                // The same characters stand in the same places as on any other terminal. In the C locale, terminals
                // differ
                // in the line drawing that they have.
                if locale != "C", term != "xterm-256color" {
                    let usual = try self.tour("xterm-256color", locale, size)
                    for (screen, expected) in zip(tour.screens, usual.screens) { #expect(screen == expected) }
                }
            }
        }
    }

    private func colors(_ emulator: TerminalEmulator) -> [String] {
        let codes = Array(30...38) + Array(40...48) + Array(90...97) + Array(100...107)
        return codes.map { "SGR \($0)" }.filter { emulator.seen.contains($0) }
    }

    @Test(arguments: terms)
    func withoutColorsNoColorIsEverSent(term: String) throws {
        let tour = try tour(term, "C.UTF-8", Size(columns: 80, rows: 24), "mono")
        #expect(colors(tour.emulator).isEmpty)
    }

    @Test func directColorTerminalsGetTheColorsAsTheyAre() throws {
        let terminal = try Probe.start(term: "xterm-direct")
        #expect(terminal.wait(for: "tick 0"))
        terminal.type("r")
        #expect(terminal.wait(for: "bb.unknown"))
        terminal.waitUntilIdle()
        var found: Set<TerminalEmulator.Color> = []
        for row in 0..<24 {
            for column in 0..<80 { found.insert(terminal.emulator[column: column, row: row].rendition.foreground) }
        }
        #expect(found.contains(.rgb(7, 200, 40)))
        #expect(found.contains(.indexed(2)))
        #expect(terminal.emulator.unknown.isEmpty)
    }

    @Test func asciiMeansASCII() throws {
        let tour = try tour("xterm-256color", "C.UTF-8", Size(columns: 80, rows: 24), "ascii", "names")
        #expect(tour.emulator.bytesBeyondASCII == 0)
    }

    @Test(arguments: [
        ("dumb", "cannot move its cursor"), ("no-such-terminal", "does not know"), ("", "not set"), (nil, "not set"),
    ])
    func whatCannotShowAScreenIsRefusedInOneLine(term: String?, reason: String) throws {
        let terminal = try Probe.start(term: term)
        #expect(terminal.waitForEnd() == .exited(3))
        let text = String(decoding: terminal.received, as: UTF8.self)
        #expect(text.contains(reason) && text.contains("--once"))
        #expect(text.filter { $0.isNewline }.count == 1)
        #expect(terminal.emulator.seen.isEmpty)
    }

    @Test func aWindowWithoutSizeIsRefused() throws {
        let terminal = try Probe.start(size: Size(columns: 0, rows: 0))
        #expect(terminal.waitForEnd() == .exited(3))
        #expect(String(decoding: terminal.received, as: UTF8.self).contains("0 rows or 0 columns"))
    }

    @Test(arguments: [("</dev/null", "standard input"), ("| cat", "standard output")])
    func redirectionIsRefused(redirection: String, reason: String) throws {
        let terminal = try PseudoTerminal(
            ["/bin/sh", "-c", "\(Probe.path) \(redirection)"], environment: Probe.environment())
        #expect(terminal.waitForEnd() != nil)
        #expect(terminal.emulator.contains("\(reason) is not a terminal"))
        #expect(terminal.emulator.seen.isEmpty)
    }

    @Test(arguments: ["C.UTF-8", "C"])
    func noNameShiftsAColumn(locale: String) throws {
        let terminal = try Probe.start(term: "tmux-256color", locale: locale)
        #expect(terminal.wait(for: "tick 0"))
        terminal.type("n")
        #expect(terminal.wait(for: "keys n"))
        terminal.waitUntilIdle()
        for row in 1...16 {
            #expect(terminal.emulator[column: 22, row: row].text == "|", "\(terminal.emulator.line(row))")
        }
        #expect(terminal.emulator.unknown.isEmpty)
        #expect(terminal.emulator.bells == 0)
    }
}
