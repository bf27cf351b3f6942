import BurstClient
package import BurstModel
import BurstWire
import Synchronization

/// Boards from `burstd`: it pushes what changed, and is asked over its socket where Slurm's commands would be run. What
/// comes is read as what the commands print. Besides it tells what Slurm cannot: exact ages, the function of the script
/// under way, progress, and the calls themselves.
package final class EngineSource: BoardSource {
    private let box: DeliveryBox
    private let mailbox = Mailbox<Message>()
    private let parts: Parts
    /// Everything was told at least once.
    private let isComplete = Mutex(false)

    enum Message: Sendable {
        case request(CollectorRequest)
        case news
        case beat
    }

    struct Parts: Sendable {
        let line: EngineLine
        let settings: CollectorSettings
        let zone: LocalTime.Zone
        let clock: SourceClock
        let recorder: Recorder?
        let eventLog: EventLog?
    }

    /// - Parameters:
    ///   - path: burstd's socket.
    ///   - program: our name and version, for burstd.
    ///   - onChange, prepare: as `Collector` has them.
    package init(
        path: String, program: String, settings: CollectorSettings, zone: LocalTime.Zone, clock: SourceClock = .system,
        recorder: Recorder? = nil, eventLog: EventLog? = nil, onChange: @escaping @Sendable () -> Void,
        prepare: @escaping @Sendable (Board) -> Void = { _ in }
    ) {
        parts = Parts(
            line: EngineLine(path: path, program: program, clock: clock), settings: settings, zone: zone, clock: clock,
            recorder: recorder, eventLog: eventLog)
        let source = SourceInfo(kind: .burstd, viewer: settings.viewer)
        box = DeliveryBox(
            Delivery(board: Board(source: source, now: clock.now())), prepare: prepare, onChange: onChange)
    }

    package func start() {
        let (parts, box) = (parts, box)
        mailbox.start { [self] messages in
            let beats = Task { [mailbox] in
                while (try? await parts.clock.sleep(EngineLoop.beatMilliseconds)) != nil { mailbox.send(.beat) }
            }
            parts.line.start(onNews: { [mailbox] in mailbox.send(.news) })
            var loop = EngineLoop(parts: parts, box: box) { [self] in isComplete.withLock { $0 = true } }
            for await message in messages {
                if mailbox.isStopped { break }
                loop.take(message)
            }
            beats.cancel()
            parts.line.stop()
        }
    }

    package func stop() async {
        parts.line.stop()
        await mailbox.stop()
    }

    package func send(_ request: CollectorRequest) { mailbox.send(.request(request)) }
    package func latest() -> Delivery { box.latest }

    /// Milliseconds between two looks at what came, where one answer is all that is wanted.
    private static let lookMilliseconds: Int64 = 10

    /// Asks each thing once, for output that is printed and done. What fails is a fault of the board.
    package func oneShot() async -> Delivery {
        start()
        let until = parts.clock.monotonicMilliseconds() + Int64(parts.settings.timeoutSeconds) * 1000
        while !isComplete.withLock({ $0 }), parts.clock.monotonicMilliseconds() < until {
            if case .stale = box.latest.board.health { break }
            guard (try? await parts.clock.sleep(Self.lookMilliseconds)) != nil else { break }
        }
        await stop()
        var delivery = box.latest
        if delivery.board.health == .connecting {
            let why = "burstd did not answer within \(parts.settings.timeoutSeconds) s"
            delivery.board.health = .stale(
                reason: why, since: parts.clock.now(), tries: 1, lastGood: nil)
            delivery.board.faults.append(Fault(reply: "burstd", line: 0, message: why))
        }
        return delivery
    }
}

/// The source's own state, on its own task.
struct EngineLoop: ~Copyable {
    /// Milliseconds between two looks at what is due.
    static let beatMilliseconds: Int64 = 1000
    /// Milliseconds after which burstd must have answered that it is there, and between two such questions.
    static let silenceMax: Int64 = 10_000
    static let pingEvery: Int64 = 2_000
    /// Milliseconds between two questions for what is not pushed: configuration and reservations.
    static let askEvery: Int64 = 30_000
    /// Milliseconds after which an unchanged text counts as new again, at least; and how many times what it took to
    /// read.
    static let againEvery: Int64 = 5_000
    static let againFactor: Int64 = 50
    /// Questions under way at once.
    static let askedMax = 32
    /// Calls that are asked for at the beginning.
    static let callsAsked = 300
    /// Seconds between pushes that a user steps through; the first one is usual.
    static let steps = [1, 2, 5, 10, 30, 60]

