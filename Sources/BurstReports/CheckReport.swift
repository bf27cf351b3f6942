package import BurstModel

/// The answer of `--check`: a monitoring plug-in's one line with performance data, and its status.
package struct CheckReport: Hashable, Sendable {
    /// The statuses of monitoring plug-ins, which are also how the program ends.
    package enum Status: Int32, CaseIterable, Sendable {
        case ok = 0
        case warning = 1
        case critical = 2
        /// The source does not answer, or its reply is damaged: nothing can be said.
        case unknown = 3

        var word: String {
            switch self {
            case .ok: "OK"
            case .warning: "WARNING"
            case .critical: "CRITICAL"
            case .unknown: "UNKNOWN"
            }
        }
    }

    /// A rule was asked for that does not exist.
    package struct UnknownRule: Error, Hashable, Sendable, CustomStringConvertible {
        package var name: String

        package var description: String {
            let ids = RuleThresholds.ids
            return "--check: no rule is called \"\(name.prefix(40).description.asciiLine)\"; "
                + "there are \(ids.first ?? "") to \(ids.last ?? "")"
        }
    }

    /// Alerts that are told in the line; their number is always told.
    private static let alertsMax = 5

    package var status: Status
    /// Without a line feed; ASCII, with one `|` before the performance data.
    package var line: String

    /// The rules in a list such as `R1,R4` or `r1 r4`; all where it is empty.
    package static func rules(_ list: String) throws(UnknownRule) -> Set<String> {
        var rules: Set<String> = []
        for word in list.split(whereSeparator: { $0 == "," || $0.isWhitespace }) {
            guard RuleThresholds.ids.contains(word.uppercased()) else { throw UnknownRule(name: String(word)) }
            rules.insert(word.uppercased())
        }
        return rules
    }

    /// - Parameters:
    ///   - rules: The rules that count; all where it is empty. Acknowledged alerts never count.
    ///   - thresholds: For the performance data.
    package init(_ board: Board, rules: Set<String> = [], thresholds: RuleThresholds = RuleThresholds()) {
        let chosen = board.alerts.filter { rules.isEmpty || !rules.isDisjoint(with: $0.rules) }
        let open = chosen.filter { !$0.acknowledged && $0.severity > .info }
        let text: String
        if let why = board.whyStale {
            status = .unknown
            text = Self.staleText(board, why)
        } else if open.isEmpty, let fault = board.faults.first {
            status = .unknown
            text = "the reply is damaged: \(fault.text)"
        } else {
            status = open.contains { $0.severity == .crit } ? .critical : open.isEmpty ? .ok : .warning
            text = Self.text(board, open: open, acknowledged: chosen.count { $0.acknowledged })
        }
        let safe = text.asciiLine.map { $0 == "|" ? "/" : $0 }
        let data = Self.performance(board, open: open, thresholds)
        line = "BURST \(status.word) - " + String(safe) + (data.isEmpty ? "" : " | " + data.joined(separator: " "))
    }

    private static func staleText(_ board: Board, _ why: String) -> String {
        guard case .stale(_, let since, _, let lastGood) = board.health else { return why }
        let age = Age.long(seconds: board.now.seconds(since: since))
        return "no answer for \(age): \(why)" + (lastGood.map { " (last good \($0.rfc3339))" } ?? "")
    }

    private static func text(_ board: Board, open: [Alert], acknowledged: Int) -> String {
        var notes: [String] = []
        if acknowledged > 0 { notes.append("\(acknowledged) acknowledged") }
        if board.jobs == nil { notes.append("jobs are not known") }
        if let fault = board.faults.first, !open.isEmpty { notes.append("the reply is damaged: \(fault.text)") }
        let suffix = notes.isEmpty ? "" : " (" + notes.joined(separator: ", ") + ")"
        guard !open.isEmpty else {
            return count(board.presentBuffers, "buffer") + " in " + count(board.poolRows.count, "pool") + suffix
        }
        let counts = [Severity.crit, .warn].compactMap { severity in
            let number = open.count { $0.severity == severity }
            return number > 0 ? "\(number) \(severity.label)" : nil
        }
        var parts = open.prefix(alertsMax).map { alert in
            var words = [alert.rules.joined(separator: "+"), alert.subject.short, alert.title]
            if !alert.user.isEmpty { words.append(alert.user) }
            if !alert.message.isEmpty { words.append("- " + alert.message) }
            return words.filter { !$0.isEmpty }.joined(separator: " ")
        }
        if open.count > alertsMax { parts.append("\(open.count - alertsMax) more") }
        return counts.joined(separator: ", ") + suffix + ": " + parts.joined(separator: "; ")
    }

    private static func count(_ number: Int, _ noun: String) -> String { "\(number) \(noun)\(number == 1 ? "" : "s")" }

    /// `label=value[unit];warn;crit;min;max`. Old figures are left out, so that graphs have a gap. Thresholds are those
    /// of rule R9, which judges used and drained space together.
    private static func performance(_ board: Board, open: [Alert], _ thresholds: RuleThresholds) -> [String] {
        var data: [String] = []
        if let age = board.ageSeconds { data.append("age=\(max(0, age))s;;;0;") }
        if board.whyStale != nil { return data }
        data.insert("crit=\(open.count { $0.severity == .crit });;;0;", at: 0)
        data.insert("warn=\(open.count { $0.severity == .warn });;;0;", at: 1)
        data.append("buffers=\(board.presentBuffers);;;0;")
        for row in board.poolRows where row.goneSince == nil {
            let pool = row.pool
            let unit = pool.countsBytes ? "B" : ""
            guard let used = pool.used.known, let total = pool.total.known else { continue }
            var limits = ";"
            if !thresholds.disabled.contains("R9") {
                limits =
                    "\(share(thresholds.poolWarnPercent, of: total));\(share(thresholds.poolCritPercent, of: total))"
            }
            let name = board.name(pool)
            data.append("\(label(name, "used"))=\(used)\(unit);\(limits);0;\(total)")
            data.append("\(label(name, "drained"))=\(pool.drainedAmount.known ?? 0)\(unit);;;0;\(total)")
        }
        return data
    }

    private static func share(_ percent: Int, of total: UInt64) -> UInt64 {
        let (high, low) = total.multipliedFullWidth(by: UInt64(max(0, min(percent, 1000))))
        return high >= 100 ? .max : UInt64(100).dividingFullWidth((high, low)).quotient
    }

    /// Labels with other characters than letters, digits and `_-./` are quoted, as the plug-in guidelines ask.
    private static func label(_ pool: String, _ what: String) -> String {
        let text = String("\(pool)_\(what)".asciiLine.map { $0 == "=" || $0 == "|" ? "_" : $0 })
        let plain = text.utf8.allSatisfy { byte in
            (byte >= 0x30 && byte <= 0x39) || (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a)
                || "_-./".utf8.contains(byte)
        }
        return plain ? text : "'" + text.map { $0 == "'" ? "''" : "\($0)" }.joined() + "'"
    }
}
