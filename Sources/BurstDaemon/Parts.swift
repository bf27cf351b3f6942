package import BurstEngine
package import BurstModel
package import BurstWire

/// What keeps the engine's records. Calls may wait for the disk; they come from the driver's thread, those for the
/// history
/// from others besides.
package protocol StateStore: Sendable {
    /// All or none, in order: when it returns they survive a power cut.
    /// - Throws: one line that says what is wrong; nothing was kept.
    func persist(_ records: [Record]) throws(StateFault)
    func recover() throws(StateFault) -> Engine.Recovered
    /// The newest `last` calls, oldest first, as JSON lines; of one job, or of all.
    func calls(job: UInt32?, last: Int) throws(StateFault) -> [TracedCall]
    func changes(last: Int) throws(StateFault) -> [StateChange]
    func actions(last: Int) throws(StateFault) -> [ActionEntry]
    /// The answer to one SELECT over the history, as a table or as JSON lines; nil: what tables there are.
    func query(_ sql: String?, json: Bool) throws(StateFault) -> [UInt8]
    /// Looks through everything that is kept: a line for each thing that is wrong.
    func check() -> [String]
    func close()
}

/// Why something could not be kept or read: one line.
package struct StateFault: Error, Hashable, Sendable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}

/// A call of a hook in the history.
package struct TracedCall: Hashable, Sendable {
    package var start: CallStart
    /// Nil: under way.
    package var end: CallEnd?

    package init(start: CallStart, end: CallEnd? = nil) {
        self.start = start
        self.end = end
    }
}

/// What calls the functions of `burst_buffer.lua`, or of `dw_wlm_cli`.
package protocol Hooks: Sendable {
    /// Makes the call and gives its answer, whatever becomes of it. A call that was killed answers `.killed`.
    func run(_ call: HookCall) async -> HookAnswer
    /// Ends a call with SIGKILL; one that is not under way: nothing.
    func kill(_ call: CallID)
    /// Why the script cannot be used, one line; nil where it can.
    func check() async -> String?
    /// The document of `slurm_bb_pools`, read by the rules of spec §4.5.
    func readPools(_ document: String) -> PoolsReading
    /// The document of `show_instances` or `show_sessions` (spec §5.3).
    func readSite(_ function: HookFunction, _ document: String) -> SiteReading
    /// Kills what is under way and ends.
    func stop() async
}

extension Hooks {
    package func readSite(_ function: HookFunction, _ document: String) -> SiteReading { .unreadable([]) }
}

/// What runs batch scripts, each in a process that outlives this one.
package protocol Steps: Sendable {
    /// - Throws: one line.
    func start(_ order: ScriptOrder) throws(StateFault)
    func control(_ job: UInt32, _ control: StepControl, notice: String?)
    /// A step that an earlier life of the daemon started.
    func adopt(_ job: UInt32, folder: String) -> AdoptedStep
    /// Each step that was started or adopted, once, when it has ended.
    var endings: AsyncStream<EndedStep> { get }
    /// Watches no more; steps go on.
    func stop()
}

/// A batch script, ready to run.
package struct ScriptOrder: Hashable, Sendable {
    package var job: EngineJob
    /// The script's file; only the daemon can read it.
    package var script: String
    package var environment: [String]
    package var standardInput: String
    package var standardOutput: String
    package var standardError: String
    package var killWaitSeconds: Int
    /// Private to the step.
    package var folder: String
}

/// A step's end.
package struct EndedStep: Hashable, Sendable {
    package var job: UInt32
    package var result: StepResult
    /// What went wrong around it, for the log.
    package var note: String?

    package init(job: UInt32, result: StepResult, note: String? = nil) {
        self.job = job
        self.result = result
        self.note = note
    }
}

/// What became of a step since the daemon's last life.
package enum AdoptedStep: Hashable, Sendable {
    case running
    case ended(EndedStep)
    /// It may be started anew.
    case neverStarted
}

/// Tells users of their jobs.
package protocol Mailer: Sendable {
    /// Never waits. What fails is logged.
    func send(_ mail: Mail)
    func stop() async
}

/// Renders answers, outside the driver's thread.
package protocol Texts: Sendable {
    /// The text that the command prints, or why not.
    func show(_ show: Show, _ view: EngineView) throws(Refusal) -> [UInt8]
}

