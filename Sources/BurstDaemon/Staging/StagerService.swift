package import BurstEngine
package import BurstModel
import BurstPools
import BurstSources
import BurstStager
package import BurstWire
import CSys
internal import Synchronization

/// The stager within a daemon: its loop, its pools, its copies. `dw_wlm_cli`, `dwstat` and `burst` ask it over the
/// socket (staging.md §4.1).
package final class StagerService: Sendable {
    /// What a service is made from.
    package struct Options: Sendable {
        /// Of burst.toml.
        package var pools: [PoolSettings]
        /// The state folder.
        package var state: String
        /// Beside it lie the files for those who do not ask over it.
        package var socket: String
        package var host: String
        /// burst-stage.
        package var program: String

        package init(pools: [PoolSettings], state: String, socket: String, host: String, program: String) {
            self.pools = pools
            self.state = state
            self.socket = socket
            self.host = host
            self.program = program
        }
    }

    /// What the loop works with.
    struct Parts: Sendable {
        var store: any StagerStore
        var files: StagerFiles
        var clock: DaemonClock
        var log: @Sendable (HookLogLine) -> Void
        /// Where files are rendered.
        var kitchen: Kitchen
        /// Questions that had no room may be asked again.
        var onRoom: @Sendable () -> Void
        /// The files beside the socket were written, as far as they could be.
        var onFiles: @Sendable () -> Void
        /// Something can be seen that could not be seen before.
        var onChange: @Sendable () -> Void
    }

    /// What others look at while the loop goes on.
    private final class Signs: Sendable {
        let version = Atomic<UInt64>(1)
        /// Questions that are being read, and whether one had to wait for room.
        let reading = Atomic<Int>(0)
        let isWaiting = Atomic<Bool>(false)
        let onRoom = Mutex<(@Sendable () -> Void)?>(nil)
    }

    private let parts: Parts
    private let signs = Signs()
    private let inbox = Inbox<StagerInput>()
    private let storage: BufferStorage
    private let workers: CopyWorkers
    private let lanes = Lanes<SessionID>(threadsMax: StagingLimits.storageThreads)
    private let removals = Lanes<SessionID>(threadsMax: StagingLimits.removalThreads, isBackground: true)
    private let kitchen = Kitchen()
    /// Pools are opened, looked at and mended on one thread, in order.
    private let keeper = Inbox<[PoolSettings]?>()
    private let keeperEnded = Gate()
    private let settings: StagerSettings
    private let pools: [PoolSettings]
    private let ended = Gate()
    private let hasFiles = Gate()
    private let hasLoop = Atomic<Bool>(false)

    package init(
        _ options: Options, store: any StagerStore, clock: DaemonClock,
        log: @escaping @Sendable (HookLogLine) -> Void
    ) throws(StateFault) {
        var settings = StagerSettings()
        settings.mountFolder = options.state + "/mnt"
        settings.host = StagerName.isValid(options.host) ? options.host : "localhost"
        self.settings = settings
        pools = options.pools
        // Jobs find their buffers by names below it, and users their reports.
        try Folders.make(options.state, mode: 0o711)
        try Folders.letPass(options.state)
        try Folders.make(settings.mountFolder, mode: 0o711)
        storage = BufferStorage(
            mountFolder: settings.mountFolder, host: settings.host, clock: clock, log: { log(Self.line($0)) })
        workers = try CopyWorkers(
            program: options.program, storage: storage, folder: options.state + "/stager", clock: clock,
            tell: { [inbox] in inbox.add(.event($0)) }, log: { log(Self.line($0)) })
        parts = Parts(
            store: store, files: try StagerFiles(socket: options.socket, zone: .system), clock: clock, log: log,
            kitchen: kitchen,
            onRoom: { [signs] in signs.onRoom.withLock { $0 }?() },
            onFiles: { [hasFiles] in hasFiles.open() },
            onChange: { [signs] in _ = signs.version.wrappingAdd(1, ordering: .releasing) })
    }

    static func line(_ line: StagerLogLine) -> HookLogLine {
        let level: HookLogLine.Level =
            switch line.level {
            case .error: .error
            case .notice: .info
            case .debug: .debug
            }
        let token = line.token.map { "token \($0): " } ?? ""
        return HookLogLine(level, "stager: \(token)\(line.text)")
    }

    // MARK: Life

    /// Recovers what the store kept, and begins. Returns when the stager is in charge; pools that are slow to open
    /// have been waited for, and who reads `pools` beside the socket finds them: burst_buffer/lua asks once, and takes
    /// no job where it got no answer.
    package func start() async throws(StateFault) {
        let recovered = try parts.store.recoverStager()
        if bb_landlock_version() < 2 {
            parts.log(HookLogLine(.debug, "stager: no Landlock here: only their user's rights bind copies"))
        }
        workers.endLeftovers()
        for token in parts.files.tokensWithPaths where !recovered.sessions.contains(where: { $0.token == token }) {
            parts.files.removePaths(token)
        }
        let opened = storage.configure(pools, known: recovered.pools)
        inbox.add(.event(.pools(opened)))
        for (pool, why) in storage.lost() { inbox.add(.event(.contentsLost(pool: pool, why: why))) }
        // Workers of an earlier life were ended: their journals are gone on with.
        inbox.add(.event(.started(workers: [:])))
        hasLoop.store(true, ordering: .releasing)
        let box = Mutex<Stager?>(Stager(settings: settings, recovered: recovered))
        OwnThread.start { [self] in
            let loop = StagerLoop(
                parts, inbox: inbox, storage: storage, workers: workers, lanes: lanes, removals: removals,
                stager: box.withLock { $0.take() }!)
            loop.run()
            ended.open()
        }
        OwnThread.start { [self] in
            keep()
            keeperEnded.open()
        }
        await hasFiles.wait()
    }

    /// Pools that could not be opened are tried again; what leaks is told and mended.
    private func keep() {
        while true {
            let (changes, _) = keeper.take(milliseconds: Int64(StagingLimits.lookSeconds) * 1000)
            for change in changes {
                guard let change else { return }
                let counted = look()?.pools.map(\.pool) ?? []
                inbox.add(.event(.pools(storage.configure(change, known: counted))))
            }
            for (pool, state) in storage.look() { inbox.add(.event(.poolState(pool, state))) }
            if let snapshot = look() { storage.reconcile(snapshot.sessions, snapshot.quarantine) }
        }
    }

    /// The values as they are; none where the loop has ended. Never on the loop itself.
    private func look() -> StagerSnapshot? {
        let answer = Inbox<StagerSnapshot>()
        inbox.add(.look { answer.add($0.snapshot(at: $1)) })
        return answer.take(milliseconds: StagingLimits.answerMilliseconds).items.first
    }

    /// Ends in order: copies are ended and go on from their journals in the next life; what is known is kept.
    package func stop() async {
        keeper.add(nil)
        if hasLoop.load(ordering: .acquiring) {
            await keeperEnded.wait()
            inbox.add(.stop)
            await ended.wait()
        }
        await Task.detached { [workers] in workers.stop() }.value
        await lanes.close()
        await removals.close()
        kitchen.stop()
        storage.close()
    }

    /// burst.toml was read anew.
    package func configure(_ pools: [PoolSettings]) { keeper.add(pools) }

    // MARK: Clients

    /// Whether a question is for the stager.
    package static func takes(_ ask: Question.Ask) -> Bool {
        switch ask {
        case .stage, .stageOrder, .list(.staging): true
        default: false
        }
    }

    package func whenRoom(_ call: @escaping @Sendable () -> Void) { signs.onRoom.withLock { $0 = call } }

    /// A question; false where there is no room now: `whenRoom` is called when there is.
    package func ask(_ question: ClientQuestion) -> Bool {
        switch question.ask {
        case .stage(let call):
            guard question.body.count <= StagingLimits.scriptBytesMax else {
                question.client.refuse(
                    question.id,
                    "a script of \(question.body.count) bytes is too large: "
                        + "at most \(StagingLimits.scriptBytesMax) are read")
                return true
            }
            return read(question) { StageCalls.read(call, script: question.body) }
        case .stageOrder(let order): return read(question) { StageCalls.read(order) }
        case .list(.staging):
            render(question.caller) { question.client.answer(.body(question.id), body: $0) }
        default: question.client.refuse(question.id, "this is no question for the stager")
        }
        return true
    }

    private func read(
        _ question: ClientQuestion, _ read: @escaping @Sendable () -> StageCalls.Order
    ) -> Bool {
        guard signs.reading.load(ordering: .relaxed) < StagingLimits.readingMax else {
            signs.isWaiting.store(true, ordering: .releasing)
            return false
        }
        signs.reading.wrappingAdd(1, ordering: .relaxed)
        kitchen.cook { [self] in
            carryOut(read(), question)
            signs.reading.wrappingSubtract(1, ordering: .relaxed)
            if signs.isWaiting.exchange(false, ordering: .acquiring) { signs.onRoom.withLock { $0 }?() }
        }
        return true
    }

    private func carryOut(_ order: StageCalls.Order, _ question: ClientQuestion) {
        let (client, id, caller) = (question.client, question.id, question.caller)
        switch order {
        case .text(let answer):
            client.answer(.staged(id, status: answer.status, lines: []), body: StagerLoop.body(answer))
        case .verb(let verb, let isWaiting):
            let asker = StagerAsker(client: client, question: id, caller: caller, isWaiting: isWaiting)
            inbox.add(.verb(verb, asker))
        case .document(let document):
            guard document == .pools || caller.isOperator else {
                let answer = StagerAnswer.failed("permission denied: \(document.rawValue) is for SlurmUser and root")
                return client.answer(.staged(id, status: answer.status, lines: []), body: StagerLoop.body(answer))
            }
            see(withSessions: document != .pools) {
                client.answer(.staged(id, status: 0, lines: []), body: document.bytes($0))
            }
        case .dwstat(let dwstat):
            // Slurm asks as SlurmUser for whoever wants to know, so that an operator is nobody in tables.
            let viewer = Self.viewer(caller)
            see {
                client.answer(
                    .staged(id, status: 0, lines: []), body: dwstat.answer($0, viewer: viewer, zone: .system))
            }
        }
    }

    private static func viewer(_ caller: Caller) -> Dwstat.Viewer {
        caller.isOperator ? .nobody : .user(caller.uid)
    }

    /// Takes the values on the loop, and makes something of them elsewhere.
    private func see(withSessions: Bool = true, _ take: @escaping @Sendable (StagerSnapshot) -> Void) {
        inbox.add(
            .look { [kitchen] stager, at in
                kitchen.cook { take(stager.snapshot(at: at, withSessions: withSessions)) }
            })
    }

    /// What `List.staging` has for whoever looks.
    func render(_ caller: Caller, _ take: @escaping @Sendable ([UInt8]) -> Void) {
        var dwstat = Dwstat(selection: .tables([.pools, .sessions]))
        dwstat.isJSON = true
        let viewer: Dwstat.Viewer = caller.isOperator ? .operator : .user(caller.uid)
        let wanted = dwstat
        see { take(wanted.answer($0, viewer: viewer, zone: .system)) }
    }

    /// Grows with each change that can be seen.
    var version: UInt64 { signs.version.load(ordering: .acquiring) }

    package func gone(_ client: UInt64) { inbox.add(.gone(client), behindQuestions: true) }

    /// A line for each thing that is wrong, for `burst fsck`. Waits for the disk.
    package func check() -> [String] {
        guard let snapshot = look() else { return [] }
        return storage.leaks(snapshot.sessions, snapshot.quarantine).map { "pool \($0.pool.settings.name): \($0.leak)" }
    }
}
