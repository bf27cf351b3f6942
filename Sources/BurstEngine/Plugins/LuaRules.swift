/// `burst_buffer/lua`, as Slurm 26.05 has it (spec §4).
struct LuaRules: PluginRules {
    var plugin: BurstPlugin { .lua }

    func next(after function: HookFunction, for work: BufferWork) -> HookFunction? {
        switch function {
        case .setup: .dataIn
        case .dataIn: .testDataIn
        case .testDataIn: work.requests.isEmpty ? nil : .realSize
        case .paths: .preRun
        case .postRun: .dataOut
        case .dataOut: .testDataOut
        case .realSize, .preRun, .testDataOut, .pools, .jobProcess, .jobTeardown, .getStatus: nil
        case .showInstances, .showSessions, .showConfigurations, .createPersistent, .destroyPersistent: nil
        }
    }

    func preparesScript(_ work: BufferWork) -> Bool { true }

    /// Spec §4.2, the column of 26.05.
    func arguments(
        of function: HookFunction, for job: EngineJob, isHurried: Bool, _ settings: EngineSettings
    ) -> [String] {
        let state = settings.stateFolder
        let (id, plain) = ("\(job.id)", EnginePaths.script(job.id, in: state))
        let script = job.buffer?.hasSymbols == true ? EnginePaths.symbols(job.id, in: state) : plain
        let owner = ["\(job.uid)", "\(job.gid)"]
        return switch function {
        case .jobProcess: [plain] + owner
        case .setup: [id] + owner + [job.buffer?.pool ?? "(null)", "\(job.buffer?.size ?? 0)", script]
        case .dataIn, .testDataIn, .postRun, .dataOut, .testDataOut: [id, script] + owner
        case .realSize: [id] + owner
        case .paths: [id, plain, EnginePaths.path(job.id, in: state)] + owner
        case .preRun: [id, plain] + owner
        case .jobTeardown: [id, plain, isHurried ? "true" : "false"] + owner
        case .pools, .getStatus: []
        case .showInstances, .showSessions, .showConfigurations, .createPersistent, .destroyPersistent: []
        }
    }

    func siteArguments(of function: HookFunction) -> [String] { [] }

    func statusArguments(_ words: [String], of caller: Caller) -> [String] {
        ["\(caller.uid)", "\(caller.gid)"] + words
    }

    func givesJobInfo(_ function: HookFunction) -> Bool { function != .jobTeardown }

    func limitSeconds(of function: HookFunction, _ plugin: EngineSettings.Plugin) -> UInt32 {
        switch function {
        case .dataIn, .testDataIn, .realSize: plugin.stageInTimeout
        case .dataOut, .testDataOut: plugin.stageOutTimeout
        case .setup, .preRun, .postRun, .jobTeardown, .getStatus: plugin.otherTimeout
        // Within the engine's own process.
        case .pools, .jobProcess, .paths: 0
        case .showInstances, .showSessions, .showConfigurations, .createPersistent, .destroyPersistent: 0
        }
    }

    func read(_ answer: HookAnswer, of function: HookFunction) -> HookAnswer { answer }

    /// The text must be a number as a whole (spec §4.6; a negative one is no size).
    func realSize(_ message: String) throws(SizeFault) -> UInt64? {
        if message.isEmpty { return nil }
        guard let size = UInt64(message) else {
            throw SizeFault(
                description: "slurm_bb_real_size return value=\"\(message)\" is invalid, discarding result")
        }
        return size
    }

    /// Spec §4.8.
    func reasonText(_ function: HookFunction, _ message: String, isHeld: Bool) -> String {
        if function == .jobTeardown { return "\(fullName): teardown failed: \(message)" }
        return "\(fullName): \(isHeld ? "JobHeldAdmin: " : "")\(function.rawValue) failed: \(message)"
    }

    func commentWord(_ function: HookFunction) -> String {
        switch function {
        case .paths, .preRun, .jobTeardown: function.shortName
        default: function.rawValue
        }
    }

    var holdsAfterStageOut: Bool { true }

    func failedStage(of function: HookFunction) -> BufferWork.Stage {
        function == .postRun ? .postRunFailed : .stageOutFailed
    }

    /// Spec §4.9.
    func teardownPauseSeconds(failures: Int) -> Int? {
        failures < EngineLimits.teardownAttemptsMax ? EngineLimits.teardownRetrySeconds : nil
    }

    /// Spec §7.3: "TD(false) (even if it was hurry)".
    var remembersHurry: Bool { false }

    var statusFailureText: String { "Error running \(HookFunction.getStatus.rawValue)\n" }
}