    /// What a question was for.
    private enum Purpose {
        case subscribe, ping, trace, staging
        case call(Call)
    }

    private struct Asked {
        var purpose: Purpose
        var startedAt: Timestamp
        var monotonic: Int64
    }

    /// The newest text of one kind.
    private struct Text {
        var call: Call
        var result: CommandResult
        var sample: Sample
        /// Milliseconds of the clock that never jumps: when it was last taken in.
        var takenAt: Int64
        /// How long that took.
        var cost: Int64
    }

    private let parts: EngineSource.Parts
    private let box: DeliveryBox
    private let onComplete: () -> Void
    private var watch: Watch
    private var delivery: Delivery
    private var generation = 0
    private var asked: [UInt64: Asked] = [:]
    private var burst: Text?
    private var jobs: Text?
    private var extras: Extras?
    /// The stager's document; nil where there is none. It was told of, or that there is none.
    private var staging: Text?
    private var isStagingAnswered = false
    private var stagingPace = StagingRecordPace()
    private var calls: [UInt64: HookRun] = [:]
    private var details: [JobID] = []
    private var cancels: [CancelOrder] = []
    private var hasConfig = false
    private var hasReservations = false
    private var detailOrder: [JobID] = []
    private var intervalSeconds = EngineLoop.steps[0]
    private var isIdle = false
    private var pingedAt: Int64?
    private var lastBeat: Int64 = 0
    private var pollsAt: Int64 = 0
    private var retryAt: Timestamp?
    private var lastLogged: Event?
    private var isNew = false

    private var count = 0
    private var failures = 0
    private var starts: [Int64] = []
    private var durations: [Int64] = []

    init(parts: EngineSource.Parts, box: DeliveryBox, onComplete: @escaping () -> Void) {
        self.parts = parts
        self.box = box
        self.onComplete = onComplete
        watch = Watch(
            source: SourceInfo(kind: .burstd, viewer: parts.settings.viewer), thresholds: parts.settings.thresholds,
            zone: parts.zone)
        delivery = box.latest
    }

    private var isConnected: Bool { generation > 0 }

    mutating func take(_ message: EngineSource.Message) {
        switch message {
        case .request(let request): handle(request)
        case .beat: if !beat() { return }
        case .news:
            let events = parts.line.take()
            if events.isEmpty { return }
            for event in events { take(event) }
        }
        deliver()
    }

    private mutating func take(_ event: EngineLine.Event) {
        switch event {
        case .connected(let generation):
            self.generation = generation
            asked = [:]
            retryAt = nil
            pingedAt = nil
            pollsAt = 0
            subscribe()
            ask(.trace(job: nil, follow: false, last: Self.callsAsked), .trace)
            // Who prints one board and ends must not miss what would be pushed a moment later.
            ask(.list(.staging), .staging)
            _ = beat()
        case .message(let message, let at):
            if case .push(let push) = message.answer {
                take(push, message.body, at)
            } else if let id = message.question {
                take(answer: message.answer, to: id, message.body, at)
            }
        case .lost(let reason, let startedAt, let at, let retryAt): lost(reason, startedAt, at, retryAt)
        }
    }

    // MARK: Asking

    @discardableResult
    private mutating func ask(_ ask: Question.Ask, _ purpose: Purpose) -> Bool {
        guard asked.count < Self.askedMax, let id = parts.line.send(ask, generation: generation) else { return false }
        asked[id] = Asked(
            purpose: purpose, startedAt: parts.clock.now(), monotonic: parts.clock.monotonicMilliseconds())
        return true
    }

    private mutating func subscribe() {
        var subscription = Subscription()
        if parts.settings.pace.asksJobs {
            var queue = Show.Queue()
            queue.fields = SqueueText.format
            queue.header = false
            queue.states = ["all"]
            if let user = parts.settings.jobsUser { queue.users = [user] }
            subscription.queue = queue
        }
        subscription.staging = true
        subscription.intervalMilliseconds = interval * 1000
        ask(.subscribe(subscription), .subscribe)
    }

