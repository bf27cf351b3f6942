import BurstModel

/// Why a kept plan cannot be read.
package struct StagePlanTextFault: Error, Hashable, Sendable, CustomStringConvertible {
    /// One line: which line of the text, and what is wrong there.
    package let description: String
}

/// A plan as text that is kept: a line `stage-plan 1` (and `directives` where these are
/// counted), a line for each directive, `end` with their number. Words are
/// parted by single blanks; values are percent-escaped, so that any path fits and the text is ASCII. What is written is
/// read back as the same plan.
///
///     stage-plan 1
///     jobdw line=2 type=scratch access_mode=striped capacity=214748364800 pool=wlm_pool
///     stage_in line=3 type=file source=parallel:/lus/a%20b destination=job:a%20b
///     end 2
extension StagePlan {
    package static let textVersion = 1
    /// The directives of one script give less, each byte being written as three.
    package static let textBytesMax = 4 << 20

    // MARK: Writing

    package var text: String {
        var lines = jobBuffers.map(Self.line)
        if let swap {
            lines.append(
                Record("swap", swap.line, ["gib", "\(swap.gibibytesPerNode)"], swap.pool.map { ["pool", $0] }).text)
        }
        lines += attachments.map { Record("persistentdw", $0.line, ["name", $0.name.text]).text }
        lines += transfers.map { transfer in
            Record(
                "stage_" + transfer.direction.rawValue, transfer.line, ["type", transfer.kind.rawValue],
                bytes: ("source", transfer.source.keptBytes), ("destination", transfer.destination?.keptBytes)
            ).text
        }
        lines += creations.map { creation in
            Record(
                "create_persistent", creation.line, ["name", creation.name.text],
                ["capacity", "\(creation.bytes)"], ["access_mode", creation.modes.description],
                ["type", creation.kind.rawValue], creation.pool.map { ["pool", $0] }
            ).text
        }
        lines += removals.map { removal in
            Record(
                "destroy_persistent", removal.line, ["name", removal.name.text],
                ["hurry", removal.isHurried ? "yes" : "no"]
            ).text
        }
        let head = "stage-plan \(Self.textVersion)" + (countsDirectives ? " directives" : "")
        return head + "\n" + lines.map { $0 + "\n" }.joined() + "end \(lines.count)\n"
    }

    private static func line(_ buffer: JobBuffer) -> String {
        Record(
            "jobdw", buffer.line, ["type", buffer.kind.rawValue], ["access_mode", buffer.modes.description],
            ["capacity", "\(buffer.bytes)"], buffer.pool.map { ["pool", $0] },
            buffer.name.map { ["name", $0.text] },
            buffer.writeWindowSeconds.map { ["write_window_length", "\($0)"] },
            buffer.writeWindowMultiplier.map { ["write_window_multiplier", "\($0)"] },
            buffer.strategy.map { ["optimization_strategy", $0] }, bytes: ("pfs", buffer.cachedPath)
        ).text
    }

    private struct Record {
        var text: String

        /// - Parameter pairs: key and value; nil ones are left out.
        init(_ verb: String, _ line: Int, _ pairs: [String]?..., bytes: (key: String, value: [UInt8]?)...) {
            text = "\(verb) line=\(line)"
            for pair in pairs {
                if let pair { text += " \(pair[0])=\(PercentText.escaped(pair[1].utf8))" }
            }
            for (key, value) in bytes {
                if let value { text += " \(key)=\(PercentText.escaped(value))" }
            }
        }
    }

    // MARK: Reading

