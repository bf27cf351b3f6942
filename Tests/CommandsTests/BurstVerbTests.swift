import BurstModel
import BurstTestSupport
import BurstWire
import Testing

@testable import BurstCommands

@Suite struct BurstVerbTests {
    private func run(
        _ words: [String], progressWidth: Int? = nil, _ script: @escaping FakeServer.Script
    ) throws -> (ran: Ran, asked: [Question.Ask], folder: TemporaryFolder) {
        let server = try FakeServer(script)
        defer { server.stop() }
        server.folder.write("#!/bin/sh\necho hello\n", to: "job.sh")
        let ran = Ran.run(
            words.map { $0 == "job.sh" ? server.folder($0) : $0 }, on: server.path, folder: server.folder.path,
            progressWidth: progressWidth)
        return (ran, server.questions, server.folder)
    }

    @Test func submitPrintsTheNumberAlone() throws {
        let plain = try run(["burst", "submit", "-J", "n", "job.sh"]) { _, _ in
            [(.submitted(1, job: 7, notes: ["odd"]), [])]
        }
        #expect(plain.ran.out == "7\n" && plain.ran.error == "burst: odd\n" && plain.ran.status == 0)
        guard case .submit(let submission)? = plain.asked.first else {
            Issue.record("nothing submitted")
            return
        }
        #expect(submission.name == "n")
        let json = try run(["burst", "submit", "--json", "job.sh"]) { _, _ in [(.submitted(1, job: 7, notes: []), [])] }
        #expect(json.ran.out == "{\"job_id\":7}\n")
    }

    @Test func runStreamsTheOutputAndEndsAsTheJobDid() throws {
        let output = try TemporaryFolder("burst-cli")
        output.write("hello\n", to: "out")
        let path = output("out")
        let (ran, asked, _) = try run(["burst", "run", "job.sh"], progressWidth: 80) { question, _ in
            switch question.ask {
            case .submit: return [(.submitted(question.id, job: 7, notes: []), [])]
            case .show: return [(.body(question.id), Array("JobId=7\n   StdOut=\(path)\n".utf8))]
            case .wait:
                var progress = Progress(job: 7, state: "staging-in")
                (progress.bytesDone, progress.bytesTotal) = (512, 1024)
                return [
                    (.progress(question.id, progress), []),
                    (.ended(question.id, status: 3 << 8, jobState: "FAILED", bufferState: "complete"), []),
                ]
            default: return [(.ok(question.id), [])]
            }
        }
        #expect(ran.out == "hello\n" && ran.status == 3)
        #expect(ran.error.contains("staging-in") && ran.error.contains("50%"))
        #expect(ran.error.hasSuffix("burst: job 7: FAILED, exit code 3:0\n"))
        #expect(asked.contains(.wait(job: 7, untilStagedOut: true)))
    }

    @Test func waitTellsSignalsAndRefusals() throws {
        let killed = try run(["burst", "wait", "7"]) { question, _ in
            [(.ended(question.id, status: 15, jobState: "CANCELLED", bufferState: nil), [])]
        }
        #expect(killed.ran.status == 128 + 15 && killed.ran.error.contains("CANCELLED"))
        let unknown = try run(["burst", "wait", "9"]) { question, _ in
            [(.refused(question.id, code: 2017, text: "Invalid job id specified", notes: []), [])]
        }
        #expect(unknown.ran.error == "burst: job 9: Invalid job id specified\n" && unknown.ran.status == 1)
    }

    @Test func noProgressWithoutATerminal() throws {
        let ran = try run(["burst", "wait", "7"]) { question, _ in
            [
                (.progress(question.id, Progress(job: 7, state: "staging-in")), []),
                (.ended(question.id, status: 0, jobState: "COMPLETED", bufferState: nil), []),
            ]
        }.ran
        #expect(ran.error == "" && ran.out == "" && ran.status == 0)
    }

