import BurstEngine
import BurstModel
import Testing

/// Symbols of directives.
@Suite struct SymbolTextTests {
    private static let spec = """
        #BB_LUA pool=nvme capacity=1GB path=/scratch/a=%A t=%a d=%d j=%j u=%u x=%x pc=%% un=%z n=%N h=%h b=%b
        #BB_LUA note=%%A\\%j%
        """

    private func symbols(_ id: UInt32, array: UInt32 = 0, task: UInt32? = nil, name: String) -> SymbolText {
        SymbolText(
            jobID: id, arrayJobID: array, arrayTaskID: task, workDir: "/srv/ref/home/alice", userName: "alice",
            jobName: name)
    }

    /// Files that hooks of Slurm 26.05.3 got, recorded.
    @Test func filesAreSlurmsOwn() {
        var plain = symbols(3, name: "a b/c%j")
        plain.isAsSlurm = true
        #expect(
            plain.file(Self.spec) == """
                #!/bin/sh
                #BB_LUA pool=nvme capacity=1GB path=/scratch/a=0 t=4294967294 d=/srv/ref/home/alice j=3 u=alice x=a b/c%j pc=% un= n= h= b=4
                #BB_LUA note=%A\\3

                """)
        #expect(
            symbols(7, array: 2, task: 3, name: "sym arr").file(Self.spec) == """
                #!/bin/sh
                #BB_LUA pool=nvme capacity=1GB path=/scratch/a=2 t=3 d=/srv/ref/home/alice j=7 u=alice x=sym arr pc=% un= n= h= b=3
                #BB_LUA note=%A\\7

                """)
    }

    /// Spec §10, Q35.
    @Test func whatAJobHasNotGotIsEmpty() {
        #expect(symbols(1, name: "n").replaced("a=%A t=%a b=%b j=%j") == "a= t= b= j=1")
    }

    @Test func twoBackslashesEndReplacementInTheirLine() {
        var text = symbols(1, name: "n")
        #expect(text.replaced("%j\\\\%j\n%j") == "1\\\\%j\n1")
        text.isAsSlurm = true
        #expect(text.replaced("%j\\\\%j\n%j") == "1\\\\%j\n%j")
    }

    @Test func aSymbolEndsWithItsLine() {
        #expect(symbols(1, name: "n").replaced("a%\n%j%") == "a\n1")
    }
}

@Suite struct ArrayTasksTests {
    @Test(
        arguments: [
            ("1-5:2,9%3", [1, 3, 5, 9], 3), ("0", [0], 0), ("3,1,2,2", [1, 2, 3], 0), ("[1-3]%1", [1, 2, 3], 1),
            ("0-15:4", [0, 4, 8, 12], 0),
        ] as [(String, [UInt32], UInt32)])
    func tasksAreRead(text: String, tasks: [UInt32], limit: UInt32) throws {
        let array = try ArrayTasks(text, maxArraySize: 1001)
        #expect(array.tasks == tasks)
        #expect(array.runningMax == limit)
    }

    @Test(arguments: [
        "", "a", "5-1", "1-", "-1", "1,,2", "1:2", "1-5:0", "1-3%0", "1-3%", "1001", "1-2-3", "1 2", "4294967296",
    ])
    func badTasksAreRefused(text: String) {
        let fault = #expect(throws: SubmissionFault.self) { try ArrayTasks(text, maxArraySize: 1001) }
        #expect(fault?.code == .invalidArray)
        #expect(fault?.lines.count == 1)
    }

    @Test func theLargestTaskIsBelowTheLimit() throws {
        #expect(try ArrayTasks("1000", maxArraySize: 1001).tasks == [1000])
        #expect(throws: SubmissionFault.self) { try ArrayTasks("1", maxArraySize: 0) }
    }

    @Test(
        arguments: [
            ([3, 4, 5], 0, "3-5"), ([1, 2, 3, 7], 2, "1-3,7%2"), ([0, 4, 8, 12], 0, "0-12:4"), ([1, 3, 5], 0, "1,3,5"),
            ([7], 0, "7"), ([], 3, ""),
        ] as [([UInt32], UInt32, String)])
    func whatIsLeftIsPrinted(tasks: [UInt32], limit: UInt32, text: String) {
        #expect(ArrayTasks.text(tasks, runningMax: limit) == text)
    }

