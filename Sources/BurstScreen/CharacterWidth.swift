/// How many terminal cells text takes (monitor.md §3.3: text is measured in cells and clipped on a cell boundary).
///
/// Terminals disagree about emoji sequences: one draws a family in two cells, another in eight. Only what all of them
/// draw
/// alike is passed on: a base character with a few combining marks, one by one. Joiners, variation selectors, skin
/// tones and
/// marks of direction are dropped, so a family becomes its members, side by side.
package enum CharacterWidth {
    /// The most combining marks that stay with their base (curses keeps five characters a cell); more are dropped.
    package static let marksMax = 4

    /// Cuts text into pieces, each of which stands in one or two cells, until `body` returns false.
    /// Control characters, unassigned ones and line ends come as `?`.
    package static func forEachPiece(in text: String, _ body: (_ text: String, _ cells: Int) -> Bool) {
        let scalars = text.unicodeScalars
        var at = scalars.startIndex
        while at < scalars.endIndex {
            let base = scalars[at]
            at = scalars.index(after: at)
            let count = cells(of: base)
            if count == 0 { continue }
            var piece = count < 0 ? "?" : String(Character(base))
            var marks = 0
            while at < scalars.endIndex, scalars[at].value >= 0x300, cells(of: scalars[at]) == 0 {
                if count > 0, marks < marksMax, stays(scalars[at]) {
                    piece.unicodeScalars.append(scalars[at])
                    marks += 1
                }
                at = scalars.index(after: at)
            }
            guard body(piece, max(1, count)) else { return }
        }
    }

    /// What is put on the screen for a character, and the cells that it takes.
    package static func shown(_ character: Character) -> (text: String, cells: Int) {
        var shown = ("", 0)
        forEachPiece(in: String(character)) { text, cells in
            shown = (shown.0 + text, shown.1 + cells)
            return true
        }
        return shown
    }

    /// The cells that a text takes when it is shown.
    package static func cells(of text: String) -> Int {
        if text.utf8.allSatisfy({ $0 < 0x80 }) { return text.utf8.count }
        return text.unicodeScalars.reduce(0) { $0 + abs(cells(of: $1)) }
    }

    /// Whether a character without width is passed on with its base. It is the marks that are: a variation selector
    /// would make some terminals widen the base, and a format character can turn the direction of a whole line.
    private static func stays(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .nonspacingMark, .enclosingMark: !(0xFE00...0xFE0F).contains(scalar.value) && scalar.value < 0xE0000
        case .otherLetter: true
        default: false
        }
    }

    /// Cells of one scalar; -1 for control characters and others that are not passed on but replaced.
    static func cells(of scalar: Unicode.Scalar) -> Int {
        let value = scalar.value
        if value < 0x20 || (value >= 0x7f && value < 0xa0) { return -1 }
        if value < 0x300 { return value == 0xad ? 0 : 1 }
        // Vowels and finals that join the Hangul letter before them; skin tones.
        if (0x1160...0x11FF).contains(value) || (0x1F3FB...0x1F3FF).contains(value) { return 0 }
        switch scalar.properties.generalCategory {
        case .nonspacingMark, .enclosingMark, .format: return 0
        case .control, .surrogate, .lineSeparator, .paragraphSeparator, .unassigned: return -1
        default: break
        }
        return isWide(value) ? 2 : 1
    }

    /// East Asian Wide and Fullwidth, and emoji presentation (Unicode Standard Annex 11).
    private static func isWide(_ value: UInt32) -> Bool {
        guard value >= 0x1100 else { return false }
        var low = 0
        var high = wide.count - 1
        while low <= high {
            let middle = (low + high) / 2
            if value < wide[middle].lowerBound {
                high = middle - 1
            } else if value > wide[middle].upperBound {
                low = middle + 1
            } else {
                return true
            }
        }
        return false
    }

    private static let wide: [ClosedRange<UInt32>] = [
        0x1100...0x115F, 0x231A...0x231B, 0x2329...0x232A, 0x23E9...0x23EC, 0x23F0...0x23F0, 0x23F3...0x23F3,
        0x25FD...0x25FE, 0x2614...0x2615, 0x2648...0x2653, 0x267F...0x267F, 0x2693...0x2693, 0x26A1...0x26A1,
        0x26AA...0x26AB, 0x26BD...0x26BE, 0x26C4...0x26C5, 0x26CE...0x26CE, 0x26D4...0x26D4, 0x26EA...0x26EA,
        0x26F2...0x26F3, 0x26F5...0x26F5, 0x26FA...0x26FA, 0x26FD...0x26FD, 0x2705...0x2705, 0x270A...0x270B,
        0x2728...0x2728, 0x274C...0x274C, 0x274E...0x274E, 0x2753...0x2755, 0x2757...0x2757, 0x2795...0x2797,
        0x27B0...0x27B0, 0x27BF...0x27BF, 0x2B1B...0x2B1C, 0x2B50...0x2B50, 0x2B55...0x2B55, 0x2E80...0x303E,
        0x3041...0x33FF, 0x3400...0x4DBF, 0x4E00...0x9FFF, 0xA000...0xA4CF, 0xA960...0xA97F, 0xAC00...0xD7A3,
        0xF900...0xFAFF, 0xFE10...0xFE19, 0xFE30...0xFE6F, 0xFF00...0xFF60, 0xFFE0...0xFFE6, 0x16FE0...0x16FF1,
        0x17000...0x18CFF, 0x1AFF0...0x1B2FB, 0x1F004...0x1F004, 0x1F0CF...0x1F0CF, 0x1F18E...0x1F18E,
        0x1F191...0x1F19A, 0x1F200...0x1F320, 0x1F32D...0x1F335, 0x1F337...0x1F37C, 0x1F37E...0x1F393,
        0x1F3A0...0x1F3CA, 0x1F3CF...0x1F3D3, 0x1F3E0...0x1F3F0, 0x1F3F4...0x1F3F4, 0x1F3F8...0x1F43E,
        0x1F440...0x1F440, 0x1F442...0x1F4FC, 0x1F4FF...0x1F53D, 0x1F54B...0x1F54E, 0x1F550...0x1F567,
        0x1F57A...0x1F57A, 0x1F595...0x1F596, 0x1F5A4...0x1F5A4, 0x1F5FB...0x1F64F, 0x1F680...0x1F6C5,
        0x1F6CC...0x1F6CC, 0x1F6D0...0x1F6D2, 0x1F6D5...0x1F6D7, 0x1F6DC...0x1F6DF, 0x1F6EB...0x1F6EC,
        0x1F6F4...0x1F6FC, 0x1F7E0...0x1F7EB, 0x1F7F0...0x1F7F0, 0x1F90C...0x1F93A, 0x1F93C...0x1F945,
        0x1F947...0x1F9FF, 0x1FA70...0x1FAFF, 0x20000...0x2FFFD, 0x30000...0x3FFFD,
    ]
}
