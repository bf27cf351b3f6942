/// Reads a filter expression. Recursion is bounded, so any text gives a tree or an error.
struct FilterParser {
    /// Parentheses within parentheses.
    private static let depthMax = 32
    private static let lengthMax = 4096

    private let characters: [Character]
    private let fields: [FilterField]
    private var at = 0

    init(_ text: String, fields: [FilterField]) {
        characters = Array(text)
        self.fields = fields
    }

    /// Nil where there is nothing but blanks.
    mutating func parse() throws(FilterError) -> FilterTree? {
        guard characters.count <= Self.lengthMax else {
            throw fault(at: Self.lengthMax, "the filter is too long", "\(Self.lengthMax) characters are the most")
        }
        skipBlanks()
        guard at < characters.count else { return nil }
        let tree = try either(depth: 0)
        if at < characters.count {
            throw fault(at: at, "no parenthesis is open here", "remove \")\" or put it into quotes")
        }
        return tree
    }

    // MARK: Structure

    private mutating func either(depth: Int) throws(FilterError) -> FilterTree {
        var parts = [try all(depth: depth)]
        while takeKeyword("or") { parts.append(try all(depth: depth)) }
        return parts.count == 1 ? parts[0] : .or(parts)
    }

    private mutating func all(depth: Int) throws(FilterError) -> FilterTree {
        var parts: [FilterTree] = []
        while true {
            skipBlanks()
            if !parts.isEmpty, takeKeyword("and") {
                parts.append(try negatable(depth: depth))
                continue
            }
            if at == characters.count || characters[at] == ")" || seesKeyword("or") { break }
            parts.append(try negatable(depth: depth))
        }
        guard !parts.isEmpty else { throw nothingHere() }
        return parts.count == 1 ? parts[0] : .and(parts)
    }

    private mutating func negatable(depth: Int) throws(FilterError) -> FilterTree {
        var negated = false
        while true {
            skipBlanks()
            if at < characters.count, characters[at] == "!", operation(at: at) == nil {
                at += 1
            } else if !takeKeyword("not") {
                break
            }
            negated.toggle()
        }
        guard at < characters.count, characters[at] != ")", !seesKeyword("or"), !seesKeyword("and") else {
            throw nothingHere()
        }
        let tree: FilterTree
        if characters[at] == "(" {
            tree = try group(depth: depth + 1)
        } else {
            tree = try term()
        }
        return negated ? .not(tree) : tree
    }

    private mutating func group(depth: Int) throws(FilterError) -> FilterTree {
        let start = at
        guard depth <= Self.depthMax else {
            throw fault(at: at, "too many parentheses within each other", "\(Self.depthMax) are the most")
        }
        at += 1
        let tree = try either(depth: depth)
        guard at < characters.count else {
            throw fault(at: start, "the parenthesis is not closed", "add \")\"")
        }
        at += 1
        return tree
    }

    // MARK: Terms

    private enum Operation: String {
        case equal = "="
        case notEqual = "!="
        case less = "<"
        case lessOrEqual = "<="
        case greater = ">"
        case greaterOrEqual = ">="
        case contains = "~"
        case containsNot = "!~"

        var isNegated: Bool { self == .notEqual || self == .containsNot }

        var order: FilterTest.Order? {
            switch self {
            case .less: .less
            case .lessOrEqual: .lessOrEqual
            case .greater: .greater
            case .greaterOrEqual: .greaterOrEqual
            case .equal, .notEqual, .contains, .containsNot: nil
            }
        }
    }

    /// One value of a comma list, or a word to look for.
    private struct Item {
        var start: Int
        var codes: [UInt16] = []
        var text = ""
        var quoted = false

        mutating func add(_ character: Character, literally: Bool) {
            text.append(character)
            switch character {
            case "*" where !literally: codes.append(FilterPattern.anyText)
            case "?" where !literally: codes.append(FilterPattern.anyCharacter)
            default: codes += character.lowercased().utf8.map { UInt16($0) }
            }
        }
    }

    private mutating func term() throws(FilterError) -> FilterTree {
        let start = at
        if characters[at] == "\"" {
            var item = Item(start: at)
            try quotes(into: &item)
            return .test(field: nil, .contains(FilterPattern(item.codes)))
        }
        var item = Item(start: at)
        while at < characters.count, !endsWord(at) {
            item.add(characters[at], literally: false)
            at += 1
        }
        let end = at
        skipBlanks()
        guard let operation = operation(at: at) else {
            at = end
            return .test(field: nil, .contains(FilterPattern(item.codes)))
        }
        guard end > start else {
            throw fault(
                at: start, "no column stands before \"\(operation.rawValue)\"", "write column\(operation.rawValue)value"
            )
        }
        let field = try field(named: item.text, at: start)
        let place = at
        at += operation.rawValue.count
        skipBlanks()
        let items = try values(operation, of: fields[field].name)
        let test = try test(operation, at: place, field: fields[field], items)
        return operation.isNegated ? .not(.test(field: field, test)) : .test(field: field, test)
    }

