import BurstModel

extension Draw {
    // MARK: Detail pane

    /// What is known of a row, for the pane below or beside the table.
    static func detailLines(_ state: MonitorState, index: Int, glyph: (Glyph) -> String, width: Int) -> [Line] {
        let isBeside = frame(state).detailBeside
        switch state.screen {
        case .pools: return poolLines(state.context, index, glyph: glyph, width: width)
        case .buffers:
            let row = state.board.bufferRows[index]
            let lines = bufferLines(state.context, row, glyph: glyph, width: width)
            return isBeside ? lines + more(state, row.key.id.jobID, row.key) : lines
        case .users: return userLines(state.context, index)
        case .jobs:
            let row = state.board.jobRows[index]
            let lines = jobRowLines(state.context, row, glyph: glyph, width: width)
            return isBeside ? lines + more(state, row.id, row.buffer) : lines
        case .stage:
            let row = state.board.stagingRows[index]
            let lines = stageLines(state.context, row, glyph: glyph, width: width)
            return isBeside ? lines + more(state, row.job, row.buffer) : lines
        default: return []
        }
    }

    /// Events of a row that a detail pane lists.
    private static let historyMax = 8

    /// What the pane beside a table has room for: what was seen of the row, and what can be done with it.
    private static func more(_ state: MonitorState, _ job: JobID?, _ buffer: BufferKey?) -> [Line] {
        var lines: [Line] = []
        var actions: [(Action, String)] = [(.copy, "copy id"), (.raw, "Slurm's words")]
        if job != nil {
            actions = [(.cancel, "cancel..."), (.goJob, "job"), (.goStatus, "bbstat")] + actions
            if state.screen == .jobs { actions[1] = (.goBuffer, "buffer") }
        }
        let texts = actions.compactMap { action, text in
            state.keys.keys[action]?.first.map { "\($0.name)=\(text)" }
        }
        if !texts.isEmpty { lines += [Line(""), Line(texts.joined(separator: "  "), .textDim)] }
        // What an alert says stands above.
        let events = events(state.board, job, buffer).filter { $0.kind != .alert }.suffix(historyMax)
        if !events.isEmpty { lines += [Line(""), Line("history", .textDim)] }
        for event in events {
            lines.append(
                Line([
                    ("  " + state.context.clock(event.at) + "  ", .textDim),
                    (event.text, event.level.role == .severityInfo ? .text : event.level.role),
                ]))
        }
        return lines
    }

    /// What was seen of a job and its buffer, oldest first.
    private static func events(_ board: Board, _ job: JobID?, _ buffer: BufferKey?) -> [Event] {
        board.events.filter { event in
            switch event.subject {
            case .job(let id): id == job
            case .buffer(let key): key == buffer || job != nil && key.id.jobID == job
            default: false
            }
        }
    }

    private static func amountText(_ amount: Amount, bytes: Bool) -> String {
        guard let value = amount.value, bytes, !amount.isInfinite, !amount.isUnderflow, value >= 1024 else {
            return amount.text
        }
        return "\(amount.text) = \(Amount.grouped(value)) B"
    }

    private static func poolLines(
        _ context: TableContext, _ index: Int, glyph: (Glyph) -> String, width: Int
    ) -> [Line] {
        let row = context.board.poolRows[index]
        let pool = row.pool
        let bytes = pool.countsBytes
        var lines = [
            Line([
                (pool.name, .title), ("  \(pool.plugin)\(pool.isDefault ? ", default pool" : "")", .textDim),
                (bytes ? "" : "  counts units of its own, not bytes", .textDim),
            ])
        ]
        lines.append(
            Line(
                "total \(pool.total.text)  used \(pool.used.text)  free \(pool.free.isUnderflow ? "-" + Amount(pool.free.shortfall).text + " (over-committed)" : pool.free.text)  drained \(pool.drained.map { $0 < 0 ? "-\(Amount($0.magnitude).text)" : Amount(UInt64($0)).text } ?? "?")"
            ))
        lines.append(
            Line(
                "granularity \(pool.granularity.text)  largest request that fits now \(amountText(pool.largestRequest, bytes: bytes))"
            ))
        var sums = "buffers \(row.bufferCount), sum \(Amount(row.bufferSum).short(bytes: bytes))"
        if let used = pool.used.known, used != row.bufferSum {
            let gap = Int64(clamping: used) - Int64(clamping: row.bufferSum)
            sums += "  (used minus sum: \(gap < 0 ? "-" : "")\(Amount(gap.magnitude).short(bytes: bytes)))"
        }
        if row.reserved > 0 { sums += "  reserved \(Amount(row.reserved).short(bytes: bytes))" }
        lines.append(Line(sums))
        if row.waiting > 0 {
            let smallest = row.smallestWaiting.map { ", the smallest wants \(Amount($0).short(bytes: bytes))" } ?? ""
            lines.append(Line("\(row.waiting) jobs wait for space\(smallest)", .severityWarn))
        }
        if let gone = row.goneSince {
            lines.append(Line("no longer reported since \(context.clock(gone))", .severityCrit))
        }
        lines += alertLines(context.board.alerts.filter { $0.subject == .pool(pool.key) })
        let cells = max(8, min(96, width - 18))
        lines.append(
            Line(
                [("last 24h ", .textDim)]
                    + spark(row.history, cells: cells, minutes: 1440, until: context.now, glyph: glyph)))
        let top = largest(context.board) { $1.pool == pool.name && $0.key.plugin == pool.plugin }
        if !top.isEmpty { lines.append(Line("largest buffers (Enter shows all)", .textDim)) }
        for buffer in top {
            let value = context.board.buffer(buffer)
            let stage = context.board.stage(buffer)
            lines.append(
                Line([
                    ("  " + padded(buffer.key.id.short, to: 12), .row), (padded(value?.user ?? "", to: 10), .row),
                    (padded(value?.size.short(bytes: bytes) ?? "", to: 8, right: true) + "  ", .row),
                    (stage.name, stage.role),
                ]))
        }
        return lines
    }

