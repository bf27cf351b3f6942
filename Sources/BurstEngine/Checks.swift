import BurstModel

/// What must hold of an engine's state after every decision. Simulations ask after each step, `burst fsck` at rest.
package enum EngineChecks {
    /// Something that must not be, and what it is about.
    package struct Fault: Hashable, Sendable, CustomStringConvertible {
        package enum Kind: Hashable, Sendable {
            /// A pool's used space is not the sum of its buffers.
            case poolUsed(pool: String, sum: UInt64)
            /// A buffer is charged to a pool that nobody knows.
            case poolUnknown(pool: String)
            /// The stage needs a buffer and there is none.
            case bufferMissing
            /// There is a buffer where the stage has none.
            case bufferLeft
            /// Two stages wait for one call.
            case callShared(CallID)
            /// The hook has no place in this stage.
            case hookMisplaced(HookFunction)
            /// The job's state and the stage do not go together.
            case stageMisplaced
            /// Nothing will ever happen to the job by itself, and nothing says why.
            case stuck
        }

        package var kind: Kind
        /// Nil for a pool.
        package var jobID: UInt32?
        package var text: String

        package init(_ kind: Kind, jobID: UInt32? = nil, text: String) {
            self.kind = kind
            self.jobID = jobID
            self.text = text
        }

        package var description: String { jobID.map { "job \($0): \(text)" } ?? text }
    }

    /// One line for each fault; none if all is well.
    package static func faults(in engine: Engine) -> [String] {
        faults(
            jobs: engine.jobs.values.sorted { $0.id < $1.id }, pools: engine.pools,
            persistent: engine.persistentBuffers.values.sorted { $0.name < $1.name }, isPassDue: engine.passWanted
        ).map(\.description) + callFaults(engine)
    }

    /// A persistent buffer that is at work waits for a call of its own.
    private static func callFaults(_ engine: Engine) -> [String] {
        engine.persistentBuffers.values.sorted { $0.name < $1.name }.compactMap { buffer in
            switch buffer.state {
            case .creating(let call?), .destroying(let call?):
                if case .persistent(buffer.name, _)? = engine.calls[call] { return nil }
                return "buffer \(buffer.name): it waits for call \(call), which is not under way for it"
            case .destroying(nil) where buffer.jobID.flatMap { engine.jobs[$0] } == nil:
                return "buffer \(buffer.name): it is to be destroyed, and the job that wants that is gone"
            case .creating(nil) where engine.site.isKnown || engine.settings.plugin?.emulatesCray == true:
                return "buffer \(buffer.name): it is to be created, and no call is under way"
            case .creating, .destroying, .allocated: return nil
            }
        }
    }

    /// - Parameters:
    ///   - jobs: in the order in which faults are to be named.
    ///   - isPassDue: the scheduler is about to look at the jobs: those that wait need not say why yet. So it is after
    /// a
    ///     restart.
    package static func faults(
        jobs: [EngineJob], pools: [EnginePool], persistent: [PersistentBuffer] = [], isPassDue: Bool = true
    ) -> [Fault] {
        poolFaults(jobs, pools, persistent) + jobs.flatMap { faults(of: $0, isPassDue) } + sharedCalls(jobs)
    }

    // MARK: Pools

    /// Used is what the buffers that exist are charged (spec §6.1).
    private static func poolFaults(
        _ jobs: [EngineJob], _ pools: [EnginePool], _ persistent: [PersistentBuffer]
    ) -> [Fault] {
        var sums: [String: UInt64] = [:]
        var found: [Fault] = []
        let known = Set(pools.map(\.name))
        for buffer in persistent where buffer.size > 0 {
            sums[buffer.pool] = sum(sums[buffer.pool, default: 0], buffer.size)
            if !known.contains(buffer.pool) {
                found.append(
                    Fault(
                        .poolUnknown(pool: buffer.pool),
                        text: "buffer \(buffer.name) is charged to pool \(buffer.pool), which is not known"))
            }
        }
        for job in jobs {
            for (pool, size) in charges(job) where size > 0 {
                sums[pool] = sum(sums[pool, default: 0], size)
                if !known.contains(pool) {
                    found.append(
                        Fault(
                            .poolUnknown(pool: pool), jobID: job.id,
                            text: "its buffer is charged to pool \(pool), which is not known"))
                }
            }
        }
        for pool in pools where pool.used != sums[pool.name, default: 0] {
            let sum = sums[pool.name, default: 0]
            found.append(
                Fault(
                    .poolUsed(pool: pool.name, sum: sum),
                    text: "pool \(pool.name): used is \(pool.used), its buffers are \(sum) together"))
        }
        for (index, pool) in pools.enumerated() where pools[..<index].contains(where: { $0.name == pool.name }) {
            found.append(Fault(.poolUnknown(pool: pool.name), text: "pool \(pool.name): is named twice"))
        }
        return found
    }

    /// What a job's buffer takes of pools, counted apart from the engine: each request of its own pool, and what
    /// `real_size` added of the shown one.
    private static func charges(_ job: EngineJob) -> [(pool: String, size: UInt64)] {
        guard let buffer = job.buffer, buffer.created != nil else { return [] }
        var charges = buffer.requests.map { (pool: $0.pool, size: $0.size) }
        let asked = charges.reduce(0) { sum($0, $1.size) }
        if let pool = buffer.pool, buffer.size > asked { charges.append((pool, buffer.size - asked)) }
        return charges
    }

    private static func sum(_ left: UInt64, _ right: UInt64) -> UInt64 {
        let (sum, isOver) = left.addingReportingOverflow(right)
        return isOver ? .max : sum
    }

    // MARK: Jobs

    private static func faults(of job: EngineJob, _ isPassDue: Bool) -> [Fault] {
        guard let buffer = job.buffer else { return [] }
        var found: [Fault] = []
        func report(_ kind: Fault.Kind, _ text: String) { found.append(Fault(kind, jobID: job.id, text: text)) }
        let stage = name(of: buffer.stage)

        switch buffer.stage {
        case .pending, .preparing, .complete:
            if buffer.created != nil { report(.bufferLeft, "\(stage), and its buffer is still there") }
        case .stagingIn, .stageInFailed, .stagedIn, .preRun, .running, .postRun, .postRunFailed, .stagingOut,
            .stageOutFailed, .teardown:
            if buffer.created == nil { report(.bufferMissing, "\(stage), and there is no buffer") }
        }
        if let function = misplacedHook(buffer.stage) {
            report(.hookMisplaced(function), "\(stage), and it waits for \(function.rawValue)")
        }
        if let wrong = misplacedStage(job, buffer.stage) {
            report(.stageMisplaced, "\(stage), and the job is \(job.state.rawValue): \(wrong)")
        }
        if let why = stuck(job, buffer.stage, isPassDue) { report(.stuck, "\(stage): \(why)") }
        return found
    }

    private static func misplacedHook(_ stage: BufferWork.Stage) -> HookFunction? {
        switch stage {
        case .stagingIn(let step):
            [.setup, .dataIn, .testDataIn, .realSize].contains(step.function) ? nil : step.function
        case .preRun(let step): [.paths, .preRun].contains(step.function) ? nil : step.function
        case .postRun(let step): step.function == .postRun ? nil : step.function
        case .stagingOut(let step): [.dataOut, .testDataOut].contains(step.function) ? nil : step.function
        case .pending, .preparing, .stageInFailed, .stagedIn, .running, .postRunFailed, .stageOutFailed, .teardown,
            .complete:
            nil
        }
    }

    /// Staging in is for jobs that wait, `running` for those whose script runs or is being ended (spec §7.3).
    private static func misplacedStage(_ job: EngineJob, _ stage: BufferWork.Stage) -> String? {
        let isEnding = !job.flags.isDisjoint(with: [.ending, .completing])
        switch stage {
        case .stagingIn, .stageInFailed, .stagedIn:
            return job.state == .pending ? nil : "a job is staged in while it is pending"
        case .pending, .preparing:
            return job.state == .pending ? nil : "a job that is not pending has been staged in"
        case .preRun:
            return job.state.isFinal ? "a job that is over is torn down" : nil
        case .running:
            return job.state == .running || job.state == .suspended || isEnding ? nil : "no script runs"
        case .postRun, .stagingOut, .postRunFailed, .stageOutFailed:
            return job.state == .running || job.state == .suspended ? "its script still runs" : nil
        case .teardown, .complete:
            return nil
        }
    }

    /// A job with a buffer has a call under way, a time for the next one, a reason to wait that it shows, or is over.
    private static func stuck(_ job: EngineJob, _ stage: BufferWork.Stage, _ isPassDue: Bool) -> String? {
        let saysWhy = job.reason != .none || job.reasonText?.isEmpty == false
        switch stage {
        case .stagingIn, .preRun, .postRun, .stagingOut, .teardown:
            let calls = calls(of: stage)
            if calls.count > 1 { return "calls \(calls[0]) and \(calls[1]) are under way at once" }
            switch (calls.first, callAt(of: stage)) {
            case (nil, nil): return "no call is under way and none is due"
            case (.some(let call), .some): return "call \(call) is under way and another is due"
            case (.some, nil), (nil, .some): return nil
            }
        case .stageInFailed, .stagedIn, .preparing:
            return saysWhy || job.isHeld || isPassDue ? nil : "it is not held and does not say why it waits"
        case .postRunFailed, .stageOutFailed:
            return saysWhy || job.isHeld ? nil : "it does not say why it waits"
        case .pending, .running, .complete:
            return nil
        }
    }

    private static func sharedCalls(_ jobs: [EngineJob]) -> [Fault] {
        var owners: [CallID: UInt32] = [:]
        var found: [Fault] = []
        for job in jobs {
            for id in (job.buffer?.stage).map(calls(of:)) ?? [] {
                if let other = owners.updateValue(job.id, forKey: id) {
                    found.append(Fault(.callShared(id), jobID: job.id, text: "call \(id) is also that of job \(other)"))
                }
            }
        }
        return found
    }

    // MARK: Stages

    /// As `BurstBufferState=` prints it, and whether it failed.
    static func name(of stage: BufferWork.Stage) -> String {
        switch stage {
        case .stageInFailed, .postRunFailed, .stageOutFailed: stage.state.name + " (failed)"
        default: stage.state.name
        }
    }

    /// Calls of hooks that a stage waits for the end of.
    package static func calls(of stage: BufferWork.Stage) -> [CallID] {
        switch stage {
        case .stagingIn(let step), .preRun(let step), .postRun(let step), .stagingOut(let step): [step.call].compact
        case .teardown(let teardown): [teardown.call, teardown.after].compact
        case .pending, .preparing, .stageInFailed, .stagedIn, .running, .postRunFailed, .stageOutFailed, .complete: []
        }
    }

    /// When a stage's hook is called again.
    private static func callAt(of stage: BufferWork.Stage) -> Timestamp? {
        switch stage {
        case .stagingIn(let step), .preRun(let step), .postRun(let step), .stagingOut(let step): step.callAt
        case .teardown(let teardown): teardown.callAt
        case .pending, .preparing, .stageInFailed, .stagedIn, .running, .postRunFailed, .stageOutFailed, .complete: nil
        }
    }
}

extension [CallID?] {
    fileprivate var compact: [CallID] { compactMap { $0 } }
}
