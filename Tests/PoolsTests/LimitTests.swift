import BurstModel
import BurstPools
import BurstTestSupport
import Glibc
import Testing

/// staging.md §5, Q1, Q2, X4: what a pool promises of sizes, on real file systems.
@Suite(.serialized, .enabled(if: Machine.canMount)) struct LimitTests {
    static let hard: [PoolDriver] = [.btrfs, .loop, .tmpfs]
    static let all: [PoolDriver] = hard + [.accounting]

    @Test(arguments: hard) func theKernelRefusesWhatIsTooMuchForTheUser(driver: PoolDriver) throws {
        let bench = try PoolBench(for: driver)
        let pool = try bench.pool()
        let folder = try pool.allocate(bench.request(1), now: PoolBench.now)
        let other = try pool.allocate(bench.request(2), now: PoolBench.now)
        let written = try bench.fill(folder.striped + "/big", as: Machine.owner, 100 << 20)
        #expect([ENOSPC, EDQUOT].contains(written.error))
        // Within the limit it is a promise, beyond it is refused soon.
        #expect(written.count >= 28 << 20 && written.count <= 40 << 20)
        // The one beside it has all of its own.
        #expect(try bench.fill(other.striped + "/big", as: Machine.owner, 28 << 20).error == 0)
    }

    @Test(arguments: hard) func theKernelRefusesRootToo(driver: PoolDriver) throws {
        #expect(driver.bindsRoot)
        let bench = try PoolBench(for: driver)
        let pool = try bench.pool()
        let folder = try pool.allocate(bench.request(1), now: PoolBench.now)
        let written = try bench.fill(folder.striped + "/big", as: 0, 100 << 20)
        #expect([ENOSPC, EDQUOT].contains(written.error))
        #expect(written.count <= 40 << 20)
    }

    @Test func aSoftPoolRefusesNothingAndSaysSo() throws {
        let bench = try PoolBench(for: .accounting)
        let pool = try bench.pool()
        let folder = try pool.allocate(bench.request(1), now: PoolBench.now)
        #expect(try bench.fill(folder.striped + "/big", as: Machine.owner, 64 << 20).error == 0)
        let usage = try pool.usage(folder.name)
        #expect(usage.isSoft)
        #expect(usage.bytes >= 64 << 20 && usage.bytes < 66 << 20)
        #expect(usage.bytesMax == 32 << 20)
        guard case .buffer = try pool.fullness(folder.name) else {
            Issue.record("the buffer is over its size")
            return
        }
    }

    @Test(arguments: [PoolDriver.loop, .tmpfs]) func filesAreLimitedToo(driver: PoolDriver) throws {
        let bench = try PoolBench(for: driver)
        bench.settings.bytesPerInode = 1 << 20
        let pool = try bench.pool()
        let folder = try pool.allocate(bench.request(1), now: PoolBench.now)
        #expect(folder.inodes == 32)
        let written = try bench.write("files", folder.striped, as: Machine.owner, 5000)
        #expect(written.error == ENOSPC)
        // mkfs.ext4 rounds its tables up to whole blocks.
        #expect(written.count >= 32 && written.count < 200)
        guard case .bufferInodes = try pool.fullness(folder.name) else {
            Issue.record("\(try pool.fullness(folder.name))")
            return
        }
    }

    @Test(arguments: all) func anotherUserSeesNothing(driver: PoolDriver) throws {
        let bench = try PoolBench(for: driver)
        let pool = try bench.pool()
        let folder = try pool.allocate(bench.request(1), now: PoolBench.now)
        let shown = try pool.expose(folder.name, token: "91")
        #expect(try bench.fill(folder.striped + "/secret", as: Machine.owner, 4096) == .init(count: 4096, error: 0))
        for path in [shown, folder.striped, folder.striped + "/secret", folder.stage, bench.path + "/.bb/records"] {
            #expect(try bench.look(path, as: Machine.stranger) == EACCES, "\(path)")
        }
        for path in [folder.path, bench.path, bench.path + "/mnt", bench.path + "/buffers", bench.path + "/.bb"] {
            // They may pass and not list.
            #expect(try bench.look(path, as: Machine.stranger) == EACCES, "\(path)")
        }
        #expect(try bench.look(bench.path + "/.bb/status", as: Machine.stranger) == 0)
        #expect(try bench.look(shown, as: Machine.owner) == 0)
        #expect(try bench.look(folder.stage, as: Machine.owner) == 0)
    }

    @Test(arguments: all) func whatIsFreeIsRightInEveryState(driver: PoolDriver) throws {
        let bench = try PoolBench(for: driver)
        let pool = try bench.pool()
        let all = pool.account
        #expect(all.quantity == (driver == .tmpfs ? 64 : all.quantity))
        #expect(all.free == all.quantity - all.reserve)
        _ = try pool.allocate(bench.request(1, bytes: (16 << 20) + 1), now: PoolBench.now)
        #expect(pool.account.live == 2)
        let folder = try pool.allocate(bench.request(2, bytes: 1), now: PoolBench.now)
        #expect(pool.account.live == 3)
        #expect(folder.bytes == 16 << 20)
        #expect(try bench.fill(folder.striped + "/a", as: Machine.owner, 8 << 20).error == 0)
        #expect(pool.account.free == all.free - 3)
        try pool.release(folder.name, now: PoolBench.now)
        // Not before it is removed.
        #expect(pool.account.quarantined == 1)
        #expect(pool.account.free == all.free - 3)
        #expect(pool.removeQuarantined().map(\.reason) == [])
        #expect(pool.account.free == all.free - 2)
        // The same after a restart.
        let account = pool.account
        #expect(try bench.open(.look).account == account)
        try pool.release(bench.request(1).name, now: PoolBench.now)
        #expect(pool.removeQuarantined().map(\.reason) == [])
        #expect(pool.account == all)
        bench.expectEmpty(pool)
    }

    @Test(arguments: hard) func usageIsTold(driver: PoolDriver) throws {
        let bench = try PoolBench(for: driver)
        let pool = try bench.pool()
        let folder = try pool.allocate(bench.request(1), now: PoolBench.now)
        #expect(try pool.fullness(folder.name) == .room)
        let before = try pool.usage(folder.name)
        #expect(before.bytes < 2 << 20)
        #expect(before.bytesMax >= 32 << 20 && before.bytesMax <= 40 << 20)
        #expect(try bench.fill(folder.striped + "/a", as: Machine.owner, 16 << 20).error == 0)
        #expect(try pool.fullness(folder.name) == .room)
        let after = try pool.usage(folder.name)
        #expect(after.bytes >= 16 << 20 && after.bytes < 20 << 20)
        #expect(try bench.fill(folder.striped + "/b", as: Machine.owner, 64 << 20).error != 0)
        guard case .buffer(let used, let limit) = try pool.fullness(folder.name) else {
            Issue.record("\(try pool.fullness(folder.name))")
            return
        }
        #expect(used <= limit)
    }

    /// The pool's own file system is full, though the buffers are not.
    @Test(arguments: [PoolBench.Ground.ext4, .btrfs]) func aFullPoolIsNotTakenForAFullBuffer(
        ground: PoolBench.Ground
    ) throws {
        let bench = try PoolBench(ground, driver: ground == .btrfs ? .btrfs : .accounting, megabytes: 256)
        let pool = try bench.pool()
        let folder = try pool.allocate(bench.request(1, bytes: 150 << 20), now: PoolBench.now)
        #expect(try pool.fullness(folder.name) == .room)
        // Something that is no buffer takes it all.
        let stranger = try bench.fill(bench.path + "/.bb/status/stranger", as: 0, 1 << 30)
        #expect(stranger.error == ENOSPC)
        let written = try bench.fill(folder.striped + "/a", as: Machine.owner, 100 << 20)
        #expect(written.error == ENOSPC)
        guard case .pool = try pool.fullness(folder.name) else {
            Issue.record("\(try pool.fullness(folder.name))")
            return
        }
        // Q3: a teardown works all the same.
        unlink(bench.path + "/.bb/status/stranger")
        try pool.release(folder.name, now: PoolBench.now)
        #expect(pool.removeQuarantined().map(\.reason) == [])
        bench.expectEmpty(pool)
    }

    @Test(arguments: all) func moreThanIsFreeIsRefusedBeforeAnythingIsMade(driver: PoolDriver) throws {
        let bench = try PoolBench(for: driver)
        let pool = try bench.pool()
        let free = pool.account.free
        do {
            _ = try pool.allocate(bench.request(1, bytes: (free + 1) * 16 << 20), now: PoolBench.now)
            Issue.record("it was made")
        } catch {

            #expect(error.kind == .poolFull)
            #expect(error.isFull)
            #expect(
                error.description
                    == "pool probe: has \(free) granules of 16MiB free (0 are still being removed); \(free + 1) are needed"
            )
        }
        bench.expectEmpty(pool)
    }

    @Test(arguments: all) func aBufferGrows(driver: PoolDriver) throws {
        let bench = try PoolBench(for: driver)
        // ext4 has a test of its own.
        bench.settings.image = .xfs
        let pool = try bench.pool()
        let folder = try pool.allocate(bench.request(1), now: PoolBench.now)
        #expect(try bench.fill(folder.striped + "/a", as: Machine.owner, 24 << 20).error == 0)
        let larger = try pool.resize(folder.name, bytes: 96 << 20)
        #expect(larger.bytes == 96 << 20)
        #expect(pool.account.live == 6)
        #expect(try pool.usage(folder.name).bytesMax >= 90 << 20)
        #expect(try bench.fill(folder.striped + "/b", as: Machine.owner, 56 << 20).error == 0)
        do {
            _ = try pool.resize(folder.name, bytes: 1 << 50)
            Issue.record("it grew")
        } catch {

            #expect(error.kind == .poolFull)
        }
        #expect(pool.account.live == 6)
    }

    /// ext4 grows while it is mounted only for a process with CAP_SYS_RESOURCE, which containers may lack.
    @Test func anImageOfExt4GrowsOrSaysWhyNot() throws {
        let bench = try PoolBench(for: .loop)
        let pool = try bench.pool()
        let folder = try pool.allocate(bench.request(1), now: PoolBench.now)
        if Machine.hasCapability(24) {
            #expect(try pool.resize(folder.name, bytes: 96 << 20).bytes == 96 << 20)
            #expect(try bench.fill(folder.striped + "/b", as: Machine.owner, 80 << 20).error == 0)
        } else {
            let fault = #expect(throws: PoolFault.self) { try pool.resize(folder.name, bytes: 96 << 20) }
            #expect(fault?.kind == .impossible)
            #expect(pool.account.live == 2)
            #expect(try bench.fill(folder.striped + "/b", as: Machine.owner, 28 << 20).error == 0)
        }
    }

    /// More than the kernel has loop devices ready at the start.
    @Test func manyImagesAreMountedAtOnce() throws {
        let bench = try PoolBench(for: .loop)
        let pool = try bench.pool()
        for id in UInt64(1)...20 { _ = try pool.allocate(bench.request(id), now: PoolBench.now) }
        #expect(bench.mounts("/fs/buffers/").count == 20)
        #expect(bench.loops().count == 20)
        for id in UInt64(1)...20 { try pool.release(bench.request(id).name, now: PoolBench.now) }
        #expect(Wait.until { pool.removeQuarantined().isEmpty })
        bench.expectEmpty(pool)
    }

    /// A soft pool looks at so many names in a call; the figure is whole after some.
    @Test func countingGoesOnInSlices() throws {
        let bench = try PoolBench(for: .accounting)
        let pool = try bench.pool()
        let folder = try pool.allocate(bench.request(1), now: PoolBench.now)
        for part in 0..<5 {
            mkdir("\(folder.striped)/\(part)", 0o700)
            for index in 0..<5000 {
                close(open("\(folder.striped)/\(part)/f\(index)", O_WRONLY | O_CREAT | O_CLOEXEC, 0o600))
            }
        }
        link(folder.striped + "/0/f0", folder.striped + "/hard")
        symlink("/usr", folder.striped + "/far")
        let first = try #require(try pool.usage(folder.name).inodes)
        #expect(first < 25_000)
        let second = try #require(try pool.usage(folder.name).inodes)
        // Files, their folders, the link that leads away, and the layout's five; the second name of a file is none.
        #expect(second == 25_000 + 5 + 1 + 5)
        // The next count begins anew, and meanwhile the last one stands.
        #expect(try pool.usage(folder.name).inodes == second)
    }

    /// Users may make subvolumes of their own, also within a buffer: they count, and go with it.
    @Test func subvolumesWithinABufferAreBound() throws {
        let bench = try PoolBench(for: .btrfs)
        let pool = try bench.pool()
        let folder = try pool.allocate(bench.request(1), now: PoolBench.now)
        try PoolBench.run(["btrfs", "-q", "subvolume", "create", folder.striped + "/inner"])
        try PoolBench.run(["btrfs", "-q", "subvolume", "create", folder.striped + "/inner/inmost"])
        let written = try bench.fill(folder.striped + "/inner/inmost/big", as: 0, 100 << 20)
        #expect([ENOSPC, EDQUOT].contains(written.error))
        #expect(written.count <= 40 << 20)
        try pool.release(folder.name, now: PoolBench.now)
        #expect(pool.removeQuarantined().map(\.reason) == [])
        #expect(pool.account.live == 0)
        #expect(bench.names(bench.path + "/.bb/quarantine") == [])
        for leak in Reconciliation.leaks(
            known: [], found: pool.inventory(), now: PoolBench.now.adding(seconds: 100), graceSeconds: 0)
        {
            // Groups of subvolumes that the kernel has not forgotten yet.
            #expect(leak.kind == .strayGroup)
            try pool.repair(leak, now: PoolBench.now)
        }
        bench.expectEmpty(pool)
    }

    /// Where the kernel has project quotas they are used before all else; where it has none, that is said.
    @Test(arguments: [PoolBench.Ground.xfs, .ext4]) func projectQuotasWorkWhereTheKernelHasThem(
        ground: PoolBench.Ground
    ) throws {
        let driver: PoolDriver = ground == .xfs ? .xfsQuota : .ext4Quota
        let bench = try PoolBench(ground, driver: driver)
        let probe = try #require(try PoolFolder.probe(bench.path).first { $0.driver == driver })
        guard probe.obstacle == nil else {
            #expect(probe.obstacle?.hasPrefix("project quotas are not enforced") == true)
            #expect(throws: PoolFault.self) { try bench.create() }
            bench.settings.driver = nil
            #expect(try PoolFolder.create(bench.settings, now: PoolBench.now).driver == .loop)
            return
        }
        let pool = try bench.pool()
        let folder = try pool.allocate(bench.request(1), now: PoolBench.now)
        let written = try bench.fill(folder.striped + "/big", as: Machine.owner, 100 << 20)
        #expect([ENOSPC, EDQUOT].contains(written.error))
        #expect(written.count <= 40 << 20)
        try pool.release(folder.name, now: PoolBench.now)
        #expect(pool.removeQuarantined().map(\.reason) == [])
        bench.expectEmpty(pool)
    }
}
