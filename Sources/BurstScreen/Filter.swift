/// A column that a filter expression can name.
package struct FilterField: Hashable, Sendable {
    /// What the column's values are, which decides the operators that fit.
    package enum Kind: Hashable, Sendable { case text, amount, seconds, number }

    package var name: String
    package var aliases: [String]
    package var kind: Kind
    /// Words without an operator are looked for in this column.
    package var inFreeText: Bool

    package init(_ name: String, aliases: [String] = [], kind: Kind = .text, inFreeText: Bool = false) {
        self.name = name
        self.aliases = aliases
        self.kind = kind
        self.inFreeText = inFreeText
    }
}

/// A row's value in a column.
package enum FilterValue: Hashable, Sendable {
    case text(String)
    case amount(UInt64)
    case seconds(Int)
    case number(Int64)
    case none
}

/// What is wrong with a filter expression, as one line.
package struct FilterError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The character where it goes wrong, from 1.
    package var position: Int
    package var problem: String
    /// What would be right.
    package var remedy: String

    package init(position: Int, problem: String, remedy: String) {
        self.position = position
        self.problem = problem
        self.remedy = remedy
    }

    package var description: String { "filter, column \(position): \(problem); \(remedy)" }
}

/// An expression that chooses rows: `pool=wlm* state!=running,staged-in size>1.5T age>=2h30m "two words" or not alice`.
///
/// Terms are `column OP value` with `=` `!=` (`*` and `?` stand for any text and any one character, commas separate
/// alternatives, `""` means a row without a value), `<` `<=` `>` `>=` (amounts, ages and numbers) and `~` `!~`
/// (contains).
/// Other words are looked for in the main columns. Blanks mean and; `or`, `not` or `!`, and parentheses do what they
/// say.
/// Upper and lower case are the same. Quotes take any text literally.
package struct Filter: Hashable, Sendable {
    package let text: String
    /// Tests with the places to go on at; an empty filter has none.
    private let steps: [Step]
    private let start: Int
    private let freeFields: [Int]

    private static let accept = -1
    private static let reject = -2

    /// A filter that every row passes.
    package init() {
        text = ""
        steps = []
        start = Self.accept
        freeFields = []
    }

    package init(_ text: String, fields: [FilterField]) throws(FilterError) {
        self.text = text
        freeFields = fields.indices.filter { fields[$0].inFreeText }
        var parser = FilterParser(text, fields: fields)
        var steps: [Step] = []
        if let tree = try parser.parse() {
            start = Self.compile(tree, yes: Self.accept, no: Self.reject, into: &steps)
        } else {
            start = Self.accept
        }
        self.steps = steps
    }

    package var isEmpty: Bool { steps.isEmpty }

    /// Whether no row passes that did not pass the other filter: as each letter that is typed makes a word longer.
    /// False where that is not plain to see.
    package func narrows(_ other: Filter) -> Bool {
        guard freeFields == other.freeFields || other.steps.isEmpty, isConjunction, other.isConjunction else {
            return false
        }
        return other.steps.allSatisfy { old in
            steps.contains { $0.field == old.field && $0.test.implies(old.test) }
        }
    }

    /// All tests have to hold.
    private var isConjunction: Bool {
        steps.isEmpty ? start == Self.accept : start >= 0 && steps.allSatisfy { $0.no == Self.reject }
    }

    /// Whether a row passes; `value` gives the row's value of the column at an index into the fields.
    package func matches(_ value: (Int) -> FilterValue) -> Bool {
        var at = start
        while at >= 0 {
            let holds: Bool
            if let field = steps[at].field {
                holds = steps[at].test.holds(value(field))
            } else {
                holds = freeFields.contains { steps[at].test.holds(value($0)) }
            }
            at = holds ? steps[at].yes : steps[at].no
        }
        return at == Self.accept
    }

    /// Lays the tree out from its end, so that every step knows where to go on for either outcome: matching is a walk
    /// without recursion.
    private static func compile(_ tree: FilterTree, yes: Int, no: Int, into steps: inout [Step]) -> Int {
        switch tree {
        case .test(let field, let test):
            steps.append(Step(field: field, test: test, yes: yes, no: no))
            return steps.count - 1
        case .not(let part): return compile(part, yes: no, no: yes, into: &steps)
        case .and(let parts):
            var next = yes
            for part in parts.reversed() { next = compile(part, yes: next, no: no, into: &steps) }
            return next
        case .or(let parts):
            var next = no
            for part in parts.reversed() { next = compile(part, yes: yes, no: next, into: &steps) }
            return next
        }
    }

    private struct Step: Hashable, Sendable {
        /// Nil: all columns of free text.
        var field: Int?
        var test: FilterTest
        var yes: Int
        var no: Int
    }
}

/// What a filter expression says, before it is laid out.
indirect enum FilterTree {
    /// Without a field: any column of free text.
    case test(field: Int?, FilterTest)
    case not(FilterTree)
    case and([FilterTree])
    case or([FilterTree])
}

/// One question to one value.
enum FilterTest: Hashable, Sendable {
    enum Order: Hashable, Sendable { case less, lessOrEqual, greater, greaterOrEqual }

    /// The text has a part like this.
    case contains(FilterPattern)
    /// The whole text is like one of these.
    case isLike([FilterPattern])
    /// The number is one of these; nil stands for no value.
    case isOne([Int128?])
    case order(Order, Int128)

