import BurstEngine
import BurstModel
import BurstTestSupport
import Testing

/// Every job record that Slurm 26.05 printed while the corpus was recorded: read into an engine's job, printed again.
@Suite struct TextRoundTripTests {
    @Test func recordedJobsComeOutAsTheyWere() throws {
        var seen = 0
        for section in Fixtures.sections("slurm/show-job-26.05-lua.txt") where !section.command.contains(" -d") {
            for record in Self.records(String(decoding: section.output, as: UTF8.self)) {
                guard let job = Self.job(record) else { continue }
                var scene = TextScene(now: "23:30:00")
                if let run = Self.value(record, "RunTime"), let start = job.start, !job.state.isFinal {
                    // The moment that the record was made at.
                    scene.now = start.adding(seconds: Self.seconds(run) ?? 0)
                }
                scene.settings.hostName = Self.value(record, "NodeList") ?? "node1"
                scene.jobs = [job]
                let ours = TextTests.string(try scene.text().showJobs())
                #expect(Self.comparable(ours) == Self.comparable(record + "\n"), "\(section)")
                seen += 1
            }
        }
        #expect(seen > 100)
    }

    static func records(_ text: String) -> [String] {
        var records: [String] = []
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.hasPrefix("JobId=") {
                records.append(line + "\n")
            } else if !records.isEmpty {
                records[records.count - 1] += line + "\n"
            }
        }
        return records.filter { $0.contains("\n   UserId=") }.map { record in
            var record = record
            while record.hasSuffix("\n\n") { record.removeLast() }
            return record
        }
    }

    /// Beside the scheduler's own fields: what Slurm's one-year assumption and its exclusive jobs change.
    static func comparable(_ text: String) -> String {
        let shown = TextTests.comparable(text)
        let dropped = ["SecsPreSuspend=", "NumNodes=", "Exclusive=", "AllocTRES="]
        return shown.split(separator: "\n").filter { !$0.hasPrefix("   BatchHost=") }.map { line in
            line.split(separator: " ", omittingEmptySubsequences: false)
                .map { word in dropped.first { word.hasPrefix($0) } ?? String(word) }
                .joined(separator: " ")
        }.joined(separator: "\n")
    }

    static func value(_ record: String, _ key: String, toLineEnd: Bool = false) -> String? {
        for line in record.split(separator: "\n") {
            var line = line
            while line.first == " " { line.removeFirst() }
            if toLineEnd {
                if line.hasPrefix(key + "=") { return String(line.dropFirst(key.count + 1)) }
            } else {
                for word in line.split(separator: " ") where word.hasPrefix(key + "=") {
                    let text = String(word.dropFirst(key.count + 1))
                    return text == "(null)" || text == "Unknown" || text == "None" || text.isEmpty ? nil : text
                }
            }
        }
        return nil
    }

    static func time(_ text: String?) -> Timestamp? {
        text.flatMap { LocalTime(text: $0) }.map { Timestamp(seconds: $0.secondsSinceEpoch) }
    }

    static func seconds(_ span: String) -> Int? {
        let parts = span.split(separator: "-")
        let clock = (parts.last ?? "").split(separator: ":").compactMap { Int($0) }
        guard clock.count == 3 else { return nil }
        return (parts.count > 1 ? Int(parts[0]) ?? 0 : 0) * 86400 + clock[0] * 3600 + clock[1] * 60 + clock[2]
    }

    /// Nil for what burstd has no job for: interactive ones, and records whose fields contradict each other.
    static func job(_ record: String) -> EngineJob? {
        guard value(record, "BatchFlag") == "1", value(record, "Deadline") == "N/A" else { return nil }
        guard !record.contains("HetJobId="), let id = value(record, "JobId").flatMap({ UInt32($0) }) else { return nil }
        guard let start = record.range(of: "JobName="), let end = record.range(of: "\n") else { return nil }
        let name = String(record[start.upperBound..<end.lowerBound])
        guard let user = value(record, "UserId")?.split(separator: "("),
            let submitted = time(value(record, "SubmitTime")),
            let uid = UInt32(user[1].dropLast())
        else { return nil }
        var job = EngineJob(
            id: id, uid: uid, gid: uid, userName: String(user[0]), name: name,
            priority: value(record, "Priority").flatMap { UInt32($0) } ?? 0, submitted: submitted)
        job.groupName = job.userName
        job.arrayJobID = value(record, "ArrayJobId").flatMap { UInt32($0) } ?? 0
        job.arrayTaskID = value(record, "ArrayTaskId").flatMap { UInt32($0) }
        job.arrayTasksRunningMax = value(record, "ArrayTaskThrottle").flatMap { UInt32($0) } ?? 0
        job.eligible = time(value(record, "EligibleTime"))
        job.start = time(value(record, "StartTime"))
        job.restartCount = value(record, "Restarts").flatMap { UInt32($0) } ?? 0
        let exit = value(record, "ExitCode")?.split(separator: ":").compactMap { UInt32($0) } ?? [0, 0]
        job.exitStatus = exit[0] << 8 | exit[1]
        job.dependency = value(record, "Dependency")
        job.partition = value(record, "Partition") ?? ""
        job.reservation = value(record, "Reservation")
        job.reasonText = value(record, "Reason")
        guard state(&job, record) else { return nil }
        let limit = value(record, "TimeLimit").flatMap(seconds)
        job.timeLimitMinutes = limit.map { UInt32($0 / 60) }
        let shownEnd = time(value(record, "EndTime"))
        if !job.state.isFinal, job.limitEndForTest != shownEnd { return nil }
        if let run = value(record, "RunTime").flatMap(seconds), job.state.isFinal, job.start != nil {
            guard let end = job.end, let start = job.start, end.seconds(since: start) == run else { return nil }
        }
        if job.state == .cancelled, value(record, "NodeList") != nil, job.start == job.end { return nil }
        job.command = value(record, "Command", toLineEnd: true) ?? ""
        job.submitLine = value(record, "SubmitLine", toLineEnd: true)
        job.workDir = value(record, "WorkDir", toLineEnd: true) ?? ""
        job.comment = value(record, "Comment", toLineEnd: true)
        job.stdIn = value(record, "StdIn", toLineEnd: true) ?? ""
        job.stdOut = value(record, "StdOut", toLineEnd: true) ?? ""
        job.stdErr = value(record, "StdErr", toLineEnd: true) ?? ""
        job.tasks = value(record, "NumTasks").flatMap { UInt32($0) } ?? 1
        job.nodes = value(record, "NumNodes").flatMap { UInt32($0.prefix { $0 != "-" }) } ?? 1
        if record.contains("SuspendTime=2") { job.suspendedAt = time(value(record, "SuspendTime")) }
        if let begin = record.range(of: "SystemComment="), let end = record.range(of: "\n   StdErr=") {
            job.systemComment = String(record[begin.upperBound..<end.lowerBound])
            if record.contains("\n   Comment=") { return nil }
        }
        if let begin = record.range(of: "\n   BurstBuffer=") {
            guard let end = record.range(of: "\n   BurstBufferState=") else { return nil }
            job.buffer = BufferWork(spec: String(record[begin.upperBound..<end.lowerBound]), since: submitted)
            job.buffer?.stage = stage(value(record, "BurstBufferState") ?? "")
        }
        if let mail = value(record, "MailType") {
            job.mailUser = value(record, "MailUser")
            for (word, type) in [
                ("BEGIN", .begin), ("END", .end), ("FAIL", .fail), ("INVALID_DEPEND", .invalidDependency),
                ("REQUEUE", .requeue), ("STAGE_OUT", .stageOut),
            ] as [(String, EngineJob.MailTypes)] where mail.split(separator: ",").contains(Substring(word)) {
                job.mailTypes.insert(type)
            }
        }
        return job
    }

    private static func state(_ job: inout EngineJob, _ record: String) -> Bool {
        guard let word = value(record, "JobState") else { return false }
        switch word {
        case "CONFIGURING": (job.state, job.flags) = (.running, .configuring)
        case "STAGE_OUT": (job.state, job.flags) = (.completed, .stageOut)
        case "COMPLETING": (job.state, job.flags) = (.completed, .completing)
        default:
            guard let state = EngineJob.Base(rawValue: word) else { return false }
            job.state = state
        }
        if job.state.isFinal { job.end = time(value(record, "EndTime")) }
        return true
    }

    private static func stage(_ word: String) -> BufferWork.Stage {
        switch word {
        case "staging-in": .stagingIn(.init(.setup))
        case "staged-in": .stagedIn
        case "pre-run": .preRun(.init(.preRun))
        case "running": .running
        case "post-run": .postRun(.init(.postRun))
        case "staging-out": .stagingOut(.init(.dataOut))
        case "teardown": .teardown(.init(hurry: false))
        case "complete": .complete
        default: .pending
        }
    }
}

extension EngineJob {
    fileprivate var limitEndForTest: Timestamp? {
        guard let start, let timeLimitMinutes else { return nil }
        return start.adding(seconds: Int(timeLimitMinutes) * 60)
    }
}

extension String {
    fileprivate func range(of text: String) -> Range<String.Index>? {
        var at = startIndex
        while at < endIndex {
            if self[at...].hasPrefix(text) { return at..<index(at, offsetBy: text.count) }
            at = index(after: at)
        }
        return nil
    }
}