    /// Rows that a detail pane lists.
    private static let listedMax = 20

    /// The largest buffers of a kind. One pass, since this is drawn at every key and there may be 100,000 rows.
    private static func largest(_ board: Board, where fits: (BufferRow, Buffer) -> Bool) -> [BufferRow] {
        var kept: [(size: UInt64, row: BufferRow)] = []
        for row in board.bufferRows {
            let found = board.buffer(row) { fits(row, $0) ? $0.size.known ?? 0 : nil }
            guard let size = found ?? nil else { continue }
            if kept.count == listedMax, let last = kept.last, size <= last.size { continue }
            let place = kept.firstIndex { $0.size < size } ?? kept.count
            kept.insert((size, row), at: place)
            if kept.count > listedMax { kept.removeLast() }
        }
        return kept.map(\.row)
    }

    static func alertLines(_ alerts: [Alert]) -> [Line] {
        alerts.map { alert in
            Line([
                (
                    "\(alert.severity.sign) \(alert.rule) \(alert.title): ",
                    alert.acknowledged ? .severityAcknowledged : alert.severity.role
                ),
                (alert.message, .text),
            ])
        }
    }

    /// A failed job keeps its stage; the time in it says nothing then.
    private static func hasFailed(_ alerts: [Alert]) -> Bool {
        alerts.contains { ["R2", "R4", "R5"].contains($0.rule) }
    }

    /// Age of a stage against its time limit, as a bar; nil where the stage has none. What is left of it is said
    /// where no alert says it.
    private static func timeoutLine(
        _ stage: BufferState, plugin: String, since: Timestamp, _ alerts: [Alert], _ context: TableContext,
        glyph: (Glyph) -> String, width: Int
    ) -> Line? {
        guard let record = context.board.burst?.value.plugins.first(where: { $0.name == plugin }) else { return nil }
        let limit: (String, Int)
        switch stage {
        case .stagingIn: limit = ("StageInTimeout", record.stageInTimeout)
        case .stagingOut: limit = ("StageOutTimeout", record.stageOutTimeout)
        case .preRun, .postRun, .teardown: limit = ("OtherTimeout", record.otherTimeout)
        default: return nil
        }
        guard limit.1 > 0 else { return nil }
        let elapsed = context.now.seconds(since: since)
        let share = max(0, min(1, Double(elapsed) / Double(limit.1)))
        let cells = 16
        let filled = Int((share * Double(cells)).rounded())
        let left = limit.1 - elapsed
        let role: Role = share >= 0.95 ? .severityCrit : share >= 0.8 ? .severityWarn : .poolUsed
        let rest = left >= 0 ? "left \(Age.long(seconds: left))" : "over by \(Age.long(seconds: -left))"
        return Line([
            ("\(limit.0) \(Age.long(seconds: limit.1))  [", .text),
            (String(repeating: glyph(.barUsed), count: filled), role),
            (String(repeating: glyph(.barFree), count: cells - filled), .poolFree), ("]", .text),
            (alerts.contains { $0.rule == "R6" } ? "" : "  " + rest, .text),
        ])
    }

