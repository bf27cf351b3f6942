import BurstEngine
import BurstModel
import BurstWire

extension DriverLoop {
    // MARK: Questions that change nothing

    /// Those that wait or watch, and those that come behind what the same client changes.
    func read(_ question: ClientQuestion) {
        let (client, id, caller) = (question.client, question.id, question.caller)
        switch question.ask {
        case .wait(let job, let untilStagedOut): wait(question, job, untilStagedOut: untilStagedOut)
        case .trace(let job, true, let last):
            // Followers get what comes from here on, perhaps before the history; a call is known by its number.
            followers.append((client, job, caller))
            driver.lookBack(question, job: job, last: last)
        case .subscribe(let subscription):
            if !driver.publisher.add(client, subscription, caller, isIn: { client.answer(.ok(id)) }) {
                client.refuse(id, "\(DaemonLimits.subscribersMax) monitors watch already, and no more can")
            }
        case .show, .list, .trace, .query: _ = driver.look(question)
        case .check(let repair): check(question, repair: repair)
        case .submit, .command, .reserve, .ping, .reconfigure, .shutdown, .stage, .stageOrder: break
        }
    }

    // MARK: News

    /// Keeps what is under way, and tells those who follow.
    func note(_ records: [Record]) {
        var news: [TracedCall] = []
        for record in records {
            switch record {
            case .callStarted(let start):
                calls[start.id] = start
                news.append(TracedCall(start: start))
            case .callEnded(let end):
                if let start = calls.removeValue(forKey: end.id) { news.append(TracedCall(start: start, end: end)) }
            case .job, .forget, .pools, .persistent, .forgetPersistent, .reservation, .forgetReservation, .nextJobID,
                .change, .action:
                break
            }
        }
        guard !news.isEmpty else { return }
        let at = parts.clock.now().milliseconds
        driver.publisher.called(news) { [engine] job, caller in Driver.sees(job, caller, engine) }
        guard !followers.isEmpty else { return }
        for call in news {
            let body = Documents.json(Documents.call(call))
            for follower in followers where follower.job == nil || follower.job == call.start.jobID {
                guard Driver.sees(call.start.jobID, follower.caller, engine) else { continue }
                follower.client.tell(.push(.call(at: at)), body: body, onSent: nil)
            }
        }
    }

    // MARK: Waiting for jobs

    private func wait(_ question: ClientQuestion, _ job: UInt32, untilStagedOut: Bool) {
        guard waits.count < DaemonLimits.waitsMax else {
            question.client.refuse(question.id, "\(DaemonLimits.waitsMax) clients wait already, and no more can")
            return
        }
        guard engine.jobs[job] != nil || !engine.jobs.ofArray(job).isEmpty else {
            question.client.refuse(question.id, Refusal.noSuchJob)
            return
        }
        let wait = Waits.Wait(question: question, job: job, untilStagedOut: untilStagedOut)
        if !look(wait) { waits.add(wait) }
    }

    /// After each batch: whoever waited for one of its jobs.
    func tellWaiting(_ records: [Record]) {
        guard waits.count > 0 else { return }
        var touched: Set<UInt32> = []
        for record in records {
            switch record {
            case .job(let job):
                touched.insert(job.id)
                if job.arrayJobID != 0 { touched.insert(job.arrayJobID) }
                if job.hetJobID != 0 { touched.insert(job.hetJobID) }
            case .forget(let job): touched.insert(job)
            default: break
            }
        }
        for job in touched {
            for wait in waits.of(job) where look(wait) { waits.remove(wait) }
        }
    }

