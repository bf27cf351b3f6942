package import BurstModel

/// Draws the monitor: state in, grid out. Nothing is refused: every size from 1x1 on gets what fits (monitor.md §3.3).
package enum Draw {
    /// Cells before the first column: cursor, severity, tag.
    static let markCells = 3
    /// The most of a reply that the raw view shows, in bytes.
    static let rawBytesMax = 200_000
    /// Lines of the detail pane below a table, and cells of the one beside it.
    static let detailRows = 6
    static let detailColumns = 58

    /// Where the parts of the screen stand.
    package struct Frame: Hashable, Sendable {
        /// -1 where there is none.
        package var tabRow: Int
        package var bannerRows: Int
        package var bodyTop: Int
        package var bodyRows: Int
        package var infoRow: Int
        package var headerRow: Int
        package var footerRow: Int
        package var detailBelow: Bool
        package var detailBeside: Bool
    }

    /// Below this the screen is the tiny one.
    package static func isTiny(_ size: Size) -> Bool { size.columns < 40 || size.rows < 8 }

    package static func frame(_ state: MonitorState) -> Frame {
        let size = state.size
        let isStale: Bool
        if case .stale = state.live.board.health { isStale = true } else { isStale = false }
        let banner = isStale && size.rows >= 12 ? 2 : 0
        var frame = Frame(
            tabRow: 1, bannerRows: banner, bodyTop: 2 + banner, bodyRows: 0, infoRow: -1, headerRow: -1,
            footerRow: size.rows - 1, detailBelow: false, detailBeside: false)
        frame.bodyRows = max(0, frame.footerRow - frame.bodyTop)
        if state.screen.isTable {
            frame.detailBeside = state.showsDetail && size.columns >= 120 && state.screen != .events
            frame.detailBelow =
                state.showsDetail && !frame.detailBeside && frame.bodyRows >= 16 && state.screen != .events
            frame.infoRow = frame.bodyTop
            frame.headerRow = frame.bodyTop + 1 + timelineRows(state, bodyRows: frame.bodyRows)
        }
        return frame
    }

    /// Rows of a table that are seen at once.
    package static func tableRows(_ state: MonitorState) -> Int {
        if isTiny(state.size) { return max(1, state.size.rows - 1) }
        let frame = frame(state)
        let above = frame.headerRow + 1 - frame.bodyTop
        return max(1, frame.bodyRows - above - (frame.detailBelow ? detailRows + 1 : 0))
    }

    /// Pools with a timeline above the events, a row each.
    static let timelinesMax = 3
    /// What a timeline goes back.
    static let timelineMinutes = 120

    /// Rows of the timelines: none without a detail pane, in low windows, and before there is a pool.
    static func timelineRows(_ state: MonitorState, bodyRows: Int) -> Int {
        guard state.screen == .events, state.showsDetail, bodyRows >= 14, !state.board.poolRows.isEmpty else {
            return 0
        }
        return min(timelinesMax, state.board.poolRows.count)
    }

    /// The pools that matter most: in trouble first, then the fullest.
    static func timelinePools(_ board: Board) -> [PoolRow] {
        let worst = board.poolRows.sorted {
            ($0.severity?.rawValue ?? -1, $0.pool.unfreeShare ?? 0) > (
                $1.severity?.rawValue ?? -1, $1.pool.unfreeShare ?? 0
            )
        }
        return Array(worst.prefix(timelinesMax))
    }

    /// A pool's past in so many cells, as pieces of a line.
    static func spark(
        _ history: PoolHistory, cells: Int, minutes: Int, until now: Timestamp, glyph: (Glyph) -> String
    ) -> [(String, Role)] {
        history.shares(columns: cells, minutes: minutes, until: now).map { share in
            guard let share else { return (glyph(.sparkGap), .sparkGap) }
            let level = max(0, min(7, Int(share * 8)))
            return (glyph(Glyph.sparkLevels[level]), share >= 0.9 ? .sparkHigh : share >= 0.6 ? .sparkMid : .spark)
        }
    }

    /// The lines of what lies over the screen, where that is text.
    static func overlayLines(_ state: MonitorState) -> [Line]? {
        switch state.overlay {
        case .help?: helpLines(state)
        case .text(_, let lines, _)?: lines.map { Line($0) }
        case .job(let job, _, let raw)?: jobLines(job, raw: raw, state)
        case .pick?, .cancel?, .alerts?, nil: nil
        }
    }

    /// The columns of the table shown, in a window of so many cells.
    static func columns(_ state: MonitorState, width: Int) -> [Table.Placed] {
        let table = state.tables[state.screen]
        let beside = frame(state).detailBeside ? detailColumns + 1 : 0
        return Table.layout(
            state.screen, width: width - markCells - beside - 2, chosen: table?.columns, skip: table?.skip ?? 0,
            without: state.board.staging == nil ? ["progress"] : [])
    }

    /// The screen of the tab at a column of the tab row.
    static func tab(at column: Int, _ state: MonitorState) -> ScreenID? {
        var at = 0
        for (screen, text) in tabs(state) {
            if column >= at, column < at + text.utf8.count { return screen }
            at += text.utf8.count
        }
        return nil
    }

    static func tabs(_ state: MonitorState) -> [(ScreenID, String)] {
        let short = ["Over", "Pool", "Buf", "Usr", "Job", "St", "Ev", "Cf", "Sg"]
        let width = state.size.columns
        return ScreenID.allCases.map { screen in
            // All of them are seen from 40 cells on, with the counts behind them from 78 on.
            let name =
                width >= 78
                ? screen.title : width >= 46 ? short[screen.rawValue - 1] : String(screen.title.prefix(2))
            let text = "\(screen.rawValue)" + (width >= 90 ? " " : "") + name
            if screen == state.screen {
                return (screen, "[\(screen.rawValue)]\(name)" + (state.size.columns >= 100 ? "  " : " "))
            }
            return (screen, text + (state.size.columns >= 100 ? "  " : " "))
        }
    }

    /// The whole screen.
    /// - Parameters:
    ///   - theme: where the signs come from; colours are the terminal's business.
    ///   - ascii: only ASCII signs.
    ///   - now: for ages in the header; the rows' ages are the board's.
    package static func grid(_ state: MonitorState, theme: Theme, ascii: Bool, now: Timestamp) -> Grid {
        var painter = Painter(state: state, theme: theme, ascii: ascii, now: now)
        painter.paint()
        return painter.grid
    }
}

