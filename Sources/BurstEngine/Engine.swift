package import BurstModel

/// The burst buffer half of slurmctld with just enough of a job runner, as a value: events go in, records and effects come out.
/// No clock, file, thread or chance inside: the same events at the same times give the same decisions.
package struct Engine: Sendable {
    package internal(set) var settings: EngineSettings
    package internal(set) var jobs: [UInt32: EngineJob] = [:]
    /// In order of first report.
    package internal(set) var pools: [EnginePool] = []
    package internal(set) var reservations: [String: EngineReservation] = [:]
    package internal(set) var nextJobID: UInt32 = 1
    var nextCallNumber: UInt64 = 1

    /// What the store kept.
    package struct Recovered: Sendable {
        package var jobs: [EngineJob] = []
        package var pools: [EnginePool] = []
        package var reservations: [EngineReservation] = []
        package var nextJobID: UInt32 = 1
        /// Greater than that of every call in the history.
        package var nextCallNumber: UInt64 = 1

        package init() {}
    }

    package init(settings: EngineSettings, recovered: Recovered = Recovered()) {
        self.settings = settings
        jobs = Dictionary(uniqueKeysWithValues: recovered.jobs.map { ($0.id, $0) })
        pools = recovered.pools
        reservations = Dictionary(uniqueKeysWithValues: recovered.reservations.map { ($0.name, $0) })
        nextJobID = recovered.nextJobID
        nextCallNumber = recovered.nextCallNumber
    }

    /// When `.tick` is wanted next; nil: never.
    package var nextWake: Timestamp? { nil }

    /// Decides. The records must be durable before any of the effects starts.
    package mutating func step(_ event: Event, at now: Timestamp) -> Decision {
        Decision()
    }
}
