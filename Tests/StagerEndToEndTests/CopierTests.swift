import BurstClient
import BurstTestSupport
import BurstWire
import Glibc
import Testing

/// A pool whose folders dcp or dsync copy, stand-ins here; and how much of a copy is looked at.
@Suite(.serialized, .onWorkers) struct CopierTests {
    private func rig(_ tool: StandInCopier, _ more: String = "verify = \"inline\"") throws -> StagerRig {
        let rig = try StagerRig(more: "copier = \"\(tool.name)\"\ncopier_path = \"\(tool.path)\"\n\(more)\n")
        rig.fill(files: 20)
        // The tools do not keep them.
        unlink(rig.folder("source/d1/hard"))
        try rig.start()
        return rig
    }

    @Test(arguments: ["dcp", "dsync"])
    func aWholeLifeByTheTool(name: String) throws {
        let tool = try StandInCopier(name)
        let rig = try rig(tool)
        #expect(rig.log.contains("copies by \(name), verify inline"))
        #expect(try rig.setUp("83", rig.script) == .done)
        for verb in ["data_in", "pre_run"] { #expect(try rig.wlm(verb, "--token", "83") == .done, "\(verb)") }
        let source = try TreeHash(of: rig.source)
        #expect(try TreeHash(of: rig.mounted("83") + "in").differences(from: source) == [])
        let progress = try rig.session("83")?["progress"] ?? .null
        #expect(progress["percent"].number == 100)
        #expect(progress["bytes_verified"].number == 3_400_000)
        for verb in ["post_run", "data_out"] { #expect(try rig.wlm(verb, "--token", "83") == .done, "\(verb)") }
        #expect(try TreeHash(of: rig.target).differences(from: source) == [])
        #expect(tool.calls.count == 2)
        #expect(try rig.wlm("teardown", "--token", "83") == .done)
        #expect(Wait.until { (try? rig.used()) == 0 })
    }

    @Test func whatTheToolDamagedFailsThePhaseUntilItIsCopiedAgain() throws {
        let tool = try StandInCopier("dcp")
        let rig = try rig(tool)
        #expect(try rig.setUp("5", rig.script) == .done)
        tool.fault("damage f3")
        let said = try rig.wlm("data_in", "--token", "5")
        #expect(said.status == 1)
        #expect(said.text.contains("the copy differs: content"), "\(said.text)")
        #expect(!said.text.contains("'") && said.text.utf8.count <= 200)
        #expect(try rig.phase("5") == "stage-in-failed")
        #expect(Folders.names(rig.buffer + "/data/striped") == [])
        #expect(try rig.ask(.stageOrder(.retry(token: "5"))) == .done)
        #expect(Wait.until(seconds: 30) { (try? rig.phase("5")) == "staged-in" })
    }

    @Test func hasteEndsAToolThatHangs() throws {
        let tool = try StandInCopier("dcp")
        let rig = try rig(tool)
        #expect(try rig.setUp("31", rig.script) == .done)
        for verb in ["data_in", "pre_run", "post_run"] { #expect(try rig.wlm(verb, "--token", "31") == .done) }
        tool.fault("hang")
        let waiting = try rig.begin("data_out", "--token", "31")
        #expect(Wait.until(seconds: 30) { tool.processes.count == 2 })
        let began = PseudoTerminal.now
        #expect(try rig.wlm("teardown", "--token", "31", "--hurry") == .done)
        #expect(tool.processes == [])
        #expect(PseudoTerminal.now - began < 2_000_000_000)
        waiting.close()
    }

    @Test func afterAKillTheToolIsGoneAndThePhaseGoesOn() throws {
        let tool = try StandInCopier("dsync")
        let rig = try rig(tool)
        #expect(try rig.setUp("61", rig.script) == .done)
        tool.fault("hang")
        let waiting = try rig.begin("data_in", "--token", "61")
        #expect(Wait.until(seconds: 30) { tool.processes.count == 2 })
        let old = tool.processes
        rig.kill()
        waiting.close()
        try rig.start()
        #expect(Wait.until(seconds: 30) { (try? rig.phase("61")) == "staged-in" }, "\(rig.log)")
        #expect(tool.processes.filter(old.contains) == [])
        let source = try TreeHash(of: rig.source)
        #expect(try TreeHash(of: rig.buffer + "/data/striped/in").differences(from: source) == [])
        #expect(Folders.names(rig.buffer + "/data/striped") == ["in"])
    }

    @Test func aToolThatIsNotInstalledIsToldAtTheStart() throws {
        let rig = try StagerRig(more: "copier = \"dcp\"\ncopier_path = \"/nonexistent/dcp\"")
        #expect(throws: HarnessError.self) { try rig.startOnce() }
        let text = "pool \"nvme\" copies with dcp, and /nonexistent/dcp is not installed; install it"
        #expect(rig.log.split(separator: "\n").filter { $0.contains(text) }.count == 1, "\(rig.log)")
        let tool = try StandInCopier("dcp")
        let other = try self.rig(tool)
        let file = other.folder.text(of: "conf/burst.toml")
        other.folder.write(file + "launcher = [\"no-such-mpirun\", \"-np\", \"8\"]\n", to: "conf/burst.toml")
        other.reload()
        #expect(Wait.until { other.log.contains("and no-such-mpirun is not installed") })
        #expect(try other.wlm("pools").text.contains("nvme"))
    }

    @Test(arguments: ["size", "inline", "readback"])
    func ourOwnCopiesAreLookedAtAsThePoolSays(level: String) throws {
        let bytes: Int64 = level == "size" ? 0 : 3_120_000
        let rig = try StagerRig(more: "verify = \"\(level)\"\nnice = 3\nio_class = \"best-effort\"\n")
        rig.fill(files: 6)
        try rig.start()
        #expect(rig.log.contains("copies by burst-stage, verify \(level), nice 3, I/O class best-effort"))
        #expect(try rig.setUp("7", rig.script) == .done)
        #expect(try rig.wlm("data_in", "--token", "7") == .done)
        #expect(try rig.session("7")?["progress"]["bytes_verified"].number == bytes)
    }
}
