/// Small readers of bytes that the parsers here share. Scripts and paths are bytes: they need not be UTF-8.
enum ByteText {
    static func lower(_ byte: UInt8) -> UInt8 { (0x41...0x5a).contains(byte) ? byte | 0x20 : byte }

    static func lower(_ bytes: some Sequence<UInt8>) -> String { string(bytes.map(lower)) }

    static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }

    static func isLetter(_ byte: UInt8) -> Bool { (0x61...0x7a).contains(lower(byte)) }

    /// What parts words. Other white space belongs to a word, and is refused there.
    static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 }

    static func isControl(_ byte: UInt8) -> Bool { byte < 0x20 && byte != 0x09 || byte == 0x7f }

    static func string(_ bytes: some Sequence<UInt8>) -> String { String(decoding: Array(bytes), as: UTF8.self) }

    /// A decimal number that is all of the text.
    static func number(_ bytes: some Collection<UInt8>) -> UInt64? {
        guard !bytes.isEmpty, bytes.count <= 20 else { return nil }
        var value: UInt64 = 0
        for byte in bytes {
            guard isDigit(byte) else { return nil }
            let (tens, over) = value.multipliedReportingOverflow(by: 10)
            let (sum, carry) = tens.addingReportingOverflow(UInt64(byte - 0x30))
            if over || carry { return nil }
            value = sum
        }
        return value
    }
}

/// Finds what somebody may have meant.
enum Nearest {
    /// Bytes of a word that is compared at all.
    private static let wordBytesMax = 32

    /// The known word that the fewest changes of a letter lead to; nil where none is near.
    static func word(to word: some Sequence<UInt8>, among known: some Sequence<String>) -> String? {
        let given = Array(word.lazy.map(ByteText.lower).prefix(wordBytesMax + 1))
        guard given.count <= wordBytesMax else { return nil }
        var best: (word: String, distance: Int)?
        for candidate in known {
            let distance = distance(given, candidate.utf8.map(ByteText.lower))
            guard distance <= max(1, candidate.utf8.count / 3), distance < best?.distance ?? .max else { continue }
            best = (candidate, distance)
        }
        return best?.word
    }

    /// Letters to insert, remove, replace or exchange with their neighbour.
    private static func distance(_ first: [UInt8], _ second: [UInt8]) -> Int {
        var twoBefore: [Int] = []
        var before = Array(0...second.count)
        for row in 0..<first.count {
            var now = [row + 1]
            for column in 0..<second.count {
                let replaced = before[column] + (first[row] == second[column] ? 0 : 1)
                var least = min(replaced, before[column + 1] + 1, now[column] + 1)
                if row > 0, column > 0, first[row] == second[column - 1], first[row - 1] == second[column] {
                    least = min(least, twoBefore[column - 1] + 1)
                }
                now.append(least)
            }
            twoBefore = before
            before = now
        }
        return before[second.count]
    }
}
