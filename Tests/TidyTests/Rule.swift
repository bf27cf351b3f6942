/// A rule of the house: what it finds in a file, each with a word on what to do instead.
struct Rule: Sendable, CustomStringConvertible {
    var name: String
    var check: @Sendable (SourceFile) -> [String]

    var description: String { name }

    static let all: [Rule] = [
        imports, noPublic, lineLength, noMarkers, noMachinePaths, documented, testsExpect, noSleeping,
    ]

    // MARK: Imports

    /// What the pure modules may import: each other, in this direction.
    private static let pure: [Substring: Set<String>] = [
        "BurstModel": [],
        "BurstScreen": ["BurstModel"],
        "BurstReports": ["BurstModel", "BurstScreen", "FoundationEssentials"],
        "BurstDataWarp": ["BurstModel"],
        // What counts as a directive is said in one place.
        "BurstEngine": ["BurstModel", "BurstDataWarp"],
        "BurstStager": ["BurstModel"],
        "BurstWire": ["FoundationEssentials"],
    ]

    /// What belongs to one part of the outside, and whose it is.
    private static let owners: [String: Set<Substring>] = [
        "CCurses": ["BurstTerminal"], "TOMLKit": ["BurstSettings"], "CJSONC": ["BurstSources", "BurstHooks"],
        "CLuaGlue": ["BurstHooks"], "GRDB": ["BurstStore"], "GRDBSQLite": ["BurstStore"],
        "Subprocess": ["BurstSources", "BurstDaemon"],
        "ArgumentParser": ["burstmon", "burst-bench", "burst", "burstd", "BurstCommands"],
        "FoundationEssentials": [
            "BurstReports", "BurstStore", "BurstWire", "BurstDaemon", "BurstClient", "BurstCommands", "BurstSources",
            // Marks and records of pools are JSON.
            "BurstPools",
        ],
        "NIOCore": ["BurstDaemon"], "NIOPosix": ["BurstDaemon"], "Logging": ["BurstDaemon"],
        "ServiceLifecycle": ["BurstDaemon"], "UnixSignals": ["BurstDaemon"], "Testing": [],
    ]

    static let imports = Rule(name: "modules import what they may") { file in
        guard file.isSwift, file.isSource || file.isTest else { return [] }
        var found: [String] = []
        for (number, line) in file.code {
            let words = line.split(separator: " ")
            guard let at = words.firstIndex(of: "import"), words.count > at + 1,
                words[..<at].allSatisfy({ $0.hasPrefix("@") || accessLevels.contains(String($0)) })
            else { continue }
            let module = String(words[words.count - 1].split(separator: ".")[0])
            func report(_ text: String) { found.append("\(file.path):\(number): imports \(module): \(text)") }
            if module == "Foundation" {
                report("use the standard library, Glibc at an edge, or FoundationEssentials in BurstReports")
            } else if file.isSource, let owners = owners[module], !owners.contains(file.module) {
                report("only \(owners.sorted().joined(separator: ", ")) may; ask it through a value or a protocol")
            } else if file.isSource, let allowed = pure[file.module], !allowed.contains(module) {
                if module == "Glibc", file.module == "BurstReports", file.name == "AtomicFile.swift" { continue }
                report("\(file.module) is pure: take the value as an argument, and let an edge fetch it")
            }
        }
        return found
    }

    private static let accessLevels: Set<String> = ["package", "internal", "public", "private", "fileprivate"]

    // MARK: Words

    static let noPublic = Rule(name: "nothing is public") { file in
        guard file.isSwift, file.isSource || file.isTest else { return [] }
        return file.code.compactMap { number, line in
            let words = line.split { !$0.isLetter }
            guard words.contains("public") else { return nil }
            return "\(file.path):\(number): says public: say package, since nobody outside this package imports it"
        }
    }

    /// Text in quotes counts for nothing: a message that a person reads is not broken for the sake of a margin. Nor do
    /// lines within a long literal, nor rows of a README's tables.
    static let lineLength = Rule(name: "lines are at most 120 characters long") { file in
        guard ["swift", "c", "h"].contains(file.suffix), !file.isFixture else { return [] }
        var isInText = false
        return file.lines.enumerated().compactMap { index, line in
            let wasInText = isInText
            if line.contains(String(repeating: "\"", count: 3)) { isInText.toggle() }
            guard !wasInText, line.count > 120, withoutTexts(line).count > 120 else { return nil }
            return "\(file.path):\(index + 1): \(line.count) characters: break it, or name a part of it"
        }
    }

