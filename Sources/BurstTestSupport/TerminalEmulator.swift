package import BurstScreen

/// A terminal in memory: reads what a program writes and knows what a user would see.
///
/// It understands what terminfo entries of vt100, linux, xterm, screen and tmux make programs send (ECMA-48 and xterm's
/// ctlseqs); anything else is noted in `unknown`, never guessed at.
package struct TerminalEmulator: Sendable {
    package enum Color: Hashable, Sendable {
        case usual
        case indexed(Int)
        case rgb(Int, Int, Int)
    }

    /// How a cell looks.
    package struct Rendition: Hashable, Sendable {
        package var foreground = Color.usual
        package var background = Color.usual
        package var isBold = false
        package var isDim = false
        package var isItalic = false
        package var isUnderlined = false
        package var isBlinking = false
        package var isReversed = false
    }

    package struct Cell: Hashable, Sendable {
        /// Empty in the right half of a wide character.
        package var text: String
        package var rendition: Rendition
    }

    package struct Position: Hashable, Sendable {
        package var column: Int
        package var row: Int

        package init(column: Int, row: Int) {
            self.column = column
            self.row = row
        }
    }

    package private(set) var size: Size
    package private(set) var cursor = Position(column: 0, row: 0)
    package private(set) var rendition = Rendition()
    /// DEC private modes and their state as last set. Those that were never mentioned are missing.
    package private(set) var modes: [Int: Bool] = [:]
    package private(set) var isOnAlternateScreen = false
    package private(set) var isKeypadInApplicationMode = false
    /// Sequences that are not understood, as text, each once.
    package private(set) var unknown: Set<String> = []
    /// Each kind of sequence that came, by its final part ("CSI H", "CSI ? 25 h", "ESC 7", "SGR 38"): for tests that
    /// compare
    /// with a terminfo entry.
    package private(set) var seen: Set<String> = []
    /// Operating system commands (OSC), whole.
    package private(set) var commands: [String] = []
    package private(set) var bytes = 0
    package private(set) var bytesBeyondASCII = 0
    package private(set) var bells = 0

    /// DECTCEM.
    package var isCursorVisible: Bool { modes[25] ?? true }
    /// Any of the mouse reports.
    package var reportsMouse: Bool { [9, 1000, 1002, 1003].contains { modes[$0] == true } }
    package var reportsFocus: Bool { modes[1004] == true }
    package var bracketsPaste: Bool { modes[2004] == true }
    package var isInSynchronisedUpdate: Bool { modes[2026] == true }

    /// Whether the terminal is as a shell expects it: what must hold after a program ended, however it ended.
    package var isGivenBack: Bool {
        !isOnAlternateScreen && isCursorVisible && !reportsMouse && !reportsFocus && !bracketsPaste
            && !isInSynchronisedUpdate && !isKeypadInApplicationMode && modes[1] != true && rendition == Rendition()
            && !isDrawingLines && top == 0 && bottom == size.rows - 1
    }

    private var screen: [Cell]
    private var mainScreen: [Cell] = []
    private var top = 0
    private var bottom: Int
    private var tabs: Set<Int> = []
    private var isWrapPending = false
    private var saved: [Bool: Saved] = [:]
    private var charsets: [UInt8] = [0x42, 0x42]
    private var activeCharset = 0
    private var lastPrinted = ""

    private struct Saved: Sendable {
        var cursor: Position
        var rendition: Rendition
        var charsets: [UInt8]
        var activeCharset: Int
    }

    private var isDrawingLines: Bool { charsets[activeCharset] == 0x30 }

    package init(size: Size) {
        self.size = size
        bottom = size.rows - 1
        screen = Array(repeating: Cell(text: " ", rendition: Rendition()), count: size.columns * size.rows)
        resetTabs()
    }

    private mutating func resetTabs() { tabs = Set(stride(from: 8, to: 1000, by: 8)) }

    // MARK: What is seen

    package subscript(column column: Int, row row: Int) -> Cell { screen[row * size.columns + column] }

    /// The text of a row, without trailing blanks.
    package func line(_ row: Int) -> String {
        var text = (0..<size.columns).map { self[column: $0, row: row].text }.joined()
        while text.last == " " { text.removeLast() }
        return text
    }

    /// The screen as text, a line feed after each row, as `Grid.text`.
    package var text: String { (0..<size.rows).map { line($0) + "\n" }.joined() }

    package func contains(_ text: String) -> Bool { (0..<size.rows).contains { line($0).contains(text) } }

    /// Changes the window's size, as xterm does: rows and columns are cut or added at the bottom and the right.
    package mutating func resize(to new: Size) {
        func moved(_ cells: [Cell]) -> [Cell] {
            guard !cells.isEmpty || size.columns * size.rows == 0 else { return [] }
            var result = Array(repeating: Cell(text: " ", rendition: Rendition()), count: new.columns * new.rows)
            for row in 0..<min(size.rows, new.rows) {
                for column in 0..<min(size.columns, new.columns) {
                    result[row * new.columns + column] = cells[row * size.columns + column]
                }
            }
            return result
        }
        screen = moved(screen)
        if isOnAlternateScreen { mainScreen = moved(mainScreen) }
        size = new
        top = 0
        bottom = new.rows - 1
        cursor = Position(
            column: min(cursor.column, max(0, new.columns - 1)), row: min(cursor.row, max(0, new.rows - 1)))
        isWrapPending = false
    }

    // MARK: Reading

    private enum State {
        case ground, escape, escapeIntermediate, control, string
    }
    private var state = State.ground
    private var pending: [UInt8] = []
    private var character: [UInt8] = []

    package mutating func feed(_ input: some Sequence<UInt8>) {
        for byte in input {
            bytes += 1
            if byte >= 0x80 { bytesBeyondASCII += 1 }
            feed(byte)
        }
    }

    private mutating func feed(_ byte: UInt8) {
        if !character.isEmpty || (byte >= 0x80 && state == .ground) { return feedCharacter(byte) }
        if state == .string { return feedString(byte) }
        if byte == 0x1b {
            state = .escape
            pending = []
            return
        }
        if byte < 0x20 {
            // Control characters act even inside a sequence (ECMA-48 leaves it open, DEC terminals do it).
            if byte == 0x18 || byte == 0x1a { state = .ground } else { control(byte) }
            return
        }
        switch state {
        case .ground: if byte != 0x7f { printASCII(byte) }
        case .escape: escape(byte)
        case .escapeIntermediate:
            pending.append(byte)
            if byte >= 0x30 {
                state = .ground
                designate()
            }
        case .control:
            pending.append(byte)
            if byte >= 0x40 {
                state = .ground
                controlSequence()
            }
        case .string: break
        }
    }

    private mutating func feedCharacter(_ byte: UInt8) {
        if !character.isEmpty, byte & 0xc0 != 0x80 {
            character = []
            note("bad UTF-8")
            return feed(byte)
        }
        character.append(byte)
        let lead = character[0]
        let length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc2 ? 2 : 1
        guard character.count == length else { return }
        let text = String(decoding: character, as: UTF8.self)
        character = []
        guard length > 1, let scalar = text.unicodeScalars.first, text.unicodeScalars.count == 1, scalar != "\u{FFFD}"
        else {
            return note("bad UTF-8")
        }
        let cells = CharacterWidth.cells(of: text)
        if cells == 0 { attach(text) } else { put(text, cells: cells) }
    }

    private mutating func note(_ what: String) { unknown.insert(what) }

    private mutating func feedString(_ byte: UInt8) {
        // Ends with BEL or ESC \; the backslash is eaten with the escape state.
        if byte == 0x07 || byte == 0x1b {
            if pending.first == 0x5d { commands.append(String(decoding: pending.dropFirst(), as: UTF8.self)) }
            seen.insert("string \(Character(Unicode.Scalar(pending[0])))")
            state = byte == 0x1b ? .escape : .ground
            pending = []
        } else {
            pending.append(byte)
        }
    }

    private mutating func control(_ byte: UInt8) {
        switch byte {
        case 0x07: bells += 1
        case 0x08:
            cursor.column = max(0, cursor.column - 1)
            isWrapPending = false
        case 0x09:
            repeat { cursor.column += 1 } while cursor.column < size.columns - 1 && !tabs.contains(cursor.column)
            cursor.column = min(cursor.column, size.columns - 1)
        case 0x0a, 0x0b, 0x0c: index()
        case 0x0d:
            cursor.column = 0
            isWrapPending = false
        case 0x0e: activeCharset = 1
        case 0x0f: activeCharset = 0
        case 0x00: break
        default: note("control \(byte)")
        }
    }

    private static let lineDrawing: [UInt8: String] = [
        0x60: "◆", 0x61: "▒", 0x66: "°", 0x67: "±", 0x6a: "┘", 0x6b: "┐", 0x6c: "┌", 0x6d: "└", 0x6e: "┼", 0x6f: "⎺",
        0x70: "⎻",
        0x71: "─", 0x72: "⎼", 0x73: "⎽", 0x74: "├", 0x75: "┤", 0x76: "┴", 0x77: "┬", 0x78: "│", 0x79: "≤", 0x7a: "≥",
        0x7b: "π",
        0x7c: "≠", 0x7d: "£", 0x7e: "·", 0x30: "█",
    ]

    private mutating func printASCII(_ byte: UInt8) {
        if isDrawingLines, let drawn = Self.lineDrawing[byte] {
            put(drawn, cells: 1)
        } else {
            put(String(Character(Unicode.Scalar(byte))), cells: 1)
        }
    }

    private mutating func attach(_ mark: String) {
        var column = cursor.column - (isWrapPending ? 0 : 1)
        guard column >= 0 else { return }
        if self[column: column, row: cursor.row].text.isEmpty { column -= 1 }
        guard column >= 0 else { return }
        screen[cursor.row * size.columns + column].text += mark
    }

    private mutating func put(_ text: String, cells: Int) {
        guard size.columns >= cells, size.rows > 0 else { return }
        if isWrapPending || cursor.column + cells > size.columns {
            if modes[7] ?? true {
                cursor.column = 0
                index()
            } else {
                cursor.column = size.columns - cells
            }
            isWrapPending = false
        }
        for place in 0..<cells { release(cursor.column + place) }
        let at = cursor.row * size.columns + cursor.column
        screen[at] = Cell(text: text, rendition: rendition)
        if cells == 2 { screen[at + 1] = Cell(text: "", rendition: rendition) }
        lastPrinted = text
        if cursor.column + cells == size.columns {
            cursor.column = size.columns - 1
            isWrapPending = true
        } else {
            cursor.column += cells
        }
    }

    /// A cell of the cursor's row stops to be half of a wide character.
    private mutating func release(_ column: Int) {
        let at = cursor.row * size.columns + column
        if screen[at].text.isEmpty {
            if column > 0 { screen[at - 1].text = " " }
            screen[at].text = " "
        } else if column + 1 < size.columns, screen[at + 1].text.isEmpty {
            screen[at + 1].text = " "
        }
    }

    /// A line down, scrolling at the bottom of the region.
    private mutating func index() {
        isWrapPending = false
        if cursor.row == bottom { scroll(up: 1, from: top) } else { cursor.row = min(cursor.row + 1, size.rows - 1) }
    }

    private mutating func reverseIndex() {
        isWrapPending = false
        if cursor.row == top { scroll(up: -1, from: top) } else { cursor.row = max(cursor.row - 1, 0) }
    }

    /// What erasing leaves: the background colour is kept (terminfo `bce`), as xterm does.
    private var blank: Cell {
        Cell(text: " ", rendition: Rendition(background: rendition.background))
    }

    private mutating func scroll(up count: Int, from first: Int) {
        guard first <= bottom else { return }
        for _ in 0..<min(abs(count), bottom - first + 1) {
            if count > 0 {
                screen.removeSubrange(first * size.columns..<(first + 1) * size.columns)
                screen.insert(
                    contentsOf: Array(repeating: blank, count: size.columns), at: bottom * size.columns)
            } else {
                screen.removeSubrange(bottom * size.columns..<(bottom + 1) * size.columns)
                screen.insert(contentsOf: Array(repeating: blank, count: size.columns), at: first * size.columns)
            }
        }
    }

    // MARK: Escape sequences

    private mutating func escape(_ byte: UInt8) {
        switch byte {
        case 0x5b: state = .control
        case 0x5d, 0x50, 0x58, 0x5e, 0x5f:
            state = .string
            pending = [byte]
        case 0x20...0x2f:
            state = .escapeIntermediate
            pending = [byte]
        default:
            state = .ground
            let final = Character(Unicode.Scalar(byte))
            seen.insert("ESC \(final)")
            switch final {
            case "7": save()
            case "8": restore()
            case "D": index()
            case "E":
                cursor.column = 0
                index()
            case "M": reverseIndex()
            case "H": tabs.insert(cursor.column)
            case "=": isKeypadInApplicationMode = true
            case ">": isKeypadInApplicationMode = false
            case "c": self = Self.reset(self)
            case "\\": break
            default: note("ESC \(final)")
            }
        }
    }

    private static func reset(_ old: TerminalEmulator) -> TerminalEmulator {
        var new = TerminalEmulator(size: old.size)
        new.unknown = old.unknown
        new.seen = old.seen
        new.bytes = old.bytes
        new.bytesBeyondASCII = old.bytesBeyondASCII
        return new
    }

    private mutating func designate() {
        let text = String(decoding: pending, as: UTF8.self)
        seen.insert("ESC \(text)")
        switch pending.first {
        case 0x28: charsets[0] = pending[1]
        case 0x29: charsets[1] = pending[1]
        default: note("ESC \(text)")
        }
    }

    private mutating func save() {
        saved[isOnAlternateScreen] = Saved(
            cursor: cursor, rendition: rendition, charsets: charsets, activeCharset: activeCharset)
    }

    private mutating func restore() {
        guard let state = saved[isOnAlternateScreen] else { return }
        cursor = Position(column: min(state.cursor.column, size.columns - 1), row: min(state.cursor.row, size.rows - 1))
        (rendition, charsets, activeCharset) = (state.rendition, state.charsets, state.activeCharset)
        isWrapPending = false
    }

    private mutating func controlSequence() {
        let final = Character(Unicode.Scalar(pending.removeLast()))
        let isPrivate = pending.first == 0x3f
        let intermediates = pending.filter { $0 < 0x30 || ($0 >= 0x3c && !isPrivate) }
        let body = String(decoding: isPrivate ? pending.dropFirst() : pending[...], as: UTF8.self)
        let numbers = body.split(separator: ";", omittingEmptySubsequences: false).map { Int($0) ?? 0 }
        if !intermediates.isEmpty {
            note("CSI \(body)\(final)")
            seen.insert("CSI \(body)\(final)")
            return
        }
        if isPrivate {
            for number in numbers {
                seen.insert("CSI ? \(number) \(final)")
                privateMode(number, final)
            }
            return
        }
        if final == "m" { return select(body) }
        seen.insert("CSI \(final)")
        act(final, numbers)
    }

    private mutating func act(_ final: Character, _ numbers: [Int]) {
        let first = max(1, numbers.first ?? 1)
        let second = numbers.count > 1 ? max(1, numbers[1]) : 1
        if !"bJKm".contains(final) { isWrapPending = false }
        switch final {
        case "A": cursor.row = max(cursor.row >= top ? top : 0, cursor.row - first)
        case "B", "e": cursor.row = min(cursor.row <= bottom ? bottom : size.rows - 1, cursor.row + first)
        case "C", "a": cursor.column = min(size.columns - 1, cursor.column + first)
        case "D": cursor.column = max(0, cursor.column - first)
        case "E":
            cursor = Position(column: 0, row: min(size.rows - 1, cursor.row + first))
        case "F":
            cursor = Position(column: 0, row: max(0, cursor.row - first))
        case "G", "`": cursor.column = min(size.columns, first) - 1
        case "d": cursor.row = min(size.rows, first) - 1
        case "H", "f":
            cursor = Position(column: min(size.columns, second) - 1, row: min(size.rows, first) - 1)
        case "I": for _ in 0..<min(first, size.columns) { control(0x09) }
        case "Z":
            for _ in 0..<min(first, size.columns) {
                repeat {
                    cursor.column = max(0, cursor.column - 1)
                } while cursor.column > 0 && !tabs.contains(cursor.column)
            }
        case "J": eraseDisplay(numbers.first ?? 0)
        case "K": eraseLine(numbers.first ?? 0)
        case "X": eraseCells(cursor.column, min(size.columns, cursor.column + first))
        case "@": shiftCells(first)
        case "P": shiftCells(-first)
        case "L":
            if (top...bottom).contains(cursor.row) { scroll(up: -first, from: cursor.row) }
            cursor.column = 0
        case "M":
            if (top...bottom).contains(cursor.row) { scroll(up: first, from: cursor.row) }
            cursor.column = 0
        case "S": scroll(up: first, from: top)
        case "T": scroll(up: -first, from: top)
        case "b":
            let text = lastPrinted
            for _ in 0..<min(first, size.columns * size.rows) { put(text, cells: CharacterWidth.cells(of: text)) }
        case "r":
            let last = numbers.count > 1 && numbers[1] > 0 ? min(numbers[1], size.rows) : size.rows
            guard first < last else { return }
            (top, bottom) = (first - 1, last - 1)
            cursor = Position(column: 0, row: 0)
        case "g": if numbers.first == 3 { tabs = [] } else { tabs.remove(cursor.column) }
        case "h", "l": for number in numbers where ![4, 34].contains(number) { note("CSI \(number)\(final)") }
        case "s": save()
        case "u": restore()
        // The window manager's business: the title's stack, icon and so on.
        case "t": break
        default: note("CSI \(numbers.map(String.init).joined(separator: ";"))\(final)")
        }
    }

    private mutating func eraseCells(_ from: Int, _ to: Int) {
        guard from < to else { return }
        release(from)
        release(to - 1)
        for column in from..<to { screen[cursor.row * size.columns + column] = blank }
    }

    private mutating func eraseLine(_ kind: Int) {
        switch kind {
        case 0: eraseCells(cursor.column, size.columns)
        case 1: eraseCells(0, cursor.column + 1)
        default: eraseCells(0, size.columns)
        }
    }

    private mutating func eraseDisplay(_ kind: Int) {
        switch kind {
        case 0:
            eraseLine(0)
            for index in min((cursor.row + 1) * size.columns, screen.count)..<screen.count { screen[index] = blank }
        case 1:
            eraseLine(1)
            for index in 0..<cursor.row * size.columns { screen[index] = blank }
        case 2: for index in screen.indices { screen[index] = blank }
        default: break
        }
    }

    /// Inserts blanks at the cursor, or deletes cells from there.
    private mutating func shiftCells(_ count: Int) {
        release(cursor.column)
        let start = cursor.row * size.columns + cursor.column
        let end = (cursor.row + 1) * size.columns
        let number = min(abs(count), end - start)
        let blanks = Array(repeating: blank, count: number)
        if count > 0 {
            screen.removeSubrange((end - number)..<end)
            screen.insert(contentsOf: blanks, at: start)
        } else {
            screen.removeSubrange(start..<(start + number))
            screen.insert(contentsOf: blanks, at: end - number)
        }
        // A wide character that was cut through.
        for index in start..<end where screen[index].text.isEmpty {
            if index == start || CharacterWidth.cells(of: screen[index - 1].text) != 2 { screen[index].text = " " }
        }
        if CharacterWidth.cells(of: screen[end - 1].text) == 2 { screen[end - 1].text = " " }
    }

    private mutating func privateMode(_ number: Int, _ final: Character) {
        // The Linux console: the shape of the cursor.
        if final == "c" { return }
        guard final == "h" || final == "l" else { return note("CSI ? \(number) \(final)") }
        let isOn = final == "h"
        switch number {
        case 47, 1047, 1049: switchScreen(number, isOn)
        case 1048: if isOn { save() } else { restore() }
        case 1, 3, 4, 5, 7, 8, 9, 12, 25, 40, 45, 1000...1006, 1015, 1034, 2004, 2026: break
        default: note("CSI ? \(number) \(final)")
        }
        modes[number] = isOn
    }

    private mutating func switchScreen(_ number: Int, _ toAlternate: Bool) {
        guard toAlternate != isOnAlternateScreen else {
            // xterm moves the cursor even if the main screen is shown already.
            if number == 1049, !toAlternate { restore() }
            return
        }
        if toAlternate {
            if number == 1049 { save() }
            mainScreen = screen
            isOnAlternateScreen = true
            if number == 1049 { screen = screen.map { _ in Cell(text: " ", rendition: Rendition()) } }
        } else {
            screen = mainScreen
            mainScreen = []
            isOnAlternateScreen = false
            if number == 1049 { restore() }
        }
        isWrapPending = false
    }

    // MARK: Select graphic rendition

    private mutating func select(_ body: String) {
        // Parameters are separated by ";"; parts of one parameter (38:2::r:g:b) by ":".
        var parameters = body.split(separator: ";", omittingEmptySubsequences: false).map {
            $0.split(separator: ":", omittingEmptySubsequences: false).map { Int($0) ?? 0 }
        }[...]
        while let parameter = parameters.popFirst() {
            let code = parameter.first ?? 0
            seen.insert("SGR \(code)")
            switch code {
            case 0: rendition = Rendition()
            case 1: rendition.isBold = true
            case 2: rendition.isDim = true
            case 3: rendition.isItalic = true
            case 4: rendition.isUnderlined = true
            case 5: rendition.isBlinking = true
            case 7: rendition.isReversed = true
            // Which of several fonts: the Linux console and others use 10 to 12 for line drawing.
            case 10...12: break
            case 22: (rendition.isBold, rendition.isDim) = (false, false)
            case 23: rendition.isItalic = false
            case 24: rendition.isUnderlined = false
            case 25: rendition.isBlinking = false
            case 27: rendition.isReversed = false
            case 30...37: rendition.foreground = .indexed(code - 30)
            case 39: rendition.foreground = .usual
            case 40...47: rendition.background = .indexed(code - 40)
            case 49: rendition.background = .usual
            case 90...97: rendition.foreground = .indexed(code - 82)
            case 100...107: rendition.background = .indexed(code - 92)
            case 38, 48:
                var parts = parameter.dropFirst()
                if parts.isEmpty {
                    let count = parameters.first?.first == 2 ? 4 : 2
                    parts = parameters.prefix(count).map { $0.first ?? 0 }[...]
                    parameters = parameters.dropFirst(count)
                }
                guard let color = Self.color(Array(parts)) else { return note("SGR \(body)") }
                if code == 38 { rendition.foreground = color } else { rendition.background = color }
            default: note("SGR \(code)")
            }
        }
    }

    /// The parts after 38 or 48: 5 and an index, or 2, perhaps a colour space, and red, green, blue.
    private static func color(_ parts: [Int]) -> Color? {
        switch (parts.first, parts.count) {
        case (5, 2): .indexed(parts[1])
        case (2, 4): .rgb(parts[1], parts[2], parts[3])
        case (2, 5...): .rgb(parts[2], parts[3], parts[4])
        default: nil
        }
    }
}
