import BurstModel

/// Persistent buffers of datawarp: created, used and destroyed by jobs' directives (spec §5.6), and what the site
/// itself says of its sessions (§5.7).
extension Engine {
    /// What the site was asked and said.
    struct SiteState {
        var call: CallID?
        /// Bytes of each session, from the last `show_instances`.
        var instances: [Int64: UInt64] = [:]
        /// Sessions were read at least once since the start.
        var isKnown = false
        /// Sessions of jobs that nobody knows, which were to be torn down at the start; those whose teardown failed are
        /// tried again with each reading.
        var vestigial: [String: CallID?] = [:]
        /// Tokens that were told about once.
        var strange: Set<String> = []
    }

    /// Only where the answers mean something.
    private var hasSessions: Bool { rules.plugin == .datawarp && settings.plugin?.emulatesCray == false }

    private mutating func keep(_ buffer: PersistentBuffer) {
        persistentBuffers[buffer.name] = buffer
        out.records.append(.persistent(buffer))
    }

    private mutating func forget(_ buffer: PersistentBuffer) {
        discharge(buffer.pool, buffer.size)
        persistentBuffers[buffer.name] = nil
        out.records.append(.forgetPersistent(buffer.name))
    }

    // MARK: A job's turn

    /// Does the next thing that a job's directives want of persistent buffers.
    /// - Returns: whether all is done and all that it uses is there. If not, something is under way, or the job says
    ///   what it waits for.
    mutating func prepare(_ id: UInt32, at now: Timestamp) -> Bool {
        guard rules.plugin == .datawarp, let acts = jobs[id]?.buffer?.acts, !acts.isEmpty else { return true }
        for (index, act) in acts.enumerated() where !act.isDone && act.verb != .use {
            guard let job = jobs[id] else { return false }
            let isDone = act.verb == .create ? create(act, for: job, at: now) : destroy(act, for: job, at: now)
            guard isDone else { return false }
            done(index, of: id, at: now)
        }
        for act in acts where act.verb == .use {
            guard persistentBuffers[act.name]?.state == .allocated else {
                waits(id, .burstBufferResources, start: now.adding(seconds: 3600), at: now)
                return false
            }
        }
        let isGone = acts.allSatisfy { $0.verb == .destroy }
        change(id, at: now) { $0.buffer?.stage = .preparing(isGone ? .deleted : .allocated) }
        return true
    }

    private mutating func done(_ index: Int, of id: UInt32, at now: Timestamp) {
        change(id, at: now) {
            if $0.buffer?.acts.indices.contains(index) == true { $0.buffer?.acts[index].isDone = true }
        }
    }

    private mutating func create(_ act: PersistentAct, for job: EngineJob, at now: Timestamp) -> Bool {
        if let buffer = persistentBuffers[act.name] {
            guard buffer.uid == job.uid else {
                refuse(
                    job, .badConstraints, "Burst buffer create_persistent error", .createPersistent,
                    "Duplicate buffer name", at: now)
                return false
            }
            // The same user's: as if done (spec §5.6). One that goes away makes room for a new one.
            if buffer.state == .allocated { return true }
            waits(job.id, .burstBufferResources, start: now, at: now)
            return false
        }
        guard let pool = act.pool, waitForSpace(job, at: now) else { return false }
        charge(pool, act.size)
        var buffer = PersistentBuffer(
            name: act.name, uid: job.uid, userName: job.userName, pool: pool, size: act.size, created: now,
            state: .creating(nil))
        buffer.account = job.account
        buffer.partition = job.partition
        buffer.qos = job.qos
        buffer.access = act.access
        buffer.type = act.type
        buffer.jobID = job.id
        callCreate(buffer, at: now)
        change(job.id, at: now) {
            $0.reason = .burstBufferResources
            $0.reasonText = nil
            $0.buffer?.stage = .preparing(.allocating)
        }
        return false
    }

