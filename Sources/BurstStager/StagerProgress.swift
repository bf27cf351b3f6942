package import BurstModel

/// What a worker counted so far: sums since its phase began, those of earlier workers of the phase included. *Done* is
/// what is durable and has its final name, and no more (staging.md §4.7).
package struct ProgressReport: Hashable, Codable, Sendable {
    /// The totals are final: the whole source was walked.
    package var planComplete = false
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
    /// Read and written so far, durable or not: what rates go by, for a batch becomes *done* all at once. Nil: unsaid.
    package var bytesMoved: UInt64?
    /// What the worker keeps to: its session's limits, or its share of the pool's.
    package var limits: Throttle?
    package var threads = 0
    package var errors: UInt64 = 0
    package var retries: UInt64 = 0
    package var degraded: UInt64 = 0
    package var lastError: String?
    package var quotaUsed: UInt64?
    package var quotaLimit: UInt64?
    package var inodeUsed: UInt64?
    package var inodeLimit: UInt64?
    package var active: [Transfer] = []

    /// A file that is being copied. Its path is the owner's affair.
    package struct Transfer: Hashable, Codable, Sendable {
        /// Escaped for display.
        package var path: String
        package var size: UInt64
        package var done: UInt64
        /// Bytes per second.
        package var rate: UInt64

        package init(path: String, size: UInt64, done: UInt64, rate: UInt64) {
            self.path = path
            self.size = size
            self.done = done
            self.rate = rate
        }
    }

    /// More are not kept.
    package static let activeMax = 64

    package init() {}

    /// Bytes, and for each file what it costs beside them.
    private static func work(_ bytes: UInt64, _ files: UInt64) -> UInt64 {
        let (cost, isOver) = files.multipliedReportingOverflow(by: StagerProgress.fileCostBytes)
        let (sum, isOverToo) = bytes.addingReportingOverflow(isOver ? .max : cost)
        return isOverToo ? .max : sum
    }

    package var workTotal: UInt64 { Self.work(bytesTotal, filesTotal + dirsTotal) }
    package var workDone: UInt64 { min(workTotal, Self.work(bytesDone, filesDone + dirsDone)) }
}

