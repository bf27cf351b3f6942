import BurstModel
import BurstReports
import BurstTestSupport
import Testing

@Suite struct BoardDocumentTests {
    private let schema: JSONSchema

    init() throws {
        schema = JSONSchema(try JSON(Array(BoardDocument.schema.utf8)))
    }

    private static let boards = [
        SampleBoards.full, SampleBoards.stale, SampleBoards.empty, SampleBoards.noPlugin, SampleBoards.neverAnswered,
        SampleBoards.calm,
    ]

    @Test(arguments: boards.indices, [true, false])
    func documentsFitTheSchema(_ board: Int, _ pretty: Bool) throws {
        let document = try JSON(BoardDocument(Self.boards[board]).json(pretty: pretty))
        #expect(schema.faults(in: document) == [])
    }

    @Test func theSchemaIsTheFileInTheTree() {
        let file = Fixtures.bytes(of: Fixtures.top + "/Sources/BurstReports/Resources/burstmon.schema.json")
        #expect(Array(BoardDocument.schema.utf8) == file)
    }

    @Test func everyObjectOfTheSchemaIsClosedAndRequiresAllItsKeys() throws {
        func check(_ schema: JSON, _ place: String) {
            if let properties = schema["properties"] {
                #expect(schema["additionalProperties"] == .flag(false), "\(place)")
                let required = schema["required"]?.elements.compactMap(\.text) ?? []
                #expect(Set(required) == Set(properties.members.keys), "\(place)")
            }
            for (name, inner) in schema.members { check(inner, "\(place).\(name)") }
        }
        check(try JSON(Array(BoardDocument.schema.utf8)), "$")
    }

    @Test func wrongDocumentsDoNotFitTheSchema() throws {
        let good = try JSON(BoardDocument(SampleBoards.full).json(pretty: false))
        #expect(schema.faults(in: good) == [])
        var wrong: [(String, JSON)] = []
        func add(_ what: String, _ change: (inout JSON) -> Void) {
            var document = good
            change(&document)
            wrong.append((what, document))
        }
        add("$: has extra") { $0["extra"] = .null }
        add("$: lacks stale") { $0["stale"] = nil }
        add("$.schema: is none of those listed") { $0["schema"] = .number(2) }
        add("$.sampled_at: is no time") { $0["sampled_at"] = .text("2026-11-22 14:02:11") }
        add("$.stale: is string, not [\"boolean\"]") { $0["stale"] = .text("false") }
        add("$.pools[0]: lacks drained") { $0["pools"]?[0]["drained"] = nil }
        add("$.pools[1].used: is string, not [\"integer\", \"null\"]") { $0["pools"]?[1]["used"] = .text("8") }
        add("$.calls.count: -1 is outside of its minimum 0") { $0["calls"]?["count"] = .number(-1) }
        add("$.buffers[2].uid: 4294967296 is outside of its maximum 4294967295") {
            $0["buffers"]?[2]["uid"] = .number(1 << 32)
        }
        add("$.buffers[0].text: has x") { $0["buffers"]?[0]["text"]?["x"] = .text("") }
        add("$.alerts[0].severity: is none of those listed") { $0["alerts"]?[0]["severity"] = .text("fatal") }
        add("$.users: is object, not [\"array\"]") { $0["users"] = .object([:]) }
        for (fault, document) in wrong {
            #expect(document != good, "\(fault)")
            #expect(schema.faults(in: document) == [fault])
        }
    }

