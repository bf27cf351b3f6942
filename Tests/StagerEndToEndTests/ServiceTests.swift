import BurstClient
import BurstTestSupport
import BurstWire
import CSys
import Glibc
import Testing

/// The stager as `dw_wlm_cli` and `dwstat` meet it: a real burstd, real copies, over the socket.
@Suite(.serialized, .onWorkers) struct ServiceTests {
    @Test func aWholeLifeCopiesInAndOutAndLeavesNothing() throws {
        let rig = try StagerRig()
        rig.fill()
        try rig.start()
        let script = rig.script
        #expect(try rig.wlm("job_process", script: script) == .done)
        #expect(try rig.setUp("83", script) == .done)
        // Whoever is answered may look at once.
        #expect(try rig.wlm("show_sessions").text.contains(#""token": "83""#))
        #expect(try rig.wlm("data_in", "--token", "83") == .done)
        #expect(try rig.wlm("real_size", "--token", "83").text == #"{"capacity": 16777216, "units": "bytes"}"#)
        let paths = try rig.wlm("paths", "--token", "83", "--pathfile", "/tmp/none")
        #expect(paths.lines == ["DW_JOB_STRIPED=" + rig.mounted("83")])
        #expect(rig.folder.text(of: "run/stager/paths/83") == "DW_JOB_STRIPED=\(rig.mounted("83"))\n")
        #expect(try rig.wlm("pre_run", "--token", "83") == .done)
        let source = try TreeHash(of: rig.source)
        let buffer = try TreeHash(of: rig.mounted("83") + "in")
        #expect(buffer.differences(from: source) == [])
        #expect(try rig.used() == 16)
        #expect(try rig.wlm("post_run", "--token", "83") == .done)
        #expect(!rig.folder.exists("state/mnt/83_striped_scratch"))
        #expect(try rig.wlm("data_out", "--token", "83") == .done)
        #expect(try TreeHash(of: rig.target).differences(from: source) == [])
        let progress = try rig.session("83")?["progress"] ?? .null
        #expect(progress["percent"].number == 100)
        #expect(progress["files_done"].number == progress["files_total"].number)
        #expect(try rig.wlm("teardown", "--token", "83") == .done)
        #expect(try rig.wlm("show_sessions").text == #"{"sessions": []}"#)
        #expect(Wait.until { (try? rig.used()) == 0 })
        for folder in ["pool/buffers", "pool/.bb/quarantine", "pool/mnt", "state/mnt", "run/stager/paths"] {
            #expect(Folders.names(rig.folder(folder)) == [], "\(folder)")
        }
        for folder in ["journals", "reports", "workers"] {
            #expect(Folders.names(rig.folder("state/stager/" + folder)) == [], "\(folder)")
        }
        // Once more, as after a restart of slurmctld: success, or a word that Slurm takes for it.
        #expect(try rig.wlm("teardown", "--token", "83") == StagerRig.Said(status: 1, text: "token not found"))
        #expect(try rig.wlm("data_out", "--token", "83") == StagerRig.Said(status: 1, text: "No matching session"))
    }

