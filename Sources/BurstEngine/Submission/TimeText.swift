package import BurstModel

/// Times as users write them for Slurm's commands: limits (`sbatch --time`) and moments (`--begin`), sbatch(1).
package enum TimeText {
    package enum Limit: Hashable, Sendable {
        case minutes(UInt32)
        case unlimited
        case invalid
    }

    /// `MINUTES`, `MM:SS`, `HH:MM:SS`, `D-HH`, `D-HH:MM`, `D-HH:MM:SS`, `INFINITE`, `UNLIMITED`, `-1`; a part of a
    /// minute counts as a whole one. 0 is a limit here; sbatch takes it for none.
    package static func limit(_ text: some StringProtocol) -> Limit {
        switch text.lowercased() {
        case "-1", "infinite", "unlimited": return .unlimited
        default: break
        }
        guard let seconds = seconds(Array(text.utf8)) else { return .invalid }
        let minutes = (seconds + 59) / 60
        guard minutes < UInt64(UInt32.max) - 1 else { return .invalid }
        return .minutes(UInt32(minutes))
    }

    private static func number(_ digits: ArraySlice<UInt8>) -> UInt64? {
        guard (1...10).contains(digits.count) else { return nil }
        var value: UInt64 = 0
        for digit in digits {
            guard digit >= 0x30, digit <= 0x39 else { return nil }
            value = value * 10 + UInt64(digit - 0x30)
        }
        return value
    }

    private static func seconds(_ bytes: [UInt8]) -> UInt64? {
        let halves = bytes.split(separator: UInt8(ascii: "-"), maxSplits: 1, omittingEmptySubsequences: false)
        let fields = halves[halves.count - 1].split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        var numbers: [UInt64] = []
        // Slurm reads `1-` as one day.
        for field in fields where halves.count == 1 || fields.count > 1 || !field.isEmpty {
            guard let number = number(field) else { return nil }
            numbers.append(number)
        }
        guard numbers.count <= 3 else { return nil }
        if halves.count == 2 {
            guard let days = number(halves[0]) else { return nil }
            while numbers.count < 3 { numbers.append(0) }
            return days * 86400 + numbers[0] * 3600 + numbers[1] * 60 + numbers[2]
        }
        switch numbers.count {
        case 1: return numbers[0] * 60
        case 2: return numbers[0] * 60 + numbers[1]
        default: return numbers[0] * 3600 + numbers[1] * 60 + numbers[2]
        }
    }

    // MARK: Moments

    /// Reads what `sbatch --begin` takes: `now+20`, `now+2hours`, `16:00`, `3:30 PM`, `midnight`, `noon`, `fika`,
    /// `teatime`, `today`, `tomorrow`, `MMDD[YY]`, `MM/DD[/YY]`, `YYYY-MM-DD[THH:MM[:SS]]`, `uts1000000000`, a date
    /// and a time in either order. A time of day that is over today is meant for tomorrow, a date that is over this
    /// year for next year.
    /// - Returns: nil where it is none of those. A day that its month has not (`2030-02-30`) is refused; Slurm takes
    /// the
    ///   days that follow.
    package static func moment(_ text: some StringProtocol, now: Timestamp, zone: LocalTime.Zone) -> Timestamp? {
        var reader = MomentReader(text: Array(text.lowercased().utf8), now: zone.local(now))
        guard !reader.text.isEmpty, reader.text.count <= 100 else { return nil }
        if let seconds = reader.epochSeconds() { return Timestamp(seconds: seconds) }
        // Seconds count from this very moment, not from the wall clock.
        if let seconds = reader.fromNow() { return now.adding(seconds: seconds) }
        return reader.local().map(zone.moment)
    }
}

private struct MomentReader {
    var text: [UInt8]
    let now: LocalTime
    private var index = 0
    private var date: (year: Int, month: Int, day: Int)?
    private var hasYear = true
    private var clock: Int?

    init(text: [UInt8], now: LocalTime) {
        self.text = text
        self.now = now
    }

    /// Seconds from `now+COUNT[UNIT]`; nil where the text says something else.
    func fromNow() -> Int? {
        let words = String(decoding: text, as: UTF8.self)
        guard words.hasPrefix("now") else { return nil }
        let rest = words.utf8.dropFirst(3).filter { $0 != 0x20 }
        guard let sign = rest.first else { return 0 }
        let digits = rest.dropFirst().prefix { $0 >= 0x30 && $0 <= 0x39 }
        let unit = String(decoding: rest.dropFirst(1 + digits.count), as: UTF8.self)
        let units = [
            "": 1, "second": 1, "seconds": 1, "minute": 60, "minutes": 60, "hour": 3600, "hours": 3600, "day": 86400,
            "days": 86400, "week": 604_800, "weeks": 604_800,
        ]
        guard sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-"), (1...9).contains(digits.count),
            let count = Int(String(decoding: digits, as: UTF8.self)), let seconds = units[unit]
        else { return nil }
        return (sign == UInt8(ascii: "-") ? -1 : 1) * count * seconds
    }

