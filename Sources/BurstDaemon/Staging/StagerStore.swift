package import BurstStager

/// What keeps the stager's records. Calls may wait for the disk; they come from the stager's thread.
package protocol StagerStore: Sendable {
    /// All or none, in order: when it returns they survive a power cut.
    func persist(_ records: [StagerRecord]) throws(StateFault)
    func recoverStager() throws(StateFault) -> Stager.Recovered
}
