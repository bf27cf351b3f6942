import BurstEngine
import BurstModel
import BurstTestSupport
import Testing

/// The life cycle with datawarp: `dw_wlm_cli`'s calls, persistent buffers, what the site says of itself.
@Suite struct DataWarpLifeTests {
    private static let gib = UInt64(1) << 30
    private static let pools = [
        ReportedPool(name: "wlm_pool", quantity: 29, granularity: 200 << 30, free: 29),
        ReportedPool(name: "dwcache", quantity: 2048, granularity: 16 << 20, free: 2048),
    ]

    private static func world(
        emulated: Bool = true, change: (inout EngineSettings) -> Void = { _ in }
    ) -> EngineWorld {
        var settings = EngineSettings()
        settings.stateFolder = "/state"
        settings.hostName = "node1"
        settings.cpus = 4
        settings.plugin?.name = BurstPlugin.datawarp.rawValue
        settings.plugin?.emulatesCray = emulated
        settings.plugin?.allowsPersistent = true
        change(&settings)
        let world = EngineWorld(settings: settings)
        world.hook = { answer($0) }
        world.send(.started)
        world.run(seconds: 1)
        return world
    }

    private static func answer(
        _ call: HookCall, _ failing: [HookFunction: HookAnswer.End] = [:], sessions: [ReportedSession] = []
    ) -> EngineWorld.HookPlan {
        if let end = failing[call.function] { return EngineWorld.HookPlan(end: end) }
        switch call.function {
        case .pools: return EngineWorld.HookPlan(end: .success(message: "{}"), pools: pools)
        case .showInstances, .showSessions:
            var plan = EngineWorld.HookPlan(end: .success(message: "{}"))
            plan.site =
                call.function == .showSessions
                ? .sessions(sessions)
                : .instances(Dictionary(uniqueKeysWithValues: sessions.map { ($0.id, 400 << 30) }))
            return plan
        case .createPersistent: return EngineWorld.HookPlan(end: .success(message: "created\n"))
        default: return EngineWorld.HookPlan(end: .success(message: ""))
        }
    }

    private static func order(_ lines: String, user: UInt32 = 1001, nodes: UInt32? = nil) -> SubmitOrder {
        var order = SubmitOrder(
            script: "#!/bin/bash\n\(lines)\nsleep 1\n", name: "job", workDir: "/home", uid: user, gid: user,
            userName: "u\(user)")
        order.nodes = nodes
        return order
    }

    private static let root = Caller(uid: 0, gid: 0, userName: "root", isOperator: true)
    private static let jobdw = "#DW jobdw type=scratch access_mode=striped capacity=1GB"
    private static let create = "#BB create_persistent name=alpha capacity=4GB access_mode=striped type=scratch"

    private func functions(_ world: EngineWorld) -> [HookFunction] {
        world.calls.map(\.function).filter { $0 != .pools && $0 != .showInstances && $0 != .showSessions }
    }

    private func states(_ world: EngineWorld, _ job: UInt32) -> [String] {
        var states: [String] = []
        for change in world.changes where change.jobID == job {
            if let state = change.bufferState, states.last != state { states.append(state) }
        }
        return states
    }

    @discardableResult
    private func created(_ world: EngineWorld) -> EngineWorld {
        world.submit(Self.order(Self.create, nodes: 0))
        world.settle()
        return world
    }

    // MARK: Calls

