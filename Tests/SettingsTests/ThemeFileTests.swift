import BurstScreen
import BurstSettings
import Testing

@Suite struct ThemeFileTests {
    // MARK: Refusals

    private func refusal(_ text: String, folders: [String] = []) -> String {
        do {
            _ = try ThemeFile.theme(text, file: "t.toml", folders: folders)
            return "accepted"
        } catch {
            return error.description
        }
    }

    static let colors =
        "name it in [palette], or write #rrggbb, color0 to color255, red, bright-red and so on, or default"

    static let refusals: [(text: String, line: String)] = [
        ("[colours]\n", "t.toml:1: unknown table \"colours\"; use \"meta\", \"palette\", \"roles\" or \"glyphs\""),
        (
            "x = 1\n[meta]\n", "t.toml:1: unknown table \"x\"; use \"meta\", \"palette\", \"roles\" or \"glyphs\""
        ),
        ("meta = 3\n", "t.toml:1: meta is a whole number; it has to be a table, [meta]"),
        (
            "[meta]\n\nlicense = \"MIT\"\n",
            "t.toml:3: unknown key of [meta] \"license\"; use \"name\", \"author\", \"licence\", \"appearance\", "
                + "\"inherits\", \"contrast\" or \"version\""
        ),
        ("[meta]\nappearance = \"grey\"\n", "t.toml:2: appearance is \"grey\"; use \"dark\", \"light\" or \"any\""),
        ("[meta]\nname = 7\n", "t.toml:2: name is a whole number; it has to be a string in quotes"),
        (
            "[meta]\nname = \"../x\"\n",
            "t.toml:2: \"../x\" is no theme's name; use letters, digits, dots, dashes and underscores, at most 64"
        ),
        ("[meta]\nversion = 2\n", "t.toml:2: has version 2 of the format; this program knows version 1"),
        ("[meta]\ncontrast = 99\n", "t.toml:2: contrast is 99.0; it has to be a number from 1.0 to 21.0"),
        (
            "[palette]\na = \"#ffffff\"\nb = \"#fffff\"\n",
            "t.toml:3: \"#fffff\" is no colour; write #rrggbb, color0 to color255, red, bright-red and so on, or default"
        ),
        ("[palette]\nred = \"#ff0000\"\n", "t.toml:2: \"red\" is a colour already; choose another name"),
        ("[palette]\na = [1]\n", "t.toml:2: a is a list; it has to be a string in quotes"),
        (
            "[roles]\n\"sev.bad\" = { fg = \"red\" }\n",
            "t.toml:2: unknown role \"sev.bad\"; use \"sev\", \"sev.acked\", \"sev.crit\", \"sev.info\", \"sev.ok\" or "
                + "\"sev.warn\""
        ),
        (
            "[roles]\nsev.crit = { fg = \"red\" }\n",
            "t.toml:2: role sev.crit stands without quotes; write \"sev.crit\" = { ... }"
        ),
        (
            "[roles]\ntitle = \"red\"\n",
            "t.toml:2: role \"title\" is a string; write { fg = \"...\", bg = \"...\", attrs = [...] }"
        ),
        (
            "[roles]\ntitle = { colour = \"red\" }\n",
            "t.toml:2: unknown key of role \"title\", \"colour\"; use \"fg\", \"bg\", \"attrs\", \"c16\" or \"mono\""
        ),
        (
            "[roles]\n# a comment\ntitle = { fg = \"pink\" }\n",
            "t.toml:3: unknown colour \"pink\" in role \"title\"; " + colors
        ),
        (
            "[roles]\ntitle = { attrs = [\"blink\"] }\n",
            "t.toml:2: unknown attribute \"blink\"; use \"bold\", \"dim\", \"underline\", \"reverse\" or \"italic\""
        ),
        (
            "[roles]\ntitle = { attrs = \"bold\" }\n",
            "t.toml:2: attrs is a string; it has to be a list of strings, [\"...\"]"
        ),
        (
            "[roles]\ntitle = { c16 = { fg = \"#ff0000\" } }\n",
            "t.toml:2: c16 of role \"title\" has the colour \"#ff0000\"; use one of the sixteen names, color0 to color15, "
                + "or default"
        ),
        (
            "[roles]\ntitle = { c16 = { mono = [] } }\n",
            "t.toml:2: unknown key of c16 of role \"title\", \"mono\"; use \"fg\", \"bg\" or \"attrs\""
        ),
        (
            "[roles]\nrow = { fg = \"red\" }\n",
            "t.toml:1: a selected row looks like any other; give \"row.selected\" a bg of its own, or attrs = [\"reverse\"]"
        ),
        (
            "[glyphs]\ncut = [\"漢\", \">\"]\n",
            "t.toml:2: glyph \"cut\" is not a character with its twin; write [\"CHARACTER\", \"ASCII CHARACTER\"], each "
                + "one cell wide"
        ),
        (
            "[glyphs]\n\"sort.middle\" = [\"-\", \"-\"]\n",
            "t.toml:2: unknown glyph \"sort.middle\"; use \"sort.up\" or \"sort.down\""
        ),
        (
            "[meta]\ninherits = \"nowhere\"\n",
            "t.toml:2: inherits \"nowhere\", and there is no such theme; name a theme of \"Themes\" or of another Themes "
                + "folder"
        ),
        (
            "[meta]\nauthor = \"a\\u0000b\"\n",
            "t.toml:2: holds the escape \\u0000; leave the zero character out"
        ),
        ("[meta]\nauthor = \"a\\tb\"\n", "t.toml:2: author holds a control character; use printable characters"),
    ]

