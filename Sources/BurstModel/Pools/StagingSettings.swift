/// How a pool's buffers are filled and emptied: `[staging]` of `burst.toml`, and what a pool says otherwise (staging.md
/// §4.4, §4.8).
package struct StagingSettings: Hashable, Sendable {
    /// How much a copy is looked at before it counts.
    package enum Verify: String, Hashable, Sendable, CaseIterable {
        case off, size, inline, readback
    }

    /// Who copies folders.
    package enum Copier: String, Hashable, Sendable, CaseIterable {
        case own = "burst-stage"
        /// mpiFileUtils'; `burst-stage` compares what they did.
        case dcp, dsync
    }

    /// What becomes of a phase whose hosts cannot be had.
    package enum NodesRefused: String, Hashable, Sendable, CaseIterable {
        /// It goes on with one worker on this machine.
        case alone
        case fail
    }

    /// I/O class of copies (ioprio_set(2)).
    package enum IOClass: String, Hashable, Sendable, CaseIterable {
        /// As burstd's.
        case none
        /// Lowest of the usual class.
        case bestEffort = "best-effort"
        /// Only while nobody else wants the disk.
        case idle
    }

    package static let nodesMax = 4096
    package static let nodesWaitSecondsMax = 86_400
    package static let niceMax = 19
    /// Words that a site may add to a command, at most.
    package static let wordsMax = 64

    package var verify = Verify.size
    package var copier = Copier.own
    /// Of dcp or dsync; nil: looked for in `searchPath`.
    package var copierPath: String?
    package var copierOptions: [String] = []
    /// What starts the copier on several hosts or cores: `mpirun -np 8`. Empty: it is started itself.
    package var launcher: [String] = []
    /// How many hosts of a Slurm cluster copy one phase; 1: this machine alone.
    package var nodes = 1
    /// Only phases of at least so many bytes.
    package var nodesFrom: UInt64 = 64 << 30
    package var nodesRefused = NodesRefused.alone
    /// How long Slurm may take to find the hosts.
    package var nodesWaitSeconds = 60
    /// nil: looked for in `searchPath`.
    package var srun: String?
    package var srunOptions: [String] = []
    /// SLURM_CONF for srun and for a launcher; nil: theirs.
    package var slurmConf: String?
    package var nice = 0
    package var ioClass = IOClass.none

    package init() {}

    /// Where programs that are named without a folder are looked for.
    package static let searchPath = ["/usr/local/bin", "/usr/bin", "/bin"]

    /// In a few words, for people.
    package var shown: String {
        var parts = ["copies by \(copier.rawValue), verify \(verify.rawValue)"]
        if !launcher.isEmpty { parts.append("launcher \(launcher.joined(separator: " "))") }
        if nodes > 1 {
            parts.append("on \(nodes) hosts from \(PoolText.size(nodesFrom)) on, else \(nodesRefused.rawValue)")
        }
        if nice > 0 { parts.append("nice \(nice)") }
        if ioClass != .none { parts.append("I/O class \(ioClass.rawValue)") }
        return parts.joined(separator: ", ")
    }
}
