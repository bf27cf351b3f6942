import BurstScreen
import BurstTestSupport
import Testing

extension ReferenceTests {
    /// A controller that is gone, and one that hangs: said at once, the data kept, nothing to be cancelled, and back
    /// again.
    @Suite(.timeLimit(.minutes(15)))
    struct OutageTests {
        @Test(arguments: [("halt", "restart"), ("pause", "resume")])
        func anOutageIsShownAndOutlived(begin: String, end: String) throws {
            let cluster = try ReferenceCluster(.lua)
            let job = try cluster.submit(run: "sleep 600")
            #expect(try cluster.reaches(job, "running"))
            let terminal = try cluster.screen("--screen", "buffers", "--interval", "5")
            func shows(_ terminal: PseudoTerminal) -> Bool {
                terminal.emulator.contains("LIVE") && terminal.emulator.contains("\(job)")
                    && terminal.emulator.contains("running")
            }
            #expect(terminal.wait(until: shows), "\(terminal.emulator.text)")

            try cluster.steer(begin, [])
            // A poll, and the time limit of a call.
            #expect(terminal.wait(for: "STALE"), "\(terminal.emulator.text)")
            #expect(terminal.emulator.contains("!! "))
            #expect(terminal.emulator.contains("cancel is locked"))
            #expect(terminal.emulator.contains("nvme"), "\(terminal.emulator.text)")
            #expect(terminal.emulator.contains("20GiB"), "\(terminal.emulator.text)")
            terminal.type("c")
            #expect(terminal.wait(for: "cancel is locked: the controller does not answer"), "\(terminal.emulator.text)")
            #expect(!terminal.emulator.contains("Cancel job"))
            let check = try cluster.burstmon("--check")
            #expect(check.end == .exited(3), "\(check.text)")
            #expect(terminal.end == nil)

            try cluster.steer(end, [])
            terminal.type("R")
            #expect(terminal.wait(seconds: 60, until: shows), "\(terminal.emulator.text)")
            #expect(!terminal.emulator.contains("!! "))
            terminal.type("7")
            #expect(terminal.wait(for: "CONTROLLER"), "\(terminal.emulator.text)")
            terminal.type("q")
            #expect(terminal.waitForEnd() == .exited(0))
        }
    }
}
