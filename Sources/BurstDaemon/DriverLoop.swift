import BurstEngine
import BurstModel
import BurstWire
import Synchronization

/// The driver's own state, on its own thread.
final class DriverLoop {
    let driver: Driver
    let parts: Driver.Parts
    var engine: Engine
    private var isStopping = false
    private var lastRequest: UInt64 = 0
    /// Clients whose question the engine has.
    var pending: [RequestID: Pending] = [:]
    var calls: [CallID: CallStart] = [:]
    var waits = Waits()
    var followers: [(client: any Client, job: UInt32?, caller: Caller)] = []

    /// Whoever waits for a reply of the engine.
    enum Pending {
        case whole(ClientQuestion)
        /// One of several jobs that a command names.
        case part(Gathering, index: Int, shown: String)

        var question: ClientQuestion {
            switch self {
            case .whole(let question): question
            case .part(let gathering, _, _): gathering.question
            }
        }
    }

    /// The outcomes of a command for several jobs, in the client's order.
    final class Gathering {
        let question: ClientQuestion
        private var outcomes: [[Outcome]?]

        init(_ question: ClientQuestion, count: Int) {
            self.question = question
            outcomes = Array(repeating: nil, count: count)
        }

        func set(_ index: Int, _ found: [Outcome]) {
            outcomes[index] = found
            if outcomes.allSatisfy({ $0 != nil }) {
                question.client.answer(.done(question.id, outcomes.flatMap { $0 ?? [] }))
            }
        }
    }

    // While the state cannot be written.
    private var fault: StateFault?
    /// Decided, but not durable.
    private var unwritten = Decision()
    /// Not decided yet.
    private var held: [EngineEvent] = []
    private var retryAt: Int64 = 0
    private var retryDelay = DaemonLimits.retryMillisecondsMin

    init(_ driver: Driver, engine: Engine) {
        self.driver = driver
        parts = driver.parts
        self.engine = engine
    }

    // MARK: The loop

    func run() {
        while true {
            let (inputs, wasFull) = driver.inbox.take(
                milliseconds: sleep(), most: DaemonLimits.eventsAtOnce)
            if wasFull { driver.roomAgain() }
            handle(inputs)
            if isStopping { break }
        }
        driver.inbox.close()
        for entry in pending.values {
            entry.question.client.refuse(entry.question.id, "burstd ended before there was an answer")
        }
        for wait in waits.all { wait.question.client.refuse(wait.question.id, "burstd ended; the job goes on") }
    }

    /// Milliseconds until something is due.
    private func sleep() -> Int64 {
        if fault != nil { return max(0, retryAt - parts.clock.monotonic()) }
        guard let wake = engine.nextWake else { return DaemonLimits.sleepMillisecondsMax }
        return min(
            DaemonLimits.sleepMillisecondsMax, max(0, wake.milliseconds - parts.clock.now().milliseconds))
    }

    private func handle(_ inputs: [Input]) {
        var events: [EngineEvent] = []
        var asked: [RequestID] = []
        var readers: [ClientQuestion] = []
        for input in inputs {
            switch input {
            case .event(let event): events.append(event)
            case .question(let question):
                for (request, event) in order(question, readers: &readers) {
                    asked.append(request)
                    events.append(event)
                }
            case .gone(let client): forget(client)
            case .reload: readConfiguration(for: nil)
            case .configuration(let read, let question):
                if let event = configure(read, for: question) { events.append(event) }
            case .stop:
                isStopping = true
                events.append(.stopping)
            }
        }
        if let wake = engine.nextWake, wake <= parts.clock.now() { events.append(.tick) }
        if fault != nil {
            held += events
            retry()
        } else if !events.isEmpty {
            process(events, asked: asked)
        }
        // Whoever looks sees what is durable.
        for question in readers { read(question) }
    }

    // MARK: Deciding

    /// - Parameter asked: questions of clients among the events: refused where the state cannot be written.
    private func process(_ events: [EngineEvent], asked: [RequestID]) {
        // Those that came before the pools were known are decided with the events that make them known.
        let asked = asked + engine.earlyRequests
        // A value: going back costs nothing but keeping it. Only clients can be told to come again.
        let before = asked.isEmpty ? nil : engine
        let decision = decide(events)
        do throws(StateFault) {
            try write(decision)
        } catch {
            if let before {
                engine = before
                engine.forgetEarlyRequests()
                for request in asked { refuse(request, Self.cannotWrite(error)) }
                held = events.filter { !Self.isQuestion($0) }
            } else {
                unwritten = decision
            }
            begin(error)
            return
        }
        act(decision)
    }