/// A drawing under way.
struct Painter {
    let state: MonitorState
    let theme: Theme
    let ascii: Bool
    let now: Timestamp
    let context: TableContext
    let frame: Draw.Frame
    var grid: Grid

    init(state: MonitorState, theme: Theme, ascii: Bool, now: Timestamp) {
        self.state = state
        self.theme = theme
        self.ascii = ascii
        self.now = now
        context = state.context
        frame = Draw.frame(state)
        grid = Grid(size: state.size)
    }

    var board: Board { state.data.board }
    var columns: Int { grid.size.columns }
    var rows: Int { grid.size.rows }

    func glyph(_ glyph: Glyph) -> String { theme.text(of: glyph, ascii: ascii) }

    mutating func put(_ text: String, _ column: Int, _ row: Int, _ role: Role, width: Int = Int.max) {
        grid.put(text, column: column, row: row, Style(role), width: width)
    }

    /// Puts text so that it ends before a column.
    mutating func putRight(_ text: String, end: Int, _ row: Int, _ role: Role) {
        grid.put(text, column: end - CharacterWidth.cells(of: text), row: row, Style(role))
    }

    func cut(_ text: String, _ width: Int) -> String { clipped(text, to: width, sign: glyph(.cut)) }

    mutating func paint() {
        guard rows > 0, columns > 0 else { return }
        if Draw.isTiny(grid.size) {
            paintTiny()
        } else {
            paintHeader()
            paintTabs()
            switch state.screen {
            case .overview: paintOverview()
            case .status: paintStatus()
            case .config: paintLines(Draw.configLines(state), from: state.textTop[.config] ?? 0)
            default: paintTable()
            }
            if case .stale = state.live.board.health {
                dim()
                paintBanner()
            }
        }
        paintOverlay()
        paintFooter()
    }

    /// Old data is dim.
    private mutating func dim() {
        for row in frame.bodyTop..<max(frame.bodyTop, frame.footerRow) {
            for column in 0..<columns where grid[column: column, row: row].style.overlay == nil {
                grid[column: column, row: row].style = Style(.textDim)
            }
        }
    }

    // MARK: Chrome

    /// Health in a word or two, with its role.
    private func health() -> (text: String, role: Role) {
        if let replay = state.live.replay {
            let sign = replay.playing ? "x\(speedText(replay.speed))" : "stopped"
            return ("REPLAY \(sign) \(replay.index + 1)/\(replay.count)", .replay)
        }
        switch state.live.board.health {
        case .connecting: return ("CONNECTING", .stale)
        case .live:
            if state.isPaused { return ("PAUSED +\(state.missedSamples)", .paused) }
            return ("LIVE", .live)
        case .stale(_, let since, _, let lastGood):
            guard let lastGood else { return ("NO ANSWER \(Age.long(seconds: now.seconds(since: since)))", .offline) }
            return ("STALE \(Age.long(seconds: now.seconds(since: lastGood)))", .stale)
        case .noPlugin: return ("NO PLUGIN", .offline)
        }
    }

    private func speedText(_ speed: Double) -> String {
        speed == speed.rounded() ? "\(Int(speed))" : Amount.fixed(speed, decimals: 1)
    }

    /// A piece of the header. The larger its weight, the sooner it is left out; pieces are never cut.
    private struct Piece {
        var text: String
        var role: Role
        var weight: Int
        /// Cells kept free behind it for figures that grow, so that what follows stays in its place.
        var slack = 0
    }

