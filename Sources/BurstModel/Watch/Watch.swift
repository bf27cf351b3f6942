/// What is known over time: takes samples, remembers, and builds boards. This one joins nothing and judges nothing.
package struct Watch: Sendable {
    private var source: SourceInfo
    private var thresholds: RuleThresholds
    private var zone: LocalTime.Zone
    private var burst: Sampled<BurstReport>?
    private var raw: [UInt8] = []
    private var jobs: Sampled<[Job]>?
    private var reservations: Sampled<[Reservation]>?
    private var config: Sampled<ControllerConfig>?
    private var details: [JobID: Sampled<JobDetail?>] = [:]
    private var faults: [Fault] = []
    private var events: [Event] = []
    private var failure: (reason: String, since: Timestamp, tries: Int)?
    private var histories: [PoolKey: PoolHistory] = [:]
    private var firstSeen: [BufferKey: Timestamp] = [:]

    package init(source: SourceInfo, thresholds: RuleThresholds = RuleThresholds(), zone: LocalTime.Zone) {
        self.source = source
        self.thresholds = thresholds
        self.zone = zone
    }

    /// Takes a call's answer.
    package mutating func ingest(_ sample: Sample) {
        let at = sample.startedAt.adding(milliseconds: sample.durationMilliseconds)
        let duration = sample.durationMilliseconds
        switch sample.answer {
        case .burst(let report, let text):
            burst = Sampled(report, at: at, durationMilliseconds: duration)
            raw = text
            faults = report.faults
            failure = nil
            var seen: [BufferKey: Timestamp] = [:]
            for plugin in report.plugins {
                for pool in plugin.pools { histories[pool.key, default: PoolHistory()].add(pool, at: at) }
                for buffer in plugin.buffers {
                    let key = BufferKey(plugin: plugin.name, id: buffer.id)
                    seen[key] = firstSeen[key] ?? at
                }
            }
            firstSeen = seen
        case .jobs(let list, let found):
            jobs = Sampled(list, at: at, durationMilliseconds: duration)
            faults += found
        case .job(let detail):
            if case .job(let id) = sample.call {
                details[id] = Sampled(detail, at: at, durationMilliseconds: duration)
            }
        case .reservations(let list, let found):
            reservations = Sampled(list, at: at, durationMilliseconds: duration)
            faults += found
        case .config(let value):
            config = Sampled(value, at: at, durationMilliseconds: duration)
            source.cluster = value.cluster
            source.version = value.version
        case .status, .cancel: break
        case .failure(let reason):
            if sample.call == .burst {
                failure = (reason, failure?.since ?? sample.startedAt, (failure?.tries ?? 0) + 1)
            }
            faults.append(Fault(reply: sample.arguments.joined(separator: " "), line: 0, message: reason))
        }
    }

    /// Somebody has seen an alert.
    package mutating func acknowledge(_ id: Alert.ID, at time: Timestamp) {}

    /// Something happened that no reply tells.
    package mutating func note(_ event: Event) { events.append(event) }

    /// The answer to the newest `show job` of a job; nil where none was asked.
    package func detail(_ id: JobID) -> Sampled<JobDetail?>? { details[id] }

    /// All of it, as of a moment.
    package func board(at now: Timestamp) -> Board {
        var board = Board(source: source, now: now)
        board.burst = burst
        board.raw = raw
        board.jobs = jobs
        board.reservations = reservations
        board.config = config
        board.faults = faults
        board.events = events
        if let failure {
            board.health = .stale(
                reason: failure.reason, since: failure.since, tries: failure.tries, lastGood: burst?.at)
        } else if let burst {
            board.health = burst.value.plugins.isEmpty ? .noPlugin : .live
        }
        for (place, plugin) in (burst?.value.plugins ?? []).enumerated() {
            for pool in plugin.pools {
                board.poolRows.append(PoolRow(pool: pool, history: histories[pool.key] ?? PoolHistory()))
            }
            for (index, buffer) in plugin.buffers.enumerated() {
                let key = BufferKey(plugin: plugin.name, id: buffer.id)
                var row = BufferRow(key: key, since: firstSeen[key] ?? now, sinceSeen: false)
                row.place = BufferRow.Place(plugin: Int32(place), index: Int32(index))
                board.bufferRows.append(row)
            }
        }
        for (index, job) in (jobs?.value ?? []).enumerated() where job.usesBuffers {
            board.jobRows.append(JobRow(job: Int32(index), id: job.id, since: jobs!.at, sinceSeen: false))
        }
        return board
    }
}
