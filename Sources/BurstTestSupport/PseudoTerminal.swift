package import BurstScreen
import CSys
import Glibc

/// A failure of the harness itself, not of the program under test.
package struct HarnessError: Error, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}

/// A program in a terminal of its own: starts it as the leader of a session, writes keys, changes the window's size,
/// reads what
/// it shows, and waits for conditions with a deadline, never for a time.
///
/// Reading happens only inside the waiting calls, on the caller's thread.
package final class PseudoTerminal {
    /// Some bytes as they came.
    package struct Chunk: Sendable {
        /// Monotonic clock, nanoseconds.
        package var time: UInt64
        package var bytes: [UInt8]
    }

    /// How a process ended.
    package enum End: Hashable, Sendable {
        case exited(Int32)
        case killed(signal: Int32)
    }

    package let pid: Int32
    package private(set) var emulator: TerminalEmulator
    package private(set) var chunks: [Chunk] = []
    package private(set) var end: End?
    private var master: Int32
    /// Kept open, so that the line discipline can be looked at after the program's end.
    private var slave: Int32
    private let pidfd: Int32

    /// All bytes since the start, or since the last `forgetBytes`.
    package var received: [UInt8] { chunks.flatMap(\.bytes) }

    /// The same as text that can be printed in a failure's report.
    package var escaped: String {
        received.map { byte in
            byte >= 0x20 && byte < 0x7f ? String(Character(Unicode.Scalar(byte))) : "<\(String(byte, radix: 16))>"
        }.joined()
    }

    /// Starts a program.
    /// - Parameters:
    ///   - arguments: the first is the path of the program.
    ///   - environment: all of it; nothing is inherited.
    package init(
        _ arguments: [String], environment: [String: String], size: Size = Size(columns: 80, rows: 24)
    ) throws(HarnessError) {
        emulator = TerminalEmulator(size: size)
        // Programs that are made to crash leave no core files behind.
        var none = rlimit(rlim_cur: 0, rlim_max: 0)
        setrlimit(__rlimit_resource_t(4), &none)  // RLIMIT_CORE
        var descriptors: (Int32, Int32) = (-1, -1)
        var window = winsize(
            ws_row: UInt16(size.rows), ws_col: UInt16(size.columns), ws_xpixel: 0, ws_ypixel: 0)
        var name = [CChar](repeating: 0, count: 128)
        // Not openpty(3): another thread that starts a program at this moment would hand the terminal on to it.
        var ends: [Int32] = [-1, -1]
        guard bb_pseudo_terminal(&ends, &name, name.count) == 0, ioctl(ends[1], UInt(TIOCSWINSZ), &window) == 0 else {
            throw HarnessError("no pseudo-terminal: errno \(errno)")
        }
        descriptors = (ends[0], ends[1])
        (master, slave) = descriptors
        _ = fcntl(master, F_SETFL, O_NONBLOCK)

        var actions = posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawnattr_init(&attributes)
        defer {
            posix_spawn_file_actions_destroy(&actions)
            posix_spawnattr_destroy(&attributes)
        }
        // The first terminal that a session's leader opens becomes its controlling terminal.
        posix_spawn_file_actions_addopen(&actions, 0, name, O_RDWR, 0)
        posix_spawn_file_actions_adddup2(&actions, 0, 1)
        posix_spawn_file_actions_adddup2(&actions, 0, 2)
        // Nor anything else that the tests have open just now.
        bb_spawn_closes_from(&actions, 3)
        var signals = sigset_t()
        sigfillset(&signals)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        let setSession: Int32 = 0x80  // POSIX_SPAWN_SETSID, which glibc shows to _GNU_SOURCE only
        let flags = setSession | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK
        posix_spawnattr_setflags(&attributes, Int16(flags))
        var child: Int32 = 0
        let words = arguments.map { strdup($0) } + [nil]
        let variables = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for pointer in words + variables { free(pointer) } }
        let result = posix_spawn(&child, arguments[0], &actions, &attributes, words, variables)
        guard result == 0 else {
            close(descriptors.0)
            close(descriptors.1)
            throw HarnessError("cannot start \(arguments[0]): errno \(result)")
        }
        pid = child
        pidfd = bb_pidfd_open(child)
    }

    deinit {
        if end == nil {
            // The session, as a hang-up would; then the leader for sure.
            kill(-pid, SIGKILL)
            kill(pid, SIGKILL)
            var status: Int32 = 0
            waitpid(pid, &status, 0)
        }
        hangUp()
        if pidfd >= 0 { close(pidfd) }
    }

    // MARK: Doing

    package func type(_ text: String) { write(Array(text.utf8)) }

    package func write(_ bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(master, $0.baseAddress, $0.count) }
            if count > 0 {
                rest = rest.dropFirst(count)
            } else if errno == EAGAIN {
                _ = pump(milliseconds: 10)
            } else if errno != EINTR {
                return
            }
        }
    }

    /// Changes the window's size; the kernel sends SIGWINCH to the foreground.
    package func resize(to size: Size) {
        var window = winsize(ws_row: UInt16(size.rows), ws_col: UInt16(size.columns), ws_xpixel: 0, ws_ypixel: 0)
        _ = ioctl(master, UInt(TIOCSWINSZ), &window)
        emulator.resize(to: Size(columns: max(1, size.columns), rows: max(1, size.rows)))
    }

    /// Sends a signal to one process: the program, unless said otherwise.
    package func signal(_ number: Int32, to process: Int32? = nil) { kill(process ?? pid, number) }

    /// Closes the terminal, as a dropped connection does.
    package func hangUp() {
        if slave >= 0 { close(slave) }
        if master >= 0 { close(master) }
        (master, slave) = (-1, -1)
    }

    package func forgetBytes() { chunks = [] }

    // MARK: Waiting

    /// Nanoseconds of the monotonic clock.
    package static var now: UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    /// Reads until the condition holds. Returns whether it did before the deadline.
    @discardableResult
    package func wait(seconds: Double = Wait.hangSeconds, until condition: (PseudoTerminal) -> Bool) -> Bool {
        let deadline = Self.now + UInt64(seconds * 1e9)
        while true {
            drain()
            if condition(self) { return true }
            let now = Self.now
            if now >= deadline { return false }
            let left = (deadline - now) / 1_000_000 + 1
            // The condition may be about something else than the terminal's bytes (a process that stops).
            _ = pump(milliseconds: Int32(min(left, 20)))
        }
    }

    /// Reads until a text stands on the screen.
    @discardableResult
    package func wait(for text: String, seconds: Double = Wait.hangSeconds) -> Bool {
        wait(seconds: seconds) { $0.emulator.contains(text) }
    }

    /// Reads until the program has taken what was typed, sleeps, and all that it wrote has come: a frame that has begun
    /// is then complete.
    @discardableResult
    package func waitUntilIdle(seconds: Double = Wait.hangSeconds) -> Bool {
        // Behind a guardian, the program is its child.
        let process = Processes.children(of: pid).first ?? pid
        return wait(seconds: seconds) { terminal in
            // Asleep in a write, with the terminal full, it has more to say.
            let before = terminal.emulator.bytes
            guard !terminal.hasUntaken else { return terminal.end != nil }
            guard Processes.isAsleep(process) else { return terminal.end != nil }
            terminal.drain()
            return terminal.emulator.bytes == before
        }
    }

    /// Reads until the program has ended and all that it wrote has come.
    @discardableResult
    package func waitForEnd(seconds: Double = Wait.hangSeconds) -> End? {
        wait(seconds: seconds) { $0.hasEnded }
        drain()
        return end
    }

    /// Whether typed bytes wait for the program. A poll at the program's end brings those there that are on their way.
    private var hasUntaken: Bool {
        var descriptor = pollfd(fd: slave, events: Int16(POLLIN), revents: 0)
        return poll(&descriptor, 1, 0) > 0 && descriptor.revents & Int16(POLLIN) != 0
    }

    private var hasEnded: Bool {
        if end != nil { return true }
        var status: Int32 = 0
        guard waitpid(pid, &status, WNOHANG) == pid else { return false }
        let signal = status & 0x7f
        end = signal == 0 ? .exited((status >> 8) & 0xff) : .killed(signal: signal)
        return true
    }

    /// Waits for bytes or for the program's end.
    private func pump(milliseconds: Int32) -> Bool {
        var descriptors = [pollfd(fd: master, events: Int16(POLLIN), revents: 0)]
        if end == nil { descriptors.append(pollfd(fd: pidfd, events: Int16(POLLIN), revents: 0)) }
        guard poll(&descriptors, nfds_t(descriptors.count), milliseconds) > 0 else { return false }
        drain()
        return true
    }

    private func drain() {
        guard master >= 0 else { return }
        var buffer = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = read(master, &buffer, buffer.count)
            guard count > 0 else { return }
            chunks.append(Chunk(time: Self.now, bytes: Array(buffer[..<count])))
            emulator.feed(buffer[..<count])
        }
    }

    // MARK: Looking

    /// The line discipline: whether lines are edited by the kernel, typed characters echoed, and keys make signals.
    package var lineDiscipline: (isCanonical: Bool, echoes: Bool, makesSignals: Bool) {
        var state = termios()
        guard slave >= 0, tcgetattr(slave, &state) == 0 else { return (false, false, false) }
        return (
            state.c_lflag & tcflag_t(ICANON) != 0, state.c_lflag & tcflag_t(ECHO) != 0,
            state.c_lflag & tcflag_t(ISIG) != 0
        )
    }

    /// Whether screen and line discipline are as a shell expects them.
    package var isGivenBack: Bool {
        let line = lineDiscipline
        return emulator.isGivenBack && line.isCanonical && line.echoes && line.makesSignals
    }
}

