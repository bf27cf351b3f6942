import BurstTestSupport
import CSys
import Glibc
import Testing

/// Folders copied by dcp or dsync, and compared by us (staging.md §4.8). The tools are stand-ins.
@Suite(.serialized) struct ToolCopyTests {
    private func bench() throws -> StageBench {
        let bench = try StageBench()
        bench.makeFiles(folders: 3, files: 6, bytes: 20_000)
        bench.makeLink("\(bench.source)/folder1/link", to: "../folder0/file1")
        bench.makeFolder("\(bench.source)/empty", mode: 0o710)
        bench.makeFile("\(bench.source)/folder2/private", "x".utf8, mode: 0o600)
        return bench
    }

    private func start(
        _ bench: StageBench, _ tool: StandInCopier, _ order: String, more: [String] = []
    ) throws -> PipedProgram {
        let words = bench.arguments + ["--copier", tool.name, "--copier-path", tool.path] + more
        let program = try PipedProgram(words, environment: [:], keepsInput: true)
        program.send(order)
        return program
    }

    private func run(
        _ bench: StageBench, _ tool: StandInCopier, _ order: String, more: [String] = []
    ) throws -> StageBench.Outcome {
        let program = try start(bench, tool, order, more: more)
        program.closeInput()
        return StageBench.Outcome(program.waitForEnd(seconds: 60))
    }

    /// Names that only copies under way have.
    private func strays(_ folder: String) throws -> [String] {
        try TreeHash(of: folder).lines.keys.map { String(decoding: $0, as: UTF8.self) }.filter { $0.contains(".bb") }
    }

    @Test(arguments: ["dcp", "dsync"])
    func aFolderIsCopiedByTheToolAndComparedByUs(name: String) throws {
        let bench = try bench()
        let tool = try StandInCopier(name)
        let outcome = try run(
            bench, tool, bench.order("verify inline"),
            more: ["--copier-option", "--chunksize", "--copier-option", "8MB"])
        #expect(outcome.status == 0, "\(outcome.text) \(outcome.errors)")
        let source = try TreeHash(of: bench.source, includesTop: true)
        #expect(try TreeHash(of: bench.target, includesTop: true).differences(from: source) == [])
        #expect(try strays(bench.buffer) == [])
        let last = try #require(outcome.last)
        #expect(last["result"].text == "complete")
        #expect(last["files_done"].number == 19)
        #expect(last["bytes_verified"].number == 360_001)
        #expect(last["bytes_done"].number == last["bytes_total"].number)
        var highest: Int64 = 0
        for line in outcome.lines.dropLast() {
            let bytes = line["bytes_done"].number ?? -1
            #expect(bytes >= highest && bytes < 360_001, "\(outcome.text)")
            highest = bytes
        }
        let keeps = name == "dcp" ? " --preserve" : ""
        let words = "--sparse --progress 1 --chunksize 8MB"
        #expect(tool.calls == ["\(name)\(keeps) \(words) \(bench.source)/ \(bench.buffer)/.bbcopy.4711-1.0"])
    }

    @Test func whatIsThereAlreadyStaysAndTheWayOutIsTheSame() throws {
        let bench = try bench()
        bench.makeFolder(bench.target)
        bench.makeFile("\(bench.target)/old", "old".utf8)
        let tool = try StandInCopier("dcp")
        #expect(try run(bench, tool, bench.order()).status == 0)
        #expect(bench.folder.text(of: "buffer/in/old") == "old")
        #expect(bench.folder.text(of: "buffer/in/folder2/private") == "x")
        unlink(bench.journal)
        unlink("\(bench.target)/old")
        bench.folder.makeFolder("out")
        chown(bench.folder("out"), bench.owner.uid, bench.owner.gid)
        let out = try run(bench, tool, bench.order(phase: "stage-out"))
        #expect(out.status == 0, "\(out.text)")
        let source = try TreeHash(of: bench.source)
        #expect(try TreeHash(of: bench.folder("out/deep")).differences(from: source) == [])
        #expect(try strays(bench.folder("out")) == [])
    }

    @Test func filesAndListsAreCopiedByUs() throws {
        let bench = try bench()
        bench.makeFile("\(bench.source)/single", "single".utf8)
        bench.makeFile("\(bench.folder("own"))/list", "\(bench.source)/single $DW_JOB_STRIPED/listed\n".utf8)
        let tool = try StandInCopier("dsync")
        let moves = [
            "transfer file pfs:\(bench.source)/single buffer:one", "transfer directory pfs:\(bench.source) buffer:in",
            "transfer list pfs:\(bench.folder("own"))/list buffer:",
        ]
        let outcome = try run(bench, tool, bench.order(transfers: moves))
        #expect(outcome.status == 0, "\(outcome.text)")
        for name in ["one", "listed", "in/single"] {
            #expect(bench.folder.text(of: "buffer/" + name) == "single", "\(name)")
        }
        #expect(tool.calls.count == 1)
    }

