import BurstModel

/// What jobs wait for: `afterok:7` and its like (spec §7.8).
extension Engine {
    func dependencyState(of job: EngineJob, at now: Timestamp) -> Dependency.Verdict {
        guard let text = job.dependency, let dependency = try? Dependency(text) else { return .satisfied }
        return verdict(of: dependency, for: job, at: now)
    }

    private func verdict(of dependency: Dependency, for job: EngineJob, at now: Timestamp) -> Dependency.Verdict {
        let isOnlyOne =
            !dependency.items.contains { $0.kind == .singleton }
            || !jobs.values.contains {
                $0.id < job.id && $0.uid == job.uid && $0.name == job.name && !$0.state.isFinal
            }
        return dependency.verdict(usesBuffer: job.buffer != nil, task: job.arrayTaskID, isOnlyOne: isOnlyOne) {
            facts($0, at: now)
        }
    }

    /// What is left of it and how that stands, as Slurm's commands print it; nil: nothing.
    func dependencyText(of job: EngineJob, at now: Timestamp) -> String? {
        guard let text = job.dependency else { return nil }
        guard let dependency = try? Dependency(text) else { return text }
        var open = dependency
        func state(_ item: Dependency.Item) -> Dependency.Verdict {
            var one = dependency
            one.items = [item]
            return verdict(of: one, for: job, at: now)
        }
        if dependency.needsAll { open.items.removeAll { state($0) == .satisfied } }
        guard !open.items.isEmpty else { return nil }
        return open.text { state($0) == .never ? "failed" : "unfulfilled" }
    }

    private func facts(_ target: Dependency.Target, at now: Timestamp) -> Dependency.Facts? {
        let meant: [EngineJob]
        switch target.tasks {
        case .none:
            // An array's id stands for all its tasks.
            if let job = jobs[target.job], job.arrayJobID == 0 {
                meant = [job]
            } else {
                meant = jobs.ofArray(target.job)
            }
        case .all: meant = jobs.ofArray(target.job)
        case .task(let task):
            meant = jobs.ofArray(target.job).filter { $0.arrayTaskID == task || $0.arrayTasksLeft.contains(task) }
        }
        guard !meant.isEmpty else { return nil }
        return Dependency.Facts(
            isFinal: meant.allSatisfy(\.state.isFinal),
            succeeded: meant.allSatisfy { $0.state == .completed },
            bufferDone: meant.allSatisfy { $0.buffer == nil || $0.buffer?.stage == .complete },
            usesBuffer: meant.contains { $0.buffer != nil },
            minutesSinceStart: meant.map { job -> UInt32? in
                guard let start = job.start, job.takesSlots || job.state.isFinal else { return nil }
                return UInt32(max(0, now.seconds(since: start) / 60))
            }.reduce(UInt32.max) { least, minutes in least.flatMap { a in minutes.map { min(a, $0) } } })
    }
}
