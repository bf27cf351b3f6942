import BurstModel
import BurstPools
import BurstTestSupport
import CSys
import Glibc
import Testing

/// staging.md §4.2, "Removal"; §3.2: what users leave is removed, whatever they did to it, and nothing else is.
@Suite(.serialized, .enabled(if: Machine.canMount)) struct RemovalTests {
    static let all: [PoolDriver] = [.btrfs, .loop, .tmpfs, .accounting]

    /// Everything that is known to stop `rm -rf`.
    private func makeHostile(_ top: String, outside: String) throws {
        mkdir(top + "/closed", 0o700)
        mkdir(top + "/closed/inner", 0o700)
        bench(top + "/closed/inner/file")
        chmod(top + "/closed/inner", 0)
        chmod(top + "/closed", 0)
        symlink(outside, top + "/way-out")
        symlink(outside + "/sentinel", top + "/file-out")
        symlink("..", top + "/up")
        symlink("loop", top + "/loop")
        mkfifo(top + "/fifo", 0o600)
        for name in ["-rf", "new\nline", " ", "*", "$(touch x)", String(repeating: "n", count: 255), "'\"\\"] {
            bench(top + "/" + name)
        }
        // No UTF-8.
        let bytes: [CChar] = (top + "/").utf8.map { CChar(bitPattern: $0) } + [-1, -2, 65, 0]
        let odd = open(bytes, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        #expect(odd >= 0)
        close(odd)
        link(top + "/-rf", top + "/hard")
        for index in 0..<3000 { bench(top + "/f\(index)") }
        // Far beyond the longest path and the most descriptors.
        var at = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        for level in 0..<3000 {
            guard mkdirat(at, "d", level % 100 == 50 ? 0o000 : 0o700) == 0 else {
                Issue.record("level \(level): errno \(errno)")
                break
            }
            let next = openat(at, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
            close(at)
            at = next
        }
        close(at)
    }

    private func bench(_ path: String) { close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)) }

    @Test(arguments: all) func hostileTreesAreRemovedAndNothingOutside(driver: PoolDriver) throws {
        let bench = try PoolBench(for: driver)
        bench.settings.bytesPerInode = 1024
        let pool = try bench.pool()
        let folder = try pool.allocate(bench.request(1), now: PoolBench.now)
        bench.folder.makeFolder("outside")
        bench.folder.write("kept", to: "outside/sentinel")
        try makeHostile(folder.striped, outside: bench.folder("outside"))
        let started = ContinuousClock.now
        try pool.release(folder.name, now: PoolBench.now)
        #expect(ContinuousClock.now - started < .seconds(1))
        #expect(pool.removeQuarantined().map(\.reason) == [])
        bench.expectEmpty(pool)
        #expect(bench.folder.text(of: "outside/sentinel") == "kept")
    }

    /// X1, small, for teardown: `BURST_POOL_RACES` for more. A process that is still inside swaps folders with links to
    /// the outside while root removes them.
    @Test func nobodyLeadsTheRemovalOutside() throws {
        let races = getenv("BURST_POOL_RACES").flatMap { Int(String(cString: $0)) } ?? 15
        let bench = try PoolBench(for: .accounting)
        let pool = try bench.pool()
        bench.folder.makeFolder("outside")
        for file in 0..<50 { bench.folder.write("kept", to: "outside/f\(file)") }
        var swaps = 0
        for race in 1...races {
            let name = bench.request(UInt64(race)).name
            let folder = try pool.allocate(bench.request(UInt64(race)), now: PoolBench.now)
            let swapper = try bench.start("swap", folder.striped, String(Machine.owner), bench.folder("outside"))
            #expect(swapper.wait { $0.lines.contains("ready") })
            try pool.release(name, now: PoolBench.now)
            #expect(Wait.until(seconds: 20) { pool.removeQuarantined().isEmpty })
            let result = swapper.waitForEnd(seconds: 20)
            #expect(result.end == .exited(0))
            swaps += result.text.split(separator: " ").last.flatMap { Int($0.prefix { $0.isNumber }) } ?? 0
        }
        #expect(swaps > 0)
        #expect(bench.names(bench.folder("outside")).count == 50)
        bench.expectEmpty(pool)
    }

    /// Root can make a file that root cannot remove.
    @Test func immutableFilesAreRemoved() throws {
        let bench = try PoolBench(for: .accounting)
        let pool = try bench.pool()
        let folder = try pool.allocate(bench.request(1), now: PoolBench.now)
        mkdir(folder.striped + "/fixed", 0o700)
        bench.write("a", to: folder.striped + "/fixed/a")
        bench.write("b", to: folder.striped + "/growing")
        try PoolBench.run(["chattr", "+i", folder.striped + "/fixed/a"])
        try PoolBench.run(["chattr", "+i", folder.striped + "/fixed"])
        try PoolBench.run(["chattr", "+a", folder.striped + "/growing"])
        #expect(unlink(folder.striped + "/growing") != 0 && errno == EPERM)
        try pool.release(folder.name, now: PoolBench.now)
        #expect(pool.removeQuarantined().map(\.reason) == [])
        bench.expectEmpty(pool)
    }

    /// What an administrator has mounted within a buffer is not ours to empty.
    @Test func aMountWithinABufferKeepsIt() throws {
        let bench = try PoolBench(for: .accounting)
        let pool = try bench.pool()
        let folder = try pool.allocate(bench.request(1), now: PoolBench.now)
        mkdir(folder.striped + "/mounted", 0o755)
        #expect(bb_mount("burst", folder.striped + "/mounted", "tmpfs", "size=1m") == 0)
        bench.write("kept", to: folder.striped + "/mounted/file")
        try pool.release(folder.name, now: PoolBench.now)
        #expect(pool.removeQuarantined().map(\.reason) == ["Device or resource busy"])
        #expect(pool.account.quarantined == 2)
        let mount = try #require(bench.mounts("/fs/.bb/quarantine").first)
        #expect(access(mount + "/file", F_OK) == 0)
        umount2(mount, 0)
        #expect(pool.removeQuarantined().map(\.reason) == [])
        bench.expectEmpty(pool)
    }

    /// As much as there is, the move is one step: also of what is not written to the disk yet.
    @Test(arguments: all) func quarantineTakesConstantTime(driver: PoolDriver) throws {
        let bench = try PoolBench(for: driver)
        bench.settings.bytesPerInode = 4096
        let pool = try bench.pool()
        var times: [Duration] = []
        for (id, files) in [(UInt64(1), 0), (2, 20_000)] {
            let folder = try pool.allocate(bench.request(id, bytes: 200 << 20), now: PoolBench.now)
            for index in 0..<files { bench.write("some bytes", to: folder.striped + "/f\(index)") }
            if files > 0 {
                let block = String(repeating: "x", count: 1 << 20)
                for index in 0..<64 { bench.write(block, to: folder.striped + "/g\(index)") }
            }
            let started = ContinuousClock.now
            try pool.release(folder.name, now: PoolBench.now)
            times.append(ContinuousClock.now - started)
        }
        #expect(times[1] < times[0] * 10 + .milliseconds(500), "\(times)")
        #expect(Wait.until(seconds: 60) { pool.removeQuarantined().isEmpty })
        bench.expectEmpty(pool)
    }

    @Test func anImageOfXFSLivesAndGoes() throws {
        let bench = try PoolBench(for: .loop)
        bench.settings.image = .xfs
        let pool = try bench.pool()
        let folder = try pool.allocate(bench.request(1, bytes: 320 << 20), now: PoolBench.now)
        let written = try bench.fill(folder.striped + "/big", as: Machine.owner, 500 << 20)
        #expect(written.error == ENOSPC)
        #expect(written.count >= 320 << 20 && written.count < 360 << 20)
        guard case .buffer = try pool.fullness(folder.name) else {
            Issue.record("\(try pool.fullness(folder.name))")
            return
        }
        try pool.release(folder.name, now: PoolBench.now)
        #expect(Wait.until { pool.removeQuarantined().isEmpty })
        bench.expectEmpty(pool)
    }
}

/// staging.md §4.5: an ordinary user, for that user alone.
@Suite struct UnprivilegedTests {
    @Test func aPoolWorksWithoutRoot() throws {
        let bench = try PoolBench(.plain, driver: nil)
        chmod(bench.path, 0o700)
        chown(bench.path, Machine.owner, Machine.group)
        let result = try bench.start("alone", bench.path, String(Machine.owner)).waitForEnd()
        #expect(result.errorText == "")
        #expect(
            result.text.split(separator: "\n") == [
                "driver accounting", "link", "3145728 0", "same", "1048576 0", "soft true true", "free 950", "leaks 0",
            ])
    }
}
