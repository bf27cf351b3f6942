/// Why an option is refused: where it stands, what is wrong, what would be right.
package struct OptionFault: Error, Hashable, Sendable, CustomStringConvertible {
    /// `line 3`; empty for the command line.
    package var place: String
    package var wrong: String
    package var right: String

    package var description: String {
        (place.isEmpty ? "" : "\(place): ") + PlainText.oneLine(wrong) + "; " + PlainText.oneLine(right)
    }
}

/// The options of `sbatch`, `srun` and `salloc` (sbatch(1)), of a command line, the environment and `#SBATCH` lines.
/// What steers nothing on one machine is accepted and kept, so that scripts written for a cluster run unchanged.
package struct SbatchOptions: Hashable, Sendable {
    package var jobName: String?
    package var account: String?
    package var partition: String?
    package var qos: String?
    package var comment: String?
    package var reservation: String?
    package var licenses: String?
    package var workDir: String?
    package var input: String?
    package var output: String?
    package var error: String?
    package var appendsOutput: Bool?
    package var burstBuffer: String?
    package var burstBufferFile: String?
    package var nodesMin: UInt32?
    package var nodesMax: UInt32?
    package var tasks: UInt32?
    package var cpusPerTask: UInt32?
    /// 0 minutes stands for none, as sbatch takes it.
    package var timeLimit: TimeText.Limit?
    /// As written; see `TimeText.moment`.
    package var begin: String?
    package var dependency: String?
    package var array: String?
    package var isHeld = false
    package var priority: UInt32?
    package var nice: Int32?
    package var mayRequeue: Bool?
    package var mailTypes: EngineJob.MailTypes?
    package var mailUser: String?
    package var export: String?
    package var wrap: String?
    package var uid: String?
    package var gid: String?
    package var isTestOnly = false
    package var isParsable = false
    package var waits = false
    package var isQuiet = false
    package var verbosity = 0
    /// Seconds of `--immediate`.
    package var immediate: UInt32?
    /// Options without effect here.
    package var kept: [Given] = []

    /// An option as it was given.
    package struct Given: Hashable, Sendable {
        /// The long name, without dashes.
        package var name: String
        package var value: String?
        /// `line 3` of the script; empty for the command line.
        package var place: String

        package init(name: String, value: String?, place: String = "") {
            self.name = name
            self.value = value
            self.place = place
        }
    }

    package init() {}

    /// - Parameter given: in rising order of precedence: of the script, the environment, the command line.
    package init(_ given: [Given]) throws(OptionFault) {
        for one in given { try set(one) }
    }

    private mutating func set(_ given: Given) throws(OptionFault) {
        let value = given.value ?? ""
        switch given.name {
        case "job-name": jobName = value
        case "account": account = value
        case "partition": partition = value
        case "qos": qos = value
        case "comment": comment = value
        case "reservation": reservation = value
        case "licenses": licenses = value
        case "chdir", "workdir": workDir = value
        case "input": input = value
        case "output": output = value
        case "error": error = value
        case "bb": burstBuffer = value
        case "bbf": burstBufferFile = value
        case "begin": begin = value
        case "dependency": dependency = value.isEmpty ? nil : value
        case "array": array = value
        case "mail-user": mailUser = value
        case "export": export = value
        case "wrap": wrap = value
        case "uid": uid = value
        case "gid": gid = value
        case "hold": isHeld = true
        case "requeue": mayRequeue = true
        case "no-requeue": mayRequeue = false
        case "test-only": isTestOnly = true
        case "parsable": isParsable = true
        case "wait": waits = true
        case "quiet": isQuiet = true
        case "verbose": verbosity += 1
        default: try setChecked(given, value)
        }
    }

    private mutating func setChecked(_ given: Given, _ value: String) throws(OptionFault) {
        switch given.name {
        case "ntasks": tasks = try number(given, from: 1)
        case "cpus-per-task": cpusPerTask = try number(given, from: 1)
        case "nodes": try setNodes(given, value)
        case "immediate": immediate = given.value == nil ? 1 : try number(given, from: 0)
        case "time":
            timeLimit = TimeText.limit(value)
            if timeLimit == .invalid {
                throw fault(
                    given, "Invalid --time specification", "write minutes, MM:SS, H:MM:SS, D-HH, D-HH:MM or UNLIMITED")
            }
        case "open-mode":
            switch value.lowercased().utf8.first {
            case UInt8(ascii: "a"): appendsOutput = true
            case UInt8(ascii: "t"): appendsOutput = false
            default: throw fault(given, "Invalid --open-mode specification", "write append or truncate")
            }
        case "priority":
            if value.lowercased() == "top" {
                priority = UInt32.max - 1
            } else {
                guard let number = UInt32(value), number < UInt32.max else {
                    throw fault(
                        given, "Invalid --priority specification", "write a number from 0 to 4294967294, or TOP")
                }
                priority = number
            }
        case "nice":
            guard let number = Int32(given.value ?? "100"), abs(Int64(number)) <= 2_147_483_645 else {
                throw fault(given, "Invalid --nice value", "write a number from -2147483645 to 2147483645")
            }
            nice = number
        case "mail-type": try setMail(given, value)
        default: kept.append(given)
        }
    }

    private func fault(_ given: Given, _ wrong: String, _ right: String) -> OptionFault {
        OptionFault(place: given.place, wrong: "\(wrong): \(PlainText.quoted(given.value ?? ""))", right: right)
    }

    private func number(_ given: Given, from least: UInt32) throws(OptionFault) -> UInt32 {
        guard let number = Self.number(given.value ?? ""), number >= least, number < UInt32.max - 1 else {
            throw OptionFault(
                place: given.place,
                wrong: "Invalid numeric value \(PlainText.quoted(given.value ?? "")) for --\(given.name).",
                right: "write a number, at least \(least)")
        }
        return number
    }

    /// `k` and `m` stand for 1024 and 1048576, as in Slurm.
    private static func number(_ text: String) -> UInt32? {
        let scale: UInt64
        switch text.utf8.last {
        case UInt8(ascii: "k"), UInt8(ascii: "K"): scale = 1024
        case UInt8(ascii: "m"), UInt8(ascii: "M"): scale = 1_048_576
        default: scale = 1
        }
        let digits = scale == 1 ? text : String(text.dropLast())
        guard (1...10).contains(digits.utf8.count), digits.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }),
            let number = UInt64(digits)
        else { return nil }
        return UInt32(exactly: number * scale)
    }

    private mutating func setNodes(_ given: Given, _ value: String) throws(OptionFault) {
        let ends = value.utf8.split(separator: UInt8(ascii: "-"), maxSplits: 1, omittingEmptySubsequences: false)
            .map { Self.number(String(decoding: Array($0), as: UTF8.self)) }
        guard let least = ends[0], let most = ends[ends.count - 1], least <= most else {
            throw fault(given, "Invalid --nodes specification", "write a number, or MIN-MAX")
        }
        (nodesMin, nodesMax) = (least, most)
    }

    private static let mailWords: [String: EngineJob.MailTypes] = [
        "BEGIN": .begin, "END": .end, "FAIL": .fail, "REQUEUE": .requeue, "ALL": .all, "STAGE_OUT": .stageOut,
        "TIME_LIMIT": .time100, "TIME_LIMIT_90": .time90, "TIME_LIMIT_80": .time80, "TIME_LIMIT_50": .time50,
        "ARRAY_TASKS": .arrayTasks, "INVALID_DEPEND": .invalidDependency,
    ]

    private mutating func setMail(_ given: Given, _ value: String) throws(OptionFault) {
        var types: EngineJob.MailTypes = []
        for word in ConfigValue.words(value) {
            if word.uppercased() == "NONE" {
                types = []
                continue
            }
            guard let type = Self.mailWords[word.uppercased()] else {
                let known = (Self.mailWords.keys + ["NONE"]).sorted().joined(separator: ", ")
                throw fault(given, "Invalid --mail-type specification", "write \(known), between commas")
            }
            types.insert(type)
        }
        mailTypes = types
    }
}
