/// A size in character cells.
package struct Size: Hashable, Sendable {
    package var columns: Int
    package var rows: Int

    package init(columns: Int, rows: Int) {
        self.columns = columns
        self.rows = rows
    }
}

/// How a cell looks, in words of meaning: a role, and the role of what lies over it (a selected or tagged row).
/// The theme gives the colours: foreground from `role`, background and attributes from `overlay` where it sets them.
package struct Style: Hashable, Sendable {
    package var role: Role
    package var overlay: Role?

    package init(_ role: Role, over overlay: Role? = nil) {
        self.role = role
        self.overlay = overlay
    }
}

/// One character cell.
package struct Cell: Hashable, Sendable {
    /// What stands here: one base character with its combining marks. Empty in the right half of a wide character.
    package var text: String
    package var style: Style

    package init(_ text: String, _ style: Style) {
        self.text = text
        self.style = style
    }
}

/// A screen as a value: what `draw` returns, what a terminal shows and what golden tests compare.
///
/// Everything written is clipped to the grid; no coordinate is refused. Control characters become `?`.
package struct Grid: Hashable, Sendable {
    package let size: Size
    package private(set) var cells: [Cell]
    /// Where the hardware cursor stands, if it is to be seen (text fields).
    package var cursor: (column: Int, row: Int)? {
        get { cursorPosition.map { ($0.column, $0.row) } }
        set { cursorPosition = newValue.map { Position(column: $0.column, row: $0.row) } }
    }

    private struct Position: Hashable, Sendable {
        var column: Int
        var row: Int
    }
    private var cursorPosition: Position?

    package init(size: Size, style: Style = Style(.text)) {
        self.size = Size(columns: max(0, size.columns), rows: max(0, size.rows))
        cells = Array(repeating: Cell(" ", style), count: self.size.columns * self.size.rows)
    }

    package subscript(column column: Int, row row: Int) -> Cell {
        get { cells[row * size.columns + column] }
        set { cells[row * size.columns + column] = newValue }
    }

    /// Writes `text` at a place, at most `width` cells of it, and returns the number of cells used.
    /// A wide character that would be cut is replaced by a space. What is left of an overwritten wide character becomes a space.
    @discardableResult
    package mutating func put(
        _ text: String, column: Int, row: Int, _ style: Style, width: Int = Int.max
    ) -> Int {
        guard row >= 0, row < size.rows, width > 0 else { return 0 }
        var at = column
        let end = min(size.columns, column &+ min(width, size.columns &- min(column, size.columns)))
        for character in text {
            let (shown, cellCount) = CharacterWidth.shown(character)
            if cellCount == 0 { continue }
            if at + cellCount > end {
                if cellCount == 2, at < end, at >= 0 { set(Cell(" ", style), at, row) }
                return min(at + cellCount, max(end, column)) - column
            }
            if at >= 0 {
                set(Cell(shown, style), at, row)
                if cellCount == 2 { set(Cell("", style), at + 1, row) }
            } else if at + cellCount > 0 {
                set(Cell(" ", style), 0, row)
            }
            at += cellCount
        }
        return at - column
    }

    private mutating func set(_ cell: Cell, _ column: Int, _ row: Int) {
        let index = row * size.columns + column
        if cells[index].text.isEmpty, !cell.text.isEmpty, column > 0 {
            cells[index - 1].text = " "
        }
        if !cell.text.isEmpty, column + 1 < size.columns, cells[index + 1].text.isEmpty {
            cells[index + 1].text = " "
        }
        cells[index] = cell
    }

    /// Fills a rectangle with one character.
    package mutating func fill(
        column: Int, row: Int, columns: Int, rows: Int, _ style: Style, with character: String = " "
    ) {
        for line in max(0, row)..<max(max(0, row), min(size.rows, row + rows)) {
            for place in max(0, column)..<max(max(0, column), min(size.columns, column + columns)) {
                set(Cell(character, style), place, line)
            }
        }
    }

    /// Lays a role over cells that keep their own: a selected row.
    package mutating func overlay(_ role: Role, column: Int = 0, row: Int, columns: Int = Int.max, rows: Int = 1) {
        for line in max(0, row)..<max(max(0, row), min(size.rows, row + rows)) {
            let end = columns == Int.max ? size.columns : min(size.columns, column + columns)
            for place in max(0, column)..<max(max(0, column), end) {
                cells[line * size.columns + place].style.overlay = role
            }
        }
    }

    /// Lays another grid over this one, its top left corner at a place.
    package mutating func lay(_ other: Grid, column: Int, row: Int) {
        for line in 0..<other.size.rows where line + row >= 0 && line + row < size.rows {
            for place in 0..<other.size.columns where place + column >= 0 && place + column < size.columns {
                let cell = other[column: place, row: line]
                if cell.text.isEmpty, place + column == 0 { continue }
                set(cell, place + column, line + row)
            }
        }
    }

    /// The text of a row, without trailing blanks.
    package func line(_ row: Int) -> String {
        var text = ""
        for column in 0..<size.columns { text += self[column: column, row: row].text }
        while text.last == " " { text.removeLast() }
        return text
    }

    /// The whole grid as text: what golden files hold.
    package var text: String {
        (0..<size.rows).map { line($0) + "\n" }.joined()
    }
}
