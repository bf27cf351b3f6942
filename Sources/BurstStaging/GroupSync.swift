import CSys
import Glibc

/// One syncfs for all threads that wait for one: each is served by a call that began after it had asked.
final class GroupSync: Sendable {
    private struct State {
        var isRunning = false
        var begun = 0
        var ended = 0
        var failed: [Int: SystemFault] = [:]
    }

    private let state = Guarded(State())
    private let descriptor: Int32

    /// - Parameter descriptor: any file of the file system, open as long as this lives.
    init(_ descriptor: Int32) { self.descriptor = descriptor }

    func sync() throws(SystemFault) {
        let round = state.with { $0.begun + 1 }
        let isMine = state.wait { state -> Bool? in
            if state.ended >= round { return false }
            if state.isRunning { return nil }
            state.isRunning = true
            state.begun += 1
            return true
        }
        if isMine {
            let fault = bb_sync_file_system(descriptor) == 0 ? nil : SystemFault("syncfs")
            state.change { state in
                state.isRunning = false
                state.ended = state.begun
                state.failed[state.begun] = fault
            }
        }
        // A failure since then may be of ours.
        let fault = state.with { state in state.failed.first { $0.key >= round }?.value }
        if let fault { throw fault }
    }
}