    @Test func everyVerbBearsToBeCalledTwice() throws {
        let rig = try StagerRig()
        rig.fill(files: 5)
        try rig.start()
        for _ in 0..<2 { #expect(try rig.setUp("7", rig.script) == .done) }
        for verb in ["data_in", "pre_run", "pre_run", "post_run", "data_out"] {
            for _ in 0..<2 { #expect(try rig.wlm(verb, "--token", "7") == .done, "\(verb)") }
        }
        #expect(try rig.wlm("teardown", "--token", "7") == .done)
        // The same job runs again.
        #expect(try rig.setUp("7", rig.script) == .done)
        #expect(try rig.session("7")?["generation"].number == 2)
    }

    @Test func aCopyThatNobodyWaitsForIsAskedAfter() throws {
        let rig = try StagerRig()
        rig.fill(files: 10)
        try rig.start()
        #expect(try rig.setUp("9", rig.script) == .done)
        #expect(try rig.wlm("test_data_in", "--token", "9").text == "data_in was not begun")
        #expect(try rig.wlm("data_in", "--token", "9", "--no-wait") == .done)
        #expect(
            Wait.until {
                let said = try? rig.wlm("test_data_in", "--token", "9")
                return said == .done || said.map { $0.status != 0 || $0.text != "BUSY" } ?? false
            })
        #expect(try rig.wlm("test_data_in", "--token", "9") == .done)
        #expect(try rig.phase("9") == "staged-in")
    }

    @Test func whatFailsIsSaidInOneLineAndGoesOnWhenMended() throws {
        let rig = try StagerRig()
        try rig.start()
        let script = """
            #!/bin/bash
            #DW jobdw type=scratch capacity=1MiB access_mode=striped
            #DW stage_in type=file source=\(rig.source)/missing destination=$DW_JOB_STRIPED/there
            true

            """
        #expect(try rig.setUp("5", script, megabytes: 1) == .done)
        let said = try rig.wlm("data_in", "--token", "5")
        #expect(said.status == 1)
        #expect(said.text.utf8.count <= 200 && !said.text.contains("\n") && !said.text.contains("'"), "\(said.text)")
        #expect(said.text.contains("ENOENT") && said.text.contains("missing"), "\(said.text)")
        #expect(try rig.phase("5") == "stage-in-failed")
        rig.folder.write("now\n", to: "source/missing")
        StagerRig.give(rig.source)
        #expect(try rig.ask(.stageOrder(.retry(token: "5"))) == .done)
        #expect(Wait.until { (try? rig.phase("5")) == "staged-in" })
        // What the user is told to look at is his, and goes with the session.
        #expect(try rig.ask(.stageOrder(.retry(token: "5"))).text == "nothing of 5 has failed")
        #expect(try rig.ask(.stageOrder(.retry(token: "6"))).text == "token not found")
    }

    @Test(arguments: [
        ("capacity=3.5GiB", "line 2"), ("capacity=-1GiB", "line 2"), ("capacity=1GiB pool=fast", "pool fast"),
        ("capacity=10TiB", "in all"), ("capacity=1GiB type=cache pfs=/lus", "cache"),
    ])
    func whatCannotBeServedIsRefusedAtSubmission(words: String, place: String) throws {
        let rig = try StagerRig()
        try rig.start()
        let kind = words.contains("type=") ? "" : " type=scratch"
        let said = try rig.wlm(
            "job_process", script: "#!/bin/sh\n#DW jobdw\(kind) \(words) access_mode=striped\ntrue\n")
        #expect(said.status == 1)
        #expect(said.text.contains(place), "\(said.text)")
        #expect(!said.text.contains("'") && said.text.utf8.count <= 200)
        #expect(try rig.staging()["sessions"].elements == [])
    }

    @Test func othersSeeNothingThatIsPrivateAndMayDoNothing() throws {
        guard Machine.isRoot else { return try requireRoot() }
        let rig = try StagerRig()
        rig.fill(files: 3)
        try rig.start()
        #expect(try rig.setUp("11", rig.script) == .done)
        #expect(try rig.wlm("data_in", "--token", "11") == .done)
        func probe(_ uid: UInt32, _ words: String...) throws -> String {
            let result = try PipedProgram.run(
                ["/usr/bin/setpriv", "--reuid", "\(uid)", "--regid", "\(uid)", "--clear-groups", rig.probe, rig.socket]
                    + words, environment: [:])
            return result.text + result.errorText
        }
        for verb in ["show_sessions", "show_instances", "show_configurations"] {
            #expect(try probe(Machine.stranger, "dw_wlm_cli", "--function", verb).contains("permission denied"))
        }
        #expect(try probe(Machine.stranger, "dw_wlm_cli", "--function", "pools").contains("nvme"))
        for verb in ["teardown", "data_out", "post_run", "real_size"] {
            let said = try probe(Machine.stranger, "dw_wlm_cli", "--function", verb, "--token", "11")
            #expect(said.contains("permission denied"), "\(verb): \(said)")
        }
        // Slurm asks for whoever wants to know.
        for uid in [0, Machine.stranger] {
            #expect(try !probe(uid, "dwstat", "all").contains(rig.folder.path))
        }
        #expect(try probe(Machine.stranger, "dwstat", "sessions").contains("11"))
        #expect(try !probe(Machine.stranger, "staging").contains("\"progress\""))
        #expect(try probe(Machine.owner, "staging").contains("\"progress\""))
        // The buffer itself.
        #expect(try rig.wlm("pre_run", "--token", "11") == .done)
        let look = try PipedProgram.run(
            [
                "/usr/bin/setpriv", "--reuid", "\(Machine.stranger)", "--regid", "\(Machine.stranger)",
                "--clear-groups", "/bin/ls", rig.mounted("11"),
            ], environment: [:])
        #expect(look.end != .exited(0))
        #expect(try rig.phase("11") == "running")
    }

    private func requireRoot() throws {
        if getenv("BURST_CI").map({ String(cString: $0) }) == "1" {
            throw HarnessError("this has to be tried as root")
        }
    }

    @Test func persistentBuffersAreSharedAsTheirOwnerSays() throws {
        guard Machine.isRoot else { return try requireRoot() }
        let rig = try StagerRig()
        rig.fill(files: 4)
        try rig.start()
        func create(_ name: String, _ capacity: String = "nvme:8388608") throws -> StagerRig.Said {
            try rig.wlm(
                "create_persistent", "-c", "CLI", "-t", name, "-u", "\(Machine.owner)", "--groupid",
                "\(Machine.group)", "-C", capacity)
        }
        #expect(try create("alpha") == StagerRig.Said(status: 0, text: "created"))
        #expect(try create("alpha") == StagerRig.Said(status: 0, text: "created"))
        #expect(try create("alpha", "nvme:16777216").text == "a buffer named alpha exists already")
        #expect(try create("1st").status == 1)
        #expect(try rig.wlm("show_sessions").text.contains(#""token": "alpha""#))
        func script(_ line: String) -> String {
            "#!/bin/bash\n#DW persistentdw name=alpha\n\(line)\ntrue\n"
        }
        let copies = "#DW stage_in type=directory source=\(rig.source) destination=$DW_PERSISTENT_STRIPED_alpha/in"
        #expect(try rig.setUp("21", script(copies), megabytes: 0) == .done)
        #expect(try rig.wlm("data_in", "--token", "21") == .done)
        #expect(
            try rig.wlm("paths", "--token", "21", "--pathfile", "/tmp/none").lines
                == ["DW_PERSISTENT_STRIPED_alpha=" + rig.mounted("alpha")])
        #expect(try TreeHash(of: rig.mounted("alpha") + "in").differences(from: TreeHash(of: rig.source)) == [])
        // Another user, until he is let in.
        func other() throws -> StagerRig.Said {
            try rig.wlm(
                "setup", "--token", "22", "--caller", "SLURM", "--user", "\(Machine.stranger)", "--groupid",
                "\(Machine.stranger)", "--capacity", "nvme:0", script: script(""))
        }
        func write() throws -> Bool {
            try PipedProgram.run(
                [
                    "/usr/bin/setpriv", "--reuid", "\(Machine.stranger)", "--regid", "\(Machine.stranger)",
                    "--clear-groups", "/bin/sh", "-c", "echo x >\(rig.mounted("alpha"))mine",
                ], environment: [:]
            ).end == .exited(0)
        }
        #expect(try other().text == "persistent buffer alpha: permission denied")
        #expect(try !write())
        let open = StageOrder.access(
            name: "alpha", everyone: false, users: ["\(Machine.stranger)"], groups: [])
        #expect(try rig.ask(.stageOrder(open)) == .done)
        #expect(try other() == .done)
        #expect(try Wait.until { try write() })
        // Destroyed while jobs use it: they keep it until their end.
        #expect(try rig.wlm("teardown", "--token", "alpha") == .done)
        #expect(try !rig.wlm("show_sessions").text.contains("alpha"))
        #expect(rig.folder.exists("state/mnt/alpha_striped_scratch/in/d0/f0"))
        for token in ["21", "22"] { #expect(try rig.wlm("teardown", "--token", token, "--hurry") == .done) }
        #expect(Wait.until { (try? rig.used()) == 0 })
        #expect(Folders.names(rig.folder("pool/buffers")) == [])
    }

    @Test func aTeardownInHasteEndsACopyAtOnce() throws {
        let rig = try StagerRig()
        rig.fill(files: 30)
        try rig.start()
        let isSoon = try Wait.once { () throws -> Bool in
            #expect(try rig.setUp("31", rig.script) == .done)
            for verb in ["data_in", "pre_run", "post_run"] { #expect(try rig.wlm(verb, "--token", "31") == .done) }
            // All of it would take minutes.
            let slow = StageOrder.throttle(token: "31", bytesPerSecond: 2000, filesPerSecond: nil)
            #expect(try rig.ask(.stageOrder(slow)) == .done)
            let waiting = try rig.begin("data_out", "--token", "31")
            #expect(Wait.until { !rig.workers().isEmpty })
            let began = PseudoTerminal.now
            #expect(try rig.wlm("teardown", "--token", "31", "--hurry") == .done)
            let seconds = Double(PseudoTerminal.now - began) / 1e9
            #expect(rig.workers() == [])
            let last = try waiting.next(seconds: Int(Wait.hangSeconds))
            #expect(
                StagerRig.said(last.answer, last.body) == StagerRig.Said(status: 1, text: "No matching session"))
            #expect(Wait.until { (try? rig.used()) == 0 })
            return seconds < 2
        }
        #expect(isSoon)
    }

    @Test func withoutHasteResultsAreSavedFirst() throws {
        let rig = try StagerRig()
        rig.fill(files: 12)
        try rig.start()
        #expect(try rig.setUp("33", rig.script) == .done)
        for verb in ["data_in", "pre_run", "post_run"] { #expect(try rig.wlm(verb, "--token", "33") == .done) }
        let source = try TreeHash(of: rig.source)
        #expect(try rig.wlm("teardown", "--token", "33") == .done)
        #expect(try !rig.wlm("show_sessions").text.contains(#""33""#))
        #expect(Wait.until { (try? rig.used()) == 0 })
        #expect(try TreeHash(of: rig.target).differences(from: source) == [])
    }

    @Test func theConfigurationIsReadAnewAndWhatIsWrongIsRefused() throws {
        let rig = try StagerRig()
        try rig.start()
        let text = rig.folder.text(of: "conf/burst.toml")
        rig.folder.write(text + "\ngranulari = 3\n", to: "conf/burst.toml")
        rig.reload()
        #expect(Wait.until { rig.log.contains("unknown key of [[pool]] \"granulari\"") })
        #expect(try rig.wlm("pools").text.contains("nvme"))
        let second = text.split(separator: "\n").map { line in
            line.hasPrefix("name") ? "name = \"second\"" : line.hasPrefix("path") ? "path = \"/nowhere\"" : String(line)
        }
        rig.folder.write(text + "\n" + second.joined(separator: "\n") + "\n", to: "conf/burst.toml")
        rig.reload()
        // One that cannot be used has nothing free, and says why.
        #expect(Wait.until { (try? rig.wlm("pools").text.contains("second")) == true })
        let pools = try rig.staging()["pools"].elements
        #expect(pools.first { $0["id"].text == "second" }?["free"].number == 0)
        #expect(pools.first { $0["id"].text == "second" }?["unavailable"].text?.contains("/nowhere") == true)
        #expect(pools.first { $0["id"].text == "nvme" }?["unavailable"] == .null)
    }

    @Test func itTakesNoJobs() throws {
        let rig = try StagerRig()
        try rig.start()
        let said = try rig.ask(.submit(Submission(name: "a", workDir: "/")), body: Array("#!/bin/sh\n".utf8))
        #expect(said.text.contains("stager alone"))
    }

    @Test(.enabled(if: Machine.canMount)) func aBufferThatIsFullSaysWhoseRoomItWas() throws {
        let rig = try StagerRig(driver: "tmpfs", megabytes: 64)
        rig.fill(files: 4)
        rig.folder.write([UInt8](repeating: 7, count: 6 << 20), to: "source/large")
        StagerRig.give(rig.source)
        try rig.start()
        let script = rig.script.split(separator: "\n").map {
            $0.contains("jobdw") ? "#DW jobdw type=scratch capacity=4MiB access_mode=striped" : String($0)
        }.joined(separator: "\n")
        #expect(try rig.setUp("41", script, megabytes: 4) == .done)
        let said = try rig.wlm("data_in", "--token", "41")
        #expect(said.status == 1)
        #expect(said.text.contains("ENOSPC") || said.text.contains("full"), "\(said.text)")
        // Others are not in its way.
        #expect(try rig.setUp("42", rig.script) == .done)
        #expect(try rig.wlm("data_in", "--token", "42") == .done)
        #expect(try rig.wlm("teardown", "--token", "41", "--hurry") == .done)
        #expect(Wait.until { (try? rig.used()) == 16 })
    }
}
