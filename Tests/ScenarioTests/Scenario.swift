/// A scenario: what is set, what is done, and what must be seen, in a file that reads like a transcript.
///
/// A line is one of these; `Tests/ScenarioTests/Scenarios/README.md` says more.
/// ```
/// # a comment; blank lines mean nothing, except that one ends `eventually`
/// plays 22.05 burst                  who plays it (default: both)
/// conf KEY=VALUE                     a line of slurm.conf; KEY= alone takes a line of ours away
/// file PATH [OWNER [MODE]] [escaped] a file, its lines below, each after `> `
/// remove PATH
/// start | stop | kill | freeze | thaw    the controller
/// start -c | start fails             forgetting all jobs | it must refuse to run
/// hook NAME answer TEXT | times COUNT | sleep SECONDS | clear
/// gate NAME... | open NAME...
/// pause SECONDS
/// until job ID WORD                  its state, buffer state or reason is WORD
/// until calls HOOK ID [COUNT]        the hook was called for the job so many times
/// eventually NAME                    the commands below, up to a blank line, are repeated until all is as expected
/// [brief] USER$ COMMAND              then what it must print: `| output`, `! error`, `= status` other than 0
/// hooks                              then the calls of all hooks in order, job by job
/// ```
/// An expected line without a mark is for all. `22.05|` is what that version prints, `26.05|` what that one does and
/// we do, `slurm|` both of them and `burst|` we, where we differ on purpose (`burst-` where we print nothing).
/// A step after `22.05:` or `26.05:` is done on that side alone.
struct Scenario: Sendable {
    /// Whose text a line is.
    enum Mark: String, Sendable { case all = "", slurm, old = "22.05", new = "26.05", burst }

    /// Who plays.
    enum Side: String, Sendable, CaseIterable { case slurm = "22.05", burst }

    /// A line that is expected, with its sign: `| Submitted batch job 1`.
    struct Line: Sendable {
        var mark: Mark
        var text: String
    }

    struct Command: Sendable {
        var user: String
        var text: String
        /// Of `show job` only what concerns burst buffers.
        var isBrief: Bool
        var expected: [Line]
        /// Where the expected lines stand in the file.
        var place: Range<Int>
    }

    enum Step: Sendable {
        case plays(Set<String>)
        case conf(String)
        case file(path: String, owner: String, mode: String, content: [UInt8])
        case remove(String)
        case start(fails: Bool, options: String), stop, kill, freeze, thaw
        case hook(name: String, verb: String, text: String)
        case gate([String]), open([String])
        case pause(Double)
        case untilJob(Int, String)
        case untilCalls(String, Int, Int)
        case eventually(String, [Command])
        case command(Command)
        case hooks([Line], Range<Int>)
    }

    struct Entry: Sendable {
        var line: Int
        var only: Side?
        var step: Step
    }

    var entries: [Entry] = []
    var lines: [String]

    func isPlayed(by side: Side) -> Bool {
        for case .plays(let sides) in entries.map(\.step) { return sides.contains(side.rawValue) }
        return true
    }

    // MARK: Expectations

    /// What a side must print.
    static func expected(_ lines: [Line], by side: Side) -> [String] {
        var found: [String] = []
        var index = 0
        while index < lines.count {
            if lines[index].mark == .all {
                found.append(lines[index].text)
                index += 1
                continue
            }
            let end = lines[index...].firstIndex { $0.mark == .all } ?? lines.count
            let run = lines[index..<end]
            let wanted: Set<Mark> =
                switch side {
                case .slurm: [.slurm, .old]
                case .burst: run.contains { $0.mark == .burst } ? [.burst] : [.slurm, .new]
                }
            found += run.filter { wanted.contains($0.mark) && $0.text != "-" }.map(\.text)
            index = end
        }
        return found
    }

