/// What chance does to one line of a valid reply: which line, which part of it, and what stands there instead.
struct Damage {
    private let line: Int
    private let from: Int
    private let count: Int
    private let patch: [UInt8]

    /// - Parameter separator: ends a line; it is taken out of what is written, so that one line only is hit.
    init?(_ input: [UInt8], separator: UInt8) {
        guard input.count >= 4 else { return nil }
        line = Int(input[0]) << 8 | Int(input[1])
        from = Int(input[2])
        count = Int(input[3])
        patch = input.dropFirst(4).filter { $0 != separator }
    }

    struct Damaged {
        var bytes: [UInt8]
        /// The line before.
        var line: [UInt8]
    }

    /// Nil where the damage would change nothing.
    func apply(to whole: [UInt8], separator: UInt8) -> Damaged? {
        var lines = whole.split(separator: separator, omittingEmptySubsequences: false).map(Array.init)
        // The last one stands behind the last separator and is empty.
        guard lines.count > 1 else { return nil }
        let index = line % (lines.count - 1)
        let old = lines[index]
        let start = min(from, old.count)
        lines[index].replaceSubrange(start..<min(start + count, old.count), with: patch)
        guard lines[index] != old else { return nil }
        return Damaged(bytes: Array(lines.joined(separator: [separator])), line: old)
    }

    /// Damages one of several texts, and says which.
    func apply(toOneOf texts: [[UInt8]], separator: UInt8) -> (Int, Damaged)? {
        guard !texts.isEmpty else { return nil }
        let index = line % texts.count
        let inner = Damage(line: line / texts.count, from: from, count: count, patch: patch)
        return inner.apply(to: texts[index], separator: separator).map { (index, $0) }
    }

    private init(line: Int, from: Int, count: Int, patch: [UInt8]) {
        self.line = line
        self.from = from
        self.count = count
        self.patch = patch
    }
}

extension FuzzTarget {
    /// Seeds for the targets that damage a valid reply: words that mean something to a parser, in every kind of line.
    static var damages: [[UInt8]] {
        let words = [
            "", "Name=", "Name=lua ", "  Allocated Buffers:", "  Per User Buffer Use:", "    UserID=", "    JobID=1",
            "JobId=7", "JobId=", "   ", "\u{0}", "\u{1f}", "\u{1e}", "(null)", "=", " = ", "UsedSpace=", "é",
            "\u{7f}\u{ff}",
            "   SystemComment=", "ReservationName=",
        ]
        var seeds: [[UInt8]] = []
        for (index, word) in words.enumerated() {
            for place in [0, 1, 4, 5, 7, 8, 9, 12, 20, 32, 33, 35] {
                seeds.append([0, UInt8(place), index % 3 == 0 ? 0 : 4, index % 2 == 0 ? 255 : 3] + word.utf8)
            }
        }
        return seeds
    }
}
