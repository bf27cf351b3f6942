import BurstModel

/// Sizes of DataWarp directives. What Slurm and we both accept we read alike; where Slurm silently reads something else
/// than was meant, the size is refused with what would be right (staging.md §0 fact 8).
package enum CapacityText {
    /// The largest size: with bit 63 set Slurm takes the number for a count of nodes.
    package static let bytesMax = UInt64(1) << 63 - 1

    /// Reads the value of `KEY=`.
    /// - Parameters:
    ///   - key: for the message.
    ///   - isReadBySlurm: `capacity=`; not so `MFS=`.
    /// - Returns: bytes, at least 1, not rounded to a pool's granularity.
    package static func read(
        _ text: some Collection<UInt8>, key: String = "capacity", isReadBySlurm: Bool = true
    ) throws(ErrorLine) -> UInt64 {
        let reader = Reader(text: Array(text), key: key, isReadBySlurm: isReadBySlurm)
        return try reader.read()
    }

    private static let example = "200GiB"

    /// Slurm's table (spec §2.1).
    private static let units: [String: UInt64] = {
        var units: [String: UInt64] = ["": 1]
        for (power, letter) in ["k", "m", "g", "t", "p"].enumerated() {
            let binary = UInt64(1) << (10 * (UInt64(power) + 1))
            units[letter] = binary
            units[letter + "ib"] = binary
            units[letter + "b"] = (0...power).reduce(1) { value, _ in value * 1000 }
        }
        return units
    }()

    /// Units that people write and Slurm does not know, so that it counts them as bytes.
    private static let meant: [String: UInt64] = [
        "b": 1, "byte": 1, "bytes": 1, "e": 1 << 60, "eib": 1 << 60, "eb": 1_000_000_000_000_000_000,
    ]

    /// Whether the word can only be the unit of a size.
    static func isUnit(_ word: some Collection<UInt8>) -> Bool {
        let unit = ByteText.lower(word.prefix(8))
        return !unit.isEmpty && (units[unit] ?? meant[unit]) != nil
    }

    private struct Reader {
        var text: [UInt8]
        var key: String
        var isReadBySlurm: Bool

        private var shown: String { key + "=" + ErrorLine.name(text) }

        func read() throws(ErrorLine) -> UInt64 {
            guard let first = text.first else {
                throw ErrorLine("\(key)= has no value: write a number and a unit, as \(key)=\(example)")
            }
            if first == UInt8(ascii: "-") {
                throw ErrorLine("\(shown) is negative: write a size above 0, as \(key)=\(example)")
            }
            if first == UInt8(ascii: "\"") {
                let inner = ErrorLine.name(text.filter { $0 != first })
                throw ErrorLine("\(shown): a size takes no quotes; write \(key)=\(inner)")
            }
            let unsigned = first == UInt8(ascii: "+") ? text.dropFirst() : text[...]
            let digits = unsigned.prefix(while: ByteText.isDigit)
            let unit = unsigned[digits.endIndex...]
            if let separator = unit.first, separator == UInt8(ascii: ".") || separator == UInt8(ascii: ",") {
                let fraction = unit.dropFirst().prefix(while: ByteText.isDigit)
                if !fraction.isEmpty {
                    throw decimal(digits, fraction, ByteText.lower(unit[fraction.endIndex...]))
                }
            }
            guard !digits.isEmpty else {
                throw ErrorLine("\(shown) is no size: write a number and a unit, as \(key)=\(example)")
            }
            // Zeros in front make no number too large.
            let significant = digits.drop { $0 == UInt8(ascii: "0") }
            guard let number = significant.isEmpty ? 0 : ByteText.number(significant) else { throw tooLarge }
            let factor = try factor(ByteText.lower(unit), number: number)
            guard number > 0 else { throw ErrorLine("\(shown): write a size above 0, as \(key)=\(example)") }
            let (product, over) = number.multipliedReportingOverflow(by: factor)
            guard !over, product <= bytesMax else { throw tooLarge }
            return product
        }

        private var tooLarge: ErrorLine {
            ErrorLine("\(shown) is too large: write less than \(key)=8192PiB")
        }

        private func factor(_ unit: String, number: UInt64) throws(ErrorLine) -> UInt64 {
            if let factor = units[unit] { return factor }
            if ["n", "node", "nodes"].contains(unit) {
                throw ErrorLine("\(shown) counts nodes, which no pool here does: write a size, as \(key)=\(example)")
            }
            if let factor = meant[unit], let right = exact(UInt128(number) * UInt128(factor)) { throw instead(right) }
            // A comma or semicolon joined to a good unit, and whatever follows it.
            let letters = unit.utf8.prefix(while: ByteText.isLetter)
            if !letters.isEmpty, let next = unit.utf8.dropFirst(letters.count).first, !ByteText.isDigit(next),
                let factor = units[ByteText.string(letters)],
                let right = exact(UInt128(number) * UInt128(factor))
            {
                throw instead(right)
            }
            throw ErrorLine(
                "\(reading); write K M G T or P, KiB to PiB for powers of 1024, KB to PB for powers of 1000")
        }

        /// `3.5TB`, computed exactly, as a whole number of some unit. A fraction of a byte is rounded up.
        private func decimal(
            _ whole: ArraySlice<UInt8>, _ fraction: ArraySlice<UInt8>, _ unit: String
        ) -> ErrorLine {
            let noNumber = ErrorLine("\(reading); write a whole number and a unit, as \(key)=\(example)")
            guard let factor = units[unit] ?? meant[unit], fraction.count <= 15 else { return noNumber }
            guard let integer = whole.isEmpty ? 0 : ByteText.number(whole), let part = ByteText.number(fraction) else {
                return whole.count > 19 ? tooLarge : noNumber
            }
            let scale = fraction.reduce(UInt128(1)) { product, _ in product * 10 }
            // At most 2^60 times a number below 10^15 in a fraction; the whole part is checked below.
            let (product, over) = UInt128(integer).multipliedReportingOverflow(by: UInt128(factor))
            let rest = (UInt128(part) * UInt128(factor) + scale - 1) / scale
            guard !over, product <= UInt128(bytesMax), let right = exact(product + rest) else { return tooLarge }
            return right == 0 ? ErrorLine("\(shown): write a size above 0, as \(key)=\(example)") : instead(right)
        }

        private func exact(_ bytes: UInt128) -> UInt64? { bytes <= UInt128(bytesMax) ? UInt64(bytes) : nil }

        private func instead(_ bytes: UInt64) -> ErrorLine {
            guard bytes > 0 else { return ErrorLine("\(shown): write a size above 0, as \(key)=\(example)") }
            return ErrorLine("\(reading); write \(key)=\(Amount.slurmText(bytes))")
        }

        /// What becomes of the text if nobody refuses it.
        private var reading: String {
            guard isReadBySlurm else { return "\(shown) is no size" }
            guard let value = Amount.request(ByteText.string(text)) else { return "\(shown) is no size for Slurm" }
            return "\(shown): Slurm reads this as \(value) byte\(value == 1 ? "" : "s")"
        }
    }
}