    @Test func figuresAreThoseOfTheBoard() throws {
        let board = SampleBoards.full
        let document = try JSON(BoardDocument(board).json(pretty: false))
        let pools = document["pools"]!.elements
        for (key, value) in [
            ("total", 6144), ("used", 4400), ("free", 1200), ("drained", 544), ("largest_request", 1200),
            ("granularity", 200), ("reserved", 200),
        ] {
            #expect(pools[0][key]?.number == Int64(value) << 30, "\(key)")
        }
        #expect(pools[0]["default"] == .flag(true))
        #expect(pools[0]["unit"] == .text("bytes"))
        #expect(pools[1]["unit"] == .text("units"))
        #expect(pools[1]["free"] == .number(-3))
        #expect(pools[1]["largest_request"] == .number(0))
        #expect(pools[1]["drained"] == .number(0))
        #expect(pools[1]["waiting_jobs"] == .number(7))
        #expect(pools[1]["text"]?["free"] == .text("18446744073709551613"))
        let total = board.poolRows.reduce(0) { $0 + Int64($1.pool.used.known ?? 0) }
        #expect(pools.reduce(0) { $0 + ($1["used"]?.number ?? 0) } == total)
        let sizes = document["buffers"]!.elements.reduce(0) { $0 + ($1["size"]?.number ?? 0) }
        #expect(sizes == Int64(board.stageSummaries.reduce(0) { $0 + $1.size }))
        #expect(document["buffers"]!.elements.count == board.presentBuffers)
        #expect(document["generated_at"] == .text("2026-11-22T14:02:15Z"))
        #expect(document["sampled_at"] == .text("2026-11-22T14:02:11Z"))
        #expect(document["jobs_sampled_at"] == .text("2026-11-22T14:01:48Z"))
        #expect(document["stale"] == .flag(false))
        #expect(document["error"] == .null)
        let plugin = document["plugins"]![0]
        #expect(plugin["allow_users"] == .array([.text("alice"), .text("dan")]))
        #expect(plugin["deny_users"] == .array([]))
        #expect(plugin["get_sys_state"] == .text("/opt/dw_wlm_cli"))
        #expect(plugin["get_sys_status"] == .null)
        #expect(plugin["stage_in_timeout"] == .number(86400))
    }

