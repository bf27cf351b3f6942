package import BurstScreen

/// Finds and reads theme files (monitor.md §3.9).
///
/// A file is TOML with four tables: `[meta]` (name, author, licence, appearance, inherits, contrast, version),
/// `[palette]` (a name for a colour), `[roles]` (a role, or a family of roles, to `fg`, `bg`, `attrs`, `c16`, `mono`)
/// and `[glyphs]` (a glyph to its character and its ASCII twin). Names with a dot stand in quotes. Anything unknown is
/// refused with file and line. What a role inherits from whom is said at `Theme.init(chain:)`.
package enum ThemeFile {
    /// Larger files are refused.
    package static let bytesMax = TextFile.bytesMax
    /// The longest chain of themes that inherit one another.
    package static let chainMax = 8
    /// How many files of a folder are looked at for the list of themes.
    package static let folderEntriesMax = 1000
    /// The only version of the format so far.
    package static let version = 1

    /// A theme that can be chosen.
    package struct Listing: Hashable, Sendable {
        /// What `--theme` takes.
        package var name: String
        /// Nil for the one built in.
        package var path: String?

        package init(name: String, path: String?) {
            self.name = name
            self.path = path
        }
    }

    /// Which theme is asked for: `--theme`, then BURSTMON_THEME, then the settings; nil where nobody asks. An empty
    /// word asks for nothing.
    package static func wish(option: String?, environment: [String: String], settings: Settings) -> String? {
        [option, environment["BURSTMON_THEME"], settings.theme].lazy.compactMap { $0 }.first { !$0.isEmpty }
    }

    /// The folders of themes, in the order in which they are searched: below XDG_CONFIG_HOME, XDG_DATA_HOME and each of
    /// XDG_DATA_DIRS, with the defaults of the XDG Base Directory Specification, then those installed.
    package static func folders(environment: [String: String], installed: [String]) -> [String] {
        let data = XDG.directories("XDG_DATA_DIRS", environment) ?? ["/usr/local/share", "/usr/share"]
        let bases =
            [
                XDG.home("XDG_CONFIG_HOME", under: ".config", environment),
                XDG.home("XDG_DATA_HOME", under: ".local/share", environment),
            ].compactMap { $0 } + data
        return bases.map { $0 + "/burstmon/Themes" } + installed
    }

    /// The themes that can be chosen, by name; of two with one name that which `load` would take.
    package static func list(folders: [String]) -> [Listing] {
        var found: [String: Listing] = [:]
        for folder in folders {
            for entry in TextFile.names(in: folder, countMax: folderEntriesMax) where entry.hasSuffix(".toml") {
                let name = String(entry.dropLast(5))
                if isName(name), found[name] == nil {
                    found[name] = Listing(name: name, path: folder + "/" + entry)
                }
            }
        }
        if found[builtInName] == nil { found[builtInName] = Listing(name: builtInName, path: nil) }
        return found.values.sorted { $0.name < $1.name }
    }

    /// Reads a theme by its name, or by its path if there is a slash or `.toml` in it; nil is `default`.
    ///
    /// The parents of a theme given by path are also looked for beside it.
    /// - Throws: the first thing that is wrong, in the theme or in a parent.
    package static func load(_ nameOrPath: String?, folders: [String]) throws(FileFault) -> Theme {
        let wanted = nameOrPath ?? builtInName
        if wanted.contains("/") || wanted.hasSuffix(".toml") {
            switch TextFile.read(wanted) {
            case .text(let text): return try theme(text, file: wanted, folders: [folder(of: wanted)] + folders)
            case .refused(let fault): throw fault
            case .missing:
                throw FileFault(
                    file: wanted, line: 1, wrong: "there is no such file", right: "give a theme's name, or a path")
            }
        }
        guard isName(wanted) else {
            throw FileFault(
                file: wanted, line: 1, wrong: "is no theme's name",
                right: "a name has letters, digits, dots, dashes and underscores; a path has a slash")
        }
        if let (path, text) = try find(wanted, folders: folders) {
            return try theme(text, file: path, folders: folders)
        }
        if wanted == builtInName { return .builtInDefault }
        throw FileFault(
            file: wanted, line: 1, wrong: "there is no such theme",
            right: "use " + alternatives(list(folders: folders).map { plainText($0.name, charactersMax: 64) }))
    }

    /// As `load`, but a broken theme never stops the start: then the fault is told beside the built-in default.
    package static func loadOrDefault(
        _ nameOrPath: String?, folders: [String]
    ) -> (theme: Theme, fault: FileFault?) {
        do { return (try load(nameOrPath, folders: folders), nil) } catch { return (.builtInDefault, error) }
    }

    /// Makes a theme of the text of a file; the themes it inherits are looked for in `folders`.
    package static func theme(_ text: String, file: String, folders: [String]) throws(FileFault) -> Theme {
        var parsed = [try ParsedTheme(text, file: file)]
        while let parent = parsed[parsed.count - 1].source.inherits {
            let child = parsed[parsed.count - 1].document
            let path = ["meta", "inherits"]
            guard let (parentFile, parentText) = try find(parent, folders: folders) else {
                if parent == builtInName { break }
                throw child.fault(
                    path, "inherits \(quoted(parent)), and there is no such theme",
                    "name a theme of \(quoted(folders.last ?? "Themes")) or of another Themes folder")
            }
            if parsed.contains(where: { $0.document.file == parentFile }) {
                throw child.fault(
                    path, "inherits \(quoted(parent)), which leads back to itself",
                    "name a theme that does not inherit this one")
            }
            if parsed.count == chainMax {
                throw child.fault(
                    path, "is the \(chainMax)th theme in a chain and inherits yet another", "inherit fewer themes")
            }
            parsed.append(try ParsedTheme(parentText, file: parentFile))
        }
        do {
            return try Theme(chain: parsed.map(\.source))
        } catch {
            switch error {
            case .unknownColor(let index, let entry, let color):
                throw parsed[index].document.fault(
                    ["roles", entry], "unknown colour \(quoted(color)) in role \(quoted(entry))",
                    "name it in [palette], or write #rrggbb, color0 to color255, red, bright-red and so on, or default")
            case .notOnSixteenColors(let index, let entry, let color):
                throw parsed[index].document.fault(
                    ["roles", entry], "c16 of role \(quoted(entry)) has the colour \(quoted(color))",
                    "use one of the sixteen names, color0 to color15, or default")
            case .selectionUnseen:
                throw parsed[0].document.fault(
                    ["roles", "row.selected"], "a selected row looks like any other",
                    "give \"row.selected\" a bg of its own, or attrs = [\"reverse\"]")
            }
        }
    }

    /// The source of a theme alone, without what it inherits.
    package static func source(_ text: String, file: String) throws(FileFault) -> ThemeSource {
        try ParsedTheme(text, file: file).source
    }

    private static let builtInName = ThemeSource.builtInDefault.name

    private static func find(
        _ name: String, folders: [String]
    ) throws(FileFault) -> (path: String, text: String)? {
        for folder in folders {
            let path = folder + "/" + name + ".toml"
            switch TextFile.read(path) {
            case .text(let text): return (path, text)
            case .refused(let fault): throw fault
            case .missing: continue
            }
        }
        return nil
    }

    /// Names never lead out of a folder, and are safe to show.
    static func isName(_ text: String) -> Bool {
        guard (1...64).contains(text.utf8.count), text.utf8.first != UInt8(ascii: ".") else { return false }
        return text.unicodeScalars.allSatisfy {
            $0.isASCII && ($0.properties.isAlphabetic || ("0"..."9").contains($0) || "._-".unicodeScalars.contains($0))
        }
    }

    static func folder(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }
}

/// Where the XDG Base Directory Specification puts things. Relative paths are to be ignored, it says.
enum XDG {
    static func home(_ variable: String, under folder: String, _ environment: [String: String]) -> String? {
        if let set = environment[variable], set.hasPrefix("/") { return set }
        guard let home = environment["HOME"], home.hasPrefix("/") else { return nil }
        return home + "/" + folder
    }

    /// Nil where the variable is not set or empty.
    static func directories(_ variable: String, _ environment: [String: String]) -> [String]? {
        guard let set = environment[variable], !set.isEmpty else { return nil }
        return set.split(separator: ":").map(String.init).filter { $0.hasPrefix("/") }
    }
}
