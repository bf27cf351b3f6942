import BurstClient
import BurstEngine
import BurstModel
import BurstStore
import BurstTestSupport
import BurstWire
import Glibc
import Synchronization
import Testing

/// burstd and burst-scriptd are killed at random moments, with jobs in all stages: nothing acknowledged is lost,
/// nothing is done twice, nothing is left.
///
/// `BURST_KILLS=300` kills so often (20 without it), `BURST_KILL_SEED` repeats the moments of another run.
@Suite(.onWorkers, .serialized) struct KillTests {
    enum Target: String, CaseIterable, CustomTestStringConvertible {
        case burstd, scriptd, both
        var testDescription: String { rawValue }
    }

    @Test(arguments: Target.allCases) func nothingIsLost(target: Target) throws {
        let kills = setting("BURST_KILLS", 20)
        let seed = UInt64(setting("BURST_KILL_SEED", Int(PseudoTerminal.now % 1_000_000)))
        let run = try KillRun(target: target, seed: seed)
        print("\(target.rawValue): \(kills) kills, BURST_KILL_SEED=\(seed)")
        try run.start()
        for _ in 0..<kills { try run.life() }
        try run.drain()
        try run.judge()
        print(run.summary)
        #expect(run.wrong == [], "BURST_KILL_SEED=\(seed)")
        #expect(run.accepted.count >= KillRun.inFlight)
    }

    /// burstd and burst-scriptd die together and leave what a hook started: the next burstd ends it first.
    @Test func whatBothLeaveIsEnded() throws {
        let rig = try BurstdRig(
            script: KillRun.script + "\nfunction slurm_bb_data_in() os.execute('setsid sleep 1000') return 0 end\n")
        try rig.start()
        let job = try rig.submit("#!/bin/sh\n#BB_LUA pool=nvme capacity=1MiB\n", ["-o", "/dev/null"])
        // Other hooks sleep, too, for a moment.
        func sleepers() -> [Int32] {
            rig.marked().filter { BurstTestSupport.Processes.commandLine(of: $0) == "sleep 1000" }
        }
        #expect(Wait.until(seconds: 60, every: 0.05) { !sleepers().isEmpty })
        let scriptd = try #require(rig.scriptd)
        Glibc.kill(rig.pid, SIGSTOP)
        #expect(Wait.until(seconds: 20, every: 0.005) { BurstTestSupport.Processes.isStopped(rig.pid) })
        Glibc.kill(scriptd, SIGKILL)
        try rig.end(SIGKILL)
        #expect(!sleepers().isEmpty)
        try rig.start()
        #expect(Wait.until(seconds: 20, every: 0.05) { sleepers().isEmpty })
        #expect(
            try Wait.until(seconds: 60, every: 0.05) {
                try rig.run(["burst", "trace", "\(job)"]).text.contains("job_teardown")
            })
        try rig.end(SIGTERM)
        #expect(rig.marked() == [])
    }

    /// What a job's history would look like that went wrong: the judge has eyes.
    @Test func theJudgeSeesWhatIsWrong() {
        func story(_ calls: [(HookFunction, Int64, String)], _ states: [(String, Int64)]) -> JobStory {
            var job = EngineJob(
                id: 7, uid: 1001, gid: 1001, userName: "u", name: "n", priority: 1,
                submitted: Timestamp(milliseconds: 0))
            job.state = .completed
            job.buffer = BufferWork(spec: "#BB_LUA", since: Timestamp(milliseconds: 0))
            return JobStory(
                job: job,
                calls: calls.enumerated().map { index, call in
                    let id = CallID(UInt64(index + 1))
                    let arguments = call.0 == .jobTeardown ? ["7", "script", "true"] : ["7"]
                    return CallEntry(
                        start: CallStart(
                            id: id, function: call.0, jobID: 7, arguments: arguments, limitSeconds: nil,
                            at: Timestamp(milliseconds: call.1)),
                        end: CallEnd(
                            id: id, jobID: 7, outcome: call.2, status: 0, message: nil, printed: "", log: [], pid: nil,
                            startedMicroseconds: 0, durationMicroseconds: 0))
                },
                changes: states.map { state, at in
                    StateChange(
                        jobID: 7, uid: 1001, at: Timestamp(milliseconds: at), jobState: "PENDING", bufferState: state,
                        reason: "None", pool: nil, size: 0)
                })
        }
        let states: [(String, Int64)] = [("pending", 0), ("staging-in", 10)]
        let right = story([(.setup, 10, "success"), (.dataIn, 20, "lost"), (.jobTeardown, 60, "success")], states)
        #expect(right.faults(restarts: [50]) == [])
        // Goes on as if nothing had been; does it all without the restart; leaves the buffer.
        let onward = story([(.setup, 10, "success"), (.dataIn, 20, "lost"), (.testDataIn, 60, "success")], states)
        #expect(onward.faults(restarts: [50]).count >= 2)
        let twice = story([(.setup, 10, "success"), (.setup, 20, "success")], states)
        #expect(!twice.faults(restarts: []).isEmpty)
        let silent = story([(.setup, 10, "success"), (.dataIn, 20, "lost"), (.setup, 60, "success")], states)
        #expect(!silent.faults(restarts: [50]).isEmpty)
    }
}

