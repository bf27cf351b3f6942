import BurstEngine
import BurstHooks
import BurstTestSupport
import Testing

/// What a function returns, and what is made of it (spec §4.3), in this process and in a child alike.
@Suite struct AnswerTests {
    struct Row: Sendable, CustomStringConvertible {
        var chunk: String
        var end: HookAnswer.End
        var log: String?
        init(_ chunk: String, _ end: HookAnswer.End, log: String? = nil) {
            self.chunk = chunk
            self.end = end
            self.log = log
        }
        var description: String { chunk }
    }

    private static let noNumber = "_handle_lua_return_code: FN returned a non-numeric return code, returning error"
    private static let noString =
        "_handle_lua_return: Cannot handle non-string as second return value for lua function FN."

    static let rows = [
        Row("", .success(message: nil)),
        Row("return slurm.SUCCESS", .success(message: nil)),
        Row("return 0, 'done'", .success(message: "done")),
        Row("return '0', 'done'", .success(message: "done")),
        Row("return 0, ''", .success(message: "")),
        Row("return 0, 5", .success(message: "5")),
        Row("return 0, 'a', 'b', {}", .success(message: "a")),
        Row("return 0.9", .success(message: nil)),
        Row("return slurm.SUCCESS, slurm.SLURM_BB_BUSY", .success(message: "BUSY")),
        Row("return 100, 'one hundred'", .failure(status: 100, message: "one hundred")),
        Row("return -1, 'minus one'", .failure(status: 255, message: "minus one")),
        Row("return slurm.ERROR", .failure(status: 255, message: nil)),
        Row("return slurm.FAILURE", .failure(status: 255, message: nil)),
        Row("return '1', 'string one'", .failure(status: 1, message: "string one")),
        Row("return 1.7, 'float'", .failure(status: 1, message: "float")),
        Row("return 1, 42", .failure(status: 1, message: "42")),
        // Only the low 8 bits count in Slurm, where this is a success.
        Row("return 256, 'low'", .failure(status: 256, message: "low")),
        Row("return -256", .failure(status: 255, message: nil)),
        Row("return 1e300", .failure(status: 2_147_483_647, message: nil)),
        Row("return 0/0", .failure(status: 255, message: nil)),
        Row("return 1, 'second', 'third'", .failure(status: 1, message: "second")),
        Row("return 1, 'Gerät defekt 磁盘 🔥'", .failure(status: 1, message: "Gerät defekt 磁盘 🔥")),
        Row("return 1, 'first line\\nsecond'", .failure(status: 1, message: "first line\nsecond")),
        Row("return 1, ('x'):rep(100000)", .failure(status: 1, message: String(repeating: "x", count: 100_000))),
        Row("return true, 'boolean'", .failure(status: 255, message: "boolean"), log: noNumber),
        Row("return 'only text'", .failure(status: 255, message: nil), log: noNumber),
        Row("return nil", .failure(status: 255, message: nil), log: noNumber),
        Row("return {}", .failure(status: 255, message: nil), log: noNumber),
        Row("return 1, nil", .failure(status: 255, message: nil), log: noString),
        Row("return 0, nil", .failure(status: 255, message: nil), log: noString),
        Row("return 0, {}", .failure(status: 255, message: nil), log: noString),
        Row("return 0, true", .failure(status: 255, message: nil), log: noString),
        Row(
            "return 0, ('x'):rep(17 * 1024 * 1024)", .failure(status: 255, message: nil),
            log: "FN returned a message of 17825792 bytes, more than the 16777216 that are taken"),
        Row("error('boom')", .failure(status: 255, message: nil), log: "SCRIPT: SCRIPT:LINE: boom"),
        Row("error({})", .failure(status: 255, message: nil), log: "SCRIPT: error object is a table value"),
        Row("error()", .failure(status: 255, message: nil), log: "SCRIPT: error object is a nil value"),
        Row(
            "local x = nil; return x.y", .failure(status: 255, message: nil),
            log: "SCRIPT: SCRIPT:LINE: attempt to index a nil value (local 'x')"),
        Row(
            "local function f() return f() + 1 end; f()", .failure(status: 255, message: nil),
            log: "SCRIPT: SCRIPT:LINE: stack overflow"),
        Row("coroutine.yield()", .failure(status: 255, message: nil), log: "SCRIPT: attempt to yield from outside"),
    ]