    /// Seconds between two pushes now.
    private var interval: Int { isIdle ? max(10, intervalSeconds) : intervalSeconds }

    /// What is due.
    /// - Returns: whether there is anything to tell.
    private mutating func beat() -> Bool {
        let now = parts.clock.monotonicMilliseconds()
        // This process itself was stopped for a while: an answer may lie here unread.
        let wasAway = now - lastBeat > 3 * Self.beatMilliseconds
        lastBeat = now
        guard isConnected else { return false }
        if let ping = asked.values.first(where: { if case .ping = $0.purpose { true } else { false } }) {
            if now - ping.monotonic > Self.silenceMax, !wasAway {
                parts.line.drop(
                    "burstd has not answered for \(Self.silenceMax / 1000) s", generation: generation)
            }
        } else if pingedAt.map({ now - $0 >= Self.pingEvery }) ?? true {
            pingedAt = now
            ask(.ping, .ping)
        }
        if pollsAt == 0 || now - pollsAt >= Self.askEvery {
            pollsAt = now
            ask(.show(.config), .call(.config))
            ask(.show(.reservations(name: nil, oneLine: false)), .call(.reservations))
        }
        recordStaging()
        askNext()
        return false
    }

    /// Details and cancels that wait.
    private mutating func askNext() {
        guard isConnected else { return }
        while let id = details.last {
            guard ask(.show(.jobs(id: "\(id)", oneLine: false)), .call(.job(id))) else { break }
            details.removeLast()
        }
        let isCancelling = asked.values.contains { asked in
            if case .call(.cancel) = asked.purpose { true } else { false }
        }
        if let order = cancels.first, !isCancelling {
            var command = Command(.cancel, jobs: ["\(order.jobID)"])
            command.hurry = order.hurry
            if ask(.command(command), .call(.cancel(order.jobID, hurry: order.hurry))) { cancels.removeFirst() }
        }
    }

    // MARK: Answers

    private mutating func take(answer: Answer, to id: UInt64, _ body: [UInt8], _ at: Timestamp) {
        guard let question = asked.removeValue(forKey: id) else { return }
        let duration = max(0, parts.clock.monotonicMilliseconds() - question.monotonic)
        note(duration, at: question.monotonic)
        switch question.purpose {
        case .subscribe:
            if case .refused(_, _, let text, _) = answer { parts.line.drop(text, generation: generation) }
        case .ping:
            pingedAt = question.monotonic
            again(at: question.startedAt.adding(milliseconds: -Int64(interval) * 1000))
        case .trace:
            guard case .body = answer else { return }
            for line in body.split(separator: UInt8(ascii: "\n")) { take(call: line, at: at) }
            if delivery.calls == nil { delivery.calls = [] }
        case .staging:
            isStagingAnswered = true
            // Refused: this burstd has no stager, and nothing is amiss.
            if case .body = answer { takeStaging(body, at) }
        case .call(let call):
            finish(call, Self.result(of: answer, body, call), question.startedAt, duration)
        }
        askNext()
    }

    /// An answer as the command of that name would have ended.
    private static func result(of answer: Answer, _ body: [UInt8], _ call: Call) -> CommandResult {
        switch answer {
        case .body: return CommandResult(end: .exit(0), output: body)
        case .done(_, let outcomes):
            // As scancel: a job that is over, or unknown, is no failure (corpus cancel-completed).
            let wrong = outcomes.filter {
                $0.code != 0 && $0.code != 2017 && $0.code != 2021 || $0.code == 0 && !$0.text.isEmpty
            }
            let lines = wrong.map { "scancel: error: Kill job error on job id \($0.shown): \($0.text)\n" }
            return CommandResult(end: .exit(wrong.isEmpty ? 0 : 1), errors: Array(lines.joined().utf8))
        case .refused(_, _, let text, let notes):
            let program = call.arguments()[0]
            let lines = (notes + [text]).map { "\(program): error: \($0)\n" }
            return CommandResult(end: .exit(1), errors: Array(lines.joined().utf8))
        default: return CommandResult(end: .failed("burstd answered something else than was asked"))
        }
    }

