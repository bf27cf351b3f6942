import BurstEngine
import BurstModel
import BurstWire
import FoundationEssentials

/// JSON for `list`, `trace` and pushes.
enum Documents {
    static func json(_ value: some Encodable) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Values of ours are encodable: texts, numbers and lists.
        return Array((try? encoder.encode(value)) ?? Data("null".utf8))
    }

    static func list(_ list: List, _ view: EngineView) -> [UInt8] {
        let text = EngineText(view.engine, at: view.at, for: view.caller)
        return switch list {
        case .jobs: text.jobsJSON()
        case .pools: text.poolsJSON()
        case .buffers: text.buffersJSON()
        case .users: text.usersJSON()
        case .reservations: text.reservationsJSON()
        case .config: text.configJSON()
        // Of the history and of the stager: see `DriverLoop.read`.
        case .changes, .actions, .calls, .staging: []
        }
    }

    private static func jobs(_ view: EngineView) -> [EngineJob] {
        view.engine.jobs.values.filter { view.sees(uid: $0.uid) }.sorted { $0.id < $1.id }
    }

    private static func time(_ moment: Timestamp) -> String { moment.rfc3339Milliseconds }

    // MARK: The history

    static func change(_ change: StateChange) -> Listing.Change {
        Listing.Change(
            at: time(change.at), jobId: change.jobID, userId: change.uid, state: change.jobState,
            burstBufferState: change.bufferState, reason: change.reason, pool: change.pool, size: change.size)
    }

    static func action(_ action: ActionEntry) -> Listing.Action {
        Listing.Action(
            at: time(action.at), userId: action.uid, verb: action.verb, jobId: action.jobID, outcome: action.outcome)
    }

    static func call(_ call: TracedCall) -> Listing.Call {
        let start = call.start
        var item = Listing.Call(
            call: start.id.number, function: start.function.called(with: start.arguments), jobId: start.jobID,
            arguments: start.arguments,
            limitSeconds: start.limitSeconds, at: time(start.at))
        if let end = call.end {
            item.outcome = end.outcome
            item.status = end.status
            item.message = end.message
            item.printed = end.printed
            item.log = end.log.map { Listing.Call.Line(level: $0.level.rawValue, text: $0.text) }
            item.pid = end.pid
            item.startedMicroseconds = end.startedMicroseconds
            item.durationMicroseconds = end.durationMicroseconds
        }
        return item
    }

    // MARK: Extras

    /// What Slurm cannot tell, of the jobs that are seen.
    static func extras(_ view: EngineView) -> Extras {
        Extras(
            jobs: jobs(view).map { job in
                var extra = Extras.Job(job: job.id)
                extra.bufferStateSince = job.buffer?.since.milliseconds
                let since: Timestamp? =
                    switch job.state {
                    case .pending: job.submitted
                    case .running: job.start
                    case .suspended: job.suspendedAt
                    case .completed, .cancelled, .failed, .timeout, .nodeFail, .deadline: job.end
                    }
                extra.jobStateSince = since?.milliseconds
                if let call = job.buffer?.stage.call, let start = view.calls[call] {
                    extra.function = start.function.called(with: start.arguments)
                    extra.functionSince = start.at.milliseconds
                }
                return extra
            })
    }
}

extension BufferWork.Stage {
    /// The hook's call under way.
    var call: CallID? {
        switch self {
        case .stagingIn(let step), .preRun(let step), .postRun(let step), .stagingOut(let step): step.call
        case .teardown(let teardown): teardown.call
        case .pending, .preparing, .stageInFailed, .stagedIn, .running, .postRunFailed, .stageOutFailed, .complete: nil
        }
    }
}
