import BurstModel
import BurstTestSupport
import Testing

/// Ages that the engine itself tells.
struct ExactTests {
    @Test func anExactAgeReplacesWhatWasSeen() {
        var watch = Watch(source: SourceInfo(kind: .burstd), zone: .fixed())
        let start = Timestamp(milliseconds: 1_790_000_000_000)
        func text(_ state: String) -> [UInt8] {
            Array(
                """
                Name=lua DefaultPool=(null) Granularity=1 TotalSpace=0 FreeSpace=0 UsedSpace=0
                  PoolName[0]=nvme Granularity=1GiB TotalSpace=8TiB FreeSpace=8TiB UsedSpace=1GiB
                  Flags=DisablePersistent
                  StageInTimeout=100 StageOutTimeout=100 ValidateTimeout=5 OtherTimeout=40
                  Allocated Buffers:
                    JobID=7 CreateTime=2026-09-21T14:00:00 Pool=nvme Size=1GiB State=\(state) UserID=alice(1001)

                """.utf8)
        }
        func see(_ state: String, at: Timestamp) {
            let result = CommandResult(end: .exit(0), output: text(state))
            watch.ingest(
                Sample.read(
                    .burst, arguments: Call.burst.arguments(), result: result, startedAt: at, durationMilliseconds: 0,
                    zone: .fixed()))
        }
        see("staging-in", at: start)
        let exact = start.adding(seconds: -90)
        #expect(watch.board(at: start).bufferRows[0].since != exact)
        watch.take(exact: [JobID(7): exact, JobID(99): start], at: start)
        var row = watch.board(at: start).bufferRows[0]
        #expect(row.since == exact && row.sinceSeen)
        #expect(row.ageText(at: start) == Age.short(seconds: 90))
        // It stays so while nothing changes, and gives way to a change that is seen.
        see("staging-in", at: start.adding(seconds: 5))
        #expect(watch.board(at: start.adding(seconds: 5)).bufferRows[0].since == exact)
        see("running", at: start.adding(seconds: 10))
        row = watch.board(at: start.adding(seconds: 10)).bufferRows[0]
        #expect(row.since > exact && row.sinceSeen)
    }
}