    @Test(arguments: refusals)
    func whatIsWrongIsSaidInOneLine(text: String, line: String) {
        #expect(refusal(text) == line)
    }

    @Test func theFirstOfSeveralFaultsOfATableIsTold() {
        #expect(refusal("[palette]\nz = \"bad\"\na = \"worse\"\n").hasPrefix("t.toml:2: \"bad\""))
    }

    @Test(arguments: [("[meta\n", 1), ("[meta]\nname = \n", 2), ("[meta]\n[palette]\na = \"x\"\na = \"y\"\n", 4)])
    func brokenTOMLIsToldWithItsLine(text: String, line: Int) {
        let told = refusal(text)
        #expect(told.hasPrefix("t.toml:\(line): is not TOML: "))
        #expect(told.hasSuffix("; write KEY = VALUE, strings in quotes, as TOML 1.0 has it"))
        #expect(!told.contains("\n"))
    }

    /// The library that reads TOML would end the program at some of these.
    @Test(arguments: ["[é]\n", "[[é]]\n", "a = 1\n[ .b]\n", "[=]\n", "[#]\n", "[\u{7f}]"])
    func aTableWithoutANameIsRefused(text: String) {
        let told = refusal(text)
        #expect(told.contains(": is not TOML: "), "\(told)")
        #expect(!told.contains("\n"))
    }

    /// The same of values: what the library asserts on never reaches it, and what it takes still does.
    @Test(arguments: [
        "a = [}", "a = [[}\n", "a = [1, }]", "a = { b = [} ] }", "a = [\u{2028}]", "a = [ \u{a0}1 ]", "a = ]",
        "a = [1}",
        "a = 1979-05-27T.7:32:00", "a = 1979-05-27T:", "a = 1979-05-27T:0i7nf32", "a = [1979-05-27T_7:3]",
        "a = 1979-0f--= 9 971{=-025:32", "a = 1979-05-27 x7:32", "a = 1979-05-27 07:32:00", "a = 12:30", "a = 1-2",
    ])
    func aValueThatIsNoneIsRefused(text: String) {
        let told = refusal("[meta]\n" + text)
        #expect(told.hasPrefix("t.toml:2: is not TOML as it is read here: "), "\(told)")
        #expect(!told.contains("\n"))
    }

    @Test(arguments: [
        "a = [1, [2, {b = 1}],\n  # }\n ]", "a = -1.5e-3", "a = +7", "a = 0xff", "a = 2026-11-22 # a day",
        "a = [2026-11-22 ]", "a = \"]}é 1979-05-27T:\"", "a = '''\n}'''", "a = inf", "a = {}", "a = []",
        "a = { b.c = [ ], d = \"\" }\r",
    ])
    func aValueThatIsOneReachesTheLibrary(text: String) {
        let told = refusal("[meta]\n" + text + "\n")
        #expect(!told.contains("is not TOML"), "\(told)")
    }

