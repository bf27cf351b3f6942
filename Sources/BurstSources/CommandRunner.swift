package import BurstModel

/// Runs a command to its end. The only way by which a source reaches outside.
package protocol CommandRunner: Sendable {
    /// - Parameter arguments: the program's name first.
    /// - Returns: how it ended, when it began and how long it took. Cancelling the task ends the command.
    func run(_ arguments: [String], timeoutSeconds: Int) async -> CommandRun
}

/// A command's end, with its times.
package struct CommandRun: Sendable {
    package var result: CommandResult
    package var startedAt: Timestamp
    package var durationMilliseconds: Int64

    package init(_ result: CommandResult, startedAt: Timestamp, durationMilliseconds: Int64) {
        self.result = result
        self.startedAt = startedAt
        self.durationMilliseconds = durationMilliseconds
    }
}

/// The edge's clock.
package struct SourceClock: Sendable {
    /// What the wall clock says.
    package let now: @Sendable () -> Timestamp
    /// Milliseconds of a clock that never jumps.
    package let monotonicMilliseconds: @Sendable () -> Int64
    /// Sleeps so many milliseconds of that clock; throws when the task is cancelled.
    package let sleep: @Sendable (Int64) async throws -> Void

    package init(
        now: @escaping @Sendable () -> Timestamp, monotonicMilliseconds: @escaping @Sendable () -> Int64,
        sleep: @escaping @Sendable (Int64) async throws -> Void
    ) {
        self.now = now
        self.monotonicMilliseconds = monotonicMilliseconds
        self.sleep = sleep
    }
}
