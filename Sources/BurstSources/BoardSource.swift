package import BurstModel

/// Whatever makes boards: a collector that asks Slurm, a recording that is played, a recording that is followed.
package protocol BoardSource: Sendable {
    /// Begins; a second call does nothing.
    func start()
    /// Ends everything, also a command under way; returns within 300 ms.
    func stop() async
    /// Hands over what a user wants. Never waits.
    func send(_ request: CollectorRequest)
    /// The newest delivery. Never waits.
    func latest() -> Delivery
}
