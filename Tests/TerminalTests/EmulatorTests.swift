import BurstScreen
import BurstTestSupport
import Glibc
import Testing

/// The emulator of the tests, against its own rules and against tmux.
@Suite(.timeLimit(.minutes(15)))
struct EmulatorTests {
    private func emulator(_ text: String, columns: Int = 10, rows: Int = 4) -> TerminalEmulator {
        var emulator = TerminalEmulator(size: Size(columns: columns, rows: rows))
        emulator.feed(text.utf8)
        return emulator
    }

    @Test func streamsMayBeCutAnywhere() {
        let stream = Array("ab\u{1B}[2;3H漢\u{1B}[1;38;5;9mx\u{1B}(0q\u{1B}(B\u{1B}]0;title\u{7}\u{1B}[?1049h!".utf8)
        var whole = TerminalEmulator(size: Size(columns: 10, rows: 4))
        whole.feed(stream)
        for cut in stream.indices {
            var parts = TerminalEmulator(size: Size(columns: 10, rows: 4))
            parts.feed(stream[..<cut])
            parts.feed(stream[cut...])
            #expect(parts.text == whole.text)
            #expect(parts.rendition == whole.rendition)
            #expect(parts.isOnAlternateScreen && parts.commands == ["0;title"])
        }
    }

    @Test func linesWrapAndScroll() {
        #expect(emulator("0123456789ab").text == "0123456789\nab\n\n\n")
        #expect(emulator("0123456789\r\nab").text == "0123456789\nab\n\n\n")
        #expect(emulator("1\r\n2\r\n3\r\n4\r\n5").text == "2\n3\n4\n5\n")
        #expect(emulator("1\r\n2\r\n3\r\n4\u{1B}[2;3r\u{1B}[3;1H\nx").text == "1\n3\nx\n4\n")
        #expect(emulator("1\r\n2\u{1B}[H\u{1B}Mx").text == "x\n1\n2\n\n")
    }

    @Test func cellsAreInsertedDeletedAndErased() {
        #expect(emulator("abcdef\u{1B}[1;3H\u{1B}[2@").line(0) == "ab  cdef")
        #expect(emulator("abcdef\u{1B}[1;3H\u{1B}[2P").line(0) == "abef")
        #expect(emulator("abcdef\u{1B}[1;3H\u{1B}[2X").line(0) == "ab  ef")
        #expect(emulator("abcdef\u{1B}[1;3H\u{1B}[1K").line(0) == "   def")
        #expect(emulator("a\u{1B}[5b").line(0) == "aaaaaa")
        #expect(emulator("漢字\u{1B}[1;2Hx").line(0) == " x字")
        #expect(emulator("漢字\u{1B}[1;2H\u{1B}[P").line(0) == " 字")
    }

    @Test func whatIsNotKnownIsNoted() {
        #expect(emulator("\u{1B}[5y\u{1B}[?4711h\u{1B}#8").unknown.count == 3)
    }

    /// Runs a command and returns what it prints.
    private func output(_ arguments: [String]) throws -> String {
        let terminal = try PseudoTerminal(
            arguments, environment: Probe.environment(term: "xterm"), size: Size(columns: 500, rows: 200))
        #expect(terminal.waitForEnd() == .exited(0), "\(arguments)")
        return String(decoding: terminal.received, as: UTF8.self).filter { $0 != "\r" }
            .split(separator: "\r\n", omittingEmptySubsequences: false).joined(separator: "\n")
    }

    @Test func theEmulatorSeesWhatTmuxSees() throws {
        let size = Size(columns: 80, rows: 24)
        let terminal = try Probe.start(term: "tmux-256color", size: size)
        #expect(terminal.wait(for: "tick 0"))
        for (keys, seen) in [
            ("n", "keys n"), ("b", "keys b n"), ("\u{1B}[6~\u{1B}[6~", "pageDown pageDown"),
            ("\u{1B}[B\u{1B}[B\u{1B}[B", "down down down"),
            ("t", "tick 1"), ("r", "row.alt"), ("n", "keys n r"),
        ] {
            terminal.type(keys)
            #expect(terminal.wait(for: seen))
        }
        terminal.waitUntilIdle()
        let bytes = terminal.received
        let ours = terminal.emulator.text

        var template = Array("/tmp/burst-XXXXXX".utf8CString)
        let folder = String(cString: mkdtemp(&template))
        defer { for name in ["bytes", "conf", "socket", ""] { remove("\(folder)/\(name)") } }
        try write(bytes, to: "\(folder)/bytes")
        try write(Array("set -g status off\nset -g default-terminal tmux-256color\n".utf8), to: "\(folder)/conf")
        let tmux = ["/usr/bin/tmux", "-u", "-S", "\(folder)/socket", "-f", "\(folder)/conf"]
        _ = try output(
            tmux + [
                "new-session", "-d", "-x", "\(size.columns)", "-y", "\(size.rows)",
                "stty raw -echo; cat \(folder)/bytes; exec sleep 60",
            ])
        defer { _ = try? output(tmux + ["kill-server"]) }
        var theirs = ""
        let deadline = PseudoTerminal.now + UInt64(Wait.hangSeconds * 1e9)
        while theirs != ours, PseudoTerminal.now < deadline {
            theirs = try output(tmux + ["capture-pane", "-p"])
        }
        #expect(theirs == ours)
    }

    private func write(_ bytes: [UInt8], to path: String) throws {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL, 0o600)
        guard descriptor >= 0 else { throw HarnessError("cannot write \(path)") }
        defer { close(descriptor) }
        #expect(bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) } == bytes.count)
    }
}
