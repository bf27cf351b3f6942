import BurstDataWarp
import Testing

/// What directives say together, and what is refused at submit (staging.md §5 F6).
@Suite struct StagePlanTests {
    private func plan(_ lines: String...) throws -> StagePlan {
        try StagePlan.read(try DirectiveScript(Array(("#!/bin/bash\n" + lines.joined(separator: "\n") + "\n").utf8)))
    }

    private static let jobdw = "#DW jobdw type=scratch access_mode=striped capacity=1GB"

    /// Each row: lines behind `#!/bin/bash`, parted by `|`, and all that is said about them, parted by `|`.
    @Test(arguments: [
        // F6
        ("#DW jobdw capacity=3.5TB", "line 2: capacity=3.5TB: Slurm reads this as 3 bytes; write capacity=3500GB"),
        ("#DW jobdw capacity=-5GB", "line 2: capacity=-5GB is negative: write a size above 0, as capacity=200GiB"),
        ("#DW jobdw capacity=0", "line 2: capacity=0: write a size above 0, as capacity=200GiB"),
        ("#DW jobdw capacity=16385P", "line 2: capacity=16385P is too large: write less than capacity=8192PiB"),
        (
            "#DW jobdw capacity=1GB acces_mode=striped",
            "line 2: acces_mode=: no such key of #DW jobdw; write access_mode="
        ),
        ("#DW jobdw capacity=1GB access=striped", "line 2: access=: no such key of #DW jobdw; write access_mode="),
        ("#DW jobdw capacity=1GB capacity=2GB", "line 2: capacity= stands there twice: write it once"),
        (
            "#DW jobdw capacity=1GB access_mode=private|#DW stage_in type=file source=/a destination=$DW_JOB_STRIPED/a",
            "line 3: a private buffer is not staged: write access_mode=striped or striped,private in jobdw"
        ),
        (
            "#DW jobdw capacity=1GB access_mode=private|#DW stage_in type=file source=/a destination=$DW_JOB_PRIVATE/a",
            "line 3: destination=$DW_JOB_PRIVATE/a: private buffers are not staged; write $DW_JOB_STRIPED and access_mode=striped,private"
        ),
        // Verbs
        ("#DW create_persistent name=a capacity=1GB", "line 2: #DW create_persistent: write #BB create_persistent"),
        ("#DW destroy_persistent name=a", "line 2: #DW destroy_persistent: write #BB destroy_persistent"),
        ("#BB jobdw capacity=1GB", "line 2: #BB jobdw: write #DW jobdw"),
        ("#DW stagein type=file", "line 2: #DW stagein: no such directive; write #DW stage_in"),
        ("#DWjobwd capacity=1GB", "line 2: #DW jobwd: no such directive; write #DW jobdw"),
        (
            "#DW activate",
            "line 2: #DW activate: no such directive; write one of jobdw, swap, persistentdw, stage_in, stage_out"
        ),
        // Words
        ("#DW jobdw capacity =1GB", "line 2: capacity has a blank before =: write capacity=VALUE without blanks"),
        ("#DW jobdw capacity= 1GB", "line 2: capacity= has a blank behind it: write capacity=VALUE without blanks"),
        ("#DW jobdw capacity", "line 2: capacity has no value: write capacity=VALUE"),
        ("#DW jobdw 1GB", "line 2: 1GB is no key=value: write a value with blanks in quotes, key=\"a b\""),
        ("#DW jobdw capacity=1GB\r", "line 2: holds a carriage return: end lines with a line feed alone"),
        (
            "#DW jobdw capacity=1GB\u{1}",
            "line 2: holds a control character: write printable characters, a blank between words"
        ),
        (
            "#DW stage_in type=file source=\"/a b",
            "line 2: source= has a quote that is not closed: write source=\"...\""
        ),
        (
            "#DW stage_in type=file source=\"/a\"b",
            "line 2: source=/a: letters behind the closing quote; put a blank there"
        ),
        // Buffers
        (
            "\(jobdw)|#DW jobdw capacity=1500MB",
            "line 3: a second striped scratch buffer after line 2: write one line for both, as capacity=2500MB"
        ),
        ("#DW jobdw capacity=1GB type=cache", "line 2: type=cache has no pfs=: write pfs=PATH, what it is to cache"),
        (
            "#DW jobdw capacity=1GB type=cache pfs=$DW_JOB_STRIPED",
            "line 2: pfs=$DW_JOB_STRIPED: write a path on the parallel file system"
        ),
        (
            "#DW jobdw capacity=1GB access_mode=ldbalance",
            "line 2: access_mode=ldbalance is for caches: write type=cache, or striped or private"
        ),
        (
            "#DW jobdw capacity=1GB access_mode=striped,striped",
            "line 2: access_mode=striped,striped: striped stands there twice; write it once"
        ),
        (
            "#DW jobdw capacity=1GB access_mode=strpied",
            "line 2: access_mode=strpied: no such access mode; write access_mode=striped"
        ),
        (
            "#DW jobdw capacity=1GB access_mode=striped(client_cache=1)",
            "line 2: access_mode=striped(client_cache=1): write client_cache=yes or client_cache=no"
        ),
        ("#DW jobdw capacity=1GB access_mode=striped(MFS=1.5TB)", "line 2: MFS=1.5TB is no size; write MFS=1500GB"),
        (
            "#DW jobdw capacity=1GB access_mode=striped(MFC=0)",
            "line 2: access_mode=striped(MFC=0): MFC is a number of files; write as MFC=1000"
        ),
        (
            "#DW jobdw capacity=1GB access_mode=striped(",
            "line 2: access_mode=striped(: a bracket is not closed; write striped(client_cache=yes)"
        ),
        ("#DW jobdw capacity=1GB pool=%u", "line 2: pool=%u: write 1 to 64 letters, digits, _ - and ."),
        ("#DW swap 0", "line 2: swap 0: write a number above 0, as swap 10GiB"),
        ("#DW swap 3TiB", "line 2: swap 3TiB: Slurm reads this as 3 GiB, it takes no other unit: write swap 3072GiB"),
        ("#DW swap 99999999999", "line 2: swap 99999999999 is too large: write at most swap 8589934591GiB"),
        ("#DW swap 1|#DW swap 2", "line 3: a second swap after line 2: write one line"),
        ("#DW swap 1.5GiB", "line 2: swap 1.5GiB: Slurm reads this as 1 GiB, it takes no other unit, as swap 10GiB"),
        // Persistent buffers
        (
            "#DW persistentdw name=1a",
            "line 2: name=1a: a name that begins with a digit is a job to Slurm; write a letter first"
        ),
        (
            "#DW persistentdw name=%x",
            "line 2: name=%x: Slurm takes names as written, symbols as %j are for paths; write the name itself"
        ),
        (
            "#DW persistentdw name=a|#DW persistentdw name=a",
            "line 3: name=a: line 2 says so already; remove one of the two"
        ),
        (
            "#DW persistentdw name=a-b|#DW persistentdw name=a_b",
            "line 3: a_b and a-b of line 2 get one variable: rename one of them"
        ),
        (
            "#BB create_persistent name=a capacity=1GB access=private",
            "line 2: a persistent buffer is never private: write access_mode=striped"
        ),
        (
            "#BB create_persistent name=a capacity=1GB access=striped access_mode=striped",
            "line 2: access_mode= stands there twice: write it once"
        ),
        (
            "#BB create_persistent name=a capacity=1GB|#BB destroy_persistent name=a",
            "line 3: destroys a, which line 2 creates: Slurm does both at once; use two jobs"
        ),
        (
            "#DW persistentdw name=a|#BB destroy_persistent name=a",
            "line 3: destroys a before this job could use it: use two jobs"
        ),
        // Copies
        (
            "\(jobdw)|#DW stage_in type=file source=/a destination=/b",
            "line 3: both sides are on the parallel file system: write destination=$DW_JOB_STRIPED/PATH"
        ),
        (
            "\(jobdw)|#DW stage_out type=file source=/a destination=/b",
            "line 3: both sides are on the parallel file system: write source=$DW_JOB_STRIPED/PATH"
        ),
        (
            "\(jobdw)|#DW stage_in type=file source=$DW_JOB_STRIPED/a destination=$DW_JOB_STRIPED/b",
            "line 3: both sides are in buffers: write source= as a path on the parallel file system"
        ),
        (
            "\(jobdw)|#DW stage_in type=file source=$DW_JOB_STRIPED/a destination=/b",
            "line 3: stage_in copies into a buffer: exchange source= and destination=, or write stage_out"
        ),
        (
            "\(jobdw)|#DW stage_out type=file source=/a destination=$DW_JOB_STRIPED/b",
            "line 3: stage_out copies out of a buffer: exchange source= and destination=, or write stage_in"
        ),
        (
            "\(jobdw)|#DW stage_out type=file source=$DW_PERSISTENT_STRIPED_x/a destination=/b",
            "line 3: buffer x is not attached: write #DW persistentdw name=x"
        ),
        (
            "#DW persistentdw name=x|#DW stage_out type=file source=$DW_JOB_STRIPED/a destination=/b",
            "line 3: there is no buffer: write #DW jobdw type=scratch access_mode=striped capacity=SIZE"
        ),
        (
            "#DW jobdw capacity=1GB type=cache pfs=/lus|#DW stage_out type=file source=$DW_JOB_STRIPED/a destination=/b",
            "line 3: a cache is not staged: write #DW jobdw type=scratch access_mode=striped capacity=SIZE"
        ),
        (
            "\(jobdw)|#DW stage_out type=file source=$DW_JOB_STRIPED/ destination=/b",
            "line 3: source=$DW_JOB_STRIPED/ is a folder: write type=directory, or the name of a file"
        ),
        (
            "\(jobdw)|#DW stage_in type=file source=/lus/a/ destination=$DW_JOB_STRIPED/b",
            "line 3: source=/lus/a/ is a folder: write type=directory, or the name of a file"
        ),
        (
            "\(jobdw)|#DW stage_in type=directory source=/lus/a",
            "line 3: #DW stage_in has no destination=: write where the directory goes"
        ),
        (
            "\(jobdw)|#DW stage_in type=list source=$DW_JOB_STRIPED/l",
            "line 3: source=$DW_JOB_STRIPED/l: the list of stage_in is a file on the parallel file system"
        ),
        (
            "\(jobdw)|#DW stage_in type=list source=/l destination=/m",
            "line 3: destination=/m: stage_in copies into a buffer; write $DW_JOB_STRIPED/PATH"
        ),
        (
            "\(jobdw)|#DW stage_out type=list source=$DW_JOB_STRIPED",
            "line 3: source=$DW_JOB_STRIPED/ is a folder: write the name of the list"
        ),
        (
            "\(jobdw)|#DW stage_out type=list source=/l destination=$DW_JOB_STRIPED",
            "line 3: destination=$DW_JOB_STRIPED/: stage_out copies out of a buffer; write a path from / on"
        ),
        (
            "\(jobdw)|#DW stage_in type=dir source=/l destination=$DW_JOB_STRIPED",
            "line 3: type=dir: no such type; write type=file|directory|list"
        ),
        (
            "\(jobdw)|#DW stage_in type=file source=/l/%z destination=$DW_JOB_STRIPED/",
            "line 3: %z in source=/l/%z: Slurm drops it; write %% for a percent sign"
        ),
        (
            "\(jobdw)|#DW stage_in type=file source=/l/100% destination=$DW_JOB_STRIPED/",
            "line 3: % in source=/l/100%: Slurm drops it; write %% for a percent sign"
        ),
    ])
    func mistakesAreRefusedWithWhatIsRight(lines: String, says: String) throws {
        let faults = try #require(throws: DirectiveFaults.self) {
            try plan(lines.replacing("|", with: "\n"))
        }
        #expect(faults.lines.map(\.text) == [says])
        #expect(says.utf8.count <= ErrorLine.bytesMax)
    }

    /// All of them at once, in the order of the lines, but not more than a few.
    @Test func everyMistakeIsTold() throws {
        let faults = try #require(throws: DirectiveFaults.self) {
            try plan(
                "#DW stage_in type=file source=/a destination=/b", "#DW jobdw capacity=1.5GB", "#DW \\",
                "#DW jobdw pool=x", "#DW stage_in type=file source=/a destination=$DW_JOB_STRIPED/a")
        }
        // Nothing is said about line 6: whether it has its buffer is not known.
        #expect(
            faults.lines.map(\.text) == [
                "line 2: both sides are on the parallel file system: write destination=$DW_JOB_STRIPED/PATH",
                "line 3: capacity=1.5GB: Slurm reads this as 1 byte; write capacity=1500MB",
                "line 4: #DW jobdw has no capacity=: write capacity=200GiB",
            ])
        #expect(faults.description.split(separator: "\n").count == 3)
        #expect(faults.first == faults.lines[0])
        let many = try #require(throws: DirectiveFaults.self) {
            try plan(String(repeating: "#DW swap x\n", count: 100))
        }
        #expect(many.lines.count == DirectiveLimits.faultsMax)
    }

    /// Before symbols are replaced the plan serves for looking at it only.
    @Test func symbolsAreAcceptedBeforeTheyAreReplaced() throws {
        let plan = try plan(
            Self.jobdw, "#DW stage_in type=directory source=%d/in destination=$DW_JOB_STRIPED/%x",
            "#DW stage_out type=file source=$DW_JOB_STRIPED/%j.%A.%a.%b destination=/lus/%u/100%%")
        #expect(plan.stageIn.map(\.source) == [.parallel(Array("%d/in".utf8))])
        #expect(plan.stageOut.count == 1)
        #expect(try StagePlan(text: plan.text.utf8) == plan)
    }

    /// Two backslashes end the replacement of symbols and are no part of a path.
    @Test func theMarkBehindSymbolsIsNoPartOfAPath() throws {
        let plan = try plan(Self.jobdw, "#DW stage_in type=file source=/lus/%j\\\\/100% destination=$DW_JOB_STRIPED/%z")
        #expect(plan.stageIn.first?.source == .parallel(Array("/lus/%j/100%".utf8)))
    }

    /// Slurm takes the word from anywhere.
    @Test func hurryIsReadAsSlurmReadsIt() throws {
        #expect(try plan("#BB destroy_persistent name=a").removals.map(\.isHurried) == [false])
        #expect(try plan("#BB destroy_persistent hurry name=a").removals.map(\.isHurried) == [true])
        #expect(try plan("#BB destroy_persistent name=hurrying").removals.map(\.isHurried) == [true])
    }

    @Test func foldersKeepTheNamesOfFiles() throws {
        let plan = try plan(
            Self.jobdw, "#DW stage_in type=file source=/lus/a.dat destination=$DW_JOB_STRIPED",
            "#DW stage_in type=file source=/lus/b.dat destination=$DW_JOB_STRIPED/in/",
            "#DW stage_out type=file source=$DW_JOB_STRIPED/out/c.dat destination=/lus/",
            "#DW stage_out type=directory source=$DW_JOB_STRIPED/out destination=/lus/out/")
        let kept = plan.transfers.map { $0.destination.map { String(decoding: $0.keptBytes, as: UTF8.self) } }
        #expect(kept == ["job:a.dat", "job:in/b.dat", "parallel:/lus/c.dat", "parallel:/lus/out/"])
        let deep = String(repeating: "/d", count: 2040) + "/"
        for line in [
            "#DW stage_in type=file source=/lus/long_name.dat destination=$DW_JOB_STRIPED" + deep.dropFirst(16),
            "#DW stage_out type=file source=$DW_JOB_STRIPED/long_name.dat destination=" + deep,
        ] {
            #expect(throws: Never.self) { try self.plan(Self.jobdw, line) }
            let longer = line.replacing("long_name", with: String(repeating: "n", count: 200))
            #expect(throws: DirectiveFaults.self) { try self.plan(Self.jobdw, longer) }
        }
    }

    @Test func otherCommentsAreNoDirectives() throws {
        #expect(
            try plan("#BB_LUA pool=x capacity=1", "#BBC news: 100%", "#DWARF a=\"b", "#DW_ALPS\t\u{1}") == StagePlan())
    }

    // MARK: Text

    private static let large: StagePlan = {
        let script = """
            #DW jobdw name=w capacity=1GB pool=p pfs=/lus/%u access_mode=striped(client_cache=no,MFS=1G,MFC=9),private \
            write_window_length=1 write_window_multiplier=2 optimization_strategy=wear
            #DW jobdw type=cache access_mode=ldbalance capacity=1 pfs=/
            #DW swap 7 pool=q
            #DW persistentdw name=a-b.c
            #BB create_persistent name=new capacity=1T access=striped(client_cache=yes) type=cache pool=r
            #BB destroy_persistent name=old hurry
            #DW stage_in type=list source="/l i s t" destination=$DW_JOB_STRIPED/to/
            #DW stage_in type=list source=/list2
            #DW stage_out type=list source=$DW_PERSISTENT_STRIPED_a_b_c/list destination=/lus/
            #DW stage_out type=directory source=$DW_JOB_STRIPED destination="/lus/=\u{7f80}%%"
            """
        return try! StagePlan.read(try! DirectiveScript(Array(script.utf8)))
    }()

    @Test func plansAreKeptAndReadBack() throws {
        let text = Self.large.text
        #expect(text.hasPrefix("stage-plan 1\n"))
        #expect(text.hasSuffix("\nend 10\n"))
        #expect(text.utf8.allSatisfy { $0 == 10 || (0x20..<0x7f).contains($0) })
        #expect(try StagePlan(text: text.utf8) == Self.large)
        #expect(try StagePlan(text: StagePlan().text.utf8) == StagePlan())
    }

    @Test func aCutPlanIsNeverTakenForAWholeOne() {
        let bytes = Array(Self.large.text.utf8)
        for end in 0..<bytes.count {
            #expect(throws: StagePlanTextFault.self) { try StagePlan(text: bytes[..<end]) }
        }
        #expect(throws: StagePlanTextFault.self) { try StagePlan(text: bytes + [10]) }
    }

    /// A changed byte gives a fault or another plan, and what it gives is read back.
    @Test func aDamagedPlanIsRefusedOrAnother() throws {
        let bytes = Array(Self.large.text.utf8)
        var refused = 0
        for index in bytes.indices {
            for byte in [UInt8(ascii: "%"), UInt8(ascii: "="), UInt8(ascii: " "), 10, 0xff, 0]
            where byte != bytes[index] {
                var damaged = bytes
                damaged[index] = byte
                do throws(StagePlanTextFault) {
                    let plan = try StagePlan(text: damaged)
                    #expect(try StagePlan(text: plan.text.utf8) == plan)
                } catch {
                    #expect(!error.description.contains("\n"))
                    refused += 1
                }
            }
        }
        #expect(refused > bytes.count)
    }

    @Test(arguments: [
        ("stage-plan 2\nend 0\n", "line 1: stage-plan 2: only stage-plan 1 can be read"),
        ("stage-plan 1\nend 1\n", "the plan is cut off: its last line is end 1"),
        ("stage-plan 1\nnew line=1\nend 1\n", "line 2: new: no such directive"),
        ("stage-plan 1\nswap line=1\nend 1\n", "line 2: has no gib"),
        ("stage-plan 1\nswap line=1 gib=1 x=y\nend 1\n", "line 2: x: no such key"),
        ("stage-plan 1\nswap line=1 gib=1 gib=1\nend 1\n", "line 2: gib=1: stands there twice"),
        ("stage-plan 1\nswap line=1 gib=%4\nend 1\n", "line 2: gib=%4: no key=value"),
        ("stage-plan 1\nstage_in line=1 type=file source=parallel:/a\nend 1\n", "line 2: has no destination"),
        (
            "stage-plan 1\nstage_in line=1 type=file source=parallel:a destination=job:b\nend 1\n",
            "line 2: parallel:a: no absolute path"
        ),
        (
            "stage-plan 1\nstage_in line=1 type=file source=parallel:/a destination=job:../b\nend 1\n",
            "line 2: ../b: .. leads out of the buffer; write the path without it"
        ),
        ("", "the plan is cut off"),
    ])
    func otherTextIsRefused(text: String, says: String) throws {
        let fault = try #require(throws: StagePlanTextFault.self) { try StagePlan(text: text.utf8) }
        #expect(fault.description == says)
    }
}