/// How far a phase of a session has come: the record of staging.md §4.7, with its rules. Percent is nil until the
/// totals are final, reaches 100 only with the complete mark, and never goes back within a phase, whatever workers die;
/// what is shown as done never goes back either.
package struct StagerProgress: Hashable, Codable, Sendable {
    /// What a file or folder costs beside its bytes, in bytes: 100,000 files of 4 KiB took as long as 9 GB in one
    /// (staging.md §5, calibration), so about as much as 90 KB.
    package static let fileCostBytes: UInt64 = 65_536
    /// `rateNow` is of so many seconds.
    package static let rateWindowSeconds = 10
    /// Until the totals are final, a time left is told only once so much of the known totals is done.
    package static let etaPercent: UInt64 = 5
    private static let samplesMax = 128

    package let direction: StageDirection
    package let started: Timestamp
    package private(set) var updated: Timestamp
    /// The last report, with what must not go back held.
    package private(set) var counts = ProgressReport()
    package private(set) var isComplete = false
    /// Workers that were started after the first.
    package var restarts = 0
    package var throttle: Throttle?
    /// The greatest percent that was ever told.
    private var shownPercent = 0
    /// Moved by workers that have ended: each begins to count anew.
    private var movedBefore: UInt64?
    /// When so much was done: at most one a second, thinned out as they grow old.
    private var samples: [Sample] = []

    private struct Sample: Hashable, Codable, Sendable {
        var at: Timestamp
        var work: UInt64
        var bytes: UInt64
    }

    package init(_ direction: StageDirection, started: Timestamp) {
        self.direction = direction
        self.started = started
        updated = started
        samples = [Sample(at: started, work: 0, bytes: 0)]
    }

    /// Takes a worker's report in. Reports of a worker that begins again may be behind those of its forerunner.
    package mutating func apply(_ report: ProgressReport, at now: Timestamp) {
        guard !isComplete else { return }
        let before = counts
        counts = report
        counts.active = Array(report.active.prefix(ProgressReport.activeMax))
        counts.planComplete = before.planComplete || report.planComplete
        counts.filesDone = max(before.filesDone, report.filesDone)
        counts.dirsDone = max(before.dirsDone, report.dirsDone)
        counts.linksDone = max(before.linksDone, report.linksDone)
        counts.bytesDone = max(before.bytesDone, report.bytesDone)
        counts.bytesSkipped = max(before.bytesSkipped, report.bytesSkipped)
        counts.bytesVerified = max(before.bytesVerified, report.bytesVerified)
        counts.bytesCloned = max(before.bytesCloned, report.bytesCloned)
        if let moved = before.bytesMoved, moved > report.bytesMoved ?? 0 {
            movedBefore = (movedBefore ?? 0) &+ moved
        }
        counts.errors = max(before.errors, report.errors)
        counts.retries = max(before.retries, report.retries)
        counts.lastError = report.lastError ?? before.lastError
        // A worker that walks the source again knows less for a while than the one before it knew in the end.
        if before.planComplete, !report.planComplete {
            counts.filesTotal = before.filesTotal
            counts.dirsTotal = before.dirsTotal
            counts.bytesTotal = before.bytesTotal
        }
        counts.filesTotal = max(counts.filesTotal, counts.filesDone)
        counts.dirsTotal = max(counts.dirsTotal, counts.dirsDone)
        counts.bytesTotal = max(counts.bytesTotal, counts.bytesDone)
        updated = max(updated, now)
        sample()
        if let percent { shownPercent = percent }
    }

    /// The complete mark was written: the one thing that makes a phase complete (staging.md §4.4).
    package mutating func complete(_ report: ProgressReport, at now: Timestamp) {
        apply(report, at: now)
        isComplete = true
        counts.active = []
        counts.planComplete = true
        shownPercent = 100
    }

    /// Whole percent, rounded down; nil while the totals may still grow.
    package var percent: Int? {
        if isComplete { return 100 }
        guard counts.planComplete else { return nil }
        let total = counts.workTotal
        guard total > 0 else { return max(shownPercent, 0) }
        let (high, low) = counts.workDone.multipliedFullWidth(by: 100)
        let whole = Int(total.dividingFullWidth((high, low)).quotient)
        return max(shownPercent, min(99, whole))
    }

    /// Seconds that are probably left. Nil while nothing can be said: before the totals are final and a twentieth of
    /// the known ones is done, without a rate, and while the copy is paused.
    package var etaSeconds: Int? {
        if isComplete { return 0 }
        guard throttle?.isPause != true else { return nil }
        let total = counts.workTotal
        let done = counts.workDone
        guard total > 0, done > 0 else { return nil }
        guard counts.planComplete || done / Self.etaPercent >= total / 100 else { return nil }
        let rate = workRate
        guard rate > 0 else { return nil }
        let seconds = (Double(total - done) / rate).rounded()
        return seconds < 1e9 ? Int(seconds) : nil
    }

    /// The time left is a lower bound, for the totals still grow.
    package var isEtaLowerBound: Bool { !isComplete && !counts.planComplete }

    /// Bytes per second that were moved in the last `rateWindowSeconds`.
    package var rateNow: UInt64 {
        guard let last = samples.last else { return 0 }
        let since = last.at.adding(seconds: -Self.rateWindowSeconds)
        let first = samples.last { $0.at <= since } ?? samples.first ?? last
        return Self.rate(last.bytes - first.bytes, from: first.at, to: last.at)
    }

    /// Bytes per second since the start of the phase.
    package var rateAverage: UInt64 {
        Self.rate(samples.last?.bytes ?? 0, from: started, to: samples.last?.at ?? started)
    }

    /// What bounds the copy at the moment: the session's limit, or the worker's share of its pool's; nil: nothing does.
    package func limit(_ of: KeyPath<Throttle, UInt64?>) -> UInt64? {
        [throttle?[keyPath: of], isComplete ? nil : counts.limits?[keyPath: of]].compactMap { $0 }.min()
    }

    private static func rate(_ amount: UInt64, from first: Timestamp, to last: Timestamp) -> UInt64 {
        let milliseconds = last.milliseconds - first.milliseconds
        guard milliseconds > 0 else { return 0 }
        return UInt64(Double(amount) * 1000 / Double(milliseconds))
    }

    /// Work per second over the last third of the time so far, at least the usual window: long enough to be calm, short
    /// enough to follow a change of the load.
    private var workRate: Double {
        guard let last = samples.last else { return 0 }
        let elapsed = last.at.milliseconds - started.milliseconds
        let window = max(Int64(Self.rateWindowSeconds) * 1000, elapsed / 3)
        let since = last.at.adding(milliseconds: -window)
        let first = samples.last { $0.at <= since } ?? samples.first ?? last
        let milliseconds = last.at.milliseconds - first.at.milliseconds
        guard milliseconds > 0 else { return 0 }
        return Double(last.work - first.work) * 1000 / Double(milliseconds)
    }

    private mutating func sample() {
        // Done work never goes back, so neither do samples; totals may shrink, and with them what counts as done.
        let last = samples.last
        let next = Sample(
            at: updated, work: max(last?.work ?? 0, counts.workDone),
            bytes: max(last?.bytes ?? 0, counts.bytesMoved.map { (movedBefore ?? 0) &+ $0 } ?? counts.bytesDone))
        if let last, updated.milliseconds - last.at.milliseconds < 1000, samples.count > 1,
            last.at.milliseconds - samples[samples.count - 2].at.milliseconds < 1000
        {
            samples[samples.count - 1] = next
        } else {
            samples.append(next)
        }
        guard samples.count > Self.samplesMax else { return }
        // The last ones are kept whole: the rate of the moment needs them.
        let recent = Self.samplesMax / 4
        let old = samples.dropLast(recent)
        samples =
            old.enumerated().compactMap { $0.offset.isMultiple(of: 2) ? $0.element : nil } + samples.suffix(recent)
    }
}

extension StagerProgress {
    /// What is written to the store: no samples of each second, no list of files under way.
    package var kept: StagerProgress {
        var kept = self
        kept.counts.active = []
        kept.samples = Array(samples.prefix(1) + samples.suffix(1))
        if kept.samples.count == 2, kept.samples[0] == kept.samples[1] { kept.samples.removeLast() }
        return kept
    }
}

/// Which way the data go.
package enum StageDirection: String, Hashable, Codable, Sendable { case stageIn = "stage_in", stageOut = "stage_out" }
