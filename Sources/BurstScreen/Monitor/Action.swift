/// Everything a key can do. One table serves the dispatcher, the help and the settings file, so they cannot drift
/// apart.
package enum Action: String, CaseIterable, Hashable, Sendable {
    case help, command, search, searchNext = "search-next", searchPrevious = "search-previous", filter
    case pickPool = "pick-pool", pickUser = "pick-user", pickState = "pick-state"
    case sort, invert, sortPrevious = "sort-previous", sortNext = "sort-next"
    case down, up, top, bottom, halfDown = "half-down", halfUp = "half-up", pageDown = "page-down", pageUp = "page-up"
    case left, right
    case nextScreen = "next-screen", previousScreen = "previous-screen"
    case overview, pools, buffers, users, jobs, status, events, config, stage
    case open, back, detail, raw, columns
    case tag, untagAll = "untag-all", attention, acknowledge, alerts
    case pause, refresh, slower, faster
    case cancel
    case goJob = "go-job", goBuffer = "go-buffer", goStatus = "go-status"
    case copy, export, themes
    case redraw, suspend, interrupt, quit
    case replayPrevious = "replay-previous", replayNext = "replay-next", replayToggle = "replay-toggle"
    case replayBack = "replay-back", replayOn = "replay-on", replayGoTo = "replay-go-to"

    /// Part of the help in which it stands.
    package enum Group: String, CaseIterable, Sendable {
        case move = "Move", look = "Look", narrow = "Narrow", act = "Act", replay = "Replay", program = "Program"
    }

    /// Keys that do it unless the settings file says otherwise, and what it does in a few words.
    package var usual: (keys: [Key], group: Group, text: String) {
        switch self {
        case .help: ([.character("?"), .function(1)], .program, "help for this screen")
        case .command: ([.character(":")], .program, "command line, Tab completes")
        case .search: ([.character("/"), .function(3)], .narrow, "search as you type")
        case .searchNext: ([.character("n")], .narrow, "next match")
        case .searchPrevious: ([.character("N")], .narrow, "previous match")
        case .filter: ([.character("\\"), .function(4)], .narrow, "filter: pool=x size>1T age>2h ...")
        case .pickPool: ([.character("p")], .narrow, "only one pool")
        case .pickUser: ([.character("u")], .narrow, "only one user")
        case .pickState: ([.character("S")], .narrow, "only one state")
        case .sort: ([.character("s"), .function(6)], .look, "choose the column to sort by")
        case .invert: ([.character("I")], .look, "turn the order around")
        case .sortPrevious: ([.character("<")], .look, "sort by the column before")
        case .sortNext: ([.character(">")], .look, "sort by the next column")
        case .down: ([.character("j"), .down], .move, "down")
        case .up: ([.character("k"), .up], .move, "up")
        case .top: ([.character("g"), .home], .move, "first row")
        case .bottom: ([.character("G"), .end], .move, "last row")
        case .halfDown: ([.control("d"), .character("w")], .move, "half a page down")
        case .halfUp: ([.control("u"), .character("W")], .move, "half a page up")
        case .pageDown: ([.pageDown, .control("f"), .character("f")], .move, "page down")
        case .pageUp: ([.pageUp, .control("b"), .character("F")], .move, "page up")
        case .left: ([.character("h"), .left], .move, "scroll left")
        case .right: ([.character("l"), .right], .move, "scroll right")
        case .nextScreen: ([.tab, .character("]")], .move, "next screen")
        case .previousScreen: ([.backTab, .character("[")], .move, "previous screen")
        case .overview: ([.character("1")], .move, "Overview")
        case .pools: ([.character("2")], .move, "Pools")
        case .buffers: ([.character("3")], .move, "Buffers")
        case .users: ([.character("4")], .move, "Users")
        case .jobs: ([.character("5")], .move, "Jobs")
        case .status: ([.character("6")], .move, "Status: bbstat and dwstat")
        case .events: ([.character("7")], .move, "Events")
        case .config: ([.character("8")], .move, "Config")
        case .stage: ([.character("9")], .move, "Stage: copies in and out of buffers")
        case .open: ([.enter, .character("o")], .move, "go in: pool, its buffers, the job")
        case .back: ([.escape, .backspace, .character("x")], .move, "back; clears search and filter")
        case .detail: ([.character("d")], .look, "detail pane on or off")
        case .raw: ([.character("v")], .look, "what Slurm printed, word for word")
        case .columns: ([.character("C")], .look, "choose columns")
        case .tag: ([.character(" "), .character("m")], .act, "tag the row")
        case .untagAll: ([.character("U")], .act, "untag all rows")
        case .attention: ([.character("!")], .narrow, "only rows that need attention")
        case .acknowledge: ([.character("a")], .act, "acknowledge the alert")
        case .alerts: ([.character("A")], .look, "all alerts, with what to do")
        case .pause: ([.character("z"), .function(8)], .look, "freeze the view; collection goes on")
        case .refresh: ([.character("R"), .function(5)], .act, "ask now (at most every 2 s)")
        case .slower: ([.character("+")], .act, "ask less often")
        case .faster: ([.character("-")], .act, "ask more often, down to the site's floor")
        case .cancel: ([.character("c"), .function(9)], .act, "cancel the job, or the tagged ones; asks first")
        case .goJob: ([.character("J")], .move, "to the job")
        case .goBuffer: ([.character("B")], .move, "to the job's buffer")
        case .goStatus: ([.character("O")], .move, "to bbstat for it")
        case .copy: ([.character("y")], .act, "copy the id")
        case .export: ([.character("e")], .act, "write this view to a file")
        case .themes: ([.character("t"), .function(2)], .look, "theme, with live preview")
        case .redraw: ([.control("l"), .character("L")], .program, "paint everything again")
        case .suspend: ([.control("z"), .character("Z")], .program, "suspend (fg comes back)")
        case .interrupt: ([.control("c")], .program, "close the dialog, then quit")
        case .quit: ([.character("q"), .function(10), .character("Q")], .program, "quit")
        case .replayPrevious: ([.character(","), .character("T")], .replay, "previous sample")
        case .replayNext: ([.character("."), .character(";")], .replay, "next sample")
        case .replayToggle: ([.character("P")], .replay, "play or stop (Space too)")
        case .replayBack: ([.character("{")], .replay, "ten samples back")
        case .replayOn: ([.character("}")], .replay, "ten samples on")
        case .replayGoTo: ([.character("b")], .replay, "go to a time")
        }
    }
}

