/// What `scontrol show burst` says: a record for each loaded plugin (spec §8.1).
package struct BurstReport: Hashable, Sendable {
    package var plugins: [PluginRecord]
    /// What could not be read, in the order of the text. Valid rows beside it are all here.
    package var faults: [Fault]

    package init(plugins: [PluginRecord] = [], faults: [Fault] = []) {
        self.plugins = plugins
        self.faults = faults
    }

    package var bufferCount: Int { plugins.reduce(0) { $0 + $1.buffers.count } }
}

/// Something in a reply that could not be understood; the rest of the reply still counts.
package struct Fault: Hashable, Sendable {
    /// Which reply: `scontrol show burst`, `squeue`.
    package var reply: String
    /// Line in the reply, from 1; 0 where it concerns the whole.
    package var line: Int
    package var message: String

    package init(reply: String, line: Int, message: String) {
        self.reply = reply
        self.line = line
        self.message = message
    }

    package var text: String { line > 0 ? "\(reply): line \(line): \(message)" : "\(reply): \(message)" }
}

/// One plugin's part of `scontrol show burst`.
package struct PluginRecord: Hashable, Sendable {
    /// `lua` or `datawarp`.
    package var name: String
    /// The pool whose figures stand in the first line (datawarp); nil for `(null)`: lua has none, its first line is
    /// always zeros.
    package var defaultPool: String?
    package var granularity: Amount
    package var total: Amount
    package var free: Amount
    package var used: Amount
    /// The pools of the `PoolName[i]` lines.
    package var alternatePools: [Pool]
    package var flags: [String]
    /// Seconds between polls of test_data_in and the like; 26.05 and later only.
    package var pollInterval: Int?
    /// Seconds.
    package var stageInTimeout: Int
    package var stageOutTimeout: Int
    package var validateTimeout: Int
    package var otherTimeout: Int
    /// AllowUsers, DenyUsers, CreateBuffer, DestroyBuffer, GetSysState, GetSysStatus, StartStageIn, StopStageIn in the
    /// order printed. The last two labels are each printed for two different fields, so a label may stand twice.
    package var settings: [Setting]
    package var buffers: [Buffer]
    package var users: [UserUse]
    /// The order in which the header's parts were printed, with what we do not know.
    package var header: [HeaderPart]

    package struct Setting: Hashable, Sendable {
        package var label: String
        /// nil for `(null)`.
        package var value: String?

        package init(_ label: String, _ value: String?) {
            self.label = label
            self.value = value
        }
    }

    package enum HeaderPart: Hashable, Sendable {
        case pool(Int)
        case flags, pollInterval, timeouts
        case setting(Int)
        /// A field of a release that we do not know.
        case unknown(key: String, value: String, startsLine: Bool)
    }

    package init(name: String) {
        self.name = name
        granularity = Amount(1)
        total = .zero
        free = .zero
        used = .zero
        alternatePools = []
        flags = []
        stageInTimeout = 0
        stageOutTimeout = 0
        validateTimeout = 0
        otherTimeout = 0
        settings = []
        buffers = []
        users = []
        header = []
    }

    package func setting(_ label: String) -> String? { settings.first { $0.label == label }?.value }

    /// Every pool, the default one first. The first line counts only where it names a pool.
    package var pools: [Pool] {
        guard let defaultPool else { return alternatePools }
        let first = Pool(
            plugin: name, name: defaultPool, isDefault: true, granularity: granularity, total: total, free: free,
            used: used)
        return [first] + alternatePools
    }

    /// Other users' buffers are hidden from callers without operator rights.
    package var hidesOtherUsers: Bool { flags.contains { $0.lowercased() == "privatedata" } }
}

