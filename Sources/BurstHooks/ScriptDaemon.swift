import BurstEngine
import CLuaGlue
import CSys
import Glibc
import Synchronization

/// burst-scriptd seen from here: started, spoken to over its socket by one thread of our own, and started again where
/// it dies. Calls that it had then are answered as broken; those that still waited here go to the next one.
final class ScriptDaemon: Sendable {
    private struct State {
        var waiting: [(id: CallID, frame: [UInt8])] = []
        var waitingFirst = 0
        var kills: [CallID] = []
        /// Handed to the burst-scriptd that runs and not answered.
        var sent: Set<CallID> = []
        var isStopping = false
        var hasEnded = false
        var atEnd: [CheckedContinuation<Void, Never>] = []
        /// Why calls are refused, and until when.
        var refusal: (why: String, until: ContinuousClock.Instant)?
        var pid: Int32?

        var waitingCount: Int { waiting.count - waitingFirst }
    }

    private let path: String
    private let script: String
    private let cluster: String
    private let limits: HookLimits
    /// Where the name of the burst-scriptd that runs is kept for the next life of this program.
    private let record: String?
    private let log: @Sendable (HookLogLine) -> Void
    private let answer: @Sendable (CallID, HookAnswer) -> Void
    private let state = Mutex(State())
    /// An eventfd: something is new in `state`.
    private let news: CInt

    /// Bytes handed over before what was handed over is read.
    private static let unreadMax = 1 << 20

    init(
        path: String, script: String, cluster: String, limits: HookLimits, record: String? = nil,
        log: @escaping @Sendable (HookLogLine) -> Void, answer: @escaping @Sendable (CallID, HookAnswer) -> Void
    ) {
        self.path = path
        self.script = script
        self.cluster = cluster
        self.limits = limits
        self.record = record
        self.log = log
        self.answer = answer
        news = bb_eventfd()
        precondition(news >= 0, "no eventfd: errno \(errno)")
        HookThread.start(takesSignals: false) { self.run() }
    }

    deinit { close(news) }

    /// The process that runs, for tests.
    var pid: Int32? { state.withLock { $0.pid } }

    func start(_ call: HookCall) {
        let frame = HookFrame.call(call, script: script, cluster: cluster, memoryMax: UInt64(limits.childMemoryBytes))
        guard frame.count <= HookFrame.bytesMax else {
            answer(call.id, .now(.broken(HookLimits.tooLong(frame.count))))
            return
        }
        let refused: HookAnswer.End? = state.withLock { state in
            if state.isStopping { return .killed }
            if let refusal = state.refusal {
                if ContinuousClock.now < refusal.until { return .broken(refusal.why) }
                state.refusal = nil
            }
            if state.waitingCount + state.sent.count >= limits.waitingMax {
                return .broken("\(limits.waitingMax) calls wait already")
            }
            state.waiting.append((call.id, frame))
            return nil
        }
        if let refused { answer(call.id, .now(refused)) } else { tell() }
    }

    func kill(_ id: CallID) {
        let wasWaiting = state.withLock { state in
            if let index = state.waiting[state.waitingFirst...].firstIndex(where: { $0.id == id }) {
                state.waiting.remove(at: index)
                return true
            }
            if state.sent.contains(id) { state.kills.append(id) }
            return false
        }
        if wasWaiting { answer(id, .now(.killed)) } else { tell() }
    }

    func stop() async {
        state.withLock { $0.isStopping = true }
        tell()
        await withCheckedContinuation { continuation in
            let hasEnded = state.withLock { state in
                if !state.hasEnded { state.atEnd.append(continuation) }
                return state.hasEnded
            }
            if hasEnded { continuation.resume() }
        }
    }

    private func tell() {
        var one: UInt64 = 1
        write(news, &one, 8)
    }

    // MARK: The thread

    /// How a burst-scriptd came to its end.
    private enum Ending {
        case stopped
        case died(answered: Bool)
        case notStarted(String)
    }

