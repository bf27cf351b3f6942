/// Sizes as dwstat prints them.
package enum IECSize {
    private static let binary = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"]
    private static let decimal = ["B", "kB", "MB", "GB", "TB", "PB", "EB"]

    /// At most two decimals, none where they would be zeros: `58.22TiB`, `458.58GiB`, `16MiB`, `1GiB`, `0`.
    package static func text(_ bytes: UInt64, isDecimal: Bool = false) -> String {
        guard bytes > 0 else { return "0" }
        let base: UInt64 = isDecimal ? 1000 : 1024
        let names = isDecimal ? decimal : binary
        var divisor: UInt64 = 1
        var unit = 0
        while unit < names.count - 1, bytes / divisor >= base {
            divisor *= base
            unit += 1
        }
        var hundredths = hundredths(bytes, by: divisor)
        // 1023.999GiB would be 1024.00GiB.
        if hundredths >= base * 100, unit < names.count - 1 {
            unit += 1
            hundredths = 100
        }
        let part = hundredths % 100
        let whole = "\(hundredths / 100)"
        return part == 0 ? whole + names[unit] : whole + (part < 10 ? ".0" : ".") + "\(part)" + names[unit]
    }

    /// Rounded to the nearest.
    private static func hundredths(_ bytes: UInt64, by divisor: UInt64) -> UInt64 {
        let (high, low) = (bytes % divisor).multipliedFullWidth(by: 100)
        let (quotient, rest) = divisor.dividingFullWidth((high, low))
        return bytes / divisor * 100 + quotient + (rest >= divisor - rest ? 1 : 0)
    }
}
