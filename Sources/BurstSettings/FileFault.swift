/// Why a file is refused: one line that says where, what, and what would be right.
package struct FileFault: Error, Hashable, Sendable, CustomStringConvertible {
    package var file: String
    /// Counted from 1; 1 too where the file as a whole is meant.
    package var line: Int
    package var wrong: String
    package var right: String

    package init(file: String, line: Int, wrong: String, right: String) {
        self.file = file
        self.line = line
        self.wrong = wrong
        self.right = right
    }

    /// `FILE:LINE: what is wrong; what would be right`, without control characters.
    package var description: String {
        plainText("\(file):\(line): \(wrong); \(right)", charactersMax: .max)
    }
}

/// A piece of a file in a message: in quotes, short, without control characters.
func quoted(_ text: String) -> String {
    "\"" + plainText(text, charactersMax: 60) + "\""
}

/// Text without control characters, so that it can go to a terminal.
func plainText(_ text: String, charactersMax: Int) -> String {
    var plain = ""
    for scalar in text.unicodeScalars.prefix(charactersMax) {
        let isControl = scalar.value < 0x20 || (0x7f..<0xa0).contains(scalar.value)
        plain.unicodeScalars.append(isControl ? "?" : scalar)
    }
    return plain
}

/// `"a", "b" or "c"`.
func alternatives(_ words: [String]) -> String {
    let quotedWords = words.map { "\"\($0)\"" }
    guard quotedWords.count > 1, let last = quotedWords.last else { return quotedWords.joined() }
    return quotedWords.dropLast().joined(separator: ", ") + " or " + last
}
