import BurstModel
import BurstTestSupport
import Testing

@Suite struct ShowBurstTests {
    @Test func printingWhatWasReadGivesBackEveryRecordedReplyByteForByte() {
        let sections = Fixtures.slurm("show-burst")
        #expect(sections.count > 600)
        for section in sections {
            let layout = BurstReport.Layout.detect(section.output)
            let report = BurstReport.parse(showBurst: section.output)
            let printed = report.slurmText(layout)
            let expected = String(decoding: section.output, as: UTF8.self)
            if expected.hasPrefix("Name=") {
                #expect(printed == expected, "\(section)")
                #expect(report.faults == [], "\(section)")
            } else {
                #expect(!report.faults.isEmpty, "\(section)")
            }
        }
    }
}
