import BurstEngine
import BurstModel
import BurstWire
import Synchronization

/// What is durable, for whoever looks. A copy costs little, so that nobody who looks waits for the loop, which may be
/// at a thousand decisions, or wait for the disk.
struct Shown: Sendable {
    var engine: Engine
    var calls: [CallID: CallStart] = [:]
    /// Grows with each batch that changed something.
    var version: UInt64 = 1
}

extension Driver {
    /// By the loop, when it is durable and before its effects.
    func show(_ engine: Engine, _ calls: [CallID: CallStart], isNew: Bool) {
        let engine = engine.shown
        shown.withLock { shown in
            shown.engine = engine
            shown.calls = calls
            if isNew { shown.version += 1 }
        }
    }

    func view(for caller: Caller) -> EngineView {
        let shown = shown.withLock { $0 }
        return EngineView(
            engine: shown.engine, calls: shown.calls, caller: caller, at: parts.clock.now(), version: shown.version)
    }

    /// Answers what only looks at what is durable; false: the loop has to. Nothing of it waits here.
    func look(_ question: ClientQuestion) -> Bool {
        let (client, id, caller) = (question.client, question.id, question.caller)
        let parts = parts
        switch question.ask {
        // The hook answers it, through the engine.
        case .show(.status): return false
        case .show(let show):
            kitchen.cook { [self] in
                do throws(Refusal) {
                    client.answer(.body(id), body: try parts.texts.show(show, view(for: caller)))
                } catch {
                    client.refuse(id, error)
                }
            }
        // The stager's, and where there is none, refused.
        case .list(.staging): return false
        case .list(let list):
            kitchen.cook { [self] in
                do throws(StateFault) {
                    client.answer(.body(id), body: try Self.list(list, view(for: caller), parts.store))
                } catch {
                    client.refuse(id, "\(error)")
                }
            }
        case .trace(let job, follow: false, let last): lookBack(question, job: job, last: last)
        case .query(let sql, let json):
            guard caller.isOperator else { return false }
            kitchen.cook {
                do throws(StateFault) {
                    client.answer(.body(id), body: try parts.store.query(sql, json: json))
                } catch {
                    client.refuse(id, "\(error)")
                }
            }
        case .trace, .wait, .subscribe, .check, .submit, .command, .reserve, .ping, .reconfigure, .shutdown, .stage,
            .stageOrder:
            return false
        }
        return true
    }

    /// The calls of the history, as lines.
    func lookBack(_ question: ClientQuestion, job: UInt32?, last: Int) {
        let (client, id, caller) = (question.client, question.id, question.caller)
        let parts = parts
        kitchen.cook { [self] in
            do throws(StateFault) {
                let engine = view(for: caller).engine
                let calls = try parts.store.calls(job: job, last: min(max(0, last), DaemonLimits.historyRowsMax))
                let seen = calls.filter { Self.sees($0.start.jobID, caller, engine) }
                let lines = seen.flatMap { Documents.json(Documents.call($0)) + [UInt8(ascii: "\n")] }
                client.answer(.body(id), body: lines)
            } catch {
                client.refuse(id, "\(error)")
            }
        }
    }

    /// Calls are the site's business; users see those of their own jobs.
    static func sees(_ job: UInt32?, _ caller: Caller, _ engine: Engine) -> Bool {
        if caller.isOperator { return true }
        guard let job, let found = engine.jobs[job] else { return false }
        return found.uid == caller.uid
    }

    private static func list(
        _ list: List, _ view: EngineView, _ store: any StateStore
    ) throws(StateFault) -> [UInt8] {
        let last = DaemonLimits.historyRowsMax
        let caller = view.caller
        switch list {
        case .changes:
            let rows = try store.changes(last: last).filter { caller.isOperator || $0.uid == caller.uid }
            return Documents.json(["changes": rows.map(Documents.change)])
        case .actions:
            let rows = try store.actions(last: last).filter { caller.isOperator || $0.uid == caller.uid }
            return Documents.json(["actions": rows.map(Documents.action)])
        case .calls:
            let rows = try store.calls(job: nil, last: last).filter { sees($0.start.jobID, caller, view.engine) }
            return Documents.json(["calls": rows.map(Documents.call)])
        case .jobs, .pools, .buffers, .users, .reservations, .config, .staging: return Documents.list(list, view)
        }
    }
}
