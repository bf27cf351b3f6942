import BurstModel

/// What clients ask for: who may, and what each verb finds (staging.md §1.2, §1.10).
extension Stager {
    mutating func perform(
        _ verb: StagerVerb, by caller: StagerCaller, _ request: StagerRequest, at now: Timestamp
    ) {
        guard caller.isOperator || isOwnersAffair(verb, of: caller) else {
            let refusal = StagerAnswer.failed("permission denied")
            if case .teardown(let token, _) = verb { return failTeardown(request, token, refusal, at: now) }
            return answer(request, refusal)
        }
        switch verb {
        case .jobProcess(let check): answer(request, checkJob(check))
        case .setup(let order): setUp(order, request, at: now)
        case .createPersistent(let order): create(order, request, at: now)
        case .dataIn(let token): dataIn(token, request, at: now)
        case .realSize(let token): realSize(token, request)
        case .paths(let token): answer(request, paths(token))
        case .preRun(let token, let nodes): preRun(token, nodes, request, at: now)
        case .postRun(let token): postRun(token, request, at: now)
        case .dataOut(let token): dataOut(token, request, at: now)
        case .teardown(let token, let hurry): tearDown(token, hurry: hurry, request, at: now)
        case .test(let token, let direction): answer(request, test(token, direction))
        case .retry(let token): retry(token, request, at: now)
        case .throttle(let token, let throttle): self.throttle(token, throttle, request, at: now)
        case .access(let name, let list): setAccess(list, of: name, request, at: now)
        }
    }

    /// Owners may destroy and open to others what they created, and copy again what failed.
    private func isOwnersAffair(_ verb: StagerVerb, of caller: StagerCaller) -> Bool {
        switch verb {
        case .retry(let token):
            return (byToken[token] ?? []).contains { sessions[$0]?.owner.uid == caller.uid }
        case .teardown(let token, _), .access(let token, _):
            guard let session = current(token) ?? leaving(token) else { return false }
            return session.isPersistent && session.owner.uid == caller.uid
        case .jobProcess, .setup, .dataIn, .realSize, .paths, .preRun, .postRun, .dataOut, .createPersistent, .test,
            .throttle:
            return false
        }
    }

    /// The submission's only chance to be told: Slurm checks none of this (staging.md §0, fact 8).
    private func checkJob(_ check: JobCheck) -> StagerAnswer {
        switch check {
        case .refused(let text): return .failed(text)
        case .accepted(let space, let names, let owner):
            var wanted: [String: UInt64] = [:]
            for request in space where request.bytes > 0 {
                guard let pool = request.pool.isEmpty ? largestPool : pool(request.pool) else {
                    return .failed(unknownPool(request.pool))
                }
                let (sum, isOver) = wanted[pool.id, default: 0].addingReportingOverflow(
                    pool.granules(for: request.bytes))
                wanted[pool.id] = isOver ? .max : sum
            }
            for pool in pools {
                guard let granules = wanted[pool.id], granules > pool.usable else { continue }
                return .failed(
                    "pool \(pool.id) has \(size(pool.usable, of: pool)) in all, \(size(granules, of: pool)) are wanted")
            }
            if names.count > StagerLimits.persistentPerJobMax {
                return .failed("\(names.count) persistent buffers, \(StagerLimits.persistentPerJobMax) are possible")
            }
            // One that does not exist yet may be created before the job starts.
            for name in names {
                guard let owner, let buffer = current(name), buffer.isPersistent else { continue }
                if !mayUse(buffer, owner) { return .failed("persistent buffer \(name): permission denied") }
            }
            return .done
        }
    }

    /// Judges requests that name no pool: which one Slurm takes for them (DefaultPool) is known to Slurm alone.
    private var largestPool: StagerPool? {
        pools.max { left, right in
            left.usable.multipliedFullWidth(by: left.granularity)
                < right.usable.multipliedFullWidth(by: right.granularity)
        }
    }

