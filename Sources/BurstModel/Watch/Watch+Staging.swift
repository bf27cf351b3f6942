/// What is remembered of a session of the stager from document to document.
struct StagingTrack: Sendable {
    var phase: StagingPhase
    var since: Timestamp
    var sinceSeen: Bool
    /// What its copy had moved, and since when it has moved nothing more.
    var moved: [UInt64]
    var movedAt: Timestamp
    /// Slurm's word beside this phase, and since when both were so.
    var word = StagingRow.Word.unknown
    var pairSince: Timestamp
    var differs = false
}

/// Joins the stager's sessions with Slurm's buffers and jobs by token: the job's number, or a persistent buffer's name.
extension Watch {
    mutating func take(_ report: StagingReport, _ sample: Sample) {
        let at = sample.endedAt
        if let failing = stagingFailing {
            stagingFailing = nil
            let age = Age.long(seconds: at.seconds(since: failing.since))
            log(.note, .info, .controller, "the stager answers again, after \(age)", at: at)
        }
        let isFirst = staging == nil
        staging = Sampled(report, at: at, durationMilliseconds: sample.durationMilliseconds)
        var tracks: [StagingReport.Key: StagingTrack] = [:]
        tracks.reserveCapacity(report.sessions.count)
        var changes = 0
        let places = StagingPlaces(self, report)
        for session in report.sessions {
            let moved = session.progress?.moved ?? []
            var track =
                stagingTracks[session.key]
                ?? StagingTrack(
                    phase: session.phase, since: at, sinceSeen: !isFirst, moved: moved, movedAt: at, pairSince: at)
            if track.phase != session.phase {
                changes += 1
                if changes <= Self.changesMax {
                    log(
                        .state, session.phase.hasFailed ? .crit : .info, places.subject(of: session),
                        user: places.user(session.owner),
                        "stager: \(track.phase.name) -> \(session.phase.name)", at: at)
                }
                (track.phase, track.since, track.sinceSeen) = (session.phase, at, true)
                (track.pairSince, track.movedAt) = (at, at)
            }
            if track.moved != moved { (track.moved, track.movedAt) = (moved, at) }
            tracks[session.key] = track
        }
        if changes > Self.changesMax {
            log(.note, .info, .controller, "\(changes - Self.changesMax) more changes of the stager", at: at)
        }
        stagingTracks = tracks
        judgeStaging(at: at)
    }

    /// The stager does not answer. Where none was ever seen there is nothing to tell: most sites have none.
    mutating func stagingLost(_ reason: String, _ sample: Sample) {
        guard staging != nil else { return }
        if stagingFailing == nil {
            log(.note, .warn, .controller, "the stager does not answer: \(reason)", at: sample.endedAt)
        }
        let failing = stagingFailing ?? Failing(since: sample.startedAt, tries: 0, reason: reason)
        stagingFailing = Failing(since: failing.since, tries: failing.tries + 1, reason: reason)
    }

    // MARK: Rules: R19 to R24

    mutating func judgeStaging(_ findings: inout Findings, at: Timestamp) {
        guard let report = staging?.value, stagingFailing == nil else { return }
        let places = StagingPlaces(self, report)
        for session in report.sessions {
            guard var track = stagingTracks[session.key] else { continue }
            let word = places.word(for: session)
            if track.word != word { (track.word, track.pairSince) = (word, at) }
            track.differs = !Self.agree(session, word)
            stagingTracks[session.key] = track
            judge(session, track, places, &findings, at: at)
        }
        for pool in report.pools {
            guard let why = pool.unavailable else { continue }
            findings.add(22) {
                Alert(
                    rule: "R22", severity: .crit, subject: .pool(places.pool(pool.id)), title: "pool down",
                    pool: pool.id, message: "the stager cannot use it: \(why)", since: at)
            }
        }
        for buffer in report.quarantine where buffer.failures >= UInt64(thresholds.quarantineFailures) {
            findings.add(24, sinceIsKnown: buffer.since != nil) {
                Alert(
                    rule: "R24", severity: .warn, subject: places.subject(of: buffer.key.token, isPersistent: false),
                    title: "not removed", user: places.user(buffer.owner), size: Amount(buffer.bytes),
                    message: "torn down, and \(buffer.failures) removals failed; its space is not free"
                        + (buffer.lastError.map { ": \($0)" } ?? ""),
                    since: buffer.since ?? at)
            }
        }
    }

