import BurstClient
import BurstModel
import BurstWire
import Glibc
import Synchronization

/// A connection to `burstd` that is made anew whenever it is lost, on a thread of its own, and what came over it.
///
/// What nobody has taken yet is kept within limits: of the texts the newest, of the calls the last ones; answers are as
/// many as were asked for.
final class EngineLine: Sendable {
    /// Milliseconds before the first try to connect again, and between two tries at most.
    static let backOffMin: Int64 = 250
    static let backOffMax: Int64 = 10_000

    enum Event: Sendable {
        /// A new connection; questions of an earlier one have no answer any more.
        case connected(Int)
        case message(BurstConnection.Message, at: Timestamp)
        /// It ended, or could not be made.
        case lost(String, startedAt: Timestamp, at: Timestamp, retryAt: Timestamp)
    }

    private struct State {
        var connection: BurstConnection?
        var generation = 0
        var events: [Event] = []
        var isStopped = false
        var isStarted = false
        /// Why the connection was given up from this side.
        var reason: String?
    }

    private let path: String
    private let program: String
    private let clock: SourceClock
    private let backOffMax: Int64
    private let state = Mutex(State())
    /// A pipe: a byte in it ends a pause.
    private let wakeReader: Int32
    private let wakeWriter: Int32

    /// - Parameter backOffMax: milliseconds between two tries at most.
    init(path: String, program: String, clock: SourceClock, backOffMax: Int64 = EngineLine.backOffMax) {
        self.backOffMax = backOffMax
        self.path = path
        self.program = program
        self.clock = clock
        var ends: [Int32] = [-1, -1]
        precondition(pipe(&ends) == 0, "no file descriptor is left")
        for end in ends {
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
        }
        (wakeReader, wakeWriter) = (ends[0], ends[1])
    }

    deinit {
        close(wakeReader)
        close(wakeWriter)
    }

    /// Begins, once.
    /// - Parameter onNews: called on the line's thread when there is something to take.
    func start(onNews: @escaping @Sendable () -> Void) {
        let isFirst = state.withLock { state in
            defer { state.isStarted = true }
            return !state.isStarted && !state.isStopped
        }
        guard isFirst else { return }
        let work = Unmanaged.passRetained(Work { [self] in run(onNews) })
        var thread = pthread_t()
        let status = pthread_create(
            &thread, nil,
            { pointer in
                Unmanaged<Work>.fromOpaque(pointer!).takeRetainedValue().body()
                return nil
            }, work.toOpaque())
        precondition(status == 0, "the system gives no thread: error \(status)")
        pthread_detach(thread)
    }

    private final class Work {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    func stop() {
        let connection = state.withLock { state in
            state.isStopped = true
            return state.connection
        }
        connection?.close()
        hurry()
    }

    /// Ends a pause between two tries.
    func hurry() {
        var byte: UInt8 = 1
        _ = write(wakeWriter, &byte, 1)
    }

    /// Gives a connection up that no longer answers.
    func drop(_ reason: String, generation: Int) {
        let connection = state.withLock { state -> BurstConnection? in
            guard state.generation == generation else { return nil }
            state.reason = reason
            return state.connection
        }
        connection?.close()
    }

    /// Sends a question; nil where that connection is no more. A question is small and few are under way
    /// (`EngineLoop.askedMax`), so the socket always has room and nothing waits here.
    func send(_ ask: Question.Ask, generation: Int) -> UInt64? {
        let connection = state.withLock { $0.generation == generation ? $0.connection : nil }
        // Where it fails the reading thread finds out, too.
        return connection.flatMap { try? $0.send(ask) }
    }

    /// What came since the last time, in order.
    func take() -> [Event] {
        state.withLock { state in
            defer { state.events = [] }
            return state.events
        }
    }

    // MARK: The thread

    private func run(_ onNews: @escaping @Sendable () -> Void) {
        var pause = Self.backOffMin
        while !state.withLock({ $0.isStopped }) {
            let startedAt = clock.now()
            var why: String
            do throws(ClientError) {
                let connection = try BurstConnection.connect(path: path, program: program)
                let generation = state.withLock { state in
                    state.generation += 1
                    state.connection = connection
                    state.reason = nil
                    state.events.append(.connected(state.generation))
                    return state.isStopped ? -1 : state.generation
                }
                guard generation > 0 else { return }
                onNews()
                while true {
                    let message = try connection.next()
                    // One that is refused at once must not be tried four times a second.
                    if case .push = message.answer { pause = Self.backOffMin }
                    add(message)
                    onNews()
                }
            } catch {
                why = error.description
            }
            let retry = pause
            let isOver = state.withLock { state in
                why = state.reason ?? why
                state.connection = nil
                state.reason = nil
                let now = clock.now()
                state.events.append(
                    .lost(why, startedAt: startedAt, at: now, retryAt: now.adding(milliseconds: retry)))
                return state.isStopped
            }
            if isOver { return }
            onNews()
            sleep(milliseconds: retry)
            pause = min(backOffMax, pause * 2)
        }
    }

    private func sleep(milliseconds: Int64) {
        var entry = pollfd(fd: wakeReader, events: Int16(POLLIN), revents: 0)
        guard poll(&entry, 1, Int32(clamping: milliseconds)) > 0 else { return }
        var bytes = [UInt8](repeating: 0, count: 64)
        while read(wakeReader, &bytes, bytes.count) > 0 {}
    }

    private func add(_ message: BurstConnection.Message) {
        let at = clock.now()
        state.withLock { state in
            if case .push(let push) = message.answer {
                let kind = Self.kind(push)
                let same = state.events.indices.filter { index in
                    guard case .message(let other, _) = state.events[index], case .push(let push) = other.answer else {
                        return false
                    }
                    return Self.kind(push) == kind
                }
                let limit = kind == .call ? Delivery.callsMax : 1
                if same.count >= limit, let oldest = same.first { state.events.remove(at: oldest) }
            } else if case .progress = message.answer {
                return
            }
            state.events.append(.message(message, at: at))
        }
    }

    private enum Kind { case burst, queue, extras, call, staging }

    private static func kind(_ push: Push) -> Kind {
        switch push {
        case .burst: .burst
        case .queue: .queue
        case .extras: .extras
        case .call: .call
        case .staging: .staging
        }
    }
}
