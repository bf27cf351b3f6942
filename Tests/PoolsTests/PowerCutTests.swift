import BurstModel
import BurstPools
import BurstTestSupport
import CSys
import Glibc
import Testing

/// staging.md §5, R2, as far as it concerns pools: the disk is copied before each step, as it is at that moment, and
/// each copy is opened as after a power cut. What a call had promised by then still holds.
@Suite(.serialized, .enabled(if: Machine.canMount)) struct PowerCutTests {
    /// What was promised when a copy was made.
    struct Promise {
        /// Calls that had returned.
        var ready: Set<UInt64> = []
        var gone: Set<UInt64> = []
        /// Buffers that some call was working on.
        var touched: Set<UInt64> = []
    }

    final class Camera: @unchecked Sendable {
        let bench: PoolBench
        var promise = Promise()
        private(set) var shots: [(name: String, step: String, promise: Promise)] = []

        init(_ bench: PoolBench) { self.bench = bench }

        func shoot(_ step: String) {
            let name = "shot.\(shots.count)"
            Self.copy(bench.folder("image"), bench.folder(name))
            shots.append((name, step, promise))
        }

        /// Data alone, so that it stays as sparse as it is.
        private static func copy(_ from: String, _ to: String) {
            let source = open(from, O_RDONLY | O_CLOEXEC)
            let target = open(to, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
            precondition(source >= 0 && target >= 0)
            let size = lseek(source, 0, SEEK_END)
            ftruncate(target, size)
            // SEEK_DATA and SEEK_HOLE, which Glibc shows to _GNU_SOURCE only.
            var at = lseek(source, 0, 3)
            var buffer = [UInt8](repeating: 0, count: 1 << 20)
            while at >= 0, at < size {
                let end = lseek(source, at, 4)
                while at < end {
                    let count = pread(source, &buffer, min(buffer.count, end - at), at)
                    guard count > 0 else { break }
                    pwrite(target, buffer, count, at)
                    at += count
                }
                at = lseek(source, end, 3)
            }
            close(source)
            close(target)
        }
    }

    @Test(arguments: [PoolDriver.btrfs, .loop, .accounting]) func whatWasPromisedHolds(driver: PoolDriver) throws {
        let ground: PoolBench.Ground = driver == .btrfs ? .btrfs : .ext4
        let bench = try PoolBench(ground, driver: driver, megabytes: 512)
        try bench.create()
        let camera = Camera(bench)
        do {
            let pool = try PoolFolder.open(bench.settings) { camera.shoot($0) }
            for id in UInt64(1)...2 {
                camera.promise.touched = [id]
                _ = try pool.allocate(bench.request(id), now: PoolBench.now)
                camera.promise.ready.insert(id)
            }
            camera.promise.touched = [1]
            camera.promise.ready.remove(1)
            try pool.release(bench.request(1).name, now: PoolBench.now)
            camera.promise.gone.insert(1)
            #expect(pool.removeQuarantined().map(\.reason) == [])
            camera.promise.touched = []
            camera.shoot("the end")
        }
        #expect(camera.shots.count > 20)
        bench.unmountAll()
        #expect(Wait.until { bench.loops(all: true).isEmpty })
        for shot in camera.shots {
            unlink(bench.folder("image"))
            rename(bench.folder(shot.name), bench.folder("image"))
            try bench.mountGround()
            try check(bench, driver, shot.promise, "\(driver) before: \(shot.step)")
            bench.unmountAll()
            #expect(Wait.until { bench.loops(all: true).isEmpty })
        }
    }

    private func check(_ bench: PoolBench, _ driver: PoolDriver, _ promise: Promise, _ at: Comment) throws {
        let pool = try bench.open()
        #expect(pool.recover() == [], at)
        for id in promise.ready {
            let folder = try #require(pool.folder(of: bench.request(id).name), at)
            var status = stat()
            #expect(lstat(folder.striped, &status) == 0, at)
            #expect(status.st_uid == Machine.owner && status.st_mode & 0o7777 == 0o700, at)
            #expect(lstat(folder.stage, &status) == 0, at)
            let usage = try pool.usage(folder.name)
            #expect(usage.bytesMax >= 32 << 20 && usage.bytesMax < 40 << 20, at)
        }
        for id in promise.gone { #expect(pool.folder(of: bench.request(id).name) == nil, at) }
        // Whatever was under way goes on from there.
        for id in promise.touched where !promise.gone.contains(id) {
            _ = try pool.allocate(bench.request(id), now: PoolBench.now)
        }
        for id in UInt64(1)...2 { try pool.release(bench.request(id).name, now: PoolBench.now) }
        #expect(Wait.until { pool.removeQuarantined().isEmpty }, at)
        for leak in Reconciliation.leaks(
            known: [], found: pool.inventory(), now: Timestamp(milliseconds: 1 << 50), graceSeconds: 0)
        {
            #expect([.strayGroup, .strayDirectory, .strayImage].contains(leak.kind), at)
            try pool.repair(leak, now: PoolBench.now)
        }
        #expect(Wait.until { pool.removeQuarantined().isEmpty }, at)
        bench.expectEmpty(pool)
    }
}
