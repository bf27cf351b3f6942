import BurstModel

/// The order in which hooks may be called for a job (spec §0, §7.3), as an automaton over what the engine writes down.
/// It knows nothing of the engine's own rules: simulations feed it every decision and ask it about the end.
package struct CallOrder: Sendable {
    /// A job's way so far.
    private struct Life {
        var last: HookFunction?
        var end: End = .success
        var underWay: CallID?
        /// The engine has begun anew since the last call.
        var wasRestarted = false
        /// Teardowns that failed since the buffer was set up.
        var failures = 0
        var job: EngineJob?

        /// A buffer was set up and is not torn down.
        var hasBuffer: Bool {
            switch last {
            case nil, .jobProcess: false
            case .jobTeardown: !isTornDown
            default: true
            }
        }
        var attemptsMax = Int.max

        /// Slurm gives up after the third failure and goes on as after success (spec §4.9).
        var isTornDown: Bool {
            last == .jobTeardown && underWay == nil
                && (end == .success || failures >= attemptsMax)
        }
    }

    /// How a call ended, as far as the order goes.
    private enum End {
        /// Also BUSY of `test_data_in` and `test_data_out`.
        case success, busy
        /// Also timeouts and scripts that could not be run.
        case failure
        /// It was killed, or lost in a restart: nobody knows how far it came.
        case killed
    }

    private var lives: [UInt32: Life] = [:]
    /// Calls under way, and whose.
    private var underWay: [CallID: (function: HookFunction, jobID: UInt32?)] = [:]
    private var lastCall: CallID?
    private let rules: any PluginRules

    package init(_ plugin: BurstPlugin = .lua) {
        rules = plugin == .lua ? LuaRules() : DataWarpRules()
    }

    /// Persistent buffers have lives of their own.
    private static func isOfJob(_ function: HookFunction) -> Bool {
        function != .createPersistent && function != .destroyPersistent
    }

    /// The engine began anew with what was durable: calls under way are lost.
    package mutating func restarted() {
        for (_, call) in underWay {
            guard let id = call.jobID, Self.isOfJob(call.function) else { continue }
            lives[id]?.underWay = nil
            lives[id]?.end = .killed
        }
        underWay = [:]
        for id in lives.keys { lives[id]?.wasRestarted = true }
    }

    /// Takes in the records of one decision.
    ///
    /// - Returns: what is wrong, a sentence each; none if all is in order.
    package mutating func feed(_ records: [Record]) -> [String] {
        var wrong: [String] = []
        // A job's record says where the decision left it, wherever it stands among the others.
        for case .job(let job) in records { lives[job.id, default: Life()].job = job }
        for record in records {
            switch record {
            case .callStarted(let start): wrong += started(start)
            case .callEnded(let end): wrong += ended(end)
            case .forget(let id): wrong += forgotten(id)
            case .job, .pools, .persistent, .forgetPersistent, .reservation, .forgetReservation, .nextJobID, .change,
                .action:
                break
            }
        }
        for case .job(let job) in records { wrong += standing(job) }
        return wrong
    }

    // MARK: Calls

    private mutating func started(_ start: CallStart) -> [String] {
        var wrong: [String] = []
        if let last = lastCall, start.id <= last {
            wrong.append(
                "call \(start.id) of \(start.function.rawValue): its number is not above \(last), the last one")
        }
        lastCall = max(lastCall ?? start.id, start.id)
        underWay[start.id] = (start.function, start.jobID)
        guard Self.isOfJob(start.function) else { return wrong }
        guard let id = start.jobID else {
            switch start.function {
            case .pools, .getStatus, .jobProcess, .showInstances, .showSessions, .showConfigurations: return wrong
            default: return wrong + ["call \(start.id) of \(start.function.rawValue) is for no job"]
            }
        }
        var life = lives[id, default: Life()]
        func report(_ text: String) { wrong.append("job \(id): \(start.function.rawValue) is called, \(text)") }
        if let other = life.underWay {
            report("and call \(other) of \(underWay[other]?.function.rawValue ?? "?") has not ended")
        } else if let text = objection(to: start, after: life) {
            report(text)
        }
        if start.function == .setup { life.failures = 0 }
        life.attemptsMax = rules.plugin == .lua ? EngineLimits.teardownAttemptsMax : .max
        life.last = start.function
        life.underWay = start.id
        life.wasRestarted = false
        lives[id] = life
        return wrong
    }

    private mutating func ended(_ end: CallEnd) -> [String] {
        guard let call = underWay.removeValue(forKey: end.id) else {
            return ["call \(end.id) ends, and it is not under way"]
        }
        var wrong: [String] = []
        if call.jobID != end.jobID {
            wrong.append(
                "call \(end.id) ends for job \(end.jobID.map { "\($0)" } ?? "none"), and it was made for "
                    + (call.jobID.map { "job \($0)" } ?? "none"))
        }
        guard let id = call.jobID, Self.isOfJob(call.function) else { return wrong }
        lives[id]?.underWay = nil
        let isTest = call.function == .testDataIn || call.function == .testDataOut
        switch end.outcome {
        case "success": lives[id]?.end = isTest && end.message?.uppercased() == "BUSY" ? .busy : .success
        case "failure", "broken", "timeout":
            lives[id]?.end = .failure
            if call.function == .jobTeardown { lives[id]?.failures += 1 }
        case "killed", "lost": lives[id]?.end = .killed
        default: wrong.append("call \(end.id) ends with the outcome \"\(end.outcome)\", which is none")
        }
        return wrong
    }

    // MARK: Order

    /// Why the function may not be called now; nil if it may.
    private func objection(to start: CallStart, after life: Life) -> String? {
        let asksForSpace = life.job?.buffer?.requests.isEmpty == false
        let isLua = rules.plugin == .lua
        let stagedIn: HookFunction = asksForSpace ? .realSize : isLua ? .testDataIn : .dataIn
        switch start.function {
        case .pools, .getStatus, .showInstances, .showSessions, .showConfigurations: return "which is for no job"
        case .createPersistent, .destroyPersistent: return nil
        case .jobProcess:
            return life.last == nil || life.last == .jobProcess ? nil : "after \(Self.said(life))"
        case .setup:
            if life.hasBuffer { return "and its buffer of before is not torn down: last was \(Self.said(life))" }
            return Self.needs(life, .pending)
        case .dataIn: return Self.follows(life, .setup) ?? Self.needs(life, .pending)
        case .testDataIn where isLua:
            return Self.follows(life, .dataIn, orBusy: .testDataIn) ?? Self.needs(life, .pending)
        case .testDataIn,
            .testDataOut where !isLua:
            return "which datawarp has not"
        case .realSize:
            if !asksForSpace { return "and it asked for no space" }
            return Self.follows(life, isLua ? .testDataIn : .dataIn) ?? Self.needs(life, .pending)
        case .paths:
            // Again after a restart in the middle of the pre-run.
            if life.wasRestarted, life.last == .paths || life.last == .preRun { return Self.needs(life, .running) }
            return Self.follows(life, stagedIn) ?? Self.needs(life, .running)
        case .preRun: return Self.follows(life, .paths) ?? Self.needs(life, .running)
        case .postRun:
            if let state = life.job?.state, state == .running || state == .suspended {
                return "and its script still runs"
            }
            // A restart begins the stage-out again from its start, whatever came of it.
            if life.wasRestarted, [.postRun, .dataOut, .testDataOut].contains(life.last) { return nil }
            // So does a release of a requeued job whose stage-out failed.
            if Self.stageOutFailed(life), life.job?.state == .pending { return nil }
            return Self.follows(life, lastBeforeRun(life))
        case .dataOut: return Self.follows(life, .postRun)
        case .testDataOut: return Self.follows(life, .dataOut, orBusy: .testDataOut)
        case .jobTeardown: return objectionToTeardown(start, life)
        }
    }

    /// The hook before the script runs: `pre_run`, but for a job that has nothing of a buffer to itself.
    private func lastBeforeRun(_ life: Life) -> HookFunction {
        life.job?.buffer.map(rules.preparesScript) == false ? .dataIn : .preRun
    }

    private func objectionToTeardown(_ start: CallStart, _ life: Life) -> String? {
        guard life.hasBuffer else {
            return life.last == .jobTeardown ? "and that was done already" : "and there is nothing to tear down"
        }
        let isHurried =
            rules.plugin == .lua
            ? start.arguments.count < 3 || start.arguments[2] != "false" : start.arguments.contains("--hurry")
        if life.last == .jobTeardown || isHurried { return nil }
        // Without hurry: only when the data is out, or its way out has failed.
        if life.last == (rules.plugin == .lua ? .testDataOut : .dataOut), life.end == .success { return nil }
        return Self.stageOutFailed(life)
            ? nil : "without hurry, and its data is not out: last was \(Self.said(life))"
    }

    private static func stageOutFailed(_ life: Life) -> Bool {
        switch (life.last, life.end) {
        case (.postRun, .failure), (.dataOut, .failure), (.testDataOut, .failure): true
        // Busy until the time limit of all calls together is a failure, too.
        case (.testDataOut, .busy): life.job?.systemComment?.contains("Poll exceeded time limit") == true
        default: false
        }
    }

    private static func follows(_ life: Life, _ function: HookFunction, orBusy busy: HookFunction? = nil) -> String? {
        if life.last == function, life.end == .success { return nil }
        if let busy, life.last == busy, life.end == .busy { return nil }
        return "after \(said(life)) and not after \(function.rawValue)"
    }

    private static func needs(_ life: Life, _ state: EngineJob.Base) -> String? {
        guard let job = life.job, job.state != state else { return nil }
        return "and it is \(job.state.rawValue), not \(state.rawValue)"
    }

    private static func said(_ life: Life) -> String {
        guard let last = life.last else { return "nothing" }
        switch life.end {
        case .success: return last.rawValue
        case .busy: return last.rawValue + " (BUSY)"
        case .failure: return last.rawValue + " (failed)"
        case .killed: return last.rawValue + " (killed)"
        }
    }

    // MARK: Jobs

    private mutating func forgotten(_ id: UInt32) -> [String] {
        guard let life = lives.removeValue(forKey: id) else { return ["job \(id) is forgotten, and nobody knew it"] }
        if let call = life.underWay { return ["job \(id) is forgotten, and call \(call) has not ended"] }
        if life.hasBuffer { return ["job \(id) is forgotten, and its buffer is not torn down"] }
        return []
    }

    /// What a job's record says of its calls.
    private func standing(_ job: EngineJob) -> [String] {
        guard let life = lives[job.id], let buffer = job.buffer else { return [] }
        var wrong: [String] = []
        for call in EngineChecks.calls(of: buffer.stage) where underWay[call]?.jobID != job.id {
            wrong.append("job \(job.id): it waits for call \(call), which is not under way for it")
        }
        switch buffer.stage {
        case .complete where life.hasBuffer:
            wrong.append("job \(job.id): complete, and its buffer is not torn down: last was \(Self.said(life))")
        case .running where !(life.last == lastBeforeRun(life) && life.end == .success):
            wrong.append(
                "job \(job.id): running after \(Self.said(life)) and not after \(lastBeforeRun(life).rawValue)")
        case .stagedIn
        where life.last != .realSize && life.last != (rules.plugin == .lua ? .testDataIn : .dataIn)
            || life.end != .success:
            wrong.append("job \(job.id): staged in after \(Self.said(life))")
        default: break
        }
        return wrong
    }
}