    private mutating func paintHeader() {
        grid.fill(column: 0, row: 0, columns: columns, rows: 1, Style(.bar))
        let live = state.live.board
        let health = health()
        let isWide = columns >= 78
        let cluster = live.source.cluster ?? "?"
        var pieces = [
            Piece(text: "burstmon", role: .title, weight: 7),
            Piece(text: isWide ? "cluster=\(cluster)" : cluster, role: .bar, weight: 6),
        ]
        func add(_ text: String, _ weight: Int, _ role: Role = .bar, slack: Int = 0) {
            pieces.append(Piece(text: text, role: role, weight: weight, slack: max(0, slack)))
        }
        if isWide {
            let plugins = live.burst?.value.plugins.map(\.name).joined(separator: ",") ?? "?"
            add("plugin=\(plugins.isEmpty ? "none" : plugins)", 8)
        }
        add(health.text, 0, health.role)
        if case .stale(_, _, let tries, let lastGood) = live.health {
            if let lastGood { add("last good \(context.clock(lastGood))", 3) }
            add("try \(tries)", 5)
        } else if let burst = live.burst {
            let shown = state.isFrozen ? board.burst ?? burst : burst
            let age = Age.long(seconds: (state.isReplay ? live.now : now).seconds(since: shown.at))
            if state.isReplay {
                add(isWide ? "at \(context.dateTime(live.now))" : context.clock(live.now), 2)
            } else if !isWide {
                add("\(age) ago", 3)
            } else if columns >= 110, let jobs = live.jobs {
                let jobsAge = Age.long(seconds: now.seconds(since: jobs.at))
                add("burst \(context.clock(shown.at)) (\(age))", 3, slack: 3 - age.utf8.count)
                add("jobs \(context.clock(jobs.at)) (\(jobsAge))", 5, slack: 3 - jobsAge.utf8.count)
            } else {
                add("sample \(context.clock(shown.at)) (\(age) ago)", 3, slack: 3 - age.utf8.count)
            }
        }
        if !state.isReplay, live.calls.burstInterval > 0 {
            let calls = live.calls
            if columns >= 110 {
                add("poll \(calls.burstInterval)s/\(calls.jobsInterval)s", 4)
                add("rpc \(calls.perMinute)/min", 9, slack: calls.perMinute < 10 ? 1 : 0)
            } else {
                add(isWide ? "poll \(calls.burstInterval)s" : "\(calls.burstInterval)s", 4)
            }
            if isWide, let slower = state.keys.keys[.slower]?.first, let faster = state.keys.keys[.faster]?.first {
                add("\(slower.name)/\(faster.name) pace", 11)
            }
            if !calls.intervalReason.isEmpty, isWide { add("(\(calls.intervalReason))", 10) }
        }
        if state.isReadOnly { add("read-only", 1, .readOnly) }
        if state.isRecording { add("rec on", 9) }
        if !state.tags.isEmpty { add("\(state.tags.count) tagged", 1, .rowTagged) }
        let end = isWide ? columns : columns - CharacterWidth.cells(of: countsText) - 2
        func width() -> Int { pieces.reduce(-2) { $0 + CharacterWidth.cells(of: $1.text) + 2 } }
        while width() > end, let heaviest = pieces.indices.max(by: { pieces[$0].weight < pieces[$1].weight }),
            pieces[heaviest].weight > 0
        {
            pieces.remove(at: heaviest)
        }
        var at = 0
        let keepsSlack = pieces.reduce(width()) { $0 + $1.slack } <= end
        for piece in pieces where at < end {
            let isPlain = piece.role == .bar || piece.role == .title
            at += grid.put(
                piece.text, column: at, row: 0, Style(piece.role, over: isPlain ? nil : .bar), width: end - at)
            at += 2 + (keepsSlack ? piece.slack : 0)
        }
        if !isWide { paintCounts(row: 0) }
    }

    /// Open alerts in figures; dashes while nothing is known.
    private var countTexts: (crit: String, warn: String) {
        let live = state.live.board
        guard live.burst != nil || !live.alerts.isEmpty else {
            return ("\(glyph(.markCrit))-", "\(glyph(.markWarn))-")
        }
        return ("\(glyph(.markCrit))\(live.criticalCount)", "\(glyph(.markWarn))\(live.warningCount)")
    }

    private var countsText: String { "\(countTexts.crit) \(countTexts.warn)" }

    /// `!3 ~2` at the right end of a row.
    private mutating func paintCounts(row: Int) {
        let crit = state.live.board.criticalCount
        let warn = state.live.board.warningCount
        let (critText, warnText) = countTexts
        let end = columns - 1
        putRight(warnText, end: end, row, warn > 0 ? .severityWarn : .textDim)
        putRight(critText, end: end - CharacterWidth.cells(of: warnText) - 1, row, crit > 0 ? .severityCrit : .textDim)
    }

    private mutating func paintTabs() {
        guard frame.tabRow > 0, frame.tabRow < rows else { return }
        var at = 0
        for (screen, text) in Draw.tabs(state) {
            let trimmed = text.trimmed
            grid.put(text, column: at, row: frame.tabRow, Style(.tab))
            if screen == state.screen { put(trimmed, at, frame.tabRow, .tabActive) }
            at += text.utf8.count
        }
        if columns >= 78 { paintCounts(row: frame.tabRow) }
        if columns >= 130 {
            let extra = "viewer=\(state.live.board.source.viewer)  theme=\(state.themeName)"
            putRight(extra, end: columns - 12, frame.tabRow, .textDim)
        }
    }

    private mutating func paintBanner() {
        guard case .stale(let reason, _, _, let lastGood) = state.live.board.health else { return }
        let next = state.live.board.calls.nextAt.map { $0.seconds(since: now) } ?? 0
        let calls = state.live.board.calls
        let wait =
            calls.running != nil && calls.runningSince != nil
            ? "asking for \(Age.long(seconds: now.seconds(since: calls.runningSince!)))"
            : next > 0 ? "next try in \(next)s" : "trying"
        let old = lastGood == nil ? "no data yet" : "data below is OLD; cancel is locked"
        let lines = ["!! \(fitting(reason, columns - 3))", "!! \(wait)  R=try now  \(old)"]
        if frame.bannerRows == 2 {
            for (index, line) in lines.enumerated() {
                grid.fill(column: 0, row: 2 + index, columns: columns, rows: 1, Style(.stale))
                put(cut(line, columns), 0, 2 + index, .stale)
            }
        } else if rows > 2 {
            grid.fill(column: 0, row: 1, columns: columns, rows: 1, Style(.stale))
            put(cut(lines[0], columns), 0, 1, .stale)
        }
    }

