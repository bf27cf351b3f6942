import BurstEngine
import BurstTestSupport
import Testing

/// Slurm's `Key=Value` syntax.
@Suite struct ConfigTextTests {
    private func parse(_ text: String) throws(ConfigFault) -> ConfigText {
        try ConfigText.parse(file: "slurm.conf", text: text)
    }

    private func pairs(_ text: String) throws -> [[String]] {
        try parse(text).lines.map { $0.pairs.map { "\($0.key)=\($0.value)" } }
    }

    @Test func severalPairsShareALine() throws {
        #expect(try pairs("NodeName=n1 CPUs=4\nA=1") == [["NodeName=n1", "CPUs=4"], ["A=1"]])
    }

    @Test func blanksStandAroundTheSign() throws {
        #expect(try pairs("\t A =  1   B= 2 \r\n") == [["A=1", "B=2"]])
    }

    @Test func quotesHoldBlanks() throws {
        #expect(try pairs(#"A="b c" D=e"#) == [["A=b c", "D=e"]])
        #expect(try pairs(#"A="""#) == [["A="]])
    }

    @Test func aNumberSignOpensAComment() throws {
        #expect(try pairs("# A=1\nB=2 # C=3\nD=x#y\nE=\\#F\n") == [["B=2"], ["D=x"], ["E=#F"]])
    }

    @Test func aBackslashJoinsLines() throws {
        let text = try parse("A=1 \\\n  B=2\nC=3\n")
        #expect(text.lines.map(\.pairs.count) == [2, 1])
        #expect(text.lines.map(\.place.line) == [1, 3])
        // Two of them are one.
        #expect(try pairs("A=b\\\\\nC=d") == [["A=b\\"], ["C=d"]])
    }

    @Test func signsBeforeTheEqualsSignAreIgnored() throws {
        #expect(try pairs("DebugFlags+=Backfill") == [["DebugFlags=Backfill"]])
    }

    @Test(arguments: [
        ("OtherTimeout 5", 1, "OtherTimeout"), ("\n\nDirective=#X", 3, "opens a comment"), ("=5", 1, "KEY=VALUE"),
        ("A=1\nB=\"c", 2, "close the quote"), ("A=\"b\"c", 1, "blank"), ("A=1 junk", 1, "junk"),
        ("é=1", 1, "KEY=VALUE"),
    ])
    func whatIsNoPairIsRefusedWithItsLine(text: String, line: Int, says: String) {
        let fault = #expect(throws: ConfigFault.self) { try ConfigText.parse(file: "a.conf", text: text) }
        #expect(fault?.line == line)
        #expect(fault?.description.hasPrefix("a.conf:\(line): ") == true)
        #expect(fault?.description.contains(says) == true)
    }

    @Test func includedLinesStandInTheirPlace() throws {
        let files = ["b.conf": "B=2\ninclude   c.conf\n", "c.conf": "\nC=3"]
        let text = try ConfigText.parse(file: "a.conf", text: "A=1\nInclude b.conf\nD=4") { name in
            files[name].map { .text($0) } ?? .unreadable("no such file")
        }
        #expect(
            text.lines.map { "\($0.place.file):\($0.place.line) \($0.pairs[0].key)" }
                == ["a.conf:1 A", "b.conf:1 B", "c.conf:2 C", "a.conf:3 D"])
    }

    @Test func includingGoesOnlySoDeep() {
        let fault = #expect(throws: ConfigFault.self) {
            try ConfigText.parse(file: "a.conf", text: "Include a.conf") { _ in .text("Include a.conf") }
        }
        #expect(fault?.message.contains("include itself") == true)
        let missing = #expect(throws: ConfigFault.self) {
            try ConfigText.parse(file: "a.conf", text: "A=1\nInclude x") { _ in .unreadable("no such file") }
        }
        #expect(missing?.description == "a.conf:2: cannot include \"x\": no such file; name a file that can be read")
    }
}

