import BurstModel

extension Draw {
    /// How the overview shares its rows out.
    struct OverviewPlan: Hashable {
        var pools: Int
        /// A line about copies, where some are under way or failed.
        var staging = 0
        var alerts: Int
        var users: Int
        var events: Int
        /// Attention and users at the left, states and events at the right.
        var split: Bool
    }

    static func overviewPlan(_ state: MonitorState) -> OverviewPlan {
        let frame = frame(state)
        let body = frame.bodyRows
        let board = state.board
        let split = state.size.columns >= 140 && body >= 24
        let pools = min(max(1, board.poolRows.count), max(min(3, body / 3), split ? body / 3 : body / 4))
        let staging = body >= 10 && board.stagingTotals.isTold ? 1 : 0
        // Each part has a line of heading.
        var rest = body - pools - 1 - staging
        if split {
            let users = min(max(3, board.userRows.count), max(4, rest / 3))
            return OverviewPlan(
                pools: pools, staging: staging, alerts: rest - users - 2, users: users, events: rest - users - 2,
                split: true)
        }
        if rest < 6 {
            return OverviewPlan(
                pools: pools, staging: staging, alerts: max(0, rest - 1), users: 0, events: 0, split: false)
        }
        rest -= 1
        let wanted = max(1, board.alerts.count)
        let users = rest >= 11 ? min(max(2, max(board.userRows.count, state.stages.count)), rest / 3) + 1 : 0
        var events = rest - users >= 6 ? min(5, (rest - users) / 3) : 0
        var alerts = rest - users - events
        if alerts > wanted, events > 0 {
            events += alerts - wanted
            alerts = wanted
        }
        return OverviewPlan(
            pools: pools, staging: staging, alerts: alerts, users: users, events: events, split: false)
    }

    /// The number of the alert at a row of the overview.
    static func overviewAlert(at row: Int, _ state: MonitorState) -> Int? {
        let plan = overviewPlan(state)
        let first = frame(state).bodyTop + plan.pools + plan.staging + 2
        let index = row - first
        guard index >= 0, index < plan.alerts else { return nil }
        let number = overviewTop(state, plan) + index
        return number < state.board.alerts.count ? number : nil
    }

    /// The first alert shown, so that the selected one is in view.
    static func overviewTop(_ state: MonitorState, _ plan: OverviewPlan) -> Int {
        guard plan.alerts > 0 else { return 0 }
        return max(0, state.overviewSelected - plan.alerts + 1)
    }

    /// Stages of the buffers: broken ones first, then the most frequent.
    static func stages(_ board: Board) -> [Board.StageSummary] {
        board.stageSummaries.sorted {
            ($0.state.stateClass == .broken ? 0 : 1, -$0.count, $0.state.rank)
                < ($1.state.stateClass == .broken ? 0 : 1, -$1.count, $1.state.rank)
        }
    }
}

extension Painter {
    mutating func paintOverview() {
        let plan = Draw.overviewPlan(state)
        var row = frame.bodyTop
        paintPools(plan, row)
        row += plan.pools + 1
        if plan.staging > 0 {
            paintStaging(row)
            row += 1
        }
        if plan.split {
            let left = columns * 11 / 20
            paintAlerts(plan, row, column: 0, width: left - 1)
            for line in row..<frame.footerRow { put(glyph(.lineVertical), left, line, .border) }
            paintEvents(plan.events, row, column: left + 2, width: columns - left - 2)
            let second = row + plan.alerts + 1
            paintUsers(plan.users, second, column: 0, width: left - 1)
            paintStates(plan.users, second, column: left + 2, width: columns - left - 2)
            return
        }
        if plan.alerts > 0 || frame.footerRow - row > 0 { paintAlerts(plan, row, column: 0, width: columns) }
        row += plan.alerts + 1
        if plan.users > 0 {
            let left = columns >= 78 ? columns * 9 / 20 : columns
            paintUsers(plan.users - 1, row, column: 0, width: left - 2)
            if columns >= 78 { paintStates(plan.users - 1, row, column: left + 1, width: columns - left - 1) }
            row += plan.users
        }
        if plan.events > 1 { paintEvents(plan.events - 1, row, column: 0, width: columns) }
    }

    // MARK: Pools

