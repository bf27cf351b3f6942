package import BurstModel

/// The table `job_info` that 26.05 hands to hooks (spec §4.14): names, types and "no value" numbers are Slurm's. Fields
/// that are not here read as nil.
package enum JobInfo {
    private static let noValue: Int64 = 4_294_967_294
    private static let noValue16: Int64 = 65_534
    private static let infinite: Int64 = 4_294_967_295
    private static let infinite16: Int64 = 65_535
    /// `nice` and `site_factor` of 0.
    private static let niceOffset: Int64 = 2_147_483_648
    /// SLURM_26_05_PROTOCOL_VERSION.
    private static let protocolVersion: Int64 = 45 << 8

    package static func fields(
        _ job: EngineJob, settings: EngineSettings, at now: Timestamp
    ) -> [String: JobInfoValue] {
        var info = numbers(job, at: now)
        info.merge(times(job, at: now)) { $1 }
        func text(_ name: String, _ value: String?) {
            if let value { info[name] = .text(value) }
        }
        let isPlaced = job.takesSlots || job.state.isFinal && job.start != nil
        let tres = "cpu=\(job.cpus),mem=1M,node=1,billing=\(job.cpus)"
        text("account", job.account)
        text("admin_comment", job.adminComment)
        text("alloc_node", settings.hostName)
        text(
            "array_task_str",
            job.arrayTasksLeft.isEmpty ? nil : job.arrayTasksLeft.map { "\($0)" }.joined(separator: ","))
        text("batch_host", job.buffer.map { $0.stage.state == .preRun } == true || !isPlaced ? nil : settings.hostName)
        text("burst_buffer", job.buffer?.spec)
        text("burst_buffer_state", job.buffer?.stage.state.name)
        text("cluster", settings.clusterName)
        text("command", job.command.isEmpty ? nil : job.command)
        text("comment", job.comment)
        text("dependency", job.dependency)
        text("het_job_id_set", job.hetJobIDs.isEmpty ? nil : job.hetJobIDs.map { "\($0)" }.joined(separator: ","))
        text("licenses", job.licenses)
        text("mail_user", job.mailUser ?? job.userName)
        text("name", job.name)
        text("nodes", isPlaced ? settings.hostName : nil)
        text("partition", job.partition)
        text("qos", job.qos)
        text("resv_name", job.reservation)
        text("state_desc", job.reasonText)
        text("std_err", job.stdErr.isEmpty ? nil : job.stdErr)
        text("std_in", job.stdIn)
        text("std_out", job.stdOut.isEmpty ? nil : job.stdOut)
        text("system_comment", job.systemComment)
        text("tres_req_str", tres)
        text("tres_alloc_str", isPlaced ? "cpu=\(job.cpus),node=1,billing=\(job.cpus)" : nil)
        text("user_name", job.userName)
        text("work_dir", job.workDir)
        info["billable_tres"] = .number(isPlaced ? Double(job.cpus) : Double(noValue))
        return info
    }

    private static func numbers(_ job: EngineJob, at now: Timestamp) -> [String: JobInfoValue] {
        let values: [String: Int64] = [
            "alloc_sid": 0, "array_job_id": Int64(job.arrayJobID),
            "array_task_id": job.arrayTaskID.map(Int64.init) ?? noValue,
            "array_max_tasks": Int64(job.arrayTasksRunningMax), "assoc_id": 0, "batch_flag": 1, "boards_per_node": 0,
            "contiguous": 0, "core_spec": noValue16, "cores_per_socket": noValue16,
            "cpus_per_task": Int64(job.cpusPerTask), "cpu_freq_min": noValue, "cpu_freq_max": noValue,
            "cpu_freq_gov": noValue, "deadline": 0, "delay_boot": 0, "derived_ec": 0, "exclusive": 0,
            "exit_code": Int64(job.exitStatus), "gres_detail_cnt": 0, "group_id": Int64(job.gid),
            "het_job_id": Int64(job.hetJobID), "het_job_offset": Int64(job.hetOffset), "job_id": Int64(job.id),
            "job_state": stateNumber(job), "mail_type": Int64(job.mailTypes.rawValue), "max_cpus": 0,
            "max_nodes": job.state == .pending ? Int64(job.nodes) : 0, "min_mem_per_node": 0,
            "nice": niceOffset + Int64(job.nice), "ntasks_per_core": infinite16, "ntasks_per_tres": 0,
            "ntasks_per_node": 0, "ntasks_per_socket": infinite16, "ntasks_per_board": 0, "num_cpus": Int64(job.cpus),
            "num_nodes": Int64(job.nodes), "num_tasks": Int64(job.tasks), "oversubscribe": 0,
            "pn_min_cpus": Int64(job.cpusPerTask), "pn_min_tmp_disk": 0, "priority": Int64(job.priority), "profile": 0,
            "reboot": 0, "req_switch": 0, "requeue": job.mayRequeue ? 1 : 0, "restart_cnt": Int64(job.restartCount),
            "site_factor": niceOffset, "sockets_per_board": 0, "sockets_per_node": noValue16,
            "start_protocol_ver": protocolVersion, "state_reason": reasonNumber(job.reason),
            "time_limit": job.timeLimitMinutes.map(Int64.init) ?? infinite, "time_min": 0,
            "threads_per_core": noValue16,
            "user_id": Int64(job.uid), "wait4switch": 0,
        ]
        return values.mapValues { .integer($0) }
    }

    private static func times(_ job: EngineJob, at now: Timestamp) -> [String: JobInfoValue] {
        func seconds(_ moment: Timestamp?) -> Int64 { moment.map { $0.milliseconds / 1000 } ?? 0 }
        let limit = Int64(job.timeLimitMinutes ?? UInt32.max)
        let end = seconds(job.end)
        let values: [String: Int64] = [
            "accrue_time": seconds(job.eligible), "eligible_time": seconds(job.eligible),
            "end_time": end != 0 || job.start == nil ? end : seconds(job.start) + limit * 60,
            "last_sched_eval": seconds(now), "preempt_time": 0, "preemptable_time": 0,
            "pre_sus_time": job.suspendedMilliseconds / 1000, "resize_time": 0, "start_time": seconds(job.start),
            "submit_time": seconds(job.submitted), "suspend_time": seconds(job.suspendedAt),
        ]
        return values.mapValues { .integer($0) }
    }

    /// `enum job_states` of slurm.h with its flags.
    package static func stateNumber(_ job: EngineJob) -> Int64 {
        let base: Int64 =
            switch job.state {
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
        // While `paths` runs, Slurm has not set the job's state yet.
        if case .preRun(let step)? = job.buffer?.stage, step.function == .paths { return 0 }
        return base + (job.flags.contains(.configuring) ? 0x4000 : 0) + (job.flags.contains(.completing) ? 0x8000 : 0)
            + (job.flags.contains(.stageOut) ? 0x80_0000 : 0)
    }

    /// `enum job_state_reason` of slurm.h; the numbers of 26.05 that the corpus shows or that never changed.
    private static func reasonNumber(_ reason: EngineJob.Reason) -> Int64 {
        switch reason {
        case .none: 0
        case .priority: 1
        case .dependency: 2
        case .resources: 3
        case .partitionNodeLimit: 4
        case .partitionTimeLimit: 5
        case .partitionDown: 6
        case .jobHeldAdmin: 8
        case .beginTime: 9
        case .reservation: 12
        case .nodeDown: 13
        case .badConstraints: 14
        case .jobLaunchFailure: 18
        case .nonZeroExitCode: 20
        case .timeLimit: 21
        case .jobHeldUser: 26
        case .jobArrayTaskLimit: 31
        case .dependencyNeverSatisfied: 45
        case .burstBufferResources: 73
        case .burstBufferStageIn: 74
        case .burstBufferOperation: 72
        case .raisedSignal: 57
        case .launchFailedRequeuedHeld: 28
        }
    }
}