    private func decide(_ events: [EngineEvent]) -> Decision {
        var decision = Decision()
        for event in events {
            let step = engine.step(event, at: parts.clock.now())
            decision.records += step.records
            decision.effects += step.effects
        }
        return decision
    }

    /// Makes it durable: first the files of new jobs, of which nobody knows without their records.
    private func write(_ decision: Decision) throws(StateFault) {
        var texts: [JobFiles.Texts] = []
        for effect in decision.effects {
            switch effect {
            case .writeJobFiles(let job, let script, let environment):
                texts.append(JobFiles.Texts(job: job, script: script, environment: environment))
            case .linkJobFiles(let from, let to):
                // The array's own may be among those that wait.
                try parts.files.write(texts)
                texts = []
                try parts.files.link(from: from, to: to)
            default: break
            }
        }
        try parts.files.write(texts)
        if !decision.records.isEmpty { try parts.store.persist(decision.records) }
    }

    private func act(_ decision: Decision) {
        if !decision.records.isEmpty { note(decision.records) }
        // Before anybody is told: who was told, and looks, sees it.
        driver.show(engine, calls, isNew: !decision.records.isEmpty)
        perform(decision.effects)
        if !decision.records.isEmpty { tellWaiting(decision.records) }
    }

    // MARK: Trouble with the disk

    private static func cannotWrite(_ fault: StateFault) -> String {
        "burstd cannot write its state, so nothing was done: \(fault)"
    }

    static func isQuestion(_ event: EngineEvent) -> Bool {
        switch event {
        case .submit, .command, .reserve, .status: true
        case .started, .configured, .hookEnded, .poolsRead, .pathsRead, .siteRead, .stepStarted, .stepEnded, .tick,
            .stopping:
            false
        }
    }

    private func begin(_ error: StateFault) {
        if fault == nil {
            parts.log(HookLogLine(.error, "\(error); no new work is taken until the state can be written"))
            retryDelay = DaemonLimits.retryMillisecondsMin
        }
        fault = error
        retryAt = parts.clock.monotonic() + retryDelay
        retryDelay = min(DaemonLimits.retryMillisecondsMax, retryDelay * 2)
    }

    private func retry() {
        guard parts.clock.monotonic() >= retryAt || isStopping else { return }
        let decision = unwritten
        do throws(StateFault) {
            try write(decision)
            unwritten = Decision()
            act(decision)
            let events = held
            held = []
            // What was held back stands behind what was decided before.
            let next = decide(events)
            do throws(StateFault) {
                try write(next)
            } catch {
                unwritten = next
                throw error
            }
            fault = nil
            parts.log(HookLogLine(.info, "the state is written again"))
            act(next)
        } catch {
            begin(error)
            if isStopping { parts.log(HookLogLine(.error, "\(error); what happened last is not kept")) }
        }
    }

    // MARK: Questions

    func nextRequest() -> RequestID {
        lastRequest += 1
        return RequestID(lastRequest)
    }

    private func refuse(_ request: RequestID, _ text: String) {
        guard let entry = pending.removeValue(forKey: request) else { return }
        switch entry {
        case .whole(let question): question.client.refuse(question.id, text)
        case .part(let gathering, let index, let shown):
            gathering.set(index, [Outcome(job: 0, shown: shown, code: -1, text: text)])
        }
    }

