import BurstModel
import CJSONC

/// A line of a recording (format 1): JSON, one object a line.
enum RecordLine {
    /// The format that is written, and the only one that is read.
    static let format = 1

    /// The first line.
    struct Header: Hashable, Sendable {
        var tool: String
        var host: String
        var startedAt: Timestamp
        var utcOffsetSeconds: Int
    }

    /// What a command printed, whole or as a change of what it printed before.
    enum Output: Hashable, Sendable {
        case whole([UInt8])
        case delta([LineDelta.Step])
    }

    /// A command that was run.
    struct Entry: Hashable, Sendable {
        var at: Timestamp
        var monotonicMilliseconds: Int64
        var arguments: [String]
        var durationMilliseconds: Int64
        var end: CommandResult.End
        let output: Output
        var errors: [UInt8]
    }

    /// Why a line is not understood.
    struct Damage: Error {
        var message: String

        init(_ message: String) { self.message = message }
    }

    // MARK: Writing

    static func text(_ header: Header) -> [UInt8] {
        var text = Array("{\"recording\":\(format),\"tool\":".utf8)
        appendString(Array(header.tool.utf8), to: &text)
        text += ",\"host\":".utf8
        appendString(Array(header.host.utf8), to: &text)
        text += ",\"started_at\":\"\(header.startedAt.rfc3339Milliseconds)\"".utf8
        text += ",\"utc_offset_seconds\":\(header.utcOffsetSeconds)}\n".utf8
        return text
    }

    static func text(_ entry: Entry) -> [UInt8] {
        var text = Array("{\"at\":\"\(entry.at.rfc3339Milliseconds)\",\"monotonic\":".utf8)
        text += seconds(entry.monotonicMilliseconds).utf8
        text += ",\"argv\":[".utf8
        for (index, argument) in entry.arguments.enumerated() {
            if index > 0 { text.append(UInt8(ascii: ",")) }
            appendString(Array(argument.utf8), to: &text)
        }
        text += "],\"duration\":".utf8
        text += seconds(entry.durationMilliseconds).utf8
        switch entry.end {
        case .exit(let status): text += ",\"exit\":\(status)".utf8
        case .signal(let number): text += ",\"signal\":\(number)".utf8
        case .timedOut: text += ",\"timeout\":true".utf8
        case .failed(let why):
            text += ",\"error\":".utf8
            appendString(Array(why.utf8), to: &text)
        }
        switch entry.output {
        case .whole(let bytes): append("out", bytes, to: &text)
        case .delta(let steps):
            text += ",\"delta\":[".utf8
            for (index, step) in steps.enumerated() {
                if index > 0 { text.append(UInt8(ascii: ",")) }
                switch step {
                case .copy(let count): text += "\(count)".utf8
                case .skip(let count): text += "-\(count)".utf8
                case .insert(let bytes): appendString(Array(bytes), to: &text)
                }
            }
            text.append(UInt8(ascii: "]"))
        }
        append("err", entry.errors, to: &text)
        text += "}\n".utf8
        return text
    }

    private static func seconds(_ milliseconds: Int64) -> String {
        let value = max(0, milliseconds)
        return "\(value / 1000)." + String(1000 + value % 1000).dropFirst()
    }

    private static func append(_ key: String, _ bytes: [UInt8], to text: inout [UInt8]) {
        guard !bytes.isEmpty else { return }
        text += ",\"\(key)".utf8
        if isText(bytes) {
            text += "\":".utf8
            appendString(bytes, to: &text)
        } else {
            text += "_base64\":\"".utf8
            text += Base64.encode(bytes)
            text.append(UInt8(ascii: "\""))
        }
    }

    static func isText(_ bytes: [UInt8]) -> Bool {
        // JSON has no zero bytes that every reader takes.
        String(validating: bytes, as: UTF8.self) != nil && !bytes.contains(0)
    }

