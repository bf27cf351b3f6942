import BurstTestSupport
import CSys
import Glibc
import Testing

/// The kernel keeps a worker to what its order names, where it has Landlock (staging.md §4.5).
@Suite struct ConfinementTests {
    /// What a thread may do after `bb_confine`; the other threads go on as they are.
    private final class Trial {
        let folder: TemporaryFolder
        var said: [String] = []
        let hasReads: Bool

        init(reads: Bool) throws {
            folder = try TemporaryFolder("burst-confined")
            hasReads = reads
            for name in ["source", "target", "other"] {
                folder.makeFolder(name)
                folder.write("x", to: "\(name)/file")
            }
        }

        private func note(_ what: String, _ result: Int32) {
            said.append(result < 0 ? "\(what) \(String(cString: bb_error_name(errno)))" : what)
            if result > 2 { close(result) }
        }

        func run() {
            let readable = [bb_open_place(folder("source"))]
            let writable = [bb_open_place(folder("target"))]
            note("confined", bb_confine(readable, hasReads ? 1 : -1, writable, 1))
            for fd in readable + writable { close(fd) }
            note("read source", open(folder("source/file"), O_RDONLY))
            note("read target", open(folder("target/file"), O_RDONLY))
            note("read other", open(folder("other/file"), O_RDONLY))
            note("make in target", open(folder("target/new"), O_WRONLY | O_CREAT, 0o600))
            note("link in target", link(folder("target/new"), folder("target/again")))
            note("remove in target", unlink(folder("target/new")))
            note("make in source", open(folder("source/new"), O_WRONLY | O_CREAT, 0o600))
            note("remove in other", unlink(folder("other/file")))
            note("move out", rename(folder("target/again"), folder("other/again")))
        }
    }

    private func said(reads: Bool) throws -> [String] {
        let trial = try Trial(reads: reads)
        var thread = pthread_t()
        let box = Unmanaged.passRetained(trial)
        let result = pthread_create(
            &thread, nil,
            { argument in
                Unmanaged<Trial>.fromOpaque(argument!).takeRetainedValue().run()
                return nil
            }, box.toOpaque())
        try #require(result == 0)
        pthread_join(thread, nil)
        return trial.said
    }

    private static let hasLandlock = bb_landlock_version() >= 2

    @Test func threadsAreKeptToTheirFolders() throws {
        guard Self.hasLandlock else {
            #expect(try said(reads: true).first == "confined ENOSYS")
            return
        }
        #expect(
            try said(reads: true) == [
                "confined", "read source", "read target", "read other EACCES", "make in target", "link in target",
                "remove in target", "make in source EACCES", "remove in other EACCES", "move out EACCES",
            ])
        #expect(
            try said(reads: false) == [
                "confined", "read source", "read target", "read other", "make in target", "link in target",
                "remove in target", "make in source EACCES", "remove in other EACCES", "move out EACCES",
            ])
    }

    @Test func aWorkerIsConfinedAndSaysSo() throws {
        let bench = try StageBench()
        bench.makeFiles(folders: 2, files: 3, bytes: 100)
        link("\(bench.source)/folder0/file0", "\(bench.source)/folder1/again")
        bench.makeLink("\(bench.folder("own"))/name", to: "\(bench.source)/folder0/file1")
        bench.makeFile("\(bench.folder("own"))/list", "\(bench.source)/folder0/file2 listed\n".utf8)
        let outcome = try bench.run(bench.order())
        #expect(outcome.status == 0, "\(outcome.text)")
        #expect(outcome.last?["confined"].flag == Self.hasLandlock)
        #expect(outcome.last?["degraded"].number == 0)
        let moves = [
            "transfer file pfs:\(bench.folder("own"))/name buffer:deep/one",
            "transfer list pfs:\(bench.folder("own"))/list buffer:",
        ]
        unlink(bench.journal)
        let files = try bench.run(bench.order(transfers: moves))
        #expect(files.status == 0, "\(files.text)")
        #expect(bench.folder.exists("buffer/deep/one") && bench.folder.exists("buffer/listed"))
        unlink(bench.journal)
        chown(bench.folder.path, bench.owner.uid, bench.owner.gid)
        let out = try bench.run(bench.order(phase: "stage-out"))
        #expect(out.status == 0, "\(out.text)")
        #expect(out.last?["confined"].flag == Self.hasLandlock)
        let list = "\(bench.folder("own"))/list"
        bench.makeFile(list, "in/folder0/file2 \(bench.folder("out"))/far\n".utf8)
        unlink(bench.journal)
        let far = try bench.run(bench.order(transfers: ["transfer list pfs:\(list) buffer:"], phase: "stage-out"))
        #expect(far.status == 0, "\(far.text)")
        #expect(far.last?["confined"].flag == false)
        #expect(bench.folder.exists("out/far"))
        #expect(try TreeHash(of: bench.folder("out/deep")).differences(from: TreeHash(of: bench.source)) == [])
    }
}
