internal import BurstModel
package import BurstScreen

/// Finds and reads `burstmon.toml`: the site's first, then the user's, which comes on top of it.
package enum SettingsFile {
    /// Who wrote a file.
    package enum Author: Hashable, Sendable {
        case site
        case user
    }

    /// What the files come to. A file with a fault counts for nothing; each fault is one line for the user.
    package struct Outcome: Hashable, Sendable {
        package var settings: Settings
        package var faults: [FileFault]
    }

    /// Larger files are refused.
    package static let bytesMax = TextFile.bytesMax
    package static let sitePath = "/etc/burst/burstmon.toml"

    /// `burst/burstmon.toml` below XDG_CONFIG_HOME; nil where neither that nor HOME is set.
    package static func userPath(environment: [String: String]) -> String? {
        XDG.home("XDG_CONFIG_HOME", under: ".config", environment).map { $0 + "/burst/burstmon.toml" }
    }

    /// Reads both files; one that is not there says nothing.
    package static func load(site: String? = sitePath, user: String?) -> Outcome {
        var outcome = Outcome(settings: Settings(), faults: [])
        for (path, author) in [(site, Author.site), (user, .user)] {
            guard let path else { continue }
            switch TextFile.read(path) {
            case .missing: continue
            case .refused(let fault): outcome.faults.append(fault)
            case .text(let text):
                do {
                    outcome.settings = try apply(text, file: path, by: author, to: outcome.settings)
                } catch {
                    outcome.faults.append(error)
                }
            }
        }
        return outcome
    }

    /// The settings with what a file says on top.
    /// - Throws: the first thing that is wrong; then nothing of the file counts.
    package static func apply(
        _ text: String, file: String, by author: Author, to settings: Settings
    ) throws(FileFault) -> Settings {
        let document = try TOMLDocument(text, file: file)
        var result = settings
        try document.allow(keys + ["rules", "keys", "columns"], in: document.root, at: [], "key")
        // The floor first: it limits the intervals, wherever it stands in the file.
        if let floor = document.root["interval_floor_seconds"] {
            try applyFloor(floor, by: author, to: &result, document)
        }
        for (key, value) in document.ordered(document.root, at: []) {
            try apply(key, value, to: &result, document)
        }
        try checkOrder(result.rules, document)
        // Intervals of which no file speaks follow the floor.
        result.intervalSeconds = max(result.intervalSeconds, result.intervalFloorSeconds)
        result.jobsIntervalSeconds = max(result.jobsIntervalSeconds, result.intervalFloorSeconds)
        return result
    }

    private static let secondsMax = 86_400
    private static let keys = [
        "theme", "color", "ascii", "mouse", "clock", "plain", "read_only", "interval_seconds", "jobs_interval_seconds",
        "interval_floor_seconds", "jobs", "timeout_seconds", "status_timeout_seconds", "syslog", "event_log",
        "event_log_bytes_max",
    ]

    private static func applyFloor(
        _ value: TOMLDocument.Value, by author: Author, to settings: inout Settings, _ document: TOMLDocument
    ) throws(FileFault) {
        let path = ["interval_floor_seconds"]
        let floor = try document.whole(value, at: path, in: 1...secondsMax)
        if author == .user, floor < settings.intervalFloorSeconds {
            throw document.fault(
                path, "interval_floor_seconds is \(floor), below the site's \(settings.intervalFloorSeconds)",
                "only \(sitePath) can lower it")
        }
        settings.intervalFloorSeconds = floor
    }

    private static func apply(
        _ key: String, _ value: TOMLDocument.Value, to settings: inout Settings, _ document: TOMLDocument
    ) throws(FileFault) {
        let path = [key]
        switch key {
        case "theme": settings.theme = try document.text(value, at: path)
        case "color": settings.color = try document.word(value, at: path, as: ColorOption.self)
        case "ascii": settings.ascii = try document.flag(value, at: path)
        case "mouse": settings.mouse = try document.flag(value, at: path)
        case "clock": settings.clock = try document.flag(value, at: path)
        case "plain": settings.plain = try document.flag(value, at: path)
        case "read_only": settings.readOnly = try document.flag(value, at: path)
        case "interval_seconds": settings.intervalSeconds = try interval(value, at: path, settings, document)
        case "jobs_interval_seconds": settings.jobsIntervalSeconds = try interval(value, at: path, settings, document)
        case "jobs": settings.jobs = try document.word(value, at: path, as: Settings.Jobs.self)
        case "timeout_seconds": settings.timeoutSeconds = try document.whole(value, at: path, in: 1...3600)
        case "status_timeout_seconds": settings.statusTimeoutSeconds = try document.whole(value, at: path, in: 1...3600)
        case "syslog": settings.syslog = try document.flag(value, at: path)
        case "event_log":
            let log = try document.text(value, at: path)
            guard log.hasPrefix("/") else {
                throw document.fault(path, "event_log is \(quoted(log))", "it has to be an absolute path, /...")
            }
            settings.eventLogPath = log
        case "event_log_bytes_max":
            settings.eventLogBytesMax = try document.whole(value, at: path, in: 4096...(1 << 40))
        case "rules": try applyRules(try document.table(value, at: path), to: &settings.rules, document)
        case "keys": settings.keys.merge(try keyMap(document.table(value, at: path), document)) { _, new in new }
        case "columns": settings.columns.merge(try columns(document.table(value, at: path), document)) { _, new in new }
        default: break  // The floor, applied before.
        }
    }

    private static func interval(
        _ value: TOMLDocument.Value, at path: [String], _ settings: Settings, _ document: TOMLDocument
    ) throws(FileFault) -> Int {
        let seconds = try document.whole(value, at: path, in: 1...secondsMax)
        if seconds >= settings.intervalFloorSeconds { return seconds }
        throw document.fault(
            path, "\(path[0]) is \(seconds), below the floor of \(settings.intervalFloorSeconds)",
            "\(settings.intervalFloorSeconds) or more spares the controller; only \(sitePath) can lower the floor")
    }

    private static func applyRules(
        _ table: [String: TOMLDocument.Value], to rules: inout Settings.Rules, _ document: TOMLDocument
    ) throws(FileFault) {
        let known = [
            "stage_warn_percent", "stage_crit_percent", "pool_warn_percent", "pool_crit_percent", "persistent_age_days",
            "user_share_percent", "rtt_warn_seconds", "pool_gone_seconds", "other_timeout_fallback_seconds",
            "stage_disagree_seconds", "stage_stall_seconds", "quarantine_failures", "disabled",
        ]
        try document.allow(known, in: table, at: ["rules"], "key of [rules]")
        for (key, value) in document.ordered(table, at: ["rules"]) {
            let path = ["rules", key]
            switch key {
            case "stage_warn_percent": rules.stageWarnPercent = try document.whole(value, at: path, in: 1...1000)
            case "stage_crit_percent": rules.stageCritPercent = try document.whole(value, at: path, in: 1...1000)
            case "pool_warn_percent": rules.poolWarnPercent = try document.whole(value, at: path, in: 1...100)
            case "pool_crit_percent": rules.poolCritPercent = try document.whole(value, at: path, in: 1...100)
            case "persistent_age_days": rules.persistentAgeDays = try document.whole(value, at: path, in: 1...36_500)
            case "user_share_percent": rules.userSharePercent = try document.whole(value, at: path, in: 1...100)
            case "rtt_warn_seconds": rules.rttWarnSeconds = try document.number(value, at: path, in: 0.01...3600)
            case "pool_gone_seconds": rules.poolGoneSeconds = try document.whole(value, at: path, in: 1...secondsMax)
            case "other_timeout_fallback_seconds":
                rules.otherTimeoutFallbackSeconds = try document.whole(value, at: path, in: 1...secondsMax)
            case "stage_disagree_seconds":
                rules.stageDisagreeSeconds = try document.whole(value, at: path, in: 1...secondsMax)
            case "stage_stall_seconds":
                rules.stageStallSeconds = try document.whole(value, at: path, in: 1...secondsMax)
            case "quarantine_failures":
                rules.quarantineFailures = try document.whole(value, at: path, in: 1...1_000_000)
            default:
                let ids = try document.texts(value, at: path)
                if let unknown = ids.first(where: { !Settings.Rules.ids.contains($0) }) {
                    throw document.fault(path, "there is no rule \(quoted(unknown))", "rules are \"R1\" to \"R24\"")
                }
                rules.disabled = Set(ids)
            }
        }
    }

    /// A warning must come before its alarm.
    private static func checkOrder(_ rules: Settings.Rules, _ document: TOMLDocument) throws(FileFault) {
        for (name, warn, crit) in [
            ("stage", rules.stageWarnPercent, rules.stageCritPercent),
            ("pool", rules.poolWarnPercent, rules.poolCritPercent),
        ] where warn > crit {
            // One of the two may be the other file's, or the default: the line is that of the one which stands here.
            let lines = ["warn", "crit"].map { document.line(["rules", "\(name)_\($0)_percent"]) }
            throw FileFault(
                file: document.file, line: lines.max() ?? 1,
                wrong: "\(name)_warn_percent \(warn) is above \(name)_crit_percent \(crit)",
                right: "a warning has to come before its alarm")
        }
    }

    private static func keyMap(
        _ table: [String: TOMLDocument.Value], _ document: TOMLDocument
    ) throws(FileFault) -> [String: String] {
        var keys: [String: String] = [:]
        for (action, value) in document.ordered(table, at: ["keys"]) {
            keys[action] = try document.text(value, at: ["keys", action], bytesMax: 40)
        }
        return keys
    }

    private static func columns(
        _ table: [String: TOMLDocument.Value], _ document: TOMLDocument
    ) throws(FileFault) -> [String: [String]] {
        var columns: [String: [String]] = [:]
        for (screen, value) in document.ordered(table, at: ["columns"]) {
            let names = try document.texts(value, at: ["columns", screen])
            if names.isEmpty {
                throw document.fault(
                    ["columns", screen], "\(quoted(screen)) has no columns", "name one or leave it out")
            }
            columns[screen] = names
        }
        return columns
    }
}
