import BurstScreen
import CCurses

/// Colours as curses wants them: pairs of numbers, made when they are first needed.
struct ColorPairs {
    /// Colours that the terminal has: 0 for none, 8, 16, 88, 256, or 2^24 where colours are RGB values.
    let colors: Int
    /// Pairs that can be in use at a time. Small terminals have 64.
    private let limit: Int
    private let hasDefaults: Bool
    private var pairs: [UInt64: Int32] = [:]
    /// Set when a pair was wanted and none was left: the next frame starts the table anew and paints everything.
    private(set) var isExhausted = false

    /// - Parameter maximum: the most colours to use, 0 for none at all, nil for what terminfo says.
    ///   With 0, curses never learns of colours and so never writes a colour sequence.
    init(maximum: Int?) {
        guard maximum != 0, has_colors(), start_color() == OK else {
            (colors, limit, hasDefaults) = (0, 0, false)
            return
        }
        let has = Int(nc_colors())
        colors = has > 256 ? (maximum.map { $0 <= 256 } == true ? 8 : has) : min(has, maximum ?? has)
        hasDefaults = use_default_colors() == OK
        // The pair number of a cell is an Int32 in memory, but some terminfo entries claim 2^31 - 1 pairs.
        limit = min(Int(nc_color_pairs()), 32768)
    }

    /// Forgets all pairs. Cells on the screen must be painted again after this.
    mutating func reset() {
        pairs.removeAll(keepingCapacity: true)
        isExhausted = false
        if colors > 0 { reset_color_pairs() }
    }

    /// The pair of a look, and whether the foreground needs bold to be bright (8 colours).
    mutating func pair(_ look: Look) -> (pair: Int32, bold: Bool) {
        guard colors > 0 else { return (0, false) }
        let (foreground, bold) = number(look.fg, default: 7)
        let (background, _) = number(look.bg, default: 0)
        if foreground == -1, background == -1 { return (0, false) }
        let key = UInt64(UInt32(bitPattern: foreground)) << 32 | UInt64(UInt32(bitPattern: background))
        if let known = pairs[key] { return (known, bold) }
        let next = pairs.count + 1
        guard next < limit, init_extended_pair(Int32(next), foreground, background) == OK else {
            isExhausted = true
            return (0, bold)
        }
        pairs[key] = Int32(next)
        return (Int32(next), bold)
    }

    /// Themes bring their colours down to what the terminal has; this is the last line of defence.
    private func number(_ color: ThemeColor, default usual: Int32) -> (Int32, bold: Bool) {
        guard let nominal = color.nominal else { return (hasDefaults ? -1 : usual, false) }
        if case .indexed(let index) = color {
            // Direct-colour entries take 0 to 7 as the palette's colours, all else as red, green and blue.
            if Int(index) < (colors > 256 ? 8 : colors) { return (Int32(index), false) }
            if colors == 8, index < 16 { return (Int32(index) - 8, true) }
        }
        if colors > 256 { return (Self.direct(nominal), false) }
        let nearest = Int32(Self.nearest(nominal, among: colors >= 256 ? 16..<256 : 0..<16))
        return nearest < colors ? (nearest, false) : (nearest - 8, true)
    }

    /// A colour as a number. Numbers below 256 would be taken for the palette, so the darkest get one 255th of green.
    private static func direct(_ color: RGB) -> Int32 {
        let value = Int32(color.red) << 16 | Int32(color.green) << 8 | Int32(color.blue)
        return value < 256 ? value | 0x100 : value
    }

    private static func nearest(_ color: RGB, among range: Range<Int>) -> Int {
        func distance(_ index: Int) -> Int {
            guard let other = ThemeColor.indexed(UInt8(index)).nominal else { return Int.max }
            let red = Int(color.red) - Int(other.red)
            let green = Int(color.green) - Int(other.green)
            let blue = Int(color.blue) - Int(other.blue)
            // The eye sees green best and blue least.
            return 3 * red * red + 6 * green * green + blue * blue
        }
        return range.min { distance($0) < distance($1) } ?? 7
    }
}
