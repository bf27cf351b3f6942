import BurstTestSupport
import Testing

/// The modes without a screen (A23): what they print, how they end, and that they say what is wrong in one line.
@Suite(.onWorkers, .timeLimit(.minutes(15)))
struct BatchTests {
    @Test func onceJSONAndCSVShowTheSameFigures() throws {
        let slurm = try StubCommands()
        let once = try slurm.run("--once")
        #expect(once.end == .exited(0), "\(once.errorText)")
        #expect(!once.output.contains(0x1b))
        let json = try slurm.run("--json")
        #expect(json.end == .exited(0), "\(json.errorText)")
        let document = try JSON(json.output)
        #expect(document["buffers"].elements.count == 40)
        let csv = try slurm.run("--csv", "buffers")
        #expect(csv.end == .exited(0), "\(csv.errorText)")
        let rows = csv.text.split(separator: "\r\n")
        #expect(rows.count == 41)
        for pool in document["pools"].elements {
            let name = try #require(pool["name"].text)
            #expect(once.text.contains(name))
            let own = document["buffers"].elements.count { $0["pool"] == pool["name"] }
            #expect(pool["buffers"] == .number(Int64(own)))
        }
        for screen in ["pools", "users", "jobs", "events"] {
            #expect(try slurm.run("--csv", screen).end == .exited(0))
        }
        // Narrowed alike.
        let few = try slurm.run("--json", "--pool", "nvme")
        let csvFew = try slurm.run(
            "--csv", "buffers", "--filter", "pool=nvme", "--sort", "-size", "--columns", "id,size")
        let count = document["buffers"].elements.count { $0["pool"] == .text("nvme") }
        #expect(try JSON(few.output)["buffers"].elements.count == count)
        let sizes = csvFew.text.split(separator: "\r\n").dropFirst().compactMap { Int($0.split(separator: ",")[1]) }
        #expect(sizes.count == count)
        #expect(sizes == sizes.sorted(by: >))
    }

