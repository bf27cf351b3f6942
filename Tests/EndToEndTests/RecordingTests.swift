import BurstScreen
import BurstTestSupport
import Glibc
import Testing

/// Record and replay (A24): the same file shows the same, and what was recorded is what was seen.
@Suite(.onWorkers, .timeLimit(.minutes(15)))
struct RecordingTests {
    static let recording = Fixtures.path("recordings/busy-22.05.jsonl")

    /// A replay that stands still.
    private func replay(_ slurm: StubCommands, _ arguments: String..., size: Size = Size(columns: 100, rows: 30)) throws
        -> PseudoTerminal
    {
        let terminal = try PseudoTerminal(
            [StubCommands.burstmon, "--replay", Self.recording, "--speed", "0.001"] + arguments,
            environment: slurm.environment(), size: size)
        #expect(terminal.wait(for: "REPLAY"), "\(terminal.emulator.text)")
        terminal.type(" ")
        #expect(terminal.wait(for: "stopped"), "\(terminal.emulator.text)")
        // A message at the bottom goes with the next key that draws a screen.
        terminal.type("\u{c}")
        terminal.waitUntilIdle()
        return terminal
    }

    @Test func theSameFileGivesTheSameFramesAndSteps() throws {
        let slurm = try StubCommands()
        let (one, two) = (try replay(slurm), try replay(slurm))
        let first = one.emulator.text
        #expect(two.wait { $0.emulator.text == first }, "\(first)\n\(two.emulator.text)")
        var frames = [first]
        for step in 2...6 {
            one.type(".")
            #expect(one.wait { $0.emulator.line(0).contains(" \(step)/") }, "\(one.emulator.line(0))")
            one.waitUntilIdle()
            frames.append(one.emulator.text)
            two.type(".")
            #expect(
                two.wait { $0.emulator.text == frames[step - 1] },
                "step \(step)\n\(frames[step - 1])\n\(two.emulator.text)")
        }
        for step in (1...5).reversed() {
            one.type(",")
            #expect(
                one.wait { $0.emulator.text == frames[step - 1] },
                "back to \(step)\n\(frames[step - 1])\n\(one.emulator.text)")
        }
        one.type("}")
        #expect(one.wait { $0.emulator.line(0).contains(" 11/") }, "\(one.emulator.line(0))")
        one.type("{")
        #expect(one.wait { $0.emulator.text == first }, "\(one.emulator.text)")
        // Nothing can be cancelled, and nothing is asked.
        one.type("5c")
        one.waitUntilIdle()
        #expect(!one.emulator.contains("Keep (Esc)"))
        one.type(":cancel 169001\r")
        #expect(one.wait(for: "cancel is locked: this is a replay"), "\(one.emulator.text)")
        #expect(one.quit() == .exited(0))
        #expect(two.quit() == .exited(0))
        #expect(slurm.calls.isEmpty)
    }

    @Test func theModesWithoutAScreenReplayToo() throws {
        let slurm = try StubCommands()
        let (one, two) = (
            try slurm.run("--replay", Self.recording, "--json"), try slurm.run("--replay", Self.recording, "--json")
        )
        #expect(one.end == .exited(0), "\(one.errorText)")
        #expect(one.output == two.output)
        let early = try slurm.run("--replay", Self.recording, "--once", "-b", "2026-11-23T23:01:40Z")
        #expect(early.end == .exited(0), "\(early.errorText)")
        let again = try slurm.run("--replay", Self.recording, "--once", "-b", "2026-11-23T23:01:40Z")
        #expect(early.output == again.output)
        #expect(try early.output != slurm.run("--replay", Self.recording, "--once", "-b", "23:03").output)
        let bad = try slurm.run("--replay", Self.recording, "--once", "-b", "noon")
        #expect(bad.end == .exited(2))
        #expect(bad.errorLines.count == 1)
        #expect(slurm.calls.isEmpty)
    }

    @Test func whatIsRecordedIsWhatWasSeen() throws {
        let slurm = try StubCommands()
        let path = slurm.folder("seen.jsonl")
        let live = try slurm.run("--json", "--record", path)
        #expect(live.end == .exited(0), "\(live.errorText)")
        let count = slurm.calls.count
        let replayed = try slurm.run("--replay", path, "--json")
        #expect(replayed.end == .exited(0), "\(replayed.errorText)")
        #expect(slurm.calls.count == count)
        let (seen, shown) = (try JSON(live.output), try JSON(replayed.output))
        for key in ["plugins", "pools", "users", "jobs", "reservations"] { #expect(seen[key] == shown[key], "\(key)") }
        func figures(_ document: JSON) -> [[String: JSON]] {
            document["buffers"].elements.map { $0.members.filter { $0.key != "state_age_seconds" } }
        }
        #expect(figures(seen) == figures(shown))
        let status = try status(path)
        #expect(status.st_mode & 0o777 == 0o600)
    }

    private func status(_ path: String) throws -> stat {
        var status = stat()
        guard lstat(path, &status) == 0 else { throw HarnessError("\(path): errno \(errno)") }
        return status
    }

    @Test func whoFollowsARecordingSeesItWithoutCalls() throws {
        let slurm = try StubCommands()
        let path = slurm.folder("shared.jsonl")
        let recorder = try slurm.start("--jsonl", "-d", "5", "--record", path)
        #expect(recorder.wait { !$0.lines.isEmpty })
        let follower = try PseudoTerminal(
            [StubCommands.burstmon, "--follow", path, "--screen", "buffers"], environment: slurm.environment())
        #expect(follower.wait(for: "169001"), "\(follower.emulator.text)")
        // What the recorder sees next, the follower shows.
        let before = StubCommands.rows(follower)
        slurm.show(SyntheticCluster(buffers: 5))
        #expect(
            recorder.wait { program in
                program.lines.last.flatMap { try? JSON($0.utf8) }?["buffers"].elements.count == 5
            })
        #expect(follower.wait { StubCommands.rows($0) != before }, "\(follower.emulator.text)")
        #expect(follower.quit() == .exited(0))
        let once = try slurm.run("--follow", path, "--json")
        #expect(once.end == .exited(0), "\(once.errorText)")
        let count = try JSON(once.output)["buffers"].elements.count
        #expect(count == 5, "\(once.text)")
        recorder.signal(SIGTERM)
        _ = recorder.waitForEnd()
        #expect(slurm.mostAtOnce == 1)
    }

    @Test func aRedactedRecordingNamesNobody() throws {
        let slurm = try StubCommands()
        let path = slurm.folder("redacted.jsonl")
        let live = try slurm.run("--json", "--record", path, "--redact")
        #expect(live.end == .exited(0), "\(live.errorText)")
        let text = slurm.folder.text(of: "redacted.jsonl")
        for name in ["alice", "svc_ml", "physics"] { #expect(!text.contains(name), "\(name)") }
        let shown = try JSON(slurm.run("--replay", path, "--json").output)
        let seen = try JSON(live.output)
        #expect(shown["pools"].elements.map { $0["used"] } == seen["pools"].elements.map { $0["used"] })
    }
}
