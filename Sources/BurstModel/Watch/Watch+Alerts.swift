/// An alert that stands.
struct ActiveAlert: Sendable {
    var alert: Alert
    /// Its condition holds; otherwise it is latched.
    var holds: Bool
    /// What a rule measures; when it grows, an acknowledgement no longer counts.
    var measure: UInt64
}

/// What a rule says of a row besides its alert.
struct RowNote: Sendable {
    enum Flag: Sendable {
        case none, old, held
        case timeout(percent: Int)
        case attempt(Int)
        case failed, leak

        private var rank: Int {
            switch self {
            case .none: 0
            case .old: 1
            case .held: 2
            case .timeout: 3
            case .attempt: 4
            case .failed: 5
            case .leak: 6
            }
        }

        func over(_ other: Flag) -> Flag { rank >= other.rank ? self : other }

        var text: String {
            switch self {
            case .none: ""
            case .old: "OLD"
            case .held: "HELD"
            case .timeout(let percent): "\(min(percent, 999))%TO"
            case .attempt(let number): "\(number)/3"
            case .failed: "FAILED"
            case .leak: "LEAK?"
            }
        }
    }

    var severity: Severity
    var flag: Flag
}

/// What the rules find in one round.
struct Findings {
    struct Finding {
        var alert: Alert
        /// The rule knows since when; otherwise it is since it was first found.
        var sinceIsKnown: Bool
        var measure: UInt64
    }

    private let enabled: [Bool]
    var list: [Finding] = []
    private var counts = [Int](repeating: 0, count: RuleThresholds.ids.count + 1)
    var rowNotes: [Int32: RowNote] = [:]
    var jobNotes: [Int32: Severity] = [:]

    init(disabled: Set<String>) {
        enabled = (0...RuleThresholds.ids.count).map { !disabled.contains("R\($0)") }
    }

    func isOn(_ rule: Int) -> Bool { enabled[rule] }

    /// An alert about a buffer or a job; the alert itself is made only while there is room for it.
    mutating func add(
        _ rule: Int, _ severity: Severity, row: Int32, job: Int32, flag: RowNote.Flag = .none, measure: UInt64 = 0,
        sinceIsKnown: Bool = true, _ make: () -> Alert
    ) {
        guard enabled[rule] else { return }
        if row >= 0 {
            let note = rowNotes[row]
            rowNotes[row] = RowNote(
                severity: note.map { max($0.severity, severity) } ?? severity,
                flag: note.map { flag.over($0.flag) } ?? flag)
        }
        if job >= 0 { jobNotes[job] = jobNotes[job].map { max($0, severity) } ?? severity }
        add(rule, measure: measure, sinceIsKnown: sinceIsKnown, make)
    }

    mutating func add(_ rule: Int, measure: UInt64 = 0, sinceIsKnown: Bool = false, _ make: () -> Alert) {
        guard enabled[rule] else { return }
        counts[rule] += 1
        guard counts[rule] <= Watch.alertsPerRuleMax else { return }
        list.append(Finding(alert: make(), sinceIsKnown: sinceIsKnown, measure: measure))
    }

    /// Rules of which more was found than is listed.
    var overflows: [(rule: Int, count: Int)] {
        counts.enumerated().compactMap { rule, count in
            count > Watch.alertsPerRuleMax ? (rule, count - Watch.alertsPerRuleMax) : nil
        }
    }
}

extension Watch {
    /// Rules that are judged by squeue's list. While it is old, what they said stays as it was.
    private static let jobRules: Set<String> = ["R2", "R4", "R5", "R6", "R7", "R8", "R13", "R16", "R18"]
    /// R9 where space lacks for the jobs that wait.
    static let jobsWait = "jobs wait"
    private static let latchedRules: Set<String> = ["R3", "R8"]

