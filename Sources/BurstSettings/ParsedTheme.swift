import BurstScreen

/// A theme file, read and checked by itself; colour names are looked up later, since parents have palettes too.
struct ParsedTheme {
    let document: TOMLDocument
    let source: ThemeSource

    init(_ text: String, file: String) throws(FileFault) {
        let document = try TOMLDocument(text, file: file)
        self.document = document
        try document.allow(["meta", "palette", "roles", "glyphs"], in: document.root, at: [], "table")
        var source = ThemeSource(name: Self.baseName(of: file))
        try Self.readMeta(of: document, into: &source)
        try Self.readPalette(of: document, into: &source)
        try Self.readRoles(of: document, into: &source)
        try Self.readGlyphs(of: document, into: &source)
        self.source = source
    }

    private static func baseName(of file: String) -> String {
        let name = file.lastIndex(of: "/").map { String(file[file.index(after: $0)...]) } ?? file
        return name.hasSuffix(".toml") ? String(name.dropLast(5)) : name
    }

    private static func readMeta(of document: TOMLDocument, into source: inout ThemeSource) throws(FileFault) {
        let table = try document.table(document.root["meta"], at: ["meta"])
        let known = ["name", "author", "licence", "appearance", "inherits", "contrast", "version"]
        try document.allow(known, in: table, at: ["meta"], "key of [meta]")
        for (key, value) in document.ordered(table, at: ["meta"]) {
            let path = ["meta", key]
            switch key {
            case "name": source.name = try themeName(value, path, document)
            case "author": source.author = try document.text(value, at: path, bytesMax: 200)
            case "licence": source.licence = try document.text(value, at: path, bytesMax: 200)
            case "appearance": source.appearance = try document.word(value, at: path, as: Theme.Appearance.self)
            case "inherits": source.inherits = try themeName(value, path, document)
            case "contrast": source.contrastMin = try document.number(value, at: path, in: 1...21)
            default:
                let version = try document.whole(value, at: path, in: 1...Int.max)
                if version != ThemeFile.version {
                    throw document.fault(
                        path, "has version \(version) of the format", "this program knows version \(ThemeFile.version)")
                }
            }
        }
    }

    private static func themeName(
        _ value: TOMLDocument.Value, _ path: [String], _ document: TOMLDocument
    ) throws(FileFault) -> String {
        let name = try document.text(value, at: path)
        if ThemeFile.isName(name) { return name }
        throw document.fault(
            path, "\(quoted(name)) is no theme's name", "use letters, digits, dots, dashes and underscores, at most 64")
    }

    private static func readPalette(of document: TOMLDocument, into source: inout ThemeSource) throws(FileFault) {
        let table = try document.table(document.root["palette"], at: ["palette"])
        for (key, value) in document.ordered(table, at: ["palette"]) {
            let path = ["palette", key]
            if ThemeColor(literal: key) != nil {
                throw document.fault(path, "\(quoted(key)) is a colour already", "choose another name")
            }
            let text = try document.text(value, at: path)
            guard let color = ThemeColor(literal: text) else {
                throw document.fault(
                    path, "\(quoted(text)) is no colour",
                    "write #rrggbb, color0 to color255, red, bright-red and so on, or default")
            }
            source.palette[key] = color
        }
    }

    private static let roleNames = Set(Role.allCases.map(\.rawValue)).union(ThemeSource.families)

    private static func readRoles(of document: TOMLDocument, into source: inout ThemeSource) throws(FileFault) {
        let table = try document.table(document.root["roles"], at: ["roles"])
        for (key, value) in document.ordered(table, at: ["roles"]) {
            let path = ["roles", key]
            guard roleNames.contains(key) else {
                throw document.fault(path, "unknown role \(quoted(key))", hint(for: key))
            }
            guard case .table(let parts) = value else {
                throw document.fault(
                    path, "role \(quoted(key)) is \(value.kind)", "write { fg = \"...\", bg = \"...\", attrs = [...] }")
            }
            if let inner = document.ordered(parts, at: path).first(where: { roleNames.contains(key + "." + $0.key) }) {
                let whole = key + "." + inner.key
                throw document.fault(
                    path + [inner.key], "role \(whole) stands without quotes", "write \"\(whole)\" = { ... }")
            }
            source.entries[key] = try entry(parts, key, path, document)
        }
    }

