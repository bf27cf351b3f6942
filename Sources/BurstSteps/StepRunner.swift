/// Runs batch scripts as their owners, each in a `burst-stepd` of its own that outlives this process.
///
/// One runner a daemon. What it says of a step it says once, through `endings`; a step that another life of the daemon
/// started is taken over with `adopt`.
package protocol StepRunner: Sendable {
    /// Every step that was started or adopted as running, once, when it has ended. One reader.
    var endings: AsyncStream<StepEnding> { get }

    /// Starts a script. What an earlier run of the same job left in its folder goes away before.
    /// Returns when the process that runs it was started; whether the script itself comes to run, its ending says.
    func start(_ order: StepOrder) throws(StepFault)

    /// Passes a signal on. One for a step that is not running, or that just ends, goes nowhere.
    func signal(jobID: UInt32, _ signal: StepSignal)

    /// Takes over the step of a job of which the daemon's records say that it was started.
    func adopt(jobID: UInt32, folder: String) -> Adopted

    /// Watches no more, and ends `endings`. Running steps go on, for the next life of the daemon to adopt.
    func stop()
}

/// What can be asked of a running step.
package enum StepSignal: Hashable, Sendable {
    /// TERM to all its processes, KILL to those left after KillWait.
    /// - notice: a line for the script's standard error, as slurmstepd has it:
    ///   `*** JOB 7 ON node1 CANCELLED AT 2026-11-22T22:10:12 ***`.
    case end(notice: String?)
    /// KILL to all its processes, at once.
    case kill
    /// TSTP to all, STOP two seconds later.
    case suspend
    case resume
    /// Any signal, to the script alone (`scancel --batch`).
    case script(Int32)
    /// Any signal, to all processes (`scancel --full`).
    case all(Int32)
}

/// How a step ended, and whose it was.
package struct StepEnding: Hashable, Sendable {
    package var jobID: UInt32
    package var end: StepEnd

    package init(jobID: UInt32, end: StepEnd) {
        self.jobID = jobID
        self.end = end
    }
}

/// How a step ended.
package enum StepEnd: Hashable, Sendable {
    case ended(StepResult)
    /// What watched over the script is gone without a word: the machine went down, or burst-stepd was killed. The
    /// script may have run to any point; no process of it is left.
    case lost
    /// The script never ran, and why: the order is not acceptable, the spool folder is full. Not the owner's doing.
    case couldNotStart(String)
}

/// What the script's end says.
package struct StepResult: Hashable, Sendable {
    /// 0 where a signal ended it.
    package var exitCode: Int32
    /// 0 where it exited. Slurm's 53 (`ExitCode=0:53`) says that a file of the script's could not be opened.
    package var signal: Int32
    /// Microseconds since 1970.
    package var startedAt: Int64
    /// When the script itself ended, microseconds since 1970; processes that it left behind may have lived longer.
    package var endedAt: Int64
    /// What went wrong around it: `Could not open stdout file …`, processes that could not be killed.
    package var note: String?

    package init(exitCode: Int32, signal: Int32, startedAt: Int64, endedAt: Int64, note: String? = nil) {
        self.exitCode = exitCode
        self.signal = signal
        self.startedAt = startedAt
        self.endedAt = endedAt
        self.note = note
    }

    /// The script could not be launched for want of its files: the job fails with Reason=JobLaunchFailure.
    package static let launchFailedSignal: Int32 = 53
}

/// What has become of a step since the daemon's last life.
package enum Adopted: Hashable, Sendable {
    /// It runs and is watched again.
    case running
    /// As `StepEnding` would have said.
    case ended(StepEnd)
    /// It was never started, and never will be: its order has been taken away. It may be started anew.
    case neverStarted
}

/// Why a step was not started. The job's state is as before.
package enum StepFault: Error, Hashable, CustomStringConvertible {
    /// The job has a step that runs.
    case isRunning(UInt32)
    case tooMany(max: Int)
    case order(String)
    /// A file of the job's folder: which, and errno.
    case file(String, Int32)
    /// burst-stepd did not start: its path, and errno.
    case program(String, Int32)
    /// The spool folder is not safe.
    case spool(String)
    case stopped

    package var description: String {
        switch self {
        case .isRunning(let job): "job \(job): its script runs already"
        case .tooMany(let max): "\(max) scripts run, and no more may at once"
        case .order(let text): "the script's order: \(text)"
        case .file(let path, let number): "\(path): \(SystemText.error(number))"
        case .program(let path, let number): "\(path) did not start: \(SystemText.error(number))"
        case .spool(let path):
            "\(path): others may write there, or it is not our own folder: it must be burstd's, with mode 0755"
        case .stopped: "no script is started while burstd stops"
        }
    }
}
