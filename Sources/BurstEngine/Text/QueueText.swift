import BurstModel

extension EngineText {
    /// What `squeue` prints (spec §8.4).
    package func queue(_ query: QueueQuery) throws(Refusal) -> [UInt8] {
        let chosen = try select(query)
        let columns: [QueueColumn]
        if let fields = query.fields {
            columns = QueueColumn.parse(fields: fields).columns
        } else {
            let standard = query.isLong ? QueueQuery.longFormat : QueueQuery.standardFormat
            columns = QueueColumn.parse(format: query.format ?? standard)
        }
        var text = TextBytes(zone: settings.zone, expectedCount: (chosen.count + 1) * 128)
        if query.hasHeader {
            if query.isLong { text.add(text: dayText() + "\n") }
            for column in columns { cell(column.field?.header ?? "", isCut: true, column, to: &text) }
            text.add("\n")
        }
        for row in chosen { print(row, jobs[row.place], columns, to: &text) }
        return text.bytes
    }

    private func print(_ row: QueueRow, _ job: EngineJob, _ columns: [QueueColumn], to text: inout TextBytes) {
        for column in columns {
            guard let field = column.field else {
                text.add(text: column.suffix)
                continue
            }
            if column.width == 0, let moment = time(field, job) {
                text.add(time: moment)
                text.add(text: column.suffix)
            } else {
                cell(value(field, job, row.task, &text), isCut: field.isCut, column, to: &text)
            }
        }
        text.add("\n")
    }

    /// A job, or one of the tasks that it still holds.
    struct QueueRow {
        /// In `jobs`.
        let place: Int
        /// With `-r`: which of the tasks not split off.
        let task: UInt32?
    }

    private func cell(_ value: String, isCut: Bool, _ column: QueueColumn, to text: inout TextBytes) {
        // An unknown field has no width of its own either (corpus formats, `BurstBufferSize`).
        guard column.field != nil else { return text.add(text: column.suffix) }
        let count = value.utf8.count
        guard column.width > 0 else {
            text.add(text: value)
            return text.add(text: column.suffix)
        }
        if column.isRight { text.add(blanks: column.width - count) }
        if isCut, count > column.width { text.add(prefix: column.width, of: value) } else { text.add(text: value) }
        if !column.isRight { text.add(blanks: column.width - count) }
        text.add(text: column.suffix)
    }

    /// `Sun Nov 22 22:10:15 2026`, the first line of `-l`.
    private func dayText() -> String {
        let local = settings.zone.local(now)
        let part = local.fields
        let days = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        // 1970-01-01 was a Thursday.
        let day = days[Int(((local.secondsSinceEpoch / 86400) % 7 + 7) % 7)]
        let number = part.day < 10 ? "0\(part.day)" : "\(part.day)"
        return "\(day) \(months[part.month - 1]) \(number) \(local.clock) \(part.year)"
    }

    // MARK: Which rows, in which order

    private func select(_ query: QueueQuery) throws(Refusal) -> [QueueRow] {
        let states = try QueueStates(query.states)
        let wanted = query.jobs.map { JobWord($0) }
        let users = Set(query.users)
        func fits(_ words: [String], _ value: String) -> Bool { words.isEmpty || words.contains(value) }
        let chosen = jobs.indices.filter { place in
            let job = jobs[place]
            return states.fits(job) && fits(query.names, job.name) && fits(query.accounts, job.account ?? "")
                && fits(query.partitions, job.partition.isEmpty ? settings.partition : job.partition)
                && (users.isEmpty || users.contains(job.userName) || users.contains("\(job.uid)"))
                && (wanted.isEmpty || wanted.contains { $0.fits(job, nil) })
        }
        if wanted.count == 1, !jobs.contains(where: { wanted[0].fits($0, nil) }) { throw Self.invalidJobID }
        return sorted(chosen, by: query.sort ?? QueueQuery.standardSort).flatMap { place -> [QueueRow] in
            guard query.arrayElements, jobs[place].isArrayRest else { return [QueueRow(place: place, task: nil)] }
            return jobs[place].arrayTasksLeft
                .filter { task in wanted.isEmpty || wanted.contains { $0.fits(jobs[place], task) } }
                .map { QueueRow(place: place, task: $0) }
        }
    }

