import BurstTestSupport
import BurstWire
import Testing

@testable import BurstCommands

/// Texts and exit statuses under Slurm's names: what 26.05 printed (corpus cancel-*, hold-release, requeue, update-job,
/// bb-option, reservation, outage, directive-spelling).
@Suite struct SlurmNamesTests {
    /// - Returns: what was printed, and what the server was asked.
    private func run(
        _ words: [String], answers: [(Answer, [UInt8])] = [(.ok(1), [])], environment: [String: String] = [:],
        files: [String: String] = [:]
    ) throws -> (ran: Ran, asked: [Question.Ask], bodies: [[UInt8]]) {
        let server = try FakeServer { _, _ in answers }
        defer { server.stop() }
        for (name, text) in files { server.folder.write(text, to: name) }
        let words = words.map { files[$0] != nil ? server.folder($0) : $0 }
        let ran = Ran.run(words, on: server.path, environment: environment, folder: server.folder.path)
        return (ran, server.questions, server.bodies)
    }

    private func outcome(_ code: Int32, _ text: String) -> [(Answer, [UInt8])] {
        [(.done(1, [Outcome(job: 1, shown: "1", code: code, text: text)]), [])]
    }

    // MARK: scancel

    @Test func scancelSaysNothingWhenAllIsWell() throws {
        let (ran, asked, _) = try run(["scancel", "--hurry", "1", "7_3"], answers: outcome(0, ""))
        #expect(ran.out == "" && ran.error == "" && ran.status == 0)
        var expected = Command(.cancel, jobs: ["1", "7_3"])
        expected.hurry = true
        #expect(asked == [.command(expected)])
    }

    @Test func scancelOfAnothersJobIsDenied() throws {
        let ran = try run(["scancel", "1"], answers: outcome(2002, "Access/permission denied")).ran
        #expect(ran.error == "scancel: error: Kill job error on job id 1: Access/permission denied\n")
        #expect(ran.status == 210)
    }

