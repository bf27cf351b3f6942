/// Takes in squeue's list: what each job's buffer is at, joined with the rows of the newest report.
extension Watch {
    mutating func take(_ list: [Job], faults: [Fault], _ sample: Sample) {
        let at = sample.endedAt
        let before = jobs
        let isFirst = before == nil
        let gap = jobsFailing != nil || before.map { at.seconds(since: $0.at) > Self.gapSeconds } ?? false
        jobsNumber += 1
        var log = ChangeLog(at: at)
        let old = jobTracks
        var lookup: [UInt32: Int32] = [:]
        lookup.reserveCapacity(list.count)
        var tracks: [JobTrack] = []
        tracks.reserveCapacity(old.count)
        var survived = 0
        var cursor = 0
        var memo = RequestMemo()
        for index in list.indices where list[index].spec != nil || list[index].bufferState != nil {
            let id = list[index].id.number
            if lookup[id] != nil { continue }
            var earlier: Int?
            if cursor < old.count, old[cursor].id == id {
                earlier = cursor
            } else if let found = jobLookup[id] {
                earlier = Int(found)
            }
            if let earlier {
                cursor = earlier + 1
                survived += 1
            }
            let track = follow(
                list, index, earlier: earlier.map { old[$0] }, before: before?.value, at: at, isFirst: isFirst,
                gap: gap,
                memo: &memo, log: &log)
            lookup[id] = Int32(tracks.count)
            tracks.append(track)
        }
        let isWhole = faults.isEmpty
        if survived < old.count, isWhole {
            for track in old where lookup[track.id] == nil && track.stage != Code.complete {
                log.add(
                    Event(
                        at: at, level: .info, kind: .state, subject: subject(track), user: user(track),
                        text: "job is no longer listed, was \(states.name(track.stage))"))
            }
        }
        jobTracks = tracks
        jobLookup = lookup
        jobs = Sampled(list, at: at, durationMilliseconds: sample.durationMilliseconds)
        jobFaults = faults
        jobsOf = Self.user(in: sample.arguments)
        jobsFailing = nil
        rejoin(at: at, isFirst: isFirst, gap: gap, isWhole: isWhole)
        finish(log)
        // A report that was compared already says nothing new about jobs without rows.
        if isWhole, burst != nil, burstNumber != comparedReport {
            countOrphans()
            countLost()
            comparedReport = burstNumber
        }
        settleDeparted(byJobs: true, at: at)
        proveCancels(at: at)
        settled = settled.filter { job in lookup[job] != nil || tombstones.contains { $0.track.job == job } }
        judge(at: at)
    }

    /// Takes in what `scontrol show job` says of one job, so that its row need not wait for the next squeue. What
    /// squeue prints better (directives and comments with their newlines) stays; it counts as no poll.
    mutating func take(_ detail: Job, at: Timestamp) {
        guard let list = jobs, let place = jobLookup[detail.id.number].map({ Int($0) }) else { return }
        let earlier = jobTracks[place]
        let index = Int(earlier.index)
        var job = list.value[index]
        job.state = detail.state
        job.priority = detail.priority
        job.bufferState = detail.bufferState ?? job.bufferState
        job.start = detail.start ?? job.start
        if job.reason.withUnderscores != detail.reason.withUnderscores { job.reason = Self.spoken(detail.reason) }
        guard job != list.value[index] else { return }
        jobs!.value[index] = job
        let gap = jobsFailing != nil || at.seconds(since: list.at) > Self.gapSeconds
        var log = ChangeLog(at: at)
        var memo = RequestMemo()
        var track = follow(
            jobs!.value, index, earlier: earlier, before: list.value, at: at, isFirst: false, gap: gap, isPoll: false,
            memo: &memo, log: &log)
        track.row = earlier.row
        jobTracks[place] = track
        if track.row >= 0 { rejoin(Int(track.row), at: at, isFirst: false, gap: gap, isWhole: true) }
        finish(log)
        proveCancels(at: at)
        judge(at: at)
    }

    /// A reason of `scontrol show job`, which prints the blanks of a description as underscores, in squeue's words.
    private static func spoken(_ reason: String) -> String {
        if reason == "Burst_buffer_pre_run_error" { return "Burst buffer pre_run error" }
        guard reason.hasPrefix("burst_buffer/") else { return reason }
        return "burst_buffer/" + reason.dropFirst(13).map { $0 == "_" ? " " : String($0) }.joined()
    }

