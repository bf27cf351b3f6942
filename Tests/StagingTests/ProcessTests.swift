import BurstTestSupport
import CSys
import Glibc
import Testing

/// Who the worker is, how it is told, and how it stops (staging.md §4.5, §4.7, §5: X2, X3, Q1, P1, P3, L2).
@Suite(.serialized) struct ProcessTests {
    private func status(of pid: Int32) -> [String: String] {
        var fields: [String: String] = [:]
        for line in String(decoding: Fixtures.bytes(of: "/proc/\(pid)/status"), as: UTF8.self).split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 1)
            guard parts.count == 2 else { continue }
            fields[String(parts[0])] = parts[1].split(whereSeparator: { $0 == "\t" || $0 == " " })
                .joined(separator: " ")
        }
        return fields
    }

    @Test func theWorkerHasNothingButTheUsersRights() throws {
        let bench = try StageBench()
        let program = try PipedProgram(bench.arguments, environment: [:], keepsInput: true)
        #expect(program.wait { status(of: $0.pid)["NoNewPrivs"] == "1" })
        let fields = status(of: program.pid)
        let owner = bench.owner
        #expect(fields["Uid"] == Array(repeating: "\(owner.uid)", count: 4).joined(separator: " "))
        #expect(fields["Gid"] == Array(repeating: "\(owner.gid)", count: 4).joined(separator: " "))
        for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] { #expect(fields[set] == "0000000000000000", "\(set)") }
        if StageBench.Owner.isRoot {
            #expect(fields["CapBnd"] == "0000000000000000")
            #expect(fields["Groups"] == "\(owner.gid) \(owner.further)")
        }
        #expect(fields["Umask"] == "0000")
        program.closeInput()
        #expect(program.waitForEnd().end == .exited(2))
    }

    @Test(.enabled(if: StageBench.Owner.isRoot, "only root could be refused"))
    func rootIsRefused() throws {
        let bench = try StageBench()
        bench.makeFile("\(bench.source)/file", "x".utf8)
        let stage = Programs.path(of: "burst-stage")
        for arguments in [[], ["--uid", "0", "--gid", "0"], ["--uid", "64001"], ["--uid", "x", "--gid", "1"]] {
            let program = try PipedProgram([stage] + arguments, environment: [:], keepsInput: true)
            program.send(bench.order())
            program.closeInput()
            let result = program.waitForEnd()
            #expect(result.end == .exited(2), "\(arguments)")
            #expect(result.errorLines.count == 1)
            #expect(result.output == [])
        }
        #expect(access(bench.target, F_OK) != 0)
    }

    @Test(.enabled(if: StageBench.Owner.isRoot, "needs files of others"))
    func theGroupsOfTheUserCount() throws {
        let bench = try StageBench()
        bench.makeFile("\(bench.source)/by-group", "group".utf8, mode: 0o040)
        chown("\(bench.source)/by-group", 0, bench.owner.further)
        let outcome = try bench.run(bench.order())
        #expect(outcome.status == 0, "\(outcome.text)")
        #expect(bench.folder.text(of: "buffer/in/by-group") == "group")
        bench.makeFile("\(bench.source)/by-root", "root".utf8, mode: 0o400)
        chown("\(bench.source)/by-root", 0, 0)
        unlink(bench.journal)
        let refused = try bench.run(bench.order())
        #expect(refused.status == 1)
        #expect(refused.last?["message"].text?.contains("by-root: EACCES (permission denied)") == true)
        #expect(access("\(bench.target)/by-root", F_OK) != 0)
    }

    @Test(arguments: [
        ("token a b", "token takes one value"), ("token ../x", "a token has"), ("phase stage", "phase is stage-in"),
        ("verify maybe", "verify is off"), ("colour blue", "colour is no setting"), ("threads x", "threads is a whole"),
        ("buffer-fd 1", "an inherited descriptor above 2"), ("journal relative", "journal is an absolute path"),
        ("transfer file pfs:relative buffer:a", "begin with /"), ("transfer file pfs:/a buffer:../b", "no .."),
        ("transfer list pfs:/a pfs:/b", "the destination of a list"), ("transfer file pfs:/a", "a transfer is"),
        ("generation 1\ngeneration 2", "given twice"), ("report /a%0", "hexadecimal"), ("part-bytes 5", "multiple"),
        ("end", "is missing"),
    ])
    func aBadOrderIsRefusedInOneLine(line: String, text: String) throws {
        let bench = try StageBench()
        let program = try bench.start(line + "\n")
        program.closeInput()
        let result = program.waitForEnd()
        #expect(result.end == .exited(2))
        #expect(result.output == [])
        #expect(result.errorLines.count == 1)
        #expect(result.errorText.contains(text), "\(result.errorText)")
    }

    // MARK: Cancel and throttle

    @Test(arguments: ["cancel", "SIGTERM"]) func aCancelledCopyIsGoneSoonAndGoesOnLater(how: String) throws {
        let bench = try StageBench()
        bench.makeFiles(folders: 10, files: 200, bytes: 4096)
        bench.makeFile("\(bench.source)/large", StageBench.content(20_000_000, seed: 1))
        let settings = "large-bytes 4000000\npart-bytes 1048576\nbatch-files 50"
        // Each copies a quarter of what there is.
        let isSoon = try Wait.once { () throws -> Bool in
            bench.startOver()
            let program = try bench.start(bench.order(settings, "bytes-per-second 6000000"))
            #expect(
                program.wait { program in
                    guard let line = program.lines.last.flatMap({ try? JSON($0.utf8) }) else { return false }
                    return line["bytes_moved"].number ?? 0 > 3_000_000 && line["files_done"].number ?? 0 > 0
                })
            let clock = ContinuousClock()
            let asked = clock.now
            if how == "cancel" { program.send("cancel\n") } else { program.signal(SIGTERM) }
            let outcome = StageBench.Outcome(program.waitForEnd())
            #expect(outcome.status == 3)
            #expect(outcome.errors == "")
            #expect(outcome.last?["result"].text == "cancelled")
            // What is left of the large file is of use.
            #expect(try bench.temporaries(below: bench.buffer).count <= 1)
            return clock.now - asked < .seconds(2)
        }
        #expect(isSoon)
        let rest = try bench.run(bench.order(settings))
        #expect(rest.status == 0, "\(rest.text)")
        let last = try #require(rest.last)
        #expect(last["bytes_skipped"].number ?? 0 > 0)
        #expect(last["bytes_total"].number == (last["bytes_skipped"].number ?? 0) + (last["bytes_moved"].number ?? 0))
        #expect(try TreeHash(of: bench.target).differences(from: try TreeHash(of: bench.source)) == [])
        #expect(try bench.temporaries(below: bench.buffer) == [])
    }

    @Test func theRateIsKeptAndAPauseIsOne() throws {
        let bench = try StageBench()
        let rate = 8e6
        let size = 100_000_000
        bench.makeFile("\(bench.source)/large", StageBench.content(size, seed: 1))
        let program = try bench.start(
            bench.order("bytes-per-second \(Int(rate))", "large-bytes 4000000", "part-bytes 1048576", "threads 4"))
        func moved() throws -> Int64 { try number(program, "bytes_moved") }
        func lines(_ more: Int) -> Bool {
            let count = program.lines.count
            return program.wait { $0.lines.count >= count + more }
        }
        // By the worker's own clock, over the last seconds. A machine that has much else to do may not reach the rate
        // for a while, and never may it be exceeded.
        #expect(lines(8))
        var found = Double(try number(program, "rate_now"))
        while found < 0.95 * rate, try moved() < size * 3 / 4 {
            #expect(lines(1))
            found = Double(try number(program, "rate_now"))
        }
        #expect(abs(found / rate - 1) < 0.05, "\(found) bytes a second")
        for line in program.lines.dropFirst(7) {
            let now = Double(try JSON(line.utf8)["rate_now"].number ?? -1)
            #expect(now < 1.05 * rate, "\(line)")
        }
        // What is left at the rate since the start. Parts count when they are on the disk: each thread has one that is
        // not.
        let average = Double(try number(program, "rate_avg"))
        let eta = Double(try number(program, "eta"))
        let copied = Double(try moved())
        func left(_ done: Double) -> Double { (Double(size) / done - 1) * copied / average }
        #expect(eta >= left(copied) && eta <= left(copied - 4 * 1_048_576) + 1, "\(program.lines.last ?? "")")
        program.send("throttle 0 -\n")
        #expect(lines(2))
        let paused = try moved()
        #expect(lines(2))
        #expect(try moved() == paused)
        program.send("throttle - -\n")
        let outcome = StageBench.Outcome(program.waitForEnd())
        #expect(outcome.status == 0, "\(outcome.text)")
        #expect(outcome.last?["bytes_moved"].number == Int64(size))
    }

    @Test func aSlowBatchIsShownBeforeItsEnd() throws {
        let bench = try StageBench()
        bench.makeFiles(folders: 1, files: 60, bytes: 50_000)
        let program = try bench.start(bench.order("bytes-per-second 500000", "threads 2"))
        // Six seconds for all of it, which is far less than a batch may have.
        let isPartial = program.wait(seconds: 30) { program in
            guard let text = program.lines.last, let line = try? JSON(text.utf8) else { return false }
            return (1..<60).contains(line["files_done"].number ?? 0)
        }
        #expect(isPartial, "\(program.lines.last ?? "")")
        let outcome = StageBench.Outcome(program.waitForEnd(seconds: 60))
        #expect(outcome.status == 0, "\(outcome.text)")
        #expect(try TreeHash(of: bench.target).differences(from: try TreeHash(of: bench.source)) == [])
    }

    @Test func progressTellsTheTruth() throws {
        let bench = try StageBench()
        bench.makeFiles(folders: 20, files: 100, bytes: 8192)
        bench.makeFile("\(bench.source)/hole", [])
        truncate("\(bench.source)/hole", 1 << 40)
        let program = try bench.start(bench.order("batch-files 20", "bytes-per-second 4000000", "threads 4"))
        func isPast(_ percent: Int64) -> Bool {
            program.wait { program in
                guard let line = program.lines.last.flatMap({ try? JSON($0.utf8) }) else { return false }
                return line["plan_complete"].flag == true && line["percent"].number ?? 0 >= percent
            }
        }
        for percent: Int64 in [10, 30, 50] {
            #expect(isPast(percent))
            // While nothing moves, a line and a look are of the same moment.
            program.send("throttle 0 -\n")
            let isStill = program.wait { program in
                let last = program.lines.suffix(2).compactMap { try? JSON($0.utf8) }
                return last.count == 2 && last.allSatisfy { $0["throttle"]["bytes"].number == 0 }
                    && ["bytes_moved", "files_done"].allSatisfy { last[0][$0] == last[1][$0] }
            }
            #expect(isStill)
            let said = try number(program, "percent")
            // What is there under its final name.
            var there: Int64 = 0
            for folder in 0..<20 { there += Int64(Self.files(in: "\(bench.target)/folder\(folder)")) * 8192 }
            let truth = Double(there) / Double(2000 * 8192) * 100
            #expect(abs(truth - Double(said)) <= 2, "\(truth) \(said)")
            program.send("throttle 4000000 -\n")
        }
        let outcome = StageBench.Outcome(program.waitForEnd())
        #expect(outcome.status == 0)
        let percents = outcome.lines.compactMap { $0["percent"].number }
        #expect(percents.count == outcome.lines.count)
        #expect(percents == percents.sorted())
        #expect(percents.last == 100)
        #expect(percents.dropLast().allSatisfy { $0 < 100 })
        let keys = [
            "token", "user", "phase", "engine_state", "started", "updated", "plan_complete", "files_total",
            "files_done", "dirs_total", "dirs_done", "links_done", "bytes_total", "bytes_done", "bytes_skipped",
            "bytes_verified", "bytes_cloned", "rate_now", "rate_avg", "eta", "active", "threads", "throttle", "errors",
            "retries", "degraded", "restarts", "last_error",
        ]
        for line in outcome.lines { for key in keys { #expect(line.members[key] != nil, "\(key)") } }
    }

    private func number(_ program: PipedProgram, _ key: String) throws -> Int64 {
        let line = try #require(program.lines.last)
        let number = try JSON(line.utf8)[key].number
        return try #require(number)
    }

    private static func files(in path: String) -> Int {
        guard let stream = opendir(path) else { return 0 }
        defer { closedir(stream) }
        var count = 0
        while let entry = readdir(stream) { if entry.pointee.d_name.0 == 102 { count += 1 } }
        return count
    }

    /// A list of files in many folders, and a tree of many folders, with few descriptors.
    @Test(arguments: ["stage-in", "stage-out"]) func fewDescriptorsAreEnough(phase: String) throws {
        let bench = try StageBench()
        bench.makeFiles(folders: 500, files: 3, bytes: 100)
        let list = (0..<500).map { "\(bench.source)/folder\($0)/file1 listed/of\($0)/file" }.joined(separator: "\n")
        bench.makeFile(bench.folder("own/list"), list.utf8)
        var order = bench.order(
            transfers: [
                "transfer directory pfs:\(bench.source) buffer:in",
                "transfer list pfs:\(bench.folder("own/list")) buffer:",
            ])
        if phase == "stage-out" {
            #expect(try bench.run(order).status == 0)
            unlink(bench.journal)
            bench.makeFolder(bench.folder("out"))
            order = bench.order("verify readback", phase: phase)
        }
        let command = "ulimit -n 1024 && exec \"$0\" \"$@\""
        let program = try PipedProgram(
            ["/bin/sh", "-c", command] + bench.arguments, environment: [:], keepsInput: true)
        program.send(order)
        program.closeInput()
        let outcome = StageBench.Outcome(program.waitForEnd(seconds: 60))
        #expect(outcome.status == 0, "\(outcome.text)")
        #expect(outcome.last?["retries"].number == 0)
        let target = phase == "stage-in" ? bench.target : bench.folder("out/deep")
        #expect(try TreeHash(of: target).differences(from: try TreeHash(of: bench.source)) == [])
    }

    // MARK: Capacity

    @Test func whatCannotFitIsNotBegun() throws {
        let bench = try StageBench()
        bench.makeFiles(folders: 2, files: 100, bytes: 8192)
        let bytes = try bench.run(bench.order("capacity 1000000"))
        #expect(bytes.status == 4)
        let message = try #require(bytes.last?["message"].text)
        #expect(message.contains("ENOSPC (no space left on device): "))
        #expect(message.contains(" of 976.5KiB; session 4711"))
        bench.startOver()
        let inodes = try bench.run(bench.order("inodes 50"))
        #expect(inodes.status == 4)
        #expect(inodes.last?["message"].text?.contains("more than 50 files and directories") == true)
        bench.startOver()
        #expect(try bench.run(bench.order("capacity 10000000", "inodes 5000")).status == 0)
    }

    @Test(
        .enabled(
            if: StageBench.Owner.isRoot && getenv("BURST_WITHOUT_MOUNTS") == nil,
            "only root mounts, where there are mounts"))
    func aFullBufferEndsTheCopyAndNothingElse() throws {
        let bench = try StageBench()
        bench.makeFiles(folders: 4, files: 200, bytes: 60_000)
        for options in ["size=16m", "size=64m,nr_inodes=300"] {
            bench.startOver()
            try #require(mount("none", bench.buffer, "tmpfs", 0, options) == 0, "tmpfs: errno \(errno)")
            defer { umount2(bench.buffer, 2) }
            chown(bench.buffer, bench.owner.uid, bench.owner.gid)
            let outcome = try bench.run(bench.order("batch-files 100"))
            #expect(outcome.status == 4, "\(outcome.text)")
            #expect(outcome.last?["message"].text?.contains("ENOSPC (no space left on device)") == true)
            #expect(outcome.last?["result"].text == "full")
            #expect(try bench.temporaries(below: bench.buffer) == [])
            let source = try TreeHash(of: bench.source)
            for (path, line) in try TreeHash(of: bench.target).lines where line.hasPrefix("file") {
                #expect(source.lines[path] == line)
            }
        }
    }
}
