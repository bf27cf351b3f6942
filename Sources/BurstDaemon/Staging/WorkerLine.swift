import BurstStager
import FoundationEssentials

/// A line of JSON that `burst-stage` says: how far it is, and in the last one how it ended.
struct WorkerLine: Decodable {
    struct Transfer: Decodable {
        var path: String
        var size: UInt64
        var done: UInt64
        var rate: Int64
    }

    struct Limits: Decodable {
        var bytes: UInt64?
        var files: UInt64?
    }

    /// Only in the last line.
    var result: String?
    var message: String?
    /// In a line of its own, which tells of no progress.
    var note: String?
    var failed: UInt64?
    var plan_complete: Bool?
    var files_total: UInt64?
    var files_done: UInt64?
    var dirs_total: UInt64?
    var dirs_done: UInt64?
    var links_done: UInt64?
    var bytes_total: UInt64?
    var bytes_done: UInt64?
    var bytes_skipped: UInt64?
    var bytes_verified: UInt64?
    var bytes_cloned: UInt64?
    var bytes_moved: UInt64?
    var throttle: Limits?
    var threads: Int?
    var errors: UInt64?
    var retries: UInt64?
    var degraded: UInt64?
    var last_error: String?
    var active: [Transfer]?

    static func read(_ bytes: some Collection<UInt8>) -> WorkerLine? {
        try? JSONDecoder().decode(WorkerLine.self, from: Data(bytes))
    }

    var report: ProgressReport {
        var report = ProgressReport()
        report.planComplete = plan_complete ?? false
        report.filesTotal = files_total ?? 0
        report.filesDone = files_done ?? 0
        report.dirsTotal = dirs_total ?? 0
        report.dirsDone = dirs_done ?? 0
        report.linksDone = links_done ?? 0
        report.bytesTotal = bytes_total ?? 0
        report.bytesDone = bytes_done ?? 0
        report.bytesSkipped = bytes_skipped ?? 0
        report.bytesVerified = bytes_verified ?? 0
        report.bytesCloned = bytes_cloned ?? 0
        report.bytesMoved = bytes_moved
        report.limits = throttle.flatMap {
            $0.bytes == nil && $0.files == nil ? nil : Throttle(bytesPerSecond: $0.bytes, filesPerSecond: $0.files)
        }
        report.threads = threads ?? 0
        report.errors = errors ?? 0
        report.retries = retries ?? 0
        report.degraded = degraded ?? 0
        report.lastError = last_error
        report.active = (active ?? []).map {
            ProgressReport.Transfer(path: $0.path, size: $0.size, done: $0.done, rate: UInt64(max(0, $0.rate)))
        }
        return report
    }
}

extension ProgressReport {
    /// With what earlier runs of the same phase did. Totals are final when those of all runs are.
    func adding(_ earlier: ProgressReport, isLast: Bool) -> ProgressReport {
        var sum = self
        sum.planComplete = planComplete && isLast
        sum.filesTotal += earlier.filesTotal
        sum.filesDone += earlier.filesDone
        sum.dirsTotal += earlier.dirsTotal
        sum.dirsDone += earlier.dirsDone
        sum.linksDone += earlier.linksDone
        sum.bytesTotal += earlier.bytesTotal
        sum.bytesDone += earlier.bytesDone
        sum.bytesSkipped += earlier.bytesSkipped
        sum.bytesVerified += earlier.bytesVerified
        sum.bytesCloned += earlier.bytesCloned
        sum.bytesMoved = bytesMoved.map { $0 + (earlier.bytesMoved ?? 0) }
        sum.errors += earlier.errors
        sum.retries += earlier.retries
        sum.degraded += earlier.degraded
        return sum
    }
}