    /// Reads what `text` wrote. Anything else is refused: a cut text, another version, a value that no directive gives.
    package init(text: some Collection<UInt8>) throws(StagePlanTextFault) {
        guard text.count <= Self.textBytesMax else {
            throw StagePlanTextFault(description: "a plan of \(text.count) bytes is too large")
        }
        var lines = Array(text).split(separator: 10, omittingEmptySubsequences: false)
        guard lines.popLast()?.isEmpty == true, let head = lines.first, let end = lines.last, lines.count >= 2 else {
            throw StagePlanTextFault(description: "the plan is cut off")
        }
        let title = Array("stage-plan \(Self.textVersion)".utf8)
        let countsDirectives = head.elementsEqual(title + " directives".utf8)
        guard countsDirectives || head.elementsEqual(title) else {
            throw StagePlanTextFault(
                description: "line 1: \(ErrorLine.name(head)): only stage-plan \(Self.textVersion) can be read")
        }
        guard end.elementsEqual("end \(lines.count - 2)".utf8) else {
            throw StagePlanTextFault(description: "the plan is cut off: its last line is \(ErrorLine.name(end))")
        }
        self.init()
        self.countsDirectives = countsDirectives
        for (index, line) in lines.dropFirst().dropLast().enumerated() {
            do throws(ErrorLine) {
                try add(line)
            } catch {
                throw StagePlanTextFault(description: "line \(index + 2): \(error)")
            }
        }
    }

    private mutating func add(_ bytes: ArraySlice<UInt8>) throws(ErrorLine) {
        var fields = try PlanFields(bytes)
        let line = try fields.integer("line")
        switch fields.verb {
        case "jobdw":
            jobBuffers.append(
                JobBuffer(
                    line: line, kind: try fields.kind(), modes: try AccessModes(fields.value("access_mode")),
                    bytes: try fields.count("capacity"), pool: fields.optional("pool"),
                    cachedPath: fields.taken("pfs"), name: try fields.optionalName(),
                    writeWindowSeconds: try fields.optionalCount("write_window_length"),
                    writeWindowMultiplier: try fields.optionalCount("write_window_multiplier"),
                    strategy: fields.optional("optimization_strategy")))
        case "swap":
            guard swap == nil else { throw ErrorLine("a second swap") }
            swap = Swap(line: line, gibibytesPerNode: try fields.count("gib"), pool: fields.optional("pool"))
        case "persistentdw": attachments.append(Attachment(line: line, name: try fields.name()))
        case "stage_in", "stage_out":
            guard let kind = Transfer.Kind(rawValue: ByteText.string(try fields.value("type"))) else {
                throw ErrorLine("no such type")
            }
            let destination = try fields.taken("destination").map { bytes throws(ErrorLine) in
                try StageSide(keptBytes: bytes)
            }
            guard destination != nil || kind == .list else { throw ErrorLine("has no destination") }
            transfers.append(
                Transfer(
                    line: line, direction: fields.verb == "stage_in" ? .in : .out, kind: kind,
                    source: try StageSide(keptBytes: fields.value("source")), destination: destination))
        case "create_persistent":
            creations.append(
                Creation(
                    line: line, name: try fields.name(), bytes: try fields.count("capacity"),
                    modes: try AccessModes(fields.value("access_mode")), kind: try fields.kind(),
                    pool: fields.optional("pool")))
        case "destroy_persistent":
            let hurry = ByteText.string(try fields.value("hurry"))
            guard ["yes", "no"].contains(hurry) else { throw ErrorLine("hurry is yes or no") }
            removals.append(Removal(line: line, name: try fields.name(), isHurried: hurry == "yes"))
        default: throw ErrorLine("\(ErrorLine.name(fields.verb)): no such directive")
        }
        try fields.finish()
    }
}

/// The words of a kept line. Each value is taken once; what is left over is a fault.
private struct PlanFields {
    let verb: String
    private var values: [String: [UInt8]] = [:]

    init(_ line: ArraySlice<UInt8>) throws(ErrorLine) {
        let words = line.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
        verb = ByteText.string(words[0])
        for word in words.dropFirst() {
            guard let equals = word.firstIndex(of: UInt8(ascii: "=")),
                let value = PercentText.unescaped(word[(equals + 1)...])
            else { throw ErrorLine("\(ErrorLine.name(word)): no key=value") }
            guard values.updateValue(value, forKey: ByteText.string(word[..<equals])) == nil else {
                throw ErrorLine("\(ErrorLine.name(word)): stands there twice")
            }
        }
    }

    mutating func taken(_ key: String) -> [UInt8]? { values.removeValue(forKey: key) }