    /// Slurm's words, without the name of the function that failed where there is no room for it.
    private func fitting(_ reason: String, _ width: Int) -> String {
        guard CharacterWidth.cells(of: reason) > width else { return reason }
        let words = " error: "
        var text = Substring(reason)
        while let first = text.indices.first(where: { text[$0...].hasPrefix(words) }) {
            text = text[text.index(first, offsetBy: words.count)...]
        }
        return text.isEmpty ? reason : String(text)
    }

    mutating func paintFooter() {
        let row = rows - 1
        guard rows > 1 else { return }
        if let prompt = state.prompt {
            paintPrompt(prompt, row)
            return
        }
        if !state.message.isEmpty {
            grid.fill(column: 0, row: row, columns: columns, rows: 1, Style(.text))
            put(cut(state.message, columns), 0, row, state.messageRole)
            return
        }
        if Draw.isTiny(grid.size) { return }
        grid.fill(column: 0, row: row, columns: columns, rows: 1, Style(.bar))
        var keys: [(Action, String)] = [
            (.help, "Help"), (.search, "Find"), (.filter, "Filter"), (.refresh, "Refresh"), (.sort, "Sort"),
            (.pause, "Pause"), (.cancel, "Cancel"), (.quit, "Quit"), (.command, "command"),
        ]
        if state.isReplay {
            keys = [
                (.help, "Help"), (.replayPrevious, "back"), (.replayNext, "on"), (.replayToggle, "play"),
                (.replayGoTo, "time"), (.search, "Find"), (.filter, "Filter"), (.quit, "Quit"), (.command, "command"),
            ]
        }
        if columns < 78 {
            // The letters stand before their words without a blank, and what must not be missed comes first.
            keys =
                state.isReplay
                ? [
                    (.help, "Help"), (.replayPrevious, "back"), (.replayNext, "on"), (.replayToggle, "play"),
                    (.quit, "Quit"),
                ]
                : [
                    (.help, "Help"), (.search, "Find"), (.filter, "Filt"), (.sort, "Sort"), (.pause, "Paus"),
                    (.cancel, "Canc"), (.quit, "Quit"), (.refresh, "Refresh"), (.command, "command"),
                ]
        }
        var at = 0
        for (action, text) in keys {
            guard let bound = state.keys.keys[action], let key = bound.first else { continue }
            let isTight = columns < 78 || action == .command
            let name = key.name
            let isTerse = columns < 42 && action == .quit
            let word = isTerse ? "" : (isTight ? "" : " ") + text
            if at + CharacterWidth.cells(of: name + word) > columns { break }
            at += grid.put(name, column: at, row: row, Style(.barKey))
            at += grid.put(word + (columns < 78 ? " " : "  "), column: at, row: row, Style(.bar))
        }
        if columns >= 100, let last = board.events.last {
            let text = "\(context.clock(last.at)) \(last.subject.short) \(last.text)"
            let room = columns - at - 2
            if room > 20 { putRight(cut(text, room), end: columns - 1, row, .bar) }
        }
    }

    private mutating func paintPrompt(_ prompt: Prompt, _ row: Int) {
        grid.fill(column: 0, row: row, columns: columns, rows: 1, Style(.field))
        let sign: String
        switch prompt.purpose {
        case .search, .find: sign = "/"
        case .filter: sign = "filter: "
        case .command: sign = ":"
        case .status: sign = "bbstat args: "
        case .goTo: sign = "go to time: "
        case .export: sign = "write to: "
        }
        // The end of a long line is what is being typed.
        let room = max(1, columns - CharacterWidth.cells(of: sign) - 1)
        var shown = prompt.edit.text
        while CharacterWidth.cells(of: shown) > room { shown.removeFirst() }
        let used = grid.put(sign, column: 0, row: row, Style(.field))
        let end = used + grid.put(shown, column: used, row: row, Style(.field))
        let behind = prompt.edit.characters.count - prompt.edit.cursor
        grid.cursor = (max(0, min(columns - 1, max(used, end - behind))), row)
        let hint = prompt.fault.isEmpty ? prompt.completions.joined(separator: " ") : prompt.fault
        guard !hint.isEmpty, rows > 2 else { return }
        let role: Role = prompt.fault.isEmpty ? .textDim : .textError
        let lines = wrap(Draw.Line(hint, role), width: columns).prefix(min(3, rows - 2))
        grid.fill(column: 0, row: row - lines.count, columns: columns, rows: lines.count, Style(.text))
        for (index, line) in lines.enumerated() {
            paintLines([line], from: 0, row: row - lines.count + index, rows: 1)
        }
    }

    // MARK: Tiny

