/// JSON as read by a reader of our own: knows nothing of how burstmon writes it. Strict; integers only, as burstmon's
/// are.
package enum JSON: Hashable, Sendable {
    case null
    case flag(Bool)
    case number(Int64)
    case text(String)
    case array([JSON])
    case object([String: JSON])

    package init(_ text: some Sequence<UInt8>) throws(HarnessError) {
        var reader = JSONReader(bytes: Array(text))
        self = try reader.document()
    }

    package subscript(key: String) -> JSON {
        if case .object(let members) = self { members[key] ?? .null } else { .null }
    }
    package var elements: [JSON] { if case .array(let elements) = self { elements } else { [] } }
    package var members: [String: JSON] { if case .object(let members) = self { members } else { [:] } }
    package var number: Int64? { if case .number(let number) = self { number } else { nil } }
    package var text: String? { if case .text(let text) = self { text } else { nil } }
    package var flag: Bool? { if case .flag(let flag) = self { flag } else { nil } }
}

private struct JSONReader {
    let bytes: [UInt8]
    var at = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    mutating func document() throws(HarnessError) -> JSON {
        let value = try value()
        skipBlanks()
        guard at == bytes.count else { throw fault("something follows the document") }
        return value
    }

    private func fault(_ what: String) -> HarnessError { HarnessError("JSON, byte \(at): \(what)") }

    private mutating func skipBlanks() {
        while at < bytes.count, [0x20, 0x09, 0x0a, 0x0d].contains(bytes[at]) { at += 1 }
    }

    private mutating func take(_ word: String) -> Bool {
        guard bytes[at...].starts(with: word.utf8) else { return false }
        at += word.utf8.count
        return true
    }

    private mutating func value() throws(HarnessError) -> JSON {
        skipBlanks()
        guard at < bytes.count else { throw fault("it ends early") }
        if take("null") { return .null }
        if take("true") { return .flag(true) }
        if take("false") { return .flag(false) }
        switch bytes[at] {
        case UInt8(ascii: "\""): return .text(try string())
        case UInt8(ascii: "["): return .array(try list())
        case UInt8(ascii: "{"): return .object(try members())
        default: return .number(try number())
        }
    }

    private mutating func number() throws(HarnessError) -> Int64 {
        let start = at
        while at < bytes.count, bytes[at] == 0x2d || (0x30...0x39).contains(bytes[at]) { at += 1 }
        guard let number = Int64(String(decoding: bytes[start..<at], as: UTF8.self)) else { throw fault("no value") }
        return number
    }

    private mutating func list() throws(HarnessError) -> [JSON] {
        var elements: [JSON] = []
        at += 1
        skipBlanks()
        if take("]") { return [] }
        while true {
            elements.append(try value())
            skipBlanks()
            if take("]") { return elements }
            guard take(",") else { throw fault("no comma") }
        }
    }

    private mutating func members() throws(HarnessError) -> [String: JSON] {
        var members: [String: JSON] = [:]
        at += 1
        skipBlanks()
        if take("}") { return [:] }
        while true {
            skipBlanks()
            let name = try string()
            skipBlanks()
            guard take(":") else { throw fault("no colon") }
            guard members.updateValue(try value(), forKey: name) == nil else { throw fault("\(name) stands twice") }
            skipBlanks()
            if take("}") { return members }
            guard take(",") else { throw fault("no comma") }
        }
    }

    private mutating func string() throws(HarnessError) -> String {
        guard take("\"") else { throw fault("no string") }
        var text: [UInt8] = []
        while at < bytes.count {
            let byte = bytes[at]
            at += 1
            switch byte {
            case UInt8(ascii: "\""):
                guard let string = String(validating: text, as: UTF8.self) else { throw fault("no UTF-8") }
                return string
            case UInt8(ascii: "\\"): text += try escape()
            case 0..<0x20: throw fault("a control character")
            default: text.append(byte)
            }
        }
        throw fault("a string does not end")
    }

    private mutating func escape() throws(HarnessError) -> [UInt8] {
        guard at < bytes.count else { throw fault("it ends early") }
        let letter = bytes[at]
        at += 1
        let plain: [UInt8: UInt8] = [
            0x22: 0x22, 0x5c: 0x5c, 0x2f: 0x2f, 0x62: 0x08, 0x66: 0x0c, 0x6e: 0x0a, 0x72: 0x0d, 0x74: 0x09,
        ]
        if let byte = plain[letter] { return [byte] }
        guard letter == UInt8(ascii: "u"), at + 4 <= bytes.count,
            let code = UInt32(String(decoding: bytes[at..<at + 4], as: UTF8.self), radix: 16),
            let scalar = Unicode.Scalar(code)
        else { throw fault("an unknown escape") }
        at += 4
        return Array(String(Character(scalar)).utf8)
    }
}
