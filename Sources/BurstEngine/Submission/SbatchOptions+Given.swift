extension SbatchOptions {
    private enum Argument { case none, required, optional }

    private struct Spec {
        var name: String
        var letter: UInt8?
        var argument: Argument
    }

    /// Every option of sbatch(1), srun(1) and salloc(1) that concerns a job; a letter stands behind `,`.
    private static let specs: [Spec] = {
        func specs(_ names: String, _ argument: Argument) -> [Spec] {
            names.split(whereSeparator: { $0 == " " || $0 == "\n" }).map { word in
                let parts = word.split(separator: ",")
                return Spec(
                    name: String(parts[0]), letter: parts.count > 1 ? parts[1].utf8.first : nil, argument: argument)
            }
        }
        let required = """
            account,A acctg-freq array,a batch bb bbf begin,b chdir,D workdir cluster-constraint clusters,M comment
            constraint,C container core-spec,S cores-per-socket cpu-freq cpus-per-gpu cpus-per-task,c deadline delay-boot
            dependency,d distribution,m error,e exclude,x export export-file extra extra-node-info,B gid gpu-bind gpu-freq
            gpus,G gpus-per-node gpus-per-socket gpus-per-task gres gres-flags hint input,i job-name,J kill-on-invalid-dep
            licenses,L mail-type mail-user mcs-label mem mem-bind mem-per-cpu mem-per-gpu mincpus network nodefile,F
            nodelist,w nodes,N ntasks,n ntasks-per-core ntasks-per-gpu ntasks-per-node ntasks-per-socket open-mode output,o
            partition,p power prefer priority profile qos,q reservation segment signal sockets-per-node switches
            thread-spec threads-per-core time,t time-min tmp tres-bind tres-per-job tres-per-node tres-per-socket
            tres-per-task uid wait-all-nodes wckey wrap
            """
        let none = """
            contiguous hold,H ignore-pbs no-requeue overcommit,O oversubscribe,s parsable quiet,Q reboot requeue
            spread-job stepmgr test-only use-min-nodes verbose,v wait,W
            """
        let optional = "exclusive get-user-env immediate,I nice no-kill,k propagate"
        return specs(required, .required) + specs(none, .none) + specs(optional, .optional)
    }()

    private static func spec(named name: String, _ shown: String, _ place: String) throws(OptionFault) -> Spec {
        if let exact = specs.first(where: { $0.name == name }) { return exact }
        let candidates = specs.filter { !name.isEmpty && $0.name.hasPrefix(name) }
        if candidates.count == 1 { return candidates[0] }
        let right: String
        if !candidates.isEmpty {
            right = "write one of " + candidates.map { "--\($0.name)" }.joined(separator: ", ")
        } else if let near = PlainText.nearest(name, in: specs.map(\.name)) {
            right = "did you mean --\(near)?"
        } else {
            right = "see the manual for the options"
        }
        let wrong = candidates.isEmpty ? "unrecognized option" : "ambiguous option"
        throw OptionFault(place: place, wrong: "\(wrong) \(PlainText.quoted(shown))", right: right)
    }

    // MARK: A command line

    /// - Returns: the options, and the rest from the first word on that is none: the script or the command with its
    ///   arguments.
    package static func given(
        arguments: [String], place: String = ""
    ) throws(OptionFault) -> (given: [Given], rest: [String]) {
        var given: [Given] = []
        var index = 0
        /// The word behind an option.
        func next(_ shown: String) throws(OptionFault) -> String {
            index += 1
            guard index < arguments.count else {
                throw OptionFault(
                    place: place, wrong: "option \(PlainText.quoted(shown)) requires an argument",
                    right: "write its value behind it")
            }
            return arguments[index]
        }
        while index < arguments.count {
            let word = arguments[index]
            let bytes = Array(word.utf8)
            if word == "--" { return (given, Array(arguments[(index + 1)...])) }
            guard bytes.first == UInt8(ascii: "-"), bytes.count > 1 else { return (given, Array(arguments[index...])) }
            if bytes[1] == UInt8(ascii: "-") {
                let body = bytes.dropFirst(2)
                let end = body.firstIndex(of: UInt8(ascii: "=")) ?? body.endIndex
                let name = String(decoding: body[..<end], as: UTF8.self)
                let found = try spec(named: name, "--" + name, place)
                var value = end < body.endIndex ? String(decoding: body[(end + 1)...], as: UTF8.self) : nil
                if found.argument == .none, value != nil {
                    throw OptionFault(
                        place: place, wrong: "option \"--\(found.name)\" doesn't allow an argument",
                        right: "write --\(found.name)")
                }
                if found.argument == .required, value == nil { value = try next("--" + found.name) }
                given.append(Given(name: found.name, value: value, place: place))
            } else {
                var letters = bytes.dropFirst()
                while let letter = letters.popFirst() {
                    let shown = "-" + String(decoding: [letter], as: UTF8.self)
                    guard let found = specs.first(where: { $0.letter == letter }) else {
                        throw OptionFault(
                            place: place, wrong: "unrecognized option \(PlainText.quoted(shown))",
                            right: "see the manual for the options")
                    }
                    var value: String?
                    if found.argument != .none, !letters.isEmpty {
                        value = String(decoding: letters, as: UTF8.self)
                        letters = []
                    } else if found.argument == .required {
                        value = try next(shown)
                    }
                    given.append(Given(name: found.name, value: value, place: place))
                }
            }
            index += 1
        }
        return (given, [])
    }

    // MARK: The environment

    /// Variables of sbatch(1) and the options that they stand for.
    private static let variables: [(variable: String, option: String)] = [
        ("SBATCH_ACCOUNT", "account"), ("SBATCH_ARRAY_INX", "array"), ("SBATCH_BURST_BUFFER", "bb"),
        ("SBATCH_EXPORT", "export"), ("SBATCH_JOB_NAME", "job-name"), ("SBATCH_NO_REQUEUE", "no-requeue"),
        ("SBATCH_OPEN_MODE", "open-mode"), ("SBATCH_PARTITION", "partition"), ("SBATCH_QOS", "qos"),
        ("SBATCH_REQUEUE", "requeue"), ("SBATCH_RESERVATION", "reservation"), ("SBATCH_TIMELIMIT", "time"),
        ("SBATCH_WAIT", "wait"),
    ]

    package static func given(environment: [String: String]) -> [Given] {
        variables.compactMap { variable, option in
            environment[variable].map { Given(name: option, value: $0, place: variable) }
        }
    }

    // MARK: A script

    /// The options of `#SBATCH` lines, down to the first line that is a command; blank lines and comments do not end
    /// them.
    /// - Returns: one list for each component of a heterogeneous job; one for other jobs.
    package static func given(script: String) throws(OptionFault) -> [[Given]] {
        var components: [[Given]] = [[]]
        var number = 0
        for line in Array(script.utf8).split(separator: 10, omittingEmptySubsequences: false) {
            number += 1
            guard line.starts(with: "#SBATCH".utf8) else {
                if let first = line.first(where: { !ConfigText.isSpace($0) }), first != UInt8(ascii: "#") { break }
                continue
            }
            if HetScript.isSeparator(line) {
                guard components.count < HetScript.componentsMax else {
                    throw OptionFault(
                        place: "line \(number)", wrong: "more than \(HetScript.componentsMax) components",
                        right: "write fewer hetjob lines")
                }
                components.append([])
                continue
            }
            let place = "line \(number)"
            let words = try words(line.dropFirst(7), place)
            let (given, rest) = try given(arguments: words, place: place)
            if let odd = rest.first {
                throw OptionFault(
                    place: place, wrong: "Invalid directive found in batch script: \(PlainText.quoted(odd))",
                    right: "options begin with - or --")
            }
            components[components.count - 1] += given
        }
        return components
    }

    /// Words at blanks, as a shell parts them: quotes hold blanks, `\` takes the next character as it is, `#` at the
    /// beginning of a word opens a comment.
    static func words(_ line: ArraySlice<UInt8>, _ place: String) throws(OptionFault) -> [String] {
        var words: [String] = []
        var word: [UInt8]?
        var quote: UInt8?
        var rest = line
        while let byte = rest.popFirst() {
            if let open = quote {
                if byte == open {
                    quote = nil
                } else if byte == UInt8(ascii: "\\"), open == UInt8(ascii: "\""), let next = rest.first,
                    next == open || next == byte
                {
                    rest = rest.dropFirst()
                    word = (word ?? []) + [next]
                } else {
                    word = (word ?? []) + [byte]
                }
            } else if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") {
                quote = byte
                word = word ?? []
            } else if ConfigText.isSpace(byte) {
                if let word { words.append(String(decoding: word, as: UTF8.self)) }
                word = nil
            } else if byte == UInt8(ascii: "#"), word == nil {
                break
            } else if byte == UInt8(ascii: "\\"), let next = rest.popFirst() {
                word = (word ?? []) + [next]
            } else {
                word = (word ?? []) + [byte]
            }
        }
        if quote != nil {
            throw OptionFault(place: place, wrong: "a quote is not closed", right: "close it in the same line")
        }
        if let word { words.append(String(decoding: word, as: UTF8.self)) }
        return words
    }
}

/// What `sbatch` itself checks of a script before it goes anywhere.
package enum BatchScript {
    /// - Returns: the lines that sbatch prints, each behind `sbatch: error: `; empty: the script is one.
    package static func faults(_ script: [UInt8]) -> [String] {
        if script.isEmpty { return ["Batch script is empty!"] }
        if script.allSatisfy(ConfigText.isSpace) { return ["Batch script contains only whitespace!"] }
        guard script.starts(with: "#!".utf8) else {
            return [
                "This does not look like a batch script.  The first",
                "line must start with #! followed by the path to an interpreter.", "For instance: #!/bin/sh",
            ]
        }
        if script.contains(0) {
            return ["The Slurm controller does not allow scripts that", "contain a NULL character '\\0'."]
        }
        if zip(script, script.dropFirst()).contains(where: { $0 == 13 && $1 == 10 }) {
            return ["Batch script contains DOS line breaks (\\r\\n)", "instead of expected UNIX line breaks (\\n)."]
        }
        return []
    }

    /// `--wrap`: the command in a script of its own.
    package static func wrapping(_ command: String) -> String {
        "#!/bin/sh\n# This script was created by sbatch --wrap.\n\n\(command)\n"
    }
}
