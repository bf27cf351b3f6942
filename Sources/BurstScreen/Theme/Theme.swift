/// What every role looks like: made of a theme file (monitor.md §3.9), complete, with nothing left to look up.
package struct Theme: Hashable, Sendable {
    /// For which backgrounds a theme is made. Where it keeps the terminal's own, this is what is known about it.
    package enum Appearance: String, CaseIterable, Hashable, Sendable {
        case dark, light, any
    }

    /// What a theme says about a role. Nil leaves a part to `text`, or in an overlay to what lies below.
    package struct Entry: Hashable, Sendable {
        package var fg: ThemeColor?
        package var bg: ThemeColor?
        package var attributes: TextAttributes?
        package var sixteen: Sixteen?
        package var mono: TextAttributes?
    }

    /// What takes the place of an entry's parts on terminals of 16 and 8 colours.
    package struct Sixteen: Hashable, Sendable {
        package var fg: ThemeColor?
        package var bg: ThemeColor?
        package var attributes: TextAttributes?
    }

    package let name: String
    package let author: String
    package let licence: String
    package let appearance: Appearance
    /// The contrast that text has at least, as a WCAG ratio.
    package let contrastMin: Double
    private let entries: [Role: Entry]
    private let glyphs: [Glyph: GlyphText]

    /// What WCAG 2 asks of text (AA).
    package static let contrastUsual = 4.5

    /// - Precondition: every role has an entry and every glyph a text.
    init(
        name: String, author: String, licence: String, appearance: Appearance, contrastMin: Double,
        entries: [Role: Entry], glyphs: [Glyph: GlyphText]
    ) {
        precondition(entries.count == Role.allCases.count, "the built-in default sets every role")
        precondition(glyphs.count == Glyph.allCases.count, "the built-in default sets every glyph")
        self.name = name
        self.author = author
        self.licence = licence
        self.appearance = appearance
        self.contrastMin = contrastMin
        self.entries = entries
        self.glyphs = glyphs
    }

    package subscript(role: Role) -> Entry { entries[role]! }

    /// The character of a glyph, one cell wide.
    package func text(of glyph: Glyph, ascii: Bool) -> String {
        ascii ? glyphs[glyph]!.ascii : glyphs[glyph]!.text
    }

    /// The theme that is there without any file. Equal to `Themes/default.toml`.
    package static let builtInDefault: Theme = {
        do { return try Theme(chain: [.builtInDefault]) } catch { preconditionFailure("the built-in theme: \(error)") }
    }()
}

/// What a terminal is told about a cell.
package struct Look: Hashable, Sendable {
    package var fg: ThemeColor
    package var bg: ThemeColor
    package var attributes: TextAttributes

    package init(fg: ThemeColor, bg: ThemeColor, attributes: TextAttributes) {
        self.fg = fg
        self.bg = bg
        self.attributes = attributes
    }
}