/// `burst_buffer.conf`, also against what Slurm 26.05 logged of the same files.
@Suite struct BurstBufferConfTests {
    static let users = UserDirectory(
        uid: { ["root": 0, "alice": 1001, "bob": 1002][$0] }, name: { [0: "root", 1001: "alice", 1002: "bob"][$0] })

    static func read(
        _ text: String, plugin: BurstPlugin = .lua
    ) throws(ConfigFault) -> BurstBufferConf.Reading {
        try BurstBufferConf.read(
            try ConfigText.parse(file: "burst_buffer.conf", text: text), plugin: plugin, users: users)
    }

    /// Notes that Slurm has not.
    private static func isOurs(_ line: String) -> Bool { line.contains("burst_buffer.conf:") }

    @Test(arguments: Fixtures.sections("engine/burst-buffer-conf-26.05.txt"))
    func everyRecordedFileIsReadAsSlurmReadsIt(section: Fixtures.Section) throws {
        let halves = String(decoding: section.output, as: UTF8.self).components("\n--\n")
        let plugin = try #require(BurstPlugin(rawValue: String(section.origin.prefix { $0 != "/" })))
        let logged = halves[1].split(separator: "\n").map(String.init)
        guard !logged.contains(where: { $0.hasPrefix("fatal:") }) else {
            let fault = #expect(throws: ConfigFault.self) { try Self.read(halves[0], plugin: plugin) }
            let said = logged[0]
            for part in [" value (", "at unrecognized key: ", "line "] where said.contains(part) {
                let tail = said.components(part)[1].filter { $0 != "\"" && $0 != "=" }.prefix { $0 != ")" && $0 != ":" }
                #expect(fault?.description.contains(String(tail)) == true)
            }
            return
        }
        let reading = try Self.read(halves[0], plugin: plugin)
        let mine =
            reading.notes.filter { !Self.isOurs($0.text) }.map { ($0.level == .error ? "error: " : "") + $0.text }
        let slurms = logged.filter { !$0.contains(": bb_load_config: ") || $0.hasPrefix("error:") }
        #expect(mine == slurms)
        let loads = logged.filter { $0.contains(": bb_load_config: ") }
        if !loads.isEmpty { #expect(reading.loaded.map(\.text) == loads) }
    }

    @Test func defaultsAreThoseOfTheManual() throws {
        let conf = try BurstBufferConf.read(nil, plugin: .lua, users: Self.users).conf
        #expect(conf.directive == "BB_LUA")
        #expect(conf.flags.text == "DisablePersistent")
        #expect(conf.granularity == 1)
        #expect([conf.otherTimeout, conf.stageInTimeout, conf.stageOutTimeout] == [300, 86400, 86400])
        #expect([conf.validateTimeout, conf.pollInterval] == [5, 15])
        #expect(conf.getSysState == nil)
        let cray = try Self.read("", plugin: .datawarp).conf
        #expect(cray.getSysState == "/opt/cray/dw_wlm/default/bin/dw_wlm_cli")
        #expect(cray.getSysStatus == "/opt/cray/dws/default/bin/dwstat")
    }

    @Test func oneFileMissingIsSaid() throws {
        let reading = try BurstBufferConf.read(nil, plugin: .lua, users: Self.users)
        #expect(
            reading.notes.map(\.text)
                == ["Unable to find configuration file burst_buffer_lua.conf or burst_buffer.conf"])
    }

    @Test(arguments: [
        ("Flags=TeardownFailure", "TeardownFailure"),
        ("Flags=teardownfailure,privatedata", "PrivateData,TeardownFailure"),
        ("Flags=PrivateDataTeardownFailure", "PrivateData,TeardownFailure"), ("Flags=x", ""),
        ("Flags=TeardownFailure\nFlags=PrivateData", "PrivateData"),
        ("Flags=EnablePersistent,DisablePersistent", "DisablePersistent"),
    ])
    func flagsReplaceTheDefault(text: String, printed: String) throws {
        #expect(try Self.read(text).conf.flags.text == printed)
    }

    @Test func datawarpKeepsItsFlags() throws {
        let conf = try Self.read("Flags=EmulateCray,EnablePersistent\nDefaultPool=p", plugin: .datawarp).conf
        #expect(conf.flags.text == "EmulateCray,EnablePersistent")
        #expect(conf.defaultPool == "p")
    }

