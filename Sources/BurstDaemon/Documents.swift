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
        switch list {
        case .jobs: json(["jobs": jobs(view).map { job($0) }])
        case .pools: json(["pools": view.engine.pools.map(pool)])
        case .buffers: json(["buffers": buffers(view)])
        case .users: json(["users": users(view)])
        case .reservations:
            json(["reservations": view.engine.reservations.values.sorted { $0.name < $1.name }.map(reservation)])
        case .config: json(["config": config(view.engine.settings)])
        // Of the history: see `DriverLoop.read`.
        case .changes, .actions, .calls: []
        }
    }

    private static func jobs(_ view: EngineView) -> [EngineJob] {
        view.engine.jobs.values.filter { view.sees(uid: $0.uid) }.sorted { $0.id < $1.id }
    }

    private static func time(_ moment: Timestamp) -> String { moment.rfc3339Milliseconds }

    private static func job(_ job: EngineJob) -> Listing.Job {
        var item = Listing.Job(
            jobId: job.id, name: job.name, user: job.userName, userId: job.uid, group: job.groupName,
            partition: job.partition, state: job.shownState.name, baseState: job.state.rawValue,
            reason: job.shownReason, priority: job.priority, submittedAt: time(job.submitted), nodes: job.nodes,
            cpus: job.cpus, restarts: job.restartCount, exitStatus: job.exitStatus, workDir: job.workDir,
            command: job.command)
        if job.arrayJobID != 0 { item.arrayJobId = job.arrayJobID }
        item.arrayTaskId = job.arrayTaskID
        if !job.arrayTasksLeft.isEmpty { item.arrayTasks = job.arrayTasksLeft }
        if job.hetJobID != 0 { item.hetJobId = job.hetJobID }
        item.account = job.account
        item.eligibleAt = job.eligible.map(time)
        item.startAt = job.start.map(time)
        item.endAt = job.end.map(time)
        item.timeLimitMinutes = job.timeLimitMinutes
        item.dependency = job.dependency
        item.reservation = job.reservation
        item.burstBuffer = job.buffer?.spec
        item.burstBufferState = job.buffer?.stage.state.name
        item.burstBufferStateSince = job.buffer.map { time($0.since) }
        item.systemComment = job.systemComment
        return item
    }

    private static func pool(_ pool: EnginePool) -> Listing.Pool {
        Listing.Pool(
            name: pool.name, granularity: pool.granularity, total: pool.total, used: pool.used,
            free: pool.available, siteFree: pool.reportedFree, isReported: pool.isReported)
    }

    private static func buffers(_ view: EngineView) -> [Listing.Buffer] {
        jobs(view).compactMap { job in
            guard let buffer = job.buffer, let created = buffer.created else { return nil }
            var item = Listing.Buffer(
                jobId: job.id, user: job.userName, userId: job.uid, pool: buffer.pool, size: buffer.size,
                state: buffer.stage.state.name, stateSince: time(buffer.since), createdAt: time(created))
            if let call = buffer.stage.call, let start = view.calls[call] {
                item.function = start.function.rawValue
                item.functionSince = time(start.at)
            }
            return item
        }
    }

    private static func users(_ view: EngineView) -> [Listing.User] {
        var users: [UInt32: Listing.User] = [:]
        for job in jobs(view) {
            guard let buffer = job.buffer, buffer.created != nil else { continue }
            var user =
                users[job.uid] ?? Listing.User(user: job.userName, userId: job.uid, buffers: 0, used: [:])
            user.buffers += 1
            if let pool = buffer.pool { user.used[pool, default: 0] &+= buffer.size }
            users[job.uid] = user
        }
        return users.values.sorted { $0.userId < $1.userId }
    }

    private static func reservation(_ reservation: EngineReservation) -> Listing.Reservation {
        Listing.Reservation(
            name: reservation.name, users: reservation.users, startAt: time(reservation.start),
            endAt: time(reservation.end), burstBuffer: reservation.burstBuffer, flags: reservation.flags)
    }

    private static func config(_ settings: EngineSettings) -> [String: String] {
        var values = [
            "ClusterName": settings.clusterName, "SlurmctldHost": settings.hostName,
            "StateSaveLocation": settings.stateFolder, "MinJobAge": "\(settings.minJobAgeSeconds)",
            "MaxJobCount": "\(settings.maxJobCount)", "MaxArraySize": "\(settings.maxArraySize)",
            "KillWait": "\(settings.killWaitSeconds)", "CPUs": "\(settings.cpus)",
        ]
        if let plugin = settings.plugin {
            values["BurstBufferType"] = "burst_buffer/\(plugin.name)"
            values["Flags"] = plugin.shown.flags
            values["OtherTimeout"] = "\(plugin.otherTimeout)"
            values["StageInTimeout"] = "\(plugin.stageInTimeout)"
            values["StageOutTimeout"] = "\(plugin.stageOutTimeout)"
            values["PollInterval"] = "\(plugin.pollInterval)"
        }
        return values
    }

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
            call: start.id.number, function: start.function.rawValue, jobId: start.jobID, arguments: start.arguments,
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
                    extra.function = start.function.rawValue
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
        case .pending, .stageInFailed, .stagedIn, .running, .postRunFailed, .stageOutFailed, .complete: nil
        }
    }
}
