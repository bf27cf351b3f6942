import BurstEngine
import BurstHooks
import BurstTestSupport
import Glibc
import Synchronization
import Testing

/// `dw_wlm_cli` and `dwstat` as programs: what they are given, how they end, what they may not do.
@Suite struct ProgramTests {
    private final class Bench: Sendable {
        let folder: TemporaryFolder
        let hooks: ProgramHooks
        private let answers: Answers

        private final class Answers: Sendable {
            let waiting = Mutex<[CallID: CheckedContinuation<HookAnswer, Never>]>([:])
        }

        init(_ script: String, limits: ProgramHooks.Limits = ProgramHooks.Limits()) throws {
            folder = try TemporaryFolder()
            let program = folder("program")
            folder.write("#!/bin/bash\n" + script + "\n", to: "program", mode: 0o755)
            let answers = Answers()
            self.answers = answers
            hooks = ProgramHooks(
                programs: { ProgramHooks.Programs(state: program, status: program) },
                environment: ["PATH=/usr/bin:/bin", "MARK=here", "HOME_OF_TEST=\(folder.path)"],
                standIn: folder("stand-in"), limits: limits,
                answer: { call, answer in
                    answers.waiting.withLock { $0.removeValue(forKey: call) }?.resume(returning: answer)
                })
        }

        func call(
            _ arguments: [String], _ function: HookFunction = .dataIn, number: UInt64 = 1, limit: UInt32? = nil
        ) async -> HookAnswer {
            await withCheckedContinuation { continuation in
                answers.waiting.withLock { $0[CallID(number)] = continuation }
                hooks.start(
                    HookCall(id: CallID(number), function: function, arguments: arguments, limitSeconds: limit))
            }
        }
    }

