import BurstModel
import FoundationEssentials

/// Lines about calls of hooks, changes and actions, made of the engine's JSON.
enum History {
    /// A call of a hook, as `trace` and its pushes say.
    struct Call: Decodable {
        var call: UInt64
        var function: String
        var jobId: UInt32?
        var arguments: [String]
        var at: String
        var outcome: String?
        var status: Int?
        var message: String?
        var printed: String?
        var pid: Int32?
        var durationMicroseconds: Int64?
    }

    struct Change: Decodable {
        var at: String
        var jobId: UInt32
        var state: String
        var burstBufferState: String?
        var reason: String?
        var pool: String?
        var size: UInt64?
    }

    struct Action: Decodable {
        var at: String
        var userId: UInt32
        var verb: String
        var jobId: UInt32?
        var outcome: String
    }

    struct Changes: Decodable { var changes: [Change] }
    struct Actions: Decodable { var actions: [Action] }

    static func read<Value: Decodable>(_ type: Value.Type, _ bytes: some Sequence<UInt8>) -> Value? {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try? decoder.decode(type, from: Data(bytes))
    }

    /// `22:10:12.345  job 7     slurm_bb_setup("7", "1001")  pid 4711  12.3 ms  success: text | printed`
    static func line(_ call: Call, zone: LocalTime.Zone) -> String {
        let arguments = call.arguments.map { quoted(cut($0, 200)) }.joined(separator: ", ")
        var line = local(call.at, zone) + "  " + padded(call.jobId.map { "job \($0)" } ?? "-", 10)
        line += "\(call.function)(\(arguments))"
        if let pid = call.pid { line += "  pid \(pid)" }
        guard let outcome = call.outcome else { return line + "  running" }
        if let duration = call.durationMicroseconds { line += "  " + milliseconds(duration) }
        line += "  " + outcome
        if let status = call.status, status != 0 { line += " \(status)" }
        if let message = call.message, !message.isEmpty { line += ": " + oneLine(message) }
        if let printed = call.printed, !printed.isEmpty { line += "  | " + oneLine(printed) }
        return line
    }

    static func line(_ change: Change, zone: LocalTime.Zone) -> String {
        var line = local(change.at, zone) + "  " + padded("job \(change.jobId)", 10) + padded(change.state, 12)
        line += padded(change.burstBufferState ?? "-", 12)
        if let pool = change.pool { line += " \(pool) \(Amount.slurmText(change.size ?? 0))" }
        if let reason = change.reason, reason != "None", !reason.isEmpty { line += "  " + oneLine(reason) }
        return line
    }

    static func line(_ action: Action, zone: LocalTime.Zone) -> String {
        let job = padded(action.jobId.map { "job \($0)" } ?? "-", 10)
        return local(action.at, zone) + "  " + job + "uid \(action.userId): \(action.verb): " + oneLine(action.outcome)
    }

    /// Changes and actions by time, oldest first.
    static func lines(
        changes: [Change], actions: [Action], job: UInt32?, since: Timestamp?, zone: LocalTime.Zone
    ) -> [String] {
        var rows: [(at: String, line: String)] = []
        func wanted(_ at: String, _ id: UInt32?) -> Bool {
            if let job, id != job { return false }
            guard let since, let moment = Timestamp(rfc3339: at) else { return true }
            return moment >= since
        }
        for action in actions where wanted(action.at, action.jobId) {
            rows.append((action.at, line(action, zone: zone)))
        }
        for change in changes where wanted(change.at, change.jobId) {
            rows.append((change.at, line(change, zone: zone)))
        }
        // Texts of RFC 3339 in UTC sort as their moments do; an action comes before what it caused.
        return rows.enumerated().sorted { ($0.element.at, $0.offset) < ($1.element.at, $1.offset) }
            .map(\.element.line)
    }

    /// `90s`, `30m`, `2h`, `1d` back from now.
    static func span(_ text: String) -> Int? {
        let scales: [Character: Int] = ["s": 1, "m": 60, "h": 3600, "d": 86400]
        guard let unit = text.last, let scale = scales[unit], let number = Int(text.dropLast()), number >= 0,
            number < 1_000_000
        else { return nil }
        return number * scale
    }

    private static func local(_ at: String, _ zone: LocalTime.Zone) -> String {
        guard let moment = Timestamp(rfc3339: at) else { return at }
        let thousandths = String(1000 + (moment.milliseconds % 1000 + 1000) % 1000).dropFirst()
        return zone.local(moment).text + "." + thousandths
    }

    private static func milliseconds(_ microseconds: Int64) -> String {
        let tenths = (microseconds + 50) / 100
        return "\(tenths / 10).\(tenths % 10) ms"
    }

    private static func quoted(_ text: String) -> String { "\"" + oneLine(text) + "\"" }

    private static func cut(_ text: String, _ count: Int) -> String {
        text.utf8.count <= count ? text : text.prefix(count) + "..."
    }

    private static func padded(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(1, width - text.count))
    }

    /// Control characters as `\n`, `\t`, `?`: what hooks print must not steer a terminal.
    static func oneLine(_ text: String) -> String {
        var line = ""
        for scalar in text.unicodeScalars {
            switch scalar.value {
            case 0x0a: line += "\\n"
            case 0x09: line += "\\t"
            case 0..<0x20, 0x7f..<0xa0: line += "?"
            default: line.unicodeScalars.append(scalar)
            }
        }
        return line.hasSuffix("\\n") ? String(line.dropLast(2)) : line
    }
}
