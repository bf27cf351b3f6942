/// The value of `access_mode=`: how a buffer is seen, each mode with its modifiers, as
/// `striped(client_cache=yes,MFS=10GiB),private`.
package struct AccessModes: Hashable, Sendable, CustomStringConvertible {
    package enum Mode: String, CaseIterable, Hashable, Sendable {
        /// One space that all nodes of the job share.
        case striped
        /// A space of its own for each node.
        case `private`
        /// Read-only cache of which each node has all; for `type=cache`.
        case ldbalance
    }

    package struct Choice: Hashable, Sendable {
        package var mode: Mode
        /// Whether nodes may cache what they read; nil: as the site has it.
        package var clientCache: Bool?
        /// MFS: bytes of the largest file.
        package var fileBytesMax: UInt64?
        /// MFC: files that may be created.
        package var filesMax: UInt64?

        package init(
            _ mode: Mode, clientCache: Bool? = nil, fileBytesMax: UInt64? = nil, filesMax: UInt64? = nil
        ) {
            self.mode = mode
            self.clientCache = clientCache
            self.fileBytesMax = fileBytesMax
            self.filesMax = filesMax
        }
    }

    /// In the order written; each mode once, at least one.
    package let choices: [Choice]

    package static let striped = AccessModes([Choice(.striped)])

    /// - Precondition: at least one choice, each mode once.
    package init(_ choices: [Choice]) {
        precondition(!choices.isEmpty && Set(choices.map(\.mode)).count == choices.count)
        self.choices = choices
    }

    package func has(_ mode: Mode) -> Bool { choices.contains { $0.mode == mode } }

    /// As it is written; reads back as the same value.
    package var description: String {
        choices.map { choice in
            var modifiers: [String] = []
            if let cache = choice.clientCache { modifiers.append("client_cache=" + (cache ? "yes" : "no")) }
            if let bytes = choice.fileBytesMax { modifiers.append("MFS=\(bytes)") }
            if let files = choice.filesMax { modifiers.append("MFC=\(files)") }
            return choice.mode.rawValue + (modifiers.isEmpty ? "" : "(" + modifiers.joined(separator: ",") + ")")
        }.joined(separator: ",")
    }

    // MARK: Reading

    /// Reads a value; `key` is for the message.
    package init(_ bytes: some Collection<UInt8>, key: String = "access_mode") throws(ErrorLine) {
        let shown = "\(key)=\(ErrorLine.name(bytes))"
        var choices: [Choice] = []
        for part in try Self.parts(Array(bytes), shown) {
            let name = part.prefix { $0 != UInt8(ascii: "(") }
            let choice = try Self.choice(name, part[name.endIndex...], shown, key)
            guard !choices.contains(where: { $0.mode == choice.mode }) else {
                throw ErrorLine("\(shown): \(choice.mode.rawValue) stands there twice; write it once")
            }
            choices.append(choice)
        }
        self.choices = choices
    }

    /// Cuts at commas outside of brackets.
    private static func parts(_ bytes: [UInt8], _ shown: String) throws(ErrorLine) -> [ArraySlice<UInt8>] {
        var parts: [ArraySlice<UInt8>] = []
        var start = 0
        var isInside = false
        for (index, byte) in bytes.enumerated() {
            switch byte {
            case UInt8(ascii: "("):
                if isInside { throw ErrorLine("\(shown): a bracket in a bracket; write striped(client_cache=yes)") }
                isInside = true
            case UInt8(ascii: ")"):
                guard isInside, index + 1 == bytes.count || bytes[index + 1] == UInt8(ascii: ",") else {
                    throw ErrorLine("\(shown): a bracket closes nothing; write striped(client_cache=yes)")
                }
                isInside = false
            case UInt8(ascii: ",") where !isInside:
                parts.append(bytes[start..<index])
                start = index + 1
            default: break
            }
        }
        if isInside { throw ErrorLine("\(shown): a bracket is not closed; write striped(client_cache=yes)") }
        parts.append(bytes[start...])
        return parts
    }

    private static func choice(
        _ name: ArraySlice<UInt8>, _ brackets: ArraySlice<UInt8>, _ shown: String, _ key: String
    ) throws(ErrorLine) -> Choice {
        let known = Mode.allCases.map(\.rawValue)
        guard let mode = Mode(rawValue: ByteText.string(name)) else {
            if name.elementsEqual("swap".utf8) {
                throw ErrorLine("\(shown): swap is no access mode; write a line of its own, as #DW swap 10GiB")
            }
            let right = Nearest.word(to: name, among: known).map { "\(key)=\($0)" } ?? known.joined(separator: ", ")
            throw ErrorLine("\(shown): no such access mode; write \(right)")
        }
        var choice = Choice(mode)
        guard !brackets.isEmpty else { return choice }
        for modifier in brackets.dropFirst().dropLast().split(
            separator: UInt8(ascii: ","), omittingEmptySubsequences: false)
        {
            let word = modifier.prefix { $0 != UInt8(ascii: "=") }
            let value = modifier[word.endIndex...].dropFirst()
            func twice() -> ErrorLine {
                ErrorLine("\(shown): \(ByteText.string(word)) stands there twice; write it once")
            }
            switch ByteText.lower(word) {
            case "client_cache":
                guard choice.clientCache == nil else { throw twice() }
                guard ["yes", "no"].contains(ByteText.string(value)) else {
                    throw ErrorLine("\(shown): write client_cache=yes or client_cache=no")
                }
                choice.clientCache = value.elementsEqual("yes".utf8)
            case "mfs":
                guard choice.fileBytesMax == nil else { throw twice() }
                choice.fileBytesMax = try CapacityText.read(value, key: "MFS", isReadBySlurm: false)
            case "mfc":
                guard choice.filesMax == nil else { throw twice() }
                guard let count = ByteText.number(value), count > 0 else {
                    throw ErrorLine("\(shown): MFC is a number of files; write as MFC=1000")
                }
                choice.filesMax = count
            default:
                throw ErrorLine("\(shown): no such modifier; write client_cache=yes|no, MFS=SIZE or MFC=N")
            }
        }
        return choice
    }
}
