/// Writes JSON in the order in which values are given. A sample of 100,000 buffers has two million values, so they go
/// straight into bytes.
package struct JSONWriter {
    package private(set) var bytes: [UInt8] = []
    private let pretty: Bool
    private var depth = 0
    /// Something stands before in the same object or array.
    private var follows = false

    /// - Parameter expectedCount: About how many bytes will be written.
    package init(pretty: Bool, expectedCount: Int = 0) {
        self.pretty = pretty
        bytes.reserveCapacity(expectedCount)
    }

    package mutating func object(_ content: (inout JSONWriter) -> Void) {
        nest(UInt8(ascii: "{"), UInt8(ascii: "}"), content)
    }

    package mutating func object(_ key: StaticString, _ content: (inout JSONWriter) -> Void) {
        self.key(key)
        object(content)
    }

    package mutating func array<Elements: Sequence>(
        _ key: StaticString, _ elements: Elements, _ each: (inout JSONWriter, Elements.Element) -> Void
    ) {
        self.key(key)
        nest(UInt8(ascii: "["), UInt8(ascii: "]")) { writer in
            for element in elements {
                writer.separate()
                each(&writer, element)
                writer.follows = true
            }
        }
    }

    package mutating func array(_ key: StaticString, _ texts: [String]) {
        array(key, texts) { $0.string($1) }
    }

    /// The document itself is an array of objects.
    package mutating func objects<Elements: Sequence>(
        _ elements: Elements, _ each: (inout JSONWriter, Elements.Element) -> Void
    ) {
        nest(UInt8(ascii: "["), UInt8(ascii: "]")) { writer in
            for element in elements {
                writer.separate()
                writer.object { each(&$0, element) }
                writer.follows = true
            }
        }
    }

    /// The document itself is an array of texts.
    package mutating func texts(_ texts: [String]) {
        nest(UInt8(ascii: "["), UInt8(ascii: "]")) { writer in
            for text in texts {
                writer.separate()
                writer.string(text)
                writer.follows = true
            }
        }
    }

    /// An array whose elements are objects.
    package mutating func objects<Elements: Sequence>(
        _ key: StaticString, _ elements: Elements, _ each: (inout JSONWriter, Elements.Element) -> Void
    ) {
        array(key, elements) { writer, element in writer.object { each(&$0, element) } }
    }

    package mutating func field(_ key: StaticString, _ text: String?) {
        self.key(key)
        if let text { string(text) } else { null() }
    }

    package mutating func field(_ key: StaticString, _ number: (some BinaryInteger)?) {
        self.key(key)
        if let number { bytes += String(number).utf8 } else { null() }
    }

    package mutating func field(_ key: StaticString, _ flag: Bool) {
        self.key(key)
        bytes += (flag ? "true" : "false").utf8
    }

    /// The document itself is a tree; members by name.
    package mutating func tree(_ value: JSONValue) {
        switch value {
        case .null: null()
        case .flag(let flag): bytes += (flag ? "true" : "false").utf8
        case .whole(let number): bytes += String(number).utf8
        case .real(let number): bytes += String(number).utf8
        case .text(let text): string(text)
        case .array(let elements):
            nest(UInt8(ascii: "["), UInt8(ascii: "]")) { writer in
                for element in elements {
                    writer.separate()
                    writer.tree(element)
                    writer.follows = true
                }
            }
        case .object(let members):
            nest(UInt8(ascii: "{"), UInt8(ascii: "}")) { writer in
                for (name, member) in members.sorted(by: { $0.key < $1.key }) {
                    writer.separate()
                    writer.string(name)
                    writer.bytes.append(UInt8(ascii: ":"))
                    writer.tree(member)
                    writer.follows = true
                }
            }
        }
    }

    private mutating func null() { bytes += "null".utf8 }

    private mutating func nest(_ open: UInt8, _ close: UInt8, _ content: (inout JSONWriter) -> Void) {
        bytes.append(open)
        depth += 1
        follows = false
        content(&self)
        depth -= 1
        if follows { breakLine() }
        bytes.append(close)
        follows = true
    }

    private mutating func key(_ key: StaticString) {
        separate()
        bytes.append(UInt8(ascii: "\""))
        key.withUTF8Buffer { bytes += $0 }
        bytes.append(UInt8(ascii: "\""))
        bytes.append(UInt8(ascii: ":"))
        if pretty { bytes.append(UInt8(ascii: " ")) }
        follows = true
    }

    private mutating func separate() {
        if follows { bytes.append(UInt8(ascii: ",")) }
        breakLine()
    }

    private mutating func breakLine() {
        guard pretty else { return }
        bytes.append(UInt8(ascii: "\n"))
        for _ in 0..<depth { bytes += [0x20, 0x20] }
    }

    private mutating func string(_ text: String) { bytes.appendJSON(text) }
}

extension [UInt8] {
    /// As a JSON text, with its quotes.
    package mutating func appendJSON(_ text: String) {
        append(UInt8(ascii: "\""))
        let span = text.utf8Span.span
        // Pieces without a special character go as a whole.
        var start = 0
        for index in span.indices where Self.isSpecialInJSON(span[index]) {
            append(span.extracting(start..<index))
            escape(span[index])
            start = index + 1
        }
        append(span.extracting(start..<span.count))
        append(UInt8(ascii: "\""))
    }

    private static func isSpecialInJSON(_ byte: UInt8) -> Bool {
        byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") || byte == 0x7f
    }

    private mutating func append(_ piece: Span<UInt8>) {
        piece.withUnsafeBufferPointer { append(contentsOf: $0) }
    }

    private mutating func escape(_ byte: UInt8) {
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"):
            append(UInt8(ascii: "\\"))
            append(byte)
        case 0x0a: self += #"\n"#.utf8
        case 0x09: self += #"\t"#.utf8
        default:
            let digits = Array("0123456789abcdef".utf8)
            self += #"\u00"#.utf8
            self += [digits[Int(byte >> 4)], digits[Int(byte & 15)]]
        }
    }
}
