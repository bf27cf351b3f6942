/// An amount of a pool's space, in bytes or in whatever unit the pool counts ("Lua pools can represent anything"),
/// together with the text that Slurm printed for it. Nothing is lost: `text` is kept as it came.
package struct Amount: Hashable, Sendable {
    /// The number, or nil where the text could not be read.
    package let value: UInt64?
    /// As printed: `200GiB`, `1000256KB`, `INFINITE`, `18446744073709551596`.
    package let text: String

    /// An amount that we computed; its text is what Slurm would print.
    package init(_ value: UInt64) {
        self.value = value
        text = Amount.slurmText(value)
    }

    /// An amount as Slurm printed it. Text that is no amount is kept, with `value` nil.
    package init(text: String) {
        self.text = text
        value = Amount.parse(text.utf8)
    }

    init(value: UInt64?, text: String) {
        self.value = value
        self.text = text
    }

    package static let zero = Amount(0)

    /// Slurm prints 2^64-1 and 2^64-2 as `INFINITE`.
    package var isInfinite: Bool { value.map { $0 >= UInt64.max - 1 } ?? false }

    /// Slurm prints free space unsigned with no guard: total minus unfree below zero comes out near 2^64
    /// (spec §2.4). True where the figure can only be such an underflow.
    package var isUnderflow: Bool { value.map { $0 > 1 << 63 && $0 < UInt64.max - 1 } ?? false }

    /// By how much an underflowed figure is below zero.
    package var shortfall: UInt64 { isUnderflow ? 0 &- (value ?? 0) : 0 }

    /// Value where it is one that sums can use: not unknown, not infinite, not an underflow.
    package var known: UInt64? { isInfinite || isUnderflow ? nil : value }

    /// Whether the text carries a unit.
    package var hasUnit: Bool { text.utf8.last.map { $0 == UInt8(ascii: "B") } ?? false }

    // MARK: Slurm's own spelling

    private static let units: [(divisor: UInt64, suffix: String)] = [
        (1 << 50, "PiB"), (1_000_000_000_000_000, "PB"), (1 << 40, "TiB"), (1_000_000_000_000, "TB"),
        (1 << 30, "GiB"), (1_000_000_000, "GB"), (1 << 20, "MiB"), (1_000_000, "MB"), (1 << 10, "KiB"), (1000, "KB"),
    ]

    /// Prints as `scontrol` does: the first of PiB PB TiB TB GiB GB MiB MB KiB KB that divides exactly (spec §2.4).
    package static func slurmText(_ value: UInt64) -> String {
        if value >= UInt64.max - 1 { return "INFINITE" }
        if value == 0 { return "0" }
        for (divisor, suffix) in units where value % divisor == 0 { return "\(value / divisor)\(suffix)" }
        return "\(value)"
    }

    /// Reads what `slurmText` prints. Nil where it is anything else or exceeds 64 bits.
    static func parse(_ text: some Collection<UInt8>) -> UInt64? {
        if text.elementsEqual("INFINITE".utf8) { return UInt64.max }
        var value: UInt64 = 0
        var digits = 0
        var rest = text.startIndex
        while rest < text.endIndex, case let digit = text[rest] &- UInt8(ascii: "0"), digit < 10 {
            let (tens, over) = value.multipliedReportingOverflow(by: 10)
            let (sum, carry) = tens.addingReportingOverflow(UInt64(digit))
            if over || carry { return nil }
            value = sum
            digits += 1
            rest = text.index(after: rest)
        }
        guard digits > 0 else { return nil }
        let suffix = text[rest...]
        if suffix.isEmpty { return value }
        guard let multiplier = multiplier(suffix) else { return nil }
        let (product, over) = value.multipliedReportingOverflow(by: multiplier)
        return over ? nil : product
    }

    private static func multiplier(_ suffix: some Collection<UInt8>) -> UInt64? {
        var bytes = suffix.makeIterator()
        guard let letter = bytes.next(), let second = bytes.next() else { return nil }
        let power: Int
        switch letter {
        case UInt8(ascii: "K"): power = 1
        case UInt8(ascii: "M"): power = 2
        case UInt8(ascii: "G"): power = 3
        case UInt8(ascii: "T"): power = 4
        case UInt8(ascii: "P"): power = 5
        default: return nil
        }
        let binary: Bool
        if second == UInt8(ascii: "B") {
            binary = false
        } else if second == UInt8(ascii: "i"), bytes.next() == UInt8(ascii: "B") {
            binary = true
        } else {
            return nil
        }
        guard bytes.next() == nil else { return nil }
        return (0..<power).reduce(1) { product, _ in product * (binary ? 1024 : 1000) }
    }

    // MARK: Requests

    /// Reads a size as a user writes it after `capacity=` (spec §2.1): unknown units count as 1, silently, as Slurm
    /// does.
    /// Nil where Slurm refuses it.
    package static func request(_ text: some StringProtocol) -> UInt64? {
        var copy = String(text)
        return copy.withUTF8 { request($0[...]) }
    }

    /// The same, of the bytes behind the key; a directive may go on behind the size.
    static func request(_ text: Slice<UnsafeBufferPointer<UInt8>>) -> UInt64? {
        func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (byte >= 9 && byte <= 13) }
        var rest = text.drop(while: isSpace)
        var negative = false
        if let sign = rest.first, sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") {
            negative = sign == UInt8(ascii: "-")
            rest = rest.dropFirst()
        }
        var magnitude: UInt64 = 0
        var digits = 0
        while let byte = rest.first, byte >= 0x30, byte <= 0x39 {
            let (tens, over) = magnitude.multipliedReportingOverflow(by: 10)
            let (sum, carry) = tens.addingReportingOverflow(UInt64(byte - 0x30))
            if over || carry { return nil }
            magnitude = sum
            digits += 1
            rest = rest.dropFirst()
        }
        guard digits > 0, magnitude != 0 else { return nil }
        let number = negative ? 0 &- magnitude : magnitude
        guard let next = rest.first, !isSpace(next) else { return number }
        let unit = rest.prefix { $0 != 0x20 }
        func lower(_ offset: Int) -> UInt8 { unit[unit.startIndex + offset] | 0x20 }
        func isUnit(_ name: StaticString) -> Bool {
            guard unit.count == name.utf8CodeUnitCount else { return false }
            return name.withUTF8Buffer { pattern in pattern.indices.allSatisfy { lower($0) == pattern[$0] } }
        }
        if isUnit("n") || isUnit("node") || isUnit("nodes") { return number | 1 << 63 }
        let power: Int
        switch lower(0) {
        case UInt8(ascii: "k"): power = 1
        case UInt8(ascii: "m"): power = 2
        case UInt8(ascii: "g"): power = 3
        case UInt8(ascii: "t"): power = 4
        case UInt8(ascii: "p"): power = 5
        default: return number
        }
        let base: UInt64
        switch unit.count {
        case 1: base = 1024
        case 2 where lower(1) == UInt8(ascii: "b"): base = 1000
        case 3 where lower(1) == UInt8(ascii: "i") && lower(2) == UInt8(ascii: "b"): base = 1024
        default: return number
        }
        let product = (0..<power).reduce(number) { value, _ in value &* base }
        return product == 0 ? nil : product
    }

    // MARK: For people

    /// Short form for a column: at most 5 characters, three figures, binary units for amounts of bytes
    /// (`1.20T`, `800G`, `0`); amounts without a unit are printed as Slurm does.
    /// - Parameter bytes: whether the pool counts bytes.
    package func short(bytes: Bool) -> String {
        guard let value else { return text }
        if isInfinite { return "INF" }
        if isUnderflow { return "-" + Amount(shortfall).short(bytes: bytes) }
        guard bytes else { return Amount.slurmText(value) }
        return Amount.short(value)
    }

    /// Three figures and a binary unit letter.
    package static func short(_ value: UInt64) -> String {
        if value < 1024 { return "\(value)" }
        var unit = 0
        var scaled = Double(value)
        let letters = ["", "K", "M", "G", "T", "P", "E"]
        while scaled >= 999.5, unit < letters.count - 1 {
            scaled /= 1024
            unit += 1
        }
        if scaled >= 99.95 || scaled == scaled.rounded() && scaled >= 10 {
            return "\(Int(scaled.rounded()))" + letters[unit]
        }
        if scaled >= 9.995 { return fixed(scaled, decimals: 1) + letters[unit] }
        return fixed(scaled, decimals: 2) + letters[unit]
    }

    /// A number with so many decimals; never an exponent.
    package static func fixed(_ value: Double, decimals: Int) -> String {
        let factor = (0..<decimals).reduce(1) { product, _ in product * 10 }
        let scaled = Int64((value * Double(factor)).rounded())
        let whole = scaled.magnitude / UInt64(factor)
        let part = scaled.magnitude % UInt64(factor)
        let sign = scaled < 0 ? "-" : ""
        if decimals == 0 { return "\(sign)\(whole)" }
        let digits = "\(part)"
        return "\(sign)\(whole)." + String(repeating: "0", count: decimals - digits.utf8.count) + digits
    }

    /// The number with thousands separated by commas, for detail panes.
    package static func grouped(_ value: UInt64) -> String {
        let digits = Array("\(value)")
        var text = ""
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index) % 3 == 0 { text.append(",") }
            text.append(digit)
        }
        return text
    }
}
