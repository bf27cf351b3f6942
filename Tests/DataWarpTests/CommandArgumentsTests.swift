import BurstDataWarp
import BurstModel
import Testing

/// Calls of `dw_wlm_cli` (staging.md §1.2).
@Suite struct CommandArgumentsTests {
    private func call(_ line: String) throws -> StagerCall {
        try StagerCall(arguments: line.split(separator: " ").map(String.init))
    }

    private static let script = ScriptFile("/srv/state/hash.3/job.83/script")

    /// As recorded of Slurm 26.05, spec §5.2.
    @Test func slurmsCallsAreRead() throws {
        let s = Self.script.path
        let token = try SessionToken("83")
        #expect(try call("--function pools") == .pools)
        #expect(try call("--function show_configurations") == .showConfigurations)
        #expect(try call("--function show_instances") == .showInstances)
        #expect(try call("--function show_sessions") == .showSessions)
        #expect(try call("--function job_process --job \(s)") == .jobProcess(Self.script, directive: nil))
        #expect(
            try call(
                "--function setup --token 83 --caller SLURM --user 1001 --groupid 1002 --capacity wlm_pool:200GiB --job \(s)"
            )
                == .setup(
                    .init(
                        job: JobID(83), caller: "SLURM", uid: 1001, gid: 1002,
                        capacity: CapacityArgument(pool: "wlm_pool", size: .bytes(200 << 30)), script: Self.script)))
        #expect(try call("--function data_in --token 83 --job \(s)") == .dataIn(token, Self.script, waits: true))
        #expect(try call("--function real_size --token 83") == .realSize(token))
        #expect(
            try call("--function paths --job \(s) --token 83 --pathfile /srv/path")
                == .paths(token, Self.script, pathFile: "/srv/path"))
        #expect(
            try call("--function pre_run --token 83 --job \(s) --nodehostnamefile /srv/nids")
                == .preRun(token, Self.script, nodeFile: "/srv/nids"))
        #expect(try call("--function post_run --token 83 --job \(s)") == .postRun(token, Self.script))
        #expect(try call("--function data_out --token 83 --job \(s)") == .dataOut(token, Self.script, waits: true))
        #expect(
            try call("--function teardown --token 83 --job \(s)") == .teardown(token, Self.script, isHurried: false))
        #expect(
            try call("--function teardown --token alpha --job \(s) --hurry")
                == .teardown(try SessionToken("alpha"), Self.script, isHurried: true))
        #expect(
            try call(
                "--function create_persistent -c CLI -t alpha -u 1001 -C wlm_pool:429496729600 -a striped -T scratch")
                == .createPersistent(
                    .init(
                        name: try BufferName("alpha".utf8), caller: "CLI", uid: 1001,
                        capacity: CapacityArgument(pool: "wlm_pool", size: .bytes(429_496_729_600)), modes: .striped,
                        kind: .scratch)))
    }

    /// What burst_buffer.lua needs beside Slurm's own.
    @Test func callsForLuaAreRead() throws {
        let token = try SessionToken("83")
        #expect(
            try call("--function data_in --token 83 --job \(Self.script.path) --no-wait")
                == .dataIn(token, Self.script, waits: false))
        #expect(try call("--no-wait --function data_out --token 83") == .dataOut(token, nil, waits: false))
        #expect(try call("--function test_data_in --token 83") == .testDataIn(token))
        #expect(
            try call("--function job_process --job /s --directive BB_LUA")
                == .jobProcess(ScriptFile("/s"), directive: "BB_LUA"))
        let setup = try call("-f setup -t 83 -u 1 --groupid 1 -C p:1 --job /s --directive=BB_SITE")
        guard case .setup(let values) = setup else {
            Issue.record("\(setup)")
            return
        }
        #expect(values.directive == "BB_SITE")
        #expect(try call("--function test_data_out --token=83") == .testDataOut(token))
    }

    @Test func optionsStandInAnyOrderAndForm() throws {
        let token = try SessionToken("83")
        #expect(try call("--token=83 -f real_size") == .realSize(token))
        #expect(try call("-t 83 --function=real_size") == .realSize(token))
        #expect(try call("--hurry -t 83 -f teardown") == .teardown(token, nil, isHurried: true))
        #expect(
            try call("--nidlistfile /n -f pre_run -t 83") == call("-f pre_run --jobexecutionnodefile /n --token 83"))
        #expect(try call("-f pools --help") == .help)
        let create = try call("-C p:1 -u 7 -t b -f create_persistent")
        guard case .createPersistent(let values) = create else {
            Issue.record("\(create)")
            return
        }
        #expect(values.modes == .striped && values.kind == .scratch && values.caller == "CLI" && values.gid == nil)
    }

    @Test(arguments: [
        ("", "no function: write --function VERB; dw_wlm_cli --help names them"),
        ("--function", "--function has no value: write --function VERB"),
        ("--function --token 1", "--function has no value: write --function VERB"),
        ("--function pool", "no function pool: write pools"),
        ("--function nonsense", "no function nonsense: dw_wlm_cli --help names them"),
        ("-f data_in", "data_in has no --token: write --token TOKEN"),
        ("-f data_in --tokn 1", "option --tokn does not exist: write --token"),
        ("-f data_in -x", "option -x does not exist: see dw_wlm_cli --help"),
        ("-f data_in 83", "argument 83 belongs to no option: write --function VERB and its options"),
        ("-f data_in -t 1 -t 1", "--token stands there twice: write it once"),
        ("-f data_in -t 1 --token 1", "--token stands there twice: write it once"),
        ("-f real_size -t 1 --job /s", "real_size takes no --job: write dw_wlm_cli --function real_size --token TOKEN"),
        ("-f pools --hurry", "pools takes no --hurry: write dw_wlm_cli --function pools"),
        ("-f teardown -t 1 --hurry=yes", "--hurry takes no value: write it alone"),
        (
            "-f post_run -t 1 --no-wait",
            "post_run takes no --no-wait: write dw_wlm_cli --function post_run --token TOKEN [--job SCRIPT]"
        ),
        ("-f data_in -t 1 --no-wait=1", "--no-wait takes no value: write it alone"),
        ("-f data_in -t 1 --nowait", "option --nowait does not exist: write --no-wait"),
        (
            "-f job_process --job /s --directive #BB_LUA",
            "--directive #BB_LUA: write a word as Directive= has it, as BB_LUA"
        ),
        (
            "-f real_size -t 1 --directive BB_LUA",
            "real_size takes no --directive: write dw_wlm_cli --function real_size --token TOKEN"
        ),
        ("-f test_data_in", "test_data_in has no --token: write --token TOKEN"),
        (
            "-f test_data_out -t 1 --job /s",
            "test_data_out takes no --job: write dw_wlm_cli --function test_data_out --token TOKEN"
        ),
        ("-f data_in -t 1 --job s", "--job s: write a path from / on"),
        ("-f data_in --token=", "--token : write 1 to 4096 bytes"),
        ("-f paths -t 1", "paths has no --pathfile: write --pathfile FILE"),
        (
            "-f setup --token a --user 1 --groupid 1 --capacity p:1 --job /s",
            "--token a: setup is for jobs; write the number of one"
        ),
        ("-f setup --token 1 --user x --groupid 1 --capacity p:1 --job /s", "--user x: write a number, as --user 1001"),
        (
            "-f setup --token 1 --user 4294967295 --groupid 1 --capacity p:1 --job /s",
            "--user 4294967295: write a number, as --user 1001"
        ),
        (
            "-f setup --token 1 --user 1 --groupid -1 --capacity p:1 --job /s",
            "--groupid -1: write a number, as --groupid 1001"
        ),
        (
            "-f setup --token 1 --user 1 --groupid 1 --capacity p --job /s",
            "capacity p: write POOL:SIZE, as wlm_pool:200GiB"
        ),
        (
            "-f create_persistent -t 1a -u 1 -C p:1",
            "name=1a: a name that begins with a digit is a job to Slurm; write a letter first"
        ),
        ("-f create_persistent -t a/b -u 1 -C p:1", "name=a/b: write a letter, then letters, digits, _ - and ."),
        (
            "-f create_persistent -t a -u 1 -C p:1 -a private",
            "a persistent buffer is never private: write access=striped"
        ),
        ("-f create_persistent -t a -u 1 -C p:1 -T disk", "type=disk: write type=scratch or type=cache"),
    ])
    func otherCallsAreRefused(line: String, says: String) throws {
        let fault = try #require(throws: ErrorLine.self) { try call(line) }
        #expect(fault.text == says)
    }

    /// Slurm repeats a failing teardown for ever: any token gets that far that it can be called unknown.
    @Test func tokensOfAnyFormCanBeTornDown() throws {
        for text in ["a-b.c/d", "007", "12x", "-", "é", "token not found", "4294967296"] {
            guard case .teardown(let token, _, _) = try StagerCall(arguments: ["-f", "teardown", "-t", text]) else {
                Issue.record("no teardown")
                continue
            }
            #expect(token.kind == .unknown)
            #expect(token.text == text)
        }
        #expect(try SessionToken("83").kind == .job(JobID(83)))
        #expect(try SessionToken("alpha").kind == .persistent(try BufferName("alpha".utf8)))
    }

    @Test func argumentsAreBounded() throws {
        let long = String(repeating: "x", count: StagerCall.argumentBytesMax + 1)
        for arguments in [[long], ["--token=" + long], ["-f", long], [String](repeating: "x", count: 10_000)] {
            let fault = try #require(throws: ErrorLine.self) { try StagerCall(arguments: arguments) }
            #expect(fault.text.utf8.count <= ErrorLine.bytesMax)
        }
    }

    @Test func replacedScriptsAreKnownByTheirPath() {
        #expect(ScriptFile("/proc/4711/fd/12").isReplaced)
        for path in [
            "/srv/state/hash.3/job.83/script", "/proc/self/fd/3", "/proc/1/fd/", "/proc/1/fd/2/x", "proc/1/fd/2",
        ] {
            #expect(!ScriptFile(path).isReplaced)
        }
    }

    @Test func helpNamesEveryVerb() {
        let help = StagerCall.helpText
        #expect(help.contains("dw_wlm_cli --function paths --token TOKEN --pathfile FILE [--job SCRIPT]\n"))
        #expect(help.contains("dw_wlm_cli --function teardown --token TOKEN [--job SCRIPT] [--hurry]\n"))
        #expect(help.contains("dw_wlm_cli --function data_out --token TOKEN [--job SCRIPT] [--no-wait]\n"))
        #expect(help.contains("-C is --capacity"))
        #expect(help.split(separator: "\n").count == 17)
    }
}

