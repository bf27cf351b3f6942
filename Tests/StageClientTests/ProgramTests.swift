import BurstTestSupport
import BurstWire
import Testing

/// The two programs as Slurm starts them.
@Suite(.timeLimit(.minutes(15))) struct ProgramTests {
    private static func run(
        _ program: String, _ arguments: [String], on path: String?
    ) throws -> PipedProgram.Result {
        try PipedProgram.run(
            [Programs.path(of: program)] + arguments, environment: path.map { ["BURST_SOCKET": $0] } ?? [:])
    }

    private static let verbs = [
        "pools", "show_configurations", "show_instances", "show_sessions", "job_process --job /s",
        "setup --token 83 --caller SLURM --user 1 --groupid 1 --capacity p:1GiB --job /s",
        "data_in --token 83 --job /s",
        "test_data_in --token 83", "real_size --token 83", "paths --job /s --token 83 --pathfile /nowhere/path",
        "pre_run --token 83 --job /s --nodehostnamefile /n", "post_run --token 83 --job /s",
        "data_out --token 83 --job /s", "test_data_out --token 83", "teardown --token 83 --job /s --hurry",
        "create_persistent -c CLI -t alpha -u 1 -C p:1 -a striped -T scratch",
    ]

    /// Slurm reads both outputs as one text: a byte on standard error breaks it.
    @Test func nothingGoesToStandardError() throws {
        let server = try StageServer(answers: "{\"answer\": 1}\n", lines: ["A=1"])
        for verb in Self.verbs {
            let words = ["--function"] + verb.split(separator: " ").map(String.init)
            let result = try Self.run("dw_wlm_cli", words, on: server.path)
            #expect(result.end == .exited(0) && result.errors.isEmpty && result.text == "{\"answer\": 1}\n", "\(verb)")
            #expect(server.calls.last?.call == StageCall(.wlm, arguments: words))
        }
        #expect(server.calls.count == Self.verbs.count)
        let result = try Self.run("dwstat", ["pools", "nodes"], on: server.path)
        #expect(result.end == .exited(0) && result.errors.isEmpty && result.text == "{\"answer\": 1}\n")
        #expect(server.calls.last?.call == StageCall(.dwstat, arguments: ["pools", "nodes"]))
    }

    @Test func failuresGoToStandardOutputToo() throws {
        let server = try StageServer(answers: "no space\n", status: 1)
        let result = try Self.run("dw_wlm_cli", ["--function", "data_out", "--token", "83"], on: server.path)
        #expect(result.end == .exited(1) && result.errors.isEmpty && result.text == "no space\n")
        let nobody = try Self.run("dw_wlm_cli", ["--function", "pools"], on: "/nowhere/s")
        #expect(nobody.end == .exited(1) && nobody.errors.isEmpty && nobody.text.hasPrefix("the stager is away: "))
        // A status that its last byte would make a success.
        let odd = try StageServer(answers: "", status: 256)
        #expect(try Self.run("dw_wlm_cli", ["--function", "pools"], on: odd.path).end == .exited(1))
    }

    /// `scontrol show bbstat` hands on whatever bytes a user wrote.
    @Test func wordsMayBeAnyBytes() throws {
        let server = try StageServer(answers: "fine\n")
        let hostile = ["", "two words", "line1\nline2", "$(reboot)", "'; rm -rf /", "\u{1b}[2J", "größe"]
        let result = try Self.run("dwstat", hostile, on: server.path)
        #expect(result.text == "fine\n" && result.errors.isEmpty)
        #expect(server.calls.last?.call.arguments == hostile)
        // No UTF-8: what cannot be said in the protocol is marked, and no word with it is right.
        let dwstat = Programs.path(of: "dwstat")
        let raw = try PipedProgram.run(
            ["/bin/bash", "-c", #"exec "$0" $'\xff\xfe' pools"#, dwstat], environment: ["BURST_SOCKET": server.path])
        #expect(raw.text == "fine\n" && raw.errors.isEmpty)
        #expect(server.calls.last?.call.arguments == ["\u{fffd}\u{fffd}", "pools"])
    }

    @Test func helpIsPrinted() throws {
        for program in ["dw_wlm_cli", "dwstat"] {
            let result = try Self.run(program, ["--help"], on: nil)
            #expect(result.end == .exited(0) && result.errors.isEmpty && result.text.hasPrefix(program + " "))
        }
    }

    /// An answer is read to its end however slowly it is taken.
    @Test func aLargeAnswerIsWhole() throws {
        let server = try StageServer(answers: String(repeating: "0123456789abcde\n", count: 300_000))
        let client = Programs.path(of: "dw_wlm_cli")
        let result = try PipedProgram.run(
            ["/bin/bash", "-c", #""$0" --function show_sessions | (sleep 0.5; wc -c)"#, client],
            environment: ["BURST_SOCKET": server.path, "PATH": "/usr/bin:/bin"])
        #expect(result.text == "4800000\n" && result.errors.isEmpty)
    }
}
