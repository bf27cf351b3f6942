import BurstScreen
import BurstTestSupport
import Testing

/// What is typed arrives as keys, through a real terminal.
@Suite(.timeLimit(.minutes(15)))
struct KeyTests {
    @Test(arguments: [
        ("a", "a"), ("Z", "Z"), ("é", "é"), ("漢", "漢"), ("\r", "enter"), ("\n", "enter"), ("\t", "tab"),
        ("\u{1B}[Z", "backTab"),
        ("\u{7F}", "backspace"), ("\u{8}", "backspace"), ("\u{3}", "^c"), ("\u{1B}", "escape"), ("\u{1B}[A", "up"),
        ("\u{1B}OB", "down"), ("\u{1B}OC", "right"), ("\u{1B}OD", "left"), ("\u{1B}[5~", "pageUp"),
        ("\u{1B}[6~", "pageDown"),
        ("\u{1B}OH", "home"), ("\u{1B}OF", "end"), ("\u{1B}[1~", "home"), ("\u{1B}[3~", "delete"),
        ("\u{1B}OP", "function(1)"),
        ("\u{1B}[15~", "function(5)"), ("\u{1B}[24~", "function(12)"), ("\u{1B}[I", "focus(true)"),
        ("\u{1B}[O", "focus(false)"), ("\u{1B}[1;5A", "up"), ("\u{1B}[1;2B", "down"), ("\u{1B}[6;5~", "pageDown"),
        ("\u{1B}[200~", "unknown"), ("\u{1B}[97;5u", "unknown"),
        ("\u{0}", "^@"), ("\u{1D}", "^]"),
    ])
    func everyKeyIsKnown(typed: String, name: String) throws {
        for term in ["xterm-256color", "vt100"] {
            let terminal = try Probe.start(term: term)
            #expect(terminal.wait(for: "tick 0"))
            terminal.type(typed)
            // The key after it shows that nothing of the sequence was left over.
            #expect(terminal.wait(for: "keys \(name)"), "\(term): \(terminal.emulator.line(23))")
            terminal.type(".")
            #expect(terminal.wait(for: "keys . \(name)"), "\(term): \(terminal.emulator.line(23))")
            terminal.type("q")
            #expect(terminal.waitForEnd() == .exited(0))
        }
    }

    @Test func mouseReportsComeOnlyWhenAskedFor() throws {
        let terminal = try Probe.start("mouse")
        #expect(terminal.wait(for: "tick 0"))
        #expect(terminal.emulator.reportsMouse)
        terminal.type("\u{1B}[<0;5;3M\u{1B}[<0;5;3m")
        #expect(terminal.wait(for: "keys press@4,2"), "\(terminal.emulator.text)")
        terminal.type("\u{1B}[<65;7;2M")
        #expect(terminal.wait(for: "keys wheelDown@6,1"), "\(terminal.emulator.text)")
        terminal.type("q")
        #expect(terminal.waitForEnd() == .exited(0))
        let other = try Probe.start()
        #expect(other.wait(for: "tick 0"))
        #expect(!other.emulator.reportsMouse)
        #expect(!other.emulator.reportsFocus)
    }

    @Test func theClipboardIsWrittenOnlyWhenAllowed() throws {
        for isAllowed in [true, false] {
            let terminal = try isAllowed ? Probe.start("clipboard") : Probe.start()
            #expect(terminal.wait(for: "tick 0"))
            terminal.type("y")
            #expect(terminal.wait(for: "keys y"))
            #expect(terminal.emulator.commands == (isAllowed ? ["52;c;Y29waWVkIHRleHQ="] : []))
        }
    }

    @Test func aTextFieldShowsTheCursor() throws {
        let terminal = try Probe.start()
        #expect(terminal.wait(for: "tick 0"))
        #expect(!terminal.emulator.isCursorVisible)
        terminal.type("f")
        #expect(terminal.wait { $0.emulator.isCursorVisible && $0.emulator.contains("> typed 漢") })
        #expect(terminal.wait { $0.emulator.cursor == TerminalEmulator.Position(column: 10, row: 23) })
        terminal.type("f")
        #expect(terminal.wait { !$0.emulator.isCursorVisible })
    }
}
