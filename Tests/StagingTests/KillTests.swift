import BurstTestSupport
import Glibc
import Testing

/// A worker may die at any point; the next one goes on (staging.md §5, R1).
@Suite(.serialized) struct KillTests {
    private static let threads = 4
    private static let batchFiles = 50

    private func makeTree(_ bench: StageBench) {
        bench.makeFiles(folders: 12, files: 150, bytes: 4096)
        for number in 0..<100 {
            link(
                "\(bench.source)/folder\(number % 12)/file\(number)",
                "\(bench.source)/folder\((number + 5) % 12)/link\(number)")
            bench.makeLink("\(bench.source)/folder1/symlink\(number)", to: "file\(number)")
        }
        for number in 0..<3 {
            bench.makeFile(
                "\(bench.source)/large\(number)", StageBench.content(9_000_000 + number, seed: UInt64(number)))
        }
        bench.makeFolder("\(bench.source)/folder2/closed", mode: 0o500)
    }

    private func smallBytes(below path: String) throws -> Int64 {
        try TreeHash(of: path).lines.values.reduce(0) { sum, line in
            line.hasPrefix("file ") && line.contains(" 4096 ") ? sum + 4096 : sum
        }
    }

    @Test(arguments: ["stage-in", "stage-out"])
    func whateverIsKilledIsGoneOnWith(phase: String) throws {
        let bench = try StageBench()
        makeTree(bench)
        let source = try TreeHash(of: bench.source)
        let settings = [
            "threads \(Self.threads)", "batch-files \(Self.batchFiles)", "large-bytes 4000000", "part-bytes 1048576",
        ].joined(separator: "\n")
        var order = bench.order(settings)
        var target = bench.target
        if phase == "stage-out" {
            #expect(try bench.run(order).status == 0)
            unlink(bench.journal)
            bench.makeFolder(bench.folder("out"))
            order = bench.order(settings, phase: phase)
            target = bench.folder("out/deep")
        }
        let time = ContinuousClock()
        let began = time.now
        let whole = try bench.run(order)
        #expect(whole.status == 0, "\(whole.text)")
        let usual = max(0.05, (time.now - began) / .seconds(1))
        var generator = SystemRandomNumberGenerator()
        var kills = 0
        let wanted = StageBench.count("BURST_STAGE_KILLS", 24) / 2
        while kills < wanted {
            unlink(bench.journal)
            StageBench.remove(target)
            rmdir(target)
            for _ in 0..<4 {
                let program = try bench.start(order)
                program.closeInput()
                let milliseconds = Double.random(in: 0...usual * 1000, using: &generator)
                program.wait(seconds: milliseconds / 1000) { $0.hasEnded }
                program.signal(SIGKILL)
                let result = program.waitForEnd()
                if result.end != .exited(0) { kills += 1 }
            }
            let there = access(target, F_OK) == 0 ? try smallBytes(below: target) : 0
            let outcome = try bench.run(order)
            #expect(outcome.status == 0, "\(outcome.text) \(bench.folder.text(of: "own/report"))")
            let last = try #require(outcome.last)
            #expect(try TreeHash(of: target).differences(from: source) == [])
            #expect(try bench.temporaries(below: target) == [])
            // Each link counts its file's bytes; what is there and not skipped was copied in vain.
            let total = try #require(last["bytes_total"].number)
            let again = there - (last["bytes_skipped"].number ?? 0)
            let allowed = Double(total) * 0.05 + Double(Self.threads * Self.batchFiles * 4096) + 100 * 4096
            #expect(Double(again) <= allowed, "\(again) bytes of \(total) copied again")
        }
        #expect(kills >= wanted)
    }

    @Test func aSecondStartAfterTheEndDoesNothing() throws {
        let bench = try StageBench()
        bench.makeFiles(folders: 2, files: 20, bytes: 100)
        #expect(try bench.run(bench.order()).status == 0)
        let before = try TreeHash(of: bench.buffer, includesTop: true)
        bench.makeFile("\(bench.source)/later", "later".utf8)
        let again = try bench.run(bench.order())
        #expect(again.status == 0)
        #expect(again.last?["result"].text == "complete")
        #expect(again.last?["bytes_moved"].number == 0)
        #expect(again.last?["files_done"].number == 40)
        #expect(try TreeHash(of: bench.buffer, includesTop: true) == before)
    }

    @Test func whatChangedSinceIsCopiedAgainAndOnlyThat() throws {
        let bench = try StageBench()
        bench.makeFiles(folders: 4, files: 100, bytes: 1000)
        bench.makeFile("\(bench.source)/closed", "x".utf8, mode: 0)
        #expect(try bench.run(bench.order()).status == 1)
        chmod("\(bench.source)/closed", 0o600)
        bench.makeFile("\(bench.source)/folder1/file1", StageBench.content(1000, seed: 99))
        // Somebody touched the copy.
        bench.makeFile("\(bench.target)/folder2/file2", StageBench.content(1000, seed: 98))
        let outcome = try bench.run(bench.order())
        #expect(outcome.status == 0, "\(outcome.text)")
        #expect(outcome.last?["bytes_moved"].number == 2001)
        #expect(outcome.last?["bytes_skipped"].number == 398_000)
        #expect(outcome.last?["restarts"].number == 1)
        let source = try TreeHash(of: bench.source)
        #expect(try TreeHash(of: bench.target).differences(from: source) == [])
    }

    @Test func aJournalIsOfOneOrderAndOneWorker() throws {
        let bench = try StageBench()
        bench.makeFiles(folders: 1, files: 10, bytes: 1000)
        let program = try bench.start(bench.order("bytes-per-second 0"))
        #expect(program.wait { !$0.lines.isEmpty })
        let second = try bench.run(bench.order())
        #expect(second.status == 2)
        #expect(second.last?["message"].text?.contains("another copy of this session is running") == true)
        program.signal(SIGTERM)
        #expect(program.waitForEnd().end == .exited(3))
        let other = try bench.run(bench.order(transfers: ["transfer directory pfs:/tmp buffer:in"]))
        #expect(other.status == 2)
        #expect(other.last?["message"].text?.contains("the journal belongs to another order") == true)
    }
}
