/// What each of Slurm's two plugins does in its own way: which hook comes next, what it is given and for how long, how
/// its answer reads and what people are told. The life cycle is the engine's and the same for both.
protocol PluginRules: Sendable {
    var plugin: BurstPlugin { get }

    /// The hook behind this one in the same part of the life (stage-in, pre-run, stage-out); nil: that part is over.
    func next(after function: HookFunction, for work: BufferWork) -> HookFunction?

    /// The job's script has something of a burst buffer to itself: job_process, paths and pre_run are for it.
    func preparesScript(_ work: BufferWork) -> Bool

    /// - Parameter isHurried: of a teardown: the user gave the data up.
    func arguments(
        of function: HookFunction, for job: EngineJob, isHurried: Bool, _ settings: EngineSettings
    ) -> [String]

    /// Of a question that is about no job.
    func siteArguments(of function: HookFunction) -> [String]

    /// - Parameter words: the user's own, behind `scontrol show bbstat`.
    func statusArguments(_ words: [String], of caller: Caller) -> [String]

    /// Behind the arguments stands a table with the job's fields.
    func givesJobInfo(_ function: HookFunction) -> Bool

    /// Seconds that a call may take; 0: no limit.
    func limitSeconds(of function: HookFunction, _ plugin: EngineSettings.Plugin) -> UInt32

    /// The answer by the plugin's own rules of what is a success.
    func read(_ answer: HookAnswer, of function: HookFunction) -> HookAnswer

    /// The size in what `real_size` said, where it says one.
    /// - Throws: a line for the log: it is discarded.
    func realSize(_ message: String) throws(SizeFault) -> UInt64?

    /// What stands in the reason's place when a hook has failed.
    /// - Parameter isHeld: the job was held for it.
    func reasonText(_ function: HookFunction, _ message: String, isHeld: Bool) -> String

    /// The word in front of the message in `SystemComment`.
    func commentWord(_ function: HookFunction) -> String

    /// A failed stage-out holds the job, too.
    var holdsAfterStageOut: Bool { get }

    /// Where the life stands when a hook of the stage-out has failed.
    func failedStage(of function: HookFunction) -> BufferWork.Stage

    /// Seconds until a teardown is tried again that failed so often; nil: it is given up and counts as done.
    func teardownPauseSeconds(failures: Int) -> Int?

    /// A teardown that a restart interrupted is hurried if it was before.
    var remembersHurry: Bool { get }

    /// What `scontrol show bbstat` prints when its hook fails.
    var statusFailureText: String { get }
}

extension PluginRules {
    var fullName: String { plugin.fullName }
    var stageOutText: String { "\(fullName): Stage-out in progress" }
}

extension EngineSettings.Plugin {
    var rules: any PluginRules { name == BurstPlugin.datawarp.rawValue ? DataWarpRules() : LuaRules() }
}

extension Engine {
    /// Without a plugin nothing asks.
    var rules: any PluginRules { settings.plugin?.rules ?? LuaRules() }
}