    /// Events for a question that changes something; others are answered here, or put with `readers`.
    private func order(
        _ question: ClientQuestion, readers: inout [ClientQuestion]
    ) -> [(RequestID, EngineEvent)] {
        func whole(_ event: (RequestID) -> EngineEvent) -> [(RequestID, EngineEvent)] {
            if let fault {
                question.client.refuse(question.id, Self.cannotWrite(fault))
                return []
            }
            let request = nextRequest()
            pending[request] = .whole(question)
            return [(request, event(request))]
        }
        let caller = question.caller
        do throws(Refusal) {
            switch question.ask {
            case .submit where driver.isStagerAlone:
                throw Refusal(
                    code: 0, text: "this burstd is the stager alone (there is no slurm.conf): submit jobs to Slurm")
            case .submit(let submission):
                let order = try Orders.submit(submission, script: question.body, owner: question.owner)
                return whole { .submit($0, order, caller) }
            case .command(let command):
                let pieces = try Orders.pieces(
                    command, jobs: engine.jobs, now: parts.clock.now(), zone: engine.settings.zone)
                if pieces.isEmpty {
                    question.client.answer(.done(question.id, []))
                    return []
                }
                if pieces.count == 1 { return whole { .command($0, pieces[0].command, caller) } }
                if let fault {
                    question.client.refuse(question.id, Self.cannotWrite(fault))
                    return []
                }
                let gathering = Gathering(question, count: pieces.count)
                return pieces.enumerated().map { index, piece in
                    let request = nextRequest()
                    pending[request] = .part(gathering, index: index, shown: piece.shown)
                    return (request, .command(request, piece.command, caller))
                }
            case .reserve(let reserve):
                guard caller.isOperator else { throw .denied }
                let command = try Orders.reserve(
                    reserve, now: parts.clock.now(), zone: engine.settings.zone)
                return whole { .reserve($0, command, caller) }
            case .show(.status(_, let arguments)):
                return whole { .status($0, arguments: arguments, caller) }
            case .ping: question.client.answer(.ok(question.id))
            case .reconfigure:
                guard caller.isOperator else { throw .notOperator }
                readConfiguration(for: question)
            case .shutdown:
                guard caller.isOperator else { throw .notOperator }
                question.client.answer(.ok(question.id))
                parts.log(HookLogLine(.info, "shutdown was asked for by \(caller.userName)"))
                parts.onShutdown()
            case .check, .query:
                guard caller.isOperator else { throw .notOperator }
                readers.append(question)
            // What comes here was not taken by a stager: there is none.
            case .stage, .stageOrder, .list(.staging):
                question.client.refuse(question.id, "this burstd stages nothing: its folder has no burst.toml")
            case .show, .list, .wait, .trace, .subscribe: readers.append(question)
            }
        } catch {
            question.client.refuse(question.id, error)
        }
        return []
    }

    private func forget(_ client: UInt64) {
        waits.remove(client: client)
        followers.removeAll { $0.client.number == client }
    }

    // MARK: Configuration

    /// Off the loop: names of users are looked up, and the script is loaded to see whether it can be.
    private func readConfiguration(for question: ClientQuestion?) {
        let (parts, inbox) = (parts, driver.inbox)
        driver.kitchen.cook {
            let read: Result<DaemonSettings, StateFault>
            do throws(StateFault) {
                read = .success(try parts.reader.read())
            } catch {
                read = .failure(error)
            }
            guard case .success(let settings) = read, settings.engine.plugin != nil else {
                inbox.add(.configuration(read, question))
                return
            }
            Task {
                if let wrong = await parts.hooks.check() {
                    inbox.add(.configuration(.failure(StateFault(wrong)), question))
                } else {
                    inbox.add(.configuration(read, question))
                }
            }
        }
    }

    private func configure(_ read: Result<DaemonSettings, StateFault>, for question: ClientQuestion?) -> EngineEvent? {
        switch read {
        case .failure(let wrong):
            parts.log(HookLogLine(.error, "\(wrong); the configuration stays as it was"))
            if let question { question.client.refuse(question.id, "\(wrong)") }
            return nil
        case .success(let settings):
            guard settings.engine.plugin?.name == engine.settings.plugin?.name else {
                let refusal = Refusal(
                    code: 2091, text: "BurstBufferType change requires restart of slurmctld daemon to take effect")
                parts.log(HookLogLine(.error, "\(refusal.text); the configuration stays as it was"))
                if let question { question.client.refuse(question.id, refusal) }
                return nil
            }
            for note in settings.notes { parts.log(note) }
            var settings = settings
            if settings.engine.stateFolder != engine.settings.stateFolder {
                parts.log(HookLogLine(.error, "the state folder changes with a restart only"))
                settings.engine.stateFolder = engine.settings.stateFolder
            }
            driver.settings.withLock { $0 = settings }
            parts.onSettings(settings)
            parts.log(HookLogLine(.info, "the configuration was read anew"))
            if let question { question.client.answer(.ok(question.id)) }
            return .configured(settings.engine)
        }
    }
}