    private func judge(
        _ session: StagingReport.Session, _ track: StagingTrack, _ places: StagingPlaces, _ findings: inout Findings,
        at: Timestamp
    ) {
        func add(
            _ rule: Int, _ severity: Severity, _ title: String, _ message: @autoclosure () -> String,
            since: Timestamp? = nil
        ) {
            findings.add(rule, sinceIsKnown: since != nil) {
                Alert(
                    rule: "R\(rule)", severity: severity, subject: places.subject(of: session), title: title,
                    user: places.user(session.owner), size: Amount(session.bytes), message: message(),
                    since: since ?? at, sinceSeen: since == nil || track.sinceSeen)
            }
        }
        let error = session.details.flatMap { $0.lastError ?? $0.progress?.lastError }
        if session.isLost || session.phase.name == "lost" {
            add(23, .crit, "buffer lost", "what it held is gone" + (error.map { ": \($0)" } ?? ""), since: track.since)
            return
        }
        if session.phase.hasFailed {
            let isIn = session.phase.direction == "in"
            let title = session.phase.direction == "save" ? "save FAIL" : isIn ? "stage-in FAIL" : "stage-out FAIL"
            let errors = session.progress.map { $0.errors > 1 ? " (\($0.errors) errors)" : "" } ?? ""
            add(
                19, .crit, title,
                (isIn ? "stager: " : "data still in the buffer: ") + (error ?? session.phase.name) + errors,
                since: track.since)
        }
        if session.phase.isCopying, let progress = session.progress, !progress.isComplete, !progress.isPaused {
            let still = at.seconds(since: track.movedAt)
            if still >= thresholds.stageStallSeconds {
                add(
                    20, .warn, "copy stalled",
                    "\(session.phase.name) at \(progress.percentText) moved nothing for \(Age.long(seconds: still))"
                        + (error.map { ": \($0)" } ?? ""), since: track.movedAt)
            }
        }
        guard track.differs, let asked = places.asked else { return }
        // Slurm's word is as old as its last answer: what it says must have stood beside the phase for so long.
        let differing = asked.seconds(since: track.pairSince)
        if differing > thresholds.stageDisagreeSeconds {
            let said = track.word == .absent ? "Slurm does not list it" : "Slurm says \(track.word.text)"
            add(
                21, .warn, "states differ",
                "\(said), the stager \(session.phase.name), for \(Age.long(seconds: differing))",
                since: track.pairSince)
        }
    }

    /// Whether Slurm's word fits what the stager is at (staging.md §1.9). What cannot be told is no disagreement.
    static func agree(_ session: StagingReport.Session, _ word: StagingRow.Word) -> Bool {
        guard session.isListed, !session.isLost, !session.phase.isBeginning, let wanted = session.slurmState else {
            return true
        }
        switch word {
        case .unknown: return true
        case .absent:
            // Others' jobs may be hidden from who asks, and Slurm forgets what is over.
            return session.details == nil || wanted == .complete || wanted == .deleted
        case .state(let state):
            if state == wanted { return true }
            switch (wanted, state) {
            case (.running, .suspended), (.teardown, .teardownFail), (.stagingOut, .stagedOut), (.deleted, .deleting),
                (.preRun, .allocRevoke), (.stagedIn, .allocRevoke), (.teardown, .complete):
                return true
            // A failed stage-in waits for a person, whatever Slurm made of the job meanwhile.
            default: return session.phase.hasFailed && (state == .pending || state == .teardown)
            }
        }
    }

    // MARK: Rows