    private mutating func paintPools(_ plan: Draw.OverviewPlan, _ row: Int) {
        grid.fill(column: 0, row: row, columns: columns, rows: 1, Style(.header))
        let isCompact = columns < 78
        let isWide = columns >= 120
        let nameWidth = isCompact ? 9 : isWide ? 14 : 11
        let numbers: [(String, Int)] =
            isCompact
            ? [("FREE", 7), ("FIT", 7)]
            : [("USED", 7), ("DRAIN", 7), ("FREE", 8), ("FIT", 8), ("GRAN", 6)]
                + (isWide ? [("BUFS", 6), ("WAIT", 5), ("WASTE", 7)] : [])
        var sparkWidth = isCompact ? 0 : columns >= 140 ? 32 : isWide ? 24 : 7
        let numbersWidth = numbers.reduce(0) { $0 + $1.1 }
        var barWidth = max(4, columns - nameWidth - numbersWidth - sparkWidth - 2)
        // A bar need not be longer; the time line can be finer, up to 15 minutes a cell.
        let spare = min(max(0, barWidth - 60), 96 - min(96, sparkWidth))
        barWidth -= spare
        sparkWidth += spare
        let legend =
            barWidth >= 24
            ? "[used \(glyph(.barUsed)) drained \(glyph(.barDrained)) free \(glyph(.barFree))]" : "[used]"
        put("POOL", 0, row, .header)
        put(cut(legend, barWidth + 2), nameWidth, row, .header)
        var at = nameWidth + barWidth + 2
        for (title, width) in numbers {
            putRight(title, end: at + width, row, .header)
            at += width
        }
        if sparkWidth > 0 { putRight(isWide ? "24h" : "1h", end: columns, row, .header) }
        guard !board.poolRows.isEmpty else {
            paintNoPools(row + 1)
            return
        }
        // Where not all fit, those in trouble come first.
        let ordered =
            board.poolRows.count <= plan.pools
            ? board.poolRows
            : board.poolRows.enumerated().sorted {
                ($1.element.severity?.rawValue ?? -1, $0.offset) < ($0.element.severity?.rawValue ?? -1, $1.offset)
            }.map(\.element)
        let shown = ordered.prefix(plan.pools)
        for (index, pool) in shown.enumerated() {
            let line = row + 1 + index
            if index == plan.pools - 1, board.poolRows.count > plan.pools {
                put("(\(board.poolRows.count - index) more: 2 opens all pools)", 0, line, .textDim)
                break
            }
            let name = pool.pool.name + (pool.pool.isDefault ? glyph(.markDefault) : "")
            put(padded(name, to: nameWidth - 1, sign: glyph(.cut)), 0, line, pool.goneSince == nil ? .row : .rowGone)
            put("[", nameWidth, line, .border)
            paintBar(pool, nameWidth + 1, line, width: barWidth)
            put("]", nameWidth + 1 + barWidth, line, .border)
            let bytes = pool.pool.countsBytes
            let over = pool.pool.overcommitted > 0
            let texts: [(String, Role)]
            let free = (pool.pool.free.short(bytes: bytes), over ? Role.poolOver : .poolFree)
            let fit = (pool.pool.largestRequest.short(bytes: bytes), Role.row)
            if isCompact {
                texts = [free, fit]
            } else {
                texts =
                    [
                        (pool.pool.used.short(bytes: bytes), .poolUsed),
                        (
                            pool.pool.drainedAmount.short(bytes: bytes),
                            (pool.pool.drained ?? 0) > 0 ? .poolDrained : .textDim
                        ),
                        free, fit, (pool.pool.granularity.briefest(bytes: bytes), .textDim),
                    ]
                    + (isWide
                        ? [
                            ("\(pool.bufferCount)", .row),
                            ("\(pool.waiting)", pool.waiting > 0 ? .severityWarn : .textDim),
                            (Amount(pool.waste).short(bytes: bytes), .textDim),
                        ] : [])
            }
            at = nameWidth + barWidth + 2
            for ((_, width), (text, role)) in zip(numbers, texts) {
                putRight(cut(text, width - 1), end: at + width, line, role)
                at += width
            }
            if sparkWidth > 0 {
                paintSpark(
                    pool.history, columns - sparkWidth + 1, line, width: sparkWidth - 1, minutes: isWide ? 1440 : 60)
            }
        }
    }

    private mutating func paintNoPools(_ row: Int) {
        let text: String
        switch state.live.board.health {
        case .connecting: text = "connecting ..."
        case .stale: text = "no answer from the controller yet"
        case .noPlugin: text = "no burst buffer plugin is configured (BurstBufferType in slurm.conf)"
        case .live: text = "the plugin reports no pool"
        }
        put(cut(text, columns), 0, row, .textDim)
    }