    /// Applies all rules to what is known.
    mutating func judge(at: Timestamp) {
        tallyUp()
        sumDemand()
        var findings = Findings(disabled: thresholds.disabled)
        if burst != nil {
            judgeRows(&findings, at: at)
            judgeJobs(&findings, at: at)
            judgePools(&findings, at: at)
            judgeUsers(&findings, at: at)
        } else if jobsAreCurrent {
            judgeJobs(&findings, at: at)
        }
        judgeStaging(&findings, at: at)
        for (rule, count) in findings.overflows {
            let severity = findings.list.last { $0.alert.rule == "R\(rule)" }?.alert.severity ?? .info
            findings.list.append(
                .init(
                    alert: Alert(
                        rule: "R\(rule)", severity: severity, subject: .controller, title: "and \(count) more",
                        message: "\(count) more of rule R\(rule) are not listed", since: at),
                    sinceIsKnown: false, measure: 0))
        }
        rowNotes = findings.rowNotes
        jobNotes = findings.jobNotes
        let isStagerLost = stagingFailing != nil
        settle(findings, keeping: { $0 == "R17" || isStagerLost && RuleThresholds.stagingIDs.contains($0) }, at: at)
        judgeCalls(at: at)
    }

    /// Applies the rules about the stager alone: its document comes often, and 100,000 rows need not be judged for it.
    mutating func judgeStaging(at: Timestamp) {
        var findings = Findings(disabled: thresholds.disabled)
        judgeStaging(&findings, at: at)
        settle(findings, keeping: { !RuleThresholds.stagingIDs.contains($0) }, at: at)
    }

    private func kept(_ rule: String) -> Bool { !jobsAreCurrent && Self.jobRules.contains(rule) }

    /// Makes findings the standing alerts.
    /// - Parameter keeping: rules that were not asked this time.
    mutating func settle(_ findings: Findings, keeping: (String) -> Bool, at: Timestamp) {
        var places: [Alert.ID: Int] = [:]
        var byJob: [Alert.ID: Int] = [:]
        for (place, entry) in active.enumerated() {
            places[entry.alert.id] = place
            if let id = Self.jobAlert(entry.alert) { byJob[id] = place }
        }
        var found = [Bool](repeating: false, count: active.count)
        var new: [ActiveAlert] = []
        var told = Set<Alert.ID>()
        var rest: [Findings.Finding] = []
        func meet(_ finding: Findings.Finding, at place: Int) {
            found[place] = true
            var entry = active[place]
            renew(&entry, finding, at: at)
            active[place] = entry
        }
        for finding in findings.list where told.insert(finding.alert.id).inserted {
            if let place = places[finding.alert.id] {
                meet(finding, at: place)
            } else {
                rest.append(finding)
            }
        }
        for finding in rest {
            // A job's alert is filed under its buffer while there is one: it stays the same alert.
            if let place = Self.jobAlert(finding.alert).flatMap({ byJob[$0] }), !found[place] {
                meet(finding, at: place)
                continue
            }
            var alert = finding.alert
            if !finding.sinceIsKnown {
                alert.since = at
                alert.sinceSeen = burstNumber > 1 || jobsNumber > 1
            }
            new.append(ActiveAlert(alert: alert, holds: true, measure: finding.measure))
            logRaised(alert, at: at)
        }
        let present = kept("R8") ? Set(rows.map { $0.job }) : []
        var remaining: [ActiveAlert] = []
        for (place, entry) in active.enumerated() {
            var entry = entry
            if found[place] || keeping(entry.alert.rule) {
                remaining.append(entry)
            } else if entry.alert.rule == "R5", isOutdated(entry.alert.subject) {
                remaining.append(entry)
            } else if entry.alert.title == Self.jobsWait, !jobsAreCurrent {
                remaining.append(entry)
            } else if kept(entry.alert.rule), isPresent(entry.alert.subject, present) {
                remaining.append(entry)
            } else if Self.latchedRules.contains(entry.alert.rule), entry.alert.subject != .controller,
                !entry.alert.acknowledged || !entry.holds
            {
                if entry.holds { logCleared(entry.alert, "has passed", at: at) }
                entry.holds = false
                remaining.append(entry)
            } else {
                logCleared(entry.alert, "over", at: at)
            }
        }
        active = remaining + new
    }

