package import BurstModel

/// Asks Slurm's commands by the rules of `PollPlan`, reads the answers off the user's thread, and delivers boards.
package final class Collector: BoardSource {
    private let box: DeliveryBox
    private let mailbox = Mailbox<Message>()
    private let parts: Parts

    enum Message: Sendable {
        case request(CollectorRequest)
        case finished(Call, arguments: [String], CommandRun, monotonic: Int64)
        case timer(Int)
        /// The stager has told something.
        case stager
    }

    /// What a collector is made of.
    struct Parts: Sendable {
        let runner: any CommandRunner
        let settings: CollectorSettings
        let zone: LocalTime.Zone
        let clock: SourceClock
        let recorder: Recorder?
        let eventLog: EventLog?
        let jitter: @Sendable () -> Double
        let stager: StagerLine?
    }

    /// - Parameters:
    ///   - stager: a burstd's socket, whose stager is watched beside Slurm where one listens there.
    ///   - program: our name and version, for burstd.
    ///   - jitter: chance, -1 to 1, that keeps many viewers from asking at the same moment.
    ///   - onChange: called after each new delivery, on the collector's thread.
    ///   - prepare: called before that, on the collector's thread, with each board whose rows are new.
    package init(
        runner: any CommandRunner, settings: CollectorSettings, zone: LocalTime.Zone, clock: SourceClock = .system,
        recorder: Recorder? = nil, eventLog: EventLog? = nil, stager: String? = nil, program: String = "burstmon",
        jitter: @escaping @Sendable () -> Double = { Double.random(in: -1...1) },
        onChange: @escaping @Sendable () -> Void, prepare: @escaping @Sendable (Board) -> Void = { _ in }
    ) {
        parts = Parts(
            runner: runner, settings: settings, zone: zone, clock: clock, recorder: recorder, eventLog: eventLog,
            jitter: jitter, stager: stager.map { StagerLine(path: $0, program: program, clock: clock) })
        let source = SourceInfo(kind: .slurm, viewer: settings.viewer)
        box = DeliveryBox(
            Delivery(board: Board(source: source, now: clock.now())), prepare: prepare, onChange: onChange)
    }

    package func start() {
        let (parts, box) = (parts, box)
        mailbox.start { [mailbox] messages in
            var loop = CollectorLoop(parts: parts, box: box, mailbox: mailbox)
            parts.stager?.start { mailbox.send(.stager) }
            await loop.run(messages)
            parts.stager?.stop()
        }
    }

    package func stop() async {
        parts.stager?.stop()
        await mailbox.stop()
    }

    package func send(_ request: CollectorRequest) { mailbox.send(.request(request)) }
    package func latest() -> Delivery { box.latest }

    /// Asks each thing once, in turn, for output that is printed and done. What fails is a fault of the board.
    package func oneShot(jobs: Bool) async -> Delivery {
        var watch = CollectorLoop.watch(parts)
        var faults: [Fault] = []
        var unasked: [Fault] = []
        var calls = CallStatistics()
        var durations: [Int64] = []
        // A controller that does not answer would let each of them wait for its time limit.
        var isDeaf = false
        // Meanwhile the stager, if there is one, has time to answer.
        parts.stager?.start {}
        defer { parts.stager?.stop() }
        for call in [Call.burst, .config] + (jobs ? [.jobs] : []) + [.reservations] {
            let arguments = call.arguments(jobsOf: parts.settings.jobsUser)
            if isDeaf {
                unasked.append(
                    Fault(
                        reply: CollectorLoop.name(arguments), line: 0,
                        message: "was not asked, since the controller does not answer"))
                continue
            }
            let monotonic = parts.clock.monotonicMilliseconds()
            let run = await parts.runner.run(arguments, timeoutSeconds: parts.settings.timeoutSeconds)
            _ = parts.recorder?.record(run, arguments: arguments, monotonicMilliseconds: monotonic)
            let sample = CollectorLoop.sample(call, arguments, run, parts.zone)
            watch.ingest(sample)
            calls.count += 1
            durations.append(run.durationMilliseconds)
            if case .failure(let why) = sample.answer {
                calls.failures += 1
                faults.append(Fault(reply: CollectorLoop.name(arguments), line: 0, message: why))
                if call == .burst, run.durationMilliseconds >= 5_000 { isDeaf = true }
            }
        }
        if let sample = await parts.stager?.first(clock: parts.clock, zone: parts.zone) { watch.ingest(sample) }
        var board = watch.board(at: parts.clock.now())
        for fault in faults where !board.faults.contains(where: { $0.message == fault.message }) {
            board.faults.append(fault)
        }
        board.faults += unasked
        durations.sort()
        calls.medianMilliseconds = durations[durations.count / 2]
        calls.p95Milliseconds = durations.last
        board.calls = calls
        let delivery = Delivery(board: board)
        box.deliver(delivery, isNew: true)
        return box.latest
    }
}

