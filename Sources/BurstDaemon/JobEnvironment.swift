import BurstEngine
import BurstModel

/// What a batch script gets besides what its owner handed over (sbatch(1), "OUTPUT ENVIRONMENT VARIABLES").
enum JobEnvironment {
    /// The job's own environment, Slurm's variables over it, and the lines of the path file behind both (spec §4.7).
    static func make(_ job: EngineJob, submitted: [String], paths: [String], settings: EngineSettings) -> [String] {
        var order: [String] = []
        var values: [String: String] = [:]
        func set(_ entry: String) {
            let name = String(entry.prefix { $0 != "=" })
            if values.updateValue(entry, forKey: name) == nil { order.append(name) }
        }
        for entry in submitted where entry.utf8.dropFirst().contains(UInt8(ascii: "=")) { set(entry) }
        for (name, value) in variables(job, settings) { set("\(name)=\(value)") }
        for line in paths where line.utf8.dropFirst().contains(UInt8(ascii: "=")) { set(line) }
        return order.compactMap { values[$0] }
    }

    private static func variables(_ job: EngineJob, _ settings: EngineSettings) -> [(String, String)] {
        let host = settings.hostName
        var list: [(String, String)] = [
            ("ENVIRONMENT", "BATCH"), ("HOSTNAME", host), ("SLURMD_NODENAME", host),
            ("SLURM_CLUSTER_NAME", settings.clusterName), ("SLURM_CPUS_ON_NODE", "\(job.cpus)"),
            ("SLURM_GTIDS", "0"), ("SLURM_JOBID", "\(job.id)"), ("SLURM_JOB_CPUS_PER_NODE", "\(job.cpus)"),
            ("SLURM_JOB_GID", "\(job.gid)"), ("SLURM_JOB_ID", "\(job.id)"), ("SLURM_JOB_NAME", job.name),
            ("SLURM_JOB_NODELIST", host), ("SLURM_JOB_NUM_NODES", "\(job.nodes)"),
            ("SLURM_JOB_PARTITION", job.partition), ("SLURM_JOB_UID", "\(job.uid)"), ("SLURM_JOB_USER", job.userName),
            ("SLURM_LOCALID", "0"), ("SLURM_NNODES", "\(job.nodes)"), ("SLURM_NODEID", "0"),
            ("SLURM_NODELIST", host), ("SLURM_PROCID", "0"), ("SLURM_SUBMIT_DIR", job.workDir),
            ("SLURM_SUBMIT_HOST", host), ("SLURM_TASKS_PER_NODE", "\(job.tasks)"),
        ]
        if let account = job.account { list.append(("SLURM_JOB_ACCOUNT", account)) }
        if let qos = job.qos { list.append(("SLURM_JOB_QOS", qos)) }
        if let reservation = job.reservation { list.append(("SLURM_JOB_RESERVATION", reservation)) }
        if job.tasks > 1 { list += [("SLURM_NTASKS", "\(job.tasks)"), ("SLURM_NPROCS", "\(job.tasks)")] }
        if job.cpusPerTask > 1 { list.append(("SLURM_CPUS_PER_TASK", "\(job.cpusPerTask)")) }
        if job.restartCount > 0 { list.append(("SLURM_RESTART_COUNT", "\(job.restartCount)")) }
        if let start = job.start { list.append(("SLURM_JOB_START_TIME", "\(start.milliseconds / 1000)")) }
        if let start = job.start, let minutes = job.timeLimitMinutes {
            list.append(("SLURM_JOB_END_TIME", "\(start.milliseconds / 1000 + Int64(minutes) * 60)"))
        }
        if job.arrayJobID != 0, let task = job.arrayTaskID {
            list += [("SLURM_ARRAY_JOB_ID", "\(job.arrayJobID)"), ("SLURM_ARRAY_TASK_ID", "\(task)")]
        }
        if job.hetJobID != 0 {
            list += [("SLURM_HET_SIZE", "\(job.hetJobIDs.count)"), ("SLURM_HET_OFFSET", "\(job.hetOffset)")]
        }
        return list
    }
}