    @Test func scancelTellsThatAJobIsOverOnRequestOnly() throws {
        let over = outcome(2021, "Job/step already completing or completed")
        let quiet = try run(["scancel", "1"], answers: over).ran
        #expect(quiet.error == "" && quiet.status == 0)
        let ran = try run(["scancel", "-v", "1"], answers: over).ran
        #expect(
            ran.error == "scancel: Terminating job 1\n"
                + "scancel: error: Kill job error on job id 1: Job/step already completing or completed\n")
        #expect(ran.status == 0)
    }

    @Test func scancelOfAJobThatDoesNotExistFailsForSignalsOnly() throws {
        let unknown = outcome(2017, "Invalid job id specified")
        #expect(try run(["scancel", "999"], answers: unknown).ran.status == 0)
        let refused: [(Answer, [UInt8])] = [
            (.refused(1, code: 2017, text: "Invalid job id specified", notes: []), [])
        ]
        let silent = try run(["scancel", "--hurry", "999"], answers: refused).ran
        #expect(silent.status == 0 && silent.error == "")
        let held = try run(["scontrol", "hold", "999"], answers: refused).ran
        #expect(
            held.error == "Invalid job id specified for job 999\nslurm_suspend error:Invalid job id specified\n")
        for words in [["scancel", "-s", "USR1", "1"], ["scancel", "--batch", "1"]] {
            let ran = try run(words, answers: unknown).ran
            #expect(ran.error == "scancel: error: Kill job error on job id 1: Invalid job id specified\n")
            #expect(ran.status == 1)
        }
    }

    @Test func scancelRefusesWhatIsNoJob() throws {
        let bad = try run(["scancel", "abc"])
        #expect(bad.ran.error == "scancel: error: Invalid job id abc\n" && bad.ran.status == 1 && bad.asked.isEmpty)
        let none = try run(["scancel"])
        #expect(none.ran.error == "scancel: error: No job identification provided\n" && none.ran.status == 1)
    }

    @Test func scancelSendsItsFilters() throws {
        let (ran, asked, _) = try run(
            ["scancel", "--state=stage_out", "-ualice", "-n", "first"], answers: [(.done(1, []), [])],
            environment: ["SCANCEL_HURRY": "1"])
        var expected = Command(.cancel)
        expected.hurry = true
        expected.filters = ["state": "STAGE_OUT", "user": "alice", "name": "first"]
        #expect(asked == [.command(expected)] && ran.status == 0)
    }

    // MARK: scontrol

    @Test func scontrolHoldPrintsARefusalTwice() throws {
        let ran = try run(["scontrol", "release", "4"], answers: outcome(2002, "Access/permission denied")).ran
        #expect(ran.error == "Access/permission denied for job 1\nslurm_suspend error:Access/permission denied\n")
        #expect(ran.status == 1)
    }

    @Test func scontrolRequeueAndSuspendPrintItOnce() throws {
        for verb in ["requeue", "requeuehold", "suspend", "resume"] {
            let (ran, asked, _) = try run(
                ["scontrol", verb, "1"], answers: outcome(2024, "Job is pending execution"))
            #expect(ran.error == "Job is pending execution for job 1\n" && ran.status == 1)
            #expect(asked == [.command(Command(try #require(Command.Verb(rawValue: verb)), jobs: ["1"]))])
        }
    }

    @Test func scontrolUpdate() throws {
        let spec = "#BB_LUA pool=nvme capacity=8GB"
        let (ran, asked, _) = try run(
            ["scontrol", "update", "jobid=2", "BurstBuffer=" + spec],
            answers: outcome(2036, "Requested operation not supported on this system"))
        #expect(ran.error == "Requested operation not supported on this system for job 1\n" && ran.status == 1)
        var expected = Command(.update, jobs: ["2"])
        expected.updates = ["burstbuffer": spec]
        #expect(asked == [.command(expected)])
        let odd = try run(["scontrol", "update", "burstbuffer=nvme"]).ran
        #expect(
            odd.error == "No valid entity in update command\nInput line must include \"NodeName\", "
                + "\"PartitionName\", \"Reservation\", \"JobId\", or \"SlurmctldDebug\"\n")
        #expect(odd.status == 1)
    }

    @Test func scontrolReservations() throws {
        let created = try run(
            ["scontrol", "create", "reservation", "ReservationName=r0", "Users=alice", "BurstBuffer=lua:100GB"],
            answers: [(.body(1), Array("r0".utf8))])
        #expect(created.ran.out == "Reservation created: r0\n" && created.ran.status == 0)
        let fields = ["reservationname": "r0", "users": "alice", "burstbuffer": "lua:100GB"]
        #expect(created.asked == [.reserve(Reserve(verb: "create", fields: fields))])
        #expect(
            try run(["scontrol", "update", "ReservationName=r0", "Duration=5"]).ran.out == "Reservation updated.\n")
        let refused: [(Answer, [UInt8])] = [
            (.refused(1, code: 2053, text: "Requested reservation is invalid", notes: []), [])
        ]
        let ran = try run(["scontrol", "update", "ReservationName=r0", "BurstBuffer="], answers: refused).ran
        #expect(ran.error == "slurm_update error: Requested reservation is invalid\n" && ran.status == 1)
        let deleted = try run(["scontrol", "delete", "reservation=bobs"])
        #expect(deleted.asked == [.reserve(Reserve(verb: "delete", fields: ["reservationname": "bobs"]))])
        #expect(deleted.ran.status == 0 && deleted.ran.out == "")
        #expect(
            try run(["scontrol", "delete", "burstbuffer=nvme"]).ran.error
                == "Invalid deletion entity: burstbuffer=nvme\n")
        let create = try run(["scontrol", "create", "burstbuffer=nvme"]).ran
        #expect(create.error == "scontrol: error: Invalid creation entity: burstbuffer=nvme\n" && create.status == 1)
    }

    @Test func scontrolShowKnowsItsWordsByTheirBeginnings() throws {
        let body: [(Answer, [UInt8])] = [(.body(1), Array("text\n".utf8))]
        let table: [([String], Show)] = [
            (["show", "burst"], .burst(oneLine: false, verbose: false)),
            (["show", "bu"], .burst(oneLine: false, verbose: false)),
            (["-o", "show", "burstbuffer", "1"], .burst(oneLine: true, verbose: false)),
            (["show", "-vv", "BurstBuffer"], .burst(oneLine: false, verbose: true)),
            (["show", "bb"], .status(word: "bbstat", arguments: [])),
            (["show", "BBSTAT", "a"], .status(word: "bbstat", arguments: ["a"])),
            (["show", "dwstat", "two words", "", "x"], .status(word: "dwstat", arguments: ["two words", "", "x"])),
            (["show", "bbstat", "-o"], .status(word: "bbstat", arguments: [])),
            (["show", "job"], .jobs(id: nil, oneLine: false)),
            (["show", "jobs", "7_3", "--oneliner"], .jobs(id: "7_3", oneLine: true)),
            (["show", "config"], .config),
            (["show", "res", "r0"], .reservations(name: "r0", oneLine: false)),
        ]
        for (words, show) in table {
            let (ran, asked, _) = try run(["scontrol"] + words, answers: body)
            #expect(asked == [.show(show)], "\(words)")
            #expect(ran.out == "text\n" && ran.status == 0, "\(words)")
        }
        let odd = try run(["scontrol", "show", "b"]).ran
        #expect(odd.error == "invalid entity:b for keyword:show \n" && odd.status == 1)
    }

    // MARK: squeue

    @Test func squeueAsksWithItsOptions() throws {
        let (ran, asked, _) = try run(
            [
                "squeue", "-h", "-t", "all", "-uAlice,bob", "--form=%i %T", "-j1,2_3", "-S", "-i", "-r", "-l", "-p",
                "x",
                "--name=n", "-A", "a",
            ], answers: [(.body(1), Array("rows\n".utf8))])
        var query = Show.Queue()
        (query.format, query.header, query.jobs, query.users) = ("%i %T", false, ["1", "2_3"], ["Alice", "bob"])
        (query.states, query.sort, query.arrayElements, query.long) = (["all"], "-i", true, true)
        (query.partitions, query.names, query.accounts) = (["x"], ["n"], ["a"])
        #expect(asked == [.show(.queue(query))])
        #expect(ran.out == "rows\n" && ran.status == 0)
    }

    @Test func squeueNamesFieldsThatItDoesNotKnow() throws {
        let ran = try run(["squeue", "-O", "BurstBufferSize"], answers: [(.body(1), Array("\n\n\n".utf8))]).ran
        #expect(ran.error == "squeue: error: Invalid job format specification: BurstBufferSize\n")
        #expect(ran.out == "\n\n\n" && ran.status == 0)
    }

    @Test func squeueOfAJobThatDoesNotExist() throws {
        let ran = try run(
            ["squeue", "-j", "99"],
            answers: [(.refused(1, code: 2017, text: "Invalid job id specified", notes: []), [])]
        ).ran
        #expect(ran.error == "slurm_load_jobs error: Invalid job id specified\n" && ran.status == 1)
        #expect(try run(["squeue", "--zzz"]).ran.error.hasPrefix("squeue: unrecognized option '--zzz'\n"))
    }

    // MARK: sbatch

    static let script = "#!/bin/sh\n#SBATCH -J first -t 5\n#BB_LUA pool=nvme capacity=4GB\nsleep 1\n"

    @Test func sbatchSubmitsAndPrintsTheNumber() throws {
        let (ran, asked, bodies) = try run(
            ["sbatch", "--comment=a b", "-N2", "job.sh"], answers: [(.submitted(1, job: 7, notes: []), [])],
            environment: ["HOME": "/home/alice"], files: ["job.sh": Self.script])
        #expect(ran.out == "Submitted batch job 7\n" && ran.error == "" && ran.status == 0)
        guard case .submit(let submission)? = asked.first else {
            Issue.record("nothing submitted: \(asked)")
            return
        }
        #expect(submission.name == "first" && submission.timeLimitMinutes == 5 && submission.nodes == 2)
        #expect(submission.comment == "a b" && submission.environment.contains("HOME=/home/alice"))
        #expect(
            submission.command.hasSuffix("/job.sh") && submission.submitLine?.hasPrefix("sbatch --comment=a b") == true)
        #expect(bodies == [Array(Self.script.utf8)])
    }

    @Test func sbatchPrintsARefusalAsSlurmDoes() throws {
        let ran = try run(
            ["sbatch", "job.sh"],
            answers: [
                (
                    .refused(
                        1, code: 2092, text: "Burst Buffer permission denied", notes: ["User not found in AllowUsers"]),
                    []
                )
            ], files: ["job.sh": Self.script]
        ).ran
        #expect(
            ran.error == "sbatch: error: User not found in AllowUsers\n"
                + "sbatch: error: Batch job submission failed: Burst Buffer permission denied\n")
        #expect(ran.status == 1 && ran.out == "")
    }

    @Test func sbatchRefusesItselfWhatIsNoBatchScript() throws {
        let shell = try run(["sbatch", "job.sh"], files: ["job.sh": "sleep 1\n"])
        #expect(
            shell.ran.error == "sbatch: error: This does not look like a batch script.  The first\n"
                + "sbatch: error: line must start with #! followed by the path to an interpreter.\n"
                + "sbatch: error: For instance: #!/bin/sh\n")
        #expect(shell.ran.status == 1 && shell.asked.isEmpty)
        let dos = try run(["sbatch", "job.sh"], files: ["job.sh": "#!/bin/sh\r\nsleep 1\r\n"])
        #expect(
            dos.ran.error == "sbatch: error: Batch script contains DOS line breaks (\\r\\n)\n"
                + "sbatch: error: instead of expected UNIX line breaks (\\n).\n")
        #expect(dos.ran.status == 1 && dos.asked.isEmpty)
    }

    /// As Slurm 22.05's sbatch ended when it was asked.
    @Test(arguments: [
        ("--nosuch", 255), ("--time=abc", 255), ("-Nq", 255), ("--begin=never", 255), ("--mail-type=zz", 255),
        ("--open-mode=x", 255), ("-cx", 1), ("-n0", 1),
    ])
    func sbatchEndsAsSlurmsDoesWhereItsOptionsAreWrong(option: String, status: Int32) throws {
        let bad = try run(["sbatch", option, "job.sh"], files: ["job.sh": Self.script])
        #expect(bad.ran.status == status, "\(bad.ran.error)")
        #expect(bad.ran.error.hasPrefix("sbatch: error: ") && bad.ran.error.split(separator: "\n").count == 1)
        #expect(bad.asked.isEmpty)
    }

    @Test func sbatchTakesBurstBuffersFromOptionAndFile() throws {
        let answer: [(Answer, [UInt8])] = [(.submitted(1, job: 7, notes: []), [])]
        let spec = "#BB_LUA pool=nvme capacity=3GB"
        let option = try run(["sbatch", "--bb=" + spec, "job.sh"], answers: answer, files: ["job.sh": Self.script])
        guard case .submit(let submission)? = option.asked.first else {
            Issue.record("nothing submitted")
            return
        }
        #expect(submission.burstBuffer == spec && option.bodies == [Array(Self.script.utf8)])
        let server = try FakeServer { _, _ in answer }
        defer { server.stop() }
        server.folder.write(Self.script, to: "job.sh")
        server.folder.write(spec + "\n", to: "spec")
        server.folder.write("", to: "empty")
        func sbatch(_ option: String...) -> Ran {
            Ran.run(["sbatch"] + option + [server.folder("job.sh")], on: server.path, folder: server.folder.path)
        }
        #expect(sbatch("--bbf=" + server.folder("spec")).status == 0)
        let inserted = Self.script.split(separator: "\n", maxSplits: 1)
        #expect(server.bodies == [Array("\(inserted[0])\n\(spec)\n\(inserted[1])".utf8)])
        for bad in [server.folder("empty"), server.folder("missing"), server.folder.path] {
            #expect(sbatch("--bbf=" + bad).error == "sbatch: error: Invalid --bbf specification\n")
        }
        let both = sbatch("--bb=" + spec, "--bbf=" + server.folder("spec"))
        #expect(both.error == "sbatch: error: Cannot specify both --burst-buffer and --bbf\n" && both.status == 1)
        #expect(server.questions.count == 1)
    }

    @Test func scriptBytesAreSentAsTheyAre() throws {
        let server = try FakeServer { _, _ in [(.submitted(1, job: 1, notes: []), [])] }
        defer { server.stop() }
        let script = Array("#!/bin/sh\n# gr".utf8) + [0xf6, 0xdf] + Array("e\n".utf8)
        server.folder.write(script, to: "latin1.sh")
        _ = Ran.run(["sbatch", server.folder("latin1.sh")], on: server.path)
        #expect(server.bodies == [script])
    }

    // MARK: Nobody there

    @Test func withoutBurstdTheTextsAreThoseOfAnOutage() throws {
        let folder = try TemporaryFolder("burst-cli")
        folder.write(Self.script, to: "job.sh")
        let path = folder("nobody")
        let text = "Unable to contact slurm controller (connect failure)"
        let table: [([String], String, String, Int32)] = [
            (["scontrol", "show", "burst"], "", "slurm_load_burst_buffer_info error: \(text)\n", 1),
            (["scontrol", "-o", "show", "burst"], "", "slurm_load_burst_buffer_info error: \(text)\n", 1),
            (["scontrol", "-Q", "show", "burst"], "", "", 1),
            (["scontrol", "show", "bbstat"], "", "slurm_load_burst_buffer_stat error: \(text)\n", 1),
            (["scontrol", "show", "job"], "", "slurm_load_jobs error: \(text)\n", 1),
            (["squeue"], "", "slurm_load_jobs error: \(text)\n", 1),
            (["scancel", "1"], "", "scancel: error: Kill job error on job id 1: \(text)\n", 8),
            (["scontrol", "ping"], "Slurmctld(primary) at \(Invocation.hostName) is DOWN\n", "", 1),
            (["sbatch", folder("job.sh")], "", "sbatch: error: Batch job submission failed: \(text)\n", 1),
        ]
        for (words, out, error, status) in table {
            let ran = Ran.run(words, on: path)
            #expect(ran.out == out && ran.error == error && ran.status == status, "\(words)")
        }
        let ours = Ran.run(["burst", "queue"], on: path)
        #expect(ours.status == 1 && ours.error.split(separator: "\n").count == 1)
        #expect(ours.error.contains(path) && ours.error.contains("--socket"))
    }
}
