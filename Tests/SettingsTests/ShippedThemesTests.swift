import BurstScreen
import BurstSettings
import Testing

/// What every file in Themes keeps to (monitor.md §3.9, A22).
@Suite struct ShippedThemesTests {
    static let names = [
        "ansi16", "default", "deuteranopia", "gruvbox-dark", "high-contrast", "light", "mono", "nord", "protanopia",
        "solarized-dark", "solarized-light", "tritanopia",
    ]

    /// Tests/SettingsTests/<this file>, three steps below the top.
    static let folder: String = {
        let parts = #filePath.split(separator: "/", omittingEmptySubsequences: false)
        return parts.dropLast(3).joined(separator: "/") + "/Themes"
    }()

    private func theme(_ name: String) throws -> Theme { try ThemeFile.load(name, folders: [Self.folder]) }

    @Test func theFolderHoldsTheTwelve() {
        #expect(ThemeFile.list(folders: [Self.folder]).map(\.name) == Self.names)
        #expect(ThemeFile.list(folders: [Self.folder]).allSatisfy { $0.path != nil })
    }

    @Test(arguments: names) func everyThemeLoadsUnderItsName(name: String) throws {
        let theme = try theme(name)
        #expect(theme.name == name)
        #expect(!theme.author.isEmpty && !theme.licence.isEmpty)
    }

    @Test func theBuiltInDefaultIsTheFile() throws {
        let path = Self.folder + "/default.toml"
        #expect(try theme("default") == Theme.builtInDefault)
        #expect(try ThemeFile.source(ReadFile.text(path), file: path) == ThemeSource.builtInDefault)
    }

    @Test(arguments: names) func everyThemeOpensWithACommentOnWhatItIs(name: String) throws {
        #expect(try ReadFile.text(Self.folder + "/\(name).toml").hasPrefix("# \(name): "))
    }

    @Test(arguments: names) func contrastAndDistancesAreThoseOfTheLint(name: String) throws {
        let findings = ThemeLint.findings(try theme(name))
        #expect(findings.isEmpty, "\(findings.joined(separator: "; "))")
    }

    @Test func highContrastPromisesSeven() throws {
        #expect(try theme("high-contrast").contrastMin == 7)
        for name in Self.names { #expect(try theme(name).contrastMin >= 4.5) }
    }

    /// Also on bars of selected and tagged rows, and after going down to 256 colours.
    @Test(arguments: names) func textStaysReadableUnderOverlaysAndIn256Colors(name: String) throws {
        let theme = try theme(name)
        let overlays: [Role?] = [nil, .rowAlternate, .rowSelected, .rowTagged, .rowChanged, .match, .matchCurrent]
        for role in Role.allCases where !ThemeLint.shapes.contains(role) {
            for overlay in overlays {
                for depth in [ColorDepth.trueColor, .indexed256] {
                    let look = theme.look(for: Style(role, over: overlay), depth: depth)
                    if look.fg.isOnSixteenColorTerminals && look.bg.isOnSixteenColorTerminals { continue }
                    let ratio = theme.contrast(look.fg, on: look.bg)
                    let isOnAny = depth == .indexed256 && theme.appearance == .any && look.bg == .terminalDefault
                    let asked = theme.contrastMin * (isOnAny ? Theme.contrastKeptOnAnyBackground : 1)
                    #expect(ratio >= asked, "\(role.rawValue) over \(overlay?.rawValue ?? "-") \(depth)")
                }
            }
        }
    }

    @Test(arguments: names) func rowsOfEveryStateShowThatTheyAreSelected(name: String) throws {
        let theme = try theme(name)
        for states in ThemeLint.stateClasses {
            for role in states {
                for depth in ColorDepth.allCases {
                    let plain = theme.look(for: Style(role), depth: depth)
                    let selected = theme.look(for: Style(role, over: .rowSelected), depth: depth)
                    #expect(
                        plain.bg != selected.bg || selected.attributes.contains(.reverse),
                        "\(role.rawValue) in \(depth)")
                }
            }
        }
    }

