package import BurstEngine
internal import BurstModel
internal import BurstWire
internal import Synchronization

/// What reaches the driver.
enum Input: Sendable {
    case event(EngineEvent)
    case question(ClientQuestion)
    /// A client's connection ended.
    case gone(UInt64)
    /// The configuration was read anew, or could not be; who asked, if somebody did.
    case configuration(Result<DaemonSettings, StateFault>, ClientQuestion?)
    /// SIGHUP.
    case reload
    case stop
}

/// Runs the engine: one thread takes events in order, has them decided, makes the records of a batch durable, and
/// only then
/// lets the effects go. Answers of hooks and steps come back as events.
package final class Driver: Sendable {
    /// What a driver is made of.
    package struct Parts: Sendable {
        package var store: any StateStore
        package var hooks: any Hooks
        package var steps: any Steps
        package var mailer: any Mailer
        package var texts: any Texts
        package var reader: any SettingsReader
        package var files: JobFiles
        package var clock: DaemonClock
        package var log: @Sendable (HookLogLine) -> Void
        /// Called when `shutdown` was asked for.
        package var onShutdown: @Sendable () -> Void
        /// Called with each configuration that is taken.
        package var onSettings: @Sendable (DaemonSettings) -> Void

        package init(
            store: any StateStore, hooks: any Hooks, steps: any Steps, mailer: any Mailer, texts: any Texts,
            reader: any SettingsReader, files: JobFiles, clock: DaemonClock,
            log: @escaping @Sendable (HookLogLine) -> Void, onShutdown: @escaping @Sendable () -> Void,
            onSettings: @escaping @Sendable (DaemonSettings) -> Void
        ) {
            self.store = store
            self.hooks = hooks
            self.steps = steps
            self.mailer = mailer
            self.texts = texts
            self.reader = reader
            self.files = files
            self.clock = clock
            self.log = log
            self.onShutdown = onShutdown
            self.onSettings = onSettings
        }
    }

    let parts: Parts
    let inbox = Inbox<Input>()
    let kitchen = Kitchen()
    let steps = InOrder()
    /// Files that calls find, written and removed; calls that find them are made behind it.
    let papers = InOrder()
    let publisher: Publisher
    let shown: Mutex<Shown>
    private let ended = Gate()
    /// Whether there is a loop, or has been one.
    private let hasLoop = Atomic<Bool>(false)
    private let onRoom = Mutex<(@Sendable () -> Void)?>(nil)
    let settings: Mutex<DaemonSettings>
    private let stager = Mutex<StagerService?>(nil)

    package init(parts: Parts, settings: DaemonSettings) {
        self.parts = parts
        self.settings = Mutex(settings)
        shown = Mutex(Shown(engine: Engine(settings: settings.engine)))
        publisher = Publisher(texts: parts.texts, kitchen: kitchen)
    }

    /// Shows to subscribers what a stager has, and asks it where something is looked through.
    func show(_ stager: StagerService) {
        self.stager.withLock { $0 = stager }
        publisher.show { [stager] caller, take in stager.render(caller, take) }
    }

    var shownStager: StagerService? { stager.withLock { $0 } }

    var isStagerAlone: Bool { settings.withLock { $0.isStagerAlone } }
    package var clusterName: String { settings.withLock { $0.engine.clusterName } }
    package var slurmUserID: UInt32 { settings.withLock { $0.engine.slurmUserID } }

    // MARK: Life

    /// Recovers what the store kept, takes running steps over, and begins. Returns when the engine is in charge.
    package func start() throws(StateFault) {
        let recovered = try parts.store.recover()
        let settings = settings.withLock { $0 }
        var engine = Engine(settings: settings.engine, recovered: recovered)
        let found = parts.files.found()
        for job in found.jobs where engine.jobs[job] == nil {
            parts.log(HookLogLine(.info, "Purged files for defunct batch JobId=\(job)"))
            parts.files.remove(job)
        }
        for path in found.strange where path.hasSuffix(".new") { JobFiles.removeTree(path) }
        var first: [Input] = [.event(.started)]
        for job in engine.jobs.values.sorted(by: { $0.id < $1.id }) where Self.hasStep(job) {
            switch parts.steps.adopt(job.id, folder: EnginePaths.folder(job.id, in: parts.files.state)) {
            case .running: break
            case .ended(let step):
                if let note = step.note { parts.log(HookLogLine(.error, "JobId=\(job.id): \(note)")) }
                first.append(.event(.stepEnded(job.id, step.result)))
            case .neverStarted: first.append(.event(.stepEnded(job.id, .neverStarted)))
            }
        }
        shown.withLock { [engine] in $0.engine = engine.shown }
        for input in first { inbox.add(input) }
        let endings = parts.steps.endings
        Task { [inbox, parts] in
            for await step in endings {
                if let note = step.note { parts.log(HookLogLine(.error, "JobId=\(step.job): \(note)")) }
                inbox.add(.event(.stepEnded(step.job, step.result)))
            }
        }
        hasLoop.store(true, ordering: .releasing)
        publisher.start(
            version: { [self] in
                shown.withLock { $0.version } &+ (stager.withLock { $0?.version } ?? 0)
            },
            view: { [self] caller, take in take(view(for: caller)) }, now: parts.clock.now)
        let box = Mutex<Engine?>(engine)
        engine = Engine(settings: settings.engine)
        OwnThread.start { [self] in
            let loop = DriverLoop(self, engine: box.withLock { $0.take() }!)
            loop.run()
            ended.open()
        }
    }

    /// The batch script was started, by the job's record.
    private static func hasStep(_ job: EngineJob) -> Bool {
        guard job.state == .running || job.state == .suspended, !job.flags.contains(.configuring) else { return false }
        guard let buffer = job.buffer else { return true }
        return buffer.stage == .running
    }

    /// Ends in order: hooks are killed, running scripts go on, what is known is kept. Also where `start` failed.
    package func stop() async {
        if hasLoop.load(ordering: .acquiring) {
            // While the loop still gives it what it asks for.
            await publisher.stop()
            inbox.add(.stop)
            await ended.wait()
        }
        // Calls are made, and ended with the others.
        await papers.finish()
        await parts.hooks.stop()
        // What is recorded as started is started.
        await steps.finish()
        parts.steps.stop()
        await parts.mailer.stop()
        kitchen.stop()
        parts.store.close()
    }

    // MARK: Clients

    /// A question; false where there is no room for it in the loop now: `whenRoom` is called when there is.
    package func ask(_ question: ClientQuestion) -> Bool {
        if !question.isBehindOthers, look(question) { return true }
        return inbox.offer(.question(question), bytes: question.body.count + 1024)
    }

    /// What is called when questions that had no room may be asked again.
    package func whenRoom(_ call: @escaping @Sendable () -> Void) { onRoom.withLock { $0 = call } }

    func roomAgain() { onRoom.withLock { $0 }?() }

    package func gone(_ client: UInt64) {
        publisher.remove(client)
        inbox.add(.gone(client), behindQuestions: true)
    }

    /// SIGHUP.
    package func reload() { inbox.add(.reload) }
}

