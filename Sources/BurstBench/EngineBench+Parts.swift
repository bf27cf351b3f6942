import BurstEngine
import BurstHooks
import BurstModel
import BurstStore
import BurstTestSupport
import Dispatch
import Glibc
import Synchronization

/// What is measured in this process: the engine, the store, the hooks.
extension EngineBench {
    // MARK: The engine

    /// A pass of the scheduler over a long queue; and what a submission costs the engine alone.
    func measurePass() throws(HarnessError) {
        var settings = EngineSettings()
        settings.cpus = UInt32(Self.cpus)
        settings.maxJobCount = effort.pending + 1000
        var engine = Engine(settings: settings)
        var now = Timestamp(milliseconds: 1_800_000_000_000)
        let caller = Caller(uid: 0, gid: 0, userName: "root", isOperator: true)
        func answer(_ decision: Decision) -> [HookCall] {
            decision.effects.compactMap { if case .call(let call) = $0 { call } else { nil } }
        }
        let success = HookAnswer(end: .success(message: nil))
        for call in answer(engine.step(.started, at: now)) {
            let pool = ReportedPool(
                name: ImmediateScript.pool, quantity: 10, granularity: Int64(ImmediateScript.granularity))
            _ = engine.step(
                .poolsRead(call.id, HookAnswer(end: .success(message: "")), PoolsReading(pools: [pool])), at: now)
        }
        var order = SubmitOrder(
            script: ImmediateScript.job, name: "bench", workDir: "/tmp", uid: 1000, gid: 1000, userName: "alice")
        order.stdOut = "/dev/null"
        var submission = EngineFigure("C5", "a submission in the engine, \(effort.pending) times", "us")
        let start = PseudoTerminal.now
        for number in 0..<effort.pending {
            for call in answer(engine.step(.submit(RequestID(UInt64(number)), order, caller), at: now)) {
                _ = engine.step(.hookEnded(call.id, success), at: now)
            }
        }
        submission.ours.add(Counting.seconds(since: start) * 1e6 / Double(effort.pending))
        // Ten are staged in, and the rest wait.
        guard engine.jobs.count == effort.pending else {
            throw HarnessError("the engine took \(engine.jobs.count) jobs")
        }
        add(submission)
        var pass = EngineFigure("C4", "a pass of the scheduler, \(effort.pending) pending", "ms", .atMost(100))
        for round in 0..<max(5, effort.rounds * 3) {
            now = now.adding(milliseconds: 2000)
            for call in answer(engine.step(.submit(RequestID(UInt64(round)), order, caller), at: now)) {
                _ = engine.step(.hookEnded(call.id, success), at: now)
            }
            now = now.adding(milliseconds: 1500)
            let start = PseudoTerminal.now
            _ = engine.step(.tick, at: now)
            pass.ours.add(Counting.seconds(since: start) * 1000)
        }
        add(pass)
    }

    // MARK: The store

    /// One job's record a commit, 64 a commit, and what the disk itself does.
    func measureStore() throws(HarnessError) {
        let folder = try TemporaryFolder("burst-bench")
        folder.makeFolder("state")
        let store: Store
        do {
            store = try Store.open(folder: folder("state"))
        } catch {
            throw HarnessError("\(error)")
        }
        defer { store.close() }
        var single = EngineFigure("E3", "durable commits of one job, beside bare fsync", "1/s", .ratioAtLeast(0.2))
        var group = EngineFigure("E4", "jobs recorded, 64 a commit, beside bare fsync", "1/s", .ratioAtLeast(1))
        var job = EngineJob(
            id: 1, uid: 0, gid: 0, userName: "root", name: "bench", priority: 1,
            submitted: Timestamp(milliseconds: 1_800_000_000_000))
        job.workDir = "/tmp"
        job.stdOut = "/dev/null"
        for _ in 0..<max(5, effort.rounds) {
            let bare = try syncRate(folder("bare"))
            single.peer.add(bare)
            group.peer.add(bare)
            do {
                var start = PseudoTerminal.now
                for _ in 0..<300 {
                    job.id += 1
                    try store.persist([.job(job)])
                }
                single.ours.add(300 / Counting.seconds(since: start))
                start = PseudoTerminal.now
                for _ in 0..<30 {
                    var records: [Record] = []
                    for _ in 0..<64 {
                        job.id += 1
                        records.append(.job(job))
                    }
                    try store.persist(records)
                }
                group.ours.add(30 * 64 / Counting.seconds(since: start))
            } catch {
                throw HarnessError("\(error)")
            }
        }
        add(single)
        add(group)
    }

    /// Appends of a page, each synced, a second.
    private func syncRate(_ path: String) throws(HarnessError) -> Double {
        let file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw HarnessError("\(path): errno \(errno)") }
        defer { close(file) }
        let page = [UInt8](repeating: 1, count: 4096)
        let start = PseudoTerminal.now
        for _ in 0..<300 {
            guard write(file, page, page.count) == page.count, fsync(file) == 0 else {
                throw HarnessError("\(path): errno \(errno)")
            }
        }
        return 300 / Counting.seconds(since: start)
    }

    // MARK: Hooks

    /// Calls through burst-scriptd, each in a process of its own.
    func measureHooks() throws(HarnessError) {
        let folder = try TemporaryFolder("burst-bench")
        folder.write(ImmediateScript.lua(buffers: 10), to: "burst_buffer.lua")
        let gate = Gate()
        let hooks: LuaHooks
        do {
            hooks = try LuaHooks(
                script: folder("burst_buffer.lua"), clusterName: "bench", scriptd: programs + "burst-scriptd",
                log: { _ in }, answer: { _, answer in gate.came(answer) })
        } catch {
            throw HarnessError("\(error)")
        }
        defer {
            let ended = DispatchSemaphore(value: 0)
            Task {
                await hooks.stop()
                ended.signal()
            }
            ended.wait()
        }
        var number: UInt64 = 0
        for underWay in [1, 64] {
            var figure = EngineFigure(
                underWay == 1 ? "E1" : "E2", "hook calls through burst-scriptd, \(underWay) under way", "1/s")
            let count = underWay == 1 ? 300 : 3000
            for _ in 0..<max(3, effort.rounds) {
                let start = PseudoTerminal.now
                for _ in 0..<underWay { gate.open.signal() }
                for _ in 0..<count {
                    gate.open.wait()
                    number += 1
                    hooks.start(
                        HookCall(
                            id: CallID(number), function: .setup, jobID: 1,
                            arguments: ["1", "0", "0", ImmediateScript.pool, "1048576", "/dev/null"],
                            limitSeconds: 60))
                }
                for _ in 0..<underWay { gate.open.wait() }
                figure.ours.add(Double(count) / Counting.seconds(since: start))
            }
            add(figure)
        }
        if let wrong = gate.wrong { throw HarnessError("a hook answers \(wrong)") }
    }

    /// Lets as many calls be under way as there are signals in it.
    private final class Gate: Sendable {
        let open = DispatchSemaphore(value: 0)
        private let first = Mutex<String?>(nil)

        var wrong: String? { first.withLock { $0 } }

        func came(_ answer: HookAnswer) {
            if !answer.isSuccess { first.withLock { $0 = "\(answer.end)" } }
            open.signal()
        }
    }
}