    /// Health, counts, pools as bars, the worst alert: whatever fits.
    private mutating func paintTiny() {
        let live = state.live.board
        let health = health()
        let age = live.ageSeconds.map { _ in
            Age.short(seconds: (state.isReplay ? live.now : now).seconds(since: live.burst!.at))
        }
        let counts = countsText
        var at = grid.put("bb ", column: 0, row: 0, Style(.title))
        at += grid.put(
            health.text.split(separator: " ").first.map(String.init) ?? "", column: at, row: 0, Style(health.role))
        at += grid.put(age.map { " \($0)" } ?? "", column: at, row: 0, Style(.text))
        let room = columns - at - CharacterWidth.cells(of: counts)
        put(
            counts, room > 0 ? columns - CharacterWidth.cells(of: counts) : at + 1, 0,
            live.criticalCount > 0 ? .severityCrit : .text)
        var row = 1
        if state.screen.isTable, rows >= 4 {
            let table = state.tables[state.screen]!
            let order = shownRows()
            let placed = Table.layout(state.screen, width: columns - 2, chosen: table.columns, skip: table.skip)
            for place in table.top..<max(table.top, min(order.count, table.top + rows - 1)) {
                paintRow(Int(order[place]), place: place, at: row, placed, marks: 2, width: columns)
                row += 1
            }
            return
        }
        let alertRows = live.alerts.isEmpty ? 0 : 1
        for pool in board.poolRows.prefix(max(0, rows - 1 - alertRows)) {
            let share = pool.pool.unfreeShare ?? 0
            let percent = "\(Int((share * 100).rounded()))%"
            let nameWidth = min(8, max(4, columns / 4))
            put(padded(pool.pool.name, to: nameWidth, sign: glyph(.cut)), 0, row, .row)
            let barWidth = columns - nameWidth - 1 - 5
            if barWidth > 0 { paintBar(pool, nameWidth + 1, row, width: barWidth) }
            putRight(percent, end: columns, row, share >= 1 ? .severityCrit : share >= 0.9 ? .severityWarn : .row)
            row += 1
        }
        if let alert = live.alerts.first, row < rows {
            let text = "\(alert.severity.sign)\(alert.title) \(alert.subject.short)"
            put(cut(text, columns), 0, row, alert.severity.role)
        }
    }

    // MARK: Bars and sparks

    /// Used, drained, free, in so many cells.
    mutating func paintBar(_ row: PoolRow, _ column: Int, _ line: Int, width: Int) {
        guard width > 0 else { return }
        let total = Double(row.pool.total.known ?? 0)
        guard total > 0 else {
            put(String(repeating: glyph(.barFree), count: width), column, line, .textDim)
            return
        }
        if row.pool.overcommitted > 0 {
            put(String(repeating: glyph(.barOver), count: width), column, line, .poolOver)
            return
        }
        let used = Double(row.pool.used.known ?? 0) / total
        let drained = Double(row.pool.drainedAmount.known ?? 0) / total
        // Something used is at least one cell, and something free is, too.
        var usedCells = Int((used * Double(width)).rounded())
        if used > 0, usedCells == 0 { usedCells = 1 }
        var drainedCells = Int(((used + drained) * Double(width)).rounded()) - usedCells
        if drained > 0, drainedCells <= 0 { drainedCells = 1 }
        usedCells = min(usedCells, width)
        drainedCells = max(0, min(drainedCells, width - usedCells))
        if (row.pool.free.known ?? 0) > 0, usedCells + drainedCells == width {
            if usedCells > 0 { usedCells -= 1 } else { drainedCells -= 1 }
        }
        let freeCells = width - usedCells - drainedCells
        let reservedCells = min(freeCells, Int((Double(row.reserved) / total * Double(width)).rounded()))
        var at = column
        func add(_ glyph: Glyph, _ count: Int, _ role: Role) {
            if count > 0 {
                at += grid.put(String(repeating: self.glyph(glyph), count: count), column: at, row: line, Style(role))
            }
        }
        add(.barUsed, usedCells, used + drained >= 1 ? .poolOver : .poolUsed)
        add(.barDrained, drainedCells, .poolDrained)
        add(.barFree, freeCells - reservedCells, .poolFree)
        add(.barReserved, reservedCells, .poolReserved)
    }

    /// How much is done, in so many cells: full only at the end.
    mutating func paintShare(_ share: Double, _ column: Int, _ line: Int, width: Int) {
        var at = column
        for (text, role) in Draw.bar(share, cells: width, glyph: { glyph($0) }) {
            at += grid.put(text, column: at, row: line, Style(role))
        }
    }

    /// The last `minutes` of a pool in so many cells.
    mutating func paintSpark(_ history: PoolHistory, _ column: Int, _ line: Int, width: Int, minutes: Int) {
        let pieces = Draw.spark(history, cells: width, minutes: minutes, until: board.now) { glyph($0) }
        for (index, piece) in pieces.enumerated() { put(piece.0, column + index, line, piece.1) }
    }

    /// Use of the pools over the last two hours, above the events that explain it.
    private mutating func paintTimelines() {
        let count = Draw.timelineRows(state, bodyRows: frame.bodyRows)
        guard count > 0 else { return }
        let nameWidth = 12
        let width = columns - nameWidth - 8
        let scale = "used, last \(Draw.timelineMinutes / 60)h"
        for (index, pool) in Draw.timelinePools(board).prefix(count).enumerated() {
            let row = frame.infoRow + 1 + index
            put(padded(pool.pool.name, to: nameWidth - 1, sign: glyph(.cut)), 0, row, .row)
            paintSpark(pool.history, nameWidth, row, width: width, minutes: Draw.timelineMinutes)
            let share = pool.pool.unfreeShare.map { "\(Int(($0 * 100).rounded()))%" } ?? "-"
            putRight(share, end: columns - 2, row, pool.severity?.role ?? .row)
        }
        if state.tables[.events]?.query.filter == nil, state.tables[.events]?.query.quick.isEmpty ?? true {
            put(scale, 0, frame.infoRow, .textDim)
        }
    }

