extension Filter {
    /// What the text could become: the whole text with its last word completed, best first. After an operator the
    /// values
    /// of that column are offered, else columns' names.
    package static func completions(
        for text: String, fields: [FilterField], values: (Int) -> [String]
    ) -> [String] {
        let characters = Array(text)
        let (start, _) = lastWord(characters)
        let last = characters[start...]
        if let place = last.firstIndex(where: { "=<>~!".contains($0) }) {
            let name = String(last[..<place]).lowercased()
            guard let field = fields.firstIndex(where: { $0.answers(to: name) }) else { return [] }
            var begin = place
            while begin < characters.count, "=<>~!".contains(characters[begin]) { begin += 1 }
            if let comma = characters[begin...].lastIndex(of: ",") { begin = comma + 1 }
            var typed = String(characters[begin...]).lowercased()
            if typed.first == "\"" { typed.removeFirst() }
            let head = String(characters[..<begin])
            return unique(values(field).filter { !$0.isEmpty && $0.lowercased().hasPrefix(typed) })
                .map { head + quoted($0) }
        }
        let typed = String(last).lowercased()
        let head = String(characters[..<start])
        let names = fields.filter { field in
            ([field.name] + field.aliases).contains { $0.lowercased().hasPrefix(typed) }
        }
        return names.map { head + $0.name + ($0.kind == .text ? "=" : ">") }
    }

    /// Where the last word begins: behind the last blank or parenthesis outside quotes.
    private static func lastWord(_ characters: [Character]) -> (start: Int, inQuotes: Bool) {
        var inQuotes = false
        var word = 0
        for (index, character) in characters.enumerated() {
            if character == "\"", index == 0 || characters[index - 1] != "\\" { inQuotes.toggle() }
            if !inQuotes, character.isWhitespace || "()".contains(character) { word = index + 1 }
        }
        if word < characters.count, characters[word] == "!" { word += 1 }
        return (word, inQuotes)
    }

    /// What of a filter applies while it is being typed, so that no row vanishes only because a word is not whole
    /// yet: a last word that may become a column's name waits, and the last value of a column may go on.
    package static func whileTyped(_ text: String, fields: [FilterField]) -> String {
        let characters = Array(text)
        let (start, inQuotes) = lastWord(characters)
        let last = characters[start...]
        guard !inQuotes, let end = last.last, !last.contains("\"") else { return text }
        if let place = last.firstIndex(where: { "=<>~!".contains($0) }) {
            let name = String(last[..<place]).lowercased()
            guard characters[place] == "=", place + 1 < characters.count, !"*?,=".contains(end),
                let field = fields.first(where: { $0.answers(to: name) }), field.kind == .text
            else { return text }
            return text + "*"
        }
        let typed = String(last).lowercased()
        let words = fields.flatMap { [$0.name] + $0.aliases } + ["and", "or", "not"]
        return words.contains { $0.lowercased().hasPrefix(typed) } ? String(characters[..<start]) : text
    }

    /// A term that holds for one value exactly, whatever characters it has: `user=alice`, `pool="a b"`.
    package static func term(_ name: String, is value: String) -> String { name + "=" + quoted(value) }

    /// The value as a filter has to spell it.
    private static func quoted(_ value: String) -> String {
        let plain = value.utf8.allSatisfy { byte in
            (byte >= 0x30 && byte <= 0x39) || (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a)
                || byte >= 0x80 || "-_.:/@+[]%#".utf8.contains(byte)
        }
        if plain, !value.isEmpty, !value.contains(where: \.isWhitespace) { return value }
        let escaped = value.map { $0 == "\\" || $0 == "\"" ? "\\\($0)" : "\($0)" }.joined()
        return "\"" + escaped + "\""
    }

    private static func unique(_ texts: [String]) -> [String] {
        var seen: Set<String> = []
        return texts.filter { seen.insert($0).inserted }
    }
}

extension FilterField {
    /// Whether the column goes by this name, given in lower case.
    func answers(to name: String) -> Bool {
        self.name.lowercased() == name || aliases.contains { $0.lowercased() == name }
    }
}
