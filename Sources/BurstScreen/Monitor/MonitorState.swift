package import BurstModel

/// What the monitor asks of the world.
package enum MonitorRequest: Hashable, Sendable {
    case quit, suspend, redraw
    case copy(String)
    case export(path: String, text: String)
    /// Shows a theme; `keep` false: only as a preview.
    case theme(name: String, keep: Bool)
    case mouse(Bool)
    case clock(Bool)
    /// Something of the source of the boards.
    case source(CollectorRequest)
}

/// A table as its user left it.
package struct TableView: Sendable {
    package var query: TableQuery
    package var selected: RowID?
    /// Place of the selected row in the order, and of the first row shown.
    package var place = 0
    package var top = 0
    /// The first row shown before the window became smaller, so that growing back shows the same again.
    var topBeforeResize: Int?
    /// Columns scrolled out at the left.
    package var skip = 0
    package var columns: [String]?
    package var filterText = ""

    package init(_ screen: ScreenID) { query = TableQuery(screen: screen) }
}

/// What lies over the screen and takes the keys.
package enum Overlay: Sendable {
    case help(top: Int)
    case pick(PickList)
    case cancel(CancelDialog)
    case alerts(selected: Int, top: Int)
    /// A job as `scontrol show job` tells it; raw: the text word for word.
    case job(JobID, top: Int, raw: Bool)
    case text(title: String, lines: [String], top: Int)
}

/// A list to pick one entry from.
package struct PickList: Hashable, Sendable {
    package enum Purpose: Hashable, Sendable { case pool, user, state, sort, theme, columns }

    package var purpose: Purpose
    package var title: String
    package var entries: [String]
    package var selected: Int
    /// Chosen entries of a list of many (columns).
    package var chosen: Set<String> = []

    package init(_ purpose: Purpose, title: String, entries: [String], selected: Int) {
        self.purpose = purpose
        self.title = title
        self.entries = entries
        self.selected = selected
    }
}

/// The popup in which a cancel is decided (monitor.md §3.6). It holds ids, never row numbers.
package struct CancelDialog: Hashable, Sendable {
    /// The most jobs that one confirmation may concern.
    package static let jobsMax = 50

    package enum Focus: Hashable, Sendable { case keep, plain, hurry }

    package var jobs: [JobID]
    package var openedAt: Timestamp
    package var focus = Focus.keep
    package var typed = LineEdit()
    /// What a target was when it was last shown; a change sends the focus back to Keep.
    package var shown: [JobID: String] = [:]
    package var notice = ""

    package init(jobs: [JobID], openedAt: Timestamp) {
        self.jobs = jobs
        self.openedAt = openedAt
    }

    /// What has to be typed before `--hurry` works: the job's id, or for several the number of jobs.
    package var password: String { jobs.count == 1 ? "\(jobs[0])" : "\(jobs.count)" }
    package var isUnlocked: Bool { typed.text == password }
}

/// A line being typed at the bottom of the screen.
package struct Prompt: Hashable, Sendable {
    /// `find` is a search in text that lies over the screen, as the help.
    package enum Purpose: Hashable, Sendable { case search, find, filter, command, status, goTo, export }

    package var purpose: Purpose
    package var edit: LineEdit
    /// Said beside it: a fault of what was typed so far.
    package var fault = ""
    package var completions: [String] = []
    /// Place in the history while going through it.
    package var historyPlace: Int?

    package init(_ purpose: Purpose, _ text: String = "") {
        self.purpose = purpose
        edit = LineEdit(text)
    }
}

