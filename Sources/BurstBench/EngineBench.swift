package import BurstTestSupport
import Glibc

/// Measures burstd beside Debian's slurmctld with the same script, in turn and in one run.
package final class EngineBench: FigureTable {
    /// How much is measured.
    package struct Effort: Sendable {
        package var rounds = 3
        package var cycles = 2000
        package var slurmCycles = 100
        package var buffers = 10_000
        package var slurmBuffers = 1000
        package var pending = 100_000
        package var idleSeconds = 30.0

        package init() {}

        /// For a look: fewer rounds, jobs and seconds.
        package static var quick: Effort {
            var effort = Effort()
            effort.rounds = 2
            effort.cycles = 500
            effort.slurmCycles = 40
            effort.buffers = 2000
            effort.slurmBuffers = 200
            effort.pending = 20_000
            effort.idleSeconds = 10
            return effort
        }
    }

    /// What of it is measured.
    package enum Part: String, CaseIterable, Sendable {
        case cycles, show, load, pending, pass, hooks, store
    }

    static let cpus = 64

    let effort: Effort
    /// The folder of the programs, with its last slash.
    let programs: String
    /// Without slurmctld, burstd alone is measured and ratios are missing.
    let withSlurm: Bool
    let progress: (String) -> Void
    package private(set) var figures: [EngineFigure] = []

    /// - Parameter programs: the folder of burstd, burst, burst-scriptd and burst-stepd.
    package init(
        programs: String, effort: Effort, withSlurm: Bool, progress: @escaping (String) -> Void
    ) throws(HarnessError) {
        let programs = programs.hasSuffix("/") ? programs : programs + "/"
        for name in ["burstd", "burst", "burst-scriptd", "burst-stepd"] where access(programs + name, X_OK) != 0 {
            throw HarnessError("\(programs)\(name) is missing; build it first: swift build -c release")
        }
        if withSlurm, access("/usr/sbin/slurmctld", X_OK) != 0 {
            throw HarnessError("slurmctld is missing: apt-get install slurmctld slurmd slurm-client munge")
        }
        self.programs = programs
        self.effort = effort
        self.withSlurm = withSlurm
        self.progress = progress
    }

    package func run(_ parts: [Part] = Part.allCases) throws(HarnessError) {
        if parts.contains(.store) { try measureStore() }
        if parts.contains(.hooks) { try measureHooks() }
        if parts.contains(.pass) { try measurePass() }
        if parts.contains(.cycles) || parts.contains(.show) {
            let slurm = withSlurm ? try SlurmRig(cpus: Self.cpus, buffers: 1_000_000) : nil
            defer { slurm?.end() }
            let burstd = try BurstdRig(programs: programs, cpus: Self.cpus, buffers: 1_000_000)
            defer { burstd.end() }
            if parts.contains(.cycles) { try measureCycles(burstd, slurm) }
            if parts.contains(.show) { try measureShow(burstd, slurm) }
        }
        if parts.contains(.load) { try measureLoad() }
        if parts.contains(.pending) { try measurePending() }
    }

    func add(_ figure: EngineFigure) {
        figures.append(figure)
        progress(figure.markdown)
    }

    /// The table, with the command that makes it.
    package var markdown: String {
        let sorted = figures.enumerated().sorted { ($0.element.id, $0.offset) < ($1.element.id, $1.offset) }
        return """
            `sudo .build/release/burst-bench engine` on \(sysconf(Int32(_SC_NPROCESSORS_ONLN))) processors, load \(load) at \
            its end. Absolute figures move with what else the machine does; ratios are of one run.

            \(EngineFigure.heading(ours: "burstd", peer: "slurmctld or disk"))
            \(sorted.map(\.element.markdown).joined(separator: "\n"))

            """
    }
}

extension Fixtures {
    static func text(_ path: String) -> String { String(decoding: bytes(of: path), as: UTF8.self) }
}
