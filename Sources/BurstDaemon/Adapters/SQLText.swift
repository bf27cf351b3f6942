import BurstModel
import BurstStore

/// Answers to questions in SQL, to be read by people or programs.
enum SQLText {
    /// A line a row, columns parted by tabs; names first; control characters in values as `?`.
    static func table(_ answer: SQLAnswer) -> [UInt8] {
        var text = answer.columns.joined(separator: "\t") + "\n"
        for row in answer.rows { text += row.map(plain).joined(separator: "\t") + "\n" }
        if answer.isCut { text += "(there is more: add a LIMIT and an OFFSET)\n" }
        return Array(text.utf8)
    }

    private static func plain(_ value: SQLAnswer.Value) -> String {
        switch value {
        case .null: return "NULL"
        case .integer(let number): return "\(number)"
        case .number(let number): return "\(number)"
        case .bytes(let bytes): return "(\(bytes.count) bytes)"
        case .text(let text):
            var line = ""
            for scalar in text.unicodeScalars {
                line.unicodeScalars.append(scalar.value < 0x20 || (0x7f..<0xa0).contains(scalar.value) ? "?" : scalar)
            }
            return line
        }
    }

    /// One array a row, in the order of the columns, which the first line names.
    static func jsonLines(_ answer: SQLAnswer) -> [UInt8] {
        var text = line(answer.columns.map { quoted($0) })
        for row in answer.rows { text += line(row.map(json)) }
        return Array(text.utf8)
    }

    private static func line(_ values: [String]) -> String { "[" + values.joined(separator: ",") + "]\n" }

    private static func json(_ value: SQLAnswer.Value) -> String {
        switch value {
        case .null: "null"
        case .integer(let number): "\(number)"
        case .number(let number): number.isFinite ? "\(number)" : "null"
        case .bytes(let bytes): quoted(String(decoding: bytes, as: UTF8.self))
        case .text(let text): quoted(text)
        }
    }

    private static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\t": result += "\\t"
            default:
                if scalar.value < 0x20 {
                    let digits = String(scalar.value, radix: 16)
                    result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
                } else {
                    result.unicodeScalars.append(scalar)
                }
            }
        }
        return result + "\""
    }
}
