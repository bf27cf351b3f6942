import BurstModel
import BurstTestSupport
import Glibc
import Testing

@testable import BurstSources

private func recorder(
    _ path: String, redacts: Bool = false, limits: Recorder.Limits = .init(), at now: Timestamp = begin
) throws -> Recorder {
    try Recorder(
        path: path, tool: "burstmon test", host: "node1", utcOffsetSeconds: 3600, redacts: redacts, limits: limits,
        now: now)
}

private let begin = Timestamp(seconds: 1_790_000_000)

private func run(_ text: [UInt8], errors: [UInt8] = [], end: CommandResult.End = .exit(0), second: Int) -> CommandRun {
    CommandRun(
        CommandResult(end: end, output: text, errors: errors),
        startedAt: begin.adding(milliseconds: Int64(second) * 1000 + 7),
        durationMilliseconds: 42)
}

@Suite struct LineDeltaTests {
    private func check(_ old: String, _ new: String) throws {
        let steps = LineDelta.make(from: Array(old.utf8), to: Array(new.utf8))
        #expect(try LineDelta.apply(steps, to: Array(old.utf8)) == Array(new.utf8), "\(old) -> \(new)")
    }

    @Test func turnsOneTextIntoTheOther() throws {
        for (old, new) in [
            ("", ""), ("", "a\n"), ("a\n", ""), ("a", "a\n"), ("a\nb\nc\n", "a\nc\n"), ("a\na\na\n", "a\nb\na\na\n"),
            ("a\nb", "b\na"), ("x\ny\nz\n", "z\ny\nx\n"), ("\n\n\n", "\n"), ("a\nb\nc", "a\nB\nc"),
        ] { try check(old, new) }
    }

    @Test func turnsAnyTextIntoAnyOther() async throws {
        var state: UInt64 = 11
        func next(_ limit: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int((state >> 33) % UInt64(limit))
        }
        for _ in 0..<3000 {
            func text() -> String {
                let lines = (0..<next(12)).map { _ in String("abcde".dropFirst(next(5)).prefix(1)) }
                return lines.joined(separator: "\n") + (next(2) == 0 ? "\n" : "")
            }
            try check(text(), text())
            await Task.yield()
        }
    }

    @Test func keepsWhatDidNotChange() {
        let old = (0..<1000).map { "row \($0)\n" }.joined()
        let new = old.replacing("row 500\n", with: "row five hundred\n").replacing("row 20\n", with: "")
        let steps = LineDelta.make(from: Array(old.utf8), to: Array(new.utf8))
        #expect(
            steps == [
                .copy(20), .skip(1), .copy(479), .skip(1), .insert(Array("row five hundred\n".utf8)[...]), .copy(499),
            ])
    }

    @Test func aDeltaOfAnotherTextIsRefused() {
        #expect(throws: LineDelta.Mismatch.self) { try LineDelta.apply([.copy(3)], to: Array("a\nb\n".utf8)) }
        #expect(throws: LineDelta.Mismatch.self) { try LineDelta.apply([.skip(1)], to: []) }
    }
}

@Suite struct RecordingTests {
    private let folder = Temporary()

    @Test func keepsEveryFixtureVerbatim() async throws {
        let sections = ["show-burst", "show-job", "show-config", "show-reservation", "status"].flatMap {
            Fixtures.slurm($0)
        }
        let path = folder.file("a.jsonl")
        let written = try recorder(path)
        for (index, section) in sections.enumerated() {
            await Task.yield()
            // One command line for many texts, so that deltas between unlike texts are made, too.
            let event = written.record(
                run(section.output, errors: Array("e\(index)".utf8), second: index),
                arguments: ["scontrol", "show", "\(index % 3)"], monotonicMilliseconds: Int64(index))
            #expect(event == nil)
        }
        var reader = try RecordingReader(path: path)
        #expect(reader.entries.count == sections.count && reader.faults.isEmpty)
        #expect(reader.tool == "burstmon test" && reader.host == "node1" && reader.utcOffsetSeconds == 3600)
        for (index, section) in sections.enumerated() {
            await Task.yield()
            let read = try reader.run(index)
            #expect(read.result.output == section.output, "\(section)")
            #expect(read.result.errors == Array("e\(index)".utf8) && read.result.end == .exit(0))
            #expect(read.startedAt == begin.adding(milliseconds: Int64(index) * 1000 + 7))
            #expect(read.durationMilliseconds == 42)
        }
        // In any order.
        for index in stride(from: sections.count - 1, through: 0, by: -7) {
            #expect(try reader.run(index).result.output == sections[index].output)
        }
        #expect(folder.mode("a.jsonl") == 0o600)
    }