    /// Takes a call's end in as the source that runs commands does.
    private mutating func finish(
        _ call: Call, _ result: CommandResult, _ startedAt: Timestamp, _ duration: Int64
    ) {
        let arguments = call.arguments(jobsOf: parts.settings.jobsUser)
        record(result, arguments, startedAt, duration)
        let sample = Sample.read(
            call, arguments: arguments, result: result, startedAt: startedAt, durationMilliseconds: duration,
            zone: parts.zone)
        watch.ingest(sample)
        isNew = true
        let endedAt = startedAt.adding(milliseconds: duration)
        var failure: String?
        if case .failure(let why) = sample.answer {
            failure = why
            failures += 1
        }
        switch call {
        case .config: hasConfig = true
        case .reservations: hasReservations = true
        case .job(let id):
            if let failure {
                delivery.detailFailures[id] = failure
            } else {
                keepDetail(id)
            }
        case .status(let request):
            delivery.statusRunningSince = nil
            delivery.status = StatusOutcome(
                request: request, result: result, at: endedAt, durationMilliseconds: duration)
        case .cancel(let id, let hurry):
            outcome(
                CancelOutcome(
                    order: CancelOrder(jobID: id, hurry: hurry), arguments: arguments, end: result.end,
                    errors: String(decoding: result.errors, as: UTF8.self), at: endedAt))
        case .burst, .jobs, .staging: break
        }
    }

