/// One line of text about a failure, fit to be shown by Slurm: as the answer of `job_process`, in a job's reason, in
/// its SystemComment (staging.md §1.7). Every verb prints its failures as this.
///
/// Whatever goes in, the text is not empty, at most `bytesMax` bytes long, without control characters and apostrophes,
/// and says nothing that Slurm's datawarp plugin reads as success.
package struct ErrorLine: Error, Hashable, Sendable, CustomStringConvertible {
    /// Bytes of a line. SystemComment keeps 1024 characters for the whole life of a job.
    package static let bytesMax = 200
    /// Bytes of a name within a line: two of them leave room for what would be right.
    package static let nameBytesMax = 48

    package let text: String
    package var description: String { text }

    /// - Parameter text: names in it come from `name(_:)`; other text may be anything, as the words of a system call.
    package init(_ text: some StringProtocol) {
        self.text = Self.cut(Self.withoutPhrases(Self.plain(text)), bytesMax: Self.bytesMax)
    }

    /// The line with where it happened in front: `line 7: ...`.
    func at(_ place: String) -> ErrorLine { ErrorLine(place + ": " + text) }

    // MARK: Names

    /// A name, path or value that somebody else chose, as it may stand in a line: what cannot be printed is `\xHH`, a
    /// backslash is doubled, the middle of a long name is left out.
    package static func name(_ bytes: some Sequence<UInt8>, bytesMax: Int = nameBytesMax) -> String {
        let units = escaped(bytes)
        var count = 0
        var fits = true
        for unit in units {
            count += unit.utf8.count
            if count > bytesMax {
                fits = false
                break
            }
        }
        if fits { return units.joined() }
        // The end of a path tells more than its beginning.
        let room = max(bytesMax - ellipsis.utf8.count, 0)
        let head = taken(units, room / 3)
        let tail = taken(units.reversed(), room - head.joined().utf8.count)
        return head.joined() + ellipsis + tail.reversed().joined()
    }

    package static func name(_ text: some StringProtocol, bytesMax: Int = nameBytesMax) -> String {
        name(text.utf8, bytesMax: bytesMax)
    }

    private static let ellipsis = "..."

    /// As many units from the front as fit into so many bytes.
    private static func taken(_ units: some Sequence<String>, _ room: Int) -> [String] {
        var left = room
        var taken: [String] = []
        for unit in units {
            left -= unit.utf8.count
            if left < 0 { break }
            taken.append(unit)
        }
        return taken
    }

    /// Each character as it is printed.
    private static func escaped(_ bytes: some Sequence<UInt8>) -> [String] {
        var units: [String] = []
        var decoder = UTF8()
        var input = Array(bytes).makeIterator()
        var rest = Array(bytes)[...]
        while true {
            switch decoder.decode(&input) {
            case .scalarValue(let scalar):
                let length = UTF8.width(scalar)
                units.append(printed(scalar, rest.prefix(length)))
                rest = rest.dropFirst(length)
            case .emptyInput:
                return units
            case .error:
                // What cannot be decoded is shown byte by byte, to its end.
                units += rest.map(hexadecimal)
                return units
            }
        }
    }

    private static func printed(_ scalar: Unicode.Scalar, _ bytes: ArraySlice<UInt8>) -> String {
        if scalar == "\\" { return "\\\\" }
        if scalar == "'" || !isPrintable(scalar) { return bytes.map(hexadecimal).joined() }
        return String(scalar)
    }

    private static func hexadecimal(_ byte: UInt8) -> String {
        let digits = String(byte, radix: 16)
        return "\\x" + (digits.utf8.count < 2 ? "0" : "") + digits
    }

    private static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.isASCII { return scalar.value >= 0x20 && scalar.value < 0x7f }
        switch scalar.properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator: return false
        default: return true
        }
    }

    // MARK: Text

    private static func plain(_ text: some StringProtocol) -> String {
        var plain = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "'": plain.append("`")
            case "\n", "\t", "\r":
                if plain.utf8.last != UInt8(ascii: " ") { plain.append(" ") }
            default:
                if isPrintable(scalar) {
                    plain.unicodeScalars.append(scalar)
                } else {
                    plain += String(scalar).utf8.map(hexadecimal).joined()
                }
            }
        }
        while plain.utf8.last == UInt8(ascii: " ") { plain.removeLast() }
        while plain.utf8.first == UInt8(ascii: " ") { plain.removeFirst() }
        return plain.isEmpty ? "failed, and no reason was given" : plain
    }

    /// What Slurm looks for anywhere in the text of a verb, and what we say instead.
    private static let phrases = [
        (phrase: "token not found", instead: "token is not found"),
        (phrase: "no matching session", instead: "no session that matches"),
    ]
    /// What Slurm looks for at the beginning.
    private static let beginnings = ["invalid function", "job_file_valid", "{"]

    private static func withoutPhrases(_ text: String) -> String {
        var bytes = Array(text.utf8)
        for (phrase, instead) in phrases {
            // What is put in holds no phrase, but may complete one with what stands around it.
            while let start = bytes.firstRange(ofText: phrase) {
                bytes.replaceSubrange(start..<(start + phrase.utf8.count), with: instead.utf8)
            }
        }
        if beginnings.contains(where: { bytes.starts(withText: $0) }) {
            bytes.insert(contentsOf: "error: ".utf8, at: 0)
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func cut(_ text: String, bytesMax: Int) -> String {
        guard text.utf8.count > bytesMax else { return text }
        var kept = ""
        for character in text {
            if kept.utf8.count + character.utf8.count > bytesMax - ellipsis.utf8.count { break }
            kept.append(character)
        }
        return kept + ellipsis
    }
}

extension Collection<UInt8> {
    /// Letters of ASCII count as equal in both cases.
    func starts(withText text: String) -> Bool {
        starts(with: text.utf8) { ByteText.lower($0) == ByteText.lower($1) }
    }
}

extension [UInt8] {
    /// Where the text first stands, upper and lower case being equal.
    func firstRange(ofText text: String) -> Int? {
        guard text.utf8.count <= count else { return nil }
        return (0...(count - text.utf8.count)).first { self[$0...].starts(withText: text) }
    }
}
