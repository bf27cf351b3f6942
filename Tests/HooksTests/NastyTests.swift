import BurstEngine
import BurstHooks
import BurstTestSupport
import Glibc
import Testing

/// Scripts that do what they should not. Each ends at its limit, leaves nothing, and others go on.
@Suite(.serialized) struct NastyTests {
    /// Calls whose only answer comes from the limit.
    struct Nasty: Sendable, CustomStringConvertible {
        var name: String
        var body: String
        var description: String { name }
    }

    static let hanging = [
        Nasty(name: "loops", body: "while true do end"),
        Nasty(name: "catches what ends it", body: "while true do pcall(function() while true do end end) end"),
        Nasty(name: "hangs in a C function", body: "return string.find(('a'):rep(60), ('a*'):rep(30) .. 'b')"),
        Nasty(name: "sleeps in a child", body: "os.execute('sleep 600')"),
        Nasty(
            name: "waits for a child that ignores SIGTERM",
            body: "os.execute([[trap '' TERM; while :; do sleep 600; done]])"),
        Nasty(name: "starts others in the background", body: "os.execute('sleep 600 & sleep 600 & wait')"),
        Nasty(
            name: "forks away",
            body: "os.execute([[setsid sh -c 'setsid sleep 600 & setsid sleep 600 &' & sleep 600]])"),
        Nasty(
            name: "forks away without its environment",
            body: "os.execute([[env -i setsid sh -c 'env -i setsid /bin/sleep 6'0'4 & exit' & sleep 600]])"),
        Nasty(
            name: "keeps forking away",
            body: "os.execute([[setsid sh -c 'while :; do setsid sleep 600 & sleep 0.01; done' & sleep 600]])"),
        Nasty(
            name: "forks and ends again and again",
            body: """
                os.execute([[f='n=$((n+1)); export n; [ $n -gt 20000 ] || setsid sh -c "$f" &'; export f
                setsid sh -c "$f" & sleep 600]])
                """),
        Nasty(name: "prints without end", body: "while true do print(('x'):rep(10000)) end"),
        Nasty(name: "lets a child print without end", body: "os.execute('yes')"),
        Nasty(name: "logs without end", body: "while true do slurm.log_info(('x'):rep(10000)) end"),
        Nasty(
            name: "closes what it answers through",
            body: "os.execute('exec 1>&- 2>&- 3>&-; sleep 600')"),
    ]

    @Test(arguments: hanging)
    func aCallEndsAtItsLimit(nasty: Nasty) async throws {
        let body = """
            function slurm_bb_setup() \(nasty.body) end
            function slurm_bb_data_in() return 0, "alive" end
            """
        try await Bench.run(body) { bench in
            let clock = ContinuousClock()
            let start = clock.now
            let hung = bench.start(.setup, limit: 1)
            let alive = try await bench.call(.dataIn)
            #expect(alive.end == .success(message: "alive"))
            let marker = "BURST_HOOK_CALL=\(try marker(bench, hung))"
            let answer = try await bench.answer(of: hung)
            #expect(answer.end == .timedOut)
            #expect(answer.durationMicroseconds >= 1_000_000)
            #expect(clock.now - start < .seconds(20))
            #expect(answer.printed.utf8.count <= HookAnswer.printedBytesMax)
            #expect(answer.log.count <= HookAnswer.logLinesMax)
            #expect(Processes.marked(marker) == [])
            let scriptd = try #require(bench.hooks.scriptdPID)
            // Another call's child may have stayed for the next one; the hung one's is gone.
            #expect(answer.pid != alive.pid)
            #expect(Processes.children(of: scriptd).filter { $0 != alive.pid } == [])
            #expect(await bench.end(.dataIn) == .success(message: "alive"))
            #expect(bench.answers(of: hung).count == 1)
        }
    }

