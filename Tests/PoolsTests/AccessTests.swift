import BurstModel
import BurstPools
import BurstTestSupport
import CSys
import Glibc
import Testing

/// Who may use a buffer beside its owner, and what the stager asks of one buffer alone.
@Suite(.serialized, .enabled(if: Machine.canMount)) struct AccessTests {
    private func mayWrite(_ path: String, as uid: UInt32, group: UInt32? = nil) throws -> Bool {
        let words = [
            "/usr/bin/setpriv", "--reuid", "\(uid)", "--regid", "\(group ?? uid)", "--clear-groups", "/bin/sh", "-c",
            "echo x >>\(path)",
        ]
        return try PipedProgram.run(words, environment: [:]).end == .exited(0)
    }

    @Test(arguments: [PoolDriver.btrfs, .loop, .tmpfs, .accounting])
    func othersComeInAsFarAsTheyAreLet(driver: PoolDriver) throws {
        let bench = try PoolBench(for: driver)
        let pool = try bench.pool()
        let name = try pool.allocate(bench.request(1), now: PoolBench.now).name
        let path = try pool.expose(name, token: "alpha")
        #expect(try mayWrite(path + "own", as: Machine.owner))
        #expect(try !mayWrite(path + "theirs", as: Machine.stranger))
        try pool.grant(name, to: BufferAccess(users: [Machine.stranger]))
        #expect(try mayWrite(path + "theirs", as: Machine.stranger))
        // What is made from now on is for both.
        #expect(try mayWrite(path + "theirs", as: Machine.owner))
        #expect(try !mayWrite(path + "third", as: Machine.stranger + 1))
        try pool.grant(name, to: BufferAccess(groups: [Machine.stranger + 2]))
        #expect(try mayWrite(path + "third", as: Machine.stranger + 1, group: Machine.stranger + 2))
        #expect(try !mayWrite(path + "more", as: Machine.stranger))
        try pool.grant(name, to: BufferAccess(everyone: true))
        #expect(try mayWrite(path + "more", as: Machine.stranger))
        try pool.grant(name, to: BufferAccess())
        #expect(try !mayWrite(path + "closed", as: Machine.stranger))
        #expect(try mayWrite(path + "closed", as: Machine.owner))
        try pool.conceal(token: "alpha")
        try pool.release(name, now: PoolBench.now)
        #expect(pool.removeQuarantined(of: name) == nil)
        bench.expectEmpty(pool)
    }

    @Test func oneBufferIsRemovedAndOthersStay() throws {
        let bench = try PoolBench(for: .accounting)
        let pool = try bench.pool()
        let names = try (1...3).map { try pool.allocate(bench.request(UInt64($0)), now: PoolBench.now).name }
        for name in names.dropLast() { try pool.release(name, now: PoolBench.now) }
        let held = pool.account.quarantined
        #expect(pool.removeQuarantined(of: names[0]) == nil)
        #expect(pool.account.quarantined * 2 == held)
        #expect(pool.removeQuarantined(of: names[2]) == nil)
        #expect(pool.folder(of: names[2]) != nil)
        let data = try pool.openData(names[2])
        #expect(data > 2)
        close(data)
        #expect(throws: PoolFault.self) { try pool.openData(names[0]) }
    }
}