/// The collector's own state, on its own task.
struct CollectorLoop: ~Copyable {
    private let parts: Collector.Parts
    private let box: DeliveryBox
    private let mailbox: Mailbox<Collector.Message>
    private var watch: Watch
    private var plan: PollPlan
    private var delivery: Delivery
    private var detailOrder: [JobID] = []
    private var bufferCount: Int?
    private var jobsUseBuffers: Bool?
    private var running: (call: Call, task: Task<Void, Never>)?
    private var timer: Task<Void, Never>?
    private var timerNumber = 0
    private var lastLogged: Event?
    private var stagingPace = StagingRecordPace()
    /// The rows have changed since the last delivery.
    private var isNew = true

    init(parts: Collector.Parts, box: DeliveryBox, mailbox: Mailbox<Collector.Message>) {
        self.parts = parts
        self.box = box
        self.mailbox = mailbox
        watch = Self.watch(parts)
        plan = PollPlan(pace: parts.settings.pace, at: parts.clock.now())
        delivery = box.latest
    }

    static func watch(_ parts: Collector.Parts) -> Watch {
        Watch(
            source: SourceInfo(kind: .slurm, viewer: parts.settings.viewer), thresholds: parts.settings.thresholds,
            zone: parts.zone)
    }

    static func sample(_ call: Call, _ arguments: [String], _ run: CommandRun, _ zone: LocalTime.Zone) -> Sample {
        Sample.read(
            call, arguments: arguments, result: run.result, startedAt: run.startedAt,
            durationMilliseconds: run.durationMilliseconds, zone: zone)
    }

    static func name(_ arguments: [String]) -> String {
        arguments.first == "squeue" ? "squeue" : arguments.filter { $0 != "-v" }.joined(separator: " ")
    }

    mutating func run(_ messages: AsyncStream<Collector.Message>) async {
        warmStart()
        advance()
        deliver()
        for await message in messages {
            switch message {
            case .request(let request): handle(request)
            case .finished(let call, let arguments, let run, let monotonic):
                finish(call, arguments, run, monotonic)
            case .timer(let number): if number != timerNumber { continue }
            case .stager: if !takeStager() { continue }
            }
            if mailbox.isStopped { break }
            parts.stager?.beat()
            recordStaging()
            advance()
            // A timer that only came to wait again changed nothing.
            if case .timer = message, running == nil { continue }
            deliver()
        }
        timer?.cancel()
    }

    // MARK: The stager

    /// - Returns: whether there is anything to tell.
    private mutating func takeStager() -> Bool {
        let samples = parts.stager?.samples(zone: parts.zone) ?? []
        for (sample, body) in samples {
            if let body { stagingPace.took(body, at: sample.endedAt) }
            watch.ingest(sample)
            isNew = true
        }
        return !samples.isEmpty
    }

    private mutating func recordStaging() {
        guard let recorder = parts.recorder, let (body, at) = stagingPace.due(at: parts.clock.now()) else { return }
        let run = CommandRun(CommandResult(end: .exit(0), output: body), startedAt: at, durationMilliseconds: 0)
        let event = recorder.record(
            run, arguments: Call.staging.arguments(), monotonicMilliseconds: parts.clock.monotonicMilliseconds())
        if let event { watch.note(event) }
    }