    /// `STAGING 3 (in 2, out 1)`, how far they are together, and what failed.
    private mutating func paintStaging(_ row: Int) {
        let totals = board.stagingTotals
        grid.fill(column: 0, row: row, columns: columns, rows: 1, Style(.header))
        var at = grid.put(totals.text + "  ", column: 0, row: row, Style(.header))
        if totals.failed > 0 {
            at += grid.put("\(totals.failed) FAILED  ", column: at, row: row, Style(.severityCrit, over: .header))
        }
        if totals.count > 0 {
            for text in [totals.bytesText, totals.rateText, totals.etaText.map { "ETA \($0)" }] {
                guard let text, at + CharacterWidth.cells(of: text) <= columns else { continue }
                at += grid.put(text + "  ", column: at, row: row, Style(.header))
            }
        }
        let hint = "(9 opens them)"
        if at + hint.utf8.count <= columns { putRight(hint, end: columns, row, .header) }
    }

    // MARK: Attention

    private mutating func paintAlerts(_ plan: Draw.OverviewPlan, _ row: Int, column: Int, width: Int) {
        let alerts = board.alerts
        let open = alerts.filter { !$0.acknowledged }
        let counts = Severity.allCases.reversed().map { severity in
            let word = severity == .crit ? "crit" : severity == .warn ? "warn" : "info"
            return (count: open.count { $0.severity == severity }, word: word)
        }
        let parts =
            counts.filter { $0.count > 0 || $0.word != "info" }.map { "\($0.count) \($0.word)" }
            + (open.count < alerts.count ? ["\(alerts.count - open.count) acked"] : [])
        grid.fill(column: column, row: row, columns: width, rows: 1, Style(.header))
        let isKnown = board.burst != nil || !alerts.isEmpty
        let title =
            !isKnown
            ? "ATTENTION (nothing is known yet)"
            : alerts.isEmpty ? "ATTENTION none" : "ATTENTION \(alerts.count) (\(parts.joined(separator: ", ")))"
        put(cut(title, width), column, row, .header)
        let top = Draw.overviewTop(state, plan)
        let isCut = alerts.count > plan.alerts && plan.alerts > 0
        let place = isCut ? "\(top + 1)-\(top + plan.alerts) of \(alerts.count)" : ""
        let hint = width >= 70 && !alerts.isEmpty ? "  a=ack  Enter=open  A=all" : ""
        if CharacterWidth.cells(of: title + place + hint) + 2 <= width {
            putRight(place + hint, end: column + width, row, .header)
        }
        if alerts.isEmpty, plan.alerts > 0 {
            let text = board.burst == nil ? "" : "nothing needs attention"
            put(text, column + 1, row + 1, .severityOK)
            return
        }
        let visible = alerts[min(top, alerts.count)..<min(alerts.count, top + plan.alerts)]
        let subjectWidth = alertSubjectWidth(visible)
        for line in 0..<plan.alerts where top + line < alerts.count {
            paintAlert(alerts[top + line], row + 1 + line, column: column, width: width, subjectWidth: subjectWidth)
            if top + line == state.overviewSelected {
                grid.overlay(.rowSelected, column: column, row: row + 1 + line, columns: width)
            }
        }
    }

    /// Cells for what the alerts are about: all of it, since it is what one acts on.
    func alertSubjectWidth(_ alerts: some Sequence<Alert>) -> Int {
        min(16, alerts.reduce(6) { max($0, CharacterWidth.cells(of: $1.subject.short)) })
    }

