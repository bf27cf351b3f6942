import BurstModel
import BurstTestSupport
import Glibc
import Synchronization
import Testing

@testable import BurstSources

@Suite struct ReplayTests {
    private let folder = Temporary()
    private static let begin = Timestamp(seconds: 1_790_000_000)

    /// Buffers that come, change and go, with failures between.
    private func make(_ name: String = "a.jsonl", samples: Int, buffers: Int) throws -> String {
        let path = folder.file(name)
        let recorder = try Recorder(
            path: path, tool: "t", host: "h", utcOffsetSeconds: 7200, now: Self.begin)
        let states = ["allocated", "staging-in", "staged-in", "running", "staging-out", "teardown"]
        for sample in 0..<samples {
            let rows = (0..<buffers).filter { ($0 + sample / 5) % 7 != 0 }.map { id in
                "    JobID=\(id + 1) Pool=nvme Size=1GiB State=\(states[(id + sample / 3) % states.count]) UserID=u\(id % 9)(\(1000 + id % 9))\n"
            }
            let text =
                "Name=lua DefaultPool=(null) Granularity=1 TotalSpace=0 FreeSpace=0 UsedSpace=0\n"
                + "  PoolName[0]=nvme Granularity=1GiB TotalSpace=8TiB FreeSpace=\(sample)GiB UsedSpace=\(buffers)GiB\n"
                + "  Flags=DisablePersistent\n  StageInTimeout=60 StageOutTimeout=60 ValidateTimeout=5 OtherTimeout=40\n"
                + "  Allocated Buffers:\n" + rows.joined()
            func keep(_ call: Call, _ result: CommandResult, after milliseconds: Int64) {
                _ = recorder.record(
                    CommandRun(
                        result, startedAt: Self.begin.adding(seconds: sample * 10).adding(milliseconds: milliseconds),
                        durationMilliseconds: 5),
                    arguments: call.arguments(), monotonicMilliseconds: 0)
            }
            let isLost = sample % 17 == 16
            keep(
                .burst,
                isLost ? CommandResult(end: .timedOut) : CommandResult(end: .exit(0), output: Array(text.utf8)),
                after: 0)
            if sample % 3 == 0 { keep(.jobs, CommandResult(end: .exit(0)), after: 100) }
        }
        return path
    }

    private func replayer(_ path: String) throws -> Replayer {
        try Replayer(
            reader: try RecordingReader(path: path), begin: nil, end: nil, viewer: "root@login1", thresholds: .init())
    }

    /// Steps to each sample, back in leaps and single steps, and compares with what was seen the first time.
    private func checkEveryWay(_ path: String) async throws {
        var replayer = try replayer(path)
        var seen: [Board] = []
        for index in replayer.visible {
            await Task.yield()
            replayer.go(to: index)
            seen.append(replayer.delivery(playing: false, speed: 1).board)
        }
        var again = try self.replayer(path)
        for index in again.visible {
            await Task.yield()
            again.go(to: index)
            #expect(again.delivery(playing: false, speed: 1).board == seen[index], "\(path) sample \(index)")
        }
        for index in again.visible.reversed() {
            await Task.yield()
            again.go(to: index)
            #expect(again.delivery(playing: false, speed: 1).board == seen[index], "\(path) back to sample \(index)")
        }
        var place = 0
        for leap in 1..<40 {
            place = (place + leap * 37) % seen.count
            await Task.yield()
            again.go(to: place)
            #expect(again.delivery(playing: false, speed: 1).board == seen[place])
        }
    }

    @Test func backIsTheSameAsForward() async throws {
        try await checkEveryWay(try make(samples: 80, buffers: 12))
    }

