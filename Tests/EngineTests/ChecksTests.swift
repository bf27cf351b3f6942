import BurstEngine
import BurstModel
import BurstTestSupport
import Testing

/// The checkers find what they are there for, and nothing in a real engine.
@Suite struct ChecksTests {
    private static func at(_ seconds: Int64) -> Timestamp { Timestamp(seconds: seconds) }

    private static func job(
        _ id: UInt32 = 7, _ stage: BufferWork.Stage, state: EngineJob.Base = .pending, created: Bool = true,
        _ change: (inout EngineJob) -> Void = { _ in }
    ) -> EngineJob {
        var job = EngineJob(
            id: id, uid: 1, gid: 1, userName: "alice", name: "job", priority: 1, submitted: at(1))
        job.state = state
        job.reason = .resources
        var work = BufferWork(spec: "#BB_LUA", since: at(1))
        work.requests = [BufferWork.Request(pool: "nvme", size: 10)]
        work.pool = "nvme"
        work.size = 10
        work.created = created ? at(2) : nil
        work.stage = stage
        job.buffer = work
        change(&job)
        return job
    }

    private static func faults(_ jobs: EngineJob..., used: UInt64 = 10, isPassDue: Bool = false) -> [String] {
        EngineChecks.faults(
            jobs: jobs, pools: [EnginePool(name: "nvme", total: 100, used: used)], isPassDue: isPassDue
        ).map(\.description)
    }

    private static func step(_ function: HookFunction, _ call: UInt64? = 1, callAt: Timestamp? = nil) -> BufferWork.Step
    {
        BufferWork.Step(function, call: call.map { CallID($0) }, callAt: callAt)
    }

    private static let soundStages: [(BufferWork.Stage, EngineJob.Base)] = [
        (.stagingIn(step(.setup)), .pending), (.stagingIn(step(.testDataIn, nil, callAt: at(3))), .pending),
        (.stageInFailed, .pending), (.stagedIn, .pending), (.preRun(step(.paths)), .running),
        (.preRun(step(.preRun)), .running), (.running, .running), (.running, .suspended),
        (.postRun(step(.postRun)), .completed), (.postRun(step(.postRun)), .pending), (.postRunFailed, .failed),
        (.stagingOut(step(.dataOut)), .completed), (.stagingOut(step(.testDataOut, nil, callAt: at(3))), .timeout),
        (.stageOutFailed, .completed),
        (.teardown(teardown { $0.call = CallID(1) }), .cancelled),
        (.teardown(teardown { $0.after = CallID(1) }), .cancelled),
        (.teardown(teardown { $0.callAt = at(3) }), .pending),
    ]

    private static func teardown(_ change: (inout BufferWork.Teardown) -> Void = { _ in }) -> BufferWork.Teardown {
        var teardown = BufferWork.Teardown(hurry: true)
        change(&teardown)
        return teardown
    }

    @Test func soundStagesHaveNoFaults() {
        for (stage, state) in Self.soundStages {
            #expect(Self.faults(Self.job(7, stage, state: state)) == [], "\(stage)")
        }
        #expect(Self.faults(Self.job(7, .pending, created: false), used: 0) == [])
        #expect(Self.faults(Self.job(7, .complete, state: .completed, created: false), used: 0) == [])
        var plain = Self.job(7, .pending)
        plain.buffer = nil
        #expect(Self.faults(plain, used: 0) == [])
    }

