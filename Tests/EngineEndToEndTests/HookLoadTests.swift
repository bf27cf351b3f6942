import BurstClient
import BurstTestSupport
import BurstWire
import Glibc
import Testing

/// Many hooks at once, and hooks that do what they should not, under a real burstd: it answers all the while.
@Suite(.onWorkers, .serialized) struct HookLoadTests {
    /// What a `show burst` may take at most, 99 of 100, milliseconds; on a machine that is quiet it is 50.
    static let answerMillisecondsMax = 500.0
    static let childrenMax = 512

    private static func script(_ dataIn: String) -> String {
        """
        local function ok() return slurm.SUCCESS end
        function slurm_bb_pools()
            return slurm.SUCCESS, '{"pools":[{"id":"nvme","quantity":100000,"granularity":1048576}]}'
        end
        slurm_bb_job_process, slurm_bb_setup, slurm_bb_test_data_in, slurm_bb_pre_run = ok, ok, ok, ok
        slurm_bb_paths, slurm_bb_post_run, slurm_bb_data_out, slurm_bb_test_data_out = ok, ok, ok, ok
        slurm_bb_job_teardown, slurm_bb_get_status = ok, ok
        function slurm_bb_real_size() return slurm.SUCCESS, "" end
        function slurm_bb_data_in(job, script)
        \(dataIn)
            return slurm.SUCCESS
        end

        """
    }

    /// Milliseconds that burstd took for its answers.
    final class Latencies {
        private var all: [Double] = []

        func measure(_ body: () throws -> Void) rethrows {
            let began = PseudoTerminal.now
            try body()
            all.append(Double(PseudoTerminal.now - began) / 1e6)
        }

        var count: Int { all.count }

