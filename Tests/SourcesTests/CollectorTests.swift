import BurstModel
import BurstSources
import BurstTestSupport
import Synchronization
import Testing

@Suite struct CollectorTests {
    private let clock = SourceClock.fast(50)

    private func collector(
        _ runner: ScriptedRunner, _ settings: CollectorSettings = .init(), recorder: Recorder? = nil,
        eventLog: EventLog? = nil, onChange: @escaping @Sendable () -> Void = {},
        prepare: @escaping @Sendable (Board) -> Void = { _ in }
    ) -> Collector {
        Collector(
            runner: runner, settings: settings, zone: .fixed(), clock: clock, recorder: recorder, eventLog: eventLog,
            jitter: { 0 }, onChange: onChange, prepare: prepare)
    }

    @Test func asksInTurnAndDelivers() async {
        let runner = ScriptedRunner.site(clock: clock)
        let changes = Mutex(0)
        let prepared = Mutex<[Int]>([])
        let collector = collector(
            runner, onChange: { changes.withLock { $0 += 1 } },
            prepare: { board in prepared.withLock { $0.append(board.bufferRows.count) } })
        #expect(collector.latest().board.health == .connecting && collector.latest().sequence == 0)
        collector.start()
        collector.start()
        #expect(await eventually { runner.asked.count >= 8 && runner.count(.reservations) > 0 })
        await collector.stop()
        // Each for the first time in this order; on this fast clock others may come again between.
        var firsts: [[String]] = []
        for arguments in runner.asked where !firsts.contains(arguments) { firsts.append(arguments) }
        #expect(firsts == [Call.burst, .config, .jobs, .reservations].map { $0.arguments() })
        #expect(runner.asked.first == ["scontrol", "-v", "show", "burst"])
        #expect(runner.mostInFlight == 1 && runner.unexpected.isEmpty)
        let delivery = collector.latest()
        #expect(delivery.board.health == .live && delivery.board.bufferRows.count == 3)
        #expect(delivery.board.source.cluster == "alps")
        #expect(delivery.board.calls.count >= 7 && delivery.board.calls.burstInterval == 10)
        #expect(delivery.sequence == changes.withLock { $0 })
        #expect(prepared.withLock { $0.last } == 3)
        // Nothing more after the end.
        let count = runner.asked.count
        await letTimePass(milliseconds: 300)
        #expect(runner.asked.count == count)
    }

    @Test func answersWishes() async {
        let runner = ScriptedRunner.site(clock: clock)
        let job = Call.job(JobID(1))
        runner.answer(
            job,
            .text(Array("JobId=1 JobName=a\n   UserId=alice(1001) Priority=1\n   JobState=RUNNING Reason=None\n".utf8)))
        runner.answer(.job(JobID(2)), .failure("slurm_load_jobs error: Invalid job id specified"))
        runner.answer(.job(JobID(3)), .failure("slurm_load_jobs error: Unable to contact slurm controller"))
        runner.answer(.status(StatusRequest()), .text(Array("pools\n".utf8)))
        let collector = collector(runner)
        collector.start()
        #expect(await eventually { runner.asked.count >= 4 })
        for id in 1...3 as ClosedRange<UInt32> { collector.send(.detail(JobID(id), again: true)) }
        #expect(await eventually { runner.asked.count { $0.contains("job") } == 3 })
        collector.send(.status(StatusRequest()))
        #expect(await eventually { collector.latest().status != nil })
        let delivery = collector.latest()
        #expect(delivery.details[JobID(1)]?.value?.job.name == "a")
        #expect(delivery.details[JobID(2)].map { $0.value == nil } == true)
        #expect(delivery.details[JobID(3)] == nil)
        #expect(delivery.detailFailures[JobID(3)] == "slurm_load_jobs error: Unable to contact slurm controller")
        #expect(delivery.status?.result.output == Array("pools\n".utf8) && delivery.statusRunningSince == nil)
        #expect(runner.mostInFlight == 1 && runner.unexpected.isEmpty)
        await collector.stop()
    }

