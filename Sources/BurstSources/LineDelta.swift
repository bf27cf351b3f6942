/// A text as a change of another, by lines: what recordings keep of an output that hardly differs from the one before.
enum LineDelta {
    enum Step: Hashable, Sendable {
        /// So many lines as before.
        case copy(Int)
        /// So many lines of the text before are left out.
        case skip(Int)
        case insert(ArraySlice<UInt8>)
    }

    /// A delta can only be wrong about a text that is not the one it was made from.
    struct Mismatch: Error {}

    static func apply(_ steps: [Step], to old: [UInt8]) throws(Mismatch) -> [UInt8] {
        var text: [UInt8] = []
        text.reserveCapacity(old.count + old.count / 8)
        var place = 0
        for step in steps {
            switch step {
            case .copy(let count):
                let end = try skip(count, in: old, from: place)
                text += old[place..<end]
                place = end
            case .skip(let count): place = try skip(count, in: old, from: place)
            case .insert(let bytes): text += bytes
            }
        }
        return text
    }

    private static func skip(_ count: Int, in text: [UInt8], from start: Int) throws(Mismatch) -> Int {
        var place = start
        for _ in 0..<count {
            guard place < text.count else { throw Mismatch() }
            place = lineEnd(text, place)
        }
        return place
    }

    /// Behind the line feed, or the end.
    private static func lineEnd(_ text: [UInt8], _ start: Int) -> Int {
        (text[start...].firstIndex(of: 10) ?? text.count - 1) + 1
    }

    private static func lines(_ text: [UInt8]) -> [ArraySlice<UInt8>] {
        var lines: [ArraySlice<UInt8>] = []
        var start = 0
        while start < text.count {
            let end = lineEnd(text, start)
            lines.append(text[start..<end])
            start = end
        }
        return lines
    }

    /// What turns one text into the other: lines that stand once in both, in the same order in both, are anchors
    /// (patience);
    /// what matches on either side of an anchor grows from it. Work is linear in the texts apart from the sorting of
    /// anchors.
    static func make(from old: [UInt8], to new: [UInt8]) -> [Step] {
        let (oldLines, newLines) = (lines(old), lines(new))
        var prefix = 0
        while prefix < oldLines.count, prefix < newLines.count, oldLines[prefix] == newLines[prefix] { prefix += 1 }
        var suffix = 0
        while suffix < oldLines.count - prefix, suffix < newLines.count - prefix,
            oldLines[oldLines.count - 1 - suffix] == newLines[newLines.count - 1 - suffix]
        {
            suffix += 1
        }
        let (oldEnd, newEnd) = (oldLines.count - suffix, newLines.count - suffix)
        var builder = Builder(text: new, lines: newLines)
        builder.copy(prefix)
        var (oldPlace, newPlace) = (prefix, prefix)
        func change(upTo anchor: (old: Int, new: Int)) {
            // Lines next to an anchor that are the same stay, though they are not unique.
            var (oldStop, newStop) = (anchor.old, anchor.new)
            while oldPlace < oldStop, newPlace < newStop, oldLines[oldPlace] == newLines[newPlace] {
                builder.copy(1)
                oldPlace += 1
                newPlace += 1
            }
            while oldPlace < oldStop, newPlace < newStop, oldLines[oldStop - 1] == newLines[newStop - 1] {
                oldStop -= 1
                newStop -= 1
            }
            builder.skip(oldStop - oldPlace)
            builder.insert(newPlace..<newStop)
            builder.copy(anchor.old - oldStop)
            (oldPlace, newPlace) = (anchor.old, anchor.new)
        }
        for anchor in anchors(oldLines, newLines, prefix..<oldEnd, prefix..<newEnd) { change(upTo: anchor) }
        change(upTo: (oldEnd, newEnd))
        builder.copy(suffix)
        return builder.steps
    }

    private static func anchors(
        _ old: [ArraySlice<UInt8>], _ new: [ArraySlice<UInt8>], _ oldRange: Range<Int>, _ newRange: Range<Int>
    ) -> [(old: Int, new: Int)] {
        guard !oldRange.isEmpty, !newRange.isEmpty else { return [] }
        // -1: more than once.
        var places: [ArraySlice<UInt8>: Int] = [:]
        places.reserveCapacity(oldRange.count)
        for index in oldRange { places[old[index]] = places[old[index]] == nil ? index : -1 }
        var newPlaces: [ArraySlice<UInt8>: Int] = [:]
        newPlaces.reserveCapacity(newRange.count)
        for index in newRange { newPlaces[new[index]] = newPlaces[new[index]] == nil ? index : -1 }
        var pairs: [(old: Int, new: Int)] = []
        for index in newRange where newPlaces[new[index]] == index {
            if let place = places[new[index]], place >= 0 { pairs.append((place, index)) }
        }
        // The longest run that rises in both.
        var tops: [Int] = []
        var before = [Int](repeating: -1, count: pairs.count)
        for index in pairs.indices {
            var (low, high) = (0, tops.count)
            while low < high {
                let middle = (low + high) / 2
                if pairs[tops[middle]].old < pairs[index].old { low = middle + 1 } else { high = middle }
            }
            if low > 0 { before[index] = tops[low - 1] }
            if low == tops.count { tops.append(index) } else { tops[low] = index }
        }
        var run: [(old: Int, new: Int)] = []
        var index = tops.last ?? -1
        while index >= 0 {
            run.append(pairs[index])
            index = before[index]
        }
        return run.reversed()
    }

    private struct Builder {
        let text: [UInt8]
        let lines: [ArraySlice<UInt8>]
        var steps: [Step] = []

        init(text: [UInt8], lines: [ArraySlice<UInt8>]) {
            self.text = text
            self.lines = lines
        }

        mutating func copy(_ count: Int) {
            guard count > 0 else { return }
            if case .copy(let before) = steps.last {
                steps[steps.count - 1] = .copy(before + count)
            } else {
                steps.append(.copy(count))
            }
        }

        mutating func skip(_ count: Int) {
            if count > 0 { steps.append(.skip(count)) }
        }

        mutating func insert(_ range: Range<Int>) {
            guard let first = range.first, let last = range.last else { return }
            steps.append(.insert(text[lines[first].startIndex..<lines[last].endIndex]))
        }
    }
}