    private func run() {
        endEarlier()
        var deaths = 0
        while true {
            let ending = runOnce()
            switch ending {
            case .stopped:
                let (left, continuations) = state.withLock { state in
                    defer {
                        state.waiting = []
                        state.waitingFirst = 0
                        state.atEnd = []
                    }
                    state.hasEnded = true
                    return (state.waiting[state.waitingFirst...].map(\.id), state.atEnd)
                }
                for id in left { answer(id, .now(.killed)) }
                for continuation in continuations { continuation.resume() }
                return
            case .died(let answered):
                deaths = answered ? 1 : deaths + 1
                fail("burst-scriptd died", deaths: &deaths)
            case .notStarted(let why):
                deaths += 1
                fail("burst-scriptd could not be started: \(why)", deaths: &deaths)
            }
        }
    }

    /// Pauses before the next start, or refuses calls where that has been tried often enough.
    private func fail(_ why: String, deaths: inout Int) {
        guard deaths <= limits.restartsMax else {
            log(HookLogLine(.error, "\(why); calls are refused for \(limits.refusalSeconds) s"))
            let left = state.withLock { state in
                state.refusal = (why, .now + .seconds(limits.refusalSeconds))
                defer {
                    state.waiting = []
                    state.waitingFirst = 0
                }
                return state.waiting[state.waitingFirst...].map(\.id)
            }
            for id in left { answer(id, .now(.broken(why))) }
            deaths = 0
            // The next call that is taken, after the refusal, wakes this thread.
            wait(seconds: nil) { $0.isStopping || $0.waitingCount > 0 }
            return
        }
        var pause = limits.firstPauseSeconds
        for _ in 1..<max(deaths, 1) { pause = min(pause * 2, limits.pauseSecondsMax) }
        log(HookLogLine(.error, "\(why); it is started again in \(pause) s"))
        wait(seconds: pause) { $0.isStopping }
    }

    private func wait(seconds: Double?, until isOver: (borrowing State) -> Bool) {
        let deadline = seconds.map { ContinuousClock.now + .seconds($0) }
        while !state.withLock({ isOver($0) }) {
            var timeout: CInt = -1
            if let deadline {
                let left = (deadline - ContinuousClock.now) / .milliseconds(1)
                if left <= 0 { return }
                timeout = CInt(left.rounded(.up))
            }
            var entry = pollfd(fd: news, events: Int16(POLLIN), revents: 0)
            poll(&entry, 1, timeout)
            takeNews()
        }
    }

    private func takeNews() {
        var count: UInt64 = 0
        _ = read(news, &count, 8)
    }

    /// From the start of a burst-scriptd to its end.
    private func runOnce() -> Ending {
        if state.withLock({ $0.isStopping }) { return .stopped }
        let instance = Self.newInstance()
        keep(instance)
        var pid: Int32 = 0
        let socket = bb_scriptd_start(path, instance, limits.childIdleMilliseconds, &pid)
        guard socket >= 0 else { return .notStarted("\(path): \(String(cString: strerror(errno)))") }
        state.withLock { $0.pid = pid }
        var answered = false
        var stopped = false
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        var incoming: [UInt8] = []
        var outgoing: [UInt8] = []
        var sentBytes = 0
        loop: while true {
            stopped = collect(into: &outgoing, sentBytes: &sentBytes)
            if stopped { break }
            while sentBytes < outgoing.count {
                let count = outgoing.withUnsafeBytes {
                    send(socket, $0.baseAddress! + sentBytes, $0.count - sentBytes, CInt(MSG_NOSIGNAL))
                }
                if count < 0, errno == EINTR { continue }
                if count < 0, errno == EAGAIN { break }
                if count <= 0 { break loop }
                sentBytes += count
            }
            let wantsWrite = sentBytes < outgoing.count ? Int16(POLLOUT) : 0
            var entries = [
                pollfd(fd: socket, events: Int16(POLLIN) | wantsWrite, revents: 0),
                pollfd(fd: news, events: Int16(POLLIN), revents: 0),
            ]
            poll(&entries, 2, -1)
            if entries[1].revents != 0 { takeNews() }
            guard entries[0].revents & ~Int16(POLLOUT) != 0 else { continue }
            guard receive(socket, &buffer, into: &incoming) else { break }
            let taken = take(&incoming)
            answered = answered || taken.answered
            if taken.isDamaged {
                log(HookLogLine(.error, "burst-scriptd sent what is no answer"))
                break
            }
        }
        close(socket)
        end(pid, instance)
        let lost = state.withLock { state in
            state.pid = nil
            state.kills = []
            defer { state.sent = [] }
            return state.sent.sorted()
        }
        for id in lost { answer(id, .now(stopped ? .killed : .broken("burst-scriptd died"))) }
        return stopped ? .stopped : .died(answered: answered)
    }