    private mutating func values(_ operation: Operation, of name: String) throws(FilterError) -> [Item] {
        let lists = operation == .equal || operation == .notEqual
        var items = [Item(start: at)]
        while at < characters.count, !characters[at].isWhitespace, characters[at] != "(", characters[at] != ")" {
            let last = items.count - 1
            if characters[at] == "\"" {
                try quotes(into: &items[last])
            } else if characters[at] == ",", lists {
                at += 1
                items.append(Item(start: at))
            } else {
                items[last].add(characters[at], literally: !lists)
                at += 1
            }
        }
        for item in items where item.text.isEmpty && !item.quoted {
            let what =
                items.count > 1 ? "a value is missing in the list" : "no value follows \(name)\(operation.rawValue)"
            throw fault(at: item.start, what, "give one, or \"\" for rows without a value")
        }
        return items
    }

    /// Reads what is in quotes. `\"` and `\\` stand for the second character.
    private mutating func quotes(into item: inout Item) throws(FilterError) {
        let start = at
        at += 1
        item.quoted = true
        while at < characters.count, characters[at] != "\"" {
            if characters[at] == "\\", at + 1 < characters.count, "\\\"".contains(characters[at + 1]) { at += 1 }
            item.add(characters[at], literally: true)
            at += 1
        }
        guard at < characters.count else { throw fault(at: start, "the quotes are not closed", "add \"") }
        at += 1
    }

    private func test(
        _ operation: Operation, at place: Int, field: FilterField, _ items: [Item]
    ) throws(FilterError) -> FilterTest {
        if let order = operation.order {
            guard field.kind != .text else {
                throw fault(at: place, "\(field.name) is text and has no order", "use = != ~ or !~")
            }
            guard let limit = try number(items[0], field) else {
                throw fault(at: items[0].start, "no value is neither more nor less", "use = or != with \"\"")
            }
            return .order(order, limit)
        }
        switch (operation, field.kind) {
        case (.contains, .text), (.containsNot, .text), (.contains, .number), (.containsNot, .number):
            return .contains(FilterPattern(items[0].codes))
        case (.contains, _), (.containsNot, _):
            throw fault(at: place, "\(field.name) is \(Self.noun(field.kind)), not text", "use = != < <= > or >=")
        case (_, .text): return .isLike(items.map { FilterPattern($0.codes) })
        default:
            var numbers: [Int128?] = []
            for item in items { numbers.append(try number(item, field)) }
            return .isOne(numbers)
        }
    }

    private static func noun(_ kind: FilterField.Kind) -> String {
        switch kind {
        case .text: "text"
        case .amount: "an amount"
        case .seconds: "an age"
        case .number: "a number"
        }
    }

    /// Nil for `""`: no value.
    private func number(_ item: Item, _ field: FilterField) throws(FilterError) -> Int128? {
        if item.text.isEmpty { return nil }
        let number: Int128?
        let examples: String
        switch field.kind {
        case .amount:
            number = FilterNumber.amount(item.text)
            examples = "write 200G, 1.5T, 1TiB, 250KB or a plain number"
        case .seconds:
            number = FilterNumber.seconds(item.text)
            examples = "write 90m, 2h, 1h30m, 3d or a number of seconds"
        case .number, .text:
            number = FilterNumber.number(item.text)
            examples = "write digits"
        }
        guard let number else {
            throw fault(
                at: item.start, "\(field.name) is \(Self.noun(field.kind)), but \"\(Self.shown(item.text))\" is none",
                examples)
        }
        return number
    }

    // MARK: Columns

    private func field(named word: String, at place: Int) throws(FilterError) -> Int {
        let lower = word.lowercased()
        if let index = fields.firstIndex(where: { $0.answers(to: lower) }) { return index }
        let remedy =
            Self.nearest(to: lower, in: fields).map { "did you mean \"\($0)\"?" }
            ?? (fields.isEmpty ? "there are none here" : "there are " + fields.map(\.name).joined(separator: " "))
        throw fault(at: place, "no column is called \"\(Self.shown(word))\"", remedy)
    }

    /// The name, or the name of which an alias, is a misspelling away; nil where all are far.
    private static func nearest(to word: String, in fields: [FilterField]) -> String? {
        guard word.utf8.count <= 32 else { return nil }
        var best: (distance: Int, name: String)?
        for field in fields {
            for name in [field.name] + field.aliases {
                let other = name.lowercased()
                // The beginning of a name is as near as one wrong letter.
                let distance = word.count > 1 && other.hasPrefix(word) ? 1 : Self.distance(word, other)
                if distance <= max(1, min(word.count, other.count) / 2), distance < best?.distance ?? Int.max {
                    best = (distance, field.name)
                }
            }
        }
        return best?.name
    }

