import BurstModel

/// What a recording has told so far. A value: a copy of it is a point to come back to.
struct RecordedState: Sendable {
    private(set) var watch: Watch
    private(set) var details: [JobID: Sampled<JobDetail?>] = [:]
    private(set) var detailFailures: [JobID: String] = [:]
    private(set) var status: StatusOutcome?
    private(set) var cancels: [CancelOutcome] = []
    /// Bytes of the newest texts of buffers and of jobs.
    var textBytes: Int { burstBytes + jobsBytes }
    private var burstBytes = 0
    private var jobsBytes = 0
    private var detailOrder: [JobID] = []
    private let zone: LocalTime.Zone

    init(
        reader: RecordingReader, kind: SourceInfo.Kind = .replay, viewer: String, thresholds: RuleThresholds
    ) {
        zone = .fixed(secondsEastOfUTC: reader.utcOffsetSeconds)
        watch = Watch(source: SourceInfo(kind: kind, viewer: viewer), thresholds: thresholds, zone: zone)
        for fault in reader.faults { note(fault, at: reader.startedAt) }
    }

    /// Reads one entry of the recording. What cannot be read is an event, and the rest goes on.
    mutating func take(_ index: Int, of reader: inout RecordingReader) {
        let entry = reader.entries[index]
        guard let call = entry.call else { return }
        do throws(RecordingFault) {
            take(call, entry.arguments, try reader.run(index))
        } catch {
            note(error, at: entry.endedAt)
        }
    }

    private mutating func take(_ call: Call, _ arguments: [String], _ run: CommandRun) {
        let sample = Sample.read(
            call, arguments: arguments, result: run.result, startedAt: run.startedAt,
            durationMilliseconds: run.durationMilliseconds, zone: zone)
        watch.ingest(sample)
        if call == .burst { burstBytes = run.result.output.count }
        if call == .jobs { jobsBytes = run.result.output.count }
        let endedAt = run.startedAt.adding(milliseconds: run.durationMilliseconds)
        switch call {
        case .job(let id):
            if case .failure(let why) = sample.answer {
                detailFailures[id] = why
            } else {
                detailFailures[id] = nil
                details[id] = watch.detail(id)
                detailOrder.removeAll { $0 == id }
                detailOrder.append(id)
                if detailOrder.count > Delivery.detailsMax { details[detailOrder.removeFirst()] = nil }
            }
        case .status(let request):
            status = StatusOutcome(
                request: request, result: run.result, at: endedAt, durationMilliseconds: run.durationMilliseconds)
        case .cancel(let id, let hurry):
            cancels.append(
                CancelOutcome(
                    order: CancelOrder(jobID: id, hurry: hurry), arguments: arguments, end: run.result.end,
                    errors: String(decoding: run.result.errors, as: UTF8.self), at: endedAt))
            if cancels.count > Delivery.cancelsMax { cancels.removeFirst() }
        default: break
        }
    }

    mutating func note(_ fault: RecordingFault, at time: Timestamp) {
        watch.note(Event(at: time, level: .warn, kind: .note, subject: .controller, text: "\(fault)"))
    }

    mutating func note(_ event: Event) { watch.note(event) }
    mutating func acknowledge(_ id: Alert.ID, at time: Timestamp) { watch.acknowledge(id, at: time) }
    mutating func ingest(_ sample: Sample) { watch.ingest(sample) }

    /// - Parameter newest: the entry up to which the recording was read.
    mutating func delivery(at now: Timestamp, newest: Int, of reader: RecordingReader) -> Delivery {
        var board = watch.board(at: now)
        board.calls = Self.calls(upTo: newest, of: reader)
        var delivery = Delivery(board: board)
        delivery.details = details
        delivery.detailFailures = detailFailures
        delivery.status = status
        delivery.cancels = cancels
        return delivery
    }

    /// What the recorded calls cost.
    private static func calls(upTo newest: Int, of reader: RecordingReader) -> CallStatistics {
        var calls = CallStatistics()
        guard newest >= 0 else { return calls }
        calls.count = newest + 1
        let entries = reader.entries[max(0, newest + 1 - PollPlan.durationsMax)...newest]
        let end = reader.entries[newest].startedAt
        calls.perMinute = entries.count { end.milliseconds - $0.startedAt.milliseconds < 60_000 }
        let durations = entries.map(\.durationMilliseconds).sorted()
        calls.medianMilliseconds = durations[durations.count / 2]
        calls.p95Milliseconds = durations[min(durations.count - 1, durations.count * 95 / 100)]
        func interval(_ call: Call) -> Int {
            let starts = entries.filter { $0.call == call }.suffix(2).map(\.startedAt)
            return starts.count == 2 ? starts[1].seconds(since: starts[0]) : 0
        }
        calls.burstInterval = interval(.burst)
        calls.jobsInterval = interval(.jobs)
        return calls
    }

    /// Answers of a source that makes no calls.
    static func refuse(_ request: CollectorRequest, _ why: String, at now: Timestamp, in delivery: inout Delivery) {
        switch request {
        case .cancel(let orders):
            for order in orders {
                delivery.cancels.append(
                    CancelOutcome(order: order, arguments: [], end: .failed(why), errors: "", at: now))
            }
            delivery.cancels.removeFirst(max(0, delivery.cancels.count - Delivery.cancelsMax))
        case .detail(let id, _): if delivery.details[id] == nil { delivery.detailFailures[id] = why }
        case .status(let request):
            delivery.status = StatusOutcome(
                request: request, result: CommandResult(end: .failed(why)), at: now, durationMilliseconds: 0)
        default: break
        }
    }
}
