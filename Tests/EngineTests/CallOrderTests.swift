import BurstEngine
import BurstModel
import BurstTestSupport
import Testing

/// Hooks out of order are found, whoever calls them; a real engine never does.
@Suite struct CallOrderTests {
    /// A script of calls for job 7: a function, how it ends (nil: it goes on), and what it says.
    private struct Call {
        var function: HookFunction
        var outcome: String?
        var message: String?
        var hurry = "false"

        init(_ function: HookFunction, _ outcome: String? = "success", message: String? = nil, hurry: String = "false")
        {
            self.function = function
            self.outcome = outcome
            self.message = message
            self.hurry = hurry
        }
    }

    /// Plays calls in a job's states.
    private struct Play {
        var order = CallOrder()
        var number: UInt64 = 0
        var job = EngineJob(
            id: 7, uid: 1, gid: 1, userName: "alice", name: "job", priority: 1, submitted: Timestamp(seconds: 1))
        var wrong: [String] = []

        init(requests: [BufferWork.Request] = [BufferWork.Request(pool: "nvme", size: 1)]) {
            var work = BufferWork(spec: "#BB_LUA", since: Timestamp(seconds: 1))
            work.requests = requests
            job.buffer = work
        }

        mutating func become(_ state: EngineJob.Base, _ stage: BufferWork.Stage = .pending) {
            job.state = state
            job.buffer?.stage = stage
            wrong += order.feed([.job(job)])
        }

        mutating func call(_ calls: Call...) {
            for call in calls {
                number += 1
                let arguments = call.function == .jobTeardown ? ["7", "script", call.hurry] : ["7"]
                wrong += order.feed([
                    .callStarted(
                        CallStart(
                            id: CallID(number), function: call.function, jobID: 7, arguments: arguments,
                            limitSeconds: nil, at: Timestamp(seconds: 1)))
                ])
                if let outcome = call.outcome { end(outcome, message: call.message) }
            }
        }

        mutating func end(_ outcome: String, message: String? = nil, number: UInt64? = nil, job: UInt32? = 7) {
            wrong += order.feed([
                .callEnded(
                    CallEnd(
                        id: CallID(number ?? self.number), jobID: job, outcome: outcome, status: 0, message: message,
                        printed: "", log: [], pid: nil, startedMicroseconds: 0, durationMicroseconds: 0))
            ])
        }

        /// To the run of the script.
        mutating func run() {
            become(.pending)
            call(Call(.jobProcess), Call(.setup), Call(.dataIn))
            call(Call(.testDataIn, message: "busy"), Call(.testDataIn), Call(.realSize))
            become(.pending, .stagedIn)
            become(.running)
            call(Call(.paths), Call(.preRun))
            become(.running, .running)
        }

        mutating func stageOut() {
            become(.completed)
            call(Call(.postRun), Call(.dataOut), Call(.testDataOut, message: "BUSY"), Call(.testDataOut))
        }
    }

    @Test func aWholeLifeIsInOrder() {
        var play = Play()
        play.run()
        play.stageOut()
        play.call(Call(.jobTeardown))
        play.become(.completed, .complete)
        play.wrong += play.order.feed([.forget(7)])
        #expect(play.wrong == [])
    }

    @Test func aRequeuedJobLivesAgain() {
        var play = Play()
        play.run()
        play.stageOut()
        play.call(Call(.jobTeardown))
        play.become(.pending, .complete)
        play.call(Call(.setup), Call(.dataIn), Call(.testDataIn), Call(.realSize), Call(.jobTeardown, hurry: "true"))
        #expect(play.wrong == [])
    }

