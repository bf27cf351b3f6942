import BurstScreen
import BurstTestSupport
import Glibc
import Testing

extension ReferenceTests {
    /// Cancels through burstmon's own popup, and what slurmctld makes of them (monitor.md §3.6).
    @Suite(.timeLimit(.minutes(15)))
    struct CancelTests {
        /// Opens the popup for a job and waits until its target is verified.
        private static func open(_ terminal: PseudoTerminal, _ job: Int) {
            terminal.type(":cancel \(job)\r")
            #expect(terminal.wait(for: "Cancel job \(job)"), "\(terminal.emulator.text)")
            #expect(
                terminal.wait {
                    $0.emulator.contains("(scontrol show job)") && !$0.emulator.contains("asking scontrol")
                }, "\(terminal.emulator.text)")
        }

        private static func live(_ cluster: ReferenceCluster, _ job: Int) throws -> PseudoTerminal {
            let terminal = try cluster.screen("--screen", "jobs")
            #expect(terminal.wait { $0.emulator.contains("LIVE") && $0.emulator.contains("\(job)") })
            return terminal
        }

        /// Calls of a hook for a job, as the hooks logged them.
        private static func calls(_ cluster: ReferenceCluster, _ hook: String, _ job: Int) -> [String] {
            String(decoding: Fixtures.bytes(of: cluster.folder + "/hooks/calls"), as: UTF8.self)
                .split(separator: "\n").map(String.init)
                .filter { $0.contains(" \(hook)(") && $0.contains("\"\(job)\"") }
        }

        private static func isGone(_ cluster: ReferenceCluster, _ job: Int) throws -> Bool {
            try !cluster.ask(["scontrol", "show", "burst"]).text.contains("JobID=\(job) ")
        }

        @Test(arguments: ReferenceCluster.Plugin.allCases)
        func aRunningJobIsStagedOutAndAFailedStageOutNeedsHurry(plugin: ReferenceCluster.Plugin) throws {
            let cluster = try ReferenceCluster(plugin)
            let running = try cluster.submit(run: "sleep 600")
            let failed = try cluster.submit("data_out fail 99 Disk quota exceeded", user: "bbbob")
            #expect(try cluster.reaches(running, "running"))
            #expect(
                try Wait.until(seconds: 150, every: 0.3) { try cluster.stage(failed).reason.contains("Disk quota") })
            let terminal = try Self.live(cluster, running)

            // Esc keeps it; so does Enter, since the focus is on Keep.
            Self.open(terminal, running)
            #expect(terminal.emulator.contains(">[ Keep (Esc) ]<"))
            terminal.type("\r")
            #expect(terminal.wait { !$0.emulator.contains("Cancel job") })

            Self.open(terminal, running)
            #expect(terminal.emulator.contains("then its data is staged out"))
            terminal.type("c\r")
            #expect(terminal.wait(for: "scancel \(running): accepted"), "\(terminal.emulator.text)")
            #expect(try Wait.until(seconds: 150, every: 0.3) { try Self.isGone(cluster, running) })
            #expect(Self.calls(cluster, "data_out", running).count == 1)

            // STAGE_OUT has failed: plain cancel does nothing, and the popup says so before.
            Self.open(terminal, failed)
            #expect(terminal.emulator.contains("A stage-out has FAILED"), "\(terminal.emulator.text)")
            #expect(terminal.emulator.contains("no effect: Slurm calls this job already done"))
            terminal.type("c\r")
            #expect(terminal.wait(for: "scancel \(failed): accepted"), "\(terminal.emulator.text)")
            #expect(try cluster.stage(failed).state == "STAGE_OUT")
            #expect(Self.calls(cluster, "teardown", failed).isEmpty)

            // --hurry is locked until the id is typed.
            Self.open(terminal, failed)
            for _ in 0..<4 {
                terminal.type("\t")
                terminal.waitUntilIdle()
                #expect(!terminal.emulator.contains(">[ Cancel --hurry ]<"))
            }
            terminal.type("9\u{7f}\(failed)")
            terminal.waitUntilIdle()
            #expect(
                terminal.wait {
                    if $0.emulator.contains(">[ Cancel --hurry ]<") { return true }
                    $0.type("\t")
                    $0.waitUntilIdle()
                    return $0.emulator.contains(">[ Cancel --hurry ]<")
                }, "\(terminal.emulator.text)")
            #expect(terminal.emulator.contains("scancel --hurry \(failed)"))
            terminal.type("\r")
            #expect(terminal.wait(for: "scancel --hurry \(failed): accepted"), "\(terminal.emulator.text)")
            #expect(try Wait.until(seconds: 150, every: 0.3) { try Self.isGone(cluster, failed) })
            #expect(Self.calls(cluster, "teardown", failed).count == 1)
            // The log keeps both, word for word.
            terminal.type("7")
            #expect(terminal.wait(for: "scancel --hurry \(failed)"), "\(terminal.emulator.text)")
            terminal.type("q")
            #expect(terminal.waitForEnd() == .exited(0))
            #expect(terminal.isGivenBack)
        }

        @Test func anotherUsersJobIsRefusedAndSlurmsWordsAreShown() throws {
            let cluster = try ReferenceCluster(.lua)
            let job = try cluster.submit(user: "bbalice", run: "sleep 600")
            #expect(try cluster.reaches(job, "running"))
            // burstmon's commands run as bbbob, wherever the program itself may be read.
            for tool in ["scontrol", "squeue", "scancel"] {
                cluster.put("#!/bin/sh\nexec /usr/sbin/runuser -u bbbob -- /usr/bin/\(tool) \"$@\"\n", "bin/\(tool)")
                chmod(cluster.folder + "/bin/\(tool)", 0o755)
            }
            var environment = cluster.environment
            environment["PATH"] = cluster.folder + "/bin:" + environment["PATH"]!
            let terminal = try PseudoTerminal(
                [StubCommands.burstmon, "--screen", "jobs"], environment: environment,
                size: Size(columns: 100, rows: 30))
            #expect(terminal.wait { $0.emulator.contains("LIVE") && $0.emulator.contains("\(job)") })
            Self.open(terminal, job)
            terminal.type("c\r")
            #expect(terminal.wait(for: "exit 210"), "\(terminal.emulator.text)")
            #expect(terminal.emulator.contains("Access/permission denied"), "\(terminal.emulator.text)")
            #expect(try cluster.stage(job).stage == "running")
        }
    }
}