    // MARK: Tables

    /// The rows of the table shown, computed where nobody did yet.
    func shownRows() -> [Int32] {
        var copy = state
        return copy.rows(state.screen)
    }

    private mutating func paintTable() {
        guard let table = state.tables[state.screen] else { return }
        let order = shownRows()
        let width = frame.detailBeside ? columns - Draw.detailColumns - 1 : columns
        paintInfo(table, shown: order.count, width: width)
        paintTimelines()
        let placed = Draw.columns(state, width: columns)
        grid.fill(column: 0, row: frame.headerRow, columns: width, rows: 1, Style(.header))
        for place in placed {
            let isSorted = place.column.name == table.query.sort
            let arrow = isSorted ? glyph(table.query.descending ? .sortDown : .sortUp) : ""
            let title = cut(place.column.title, max(0, place.width - (isSorted ? 1 : 0))) + arrow
            put(
                padded(title, to: place.width, right: place.column.isRight), Draw.markCells + place.at, frame.headerRow,
                isSorted ? .headerSorted : .header)
        }
        let visible = Draw.tableRows(state)
        let top = max(0, min(table.top, max(0, order.count - visible)))
        for line in 0..<visible where top + line < order.count {
            paintRow(
                Int(order[top + line]), place: top + line, at: frame.headerRow + 1 + line, placed,
                marks: Draw.markCells,
                width: width)
        }
        if order.isEmpty { paintEmpty(table, at: frame.headerRow + 2) }
        if order.count > visible { paintScrollBar(top: top, visible: visible, count: order.count, column: width - 1) }
        if frame.detailBelow {
            let line = frame.headerRow + 1 + visible
            paintDetail(column: 0, row: line, columns: columns, rows: frame.footerRow - line, order)
        } else if frame.detailBeside {
            let column = columns - Draw.detailColumns
            for row in frame.bodyTop..<frame.footerRow { put(glyph(.lineVertical), column - 1, row, .border) }
            paintDetail(
                column: column, row: frame.bodyTop, columns: Draw.detailColumns, rows: frame.footerRow - frame.bodyTop,
                order)
        }
    }

    private mutating func paintInfo(_ table: TableView, shown: Int, width: Int) {
        var parts: [String] = table.query.quick.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        if !table.filterText.isEmpty { parts.append(table.filterText) }
        if table.query.attentionOnly { parts.append("attention only") }
        let total = Table.rowCount(board, state.screen)
        let counted =
            shown == total
            ? "\(Amount.grouped(UInt64(total)))"
            : "\(Amount.grouped(UInt64(shown))) of \(Amount.grouped(UInt64(total)))"
        let nouns = state.screen == .stage ? "stagings" : state.screen.name
        let noun = total == 1 ? String(nouns.dropLast()) : nouns
        var right =
            "\(counted) \(noun)  sort \(table.query.sort.uppercased()) \(glyph(table.query.descending ? .sortDown : .sortUp))"
        if !state.search.isEmpty { right = "find \"\(state.search)\"  " + right }
        if state.isFrozen, !state.isPaused { right = "order frozen  " + right }
        let restricted = board.burst?.value.plugins.contains(where: \.hidesOtherUsers) ?? false
        if restricted, state.screen == .buffers || state.screen == .users { right = "restricted view  " + right }
        var isOld = false
        if state.screen == .stage {
            let buffers = board.staging?.value.quarantine ?? []
            if !buffers.isEmpty {
                let bytes = buffers.reduce(0) { Amount.sum($0, $1.bytes) }
                right = "quarantine \(buffers.count) (\(Amount.short(bytes)))  " + right
            }
            if let lost = board.stagingLost {
                isOld = true
                right = "OLD: stager lost \(Age.short(seconds: now.seconds(since: lost.since))) ago  " + right
            }
        }
        putRight(right, end: width - 1, frame.infoRow, isOld ? .stale : restricted ? .restricted : .textDim)
        let room = width - CharacterWidth.cells(of: right) - 3
        let left = parts.isEmpty ? "" : "Filter: " + parts.joined(separator: " ")
        put(cut(left, room), 0, frame.infoRow, .textKey)
    }

    private mutating func paintEmpty(_ table: TableView, at row: Int) {
        let isFiltered = table.query.filter != nil || !table.query.quick.isEmpty || table.query.attentionOnly
        let text: String
        if isFiltered {
            text = "no row fits the filter; Esc clears it"
        } else if state.screen == .stage {
            text = Draw.noStaging(board)
        } else {
            switch state.live.board.health {
            case .connecting: text = "connecting: asking the controller"
            case .stale where board.burst == nil: text = "no answer yet"
            case .noPlugin:
                text = "Slurm answers, but no burst buffer plugin is configured (BurstBufferType in slurm.conf)"
            default:
                switch state.screen {
                case .buffers: text = "no buffer is allocated"
                case .jobs: text = board.jobs == nil ? "jobs are not known (yet)" : "no job uses a burst buffer now"
                case .users: text = "nobody uses a buffer"
                case .pools: text = "the plugin reports no pool"
                default: text = "nothing yet"
                }
            }
        }
        put(cut(text, columns - 4), 2, row, .textDim)
    }

    private mutating func paintScrollBar(top: Int, visible: Int, count: Int, column: Int) {
        let thumb = max(1, visible * visible / count)
        let at = count > visible ? top * (visible - thumb) / (count - visible) : 0
        for line in 0..<visible {
            let isThumb = line >= at && line < at + thumb
            put(glyph(isThumb ? .scrollThumb : .scrollTrack), column, frame.headerRow + 1 + line, .scroll)
        }
    }