    func mayUse(_ buffer: StagerSession, _ user: StagerSession.Owner) -> Bool {
        buffer.owner.uid == user.uid || buffer.persistent?.access.admits(user) == true
    }

    func unknownPool(_ name: String) -> String {
        let known = pools.map(\.id).joined(separator: ", ")
        return "pool \(name) is not known; known are: \(known.isEmpty ? "none" : known)"
    }

    func size(_ granules: UInt64, of pool: StagerPool) -> String {
        let (bytes, isOver) = granules.multipliedReportingOverflow(by: pool.granularity)
        return IECSize.text(isOver ? .max : bytes)
    }

    // MARK: Answers from what is there

    private mutating func realSize(_ token: String, _ request: StagerRequest) {
        guard let session = current(token) else { return answer(request, .failed(noSession(token))) }
        answer(request, StagerAnswer(status: 0, text: #"{"capacity": \#(session.bytes), "units": "bytes"}"#))
    }

    func noSession(_ token: String) -> String {
        StagerName.isValid(token) ? "token \(token) has no session" : "token has no session"
    }

    /// What the job finds in its environment (staging.md §1.6): values end with a slash, and their last part begins
    /// with the token.
    /// The answer to `paths`. It changes nothing, so that whoever is no client may ask as well: only `step` lets time
    /// pass, and what falls due then must be recorded and done.
    package func paths(_ token: String) -> StagerAnswer {
        guard let session = current(token) else { return .failed(noSession(token)) }
        guard session.lostWhy == nil else { return .failed(lostText(session)) }
        var lines: [String] = []
        for registration in session.registrations {
            guard let owner = sessions[registration.of],
                let configuration = owner.configuration(registration.configuration)
            else { continue }
            let folder = settings.mountFolder + "/" + Self.mountName(owner.token, configuration.access) + "/"
            switch configuration.access {
            case .swap: continue
            case .striped where owner.id != session.id:
                lines.append("\(Self.persistentVariable(owner.token))=\(folder)")
            case .striped: lines.append("DW_JOB_STRIPED=\(folder)")
            case .private: lines.append("DW_JOB_PRIVATE=\(folder)")
            }
        }
        var seen: Set<String> = []
        lines = lines.filter { seen.insert($0).inserted }
        return StagerAnswer(status: 0, text: "", lines: lines)
    }

    /// A shell's names have neither `-` nor `.`.
    static func persistentVariable(_ name: String) -> String {
        "DW_PERSISTENT_STRIPED_" + String(name.map { $0 == "-" || $0 == "." ? "_" : $0 })
    }

    /// Scripts take the token from the name up to the first `_` (staging.md §1.6).
    static func mountName(_ token: String, _ access: StagerSession.AccessMode) -> String {
        "\(token)_\(access.rawValue)_scratch"
    }

    func lostText(_ session: StagerSession) -> String { "the data are lost: \(session.lostWhy ?? "")" }

    // MARK: Orders of people

    private mutating func throttle(
        _ token: String, _ throttle: Throttle, _ request: StagerRequest, at now: Timestamp
    ) {
        guard let session = current(token) ?? leaving(token) else { return answer(request, .tokenNotFound) }
        change(session.id, at: now) {
            $0.throttle = throttle
            $0.progress?.throttle = throttle
        }
        if let worker = session.worker { out.effects.append(.throttle(worker, throttle)) }
        answer(request, .done)
    }

    private mutating func setAccess(
        _ list: AccessList, of name: String, _ request: StagerRequest, at now: Timestamp
    ) {
        guard let session = current(name), session.isPersistent else { return answer(request, .tokenNotFound) }
        change(session.id, at: now) { $0.persistent?.access = list }
        out.effects.append(.grant(session.id, session.key, session.instances, list))
        answer(request, .done)
    }
}

extension StagerSession {
    func configuration(_ id: UInt64) -> Configuration? {
        for instance in instances {
            if let found = instance.configurations.first(where: { $0.id == id }) { return found }
        }
        return nil
    }
}
