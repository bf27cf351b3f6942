import BurstScreen

extension ThemeFile {
    /// The text of a theme file with the colours of a base16 scheme.
    ///
    /// A scheme has sixteen colours with fixed parts to play: 00 to 07 go from the background to the brightest text
    /// (dark schemes) or the darkest (light ones); 08 to 0F are red, orange, yellow, green, cyan, blue, magenta and
    /// brown. They become: paper 00, shade 01, selection 02, slate 03, ink 05, rose 08, amber 09, gold 0A, leaf 0B,
    /// sky 0D, iris 0E; the rest comes from `default`. Text colours that read worse than 4.5:1 on the scheme's two
    /// backgrounds are moved towards white or black until they do, and their lines say from where.
    ///
    /// - Parameter scheme: lines `base00: "1d1f21"` or `base00 = "#1d1f21"`, indented or not; `scheme`, `name` and
    ///   `author` are taken too, all other lines are left aside.
    /// - Parameter file: the scheme's name in messages.
    /// - Throws: a colour that is missing or is none.
    package static func text(fromBase16 scheme: String, file: String = "base16") throws(FileFault) -> String {
        var colors: [Int: RGB] = [:]
        var title = ""
        var author = ""
        let lines = scheme.split(omittingEmptySubsequences: false) { $0.isNewline }
        for (index, line) in lines.enumerated() {
            guard let (key, value) = pair(line) else { continue }
            switch key.lowercased() {
            case "scheme", "name": title = value
            case "author": author = value
            case let key where key.hasPrefix("base") && key.utf8.count == 6:
                guard let number = Int(key.dropFirst(4), radix: 16), (0...15).contains(number) else { continue }
                guard let color = RGB(text: value.hasPrefix("#") ? value : "#" + value) else {
                    throw FileFault(
                        file: file, line: index + 1, wrong: "\(quoted(value)) is no colour",
                        right: "write six hex digits")
                }
                colors[number] = color
            default: continue
            }
        }
        for number in 0...15 where colors[number] == nil {
            let name = "base0" + String(number, radix: 16, uppercase: true)
            throw FileFault(file: file, line: 1, wrong: "\(name) is missing", right: "give base00 to base0F")
        }
        return text(colors.mapValues { $0 }, title: title, author: author)
    }

    /// A key and its value of a line of YAML or TOML; comments and quotes are taken off.
    private static func pair(_ line: Substring) -> (key: String, value: String)? {
        guard let sign = line.firstIndex(where: { $0 == ":" || $0 == "=" }) else { return nil }
        let key = trimmed(line[..<sign])
        var value = trimmed(line[line.index(after: sign)...])
        if let quote = value.first, quote == "\"" || quote == "'" {
            value = value.dropFirst()
            value = value.prefix { $0 != quote }
        } else if let comment = value.range(ofCommentAfterSpace: "#") {
            value = trimmed(value[..<comment])
        }
        return key.isEmpty ? nil : (String(key), String(value))
    }

    private static func trimmed(_ text: Substring) -> Substring {
        var text = text
        while let first = text.first, first.isWhitespace { text.removeFirst() }
        while let last = text.last, last.isWhitespace { text.removeLast() }
        return text
    }

