import BurstModel
import BurstTestSupport
import Testing

@Suite struct SqueueTextTests {
    static let values = [
        "43", "40", "3", "alice", "1001", "bio", "work", "normal", "cfd", "PENDING", "BurstBufferStageIn", "4294901759",
        "#BB_LUA pool=nvme capacity=4GB", "staging-in", "2026-11-22T10:00:00", "2026-11-22T11:00:00", "N/A", "maint",
        "(null)",
    ]

    static func record(_ changes: [Int: String] = [:]) -> String {
        values.enumerated().map { changes[$0] ?? $1 }.joined(separator: "\u{1f}") + "\u{1e}"
    }

    private func read(_ text: String) -> (jobs: [Job], faults: [Fault]) {
        SqueueText.parse(Array(text.utf8), zone: .fixed())
    }

    @Test func theCommandAsksForEveryFieldThatIsRead() {
        #expect(SqueueText.arguments().starts(with: ["squeue", "-a", "-t", "all", "-h", "-O"]))
        #expect(SqueueText.arguments(user: "bob").contains("bob"))
        #expect(SqueueText.format.filter { $0 == "\u{1f}" }.count == Self.values.count - 1)
        #expect(SqueueText.format.hasPrefix("JobID:\u{1f},ArrayJobID:\u{1f},"))
    }

    @Test func aRecordGivesEveryField() throws {
        let (jobs, faults) = read(Self.record())
        let job = try #require(jobs.first)
        #expect(faults.isEmpty && jobs.count == 1)
        #expect(job.id == JobID(43) && job.arrayJobID == JobID(40) && job.arrayTask == "3" && job.shortID == "40_3")
        #expect(job.user == "alice" && job.uid == 1001 && job.account == "bio" && job.partition == "work")
        #expect(job.qos == "normal" && job.name == "cfd" && job.state == .pending && job.priority == 4_294_901_759)
        #expect(job.reason == "BurstBufferStageIn" && job.bufferState == .stagingIn && job.reservation == "maint")
        #expect(job.submitted == Timestamp(rfc3339: "2026-11-22T10:00:00Z") && job.end == nil)
        #expect(job.systemComment == nil && job.spec == Self.values[12])
    }

    @Test func newlinesInFieldsBelongToThem() throws {
        let spec = "#DW jobdw capacity=4GB\n#DW stage_in type=file"
        let changes = [8: "a\nb", 10: "burst_buffer/datawarp: teardown: busy\n", 12: spec, 18: "one\n\ntwo"]
        let (jobs, faults) = read(Self.record(changes) + "\n" + Self.record([0: "44"]) + "\n")
        #expect(faults.isEmpty && jobs.map(\.id.number) == [43, 44])
        #expect(jobs[0].name == "a\nb" && jobs[0].spec == spec && jobs[0].systemComment == "one\n\ntwo")
        #expect(jobs[0].reasonLine == "burst_buffer/datawarp: teardown: busy")
    }

    @Test func emptyFieldsOfOlderReleasesKeepTheirPlaces() {
        let (jobs, faults) = read(Self.record([18: "", 13: "", 1: "", 2: "N/A"]))
        #expect(faults.isEmpty && jobs[0].bufferState == nil && jobs[0].arrayJobID == nil && jobs[0].shortID == "43")
    }

    @Test func aDamagedRecordCostsItselfOnly() {
        let bad = Self.record([0: "x"]) + Self.record([9: ""]) + "a\u{1f}b\u{1e}"
        let (jobs, faults) = read(Self.record([0: "1"]) + bad + Self.record([0: "2"]))
        #expect(jobs.map(\.id.number) == [1, 2] && faults.count == 3)
    }

    @Test func aReplyThatEndsInARecordIsAFault() {
        let (jobs, faults) = read(Self.record() + "44\u{1f}40")
        #expect(jobs.count == 1 && faults.count == 1)
        #expect(faults[0].message.contains("ends in the middle of record 2"))
    }

    @Test func manyFaultsAreCounted() {
        let (jobs, faults) = read(String(repeating: "x\u{1e}", count: 100))
        #expect(
            jobs.isEmpty && faults.count == BurstReport.faultsMax && faults.last?.message.contains("80 more") == true)
    }

    @Test func anEmptyReplyIsNoJobs() {
        #expect(read("").jobs.isEmpty && read("\n").faults.isEmpty)
    }
}