/// What an answer is made of: values as they were at one moment, and who looks.
package struct EngineView: Sendable {
    package var engine: Engine
    package var calls: [CallID: CallStart]
    package var caller: Caller
    package var at: Timestamp
    /// Grows with each change.
    package var version: UInt64

    package init(
        engine: Engine, calls: [CallID: CallStart] = [:], caller: Caller, at: Timestamp, version: UInt64 = 0
    ) {
        self.engine = engine
        self.calls = calls
        self.caller = caller
        self.at = at
        self.version = version
    }

    /// Others' rows are hidden from whoever looks (`Flags=PrivateData`).
    package var hidesOthers: Bool { !caller.isOperator && engine.settings.plugin?.hidesOthers == true }

    package func sees(uid: UInt32) -> Bool { !hidesOthers || uid == caller.uid }
}

/// Reads the configuration.
package protocol SettingsReader: Sendable {
    /// - Throws: one line with file and line.
    func read() throws(StateFault) -> DaemonSettings
}

/// The configuration: what the engine decides by, and what only the daemon needs.
package struct DaemonSettings: Sendable {
    package var engine: EngineSettings
    /// `MailProg`; nil: nobody is mailed.
    package var mailProgram: String?
    /// `SlurmctldLogFile`; nil: standard error in the foreground, else nothing.
    package var logFile: String?
    package var logLevel = HookLogLine.Level.info
    /// `SlurmdSpoolDir`; nil: below the state folder.
    package var spoolFolder: String?
    /// Of `burst.toml`; nil: there is none, and nothing is staged.
    package var pools: [PoolSettings]?
    /// There is no `slurm.conf` beside `burst.toml`: jobs are a real Slurm's, which calls `dw_wlm_cli`.
    package var isStagerAlone = false
    /// What is odd about the configuration, for the log.
    package var notes: [HookLogLine] = []

    package init(engine: EngineSettings) { self.engine = engine }
}

/// The clocks.
package struct DaemonClock: Sendable {
    package var now: @Sendable () -> Timestamp
    /// Milliseconds of a clock that nobody sets.
    package var monotonic: @Sendable () -> Int64

    package init(now: @escaping @Sendable () -> Timestamp, monotonic: @escaping @Sendable () -> Int64) {
        self.now = now
        self.monotonic = monotonic
    }
}

/// Limits of the daemon that no configuration changes.
package enum DaemonLimits {
    /// Questions that wait for the driver, and their bytes; more wait in their connections, which are not read
    /// meanwhile.
    package static let questionsWaitingMax = 4096
    /// Answers of hooks and steps that are decided on in one go, before questions have their turn.
    package static let eventsAtOnce = 32
    package static let questionBytesWaitingMax = 64 << 20
    /// Bytes of a question's frame: a script and an environment.
    package static let questionBytesMax = 16 << 20
    /// Bytes of the first frame of a connection.
    package static let helloBytesMax = 64 << 10
    /// Seconds in which a frame that has begun must have come whole.
    package static let frameSeconds = 60
    package static let connectionsMax = 8192
    package static let connectionsOfUserMax = 4096
    /// Users whose names are not looked up again, and for how long.
    package static let namesKnownMax = 1024
    package static let namesKnownMilliseconds: Int64 = 60_000
    /// Bytes of answers that one client has not taken yet; one answer may always wait.
    package static let unsentBytesMax = 80 << 20
    /// Seconds without any progress after which a client that does not read is dropped.
    package static let slowReaderSeconds = 30
    /// Bytes that are handed to the socket at once.
    package static let chunkBytes = 256 << 10
    /// Jobs that one command names.
    package static let commandJobsMax = 10_000
    /// Waits of all clients.
    package static let waitsMax = 100_000
    package static let subscribersMax = 1024
    /// Calls that wait to be pushed to one subscriber; older ones are left out.
    package static let pushedCallsMax = 256
    /// Rows of a listing of the history.
    package static let historyRowsMax = 10_000
    /// Milliseconds between two tries to write the state.
    package static let retryMillisecondsMin: Int64 = 500
    package static let retryMillisecondsMax: Int64 = 15_000
    /// Milliseconds that the driver sleeps at most: the wall clock may be set meanwhile.
    package static let sleepMillisecondsMax: Int64 = 60_000
    /// Seconds for everything that ends when the daemon does.
    package static let stopSeconds = 15
    /// Bytes of the path file (spec §4.7) that are read.
    package static let pathFileBytesMax = 1 << 20
    /// Mails that wait, programs that run at once, and seconds for each.
    package static let mailsMax = 1000
    package static let mailsAtOnce = 4
    package static let mailSeconds = 30
}