    /// Of the call, in the environment of all that it started.
    private func marker(_ bench: Bench, _ id: CallID) throws -> String {
        let pid = try #require(bench.hooks.scriptdPID)
        let words = Fixtures.bytes(of: "/proc/\(pid)/cmdline").split(separator: 0)
        return "\(String(decoding: words[1], as: UTF8.self)).\(id)\0"
    }

    @Test func aChildThatIgnoresTheSignalEnds() async throws {
        // A script that waits for SIGTERM and reports success then: the timer decides (spec §10, Q10).
        let body = """
            function slurm_bb_setup() os.execute("sleep 600") return 0, "done after all" end
            """
        try await Bench.run(body) { bench in
            #expect(await bench.end(.setup, limit: 1) == .timedOut)
        }
    }

    @Test func whatIsLongButWithinItsLimitIsLeftAlone() async throws {
        let body = """
            function slurm_bb_setup() os.execute("sleep 1.2") return 0, "slept" end
            """
        try await Bench.run(body) { bench in
            #expect(await bench.end(.setup, limit: 30) == .success(message: "slept"))
            #expect(await bench.end(.setup) == .success(message: "slept"))
        }
    }

    @Test func memoryIsLimited() async throws {
        let body = """
            local function eat() local t = {} while true do t[#t + 1] = ("x"):rep(1000000) .. #t end end
            function slurm_bb_setup() eat() end
            function slurm_bb_pools() eat() end
            function slurm_bb_data_in() return 0, "alive" end
            """
        var limits = HookLimits()
        limits.childMemoryBytes = 256 << 20
        limits.inProcessMemoryBytes = 64 << 20
        try await Bench.run(body, limits: limits) { bench in
            for function in [HookFunction.setup, .pools] {
                let answer = try await bench.call(function)
                #expect(answer.end == .failure(status: 255, message: nil))
                #expect(answer.log.first == HookLogLine(.error, "\(bench.script): not enough memory"))
            }
            #expect(await bench.end(.dataIn) == .success(message: "alive"))
        }
    }

    @Test func aChildThatDiesIsBroken() async throws {
        let body = """
            function slurm_bb_setup(how)
                slurm.log_info("before")
                io.write("half a line")
                if how == "exit" then os.exit(3) end
                os.execute("kill -" .. how .. " $PPID")
            end
            """
        try await Bench.run(body) { bench in
            let exit = try await bench.call(.setup, ["exit"])
            #expect(exit.end == .broken("its process ended with status 3 before the function returned"))
            #expect(exit.log == [HookLogLine(.info, "lua: before")])
            #expect(exit.printed == "half a line")
            let killed = try await bench.call(.setup, ["KILL"])
            #expect(killed.end == .broken("its process died of signal 9 (Killed)"))
            #expect(killed.log == [HookLogLine(.info, "lua: before")])
            #expect(await bench.end(.setup, ["SEGV"]) == .broken("its process died of signal 11 (Segmentation fault)"))
        }
    }

    @Test func aChildFindsWhatSlurmPromises() async throws {
        let body = """
            function slurm_bb_setup()
                local file = io.popen("umask; ulimit -c; ulimit -v; ls /proc/self/fd | wc -l; readlink /proc/self/fd/0; "
                    .. "awk '/SigBlk|SigIgn/ { print $2 }' /proc/self/status; ps -o pgid= -p $PPID | tr -d ' '")
                local text = file:read("a")
                file:close()
                local own = io.open("/proc/self/stat"):read("n")
                return 0, text:gsub("\\n", " ") .. tostring(own)
            end
            """
        try await Bench.run(body) { bench in
            guard case .success(let message?) = await bench.end(.setup) else {
                Issue.record("no answer")
                return
            }
            let words = message.split(separator: " ")
            #expect(words.prefix(3) == ["0022", "0", "2097152"])
            #expect(words[3] == "4" && words[4] == "/dev/null")
            #expect(words[5] == "0000000000000000")
            // Two that the C library's popen has ignored in any program.
            #expect(["0000000000000000", "0000000180000000"].contains(words[6]))
            #expect(words[7] == words[8])
        }
    }

