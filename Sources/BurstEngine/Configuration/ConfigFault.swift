/// Why a configuration is refused: one line that says where, what, and what would be right.
package struct ConfigFault: Error, Hashable, Sendable, CustomStringConvertible {
    package var file: String
    /// Counted from 1; 0 where the file as a whole is meant.
    package var line: Int
    package var wrong: String
    package var right: String

    package init(file: String, line: Int, wrong: String, right: String) {
        self.file = file
        self.line = line
        self.wrong = wrong
        self.right = right
    }

    /// What is wrong and what would be right.
    package var message: String { "\(PlainText.oneLine(wrong)); \(PlainText.oneLine(right))" }

    /// `FILE:LINE: what is wrong; what would be right`, without control characters.
    package var description: String {
        PlainText.oneLine(line > 0 ? "\(file):\(line)" : file) + ": " + message
    }
}

/// Text that can go into a line of a log or of a terminal.
enum PlainText {
    /// Without control characters.
    static func oneLine(_ text: some StringProtocol) -> String {
        var plain = ""
        for scalar in text.unicodeScalars {
            let isControl = scalar.value < 0x20 || (0x7f..<0xa0).contains(scalar.value)
            plain.unicodeScalars.append(isControl ? "?" : scalar)
        }
        return plain
    }

    /// A piece of a file in a message: in quotes, at most 60 characters, without control characters.
    static func quoted(_ text: some StringProtocol) -> String {
        let scalars = text.unicodeScalars
        let head = String(String.UnicodeScalarView(scalars.prefix(60)))
        return "\"" + oneLine(head) + (scalars.dropFirst(60).isEmpty ? "" : "...") + "\""
    }

    /// The known word that `word` was probably meant to be: it differs by at most two letters, or in case only.
    static func nearest(_ word: String, in known: some Sequence<String>) -> String? {
        let wanted = Array(word.lowercased().utf8.prefix(64))
        var best: (distance: Int, word: String)?
        for candidate in known {
            let letters = Array(candidate.lowercased().utf8.prefix(64))
            guard abs(letters.count - wanted.count) <= 2 else { continue }
            let distance = distance(wanted, letters)
            if distance <= min(2, wanted.count / 3), distance < best?.distance ?? 3 { best = (distance, candidate) }
        }
        return best?.word
    }

    private static func distance(_ left: [UInt8], _ right: [UInt8]) -> Int {
        var row = Array(0...right.count)
        for (index, letter) in left.enumerated() {
            var diagonal = row[0]
            row[0] = index + 1
            for (column, other) in right.enumerated() {
                let replaced = diagonal + (letter == other ? 0 : 1)
                diagonal = row[column + 1]
                row[column + 1] = min(replaced, row[column] + 1, diagonal + 1)
            }
        }
        return row[right.count]
    }
}
