package import BurstModel

/// What the engine holds at one moment, as Slurm's commands print it, byte for byte (spec §8; the layout of 26.05).
package struct EngineText: Sendable {
    let settings: EngineSettings
    let pools: [EnginePool]
    /// In Slurm's order of its job list.
    let jobs: [EngineJob]
    let reservations: [EngineReservation]
    /// By name; not those that are still being created, which Slurm does not list either.
    let persistent: [PersistentBuffer]
    let defaultPool: String?
    let nextJobID: UInt32
    let now: Timestamp
    let viewer: Caller

    /// - Parameter viewer: sees others' buffers only where `Flags=PrivateData` does not forbid it, or as an operator.
    package init(_ engine: Engine, at now: Timestamp, for viewer: Caller) {
        settings = engine.settings
        pools = engine.pools
        var jobs = engine.jobs
        for job in engine.jobs.values where job.dependency != nil {
            jobs[job.id]?.dependency = engine.dependencyText(of: job, at: now)
        }
        // An expected start that has passed is now.
        for job in engine.jobs.values where job.state == .pending {
            if let start = job.start, start < now { jobs[job.id]?.start = now }
        }
        self.jobs = Self.inListOrder(jobs)
        reservations = engine.reservations.values.sorted { ($0.start, $0.name) < ($1.start, $1.name) }
        persistent = engine.persistentBuffers.values.filter { $0.state.shown != .allocating }
            .sorted { $0.name < $1.name }
        defaultPool = engine.defaultPool
        nextJobID = engine.nextJobID
        self.now = now
        self.viewer = viewer
    }

    /// Slurm's refusal of a job that does not exist (slurm_errno.h).
    static let invalidJobID = Refusal(code: 2017, text: "Invalid job id specified")

    /// A task that is split off takes the place of the array's record, which moves to the end (corpus arrays).
    private static func inListOrder(_ jobs: JobTable) -> [EngineJob] {
        var places: [UInt32: UInt32] = [:]
        var tasks: [UInt32: [UInt32]] = [:]
        for job in jobs.values where job.arrayJobID != 0 && job.id != job.arrayJobID {
            tasks[job.arrayJobID, default: []].append(job.id)
        }
        for (array, ids) in tasks {
            var before = array
            for id in ids.sorted() {
                places[id] = before
                before = id
            }
            places[array] = before
        }
        // A job is large: the order is found of its numbers.
        var order = jobs.keys.map { (place: places[$0] ?? $0, id: $0) }
        // Where an array's record stands at the place of its newest task, that task stood there before.
        order.sort { ($0.place, $0.id) < ($1.place, $1.id) }
        return order.compactMap { jobs[$0.id] }
    }
}

extension EngineJob {
    /// Its tasks are not split off yet.
    var isArrayRest: Bool { arrayJobID != 0 && arrayTaskID == nil }

    /// It has, or had, a place on the machine.
    var hasNode: Bool {
        switch state {
        case .pending: return false
        case .running, .suspended: return true
        // A job that was cancelled before it ran has at most the moment of its end for a start.
        case .cancelled, .deadline: return start.map { start in end.map { start < $0 } ?? true } ?? false
        case .completed, .failed, .timeout, .nodeFail: return true
        }
    }

    /// Its script was started.
    var wasLaunched: Bool { hasNode && !flags.contains(.configuring) }

    /// Seconds that it ran, without suspensions.
    func secondsRun(at now: Timestamp) -> Int {
        guard hasNode, let start else { return 0 }
        let until = state.isFinal ? end ?? now : suspendedAt ?? now
        return max(0, Int((until.milliseconds - start.milliseconds - suspendedMilliseconds) / 1000))
    }

    /// When its time limit ends it; nil where it has none or no start.
    var limitEnd: Timestamp? {
        guard let start, let minutes = timeLimitMinutes else { return nil }
        return start.adding(milliseconds: Int64(minutes) * 60_000 + suspendedMilliseconds)
    }

    /// The end that is printed: the real one, else that of the time limit.
    var shownEnd: Timestamp? { state.isFinal ? end : limitEnd }

    /// Final jobs whose buffer is in teardown or gone are not listed without `-t` (spec §8.4).
    var isListed: Bool { !state.isFinal || flags.contains(.stageOut) || flags.contains(.completing) }

    /// `7`, `7_3`, `7_[1-3%2]`.
    var shownID: String {
        if let arrayTaskID, arrayJobID != 0 { return "\(arrayJobID)_\(arrayTaskID)" }
        guard isArrayRest else { return hetJobID != 0 ? "\(hetJobID)+\(hetOffset)" : "\(id)" }
        let throttle = arrayTasksRunningMax > 0 ? "%\(arrayTasksRunningMax)" : ""
        return "\(arrayJobID)_[\(EngineText.ranges(arrayTasksLeft))\(throttle)]"
    }

    /// Where its standard output goes.
    package func outputPath(hostName: String) -> String {
        let standard = arrayJobID != 0 ? "slurm-%A_%a.out" : "slurm-%j.out"
        return expandedPath(stdOut.isEmpty ? standard : stdOut, hostName: hostName)
    }

    /// The path with `%j` and the like replaced, as `scontrol show job` prints it.
    package func expandedPath(_ pattern: String, hostName: String) -> String {
        var text = pattern.utf8.first == UInt8(ascii: "/") || pattern.isEmpty ? "" : workDir + "/"
        var rest = pattern.unicodeScalars[...]
        while let scalar = rest.popFirst() {
            guard scalar == "%" else {
                text.unicodeScalars.append(scalar)
                continue
            }
            var digits = ""
            while let digit = rest.first, ("0"..."9").contains(digit), digits.count < 2 {
                digits.unicodeScalars.append(digit)
                rest.removeFirst()
            }
            func padded(_ number: UInt32) -> String {
                let plain = "\(number)"
                return String(repeating: "0", count: max(0, min(10, Int(digits) ?? 0) - plain.utf8.count)) + plain
            }
            guard let letter = rest.popFirst() else {
                text += "%" + digits
                break
            }
            switch letter {
            case "%": text += "%"
            case "A": text += padded(arrayJobID == 0 ? id : arrayJobID)
            case "a": text += padded(arrayTaskID ?? 4_294_967_294)
            case "b": text += padded((arrayTaskID ?? 4_294_967_294) % 10)
            case "j", "J": text += padded(id)
            case "N": text += hostName
            case "n", "t": text += padded(0)
            case "u": text += userName
            case "x": text += name
            default:
                text += "%" + digits
                text.unicodeScalars.append(letter)
            }
        }
        return text
    }
}

extension EngineText {
    /// As Slurm prints tasks and components.
    static func ranges(_ numbers: [UInt32]) -> String { ArrayTasks.text(Set(numbers).sorted()) }

    func outputPath(_ job: EngineJob) -> String { job.outputPath(hostName: settings.hostName) }
}
