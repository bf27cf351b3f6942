/// The difference of two texts, line by line.
enum Difference {
    /// All lines of both, each after " ", "-" (only in the first) or "+" (only in the second).
    static func lines(from old: [String], to new: [String]) -> [(sign: Character, text: String)] {
        var removed: Set<Int> = []
        var inserted: Set<Int> = []
        for change in new.difference(from: old) {
            switch change {
            case .remove(let offset, _, _): removed.insert(offset)
            case .insert(let offset, _, _): inserted.insert(offset)
            }
        }
        var result: [(Character, String)] = []
        var (from, to) = (0, 0)
        while from < old.count || to < new.count {
            if removed.contains(from) {
                result.append(("-", old[from]))
                from += 1
            } else if inserted.contains(to) {
                result.append(("+", new[to]))
                to += 1
            } else {
                result.append((" ", old[from]))
                (from, to) = (from + 1, to + 1)
            }
        }
        return result
    }

    /// The changed lines with two around each, at most so many.
    static func unified(expected: [String], printed: [String], limit: Int = 60) -> String {
        let all = lines(from: expected, to: printed)
        let changed = all.indices.filter { all[$0].sign != " " }
        var shown: [String] = []
        var before = -1
        for index in all.indices where changed.contains(where: { abs($0 - index) <= 2 }) {
            if index > before + 1 { shown.append("@@") }
            before = index
            shown.append("\(all[index].sign)\(all[index].text.prefix(400))")
        }
        let rest = shown.count - limit
        return (shown.prefix(limit) + (rest > 0 ? ["(\(rest) more lines)"] : [])).joined(separator: "\n")
    }
}
