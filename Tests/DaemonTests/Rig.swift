import BurstClient
import BurstEngine
import BurstModel
import BurstTestSupport
import BurstWire
import Glibc
import Synchronization
import Testing

@testable import BurstDaemon

/// Runs the tests of a suite on threads that may wait.
struct OnWorkers: SuiteTrait, TestTrait, TestScoping {
    var isRecursive: Bool { true }

    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        try await withTaskExecutorPreference(Workers.shared) { try await function() }
    }
}

extension Trait where Self == OnWorkers {
    static var onWorkers: Self { Self() }
}

/// A driver and its socket with everything outside played by the test.
final class Rig: Sendable {
    let folder: TemporaryFolder
    let store = MemoryStore()
    let hooks = ScriptedHooks()
    let steps = ScriptedSteps()
    let texts: ScriptedTexts
    let log = Lines()
    let driver: Driver
    let server: SocketServer
    let shutdowns = Count()
    let reader: ScriptedReader

    var socket: String { folder("s/burstd.sock") }
    var state: String { folder("state") }

    init(_ change: (inout EngineSettings) -> Void = { _ in }, texts: ScriptedTexts = ScriptedTexts()) throws {
        folder = try TemporaryFolder(openToOthers: true)
        folder.makeFolder("state")
        self.texts = texts
        var engine = EngineSettings()
        engine.cpus = 8
        engine.stateFolder = folder("state")
        change(&engine)
        let settings = DaemonSettings(engine: engine)
        reader = ScriptedReader(settings)
        let (log, shutdowns) = (log, shutdowns)
        driver = Driver(
            parts: Driver.Parts(
                store: store, hooks: hooks, steps: steps, mailer: NoMail(), texts: texts, reader: reader,
                files: JobFiles(state: folder("state")), clock: .system, log: { log.add($0.text) },
                onShutdown: { shutdowns.add() }, onSettings: { _ in }),
            settings: settings)
        server = SocketServer(path: folder("s/burstd.sock"), driver: driver, program: "burstd test")
    }

    func start() async throws {
        try driver.start()
        try await server.start()
    }

    func stop() async {
        await server.stopListening()
        await driver.stop()
        await server.stop()
    }

    /// Starts, runs the body and stops, also where the body throws.
    func run(_ body: () async throws -> Void) async throws {
        try await start()
        do {
            try await body()
        } catch {
            await stop()
            throw error
        }
        await stop()
    }

    func connect() throws -> BurstConnection {
        try BurstConnection.connect(path: socket, program: "test", milliseconds: Int(Wait.hangSeconds * 1000))
    }

    /// Connects without saying anything.
    func raw() throws -> RawClient { try RawClient(socket) }

    /// Submits a job without burst buffers and gives its number.
    func submit(_ connection: BurstConnection, script: String = "#!/bin/sh\n") throws -> UInt32 {
        let (answer, _) = try connection.ask(
            .submit(BurstWire.Submission(name: "t", workDir: "/")), body: Array(script.utf8))
        guard case .submitted(_, let job, _) = answer else { throw HarnessError("\(answer)") }
        return job
    }
}

/// Bytes on a socket, as no client of ours sends them.
final class RawClient {
    let descriptor: Int32

    init(_ path: String) throws {
        descriptor = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let status = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard status == 0 else { throw HarnessError("connect: errno \(errno)") }
        var limit = timeval(tv_sec: 30, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { close(descriptor) }

    func send(_ bytes: [UInt8]) {
        _ = bytes.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
    }

    func sayHello() throws { send(try Frame.encode(Hello(program: "raw"))) }

    /// All frames up to the end of the connection.
    func framesToTheEnd() throws -> [Frame] {
        var decoder = FrameDecoder()
        var frames: [Frame] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = recv(descriptor, &buffer, buffer.count, 0)
            guard count > 0 else {
                if count < 0, errno != ECONNRESET { throw HarnessError("receive: errno \(errno)") }
                return frames
            }
            decoder.feed(buffer[..<count])
            while let frame = try decoder.next() { frames.append(frame) }
        }
    }
}

/// Keeps records in memory, and can be full.
final class MemoryStore: StateStore {
    private struct State {
        var records: [Record] = []
        var recovered = Engine.Recovered()
        var fault: String?
        var attempts = 0
        var isHeld = false
        var isWaiting = false
    }
    private let state = Mutex(State())

