package import BurstTestSupport
import CSys
import Glibc

/// Measures burst-stage beside cp, rsync, fpsync and dcp, in turn and in one run (staging.md §5, S1 to S6).
///
/// Every copy begins with a cold cache, but for the programs themselves, and ends when the file system is synced, both
/// tools' alike. All copies are an ordinary user's. What is copied is kept until its part is over: ext4 passes over
/// inodes that were freed within the last minutes, so that the copy after a removal would be slower than any other.
package final class StagingBench: FigureTable {
    /// How much is measured.
    package struct Effort: Sendable {
        package var rounds = 5
        /// Of the one large file.
        package var largeMegabytes = 4096
        package var smallFiles = 100_000
        package var manyFiles = 1_000_000
        package var mixedSmallFiles = 10_000
        package var mixedLargeFiles = 4
        package var mixedLargeMegabytes = 1024

        package init() {}

        /// For a look: fewer rounds, smaller trees.
        package static var quick: Effort {
            var effort = Effort()
            effort.rounds = 3
            effort.largeMegabytes = 1024
            effort.smallFiles = 20_000
            effort.manyFiles = 100_000
            effort.mixedSmallFiles = 4000
            effort.mixedLargeFiles = 2
            effort.mixedLargeMegabytes = 512
            return effort
        }
    }

    /// What of it is measured.
    package enum Part: String, CaseIterable, Sendable {
        case large, clone, small, many, mixed, verify
    }

    /// A user of no account's.
    static let owner: UInt32 = 64_001
    static let smallBytes = 4096
    /// Longer than any copy takes, seconds.
    static let limit = 3600.0

    let effort: Effort
    let stage: String
    let work: StagingGround
    let progress: (String) -> Void
    package private(set) var figures: [EngineFigure] = []

    /// - Parameters:
    ///   - stage: the burst-stage to measure.
    ///   - folder: on the disk that is measured; all is done in a folder of its own below it.
    package init(
        stage: String, folder: String, effort: Effort, progress: @escaping (String) -> Void
    ) throws(HarnessError) {
        guard geteuid() == 0 else { throw HarnessError("caches are dropped as root: run this with sudo") }
        guard access(stage, X_OK) == 0 else {
            throw HarnessError("\(stage) is missing; build it first: swift build -c release")
        }
        for path in ["/usr/bin/rsync", "/usr/bin/setpriv"] where access(path, X_OK) != 0 {
            throw HarnessError("\(path) is missing: apt-get install rsync util-linux")
        }
        self.stage = stage
        self.effort = effort
        self.progress = progress
        work = try StagingGround(folder)
    }

    package func run(_ parts: [Part]) throws(HarnessError) {
        defer { work.remove("") }
        if parts.contains(.large) { try measureLarge() }
        if parts.contains(.clone) { try measureClone() }
        if parts.contains(.small) { try measureSmall() }
        if parts.contains(.mixed) || parts.contains(.verify) { try measureMixed(parts) }
        if parts.contains(.many) { try measureMany() }
    }

    func add(_ figure: EngineFigure) {
        figures.append(figure)
        progress(figure.markdown)
    }

    /// The table, with the command that makes it.
    package var markdown: String {
        return """
            `sudo .build/release/burst-bench staging` on \(sysconf(Int32(_SC_NPROCESSORS_ONLN))) processors, \
            \(work.fileSystem), load \(load) at its end, \(effort.rounds) rounds. Absolute figures move with what else \
            the machine does; ratios are of medians of one run.

            \(EngineFigure.heading(ours: "burst-stage", peer: "peer"))
            \(figures.sorted { $0.id < $1.id }.map(\.markdown).joined(separator: "\n"))

            """
    }

    // MARK: Copies

    /// A way to copy the tree at `source` to `target`, which is not there yet.
    struct Copier: Sendable {
        var name: String
        /// Words of the command, run as the owner.
        var command: @Sendable (_ source: String, _ target: String) -> [String]
        /// Of burst-stage, further lines of the order; nil: it is a peer.
        var settings: [String]?
    }

    func ours(_ name: String = "burst-stage", _ settings: [String] = []) -> Copier {
        Copier(name: name, command: { _, _ in [] }, settings: settings)
    }

    static func cp(_ reflink: String) -> Copier {
        Copier(name: "cp -a --reflink=\(reflink)") { ["/usr/bin/cp", "-a", "--reflink=\(reflink)", $0, $1] }
    }

    static let rsync = Copier(name: "rsync -aHAXS") { ["/usr/bin/rsync", "-aHAXS", $0 + "/", $1 + "/"] }

    /// What copies trees with as many processes as there are processors, as far as it is installed.
    var parallelPeers: [Copier] {
        var peers: [Copier] = []
        let processors = "\(sysconf(Int32(_SC_NPROCESSORS_ONLN)))"
        if access("/usr/bin/fpsync", X_OK) == 0 {
            let shared = work.path("fpsync")
            peers.append(
                Copier(name: "fpsync -n \(processors)") {
                    ["/usr/bin/fpsync", "-n", processors, "-t", shared, $0 + "/", $1 + "/"]
                })
        }
        let mpirun = "/usr/bin/mpirun"
        if access("/usr/bin/dcp", X_OK) == 0, access(mpirun, X_OK) == 0 {
            peers.append(
                Copier(name: "dcp with 8 ranks") {
                    [mpirun, "--oversubscribe", "-np", "8", "/usr/bin/dcp", "--preserve", $0, $1]
                })
        }
        return peers
    }

    /// What copies took.
    struct Times: Sendable {
        /// Until the file system was synced.
        var seconds = Samples()
        /// Of processors, user and system; what the kernel writes later is not in it.
        var processor = Samples()
        /// The most that burst-stage had resident, MiB.
        var memory = Samples()
    }

    /// Copies `source` with each in turn, so many times; every other round the other way round.
    /// - Parameter keeps: the copies stay until the end.
    func race(
        _ copiers: [Copier], source: String, rounds: Int, keeps: Bool
    ) throws(HarnessError) -> [Times] {
        var times = [Times](repeating: Times(), count: copiers.count)
        var copies: [String] = []
        defer { for copy in copies { work.remove(copy) } }
        for round in 0..<rounds {
            let all = Array(copiers.enumerated())
            for (index, copier) in round % 2 == 0 ? all : all.reversed() {
                let name = "copy\(round).\(index)"
                copies.append(name)
                try time(copier, source: source, into: name, &times[index])
                if !keeps { work.remove(name) }
            }
        }
        return times
    }

    private func time(
        _ copier: Copier, source: String, into name: String, _ times: inout Times
    ) throws(HarnessError) {
        for folder in [name, "fpsync", "own"] {
            work.remove(folder)
            work.make(folder)
        }
        let target = work.path(name) + "/in"
        work.make(name + "/in", when: copier.name.hasPrefix("fpsync"))
        try work.dropCaches()
        let command = copier.settings == nil ? copier.command(source, target) : [stage]
        let words =
            ["/usr/bin/setpriv", "--reuid", "\(Self.owner)", "--regid", "\(Self.owner)", "--clear-groups"] + command
        for program in [words[0], command[0]] {
            _ = try? PipedProgram.run([program, "--version"], environment: ["PATH": "/usr/bin:/bin"], seconds: 30)
        }
        let usedBefore = Processes.timeOfEnded
        let started = PseudoTerminal.now
        let program = try PipedProgram(
            words, environment: ["PATH": "/usr/bin:/bin", "HOME": work.path("own")], keepsInput: true)
        if let settings = copier.settings {
            let lines =
                [
                    "token 4711", "generation 1", "phase stage-in", "buffer \(work.path(name))",
                    "journal \(work.path("own"))/journal", "report \(work.path("own"))/report",
                ] + settings + ["transfer directory pfs:\(source) buffer:in", "end"]
            program.send(lines.joined(separator: "\n") + "\n")
        }
        program.closeInput()
        var peak = 0.0
        program.wait(seconds: Self.limit) { program in
            if copier.settings != nil { peak = max(peak, Processes.memory(of: program.pid).peak) }
            return program.hasEnded
        }
        try work.sync()
        let seconds = Counting.seconds(since: started)
        let result = program.waitForEnd(seconds: 1)
        guard result.end == .exited(0) else {
            throw HarnessError("\(copier.name): \(result.errorText.suffix(300)) \(result.text.suffix(600))")
        }
        let processor = Processes.timeOfEnded - usedBefore
        times.seconds.add(seconds)
        times.processor.add(processor)
        if copier.settings != nil { times.memory.add(peak) }
        progress("\(copier.name): \(Figure.plain(seconds)) s, of processors \(Figure.plain(processor)) s")
    }
}