    @Test func everyRecordingThatIsKept() async throws {
        let folder = Fixtures.path("recordings")
        guard let listing = opendir(folder) else { return }
        defer { closedir(listing) }
        var names: [String] = []
        while let entry = readdir(listing) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name.hasSuffix(".jsonl") { names.append(name) }
        }
        for name in names.sorted() {
            var reader = try RecordingReader(path: folder + "/" + name)
            #expect(reader.faults.isEmpty && !reader.entries.isEmpty, "\(name)")
            for index in reader.entries.indices {
                _ = try reader.run(index)
                #expect(reader.entries[index].call != nil, "\(name): \(reader.entries[index].arguments)")
            }
            try await checkEveryWay(folder + "/" + name)
        }
    }

    @Test func playsStepsAndSeeks() async throws {
        let path = try make(samples: 50, buffers: 3)
        let source = try ReplaySource(path: path, speed: 1000, onChange: {})
        source.start()
        #expect(await eventually { source.latest().replay != nil })
        #expect(source.latest().replay?.count == 50 && source.latest().replay?.index == 0)
        #expect(source.latest().board.source.kind == .replay)
        #expect(source.latest().board.now == Self.begin.adding(milliseconds: 105))
        source.send(.replay(.step(3)))
        #expect(await eventually { source.latest().replay?.index == 3 })
        source.send(.replay(.step(-100)))
        #expect(await eventually { source.latest().replay?.index == 0 })
        source.send(.replay(.step(.max)))
        #expect(await eventually { source.latest().replay?.index == 49 })
        source.send(.replay(.seek(Self.begin.adding(seconds: 205))))
        #expect(await eventually { source.latest().replay?.index == 20 })
        source.send(.replay(.toggle))
        #expect(await eventually { source.latest().replay?.index == 49 && source.latest().replay?.playing == false })
        source.send(.cancel([CancelOrder(jobID: JobID(1), hurry: true)]))
        source.send(.detail(JobID(9), again: false))
        #expect(await eventually { source.latest().detailFailures[JobID(9)] == "a replay makes no calls" })
        #expect(source.latest().cancels.last?.end == .failed("a replay makes no calls"))
        await source.stop()
    }

    @Test func showsAPartOfARecording() throws {
        let path = try make(samples: 30, buffers: 3)
        let (from, to) = (Self.begin.adding(seconds: 105), Self.begin.adding(seconds: 205))
        let delivery = try ReplaySource(path: path, begin: from, end: to, onChange: {}).oneShot()
        #expect(delivery.replay?.count == 11 && delivery.replay?.index == 0)
        #expect(delivery.board.now <= from && from.seconds(since: delivery.board.now) < 10)
        // What was before it is known all the same.
        var whole = try replayer(path)
        whole.go(to: 10)
        #expect(whole.delivery(playing: false, speed: 1).board.bufferRows == delivery.board.bufferRows)
        #expect {
            _ = try ReplaySource(path: path, end: Self.begin.adding(seconds: -60), onChange: {})
        } throws: {
            "\($0)" == "\(path): holds nothing for that time: it covers 2026-09-21T14:13:20Z to 2026-09-21T14:18:10Z"
        }
    }

    @Test func followsWhatAnotherWrites() async throws {
        let path = folder.file("f.jsonl")
        let clock = SourceClock.fast(20)
        var limits = Recorder.Limits()
        limits.bytesMax = 4000
        let recorder = try Recorder(
            path: path, tool: "t", host: "h", utcOffsetSeconds: 0, limits: limits, now: clock.now())
        let runner = ScriptedRunner.site(3, clock: clock)
        func record() async {
            let arguments = Call.burst.arguments()
            let run = await runner.run(arguments, timeoutSeconds: 10)
            _ = recorder.record(run, arguments: arguments, monotonicMilliseconds: 0)
        }
        await record()
        let source = try FollowSource(path: path, clock: clock, onChange: {})
        source.start()
        #expect(await eventually { source.latest().board.bufferRows.count == 3 })
        #expect(source.latest().board.health == .live && source.latest().replay == nil)
        // Over two turns of the file.
        for buffers in 4...40 {
            runner.answer(.burst, await ScriptedRunner.site(buffers, clock: clock).burstText())
            await record()
            if buffers % 6 == 0 {
                #expect(await eventually { source.latest().board.bufferRows.count == buffers })
            }
        }
        #expect(folder.names.contains("f.jsonl.2"))
        source.send(.cancel([CancelOrder(jobID: JobID(1), hurry: false)]))
        #expect(await eventually { source.latest().cancels.last?.end != nil })
        // The writer is gone: old data does not look live.
        #expect(
            await eventually {
                if case .stale(let reason, _, _, _) = source.latest().board.health {
                    reason.contains("nothing new in \(path) for 1m")
                } else {
                    false
                }
            })
        #expect(source.latest().cancels.last?.arguments.isEmpty == true)
        await source.stop()

        // Who looks at it now, once, is told so at once, and sees what it said last, however long ago.
        let ages: [Int64] = [600, 90 * 86_400]
        for seconds in ages {
            let later = SourceClock(
                now: { [clock] in clock.now().adding(milliseconds: seconds * 1000) },
                monotonicMilliseconds: clock.monotonicMilliseconds, sleep: clock.sleep)
            let first = Mutex<Delivery?>(nil)
            let left = try FollowSource(
                path: path, clock: later, onChange: {},
                prepare: { board in first.withLock { $0 = $0 ?? Delivery(board: board) } })
            left.start()
            #expect(await eventually { first.withLock { $0 != nil } })
            let board = first.withLock { $0!.board }
            #expect(board.bufferRows.count == 40)
            if case .stale = board.health {} else { Issue.record("\(board.health)") }
            await left.stop()
        }
    }
}

extension ScriptedRunner {
    fileprivate func burstText() async -> Answer {
        .text(await run(Call.burst.arguments(), timeoutSeconds: 1).result.output)
    }
}
