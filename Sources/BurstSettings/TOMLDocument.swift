import TOMLKit

/// A TOML text as values, with the line of each key. TOMLKit tells lines only of syntax errors, so those of keys are
/// looked up in the text.
struct TOMLDocument {
    indirect enum Value {
        case text(String)
        case whole(Int)
        case number(Double)
        case flag(Bool)
        case list([Value])
        case table([String: Value])
        /// A date or a time; no file of ours has one.
        case moment

        /// What it is, in a message.
        var kind: String {
            switch self {
            case .text: "a string"
            case .whole: "a whole number"
            case .number: "a number with a fraction"
            case .flag: "true or false"
            case .list: "a list"
            case .table: "a table"
            case .moment: "a date or a time"
            }
        }
    }

    let file: String
    let root: [String: Value]
    private let lines: [[String]: Int]

    /// - Throws: the first syntax error.
    init(_ text: String, file: String) throws(FileFault) {
        self.file = file
        // As a zero byte: the library would drop what follows in the string.
        for escape in ["\\u0000", "\\U00000000"] {
            if let line = Self.firstLine(holding: escape, in: text) {
                throw FileFault(
                    file: file, line: line, wrong: "holds the escape \(escape)", right: "leave the zero character out")
            }
        }
        // The library asserts that a table's name begins well, in release builds too: `[é]` would end the program.
        var scanner = KeyLines(text)
        lines = scanner.scan()
        if let line = scanner.badHeaderLine {
            throw FileFault(
                file: file, line: line, wrong: "is not TOML: no name of a table stands behind [",
                right: "write [NAME], or [\"NAME\"] where it has other signs than A-Z, a-z, 0-9, _ and -")
        }
        if let line = scanner.badValueLine {
            throw FileFault(
                file: file, line: line, wrong: "is not TOML as it is read here: a value is missing or is none",
                right: "write strings in quotes, numbers as 12 or 1.5, lists as [1, 2], and no times of day")
        }
        do {
            root = try Self.values(of: TOMLTable(string: text))
        } catch let error as TOMLParseError {
            throw FileFault(
                file: file, line: max(1, error.source.begin.line),
                wrong: "is not TOML: " + plainText(error.description, charactersMax: 160),
                right: "write KEY = VALUE, strings in quotes, as TOML 1.0 has it")
        } catch {
            throw FileFault(file: file, line: 1, wrong: "is not TOML", right: "write it as TOML 1.0 has it")
        }
    }

    /// The line of a key, or of the nearest thing around it that has one: keys of an inline table stand on its line.
    /// The tables of a list, `[[NAME]]`, have their place in it as a part of the path: `NAME`, `0`, `KEY`.
    func line(_ path: [String]) -> Int {
        var path = path
        while !path.isEmpty {
            if let line = lines[path] { return line }
            path.removeLast()
        }
        return 1
    }

    func fault(_ path: [String], _ wrong: String, _ right: String) -> FileFault {
        FileFault(file: file, line: line(path), wrong: wrong, right: right)
    }

    private static func firstLine(holding piece: String, in text: String) -> Int? {
        let wanted = Array(piece.utf8)
        let lines = text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        for (index, line) in lines.enumerated() {
            let bytes = Array(line)
            guard bytes.count >= wanted.count else { continue }
            for start in 0...(bytes.count - wanted.count) where bytes[start] == wanted[0] {
                if bytes[start..<(start + wanted.count)].elementsEqual(wanted) { return index + 1 }
            }
        }
        return nil
    }

    private static func values(of table: TOMLTable) -> [String: Value] {
        var values: [String: Value] = [:]
        for key in table.keys {
            if let value = table[key] { values[key] = Self.value(value.tomlValue) }
        }
        return values
    }

