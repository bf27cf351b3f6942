import BurstTestSupport
import Glibc
import Synchronization
import Testing

/// Whoever swaps what is staged for links out of it gets nothing (staging.md §5, X1).
@Suite(.serialized) struct RaceTests {
    /// Swaps each of some names for its link and back, as fast as it can. It goes by the folders that were there at its
    /// start: where a copy makes a folder in the place of one that is just away, a path could lead itself outside.
    private final class Swapper: Sendable {
        private struct Pair {
            var folder: Int32
            var name: String
        }

        let swaps = Atomic<Int>(0)
        private let isOver = Atomic<Bool>(false)
        private let isGone = Atomic<Bool>(false)

        /// - Parameter paths: what gives way to the link of the same name with `.link` behind it.
        init(_ paths: [String]) {
            let pairs = paths.map { path in
                let slash = path.lastIndex(of: "/")!
                let folder = open(String(path[..<slash]), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
                precondition(folder >= 0, "\(path): its folder is not there")
                return Pair(folder: folder, name: String(path[path.index(after: slash)...]))
            }
            var thread = pthread_t()
            let body = Body { [self] in
                while !isOver.load(ordering: .relaxed) {
                    for pair in pairs {
                        let (aside, link) = (pair.name + ".aside", pair.name + ".link")
                        renameat(pair.folder, pair.name, pair.folder, aside)
                        renameat(pair.folder, link, pair.folder, pair.name)
                        renameat(pair.folder, pair.name, pair.folder, link)
                        renameat(pair.folder, aside, pair.folder, pair.name)
                        swaps.wrappingAdd(1, ordering: .relaxed)
                    }
                }
                for pair in pairs { close(pair.folder) }
                isGone.store(true, ordering: .sequentiallyConsistent)
            }
            pthread_create(
                &thread, nil,
                { pointer in
                    Unmanaged<Body>.fromOpaque(pointer!).takeRetainedValue().run()
                    return nil
                }, Unmanaged.passRetained(body).toOpaque())
            pthread_detach(thread)
        }

        func stop() -> Bool {
            isOver.store(true, ordering: .relaxed)
            return Wait.until { isGone.load(ordering: .sequentiallyConsistent) }
        }

        private final class Body: Sendable {
            let run: @Sendable () -> Void

            init(_ run: @escaping @Sendable () -> Void) { self.run = run }
        }
    }

    private static let secret = "what nobody may get"

    @Test(arguments: ["stage-in", "stage-out"])
    func nothingOutsideIsReadOrWritten(phase: String) throws {
        let bench = try StageBench()
        // As deep as a copy goes: folders within folders, files, and the same names outside.
        bench.makeFolder(bench.folder("outside"))
        bench.makeFile(bench.folder("outside/file0"), Self.secret.utf8)
        bench.makeFile(bench.folder("outside/victim"), "victim".utf8, mode: 0o640)
        for name in ["inner", "folder0", "folder1"] {
            bench.makeFolder(bench.folder("outside/\(name)"))
            bench.makeFile(bench.folder("outside/\(name)/file0"), Self.secret.utf8)
        }
        var order = bench.order("retries 1")
        var target = bench.target
        var source = bench.source
        bench.makeFiles(folders: 3, files: 30, bytes: 200)
        bench.makeFolder("\(bench.source)/folder1/inner")
        bench.makeFile("\(bench.source)/folder1/inner/file0", "inner".utf8)
        if phase == "stage-out" {
            #expect(try bench.run(bench.order()).status == 0)
            bench.makeFolder(bench.folder("out"))
            order = bench.order("retries 1", phase: phase)
            target = bench.folder("out/deep")
            source = bench.target
            bench.makeFolder(target)
        } else {
            bench.makeFolder(target)
        }
        for top in [source, target] {
            for name in ["folder0", "folder1", "folder1/inner"] { bench.makeFolder("\(top)/\(name)") }
            for name in ["folder0", "folder1", "folder1/inner", "folder2/file0"] {
                bench.makeFolder("\(top)/folder2")
                let isFile = name.hasSuffix("file0")
                bench.makeLink(
                    "\(top)/\(name).link", to: bench.folder(isFile ? "outside/victim" : "outside"))
            }
        }
        let before = try TreeHash(of: bench.folder("outside"), includesTop: true)
        let seconds = Double(StageBench.count("BURST_STAGE_RACES", 4)) / 2
        let swappers = [source, target].map { top in
            Swapper(["folder0", "folder1", "folder1/inner", "folder2/file0"].map { "\(top)/\($0)" })
        }
        let clock = ContinuousClock()
        let end = clock.now + .milliseconds(Int(seconds * 1000))
        var runs = 0
        // However slow the machine is, both have had their turn.
        while clock.now < end || runs < 2 || swappers.contains(where: { $0.swaps.load(ordering: .relaxed) <= 1000 }) {
            unlink(bench.journal)
            let outcome = try bench.run(order)
            #expect(outcome.status == 0 || outcome.status == 1, "\(outcome.text)")
            runs += 1
        }
        for swapper in swappers { #expect(swapper.stop()) }
        #expect(runs > 1)
        #expect(swappers.allSatisfy { $0.swaps.load(ordering: .relaxed) > 1000 })
        let after = try TreeHash(of: bench.folder("outside"), includesTop: true)
        #expect(after.differences(from: before) == [])
        // The content of neither is anywhere in the target.
        let copied = try TreeHash(of: target).lines.values
        for name in ["file0", "victim"] {
            let sum = try #require(after.lines[Array(name.utf8)]?.split(separator: " ").last)
            #expect(copied.filter { $0.hasPrefix("file") && $0.hasSuffix(sum) } == [], "\(name)")
        }
    }

    @Test func aPlaceInTheBufferMayNotLeaveIt() throws {
        let bench = try StageBench()
        bench.makeFolder(bench.folder("outside"))
        bench.makeFile(bench.folder("outside/file"), Self.secret.utf8)
        bench.makeFile("\(bench.source)/file", "x".utf8)
        bench.makeLink("\(bench.buffer)/way-out", to: bench.folder("outside"))
        bench.makeLink("\(bench.buffer)/relative", to: "../outside")
        bench.makeLink("\(bench.buffer)/leaf", to: "../outside/file")
        let before = try TreeHash(of: bench.folder("outside"), includesTop: true)
        for place in ["way-out/new", "relative/new", "relative/file"] {
            unlink(bench.journal)
            let order = bench.order(transfers: ["transfer file pfs:\(bench.source)/file buffer:\(place)"])
            #expect(try bench.run(order).status == 1, "\(place)")
            unlink(bench.journal)
            let folder = bench.order(transfers: ["transfer directory pfs:\(bench.source) buffer:\(place)"])
            #expect(try bench.run(folder).status == 1, "\(place)")
        }
        #expect(try TreeHash(of: bench.folder("outside"), includesTop: true) == before)
        for place in ["way-out/file", "relative/file", "leaf"] {
            unlink(bench.journal)
            let order = bench.order(
                transfers: ["transfer file buffer:\(place) pfs:\(bench.source)/stolen"], phase: "stage-out")
            let outcome = try bench.run(order)
            #expect(outcome.status == 1, "\(place)")
            #expect(access("\(bench.source)/stolen", F_OK) != 0)
        }
        for place in ["../outside/file", "a/../../outside/file", "/etc/passwd"] {
            let order = bench.order(transfers: ["transfer file pfs:\(bench.source)/file buffer:\(place)"])
            #expect(try bench.run(order).status == 2)
        }
    }
}
