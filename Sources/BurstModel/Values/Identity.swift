/// A job's number.
package struct JobID: Hashable, Comparable, Sendable, CustomStringConvertible {
    package let number: UInt32

    package init(_ number: UInt32) { self.number = number }

    package init?(_ text: some StringProtocol) {
        guard let number = UInt32(text), number > 0 else { return nil }
        self.number = number
    }

    package static func < (left: JobID, right: JobID) -> Bool { left.number < right.number }
    package var description: String { "\(number)" }
}

/// What a buffer belongs to, as `scontrol show burst` says: `JobID=7`, `JobID=362_3(362)`, `Name=alpha`.
package enum BufferID: Hashable, Sendable {
    case job(JobID)
    /// A task of a job array: the array's id, the task's number, the job id of the task itself.
    case arrayTask(array: JobID, task: UInt32, job: JobID)
    /// A persistent buffer.
    case persistent(String)

    package var jobID: JobID? {
        switch self {
        case .job(let job), .arrayTask(_, _, let job): job
        case .persistent: nil
        }
    }

    package var isPersistent: Bool { if case .persistent = self { true } else { false } }

    /// Short: `7`, `362_3`, `alpha`.
    package var short: String {
        switch self {
        case .job(let job): "\(job)"
        case .arrayTask(let array, let task, _): "\(array)_\(task)"
        case .persistent(let name): name
        }
    }

    /// As Slurm prints it.
    package var slurmText: String {
        switch self {
        case .job(let job): "JobID=\(job)"
        case .arrayTask(let array, let task, let job): "JobID=\(array)_\(task)(\(job))"
        case .persistent(let name): "Name=\(name)"
        }
    }

    /// For sorting: jobs by number, array tasks with their array, then names.
    package var sortKey: (UInt64, String) {
        switch self {
        case .job(let job): (UInt64(job.number) << 32, "")
        case .arrayTask(let array, let task, _): (UInt64(array.number) << 32 | UInt64(min(task, 0xFFFF_FFFE)) + 1, "")
        case .persistent(let name): (UInt64.max, name)
        }
    }
}

/// Which buffer, across plugins: the identity that selections, tags, ages and actions hold on to, never a row number.
package struct BufferKey: Hashable, Sendable {
    package let plugin: String
    package let id: BufferID

    package init(plugin: String, id: BufferID) {
        self.plugin = plugin
        self.id = id
    }
}

/// Which pool, across plugins.
package struct PoolKey: Hashable, Sendable {
    package let plugin: String
    package let name: String

    package init(plugin: String, name: String) {
        self.plugin = plugin
        self.name = name
    }
}
