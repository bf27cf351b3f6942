import BurstScreen
import Testing

@Suite struct ThemeTests {
    private func theme(_ chain: ThemeSource...) throws -> Theme { try Theme(chain: chain) }

    private func source(
        _ entries: [String: ThemeSource.Entry], appearance: Theme.Appearance? = nil,
        palette: [String: ThemeColor] = [:]
    ) -> ThemeSource {
        ThemeSource(name: "t", appearance: appearance, palette: palette, entries: entries)
    }

    private func fg(_ theme: Theme, _ role: Role) -> ThemeColor {
        theme.look(for: Style(role), depth: .trueColor).fg
    }

    // MARK: Inheritance

    @Test func theBuiltInDefaultKeepsTheTerminalsBackgroundEverywhere() {
        for role in Role.allCases {
            for depth in ColorDepth.allCases {
                #expect(Theme.builtInDefault.look(for: Style(role), depth: depth).bg == .terminalDefault)
            }
        }
    }

    @Test func theBuiltInDefaultNamesEveryRoleWithItsMonoAttributes() {
        for role in Role.allCases {
            #expect(ThemeSource.builtInDefault.entries[role.rawValue]?.mono != nil, "\(role.rawValue)")
        }
        #expect(ThemeSource.builtInDefault.entries.count == Role.allCases.count)
    }

    @Test func aFamilySpeaksForTheRolesThatItsFileDoesNotName() throws {
        let theme = try theme(source(["bb": .init(fg: "blue"), "bb.running": .init(fg: "green")]))
        #expect(fg(theme, .bufferStagingIn) == .indexed(4))
        #expect(fg(theme, .bufferRunning) == .indexed(2))
        #expect(fg(theme, .poolUsed) == fg(.builtInDefault, .poolUsed))
    }

    @Test func aFamilyIsStrongerThanWhatAParentSaysOfItsRoles() throws {
        let parent = source(["bb.running": .init(fg: "green")])
        let theme = try theme(source(["bb": .init(fg: "blue")]), parent)
        #expect(fg(theme, .bufferRunning) == .indexed(4))
    }

    @Test func aShorterRoleStandsInOnlyWhereNoParentKnowsTheLongerOne() throws {
        let child = source(["text": .init(fg: "white")])
        #expect(fg(try theme(child), .textError) == .indexed(7))
        #expect(fg(try theme(child, source(["text.error": .init(fg: "red")])), .textError) == .indexed(1))
    }

    @Test func aPaletteRecolorsWhatIsInherited() throws {
        let child = source([:], palette: ["rose": .indexed(5)])
        #expect(fg(try theme(child), .severityCrit) == .indexed(5))
        #expect(fg(try theme(child), .severityOK) == fg(.builtInDefault, .severityOK))
    }

