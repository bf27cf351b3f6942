import BurstModel
import BurstPools
import BurstTestSupport
import CSys
import Glibc
import Testing

/// A pool is what was made one, where it was made, and nothing else (staging.md §4.2).
@Suite(.serialized) struct FolderTests {
    private func plain() throws -> PoolBench { try PoolBench(.plain, driver: .accounting, quantity: .granules(100)) }

    private func faults(_ bench: PoolBench) -> [String] {
        PoolFolder.check(bench.settings).map {
            $0.description.replacing(bench.path, with: "POOL")
        }
    }

    private func refusal(_ body: () throws -> Void) -> String {
        do {
            try body()
            return "accepted"
        } catch {
            return "\(error)"
        }
    }

    @Test func theLayoutHasItsModes() throws {
        let bench = try plain()
        try bench.create()
        let expected: [(String, UInt32)] = [
            ("", 0o711), (".bb", 0o711), (".bb/pool.json", 0o644), (".bb/journal", 0o700), (".bb/status", 0o755),
            (".bb/quarantine", 0o700), (".bb/records", 0o700), (".bb/images", 0o700), ("buffers", 0o711),
            ("mnt", 0o711),
        ]
        for (name, mode) in expected {
            var status = stat()
            #expect(lstat(bench.path + "/" + name, &status) == 0)
            #expect(status.st_mode & 0o7777 == mode, "\(name)")
        }
        #expect(faults(bench) == [])
        let pool = try bench.open()
        #expect(pool.driver == .accounting)
        #expect(pool.quantity == 100)
    }

