package import BurstModel
import Synchronization

/// Asks Slurm's commands by the rules of `PollPlan`, reads the answers off the user's thread, and delivers boards.
package final class Collector: BoardSource {
    private let state: Mutex<Delivery>

    /// - Parameters:
    ///   - onChange: called after each new delivery.
    ///   - prepare: called before that, on the collector's thread, with each board whose rows are new.
    package init(
        runner: any CommandRunner, settings: CollectorSettings, zone: LocalTime.Zone, clock: SourceClock = .system,
        recorder: Recorder? = nil, eventLog: EventLog? = nil,
        onChange: @escaping @Sendable () -> Void, prepare: @escaping @Sendable (Board) -> Void = { _ in }
    ) {
        let source = SourceInfo(kind: .slurm, viewer: settings.viewer)
        state = Mutex(Delivery(board: Board(source: source, now: clock.now())))
    }

    package func start() {}
    package func stop() async {}
    package func send(_ request: CollectorRequest) {}
    package func latest() -> Delivery { state.withLock { $0 } }

    /// Asks each thing once, in turn, for output that is printed and done. What fails is a fault of the board.
    package func oneShot(jobs: Bool) async -> Delivery { latest() }
}
