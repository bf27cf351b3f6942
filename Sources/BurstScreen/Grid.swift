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
    /// A wide character that would be cut is replaced by a space. What is left of an overwritten wide character
    /// becomes a space.
    @discardableResult
    package mutating func put(
        _ text: String, column: Int, row: Int, _ style: Style, width: Int = Int.max
    ) -> Int {
        guard row >= 0, row < size.rows, column < size.columns, width > 0 else { return 0 }
        let start = max(column, -Self.farthest)
        let end = width < size.columns - start ? start + width : size.columns
        var at = start
        CharacterWidth.forEachPiece(in: text) { shown, cellCount in
            if at + cellCount > end {
                if at < end, at >= 0 { set(Cell(" ", style), at, row) }
                at = end
            } else {
                if cellCount == 2 { setWide(shown, style, at, row) } else { set(Cell(shown, style), at, row) }
                at += cellCount
            }
            return at < end
        }
        return at - start
    }

    /// Texts that begin farther to the left do not reach the screen; keeps sums of coordinates in bounds.
    private static let farthest = 1 << 32

    /// What lies of `count` places from `start` within `0..<limit`, whatever the numbers.
    private static func visible(_ start: Int, _ count: Int, _ limit: Int) -> Range<Int> {
        guard count > 0, start < limit else { return 0..<0 }
        let (sum, isTooLarge) = start.addingReportingOverflow(count)
        let end = isTooLarge ? limit : min(limit, sum)
        return max(0, start)..<max(max(0, start), end)
    }

    /// Frees a cell from the wide character that it is half of; the other half becomes a space.
    private mutating func release(_ column: Int, _ row: Int) {
        let index = row * size.columns + column
        if cells[index].text.isEmpty {
            if column > 0 { cells[index - 1].text = " " }
        } else if column + 1 < size.columns, cells[index + 1].text.isEmpty {
            cells[index + 1].text = " "
        }
    }

    /// Sets a cell of width one. A column outside is ignored.
    private mutating func set(_ cell: Cell, _ column: Int, _ row: Int) {
        guard column >= 0, column < size.columns else { return }
        release(column, row)
        cells[row * size.columns + column] = cell
    }

    /// Sets both cells of a wide character; where only one of them lies inside, a space.
    private mutating func setWide(_ text: String, _ style: Style, _ column: Int, _ row: Int) {
        guard column >= 0, column + 1 < size.columns else {
            set(Cell(" ", style), column, row)
            set(Cell(" ", style), column + 1, row)
            return
        }
        release(column, row)
        release(column + 1, row)
        cells[row * size.columns + column] = Cell(text, style)
        cells[row * size.columns + column + 1] = Cell("", style)
    }

    /// Fills a rectangle with one character of width one; another one becomes `?`.
    package mutating func fill(
        column: Int, row: Int, columns: Int, rows: Int, _ style: Style, with character: String = " "
    ) {
        var piece = "?"
        CharacterWidth.forEachPiece(in: character) { text, cells in
            if cells == 1 { piece = text }
            return false
        }
        for line in Self.visible(row, rows, size.rows) {
            for place in Self.visible(column, columns, size.columns) { set(Cell(piece, style), place, line) }
        }
    }

    /// Lays a role over cells that keep their own: a selected row.
    package mutating func overlay(_ role: Role, column: Int = 0, row: Int, columns: Int = Int.max, rows: Int = 1) {
        for line in Self.visible(row, rows, size.rows) {
            for place in Self.visible(column, columns, size.columns) {
                cells[line * size.columns + place].style.overlay = role
            }
        }
    }

    /// Lays another grid over this one, its top left corner at a place. Wide characters that the edge cuts become
    /// spaces.
    /// A cursor in the other grid becomes the cursor; without one, the cursor stays.
    package mutating func lay(_ other: Grid, column: Int, row: Int) {
        for line in Self.visible(row, other.size.rows, size.rows) {
            for place in Self.visible(column, other.size.columns, size.columns) {
                let from = place - column
                let cell = other[column: from, row: line - row]
                if cell.text.isEmpty {
                    // The right half of a wide character, which has been laid with its left half if that is inside.
                    if place == 0 { set(Cell(" ", cell.style), place, line) }
                } else if from + 1 < other.size.columns, other[column: from + 1, row: line - row].text.isEmpty {
                    setWide(cell.text, cell.style, place, line)
                } else {
                    set(cell, place, line)
                }
            }
        }
        if let inner = other.cursor {
            let (left, top) = (inner.column.addingReportingOverflow(column), inner.row.addingReportingOverflow(row))
            if !left.overflow, !top.overflow { cursor = (left.partialValue, top.partialValue) }
        }
    }

    /// The text of a row, without trailing blanks.
    package func line(_ row: Int) -> String {
        guard row >= 0, row < size.rows else { return "" }
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