    private func user(_ track: JobTrack) -> String { jobs!.value[Int(track.index)].user }

    /// The user whose jobs alone were asked for: `squeue -u NAME`.
    private static func user(in arguments: [String]) -> String? {
        guard let flag = arguments.firstIndex(of: "-u"), flag + 1 < arguments.count else { return nil }
        return arguments[flag + 1]
    }

    /// Directives repeat; each text is read once.
    struct RequestMemo {
        private var last = ""
        private var requests: [BufferRequest] = []

        mutating func read(_ spec: String) -> [BufferRequest] {
            if spec != last {
                last = spec
                requests = BufferRequest.parse(spec)
            }
            return requests
        }
    }

    private mutating func follow(
        _ list: [Job], _ index: Int, earlier: JobTrack?, before: [Job]?, at: Timestamp, isFirst: Bool, gap: Bool,
        isPoll: Bool = true, memo: inout RequestMemo, log: inout ChangeLog
    ) -> JobTrack {
        let stage = states.code(list[index].bufferState)
        var track: JobTrack
        if let earlier, let before {
            track = earlier
            let old = Int(earlier.index)
            if before[old].spec != list[index].spec {
                track.requests = list[index].spec.map { memo.read($0) } ?? []
            }
            if before[old].systemComment != list[index].systemComment {
                track.incidents = list[index].systemComment.map(Incident.parse) ?? []
            }
            if stage != earlier.stage {
                let subject = subject(earlier)
                log.add(
                    Event(
                        at: at, level: .info, kind: .state, subject: subject, user: list[index].user,
                        text: "job \(states.name(earlier.stage)) -> \(states.name(stage))"))
                track.stage = stage
                track.since = at
                track.facts = gap ? [] : .sinceSeen
                track.lostPolls = 0
            }
        } else {
            track = JobTrack(
                id: list[index].id.number, index: 0, row: -1, stage: stage, lostPolls: 0, pathsPolls: 0, facts: [],
                since: at, requests: list[index].spec.map { memo.read($0) } ?? [],
                incidents: list[index].systemComment.map(Incident.parse) ?? [])
            if !isFirst {
                if !gap { track.facts = .sinceSeen }
                if stage != Code.complete {
                    log.add(
                        Event(
                            at: at, level: .info, kind: .state, subject: .job(list[index].id), user: list[index].user,
                            text: "new job, \(states.name(stage))"))
                }
            }
        }
        track.index = Int32(index)
        track.row = -1
        track.facts = facts(list, index, track)
        let waitsInPreRun =
            track.facts.contains(.pending) && stage == Code.preRun && list[index].reason == "BurstBufferResources"
        track.pathsPolls = waitsInPreRun ? min(track.pathsPolls + (isPoll ? 1 : 0), 9) : 0
        if track.pathsPolls >= 2 { track.facts.insert(.pathsFailed) }
        return track
    }

    // MARK: Facts

    private func facts(_ list: [Job], _ index: Int, _ track: JobTrack) -> JobFacts {
        var facts = track.facts.intersection([.sinceSeen, .stageInFailed])
        switch list[index].state.name {
        case "PENDING": facts.insert(.pending)
        case "STAGE_OUT": facts.insert(.stageOut)
        case "RUNNING": facts.insert(.running)
        default: if list[index].state.isFinal { facts.insert(.final) }
        }
        let reason = list[index].reason.utf8
        if list[index].priority == 0 { facts.insert(.held) }
        if facts.contains(.pending), reason.starts(with: "JobHeld".utf8) { facts.insert(.held) }
        if track.stage != Code.stagingIn { facts.remove(.stageInFailed) }
        // Letters at most reasons begin with: most jobs are done here.
        guard let first = reason.first, [UInt8(ascii: "b"), UInt8(ascii: "B"), UInt8(ascii: "J")].contains(first) else {
            return facts
        }
        if facts.contains(.pending) {
            switch list[index].reason {
            case "BurstBufferResources" where track.stage == Code.pending || track.stage == StateTable.none:
                facts.insert(.waits)
            case "JobHeldAdmin" where track.stage == Code.preRun: facts.insert(.pathsFailed)
            case "Burst buffer pre_run error", "BurstBufferOperation": facts.insert(.failed)
            default: break
            }
        } else if facts.contains(.stageOut), list[index].reason == "BurstBufferOperation" {
            facts.insert(.failed)
        }
        guard reason.starts(with: "burst_buffer/".utf8) else { return facts }
        let text = list[index].reason
        // What a healthy stage-out says; a job requeued while it runs has it too, and is pending.
        if text.hasSuffix(": Stage-out in progress") { return facts }
        if text.contains("teardown failed:") || text.hasPrefix("burst_buffer/lua: teardown:") {
            facts.insert(.luaTeardownFailed)
        } else if text.hasPrefix("burst_buffer/datawarp: teardown") {
            facts.insert(.datawarpTeardownFailed)
        } else if facts.contains(.pending) || facts.contains(.stageOut) {
            facts.insert(.failed)
            if facts.contains(.pending), track.stage == Code.stagingIn {
                facts.insert(.stageInFailed)
                if text.contains("setup") { facts.insert(.setupFailed) }
            }
        }
        return facts
    }