    @Test func hardLinksThatTheToolDoesNotKeepAreTold() throws {
        let bench = try bench()
        link("\(bench.source)/folder0/file0", "\(bench.source)/folder0/again")
        let outcome = try run(bench, StandInCopier("dcp"), bench.order("verify readback"))
        #expect(outcome.status == 0, "\(outcome.text)")
        #expect(outcome.last?["degraded"].number == 2)
        let report = bench.folder.text(of: "own/report")
        #expect(report.split(separator: "\n").filter { $0.hasPrefix("degraded\thard link\t") }.count == 2, "\(report)")
    }

    @Test(arguments: [
        ("damage file3", "inline", "file3: the copy differs: content"),
        ("damage file3", "readback", "the copy differs: content"), ("shorten file3", "size", "the copy differs: size"),
        ("leave-out file3", "size", "file3: is missing in the copy"),
        ("leave-out link", "size", "link: is missing in the copy"),
        ("leave-out private", "off", "private: is missing in the copy"),
        ("mode file3", "size", "the copy differs: mode"), ("time file3", "size", "the copy differs: time"),
        ("type file3", "size", "the copy differs: type"), ("link link", "size", "the copy differs: link"),
        ("extra", "size", "it holds stranger, which the source does not"),
    ])
    func whatTheToolDoesWrongFailsThePhaseAndLeavesNothing(fault: String, level: String, text: String) throws {
        let bench = try bench()
        let tool = try StandInCopier("dcp")
        tool.fault(fault)
        let outcome = try run(bench, tool, bench.order("verify \(level)"))
        #expect(outcome.status == 1, "\(outcome.text)")
        #expect(outcome.last?["result"].text == "partial", "\(outcome.text)")
        #expect(outcome.last?["message"].text?.contains(text) == true, "\(outcome.text)")
        #expect((outcome.last?["failed"].number ?? 0) > 0)
        #expect(bench.folder.text(of: "own/report").contains("failed\t"))
        #expect(try TreeHash(of: bench.buffer).lines.isEmpty)
        // Once more, with a tool that works.
        let again = try run(bench, tool, bench.order("verify \(level)"))
        #expect(again.status == 0, "\(again.text)")
        #expect(try TreeHash(of: bench.target).differences(from: TreeHash(of: bench.source)) == [])
    }

    @Test func aToolThatFailsIsBelieved() throws {
        let bench = try bench()
        let tool = try StandInCopier("dsync")
        tool.fault("fail")
        let outcome = try run(bench, tool, bench.order())
        #expect(outcome.status == 1)
        let message = outcome.last?["message"].text ?? ""
        #expect(message.hasPrefix("stage_in: dsync ended with status 1: Failed to open"), "\(message)")
        #expect(message.utf8.count <= 200 && !message.contains("'"))
        #expect(try TreeHash(of: bench.buffer).lines.isEmpty)
        let unknown = try run(bench, tool, bench.order(), more: ["--copier-option", "--colour"])
        #expect(unknown.last?["message"].text?.contains("dsync ended with status 1") == true, "\(unknown.text)")
        let missing = try PipedProgram(
            bench.arguments + ["--copier", "dcp", "--copier-path", "/nonexistent/dcp"], environment: [:],
            keepsInput: true)
        missing.send(bench.order())
        let said = StageBench.Outcome(missing.waitForEnd())
        #expect(said.status == 1)
        #expect(said.last?["message"].text?.contains("dcp cannot be started: ENOENT") == true, "\(said.text)")
    }

    @Test func dsyncLooksAtContentsOnceItWasWrong() throws {
        let bench = try bench()
        bench.makeFolder(bench.target)
        let tool = try StandInCopier("dsync")
        tool.fault("damage file3")
        let first = try run(bench, tool, bench.order("verify inline"))
        #expect(first.status == 1, "\(first.text)")
        let second = try run(bench, tool, bench.order("verify inline"))
        #expect(second.status == 0, "\(second.text)")
        #expect(try TreeHash(of: bench.target).differences(from: TreeHash(of: bench.source)) == [])
        #expect(tool.calls.map { $0.contains("--contents") } == [false, true])
        // Whole is whole: nobody is called any more.
        #expect(try run(bench, tool, bench.order("verify inline")).status == 0)
        #expect(tool.calls.count == 2)
    }

    @Test(arguments: ["dcp", "dsync"])
    func aToolThatHangsEndsWithTheCancel(name: String) throws {
        let bench = try bench()
        let tool = try StandInCopier(name)
        // dsync goes on with what is there. How long dcp's copy may take to go is limited, too.
        let isAsItHasToBe = try Wait.once { () throws -> Bool in
            tool.forgetProcesses()
            tool.fault("hang")
            let program = try start(bench, tool, bench.order())
            #expect(program.wait { _ in tool.processes.count == 2 })
            let began = PseudoTerminal.now
            program.send("cancel\n")
            let outcome = StageBench.Outcome(program.waitForEnd())
            #expect(outcome.status == 3, "\(outcome.text)")
            #expect(tool.processes == [])
            let isSoon = PseudoTerminal.now - began < 2_000_000_000
            return try isSoon && strays(bench.buffer).isEmpty == (name == "dcp")
        }
        #expect(isAsItHasToBe)
        let again = try run(bench, tool, bench.order())
        #expect(again.status == 0, "\(again.text)")
        #expect(try TreeHash(of: bench.target).differences(from: TreeHash(of: bench.source)) == [])
        #expect(try strays(bench.buffer) == [])
    }

