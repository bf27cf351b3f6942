/// A JSON document as a tree, read strictly (RFC 8259), for modules that know nothing of the outside: what `JSONWriter`
/// wrote, `init(json:)` reads. Any bytes give a tree or a fault with its place.
package enum JSONValue: Hashable, Sendable {
    case null
    case flag(Bool)
    /// Whole and not negative.
    case whole(UInt64)
    /// Any other number.
    case real(Double)
    case text(String)
    case array([JSONValue])
    /// Of two members of one name the last counts.
    case object([String: JSONValue])

    /// Arrays and objects within each other.
    package static let depthMax = 32

    /// Why bytes are no JSON.
    package struct Damage: Error, Hashable, Sendable, CustomStringConvertible {
        /// From 0.
        package var offset: Int
        package var message: String

        package var description: String { "byte \(offset): \(message)" }
    }

    package init(json bytes: [UInt8]) throws(Damage) {
        var reader = JSONTreeReader(bytes: bytes)
        self = try reader.document()
    }

    /// What it is, for a message: `a text`.
    package var kind: String {
        switch self {
        case .null: "null"
        case .flag: "true or false"
        case .whole, .real: "a number"
        case .text: "a text"
        case .array: "a list"
        case .object: "an object"
        }
    }
}

private struct JSONTreeReader {
    private let bytes: [UInt8]
    private var at = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    mutating func document() throws(JSONValue.Damage) -> JSONValue {
        skipBlanks()
        let value = try value(depth: 0)
        skipBlanks()
        guard at == bytes.count else { throw damage("something follows the document") }
        return value
    }

    private func damage(_ message: String) -> JSONValue.Damage { JSONValue.Damage(offset: at, message: message) }

    private var next: UInt8? { at < bytes.count ? bytes[at] : nil }

    private mutating func skipBlanks() {
        while let byte = next, byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09 { at += 1 }
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard next == byte else { return false }
        at += 1
        return true
    }