    private mutating func callCreate(_ buffer: PersistentBuffer, at now: Timestamp) {
        var buffer = buffer
        let job = buffer.jobID.flatMap { jobs[$0] }
        let call = makeCall(
            .createPersistent, for: .persistent(buffer.name, job: job?.id), job: job,
            arguments: DataWarpRules().arguments(creating: buffer), hasInfo: false,
            limit: limitSeconds(.createPersistent), at: now)
        buffer.state = .creating(call)
        keep(buffer)
    }

    private mutating func destroy(_ act: PersistentAct, for job: EngineJob, at now: Timestamp) -> Bool {
        guard var buffer = persistentBuffers[act.name] else {
            log(.info, "No burst buffer with name '\(act.name)' found for JobId=\(job.id)")
            return true
        }
        guard buffer.uid == job.uid else {
            refuse(
                job, .burstBufferOperation, "\(rules.fullName): Delete buffer \(act.name) permission denied",
                .destroyPersistent, nil, at: now)
            return false
        }
        switch buffer.state {
        case .creating: break
        case .allocated where act.isHurried || !isUsed(act.name, but: job.id):
            buffer.isHurried = act.isHurried
            buffer.failures = 0
            buffer.jobID = job.id
            callDestroy(buffer, for: job.id, at: now)
            return false
        // Others are at work with what is in it (Slurm takes it away under them).
        case .allocated: break
        case .destroying(nil) where buffer.jobID == job.id || buffer.jobID.flatMap({ jobs[$0] }) == nil:
            // It has failed. Why stands in the reason until it is tried again.
            guard (buffer.callAt ?? now) <= now else {
                if job.reason == .none { waits(job.id, .burstBufferResources, start: buffer.callAt, at: now) }
                return false
            }
            buffer.jobID = job.id
            callDestroy(buffer, for: job.id, at: now)
            return false
        case .destroying: break
        }
        waits(job.id, .burstBufferResources, start: now, at: now)
        return false
    }

    private mutating func callDestroy(_ buffer: PersistentBuffer, for job: UInt32, at now: Timestamp) {
        var buffer = buffer
        let call = makeCall(
            .destroyPersistent, for: .persistent(buffer.name, job: job), job: jobs[job],
            arguments: DataWarpRules().arguments(
                tearingDown: buffer.name, script: EnginePaths.script(job, in: settings.stateFolder),
                isHurried: buffer.isHurried), hasInfo: false, limit: limitSeconds(.destroyPersistent), at: now)
        buffer.state = .destroying(call)
        buffer.callAt = nil
        keep(buffer)
        change(job, at: now) {
            if $0.reason == .none { $0.reason = .burstBufferResources }
            $0.buffer?.stage = .preparing(.deleting)
        }
    }

    /// A job that uses the buffer has been set up and is not torn down.
    private func isUsed(_ name: String, but id: UInt32) -> Bool {
        jobs.values.contains { job in
            job.id != id && job.buffer?.created != nil
                && job.buffer?.acts.contains { $0.verb == .use && $0.name == name } == true
        }
    }

    private mutating func refuse(
        _ job: EngineJob, _ reason: EngineJob.Reason, _ text: String, _ function: HookFunction, _ comment: String?,
        at now: Timestamp
    ) {
        log(.error, "JobId=\(job.id): \(text)")
        change(job.id, at: now) {
            $0.priority = 0
            $0.reason = reason
            $0.reasonText = text
            $0.buffer?.stage = .pending
        }
        if let comment { note(job.id, function, comment, at: now) }
    }

    // MARK: Answers