    private mutating func paintRow(
        _ index: Int, place: Int, at line: Int, _ placed: [Table.Placed], marks: Int, width: Int
    ) {
        let table = state.tables[state.screen]!
        let id = Table.id(board, state.screen, index)
        let isSelected = place == table.place
        let isTagged = state.tags.contains(id)
        if let severity = Table.severity(board, state.screen, index) {
            let sign: Glyph = severity == .crit ? .markCrit : severity == .warn ? .markWarn : .markInfo
            put(glyph(sign), marks == 2 ? 0 : 1, line, severity.role)
        }
        if isSelected, marks > 2 { put(glyph(.markSelected), 0, line, .rowSelected) }
        if isTagged, marks > 2 { put(glyph(.markTagged), 2, line, .rowTagged) }
        for column in placed {
            var (text, role) = column.column.cell(context, index)
            // `cancel 12s` is what a narrow flag column cannot hold, and the number is what matters.
            if text.hasPrefix("cancel "), CharacterWidth.cells(of: text) > column.width {
                text = "cxl " + text.dropFirst(7)
            }
            if let share = column.column.share?(context, index), column.width >= 8 {
                let bar = column.width - 5
                paintShare(share, marks + column.at, line, width: bar)
                put(padded(text, to: 5, right: true, sign: glyph(.cut)), marks + column.at + bar, line, role)
                continue
            }
            let shown = padded(text, to: column.width, right: column.column.isRight, sign: glyph(.cut))
            put(shown, marks + column.at, line, role)
            if !state.search.isEmpty, text.lowercased().contains(state.search.lowercased()) {
                grid.overlay(
                    isSelected ? .matchCurrent : .match, column: marks + column.at, row: line,
                    columns: min(column.width, CharacterWidth.cells(of: text)))
            }
        }
        if isSelected {
            for column in 0..<(width - 1) {
                let overlay = grid[column: column, row: line].style.overlay
                if overlay == nil { grid[column: column, row: line].style.overlay = .rowSelected }
            }
        } else if isTagged {
            grid.overlay(.rowTagged, row: line, columns: width - 1)
        } else if state.screen == .buffers {
            switch board.bufferRows[index].mark {
            case .new: grid.overlay(.rowNew, row: line, columns: width - 1)
            case .changed: grid.overlay(.rowChanged, row: line, columns: width - 1)
            case .none: break
            }
        }
    }

    // MARK: Text screens

    mutating func paintLines(
        _ lines: [Draw.Line], from top: Int, column: Int = 0, row: Int? = nil, rows: Int? = nil, width: Int? = nil
    ) {
        let first = row ?? frame.bodyTop
        let count = rows ?? frame.bodyRows
        let top = max(0, min(top, lines.count - 1))
        for line in 0..<count where top + line < lines.count {
            let parts = lines[top + line].parts
            var at = column
            let end = column + (width ?? columns)
            for (text, role) in parts where at < end {
                at += grid.put(cut(text, end - at), column: at, row: first + line, Style(role))
            }
        }
    }

    private mutating func paintStatus() {
        paintLines(Draw.statusLines(state, now: now), from: state.textTop[.status] ?? 0)
    }
}

extension Draw {
    /// A line of text in pieces, each with its role.
    package struct Line: Hashable, Sendable {
        package struct Part: Hashable, Sendable {
            var text: String
            var role: Role
        }
        var stored: [Part]

        package var parts: [(String, Role)] { stored.map { ($0.text, $0.role) } }
        package var text: String { stored.map(\.text).joined() }

        init(_ text: String, _ role: Role = .text) { stored = [Part(text: text, role: role)] }
        init(_ parts: [(String, Role)]) { stored = parts.map { Part(text: $0.0, role: $0.1) } }
    }

    /// Lines of the text screen shown, for scrolling.
    package static func textLineCount(_ state: MonitorState) -> Int {
        switch state.screen {
        case .status: statusLines(state, now: state.board.now).count
        case .config: configLines(state).count
        default: 0
        }
    }

    /// A screen that is no table, as text.
    package static func plainText(_ state: MonitorState) -> String {
        switch state.screen {
        case .status: statusLines(state, now: state.board.now).map { $0.text + "\n" }.joined()
        case .config: configLines(state).map { $0.text + "\n" }.joined()
        default: grid(state, theme: .builtInDefault, ascii: true, now: state.board.now).text
        }
    }

    // MARK: Status

    static func statusLines(_ state: MonitorState, now: Timestamp) -> [Line] {
        let answer = statusAnswerLines(state, now: now)
        guard let calls = state.live.calls else { return answer }
        return answer + callLines(calls, title: "trace: calls of the script", state, showsJob: true)
    }

