extension ThemeSource {
    /// `Themes/default.toml` as a value, for when no Themes folder is found and as what is below every other theme. The
    /// file says why the colours are what they are.
    package static let builtInDefault = ThemeSource(
        name: "default", author: "The Burst authors", licence: "Same as Burst", appearance: .any,
        palette: [
            "paper": .terminalDefault,
            "ink": .terminalDefault,
            "slate": .rgb(RGB(0x627986)),
            "leaf": .rgb(RGB(0x0e8652)),
            "sky": .rgb(RGB(0x456ce7)),
            "gold": .rgb(RGB(0xa06a02)),
            "iris": .rgb(RGB(0x8663c1)),
            "amber": .rgb(RGB(0xb85d02)),
            "rose": .rgb(RGB(0xdf2659)),
        ],
        entries: builtInEntries, glyphs: builtInGlyphs)

    private static let builtInEntries: [String: Entry] = [
        "text": Entry(fg: "ink", bg: "paper", sixteen: Sixteen(fg: "default", bg: "default"), mono: []),
        "text.dim": Entry(fg: "slate", sixteen: Sixteen(fg: "default", attributes: [.dim]), mono: [.dim]),
        "text.strong": Entry(fg: "ink", attributes: [.bold], sixteen: Sixteen(fg: "default"), mono: [.bold]),
        "text.key": Entry(fg: "sky", attributes: [.bold], sixteen: Sixteen(fg: "cyan"), mono: [.bold]),
        "text.link": Entry(fg: "sky", attributes: [.underline], sixteen: Sixteen(fg: "cyan"), mono: [.underline]),
        "text.error": Entry(fg: "rose", attributes: [.bold], sixteen: Sixteen(fg: "red"), mono: [.bold]),
        "bar": Entry(fg: "ink", sixteen: Sixteen(fg: "default"), mono: []),
        "bar.key": Entry(fg: "sky", attributes: [.bold], sixteen: Sixteen(fg: "cyan"), mono: [.bold]),
        "tab": Entry(fg: "slate", sixteen: Sixteen(fg: "default"), mono: []),
        "tab.active": Entry(
            fg: "ink", attributes: [.bold, .reverse], sixteen: Sixteen(fg: "default"), mono: [.reverse]),
        "tab.alert": Entry(fg: "rose", attributes: [.bold], sixteen: Sixteen(fg: "red"), mono: [.bold]),
        "border": Entry(fg: "slate", sixteen: Sixteen(fg: "default", attributes: [.dim]), mono: []),
        "border.focus": Entry(fg: "sky", sixteen: Sixteen(fg: "cyan"), mono: [.bold]),
        "title": Entry(fg: "ink", attributes: [.bold], sixteen: Sixteen(fg: "default"), mono: [.bold]),
        "header": Entry(fg: "slate", attributes: [.bold], sixteen: Sixteen(fg: "default"), mono: [.bold]),
        "header.sorted": Entry(
            fg: "sky", attributes: [.bold, .underline], sixteen: Sixteen(fg: "cyan"), mono: [.bold, .underline]),
        "scroll": Entry(fg: "slate", sixteen: Sixteen(fg: "default", attributes: [.dim]), mono: []),
        "row": Entry(fg: "ink", sixteen: Sixteen(fg: "default"), mono: []),
        "row.alt": Entry(mono: []),
        "row.selected": Entry(
            fg: "ink", bg: "paper", attributes: [.reverse],
            sixteen: Sixteen(fg: "default", bg: "default"), mono: [.reverse]),
        "row.tagged": Entry(
            fg: "gold", attributes: [.bold], sixteen: Sixteen(fg: "magenta"), mono: [.bold, .underline]),
        "row.new": Entry(attributes: [.bold], mono: [.bold]),
        "row.changed": Entry(attributes: [.underline], mono: [.underline]),
        "row.gone": Entry(
            fg: "slate", attributes: [.italic], sixteen: Sixteen(fg: "default", attributes: [.dim]), mono: [.dim]),
        "match": Entry(fg: "amber", attributes: [.underline], sixteen: Sixteen(fg: "magenta"), mono: [.underline]),
        "match.current": Entry(
            fg: "amber", attributes: [.bold, .reverse], sixteen: Sixteen(fg: "magenta"), mono: [.bold, .reverse]),
        "live": Entry(fg: "leaf", sixteen: Sixteen(fg: "green"), mono: []),
        "stale": Entry(fg: "amber", attributes: [.bold], sixteen: Sixteen(fg: "magenta"), mono: [.reverse]),
        "offline": Entry(
            fg: "rose", attributes: [.bold, .reverse], sixteen: Sixteen(fg: "red"), mono: [.bold, .reverse]),
        "paused": Entry(fg: "iris", attributes: [.bold], sixteen: Sixteen(fg: "cyan"), mono: [.reverse]),
        "replay": Entry(
            fg: "iris", attributes: [.bold, .reverse], sixteen: Sixteen(fg: "cyan"), mono: [.bold, .reverse]),
        "readonly": Entry(fg: "sky", sixteen: Sixteen(fg: "cyan"), mono: [.bold]),
        "restricted": Entry(fg: "amber", sixteen: Sixteen(fg: "magenta"), mono: [.underline]),
        "sev.ok": Entry(fg: "leaf", sixteen: Sixteen(fg: "green"), mono: []),
        "sev.info": Entry(fg: "sky", sixteen: Sixteen(fg: "cyan"), mono: [.underline]),
        "sev.warn": Entry(fg: "amber", sixteen: Sixteen(fg: "magenta", attributes: [.bold]), mono: [.bold]),
        "sev.crit": Entry(
            fg: "rose", attributes: [.bold],
            sixteen: Sixteen(fg: "red", attributes: [.bold, .reverse]), mono: [.bold, .reverse]),
        "sev.acked": Entry(
            fg: "slate", attributes: [.italic], sixteen: Sixteen(fg: "default", attributes: [.dim]), mono: [.dim]),
        "bb.pending": Entry(
            fg: "slate", attributes: [.italic],
            sixteen: Sixteen(fg: "default", attributes: [.dim]), mono: [.underline]),
        "bb.allocating": Entry(
            fg: "slate", attributes: [.italic],
            sixteen: Sixteen(fg: "default", attributes: [.dim]), mono: [.underline]),
        "bb.staging-in": Entry(fg: "sky", sixteen: Sixteen(fg: "cyan"), mono: [.bold]),
        "bb.staged-in": Entry(fg: "sky", sixteen: Sixteen(fg: "cyan"), mono: [.bold]),
        "bb.pre-run": Entry(fg: "sky", sixteen: Sixteen(fg: "cyan"), mono: [.bold]),
        "bb.allocated": Entry(fg: "ink", sixteen: Sixteen(fg: "default"), mono: []),
        "bb.running": Entry(fg: "ink", sixteen: Sixteen(fg: "default"), mono: []),
        "bb.suspended": Entry(
            fg: "ink", attributes: [.italic], sixteen: Sixteen(fg: "default", attributes: []), mono: []),
        "bb.persistent": Entry(
            fg: "ink", attributes: [.italic], sixteen: Sixteen(fg: "default", attributes: []), mono: []),
        "bb.post-run": Entry(fg: "gold", sixteen: Sixteen(fg: "magenta"), mono: [.bold, .underline]),
        "bb.staging-out": Entry(fg: "gold", sixteen: Sixteen(fg: "magenta"), mono: [.bold, .underline]),
        "bb.staged-out": Entry(fg: "gold", sixteen: Sixteen(fg: "magenta"), mono: [.bold, .underline]),
        "bb.teardown": Entry(fg: "iris", sixteen: Sixteen(fg: "blue"), mono: [.dim]),
        "bb.deleting": Entry(fg: "iris", sixteen: Sixteen(fg: "blue"), mono: [.dim]),
        "bb.deleted": Entry(fg: "iris", sixteen: Sixteen(fg: "blue"), mono: [.dim]),
        "bb.complete": Entry(fg: "iris", sixteen: Sixteen(fg: "blue"), mono: [.dim]),
        "bb.teardown-fail": Entry(
            fg: "rose", attributes: [.bold], sixteen: Sixteen(fg: "red"), mono: [.bold, .reverse]),
        "bb.alloc-revoke": Entry(
            fg: "rose", attributes: [.bold], sixteen: Sixteen(fg: "red"), mono: [.bold, .reverse]),
        "bb.unknown": Entry(fg: "rose", attributes: [.bold], sixteen: Sixteen(fg: "red"), mono: [.bold, .reverse]),
        "pool.used": Entry(fg: "sky", sixteen: Sixteen(fg: "cyan"), mono: []),
        "pool.drained": Entry(fg: "amber", sixteen: Sixteen(fg: "magenta"), mono: [.bold]),
        "pool.free": Entry(fg: "slate", sixteen: Sixteen(fg: "default", attributes: [.dim]), mono: [.dim]),
        "pool.reserved": Entry(fg: "iris", sixteen: Sixteen(fg: "blue"), mono: [.underline]),
        "pool.over": Entry(fg: "rose", attributes: [.bold], sixteen: Sixteen(fg: "red"), mono: [.bold, .reverse]),
        "spark": Entry(fg: "sky", sixteen: Sixteen(fg: "cyan"), mono: []),
        "spark.mid": Entry(fg: "gold", sixteen: Sixteen(fg: "magenta"), mono: [.bold]),
        "spark.high": Entry(fg: "rose", sixteen: Sixteen(fg: "red"), mono: [.bold, .reverse]),
        "spark.gap": Entry(fg: "slate", sixteen: Sixteen(fg: "default", attributes: [.dim]), mono: [.dim]),
        "axis": Entry(fg: "slate", sixteen: Sixteen(fg: "default", attributes: [.dim]), mono: [.dim]),
        "dialog": Entry(fg: "ink", bg: "paper", sixteen: Sixteen(fg: "default", bg: "default"), mono: []),
        "dialog.title": Entry(fg: "ink", attributes: [.bold], sixteen: Sixteen(fg: "default"), mono: [.bold]),
        "dialog.danger": Entry(fg: "rose", attributes: [.bold], sixteen: Sixteen(fg: "red"), mono: [.bold]),
        "button": Entry(fg: "ink", sixteen: Sixteen(fg: "default"), mono: []),
        "button.focus": Entry(
            fg: "ink", attributes: [.bold, .reverse], sixteen: Sixteen(fg: "default"), mono: [.bold, .reverse]),
        "button.locked": Entry(fg: "slate", sixteen: Sixteen(fg: "default", attributes: [.dim]), mono: [.dim]),
        "field": Entry(fg: "ink", attributes: [.underline], sixteen: Sixteen(fg: "default"), mono: [.underline]),
    ]