    /// A line with its string and regular expression literals taken out.
    private static func withoutTexts(_ line: some StringProtocol) -> String {
        var kept = ""
        var quote: Character?
        var isEscaped = false
        let first = line.first { $0 != " " }
        for character in line {
            if let open = quote {
                if !isEscaped, character == open { quote = nil }
                isEscaped = !isEscaped && character == "\\"
            } else if character == "\""
                || (character == "/" && first == "/" && !kept.contains("/")
                    && !line.contains("// "))
            {
                quote = character
            } else {
                kept.append(character)
            }
        }
        return kept
    }

    private static let markers = ["TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK", "WI" + "P"]

    static let noMarkers = Rule(name: "nothing is left for later") { file in
        guard !file.isFixture else { return [] }
        return file.lines.enumerated().compactMap { index, line in
            let words = line.split { !($0.isLetter || $0.isNumber) }
            guard let marker = words.first(where: { markers.contains(String($0)) }) else { return nil }
            return "\(file.path):\(index + 1): \(marker): do it, or write down why it is not done"
        }
    }

    /// Made of pieces, so that this file is tidy itself.
    private static let machinePaths = ["/wo" + "rk/", "/fa" + "rm/", "/ro" + "ot/", "/tmp/w" + "-"]

    static let noMachinePaths = Rule(name: "no path of one machine stands in the tree") { file in
        guard !file.isFixture else { return [] }
        // As an example of somebody's home it may stand in a test.
        let paths = machinePaths + (file.isTest ? [] : ["/ho" + "me/"])
        return file.lines.enumerated().compactMap { index, line in
            guard let path = paths.first(where: { line.contains($0) }) else { return nil }
            return "\(file.path):\(index + 1): \(path): find it from the tree's top, the environment or an argument"
        }
    }

    // MARK: Shape

    private static let kinds: Set<Substring> = ["struct", "class", "enum", "actor", "protocol"]
    private static let modifiers: Set<Substring> = [
        "package", "internal", "private", "fileprivate", "final", "indirect", "nonisolated",
    ]

    static let documented = Rule(name: "the first type of a file says what it is for") { file in
        guard file.isSwift, file.isSource else { return [] }
        for (number, line) in file.code {
            let words = line.split(separator: " ").drop { modifiers.contains($0) }
            // Types within types are indented.
            guard line.first?.isWhitespace == false, let kind = words.first, kinds.contains(kind), words.count > 1
            else {
                continue
            }
            var above = number - 2
            while above >= 0, file.lines[above].hasPrefix("@") || file.lines[above].hasPrefix("//swift") { above -= 1 }
            if above >= 0, file.lines[above].hasPrefix("///") { return [] }
            return ["\(file.path):\(number): no comment: write a sentence above it that begins with ///"]
        }
        return []
    }

    static let testsExpect = Rule(name: "tests expect something") { file in
        guard file.isSwift, file.isTest, file.code.contains(where: { $0.text.contains("@Test") }) else { return [] }
        if file.code.contains(where: { $0.text.contains("#expect") || $0.text.contains("#require") }) { return [] }
        return ["\(file.path): tests without an expectation: say with #expect what must hold"]
    }

    static let noSleeping = Rule(name: "tests wait for conditions, not for times") { file in
        guard file.isSwift, file.isTest else { return [] }
        return file.code.compactMap { number, line in
            let calls = ["sle" + "ep(", "nano" + "sle" + "ep("]
            // The clock of a scripted source is asked, not waited for.
            guard let call = calls.first(where: { line.contains($0) }), !line.contains("clock.sleep(") else {
                return nil
            }
            return "\(file.path):\(number): \(call): wait until a condition holds: eventually, PseudoTerminal.wait"
        }
    }

    // MARK: The top

    private static let topNames: Set<String> = [
        "Package.swift", "Sources", "Tests", "Themes", "README.md", ".ci", ".gitignore", ".swift-format",
    ]

    static func top(_ names: [String]) -> [String] {
        names.sorted().filter { !topNames.contains($0) }.map { name in
            "\(name): stands at the top: put it below Sources (what ships), Tests (what tests need) or Themes"
        }
    }
}