    private static func text(_ colors: [Int: RGB], title: String, author: String) -> String {
        let paper = colors[0]!
        let shade = colors[1]!
        let isLight = LinearRGB(paper).luminance > LinearRGB(colors[5]!).luminance
        func quotedTOML(_ text: String) -> String {
            let plain = plainText(text, charactersMax: 100).filter { $0 != "\"" && $0 != "\\" }
            return "\"" + (plain.isEmpty ? "unknown" : plain) + "\""
        }
        var name = ""
        for character in title.lowercased() {
            name.append(isName("a" + String(character)) ? character : "-")
        }
        while name.hasPrefix(".") || name.hasPrefix("-") { name.removeFirst() }
        name = String(name.prefix(64))
        var text = """
            # Made from the base16 scheme \(quotedTOML(title)) by \(quotedTOML(author)).

            [meta]
            name = "\(name.isEmpty ? "base16" : name)"
            author = \(quotedTOML(author))
            appearance = "\(isLight ? "light" : "dark")"
            inherits = "default"
            version = \(version)

            [palette]
            paper = "\(paper.text)"
            shade = "\(shade.text)"
            selection = "\(colors[2]!.text)"

            """
        let inks = [
            ("ink", 5), ("slate", 3), ("rose", 8), ("amber", 9), ("gold", 10), ("leaf", 11), ("sky", 13), ("iris", 14),
        ]
        for (word, number) in inks {
            let given = colors[number]!
            let shown = readable(given, on: [paper, shade])
            text += "\(word) = \"\(shown.text)\"" + (shown == given ? "\n" : "    # from \(given.text)\n")
        }
        // Sixteen colours are too few for three backgrounds: there it keeps to the terminal's own, as `default` does.
        let own = "c16 = { fg = \"default\", bg = \"default\" }"
        let plainBar = "c16 = { fg = \"default\", bg = \"default\", attrs = [\"reverse\"] }"
        let bar = "c16 = { fg = \"default\", bg = \"default\", attrs = [\"bold\", \"reverse\"] }"
        return text + """

            [roles]
            "row.selected" = { bg = "selection", attrs = ["bold"], \(plainBar) }
            "tab.active" = { fg = "ink", bg = "selection", attrs = ["bold"], \(bar) }
            bar = { fg = "ink", bg = "shade", \(own) }
            "bar.key" = { fg = "sky", bg = "shade", attrs = ["bold"], c16 = { fg = "cyan", bg = "default" } }
            dialog = { fg = "ink", bg = "shade", \(own) }
            "dialog.title" = { fg = "ink", bg = "shade", attrs = ["bold"], \(own) }
            "dialog.danger" = { fg = "rose", bg = "shade", attrs = ["bold"], c16 = { fg = "red", bg = "default" } }
            button = { fg = "ink", bg = "shade", \(own) }
            "button.focus" = { fg = "paper", bg = "ink", attrs = ["bold"], \(bar) }
            "button.locked" = { fg = "slate", bg = "shade", c16 = { fg = "default", bg = "default", attrs = ["dim"] } }
            field = { fg = "ink", bg = "shade", attrs = ["underline"], \(own) }
            "sev.acked" = { fg = "slate", attrs = ["italic"], c16 = { fg = "default", attrs = ["dim"] } }
            "bb.teardown" = { fg = "iris", attrs = ["italic"], c16 = { fg = "blue", attrs = [] } }
            "bb.deleting" = { fg = "iris", attrs = ["italic"], c16 = { fg = "blue", attrs = [] } }
            "bb.deleted" = { fg = "iris", attrs = ["italic"], c16 = { fg = "blue", attrs = [] } }
            "bb.complete" = { fg = "iris", attrs = ["italic"], c16 = { fg = "blue", attrs = [] } }

            """
    }

    /// The colour, moved towards white or black until it reads well on both backgrounds.
    private static func readable(_ color: RGB, on backgrounds: [RGB]) -> RGB {
        func worst(_ color: RGB) -> Double {
            backgrounds.map { Contrast.ratio(color, $0) }.min() ?? 21
        }
        let ends = [RGB(0xffffff), RGB(0x000000)]
        let end = worst(ends[0]) >= worst(ends[1]) ? ends[0] : ends[1]
        let steps = 64
        for step in 0...steps {
            let moved = OKLab(color).mixed(with: OKLab(end), Double(step) / Double(steps)).linear.encoded
            let shown = step == 0 ? color : moved
            if worst(shown) >= Theme.contrastUsual { return shown }
        }
        return end
    }
}

extension Substring {
    /// Where a comment begins: at its sign, if a space stands before it.
    fileprivate func range(ofCommentAfterSpace sign: Character) -> Index? {
        var previous: Character?
        for index in indices {
            if self[index] == sign, let previous, previous.isWhitespace { return index }
            previous = self[index]
        }
        return nil
    }
}