/// One burstd, killed again and again.
final class KillRun {
    static let inFlight = 50
    /// The longest life, milliseconds.
    static let lifeMilliseconds = 1500

    /// Every hook takes a moment; some jobs' hooks fail.
    static let script = """
        local function nap(job) os.execute("sleep 0.0" .. (job * 7 % 10)) end
        local function hook(job, modulus, text)
            nap(job)
            if job % modulus == 0 then return slurm.ERROR, text end
            return slurm.SUCCESS
        end
        function slurm_bb_job_process() return slurm.SUCCESS end
        function slurm_bb_pools()
            return slurm.SUCCESS, '{"pools":[{"id":"nvme","quantity":100000,"granularity":1048576}]}'
        end
        function slurm_bb_setup(job) return hook(job, 1000003, "") end
        function slurm_bb_data_in(job) return hook(job, 13, "no such file") end
        function slurm_bb_test_data_in(job) return hook(job, 1000003, "") end
        function slurm_bb_real_size(job) nap(job) return slurm.SUCCESS, "" end
        function slurm_bb_paths(job, script, path)
            local file = io.open(path, "w")
            file:write("BB_DIR=/nowhere/" .. job .. "\\n")
            file:close()
            return slurm.SUCCESS
        end
        function slurm_bb_pre_run(job) return hook(job, 29, "no mount") end
        function slurm_bb_post_run(job) return hook(job, 19, "busy mount") end
        function slurm_bb_data_out(job) return hook(job, 17, "no space") end
        function slurm_bb_test_data_out(job) return hook(job, 1000003, "") end
        function slurm_bb_job_teardown(job) nap(job) return slurm.SUCCESS end
        function slurm_bb_get_status() return slurm.SUCCESS, "" end
        """

    let target: KillTests.Target
    let rig: BurstdRig
    private var random: Random
    /// Jobs whose submission was acknowledged.
    private(set) var accepted: Set<UInt32> = []
    /// Those of them that a cancel was acknowledged for.
    private var cancelled: Set<UInt32> = []
    /// When burstd was dead and not yet started again, milliseconds since 1970.
    private var restarts: [Int64] = []
    private(set) var wrong: [String] = []
    private var kills = 0
    private var stages: [String: Int] = [:]

    init(target: KillTests.Target, seed: UInt64) throws {
        self.target = target
        random = Random(seed)
        rig = try BurstdRig(script: Self.script, buffers: ["PollInterval=1"], cpus: 12)
        _ = try BurstdRig.user("bbalice")
    }

    private func report(_ text: String) { if wrong.count < 40 { wrong.append(text) } }

    // MARK: Lives

    func start() throws {
        try rig.start()
        let connection = try rig.connect()
        defer { connection.close() }
        for _ in 0..<Self.inFlight { try submit(connection) }
    }

    /// From one kill to the next.
    func life() throws {
        let delay = random.below(Self.lifeMilliseconds)
        let isDead = Flag()
        let (daemon, target, scriptd) = (rig.pid, target, target == .burstd ? nil : rig.scriptd)
        // In the middle of whatever is going on.
        Task.detached {
            await letTimePass(milliseconds: delay)
            if target != .burstd, let scriptd { Glibc.kill(scriptd, SIGKILL) }
            if target != .scriptd { Glibc.kill(daemon, SIGKILL) }
            isDead.raise()
        }
        try work(until: { isDead.isUp })
        kills += 1
        note()
        guard target != .scriptd else { return }
        try rig.waitForEnd()
        restarts.append(Self.now)
        // A moment of the same millisecond belongs to neither life.
        Wait.until(seconds: 0.003) { false }
        try rig.launch()
        // Half of them may be killed on their way up.
        if random.below(2) == 0 { try rig.waitUntilReady() }
    }