    private static func jobAlert(_ alert: Alert) -> Alert.ID? {
        switch alert.subject {
        case .job: alert.id
        case .buffer(let key): key.id.jobID.map { Alert.ID(rule: alert.rule, subject: .job($0)) }
        case .pool, .user, .controller: nil
        }
    }

    /// The buffer is gone; only the next squeue tells whether the job is still failed.
    private func isOutdated(_ subject: Subject) -> Bool {
        let job: JobID?
        switch subject {
        case .job(let id): job = id
        case .buffer(let key): job = key.id.jobID
        case .pool, .user, .controller: job = nil
        }
        guard let job, let place = jobLookup[job.number] else { return false }
        return jobTracks[Int(place)].facts.contains(.outdated)
    }

    private func isPresent(_ subject: Subject, _ jobsWithRows: Set<UInt32>) -> Bool {
        guard case .buffer(let key) = subject, let job = key.id.jobID else { return true }
        return jobsWithRows.contains(job.number)
    }

    private mutating func renew(_ entry: inout ActiveAlert, _ finding: Findings.Finding, at: Timestamp) {
        var alert = finding.alert
        let old = entry.alert
        if !finding.sinceIsKnown {
            alert.since = old.since
            alert.sinceSeen = old.sinceSeen
        }
        alert.acknowledged = old.acknowledged && alert.severity <= old.severity && finding.measure <= entry.measure
        if alert.severity > old.severity {
            log(
                .alert, Self.level(alert.severity), alert.subject, user: alert.user,
                "\(alert.rule) \(alert.title) is now \(alert.severity.word): \(alert.message)", at: at)
        }
        entry = ActiveAlert(alert: alert, holds: true, measure: finding.measure)
    }

    /// Raises an alert whose condition is an event: it stays until acknowledged.
    mutating func raiseLatched(_ alert: Alert, at: Timestamp) {
        active.removeAll { $0.alert.id == alert.id }
        active.append(ActiveAlert(alert: alert, holds: false, measure: 0))
        if active.count(where: { $0.alert.rule == alert.rule }) > Self.alertsPerRuleMax,
            let oldest = active.firstIndex(where: { $0.alert.rule == alert.rule })
        {
            active.remove(at: oldest)
        }
        logRaised(alert, at: at)
    }

    private mutating func logRaised(_ alert: Alert, at: Timestamp) {
        log(
            .alert, Self.level(alert.severity), alert.subject, user: alert.user,
            "\(alert.rule) \(alert.title): \(alert.message)", at: at)
    }

    private mutating func logCleared(_ alert: Alert, _ how: String, at: Timestamp) {
        log(.alert, .info, alert.subject, user: alert.user, "\(how): \(alert.rule) \(alert.title)", at: at)
    }

    private static func level(_ severity: Severity) -> Event.Level {
        switch severity {
        case .info: .info
        case .warn: .warn
        case .crit: .crit
        }
    }

    /// Unacknowledged before acknowledged, the worst first, the newest first; always in the same order.
    func sortedAlerts() -> [Alert] {
        struct Keyed {
            var alert: Alert
            var rule: Int
            var name: String
        }
        let keyed = joinedAlerts().map {
            Keyed(alert: $0, rule: Int($0.rule.dropFirst()) ?? 0, name: $0.subject.short)
        }
        return keyed.sorted { left, right in
            let (one, other) = (left.alert, right.alert)
            if one.acknowledged != other.acknowledged { return !one.acknowledged }
            if one.severity != other.severity { return one.severity > other.severity }
            if one.since != other.since { return one.since > other.since }
            if left.rule != right.rule { return left.rule < right.rule }
            return left.name < right.name
        }.map(\.alert)
    }