    @Test func aLongListIsCut() {
        let text = ArrayTasks.text((0..<60).map { $0 * 2 + ($0 % 2) }, runningMax: 4)
        #expect(text.hasSuffix("...%4"))
        #expect(text.utf8.count <= 66)
    }
}

@Suite struct HetScriptTests {
    /// The scripts of 26.05 (spec §3.6).
    @Test func componentsGetScriptsOfTheirOwn() throws {
        let parts = try HetScript.split(
            """
            #!/bin/bash
            #XX_BB pool=pool3 capacity=1
            #SBATCH hetjob
            #XX_BB pool=pool3 capacity=2
            sleep 1
            """, directive: "XX_BB")
        #expect(
            parts == [
                """
                #!/bin/bash
                #XX_BB pool=pool3 capacity=1
                #SBATCH hetjob
                #EXCLUDED XX_BB pool=pool3 capacity=2
                sleep 1
                """,
                """
                #!/bin/bash
                #XX_BB pool=pool3 capacity=2
                exit 0

                """,
            ])
        let scans = try #require(parts).map { DirectiveScan(script: $0, directive: "XX_BB").text }
        #expect(scans == ["#XX_BB pool=pool3 capacity=1", "#XX_BB pool=pool3 capacity=2"])
    }

    @Test func otherScriptsAreLeftAlone() throws {
        #expect(try HetScript.split("#!/bin/sh\n#SBATCH -n 2\ntrue\n#SBATCH hetjob\n", directive: "BB_LUA") == nil)
        #expect(try HetScript.split("#!/bin/sh\n\n#SBATCH packjob\ntrue\n", directive: "BB_LUA")?.count == 2)
        let many = "#!/bin/sh\n" + String(repeating: "#SBATCH hetjob\n", count: 200)
        #expect(throws: SubmissionFault.self) { try HetScript.split(many, directive: "BB_LUA") }
    }
}

@Suite struct DependencyTests {
    private typealias Facts = Dependency.Facts

    private static let running = Facts(
        isFinal: false, succeeded: false, bufferDone: false, usesBuffer: true, minutesSinceStart: 3)
    private static let stagingOut = Facts(
        isFinal: true, succeeded: true, bufferDone: false, usesBuffer: true, minutesSinceStart: 9)
    private static let done = Facts(
        isFinal: true, succeeded: true, bufferDone: true, usesBuffer: true, minutesSinceStart: 9)
    private static let failed = Facts(
        isFinal: true, succeeded: false, bufferDone: true, usesBuffer: true, minutesSinceStart: 9)
    private static let pending = Facts(
        isFinal: false, succeeded: false, bufferDone: false, usesBuffer: false, minutesSinceStart: nil)

    private func verdict(
        _ text: String, usesBuffer: Bool = false, task: UInt32? = nil, _ facts: [UInt32: Facts]
    ) throws -> Dependency.Verdict {
        try Dependency(text).verdict(usesBuffer: usesBuffer, task: task, isOnlyOne: false) { facts[$0.job] }
    }