    /// What the queue looked like when it was last seen, for the summary.
    private var lastSeen: [String: Int] = [:]
    private func note() { for (stage, count) in lastSeen { stages[stage, default: 0] += count } }

    /// A client at work until burstd is gone: looks whether all is there, keeps jobs in flight, does this and that.
    private func work(until isOver: () -> Bool) throws {
        while !isOver() {
            guard let connection = try? rig.connect() else {
                Wait.until(seconds: 0.005) { false }
                continue
            }
            do throws(ClientError) {
                try look(connection)
                while !isOver() { try turn(connection) }
            } catch {
                // It died under our hands, or will in a moment.
                if error.kind == .timedOut { report("burstd did not answer: \(error)") }
            }
            connection.close()
        }
    }

    /// Jobs by their state and reason, as the queue shows them.
    private func queue(_ connection: BurstConnection) throws(ClientError) -> [UInt32: (state: String, buffer: String)] {
        var query = Show.Queue()
        query.fields = "JobID: ,State: ,BurstBufferState:"
        query.header = false
        query.states = ["all"]
        let (_, body) = try connection.ask(.show(.queue(query)))
        var jobs: [UInt32: (String, String)] = [:]
        for line in String(decoding: body, as: UTF8.self).split(separator: "\n") {
            let words = line.split(separator: " ")
            if words.count >= 2, let id = UInt32(words[0]) {
                jobs[id] = (String(words[1]), words.count > 2 ? String(words[2]) : "")
            }
        }
        return jobs
    }

    /// After a start: every job is there, and nothing is odd.
    private func look(_ connection: BurstConnection) throws(ClientError) {
        let jobs = try queue(connection)
        for id in accepted where jobs[id] == nil { report("job \(id) was acknowledged and is lost") }
        let (_, findings) = try connection.ask(.check(repair: false))
        for line in String(decoding: findings, as: UTF8.self).split(separator: "\n") { report("fsck: \(line)") }
        // Jobs that the restart put off go on at once.
        for (id, job) in jobs where job.state == "PENDING" { try go(id, connection) }
    }

    private func go(_ id: UInt32, _ connection: BurstConnection) throws(ClientError) {
        var update = Command(.update, jobs: ["\(id)"])
        update.updates = ["StartTime": "now"]
        _ = try connection.ask(.command(update))
    }

    private func turn(_ connection: BurstConnection) throws(ClientError) {
        let jobs = try queue(connection)
        let active = jobs.filter { !Self.isOver($0.value.state) }
        lastSeen = [:]
        for job in active.values { lastSeen[job.state == "PENDING" ? job.buffer : job.state, default: 0] += 1 }
        if active.count < Self.inFlight { try submit(connection) }
        guard let id = active.keys.sorted().randomElement(using: &random), let job = active[id] else { return }
        switch random.below(40) {
        case 0: try act(.cancel, id, connection)
        case 1: try act(.cancel, id, connection, hurry: true)
        case 2: try act(.hold, id, connection)
        case 3, 4, 5: try act(.release, id, connection)
        case 6 where job.state == "RUNNING": try act(.requeue, id, connection)
        case 7...12 where job.state == "PENDING": try go(id, connection)
        // Those that failed leave at last.
        case 13,
            14 where job.state == "STAGE_OUT":
            try act(.cancel, id, connection, hurry: true)
        default: break
        }
    }

    private func submit(_ connection: BurstConnection) throws(ClientError) {
        var submission = Submission(name: "k", workDir: rig.folder("data"))
        submission.user = "bbalice"
        submission.environment = ["PATH=/usr/bin:/bin", rig.mark]
        submission.stdOut = "/dev/null"
        // One in eight runs until somebody ends it.
        let seconds = random.below(8) == 0 ? "100000" : "0.\(random.below(10))"
        let script = """
            #!/bin/sh
            #BB_LUA pool=nvme capacity=\(1 + random.below(64))MiB
            echo $$ >>ran.$SLURM_JOB_ID
            sleep \(seconds)

            """
        let (answer, _) = try connection.ask(.submit(submission), body: Array(script.utf8))
        switch answer {
        case .submitted(_, let job, _): accepted.insert(job)
        // The end of burstd between question and answer.
        case .refused(_, _, let text, _) where text.contains("burstd ended"): break
        default: report("submission: \(answer)")
        }
    }

