package import BurstScreen
import CCurses
import CSys
import Glibc

/// The terminal, through ncurses: shows grids, reads keys, and is always given back.
///
/// For one thread. Nothing here waits or polls: the loop polls `inputDescriptor` and `mailbox.descriptor` with poll(2)
/// and calls in when there is something.
package final class CursesTerminal {
    package struct Options: Hashable, Sendable {
        /// Send ASCII only. A locale that is not UTF-8 implies it, but for the terminal's own line drawing.
        package var ascii = false
        /// The most colours to use: 0 for none at all, nil for what terminfo says.
        package var maximumColors: Int?
        /// Ask for mouse reports.
        package var mouse = false
        /// Ask for focus reports also where terminfo has no word for it but the terminal is of xterm's kind.
        package var focus = false
        /// Wrap frames in synchronised updates (DEC private mode 2026).
        package var synchronised = false
        /// Let `copyToClipboard` write to the clipboard of the user (OSC 52).
        package var clipboard = false

        package init() {}
    }

    /// What reading brought.
    package struct Input: Hashable, Sendable {
        package var keys: [Key]
        /// The other end is gone: nothing will ever be read again. The program ends.
        package var isHungUp: Bool
    }

    /// What became of a stop.
    package enum Resumption: Hashable, Sendable {
        /// In the foreground again. Lay out for this size and show.
        case resumed(Size)
        /// A signal in the mailbox asks to end; the terminal has been given back and stays so.
        case ending
    }

    package private(set) var options: Options
    package let mailbox: SignalMailbox
    /// For poll(2).
    package let inputDescriptor: Int32 = STDIN_FILENO
    /// Colours that can be shown: 0 for none, 8, 16, 88, 256, or 2^24 where any RGB value can be.
    package var colors: Int { pairs.colors }
    /// Whether characters beyond ASCII arrive as they are. Where false, draw with ASCII.
    package var isUnicode: Bool { glyphs.isUnicode }

    private let screen: OpaquePointer
    private let window: UnsafeMutablePointer<WINDOW>
    private let stream: UnsafeMutablePointer<FILE>
    private let output: Int32
    private let capabilities: Capabilities
    private var pairs: ColorPairs
    private var glyphs: Glyphs
    private var isStopped = false

    /// What stands on the screen, as far as we have told curses.
    private var shown: [Placed] = []
    private var shownSize = Size(columns: 0, rows: 0)
    private var cursorIsVisible = false

    /// A look in the terms of curses.
    private struct Ink {
        var attributes: attr_t
        var pair: Int32
        /// What a blank cell in it shows: the background. nil where it shows more than that (underline, reverse).
        var blank: ThemeColor?

        static let plain = Ink(attributes: 0, pair: 0, blank: .terminalDefault)
    }

    private struct Placed: Hashable {
        var text: String
        var attributes: attr_t
        var pair: Int32
    }

    /// Takes the terminal over.
    package static func start(options: Options = Options()) throws(TerminalError) -> CursesTerminal {
        try CursesTerminal(options)
    }

    private init(_ options: Options) throws(TerminalError) {
        self.options = options
        guard isatty(STDIN_FILENO) == 1 else { throw .notATerminal(stream: "input") }
        guard isatty(STDOUT_FILENO) == 1 else { throw .notATerminal(stream: "output") }
        // Curses decides about characters by the locale of this category; numbers stay as they are.
        setlocale(LC_CTYPE, "")
        let window = Self.windowSize() ?? Size(columns: 0, rows: 0)
        capabilities = try Capabilities.read()
        guard window.columns > 0, window.rows > 0 else { throw .noWindow }
        guard let mailbox = SignalMailbox.open() else { throw .system(call: "eventfd", errno: errno) }
        self.mailbox = mailbox

        output = bb_terminal_prepare(STDIN_FILENO, STDOUT_FILENO)
        guard output >= 0, let stream = fdopen(output, "w") else { throw .system(call: "terminal", errno: errno) }
        self.stream = stream
        Self.setRestoringBytes(capabilities, options, window)
        bb_terminal_take(1)
        guard let screen = nc_newterm(stream) else {
            bb_terminal_gave_back()
            throw .unknownType(Capabilities.type ?? "")
        }
        self.screen = screen
        self.window = nc_stdscr()
        // Until it has been suspended once, this curses flushes after every move of the cursor (_nc_mvcur, for programs
        // that use it without a screen): a frame would leave in a hundred pieces.
        bb_terminal_mute(1)
        endwin()
        bb_terminal_mute(0)
        resizeterm(Int32(window.rows), Int32(window.columns))
        raw()
        noecho()
        nonl()
        intrflush(self.window, false)
        keypad(self.window, true)
        nodelay(self.window, true)
        idlok(self.window, true)
        set_escdelay(25)
        // Curses would put off an update while keys wait, and nobody would come back for the rest of it.
        typeahead(-1)
        pairs = ColorPairs(maximum: options.maximumColors)
        glyphs = Glyphs(ascii: options.ascii)
        mouseinterval(0)
        shownSize = window
        shown = Array(repeating: Placed(text: " ", attributes: 0, pair: 0), count: window.columns * window.rows)
        enter()
    }

    deinit { stop() }

    /// How many colours terminfo gives the terminal that TERM names: 0 if none, or if it is not known. May be asked
    /// before
    /// `start`, to decide about `Options.maximumColors`.
    package static func terminfoColors() -> Int { Capabilities.colors() }

    /// Gives the terminal back, for good. What was written to standard error meanwhile is shown now.
    package func stop() {
        guard !isStopped else { return }
        isStopped = true
        giveBack()
        delscreen(screen)
        bb_terminal_close()
        fclose(stream)
    }

    // MARK: Showing

    /// Shows a grid: sends only what differs from what is shown. A grid of another size is clipped, or blank beyond
    /// its edge.
    /// - Parameter look: what the theme makes of a style; asked once for each run of cells of one style.
    package func show(_ grid: Grid, look: (Style) -> Look) {
        guard !isStopped, bb_terminal_is_taken() != 0 else { return }
        if pairs.isExhausted {
            pairs.reset()
            forget()
        }
        var changed = put(grid, look)
        changed = placeCursor(grid) || changed
        guard changed else { return }
        // The order matters: curses writes in doupdate and at no other time.
        if options.synchronised { send("\u{1b}[?2026h") }
        wnoutrefresh(window)
        doupdate()
        if options.synchronised { send("\u{1b}[?2026l") }
    }

    private func put(_ grid: Grid, _ look: (Style) -> Look) -> Bool {
        let columns = shownSize.columns
        var inks: [Style: Ink] = [:]
        var last: Style?
        var ink = Ink.plain
        var changed = false
        for row in 0..<shownSize.rows {
            let width = row < grid.size.rows ? min(columns, grid.size.columns) : 0
            // Blanks at the end of a row on the terminal's own background: plain, so that curses may erase to the end.
            var textEnd = width
            while textEnd > 0, grid[column: textEnd - 1, row: row].text == " " { textEnd -= 1 }
            var left = Ink.plain
            for column in 0..<columns {
                var text = " "
                if column < width {
                    let cell = grid[column: column, row: row]
                    text = cell.text
                    if cell.style != last {
                        last = cell.style
                        if let known = inks[cell.style] {
                            ink = known
                        } else {
                            ink = curses(look(cell.style))
                            inks[cell.style] = ink
                        }
                    }
                    // A wide character that the screen's edge cuts.
                    if column + 1 == columns, text.utf8.count > 1, isWide(grid, column, row) { text = " " }
                    // Curses fills the last cell of the screen from its left neighbour (PutCharLR in tty_update.c),
                    // and would tear
                    // a wide character there apart.
                    if row + 1 == shownSize.rows {
                        if column + 3 == columns, isWide(grid, column, row) { text = "?" }
                        if column + 2 == columns, text.isEmpty { text = " " }
                    }
                    var used = ink
                    if text == " " {
                        // A blank has no ink of its own: take one that is in use, and no sequence need be sent.
                        let plain = column >= textEnd ? Ink.plain : left
                        if ink.blank != nil, ink.blank == plain.blank { used = plain }
                    }
                    left = used
                } else {
                    left = .plain
                }
                let index = row * columns + column
                let placed = Placed(text: text, attributes: left.attributes, pair: left.pair)
                if placed == shown[index] { continue }
                // Half of what curses knows as one wide character: tell it both halves.
                if text.isEmpty, column > 0 { putCell(grid, column - 1, row, shown[index - 1]) }
                shown[index] = placed
                changed = true
                if !text.isEmpty { putCell(grid, column, row, placed) }
            }
        }
        return changed
    }

    private func isWide(_ grid: Grid, _ column: Int, _ row: Int) -> Bool {
        column + 1 < grid.size.columns && row < grid.size.rows && grid[column: column + 1, row: row].text.isEmpty
    }

    private func putCell(_ grid: Grid, _ column: Int, _ row: Int, _ placed: Placed) {
        // Where one character stands in for a wide one, the right half is a cell of its own.
        let isAlone = placed.text.utf8.count == 1
        let cells = !isAlone && column + 1 < shownSize.columns && isWide(grid, column, row) ? 2 : 1
        let drawn = glyphs.drawn(placed.text, cells: cells)
        let attributes = drawn.isLineDrawing ? placed.attributes | nc_a_altcharset() : placed.attributes
        // ERR is what curses says after the last cell of the screen, though it has taken it.
        _ = nc_put(window, Int32(row), Int32(column), drawn.first, attributes, placed.pair)
        if let second = drawn.second {
            _ = nc_put(window, Int32(row), Int32(column + 1), second, attributes, placed.pair)
        }
    }

    private func curses(_ look: Look) -> Ink {
        let (pair, bold) = pairs.pair(look)
        var attributes: attr_t = 0
        if bold || look.attributes.contains(.bold) { attributes |= nc_a_bold() }
        if look.attributes.contains(.dim) { attributes |= nc_a_dim() }
        if look.attributes.contains(.underline) { attributes |= nc_a_underline() }
        if look.attributes.contains(.reverse) { attributes |= nc_a_reverse() }
        if look.attributes.contains(.italic) { attributes |= nc_a_italic() }
        var blank: ThemeColor?
        if look.attributes.isDisjoint(with: [.underline, .reverse]) { blank = colors > 0 ? look.bg : .terminalDefault }
        return Ink(attributes: attributes, pair: pair, blank: blank)
    }

    private func placeCursor(_ grid: Grid) -> Bool {
        var wanted = grid.cursor
        if let place = wanted,
            place.column < 0 || place.row < 0 || place.column >= shownSize.columns || place.row >= shownSize.rows
        {
            wanted = nil
        }
        let changed = (wanted != nil) != cursorIsVisible
        if changed {
            cursorIsVisible = wanted != nil
            leaveok(window, !cursorIsVisible)
            curs_set(cursorIsVisible ? 1 : 0)
        }
        guard let wanted else { return changed }
        wmove(window, Int32(wanted.row), Int32(wanted.column))
        return true
    }

    /// Paints everything anew with the next `show` (Ctrl-L: something else has written on the screen).
    package func redraw() {
        guard !isStopped else { return }
        forget()
        nc_repaint()
    }

    private func forget() {
        for index in shown.indices { shown[index] = Placed(text: "\u{0}", attributes: 0, pair: -1) }
    }

    // MARK: Size

    /// The window's size now. A window without a size counts as one cell.
    package func size() -> Size {
        let size = Self.windowSize() ?? shownSize
        return Size(columns: max(1, size.columns), rows: max(1, size.rows))
    }

    private static func windowSize() -> Size? {
        var window = winsize()
        guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &window) == 0 else { return nil }
        return Size(columns: Int(window.ws_col), rows: Int(window.ws_row))
    }

    /// Makes the screen as large as the window has become. The next `show` paints all of it.
    package func resize(to wanted: Size) {
        guard !isStopped else { return }
        let size = Size(columns: min(max(1, wanted.columns), 9999), rows: min(max(1, wanted.rows), 9999))
        resizeterm(Int32(size.rows), Int32(size.columns))
        shownSize = size
        shown = Array(
            repeating: Placed(text: "\u{0}", attributes: 0, pair: -1), count: size.columns * size.rows)
        nc_repaint()
        Self.setRestoringBytes(capabilities, options, size)
    }

    // MARK: Reading

    /// Reads all that waits: call when poll(2) reports the input descriptor. Never waits, but for the 25 ms that tell
    /// an
    /// Escape key from the beginning of a sequence.
    package func read() -> Input {
        guard !isStopped else { return Input(keys: [], isHungUp: true) }
        var keys: [Key] = []
        // A bound, so that a flood of input cannot keep the screen from being drawn.
        while keys.count < 1024, let unit = nextUnit() {
            keys += KeyDecoder.key(unit, next: { nextUnit() }, mouse: { mouseReport() })
        }
        var state = pollfd(fd: inputDescriptor, events: Int16(POLLIN), revents: 0)
        var isHungUp = false
        if poll(&state, 1, 0) > 0 {
            let gone = Int16(POLLHUP | POLLERR | POLLNVAL)
            var waiting: Int32 = 0
            // Readable with nothing to read is the end of the input.
            let isEnd =
                state.revents & Int16(POLLIN) != 0 && keys.isEmpty
                && ioctl(inputDescriptor, UInt(FIONREAD), &waiting) == 0 && waiting == 0
            isHungUp = state.revents & gone != 0 || isEnd
        }
        return Input(keys: keys, isHungUp: isHungUp)
    }

    private func nextUnit() -> KeyDecoder.Unit? {
        var value: wint_t = 0
        let result = wget_wch(window, &value)
        if result == KEY_CODE_YES { return .code(Int32(bitPattern: value)) }
        return result == OK ? .character(value) : nil
    }

    private var lastPress: (column: Int32, row: Int32, at: Int)?

    private func mouseReport() -> Key? {
        var event = MEVENT()
        guard getmouse(&event) == OK else { return nil }
        let (column, row) = (Int(event.x), Int(event.y))
        if event.bstate & nc_wheel_up() != 0 { return .mouse(Key.Mouse(.wheelUp, column: column, row: row)) }
        if event.bstate & nc_wheel_down() != 0 { return .mouse(Key.Mouse(.wheelDown, column: column, row: row)) }
        guard event.bstate & nc_press() != 0 else { return nil }
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        let now = time.tv_sec * 1000 + time.tv_nsec / 1_000_000
        // Curses could find double clicks itself, by holding every press back for a while.
        if let last = lastPress, last.column == event.x, last.row == event.y, now - last.at <= 400 {
            lastPress = nil
            return .mouse(Key.Mouse(.doubleClick, column: column, row: row))
        }
        lastPress = (event.x, event.y, now)
        return .mouse(Key.Mouse(.press, column: column, row: row))
    }

    // MARK: Stopping and going on

    /// Gives the terminal back and stops the process group, as Ctrl-Z is to do. Returns when the shell continued it.
    /// In a process group that nothing could continue it does not stop and returns at once.
    package func suspend() -> Resumption {
        guard !isStopped else { return .ending }
        giveBack()
        return takeAgain(bb_suspend(inputDescriptor))
    }

    /// Takes the terminal again after `TerminalSignal.goOn`: the process was stopped without being asked, and the shell
    /// or the guardian has used the screen since.
    package func resume() -> Resumption {
        guard !isStopped else { return .ending }
        giveBack()
        return takeAgain(bb_wait_foreground(inputDescriptor))
    }

    private func takeAgain(_ result: Int32) -> Resumption {
        guard result != 2 else { return .ending }
        bb_terminal_take(1)
        let size = size()
        resize(to: size)
        enter()
        return .resumed(size)
    }

    private func giveBack() {
        guard isendwin() == false else { return bb_terminal_gave_back() }
        leaveModes()
        endwin()
        bb_terminal_gave_back()
    }

    // MARK: Modes that curses does not know

    /// Takes the screen, at the start and after a stop.
    private func enter() {
        reset_prog_mode()
        // What curses does first would reset the colours that the user gave to the palette (terminfo `oc`), though we
        // change none: let that lead nowhere, and say the rest in its place.
        bb_terminal_mute(1)
        doupdate()
        curs_set(0)
        if options.mouse { mousemask(0, nil) }
        bb_terminal_mute(0)
        cursorIsVisible = false
        leaveok(window, true)
        send(capabilities.entering)
        if options.mouse { mousemask(Self.reports, nil) }
        send(capabilities.focusOn(options))
        nc_repaint()
    }

    /// What the mouse is to report.
    private static let reports = nc_press() | nc_wheel_up() | nc_wheel_down()

    /// Begins or ends asking for mouse reports.
    package func setMouse(_ isOn: Bool) {
        guard !isStopped, options.mouse != isOn else { return }
        options.mouse = isOn
        // Before the reports begin and after they have ended, whoever gives the terminal back ends them, too.
        if isOn { Self.setRestoringBytes(capabilities, options, shownSize) }
        mousemask(isOn ? Self.reports : 0, nil)
        fflush(stream)
        if !isOn { Self.setRestoringBytes(capabilities, options, shownSize) }
    }

    private func leaveModes() { send(capabilities.focusOff(options)) }

    private func send(_ bytes: [UInt8]) {
        var sent = 0
        while sent < bytes.count {
            let count = bytes[sent...].withUnsafeBytes { write(output, $0.baseAddress, $0.count) }
            if count < 0 && errno != EINTR { return }
            sent += max(0, count)
        }
    }

    private func send(_ text: String) { send(Array(text.utf8)) }

    private static func setRestoringBytes(_ capabilities: Capabilities, _ options: Options, _ size: Size) {
        let bytes = capabilities.restoring(options, size)
        _ = bb_terminal_set_bytes(bytes, bytes.count)
    }

    // MARK: Other

    /// Puts text into the clipboard of the user's terminal, even at the far end of a connection (OSC 52). Does nothing
    /// if
    /// the option is off, and for more than 74,994 bytes, the least that terminals are known to take.
    /// - Returns: whether it was sent. Whether the terminal obeyed cannot be known.
    @discardableResult
    package func copyToClipboard(_ text: String) -> Bool {
        guard !isStopped, options.clipboard, text.utf8.count <= 74994 else { return false }
        send("\u{1b}]52;c;\(Base64.encoded(Array(text.utf8)))\u{07}")
        return true
    }

    /// What has been written to standard error since the last call, at most 16 KiB: for the program's own log.
    /// What is not taken is shown when the terminal is given back.
    package func takeStandardError() -> String {
        let text = [CChar](unsafeUninitializedCapacity: 16384) { buffer, count in
            count = bb_stderr_take(buffer.baseAddress, buffer.count)
        }
        return String(decoding: text.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

/// RFC 4648, without Foundation, which costs milliseconds at start.
enum Base64 {
    static func encoded(_ bytes: [UInt8]) -> String {
        let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
        var text = ""
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            let value = group.reduce(0) { $0 << 8 | Int($1) } << (8 * (3 - group.count))
            for place in 0..<4 {
                text.append(place <= group.count ? letters[value >> (18 - 6 * place) & 63] : "=")
            }
        }
        return text
    }
}
