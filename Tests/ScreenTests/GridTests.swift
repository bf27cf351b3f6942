import BurstScreen
import Testing

private let plain = Style(.text)

private func grid(_ columns: Int, _ rows: Int) -> Grid { Grid(size: Size(columns: columns, rows: rows)) }

/// A grid is whole when each empty cell is the right half of a wide character, and no half stands alone.
private func isWhole(_ grid: Grid) -> Bool {
    for row in 0..<grid.size.rows {
        var column = 0
        while column < grid.size.columns {
            let cells = CharacterWidth.cells(of: grid[column: column, row: row].text)
            if cells == 2 {
                guard column + 1 < grid.size.columns, grid[column: column + 1, row: row].text.isEmpty else {
                    return false
                }
            } else if cells != 1 {
                return false
            }
            column += cells
        }
    }
    return true
}

struct GridTests {
    @Test func textIsClippedAtTheRightEdgeAndAtItsWidth() {
        var grid = grid(5, 1)
        #expect(grid.put("abcdefgh", column: 2, row: 0, plain) == 3)
        #expect(grid.line(0) == "  abc")
        #expect(grid.put("XYZ", column: 0, row: 0, plain, width: 2) == 2)
        #expect(grid.line(0) == "XYabc")
    }

    @Test func textIsClippedAtTheLeftEdge() {
        var grid = grid(4, 1)
        #expect(grid.put("abcd", column: -2, row: 0, plain) == 4)
        #expect(grid.line(0) == "cd")
        #expect(grid.put("漢字", column: -1, row: 0, plain) == 4)
        #expect(grid.line(0) == " 字")
    }

    @Test(arguments: [Int.min, Int.min + 1, -1, 0, 1, 2, Int.max - 1, Int.max])
    func noCoordinateIsRefused(place: Int) {
        for size in [Size(columns: 0, rows: 0), Size(columns: 1, rows: 1), Size(columns: 2, rows: 2)] {
            var grid = Grid(size: size)
            for other in [Int.min, -1, 0, 1, Int.max] {
                grid.put("漢a", column: place, row: other, plain)
                grid.put("漢a", column: other, row: place, plain, width: place)
                grid.fill(column: place, row: other, columns: place, rows: other, plain, with: "x")
                grid.fill(column: other, row: place, columns: Int.max, rows: Int.max, plain)
                grid.overlay(.rowSelected, column: other, row: place, columns: place, rows: other)
                var popup = Grid(size: Size(columns: 2, rows: 2))
                popup.put("漢", column: 0, row: 0, plain)
                popup.cursor = (1, 1)
                grid.lay(popup, column: place, row: other)
            }
            #expect(isWhole(grid))
        }
    }

    @Test func aWideCharacterThatWouldBeCutIsASpace() {
        var grid = grid(3, 1)
        #expect(grid.put("a漢字", column: 0, row: 0, plain) == 3)
        #expect(grid.line(0) == "a漢")
        #expect(grid.put("漢字", column: 0, row: 0, plain, width: 3) == 3)
        #expect(grid[column: 2, row: 0].text == " ")
        var tiny = Grid(size: Size(columns: 1, rows: 1))
        #expect(tiny.put("漢", column: 0, row: 0, plain) == 1)
        #expect(tiny[column: 0, row: 0].text == " ")
    }

    @Test func overwritingHalfOfAWideCharacterLeavesASpace() {
        var left = grid(4, 1)
        left.put("漢字", column: 0, row: 0, plain)
        left.put("x", column: 0, row: 0, plain)
        #expect(left.line(0) == "x 字")
        var right = grid(4, 1)
        right.put("漢字", column: 0, row: 0, plain)
        right.put("x", column: 1, row: 0, plain)
        #expect(right.line(0) == " x字")
        var both = grid(4, 1)
        both.put("漢字", column: 0, row: 0, plain)
        both.put("本", column: 1, row: 0, plain)
        #expect(both[column: 0, row: 0].text == " ")
        #expect(both[column: 3, row: 0].text == " ")
        #expect(both.line(0) == " 本")
    }

    @Test func aGridStaysWholeWhateverIsWritten() {
        var random = SystemRandomNumberGenerator()
        let texts = ["a", "漢", "漢字漢", "a漢b", "e\u{301}", "\u{1F468}\u{200D}\u{1F469}", "\t\u{7}", "", "नि", "🇩🇪"]
        for _ in 0..<2000 {
            var grid = grid(Int.random(in: 0...9, using: &random), Int.random(in: 0...3, using: &random))
            for _ in 0..<8 {
                let text = texts.randomElement(using: &random) ?? ""
                let column = Int.random(in: -3...10, using: &random)
                grid.put(text, column: column, row: Int.random(in: -1...3, using: &random), plain)
                if Bool.random(using: &random) {
                    var other = Grid(size: Size(columns: 3, rows: 2))
                    other.put("漢x漢", column: Int.random(in: -1...1, using: &random), row: 0, plain)
                    grid.lay(other, column: column, row: 0)
                }
            }
            #expect(isWhole(grid), "\(grid.text)")
        }
    }

