/// Measured values of one thing, in one unit.
package struct Samples: Hashable, Sendable {
    package private(set) var values: [Double]

    package init(_ values: [Double] = []) { self.values = values.sorted() }

    package mutating func add(_ value: Double) {
        values.append(value)
        values.sort()
    }

    package var isEmpty: Bool { values.isEmpty }
    package var min: Double? { values.first }
    package var max: Double? { values.last }
    package var median: Double? { quantile(0.5) }

    /// The smallest value that at least this share of all does not exceed.
    package func quantile(_ share: Double) -> Double? {
        guard !values.isEmpty else { return nil }
        let rank = Int((share * Double(values.count)).rounded(.up))
        return values[Swift.min(values.count, Swift.max(1, rank)) - 1]
    }
}

/// One row of the table: a criterion of monitor.md §4.2, what it allows, and what was measured.
package struct Figure: Sendable {
    /// What of the samples is held against the target.
    package enum Statistic: String, Sendable {
        case median, p95, p99, max

        func of(_ samples: Samples) -> Double? {
            switch self {
            case .median: samples.median
            case .p95: samples.quantile(0.95)
            case .p99: samples.quantile(0.99)
            case .max: samples.max
            }
        }
    }

    package var id: String
    package var what: String
    package var unit: String
    /// Nil: told, not judged.
    package var target: Double?
    package var statistic: Statistic
    package var ours = Samples()
    package var htop = Samples()
    package var watch = Samples()
    /// Why a peer has no value: `not installed`, `no such key`.
    package var htopNote = "-"
    package var watchNote = "-"
    /// What else a reader has to know.
    package var note = ""

    package init(_ id: String, _ what: String, _ unit: String, target: Double?, _ statistic: Statistic = .median) {
        self.id = id
        self.what = what
        self.unit = unit
        self.target = target
        self.statistic = statistic
    }

    package var isMet: Bool {
        guard let value = statistic.of(ours) else { return false }
        return target.map { value <= $0 } ?? true
    }

    /// Ours by theirs; below 1 we are ahead.
    package func ratio(to peer: Samples) -> Double? {
        guard let ours = statistic.of(ours), let theirs = statistic.of(peer), theirs > 0 else { return nil }
        return ours / theirs
    }
}

extension Figure {
    static let heading = """
        | id | measure | target | median | p95 | max | htop | watch | ratio to htop, watch | |
        | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
        """

    var markdown: String {
        func text(_ value: Double?, or note: String = "-") -> String { value.map { Self.plain($0) } ?? note }
        let ratios = [htop, watch].map { text(ratio(to: $0)) }.joined(separator: ", ")
        let cells = [
            id, "\(what)\(note.isEmpty ? "" : " (\(note))")",
            target.map { "\(statistic.rawValue) <= \(Self.plain($0)) \(unit)" } ?? unit,
            text(ours.median, or: "none"), text(ours.quantile(0.95)), text(ours.max),
            text(statistic.of(htop), or: htopNote), text(statistic.of(watch), or: watchNote), ratios,
            isMet ? target == nil ? "" : "ok" : "MISS",
        ]
        return "| " + cells.joined(separator: " | ") + " |"
    }

    /// Three figures, no exponent.
    static func plain(_ value: Double) -> String {
        guard value.isFinite, abs(value) < 1e15 else { return "\(value)" }
        if abs(value) >= 100 || value == value.rounded() { return "\(Int(value.rounded()))" }
        let factor = abs(value) >= 10 ? 10.0 : 100
        let scaled = Int((abs(value) * factor).rounded())
        let rest = "\(scaled % Int(factor))"
        let zeros = String(repeating: "0", count: (factor == 10 ? 1 : 2) - rest.count)
        return (value < 0 ? "-" : "") + "\(scaled / Int(factor)).\(zeros)\(rest)"
    }

    /// An object of the document that `--json` prints.
    var json: String {
        func number(_ value: Double?) -> String { value.map { "\(($0 * 1000).rounded() / 1000)" } ?? "null" }
        func object(_ samples: Samples) -> String {
            "{\"median\": \(number(samples.median)), \"p95\": \(number(samples.quantile(0.95))), "
                + "\"p99\": \(number(samples.quantile(0.99))), \"max\": \(number(samples.max)), "
                + "\"count\": \(samples.values.count)}"
        }
        let fields = [
            "\"id\": \"\(id)\"", "\"measure\": \"\(what)\"", "\"unit\": \"\(unit)\"", "\"target\": \(number(target))",
            "\"statistic\": \"\(statistic.rawValue)\"", "\"met\": \(isMet)", "\"ours\": \(object(ours))",
            "\"htop\": \(object(htop))", "\"watch\": \(object(watch))", "\"note\": \"\(note)\"",
        ]
        return "{" + fields.joined(separator: ", ") + "}"
    }
}
