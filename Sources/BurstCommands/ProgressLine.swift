package import BurstWire

/// The line that shows how far a job's data is, for a terminal of a known width.
package struct ProgressLine: Sendable {
    /// Only ASCII: where the locale is no UTF-8.
    package var isASCII: Bool
    package var hasColor: Bool

    package init(environment: [String: String]) {
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].lazy.compactMap { environment[$0] }.first { !$0.isEmpty } ?? ""
        let upper = locale.uppercased()
        isASCII = !(upper.contains("UTF-8") || upper.contains("UTF8"))
        hasColor = (environment["NO_COLOR"] ?? "").isEmpty && environment["TERM"] != "dumb"
    }

    package init(isASCII: Bool, hasColor: Bool) {
        self.isASCII = isASCII
        self.hasColor = hasColor
    }

    static let barWidth = 20

    /// - Parameters:
    ///   - beat: grows by one with each drawing; moves the mark where no total is known.
    ///   - width: characters of the terminal; the line is shorter by one.
    package func text(_ progress: Progress, beat: Int, width: Int) -> String {
        var parts = ["job \(progress.job)", progress.state]
        if let done = progress.bytesDone {
            parts.append(Self.bytes(done) + (progress.bytesTotal.map { "/" + Self.bytes($0) } ?? ""))
        }
        if let done = progress.filesDone {
            parts.append("\(done)" + (progress.filesTotal.map { "/\($0)" } ?? "") + " files")
        }
        if let rate = progress.bytesPerSecond, rate >= 1 { parts.append(Self.bytes(UInt64(rate)) + "/s") }
        if let left = progress.secondsLeft, left.isFinite, left >= 0 {
            parts.append("ETA " + Self.clock(Int(min(left, 360_000_000))))
        }
        let room = max(0, width - 1)
        let words = parts.joined(separator: "  ")
        guard room > words.count + Self.barWidth + 4 else { return String(words.prefix(room)) }
        return bar(progress, beat: beat) + "  " + words
    }

    private func bar(_ progress: Progress, beat: Int) -> String {
        let (full, empty) = isASCII ? ("#", ".") : ("█", "░")
        let width = Self.barWidth
        guard let share = Self.share(progress) else {
            // There and back again.
            let steps = max(1, width - 3)
            let turn = beat % (2 * steps)
            let at = turn <= steps ? turn : 2 * steps - turn
            let marks = String(repeating: empty, count: at) + String(repeating: full, count: 3)
            return colored("[" + marks + String(repeating: empty, count: width - 3 - at) + "]")
        }
        let filled = Int(share * Double(width))
        let percent = "\(Int(share * 100))%"
        let bar = String(repeating: full, count: filled) + String(repeating: empty, count: width - filled)
        return colored("[" + bar + "] ") + String(repeating: " ", count: max(0, 4 - percent.count)) + percent
    }

    private func colored(_ text: String) -> String { hasColor ? "\u{1b}[36m\(text)\u{1b}[0m" : text }

    /// 0 to 1; nil where no total is known.
    static func share(_ progress: Progress) -> Double? {
        if let done = progress.bytesDone, let total = progress.bytesTotal, total > 0 {
            return min(1, Double(done) / Double(total))
        }
        if let done = progress.filesDone, let total = progress.filesTotal, total > 0 {
            return min(1, Double(done) / Double(total))
        }
        return nil
    }

    static func bytes(_ count: UInt64) -> String {
        var value = Double(count)
        for unit in ["B", "KiB", "MiB", "GiB", "TiB"] {
            if value < 1024 || unit == "TiB" {
                if unit == "B" || value >= 100 { return "\(Int(value)) \(unit)" }
                let tenths = Int(value * 10)
                return "\(tenths / 10).\(tenths % 10) \(unit)"
            }
            value /= 1024
        }
        return "\(count) B"
    }

    static func clock(_ seconds: Int) -> String {
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        if seconds >= 3600 { return "\(seconds / 3600):" + two(seconds / 60 % 60) + ":" + two(seconds % 60) }
        return "\(seconds / 60):" + two(seconds % 60)
    }
}
