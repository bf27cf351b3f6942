import BurstDataWarp
import Testing

/// What Slurm shows of a failure (staging.md §1.7).
@Suite struct ErrorLineTests {
    @Test func linesHoldNoApostropheAndNoControlCharacter() {
        #expect(ErrorLine("can't open\n\tit\r\nnow\u{1b}[1m\u{0}").text == "can`t open it now\\x1b[1m\\x00")
        #expect(ErrorLine("right\u{202e}left\u{feff}").text == "right\\xe2\\x80\\xaeleft\\xef\\xbb\\xbf")
        #expect(ErrorLine("größe 数据").text == "größe 数据")
        #expect(ErrorLine("  \n ").text == "failed, and no reason was given")
        #expect(ErrorLine("").text == "failed, and no reason was given")
    }

    @Test(arguments: [
        ("ENOENT: token not found in it", "ENOENT: token is not found in it"),
        ("Token Not Found", "token is not found"),
        ("session 3: No matching session", "session 3: no session that matches"),
        ("invalid function real_size", "error: invalid function real_size"),
        ("Invalid functions", "error: Invalid functions"),
        ("an invalid function", "an invalid function"),
        ("job_file_valid True", "error: job_file_valid True"),
        ("{\"sessions\":[]}", "error: {\"sessions\":[]}"),
        ("\n{", "error: {"),
        ("token token not foundnot found", "token token is not foundnot found"),
        ("token\nnot found", "token is not found"),
    ])
    func whatSlurmReadsAsSuccessIsNeverSaid(text: String, line: String) {
        #expect(ErrorLine(text).text == line)
    }

    @Test func longLinesAreCutBetweenCharacters() {
        for letter in ["a", "é", "数", "\u{1F600}", "e\u{301}"] {
            let line = ErrorLine(String(repeating: letter, count: 300)).text
            #expect(line.hasSuffix("..."))
            #expect(line.utf8.count <= ErrorLine.bytesMax)
            #expect(line.utf8.count > ErrorLine.bytesMax - letter.utf8.count)
            #expect(line.dropLast(3).allSatisfy { String($0) == letter })
        }
        let whole = String(repeating: "a", count: ErrorLine.bytesMax)
        #expect(ErrorLine(whole).text == whole)
    }

    @Test func namesAreEscaped() {
        #expect(ErrorLine.name("a'b\\c\n".utf8) == "a\\x27b\\\\c\\x0a")
        #expect(ErrorLine.name([0x61, 0xff, 0x62]) == "a\\xff\\x62")
        #expect(ErrorLine.name("größe") == "größe")
        #expect(ErrorLine.name("") == "")
    }

    /// The end of a path tells more than its beginning.
    @Test func longNamesLoseTheirMiddle() {
        let path = "/lus/" + String(repeating: "d/", count: 100) + "file.dat"
        let shown = ErrorLine.name(path)
        #expect(shown.utf8.count <= ErrorLine.nameBytesMax)
        #expect(shown.hasPrefix("/lus/d/"))
        #expect(shown.contains("..."))
        #expect(shown.hasSuffix("/file.dat"))
        // Never half an escape.
        let zeros = ErrorLine.name([UInt8](repeating: 0, count: 500))
        #expect(zeros.utf8.count <= ErrorLine.nameBytesMax)
        #expect(zeros.split(separator: "...").allSatisfy { $0.utf8.count % 4 == 0 })
    }
}