    static let stageInHooks: Set<String> = [
        "setup", "data_in", "test_data_in", "real_size", "create_persistent", "destroy_persistent",
    ]

    /// A stage-in that failed and was released: Slurm says staging-in and calls no hook ever again (R5). A failure
    /// older than the buffer belongs to an earlier try.
    func isStuck(_ track: JobTrack) -> Bool {
        guard track.stage == Code.stagingIn, track.facts.contains(.pending), !track.facts.contains(.failed),
            let last = track.incidents.last, Self.stageInHooks.contains(last.hook)
        else { return false }
        if track.row >= 0, rows[Int(track.row)].knownCreation != nil {
            return last.time.secondsSinceEpoch >= rows[Int(track.row)].createdLocal
        }
        return track.facts.contains(.stageInFailed)
    }

    // MARK: Join

    /// Gives rows of a new report their jobs.
    mutating func linkJobs() {
        guard jobs != nil else { return }
        let hadRow = jobTracks.map { $0.row >= 0 }
        for index in jobTracks.indices { jobTracks[index].row = -1 }
        defer {
            for index in jobTracks.indices where hadRow[index] && jobTracks[index].row < 0 {
                jobTracks[index].facts.insert(.outdated)
            }
        }
        for index in rows.indices where rows[index].job != 0 {
            // The reply of squeue is the same: what a row was linked to, it still is.
            let was = Int(rows[index].jobTrack)
            let isLinked = was >= 0 && was < jobTracks.count && jobTracks[was].id == rows[index].job
            let found = isLinked ? Int32(was) : jobLookup[rows[index].job] ?? -1
            rows[index].jobTrack = found
            guard found >= 0 else { continue }
            jobTracks[Int(found)].row = Int32(index)
            let stage = jobTracks[Int(found)].stage
            if rows[index].stage == StateTable.none, stage != StateTable.none {
                rows[index].stage = stage
                rows[index].jobWasKnown = true
                // The job was seen before its buffer: the later of both began what holds now.
                let track = jobTracks[Int(found)]
                if track.since > rows[index].since {
                    rows[index].since = track.since
                    rows[index].sinceSeen = track.facts.contains(.sinceSeen)
                }
            }
        }
    }

    /// Gives rows the states of new jobs.
    private mutating func rejoin(at: Timestamp, isFirst: Bool, gap: Bool, isWhole: Bool) {
        for index in rows.indices where rows[index].job != 0 {
            rejoin(index, at: at, isFirst: isFirst, gap: gap, isWhole: isWhole)
        }
    }

    private mutating func rejoin(_ index: Int, at: Timestamp, isFirst: Bool, gap: Bool, isWhole: Bool) {
        let found = jobLookup[rows[index].job] ?? -1
        rows[index].jobTrack = found
        // A job that a damaged reply lost has not left its stage.
        if found < 0, !isWhole { return }
        let stage = found >= 0 ? jobTracks[Int(found)].stage : StateTable.none
        if found >= 0 {
            jobTracks[Int(found)].row = Int32(index)
            rows[index].jobWasKnown = true
        }
        let was = rows[index].stage
        guard stage != was else { return }
        rows[index].stage = stage
        if was == StateTable.none {
            // Nothing changed that we know of: only now the job is told.
            if stage == Code.stagingIn, let created = rows[index].knownCreation, created <= at {
                rows[index].since = created
                rows[index].sinceSeen = true
            } else if rows[index].watched, !gap, !isFirst {
                rows[index].since = at
                rows[index].sinceSeen = true
            } else {
                rows[index].sinceSeen = false
            }
        } else {
            rows[index].since = at
            rows[index].sinceSeen = !gap
            rows[index].changedIn = burstNumber
        }
        if found >= 0, rows[index].since < jobTracks[Int(found)].since {
            jobTracks[Int(found)].since = rows[index].since
            if rows[index].sinceSeen { jobTracks[Int(found)].facts.insert(.sinceSeen) }
        }
    }

