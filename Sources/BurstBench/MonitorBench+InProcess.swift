import BurstModel
import BurstScreen
import BurstTestSupport

extension MonitorBench {
    /// A8: what the model does with 100,000 buffers, without a terminal.
    func measureInProcess() throws(HarnessError) {
        let text = Self.large.burstText()
        let jobs = Self.large.jobsText()
        let bytes = Figure.plain(Double(text.count) / 1e6)
        var parse = Figure("A8", "parse N=100,000, \(bytes) MB of text", "ms", target: 400)
        var parseJobs = Figure(
            "A8", "parse 99,000 jobs, \(Figure.plain(Double(jobs.count) / 1e6)) MB", "ms", target: nil)
        var join = Figure("A8", "join, age and judge N=100,000", "ms", target: nil)
        var sort = Figure("A8", "sort N=100,000 by size", "ms", target: 100)
        var sortText = Figure("A8", "sort N=100,000 by user", "ms", target: 100)
        var filter = Figure("A8", "filter N=100,000: user=carol size>100G", "ms", target: 50)
        let zone = LocalTime.Zone.fixed()
        let now = zone.moment(Self.large.now)
        var watch = Watch(source: SourceInfo(kind: .slurm), zone: zone)
        for round in 0..<5 {
            let at = now.adding(seconds: round * 60)
            func sample(_ call: Call, _ output: [UInt8]) -> Sample {
                Sample.read(
                    call, arguments: call.arguments(), result: CommandResult(end: .exit(0), output: output),
                    startedAt: at, durationMilliseconds: 20, zone: zone)
            }
            let changed = round == 0 ? text : Self.large.burstText(tick: round)
            var samples: [Sample] = []
            parse.ours.add(time { samples.append(sample(.burst, changed)) })
            parseJobs.ours.add(time { samples.append(sample(.jobs, jobs)) })
            var board = watch.board(at: at)
            join.ours.add(
                time {
                    for sample in samples { watch.ingest(sample) }
                    board = watch.board(at: at.adding(seconds: 1))
                })
            let context = TableContext(board: board, zone: zone)
            func order(_ sort: String, _ filter: Filter? = nil) -> Int {
                var query = TableQuery(screen: .buffers)
                query.sort = sort
                query.filter = filter
                return Table.order(query, context).count
            }
            var rows = 0
            sort.ours.add(time { rows = order("size") })
            guard rows == Self.large.buffers else { throw HarnessError("only \(rows) rows are shown") }
            sortText.ours.add(time { rows = order("user") })
            let expression = "user=carol size>100G"
            filter.ours.add(
                time {
                    let filter = try? Filter(expression, fields: Table.fields(.buffers))
                    rows = order("size", filter)
                })
            guard (1..<Self.large.buffers).contains(rows) else { throw HarnessError("the filter shows \(rows) rows") }
        }
        for var figure in [parse, parseJobs, join, sort, sortText, filter] {
            figure.note = "in process"
            add(figure)
        }
    }

    private func time(_ body: () -> Void) -> Double {
        let start = PseudoTerminal.now
        body()
        return Session.milliseconds(start, PseudoTerminal.now)
    }
}
