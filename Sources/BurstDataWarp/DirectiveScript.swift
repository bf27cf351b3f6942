/// The burst buffer lines of a batch script, found as Slurm's datawarp plugin finds them (spec §3.2): above the first
/// line that does not begin with `#`, and beginning with `#DW` or `#BB`; lines that end with a backslash go on in the
/// next such line. What the lines say is for `StagePlan.read`.
///
/// The lua plugin looks for one beginning, `Directive=` of burst_buffer.conf (spec §3.1). The words behind it are those
/// behind `#DW`.
package struct DirectiveScript: Hashable, Sendable {
    package struct Line: Hashable, Sendable {
        package var family: DirectiveRule.Family
        /// Of its first line in the script, counted from 1; among directives alone where symbols were replaced.
        package var number: Int
        /// Behind `#DW`, with the lines that it goes on in.
        package var text: [UInt8]
    }

    /// What is wrong at a line, which the text names already.
    package struct Fault: Hashable, Sendable {
        package var number: Int
        package var text: ErrorLine
    }

    package var lines: [Line] = []
    /// What is wrong with how lines are joined; at most `DirectiveLimits.faultsMax`.
    package var faults: [Fault] = []
    /// Lines that look like directives and have no effect, for a log: Slurm drops them silently. At most
    /// `DirectiveLimits.notesMax`.
    package var notes: [ErrorLine] = []
    /// The text is what Slurm made of a script with symbols (spec §3.8): directives only, so numbers of lines tell the
    /// user nothing and directives are counted instead; and a `%` in it is a `%`.
    let isReplaced: Bool
    /// For the lua plugin: `BB_LUA`, or what `Directive=` says. Nil: `#DW` and `#BB`.
    package let directive: String?

    /// `line 7`, or `directive 2` where symbols were replaced.
    func place(_ number: Int) -> String {
        isReplaced ? "directive \(number)" : "line \(number)"
    }

    /// - Parameters:
    ///   - bytes: a script, whole or at least to its first command. It ends at a zero byte, as Slurm stores one.
    ///   - isReplaced: whether the file was `/proc/PID/fd/N` (staging.md §0 fact 6).
    ///   - directive: the lua plugin's, without `#`; nil: the datawarp plugin's two.
    package init(_ bytes: [UInt8], isReplaced: Bool = false, directive: String? = nil) throws(ErrorLine) {
        self.isReplaced = isReplaced
        self.directive = directive
        guard bytes.count <= DirectiveLimits.scriptBytesMax else {
            throw ErrorLine(
                "a script of \(bytes.count) bytes is too large: at most \(DirectiveLimits.scriptBytesMax) are read")
        }
        var scan = Scan()
        // What Slurm makes begins with a line for the shell.
        if isReplaced { scan.number = -1 }
        var start = 0
        let end = bytes.firstIndex(of: 0) ?? bytes.count
        // What stands far below the directives is not looked at for notes.
        var searched = 0
        while start < end, searched <= Self.searchBytesMax {
            let line = bytes[start..<(bytes[start..<end].firstIndex(of: 10) ?? end)]
            start = line.endIndex + 1
            scan.number += 1
            // Slurm cuts the text so that empty lines vanish.
            if line.isEmpty { continue }
            guard !scan.isOver else {
                searched += line.count
                noteBelow(line, scan)
                continue
            }
            take(line, &scan)
            if scan.bytes > DirectiveLimits.bytesMax {
                throw ErrorLine(
                    "\(place(scan.number)): more than \(DirectiveLimits.bytesMax) bytes of directives: use type=list")
            }
            if lines.count > DirectiveLimits.linesMax {
                throw ErrorLine(
                    "\(place(scan.number)): more than \(DirectiveLimits.linesMax) directives: use type=list or directory"
                )
            }
        }
        if !scan.isOver { endOpenLine(scan, before: "the end of the script") }
    }

    /// Bytes below the directives in which misplaced ones are looked for.
    private static let searchBytesMax = 64 << 10

    private struct Scan {
        var number = 0
        /// The number of the first line that does not begin with `#`.
        var end: Int?
        /// The line before was a directive and ended with a backslash.
        var isOpen = false
        /// Of all directives.
        var bytes = 0
        var isOver: Bool { end != nil }
    }

    private mutating func take(_ line: ArraySlice<UInt8>, _ scan: inout Scan) {
        let number = scan.number
        guard line.first == UInt8(ascii: "#") else {
            endOpenLine(scan, before: "a line that does not begin with #")
            noteMisspelt(line, number)
            scan.end = number
            return
        }
        guard let family = family(line) else {
            if scan.isOpen { endOpenLine(scan, before: "a comment") }
            scan.isOpen = false
            noteMisspelt(line, number)
            return
        }
        scan.bytes += line.count
        var text = behind(family, line)
        let goesOn = text.last == UInt8(ascii: "\\")
        if goesOn { text = text.dropLast() }
        if scan.isOpen, let last = lines.indices.last {
            join(text, family, to: last, number)
        } else {
            lines.append(Line(family: family, number: number, text: Array(text)))
        }
        scan.isOpen = goesOn
    }

    private var families: [DirectiveRule.Family] { directive == nil ? [.datawarp, .persistent] : [.datawarp] }

    /// What a line begins with behind its `#`.
    private func name(_ family: DirectiveRule.Family) -> String { directive ?? family.rawValue }

    private func family(_ line: ArraySlice<UInt8>) -> DirectiveRule.Family? {
        families.first { line.dropFirst().starts(with: name($0).utf8) }
    }

    /// The line without `#DW`.
    private func behind(_ family: DirectiveRule.Family, _ line: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        line.dropFirst(1 + name(family).utf8.count)
    }

    private mutating func join(
        _ text: ArraySlice<UInt8>, _ family: DirectiveRule.Family, to last: Int, _ number: Int
    ) {
        let open = lines[last]
        guard open.family == family else {
            fault(
                number,
                "#\(family.rawValue) cannot go on with \(place(open.number)): begin it with #\(open.family.rawValue)")
            return
        }
        guard open.text.count + text.count <= DirectiveLimits.lineBytesMax else {
            fault(number, "a directive of more than \(DirectiveLimits.lineBytesMax) bytes: write shorter lines")
            return
        }
        var text = text
        if let before = open.text.last, ByteText.isBlank(before) { text = text.drop(while: ByteText.isBlank) }
        lines[last].text += text
    }

    private mutating func endOpenLine(_ scan: Scan, before what: String) {
        guard scan.isOpen, let last = lines.last else { return }
        fault(
            last.number,
            "ends with a backslash before \(what): go on in the next line with #\(name(last.family)), or remove it")
    }

    private mutating func fault(_ number: Int, _ text: String) {
        if faults.count < DirectiveLimits.faultsMax {
            faults.append(Fault(number: number, text: ErrorLine(text).at(place(number))))
        }
    }

    // MARK: Notes

    private mutating func note(_ number: Int, _ text: String) {
        if notes.count < DirectiveLimits.notesMax { notes.append(ErrorLine("\(place(number)): \(text)")) }
    }

    private mutating func noteBelow(_ line: ArraySlice<UInt8>, _ scan: Scan) {
        guard let end = scan.end, let family = family(line), line.first == UInt8(ascii: "#"),
            Self.beginsWithVerb(behind(family, line), family)
        else { return }
        note(
            scan.number, "#\(name(family)) is not read: it stands below \(place(end)), which does not begin with #")
    }

    /// `# DW jobdw`, ` #DW jobdw`, `#dw jobdw`.
    private mutating func noteMisspelt(_ line: ArraySlice<UInt8>, _ number: Int) {
        let rest = line.drop(while: ByteText.isBlank)
        guard rest.first == UInt8(ascii: "#") else { return }
        let word = rest.dropFirst().drop(while: ByteText.isBlank)
        for family in families
        where word.starts(withText: name(family))
            && Self.beginsWithVerb(word.dropFirst(name(family).utf8.count), family)
        {
            note(number, "\(ErrorLine.name(line)) is a plain comment: a directive begins with #\(name(family))")
        }
    }

    private static func beginsWithVerb(_ text: ArraySlice<UInt8>, _ family: DirectiveRule.Family) -> Bool {
        let word = text.drop(while: ByteText.isBlank)
        return DirectiveRule.all.contains { $0.family == family && word.starts(withText: $0.verb.rawValue) }
    }
}