    // MARK: One failure, told by two

    /// A copy that failed is told by the stager (R19) and by Slurm of its job (R4, R5): one line with both.
    private func joinedAlerts() -> [Alert] {
        var slurms: [JobID: Alert] = [:]
        for entry in active where Self.isSlurmsWord(entry.alert) {
            if let job = entry.alert.subject.job { slurms[job] = entry.alert }
        }
        var taken: Set<Alert.ID> = []
        var alerts: [Alert] = []
        alerts.reserveCapacity(active.count)
        for entry in active where entry.alert.rule == "R19" {
            var alert = entry.alert
            if let job = alert.subject.job, let slurms = slurms[job], slurms.title == alert.title {
                taken.insert(slurms.id)
                alert.join(slurms)
            }
            alerts.append(alert)
        }
        for entry in active where entry.alert.rule != "R19" && !taken.contains(entry.alert.id) {
            alerts.append(entry.alert)
        }
        return alerts
    }

    private static func isSlurmsWord(_ alert: Alert) -> Bool { alert.rule == "R4" || alert.rule == "R5" }

    /// The places of an alert, and of that which stands in one line with it.
    func places(of id: Alert.ID) -> [Int] {
        guard let place = active.firstIndex(where: { $0.alert.id == id }) else { return [] }
        let alert = active[place].alert
        guard let job = alert.subject.job else { return [place] }
        let other = active.firstIndex { entry in
            let rules = [alert, entry.alert]
            return rules.contains { $0.rule == "R19" } && rules.contains(where: Self.isSlurmsWord)
                && entry.alert.title == alert.title && entry.alert.subject.job == job
        }
        return [place] + (other.map { [$0] } ?? [])
    }

    // MARK: R17

    /// The controller's answers: none, or slow ones. Asked after every call.
    mutating func judgeCalls(at: Timestamp) {
        var found: Alert?
        if !thresholds.disabled.contains("R17") {
            if let failing = burstFailing {
                found = Alert(
                    rule: "R17", severity: .crit, subject: .controller, title: "no answer",
                    message: "\(failing.tries == 1 ? "1 call" : "\(failing.tries) calls") failed: \(failing.reason)",
                    since: failing.since)
            } else if let failing = jobsFailing {
                found = Alert(
                    rule: "R17", severity: .warn, subject: .controller, title: "squeue fails",
                    message: "jobs are not up to date; \(failing.tries) failed: \(failing.reason)",
                    since: failing.since)
            } else if let slow = durations.max(by: { ($0.value, $1.key) < ($1.value, $0.key) }),
                Double(slow.value) > thresholds.rttWarnSeconds * 1000
            {
                let seconds = Amount.fixed(Double(slow.value) / 1000, decimals: 1)
                let limit = Amount.fixed(thresholds.rttWarnSeconds, decimals: 1)
                found = Alert(
                    rule: "R17", severity: .warn, subject: .controller, title: "slow answer",
                    message: "\(slow.key) took \(seconds)s, more than \(limit)s", since: at)
            }
        }
        let place = active.firstIndex { $0.alert.rule == "R17" }
        switch (found, place) {
        case (let found?, let place?):
            var entry = active[place]
            if entry.alert.title == found.title {
                renew(&entry, .init(alert: found, sinceIsKnown: false, measure: 0), at: at)
                active[place] = entry
            } else {
                active[place] = ActiveAlert(alert: found, holds: true, measure: 0)
                logRaised(found, at: at)
            }
        case (let found?, nil):
            active.append(ActiveAlert(alert: found, holds: true, measure: 0))
            logRaised(found, at: at)
        case (nil, let place?):
            logCleared(active.remove(at: place).alert, "over", at: at)
        case (nil, nil): break
        }
    }
}
