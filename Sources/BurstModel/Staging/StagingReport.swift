/// What the stager tells of itself: the document of `dwstat --json pools sessions`. Of others' sessions it tells no
/// more than what takes space.
package struct StagingReport: Hashable, Sendable {
    /// Sessions and buffers in quarantine that are read; more are counted as a fault.
    package static let rowsMax = 100_000
    /// Files of one copy that are read.
    package static let activeMax = 64
    package static let faultsMax = 100
    /// Characters of a path or a message that are kept.
    package static let textMax = 8192

    package var generatedAt: Timestamp?
    package var pools: [Pool] = []
    package var sessions: [Session] = []
    package var quarantine: [Quarantined] = []
    /// What could not be read; the rest counts.
    package var faults: [Fault] = []

    package init() {}

    /// It tells of nothing.
    package var isEmpty: Bool { pools.isEmpty && sessions.isEmpty && quarantine.isEmpty }

    package struct Pool: Hashable, Sendable {
        package var id: String
        /// Bytes of a granule; what follows counts granules.
        package var granularity: UInt64 = 1
        package var quantity: UInt64 = 0
        package var reserve: UInt64 = 0
        package var live: UInt64 = 0
        package var quarantined: UInt64 = 0
        package var free: UInt64 = 0
        /// Whether the limit of a buffer is held by the kernel.
        package var limit = ""
        /// Why nothing can be had from it; nil where it can.
        package var unavailable: String?

        package init(id: String) { self.id = id }
    }

    /// Which session: a token comes again when its job is requeued.
    package struct Key: Hashable, Sendable {
        package var token: String
        package var generation: UInt64

        package init(token: String, generation: UInt64) {
            self.token = token
            self.generation = generation
        }
    }

    package struct Session: Hashable, Sendable {
        package var key: Key
        package var id: UInt64 = 0
        package var owner: UInt32?
        package var creator = ""
        package var created: Timestamp?
        package var phase: StagingPhase
        /// What Slurm should call it.
        package var slurmState: BufferState?
        package var isPersistent = false
        package var isListed = true
        package var bytes: UInt64 = 0
        package var isLost = false
        /// What only its owner and operators see; nil for others.
        package var details: Details?

        package var token: String { key.token }
        package var progress: StagingProgress? { details?.progress }

        /// Of a copy that is under way: `512M/s`, `paused`; else a dash.
        package var rateText: String {
            guard phase.isCopying, let progress else { return "-" }
            return progress.isPaused ? "paused" : progress.rateText
        }

        /// Of a copy that is under way: `12m`, `>=2h`; else a dash.
        package var etaText: String { phase.isCopying ? progress?.etaText ?? "-" : "-" }

        package init(key: Key, phase: StagingPhase) {
            self.key = key
            self.phase = phase
        }
    }

    package struct Details: Hashable, Sendable {
        package var isHurried = false
        /// There are results that only this buffer has.
        package var hasUnsaved = false
        package var lastError: String?
        package var nodes: [String] = []
        package var progress: StagingProgress?

        package init() {}
    }

    /// A buffer that was torn down and waits for its removal.
    package struct Quarantined: Hashable, Sendable {
        package var key: Key
        package var id: UInt64 = 0
        package var owner: UInt32?
        package var since: Timestamp?
        package var bytes: UInt64 = 0
        /// Removals that failed.
        package var failures: UInt64 = 0
        package var lastError: String?

        package init(key: Key) { self.key = key }
    }
}

/// What a session of the stager is at, in the stager's own words.
package struct StagingPhase: Hashable, Sendable {
    package let name: String

    package init(_ name: String) { self.name = name }

    /// Data are being copied.
    package var isCopying: Bool { ["staging-in", "staging-out", "saving"].contains(name) }
    /// A copy failed; it is kept, and somebody has to act.
    package var hasFailed: Bool { ["stage-in-failed", "stage-out-failed", "save-failed"].contains(name) }
    /// Before its space is there.
    package var isBeginning: Bool { ["waiting-for-space", "setting-up"].contains(name) }

    /// `in`, `out`, `save`; empty where nothing is copied.
    package var direction: String {
        switch name {
        case "staging-in", "stage-in-failed": "in"
        case "staging-out", "stage-out-failed": "out"
        case "saving", "save-failed": "save"
        default: ""
        }
    }

    /// What is under way first, then what failed, then what begins, then the rest.
    package var rank: Int { isCopying ? 3 : hasFailed || name == "lost" ? 2 : isBeginning ? 1 : 0 }
}

