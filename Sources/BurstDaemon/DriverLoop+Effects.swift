import BurstEngine
import BurstModel
import BurstWire

extension DriverLoop {
    /// In order. The files of new jobs are there already.
    func perform(_ effects: [Effect]) {
        /// What could not be made for a job: its next call must not find it missing.
        var missing: [UInt32: String] = [:]
        for effect in effects {
            switch effect {
            case .writeJobFiles, .linkJobFiles: break
            case .call(let call):
                if let job = call.jobID, let why = missing[job] {
                    let answer = HookAnswer(end: .broken(why), startedAt: now.milliseconds * 1000)
                    driver.inbox.add(.event(.hookEnded(call.id, answer)))
                } else {
                    run(call)
                }
            case .killCall(let call): parts.hooks.kill(call)
            case .writeSymbols(let job, let text):
                do throws(StateFault) {
                    try parts.files.writeSymbols(job, text: text)
                } catch {
                    missing[job] = "\(error)"
                }
            case .makePathFile(let job):
                do throws(StateFault) {
                    try parts.files.makePathFile(job)
                } catch {
                    missing[job] = "\(error)"
                }
            case .writeNodes(let job, let names):
                do throws(StateFault) {
                    try parts.files.writeNodes(job, names)
                } catch {
                    missing[job] = "\(error)"
                }
            case .removeJobFiles(let job): parts.files.remove(job)
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

    private func run(_ call: HookCall) {
        let parts = parts
        let inbox = driver.inbox
        Task {
            let answer = await parts.hooks.run(call)
            inbox.add(.event(DriverLoop.event(call, answer, parts)))
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