/// Everything that the person at the terminal has done to the view. A value; `update` changes it, `draw` shows it.
package struct MonitorState: Sendable {
    package var size: Size
    /// The newest data, and what is shown: the same unless the view is frozen.
    package var live: Delivery
    package var data: Delivery
    package var missedSamples = 0
    package var isPaused = false

    package var screen = ScreenID.overview
    package var tables: [ScreenID: TableView] = [:]
    package var back: [Place] = []
    package var overlay: Overlay?
    package var prompt: Prompt?
    package var showsDetail = true
    package var tags: Set<RowID> = []
    package var search = ""
    /// What is looked for in the text over the screen.
    package var find = ""
    package var overviewSelected = 0
    package var overviewTop = 0
    package var textTop: [ScreenID: Int] = [:]
    package var statusText = ""
    package var commandHistory: [String] = []
    package var statusHistory: [String] = []
    package var message = ""
    package var messageRole = Role.textDim
    package var messageUntil: Timestamp?
    package var saidUnbound = false

    package var keys: KeyMap
    package var isReadOnly: Bool
    package var isRecording = false
    package var themeName: String
    package var themes: [String]
    package var zone: LocalTime.Zone
    package var showsClock = true

    /// Where `back` returns to.
    package struct Place: Sendable {
        package var screen: ScreenID
        package var table: TableView?
    }

    /// Buffers by stage, computed once for each board shown.
    var stages: [Board.StageSummary] = []
    var orders: [ScreenID: Order] = [:]
    /// The orders without a filter that the newest filters chose from: the next filter chooses from them, too.
    private var bases: [ScreenID: Order] = [:]

    struct Order: Sendable {
        var sequence: Int
        var query: TableQuery
        var rows: [Int32]
    }

    package init(
        size: Size, data: Delivery, keys: KeyMap = KeyMap(), readOnly: Bool = false, themeName: String = "default",
        themes: [String] = [], zone: LocalTime.Zone = .fixed()
    ) {
        self.size = size
        live = data
        self.data = data
        self.keys = keys
        isReadOnly = readOnly
        self.themeName = themeName
        self.themes = themes
        self.zone = zone
        for screen in ScreenID.allCases where screen.isTable { tables[screen] = TableView(screen) }
        stages = Draw.stages(data.board)
    }

    package var board: Board { data.board }
    package var context: TableContext { TableContext(board: data.board, zone: zone) }

    /// The view does not follow new data while it is read: paused, or a dialog or search is open.
    package var isFrozen: Bool {
        if isPaused { return true }
        if case .search? = prompt?.purpose { return true }
        switch overlay {
        case .cancel?, .pick?: return true
        default: return false
        }
    }

    package var isReplay: Bool { live.replay != nil || live.board.source.kind == .replay }

    /// Why nothing may be cancelled now; nil where it may.
    package var cancelLock: String? {
        if isReadOnly { return "read-only" }
        if isReplay { return "this is a replay" }
        switch live.board.health {
        case .live: return nil
        case .connecting: return "no answer from the controller yet"
        case .stale: return "the controller does not answer; what is shown is old"
        case .noPlugin: return "no burst buffer plugin is configured"
        }
    }

    /// The rows of a table in the order shown.
    package mutating func rows(_ screen: ScreenID) -> [Int32] {
        guard let query = tables[screen]?.query else { return [] }
        if let order = orders[screen], order.sequence == data.sequence, order.query == query { return order.rows }
        let rows = filtered(screen, query) ?? Table.order(query, context)
        orders[screen] = Order(sequence: data.sequence, query: query, rows: rows)
        return rows
    }

    /// The rows chosen from an order of the same board that is there and differs in nothing but the filter.
    private mutating func filtered(_ screen: ScreenID, _ query: TableQuery) -> [Int32]? {
        var unfiltered = query
        unfiltered.filter = nil
        func isLike(_ order: Order) -> Bool {
            var other = order.query
            other.filter = nil
            return order.sequence == data.sequence && other == unfiltered
        }
        guard let known = orders[screen], isLike(known) else { return nil }
        if known.query.filter == nil { bases[screen] = known }
        var from: Order?
        if let filter = query.filter, known.query.filter.map({ filter.narrows($0) }) ?? true {
            from = known
        } else if let base = bases[screen], isLike(base) {
            from = base
        }
        guard let from else { return nil }
        return query.filter.map { Table.narrowed(from.rows, by: $0, screen, context) } ?? from.rows
    }

    /// Computes all orders anew when they are next asked for.
    package mutating func forgetOrders() {
        orders = [:]
        bases = [:]
    }

    /// Rows without computing them: empty where `rows` was not asked since the last change.
    package func knownRows(_ screen: ScreenID) -> [Int32] { orders[screen]?.rows ?? [] }

    /// Takes an order that another thread has computed.
    package mutating func prepare(_ query: TableQuery, sequence: Int, rows: [Int32]) {
        orders[query.screen] = Order(sequence: sequence, query: query, rows: rows)
    }

    /// The row under the cursor.
    package mutating func selectedIndex(_ screen: ScreenID) -> Int? {
        let rows = rows(screen)
        guard let table = tables[screen], !rows.isEmpty else { return nil }
        return Int(rows[min(max(0, table.place), rows.count - 1)])
    }

    /// Where a job stands in the newest reply of squeue, which has an order of its own.
    func jobIndex(of id: JobID, _ board: Board) -> Int? { board.jobs?.value.firstIndex { $0.id == id } }

    /// The row of a job's buffer.
    func bufferRow(of id: JobID, _ board: Board) -> BufferRow? { board.bufferRows.first { $0.key.id.jobID == id } }

    package mutating func say(_ text: String, role: Role = .textDim, at now: Timestamp, seconds: Int = 6) {
        message = text
        messageRole = role
        messageUntil = now.adding(seconds: seconds)
    }
}
