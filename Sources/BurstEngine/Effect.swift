/// What the outside is to do, once the decision's records are durable.
package enum Effect: Hashable, Sendable {
    case call(HookCall)
    /// The call's children are ended with SIGKILL; its answer, `killed`, comes as for any call.
    case killCall(CallID)
    /// Writes the job's folder: script (0700 folder, as submitted after insertions) and environment.
    case writeJobFiles(UInt32, script: String, environment: [String])
    /// Array tasks have the files of their array, as hard links.
    case linkJobFiles(from: UInt32, to: UInt32)
    /// The file of spec §3.8, named by `EnginePaths.symbols`.
    case writeSymbols(UInt32, text: String)
    /// Empty, mode 0600: `paths` writes to it.
    case makePathFile(UInt32)
    /// The file of `EnginePaths.nodes`, a name a line.
    case writeNodes(UInt32, [String])
    case removeJobFiles(UInt32)
    case startStep(StepStart)
    /// All processes of the job.
    case signalStep(UInt32, StepControl)
    case mail(Mail)
    case reply(RequestID, Reply)
    case log(HookLogLine)
}

/// What is done to a running job.
package enum StepControl: Hashable, Sendable {
    /// TERM, and KILL after KillWait.
    case end
    case suspend
    case resume
    case signal(Int32, batchOnly: Bool)
}

/// A batch script to run.
package struct StepStart: Hashable, Sendable {
    package var job: EngineJob
    /// From the path file, behind the job's own environment (spec §4.7).
    package var paths: [String]

    package init(job: EngineJob, paths: [String]) {
        self.job = job
        self.paths = paths
    }
}

/// A mail about a job: `MailProg -s SUBJECT USER` (spec §7.9).
package struct Mail: Hashable, Sendable {
    package var user: String
    package var subject: String
    package var environment: [String: String]

    package init(user: String, subject: String, environment: [String: String]) {
        self.user = user
        self.subject = subject
        self.environment = environment
    }
}

/// The answer to a client's question.
package enum Reply: Hashable, Sendable {
    /// The job's id; lines that the client prints to standard error first (warnings).
    case submitted(UInt32, notes: [String])
    /// `notes` come before the error, each as `PROGRAM: error: LINE`.
    case refused(Refusal, notes: [String])
    /// One for each job that was asked for, in order; a nil refusal is success.
    case done([JobOutcome])
    /// The text of `get_status`, word for word.
    case status(String)
    case reserved(String)
}

/// What became of a command for one job.
package struct JobOutcome: Hashable, Sendable {
    package var jobID: UInt32
    /// `7` or `7_3`, as the client named it.
    package var shownID: String
    package var refusal: Refusal?

    package init(jobID: UInt32, shownID: String, refusal: Refusal?) {
        self.jobID = jobID
        self.shownID = shownID
        self.refusal = refusal
    }
}

/// Why something is refused: Slurm's error number and text (slurm_errno.h; spec §3.3).
package struct Refusal: Hashable, Codable, Sendable, Error {
    package var code: Int32
    package var text: String

    package init(code: Int32, text: String) {
        self.code = code
        self.text = text
    }
}

/// A step of the engine: what to write down, then what to do.
package struct Decision: Sendable {
    package var records: [Record] = []
    package var effects: [Effect] = []

    package init() {}
}
