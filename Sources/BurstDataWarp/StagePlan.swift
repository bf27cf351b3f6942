/// What the directives of a script ask for, read once at `setup` and kept from then on (staging.md §0 fact 6): the
/// buffers of the job, the copies in and out, the persistent buffers to create and to destroy.
package struct StagePlan: Hashable, Sendable {
    package enum BufferKind: String, Hashable, Sendable {
        case scratch, cache
    }

    /// `#DW jobdw`.
    package struct JobBuffer: Hashable, Sendable {
        /// Of the directive in the script; `place(_:)` names it.
        package var line: Int
        package var kind: BufferKind
        package var modes: AccessModes
        /// As asked, not rounded to the pool's granularity. Slurm's sum, `--capacity`, is rounded.
        package var bytes: UInt64
        /// Nil: the default pool.
        package var pool: String?
        /// The folder on the parallel file system that a cache stands before. Scratch space ignores it.
        package var cachedPath: [UInt8]?
        package var name: BufferName?
        package var writeWindowSeconds: UInt64?
        package var writeWindowMultiplier: UInt64?
        package var strategy: String?
    }

    /// `#DW swap`.
    package struct Swap: Hashable, Sendable {
        package var line: Int
        package var gibibytesPerNode: UInt64
        package var pool: String?
    }

    /// `#DW persistentdw`.
    package struct Attachment: Hashable, Sendable {
        package var line: Int
        package var name: BufferName
    }

    /// `#BB create_persistent`. Slurm calls `create_persistent` for it: this is for looking at.
    package struct Creation: Hashable, Sendable {
        package var line: Int
        package var name: BufferName
        package var bytes: UInt64
        package var modes: AccessModes
        package var kind: BufferKind
        package var pool: String?
    }

    /// `#BB destroy_persistent`. Slurm calls `teardown` for it: this is for looking at.
    package struct Removal: Hashable, Sendable {
        package var line: Int
        package var name: BufferName
        /// As Slurm reads it: the word stands anywhere in the line (spec §3.2).
        package var isHurried: Bool
    }

    /// `#DW stage_in`, `#DW stage_out`.
    package struct Transfer: Hashable, Sendable {
        package enum Direction: String, Hashable, Sendable {
            case `in`, out
        }

        package enum Kind: String, CaseIterable, Hashable, Sendable {
            /// The destination is the file's new name.
            case file
            /// All that the source holds goes into the destination.
            case directory
            /// The source is a text with a source and a destination a line.
            case list
        }

        package var line: Int
        package var direction: Direction
        package var kind: Kind
        package var source: StageSide
        /// Nil only for a list: its lines say all. With one, relative destinations of the list stand below it.
        package var destination: StageSide?
    }

    package var jobBuffers: [JobBuffer] = []
    package var swap: Swap?
    package var attachments: [Attachment] = []
    package var transfers: [Transfer] = []
    package var creations: [Creation] = []
    package var removals: [Removal] = []

    /// `line` of each counts directives instead of lines: symbols were replaced.
    package var countsDirectives = false

    package init() {}

    /// Names a directive in messages: `line 7`, or `directive 2` where symbols were replaced.
    package func place(_ line: Int) -> String { (countsDirectives ? "directive " : "line ") + "\(line)" }

    /// In the order of the script.
    package var stageIn: [Transfer] { transfers.filter { $0.direction == .in } }
    package var stageOut: [Transfer] { transfers.filter { $0.direction == .out } }

    /// The job's own scratch buffer with the mode.
    package func scratch(_ mode: AccessModes.Mode) -> JobBuffer? {
        jobBuffers.first { $0.kind == .scratch && $0.modes.has(mode) }
    }

    /// The job's cache with the mode.
    package func cache(_ mode: AccessModes.Mode) -> JobBuffer? {
        jobBuffers.first { $0.kind == .cache && $0.modes.has(mode) }
    }
}

/// All that is wrong with a script, one line each, at most `DirectiveLimits.faultsMax`.
package struct DirectiveFaults: Error, Hashable, Sendable, CustomStringConvertible {
    /// In the order of the script; at least one.
    package let lines: [ErrorLine]

    /// - Precondition: at least one line.
    init(_ lines: [ErrorLine]) {
        precondition(!lines.isEmpty)
        self.lines = Array(lines.prefix(DirectiveLimits.faultsMax))
    }

    /// For a job's reason, which has room for one.
    package var first: ErrorLine { lines[0] }
    /// For `job_process`: sbatch prints each line.
    package var description: String { lines.map(\.text).joined(separator: "\n") }
}
