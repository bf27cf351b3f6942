package import BurstModel

/// The script that a verb is given.
package struct ScriptFile: Hashable, Sendable {
    package var path: String

    package init(_ path: String) { self.path = path }

    /// Slurm has replaced the symbols: the file is `/proc/PID/fd/N` and holds directives only (staging.md §0 fact 6).
    package var isReplaced: Bool {
        let names = path.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        return names.count == 5 && names[0].isEmpty && names[1].elementsEqual("proc".utf8)
            && ByteText.number(names[2]) != nil && names[3].elementsEqual("fd".utf8)
            && ByteText.number(names[4]) != nil
    }
}

/// What names a session: a job's number, or the name of a persistent buffer. Slurm decides by the first letter.
package struct SessionToken: Hashable, Sendable, CustomStringConvertible {
    package static let bytesMax = 255

    package enum Kind: Hashable, Sendable {
        case job(JobID)
        case persistent(BufferName)
        /// No session of ours can have it: the answer is that the token is unknown, which lets Slurm forget it. Refused
        /// in another way it would be asked for again for ever (staging.md §0 fact 4).
        case unknown
    }

    package let text: String
    package var description: String { text }

    package init(_ text: some StringProtocol) throws(ErrorLine) {
        guard (1...Self.bytesMax).contains(text.utf8.count) else {
            throw ErrorLine("token \(ErrorLine.name(text)): write 1 to \(Self.bytesMax) bytes")
        }
        self.text = String(text)
    }

    package var kind: Kind {
        // Slurm writes the number without zeros in front; anything else is no token of its.
        if let job = JobID(text), "\(job)" == text { return .job(job) }
        if let name = try? BufferName(text.utf8) { return .persistent(name) }
        return .unknown
    }
}

