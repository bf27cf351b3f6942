/// The rules about buffers and jobs (monitor.md §3.7). What a rule must not take for a fault stands beside it.
extension Watch {
    // MARK: By row: R1, R6, R7, R8, R12, R14, R18

    func judgeRows(_ findings: inout Findings, at: Timestamp) {
        guard let report = burst?.value else { return }
        var index: Int32 = 0
        let jobsCount = jobsAreCurrent
        for record in report.plugins {
            let buffers = record.buffers
            for place in buffers.indices {
                let row = index
                index += 1
                let track = rows[Int(row)]
                if track.state == Code.teardownFail || track.state == Code.allocRevoke {
                    judgeBroken(&findings, row, track, at: at)
                } else if track.state == Code.teardown, isRetrying(track) {
                    judgeBroken(&findings, row, track, at: at)
                }
                if track.stage == StateTable.none || !jobsCount {
                    judgeAllocationAge(&findings, row, track, record, at: at)
                }
                if track.isPersistent { judgePersistent(&findings, row, track, at: at) }
                if jobsCount, track.orphanPolls >= 2 { judgeOrphan(&findings, row, track, at: at) }
                if jobsCount, track.jobTrack >= 0, track.pool >= 0, let size = buffers[place].size.known, size > 0 {
                    judgeSize(&findings, row, track, size: size, at: at)
                }
            }
        }
    }

    /// A DataWarp teardown that failed and is tried again says `teardown` for the time of the call.
    private func isRetrying(_ track: BufferTrack) -> Bool {
        guard track.jobTrack >= 0 else { return false }
        return jobTracks[Int(track.jobTrack)].facts.contains(.datawarpTeardownFailed)
    }

    private func alert(
        _ rule: String, _ severity: Severity, _ row: Int32, _ title: String, _ message: String, since: Timestamp,
        sinceSeen: Bool, latched: Bool = false
    ) -> Alert {
        let track = rows[Int(row)]
        let buffer = buffer(track)
        return Alert(
            rule: rule, severity: severity, subject: .buffer(key(track)), title: title, user: buffer.user,
            size: buffer.size, pool: buffer.pool ?? "", message: message, since: since, sinceSeen: sinceSeen,
            latched: latched)
    }

    private func judgeBroken(_ findings: inout Findings, _ row: Int32, _ track: BufferTrack, at: Timestamp) {
        if track.state == Code.allocRevoke {
            findings.add(14, .crit, row: row, job: track.jobTrack, flag: .failed) {
                alert(
                    "R14", .crit, row, "alloc-revoke", "the allocation was revoked, which should never happen",
                    since: track.since, sinceSeen: track.sinceSeen)
            }
            return
        }
        findings.add(1, .crit, row: row, job: track.jobTrack, flag: .failed) {
            // The comment takes no more entries once it has 1024 bytes.
            let incidents = track.jobTrack >= 0 ? jobTracks[Int(track.jobTrack)].incidents : []
            let tries = track.jobTrack >= 0 ? jobTracks[Int(track.jobTrack)].teardownFailures : 0
            let comment = track.jobTrack >= 0 ? job(track.jobTrack)?.systemComment?.utf8.count ?? 0 : 0
            let more = comment >= 1024 ? "+" : ""
            var message = "retrying"
            if tries > 0 { message += tries == 1 && more.isEmpty ? ", 1 try seen" : ", \(tries)\(more) tries seen" }
            if let last = incidents.last, last.hook == "teardown", !last.message.isEmpty {
                message += ": \(last.message)"
            }
            return alert(
                "R1", .crit, row, "teardown-fail", message, since: track.since, sinceSeen: track.sinceSeen)
        }
    }

    func job(_ track: Int32) -> Job? { jobs?.value[Int(jobTracks[Int(track)].index)] }

    /// Without jobs only the allocation's own state tells a stage, and with lua it never does.
    private func judgeAllocationAge(
        _ findings: inout Findings, _ row: Int32, _ track: BufferTrack, _ plugin: PluginRecord, at: Timestamp
    ) {
        judgeAge(
            &findings, stage: track.state, since: track.since, sinceSeen: track.sinceSeen, row: row,
            job: track.jobTrack, plugin: plugin, at: at)
    }

    private func judgePersistent(_ findings: inout Findings, _ row: Int32, _ track: BufferTrack, at: Timestamp) {
        guard let created = track.knownCreation else { return }
        let days = at.seconds(since: created) / 86_400
        guard days > thresholds.persistentAgeDays else { return }
        findings.add(12, .info, row: row, job: -1, flag: .old) {
            alert(
                "R12", .info, row, "old",
                "persistent for \(days) days, more than \(thresholds.persistentAgeDays)",
                since: created, sinceSeen: true)
        }
    }

    /// Polls are counted up to 9.
    private static func polls(_ count: UInt8) -> String { count >= 9 ? "9 or more polls" : "\(count) polls" }

