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
    /// How long Slurm's word and the stager's may differ (R21).
    package var stageDisagreeSeconds = 60
    /// How long a copy may move nothing (R20).
    package var stageStallSeconds = 300
    /// Failed removals of a buffer in quarantine (R24).
    package var quarantineFailures = 3
    /// Rules that are switched off, by id: `R12`.
    package var disabled: Set<String> = []

    package init() {}

    /// The ids of the rules: those of monitor.md §3.7, and R19 to R24 about the stager.
    package static let ids: [String] = (1...24).map { "R\($0)" }
    /// Those that are judged by what the stager tells.
    package static let stagingIDs: Set<String> = Set((19...24).map { "R\($0)" })
}
