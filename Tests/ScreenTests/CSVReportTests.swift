import BurstScreen
import Testing

@Suite struct CSVReportTests {
    @Test func cellsAreQuotedWhereRFC4180Asks() {
        let report = CSVReport(
            header: ["ID", "REASON"],
            rows: [
                ["1", "plain"], ["2", "a,b"], ["3", "say \"so\""], ["4", "two\nlines"], ["5", "cr\rhere"], ["", ""],
                ["6", " led and followed "], ["7", "ü"],
            ])
        #expect(
            report.text == "ID,REASON\r\n1,plain\r\n2,\"a,b\"\r\n3,\"say \"\"so\"\"\"\r\n4,\"two\nlines\"\r\n"
                + "5,\"cr\rhere\"\r\n,\r\n6,\" led and followed \"\r\n7,ü\r\n")
        #expect(Array(report.text.utf8) == report.bytes)
    }

    @Test func aSingleEmptyCellIsNoEmptyLine() {
        #expect(CSVReport(header: ["A"], rows: [[""], ["x"]]).text == "A\r\n\"\"\r\nx\r\n")
        #expect(CSVReport(header: ["A", "B"], rows: []).text == "A,B\r\n")
    }

    @Test func readingGivesBackWhatWasWritten() {
        var random = SystemRandomNumberGenerator()
        let pieces = ["\"", ",", "\r", "\n", "\r\n", "a", " ", "é", ""]
        for _ in 0..<200 {
            let rows = (0..<3).map { _ in
                (0..<3).map { _ in (0..<4).map { _ in pieces.randomElement(using: &random)! }.joined() }
            }
            #expect(read(CSVReport(header: rows[0], rows: Array(rows[1...])).bytes) == rows)
        }
    }

    private func read(_ bytes: [UInt8]) -> [[String]] {
        var rows: [[String]] = []
        var row: [String] = []
        var cell: [UInt8] = []
        var quoted = false
        var index = 0
        while index < bytes.count {
            let byte = bytes[index]
            let next = index + 1 < bytes.count ? bytes[index + 1] : 0
            index += 1
            if quoted {
                if byte != UInt8(ascii: "\"") {
                    cell.append(byte)
                } else if next == byte {
                    cell.append(byte)
                    index += 1
                } else {
                    quoted = false
                }
            } else if byte == UInt8(ascii: "\"") {
                quoted = true
            } else if byte == UInt8(ascii: ",") || (byte == 13 && next == 10) {
                row.append(String(decoding: cell, as: UTF8.self))
                cell = []
                if byte == 13 {
                    rows.append(row)
                    row = []
                    index += 1
                }
            } else {
                cell.append(byte)
            }
        }
        return rows
    }
}