    private func judgeOrphan(_ findings: inout Findings, _ row: Int32, _ track: BufferTrack, at: Timestamp) {
        findings.add(8, .crit, row: row, job: track.jobTrack, flag: .leak, sinceIsKnown: false) {
            let what = track.jobWasKnown ? "Slurm has forgotten its job" : "job unknown to Slurm"
            return alert(
                "R8", .crit, row, "orphan",
                "\(what) in \(Self.polls(track.orphanPolls)), buffer still \(states.name(track.state))",
                since: at, sinceSeen: true, latched: true)
        }
    }

    private func judgeSize(_ findings: inout Findings, _ row: Int32, _ track: BufferTrack, size: UInt64, at: Timestamp)
    {
        let pool = pools[Int(track.pool)].pool
        let requests = jobTracks[Int(track.jobTrack)].requests
        guard let asked = asked(requests, pool: Int(track.pool)) else { return }
        let grain = max(1, pool.granularity.known ?? 1)
        // Each directive is rounded up by itself.
        let grains = UInt64(requests.count(where: { !$0.isPersistent }))
        let (slack, over) = grain.multipliedReportingOverflow(by: max(1, grains))
        let difference = size > asked ? size - asked : asked - size
        guard over ? false : difference > slack else { return }
        // DataWarp adds swap space, which no capacity= tells.
        if let spec = job(track.jobTrack)?.spec, spec.contains(" swap ") { return }
        findings.add(18, .info, row: row, job: track.jobTrack, sinceIsKnown: false) {
            alert(
                "R18", .info, row, "size differs",
                "holds \(Amount(size).text), its directives ask for \(Amount(asked).text) "
                    + "(grains of \(pool.granularity.text))",
                since: at, sinceSeen: false)
        }
    }

    // MARK: Ages: R6, R7

    private func judgeAge(
        _ findings: inout Findings, stage: UInt8, since: Timestamp, sinceSeen: Bool, row: Int32, job: Int32,
        plugin: PluginRecord, at: Timestamp
    ) {
        let age = at.seconds(since: since)
        let plus = sinceSeen ? "" : "+"
        if stage == Code.stagingIn || stage == Code.stagingOut {
            let isIn = stage == Code.stagingIn
            let timeout = isIn ? plugin.stageInTimeout : plugin.stageOutTimeout
            guard timeout > 0, age > 0 else { return }
            let percent = Int(clamping: Int64(age) * 100 / Int64(timeout))
            guard percent >= thresholds.stageWarnPercent else { return }
            let severity: Severity = percent >= thresholds.stageCritPercent ? .crit : .warn
            findings.add(6, severity, row: row, job: job, flag: .timeout(percent: percent)) {
                let name = isIn ? "StageInTimeout" : "StageOutTimeout"
                let left = timeout - age
                let rest = left > 0 ? "left \(Age.long(seconds: left))" : "over by \(Age.long(seconds: -left))"
                return staged(
                    "R6", severity, row, job, isIn ? "stage-in slow" : "stage-out slow",
                    "\(percent)%\(plus) of \(name), \(rest)", since: since, sinceSeen: sinceSeen)
            }
        } else if stage == Code.teardown || stage == Code.preRun || stage == Code.postRun {
            let limit = plugin.otherTimeout > 0 ? plugin.otherTimeout : thresholds.otherTimeoutFallbackSeconds
            guard age > limit else { return }
            findings.add(7, .warn, row: row, job: job) {
                let name = states.name(stage)
                return staged(
                    "R7", .warn, row, job, "\(name) slow",
                    "\(name) for \(Age.long(seconds: age))\(plus), OtherTimeout is \(Age.long(seconds: limit))",
                    since: since, sinceSeen: sinceSeen)
            }
        }
    }

    /// An alert about a stage: of the row, or of the job where it has none.
    private func staged(
        _ rule: String, _ severity: Severity, _ row: Int32, _ job: Int32, _ title: String, _ message: String,
        since: Timestamp, sinceSeen: Bool, latched: Bool = false
    ) -> Alert {
        if row >= 0 {
            return alert(
                rule, severity, row, title, message, since: since, sinceSeen: sinceSeen, latched: latched)
        }
        let track = jobTracks[Int(job)]
        let need = need(track)
        return Alert(
            rule: rule, severity: severity, subject: .job(JobID(track.id)), title: title,
            user: self.job(job)?.user ?? "", size: need.size.map { Amount($0) }, pool: need.pool ?? "",
            message: message, since: since, sinceSeen: sinceSeen, latched: latched)
    }

    // MARK: By job: R2, R4, R5, R6, R7, R8, R14

