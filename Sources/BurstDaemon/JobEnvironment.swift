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

/// The files of a batch script's standard input, output and error: names with `%` patterns (sbatch(1), "filename pattern").
enum OutputPath {
    static func input(_ job: EngineJob, host: String) -> String {
        job.stdIn.isEmpty ? "/dev/null" : expand(job.stdIn, job, host: host)
    }

    static func output(_ job: EngineJob, host: String) -> String {
        let name = job.stdOut.isEmpty ? defaultName(job) : job.stdOut
        return expand(name, job, host: host)
    }

    /// That of the output where nothing else is said.
    static func error(_ job: EngineJob, host: String) -> String {
        job.stdErr.isEmpty ? output(job, host: host) : expand(job.stdErr, job, host: host)
    }

    private static func defaultName(_ job: EngineJob) -> String {
        job.arrayJobID != 0 ? "slurm-%A_%a.out" : "slurm-%j.out"
    }

    /// Absolute, below the work directory.
    static func expand(_ name: String, _ job: EngineJob, host: String) -> String {
        let path = name.contains("\\") ? name.filter { $0 != "\\" } : replaced(name, job, host: host)
        if path.hasPrefix("/") { return path }
        return job.workDir == "/" ? "/" + path : job.workDir + "/" + path
    }

    private static func replaced(_ name: String, _ job: EngineJob, host: String) -> String {
        var result = ""
        var rest = name.unicodeScalars[...]
        while let scalar = rest.popFirst() {
            guard scalar == "%" else {
                result.unicodeScalars.append(scalar)
                continue
            }
            var digits = ""
            while let digit = rest.first, ("0"..."9").contains(digit) {
                digits.unicodeScalars.append(digit)
                rest.removeFirst()
            }
            guard let symbol = rest.popFirst() else {
                result += "%" + digits
                break
            }
            let width = min(10, Int(digits) ?? 0)
            func padded(_ number: UInt32) -> String {
                let text = "\(number)"
                return String(repeating: "0", count: max(0, width - text.count)) + text
            }
            switch symbol {
            case "%": result += "%"
            case "A": result += padded(job.arrayJobID != 0 ? job.arrayJobID : job.id)
            case "a": result += padded(job.arrayTaskID ?? 4_294_967_294)
            case "b": result += padded((job.arrayTaskID ?? 4_294_967_294) % 10)
            case "j": result += padded(job.id)
            case "J": result += "\(job.id)"
            case "N": result += host
            case "n", "t": result += padded(0)
            case "s": result += "batch"
            case "u": result += job.userName
            case "x": result += job.name
            default:
                result += "%" + digits
                result.unicodeScalars.append(symbol)
            }
        }
        return result
    }
}
