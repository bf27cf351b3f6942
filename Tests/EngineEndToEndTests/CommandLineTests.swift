import BurstClient
import BurstTestSupport
import BurstWire
import Glibc
import Testing

/// The command line of users against a real burstd, from submission to the end of the data.
@Suite(.onWorkers, .serialized) struct CommandLineTests {
    /// Each hook waits as long as a file of its name is there.
    static let script = """
        local function exists(path)
            local file = io.open(path, "r")
            if file then file:close() end
            return file ~= nil
        end
        local function hook(name)
            return function()
                while exists("DATA/gate." .. name) do os.execute("sleep 0.05") end
                return slurm.SUCCESS
            end
        end
        slurm_bb_setup, slurm_bb_data_in, slurm_bb_test_data_in = hook("setup"), hook("data_in"), hook("test_data_in")
        slurm_bb_pre_run, slurm_bb_post_run = hook("pre_run"), hook("post_run")
        slurm_bb_data_out, slurm_bb_test_data_out = hook("data_out"), hook("test_data_out")
        slurm_bb_job_teardown = hook("teardown")
        function slurm_bb_job_process() return slurm.SUCCESS end
        function slurm_bb_real_size() return slurm.SUCCESS, "" end
        function slurm_bb_get_status() return slurm.SUCCESS, "all well" end
        function slurm_bb_paths(job, script, path)
            local file = io.open(path, "w")
            file:write("BB_DIR=/mnt/" .. job .. "\\n")
            file:close()
            return slurm.SUCCESS
        end
        function slurm_bb_pools()
            return slurm.SUCCESS, '{"pools":[{"id":"nvme","quantity":1000,"granularity":1048576}]}'
        end

        """

    static let quick = "#!/bin/sh\n#BB_LUA pool=nvme capacity=1MiB\n"
    static let long = quick + "sleep 600\n"

    /// A burstd that runs, with gates.
    private func started(_ conf: [String] = []) throws -> BurstdRig {
        let rig = try BurstdRig(script: "", conf: conf)
        rig.folder.write(Self.script.replacing("DATA", with: rig.folder("data")), to: "conf/burst_buffer.lua")
        try rig.start()
        return rig
    }

    private func close(_ gate: String, _ rig: BurstdRig) { rig.folder.write("", to: "data/gate." + gate) }
    private func open(_ gate: String, _ rig: BurstdRig) { rig.folder.remove("data/gate." + gate) }

    /// Ends it in order: nothing is left.
    private func finish(_ rig: BurstdRig) throws {
        #expect(try rig.run(["burst", "fsck"]).text == "")
        #expect(try rig.end(SIGTERM).end == .exited(0))
        #expect(rig.marked() == [])
    }

    @Test func aUserRunsAJobAndSeesWhatItPrints() throws {
        let rig = try started()
        let alice = try BurstdRig.user("bbalice")
        let gate = "while [ ! -e \(rig.folder("data/go")) ]; do sleep 0.05; done"
        rig.folder.write(
            Self.quick + "echo out $BB_DIR; echo err >&2; id -un; \(gate); echo later; exit 7\n", to: "data/job.sh")
        let program = try rig.begin(["burst", "run", rig.folder("data/job.sh")], as: alice)
        // It comes as it is printed, not at the end.
        #expect(program.wait(seconds: 60) { $0.lines.contains("bbalice") || $0.end != nil })
        #expect(program.end == nil)
        #expect(!program.lines.contains("later"))
        rig.folder.write("", to: "data/go")
        let result = program.waitForEnd(seconds: 60)
        #expect(result.end == .exited(7))
        #expect(try rig.run(["burst", "show", "job"]).text.contains("SubmitLine=burst run /"))
        let lines = result.text.split(separator: "\n").map(String.init)
        #expect(lines.first?.hasPrefix("out /mnt/") == true)
        #expect(lines.dropFirst() == ["err", "bbalice", "later"])
        let job = try #require(UInt32(result.errorLines.first?.filter(\.isNumber) ?? ""))
        #expect(try rig.job(job)["BurstBufferState"] == "complete")
        let history = try rig.run(["burst", "history", "\(job)"], as: alice).text
        for state in ["submit", "staging-in", "staged-in", "pre-run", "running", "post-run", "staging-out", "complete"]
        {
            #expect(history.contains(state), "\(state) in \(history)")
        }
        try finish(rig)
    }

    /// Where the job is when it is cancelled: the gate that is closed, the state that it waits for, with --hurry or
    /// without, the functions that are called from then on.
    static let stages: [(gate: String, state: String, hurry: Bool, then: [String])] = [
        ("setup", "staging-in", false, ["job_teardown"]),
        ("data_in", "staging-in", true, ["job_teardown"]),
        ("pre_run", "pre-run", false, ["job_teardown"]),
        ("", "running", false, ["post_run", "data_out", "test_data_out", "job_teardown"]),
        ("", "running", true, ["job_teardown"]),
        ("post_run", "post-run", false, ["data_out", "test_data_out", "job_teardown"]),
        ("data_out", "staging-out", true, ["job_teardown"]),
        ("teardown", "teardown", true, []),
    ]

