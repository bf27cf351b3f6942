/// A pool: so many granules of space on one file system.
package struct StagerPool: Hashable, Codable, Sendable, Identifiable {
    package var id: String
    /// Always bytes.
    package var units: String { "bytes" }
    /// Bytes; at least 1.
    package var granularity: UInt64
    /// Granules, the reserve included.
    package var quantity: UInt64
    /// Granules that buffers never get: file systems need room for their own (staging.md §4.3: 5 %).
    package var reserve: UInt64
    package var state: State
    package var limit: Limit

    package enum State: Hashable, Codable, Sendable {
        case available
        /// Not mounted, wrong mark, not configured any more: nothing new goes there.
        case unavailable(String)
    }

    /// Whether the kernel holds buffers to their size.
    package enum Limit: String, Hashable, Codable, Sendable { case hard, soft }

    package static let reservePercent: UInt64 = 5

    package init(
        id: String, granularity: UInt64, quantity: UInt64, reserve: UInt64? = nil, state: State = .available,
        limit: Limit = .hard
    ) {
        precondition(granularity > 0, "a pool without granularity divides by zero in slurmctld")
        self.id = id
        self.granularity = granularity
        self.quantity = quantity
        self.reserve = reserve ?? Self.usualReserve(quantity)
        self.state = state
        self.limit = limit
    }

    /// Five of a hundred, rounded up.
    package static func usualReserve(_ quantity: UInt64) -> UInt64 {
        quantity / 100 * reservePercent + (quantity % 100 * reservePercent + 99) / 100
    }

    package var isAvailable: Bool { state == .available }

    /// Rounds up to whole granules, as a pool hands space out.
    package func granules(for bytes: UInt64) -> UInt64 {
        bytes / granularity + (bytes % granularity == 0 ? 0 : 1)
    }

    /// Granules that buffers may ever have.
    package var usable: UInt64 { quantity > reserve ? quantity - reserve : 0 }
}

/// How much of a pool is taken, in granules.
package struct PoolUse: Hashable, Sendable {
    package var live: UInt64 = 0
    package var quarantined: UInt64 = 0

    package init() {}

    package var used: UInt64 { live + quarantined }

    /// Quantity less what lives, less what is in quarantine, less the reserve (staging.md §4.3); never below zero.
    package func free(of pool: StagerPool) -> UInt64 { pool.usable > used ? pool.usable - used : 0 }
}