    static func bufferLines(
        _ context: TableContext, _ row: BufferRow, glyph: (Glyph) -> String, width: Int
    ) -> [Line] {
        let board = context.board
        guard let buffer = board.buffer(row) else { return [] }
        let bytes = context.countsBytes(plugin: row.key.plugin, pool: buffer.pool)
        let inner = row.key.id.jobID.map { "\($0)" }
        let id = row.key.id.short + (inner == row.key.id.short || inner == nil ? "" : " (\(inner!))")
        let granularity = board.poolRows.first { $0.pool.name == buffer.pool && $0.pool.plugin == row.key.plugin }
        let size: [(String, Role)] = [
            (amountText(buffer.size, bytes: bytes), .textStrong),
            (granularity.map { "  (grains of \($0.pool.granularity.text))" } ?? "", .textDim),
        ]
        let owner = placed("\(buffer.user)(\(buffer.uid))", 14) + placed(buffer.pool ?? "no pool", 10)
        let head: [(String, Role)] = [(placed(id, 10), .title), (owner, .text)]
        var lines = width < narrow ? [Line(head), Line([("size ", .textDim)] + size)] : [Line(head + size)]
        let created = row.created.map { context.dateTime($0) } ?? "unknown"
        let names = "partition=\(buffer.partition ?? "-") qos=\(buffer.qos ?? "-") account=\(buffer.account ?? "-")"
        lines += width < narrow ? [Line("created \(created)"), Line(names)] : [Line("created \(created)  \(names)")]
        let age = Age.long(seconds: context.now.seconds(since: row.since)) + (row.sinceSeen ? "" : "+")
        if let gone = row.gone {
            lines.append(
                Line(
                    "no longer listed by Slurm since \(context.clock(gone.at)); kept here until acknowledged",
                    .severityCrit))
        }
        if let job = board.job(row) {
            lines += jobStateLines(job, allocation: buffer.state, age: age, width: width)
            let stage = job.bufferState ?? buffer.state
            let alerts = board.alerts.filter { $0.subject == .buffer(row.key) || $0.subject == .job(job.id) }
            lines += alertLines(alerts)
            lines += workLines(context, job.id, staging: row.staging, glyph: glyph, width: width)
            if !hasFailed(alerts),
                let line = timeoutLine(
                    stage, plugin: row.key.plugin, since: row.since, alerts, context, glyph: glyph, width: width)
            {
                lines.append(line)
            }
            lines += specLines(job)
        } else {
            let text: String
            if row.key.id.isPersistent {
                text = "persistent: lives until a job destroys it"
            } else if board.jobs == nil {
                text = "jobs are not known: only the allocation's own state can be shown"
            } else {
                text = "Slurm lists no job \(inner ?? "")"
            }
            lines.append(
                Line([
                    ("allocation ", .textDim), (buffer.state.name, buffer.state.role), (" for \(age)  \(text)", .text),
                ]))
            lines += alertLines(board.alerts.filter { $0.subject == .buffer(row.key) })
            lines += copyLines(context, row.staging, glyph: glyph, width: width)
        }
        for extra in buffer.extra { lines.append(Line("\(extra.key)=\(extra.value)", .severityInfo)) }
        return lines
    }

    /// Narrower panes have a line for what stands side by side in a wide one.
    private static let narrow = 70