    private func act(
        _ verb: Command.Verb, _ id: UInt32, _ connection: BurstConnection, hurry: Bool = false
    ) throws(ClientError) {
        var command = Command(verb, jobs: ["\(id)"])
        command.hurry = hurry
        let (answer, _) = try connection.ask(.command(command))
        if verb == .cancel, case .done(_, let outcomes) = answer, outcomes.allSatisfy({ $0.code == 0 }) {
            cancelled.insert(id)
        }
    }

    static func isOver(_ state: String) -> Bool {
        ["COMPLETED", "CANCELLED", "FAILED", "TIMEOUT", "NODE_FAIL"].contains(state)
    }

    // MARK: The end

    /// No kill any more: all jobs come to their end.
    func drain() throws {
        try rig.waitUntilReady()
        let connection = try rig.connect()
        defer { connection.close() }
        var rounds = 0
        let isEmpty = try Wait.until(seconds: 180, every: 0.2) {
            let left = try queue(connection).filter { !Self.isOver($0.value.state) || $0.value.buffer == "teardown" }
            for (id, job) in left {
                if job.state == "PENDING" {
                    try act(.release, id, connection)
                    try go(id, connection)
                }
                // What fails, or has no end of its own.
                if rounds > 15 { try act(.cancel, id, connection, hurry: true) }
            }
            rounds += 1
            return left.isEmpty
        }
        if !isEmpty { report("jobs that do not end: \(try queue(connection).filter { !Self.isOver($0.value.state) })") }
        try look(connection)
        let burst = try rig.run(["burst", "show", "burst"]).text
        if !BurstdRig.isUnused(burst) { report("space is left: \(burst)") }
        let check = try rig.run(["burst", "fsck"])
        if check.end != .exited(0) || !check.output.isEmpty { report("burst fsck: \(check.text)") }
        // Hooks of an earlier burstd have had time to end.
        let expected = Set([rig.pid] + (rig.scriptd.map { [$0] } ?? []))
        let isAlone = Wait.until(every: 0.2) { Set(rig.marked()).subtracting(expected).isEmpty }
        if !isAlone { report("processes beside burstd: \(names(Set(rig.marked()).subtracting(expected)))") }
        try rig.end(SIGTERM)
        if !Wait.until(every: 0.1, { rig.marked().isEmpty }) {
            report("processes are left: \(names(Set(rig.marked())))")
        }
    }

    private func names(_ pids: Set<Int32>) -> [String] {
        pids.map {
            let words = String(decoding: Processes.text("/proc/\($0)/cmdline") ?? [], as: UTF8.self)
            return "\($0) " + words.replacing("\0", with: " ")
        }
    }

    /// What the store says of it all.
    func judge() throws {
        let store = try Store.open(folder: rig.state)
        defer { store.close() }
        for finding in try store.check(jobFolders: try JobFolders.ids(in: rig.state)) { report("store: \(finding)") }
        let state = try store.state()
        for fault in EngineChecks.faults(jobs: state.jobs, pools: state.pools) { report("engine: \(fault)") }
        for pool in state.pools where pool.used != 0 { report("pool \(pool.name): used is \(pool.used)") }
        let jobs = Dictionary(uniqueKeysWithValues: state.jobs.map { ($0.id, $0) })
        for id in accepted where jobs[id] == nil { report("job \(id) was acknowledged and is not in the store") }
        for job in state.jobs {
            let calls = try store.calls(job: job.id, limit: 10_000)
            for text in JobStory(job: job, calls: calls, changes: try store.changes(job: job.id, limit: 10_000))
                .faults(restarts: restarts)
            {
                report(text)
            }
            let runs = rig.folder.text(of: "data/ran.\(job.id)").split(separator: "\n").count
            if runs > Int(job.restartCount) + 1 {
                report("job \(job.id): its script ran \(runs) times, and \(job.restartCount) requeues are recorded")
            }
            if job.state == .completed, runs == 0 { report("job \(job.id): completed, and its script never ran") }
        }
        if case .integer(let count)? = try store.query(sql: "SELECT count(*) FROM calls").rows.first?.first {
            calls = Int(count)
        }
        total = state.jobs.count
    }

