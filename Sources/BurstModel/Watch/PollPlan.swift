/// Decides which call comes next and when, so that the controller is never burdened.
package struct PollPlan: Sendable {
    /// Intervals and what is asked at all.
    package struct Pace: Hashable, Sendable {
        package var burstSeconds = 10
        package var jobsSeconds = 30
        /// No interval may be shorter.
        package var floorSeconds = 5
        package var asksJobs = true

        package init() {}
    }
}
