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
            summary.size = Self.sum(summary.size, buffer(row)?.size.known ?? 0)
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
            others.used = Self.sum(others.used, user.used ?? user.sum)
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

    /// Buffers that are reported now.
    package var presentBuffers: Int { bufferRows.count { $0.gone == nil } }

    /// A plugin hides other users' buffers from the caller: sums of rows are not the whole.
    package var isRestricted: Bool { burst?.value.plugins.contains { $0.hidesOtherUsers } ?? false }

    private static func sum(_ left: UInt64, _ right: UInt64) -> UInt64 {
        let (sum, over) = left.addingReportingOverflow(right)
        return over ? .max : sum
    }
}
