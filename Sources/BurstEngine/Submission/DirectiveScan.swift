/// The burst buffer directives of a batch script: which lines count, what they ask for, and what may surprise their
/// writer (spec §3.1). Reads as 26.05's plugin does, but for keys that are words of their own (spec §10, Q47).
package struct DirectiveScan: Hashable, Sendable {
    /// A directive after the lines that it continues on were glued to it.
    package struct Line: Hashable, Sendable {
        /// Of the first of its lines in the script; counted from 1.
        package var number: Int
        package var text: String
    }

    /// A line that asks for space.
    package struct Request: Hashable, Sendable {
        package var number: Int
        /// Nil: the line names none.
        package var pool: String?
        /// The text behind `capacity=`.
        package var sizeText: String
        /// Bytes or units as asked, not rounded.
        package var size: UInt64
    }

    package var lines: [Line] = []
    /// What Slurm reads without effect though it looks as if it had some; one line each, at most `warningsMax`.
    package var warnings: [String] = []
    /// Lines that `--bb` put there, as numbers of lines of the whole: messages count the script's own.
    private var inserted: Range<Int>

    package static let warningsMax = 10

    /// Names a line in messages: `line 7`, or `--bb`.
    func place(_ number: Int) -> String {
        if inserted.contains(number) { return "--bb" }
        return "line \(number < inserted.upperBound ? number : number - inserted.count)"
    }

    /// Slurm's burst buffer string, shown as `BurstBuffer=`; nil: the script asks for nothing.
    package var text: String? { lines.isEmpty ? nil : lines.map(\.text).joined(separator: "\n") }

    /// Whether hooks get a file with symbols replaced instead of the script (spec §3.8).
    package var hasSymbols: Bool { lines.contains { $0.text.utf8.contains(UInt8(ascii: "%")) } }

    /// - Parameters:
    ///   - directive: what stands behind `#`: `BB_LUA`.
    ///   - inserted: the lines of `script` that came from `--bb`, counted from 1.
    package init(script: String, directive: String, inserted: Range<Int> = 0..<0) {
        self.inserted = inserted
        let bytes = Array(script.utf8)
        let name = Array(directive.utf8)
        var number = 0
        var end: Int?
        /// The line before was a directive that ends in a backslash, or not.
        var goesOn = false
        for line in bytes.split(separator: 10, omittingEmptySubsequences: false) {
            number += 1
            if line.isEmpty { continue }
            let counts = line.first == UInt8(ascii: "#") && line.dropFirst().starts(with: name)
            if let end {
                if counts { warnBelow(number, directive, end) }
                continue
            }
            if line.first != UInt8(ascii: "#") {
                if Self.misspells(line, name) { warnMisspelt(number, line, directive) }
                end = number
                continue
            }
            guard counts else {
                goesOn = false
                if Self.misspells(line, name) { warnMisspelt(number, line, directive) }
                continue
            }
            add(line, number, nameCount: name.count, isContinuation: goesOn, goesOn: &goesOn)
        }
    }

    private mutating func add(
        _ line: ArraySlice<UInt8>, _ number: Int, nameCount: Int, isContinuation: Bool, goesOn: inout Bool
    ) {
        var text = line
        goesOn = text.last == UInt8(ascii: "\\")
        if goesOn { text = text.dropLast() }
        guard isContinuation, let last = lines.indices.last else {
            lines.append(Line(number: number, text: String(decoding: text, as: UTF8.self)))
            return
        }
        text = text.dropFirst(nameCount + 1)
        if let before = lines[last].text.utf8.last, ConfigText.isSpace(before) {
            text = text.drop(while: ConfigText.isSpace)
        }
        lines[last].text += String(decoding: text, as: UTF8.self)
    }

    private mutating func warn(_ text: String) {
        if warnings.count < Self.warningsMax { warnings.append(text) }
    }

    /// Slurm drops these silently (spec §10, Q33).
    private mutating func warnBelow(_ number: Int, _ directive: String, _ end: Int) {
        warn(
            "\(place(number)): #\(directive) is not read: it stands below \(place(end)), which does not begin with #")
    }

    private mutating func warnMisspelt(_ number: Int, _ line: ArraySlice<UInt8>, _ directive: String) {
        let shown = PlainText.quoted(String(decoding: line.prefix(40), as: UTF8.self))
        warn("\(place(number)): \(shown) is a plain comment: a directive begins with #\(directive)")
    }

    /// The line is the directive but for blanks before or behind `#`, or for upper and lower case.
    private static func misspells(_ line: ArraySlice<UInt8>, _ name: [UInt8]) -> Bool {
        let rest = line.drop(while: ConfigText.isSpace)
        guard !name.isEmpty, rest.first == UInt8(ascii: "#") else { return false }
        func lower(_ byte: UInt8) -> UInt8 { (0x41...0x5a).contains(byte) ? byte | 0x20 : byte }
        let word = rest.dropFirst().drop(while: ConfigText.isSpace)
        return word.prefix(name.count).map(lower) == name.map(lower)
            && word.dropFirst(name.count).first.map(ConfigText.isSpace) ?? true
    }

    // MARK: What the lines ask for

    /// Reads `pool=` and `capacity=` of each line: the first of each counts; keys are case-sensitive words of their
    /// own, where Slurm finds them inside of other words too (`xcapacity=7`; spec §10, Q47).
    /// - Returns: requests of lines with a capacity, and names of pools on lines without, which Slurm does not check
    ///   (spec §10, Q21); both with the number of the line.
    /// - Throws: what is wrong with a line, `line N: ...`.
    package func requests(
        directive: String
    ) throws(SizeFault) -> (requests: [Request], poolsOnly: [(number: Int, pool: String)]) {
        var requests: [Request] = []
        var poolsOnly: [(number: Int, pool: String)] = []
        for line in lines {
            let words = Self.words(line.text, directive: directive)
            let pool = Self.value(of: "pool", in: words)
            guard let size = Self.value(of: "capacity", in: words) else {
                if let pool { poolsOnly.append((line.number, pool)) }
                continue
            }
            guard let pool else {
                throw SizeFault(
                    description:
                        "\(place(line.number)): Must specify pool with capacity for burst buffer: write pool=NAME")
            }
            do throws(SizeFault) {
                let bytes = try SizeText.read(size)
                requests.append(Request(number: line.number, pool: pool, sizeText: size, size: bytes))
            } catch {
                throw SizeFault(description: "\(place(line.number)): capacity=: \(error)")
            }
        }
        return (requests, poolsOnly)
    }

    /// Words of the lines that look like `pool=` or `capacity=` and are not read as such.
    package func oddWords(directive: String) -> [String] {
        var odd: [String] = []
        for line in lines {
            let words = Self.words(line.text, directive: directive)
            for key in ["pool", "capacity"] {
                for word in words where odd.count < Self.warningsMax {
                    let start = word.utf8.prefix { $0 != UInt8(ascii: "=") }
                    let name = String(decoding: Array(start), as: UTF8.self)
                    guard name != key else {
                        if start.count == word.utf8.count {
                            odd.append(
                                "\(place(line.number)): \(key) has no value: write \(key)= without blanks around =")
                        }
                        continue
                    }
                    guard name.lowercased() == key, start.count < word.utf8.count else { continue }
                    odd.append("\(place(line.number)): \(PlainText.quoted(name))= is not read: write \(key)=")
                }
            }
        }
        return odd
    }

    /// Blanks and tabs part words. What directly follows the directive is the first of them: `#BB_LUApool=nvme`.
    private static func words(_ line: String, directive: String) -> [String] {
        let rest = Array(line.utf8).dropFirst(directive.utf8.count + 1)
        return rest.split(whereSeparator: ConfigText.isSpace).map { String(decoding: $0, as: UTF8.self) }
    }

    private static func value(of key: String, in words: [String]) -> String? {
        for word in words where word.utf8.starts(with: (key + "=").utf8) {
            return String(decoding: Array(word.utf8.dropFirst(key.utf8.count + 1)), as: UTF8.self)
        }
        return nil
    }
}

