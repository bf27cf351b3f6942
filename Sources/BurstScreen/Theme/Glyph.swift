/// A sign with a meaning. Code says glyphs, themes say characters; the raw values are the names in theme files and are
/// a contract.
package enum Glyph: String, CaseIterable, Hashable, Sendable {
    case markCrit = "mark.crit"
    case markWarn = "mark.warn"
    case markInfo = "mark.info"
    case markOK = "mark.ok"
    case markAcknowledged = "mark.acked"
    /// The default pool.
    case markDefault = "mark.default"
    case markSelected = "mark.selected"
    case markTagged = "mark.tagged"

    // The six classes of buffer states (monitor.md §3.8).
    case classWaiting = "class.waiting"
    case classIn = "class.in"
    case classUse = "class.use"
    case classOut = "class.out"
    case classEnding = "class.ending"
    case classBroken = "class.broken"

    case barUsed = "bar.used"
    case barDrained = "bar.drained"
    case barFree = "bar.free"
    case barReserved = "bar.reserved"
    case barOver = "bar.over"

    // Eight levels, low to high, and a time without a sample.
    case spark1 = "spark.1"
    case spark2 = "spark.2"
    case spark3 = "spark.3"
    case spark4 = "spark.4"
    case spark5 = "spark.5"
    case spark6 = "spark.6"
    case spark7 = "spark.7"
    case spark8 = "spark.8"
    case sparkGap = "spark.gap"

    case sortUp = "sort.up"
    case sortDown = "sort.down"
    /// Stands last where text was cut.
    case cut = "cut"

    case lineHorizontal = "line.horizontal"
    case lineVertical = "line.vertical"
    case cornerTopLeft = "corner.top-left"
    case cornerTopRight = "corner.top-right"
    case cornerBottomLeft = "corner.bottom-left"
    case cornerBottomRight = "corner.bottom-right"
    case teeLeft = "tee.left"
    case teeRight = "tee.right"
    case teeTop = "tee.top"
    case teeBottom = "tee.bottom"
    case cross = "cross"
    case scrollTrack = "scroll.track"
    case scrollThumb = "scroll.thumb"

    /// The eight levels of a spark line, low to high.
    package static let sparkLevels: [Glyph] = [
        .spark1, .spark2, .spark3, .spark4, .spark5, .spark6, .spark7, .spark8,
    ]
}

/// The characters of a glyph, each one cell wide.
package struct GlyphText: Hashable, Sendable {
    package var text: String
    /// For locales that are not UTF-8, and for `--ascii`.
    package var ascii: String

    /// Nil unless both are one character that takes one cell, and `ascii` is printable ASCII.
    package init?(_ text: String, ascii: String) {
        guard text.count == 1, CharacterWidth.cells(of: text) == 1, CharacterWidth.shown(text.first!).text == text,
            ascii.utf8.count == 1, let byte = ascii.utf8.first, byte >= 0x20, byte < 0x7f
        else { return nil }
        self.text = text
        self.ascii = ascii
    }
}
