import BurstEngine
import BurstModel
import BurstWire

/// Makes the engine's events of clients' messages. What cannot be read is refused with what would be right.
enum Orders {
    // MARK: Submission

    static func submit(
        _ submission: BurstWire.Submission, script: [UInt8], owner: ClientQuestion.Owner
    ) throws(Refusal) -> SubmitOrder {
        guard script.count <= EngineLimits.scriptBytesMax else {
            throw Refusal(.pathnameTooLong)
        }
        guard submission.workDir.hasPrefix("/") else {
            throw Refusal(code: 0, text: "the work directory \(plain(submission.workDir)) does not begin with /")
        }
        for entry in submission.environment where entry.utf8.contains(0) || !entry.contains("=") {
            throw Refusal(code: 0, text: "\(plain(String(entry.prefix(40)))) in the environment is not NAME=value")
        }
        // A script is text; bytes that are none would come out changed.
        guard let text = String(validating: script, as: UTF8.self) else {
            throw Refusal(code: 0, text: "the batch script is not UTF-8 text")
        }
        guard !text.utf8.contains(0) else { throw Refusal(code: 0, text: "the batch script holds a NUL byte") }
        guard !submission.arguments.contains(where: { $0.utf8.contains(0) }) else {
            throw Refusal(code: 0, text: "an argument of the script holds a NUL byte")
        }
        var order = SubmitOrder(
            script: text, name: submission.name, workDir: submission.workDir, uid: owner.user.uid,
            gid: owner.user.gid, userName: owner.user.name)
        order.groupName = owner.groupName
        order.burstBuffer = submission.burstBuffer
        order.environment = submission.environment
        order.command = submission.command
        order.arguments = submission.arguments
        order.submitLine = submission.submitLine
        order.partition = submission.partition
        order.account = submission.account
        order.qos = submission.qos
        order.comment = submission.comment
        order.stdIn = submission.stdIn
        order.stdOut = submission.stdOut
        order.stdErr = submission.stdErr
        order.appendsOutput = submission.appendsOutput
        order.nodes = submission.nodes
        order.tasks = submission.tasks
        order.cpusPerTask = submission.cpusPerTask
        order.timeLimitMinutes = submission.timeLimitMinutes
        order.isHeld = submission.isHeld
        order.priority = submission.priority
        order.nice = submission.nice
        order.begin = submission.begin.map { Timestamp(milliseconds: $0) }
        order.dependency = submission.dependency
        order.array = submission.array
        order.reservation = submission.reservation
        order.mayRequeue = submission.mayRequeue
        order.mailTypes = EngineJob.MailTypes(rawValue: submission.mailTypes)
        order.mailUser = submission.mailUser
        order.testOnly = submission.testOnly
        return order
    }

    // MARK: Commands

    /// What a command asks of one job or of those that fit, by its name as the client has it.
    struct Piece {
        var shown: String
        var command: JobCommand
    }

    static func pieces(
        _ command: Command, jobs: JobTable, now: Timestamp, zone: LocalTime.Zone
    ) throws(Refusal) -> [Piece] {
        guard command.jobs.count <= DaemonLimits.commandJobsMax else {
            throw Refusal(code: 0, text: "\(command.jobs.count) jobs at once; at most \(DaemonLimits.commandJobsMax)")
        }
        let updates = command.verb == .update ? try updates(command.updates, now: now, zone: zone) : []
        let filter = try filter(command.filters)
        guard !command.jobs.isEmpty else {
            guard let filter else { throw Refusal(code: 0, text: "no job and no filter is named") }
            return [Piece(shown: "", command: jobCommand(command, filter, updates))]
        }
        var pieces: [Piece] = []
        for name in command.jobs {
            let selector = try selector(name)
            if let filter, !fits(selector, filter, jobs) { continue }
            pieces.append(Piece(shown: name, command: jobCommand(command, selector, updates)))
        }
        return pieces
    }

