import BurstSteps
import BurstTestSupport
import Glibc
import Testing

/// The daemon dies, its steps do not (spec §7.3: a running job is untouched by a restart).
@Suite struct AdoptTests {
    private func probe(_ bench: Bench, _ script: String) throws -> PipedProgram {
        let owner = Bench.Owner.current
        let probe = try PipedProgram(
            [Programs.path(of: "steps-probe"), bench.folder.path, "\(owner.uid)", "\(owner.gid)", owner.name, script],
            environment: ["PATH": "/usr/bin:/bin"], keepsInput: true)
        #expect(probe.wait { $0.lines == ["started"] })
        return probe
    }

    @Test func aStepOutlivesTheDaemonAndIsTakenOver() async throws {
        let bench = try Bench()
        let probe = try probe(
            bench, "#!/bin/sh\necho ready\nuntil [ -e \(bench.folder("home/go")) ]; do sleep 0.05; done\nexit 9\n")
        #expect(await bench.said("ready"))
        kill(-probe.pid, SIGKILL)
        #expect(probe.waitForEnd().end == .killed(signal: SIGKILL))
        #expect(bench.marked().count >= 1)
        #expect(bench.runner.adopt(jobID: 1, folder: bench.folder("jobs/1")) == .running)
        // Once more says the same.
        #expect(bench.runner.adopt(jobID: 1, folder: bench.folder("jobs/1")) == .running)
        bench.folder.write("", to: "home/go")
        #expect(await bench.end()?.text == "9:0")
        #expect(bench.marked() == [])
    }

    @Test func anAdoptedStepObeys() async throws {
        let bench = try Bench()
        let probe = try probe(bench, "#!/bin/sh\necho ready\nsleep 60\n")
        #expect(await bench.said("ready"))
        kill(-probe.pid, SIGKILL)
        #expect(probe.waitForEnd().end == .killed(signal: SIGKILL))
        #expect(bench.runner.adopt(jobID: 1, folder: bench.folder("jobs/1")) == .running)
        bench.runner.signal(jobID: 1, .end(notice: nil))
        #expect(await bench.end()?.text == "0:15")
        #expect(bench.marked() == [])
    }

    @Test func aStepThatEndedMeanwhileHasSaidHow() async throws {
        let bench = try Bench()
        let probe = try probe(
            bench, "#!/bin/sh\nuntil [ -e \(bench.folder("home/go")) ]; do sleep 0.05; done\nexit 9\n")
        kill(-probe.pid, SIGKILL)
        #expect(probe.waitForEnd().end == .killed(signal: SIGKILL))
        bench.folder.write("", to: "home/go")
        #expect(await eventually { bench.folder.text(of: "jobs/1/step").contains("\nended=") })
        guard case .ended(.ended(let result)) = bench.runner.adopt(jobID: 1, folder: bench.folder("jobs/1")) else {
            Issue.record("it has not ended")
            return
        }
        #expect(result.exitCode == 9)
        #expect(bench.all(1) == [])
    }