    /// A transfer in the background that `slurm_bb_test_data_in` asks for later must outlive the call that started it.
    @Test func whatAnEndedCallLeftGoesOn() async throws {
        let body = """
            function slurm_bb_setup(path)
                os.execute("(while [ ! -e " .. path .. "/go ]; do echo waiting; sleep 0.05; done; touch "
                    .. path .. "/done) &")
                return 0, "started"
            end
            function slurm_bb_data_in() while true do end end
            """
        try await Bench.run(body) { bench in
            #expect(await bench.end(.setup, [bench.folder.path]) == .success(message: "started"))
            // Also when another call is ended.
            #expect(await bench.end(.dataIn, limit: 1) == .timedOut)
            bench.folder.write("", to: "go")
            #expect(await eventually { bench.folder.exists("done") })
        }
    }

    @Test func aKilledCallLeavesNoDescendant() async throws {
        let body = """
            function slurm_bb_setup(path)
                os.execute("setsid sh -c 'setsid sleep 600 & sleep 600 & touch " .. path .. "/on; sleep 600' & sleep 600")
            end
            """
        try await Bench.run(body) { bench in
            let id = bench.start(.setup, [bench.folder.path])
            #expect(await eventually { bench.folder.exists("on") })
            let marker = "BURST_HOOK_CALL=\(try marker(bench, id))"
            #expect(Processes.marked(marker).count >= 5)
            bench.hooks.kill(id)
            #expect(await bench.end(of: id) == .killed)
            #expect(Processes.marked(marker) == [])
            bench.hooks.kill(id)
            bench.hooks.kill(CallID(999_999))
            #expect(await bench.end(.dataIn) == .success(message: nil))
            #expect(bench.answers(of: id).count == 1)
        }
    }

