import BurstClient
import BurstTestSupport
import BurstWire
import CSys
import Glibc
import Testing

/// Phases that burstd has copied by several hosts of a real Slurm: three slurmd on this machine (staging.md §4.8).
@Suite(.serialized, .onWorkers, .enabled(if: ReferenceCluster.isUsable)) struct NodesTests {
    /// Several batches for each host, so that there is something to see.
    private static let files = 1800

    private struct Ground {
        let cluster: ReferenceCluster
        let rig: StagerRig

        /// - Parameter more: lines of the pool's.
        init(_ more: String = "") throws {
            var name = [CChar](repeating: 0, count: 256)
            gethostname(&name, 255)
            let host = String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            cluster = try ReferenceCluster(.lua, "--nodes", "3", "--host", String(host.prefix { $0 != "." }))
            let user = try #require(getpwnam("bbalice")).pointee
            rig = try StagerRig(
                more: """
                    nodes = 3
                    threads = 1
                    slurm_conf = "\(cluster.folder)/slurm.conf"
                    \(more.contains("nodes_from") ? "" : "nodes_from = 0")
                    \(more)
                    """, owner: (user.pw_uid, user.pw_gid))
            rig.fill(files: NodesTests.files, bytes: 300)
            try rig.start()
            #expect(try rig.setUp("83", rig.script) == .done)
        }

        /// Processes that copy parts.
        var parts: [Int32] { (0..<3).compactMap { cluster.process("burst-stage", ofTask: $0) } }

        func slow(_ files: UInt64?) throws {
            let order = Question.Ask.stageOrder(.throttle(token: "83", bytesPerSecond: nil, filesPerSecond: files))
            #expect(try rig.ask(order) == .done)
        }

        func expectWhole() throws {
            #expect(Wait.until(seconds: 60) { (try? rig.phase("83")) == "staged-in" }, "\(rig.log)")
            let source = try TreeHash(of: rig.source)
            #expect(try TreeHash(of: rig.buffer + "/data/striped/in").differences(from: source) == [])
            let progress = try rig.session("83")?["progress"] ?? .null
            #expect(progress["percent"].number == 100)
            #expect(progress["files_done"].number == Int64(NodesTests.files) + 1)
            // What the hosts shared is gone.
            #expect(Folders.names(rig.buffer + "/stage") == [])
            #expect(parts == [])
        }

        func count(_ text: String) -> Int { rig.log.split(separator: "\n").filter { $0.contains(text) }.count }
    }

    @Test func threeHostsCopyWithOneProgressAndOneThrottle() throws {
        let ground = try Ground()
        let rig = ground.rig
        #expect(rig.log.contains("on 3 hosts from 0 on, else alone"), "\(rig.log)")
        try ground.slow(200)
        let waiting = try rig.begin("data_in", "--token", "83")
        #expect(Wait.until(seconds: 60) { ground.parts.count == 3 }, "\(rig.log)")
        func done() -> Int64 { (try? rig.session("83")?["progress"]["files_done"].number) ?? 0 }
        #expect(Wait.until(seconds: 30) { done() > 0 })
        #expect(try rig.session("83")?["progress"]["files_total"].number == Int64(Self.files) + 1)
        try ground.slow(0)
        // A file that was begun is ended.
        var last = (files: done(), at: PseudoTerminal.now)
        #expect(
            Wait.until(seconds: 30) {
                if done() != last.files { last = (done(), PseudoTerminal.now) }
                return PseudoTerminal.now - last.at > 2_000_000_000
            })
        #expect(last.files < Int64(Self.files))
        try ground.slow(nil)
        let answer = try waiting.next(seconds: 60)
        #expect(StagerRig.said(answer.answer, answer.body) == .done, "\(rig.log)")
        try ground.expectWhole()
        for verb in ["pre_run", "post_run", "data_out"] {
            #expect(try rig.wlm(verb, "--token", "83") == .done, "\(verb) \(rig.log)")
        }
        #expect(try TreeHash(of: rig.target).differences(from: TreeHash(of: rig.source)) == [])
        #expect(ground.count("copies all of it") == 0)
    }

    @Test func hasteEndsAllHosts() throws {
        let ground = try Ground()
        try ground.slow(20)
        let waiting = try ground.rig.begin("data_in", "--token", "83")
        #expect(Wait.until(seconds: 60) { ground.parts.count == 3 })
        let began = PseudoTerminal.now
        #expect(try ground.rig.wlm("teardown", "--token", "83", "--hurry") == .done)
        #expect(ground.parts == [])
        #expect(PseudoTerminal.now - began < 2_000_000_000, "\((PseudoTerminal.now - began) / 1_000_000) ms")
        #expect(Wait.until { (try? ground.rig.used()) == 0 })
        waiting.close()
    }

    /// - Parameter hosts: after the kill.
    @Test(arguments: [3, 1]) func afterAKillTheHostsGoOnWhereTheyWere(hosts: Int) throws {
        let ground = try Ground()
        let rig = ground.rig
        try ground.slow(200)
        let waiting = try rig.begin("data_in", "--token", "83")
        func done() -> Int64 { (try? rig.session("83")?["progress"]["files_done"].number) ?? 0 }
        #expect(Wait.until(seconds: 60) { ground.parts.count == 3 && done() > 10 }, "\(rig.log)")
        rig.kill()
        waiting.close()
        let old = ground.parts
        let text = rig.folder.text(of: "conf/burst.toml").replacing("nodes = 3", with: "nodes = \(hosts)")
        rig.folder.write(text, to: "conf/burst.toml")
        try rig.start()
        #expect(ground.parts.filter(old.contains) == [], "\(rig.log)")
        try ground.slow(nil)
        try ground.expectWhole()
        #expect(ground.count("copies all of it") == 0, "\(rig.log)")
        let skipped = try rig.session("83")?["progress"]["bytes_skipped"].number ?? 0
        #expect(skipped > 0)
    }

    @Test func hostsEndWithTheWorkerThatLeadsThem() throws {
        let ground = try Ground()
        try ground.slow(100)
        let waiting = try ground.rig.begin("data_in", "--token", "83")
        #expect(Wait.until(seconds: 60) { ground.parts.count == 3 })
        let old = ground.parts
        let leader = try #require(ground.rig.workers().first)
        kill(leader, SIGKILL)
        #expect(Wait.until(seconds: 20) { ground.parts.filter(old.contains) == [] })
        // As any worker that is killed, it is started again.
        #expect(Wait.until(seconds: 60) { ground.rig.workers().contains { $0 != leader } })
        try ground.slow(nil)
        try ground.expectWhole()
        waiting.close()
    }

    @Test(arguments: [
        ("srun = \"/nonexistent/srun\"", "srun cannot be started: ENOENT"),
        ("srun_options = [\"-p\", \"nowhere\"]", "srun: "),
        ("nodes_wait_seconds = 2\nsrun_options = [\"--begin=now+600\"]", "srun: Unable to allocate resources"),

    ])
    func withoutHostsOneWorkerCopiesAllAndSaysSoOnce(more: String, why: String) throws {
        let ground = try Ground(more)
        #expect(try ground.rig.wlm("data_in", "--token", "83") == .done, "\(ground.rig.log)")
        try ground.expectWhole()
        #expect(ground.count("stage_in: \(why)") == 1, "\(ground.rig.log)")
        #expect(ground.count("this host copies all of it") == 1)
    }

    @Test func hasteDoesNotWaitForHosts() throws {
        let ground = try Ground("nodes_wait_seconds = 600\nsrun_options = [\"--begin=now+600\"]")
        let waiting = try ground.rig.begin("data_in", "--token", "83")
        func queued() throws -> Int {
            try ground.cluster.ask(["squeue", "-h", "-o", "%j"]).text.split(separator: "\n").count
        }
        #expect(try Wait.until(seconds: 60) { try queued() == 1 }, "\(ground.rig.log)")
        let began = PseudoTerminal.now
        #expect(try ground.rig.wlm("teardown", "--token", "83", "--hurry") == .done)
        #expect(PseudoTerminal.now - began < 2_000_000_000)
        #expect(try Wait.until(seconds: 30) { try queued() == 0 })
        #expect(Folders.names(ground.rig.folder("pool/buffers")) == [])
        waiting.close()
    }

    @Test func thePhaseFailsWithoutHostsWhereItMust() throws {
        let ground = try Ground("srun = \"/nonexistent/srun\"\nnodes_refused = \"fail\"")
        let said = try ground.rig.wlm("data_in", "--token", "83")
        #expect(said.status == 1)
        #expect(said.text.contains("srun cannot be started: ENOENT"), "\(said.text)")
        #expect(try ground.rig.phase("83") == "stage-in-failed")
    }

    @Test func littleIsCopiedHere() throws {
        let ground = try Ground("nodes_from = \"1GiB\"\nsrun = \"/nonexistent/srun\"\nnodes_refused = \"fail\"")
        #expect(try ground.rig.wlm("data_in", "--token", "83") == .done, "\(ground.rig.log)")
        try ground.expectWhole()
    }
}
