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

    // MARK: The lua plugin's

    private func lua(_ text: String, _ directive: String = "BB_LUA") throws -> DirectiveScript {
        try DirectiveScript(Array(text.utf8), directive: directive)
    }

    @Test func linesOfTheLuaPluginBeginWithItsDirective() throws {
        let text = """
            #!/bin/bash
            #DW jobdw capacity=1GB
            #BB_LUA jobdw pool=nvme capacity=1GiB \\
            #BB_LUA   access_mode=striped
            #BB create_persistent name=a capacity=1GB
            #BB_LUA stage_in type=directory source=/lus/in destination=$DW_JOB_STRIPED/in
            true
            #BB_LUA stage_out type=file source=$DW_JOB_STRIPED/f destination=/lus/f
            """
        let script = try lua(text)
        #expect(script.lines.map(\.number) == [3, 6])
        #expect(
            script.notes.map(\.text)
                == ["line 8: #BB_LUA is not read: it stands below line 7, which does not begin with #"])
        let plan = try StagePlan.read(script)
        #expect(plan.jobBuffers.map(\.bytes) == [1 << 30] && plan.jobBuffers.map(\.pool) == ["nvme"])
        #expect(plan.transfers.count == 1 && plan.creations.isEmpty)
        #expect(try lua(text, "BB_SITE").lines.isEmpty)
        #expect(try lua("#BB_SITE jobdw pool=p capacity=1\n", "BB_SITE").lines.count == 1)
    }

    @Test(arguments: [
        ("jobdw capacity=1GiB", "line 1: #BB_LUA jobdw has no pool=: write pool=POOL"),
        (
            "jobdw pool=p capacity=3.5TB",
            "line 1: capacity=3.5TB: Slurm reads this as 3 bytes; write capacity=3500GB"
        ),
        ("jobdw pool=p capacty=1", "line 1: capacty=: no such key of #BB_LUA jobdw; write capacity="),
        ("swap 10GiB", "line 1: swap is not for burst_buffer/lua: it has buffers of jobs alone"),
        (
            "create_persistent name=a capacity=1GB",
            "line 1: create_persistent is not for burst_buffer/lua: it has buffers of jobs alone"
        ),
        (
            "stage_in type=file source=/lus/pool=1 destination=$DW_JOB_STRIPED/f",
            "line 1: Slurm reads pool= within this line: take it out of there"
        ),
        (
            "jobdw pool=p capacity=1\n#BB_LUA jobdw pool=q access_mode=private capacity=1",
            "line 2: a second pool after p: Slurm takes all from the last one; write one pool"
        ),
        (
            "stage_in type=file source=/lus/f destination=$DW_JOB_STRIPED/f",
            "line 1: there is no buffer: write #BB_LUA jobdw type=scratch access_mode=striped capacity=SIZE"
        ),
    ])
    func linesOfTheLuaPluginAreJudged(words: String, says: String) throws {
        let faults = try #require(throws: DirectiveFaults.self) {
            try StagePlan.read(try lua("#BB_LUA " + words + "\n"))
        }
        #expect(faults.lines.map(\.text) == [says])
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