    private static func appendString(_ bytes: [UInt8], to text: inout [UInt8]) {
        let digits = Array("0123456789abcdef".utf8)
        text.reserveCapacity(text.count + bytes.count + 2)
        text.append(UInt8(ascii: "\""))
        for byte in bytes {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                text.append(UInt8(ascii: "\\"))
                text.append(byte)
            case 10:
                text.append(UInt8(ascii: "\\"))
                text.append(UInt8(ascii: "n"))
            case 0..<0x20, 0x7f:
                text += "\\u00".utf8
                text.append(digits[Int(byte >> 4)])
                text.append(digits[Int(byte & 15)])
            default: text.append(byte)
            }
        }
        text.append(UInt8(ascii: "\""))
    }

    // MARK: Reading

    static func header(_ line: [UInt8]) throws(Damage) -> Header {
        let object = try JSON(line)
        guard let number = object.integer("recording") else { throw Damage("this is no recording of burstmon") }
        guard number == format else {
            throw Damage("recording format \(number) is not known; this burstmon reads format \(format)")
        }
        guard let started = object.string("started_at").flatMap({ Timestamp(rfc3339: $0) }) else {
            throw Damage("started_at is missing or is no time")
        }
        guard let offset = object.integer("utc_offset_seconds"), offset.magnitude <= 86_400 else {
            throw Damage("utc_offset_seconds is missing or is no offset")
        }
        return Header(
            tool: object.string("tool") ?? "", host: object.string("host") ?? "", startedAt: started,
            utcOffsetSeconds: Int(offset))
    }

    static func entry(_ line: [UInt8]) throws(Damage) -> Entry {
        let object = try JSON(line)
        guard let at = object.string("at").flatMap({ Timestamp(rfc3339: $0) }) else {
            throw Damage("\"at\" is missing or is no time")
        }
        guard let arguments = object.strings("argv"), !arguments.isEmpty else {
            throw Damage("\"argv\" is missing or is no list of words")
        }
        let monotonic = object.number("monotonic") ?? 0
        guard let duration = object.number("duration"), duration >= 0, duration < 1e9, abs(monotonic) < 1e12 else {
            throw Damage("\"duration\" is missing or is no number of seconds")
        }
        let end: CommandResult.End
        if let status = object.integer("exit").flatMap({ Int32(exactly: $0) }) {
            end = .exit(status)
        } else if let number = object.integer("signal").flatMap({ Int32(exactly: $0) }) {
            end = .signal(number)
        } else if object.isTrue("timeout") {
            end = .timedOut
        } else if let why = object.string("error") {
            end = .failed(why)
        } else {
            throw Damage("none of \"exit\", \"signal\", \"timeout\" and \"error\" says how the command ended")
        }
        let output: Output
        if let steps = try object.steps("delta") {
            output = .delta(steps)
        } else {
            output = .whole(try object.bytes("out"))
        }
        return Entry(
            at: at, monotonicMilliseconds: Int64((monotonic * 1000).rounded()), arguments: arguments,
            durationMilliseconds: Int64((duration * 1000).rounded()), end: end,
            output: output, errors: try object.bytes("err"))
    }

    /// A parsed document of json-c.
    private final class JSON {
        private let root: OpaquePointer

        init(_ line: [UInt8]) throws(Damage) {
            guard let tokener = json_tokener_new_ex(8) else { throw Damage("there is no memory to read the line") }
            defer { json_tokener_free(tokener) }
            json_tokener_set_flags(tokener, JSON_TOKENER_STRICT)
            let parsed = line.withUnsafeBytes {
                json_tokener_parse_ex(tokener, $0.bindMemory(to: CChar.self).baseAddress, Int32(clamping: $0.count))
            }
            let error = json_tokener_get_error(tokener)
            guard let parsed, error == json_tokener_success else {
                if let parsed { json_object_put(parsed) }
                let place = json_tokener_get_parse_end(tokener) + 1
                throw Damage("column \(place): this is no JSON: \(String(cString: json_tokener_error_desc(error)))")
            }
            root = parsed
            guard json_object_get_type(root) == json_type_object else { throw Damage("the line is no JSON object") }
        }

        deinit { json_object_put(root) }

        private func get(_ key: String, _ type: json_type) -> OpaquePointer? {
            var value: OpaquePointer?
            guard json_object_object_get_ex(root, key, &value) != 0, let value, json_object_get_type(value) == type
            else { return nil }
            return value
        }

        private static func bytes(_ value: OpaquePointer) -> [UInt8] {
            let count = Int(json_object_get_string_len(value))
            guard count > 0, let text = json_object_get_string(value) else { return [] }
            return Array(UnsafeRawBufferPointer(start: text, count: count))
        }

        func string(_ key: String) -> String? {
            get(key, json_type_string).map { String(decoding: Self.bytes($0), as: UTF8.self) }
        }

        func integer(_ key: String) -> Int64? { get(key, json_type_int).map { json_object_get_int64($0) } }

        func number(_ key: String) -> Double? {
            (get(key, json_type_double) ?? get(key, json_type_int)).map { json_object_get_double($0) }
        }

        func isTrue(_ key: String) -> Bool {
            get(key, json_type_boolean).map { json_object_get_boolean($0) != 0 } ?? false
        }

        func strings(_ key: String) -> [String]? {
            guard let list = get(key, json_type_array) else { return nil }
            var strings: [String] = []
            for index in 0..<json_object_array_length(list) {
                guard let item = json_object_array_get_idx(list, index),
                    json_object_get_type(item) == json_type_string
                else { return nil }
                strings.append(String(decoding: Self.bytes(item), as: UTF8.self))
            }
            return strings
        }

        /// Text, or bytes behind the key with `_base64`; empty where neither is there.
        func bytes(_ key: String) throws(Damage) -> [UInt8] {
            if let value = get(key, json_type_string) { return Self.bytes(value) }
            guard let text = get(key + "_base64", json_type_string) else { return [] }
            guard let bytes = Base64.decode(Self.bytes(text)) else { throw Damage("\"\(key)_base64\" is no base64") }
            return bytes
        }

        func steps(_ key: String) throws(Damage) -> [LineDelta.Step]? {
            guard let list = get(key, json_type_array) else { return nil }
            var steps: [LineDelta.Step] = []
            for index in 0..<json_object_array_length(list) {
                let item = json_object_array_get_idx(list, index)
                switch item.map({ json_object_get_type($0) }) {
                case json_type_string: steps.append(.insert(Self.bytes(item!)[...]))
                case json_type_int:
                    let count = json_object_get_int64(item)
                    // json-c makes the least number of what is too small for any.
                    guard count.magnitude <= Int32.max else { throw Damage("a step of \"delta\" is too large") }
                    steps.append(count < 0 ? .skip(Int(-count)) : .copy(Int(count)))
                default: throw Damage("a step of \"delta\" is neither a number nor a text")
                }
            }
            return steps
        }
    }
}