    @Test func layingAGridCutsWideCharactersAtTheEdges() {
        var popup = grid(4, 1)
        popup.put("漢字", column: 0, row: 0, Style(.dialog))
        var left = grid(4, 1)
        left.lay(popup, column: -1, row: 0)
        #expect(left.line(0) == " 字")
        #expect(left[column: 0, row: 0].style == Style(.dialog))
        var right = grid(4, 1)
        right.lay(popup, column: 1, row: 0)
        #expect(right.line(0) == " 漢")
        #expect(right[column: 3, row: 0] == Cell(" ", Style(.dialog)))
    }

    @Test func theCursorOfAPopupMovesWithIt() {
        var popup = grid(4, 2)
        popup.cursor = (1, 1)
        var screen = grid(20, 10)
        screen.lay(popup, column: 5, row: 3)
        #expect(screen.cursor?.column == 6)
        #expect(screen.cursor?.row == 4)
        screen.lay(grid(2, 2), column: 0, row: 0)
        #expect(screen.cursor?.column == 6)
    }

    @Test func anOverlayKeepsTheRoleBelow() {
        var grid = grid(3, 2)
        grid.put("abc", column: 0, row: 1, Style(.severityCrit))
        grid.overlay(.rowSelected, row: 1)
        #expect(grid[column: 2, row: 1].style == Style(.severityCrit, over: .rowSelected))
        #expect(grid[column: 2, row: 0].style == Style(.text))
        grid.overlay(.rowTagged, column: 1, row: 1, columns: 1)
        #expect(grid[column: 1, row: 1].style.overlay == .rowTagged)
        #expect(grid[column: 2, row: 1].style.overlay == .rowSelected)
    }

    @Test func fillTakesOnlyCharactersOfOneCell() {
        var grid = grid(4, 1)
        grid.fill(column: 0, row: 0, columns: 4, rows: 1, plain, with: "漢")
        #expect(grid.line(0) == "????")
        grid.fill(column: 1, row: 0, columns: 2, rows: 1, plain, with: "─")
        #expect(grid.line(0) == "?──?")
    }

    @Test func linesEndWithoutBlanksAndNoLineIsOutside() {
        var grid = grid(5, 2)
        grid.put("ab", column: 1, row: 0, plain)
        #expect(grid.text == " ab\n\n")
        #expect(grid.line(-1).isEmpty)
        #expect(grid.line(2).isEmpty)
        #expect(Grid(size: Size(columns: -3, rows: -1)).text.isEmpty)
    }
}

struct CharacterWidthTests {
    @Test(arguments: [
        ("plain", 5), ("é", 1), ("e\u{301}", 1), ("漢字", 4), ("한글", 4), ("ｱ", 1), ("Ａ", 2), ("🙂", 2), ("─│█", 3),
        ("", 0),
        ("\u{200B}", 0), ("a\u{200D}b", 2), ("\u{301}", 0), ("\t", 1), ("\u{1B}[2J", 4), ("\r\n", 2), ("\u{9B}", 1),
        ("❤\u{FE0F}", 1), ("👍🏽", 2), ("👨\u{200D}👩\u{200D}👧", 6), ("🇩🇪", 2), ("का", 2), ("\u{202E}abc", 3),
    ])
    func cellsOf(text: String, cells: Int) {
        #expect(CharacterWidth.cells(of: text) == cells)
        var grid = grid(12, 1)
        #expect(grid.put(text, column: 0, row: 0, plain) == cells)
    }

    @Test func controlCharactersNeverStandInAGrid() {
        var grid = grid(40, 1)
        for value in (0...0x20).map(UInt32.init) + Array(0x7f...0xa0) + [
            0x2028, 0x2029, 0xFFFF, 0xFEFF, 0x202E, 0x200F,
        ] {
            guard let scalar = Unicode.Scalar(value) else { continue }
            grid.put("a\(Character(scalar))b", column: 0, row: 0, plain)
            let isClean = grid.line(0).unicodeScalars.allSatisfy {
                $0.value >= 0x20 && !(0x7f..<0xa0).contains($0.value) && $0.properties.generalCategory != .format
            }
            #expect(isClean, "U+\(String(value, radix: 16))")
        }
    }

    @Test func stackedMarksAreBounded() {
        var grid = grid(4, 1)
        grid.put("a" + String(repeating: "\u{301}", count: 5000) + "b", column: 0, row: 0, plain)
        #expect(grid[column: 0, row: 0].text.unicodeScalars.count == 1 + CharacterWidth.marksMax)
        #expect(grid[column: 1, row: 0].text == "b")
    }

    @Test func aNameOfFourKilobytesIsCutToItsColumn() {
        var grid = grid(20, 1)
        #expect(grid.put(String(repeating: "漢", count: 1366), column: 0, row: 0, plain, width: 9) == 9)
        #expect(grid.line(0) == "漢漢漢漢")
    }
}