    /// A text and blanks behind it, so that what follows stays in its place from row to row: it can be found there, and
    /// need not be sent again.
    private static func placed(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(2, width - CharacterWidth.cells(of: text)))
    }

    private static func jobStateLines(
        _ job: Job, allocation: BufferState?, age: String, width: Int
    ) -> [Line] {
        var parts: [(String, Role)] = [
            ("job \(job.state)", .text), (job.isHeld ? " HELD" : "", .severityWarn), ("  bb state ", .textDim),
        ]
        if let state = job.bufferState { parts.append((state.name, state.role)) } else { parts.append(("-", .textDim)) }
        parts.append((" for " + (allocation == nil || width < narrow ? age : placed(age, 8)), .text))
        let own: [(String, Role)] = allocation.map { [("alloc ", .textDim), ($0.name, $0.role)] } ?? []
        var lines = width < narrow && !own.isEmpty ? [Line(parts), Line(own)] : [Line(parts + own)]
        if job.reason != "None" { lines.append(Line([("reason ", .textDim), (job.reasonLine, .text)])) }
        return lines
    }

    private static func specLines(_ job: Job) -> [Line] {
        var lines: [Line] = []
        if let spec = job.spec {
            for (index, line) in spec.split(whereSeparator: \.isNewline).enumerated() {
                lines.append(Line([(index == 0 ? "spec: " : "      ", .textDim), (String(line), .text)]))
            }
        }
        let incidents = job.incidents
        if incidents.isEmpty {
            lines.append(
                Line([
                    ("system comment: ", .textDim),
                    (
                        job.systemComment == nil
                            ? "(none)" : job.systemComment!.split(whereSeparator: \.isNewline).joined(separator: " "),
                        .text
                    ),
                ]))
        } else {
            lines.append(
                Line(
                    "\(incidents.count == 1 ? "1 failure" : "\(incidents.count) failures") noted by slurmctld:",
                    .textDim))
            for incident in incidents.reversed() {
                lines.append(Line("  \(incident.time.text)  \(incident.hook): \(incident.message)", .severityWarn))
            }
        }
        return lines
    }

    static func jobRowLines(
        _ context: TableContext, _ row: JobRow, glyph: (Glyph) -> String, width: Int
    ) -> [Line] {
        let board = context.board
        let job = board.job(row)
        let age = Age.long(seconds: context.now.seconds(since: row.since)) + (row.sinceSeen ? "" : "+")
        var lines = [
            Line([
                (job.shortID, .title), (job.shortID == "\(job.id)" ? "" : " (\(job.id))", .title),
                ("  \"\(job.name)\"  \(job.user)(\(job.uid))", .text),
                ("  account=\(job.account ?? "-") partition=\(job.partition ?? "-") qos=\(job.qos ?? "-")", .textDim),
            ])
        ]
        let buffer = row.buffer.flatMap { key in board.bufferRows.first { $0.key == key } }
        lines += jobStateLines(
            job, allocation: buffer.flatMap { board.buffer($0)?.state }, age: age, width: width)
        let alerts = board.alerts.filter { alert in
            if case .buffer(let key) = alert.subject { return key.id.jobID == job.id }
            return alert.subject == .job(job.id)
        }
        lines += alertLines(alerts)
        lines += workLines(context, job.id, staging: row.staging, glyph: glyph, width: width)
        var times = "submitted \(job.submitted.map { context.dateTime($0) } ?? "-")"
        if let start = job.start {
            times += "  \(start > context.now ? "expected start" : "started") \(context.dateTime(start))"
        } else if job.state == .pending {
            times += "  expected start unknown"
        }
        if let reservation = job.reservation { times += "  reservation \(reservation)" }
        lines.append(Line(times, .textDim))
        if let need = row.need {
            lines.append(
                Line(
                    "needs \(Amount(need).text) in \(row.pool ?? "the default pool")\(buffer == nil ? "; has no buffer yet" : "")"
                ))
        }
        if !hasFailed(alerts), let stage = job.bufferState,
            let plugin = row.buffer?.plugin ?? board.burst?.value.plugins.first?.name,
            let line = timeoutLine(
                stage, plugin: plugin, since: row.since, alerts, context, glyph: glyph, width: width)
        {
            lines.append(line)
        }
        lines += specLines(job)
        return lines
    }

    private static func userLines(_ context: TableContext, _ index: Int) -> [Line] {
        let board = context.board
        let row = board.userRows[index]
        var lines = [
            Line([
                (row.user, .title),
                ("(\(row.uid))  \(row.buffers == 1 ? "1 buffer" : "\(row.buffers) buffers")", .text),
                (
                    "  used \(row.used.map { Amount($0).text } ?? "not listed")  sum of visible buffers \(Amount(row.sum).text)",
                    .text
                ),
            ])
        ]
        if let gap = row.gap, gap != 0 {
            lines.append(
                Line(
                    "used minus the sum of visible buffers = \(gap < 0 ? "-" : "")\(Amount(gap.magnitude).short(bytes: true)) (accounting gap)",
                    .severityWarn))
        }
        lines += alertLines(board.alerts.filter { $0.subject == .user(row.user) })
        lines.append(Line("largest buffers (Enter shows all)", .textDim))
        let own = largest(board) { $0.gone == nil && $1.uid == row.uid }
        for buffer in own {
            let value = board.buffer(buffer)
            let stage = board.stage(buffer)
            let bytes = context.countsBytes(plugin: buffer.key.plugin, pool: value?.pool)
            lines.append(
                Line([
                    ("  " + padded(buffer.key.id.short, to: 12), .row), (padded(value?.pool ?? "-", to: 10), .row),
                    (padded(value?.size.short(bytes: bytes) ?? "", to: 8, right: true) + "  ", .row),
                    (padded(stage.name, to: 14), stage.role), (buffer.ageText(at: context.now), .textDim),
                ]))
        }
        return lines
    }

    // MARK: A job, whole

    /// Why the newest question after a job had no answer, in one line.
    static func verificationFailure(_ id: JobID, _ data: Delivery) -> String? {
        guard let why = data.detailFailures[id] else { return nil }
        return "could not be verified: " + why.split(whereSeparator: \.isNewline).joined(separator: " ")
    }

    /// What `scontrol show job` tells of a job, with what the monitor knows; raw: its words.
    static func jobLines(
        _ id: JobID, raw: Bool, _ state: MonitorState, glyph: (Glyph) -> String = { $0.rawValue }
    ) -> [Line] {
        let board = state.live.board
        let context = TableContext(board: board, zone: state.zone)
        var lines: [Line] = []
        let detail = state.live.details[id]
        if raw {
            guard let found = detail?.value else {
                if let failure = verificationFailure(id, state.live) { return [Line(failure, .severityCrit)] }
                return [Line("not asked or not known", .textDim)]
            }
            return found.text.split(separator: "\n", omittingEmptySubsequences: false).map { Line(String($0)) }
        }
        if let row = board.jobRows.first(where: { $0.id == id }) {
            lines += jobRowLines(context, row, glyph: glyph, width: 200)
        } else if let buffer = board.bufferRows.first(where: { $0.key.id.jobID == id }) {
            lines += bufferLines(context, buffer, glyph: glyph, width: 200)
        }
        lines.append(Line(""))
        let failure = verificationFailure(id, state.live)
        if let failure { lines.append(Line("scontrol show job \(id): \(failure)", .severityCrit)) }
        switch detail {
        case nil where failure != nil: break
        case nil:
            lines.append(Line(state.isReplay ? "not in the recording" : "asking scontrol show job \(id) ...", .textDim))
        case let answer? where answer.value == nil:
            lines.append(Line("Slurm does not know job \(id) (asked at \(context.clock(answer.at)))", .severityCrit))
        case let answer?:
            lines.append(
                Line(
                    "scontrol show job, asked at \(context.clock(answer.at))   v=word for word  c=cancel  B=buffer",
                    .textDim))
            for field in answer.value!.fields where !["BurstBuffer", "SystemComment"].contains(field.key) {
                lines.append(
                    Line([
                        (padded(field.key, to: 18), .textDim),
                        (field.value.split(whereSeparator: \.isNewline).joined(separator: " "), .text),
                    ]))
            }
        }
        if let calls = state.live.calls {
            lines += callLines(calls.filter { $0.job == id }, title: "calls for it", state, showsJob: false)
        }
        let events = events(board, id, nil)
        if !events.isEmpty {
            lines.append(Line(""))
            lines.append(Line("what was seen of it", .title))
            for event in events.suffix(100) {
                lines.append(
                    Line([
                        (context.dateTime(event.at) + "  ", .textDim),
                        (event.text, event.level.role == .severityInfo ? .text : event.level.role),
                    ]))
            }
        }
        return lines
    }
}