    /// Whether a value for which this holds is one for which the other does.
    func implies(_ other: FilterTest) -> Bool {
        if self == other { return true }
        switch (self, other) {
        case (.contains(let longer), .contains(let shorter)): return longer.contains(shorter)
        case (.isLike(let longer), .isLike(let shorter)):
            guard longer.count == 1, shorter.count == 1 else { return false }
            return longer[0].begins(as: shorter[0])
        default: return false
        }
    }

    func holds(_ value: FilterValue) -> Bool {
        switch self {
        case .contains(let pattern):
            switch value {
            case .text(let text): pattern.isIn(text)
            case .number(let number): pattern.isIn(String(number))
            case .amount, .seconds, .none: false
            }
        case .isLike(let patterns):
            switch value {
            case .text(let text): patterns.contains { $0.isLike(text) }
            case .number(let number): patterns.contains { $0.isLike(String(number)) }
            case .amount, .seconds: false
            case .none: patterns.contains { $0.codes.isEmpty }
            }
        case .isOne(let numbers): numbers.contains(Self.number(value))
        case .order(let order, let limit):
            if let number = Self.number(value) {
                switch order {
                case .less: number < limit
                case .lessOrEqual: number <= limit
                case .greater: number > limit
                case .greaterOrEqual: number >= limit
                }
            } else {
                false
            }
        }
    }

    private static func number(_ value: FilterValue) -> Int128? {
        switch value {
        case .amount(let amount): Int128(amount)
        case .seconds(let seconds): Int128(seconds)
        case .number(let number): Int128(number)
        case .text, .none: nil
        }
    }
}

/// Text to look for, in lower case, with wild cards. Works on bytes: a filter runs over every row at every key press.
struct FilterPattern: Hashable, Sendable {
    static let anyText: UInt16 = 256
    static let anyCharacter: UInt16 = 257

    /// Bytes of UTF-8, or one of the two wild cards.
    let codes: [UInt16]
    private let hasWildCards: Bool
    /// Only then may the case of the other text be folded byte by byte.
    private let isASCII: Bool

    init(_ codes: [UInt16]) {
        self.codes = codes
        hasWildCards = codes.contains { $0 > 0xff }
        isASCII = codes.allSatisfy { $0 < 0x80 || $0 > 0xff }
    }

    /// Text that has this somewhere has the other, too. Only told of patterns without wild cards.
    func contains(_ other: FilterPattern) -> Bool {
        guard !hasWildCards, !other.hasWildCards, other.codes.count <= codes.count else { return false }
        return (0...(codes.count - other.codes.count)).contains { codes[$0...].starts(with: other.codes) }
    }

    /// The other is plain text and then anything, and this begins with that text.
    func begins(as other: FilterPattern) -> Bool {
        guard other.codes.last == Self.anyText else { return false }
        let text = other.codes.dropLast()
        return text.allSatisfy { $0 <= 0xff } && codes.starts(with: text) && codes.count > text.count
    }

    /// The pattern stands somewhere in the text; one with wild cards has to cover it whole.
    func isIn(_ text: String) -> Bool {
        guard isASCII else {
            let lower = text.lowercased()
            return isIn(bytes: lower.utf8Span.span)
        }
        return isIn(bytes: text.utf8Span.span)
    }

    /// The pattern covers the whole text. Empty text counts as no value: only the empty pattern covers it.
    func isLike(_ text: String) -> Bool {
        guard isASCII else {
            let lower = text.lowercased()
            return isLike(bytes: lower.utf8Span.span)
        }
        return isLike(bytes: text.utf8Span.span)
    }

    private func isIn(bytes text: Span<UInt8>) -> Bool {
        if hasWildCards { return isLike(bytes: text) }
        let needle = codes.span
        let count = needle.count
        guard count > 0 else { return true }
        guard text.count >= count else { return false }
        let first = UInt8(truncatingIfNeeded: needle[0])
        var at = 0
        let last = text.count - count
        while at <= last {
            if Self.lower(text[at]) == first {
                var offset = 1
                while offset < count, UInt16(Self.lower(text[at + offset])) == needle[offset] { offset += 1 }
                if offset == count { return true }
            }
            at += 1
        }
        return false
    }

    private func isLike(bytes text: Span<UInt8>) -> Bool {
        if text.isEmpty { return codes.isEmpty }
        let pattern = codes.span
        var at = 0
        var place = 0
        // Where to go on when what follows the last star does not fit.
        var star = -1
        var resume = 0
        while at < text.count {
            if place < pattern.count, pattern[place] == Self.anyText {
                star = place
                resume = at
                place += 1
            } else if place < pattern.count, pattern[place] == Self.anyCharacter {
                at = Self.next(text, after: at)
                place += 1
            } else if place < pattern.count, pattern[place] == UInt16(Self.lower(text[at])) {
                at += 1
                place += 1
            } else if star >= 0 {
                resume = Self.next(text, after: resume)
                at = resume
                place = star + 1
            } else {
                return false
            }
        }
        while place < pattern.count, pattern[place] == Self.anyText { place += 1 }
        return place == pattern.count
    }

    /// The start of the next character: continuation bytes of UTF-8 are stepped over.
    private static func next(_ text: Span<UInt8>, after at: Int) -> Int {
        var next = at + 1
        while next < text.count, text[next] & 0xc0 == 0x80 { next += 1 }
        return next
    }

    @inline(__always)
    private static func lower(_ byte: UInt8) -> UInt8 { byte &- 0x41 < 26 ? byte | 0x20 : byte }
}
