import BurstModel

/// `burst_buffer/datawarp`: calls of `dw_wlm_cli` and `dwstat` (spec §5, staging.md §1.2).
struct DataWarpRules: PluginRules {
    var plugin: BurstPlugin { .datawarp }

    func next(after function: HookFunction, for work: BufferWork) -> HookFunction? {
        switch function {
        case .setup: .dataIn
        case .dataIn: work.requests.isEmpty ? nil : .realSize
        case .paths: .preRun
        case .postRun: .dataOut
        case .realSize, .preRun, .dataOut, .testDataIn, .testDataOut, .pools, .jobProcess, .jobTeardown, .getStatus:
            nil
        case .showInstances, .showSessions, .showConfigurations, .createPersistent, .destroyPersistent: nil
        }
    }

    /// Not of a job that only creates or destroys persistent buffers (spec §5.6).
    func preparesScript(_ work: BufferWork) -> Bool {
        !work.requests.isEmpty || work.acts.contains { $0.verb == .use }
    }

    /// Spec §5.2; the order of the words is Slurm's, since scripts in use count them.
    func arguments(
        of function: HookFunction, for job: EngineJob, isHurried: Bool, _ settings: EngineSettings
    ) -> [String] {
        let state = settings.stateFolder
        let plain = EnginePaths.script(job.id, in: state)
        let script = job.buffer?.hasSymbols == true ? EnginePaths.symbols(job.id, in: state) : plain
        let verb = ["--function", function.shortName]
        let token = ["--token", "\(job.id)"]
        switch function {
        case .jobProcess: return verb + ["--job", plain]
        case .setup:
            let owner = ["--caller", "SLURM", "--user", "\(job.uid)", "--groupid", "\(job.gid)"]
            let size = Amount.slurmText(job.buffer?.size ?? 0)
            return verb + token + owner + ["--capacity", "\(job.buffer?.pool ?? "(null)"):\(size)", "--job", script]
        case .dataIn, .postRun, .dataOut: return verb + token + ["--job", script]
        case .realSize: return verb + token
        case .paths: return verb + ["--job", plain] + token + ["--pathfile", EnginePaths.path(job.id, in: state)]
        case .preRun:
            return verb + token + ["--job", plain, "--nodehostnamefile", EnginePaths.nodes(job.id, in: state)]
        case .jobTeardown: return verb + token + ["--job", plain] + (isHurried ? ["--hurry"] : [])
        case .testDataIn, .testDataOut, .getStatus, .createPersistent, .destroyPersistent, .pools, .showInstances,
            .showSessions, .showConfigurations:
            return []
        }
    }

    /// Of a buffer that a job's directive creates or destroys.
    func arguments(creating buffer: PersistentBuffer) -> [String] {
        var words = [
            "--function", HookFunction.createPersistent.shortName, "-c", "CLI", "-t", buffer.name, "-u",
            "\(buffer.uid)", "-C", "\(buffer.pool):\(buffer.size)",
        ]
        if let access = buffer.access { words += ["-a", access] }
        if let type = buffer.type { words += ["-T", type] }
        return words
    }

    func arguments(tearingDown token: String, script: String, isHurried: Bool) -> [String] {
        ["--function", HookFunction.jobTeardown.shortName, "--token", token, "--job", script]
            + (isHurried ? ["--hurry"] : [])
    }

    func siteArguments(of function: HookFunction) -> [String] { ["--function", function.shortName] }

    /// `dwstat` is told nothing of who asks (staging.md §0 fact 9).
    func statusArguments(_ words: [String], of caller: Caller) -> [String] { words }

    func givesJobInfo(_ function: HookFunction) -> Bool { false }

    /// `pre_run` has the limit that is meant (spec §10, Q24: Slurm multiplies it by 1000 twice).
    func limitSeconds(of function: HookFunction, _ plugin: EngineSettings.Plugin) -> UInt32 {
        switch function {
        case .jobProcess, .paths: plugin.validateTimeout
        case .dataIn, .realSize, .testDataIn: plugin.stageInTimeout
        case .dataOut, .testDataOut: plugin.stageOutTimeout
        case .getStatus: Self.statusSeconds
        case .setup, .preRun, .postRun, .jobTeardown, .pools, .showInstances, .showSessions, .showConfigurations,
            .createPersistent, .destroyPersistent:
            plugin.otherTimeout
        }
    }

    /// Seconds; fixed (spec §5.2).
    static let statusSeconds: UInt32 = 2

    /// Staging.md §1.2. A `create_persistent` that does not say so has created nothing (spec §10, Q18).
    func read(_ answer: HookAnswer, of function: HookFunction) -> HookAnswer {
        var answer = answer
        switch answer.end {
        case .failure(_, let message?):
            let isFine =
                switch function {
                case .dataIn, .dataOut: message.contains("No matching session")
                case .jobTeardown, .destroyPersistent:
                    message.contains("No matching session") || message.contains("token not found")
                case .paths: message.hasPrefix("job_file_valid True")
                case .showInstances, .showSessions, .showConfigurations: message.hasPrefix("{")
                // What it says is read all the same; what is no document says nothing.
                case .pools: message.contains("{")
                default: false
                }
            answer.end =
                isFine ? .success(message: message) : .failure(status: answer.status, message: Self.line(message))
        case .success(let message) where function == .createPersistent:
            if message?.contains("created") != true {
                let said = Self.line(message ?? "")
                answer.end = .failure(
                    status: 0, message: said.isEmpty ? "it did not say that the buffer was created" : said)
            }
        case .success, .failure, .broken, .timedOut, .killed: break
        }
        // It is only a question: nothing fails for it.
        if function == .realSize, !answer.isSuccess, answer.end != .killed { answer.end = .success(message: nil) }
        return answer
    }

    /// `{"units":"bytes","capacity":N}`. A larger size is only logged by Slurm, rows and sums stay (corpus
    /// datawarp/real-size): so it is here.
    func realSize(_ message: String) throws(SizeFault) -> UInt64? { nil }

    /// Spec §5.9.
    func reasonText(_ function: HookFunction, _ message: String, isHeld: Bool) -> String {
        let word =
            switch function {
            case .dataIn, .postRun, .dataOut: "dws_\(function.shortName)"
            default: function.shortName
            }
        return function == .preRun ? "Burst buffer pre_run error" : "\(fullName): \(word): \(message)"
    }

    func commentWord(_ function: HookFunction) -> String { function.shortName }

    /// Slurm leaves the priority as it is (corpus datawarp/fail-data-out).
    var holdsAfterStageOut: Bool { false }

    func failedStage(of function: HookFunction) -> BufferWork.Stage { .stageOutFailed }

    /// For ever, as Slurm does, but with a pause that grows: several that fail make no hot loop (spec §10, Q17).
    func teardownPauseSeconds(failures: Int) -> Int? {
        Self.pauseSeconds(failures: failures)
    }

    /// 5, 10, 20 ... 300 seconds.
    static func pauseSeconds(failures: Int) -> Int {
        min(EngineLimits.teardownPauseSecondsMax, EngineLimits.teardownPauseSecondsMin << min(16, max(0, failures - 1)))
    }

    /// Its user gave the data up; without it the buffer could be staged out (staging.md §1.10).
    var remembersHurry: Bool { true }

    var statusFailureText: String { "Error running dwstat\n" }

    /// A script's output as a message: without the line ends behind it.
    static func line(_ text: String) -> String {
        String(decoding: text.utf8.reversed().drop { $0 == 10 || $0 == 13 || $0 == 32 }.reversed(), as: UTF8.self)
    }
}