    func epochSeconds() -> Int64? {
        guard text.starts(with: "uts".utf8), (4...15).contains(text.count) else { return nil }
        let digits = text.dropFirst(3)
        guard digits.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }) else { return nil }
        return Int64(String(decoding: digits, as: UTF8.self))
    }

    mutating func local() -> LocalTime? {
        while index < text.count {
            if text[index] == 0x20 {
                index += 1
                continue
            }
            guard word() || day() || timeOfDay() else { return nil }
        }
        guard date != nil || clock != nil else { return nil }
        let today = now.fields
        let named = date
        let year = named?.year ?? today.year
        guard var moment = at(year, named?.month ?? today.month, named?.day ?? today.day) else { return nil }
        if named == nil, moment < now { moment.secondsSinceEpoch += 86400 }
        if named != nil, !hasYear, moment < now { return at(year + 1, named?.month ?? 1, named?.day ?? 1) }
        return moment
    }

    private func at(_ year: Int, _ month: Int, _ day: Int) -> LocalTime? {
        func digits(_ number: Int, _ count: Int) -> String {
            let text = "\(number)"
            return String(repeating: "0", count: max(0, count - text.utf8.count)) + text
        }
        guard (1...9999).contains(year) else { return nil }
        let date = "\(digits(year, 4))-\(digits(month, 2))-\(digits(day, 2))"
        guard var moment = LocalTime(text: date + "T00:00:00") else { return nil }
        moment.secondsSinceEpoch += Int64(clock ?? 0)
        return moment
    }

    private mutating func word() -> Bool {
        let clocks = ["midnight": 0, "noon": 12, "fika": 15, "teatime": 16]
        let letters = text[index...].prefix { $0 >= 0x61 && $0 <= 0x7a }
        let name = String(decoding: letters, as: UTF8.self)
        let today = now.fields
        if let hour = clocks[name], clock == nil {
            clock = hour * 3600
        } else if name == "today", date == nil {
            date = (today.year, today.month, today.day)
        } else if name == "tomorrow", date == nil {
            let next = LocalTime(secondsSinceEpoch: now.secondsSinceEpoch + 86400).fields
            date = (next.year, next.month, next.day)
        } else {
            return false
        }
        index = letters.endIndex
        return true
    }

    /// Digits from `index` on, at most so many.
    private func digits(_ start: Int, _ most: Int) -> (value: Int, count: Int)? {
        guard start <= text.count else { return nil }
        let found = text[start...].prefix(most).prefix { $0 >= 0x30 && $0 <= 0x39 }
        guard !found.isEmpty, let value = Int(String(decoding: found, as: UTF8.self)) else { return nil }
        return (value, found.count)
    }

    private mutating func day() -> Bool {
        guard date == nil, let all = digits(index, 9) else { return false }
        let behind = index + all.count
        let mark = behind < text.count ? text[behind] : 0
        func isEnd(_ place: Int) -> Bool {
            place >= text.count || text[place] == 0x20 || text[place] == UInt8(ascii: "t")
                || text[place] == UInt8(ascii: "-")
        }
        if all.count == 4, mark == UInt8(ascii: "-") {
            guard let month = digits(behind + 1, 2), month.count == 2, behind + 3 < text.count,
                text[behind + 3] == mark, let day = digits(behind + 4, 2), day.count == 2, isEnd(behind + 6)
            else { return false }
            return take((all.value, month.value, day.value), hasYear: true, end: behind + 6)
        }
        if all.count == 4 || all.count == 6, isEnd(behind) {
            let year = all.count == 6 ? 2000 + all.value % 100 : now.fields.year
            let rest = all.count == 6 ? all.value / 100 : all.value
            return take((year, rest / 100, rest % 100), hasYear: all.count == 6, end: behind)
        }
        guard all.count <= 2, mark == UInt8(ascii: "/") || mark == UInt8(ascii: "."), let day = digits(behind + 1, 2)
        else { return false }
        let end = behind + 1 + day.count
        if end < text.count, text[end] == mark {
            guard let year = digits(end + 1, 2), year.count == 2, isEnd(end + 3) else { return false }
            return take((2000 + year.value, all.value, day.value), hasYear: true, end: end + 3)
        }
        guard isEnd(end) else { return false }
        return take((now.fields.year, all.value, day.value), hasYear: false, end: end)
    }

    private mutating func take(_ found: (Int, Int, Int), hasYear: Bool, end: Int) -> Bool {
        date = found
        self.hasYear = hasYear
        index = end
        // A mark between a date and a time.
        if index < text.count, text[index] != 0x20 { index += 1 }
        return true
    }

    private mutating func timeOfDay() -> Bool {
        guard clock == nil, let hour = digits(index, 2), hour.value < 24 else { return false }
        var place = index + hour.count
        guard place < text.count, text[place] == UInt8(ascii: ":"), let minute = digits(place + 1, 2),
            minute.value < 60
        else { return false }
        place += 1 + minute.count
        var seconds = hour.value * 3600 + minute.value * 60
        if place < text.count, text[place] == UInt8(ascii: ":") {
            guard let second = digits(place + 1, 2), second.value < 60 else { return false }
            seconds += second.value
            place += 1 + second.count
        }
        var half = place
        while half < text.count, text[half] == 0x20 { half += 1 }
        let mark = text[half...].prefix(2)
        if mark.elementsEqual("am".utf8) || mark.elementsEqual("pm".utf8) {
            guard (1...12).contains(hour.value) else { return false }
            if hour.value == 12 { seconds -= 12 * 3600 }
            if mark.first == UInt8(ascii: "p") { seconds += 12 * 3600 }
            place = half + 2
        }
        clock = seconds
        index = place
        return true
    }
}
