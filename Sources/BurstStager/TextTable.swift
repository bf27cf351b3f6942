/// A table as dwstat prints it: one line of heads, cells right-aligned to the widest of their column, one blank between
/// columns. Cells are bytes in one array: a table may have tens of thousands of rows.
struct TextTable {
    private let heads: [String]
    private var bytes: [UInt8] = []
    /// Where each cell ends.
    private var ends: [Int] = []
    private var widths: [Int]

    init(_ heads: [String]) {
        self.heads = heads
        widths = heads.map(\.utf8.count)
    }

    var isEmpty: Bool { ends.isEmpty }

    private mutating func close(_ start: Int) {
        let column = ends.count % heads.count
        widths[column] = max(widths[column], bytes.count - start)
        ends.append(bytes.count)
    }

    mutating func cell(_ text: String) {
        let start = bytes.count
        bytes += text.utf8
        close(start)
    }

    mutating func cell(_ number: UInt64) {
        let start = bytes.count
        var rest = number
        repeat {
            bytes.append(UInt8(ascii: "0") + UInt8(rest % 10))
            rest /= 10
        } while rest > 0
        bytes[start...].reverse()
        close(start)
    }

    mutating func cell(_ flags: StateFlags, places: Int = 5) {
        let start = bytes.count
        flags.append(to: &bytes, places: places)
        close(start)
    }

    mutating func cell(_ fill: (inout [UInt8]) -> Void) {
        let start = bytes.count
        fill(&bytes)
        close(start)
    }

    func write(to out: inout [UInt8]) {
        precondition(ends.count.isMultiple(of: heads.count), "a row is not whole")
        for (column, head) in heads.enumerated() {
            if column > 0 { out.append(0x20) }
            for _ in 0..<(widths[column] - head.utf8.count) { out.append(0x20) }
            out += head.utf8
        }
        out.append(0x0a)
        var start = 0
        var column = 0
        for end in ends {
            if column > 0 { out.append(0x20) }
            for _ in 0..<(widths[column] - (end - start)) { out.append(0x20) }
            out += bytes[start..<end]
            start = end
            column += 1
            if column == heads.count {
                out.append(0x0a)
                column = 0
            }
        }
    }
}