    private static func jobCommand(_ command: Command, _ jobs: JobSelector, _ updates: [JobUpdate]) -> JobCommand {
        switch command.verb {
        case .cancel:
            .cancel(jobs, hurry: command.hurry, signal: command.signal, batchOnly: command.batchOnly)
        case .hold: .hold(jobs, byUser: false)
        case .uhold: .hold(jobs, byUser: true)
        case .release: .release(jobs)
        case .requeue: .requeue(jobs, hold: false)
        case .requeuehold: .requeue(jobs, hold: true)
        case .suspend: .suspend(jobs)
        case .resume: .resume(jobs)
        case .update: .update(jobs, updates)
        }
    }

    /// `7`, `7_3`, `7_[1-3,5]`.
    static func selector(_ name: String) throws(Refusal) -> JobSelector {
        let parts = name.split(separator: "_", maxSplits: 1, omittingEmptySubsequences: false)
        guard let job = number(parts[0]) else { throw .noSuchJob }
        guard parts.count == 2 else { return .job(job) }
        if let task = number(parts[1]) { return .task(array: job, task: task) }
        guard parts[1].hasPrefix("["), parts[1].hasSuffix("]") else { throw .noSuchJob }
        var tasks: [UInt32] = []
        for range in parts[1].dropFirst().dropLast().split(separator: ",", omittingEmptySubsequences: false) {
            let ends = range.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
            guard let first = number(ends[0]), let last = ends.count == 2 ? number(ends[1]) : first, first <= last,
                Int(last - first) + tasks.count < DaemonLimits.commandJobsMax
            else { throw .noSuchJob }
            tasks += first...last
        }
        return .tasks(array: job, tasks)
    }

    private static func number(_ text: Substring) -> UInt32? {
        guard !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return UInt32(text)
    }

    private static func filter(_ filters: [String: String]) throws(Refusal) -> JobSelector? {
        let known: Set<String> = ["user", "name", "partition", "account", "state"]
        if let unknown = filters.keys.sorted().first(where: { !known.contains($0) }) {
            throw Refusal(
                code: 0, text: "unknown filter \(plain(unknown)); known are \(known.sorted().joined(separator: ", "))")
        }
        guard !filters.isEmpty else { return nil }
        return .matching(
            user: filters["user"], name: filters["name"], partition: filters["partition"],
            account: filters["account"], state: filters["state"])
    }

    private static func fits(_ selector: JobSelector, _ filter: JobSelector, _ jobs: JobTable) -> Bool {
        guard case .matching(let user, let name, let partition, let account, let state) = filter else { return true }
        let chosen: [EngineJob]
        switch selector {
        case .job(let id): chosen = jobs[id].map { [$0] } ?? jobs.ofArray(id)
        case .task(let array, _), .tasks(let array, _): chosen = jobs.ofArray(array)
        case .matching: return true
        }
        // A job that is not there is left to the engine, which says so.
        guard !chosen.isEmpty else { return true }
        return chosen.contains { job in
            (user == nil || user == job.userName) && (name == nil || name == job.name)
                && (partition == nil || partition == job.partition) && (account == nil || account == job.account)
                && (state == nil || state?.uppercased() == job.shownState.name)
        }
    }

    // MARK: Updates