    /// Moves what is new to the bytes to send. True where this is the end.
    private func collect(into outgoing: inout [UInt8], sentBytes: inout Int) -> Bool {
        if sentBytes > 0 {
            outgoing.removeFirst(sentBytes)
            sentBytes = 0
        }
        return state.withLock { state in
            while state.waitingFirst < state.waiting.count, outgoing.count < Self.unreadMax {
                let next = state.waiting[state.waitingFirst]
                state.waiting[state.waitingFirst].frame = []
                state.waitingFirst += 1
                outgoing += next.frame
                state.sent.insert(next.id)
            }
            if state.waitingFirst * 2 > state.waiting.count {
                state.waiting.removeFirst(state.waitingFirst)
                state.waitingFirst = 0
            }
            // Behind the calls, so that none is named before it is known.
            for id in state.kills { outgoing += HookFrame.kill(id) }
            state.kills = []
            return state.isStopping
        }
    }

    /// False at the end of the connection.
    private func receive(_ socket: CInt, _ buffer: inout [UInt8], into incoming: inout [UInt8]) -> Bool {
        let count = buffer.withUnsafeMutableBytes { recv(socket, $0.baseAddress, $0.count, 0) }
        incoming += buffer[..<max(count, 0)]
        return count > 0 || (count < 0 && (errno == EAGAIN || errno == EINTR))
    }

    private func take(_ incoming: inout [UInt8]) -> (answered: Bool, isDamaged: Bool) {
        var start = 0
        var answers: [(id: CallID, answer: HookAnswer)] = []
        var isDamaged = false
        do throws(HookFrame.Damage) {
            while let next = try HookFrame.takeAnswer(from: incoming, at: &start) { answers.append(next) }
        } catch {
            isDamaged = true
        }
        incoming.removeFirst(start)
        let known = state.withLock { state in answers.filter { state.sent.remove($0.id) != nil } }
        for (id, result) in known { answer(id, result) }
        return (!known.isEmpty, isDamaged)
    }

    /// Waits for the process, which ends when its socket is closed, and ends what it leaves.
    private func end(_ pid: Int32, _ instance: String) {
        let handle = bb_pidfd_open(pid)
        if handle >= 0 {
            var entry = pollfd(fd: handle, events: Int16(POLLIN), revents: 0)
            poll(&entry, 1, CInt(limits.stopSeconds * 1000))
            close(handle)
        }
        var status: CInt = 0
        if waitpid(pid, &status, WNOHANG) == 0 {
            Glibc.kill(pid, SIGKILL)
            while waitpid(pid, &status, 0) < 0, errno == EINTR {}
        }
        let swept = bb_scriptd_sweep(instance)
        if swept > 0 { log(HookLogLine(.error, "burst-scriptd left \(swept) processes, which were ended")) }
    }

    /// Ends what an earlier life left where it and its burst-scriptd were both killed: no call is made beside its
    /// calls.
    private func endEarlier() {
        guard let record else { return }
        let file = open(record, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard file >= 0 else { return }
        defer { Glibc.close(file) }
        var bytes = [UInt8](repeating: 0, count: Int(BB_INSTANCE_DIGITS))
        guard read(file, &bytes, bytes.count) == bytes.count, let instance = String(validating: bytes, as: UTF8.self),
            instance.allSatisfy(\.isHexDigit)
        else { return }
        let swept = bb_scriptd_sweep(instance)
        if swept > 0 { log(HookLogLine(.error, "\(swept) processes of hooks were left by an earlier life and ended")) }
    }

    /// Before it starts anything. Without the file all else goes on: an earlier life's processes stay at worst.
    private func keep(_ instance: String) {
        guard let record else { return }
        let file = open(record, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
        let text = Array(instance.utf8)
        if file < 0 || write(file, text, text.count) != text.count {
            log(HookLogLine(.error, "\(record): \(String(cString: strerror(errno)))"))
        }
        if file >= 0 { Glibc.close(file) }
    }

    private static func newInstance() -> String {
        let digits = String(UInt64.random(in: 0...UInt64.max), radix: 16)
        return String(repeating: "0", count: Int(BB_INSTANCE_DIGITS) - digits.count) + digits
    }
}
