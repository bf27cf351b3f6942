import BurstTestSupport
import Glibc
import Testing

/// One order on several hosts of a real Slurm (staging.md §4.8): three slurmd on this machine.
@Suite(.serialized, .enabled(if: ReferenceCluster.isUsable)) struct ScaleOutTests {
    private static let hosts = 3
    private static let smallFiles = 600

    private final class Ground {
        let cluster: ReferenceCluster
        let folder: TemporaryFolder
        let user: passwd
        private var state: UInt64 = 1

        var source: String { folder("source") }
        var target: String { folder("buffer/in") }

        init() throws {
            cluster = try ReferenceCluster(.lua, "--nodes", "\(ScaleOutTests.hosts)")
            folder = try TemporaryFolder("burst-scale", openToOthers: true)
            user = try #require(getpwnam("bbalice")).pointee
            for name in ["source", "buffer"] { make(name) }
            // Others have no business with the parts.
            make("parts", mode: 0o700)
        }

        private func give(_ path: String, _ mode: mode_t) {
            lchown(path, user.pw_uid, user.pw_gid)
            chmod(path, mode)
        }

        func make(_ name: String, mode: mode_t = 0o755) {
            mkdir(folder(name), 0o755)
            give(folder(name), mode)
        }

        func write(_ name: String, _ count: Int, mode: mode_t = 0o644) {
            var bytes = [UInt8](repeating: 0, count: count)
            for index in bytes.indices {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                bytes[index] = UInt8(truncatingIfNeeded: state >> 33)
            }
            folder.write(bytes, to: name)
            give(folder(name), mode)
        }

        func makeTree() {
            for inner in 0..<6 {
                make("source/folder\(inner)")
                for file in 0..<ScaleOutTests.smallFiles / 6 { write("source/folder\(inner)/file\(file)", 2000) }
            }
            for number in 0..<4 { write("source/folder1/large\(number)", 3_000_000) }
            for number in 0..<20 {
                link(folder("source/folder0/file\(number)"), folder("source/folder5/name\(number)"))
                symlink("../folder0/file\(number)", folder("source/folder2/link\(number)"))
                lchown(folder("source/folder2/link\(number)"), user.pw_uid, user.pw_gid)
            }
            make("source/empty", mode: 0o710)
            make("source/closed", mode: 0o700)
            write("source/closed/file", 10, mode: 0o400)
            give(folder("source/closed"), 0o500)
        }

        func order(_ settings: String...) -> String {
            let lines =
                [
                    "token 4711", "generation 1", "phase stage-in", "buffer \(folder("buffer"))",
                    "journal \(folder("parts/journal"))", "report \(folder("parts/report"))",
                    "parts \(folder("parts"))", "large-bytes 2000000", "part-bytes 1048576", "batch-files 20",
                ] + settings + ["transfer directory pfs:\(source) buffer:in", "end"]
            return lines.joined(separator: "\n") + "\n"
        }

        func start(_ order: String, hosts: Int = ScaleOutTests.hosts) throws -> PipedProgram {
            let program = try PipedProgram(
                [
                    Fixtures.top + "/Tests/Reference/cluster", "run", cluster.folder, "bbalice",
                    Programs.path(of: "burst-stage"), "--nodes", "\(hosts)",
                ], environment: cluster.environment, keepsInput: true)
            program.send(order)
            return program
        }

        /// The process that copies a part.
        func worker(of part: Int) -> Int32? { cluster.process("burst-stage", ofTask: part) }

        func size(_ name: String) -> Int {
            var status = stat()
            return stat(folder(name), &status) == 0 ? Int(status.st_size) : 0
        }

        /// What is below the target is what is below the source, and nothing else.
        func expectWhole(_ result: PipedProgram.Result) throws {
            #expect(result.end == .exited(0), "\(result.text) \(result.errorText)")
            let last = try JSON(Array(try #require(result.text.split(separator: "\n").last).utf8))
            #expect(last["result"].text == "complete")
            // A name of a file that has one already is a link.
            let files = ScaleOutTests.smallFiles + 5
            #expect(last["files_done"].number == Int64(files))
            #expect(last["links_done"].number == 40)
            #expect(last["dirs_done"].number == 9)
            let source = try TreeHash(of: source, includesTop: true)
            #expect(try TreeHash(of: target, includesTop: true).differences(from: source) == [])
        }
    }

    @Test func aTreeIsCopiedByThreeHostsOneOfWhichIsKilled() throws {
        let ground = try Ground()
        ground.makeTree()
        let program = try ground.start(ground.order("files-per-second 300"))
        program.wait(seconds: 60) { program in
            program.hasEnded || (ground.size("parts/part.1.journal") > 200 && ground.worker(of: 1) != nil)
        }
        let victim = try #require(ground.worker(of: 1), "\(program.output) \(program.errors)")
        kill(victim, SIGKILL)
        let result = program.waitForEnd(seconds: 120)
        try ground.expectWhole(result)
        // It was started once more, and went on.
        let text = result.text
        let lines = try text.split(separator: "\n").map { try JSON($0.utf8) }
        var highest: Int64 = 0
        for line in lines {
            let percent = line["percent"].number ?? 0
            #expect(percent >= highest || line["result"].text == "complete", "\(text)")
            #expect(percent < 100 || line["result"].text == "complete", "\(text)")
            highest = max(highest, percent)
        }
        // Nothing of it is copied by whoever finishes: the hosts did it all.
        #expect(lines.last?["bytes_moved"].number == 0)
        var shares: [Int] = []
        for part in 0..<Self.hosts { shares.append(ground.folder.text(of: "parts/part.\(part).list").utf8.count) }
        #expect(shares.allSatisfy { $0 > 0 })
    }

    @Test func whatIsCancelledGoesOnWithAnotherNumberOfHosts() throws {
        let ground = try Ground()
        ground.makeTree()
        let program = try ground.start(ground.order("files-per-second 60"))
        program.wait(seconds: 60) { $0.hasEnded || ground.size("parts/part.2.journal") > 600 }
        program.send("cancel\n")
        let first = program.waitForEnd(seconds: 60)
        #expect(first.end == .exited(3), "\(first.text) \(first.errorText)")
        #expect(Wait.until { (0..<Self.hosts).allSatisfy { ground.worker(of: $0) == nil } })
        let second = try ground.start(ground.order(), hosts: 2)
        try ground.expectWhole(second.waitForEnd(seconds: 120))
    }

    @Test func whatCannotBeReadIsToldOnce() throws {
        let ground = try Ground()
        ground.makeTree()
        ground.write("source/folder3/secret", 100, mode: 0o600)
        chown(ground.folder("source/folder3/secret"), 0, 0)
        let result = try ground.start(ground.order()).waitForEnd(seconds: 120)
        #expect(result.end == .exited(1), "\(result.text) \(result.errorText)")
        let last = try JSON(Array(try #require(result.text.split(separator: "\n").last).utf8))
        #expect(last["failed"].number == 1)
        #expect(last["message"].text?.contains("EACCES") == true)
        let report = ground.folder.text(of: "parts/report").split(separator: "\n")
        #expect(report.count == 1 && report.first?.hasPrefix("failed\t") == true, "\(report)")
    }
}
