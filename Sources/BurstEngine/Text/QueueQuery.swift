/// What `squeue` was asked: the filters, the order, the columns.
package struct QueueQuery: Hashable, Sendable {
    /// `-o`; nil with `-O` or the default.
    package var format: String?
    /// `-O`.
    package var fields: String?
    package var hasHeader = true
    /// `7`, `7_3`.
    package var jobs: [String] = []
    /// Names or numbers.
    package var users: [String] = []
    /// Long or short, any case; `all`.
    package var states: [String] = []
    package var partitions: [String] = []
    package var names: [String] = []
    package var accounts: [String] = []
    /// `-S`: letters of `-o` after a sign, with commas between.
    package var sort: String?
    /// `-r`: a row for each task that is not split off yet.
    package var arrayElements = false
    /// `-l`.
    package var isLong = false

    package init() {}

    /// Of squeue's manual page.
    static let standardFormat = "%.18i %.9P %.8j %.8u %.2t %.10M %.6D %R"
    static let longFormat = "%.18i %.9P %.8j %.8u %.8T %.10M %.9l %.6D %R"
    static let standardSort = "P,t,-p"
}

/// A column of squeue's output.
package struct QueueColumn: Hashable, Sendable {
    /// Nil: a name that we do not know, or text between columns alone.
    package var field: QueueField?
    /// Characters, or rather bytes; 0: as wide as it gets.
    package var width: Int
    package var isRight: Bool
    /// Printed behind it.
    package var suffix: String

    package init(field: QueueField?, width: Int, isRight: Bool, suffix: String) {
        self.field = field
        self.width = width
        self.isRight = isRight
        self.suffix = suffix
    }

    /// Reads `-o`: `%[.][WIDTH]LETTER[TEXT]`. Text before the first column is a column without a field.
    package static func parse(format: String) -> [QueueColumn] {
        var columns: [QueueColumn] = []
        var pieces = format.split(separator: "%", omittingEmptySubsequences: false)[...]
        if let text = pieces.popFirst(), !text.isEmpty {
            columns.append(QueueColumn(field: nil, width: 0, isRight: false, suffix: String(text)))
        }
        for piece in pieces {
            var rest = piece[...]
            let isRight = rest.first == "."
            if isRight { rest.removeFirst() }
            let digits = rest.prefix { $0.isASCII && $0.isNumber }
            rest = rest.dropFirst(digits.count)
            let letter = rest.popFirst()
            columns.append(
                QueueColumn(
                    field: letter.flatMap { QueueField.byLetter[$0] }, width: min(widthMax, Int(digits) ?? 0),
                    isRight: isRight, suffix: String(rest)))
        }
        return columns
    }

    /// Reads `-O`: `NAME[:[.][WIDTH][TEXT]],...`; names in any case. Without a colon a column has 20 characters.
    /// - Returns: The columns, and the names that are no fields, as typed.
    package static func parse(fields: String) -> (columns: [QueueColumn], unknown: [String]) {
        var columns: [QueueColumn] = []
        var unknown: [String] = []
        for item in fields.split(separator: ",") {
            let parts = item.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            var column = QueueColumn(
                field: QueueField.byName[parts[0].lowercased()], width: standardWidth, isRight: false, suffix: "")
            if column.field == nil { unknown.append(String(parts[0])) }
            if parts.count > 1 {
                var rest = parts[1]
                column.isRight = rest.first == "."
                if column.isRight { rest.removeFirst() }
                let digits = rest.prefix { $0.isASCII && $0.isNumber }
                column.width = min(widthMax, Int(digits) ?? 0)
                column.suffix = String(rest.dropFirst(digits.count))
            }
            columns.append(column)
        }
        return (columns, unknown)
    }

    static let standardWidth = 20
    /// A wider column is cut to this.
    static let widthMax = 65_536
}
