/// A moment: milliseconds since 1970-01-01T00:00:00Z.
package struct Timestamp: Hashable, Comparable, Sendable {
    package var milliseconds: Int64

    package init(milliseconds: Int64) { self.milliseconds = milliseconds }
    package init(seconds: Int64) { milliseconds = seconds * 1000 }

    package static func < (left: Timestamp, right: Timestamp) -> Bool { left.milliseconds < right.milliseconds }

    /// Whole seconds since `earlier`; negative where it is later.
    package func seconds(since earlier: Timestamp) -> Int {
        Int((milliseconds - earlier.milliseconds) / 1000)
    }

    package func adding(seconds: Int) -> Timestamp { Timestamp(milliseconds: milliseconds + Int64(seconds) * 1000) }
    package func adding(milliseconds more: Int64) -> Timestamp { Timestamp(milliseconds: milliseconds + more) }

    /// RFC 3339 in UTC, to the second: `2026-11-22T22:10:12Z`.
    package var rfc3339: String {
        LocalTime(secondsSinceEpoch: Int64((Double(milliseconds) / 1000).rounded(.down))).text + "Z"
    }

    /// RFC 3339 in UTC, to the millisecond.
    package var rfc3339Milliseconds: String {
        let remainder = Int(((milliseconds % 1000) + 1000) % 1000)
        let digits = String(1000 + remainder).dropFirst()
        return LocalTime(secondsSinceEpoch: (milliseconds - Int64(remainder)) / 1000).text + "." + digits + "Z"
    }

    /// Reads RFC 3339 with `Z` or an offset, with or without a fraction.
    package init?(rfc3339 text: String) {
        let bytes = Array(text.utf8)
        guard bytes.count >= 20, let local = LocalTime(text: String(decoding: bytes[0..<19], as: UTF8.self)) else {
            return nil
        }
        var index = 19
        var fraction: Int64 = 0
        if bytes[index] == UInt8(ascii: ".") {
            index += 1
            var scale: Int64 = 100
            guard index < bytes.count, bytes[index] >= 0x30, bytes[index] <= 0x39 else { return nil }
            while index < bytes.count, bytes[index] >= 0x30, bytes[index] <= 0x39 {
                fraction += Int64(bytes[index] - 0x30) * scale
                scale /= 10
                index += 1
            }
        }
        guard index < bytes.count else { return nil }
        var offset: Int64 = 0
        if bytes[index] == UInt8(ascii: "Z") || bytes[index] == UInt8(ascii: "z") {
            guard index + 1 == bytes.count else { return nil }
        } else {
            let sign: Int64 = bytes[index] == UInt8(ascii: "+") ? 1 : -1
            guard bytes[index] == UInt8(ascii: "+") || bytes[index] == UInt8(ascii: "-"), bytes.count == index + 6,
                bytes[index + 3] == UInt8(ascii: ":"),
                let hours = UInt8(String(decoding: bytes[(index + 1)..<(index + 3)], as: UTF8.self)),
                let minutes = UInt8(String(decoding: bytes[(index + 4)..<(index + 6)], as: UTF8.self)),
                bytes[index + 1] != UInt8(ascii: "+"), bytes[index + 4] != UInt8(ascii: "+"), hours < 24, minutes < 60
            else { return nil }
            offset = sign * (Int64(hours) * 3600 + Int64(minutes) * 60)
        }
        milliseconds = (local.secondsSinceEpoch - offset) * 1000 + fraction
    }
}