    @Test func aSelectedRowThatCannotBeSeenIsRefused() {
        #expect(throws: ThemeSourceFault.selectionUnseen) {
            try Theme(chain: [source(["row": .init(fg: "white")])])
        }
    }

    @Test func unknownColorsAreRefusedEvenInEntriesThatAreHidden() {
        let parent = source(["title": .init(fg: "pink")])
        #expect(throws: ThemeSourceFault.unknownColor(source: 1, entry: "title", color: "pink")) {
            try Theme(chain: [source(["title": .init(fg: "red")]), parent])
        }
        #expect(throws: ThemeSourceFault.notOnSixteenColors(source: 0, entry: "title", color: "color16")) {
            try Theme(chain: [source(["title": .init(sixteen: .init(fg: "color16"))])])
        }
    }

    // MARK: Overlays

    @Test func anOverlayGivesBackgroundAndAttributesAndLeavesTheColor() throws {
        let theme = try theme(
            source(
                [
                    "text": .init(fg: "#ffffff", bg: "#000000"), "bb.staging-in": .init(fg: "#80b0ff"),
                    "row.selected": .init(bg: "#202830", attributes: [.bold]),
                ], appearance: .dark))
        let look = theme.look(for: Style(.bufferStagingIn, over: .rowSelected), depth: .trueColor)
        #expect(look == Look(fg: .rgb(RGB(0x80b0ff)), bg: .rgb(RGB(0x202830)), attributes: [.bold]))
    }

    @Test func anOverlayWithAColorOfItsOwnGivesThat() {
        let look = Theme.builtInDefault.look(for: Style(.bufferStagingIn, over: .rowSelected), depth: .trueColor)
        #expect(look == Look(fg: .terminalDefault, bg: .terminalDefault, attributes: [.reverse]))
    }

    @Test func aColorThatAnOverlayWouldHideMovesUntilItCanBeRead() throws {
        let theme = try theme(
            source(
                [
                    "text": .init(fg: "#ffffff", bg: "#000000"), "bb.staging-in": .init(fg: "#4080e0"),
                    "row.selected": .init(bg: "#3060c0"),
                ], appearance: .dark))
        for depth in [ColorDepth.trueColor, .indexed256] {
            let look = theme.look(for: Style(.bufferStagingIn, over: .rowSelected), depth: depth)
            #expect(theme.contrast(look.fg, on: look.bg) >= 4.5)
        }
    }

    @Test func dimDoesNotReachASelectedRow() {
        let style = Style(.bufferTeardown, over: .rowSelected)
        #expect(Theme.builtInDefault.look(for: style, depth: .mono).attributes == [.reverse])
        #expect(Theme.builtInDefault.look(for: Style(.bufferTeardown), depth: .mono).attributes == [.dim])
    }

    // MARK: Depths

    @Test func colorsGoDownToTheNearestInEachPalette() throws {
        let theme = try theme(
            source(
                [
                    "text": .init(fg: "#eeeeee", bg: "#000000"), "title": .init(fg: "#ff8700"),
                    "header": .init(fg: "#00ff00"),
                ], appearance: .dark))
        #expect(theme.look(for: Style(.title), depth: .trueColor).fg == .rgb(RGB(0xff8700)))
        #expect(theme.look(for: Style(.title), depth: .indexed256).fg == .indexed(208))
        #expect(theme.look(for: Style(.header), depth: .sixteen).fg == .indexed(10))
        #expect(theme.look(for: Style(.header), depth: .sixteen).bg == .indexed(0))
    }

    @Test func boldStandsForTheBrightHalfOfEightColors() throws {
        let theme = try theme(source(["text": .init(bg: "black"), "title": .init(fg: "bright-green")]))
        let look = theme.look(for: Style(.title), depth: .eight)
        #expect(look == Look(fg: .indexed(2), bg: .indexed(0), attributes: [.bold]))
    }

    @Test func brightBlackIsNeverBoldBlack() throws {
        let look = try theme(source(["text.dim": .init(fg: "bright-black")]))
            .look(for: Style(.textDim), depth: .eight)
        #expect(look == Look(fg: .terminalDefault, bg: .terminalDefault, attributes: [.dim]))
    }

    @Test func theOverrideForFewColorsIsTakenAsItIs() throws {
        let entry = ThemeSource.Entry(
            fg: "#123456", attributes: [.bold], sixteen: .init(fg: "bright-cyan", attributes: [.underline]))
        let theme = try theme(source(["title": entry]))
        #expect(theme.look(for: Style(.title), depth: .sixteen).fg == .indexed(14))
        #expect(theme.look(for: Style(.title), depth: .sixteen).attributes == [.underline])
        #expect(theme.look(for: Style(.title), depth: .trueColor).fg == .rgb(RGB(0x123456)))
    }

    /// A dark theme that sets its own background on a terminal whose ink may be black.
    @Test func theTerminalsInkIsNotTrustedOnAThemesBackground() throws {
        let theme = try theme(source(["text": .init(fg: "default", bg: "#000000")], appearance: .dark))
        for depth in [ColorDepth.trueColor, .indexed256, .sixteen, .eight] {
            let look = theme.look(for: Style(.text), depth: depth)
            #expect(look.fg != .terminalDefault)
            #expect(theme.contrast(look.fg, on: look.bg) >= 3)
        }
    }

    @Test func withoutColorsThereAreOnlyAttributes() throws {
        let loud = try theme(
            source(["sev.crit": .init(fg: "red", bg: "yellow", attributes: [.italic], mono: [.underline])]))
        let look = loud.look(for: Style(.severityCrit), depth: .mono)
        #expect(look == Look(fg: .terminalDefault, bg: .terminalDefault, attributes: [.underline]))
        let silent = try theme(source(["sev.crit": .init(fg: "red", attributes: [.italic])]))
        #expect(
            silent.look(for: Style(.severityCrit), depth: .mono)
                == Theme.builtInDefault.look(for: Style(.severityCrit), depth: .mono))
    }

    // MARK: Glyphs

    @Test func glyphsTakeOneCellAndHaveATwinInASCII() {
        for glyph in Glyph.allCases {
            #expect(CharacterWidth.cells(of: Theme.builtInDefault.text(of: glyph, ascii: false)) == 1)
            let twin = Theme.builtInDefault.text(of: glyph, ascii: true)
            #expect(twin.utf8.count == 1 && twin.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7f })
        }
        #expect(GlyphText("漢", ascii: "k") == nil)
        #expect(GlyphText("ab", ascii: "k") == nil)
        #expect(GlyphText("\u{1b}", ascii: "k") == nil)
        #expect(GlyphText("a", ascii: "é") == nil)
    }

    /// Classes and levels must not share a twin, since in ASCII the twin is all there is.
    @Test func theTwinsOfClassesAndLevelsDiffer() {
        let classes: [Glyph] = [.classWaiting, .classIn, .classUse, .classOut, .classEnding, .classBroken]
        for set in [classes, Glyph.sparkLevels, [.barUsed, .barDrained, .barFree, .barReserved, .barOver]] {
            #expect(Set(set.map { Theme.builtInDefault.text(of: $0, ascii: true) }).count == set.count)
            #expect(Set(set.map { Theme.builtInDefault.text(of: $0, ascii: false) }).count == set.count)
        }
    }
}
