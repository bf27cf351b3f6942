internal import BurstModel
internal import BurstScreen
internal import BurstSettings
internal import BurstSources
internal import BurstTerminal
internal import Glibc
internal import Synchronization

/// What the screen's thread and the collector's share: the table that is on the screen, sorted anew off the screen's
/// thread with each board, so that a key never waits for 100,000 rows to be sorted.
final class PreparedTable: Sendable {
    private struct State {
        var query: TableQuery?
        var prepared: (query: TableQuery, now: Timestamp, rows: [Int32])?
    }
    private let state = Mutex(State())

    func watch(_ query: TableQuery?) { state.withLock { $0.query = query } }

    /// On the collector's thread, with each new board.
    func prepare(_ board: Board, zone: LocalTime.Zone) {
        guard let query = state.withLock({ $0.query }) else { return }
        let rows = Table.order(query, TableContext(board: board, zone: zone))
        state.withLock { $0.prepared = (query, board.now, rows) }
    }

    func take(for board: Board) -> (query: TableQuery, rows: [Int32])? {
        state.withLock { state in
            guard let prepared = state.prepared, prepared.now == board.now else { return nil }
            return (prepared.query, prepared.rows)
        }
    }
}

/// The monitor on the terminal: one thread, one loop, awake only for keys, signals, new boards and an optional clock.
struct FullScreen {
    /// No key for so long means that nobody looks (monitor.md §3.10).
    static let idleSeconds = 15 * 60
    /// A storm of window changes is laid out once in so many milliseconds.
    static let resizePauseMilliseconds: Int32 = 50

    let terminal: CursesTerminal
    let source: any BoardSource
    let wake: Wake
    let prepared: PreparedTable
    let themeFolders: [String]
    let depth: ColorDepth
    let ascii: Bool
    let canCopy: Bool

    var theme: Theme
    var looks: [Style: Look] = [:]
    var state: MonitorState
    var lastKey: Timestamp
    var isIdle = false
    var isDirty = true

    /// Runs until the user or a signal ends it. Returns the signal, if it was one.
    mutating func run() -> TerminalSignal? {
        source.start()
        // The first frame is there before the first answer.
        draw()
        var resizePending = false
        while true {
            var descriptors = [
                pollfd(fd: terminal.inputDescriptor, events: Int16(POLLIN), revents: 0),
                pollfd(fd: terminal.mailbox.descriptor, events: Int16(POLLIN), revents: 0),
                pollfd(fd: wake.descriptor, events: Int16(POLLIN), revents: 0),
            ]
            let count = poll(&descriptors, 3, resizePending ? Self.resizePauseMilliseconds : timeout())
            let now = SourceClock.system.now()
            if count == 0 {
                if resizePending {
                    resizePending = false
                    resized(to: terminal.size())
                } else {
                    tick(now)
                }
            }
            for signal in terminal.mailbox.take() {
                if signal.ends { return signal }
                switch signal {
                case .resized: resizePending = true
                case .stop:
                    if let ending = resume({ $0.terminal.suspend() }) { return ending }
                case .goOn:
                    if let ending = resume({ $0.terminal.resume() }) { return ending }
                case .user2: reloadTheme(now)
                default: break
                }
            }
            if wake.take() { take(now) }
            if descriptors[0].revents != 0 {
                let input = terminal.read()
                for key in input.keys {
                    pressed(now)
                    for request in Monitor.press(key, &state, at: now) {
                        switch request {
                        case .quit: return nil
                        case .suspend:
                            if let ending = resume({ $0.terminal.suspend() }) { return ending }
                        default: perform(request, now)
                        }
                    }
                    isDirty = true
                }
                if input.isHungUp { return .hangUp }
            }
            if isDirty, !resizePending { draw() }
        }
    }

    /// Milliseconds until something has to be drawn without a cause from outside; -1 for never.
    private func timeout() -> Int32 {
        if state.showsClock || state.messageUntil != nil || state.live.statusRunningSince != nil { return 1000 }
        return isIdle ? -1 : 60_000
    }

    private mutating func tick(_ now: Timestamp) {
        if Monitor.tick(&state, at: now) || state.showsClock { isDirty = true }
        if !isIdle, now.seconds(since: lastKey) >= Self.idleSeconds {
            isIdle = true
            source.send(.idle(true))
        }
    }

    private mutating func pressed(_ now: Timestamp) {
        lastKey = now
        if isIdle {
            isIdle = false
            source.send(.idle(false))
        }
    }