/// Bytes as letters (RFC 4648), for the few outputs that are no text.
enum Base64 {
    private static let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    private static let pad = UInt8(ascii: "=")

    static func encode(_ bytes: [UInt8]) -> [UInt8] {
        var text: [UInt8] = []
        text.reserveCapacity((bytes.count + 2) / 3 * 4)
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let rest = bytes.count - start
            let (first, second) = (bytes[start], rest > 1 ? bytes[start + 1] : 0)
            let third = rest > 2 ? bytes[start + 2] : 0
            text.append(letters[Int(first >> 2)])
            text.append(letters[Int((first & 3) << 4 | second >> 4)])
            text.append(rest > 1 ? letters[Int((second & 15) << 2 | third >> 6)] : pad)
            text.append(rest > 2 ? letters[Int(third & 63)] : pad)
        }
        return text
    }

    /// Nil where the text is not exactly what an encoder writes.
    static func decode(_ text: [UInt8]) -> [UInt8]? {
        guard text.count % 4 == 0 else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count / 4 * 3)
        for start in stride(from: 0, to: text.count, by: 4) {
            let isLast = start + 4 == text.count
            var word: UInt32 = 0
            var pads = 0
            for letter in text[start..<(start + 4)] {
                if letter == pad {
                    guard isLast else { return nil }
                    pads += 1
                    word <<= 6
                } else {
                    guard pads == 0, let value = letters.firstIndex(of: letter) else { return nil }
                    word = word << 6 | UInt32(value)
                }
            }
            guard pads <= 2 else { return nil }
            bytes.append(UInt8(truncatingIfNeeded: word >> 16))
            if pads < 2 { bytes.append(UInt8(truncatingIfNeeded: word >> 8)) }
            if pads < 1 { bytes.append(UInt8(truncatingIfNeeded: word)) }
        }
        return bytes
    }
}
