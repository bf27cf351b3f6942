import BurstClient
import BurstTestSupport
import BurstWire
import CSys
import Glibc
import Testing

/// The daemon is killed, stopped and started again, and nobody's data or space is lost (staging.md §4.6, R1).
@Suite(.serialized, .onWorkers) struct RestartTests {
    /// `BURST_STAGER_KILLS`
    static let kills = getenv("BURST_STAGER_KILLS").flatMap { Int(String(cString: $0)) } ?? 12

    private func again(_ rig: StagerRig, _ words: String...) throws -> StagerRig.Said {
        // A client that was cut off asks again, as dw_wlm_cli does.
        var call = StageCall(.wlm, arguments: ["--function"] + words)
        call.nodes = []
        for _ in 0..<3 {
            do throws(ClientError) {
                let connection = try BurstConnection.connect(path: rig.socket, program: "test")
                let (answer, body) = try connection.ask(.stage(call), seconds: 120)
                return StagerRig.said(answer, body)
            } catch {
                try rig.start()
            }
        }
        throw HarnessError("no answer: \(rig.log)")
    }

    @Test func killedAtAnyMomentItGoesOnAndCopiesAreWhole() async throws {
        let rig = try StagerRig(megabytes: 2048)
        rig.fill(files: 120, bytes: 30_000)
        let source = try TreeHash(of: rig.source)
        var chance = Chance(seed: 7)
        for round in 0..<Self.kills {
            let token = "\(100 + round)"
            try rig.start()
            let verbs = ["data_in", "pre_run", "post_run", "data_out", "teardown"]
            let fatal = verbs[chance.below(verbs.count)]
            #expect(try rig.setUp(token, rig.script) == .done, "round \(round)")
            for verb in verbs {
                if verb == fatal {
                    let connection = try rig.begin(verb, "--token", token)
                    await letTimePass(milliseconds: chance.below(120))
                    rig.kill()
                    connection.close()
                    try rig.start()
                }
                let said = try again(rig, verb, "--token", token)
                let isGone = verb == "teardown" && said.text == "token not found"
                #expect(said == .done || isGone, "round \(round), killed in \(fatal): \(verb): \(said) \(rig.log)")
                if verb == "pre_run" {
                    let buffer = try TreeHash(of: rig.mounted(token) + "in")
                    #expect(buffer.differences(from: source) == [], "round \(round), killed in \(fatal)")
                }
                if verb == "data_out" {
                    #expect(
                        try TreeHash(of: rig.target).differences(from: source) == [],
                        "round \(round), killed in \(fatal)")
                }
            }
            #expect(Wait.until { (try? rig.used()) == 0 }, "round \(round), killed in \(fatal)")
            #expect(rig.workers() == [])
            try rig.stop()
        }
        for folder in ["pool/buffers", "pool/.bb/quarantine", "pool/mnt", "state/mnt", "state/stager/workers"] {
            #expect(Folders.names(rig.folder(folder)) == [], "\(folder)")
        }
    }

    @Test func theSessionListIsThereWhileTheDaemonIsAway() throws {
        let rig = try StagerRig()
        rig.fill(files: 2)
        // Who comes first finds the pools: Slurm asks for them once.
        for _ in 0..<5 {
            rig.kill()
            rig.folder.remove("run/stager/pools")
            try rig.start()
            #expect(rig.folder.text(of: "run/stager/pools").contains("\"nvme\""))
        }
        #expect(try rig.setUp("51", rig.script) == .done)
        /// Who there is; states may be those of the moment in which it came to be.
        func listed(_ text: String) throws -> [String] {
            try JSON(text.utf8)["sessions"].elements.map { "\($0["id"].number ?? 0) \($0["token"].text ?? "")" }
        }
        let told = try listed(rig.wlm("show_sessions").text)
        #expect(told == ["1 51"])
        rig.kill()
        #expect(try listed(rig.alone("show_sessions")) == told)
        try rig.start()
        #expect(try listed(rig.wlm("show_sessions").text) == told)
        // The time in the first line says that it lives.
        let first = Int64(rig.folder.text(of: "run/stager/pools").split(separator: "\n").first ?? "") ?? 0
        #expect(first > 1_700_000_000)
    }

    @Test func mountsOfARunningJobAreThereAgain() throws {
        let rig = try StagerRig()
        rig.fill(files: 2)
        try rig.start()
        #expect(try rig.setUp("61", rig.script) == .done)
        for verb in ["data_in", "pre_run"] { #expect(try rig.wlm(verb, "--token", "61") == .done) }
        rig.kill()
        // As after a restart of the machine.
        if Machine.isRoot { bb_unmount(rig.folder("pool/mnt/61_striped_scratch"), 1) }
        unlink(rig.folder("state/mnt/61_striped_scratch"))
        try rig.start()
        #expect(Wait.until { rig.folder.exists("state/mnt/61_striped_scratch/in/d0/f0") })
    }

    @Test func aStateThatCannotBeWrittenRefusesAndLosesNothing() throws {
        let rig = try StagerRig()
        rig.fill(files: 2)
        try rig.start()
        #expect(try rig.setUp("71", rig.script) == .done)
        rig.kill()
        // A row that cannot be read keeps it from starting, in one line.
        let sqlite = try PipedProgram.run(
            [
                "/usr/bin/python3", "-c",
                "import sqlite3; c = sqlite3.connect('\(rig.folder("state/burst.db"))'); "
                    + "c.execute(\"UPDATE stager_sessions SET session = '{'\"); c.commit()",
            ], environment: [:])
        #expect(sqlite.end == .exited(0), "\(sqlite.errorText)")
        #expect(throws: HarnessError.self) { try rig.startOnce() }
        #expect(rig.log.contains("table stager_sessions: row 1 cannot be read, nothing was changed"))
    }
}