    private var calls = 0
    private var total = 0

    var summary: String {
        "\(target.rawValue): \(kills) kills, \(total) jobs, \(calls) calls, jobs in flight at the kills: "
            + stages.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
    }

    private static var now: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
    }
}

/// What the history tells of one job.
struct JobStory {
    var job: EngineJob
    var calls: [CallEntry]
    var changes: [StateChange]

    /// - Parameter restarts: moments between two lives of burstd, milliseconds since 1970.
    func faults(restarts: [Int64]) -> [String] { order(restarts) + afterRestarts(restarts) }

    /// The calls one after the other, with the restarts between them.
    private func order(_ restarts: [Int64]) -> [String] {
        var wrong: [String] = []
        var order = CallOrder()
        var left = restarts[...]
        // The order asks where the job stands: each call is shown where it has its place, but for the waiting.
        var shown = job
        shown.buffer?.stage = .pending
        for call in calls {
            while let next = left.first, next <= call.start.at.milliseconds {
                order.restarted()
                left.removeFirst()
            }
            switch call.start.function {
            case .paths, .preRun: shown.state = .running
            // Stage-out of a job that is requeued meanwhile begins again when it is released.
            case .postRun, .dataOut, .testDataOut:
                let state = changes.last { $0.at < call.start.at }?.jobState ?? ""
                shown.state = state.hasPrefix("PENDING") ? .pending : .completed
            default: shown.state = .pending
            }
            var records: [Record] = [.job(shown), .callStarted(call.start)]
            if let end = call.end, end.outcome != "lost" { records.append(.callEnded(end)) }
            wrong += order.feed(records)
        }
        if let last = calls.last, last.end == nil { wrong.append("job \(job.id): call \(last.start.id) never ended") }
        guard wrong.isEmpty else { return wrong + ["job \(job.id): its calls were \(said)"] }
        return []
    }

    private var said: String {
        calls.map { call in
            "\(call.start.at.milliseconds) \(call.start.function.rawValue.dropFirst(9)) \(call.end?.outcome ?? "-")"
        }.joined(separator: ", ")
    }

    /// What each life of burstd called first, by where the one before left the job (spec §7.3).
    private func afterRestarts(_ restarts: [Int64]) -> [String] {
        guard job.buffer != nil else { return [] }
        var wrong: [String] = []
        for (index, moment) in restarts.enumerated() {
            let end = index + 1 < restarts.count ? restarts[index + 1] : Int64.max
            guard let before = changes.last(where: { $0.at.milliseconds < moment })?.bufferState,
                let next = calls.first(where: { $0.start.at.milliseconds >= moment && $0.start.at.milliseconds < end })
            else { continue }
            let allowed: [HookFunction]
            switch before {
            case "pending": allowed = [.setup, .jobProcess]
            case "staging-in", "staged-in", "teardown": allowed = [.jobTeardown]
            case "pre-run": allowed = [.paths]
            case "running": allowed = [.postRun, .jobTeardown]
            case "post-run", "staging-out": allowed = [.postRun]
            case "complete": allowed = [.setup]
            default: allowed = []
            }
            if !allowed.contains(next.start.function) {
                wrong.append("job \(job.id): \(before) at a restart, then \(next.start.function.rawValue); \(said)")
            }
            if before == "staging-in" || before == "staged-in", next.start.arguments.count > 2,
                next.start.arguments[2] != "true"
            {
                wrong.append("job \(job.id): \(before) at a restart, then a teardown without hurry; \(said)")
            }
        }
        return wrong
    }
}

/// Goes up once.
final class Flag: Sendable {
    private let state = Atomic<Bool>(false)
    var isUp: Bool { state.load(ordering: .acquiring) }
    func raise() { state.store(true, ordering: .releasing) }
}

/// Numbers that come again with their seed: splitmix64.
struct Random: RandomNumberGenerator {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return value ^ (value >> 31)
    }

    mutating func below(_ end: Int) -> Int { Int(next() % UInt64(end)) }
}