    /// Slurm sorts by start first, the latest on top and unknown ones reversed below (seen throughout the corpus), then
    /// by the keys, the last first; each sort keeps the order of equals.
    private func sorted(_ chosen: [Int], by keys: String) -> [Int] {
        func started(_ place: Int) -> Int64? {
            let end = jobs[place].state.isFinal ? jobs[place].end : nil
            return (jobs[place].start ?? end).map { $0.milliseconds / 1000 }
        }
        // (when it started, place in the order so far, place in `jobs`)
        var rows = chosen.enumerated().map { (key: started($1), order: $0, place: $1) }
        rows.sort { left, right in
            switch (left.key, right.key) {
            case (let one?, let other?): one == other ? left.order < right.order : one > other
            case (nil, nil): left.order > right.order
            case (let one, _): one != nil
            }
        }
        for key in keys.split(separator: ",").reversed() {
            let isDown = key.first == "-"
            guard let letter = key.last, letter != "-", letter != "+" else { continue }
            let field = QueueField.byLetter[letter] ?? .jobArrayID
            var keyed = rows.enumerated().map { (key: SortKey(field, jobs[$1.place], self), order: $0, row: $1) }
            keyed.sort { left, right in
                if left.key == right.key { return left.order < right.order }
                return isDown ? right.key < left.key : left.key < right.key
            }
            rows = keyed.map(\.row)
        }
        return rows.map(\.place)
    }

    private struct SortKey: Comparable {
        let number: Int64
        let text: String

        init(_ field: QueueField, _ job: EngineJob, _ texts: EngineText) {
            switch field {
            case .priority, .priorityLong: (number, text) = (Int64(job.priority), "")
            case .state, .stateCompact: (number, text) = (job.stateRank, "")
            case .startTime: (number, text) = ((job.start?.milliseconds ?? 0) / 1000, "")
            case .endTime: (number, text) = ((job.shownEnd?.milliseconds ?? 0) / 1000, "")
            case .submitTime: (number, text) = (job.submitted.milliseconds / 1000, "")
            case .jobID, .jobArrayID:
                let array = Int64(job.arrayJobID == 0 ? job.id : job.arrayJobID)
                (number, text) = (array << 32 + Int64(job.arrayTaskID ?? 0), "")
            case .timeUsed: (number, text) = (Int64(job.secondsRun(at: texts.now)), "")
            case .timeLimit: (number, text) = (Int64(job.timeLimitMinutes ?? .max), "")
            case .timeLeft:
                let run = Int64(job.secondsRun(at: texts.now))
                (number, text) = (job.timeLimitMinutes.map { Int64($0) * 60 - run } ?? .max, "")
            case .nodes: (number, text) = (Int64(job.nodes), "")
            case .cpus: (number, text) = (Int64(job.cpus), "")
            case .userID: (number, text) = (Int64(job.uid), "")
            case .groupID: (number, text) = (Int64(job.gid), "")
            default:
                var scratch = TextBytes(zone: texts.settings.zone)
                (number, text) = (0, texts.value(field, job, nil, &scratch))
            }
        }

        static func < (left: SortKey, right: SortKey) -> Bool { (left.number, left.text) < (right.number, right.text) }
    }

    // MARK: Values

    /// The moment of a field of time, where it has one.
    private func time(_ field: QueueField, _ job: EngineJob) -> Timestamp? {
        switch field {
        case .submitTime: job.submitted
        case .startTime: job.start ?? (job.state.isFinal ? job.end : nil)
        case .endTime: job.shownEnd
        case .eligibleTime, .accrueTime: job.eligible
        default: nil
        }
    }

