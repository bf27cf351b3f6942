import BurstEngine
import BurstHooks
import BurstTestSupport
import Glibc
import Testing

/// A child of burst-scriptd that a call left as it was makes the next one too; no call can tell.
struct StayingTests {
    /// However slow the machine is, a child stays until the next call.
    private var patient: HookLimits {
        var limits = HookLimits()
        limits.childIdleMilliseconds = 600_000
        return limits
    }

    @Test func callsInARowShareAChildButNothingElse() async throws {
        let body = """
            calls = (calls or 0) + 1
            function slurm_bb_setup()
                string.seen = (string.seen or 0) + 1
                io.open("/dev/null", "w"):setvbuf("full", 99)
                io.stdout:setvbuf("full")
                io.write("no line")
                return 0, calls .. " " .. string.seen .. " " .. tostring(math.randomseed ~= nil)
            end
            """
        try await Bench.run(body, limits: patient) { bench in
            var pids: Set<Int32> = []
            for _ in 0..<20 {
                let answer = try await bench.call(.setup)
                #expect(answer.end == .success(message: "1 1 true"))
                #expect(answer.printed == "no line")
                pids.insert(try #require(answer.pid))
            }
            #expect(pids.count == 1)
        }
    }

    @Test func theScriptIsReadAnewForEachCall() async throws {
        try await Bench.run("function slurm_bb_setup() return 0, 'old' end", limits: patient) { bench in
            let old = try await bench.call(.setup)
            bench.folder.write(
                Bench.script("function slurm_bb_setup() return 0, 'new' end"), to: "burst_buffer.lua")
            let new = try await bench.call(.setup)
            #expect(old.end == .success(message: "old"))
            #expect(new.end == .success(message: "new"))
            #expect(old.pid == new.pid)
        }
    }

    @Test func eachCallMarksWhatItStarts() async throws {
        let body = """
            function slurm_bb_setup() os.execute('printf %s "$BURST_HOOK_CALL"') end
            """
        try await Bench.run(body, limits: patient) { bench in
            for _ in 0..<3 {
                let call = bench.start(.setup)
                let answer = try await bench.answer(of: call)
                #expect(answer.printed.hasSuffix(".\(call)"), "\(answer.printed)")
            }
        }
    }

    @Test func filesThatACallLeftOpenAreClosed() async throws {
        let body = """
            function slurm_bb_setup()
                kept = {}
                for i = 1, 5 do kept[i] = io.open("/dev/null") end
                os.execute("ls /proc/$PPID/fd")
            end
            """
        try await Bench.run(body, limits: patient) { bench in
            let first = try await bench.call(.setup)
            #expect(first.printed.split(separator: "\n").count == 9)
            for _ in 0..<5 {
                let next = try await bench.call(.setup)
                #expect(next.printed == first.printed)
                #expect(next.pid == first.pid)
            }
        }
    }

    struct Mess: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var body: String
    }

    @Test(arguments: [
        Mess(
            testDescription: "a process in the background", body: "os.execute('sleep 600 >/dev/null 2>&1 &') return 0"),
        Mess(testDescription: "another locale", body: "assert(os.setlocale('C.UTF-8')) return 0"),
        Mess(testDescription: "much memory", body: "local t = ('x'):rep(100 << 20) return 0, tostring(#t)"),
        Mess(testDescription: "an end of its own", body: "os.exit(3)"),
        Mess(testDescription: "a library in C", body: "package.loadlib('libc.so.6', '*') return 0"),
    ])
    func whoLeavesSomethingBehindMakesNoOtherCall(mess: Mess) async throws {
        let body = """
            function slurm_bb_setup() \(mess.body) end
            function slurm_bb_data_in() return 0, os.setlocale(nil) end
            """
        try await Bench.run(body, limits: patient) { bench in
            let clean = try await bench.call(.dataIn)
            let messy = try await bench.call(.setup)
            let after = try await bench.call(.dataIn)
            #expect(messy.pid == clean.pid)
            #expect(after.pid != messy.pid)
            #expect(after.end == .success(message: "C"))
            let scriptd = try #require(bench.hooks.scriptdPID)
            let isAlone = await eventually {
                Processes.children(of: scriptd).filter { $0 != after.pid && !isSleep($0) } == []
            }
            #expect(isAlone)
        }
    }

    private func isSleep(_ pid: Int32) -> Bool {
        Fixtures.bytes(of: "/proc/\(pid)/cmdline").starts(with: Array("sleep".utf8))
    }

    @Test func anErrorAndALargeCallAreNoHindrance() async throws {
        let body = """
            function slurm_bb_setup(a) error("no") end
            function slurm_bb_data_in(a) return 0, tostring(#(a or "")) end
            """
        try await Bench.run(body, limits: patient) { bench in
            let failed = try await bench.call(.setup)
            #expect(failed.end == .failure(status: 255, message: nil))
            let next = try await bench.call(.dataIn, ["x"])
            #expect(next.pid == failed.pid)
            // Too long for a child that waits: another one is started, and this one stays.
            let large = try await bench.call(.dataIn, [String(repeating: "x", count: 1 << 20)])
            #expect(large.end == .success(message: "\(1 << 20)"))
            #expect(large.pid != next.pid)
        }
    }

    @Test func aChildThatDiesWithoutACallIsReplaced() async throws {
        try await Bench.run("function slurm_bb_setup() return 0, 'well' end", limits: patient) { bench in
            var died: Int32?
            for _ in 0..<5 {
                let answer = try await bench.call(.setup)
                #expect(answer.end == .success(message: "well"))
                #expect(answer.pid != died)
                let pid = try #require(answer.pid)
                kill(pid, SIGKILL)
                _ = await eventually { !Processes.lives(pid) }
                died = pid
            }
        }
    }

    @Test func aChildThatNobodyNeedsEnds() async throws {
        var limits = HookLimits()
        limits.childIdleMilliseconds = 50
        try await Bench.run("function slurm_bb_setup() return 0 end", limits: limits) { bench in
            let pid = try #require(try await bench.call(.setup).pid)
            #expect(await eventually(seconds: 60) { !Processes.lives(pid) })
            let next = try await bench.call(.setup)
            #expect(next.end == .success(message: nil))
            #expect(next.pid != pid)
        }
    }
}
