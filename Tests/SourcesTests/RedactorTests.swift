import BurstModel
import BurstTestSupport
import Testing

@testable import BurstSources

@Suite struct RedactorTests {
    private func redact(_ redactor: inout Redactor, _ call: Call, _ text: [UInt8]) -> [UInt8] {
        var arguments = call.arguments()
        var result = CommandResult(end: .exit(0), output: text)
        redactor.redact(&arguments, &result)
        return result.output
    }

    @Test func namesGoAndFiguresStay() async {
        var redactor = Redactor()
        for section in Fixtures.slurm("show-burst") {
            await Task.yield()
            let before = BurstReport.parse(showBurst: section.output)
            let text = redact(&redactor, .burst, section.output)
            let after = BurstReport.parse(showBurst: text)
            #expect(after.faults.count == before.faults.count, "\(section)")
            #expect(after.plugins.map(\.pools) == before.plugins.map(\.pools))
            #expect(after.plugins.map(\.name) == before.plugins.map(\.name))
            let (old, new) = (before.plugins.flatMap(\.buffers), after.plugins.flatMap(\.buffers))
            #expect(old.map(\.size) == new.map(\.size) && old.map(\.state) == new.map(\.state))
            #expect(old.map(\.uid) == new.map(\.uid) && old.map(\.createdLocal) == new.map(\.createdLocal))
            #expect(old.map(\.id.jobID) == new.map(\.id.jobID))
            #expect(new.allSatisfy { $0.user.hasPrefix("user") }, "\(section)")
            #expect(new.allSatisfy { $0.account.map { $0.hasPrefix("account") } ?? true })
            #expect(new.allSatisfy { !$0.id.isPersistent || $0.id.short.hasPrefix("buffer") })
            let words = String(decoding: text, as: UTF8.self)
            for user in Set(old.map(\.user)) { #expect(!words.contains("(\(user)") && !words.contains("=\(user)(")) }
        }
    }

    @Test func jobsAreReadAsBefore() async {
        var redactor = Redactor()
        for section in Fixtures.slurm("show-job") {
            await Task.yield()
            let before = ShowText.jobs(section.output, zone: .fixed())
            let text = redact(&redactor, .job(JobID(1)), section.output)
            let after = ShowText.jobs(text, zone: .fixed())
            #expect(after.jobs.count == before.jobs.count && after.faults.count == before.faults.count, "\(section)")
            for (old, new) in zip(before.jobs, after.jobs) {
                #expect(old.fields.map(\.key) == new.fields.map(\.key))
                #expect(old.job.id == new.job.id && old.job.state == new.job.state && old.job.uid == new.job.uid)
                #expect(old.job.bufferState == new.job.bufferState && old.job.priority == new.job.priority)
                #expect(old.job.incidents.count == new.job.incidents.count)
                #expect(old.job.requests.map(\.size) == new.job.requests.map(\.size))
                #expect(new.job.user.hasPrefix("user"))
                #expect(new.job.name.hasPrefix("job"), "\(old.job.name)")
                for key in ["WorkDir", "StdOut", "Command"] {
                    let value = new.fields.first { $0.key == key }?.value ?? "(null)"
                    #expect(value.hasPrefix("/path") || value == "(null)" || value.isEmpty, "\(key) \(value)")
                }
            }
        }
    }

    @Test func theSameNameIsTheSameWordEverywhere() {
        var redactor = Redactor()
        let row = "    JobID=7 Account=bio Partition=work Pool=nvme Size=1GiB State=staged-in UserID=alice(1001)\n"
        #expect(
            String(decoding: redact(&redactor, .burst, Array(row.utf8)), as: UTF8.self)
                == "    JobID=7 Account=account1 Partition=work Pool=nvme Size=1GiB State=staged-in UserID=user1(1001)\n"
        )
        let fields = [
            "7", "7", "N/A", "alice", "1001", "bio", "work", "normal", "my\njob", "PENDING",
            "burst_buffer/lua: cp: /lus/alice/in: no such file for alice", "0",
            "#DW stage_in source=/lus/alice/in destination=$DW_JOB_STRIPED/in type=file\n#BB create_persistent name=scratch1 capacity=3TB",
            "staging-in", "2026-11-23T22:29:41", "N/A", "N/A", "(null)", "(null)",
        ]
        let record = fields.joined(separator: "\u{1f}") + "\u{1e}\n"
        let damaged = "9\u{1f}alice\u{1e}\n"
        let text = redact(&redactor, .jobs, Array((record + damaged).utf8))
        let (jobs, faults) = SqueueText.parse(text, zone: .fixed())
        #expect(jobs.count == 1 && faults.count == 1)
        #expect(jobs[0].user == "user1" && jobs[0].account == "account1" && jobs[0].name == "job1")
        #expect(jobs[0].reason == "burst_buffer/lua: cp: /path1: no such file for user1")
        #expect(
            jobs[0].spec
                == "#DW stage_in source=/path1 destination=$DW_JOB_STRIPED/path2 type=file\n"
                + "#BB create_persistent name=buffer1 capacity=3TB")
        #expect(!String(decoding: text, as: UTF8.self).contains("alice"))
    }

    @Test func configAndReservations() {
        var redactor = Redactor()
        for section in Fixtures.slurm("show-config") {
            let (old, new) = (
                ShowText.config(section.output), ShowText.config(redact(&redactor, .config, section.output))
            )
            #expect(old.version == new.version && old.burstBufferType == new.burstBufferType)
            #expect(old.bootTime == new.bootTime && old.minJobAgeSeconds == new.minJobAgeSeconds)
            #expect(new.cluster == old.cluster.map { _ in "cluster1" })
        }
        for section in Fixtures.slurm("show-reservation") {
            let old = ShowText.reservations(section.output, zone: .fixed())
            let new = ShowText.reservations(redact(&redactor, .reservations, section.output), zone: .fixed())
            #expect(old.reservations.map(\.burstBuffer) == new.reservations.map(\.burstBuffer))
            #expect(old.reservations.map(\.start) == new.reservations.map(\.start))
            #expect(new.faults.count == old.faults.count)
        }
    }

    @Test func theCommandLineIsRedactedToo() {
        var redactor = Redactor()
        var arguments = Call.jobs.arguments(jobsOf: "alice")
        var result = CommandResult(end: .exit(1), errors: Array("squeue: error: Invalid user: alice\n".utf8))
        redactor.redact(&arguments, &result)
        #expect(!arguments.contains("alice") && arguments.contains("user1"))
        #expect(String(decoding: result.errors, as: UTF8.self) == "squeue: error: Invalid user: user1\n")
    }
}