    mutating func value(_ key: String) throws(ErrorLine) -> [UInt8] {
        guard let value = taken(key) else { throw ErrorLine("has no \(key)") }
        return value
    }

    mutating func optional(_ key: String) -> String? { taken(key).map(ByteText.string) }

    mutating func count(_ key: String) throws(ErrorLine) -> UInt64 {
        let value = try value(key)
        guard let number = ByteText.number(value) else { throw ErrorLine("\(key) is no number") }
        return number
    }

    mutating func optionalCount(_ key: String) throws(ErrorLine) -> UInt64? {
        values[key] == nil ? nil : try count(key)
    }

    mutating func integer(_ key: String) throws(ErrorLine) -> Int {
        guard let number = Int(exactly: try count(key)) else { throw ErrorLine("\(key) is no number") }
        return number
    }

    mutating func name() throws(ErrorLine) -> BufferName { try BufferName(try value("name")) }

    mutating func optionalName() throws(ErrorLine) -> BufferName? {
        values["name"] == nil ? nil : try name()
    }

    mutating func kind() throws(ErrorLine) -> StagePlan.BufferKind {
        guard let kind = StagePlan.BufferKind(rawValue: ByteText.string(try value("type"))) else {
            throw ErrorLine("no such type")
        }
        return kind
    }

    func finish() throws(ErrorLine) {
        if let key = values.keys.min() { throw ErrorLine("\(ErrorLine.name(key)): no such key") }
    }
}

extension StageSide {
    /// `job:a/b`, `persistent/alpha:a/b/`, `parallel:/lus/a`.
    package var keptBytes: [UInt8] {
        switch self {
        case .buffer(.job, let path): Array("job:".utf8) + path.kept
        case .buffer(.persistent(let name), let path): Array("persistent/\(name.text):".utf8) + path.kept
        case .parallel(let path): Array("parallel:".utf8) + path
        }
    }

    package init(keptBytes bytes: some Collection<UInt8>) throws(ErrorLine) {
        let bytes = Array(bytes)
        guard let colon = bytes.firstIndex(of: UInt8(ascii: ":")) else {
            throw ErrorLine("\(ErrorLine.name(bytes)): no side of a copy")
        }
        let path = bytes[(colon + 1)...]
        switch ByteText.string(bytes[..<colon]) {
        case "job": self = .buffer(.job, try BufferPath(path))
        case "parallel":
            // Before symbols are replaced it may begin with %d.
            guard let first = path.first, first == UInt8(ascii: "/") || first == UInt8(ascii: "%"), !path.contains(0)
            else { throw ErrorLine("\(ErrorLine.name(bytes)): no absolute path") }
            self = .parallel(Array(path))
        case let name where name.hasPrefix("persistent/"):
            self = .buffer(.persistent(try BufferName(name.utf8.dropFirst(11))), try BufferPath(path))
        default: throw ErrorLine("\(ErrorLine.name(bytes)): no side of a copy")
        }
    }
}

extension BufferPath {
    fileprivate var kept: [UInt8] { bytes + (isFolder && !bytes.isEmpty ? [UInt8(ascii: "/")] : []) }
}

/// Any bytes as ASCII without blanks, `=` and `%`.
enum PercentText {
    private static let digits = Array("0123456789ABCDEF".utf8)
    /// By byte: written as it is.
    private static let isPlain = (UInt8.min...UInt8.max).map { byte in
        ByteText.isLetter(byte) || ByteText.isDigit(byte) || "/._-+:,()".utf8.contains(byte)
    }

    static func escaped(_ bytes: some Sequence<UInt8>) -> String {
        var text: [UInt8] = []
        for byte in bytes {
            if isPlain[Int(byte)] {
                text.append(byte)
            } else {
                text += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// Nil: no text that `escaped` gives.
    static func unescaped(_ text: ArraySlice<UInt8>) -> [UInt8]? {
        var bytes: [UInt8] = []
        var rest = text
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.popFirst().flatMap(digit), let low = rest.popFirst().flatMap(digit) else {
                return nil
            }
            bytes.append(high << 4 | low)
        }
        return bytes
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x41 + 10
        default: nil
        }
    }
}