    /// The names that a misspelt one may have meant: those of its family.
    private static func hint(for name: String) -> String {
        let start = name.prefix { $0 != "." }
        let family = roleNames.filter { $0.prefix { $0 != "." } == start }.sorted()
        if !family.isEmpty { return "use " + alternatives(family) }
        let starts = Set(roleNames.map { String($0.prefix { $0 != "." }) }).sorted()
        return "roles begin with " + alternatives(starts)
    }

    private static func entry(
        _ parts: [String: TOMLDocument.Value], _ role: String, _ path: [String], _ document: TOMLDocument
    ) throws(FileFault) -> ThemeSource.Entry {
        let of = "key of role \(quoted(role)),"
        try document.allow(["fg", "bg", "attrs", "c16", "mono"], in: parts, at: path, of)
        var entry = ThemeSource.Entry()
        if let fg = parts["fg"] { entry.fg = try document.text(fg, at: path + ["fg"]) }
        if let bg = parts["bg"] { entry.bg = try document.text(bg, at: path + ["bg"]) }
        if let attributes = parts["attrs"] {
            entry.attributes = try self.attributes(attributes, path + ["attrs"], document)
        }
        if let mono = parts["mono"] { entry.mono = try attributes(mono, path + ["mono"], document) }
        if let value = parts["c16"] {
            let inner = path + ["c16"]
            guard case .table(let few) = value else {
                throw document.fault(inner, "c16 is \(value.kind)", "write c16 = { fg = \"red\", attrs = [\"bold\"] }")
            }
            try document.allow(["fg", "bg", "attrs"], in: few, at: inner, "key of c16 of role \(quoted(role)),")
            var sixteen = ThemeSource.Sixteen()
            if let fg = few["fg"] { sixteen.fg = try document.text(fg, at: inner + ["fg"]) }
            if let bg = few["bg"] { sixteen.bg = try document.text(bg, at: inner + ["bg"]) }
            if let attributes = few["attrs"] {
                sixteen.attributes = try self.attributes(attributes, inner + ["attrs"], document)
            }
            entry.sixteen = sixteen
        }
        return entry
    }

    private static func attributes(
        _ value: TOMLDocument.Value, _ path: [String], _ document: TOMLDocument
    ) throws(FileFault) -> TextAttributes {
        var attributes: TextAttributes = []
        for name in try document.texts(value, at: path) {
            guard let attribute = TextAttributes(name: name) else {
                throw document.fault(
                    path, "unknown attribute \(quoted(name))", "use " + alternatives(TextAttributes.names.map(\.name)))
            }
            attributes.insert(attribute)
        }
        return attributes
    }

    private static func readGlyphs(of document: TOMLDocument, into source: inout ThemeSource) throws(FileFault) {
        let table = try document.table(document.root["glyphs"], at: ["glyphs"])
        for (key, value) in document.ordered(table, at: ["glyphs"]) {
            let path = ["glyphs", key]
            guard let glyph = Glyph(rawValue: key) else {
                if case .table(let inner) = value,
                    let part = document.ordered(inner, at: path).first, Glyph(rawValue: key + "." + part.key) != nil
                {
                    let whole = key + "." + part.key
                    throw document.fault(
                        path + [part.key], "glyph \(whole) stands without quotes",
                        "write \"\(whole)\" = [\"...\", \"...\"]")
                }
                let start = key.prefix { $0 != "." }
                let family = Glyph.allCases.map(\.rawValue).filter { $0.prefix { $0 != "." } == start }
                let starts = Set(Glyph.allCases.map { String($0.rawValue.prefix { $0 != "." }) }).sorted()
                throw document.fault(
                    path, "unknown glyph \(quoted(key))",
                    family.isEmpty ? "glyphs begin with " + alternatives(starts) : "use " + alternatives(family))
            }
            let texts = try document.texts(value, at: path)
            guard texts.count == 2, let text = GlyphText(texts[0], ascii: texts[1]) else {
                throw document.fault(
                    path, "glyph \(quoted(key)) is not a character with its twin",
                    "write [\"CHARACTER\", \"ASCII CHARACTER\"], each one cell wide")
            }
            source.glyphs[glyph] = text
        }
    }
}