    @Test func cancelNamesWhatFailed() throws {
        let outcomes = [
            Outcome(job: 7, shown: "7", code: 0, text: ""),
            Outcome(job: 9, shown: "8_3", code: 2002, text: "Access/permission denied"),
        ]
        let (ran, asked, _) = try run(["burst", "cancel", "--hurry", "7", "8_3"]) { _, _ in [(.done(1, outcomes), [])] }
        #expect(ran.error == "burst: job 8_3: Access/permission denied\n" && ran.status == 1)
        var expected = Command(.cancel, jobs: ["7", "8_3"])
        expected.hurry = true
        #expect(asked == [.command(expected)])
        let json = try run(["burst", "cancel", "--json", "7", "8_3"]) { _, _ in [(.done(1, outcomes), [])] }.ran
        let rows = try JSON(Array(json.out.utf8)).elements
        #expect(rows.map { $0.members["code"]?.number } == [0, 2002] && rows[1].members["id"]?.text == "8_3")
        let odd = try run(["burst", "cancel", "x"]) { _, _ in [] }
        #expect(odd.ran.status == 64 && odd.asked.isEmpty && odd.ran.error.contains("x is no job id"))
    }

    @Test func showPassesTheTextOn() throws {
        let (ran, asked, _) = try run(["burst", "show", "-v", "burst"]) { _, _ in [(.body(1), Array("Name=lua\n".utf8))]
        }
        #expect(ran.out == "Name=lua\n" && asked == [.show(.burst(oneLine: false, verbose: true))])
        let json = try run(["burst", "show", "burst", "--json"]) { question, _ in
            guard case .list(let list) = question.ask else { return [(.ok(question.id), [])] }
            return [(.body(question.id), Array("{\"\(list.rawValue)\":[]}".utf8))]
        }.ran
        #expect(json.out == "{\"pools\":[],\"buffers\":[],\"users\":[]}\n")
        #expect(try run(["burst", "show", "nodes"]) { _, _ in [] }.ran.status == 64)
    }

    static let call = """
        {"call":4,"function":"slurm_bb_setup","job_id":7,"arguments":["7","1001"],"at":"2026-11-22T22:10:12.345Z",\
        "outcome":"failure","status":1,"message":"disk on\\nfire","printed":"\\u001b[31mred\\n","pid":4711,\
        "duration_microseconds":12345}
        """