    /// Answers where the job is done; true: nothing more to wait for.
    private func look(_ wait: Waits.Wait) -> Bool {
        var members = engine.jobs.ofArray(wait.job)
        if members.isEmpty, let job = engine.jobs[wait.job] {
            members = job.hetJobID == job.id ? job.hetJobIDs.compactMap { engine.jobs[$0] } : [job]
        }
        let (client, id) = (wait.question.client, wait.question.id)
        var isDone = true
        for job in members {
            if Self.isDone(job, untilStagedOut: wait.untilStagedOut) {
                // The worst of an array's; a task that is forgotten meanwhile still counts.
                if wait.end == nil || Self.code(job.exitStatus) > Self.code(wait.end?.status ?? 0) {
                    wait.end = Waits.End(
                        status: job.exitStatus, jobState: job.state.rawValue,
                        bufferState: job.buffer?.stage.state.name)
                }
            } else {
                isDone = false
            }
        }
        if isDone {
            if let end = wait.end {
                client.answer(
                    .ended(id, status: end.status, jobState: end.jobState, bufferState: end.bufferState))
            } else {
                client.refuse(id, Refusal.noSuchJob)
            }
            return true
        }
        if let job = members.first, let state = job.buffer?.stage.state.name, state != wait.toldState {
            wait.toldState = state
            client.tell(.progress(id, Progress(job: job.id, state: state)), body: [], onSent: nil)
        }
        return false
    }

    private static func isDone(_ job: EngineJob, untilStagedOut: Bool) -> Bool {
        guard job.state.isFinal, job.flags.isDisjoint(with: [.requeue, .requeueHold]), job.arrayTasksLeft.isEmpty else {
            return false
        }
        guard untilStagedOut, let buffer = job.buffer else { return true }
        return buffer.stage == .complete
    }

    /// What sbatch --wait would exit with.
    private static func code(_ status: UInt32) -> UInt32 {
        let signal = status & 0x7f
        return signal == 0 ? status >> 8 & 0xff : 128 + signal
    }

    // MARK: Looking for what does not fit

    private func check(_ question: ClientQuestion, repair: Bool) {
        var lines: [String] = []
        let found = parts.files.found()
        for job in found.jobs where engine.jobs[job] == nil {
            lines.append("leftover: folder \(EnginePaths.folder(job, in: parts.files.state)) is of no job")
            if repair { parts.files.remove(job) }
        }
        for path in found.strange {
            lines.append("leftover: \(path) is none of burstd's")
            if repair, path.hasSuffix(".new") { JobFiles.removeTree(path) }
        }
        for job in engine.jobs.values.sorted(by: { $0.id < $1.id })
        where !job.state.isFinal && !parts.files.hasScript(job.id) {
            lines.append(
                "missing: \(EnginePaths.script(job.id, in: parts.files.state)): job \(job.id) cannot run; cancel it")
        }
        lines += EngineChecks.faults(in: engine).map { "account: \($0)" }
        let (client, id, store, stager) = (question.client, question.id, parts.store, driver.shownStager)
        driver.kitchen.cook { [lines] in
            let all = lines + store.check() + (stager?.check() ?? [])
            client.answer(.body(id), body: Array(all.map { $0 + "\n" }.joined().utf8))
        }
    }
}

/// Clients that wait for jobs to end.
struct Waits {
    final class Wait {
        let question: ClientQuestion
        let job: UInt32
        let untilStagedOut: Bool
        var end: End?
        var toldState: String?

        init(question: ClientQuestion, job: UInt32, untilStagedOut: Bool) {
            self.question = question
            self.job = job
            self.untilStagedOut = untilStagedOut
        }
    }

    struct End {
        var status: UInt32
        var jobState: String
        var bufferState: String?
    }

    private var byJob: [UInt32: [Wait]] = [:]
    private(set) var count = 0

    var all: [Wait] { byJob.values.flatMap { $0 } }

    func of(_ job: UInt32) -> [Wait] { byJob[job] ?? [] }

    mutating func add(_ wait: Wait) {
        byJob[wait.job, default: []].append(wait)
        count += 1
    }

    mutating func remove(_ wait: Wait) { remove(from: wait.job) { $0 === wait } }

    mutating func remove(client: UInt64) {
        for job in Array(byJob.keys) { remove(from: job) { $0.question.client.number == client } }
    }

    private mutating func remove(from job: UInt32, where fits: (Wait) -> Bool) {
        guard var waits = byJob[job] else { return }
        let before = waits.count
        waits.removeAll(where: fits)
        count -= before - waits.count
        byJob[job] = waits.isEmpty ? nil : waits
    }
}