    mutating func paintAlert(_ alert: Alert, _ line: Int, column: Int, width: Int, subjectWidth: Int) {
        let role: Role = alert.acknowledged ? .severityAcknowledged : alert.severity.role
        let sign: Glyph =
            alert.acknowledged
            ? .markAcknowledged : alert.severity == .crit ? .markCrit : alert.severity == .warn ? .markWarn : .markInfo
        let isCompact = width < 70
        var at = column + (isCompact ? 0 : 1)
        put(glyph(sign), at, line, role)
        at += 2
        func add(_ text: String, _ cells: Int, _ role: Role, right: Bool = false) {
            let room = column + width - at
            guard room > 0, cells > 0 else { return }
            put(padded(text, to: min(cells, room), right: right, sign: glyph(.cut)), at, line, role)
            at += cells + 1
        }
        let age = Age.short(seconds: board.now.seconds(since: alert.since)) + (alert.sinceSeen ? "" : "+")
        let bytes = poolCountsBytes(alert)
        let size = alert.size?.short(bytes: bytes) ?? ""
        add(alert.title, 14, role)
        switch alert.subject {
        case .pool, .user, .controller:
            // There is no owner and no size; the sentence tells all.
            add(alert.subject.short, subjectWidth, .row)
            add(age, 4, .textDim, right: true)
            add(alert.message, max(0, column + width - at), .textDim)
        case .buffer, .job:
            add(alert.subject.short, subjectWidth, .row)
            if isCompact {
                // Whose it is matters more than how large it is.
                let room = column + width - at - 5
                let withSize = room >= 12
                add(alert.user, min(8, room - (withSize ? 7 : 1)), .row)
                if withSize { add(size, 5, .row, right: true) }
                add(age, 4, .textDim, right: true)
            } else {
                add(age, 4, .textDim, right: true)
                add(alert.user, 8, .row)
                add(size, 6, .row, right: true)
                add(alert.pool, 8, .row)
                add(alert.message, max(0, column + width - at), .textDim)
            }
        }
    }

    private func poolCountsBytes(_ alert: Alert) -> Bool {
        guard !alert.pool.isEmpty else { return true }
        return board.poolRows.first { $0.pool.name == alert.pool }?.pool.countsBytes ?? true
    }

    // MARK: Users, states, events

    private mutating func paintUsers(_ count: Int, _ row: Int, column: Int, width: Int) {
        grid.fill(column: column, row: row, columns: width, rows: 1, Style(.header))
        put("TOP USERS", column, row, .header)
        let end = column + width
        putRight("USED", end: end - 13, row, .header)
        putRight("SHARE", end: end - 6, row, .header)
        putRight("BUFS", end: end, row, .header)
        let users = board.userRows.sorted {
            ($0.used ?? $0.sum, $1.user) > ($1.used ?? $1.sum, $0.user)
        }
        func line(_ index: Int, _ name: String, _ used: UInt64, _ share: Double, _ buffers: Int, _ role: Role) {
            let at = row + 1 + index
            put(cut(name, max(1, width - 22)), column + 1, at, role)
            putRight(Amount.short(used), end: end - 13, at, .row)
            putRight("\(Int((share * 100).rounded()))%", end: end - 6, at, .row)
            putRight("\(buffers)", end: end, at, .row)
        }
        let isCut = users.count > count
        for (index, user) in users.prefix(isCut ? max(0, count - 1) : count).enumerated() {
            line(index, user.user, user.used ?? user.sum, user.share, user.buffers, .row)
        }
        if isCut, count > 0 {
            let rest = users.dropFirst(count - 1)
            line(
                count - 1, "(\(rest.count) more)", rest.reduce(0) { $0 &+ ($1.used ?? $1.sum) },
                rest.reduce(0) { $0 + $1.share }, rest.reduce(0) { $0 + $1.buffers }, .textDim)
        }
    }

    private mutating func paintStates(_ count: Int, _ row: Int, column: Int, width: Int) {
        grid.fill(column: column - 1, row: row, columns: width + 1, rows: 1, Style(.header))
        put("STATES", column, row, .header)
        let end = column + min(width, 40)
        putRight("CNT", end: end - 9, row, .header)
        putRight("SIZE", end: end - 1, row, .header)
        for (index, entry) in state.stages.prefix(count).enumerated() {
            let at = row + 1 + index
            put(glyph(entry.state.stateClass.glyph), column, at, entry.state.role)
            put(cut(entry.state.name, 16), column + 2, at, entry.state.role)
            putRight("\(entry.count)", end: end - 9, at, .row)
            putRight(Amount.short(entry.size), end: end - 1, at, .row)
        }
    }

    private mutating func paintEvents(_ count: Int, _ row: Int, column: Int, width: Int) {
        grid.fill(column: column, row: row, columns: width, rows: 1, Style(.header))
        put("EVENTS", column, row, .header)
        if width >= 60 { putRight("(7 opens the log)", end: column + width, row, .header) }
        for (index, event) in board.events.suffix(count).reversed().enumerated() {
            let at = row + 1 + index
            var place = column + 1
            place += grid.put(context.clock(event.at) + " ", column: place, row: at, Style(.textDim))
            place += grid.put(
                padded(event.level.rawValue, to: 4) + " ", column: place, row: at, Style(event.level.role))
            let who = event.user.isEmpty ? event.subject.short : "\(event.subject.short) \(event.user)"
            put(cut("\(who) \(event.text)", column + width - place), place, at, .row)
        }
    }
}
