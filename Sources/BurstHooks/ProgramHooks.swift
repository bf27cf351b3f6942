package import BurstEngine
import CSys
import Glibc
import Synchronization

/// Runs `dw_wlm_cli` and `dwstat` as Slurm's datawarp plugin does (spec §5.1): no shell, no input, both outputs in one
/// text, a process group of its own that ends with the call. Other than with Slurm signals are not blocked, so that the
/// SIGTERM at the time limit is seen.
package final class ProgramHooks: HookRunner {
    package struct Programs: Hashable, Sendable {
        /// `GetSysState`: a `dw_wlm_cli`.
        package var state: String
        /// `GetSysStatus`: a `dwstat`.
        package var status: String

        package init(state: String, status: String) {
            self.state = state
            self.status = status
        }
    }

    package struct Limits: Hashable, Sendable {
        /// Calls under way at once; more wait in order, and their time limit has not begun.
        package var runningMax = 512
        package var waitingMax = 65_536
        /// Bytes that a call may print.
        package var outputBytesMax = 16 << 20
        /// Between SIGTERM and SIGKILL when the time is over.
        package var graceMilliseconds = 200

        package init() {}
    }

    private struct State {
        var waiting: [HookCall] = []
        /// Nil: it is about to be started.
        var running: [CallID: Int32?] = [:]
        var killed: Set<CallID> = []
        var isStopped = false
        var whenIdle: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())
    private let programs: @Sendable () -> Programs
    private let environment: [String]
    private let standIn: String
    private let limits: Limits
    private let answer: @Sendable (CallID, HookAnswer) -> Void

    /// - Parameters:
    ///   - programs: asked for at each call, since the configuration may change.
    ///   - environment: `NAME=value` each.
    ///   - standIn: the script that a teardown is given where the job's is gone; written when a call names it.
    ///   - answer: takes each call's answer, once, on a thread of ours.
    package init(
        programs: @escaping @Sendable () -> Programs, environment: [String], standIn: String,
        limits: Limits = Limits(), answer: @escaping @Sendable (CallID, HookAnswer) -> Void
    ) {
        self.programs = programs
        self.environment = environment
        self.standIn = standIn
        self.limits = limits
        self.answer = answer
    }

    // MARK: Calls

    package func start(_ call: HookCall) {
        enum Turn { case now, later, refused(HookAnswer.End) }
        let turn: Turn = state.withLock { state in
            if state.isStopped { return .refused(.killed) }
            if state.running.count < limits.runningMax {
                state.running[call.id] = .some(nil)
                return .now
            }
            guard state.waiting.count < limits.waitingMax else {
                return .refused(.broken("\(limits.waitingMax) calls wait already"))
            }
            state.waiting.append(call)
            return .later
        }
        switch turn {
        case .now: begin(call)
        case .later: break
        case .refused(let end): answer(call.id, HookAnswer(end: end))
        }
    }

    private func begin(_ call: HookCall) {
        HookThread.start(takesSignals: false) { [self] in
            answer(call.id, run(call))
            let next: HookCall? = state.withLock { state in
                state.running[call.id] = nil
                state.killed.remove(call.id)
                if !state.waiting.isEmpty {
                    let next = state.waiting.removeFirst()
                    state.running[next.id] = .some(nil)
                    return next
                }
                if state.running.isEmpty {
                    for one in state.whenIdle { one.resume() }
                    state.whenIdle = []
                }
                return nil
            }
            if let next { begin(next) }
        }
    }

    package func kill(_ id: CallID) {
        let dropped = state.withLock { state in
            if let index = state.waiting.firstIndex(where: { $0.id == id }) {
                state.waiting.remove(at: index)
                return true
            }
            guard let process = state.running[id] else { return false }
            state.killed.insert(id)
            // Buried under the same lock: the number is still its own.
            if let process { Glibc.kill(-process, SIGKILL) }
            return false
        }
        if dropped { answer(id, HookAnswer(end: .killed)) }
    }

    package func stop() async {
        let waiting = state.withLock { state in
            state.isStopped = true
            defer { state.waiting = [] }
            for (id, process) in state.running {
                state.killed.insert(id)
                if let process { Glibc.kill(-process, SIGKILL) }
            }
            return state.waiting
        }
        for call in waiting { answer(call.id, HookAnswer(end: .killed)) }
        await withCheckedContinuation { continuation in
            let isIdle = state.withLock { state in
                if state.running.isEmpty { return true }
                state.whenIdle.append(continuation)
                return false
            }
            if isIdle { continuation.resume() }
        }
    }

    // MARK: A process

    /// How often a program that is busy being written is tried, and the time between, milliseconds.
    private static let busyRoundsMax = 50
    private static let busyMilliseconds: Int32 = 20

    private func run(_ call: HookCall) -> HookAnswer {
        let isStatus = call.function == .getStatus
        let path = isStatus ? programs().status : programs().state
        let began = Self.microseconds(CLOCK_REALTIME)
        let start = Self.microseconds(CLOCK_MONOTONIC)
        func ended(_ end: HookAnswer.End, _ pid: Int32? = nil) -> HookAnswer {
            HookAnswer(
                end: end, pid: pid, startedAt: began,
                durationMicroseconds: Self.microseconds(CLOCK_MONOTONIC) - start)
        }
        /// Slurm's words and status (spec §5.1), and what is wrong.
        func refused(_ why: String) -> HookAnswer {
            let key = isStatus ? "GetSysStatus" : "GetSysState"
            return ended(
                .failure(status: 127, message: "Run command failed - configuration error: \(key)=\(path): \(why)"))
        }
        guard path.hasPrefix("/") else { return refused("write the whole path, from / on") }
        guard access(path, R_OK | X_OK) == 0 else { return refused(Self.text(errno)) }
        if call.arguments.contains(standIn), let why = writeStandIn() { return refused(why) }
        let words = [isStatus ? "dwstat" : "dw_wlm_cli"] + call.arguments
        var ends: [Int32] = [0, 0]
        guard bb_pipe(&ends) == 0 else { return refused(Self.text(errno)) }
        _ = fcntl(ends[0], F_SETFL, O_NONBLOCK)
        defer { close(ends[0]) }
        var (error, pid) = spawn(path, words, output: ends[1])
        // Somebody is just writing it, or another child that is not yet through its exec has what we wrote still open.
        for _ in 0..<Self.busyRoundsMax where error == ETXTBSY {
            poll(nil, 0, Self.busyMilliseconds)
            (error, pid) = spawn(path, words, output: ends[1])
        }
        close(ends[1])
        guard error == 0 else { return refused(Self.text(error)) }
        let isDoomed = state.withLock { state in
            state.running[call.id] = pid
            return state.killed.contains(call.id)
        }
        if isDoomed { Glibc.kill(-pid, SIGKILL) }
        let (output, cause) = follow(pid, ends[0], limitSeconds: call.limitSeconds, start: start)
        var status: Int32 = 0
        let wasKilled = state.withLock { state in
            // What it left behind in its group ends with it.
            Glibc.kill(-pid, SIGKILL)
            while waitpid(pid, &status, 0) < 0, errno == EINTR {}
            state.running[call.id] = .some(nil)
            return state.killed.contains(call.id)
        }
        switch cause {
        case .time: return ended(.timedOut, pid)
        case .tooMuch:
            return ended(.broken("\(words[0]) printed more than \(limits.outputBytesMax >> 20) MiB and was ended"), pid)
        case nil: break
        }
        let text = String(decoding: output, as: UTF8.self)
        let signal = status & 0x7f
        if signal == 0 {
            let code = Int(status >> 8 & 0xff)
            return ended(code == 0 ? .success(message: text) : .failure(status: code, message: text), pid)
        }
        return ended(wasKilled ? .killed : .broken("\(words[0]) ended of signal \(signal)"), pid)
    }

    private enum Cause { case time, tooMuch }

    /// Reads what it prints until it has ended: what a process prints that it left behind is not waited for.
    private func follow(
        _ pid: Int32, _ output: Int32, limitSeconds: UInt32?, start: Int64
    ) -> ([UInt8], Cause?) {
        let process = bb_pidfd_open(pid)
        defer { if process >= 0 { close(process) } }
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 1 << 16)
        var isOpen = true
        var cause: Cause?
        let deadline = limitSeconds.map { start + Int64($0) * 1_000_000 }
        /// - Returns: whether more may come.
        func drain() -> Bool {
            while true {
                let count = read(output, &piece, piece.count)
                if count < 0 { if errno == EINTR { continue } else { return errno == EAGAIN } }
                if count == 0 { return false }
                bytes += piece[..<count]
                if bytes.count > limits.outputBytesMax {
                    cause = .tooMuch
                    return false
                }
            }
        }
        func end() {
            Glibc.kill(-pid, SIGTERM)
            var wait = pollfd(fd: process, events: Int16(POLLIN), revents: 0)
            poll(&wait, 1, Int32(limits.graceMilliseconds))
            Glibc.kill(-pid, SIGKILL)
        }
        while true {
            var waits = [
                pollfd(fd: process, events: Int16(POLLIN), revents: 0),
                pollfd(fd: isOpen ? output : -1, events: Int16(POLLIN), revents: 0),
            ]
            let left = deadline.map { max(0, $0 - Self.microseconds(CLOCK_MONOTONIC)) / 1000 }
            // Rounded up, so that nothing turns in a circle before the time is over.
            let ready = poll(&waits, 2, left.map { Int32(clamping: $0 + 1) } ?? -1)
            if ready < 0, errno != EINTR { return (bytes, cause) }
            if waits[1].revents != 0 { isOpen = drain() }
            // Where there is no descriptor of it, the end of its output is its end.
            if process < 0, !isOpen { return (bytes, cause) }
            if cause == .tooMuch {
                end()
                return (bytes, cause)
            }
            if ready > 0, waits[0].revents != 0 {
                _ = isOpen && drain()
                return (bytes, cause)
            }
            if let deadline, Self.microseconds(CLOCK_MONOTONIC) >= deadline {
                end()
                return (bytes, .time)
            }
        }
    }

    private func spawn(_ path: String, _ words: [String], output: Int32) -> (error: Int32, pid: pid_t) {
        var files = posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        posix_spawn_file_actions_init(&files)
        posix_spawnattr_init(&attributes)
        defer {
            posix_spawn_file_actions_destroy(&files)
            posix_spawnattr_destroy(&attributes)
        }
        var signals = sigset_t()
        sigfillset(&signals)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))
        posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&files, output, 1)
        posix_spawn_file_actions_adddup2(&files, output, 2)
        // None of ours: a socket that listens would go on listening when we are gone.
        bb_spawn_closes_from(&files, 3)
        var argv: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        var envp: [UnsafeMutablePointer<CChar>?] = environment.map { strdup($0) } + [nil]
        defer { for word in argv + envp { free(word) } }
        var pid: pid_t = 0
        let error = posix_spawn(&pid, path, &files, &attributes, &argv, &envp)
        return (error, pid)
    }

    /// - Returns: why not.
    private func writeStandIn() -> String? {
        if access(standIn, R_OK) == 0 { return nil }
        let file = open(standIn, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o755)
        guard file >= 0 else { return "\(standIn): \(Self.text(errno))" }
        defer { close(file) }
        let text = Array("#!/bin/bash\nexit 0\n".utf8)
        return write(file, text, text.count) == text.count ? nil : "\(standIn): \(Self.text(errno))"
    }

    private static func text(_ number: Int32) -> String { String(cString: strerror(number)) }

    private static func microseconds(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000
    }
}
