import BurstSteps
import BurstTestSupport
import Testing

/// The steps that tests of others script promise what the real ones do.
@Suite struct ScriptedTests {
    private func order(_ jobID: UInt32) -> StepOrder {
        StepOrder(
            jobID: jobID, uid: 1, gid: 1, userName: "a", workDir: "/", script: .text([]), stdout: "/dev/null",
            environment: [], folder: "/no/such")
    }

    @Test func aStepEndsOnceAndMayStartAgain() async throws {
        let steps = ScriptedSteps()
        steps.refuse(1, .tooMany(max: 1))
        #expect(throws: StepFault.tooMany(max: 1)) { try steps.start(order(1)) }
        try steps.start(order(1))
        #expect(throws: StepFault.isRunning(1)) { try steps.start(order(1)) }
        steps.signal(jobID: 1, .kill)
        steps.signal(jobID: 2, .kill)
        #expect(steps.signals == [ScriptedSteps.Sent(1, .kill)])
        #expect(steps.end(1, .lost))
        #expect(!steps.end(1, .lost))
        try steps.start(order(1))
        steps.leave(3, .running)
        #expect(steps.adopt(jobID: 3, folder: "/no/such") == .running)
        #expect(steps.adopt(jobID: 4, folder: "/no/such") == .neverStarted)
        #expect(steps.running == [1, 3])
        steps.stop()
        #expect(throws: StepFault.stopped) { try steps.start(order(5)) }
        var ends: [StepEnding] = []
        for await ending in steps.endings { ends.append(ending) }
        #expect(ends == [StepEnding(jobID: 1, end: .lost)])
    }
}
