import BurstModel
import Testing

/// What fuzzing has found, in words.
@Suite struct FoundByFuzzingTests {
    private static let header = """
        Name=lua DefaultPool=(null) Granularity=1 TotalSpace=0 FreeSpace=0 UsedSpace=0
          PoolName[0]=nvme Granularity=1GiB TotalSpace=10TiB FreeSpace=9TiB UsedSpace=1TiB
        """
    private static let row =
        "    JobID=7 CreateTime=2026-11-22T22:13:35 Pool=nvme Size=1TiB State=allocated UserID=alice(1001)"
    private static let use = "    UserID=alice(1001) Used=1TiB"

    private func read(_ lines: String...) -> BurstReport {
        BurstReport.parse(showBurst: Array((lines.joined(separator: "\n") + "\n").utf8))
    }

    @Test func usersWhoseHeadingIsDamagedAreStillUsers() throws {
        let report = read(Self.header, "  Allocated Buffers:", Self.row, "  Per User #!", Self.use)
        let plugin = try #require(report.plugins.first)
        #expect(plugin.buffers.count == 1)
        #expect(plugin.users == [UserUse(user: "alice", uid: 1001, used: Amount(text: "1TiB"))])
        #expect(!report.faults.isEmpty)
    }

    @Test func buffersUnderTheWrongHeadingAreStillBuffers() throws {
        let report = read(Self.header, "  Per User Buffer Use:", Self.row, Self.row, "  Per User Buffer Use:", Self.use)
        let plugin = try #require(report.plugins.first)
        #expect(plugin.buffers.map(\.id) == [.job(JobID(7)), .job(JobID(7))])
        #expect(plugin.users.count == 1)
        // One fault for the heading, none for each row.
        #expect(report.faults.count == 1)
    }

    @Test func poolsAreReadWithoutTheFirstLine() throws {
        let report = read("#!", "  PoolName[0]=nvme Granularity=1GiB TotalSpace=10TiB FreeSpace=9TiB UsedSpace=1TiB")
        #expect(report.plugins.first?.pools.map(\.name) == ["nvme"])
        #expect(report.faults.contains { $0.message.contains("first line is missing") })
        // Anything else that is indented is no header.
        #expect(read("  slurm is down", "  try again").plugins.isEmpty)
    }

    @Test func aCarriageReturnDoesNotJoinLines() {
        let text = "ClusterName = alps\r\nSLURM_VERSION = 26.05.0\nMinJobAge = 300 sec\n"
        #expect(ShowText.config(Array(text.utf8)).fields.map(\.key) == ["ClusterName", "SLURM_VERSION", "MinJobAge"])
        let record = "JobId=7 JobName=a\r\n   JobState=RUNNING Reason=None\r\n   UserId=alice(1001)\r\n"
        let jobs = ShowText.jobs(Array(record.utf8), zone: .fixed()).jobs
        #expect(jobs.first?.job.state == .running)
        #expect(jobs.first?.job.uid == 1001)
        let reservations = "ReservationName=a State=ACTIVE\r\nReservationName=b State=ACTIVE\n"
        #expect(ShowText.reservations(Array(reservations.utf8), zone: .fixed()).reservations.map(\.name) == ["a", "b"])
    }
}
