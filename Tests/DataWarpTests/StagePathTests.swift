import BurstDataWarp
import Testing

/// The sides of a copy (staging.md §1.5).
@Suite struct StagePathTests {
    private func side(_ text: String, mayHoldSymbols: Bool = true) throws -> StageSide {
        try StageSide(Array(text.utf8), key: "source", mayHoldSymbols: mayHoldSymbols)
    }

    @Test(arguments: [
        ("$DW_JOB_STRIPED", "job:"), ("$DW_JOB_STRIPED/", "job:"), ("${DW_JOB_STRIPED}", "job:"),
        ("$DW_JOB_STRIPED/a/b", "job:a/b"), ("$DW_JOB_STRIPED//a//./b/", "job:a/b/"), ("${DW_JOB_STRIPED}a", "job:a"),
        ("$DW_JOB_STRIPED/a/.", "job:a"), ("$DW_JOB_STRIPED/...", "job:..."), ("$DW_JOB_STRIPED/-x %j", "job:-x %j"),
        ("$DW_PERSISTENT_STRIPED_alpha", "persistent/alpha:"), ("$DW_PERSISTENT_STRIPED_a_1/x", "persistent/a_1:x"),
        ("$DW_PERSISTENT_STRIPED_a-b.c/x/", "persistent/a-b.c:x/"), ("${DW_PERSISTENT_STRIPED_a}x", "persistent/a:x"),
        ("/", "parallel:/"), ("/lus/../a", "parallel:/lus/../a"), ("/lus/a b\t\"c\"", "parallel:/lus/a b\t\"c\""),
        ("/lus/cost$", "parallel:/lus/cost$"), ("/lus/$/x", "parallel:/lus/$/x"), ("%d/in", "parallel:%d/in"),
        ("/lus/%u/%j", "parallel:/lus/%u/%j"),
    ])
    func pathsAreRead(text: String, kept: String) throws {
        let side = try side(text)
        #expect(String(decoding: side.keptBytes, as: UTF8.self) == kept)
        #expect(try StageSide(keptBytes: side.keptBytes) == side)
    }

    @Test(arguments: [
        ("", "has no value"), ("data/in", "no path from / on"), ("./in", "no path from / on"), ("~/in", "~ is not"),
        ("$HOME/in", "variables are not replaced"), ("${SCRATCH}/in", "variables are not replaced"),
        ("/lus/$USER/in", "variables are not replaced"), ("/lus/$(date)", "variables are not replaced"),
        ("/lus/`date`", "commands are not run"), ("/lus/${x", "variables are not replaced"), ("$1/a", "variables"),
        ("$DW_JOB_STRIPED/$x", "variables are not replaced"), ("/lus/$DW_JOB_STRIPED/a", "has to begin the path"),
        ("/lus/${DW_PERSISTENT_STRIPED_a}/a", "has to begin the path"), ("$DW_JOB_STRIPED/../a", ".. leads out"),
        ("$DW_JOB_STRIPED/a/..", ".. leads out"), ("${DW_JOB_STRIPED}..", ".. leads out"),
        ("$DW_JOB_PRIVATE/a", "private buffers are not staged"), ("$DW_JOB_STRIPED_CACHE/a", "a cache is filled"),
        ("$DW_JOB_LDBAL_CACHE/a", "a cache is filled"), ("$DW_JOB_STRIPD/a", "write $DW_JOB_STRIPED/PATH"),
        ("$DW_JOB_STRIPEDa", "write $DW_JOB_STRIPED/PATH"),
        ("$DW_PERSISTENT_STRIPED/a", "write $DW_PERSISTENT_STRIPED_NAME/"),
        ("$DW_PERSISTENT_STRIPED_/a", "names no buffer"), ("$DW_PERSISTENT_STRIPED_1a/a", "begins with a digit"),
        ("${DW_JOB_STRIPED/a", "a brace is not closed"), ("$DW_X", "variables are not replaced"),
    ])
    func otherPathsAreRefused(text: String, says: String) throws {
        let fault = try #require(throws: ErrorLine.self) { try side(text) }
        #expect(fault.text.contains(says), "\(fault)")
        #expect(fault.text.utf8.count < ErrorLine.bytesMax - 20)
    }

    /// What Slurm has replaced is no symbol any more.
    @Test func replacedPathsBeginWithASlash() throws {
        #expect(throws: ErrorLine.self) { try side("%d/in", mayHoldSymbols: false) }
        #expect(try side("/lus/100%", mayHoldSymbols: false) == .parallel(Array("/lus/100%".utf8)))
    }

    @Test func lengthsAreTheFileSystems() throws {
        let name = String(repeating: "n", count: DirectiveLimits.fileNameBytesMax)
        #expect(throws: Never.self) { try side("/lus/" + name) }
        #expect(throws: Never.self) { try side("$DW_JOB_STRIPED/" + name) }
        #expect(throws: ErrorLine.self) { try side("/lus/" + name + "n") }
        #expect(throws: ErrorLine.self) { try side("$DW_JOB_STRIPED/" + name + "n") }
        let deep = String(repeating: "/d", count: DirectiveLimits.pathBytesMax / 2)
        #expect(throws: Never.self) { try side(deep) }
        #expect(throws: ErrorLine.self) { try side(deep + "/d") }
        #expect(throws: ErrorLine.self) { try side("/a\u{0}") }
    }

    @Test func bytesThatAreNoUTF8AreKept() throws {
        let path: [UInt8] = Array("/lus/".utf8) + [0xff, 0xe9, 0x20]
        let side = try StageSide(path, key: "source", mayHoldSymbols: true)
        #expect(side == .parallel(path))
        let inner = try BufferPath([0xff, 0x2f, 0x2f, 0xe9])
        #expect(inner.bytes == [0xff, 0x2f, 0xe9])
    }
}
