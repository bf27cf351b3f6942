/// Readers of values that say in one line what would have been right. `path` is the way from the root of the file.
extension TOMLDocument {
    /// Refuses keys that are not among those allowed, the first in the file first.
    func allow(_ allowed: [String], in table: [String: Value], at path: [String], _ what: String) throws(FileFault) {
        let unknown = table.keys.filter { !allowed.contains($0) }
        let placed = unknown.map { (key: $0, line: line(path + [$0])) }
        guard let first = placed.min(by: { ($0.line, $0.key) < ($1.line, $1.key) }) else { return }
        throw fault(path + [first.key], "unknown \(what) \(quoted(first.key))", "use " + alternatives(allowed))
    }

    /// Keys in the order of the file, so that of several faults the first one is told.
    func ordered(_ table: [String: Value], at path: [String]) -> [(key: String, value: Value)] {
        let placed = table.map { (key: $0.key, value: $0.value, line: line(path + [$0.key])) }
        return placed.sorted { ($0.line, $0.key) < ($1.line, $1.key) }.map { ($0.key, $0.value) }
    }

    func table(_ value: Value?, at path: [String]) throws(FileFault) -> [String: Value] {
        guard let value else { return [:] }
        if case .table(let table) = value { return table }
        throw fault(path, "\(name(path)) is \(value.kind)", "it has to be a table, [\(path.joined(separator: "."))]")
    }

    /// A string that is not empty and has no control characters.
    func text(_ value: Value, at path: [String], bytesMax: Int = 4096) throws(FileFault) -> String {
        guard case .text(let text) = value else {
            throw fault(path, "\(name(path)) is \(value.kind)", "it has to be a string in quotes")
        }
        if text.isEmpty { throw fault(path, "\(name(path)) is empty", "give it a value or leave it out") }
        if text.utf8.count > bytesMax {
            throw fault(path, "\(name(path)) is longer than \(bytesMax) bytes", "shorten it")
        }
        if plainText(text, charactersMax: .max) != text {
            throw fault(path, "\(name(path)) holds a control character", "use printable characters")
        }
        return text
    }

    func flag(_ value: Value, at path: [String]) throws(FileFault) -> Bool {
        if case .flag(let flag) = value { return flag }
        throw fault(path, "\(name(path)) is \(value.kind)", "it has to be true or false")
    }

    func whole(_ value: Value, at path: [String], in range: ClosedRange<Int>) throws(FileFault) -> Int {
        let right = "it has to be a whole number from \(range.lowerBound) to \(range.upperBound)"
        guard case .whole(let whole) = value else { throw fault(path, "\(name(path)) is \(value.kind)", right) }
        guard range.contains(whole) else { throw fault(path, "\(name(path)) is \(whole)", right) }
        return whole
    }

    func number(_ value: Value, at path: [String], in range: ClosedRange<Double>) throws(FileFault) -> Double {
        let right = "it has to be a number from \(range.lowerBound) to \(range.upperBound)"
        let number: Double
        switch value {
        case .whole(let whole): number = Double(whole)
        case .number(let fraction): number = fraction
        default: throw fault(path, "\(name(path)) is \(value.kind)", right)
        }
        guard range.contains(number) else { throw fault(path, "\(name(path)) is \(number)", right) }
        return number
    }

    func word<Word: RawRepresentable & CaseIterable>(
        _ value: Value, at path: [String], as type: Word.Type
    ) throws(FileFault) -> Word where Word.RawValue == String {
        let text = try text(value, at: path)
        if let word = Word(rawValue: text) { return word }
        throw fault(
            path, "\(name(path)) is \(quoted(text))", "use " + alternatives(Word.allCases.map { $0.rawValue }))
    }

    /// A list of strings.
    func texts(_ value: Value, at path: [String], countMax: Int = 64) throws(FileFault) -> [String] {
        guard case .list(let values) = value else {
            throw fault(path, "\(name(path)) is \(value.kind)", "it has to be a list of strings, [\"...\"]")
        }
        if values.count > countMax {
            throw fault(path, "\(name(path)) has \(values.count) entries", "at most \(countMax) are taken")
        }
        var texts: [String] = []
        for value in values {
            guard case .text(let text) = value else {
                throw fault(path, "\(name(path)) holds \(value.kind)", "it has to be a list of strings, [\"...\"]")
            }
            texts.append(text)
        }
        return texts
    }

    /// The last part of a path, for a message.
    private func name(_ path: [String]) -> String {
        plainText(path.last ?? "the file", charactersMax: 60)
    }
}