/// A pool of storage.
package struct Pool: Hashable, Sendable {
    package var plugin: String
    package var name: String
    package var isDefault: Bool
    package var granularity: Amount
    package var total: Amount
    /// Total minus *unfree* (used plus drained); an underflow where more is unfree than there is.
    package var free: Amount
    package var used: Amount

    package init(
        plugin: String, name: String, isDefault: Bool = false, granularity: Amount, total: Amount, free: Amount,
        used: Amount
    ) {
        self.plugin = plugin
        self.name = name
        self.isDefault = isDefault
        self.granularity = granularity
        self.total = total
        self.free = free
        self.used = used
    }

    package var key: PoolKey { PoolKey(plugin: plugin, name: name) }

    /// Whether the pool counts bytes: its granularity or, where that says nothing, each of its sums has a unit.
    /// "Lua pools can represent anything", and no reply tells; the display then keeps Slurm's own text.
    package var countsBytes: Bool { granularity.hasUnit || (granularity.value ?? 0) >= 1000 }

    /// What is neither free nor used: total - free - used. Negative after a DataWarp pools reading, when Slurm shows
    /// more free than there can be; that is no drain (rule R10).
    package var drained: Int64? {
        guard let total = total.value, let free = free.value, let used = used.value else { return nil }
        return Int64(bitPattern: total &- free &- used)
    }

    /// Space that is drained, never negative.
    package var drainedAmount: Amount { Amount(UInt64(max(0, drained ?? 0))) }

    /// More is in use than the pool has, by this much.
    package var overcommitted: UInt64 {
        if free.isUnderflow { return free.shortfall }
        if let total = total.known, let used = used.known, used > total { return used - total }
        return 0
    }

    /// The largest request that fits now, in whole granules: Slurm's own test takes the total less the larger of used
    /// and unfree space (spec §6.2), so free space that it shows beside more use than there can be does not count.
    /// Zero when over-committed.
    package var largestRequest: Amount {
        guard var room = free.known else { return free.isInfinite ? free : .zero }
        if let total = total.known, let used = used.known { room = min(room, total - min(used, total)) }
        let grain = max(1, granularity.known ?? 1)
        return Amount(room / grain * grain)
    }

    /// Rounds a request up to whole granules (spec §2.2). Nil where the result exceeds 64 bits.
    package func rounded(_ request: UInt64) -> UInt64? {
        let grain = max(1, granularity.known ?? 1)
        let (granules, rest) = request.quotientAndRemainder(dividingBy: grain)
        let (sum, over) = granules.addingReportingOverflow(rest > 0 ? 1 : 0)
        let (product, overflow) = sum.multipliedReportingOverflow(by: grain)
        return over || overflow ? nil : product
    }

    /// Share of the total that is used or drained, 0 to 1 and above when over-committed; nil where the total is 0.
    package var unfreeShare: Double? {
        guard let total = total.known, total > 0 else { return nil }
        if free.isUnderflow { return (Double(total) + Double(free.shortfall)) / Double(total) }
        guard let free = free.known else { return nil }
        return max(0, Double(total) - Double(free)) / Double(total)
    }
}

/// A burst buffer allocation: one line of `Allocated Buffers:`.
package struct Buffer: Hashable, Sendable {
    package var id: BufferID
    /// Nil for `(null)`, and where the call was made without `-v`.
    package var account: String?
    package var partition: String?
    package var qos: String?
    /// Nil for `(null)`: lua jobs without a pool.
    package var pool: String?
    package var size: Amount
    package var state: BufferState
    package var user: String
    package var uid: UInt32
    /// As printed; nil where the text is no time.
    package var createdLocal: LocalTime?
    /// The text of a time that we could not read.
    package var createdText: String?
    /// Fields of a release that we do not know, each with the field it stood behind.
    package var extra: [Extra]
    /// Where the row stands in the reply, in bytes.
    package var rawStart: Int32
    package var rawCount: Int32

    package struct Extra: Hashable, Sendable {
        package var after: String
        package var key: String
        package var value: String
    }

    package init(id: BufferID, pool: String?, size: Amount, state: BufferState, user: String, uid: UInt32) {
        self.id = id
        self.pool = pool
        self.size = size
        self.state = state
        self.user = user
        self.uid = uid
        extra = []
        rawStart = 0
        rawCount = 0
    }
}

/// One line of `Per User Buffer Use:`: a user's space over all pools.
package struct UserUse: Hashable, Sendable {
    package var user: String
    package var uid: UInt32
    package var used: Amount

    package init(user: String, uid: UInt32, used: Amount) {
        self.user = user
        self.uid = uid
        self.used = used
    }
}