/// Processes, by what /proc says.
package enum Processes {
    /// The children of a process, whichever of its threads started them.
    package static func children(of pid: Int32) -> [Int32] {
        threads(of: pid).flatMap { thread in
            text("/proc/\(pid)/task/\(thread)/children").split(separator: " ").compactMap { Int32($0) }
        }
    }

    private static func threads(of pid: Int32) -> [Int32] {
        guard let folder = opendir("/proc/\(pid)/task") else { return [] }
        defer { closedir(folder) }
        var threads: [Int32] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if let thread = Int32(name) { threads.append(thread) }
        }
        return threads
    }

    /// The state letter (R, S, T for stopped, Z for ended but not waited for), or nil if there is no such process.
    package static func state(of pid: Int32) -> Character? {
        state("/proc/\(pid)/stat")
    }

    private static func state(_ path: String) -> Character? {
        // The name, in parentheses, may hold anything.
        let stat = text(path)
        guard let end = stat.lastIndex(of: ")") else { return nil }
        return stat[stat.index(after: end)...].first { $0 != " " }
    }

    /// Whether none of its threads has anything to do.
    package static func isAsleep(_ pid: Int32) -> Bool { all(pid, are: "S") }

    /// Whether SIGSTOP has reached all of its threads, which takes a moment.
    package static func isStopped(_ pid: Int32) -> Bool { all(pid, are: "T") }

    private static func all(_ pid: Int32, are wanted: Character) -> Bool {
        // A thread that has ended meanwhile has no state.
        let states = threads(of: pid).compactMap { state("/proc/\(pid)/task/\($0)/stat") }
        return !states.isEmpty && states.allSatisfy { $0 == wanted }
    }

    package static func isAlive(_ pid: Int32) -> Bool { state(of: pid).map { $0 != "Z" } ?? false }

    /// How often a process has been given a processor: does not grow while it waits.
    package static func switches(of pid: Int32) -> [String] {
        text("/proc/\(pid)/status").split(separator: "\n").filter { $0.contains("ctxt_switches") }.map(String.init)
    }

    /// The words of its command line, separated by blanks.
    package static func commandLine(of pid: Int32) -> String {
        text("/proc/\(pid)/cmdline").split(separator: "\0").joined(separator: " ")
    }

    private static func text(_ path: String) -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return "" }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while case let count = read(descriptor, &buffer, buffer.count), count > 0 { bytes += buffer[..<count] }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// The programs of this package, as built for the tests.
package enum Programs {
    /// The path of a program that was built beside the running one.
    package static func path(of name: String) -> String {
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/self/exe", &buffer, buffer.count)
        let own = String(decoding: buffer[..<max(0, count)].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return own.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/") + "/"
            + name
    }
}