    private static func value(_ value: TOMLValue) -> Value {
        switch value.type {
        case .table: .table(value.table.map(values(of:)) ?? [:])
        case .array: .list(value.array.map { $0.map { Self.value($0.tomlValue) } } ?? [])
        case .string: .text(value.string ?? "")
        case .int: .whole(value.int ?? 0)
        case .double: .number(value.double ?? 0)
        case .bool: .flag(value.bool ?? false)
        case .date, .time, .dateTime: .moment
        }
    }
}

/// Finds the lines of keys and table headers in a text, as far as it is TOML.
private struct KeyLines {
    /// The first header that begins with something else than a name.
    private(set) var badHeaderLine: Int?
    /// The first place in a value that the library asserts on, in release builds too: a list in which `}` or a blank
    /// that is not ASCII stands for a value, and a date behind which something else than the end of the value stands.
    private(set) var badValueLine: Int?

    private let bytes: [UInt8]
    private var at = 0
    private var line = 1
    private var table: [String] = []
    /// How many tables of a list, `[[NAME]]`, have come so far.
    private var tablesOfLists: [[String]: Int] = [:]
    private var lines: [[String]: Int] = [:]

    init(_ text: String) {
        bytes = Array(text.utf8)
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { at = 3 }
    }

    mutating func scan() -> [[String]: Int] {
        while at < bytes.count {
            switch bytes[at] {
            case UInt8(ascii: "\n"):
                line += 1
                at += 1
            case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r"): at += 1
            case UInt8(ascii: "#"): skipComment()
            case UInt8(ascii: "["):
                // Two at most: a third is no name, and the library asserts that there is one.
                let isOfList = at + 1 < bytes.count && bytes[at + 1] == UInt8(ascii: "[")
                at += isOfList ? 2 : 1
                checkHeader()
                table = keyPath()
                if isOfList {
                    let index = tablesOfLists[table, default: 0]
                    tablesOfLists[table] = index + 1
                    table.append(String(index))
                }
                note(table)
                while at < bytes.count, bytes[at] != UInt8(ascii: "\n") { at += 1 }
            default:
                note(table + keyPath())
                skipValue()
            }
        }
        return lines
    }

