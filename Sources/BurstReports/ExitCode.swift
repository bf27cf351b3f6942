/// How `burstmon` ends. `--check` has statuses of its own, those of monitoring plug-ins (`CheckReport.Status`).
package enum ExitCode: Int32, CaseIterable, Sendable {
    case success = 0
    /// There was no answer to report: the controller or the command failed.
    case failure = 1
    /// An option, a filter, a file or another thing that the caller gave is wrong.
    case usage = 2
    /// The terminal cannot show the screens: `TERM=dumb`, or a window of no size.
    case unfitTerminal = 3
}