    /// Lines are counted through everything in which a line can end.
    @Test func linesAreRightBelowLongStringsAndLists() {
        let text = """
            [meta]   # table = "comment"
            author = \"\"\"
            one = 1 # not a key
            two\"\"\"
            [palette]
            'a' = "#010203" # b = "c"
            [roles]
            title = { attrs = ["bold"] }
            header = { attrs = [
              "bold",   # ]
              "under]line"
            ] }
            """
        let author = text.replacing("author = \"\"\"\none = 1 # not a key\ntwo\"\"\"", with: "author = '''\nx\n'''")
        #expect(refusal(author).hasPrefix("t.toml:2: author holds a control character"))
        let rest = text.replacing("two\"\"\"\n", with: "two\"\"\"\nlicence = 4\n")
        #expect(refusal(rest.replacing("author = ", with: "licence2 = ")).hasPrefix("t.toml:2: unknown key"))
        let list = text.replacing("author = \"\"\"\none = 1 # not a key\ntwo\"\"\"\n", with: "")
        #expect(refusal(list).contains(": unknown attribute \"under]line\""))
        #expect(refusal(list).hasPrefix("t.toml:6: "))
    }

    @Test func controlCharactersNeverReachTheMessage() {
        let told = refusal("[roles]\n\"a\\u001b[31m\\n\" = 1\n")
        #expect(told.hasPrefix("t.toml:1: unknown role \"a?[31m?\"; roles begin with "))
    }

    @Test func aFileThatIsTooLargeIsRefused() {
        let folder = ScratchFolder()
        let path = folder.write(String(repeating: "#", count: ThemeFile.bytesMax + 1), to: "big.toml")
        #expect(fault(path) == "\(path):1: is larger than 256 KiB; such a file is a few KiB")
        let fits = folder.write(String(repeating: "#", count: ThemeFile.bytesMax), to: "fits.toml")
        #expect(fault(fits) == nil)
    }

    @Test func whatIsNoTextFileIsRefused() {
        let folder = ScratchFolder()
        let zero = folder.write([0x23, 0x0a, 0x00], to: "zero.toml")
        #expect(fault(zero) == "\(zero):2: holds a zero byte; write plain UTF-8 text")
        let latin = folder.write([0x23, 0x0a, 0x0a, 0x23, 0xe9, 0x0a], to: "latin.toml")
        #expect(fault(latin) == "\(latin):3: is not UTF-8; write plain UTF-8 text")
        let fifo = folder.makeFIFO("fifo.toml")
        #expect(fault(fifo) == "\(fifo):1: is not a regular file; name a text file")
        #expect(fault(folder.path + "/") == "\(folder.path)/:1: is not a regular file; name a text file")
        let none = folder.path + "/none.toml"
        #expect(fault(none) == "\(none):1: there is no such file; give a theme's name, or a path")
    }

    private func fault(_ wish: String, folders: [String] = []) -> String? {
        ThemeFile.loadOrDefault(wish, folders: folders).fault?.description
    }

    // MARK: Inheritance