    private mutating func checkHeader() {
        while at < bytes.count, bytes[at] == UInt8(ascii: " ") || bytes[at] == UInt8(ascii: "\t") { at += 1 }
        guard at < bytes.count, badHeaderLine == nil else { return }
        switch bytes[at] {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "\""),
            UInt8(ascii: "'"), UInt8(ascii: "]"):
            return
        default: badHeaderLine = line
        }
    }

    /// The first line counts, and for each table around the key too, if it has no header of its own.
    private mutating func note(_ path: [String]) {
        for count in 1...max(1, path.count) where count <= path.count {
            let part = Array(path[..<count])
            if lines[part] == nil { lines[part] = line }
        }
    }

    /// Reads `a."b.c".d` up to the `=` or `]` that ends it.
    private mutating func keyPath() -> [String] {
        var path: [String] = []
        var part: [UInt8] = []
        var isQuoted = false
        func finished() -> [String] {
            part.isEmpty && !isQuoted ? path : path + [String(decoding: part, as: UTF8.self)]
        }
        while at < bytes.count {
            let byte = bytes[at]
            switch byte {
            case UInt8(ascii: "="), UInt8(ascii: "]"), UInt8(ascii: "\n"): return finished()
            case UInt8(ascii: "."):
                path = finished()
                part = []
                isQuoted = false
                at += 1
            case UInt8(ascii: "\""), UInt8(ascii: "'"):
                isQuoted = true
                at += 1
                while at < bytes.count, bytes[at] != byte, bytes[at] != UInt8(ascii: "\n") {
                    // Escapes in keys are not undone: a key of ours has none, and the line of its table is near enough.
                    part.append(bytes[at])
                    at += bytes[at] == UInt8(ascii: "\\") && byte == UInt8(ascii: "\"") ? 2 : 1
                }
                if at < bytes.count, bytes[at] == byte { at += 1 }
            case UInt8(ascii: " "), UInt8(ascii: "\t"): at += 1
            default:
                part.append(byte)
                at += 1
            }
        }
        return finished()
    }

    /// Goes on to the end of the line on which the value ends: strings and lists may have several lines.
    private mutating func skipValue() {
        var open: [UInt8] = []
        while at < bytes.count {
            switch bytes[at] {
            case UInt8(ascii: "\n"):
                if open.isEmpty { return }
                line += 1
                at += 1
            case UInt8(ascii: "#"): skipComment()
            case UInt8(ascii: "\""), UInt8(ascii: "'"): skipString(bytes[at])
            case UInt8(ascii: "["), UInt8(ascii: "{"):
                open.append(bytes[at])
                at += 1
            case UInt8(ascii: "]"), UInt8(ascii: "}"):
                // The codes of a bracket and of the one that closes it are two apart.
                if open.popLast().map({ $0 + 2 == bytes[at] }) != true { refuseValue() }
                at += 1
            case UInt8(ascii: "="), UInt8(ascii: ","), UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r"):
                at += 1
            default: skipWord()
            }
        }
    }

    private mutating func refuseValue() { badValueLine = badValueLine ?? line }

    /// Goes on behind a word without quotes: a number, `true`, a date.
    private mutating func skipWord() {
        let start = at
        let ends = Set("=,[]{}#\"' \t\r\n".utf8)
        while at < bytes.count, !ends.contains(bytes[at]) { at += 1 }
        let word = Array(bytes[start..<at])
        if word.contains(where: { $0 < 0x20 || $0 >= 0x7f }) { refuseValue() }
        guard Self.isLikeMoment(word) else { return }
        var next = at
        while next < bytes.count, bytes[next] == UInt8(ascii: " ") || bytes[next] == UInt8(ascii: "\t") { next += 1 }
        let isEnd = next == bytes.count || ",]}#\r\n".utf8.contains(bytes[next])
        if !isEnd || !Self.isDate(word) { refuseValue() }
    }

    /// Begins as a number and has a colon, or a sign that is none of an exponent.
    private static func isLikeMoment(_ word: [UInt8]) -> Bool {
        guard let first = word.first, "+-0123456789".utf8.contains(first) else { return false }
        return word.indices.dropFirst().contains { place in
            switch word[place] {
            case UInt8(ascii: ":"): true
            case UInt8(ascii: "+"), UInt8(ascii: "-"): word[place - 1] | 0x20 != UInt8(ascii: "e")
            default: false
            }
        }
    }

    /// `2026-11-22`
    private static func isDate(_ word: [UInt8]) -> Bool {
        word.count == 10
            && word.indices.allSatisfy { place in
                place == 4 || place == 7
                    ? word[place] == UInt8(ascii: "-") : (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(word[place])
            }
    }

    private mutating func skipComment() {
        while at < bytes.count, bytes[at] != UInt8(ascii: "\n") { at += 1 }
    }

    private mutating func skipString(_ quote: UInt8) {
        let isLong = at + 2 < bytes.count && bytes[at + 1] == quote && bytes[at + 2] == quote
        at += isLong ? 3 : 1
        while at < bytes.count {
            let byte = bytes[at]
            if byte == UInt8(ascii: "\\"), quote == UInt8(ascii: "\"") {
                if at + 1 < bytes.count, bytes[at + 1] == UInt8(ascii: "\n") { line += 1 }
                at += 2
            } else if byte == quote {
                if !isLong {
                    at += 1
                    return
                }
                if at + 2 < bytes.count, bytes[at + 1] == quote, bytes[at + 2] == quote {
                    at += 3
                    // Up to two quotes may stand before the closing three.
                    while at < bytes.count, bytes[at] == quote { at += 1 }
                    return
                }
                at += 1
            } else {
                if byte == UInt8(ascii: "\n") {
                    if !isLong { return }
                    line += 1
                }
                at += 1
            }
        }
    }
}
