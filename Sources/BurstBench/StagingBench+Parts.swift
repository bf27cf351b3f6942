import BurstTestSupport
import Glibc

/// What is measured of copies.
extension StagingBench {
    private static let megabyte = 1 << 20

    /// S1: one large file within one file system that cannot clone, or is told not to.
    func measureLarge() throws(HarnessError) {
        let source = try work.makeTree("large", large: 1, megabytes: effort.largeMegabytes)
        defer { work.remove("large") }
        let times = try race([ours(), Self.cp("never")], source: source, rounds: effort.rounds, keeps: false)
        // Two processors or more: twice cp; one: about as fast.
        let isSingle = sysconf(Int32(_SC_NPROCESSORS_ONLN)) < 2
        var figure = EngineFigure(
            "S1", "one file of \(effort.largeMegabytes) MiB; cp -a --reflink=never", "MiB/s",
            .ratioAtLeast(isSingle ? 0.95 : 2))
        figure.ours = times[0].seconds.rates(of: Double(effort.largeMegabytes))
        figure.peer = times[1].seconds.rates(of: Double(effort.largeMegabytes))
        add(figure)
        var processor = EngineFigure("S1", "the same: processor time, user and system", "s")
        processor.ours = times[0].processor
        processor.peer = times[1].processor
        add(processor)
    }

    /// S2: the same where the file system clones: XFS in a file.
    func measureClone() throws(HarnessError) {
        try work.mountImage(megabytes: effort.largeMegabytes * 2 + 1024)
        defer { work.unmountImage() }
        let source = try work.makeTree("large", large: 1, megabytes: effort.largeMegabytes)
        let times = try race([ours(), Self.cp("always")], source: source, rounds: effort.rounds, keeps: false)
        var figure = EngineFigure(
            "S2", "the same on XFS with reflinks; cp -a --reflink=always", "s", .ratioAtMost(1.1))
        figure.ours = times[0].seconds
        figure.peer = times[1].seconds
        add(figure)
    }

    /// S3: many small files.
    func measureSmall() throws(HarnessError) {
        let source = try work.makeTree("small", small: effort.smallFiles)
        defer { work.remove("small") }
        let times = try race([ours(), Self.rsync], source: source, rounds: effort.rounds, keeps: true)
        let processors = sysconf(Int32(_SC_NPROCESSORS_ONLN))
        var figure = EngineFigure(
            "S3", "\(effort.smallFiles) files of 4 KiB; rsync -aHAXS", "files/s",
            .ratioAtLeast(processors >= 8 ? 3 : 1.5))
        figure.ours = times[0].seconds.rates(of: Double(effort.smallFiles))
        figure.peer = times[1].seconds.rates(of: Double(effort.smallFiles))
        add(figure)
    }

    /// S4: a plan of a million files needs little memory.
    func measureMany() throws(HarnessError) {
        let source = try work.makeTree("many", small: effort.manyFiles, folders: 1000)
        defer { work.remove("many") }
        let dcp = parallelPeers.filter { $0.name.hasPrefix("dcp") }
        // Where there is no dcp, rsync gives the scale.
        let peer = dcp.first ?? Self.rsync
        let times = try race([ours(), peer], source: source, rounds: 1, keeps: true)
        var memory = EngineFigure(
            "S4", "\(effort.manyFiles) files of 4 KiB in 1000 folders: most resident memory", "MiB", .atMost(256))
        memory.ours = times[0].memory
        add(memory)
        var speed = EngineFigure(
            "S4", "the same: speed; \(peer.name)", "files/s", dcp.isEmpty ? .none : .ratioAtLeast(0.8))
        speed.ours = times[0].seconds.rates(of: Double(effort.manyFiles))
        speed.peer = times[1].seconds.rates(of: Double(effort.manyFiles))
        add(speed)
    }

    /// S5: small and large files; S6: what it costs to verify them.
    func measureMixed(_ parts: [Part]) throws(HarnessError) {
        let source = try work.makeTree(
            "mixed", small: effort.mixedSmallFiles, large: effort.mixedLargeFiles,
            megabytes: effort.mixedLargeMegabytes)
        defer { work.remove("mixed") }
        let megabytes =
            Double(effort.mixedLargeFiles * effort.mixedLargeMegabytes)
            + Double(effort.mixedSmallFiles * Self.smallBytes) / Double(Self.megabyte)
        let tree =
            "\(effort.mixedSmallFiles) small and \(effort.mixedLargeFiles) files of \(effort.mixedLargeMegabytes) MiB"
        if parts.contains(.mixed) {
            let peers = [Self.cp("never")] + parallelPeers
            let times = try race([ours()] + peers, source: source, rounds: effort.rounds, keeps: false)
            let best =
                times.indices.dropFirst().min {
                    times[$0].seconds.median ?? 0 < times[$1].seconds.median ?? 0
                } ?? 1
            var figure = EngineFigure(
                "S5", "\(tree); \(peers[best - 1].name), the best of \(peers.count)", "MiB/s", .ratioAtLeast(0.9))
            figure.ours = times[0].seconds.rates(of: megabytes)
            figure.peer = times[best].seconds.rates(of: megabytes)
            add(figure)
        }
        if parts.contains(.verify) {
            let levels = ["size", "inline", "readback"].map { ours("burst-stage, verify \($0)", ["verify \($0)"]) }
            let times = try race(levels, source: source, rounds: effort.rounds, keeps: false)
            for (index, most) in [(1, 1.15), (2, 2.2)] {
                var figure = EngineFigure(
                    "S6", "\(levels[index].name); verify size", "s", .ratioAtMost(most))
                figure.ours = times[index].seconds
                figure.peer = times[0].seconds
                add(figure)
            }
        }
    }
}

extension Samples {
    /// Of seconds: so much a second.
    func rates(of amount: Double) -> Samples { Samples(values.map { amount / $0 }) }
}
