import BurstStaging
import BurstTestSupport
import CSys
import Glibc
import Synchronization
import Testing

/// Disks and sources that do harm: it is found, and never called success (staging.md §5, C5 to C7).
@Suite struct FaultTests {
    /// Runs an order in this process, where a test can do harm at the right moment.
    private func run(
        _ bench: StageBench, _ settings: String...,
        seam: @escaping @Sendable (StageMoment, Int32) throws(SystemFault) -> Void
    ) throws -> (exit: StageExit, last: JSON) {
        var parser = StageOrderParser()
        var order: StageOrder?
        let text = bench.order(settings.joined(separator: "\n"))
        for line in text.split(separator: "\n") { order = try parser.take(line.utf8) ?? order }
        let output = open(bench.folder("own/output"), O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        defer { close(output) }
        let exit = StageSession(try #require(order), seam: seam).run(input: -1, signals: -1, output: output)
        let line = try #require(bench.folder.text(of: "own/output").split(separator: "\n").last)
        return (exit, try JSON(line.utf8))
    }

    private static func flip(_ fd: Int32, by number: Int) {
        var status = stat()
        fstat(fd, &status)
        guard status.st_size > 0 else { return }
        let place = off_t(number * 7919) % status.st_size
        var byte: UInt8 = 0
        pread(fd, &byte, 1, place)
        byte ^= 1 << (number % 8)
        pwrite(fd, &byte, 1, place)
    }

    @Test(arguments: [("inline", StageMoment.copied), ("readback", StageMoment.synced)])
    func aFlippedBitIsFoundAndMended(verify: String, moment: StageMoment) throws {
        let bench = try StageBench(isOurs: true)
        bench.makeFiles(folders: 10, files: 100, bytes: 3000)
        let flips = Atomic<Int>(0)
        let seen = Mutex<Set<UInt64>>([])
        let result = try run(bench, "verify \(verify)") { at, fd in
            guard at == moment else { return }
            // Each file begins as no other does; a second copy of it is left in peace.
            var beginning: UInt64 = 0
            pread(fd, &beginning, 8, 0)
            let isFirst = seen.withLock { $0.insert(beginning).inserted }
            guard isFirst, beginning != 0 else { return }
            let number = flips.wrappingAdd(1, ordering: .relaxed).newValue
            Self.flip(fd, by: number)
            if at == .synced { fdatasync(fd) }
        }
        #expect(flips.load(ordering: .relaxed) >= 1000)
        #expect(result.exit == .complete)
        let source = try TreeHash(of: bench.source)
        #expect(try TreeHash(of: bench.target).differences(from: source) == [])
    }

    @Test(arguments: [("inline", StageMoment.copied), ("readback", StageMoment.synced)])
    func aFlippedBitInAPartIsFoundAndMended(verify: String, moment: StageMoment) throws {
        let bench = try StageBench(isOurs: true)
        bench.makeFile("\(bench.source)/large", StageBench.content(9_000_000, seed: 1))
        let calls = Atomic<Int>(0)
        let result = try run(
            bench, "verify \(verify)", "threads 1", "large-bytes 4000000", "part-bytes 1048576"
        ) { at, fd in
            guard at == moment else { return }
            let number = calls.wrappingAdd(1, ordering: .relaxed).oldValue
            // One thread takes part after part; the third one, or the first sync with it.
            guard number == (at == .copied ? 2 : 0) else { return }
            var byte: UInt8 = 0
            pread(fd, &byte, 1, (2 << 20) + 77)
            byte ^= 4
            pwrite(fd, &byte, 1, (2 << 20) + 77)
            if at == .synced { fdatasync(fd) }
        }
        #expect(calls.load(ordering: .relaxed) > (moment == .copied ? 9 : 3))
        #expect(result.exit == .complete)
        let source = try TreeHash(of: bench.source)
        #expect(try TreeHash(of: bench.target).differences(from: source) == [])
    }

    /// What is verified while it is in the cache is a stretch of 8 MiB, of a whole file or of a part.
    @Test(arguments: ["", "large-bytes 16000000\npart-bytes 16777216"])
    func aFlippedBitInALaterStretchIsFoundAndMended(settings: String) throws {
        let bench = try StageBench(isOurs: true)
        bench.makeFile("\(bench.source)/file", StageBench.content(20_000_000, seed: 1))
        let calls = Atomic<Int>(0)
        let result = try run(bench, "verify inline", "threads 1", settings) { at, fd in
            guard at == .copied, calls.wrappingAdd(1, ordering: .relaxed).oldValue == 1 else { return }
            var byte: UInt8 = 0
            pread(fd, &byte, 1, (8 << 20) + 77)
            byte ^= 4
            pwrite(fd, &byte, 1, (8 << 20) + 77)
        }
        // Two stretches, and then all three.
        #expect(calls.load(ordering: .relaxed) == 5)
        #expect(result.exit == .complete)
        #expect(result.last["bytes_verified"].number == 20_000_000)
        let source = try TreeHash(of: bench.source)
        #expect(try TreeHash(of: bench.target).differences(from: source) == [])
    }

    @Test(arguments: [("inline", StageMoment.copied), ("readback", StageMoment.synced)])
    func damageThatStaysIsAFailure(verify: String, moment: StageMoment) throws {
        let bench = try StageBench(isOurs: true)
        bench.makeFiles(folders: 2, files: 50, bytes: 3000)
        let result = try run(bench, "verify \(verify)") { at, fd in
            guard at == moment else { return }
            Self.flip(fd, by: 3)
            if at == .synced { fdatasync(fd) }
        }
        #expect(result.exit == .partial)
        #expect(result.last["errors"].number == 100)
        let copied = try TreeHash(of: bench.target).lines.values
        #expect(copied.allSatisfy { $0.hasPrefix("directory") })
        #expect(copied.count == 2)
    }

    @Test func transientFaultsAreTriedAgainAndOthersAreNot() throws {
        let bench = try StageBench(isOurs: true)
        bench.makeFiles(folders: 2, files: 30, bytes: 3000)
        let calls = Atomic<Int>(0)
        let mended = try run(bench, "retries 5", "retry-first-ms 1", "retry-last-ms 4") { at, _ throws(SystemFault) in
            guard at == .copied else { return }
            let number = calls.wrappingAdd(1, ordering: .relaxed).newValue
            if number % 2 == 0 { throw SystemFault("write", [EIO, ESTALE, ETIMEDOUT, EAGAIN][number / 2 % 4]) }
        }
        #expect(mended.exit == .complete)
        #expect(mended.last["retries"].number ?? 0 >= 30)
        let source = try TreeHash(of: bench.source)
        #expect(try TreeHash(of: bench.target).differences(from: source) == [])

        bench.startOver()
        let tries = Atomic<Int>(0)
        let refused = try run(bench, "retry-first-ms 1") { at, _ throws(SystemFault) in
            guard at == .copied else { return }
            tries.wrappingAdd(1, ordering: .relaxed)
            throw SystemFault("write", EACCES)
        }
        #expect(refused.exit == .partial)
        #expect(tries.load(ordering: .relaxed) == 60)
        #expect(refused.last["retries"].number == 0)

        bench.startOver()
        tries.store(0, ordering: .relaxed)
        let tired = try run(bench, "retries 3", "retry-first-ms 1", "threads 1") { at, _ throws(SystemFault) in
            guard at == .copied else { return }
            tries.wrappingAdd(1, ordering: .relaxed)
            throw SystemFault("write", EIO)
        }
        #expect(tired.exit == .partial)
        #expect(tries.load(ordering: .relaxed) == 180)
        #expect(tired.last["message"].text?.contains("EIO (input/output error)") == true)
    }

    @Test func aFullDiskStopsAtOnce() throws {
        let bench = try StageBench(isOurs: true)
        bench.makeFiles(folders: 4, files: 500, bytes: 100)
        let calls = Atomic<Int>(0)
        let result = try run(bench, "threads 2", "batch-files 50") { at, _ throws(SystemFault) in
            guard at == .copied else { return }
            if calls.wrappingAdd(1, ordering: .relaxed).newValue > 200 { throw SystemFault("write", EDQUOT) }
        }
        #expect(result.exit == .full)
        #expect(result.last["result"].text == "full")
        #expect(calls.load(ordering: .relaxed) < 400)
        #expect(try bench.temporaries(below: bench.buffer) == [])
        // With room again it goes on.
        let rest = try run(bench, "batch-files 50") { _, _ in }
        #expect(rest.exit == .complete)
        #expect(rest.last["bytes_skipped"].number ?? 0 > 0)
    }

    @Test func successIsNeverFalse() throws {
        var exits: Set<StageExit> = []
        for seed in 0..<UInt64(StageBench.count("BURST_STAGE_FAULTS", 25)) {
            let bench = try StageBench(isOurs: true)
            bench.makeFiles(folders: 3, files: 40, bytes: 2000)
            bench.makeFile("\(bench.source)/large", StageBench.content(3_000_000, seed: 5))
            let chance = Mutex(Chance(state: seed &* 2_654_435_769 + 12345))
            // From hardly ever to often.
            let often = [400, 60, 10][Int(seed % 3)]
            let result = try run(
                bench, "verify inline", "retries 2", "retry-first-ms 1", "batch-files 20", "large-bytes 1000000",
                "part-bytes 524288"
            ) { at, fd throws(SystemFault) in
                let (hits, kind) = chance.withLock { ($0.next(often) == 0, $0.next(4)) }
                guard hits else { return }
                switch kind {
                case 0: throw SystemFault("fault", EIO)
                case 1: throw SystemFault("fault", EACCES)
                case 2 where at == .copied:
                    // A part of the large one may be read back already, and nobody looks at it again.
                    var status = stat()
                    fstat(fd, &status)
                    if status.st_size < 1_000_000 { Self.flip(fd, by: Int(seed)) }
                default: break
                }
            }
            exits.insert(result.exit)
            let source = try TreeHash(of: bench.source)
            let target = try TreeHash(of: bench.target)
            if result.exit == .complete {
                #expect(target.differences(from: source) == [], "seed \(seed)")
            } else {
                #expect(result.last["errors"].number ?? 0 > 0, "seed \(seed)")
                // What is under a final name is whole.
                for (path, line) in target.lines where line.hasPrefix("file") {
                    #expect(source.lines[path] == line, "seed \(seed)")
                }
                let rest = try run(
                    bench, "batch-files 20", "large-bytes 1000000", "part-bytes 524288", "verify inline"
                ) { _, _ in }
                #expect(rest.exit == .complete, "seed \(seed)")
                #expect(try TreeHash(of: bench.target).differences(from: source) == [], "seed \(seed)")
            }
            #expect(try bench.temporaries(below: bench.buffer) == [])
        }
        #expect(exits == [.complete, .partial])
    }

    private struct Chance {
        var state: UInt64

        mutating func next(_ below: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int((state >> 33) % UInt64(below))
        }
    }

    // MARK: Sources that change

    @Test func anEditWhileAFileIsCopiedIsFound() throws {
        let bench = try StageBench(isOurs: true)
        bench.makeFiles(folders: 10, files: 100, bytes: 4096)
        let edits = Atomic<Int>(0)
        let seen = Mutex<Set<ino_t>>([])
        let looks = Mutex<[String: Int]>([:])
        let result = try run(bench, "threads 4") { at, fd in
            guard at == .opened else { return }
            var status = stat()
            fstat(fd, &status)
            let number = seen.withLock { seen in seen.insert(status.st_ino).inserted ? seen.count : 0 }
            guard number > 0 else { return }
            if let path = Self.edit(fd, number) { looks.withLock { $0[path, default: 0] += 1 } }
            edits.wrappingAdd(1, ordering: .relaxed)
        }
        #expect(edits.load(ordering: .relaxed) >= 1000)
        #expect(result.exit == .complete || result.exit == .partial)
        let source = try TreeHash(of: bench.source)
        let target = try TreeHash(of: bench.target)
        let mixed = target.lines.filter { $0.value.hasPrefix("file") && source.lines[$0.key] != $0.value }
        #expect(mixed.count == 0, "\(mixed.prefix(3))")
        // One that was another file at every look is missing, and said to be; no other one is.
        let missing = Set(source.lines.keys).subtracting(target.lines.keys)
        #expect(result.last["errors"].number == Int64(missing.count))
        let restless = looks.withLock { $0 }.filter { $0.value >= SystemFault.changedTriesMax }.keys
        let lost = Set(restless.map { path in Array(path.utf8.dropFirst(bench.source.utf8.count + 1)) })
        #expect(missing == lost)
    }

    /// An edit of one of five kinds, through the path that the descriptor has; two of them put the time back.
    /// - Returns: that path; nil when nothing was edited.
    @discardableResult
    private static func edit(_ fd: Int32, _ number: Int) -> String? {
        var path = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/self/fd/\(fd)", &path, 4095)
        guard count > 0 else { return nil }
        path[count] = 0
        var status = stat()
        fstat(fd, &status)
        let content = StageBench.content(4096, seed: UInt64(number) + 10_000)
        let file = open(path, O_WRONLY)
        defer { close(file) }
        switch number % 5 {
        case 0: pwrite(file, content, 4096, 0)
        case 1:
            pwrite(file, content, 1, off_t(number % 4096))
            futimens(file, [status.st_atim, status.st_mtim])
        case 2: ftruncate(file, 100)
        case 3: pwrite(file, content, 4096, 4096)
        default:
            // Another file under the same name, of the same size and time.
            let new = Array(path[..<count]) + [46, 110, 0]
            let other = open(new, O_WRONLY | O_CREAT | O_EXCL, 0o644)
            write(other, content, 4096)
            fchown(other, status.st_uid, status.st_gid)
            futimens(other, [status.st_atim, status.st_mtim])
            close(other)
            rename(new, path)
        }
        return String(decoding: path[..<count].map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    @Test func aFileThatNeverRestsIsAFailure() throws {
        let bench = try StageBench(isOurs: true)
        bench.makeFile("\(bench.source)/restless", StageBench.content(4096, seed: 1))
        bench.makeFile("\(bench.source)/large", StageBench.content(3_000_000, seed: 2))
        let result = try run(bench, "threads 2", "large-bytes 1000000", "part-bytes 1048576") { at, fd in
            if at == .opened { Self.edit(fd, 5) }
        }
        #expect(result.exit == .partial)
        #expect(result.last["errors"].number == 2)
        #expect(result.last["message"].text?.contains("changed while staging") == true)
        #expect(try TreeHash(of: bench.target).lines.isEmpty)
    }

    @Test func noMixtureIsEverSeen() throws {
        let bench = try StageBench()
        let files = 40
        // Each file is its version, over and over; each edit writes all of it at once.
        @Sendable func write(_ file: Int, _ version: UInt64) {
            let content = [UInt64](repeating: version, count: 8192)
            let fd = open("\(bench.source)/file\(file)", O_WRONLY | O_CREAT, 0o644)
            _ = content.withUnsafeBytes { pwrite(fd, $0.baseAddress!, $0.count, 0) }
            close(fd)
        }
        for file in 0..<files {
            write(file, 0)
            chown("\(bench.source)/file\(file)", bench.owner.uid, bench.owner.gid)
        }
        let clock = ContinuousClock()
        let end = clock.now + .seconds(3)
        var version: UInt64 = 0
        var seen = 0
        // However slow the machine is, each file is seen more than once.
        while clock.now < end || seen <= files && clock.now < end + .seconds(Wait.hangSeconds) {
            bench.startOver()
            let program = try bench.start(bench.order("durability none", "threads 4"))
            program.closeInput()
            while !program.hasEnded {
                version += 1
                write(Int(version) % files, version)
                _ = program.wait(seconds: 0.001) { $0.hasEnded }
            }
            for file in 0..<files {
                let copy = Fixtures.read("\(bench.target)/file\(file)")
                guard !copy.isEmpty else { continue }
                let words = Set(stride(from: 0, to: copy.count, by: 8).map { Array(copy[$0..<$0 + 8]) })
                #expect(copy.count == 65536)
                #expect(words.count == 1)
                seen += 1
            }
        }
        #expect(seen > files)
    }
}

extension Fixtures {
    /// A file's bytes; none where there is no such file.
    static func read(_ path: String) -> [UInt8] { access(path, F_OK) == 0 ? bytes(of: path) : [] }
}