    @Test func teardownIsTriedThreeTimes() {
        var play = Play()
        play.become(.pending)
        play.call(Call(.setup, "failure"), Call(.jobTeardown, "failure", hurry: "true"))
        play.call(Call(.jobTeardown, "timeout", hurry: "true"))
        #expect(play.wrong == [])
        play.become(.cancelled, .complete)
        #expect(
            play.wrong == [
                "job 7: complete, and its buffer is not torn down: last was slurm_bb_job_teardown (failed)"
            ])
        play.wrong = []
        play.call(Call(.jobTeardown, "broken", hurry: "true"))
        play.become(.cancelled, .complete)
        #expect(play.wrong == [])
        play.call(Call(.jobTeardown, hurry: "true"))
        #expect(play.wrong == ["job 7: slurm_bb_job_teardown is called, and that was done already"])
    }

    @Test func twoCallsAtOnceAreFound() {
        var play = Play()
        play.become(.pending)
        play.call(Call(.setup, nil), Call(.jobTeardown, nil, hurry: "true"))
        #expect(
            play.wrong == ["job 7: slurm_bb_job_teardown is called, and call 1 of slurm_bb_setup has not ended"])
    }

    @Test(arguments: [HookFunction.dataIn, .testDataIn, .realSize, .dataOut, .testDataOut, .postRun, .paths, .preRun])
    func nothingComesFirstButSetup(function: HookFunction) {
        var play = Play()
        play.become(function == .paths || function == .preRun ? .running : .pending)
        play.call(Call(function))
        #expect(play.wrong.count == 1)
        #expect(
            play.wrong.first?.hasPrefix("job 7: \(function.rawValue) is called, after nothing and not after ") == true)
    }

    @Test func stepsLeftOutAreFound() {
        var play = Play()
        play.become(.pending)
        play.call(Call(.setup), Call(.testDataIn))
        #expect(
            play.wrong == [
                "job 7: slurm_bb_test_data_in is called, after slurm_bb_setup and not after slurm_bb_data_in"
            ])
    }

    @Test func busyIsNoSuccess() {
        var play = Play(requests: [])
        play.become(.pending)
        play.call(Call(.setup), Call(.dataIn), Call(.testDataIn, message: "BUSY"))
        play.become(.running)
        play.call(Call(.paths))
        #expect(
            play.wrong == [
                "job 7: slurm_bb_paths is called, after slurm_bb_test_data_in (BUSY) and not after slurm_bb_test_data_in"
            ])
    }

    @Test func realSizeIsForThoseWhoAskedForSpace() {
        var play = Play(requests: [])
        play.become(.pending)
        play.call(Call(.setup), Call(.dataIn), Call(.testDataIn), Call(.realSize))
        #expect(play.wrong == ["job 7: slurm_bb_real_size is called, and it asked for no space"])
    }

    @Test func failuresDoNotGoOn() {
        var play = Play()
        play.run()
        play.become(.completed)
        play.call(Call(.postRun, "failure"), Call(.dataOut))
        #expect(
            play.wrong == [
                "job 7: slurm_bb_data_out is called, after slurm_bb_post_run (failed) and not after slurm_bb_post_run"
            ])
    }

    @Test func dataIsOutBeforeItIsDeleted() {
        var play = Play()
        play.run()
        play.become(.completed)
        play.call(Call(.postRun), Call(.dataOut), Call(.jobTeardown))
        #expect(
            play.wrong == [
                "job 7: slurm_bb_job_teardown is called, without hurry, and its data is not out: last was slurm_bb_data_out"
            ])
        play = Play()
        play.run()
        play.become(.completed)
        play.call(Call(.postRun), Call(.dataOut), Call(.testDataOut, message: "Busy"), Call(.jobTeardown))
        #expect(play.wrong.count == 1)
        play = Play()
        play.run()
        play.become(.completed)
        play.call(Call(.postRun), Call(.dataOut, "failure"), Call(.jobTeardown))
        #expect(play.wrong == [])
    }

    @Test func theScriptHasEndedBeforePostRun() {
        var play = Play()
        play.run()
        play.call(Call(.postRun))
        #expect(play.wrong == ["job 7: slurm_bb_post_run is called, and its script still runs"])
    }

    @Test func setupNeedsAJobThatWaitsAndNoBuffer() {
        var play = Play()
        play.become(.running)
        play.call(Call(.setup))
        #expect(play.wrong == ["job 7: slurm_bb_setup is called, and it is RUNNING, not PENDING"])
        play = Play()
        play.run()
        play.call(Call(.setup))
        #expect(
            play.wrong == [
                "job 7: slurm_bb_setup is called, and its buffer of before is not torn down: last was slurm_bb_pre_run"
            ])
    }

    @Test func restartsBeginStagesAgain() {
        var play = Play()
        play.run()
        play.become(.completed)
        play.call(Call(.postRun), Call(.dataOut, nil))
        play.order.restarted()
        play.call(Call(.postRun), Call(.dataOut), Call(.testDataOut), Call(.jobTeardown, nil))
        play.order.restarted()
        play.call(Call(.jobTeardown))
        #expect(play.wrong == [])
        // Only after a restart.
        play = Play()
        play.run()
        play.become(.completed)
        play.call(Call(.postRun), Call(.dataOut), Call(.postRun))
        #expect(play.wrong.count == 1)
    }

    @Test func callsEndOnce() {
        var play = Play()
        play.become(.pending)
        play.call(Call(.setup))
        play.end("success")
        play.end("success", number: 99)
        play.call(Call(.dataIn, nil))
        play.end("asleep")
        play.call(Call(.testDataIn, nil))
        play.end("success", job: 8)
        #expect(
            play.wrong.prefix(3) == [
                "call 1 ends, and it is not under way", "call 99 ends, and it is not under way",
                "call 2 ends with the outcome \"asleep\", which is none",
            ])
        #expect(play.wrong.last == "call 3 ends for job 8, and it was made for job 7")
    }

    @Test func numbersGrow() {
        var play = Play()
        play.become(.pending)
        play.number = 5
        play.call(Call(.setup))
        play.number = 2
        play.call(Call(.dataIn))
        #expect(play.wrong == ["call 3 of slurm_bb_data_in: its number is not above 6, the last one"])
    }

    @Test func jobsWaitForCallsThatAreUnderWay() {
        var play = Play()
        play.become(.pending)
        play.call(Call(.setup, nil))
        play.become(.pending, .stagingIn(BufferWork.Step(.setup, call: CallID(1))))
        #expect(play.wrong == [])
        play.become(.pending, .stagingIn(BufferWork.Step(.setup, call: CallID(2))))
        #expect(play.wrong == ["job 7: it waits for call 2, which is not under way for it"])
    }

    @Test func jobsAreNotForgottenTooEarly() {
        var play = Play()
        play.become(.pending)
        play.call(Call(.setup))
        #expect(play.order.feed([.forget(7)]) == ["job 7 is forgotten, and its buffer is not torn down"])
        #expect(play.order.feed([.forget(7)]) == ["job 7 is forgotten, and nobody knew it"])
        play.call(Call(.setup, nil))
        #expect(play.order.feed([.forget(7)]) == ["job 7 is forgotten, and call 2 has not ended"])
    }

    // MARK: A real engine

    /// Hooks that fail, hang and answer BUSY, cancels, requeues and crashes by chance: order and state are kept
    /// throughout.
    @Test(arguments: UInt64(1)...30)
    func aRealEngineKeepsOrder(seed: UInt64) {
        var chance = Chance(seed)
        let world = LifeCycleTests.world {
            $0.plugin?.tearsDownAfterFailure = seed % 3 == 0
            $0.plugin?.otherTimeout = 20
            $0.minJobAgeSeconds = 60
        }
        var order = CallOrder()
        var wrong: [String] = []
        var decisions = 0
        // A world that runs already: pools were asked for.
        order.restarted()
        var crashes = 0
        world.watch = { [unowned world] records, _ in
            decisions += 1
            if world.crashes != crashes { order.restarted() }
            crashes = world.crashes
            wrong += order.feed(records).map { "decision \(decisions): \($0)" }
        }
        world.hook = { call in
            guard call.function != .pools else { return LifeCycleTests.answer(call) }
            let isTest = call.function == .testDataIn || call.function == .testDataOut
            var plan = EngineWorld.HookPlan(milliseconds: Int64(chance.below(5000)))
            switch chance.below(20) {
            case 0: plan.end = .failure(status: 1, message: "no")
            case 1: plan.end = .timedOut
            case 2: plan.end = .broken("no such function")
            case 3...6 where isTest: plan.end = .success(message: "BUSY")
            default: plan.end = .success(message: call.function == .realSize ? "4100000000" : nil)
            }
            return plan
        }
        for _ in 0..<150 {
            switch chance.below(12) {
            case 0...2: world.submit(LifeCycleTests.order())
            case 3:
                let job = chance.below(20) + 1
                world.perform(
                    .cancel(.job(UInt32(job)), hurry: chance.below(2) == 0, signal: nil, batchOnly: false),
                    by: LifeCycleTests.root)
            case 4:
                world.perform(.requeue(.job(UInt32(chance.below(20) + 1)), hold: false), by: LifeCycleTests.root)
            case 5: world.perform(.release(.job(UInt32(chance.below(20) + 1))), by: LifeCycleTests.root)
            case 6:
                world.nextCrash = [.beforeRecords, .beforeEffects, .afterEffects(0)][Int(chance.below(3))]
                world.submit(LifeCycleTests.order())
            default: world.run(seconds: Int(chance.below(20)))
            }
            wrong += EngineChecks.faults(in: world.engine).map { "after decision \(decisions): \($0)" }
            if !wrong.isEmpty { break }
        }
        #expect(wrong == [])
        #expect(decisions > 100)
        #expect(crashes > 0)
    }
}

/// Chance that a seed repeats.
private struct Chance {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 }

    mutating func below(_ bound: UInt64) -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return (state >> 33) % bound
    }
}