    /// The expected lines after 22.05 was asked again: what both print stands once, differences side by side. Nil where
    /// lines of our own stand, which are edited by hand. Where nothing was expected, all is taken to be everybody's.
    static func recorded(_ printed: [String], over lines: [Line]) -> [String]? {
        if lines.contains(where: { $0.mark == .burst || $0.mark == .slurm }) { return nil }
        if lines.isEmpty { return printed }
        let new = lines.filter { $0.mark != .old }.map(\.text)
        var result: [String] = []
        for (sign, text) in Difference.lines(from: printed, to: new) {
            switch sign {
            case " ": result.append(text)
            case "-": result.append("22.05" + text)
            default: result.append("26.05" + text)
            }
        }
        return result
    }
}

extension Scenario {
    /// The expected lines after burstd was asked: where it differs, Slurm's lines and then ours.
    static func compared(_ printed: [String], over lines: [Line]) -> [String] {
        struct Part {
            var lines: ArraySlice<Line>
            var wanted: [String]
            var found: [String] = []
            var isMarked: Bool { lines.contains { $0.mark != .all } }
        }
        var parts: [Part] = []
        var index = 0
        while index < lines.count {
            var end = index + 1
            if lines[index].mark != .all { end = lines[index...].firstIndex { $0.mark == .all } ?? lines.count }
            parts.append(Part(lines: lines[index..<end], wanted: expected(Array(lines[index..<end]), by: .burst)))
            index = end
        }
        // What we print besides belongs to the part before.
        parts.insert(Part(lines: [], wanted: []), at: 0)
        let owners = parts.indices.flatMap { place in parts[place].wanted.map { _ in place } }
        var (place, next) = (0, 0)
        for (sign, text) in Difference.lines(from: parts.flatMap(\.wanted), to: printed) {
            if sign != "+" {
                place = owners[next]
                next += 1
            }
            if sign != "-" { parts[place].found.append(text) }
        }
        var result: [String] = []
        var run: [Part] = []
        func flush() {
            if run.contains(where: { $0.wanted != $0.found }) {
                for line in run.flatMap(\.lines) where line.mark != .burst {
                    result.append((line.mark == .all ? "slurm" : line.mark.rawValue) + line.text)
                }
                let own = run.flatMap(\.found)
                result += own.isEmpty ? ["burst-"] : own.map { "burst" + $0 }
            } else {
                for line in run.flatMap(\.lines) { result.append(line.mark.rawValue + line.text) }
            }
            run = []
        }
        for part in parts {
            if !part.isMarked, part.wanted == part.found { flush() }
            run.append(part)
            if !part.isMarked, part.wanted == part.found { flush() }
        }
        flush()
        return result
    }
}

/// What is wrong with a scenario's file.
struct ScenarioFault: Error, CustomStringConvertible {
    var line: Int
    var text: String
    var description: String { "line \(line): \(text)" }
}

// MARK: Reading

extension Scenario {
    init(_ text: String) throws(ScenarioFault) {
        lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        var index = 0
        while index < lines.count {
            let number = index + 1
            var line = lines[index][...]
            index += 1
            if line.isEmpty || line.hasPrefix("#") { continue }
            var only: Side?
            if line.hasPrefix("22.05: ") { only = .slurm }
            if line.hasPrefix("26.05: ") { only = .burst }
            if only != nil { line = line.dropFirst(7) }
            let step = try step(String(line), number, &index)
            entries.append(Entry(line: number, only: only, step: step))
        }
    }

