import BurstClient
import BurstEngine
import BurstModel
import BurstTestSupport
import BurstWire
import Glibc
import Testing

@testable import BurstDaemon

/// What is decided is recorded, and only then done.
@Suite(.onWorkers) struct DriverTests {
    private static let batch = Array("#!/bin/sh\nexit 0\n".utf8)

    private func submission() -> Question.Ask { .submit(BurstWire.Submission(name: "t", workDir: "/")) }

    @Test func aJobRunsAndItsFolderIsPrivate() async throws {
        let rig = try Rig()
        try await rig.run { () async throws in
            let job = try rig.submit(try rig.connect())
            #expect(job == 1)
            #expect(await eventually { rig.steps.started.count == 1 })
            let order = try #require(rig.steps.started.first)
            #expect(order.script == rig.state + "/hash.1/job.1/script")
            #expect(rig.folder.text(of: "state/hash.1/job.1/script") == "#!/bin/sh\n")
            #expect(order.environment.contains("SLURM_JOB_ID=1"))
            #expect(order.standardOutput == "//slurm-1.out" || order.standardOutput == "/slurm-1.out")
            for (name, mode) in [("job.1", 0o700), ("job.1/script", 0o600), ("job.1/environment", 0o600)] {
                var status = stat()
                #expect(stat(rig.state + "/hash.1/" + name, &status) == 0)
                #expect(Int(status.st_mode & 0o777) == mode)
            }
        }
    }

    @Test func nothingIsActedOnThatIsNotRecorded() async throws {
        let rig = try Rig()
        try await rig.run { () async throws in
            let connection = try rig.connect()
            rig.store.fail("/state/burst.db: the disk is full")
            let (answer, _) = try connection.ask(submission(), body: Self.batch)
            let line =
                "burstd cannot write its state, so nothing was done: /state/burst.db: the disk is full"
            #expect(answer == .refused(1, code: 0, text: line, notes: []))
            // And again, at once, without a try.
            let (second, _) = try connection.ask(submission(), body: Self.batch)
            #expect(second == .refused(2, code: 0, text: line, notes: []))
            #expect(rig.steps.started.isEmpty)
            #expect(rig.store.records.allSatisfy { if case .job = $0 { false } else { true } })
            // Looking goes on.
            #expect(String(decoding: try connection.ask(.show(.config)).1, as: UTF8.self).hasPrefix("jobs 0\n"))
            #expect(rig.log.all.count { $0.contains("no new work is taken until the state can be written") } == 1)
            rig.store.fail(nil)
            #expect(await eventually { rig.log.all.contains("the state is written again") })
            #expect(try rig.submit(connection) == 1)
            #expect(await eventually { rig.steps.started.count == 1 })
        }
    }

    private func text(_ message: (Answer, [UInt8])) -> String { String(decoding: message.1, as: UTF8.self) }

    @Test func whoLooksDoesNotWaitForTheDisk() async throws {
        let rig = try Rig()
        try await rig.run { () async throws in
            let connection = try rig.connect()
            #expect(try rig.submit(connection) == 1)
            #expect(await eventually { rig.steps.started.count == 1 })
            rig.store.hold()
            let slow = try rig.connect()
            defer { rig.store.letGo() }
            let asked = try slow.send(submission(), body: Self.batch)
            #expect(await eventually { rig.store.isWaiting })
            // What is not durable yet is not seen.
            #expect(text(try connection.ask(.show(.config), seconds: 30)).hasPrefix("jobs 1\n"))
            #expect(try connection.ask(.list(.pools), seconds: 30).0 == .body(3))
            let (answer, _) = try connection.ask(.trace(job: nil, follow: false, last: 10), seconds: 30)
            #expect(answer == .body(4))
            #expect(rig.store.isWaiting)
            // Of one client's questions the later sees what the earlier has done.
            let behind = try slow.send(.show(.config))
            rig.store.letGo()
            var seen: [UInt64?: (Answer, [UInt8])] = [:]
            for _ in 0..<2 {
                let message = try slow.next(seconds: 30)
                seen[message.question] = (message.answer, message.body)
            }
            #expect(seen[asked]?.0 == .submitted(asked, job: 2, notes: []))
            #expect(seen[behind].map(text)?.hasPrefix("jobs 2\n") == true)
            // And who was told, sees it.
            for job in UInt32(3)...20 {
                #expect(try rig.submit(connection) == job)
                #expect(text(try connection.ask(.show(.config))).hasPrefix("jobs \(job)\n"))
            }
        }
    }

