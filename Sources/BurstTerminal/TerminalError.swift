/// Why a terminal cannot show the monitor. The text is one line and says what to do instead.
package enum TerminalError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Standard input or output is a file, a pipe or closed.
    case notATerminal(stream: String)
    /// The environment variable TERM is unset or empty.
    case noType
    /// terminfo does not know the value of TERM.
    case unknownType(String)
    /// The terminal cannot move its cursor (TERM=dumb).
    case tooSimple(String)
    /// The window has no rows or no columns.
    case noWindow
    /// A call of the system failed.
    case system(call: String, errno: Int32)

    package var description: String {
        let instead = "use --once for plain text"
        switch self {
        case .notATerminal(let stream): return "standard \(stream) is not a terminal; \(instead)"
        case .noType: return "TERM is not set, so the kind of terminal is unknown; set it, or \(instead)"
        case .unknownType(let name):
            return
                "terminfo does not know the terminal \"\(Self.plain(name))\" (TERM); set TERM to a known one, or \(instead)"
        case .tooSimple(let name):
            return "the terminal \"\(Self.plain(name))\" (TERM) cannot move its cursor; \(instead)"
        case .noWindow: return "the terminal's window has 0 rows or 0 columns (see stty size); \(instead)"
        case .system(let call, let errno): return "\(call) failed (errno \(errno)); \(instead)"
        }
    }

    private static func plain(_ name: String) -> String {
        String(name.prefix(64).map { $0.asciiValue.map { $0 >= 0x20 && $0 < 0x7f } == true ? $0 : "?" })
    }
}
