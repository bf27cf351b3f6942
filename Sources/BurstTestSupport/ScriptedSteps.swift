package import BurstSteps
import Synchronization

/// Steps that end when a test says so: no process is started.
package final class ScriptedSteps: StepRunner {
    package let endings: AsyncStream<StepEnding>
    private let finished: AsyncStream<StepEnding>.Continuation
    private let state = Mutex(State())

    private struct State {
        var running: Set<UInt32> = []
        var orders: [StepOrder] = []
        var signals: [Sent] = []
        var refusals: [UInt32: StepFault] = [:]
        var adoptions: [UInt32: Adopted] = [:]
        var isStopped = false
    }

    /// A signal that was passed on, and to which job.
    package struct Sent: Hashable, Sendable {
        package var jobID: UInt32
        package var signal: StepSignal

        package init(_ jobID: UInt32, _ signal: StepSignal) {
            self.jobID = jobID
            self.signal = signal
        }
    }

    package init() { (endings, finished) = AsyncStream.makeStream() }

    /// All that was ordered, oldest first.
    package var orders: [StepOrder] { state.withLock { $0.orders } }
    package var signals: [Sent] { state.withLock { $0.signals } }
    package var running: Set<UInt32> { state.withLock { $0.running } }

    /// The next start of a job fails so.
    package func refuse(_ jobID: UInt32, _ fault: StepFault) { state.withLock { $0.refusals[jobID] = fault } }

    /// What `adopt` finds of a job: `neverStarted` where nothing was said.
    package func leave(_ jobID: UInt32, _ adopted: Adopted) { state.withLock { $0.adoptions[jobID] = adopted } }

    /// A running step ends. Returns whether there was one.
    @discardableResult
    package func end(_ jobID: UInt32, _ end: StepEnd) -> Bool {
        guard state.withLock({ $0.running.remove(jobID) }) != nil else { return false }
        finished.yield(StepEnding(jobID: jobID, end: end))
        return true
    }

    package func start(_ order: StepOrder) throws(StepFault) {
        let fault: StepFault? = state.withLock { state in
            if state.isStopped { return .stopped }
            if let fault = state.refusals.removeValue(forKey: order.jobID) { return fault }
            guard state.running.insert(order.jobID).inserted else { return .isRunning(order.jobID) }
            state.orders.append(order)
            return nil
        }
        if let fault { throw fault }
    }

    package func signal(jobID: UInt32, _ signal: StepSignal) {
        state.withLock { state in
            if state.running.contains(jobID) { state.signals.append(Sent(jobID, signal)) }
        }
    }

    package func adopt(jobID: UInt32, folder: String) -> Adopted {
        state.withLock { state in
            if state.running.contains(jobID) { return .running }
            let adopted = state.adoptions.removeValue(forKey: jobID) ?? .neverStarted
            if adopted == .running { state.running.insert(jobID) }
            return adopted
        }
    }

    package func stop() {
        state.withLock { $0.isStopped = true }
        finished.finish()
    }
}