    @Test func callsAreThoseOfSlurm() {
        let world = Self.world()
        world.submit(Self.order(Self.jobdw))
        world.settle()
        let script = "/state/hash.1/job.1/script"
        let token = ["--token", "1"]
        #expect(
            world.calls.filter { $0.function != .pools }.map(\.arguments) == [
                ["--function", "job_process", "--job", script],
                ["--function", "setup"] + token + ["--caller", "SLURM", "--user", "1001", "--groupid", "1001"]
                    + ["--capacity", "wlm_pool:200GiB", "--job", script],
                ["--function", "data_in"] + token + ["--job", script], ["--function", "real_size"] + token,
                ["--function", "paths", "--job", script] + token + ["--pathfile", "/state/hash.1/job.1/path"],
                ["--function", "pre_run"] + token
                    + ["--job", script, "--nodehostnamefile", "/state/hash.1/job.1/client_nids"],
                ["--function", "post_run"] + token + ["--job", script],
                ["--function", "data_out"] + token + ["--job", script],
                ["--function", "teardown"] + token + ["--job", script],
            ])
        let limits = Dictionary(world.calls.map { ($0.function, $0.limitSeconds) }) { first, _ in first }
        #expect(limits[.jobProcess] == 5)
        #expect(limits[.preRun] == 300)
        #expect(limits[.dataOut] == 86400)
        #expect(world.calls.allSatisfy { $0.jobInfo == nil })
        #expect(world.engine.pools.allSatisfy { $0.used == 0 })
    }

    @Test(arguments: [
        (HookFunction.dataIn, "No matching session"), (.dataOut, "x: No matching session 7"),
        (.jobTeardown, "token not found"), (.paths, "job_file_valid True\nmore"), (.realSize, "invalid function"),
    ])
    func someFailuresAreNone(function: HookFunction, text: String) throws {
        let world = Self.world()
        world.hook = { Self.answer($0, [function: .failure(status: 1, message: text)]) }
        world.submit(Self.order(Self.jobdw))
        world.settle()
        let job = try #require(world.engine.jobs[1])
        #expect(job.buffer?.stage == .complete)
        #expect(job.state == .completed)
        #expect(job.systemComment == nil)
    }

    @Test func aFailedStageInHoldsTheJobAndSaysWhy() throws {
        let world = Self.world()
        world.hook = { Self.answer($0, [.dataIn: .failure(status: 1, message: "disk on fire\n")]) }
        world.submit(Self.order(Self.jobdw))
        world.settle()
        let job = try #require(world.engine.jobs[1])
        #expect(job.isHeld)
        #expect(job.shownReason == "burst_buffer/datawarp: dws_data_in: disk on fire")
        #expect(job.systemComment?.hasSuffix(" burst_buffer/datawarp: data_in: disk on fire") == true)
        #expect(functions(world) == [.jobProcess, .setup, .dataIn])
        #expect(world.engine.pools[0].used == 200 * Self.gib)
    }

    @Test func aFailedStageOutKeepsTheBufferUntilSomebodyHurries() throws {
        let world = Self.world()
        world.hook = { Self.answer($0, [.dataOut: .failure(status: 1, message: "no")]) }
        world.submit(Self.order(Self.jobdw))
        world.settle()
        let job = try #require(world.engine.jobs[1])
        #expect(job.shownState == .stageOut)
        #expect(job.priority == 1)
        #expect(job.buffer?.created != nil)
        #expect(!functions(world).contains(.jobTeardown))
        world.perform(.cancel(.job(1), hurry: true, signal: nil, batchOnly: false), by: Self.root)
        world.settle()
        #expect(world.calls.last { $0.function == .jobTeardown }?.arguments.last == "--hurry")
        #expect(world.engine.pools[0].used == 0)
    }

    @Test func aTeardownIsTriedForEverWithPausesThatGrow() throws {
        let world = Self.world()
        var times: [Timestamp] = []
        world.hook = { call in
            if call.function == .jobTeardown { times.append(world.now) }
            return Self.answer(call, times.count < 9 ? [.jobTeardown: .failure(status: 1, message: "busy")] : [:])
        }
        world.submit(Self.order(Self.jobdw))
        world.run(seconds: 40)
        #expect(world.engine.jobs[1]?.shownReason == "burst_buffer/datawarp: teardown: busy")
        #expect(EngineText(world.engine, at: world.now, for: Self.root).shown.contains("State=teardown-fail"))
        world.run(seconds: 3600)
        #expect(zip(times.dropFirst(), times).map { $0.seconds(since: $1) } == [5, 10, 20, 40, 80, 160, 300, 300])
        #expect(world.engine.jobs[1] == nil || world.engine.jobs[1]?.buffer?.stage == .complete)
        #expect(world.engine.pools[0].used == 0)
    }

    // MARK: Persistent buffers

    @Test func aPersistentBufferIsCreatedUsedAndDestroyed() throws {
        let world = created(Self.world())
        #expect(
            world.calls.first { $0.function == .createPersistent }?.arguments == [
                "--function", "create_persistent", "-c", "CLI", "-t", "alpha", "-u", "1001", "-C",
                "wlm_pool:214748364800", "-a", "striped", "-T", "scratch",
            ])
        #expect(
            states(world, 1) == [
                "pending", "allocating", "allocated", "staging-in", "staged-in", "teardown", "complete",
            ])
        #expect(functions(world) == [.createPersistent, .setup, .dataIn, .jobTeardown])
        #expect(world.calls.last?.arguments.last == "--hurry")
        #expect(world.engine.jobs[1]?.state == .completed)
        let text = EngineText(world.engine, at: world.now, for: Self.root)
        #expect(text.shown.contains("    Name=alpha "))
        #expect(text.shown.contains("UserID=u1001(1001) Used=200GiB"))
        // Anybody may use it.
        world.submit(Self.order("#DW persistentdw name=alpha", user: 1002))
        world.run(seconds: 3)
        #expect(world.calls.last { $0.function == .setup }?.arguments.contains("wlm_pool:0") == true)
        world.settle()
        #expect(world.engine.jobs[2]?.state == .completed)
        // Only its owner may destroy it.
        world.submit(Self.order("#BB destroy_persistent name=alpha", user: 1002))
        world.settle()
        #expect(world.engine.jobs[3]?.isHeld == true)
        #expect(world.engine.jobs[3]?.shownReason == "burst_buffer/datawarp: Delete buffer alpha permission denied")
        world.submit(Self.order("#BB destroy_persistent name=alpha", nodes: 0))
        world.settle()
        #expect(world.engine.persistentBuffers.isEmpty)
        #expect(
            world.calls.first { $0.function == .destroyPersistent }?.arguments == [
                "--function", "teardown", "--token", "alpha", "--job", "/state/hash.4/job.4/script",
            ])
        #expect(states(world, 4).prefix(4) == ["pending", "deleting", "deleted", "staging-in"])
        #expect(world.engine.pools[0].used == 0)
    }

    @Test func aUserOfTheBufferIsNotRobbedOfItButWithHurry() throws {
        let world = created(Self.world())
        world.script = { _ in (60_000, 0) }
        world.submit(Self.order("#DW persistentdw name=alpha", user: 1002))
        world.run(seconds: 3)
        world.submit(Self.order("#BB destroy_persistent name=alpha", nodes: 0))
        world.run(seconds: 10)
        #expect(!functions(world).contains(.destroyPersistent))
        #expect(world.engine.jobs[3]?.shownReason == "BurstBufferResources")
        world.submit(Self.order("#BB destroy_persistent name=alpha hurry", nodes: 0))
        world.run(seconds: 3)
        #expect(world.calls.last { $0.function == .destroyPersistent }?.arguments.last == "--hurry")
        #expect(world.engine.persistentBuffers.isEmpty)
    }

    @Test(arguments: [HookAnswer.End.failure(status: 1, message: "no space"), .success(message: "well")])
    func aCreationThatDidNotHappenHoldsTheJobAndGivesTheSpaceBack(end: HookAnswer.End) throws {
        let world = Self.world()
        world.hook = { Self.answer($0, [.createPersistent: end]) }
        world.submit(Self.order(Self.create))
        world.settle()
        let job = try #require(world.engine.jobs[1])
        #expect(job.isHeld)
        #expect(job.reason == .badConstraints)
        #expect(["no space", "well"].contains(job.shownReason))
        #expect(world.engine.persistentBuffers.isEmpty)
        #expect(world.engine.pools[0].used == 0)
        world.hook = { Self.answer($0) }
        world.perform(.release(.job(1)), by: Self.root)
        world.settle()
        #expect(world.engine.persistentBuffers["alpha"]?.state == .allocated)
    }

    @Test func aDestructionThatFailsIsTriedAgainAndGivenUpWithItsJob() throws {
        let world = created(Self.world())
        world.hook = { Self.answer($0, [.destroyPersistent: .failure(status: 1, message: "busy")]) }
        world.submit(Self.order("#BB destroy_persistent name=alpha", nodes: 0))
        world.run(seconds: 20)
        #expect(functions(world).count { $0 == .destroyPersistent } == 3)
        #expect(world.engine.jobs[2]?.shownReason == "busy")
        #expect(world.engine.jobs[2]?.buffer?.stage.state.name == "deleting")
        world.perform(.cancel(.job(2), hurry: false, signal: nil, batchOnly: false), by: Self.root)
        world.settle()
        #expect(world.engine.persistentBuffers["alpha"]?.state == .allocated)
        #expect(world.engine.pools[0].used == 200 * Self.gib)
    }

    @Test func severalOfOneJobAreCreatedOneAfterTheOther() {
        let world = Self.world()
        let lines =
            Self.create + "\n#BB create_persistent name=beta capacity=1GB pool=dwcache\n#DW persistentdw name=beta"
        world.submit(Self.order(lines))
        world.settle()
        #expect(functions(world).prefix(4) == [.jobProcess, .createPersistent, .createPersistent, .setup])
        #expect(functions(world).contains(.preRun))
        #expect(world.engine.persistentBuffers.keys.sorted() == ["alpha", "beta"])
        // The same user's name a second time is as good as done.
        world.submit(Self.order(Self.create))
        world.submit(Self.order(Self.create, user: 1002))
        world.settle()
        #expect(functions(world).count { $0 == .createPersistent } == 2)
        #expect(world.engine.jobs[2]?.state == .completed)
        #expect(world.engine.jobs[3]?.shownReason == "Burst buffer create_persistent error")
    }

    // MARK: Submission

    @Test(arguments: [
        ("#DW stage_in type=file source=/a destination=$DW_JOB_STRIPED/a", "no line asks for a buffer"),
        ("#BB create_persistent name=12345 capacity=4GB", "begins with a digit"),
        ("#BB create_persistent name=alpha", "has no size"), ("#BB destroy_persistent", "no name"),
        ("#DW jobdw capacity=3.5TB", "write 3500GB"), ("#DW jobdw capacity=1GB pool=nosuch", "Invalid pool requested"),
        ("#DW jobdw capacity=99TB", "write at most that"), ("#DW persistentdw name=", "no name"),
        ("#DW swap abc", "write a number of GiB"), ("#DW jobdw capacity=1GB \\\n#BB goes on", "cannot go on"),
    ])
    func whatIsMeantOtherwiseIsRefusedWithTheCorrection(lines: String, why: String) throws {
        let world = Self.world()
        let replyRequest = world.submit(Self.order(lines))
        let reply = try #require(world.replies[replyRequest])
        guard case .refused(let refusal, let notes) = reply else {
            Issue.record("\(lines) is accepted")
            return
        }
        #expect(refusal.text == "Burst Buffer request invalid")
        #expect(notes.contains { $0.contains(why) }, "\(notes)")
    }

    @Test func whoMayNotCreateIsToldSo() throws {
        let world = Self.world { $0.plugin?.allowsPersistent = false }
        let replyRequest = world.submit(Self.order(Self.create))
        let reply = try #require(world.replies[replyRequest])
        guard case .refused(let refusal, let notes) = reply else {
            Issue.record("it is accepted")
            return
        }
        #expect(refusal.text == "Burst Buffer permission denied")
        #expect(notes == ["burst_buffer/datawarp: line 2: User 1001 disabled from creating persistent burst buffer"])
    }

    @Test func aJobWithoutNodesMayOnlyHavePersistentBuffers() throws {
        let world = Self.world()
        let replyRequest = world.submit(Self.order(Self.jobdw, nodes: 0))
        let reply = try #require(world.replies[replyRequest])
        #expect(reply == .refused(Refusal(SlurmError.invalidBurstBufferRequest), notes: []))
        let plainRequest = world.submit(Self.order("# nothing", nodes: 0))
        let plain = try #require(world.replies[plainRequest])
        #expect(plain == .refused(Refusal(SlurmError.invalidNodeCount), notes: []))
    }

    @Test(arguments: [
        ("capacity=1G access=striped type=scratch", "#DW jobdw capacity=1GiB access_mode=striped type=scratch"),
        ("swap=10 capacity=100GB pool=p2", "#DW swap 10GiB pool=p2\n#DW jobdw capacity=100GB pool=p2"),
        ("capacity=1G,access=striped", "#DW jobdw capacity=1GiB access_mode=striped"),
        ("#DW jobdw capacity=1G", "#DW jobdw capacity=1G"),
    ])
    func theShortFormIsTranslated(given: String, directives: String) throws {
        #expect(try BurstBufferOption.translated(given) == directives)
    }

    @Test(arguments: ["access=striped", "capacity=x", "create_persistent=z2 capacity=4GB", "swap=0", "foo"])
    func aShortFormThatAsksForNothingIsRefused(given: String) {
        #expect(throws: SubmissionFault.self) { try BurstBufferOption.translated(given) }
    }

    // MARK: The site

    @Test func sessionsOfTheSiteDefineWhatIsThereAtTheStart() throws {
        let world = Self.world(emulated: false)
        #expect(world.calls.map(\.function).prefix(3) == [.pools, .showInstances, .showSessions])
        let sessions = [
            ReportedSession(id: 1, token: "alpha", uid: 1001, userName: "u1001"),
            ReportedSession(id: 2, token: "77", uid: 1001, userName: "u1001"),
        ]
        world.hook = { Self.answer($0, sessions: sessions) }
        world.restart()
        world.run(seconds: 2)
        #expect(world.engine.persistentBuffers["alpha"]?.size == 400 * Self.gib)
        #expect(world.engine.pools[0].used == 400 * Self.gib)
        #expect(
            world.calls.last { $0.function == .destroyPersistent }?.arguments == [
                "--function", "teardown", "--token", "77", "--job", "/state/burst_buffer_script",
            ])
        // Not listed any more: forgotten after more than a minute, and not before.
        world.hook = { Self.answer($0) }
        world.run(seconds: 80)
        #expect(world.engine.persistentBuffers["alpha"] != nil)
        world.run(seconds: 40)
        #expect(world.engine.persistentBuffers.isEmpty)
        #expect(world.engine.pools[0].used == 0)
    }

    @Test func sessionsThatCannotBeReadChangeNothing() {
        let world = created(Self.world(emulated: false))
        world.hook = { Self.answer($0, [.showSessions: .failure(status: 1, message: "daemon is down")]) }
        world.run(seconds: 600)
        #expect(world.engine.persistentBuffers["alpha"]?.state == .allocated)
    }

    @Test func withoutADocumentOfPoolsThePluginIsDown() throws {
        var settings = EngineSettings()
        settings.plugin?.name = BurstPlugin.datawarp.rawValue
        let world = EngineWorld(settings: settings)
        world.hook = { Self.answer($0, [.pools: .success(message: "garbage")]) }
        world.send(.started)
        world.run(seconds: 1)
        world.submit(Self.order("#DW persistentdw name=alpha"))
        world.run(seconds: 40)
        #expect(functions(world).isEmpty)
        #expect(world.engine.jobs[1]?.shownReason == "BurstBufferResources")
        // What its script means is known to the site, once that answers.
        world.hook = { Self.answer($0) }
        world.run(seconds: 40)
        #expect(world.engine.poolsKnown)
        // A later answer that cannot be read takes nothing away.
        world.hook = { Self.answer($0, [.pools: .success(message: "garbage")]) }
        world.run(seconds: 40)
        #expect(world.engine.pools.count == 2)
    }

    /// What a trace calls them.
    @Test func callsAreNamedAsThePluginMakesThem() {
        let world = Self.world(emulated: false)
        world.submit(
            Self.order(
                """
                \(Self.jobdw)
                #DW stage_in type=directory source=/a destination=$DW_JOB_STRIPED/a
                #DW stage_out type=directory source=$DW_JOB_STRIPED/a destination=/b
                """))
        world.settle()
        func name(_ call: HookCall) -> String { call.function.called(with: call.arguments) }
        #expect(world.calls.map(name).prefix(3) == ["pools", "show_instances", "show_sessions"])
        #expect(
            world.calls.filter { $0.jobID == 1 }.map(name) == [
                "job_process", "setup", "data_in", "real_size", "paths", "pre_run", "post_run", "data_out", "teardown",
            ])
        let persistent = created(Self.world())
        persistent.submit(Self.order("#BB destroy_persistent name=alpha", nodes: 0))
        persistent.settle()
        #expect(persistent.calls.filter { $0.function == .createPersistent }.map(name) == ["create_persistent"])
        #expect(persistent.calls.filter { $0.function == .destroyPersistent }.map(name) == ["teardown"])
        #expect(HookFunction.getStatus.called(with: ["sessions", "1"]) == "dwstat")
        #expect(HookFunction.getStatus.called(with: []) == "dwstat")
        #expect(HookFunction.getStatus.called(with: ["1001", "100", "all"]) == "slurm_bb_get_status")
        #expect(HookFunction.dataIn.called(with: ["7", "/script"]) == "slurm_bb_data_in")
    }

    @Test func aRestartForgetsNoBufferAndCreatesWhatWasBeingCreated() {
        let world = Self.world()
        world.hook = { call in
            var plan = Self.answer(call)
            if call.function == .createPersistent { plan.milliseconds = 20_000 }
            return plan
        }
        world.submit(Self.order(Self.create, nodes: 0))
        world.run(seconds: 5)
        world.restart()
        world.settle()
        #expect(functions(world).count { $0 == .createPersistent } == 2)
        #expect(world.engine.persistentBuffers["alpha"]?.state == .allocated)
        #expect(world.engine.jobs[1]?.state == .completed)
        #expect(world.engine.pools[0].used == 200 * Self.gib)
        #expect(EngineChecks.faults(in: world.engine).isEmpty)
    }
}

extension EngineText {
    fileprivate var shown: String { String(decoding: showBurst(), as: UTF8.self) }
}
