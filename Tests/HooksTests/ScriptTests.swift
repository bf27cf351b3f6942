import BurstEngine
import BurstHooks
import BurstTestSupport
import Testing

/// The script is loaded anew for every call, and refused where it is not whole (spec §4.1).
@Suite struct ScriptTests {
    private func faults(_ text: String) throws -> [String] {
        let folder = try TemporaryFolder("burst-hooks")
        folder.write(text, to: "b.lua")
        return LuaHooks.check(script: folder("b.lua")).map { $0.replacing(folder("b.lua"), with: "PATH") }
    }

    @Test func aWholeScriptHasNoFault() throws {
        #expect(try faults(Bench.script("slurm.log_error('hello') print('not shown')")) == [])
    }

    @Test(arguments: HookFunction.ofLua)
    func aMissingFunctionIsNamed(function: HookFunction) throws {
        let missing = [
            "PATH: missing required function \(function.rawValue)", "PATH: required function(s) not present",
        ]
        #expect(try faults(Bench.script("\(function.rawValue) = nil slurm.log_error('x')")) == missing)
        #expect(try faults(Bench.script("\(function.rawValue) = 5")) == missing)
    }

    @Test func allMissingFunctionsAreNamedInSlurmsOrder() throws {
        let found = try faults("")
        #expect(found.count == 14)
        #expect(
            Array(found.prefix(3)) == [
                "PATH: missing required function slurm_bb_job_process",
                "PATH: missing required function slurm_bb_pools",
                "PATH: missing required function slurm_bb_job_teardown",
            ])
        #expect(found.last == "PATH: required function(s) not present")
    }

    @Test func whatCannotBeLoadedIsSaid() throws {
        #expect(try faults("x = = 1") == ["PATH: PATH:1: unexpected symbol near '='"])
        #expect(try faults("\n\nerror('top')") == ["PATH: PATH:3: top"])
        #expect(try faults("local t = {} while true do t = {t, ('x'):rep(1000000)} end") == ["PATH: not enough memory"])
        #expect(
            LuaHooks.check(script: "/nonexistent/b.lua") == [
                "Unable to stat /nonexistent/b.lua: No such file or directory"
            ])
        #expect(LuaHooks.check(script: "/tmp") == ["/tmp: is a folder, no script"])
    }

    @Test(arguments: [HookFunction.jobProcess, .setup])
    func editsActOnTheNextCallAndNothingElseStays(function: HookFunction) async throws {
        let body = "n = (n or 0) + 1 function \(function.rawValue)() n = n + 1 return 0, n end"
        try await Bench.run(body) { bench in
            #expect(await bench.end(function) == .success(message: "2"))
            #expect(await bench.end(function) == .success(message: "2"))
            bench.folder.write(Bench.script("function \(function.rawValue)() return 3 end"), to: "burst_buffer.lua")
            #expect(await bench.end(function) == .failure(status: 3, message: nil))
            bench.folder.write("x = = 1", to: "burst_buffer.lua")
            let why = "\(bench.script): \(bench.script):1: unexpected symbol near '='"
            #expect(await bench.end(function) == .broken(why))
            bench.folder.remove("burst_buffer.lua")
            let gone = "Unable to stat \(bench.script): No such file or directory"
            #expect(await bench.end(function) == .broken(gone))
            bench.folder.write(
                Bench.script("slurm_bb_pools = nil slurm_bb_setup = nil"), to: "burst_buffer.lua")
            let answer = try await bench.call(function)
            #expect(answer.end == .broken("\(bench.script): required function(s) not present"))
            #expect(
                answer.log.map(\.text)
                    == ["slurm_bb_pools", "slurm_bb_setup"].map {
                        "\(bench.script): missing required function \($0)"
                    })
        }
    }

    @Test func withoutScriptdNothingStarts() throws {
        #expect {
            _ = try Bench("", scriptd: "/nonexistent/burst-scriptd")
        } throws: { error in
            "\(error)"
                == "/nonexistent/burst-scriptd: No such file or directory: install burst-scriptd there, beside burstd"
        }
    }
}
