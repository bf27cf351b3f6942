/// A configuration in Slurm's `Key=Value` syntax (spec §1.2; slurm.conf(5)), line by line, nothing left out: every
/// pair with the file and the line where it stands. What a key means is the business of `SlurmConf` and
/// `BurstBufferConf`.
package struct ConfigText: Hashable, Sendable {
    package struct Place: Hashable, Sendable {
        package var file: String
        /// Counted from 1. Of a line that goes on behind `\` it is the first.
        package var line: Int

        package init(file: String, line: Int) {
            self.file = file
            self.line = line
        }
    }

    package struct Pair: Hashable, Sendable {
        /// As written; Slurm's keys have no case.
        package var key: String
        package var value: String

        package init(key: String, value: String) {
            self.key = key
            self.value = value
        }

        package func isKey(_ name: String) -> Bool { key.lowercased() == name.lowercased() }
    }

    /// A line with pairs. That they share a line matters: `NodeName=a CPUs=4`.
    package struct Line: Hashable, Sendable {
        package var place: Place
        package var pairs: [Pair]
    }

    /// What an included file holds.
    package enum Included: Hashable, Sendable {
        case text(String)
        /// It cannot be read: why.
        case unreadable(String)
    }

    /// In order, included files in the place of their `Include`.
    package var lines: [Line]
    /// The file read first.
    package var file: String

    package static let includeDepthMax = 10
    package static let linesMax = 200_000

    /// - Parameters:
    ///   - file: its name in faults.
    ///   - include: fetches a file named by an `Include` line; the name is as written, a relative one is relative
    ///     to the folder of slurm.conf.
    /// - Throws: what is no `Key=Value`, and where.
    package static func parse(
        file: String, text: String,
        include: (_ name: String) -> Included = { _ in .unreadable("Include has no place here") }
    ) throws(ConfigFault) -> ConfigText {
        var whole = ConfigText(lines: [], file: file)
        try whole.append(file: file, text: text, depth: 0, include: include)
        return whole
    }

    private mutating func append(
        file: String, text: String, depth: Int, include: (String) -> Included
    ) throws(ConfigFault) {
        var reader = LogicalLines(Array(text.utf8))
        while let (number, bytes) = reader.next() {
            let place = Place(file: file, line: number)
            if let name = Self.includedName(bytes) {
                func refuse(_ wrong: String, _ right: String) -> ConfigFault {
                    ConfigFault(file: file, line: number, wrong: wrong, right: right)
                }
                guard !name.isEmpty else { throw refuse("Include names no file", "write Include FILE") }
                guard depth < Self.includeDepthMax else {
                    throw refuse(
                        "files include each other more than \(Self.includeDepthMax) deep",
                        "a file must not include itself")
                }
                switch include(name) {
                case .text(let inner): try append(file: name, text: inner, depth: depth + 1, include: include)
                case .unreadable(let why):
                    throw refuse("cannot include \(PlainText.quoted(name)): \(why)", "name a file that can be read")
                }
                continue
            }
            let pairs = try Self.pairs(bytes, at: place)
            if pairs.isEmpty { continue }
            guard lines.count < Self.linesMax else {
                throw ConfigFault(
                    file: file, line: number, wrong: "more than \(Self.linesMax) lines with keys",
                    right: "a configuration has fewer")
            }
            lines.append(Line(place: place, pairs: pairs))
        }
    }

    /// The name behind `Include`; nil where the line says something else.
    private static func includedName(_ bytes: [UInt8]) -> String? {
        let rest = bytes.drop(while: isSpace)
        let word = rest.prefix { !isSpace($0) }
        guard String(decoding: word, as: UTF8.self).lowercased() == "include" else { return nil }
        let name = rest[word.endIndex...].drop(while: isSpace).reversed().drop(while: isSpace).reversed()
        // `Include = x` is a pair like others, and unknown.
        if name.first == UInt8(ascii: "=") { return nil }
        return String(decoding: name, as: UTF8.self)
    }

    static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (byte >= 9 && byte <= 13) }

    private static func isKeyByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, UInt8(ascii: "_"), UInt8(ascii: "."): true
        default: false
        }
    }

    /// Each pair is KEY, `=`, and a value without white space or in quotes; white space around `=` is allowed.
    private static func pairs(_ bytes: [UInt8], at place: Place) throws(ConfigFault) -> [Pair] {
        var pairs: [Pair] = []
        var rest = bytes[...].drop(while: isSpace)
        while !rest.isEmpty {
            let start = rest
            func refuse(_ right: String) -> ConfigFault {
                let text = String(decoding: start, as: UTF8.self)
                return ConfigFault(
                    file: place.file, line: place.line, wrong: "cannot read \(PlainText.quoted(text))", right: right)
            }
            let key = rest.prefix(while: isKeyByte)
            let name = String(decoding: key, as: UTF8.self)
            rest = rest[key.endIndex...].drop(while: isSpace)
            // Slurm reads `Key+=Value` and the like as `Key=Value`.
            if let sign = rest.first, rest.dropFirst().first == UInt8(ascii: "="),
                "+-*/".utf8.contains(sign)
            {
                rest = rest.dropFirst()
            }
            guard !key.isEmpty, rest.first == UInt8(ascii: "=") else {
                throw refuse("write KEY=VALUE" + (key.isEmpty ? "" : ", as \(name)=..."))
            }
            rest = rest.dropFirst().drop(while: isSpace)
            guard let first = rest.first else {
                throw refuse("\(name)= needs a value: a # opens a comment unless a \\ stands before it")
            }
            let value: ArraySlice<UInt8>
            if first == UInt8(ascii: "\""), let close = rest.dropFirst().firstIndex(of: UInt8(ascii: "\"")) {
                value = rest[(rest.startIndex + 1)..<close]
                rest = rest[(close + 1)...]
                if let next = rest.first, !isSpace(next) { throw refuse("a blank has to follow the closing quote") }
            } else {
                value = rest.prefix { !isSpace($0) }
                rest = rest[value.endIndex...]
                if first == UInt8(ascii: "\"") { throw refuse("close the quote with another \"") }
            }
            pairs.append(Pair(key: name, value: String(decoding: value, as: UTF8.self)))
            rest = rest.drop(while: isSpace)
        }
        return pairs
    }
}