    @Test func sixHundredCallsNeverHaveMoreThan512Children() async throws {
        let body = """
            function slurm_bb_setup(path, n)
                io.open(path .. "/gate"):close() -- waits for a writer
                return 0, n
            end
            """
        try await Bench.run(body) { bench in
            mkfifo(bench.folder("gate"), 0o600)
            let ids = (0..<600).map { bench.start(.setup, [bench.folder.path, "\($0)"]) }
            #expect(await eventually { bench.hooks.scriptdPID != nil })
            let pid = try #require(bench.hooks.scriptdPID)
            var most = 0
            let isFull = await eventually(seconds: 60) {
                most = max(most, Processes.children(of: pid).count)
                return most >= HookLimits.childrenMax
            }
            #expect(isFull, "\(most) children")
            // Those that wait can be ended without having been started.
            bench.hooks.kill(ids[599])
            let ended = try await bench.answer(of: ids[599])
            #expect(ended.end == .killed && ended.pid == nil)
            for _ in 0..<10 { most = max(most, Processes.children(of: pid).count) }
            let gate = open(bench.folder("gate"), O_RDWR)
            defer { close(gate) }
            let all = await eventually(seconds: 120) {
                most = max(most, Processes.children(of: pid).count)
                return bench.answered == 600
            }
            #expect(all)
            #expect(most == HookLimits.childrenMax)
            let ends = ids.map { bench.answers(of: $0).map(\.end) }
            #expect(
                ends.enumerated().allSatisfy { index, end in
                    end == [index == 599 ? .killed : .success(message: "\(index)")]
                })
        }
    }

    /// The limit of a call that waits for a place counts from its start.
    @Test func waitingIsNotCounted() async throws {
        let body = """
            function slurm_bb_setup() os.execute("sleep 600") end
            function slurm_bb_data_in() return 0, "in time" end
            """
        try await Bench.run(body) { bench in
            for _ in 0..<HookLimits.childrenMax { _ = bench.start(.setup, limit: 10) }
            let answer = try await bench.call(.dataIn, limit: 8)
            #expect(answer.end == .success(message: "in time"))
            #expect(answer.durationMicroseconds < 8_000_000)
            #expect(await eventually(seconds: 60) { bench.answered == HookLimits.childrenMax + 1 })
        }
    }

    @Test func scriptdKilledLeavesNoChildAndIsStartedAgain() async throws {
        let body = """
            function slurm_bb_setup(path)
                os.execute("setsid sh -c 'sleep 600 & touch " .. path .. "/on; sleep 600' & sleep 600")
            end
            """
        var limits = HookLimits()
        limits.firstPauseSeconds = 0.01
        try await Bench.run(body, limits: limits) { bench in
            for round in 1...3 {
                let id = bench.start(.setup, [bench.folder.path])
                #expect(await eventually { bench.folder.exists("on") })
                bench.folder.remove("on")
                let instance = try marker(bench, id).prefix { $0 != "." }
                let pid = try #require(bench.hooks.scriptdPID)
                #expect(Processes.marked("BURST_HOOK_CALL=\(instance)").count >= 4)
                kill(pid, SIGKILL)
                #expect(await bench.end(of: id) == .broken("burst-scriptd died"))
                #expect(await eventually { Processes.marked("BURST_HOOK_CALL=\(instance)").isEmpty })
                #expect(await bench.end(.dataIn) == .success(message: nil))
                #expect(bench.hooks.scriptdPID != pid)
                #expect(bench.log.filter { $0.text.hasPrefix("burst-scriptd died; ") }.count == round)
            }
        }
    }

    @Test func restartsAreBounded() async throws {
        var limits = HookLimits()
        limits.firstPauseSeconds = 0.001
        limits.restartsMax = 3
        let folder = try TemporaryFolder("burst-hooks")
        folder.write("#!/bin/sh\necho x >>\(folder("starts"))\nexit 1\n", to: "scriptd", mode: 0o755)
        let bench = try Bench("", limits: limits, scriptd: folder("scriptd"))
        #expect(await eventually { bench.log.contains { $0.text.contains("calls are refused for 30.0 s") } })
        #expect(folder.text(of: "starts").split(separator: "\n").count == 4)
        #expect(await bench.end(.setup) == .broken("burst-scriptd died"))
        // What runs in this process goes on.
        #expect(await bench.end(.jobProcess) == .success(message: nil))
        await bench.hooks.stop()
    }

    /// burstd gone: its end of the socket closes, and scriptd takes all down with it.
    @Test func stoppingLeavesNothing() async throws {
        let body = """
            function slurm_bb_setup(path)
                os.execute("trap '' TERM; setsid sh -c 'sleep 600 & touch " .. path .. "/on; sleep 600' & sleep 600")
            end
            function slurm_bb_pools() while true do pcall(function() while true do end end) end end
            """
        let bench = try Bench(body)
        let ids = [bench.start(.setup, [bench.folder.path]), bench.start(.pools), bench.start(.paths)]
        #expect(await eventually { bench.folder.exists("on") })
        let pid = try #require(bench.hooks.scriptdPID)
        let instance = try marker(bench, ids[0]).prefix { $0 != "." }
        await bench.hooks.stop()
        #expect(!Processes.lives(pid))
        #expect(Processes.marked("BURST_HOOK_CALL=\(instance)") == [])
        for id in ids { #expect(bench.answers(of: id).map(\.end) == [.killed]) }
        #expect(await bench.end(.setup) == .killed)
        #expect(await bench.end(.pools) == .killed)
        await bench.hooks.stop()
    }
}

/// Calls in the daemon's own process.
@Suite struct InProcessTests {
    @Test func aSlowCallIsReportedWhileItRunsAndAfter() async throws {
        let body = """
            function slurm_bb_pools(path)
                while not io.open(path .. "/go") do end
                return 0
            end
            """
        var limits = HookLimits()
        limits.slowCallSeconds = 0.2
        try await Bench.run(body, limits: limits) { bench in
            let id = bench.start(.pools, [bench.folder.path])
            #expect(await eventually { !bench.log.isEmpty })
            #expect(bench.answers(of: id) == [])
            let text = "slurm_bb_pools has been running for more than 0.2 s in the daemon's own process"
            #expect(bench.log.map(\.text) == [text + "; calls of its kind wait for it"])
            bench.folder.write("", to: "go")
            let answer = try await bench.answer(of: id)
            #expect(answer.end == .success(message: nil))
            #expect(answer.durationMicroseconds >= 200_000)
            #expect(answer.log.last?.text.hasPrefix("slurm_bb_pools took ") == true)
        }
    }

