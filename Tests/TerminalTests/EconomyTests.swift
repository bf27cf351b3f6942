import BurstScreen
import BurstTestSupport
import Testing

/// Criteria A4, A5 and A9: few bytes, and the right frame however the window is treated.
@Suite(.timeLimit(.minutes(15)))
struct EconomyTests {
    @Test(arguments: [(Size(columns: 80, rows: 24), 400, 5 * 1024), (Size(columns: 200, rows: 50), 600, 16 * 1024)])
    func onlyWhatChangedIsSent(size: Size, bytesPerMove: Int, bytesPerFrame: Int) throws {
        let terminal = try Probe.start(size: size)
        #expect(terminal.wait(for: "keys"))
        func bytes(of keys: String, until seen: String) -> Int {
            terminal.waitUntilIdle()
            terminal.forgetBytes()
            terminal.type(keys)
            #expect(terminal.wait(for: seen))
            terminal.waitUntilIdle()
            return terminal.received.count
        }
        terminal.waitUntilIdle()
        #expect(terminal.received.count <= bytesPerFrame)
        _ = bytes(of: "\u{1B}[B", until: "keys down")
        let move = bytes(of: "\u{1B}[B", until: "keys down down")
        #expect(move <= bytesPerMove, "\(move)")
        // The echo of the key is all that changes.
        let nothing = bytes(of: "x", until: "keys x down")
        #expect(nothing <= 80, "\(nothing)")
        let refresh = bytes(of: "t", until: "tick 1")
        #expect(refresh <= 1500, "\(refresh)")
        let frame = bytes(of: "\u{C}", until: "keys ^l t")
        #expect(frame <= bytesPerFrame, "\(frame)")
    }

    @Test func aStormOfResizesEndsWithTheRightFrame() throws {
        let terminal = try Probe.start()
        #expect(terminal.wait(for: "keys"))
        terminal.forgetBytes()
        for _ in 0..<200 {
            terminal.resize(to: Size(columns: .random(in: 10...220), rows: .random(in: 3...60)))
            terminal.wait(seconds: 0.0125) { _ in false }
        }
        var columns = 93
        let isSoon = try Wait.once { () throws -> Bool in
            let size = Size(columns: columns, rows: 31)
            columns += 1
            let reference = try Probe.start(size: size)
            #expect(reference.wait(for: "keys"))
            reference.waitUntilIdle()
            let expected = reference.emulator.text
            let start = PseudoTerminal.now
            terminal.resize(to: size)
            #expect(terminal.wait { $0.emulator.text == expected }, "\(terminal.emulator.text)")
            return PseudoTerminal.now - start <= 150_000_000
        }
        #expect(isSoon)
        #expect(terminal.received.count <= 300_000, "\(terminal.received.count)")
        terminal.type("q")
        #expect(terminal.waitForEnd() == .exited(0))
        #expect(terminal.isGivenBack)
    }

    @Test func noWindowIsTooSmall() throws {
        let terminal = try Probe.start()
        #expect(terminal.wait(for: "keys"))
        terminal.waitUntilIdle()
        let expected = terminal.emulator.text
        for (columns, rows) in [(20, 5), (10, 3), (2, 1), (1, 1), (0, 0), (1, 60), (500, 1)] {
            terminal.forgetBytes()
            terminal.resize(to: Size(columns: columns, rows: rows))
            #expect(terminal.wait { !$0.received.isEmpty }, "\(columns)x\(rows)")
        }
        terminal.resize(to: Size(columns: 80, rows: 24))
        #expect(terminal.wait { $0.emulator.text == expected }, "\(terminal.emulator.text)")
        terminal.type("q")
        #expect(terminal.waitForEnd() == .exited(0))
    }

    @Test func frameIsWrappedInASynchronisedUpdateOnlyWhenAskedFor() throws {
        let terminal = try Probe.start("sync")
        #expect(terminal.wait(for: "keys"))
        terminal.waitUntilIdle()
        #expect(terminal.emulator.modes[2026] == false)
        let other = try Probe.start()
        #expect(other.wait(for: "keys"))
        #expect(other.emulator.modes[2026] == nil)
    }
}
