/// A table as comma-separated values after RFC 4180: lines end in CR LF, the first is the header.
package struct CSVReport: Sendable {
    package var header: [String]
    package var rows: [[String]]

    package init(header: [String], rows: [[String]]) {
        self.header = header
        self.rows = rows
    }

    /// The table in UTF-8.
    package var bytes: [UInt8] {
        var bytes: [UInt8] = []
        Self.append(header, to: &bytes)
        for row in rows { Self.append(row, to: &bytes) }
        return bytes
    }

    package var text: String { String(decoding: bytes, as: UTF8.self) }

    private static func append(_ cells: [String], to bytes: inout [UInt8]) {
        for (index, cell) in cells.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            // A line of one empty cell would be an empty line, which readers skip.
            if needsQuotes(cell) || (cells.count == 1 && cell.isEmpty) {
                bytes.append(UInt8(ascii: "\""))
                for byte in cell.utf8 {
                    if byte == UInt8(ascii: "\"") { bytes.append(byte) }
                    bytes.append(byte)
                }
                bytes.append(UInt8(ascii: "\""))
            } else {
                bytes += cell.utf8
            }
        }
        bytes += [0x0d, 0x0a]
    }

    private static func needsQuotes(_ cell: String) -> Bool {
        cell.utf8.contains { $0 == UInt8(ascii: ",") || $0 == UInt8(ascii: "\"") || $0 == 0x0a || $0 == 0x0d }
            || cell.utf8.first == 0x20 || cell.utf8.last == 0x20
    }
}
