extension Theme {
    /// What nominal values of the user's own sixteen colours can promise: the ratio WCAG asks of large text.
    private static let contrastOnSixteenColors = 3.0

    /// How much of the contrast must be left when a colour that reads on black and on white alike is taken down to 256:
    /// only six of those have 4.5:1 on both, and no red among them. The user has but one of the two backgrounds.
    package static let contrastKeptOnAnyBackground = 0.9

    /// How a style is shown on a terminal of a depth.
    ///
    /// The role gives foreground, background and attributes. An overlay (a selected row) gives its background and its
    /// attributes where it sets them, and its foreground where it sets one; the role's bold, underline and italic stay,
    /// its dim does not, since dim text on a bar can seldom be read. Its bold does not either where its colour does
    /// not: a bar of one ink is sent in one piece.
    ///
    /// Colours are taken down to the depth: a `c16` override as it is given, anything else the nearest in OKLab.
    /// Where colours were mixed or taken down, the contrast is looked at again, and the foreground moves until it is no
    /// worse than the author's, or `contrastMin`, whichever is less. Colours that a theme sets together and that the
    /// terminal has are never touched. The terminal's own ink is kept on its own paper only: on a background that the
    /// theme lays below it, it becomes white or black.
    ///
    /// Without colours a role has its `mono` attributes, or those of the built-in default: its other attributes do
    /// not count there, since they were chosen to go with colours.
    ///
    /// A look costs some microseconds. The terminal keeps those it has asked for, until theme or depth change.
    package func look(for style: Style, depth: ColorDepth) -> Look {
        switch depth {
        case .mono:
            let overlay = style.overlay.map(monoAttributes) ?? []
            return Look(
                fg: .terminalDefault, bg: .terminalDefault,
                attributes: Self.lay(overlay, over: monoAttributes(of: style.role)))
        case .trueColor: return composed(style, few: false)
        case .indexed256: return sampled(composed(style, few: false), for: style, to: 16...255)
        case .sixteen: return sampled(composed(style, few: true), for: style, to: 0...15)
        case .eight: return folded(sampled(composed(style, few: true), for: style, to: 0...15))
        }
    }

    private func monoAttributes(of role: Role) -> TextAttributes {
        self[role].mono ?? ThemeSource.builtInDefault.entries[role.rawValue]?.mono ?? []
    }

    private static func lay(_ overlay: TextAttributes, over below: TextAttributes) -> TextAttributes {
        overlay.isEmpty ? below : overlay.union(below.subtracting(.dim))
    }

    /// The parts of an entry, with its override for few colours where that is asked for.
    private func parts(_ role: Role, few: Bool) -> (fg: ThemeColor?, bg: ThemeColor?, attributes: TextAttributes?) {
        let entry = self[role]
        guard few, let sixteen = entry.sixteen else { return (entry.fg, entry.bg, entry.attributes) }
        return (sixteen.fg ?? entry.fg, sixteen.bg ?? entry.bg, sixteen.attributes ?? entry.attributes)
    }

    /// Role and overlay put together, in the theme's own colours; readable, if both were.
    private func composed(_ style: Style, few: Bool) -> Look {
        let ground = parts(.text, few: few)
        let role = parts(style.role, few: few)
        var look = Look(
            fg: role.fg ?? ground.fg ?? .terminalDefault, bg: role.bg ?? ground.bg ?? .terminalDefault,
            attributes: role.attributes ?? [])
        guard let overlayRole = style.overlay else {
            // The terminal's own ink may be as dark as the background that the theme lays below it.
            if !few, look.fg == .terminalDefault {
                look.fg = shifted(look.fg, on: look.bg, atLeast: contrastAsked(of: style))
            }
            return look
        }
        let overlay = parts(overlayRole, few: few)
        let alone = look
        look.fg = overlay.fg ?? look.fg
        look.bg = overlay.bg ?? look.bg
        let below = overlay.fg == nil ? look.attributes : look.attributes.subtracting(.bold)
        look.attributes = Self.lay(overlay.attributes ?? [], over: below)
        if !few, look.fg != alone.fg || look.bg != alone.bg {
            look.fg = shifted(look.fg, on: look.bg, atLeast: contrastAsked(of: style))
        }
        return look
    }

    /// The contrast that a style must keep: the author's, but no more than the theme promises.
    private func contrastAsked(of style: Style) -> Double {
        func own(_ role: Role) -> Double {
            let fg = self[role].fg ?? self[.text].fg ?? .terminalDefault
            // Nobody chose the terminal's own ink for its contrast; it is plain text, and has to be readable.
            if fg == .terminalDefault { return contrastMin }
            return contrast(fg, on: self[role].bg ?? self[.text].bg ?? .terminalDefault)
        }
        if let overlay = style.overlay, self[overlay].fg != nil { return min(contrastMin, own(overlay)) }
        return min(contrastMin, own(style.role))
    }

