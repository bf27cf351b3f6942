/// Joins, ages and judges replies as they come: from samples to boards.
///
/// A value with no clock of its own; every moment comes from the samples and from `board(at:)`. Copies share storage
/// until one of them changes.
package struct Watch: Sendable {
    /// Events kept.
    package static let eventsMax = 5000
    /// State changes logged of one reply; the rest is counted.
    package static let changesMax = 1000
    /// Alerts of one rule that are listed; the rest is counted.
    package static let alertsPerRuleMax = 500
    /// Tombstones kept.
    package static let tombstonesMax = 500
    /// Answers of single-job calls kept.
    package static let detailsMax = 64
    /// A longer time without a good reply is a gap: what changed in it was not seen.
    package static let gapSeconds = 150
    /// Jobs older than this say nothing about buffers any more.
    package static let jobsMaxAgeSeconds = 300
    /// How long a row says that a cancel was sent (monitor.md §3.6).
    package static let cancelShownSeconds = 120
    /// How long a buffer that vanished may wait for the reply that tells how its teardown ended, and a pool that
    /// vanished stays listed.
    static let departedSeconds = 600
    static let departedMax = 20_000
    /// Rows kept that damaged reports do not show.
    static let missingMax = 100_000
    static let gonePoolSeconds = 86_400

    /// Where samples come from; cluster and version as the configuration told them.
    package internal(set) var source: SourceInfo
    /// Of the rules; a change counts from the next sample on.
    package var thresholds: RuleThresholds { didSet { cache = nil } }
    let zone: LocalTime.Zone
    var hours: HourlyZone

    // The newest good replies.
    var burst: Sampled<BurstReport>?
    /// Empty replies in a row.
    var emptyReplies = 0
    var raw: [UInt8] = []
    var jobs: Sampled<[Job]>?
    var reservations: Sampled<[Reservation]>?
    var config: Sampled<ControllerConfig>?
    var staging: Sampled<StagingReport>?
    var jobFaults: [Fault] = []
    var reservationFaults: [Fault] = []
    /// Only this user's jobs were asked for.
    var jobsOf: String?
    var details: [(id: JobID, answer: Sampled<JobDetail?>)] = []

    // Failures.
    var burstFailing: Failing?
    var jobsFailing: Failing?
    /// The stager was there and does not answer any more.
    var stagingFailing: Failing?
    var otherFaults: [String: Fault] = [:]
    /// Milliseconds of the newest good call of each kind.
    var durations: [String: Int64] = [:]

    // Tracks.
    var states = StateTable()
    var pluginNames: [String] = []
    var pools: [PoolTrack] = []
    var rows: [BufferTrack] = []
    /// Rows missing from a damaged report: not known to be gone.
    var missing: [Departed] = []
    /// Rows gone lately whose job may still tell how.
    var departed: [Departed] = []
    var jobTracks: [JobTrack] = []
    var jobLookup: [UInt32: Int32] = [:]
    /// Numbers of reports and of replies of squeue.
    var burstNumber: Int32 = 0
    var jobsNumber: Int32 = 0
    /// The report that the last reply of squeue was compared with.
    var comparedReport: Int32 = -1
    var userGapPolls: [UInt32: Int] = [:]
    /// The report whose sums were compared last.
    var countedReport: Int32 = -1
    /// Reports in a row in which a plugin had no pool.
    var poollessSince: [String: Timestamp] = [:]

    var stagingTracks: [StagingReport.Key: StagingTrack] = [:]

    // Judgement.
    var active: [ActiveAlert] = []
    var tombstones: [Departed] = []
    /// Jobs whose leak is told; told once.
    var settled: Set<UInt32> = []
    var rowNotes: [Int32: RowNote] = [:]
    var jobNotes: [Int32: Severity] = [:]
    var demand: [PoolDemand] = []
    var tally = Tally()
    var cancels: [SentCancel] = []
    var events: [Event] = []

    /// The board of the newest replies, without what depends on the moment.
    var cache: Board?

    /// - Parameter zone: the controller's wall clock, which CreateTime and SystemComment are written in.
    package init(source: SourceInfo, thresholds: RuleThresholds = .init(), zone: LocalTime.Zone) {
        self.source = source
        self.thresholds = thresholds
        self.zone = zone
        hours = HourlyZone(zone)
    }

    /// Takes in one call's answer, good or bad.
    package mutating func ingest(_ sample: Sample) {
        cache = nil
        let at = sample.endedAt
        switch sample.answer {
        case .burst(let report, let raw):
            // No plugin prints nothing, with status 0; so does a command that went wrong. After plugins were seen an
            // empty
            // reply is believed when it comes twice.
            let isEmpty = report.plugins.isEmpty && report.faults.isEmpty
            emptyReplies = isEmpty ? emptyReplies + 1 : 0
            if isEmpty, emptyReplies == 1, burst?.value.plugins.isEmpty == false {
                failed(sample, "scontrol show burst printed nothing")
            } else {
                answered(sample)
                take(report, raw: raw, sample)
            }
        case .jobs(let jobs, let faults):
            answered(sample)
            take(jobs, faults: faults, sample)
        case .job(let detail):
            if case .job(let id) = sample.call {
                keep(detail, of: id, sample)
                if let job = detail?.job, job.id == id { take(job, at: at) }
            }
        case .reservations(let list, let faults):
            answered(sample)
            reservations = Sampled(list, at: at, durationMilliseconds: sample.durationMilliseconds)
            reservationFaults = faults
        case .config(let config):
            answered(sample)
            take(config, sample)
        case .status(let result):
            if case .status(let request) = sample.call { log(result, of: request, at: at) }
        case .cancel(let result):
            if case .cancel(let id, let hurry) = sample.call { log(result, cancel: id, hurry: hurry, sample) }
        case .staging(let report): take(report, sample)
        case .failure(let reason):
            failed(sample, reason)
        }
        expireCancels(at: at)
        trimEvents()
    }

    /// Acknowledges an alert, or takes that back. A latched alert whose condition has passed goes.
    package mutating func acknowledge(_ id: Alert.ID, at: Timestamp) {
        let places = places(of: id)
        guard let index = places.first else { return }
        cache = nil
        let alert = active[index].alert
        if active[index].holds {
            let isKnown = places.allSatisfy { active[$0].alert.acknowledged }
            for place in places { active[place].alert.acknowledged = !isKnown }
        } else {
            active.remove(at: index)
            if case .buffer(let key) = alert.subject { tombstones.removeAll { $0.key == key } }
        }
        let verb =
            active.indices.contains(index) && active[index].alert.id == id && !active[index].alert.acknowledged
            ? "acknowledgement taken back" : "acknowledged"
        append(
            Event(
                at: at, level: .info, kind: .alert, subject: alert.subject, user: alert.user,
                text: "\(verb): \(alert.rule) \(alert.title)"))
        trimEvents()
    }

    /// Adds an event of the program itself.
    package mutating func note(_ event: Event) {
        cache = nil
        append(event)
        trimEvents()
    }

    /// The newest answer of a single-job call; its value is nil where Slurm does not know the job.
    package func detail(_ id: JobID) -> Sampled<JobDetail?>? { details.last { $0.id == id }?.answer }

    private mutating func keep(_ detail: JobDetail?, of id: JobID, _ sample: Sample) {
        details.removeAll { $0.id == id }
        details.append(
            (id, Sampled(detail, at: sample.endedAt, durationMilliseconds: sample.durationMilliseconds)))
        if details.count > Self.detailsMax { details.removeFirst(details.count - Self.detailsMax) }
    }

    mutating func append(_ event: Event) { events.append(event) }

    /// Cuts the log back to its limit, once for each call.
    private mutating func trimEvents() {
        if events.count > Self.eventsMax { events.removeFirst(events.count - Self.eventsMax) }
    }

    mutating func log(
        _ kind: Event.Kind, _ level: Event.Level, _ subject: Subject, user: String = "", _ text: String, at: Timestamp
    ) {
        append(Event(at: at, level: level, kind: kind, subject: subject, user: user, text: text))
    }

    /// The jobs are new enough to judge buffers by: the newest squeue answered, not long before the newest report.
    var jobsAreCurrent: Bool {
        guard let jobs, jobsFailing == nil else { return false }
        guard let burst else { return true }
        return burst.at.seconds(since: jobs.at) <= Self.jobsMaxAgeSeconds
    }

    func key(_ track: BufferTrack) -> BufferKey {
        BufferKey(plugin: pluginNames[Int(track.plugin)], id: buffer(track).id)
    }

    func buffer(_ track: BufferTrack) -> Buffer {
        burst!.value.plugins[Int(track.place.plugin)].buffers[Int(track.place.index)]
    }

    /// What an event or alert about a job is filed under: its buffer where there is one.
    func subject(_ track: JobTrack) -> Subject {
        track.row >= 0 ? .buffer(key(rows[Int(track.row)])) : .job(JobID(track.id))
    }
}
