import CSys
import Glibc

/// A program whose input and outputs are pipes, in a session of its own, without a terminal.
package final class PipedProgram {
    /// What a program that has ended left behind.
    package struct Result: Sendable {
        package var end: PseudoTerminal.End?
        package var output: [UInt8]
        package var errors: [UInt8]
        package var seconds: Double

        package var text: String { String(decoding: output, as: UTF8.self) }
        package var errorText: String { String(decoding: errors, as: UTF8.self) }
        package var errorLines: [String] { errorText.split(separator: "\n").map(String.init) }
    }

    package let pid: Int32
    package private(set) var output: [UInt8] = []
    package private(set) var errors: [UInt8] = []
    package private(set) var end: PseudoTerminal.End?
    private var input: Int32
    private var readers: [Int32]
    private let pidfd: Int32
    private let started = PseudoTerminal.now

    /// - Parameters:
    ///   - arguments: the first is the path of the program.
    ///   - environment: all of it; nothing is inherited.
    ///   - keepsInput: standard input stays open until `closeInput`; else it is empty.
    package init(
        _ arguments: [String], environment: [String: String], keepsInput: Bool = false
    ) throws(HarnessError) {
        var pipes: [[Int32]] = []
        for _ in 0..<3 {
            var ends: [Int32] = [-1, -1]
            // Never inherited by a child that another thread starts meanwhile.
            guard bb_pipe(&ends) == 0 else { throw HarnessError("pipe: errno \(errno)") }
            pipes.append(ends)
        }
        var actions = posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawnattr_init(&attributes)
        defer {
            posix_spawn_file_actions_destroy(&actions)
            posix_spawnattr_destroy(&attributes)
        }
        posix_spawn_file_actions_adddup2(&actions, pipes[0][0], 0)
        posix_spawn_file_actions_adddup2(&actions, pipes[1][1], 1)
        posix_spawn_file_actions_adddup2(&actions, pipes[2][1], 2)
        // Nor anything else that the tests have open just now.
        bb_spawn_closes_from(&actions, 3)
        var signals = sigset_t()
        sigfillset(&signals)
        posix_spawnattr_setsigdefault(&attributes, &signals)
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        let setSession: Int32 = 0x80  // POSIX_SPAWN_SETSID, which glibc shows to _GNU_SOURCE only
        posix_spawnattr_setflags(&attributes, Int16(setSession | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))
        var child: Int32 = 0
        let words = arguments.map { strdup($0) } + [nil]
        let variables = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
        defer { for pointer in words + variables { free(pointer) } }
        let result = posix_spawn(&child, arguments[0], &actions, &attributes, words, variables)
        for (index, ends) in pipes.enumerated() { close(ends[index == 0 ? 0 : 1]) }
        guard result == 0 else {
            for (index, ends) in pipes.enumerated() { close(ends[index == 0 ? 1 : 0]) }
            throw HarnessError("cannot start \(arguments[0]): errno \(result)")
        }
        pid = child
        pidfd = bb_pidfd_open(child)
        input = pipes[0][1]
        readers = [pipes[1][0], pipes[2][0]]
        for reader in readers { _ = fcntl(reader, F_SETFL, O_NONBLOCK) }
        if !keepsInput { closeInput() }
    }

    deinit {
        closeInput()
        if end == nil {
            kill(-pid, SIGKILL)
            kill(pid, SIGKILL)
            var status: Int32 = 0
            waitpid(pid, &status, 0)
        }
        for reader in readers where reader >= 0 { close(reader) }
        if pidfd >= 0 { close(pidfd) }
    }

    package func closeInput() {
        if input >= 0 { close(input) }
        input = -1
    }

    /// Writes to standard input; needs `keepsInput`. False: nobody reads it any more.
    @discardableResult package func send(_ text: String) -> Bool {
        // One that has ended must not end the tests.
        Glibc.signal(SIGPIPE, SIG_IGN)
        let bytes = Array(text.utf8)
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes { write(input, $0.baseAddress! + written, $0.count - written) }
            guard count > 0 else { return false }
            written += count
        }
        return true
    }

    /// Closes the reading end of standard output, as `head` does when it has enough.
    package func closeOutput() {
        if readers[0] >= 0 { close(readers[0]) }
        readers[0] = -1
    }

    package func signal(_ number: Int32) { kill(pid, number) }

    /// The lines of standard output that are whole.
    package var lines: [String] {
        output.split(separator: 10, omittingEmptySubsequences: false).dropLast().map {
            String(decoding: $0, as: UTF8.self)
        }
    }

    /// Reads until the condition holds. Returns whether it did before the deadline.
    @discardableResult
    package func wait(seconds: Double = Wait.hangSeconds, until condition: (PipedProgram) -> Bool) -> Bool {
        let deadline = PseudoTerminal.now + UInt64(seconds * 1e9)
        while true {
            drain()
            if condition(self) { return true }
            let now = PseudoTerminal.now
            if now >= deadline { return false }
            var descriptors = (readers + [end == nil ? pidfd : -1]).map {
                pollfd(fd: $0, events: Int16(POLLIN), revents: 0)
            }
            _ = poll(&descriptors, 3, Int32(min((deadline - now) / 1_000_000 + 1, 20)))
        }
    }

    /// Reads until the program has ended and both outputs are at their end.
    package func waitForEnd(seconds: Double = Wait.hangSeconds) -> Result {
        wait(seconds: seconds) { $0.hasEnded }
        drain()
        return Result(
            end: end, output: output, errors: errors, seconds: Double(PseudoTerminal.now - started) / 1e9)
    }

    /// Whether it has ended by now.
    package var hasEnded: Bool {
        if end != nil { return true }
        var status: Int32 = 0
        guard waitpid(pid, &status, WNOHANG) == pid else { return false }
        let signal = status & 0x7f
        end = signal == 0 ? .exited((status >> 8) & 0xff) : .killed(signal: signal)
        return true
    }

    private func drain() {
        var buffer = [UInt8](repeating: 0, count: 65536)
        for index in readers.indices where readers[index] >= 0 {
            while true {
                let count = read(readers[index], &buffer, buffer.count)
                if count == 0 {
                    close(readers[index])
                    readers[index] = -1
                }
                guard count > 0 else { break }
                if index == 0 { output += buffer[..<count] } else { errors += buffer[..<count] }
            }
        }
    }

    /// Runs a program to its end. One that is not over in time is ended, and its result has no end.
    package static func run(
        _ arguments: [String], environment: [String: String], seconds: Double = Wait.hangSeconds
    ) throws(HarnessError) -> Result {
        try PipedProgram(arguments, environment: environment).waitForEnd(seconds: seconds)
    }
}

/// Waits where no terminal or program is at hand.
package enum Wait {
    /// What takes longer does not come any more, on the slowest machine with the most to do: seconds.
    package static let hangSeconds = 60.0
    private static let triesMax = 5

    /// For what has to be quick: whether it is so at one of five tries. The others may have waited for a processor.
    package static func once(_ isQuick: () throws -> Bool) rethrows -> Bool {
        for _ in 0..<triesMax where try isQuick() { return true }
        return false
    }

    /// Looks again and again until the condition holds. Returns whether it did before the deadline.
    @discardableResult
    package static func until(seconds: Double = Wait.hangSeconds, every: Double = 0.02, _ condition: () throws -> Bool)
        rethrows
        -> Bool
    {
        let deadline = PseudoTerminal.now + UInt64(seconds * 1e9)
        while try !condition() {
            if PseudoTerminal.now >= deadline { return false }
            _ = poll(nil, 0, Int32(every * 1000))
        }
        return true
    }
}