    @Test func itemsAreRead() throws {
        let all = try Dependency("afterok:1:2_3,AfterAny:4_*,singleton,after:5+10")
        #expect(all.needsAll)
        #expect(all.items.map(\.kind) == [.afterok, .afterok, .afterany, .singleton, .after])
        #expect(all.items.compactMap(\.target?.tasks) == [.none, .task(3), .all, .none])
        #expect(all.items.last?.target?.delayMinutes == 10)
        #expect(
            all.text { _ in "unfulfilled" } == "afterok:1(unfulfilled),afterok:2_3(unfulfilled),"
                + "afterany:4_*(unfulfilled),singleton(unfulfilled),after:5+10(unfulfilled)")
        #expect(try !Dependency("afterok:1?afterburstbuffer:4").needsAll)
    }

    @Test(arguments: [
        "", "afterok", "afterok:", "afterok:0", "afterok:x", "afterok:1,afterany:2?after:3", "sometime:1",
        "singleton:3", "afterok:1+2", "afterok:1_", ",afterok:1", "afterok:1:", "afterok:4294967296",
    ])
    func badItemsAreRefused(text: String) {
        let fault = #expect(throws: SubmissionFault.self) { try Dependency(text) }
        #expect(fault?.code == .dependency)
        #expect(fault?.lines.count == 1)
    }

    @Test func eachKindWaitsForItsOwn() throws {
        let cases: [(String, Dependency.Facts, Dependency.Verdict)] = [
            ("after:1", Self.pending, .waits), ("after:1", Self.running, .satisfied),
            ("after:1+4", Self.running, .waits),
            ("afterany:1", Self.running, .waits), ("afterany:1", Self.failed, .satisfied),
            ("afterok:1", Self.done, .satisfied), ("afterok:1", Self.failed, .never),
            ("afternotok:1", Self.done, .never), ("afternotok:1", Self.failed, .satisfied),
            ("afterburstbuffer:1", Self.stagingOut, .waits), ("afterburstbuffer:1", Self.failed, .satisfied),
            ("aftercorr:1", Self.running, .waits), ("singleton", Self.done, .waits),
        ]
        for (text, facts, expected) in cases { #expect(try verdict(text, [1: facts]) == expected, "\(text)") }
    }

    /// Spec §10, Q1: the guide's rule.
    @Test func stageOutIsWaitedForWhereBothUseBuffers() throws {
        #expect(try verdict("afterok:1", usesBuffer: true, [1: Self.stagingOut]) == .waits)
        #expect(try verdict("afterok:1", usesBuffer: false, [1: Self.stagingOut]) == .satisfied)
        #expect(try verdict("afterany:1", usesBuffer: true, [1: Self.done]) == .satisfied)
    }

    @Test func oneOrAllAreNeeded() throws {
        let facts = [1: Self.done, 2: Self.failed, 3: Self.running] as [UInt32: Dependency.Facts]
        #expect(try verdict("afterok:1:2", facts) == .never)
        #expect(try verdict("afterok:1?afterok:2", facts) == .satisfied)
        #expect(try verdict("afterok:2?afterok:3", facts) == .waits)
        #expect(try verdict("afterok:2?afterok:2", facts) == .never)
        #expect(try verdict("afterok:1:3", facts) == .waits)
    }

    @Test func anUnknownJobHoldsNobodyUp() throws {
        #expect(try verdict("afterburstbuffer:99", [:]) == .satisfied)
    }

    @Test func tasksWaitForTheirLikes() throws {
        var asked: [Dependency.Target.Tasks] = []
        _ = try Dependency("aftercorr:1").verdict(usesBuffer: false, task: 4, isOnlyOne: true) {
            asked.append($0.tasks)
            return nil
        }
        #expect(asked == [.task(4)])
    }
}

/// Times, each as the library of Slurm 22.05 read it at 2026-11-24T02:21:27.
@Suite struct TimeTextTests {
    @Test(
        arguments: [
            ("0", 0), ("1", 1), ("90", 90), ("1:30", 2), ("0:01", 1), ("1:30:00", 90), ("1-0", 1440), ("2-12", 3600),
            ("1-2:3", 1563), ("1-2:3:4", 1564), ("1-", 1440), ("1:60", 2), ("1:99:99", 161), ("1-30", 3240),
            ("00:00:01", 1),
        ] as [(String, UInt32)])
    func limitsAreMinutes(text: String, minutes: UInt32) {
        #expect(TimeText.limit(text) == .minutes(minutes))
    }

