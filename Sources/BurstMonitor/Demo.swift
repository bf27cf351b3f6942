internal import BurstModel
internal import BurstSources
internal import CSys
internal import Glibc
internal import Synchronization

/// A `burstd` of its own for `--demo`, with everything it needs in a temporary folder. A keeper (`DemoKeeper`), started
/// here, makes and ends it; the keeper ends when this process does, however that comes about.
final class DemoSource: BoardSource {
    /// Seconds in which the demo must be there, and in which it must have been cleared away.
    static let startSeconds = 20
    static let endSeconds = 10

    /// Where the demo's burstd listens.
    let socket: String
    private let source: EngineSource
    private let keeper: pid_t
    /// Closed, it tells the keeper to end.
    private let lifeline: Mutex<Int32?>

    /// - Throws: one line.
    init(
        resources: String, burstd: String, script: String, makeSource: (_ socket: String) throws -> EngineSource
    ) throws {
        var life: [Int32] = [-1, -1]
        var answer: [Int32] = [-1, -1]
        guard bb_pipe(&life) == 0, bb_pipe(&answer) == 0 else {
            throw Refusal("--demo: pipe: \(String(cString: strerror(errno)))", code: 1)
        }
        let child = try Self.spawn(
            ["burstmon", MonitorProgram.keeperOption, resources, burstd, script], program: "/proc/self/exe",
            input: life[0], output: answer[1])
        close(life[0])
        close(answer[1])
        defer { close(answer[0]) }
        guard let line = Self.line(from: answer[0], seconds: Self.startSeconds) else {
            close(life[1])
            Self.wait(for: child)
            throw Refusal("--demo: burstd did not start within \(Self.startSeconds) s", code: 1)
        }
        guard line.hasPrefix("ready ") else {
            close(life[1])
            Self.wait(for: child)
            throw Refusal("--demo: \(line)", code: 1)
        }
        socket = String(line.dropFirst("ready ".count))
        keeper = child
        lifeline = Mutex(life[1])
        do {
            source = try makeSource(socket)
        } catch {
            close(life[1])
            Self.wait(for: child)
            throw error
        }
    }

    deinit { end() }

    func start() { source.start() }
    func send(_ request: CollectorRequest) { source.send(request) }
    func latest() -> Delivery { source.latest() }

    func stop() async {
        await source.stop()
        end()
    }

    func oneShot() async -> Delivery {
        let delivery = await source.oneShot()
        end()
        return delivery
    }

    private func end() {
        let descriptor = lifeline.withLock { lifeline in
            defer { lifeline = nil }
            return lifeline
        }
        guard let descriptor else { return }
        close(descriptor)
        Self.wait(for: keeper)
    }

    /// Until it has ended, but not for ever: it goes on clearing away alone.
    private static func wait(for child: pid_t) {
        let descriptor = bb_pidfd_open(child)
        guard descriptor >= 0 else { return }
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        while poll(&entry, 1, Int32(endSeconds) * 1000) < 0, errno == EINTR {}
        var status: Int32 = 0
        waitpid(child, &status, WNOHANG)
        close(descriptor)
    }

    private static func line(from descriptor: Int32, seconds: Int) -> String? {
        var text: [UInt8] = []
        let clock = SourceClock.system
        let until = clock.monotonicMilliseconds() + Int64(seconds) * 1000
        while text.last != UInt8(ascii: "\n"), text.count < 4096 {
            var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            let left = until - clock.monotonicMilliseconds()
            guard left > 0 else { return nil }
            let ready = poll(&entry, 1, Int32(clamping: left))
            if ready < 0, errno == EINTR { continue }
            guard ready > 0 else { return nil }
            var buffer = [UInt8](repeating: 0, count: 1024)
            let count = read(descriptor, &buffer, buffer.count)
            if count <= 0 { return text.isEmpty ? "its keeper ended" : String(decoding: text, as: UTF8.self) }
            text += buffer[..<count]
        }
        return String(decoding: text.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
    }

    /// Starts a program of ours in a session of its own, so that no key of the terminal reaches it.
    /// - Parameter program: its file where that is not the first word.
    static func spawn(
        _ words: [String], program: String? = nil, input: Int32, output: Int32, errors: Int32? = nil
    ) throws -> pid_t {
        let program = program ?? words[0]
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO)
        posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO)
        if let errors {
            posix_spawn_file_actions_adddup2(&actions, errors, STDERR_FILENO)
        } else {
            posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0)
        }
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        var all = sigset_t()
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        // POSIX_SPAWN_SETSID, POSIX_SPAWN_SETSIGMASK, POSIX_SPAWN_SETSIGDEF
        posix_spawnattr_setflags(&attributes, 0x80 | 0x08 | 0x04)
        let arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        defer { for word in arguments { free(word) } }
        var child: pid_t = 0
        let status = posix_spawn(&child, program, &actions, &attributes, arguments, environ)
        guard status == 0 else {
            throw Refusal("--demo: \(program): \(String(cString: strerror(status)))", code: 1)
        }
        return child
    }
}
