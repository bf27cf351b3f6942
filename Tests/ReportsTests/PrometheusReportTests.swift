import BurstModel
import BurstReports
import Testing

@Suite struct PrometheusReportTests {
    /// Reads the exposition format strictly: every sample belongs to the family above it, none stands twice.
    private func samples(_ text: String) throws -> [String: String] {
        let helpLine = /# HELP [a-z_][a-z0-9_]* [^\n]+/
        let typeLine = /# TYPE ([a-z_][a-z0-9_]*) (gauge|counter)/
        let sampleLine =
            /([a-z_][a-z0-9_]*)(\{[a-z_]+="(?:[^"\\\n]|\\["\\n])*"(?:,[a-z_]+="(?:[^"\\\n]|\\["\\n])*")*\})? (\+Inf|-?[0-9]+(?:\.[0-9]+)?)/
        #expect(text.last == "\n")
        var found: [String: String] = [:]
        var family: Substring = ""
        var families: Set<Substring> = []
        var type: Substring = ""
        for line in text.split(separator: "\n", omittingEmptySubsequences: false).dropLast() {
            if let match = line.wholeMatch(of: typeLine) {
                family = match.1
                type = match.2
                #expect(families.insert(family).inserted, "\(line)")
            } else if let match = line.wholeMatch(of: sampleLine) {
                #expect(match.1 == family, "\(line)")
                #expect(!family.hasSuffix("_total") || type == "counter" || family.hasPrefix("burst_pool"), "\(line)")
                let key = String(match.1) + String(match.2 ?? "")
                #expect(found.updateValue(String(match.3), forKey: key) == nil, "\(line)")
            } else {
                #expect(line.wholeMatch(of: helpLine) != nil, "\(line)")
            }
        }
        return found
    }

    @Test func figuresAreThoseOfTheBoard() throws {
        let found = try samples(PrometheusReport(SampleBoards.full).text)
        let awkward = #"{plugin="datawarp",pool="licences, \"x=1\""}"#
        let expected = [
            "burst_up": "1", #"burst_info{kind="slurm",cluster="alps",version="26.05.3"}"#: "1",
            "burst_sample_age_seconds": "4.000", "burst_sample_timestamp_seconds": "1795356131.000",
            "burst_calls_total": "42", "burst_call_failures_total": "1", "burst_call_median_seconds": "0.012",
            "burst_call_p95_seconds": "1.040", "burst_faults": "0",
            #"burst_pool_total{plugin="datawarp",pool="wlm_pool"}"#: "6597069766656",
            #"burst_pool_used{plugin="datawarp",pool="wlm_pool"}"#: "4724464025600",
            #"burst_pool_free{plugin="datawarp",pool="wlm_pool"}"#: "1288490188800",
            #"burst_pool_drained{plugin="datawarp",pool="wlm_pool"}"#: "584115552256",
            #"burst_pool_granularity{plugin="datawarp",pool="wlm_pool"}"#: "214748364800",
            #"burst_pool_largest_request{plugin="datawarp",pool="wlm_pool"}"#: "1288490188800",
            #"burst_pool_reserved{plugin="datawarp",pool="wlm_pool"}"#: "214748364800",
            #"burst_pool_waiting_jobs{plugin="datawarp",pool="wlm_pool"}"#: "0",
            "burst_pool_total\(awkward)": "5", "burst_pool_used\(awkward)": "8", "burst_pool_free\(awkward)": "-3",
            "burst_pool_drained\(awkward)": "0", "burst_pool_granularity\(awkward)": "1",
            "burst_pool_largest_request\(awkward)": "0", "burst_pool_reserved\(awkward)": "0",
            "burst_pool_waiting_jobs\(awkward)": "7",
            #"burst_buffers{plugin="datawarp",pool="",state="42"}"#: "1",
            #"burst_buffers{plugin="datawarp",pool="wlm_pool",state="staging-in"}"#: "1",
            #"burst_buffers{plugin="datawarp",pool="wlm_pool",state="teardown"}"#: "1",
            #"burst_user_used{user="alice",uid="4402"}"#: "858993459200",
            #"burst_alerts{rule="R1",severity="crit"}"#: "1", #"burst_alerts{rule="R3",severity="crit"}"#: "1",
            #"burst_alerts{rule="R6",severity="warn"}"#: "1", #"burst_alerts{rule="R12",severity="info"}"#: "1",
        ]
        for (name, value) in expected { #expect(found[name] == value, "\(name)") }
        #expect(Set(found.keys) == Set(expected.keys))
    }

    @Test func oldFiguresAreLeftOut() throws {
        let stale = try samples(PrometheusReport(SampleBoards.stale).text)
        #expect(stale["burst_up"] == "0")
        #expect(stale["burst_sample_age_seconds"] == "4.000")
        #expect(!stale.keys.contains { $0.hasPrefix("burst_pool") || $0.hasPrefix("burst_buffers") })
        for board in [SampleBoards.empty, SampleBoards.noPlugin, SampleBoards.neverAnswered] {
            let found = try samples(PrometheusReport(board).text)
            // A controller without the plugin answers all the same.
            #expect(found["burst_up"] == (board.health == .noPlugin ? "1" : "0"))
            #expect(!found.keys.contains { $0.hasPrefix("burst_pool") })
            #expect(found["burst_sample_age_seconds"] == nil)
        }
    }

    @Test func awkwardNamesStayInTheirQuotes() throws {
        var board = SampleBoards.full
        board.poolRows[0].pool.name = "a\\\"\nb{}é"
        board.poolRows[1].pool.name = "a\\\"\nb{}é"
        board.poolRows[1].pool.total = Amount(text: "INFINITE")
        board.poolRows[1].pool.free = Amount(text: "bad")
        let found = try samples(PrometheusReport(board).text)
        #expect(found[#"burst_pool_used{plugin="datawarp",pool="a\\\"\nb{}é"}"#] == "4724464025600")
        board.poolRows.remove(at: 0)
        let other = try samples(PrometheusReport(board).text)
        #expect(other[#"burst_pool_total{plugin="datawarp",pool="a\\\"\nb{}é"}"#] == "+Inf")
        #expect(!other.keys.contains { $0.hasPrefix("burst_pool_free") || $0.hasPrefix("burst_pool_drained") })
    }
}