    @Test func usersAreResolved() throws {
        let reading = try Self.read("AllowUsers=bob, DenyUsers=alice,1002")
        #expect(reading.conf.allowedUserIDs == [1002])
        #expect(reading.conf.allowUsers == "bob,")
        #expect(reading.conf.deniedUserIDs == [1001, 1002])
        #expect(reading.conf.denyUsers == "alice,1002")
        #expect(reading.loaded[0].text == "burst_buffer/lua: bb_load_config: AllowUsers:bob")
        #expect(reading.loaded[3].text == "burst_buffer/lua: bb_load_config: DenyUsers:alice,bob")
    }

    @Test func aListOfUnknownUsersAdmitsNobodyAndSaysSo() throws {
        let reading = try Self.read("AllowUsers=alice:1002,root,4711")
        #expect(reading.conf.allowedUserIDs == [])
        #expect(reading.notes.filter { $0.text.hasPrefix("_parse_users: ignoring invalid user: ") }.count == 3)
        #expect(reading.notes.last?.text.contains("nobody may use burst buffers") == true)
    }

    @Test(arguments: [
        ("StageInTimeuot=5", "did you mean StageInTimeout?"), ("PrivateData=yes", "write Flags=PrivateData"),
        ("AltPool=x", "the keys are AllowUsers"), ("OtherTimeout=5000000000", "greater than 4294967295"),
        ("OtherTimeout=99999999999999999999999", "greater than 4294967295"), ("OtherTimeout=", "needs a value"),
        ("OtherTimeout=\"\"", "not a valid number"), ("PollInterval=+-5", "not a valid number"),
        ("Directive=\\#BB_X", "write Directive=BB_X"), ("Directive=\"a b\"", "one word"),
    ])
    func badLinesSayWhatWouldBeRight(text: String, says: String) {
        let fault = #expect(throws: ConfigFault.self) { try Self.read("Flags=PrivateData\n" + text) }
        #expect(fault?.line == 2)
        #expect(fault?.message.contains(says) == true)
    }

    @Test func numbersAreReadAsByC() throws {
        #expect(try Self.read("OtherTimeout=0x10").conf.otherTimeout == 16)
        #expect(try Self.read("OtherTimeout=010").conf.otherTimeout == 8)
        #expect(try Self.read("OtherTimeout=0").conf.otherTimeout == 0)
        #expect(try Self.read("PollInterval=unlimited").conf.pollInterval == .max)
    }

    @Test func longTimeoutsAreCutForLuaOnly() throws {
        #expect(try Self.read("StageOutTimeout=INFINITE").conf.stageOutTimeout == 2_073_600)
        #expect(try Self.read("StageOutTimeout=INFINITE", plugin: .datawarp).conf.stageOutTimeout == .max)
    }

    @Test func aGranularityThatIsNoSizeCountsAsOne() throws {
        #expect(try Self.read("Granularity=16MiB").conf.granularity == 16 << 20)
        for text in ["0", "abc", "1Q"] {
            let reading = try Self.read("Granularity=\(text)")
            #expect(reading.conf.granularity == 1)
            #expect(reading.notes[0].text.hasPrefix("bb_load_config: Granularity=\(text) is invalid"))
        }
    }

