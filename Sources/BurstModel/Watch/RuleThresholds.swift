/// Thresholds of the attention rules.
package struct RuleThresholds: Hashable, Sendable {
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
