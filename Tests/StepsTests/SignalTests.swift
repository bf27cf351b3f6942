import BurstSteps
import BurstTestSupport
import Glibc
import Testing

/// What can be done to a running step.
@Suite struct SignalTests {
    @Test func anEndIsAskedForBeforeItIsForced() async throws {
        let bench = try Bench()
        try bench.runner.start(
            bench.order(
                """
                #!/bin/bash
                trap 'echo got term; exit 7' TERM
                echo ready
                sleep 60 & wait

                """))
        #expect(await bench.said("ready"))
        bench.runner.signal(jobID: 1, .end(notice: "*** JOB 1 ON node1 CANCELLED AT 2026-11-24T02:04:06 ***"))
        #expect(await bench.end()?.text == "7:0")
        #expect(
            bench.output()
                == "ready\nslurmstepd: error: *** JOB 1 ON node1 CANCELLED AT 2026-11-24T02:04:06 ***\ngot term\n")
        #expect(bench.marked() == [])
    }

    @Test func whatIgnoresTermIsKilledAfterKillWait() async throws {
        let bench = try Bench()
        try bench.runner.start(
            bench.order("#!/bin/bash\ntrap '' TERM\necho ready\nwhile :; do sleep 60; done\n"))
        #expect(await bench.said("ready"))
        let clock = ContinuousClock()
        let began = clock.now
        bench.runner.signal(jobID: 1, .end(notice: nil))
        #expect(await bench.end()?.text == "0:9")
        #expect(clock.now - began >= .milliseconds(950))
        #expect(bench.marked() == [])
    }

    /// A signal that comes before burst-stepd has got so far must neither kill it nor be lost.
    @Test func anEndCanBeAskedForAtOnce() async throws {
        let bench = try Bench()
        for jobID in 1...20 as ClosedRange<UInt32> {
            try bench.runner.start(bench.order("#!/bin/sh\nsleep 60\n", jobID: jobID))
            bench.runner.signal(jobID: jobID, .end(notice: nil))
        }
        for jobID in 1...20 as ClosedRange<UInt32> {
            #expect(await bench.end(jobID)?.text == "0:15")
        }
        #expect(bench.marked() == [])
    }

    @Test func aKillWaitsForNothing() async throws {
        let bench = try Bench()
        var order = bench.order("#!/bin/bash\ntrap '' TERM\necho ready\nsetsid sleep 60\n")
        order.killWaitSeconds = 1000
        try bench.runner.start(order)
        #expect(await bench.said("ready"))
        bench.runner.signal(jobID: 1, .kill)
        #expect(await bench.end()?.text == "0:9")
        #expect(bench.marked() == [])
    }

    @Test func aSuspendedStepStandsStillUntilItIsResumed() async throws {
        let bench = try Bench()
        try bench.runner.start(
            bench.order(
                """
                #!/bin/bash
                trap '' TSTP
                echo ready
                setsid sh -c 'while [ ! -e go ]; do sleep 0.05; done; echo gone' &
                wait
                exit 4

                """))
        #expect(await bench.said("ready"))
        bench.runner.signal(jobID: 1, .suspend)
        // One that is deaf to TSTP gets STOP.
        #expect(
            await eventually {
                let all = bench.marked(); return all.count >= 2 && all.allSatisfy { Processes.state(of: $0) == "T" }
            })
        bench.folder.write("", to: "home/go")
        await letTimePass(milliseconds: 300)
        #expect(bench.output() == "ready\n")
        bench.runner.signal(jobID: 1, .resume)
        #expect(await bench.end()?.text == "4:0")
        #expect(bench.output() == "ready\ngone\n")
    }

    @Test func aSuspendedStepCanBeEnded() async throws {
        let bench = try Bench()
        try bench.runner.start(bench.order("#!/bin/bash\necho ready\nsleep 60\n"))
        #expect(await bench.said("ready"))
        bench.runner.signal(jobID: 1, .suspend)
        #expect(
            await eventually {
                let all = bench.marked(); return !all.isEmpty && all.allSatisfy { Processes.state(of: $0) == "T" }
            })
        bench.runner.signal(jobID: 1, .end(notice: nil))
        #expect(await bench.end()?.text == "0:15")
        #expect(bench.marked() == [])
    }

    @Test func anySignalReachesTheScriptOrAll() async throws {
        let bench = try Bench()
        try bench.runner.start(
            bench.order(
                """
                #!/bin/bash
                trap 'echo script one' USR1
                trap 'echo script two; kill $child; exit 0' USR2
                bash -c 'trap "echo child one" USR1; trap "echo child two" USR2; echo ready
                while :; do sleep 0.05; done' &
                child=$!
                while :; do wait; done

                """))
        #expect(await bench.said("ready"))
        bench.runner.signal(jobID: 1, .script(SIGUSR1))
        #expect(await bench.said("script one"))
        #expect(!bench.output().contains("child"))
        bench.runner.signal(jobID: 1, .all(SIGUSR2))
        #expect(await bench.said("script two"))
        // Numbers that are no signal are nothing.
        bench.runner.signal(jobID: 1, .all(0))
        bench.runner.signal(jobID: 1, .all(4711))
        bench.runner.signal(jobID: 9, .kill)
        #expect(await bench.end()?.text == "0:0")
    }
}