    @Test(arguments: rows, [HookFunction.jobProcess, .setup])
    func aReturnIsReadAsSlurmReadsIt(row: Row, function: HookFunction) async throws {
        try await Bench.run("function \(function.rawValue)()\n\(row.chunk)\nend") { bench in
            let answer = try await bench.call(function)
            #expect(answer.end == row.end)
            #expect(answer.isSuccess == (row.log == nil && answer.end == row.end && row.isSuccess))
            #expect((answer.pid == nil) == function.runsInProcess)
            #expect(answer.startedAt > 1_700_000_000_000_000)
            #expect(answer.durationMicroseconds >= 0)
            if let log = row.log {
                let line = HookFunction.ofLua.count + 2
                let text = log.replacing("FN", with: function.rawValue).replacing("SCRIPT", with: bench.script)
                    .replacing("LINE", with: "\(line)")
                // A busy machine makes a call take long, which is a line of its own.
                #expect(answer.log.filter { !$0.text.hasPrefix("\(function.rawValue) took ") }.count == 1)
                #expect(answer.log.first?.level == .error)
                #expect(answer.log.first?.text.hasPrefix(text) == true, "\(answer.log)")
            } else {
                #expect(answer.log.filter { !$0.text.hasPrefix("\(function.rawValue) took ") } == [])
            }
        }
    }

    @Test(arguments: [HookFunction.jobProcess, .setup])
    func argumentsArriveInOrderAsStrings(function: HookFunction) async throws {
        let body = """
            function \(function.rawValue)(...)
                local words = {}
                for i, v in ipairs({...}) do words[i] = type(v) .. ":" .. tostring(v) end
                return 0, select("#", ...) .. " " .. table.concat(words, "|")
            end
            """
        try await Bench.run(body) { bench in
            let strange = ["42", "", "a b", "true", "größe\n", "\0in", "(null)"]
            let words = strange.map { "string:\($0)" }.joined(separator: "|")
            #expect(await bench.end(function, strange) == .success(message: "7 \(words)"))
            #expect(await bench.end(function) == .success(message: "0 "))
            let many = (0..<5000).map { "\($0)" }
            let answer = try await bench.call(function, many)
            #expect(answer.end == .success(message: "5000 " + many.map { "string:\($0)" }.joined(separator: "|")))
        }
    }

    @Test(arguments: [HookFunction.jobProcess, .setup])
    func jobInfoIsReadFieldByField(function: HookFunction) async throws {
        let body = """
            function \(function.rawValue)(id, info)
                local words = {}
                local function add(v) words[#words + 1] = math.type(v) or type(v); words[#words + 1] = tostring(v) end
                add(info); words[2] = "-"
                add(info.job_id); add(info.priority); add(info.billable_tres); add(info.account); add(info.qos)
                add(info[1]); add(info.nothing)
                add(#info.gres_detail_str); add(info.gres_detail_str[2])
                local shown = 0
                for _ in pairs(info) do shown = shown + 1 end
                add(shown)
                info.account = "changed"; info.own = 1
                add(info.account); add(info.own); add(info.job_id)
                return 0, table.concat(words, " ")
            end
            """
        try await Bench.run(body) { bench in
            let info: [String: JobInfoValue] = [
                "job_id": .integer(7), "priority": .integer(4_294_967_294), "billable_tres": .number(4_294_967_294),
                "account": .text("physics"), "gres_detail_str": .list(["a", "b c"]),
            ]
            let read =
                "table - integer 7 integer 4294967294 float 4294967294.0 string physics nil nil nil nil nil nil"
            let rest = " integer 2 string b c integer 0 string changed integer 1 integer 7"
            #expect(await bench.end(function, ["7"], jobInfo: info) == .success(message: read + rest))
            // Nothing stays for the next call.
            #expect(await bench.end(function, ["7"], jobInfo: info) == .success(message: read + rest))
            // Without the table there is no argument.
            guard case .failure = await bench.end(function, ["7"]) else {
                Issue.record("job_info was there")
                return
            }
        }
    }