    // MARK: Asking

    private mutating func advance() {
        let now = parts.clock.now()
        switch plan.next(at: now) {
        case .call(let call): launch(call)
        case .wait(let until): if let until { arm(until, now) }
        }
    }

    private mutating func launch(_ call: Call) {
        let arguments = call.arguments(jobsOf: parts.settings.jobsUser)
        var limit = parts.settings.timeoutSeconds
        if case .status = call {
            limit = parts.settings.statusTimeoutSeconds
            delivery.statusRunningSince = parts.clock.now()
        }
        let task = Task { [parts, mailbox, limit] in
            let monotonic = parts.clock.monotonicMilliseconds()
            let run = await parts.runner.run(arguments, timeoutSeconds: limit)
            mailbox.send(.finished(call, arguments: arguments, run, monotonic: monotonic))
        }
        running = (call, task)
        mailbox.work(task)
    }

    private mutating func arm(_ until: Timestamp, _ now: Timestamp) {
        timer?.cancel()
        timerNumber += 1
        // The wall clock may be set meanwhile; a minute later that is noticed.
        let wait = min(60_000, max(1, until.milliseconds - now.milliseconds))
        timer = Task { [parts, mailbox, timerNumber] in
            guard (try? await parts.clock.sleep(wait)) != nil else { return }
            mailbox.send(.timer(timerNumber))
        }
    }

    private mutating func finish(_ call: Call, _ arguments: [String], _ run: CommandRun, _ monotonic: Int64) {
        running = nil
        let sample = Self.sample(call, arguments, run, parts.zone)
        // A call that was under way while the program was stopped fails of that: its time limit goes on, and nobody
        // read its output. The plan asks again; for the board nothing has happened.
        if plan.isInterrupted, call.isRepeatable, case .failure = sample.answer {
            plan.finished(
                call, succeeded: false, startedAt: run.startedAt, durationMilliseconds: run.durationMilliseconds,
                at: parts.clock.now(), jitter: 0)
            return
        }
        if let event = parts.recorder?.record(run, arguments: arguments, monotonicMilliseconds: monotonic) {
            watch.note(event)
        }
        watch.ingest(sample)
        isNew = true
        var succeeded = true
        let endedAt = run.startedAt.adding(milliseconds: run.durationMilliseconds)
        switch sample.answer {
        case .burst(let report, _): bufferCount = report.bufferCount
        case .jobs(let jobs, _): jobsUseBuffers = jobs.contains { $0.usesBuffers }
        case .status(let result): succeeded = result.end == .exit(0)
        case .failure(let why):
            succeeded = false
            if case .job(let id) = call { delivery.detailFailures[id] = why }
        default: break
        }
        switch call {
        case .job(let id):
            if succeeded { keepDetail(id) }
        case .status(let request):
            delivery.statusRunningSince = nil
            delivery.status = StatusOutcome(
                request: request, result: run.result, at: endedAt, durationMilliseconds: run.durationMilliseconds)
        case .cancel(let id, let hurry):
            outcome(
                CancelOutcome(
                    order: CancelOrder(jobID: id, hurry: hurry), arguments: arguments, end: run.result.end,
                    errors: String(decoding: run.result.errors, as: UTF8.self), at: endedAt))
        default: break
        }
        plan.finished(
            call, succeeded: succeeded, startedAt: run.startedAt, durationMilliseconds: run.durationMilliseconds,
            bufferCount: bufferCount, hasBuffersOrJobs: (bufferCount ?? 0) > 0 || jobsUseBuffers ?? true,
            at: parts.clock.now(), jitter: parts.jitter())
    }

    private mutating func keepDetail(_ id: JobID) {
        delivery.detailFailures[id] = nil
        delivery.details[id] = watch.detail(id)
        detailOrder.removeAll { $0 == id }
        detailOrder.append(id)
        if detailOrder.count > Delivery.detailsMax { delivery.details[detailOrder.removeFirst()] = nil }
        if delivery.detailFailures.count > Delivery.detailsMax { delivery.detailFailures = [:] }
    }