    @Test func cancelsAreSentOneByOneAndCanBeStopped() async {
        let runner = ScriptedRunner.site(clock: clock)
        for id in 1...30 as ClosedRange<UInt32> { runner.answer(.cancel(JobID(id), hurry: id == 1), .text([])) }
        runner.answer(
            .cancel(JobID(2), hurry: false),
            .failure("scancel: error: Kill job error on job id 2: Access/permission denied"))
        let status = Call.status(StatusRequest())
        runner.answer(status, .hang)
        let third = Call.cancel(JobID(3), hurry: false)
        runner.answer(third, .held)
        let collector = collector(runner)
        collector.start()
        collector.send(.status(StatusRequest()))
        #expect(await eventually { collector.latest().statusRunningSince != nil })
        // A cancel does not wait a minute for a status.
        collector.send(.cancel((1...30 as ClosedRange<UInt32>).map { CancelOrder(jobID: JobID($0), hurry: $0 == 1) }))
        #expect(await eventually { runner.count(third) == 1 })
        #expect(collector.latest().cancels.count == 2)
        collector.send(.stopCancels)
        // One is under way.
        #expect(await eventually { collector.latest().cancels.count == 29 })
        runner.letGo()
        #expect(await eventually { collector.latest().cancels.count == 30 })
        let delivery = collector.latest()
        #expect(delivery.status?.result.end == .failed("scontrol was stopped"))
        #expect(delivery.cancelsWaiting == 0)
        let (first, second) = (delivery.cancels[0], delivery.cancels[1])
        #expect(first.arguments == ["scancel", "--hurry", "1"] && first.end == .exit(0))
        #expect(second.end == .exit(1) && second.errors.contains("permission denied"))
        let unsent = delivery.cancels.filter { $0.arguments.isEmpty }
        #expect(unsent.count == 27 && unsent.allSatisfy { $0.end == .failed("stopped before it was sent") })
        let sent = runner.asked.filter { $0.first == "scancel" }
        #expect(sent.count == 3 && runner.mostInFlight == 1)
        await collector.stop()
    }