    private mutating func value(depth: Int) throws(JSONValue.Damage) -> JSONValue {
        guard depth <= JSONValue.depthMax else {
            throw damage("more than \(JSONValue.depthMax) lists within each other")
        }
        switch next {
        case UInt8(ascii: "{"): return try object(depth: depth)
        case UInt8(ascii: "["): return try array(depth: depth)
        case UInt8(ascii: "\""): return .text(try text())
        case UInt8(ascii: "t"): return try word("true", .flag(true))
        case UInt8(ascii: "f"): return try word("false", .flag(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        case UInt8(ascii: "-"): return try number()
        case nil: throw damage("the document ends too early")
        case let byte?:
            if (0x30...0x39).contains(byte) { return try number() }
            throw damage("no value begins like this")
        }
    }

    private mutating func word(_ word: StaticString, _ value: JSONValue) throws(JSONValue.Damage) -> JSONValue {
        let count = word.utf8CodeUnitCount
        guard bytes.count - at >= count, word.withUTF8Buffer({ bytes[at..<(at + count)].elementsEqual($0) }) else {
            throw damage("no value begins like this")
        }
        at += count
        return value
    }

    private mutating func object(depth: Int) throws(JSONValue.Damage) -> JSONValue {
        at += 1
        var members: [String: JSONValue] = [:]
        skipBlanks()
        if take(UInt8(ascii: "}")) { return .object(members) }
        while true {
            skipBlanks()
            guard next == UInt8(ascii: "\"") else { throw damage("a member's name is missing") }
            let name = try text()
            skipBlanks()
            guard take(UInt8(ascii: ":")) else { throw damage("no colon follows a member's name") }
            skipBlanks()
            members[name] = try value(depth: depth + 1)
            skipBlanks()
            if take(UInt8(ascii: "}")) { return .object(members) }
            guard take(UInt8(ascii: ",")) else { throw damage("neither a comma nor a closing brace") }
        }
    }

    private mutating func array(depth: Int) throws(JSONValue.Damage) -> JSONValue {
        at += 1
        var elements: [JSONValue] = []
        skipBlanks()
        if take(UInt8(ascii: "]")) { return .array(elements) }
        while true {
            skipBlanks()
            elements.append(try value(depth: depth + 1))
            skipBlanks()
            if take(UInt8(ascii: "]")) { return .array(elements) }
            guard take(UInt8(ascii: ",")) else { throw damage("neither a comma nor a closing bracket") }
        }
    }

    private mutating func number() throws(JSONValue.Damage) -> JSONValue {
        let start = at
        let isNegative = take(UInt8(ascii: "-"))
        let first = at
        digits()
        guard at > first else { throw damage("a number without digits") }
        if at > first + 1, bytes[first] == UInt8(ascii: "0") { throw damage("a number that begins with 0") }
        var isWhole = !isNegative
        if take(UInt8(ascii: ".")) {
            isWhole = false
            let fraction = at
            digits()
            guard at > fraction else { throw damage("a number that ends in its point") }
        }
        if let byte = next, byte | 0x20 == UInt8(ascii: "e") {
            at += 1
            isWhole = false
            if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
            let exponent = at
            digits()
            guard at > exponent else { throw damage("a number without its exponent") }
        }
        let text = String(decoding: bytes[start..<at], as: UTF8.self)
        if isWhole, let whole = UInt64(text) { return .whole(whole) }
        guard let real = Double(text), real.isFinite else { throw damage("a number that is too large") }
        return .real(real)
    }

    private mutating func digits() {
        while let byte = next, byte >= 0x30, byte <= 0x39 { at += 1 }
    }

    /// A text; bytes that are no UTF-8 become U+FFFD.
    private mutating func text() throws(JSONValue.Damage) -> String {
        at += 1
        let start = at
        while let byte = next, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "\\"), byte >= 0x20 { at += 1 }
        if next == UInt8(ascii: "\"") {
            at += 1
            return String(decoding: bytes[start..<(at - 1)], as: UTF8.self)
        }
        var kept = Array(bytes[start..<at])
        while let byte = next {
            if byte == UInt8(ascii: "\"") {
                at += 1
                return String(decoding: kept, as: UTF8.self)
            }
            guard byte >= 0x20 else { throw damage("a control character within a text") }
            at += 1
            if byte == UInt8(ascii: "\\") { try escape(into: &kept) } else { kept.append(byte) }
        }
        throw damage("a text without its end")
    }

    private mutating func escape(into kept: inout [UInt8]) throws(JSONValue.Damage) {
        guard let byte = next else { throw damage("a text without its end") }
        at += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): kept.append(byte)
        case UInt8(ascii: "b"): kept.append(0x08)
        case UInt8(ascii: "f"): kept.append(0x0c)
        case UInt8(ascii: "n"): kept.append(0x0a)
        case UInt8(ascii: "r"): kept.append(0x0d)
        case UInt8(ascii: "t"): kept.append(0x09)
        case UInt8(ascii: "u"):
            var code = UInt32(try unit())
            // Halves of a pair: one alone is nothing.
            if (0xd800...0xdbff).contains(code), next == UInt8(ascii: "\\"), at + 1 < bytes.count,
                bytes[at + 1] == UInt8(ascii: "u")
            {
                let before = at
                at += 2
                let low = UInt32(try unit())
                if (0xdc00...0xdfff).contains(low) {
                    code = 0x10000 + (code - 0xd800) << 10 + (low - 0xdc00)
                } else {
                    at = before
                }
            }
            kept += String(Unicode.Scalar(code) ?? "\u{fffd}").utf8
        default: throw damage("no escape is written like this")
        }
    }

    /// Four hexadecimal digits.
    private mutating func unit() throws(JSONValue.Damage) -> UInt16 {
        guard bytes.count - at >= 4 else { throw damage("an escape without its four digits") }
        var value: UInt16 = 0
        for byte in bytes[at..<(at + 4)] {
            guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue, byte < 0x80 else {
                throw damage("an escape without its four digits")
            }
            value = value << 4 | UInt16(digit)
        }
        at += 4
        return value
    }
}