    @Test func theToolEndsWithAWorkerThatIsKilled() throws {
        let bench = try bench()
        let tool = try StandInCopier("dcp")
        tool.fault("slow always")
        let program = try start(bench, tool, bench.order())
        #expect(program.wait { _ in tool.processes.count == 1 })
        program.signal(SIGKILL)
        #expect(Wait.until { tool.processes == [] })
        tool.noFault()
        let again = try run(bench, tool, bench.order())
        #expect(again.status == 0, "\(again.text)")
        #expect(try TreeHash(of: bench.target).differences(from: TreeHash(of: bench.source)) == [])
    }

    @Test func aPauseStopsTheTool() throws {
        let bench = try bench()
        let tool = try StandInCopier("dcp")
        // It does not end before it is let go.
        tool.fault("wait")
        let program = try start(bench, tool, bench.order())
        #expect(program.wait { _ in tool.processes.count == 1 })
        let pid = try #require(tool.processes.first)
        program.send("throttle 0 -\n")
        #expect(program.wait { _ in tool.state(pid) == "T" })
        tool.letGo()
        program.send("throttle - -\n")
        let outcome = StageBench.Outcome(program.waitForEnd(seconds: 60))
        #expect(outcome.status == 0, "\(outcome.text)")
    }

    @Test func intoABufferThatOthersMayWriteToOnlyWeCopy() throws {
        let bench = try bench()
        chmod(bench.buffer, 0o2770)
        let tool = try StandInCopier("dcp")
        let outcome = try run(bench, tool, bench.order())
        #expect(outcome.status == 0, "\(outcome.text)")
        #expect(outcome.lines.first?["note"].text?.contains("others may write to the buffer") == true)
        #expect(tool.calls == [])
        #expect(try TreeHash(of: bench.target).differences(from: TreeHash(of: bench.source)) == [])
    }

    @Test(arguments: ["fail", "alone"])
    func aBufferOfAnotherUsersIsCopiedHereByOneWorker(refused: String) throws {
        let bench = try bench()
        bench.folder.makeFolder("stage")
        // Whose the tests are may be nobody special.
        chmod(bench.folder("stage"), 0o555)
        let order = bench.order("parts \(bench.folder("stage"))/parts").replacing(
            "journal \(bench.journal)", with: "journal-fd 4")
        let hosts = "--nodes 2 --srun /nonexistent/srun --nodes-refused \(refused)"
        let line = "exec 4<>\(bench.journal); exec \(bench.arguments.joined(separator: " ")) \(hosts)"
        let program = try PipedProgram(["/bin/sh", "-c", line], environment: [:], keepsInput: true)
        program.send(order)
        program.closeInput()
        let outcome = StageBench.Outcome(program.waitForEnd(seconds: 60))
        #expect(outcome.status == 0, "\(outcome.text)")
        #expect(outcome.lines.compactMap { $0["note"].text }.count == 1)
        #expect(outcome.lines.first?["note"].text?.contains("another user") == true, "\(outcome.text)")
        #expect(try TreeHash(of: bench.target).differences(from: TreeHash(of: bench.source)) == [])
    }

    @Test func theLauncherComesFirst() throws {
        let bench = try bench()
        let tool = try StandInCopier("dcp")
        let outcome = try run(
            bench, tool, bench.order(), more: ["--launcher-word", "env", "--launcher-word", "WORLD=8"])
        #expect(outcome.status == 0, "\(outcome.text)")
        #expect(tool.calls.count == 1)
    }

    @Test func copiesAreAsNiceAsTheyAreTold() throws {
        let bench = try StageBench()
        let program = try PipedProgram(
            bench.arguments + ["--nice", "7", "--io-class", "idle"], environment: [:], keepsInput: true)
        func nice() -> String? {
            let text = String(decoding: Fixtures.bytes(of: "/proc/\(program.pid)/stat"), as: UTF8.self)
            guard let end = text.lastIndex(of: ")") else { return nil }
            return text[text.index(after: end)...].split(separator: " ").dropFirst(16).first.map(String.init)
        }
        #expect(program.wait { _ in nice() == "7" })
        #expect(
            program.wait { _ in
                (try? PipedProgram.run(["/usr/bin/ionice", "-p", "\(program.pid)"], environment: [:]))?.text == "idle\n"
            })
        program.closeInput()
        #expect(program.waitForEnd().end == .exited(2))
    }
}