/// A call of `dw_wlm_cli`, as Slurm's datawarp plugin makes it (staging.md §1.2).
///
/// Ours, for `burst_buffer.lua` (spec §4.2): `--no-wait`, with which the answer comes as soon as the copy is under way,
/// and `test_data_in`, `test_data_out`. They answer `BUSY` while it is, nothing and status 0 once it is done, and what
/// failed with status 1. `--directive BB_LUA` says what the script's lines begin with (`DirectiveScript.directive`).
package enum StagerCall: Hashable, Sendable {
    package struct Setup: Hashable, Sendable {
        package var job: JobID
        /// `SLURM`.
        package var caller: String
        package var uid: UInt32
        package var gid: UInt32
        package var capacity: CapacityArgument
        package var script: ScriptFile
        package var nodeFile: String?
        package var directive: String?

        package init(
            job: JobID, caller: String, uid: UInt32, gid: UInt32, capacity: CapacityArgument, script: ScriptFile,
            nodeFile: String? = nil, directive: String? = nil
        ) {
            self.job = job
            self.caller = caller
            self.uid = uid
            self.gid = gid
            self.capacity = capacity
            self.script = script
            self.nodeFile = nodeFile
            self.directive = directive
        }
    }

    package struct Create: Hashable, Sendable {
        package var name: BufferName
        /// `CLI`.
        package var caller: String
        package var uid: UInt32
        package var gid: UInt32?
        package var capacity: CapacityArgument
        package var modes: AccessModes
        package var kind: StagePlan.BufferKind

        package init(
            name: BufferName, caller: String, uid: UInt32, gid: UInt32? = nil, capacity: CapacityArgument,
            modes: AccessModes, kind: StagePlan.BufferKind
        ) {
            self.name = name
            self.caller = caller
            self.uid = uid
            self.gid = gid
            self.capacity = capacity
            self.modes = modes
            self.kind = kind
        }
    }

    case help
    case pools
    case showConfigurations
    case showInstances
    case showSessions
    case jobProcess(ScriptFile, directive: String?)
    case setup(Setup)
    case dataIn(SessionToken, ScriptFile?, waits: Bool)
    case testDataIn(SessionToken)
    case realSize(SessionToken)
    case paths(SessionToken, ScriptFile?, pathFile: String)
    case preRun(SessionToken, ScriptFile?, nodeFile: String?)
    case postRun(SessionToken, ScriptFile?)
    case dataOut(SessionToken, ScriptFile?, waits: Bool)
    case testDataOut(SessionToken)
    /// Of a job, or of a persistent buffer that is destroyed.
    case teardown(SessionToken, ScriptFile?, isHurried: Bool)
    case createPersistent(Create)

    package static let argumentsMax = 64
    package static let argumentBytesMax = 4096
    package static let directiveBytesMax = 64

    /// Reads the words behind the program's name. Options stand in any order, as `--token 7`, `--token=7` or `-t 7`.
    package init(arguments: [String]) throws(ErrorLine) {
        guard arguments.count <= Self.argumentsMax else {
            throw ErrorLine("\(arguments.count) arguments are too many: at most \(Self.argumentsMax)")
        }
        if arguments.contains("--help") || arguments.contains("-h") {
            self = .help
            return
        }
        let given = try Options(arguments)
        let verb = try given.verb()
        try given.check(verb)
        self = try given.call(verb)
    }

    // MARK: The table

    enum Option: String, CaseIterable, Hashable {
        case function, token, caller, user, groupid, capacity, job, pathfile, nodehostnamefile, access, type, hurry
        case directive
        case noWait = "no-wait"

        /// Names besides `--` and the case's own.
        var others: [String] {
            switch self {
            case .function: ["-f"]
            case .token: ["-t"]
            case .caller: ["-c"]
            case .user: ["-u"]
            case .capacity: ["-C"]
            case .access: ["-a", "--access_mode"]
            case .type: ["-T"]
            // Native Cray, and an old flag of Slurm.
            case .nodehostnamefile: ["--nidlistfile", "--jobexecutionnodefile"]
            case .groupid, .job, .pathfile, .directive, .hurry, .noWait: []
            }
        }

        var name: String { "--" + rawValue }

        var placeholder: String? {
            switch self {
            case .function: "VERB"
            case .token: "TOKEN"
            case .caller: "CALLER"
            case .user: "UID"
            case .groupid: "GID"
            case .capacity: "POOL:SIZE"
            case .job: "SCRIPT"
            case .pathfile, .nodehostnamefile: "FILE"
            case .access: "MODE"
            case .type: "TYPE"
            case .directive: "WORD"
            case .hurry, .noWait: nil
            }
        }

        static let byName: [String: Option] = {
            var byName: [String: Option] = [:]
            for option in allCases {
                for name in [option.name] + option.others { byName[name] = option }
            }
            return byName
        }()
    }

    enum Verb: String, CaseIterable, Hashable {
        case pools
        case showConfigurations = "show_configurations"
        case showInstances = "show_instances"
        case showSessions = "show_sessions"
        case jobProcess = "job_process"
        case setup
        case dataIn = "data_in"
        case testDataIn = "test_data_in"
        case realSize = "real_size"
        case paths
        case preRun = "pre_run"
        case postRun = "post_run"
        case dataOut = "data_out"
        case testDataOut = "test_data_out"
        case teardown
        case createPersistent = "create_persistent"

        var required: [Option] {
            switch self {
            case .pools, .showConfigurations, .showInstances, .showSessions: []
            case .jobProcess: [.job]
            case .setup: [.token, .user, .groupid, .capacity, .job]
            case .dataIn, .testDataIn, .realSize, .preRun, .postRun, .dataOut, .testDataOut, .teardown: [.token]
            case .paths: [.token, .pathfile]
            case .createPersistent: [.token, .user, .capacity]
            }
        }

        var optional: [Option] {
            switch self {
            case .pools, .showConfigurations, .showInstances, .showSessions, .testDataIn, .realSize, .testDataOut: []
            case .jobProcess: [.directive]
            case .setup: [.caller, .nodehostnamefile, .directive]
            case .dataIn, .dataOut: [.job, .noWait]
            case .postRun, .paths: [.job]
            case .preRun: [.job, .nodehostnamefile]
            case .teardown: [.job, .hurry]
            case .createPersistent: [.caller, .groupid, .access, .type]
            }
        }

        var usage: String {
            var words = ["--function", rawValue]
            words += required.map { "\($0.name) \($0.placeholder ?? "")" }
            words += optional.map {
                "[" + ([$0.name] + ($0.placeholder.map { [$0] } ?? [])).joined(separator: " ") + "]"
            }
            return words.joined(separator: " ")
        }
    }

    /// How the program is called, a line a verb.
    package static var helpText: String {
        let short = Option.allCases.compactMap { option in
            option.others.first { !$0.hasPrefix("--") }.map { "\($0) is \(option.name)" }
        }
        return Verb.allCases.map { "dw_wlm_cli \($0.usage)\n" }.joined() + short.joined(separator: ", ") + "\n"
    }

    // MARK: Options

    private struct Options {
        var values: [Option: String] = [:]

        init(_ arguments: [String]) throws(ErrorLine) {
            var rest = arguments[...]
            while let word = rest.popFirst() {
                guard word.utf8.count <= StagerCall.argumentBytesMax else {
                    throw ErrorLine(
                        "\(ErrorLine.name(word)): an argument is at most \(StagerCall.argumentBytesMax) bytes long")
                }
                let bytes = word.utf8
                var name = word
                var value: String?
                if bytes.starts(with: "--".utf8), let equals = bytes.firstIndex(of: UInt8(ascii: "=")) {
                    name = String(word[..<equals])
                    value = String(word[bytes.index(after: equals)...])
                }
                guard let option = Option.byName[name] else { throw Self.unknown(name) }
                if option.placeholder == nil {
                    if value != nil { throw ErrorLine("\(option.name) takes no value: write it alone") }
                    value = ""
                } else if value == nil {
                    guard let next = rest.popFirst(), Option.byName[next] == nil else {
                        throw ErrorLine("\(option.name) has no value: write \(option.name) \(option.placeholder ?? "")")
                    }
                    value = next
                }
                guard values.updateValue(value ?? "", forKey: option) == nil else {
                    throw ErrorLine("\(option.name) stands there twice: write it once")
                }
                if let value, option.placeholder != nil, value.isEmpty || value.utf8.count > StagerCall.argumentBytesMax
                {
                    throw ErrorLine(
                        "\(option.name) \(ErrorLine.name(value)): write 1 to \(StagerCall.argumentBytesMax) bytes")
                }
            }
        }

        private static func unknown(_ name: String) -> ErrorLine {
            let shown = ErrorLine.name(name)
            guard name.utf8.first == UInt8(ascii: "-") else {
                return ErrorLine("argument \(shown) belongs to no option: write --function VERB and its options")
            }
            let known = Option.allCases.map(\.name)
            let right = Nearest.word(to: name.utf8, among: known).map { "write \($0)" } ?? "see dw_wlm_cli --help"
            return ErrorLine("option \(shown) does not exist: \(right)")
        }

        func verb() throws(ErrorLine) -> Verb {
            guard let name = values[.function] else {
                throw ErrorLine("no function: write --function VERB; dw_wlm_cli --help names them")
            }
            guard let verb = Verb(rawValue: name) else {
                let near = Nearest.word(to: name.utf8, among: Verb.allCases.map(\.rawValue))
                let right = near.map { "write \($0)" } ?? "dw_wlm_cli --help names them"
                throw ErrorLine("no function \(ErrorLine.name(name)): \(right)")
            }
            return verb
        }

        func check(_ verb: Verb) throws(ErrorLine) {
            for option in verb.required where values[option] == nil {
                throw ErrorLine(
                    "\(verb.rawValue) has no \(option.name): write \(option.name) \(option.placeholder ?? "")")
            }
            let known = Set([.function] + verb.required + verb.optional)
            if let option = Option.allCases.first(where: { values[$0] != nil && !known.contains($0) }) {
                throw ErrorLine("\(verb.rawValue) takes no \(option.name): write dw_wlm_cli \(verb.usage)")
            }
        }

        // MARK: Values

        func call(_ verb: Verb) throws(ErrorLine) -> StagerCall {
            switch verb {
            case .pools: .pools
            case .showConfigurations: .showConfigurations
            case .showInstances: .showInstances
            case .showSessions: .showSessions
            case .jobProcess: .jobProcess(ScriptFile(try path(.job) ?? ""), directive: try directive())
            case .setup: .setup(try setup())
            case .dataIn: .dataIn(try token(), try script(), waits: values[.noWait] == nil)
            case .testDataIn: .testDataIn(try token())
            case .realSize: .realSize(try token())
            case .paths: .paths(try token(), try script(), pathFile: try path(.pathfile) ?? "")
            case .preRun: .preRun(try token(), try script(), nodeFile: try path(.nodehostnamefile))
            case .postRun: .postRun(try token(), try script())
            case .dataOut: .dataOut(try token(), try script(), waits: values[.noWait] == nil)
            case .testDataOut: .testDataOut(try token())
            case .teardown: .teardown(try token(), try script(), isHurried: values[.hurry] != nil)
            case .createPersistent: .createPersistent(try create())
            }
        }

        private func token() throws(ErrorLine) -> SessionToken { try SessionToken(values[.token] ?? "") }

        private func script() throws(ErrorLine) -> ScriptFile? { try path(.job).map(ScriptFile.init) }

        private func path(_ option: Option) throws(ErrorLine) -> String? {
            guard let path = values[option] else { return nil }
            guard path.utf8.first == UInt8(ascii: "/") else {
                throw ErrorLine("\(option.name) \(ErrorLine.name(path)): write a path from / on")
            }
            return path
        }

        private func directive() throws(ErrorLine) -> String? {
            guard let word = values[.directive] else { return nil }
            let isWord = word.utf8.allSatisfy { ByteText.isLetter($0) || ByteText.isDigit($0) || $0 == 0x5f }
            guard isWord, word.utf8.count <= StagerCall.directiveBytesMax else {
                throw ErrorLine("--directive \(ErrorLine.name(word)): write a word as Directive= has it, as BB_LUA")
            }
            return word
        }

        private func user(_ option: Option) throws(ErrorLine) -> UInt32? {
            guard let text = values[option] else { return nil }
            // The two largest mean "nobody" to Slurm and "leave it" to chown.
            guard let number = ByteText.number(text.utf8).flatMap(UInt32.init(exactly:)), number < UInt32.max - 1 else {
                throw ErrorLine("\(option.name) \(ErrorLine.name(text)): write a number, as \(option.name) 1001")
            }
            return number
        }

        private func setup() throws(ErrorLine) -> Setup {
            let token = try token()
            guard case .job(let job) = token.kind else {
                throw ErrorLine("--token \(ErrorLine.name(token.text)): setup is for jobs; write the number of one")
            }
            return Setup(
                job: job, caller: values[.caller] ?? "SLURM", uid: try user(.user) ?? 0, gid: try user(.groupid) ?? 0,
                capacity: try CapacityArgument(values[.capacity] ?? ""), script: ScriptFile(try path(.job) ?? ""),
                nodeFile: try path(.nodehostnamefile), directive: try directive())
        }

        private func create() throws(ErrorLine) -> Create {
            let modes = try values[.access].map { text throws(ErrorLine) in try AccessModes(text.utf8, key: "access") }
            if modes?.has(.private) == true {
                throw ErrorLine("a persistent buffer is never private: write access=striped")
            }
            let type = values[.type] ?? StagePlan.BufferKind.scratch.rawValue
            guard let kind = StagePlan.BufferKind(rawValue: type) else {
                throw ErrorLine("type=\(ErrorLine.name(type)): write type=scratch or type=cache")
            }
            return Create(
                name: try BufferName((values[.token] ?? "").utf8), caller: values[.caller] ?? "CLI",
                uid: try user(.user) ?? 0, gid: try user(.groupid),
                capacity: try CapacityArgument(values[.capacity] ?? ""), modes: modes ?? .striped, kind: kind)
        }
    }
}
