package import BurstModel

/// The monitor as a machine: keys, data and ticks in, requests out. No clock and no I/O inside; `now` is an argument.
package enum Monitor {
    /// Takes new data. The view follows unless it is frozen.
    package static func take(_ data: Delivery, _ state: inout MonitorState, at now: Timestamp) {
        // Details, statuses and headers are delivered, too: what a pause misses is samples of the buffers.
        let isSample = data.board.burst?.at != state.live.board.burst?.at
        state.live = data
        noticeChanges(&state)
        if state.isFrozen {
            if isSample { state.missedSamples += 1 }
            // Health is never frozen: a stale controller is shown at once.
            return
        }
        follow(&state)
    }

    /// Shows the newest data and puts every cursor back on its row.
    static func follow(_ state: inout MonitorState) {
        state.data = state.live
        state.missedSamples = 0
        state.stages = Draw.stages(state.board)
        for screen in ScreenID.allCases where screen.isTable && screen == state.screen { settle(&state, screen) }
        let alerts = state.board.alerts.count
        state.overviewSelected = max(0, min(state.overviewSelected, alerts - 1))
    }

    /// The size of the window changed.
    package static func resize(_ size: Size, _ state: inout MonitorState) {
        state.size = size
        guard state.screen.isTable, let table = state.tables[state.screen] else { return }
        let top = table.topBeforeResize ?? table.top
        state.tables[state.screen]!.top = top
        settle(&state, state.screen)
        state.tables[state.screen]!.topBeforeResize = top
    }

    /// Once a second where the clock is on: ends messages that have been shown long enough. True if something changed.
    package static func tick(_ state: inout MonitorState, at now: Timestamp) -> Bool {
        guard let until = state.messageUntil, now >= until else { return false }
        state.message = ""
        state.messageUntil = nil
        return true
    }

    /// Takes a key and says what is to be done.
    package static func press(_ key: Key, _ state: inout MonitorState, at now: Timestamp) -> [MonitorRequest] {
        if state.prompt != nil { return promptKey(key, &state, at: now) }
        if state.overlay != nil { return overlayKey(key, &state, at: now) }
        if case .mouse(let mouse) = key { return mouseEvent(mouse, &state, at: now) }
        if case .focus = key { return [] }
        if state.isReplay, key == .character(" ") { return [.source(.replay(.toggle))] }
        guard let action = state.keys.action(for: key) else {
            if !state.saidUnbound, !key.name.isEmpty {
                state.say("\(key.name) is not bound; ? lists the keys", at: now)
                state.saidUnbound = true
            }
            return []
        }
        return perform(action, &state, at: now)
    }

    // MARK: Actions

    package static func perform(_ action: Action, _ state: inout MonitorState, at now: Timestamp) -> [MonitorRequest] {
        switch action {
        case .help: state.overlay = .help(top: 0)
        case .command: state.prompt = Prompt(.command)
        case .search:
            guard state.screen.isTable else { return unavailable("search", &state, at: now) }
            state.prompt = Prompt(.search)
        case .searchNext: jump(&state, by: 1, at: now)
        case .searchPrevious: jump(&state, by: -1, at: now)
        case .filter:
            guard state.screen.isTable else { return unavailable("a filter", &state, at: now) }
            state.prompt = Prompt(.filter, state.tables[state.screen]!.filterText)
        case .pickPool: return pick(.pool, &state, at: now)
        case .pickUser: return pick(.user, &state, at: now)
        case .pickState: return pick(.state, &state, at: now)
        case .sort: return pick(.sort, &state, at: now)
        case .columns: return pick(.columns, &state, at: now)
        case .themes: return pick(.theme, &state, at: now)
        case .invert: changeQuery(&state) { $0.descending.toggle() }
        case .sortNext: sortBy(&state, step: 1)
        case .sortPrevious: sortBy(&state, step: -1)
        case .down: move(&state, by: 1)
        case .up: move(&state, by: -1)
        case .top: move(&state, by: -Int.max / 2)
        case .bottom: move(&state, by: Int.max / 2)
        case .halfDown: move(&state, by: max(1, bodyRows(state) / 2))
        case .halfUp: move(&state, by: -max(1, bodyRows(state) / 2))
        case .pageDown: move(&state, by: max(1, bodyRows(state) - 1))
        case .pageUp: move(&state, by: -max(1, bodyRows(state) - 1))
        case .left: scroll(&state, by: -1)
        case .right: scroll(&state, by: 1)
        case .nextScreen: return go(to: neighbour(of: state.screen, by: 1), &state)
        case .previousScreen: return go(to: neighbour(of: state.screen, by: -1), &state)
        case .overview: return go(to: .overview, &state)
        case .pools: return go(to: .pools, &state)
        case .buffers: return go(to: .buffers, &state)
        case .users: return go(to: .users, &state)
        case .jobs: return go(to: .jobs, &state)
        case .status: return go(to: .status, &state)
        case .events: return go(to: .events, &state)
        case .config: return go(to: .config, &state)
        case .stage: return go(to: .stage, &state)
        case .open: return open(&state, at: now)
        case .back: return goBack(&state, at: now)
        case .detail: state.showsDetail.toggle()
        case .raw: return raw(&state, at: now)
        case .tag:
            guard let id = selectedID(&state) else { return [] }
            if state.tags.remove(id) == nil { state.tags.insert(id) }
            move(&state, by: 1)
        case .untagAll: state.tags = []
        case .attention: changeQuery(&state) { $0.attentionOnly.toggle() }
        case .acknowledge: return acknowledge(&state, at: now)
        case .alerts: state.overlay = .alerts(selected: 0, top: 0)
        case .pause:
            state.isPaused.toggle()
            if state.isPaused {
                state.say("paused: collection goes on, z shows the newest", at: now)
            } else {
                follow(&state)
            }
        case .refresh:
            if state.isReplay { return unavailable("refresh", &state, at: now) }
            return [.source(.refresh)]
        case .slower: return [.source(.interval(delta: 1))]
        case .faster: return [.source(.interval(delta: -1))]
        case .cancel: return openCancel(&state, at: now)
        case .goJob: return goToJob(&state, at: now)
        case .goBuffer: return goToBuffer(&state, at: now)
        case .goStatus: return goToStatus(&state, at: now)
        case .copy:
            guard let id = selectedID(&state), let text = shortText(id) else { return [] }
            state.say("copied: \(text)", at: now)
            return [.copy(text)]
        case .export: state.prompt = Prompt(.export, "burstmon-\(state.screen.name).csv")
        case .redraw: return [.redraw]
        case .suspend: return [.suspend]
        case .interrupt, .quit: return [.quit]
        case .replayPrevious: return [.source(.replay(.step(-1)))]
        case .replayNext: return [.source(.replay(.step(1)))]
        case .replayToggle: return [.source(.replay(.toggle))]
        case .replayBack: return [.source(.replay(.step(-10)))]
        case .replayOn: return [.source(.replay(.step(10)))]
        case .replayGoTo: state.prompt = Prompt(.goTo)
        }
        return []
    }

    private static func unavailable(_ what: String, _ state: inout MonitorState, at now: Timestamp) -> [MonitorRequest]
    {
        state.say("\(what) does nothing here", at: now)
        return []
    }

    private static func neighbour(of screen: ScreenID, by step: Int) -> ScreenID {
        let all = ScreenID.allCases
        return all[(screen.rawValue - 1 + step + all.count) % all.count]
    }

    static func go(to screen: ScreenID, _ state: inout MonitorState) -> [MonitorRequest] {
        let wasJobs = state.screen == .jobs
        state.screen = screen
        if screen.isTable { settle(&state, screen) }
        if (screen == .jobs) != wasJobs { return [.source(.jobsScreen(screen == .jobs))] }
        return []
    }

    // MARK: Cursor

    /// Rows of the body that a table shows.
    static func bodyRows(_ state: MonitorState) -> Int { Draw.tableRows(state) }

    /// Keeps the cursor on its row wherever that is now, and the row in view.
    static func settle(_ state: inout MonitorState, _ screen: ScreenID) {
        let rows = state.rows(screen)
        guard var table = state.tables[screen] else { return }
        if let selected = table.selected {
            let board = state.board
            let isThere = { (place: Int) in
                place >= 0 && place < rows.count && Table.isRow(board, screen, Int(rows[place]), selected)
            }
            if !isThere(table.place) {
                // A row is found once on the board: after that numbers are compared.
                let index = (0..<Table.rowCount(board, screen)).first { Table.isRow(board, screen, $0, selected) }
                if let place = index.flatMap({ rows.firstIndex(of: Int32($0)) }) {
                    table.place = place
                } else {
                    table.place = max(0, min(table.place, rows.count - 1))
                    table.selected = rows.isEmpty ? nil : Table.id(board, screen, Int(rows[table.place]))
                }
            }
        } else if !rows.isEmpty {
            table.place = max(0, min(table.place, rows.count - 1))
            table.selected = Table.id(state.board, screen, Int(rows[table.place]))
        } else {
            table.place = 0
        }
        state.tables[screen] = table
        let visible = max(1, Draw.tableRows(state))
        if table.place < table.top { table.top = table.place }
        if table.place >= table.top + visible { table.top = table.place - visible + 1 }
        table.top = max(0, min(table.top, max(0, rows.count - visible)))
        state.tables[screen] = table
    }

    static func select(_ place: Int, _ state: inout MonitorState, _ screen: ScreenID) {
        let rows = state.rows(screen)
        guard !rows.isEmpty else { return }
        let place = max(0, min(place, rows.count - 1))
        state.tables[screen]!.place = place
        state.tables[screen]!.topBeforeResize = nil
        state.tables[screen]!.selected = Table.id(state.board, screen, Int(rows[place]))
        settle(&state, screen)
    }

    private static func move(_ state: inout MonitorState, by step: Int) {
        switch state.screen {
        case .overview:
            let last = max(0, state.board.alerts.count - 1)
            state.overviewSelected = max(0, min(last, clampedSum(state.overviewSelected, step)))
        case .status, .config:
            state.textTop[state.screen] = max(
                0, min(clampedSum(state.textTop[state.screen] ?? 0, step), Draw.textLineCount(state) - 1))
        default: select(clampedSum(state.tables[state.screen]!.place, step), &state, state.screen)
        }
    }

    static func clampedSum(_ left: Int, _ right: Int) -> Int {
        let (sum, over) = left.addingReportingOverflow(right)
        return over ? (right > 0 ? .max : .min) : sum
    }

    private static func scroll(_ state: inout MonitorState, by step: Int) {
        guard state.screen.isTable else { return }
        let count = state.tables[state.screen]!.columns?.count ?? Table.columns(state.screen).filter(\.isUsual).count
        state.tables[state.screen]!.skip = max(0, min(count - 1, state.tables[state.screen]!.skip + step))
    }

    static func selectedID(_ state: inout MonitorState) -> RowID? {
        if state.screen == .overview {
            guard state.overviewSelected < state.board.alerts.count else { return nil }
            return .alert(state.board.alerts[state.overviewSelected].id)
        }
        guard state.screen.isTable, let index = state.selectedIndex(state.screen) else { return nil }
        return Table.id(state.board, state.screen, index)
    }

    static func shortText(_ id: RowID) -> String? {
        switch id {
        case .pool(let key): key.name
        case .buffer(let key): key.id.short
        case .user(let name): name
        case .job(let job): "\(job)"
        case .alert(let alert): alert.subject.short
        case .staging(let key): key.token
        case .event: nil
        }
    }

    // MARK: Queries

    static func changeQuery(_ state: inout MonitorState, _ change: (inout TableQuery) -> Void) {
        guard state.screen.isTable else { return }
        change(&state.tables[state.screen]!.query)
        settle(&state, state.screen)
    }

    private static func sortBy(_ state: inout MonitorState, step: Int) {
        guard state.screen.isTable else { return }
        let names = ["attention"] + Table.columns(state.screen).filter(\.isUsual).map(\.name)
        let now = names.firstIndex(of: state.tables[state.screen]!.query.sort) ?? 0
        changeQuery(&state) { $0.sort = names[(now + step + names.count) % names.count] }
    }

    private static func pick(
        _ purpose: PickList.Purpose, _ state: inout MonitorState, at now: Timestamp
    ) -> [MonitorRequest] {
        let board = state.board
        let none = "(all)"
        switch purpose {
        case .theme:
            let current = state.themes.firstIndex(of: state.themeName) ?? 0
            state.overlay = .pick(PickList(.theme, title: "Theme", entries: state.themes, selected: current))
            return []
        case .sort:
            guard state.screen.isTable else { return unavailable("sorting", &state, at: now) }
            let names = ["attention"] + Table.columns(state.screen).map(\.name)
            let current = names.firstIndex(of: state.tables[state.screen]!.query.sort) ?? 0
            state.overlay = .pick(PickList(.sort, title: "Sort by", entries: names, selected: current))
            return []
        case .columns:
            guard state.screen.isTable else { return unavailable("choosing columns", &state, at: now) }
            let all = Table.columns(state.screen)
            var list = PickList(.columns, title: "Columns (Space)", entries: all.map(\.name), selected: 0)
            list.chosen = Set(state.tables[state.screen]!.columns ?? all.filter(\.isUsual).map(\.name))
            state.overlay = .pick(list)
            return []
        case .pool, .user, .state: break
        }
        if !state.screen.isTable || state.screen == .events { _ = go(to: .buffers, &state) }
        let column = purpose == .pool ? "pool" : purpose == .user ? "user" : "state"
        guard Table.columns(state.screen).contains(where: { $0.name == column }) else {
            return unavailable("that", &state, at: now)
        }
        var entries: [String]
        switch purpose {
        case .pool: entries = board.poolRows.map(\.pool.name)
        case .user: entries = board.userRows.map(\.user)
        default:
            // What the rows of this table say, so that every entry finds some.
            var seen = Set<String>()
            let context = state.context
            let value = Table.columns(state.screen).first { $0.name == column }!.value
            for index in 0..<Table.rowCount(board, state.screen) {
                if case .text(let name) = value(context, index) { seen.insert(name) }
            }
            entries = Array(seen)
        }
        entries = [none] + Array(Set(entries)).sorted()
        let current = state.tables[state.screen]!.query.quick[column].flatMap { entries.firstIndex(of: $0) } ?? 0
        let title = purpose == .pool ? "Pool" : purpose == .user ? "User" : "State"
        state.overlay = .pick(PickList(purpose, title: title, entries: entries, selected: current))
        return []
    }

    /// Sets an exact value for a column; nil takes it away.
    static func narrow(_ state: inout MonitorState, _ column: String, to value: String?) {
        changeQuery(&state) { $0.quick[column] = value }
    }

    /// Sets the filter of the screen; returns what is wrong with it, in one line.
    static func setFilter(_ state: inout MonitorState, _ text: String) -> String? {
        guard state.screen.isTable else { return "no filter here" }
        do {
            let filter = try Filter(text, fields: Table.fields(state.screen))
            state.tables[state.screen]!.filterText = text
            changeQuery(&state) { $0.filter = filter.isEmpty ? nil : filter }
            return nil
        } catch {
            return error.description
        }
    }

    // MARK: Search

    /// Goes to the next row that holds the text, from the cursor on; `step` 0 stays on a row that holds it.
    static func jump(_ state: inout MonitorState, by step: Int, at now: Timestamp, from start: Int? = nil) {
        guard state.screen.isTable, !state.search.isEmpty else { return }
        let fields = Table.fields(state.screen)
        let quoted = "\"" + state.search.filter { $0 != "\"" } + "\""
        guard let needle = try? Filter(quoted, fields: fields) else { return }
        let rows = state.rows(state.screen)
        let columns = Table.columns(state.screen)
        let context = state.context
        guard !rows.isEmpty else { return }
        let origin = start ?? state.tables[state.screen]!.place
        for offset in 0..<rows.count {
            let distance = step == 0 ? offset : step > 0 ? offset + 1 : -(offset + 1)
            let place = ((origin + distance) % rows.count + rows.count) % rows.count
            if needle.matches({ columns[$0].value(context, Int(rows[place])) }) {
                select(place, &state, state.screen)
                return
            }
        }
        state.say("not found: \(state.search)", at: now)
    }

    // MARK: In and back

    private static func remember(_ state: inout MonitorState) {
        state.back.append(.init(screen: state.screen, table: state.tables[state.screen]))
        if state.back.count > 50 { state.back.removeFirst() }
    }

    private static func open(_ state: inout MonitorState, at now: Timestamp) -> [MonitorRequest] {
        guard let id = selectedID(&state) else { return [] }
        switch id {
        case .alert(let alert): return open(alert, &state, at: now)
        case .staging(let key):
            guard let row = state.board.stagingRows.first(where: { $0.key == key }) else { return [] }
            if let job = row.job {
                state.overlay = .job(job, top: 0, raw: false)
                return state.isReplay ? [] : [.source(.detail(job, again: false))]
            }
            guard let buffer = row.buffer else { return [] }
            return open(.buffer(buffer), &state, at: now)
        case .pool(let key):
            return drill(&state, to: .buffers, quick: ["pool": key.name])
        case .user(let name):
            return drill(&state, to: .buffers, quick: ["user": name])
        case .buffer(let key):
            guard let job = key.id.jobID else { return raw(&state, at: now) }
            state.overlay = .job(job, top: 0, raw: false)
            return state.isReplay ? [] : [.source(.detail(job, again: false))]
        case .job(let job):
            state.overlay = .job(job, top: 0, raw: false)
            return state.isReplay ? [] : [.source(.detail(job, again: false))]
        case .event:
            guard let index = state.selectedIndex(.events) else { return [] }
            return open(state.board.events[index].subject, &state, at: now)
        }
    }

    /// What the stager told is explained on its own screen.
    static func open(_ alert: Alert.ID, _ state: inout MonitorState, at now: Timestamp) -> [MonitorRequest] {
        if RuleThresholds.stagingIDs.contains(alert.rule),
            let row = state.board.stagingRows.first(where: { $0.isAbout(alert.subject) })
        {
            remember(&state)
            let requests = go(to: .stage, &state)
            reveal(.staging(row.key), &state)
            return requests
        }
        return open(alert.subject, &state, at: now)
    }

    static func open(_ subject: Subject, _ state: inout MonitorState, at now: Timestamp) -> [MonitorRequest] {
        switch subject {
        case .buffer(let key):
            remember(&state)
            let requests = go(to: .buffers, &state)
            reveal(.buffer(key), &state)
            return requests
        case .job(let job):
            remember(&state)
            let requests = go(to: .jobs, &state)
            reveal(.job(job), &state)
            return requests
        case .pool(let key):
            remember(&state)
            let requests = go(to: .pools, &state)
            reveal(.pool(key), &state)
            return requests
        case .user(let name):
            return drill(&state, to: .buffers, quick: ["user": name])
        case .controller:
            remember(&state)
            return go(to: .config, &state)
        }
    }

    private static func drill(
        _ state: inout MonitorState, to screen: ScreenID, quick: [String: String]
    ) -> [MonitorRequest] {
        remember(&state)
        var table = TableView(screen)
        table.columns = state.tables[screen]?.columns
        table.query.quick = quick
        state.tables[screen] = table
        return go(to: screen, &state)
    }

    /// Puts the cursor on a row, taking filters away that hide it.
    static func reveal(_ id: RowID, _ state: inout MonitorState) {
        for attempt in 0..<2 {
            let rows = state.rows(state.screen)
            let board = state.board
            let screen = state.screen
            if let place = rows.firstIndex(where: { Table.id(board, screen, Int($0)) == id }) {
                select(place, &state, screen)
                return
            }
            if attempt == 0 {
                state.tables[screen]!.filterText = ""
                changeQuery(&state) {
                    $0.filter = nil
                    $0.quick = [:]
                    $0.attentionOnly = false
                }
            }
        }
    }

    private static func goBack(_ state: inout MonitorState, at now: Timestamp) -> [MonitorRequest] {
        if !state.search.isEmpty {
            state.search = ""
            return []
        }
        if state.screen.isTable, let table = state.tables[state.screen] {
            let query = table.query
            let isDrilled = !state.back.isEmpty
            if !isDrilled, query.filter != nil || !query.quick.isEmpty || query.attentionOnly {
                state.tables[state.screen]!.filterText = ""
                changeQuery(&state) {
                    $0.filter = nil
                    $0.quick = [:]
                    $0.attentionOnly = false
                }
                return []
            }
        }
        if let place = state.back.popLast() {
            if state.screen.isTable {
                state.tables[state.screen]!.query.quick = [:]
            }
            if let table = place.table { state.tables[place.screen] = table }
            return go(to: place.screen, &state)
        }
        if state.screen != .overview { return go(to: .overview, &state) }
        state.say("q or F10 quits", at: now)
        return []
    }

    // MARK: Jobs, buffers, status

    /// The job that the row under the cursor is about.
    static func selectedJob(_ state: inout MonitorState) -> JobID? {
        guard let id = selectedID(&state) else { return nil }
        return job(of: id, state.board)
    }

    static func job(of id: RowID, _ board: Board) -> JobID? {
        switch id {
        case .buffer(let key): key.id.jobID
        case .job(let job): job
        case .alert(let alert): alert.subject.job
        case .staging(let key): board.stagingRows.first { $0.key == key }?.job
        case .pool, .user, .event: nil
        }
    }

    private static func goToJob(_ state: inout MonitorState, at now: Timestamp) -> [MonitorRequest] {
        guard let job = selectedJob(&state) else { return unavailable("there is no job: J", &state, at: now) }
        return open(.job(job), &state, at: now)
    }

    private static func goToBuffer(_ state: inout MonitorState, at now: Timestamp) -> [MonitorRequest] {
        guard let job = selectedJob(&state),
            let row = state.board.bufferRows.first(where: { $0.key.id.jobID == job })
        else {
            state.say("no buffer is listed for it", at: now)
            return []
        }
        return open(.buffer(row.key), &state, at: now)
    }

    private static func goToStatus(_ state: inout MonitorState, at now: Timestamp) -> [MonitorRequest] {
        let isDataWarp = state.board.burst?.value.plugins.contains { $0.name == "datawarp" } ?? false
        _ = go(to: .status, &state)
        state.prompt = Prompt(.status, isDataWarp ? "sessions" : state.statusText)
        return []
    }

    private static func raw(_ state: inout MonitorState, at now: Timestamp) -> [MonitorRequest] {
        let board = state.board
        if state.screen == .buffers, let index = state.selectedIndex(.buffers) {
            let row = board.bufferRows[index]
            guard let buffer = board.buffer(row) else { return [] }
            state.overlay = .text(
                title: "scontrol -v show burst: \(row.key.id.short)",
                lines: buffer.slurmText().split(separator: " ").map(String.init), top: 0)
            return []
        }
        if state.screen == .jobs, let job = selectedJob(&state) {
            state.overlay = .job(job, top: 0, raw: true)
            return state.isReplay ? [] : [.source(.detail(job, again: false))]
        }
        guard board.burst != nil else { return unavailable("no reply yet: v", &state, at: now) }
        let text = String(decoding: board.raw.prefix(Draw.rawBytesMax), as: UTF8.self)
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        if board.raw.count > Draw.rawBytesMax {
            lines.append("(the first \(Draw.rawBytesMax) of \(board.raw.count) bytes)")
        }
        state.overlay = .text(title: "scontrol -v show burst", lines: lines, top: 0)
        return []
    }

    private static func acknowledge(_ state: inout MonitorState, at now: Timestamp) -> [MonitorRequest] {
        guard let id = selectedID(&state) else { return [] }
        let matching: [Alert.ID]
        switch id {
        case .alert(let alert): matching = [alert]
        case .buffer(let key):
            matching = state.board.alerts.filter {
                $0.subject == .buffer(key) || key.id.jobID.map { .job($0) } == $0.subject
            }.map(\.id)
        case .job(let job):
            matching = state.board.alerts.filter { alert in
                if case .buffer(let key) = alert.subject { return key.id.jobID == job }
                return alert.subject == .job(job)
            }.map(\.id)
        case .pool(let key): matching = state.board.alerts.filter { $0.subject == .pool(key) }.map(\.id)
        case .user(let name): matching = state.board.alerts.filter { $0.subject == .user(name) }.map(\.id)
        case .staging(let key):
            let row = state.board.stagingRows.first { $0.key == key }
            matching = state.board.alerts.filter { row?.isAbout($0.subject) ?? false }.map(\.id)
        case .event: matching = []
        }
        if matching.isEmpty {
            state.say("no alert is about this row", at: now)
            return []
        }
        state.say("acknowledged: \(matching.map { "\($0.rule) \($0.subject.short)" }.joined(separator: ", "))", at: now)
        return matching.map { .source(.acknowledge($0)) }
    }

    // MARK: Mouse

    private static func mouseEvent(
        _ mouse: Key.Mouse, _ state: inout MonitorState, at now: Timestamp
    ) -> [MonitorRequest] {
        switch mouse.button {
        case .wheelUp: move(&state, by: -3)
        case .wheelDown: move(&state, by: 3)
        case .press, .doubleClick:
            let frame = Draw.frame(state)
            if mouse.row == frame.tabRow, let screen = Draw.tab(at: mouse.column, state) {
                return go(to: screen, &state)
            }
            if state.screen.isTable, let table = state.tables[state.screen] {
                if mouse.row == frame.headerRow {
                    let placed = Draw.columns(state, width: state.size.columns)
                    let column = mouse.column - Draw.markCells
                    if let hit = placed.first(where: { column >= $0.at && column < $0.at + $0.width }) {
                        changeQuery(&state) {
                            if $0.sort == hit.column.name { $0.descending.toggle() } else { $0.sort = hit.column.name }
                        }
                    }
                } else if mouse.row > frame.headerRow, mouse.row <= frame.headerRow + Draw.tableRows(state) {
                    select(table.top + mouse.row - frame.headerRow - 1, &state, state.screen)
                    if mouse.button == .doubleClick { return open(&state, at: now) }
                }
            } else if state.screen == .overview, let row = Draw.overviewAlert(at: mouse.row, state) {
                state.overviewSelected = row
                if mouse.button == .doubleClick { return open(&state, at: now) }
            }
        }
        return []
    }
}