    mutating func persistentAnswered(
        _ name: String, _ call: CallID, _ answer: HookAnswer, for asker: UInt32?, at now: Timestamp
    ) {
        guard var buffer = persistentBuffers[name] else { return }
        // The job may have been cancelled meanwhile: what was asked for is done all the same.
        let job = asker.flatMap { jobs[$0] }.flatMap { job in
            if job.state == .pending, case .preparing? = job.buffer?.stage { job } else { nil }
        }
        let shown = asker.map { "\($0)" } ?? "none"
        let message = DataWarpRules.line(answer.failureText(limit: limitSeconds(.createPersistent)))
        switch buffer.state {
        case .creating(call):
            if answer.isSuccess {
                buffer.state = .allocated
                buffer.created = now
                buffer.jobID = nil
                keep(buffer)
            } else if answer.end == .killed {
                // The engine ends: the next life asks again.
                buffer.state = .creating(nil)
                keep(buffer)
            } else {
                log(.error, "create_persistent of \(name) for JobId=\(shown) failed, response=\(message).")
                forget(buffer)
                if let job { refuse(job, .badConstraints, message, .createPersistent, message, at: now) }
            }
        case .destroying(call):
            if answer.isSuccess {
                forget(buffer)
            } else if job == nil, answer.end != .killed {
                log(.error, "destroy of \(name) for JobId=\(shown) failed, response=\(message); it is kept.")
                restore(&buffer)
            } else {
                buffer.failures += 1
                let pause = DataWarpRules.pauseSeconds(failures: buffer.failures)
                log(
                    .error,
                    "destroy of \(name) for JobId=\(shown) failed, response=\(message). Retrying after \(pause) seconds."
                )
                let at = now.adding(seconds: pause)
                buffer.state = .destroying(nil)
                buffer.callAt = at
                keep(buffer)
                guard let job else { return }
                timers.add(at, job: job.id)
                change(job.id, at: now) {
                    $0.reason = .badConstraints
                    $0.reasonText = message
                }
                note(job.id, .destroyPersistent, message, at: now)
            }
        case .creating, .allocated, .destroying: return
        }
        wantPass(at: now)
    }

    /// Nobody wants it destroyed any more.
    private mutating func restore(_ buffer: inout PersistentBuffer) {
        buffer.state = .allocated
        buffer.jobID = nil
        buffer.callAt = nil
        buffer.failures = 0
        keep(buffer)
    }

    /// The job is gone: what it wanted destroyed and could not is kept. A call under way goes on.
    mutating func abandonPersistent(of id: UInt32) {
        for var buffer in persistentBuffers.values.sorted(by: { $0.name < $1.name })
        where buffer.jobID == id && buffer.state == .destroying(nil) {
            restore(&buffer)
        }
    }

    // MARK: Restart

    /// Calls of the earlier life are lost. What was being created is created again unless the site lists it; what was
    /// being destroyed is destroyed again when its job's turn comes.
    mutating func recoverPersistent(at now: Timestamp) {
        for var buffer in persistentBuffers.values.sorted(by: { $0.name < $1.name }) {
            switch buffer.state {
            case .allocated: continue
            case .creating:
                buffer.state = .creating(nil)
                keep(buffer)
                if !hasSessions { callCreate(buffer, at: now) }
            case .destroying:
                buffer.state = .destroying(nil)
                buffer.callAt = nil
                keep(buffer)
                let isWanted = buffer.jobID.flatMap { jobs[$0] }.map { !$0.state.isFinal } ?? false
                if !isWanted { restore(&buffer) }
            }
        }
    }

    // MARK: The site

    mutating func askSessions(at now: Timestamp) {
        guard hasSessions, site.call == nil else { return }
        site.call = askSite(.showInstances, for: .site, at: now)
    }

    mutating func siteAnswered(_ answer: HookAnswer, _ reading: SiteReading?, at now: Timestamp) {
        site.call = nil
        switch reading {
        case .instances(let instances):
            site.instances = instances
            site.call = askSite(.showSessions, for: .site, at: now)
        case .sessions(let sessions): take(sessions, at: now)
        case .unreadable(let faults): for fault in faults { log(.error, fault) }
        case nil:
            // Slurm takes a failure for "there are none" (staging.md §1.2); here what was known stays.
            log(.error, "the site's sessions cannot be read: \(answer.failureText(limit: limitSeconds(.showSessions)))")
        }
    }

