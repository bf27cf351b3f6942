import BurstModel

extension EngineText {
    /// `scontrol show job [ID]` (spec §8.3).
    /// - Parameters:
    ///   - id: `7`, an array's id for all its tasks, `7_3`; nil for all jobs.
    ///   - oneLine: `-o`; a request of several lines breaks the record there too, as Slurm's does.
    package func showJobs(id: String? = nil, oneLine: Bool = false) throws(Refusal) -> [UInt8] {
        let chosen = try select(id)
        var text = TextBytes(zone: settings.zone, expectedCount: chosen.count * 1600 + 64)
        guard !chosen.isEmpty else {
            text.add("No jobs in the system\n")
            return text.bytes
        }
        for job in chosen { record(job, to: &text, oneLine: oneLine) }
        return text.bytes
    }

    private func select(_ id: String?) throws(Refusal) -> [EngineJob] {
        guard let id else { return jobs }
        let parts = id.split(separator: "_", maxSplits: 1, omittingEmptySubsequences: false)
        guard let number = UInt32(parts[0]) else { throw Self.invalidJobID }
        var chosen: [EngineJob]
        if parts.count > 1 {
            guard let task = UInt32(parts[1]) else { throw Self.invalidJobID }
            chosen = jobs.filter { job in
                guard job.arrayJobID == number else { return false }
                return job.arrayTaskID == task || job.isArrayRest && job.arrayTasksLeft.contains(task)
            }
        } else {
            chosen = jobs.filter { $0.id == number || $0.arrayJobID == number || $0.hetJobID == number }
            // The array's own record first, then the newest task (corpus arrays).
            chosen.sort { left, right in
                if (left.id == number) != (right.id == number) { return left.id == number }
                return left.hetJobID != 0 ? left.id < right.id : left.id > right.id
            }
        }
        guard !chosen.isEmpty else { throw Self.invalidJobID }
        return chosen
    }

    private func record(_ job: EngineJob, to text: inout TextBytes, oneLine: Bool) {
        func startLine(_ text: inout TextBytes) {
            if oneLine { text.add(" ") } else { text.add("\n   ") }
        }
        identity(job, to: &text, startLine)
        times(job, to: &text, startLine)
        place(job, to: &text, startLine)
        startLine(&text)
        text.add("Command=")
        text.add(or: "(null)", job.command.isEmpty ? nil : job.command)
        startLine(&text)
        text.add("SubmitLine=")
        text.add(or: "(null)", job.submitLine)
        startLine(&text)
        text.add("WorkDir=")
        text.add(text: job.workDir)
        func optional(_ label: StaticString, _ value: String?) {
            guard let value, !value.isEmpty else { return }
            startLine(&text)
            text.add(label)
            text.add(text: value)
        }
        optional("AdminComment=", job.adminComment)
        optional("SystemComment=", job.systemComment)
        optional("Comment=", job.comment)
        startLine(&text)
        text.add("StdErr=")
        if !job.stdErr.isEmpty { text.add(text: job.expandedPath(job.stdErr, hostName: settings.hostName)) }
        startLine(&text)
        text.add("StdIn=")
        text.add(text: job.expandedPath(job.stdIn, hostName: settings.hostName))
        startLine(&text)
        text.add("StdOut=")
        text.add(text: outputPath(job))
        optional("BurstBuffer=", job.buffer?.spec)
        if settings.plugin != nil { optional("BurstBufferState=", job.buffer?.stage.state.name) }
        if !job.mailTypes.isEmpty {
            startLine(&text)
            text.add("MailUser=")
            text.add(text: job.mailUser ?? job.userName)
            text.add(" MailType=")
            text.add(text: job.mailTypes.slurmText)
        }
        text.add(oneLine ? "\n" : "\n\n")
    }

    private func identity(_ job: EngineJob, to text: inout TextBytes, _ startLine: (inout TextBytes) -> Void) {
        text.add("JobId=")
        text.add(number: job.id)
        if job.arrayJobID != 0 {
            text.add(" ArrayJobId=")
            text.add(number: job.arrayJobID)
            text.add(" ArrayTaskId=")
            text.add(text: job.arrayTaskID.map { "\($0)" } ?? Self.ranges(job.arrayTasksLeft))
            if job.arrayTasksRunningMax > 0 {
                text.add(" ArrayTaskThrottle=")
                text.add(number: job.arrayTasksRunningMax)
            }
        } else if job.hetJobID != 0 {
            text.add(" HetJobId=")
            text.add(number: job.hetJobID)
            text.add(" HetJobOffset=")
            text.add(number: job.hetOffset)
        }
        text.add(" JobName=")
        text.add(text: job.name)
        if job.hetJobID != 0 {
            startLine(&text)
            text.add("HetJobIdSet=")
            text.add(text: Self.ranges(job.hetJobIDs))
        }
        startLine(&text)
        text.add("UserId=")
        let group = job.groupName.isEmpty ? "\(job.gid)" : job.groupName
        text.add(text: "\(job.userName)(\(job.uid)) GroupId=\(group)(\(job.gid)) MCS_label=N/A")
        startLine(&text)
        text.add("Priority=")
        // Slurm takes a suspended job's priority away until it is resumed.
        text.add(number: job.state == .suspended ? 0 : job.priority)
        text.add(" Nice=")
        text.add(number: job.nice)
        text.add(" Account=")
        text.add(or: "(null)", job.account)
        text.add(" QOS=")
        text.add(or: "(null)", job.qos)
        startLine(&text)
        text.add("JobState=")
        text.add(text: job.shownState.name)
        text.add(" Reason=")
        // Blanks of a description become underscores (spec §8.3), as do ends of lines (corpus fail-odd-answers).
        text.add(
            text: String(decoding: job.shownReason.utf8.map { $0 == 0x20 || $0 == 0x0a ? 0x5f : $0 }, as: UTF8.self))
        text.add(" Dependency=")
        text.add(or: "(null)", job.dependency)
        startLine(&text)
        text.add("Requeue=")
        text.add(number: job.mayRequeue ? 1 : 0)
        text.add(" Restarts=")
        text.add(number: job.restartCount)
        text.add(" BatchFlag=1 Reboot=0 ExitCode=")
        text.add(number: job.exitStatus >> 8 & 0xff)
        text.add(":")
        text.add(number: job.exitStatus & 0x7f)
    }

