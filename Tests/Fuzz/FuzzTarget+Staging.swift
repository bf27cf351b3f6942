import BurstModel
import BurstStager
import BurstTestSupport

// MARK: The stager's document

extension FuzzTarget {
    /// Any bytes are a report or a fault; what JSON is read is written and read the same again.
    static let staging = FuzzTarget(
        name: "staging",
        seeds: {
            let at = Timestamp(seconds: 1_800_000_000)
            var document = StagerDocument.busy(
                at: at, tokens: ["7", "8", "9", "10", "alpha"], uids: [1001, 1002, 1001, 1002, 1003])
            document.quarantine("6", failures: 4, error: "busy \"x\" \u{e9}\n", since: at)
            return [
                document.json(), document.json(viewer: .nobody),
                Array(
                    #"{"schema":1,"sessions":[{"token":"7","phase":"x","bytes":-1.5e3,"lost":"\ud83d\ude00"},3]}"#.utf8),
            ]
        },
        check: { input in
            let report = StagingReport(json: input)
            if report.faults.count > StagingReport.faultsMax { broken("faults are bounded") }
            for session in report.sessions {
                if session.progress?.percent.map({ !(0...100).contains($0) }) ?? false { broken("a percent is one") }
                _ = session.progress.map { ($0.bytesText, $0.filesText, $0.rateText, $0.etaText, $0.throttleText) }
                _ = (session.phase.direction, session.phase.rank)
            }
            guard let value = try? JSONValue(json: input) else { return }
            var writer = JSONWriter(pretty: false)
            writer.tree(value)
            guard let again = try? JSONValue(json: writer.bytes) else { broken("what was written is JSON") }
            if again != value { broken("what was written is read back unchanged") }
        })
}