    /// The floor of the lint counts attributes; these themes promise that colour alone suffices, with room to spare.
    static let colorAloneMin = 0.09

    @Test(arguments: [
        ("deuteranopia", Sight.deuteranopia), ("protanopia", .protanopia), ("tritanopia", .tritanopia),
    ])
    func theThemesForOneKindOfEyesNeedNoAttributesThere(name: String, sight: Sight) throws {
        let theme = try theme(name)
        for (one, other) in ThemeLint.pairs {
            let looks = [one, other].map { theme.look(for: Style($0), depth: .trueColor) }
            for sight in [sight, .normal] {
                let distance = ThemeLint.colorDistance(looks[0], looks[1], to: sight)
                #expect(distance >= Self.colorAloneMin, "\(one.rawValue), \(other.rawValue) to \(sight)")
            }
        }
    }

    @Test func inTheDefaultColorAloneTellsStatesAndSeveritiesApartToAllEyes() throws {
        let theme = try theme("default")
        for (one, other) in ThemeLint.pairs {
            let looks = [one, other].map { theme.look(for: Style($0), depth: .trueColor) }
            for sight in Sight.allCases {
                let distance = ThemeLint.colorDistance(looks[0], looks[1], to: sight)
                #expect(distance >= ThemeLint.distanceMin, "\(one.rawValue), \(other.rawValue) to \(sight)")
            }
        }
    }

    @Test(arguments: names) func severitiesDifferOnEveryTerminal(name: String) throws {
        let theme = try theme(name)
        for depth in ColorDepth.allCases {
            let looks = Set(ThemeLint.severities.map { theme.look(for: Style($0), depth: depth) })
            #expect(looks.count == ThemeLint.severities.count, "\(depth)")
        }
    }

    @Test(arguments: names) func theSixClassesDifferOnEveryTerminal(name: String) throws {
        let theme = try theme(name)
        for depth in ColorDepth.allCases {
            let looks = Set(ThemeLint.stateClasses.map { theme.look(for: Style($0[0]), depth: depth) })
            #expect(looks.count == ThemeLint.stateClasses.count, "\(depth)")
        }
    }

    /// Cut or with one byte changed, a file is a theme or is refused with one line; nothing else happens.
    @Test func damagedFilesAreReadOrRefusedInOneLine() throws {
        let bytes = Array(try ReadFile.text(Self.folder + "/default.toml").utf8)
        let folder = ScratchFolder()
        var refused = 0
        for place in stride(from: 0, to: bytes.count, by: 41) {
            var changed = bytes
            changed[place] = [UInt8(ascii: "\""), UInt8(ascii: "["), 0x0a, 0xff, UInt8(ascii: "}")][place % 5]
            for damaged in [Array(bytes[..<place]), changed] {
                let path = folder.write(damaged, to: "damaged.toml")
                guard let fault = ThemeFile.loadOrDefault(path, folders: []).fault else { continue }
                refused += 1
                #expect(fault.description.hasPrefix("\(path):\(fault.line): "))
                #expect((1...(damaged.count { $0 == 0x0a } + 2)).contains(fault.line))
                #expect(!fault.description.contains("\n"))
            }
        }
        #expect(refused > 100)
    }

    @Test func ansi16HasOnlyTheUsersOwnColors() throws {
        let theme = try theme("ansi16")
        for role in Role.allCases {
            let look = theme.look(for: Style(role), depth: .trueColor)
            #expect(look.fg.isOnSixteenColorTerminals && look.bg.isOnSixteenColorTerminals, "\(role.rawValue)")
        }
    }

    @Test func monoHasNoColorOnAnyTerminal() throws {
        let theme = try theme("mono")
        for role in Role.allCases {
            for depth in ColorDepth.allCases {
                let look = theme.look(for: Style(role), depth: depth)
                #expect(look.fg == .terminalDefault && look.bg == .terminalDefault, "\(role.rawValue) in \(depth)")
                #expect(look.attributes == theme.look(for: Style(role), depth: .mono).attributes, "\(role.rawValue)")
            }
        }
    }
}
