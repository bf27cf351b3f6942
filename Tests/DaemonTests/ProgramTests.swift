import BurstClient
import BurstTestSupport
import BurstWire
import GRDB
import Glibc
import Testing

/// The program itself: its start, its refusals, its end.
@Suite(.onWorkers) struct ProgramTests {
    private struct Bench {
        let folder: TemporaryFolder

        init(conf: String = "ClusterName=t\nNodeName=n1 CPUs=2\nPartitionName=p Nodes=n1 Default=YES\n") throws {
            folder = try TemporaryFolder()
            folder.makeFolder("conf")
            folder.write(conf, to: "conf/slurm.conf")
        }

        var socket: String { folder("run/burstd.sock") }

        func burstd(_ more: [String] = []) throws -> PipedProgram {
            try PipedProgram(
                [
                    Programs.path(of: "burstd"), "--config", folder("conf"), "--state", folder("state"), "--socket",
                    socket,
                ] + more, environment: ["PATH": "/usr/bin:/bin", "HOME": folder.path])
        }

        /// The one in the background, by the lock of its state.
        var pid: Int32? { Int32(folder.text(of: "state/burst.lock").filter(\.isNumber)) }

        func end(_ signal: Int32) async -> Bool {
            guard let pid, pid > 1 else { return false }
            kill(pid, signal)
            return await eventually { (try? BurstConnection.connect(path: socket, program: "t")) == nil }
        }
    }

    @Test func itGoesToTheBackgroundWhenItsSocketAnswers() async throws {
        let bench = try Bench()
        let start = try bench.burstd().waitForEnd(seconds: 120)
        #expect(start.end == .exited(0))
        #expect(try BurstConnection.connect(path: bench.socket, program: "t").ask(.ping).0 == .ok(1))
        // A second one on the same socket, and one on the same state.
        let second = try bench.burstd().waitForEnd(seconds: 120)
        #expect(second.end == .exited(1))
        #expect(second.errorText.contains("a burstd listens there already"))
        let third = try bench.burstd(["--socket", bench.folder("other.sock")]).waitForEnd(seconds: 120)
        #expect(third.end == .exited(1))
        #expect(third.errorText.contains("state"))
        // Killed at once: the next one takes its place.
        #expect(await bench.end(SIGKILL))
        #expect(try bench.burstd().waitForEnd(seconds: 120).end == .exited(0))
        #expect(try BurstConnection.connect(path: bench.socket, program: "t").ask(.ping).0 == .ok(1))
        #expect(await bench.end(SIGTERM))
        #expect(await eventually { access(bench.socket, F_OK) != 0 })
    }

    @Test(arguments: [
        ("ClusterName=t\nKillWait=soon\n", ":2: "), ("ClusterName=t\nBurstBufferType=burst_buffer/nvme\n", ":2: "),
        ("BurstBufferType=burst_buffer/lua\n", "burst_buffer.lua"), ("nonsense\n", ":1: "),
    ])
    func aWrongConfigurationIsRefusedInOneLine(conf: String, place: String) throws {
        let bench = try Bench(conf: conf)
        for more in [[], ["--foreground"], ["--check-config"]] {
            let result = try bench.burstd(more).waitForEnd(seconds: 120)
            #expect(result.end == .exited(1))
            let errors = result.errorLines.filter { $0.hasPrefix("burstd: error: ") }
            #expect(errors.count == 1)
            #expect(errors.joined().contains(place))
            #expect(!bench.folder.exists("state"))
        }
    }

    @Test func aGoodConfigurationIsSilent() throws {
        let bench = try Bench()
        let result = try bench.burstd(["--check-config"]).waitForEnd(seconds: 120)
        #expect(result.end == .exited(0))
        #expect(result.errorText == "")
    }

    @Test func aDamagedStateIsMendedWithoutADaemon() async throws {
        let bench = try Bench()
        #expect(try bench.burstd().waitForEnd(seconds: 120).end == .exited(0))
        let script = Array("#!/bin/sh\nexit 0\n".utf8)
        var submission = Submission(name: "held", workDir: bench.folder.path)
        submission.isHeld = true
        if geteuid() == 0 { submission.user = "nobody" }
        let (answer, _) = try BurstConnection.connect(path: bench.socket, program: "t")
            .ask(.submit(submission), body: script)
        guard case .submitted = answer else {
            Issue.record("\(answer)")
            return
        }
        // While somebody has the state nothing is looked at.
        let locked = try bench.burstd(["--fsck"]).waitForEnd(seconds: 120)
        #expect(locked.end == .exited(1))
        #expect(locked.errorLines.count == 1)
        #expect(await bench.end(SIGTERM))
        #expect(await eventually { access(bench.socket, F_OK) != 0 })
        #expect(try bench.burstd(["--fsck"]).waitForEnd(seconds: 120).end == .exited(0))

        let database = try DatabaseQueue(path: bench.folder("state/burst.db"))
        try await database.write { try $0.execute(sql: "UPDATE jobs SET job = '{'") }
        try database.close()
        let start = try bench.burstd().waitForEnd(seconds: 120)
        #expect(start.end == .exited(1))
        #expect(start.errorText.contains("burstd --fsck --repair"))
        let look = try bench.burstd(["--fsck"]).waitForEnd(seconds: 120)
        #expect(look.end == .exited(1))
        #expect(look.text.contains("job 1: its row cannot be read; --repair sets it aside"))
        let repair = try bench.burstd(["--fsck", "--repair"]).waitForEnd(seconds: 120)
        #expect(repair.end == .exited(0), "\(repair.text) \(repair.errorText)")
        #expect(repair.text.contains("job 1: its row is in the table set_aside"))
        #expect(try bench.burstd().waitForEnd(seconds: 120).end == .exited(0))
        #expect(await bench.end(SIGTERM))
    }
}
