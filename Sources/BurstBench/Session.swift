import BurstScreen
import BurstTestSupport

/// A program that is measured: how it is started and how it is steered.
struct Subject: Sendable {
    var name: String
    var arguments: [String]
    var environment: [String: String]
    /// Keys that move the cursor down and up.
    var down = "j"
    var up = "k"

    func start(_ size: Size) throws(HarnessError) -> Session { try Session(self, size) }
}

/// One run of a program in a terminal of its own, with times in milliseconds.
final class Session {
    let terminal: PseudoTerminal
    let startedAt: UInt64

    init(_ subject: Subject, _ size: Size) throws(HarnessError) {
        startedAt = PseudoTerminal.now
        terminal = try PseudoTerminal(subject.arguments, environment: subject.environment, size: size)
    }

    static func milliseconds(_ from: UInt64, _ to: UInt64) -> Double { Double(to &- from) / 1e6 }

    /// Reads until nothing has come for so many seconds.
    func settle(quiet: Double = 0.02, limit: Double = 3) {
        let deadline = PseudoTerminal.now + UInt64(limit * 1e9)
        var before = terminal.emulator.bytes
        while PseudoTerminal.now < deadline {
            guard terminal.wait(seconds: quiet, until: { $0.emulator.bytes != before }) else { return }
            before = terminal.emulator.bytes
        }
    }

    private var filledRows: Int {
        let emulator = terminal.emulator
        return (0..<emulator.size.rows).count { !emulator.line($0).isEmpty }
    }

    /// Milliseconds from exec to a complete first frame: down to the last row, where the keys stand. Curses paints from
    /// the top.
    func firstFrame(seconds: Double = 5) -> Double? {
        let rows = min(3, terminal.emulator.size.rows)
        let isComplete = terminal.wait(seconds: seconds) { terminal in
            let emulator = terminal.emulator
            return !emulator.line(emulator.size.rows - 1).isEmpty && self.filledRows >= rows
        }
        let time = terminal.chunks.last?.time
        settle()
        return isComplete ? time.map { Self.milliseconds(startedAt, $0) } : nil
    }

    /// Reads until a number of rows hold one of the words. Returns when the bytes came that did it.
    func wait(rows: Int, with words: [String], seconds: Double = 20) -> UInt64? {
        var seen = -1
        let found = terminal.wait(seconds: seconds) { terminal in
            let bytes = terminal.emulator.bytes
            if bytes == seen { return false }
            seen = bytes
            let lines = (0..<terminal.emulator.size.rows).map { terminal.emulator.line($0) }
            return lines.count { line in words.contains { line.contains($0) } } >= rows
        }
        return found ? terminal.chunks.last?.time : nil
    }

    struct Response {
        var firstByte: Double
        var lastByte: Double
        var bytes: Int
    }

    /// Types, and reads what follows until nothing comes for `quiet` seconds. Nil where nothing comes within 3 s.
    func press(_ keys: String, quiet: Double = 0.012) -> Response? {
        terminal.forgetBytes()
        let time = PseudoTerminal.now
        terminal.type(keys)
        guard terminal.wait(seconds: 3, until: { !$0.chunks.isEmpty }), let first = terminal.chunks.first else {
            return nil
        }
        settle(quiet: quiet, limit: 1)
        return Response(
            firstByte: Self.milliseconds(time, first.time),
            lastByte: Self.milliseconds(time, terminal.chunks.last?.time ?? first.time),
            bytes: terminal.received.count)
    }

    /// The program itself: the child of burstmon's guardian, else the process that was started.
    var program: Int32 {
        guard Processes.name(of: terminal.pid) == "guardian" else { return terminal.pid }
        return Processes.children(of: terminal.pid).first ?? terminal.pid
    }

    /// The program and its guardian.
    var processes: [Int32] { Array(Set([terminal.pid, program])) }

    var processorTime: UInt64 { processes.reduce(0) { $0 + Processes.processorTime(of: $1) } }
    var wakeUps: Int { processes.reduce(0) { $0 + Processes.wakeUps(of: $1) } }

    /// Ends it as a user's closing of the window would, and waits.
    func end() {
        terminal.signal(15)
        if terminal.waitForEnd(seconds: 2) == nil { terminal.signal(9) }
        _ = terminal.waitForEnd(seconds: 2)
    }
}