    private mutating func record(
        _ result: CommandResult, _ arguments: [String], _ startedAt: Timestamp, _ duration: Int64
    ) {
        guard let recorder = parts.recorder else { return }
        let run = CommandRun(result, startedAt: startedAt, durationMilliseconds: duration)
        let monotonic = parts.clock.monotonicMilliseconds() - duration
        if let event = recorder.record(run, arguments: arguments, monotonicMilliseconds: monotonic) {
            watch.note(event)
        }
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

    // MARK: Pushes

    private mutating func take(_ push: Push, _ body: [UInt8], _ at: Timestamp) {
        note(nil, at: parts.clock.monotonicMilliseconds())
        switch push {
        case .burst: burst = take(.burst, CommandResult(end: .exit(0), output: body), at)
        case .queue: jobs = take(.jobs, CommandResult(end: .exit(0), output: body), at)
        case .extras:
            do throws(FrameError) {
                extras = try Listing.read(Extras.self, from: body)
                takeExact(at: at)
            } catch {
                strange(error, at: at)
            }
        case .call: take(call: body[...], at: at)
        case .staging: takeStaging(body, at)
        }
    }

    private mutating func takeStaging(_ body: [UInt8], _ at: Timestamp) {
        staging = take(.staging, CommandResult(end: .exit(0), output: body), at)
        stagingPace.took(body, at: at)
    }

    /// The newest document that is not recorded, when it is time.
    private mutating func recordStaging() {
        guard let (body, at) = stagingPace.due(at: parts.clock.now()) else { return }
        record(CommandResult(end: .exit(0), output: body), Call.staging.arguments(), at, 0)
    }

    private mutating func take(_ call: Call, _ result: CommandResult, _ at: Timestamp) -> Text {
        let began = parts.clock.monotonicMilliseconds()
        let arguments = call.arguments(jobsOf: parts.settings.jobsUser)
        let sample = Sample.read(
            call, arguments: arguments, result: result, startedAt: at, durationMilliseconds: 0, zone: parts.zone)
        if call != .staging { record(result, arguments, at, 0) }
        watch.ingest(sample)
        isNew = true
        let now = parts.clock.monotonicMilliseconds()
        return Text(call: call, result: result, sample: sample, takenAt: now, cost: now - began)
    }

    /// burstd has answered, and pushed nothing: what was pushed last holds still.
    private mutating func again(at moment: Timestamp) {
        let now = parts.clock.monotonicMilliseconds()
        func isDue(_ text: Text) -> Bool {
            now - text.takenAt >= max(Self.againEvery, text.cost * Self.againFactor)
                && text.sample.startedAt < moment
        }
        var took = false
        func take(_ text: inout Text?, _ watch: inout Watch) -> (CommandResult, [String])? {
            guard var newest = text, isDue(newest) else { return nil }
            newest.sample.startedAt = moment
            watch.ingest(newest.sample)
            newest.takenAt = now
            newest.cost = parts.clock.monotonicMilliseconds() - now
            text = newest
            took = true
            return (newest.result, newest.sample.arguments)
        }
        for taken in [take(&burst, &watch), take(&jobs, &watch)] {
            if let (result, arguments) = taken { record(result, arguments, moment, 0) }
        }
        _ = take(&staging, &watch)
        if took {
            isNew = true
            takeExact(at: moment)
        }
    }

    private mutating func takeExact(at: Timestamp) {
        var since: [JobID: Timestamp] = [:]
        var work: [JobID: StageWork] = [:]
        for job in extras?.jobs ?? [] {
            let id = JobID(job.job)
            if let moment = job.bufferStateSince { since[id] = Timestamp(milliseconds: moment) }
            var doing = StageWork()
            doing.function = job.function
            doing.functionSince = job.functionSince.map { Timestamp(milliseconds: $0) }
            doing.progress = job.progress.map(Self.progress)
            if !doing.isEmpty { work[id] = doing }
        }
        watch.take(exact: since, at: at)
        delivery.board.work = work
        isNew = true
    }

    private static func progress(_ told: Progress) -> StageProgress {
        var progress = StageProgress()
        progress.filesDone = told.filesDone
        progress.filesTotal = told.filesTotal
        progress.bytesDone = told.bytesDone
        progress.bytesTotal = told.bytesTotal
        progress.bytesPerSecond = told.bytesPerSecond
        progress.secondsLeft = told.secondsLeft
        return progress
    }

    private mutating func take(call body: some Sequence<UInt8>, at: Timestamp) {
        do throws(FrameError) {
            let told = try Listing.read(Listing.Call.self, from: body)
            // The history may come after a push that knows more of the same call.
            if told.outcome == nil, calls[told.call]?.outcome != nil { return }
            calls[told.call] = Self.run(told, at: at)
            if calls.count > Delivery.callsMax, let oldest = calls.keys.min() { calls[oldest] = nil }
            delivery.calls = calls.values.sorted { $0.number < $1.number }
        } catch {
            strange(error, at: at)
        }
    }

    private static func run(_ told: Listing.Call, at: Timestamp) -> HookRun {
        var run = HookRun(
            number: told.call, function: told.function, job: told.jobId.flatMap { $0 > 0 ? JobID($0) : nil },
            arguments: told.arguments, at: Timestamp(rfc3339: told.at) ?? at)
        run.outcome = told.outcome
        run.status = told.status
        run.message = told.message
        run.durationMicroseconds = told.durationMicroseconds
        run.notes = (told.log ?? []).map { "\($0.level): \($0.text)" }
        for line in (told.printed ?? "").split(whereSeparator: \.isNewline) { run.notes.append(String(line)) }
        return run
    }

    private mutating func strange(_ error: FrameError, at: Timestamp) {
        failures += 1
        watch.note(
            Event(at: at, level: .error, kind: .note, subject: .controller, text: "burstd: \(error.description)"))
        isNew = true
    }

    // MARK: Loss

    private mutating func lost(_ reason: String, _ startedAt: Timestamp, _ at: Timestamp, _ retryAt: Timestamp) {
        generation = 0
        self.retryAt = retryAt
        let open = asked.values.sorted { $0.monotonic < $1.monotonic }
        asked = [:]
        for question in open {
            guard case .call(let call) = question.purpose else { continue }
            switch call {
            // Whether it acted is not known; the state will show it.
            case .job, .status, .cancel:
                finish(call, CommandResult(end: .failed(reason)), question.startedAt, 0)
            case .burst, .jobs, .reservations, .config, .staging: break
            }
        }
        for order in cancels { notSent(order, reason, at) }
        cancels = []
        for id in details { delivery.detailFailures[id] = reason }
        details = []
        delivery.board.work = [:]
        fail(reason, at: startedAt)
    }

    private mutating func fail(_ reason: String, at: Timestamp) {
        count += 1
        failures += 1
        watch.ingest(
            Sample(
                call: .burst, arguments: Call.burst.arguments(), startedAt: at, durationMilliseconds: 0,
                answer: .failure(reason)))
        isNew = true
    }

    // MARK: Requests

    private mutating func handle(_ request: CollectorRequest) {
        let now = parts.clock.now()
        switch request {
        case .refresh:
            if isConnected { subscribe() } else { parts.line.hurry() }
        case .detail(let id, let again):
            if !again, let known = delivery.details[id],
                now.milliseconds - known.at.milliseconds < PollPlan.detailKept
            {
                break
            }
            // An earlier failure says nothing of the answer to come.
            delivery.detailFailures[id] = nil
            guard isConnected else {
                delivery.detailFailures[id] = "burstd cannot be reached"
                break
            }
            details.removeAll { $0 == id }
            details.append(id)
            if details.count > PollPlan.detailsWaitingMax { details.removeFirst() }
            askNext()
        case .status(let request):
            if ask(.show(.status(word: request.word, arguments: request.arguments)), .call(.status(request))) {
                delivery.statusRunningSince = now
            } else {
                let result = CommandResult(end: .failed("burstd cannot be reached"))
                delivery.status = StatusOutcome(request: request, result: result, at: now, durationMilliseconds: 0)
            }
        case .cancel(let orders):
            for order in orders {
                if !isConnected {
                    notSent(order, "burstd cannot be reached", now)
                } else if cancels.count >= PollPlan.cancelsWaitingMax {
                    notSent(order, "at most \(PollPlan.cancelsWaitingMax) cancels wait at once", now)
                } else {
                    cancels.append(order)
                }
            }
            askNext()
        case .stopCancels:
            for order in cancels { notSent(order, "stopped before it was sent", now) }
            cancels = []
        case .acknowledge(let id):
            watch.acknowledge(id, at: now)
            isNew = true
        case .note(let event):
            watch.note(event)
            isNew = true
        case .interval(let delta):
            let place = Self.steps.lastIndex { $0 <= intervalSeconds } ?? 0
            intervalSeconds = Self.steps[min(Self.steps.count - 1, max(0, place + delta))]
            subscribe()
        case .intervalSet(let seconds):
            intervalSeconds = min(PollPlan.intervalMax, max(1, seconds))
            subscribe()
        case .idle(let idle), .focusLost(let idle):
            guard isIdle != idle else { break }
            isIdle = idle
            subscribe()
        case .jobsScreen, .suspended, .replay, .watchMore: break
        }
    }

    private mutating func notSent(_ order: CancelOrder, _ why: String, _ now: Timestamp) {
        outcome(CancelOutcome(order: order, arguments: [], end: .failed(why), errors: "", at: now))
    }

    // MARK: Telling

    private mutating func note(_ duration: Int64?, at tick: Int64) {
        count += 1
        starts.append(tick)
        if starts.count > PollPlan.durationsMax { starts.removeFirst(starts.count - PollPlan.durationsMax) }
        guard let duration else { return }
        durations.append(duration)
        if durations.count > PollPlan.durationsMax { durations.removeFirst(durations.count - PollPlan.durationsMax) }
    }

    private var statistics: CallStatistics {
        var statistics = CallStatistics()
        statistics.count = count
        statistics.failures = failures
        let now = parts.clock.monotonicMilliseconds()
        statistics.perMinute = starts.count { now - $0 < 60_000 }
        let sorted = durations.sorted()
        if !sorted.isEmpty {
            statistics.medianMilliseconds = sorted[sorted.count / 2]
            statistics.p95Milliseconds = sorted[min(sorted.count - 1, sorted.count * 95 / 100)]
        }
        statistics.burstInterval = interval
        statistics.jobsInterval = parts.settings.pace.asksJobs ? interval : 0
        statistics.intervalReason = isIdle ? "idle" : ""
        statistics.nextAt = retryAt
        return statistics
    }

    private mutating func deliver() {
        let now = parts.clock.now()
        if isNew {
            let work = delivery.board.work
            delivery.board = watch.board(at: now)
            delivery.board.work = work
            logEvents()
        }
        delivery.board.calls = statistics
        delivery.cancelsWaiting = cancels.count
        box.deliver(delivery, isNew: isNew)
        isNew = false
        if burst != nil, jobs != nil || !parts.settings.pace.asksJobs, hasConfig, hasReservations, extras != nil,
            delivery.calls != nil, isStagingAnswered
        {
            onComplete()
        }
    }

    private mutating func logEvents() {
        guard let last = delivery.board.events.last, last != lastLogged else { return }
        let events = delivery.board.events
        let first = lastLogged.flatMap { events.lastIndex(of: $0) }.map { $0 + 1 } ?? 0
        lastLogged = last
        if let failure = parts.eventLog?.append(events[first...]) { watch.note(failure) }
    }
}