    @Test func aCycleIsRefusedWhereItCloses() {
        let folder = ScratchFolder()
        folder.write("[meta]\ninherits = \"b\"\n", to: "a.toml")
        let b = folder.write("[meta]\nname = \"b\"\ninherits = \"a\"\n", to: "b.toml")
        #expect(
            fault("a", folders: [folder.path])
                == "\(b):3: inherits \"a\", which leads back to itself; name a theme that does not inherit this one")
    }

    @Test func aChainThatIsTooLongIsRefused() {
        let folder = ScratchFolder()
        for number in 1...9 { folder.write("[meta]\ninherits = \"t\(number + 1)\"\n", to: "t\(number).toml") }
        folder.write("", to: "t10.toml")
        #expect(
            fault("t1", folders: [folder.path])
                == "\(folder.path)/t8.toml:2: is the 8th theme in a chain and inherits yet another; inherit fewer themes"
        )
        #expect(fault("t3", folders: [folder.path]) == nil)
    }

    @Test func aFaultInAParentIsToldAtTheParent() {
        let folder = ScratchFolder()
        folder.write("[meta]\ninherits = \"parent\"\n", to: "child.toml")
        let parent = folder.write("[roles]\n\ntitle = { fg = \"pink\" }\n", to: "parent.toml")
        #expect(fault("child", folders: [folder.path])?.hasPrefix("\(parent):3: unknown colour \"pink\"") == true)
    }

    @Test func aChildTakesPaletteRolesAndGlyphsOfItsParent() throws {
        let folder = ScratchFolder()
        folder.write(
            "[palette]\nmine = \"#010203\"\n[roles]\ntitle = { fg = \"mine\" }\n[glyphs]\ncut = [\"»\", \"}\"]\n",
            to: "parent.toml")
        folder.write("[meta]\ninherits = \"parent\"\n[roles]\nheader = { fg = \"mine\" }\n", to: "child.toml")
        let theme = try ThemeFile.load("child", folders: [folder.path])
        #expect(theme.name == "child")
        #expect(theme[.title].fg == .rgb(RGB(0x010203)))
        #expect(theme[.header].fg == .rgb(RGB(0x010203)))
        #expect(theme.text(of: .cut, ascii: true) == "}")
        #expect(theme[.severityOK] == Theme.builtInDefault[.severityOK])
    }

    // MARK: Search

    @Test func theOptionComesBeforeTheEnvironmentAndThatBeforeTheSettings() {
        var settings = Settings()
        settings.theme = "three"
        let environment = ["BURSTMON_THEME": "two"]
        #expect(ThemeFile.wish(option: "one", environment: environment, settings: settings) == "one")
        #expect(ThemeFile.wish(option: nil, environment: environment, settings: settings) == "two")
        #expect(ThemeFile.wish(option: nil, environment: ["BURSTMON_THEME": ""], settings: settings) == "three")
        #expect(ThemeFile.wish(option: nil, environment: [:], settings: Settings()) == nil)
    }

    @Test func foldersAreSearchedInTheOrderOfXDG() {
        let all = [
            "HOME": "/home/a", "XDG_CONFIG_HOME": "/c", "XDG_DATA_HOME": "/d", "XDG_DATA_DIRS": "/e:relative:/f",
        ]
        #expect(
            ThemeFile.folders(environment: all, installed: ["/opt/Themes"])
                == ["/c", "/d", "/e", "/f"].map { $0 + "/burstmon/Themes" } + ["/opt/Themes"])
        #expect(
            ThemeFile.folders(environment: ["HOME": "/home/a"], installed: [])
                == ["/home/a/.config", "/home/a/.local/share", "/usr/local/share", "/usr/share"].map {
                    $0 + "/burstmon/Themes"
                })
        #expect(
            ThemeFile.folders(environment: ["XDG_CONFIG_HOME": "relative"], installed: [])
                == ["/usr/local/share/burstmon/Themes", "/usr/share/burstmon/Themes"])
    }

    @Test func theFirstFolderThatHasAThemeWins() throws {
        let (near, far) = (ScratchFolder(), ScratchFolder())
        near.write("[meta]\nauthor = \"near\"\n", to: "mine.toml")
        far.write("[meta]\nauthor = \"far\"\n", to: "mine.toml")
        far.write("[meta]\nauthor = \"far\"\n", to: "theirs.toml")
        let folders = ["/nowhere/at/all", near.path, far.path]
        #expect(try ThemeFile.load("mine", folders: folders).author == "near")
        #expect(try ThemeFile.load("theirs", folders: folders).author == "far")
        #expect(try ThemeFile.load(far.path + "/mine.toml", folders: folders).author == "far")
        #expect(
            ThemeFile.list(folders: folders) == [
                .init(name: "default", path: nil), .init(name: "mine", path: near.path + "/mine.toml"),
                .init(name: "theirs", path: far.path + "/theirs.toml"),
            ])
    }

    @Test func theParentsOfAThemeGivenByPathMayLieBesideIt() throws {
        let folder = ScratchFolder()
        folder.write("[meta]\nlicence = \"l\"\n[roles]\ntitle = { fg = \"red\" }\n", to: "parent.toml")
        let path = folder.write("[meta]\ninherits = \"parent\"\n", to: "child.toml")
        #expect(try ThemeFile.load(path, folders: [])[.title].fg == .indexed(1))
    }

    @Test func withoutAnyFolderThereIsTheDefault() throws {
        #expect(try ThemeFile.load(nil, folders: []) == .builtInDefault)
        #expect(try ThemeFile.load("default", folders: ["/nowhere"]) == .builtInDefault)
        #expect(try ThemeFile.theme("[meta]\ninherits = \"default\"\n", file: "x.toml", folders: []).name == "x")
    }

    @Test func aBrokenThemeNeverStopsTheStart() {
        let opened = ThemeFile.loadOrDefault("nosuch", folders: [])
        #expect(opened.theme == .builtInDefault)
        #expect(opened.fault?.description == "nosuch:1: there is no such theme; use \"default\"")
    }

    @Test(arguments: ["", ".hidden", "a b", "ü", "a\u{1b}b"]) func oddNamesAreRefused(name: String) {
        #expect(fault(name)?.contains("is no theme's name; a name has letters, digits") == true)
    }

    // MARK: base16

    private static let scheme = """
        scheme: "Tomorrow Night"
        author: "Chris Kempson (http://chriskempson.com)"   # a comment
        palette:
          base00: "1d1f21"
          base01: '282a2e'
          base02: 373b41
          base03: "#969896"
          base04: "b4b7b4"
          base05: "c5c8c6" # text
          base06: "e0e0e0"
          base07: "ffffff"
          base08: "cc6666"
          base09: "de935f"
          base0A: "f0c674"
          base0B: "b5bd68"
          base0C: "8abeb7"
          base0D: "81a2be"
          base0E: "b294bb"
          base0F: "a3685a"
        """

    @Test func aBase16SchemeBecomesAThemeWithItsColors() throws {
        let text = try ThemeFile.text(fromBase16: Self.scheme)
        let theme = try ThemeFile.theme(text, file: "converted.toml", folders: [])
        #expect(theme.name == "tomorrow-night")
        #expect(theme.author == "Chris Kempson (http://chriskempson.com)")
        #expect(theme.appearance == .dark)
        #expect(theme[.text].bg == .rgb(RGB(0x1d1f21)))
        #expect(theme[.text].fg == .rgb(RGB(0xc5c8c6)))
        #expect(theme[.severityWarn].fg == .rgb(RGB(0xde935f)))
        #expect(theme[.bufferStagingIn].fg == .rgb(RGB(0x81a2be)))
        #expect(text.contains("# from #cc6666\n"), "red is too dark on the lighter background")
        for role in Role.allCases where !ThemeLint.shapes.contains(role) {
            let look = theme.look(for: Style(role), depth: .trueColor)
            #expect(theme.contrast(look.fg, on: look.bg) >= 4.5, "\(role.rawValue)")
        }
    }

    @Test func theSameSchemeAsTOMLGivesTheSameTheme() throws {
        let toml = Self.scheme.split(separator: "\n").filter { $0 != "palette:" }
            .map { $0.replacing(": ", with: " = ", maxReplacements: 1) }.joined(separator: "\n")
        #expect(toml.contains("base02 = 373b41"))
        #expect(try ThemeFile.text(fromBase16: toml) == ThemeFile.text(fromBase16: Self.scheme))
    }

    @Test func aLightSchemeIsCalledLight() throws {
        let light = Self.scheme.replacing("1d1f21", with: "ffffff").replacing("282a2e", with: "eeeeee")
            .replacing("c5c8c6", with: "202020")
        let text = try ThemeFile.text(fromBase16: light)
        #expect(text.contains("appearance = \"light\""))
        #expect(try ThemeFile.theme(text, file: "l.toml", folders: []).appearance == .light)
    }

    @Test func aSchemeWithAMissingOrBadColorIsRefused() {
        #expect(throws: FileFault(file: "base16", line: 1, wrong: "base0F is missing", right: "give base00 to base0F"))
        {
            try ThemeFile.text(fromBase16: Self.scheme.replacing("base0F", with: "base1F"))
        }
        let bad = FileFault(file: "s.yaml", line: 4, wrong: "\"1d1f2\" is no colour", right: "write six hex digits")
        #expect(throws: bad) {
            try ThemeFile.text(fromBase16: Self.scheme.replacing("1d1f21", with: "1d1f2"), file: "s.yaml")
        }
    }
}
