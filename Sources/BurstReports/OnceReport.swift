package import BurstModel

/// The overview as plain text, for `--once` and for output that is no terminal: ASCII, no escape sequences, nothing
/// cut.
package struct OnceReport: Hashable, Sendable {
    package let text: String

    /// Users that have a line of their own; the others share one.
    private static let usersMax = 10
    private static let eventsMax = 10
    private static let stagingsMax = 50

    /// - Parameters:
    ///   - width: What bars and rules fill. Longer text is not cut.
    ///   - zone: For times of day.
    package init(_ board: Board, width: Int = 100, zone: LocalTime.Zone = .fixed()) {
        var lines = Self.head(board, zone)
        if board.burst != nil {
            lines += Self.pools(board, width: width, zone)
            lines += Self.stagings(board)
            lines += Self.attention(board)
            lines += Self.users(board)
            lines += Self.states(board)
        }
        lines += Self.events(board, zone)
        text = lines.map { $0.asciiLine + "\n" }.joined()
    }

    // MARK: Parts

    private static func head(_ board: Board, _ zone: LocalTime.Zone) -> [String] {
        var words = ["burstmon"]
        if let cluster = board.source.cluster { words.append("cluster=\(cluster)") }
        let plugins = board.burst?.value.plugins.map(\.name) ?? []
        if !plugins.isEmpty { words.append("plugin=\(plugins.joined(separator: ","))") }
        if let version = board.source.version { words.append("slurm=\(version)") }
        if board.source.kind != .slurm { words.append("source=\(board.source.kind.rawValue)") }
        var notes: [String] = []
        switch board.health {
        case .connecting: words.append("CONNECTING")
        case .live: words.append("LIVE")
        case .noPlugin: words.append("NO PLUGIN")
        case .stale(_, let since, let tries, _):
            words.append("STALE \(Age.long(seconds: board.now.seconds(since: since)))")
            words.append("try \(tries)")
        }
        if let sample = board.burst {
            words.append(stamp("burst", sample.at, board.now, zone))
            if let jobs = board.jobs { words.append(stamp("jobs", jobs.at, board.now, zone)) }
            if board.jobs == nil { notes.append("~ jobs are not known: states are those of the buffers alone") }
        }
        if let why = board.whyStale {
            notes.insert("!! \(why)" + (board.burst == nil ? "" : "; what follows is OLD"), at: 0)
        }
        if board.isRestricted { notes.append("~ restricted view: other users' buffers are hidden") }
        notes += board.faults.map { "~ \($0.text)" }
        return [words.joined(separator: "  ")] + notes
    }

    private static func stamp(_ name: String, _ at: Timestamp, _ now: Timestamp, _ zone: LocalTime.Zone) -> String {
        "\(name) \(zone.local(at).clock) (\(Age.short(seconds: now.seconds(since: at))) ago)"
    }

    private static func pools(_ board: Board, width: Int, _ zone: LocalTime.Zone) -> [String] {
        var table = Table(["POOL", "", "USED", "DRAIN", "FREE", "FIT", "GRAN", "BUFS", "WAIT"], right: 2...)
        for row in board.poolRows {
            let pool = row.pool
            let bytes = pool.countsBytes
            var name = board.name(pool) + (pool.isDefault ? "*" : "")
            if let gone = row.goneSince { name += " (gone since \(zone.local(gone).clock))" }
            table.rows.append([
                name, "", pool.used.short(bytes: bytes), pool.drainedAmount.short(bytes: bytes),
                pool.free.short(bytes: bytes), pool.largestRequest.short(bytes: bytes),
                pool.granularity.short(bytes: bytes), "\(row.bufferCount)", "\(row.waiting)",
            ])
        }
        guard !table.rows.isEmpty else { return ["", "POOLS none"] }
        let legend = "[used # drained x free .]"
        let cells = max(legend.count - 2, min(60, width - table.width - 2))
        table.header[1] = legend
        for (index, row) in board.poolRows.enumerated() { table.rows[index][1] = bar(row.pool, cells: cells) }
        return [""] + table.lines
    }

    /// Any use shows, and a pool is full only where nothing is free.
    static func bar(_ pool: Pool, cells: Int) -> String {
        guard let total = pool.total.known, total > 0, let used = pool.used.known else {
            return "[" + String(repeating: "?", count: cells) + "]"
        }
        func part(_ amount: UInt64) -> Int {
            if amount == 0 { return 0 }
            if amount >= total { return cells }
            return min(cells - 1, max(1, Int((Double(amount) / Double(total) * Double(cells)).rounded())))
        }
        let drained = pool.drainedAmount.known ?? 0
        let unfree = part(drained > UInt64.max - used ? .max : used + drained)
        let usedCells = min(part(used), drained > 0 ? max(unfree - 1, 1) : unfree)
        return "[" + String(repeating: "#", count: usedCells) + String(repeating: "x", count: unfree - usedCells)
            + String(repeating: ".", count: cells - unfree) + "]"
    }

    /// Copies that are under way or failed; nothing where there are none.
    private static func stagings(_ board: Board) -> [String] {
        let totals = board.stagingTotals
        guard totals.isTold else { return [] }
        var table = Table(
            ["STAGING", "USER", "", "DONE", "BYTES", "FILES", "RATE", "ETA", "ERR", "PHASE"], right: 3..<9)
        let rows = board.stagingRows.filter { row in
            let phase = board.session(row).phase
            return phase.isCopying || phase.hasFailed
        }
        for row in rows.prefix(stagingsMax) {
            let session = board.session(row)
            let progress = session.progress
            table.rows.append([
                " " + session.token, row.user, session.phase.direction, progress?.percentText ?? "-",
                progress?.bytesText ?? "-", progress?.filesText ?? "-", session.rateText,
                session.etaText, progress.map { "\($0.errors)" } ?? "-", session.phase.name,
            ])
        }
        var lines = ["", totals.text + (totals.failed > 0 ? ", \(totals.failed) failed" : "")] + table.lines
        if rows.count > stagingsMax { lines.append(" (\(rows.count - stagingsMax) more)") }
        if let lost = board.stagingLost { lines.append(" OLD: the stager does not answer: \(lost.reason)") }
        return lines
    }

    private static func attention(_ board: Board) -> [String] {
        guard !board.alerts.isEmpty else { return ["", "ATTENTION none"] }
        let counts = Severity.allCases.reversed().compactMap { severity in
            let count = board.alerts.count { $0.severity == severity && !$0.acknowledged }
            return count > 0 ? "\(count) \(severity.label)" : nil
        }
        let acknowledged = board.alerts.count { $0.acknowledged }
        let all = counts + (acknowledged > 0 ? ["\(acknowledged) acknowledged"] : [])
        var table = Table(["", "", "", "", "", "", "", "", ""], right: 5...5)
        for alert in board.alerts {
            let pool = board.poolRows.first { $0.pool.name == alert.pool }?.pool
            table.rows.append([
                " " + (alert.acknowledged ? "." : alert.severity.sign), alert.rules.joined(separator: "+"), alert.title,
                alert.subject.short,
                alert.user, alert.size?.short(bytes: pool?.countsBytes ?? alert.size?.hasUnit ?? true) ?? "",
                alert.pool == alert.subject.short ? "" : alert.pool,
                Age.short(seconds: board.now.seconds(since: alert.since)) + (alert.sinceSeen ? "" : "+"), alert.message,
            ])
        }
        return ["", "ATTENTION \(board.alerts.count) (\(all.joined(separator: ", ")))"] + table.lines.dropFirst()
    }

    private static func users(_ board: Board) -> [String] {
        guard !board.userRows.isEmpty else { return ["", "USERS none"] }
        var table = Table(["TOP USERS", "USED", "SHARE", "BUFS", "OLDEST"], right: 1...)
        let (top, others) = board.topUsers(usersMax)
        for user in top {
            table.rows.append([
                " " + user.user, Amount.short(user.used ?? user.sum), percent(user.share), "\(user.buffers)",
                user.oldestSeconds.map { Age.short(seconds: $0) } ?? "",
            ])
        }
        if let others {
            table.rows.append([
                " (\(others.users) more)", Amount.short(others.used), percent(others.share), "\(others.buffers)", "",
            ])
        }
        return [""] + table.lines
    }

    private static func percent(_ share: Double) -> String {
        share.isFinite ? "\(Int((share * 100).rounded()))%" : ""
    }

    private static func states(_ board: Board) -> [String] {
        let summaries = board.stageSummaries
        guard !summaries.isEmpty else { return ["", "BUFFERS none"] }
        var table = Table(["STATES", "CNT", "SIZE"], right: 1...)
        for summary in summaries {
            table.rows.append([" " + summary.state.name, "\(summary.count)", Amount.short(summary.size)])
        }
        let gone = board.bufferRows.count - board.presentBuffers
        if gone > 0 { table.rows.append([" (gone)", "\(gone)", ""]) }
        return [""] + table.lines
    }

    private static func events(_ board: Board, _ zone: LocalTime.Zone) -> [String] {
        guard !board.events.isEmpty else { return [] }
        var table = Table(["", "", "", "", ""], right: 5...)
        for event in board.events.suffix(eventsMax).reversed() {
            table.rows.append([
                " " + zone.local(event.at).text, event.level.rawValue, event.kind.rawValue, event.subject.short,
                event.text,
            ])
        }
        return ["", "EVENTS"] + table.lines.dropFirst()
    }

    // MARK: Tables

    /// Columns as wide as their longest cell, two blanks between them; an empty column is left out.
    private struct Table {
        var header: [String]
        var rows: [[String]] = []
        /// Columns that are aligned at the right.
        var right: Range<Int>

        init(_ header: [String], right: some RangeExpression<Int>) {
            self.header = header
            self.right = right.relative(to: 0..<max(header.count, 16))
        }

        private var widths: [Int] {
            header.indices.map { column in
                rows.reduce(header[column].count) { max($0, $1[column].asciiLine.count) }
            }
        }

        /// Of all columns with the gaps between them.
        var width: Int { widths.reduce(0) { $0 + $1 + 2 } }

        var lines: [String] {
            let widths = widths
            return ([header] + rows).map { cells in
                var line = ""
                for (column, cell) in cells.enumerated() where widths[column] > 0 {
                    let text = cell.asciiLine
                    if !line.isEmpty { line += "  " }
                    line += right.contains(column) ? text.right(widths[column]) : text.left(widths[column])
                }
                while line.last == " " { line.removeLast() }
                return line
            }
        }
    }
}