    private static func statusAnswerLines(_ state: MonitorState, now: Timestamp) -> [Line] {
        let data = state.live
        var lines: [Line] = []
        let shown = data.status.map { ([$0.request.word] + $0.request.arguments).joined(separator: " ") } ?? "bbstat"
        lines.append(
            Line([
                ("scontrol show \(shown)", .textStrong),
                ("   on demand: runs a script on the controller", .textDim),
            ]))
        if let since = data.statusRunningSince {
            lines.append(
                Line(
                    "asking for \(Age.long(seconds: now.seconds(since: since))); a time limit ends it",
                    .severityWarn))
        }
        guard let status = data.status else {
            lines.append(Line(""))
            lines.append(
                Line("O asks, with arguments where the script takes some; so do :bbstat and :dwstat."))
            lines.append(Line("For DataWarp: sessions, instances, configurations, nodes, pools, most, all."))
            return lines
        }
        let zone = state.zone
        let age = Age.long(seconds: now.seconds(since: status.at))
        let seconds = Amount.fixed(Double(status.durationMilliseconds) / 1000, decimals: 2)
        let end: String
        switch status.result.end {
        case .exit(let code): end = "exit \(code)"
        case .signal(let signal): end = "signal \(signal)"
        case .timedOut: end = "no answer in time: ended"
        case .failed(let why): end = why
        }
        lines.append(
            Line(
                "fetched \(zone.local(status.at).clock) (\(age) ago)  took \(seconds)s  \(end)    O=ask again", .textDim
            ))
        let sessions = leftovers(status, state.board)
        for text in [status.result.output, status.result.errors] where !text.isEmpty {
            for line in String(decoding: text, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false) {
                let isLeft = sessions.contains { $0 == line }
                lines.append(
                    Line([(isLeft ? "! " : "  ", .severityCrit), (String(line), isLeft ? .severityCrit : .text)]))
            }
        }
        if !sessions.isEmpty {
            let count =
                sessions.count == 1
                ? "1 session in state D (being destroyed) matches"
                : "\(sessions.count) sessions in state D (being destroyed) match"
            lines.append(Line("\(count) no Slurm buffer: possible leak", .severityCrit))
        }
        return lines
    }

    /// Rows of a dwstat session table that are being destroyed and whose token is no buffer that Slurm lists.
    private static func leftovers(_ status: StatusOutcome, _ board: Board) -> [Substring] {
        let text = String(decoding: status.result.output, as: UTF8.self)
        let lines = text.split(separator: "\n")
        guard
            let head = lines.firstIndex(where: { $0.contains("sess") && $0.contains("token") && $0.contains("state") })
        else { return [] }
        let known = Set(
            board.bufferRows.filter { $0.gone == nil }.map { $0.key.id.jobID.map { "\($0)" } ?? $0.key.id.short })
        return lines[(head + 1)...].filter { line in
            let words = line.split(separator: " ")
            return words.count >= 4 && words[1].hasPrefix("D") && !known.contains(String(words[2]))
        }
    }

    // MARK: Config

    static func configLines(_ state: MonitorState) -> [Line] {
        let board = state.live.board
        var lines: [Line] = []
        func field(_ name: String, _ value: String?, _ role: Role = .text) {
            lines.append(
                Line([(padded(name, to: 22), .textDim), (value ?? "(unset)", value == nil ? .textDim : role)]))
        }
        lines.append(Line("Source", .title))
        field("cluster", board.source.cluster)
        field("Slurm", board.source.version)
        field("controller", board.config?.value.host)
        field("up since", board.config?.value.bootTime?.text)
        field("viewer", board.source.viewer.isEmpty ? nil : board.source.viewer)
        field("MinJobAge", board.config?.value.minJobAgeSeconds.map { "\($0)s" })
        field("PrivateData", board.config?.value.privateData)
        lines.append(Line(""))
        lines.append(Line("Calls to the controller", .title))
        let calls = board.calls
        field("made", "\(calls.count), \(calls.failures) failed, \(calls.perMinute) in the last minute")
        field(
            "took",
            calls.medianMilliseconds.map { "median \($0) ms, 95 % within \(calls.p95Milliseconds ?? $0) ms" })
        field(
            "every",
            "\(calls.burstInterval)s buffers, \(calls.jobsInterval)s jobs\(calls.intervalReason.isEmpty ? "" : " (\(calls.intervalReason))")"
        )
        for plugin in board.burst?.value.plugins ?? [] {
            lines.append(Line(""))
            lines.append(Line("Plugin \(plugin.name)", .title))
            field("DefaultPool", plugin.defaultPool)
            field("Flags", plugin.flags.joined(separator: ","))
            field("PollInterval", plugin.pollInterval.map { "\($0)s" } ?? "(not told: before 26.05)")
            field("StageInTimeout", "\(plugin.stageInTimeout)s = \(Age.long(seconds: plugin.stageInTimeout))")
            field("StageOutTimeout", "\(plugin.stageOutTimeout)s = \(Age.long(seconds: plugin.stageOutTimeout))")
            field("ValidateTimeout", "\(plugin.validateTimeout)s")
            field("OtherTimeout", "\(plugin.otherTimeout)s")
            for setting in plugin.settings { field(setting.label, setting.value) }
            for part in plugin.header {
                if case .unknown(let key, let value, _) = part { field(key, value, .severityInfo) }
            }
        }
        let reservations = board.reservations?.value.filter { $0.burstBuffer != nil } ?? []
        if !reservations.isEmpty {
            lines.append(Line(""))
            lines.append(Line("Reservations with burst buffers (the lua plugin ignores them)", .title))
            for reservation in reservations {
                field(
                    reservation.name,
                    "\(reservation.burstBuffer ?? "")  \(reservation.state ?? "")  users \(reservation.users ?? "-")")
            }
        }
        if !board.faults.isEmpty {
            lines.append(Line(""))
            lines.append(Line("Not understood in the last replies", .severityWarn))
            for fault in board.faults { lines.append(Line("  " + fault.text, .severityWarn)) }
        }
        return lines
    }
}
