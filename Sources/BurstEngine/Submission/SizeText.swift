import BurstModel

/// Why a size is refused, in words for the one who wrote it.
package struct SizeFault: Error, Hashable, Sendable, CustomStringConvertible {
    package var description: String
}

/// Sizes as users write them: `20GiB`, `100`, `3TB` (spec §2.1).
package enum SizeText {
    /// Reads a size strictly. Where Slurm reads something else than was meant, silently, it is refused: an unknown unit
    /// (Slurm: 1), a product beyond 64 bits, a negative number, a count of nodes (spec §10, Q7). What both read, they
    /// read alike.
    /// - Parameter text: all of the value, as `20GiB`.
    /// - Returns: bytes, or units of a pool that counts something else; at least 1.
    package static func read(_ text: some StringProtocol) throws(SizeFault) -> UInt64 {
        let bytes = Array(text.utf8)
        let shown = PlainText.quoted(text)
        var rest = bytes[...]
        guard !rest.isEmpty else { throw SizeFault(description: "no size: write a number and a unit, as 20GiB") }
        if rest.first == UInt8(ascii: "-") {
            throw SizeFault(description: "\(shown) is negative: write a size above 0, as 20GiB")
        }
        if rest.first == UInt8(ascii: "+") { rest = rest.dropFirst() }
        let digits = rest.prefix { $0 >= 0x30 && $0 <= 0x39 }
        let unit = rest[digits.endIndex...]
        guard !digits.isEmpty else {
            throw SizeFault(description: "\(shown) is no size: write a number and a unit, as 20GiB")
        }
        guard let number = UInt64(String(decoding: digits, as: UTF8.self)) else { throw tooLarge(shown) }
        let multiplier = try multiplier(unit, of: shown, number: number)
        guard number > 0 else { throw SizeFault(description: "\(shown): a size must be greater than 0") }
        let (product, over) = number.multipliedReportingOverflow(by: multiplier)
        // 2^64-1 and 2^64-2 mean "infinite" to Slurm's printers.
        guard !over, product < UInt64.max - 1 else { throw tooLarge(shown) }
        return product
    }

    private static func tooLarge(_ shown: String) -> SizeFault {
        SizeFault(description: "\(shown) is more than 64 bits hold: write less than 16384PiB")
    }

    private static func multiplier(
        _ unit: ArraySlice<UInt8>, of shown: String, number: UInt64
    ) throws(SizeFault) -> UInt64 {
        let name = String(decoding: unit, as: UTF8.self)
        let lower = name.lowercased()
        switch lower {
        case "": return 1
        case "n", "node", "nodes":
            throw SizeFault(description: "\(shown) counts nodes, but no pool does: write a size, as 20GiB")
        default: break
        }
        if let value = units[lower] { return value }
        if lower.hasPrefix("."), let finer = withoutFraction(number, lower.dropFirst()) {
            throw SizeFault(description: "\(shown) is no whole number: write \(finer)")
        }
        throw SizeFault(
            description: "unknown unit \(PlainText.quoted(name)) in \(shown): write K, M, G, T or P, KiB to PiB (1024) "
                + "or KB to PB (1000)")
    }

    private static let units: [String: UInt64] = {
        var units: [String: UInt64] = [:]
        for (power, letter) in ["k", "m", "g", "t", "p"].enumerated() {
            let binary = UInt64(1) << (10 * (UInt64(power) + 1))
            units[letter] = binary
            units[letter + "ib"] = binary
            units[letter + "b"] = (0...power).reduce(1) { value, _ in value * 1000 }
        }
        return units
    }()

    /// `3.5TB` in the next smaller unit, `3500GB`; nil where that is no whole number either.
    private static func withoutFraction(_ whole: UInt64, _ rest: Substring) -> String? {
        let digits = rest.prefix { $0.isASCII && $0.isNumber }
        let unit = String(rest[digits.endIndex...])
        guard (1...3).contains(digits.utf8.count), whole < 1_000_000, let fraction = UInt64(digits),
            let letter = unit.first, let at = ["k", "m", "g", "t", "p"].firstIndex(of: String(letter)), at > 0,
            units[unit] != nil
        else { return nil }
        let step: UInt64 = unit.hasSuffix("b") && unit.utf8.count == 2 ? 1000 : 1024
        let scale = [1, 10, 100, 1000][digits.utf8.count] as UInt64
        guard fraction * step % scale == 0 else { return nil }
        let smaller = ["K", "M", "G", "T"][at - 1] + (step == 1000 ? "B" : "iB")
        return "\(whole * step + fraction * step / scale)\(smaller)"
    }

    /// What 22.05 and 26.05 make of the same text (spec §2.1); nil: they refuse it.
    package static func asSlurm(_ text: some StringProtocol) -> UInt64? { Amount.request(text) }

    /// Rounds up to whole granules (spec §2.2); granularity 0 counts as 1 (spec §10, Q5).
    /// - Returns: nil where the next multiple is beyond 64 bits; Slurm wraps to 0 there.
    package static func rounded(_ size: UInt64, granularity: UInt64) -> UInt64? {
        let granule = max(granularity, 1)
        let rest = size % granule
        guard rest > 0 else { return size }
        let (sum, over) = size.addingReportingOverflow(granule - rest)
        return over ? nil : sum
    }
}