    @Test func theTableSlurmIsThatOf26_05() async throws {
        let body = """
            function slurm_bb_pools()
                local count = 0
                for _ in pairs(slurm) do count = count + 1 end
                local words = { count }
                for _, name in ipairs({ "SUCCESS", "ERROR", "FAILURE", "SLURM_BB_BUSY", "CLUSTER_NAME", "INFINITE",
                    "INFINITE64", "NO_VAL", "NO_VAL8", "NO_VAL16", "NO_VAL64", "MEM_PER_CPU", "MAIL_JOB_TIME90",
                    "MAIL_JOB_TIME890", "MAIL_JOB_STAGE_OUT", "ESLURM_ACCESS_DENIED", "ESLURM_MISSING_TIME_LIMIT",
                    "EXPEDITED_REQUEUE" }) do
                    words[#words + 1] = name .. "=" .. tostring(slurm[name])
                end
                return 0, table.concat(words, " ")
            end
            function slurm_bb_paths()
                local words = {}
                for i, text in ipairs({ "5", "5:01", "1:00:00", "1-0", "1-2:03", "1-2:03:04", "INFINITE", "UNLIMITED",
                    "x", "", "1:", "1:2:3:4", "-1", "1-2-3" }) do
                    words[i] = string.format("%.0f", slurm.time_str2mins(text))
                end
                return 0, table.concat(words, " ")
            end
            function slurm_bb_job_process()
                local value = slurm.from_json('{"a":[1,2.5,true,"x"],"b":{}}')
                local bad, why = slurm.from_json('{"a":')
                return 0, slurm.to_json({ 1, 2.5, "x", { y = true } }) .. #value.a .. value.a[4] .. tostring(bad) .. why
                    .. tostring(pcall(slurm.to_json, { f = print })) .. tostring(slurm.get_qos_priority("normal"))
            end
            """
        try await Bench.run(body) { bench in
            let values = """
                434 SUCCESS=0.0 ERROR=-1.0 FAILURE=-1.0 SLURM_BB_BUSY=BUSY CLUSTER_NAME=ref INFINITE=4294967295.0 \
                INFINITE64=1.844674407371e+19 NO_VAL=4294967294.0 NO_VAL8=254.0 NO_VAL16=65534.0 \
                NO_VAL64=1.844674407371e+19 MEM_PER_CPU=9.2233720368548e+18 MAIL_JOB_TIME90=32.0 \
                MAIL_JOB_TIME890=32.0 MAIL_JOB_STAGE_OUT=256.0 ESLURM_ACCESS_DENIED=2002.0 \
                ESLURM_MISSING_TIME_LIMIT=8000.0 EXPEDITED_REQUEUE=35184372088832.0
                """
            #expect(await bench.end(.pools) == .success(message: values))
            let minutes =
                "5 6 60 1440 1563 1564 4294967295 4294967295 4294967294 4294967294 4294967294 4294967294 4294967295"
            #expect(await bench.end(.paths) == .success(message: minutes + " 4294967294"))
            let json = #"[1,2.5,"x",{"y":true}]4xnilunexpected end of datafalsenil"#
            #expect(await bench.end(.jobProcess) == .success(message: json))
        }
    }

    @Test(arguments: [HookFunction.jobProcess, .setup])
    func whatIsLoggedAndPrintedIsKeptApartFromTheMessage(function: HookFunction) async throws {
        let body = """
            print("at the top")
            function \(function.rawValue)()
                slurm.log_error("%s is %d", "e", 1)
                slurm.log_info("plain")
                slurm.log_verbose("v") slurm.log_debug("d") slurm.log_debug2("d2") slurm.log_debug3("d3")
                slurm.log_debug4("d4") slurm.log(0, "l0") slurm.log(1, "l1") slurm.log(9, "l9") slurm.error("100%")
                slurm.log_user("to %s", "you")
                print("one", 2)
                io.write("three ")
                io.stdout:write("four ")
                io.stderr:write("five\\n")
                return 0, "BUSY"
            end
            """
        try await Bench.run(body) { bench in
            let answer = try await bench.call(function)
            #expect(answer.end == .success(message: "BUSY"))
            #expect(
                answer.log == [
                    HookLogLine(.error, "lua: e is 1"), HookLogLine(.info, "lua: plain"),
                    HookLogLine(.verbose, "lua: v"), HookLogLine(.debug, "lua: d"), HookLogLine(.debug2, "lua: d2"),
                    HookLogLine(.debug3, "lua: d3"), HookLogLine(.debug4, "lua: d4"), HookLogLine(.info, "lua: l0"),
                    HookLogLine(.verbose, "lua: l1"), HookLogLine(.debug4, "lua: l9"),
                    HookLogLine(.error, "lua: 100%"), HookLogLine(.info, "lua: to you"),
                ])
            // Standard error of a child is not buffered, its standard output is, by line.
            #expect(answer.printed.hasPrefix("at the top\none\t2\n"))
            #expect(answer.printed.split { $0 == " " || $0 == "\n" }.suffix(3).sorted() == ["five", "four", "three"])
        }
    }

    @Test(arguments: [HookFunction.jobProcess, .setup])
    func logsAreBounded(function: HookFunction) async throws {
        let body = """
            function \(function.rawValue)()
                slurm.log_info(("x"):rep(100000))
                for i = 1, 1000 do slurm.log_info("line %d", i) end
                for i = 1, 10000 do print(("y"):rep(99)) end
                return 0
            end
            """
        try await Bench.run(body) { bench in
            let answer = try await bench.call(function)
            #expect(answer.log.count == HookAnswer.logLinesMax)
            #expect(answer.log.first?.text.count == 8192)
            #expect(answer.log.last == HookLogLine(.info, "802 further lines are left out"))
            #expect(answer.printed.utf8.count == HookAnswer.printedBytesMax)
        }
    }
}

extension AnswerTests.Row {
    var isSuccess: Bool {
        if case .success = end { return true }
        return false
    }
}
