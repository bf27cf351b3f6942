import BurstDataWarp
import BurstEngine
import BurstModel
import BurstStager
import BurstWire
import Synchronization

/// What reaches the stager's loop.
enum StagerInput: Sendable {
    case event(StagerEvent)
    case verb(StagerVerb, StagerAsker)
    /// Wants the values as they are, to make something of them elsewhere.
    case look(@Sendable (Stager, Timestamp) -> Void)
    /// A client's connection ended.
    case gone(UInt64)
    case stop
}

/// Who waits for a verb's answer.
struct StagerAsker: Sendable {
    var client: any Client
    /// The client's number for its question.
    var question: UInt64
    var caller: Caller
    /// False: the work is begun, and how it went is asked for later.
    var isWaiting: Bool
}

/// Runs the stager: one thread takes events in order, has them decided, makes the records of a batch durable, and only
/// then lets the effects go (DESIGN.md, "Record, then act").
final class StagerLoop {
    private let parts: StagerService.Parts
    private let inbox: Inbox<StagerInput>
    private let storage: BufferStorage
    private let workers: CopyWorkers
    private let lanes: Lanes<SessionID>
    private let removals: Lanes<SessionID>
    private var stager: Stager

    private let listing: ListingFile
    private var lastRequest: UInt64 = 0
    private var askers: [StagerRequest: (asker: StagerAsker, verb: StagerVerb)] = [:]
    private var wakeAt: Timestamp?
    /// The snapshot's files are behind.
    private var areFilesDue = true
    private var filesAt: Int64 = .min / 2
    /// The tables of dwstat are behind; when they may be written again.
    private var areTablesDue = true
    private var tablesAt: Int64 = .min / 2
    private let tables = Chore()
    private var isStopping = false

    // While the state cannot be written.
    private var fault: StateFault?
    /// Not decided yet.
    private var held: [StagerEvent] = []
    private var retryAt: Int64 = 0
    private var retryDelay = DaemonLimits.retryMillisecondsMin
    /// Refusals that are told late.
    private var late: [(at: Int64, asker: StagerAsker, text: String)] = []

    init(
        _ parts: StagerService.Parts, inbox: Inbox<StagerInput>, storage: BufferStorage, workers: CopyWorkers,
        lanes: Lanes<SessionID>, removals: Lanes<SessionID>, stager: Stager
    ) {
        self.parts = parts
        self.inbox = inbox
        self.storage = storage
        self.workers = workers
        self.lanes = lanes
        self.removals = removals
        self.stager = stager
        listing = ListingFile(folder: parts.files.folder)
    }

    private var now: Timestamp { parts.clock.now() }
    private var ticks: Int64 { parts.clock.monotonic() }

    // MARK: The loop

    func run() {
        while !isStopping {
            let (inputs, wasFull) = inbox.take(milliseconds: sleep(), most: StagingLimits.eventsAtOnce)
            if wasFull { parts.onRoom() }
            handle(inputs)
        }
        inbox.close()
        for (asker, _) in askers.values {
            // Slurm's own commands wait for the next daemon: what it cannot know yet is no failure of the job.
            let text = "burstd ended before there was an answer"
            asker.client.answer(.refused(asker.question, code: Answer.daemonEnded, text: text, notes: []))
        }
        for refusal in late { refusal.asker.client.refuse(refusal.asker.question, refusal.text) }
    }

    /// Milliseconds until something is due.
    private func sleep() -> Int64 {
        var least = filesAt + Int64(StagingLimits.beatSeconds) * 1000 - ticks
        if areFilesDue { least = min(least, filesAt + StagingLimits.filesMilliseconds - ticks) }
        // Who is busy is looked after again when something happens, or with the next beat.
        if areTablesDue, !tables.isBusy { least = min(least, tablesAt - ticks) }
        if fault != nil { least = min(least, retryAt - ticks) }
        if let first = late.map(\.at).min() { least = min(least, first - ticks) }
        if let wakeAt { least = min(least, wakeAt.milliseconds - now.milliseconds) }
        return min(DaemonLimits.sleepMillisecondsMax, max(0, least))
    }

    private func handle(_ inputs: [StagerInput]) {
        var events: [(event: StagerEvent, request: StagerRequest?)] = []
        var looks: [@Sendable (Stager, Timestamp) -> Void] = []
        for input in inputs {
            switch input {
            case .event(let event): events.append((event, nil))
            case .verb(let verb, let asker):
                if let fault {
                    refuse(asker, verb, fault)
                    continue
                }
                let request = nextRequest()
                askers[request] = (asker, verb)
                let caller = StagerCaller(uid: asker.caller.uid, isOperator: asker.caller.isOperator)
                events.append((.verb(request, verb, caller), request))
            case .look(let take): looks.append(take)
            case .gone(let client): events += forget(client).map { (.clientGone($0), nil) }
            case .stop: isStopping = true
            }
        }
        if let at = wakeAt, at <= now {
            wakeAt = nil
            events.append((.tick, nil))
        }
        if fault != nil {
            held += events.map(\.event)
            retry()
        } else if !events.isEmpty {
            process(events)
        }
        tellLate()
        for take in looks { take(stager, now) }
        writeFiles()
    }

