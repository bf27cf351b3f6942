internal import BurstDataWarp

/// How long a call takes at most, and for how long it looks for a daemon that is away.
///
/// Slurm's own limits are in staging.md §1.2; each is undercut, so that the job shows our text instead of none. Within
/// them a call waits rather than fails: what fails holds its job, or keeps its data in the buffer, until somebody comes
/// (staging.md §5 F8), and a daemon that comes back goes on where it was.
package struct Patience: Hashable, Sendable {
    /// Milliseconds for all of it.
    package var total: Int
    /// Milliseconds without a daemon, from the last moment at which there was one.
    package var away: Int

    package init(total: Int, away: Int) {
        self.total = total
        self.away = away
    }

    /// - Parameter call: nil: no call that we know; the daemon refuses it.
    init(_ call: StagerCall?) {
        switch call {
        // No JSON at all is what keeps Slurm from believing that everything is gone, so it may come at once.
        case .pools, .help: self.init(total: 5000, away: 0)
        // Slurm asks this with its locks held too, when a persistent buffer was created.
        case .showConfigurations, .showInstances, .showSessions: self.init(total: 4000, away: 0)
        // ValidateTimeout is 5 s.
        case .jobProcess: self.init(total: 4000, away: 4000)
        // Slurm stands still meanwhile.
        case .paths: self.init(total: 1800, away: 1500)
        case .testDataIn, .testDataOut: self.init(total: 5000, away: 0)
        case .realSize, nil: self.init(total: 30_000, away: 30_000)
        // OtherTimeout is 300 s.
        case .setup, .createPersistent, .postRun, .teardown: self.init(total: 290_000, away: 240_000)
        // Slurm has no limit here (staging.md §0 fact 5); the daemon's is 240 s.
        case .preRun: self.init(total: 900_000, away: 600_000)
        // StageInTimeout and StageOutTimeout are a day. Without `--no-wait` the call is as long as the copy.
        case .dataIn(_, _, let waits), .dataOut(_, _, let waits):
            self.init(total: waits ? 86_395_000 : 290_000, away: waits ? 3_600_000 : 240_000)
        }
    }

    /// Slurm waits 2 s, and for everybody.
    static let dwstat = Patience(total: 1500, away: 0)

    /// Milliseconds between two looks for the daemon.
    static let pause = 250
}
