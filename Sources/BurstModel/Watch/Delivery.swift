/// What a user may want of a source. What a source cannot do (cancel in a replay) is answered by an outcome that says
/// so.
package enum CollectorRequest: Hashable, Sendable {
    /// Ask now; at most once in 2 s.
    case refresh
    /// What `scontrol show job` says, from what was asked less than 5 s ago where `again` is false: who cancels asks
    /// again.
    case detail(JobID, again: Bool)
    /// Also ends a status call under way.
    case status(StatusRequest)
    /// Sent in this order, one a second.
    case cancel([CancelOrder])
    /// Forgets the cancels that are not sent yet.
    case stopCancels
    case acknowledge(Alert.ID)
    case note(Event)
    /// Steps the interval up (positive) or down.
    case interval(delta: Int)
    case intervalSet(seconds: Int)
    /// The screen of jobs is open: jobs are asked more often.
    case jobsScreen(Bool)
    /// No key for 15 minutes.
    case idle(Bool)
    /// The program is about to be stopped, or goes on.
    case suspended(Bool)
    case focusLost(Bool)
    case replay(ReplayCommand)
    /// Five quick refreshes, as after a cancel.
    case watchMore
}

/// A cancel that somebody confirmed.
package struct CancelOrder: Hashable, Sendable {
    package var jobID: JobID
    package var hurry: Bool

    package init(jobID: JobID, hurry: Bool) {
        self.jobID = jobID
        self.hurry = hurry
    }
}

/// Controls of a replay.
package enum ReplayCommand: Hashable, Sendable {
    /// So many samples on, or back where negative.
    case step(Int)
    case play, pause, toggle
    /// Times real speed.
    case speed(Double)
    case seek(Timestamp)
}

/// What became of a cancel.
package struct CancelOutcome: Hashable, Sendable {
    package var order: CancelOrder
    /// The command line that was run; empty where none was.
    package var arguments: [String]
    /// Exit 0 means accepted, no more. `.failed` says why no command ran.
    package var end: CommandResult.End
    /// Standard error, word for word.
    package var errors: String
    package var at: Timestamp

    package init(order: CancelOrder, arguments: [String], end: CommandResult.End, errors: String, at: Timestamp) {
        self.order = order
        self.arguments = arguments
        self.end = end
        self.errors = errors
        self.at = at
    }
}

/// What a status call printed.
package struct StatusOutcome: Hashable, Sendable {
    package var request: StatusRequest
    package var result: CommandResult
    package var at: Timestamp
    package var durationMilliseconds: Int64

    package init(request: StatusRequest, result: CommandResult, at: Timestamp, durationMilliseconds: Int64) {
        self.request = request
        self.result = result
        self.at = at
        self.durationMilliseconds = durationMilliseconds
    }
}

/// Where a replay stands.
package struct ReplayPosition: Hashable, Sendable {
    package var time: Timestamp
    package var first: Timestamp
    package var last: Timestamp
    /// Which sample, from 0, of how many.
    package var index: Int
    package var count: Int
    package var playing: Bool
    /// Times real speed.
    package var speed: Double

    package init(
        time: Timestamp, first: Timestamp, last: Timestamp, index: Int, count: Int, playing: Bool, speed: Double
    ) {
        self.time = time
        self.first = first
        self.last = last
        self.index = index
        self.count = count
        self.playing = playing
        self.speed = speed
    }
}

/// All that a source has to say at a moment.
package struct Delivery: Sendable {
    /// Outcomes of cancels kept.
    package static let cancelsMax = 200
    /// Calls of the script kept.
    package static let callsMax = 1000
    /// Details of jobs kept, those asked for last.
    package static let detailsMax = 32

    package var board: Board
    package var details: [JobID: Sampled<JobDetail?>]
    /// Why the newest question after a job's details had no answer.
    package var detailFailures: [JobID: String]
    /// The newest status answer.
    package var status: StatusOutcome?
    package var statusRunningSince: Timestamp?
    /// Newest last.
    package var cancels: [CancelOutcome]
    /// Cancels confirmed and not sent yet.
    package var cancelsWaiting: Int
    /// Calls of the burst buffer script, oldest first; nil where the source cannot tell.
    package var calls: [HookRun]?
    /// Nil where the source is no replay.
    package var replay: ReplayPosition?
    /// One more with each delivery.
    package var sequence: Int

    package init(board: Board) {
        self.board = board
        details = [:]
        detailFailures = [:]
        cancels = []
        cancelsWaiting = 0
        sequence = 0
    }
}