    @Test func buffersJobsAndUsersKeepWhatIsKnownAndWhatIsNot() throws {
        let document = try JSON(BoardDocument(SampleBoards.full).json(pretty: true))
        let buffers = document["buffers"]!.elements
        #expect(buffers[0]["created_at"] == .text("2026-11-21T17:01:07Z"))
        #expect(buffers[0]["state_age_seconds"] == .number(38 * 60))
        #expect(buffers[0]["state_age_seen"] == .flag(false))
        #expect(buffers[0]["job_buffer_state"] == .text("teardown"))
        #expect(buffers[0]["reason"] == .text("burst_buffer/datawarp: teardown:\nexit 23"))
        #expect(buffers[0]["array_job_id"] == .null)
        #expect(buffers[1]["id"] == .text("169502_7"))
        #expect(buffers[1]["job_id"] == .number(169509))
        #expect(buffers[1]["array_job_id"] == .number(169502))
        #expect(buffers[1]["array_task_id"] == .number(7))
        #expect(buffers[1]["size"] == .number(3200 << 30))
        #expect(buffers[1]["text"]?["size"] == .text("3276800MiB"))
        #expect(buffers[1]["text"]?["id"] == .text("JobID=169502_7(169509)"))
        #expect(buffers[2]["name"] == .text("al\"pha\u{1b}[1m\nü"))
        #expect(buffers[2]["size"] == .null)
        #expect(buffers[2]["pool"] == .null)
        #expect(buffers[2]["state"] == .text("42"))
        #expect(buffers[2]["state_age_seconds"] == .number(0))
        #expect(buffers[2]["text"]?["created"] == .text("never"))
        #expect(document["gone_buffers"]![0]["id"] == .text("169460"))
        #expect(document["gone_buffers"]![0]["gone_at"] == .text("2026-11-22T13:52:15Z"))
        let jobs = document["jobs"]!.elements
        #expect(jobs[0]["expected_start"] == .null)
        #expect(jobs[0]["held"] == .flag(false))
        #expect(jobs[0]["need"] == .null)
        #expect(jobs[1]["expected_start"] == .text("2026-11-22T15:02:15Z"))
        #expect(jobs[1]["held"] == .flag(true))
        #expect(jobs[1]["need"] == .number(3200 << 30))
        #expect(jobs[1]["spec"] == .text("#BB_LUA pool=wlm_pool capacity=3200GiB\n#BB_LUA x\\y"))
        #expect(document["users"]![1]["used"] == .null)
        #expect(
            document["alerts"]!.elements.map { $0["acknowledged"] }
                == [false, false, false, true, false].map { .flag($0) })
        #expect(document["events"]![0]["level"] == .text("err"))
    }

    @Test func outagesAreSaid() throws {
        let stale = try JSON(BoardDocument(SampleBoards.stale).json(pretty: false))
        #expect(stale["stale"] == .flag(true))
        #expect(stale["error"] == .text("Unable to contact slurm controller | connect failure"))
        #expect(stale["pools"]!.elements.count == 2)
        let never = try JSON(BoardDocument(SampleBoards.neverAnswered).json(pretty: false))
        #expect(never["stale"] == .flag(true))
        #expect(never["sampled_at"] == .null)
        #expect(never["calls"]?["failures"] == .number(6))
        let empty = try JSON(BoardDocument(SampleBoards.empty).json(pretty: false))
        #expect(empty["error"] == .text("no answer yet"))
        let none = try JSON(BoardDocument(SampleBoards.noPlugin).json(pretty: false))
        #expect(none["stale"] == .flag(false))
        #expect(none["error"] == .text("no burst buffer plugin is configured"))
    }

    @Test func oneLineUnlessPretty() {
        let line = BoardDocument(SampleBoards.full).json(pretty: false)
        #expect(!line.contains(10))
        let empty = String(decoding: BoardDocument(SampleBoards.empty).json(pretty: true), as: UTF8.self)
        #expect(
            empty.hasPrefix(
                """
                {
                  "schema": 1,
                  "source": {
                    "kind": "slurm",
                    "cluster": null,
                    "version": null
                  },

                """))
        #expect(
            empty.hasSuffix(
                """
                  "alerts": [],
                  "events": []
                }
                """))
        #expect(
            BoardDocument(SampleBoards.full).json(pretty: true) == BoardDocument(SampleBoards.full).json(pretty: true))
    }

    /// Real replies of both releases and both plugins, each as the board of a single sample.
    @Test func recordedRepliesFitTheSchema() throws {
        for section in Fixtures.slurm("show-burst").enumerated().filter({ $0.offset % 7 == 0 }).map(\.element) {
            let report = BurstReport.parse(showBurst: section.output)
            var board = Board(source: SourceInfo(kind: .replay), now: SampleBoards.now)
            board.health = .live
            board.burst = Sampled(report, at: board.now, durationMilliseconds: 1)
            board.faults = report.faults
            for (plugin, record) in report.plugins.enumerated() {
                board.poolRows += record.pools.map { PoolRow(pool: $0, history: PoolHistory()) }
                for (index, buffer) in record.buffers.enumerated() {
                    var row = BufferRow(
                        key: BufferKey(plugin: record.name, id: buffer.id), since: board.now, sinceSeen: false)
                    row.place = .init(plugin: Int32(plugin), index: Int32(index))
                    board.bufferRows.append(row)
                }
            }
            let document = try JSON(BoardDocument(board).json(pretty: false))
            #expect(schema.faults(in: document) == [], "\(section)")
            #expect(document["buffers"]!.elements.count == report.bufferCount, "\(section)")
            for (printed, pool) in zip(document["pools"]!.elements, report.plugins.flatMap(\.pools)) {
                #expect(printed["total"]?.number == pool.total.known.map { Int64($0) }, "\(section)")
                #expect(printed["text"]?["total"]?.text == pool.total.text, "\(section)")
            }
            _ = OnceReport(board)
            #expect(!CheckReport(board).line.contains("\n"))
        }
    }
}