/// A date and time of day without a time zone, as Slurm's commands print it: `2026-11-22T22:10:12`.
/// What moment it was is the edge's knowledge (`LocalTime.Zone`).
package struct LocalTime: Hashable, Comparable, Sendable {
    /// Seconds from 1970-01-01T00:00:00 on the same wall clock.
    package var secondsSinceEpoch: Int64

    /// Turns wall clock times into moments and back: the controller host's time zone, as far as this machine knows it.
    package struct Zone: Sendable {
        package let moment: @Sendable (LocalTime) -> Timestamp
        package let local: @Sendable (Timestamp) -> LocalTime

        package init(
            moment: @escaping @Sendable (LocalTime) -> Timestamp, local: @escaping @Sendable (Timestamp) -> LocalTime
        ) {
            self.moment = moment
            self.local = local
        }

        /// A zone that is always so many seconds ahead of UTC.
        package static func fixed(secondsEastOfUTC offset: Int = 0) -> Zone {
            Zone(
                moment: { Timestamp(seconds: $0.secondsSinceEpoch - Int64(offset)) },
                local: {
                    LocalTime(
                        secondsSinceEpoch: Int64((Double($0.milliseconds) / 1000).rounded(.down)) + Int64(offset))
                })
        }
    }

    package init(secondsSinceEpoch: Int64) { self.secondsSinceEpoch = secondsSinceEpoch }

    package static func < (left: LocalTime, right: LocalTime) -> Bool {
        left.secondsSinceEpoch < right.secondsSinceEpoch
    }

    package init?(text: some StringProtocol) {
        var copy = Array(text.utf8)
        guard copy.count == 19, let value = copy.withUnsafeMutableBufferPointer({ LocalTime.parse($0.span) }) else {
            return nil
        }
        self = value
    }

    /// `YYYY-MM-DDTHH:MM:SS`, exactly.
    static func parse(_ text: Span<UInt8>) -> LocalTime? {
        guard text.count == 19, text[4] == 0x2d, text[7] == 0x2d, text[10] == 0x54, text[13] == 0x3a, text[16] == 0x3a
        else { return nil }
        func number(_ start: Int, _ length: Int) -> Int64? {
            var value: Int64 = 0
            for index in start..<(start + length) {
                let digit = text[index] &- 0x30
                guard digit < 10 else { return nil }
                value = value * 10 + Int64(digit)
            }
            return value
        }
        guard let year = number(0, 4), let month = number(5, 2), let day = number(8, 2), let hour = number(11, 2),
            let minute = number(14, 2), let second = number(17, 2),
            (1...12).contains(month), day >= 1, day <= daysIn(month: month, year: year), hour < 24, minute < 60,
            second < 60
        else { return nil }
        let days = daysSinceEpoch(year: year, month: month, day: day)
        return LocalTime(secondsSinceEpoch: days * 86400 + hour * 3600 + minute * 60 + second)
    }

    private static func daysIn(month: Int64, year: Int64) -> Int64 {
        switch month {
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    /// The civil calendar, proleptic Gregorian, counted from March so that leap days come last.
    private static func daysSinceEpoch(year: Int64, month: Int64, day: Int64) -> Int64 {
        let shifted = month <= 2 ? year - 1 : year
        let era = (shifted >= 0 ? shifted : shifted - 399) / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146097 + dayOfEra - 719468
    }

    /// Year, month, day, hour, minute, second.
    package var fields: (year: Int, month: Int, day: Int, hour: Int, minute: Int, second: Int) {
        let days = Int((Double(secondsSinceEpoch) / 86400).rounded(.down))
        let rest = Int(secondsSinceEpoch) - days * 86400
        let shifted = days + 719468
        let era = (shifted >= 0 ? shifted : shifted - 146096) / 146097
        let dayOfEra = shifted - era * 146097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        return (year, month, day, rest / 3600, rest / 60 % 60, rest % 60)
    }

    private static func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }

    /// `2026-11-22T22:10:12`
    package var text: String {
        let part = fields
        let year = String(10000 + part.year).dropFirst()
        return year + "-" + Self.two(part.month) + "-" + Self.two(part.day) + "T" + clock
    }

    /// `22:10:12`
    package var clock: String {
        let part = fields
        return Self.two(part.hour) + ":" + Self.two(part.minute) + ":" + Self.two(part.second)
    }
}

/// How long something has lasted, as people read it.
package enum Age {
    /// At most 4 characters: `12s`, `38m`, `21h`, `57d`.
    package static func short(seconds: Int) -> String {
        let value = max(0, seconds)
        if value < 60 { return "\(value)s" }
        if value < 3600 { return "\(value / 60)m" }
        if value < 48 * 3600 { return "\(value / 3600)h" }
        return "\(value / 86400)d"
    }

    /// Two units: `2m14s`, `21h01m`, `3d04h`.
    package static func long(seconds: Int) -> String {
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let value = max(0, seconds)
        if value < 60 { return "\(value)s" }
        if value < 3600 { return "\(value / 60)m\(two(value % 60))s" }
        if value < 86400 { return "\(value / 3600)h\(two(value / 60 % 60))m" }
        return "\(value / 86400)d\(two(value / 3600 % 24))h"
    }
}

extension Timestamp: Codable {
    package init(from decoder: any Decoder) throws {
        milliseconds = try decoder.singleValueContainer().decode(Int64.self)
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(milliseconds)
    }
}

extension LocalTime {
    /// `MM/DD/YY HH:MM:SS`, as Slurm dates the entries of `SystemComment`.
    package var commentText: String {
        let part = fields
        return Self.two(part.month) + "/" + Self.two(part.day) + "/" + Self.two(part.year % 100) + " " + clock
    }
}

extension Age {
    /// `HH:MM:SS`, or `D-HH:MM:SS` from a day on: as Slurm prints a run time.
    package static func clock(_ seconds: Int) -> String {
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let value = max(0, seconds)
        let day = value / 86400
        return (day > 0 ? "\(day)-" : "") + two(value / 3600 % 24) + ":" + two(value / 60 % 60) + ":" + two(value % 60)
    }
}