    /// Found by fuzzing.
    @Test func notesAreOneLineWhateverTheFileHolds() throws {
        let reading = try Self.read("DefaultPool=po\u{0}o\u{1}\nFlags=\u{7}")
        let texts = (reading.notes + reading.loaded).map(\.text)
        #expect(texts.contains { $0.contains("DefaultPool=po?o?, but") })
        #expect(texts.allSatisfy { !$0.unicodeScalars.contains { $0.value < 0x20 } })
        let included = try ConfigText.parse(file: "a", text: "Include x\u{1}y") { _ in .text("Frobnicate=1") }
        #expect(
            try SlurmConf.read(included).notes.map(\.text) == [
                "x?y:1: Frobnicate is not known here and has no effect"
            ])
    }

    @Test func theEngineIsToldBothFiles() throws {
        var settings = EngineSettings()
        let slurm = try SlurmConf.read(
            ConfigText.parse(
                file: "slurm.conf",
                text: """
                    ClusterName=ref
                    NodeName=n CPUs=8
                    PartitionName=a Nodes=ALL
                    PartitionName=b Nodes=ALL Default=YES MaxTime=60
                    MinJobAge=5
                    """)
        ).conf
        let conf = try Self.read("AllowUsers=bob\nFlags=TeardownFailure\nDirective=BB_X\nOtherTimeout=7").conf
        settings.take(slurm, burst: conf)
        #expect([settings.clusterName, settings.partition] == ["ref", "b"])
        #expect(settings.cpus == 8)
        #expect(settings.maxTimeLimitMinutes == 60)
        #expect(settings.minJobAgeSeconds == 5)
        let plugin = try #require(settings.plugin)
        #expect(Submission.Rules(plugin) == Submission.Rules(directive: "BB_X", allowedUserIDs: [1002]))
        #expect(plugin.tearsDownAfterFailure && !plugin.hidesOthers)
        #expect(plugin.otherTimeout == 7)
        #expect(plugin.shown.flags == "TeardownFailure")
        #expect(plugin.shown.allowUsers == "bob")
        settings.take(slurm, burst: nil)
        #expect(settings.plugin == nil)
    }

    @Test func aReloadSeesWhatChanged() throws {
        let first = try Self.read("OtherTimeout=5 # a\n").conf
        #expect(try first == Self.read("othertimeout=5").conf)
        #expect(try first != Self.read("OtherTimeout=6").conf)
    }
}

/// `slurm.conf`, as far as it concerns the engine.
@Suite struct SlurmConfTests {
    private func read(_ text: String) throws(ConfigFault) -> SlurmConf.Reading {
        try SlurmConf.read(try ConfigText.parse(file: "slurm.conf", text: text))
    }

    @Test func aClustersOwnFileLoads() throws {
        let reading = try read(
            """
            ClusterName=Ref
            SlurmctldHost=node1(127.0.0.1)
            SlurmUser=slurm
            AuthType=auth/munge
            StateSaveLocation=/srv/ref/state
            SchedulerParameters=bf_interval=1,sched_interval=5,batch_sched_delay=1,bb_array_stage_cnt=3
            DebugFlags=BurstBuffer,Script
            AccountingStorageTRES=bb/lua,gres/gpu
            PriorityWeightTRES=CPU=1,bb/lua=2.5
            KillWait=5
            MailProg=/srv/ref/bin/mail
            NodeName=DEFAULT RealMemory=1000
            NodeName=n[08-10,12] NodeAddr=127.0.0.1 Sockets=2 CoresPerSocket=4 ThreadsPerCore=2 State=UNKNOWN
            NodeName=login CPUs=3 RealMemory=2000
            PartitionName=DEFAULT MaxTime=1-00 State=UP
            PartitionName=debug Nodes=ALL Default=YES DefaultTime=10
            PartitionName=long Nodes=n08 MaxTime=INFINITE State=DRAIN
            BurstBufferType=burst_buffer/lua
            """)
        let conf = reading.conf
        #expect(reading.notes == [])
        #expect(conf.clusterName == "ref")
        #expect(conf.plugin == .lua)
        #expect(conf.slurmUser == "slurm")
        #expect(conf.logsBurstBuffer)
        #expect(conf.schedulerParameters.arrayStageCount == 3)
        #expect(conf.schedulerParameters.backfillInterval == 1)
        #expect(conf.schedulerParameters.mainInterval == 5)
        #expect(conf.accountingStorageTRES == ["bb/lua", "gres/gpu"])
        #expect(conf.burstBufferWeight == 2.5)
        #expect(conf.killWaitSeconds == 5)
        #expect(conf.nodes.map(\.name) == ["n08", "n09", "n10", "n12", "login"])
        #expect(conf.nodes.map(\.cpus) == [16, 16, 16, 16, 3])
        #expect(conf.nodes.map(\.realMemory) == [1000, 1000, 1000, 1000, 2000])
        #expect(conf.defaultPartition?.name == "debug")
        #expect(conf.partitions.map(\.maxTimeMinutes) == [1440, nil])
        #expect(conf.partitions[0].defaultTimeMinutes == 10)
        #expect(conf.partitions[1].state == .drain)
    }

