/// Figures that the overview and the reports both show, so that they cannot differ.
extension Board {
    /// Buffers in one stage.
    package struct StageSummary: Hashable, Sendable {
        package var state: BufferState
        package var count: Int
        /// Sum of the sizes that are known.
        package var size: UInt64
    }

    /// How many buffers are in each stage, in order of life. Buffers that are gone do not count.
    package var stageSummaries: [StageSummary] {
        var byState: [BufferState: StageSummary] = [:]
        for row in bufferRows where row.gone == nil {
            let state = stage(row)
            var summary = byState[state] ?? StageSummary(state: state, count: 0, size: 0)
            summary.count += 1
            summary.size = Amount.sum(summary.size, buffer(row)?.size.known ?? 0)
            byState[state] = summary
        }
        return byState.values.sorted { ($0.state.rank, $0.state.name) < ($1.state.rank, $1.state.name) }
    }

    /// The users of the most space first, and all others taken together; nil where there are none.
    package func topUsers(_ limit: Int) -> (top: [UserRow], others: OtherUsers?) {
        let sorted = userRows.sorted { ($1.used ?? $1.sum, $0.user) < ($0.used ?? $0.sum, $1.user) }
        let rest = sorted.dropFirst(limit)
        guard !rest.isEmpty else { return (sorted, nil) }
        var others = OtherUsers()
        for user in rest {
            others.users += 1
            others.used = Amount.sum(others.used, user.used ?? user.sum)
            others.share += user.share
            others.buffers += user.buffers
        }
        return (Array(sorted.prefix(limit)), others)
    }

    /// Users below the top ones.
    package struct OtherUsers: Hashable, Sendable {
        package var users = 0
        package var used: UInt64 = 0
        package var share = 0.0
        package var buffers = 0
    }

    /// Copies that are under way, and those that failed.
    package struct StagingTotals: Hashable, Sendable {
        package var into = 0
        package var out = 0
        package var failed = 0
        /// Of those that are under way and may be seen.
        package var bytesDone: UInt64 = 0
        package var bytesTotal: UInt64 = 0
        package var rate: UInt64 = 0
        /// The longest time left; nil where one of them is not known.
        package var eta: UInt64?
        package var isEtaLowerBound = false
        package var planComplete = true
        package var seen = 0

        package var count: Int { into + out }
        package var isTold: Bool { count > 0 || failed > 0 }
        /// `STAGING 3 (in 2, out 1)`
        package var text: String { "STAGING \(count) (in \(into), out \(out))" }
        package var bytesText: String? {
            seen == 0 ? nil : Amount.short(bytesDone) + "/" + Amount.short(bytesTotal) + (planComplete ? "" : "+")
        }
        package var rateText: String? { seen == 0 ? nil : Amount.short(rate) + "/s" }
        package var etaText: String? {
            eta.map { (isEtaLowerBound ? ">=" : "") + Age.short(seconds: Int(clamping: $0)) }
        }
    }

    package var stagingTotals: StagingTotals {
        var totals = StagingTotals()
        var eta: UInt64? = 0
        for row in stagingRows {
            let session = session(row)
            if session.phase.hasFailed { totals.failed += 1 }
            guard session.phase.isCopying else { continue }
            if session.phase.direction == "in" { totals.into += 1 } else { totals.out += 1 }
            guard let progress = session.progress else { continue }
            totals.seen += 1
            totals.bytesDone = Amount.sum(totals.bytesDone, progress.bytesDone)
            totals.bytesTotal = Amount.sum(totals.bytesTotal, progress.bytesTotal)
            totals.rate = Amount.sum(totals.rate, progress.rateNow ?? 0)
            if !progress.planComplete { totals.planComplete = false }
            if progress.isEtaLowerBound { totals.isEtaLowerBound = true }
            eta = eta.flatMap { known in progress.eta.map { max(known, $0) } }
        }
        totals.eta = totals.seen > 0 ? eta : nil
        return totals
    }

    /// Buffers that are reported now.
    package var presentBuffers: Int { bufferRows.count { $0.gone == nil } }

    /// A plugin hides other users' buffers from the caller: sums of rows are not the whole.
    package var isRestricted: Bool { burst?.value.plugins.contains { $0.hidesOtherUsers } ?? false }

}

extension Amount {
    /// The sum; the largest number where it would be more.
    package static func sum(_ left: UInt64, _ right: UInt64) -> UInt64 {
        let (sum, over) = left.addingReportingOverflow(right)
        return over ? .max : sum
    }
}