    /// The contrast of two colours. Of the terminal's own colours is known only what the appearance says; where a theme
    /// lays its own background below the terminal's own foreground not even that. The worst case counts.
    package func contrast(_ fg: ThemeColor, on bg: ThemeColor) -> Double {
        let (black, white) = (RGB(0x000000), RGB(0xffffff))
        switch (fg.nominal, bg.nominal) {
        case (nil, nil): return Contrast.ratio(black, white)
        case (let fg?, let bg?): return Contrast.ratio(fg, bg)
        case (nil, let bg?): return min(Contrast.ratio(black, bg), Contrast.ratio(white, bg))
        case (let fg?, nil):
            switch appearance {
            case .dark: return Contrast.ratio(fg, black)
            case .light: return Contrast.ratio(fg, white)
            case .any: return min(Contrast.ratio(fg, black), Contrast.ratio(fg, white))
            }
        }
    }

    /// The colour, or the nearest on the way from it to white or black that has the contrast.
    private func shifted(_ fg: ThemeColor, on bg: ThemeColor, atLeast asked: Double) -> ThemeColor {
        if contrast(fg, on: bg) >= asked { return fg }
        let ends = [RGB(0xffffff), RGB(0x000000)].sorted { contrast(.rgb($0), on: bg) > contrast(.rgb($1), on: bg) }
        guard let start = fg.nominal else { return .rgb(ends[0]) }
        for step in 1...Self.shiftSteps {
            for end in ends {
                let share = Double(step) / Double(Self.shiftSteps)
                let moved = ThemeColor.rgb(OKLab(start).mixed(with: OKLab(end), share).linear.encoded)
                if contrast(moved, on: bg) >= asked { return moved }
            }
        }
        return .rgb(ends[0])
    }
    private static let shiftSteps = 32

    /// Colours taken down to those of a palette, the foreground so that it can be read.
    private func sampled(_ look: Look, for style: Style, to indexes: ClosedRange<Int>) -> Look {
        var result = look
        result.bg = nearest(to: look.bg, in: indexes)
        result.fg = nearest(to: look.fg, in: indexes)
        let few = indexes.upperBound < 16
        let untouched = style.overlay == nil && result.fg == look.fg && result.bg == look.bg
        // On few colours even an untouched foreground may lie on a background of whose partner nothing is known: the
        // terminal's own ink, or an override that was written for the terminal's own paper.
        if untouched && !(few && result.bg != .terminalDefault) { return result }
        // The user's own sixteen colours on the user's own background: nothing is known, and nearly all is well.
        if few && result.bg == .terminalDefault { return result }
        var asked = min(contrastAsked(of: style), few ? Self.contrastOnSixteenColors : contrastMin)
        if appearance == .any, result.bg == .terminalDefault { asked *= Self.contrastKeptOnAnyBackground }
        if contrast(result.fg, on: result.bg) >= asked { return result }
        let wanted = look.fg.nominal.map { OKLab($0) }
        var best: (index: Int, rank: Double)?
        for index in indexes {
            let ratio = contrast(.indexed(UInt8(index)), on: result.bg)
            // Those that can be read come first, the nearest of them foremost; else the one that reads best.
            let distance = wanted.map { XtermPalette.labs[index].distance(to: $0) } ?? 1 / ratio
            let rank = ratio >= asked ? distance : 1000 - ratio
            if best.map({ rank < $0.rank }) ?? true { best = (index, rank) }
        }
        if let best { result.fg = .indexed(UInt8(best.index)) }
        return result
    }

    private func nearest(to color: ThemeColor, in indexes: ClosedRange<Int>) -> ThemeColor {
        switch color {
        case .terminalDefault: return color
        case .indexed(let index) where index <= indexes.upperBound: return color
        case .indexed, .rgb: break
        }
        guard let rgb = color.nominal else { return color }
        let wanted = OKLab(rgb)
        let found = indexes.min {
            XtermPalette.labs[$0].distance(to: wanted) < XtermPalette.labs[$1].distance(to: wanted)
        }
        return .indexed(UInt8(found ?? indexes.lowerBound))
    }

    /// Eight colours: bold stands for the bright half. Bold black cannot be seen on many of these terminals, so bright
    /// black is dim text in white or in the terminal's own colour.
    private func folded(_ look: Look) -> Look {
        var result = look
        if case .indexed(let index) = look.bg, index >= 8 { result.bg = .indexed(index == 8 ? 0 : index - 8) }
        if case .indexed(let index) = look.fg, index >= 8 {
            if index == 8 {
                result.fg = result.bg == .terminalDefault ? .terminalDefault : .indexed(7)
                result.attributes.insert(.dim)
            } else {
                result.fg = .indexed(index - 8)
                result.attributes.insert(.bold)
            }
        }
        if result.fg == result.bg, result.fg != .terminalDefault {
            result.fg = result.bg == .indexed(7) ? .indexed(0) : .indexed(7)
        }
        return result
    }
}