    @Test func anUnmarkedFolderIsRefused() throws {
        let bench = try plain()
        #expect(
            faults(bench) == [
                "POOL: has no mark of a pool; mount its file system, or prepare it once with burst pool create probe"
            ])
        #expect(throws: PoolFault.self) { try bench.open() }
        bench.settings.path += "/missing"
        #expect(faults(bench) == ["POOL: is no folder; make or mount it, then run burst pool create"])
    }

    @Test(.enabled(if: Machine.canMount)) func anUnmountedPoolIsRefused() throws {
        let bench = try PoolBench(for: .accounting)
        try bench.create()
        #expect(faults(bench) == [])
        bench.unmountAll()
        #expect(faults(bench).count == 1)
        #expect(faults(bench)[0].contains("has no mark of a pool; mount its file system"))
        let report = PoolFolder.report(bench.settings)
        #expect(!report.isUsable)
        try bench.mountGround()
        #expect(faults(bench) == [])
    }

    /// A copy of a pool, as a backup leaves one, is not that pool.
    @Test(.enabled(if: Machine.canMount)) func aMarkOnAnotherFileSystemIsRefused() throws {
        let bench = try PoolBench(for: .accounting)
        try bench.create()
        let other = try PoolBench(.xfs, driver: .accounting)
        other.settings.name = "probe"
        try other.create()
        let mark = Fixtures.bytes(of: bench.path + "/.bb/pool.json")
        other.write(String(decoding: mark, as: UTF8.self), to: other.path + "/.bb/pool.json")
        let faults = faults(other)
        #expect(faults.count == 1)
        #expect(faults[0].hasPrefix("POOL: lies on file system uuid:"))
        #expect(faults[0].hasSuffix("; mount the one that it was created on"))
    }

    @Test func theRootFileSystemIsRefusedUnlessItIsMeant() throws {
        let bench = try plain()
        var root = stat()
        var own = stat()
        stat("/", &root)
        stat(bench.path, &own)
        guard root.st_dev == own.st_dev else {
            // The folder for temporary files is a file system of its own: then nothing has to be meant.
            try PoolFolder.create(bench.settings, now: PoolBench.now)
            #expect(faults(bench) == [])
            return
        }
        #expect(
            refusal { try PoolFolder.create(bench.settings, now: PoolBench.now) }
                == "\(bench.path): lies on the root file system; mount a file system of its own there,"
                + " or say so with --on-root")
        try PoolFolder.create(bench.settings, now: PoolBench.now, onRoot: true)
        #expect(faults(bench) == [])
    }

    @Test func creatingTwiceAndOnUsedFoldersIsRefused() throws {
        let bench = try plain()
        bench.write("x", to: bench.path + "/thesis.txt")
        #expect(refusal { try bench.create() }.hasSuffix(": holds thesis.txt; a pool begins as an empty folder"))
        unlink(bench.path + "/thesis.txt")
        // Cut short before its mark, a creation is done again.
        mkdir(bench.path + "/.bb", 0o711)
        mkdir(bench.path + "/buffers", 0o700)
        try bench.create()
        #expect(faults(bench) == [])
        #expect(refusal { try bench.create() }.contains(": is a pool already; "))
    }

    @Test func moreThanTheFileSystemHoldsIsRefused() throws {
        let bench = try plain()
        bench.settings.quantity = .granules(1 << 40)
        #expect(refusal { try bench.create() }.hasSuffix("have room; lower quantity in the settings"))
        #expect(bench.names(bench.path) == [])
    }

    @Test func whatChangedSinceTheCreationIsTold() throws {
        let bench = try plain()
        try bench.create()
        bench.settings.granularity = 32 << 20
        #expect(
            faults(bench) == [
                "POOL: has granularity 32MiB in the settings and 16MiB since its creation;"
                    + " set it back, or create the pool anew"
            ])
        bench.settings.granularity = 16 << 20
        bench.settings.driver = Machine.isRoot ? .tmpfs : .loop
        #expect(faults(bench).count == 1)
        #expect(faults(bench)[0].contains("in the settings and accounting since its creation"))
        bench.settings.driver = nil
        bench.settings.name = "other"
        #expect(faults(bench) == ["POOL: was created as pool probe; name it so, or use another folder"])
        bench.settings.name = "probe"
        bench.settings.quantity = .granules(50)
        #expect(try bench.open().quantity == 50)
    }

    @Test func ownersAndModesAreChecked() throws {
        let bench = try plain()
        try bench.create()
        chmod(bench.path + "/buffers", 0o777)
        chmod(bench.path + "/.bb/records", 0o755)
        #expect(
            faults(bench) == [
                "POOL/.bb/records: has mode 755; it has to be 700",
                "POOL/buffers: may be written by others (mode 777); its owner alone may: chmod go-w",
            ])
        chmod(bench.path + "/buffers", 0o711)
        chmod(bench.path + "/.bb/records", 0o700)
        rmdir(bench.path + "/mnt")
        symlink("/", bench.path + "/mnt")
        #expect(faults(bench) == ["POOL/mnt: is no folder; make it with mode 711"])
        unlink(bench.path + "/mnt")
        mkdir(bench.path + "/mnt", 0o711)
        if Machine.isRoot {
            chown(bench.path + "/.bb", 54_321, 0)
            #expect(faults(bench) == ["POOL/.bb: belongs to user 54321; it has to belong to user 0, who runs this"])
        }
    }

    @Test(arguments: ["", "{", "[]", "{\"version\": 1}", "{\"version\": 99}", "\u{0}"])
    func aDamagedMarkIsRefused(text: String) throws {
        let bench = try plain()
        try bench.create()
        bench.write(text, to: bench.path + "/.bb/pool.json")
        let faults = faults(bench)
        #expect(faults.count == 1)
        #expect(faults[0].hasPrefix("POOL/.bb/pool.json: "))
    }

    @Test func oneProgramAtATimeHasAPool() throws {
        let bench = try plain()
        var pool: PoolFolder? = try bench.pool()
        #expect(refusal { _ = try bench.open() }.hasSuffix(": is in use by another burstd; one at a time may have it"))
        // Looking is always possible.
        #expect(try bench.open(.look).id == pool?.id)
        pool = nil
        _ = try bench.open()
    }

    @Test func twoCallsOnOneBufferDoNotMix() throws {
        let bench = try plain()
        try bench.create()
        let refused = Refused()
        let settings = bench.settings
        let request = bench.request(1)
        let pool = try PoolFolder.open(settings) { step in
            if step == "make data" { refused.note { try refused.pool?.release(request.name, now: PoolBench.now) } }
        }
        refused.pool = pool
        let folder = try pool.allocate(request, now: PoolBench.now)
        #expect(refused.texts == ["buffer 1.1: is being worked on; ask again when that is done"])
        #expect(access(folder.striped, F_OK) == 0)
        refused.pool = nil
    }

    /// Many at once never get more than there is.
    @Test func granulesAreHandedOutOnce() async throws {
        let bench = try plain()
        bench.settings.quantity = .granules(20)
        let pool = try bench.pool()
        let requests = (1...64).map { bench.request(UInt64($0), bytes: 1) }
        let made = await withTaskGroup(of: Bool.self) { group in
            for request in requests {
                group.addTask {
                    do {
                        _ = try pool.allocate(request, now: PoolBench.now)
                        return true
                    } catch {
                        return false
                    }
                }
            }
            return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
        }
        #expect(made == 19)
        #expect(pool.account.free == 0)
        #expect(bench.names(bench.path + "/buffers").count == 19)
        let report = pool.report()
        #expect(report.isUsable && report.buffers == 19)
        #expect(PoolText.check([report]) == "probe: ok (accounting, soft limit, 0 of 20 granules free)\n")
    }

    /// Kernels before 5.6 have no openat2(2); what is opened and what is refused is the same there.
    @Test func pathsLeadNowhereElse() throws {
        let folder = try TemporaryFolder("burst-paths")
        folder.makeFolder("inner")
        folder.makeFolder("inner/inmost")
        folder.write("text", to: "inner/inmost/file")
        folder.write("text", to: "outside")
        symlink("inner", folder("link"))
        symlink("/etc", folder("inner/out"))
        symlink("file", folder("inner/inmost/same"))
        let top = open(folder("inner"), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        defer { close(top) }
        let long = String(repeating: "n", count: 256)
        let paths: [(String, Bool)] = [
            ("inmost", true), ("inmost/file", true), (".", true), ("out", false), ("out/passwd", false),
            ("inmost/same", false), ("..", false), ("../outside", false), ("inmost/../../outside", false),
            ("/etc/passwd", false), ("", false), ("missing", false), (long, false), (long + "/file", false),
        ]
        for (path, isFound) in paths {
            for open in [bb_open_without_links, bb_open_by_steps] {
                let file = open(top, path, O_RDONLY, 0)
                #expect((file >= 0) == isFound, "\(path)")
                if file >= 0 { close(file) }
            }
        }
        let made = bb_open_by_steps(top, "inmost/made", O_WRONLY | O_CREAT | O_EXCL, 0o600)
        #expect(made >= 0)
        close(made)
        #expect(folder.exists("inner/inmost/made"))
    }

    @Test func resultsOfAProbeNameEachDriver() throws {
        let bench = try plain()
        let probes = try PoolFolder.probe(bench.path)
        #expect(Set(probes.map(\.driver)) == Set(PoolDriver.allCases))
        #expect(probes.last == DriverProbe(.accounting))
        #expect(probes.first { $0.driver == .btrfs }?.obstacle != nil || bench.ground == .btrfs)
    }
}

/// Asks a pool for something in the middle of something else.
final class Refused: @unchecked Sendable {
    var pool: PoolFolder?
    var texts: [String] = []

    func note(_ body: () throws -> Void) {
        do { try body() } catch { texts.append("\(error)") }
    }
}
