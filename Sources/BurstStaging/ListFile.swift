/// What a list file says: pairs of source and destination (staging.md §1.5, §3.1 row 15).
///
/// A file with a byte 0 in it is `SRC\0DST\0SRC\0DST\0…`, names as they are. Otherwise each line has two words with
/// blanks between them: plain, or in double quotes; a backslash makes the next byte itself, but `\n`, `\t` and `\xHH`
/// are what they are in C. Empty lines and lines that begin with `#` count for nothing.
package struct ListFile {
    package struct Pair: Hashable, Sendable {
        package var source: [UInt8]
        package var destination: [UInt8]
        /// From 1: the line, or the pair in the form with bytes 0.
        package var number: Int

        package init(source: [UInt8], destination: [UInt8], number: Int) {
            self.source = source
            self.destination = destination
            self.number = number
        }
    }

    package struct Fault: Error, Hashable, Sendable, CustomStringConvertible {
        package var number: Int
        package var text: String

        package var description: String { "entry \(number): \(text)" }
    }

    package static let entryBytesMax = 16 << 10
    /// How much of a file decides about its form.
    package static let headBytesMax = 64 << 10

    private let isZeroSeparated: Bool
    private var part: [UInt8] = []
    private var first: [UInt8]?
    private var number = 0

    /// - Parameter head: the file's beginning, at most `headBytesMax` bytes.
    package init(head: some Sequence<UInt8>) { isZeroSeparated = head.contains(0) }

    /// Takes the next bytes, however the file is cut.
    package mutating func feed(_ bytes: some Sequence<UInt8>, _ emit: (Result<Pair, Fault>) -> Void) {
        let end: UInt8 = isZeroSeparated ? 0 : UInt8(ascii: "\n")
        for byte in bytes {
            if byte == end {
                close(emit)
            } else if part.count <= Self.entryBytesMax {
                part.append(byte)
            }
        }
    }

    /// At the end of the file, where the last line may lack its newline.
    package mutating func finish(_ emit: (Result<Pair, Fault>) -> Void) {
        if !part.isEmpty { close(emit) }
        if first != nil {
            emit(.failure(Fault(number: number + 1, text: "a source without a destination")))
            first = nil
        }
    }

    private mutating func close(_ emit: (Result<Pair, Fault>) -> Void) {
        defer { part.removeAll(keepingCapacity: true) }
        if isZeroSeparated {
            guard let source = first else {
                first = part
                return
            }
            number += 1
            first = nil
            guard source.count <= Self.entryBytesMax, part.count <= Self.entryBytesMax else { return emit(tooLong) }
            guard !source.isEmpty, !part.isEmpty else {
                return emit(.failure(Fault(number: number, text: "an empty name")))
            }
            return emit(.success(Pair(source: source, destination: part, number: number)))
        }
        number += 1
        guard part.count <= Self.entryBytesMax else { return emit(tooLong) }
        close(Self.words(part), emit)
    }

    private var tooLong: Result<Pair, Fault> {
        .failure(Fault(number: number, text: "longer than \(Self.entryBytesMax) bytes"))
    }

    private func close(_ words: [[UInt8]]?, _ emit: (Result<Pair, Fault>) -> Void) {
        guard let words else {
            return emit(.failure(Fault(number: number, text: "a quote is not closed, or nothing follows a backslash")))
        }
        if words.isEmpty { return }
        guard words.count == 2, !words[0].isEmpty, !words[1].isEmpty else {
            let text = "\(words.count) names; a line has a source and a destination, names with blanks in double quotes"
            return emit(.failure(Fault(number: number, text: text)))
        }
        emit(.success(Pair(source: words[0], destination: words[1], number: number)))
    }

    private static func words(_ line: [UInt8]) -> [[UInt8]]? {
        var line = line[...]
        if line.last == UInt8(ascii: "\r") { line = line.dropLast() }
        var words: [[UInt8]] = []
        var word: [UInt8]?
        var isQuoted = false
        while let byte = line.popFirst() {
            switch byte {
            case UInt8(ascii: "\""):
                isQuoted.toggle()
                word = word ?? []
            case UInt8(ascii: "\\"):
                guard let next = line.popFirst() else { return nil }
                word = word ?? []
                switch next {
                case UInt8(ascii: "n"): word!.append(UInt8(ascii: "\n"))
                case UInt8(ascii: "t"): word!.append(UInt8(ascii: "\t"))
                case UInt8(ascii: "x"):
                    let digits = String(decoding: line.prefix(2), as: UTF8.self)
                    guard digits.utf8.count == 2, let value = UInt8(digits, radix: 16), value != 0 else { return nil }
                    line = line.dropFirst(2)
                    word!.append(value)
                default: word!.append(next)
                }
            case UInt8(ascii: " "), UInt8(ascii: "\t"):
                if isQuoted {
                    word!.append(byte)
                } else if let finished = word {
                    words.append(finished)
                    word = nil
                }
            case UInt8(ascii: "#") where word == nil && words.isEmpty: return []
            default:
                word = (word ?? []) + [byte]
            }
        }
        if isQuoted { return nil }
        if let word { words.append(word) }
        return words
    }
}