/// `--capacity POOL:SIZE` of `setup`, and `-C POOL:BYTES` of `create_persistent` (staging.md §1.2).
package struct CapacityArgument: Hashable, Sendable {
    package enum Size: Hashable, Sendable {
        /// 0 for a job that only creates, destroys or attaches persistent buffers.
        case bytes(UInt64)
        /// Slurm took the request for a count of nodes.
        case nodes(UInt64)
    }

    package var pool: String
    package var size: Size

    package init(pool: String, size: Size) {
        self.pool = pool
        self.size = size
    }

    /// Reads `wlm_pool:200GiB`, `wlm_pool:0`, `wlm_pool:4N`.
    package init(_ text: some StringProtocol) throws(ErrorLine) {
        let bytes = Array(text.utf8)
        guard let colon = bytes.lastIndex(of: UInt8(ascii: ":")), colon > 0, colon + 1 < bytes.count else {
            throw ErrorLine("capacity \(ErrorLine.name(bytes)): write POOL:SIZE, as wlm_pool:200GiB")
        }
        pool = ByteText.string(bytes[..<colon])
        let sizeText = bytes[(colon + 1)...]
        if sizeText.last == UInt8(ascii: "N"), let count = ByteText.number(sizeText.dropLast()) {
            size = .nodes(count)
        } else if let value = Amount(text: ByteText.string(sizeText)).known {
            size = .bytes(value)
        } else {
            throw ErrorLine("capacity \(ErrorLine.name(bytes)): no size behind the colon; write as wlm_pool:200GiB")
        }
        guard pool.utf8.count <= DirectiveLimits.poolNameBytesMax, !pool.utf8.contains(where: ByteText.isControl) else {
            throw ErrorLine("capacity \(ErrorLine.name(bytes)): no name of a pool before the colon")
        }
    }
}