    private func times(_ job: EngineJob, to text: inout TextBytes, _ startLine: (inout TextBytes) -> Void) {
        startLine(&text)
        text.add("RunTime=")
        text.add(span: job.secondsRun(at: now))
        text.add(" TimeLimit=")
        if let minutes = job.timeLimitMinutes { text.add(span: Int(minutes) * 60) } else { text.add("UNLIMITED") }
        text.add(" TimeMin=N/A")
        startLine(&text)
        text.add("SubmitTime=")
        text.add(time: job.submitted)
        text.add(" EligibleTime=")
        text.add(or: "Unknown", time: job.eligible)
        startLine(&text)
        text.add("AccrueTime=")
        text.add(or: "Unknown", time: job.eligible)
        startLine(&text)
        text.add("StartTime=")
        // A job that never ran has the moment of its end in both places.
        text.add(or: "Unknown", time: job.start ?? (job.state.isFinal ? job.end : nil))
        text.add(" EndTime=")
        text.add(or: "Unknown", time: job.shownEnd)
        text.add(" Deadline=N/A")
        startLine(&text)
        text.add("SuspendTime=")
        text.add(or: "None", time: job.suspendedAt)
        text.add(" SecsPreSuspend=")
        text.add(number: job.suspendedAt != nil ? job.secondsRun(at: now) : 0)
        text.add(" LastSchedEval=")
        text.add(or: "Unknown", time: job.hasNode ? job.start : nil)
        text.add(" Scheduler=Main")
    }

    private func place(_ job: EngineJob, to text: inout TextBytes, _ startLine: (inout TextBytes) -> Void) {
        startLine(&text)
        text.add("Partition=")
        text.add(text: job.partition.isEmpty ? settings.partition : job.partition)
        text.add(" AllocNode:Sid=")
        text.add(text: settings.hostName)
        text.add(":0")
        startLine(&text)
        text.add("ReqNodeList=(null) ExcNodeList=(null)")
        startLine(&text)
        text.add("NodeList=")
        if job.hasNode { text.add(text: settings.hostName) }
        if job.wasLaunched {
            startLine(&text)
            text.add("BatchHost=")
            text.add(text: settings.hostName)
        }
        startLine(&text)
        text.add("NumNodes=")
        text.add(number: job.nodes)
        if job.isShownAsRange {
            text.add("-")
            text.add(number: job.nodes)
        }
        text.add(" NumCPUs=")
        text.add(number: job.cpus)
        text.add(" NumTasks=")
        if job.state.isFinal, !job.hasNode { text.add("N/A") } else { text.add(number: job.tasks) }
        text.add(" CPUs/Task=")
        text.add(number: job.cpusPerTask)
        text.add(" ReqB:S:C:T=0:0:*:*")
        startLine(&text)
        text.add(text: "ReqTRES=cpu=\(job.cpus),mem=\(max(1, job.nodes))M,node=\(job.nodes),billing=\(job.cpus)")
        startLine(&text)
        text.add("AllocTRES=")
        if job.hasNode {
            text.add(text: "cpu=\(job.cpus),node=\(job.nodes),billing=\(job.cpus)")
        } else {
            text.add("(null)")
        }
        startLine(&text)
        text.add("Socks/Node=* NtasksPerN:B:S:C=0:0:*:* CoreSpec=*")
        startLine(&text)
        text.add("MinCPUsNode=")
        text.add(number: job.cpusPerTask)
        text.add(" MinMemoryNode=0 MinTmpDiskNode=0")
        startLine(&text)
        text.add("Features=(null) DelayBoot=00:00:00")
        if let reservation = job.reservation {
            startLine(&text)
            text.add("Reservation=")
            text.add(text: reservation)
        }
        startLine(&text)
        text.add("OverSubscribe=NO Exclusive=NO Contiguous=0 Licenses=")
        text.add(or: "(null)", job.licenses)
        text.add(" LicensesAlloc=(null) Network=(null)")
    }
}

extension EngineJob {
    /// Slurm prints `NumNodes=1-1` until its scheduler has looked for nodes.
    fileprivate var isShownAsRange: Bool {
        guard state == .pending, buffer != nil, restartCount == 0 else { return false }
        return reason != .resources && reason != .priority
    }
}

extension EngineJob.MailTypes {
    /// `INVALID_DEPEND,BEGIN,END`, in Slurm's order.
    package var slurmText: String {
        let words: [(EngineJob.MailTypes, String)] = [
            (.arrayTasks, "ARRAY_TASKS"), (.invalidDependency, "INVALID_DEPEND"), (.begin, "BEGIN"), (.end, "END"),
            (.fail, "FAIL"), (.requeue, "REQUEUE"), (.stageOut, "STAGE_OUT"), (.time50, "TIME_LIMIT_50"),
            (.time80, "TIME_LIMIT_80"), (.time90, "TIME_LIMIT_90"), (.time100, "TIME_LIMIT"),
        ]
        return words.filter { contains($0.0) }.map(\.1).joined(separator: ",")
    }
}
