import BurstSteps
import BurstTestSupport
import Glibc
import Testing

/// How scripts end, and what is left of them.
@Suite struct EndTests {
    @Test(arguments: [
        ("exit 0", "0:0"), ("exit 3", "3:0"), ("exit 255", "255:0"), ("kill -9 $$", "0:9"), ("kill -TERM $$", "0:15"),
        ("sh -c 'kill -9 $$'", "137:0"), ("", "0:0"),
    ]) func itsEndIsTheScripts(body: String, end: String) async throws {
        let bench = try Bench()
        #expect(try await bench.run("#!/bin/sh\n\(body)\n")?.text == end)
        #expect(bench.marked() == [])
        #expect(!bench.folder.exists("spool/job00001"))
    }

    @Test func timesAreTaken() async throws {
        let bench = try Bench()
        let before = now()
        guard case .ended(let result) = try await bench.run("#!/bin/sh\nsleep 0.2\n") else {
            Issue.record("it did not end")
            return
        }
        #expect(before <= result.startedAt && result.endedAt <= now())
        #expect(result.endedAt - result.startedAt >= 200_000)
        #expect(result.note == nil)
    }

    @Test func theScriptSeesWhatSlurmShowsIt() async throws {
        let bench = try Bench()
        let script = """
            #!/bin/sh
            echo "$0|$*|$(pwd)|$(umask)|$(id -u)|$(id -g)|$A|$SLURM_TASK_PID=$$"
            ls -l /proc/self/fd > files; grep -c -- '->' files
            grep Sig[BI] /proc/self/status
            ps -o pgid= -p $$ | tr -d ' '
            cat "$0" | wc -l
            cat
            """
        bench.folder.write("from standard input\n", to: "home/in")
        var order = bench.order(script + "\n")
        order.arguments = ["one", "two words", ""]
        order.environment += ["A=x\ny=z"]
        order.umask = 0o027
        order.stdin = bench.folder("home/in")
        #expect(try await bench.run(order)?.text == "0:0")
        let lines = bench.output().split(separator: "\n")
        let owner = Bench.Owner.current
        try #require(lines.count == 8)
        let path = bench.folder("spool/job00001/slurm_script")
        #expect(
            lines[0] + "\n" + lines[1].prefix { $0 != "=" }
                == "\(path)|one two words |\(bench.folder("home"))|0027|\(owner.uid)|\(owner.gid)|x\ny")
        let pids = lines[1].split(separator: "|")[1].split(separator: "=")
        #expect(pids[0] == pids[1])
        // 0, 1, 2, and the folder that ls reads.
        #expect(lines[2] == "4")
        #expect(lines[3].hasSuffix("0000000000000000") && lines[4].hasSuffix("0000000000000000"))
        #expect(lines[5] == pids[0])
        #expect(lines[6] == "7")
        #expect(lines[7] == "from standard input")
    }

    @Test func aStoredScriptLosesTheByteThatSlurmctldAdds() async throws {
        let bench = try Bench()
        bench.folder.write(Array("#!/bin/sh\necho hello\n".utf8) + [0], to: "jobs/script", mode: 0o600)
        var order = bench.order("")
        order.script = .file(bench.folder("jobs/script"))
        #expect(try await bench.run(order)?.text == "0:0")
        #expect(bench.output() == "hello\n")
    }

    @Test func whatItLeavesBehindGoesWithIt() async throws {
        let bench = try Bench()
        let end = try await bench.run(
            """
            #!/bin/bash
            sleep 300 &
            setsid sleep 301 &
            (setsid sh -c 'sleep 302 & sleep 303 & exit 0' > /dev/null 2>&1 < /dev/null & exit 0)
            setsid sh -c 'trap "" TERM HUP; echo deaf; while :; do sleep 304; done' &
            until grep -q deaf \(bench.folder("home/1.out")); do sleep 0.01; done
            exit 5

            """)
        #expect(end?.text == "5:0")
        #expect(bench.marked() == [])
    }

    @Test func aFloodOfProcessesIsStemmed() async throws {
        let bench = try Bench()
        var order = bench.order(
            """
            #!/bin/bash
            trap '' TERM
            breed() { trap '' TERM; while :; do sleep 0.05; (setsid bash -c 'trap "" TERM; sleep 60' &) ; done; }
            breed & breed & breed &
            echo breeding
            wait

            """)
        order.killWaitSeconds = 0
        try bench.runner.start(order)
        #expect(await bench.said("breeding"))
        #expect(await eventually { bench.marked().count > 20 })
        bench.runner.signal(jobID: 1, .end(notice: nil))
        #expect(await bench.end()?.text == "0:9")
        #expect(bench.marked() == [])
    }

    @Test func aMissingInterpreterIsSaid() async throws {
        let bench = try Bench()
        #expect(try await bench.run("#!/no/such/interpreter\n")?.text == "2:0")
        #expect(
            bench.output()
                == "slurmstepd: error: execve(): bad interpreter(/no/such/interpreter): No such file or directory\n")
        bench.forget(1)
        #expect(try await bench.run("echo no first line\n")?.text == "8:0")
        #expect(bench.output().contains("Exec format error"))
    }

    @Test func twoHundredAtOnce() async throws {
        let bench = try Bench()
        for jobID in 1...200 as ClosedRange<UInt32> {
            try bench.runner.start(
                bench.order("#!/bin/sh\nread line < \(bench.folder("home/gate"))\nexit \(jobID % 7)\n", jobID: jobID))
            if jobID == 1 { #expect(mkfifo(bench.folder("home/gate"), 0o666) == 0) }
        }
        chmod(bench.folder("home/gate"), 0o666)
        #expect(await eventually { bench.marked().count >= 1 })
        // Whoever opens the gate before or after: a writer that stays lets all of them in.
        let gate = open(bench.folder("home/gate"), O_RDWR | O_CLOEXEC)
        let lines = [UInt8](repeating: 10, count: 200)
        #expect(write(gate, lines, 200) == 200)
        for jobID in 1...200 as ClosedRange<UInt32> {
            #expect(await bench.end(jobID, seconds: 60)?.text == "\(jobID % 7):0")
        }
        close(gate)
        #expect(bench.marked() == [])
    }

    private func now() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000
    }
}
