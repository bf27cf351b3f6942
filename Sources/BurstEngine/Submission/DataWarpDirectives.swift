import BurstDataWarp
import BurstModel

/// What the `#DW` and `#BB` lines of a script ask of Slurm's datawarp plugin (spec §3.2): space, and persistent
/// buffers. The lines themselves are found by `DirectiveScript`; what else they say (stage_in and its like) is for the
/// site's `dw_wlm_cli`. Where Slurm reads something else than was meant, silently, the line is refused.
struct DataWarpDirectives {
    /// A pool that a line names, or the default.
    struct Request {
        var place: String
        var pool: String?
        var text: String
        var size: UInt64
        /// Of a `create_persistent`: which act; nil: of the job's own buffer.
        var act: Int?
    }

    /// `BurstBuffer=`; nil: no line counts.
    private(set) var spec: String?
    private(set) var requests: [Request] = []
    private(set) var acts: [PersistentAct] = []
    private(set) var stagesOut = false
    private(set) var warnings: [String] = []
    /// The first line that only users may have who may create persistent buffers: what it is.
    private(set) var persistent: (place: String, verb: String)?

    var hasSymbols: Bool { spec?.utf8.contains(UInt8(ascii: "%")) == true }

    /// - Parameter inserted: how many lines of the script came from `--bb`, behind its first: they are not counted.
    init(script: String, inserted: Range<Int> = 0..<0) throws(SubmissionFault) {
        let found: DirectiveScript
        do throws(ErrorLine) {
            found = try DirectiveScript(Array(script.utf8))
        } catch {
            throw Self.refusal(error.text)
        }
        warnings = found.notes.map(\.text)
        if let fault = found.faults.first { throw Self.refusal(fault.text.text) }
        guard !found.lines.isEmpty else { return }
        spec = found.lines.map { "#\($0.family.rawValue)" + String(decoding: $0.text, as: UTF8.self) }
            .joined(separator: "\n")
        var isRequest = false
        for line in found.lines {
            let place =
                inserted.contains(line.number)
                ? "--bb"
                : "line \(line.number < inserted.upperBound ? line.number : line.number - inserted.count)"
            if try take(line, place) { isRequest = true }
        }
        guard isRequest else {
            throw Self.refusal(
                "no line asks for a buffer: write #DW jobdw with capacity=, #DW persistentdw with name=, #DW swap, "
                    + "#BB create_persistent or #BB destroy_persistent")
        }
    }

    /// - Returns: whether the line makes the job one with a burst buffer.
    private mutating func take(_ line: DirectiveScript.Line, _ place: String) throws(SubmissionFault) -> Bool {
        let words = line.text.split { $0 == 0x20 || $0 == 0x09 }.map { String(decoding: $0, as: UTF8.self) }
        let title = "#\(line.family.rawValue) \(words.first ?? "")"
        let verb = DirectiveRule.all.first { $0.title == title }?.verb
        switch verb {
        case .jobdw:
            guard let text = value("capacity", words) else {
                warnings.append("\(place): \(title) asks for nothing: write capacity=, as capacity=20GiB")
                return false
            }
            requests.append(try request(text, words, place))
        case .swap: requests.append(try swap(words, place))
        case .persistentdw: acts.append(PersistentAct(.use, name: try name(words, place)))
        case .create:
            let name = try name(words, place)
            do throws(ErrorLine) { _ = try BufferName(name.utf8) } catch { throw Self.refusal("\(place): \(error)") }
            guard let text = value("capacity", words) else {
                throw Self.refusal("\(place): \(title) has no size: write capacity=, as capacity=20GiB")
            }
            var request = try request(text, words, place)
            request.act = acts.count
            var act = PersistentAct(.create, name: name)
            act.access = value("access_mode", words) ?? value("access", words)
            act.type = value("type", words)
            requests.append(request)
            acts.append(act)
            persistent = persistent ?? (place, "creating")
        case .destroy:
            var act = PersistentAct(.destroy, name: try name(words, place))
            act.isHurried = words.dropFirst().contains("hurry")
            acts.append(act)
            persistent = persistent ?? (place, "destroying")
        case .stageIn: return false
        case .stageOut:
            stagesOut = true
            return false
        case nil:
            if line.family == .datawarp, let word = words.first,
                word.hasPrefix("create_persistent") || word.hasPrefix("destroy_persistent")
            {
                throw SubmissionFault(
                    .burstBufferPermission, ["burst_buffer/datawarp: \(place): \(title): write #BB \(word)"])
            }
            warnings.append("\(place): \(PlainText.quoted(title)) is no directive that is known")
            return false
        }
        return true
    }

