import BurstDataWarp
import BurstTestSupport
import BurstWire
import Glibc
import Testing

/// The ready `burst_buffer.lua` in every Lua that a Slurm may have been built with (staging.md §5 F4).
@Suite(.timeLimit(.minutes(15))) struct LuaScriptTests {
    private static let script = Fixtures.top + "/Sources/BurstStageClient/Resources/burst_buffer.lua"

    /// Debian's; Slurm 22.05 has 5.1, later ones 5.4.
    static let interpreters: [String] = {
        let all = ["lua5.1", "lua5.3", "lua5.4"].map { "/usr/bin/" + $0 }
        let isRequired = getenv("BURST_CI").map { String(cString: $0) } == "1"
        return isRequired ? all : all.filter { access($0, X_OK) == 0 }
    }()

    /// What Slurm puts around the script, then some Lua. Each call's results are printed, a line each.
    private static func run(
        _ lua: String, _ program: String, on server: StageServer, polls: Bool = true, mayFork: Bool = true
    ) throws -> [String] {
        server.folder.makeFolder("bin")
        for name in ["dw_wlm_cli", "dwstat"] { symlink(Programs.path(of: name), server.folder("bin/" + name)) }
        let forks =
            mayFork
            ? ""
            : "io.popen = function() error('a fork') end os.execute = io.popen io.lines = io.popen print = io.popen"
        server.folder.write(
            """
            slurm = { SUCCESS = 0, ERROR = -1, SLURM_BB_BUSY = \(polls ? "'BUSY'" : "nil") }
            local write = io.write
            local function show(...)
                for _, value in ipairs({ ... }) do write(tostring(value):gsub("\\n", "|"), " ") end
                write("\\n")
            end
            dofile("\(script)")
            \(forks)
            \(program)
            """, to: "test.lua")
        let result = try PipedProgram.run(
            [lua, server.folder("test.lua")],
            environment: [
                "BURST_SOCKET": server.path, "BURST_PROGRAMS": server.folder("bin"), "PATH": "/usr/bin:/bin",
            ], seconds: 60)
        #expect(result.end == .exited(0) && result.errors.isEmpty, "\(lua): \(result.errorText)")
        // 5.3 and 5.4 print whole floats with a fraction.
        return result.text.split(separator: "\n").map { line in
            String(line.reversed().drop { $0 == " " }.reversed())
        }
    }

    private static let hooks = [
        "job_process", "pools", "job_teardown", "setup", "data_in", "test_data_in", "real_size", "paths", "pre_run",
        "post_run", "data_out", "test_data_out", "get_status",
    ]

    @Test(arguments: interpreters) func allHooksAreThere(lua: String) throws {
        let server = try StageServer(answers: "")
        let program = Self.hooks.map { "show(type(slurm_bb_\($0)))" }.joined(separator: "\n")
        let lines = try Self.run(lua, program, on: server)
        #expect(lines == Self.hooks.map { _ in "function" })
    }

    // MARK: Within slurmctld

    @Test(arguments: interpreters) func poolsAreThoseOfTheFile(lua: String) throws {
        let server = try StageServer(answers: "")
        func pools() throws -> [String] {
            try Self.run(lua, "show(slurm_bb_pools())", on: server, mayFork: false)
        }
        let place = server.folder("stager/pools")
        #expect(try pools() == ["-1 the stager is away: no \(place)"])
        server.folder.write("\(time(nil) - 5)\n{\"pools\":[]}", to: "stager/pools")
        #expect(try pools() == ["0 {\"pools\":[]}"])
        server.folder.write("\(time(nil) - 100)\n{\"pools\":[]}", to: "stager/pools")
        let old = try pools()
        #expect(old.count == 1 && old[0].hasPrefix("-1 the stager is away: \(place) is 10"))
        server.folder.write("{\"pools\":[]}", to: "stager/pools")
        #expect(try pools() == ["-1 the stager is away: no \(place)"])
    }

    @Test(arguments: interpreters) func pathsAreCopied(lua: String) throws {
        let server = try StageServer(answers: "")
        server.folder.write("DW_JOB_STRIPED=/m/83_striped_scratch/\n", to: "stager/paths/83")
        server.folder.write("OLD=1\nOLD=2\nOLD=3\n", to: "path")
        let path = server.folder("path")
        let program = """
            show(slurm_bb_paths("83", "/script", "\(path)"))
            show(slurm_bb_paths("83", "/script", "\(server.folder("gone/path"))"))
            show(slurm_bb_paths("84", "/script", "\(path)"))
            show(slurm_bb_paths("../pools", "/script", "\(path)"))
            """
        server.folder.write("1\nsecret", to: "stager/pools")
        let lines = try Self.run(lua, program, on: server, mayFork: false)
        let folder = server.folder("stager/paths")
        #expect(
            lines == ["0", "0", "-1 job 84 has no buffer in \(folder)", "-1 job ../pools has no buffer in \(folder)"])
        #expect(server.folder.text(of: "path") == "DW_JOB_STRIPED=/m/83_striped_scratch/\n")
    }

    /// What is taken, and what is refused with which words. The stager reads the same lines at setup: it must take all
    /// that was taken here, and refuse what was refused.
    static let scripts: [(lines: String, says: String?)] = [
        ("", nil), ("jobdw pool=p capacity=1GiB", nil),
        ("jobdw capacity=200GiB pool=nvme type=scratch access_mode=striped,private # the usual", nil),
        ("jobdw pool=p \\\n#BB_LUA   capacity=1GiB \\\n#BB_LUA access_mode=striped", nil),
        ("persistentdw name=alpha", nil),
        ("jobdw pool=p capacity=1\n#BB_LUA stage_in type=directory source=/lus/in destination=$DW_JOB_STRIPED/in", nil),
        (
            "stage_out type=file source=${DW_JOB_STRIPED}/a/b destination=/lus/b\n#BB_LUA jobdw pool=p capacity=1", nil
        ),
        (
            "jobdw pool=p capacity=1\n#BB_LUA stage_in type=file source=\"/lus/a b\" destination=\"$DW_JOB_STRIPED/x y\"",
            nil
        ),
        ("jobdw pool=p capacity=1\n#BB_LUA stage_in type=list source=/lus/list", nil),
        ("jobdw pool=p capacity=1\n#BB_LUA stage_in type=file source=/lus/f destination=/ss/f", nil),
        (
            "persistentdw name=a\n#BB_LUA stage_in type=file source=%d/f destination=$DW_PERSISTENT_STRIPED_a/f", nil
        ),
        ("jobdw pool=p capacity=1\n# stage_in\n\n#SBATCH -n 1\n#BB_LUA persistentdw name=b.c-d", nil),
        ("jobdw pool=p capacity=3.5TB", "capacity=3.5TB: Slurm reads this as 3 bytes; write capacity=3500GB"),
        ("jobdw pool=p capacity=1,5GiB", "capacity=1,5GiB: Slurm reads this as 1 byte; write capacity=1536MiB"),
        ("jobdw pool=p capacity=0.3K", "capacity=0.3K: Slurm reads this as 0 bytes; write capacity=308"),
        (
            "jobdw pool=p capacity=1.2.3G",
            "capacity=1.2.3G: Slurm reads this as 1 byte; write K M G T or P, KiB to PiB for powers of 1024, KB to PB"
                + " for powers of 1000"
        ),
        ("jobdw pool=p capacity=-5", "capacity=-5 is negative: write a size above 0, as capacity=200GiB"),
        ("jobdw pool=p capacity=0", "capacity=0: write a size above 0, as capacity=200GiB"),
        ("jobdw pool=p capacity=", "capacity= is no size: write a number and a unit, as capacity=200GiB"),
        (
            "jobdw pool=p capacity=4N",
            "capacity=4N counts nodes, which no pool here does: write a size, as capacity=200GiB"
        ),
        ("jobdw pool=p capacity=9000P", "capacity=9000P is too large: write less than capacity=8192PiB"),
        ("jobdw pool=p", "#BB_LUA jobdw has no capacity=: write capacity=200GiB"),
        ("jobdw capacity=1", "#BB_LUA jobdw has no pool=: write pool=POOL"),
        ("jobdw pool=p capacity=1 capacity=1", "capacity= stands there twice: write it once"),
        (
            "jobdw pool=p capacity=\"1GiB\"",
            "capacity= has quotes, which Slurm takes for a part of the value: write capacity=1GiB"
        ),
        ("jobdw pool=p capacity=1 type=cache", "type=cache: no such type; write type=scratch"),
        (
            "jobdw pool=p capacity=1\n#BB_LUA jobdw pool=q capacity=1 access_mode=private",
            "a second pool after p: Slurm takes all from the last one; write one pool"
        ),
        (
            "pool=p capacity=1",
            "#BB_LUA pool=p: no such directive; write one of jobdw, persistentdw, stage_in, stage_out"
        ),
        ("swap 10GiB", "#BB_LUA swap: no such directive; write one of jobdw, persistentdw, stage_in, stage_out"),
        (" ", "#BB_LUA says nothing: write #BB_LUA jobdw pool=POOL capacity=SIZE"),
        (
            "stage_in type=dir source=/a destination=$DW_JOB_STRIPED",
            "type=dir: no such type; write type=file|directory|list"
        ),
        (
            "stage_in source=/a destination=$DW_JOB_STRIPED",
            "#BB_LUA stage_in has no type=: write type=file|directory|list"
        ),
        (
            "jobdw pool=p capacity=1 nmae=x",
            "nmae=: no such key of #BB_LUA jobdw; write one of access_mode= capacity= name="
                + " optimization_strategy= pfs= pool= type= write_window_length= write_window_multiplier="
        ),
        (
            "jobdw pool=p capacity=1 striped",
            "striped is no key=value: write a value with blanks in quotes, key=\"a b\""
        ),
        ("persistentdw name=a/b", "name=a/b: write letters, digits, _ - and ."),
        (
            "stage_in type=file source=/a destination=$DW_JOB_STRIPED/a",
            "there is no striped buffer: write #BB_LUA jobdw pool=POOL capacity=SIZE access_mode=striped"
        ),
        (
            "jobdw pool=p capacity=1 access_mode=private\n#BB_LUA stage_out type=file source=$DW_JOB_STRIPED/a destination=/a",
            "there is no striped buffer: write #BB_LUA jobdw pool=POOL capacity=SIZE access_mode=striped"
        ),
        (
            "jobdw pool=p capacity=1\n#BB_LUA stage_in type=file source=/a destination=/b",
            "stage_in copies into a buffer: write destination=$DW_JOB_STRIPED/PATH"
        ),
        (
            "jobdw pool=p capacity=1\n#BB_LUA stage_out type=file source=/a destination=$DW_JOB_STRIPED/b",
            "stage_out copies out of a buffer: write source=$DW_JOB_STRIPED/PATH"
        ),
        (
            "jobdw pool=p capacity=1\n#BB_LUA stage_in type=file source=a/b destination=$DW_JOB_STRIPED/b",
            "source=a/b: is no path from / on; write it whole"
        ),
        (
            "jobdw pool=p capacity=1\n#BB_LUA stage_in type=file source=$DW_JOB_STRIPED/a destination=$DW_JOB_STRIPED/b",
            "both sides are in buffers: write source= as a path on the parallel file system"
        ),
        (
            "jobdw pool=p capacity=1\n#BB_LUA stage_in type=directory source=/a",
            "stage_in has no destination=: write where the directory goes"
        ),
        (
            "jobdw pool=p capacity=1\n#BB_LUA stage_in type=file source=/a/pool=1 destination=$DW_JOB_STRIPED/b",
            "Slurm reads pool= within this line: take it out of there"
        ),
        (
            "jobdw pool=p capacity=1\r",
            "holds a control character: end lines with a line feed alone, write blanks between words"
        ),
        (
            "jobdw pool=p \\\n# capacity=1",
            "ends with a backslash before a comment: go on in the next line with #BB_LUA, or remove it"
        ),
        ("jobdw pool=p capacity=1 \\", "ends with a backslash before the last directive's end: remove it"),
    ]

    @Test(arguments: interpreters) func directivesAreJudged(lua: String) throws {
        let server = try StageServer(answers: "")
        var program = ""
        for (number, script) in Self.scripts.enumerated() {
            let directive = script.lines.isEmpty ? "" : "#BB_LUA " + script.lines + "\n"
            server.folder.write("#!/bin/bash\n\(directive)true\n#BB_LUA nonsense\n\u{0}", to: "script\(number)")
            program += "show(slurm_bb_job_process(\"\(server.folder("script\(number)"))\", \"1001\", \"1001\"))\n"
        }
        // For most tasks of an array there is none.
        program += "show(slurm_bb_job_process(\"\(server.folder("gone"))\"))\n"
        let answers = try Self.run(lua, program, on: server, mayFork: false)
        #expect(answers.count == Self.scripts.count + 1)
        for (answer, script) in zip(answers, Self.scripts) {
            guard let says = script.says else {
                #expect(answer == "0", "\(lua): \(script.lines)")
                continue
            }
            #expect(answer.hasPrefix("-1 line ") && answer.utf8.count <= 203, "\(script.lines): \(answer)")
            let text = answer.split(separator: ": ", maxSplits: 1).last ?? ""
            #expect(text.hasPrefix(says.prefix(180)), "\(lua): \(script.lines): \(answer)")
        }
        #expect(answers.last == "0")
    }

    /// The stager's own reader decides at setup; a job that was let in must not fail there for its words.
    @Test(arguments: scripts.indices) func theStagerJudgesAlike(number: Int) throws {
        let (lines, says) = Self.scripts[number]
        let text = "#!/bin/bash\n" + (lines.isEmpty ? "" : "#BB_LUA \(lines)\n") + "true\n"
        var fault: String?
        do {
            let plan = try StagePlan.read(try DirectiveScript(Array(text.utf8), directive: "BB_LUA"))
            // What the stager has no use for.
            if plan.jobBuffers.contains(where: { $0.kind == .cache }) { fault = "cache" }
        } catch {
            fault = "\(error)"
        }
        #expect((fault == nil) == (says == nil), "\(lines): \(fault ?? "is taken")")
    }

    // MARK: In processes of their own

    private static let calls = """
        show(slurm_bb_setup("83", "1001", "1002", "nvme", "1073741824", "/s"))
        show(slurm_bb_data_in("83", "/s", "1001", "1002", {}))
        show(slurm_bb_test_data_in("83", "/s", "1001", "1002", {}))
        show(slurm_bb_real_size("83", "1001", "1002", {}))
        show(slurm_bb_pre_run("83", "/s"))
        show(slurm_bb_post_run("83", "/s"))
        show(slurm_bb_data_out("83", "/s"))
        show(slurm_bb_test_data_out("83", "/s"))
        show(slurm_bb_job_teardown("83", "/s", "false"))
        show(slurm_bb_job_teardown("83", "/s", "true"))
        show(slurm_bb_get_status("1001", "1002", "pools", "it's $(reboot)"))
        show(slurm_bb_get_status("most"))
        """

    @Test(arguments: interpreters, [true, false]) func hooksAskTheStager(lua: String, polls: Bool) throws {
        let server = try StageServer { number in
            switch number {
            case 2, 7: .answer(status: 0, text: "BUSY\n")
            case 3: .answer(status: 0, text: "{\"capacity\": 2147483648, \"units\": \"bytes\"}\n")
            case 8: .answer(status: 1, text: "token not found\n")
            case 10, 11: .answer(status: 0, text: "pool units\nnvme bytes\n")
            default: .answer(status: 0, text: "")
            }
        }
        let lines = try Self.run(lua, Self.calls, on: server, polls: polls)
        // Without polling there is no word for it; Slurm calls no such hook then.
        let busy = polls ? "0 BUSY" : "0"
        #expect(
            lines == [
                "0", "0", busy, "0 2147483648", "0", "0", "0", busy, "0", "0", "0 pool units|nvme bytes|",
                "0 pool units|nvme bytes|",
            ])
        let wait = polls ? ["--no-wait"] : []
        let expected: [[String]] = [
            [
                "setup", "--token", "83", "--caller", "SLURM", "--user", "1001", "--groupid", "1002", "--capacity",
                "nvme:1073741824", "--job", "/s", "--directive", "BB_LUA",
            ], ["data_in", "--token", "83", "--job", "/s"] + wait, ["test_data_in", "--token", "83"],
            ["real_size", "--token", "83"], ["pre_run", "--token", "83", "--job", "/s"],
            ["post_run", "--token", "83", "--job", "/s"], ["data_out", "--token", "83", "--job", "/s"] + wait,
            ["test_data_out", "--token", "83"], ["teardown", "--token", "83", "--job", "/s"],
            ["teardown", "--token", "83", "--job", "/s", "--hurry"],
        ]
        let asked = server.calls.map(\.call)
        #expect(asked.prefix(10).map(\.arguments) == expected.map { ["--function"] + $0 })
        #expect(asked.suffix(2).map(\.arguments) == [["pools", "it's $(reboot)"], ["most"]])
        #expect(asked.map(\.program) == Array(repeating: .wlm, count: 10) + [.dwstat, .dwstat])
        for call in asked.prefix(10) { _ = try StagerCall(arguments: call.arguments) }
    }

    @Test(arguments: interpreters) func failuresAreToldInOneText(lua: String) throws {
        let server = try StageServer(answers: "stage_in file 3 of 7: no space\n", status: 1)
        let lines = try Self.run(lua, Self.calls, on: server)
        let failed = "-1 stage_in file 3 of 7: no space"
        #expect(lines.prefix(3) == [failed, failed, failed])
        // A figure that is missing fails nothing.
        #expect(lines[3] == "0 0")
        #expect(lines[4...9].allSatisfy { $0 == failed })
        // Slurm would not show it.
        #expect(lines[10...].allSatisfy { $0 == "0 stage_in file 3 of 7: no space|" })
    }

    /// A time limit of Slurm ends what the hook waits for, and the hook must not take that for success (spec Q10).
    @Test(arguments: interpreters) func aProgramThatIsEndedHasFailed(lua: String) throws {
        let server = try StageServer(answers: "")
        server.folder.makeFolder("bin")
        server.folder.write("#!/bin/sh\nkill -KILL $PPID\n", to: "bin/dw_wlm_cli", mode: 0o755)
        let lines = try Self.run(lua, "show(slurm_bb_data_in(\"83\", \"/s\"))", on: server)
        #expect(lines == ["-1 dw_wlm_cli: ended without an answer"])
        server.folder.remove("bin/dw_wlm_cli")
        server.folder.write("#!/bin/sh\nkill -KILL $$\n", to: "bin/dw_wlm_cli", mode: 0o755)
        let killed = try Self.run(lua, "show(slurm_bb_data_in(\"83\", \"/s\"))", on: server)
        #expect(killed.count == 1 && killed[0].hasPrefix("-1"), "\(killed)")
    }
}