    @Test func defaultsAreThoseOfTheManual() throws {
        let conf = try read("").conf
        #expect(conf == SlurmConf())
        #expect(conf.plugin == nil)
        #expect(conf.schedulerParameters.arrayStageCount == 10)
        #expect([conf.minJobAgeSeconds, conf.messageTimeoutSeconds, conf.killWaitSeconds] == [300, 10, 30])
        #expect([conf.maxArraySize, conf.maxJobCount] == [1001, 10_000])
    }

    @Test(arguments: [
        ("lua", BurstPlugin.lua), ("burst_buffer/datawarp", .datawarp), ("burst_buffer/lua,", .lua), ("none", nil),
        ("\"\"", nil),
    ])
    func thePrefixOfThePluginIsOptional(text: String, plugin: BurstPlugin?) throws {
        #expect(try read("BurstBufferType=" + text).conf.plugin == plugin)
    }

    @Test(arguments: [
        ("BurstBufferType=lua,burst_buffer/datawarp", "2 burst buffer plugins configured"),
        ("BurstBufferType=cray", "cannot create burst_buffer context for burst_buffer/cray"),
        ("MinJobAge=-1", "less than zero"), ("MessageTimeout=0", "from 1"), ("MaxArraySize=5000000", "4000001"),
        ("MailProg=mail", "begin it with /"), ("NodeName=n[1-", "["), ("NodeName=n[3-1]", "no range"),
        ("NodeName=n[1-99999999]", "more than"), ("PartitionName=a MaxTime=soon", "no time"),
        ("PartitionName=a State=OPEN", "UP, DOWN, DRAIN, INACTIVE"), ("PartitionName=a Default=maybe", "YES or NO"),
        ("NodeName=a CPUs=0", "from 1"), ("SchedulerParameters=bf_interval=x", "bf_interval=NUMBER"),
        ("PriorityWeightTRES=bb/lua", "bb/NAME=NUMBER"), ("JobRequeue=2", "YES or NO"),
    ])
    func badValuesSayWhatWouldBeRight(text: String, says: String) {
        let fault = #expect(throws: ConfigFault.self) { try read("# x\n" + text) }
        #expect(fault?.line == 2)
        #expect(fault?.description.contains(says) == true)
    }

    @Test func misspeltKeysAreNoted() throws {
        let reading = try read(
            "MinJobAgee=5\nFrobnicate=1\nSlurmdSpoolDir=/x\nMinJobAge=7\nMinJobAge=9\nSlurmctldhost=a")
        #expect(reading.conf.minJobAgeSeconds == 9)
        #expect(
            reading.notes.map(\.text) == [
                "slurm.conf:1: MinJobAgee is no key of Slurm's: did you mean MinJobAge?",
                "slurm.conf:2: Frobnicate is not known here and has no effect",
                "MinJobAge 1 specified more than once, latest value used",
            ])
    }

    @Test func aStageCountBelowOneIsIgnored() throws {
        #expect(try read("SchedulerParameters=bb_array_stage_cnt=0").conf.schedulerParameters.arrayStageCount == 10)
    }
}

extension String {
    /// Parts at each place where `separator` stands.
    func components(_ separator: String) -> [String] {
        var parts: [String] = []
        var part: [UInt8] = []
        var rest = Array(utf8)[...]
        while let byte = rest.first {
            if rest.starts(with: separator.utf8) {
                parts.append(String(decoding: part, as: UTF8.self))
                part = []
                rest = rest.dropFirst(separator.utf8.count)
            } else {
                part.append(byte)
                rest = rest.dropFirst()
            }
        }
        return parts + [String(decoding: part, as: UTF8.self)]
    }
}
