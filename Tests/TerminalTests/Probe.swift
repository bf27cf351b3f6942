import BurstScreen
import BurstTestSupport

/// The probe, a small program on the real terminal code (Tests/terminal-probe), in a terminal of its own.
enum Probe {
    static let path = Programs.path(of: "terminal-probe")

    static func environment(term: String? = "xterm-256color", locale: String = "C.UTF-8") -> [String: String] {
        var variables = ["PATH": "/usr/bin:/bin", "HOME": "/", "LC_ALL": locale, "SWIFT_BACKTRACE": "enable=no"]
        variables["TERM"] = term
        return variables
    }

    static func start(
        _ arguments: String..., term: String? = "xterm-256color", locale: String = "C.UTF-8",
        size: Size = Size(columns: 80, rows: 24)
    ) throws -> PseudoTerminal {
        try PseudoTerminal(
            [path] + arguments, environment: environment(term: term, locale: locale), size: size)
    }

    /// The program itself: the child of the guardian.
    static func child(of terminal: PseudoTerminal) -> Int32? { Processes.children(of: terminal.pid).first }
}