    private mutating func outcome(_ outcome: CancelOutcome) {
        delivery.cancels.append(outcome)
        if delivery.cancels.count > Delivery.cancelsMax { delivery.cancels.removeFirst() }
    }

    // MARK: Requests

    private mutating func handle(_ request: CollectorRequest) {
        let now = parts.clock.now()
        switch request {
        case .refresh:
            endStatus()
            plan.refresh(at: now)
        case .detail(let id, let again):
            endStatus()
            plan.request(.job(id), at: now, again: again)
            // An earlier failure says nothing of the answer to come.
            if plan.awaits(.job(id)) { delivery.detailFailures[id] = nil }
        case .status(let request):
            endStatus()
            plan.request(.status(request), at: now)
        case .cancel(let orders):
            endStatus()
            for order in orders where !plan.request(.cancel(order.jobID, hurry: order.hurry), at: now) {
                notSent(order, "at most \(PollPlan.cancelsWaitingMax) cancels wait at once", now)
            }
        case .stopCancels:
            for case .cancel(let id, let hurry) in plan.stopCancels() {
                notSent(CancelOrder(jobID: id, hurry: hurry), "stopped before it was sent", now)
            }
        case .acknowledge(let id):
            watch.acknowledge(id, at: now)
            isNew = true
        case .note(let event):
            watch.note(event)
            isNew = true
        case .interval(let delta): plan.changeInterval(delta: delta)
        case .intervalSet(let seconds): plan.setInterval(seconds: seconds)
        case .jobsScreen(let isOpen): plan.jobsScreenOpen = isOpen
        case .idle(let isIdle): plan.idle = isIdle
        case .suspended(let isSuspended): if isSuspended { plan.suspend(at: now) } else { plan.resume(at: now) }
        case .focusLost(let isLost): plan.focusLost = isLost
        case .replay: break
        case .watchMore: plan.watchMore()
        }
    }

    /// A status may take a minute; whoever wants something else meanwhile need not wait for it.
    private mutating func endStatus() {
        if let running, case .status = running.call { running.task.cancel() }
    }

    private mutating func notSent(_ order: CancelOrder, _ why: String, _ now: Timestamp) {
        outcome(CancelOutcome(order: order, arguments: [], end: .failed(why), errors: "", at: now))
    }

    // MARK: Telling

    private mutating func deliver() {
        let now = parts.clock.now()
        if isNew {
            delivery.board = watch.board(at: now)
            logEvents()
        }
        delivery.board.calls = plan.statistics(at: now)
        delivery.cancelsWaiting = plan.cancelsWaiting
        box.deliver(delivery, isNew: isNew)
        isNew = false
    }

    private mutating func logEvents() {
        guard let last = delivery.board.events.last, last != lastLogged else { return }
        let events = delivery.board.events
        let first = lastLogged.flatMap { events.lastIndex(of: $0) }.map { $0 + 1 } ?? 0
        lastLogged = last
        if let failure = parts.eventLog?.append(events[first...]) {
            watch.note(failure)
            delivery.board = watch.board(at: delivery.board.now)
        }
    }

    private mutating func warmStart() {
        let since = parts.clock.now().adding(seconds: -parts.settings.warmStartSeconds)
        for path in parts.settings.warmStart {
            // History is a help, not a condition: what cannot be read is told and left out.
            do throws(RecordingFault) {
                var reader = try RecordingReader(path: path)
                for (index, entry) in reader.entries.enumerated() where entry.startedAt >= since {
                    guard let call = entry.call, !mailbox.isStopped else { continue }
                    watch.ingest(Self.sample(call, entry.arguments, try reader.run(index), parts.zone))
                }
                for fault in reader.faults { note(fault) }
            } catch {
                note(error)
            }
        }
        lastLogged = watch.board(at: parts.clock.now()).events.last
    }

    private mutating func note(_ fault: RecordingFault) {
        watch.note(
            Event(
                at: parts.clock.now(), level: .warn, kind: .note, subject: .controller,
                text: "earlier recording: \(fault)"))
    }
}