    private func value(_ field: QueueField, _ job: EngineJob, _ task: UInt32?, _ text: inout TextBytes) -> String {
        switch field {
        case .submitTime, .startTime, .endTime, .eligibleTime, .accrueTime:
            return time(field, job).map { text.local($0).text } ?? "N/A"
        case .account: return job.account ?? "(null)"
        case .adminComment: return job.adminComment ?? "(null)"
        case .allocNodes: return settings.hostName
        case .arrayJobID: return "\(job.arrayJobID == 0 ? job.id : job.arrayJobID)"
        case .arrayTaskID:
            if let task = task ?? job.arrayTaskID { return "\(task)" }
            return job.isArrayRest ? Self.ranges(job.arrayTasksLeft) : "N/A"
        case .batchHost: return job.wasLaunched ? settings.hostName : "(null)"
        case .burstBuffer: return job.buffer?.spec ?? "(null)"
        case .burstBufferState:
            return settings.plugin == nil ? "(null)" : job.buffer?.stage.state.name ?? "(null)"
        case .cluster: return settings.clusterName
        case .command: return job.command.isEmpty ? "(null)" : job.command
        case .comment: return job.comment ?? "(null)"
        case .contiguous: return "0"
        case .coreSpec, .excludedNodes, .features, .nodesRequested, .scheduledNodes, .tresPerNode, .wckey:
            return field == .coreSpec || field == .tresPerNode ? "N/A" : "(null)"
        case .cpus: return "\(job.cpus)"
        case .cpusPerTask, .minCPUs: return "\(job.cpusPerTask)"
        case .dependency: return job.dependency ?? "(null)"
        case .execHost: return job.wasLaunched ? settings.hostName : "n/a"
        case .exitCode: return "\(job.exitStatus >> 8 & 0xff)"
        case .groupID: return "\(job.gid)"
        case .groupName: return job.groupName.isEmpty ? "\(job.gid)" : job.groupName
        case .hetJobID: return job.hetJobID == 0 ? "N/A" : "\(job.hetJobID)"
        case .hetJobOffset: return job.hetJobID == 0 ? "N/A" : "\(job.hetOffset)"
        case .jobArrayID:
            if let task { return "\(job.arrayJobID)_\(task)" }
            return job.shownID
        case .jobID: return "\(job.id)"
        case .licenses: return job.licenses ?? "(null)"
        case .maxNodes, .nodes: return "\(job.nodes)"
        case .minMemory, .minTmpDisk: return "0"
        case .name: return job.name
        case .nice: return "\(job.nice)"
        case .nodeList: return job.hasNode ? settings.hostName : ""
        case .overSubscribe: return "NO"
        case .partition: return job.partition.isEmpty ? settings.partition : job.partition
        case .priority: return Self.fraction(job.priority)
        case .priorityLong: return "\(job.priority)"
        case .qos: return job.qos ?? "(null)"
        case .reason: return job.shownReason
        case .reasonList:
            // Nodes of a job in stage-out are idle already, so its reason is told (spec §8.4).
            let tellsReason = !job.hasNode || job.shownState == .stageOut
            return tellsReason ? "(\(job.shownReason))" : settings.hostName
        case .requeue: return job.mayRequeue ? "1" : "0"
        case .reservation: return job.reservation ?? "(null)"
        case .restarts: return "\(job.restartCount)"
        case .socketsCoresThreads: return "*:*:*"
        case .socketsPerNode, .coresPerSocket, .threadsPerCore: return "*"
        case .state: return job.shownState.name
        case .stateCompact: return job.shownState.code
        case .stdErr: return job.stdErr.isEmpty ? "" : job.expandedPath(job.stdErr, hostName: settings.hostName)
        case .stdIn: return job.expandedPath(job.stdIn, hostName: settings.hostName)
        case .stdOut: return outputPath(job)
        case .systemComment: return job.systemComment ?? "(null)"
        case .tasks: return "\(job.tasks)"
        case .timeLeft:
            guard let minutes = job.timeLimitMinutes else { return "UNLIMITED" }
            let left = Int(minutes) * 60 - job.secondsRun(at: now)
            return left < 0 ? "INVALID" : TextBytes.shortSpan(left)
        case .timeLimit: return job.timeLimitMinutes.map { TextBytes.shortSpan(Int($0) * 60) } ?? "UNLIMITED"
        case .timeUsed: return TextBytes.shortSpan(job.secondsRun(at: now))
        case .userID: return "\(job.uid)"
        case .userName: return job.userName
        case .workDir: return job.workDir
        }
    }

