/// Readers of the values of Slurm's keys; a fault names the place and what would be right.
struct ConfigValue {
    var place: ConfigText.Place
    var pair: ConfigText.Pair

    func fault(_ wrong: String, _ right: String) -> ConfigFault {
        ConfigFault(file: place.file, line: place.line, wrong: wrong, right: right)
    }

    /// Slurm's unsigned 32-bit number: decimal, `0x` hexadecimal, or octal after a `0`; `INFINITE` and `UNLIMITED` are
    /// 4294967295.
    func uint32() throws(ConfigFault) -> UInt32 {
        let text = pair.value
        if ["infinite", "unlimited"].contains(text.lowercased()) { return .max }
        let right = "write a number from 0 to 4294967295"
        let digits = text.hasPrefix("+") ? text.dropFirst() : text[...]
        if text.hasPrefix("-"), UInt64(text.dropFirst()) != nil {
            throw fault("\(pair.key) value (\(PlainText.oneLine(text))) is less than zero", right)
        }
        let number: UInt64?
        if digits.hasPrefix("0x") || digits.hasPrefix("0X") {
            number = UInt64(digits.dropFirst(2), radix: 16)
        } else if digits.hasPrefix("0"), digits.utf8.count > 1 {
            number = UInt64(digits.dropFirst(), radix: 8)
        } else {
            number = UInt64(digits)
        }
        guard let number, digits.utf8.first != UInt8(ascii: "+"), !digits.utf8.contains(UInt8(ascii: "-")) else {
            if !digits.isEmpty, digits.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }), !digits.hasPrefix("0") {
                throw fault("\(pair.key) value (\(digits)) is greater than 4294967295", right)
            }
            throw fault("\(pair.key) value (\(PlainText.oneLine(text))) is not a valid number", right)
        }
        guard let small = UInt32(exactly: number) else {
            throw fault("\(pair.key) value (\(PlainText.oneLine(text))) is greater than 4294967295", right)
        }
        return small
    }

    /// `YES`, `UP`, `TRUE`, `1` or `NO`, `DOWN`, `FALSE`, `0`, in any case.
    func boolean() throws(ConfigFault) -> Bool {
        switch pair.value.lowercased() {
        case "yes", "up", "true", "1": return true
        case "no", "down", "false", "0": return false
        default:
            throw fault("\(pair.key) value (\(PlainText.oneLine(pair.value))) is not a valid option", "write YES or NO")
        }
    }

    /// Words between commas; empty ones vanish.
    func words() -> [String] { Self.words(pair.value) }

    static func words(_ text: String) -> [String] {
        text.split(separator: ",").map(trimmed).filter { !$0.isEmpty }
    }

    static func trimmed(_ text: some StringProtocol) -> String {
        let bytes = text.utf8.drop(while: ConfigText.isSpace).reversed().drop(while: ConfigText.isSpace).reversed()
        return String(decoding: Array(bytes), as: UTF8.self)
    }
}

/// Users by name and by number: the closures are answered by an edge.
package struct UserDirectory: Sendable {
    package let uid: @Sendable (String) -> UInt32?
    package let name: @Sendable (UInt32) -> String?

    package init(uid: @escaping @Sendable (String) -> UInt32?, name: @escaping @Sendable (UInt32) -> String?) {
        self.uid = uid
        self.name = name
    }

    /// A name or a number of a user that exists.
    package func find(_ text: String) -> UInt32? {
        if let uid = uid(text) { return uid }
        guard let number = UInt32(text), text.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }), name(number) != nil else {
            return nil
        }
        return number
    }
}
