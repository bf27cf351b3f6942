import BurstTestSupport
import Glibc
import Testing

/// Debian's slurmctld with our buffers: what users asked for is what they get, whatever is restarted meanwhile
/// (staging.md §5 R4, F7, F8).
@Suite(.enabled(if: ReferenceCluster.isUsable), .timeLimit(.minutes(10)))
struct StagedSlurmTests {
    typealias Plugin = ReferenceCluster.Plugin

    @Test(arguments: Plugin.allCases) func treesGoInAndComeOutTheSame(plugin: Plugin) throws {
        let cluster = try StagedCluster(plugin)
        try cluster.makeSource()
        let job = try cluster.submitCopy(to: "all", run: StagedCluster.work + "; echo buffer $DW_JOB_STRIPED")
        try cluster.waitForEnd(job)
        #expect(try cluster.differences("all") == [])
        #expect(try TreeHash(of: cluster.target + "/all").lines.count > 65)
        let place = "\(cluster.folder)/burst/state/mnt/\(job)_striped_scratch/"
        #expect(cluster.output(of: job) == "buffer \(place)\n")
        try cluster.waitUntilEmpty()
        // What users see.
        let status = try cluster.slurm.ask(["scontrol", "show", "bbstat"])
        #expect(status.text.contains("nvme bytes") && status.errors.isEmpty, "\(status.text)")
        let refused = try #require(throws: HarnessError.self) {
            try cluster.submit("jobdw pool=nvme capacity=1.5GiB", run: "true")
        }
        #expect("\(refused)".contains("capacity=1.5GiB: Slurm reads this as 1 byte; write capacity=1536MiB"))
    }

    /// A job in each state while slurmctld starts anew: all of them end as if nothing had been.
    @Test(arguments: Plugin.allCases) func slurmctldMayRestartInAnyState(plugin: Plugin) throws {
        let cluster = try StagedCluster(plugin)
        try cluster.makeSource()
        let stagingOut = try cluster.submitCopy(to: "staging-out", run: StagedCluster.work + "; sleep 1")
        try cluster.wait(stagingOut, for: "running")
        try cluster.hold(stagingOut)
        try cluster.wait(stagingOut, for: "staging-out")
        let running = try cluster.submitCopy(to: "running", run: cluster.gatedWork)
        try cluster.wait(running, for: "running")
        // There is no room for it while another runs.
        let stagedIn = try cluster.submitCopy(to: "staged-in", options: ["--exclusive"])
        try cluster.wait(stagedIn, for: "staged-in")
        let stagingIn = try cluster.submitCopy(to: "staging-in", options: ["--exclusive"])
        try cluster.hold(stagingIn)
        #expect(try cluster.slurm.stage(stagingIn).stage == "staging-in")

        try cluster.slurm.steer("restart", [])
        cluster.openGate()
        // The first stage-in goes on or begins anew, as Slurm wants it: nothing holds it any more.
        _ = try? cluster.letGo(stagingIn)
        try cluster.letGo(stagingOut)
        for (job, name) in [
            (stagingOut, "staging-out"), (running, "running"), (stagedIn, "staged-in"), (stagingIn, "staging-in"),
        ] {
            let isOver = try Wait.until(seconds: 90, every: 0.5) {
                try cluster.startNow(job)
                return try cluster.slurm.stage(job).stage == "complete"
            }
            #expect(isOver, "\(name)")
            try cluster.waitForEnd(job)
            #expect(try cluster.differences(name) == [], "\(name)")
        }
        try cluster.waitUntilEmpty()
        #expect(!cluster.slurmctldLog.contains("Unexpected burst buffer"))
    }

    private enum Outage: CaseIterable {
        case hangs, ended
    }

    /// For longer than Slurm remembers a buffer that nobody lists (60 s): nothing is forgotten, and jobs go on.
    @Test func theDaemonMayBeAwayForLong() throws {
        struct Case {
            var cluster: StagedCluster
            var outage: Outage
            var stagingOut: Int
            var running: Int
            var stagingIn: Int
            var later: Int?
        }
        var cases: [Case] = []
        for (plugin, outage) in [(.datawarp, .hangs), (.datawarp, .ended), (.lua, .ended)] as [(Plugin, Outage)] {
            let cluster = try StagedCluster(plugin)
            try cluster.makeSource()
            let stagingOut = try cluster.submitCopy(to: "staging-out", run: StagedCluster.work + "; sleep 1")
            try cluster.wait(stagingOut, for: "running")
            try cluster.hold(stagingOut)
            try cluster.wait(stagingOut, for: "staging-out")
            let running = try cluster.submitCopy(to: "running", run: cluster.gatedWork)
            try cluster.wait(running, for: "running")
            let stagingIn = try cluster.submitCopy(to: "staging-in")
            try cluster.hold(stagingIn)
            cases.append(
                Case(
                    cluster: cluster, outage: outage, stagingOut: stagingOut, running: running, stagingIn: stagingIn))
        }
        let start = PseudoTerminal.now
        for index in cases.indices {
            let cluster = cases[index].cluster
            switch cases[index].outage {
            case .hangs: cluster.pauseBurstd()
            case .ended: cluster.endBurstd()
            }
            // The job ends meanwhile.
            cluster.openGate()
            if cluster.slurm.plugin == .lua {
                cases[index].later = try cluster.submitCopy(to: "later")
            } else {
                let refused = try #require(throws: HarnessError.self) { try cluster.submitCopy(to: "later") }
                #expect("\(refused)".contains("the stager is away: "), "\(refused)")
            }
        }
        // Slurm looks every 30 s.
        let buffers = cases.map { Set([$0.stagingOut, $0.running, $0.stagingIn]) }
        while PseudoTerminal.now - start < 95_000_000_000 {
            for (one, buffers) in zip(cases, buffers) { #expect(try one.cluster.listed().isSuperset(of: buffers)) }
            _ = poll(nil, 0, 5000)
        }
        for one in cases {
            switch one.outage {
            case .hangs: one.cluster.resumeBurstd()
            case .ended: try one.cluster.startBurstd()
            }
        }
        for one in cases {
            for job in [one.stagingOut, one.stagingIn] { try one.cluster.letGo(job) }
            var jobs = [(one.stagingOut, "staging-out"), (one.running, "running"), (one.stagingIn, "staging-in")]
            if let later = one.later { jobs.append((later, "later")) }
            for (job, name) in jobs {
                try one.cluster.waitForEnd(job, seconds: 90)
                #expect(try one.cluster.differences(name) == [], "\(one.cluster.slurm.plugin) \(one.outage) \(name)")
            }
            try one.cluster.waitUntilEmpty()
            let log = one.cluster.slurmctldLog
            #expect(!log.contains(" purged") && !log.contains("Unexpected burst buffer"))
        }
    }

    @Test(arguments: Plugin.allCases) func cancelledJobsLeaveNothing(plugin: Plugin) throws {
        let cluster = try StagedCluster(plugin)
        try cluster.makeSource()
        let first = try cluster.submitCopy(to: "first")
        try cluster.hold(first)
        try cluster.wait(first, for: "staging-in")
        try cluster.cancel(first)
        try cluster.waitForCancel(first)
        try cluster.waitUntilEmpty()

        // Its results are on their way out, and are given up.
        let second = try cluster.submitCopy(to: "second", run: StagedCluster.work + "; sleep 1")
        try cluster.wait(second, for: "running")
        try cluster.hold(second)
        try cluster.wait(second, for: "staging-out")
        // Without --hurry Slurm goes on.
        try cluster.cancel(second)
        #expect(try cluster.slurm.stage(second).stage == "staging-out")
        try cluster.cancel(second, "--hurry")
        try cluster.waitForEnd(second)
        try cluster.waitUntilEmpty()
        let left = try cluster.asUser("/usr/bin/find", cluster.target, "-name", ".bbpart*")
        #expect(left.text.isEmpty)
        // The next one finds all as it should be.
        let third = try cluster.submitCopy(to: "third")
        try cluster.waitForEnd(third)
        #expect(try cluster.differences("third") == [])
    }

    /// Slurm kills the call, and the stager may have heard of it all the same.
    @Test(arguments: Plugin.allCases) func aCancelDuringSetupLeavesNothing(plugin: Plugin) throws {
        let cluster = try StagedCluster(plugin)
        try cluster.makeSource()
        let job = try cluster.submitCopy(to: "none", options: ["-H"])
        cluster.pauseBurstd()
        _ = try cluster.slurm.ask(["scontrol", "release", "\(job)"])
        #expect(Wait.until(seconds: 60, every: 0.05) { cluster.isCalled("setup", of: job) })
        try cluster.cancel(job)
        cluster.resumeBurstd()
        try cluster.waitForCancel(job)
        try cluster.waitUntilEmpty()
        let next = try cluster.submitCopy(to: "next")
        try cluster.waitForEnd(next)
        #expect(try cluster.differences("next") == [])
        try cluster.waitUntilEmpty()
    }

    /// `BURST_STAGED_SESSIONS`
    private static let sessions = getenv("BURST_STAGED_SESSIONS").flatMap { Int(String(cString: $0)) } ?? 10_000

    /// Slurm asks for the whole list every 30 s and at each start, and holds its locks meanwhile.
    @Test func jobsLiveBesideThousandsOfSessions() throws {
        let cluster = try StagedCluster(.datawarp, granules: Self.sessions + 64, inMemory: true)
        try cluster.makePersistent(Self.sessions)
        try cluster.makeSource()
        let gated = try cluster.submitCopy(to: "gated", run: cluster.gatedWork)
        try cluster.wait(gated, for: "running")
        try cluster.slurm.steer("restart", [])
        // All of them are known to it.
        var lines = 0
        let areKnown = Wait.until(seconds: 90, every: 1) {
            let text = (try? cluster.slurm.ask(["scontrol", "show", "burst"]).text) ?? ""
            lines = text.split(separator: "\n").count { $0.contains("Name=p") && $0.contains("State=allocated") }
            return lines == Self.sessions
        }
        #expect(areKnown, "\(lines) of \(Self.sessions)")
        cluster.openGate()
        try cluster.waitForEnd(gated)
        let whole = try cluster.submitCopy(to: "whole")
        try cluster.waitForEnd(whole)
        for name in ["gated", "whole"] { #expect(try cluster.differences(name) == []) }
        #expect(try Set(cluster.tokens()) == Set((1...Self.sessions).map { "p\($0)" }))
        let log = cluster.slurmctldLog
        #expect(!log.contains(" purged") && !log.contains("Unexpected burst buffer"))
    }

    @Test func persistentBuffersOutliveTheirJobs() throws {
        let cluster = try StagedCluster(.datawarp)
        try cluster.makeSource()
        let made = try cluster.submit(
            "#BB create_persistent name=alpha capacity=64MiB pool=nvme access_mode=striped type=scratch", run: "true")
        try cluster.waitForEnd(made)
        #expect(try cluster.tokens() == ["alpha"])
        let buffer = try cluster.slurm.ask(["scontrol", "show", "burst"])
        #expect(buffer.text.contains("Name=alpha") && buffer.text.contains("Size=64MiB State=allocated"))

        let filled = try cluster.submit(
            "persistentdw name=alpha",
            "stage_in type=directory source=\(cluster.source) destination=$DW_PERSISTENT_STRIPED_alpha/in",
            run: "cp -a $DW_PERSISTENT_STRIPED_alpha/in $DW_PERSISTENT_STRIPED_alpha/kept")
        try cluster.waitForEnd(filled)
        try cluster.slurm.steer("restart", [])
        let emptied = try cluster.submit(
            "persistentdw name=alpha",
            "stage_out type=directory source=$DW_PERSISTENT_STRIPED_alpha/kept destination=\(cluster.target)/kept",
            run: "test -d $DW_PERSISTENT_STRIPED_alpha/kept")
        try cluster.waitForEnd(emptied)
        #expect(try cluster.differences("kept") == [])
        #expect(try cluster.tokens() == ["alpha"])

        let gone = try cluster.submit("#BB destroy_persistent name=alpha", run: "true")
        try cluster.waitForEnd(gone)
        try cluster.waitUntilEmpty()
        #expect(try !cluster.slurm.ask(["scontrol", "show", "burst"]).text.contains("Name=alpha"))
    }
}
