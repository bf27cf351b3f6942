package import BurstModel

/// How a source collects.
package struct CollectorSettings: Hashable, Sendable {
    /// Pace and limits of the calls.
    package var pace = PollPlan.Pace()
    /// Only this user's jobs are asked for; nil for everybody's.
    package var jobsUser: String?
    /// For a call to the controller.
    package var timeoutSeconds = 10
    /// For bbstat and dwstat.
    package var statusTimeoutSeconds = 60
    package var thresholds = RuleThresholds()
    /// `root@login1`
    package var viewer = ""
    /// Earlier recordings, oldest first, that are read at the start so that history and tombstones survive.
    package var warmStart: [String] = []
    /// How far back they are read.
    package var warmStartSeconds = 24 * 3600

    package init() {}
}