    private mutating func take(_ now: Timestamp) {
        let delivery = source.latest()
        let known = state.live.cancels.count
        if let (query, rows) = prepared.take(for: delivery.board) {
            state.prepare(query, sequence: delivery.sequence, rows: rows)
        }
        Monitor.take(delivery, &state, at: now)
        if delivery.replay == nil, delivery.cancels.count > known, let last = delivery.cancels.last {
            let command = last.arguments.joined(separator: " ")
            let words = last.errors.split(whereSeparator: \.isNewline).joined(separator: " ")
            switch last.end {
            case .exit(0):
                state.say("\(command): accepted; the state shows what it did", role: .severityOK, at: now, seconds: 15)
            case .exit(let code): state.say("\(command): exit \(code) \(words)", role: .textError, at: now, seconds: 30)
            case .failed(let why): state.say("not cancelled: \(why)", role: .textError, at: now, seconds: 30)
            case .signal, .timedOut:
                state.say("\(command): no answer in time \(words)", role: .textError, at: now, seconds: 30)
            }
        }
        let stray = terminal.takeStandardError()
        if !stray.isEmpty {
            let line = stray.split(whereSeparator: \.isNewline).joined(separator: " | ")
            source.send(
                .note(
                    Event(
                        at: now, level: .error, kind: .note, subject: .controller, text: "stderr: \(line.prefix(500))"))
            )
        }
        isDirty = true
    }

    // MARK: Requests

    private mutating func perform(_ request: MonitorRequest, _ now: Timestamp) {
        switch request {
        case .quit, .suspend: break
        case .redraw: terminal.redraw()
        case .source(let request): source.send(request)
        case .copy(let text):
            if !canCopy || !terminal.copyToClipboard(text) {
                state.say("id: \(text)   (start with --clipboard to copy)", at: now, seconds: 15)
            }
        case .export(let path, let text): export(path, text, now)
        case .theme(let name, let keep): loadTheme(name, keep: keep, now)
        case .mouse(let on):
            terminal.setMouse(on)
            state.say(on ? "mouse on: click selects, wheel scrolls; hold Shift to mark text" : "mouse off", at: now)
        case .clock(let on): state.showsClock = on
        }
    }

    private mutating func export(_ path: String, _ text: String, _ now: Timestamp) {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            state.say("\(path): \(String(cString: strerror(errno)))", role: .textError, at: now, seconds: 15)
            return
        }
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let written = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            if written < 0 {
                if errno == EINTR { continue }
                state.say("\(path): \(String(cString: strerror(errno)))", role: .textError, at: now, seconds: 15)
                close(descriptor)
                return
            }
            bytes = bytes.dropFirst(written)
        }
        close(descriptor)
        state.say("wrote \(path)", at: now)
    }

    private mutating func loadTheme(_ name: String, keep: Bool, _ now: Timestamp) {
        do {
            theme = try ThemeFile.load(name, folders: themeFolders)
            looks = [:]
            terminal.redraw()
            if keep { state.themeName = name }
        } catch {
            state.say(error.description, role: .textError, at: now, seconds: 20)
            source.send(
                .note(Event(at: now, level: .error, kind: .note, subject: .controller, text: error.description)))
        }
    }

    private mutating func reloadTheme(_ now: Timestamp) {
        loadTheme(state.themeName, keep: true, now)
        isDirty = true
    }

    // MARK: Terminal

    /// Gives the terminal away and takes it back; nothing is asked meanwhile.
    private mutating func resume(_ give: (FullScreen) -> CursesTerminal.Resumption) -> TerminalSignal? {
        source.send(.suspended(true))
        let resumption = give(self)
        switch resumption {
        case .resumed(let size):
            source.send(.suspended(false))
            resized(to: size)
            take(SourceClock.system.now())
            draw()
            return nil
        case .ending:
            return terminal.mailbox.take().first(where: \.ends) ?? .terminate
        }
    }

    private mutating func resized(to size: Size) {
        terminal.resize(to: size)
        Monitor.resize(size, &state)
        isDirty = true
    }

    private mutating func draw() {
        isDirty = false
        let query = state.screen.isTable ? state.tables[state.screen]?.query : nil
        prepared.watch(query)
        let grid = Draw.grid(state, theme: theme, ascii: ascii, now: SourceClock.system.now())
        let theme = theme
        let depth = depth
        var looks = looks
        terminal.show(grid) { style in
            if let look = looks[style] { return look }
            let look = theme.look(for: style, depth: depth)
            looks[style] = look
            return look
        }
        self.looks = looks
    }
}
