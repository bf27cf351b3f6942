/// File names are bytes: how they are shown to people, and read from orders. Never made into text for use.
package enum FileName {
    /// `.`, `..`, a name with `/` or NUL, an empty one or one of more than 255 bytes names nothing.
    package static func isUsable(_ name: some Collection<UInt8>) -> Bool {
        guard (1...255).contains(name.count), !name.contains(0), !name.contains(UInt8(ascii: "/")) else { return false }
        return !(name.allSatisfy { $0 == UInt8(ascii: ".") } && name.count <= 2)
    }

    /// The steps of a path, without empty ones and `.`.
    package static func steps(_ path: some Sequence<UInt8>) -> [[UInt8]] {
        path.split(separator: UInt8(ascii: "/")).map(Array.init).filter { $0 != [UInt8(ascii: ".")] }
    }

    /// Text that shows the bytes and nothing else: a backslash is doubled, control characters, apostrophes and bytes
    /// that are not UTF-8 become `\xHH`. Apostrophes, since Slurm makes quotes of them (staging.md §0).
    package static func shown(_ name: some Sequence<UInt8>) -> String {
        let bytes = Array(name)
        var text = ""
        var index = 0
        while index < bytes.count {
            let byte = bytes[index]
            if byte < 0x80 {
                switch byte {
                case UInt8(ascii: "\\"): text += "\\\\"
                case 0..<0x20, 0x7f, UInt8(ascii: "'"): text += escaped(byte)
                default: text.unicodeScalars.append(Unicode.Scalar(byte))
                }
                index += 1
                continue
            }
            let length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2
            let end = min(index + length, bytes.count)
            if let part = String(validating: bytes[index..<end], as: UTF8.self), part.unicodeScalars.count == 1,
                part.unicodeScalars.first!.value > 0x9f
            {
                text += part
                index = end
            } else {
                text += escaped(byte)
                index += 1
            }
        }
        return text
    }

    private static func escaped(_ byte: UInt8) -> String {
        let digits = String(byte, radix: 16)
        return "\\x" + (digits.count == 1 ? "0" : "") + digits
    }

    /// `%XX` becomes the byte; everything else stays. Nil: a `%` without two hexadecimal digits.
    package static func percentDecoded(_ text: some Collection<UInt8>) -> [UInt8]? {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count)
        var rest = text.makeIterator()
        while let byte = rest.next() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.next().flatMap(digit), let low = rest.next().flatMap(digit) else { return nil }
            bytes.append(high << 4 | low)
        }
        return bytes
    }

    /// The other way: what is no letter, digit or one of `/._-` becomes `%XX`.
    package static func percentEncoded(_ bytes: some Sequence<UInt8>) -> String {
        var text = ""
        for byte in bytes {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "/"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "-"):
                text.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                let digits = String(byte, radix: 16, uppercase: true)
                text += "%" + (digits.count == 1 ? "0" : "") + digits
            }
        }
        return text
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
