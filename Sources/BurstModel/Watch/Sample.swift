/// A call of a command: what it was for.
package enum Call: Hashable, Sendable {
    case burst
    case jobs
    case job(JobID)
    case reservations
    case config
    /// `show bbstat ARGS` or `show dwstat ARGS`: runs a script on the controller, so only when somebody asks.
    case status(StatusRequest)
    case cancel(JobID, hurry: Bool)
    /// The stager's document: `dwstat` prints it, `burstd` pushes it.
    case staging

    /// The exact command line that is run, shown and logged.
    package func arguments(jobsOf user: String? = nil) -> [String] {
        switch self {
        case .burst: ["scontrol", "-v", "show", "burst"]
        case .jobs: SqueueText.arguments(user: user)
        case .job(let id): ["scontrol", "show", "job", "\(id)"]
        case .reservations: ["scontrol", "show", "reservation"]
        case .config: ["scontrol", "show", "config"]
        case .status(let request): ["scontrol", "show", request.word] + request.arguments
        case .cancel(let id, let hurry): ["scancel"] + (hurry ? ["--hurry"] : []) + ["\(id)"]
        case .staging: ["dwstat", "--json", "pools", "sessions"]
        }
    }

    /// Whether it may be made again by itself: a script on the controller and a cancel are run once.
    package var isRepeatable: Bool {
        switch self {
        case .burst, .jobs, .job, .reservations, .config, .staging: true
        case .status, .cancel: false
        }
    }

    /// The call that a recorded command line was. Nil for others.
    package init?(arguments: [String]) {
        let words = arguments.filter { $0 != "-v" }
        if words.first == "squeue" {
            self = .jobs
        } else if words.starts(with: ["scontrol", "show", "burst"]) {
            self = .burst
        } else if words.starts(with: ["scontrol", "show", "job"]), words.count == 4, let id = JobID(words[3]) {
            self = .job(id)
        } else if words.starts(with: ["scontrol", "show", "reservation"]) {
            self = .reservations
        } else if words.starts(with: ["scontrol", "show", "config"]) {
            self = .config
        } else if words.count >= 3, words[0] == "scontrol", words[1] == "show", ["bbstat", "dwstat"].contains(words[2])
        {
            self = .status(StatusRequest(word: words[2], arguments: Array(words.dropFirst(3))))
        } else if words.first == "scancel", let id = words.last.flatMap({ JobID($0) }) {
            self = .cancel(id, hurry: words.contains("--hurry"))
        } else if words == Call.staging.arguments() {
            self = .staging
        } else {
            return nil
        }
    }
}

/// What `show bbstat` or `show dwstat` is asked.
package struct StatusRequest: Hashable, Sendable {
    /// `bbstat` or `dwstat`.
    package var word: String
    package var arguments: [String]

    package init(word: String = "bbstat", arguments: [String] = []) {
        self.word = word
        self.arguments = arguments
    }
}

/// How a command ended and what it printed.
package struct CommandResult: Hashable, Sendable {
    package enum End: Hashable, Sendable {
        case exit(Int32)
        case signal(Int32)
        /// Killed by us after the limit.
        case timedOut
        /// It could not be started: why.
        case failed(String)
    }

    package var end: End
    package var output: [UInt8]
    package var errors: [UInt8]

    package init(end: End, output: [UInt8] = [], errors: [UInt8] = []) {
        self.end = end
        self.output = output
        self.errors = errors
    }
}

/// One call with its answer: what a source delivers.
package struct Sample: Hashable, Sendable {
    package var call: Call
    /// The command line as run.
    package var arguments: [String]
    package var startedAt: Timestamp
    package var durationMilliseconds: Int64
    package var answer: Answer

    package init(
        call: Call, arguments: [String], startedAt: Timestamp, durationMilliseconds: Int64, answer: Answer
    ) {
        self.call = call
        self.arguments = arguments
        self.startedAt = startedAt
        self.durationMilliseconds = durationMilliseconds
        self.answer = answer
    }

    package var endedAt: Timestamp { startedAt.adding(milliseconds: durationMilliseconds) }

    package enum Answer: Hashable, Sendable {
        /// `raw` is the reply as it came; rows point into it.
        case burst(BurstReport, raw: [UInt8])
        case jobs([Job], faults: [Fault])
        /// Nil: Slurm does not know the job.
        case job(JobDetail?)
        case reservations([Reservation], faults: [Fault])
        case config(ControllerConfig)
        /// Text as printed; the exit status and standard error beside it.
        case status(CommandResult)
        /// scancel: exit 0 means accepted, no more.
        case cancel(CommandResult)
        case staging(StagingReport)
        /// The command gave no answer: one line, as near to Slurm's own words as can be.
        case failure(String)
    }

    /// The answer of a finished command.
    package static func read(
        _ call: Call, arguments: [String], result: CommandResult, startedAt: Timestamp, durationMilliseconds: Int64,
        zone: LocalTime.Zone
    ) -> Sample {
        Sample(
            call: call, arguments: arguments, startedAt: startedAt, durationMilliseconds: durationMilliseconds,
            answer: answer(call, arguments: arguments, result, zone: zone))
    }

    private static func answer(
        _ call: Call, arguments: [String], _ result: CommandResult, zone: LocalTime.Zone
    ) -> Answer {
        switch call {
        case .status:
            if case .failed(let why) = result.end { return .failure(why) }
            return .status(result)
        case .cancel:
            if case .failed(let why) = result.end { return .failure(why) }
            return .cancel(result)
        default: break
        }
        let program = arguments.first ?? "command"
        switch result.end {
        case .failed(let why): return .failure(why)
        case .timedOut: return .failure("\(program) did not answer in time and was ended")
        case .signal(let number): return .failure("\(program) was killed by signal \(number)")
        case .exit(let status) where status != 0:
            if case .job = call, message(result.errors).contains("Invalid job id") { return .job(nil) }
            let text = message(result.errors)
            return .failure(text.isEmpty ? "\(program) ended with status \(status)" : text)
        case .exit: break
        }
        switch call {
        case .burst:
            let report = BurstReport.parse(showBurst: result.output)
            if report.plugins.isEmpty, let fault = report.faults.first { return .failure(fault.text) }
            return .burst(report, raw: result.output)
        case .jobs:
            let (jobs, faults) = SqueueText.parse(result.output, zone: zone)
            if jobs.isEmpty, let fault = faults.first { return .failure(fault.text) }
            return .jobs(jobs, faults: faults)
        case .job(let id):
            let (jobs, faults) = ShowText.jobs(result.output, zone: zone)
            if let fault = faults.first, jobs.isEmpty { return .failure(fault.text) }
            return .job(jobs.first { $0.job.id == id } ?? jobs.first)
        case .reservations:
            let (reservations, faults) = ShowText.reservations(result.output, zone: zone)
            return .reservations(reservations, faults: faults)
        case .config: return .config(ShowText.config(result.output))
        case .status: return .status(result)
        case .cancel: return .cancel(result)
        case .staging:
            let report = StagingReport(json: result.output)
            if report.isEmpty, let fault = report.faults.first { return .failure(fault.text) }
            return .staging(report)
        }
    }

    /// The last line of standard error that is no debug line of `-v`.
    private static func message(_ errors: [UInt8]) -> String {
        let lines = String(decoding: errors, as: UTF8.self).split(whereSeparator: \.isNewline)
        return lines.last { !$0.contains(": debug:") && !$0.contains(": debug2:") }.map(String.init) ?? ""
    }
}