/// Which key does what: the usual table, changed by the settings file and by read-only mode.
package struct KeyMap: Hashable, Sendable {
    package private(set) var keys: [Action: [Key]]
    private var actions: [Key: Action]

    /// - Parameter readOnly: leaves out what acts on jobs, in the table and so in the help.
    package init(readOnly: Bool = false, replay: Bool = false) {
        keys = [:]
        actions = [:]
        for action in Action.allCases {
            if readOnly || replay, action == .cancel { continue }
            if !replay, action.usual.group == .replay { continue }
            keys[action] = action.usual.keys
        }
        rebuild()
    }

    private mutating func rebuild() {
        actions = [:]
        for action in Action.allCases { for key in keys[action] ?? [] { actions[key] = action } }
    }

    package func action(for key: Key) -> Action? { actions[key] }

    /// Gives an action another key. Its usual keys are free then; a key that does something else already is taken.
    /// Returns what is wrong, in one line, or nil.
    package mutating func remap(_ name: String, to keyName: String) -> String? {
        guard let action = Action(rawValue: name) else {
            return "no action is called \"\(name)\"; the help (?) and the manual list them"
        }
        guard let key = Key(name: keyName) else {
            return "\"\(keyName)\" is no key; a character, C-x, F1 to F12, Enter, Esc, Tab, Space, Up, PageDown ..."
        }
        guard keys[action] != nil else { return nil }
        if let other = actions[key], other != action {
            return "\(keyName) is \(other.rawValue) already; give that another key first"
        }
        keys[action] = [key]
        rebuild()
        return nil
    }
}

extension Key {
    /// As a person writes it: `x`, `C-d`, `F9`, `Space`, `Enter`, `PageDown`.
    package var name: String {
        switch self {
        case .character(" "): "Space"
        case .character(let character): String(character)
        case .control(let character): "^" + String(character).uppercased()
        case .enter: "Enter"
        case .escape: "Esc"
        case .tab: "Tab"
        case .backTab: "Shift-Tab"
        case .backspace: "Backspace"
        case .delete: "Delete"
        case .up: "Up"
        case .down: "Down"
        case .left: "Left"
        case .right: "Right"
        case .pageUp: "PageUp"
        case .pageDown: "PageDown"
        case .home: "Home"
        case .end: "End"
        case .function(let number): "F\(number)"
        case .mouse, .focus, .unknown: ""
        }
    }

    /// Reads `name`, and `C-x` for Control.
    package init?(name: String) {
        let named: [Key] = [
            .enter, .escape, .tab, .backTab, .backspace, .delete, .up, .down, .left, .right, .pageUp, .pageDown, .home,
            .end, .character(" "),
        ]
        if name.count == 1, let character = name.first, !character.isWhitespace {
            self = .character(character)
        } else if let key = named.first(where: { $0.name.lowercased() == name.lowercased() }) {
            self = key
        } else if name.count == 3, name.lowercased().hasPrefix("c-"), let letter = name.last?.lowercased().first {
            self = .control(letter)
        } else if name.count == 2, name.hasPrefix("^"), let letter = name.last?.lowercased().first {
            self = .control(letter)
        } else if name.uppercased().hasPrefix("F"), let number = Int(name.dropFirst()), (1...12).contains(number) {
            self = .function(number)
        } else {
            return nil
        }
    }
}