    private mutating func take(_ sessions: [ReportedSession], at now: Timestamp) {
        let isFirst = !site.isKnown
        site.isKnown = true
        var seen: Set<String> = []
        for session in sessions where seen.insert(session.token).inserted {
            if session.token.utf8.first.map({ (0x30...0x39).contains($0) }) == true {
                takeJobSession(session.token, isFirst: isFirst, at: now)
            } else {
                takeNamed(session, isFirst: isFirst, at: now)
            }
        }
        site.strange.formIntersection(seen)
        for token in Array(site.vestigial.keys) where !seen.contains(token) && site.vestigial[token] == .some(nil) {
            site.vestigial[token] = nil
        }
        for var buffer in persistentBuffers.values.sorted(by: { $0.name < $1.name }) where !seen.contains(buffer.name) {
            switch buffer.state {
            case .creating(nil): callCreate(buffer, at: now)
            case .allocated:
                guard let since = buffer.missingSince else {
                    buffer.missingSince = now
                    keep(buffer)
                    continue
                }
                guard now.seconds(since: since) > EngineLimits.missingSessionSeconds else { continue }
                log(.error, "Persistent burst buffer \(buffer.name) purged")
                forget(buffer)
                wantPass(at: now)
            case .creating, .destroying: break
            }
        }
    }

    private mutating func takeJobSession(_ token: String, isFirst: Bool, at now: Timestamp) {
        if let id = UInt32(token), jobs[id] != nil { return }
        let isTried = site.vestigial[token]
        guard isFirst || isTried == .some(nil) else {
            if isTried == nil, site.strange.insert(token).inserted {
                log(.error, "Unexpected burst buffer found: \(token)")
            }
            return
        }
        if isFirst { log(.info, "Purging vestigial buffer for JobId=\(token)") }
        let call = makeCall(
            .destroyPersistent, for: .vestigial(token), job: nil,
            arguments: DataWarpRules().arguments(
                tearingDown: token, script: EnginePaths.noScript(in: settings.stateFolder), isHurried: false),
            hasInfo: false, limit: limitSeconds(.jobTeardown), at: now)
        site.vestigial[token] = .some(call)
    }

    mutating func vestigialAnswered(_ token: String, _ answer: HookAnswer) {
        if answer.isSuccess {
            site.vestigial[token] = nil
        } else {
            site.vestigial[token] = .some(nil)
            let why = DataWarpRules.line(answer.failureText(limit: limitSeconds(.jobTeardown)))
            log(.error, "Teardown of session \(token), which is of no known job, failed: \(why). It is tried again.")
        }
    }

    private mutating func takeNamed(_ session: ReportedSession, isFirst: Bool, at now: Timestamp) {
        if var buffer = persistentBuffers[session.token] {
            let before = buffer
            buffer.missingSince = nil
            if case .creating(nil) = buffer.state {
                buffer.state = .allocated
                buffer.jobID = nil
            }
            if buffer != before {
                keep(buffer)
                wantPass(at: now)
            }
            return
        }
        let age = session.created.map { now.seconds(since: $0) } ?? 0
        guard isFirst || age > Int(settings.plugin?.otherTimeout ?? 300), let pool = defaultPool,
            pools.contains(where: { $0.name == pool })
        else { return }
        if !isFirst { log(.error, "Unexpected burst buffer found: \(session.token)") }
        // Which pool it is in the site does not say; Slurm charges the default one, too.
        let size = site.instances[session.id] ?? 0
        let buffer = PersistentBuffer(
            name: session.token, uid: session.uid, userName: session.userName, pool: pool, size: size,
            created: session.created ?? now, state: .allocated)
        // The site has counted it already.
        let free = pools.first { $0.name == pool }?.reportedFree
        charge(pool, size)
        if let index = pools.firstIndex(where: { $0.name == pool }) { pools[index].reportedFree = free }
        keep(buffer)
        wantPass(at: now)
    }
}
