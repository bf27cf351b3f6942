import BurstDataWarp
import BurstStageClient
import BurstTestSupport
import BurstWire
import Glibc
import Testing

/// `dw_wlm_cli` and `dwstat` against a server that does what the test wants.
@Suite(.timeLimit(.minutes(15))) struct StageClientTests {
    private static func run(
        _ line: String, on path: String, program: StageCall.Program = .wlm, patience: Patience? = nil
    ) -> StageClient.Reply {
        StageClient(
            program, arguments: line.split(separator: " ").map(String.init), socket: path, patience: patience
        ).run()
    }

    /// A failure that Slurm can show, whatever it holds.
    private static func isLine(_ reply: StageClient.Reply) -> Bool {
        let text = String(decoding: reply.output, as: UTF8.self)
        return reply.status != 0 && text.last == "\n" && text.count(where: \.isNewline) == 1 && text.utf8.count <= 201
            && !text.contains("'") && text.first != "{"
    }

    private static func text(_ reply: StageClient.Reply) -> String { String(decoding: reply.output, as: UTF8.self) }

    private static let soon = Patience(total: 1500, away: 700)

    // MARK: What is asked

    @Test func wordsScriptAndNodesTravelAsTheyAre() throws {
        let server = try StageServer(answers: "")
        server.folder.write("#!/bin/bash\n#DW jobdw capacity=1GiB\n\u{0}", to: "script")
        server.folder.write("n1\nn2\n", to: "nodes")
        let (script, nodes) = (server.folder("script"), server.folder("nodes"))
        let line =
            "--function setup --token 83 --caller SLURM --user 1001 --groupid 1002 --capacity p:1GiB --job \(script)"
            + " --nodehostnamefile \(nodes)"
        #expect(Self.run(line, on: server.path) == StageClient.Reply())
        var call = StageCall(.wlm, arguments: line.split(separator: " ").map(String.init))
        call.hasScript = true
        call.nodes = ["n1", "n2"]
        #expect(server.calls.map(\.call) == [call])
        #expect(server.calls.map(\.body) == [Array("#!/bin/bash\n#DW jobdw capacity=1GiB\n\u{0}".utf8)])
    }

    /// For most tasks of an array Slurm names files that were never there.
    @Test(arguments: ["data_in", "post_run", "data_out", "teardown", "pre_run"])
    func aScriptThatCannotBeReadIsNone(verb: String) throws {
        let server = try StageServer(answers: "fine\n")
        server.folder.makeFolder("folder")
        mkfifo(server.folder("pipe"), 0o600)
        for name in ["nothing/script", "folder", "pipe"] {
            let reply = Self.run("--function \(verb) --token 83 --job \(server.folder(name))", on: server.path)
            #expect(reply == StageClient.Reply(output: Array("fine\n".utf8)))
        }
        #expect(server.calls.allSatisfy { !$0.call.hasScript && $0.body.isEmpty })
        #expect(server.calls.count == 3)
    }

    @Test func aScriptThatIsTooLargeIsRefused() throws {
        let server = try StageServer(answers: "")
        let file = fopen(server.folder("script"), "w")
        fclose(file)
        truncate(server.folder("script"), 16 << 20)
        let reply = Self.run("--function job_process --job \(server.folder("script"))", on: server.path)
        #expect(Self.isLine(reply) && Self.text(reply).hasSuffix(" is larger than 15 MiB: shorten it\n"))
        #expect(server.calls.isEmpty)
    }

    /// One release decides what a call is: the daemon's.
    @Test func callsThatWeDoNotKnowAreAskedToo() throws {
        let server = try StageServer(answers: "no function dance\n", status: 1)
        let reply = Self.run("--function dance --tango", on: server.path)
        #expect(reply == StageClient.Reply(status: 1, output: Array("no function dance\n".utf8)))
        #expect(server.calls.map(\.call.arguments) == [["--function", "dance", "--tango"]])
        let long = String(repeating: "x", count: 300 << 10)
        #expect(Self.isLine(Self.run("--function \(long)", on: server.path)))
        #expect(Self.isLine(Self.run(long, on: server.path, program: .dwstat)))
        #expect(server.calls.count == 1)
    }

    @Test func helpNeedsNoDaemon() {
        #expect(Self.run("--help", on: "/nowhere/s") == StageClient.Reply(output: Array(StagerCall.helpText.utf8)))
        let help = Self.run("help", on: "/nowhere/s", program: .dwstat)
        #expect(help == StageClient.Reply(output: Array(DwstatRequest.helpText.utf8)))
    }

    // MARK: What is answered

    @Test func answersComeAsTheyAre() throws {
        let texts = ["", "{\"pools\": []}\n", "created\n", "one\ntwo", String(repeating: "x", count: 3_000_000)]
        for (status, text) in zip([0, 0, 0, 3, 0] as [Int32], texts) {
            let server = try StageServer(answers: text, status: status)
            let reply = Self.run("--function pools", on: server.path)
            #expect(reply.status == status && Self.text(reply) == text)
        }
        let server = try StageServer { _ in .refuse("it's user 7 who may not\n") }
        let reply = Self.run("--function setup", on: server.path)
        #expect(reply == StageClient.Reply(status: 1, output: Array("it`s user 7 who may not\n".utf8)))
    }

    @Test func pathsAreWrittenWhole() throws {
        let lines = ["DW_JOB_STRIPED=/m/83_striped_scratch/", "DW_JOB_PRIVATE=/m/83_private_scratch/"]
        let server = try StageServer(answers: "", lines: lines)
        let file = server.folder("path")
        server.folder.write(String(repeating: "OLD=1\n", count: 1000), to: "path", mode: 0o644)
        let line = "--function paths --job /nothing --token 83 --pathfile "
        #expect(Self.run(line + file, on: server.path) == StageClient.Reply())
        #expect(server.folder.text(of: "path") == lines.map { $0 + "\n" }.joined())
        var status = stat()
        #expect(stat(file, &status) == 0 && status.st_mode & 0o777 == 0o600)
        // Nothing else is left, and the job's script is not needed for it.
        #expect(server.calls.map(\.call.hasScript) == [false])
        // A folder that does not exist: Slurm cannot read the file either, and the job goes on.
        #expect(Self.run(line + server.folder("gone/path"), on: server.path) == StageClient.Reply())
        #expect(!server.folder.exists("gone"))
        // One that is no folder fails.
        #expect(Self.isLine(Self.run(line + file + "/path", on: server.path)))
    }

    @Test func pathsThatFailWriteNothing() throws {
        let server = try StageServer(answers: "no buffer\n", status: 1, lines: ["A=1"])
        server.folder.write("OLD=1\n", to: "path")
        let reply = Self.run("--function paths --token 83 --pathfile \(server.folder("path"))", on: server.path)
        #expect(reply.status == 1 && server.folder.text(of: "path") == "OLD=1\n")
    }

    // MARK: A daemon that goes and comes

    @Test(arguments: ["setup", "data_in", "pre_run", "post_run", "data_out", "teardown", "create_persistent"])
    func aCallThatLosesTheDaemonAsksAgain(verb: String) throws {
        let server = try StageServer { number in
            switch number {
            case 0: .hangUp
            case 1: .end
            default: .answer(status: 0, text: "done \(number)\n")
            }
        }
        let line =
            switch verb {
            case "setup": "-f setup -t 83 -u 1 --groupid 1 -C p:1 --job /s"
            case "create_persistent": "-f create_persistent -t alpha -u 1 -C p:1"
            default: "-f \(verb) -t 83"
            }
        let reply = Self.run(line, on: server.path)
        #expect(reply == StageClient.Reply(output: Array("done 2\n".utf8)))
        #expect(server.calls.count == 3 && Set(server.calls).count == 1)
    }

    @Test func aCallWaitsForADaemonThatStarts() throws {
        let server = try StageServer(starts: false) { _ in .answer(status: 0, text: "up\n") }
        onThread {
            _ = poll(nil, 0, 400)
            try? server.start()
        }
        #expect(Self.run("-f data_in -t 83", on: server.path) == StageClient.Reply(output: Array("up\n".utf8)))
    }

    @Test func aDaemonThatEndsDuringACallIsWaitedFor() throws {
        let server = try StageServer { $0 == 0 ? .silence : .answer(status: 0, text: "again\n") }
        onThread {
            guard Wait.until({ !server.calls.isEmpty }) else { return }
            server.stop()
            _ = poll(nil, 0, 600)
            try? server.start()
        }
        let reply = Self.run("-f data_out -t 83", on: server.path)
        #expect(reply == StageClient.Reply(output: Array("again\n".utf8)))
    }

    @Test func patienceEndsWithOneLine() throws {
        let start = PseudoTerminal.now
        for line in [
            "-f data_in -t 83", "-f setup -t 83 -u 1 --groupid 1 -C p:1 --job /s", "-f job_process --job /s",
            "-f teardown -t 83 --hurry", "nonsense",
        ] {
            let reply = Self.run(line, on: "/nowhere/it's/burstd.sock", patience: Self.soon)
            #expect(Self.isLine(reply), "\(Self.text(reply))")
            #expect(Self.text(reply).hasPrefix("the stager is away: /nowhere/it`s/burstd.sock: "))
        }
        let seconds = Double(PseudoTerminal.now - start) / 1e9
        #expect(seconds >= 5 * 0.7)
    }

    /// No JSON, at once: then Slurm skips the pass and forgets nothing (staging.md §1.10).
    @Test func poolsFailAtOnceAndWithoutJSON() {
        let isSoon = Wait.once {
            let start = PseudoTerminal.now
            let reply = Self.run("--function pools", on: "/nowhere/burstd.sock")
            let seconds = Double(PseudoTerminal.now - start) / 1e9
            #expect(Self.isLine(reply))
            #expect(Self.text(reply) == "the stager is away: /nowhere/burstd.sock: burstd does not run there\n")
            return seconds < 2
        }
        #expect(isSoon)
    }

    @Test(arguments: [("sessions", "s"), ("instances", "i"), ("configurations", "c")])
    func listingsAreTheLastOnesThatWereTold(key: String, row: String) throws {
        let server = try StageServer(starts: false) { _ in .silence }
        func told() -> StageClient.Reply { Self.run("--function show_\(key)", on: server.path) }
        func document(_ rows: String) -> StageClient.Reply {
            StageClient.Reply(output: Array("{\"\(key)\": [\(rows)]}\n".utf8))
        }
        #expect(Self.isLine(told()))
        server.folder.write("", to: "stager/listing")
        #expect(told() == document(""))
        let line = { (id: Int) in "+\(id)\t{s\(id)}\t{i\(id)}, {i\(id)b}\t{c\(id)}\n" }
        let rows = { (id: Int) in row == "i" ? "{i\(id)}, {i\(id)b}" : "{\(row)\(id)}" }
        server.folder.write(line(10) + line(9), to: "stager/listing")
        #expect(told() == document(rows(9) + ", " + rows(10)))
        // One that is over, one without instances, and one that was not written to its end.
        let more = "-10\n+12\t{s12}\t\t\n"
        server.folder.write(line(10) + line(9) + more + line(11).dropLast(), to: "stager/listing")
        #expect(told() == document(rows(9) + (row == "s" ? ", {s12}" : "")))
        // What was not written by us tells nothing.
        for text in ["no listing\n", "+x\ta\tb\tc\n", "+1\ta\n", "-1\ta\n"] {
            server.folder.write(text, to: "stager/listing")
            #expect(Self.isLine(told()))
        }
    }

    @Test func pathsComeFromTheStagersFolder() throws {
        let server = try StageServer(starts: false) { _ in .silence }
        server.folder.write("DW_JOB_STRIPED=/m/83/\n", to: "stager/paths/83")
        server.folder.write("SECRET=1\n", to: "stager/secret")
        let line = "--function paths --pathfile \(server.folder("path")) --token "
        #expect(Self.run(line + "83", on: server.path) == StageClient.Reply())
        #expect(server.folder.text(of: "path") == "DW_JOB_STRIPED=/m/83/\n")
        let start = PseudoTerminal.now
        for token in ["84", "../secret", "."] {
            #expect(Self.isLine(Self.run(line + token, on: server.path)))
        }
        // Slurm stands still meanwhile.
        #expect(Double(PseudoTerminal.now - start) / 1e9 < 3 * 2.5)
        #expect(server.folder.text(of: "path") == "DW_JOB_STRIPED=/m/83/\n")
    }

    @Test func aCopyIsBusyWhileNobodyCanTell() {
        for verb in ["test_data_in", "test_data_out"] {
            let reply = Self.run("--function \(verb) --token 83", on: "/nowhere/s")
            #expect(reply == StageClient.Reply(output: Array("BUSY\n".utf8)))
        }
    }

    // MARK: A daemon that hangs, and one that is none

    @Test func aHangingDaemonIsNotWaitedForForEver() throws {
        for greeting in [StageServer.Greeting.none, .hello] {
            let server = try StageServer(greeting: greeting) { _ in .silence }
            server.folder.write("", to: "stager/listing")
            server.folder.write("A=1\n", to: "stager/paths/83")
            let start = PseudoTerminal.now
            #expect(Self.isLine(Self.run("-f pools", on: server.path, patience: Patience(total: 600, away: 0))))
            #expect(
                Self.run("-f show_sessions", on: server.path, patience: Patience(total: 600, away: 0))
                    == StageClient.Reply(output: Array("{\"sessions\": []}\n".utf8)))
            #expect(Self.isLine(Self.run("-f setup", on: server.path, patience: Self.soon)))
            #expect(Double(PseudoTerminal.now - start) / 1e9 < 20)
            // With the limit that the call has by itself.
            let paths = "-f paths -t 83 --pathfile \(server.folder("path"))"
            let before = PseudoTerminal.now
            #expect(Self.run(paths, on: server.path) == StageClient.Reply())
            #expect(Double(PseudoTerminal.now - before) / 1e9 < 3)
            #expect(server.folder.text(of: "path") == "A=1\n")
        }
    }

    @Test(arguments: [StageServer.Greeting.garbage, .refusal])
    func whatIsNotBurstdIsSaid(greeting: StageServer.Greeting) throws {
        let server = try StageServer(greeting: greeting) { _ in .silence }
        for line in ["-f pools", "-f setup"] {
            let reply = Self.run(line, on: server.path, patience: line == "-f pools" ? nil : Self.soon)
            #expect(Self.isLine(reply), "\(Self.text(reply))")
        }
    }

    @Test func garbageIsNoAnswer() throws {
        for bytes in [[0xff, 0xff, 0xff, 0xff], [0, 0, 0, 6, 0, 0, 0, 2, 0x7b, 0x7d], Array("{}\n".utf8)] as [[UInt8]] {
            let server = try StageServer { $0 < 1 ? .garbage(bytes) : .answer(status: 0, text: "well\n") }
            let reply = Self.run("-f data_in -t 83", on: server.path, patience: Patience(total: 4000, away: 4000))
            // Bytes that may yet become a frame are waited for.
            let isOpen = bytes == Array("{}\n".utf8)
            #expect(isOpen ? Self.isLine(reply) : Self.text(reply) == "well\n", "\(bytes): \(Self.text(reply))")
        }
        let server = try StageServer { _ in .garbage([0xff, 0xff, 0xff, 0xff]) }
        #expect(Self.isLine(Self.run("-f pools", on: server.path)))
    }

    // MARK: dwstat

    private static let most = """
            pool units quantity     free    gran
        wlm_pool bytes 58.22TiB 57.77TiB 458GiB

        sess state token creator owner             created expiration nodes
         832 CA---    83   SLURM 12345 2015-09-08T16:20:36      never    20

        did not find any instances

        """

    @Test func dwstatTellsWhatWasToldLast() throws {
        let server = try StageServer(starts: false) { _ in .silence }
        #expect(Self.isLine(Self.run("pools", on: server.path, program: .dwstat)))
        server.folder.write(Self.most, to: "stager/dwstat")
        var times = [timespec(tv_sec: 1_790_000_000, tv_nsec: 0), timespec(tv_sec: 1_790_000_000, tv_nsec: 0)]
        utimensat(AT_FDCWD, server.folder("stager/dwstat"), &times, 0)
        let note = "\nthe stager is away: this is of 2026-09-21T14:13:20Z\n"
        let parts = Self.most.components(of: "\n\n")
        #expect(Self.text(Self.run("", on: server.path, program: .dwstat)) == parts[0] + "\n" + note)
        #expect(
            Self.text(Self.run("sessions pools", on: server.path, program: .dwstat))
                == parts[1] + "\n\n" + parts[0] + "\n" + note)
        #expect(Self.text(Self.run("most", on: server.path, program: .dwstat)) == Self.most + note)
        #expect(Self.text(Self.run("nodes", on: server.path, program: .dwstat)) == String(note.dropFirst()))
        // What was not kept is not made up.
        #expect(Self.isLine(Self.run("json", on: server.path, program: .dwstat)))
        #expect(Self.isLine(Self.run("$(reboot)", on: server.path, program: .dwstat)))
    }

    @Test func dwstatAsksInTime() throws {
        let server = try StageServer { _ in .silence }
        server.folder.write(Self.most, to: "stager/dwstat")
        let start = PseudoTerminal.now
        #expect(Self.run("", on: server.path, program: .dwstat).status == 0)
        #expect(Double(PseudoTerminal.now - start) / 1e9 < 2)
        #expect(server.calls.map(\.call) == [StageCall(.dwstat, arguments: [])])
    }
}

extension String {
    fileprivate func components(of separator: String) -> [String] {
        split(separator: separator, omittingEmptySubsequences: false).map(String.init)
    }
}
