/// Why a host list is refused.
struct HostListFault: Error, Hashable, Sendable {
    var wrong: String
    var right: String
}

/// Slurm's short form of host names: `n[1-3,07],login` (slurm.conf(5), NodeName).
enum HostList {
    /// - Parameter max: of names; more are refused.
    static func expand(_ text: String, max: Int) throws(HostListFault) -> [String] {
        var names: [String] = []
        for item in items(Array(text.utf8)) {
            try names.append(contentsOf: expandOne(item, max: max - names.count))
        }
        guard !names.isEmpty else { throw HostListFault(wrong: "names no host", right: "write a name") }
        return names
    }

    /// Parts at commas that stand outside of brackets.
    private static func items(_ bytes: [UInt8]) -> [[UInt8]] {
        var items: [[UInt8]] = []
        var item: [UInt8] = []
        var depth = 0
        for byte in bytes {
            if byte == UInt8(ascii: "["), depth == 0 { depth = 1 }
            if byte == UInt8(ascii: "]") { depth = 0 }
            if byte == UInt8(ascii: ","), depth == 0 {
                items.append(item)
                item = []
            } else {
                item.append(byte)
            }
        }
        return (items + [item]).filter { !$0.isEmpty }
    }

    private static func expandOne(_ item: [UInt8], max: Int) throws(HostListFault) -> [String] {
        let tooMany = HostListFault(wrong: "names more than \(max) hosts", right: "write fewer")
        guard max > 0 else { throw tooMany }
        guard let open = item.firstIndex(of: UInt8(ascii: "[")) else {
            return [String(decoding: item, as: UTF8.self)]
        }
        guard let close = item[open...].firstIndex(of: UInt8(ascii: "]")) else {
            throw HostListFault(wrong: "has a [ without ]", right: "write n[1-3]")
        }
        let prefix = String(decoding: item[..<open], as: UTF8.self)
        let suffixes =
            close + 1 == item.count ? [""] : try expandOne(Array(item[(close + 1)...]), max: max)
        var names: [String] = []
        for range in item[(open + 1)..<close].split(separator: UInt8(ascii: ",")) {
            let ends = range.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
                .map { String(decoding: $0, as: UTF8.self) }
            guard ends.count <= 2, let first = UInt32(ends[0]), let last = UInt32(ends[ends.count - 1]), first <= last,
                ends[0].utf8.count <= 10
            else {
                throw HostListFault(
                    wrong: "has no range at \(PlainText.quoted(String(decoding: range, as: UTF8.self)))",
                    right: "write n[1-3]")
            }
            guard names.count + Int(last - first + 1) * suffixes.count <= max else { throw tooMany }
            let width = ends[0].utf8.count
            for number in first...last {
                let digits = "\(number)"
                let padded = String(repeating: "0", count: Swift.max(0, width - digits.utf8.count)) + digits
                for suffix in suffixes { names.append(prefix + padded + suffix) }
            }
        }
        return names
    }
}