/// Opens once; whoever waits goes on.
final class Gate: Sendable {
    private struct State {
        var isOpen = false
        var waiting: [CheckedContinuation<Void, Never>] = []
    }
    private let state = Mutex(State())

    func open() {
        let waiting = state.withLock { state in
            state.isOpen = true
            defer { state.waiting = [] }
            return state.waiting
        }
        for continuation in waiting { continuation.resume() }
    }

    func wait() async {
        await withCheckedContinuation { continuation in
            let isOpen = state.withLock { state in
                if !state.isOpen { state.waiting.append(continuation) }
                return state.isOpen
            }
            if isOpen { continuation.resume() }
        }
    }
}

/// Threads for what takes long and waits for nobody: rendering, the history, names of users.
package final class Kitchen: Sendable {
    package static let cooks = 2
    private let inbox = Inbox<@Sendable () -> Void>()

    package init() {
        for _ in 0..<Self.cooks {
            OwnThread.start { [inbox] in
                while true {
                    let (orders, _) = inbox.take(milliseconds: nil)
                    if orders.isEmpty { return }
                    // One for this thread, the others for whoever is free.
                    for order in orders.dropFirst() { inbox.add(order) }
                    orders[0]()
                }
            }
        }
    }

    package func cook(_ order: @escaping @Sendable () -> Void) { inbox.add(order) }

    package func stop() { inbox.close() }
}

/// A thread for what has to be done in order and takes its time: batch scripts are started and signalled on one, which
/// takes as long as the loop needs for all its decisions about the job; files are made and synced on another.
final class InOrder: Sendable {
    private let inbox = Inbox<@Sendable () -> Void>()
    private let ended = Gate()

    init() {
        OwnThread.start { [inbox, ended] in
            while true {
                let (orders, _) = inbox.take(milliseconds: nil)
                for order in orders { order() }
                if orders.isEmpty { break }
            }
            ended.open()
        }
    }

    func add(_ order: @escaping @Sendable () -> Void) { inbox.add(order) }

    /// Returns when everything is done that was added; later orders are dropped.
    func finish() async {
        let done = Gate()
        inbox.add { done.open() }
        await done.wait()
        inbox.close()
        await ended.wait()
    }
}