    @Test func noLimitHasNames() {
        for text in ["-1", "INFINITE", "unlimited"] { #expect(TimeText.limit(text) == .unlimited) }
    }

    /// The last two overflow in Slurm.
    @Test(arguments: ["", "a", "1:2:3:4", "5m", "1:", "+5", " 5", "1.5", "1-2:", "-", "99999999999", "9999999999"])
    func badLimitsAreRefused(text: String) {
        #expect(TimeText.limit(text) == .invalid)
    }

    private static let now = Timestamp(seconds: 1_795_486_887)

    private func moment(_ text: String) -> String? {
        TimeText.moment(text, now: Self.now, zone: .fixed())?.rfc3339
    }

    @Test(arguments: [
        ("now", "2026-11-24T02:21:27Z"), ("now+20", "2026-11-24T02:21:47Z"), ("now+20minutes", "2026-11-24T02:41:27Z"),
        ("now+2hours", "2026-11-24T04:21:27Z"), ("now+1day", "2026-11-25T02:21:27Z"),
        ("now+3weeks", "2026-12-15T02:21:27Z"), ("now-5", "2026-11-24T02:21:22Z"),
        ("NOW+1hour", "2026-11-24T03:21:27Z"),
        ("now + 5", "2026-11-24T02:21:32Z"), ("16:00", "2026-11-24T16:00:00Z"), ("01:00", "2026-11-25T01:00:00Z"),
        ("1:00", "2026-11-25T01:00:00Z"), ("23:59:59", "2026-11-24T23:59:59Z"), ("3:30 PM", "2026-11-24T15:30:00Z"),
        ("3:30PM", "2026-11-24T15:30:00Z"), ("12:30AM", "2026-11-25T00:30:00Z"), ("midnight", "2026-11-25T00:00:00Z"),
        ("noon", "2026-11-24T12:00:00Z"), ("teatime", "2026-11-24T16:00:00Z"), ("fika", "2026-11-24T15:00:00Z"),
        ("today", "2026-11-24T00:00:00Z"), ("tomorrow", "2026-11-25T00:00:00Z"),
        ("tomorrow 3:00", "2026-11-25T03:00:00Z"), ("2030-01-02", "2030-01-02T00:00:00Z"),
        ("2030-01-02T03:04", "2030-01-02T03:04:00Z"), ("2030-01-02T03:04:05", "2030-01-02T03:04:05Z"),
        ("2020-01-02", "2020-01-02T00:00:00Z"), ("010203", "2003-01-02T00:00:00Z"), ("0102", "2027-01-02T00:00:00Z"),
        ("01/02", "2027-01-02T00:00:00Z"), ("01/02/30", "2030-01-02T00:00:00Z"), ("01.02.30", "2030-01-02T00:00:00Z"),
        ("1/2", "2027-01-02T00:00:00Z"), ("12/25-16:00", "2026-12-25T16:00:00Z"),
        ("uts1000000000", "2001-09-09T01:46:40Z"), ("16:00 12/25/30", "2030-12-25T16:00:00Z"),
        ("2030-01-02 03:04", "2030-01-02T03:04:00Z"),
    ])
    func momentsAreSlurms(text: String, moment: String) {
        #expect(self.moment(text) == moment)
    }

    @Test(arguments: [
        "", "now+", "now+5x", "3pm", "12AM", "elevenses", "25:00", "10:60", "2030-13-01", "2030-02-30", "abc",
        "now+1hour+1", "2030-1-2", "30-01-02", "now+5m", "now+5h", "tomorrow+1", "16:00 17:00", "99999999999999999999",
        "uts", "13:00PM", "0000",
    ])
    func badMomentsAreRefused(text: String) {
        #expect(moment(text) == nil)
    }

    @Test func wallClocksAreTheZones() {
        let zone = LocalTime.Zone.fixed(secondsEastOfUTC: 3600)
        #expect(TimeText.moment("16:00", now: Self.now, zone: zone)?.rfc3339 == "2026-11-24T15:00:00Z")
        #expect(TimeText.moment("now+60", now: Self.now, zone: zone)?.rfc3339 == "2026-11-24T02:22:27Z")
    }
}

@Suite struct SbatchOptionsTests {
    private func options(_ arguments: String...) throws -> SbatchOptions {
        try SbatchOptions(SbatchOptions.given(arguments: arguments).given)
    }

    @Test func aCommandLineIsRead() throws {
        let (given, rest) = try SbatchOptions.given(arguments: [
            "-Jname", "-n", "4", "--nodes=1-2", "-c2", "--time", "1:00:00", "-o", "out-%j", "--hold", "-QH",
            "--mail-type",
            "END,stage_out", "--nice", "--no-req", "--bb=#BB_LUA a=b", "job.sh", "-n", "9",
        ])
        let options = try SbatchOptions(given)
        #expect(rest == ["job.sh", "-n", "9"])
        #expect(options.jobName == "name")
        #expect([options.tasks, options.nodesMin, options.nodesMax, options.cpusPerTask] == [4, 1, 2, 2])
        #expect(options.timeLimit == .minutes(60))
        #expect(options.output == "out-%j")
        #expect(options.isHeld && options.isQuiet)
        #expect(options.mailTypes == [.end, .stageOut])
        #expect(options.nice == 100)
        #expect(options.mayRequeue == false)
        #expect(options.burstBuffer == "#BB_LUA a=b")
    }

