/// A theme as its author wrote it: colours by name, only what the file says. `Theme` is what comes of it once the
/// themes it inherits are laid below.
package struct ThemeSource: Hashable, Sendable {
    /// What a file says about a role, or about a family of roles.
    package struct Entry: Hashable, Sendable {
        /// Names of the palette, or literals (`ThemeColor.init(literal:)`).
        package var fg: String?
        package var bg: String?
        package var attributes: TextAttributes?
        package var sixteen: Sixteen?
        package var mono: TextAttributes?

        package init(
            fg: String? = nil, bg: String? = nil, attributes: TextAttributes? = nil, sixteen: Sixteen? = nil,
            mono: TextAttributes? = nil
        ) {
            self.fg = fg
            self.bg = bg
            self.attributes = attributes
            self.sixteen = sixteen
            self.mono = mono
        }
    }

    /// What takes the place of an entry's parts on terminals of 16 and 8 colours.
    package struct Sixteen: Hashable, Sendable {
        package var fg: String?
        package var bg: String?
        package var attributes: TextAttributes?

        package init(fg: String? = nil, bg: String? = nil, attributes: TextAttributes? = nil) {
            self.fg = fg
            self.bg = bg
            self.attributes = attributes
        }
    }

    package var name: String
    package var author: String
    package var licence: String
    package var appearance: Theme.Appearance?
    /// The name of the theme below this one.
    package var inherits: String?
    /// The contrast that the theme promises for text; nil for the parent's.
    package var contrastMin: Double?
    package var palette: [String: ThemeColor]
    /// By the name of a role (`bb.staging-in`) or of a family (`bb`).
    package var entries: [String: Entry]
    package var glyphs: [Glyph: GlyphText]

    package init(
        name: String, author: String = "", licence: String = "", appearance: Theme.Appearance? = nil,
        inherits: String? = nil, contrastMin: Double? = nil, palette: [String: ThemeColor] = [:],
        entries: [String: Entry] = [:], glyphs: [Glyph: GlyphText] = [:]
    ) {
        self.name = name
        self.author = author
        self.licence = licence
        self.appearance = appearance
        self.inherits = inherits
        self.contrastMin = contrastMin
        self.palette = palette
        self.entries = entries
        self.glyphs = glyphs
    }

    /// Families that are no role themselves: `bb`, `pool`, `sev`.
    package static let families: Set<String> = {
        let names = Set(Role.allCases.map(\.rawValue))
        return Set(names.compactMap(family(of:))).subtracting(names)
    }()

    /// The part before the dot, nil for a name without one.
    static func family(of name: String) -> String? {
        guard let dot = name.firstIndex(of: ".") else { return nil }
        return String(name[..<dot])
    }
}

/// Why sources do not make a theme.
package enum ThemeSourceFault: Error, Hashable, Sendable {
    /// `color` is no literal and in no palette of the chain. `source` counts from the theme itself, 0, to its parents.
    case unknownColor(source: Int, entry: String, color: String)
    /// A `c16` override names a colour that terminals of 16 colours do not have.
    case notOnSixteenColors(source: Int, entry: String, color: String)
    /// A selected row would look like any other.
    case selectionUnseen
}

extension Theme {
    /// Makes a theme of what its file says and what the themes below it say.
    ///
    /// Where a role is looked for, first hit wins:
    /// 1. In each file, the theme's own first, then its parents': the role's own name; then its family, where that is
    ///    no role itself. So `bb = ...` in a file speaks for all buffer states that the same file does not name, even
    ///    where a parent names them.
    /// 2. In each file again: the shorter role (`text` for `text.error`). This comes last because such a role has a
    ///    meaning of its own: a theme that only changes `text` keeps its parent's `text.error`.
    /// 3. The built-in `default`.
    ///
    /// An entry is taken whole; what it leaves open (a background) comes from `text`. Colour names are looked up in
    /// all palettes of the chain, the theme's own first, also those in inherited entries: a theme can recolour its
    /// parent by its palette alone.
    ///
    /// - Parameter chain: the theme, its parent, and so on; at least one.
    package init(chain: [ThemeSource]) throws(ThemeSourceFault) {
        precondition(!chain.isEmpty, "a theme has a source")
        let sources = chain + [.builtInDefault]
        let last = sources.count - 1
        // Every reference is checked, also those that another entry hides: a file is right or it is refused.
        for (index, source) in chain.enumerated() {
            for name in source.entries.keys.sorted() {
                _ = try Self.resolve(source.entries[name]!, named: name, source: index, in: sources)
            }
        }
        var entries: [Role: Entry] = [:]
        for role in Role.allCases {
            let (source, name) = Self.origin(of: role, in: sources, last: last)
            entries[role] = try Self.resolve(sources[source].entries[name]!, named: name, source: source, in: sources)
        }
        var glyphs: [Glyph: GlyphText] = [:]
        for source in sources.reversed() { glyphs.merge(source.glyphs) { _, nearer in nearer } }
        self.init(
            name: chain[0].name, author: chain[0].author, licence: chain[0].licence,
            appearance: sources.lazy.compactMap(\.appearance).first ?? .any,
            contrastMin: sources.lazy.compactMap(\.contrastMin).first ?? Theme.contrastUsual,
            entries: entries, glyphs: glyphs)
        let plain = look(for: Style(.row), depth: .trueColor)
        if look(for: Style(.row, over: .rowSelected), depth: .trueColor) == plain { throw .selectionUnseen }
    }

    /// The source and the name of the entry that speaks for a role.
    private static func origin(of role: Role, in sources: [ThemeSource], last: Int) -> (source: Int, name: String) {
        let name = role.rawValue
        let family = ThemeSource.family(of: name)
        for (index, source) in sources.enumerated() where index < last {
            if source.entries[name] != nil { return (index, name) }
            if let family, ThemeSource.families.contains(family), source.entries[family] != nil {
                return (index, family)
            }
        }
        if let family {
            for (index, source) in sources.enumerated() where index < last && source.entries[family] != nil {
                return (index, family)
            }
        }
        return (last, name)
    }

    private static func resolve(
        _ entry: ThemeSource.Entry, named name: String, source: Int, in sources: [ThemeSource]
    ) throws(ThemeSourceFault) -> Entry {
        func color(_ text: String?) throws(ThemeSourceFault) -> ThemeColor? {
            guard let text else { return nil }
            if let literal = ThemeColor(literal: text) { return literal }
            for palette in sources.lazy.map(\.palette) {
                if let color = palette[text] { return color }
            }
            throw .unknownColor(source: source, entry: name, color: text)
        }
        func few(_ text: String?) throws(ThemeSourceFault) -> ThemeColor? {
            let found = try color(text)
            if let found, !found.isOnSixteenColorTerminals {
                throw .notOnSixteenColors(source: source, entry: name, color: text ?? "")
            }
            return found
        }
        return Entry(
            fg: try color(entry.fg), bg: try color(entry.bg), attributes: entry.attributes,
            sixteen: try entry.sixteen.map { part throws(ThemeSourceFault) in
                Sixteen(fg: try few(part.fg), bg: try few(part.bg), attributes: part.attributes)
            },
            mono: entry.mono)
    }
}