/// Calls of `dwstat` (staging.md §1.8).
@Suite struct DwstatArgumentsTests {
    private func request(_ line: String) throws -> DwstatRequest {
        try DwstatRequest(arguments: line.split(separator: " ").map(String.init))
    }

    @Test func tablesAreNamed() throws {
        #expect(try request("").selection == .tables([.pools]))
        #expect(try request("pools nodes").selection == .tables([.pools, .nodes]))
        #expect(try request("nodes pools nodes").selection == .tables([.nodes, .pools]))
        #expect(try request("most").selection == .most)
        #expect(try request("all -H").selection == .all)
        for table in DwstatRequest.Table.allCases {
            #expect(try request(table.rawValue).selection == .tables([table]))
        }
    }

    @Test func optionsHaveAFormForScontrol() throws {
        #expect(try request("-H sessions") == request("sessions si"))
        #expect(try request("--json most") == request("json most"))
        #expect(try request("--compat=2015") == request("compat=2015"))
        #expect(try request("compat=2015").layout == .of2015)
        #expect(try request("").layout == .of2017)
        #expect(try request("--json").format == .json)
        #expect(try request("-H").hasSIUnits)
        #expect(try request("help").isHelp)
    }

    @Test(arguments: [
        ("session", "no table session: write sessions"), ("Pools", "no table Pools: write pools"),
        (
            "x",
            "no table x: write one of pools sessions instances configurations registrations activations fragments namespaces nodes"
        ),
        ("most pools", "most and pools: write most alone"), ("most all", "most and all: write one of them"),
        ("compat=2016", "compat=2016: write compat=2015 or compat=2017"),
        ("compat=2015 --compat=2017", "compat= stands there twice: write it once"),
    ])
    func otherWordsAreRefused(line: String, says: String) throws {
        let fault = try #require(throws: ErrorLine.self) { try request(line) }
        #expect(fault.text == says)
    }

    /// What scontrol handed over in the recorded calls, and worse.
    @Test(arguments: [
        [""], ["", "z"], ["two words", "x"], ["größe"], ["line1\nline2"], [String(repeating: "y", count: 3000)],
        ["$(reboot)"], ["'; rm -rf /"], ["\u{1b}[2J"], ["../../etc/passwd"], ["%n%s"], ["token not found"],
        (0..<40).map { "\($0)" }, [String](repeating: "pools", count: 10_000),
    ])
    func hostileWordsGiveOneShortLine(arguments: [String]) throws {
        let fault = try #require(throws: ErrorLine.self) { try DwstatRequest(arguments: arguments) }
        #expect(fault.text.utf8.count <= ErrorLine.bytesMax)
        #expect(!fault.text.contains("'") && !fault.text.contains("\n") && !fault.text.contains("\u{1b}"))
        #expect(!fault.text.contains("token not found"))
    }

    @Test func helpNamesEveryTable() {
        for table in DwstatRequest.Table.allCases { #expect(DwstatRequest.helpText.contains(table.rawValue)) }
    }
}