    @Test func jsonLinesComeOneByOneWhileTheProgramRuns() throws {
        let slurm = try StubCommands()
        let program = try slurm.start("--jsonl", "-d", "5", "-n", "3")
        for count in 1...3 {
            #expect(program.wait { $0.lines.count >= count }, "line \(count)")
            // Whole, and alone: the next one is 5 s away.
            #expect(program.lines.count == count)
            #expect(program.output.last == 10)
            if count < 3 { #expect(program.end == nil) }
            #expect(try JSON(program.lines[count - 1].utf8)["schema"] == .number(1))
        }
        #expect(program.waitForEnd().end == .exited(0))
    }

    @Test func aReaderThatHasEnoughEndsItQuietly() throws {
        let slurm = try StubCommands()
        let program = try slurm.start("--jsonl", "-d", "5")
        #expect(program.wait { $0.lines.count == 1 })
        program.closeOutput()
        let result = program.waitForEnd()
        #expect(result.end == .killed(signal: 13))
        #expect(result.errors.isEmpty, "\(result.errorText)")
    }

    @Test func checkEndsAsMonitoringPlugInsDo() throws {
        let slurm = try StubCommands(SyntheticCluster(buffers: 0))
        let well = try slurm.run("--check")
        #expect(well.text.split(separator: "\n").count == 1)
        #expect(well.end == .exited(0), "\(well.text)")
        #expect(well.text.hasPrefix("BURST OK - "))

        slurm.answer(
            "burst",
            """
            Name=datawarp DefaultPool=wlm_pool Granularity=200GiB TotalSpace=5800GiB FreeSpace=5600GiB UsedSpace=200GiB
              Flags=EmulateCray
              StageInTimeout=86400 StageOutTimeout=86400 ValidateTimeout=5 OtherTimeout=300
              GetSysState=(null)
              GetSysStatus=(null)
              Allocated Buffers:
                JobID=169488 Account=(null) CreateTime=2026-11-18T10:00:00 Partition=debug Pool=wlm_pool QOS=(null) \
            Size=200GiB State=teardown-fail UserID=alice(1001)
              Per User Buffer Use:
                UserID=alice(1001) Used=200GiB

            """)
        let bad = try slurm.run("--check")
        #expect(bad.end == .exited(2), "\(bad.text)")
        #expect(bad.text.hasPrefix("BURST CRITICAL - "))
        #expect(bad.text.contains("R1"))
        let other = try slurm.run("--check", "R4,R5")
        #expect(other.end == .exited(0), "\(other.text)")
        let unknownRule = try slurm.run("--check", "R99")
        #expect(unknownRule.errorLines.count == 1)
        #expect(unknownRule.end == .exited(2))

        slurm.fail("burst")
        let dead = try slurm.run("--check")
        #expect(dead.end == .exited(3), "\(dead.text)")
        #expect(dead.text.hasPrefix("BURST UNKNOWN - "))
        #expect(dead.text.contains("Unable to contact slurm controller"))
    }

    @Test func aFailureIsALineAndAStatus() throws {
        let slurm = try StubCommands()
        slurm.fail("burst")
        slurm.fail("squeue")
        slurm.fail("config")
        slurm.fail("reservation")
        for mode in ["--once", "--json"] {
            let result = try slurm.run(mode)
            #expect(result.end == .exited(1), "\(mode)")
            #expect(result.errorLines.count == 1, "\(mode): \(result.errorText)")
            #expect(result.errorText.contains("Unable to contact slurm controller"))
        }
        #expect(try JSON(slurm.run("--json").output)["stale"] == .flag(true))
    }

    @Test func metricsAreWrittenAndTheSchemaIsPrinted() throws {
        let slurm = try StubCommands()
        let path = slurm.folder("burst.prom")
        let result = try slurm.run("--prometheus", path)
        #expect(result.end == .exited(0), "\(result.errorText)")
        #expect(slurm.folder.text(of: "burst.prom").contains("pool=\"nvme\""))
        #expect(slurm.folder.text(of: "burst.prom").contains("# TYPE "))
        let nowhere = try slurm.run("--prometheus", slurm.folder("none/burst.prom"))
        #expect(nowhere.end == .exited(1))
        #expect(nowhere.errorLines.count == 1, "\(nowhere.errorText)")
        let before = slurm.calls.count
        let schema = try slurm.run("--schema")
        #expect(schema.end == .exited(0))
        // The schema has numbers that are no integers nowhere, so our reader takes it.
        #expect(try JSON(schema.output)["properties"]["buffers"] != .null)
        #expect(slurm.calls.count == before)
    }

    static let wrongs: [(arguments: [String], status: Int32)] = [
        (["--no-such-option"], 2),
        (["--json", "--once"], 2),
        (["surplus"], 2),
        (["-n", "3"], 2),
        (["--jsonl", "-n", "0"], 2),
        (["--csv", "nothing"], 2),
        (["--screen", "nowhere"], 2),
        (["--color", "blue"], 2),
        (["--interval", "0"], 2),
        (["--source", "mars"], 2),
        (["--source", "slurm", "--socket", "/x"], 2),
        (["--json", "--filter", "size>>"], 2),
        (["--json", "--filter", "nosuch=1"], 2),
        (["--json", "--sort", "nosuch"], 2),
        (["--csv", "buffers", "--columns", "id,nosuch"], 2),
        (["--json", "--config", "/nonexistent/burstmon.toml"], 2),
        (["--replay", "/nonexistent/recording.jsonl", "--json"], 2),
        (["--json", "-b", "12:00"], 2),
        (["--record", "/nonexistent/folder/recording.jsonl", "--json"], 2),
    ]

    @Test(arguments: wrongs.indices)
    func whatIsWrongIsOneLineAndTheRightStatus(index: Int) throws {
        let (arguments, status) = Self.wrongs[index]
        let slurm = try StubCommands()
        let result = try PipedProgram.run([StubCommands.burstmon] + arguments, environment: slurm.environment())
        #expect(result.errorLines.count == 1, "\(arguments): \(result.errorText)")
        #expect(result.errorText.hasPrefix("burstmon: "), "\(arguments): \(result.errorText)")
        #expect(result.end == .exited(status), "\(arguments)")
        #expect(result.output.isEmpty, "\(arguments): \(result.text)")
        #expect(slurm.calls.isEmpty, "\(arguments)")
    }

    @Test func wrongSettingsFilesAreOneLine() throws {
        let slurm = try StubCommands()
        for text in ["theme = \n", "nosuch = 1\n", "interval_seconds = \"x\"\n", "[rules\n"] {
            slurm.folder.write(text, to: "bad.toml")
            let result = try slurm.run("--json", "--config", slurm.folder("bad.toml"))
            #expect(result.end == .exited(2), "\(text)")
            #expect(result.errorLines.count == 1, "\(text): \(result.errorText)")
            #expect(result.errorText.contains("bad.toml"), "\(text): \(result.errorText)")
        }
        // The usual file never stops a start: it is told, and does not count.
        slurm.folder.makeFolder("home/burst")
        slurm.folder.write("nosuch = 1\n", to: "home/burst/burstmon.toml")
        let result = try slurm.run("--json")
        #expect(result.end == .exited(0))
        #expect(result.errorLines.count == 1, "\(result.errorText)")
    }

    @Test func withoutSlurmsCommandsItSaysSo() throws {
        let slurm = try StubCommands()
        for tool in ["scontrol", "squeue"] {
            slurm.folder.remove("bin/\(tool)")
            var environment = slurm.environment()
            environment["PATH"] = slurm.folder("bin")
            let result = try PipedProgram.run([StubCommands.burstmon, "--json"], environment: environment)
            #expect(result.errorLines.count == 1, "\(result.errorText)")
            #expect(result.errorText.contains("is not in PATH"))
            #expect(result.end == .exited(1))
        }
    }

    @Test func helpAndVersionAreNoErrors() throws {
        let slurm = try StubCommands()
        let help = try slurm.run("--help")
        #expect(help.end == .exited(0))
        #expect(help.text.contains("--replay"))
        let version = try slurm.run("--version")
        #expect(version.end == .exited(0))
        #expect(version.text.hasPrefix("burstmon "))
        for shell in ["bash", "zsh", "fish"] {
            #expect(try slurm.run("--generate-completion-script", shell).text.contains("replay"))
        }
    }

    @Test func aControllerThatHangsIsGivenUpAndItsCallEnded() throws {
        let slurm = try StubCommands()
        slurm.folder.write("timeout_seconds = 1\n", to: "fast.toml")
        slurm.delay("burst", seconds: 600)
        let result = try slurm.run("--json", "--config", slurm.folder("fast.toml"))
        #expect(result.end == .exited(1), "\(result.errorText)")
        #expect(result.seconds < 15)
        #expect(Wait.until { slurm.running.isEmpty })
    }
}