/// Where `--bb` and `--bbf` put their text (spec §3.4).
package enum BurstBufferOption {
    /// Bytes that Slurm's controller takes of `--bb` (spec §3.3).
    package static let bytesMax = 8192

    /// The script with the text as its second line; before all of it where line 1 does not begin with `#`. Empty text
    /// changes nothing.
    package static func inserted(_ text: String, into script: String) -> String {
        var added = Array(text.utf8)
        if added.isEmpty { return script }
        if added.last != 10 { added.append(10) }
        let bytes = Array(script.utf8)
        guard bytes.first == UInt8(ascii: "#") else { return String(decoding: added + bytes, as: UTF8.self) }
        guard let end = bytes.firstIndex(of: 10) else {
            return String(decoding: bytes + [10] + added, as: UTF8.self)
        }
        return String(decoding: bytes[...end] + added + bytes[(end + 1)...], as: UTF8.self)
    }

    /// The numbers that the text's lines have after `inserted(_:into:)`.
    static func lines(of text: String, in script: String) -> Range<Int> {
        if text.utf8.isEmpty { return 0..<0 }
        let count = text.utf8.count { $0 == 10 } + (text.utf8.last == 10 ? 0 : 1)
        let first = script.utf8.first == UInt8(ascii: "#") ? 2 : 1
        return first..<(first + count)
    }

    /// Text for a batch script. A line that does not begin with `#` would become a command of the script and end the
    /// scan of directives; Slurm inserts it all the same (spec §10, Q32).
    package static func checkForScript(_ text: String, directive: String) throws(SubmissionFault) {
        try checkLength(text)
        for line in text.utf8.split(separator: 10) where line.first != UInt8(ascii: "#") {
            let shown = PlainText.quoted(String(decoding: Array(line), as: UTF8.self))
            throw SubmissionFault(
                .invalidBurstBufferRequest,
                ["--bb: \(shown) would become a command of the script: write \"#\(directive) ...\""])
        }
    }

    /// The script of `srun` and `salloc` jobs, which is for hooks only.
    package static func interactiveScript(_ text: String) -> String { "#!/bin/bash\n" + text }

    /// Text for `srun` and `salloc`, which is the whole request: its first line has to be a directive.
    package static func checkAlone(_ text: String, directive: String) throws(SubmissionFault) {
        try checkLength(text)
        let first = text.utf8.split(separator: 10).first.map { String(decoding: Array($0), as: UTF8.self) } ?? ""
        guard first.utf8.starts(with: ("#" + directive).utf8) else {
            throw SubmissionFault(
                .invalidBurstBufferRequest,
                ["--bb: \(PlainText.quoted(first)) is no directive: write \"#\(directive) ...\""])
        }
    }

    private static func checkLength(_ text: String) throws(SubmissionFault) {
        guard text.utf8.count > bytesMax else { return }
        throw SubmissionFault(
            .pathnameTooLong, ["--bb: \(text.utf8.count) bytes are too many: write at most \(bytesMax), or use --bbf"])
    }
}