    /// squeue's `%p`: the priority as a share of 2^32-1.
    private static func fraction(_ priority: UInt32) -> String {
        let digits = (Double(priority) / 4_294_967_295 * 100_000_000_000_000).rounded()
        let text = "\(UInt64(digits))"
        let padded = String(repeating: "0", count: max(0, 15 - text.utf8.count)) + text
        return padded.dropLast(14) + "." + padded.suffix(14)
    }
}

/// `-t`: which jobs.
private struct QueueStates {
    private var isAll = false
    private var names: Set<String> = []

    init(_ words: [String]) throws(Refusal) {
        for word in words {
            let upper = word.uppercased()
            if upper == "ALL" {
                isAll = true
            } else if let name = Self.long(upper) {
                names.insert(name)
            } else {
                throw Refusal(code: 0, text: "Invalid job state specified: \(word)")
            }
        }
    }

    private static func long(_ word: String) -> String? {
        known.contains(word) ? word : known.first { JobState($0).code == word }
    }

    private static let known = [
        "PENDING", "RUNNING", "SUSPENDED", "COMPLETED", "CANCELLED", "FAILED", "TIMEOUT", "NODE_FAIL", "PREEMPTED",
        "BOOT_FAIL", "DEADLINE", "OUT_OF_MEMORY", "COMPLETING", "CONFIGURING", "STAGE_OUT", "REQUEUED", "RESIZING",
        "REQUEUE_HOLD", "REQUEUE_FED", "REVOKED", "SIGNALING", "SPECIAL_EXIT", "STOPPED", "RESV_DEL_HOLD",
    ]

    func fits(_ job: EngineJob) -> Bool {
        if isAll { return true }
        if names.isEmpty { return job.isListed }
        if names.contains(job.shownState.name) { return true }
        // A flag counts beside the base state, and hides it only where it is printed.
        if names.contains("STAGE_OUT"), job.flags.contains(.stageOut) { return true }
        if names.contains("COMPLETING"), job.flags.contains(.completing) { return true }
        return names.contains(job.state.rawValue)
    }
}

/// `-j`: `7`, `7_3`.
private struct JobWord {
    private let id: UInt32?
    private let task: UInt32?
    private let hasTask: Bool

    init(_ text: String) {
        let parts = text.split(separator: "_", maxSplits: 1, omittingEmptySubsequences: false)
        id = UInt32(parts[0])
        hasTask = parts.count > 1
        task = hasTask ? UInt32(parts[1]) : nil
    }

    /// - Parameter row: with `-r` the task that the row is for.
    func fits(_ job: EngineJob, _ row: UInt32?) -> Bool {
        guard let id else { return false }
        guard hasTask else { return job.id == id || job.arrayJobID == id || job.hetJobID == id }
        guard job.arrayJobID == id, let task else { return false }
        if let row { return row == task }
        return job.arrayTaskID == task || job.isArrayRest && job.arrayTasksLeft.contains(task)
    }
}

extension EngineJob {
    /// Slurm's number of the base state; those with STAGE_OUT rank as what they ended in (corpus cancel-many).
    fileprivate var stateRank: Int64 {
        switch state {
        case .pending: 0
        case .running: 1
        case .suspended: 2
        case .completed: 3
        case .cancelled: 4
        case .failed: 5
        case .timeout: 6
        case .nodeFail: 7
        case .deadline: 10
        }
    }
}

extension TextBytes {
    mutating func add(blanks count: Int) {
        for _ in 0..<max(0, count) { add(" ") }
    }

    mutating func add(prefix count: Int, of text: String) { append(text.utf8.prefix(count)) }
}
