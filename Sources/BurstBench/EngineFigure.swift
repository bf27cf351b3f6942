import BurstTestSupport

/// One row of the table of `burst-bench engine` or `staging`: what was measured of ours and, where there is one, of the
/// peer.
package struct EngineFigure: Sendable {
    /// What the median is held against.
    package enum Rule: Sendable {
        /// Told, not judged.
        case none
        case atMost(Double)
        case atLeast(Double)
        /// Not the median: every one of them.
        case eachAtMost(Double)
        /// Ours by theirs.
        case ratioAtLeast(Double)
        case ratioAtMost(Double)
    }

    package var id: String
    package var what: String
    package var unit: String
    package var rule: Rule
    package var ours = Samples()
    package var peer = Samples()

    package init(_ id: String, _ what: String, _ unit: String, _ rule: Rule = .none) {
        self.id = id
        self.what = what
        self.unit = unit
        self.rule = rule
    }

    /// Ours by theirs, of the medians.
    package var ratio: Double? {
        guard let ours = ours.median, let peer = peer.median, peer > 0 else { return nil }
        return ours / peer
    }

    package var isMet: Bool {
        guard let median = ours.median else { return false }
        switch rule {
        case .none: return true
        case .atMost(let limit): return median <= limit
        case .atLeast(let limit): return median >= limit
        case .eachAtMost(let limit): return ours.max.map { $0 <= limit } ?? false
        case .ratioAtLeast(let limit): return (ratio ?? 0) >= limit
        case .ratioAtMost(let limit): return ratio.map { $0 <= limit } ?? false
        }
    }

    private var target: String {
        switch rule {
        case .none: ""
        case .atMost(let limit): "<= \(Figure.plain(limit))"
        case .atLeast(let limit): ">= \(Figure.plain(limit))"
        case .eachAtMost(let limit): "all <= \(Figure.plain(limit))"
        case .ratioAtLeast(let limit): "ratio >= \(Figure.plain(limit))"
        case .ratioAtMost(let limit): "ratio <= \(Figure.plain(limit))"
        }
    }

    private static func text(_ samples: Samples) -> String {
        guard let least = samples.min, let median = samples.median, let most = samples.max else { return "" }
        return samples.values.count == 1
            ? Figure.plain(median) : [least, median, most].map { Figure.plain($0) }.joined(separator: " / ")
    }

    static func heading(ours: String, peer: String) -> String {
        """
        | id | measure | unit | target | \(ours), min / median / max | \(peer) | ratio | |
        | --- | --- | --- | --- | --- | --- | --- | --- |
        """
    }

    var markdown: String {
        var verdict = isMet ? "ok" : "MISS"
        if case .none = rule { verdict = "" }
        let cells = [
            id, what, unit, target, Self.text(ours), Self.text(peer), ratio.map { Figure.plain($0) } ?? "", verdict,
        ]
        return "| " + cells.joined(separator: " | ") + " |"
    }

    /// An object of the document that `--json` prints.
    var json: String {
        func list(_ samples: Samples) -> String {
            "[" + samples.values.map { "\(($0 * 1000).rounded() / 1000)" }.joined(separator: ", ") + "]"
        }
        let fields = [
            "\"id\": \"\(id)\"", "\"measure\": \"\(what)\"", "\"unit\": \"\(unit)\"", "\"target\": \"\(target)\"",
            "\"met\": \(isMet)", "\"ours\": \(list(ours))", "\"peer\": \(list(peer))",
            "\"ratio\": \(ratio.map { "\(($0 * 1000).rounded() / 1000)" } ?? "null")",
        ]
        return "{" + fields.joined(separator: ", ") + "}"
    }
}

/// What `burst-bench engine`, `staging` and `sessions` have in common.
package protocol FigureTable {
    var figures: [EngineFigure] { get }
}

extension FigureTable {
    package var isMet: Bool { figures.allSatisfy(\.isMet) }

    package var json: String { "[\n  " + figures.map(\.json).joined(separator: ",\n  ") + "\n]\n" }

    /// The load averages of the moment.
    var load: String { Fixtures.text("/proc/loadavg").split(separator: " ").prefix(3).joined(separator: " ") }
}
