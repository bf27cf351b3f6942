import BurstEngine
import BurstModel
import BurstTestSupport
import Testing

/// Sizes as users write them.
@Suite struct SizeTextTests {
    /// Spec §2.1, row by row: what Slurm makes of it, and how it prints that.
    @Test(
        arguments: [
            ("10", 10, "10"), ("1K", 1024, "1KiB"), ("1k", 1024, "1KiB"), ("1KiB", 1024, "1KiB"),
            ("1kIb", 1024, "1KiB"),
            ("1KB", 1000, "1KB"), ("1kb", 1000, "1KB"), ("1M", 1_048_576, "1MiB"), ("1MB", 1_000_000, "1MB"),
            ("1G", 1 << 30, "1GiB"), ("1GB", 1_000_000_000, "1GB"), ("1T", 1 << 40, "1TiB"),
            ("1TB", 1_000_000_000_000, "1TB"), ("1P", 1 << 50, "1PiB"), ("1PB", 1_000_000_000_000_000, "1PB"),
            ("+5", 5, "5"), ("010", 10, "10"), ("9223372036854775808", 1 << 63, "8192PiB"),
        ] as [(String, UInt64, String)])
    func saneSizesAreReadAlike(text: String, value: UInt64, printed: String) throws {
        #expect(SizeText.asSlurm(text) == value)
        #expect(try SizeText.read(text) == value)
        #expect(Amount.slurmText(value) == printed)
    }

    /// What Slurm takes for something else, silently, is refused (spec §10, Q7).
    @Test(
        arguments: [
            ("3N", 9_223_372_036_854_775_811, "counts nodes"), ("3n", 9_223_372_036_854_775_811, "counts nodes"),
            ("3Nodes", 9_223_372_036_854_775_811, "counts nodes"), ("1.5K", 1, "unknown unit \".5K\""),
            ("1K2", 1, "unknown unit \"K2\""), ("1KK", 1, "unknown unit"), ("1E", 1, "unknown unit \"E\""),
            ("1B", 1, "unknown unit"), ("1K,", 1, "unknown unit \"K,\""), ("1K,foo", 1, "unknown unit"),
            ("3nodess", 3, "unknown unit"), ("-5", .max - 4, "negative"), ("18446744073709551615", .max, "64 bits"),
            ("16385P", 1 << 50, "64 bits"), ("3.5TB", 3, "write 3500GB"), ("1.25MiB", 1, "write 1280KiB"),
            ("1/2GB", 1, "unknown unit"), ("1e3", 1, "unknown unit \"e3\""),
        ] as [(String, UInt64, String)])
    func surprisesAreRefused(text: String, slurm: UInt64, says: String) {
        #expect(SizeText.asSlurm(text) == slurm)
        let fault = #expect(throws: SizeFault.self) { try SizeText.read(text) }
        #expect(fault?.description.contains(says) == true)
    }

    @Test(arguments: ["", "0", "abc", "0K", "GB", "\"2GB\"", "18446744073709551616", "16384P", "+", "K"])
    func whatSlurmRefusesIsRefused(text: String) {
        #expect(SizeText.asSlurm(text) == nil)
        #expect(throws: SizeFault.self) { try SizeText.read(text) }
    }

    @Test func hexadecimalIsZeroWithAStrangeUnit() {
        #expect(SizeText.asSlurm("0x10") == nil)
        #expect(throws: SizeFault.self) { try SizeText.read("0x10") }
    }

    /// Spec §2.2.
    @Test(
        arguments: [
            (1, 1000, 1000), (999, 1000, 1000), (1000, 1000, 1000), (1001, 1000, 2000), (1024, 1000, 2000), (5, 0, 5),
            (5, 1, 5), (UInt64.max - 5, 1 << 30, nil),
        ] as [(UInt64, UInt64, UInt64?)])
    func sizesAreRoundedUpToGranules(size: UInt64, granularity: UInt64, rounded: UInt64?) {
        #expect(SizeText.rounded(size, granularity: granularity) == rounded)
    }
}

