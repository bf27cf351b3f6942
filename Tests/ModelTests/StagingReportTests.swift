import BurstModel
import BurstStager
import BurstTestSupport
import Testing

/// The stager's document, as its own writer makes it and as it may be damaged.
@Suite struct StagingReportTests {
    private static let at = Timestamp(seconds: 1_800_000_000)

    private static func document() -> StagerDocument {
        var document = StagerDocument.busy(
            at: at, tokens: ["7", "8", "9", "10", "alpha"], uids: [1001, 1002, 1001, 1002, 1003])
        document.quarantine("6", failures: 4, error: "busy", since: at.adding(seconds: -90))
        return document
    }

    @Test func allThatTheStagerTellsIsRead() throws {
        let report = StagingReport(json: Self.document().json())
        #expect(report.faults == [])
        #expect(report.generatedAt == Self.at)
        #expect(
            report.pools.map(\.id) == ["nvme"] && report.pools[0].quantity == 100 && report.pools[0].limit == "hard")
        #expect(
            report.sessions.map(\.phase.name) == [
                "staging-in", "staging-out", "pre-run", "stage-out-failed", "running",
            ])
        #expect(report.sessions.map(\.slurmState) == [.stagingIn, .stagingOut, .preRun, .stagingOut, .running])
        let session = report.sessions[0]
        #expect(session.key == StagingReport.Key(token: "7", generation: 1) && session.owner == 1001)
        #expect(session.bytes == 3072 << 30 && session.creator == "SLURM" && session.isListed && !session.isLost)
        let progress = try #require(session.progress)
        #expect(progress.direction == "stage_in" && progress.planComplete && progress.percent == 90)
        #expect(progress.bytesText == "2.55T/2.83T" && progress.filesText == "3100/3400")
        #expect(progress.rateText == "4.35G/s" && progress.etaText == "1m" && progress.threads == 4)
        #expect(progress.active.map(\.path) == ["genomes/hg38/chr1.fa", "genomes/hg38/chr2.fa"])
        #expect(progress.active[0].share == 0.25 && progress.quotaLimit == 3072 << 30 && progress.inodeUsed == nil)
        let growing = try #require(report.sessions[1].progress)
        #expect(growing.percentText == "?" && growing.bytesText == "1.00G/4.00G+" && growing.filesText == "200/800+")
        #expect(growing.isEtaLowerBound && growing.etaText.hasPrefix(">="))
        let failed = try #require(report.sessions[3].details)
        #expect(failed.hasUnsaved && failed.lastError == "/lus/r: Disk quota exceeded")
        #expect(failed.progress?.errors == 3 && failed.progress?.lastError == "/lus/r/out.0042: Disk quota exceeded")
        #expect(report.quarantine.map(\.failures) == [4] && report.quarantine[0].lastError == "busy")
    }

    @Test func othersSessionsComeWithoutDetails() {
        let report = StagingReport(json: Self.document().json(viewer: .user(1001)))
        #expect(report.faults == [])
        #expect(report.sessions.map { $0.details != nil } == [true, false, true, false, false])
        #expect(report.sessions[1].phase.name == "staging-out" && report.sessions[1].progress == nil)
        #expect(report.quarantine[0].lastError == "busy")
        #expect(StagingReport(json: Self.document().json(viewer: .nobody)).quarantine[0].lastError == nil)
    }

    @Test func wrongTypesAreNamedAndTheRestIsKept() {
        let text = """
            {"schema":2,"new":[{"x":1}],"generated_at":"yesterday","pools":{"id":"nvme"},"sessions":[
              {"token":"7","phase":"staging-in","bytes":"many","owner":4294967296,"surprise":true,"hurry":false,
               "progress":{"percent":101,"eta":-1,"files_done":3,"active":[{"size":1},{"path":"a","size":2.5}]}},
              5, {"token":7,"phase":"running"}, {"phase":"running"}, {"token":"8","phase":"running","lost":1}
            ],"quarantine":null}
            """
        let report = StagingReport(json: Array(text.utf8))
        #expect(
            report.faults.map(\.message) == [
                "schema: 2 is not known, only 1: some of what follows may mean something else",
                "generated_at: a time was expected, not a text",
                "pools: a list was expected, not an object",
                "sessions[0].owner: a user's number was expected, not a number",
                "sessions[0].bytes: a whole number was expected, not a text",
                "sessions[0].progress.percent: a number from 0 to 100 was expected, not a number",
                "sessions[0].progress.eta: a whole number was expected, not a number",
                "sessions[0].progress.active[0].path: is missing",
                "sessions[0].progress.active[1].size: a whole number was expected, not a number",
                "sessions[1]: an object was expected, not a number",
                "sessions[2].token: a text was expected, not a number",
                "sessions[3].token: is missing",
                "sessions[4].lost: true or false was expected, not a number",
            ])
        #expect(report.sessions.map(\.token) == ["7", "8"])
        #expect(report.sessions[0].progress?.filesDone == 3 && report.sessions[0].progress?.active.map(\.path) == ["a"])
    }

    static let damages: [(String, String)] = [
        ("", "byte 0: the document ends too early"),
        ("dwstat: cannot connect\n", "byte 0: no value begins like this"),
        ("[]", "an object was expected, not a list"),
        (#"{"a":1}{"#, "byte 7: something follows the document"),
        (#"{"a":1,}"#, "byte 7: a member's name is missing"),
        (#"{"a":01}"#, "byte 7: a number that begins with 0"),
        (#"{"a":"x"#, "byte 7: a text without its end"),
        (#"{"a":"\q"}"#, "byte 8: no escape is written like this"),
        (#"{"a":1e999}"#, "byte 10: a number that is too large"),
        (#"{"a":NaN}"#, "byte 5: no value begins like this"),
        (String(repeating: "[", count: 40), "byte 33: more than 32 lists within each other"),
    ]

    @Test(arguments: damages) func damageIsOneFaultWithItsPlace(text: String, message: String) {
        let report = StagingReport(json: Array(text.utf8))
        #expect(report.isEmpty && report.faults.map(\.message) == [message])
        let sample = Sample.read(
            .staging, arguments: Call.staging.arguments(),
            result: CommandResult(end: .exit(0), output: Array(text.utf8)), startedAt: Self.at,
            durationMilliseconds: 0, zone: .fixed())
        #expect(sample.answer == .failure("dwstat --json: \(message)"))
    }

    @Test func treesAreReadAsTheyWereWritten() throws {
        let text = #"{"a":[null,true,-3,18446744073709551615,0.5,"\u00e9\ud83d\ude00\n\"",{}],"b":"\ud800"}"#
        let value = try JSONValue(json: Array(text.utf8))
        #expect(
            value
                == .object([
                    "a": .array([
                        .null, .flag(true), .real(-3), .whole(.max), .real(0.5), .text("é😀\n\""), .object([:]),
                    ]), "b": .text("\u{fffd}"),
                ]))
        var writer = JSONWriter(pretty: false)
        writer.tree(value)
        #expect(try JSONValue(json: writer.bytes) == value)
    }

    @Test func aRecordedCommandLineIsTheCall() {
        #expect(Call(arguments: Call.staging.arguments()) == .staging)
        #expect(Call(arguments: ["dwstat", "pools"]) == nil)
    }
}