    // MARK: Deciding

    private func process(_ events: [(event: StagerEvent, request: StagerRequest?)]) {
        // A value: going back costs nothing but keeping it.
        let before = (stager, wakeAt)
        var decision = StagerDecision()
        for (event, _) in events {
            let step = stager.step(event, at: now)
            decision.records += step.records
            decision.effects += step.effects
        }
        do throws(StateFault) {
            if !decision.records.isEmpty { try parts.store.persist(decision.records) }
        } catch {
            (stager, wakeAt) = before
            for (event, request) in events {
                if let request {
                    if let (asker, verb) = askers.removeValue(forKey: request) { refuse(asker, verb, error) }
                } else {
                    held.append(event)
                }
            }
            return begin(error)
        }
        act(decision)
        for (_, request) in events { if let request { begun(request) } }
    }

    private func act(_ decision: StagerDecision) {
        note(decision.records)
        for effect in decision.effects { perform(effect) }
        if !decision.records.isEmpty || decision.effects.contains(.writeSnapshot) {
            parts.onChange()
        }
    }

    private func begin(_ error: StateFault) {
        if fault == nil {
            parts.log(HookLogLine(.error, "stager: \(error); nothing new is begun until the state can be written"))
            retryDelay = DaemonLimits.retryMillisecondsMin
        }
        fault = error
        retryAt = ticks + retryDelay
        retryDelay = min(DaemonLimits.retryMillisecondsMax, retryDelay * 2)
    }

    private func retry() {
        guard ticks >= retryAt || isStopping else { return }
        let events = held
        held = []
        let old = fault
        fault = nil
        process(events.map { ($0, nil) })
        if fault == nil, old != nil { parts.log(HookLogLine(.info, "stager: the state is written again")) }
    }

    // MARK: Clients

    private func nextRequest() -> StagerRequest {
        lastRequest += 1
        return StagerRequest(lastRequest)
    }

    private func refuse(_ asker: StagerAsker, _ verb: StagerVerb, _ fault: StateFault) {
        let text = "burstd cannot write its state, so nothing was done: \(fault)"
        guard case .teardown = verb else { return answer(asker, .failed(text)) }
        // Slurm asks again the moment it is refused, and for ever (staging.md §0, fact 4).
        late.append((ticks + StagingLimits.refusalMilliseconds, asker, StagerText.failure(text)))
    }

    private func tellLate() {
        let due = late.filter { $0.at <= ticks }
        guard !due.isEmpty else { return }
        late.removeAll { $0.at <= ticks }
        for refusal in due { answer(refusal.asker, StagerAnswer(status: 1, text: refusal.text)) }
    }

    private func answer(_ asker: StagerAsker, _ answer: StagerAnswer) {
        asker.client.answer(
            .staged(asker.question, status: answer.status, lines: answer.lines), body: Self.body(answer))
    }

    static func body(_ answer: StagerAnswer) -> [UInt8] {
        Array(answer.text.isEmpty || answer.text.hasSuffix("\n") ? answer.text.utf8 : (answer.text + "\n").utf8)
    }

    private func forget(_ client: UInt64) -> [StagerRequest] {
        late.removeAll { $0.asker.client.number == client }
        let requests = askers.filter { $0.value.asker.client.number == client }.map(\.key)
        for request in requests { askers[request] = nil }
        return requests
    }

    /// Whoever does not wait is told that it is under way.
    private func begun(_ request: StagerRequest) {
        guard let (asker, _) = askers[request], !asker.isWaiting else { return }
        askers[request] = nil
        answer(asker, .done)
        stager.forgetClient(request)
    }

    // MARK: Effects