    static func updates(
        _ fields: [String: String], now: Timestamp, zone: LocalTime.Zone
    ) throws(Refusal) -> [JobUpdate] {
        guard !fields.isEmpty else { throw Refusal(code: 0, text: "nothing is to be changed") }
        var updates: [JobUpdate] = []
        for (key, value) in fields.sorted(by: { $0.key < $1.key }) {
            func wrong(_ right: String) -> Refusal {
                Refusal(code: 0, text: "\(plain(key))=\(plain(value)): \(right)")
            }
            switch key.lowercased() {
            case "jobname", "name": updates.append(.name(value))
            case "comment": updates.append(.comment(value))
            case "priority":
                guard let number = UInt32(value) else { throw wrong("a priority is 0 to 4294967294") }
                updates.append(.priority(number))
            case "nice":
                guard let number = value.isEmpty ? 100 : Int32(value) else { throw wrong("nice is a number") }
                updates.append(.nice(number))
            case "timelimit":
                switch TimeText.limit(value) {
                case .minutes(let minutes): updates.append(.timeLimitMinutes(minutes))
                case .unlimited: updates.append(.timeLimitMinutes(nil))
                case .invalid: throw Refusal(.invalidTimeLimit)
                }
            case "starttime", "eligibletime":
                guard let time = TimeText.moment(value, now: now, zone: zone) else {
                    throw Refusal(.invalidTimeValue)
                }
                updates.append(.begin(time))
            case "dependency": updates.append(.dependency(value))
            case "burstbuffer": updates.append(.burstBuffer(value))
            case "mailuser": updates.append(.mailUser(value))
            case "requeue":
                guard value == "0" || value == "1" else { throw wrong("write 0 or 1") }
                updates.append(.requeue(value == "1"))
            case "reservationname", "reservation": updates.append(.reservation(value))
            default: throw Refusal(code: 0, text: "Update of this parameter is not supported: \(plain(key))")
            }
        }
        return updates
    }

    // MARK: Reservations

    /// `scontrol create reservation` and so on: keys and values as typed, any first letters of ReservationName.
    static func reserve(
        _ reserve: Reserve, now: Timestamp, zone: LocalTime.Zone
    ) throws(Refusal) -> ReservationCommand {
        var fields: [String: String] = [:]
        let known: Set<String> = [
            "reservationname", "users", "starttime", "endtime", "duration", "burstbuffer", "flags",
        ]
        for (key, value) in reserve.fields {
            var lower = key.lowercased()
            if lower.utf8.count >= 3, "reservationname".hasPrefix(lower) { lower = "reservationname" }
            guard known.contains(lower) else {
                throw Refusal(code: 0, text: "Update of this parameter is not supported: \(plain(key))")
            }
            fields[lower] = value
        }
        func time(_ key: String) throws(Refusal) -> Timestamp? {
            guard let text = fields[key] else { return nil }
            guard let moment = TimeText.moment(text, now: now, zone: zone) else {
                throw Refusal(.invalidTimeValue)
            }
            return moment
        }
        let users = fields["users"].map { $0.split(separator: ",").map(String.init) }
        let start = try time("starttime")
        var end = try time("endtime")
        if end == nil, let duration = fields["duration"] {
            switch TimeText.limit(duration) {
            case .minutes(let minutes): end = (start ?? now).adding(seconds: Int(minutes) * 60)
            // As slurmctld: a year.
            case .unlimited: end = (start ?? now).adding(seconds: 365 * 86_400)
            case .invalid: throw Refusal(.invalidTimeLimit)
            }
        }
        let name = fields["reservationname"]
        switch reserve.verb {
        case "create":
            guard let start, let end else { throw Refusal(.invalidTimeValue) }
            return .create(
                name: name, users: users ?? [], start: start, end: end, burstBuffer: fields["burstbuffer"] ?? "",
                flags: fields["flags"] ?? "")
        case "update":
            guard let name else { throw Refusal(.reservationInvalid) }
            return .update(name: name, users: users, burstBuffer: fields["burstbuffer"], end: end)
        case "delete":
            guard let name else { throw Refusal(.reservationInvalid) }
            return .delete(name: name)
        default:
            throw Refusal(code: 0, text: "\(plain(reserve.verb)): reservations are created, updated or deleted")
        }
    }

    /// A client's text within a line of ours.
    static func plain(_ text: String) -> String {
        String(
            text.unicodeScalars.prefix(200).map { scalar in
                scalar.value < 0x20 || (0x7f..<0xa0).contains(scalar.value) ? "?" : Character(scalar)
            })
    }
}