    /// The disk takes its time until it is let go.
    func hold() { state.withLock { $0.isHeld = true } }
    func letGo() { state.withLock { $0.isHeld = false } }
    /// Somebody waits for the disk.
    var isWaiting: Bool { state.withLock { $0.isWaiting } }

    var records: [Record] { state.withLock { $0.records } }
    var attempts: Int { state.withLock { $0.attempts } }
    func fail(_ text: String?) { state.withLock { $0.fault = text } }
    func recovering(_ recovered: Engine.Recovered) { state.withLock { $0.recovered = recovered } }

    func persist(_ records: [Record]) throws(StateFault) {
        while state.withLock({ state in
            state.isWaiting = state.isHeld
            return state.isHeld
        }) { poll(nil, 0, 1) }
        let fault = state.withLock { state in
            state.attempts += 1
            if state.fault == nil { state.records += records }
            return state.fault
        }
        if let fault { throw StateFault(fault) }
    }

    func recover() throws(StateFault) -> Engine.Recovered { state.withLock { $0.recovered } }

    func calls(job: UInt32?, last: Int) throws(StateFault) -> [TracedCall] {
        var calls: [TracedCall] = []
        for record in records {
            if case .callStarted(let start) = record, job == nil || start.jobID == job {
                calls.append(TracedCall(start: start))
            }
            if case .callEnded(let end) = record, let index = calls.firstIndex(where: { $0.start.id == end.id }) {
                calls[index].end = end
            }
        }
        return calls.suffix(last)
    }

    func changes(last: Int) throws(StateFault) -> [StateChange] {
        records.compactMap { if case .change(let change) = $0 { change } else { nil } }.suffix(last)
    }

    func actions(last: Int) throws(StateFault) -> [ActionEntry] {
        records.compactMap { if case .action(let action) = $0 { action } else { nil } }.suffix(last)
    }

    func query(_ sql: String?, json: Bool) throws(StateFault) -> [UInt8] { throw StateFault("no tables in memory") }
    func check() -> [String] { [] }
    func close() {}
}

/// Answers calls as the test says; success where it says nothing.
final class ScriptedHooks: Hooks {
    private struct State {
        var calls: [HookCall] = []
        var answers: [HookFunction: HookAnswer] = [:]
        var held: [HookFunction: [CheckedContinuation<Void, Never>]] = [:]
        var holds: Set<HookFunction> = []
        var wrong: String?
    }
    private let state = Mutex(State())

    var calls: [HookCall] { state.withLock { $0.calls } }
    func count(_ function: HookFunction) -> Int { calls.count { $0.function == function } }
    func answer(_ function: HookFunction, _ answer: HookAnswer) { state.withLock { $0.answers[function] = answer } }
    func wrong(_ text: String?) { state.withLock { $0.wrong = text } }

    /// Calls of it do not answer until they are let go.
    func hold(_ function: HookFunction) { state.withLock { _ = $0.holds.insert(function) } }

    func letGo(_ function: HookFunction) {
        let waiting = state.withLock { state in
            state.holds.remove(function)
            return state.held.removeValue(forKey: function) ?? []
        }
        for continuation in waiting { continuation.resume() }
    }

    func run(_ call: HookCall) async -> HookAnswer {
        await withCheckedContinuation { continuation in
            let isHeld = state.withLock { state in
                state.calls.append(call)
                guard state.holds.contains(call.function) else { return false }
                state.held[call.function, default: []].append(continuation)
                return true
            }
            if !isHeld { continuation.resume() }
        }
        return state.withLock { $0.answers[call.function] } ?? HookAnswer(end: .success(message: nil))
    }