/// Lines as Slurm's reader makes them: without comments, joined where one ends in `\`, with escapes undone.
private struct LogicalLines {
    private let bytes: [UInt8]
    private var index = 0
    private var number = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// The number of the first line, and the text.
    mutating func next() -> (number: Int, text: [UInt8])? {
        guard index < bytes.count else { return nil }
        var joined: [UInt8] = []
        let first = number + 1
        while index < bytes.count {
            let end = bytes[index...].firstIndex(of: 10) ?? bytes.count
            number += 1
            var line = Self.withoutComment(bytes[index..<end])
            index = end + 1
            while let last = line.last, last == 13 { line = line.dropLast() }
            let slashes = line.reversed().prefix { $0 == UInt8(ascii: "\\") }.count
            guard slashes % 2 == 1 else {
                joined += line
                break
            }
            joined += line.dropLast()
        }
        return (first, Self.withoutEscapes(joined))
    }

    private static func withoutComment(_ line: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        var slashes = 0
        for index in line.indices {
            if line[index] == UInt8(ascii: "#"), slashes % 2 == 0 { return line[..<index] }
            slashes = line[index] == UInt8(ascii: "\\") ? slashes + 1 : 0
        }
        return line
    }

    private static func withoutEscapes(_ line: [UInt8]) -> [UInt8] {
        guard line.contains(UInt8(ascii: "\\")) else { return line }
        var plain: [UInt8] = []
        var isEscaped = false
        for byte in line {
            if !isEscaped, byte == UInt8(ascii: "\\") {
                isEscaped = true
            } else {
                plain.append(byte)
                isEscaped = false
            }
        }
        return plain
    }
}
