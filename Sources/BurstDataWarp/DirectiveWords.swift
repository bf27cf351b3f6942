/// A directive cut into its verb, keys and values.
struct DirectiveWords {
    struct Word {
        /// Where it begins in the directive's text.
        var start: Int
        var bytes: [UInt8]
        /// Its value stood in quotes, which `bytes` has no more.
        var isQuoted = false
        /// What stands behind it is a tab.
        var isBeforeTab = false

        /// Up to `=`, all of it where there is none.
        var key: ArraySlice<UInt8> { bytes.prefix { $0 != UInt8(ascii: "=") } }
        /// Behind `=`; nil: there is none.
        var value: ArraySlice<UInt8>? {
            let end = key.endIndex
            return end < bytes.count ? bytes[(end + 1)...] : nil
        }
        var shown: String { ErrorLine.name(bytes) }
    }

    var words: [Word] = []
    /// The text without the mark that ends the replacement of symbols.
    var text: [UInt8]
    /// Where in the text symbols end; 0 where none is left to be replaced.
    private var symbolsEnd: Int

    /// - Parameters:
    ///   - line: what stands behind `#DW`.
    ///   - mayHoldSymbols: symbols as `%j` are not replaced yet.
    init(_ line: [UInt8], mayHoldSymbols: Bool) throws(ErrorLine) {
        text = line
        symbolsEnd = mayHoldSymbols ? text.count : 0
        // `\\` ends the replacement of symbols (spec §3.8, Q35) and means nothing else.
        if let mark = (0..<max(text.count - 1, 0)).first(where: { text[$0] == 0x5c && text[$0 + 1] == 0x5c }) {
            text.removeSubrange(mark..<(mark + 2))
            symbolsEnd = min(symbolsEnd, mark)
        }
        if text.contains(where: ByteText.isControl) {
            throw ErrorLine(
                text.contains(13)
                    ? "holds a carriage return: end lines with a line feed alone"
                    : "holds a control character: write printable characters, a blank between words")
        }
        var at = 0
        while true {
            while at < text.count, ByteText.isBlank(text[at]) { at += 1 }
            // A comment, as Slurm's users write them behind directives.
            guard at < text.count, text[at] != UInt8(ascii: "#") else { return }
            let start = at
            words.append(try word(&at))
            try checkSymbols(start..<at)
        }
    }

    private func word(_ at: inout Int) throws(ErrorLine) -> Word {
        var word = Word(start: at, bytes: [])
        while at < text.count, !ByteText.isBlank(text[at]) {
            let isFirstOfValue = word.bytes.last == UInt8(ascii: "=") && word.bytes.count { $0 == 0x3d } == 1
            guard text[at] == UInt8(ascii: "\""), isFirstOfValue, !word.isQuoted else {
                word.bytes.append(text[at])
                at += 1
                continue
            }
            let rest = text[(at + 1)...]
            guard let end = rest.firstIndex(of: UInt8(ascii: "\"")) else {
                throw ErrorLine("\(word.shown) has a quote that is not closed: write \(word.shown)\"...\"")
            }
            word.bytes += rest[..<end]
            word.isQuoted = true
            at = end + 1
            guard at == text.count || ByteText.isBlank(text[at]) else {
                throw ErrorLine("\(word.shown): letters behind the closing quote; put a blank there")
            }
        }
        word.isBeforeTab = at < text.count && text[at] == 0x09
        return word
    }

    // MARK: Symbols

    private static let symbols = Array("%Aabdjux".utf8)

    /// Slurm drops a symbol that it does not know, a blank behind a `%` included, and copies to another path.
    private func checkSymbols(_ word: Range<Int>) throws(ErrorLine) {
        var at = word.lowerBound
        while at < min(word.upperBound, symbolsEnd) {
            guard text[at] == UInt8(ascii: "%") else {
                at += 1
                continue
            }
            let symbol = at + 1 < word.upperBound ? text[at + 1] : nil
            guard let symbol, Self.symbols.contains(symbol) else {
                let shown = ErrorLine.name(text[at..<min(at + 2, word.upperBound)])
                throw ErrorLine(
                    "\(shown) in \(ErrorLine.name(text[word])): Slurm drops it; write %% for a percent sign")
            }
            at += 2
        }
    }
}