    func addStaging(to board: inout Board, _ noted: Noted) {
        guard let report = staging?.value else { return }
        let places = StagingPlaces(self, report)
        board.stagingRows.reserveCapacity(report.sessions.count)
        // A token that came again: the newest generation is the row's.
        var byToken: [String: Int32] = [:]
        for (index, session) in report.sessions.enumerated() {
            guard let track = stagingTracks[session.key] else { continue }
            var row = StagingRow(
                session: Int32(index), key: session.key, user: places.user(session.owner), word: track.word,
                since: track.since, sinceSeen: track.sinceSeen)
            switch places.subject(of: session) {
            case .buffer(let key):
                row.buffer = key
                row.job = key.id.jobID
                row.severity = noted.buffers[key]
            case .job(let id):
                row.job = id
                row.severity = noted.jobs[id]
            case .pool, .user, .controller: break
            }
            if track.differs { row.differsSince = track.pairSince }
            let place = Int32(board.stagingRows.count)
            if let known = byToken[session.token], board.stagingRows[Int(known)].key.generation > row.key.generation {
                // An older one on its way out.
            } else {
                byToken[session.token] = place
            }
            board.stagingRows.append(row)
        }
        guard !byToken.isEmpty else { return }
        for index in board.bufferRows.indices {
            let id = board.bufferRows[index].key.id
            let token = id.jobID.map { "\($0)" } ?? id.short
            if let place = byToken[token] { board.bufferRows[index].staging = place }
        }
        for index in board.jobRows.indices {
            if let place = byToken["\(board.jobRows[index].id)"] { board.jobRows[index].staging = place }
        }
    }
}

/// Where the stager's tokens stand in what Slurm says: looked up once for a document.
struct StagingPlaces {
    private let watch: Watch
    private var rowOfJob: [UInt32: Int32] = [:]
    private var rowOfName: [String: Int32] = [:]
    private var names: [UInt32: String] = [:]

    init(_ watch: Watch, _ report: StagingReport) {
        self.watch = watch
        let sessions = report.sessions
        guard !sessions.isEmpty || !report.quarantine.isEmpty else { return }
        for (index, track) in watch.rows.enumerated() {
            if track.isPersistent {
                rowOfName[watch.key(track).id.short] = Int32(index)
            } else {
                rowOfJob[track.job] = Int32(index)
            }
        }
        for total in watch.tally.users { names[total.uid] = total.user }
        for job in watch.jobs?.value ?? [] { names[job.uid] = job.user }
    }

    /// When Slurm was last asked what it calls things; nil where that is not known now.
    var asked: Timestamp? {
        guard watch.burstFailing == nil else { return nil }
        return watch.jobs.map { jobs in min(jobs.at, watch.burst?.at ?? jobs.at) } ?? watch.burst?.at
    }

    func user(_ uid: UInt32?) -> String { uid.map { names[$0] ?? "\($0)" } ?? "?" }

    func subject(of session: StagingReport.Session) -> Subject {
        subject(of: session.token, isPersistent: session.isPersistent)
    }

    func subject(of token: String, isPersistent: Bool) -> Subject {
        if !isPersistent, let id = JobID(token) {
            if let row = rowOfJob[id.number] { return .buffer(watch.key(watch.rows[Int(row)])) }
            return .job(id)
        }
        if let row = rowOfName[token] { return .buffer(watch.key(watch.rows[Int(row)])) }
        return .buffer(BufferKey(plugin: watch.pluginNames.first ?? "datawarp", id: .persistent(token)))
    }

    /// The pool that Slurm shows under this name.
    func pool(_ id: String) -> PoolKey {
        watch.pools.first { $0.pool.name == id }?.pool.key
            ?? PoolKey(plugin: watch.pluginNames.first ?? "datawarp", name: id)
    }

    /// What Slurm calls the stage: the job's word, a persistent buffer's own. With lua a buffer's word never changes,
    /// with DataWarp it says `staged-in` from then to the end, so without jobs nothing is told.
    func word(for session: StagingReport.Session) -> StagingRow.Word {
        // A burstd that is the stager alone has no plugin: there is no Slurm to differ from.
        guard watch.burst?.value.plugins.isEmpty == false else { return .unknown }
        if session.isPersistent {
            guard watch.burst != nil else { return .unknown }
            guard let row = rowOfName[session.token] else { return .absent }
            return watch.states.state(watch.rows[Int(row)].state).map { .state($0) } ?? .unknown
        }
        guard let id = JobID(session.token), watch.jobsAreCurrent else { return .unknown }
        if let place = watch.jobLookup[id.number] {
            return watch.states.state(watch.jobTracks[Int(place)].stage).map { .state($0) } ?? .unknown
        }
        return watch.jobsOf == nil && rowOfJob[id.number] == nil ? .absent : .unknown
    }
}