    private func perform(_ effect: StagerEffect) {
        let (inbox, storage) = (inbox, storage)
        func tell(_ event: StagerEvent) { inbox.add(.event(event)) }
        switch effect {
        case .answer(let request, let answer): answered(request, answer)
        case .allocate(let order):
            lanes.add(order.session) {
                let failure = storage.allocate(order)
                inbox.add(.event(.allocated(order.operation, failure: failure)))
            }
        case .startWorker(let order):
            var copy = CopyWorkers.Copy(order: order)
            for (name, id) in order.persistent {
                guard let buffer = stager.sessions[id] else { continue }
                copy.keys[name] = buffer.key
                copy.pools[name] = buffer.instances.first?.pool
            }
            workers.start(copy)
        case .stopWorker(let worker): workers.stop(worker)
        case .throttle(let worker, let throttle): workers.throttle(worker, throttle)
        case .activate(let order):
            let pools = pools(of: order)
            lanes.add(order.session) {
                let failure = storage.activate(order, pools: pools)
                inbox.add(.event(.activated(order.operation, failure: failure)))
            }
        case .deactivate(let order):
            let pools = pools(of: order)
            lanes.add(order.session) {
                let trouble = storage.deactivate(order, pools: pools)
                inbox.add(.event(.deactivated(order.operation, trouble: trouble)))
            }
        case .quarantine(let order):
            let workers = workers
            lanes.add(order.session) {
                let failure = storage.quarantine(order)
                if failure == nil { workers.forget(order.session) }
                inbox.add(.event(.quarantined(order.operation, failure: failure)))
            }
        case .remove(let order):
            removals.add(order.session) {
                inbox.add(.event(.removed(order.operation, failure: storage.remove(order))))
            }
        case .grant(let session, let key, let instances, let list):
            let log = parts.log
            lanes.add(session) {
                if let why = storage.grant(session, key, instances, list) { log(HookLogLine(.error, "access: \(why)")) }
            }
        case .list(let id):
            let session = stager.sessions[id].flatMap { $0.isListed ? $0 : nil }
            writeListing { [stager] file throws(StateFault) in
                try file.note(id, session) { stager.sessions.sorted.filter(\.isListed) }
            }
        case .listAll:
            let listed = stager.sessions.sorted.filter(\.isListed)
            writeListing { file throws(StateFault) in try file.rewrite(listed) }
        case .writeSnapshot: areFilesDue = true
        case .wake(let at): wakeAt = min(wakeAt ?? at, at)
        case .log(let line): parts.log(StagerService.line(line))
        }
    }

    private func pools(of order: MountOrder) -> [UInt64: String] {
        let instances = stager.sessions[order.session]?.instances ?? []
        return Dictionary(instances.map { ($0.id, $0.pool) }, uniquingKeysWith: { first, _ in first })
    }

    private func answered(_ request: StagerRequest, _ answer: StagerAnswer) {
        guard let (asker, verb) = askers.removeValue(forKey: request) else { return }
        // The lua plugin's `paths` is called under slurmctld's locks: it finds its answer in a file.
        if answer.status == 0, case .setup(let order) = verb { writePaths(order.token) }
        self.answer(asker, answer)
    }

    // MARK: Files

    private func writePaths(_ token: String) {
        let paths = stager.paths(token)
        guard paths.status == 0 else { return }
        do throws(StateFault) {
            try parts.files.writePaths(token, paths.lines)
        } catch {
            parts.log(HookLogLine(.error, "stager: \(error)"))
        }
    }

    private func note(_ records: [StagerRecord]) {
        for case .entered(_, let token, _, _) in records where stager.current(token) == nil {
            parts.files.removePaths(token)
        }
    }

    private func writeListing(_ write: (ListingFile) throws(StateFault) -> Void) {
        do throws(StateFault) {
            try write(listing)
        } catch {
            parts.log(HookLogLine(.error, "stager: \(error)"))
        }
    }

    /// At most once a second, and elsewhere: they may be a little old.
    private func writeFiles() {
        let since = ticks - filesAt
        if areFilesDue ? since >= StagingLimits.filesMilliseconds : since >= Int64(StagingLimits.beatSeconds) * 1000 {
            filesAt = ticks
            areTablesDue = areTablesDue || areFilesDue
            areFilesDue = false
            let (written, pools) = (parts.onFiles, stager.snapshot(at: now, withSessions: false))
            write { files throws(StateFault) in
                defer { written() }
                try files.writePools(pools)
            }
        }
        guard areTablesDue, ticks >= tablesAt, !tables.isBusy else { return }
        areTablesDue = false
        tables.begin()
        tablesAt = ticks + max(StagingLimits.filesMilliseconds, tables.cost * StagingLimits.tablesShare)
        let (stager, at, tables) = (stager, now, tables)
        write { files throws(StateFault) in
            defer { tables.end() }
            try files.writeTables(stager.snapshot(at: at))
        }
    }

    private func write(_ body: @escaping @Sendable (StagerFiles) throws(StateFault) -> Void) {
        let (files, log) = (parts.files, parts.log)
        parts.kitchen.cook {
            do throws(StateFault) {
                try body(files)
            } catch {
                log(HookLogLine(.error, "stager: \(error)"))
            }
        }
    }
}

/// Something that is done elsewhere, once at a time, and how long it took.
private final class Chore: Sendable {
    private let clock = ContinuousClock()
    private let state = Mutex<(began: ContinuousClock.Instant?, cost: Int64)>((nil, 0))

    var isBusy: Bool { state.withLock { $0.began != nil } }
    /// Milliseconds.
    var cost: Int64 { state.withLock { $0.cost } }

    func begin() { state.withLock { $0.began = clock.now } }

    func end() {
        state.withLock { state in
            if let began = state.began {
                let spent = (clock.now - began).components
                state.cost = spent.seconds * 1000 + spent.attoseconds / 1_000_000_000_000_000
            }
            state.began = nil
        }
    }
}
