/// What the user asked for with `--color` or `color =` in the settings; the raw values are the words there.
package enum ColorOption: String, CaseIterable, Hashable, Sendable {
    case automatic = "auto"
    case never = "never"
    case sixteen = "16"
    case indexed256 = "256"
    case trueColor = "truecolor"
}

/// How many colours may be used.
package enum ColorDepth: CaseIterable, Hashable, Sendable {
    /// Attributes only.
    case mono
    /// Colours 0 to 7; bold stands for the bright half.
    case eight
    case sixteen
    case indexed256
    case trueColor

    /// Terminals that take colours directly say so by their number of colours: 2^24, a few 2^15.
    package static let directColorsMin = 1 << 15

    /// Decides the depth; the first rule that says something wins (monitor.md §3.9): the option, NO_COLOR set and not
    /// empty, no terminal, a terminal without colours, direct colour, 256, 16, 8.
    ///
    /// - Parameters:
    ///   - environment: NO_COLOR and COLORTERM are looked at.
    ///   - terminalColors: what terminfo says (`max_colors`, ncurses' COLORS); 0 or less for none.
    ///   - canDefineColors: whether the caller can make any RGB colour on a terminal of 256 colours. Without that,
    ///     COLORTERM=truecolor is of no use, since ncurses has no way to say such a colour there.
    package static func choose(
        option: ColorOption, environment: [String: String], terminalColors: Int, isTerminal: Bool,
        canDefineColors: Bool = false
    ) -> ColorDepth {
        switch option {
        case .never: return .mono
        case .sixteen: return .sixteen
        case .indexed256: return .indexed256
        case .trueColor: return .trueColor
        case .automatic: break
        }
        if let wish = environment["NO_COLOR"], !wish.isEmpty { return .mono }
        if !isTerminal || terminalColors < 8 { return .mono }
        if terminalColors >= directColorsMin { return .trueColor }
        let promised = environment["COLORTERM"]
        if canDefineColors, promised == "truecolor" || promised == "24bit" { return .trueColor }
        if terminalColors >= 256 { return .indexed256 }
        return terminalColors >= 16 ? .sixteen : .eight
    }
}
