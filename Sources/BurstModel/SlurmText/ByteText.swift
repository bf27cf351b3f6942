/// Small readers of bytes that all parsers of Slurm's text share. Replies are bytes: names need not be UTF-8.
enum ByteText {
    static let newline = UInt8(ascii: "\n")
    static let space = UInt8(ascii: " ")
    static let equals = UInt8(ascii: "=")

    static func string(_ bytes: Span<UInt8>, _ range: Range<Int>) -> String {
        bytes.extracting(range).withUnsafeBufferPointer { String(decoding: $0, as: UTF8.self) }
    }

    static func equal(_ bytes: Span<UInt8>, _ range: Range<Int>, _ text: StaticString) -> Bool {
        guard range.count == text.utf8CodeUnitCount else { return false }
        return hasPrefix(bytes, at: range.lowerBound, end: range.upperBound, text)
    }

    static func hasPrefix(_ bytes: Span<UInt8>, at start: Int, end: Int, _ text: StaticString) -> Bool {
        guard end - start >= text.utf8CodeUnitCount else { return false }
        return text.withUTF8Buffer { pattern in
            for index in 0..<pattern.count where bytes[start + index] != pattern[index] { return false }
            return true
        }
    }

    static func number(_ bytes: Span<UInt8>, _ range: Range<Int>) -> UInt64? {
        guard !range.isEmpty, range.count <= 20 else { return nil }
        var value: UInt64 = 0
        for index in range {
            let digit = bytes[index] &- 0x30
            guard digit < 10 else { return nil }
            let (tens, over) = value.multipliedReportingOverflow(by: 10)
            let (sum, carry) = tens.addingReportingOverflow(UInt64(digit))
            if over || carry { return nil }
            value = sum
        }
        return value
    }

    static func number32(_ bytes: Span<UInt8>, _ range: Range<Int>) -> UInt32? {
        number(bytes, range).flatMap { UInt32(exactly: $0) }
    }

    static func lineEnd(_ bytes: Span<UInt8>, from start: Int) -> Int {
        bytes.withUnsafeBufferPointer { buffer in
            guard start < buffer.count else { return buffer.count }
            return buffer[start...].firstIndex(of: newline) ?? buffer.count
        }
    }

    static func isBlank(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Bool {
        for index in range where bytes[index] != space && bytes[index] != 0x0d && bytes[index] != 0x09 { return false }
        return true
    }

    /// A piece of a line for a message: at most 60 bytes, control characters replaced.
    static func excerpt(_ bytes: Span<UInt8>, _ range: Range<Int>) -> String {
        let cut = range.lowerBound..<min(range.upperBound, range.lowerBound + 60)
        let text = string(bytes, cut).unicodeScalars.map { $0.value < 0x20 || $0.value == 0x7f ? "?" : String($0) }
        return text.joined() + (cut.upperBound < range.upperBound ? "..." : "")
    }
}

/// Rows repeat users, pools and partitions: the string of the row before is used again when the bytes are the same.
struct RepeatedText {
    private var last: Range<Int>?
    private var text = ""

    mutating func string(_ bytes: Span<UInt8>, _ range: Range<Int>) -> String {
        if let last, last.count == range.count {
            var same = true
            for offset in 0..<range.count
            where bytes[last.lowerBound + offset] != bytes[range.lowerBound + offset] {
                same = false
                break
            }
            if same { return text }
        }
        text = ByteText.string(bytes, range)
        last = range
        return text
    }

    /// Nil for `(null)`.
    mutating func optional(_ bytes: Span<UInt8>, _ range: Range<Int>) -> String? {
        ByteText.equal(bytes, range, "(null)") ? nil : string(bytes, range)
    }
}