/// How far a copy is (staging.md §4.7).
package struct StagingProgress: Hashable, Sendable {
    /// `stage_in` or `stage_out`.
    package var direction = ""
    package var started: Timestamp?
    package var updated: Timestamp?
    package var isComplete = false
    /// The totals are final: all of the source was walked.
    package var planComplete = false
    /// Nil until the totals are final.
    package var percent: Int?
    /// Seconds left; at least so many where it is a lower bound.
    package var eta: UInt64?
    package var isEtaLowerBound = false
    package var filesTotal: UInt64 = 0
    package var filesDone: UInt64 = 0
    package var dirsTotal: UInt64 = 0
    package var dirsDone: UInt64 = 0
    package var linksDone: UInt64 = 0
    package var bytesTotal: UInt64 = 0
    package var bytesDone: UInt64 = 0
    package var bytesSkipped: UInt64 = 0
    package var bytesVerified: UInt64 = 0
    package var bytesCloned: UInt64 = 0
    /// Bytes a second, of the last 10 s and since the beginning.
    package var rateNow: UInt64?
    package var rateAverage: UInt64?
    package var threads: UInt64 = 0
    /// Bytes and files a second that are allowed; nil: as many as can be.
    package var throttleBytes: UInt64?
    package var throttleFiles: UInt64?
    package var errors: UInt64 = 0
    package var retries: UInt64 = 0
    package var degraded: UInt64 = 0
    package var restarts: UInt64 = 0
    package var lastError: String?
    package var quotaUsed: UInt64?
    package var quotaLimit: UInt64?
    package var inodeUsed: UInt64?
    package var inodeLimit: UInt64?
    package var active: [Transfer] = []

    /// A file that is being copied.
    package struct Transfer: Hashable, Sendable {
        package var path: String
        package var size: UInt64 = 0
        package var done: UInt64 = 0
        /// Bytes a second.
        package var rate: UInt64 = 0

        package init(path: String) { self.path = path }

        /// 0 to 1; an empty file is whole.
        package var share: Double { size == 0 ? 1 : min(1, Double(done) / Double(size)) }
    }

    package init() {}

    package var isPaused: Bool { throttleBytes == 0 || throttleFiles == 0 }

    /// All that grows while a copy lives. Done counts only what is durable, so a large file moves by its own figures.
    var moved: [UInt64] {
        [filesTotal, filesDone, dirsDone, linksDone, bytesTotal, bytesDone, bytesSkipped, bytesVerified]
            + active.map(\.done)
    }
}

/// Words for a table or a line. Nothing that is not known is told: `?`, `-`, `+` behind a total that still grows, `>=`
/// before a time that may be longer.
extension StagingProgress {
    /// `45%`, `?`.
    package var percentText: String { percent.map { "\($0)%" } ?? "?" }

    /// `1.20T/3.00T+`
    package var bytesText: String {
        Amount.short(bytesDone) + "/" + Amount.short(bytesTotal) + (planComplete ? "" : "+")
    }

    /// `12/3400+`
    package var filesText: String { "\(filesDone)/\(filesTotal)" + (planComplete ? "" : "+") }

    /// `512M/s`, `-`.
    package var rateText: String { rateNow.map { Amount.short($0) + "/s" } ?? "-" }

    /// `12m`, `>=2h`, `-`.
    package var etaText: String {
        guard let eta else { return "-" }
        return (isEtaLowerBound ? ">=" : "") + Age.short(seconds: Int(clamping: eta))
    }

    /// `none`, `paused`, `100M/s`, `100M/s and 20 files/s`.
    package var throttleText: String {
        if isPaused { return "paused" }
        let parts = [throttleBytes.map { Amount.short($0) + "/s" }, throttleFiles.map { "\($0) files/s" }]
        let text = parts.compactMap { $0 }.joined(separator: " and ")
        return text.isEmpty ? "none" : text
    }
}
