import BurstTestSupport
import CSys
import Glibc
import Testing

/// staging.md §5, R2: while a copy runs, its disk is copied at one moment, as a power cut would leave it. What the
/// journal in it calls done is whole.
///
/// The disk is a file on XFS, which clones a file at one moment however much is being written to it. That every write
/// the disk has confirmed is on it is taken for granted; a disk that loses confirmed writes is not played.
@Suite(
    .serialized,
    .enabled(
        if: StageBench.Owner.isRoot && getenv("BURST_WITHOUT_MOUNTS") == nil, "only root mounts, where there are mounts"
    )) struct PowerCutTests
{
    /// A file system in a file, which is on another one in a file.
    private final class Disk {
        let bench: StageBench
        let kind: String
        private(set) var shots: [String] = []

        var buffer: String { bench.folder("disk/buffer") }
        var journal: String { bench.folder("disk/own/journal") }

        init(_ bench: StageBench, _ kind: String) throws {
            self.bench = bench
            self.kind = kind
            for name in ["outer", "disk"] { bench.folder.makeFolder(name) }
            try make("xfs", bench.folder("outer.image"), megabytes: 4096)
            try mount(bench.folder("outer.image"), "outer")
            try make(kind, bench.folder("outer/disk"), megabytes: 400)
            try mount(bench.folder("outer/disk"), "disk")
            for name in ["disk/buffer", "disk/own"] {
                bench.folder.makeFolder(name)
                chown(bench.folder(name), bench.owner.uid, bench.owner.gid)
            }
            try run(["sync", "-f", bench.folder("disk")])
        }

        deinit {
            try? run(["umount", bench.folder("disk")])
            try? run(["umount", bench.folder("outer")])
        }

        private func make(_ kind: String, _ path: String, megabytes: Int) throws {
            try run(["truncate", "-s", "\(megabytes)M", path])
            try run(["mkfs.\(kind)", "-q", path])
        }

        private func mount(_ image: String, _ name: String) throws {
            try run(["mount", "-o", "loop", image, bench.folder(name)])
        }

        private func run(_ words: [String]) throws {
            let result = try PipedProgram.run(
                ["/usr/bin/env"] + words, environment: ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin"], seconds: 60)
            guard result.end == .exited(0) else { throw HarnessError("\(words): \(result.errorText)") }
        }

        /// The disk as it is at this moment.
        func shoot() throws {
            let name = bench.folder("outer/shot\(shots.count)")
            let source = open(bench.folder("outer/disk"), O_RDONLY | O_CLOEXEC)
            let target = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
            defer {
                close(source)
                close(target)
            }
            guard bb_clone(source, target) == 0 else { throw HarnessError("FICLONE: errno \(errno)") }
            shots.append(name)
        }

        /// The power comes back.
        func restore(_ shot: String) throws {
            try run(["umount", bench.folder("disk")])
            try mount(shot, "disk")
        }

        func order(_ settings: String...) -> String {
            let lines =
                [
                    "token 4711", "generation 1", "phase stage-in", "buffer \(buffer)", "journal \(journal)",
                    "threads 4", "batch-files 20", "large-bytes 4000000", "part-bytes 1048576",
                ] + settings + ["transfer directory pfs:\(bench.source) buffer:in", "end"]
            return lines.joined(separator: "\n") + "\n"
        }
    }

    @Test(arguments: ["ext4", "xfs"]) func whatTheJournalCallsDoneIsWhole(kind: String) throws {
        let bench = try StageBench()
        bench.makeFiles(folders: 8, files: 100, bytes: 4096)
        for number in 0..<2 {
            bench.makeFile("\(bench.source)/large\(number)", StageBench.content(9_000_000, seed: UInt64(number)))
        }
        let source = try TreeHash(of: bench.source)
        let disk = try Disk(bench, kind)
        let wanted = StageBench.count("BURST_STAGE_CUTS", 10) / 2
        var generator = SystemRandomNumberGenerator()
        func start() throws -> PipedProgram {
            let program = try bench.start(disk.order("files-per-second \(max(20, 2000 / wanted))"))
            program.closeInput()
            return program
        }
        var program = try start()
        while disk.shots.count < wanted {
            program.wait(seconds: .random(in: 0.02...0.3, using: &generator)) { $0.hasEnded }
            if program.hasEnded {
                // Shots may take longer than the copy. Then there is another one.
                let outcome = StageBench.Outcome(program.waitForEnd())
                try #require(outcome.status == 0, "\(outcome.text)")
                unlink(disk.journal)
                StageBench.remove(disk.buffer + "/in")
                program = try start()
            } else if access(disk.journal, F_OK) == 0 {
                try disk.shoot()
            }
        }
        program.signal(SIGKILL)
        _ = program.waitForEnd()
        #expect(disk.shots.count == wanted)
        var skipped: Int64 = 0
        for shot in disk.shots {
            try disk.restore(shot)
            // It believes the journal, and copies the rest.
            let outcome = try bench.run(disk.order())
            #expect(outcome.status == 0, "\(shot): \(outcome.text)")
            skipped += Int64(outcome.last?["bytes_skipped"].number ?? 0)
            #expect(try TreeHash(of: disk.buffer + "/in").differences(from: source) == [], "\(shot)")
            #expect(try bench.temporaries(below: disk.buffer) == [], "\(shot)")
        }
        #expect(skipped > 0)
    }
}