    /// How many letters to add, drop, change or swap with their neighbour.
    private static func distance(_ left: String, _ right: String) -> Int {
        let from = Array(left)
        let to = Array(right)
        var older: [Int] = []
        var above = Array(0...to.count)
        for row in from.indices {
            var line = [row + 1]
            for column in to.indices {
                var least = min(
                    above[column] + (from[row] == to[column] ? 0 : 1), above[column + 1] + 1, line[column] + 1)
                if row > 0, column > 0, from[row] == to[column - 1], from[row - 1] == to[column] {
                    least = min(least, older[column - 1] + 1)
                }
                line.append(least)
            }
            older = above
            above = line
        }
        return above[to.count]
    }

    // MARK: Characters

    private mutating func skipBlanks() {
        while at < characters.count, characters[at].isWhitespace { at += 1 }
    }

    private func operation(at place: Int) -> Operation? {
        guard place < characters.count else { return nil }
        if place + 1 < characters.count, let two = Operation(rawValue: String(characters[place...(place + 1)])) {
            return two
        }
        return Operation(rawValue: String(characters[place]))
    }

    private func endsWord(_ place: Int) -> Bool {
        let character = characters[place]
        return character.isWhitespace || character == "(" || character == ")" || character == "\""
            || operation(at: place) != nil
    }

    /// A keyword stands here, whole, and is no column's name.
    private func seesKeyword(_ word: String) -> Bool {
        let end = at + word.count
        guard end <= characters.count, String(characters[at..<end]).lowercased() == word else { return false }
        var next = end
        while next < characters.count, characters[next].isWhitespace { next += 1 }
        return end == characters.count || (endsWord(end) && operation(at: next) == nil)
    }

    private mutating func takeKeyword(_ word: String) -> Bool {
        skipBlanks()
        guard seesKeyword(word) else { return false }
        at += word.count
        return true
    }

    private func nothingHere() -> FilterError {
        fault(at: at, "something to look for is missing", "write a word or column=value")
    }

    private func fault(at place: Int, _ problem: String, _ remedy: String) -> FilterError {
        FilterError(position: place + 1, problem: problem, remedy: remedy)
    }

    /// The user's own text in a message: short, and in one line.
    private static func shown(_ text: String) -> String {
        let cut = text.count > 40 ? text.prefix(40) + "..." : Substring(text)
        return String(cut.map { $0.unicodeScalars.contains { $0.properties.generalCategory == .control } ? "?" : $0 })
    }
}

/// Numbers as they are typed into a filter.
enum FilterNumber {
    /// Slurm's units (K and KiB count 1024, KB counts 1000), in any case, and with a decimal fraction.
    static func amount(_ text: String) -> Int128? {
        let lower = text.lowercased()
        if lower == "infinite" { return Int128(UInt64.max) }
        let suffix = lower.drop { $0.isASCII && $0.isNumber || $0 == "." }
        let powers = ["": 0, "b": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5, "e": 6]
        let unit: (base: Int128, power: Int)
        if let power = powers[String(suffix)] {
            unit = (1024, power)
        } else if suffix.hasSuffix("ib"), let power = powers[String(suffix.dropLast(2))], power > 0 {
            unit = (1024, power)
        } else if suffix.hasSuffix("b"), let power = powers[String(suffix.dropLast())], power > 0 {
            unit = (1000, power)
        } else {
            return nil
        }
        let multiplier = (0..<unit.power).reduce(Int128(1)) { product, _ in product * unit.base }
        guard let value = scaled(lower.dropLast(suffix.count), by: multiplier), value <= Int128(UInt64.max) else {
            return nil
        }
        return value
    }

    /// `90`, `90s`, `1h30m`, `1.5d`, `2w`.
    static func seconds(_ text: String) -> Int128? {
        let units: [Character: Int128] = ["s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800]
        var sum: Int128 = 0
        var rest = text.lowercased()[...]
        guard !rest.isEmpty else { return nil }
        while !rest.isEmpty {
            let digits = rest.prefix { $0.isASCII && $0.isNumber || $0 == "." }
            rest = rest.dropFirst(digits.count)
            let unit: Int128
            if let letter = rest.popFirst() {
                guard let known = units[letter] else { return nil }
                unit = known
            } else if digits.count == text.count {
                unit = 1
            } else {
                return nil
            }
            guard let part = scaled(digits, by: unit) else { return nil }
            sum += part
        }
        return sum <= Int128(Int64.max) ? sum : nil
    }

    /// A whole number; a per cent sign may follow.
    static func number(_ text: String) -> Int128? {
        let digits = text.hasSuffix("%") ? text.dropLast() : text[...]
        return Int64(digits).map { Int128($0) }
    }

    /// A decimal number times a unit, rounded down. At most 20 digits, so that nothing overflows.
    private static func scaled(_ text: some StringProtocol, by unit: Int128) -> Int128? {
        let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard let whole = parts.first, text.count <= 20, let value = UInt64(whole) else { return nil }
        // UInt64 times 2^60 fits; larger units than E there are none.
        let product = Int128(value) * unit
        guard parts.count == 2 else { return product }
        guard parts[1].count <= 9, let fraction = UInt64(parts[1]) else { return nil }
        let scale = (0..<parts[1].count).reduce(Int128(1)) { scale, _ in scale * 10 }
        return product + Int128(fraction) * unit / scale
    }
}