@Suite struct ShowTextTests {
    @Test func everyRecordedJobIsReadWithItsStateAndReason() {
        var count = 0
        for section in Fixtures.slurm("show-job") {
            let text = String(decoding: section.output, as: UTF8.self)
            let expected = text.split(separator: "\n").count { $0.hasPrefix("JobId=") }
            let (jobs, faults) = ShowText.jobs(section.output, zone: .fixed())
            #expect(jobs.count == expected, "\(section)")
            if expected > 0 { #expect(faults.isEmpty, "\(section)") }
            for detail in jobs {
                #expect(!detail.job.user.isEmpty && !detail.job.reason.isEmpty, "\(section)")
                #expect(detail.job.state.code.count >= 1 && detail.job.submitted != nil, "\(section)")
                #expect(detail.fields.first?.key == "JobId" && detail.text.hasPrefix("JobId="), "\(section)")
            }
            count += jobs.count
        }
        #expect(count > 500)
    }

    @Test func everyRecordedFailureIsAnIncident() {
        var hooks = Set<String>()
        for section in Fixtures.slurm("show-job") {
            for detail in ShowText.jobs(section.output, zone: .fixed()).jobs {
                guard let comment = detail.job.systemComment else { continue }
                let entries = comment.components("burst_buffer/")
                #expect(detail.job.incidents.count == entries, "\(section): \(comment)")
                hooks.formUnion(detail.job.incidents.map(\.hook))
            }
        }
        #expect(hooks.isSuperset(of: ["setup", "data_in", "pre_run", "post_run", "data_out", "teardown"]))
    }

    @Test func everyRecordedDirectiveIsWhole() {
        var lines = Set<Int>()
        for section in Fixtures.slurm("show-job") {
            for detail in ShowText.jobs(section.output, zone: .fixed()).jobs {
                guard let spec = detail.job.spec else { continue }
                let parts = spec.split(separator: "\n")
                #expect(parts.allSatisfy { $0.hasPrefix("#") }, "\(section): \(spec)")
                lines.insert(parts.count)
            }
        }
        #expect(lines.contains(1) && lines.contains(3))
    }

    @Test func textWithoutRecordsIsAFaultAndNoJobsIsNone() {
        #expect(ShowText.jobs(Array("garbage\n".utf8), zone: .fixed()).faults.count == 1)
        #expect(ShowText.jobs(Array("No jobs in the system\n".utf8), zone: .fixed()).faults.isEmpty)
        #expect(ShowText.jobs([], zone: .fixed()).faults.isEmpty)
        #expect(ShowText.jobs(Array("JobId=x JobName=a\n".utf8), zone: .fixed()).faults.count == 1)
    }

    @Test func everyRecordedReservationIsRead() {
        var texts = Set<String>()
        for section in Fixtures.slurm("show-reservation") {
            let expected = String(decoding: section.output, as: UTF8.self).split(separator: "\n")
                .count { $0.hasPrefix("ReservationName=") }
            let (reservations, faults) = ShowText.reservations(section.output, zone: .fixed())
            #expect(reservations.count == expected && faults.isEmpty, "\(section)")
            #expect(reservations.allSatisfy { $0.start != nil && $0.end != nil && $0.state != nil }, "\(section)")
            texts.formUnion(reservations.compactMap(\.burstBuffer))
        }
        #expect(texts.isSuperset(of: ["datawarp:100GB,datawarp:dwcache:1000", "999TB", "lua:0"]))
    }

    @Test func recordedConfigurationsNameThePlugin() {
        let sections = Fixtures.slurm("show-config").filter { $0.origin.contains("/formats/") }
        #expect(sections.count == 4)
        for section in sections {
            let config = ShowText.config(section.output)
            let words = section.origin.split(separator: "/")
            #expect(config.burstBufferType == "burst_buffer/\(words[1])", "\(section)")
            #expect(config.version?.hasPrefix(words[0]) == true && config.messageTimeoutSeconds == 10, "\(section)")
        }
    }

    @Test func aConfigurationIsReadByKey() {
        let text = """
            Configuration data as of 2026-11-23T23:01:32
            BOOT_TIME               = 2026-11-23T23:01:31
            BurstBufferType         = burst_buffer/lua
            ClusterName             = alps
            MessageTimeout          = 10 sec
            MinJobAge               = 300 sec
            PowerPlugin             = 
            PrivateData             = none
            SlurmctldHost[0]        = node1(127.0.0.1)
            SLURM_VERSION           = 22.05.8
            """
        let config = ShowText.config(Array(text.utf8))
        #expect(config.cluster == "alps" && config.version == "22.05.8" && config.host == "node1")
        #expect(config.bootTime?.text == "2026-11-23T23:01:31" && config.burstBufferType == "burst_buffer/lua")
        #expect(config.minJobAgeSeconds == 300 && config.messageTimeoutSeconds == 10 && config.privateData == "none")
        #expect(config.fields.count == 9)
    }
}

extension String {
    /// How often a text occurs.
    fileprivate func components(_ text: String) -> Int {
        var count = 0
        var rest = self[...]
        while !rest.isEmpty {
            if rest.hasPrefix(text) { count += 1 }
            rest = rest.dropFirst()
        }
        return count
    }
}