    private static let builtInGlyphs: [Glyph: GlyphText] = {
        let texts: [(Glyph, String, String)] = [
            (.markCrit, "!", "!"),
            (.markWarn, "~", "~"),
            (.markInfo, "i", "i"),
            (.markOK, " ", " "),
            (.markAcknowledged, "-", "-"),
            (.markDefault, "*", "*"),
            (.markSelected, ">", ">"),
            (.markTagged, "+", "+"),
            (.classWaiting, "○", "."),
            (.classIn, "→", ">"),
            (.classUse, "●", "="),
            (.classOut, "←", "<"),
            (.classEnding, "◌", "-"),
            (.classBroken, "✗", "X"),
            (.barUsed, "█", "#"),
            (.barDrained, "▒", "x"),
            (.barFree, "·", "."),
            (.barReserved, "▚", "r"),
            (.barOver, "▓", "!"),
            (.spark1, "▁", "_"),
            (.spark2, "▂", "."),
            (.spark3, "▃", "-"),
            (.spark4, "▄", "~"),
            (.spark5, "▅", "="),
            (.spark6, "▆", "+"),
            (.spark7, "▇", "*"),
            (.spark8, "█", "#"),
            (.sparkGap, " ", " "),
            (.sortUp, "▲", "^"),
            (.sortDown, "▼", "v"),
            (.cut, ">", ">"),
            (.lineHorizontal, "─", "-"),
            (.lineVertical, "│", "|"),
            (.cornerTopLeft, "┌", "+"),
            (.cornerTopRight, "┐", "+"),
            (.cornerBottomLeft, "└", "+"),
            (.cornerBottomRight, "┘", "+"),
            (.teeLeft, "├", "+"),
            (.teeRight, "┤", "+"),
            (.teeTop, "┬", "+"),
            (.teeBottom, "┴", "+"),
            (.cross, "┼", "+"),
            (.scrollTrack, "│", "|"),
            (.scrollThumb, "█", "#"),
        ]
        return Dictionary(uniqueKeysWithValues: texts.map { ($0.0, GlyphText($0.1, ascii: $0.2)!) })
    }()
}