    @Test func aCallCanBeEndedWhileLuaRuns() async throws {
        let body = """
            function slurm_bb_pools() while true do pcall(function() while true do end end) end end
            function slurm_bb_job_process() return 0, "after" end
            """
        try await Bench.run(body) { bench in
            let hung = bench.start(.pools)
            let waiting = bench.start(.pools)
            let after = bench.start(.jobProcess)
            bench.hooks.kill(waiting)
            #expect(await bench.end(of: waiting) == .killed)
            bench.hooks.kill(hung)
            #expect(await bench.end(of: hung) == .killed)
            #expect(await bench.end(of: after) == .success(message: "after"))
        }
    }

    @Test func aScriptCannotEndTheDaemon() async throws {
        let body = """
            function slurm_bb_pools(how)
                if how == "exit" then os.exit(0) end
                if how == "locale" then return 0, tostring(os.setlocale("de_DE.UTF-8")) .. os.setlocale() end
                if how == "hook" then debug.sethook(error, "c") string.len("") end
                if how == "signals" then
                    local file = io.popen("grep SigBlk /proc/self/status")
                    return 0, (file:read("a"):gsub("%s", ""))
                end
                if how == "close" then io.stdout:close() io.stderr:close() print("x") return 0 end
                if how == "gc" then
                    setmetatable({}, { __gc = function() error("late") end })
                    setmetatable({}, { __gc = function() io.write("gone") end })
                    return 0, "gc"
                end
            end
            """
        try await Bench.run(body) { bench in
            let exit = try await bench.call(.pools, ["exit"])
            #expect(exit.end == .failure(status: 255, message: nil))
            #expect(exit.log.first?.text.contains("os.exit would end the daemon") == true)
            #expect(await bench.end(.pools, ["locale"]) == .success(message: "nilC"))
            #expect(await bench.end(.pools, ["hook"]) == .failure(status: 255, message: nil))
            #expect(await bench.end(.pools, ["signals"]) == .success(message: "SigBlk:0000000000000000"))
            #expect(await bench.end(.pools, ["close"]) == .success(message: nil))
            #expect(await bench.end(.pools, ["gc"]) == .success(message: "gc"))
        }
    }

    /// A C function cannot be ended; stopping gives up on it.
    @Test func stoppingDoesNotWaitForACFunction() async throws {
        let body = "function slurm_bb_pools() return string.find(('a'):rep(70), ('a*'):rep(6) .. 'b') end"
        var limits = HookLimits()
        limits.stopSeconds = 0.2
        let bench = try Bench(body, limits: limits)
        let hung = bench.start(.pools)
        #expect(await bench.end(.setup) == .success(message: nil))
        await bench.hooks.stop()
        #expect(bench.answers(of: hung).map(\.end) == [.killed])
    }

    @Test func waitingCallsAreBounded() async throws {
        let body = """
            function slurm_bb_pools(path) while not io.open(path .. "/go") do end return 0 end
            """
        var limits = HookLimits()
        limits.waitingMax = 5
        try await Bench.run(body, limits: limits) { bench in
            let ids = (0..<20).map { _ in bench.start(.pools, [bench.folder.path]) }
            #expect(await eventually { bench.answered >= 14 })
            bench.folder.write("", to: "go")
            #expect(await eventually { bench.answered == 20 })
            let ends = ids.compactMap { bench.answers(of: $0).first?.end }
            #expect(ends.filter { $0 == .broken("5 calls wait already") }.count >= 14)
            #expect(ends.filter { $0 == .success(message: nil) }.count >= 5)
        }
    }
}
