import BurstScreen
import CCurses
import Glibc

/// What terminfo says about giving the terminal back. Read before the terminal is touched.
struct Capabilities {
    /// The bytes that take the screen: the alternate one, line drawing ready, keypad on, cursor off.
    let entering: [UInt8]
    private let leaveAlternateScreen: [UInt8]
    private let leaveLineDrawing: [UInt8]
    private let plain: [UInt8]
    private let showCursor: [UInt8]
    private let leaveKeypad: [UInt8]
    private let clearLine: [UInt8]
    private let mouseOff: [UInt8]
    private let focus: (on: [UInt8], off: [UInt8])?
    private let isOfXtermsKind: Bool
    private let cursorTo: String

    /// The value of TERM, nil if unset or empty.
    static var type: String? {
        guard let value = getenv("TERM"), value.pointee != 0 else { return nil }
        return String(cString: value)
    }

    static func read() throws(TerminalError) -> Capabilities {
        guard let type else { throw .noType }
        var found: Int32 = 0
        // With a place for the result, curses does not print and exit.
        guard setupterm(nil, STDOUT_FILENO, &found) == OK else { throw .unknownType(type) }
        defer { nc_forget_terminfo() }
        guard let cursorTo = string("cup") else { throw .tooSimple(type) }
        return Capabilities(cursorTo: cursorTo)
    }

    /// terminfo `colors`, 0 where it says none or knows no such terminal.
    static func colors() -> Int {
        var found: Int32 = 0
        guard type != nil, setupterm(nil, STDOUT_FILENO, &found) == OK else { return 0 }
        defer { nc_forget_terminfo() }
        return max(0, Int(tigetnum("colors")))
    }

    private init(cursorTo: String) {
        func bytes(_ name: String) -> [UInt8] { Self.string(name).map(Self.withoutDelays) ?? [] }
        self.cursorTo = cursorTo
        entering = bytes("smcup") + bytes("enacs") + bytes("smkx") + bytes("civis")
        leaveAlternateScreen = bytes("rmcup")
        leaveLineDrawing = bytes("rmacs")
        plain = bytes("sgr0")
        showCursor = bytes("cnorm")
        leaveKeypad = bytes("rmkx")
        clearLine = bytes("el")
        // As curses switches the mouse: by XM if there is one, else as xterm does.
        if let mouse = Self.string("XM") {
            mouseOff = nc_parameter(mouse, 0).map { Self.withoutDelays(String(cString: $0)) } ?? []
            isOfXtermsKind = true
        } else {
            mouseOff = Self.string("kmous") == nil ? [] : Array("\u{1b}[?1000l".utf8)
            isOfXtermsKind = false
        }
        if let on = Self.string("fe"), let off = Self.string("fd") {
            focus = (Self.withoutDelays(on), Self.withoutDelays(off))
        } else {
            focus = nil
        }
    }

    private func focusReports(_ options: CursesTerminal.Options) -> (on: [UInt8], off: [UInt8])? {
        if let focus { return focus }
        guard options.focus, isOfXtermsKind else { return nil }
        return (Array("\u{1b}[?1004h".utf8), Array("\u{1b}[?1004l".utf8))
    }

    func focusOn(_ options: CursesTerminal.Options) -> [UInt8] { focusReports(options)?.on ?? [] }
    func focusOff(_ options: CursesTerminal.Options) -> [UInt8] { focusReports(options)?.off ?? [] }

    /// The bytes that give the terminal back, for a signal handler and the guardian.
    func restoring(_ options: CursesTerminal.Options, _ size: Size) -> [UInt8] {
        var bytes: [UInt8] = []
        if options.synchronised { bytes += Array("\u{1b}[?2026l".utf8) }
        bytes += focusOff(options)
        if options.mouse { bytes += mouseOff }
        bytes += leaveLineDrawing + plain
        // Without an alternate screen, as on linux and vt100: leave an empty last line for the shell's prompt. With
        // one,
        // the same is good where a screen inside another has it switched off.
        if let place = nc_cursor_to(cursorTo, Int32(size.rows - 1), 0) {
            bytes += Self.withoutDelays(String(cString: place)) + clearLine
        }
        return bytes + leaveAlternateScreen + showCursor + leaveKeypad
    }

    private static func string(_ name: String) -> String? {
        guard let found = tigetstr(name), found != UnsafeMutablePointer(bitPattern: -1) else { return nil }
        return String(cString: found)
    }

    /// Without `$<5*/>`, which asks for a pause (terminfo(5), "Delays and Padding").
    static func withoutDelays(_ capability: String) -> [UInt8] {
        var bytes: [UInt8] = []
        var rest = Array(capability.utf8)[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "$"), rest.first == UInt8(ascii: "<"),
                let end = rest.firstIndex(of: UInt8(ascii: ">"))
            {
                rest = rest[(end + 1)...]
            } else {
                bytes.append(byte)
            }
        }
        return bytes
    }
}