/// Directives and what is checked of them, against what Slurm 26.05 did with the same scripts.
@Suite struct SubmissionTests {
    static let pools = [
        Submission.Pool(name: "nvme", granularity: 1 << 30, total: 10 << 40),
        Submission.Pool(name: "pool1", granularity: 1024, total: 1_024_000),
        Submission.Pool(name: "pool2", granularity: 2, total: 10),
        Submission.Pool(name: "pool4", granularity: 1, total: 25000),
    ]

    private func check(
        _ source: Submission.Source, rules: Submission.Rules = Submission.Rules(), owner: UInt32 = 1001
    ) throws(SubmissionFault) -> (accepted: Submission.Accepted?, warnings: [String]) {
        var warnings: [String] = []
        let accepted = try Submission.check(
            source, rules: rules, pools: Self.pools, ownerUserID: owner, warnings: &warnings)
        return (accepted, warnings)
    }

    private func batch(_ lines: String..., option: String? = nil) -> Submission.Source {
        .batch(script: (["#!/bin/bash"] + lines).joined(separator: "\n") + "\n", option: option)
    }

    /// Scripts that Slurm accepts and we refuse, with what we say; each for a quirk of spec §10.
    private static let refusedHere = [
        // Q4: more than the pool holds.
        "bad-options/opt-17.sh": "has 25KB in all", "bad-options/opt-18.sh": "has 10TiB in all",
        "bad-options/opt-19.sh": "has 10 in all", "directive-spelling/two-different.sh": "has 25KB in all",
        "bad-sizes/size-25-4P.sh": "in all", "bad-sizes/size-26-4PB.sh": "in all",
        "bad-sizes/size-27-4PiB.sh": "in all",
    ]

    @Test(arguments: Fixtures.sections("engine/submissions-26.05.txt"))
    func everyRecordedScriptIsReadAsSlurmReadsIt(section: Fixtures.Section) throws {
        let halves = String(decoding: section.output, as: UTF8.self).components("\n-- ")
        let said = halves[1].split(separator: "\n", maxSplits: 1, omittingEmptySubsequences: false)
        let words = said[0].split(separator: " ")
        let source = Submission.Source.batch(script: halves[0] + "\n", option: nil)
        if words[0] == "refused" {
            let fault = #expect(throws: SubmissionFault.self) { try check(source) }
            #expect(fault?.code == .invalidBurstBufferRequest)
            return
        }
        if let says = Self.refusedHere[section.origin] {
            let fault = #expect(throws: SubmissionFault.self) { try check(source) }
            #expect(fault?.lines.first?.contains(says) == true)
            return
        }
        // Q7: a size that Slurm takes for another.
        let sizeText = halves[0].components("capacity=").dropFirst().first.map { $0.prefix { $0 != " " && $0 != "\n" } }
        if let sizeText, let slurm = SizeText.asSlurm(sizeText), (try? SizeText.read(sizeText)) != slurm {
            let fault = #expect(throws: SubmissionFault.self) { try check(source) }
            #expect(fault?.lines.first?.contains("line 2: capacity=: ") == true)
            return
        }
        let accepted = try check(source).accepted
        if words[0] == "plain" {
            #expect(accepted == nil)
            return
        }
        #expect(accepted?.spec == String(said[1].utf8.last == 10 ? said[1].dropLast() : said[1]))
        if words.count == 3 {
            #expect(accepted?.pool == (words[1] == "(null)" ? nil : String(words[1])))
            #expect(accepted?.size == UInt64(words[2]))
        }
    }

