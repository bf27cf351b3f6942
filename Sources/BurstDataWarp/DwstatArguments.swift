/// A call of `dwstat`: which tables, and how they are printed (staging.md §1.8). Slurm hands on whatever a user wrote
/// behind `scontrol show bbstat`, but for words that begin with `-`; so each option has a form without.
package struct DwstatRequest: Hashable, Sendable {
    package enum Table: String, CaseIterable, Hashable, Sendable {
        case pools, sessions, instances, configurations, registrations, activations, fragments, namespaces, nodes
    }

    package enum Selection: Hashable, Sendable {
        /// In this order, each once; at least one.
        case tables([Table])
        /// All that are not empty, and a sentence about the others.
        case most
        case all
    }

    /// Which columns: of the first DataWarp, or of the one that came later.
    package enum Layout: String, CaseIterable, Hashable, Sendable {
        case of2015 = "2015"
        case of2017 = "2017"
    }

    package enum Format: Hashable, Sendable {
        case table, json
    }

    package var selection: Selection = .tables([.pools])
    /// Powers of 1000 and their units.
    package var hasSIUnits = false
    package var format: Format = .table
    package var layout: Layout = .of2017
    package var isHelp = false

    package static let argumentsMax = 64

    /// - Parameter arguments: the words behind the program's name, which may be anything.
    package init(arguments: [String]) throws(ErrorLine) {
        guard arguments.count <= Self.argumentsMax else {
            throw ErrorLine("\(arguments.count) arguments are too many: at most \(Self.argumentsMax)")
        }
        var tables: [Table] = []
        var wide: (Selection, String)?
        var layout: Layout?
        for word in arguments {
            switch word {
            case "-H", "si": hasSIUnits = true
            case "--json", "json": format = .json
            case "--help", "-h", "help": isHelp = true
            case "most", "all":
                if let (_, other) = wide, other != word { throw ErrorLine("\(other) and \(word): write one of them") }
                wide = (word == "most" ? .most : .all, word)
            default:
                if let year = Self.year(word) {
                    guard let chosen = Layout(rawValue: year) else {
                        throw ErrorLine("\(ErrorLine.name(word)): write compat=2015 or compat=2017")
                    }
                    if let layout, layout != chosen { throw ErrorLine("compat= stands there twice: write it once") }
                    layout = chosen
                } else if let table = Table(rawValue: word) {
                    if !tables.contains(table) { tables.append(table) }
                } else {
                    throw Self.unknown(word)
                }
            }
        }
        self.layout = layout ?? .of2017
        if let (selection, word) = wide {
            guard tables.isEmpty else { throw ErrorLine("\(word) and \(tables[0].rawValue): write \(word) alone") }
            self.selection = selection
        } else if !tables.isEmpty {
            selection = .tables(tables)
        }
    }

    private static func year(_ word: String) -> String? {
        for name in ["--compat=", "compat="] where word.utf8.starts(with: name.utf8) {
            return String(decoding: Array(word.utf8.dropFirst(name.utf8.count)), as: UTF8.self)
        }
        return nil
    }

    private static let names =
        Table.allCases.map(\.rawValue) + ["most", "all", "si", "json", "compat=2015", "compat=2017", "-H", "--json"]

    private static func unknown(_ word: String) -> ErrorLine {
        let shown = ErrorLine.name(word)
        if let near = Nearest.word(to: word.utf8, among: names) {
            return ErrorLine("no table \(shown): write \(near)")
        }
        return ErrorLine("no table \(shown): write one of " + Table.allCases.map(\.rawValue).joined(separator: " "))
    }

    package static let helpText = """
        dwstat [TABLE]... [-H] [--json] [--compat=2015|2017]
        Tables: \(Table.allCases.map(\.rawValue).joined(separator: " "));
        most: all that are not empty; all. Without a name: pools.
        -H: powers of 1000; --json: JSON; --compat: columns as DataWarp had them in that year (2017).
        Behind scontrol show bbstat, where no word may begin with -: si, json, compat=2015.

        """
}
