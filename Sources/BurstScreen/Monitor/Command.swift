package import BurstModel

/// The `:` command line.
package enum Command {
    struct Verb: Sendable {
        var name: String
        var argument: String
        var text: String
    }

    static let verbs: [Verb] = [
        Verb(name: "ack", argument: "", text: "acknowledge the alert of this row"),
        Verb(name: "bbstat", argument: "[ARGS]", text: "show bbstat ARGS: runs a script on the controller"),
        Verb(name: "cancel", argument: "ID", text: "open the cancel popup for a job"),
        Verb(name: "clock", argument: "on|off", text: "the ticking age in the header"),
        Verb(name: "columns", argument: "A,B,.. | usual", text: "columns of this screen"),
        Verb(name: "dwstat", argument: "[ARGS]", text: "show dwstat ARGS"),
        Verb(name: "export", argument: "FILE", text: "write this view to a file"),
        Verb(name: "filter", argument: "[EXPRESSION]", text: "filter of this screen"),
        Verb(name: "goto", argument: "TIME", text: "replay: go to a time"),
        Verb(name: "help", argument: "", text: "the keys"),
        Verb(name: "interval", argument: "SECONDS", text: "seconds between polls"),
        Verb(name: "job", argument: "ID", text: "what scontrol says of a job"),
        Verb(name: "mouse", argument: "on|off", text: "click to select, wheel to scroll"),
        Verb(name: "pool", argument: "[NAME]", text: "only one pool"),
        Verb(name: "q", argument: "", text: "quit"),
        Verb(name: "refresh", argument: "", text: "ask now"),
        Verb(name: "screen", argument: "NAME", text: "another screen"),
        Verb(name: "sort", argument: "COLUMN", text: "sort this screen"),
        Verb(name: "speed", argument: "N", text: "replay: N times as fast"),
        Verb(name: "state", argument: "[NAME*]", text: "only one state, globs too"),
        Verb(name: "stop", argument: "", text: "forget the cancels that are not sent yet"),
        Verb(name: "theme", argument: "NAME", text: "another theme"),
        Verb(name: "user", argument: "[NAME]", text: "only one user"),
    ]

    /// Whether a command can do anything here: nothing is cancelled in read-only mode, only a replay has other times.
    static func applies(_ name: String, _ state: MonitorState) -> Bool {
        switch name {
        case "cancel", "stop": state.keys.keys[.cancel] != nil
        case "goto", "speed": state.isReplay
        default: true
        }
    }

    package static func run(_ line: String, _ state: inout MonitorState, at now: Timestamp) -> [MonitorRequest] {
        let words = line.split(separator: " ", maxSplits: 1).map(String.init)
        guard let name = words.first else { return [] }
        if state.commandHistory.last != line { state.commandHistory.append(line) }
        if state.commandHistory.count > 200 { state.commandHistory.removeFirst() }
        let argument = words.count > 1 ? words[1].trimmed : ""
        func wrong(_ text: String) -> [MonitorRequest] {
            state.say(text, role: .textError, at: now, seconds: 15)
            return []
        }
        switch name {
        case "q", "quit", "q!", "wq": return [.quit]
        case "help", "h": state.overlay = .help(top: 0)
        case "refresh", "r": return [.source(.refresh)]
        case "stop":
            state.say("\(state.live.cancelsWaiting) cancels were waiting; none of them is sent any more", at: now)
            return [.source(.stopCancels)]
        case "ack": return Monitor.perform(.acknowledge, &state, at: now)
        case "bbstat", "dwstat":
            _ = Monitor.go(to: .status, &state)
            return Monitor.askStatus(argument, word: name, &state, at: now)
        case "pool", "user", "state":
            if !state.screen.isTable || state.screen == .events { _ = Monitor.go(to: .buffers, &state) }
            guard Table.columns(state.screen).contains(where: { $0.name == name }) else {
                return wrong("the \(state.screen.title) screen has no column \(name)")
            }
            if argument.contains("*") || argument.contains(",") {
                if let fault = Monitor.setFilter(&state, "\(name)=\(argument)") { return wrong(fault) }
            } else {
                Monitor.narrow(&state, name, to: argument.isEmpty ? nil : argument)
            }
        case "filter":
            if let fault = Monitor.setFilter(&state, argument) { return wrong(fault) }
        case "sort":
            guard state.screen.isTable else { return wrong("the \(state.screen.title) screen cannot be sorted") }
            let (column, descending) = sortOrder(argument)
            guard column == "attention" || Table.columns(state.screen).contains(where: { $0.name == column }) else {
                let names = Table.columns(state.screen).map(\.name).joined(separator: ", ")
                return wrong("no column \"\(column)\"; attention, \(names)")
            }
            Monitor.changeQuery(&state) {
                $0.sort = column
                if let descending { $0.descending = descending }
            }
        case "columns":
            guard state.screen.isTable else { return wrong("the \(state.screen.title) screen has no columns") }
            if argument.isEmpty || argument == "usual" {
                state.tables[state.screen]!.columns = nil
            } else {
                let names = argument.split(separator: ",").map { String($0).trimmed }
                let known = Table.columns(state.screen).map(\.name)
                if let unknown = names.first(where: { !known.contains($0) }) {
                    return wrong("no column \"\(unknown)\"; \(known.joined(separator: ", "))")
                }
                state.tables[state.screen]!.columns = names
            }
        case "screen":
            guard let screen = ScreenID(name: argument) ?? Int(argument).flatMap({ ScreenID(rawValue: $0) }) else {
                return wrong("no screen \"\(argument)\"; \(ScreenID.allCases.map(\.name).joined(separator: ", "))")
            }
            return Monitor.go(to: screen, &state)
        case "theme":
            guard state.themes.contains(argument) || argument.contains("/") else {
                return wrong("no theme \"\(argument)\"; \(state.themes.joined(separator: ", "))")
            }
            state.themeName = argument
            return [.theme(name: argument, keep: true)]
        case "interval":
            guard let seconds = Int(argument), (1...3600).contains(seconds) else {
                return wrong("\"\(argument)\" is no number of seconds from 1 to 3600")
            }
            return [.source(.intervalSet(seconds: seconds))]
        case "job":
            guard let id = JobID(argument) else { return wrong("\"\(argument)\" is no job id") }
            state.overlay = .job(id, top: 0, raw: false)
            return state.isReplay ? [] : [.source(.detail(id, again: false))]
        case "cancel":
            guard let id = JobID(argument) else {
                return wrong("\"\(argument)\" is no job id; it stands in the JOB column")
            }
            return Monitor.openCancel([id], &state, at: now)
        case "export":
            guard !argument.isEmpty else { return wrong("export needs a file name") }
            return [.export(path: argument, text: Monitor.exportText(&state))]
        case "mouse", "clock":
            guard argument == "on" || argument == "off" else { return wrong("\(name) on or \(name) off") }
            if name == "clock" { state.showsClock = argument == "on" }
            return [name == "mouse" ? .mouse(argument == "on") : .clock(argument == "on")]
        case "goto":
            guard state.isReplay else { return wrong("only a replay can go to a time") }
            guard let time = time(argument, state) else {
                return wrong("\"\(argument)\" is no time; 14:02, 14:02:11 or 2026-11-22T14:02:11")
            }
            return [.source(.replay(.seek(time)))]
        case "speed":
            guard state.isReplay else { return wrong("only a replay has a speed") }
            guard let speed = Double(argument), speed > 0, speed <= 10_000 else {
                return wrong("\"\(argument)\" is no speed from 0.1 to 10000")
            }
            return [.source(.replay(.speed(speed)))]
        default:
            let near = verbs.map(\.name).filter { $0.hasPrefix(name) }
            if near.count == 1 { return run(([near[0]] + words.dropFirst()).joined(separator: " "), &state, at: now) }
            return wrong("no command \"\(name)\"; Tab completes, ? helps")
        }
        return []
    }

    /// `size`, `-size` and `size:desc`, `size:asc`.
    package static func sortOrder(_ text: String) -> (column: String, descending: Bool?) {
        if text.hasPrefix("-") { return (String(text.dropFirst()), true) }
        if text.hasSuffix(":desc") { return (String(text.dropLast(5)), true) }
        if text.hasSuffix(":asc") { return (String(text.dropLast(4)), false) }
        return (text, nil)
    }

    /// A time of day of the replay's day, or a whole date and time, in the display's zone.
    static func time(_ text: String, _ state: MonitorState) -> Timestamp? {
        if let time = Timestamp(rfc3339: text) { return time }
        if let local = LocalTime(text: text) { return state.zone.moment(local) }
        let day = state.zone.local(state.live.replay?.time ?? state.board.now).text.prefix(10)
        let clock = text.utf8.count == 5 ? text + ":00" : text
        return LocalTime(text: "\(day)T\(clock)").map(state.zone.moment)
    }

    /// Lines that begin as typed and go on sensibly.
    static func completions(_ line: String, _ state: MonitorState) -> [String] {
        let words = line.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard words.count > 1 else {
            return verbs.map(\.name).filter { $0.hasPrefix(line) && applies($0, state) }.map { verb in
                verbs.first { $0.name == verb }!.argument.isEmpty ? verb : verb + " "
            }
        }
        let values: [String]
        switch words[0] {
        case "pool", "user", "state": values = self.values(of: words[0], state)
        case "sort": values = ["attention"] + Table.columns(state.screen).map(\.name)
        case "columns": values = ["usual"] + Table.columns(state.screen).map(\.name)
        case "theme": values = state.themes
        case "screen": values = ScreenID.allCases.map(\.name)
        case "mouse", "clock": values = ["on", "off"]
        case "job", "cancel": values = state.board.jobRows.map { "\($0.id)" }
        case "bbstat", "dwstat":
            values = [
                "most", "all", "instances", "sessions", "configurations", "registrations", "activations", "fragments",
                "nodes", "pools",
            ]
        default: values = []
        }
        return values.filter { $0.hasPrefix(words[1]) }.prefix(200).map { words[0] + " " + $0 }
    }

    /// Values that a column holds now, for completion.
    static func values(of column: String, _ state: MonitorState) -> [String] {
        let board = state.board
        switch column {
        case "pool": return board.poolRows.map(\.pool.name)
        case "user": return board.userRows.map(\.user)
        case "state", "alloc": return BufferState.named.map(\.name)
        case "phase": return Array(Set(board.stagingRows.map { board.session($0).phase.name })).sorted()
        case "direction": return ["in", "out", "save"]
        case "jobstate": return ["PD", "CF", "R", "CG", "SO", "CD", "CA", "F", "TO"]
        case "plugin": return board.burst?.value.plugins.map(\.name) ?? []
        default: return []
        }
    }
}

extension String {
    /// Without blanks at both ends.
    var trimmed: String {
        var text = Substring(self)
        while let first = text.first, first.isWhitespace { text.removeFirst() }
        while let last = text.last, last.isWhitespace { text.removeLast() }
        return String(text)
    }
}