    @Test func keepsEveryEndAndBytesThatAreNoText() throws {
        let ends: [CommandResult.End] = [.exit(1), .signal(9), .timedOut, .failed("scontrol: \"not\" found\n")]
        let path = folder.file("a.jsonl")
        let written = try recorder(path)
        let texts: [[UInt8]] = [[0xff, 0xfe, 10, 0], Array("\u{1f}a\u{1e}\n\"\\\t\u{7f}ä漢".utf8), [], [0xff]]
        for (index, end) in ends.enumerated() {
            _ = written.record(
                run(texts[index], errors: texts[(index + 1) % 4], end: end, second: index),
                arguments: ["x", "ä\"\u{1f}"],
                monotonicMilliseconds: 0)
        }
        var reader = try RecordingReader(path: path)
        for (index, end) in ends.enumerated() {
            let read = try reader.run(index)
            #expect(read.result == CommandResult(end: end, output: texts[index], errors: texts[(index + 1) % 4]))
            #expect(reader.entries[index].arguments == ["x", "ä\"\u{1f}"])
        }
    }

    @Test func base64() {
        for count in 0..<20 {
            let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ 200) }
            #expect(Base64.decode(Base64.encode(bytes)) == bytes)
        }
        #expect(Base64.encode(Array("foobar".utf8)) == Array("Zm9vYmFy".utf8))
        for bad in ["Zg=", "Z===", "=AAA", "Zg==Zg==", "Zm9!"] { #expect(Base64.decode(Array(bad.utf8)) == nil) }
    }

    @Test func isMostlyDeltasAndWholeNowAndThen() async throws {
        let rows = (0..<200).map { "    JobID=\($0) Pool=nvme Size=1GiB State=allocated UserID=alice(1001)\n" }
        let path = folder.file("a.jsonl")
        let written = try recorder(path)
        for index in 0..<130 {
            var text = rows
            text[index] = "    JobID=\(index) State=teardown\n"
            _ = written.record(
                run(Array(text.joined().utf8), second: index), arguments: Call.burst.arguments(),
                monotonicMilliseconds: 0)
        }
        let lines = Fixture.read(path).split(separator: 10).dropFirst()
        let wholes = lines.indices.filter { String(decoding: lines[$0], as: UTF8.self).contains("\"out\":") }
        #expect(wholes.map { $0 - 1 } == [0, 60, 120])
        #expect(lines.filter { $0.count < 400 }.count == 127)
        // Going back line by line undoes the same changes.
        var reader = try RecordingReader(path: path)
        for index in (0..<130).reversed() {
            await Task.yield()
            #expect(try reader.run(index).result.output.count < rows.joined().utf8.count)
        }
    }

    @Test func turnsOverBySizeAndAge() throws {
        var limits = Recorder.Limits()
        limits.bytesMax = 2000
        limits.filesKept = 2
        let path = folder.file("a.jsonl")
        let written = try recorder(path, limits: limits)
        for index in 0..<40 {
            let text = Array("text \(index) \(String(repeating: "x", count: 300))\n".utf8)
            #expect(written.record(run(text, second: index), arguments: ["a"], monotonicMilliseconds: 0) == nil)
        }
        #expect(folder.names == ["a.jsonl", "a.jsonl.1", "a.jsonl.2"])
        for name in folder.names {
            var reader = try RecordingReader(path: folder.file(name))
            #expect(!reader.entries.isEmpty && folder.mode(name) == 0o600)
            for index in reader.entries.indices { _ = try reader.run(index) }
        }

        limits.secondsMax = 100
        limits.bytesMax = 1 << 20
        let other = try recorder(folder.file("b.jsonl"), limits: limits)
        for second in [0, 50, 99, 101, 150] {
            _ = other.record(run([65], second: second), arguments: ["a"], monotonicMilliseconds: 0)
        }
        #expect(try RecordingReader(path: folder.file("b.jsonl")).entries.count == 2)
        #expect(try RecordingReader(path: folder.file("b.jsonl.1")).entries.count == 3)
    }

    @Test func goesOnWithAnEarlierRecording() throws {
        let path = folder.file("a.jsonl")
        do {
            let first = try recorder(path)
            _ = first.record(run(Array("one\n".utf8), second: 1), arguments: ["a"], monotonicMilliseconds: 0)
            // Nobody else writes meanwhile.
            #expect {
                _ = try recorder(path)
            } throws: {
                "\($0)" == "\(path): another process writes there"
            }
        }
        // The writer died in the middle of a line.
        folder.append("a.jsonl", "{\"at\":\"2026-".utf8)
        let second = try recorder(path, at: begin.adding(seconds: 60))
        _ = second.record(run(Array("one\ntwo\n".utf8), second: 61), arguments: ["a"], monotonicMilliseconds: 0)
        var reader = try RecordingReader(path: path)
        #expect(reader.entries.count == 2 && reader.faults.isEmpty)
        #expect(try reader.run(1).result.output == Array("one\ntwo\n".utf8))
    }

    @Test func letsGoOfItsFileWhileACopyOfTheDescriptorLives() throws {
        let path = folder.file("a.jsonl")
        var copy: Int32 = -1
        do {
            let first = try recorder(path)
            _ = first.record(run([65], second: 1), arguments: ["a"], monotonicMilliseconds: 0)
            // As a program that is just being started has one, until its exec.
            var wanted = stat()
            #expect(stat(path, &wanted) == 0)
            let number = (Int32(3)..<1024).first { number in
                var status = stat()
                return fstat(number, &status) == 0 && status.st_dev == wanted.st_dev && status.st_ino == wanted.st_ino
            }
            copy = dup(try #require(number))
        }
        defer { close(copy) }
        _ = try recorder(path)
    }

    @Test func leavesOtherFilesAlone() throws {
        for text in ["precious\n", "{\"recording\":2,\"started_at\":\"2026-11-23T22:40:00.123Z\"}\n"] {
            let path = folder.write("notes", text.utf8)
            #expect(throws: RecordingFault.self) { _ = try recorder(path) }
            #expect(Fixture.read(path) == Array(text.utf8))
        }
        #expect {
            _ = try recorder("/proc/none/a.jsonl")
        } throws: {
            "\($0)" == "/proc/none/a.jsonl: cannot be written: No such file or directory"
        }
    }

    @Test func aFullDiskIsToldOnce() throws {
        // The limit of this process on file sizes would end the tests; a file that cannot grow stands in for a full
        // disk.
        let path = folder.file("a.jsonl")
        var limits = Recorder.Limits()
        limits.bytesMax = 300
        limits.filesKept = 1
        let written = try recorder(path, limits: limits)
        let text = [UInt8](repeating: 65, count: 200)
        #expect(written.record(run(text, second: 1), arguments: ["a"], monotonicMilliseconds: 0) == nil)
        // Turning over fails, since a folder stands where the older file would go.
        mkdir(path + ".1", 0o700)
        let event = written.record(run(text, second: 2), arguments: ["a"], monotonicMilliseconds: 0)
        #expect(event?.text.hasPrefix("recording stopped: \(path)") == true)
        #expect(event?.text.hasSuffix("monitoring goes on") == true)
        #expect(written.record(run(text, second: 3), arguments: ["a"], monotonicMilliseconds: 0) == nil)
        rmdir(path + ".1")
        let again = written.record(run(text, second: 63), arguments: ["a"], monotonicMilliseconds: 0)
        #expect(again?.text == "recording goes on; 1m01s are missing")
        #expect(try RecordingReader(path: path).entries.count == 1)
    }

    @Test func readsWhatIsThereOfACutFile() async throws {
        let path = folder.file("a.jsonl")
        let written = try recorder(path)
        let texts = ["a\nb\nc\nd\ne\nf\ng\n", "a\nb\nX\nd\ne\nf\ng\n", "a\nb\nX\nd\ne\nf\nä\n"].map { Array($0.utf8) }
        for (index, text) in texts.enumerated() {
            _ = written.record(run(text, second: index), arguments: ["a"], monotonicMilliseconds: 0)
        }
        let whole = Fixture.read(path)
        let header = whole.firstIndex(of: 10)! + 1
        for count in 0...whole.count {
            await Task.yield()
            let cut = folder.write("cut.jsonl", whole[..<count])
            if count < header {
                #expect {
                    _ = try RecordingReader(path: cut)
                } throws: {
                    "\($0)" == "\(cut): line 1: the first line is missing or cut; it says what the file is"
                }
                continue
            }
            var reader = try RecordingReader(path: cut)
            #expect(reader.faults.isEmpty)
            #expect(reader.entries.count == whole[..<count].count { $0 == 10 } - 1)
            for index in reader.entries.indices { #expect(try reader.run(index).result.output == texts[index]) }
            // The rest comes later.
            folder.append("cut.jsonl", whole[count...])
            try reader.readMore()
            #expect(reader.entries.count == 3 && reader.faults.isEmpty)
            #expect(try reader.run(2).result.output == texts[2])
        }
    }

    @Test func namesWhatIsWrong() throws {
        let header =
            "{\"recording\":1,\"tool\":\"t\",\"host\":\"h\",\"started_at\":\"2026-11-23T22:40:00.123Z\",\"utc_offset_seconds\":0}\n"
        func fault(_ text: String) -> String {
            let path = folder.write("bad.jsonl", text.utf8)
            do {
                let reader = try RecordingReader(path: path)
                return reader.faults.map { "\($0)".replacing(path, with: "F") }.joined(separator: "|")
            } catch {
                return "\(error)".replacing(path, with: "F")
            }
        }
        #expect(fault(header) == "")
        #expect(fault("hello\n").hasPrefix("F: line 1: column 1: this is no JSON"))
        #expect(fault("[1]\n") == "F: line 1: the line is no JSON object")
        #expect(fault("{\"a\":1}\n") == "F: line 1: this is no recording of burstmon")
        #expect(
            fault("{\"recording\":7}\n") == "F: line 1: recording format 7 is not known; this burstmon reads format 1")
        #expect(fault(header.replacing("2026-11", with: "2026-99")) == "F: line 1: started_at is missing or is no time")
        let good =
            "{\"at\":\"2026-11-23T22:40:10.123Z\",\"argv\":[\"a\"],\"duration\":0.0042,\"exit\":0,\"out\":\"x\\n\"}\n"
        let delta = good.replacing("\"out\":\"x\\n\"", with: "\"delta\":[1]")
        #expect(fault(header + good + delta) == "")
        #expect(fault(header + delta) == "F: line 2: the text that this one is a change of is missing")
        #expect(
            fault(header + good + "garbage\n" + delta + good + delta).hasPrefix("F: line 3: column 1: this is no JSON"))
        #expect(fault(header + good.replacing("\"exit\":0,", with: "")).hasPrefix("F: line 2: none of \"exit\""))
        #expect(fault(header + good.replacing("[\"a\"]", with: "\"a\"")).hasPrefix("F: line 2: \"argv\""))
        #expect(fault(header + good.replacing("0.0042", with: "-1")).hasPrefix("F: line 2: \"duration\""))
        #expect(fault(header + delta.replacing("[1]", with: "[true]")).hasPrefix("F: line 2: a step"))
        for number in ["-9223372036854775808", "-99999999999999999999", "9223372036854775807", "2147483648"] {
            #expect(
                fault(header + good + delta.replacing("[1]", with: "[\(number)]"))
                    == "F: line 3: a step of \"delta\" is too large")
            #expect(
                fault(header.replacing(#""utc_offset_seconds":0"#, with: #""utc_offset_seconds":\#(number)"#) + good)
                    .hasPrefix("F: line 1: "))
        }

        // A change that does not fit is found when it is read.
        let path = folder.write("bad.jsonl", (header + good + delta.replacing("[1]", with: "[5]")).utf8)
        var reader = try RecordingReader(path: path)
        #expect {
            _ = try reader.run(1)
        } throws: {
            "\($0)" == "\(path): line 3: the change does not fit the text that it is a change of"
        }
        #expect {
            _ = try RecordingReader(path: folder.path)
        } throws: {
            "\($0)" == "\(folder.path): is no regular file"
        }
    }
}

@Suite struct EventLogTests {
    @Test func keepsALineForEachEventAndTurnsOver() throws {
        let folder = Temporary()
        let log = try EventLog(path: folder.file("events"), bytesMax: 500)
        let event = Event(
            at: begin, level: .crit, kind: .state, subject: .job(JobID(7)), user: "alice",
            text: "teardown\n-> teardown-fail")
        let line = "2026-09-21T14:13:20Z CRIT STATE 7 alice teardown -> teardown-fail\n"
        #expect(log.append([event]) == nil)
        #expect(String(decoding: Fixture.read(folder.file("events")), as: UTF8.self) == line)
        log.append(Array(repeating: event, count: 20))
        #expect(folder.names == ["events", "events.1"])
        #expect(Fixture.read(folder.file("events")).count <= 500 && Fixture.read(folder.file("events.1")).count <= 500)
        #expect(folder.mode("events") == 0o600)
        #expect(throws: RecordingFault.self) { _ = try EventLog(path: "/proc/none/events") }
    }
}