    // MARK: Polls

    /// Whether this squeue would have told of the job of a user's buffer.
    func wouldList(user: String) -> Bool {
        if let jobsOf { return jobsOf == user }
        let hidden = config?.value.privateData?.split(separator: ",").contains("jobs") ?? false
        let viewer = source.viewer.prefix { $0 != "@" }
        return !hidden || viewer == "root" || viewer == user
    }

    /// Buffers whose job Slurm does not list (R8).
    private mutating func countOrphans() {
        var unknown: [UInt32: Int32] = [:]
        for index in rows.indices where rows[index].job != 0 {
            if rows[index].jobTrack >= 0 {
                rows[index].orphanPolls = 0
            } else {
                unknown[rows[index].job] = Int32(index)
            }
        }
        guard !unknown.isEmpty, let list = jobs?.value else { return }
        for index in list.indices {
            // A job that says nothing of buffers is a job all the same.
            if let row = unknown.removeValue(forKey: list[index].id.number) { rows[Int(row)].orphanPolls = 0 }
            if unknown.isEmpty { return }
        }
        for row in unknown.values where wouldList(user: buffer(rows[Int(row)]).user) {
            rows[Int(row)].orphanPolls = min(rows[Int(row)].orphanPolls + 1, 9)
        }
    }

    /// Jobs that say they use a buffer that is not there (R8).
    private mutating func countLost() {
        let isHidden = burst!.value.plugins.contains(where: \.hidesOtherUsers)
        let isWhole = burst!.value.faults.isEmpty
        for index in jobTracks.indices {
            let stage = jobTracks[index].stage
            let moves = stage == Code.stagingIn || stage == Code.postRun || stage == Code.stagingOut
            if moves, jobTracks[index].row < 0, !isHidden, isWhole {
                jobTracks[index].lostPolls = min(jobTracks[index].lostPolls + 1, 9)
            } else {
                jobTracks[index].lostPolls = 0
            }
        }
    }

    /// Buffers gone since the last reply of squeue: how did their teardown end?
    /// - Parameter byJobs: the jobs are newer than the report.
    mutating func settleDeparted(byJobs: Bool, at: Timestamp) {
        for gone in departed {
            guard let place = jobLookup[gone.track.job] else { continue }
            if gaveUp(jobTracks[Int(place)]) {
                bury(gone, "gone after \(Self.giveUp)", at: at)
            }
        }
        departed.removeAll { gone in
            guard let place = jobLookup[gone.track.job] else { return byJobs }
            return jobTracks[Int(place)].stage == Code.complete || at.seconds(since: gone.at) > Self.departedSeconds
        }
        guard byJobs else { return }
        // A leak from before we watched, or of a buffer too short-lived to be seen.
        for track in jobTracks where !track.incidents.isEmpty && track.row < 0 && gaveUp(track) {
            guard settled.insert(track.id).inserted, !thresholds.disabled.contains("R3") else { continue }
            let job = JobID(track.id)
            let need = need(track)
            raiseLatched(
                Alert(
                    rule: "R3", severity: .crit, subject: .job(job), title: "LEAK?", user: user(track),
                    size: need.size.map { Amount($0) }, pool: need.pool ?? "",
                    message: "its buffer is gone after \(Self.giveUp)",
                    since: track.incidents.last.map { zone.moment($0.time) } ?? at, latched: true), at: at)
        }
    }

    private static let giveUp =
        "2 failed teardowns: the third try worked or lua gave up, and the space may still be held"

    /// Two failures noted and the job complete: the third try may have failed too, Slurm does not say (R3).
    private func gaveUp(_ track: JobTrack) -> Bool {
        track.stage == Code.complete && track.retries(plugin: "lua", limit: otherTimeout("lua")) >= 2
    }

    /// Seconds; OtherTimeout of a plugin.
    func otherTimeout(_ plugin: String) -> Int {
        let told = burst?.value.plugins.first { $0.name == plugin }?.otherTimeout ?? 0
        return told > 0 ? told : thresholds.otherTimeoutFallbackSeconds
    }
}

extension String {
    /// With underscores for blanks and newlines.
    fileprivate var withUnderscores: String { String(map { $0.isWhitespace ? "_" : $0 }) }
}