    @Test func jobsAreCancelledInEachStage() throws {
        let rig = try started()
        let alice = try BurstdRig.user("bbalice")
        let bob = try BurstdRig.user("bbbob")
        for stage in Self.stages {
            let what = "\(stage.state) \(stage.gate) hurry \(stage.hurry)"
            if !stage.gate.isEmpty { close(stage.gate, rig) }
            let job = try rig.submit(stage.state == "running" ? Self.long : Self.quick, as: alice, ["-o", "/dev/null"])
            #expect(try rig.waits(for: job, "BurstBufferState", stage.state), "\(what)")
            // The call of the gate has begun.
            if !stage.gate.isEmpty {
                let name = "slurm_bb_" + (stage.gate == "teardown" ? "job_teardown" : stage.gate)
                #expect(
                    try Wait.until(seconds: 60, every: 0.05) {
                        try rig.run(["burst", "trace", "\(job)"]).text.contains(name)
                    })
            }
            let before = try functions(job, rig).count
            // Another user may not; nothing changes by it.
            let refused = try rig.run(["scancel", "\(job)"], as: bob)
            #expect(refused.end == .exited(210), "\(what)")
            #expect(
                refused.errorLines
                    == ["scancel: error: Kill job error on job id \(job): Access/permission denied"], "\(what)")
            #expect(try rig.job(job)["BurstBufferState"] == stage.state, "\(what)")
            let words = ["scancel"] + (stage.hurry ? ["--hurry"] : []) + ["\(job)"]
            #expect(try rig.run(words, as: alice).end == .exited(0), "\(what)")
            if !stage.gate.isEmpty { open(stage.gate, rig) }
            #expect(try rig.waits(for: job, "BurstBufferState", "complete"), "\(what)")
            #expect(try Array(functions(job, rig).dropFirst(before)) == stage.then, "\(what)")
            let ranBefore = ["post-run", "staging-out", "teardown"].contains(stage.state)
            #expect(try rig.job(job)["JobState"] == (ranBefore ? "COMPLETED" : "CANCELLED"), "\(what)")
        }
        #expect(try BurstdRig.isUnused(rig.run(["burst", "show", "burst"]).text))
        try finish(rig)
    }

    /// The functions that were called for a job, without their prefix.
    private func functions(_ job: UInt32, _ rig: BurstdRig) throws -> [String] {
        try rig.run(["burst", "trace", "\(job)"]).text.matches(of: /slurm_bb_([a-z_]+)\(/).map { String($0.1) }
    }

    @Test func jobsAreHeldReleasedAndRequeued() throws {
        let rig = try started()
        let alice = try BurstdRig.user("bbalice")
        let job = try rig.submit(Self.long, as: alice, ["-H", "-o", "/dev/null"])
        #expect(try rig.job(job)["Reason"] == "JobHeldUser")
        #expect(try rig.run(["burst", "release", "\(job)"], as: alice).end == .exited(0))
        #expect(try rig.waits(for: job, "JobState", "RUNNING"))
        #expect(try rig.run(["burst", "requeue", "\(job)"], as: alice).end == .exited(0))
        #expect(try rig.waits(for: job, "JobState", "PENDING"))
        #expect(try rig.run(["burst", "hold", "\(job)"], as: alice).end == .exited(0))
        #expect(try rig.run(["scontrol", "update", "JobId=\(job)", "StartTime=now"], as: alice).end == .exited(0))
        #expect(try rig.job(job)["Reason"] == "JobHeldUser")
        #expect(try rig.run(["burst", "release", "\(job)"], as: alice).end == .exited(0))
        #expect(try rig.waits(for: job, "JobState", "RUNNING"))
        #expect(try rig.job(job)["Restarts"] == "1")
        #expect(try rig.run(["burst", "cancel", "\(job)"], as: alice).end == .exited(0))
        #expect(try rig.waits(for: job, "BurstBufferState", "complete"))
        try finish(rig)
    }

    @Test func traceFollows() throws {
        let rig = try started()
        let trace = try rig.begin(["burst", "trace", "--follow"])
        // It is there before the job is: it has told of the pools.
        #expect(trace.wait(seconds: 60) { $0.lines.contains { $0.contains("slurm_bb_pools") } })
        let job = try rig.submit(Self.quick, ["-o", "/dev/null"])
        #expect(
            trace.wait(seconds: 60) { $0.lines.contains { $0.contains("job_teardown") && $0.contains("job \(job) ") } })
        let told = trace.lines.filter { $0.contains("job \(job) ") }.flatMap { line in
            line.matches(of: /slurm_bb_([a-z_]+)\(/).map { String($0.1) }
        }
        let chain = [
            "job_process", "setup", "data_in", "test_data_in", "real_size", "paths", "pre_run", "post_run", "data_out",
            "test_data_out", "job_teardown",
        ]
        #expect(told == chain, "\(trace.lines)")
        trace.signal(SIGTERM)
        _ = trace.waitForEnd(seconds: 60)
        try finish(rig)
    }

    @Test func aWrongConfigurationIsRefusedAndTheOldOneStays() throws {
        let rig = try started()
        let before = try rig.run(["burst", "show", "burst"]).text
        rig.folder.write("StageInTimeout=5\nStageOutTimeout=soon\n", to: "conf/burst_buffer.conf")
        let refused = try rig.run(["burst", "reconfigure"])
        #expect(refused.end == .exited(1))
        #expect(refused.errorLines.count == 1)
        #expect(refused.errorText.contains(rig.folder("conf/burst_buffer.conf") + ":2: "))
        #expect(try rig.run(["burst", "show", "burst"]).text == before)
        let bob = try BurstdRig.user("bbbob")
        #expect(try rig.run(["burst", "reconfigure"], as: bob).end == .exited(1))
        // A script that cannot be loaded.
        rig.folder.write("StageInTimeout=5\n", to: "conf/burst_buffer.conf")
        let script = rig.folder.text(of: "conf/burst_buffer.lua")
        rig.folder.write("function slurm_bb_setup(\n", to: "conf/burst_buffer.lua")
        let broken = try rig.run(["burst", "reconfigure"])
        #expect(broken.end == .exited(1))
        #expect(broken.errorText.contains("burst_buffer.lua"))
        #expect(try rig.run(["burst", "show", "burst"]).text == before)
        rig.folder.write(script, to: "conf/burst_buffer.lua")
        #expect(try rig.run(["burst", "reconfigure"]).end == .exited(0))
        #expect(try rig.run(["burst", "show", "burst"]).text.contains("StageInTimeout=5"))
        try finish(rig)
    }

    @Test func aSecondDaemonIsRefused() throws {
        let rig = try started()
        for more in [[], ["--socket", rig.folder("other.sock")]] {
            let second = try rig.refusedStart(more)
            #expect(second.end == .exited(1))
            #expect(second.errorLines.count == 1)
        }
        #expect(try rig.run(["burst", "show", "burst"]).end == .exited(0))
        try finish(rig)
    }

    @Test func aFullDiskLosesNothing() throws {
        let rig = try BurstdRig(script: "")
        rig.folder.write(Self.script.replacing("DATA", with: rig.folder("data")), to: "conf/burst_buffer.lua")
        rig.folder.makeFolder("state")
        let mounted = try PipedProgram.run(
            ["/bin/mount", "-t", "tmpfs", "-o", "size=4m,mode=755", "tmpfs", rig.state], environment: ["PATH": "/bin"])
        try #require(mounted.end == .exited(0), "\(mounted.errorText)")
        defer { _ = try? PipedProgram.run(["/bin/umount", "-l", rig.state], environment: ["PATH": "/bin"]) }
        try rig.start()
        close("data_in", rig)
        let waiting = try rig.submit(Self.quick, ["-o", "/dev/null"])
        let running = try rig.submit("#!/bin/sh\nexec sleep 600\n", ["-o", "/dev/null"])
        #expect(try rig.waits(for: waiting, "BurstBufferState", "staging-in"))
        #expect(try rig.waits(for: running, "JobState", "RUNNING"))
        // Nothing is left for anybody.
        let filler = try #require(fopen(rig.folder("state/filler"), "wb"))
        let piece = [UInt8](repeating: 1, count: 1 << 12)
        setvbuf(filler, nil, Int32(_IONBF), 0)
        while fwrite(piece, 1, piece.count, filler) == piece.count {}
        fclose(filler)
        rig.folder.write(Self.quick, to: "data/full.sh", mode: 0o755)
        var refusals = 0
        // Pages of the database that are free may take a few more.
        for _ in 0..<200 where refusals < 3 {
            let refused = try rig.run(["burst", "submit", "-o", "/dev/null", rig.folder("data/full.sh")])
            guard refused.end != .exited(0) else { continue }
            refusals += 1
            #expect(refused.end == .exited(1))
            #expect(refused.errorLines.count == 1, "\(refused.errorText)")
            #expect(refused.errorText.contains("burstd cannot write its state, so nothing was done"))
        }
        #expect(refusals == 3)
        // It still answers, and what goes on meanwhile is kept for later.
        open("data_in", rig)
        #expect(try rig.run(["burst", "show", "burst"]).text.contains("JobID=\(waiting)"))
        rig.folder.remove("state/filler")
        #expect(try rig.waits(for: waiting, "JobState", "COMPLETED"))
        let later = try rig.submit(Self.quick, ["-o", "/dev/null"])
        #expect(try rig.waits(for: later, "JobState", "COMPLETED"))
        #expect(try rig.run(["burst", "cancel", "\(running)"]).end == .exited(0))
        #expect(try rig.waits(for: running, "JobState", "CANCELLED"))
        #expect(
            try Wait.until(seconds: 60, every: 0.1) {
                try rig.run(["burst", "queue"]).text.split(separator: "\n").count == 1
            })
        // Killed hard: what it said is on the disk.
        try rig.end(SIGKILL)
        try rig.start()
        for id in [waiting, later] { #expect(try rig.job(id)["JobState"] == "COMPLETED") }
        #expect(try rig.job(running)["JobState"] == "CANCELLED")
        try finish(rig)
    }

    @Test func aThousandClientsWait() throws {
        let clients = 1000
        let rig = try started()
        let job = try rig.submit(
            "#!/bin/sh\nwhile [ ! -e \(rig.folder("data/go")) ]; do sleep 0.1; done; exit 3\n", ["-o", "/dev/null"])
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        limit.rlim_cur = min(limit.rlim_max, 8192)
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        var waiting: [(connection: BurstConnection, question: UInt64)] = []
        for _ in 0..<clients {
            let connection = try rig.connect()
            waiting.append((connection, try connection.send(.wait(job: job, untilStagedOut: true))))
        }
        let programs = try (0..<10).map { _ in try rig.begin(["burst", "wait", "\(job)"]) }
        #expect(try rig.waits(for: job, "JobState", "RUNNING"))
        let latencies = HookLoadTests.Latencies()
        for _ in 0..<50 { try latencies.measure { _ = try rig.job(job) } }
        print("show job beside \(clients) that wait: \(latencies.text)")
        let began = PseudoTerminal.now
        rig.folder.write("", to: "data/go")
        var told = 0
        for (connection, question) in waiting {
            while true {
                let message = try connection.next(seconds: 60)
                guard message.question == question, case .ended(_, let status, let state, _) = message.answer else {
                    continue
                }
                if status == 3 << 8, state == "FAILED" { told += 1 }
                break
            }
        }
        print("\(told) told within \(Double(PseudoTerminal.now - began) / 1e9) s of the job's going")
        #expect(told == clients)
        for program in programs { #expect(program.waitForEnd(seconds: 60).end == .exited(3)) }
        for (connection, _) in waiting { connection.close() }
        try finish(rig)
    }

    @Test func jobsGoOnWithoutTheDaemonAndAreTakenOverAgain() throws {
        let rig = try started()
        let alice = try BurstdRig.user("bbalice")
        let gate = rig.folder("data/go")
        let wait = Self.quick + "echo ran >>ran.$SLURM_JOB_ID\nwhile [ ! -e \(gate) ]; do sleep 0.1; done\nexit 5\n"
        let first = try rig.submit(wait, as: alice, ["-o", "/dev/null"])
        let second = try rig.submit(wait, as: alice, ["-o", "/dev/null"])
        for job in [first, second] { #expect(try rig.waits(for: job, "JobState", "RUNNING")) }
        // One ends while there is no burstd, the other after the next start.
        let end = rig.folder("data/end")
        let lone = try rig.submit(
            "#!/bin/sh\necho $$ >lone\nwhile [ ! -e \(end) ]; do sleep 0.1; done\nexit 6\n", as: alice,
            ["-o", "/dev/null"])
        #expect(try rig.waits(for: lone, "JobState", "RUNNING"))
        #expect(Wait.until { rig.folder.text(of: "data/lone").hasSuffix("\n") })
        let process = try #require(Int32(rig.folder.text(of: "data/lone").dropLast()))
        #expect(try rig.end(SIGTERM).end == .exited(0))
        let left = Set(rig.marked().map(Processes.name))
        #expect(left.contains("burst-stepd"))
        #expect(!left.contains("burst-scriptd"))
        rig.folder.write("", to: "data/end")
        #expect(Wait.until { Processes.text("/proc/\(process)/stat") == nil })
        try rig.start()
        #expect(try rig.waits(for: lone, "JobState", "FAILED"))
        #expect(try rig.job(lone)["ExitCode"] == "6:0")
        for job in [first, second] { #expect(try rig.job(job)["JobState"] == "RUNNING") }
        rig.folder.write("", to: "data/go")
        for job in [first, second] {
            #expect(try rig.waits(for: job, "JobState", "FAILED"))
            #expect(try rig.job(job)["ExitCode"] == "5:0")
            #expect(rig.folder.text(of: "data/ran.\(job)") == "ran\n")
        }
        try finish(rig)
    }
}