    @Test func traceIsOneLineACall() throws {
        let text = Self.call.split(separator: "\n").joined() + "\n"
        let ran = try run(["burst", "trace", "7"]) { _, _ in [(.body(1), Array(text.utf8))] }.ran
        #expect(ran.status == 0 && ran.out.split(separator: "\n").count == 1)
        #expect(
            ran.out.hasSuffix(
                "  job 7     slurm_bb_setup(\"7\", \"1001\")  pid 4711  12.3 ms  failure 1: disk on\\nfire  | ?[31mred\n"
            ))
        let json = try run(["burst", "trace", "--json"]) { _, _ in [(.body(1), Array(text.utf8))] }.ran
        #expect(json.out == text)
    }

    @Test func historyPutsActionsAndChangesInOrder() throws {
        let changes = """
            {"changes":[{"at":"2026-11-22T22:10:12.345Z","job_id":7,"user_id":1001,"state":"PENDING",
            "burst_buffer_state":"staging-in","reason":"None","pool":"nvme","size":4294967296},
            {"at":"2026-11-22T22:10:14.000Z","job_id":8,"user_id":1001,"state":"RUNNING","reason":"None","size":0}]}
            """
        let actions = """
            {"actions":[{"at":"2026-11-22T22:10:11.000Z","user_id":1001,"verb":"submit","job_id":7,"outcome":"ok"}]}
            """
        let script: FakeServer.Script = { question, _ in
            let text = question.ask == .list(.changes) ? changes : actions
            return [(.body(question.id), Array(text.utf8))]
        }
        let lines = try run(["burst", "history"], script).ran.out.split(separator: "\n")
        #expect(lines.count == 3)
        #expect(lines[0].hasSuffix("uid 1001: submit: ok") && lines[2].contains("RUNNING"))
        #expect(lines[1].hasSuffix("job 7     PENDING     staging-in   nvme 4GiB"))
        #expect(try run(["burst", "history", "8"], script).ran.out.split(separator: "\n").count == 1)
        #expect(try run(["burst", "history", "--since", "1h"], script).ran.out.split(separator: "\n").count <= 3)
        #expect(try run(["burst", "history", "--since", "zz"], script).ran.status == 64)
    }

    @Test func helpHasExamples() throws {
        for verb in ["run", "submit", "cancel", "trace", "history", "queue", "show"] {
            let ran = try run(["burst", verb, "--help"]) { _, _ in [] }.ran
            #expect(ran.status == 0 && ran.out.contains("EXAMPLE"), "\(verb)")
        }
        #expect(try run(["burst", "--version"]) { _, _ in [] }.ran.out == "burst 0.1\n")
    }

    @Test func progressFitsItsLine() {
        let line = ProgressLine(isASCII: true, hasColor: false)
        var progress = Progress(job: 7, state: "staging-out")
        let unknown = (0..<40).map { line.text(progress, beat: $0, width: 80) }
        #expect(Set(unknown).count > 10 && unknown.allSatisfy { $0.contains("###") && !$0.contains("%") })
        (progress.bytesDone, progress.bytesTotal, progress.filesDone, progress.filesTotal) = (3 << 30, 4 << 30, 9, 12)
        (progress.bytesPerSecond, progress.secondsLeft) = (104_857_600, 3725)
        #expect(
            line.text(progress, beat: 0, width: 120)
                == "[###############.....]  75%  job 7  staging-out  3.0 GiB/4.0 GiB  9/12 files  100 MiB/s  ETA 1:02:05"
        )
        #expect(line.text(progress, beat: 0, width: 20).count < 20)
        #expect(ProgressLine(isASCII: false, hasColor: true).text(progress, beat: 0, width: 120).contains("█"))
        let plain = ProgressLine(environment: ["NO_COLOR": "1", "LANG": "C"])
        #expect(plain.isASCII && !plain.hasColor)
    }

    @Test func linksAreMadeAndNothingIsOverwritten() throws {
        let folder = try TemporaryFolder("burst-cli")
        #expect(Ran.run(["burst", "install-links", folder.path], on: "/").status == 0)
        for name in ["sbatch", "scancel", "scontrol", "squeue"] { #expect(folder.exists(name)) }
        #expect(Ran.run(["burst", "install-links", folder.path], on: "/").status == 1)
        #expect(Ran.run(["burst", "install-links", "--force", folder.path], on: "/").status == 0)
    }
}

@Suite struct OptionReaderTests {
    static let options: [OptionReader.Option] = [
        .init("verbose", "v"), .init("version", "V"), .init("user", "u", .required), .init("json", nil, .optional),
    ]

    @Test func optionsAndWordsInAnyOrder() throws {
        let read = try OptionReader(
            ["a", "-vv", "--us", "x", "-uy", "b", "--json=1", "--", "-v"], options: Self.options)
        #expect(read.words == ["a", "b", "-v"] && read.count("verbose") == 2)
        #expect(read.list("user") == ["x", "y"] && read.value("user") == "y" && read.value("json") == "1")
    }

    @Test func faultsHaveTheWordsOfGetopt() {
        let table: [([String], String)] = [
            (["--zzz"], "unrecognized option '--zzz'"), (["-z"], "invalid option -- 'z'"),
            (["-u"], "option requires an argument -- 'u'"), (["--user"], "option '--user' requires an argument"),
            (["--verbose=1"], "option '--verbose' doesn't allow an argument"),
            (["--ver"], "option '--ver' is ambiguous; possibilities: '--verbose' '--version'"),
        ]
        for (words, text) in table {
            #expect(throws: OptionReader.Fault(text: text)) { _ = try OptionReader(words, options: Self.options) }
        }
    }
}