        func part(_ share: Double) -> Double {
            let sorted = all.sorted()
            return sorted.isEmpty ? 0 : sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))]
        }

        var text: String {
            "\(count) answers, median \(part(0.5)) ms, 99 of 100 within \(part(0.99)) ms, longest \(part(1)) ms"
        }
    }

    private func show(_ connection: BurstConnection) throws -> String {
        let (answer, body) = try connection.ask(.show(.burst(oneLine: false, verbose: false)))
        guard case .body = answer else { throw HarnessError("show burst: \(answer)") }
        return String(decoding: body, as: UTF8.self)
    }

    @Test func sixHundredHooksAreFiveHundredAndTwelveChildrenAtMost() throws {
        let jobs = 600
        // Each waits in its own process until somebody writes to the pipe.
        let rig = try BurstdRig(
            script: Self.script("    local gate = io.open('GATE', 'r') gate:close()"), cpus: jobs)
        let gate = rig.folder("data/gate")
        mkfifo(gate, 0o666)
        rig.folder.write(
            rig.folder.text(of: "conf/burst_buffer.lua").replacing("GATE", with: gate), to: "conf/burst_buffer.lua")
        _ = try BurstdRig.user("bbalice")
        try rig.start()
        let connection = try rig.connect()
        var ids: [UInt32] = []
        let began = PseudoTerminal.now
        for _ in 0..<jobs {
            var submission = Submission(name: "many", workDir: rig.folder("data"))
            submission.stdOut = "/dev/null"
            submission.user = "bbalice"
            submission.environment = ["PATH=/usr/bin:/bin", rig.mark]
            let (answer, _) = try connection.ask(
                .submit(submission), body: Array("#!/bin/sh\n#BB_LUA pool=nvme capacity=1MiB\n".utf8))
            guard case .submitted(_, let job, _) = answer else { throw HarnessError("\(answer)") }
            ids.append(job)
        }
        print("\(jobs) submissions in \(Double(PseudoTerminal.now - began) / 1e9) s")
        let scriptd = try #require(rig.scriptd)
        var latencies = Latencies()
        var most = 0
        func look() throws {
            most = max(most, Processes.children(of: scriptd).count)
            try latencies.measure { _ = try show(connection) }
        }
        #expect(
            try Wait.until(seconds: 60, every: 0) {
                try look()
                return most == Self.childrenMax
            }, "at most \(most) at once")
        // The others wait: they do not start while these go on.
        for _ in 0..<100 { try look() }
        #expect(most == Self.childrenMax)
        print("show burst beside \(most) children: \(latencies.text)")
        #expect(latencies.part(0.99) < Self.answerMillisecondsMax)
        // Six hundred hooks end and as many scripts begin: it answers between them.
        latencies = Latencies()
        #expect(
            try Wait.until(seconds: 120, every: 0.02) {
                // Whoever waits at the pipe goes on when it is opened for writing.
                let writer = open(gate, O_WRONLY | O_NONBLOCK | O_CLOEXEC)
                if writer >= 0 { close(writer) }
                try look()
                return try BurstdRig.isUnused(show(connection))
            }, "not all ended")
        #expect(most == Self.childrenMax)
        print("show burst while all go on at once: \(latencies.text)")
        #expect(latencies.part(0.99) < Self.answerMillisecondsMax)
        #expect(latencies.part(1) < 4 * Self.answerMillisecondsMax)
        for id in ids { #expect(try rig.job(id)["JobState"] == "COMPLETED") }
        try rig.end(SIGTERM)
        #expect(rig.marked() == [])
    }

    /// What data_in does, and what the job's Reason says then.
    static let nasty: [(name: String, body: String, reason: String)] = [
        ("ignores TERM", "os.execute([[trap '' TERM; while :; do sleep 600; done]])", timeout),
        (
            "forks away",
            "os.execute([[setsid sh -c '(setsid sleep 600 &) & setsid sleep 600 &' & (sleep 600 &) ; sleep 600]])",
            timeout
        ),
        ("prints a GiB", "local x = ('x'):rep(1 << 20) for i = 1, 1024 do io.write(x) end while true do end", timeout),
        ("loops in C", "string.find(('a'):rep(60), ('a*'):rep(30) .. 'b')", timeout),
        (
            "eats memory", "local text = 'x' while true do text = text .. text end",
            "burst_buffer/lua:_JobHeldAdmin:_slurm_bb_data_in_failed:"
        ),
    ]
    static let timeout = "burst_buffer/lua:_JobHeldAdmin:_slurm_bb_data_in_failed:"

    @Test func nastyHooksEndAtTheirLimit() throws {
        let branches = Self.nasty.enumerated().map { index, nasty in
            "    if job % 10 == \(index) then \(nasty.body) end"
        }
        let rig = try BurstdRig(
            script: Self.script(branches.joined(separator: "\n")), buffers: ["StageInTimeout=6"])
        try rig.start()
        let connection = try rig.connect()
        var jobs: [UInt32: Int] = [:]
        while jobs.count < Self.nasty.count {
            let job = try rig.submit("#!/bin/sh\n#BB_LUA pool=nvme capacity=1MiB\n", ["-o", "/dev/null"])
            if Int(job % 10) < Self.nasty.count { jobs[job] = Int(job % 10) }
        }
        let latencies = Latencies()
        var ended: [UInt32: [String: String]] = [:]
        Wait.until(seconds: 90, every: 0.01) {
            try? latencies.measure { _ = try show(connection) }
            for id in jobs.keys where ended[id] == nil {
                if let job = try? rig.job(id), job["Reason"]?.hasPrefix("burst_buffer/lua:") == true { ended[id] = job }
            }
            return ended.count == jobs.count
        }
        for (id, index) in jobs {
            let nasty = Self.nasty[index]
            let job = ended[id] ?? [:]
            #expect(job["JobState"] == "PENDING", "\(nasty.name)")
            #expect(job["Reason"]?.hasPrefix(nasty.reason) == true, "\(nasty.name): \(job["Reason"] ?? "no end")")
            #expect(job["BurstBufferState"] == "staging-in", "\(nasty.name)")
        }
        print("show burst beside nasty hooks: \(latencies.text)")
        #expect(latencies.part(0.99) < Self.answerMillisecondsMax)
        // Nothing that they started is left, and others have their turn.
        let own = Set([rig.pid, rig.scriptd ?? 0])
        #expect(Wait.until(every: 0.1) { Set(rig.marked()).subtracting(own).isEmpty })
        let trace = try rig.run(["burst", "trace", "--last", "1000"]).text
        let dataIn = trace.split(separator: "\n").filter { $0.contains("slurm_bb_data_in") }.map { $0.prefix(400) }
        let ends = ["timeout", "failure"].map { end in dataIn.count { $0.contains("  \(end) ") } }
        // Two GiB may take longer than the time that it has.
        #expect(ends == [4, 1] || ends == [5, 0], "\(dataIn)")
        try rig.end(SIGTERM)
        #expect(rig.marked() == [])
    }

    @Test func anIdleDaemonIsIdle() throws {
        let rig = try BurstdRig(script: Self.script(""))
        try rig.start()
        let job = try rig.submit("#!/bin/sh\n#BB_LUA pool=nvme capacity=1MiB\n", ["-o", "/dev/null"])
        #expect(try rig.waits(for: job, "JobState", "COMPLETED"))
        let scriptd = try #require(rig.scriptd)
        let alone = share(rig, scriptd, seconds: Double(setting("BURST_IDLE_SECONDS", 30)))
        // Somebody who waits costs nothing, and who subscribes gets new texts, as their times go on.
        let watcher = try rig.connect()
        _ = try watcher.send(.subscribe(Subscription()))
        let held = try rig.submit("#!/bin/sh\n", ["-H", "-o", "/dev/null"])
        let waiter = try rig.connect()
        _ = try waiter.send(.wait(job: held, untilStagedOut: false))
        let watched = share(rig, scriptd, seconds: 10)
        print("idle: \(alone) % of a processor, with a subscriber \(watched) %")
        #expect(!rig.hasEnded)
        #expect(alone < 5)
        #expect(watched < 50)
        try rig.end(SIGTERM)
    }

    /// What burstd and burst-scriptd use of a processor, in hundredths.
    private func share(_ rig: BurstdRig, _ scriptd: Int32, seconds: Double) -> Double {
        let before = Processes.ticks(rig.pid) + Processes.ticks(scriptd)
        let began = PseudoTerminal.now
        Wait.until(seconds: seconds, every: 1) { rig.hasEnded }
        let lasted = Double(PseudoTerminal.now - began) / 1e9
        let ticks = Processes.ticks(rig.pid) + Processes.ticks(scriptd) - before
        return Double(ticks) / Double(sysconf(Int32(_SC_CLK_TCK))) / lasted * 100
    }
}
