/// What happens to the controller itself: answers, silence, restarts; and what we do to it.
extension Watch {
    /// A polled call answered.
    mutating func answered(_ sample: Sample) {
        let name = Self.name(sample.call)
        durations[name] = sample.durationMilliseconds
        otherFaults[name] = nil
        switch sample.call {
        case .burst:
            if let failing = burstFailing { logGap("", failing, until: sample.endedAt) }
        case .jobs:
            if let failing = jobsFailing { logGap("squeue: ", failing, until: sample.endedAt) }
        default: break
        }
    }

    private mutating func logGap(_ prefix: String, _ failing: Failing, until at: Timestamp) {
        let from = zone.local(failing.since).clock
        let calls = failing.tries == 1 ? "1 call" : "\(failing.tries) calls"
        log(
            .controller, .error, .controller,
            "\(prefix)no answer \(from)-\(zone.local(at).clock) (\(calls) failed)", at: at)
    }

    /// A call gave no answer.
    mutating func failed(_ sample: Sample, _ reason: String) {
        let at = sample.endedAt
        switch sample.call {
        case .burst:
            if burstFailing == nil { log(.controller, .error, .controller, "no answer: \(reason)", at: at) }
            let failing = burstFailing ?? Failing(since: sample.startedAt, tries: 0, reason: reason)
            burstFailing = Failing(since: failing.since, tries: failing.tries + 1, reason: reason)
        case .jobs:
            if jobsFailing == nil, burstFailing == nil {
                log(.controller, .error, .controller, "squeue: no answer: \(reason)", at: at)
            }
            let failing = jobsFailing ?? Failing(since: sample.startedAt, tries: 0, reason: reason)
            jobsFailing = Failing(since: failing.since, tries: failing.tries + 1, reason: reason)
        case .reservations, .config:
            let name = Self.name(sample.call)
            otherFaults[name] = Fault(reply: name, line: 0, message: reason)
        case .cancel(let id, let hurry):
            log(
                .action, .error, subject(of: id), "\(Self.scancel(id, hurry, sample)) could not be run: \(reason)",
                at: at)
        case .status(let request):
            log(.action, .error, .controller, "show \(request.word): \(reason)", at: at)
        case .staging: stagingLost(reason, sample)
        case .job: break
        }
        judgeCalls(at: at)
    }

    static func name(_ call: Call) -> String {
        switch call {
        case .burst: "scontrol show burst"
        case .jobs: "squeue"
        case .job: "scontrol show job"
        case .reservations: "scontrol show reservation"
        case .config: "scontrol show config"
        case .status(let request): "scontrol show \(request.word)"
        case .cancel: "scancel"
        case .staging: "dwstat"
        }
    }

    // MARK: Configuration

    mutating func take(_ new: ControllerConfig, _ sample: Sample) {
        let at = sample.endedAt
        if let old = config?.value {
            if let boot = new.bootTime, let before = old.bootTime, boot != before {
                log(.controller, .warn, .controller, "slurmctld was started anew at \(boot.text)", at: at)
            }
            if let version = new.version, let before = old.version, version != before {
                log(.controller, .warn, .controller, "Slurm \(before) -> \(version)", at: at)
            }
            if new.burstBufferType != old.burstBufferType {
                let (before, after) = (old.burstBufferType ?? "(null)", new.burstBufferType ?? "(null)")
                log(.controller, .warn, .controller, "BurstBufferType \(before) -> \(after)", at: at)
            }
        }
        if let cluster = new.cluster { source.cluster = cluster }
        if let version = new.version { source.version = version }
        config = Sampled(new, at: at, durationMilliseconds: sample.durationMilliseconds)
    }

    // MARK: Actions

    func subject(of id: JobID) -> Subject {
        jobLookup[id.number].map { subject(jobTracks[Int($0)]) }
            ?? rows.first { $0.job == id.number }.map { .buffer(key($0)) } ?? .job(id)
    }

    private static func scancel(_ id: JobID, _ hurry: Bool, _ sample: Sample) -> String {
        let words = sample.arguments.isEmpty ? sample.call.arguments() : sample.arguments
        return words.joined(separator: " ")
    }

