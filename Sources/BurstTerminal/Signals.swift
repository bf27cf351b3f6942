import CSys
import Glibc

/// A signal that the program handles in its loop instead of being killed by it.
package enum TerminalSignal: CaseIterable, Hashable, Sendable {
    /// SIGTERM, SIGINT, SIGQUIT, SIGHUP: end, in good order.
    case terminate, interrupt, quit, hangUp
    /// SIGTSTP: call `CursesTerminal.suspend()`.
    case stop
    /// SIGCONT, after a stop that was not announced (SIGSTOP): call `CursesTerminal.resume()`.
    case goOn
    /// SIGWINCH: read `CursesTerminal.size()`, at most once in 50 ms.
    case resized
    case user1, user2

    package var number: Int32 {
        switch self {
        case .terminate: SIGTERM
        case .interrupt: SIGINT
        case .quit: SIGQUIT
        case .hangUp: SIGHUP
        case .stop: SIGTSTP
        case .goOn: SIGCONT
        case .resized: SIGWINCH
        case .user1: SIGUSR1
        case .user2: SIGUSR2
        }
    }

    /// Whether the program is asked to end.
    package var ends: Bool {
        switch self {
        case .terminate, .interrupt, .quit, .hangUp: true
        case .stop, .goOn, .resized, .user1, .user2: false
        }
    }
}

/// Where signals wait until the loop comes to them. There is one for the process.
package struct SignalMailbox: Sendable {
    /// For poll(2): readable (POLLIN) while signals wait.
    package let descriptor: Int32

    /// From here on the signals of `TerminalSignal` are noted, and no longer kill.
    /// Returns nil when the process has no descriptor left.
    package static func open() -> SignalMailbox? {
        let descriptor = bb_mailbox_open()
        return descriptor < 0 ? nil : SignalMailbox(descriptor: descriptor)
    }

    /// Takes the signals that came since the last call, each once however often it came. If some of them ask to end,
    /// only
    /// those: a hang-up comes with a SIGCONT, and there is no terminal to go on with.
    package func take() -> [TerminalSignal] {
        let bits = bb_mailbox_take()
        guard bits != 0 else { return [] }
        let signals = TerminalSignal.allCases.filter { bits & (1 << UInt64($0.number)) != 0 }
        let ending = signals.filter(\.ends)
        return ending.isEmpty ? signals : ending
    }

    /// Gives the signals the actions that they had before.
    package func close() { bb_mailbox_close() }
}

/// The parent process that gives the terminal back even if the program is killed with SIGKILL.
package enum Guardian {
    /// Runs a program to its end behind a guardian; returns its exit status. Call first in main, before anything starts
    /// a thread. The program goes on in a child process, on a thread of its own; the parent stays behind in a wait that
    /// costs nothing. Without a terminal on standard input and output, or where fork fails, it runs without a guardian.
    package static func run(_ program: @convention(c) () -> Int32) -> Int32 { bb_guardian_run(program) }

    /// Whether a guardian stands behind this process.
    package static var isPresent: Bool { bb_guardian_pid() > 0 }

    /// Ends the process of a signal, so that the shell sees the right status. The terminal must have been given back.
    package static func end(of signal: TerminalSignal) -> Never { bb_die_of(signal.number) }
}