extension Painter {
    mutating func paintDetail(column: Int, row: Int, columns width: Int, rows count: Int, _ order: [Int32]) {
        guard count > 0, width > 4, let table = state.tables[state.screen] else { return }
        if column == 0 {
            put(String(repeating: glyph(.lineHorizontal), count: width), 0, row, .border)
        }
        guard !order.isEmpty else { return }
        let index = Int(order[max(0, min(table.place, order.count - 1))])
        let lines = Draw.detailLines(state, index: index, glyph: { glyph($0) }, width: width)
        var line = column == 0 ? row + 1 : row
        let end = row + count
        let indent = column == 0 ? 1 : column + 1
        for detail in lines {
            // Below the table there is little room: no line may take all of it.
            let wrapped = wrap(detail, width: width - 2)
            for piece in wrapped.prefix(column == 0 ? 2 : wrapped.count) {
                guard line < end else { return }
                paintLines([piece], from: 0, column: indent, row: line, rows: 1, width: width - 1)
                line += 1
            }
        }
    }

    /// Breaks a line at blanks where it is too long.
    func wrap(_ line: Draw.Line, width: Int) -> [Draw.Line] {
        if CharacterWidth.cells(of: line.text) <= width { return [line] }
        var lines: [[(String, Role)]] = [[]]
        var used = 0
        for (text, role) in line.parts {
            for (number, word) in text.split(separator: " ", omittingEmptySubsequences: false).enumerated() {
                let piece = (number > 0 ? " " : "") + word
                let cells = CharacterWidth.cells(of: piece)
                if used + cells > width, used > 0 {
                    lines.append([("  " + word, role)])
                    used = 2 + CharacterWidth.cells(of: String(word))
                } else {
                    lines[lines.count - 1].append((piece, role))
                    used += cells
                }
            }
        }
        return lines.map { Draw.Line($0) }
    }
}
