import BurstDataWarp
import Testing

/// Which lines count, as Slurm's plugin counts them (spec §3.2).
@Suite struct DirectiveScriptTests {
    private func script(_ text: String, isReplaced: Bool = false) throws -> DirectiveScript {
        try DirectiveScript(Array(text.utf8), isReplaced: isReplaced)
    }

    private func texts(_ text: String) throws -> [String] {
        try script(text).lines.map { String(decoding: $0.text, as: UTF8.self) }
    }

    @Test func linesCountUntilTheFirstThatDoesNotBeginWithAHash() throws {
        let text = "#!/bin/bash\n\n#DW a\n#x\n\n#BB b\n#DWc\n \n#DW d\n"
        #expect(try texts(text) == [" a", " b", "c"])
        #expect(try script(text).lines.map(\.number) == [3, 6, 7])
        #expect(try script(text).lines.map(\.family) == [.datawarp, .persistent, .datawarp])
        #expect(try texts("") == [])
        #expect(try texts("\t\n#DW a") == [])
        #expect(try texts("#DW a") == [" a"])
        #expect(try texts("#dw a\n# DW a\n##DW a\n#D\n#") == [])
    }

    @Test func linesGoOnInTheNextDirective() throws {
        #expect(try texts("#DW a \\\n#DW  b \\\n\n#DW c\n#DW d") == [" a b c", " d"])
        // Nothing is put between them, and blanks are dropped only where one stood before.
        #expect(try texts("#DW sou\\\n#DWrce=/a\n") == [" source=/a"])
        #expect(try texts("#DW a\\\n#DW b") == [" a b"])
        #expect(try script("#DW a \\\n#DW b\n#DW c").lines.map(\.number) == [1, 3])
    }

    @Test(arguments: [
        ("#DW jobdw \\\n# capacity=1GB\n", "line 1: ends with a backslash before a comment"),
        ("#DW jobdw \\\ntrue\n", "line 1: ends with a backslash before a line that does not begin with #"),
        ("#DW jobdw \\\n", "line 1: ends with a backslash before the end of the script"),
        ("#DW jobdw \\\n#BB capacity=1GB\n", "line 2: #BB cannot go on with line 1: begin it with #DW"),
    ])
    func brokenContinuationsAreRefused(text: String, says: String) throws {
        let script = try script(text)
        #expect(script.faults.count == 1)
        #expect(script.faults.first?.text.text.hasPrefix(says) == true, "\(script.faults)")
        let faults = try #require(throws: DirectiveFaults.self) { try StagePlan.read(script) }
        #expect(faults.lines.contains { $0.text.hasPrefix(says) })
    }

    @Test func directivesWithoutEffectAreNoted() throws {
        let script = try script("# DW jobdw capacity=1GB\n #DW stage_in x\n#DW stage_out y\n#DWARF\n#DW z\n")
        #expect(
            script.notes.map(\.text) == [
                "line 1: # DW jobdw capacity=1GB is a plain comment: a directive begins with #DW",
                "line 2:  #DW stage_in x is a plain comment: a directive begins with #DW",
                "line 3: #DW is not read: it stands below line 2, which does not begin with #",
            ])
        let many = try self.script("true\n" + String(repeating: "#DW jobdw\n", count: 100))
        #expect(many.notes.count == DirectiveLimits.notesMax)
    }

    @Test func limitsAreNamed() throws {
        let lines = String(repeating: "#DW swap 1\n", count: DirectiveLimits.linesMax)
        #expect(try script(lines).lines.count == DirectiveLimits.linesMax)
        let fault = try #require(throws: ErrorLine.self) { try script(lines + "#DW swap 1\n") }
        #expect(fault.text == "line 1001: more than 1000 directives: use type=list or directory")
        let large = [UInt8](repeating: 10, count: DirectiveLimits.scriptBytesMax + 1)
        #expect(throws: ErrorLine.self) { try DirectiveScript(large) }
        let wide = String(repeating: "#DW" + String(repeating: "a", count: 9000) + "\n", count: 60)
        let tooWide = try #require(throws: ErrorLine.self) { try script(wide) }
        #expect(tooWide.text == "line 59: more than 524288 bytes of directives: use type=list")
        let joined = String(repeating: "#DW" + String(repeating: "a", count: 1000) + "\\\n", count: 20)
        let long = try script(joined + "#DW\n")
        #expect(long.faults.contains { $0.text.text.contains("more than 16384 bytes") })
        #expect(long.lines.allSatisfy { $0.text.count <= DirectiveLimits.lineBytesMax })
    }

    /// With replaced symbols the file's lines are not the user's.
    @Test func replacedDirectivesAreCountedInsteadOfLines() throws {
        let text = "#!/bin/sh\n#DW jobdw capacity=1GB\n#DW stage_in type=file source=x destination=y\n"
        let faults = try #require(throws: DirectiveFaults.self) {
            try StagePlan.read(try script(text, isReplaced: true))
        }
        #expect(faults.first.text.hasPrefix("directive 2: source=x: is no path"))
        let good = text.replacing("source=x", with: "source=/x").replacing("=y", with: "=$DW_JOB_STRIPED/y")
        let plan = try StagePlan.read(try script(good, isReplaced: true))
        #expect(plan.stageIn.map { plan.place($0.line) } == ["directive 2"])
        #expect(try StagePlan(text: plan.text.utf8) == plan)
        let unreplaced = try StagePlan.read(try script(good))
        #expect(unreplaced.stageIn.map { unreplaced.place($0.line) } == ["line 3"])
    }
}
