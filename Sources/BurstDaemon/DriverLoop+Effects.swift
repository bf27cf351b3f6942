import BurstEngine
import BurstModel
import BurstWire

extension DriverLoop {
    /// In order. The files of new jobs are there already; what else is made for a call is made before it, elsewhere.
    func perform(_ effects: [Effect]) {
        /// Files that the next call of a job must not find missing.
        var papers: [UInt32: [Effect]] = [:]
        for effect in effects {
            switch effect {
            case .writeJobFiles, .linkJobFiles: break
            case .call(let call): run(call, behind: call.jobID.flatMap { papers.removeValue(forKey: $0) } ?? [])
            // Not before the call itself, which may have to wait for its files.
            case .killCall(let call): driver.papers.add { [parts] in parts.hooks.kill(call) }
            case .writeSymbols(let job, _), .makePathFile(let job), .writeNodes(let job, _):
                papers[job, default: []].append(effect)
            case .removeJobFiles(let job): driver.papers.add { [parts] in parts.files.remove(job) }
            case .startStep(let start): begin(start)
            case .signalStep(let job, let control): signal(job, control)
            case .mail(let mail): parts.mailer.send(mail)
            case .reply(let request, let reply): answer(request, reply)
            case .log(let line): parts.log(line)
            }
        }
    }

    private var now: Timestamp { parts.clock.now() }

    // MARK: Hooks

    private func run(_ call: HookCall, behind papers: [Effect]) {
        guard !papers.isEmpty else { return Self.run(call, parts, driver.inbox) }
        let (parts, inbox) = (parts, driver.inbox)
        driver.papers.add {
            do throws(StateFault) {
                for paper in papers { try Self.write(paper, parts.files) }
                Self.run(call, parts, inbox)
            } catch {
                let answer = HookAnswer(
                    end: .broken("\(error)"), startedAt: parts.clock.now().milliseconds * 1000)
                inbox.add(.event(.hookEnded(call.id, answer)))
            }
        }
    }

    private static func write(_ paper: Effect, _ files: JobFiles) throws(StateFault) {
        switch paper {
        case .writeSymbols(let job, let text): try files.writeSymbols(job, text: text)
        case .makePathFile(let job): try files.makePathFile(job)
        case .writeNodes(let job, let names): try files.writeNodes(job, names)
        case .call, .killCall, .writeJobFiles, .linkJobFiles, .removeJobFiles, .startStep, .signalStep, .mail, .reply,
            .log:
            break
        }
    }

    private static func run(_ call: HookCall, _ parts: Driver.Parts, _ inbox: Inbox<Input>) {
        Task {
            let answer = await parts.hooks.run(call)
            inbox.add(.event(event(call, answer, parts)))
        }
    }

    private static func event(_ call: HookCall, _ answer: HookAnswer, _ parts: Driver.Parts) -> EngineEvent {
        guard case .success(let message) = answer.end else { return .hookEnded(call.id, answer) }
        switch call.function {
        case .pools:
            guard let message else { return .hookEnded(call.id, answer) }
            return .poolsRead(call.id, answer, parts.hooks.readPools(message))
        case .showInstances, .showSessions:
            return .siteRead(call.id, answer, parts.hooks.readSite(call.function, message ?? ""))
        case .paths:
            guard let job = call.jobID else { return .hookEnded(call.id, answer) }
            do throws(StateFault) {
                return .pathsRead(call.id, answer, lines: try parts.files.takePaths(job))
            } catch {
                var broken = answer
                broken.end = .broken("\(error)")
                return .hookEnded(call.id, broken)
            }
        default: return .hookEnded(call.id, answer)
        }
    }

    // MARK: Steps

    private func begin(_ start: StepStart) {
        let (parts, inbox, settings) = (parts, driver.inbox, engine.settings)
        driver.steps.add { inbox.add(.event(Self.begin(start, settings, parts))) }
    }

    private static func begin(_ start: StepStart, _ settings: EngineSettings, _ parts: Driver.Parts) -> EngineEvent {
        let job = start.job
        let state = parts.files.state
        do throws(StateFault) {
            let submitted = try parts.files.environment(job.id)
            let output = job.outputPath(hostName: settings.hostName)
            try parts.steps.start(
                ScriptOrder(
                    job: job, script: EnginePaths.script(job.id, in: state),
                    environment: JobEnvironment.make(
                        job, submitted: submitted, paths: start.paths, settings: settings),
                    standardInput: job.stdIn.isEmpty
                        ? "/dev/null" : job.expandedPath(job.stdIn, hostName: settings.hostName),
                    standardOutput: output,
                    standardError: job.stdErr.isEmpty
                        ? output : job.expandedPath(job.stdErr, hostName: settings.hostName),
                    killWaitSeconds: settings.killWaitSeconds,
                    folder: EnginePaths.folder(job.id, in: state)))
            return .stepStarted(job.id)
        } catch {
            parts.log(HookLogLine(.error, "JobId=\(job.id): \(error)"))
            return .stepEnded(job.id, .notStarted("\(error)"))
        }
    }

    /// Behind the start, if that is still to come.
    private func signal(_ job: UInt32, _ control: StepControl) {
        var notice: String?
        if case .end = control, let job = engine.jobs[job] {
            let time = engine.settings.zone.local(now).text
            let why = job.state == .timeout ? "DUE TO TIME LIMIT " : ""
            notice = "*** JOB \(job.id) ON \(engine.settings.hostName) CANCELLED AT \(time) \(why)***"
        }
        driver.steps.add { [parts, notice] in parts.steps.control(job, control, notice: notice) }
    }

    // MARK: Replies

    private func answer(_ request: RequestID, _ reply: Reply) {
        guard let entry = pending.removeValue(forKey: request) else { return }
        if case .part(let gathering, let index, let shown) = entry {
            switch reply {
            case .done(let outcomes): gathering.set(index, outcomes.map { Self.outcome($0, shown) })
            case .refused(let refusal, _):
                gathering.set(index, [Outcome(job: 0, shown: shown, code: refusal.code, text: refusal.text)])
            case .submitted, .status, .reserved: gathering.set(index, [])
            }
            return
        }
        let question = entry.question
        let client = question.client
        switch reply {
        case .submitted(let job, let notes): client.answer(.submitted(question.id, job: job, notes: notes))
        case .refused(let refusal, let notes): client.refuse(question.id, refusal, notes: notes)
        case .done(let outcomes):
            client.answer(.done(question.id, outcomes.map { Self.outcome($0, "") }))
        case .status(let text): client.answer(.body(question.id), body: Array(text.utf8))
        case .reserved(let name): client.answer(.body(question.id), body: Array(name.utf8))
        }
    }

    private static func outcome(_ outcome: JobOutcome, _ shown: String) -> Outcome {
        Outcome(
            job: outcome.jobID, shown: outcome.shownID.isEmpty ? shown : outcome.shownID,
            code: outcome.refusal?.code ?? 0, text: outcome.refusal?.text ?? "")
    }
}
