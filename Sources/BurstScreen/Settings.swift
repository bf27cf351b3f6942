/// What the settings files say, with what holds where they say nothing (monitor.md §3.7, §3.10). Options of the command
/// line come on top of this.
package struct Settings: Hashable, Sendable {
    /// Whose jobs are asked for; fewer cost the controller less.
    package enum Jobs: String, CaseIterable, Hashable, Sendable {
        case all, own, off
    }

    /// Thresholds of the attention rules.
    package struct Rules: Hashable, Sendable {
        /// Age of a stage against its timeout, in per cent (R6).
        package var stageWarnPercent = 80
        package var stageCritPercent = 95
        /// Used and drained space of a pool, in per cent of its total (R9).
        package var poolWarnPercent = 90
        package var poolCritPercent = 100
        /// R12.
        package var persistentAgeDays = 42
        /// Share of one user in what is used, in per cent (R13).
        package var userSharePercent = 50
        /// Duration of a call to the controller (R17).
        package var rttWarnSeconds = 2.0
        /// How long a pool must be missing or empty (R11).
        package var poolGoneSeconds = 30
        /// Stands in for OtherTimeout where the controller does not tell it (R7).
        package var otherTimeoutFallbackSeconds = 300
        /// Rules that are switched off, by id: `R12`.
        package var disabled: Set<String> = []

        package init() {}

        /// The ids of the rules of monitor.md §3.7.
        package static let ids: [String] = (1...18).map { "R\($0)" }
    }

    /// A theme's name or path, nil for `default`.
    package var theme: String?
    package var color = ColorOption.automatic
    package var ascii = false
    package var mouse = false
    package var clock = true
    package var plain = false
    package var readOnly = false
    /// Base of the pace at which `show burst` is asked; never below `intervalFloorSeconds`.
    package var intervalSeconds = 10
    /// The same for the bulk `squeue`.
    package var jobsIntervalSeconds = 30
    /// No interval may be shorter. Only the site's file can lower it.
    package var intervalFloorSeconds = 5
    package var jobs = Jobs.all
    /// For a call to the controller.
    package var timeoutSeconds = 10
    /// For bbstat and dwstat.
    package var statusTimeoutSeconds = 60
    package var syslog = false
    /// Absolute path, nil for none.
    package var eventLogPath: String?
    /// The size at which the event log is turned over.
    package var eventLogBytesMax = 16 * 1024 * 1024
    package var rules = Rules()
    /// Key for an action, by the action's name; as written, the table of keys checks them.
    package var keys: [String: String] = [:]
    /// Columns of a screen, by the screen's name; as written, the screens check them.
    package var columns: [String: [String]] = [:]

    package init() {}
}