    private func step(_ line: String, _ number: Int, _ index: inout Int) throws(ScenarioFault) -> Step {
        let words = line.split(separator: " ").map(String.init)
        func fault(_ text: String) -> ScenarioFault { ScenarioFault(line: number, text: "\(text): \(line)") }
        if let command = command(line, &index) { return .command(command) }
        switch (words[0], words.count) {
        case ("plays", 2...): return .plays(Set(words.dropFirst()))
        case ("conf", 2...): return .conf(String(line.dropFirst(5)))
        case ("file", 2...):
            let isEscaped = words.last == "escaped"
            let others = words.dropFirst(2).filter { $0 != "escaped" }
            var content: [UInt8] = []
            while index < lines.count, lines[index].hasPrefix(">") {
                let text = lines[index].dropFirst(lines[index].hasPrefix("> ") ? 2 : 1)
                content += isEscaped ? Self.unescaped(text) : Array(text.utf8) + [10]
                index += 1
            }
            return .file(
                path: words[1], owner: others.first ?? "root", mode: others.dropFirst().first ?? "0644",
                content: content)
        case ("remove", 2): return .remove(words[1])
        case ("start", 1): return .start(fails: false, options: "")
        case ("start", 2) where words[1] == "-c": return .start(fails: false, options: "-c")
        case ("start", 2) where words[1] == "fails": return .start(fails: true, options: "")
        case ("stop", 1): return .stop
        case ("kill", 1): return .kill
        case ("freeze", 1): return .freeze
        case ("thaw", 1): return .thaw
        case ("hook", 3...):
            let text = words.prefix(3).reduce(line[...]) { $0.dropFirst($1.count + 1) }
            guard ["answer", "times", "sleep", "clear"].contains(words[2]) else { throw fault("unknown verb") }
            return .hook(name: words[1], verb: words[2], text: String(text))
        case ("gate", 2...): return .gate(Array(words.dropFirst()))
        case ("open", 2...): return .open(Array(words.dropFirst()))
        case ("pause", 2):
            guard let seconds = Double(words[1]), seconds > 0, seconds <= 120 else { throw fault("no such pause") }
            return .pause(seconds)
        case ("until", 4...):
            if words[1] == "job", let id = Int(words[2]) {
                return .untilJob(id, words.dropFirst(3).joined(separator: " "))
            }
            if words[1] == "calls", let id = Int(words[3]), let count = words.count > 4 ? Int(words[4]) : 1 {
                return .untilCalls(words[2], id, count)
            }
            throw fault("until job ID WORD, until calls HOOK ID [COUNT]")
        case ("eventually", 1...):
            var commands: [Command] = []
            while index < lines.count, !lines[index].isEmpty {
                let line = lines[index]
                index += 1
                guard let command = command(line, &index) else {
                    throw ScenarioFault(line: index, text: "a command or a blank line belongs here: \(line)")
                }
                commands.append(command)
            }
            return .eventually(words.dropFirst().joined(separator: " "), commands)
        case ("hooks", 1):
            let begin = index
            let expected = expectation(&index)
            return .hooks(expected, begin..<index)
        default: throw fault("unknown step")
        }
    }

    private func command(_ line: String, _ index: inout Int) -> Command? {
        let isBrief = line.hasPrefix("brief ")
        let line = line.dropFirst(isBrief ? 6 : 0)
        for user in ["root", "alice", "bob"] where line.hasPrefix(user + "$ ") {
            let begin = index
            let expected = expectation(&index)
            return Command(
                user: user, text: String(line.dropFirst(user.count + 2)), isBrief: isBrief, expected: expected,
                place: begin..<index)
        }
        return nil
    }

    private func expectation(_ index: inout Int) -> [Line] {
        var found: [Line] = []
        while index < lines.count, let line = Self.line(lines[index]) {
            found.append(line)
            index += 1
        }
        return found
    }

    private static func line(_ text: String) -> Line? {
        for mark in ["slurm", "22.05", "26.05", "burst", ""] where text.hasPrefix(mark) {
            let rest = text.dropFirst(mark.count)
            guard let sign = rest.first, "|!=".contains(sign) || (sign == "-" && mark == "burst" && rest == "-") else {
                continue
            }
            guard let mark = Mark(rawValue: mark) else { continue }
            return Line(mark: mark, text: String(rest))
        }
        return nil
    }

    /// `\r`, `\n`, `\\` and `\xHH`; the end of the line means nothing.
    private static func unescaped(_ text: some StringProtocol) -> [UInt8] {
        var bytes: [UInt8] = []
        var rest = text[...]
        while let character = rest.popFirst() {
            guard character == "\\", let kind = rest.popFirst() else {
                bytes += Array(String(character).utf8)
                continue
            }
            switch kind {
            case "r": bytes.append(13)
            case "n": bytes.append(10)
            case "x":
                bytes.append(UInt8(rest.prefix(2), radix: 16) ?? 63)
                rest = rest.dropFirst(2)
            default: bytes += Array(String(kind).utf8)
            }
        }
        return bytes
    }
}