    @Test func noCallIsMadeWithoutItsFiles() async throws {
        let rig = try Rig()
        rig.hooks.hold(.preRun)
        rig.hooks.hold(.testDataIn)
        rig.hooks.answer(.pools, HookAnswer(end: .success(message: "{}")))
        try await rig.run { () async throws in
            let alice = InnerClient(1_000_002, uid: 1001)
            let script = Array("#!/bin/sh\n#BB_LUA pool=p capacity=1\n".utf8)
            for job in UInt32(1)...2 {
                let answer = await alice.ask(submission(), body: script, of: rig.driver)?.0
                #expect(answer == .submitted(1, job: job, notes: []))
            }
            #expect(await eventually { rig.hooks.count(.testDataIn) == 2 })
            JobFiles(state: rig.state).remove(2)
            rig.hooks.letGo(.testDataIn)
            #expect(await eventually { rig.hooks.count(.preRun) == 1 })
            // That of the one that goes on is there when the call is made.
            #expect(rig.hooks.calls.filter { $0.function == .paths }.map(\.jobID) == [1])
            let path = EnginePaths.path(2, in: rig.state)
            #expect(
                await eventually {
                    rig.store.records.contains { record in
                        guard case .callEnded(let end) = record else { return false }
                        return end.message == "\(path): No such file or directory"
                    }
                })
            rig.hooks.letGo(.preRun)
        }
    }

    @Test func aSubmissionThatWaitsForThePoolsDoesNotWaitForTheDisk() async throws {
        let rig = try Rig()
        rig.hooks.hold(.pools)
        try await rig.run { () async throws in
            let connection = try rig.connect()
            let early = try connection.send(submission(), body: Self.batch)
            // Of one connection one is taken after the other.
            let ping = try connection.send(.ping)
            #expect(try connection.next(seconds: 30).question == ping)
            rig.store.fail("the disk is full")
            rig.hooks.letGo(.pools)
            let message = try connection.next(seconds: 30)
            #expect(message.question == early)
            guard case .refused(_, _, let text, _) = message.answer else {
                Issue.record("\(message)")
                return
            }
            #expect(text == "burstd cannot write its state, so nothing was done: the disk is full")
            rig.store.fail(nil)
            #expect(await eventually { rig.log.all.contains("the state is written again") })
            // It has left nothing behind.
            #expect(try rig.submit(connection) == 1)
            #expect(await eventually { rig.steps.started.count == 1 })
        }
    }

    @Test func whatHappensWhileTheDiskIsFullIsNotForgotten() async throws {
        let rig = try Rig()
        try await rig.run { () async throws in
            let connection = try rig.connect()
            let job = try rig.submit(connection)
            #expect(await eventually { rig.steps.started.count == 1 })
            rig.store.fail("full")
            let before = rig.store.attempts
            rig.steps.end(job)
            #expect(await eventually { rig.store.attempts > before + 1 })
            try connection.send(.wait(job: job, untilStagedOut: false))
            let ping = try connection.send(.ping)
            var seen: [UInt64?] = []
            while !seen.contains(ping) { seen.append(try connection.next(seconds: 30).question) }
            rig.store.fail(nil)
            if !seen.contains(2) {
                let message = try connection.next(seconds: 60)
                #expect(message.answer == .ended(2, status: 0, jobState: "COMPLETED", bufferState: nil))
            }
            #expect(
                await eventually {
                    rig.store.records.contains { record in
                        if case .job(let kept) = record { kept.id == job && kept.state == .completed } else { false }
                    }
                })
        }
    }

    @Test func aWrongConfigurationIsRefusedWithItsLineAndTheOldOneStays() async throws {
        let rig = try Rig()
        try await rig.run { () async throws in
            let connection = try rig.connect()
            let line = "/etc/burst/slurm.conf:7: KillWait=x is no number; write seconds"
            rig.reader.set(.failure(StateFault(line)))
            #expect(try connection.ask(.reconfigure).0 == .refused(1, code: 0, text: line, notes: []))
            rig.driver.reload()
            #expect(await eventually { rig.log.all.count { $0.contains("the configuration stays as it was") } == 2 })
            var engine = EngineSettings()
            engine.stateFolder = rig.state
            engine.plugin?.name = "datawarp"
            rig.reader.set(.success(DaemonSettings(engine: engine)))
            let text = "BurstBufferType change requires restart of slurmctld daemon to take effect"
            #expect(try connection.ask(.reconfigure).0 == .refused(2, code: 2091, text: text, notes: []))
            engine.plugin?.name = "lua"
            engine.clusterName = "other"
            rig.reader.set(.success(DaemonSettings(engine: engine)))
            rig.hooks.wrong("burst_buffer.lua:3: syntax error")
            #expect(
                try connection.ask(.reconfigure).0
                    == .refused(3, code: 0, text: "burst_buffer.lua:3: syntax error", notes: []))
            #expect(rig.driver.clusterName == "burst")
            rig.hooks.wrong(nil)
            #expect(try connection.ask(.reconfigure).0 == .ok(4))
            #expect(rig.driver.clusterName == "other")
        }
    }

    @Test func usersDoWhatUsersMay() async throws {
        let rig = try Rig()
        try await rig.run { () async throws in
            let alice = InnerClient(1_000_001, uid: 1001)
            let bob = InnerClient(1_000_002, uid: 1002)
            let root = InnerClient(1_000_003, uid: 0, isOperator: true)
            for ask in [Question.Ask.shutdown, .reconfigure, .check(repair: false)] {
                #expect(
                    await bob.ask(ask, of: rig.driver)?.0
                        == .refused(1, code: 2010, text: "Invalid user id", notes: []))
            }
            let made = await alice.ask(submission(), body: Self.batch, of: rig.driver)
            #expect(made?.0 == .submitted(1, job: 1, notes: []))
            var command = Command(.cancel, jobs: ["1"])
            guard case .done(_, let refused)? = await bob.ask(.command(command), of: rig.driver)?.0 else {
                Issue.record("bob has no outcome")
                return
            }
            #expect(refused.map(\.code) == [2002])
            command = Command(.cancel, jobs: ["1", "77"])
            guard case .done(_, let done)? = await alice.ask(.command(command), of: rig.driver)?.0 else {
                Issue.record("alice has no outcomes")
                return
            }
            #expect(done.map(\.code) == [0, 2017])
            // Hooks' calls without a job are the site's business; actions are one's own.
            let calls = await bob.ask(.trace(job: nil, follow: false, last: 10), of: rig.driver)
            #expect(calls?.1 == [])
            let all = await root.ask(.trace(job: nil, follow: false, last: 10), of: rig.driver)
            let traced = String(decoding: all?.1 ?? [], as: UTF8.self)
            #expect(traced.contains("slurm_bb_pools"))
            let actions = await bob.ask(.list(.actions), of: rig.driver)
            let seen = String(decoding: actions?.1 ?? [], as: UTF8.self)
            #expect(seen.contains("actions") && !seen.contains("\"user_id\":1001"))
        }
    }

    @Test func pushesComeOnlyWithChangesAndNeverBehindAnother() async throws {
        let rig = try Rig()
        try await rig.run { () async throws in
            let watcher = try rig.connect()
            var subscription = Subscription()
            subscription.extras = false
            subscription.calls = false
            subscription.intervalMilliseconds = 50
            try watcher.subscribe(subscription)
            let first = try watcher.next(seconds: 30)
            #expect(String(decoding: first.body, as: UTF8.self).hasPrefix("jobs 0\n"))
            let connection = try rig.connect()
            for _ in 0..<50 { _ = try rig.submit(connection) }
            var pushes = 0
            var last = ""
            while !last.hasPrefix("jobs 50\n") {
                let message = try watcher.next(seconds: 30)
                guard case .push(.burst) = message.answer else { continue }
                let text = String(decoding: message.body, as: UTF8.self)
                #expect(text != last)
                last = text
                pushes += 1
            }
            #expect(pushes <= 50)
            // Without a change there is no news.
            #expect(throws: ClientError.self) { try watcher.next(seconds: 2) }
        }
    }

    @Test func aSubscriptionIsAnsweredBeforeItsFirstPush() async throws {
        let rig = try Rig()
        try await rig.run { () async throws in
            for number in 0..<UInt64(100) {
                let client = InnerClient(1_000_100 + number, uid: 1001)
                _ = await client.ask(.subscribe(Subscription()), of: rig.driver)
                #expect(await eventually { client.all.count > 1 })
                #expect(client.all.first?.0 == .ok(1))
            }
        }
    }

    @Test func itEndsWhileSomebodyWatches() async throws {
        for _ in 0..<10 {
            let rig = try Rig()
            try await rig.start()
            let watcher = try rig.connect()
            var subscription = Subscription()
            subscription.intervalMilliseconds = 50
            try watcher.subscribe(subscription)
            #expect(try watcher.next(seconds: 30).question == nil)
            let connection = try rig.connect()
            for _ in 0..<5 { _ = try rig.submit(connection) }
            await rig.stop()
            #expect(rig.server.connectionCount == 0)
        }
    }

    @Test func nobodySubmitsForAnotherButOperators() async throws {
        let rig = try Rig()
        try await rig.run { () async throws in
            let bob = InnerClient(1_000_001, uid: 1002)
            let other = ClientQuestion.Owner(user: People.User(uid: 1001, gid: 1001, name: "alice"), groupName: "g")
            var submission = BurstWire.Submission(name: "t", workDir: "/")
            submission.user = "alice"
            _ = rig.driver.ask(
                ClientQuestion(
                    client: bob, id: 1, ask: .submit(submission), body: Self.batch, caller: bob.caller, owner: other))
            #expect(await eventually { !bob.all.isEmpty })
            guard case .refused(1, let code, _, _)? = bob.all.first?.0 else {
                Issue.record("bob may submit for alice")
                return
            }
            #expect(code != 0)
            #expect(rig.steps.started.isEmpty)
        }
    }

    @Test func filesOfUnknownJobsGoAtTheStart() async throws {
        let rig = try Rig()
        try JobFiles(state: rig.state).write(7, script: "#!/bin/sh\n", environment: [])
        #expect(rig.folder.exists("state/hash.7/job.7/script"))
        try await rig.run { () async throws in
            #expect(!rig.folder.exists("state/hash.7/job.7"))
            #expect(rig.log.all.contains("Purged files for defunct batch JobId=7"))
        }
    }

    @Test func aRunningScriptIsTakenOver() async throws {
        let rig = try Rig()
        var recovered = Engine.Recovered()
        var job = EngineJob(
            id: 5, uid: 0, gid: 0, userName: "root", name: "t", priority: 1, submitted: Timestamp(seconds: 1))
        job.state = .running
        job.start = Timestamp(seconds: 2)
        recovered.jobs = [job]
        recovered.nextJobID = 6
        rig.store.recovering(recovered)
        try JobFiles(state: rig.state).write(5, script: "#!/bin/sh\n", environment: [])
        try await rig.run { () async throws in
            #expect(rig.folder.exists("state/hash.5/job.5/script"))
            let connection = try rig.connect()
            try connection.send(.wait(job: 5, untilStagedOut: true))
            let ping = try connection.send(.ping)
            #expect(try connection.next(seconds: 30).question == ping)
            rig.steps.end(5)
            #expect(
                try connection.next(seconds: 30).answer
                    == .ended(1, status: 0, jobState: "COMPLETED", bufferState: nil))
        }
    }
}