    @Test func buffersAreWhereTheirStageSays() {
        for (stage, state) in Self.soundStages {
            let found = Self.faults(Self.job(7, stage, state: state, created: false), used: 0)
            #expect(found.count == 1 && found[0].hasSuffix(", and there is no buffer"), "\(stage): \(found)")
        }
        #expect(Self.faults(Self.job(7, .pending)) == ["job 7: pending, and its buffer is still there"])
        #expect(
            Self.faults(Self.job(7, .complete, state: .completed)) == [
                "job 7: complete, and its buffer is still there"
            ])
    }

    @Test func usedSpaceIsTheSumOfBuffers() {
        #expect(
            Self.faults(Self.job(7, .stagedIn), used: 9) == ["pool nvme: used is 9, its buffers are 10 together"])
        #expect(Self.faults(Self.job(7, .stagedIn), Self.job(8, .stagedIn), used: 20) == [])
        // What real_size added counts for the pool that is shown.
        #expect(Self.faults(Self.job(7, .stagedIn) { $0.buffer?.size = 14 }, used: 14) == [])
        #expect(
            Self.faults(Self.job(7, .stagedIn) { $0.buffer?.size = .max }, Self.job(8, .stagedIn), used: .max) == [])
        // Each request is of its own pool.
        let two = Self.job(7, .stagedIn) {
            $0.buffer?.requests = [
                BufferWork.Request(pool: "other", size: 3), BufferWork.Request(pool: "nvme", size: 10),
            ]
            $0.buffer?.size = 13
        }
        #expect(Self.faults(two) == ["job 7: its buffer is charged to pool other, which is not known"])
        let none = Self.job(7, .stagedIn) {
            $0.buffer?.requests = []
            $0.buffer?.pool = nil
            $0.buffer?.size = 0
        }
        #expect(Self.faults(none, used: 0) == [])
        let pool = EnginePool(name: "nvme")
        #expect(
            EngineChecks.faults(jobs: [], pools: [pool, pool]).map(\.description) == ["pool nvme: is named twice"])
    }

    @Test func noCallIsInTwoStages() {
        #expect(
            Self.faults(
                Self.job(7, .stagingIn(Self.step(.setup, 4))),
                Self.job(8, .teardown(Self.teardown { $0.after = CallID(4) })), used: 20)
                == ["job 8: call 4 is also that of job 7"])
    }

    @Test func hooksAreInTheirStage() {
        let misplaced: [(BufferWork.Stage, EngineJob.Base)] = [
            (.stagingIn(Self.step(.dataOut)), .pending), (.preRun(Self.step(.postRun)), .running),
            (.postRun(Self.step(.preRun)), .completed), (.stagingOut(Self.step(.dataIn)), .completed),
        ]
        for (stage, state) in misplaced {
            let found = Self.faults(Self.job(7, stage, state: state))
            #expect(found.count == 1 && found[0].contains(", and it waits for slurm_bb_"), "\(stage): \(found)")
        }
    }

    @Test func jobsAndStagesGoTogether() {
        let misplaced: [(BufferWork.Stage, EngineJob.Base)] = [
            (.stagingIn(Self.step(.setup)), .running), (.stagedIn, .cancelled), (.preRun(Self.step(.paths)), .failed),
            (.running, .pending), (.running, .completed), (.postRun(Self.step(.postRun)), .running),
            (.stageOutFailed, .suspended),
        ]
        for (stage, state) in misplaced {
            let found = Self.faults(Self.job(7, stage, state: state))
            #expect(found.count == 1 && found[0].contains(", and the job is \(state.rawValue): "), "\(found)")
        }
        #expect(Self.faults(Self.job(7, .running, state: .cancelled) { $0.flags = .ending }) == [])
    }

    @Test func everyJobGoesOnOrSaysWhyNot() {
        func silent(_ job: EngineJob) -> EngineJob {
            var job = job
            job.reason = .none
            return job
        }
        #expect(
            Self.faults(Self.job(7, .stagingIn(Self.step(.setup, nil)))) == [
                "job 7: staging-in: no call is under way and none is due"
            ])
        #expect(
            Self.faults(Self.job(7, .stagingIn(Self.step(.setup, 3, callAt: Self.at(9))))) == [
                "job 7: staging-in: call 3 is under way and another is due"
            ])
        #expect(
            Self.faults(Self.job(7, .teardown(Self.teardown()), state: .failed)) == [
                "job 7: teardown: no call is under way and none is due"
            ])
        let both = Self.teardown {
            $0.call = CallID(3)
            $0.after = CallID(4)
        }
        #expect(
            Self.faults(Self.job(7, .teardown(both), state: .failed)) == [
                "job 7: teardown: calls 3 and 4 are under way at once"
            ])
        #expect(
            Self.faults(silent(Self.job(7, .stagedIn))) == [
                "job 7: staged-in: it is not held and does not say why it waits"
            ])
        #expect(Self.faults(silent(Self.job(7, .stagedIn)), isPassDue: true) == [])
        #expect(Self.faults(silent(Self.job(7, .stageInFailed) { $0.priority = 0 })) == [])
        #expect(
            Self.faults(silent(Self.job(7, .stageOutFailed, state: .completed)), isPassDue: true) == [
                "job 7: staging-out (failed): it does not say why it waits"
            ])
        #expect(Self.faults(silent(Self.job(7, .running, state: .running))) == [])
    }
}