    @Test func keepsItsDataWhenTheControllerIsGone() async {
        let runner = ScriptedRunner.site(clock: clock)
        let collector = collector(runner)
        collector.start()
        #expect(await eventually { collector.latest().board.bufferRows.count == 3 })
        let text = "slurm_load_burst_buffer_info error: Unable to contact slurm controller (connect failure)"
        runner.answer(.burst, .failure(text))
        #expect(
            await eventually {
                if case .stale(let reason, _, _, _) = collector.latest().board.health {
                    reason.contains(text)
                } else {
                    false
                }
            })
        #expect(collector.latest().board.bufferRows.count == 3)
        #expect(collector.latest().board.calls.intervalReason.hasPrefix("backing off"))
        await collector.stop()
    }

    @Test func stopsAtOnce() async {
        // Not for an hour.
        let clock = SourceClock.fast(1)
        let runner = ScriptedRunner.site(clock: clock)
        runner.answer(.burst, .hang)
        var settings = CollectorSettings()
        settings.timeoutSeconds = 3600
        let collector = Collector(runner: runner, settings: settings, zone: .fixed(), clock: clock, onChange: {})
        collector.start()
        #expect(await eventually { runner.asked.count == 1 })
        await collector.stop()
        #expect(runner.stopped == 1)
        await collector.stop()
    }

    @Test func asksNothingWhileSuspended() async {
        let runner = ScriptedRunner.site(clock: clock)
        let collector = collector(runner)
        collector.start()
        #expect(await eventually { runner.asked.count >= 4 })
        collector.send(.suspended(true))
        // What is said behind it is heard after it.
        collector.send(.note(Event(at: clock.now(), level: .info, kind: .note, subject: .controller, text: "behind")))
        #expect(await eventually { collector.latest().board.events.contains { $0.text == "behind" } })
        let count = runner.asked.count
        // 15 seconds of its clock. One call may have been on its way.
        await letTimePass(milliseconds: 300)
        #expect(runner.asked.count <= count + 1)
        collector.send(.suspended(false))
        #expect(await eventually { runner.asked.count > count + 1 })
        await collector.stop()
    }

    @Test func aPageTakesWhatWasAskedAMomentAgoAndAPopupDoesNot() async {
        let runner = ScriptedRunner.site(clock: clock)
        let job = Call.job(JobID(1))
        runner.answer(job, .failure("slurm_load_jobs error: Unable to contact slurm controller"))
        let collector = collector(runner)
        collector.start()
        #expect(await eventually { runner.asked.count >= 4 })
        collector.send(.detail(JobID(1), again: false))
        #expect(await eventually { collector.latest().detailFailures[JobID(1)] != nil })
        // A failure is no answer.
        runner.answer(
            job,
            .text(Array("JobId=1 JobName=a\n   UserId=alice(1001) Priority=1\n   JobState=RUNNING Reason=None\n".utf8)))
        collector.send(.detail(JobID(1), again: false))
        #expect(await eventually { collector.latest().details[JobID(1)] != nil })
        #expect(collector.latest().detailFailures[JobID(1)] == nil)
        let asked = runner.count(job)
        collector.send(.detail(JobID(1), again: true))
        #expect(await eventually { runner.count(job) == asked + 1 })
        await collector.stop()
    }

    @Test func whatFailsOverAStopIsAskedAgainAndNotShown() async {
        let runner = ScriptedRunner.site(clock: clock)
        let collector = collector(runner)
        collector.start()
        #expect(await eventually { collector.latest().board.health == .live && runner.asked.count >= 4 })
        let text = runner.script(.burst)
        runner.answer(.burst, .hang)
        let count = runner.count(.burst)
        #expect(await eventually { runner.count(.burst) > count })
        collector.send(.suspended(true))
        // The time limit of the call comes while nothing is read.
        #expect(await eventually { collector.latest().board.calls.running == nil })
        #expect(collector.latest().board.health == .live)
        runner.answer(.burst, text)
        collector.send(.suspended(false))
        #expect(await eventually { runner.count(.burst) > count + 1 })
        #expect(collector.latest().board.health == .live)
        #expect(collector.latest().board.calls.failures == 0)
        await collector.stop()
    }

    @Test func asksOnceForOutputThatIsPrinted() async {
        let runner = ScriptedRunner.site(clock: clock)
        runner.answer(.jobs, .failure("slurm_load_jobs error: Access denied"))
        let delivery = await collector(runner).oneShot(jobs: true)
        #expect(runner.asked == [Call.burst, .config, .jobs, .reservations].map { $0.arguments() })
        #expect(delivery.board.bufferRows.count == 3)
        #expect(delivery.board.faults.contains { $0.message.contains("Access denied") })
        #expect(delivery.board.calls.count == 4 && delivery.board.calls.failures == 1)

        let without = ScriptedRunner.site(clock: clock)
        _ = await collector(without).oneShot(jobs: false)
        #expect(without.asked.count == 3)

        let deaf = ScriptedRunner.site(clock: clock)
        deaf.answer(.burst, .hang)
        let nothing = await collector(deaf).oneShot(jobs: true)
        #expect(deaf.asked.count == 1 && nothing.board.faults.count >= 4)
    }

    @Test func recordsAndRemembers() async throws {
        let folder = Temporary()
        let path = folder.file("a.jsonl")
        let first = ScriptedRunner.site(clock: clock)
        do {
            let recorder = try Recorder(
                path: path, tool: "t", host: "h", utcOffsetSeconds: 0, now: clock.now())
            let collector = collector(first, recorder: recorder)
            collector.start()
            #expect(await eventually { collector.latest().board.calls.count >= 6 })
            await collector.stop()
        }
        let reader = try RecordingReader(path: path)
        #expect(reader.entries.map(\.arguments) == Array(first.asked.prefix(reader.entries.count)))
        #expect(reader.entries.count >= 5)

        // The next one knows what the first one saw before it has asked anything.
        let second = ScriptedRunner.site(clock: clock)
        second.answer(.burst, .hang)
        var settings = CollectorSettings()
        settings.warmStart = [folder.file("missing"), path]
        let log = try EventLog(path: folder.file("events"))
        let collector = collector(second, settings, eventLog: log)
        collector.start()
        #expect(await eventually { collector.latest().board.bufferRows.count == 3 })
        #expect(second.asked.count <= 1)
        #expect(collector.latest().board.events.contains { $0.text.contains("missing: cannot be read") })
        collector.send(.note(Event(at: clock.now(), level: .info, kind: .note, subject: .controller, text: "hello")))
        #expect(
            await eventually {
                String(decoding: Fixture.read(folder.file("events")), as: UTF8.self).hasSuffix(
                    "NOTE controller - hello\n")
            })
        await collector.stop()
    }

    @Test func worksWithRealCommands() async {
        let folder = Temporary()
        let text = "Name=lua DefaultPool=(null) Granularity=1 TotalSpace=0 FreeSpace=0 UsedSpace=0\n"
        folder.write(
            "scontrol", "#!/bin/sh\n[ \"$3\" = burst ] && printf '\(text.dropLast())\\n'\nexit 0\n".utf8, mode: 0o755)
        folder.write("squeue", "#!/bin/sh\nexit 0\n".utf8, mode: 0o755)
        let runner = SubprocessRunner(environment: ["PATH": "\(folder.path):/usr/bin:/bin"])
        let collector = Collector(runner: runner, settings: .init(), zone: .system, onChange: {})
        collector.start()
        #expect(await eventually { collector.latest().board.calls.count >= 4 })
        #expect(collector.latest().board.calls.failures == 0)
        #expect(collector.latest().board.burst?.value.plugins.first?.name == "lua")
        await collector.stop()
    }
}
