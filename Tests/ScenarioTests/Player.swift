import BurstTestSupport
import Glibc

/// Plays a scenario on a stage and notes what was not as expected.
struct Player {
    let scenario: Scenario
    let stage: any ScenarioStage
    /// Whether what the stage printed is written down in place of what was expected of it.
    let isRecording: Bool
    private(set) var faults: [String] = []
    private(set) var edits: [(place: Range<Int>, lines: [String])] = []

    init(_ scenario: Scenario, on stage: any ScenarioStage, isRecording: Bool = false) {
        (self.scenario, self.stage, self.isRecording) = (scenario, stage, isRecording)
    }

    /// How long what must come may take, in seconds.
    private var limit: Double { faults.isEmpty ? 100 : 5 }
    /// What is recorded is not waited for so long: later looks would come too late.
    private var lookLimit: Double { isRecording && stage.side == .burst ? 15 : limit }
    private static let calls = Room.home + "/ctl/calls"

    mutating func play() throws {
        var conf: [String] = []
        for entry in scenario.entries where entry.only == nil || entry.only == stage.side {
            if case .conf(let line) = entry.step { conf.append(line) }
        }
        try stage.furnish(conf: conf)
        for entry in scenario.entries where entry.only == nil || entry.only == stage.side {
            do { try play(entry, conf) } catch {
                faults.append("line \(entry.line): \(error)")
                return
            }
        }
    }

    private mutating func play(_ entry: Scenario.Entry, _ conf: [String]) throws {
        func file(_ name: String) -> String { "\(Room.home)/ctl/\(name)" }
        switch entry.step {
        case .plays, .conf: break
        case .file(let path, let owner, let mode, let content):
            try stage.write(content, to: path, owner: owner, mode: mode)
        case .remove(let path): stage.remove(path)
        case .start(let fails, let options):
            if !fails {
                try stage.start(conf: conf, options: options)
            } else if try stage.startRuns(conf: conf) {
                faults.append("line \(entry.line): it runs, and should have refused to")
            }
        case .stop: try stage.stop()
        case .kill: try stage.kill()
        case .freeze: try stage.freeze()
        case .thaw: try stage.thaw()
        case .hook(let name, let verb, let text):
            let suffix = ["answer": "", "times": ".times", "sleep": ".sleep"][verb]
            if let suffix {
                try stage.write(Array(text.utf8), to: file(name + suffix), mode: "0666")
            } else {
                for suffix in ["", ".times", ".sleep"] { stage.remove(file(name + suffix)) }
            }
        case .gate(let names): for name in names { try stage.write([], to: file(name + ".gate")) }
        case .open(let names): for name in names { stage.remove(file(name + ".gate")) }
        case .pause(let seconds): Wait.until(seconds: seconds, every: seconds) { false }
        case .untilJob(let job, let word):
            var words: [String] = []
            let holds = try Wait.until(seconds: limit, every: 0.1) {
                words = try stage.words(of: job)
                return words.contains(word)
            }
            if !holds {
                faults.append("line \(entry.line): job \(job) is \(words.joined(separator: ", ")), not \(word)")
            }
        case .untilCalls(let hook, let job, let count):
            let holds = Wait.until(seconds: limit, every: 0.1) {
                Normal.calls(stage.read(Self.calls)).count { call in
                    ["\"\(job)\"", "\"--token\", \"\(job)\""].contains { call.hasPrefix("| \(hook)(\($0)") }
                } >= count
            }
            if !holds { faults.append("line \(entry.line): \(hook) was not called \(count) times for job \(job)") }
        case .eventually(let name, let commands): try eventually(name, commands, at: entry.line)
        case .command(let command): try check([command], [print(command)], entry.line)
        case .hooks(let expected, let place):
            let wanted = Scenario.expected(expected, by: stage.side)
            var calls: [String] = []
            Wait.until(seconds: isRecording && wanted.isEmpty ? 2 : lookLimit, every: 0.2) {
                calls = Normal.shortened(Normal.calls(stage.read(Self.calls)), by: wanted)
                return calls == wanted
            }
            compare(calls, expected, place, "hooks", entry.line)
        }
    }

    // MARK: Commands

    /// What a command prints, made normal.
    private func print(_ command: Scenario.Command) throws -> [String] {
        let said = try stage.run(command.user, command.text)
        let text = command.isBrief ? Normal.brief(said.text) : said.text
        var lines = Normal.lines(text, sign: "|") + Normal.lines(said.errorText, sign: "!")
        switch said.end {
        case .exited(0): break
        case .exited(let status): lines.append("= \(status)")
        case .killed(let signal): lines.append("= signal \(signal)")
        case nil: lines.append("= no end")
        }
        return lines
    }

    private mutating func eventually(_ name: String, _ commands: [Scenario.Command], at line: Int) throws {
        var printed: [[String]] = []
        let wanted = commands.map { Scenario.expected($0.expected, by: stage.side) }
        try Wait.until(seconds: isRecording && wanted.allSatisfy(\.isEmpty) ? 2 : lookLimit, every: 0.2) {
            printed = []
            for (command, wanted) in zip(commands, wanted) {
                printed.append(Normal.settled(try print(command), by: wanted))
                if printed.last != wanted { break }
            }
            return printed == wanted
        }
        // What the last look left out, for the report.
        for command in commands.dropFirst(printed.count) { printed.append(try print(command)) }
        check(commands, printed, line)
    }

    private mutating func check(_ commands: [Scenario.Command], _ printed: [[String]], _ line: Int) {
        for (command, printed) in zip(commands, printed) {
            compare(
                printed, command.expected, command.place, "\(command.user)$ \(command.text)", command.place.lowerBound)
        }
    }

    private mutating func compare(
        _ printed: [String], _ expected: [Scenario.Line], _ place: Range<Int>, _ what: String, _ line: Int
    ) {
        let wanted = Scenario.expected(expected, by: stage.side)
        let printed = Normal.settled(printed, by: wanted)
        if printed == wanted { return }
        let new =
            !isRecording
            ? nil
            : stage.side == .burst
                ? Scenario.compared(printed, over: expected)
                : Scenario.recorded(printed, over: expected)
        if let new {
            edits.append((place, new))
        } else {
            faults.append("line \(line): \(what)\n" + Difference.unified(expected: wanted, printed: printed))
        }
    }

    /// The file with what was recorded in its places.
    var text: String {
        var lines = scenario.lines
        for edit in edits.sorted(by: { $0.place.lowerBound > $1.place.lowerBound }) {
            lines.replaceSubrange(edit.place, with: edit.lines)
        }
        return lines.joined(separator: "\n")
    }
}