    func judgeJobs(_ findings: inout Findings, at: Timestamp) {
        guard jobsAreCurrent, let jobs else { return }
        let plugins = burst?.value.plugins ?? []
        for index in jobTracks.indices {
            let track = jobTracks[index]
            let place = Int32(index)
            if track.facts.contains(.outdated) { continue }
            let failure = judgeFailure(&findings, place, track, at: at)
            if track.lostPolls >= 2 {
                findings.add(8, .crit, row: track.row, job: place, sinceIsKnown: false) {
                    staged(
                        "R8", .crit, track.row, place, "no buffer",
                        "job is in \(states.name(track.stage)) but has no buffer in \(Self.polls(track.lostPolls)); "
                            + "it was lost and never goes on",
                        since: at, sinceSeen: true, latched: true)
                }
            }
            // A failed job keeps its state: its age says nothing.
            guard !failure else { continue }
            let stage = track.stage
            guard
                stage == Code.stagingIn || stage == Code.stagingOut || stage == Code.teardown || stage == Code.preRun
                    || stage == Code.postRun
            else {
                if stage == Code.allocRevoke, track.row < 0 || rows[Int(track.row)].state != Code.allocRevoke {
                    findings.add(14, .crit, row: track.row, job: place, flag: .failed) {
                        staged(
                            "R14", .crit, track.row, place, "alloc-revoke",
                            "the allocation was revoked, which should never happen", since: track.since,
                            sinceSeen: track.facts.contains(.sinceSeen))
                    }
                }
                continue
            }
            let plugin = track.row >= 0 ? plugins[Int(rows[Int(track.row)].place.plugin)] : plugins.first
            guard let plugin else { continue }
            if track.row >= 0, rows[Int(track.row)].state == Code.teardownFail { continue }
            let since = track.row >= 0 ? rows[Int(track.row)].since : track.since
            let seen = track.row >= 0 ? rows[Int(track.row)].sinceSeen : track.facts.contains(.sinceSeen)
            // A job is known to be at its stage when squeue said so, not longer.
            judgeAge(
                &findings, stage: stage, since: since, sinceSeen: seen, row: track.row, job: place, plugin: plugin,
                at: jobs.at)
        }
    }

    /// R2, R4, R5. True where one of them holds.
    private func judgeFailure(_ findings: inout Findings, _ place: Int32, _ track: JobTrack, at: Timestamp) -> Bool {
        let facts = track.facts
        if facts.contains(.luaTeardownFailed), track.stage == Code.teardown {
            // Slurm notes the first two failures only; the reason alone tells that there was one.
            let failures = max(1, track.retries(plugin: "lua", limit: otherTimeout("lua")))
            let attempt = min(3, failures + 1)
            findings.add(2, .crit, row: track.row, job: place, flag: .attempt(attempt)) {
                staged(
                    "R2", .crit, track.row, place, "teardown \(attempt)/3",
                    "try \(attempt) of 3, then lua gives up: \(reason(place))",
                    since: firstFailure(track, count: failures) ?? track.since, sinceSeen: true)
            }
            return true
        }
        if facts.contains(.datawarpTeardownFailed), track.stage == Code.teardown { return true }
        if facts.contains(.stageOut), facts.contains(.failed) {
            failed(&findings, 4, place, track, "stage-out FAIL", "data still in the buffer: \(reason(place))", at: at)
            return true
        }
        guard facts.contains(.pending) else { return false }
        if facts.contains(.pathsFailed) {
            let message =
                facts.contains(.held)
                ? "paths failed, held; a release does not help, only scancel" : "paths failed; only scancel helps"
            failed(&findings, 5, place, track, "paths FAIL", message, at: at)
            return true
        }
        if facts.contains(.failed) {
            let held = facts.contains(.held) ? "held" : "not held"
            let title: String
            switch track.stage {
            case Code.stagingIn: title = "stage-in FAIL"
            case Code.postRun, Code.stagingOut: title = "stage-out FAIL"
            default: title = Self.failureTitle(reason(place))
            }
            failed(&findings, 5, place, track, title, "\(held): \(reason(place))", at: at)
            return true
        }
        if isStuck(track) {
            let last = track.incidents.last.map { ": \($0.hook): \($0.message)" } ?? ""
            failed(
                &findings, 5, place, track, "stage-in STUCK",
                "released after a failure, nothing goes on; only scancel helps\(last)", at: at)
            return true
        }
        return false
    }

    /// What failed, where the state no longer tells: with TeardownFailure it is complete.
    private static func failureTitle(_ reason: String) -> String {
        if reason.contains("pre_run") { return "pre-run FAIL" }
        if reason.contains("data_out") || reason.contains("post_run") { return "stage-out FAIL" }
        return reason.contains("data_in") || reason.contains("setup") || reason.contains("real_size")
            ? "stage-in FAIL" : "hook FAIL"
    }

    private func reason(_ job: Int32) -> String { self.job(job)?.reasonLine ?? "" }

    private func failed(
        _ findings: inout Findings, _ rule: Int, _ place: Int32, _ track: JobTrack, _ title: String, _ message: String,
        at: Timestamp
    ) {
        // slurmctld noted the moment of the failure, where the newest entry is about the hook that failed.
        let text = message
        let noted = track.incidents.last
            .flatMap { text.contains($0.hook) ? zone.moment($0.time) : nil }
            .flatMap { $0 <= at ? $0 : nil }
        findings.add(
            rule, .crit, row: track.row, job: place, flag: .failed, sinceIsKnown: noted != nil
        ) {
            staged("R\(rule)", .crit, track.row, place, title, message, since: noted ?? at, sinceSeen: true)
        }
    }

    private func firstFailure(_ track: JobTrack, count: Int) -> Timestamp? {
        guard track.incidents.count >= count else { return nil }
        return zone.moment(track.incidents[track.incidents.count - count].time)
    }
}