    /// Whatever the moment of the daemon's death: the step is running, or has ended, or never will start.
    @Test(arguments: 0..<12) func noMomentIsBad(moment: Int) async throws {
        let bench = try Bench()
        let owner = Bench.Owner.current
        let probe = try PipedProgram(
            [
                Programs.path(of: "steps-probe"), bench.folder.path, "\(owner.uid)", "\(owner.gid)", owner.name,
                "#!/bin/sh\necho ran\n",
            ], environment: ["PATH": "/usr/bin:/bin"], keepsInput: true)
        probe.wait(seconds: Double(moment) * 0.001) { _ in false }
        if moment > 8 { #expect(await eventually { bench.folder.exists("jobs/1/step") }) }
        kill(-probe.pid, SIGKILL)
        #expect(probe.waitForEnd().end == .killed(signal: SIGKILL))
        switch bench.runner.adopt(jobID: 1, folder: bench.folder("jobs/1")) {
        case .neverStarted:
            // It must stay so.
            await letTimePass(milliseconds: 50)
            #expect(!bench.folder.exists("home/1.out"))
            #expect(try await bench.run("#!/bin/sh\nexit 0\n")?.text == "0:0")
        case .running: #expect(await bench.end()?.text == "0:0")
        case .ended(let end): #expect(end.text == "0:0")
        }
        #expect(bench.marked() == [])
    }

    @Test func aStepWhoseKeeperWasKilledIsLostAndGone() async throws {
        let bench = try Bench()
        try bench.runner.start(bench.order("#!/bin/bash\nsetsid sleep 60 &\nbash -c 'sleep 61' &\necho ready\nwait\n"))
        #expect(await bench.said("ready"))
        kill(try #require(bench.keeper()), SIGKILL)
        #expect(await bench.end() == .lost)
        #expect(bench.marked() == [])
        bench.forget(1)
        #expect(bench.runner.adopt(jobID: 1, folder: bench.folder("jobs/1")) == .ended(.lost))
        #expect(try await bench.run("#!/bin/sh\nexit 0\n")?.text == "0:0")
    }

    @Test func aNumberThatPassedToAStrangerIsNotTaken() async throws {
        let bench = try Bench()
        bench.folder.makeFolder("jobs/1")
        let boot = String(decoding: Fixtures.bytes(of: "/proc/sys/kernel/random/boot_id"), as: UTF8.self)
        let keeper = "end\0\nversion=1\npid=\(getpid())\nstart=1\nboot=\(boot)end\n"
        bench.folder.write(keeper, to: "jobs/1/step")
        #expect(bench.runner.adopt(jobID: 1, folder: bench.folder("jobs/1")) == .ended(.lost))
        #expect(bench.runner.adopt(jobID: 2, folder: bench.folder("jobs/2")) == .neverStarted)
        // A half written last word is none.
        bench.folder.write(keeper + "\nversion=1\nstatus=0\nstarted=1\n", to: "jobs/1/step")
        #expect(bench.runner.adopt(jobID: 1, folder: bench.folder("jobs/1")) == .ended(.lost))
        // One behind a half written one counts.
        bench.folder.write(
            "end\0\nversion=1\npi\nversion=1\nstatus=768\nstarted=1\nended=2\nend\n", to: "jobs/1/step")
        #expect(
            bench.runner.adopt(jobID: 1, folder: bench.folder("jobs/1"))
                == .ended(.ended(StepResult(exitCode: 3, signal: 0, startedAt: 1, endedAt: 2))))
    }

    /// After a power cut neither the order nor who took it up need be there: the script may have run.
    @Test func whatIsMissingAfterThePowerWasCutIsLost() async throws {
        let bench = try Bench()
        #expect(try await bench.run("#!/bin/sh\nexit 0\n")?.text == "0:0")
        let boot = Fixtures.bytes(of: "/proc/sys/kernel/random/boot_id")
        #expect(bench.folder.text(of: "spool/boot") == String(decoding: boot, as: UTF8.self))
        bench.folder.write("another\n", to: "spool/boot")
        func next() throws -> ProcessSteps {
            try ProcessSteps(program: Programs.path(of: "burst-stepd"), spool: bench.folder("spool"))
        }
        bench.folder.makeFolder("jobs/3")
        bench.folder.write("uid=1\0end\0", to: "jobs/3/step")
        let first = try next()
        #expect(first.adopt(jobID: 2, folder: bench.folder("jobs/2")) == .ended(.lost))
        #expect(first.adopt(jobID: 3, folder: bench.folder("jobs/3")) == .ended(.lost))
        // What was said stays true.
        #expect(first.adopt(jobID: 1, folder: bench.folder("jobs/1")).text == "0:0")
        first.stop()
        // A later life of this boot, in which another step was started, hears the same of them.
        bench.forget(1)
        bench.folder.write(String(decoding: boot, as: UTF8.self), to: "spool/boot")
        let second = try next()
        #expect(second.adopt(jobID: 2, folder: bench.folder("jobs/2")) == .ended(.lost))
        #expect(second.adopt(jobID: 3, folder: bench.folder("jobs/3")) == .ended(.lost))
        #expect(second.adopt(jobID: 4, folder: bench.folder("jobs/4")) == .neverStarted)
        second.stop()
    }

    @Test func stoppingLeavesStepsAlone() async throws {
        let bench = try Bench()
        try bench.runner.start(bench.order("#!/bin/sh\necho ready\nuntil [ -e go ]; do sleep 0.05; done\nexit 2\n"))
        #expect(await bench.said("ready"))
        bench.runner.stop()
        let next = try ProcessSteps(program: Programs.path(of: "burst-stepd"), spool: bench.folder("spool"))
        #expect(next.adopt(jobID: 1, folder: bench.folder("jobs/1")) == .running)
        bench.folder.write("", to: "home/go")
        var endings = next.endings.makeAsyncIterator()
        let ending = await endings.next()
        #expect(ending?.jobID == 1 && ending?.end.text == "2:0")
        next.stop()
        #expect(await endings.next() == nil)
    }
}

extension Adopted {
    fileprivate var text: String {
        if case .ended(let end) = self { end.text } else { "\(self)" }
    }
}
