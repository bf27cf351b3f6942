package import BurstModel

/// The board in Prometheus' text exposition format, for node_exporter's textfile collector. Figures that are old or not
/// known are left out: a gap in a graph, with `burst_up` 0, is the truth.
package struct PrometheusReport: Hashable, Sendable {
    package let text: String

    package init(_ board: Board) {
        var writer = Writer()
        Self.source(board, &writer)
        if board.whyStale == nil {
            Self.pools(board, &writer)
            Self.buffers(board, &writer)
            if board.staging != nil, board.stagingLost == nil { Self.stagings(board, &writer) }
        }
        text = writer.text
    }

    private static func source(_ board: Board, _ writer: inout Writer) {
        writer.family("burst_up", "gauge", "Whether the source answers (1) or not (0).")
        writer.sample("burst_up", [], board.isStale ? "0" : "1")
        writer.family("burst_info", "gauge", "Always 1; the labels say where the figures come from.")
        writer.sample(
            "burst_info",
            [
                ("kind", board.source.kind.rawValue), ("cluster", board.source.cluster ?? ""),
                ("version", board.source.version ?? ""),
            ], "1")
        if let sample = board.burst {
            writer.family("burst_sample_age_seconds", "gauge", "Age of the last good sample when this was written.")
            writer.sample("burst_sample_age_seconds", [], seconds(board.now.milliseconds - sample.at.milliseconds))
            writer.family("burst_sample_timestamp_seconds", "gauge", "When the last good sample was taken, since 1970.")
            writer.sample("burst_sample_timestamp_seconds", [], seconds(sample.at.milliseconds))
        }
        writer.family("burst_calls_total", "counter", "Commands run against the controller.")
        writer.sample("burst_calls_total", [], "\(board.calls.count)")
        writer.family("burst_call_failures_total", "counter", "Commands that gave no answer.")
        writer.sample("burst_call_failures_total", [], "\(board.calls.failures)")
        if let median = board.calls.medianMilliseconds {
            writer.family("burst_call_median_seconds", "gauge", "Median duration of a command.")
            writer.sample("burst_call_median_seconds", [], seconds(median))
        }
        if let p95 = board.calls.p95Milliseconds {
            writer.family("burst_call_p95_seconds", "gauge", "95th percentile of the commands' durations.")
            writer.sample("burst_call_p95_seconds", [], seconds(p95))
        }
        writer.family("burst_faults", "gauge", "Parts of the last replies that could not be read.")
        writer.sample("burst_faults", [], "\(board.faults.count)")
    }

    private static func pools(_ board: Board, _ writer: inout Writer) {
        let families: [(name: String, help: String, value: (PoolRow) -> String?)] = [
            ("total", "Space of the pool, in bytes or the pool's units.", { amount($0.pool.total) }),
            ("used", "Space in use.", { amount($0.pool.used) }),
            ("free", "Free space; negative when over-committed.", { amount($0.pool.free) }),
            ("drained", "Space neither used nor free.", { drained($0.pool) }),
            ("granularity", "Requests are rounded up to this.", { amount($0.pool.granularity) }),
            (
                "largest_request", "The largest request that fits now.",
                { $0.pool.free.value == nil ? nil : amount($0.pool.largestRequest) }
            ),
            ("reserved", "Space set aside by reservations.", { "\($0.reserved)" }),
            ("waiting_jobs", "Jobs that wait for space.", { "\($0.waiting)" }),
        ]
        for family in families {
            let name = "burst_pool_" + family.name
            writer.family(name, "gauge", family.help)
            for row in board.poolRows where row.goneSince == nil {
                guard let value = family.value(row) else { continue }
                writer.sample(name, [("plugin", row.pool.plugin), ("pool", row.pool.name)], value)
            }
        }
    }

    private static func buffers(_ board: Board, _ writer: inout Writer) {
        struct Place: Hashable {
            var plugin: String
            var pool: String
            var state: BufferState
        }
        var counts: [Place: Int] = [:]
        for row in board.bufferRows where row.gone == nil {
            let pool = board.buffer(row)?.pool ?? ""
            counts[Place(plugin: row.key.plugin, pool: pool, state: board.stage(row)), default: 0] += 1
        }
        writer.family("burst_buffers", "gauge", "Buffers by stage: the job's own state where it is known.")
        let places = counts.sorted {
            ($0.key.plugin, $0.key.pool, $0.key.state.rank, $0.key.state.name)
                < ($1.key.plugin, $1.key.pool, $1.key.state.rank, $1.key.state.name)
        }
        for (place, count) in places {
            writer.sample(
                "burst_buffers", [("plugin", place.plugin), ("pool", place.pool), ("state", place.state.name)],
                "\(count)")
        }
        writer.family("burst_user_used", "gauge", "Space in use by a user over all pools.")
        for row in board.userRows {
            guard let used = row.used else { continue }
            writer.sample("burst_user_used", [("user", row.user), ("uid", "\(row.uid)")], "\(used)")
        }
        writer.family("burst_alerts", "gauge", "Alerts that are not acknowledged.")
        // Of each rule: one failure may be told by two.
        let alerts = board.alerts.flatMap { $0.parts.isEmpty ? [$0] : $0.parts }
        for rule in RuleThresholds.ids {
            for severity in Severity.allCases {
                let count = alerts.count { $0.rule == rule && $0.severity == severity && !$0.acknowledged }
                guard count > 0 else { continue }
                writer.sample("burst_alerts", [("rule", rule), ("severity", severity.label)], "\(count)")
            }
        }
    }

    private static func stagings(_ board: Board, _ writer: inout Writer) {
        struct Sums {
            var count = 0
            var failed = 0
            var bytesDone: UInt64 = 0
            var bytesTotal: UInt64 = 0
            var rate: UInt64 = 0
            var errors: UInt64 = 0
        }
        var sums: [String: Sums] = ["in": Sums(), "out": Sums(), "save": Sums()]
        for row in board.stagingRows {
            let session = board.session(row)
            let direction = session.phase.direction
            guard var sum = sums[direction] else { continue }
            if session.phase.isCopying { sum.count += 1 } else { sum.failed += 1 }
            if let progress = session.progress {
                sum.bytesDone = Amount.sum(sum.bytesDone, progress.bytesDone)
                sum.bytesTotal = Amount.sum(sum.bytesTotal, progress.bytesTotal)
                sum.errors = Amount.sum(sum.errors, progress.errors)
                if session.phase.isCopying { sum.rate = Amount.sum(sum.rate, progress.rateNow ?? 0) }
            }
            sums[direction] = sum
        }
        let families: [(name: String, help: String, value: (Sums) -> String)] = [
            ("burst_stagings", "Copies that are under way.", { "\($0.count)" }),
            ("burst_stagings_failed", "Copies that failed and wait for somebody.", { "\($0.failed)" }),
            (
                "burst_staging_bytes_done", "Bytes that are copied, of copies under way or failed.",
                { "\($0.bytesDone)" }
            ),
            ("burst_staging_bytes_total", "Bytes to copy, as far as they are known.", { "\($0.bytesTotal)" }),
            ("burst_staging_bytes_per_second", "Bytes copied in a second.", { "\($0.rate)" }),
            ("burst_staging_errors", "Files that could not be copied.", { "\($0.errors)" }),
        ]
        for family in families {
            writer.family(family.name, "gauge", family.help)
            for (direction, sum) in sums.sorted(by: { $0.key < $1.key }) {
                writer.sample(family.name, [("direction", direction)], family.value(sum))
            }
        }
        let quarantine = board.staging?.value.quarantine ?? []
        writer.family("burst_quarantine_buffers", "gauge", "Buffers that were torn down and are not removed yet.")
        writer.sample("burst_quarantine_buffers", [], "\(quarantine.count)")
        writer.family("burst_quarantine_bytes", "gauge", "Their space.")
        writer.sample("burst_quarantine_bytes", [], "\(quarantine.reduce(0) { Amount.sum($0, $1.bytes) })")
    }

    private static func drained(_ pool: Pool) -> String? {
        pool.total.isInfinite || pool.drained == nil ? nil : amount(pool.drainedAmount)
    }

    private static func amount(_ amount: Amount) -> String? {
        if amount.isInfinite { return "+Inf" }
        if amount.isUnderflow { return "-\(amount.shortfall)" }
        return amount.value.map { "\($0)" }
    }

    private static func seconds(_ milliseconds: Int64) -> String {
        let digits = String(1000 + milliseconds.magnitude % 1000).dropFirst()
        return (milliseconds < 0 ? "-" : "") + "\(milliseconds.magnitude / 1000).\(digits)"
    }

    private struct Writer {
        var text = ""
        /// Names that the format allows once each only.
        private var samples: Set<String> = []

        init() {}

        mutating func family(_ name: String, _ type: String, _ help: String) {
            text += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n"
        }

        mutating func sample(_ name: String, _ labels: [(String, String)], _ value: String) {
            var line = name
            if !labels.isEmpty {
                line += "{" + labels.map { "\($0.0)=\"\(Self.escaped($0.1))\"" }.joined(separator: ",") + "}"
            }
            // One sample twice makes a collector drop the whole file.
            guard samples.insert(line).inserted else { return }
            text += line + " " + value + "\n"
        }

        private static func escaped(_ text: String) -> String {
            var escaped = ""
            for scalar in text.unicodeScalars {
                switch scalar {
                case "\\": escaped += #"\\"#
                case "\"": escaped += #"\""#
                case "\n": escaped += #"\n"#
                default: escaped.unicodeScalars.append(scalar)
                }
            }
            return escaped
        }
    }
}