    mutating func log(_ result: CommandResult, cancel id: JobID, hurry: Bool, _ sample: Sample) {
        let at = sample.endedAt
        let stderr = String(decoding: result.errors, as: UTF8.self)
            .split(whereSeparator: \.isNewline).joined(separator: " | ")
        var text = "\(source.viewer.isEmpty ? "" : source.viewer + " ")\(Self.scancel(id, hurry, sample)) -> "
        var level = Event.Level.warn
        switch result.end {
        case .exit(0):
            // Exit 0 promises nothing: Slurm says so for finished and unknown jobs too (monitor.md §0).
            text += "accepted (exit 0)"
            level = .info
        case .exit(210): text += "exit 210: not yours to cancel"
        case .exit(let status): text += "exit \(status)"
        case .signal(let number): text += "killed by signal \(number)"
        case .timedOut: text += "no answer in time"
        case .failed(let why): text += "could not be run: \(why)"
        }
        if !stderr.isEmpty { text += ": " + stderr }
        let track = jobLookup[id.number].map { jobTracks[Int($0)] }
        let user = track.map { jobs!.value[Int($0.index)].user } ?? ""
        log(.action, level, subject(of: id), user: user, text, at: at)
        guard result.end == .exit(0) else { return }
        cancels.removeAll { $0.id == id }
        cancels.append(
            SentCancel(
                id: id, hurry: hurry, at: at, stage: track?.stage ?? StateTable.none,
                state: track.map { jobs!.value[Int($0.index)].state.name } ?? ""))
    }

    mutating func log(_ result: CommandResult, of request: StatusRequest, at: Timestamp) {
        let words = ([request.word] + request.arguments).joined(separator: " ")
        let end: String
        switch result.end {
        case .exit(let status): end = "exit \(status)"
        case .signal(let number): end = "killed by signal \(number)"
        case .timedOut: end = "no answer in time"
        case .failed(let why): end = why
        }
        log(.action, result.end == .exit(0) ? .info : .warn, .controller, "show \(words) -> \(end)", at: at)
    }

    /// Looks whether a cancel has shown in the newest jobs.
    mutating func proveCancels(at: Timestamp) {
        guard !cancels.isEmpty else { return }
        for cancel in cancels {
            var proof: String?
            if let track = jobLookup[cancel.id.number].map({ jobTracks[Int($0)] }) {
                let state = jobs!.value[Int(track.index)].state.name
                if track.stage != cancel.stage {
                    proof = states.name(track.stage)
                } else if state != cancel.state, !cancel.state.isEmpty {
                    proof = state
                }
            } else if cancel.stage != StateTable.none {
                proof = "gone"
            }
            guard let proof else { continue }
            prove(cancel, proof, at: at)
        }
    }

    /// A buffer is gone: whatever was sent to its job has acted.
    mutating func proveCancel(of job: UInt32, _ proof: String, at: Timestamp) {
        if let cancel = cancels.first(where: { $0.id.number == job }) { prove(cancel, proof, at: at) }
    }

    private mutating func prove(_ cancel: SentCancel, _ proof: String, at: Timestamp) {
        cancels.removeAll { $0.id == cancel.id }
        let words = cancel.hurry ? "scancel --hurry" : "scancel"
        let age = Age.long(seconds: at.seconds(since: cancel.at))
        let user = jobLookup[cancel.id.number].flatMap { job($0)?.user } ?? ""
        log(.action, .info, subject(of: cancel.id), user: user, "\(proof) \(age) after \(words)", at: at)
    }

    mutating func expireCancels(at: Timestamp) {
        for cancel in cancels where at.seconds(since: cancel.at) >= Self.cancelShownSeconds {
            cancels.removeAll { $0.id == cancel.id }
            let words = cancel.hurry ? "scancel --hurry" : "scancel"
            log(
                .action, .warn, subject(of: cancel.id),
                "no effect of \(words) seen in \(Self.cancelShownSeconds)s", at: at)
        }
    }
}
