import BurstModel

/// Collects a command's output as bytes. Answers are written as they are, so nothing is made of them but bytes.
struct TextBytes {
    private(set) var bytes: [UInt8] = []
    private let zone: LocalTime.Zone
    /// Times of an answer lie close together: the zone's rule is asked once for each hour.
    private var hour: Int64 = .min
    private var offset: Int64 = 0
    private var lastSize: (value: UInt64, text: String) = (0, "0")

    init(zone: LocalTime.Zone, expectedCount: Int = 0) {
        self.zone = zone
        bytes.reserveCapacity(expectedCount)
    }

    mutating func add(_ text: StaticString) {
        text.withUTF8Buffer { bytes.append(contentsOf: $0) }
    }

    mutating func add(text: String) { bytes.append(contentsOf: text.utf8) }

    mutating func append(_ more: some Sequence<UInt8>) { bytes.append(contentsOf: more) }

    mutating func add(or missing: StaticString, _ text: String?) {
        if let text { add(text: text) } else { add(missing) }
    }

    mutating func add(number: some BinaryInteger) {
        var value = UInt64(number.magnitude)
        if number < 0 { bytes.append(UInt8(ascii: "-")) }
        guard value > 0 else { return bytes.append(UInt8(ascii: "0")) }
        let start = bytes.count
        while value > 0 {
            bytes.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: value % 10))
            value /= 10
        }
        bytes[start...].reverse()
    }

    /// As `scontrol` prints sizes (spec §2.4). Rows repeat them.
    mutating func add(size: UInt64) {
        if lastSize.value != size { lastSize = (size, Amount.slurmText(size)) }
        add(text: lastSize.text)
    }

    private mutating func two(_ value: Int) {
        bytes.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: value / 10 % 10))
        bytes.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: value % 10))
    }

    mutating func local(_ moment: Timestamp) -> LocalTime {
        let thisHour = moment.milliseconds.quotientAndRemainder(dividingBy: 3_600_000).quotient
        if thisHour != hour || moment.milliseconds < 0 {
            hour = thisHour
            offset = zone.local(moment).secondsSinceEpoch - moment.milliseconds / 1000
        }
        return LocalTime(secondsSinceEpoch: moment.milliseconds / 1000 + offset)
    }

    /// `2026-11-22T22:10:12`.
    mutating func add(time moment: Timestamp) {
        let part = local(moment).fields
        two(part.year / 100)
        two(part.year % 100)
        bytes.append(UInt8(ascii: "-"))
        two(part.month)
        bytes.append(UInt8(ascii: "-"))
        two(part.day)
        bytes.append(UInt8(ascii: "T"))
        two(part.hour)
        bytes.append(UInt8(ascii: ":"))
        two(part.minute)
        bytes.append(UInt8(ascii: ":"))
        two(part.second)
    }

    mutating func add(or missing: StaticString, time moment: Timestamp?) {
        if let moment { add(time: moment) } else { add(missing) }
    }

    /// `00:01:28`, `3-04:05:06`, as `scontrol` prints spans.
    mutating func add(span seconds: Int) {
        let value = max(0, seconds)
        if value >= 86400 {
            add(number: value / 86400)
            bytes.append(UInt8(ascii: "-"))
        }
        two(value / 3600 % 24)
        bytes.append(UInt8(ascii: ":"))
        two(value / 60 % 60)
        bytes.append(UInt8(ascii: ":"))
        two(value % 60)
    }

    /// A span in text.
    static func span(_ seconds: Int) -> String {
        var text = TextBytes(zone: .fixed())
        text.add(span: seconds)
        return String(decoding: text.bytes, as: UTF8.self)
    }

    /// `0:06`, `1:02:03`, `1-02:03:04`, as `squeue` prints spans.
    static func shortSpan(_ seconds: Int) -> String {
        let value = max(0, seconds)
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let rest = two(value / 60 % 60) + ":" + two(value % 60)
        if value >= 86400 { return "\(value / 86400)-" + two(value / 3600 % 24) + ":" + rest }
        if value >= 3600 { return "\(value / 3600):" + rest }
        return "\(value / 60):" + two(value % 60)
    }
}