    private func request(_ text: String, _ words: [String], _ place: String) throws(SubmissionFault) -> Request {
        do throws(SizeFault) {
            return Request(place: place, pool: value("pool", words), text: text, size: try SizeText.read(text))
        } catch {
            throw Self.refusal("\(place): capacity=: \(error)")
        }
    }

    /// `swap N`: so many GiB for each node (Slurm reads bytes: spec §10, Q22).
    private func swap(_ words: [String], _ place: String) throws(SubmissionFault) -> Request {
        let text = words.count > 1 ? words[1] : ""
        guard let gibibytes = Self.swapGibibytes(text) else {
            throw Self.refusal(
                "\(place): #DW swap \(PlainText.oneLine(text)): write a number of GiB, as #DW swap 10GiB")
        }
        return Request(place: place, pool: value("pool", words), text: text, size: gibibytes << 30)
    }

    /// At least 1; nil: it is no such number.
    static func swapGibibytes(_ text: String) -> UInt64? {
        let digits = text.utf8.prefix { (0x30...0x39).contains($0) }
        let unit = text.utf8[digits.endIndex...]
        guard let number = UInt64(String(decoding: Array(digits), as: UTF8.self)), number > 0, number < 1 << 33,
            ["", "g", "gb", "gib"].contains(String(decoding: Array(unit), as: UTF8.self).lowercased())
        else { return nil }
        return number
    }

    private func name(_ words: [String], _ place: String) throws(SubmissionFault) -> String {
        guard let name = value("name", words), !name.isEmpty, name.utf8.count <= SessionToken.bytesMax else {
            throw Self.refusal("\(place): no name: write name=, as name=alpha")
        }
        return name
    }

    /// The first of its kind counts. Keys are words of their own, where Slurm finds them inside of others, too (Q47).
    private func value(_ key: String, _ words: [String]) -> String? {
        words.first { $0.hasPrefix(key + "=") }.map { String($0.dropFirst(key.count + 1)) }
    }

    static func refusal(_ text: String) -> SubmissionFault {
        SubmissionFault(.invalidBurstBufferRequest, ["burst_buffer/datawarp: \(text)"])
    }
}

extension BurstBufferOption {
    /// `--bb` in datawarp's short form, `capacity=1G access=striped`, as directives (spec §3.4). Words stand between
    /// blanks or commas (Slurm spoils the unit there: Q23).
    package static func translated(_ text: String) throws(SubmissionFault) -> String {
        if text.isEmpty || text.hasPrefix("#") { return text }
        var found: [String: String] = [:]
        for word in text.split(whereSeparator: { " ,\t\n".contains($0) }) {
            guard let sign = word.firstIndex(of: "="), sign != word.startIndex else {
                throw DataWarpDirectives.refusal(
                    "--bb: \(PlainText.quoted(word)) is not understood: \(Self.shortForm)")
            }
            let (given, value) = (String(word[..<sign]), String(word[word.index(after: sign)...]))
            let key = given == "access_mode" ? "access" : given
            guard ["access", "capacity", "pool", "swap", "type"].contains(key) else {
                let advice =
                    key.hasSuffix("_persistent") ? "write it into a script, behind #BB" : Self.shortForm
                throw DataWarpDirectives.refusal("--bb: \(PlainText.quoted(given))= is not understood: \(advice)")
            }
            if found[key] == nil { found[key] = value }
        }
        var lines: [String] = []
        let pool = found["pool"].map { " pool=\($0)" } ?? ""
        if let text = found["swap"] {
            guard let gibibytes = DataWarpDirectives.swapGibibytes(text) else {
                throw DataWarpDirectives.refusal("--bb: swap=\(PlainText.oneLine(text)): write a number of GiB")
            }
            lines.append("#DW swap \(gibibytes)GiB\(pool)")
        }
        if let text = found["capacity"] {
            do throws(SizeFault) {
                let access = found["access"].map { " access_mode=\($0)" } ?? ""
                let type = found["type"].map { " type=\($0)" } ?? ""
                lines.append("#DW jobdw capacity=\(Amount.slurmText(try SizeText.read(text)))\(access)\(pool)\(type)")
            } catch {
                throw DataWarpDirectives.refusal("--bb: capacity=: \(error)")
            }
        }
        guard !lines.isEmpty else {
            throw DataWarpDirectives.refusal("--bb asks for nothing: \(Self.shortForm)")
        }
        return lines.joined(separator: "\n")
    }

    private static let shortForm = "write capacity=SIZE with access=, pool= and type=, or swap=GIB"
}