    @Test func argumentsAndBothOutputsComeAsTheyAre() async throws {
        let bench = try Bench(
            #"printf '[%s]' "$@"; echo " $MARK" >&2; cat; read -ra own </proc/$$/stat; echo "${own[4]}"; echo $$"#)
        let answer = await bench.call(["--function", "data_in", "a b", "", "x\ny"])
        guard case .success(let text?) = answer.end else {
            Issue.record("\(answer.end)")
            return
        }
        let lines = text.split(separator: "\n")
        #expect(text.hasPrefix("[--function][data_in][a b][][x\ny] here\n"))
        // A group of its own.
        #expect(lines.suffix(2).first == lines.last)
        #expect(answer.pid.map { "\($0)" } == lines.last.map(String.init))
    }

    @Test func noDescriptorOfOursIsHandedOn() async throws {
        // One that a child would inherit.
        let inherited = fcntl(0, F_DUPFD, 700)
        defer { close(inherited) }
        let bench = try Bench("[ -e /proc/$$/fd/\(inherited) ] && echo there || echo closed")
        #expect(await bench.call([]).end == .success(message: "closed\n"))
    }

    @Test func theExitStatusIsTheAnswers() async throws {
        let bench = try Bench("echo no; exit $1")
        #expect(await bench.call(["0"]).end == .success(message: "no\n"))
        #expect(await bench.call(["7"]).end == .failure(status: 7, message: "no\n"))
    }

    @Test func aSignalIsSaid() async throws {
        let bench = try Bench("kill -SEGV $$")
        #expect(await bench.call([]).end == .broken("dw_wlm_cli ended of signal 11"))
    }

    @Test func atTheLimitAllOfItEndsAndTheSignalIsSeen() async throws {
        let bench = try Bench(
            #"trap 'echo bye >>$HOME_OF_TEST/seen; exit 0' TERM; sleep 300 & echo $! >$HOME_OF_TEST/child; wait"#)
        let answer = await bench.call([], limit: 1)
        #expect(answer.end == .timedOut)
        #expect(answer.durationMicroseconds >= 1_000_000)
        #expect(bench.folder.text(of: "seen") == "bye\n")
        let child = try #require(Int32(bench.folder.text(of: "child").filter(\.isNumber)))
        #expect(await eventually { kill(child, 0) != 0 })
    }

    @Test func whoIgnoresTheSignalIsKilled() async throws {
        let bench = try Bench("trap '' TERM; while :; do sleep 0.1; done")
        #expect(await bench.call([], limit: 1).end == .timedOut)
    }

    @Test func aCallCanBeKilled() async throws {
        let bench = try Bench("touch $HOME_OF_TEST/begun; sleep 300")
        async let answer = bench.call([])
        #expect(await eventually { bench.folder.exists("begun") })
        bench.hooks.kill(CallID(1))
        #expect(await answer.end == .killed)
    }

    @Test func aProcessThatWasLeftBehindIsNotWaitedFor() async throws {
        let bench = try Bench("setsid sleep 100 & echo done")
        let answer = await bench.call([], limit: 60)
        #expect(answer.end == .success(message: "done\n"))
        #expect(answer.durationMicroseconds < 60_000_000)
    }

    @Test func aFloodIsCutOff() async throws {
        var limits = ProgramHooks.Limits()
        limits.outputBytesMax = 1 << 20
        let bench = try Bench("while :; do echo aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; done", limits: limits)
        #expect(await bench.call([], limit: 60).end == .broken("dw_wlm_cli printed more than 1 MiB and was ended"))
    }

    @Test(arguments: ["relative", "/nonexistent/program"])
    func aProgramThatIsNotThereFailsTheCallAndSaysWhy(path: String) async throws {
        let answers = Mutex<[HookAnswer]>([])
        let hooks = ProgramHooks(
            programs: { ProgramHooks.Programs(state: path, status: path) }, environment: [], standIn: "/x",
            answer: { _, answer in answers.withLock { $0.append(answer) } })
        hooks.start(HookCall(id: CallID(1), function: .pools, arguments: []))
        await hooks.stop()
        let answer = try #require(answers.withLock { $0.first })
        guard case .failure(127, let message?) = answer.end else {
            Issue.record("\(answer.end)")
            return
        }
        #expect(message.hasPrefix("Run command failed - configuration error: GetSysState=\(path): "))
    }

    @Test func atMostSoManyRunAtOnceAndTheOthersFollow() async throws {
        var limits = ProgramHooks.Limits()
        limits.runningMax = 2
        let bench = try Bench(
            "mkdir -p $HOME_OF_TEST/at; >$HOME_OF_TEST/at/$$; ls $HOME_OF_TEST/at | wc -l; sleep 0.1; rm $HOME_OF_TEST/at/$$",
            limits: limits)
        let ends = await withTaskGroup(of: HookAnswer.End.self) { group in
            for number in 1...8 { group.addTask { await bench.call([], number: UInt64(number)).end } }
            return await group.reduce(into: [HookAnswer.End]()) { $0.append($1) }
        }
        #expect(ends.count == 8)
        #expect(ends.allSatisfy { [.success(message: "1\n"), .success(message: "2\n")].contains($0) })
    }

    @Test func theScriptThatStandsInIsWritten() async throws {
        let bench = try Bench(#"cat "$2""#)
        let answer = await bench.call(["--job", bench.folder("stand-in")], .destroyPersistent)
        #expect(answer.end == .success(message: "#!/bin/bash\nexit 0\n"))
    }
}

/// The JSON of `dw_wlm_cli`, as Slurm reads it (spec §5.3).
@Suite struct SiteDocumentTests {
    @Test func poolsAreReadWhateverTheKeyAndAsPythonPrintsThem() {
        let text =
            "{u'things': [{'id': u'wlm_pool', 'units': 'bytes', 'granularity': 8, 'quantity': 5, 'free': 4},"
            + " {'id': 'b', 'quantity': '7', 'granularity': 2.5}]} trailing"
        let reading = SiteDocument.pools(text)
        #expect(reading.faults.isEmpty)
        #expect(
            reading.pools == [
                ReportedPool(name: "wlm_pool", quantity: 5, granularity: 8, free: 4),
                ReportedPool(name: "b", quantity: 0, granularity: 1),
            ])
    }

    @Test(arguments: [
        "", "no JSON", #"{"pools":null}"#, #"{"pools":"x"}"#, #"[{"id":"a"}]"#, #"{"pools":[1]}"#, "{}", "null",
        #"{"pools":[{"id":"a"},[]]}"#,
    ])
    func whatWouldEndSlurmctldIsRefusedWithOneLine(text: String) {
        let reading = SiteDocument.pools(text)
        #expect(reading.pools.isEmpty)
        #expect(reading.faults.count == 1)
        #expect(!reading.faults.joined().contains("\n"))
    }

    @Test func freeAboveTheQuantityIsCutAndGranularityZeroIsOne() {
        let reading = SiteDocument.pools(#"{"pools":[{"id":"a","granularity":0,"quantity":5,"free":9}]}"#)
        #expect(reading.pools == [ReportedPool(name: "a", quantity: 5, granularity: 1, free: 5)])
        #expect(reading.faults.count == 1)
    }

    @Test func sessionsAndTheSumsOfTheirInstances() {
        let sessions = SiteDocument.read(
            .showSessions,
            #"{"sessions":[{"id":3,"created":1500000000,"owner":1001,"token":"alpha"},{"id":4,"token":7}]}"#
        ) { $0 == 1001 ? "alice" : nil }
        guard case .sessions(let found) = sessions else {
            Issue.record("\(sessions)")
            return
        }
        #expect(found.map(\.token) == ["alpha"])
        #expect(found.first?.userName == "alice")
        let instances = SiteDocument.read(
            .showInstances,
            #"{"instances":[{"capacity":{"bytes":5},"links":{"session":3}},{"capacity":{"bytes":6},"links":{"session":3}}]}"#
        ) { _ in nil }
        #expect(instances == .instances([3: 11]))
        guard case .unreadable(let faults) = SiteDocument.read(.showSessions, "down", userName: { _ in nil }) else {
            Issue.record("it is read")
            return
        }
        #expect(faults.count == 1)
    }
}