    func kill(_ call: CallID) {}
    func check() async -> String? { state.withLock { $0.wrong } }
    func readPools(_ document: String) -> PoolsReading {
        PoolsReading(pools: [ReportedPool(name: "p", quantity: 100, granularity: 1)])
    }
    func stop() async { for function in HookFunction.allCases { letGo(function) } }
}

/// Starts nothing; scripts end when the test says so.
final class ScriptedSteps: Steps {
    private let orders = Mutex<[ScriptOrder]>([])
    private let stream = AsyncStream<EndedStep>.makeStream()

    var started: [ScriptOrder] { orders.withLock { $0 } }
    var endings: AsyncStream<EndedStep> { stream.stream }

    func end(_ job: UInt32, status: UInt32 = 0) {
        stream.continuation.yield(
            EndedStep(job: job, result: .ended(status: status, at: DaemonClock.system.now())))
    }

    func start(_ order: ScriptOrder) throws(StateFault) { orders.withLock { $0.append(order) } }
    func control(_ job: UInt32, _ control: StepControl, notice: String?) {}
    func adopt(_ job: UInt32, folder: String) -> AdoptedStep { .running }
    func stop() { stream.continuation.finish() }
}

/// Texts of a size that the test chooses; they change with each version.
struct ScriptedTexts: Texts {
    var bytes = 16
    let shown = Count()

    func show(_ show: Show, _ view: EngineView) throws(Refusal) -> [UInt8] {
        shown.add()
        var text = Array("jobs \(view.engine.jobs.count)\n".utf8)
        if text.count < bytes { text += Array(repeating: UInt8(ascii: "x"), count: bytes - text.count) }
        return text
    }
}

struct NoMail: Mailer {
    func send(_ mail: Mail) {}
    func stop() async {}
}

/// Gives the settings that the test says, or its refusal.
final class ScriptedReader: SettingsReader {
    private let result: Mutex<Result<DaemonSettings, StateFault>>

    init(_ settings: DaemonSettings) { result = Mutex(.success(settings)) }

    func set(_ value: Result<DaemonSettings, StateFault>) { result.withLock { $0 = value } }
    func read() throws(StateFault) -> DaemonSettings { try result.withLock { $0 }.get() }
}

final class Count: Sendable {
    private let store = Atomic<Int>(0)
    var value: Int { store.load(ordering: .acquiring) }
    func add() { store.wrappingAdd(1, ordering: .acquiringAndReleasing) }
}

final class Lines: Sendable {
    private let store = Mutex<[String]>([])
    var all: [String] { store.withLock { $0 } }
    func add(_ line: String) { store.withLock { $0.append(line) } }
}

/// A client in process, who is whom the test says.
final class InnerClient: Client {
    let number: UInt64
    let caller: Caller
    private let messages = Mutex<[(Answer, [UInt8])]>([])

    init(_ number: UInt64, uid: UInt32, isOperator: Bool = false) {
        self.number = number
        caller = Caller(uid: uid, gid: uid, userName: "u\(uid)", isOperator: isOperator)
    }

    func answer(_ answer: Answer, body: [UInt8]) { messages.withLock { $0.append((answer, body)) } }
    func tell(_ answer: Answer, body: [UInt8], onSent: (@Sendable () -> Void)?) {
        messages.withLock { $0.append((answer, body)) }
        onSent?()
    }

    var all: [(Answer, [UInt8])] { messages.withLock { $0 } }

    /// Asks the driver and waits for the answer.
    func ask(_ ask: Question.Ask, body: [UInt8] = [], of driver: Driver) async -> (Answer, [UInt8])? {
        let before = all.count
        let owner = ClientQuestion.Owner(
            user: People.User(uid: caller.uid, gid: caller.gid, name: caller.userName), groupName: "g")
        _ = driver.ask(
            ClientQuestion(client: self, id: 1, ask: ask, body: body, caller: caller, owner: owner))
        _ = await eventually { all.count > before }
        return all.dropFirst(before).first
    }
}
