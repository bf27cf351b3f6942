import BurstModel
import BurstPools
import BurstTestSupport
import CSys
import Glibc
import Testing

/// Buffers come, are shown, go, and leave nothing behind, also where a SIGKILL comes between any two steps.
@Suite(.serialized, .enabled(if: Machine.canMount)) struct LifeTests {
    static let all: [PoolDriver] = [.btrfs, .loop, .tmpfs, .accounting]
    private static let later = PoolBench.now.adding(seconds: 1000)

    @Test(arguments: all) func everyCallBearsToBeRepeated(driver: PoolDriver) throws {
        let bench = try PoolBench(for: driver)
        let pool = try bench.pool()
        let request = bench.request(3)
        let folder = try pool.allocate(request, now: PoolBench.now)
        #expect(try bench.fill(folder.striped + "/kept", as: Machine.owner, 4096).error == 0)
        #expect(try pool.allocate(request, now: Self.later) == folder)
        let path = try pool.expose(request.name, token: "91")
        #expect(path == bench.path + "/mnt/91_striped_scratch/")
        #expect(try pool.expose(request.name, token: "91") == path)
        #expect(bench.mounts("/fs/mnt").count == 1)
        #expect(access(path + "kept", F_OK) == 0)
        let host = try pool.makePrivate(request.name, host: "nid00017")
        #expect(try pool.makePrivate(request.name, host: "nid00017") == host)
        #expect(try pool.expose(request.name, token: "91", .ofHost("nid00017")).hasSuffix("/91_private_scratch/"))
        // Other words for the same buffer are none of a repetition.
        #expect(throws: PoolFault.self) { try pool.allocate(bench.request(3, bytes: 1 << 30), now: PoolBench.now) }
        #expect(try pool.conceal(token: "91"))
        #expect(try pool.conceal(token: "91"))
        #expect(try pool.conceal(token: "91", .ofHost("nid00017")))
        try pool.release(request.name, now: PoolBench.now)
        try pool.release(request.name, now: Self.later)
        #expect(pool.folder(of: request.name) == nil)
        #expect(pool.removeQuarantined().map(\.reason) == [])
        #expect(pool.removeQuarantined().map(\.reason) == [])
        bench.expectEmpty(pool)
    }

    @Test(arguments: all) func whatAJobSeesHasNoDevicesAndNoSetuid(driver: PoolDriver) throws {
        let bench = try PoolBench(for: driver)
        let pool = try bench.pool()
        let name = try pool.allocate(bench.request(1), now: PoolBench.now).name
        let path = try pool.expose(name, token: "91")
        let text = String(decoding: Fixtures.bytes(of: "/proc/self/mountinfo"), as: UTF8.self)
        let line = try #require(text.split(separator: "\n").first { $0.contains(path.dropLast() + " ") })
        let options = line.split(separator: " ")[5].split(separator: ",")
        #expect(options.contains("nosuid") && options.contains("nodev"))
    }

    @Test(arguments: ["", ".", "..", "a/b", "a b", "a\nb", "é", String(repeating: "a", count: 65), "../../etc"])
    func tokensThatAreNoNamesAreRefused(token: String) throws {
        let bench = try PoolBench(.plain, driver: .accounting, quantity: .granules(100))
        let pool = try bench.pool()
        let name = try pool.allocate(bench.request(1), now: PoolBench.now).name
        #expect(throws: PoolFault.self) { try pool.expose(name, token: token) }
        #expect(throws: PoolFault.self) { try pool.conceal(token: token) }
        #expect(throws: PoolFault.self) { try pool.makePrivate(name, host: token) }
        #expect(bench.names(bench.path + "/mnt") == [])
    }

    /// staging.md §4.6: a process that is still inside keeps nobody waiting, and space is counted until it is gone.
    @Test(arguments: all) func aBusyBufferIsTornDownAtOnce(driver: PoolDriver) throws {
        let bench = try PoolBench(for: driver)
        let pool = try bench.pool()
        let name = try pool.allocate(bench.request(1), now: PoolBench.now).name
        let path = try pool.expose(name, token: "91")
        let holder = try bench.start("hold", path, "0")
        #expect(holder.wait { $0.lines.contains("ready") })
        let started = ContinuousClock.now
        #expect(try pool.conceal(token: "91") == false)
        try pool.release(name, now: PoolBench.now)
        #expect(ContinuousClock.now - started < .seconds(2))
        #expect(bench.mounts("/fs/mnt") == [])
        #expect(bench.names(bench.path + "/mnt") == [])
        let left = pool.removeQuarantined()
        if driver == .loop {
            // Its file cannot be given back while the kernel still has it.
            #expect(left.map(\.entry) == ["1.1.\(PoolBench.now.milliseconds)"])
            #expect(pool.account.quarantined == 2)
        }
        holder.closeInput()
        _ = holder.waitForEnd()
        #expect(Wait.until { pool.removeQuarantined().isEmpty })
        bench.expectEmpty(pool)
    }

    /// L1, small: `BURST_POOL_CYCLES` for more.
    @Test(arguments: all) func manyLivesLeaveNothing(driver: PoolDriver) throws {
        let cycles = getenv("BURST_POOL_CYCLES").flatMap { Int(String(cString: $0)) } ?? 75
        let bench = try PoolBench(for: driver)
        let pool = try bench.pool()
        let descriptors = bench.descriptors()
        for cycle in 1...cycles {
            let request = bench.request(UInt64(cycle), generation: UInt64(cycle % 3))
            let folder = try pool.allocate(request, now: PoolBench.now)
            let path = try pool.expose(request.name, token: "\(cycle)")
            bench.write("data \(cycle)", to: path + "file")
            // Some end without being taken down in order.
            if cycle % 7 != 0 { try pool.conceal(token: "\(cycle)") }
            #expect(access(folder.striped + "/file", F_OK) == 0)
            try pool.release(request.name, now: PoolBench.now.adding(seconds: cycle))
            if cycle % 7 == 0 { try pool.conceal(token: "\(cycle)") }
            if cycle % 5 == 0 { pool.removeQuarantined() }
        }
        #expect(Wait.until { pool.removeQuarantined().isEmpty })
        bench.expectEmpty(pool)
        #expect(bench.descriptors() == descriptors)
    }

    /// Kills the program before each of its steps in turn, then does the same again in a new life.
    @Test(arguments: all) func aKillBetweenAnyTwoStepsLosesNothing(driver: PoolDriver) throws {
        let bench = try PoolBench(for: driver)
        try bench.create()
        func live(_ what: String, _ step: Int) throws -> PipedProgram.Result {
            try bench.start("lives", bench.path, driver.rawValue, "ext4", what, String(step)).waitForEnd()
        }
        var kills = 0
        for chain in [["allocate", "expose", "conceal", "release", "remove"], ["allocate", "release", "remove"]] {
            for (index, what) in chain.enumerated() {
                for before in chain[..<index] {
                    let result = try live(before, 0)
                    #expect(result.text.hasPrefix("done"), "\(before): \(result.errorText)")
                }
                var step = 1
                while step < 60 {
                    let result = try live(what, step)
                    if result.text.hasPrefix("done") { break }
                    #expect(result.end == .killed(signal: SIGKILL), "\(what) \(step): \(result.errorText)")
                    kills += 1
                    // What holds now, holds after a look at it in another life; then the same again, further.
                    do {
                        let pool = try bench.open()
                        #expect(pool.recover() == [], "\(what) \(step)")
                        #expect(pool.account.live + pool.account.quarantined <= 2, "\(what) \(step) \(result.text)")
                    }
                    step += 1
                }
                #expect(step < 60)
                for after in chain[(index + 1)...] {
                    let result = try live(after, 0)
                    #expect(result.text.hasPrefix("done"), "\(after): \(result.errorText)")
                }
                bench.expectEmpty(try bench.open())
            }
        }
        #expect(kills >= 20)
    }

    /// A kill in the middle of anything, and nobody who knows of the session any more: the reconciler finds all of it.
    @Test(arguments: all) func whatAKillLeftIsFoundAndPutRight(driver: PoolDriver) throws {
        let bench = try PoolBench(for: driver)
        try bench.create()
        var step = 1
        while step < 60 {
            let result = try bench.start("lives", bench.path, driver.rawValue, "ext4", "allocate", String(step))
                .waitForEnd()
            let isDone = result.text.hasPrefix("done")
            let pool = try bench.open()
            #expect(pool.recover() == [])
            for _ in 0..<4 {
                let leaks = Reconciliation.leaks(
                    known: [], found: pool.inventory(), now: Timestamp(milliseconds: 1 << 50), graceSeconds: 0)
                for leak in leaks { try pool.repair(leak, now: Self.later) }
            }
            bench.expectEmpty(pool)
            if isDone { break }
            step += 1
        }
        #expect(step > 4 && step < 60)
    }

    /// A buffer of the same name after a release that was cut short has nothing of the earlier one, and keeps what is
    /// its own.
    @Test(arguments: all) func theSameNameAgainIsAnotherBuffer(driver: PoolDriver) throws {
        let bench = try PoolBench(for: driver)
        try bench.create()
        var step = 1
        while step < 60 {
            var folder: BufferFolder
            let request = bench.request(7, bytes: 20 << 20)
            do {
                let pool = try bench.open()
                folder = try pool.allocate(request, now: PoolBench.now)
                bench.write("old", to: folder.striped + "/old")
            }
            let result = try bench.start("lives", bench.path, driver.rawValue, "ext4", "release", String(step))
                .waitForEnd()
            let pool = try bench.open()
            if pool.folder(of: request.name) != nil { try pool.release(request.name, now: Self.later) }
            folder = try pool.allocate(request, now: PoolBench.now)
            #expect(access(folder.striped + "/old", F_OK) != 0, "step \(step)")
            bench.write("new", to: folder.striped + "/new")
            #expect(Wait.until { pool.removeQuarantined().isEmpty }, "step \(step)")
            #expect(pool.recover() == [])
            #expect(access(folder.striped + "/new", F_OK) == 0, "step \(step)")
            try pool.release(request.name, now: PoolBench.now)
            #expect(Wait.until { pool.removeQuarantined().isEmpty }, "step \(step)")
            bench.expectEmpty(pool)
            if result.text.hasPrefix("done") { break }
            step += 1
        }
        #expect(step > 2 && step < 60)
    }

    @Test func aRestartOfTheMachineMountsImagesAgain() throws {
        let bench = try PoolBench(for: .loop)
        var pool: PoolFolder? = try bench.pool()
        let folder = try #require(try pool?.allocate(bench.request(1), now: PoolBench.now))
        #expect(try bench.fill(folder.striped + "/kept", as: Machine.owner, 4096).error == 0)
        pool = nil
        // As after a boot: nothing is mounted but the pool itself.
        bench.unmountAll()
        #expect(Wait.until { bench.loops(all: true).isEmpty })
        #expect(throws: PoolFault.self) { try bench.open() }
        try bench.mountGround()
        let again = try bench.open()
        let known = [KnownSession(name: folder.name)]
        let leaks = Reconciliation.leaks(known: known, found: again.inventory(), now: Self.later)
        #expect(leaks.map(\.kind) == [.unmountedBuffer])
        #expect(again.recover() == [])
        #expect(access(folder.striped + "/kept", F_OK) == 0)
        #expect(Reconciliation.leaks(known: known, found: again.inventory(), now: Self.later) == [])
        try again.release(folder.name, now: PoolBench.now)
        #expect(again.removeQuarantined().map(\.reason) == [])
        bench.expectEmpty(again)
    }

    @Test func memoryThatIsLostIsNotPassedOffAsEmpty() throws {
        let bench = try PoolBench(for: .tmpfs)
        let pool = try bench.pool()
        let folder = try pool.allocate(bench.request(1), now: PoolBench.now)
        for mount in bench.mounts("/fs/buffers") { umount2(mount, Int32(MNT_DETACH)) }
        #expect(pool.recover() == [])
        let known = [KnownSession(name: folder.name)]
        let leaks = Reconciliation.leaks(known: known, found: pool.inventory(), now: Self.later)
        #expect(leaks.map(\.kind) == [.lostBuffer])
        let fault = #expect(throws: PoolFault.self) { try pool.allocate(bench.request(1), now: PoolBench.now) }
        #expect(fault?.kind == .lost)
        try pool.release(folder.name, now: PoolBench.now)
        #expect(pool.removeQuarantined().map(\.reason) == [])
        bench.expectEmpty(pool)
    }

    @Test func theCleanerWorksWhenItIsWoken() throws {
        let bench = try PoolBench(for: .loop)
        let pool = try bench.pool()
        let cleaner = try PoolCleaner([pool])
        for id in UInt64(1)...3 {
            let name = try pool.allocate(bench.request(id), now: PoolBench.now).name
            try pool.release(name, now: PoolBench.now)
            cleaner.wake()
        }
        #expect(Wait.until { pool.account.quarantined == 0 })
        cleaner.stop()
        #expect(Wait.until { cleaner.isDone })
        bench.expectEmpty(pool)
    }

    /// What lies there and belongs to nobody is named, and put right.
    @Test func strayThingsAreFoundByName() throws {
        let bench = try PoolBench(for: .loop)
        let pool = try bench.pool()
        bench.write("left", to: bench.path + "/.bb/images/9.9.img")
        mkdir(bench.path + "/buffers/9.9", 0o711)
        bench.write("left", to: bench.path + "/buffers/9.9/file")
        mkdir(bench.path + "/mnt/77_striped_scratch", 0o700)
        #expect(bb_bind(bench.path + "/buffers/9.9", bench.path + "/mnt/77_striped_scratch") == 0)
        mkdir(bench.path + "/.bb/status/odd", 0o700)
        #expect(bb_mount("burst", bench.path + "/.bb/status/odd", "tmpfs", "size=1m") == 0)
        let far = Timestamp(milliseconds: 1 << 50)
        let leaks = Reconciliation.leaks(known: [], found: pool.inventory(), now: far)
        #expect(leaks.map(\.kind) == [.strayDirectory, .strayImage, .strayName, .strayMount])
        #expect(leaks.map(\.name).prefix(3) == ["9.9", "9.9.img", "77_striped_scratch"])
        for leak in leaks { #expect(try pool.repair(leak, now: Self.later)) }
        rmdir(bench.path + "/.bb/status/odd")
        #expect(pool.removeQuarantined().map(\.reason) == [])
        bench.expectEmpty(pool)
    }
}