    @Test func continuationsAreGlued() throws {
        let scan = DirectiveScan(
            script: """
                #!/bin/sh
                #BB_LUA pool=nvme \\
                #BB_LUA    capacity=2GB
                #BB_LUA a\\

                #BB_LUA  b
                #BB_LUA c\\
                # between
                #BB_LUA d\\
                true
                #BB_LUA e
                """, directive: "BB_LUA")
        #expect(scan.lines.map(\.text) == ["#BB_LUA pool=nvme capacity=2GB", "#BB_LUA a  b", "#BB_LUA c", "#BB_LUA d"])
        #expect(scan.lines.map(\.number) == [2, 4, 7, 9])
        #expect(
            scan.warnings == [
                "line 11: #BB_LUA is not read: it stands below line 10, which does not begin with #"
            ])
    }

    @Test func directivesBelowACommandAreWarnedOf() throws {
        let result = try check(batch("set -e", "#BB_LUA pool=nvme capacity=1GB"))
        #expect(result.accepted == nil)
        #expect(result.warnings.count == 1)
        #expect(result.warnings[0].contains("line 3: #BB_LUA is not read"))
    }

    @Test(arguments: ["# BB_LUA pool=nvme", " #BB_LUA pool=nvme", "#bb_lua pool=nvme"])
    func whatLooksLikeADirectiveIsWarnedOf(line: String) throws {
        let result = try check(batch(line))
        #expect(result.accepted == nil)
        #expect(result.warnings.first?.contains("a directive begins with #BB_LUA") == true)
    }

    @Test func keysThatAreNotReadAreWarnedOf() throws {
        let result = try check(batch("#BB_LUA pool=nvme Capacity=1GB", "#BB_LUA pool=nvme capacity = 2GB"))
        #expect(result.accepted?.requests == [])
        #expect(result.warnings.count == 2)
        #expect(result.warnings[0] == "line 2: \"Capacity\"= is not read: write capacity=")
    }

    /// Spec §10, Q47.
    @Test func keysAreWordsOfTheirOwn() throws {
        #expect(try check(batch("#BB_LUA xpool=nvme xcapacity=1GB")).accepted?.requests == [])
        #expect(try check(batch("#BB_LUA\tpool=nvme\tcapacity=1")).accepted?.size == 1 << 30)
    }

    @Test func sizesAddUpPerPool() throws {
        let accepted = try #require(
            try check(
                batch(
                    "#BB_LUA pool=pool1 capacity=1", "#BB_LUA pool=pool2 capacity=3", "#BB_LUA pool=pool1 capacity=1025"
                )
            )
            .accepted)
        #expect(accepted.perPool == [.init(pool: "pool1", size: 3072), .init(pool: "pool2", size: 4)])
        #expect(accepted.pool == "pool1")
        #expect(accepted.size == 3076)
    }

    @Test func aPoolWithoutCapacityHasToExist() {
        let fault = #expect(throws: SubmissionFault.self) { try check(batch("#BB_LUA pool=nvmee")) }
        #expect(
            fault?.lines == [
                "burst_buffer/lua: line 2: Invalid pool requested (nvmee): write one of nvme, pool1, pool2, pool4"
            ])
    }

    @Test func tooMuchForThePoolIsRefused() throws {
        let source = batch("#BB_LUA pool=pool2 capacity=6", "#BB_LUA pool=pool2 capacity=6")
        let fault = #expect(throws: SubmissionFault.self) { try check(source) }
        #expect(
            fault?.lines == [
                "burst_buffer/lua: line 3: capacity=6: pool pool2 has 10 in all: write at most that"
            ])
        var rules = Submission.Rules()
        rules.refusesTooLarge = false
        #expect(try check(source, rules: rules).accepted?.size == 12)
    }

    // MARK: --bb

    @Test func theOptionStandsBeforeTheScriptsOwnLines() throws {
        let accepted = try check(batch("#BB_LUA pool=pool2 capacity=1", option: "#BB_LUA pool=pool2 capacity=2"))
            .accepted
        #expect(accepted?.spec == "#BB_LUA pool=pool2 capacity=2\n#BB_LUA pool=pool2 capacity=1")
        #expect(BurstBufferOption.inserted("a\nb\n", into: "#!/bin/sh\nc") == "#!/bin/sh\na\nb\nc")
        #expect(BurstBufferOption.inserted("#a", into: "c\n") == "#a\nc\n")
        #expect(BurstBufferOption.inserted("", into: "c\n") == "c\n")
        #expect(BurstBufferOption.inserted("#a", into: "#!/bin/sh") == "#!/bin/sh\n#a\n")
    }

    @Test func messagesCountTheScriptsOwnLines() {
        let bad = "#BB_LUA pool=x capacity=1"
        let inOption = #expect(throws: SubmissionFault.self) { try check(batch(option: bad)) }
        #expect(inOption?.lines.first?.contains(": --bb: Invalid pool requested (x)") == true)
        let inScript = #expect(throws: SubmissionFault.self) {
            try check(batch("#", bad, option: "#BB_LUA a\n#BB_LUA b"))
        }
        #expect(inScript?.lines.first?.contains(": line 3: Invalid pool requested (x)") == true)
    }

    @Test func anOptionWithoutANumberSignIsRefused() throws {
        let fault = #expect(throws: SubmissionFault.self) { try check(batch(option: "pool=nvme capacity=1")) }
        #expect(fault?.code == .invalidBurstBufferRequest)
        #expect(fault?.lines.first?.contains("would become a command of the script") == true)
        #expect(try check(batch(option: "")).accepted == nil)
    }

    @Test func alonTheOptionIsTheWholeRequest() throws {
        let text = "#BB_LUA pool=pool2 capacity=2\ntrue\n"
        #expect(try check(.interactive(option: text)).accepted?.spec == text)
        #expect(BurstBufferOption.interactiveScript("#BB_LUA") == "#!/bin/bash\n#BB_LUA")
        for bad in ["", "pool=nvme", "# comment"] {
            #expect(throws: SubmissionFault.self) { try check(.interactive(option: bad)) }
        }
    }

    @Test func aLongOptionIsRefused() {
        let fault = #expect(throws: SubmissionFault.self) {
            try check(batch(option: "#" + String(repeating: "x", count: 8192)))
        }
        #expect(fault?.code == .pathnameTooLong)
    }

    // MARK: Users, nodes, hooks

    @Test func theOwnerIsCheckedAfterTheDirectives() throws {
        let source = batch("#BB_LUA pool=nvme capacity=1GB")
        let rules = Submission.Rules(allowedUserIDs: [1002], deniedUserIDs: [1002])
        let cases: [(UInt32, String)] = [
            (0, "User root can not allocate burst buffers"), (1001, "User not found in AllowUsers"),
            (1002, "User found in DenyUsers"),
        ]
        for (owner, line) in cases {
            let fault = #expect(throws: SubmissionFault.self) { try check(source, rules: rules, owner: owner) }
            #expect(fault == SubmissionFault(.burstBufferPermission, [line]))
        }
        let bad = #expect(throws: SubmissionFault.self) { try check(batch("#BB_LUA capacity=1"), owner: 0) }
        #expect(bad?.code == .invalidBurstBufferRequest)
        // Who asks for nothing is nobody's business.
        #expect(try check(batch("true"), owner: 0).accepted == nil)
    }

    @Test func noNodesAreRefused() throws {
        try Submission.checkNodes(1, hasRequest: true, isPart: false)
        for (hasRequest, isPart, code) in [
            (true, false, SlurmError.invalidBurstBufferRequest), (false, false, .invalidNodeCount),
            (true, true, .invalidNodeCount),
        ] {
            let fault = #expect(throws: SubmissionFault.self) {
                try Submission.checkNodes(0, hasRequest: hasRequest, isPart: isPart)
            }
            #expect(fault?.code == code)
        }
    }

    @Test func theHooksTextIsShownInLines() {
        #expect(
            Submission.refusedByHook("line1\n\nline2\n", pluginName: "lua").lines == [
                "burst_buffer/lua: line1", "line2",
            ])
        #expect(Submission.refusedByHook(nil, pluginName: "lua").lines == [])
        #expect(Submission.refusedByHook("", pluginName: "lua") == SubmissionFault(.invalidBurstBufferRequest))
    }

    @Test func errorsHaveSlurmsNumbers() {
        #expect(SlurmError.invalidBurstBufferRequest.rawValue == 2094)
        #expect(Refusal(.invalidJobID) == Refusal(code: 2017, text: "Invalid job id specified"))
        #expect(Set(SlurmError.allCases.map(\.text)).count == SlurmError.allCases.count)
    }
}