    @Test func aScriptsLinesAreReadDownToTheFirstCommand() throws {
        let given = try SbatchOptions.given(
            script: """
                #!/bin/bash
                #SBATCH -J "sym arr" -a 3-4   # both
                # comment

                  # another
                #SBATCH --comment='it''s # here' --mem=4G
                true
                #SBATCH -n 9
                """)
        let options = try SbatchOptions(given[0])
        #expect(given.count == 1)
        #expect(options.jobName == "sym arr")
        #expect(options.array == "3-4")
        #expect(options.comment == "its # here")
        #expect(options.tasks == nil)
        #expect(options.kept == [.init(name: "mem", value: "4G", place: "line 6")])
    }

    @Test func componentsHaveTheirOwn() throws {
        let given = try SbatchOptions.given(script: "#!/bin/sh\n#SBATCH -n 1\n#SBATCH hetjob\n#SBATCH -n 2\n")
        #expect(given.map { $0.map(\.value) } == [["1"], ["2"]])
    }

    @Test func theCommandLineWins() throws {
        let script = try SbatchOptions.given(script: "#!/bin/sh\n#SBATCH -J script -n 1 -p p --requeue\n")[0]
        let environment = SbatchOptions.given(environment: [
            "SBATCH_JOB_NAME": "env", "SBATCH_PARTITION": "q", "HOME": "/",
        ])
        let line = try SbatchOptions.given(arguments: ["--job-name=line", "--no-requeue"]).given
        let options = try SbatchOptions(script + environment + line)
        #expect(options.jobName == "line")
        #expect(options.partition == "q")
        #expect(options.tasks == 1)
        #expect(options.mayRequeue == false)
    }

    @Test(arguments: [
        (["--frob"], "unrecognized option \"--frob\""), (["--job-nam3"], "did you mean --job-name?"),
        (["-J"], "requires"),
        (["--no"], "write one of"), (["--hold=1"], "doesn't allow"), (["-z"], "unrecognized option \"-z\""),
        (["-n", "x"], "Invalid numeric value \"x\" for --ntasks."), (["-n", "0"], "at least 1"),
        (["-t", "soon"], "Invalid --time specification"), (["--mail-type=X"], "Invalid --mail-type specification"),
        (["-N", "3-1"], "Invalid --nodes specification"), (["--open-mode=x"], "append or truncate"),
        (["--nice=x"], "Invalid --nice value"), (["--priority=-1"], "or TOP"), (["-n99999999999"], "Invalid numeric"),
    ])
    func badOptionsSayWhatWouldBeRight(arguments: [String], says: String) {
        let fault = #expect(throws: OptionFault.self) {
            try SbatchOptions(SbatchOptions.given(arguments: arguments).given)
        }
        #expect(fault?.description.contains(says) == true)
    }

    @Test(arguments: [
        ("#SBATCH -n x", "line 2: Invalid numeric value"),
        ("#SBATCH job", "line 2: Invalid directive found in batch script"),
        ("#SBATCH -J \"a", "line 2: a quote is not closed"), ("#SBATCH --nope", "line 2: unrecognized option"),
    ])
    func badLinesAreNamed(line: String, says: String) {
        let fault = #expect(throws: OptionFault.self) {
            try SbatchOptions(SbatchOptions.given(script: "#!/bin/sh\n\(line)\n")[0])
        }
        #expect(fault?.description.hasPrefix(says) == true)
    }

    @Test func numbersMayBeThousands() throws {
        #expect(try options("-n", "2k").tasks == 2048)
        #expect(try options("-N", "0").nodesMin == 0)
        #expect(try options("--priority=top").priority == 4_294_967_294)
        #expect(try options("--mail-type=ALL,NONE").mailTypes == [])
    }

    @Test func scriptsThatAreNoneAreRefusedAsBySbatch() {
        #expect(BatchScript.faults(Array("#!/bin/sh\ntrue\n".utf8)) == [])
        #expect(BatchScript.faults([]) == ["Batch script is empty!"])
        #expect(BatchScript.faults(Array(" \n\t".utf8)) == ["Batch script contains only whitespace!"])
        #expect(BatchScript.faults(Array("true\n".utf8)).count == 3)
        #expect(
            BatchScript.faults(Array("#!/bin/sh\r\ntrue\n".utf8))[0] == "Batch script contains DOS line breaks (\\r\\n)"
        )
        #expect(BatchScript.faults(Array("#!/bin/sh\n\u{0}".utf8)).count == 2)
        #expect(
            BatchScript.wrapping("sleep 1")
                == "#!/bin/sh\n# This script was created by sbatch --wrap.\n\nsleep 1\n")
    }
}
