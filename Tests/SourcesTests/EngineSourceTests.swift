import BurstModel
import BurstSources
import BurstTestSupport
import BurstWire
import Testing

/// A source over burstd's protocol, on a real socket.
@Suite(.timeLimit(.minutes(15))) struct EngineSourceTests {
    private let clock = SourceClock.fast(10)

    private func source(
        _ server: EngineServer, _ settings: CollectorSettings = .init(), recorder: Recorder? = nil
    ) -> EngineSource {
        EngineSource(
            path: server.path, program: "test", settings: settings, zone: .fixed(), clock: clock, recorder: recorder,
            onChange: {})
    }

    @Test func pushesBecomeBoards() async throws {
        let server = try EngineServer()
        let source = source(server)
        #expect(source.latest().board.health == .connecting && source.latest().calls == nil)
        source.start()
        #expect(
            await eventually {
                let delivery = source.latest()
                return !delivery.board.work.isEmpty && delivery.calls?.isEmpty == false
                    && delivery.board.source.version != nil
            })
        let delivery = source.latest()
        let row = try #require(delivery.board.bufferRows.first)
        #expect(delivery.board.health == .live && delivery.board.source.kind == .burstd)
        #expect(delivery.board.source.cluster == "alps")
        #expect(delivery.board.stage(row) == .stagingIn)
        // Exactly as burstd says, not as it was seen.
        #expect(row.since == Timestamp(milliseconds: EngineServer.since) && row.sinceSeen)
        #expect(delivery.board.jobRows.first?.since == row.since)
        #expect(!row.ageText(at: delivery.board.now).hasSuffix("+"))
        let work = try #require(delivery.board.work[JobID(7)])
        #expect(work.function == "slurm_bb_data_in" && work.progress?.text == "3 of 12 files  1.00K of 4.00K")
        #expect(work.progress?.share == 0.25 && work.progress?.secondsLeft == nil)
        let call = try #require(delivery.calls?.first)
        #expect(call.answer(at: delivery.board.now) == "failure -1: no space" && call.durationText == "2.5 ms")
        let subscription = try #require(server.subscriptions.first)
        #expect(subscription.queue?.fields == SqueueText.format && subscription.queue?.header == false)
        // What changes is pushed, and a call that ended replaces itself.
        server.push(.burst(at: 2), EngineServer.burst("running"))
        server.push(.queue(at: 2), EngineServer.queue("running"))
        server.push(.call(at: 2), EngineServer.call(2, ended: false))
        #expect(
            await eventually { source.latest().board.bufferRows.first.map(source.latest().board.stage) == .running })
        #expect(await eventually { source.latest().calls?.count == 2 })
        #expect(source.latest().calls?.last?.outcome == nil)
        server.push(.call(at: 3), EngineServer.call(2, ended: true))
        #expect(await eventually { source.latest().calls?.last?.outcome == "failure" })
        #expect(source.latest().calls?.count == 2)
        await source.stop()
    }

    @Test func anUnchangedTextStaysYoungAsLongAsBurstdAnswers() async throws {
        let server = try EngineServer()
        let source = source(server)
        source.start()
        #expect(await eventually { source.latest().board.burst != nil })
        let first = try #require(source.latest().board.burst?.at)
        // Nothing is pushed any more.
        #expect(await eventually { source.latest().board.burst.map { $0.at.seconds(since: first) >= 8 } ?? false })
        #expect(source.latest().board.health == .live)
        #expect(source.latest().board.events.allSatisfy { $0.kind != .controller || $0.level != .error })
        await source.stop()
    }

    @Test func aLostBurstdIsStaleWithItsWordsAndItsReturnIsSurvived() async throws {
        let server = try EngineServer()
        let source = source(server)
        source.start()
        #expect(await eventually { source.latest().board.health == .live })
        server.stop()
        #expect(
            await eventually {
                guard case .stale(let reason, _, let tries, let good) = source.latest().board.health else {
                    return false
                }
                return reason.contains("burstd does not run there") && tries > 1 && good != nil
            }, "\(source.latest().board.health)")
        #expect(source.latest().board.calls.nextAt != nil && source.latest().board.work.isEmpty)
        // Nothing is acted on meanwhile, and it is said.
        source.send(.cancel([CancelOrder(jobID: JobID(7), hurry: false)]))
        source.send(.detail(JobID(7), again: true))
        #expect(
            await eventually {
                source.latest().cancels.last?.end == .failed("burstd cannot be reached")
                    && source.latest().detailFailures[JobID(7)] != nil
            })
        let rows = source.latest().board.bufferRows.count
        #expect(rows == 1)
        try server.listen()
        source.send(.refresh)
        #expect(await eventually { source.latest().board.health == .live })
        #expect(await eventually { server.subscriptions.count >= 2 })
        await source.stop()
    }

    @Test func aSilentBurstdIsLost() async throws {
        let server = try EngineServer()
        let source = source(server)
        source.start()
        #expect(await eventually { source.latest().board.health == .live })
        server.set(pings: false)
        #expect(
            await eventually {
                guard case .stale(let reason, _, _, _) = source.latest().board.health else { return false }
                return reason == "burstd has not answered for 10 s"
            }, "\(source.latest().board.health)")
        await source.stop()
    }

    @Test func garbageIsToldAndLeavesTheRest() async throws {
        let server = try EngineServer()
        let source = source(server)
        source.start()
        #expect(await eventually { !source.latest().board.work.isEmpty })
        server.push(.extras(at: 2), Array("{\"jobs\": 7".utf8))
        server.push(.call(at: 2), Array("[]".utf8))
        server.push(.burst(at: 2), Array("burst\u{0}\u{ff}\n".utf8))
        #expect(
            await eventually {
                source.latest().board.events.count { $0.text.hasPrefix("burstd: a body is not") } == 2
            })
        // No frame at all: that connection ends, and the next one serves.
        let before = server.subscriptions.count
        server.sendAll([UInt8](repeating: 0xff, count: 64))
        #expect(await eventually { server.subscriptions.count > before && source.latest().board.health == .live })
        await source.stop()
    }

    @Test func wishesAreAnsweredAsByTheCommands() async throws {
        let server = try EngineServer { question in
            switch question.ask {
            case .show(.jobs("7", _)):
                let text = "JobId=7 JobName=a\n   UserId=alice(1001) Priority=1\n   JobState=RUNNING Reason=None\n"
                return (.body(question.id), Array(text.utf8))
            case .show(.jobs("9", _)):
                return (.refused(question.id, code: 1, text: "burstd has too much to do", notes: []), [])
            case .show(.status(let word, let arguments)):
                return (.body(question.id), Array("\(word) \(arguments)\n".utf8))
            case .command(let command):
                let job = UInt32(command.jobs.first ?? "") ?? 0
                let code: Int32 = job == 8 ? 2002 : job == 6 ? 2021 : 0
                let text = code == 0 ? "" : "Access/permission denied"
                return (
                    .done(question.id, [Outcome(job: job, shown: command.jobs[0], code: code, text: text)]), []
                )
            default: return nil
            }
        }
        let source = source(server)
        source.start()
        #expect(await eventually { source.latest().board.health == .live })
        for id in [7, 9] as [UInt32] { source.send(.detail(JobID(id), again: true)) }
        source.send(.status(StatusRequest(word: "bbstat", arguments: ["x"])))
        source.send(.cancel([7, 8, 6].map { CancelOrder(jobID: JobID($0), hurry: $0 == 7) }))
        #expect(await eventually { source.latest().cancels.count == 3 && source.latest().status != nil })
        #expect(await eventually { source.latest().detailFailures[JobID(9)] != nil })
        let delivery = source.latest()
        #expect(delivery.details[JobID(7)]?.value?.job.name == "a")
        #expect(delivery.detailFailures[JobID(9)]?.contains("too much to do") == true)
        #expect(delivery.status?.result.output == Array("bbstat [\"x\"]\n".utf8) && delivery.statusRunningSince == nil)
        #expect(delivery.cancels.map(\.end) == [.exit(0), .exit(1), .exit(0)])
        #expect(delivery.cancels[0].arguments == ["scancel", "--hurry", "7"])
        #expect(delivery.cancels[1].errors == "scancel: error: Kill job error on job id 8: Access/permission denied\n")
        await source.stop()
    }

    @Test func oneAnswerIsWholeOrAFailure() async throws {
        let server = try EngineServer()
        let delivery = await source(server).oneShot()
        #expect(delivery.board.health == .live && delivery.board.jobRows.count == 1)
        #expect(delivery.board.config != nil && delivery.board.reservations != nil && delivery.calls != nil)
        #expect(delivery.board.bufferRows.first?.since == Timestamp(milliseconds: EngineServer.since))
        server.set(refusal: "too many connections")
        guard case .stale(let reason, _, _, _) = await source(server).oneShot().board.health else {
            Issue.record("it took a refusal for an answer")
            return
        }
        #expect(reason.contains("too many connections"))
        server.stop()
        guard case .stale = await source(server).oneShot().board.health else {
            Issue.record("it took nobody for an answer")
            return
        }
    }

    @Test func aRecordingOfItIsPlayedAsOneOfTheCommands() async throws {
        let server = try EngineServer()
        let temporary = Temporary()
        let recorder = try Recorder(
            path: temporary.file("r.jsonl"), tool: "test", host: "h", utcOffsetSeconds: 0, now: clock.now())
        _ = await source(server, recorder: recorder).oneShot()
        let reader = try RecordingReader(path: temporary.file("r.jsonl"))
        let calls = Set(reader.entries.compactMap(\.call))
        #expect(calls == [.burst, .jobs, .config, .reservations])
        let replay = try ReplaySource(path: temporary.file("r.jsonl"), onChange: {})
        #expect(replay.oneShot().board.bufferRows.count == 1)
    }

    @Test func itEndsAtOnceAlsoWhileNobodyAnswers() async throws {
        let server = try EngineServer()
        server.set(greets: false)
        let source = source(server)
        source.start()
        await letTimePass(milliseconds: 100)
        let start = ContinuousClock().now
        await source.stop()
        #expect(ContinuousClock().now - start < .seconds(10))
        #expect(source.latest().board.burst == nil)
    }
}
