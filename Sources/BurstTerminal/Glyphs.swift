import BurstScreen
import CCurses
import CSys
import Glibc

/// What may be sent to this terminal for the text of a cell.
struct Glyphs {
    private enum Repertoire { case unicode, lineDrawing, ascii }
    private let repertoire: Repertoire
    private var known: [String: Drawn] = [:]

    /// What to put into one or two cells.
    struct Drawn: Hashable {
        /// The characters of the first cell, ended by 0.
        var first: [wchar_t]
        /// Whether the second cell of a wide character gets a character of its own, because the wide one cannot be
        /// sent.
        var second: [wchar_t]?
        var isLineDrawing = false
    }

    /// - Parameter ascii: send ASCII only, whatever the locale says.
    init(ascii: Bool) {
        if ascii {
            repertoire = .ascii
        } else if let codeset = nl_langinfo(nl_item(CODESET)), String(cString: codeset) == "UTF-8" {
            repertoire = .unicode
        } else {
            repertoire = .lineDrawing
        }
    }

    /// Whether text beyond ASCII arrives as it is.
    var isUnicode: Bool { repertoire == .unicode }

    /// - Parameter cells: how many cells the grid gave to it.
    mutating func drawn(_ text: String, cells: Int) -> Drawn {
        let key = cells == 2 ? text + "\u{0}" : text
        if let drawn = known[key] { return drawn }
        let drawn = make(text, cells: cells)
        // Job names are without number: do not collect them for ever.
        if known.count >= 4096 { known.removeAll(keepingCapacity: true) }
        known[key] = drawn
        return drawn
    }

    private static let question = wchar_t(0x3f)
    private static let blank = wchar_t(0x20)

    private func make(_ text: String, cells: Int) -> Drawn {
        let scalars = Array(text.unicodeScalars)
        guard let base = scalars.first else { return Drawn(first: [Self.blank, 0]) }
        if base.isASCII {
            let isPrintable = base.value >= 0x20 && base.value < 0x7f
            guard repertoire == .unicode, scalars.count > 1, isPrintable else {
                return Drawn(first: [isPrintable ? wchar_t(bitPattern: base.value) : Self.question, 0])
            }
        }
        if repertoire == .unicode {
            // The C library must agree on the width, because curses asks it; where it does not, nothing may shift.
            let wide = wchar_t(bitPattern: base.value)
            guard bb_character_cells(base.value) == Int32(cells) else { return unknown(cells) }
            let marks = scalars.dropFirst().lazy
                .filter { bb_character_cells($0.value) == 0 }.prefix(Int(CCHARW_MAX) - 1)
                .map { wchar_t(bitPattern: $0.value) }
            return Drawn(first: [wide] + marks + [0])
        }
        guard scalars.count == 1, cells == 1, let twin = Self.twins[base] else { return unknown(cells) }
        if repertoire == .lineDrawing {
            let mapped = nc_acs(twin.lineDrawing)
            if attr_t(mapped) & nc_a_altcharset() != 0 {
                return Drawn(first: [wchar_t(mapped & 0xff), 0], isLineDrawing: true)
            }
        }
        return Drawn(first: [wchar_t(twin.ascii), 0])
    }

    private func unknown(_ cells: Int) -> Drawn {
        Drawn(first: [Self.question, 0], second: cells == 2 ? [Self.question, 0] : nil)
    }

    /// The VT100 line-drawing letter (terminfo `acsc`) and the ASCII character of what screens draw with.
    private static let twins: [Unicode.Scalar: (lineDrawing: UInt8, ascii: UInt8)] = {
        var twins: [Unicode.Scalar: (lineDrawing: UInt8, ascii: UInt8)] = [:]
        func add(_ characters: String, _ lineDrawing: Unicode.Scalar, _ ascii: Unicode.Scalar) {
            for scalar in characters.unicodeScalars {
                twins[scalar] = (UInt8(ascii: lineDrawing), UInt8(ascii: ascii))
            }
        }
        add("─━═╌╍┄┅┈┉", "q", "-")
        add("│┃║╎╏┆┇┊┋", "x", "|")
        add("┌┏╔╭", "l", "+")
        add("┐┓╗╮", "k", "+")
        add("└┗╚╰", "m", "+")
        add("┘┛╝╯", "j", "+")
        add("├┣╠", "t", "+")
        add("┤┫╣", "u", "+")
        add("┬┳╦", "w", "+")
        add("┴┻╩", "v", "+")
        add("┼╋╬", "n", "+")
        add("▒░▓", "a", ":")
        add("█", "0", "#")
        add("·•", "~", ".")
        add("◆", "`", "*")
        return twins
    }()
}
