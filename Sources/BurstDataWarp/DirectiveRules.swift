/// Limits of what a script may hold.
package enum DirectiveLimits {
    /// Slurm takes scripts of 4 MiB unless its max_script_size says otherwise.
    package static let scriptBytesMax = 16 << 20
    /// Lines of directives, comments and others not counted.
    package static let linesMax = 1000
    /// Bytes of a directive with the lines that it goes on in.
    package static let lineBytesMax = 16 << 10
    /// Bytes of all directives.
    package static let bytesMax = 512 << 10
    /// Slurm's PATH_MAX less its zero byte.
    package static let pathBytesMax = 4095
    package static let fileNameBytesMax = 255
    package static let poolNameBytesMax = 64
    /// What is said about one script.
    package static let faultsMax = 10
    package static let notesMax = 10
}

/// The table of directives: one place for what the parser accepts, what the help says and what the tests try
/// (staging.md §1.5, §3.3).
package struct DirectiveRule: Sendable {
    package enum Family: String, Hashable, Sendable {
        case datawarp = "DW"
        case persistent = "BB"
    }

    package enum Verb: String, CaseIterable, Hashable, Sendable {
        case jobdw, swap, persistentdw
        case stageIn = "stage_in"
        case stageOut = "stage_out"
        case create = "create_persistent"
        case destroy = "destroy_persistent"
    }

    /// What a script may hold only once.
    package enum Uniqueness: String, Hashable, Sendable {
        case any = "any number of lines"
        case line = "one line"
        case name = "one line a name"
        /// `DW_JOB_STRIPED` can name one buffer only.
        case access = "one line a type and access mode"
    }

    package enum ValueKind: Hashable, Sendable {
        case size
        case number
        case word([String])
        /// A word of the site's choice.
        case anyWord
        case modes
        case buffer
        case pool
        /// An absolute path on the parallel file system.
        case path
        /// That, or a path in a buffer.
        case stagePath

        /// As the help shows it.
        package var placeholder: String {
            switch self {
            case .size: "SIZE"
            case .number: "N"
            case .word(let words): words.joined(separator: "|")
            case .anyWord: "WORD"
            case .modes: "MODE[,MODE]"
            case .buffer: "NAME"
            case .pool: "POOL"
            case .path: "PATH"
            case .stagePath: "PATH"
            }
        }
    }

    package struct Key: Hashable, Sendable {
        package var name: String
        /// Another name for the same.
        package var alias: String? = nil
        package var kind: ValueKind
        package var isRequired = false
        /// Slurm's plugin reads the value itself: up to the next space, quotes and tabs being part of it.
        package var isReadBySlurm = false
        package var help: String
    }

    package var family: Family
    package var verb: Verb
    package var uniqueness: Uniqueness
    /// A value without a key, as of `#DW swap 10GiB`.
    package var operand: String? = nil
    /// A word that may stand alone.
    package var flag: String? = nil
    package var keys: [Key]
    package var help: String

    /// `#DW jobdw`.
    package var title: String { "#\(family.rawValue) \(verb.rawValue)" }

    package func key(_ name: String) -> Key? { keys.first { $0.name == name || $0.alias == name } }

    var keyNames: [String] { keys.flatMap { [$0.name] + ($0.alias.map { [$0] } ?? []) } }

    package static func of(_ verb: Verb) -> DirectiveRule {
        guard let rule = all.first(where: { $0.verb == verb }) else { preconditionFailure("every verb has a rule") }
        return rule
    }

    // MARK: The table

    private static let types = ["scratch", "cache"]
    private static let pool = Key(
        name: "pool", kind: .pool, isReadBySlurm: true, help: "the pool to take it from; the site has a default")
    private static let stageKeys = [
        Key(
            name: "type", kind: .word(StagePlan.Transfer.Kind.allCases.map(\.rawValue)), isRequired: true,
            help: "a file, all that a folder holds, or the pairs of a list file"),
        Key(name: "source", kind: .stagePath, isRequired: true, help: "what is copied"),
        Key(
            name: "destination", kind: .stagePath,
            help: "where it goes; a file into a folder where it ends with /; a list has it in its lines"),
    ]

    package static let all: [DirectiveRule] = [
        DirectiveRule(
            family: .datawarp, verb: .jobdw, uniqueness: .access,
            keys: [
                Key(name: "type", kind: .word(types), help: "space of its own (default), or a cache before pfs="),
                Key(
                    name: "capacity", kind: .size, isRequired: true, isReadBySlurm: true,
                    help: "a whole number and K M G T P, KiB to PiB (1024) or KB to PB (1000)"),
                Key(
                    name: "access_mode", kind: .modes,
                    help:
                        "striped (default), private or both; cache: striped or ldbalance; (client_cache=yes|no,MFS=SIZE,MFC=N)"
                ),
                pool,
                Key(name: "pfs", kind: .path, help: "the folder that a cache stands before"),
                Key(name: "name", kind: .buffer, help: "a variable DW_JOB_NAME besides, as Rabbit has it"),
                Key(name: "write_window_length", kind: .number, help: "seconds over which writes are counted"),
                Key(
                    name: "write_window_multiplier", kind: .number,
                    help: "how often the capacity may be written within a window"),
                Key(name: "optimization_strategy", kind: .anyWord, help: "kept for the site"),
            ],
            help: "a buffer for the life of the job"),
        DirectiveRule(
            family: .datawarp, verb: .swap, uniqueness: .line, operand: "N", keys: [pool],
            help: "N GiB of swap space for each node"),
        DirectiveRule(
            family: .datawarp, verb: .persistentdw, uniqueness: .name,
            keys: [Key(name: "name", kind: .buffer, isRequired: true, isReadBySlurm: true, help: "which one")],
            help: "use a persistent buffer"),
        DirectiveRule(
            family: .datawarp, verb: .stageIn, uniqueness: .any, keys: stageKeys,
            help: "copy into a buffer before the job starts"),
        DirectiveRule(
            family: .datawarp, verb: .stageOut, uniqueness: .any, keys: stageKeys,
            help: "copy out of a buffer when the job has ended"),
        DirectiveRule(
            family: .persistent, verb: .create, uniqueness: .name,
            keys: [
                Key(
                    name: "name", kind: .buffer, isRequired: true, isReadBySlurm: true,
                    help: "letters, digits, _ - and ., not beginning with a digit"),
                Key(name: "capacity", kind: .size, isRequired: true, isReadBySlurm: true, help: "as of jobdw"),
                Key(
                    name: "access_mode", alias: "access", kind: .modes, isReadBySlurm: true,
                    help: "striped (default); a persistent buffer is never private"),
                Key(name: "type", kind: .word(types), isReadBySlurm: true, help: "scratch (default) or cache"),
                pool,
            ],
            help: "make a buffer that outlives the job"),
        DirectiveRule(
            family: .persistent, verb: .destroy, uniqueness: .name, flag: "hurry",
            keys: [Key(name: "name", kind: .buffer, isRequired: true, isReadBySlurm: true, help: "which one")],
            help: "remove a persistent buffer"),
    ]

    // MARK: Help

    /// `#DW stage_in type=file|directory|list source=PATH [destination=PATH]`.
    package var usage: String {
        var words = [title]
        if let operand { words.append(operand) }
        words += keys.map { key in
            let word = "\(key.name)=\(key.kind.placeholder)"
            return key.isRequired ? word : "[\(word)]"
        }
        if let flag { words.append("[\(flag)]") }
        return words.joined(separator: " ")
    }

    /// All directives with their keys, some lines each.
    package static var helpText: String {
        all.map { rule in
            let lines = rule.keys.map { key in
                "    \(key.name)=  " + key.help + (key.alias.map { "; also \($0)=" } ?? "")
            }
            return ([wrapped(rule.usage), "    " + rule.help + "; " + rule.uniqueness.rawValue] + lines).joined(
                separator: "\n")
        }.joined(separator: "\n\n") + "\n\n" + notes
    }

    private static let helpColumnsMax = 100

    /// Broken between words; lines that go on are indented.
    private static func wrapped(_ usage: String) -> String {
        var lines = [""]
        for word in usage.split(separator: " ") {
            let last = lines[lines.count - 1]
            if last.isEmpty {
                lines[lines.count - 1] = String(word)
            } else if last.count + word.count + 1 > helpColumnsMax {
                lines.append("        " + word)
            } else {
                lines[lines.count - 1] += " " + word
            }
        }
        return lines.joined(separator: "\n")
    }

    private static let notes = """
        Directives stand above the first command, each line beginning with #DW or #BB; a line that ends with \\ goes on
        in the next one. Keys and values are joined by = without blanks and parted by blanks. Paths may stand in double
        quotes: source="/lus/my data/in". Behind a # the rest of a line is a comment.
        A path in a buffer begins with $DW_JOB_STRIPED/ or $DW_PERSISTENT_STRIPED_NAME/, also with ${...}. No other
        variable is replaced; %u %j %x %A %a %d stand for user, job, its name, array, task and work folder, and \\\\ ends
        this.

        """
}
