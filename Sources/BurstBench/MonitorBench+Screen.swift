import BurstModel
import BurstScreen
import BurstTestSupport

/// What is measured on the full screen.
extension MonitorBench {
    /// Words of which each row of buffers has one.
    private static let users = ["alice", "bob", "carol", "dan", "erin", "frank", "grace", "svc_ml"]

    /// burstmon with rows of buffers on the screen. `since` is when the first answer was let go, `shown` when rows
    /// stood there.
    private func startOnBuffers(
        _ size: Size, on stub: StubSlurm, _ arguments: [String] = []
    ) throws(HarnessError) -> (session: Session, since: UInt64, shown: UInt64)? {
        try stub.hold()
        let session = try monitor(on: stub, arguments).start(size)
        _ = session.firstFrame()
        session.terminal.type("3")
        session.settle()
        guard session.terminal.wait(seconds: 10, until: { _ in stub.isHolding }) else {
            stub.release()
            session.end()
            return nil
        }
        let since = stub.release()
        guard let shown = session.wait(rows: 5, with: Self.users) else {
            session.end()
            return nil
        }
        return (session, since, shown)
    }

    /// Lets the first calls pass, so that keys meet no work.
    private func rest(_ session: Session, seconds: Double) {
        session.terminal.wait(seconds: seconds) { _ in false }
        session.settle()
    }

    /// Makes it call again and hang: true when the call is on its way.
    private func refreshAndHang(_ session: Session, on stub: StubSlurm) throws(HarnessError) -> Bool {
        // At most one refresh in 2 s.
        rest(session, seconds: 2.2)
        try stub.hold()
        session.terminal.type("R")
        return session.terminal.wait(seconds: 20) { _ in stub.isHolding }
    }

    private struct Keys {
        var times = Samples()
        var bytes = Samples()
    }

    private func move(_ session: Session, _ subject: Subject, keys count: Int) -> Keys {
        var keys = Keys()
        for index in 0..<count {
            guard let response = session.press(index % 8 < 5 ? subject.down : subject.up) else { continue }
            keys.times.add(response.firstByte)
            keys.bytes.add(Double(response.bytes))
        }
        return keys
    }

    // MARK: N = 1,000

    /// A2 to A5 at N=1,000.
    func measureSmall(_ size: Size) throws(HarnessError) {
        try stub.fill(Self.small)
        let small = size.columns <= 80
        var answer = Figure("A2", "answer to data, N=1,000, \(text(size))", "ms", target: 30, .p95)
        answer.htopNote = "asks none"
        answer.watchNote = "counts from exec"
        for _ in 1..<max(2, effort.answers) {
            guard let (session, since, shown) = try startOnBuffers(size, on: stub) else { continue }
            answer.ours.add(Session.milliseconds(since, shown))
            session.end()
        }
        var idle = Figure("A3", "key to first byte, idle, N=1,000, \(text(size))", "ms", target: 10, .p95)
        var hanging = Figure("A3", "key to first byte, a call hangs, \(text(size))", "ms", target: 30, .p99)
        var bytes = Figure("A4", "bytes per cursor move, \(text(size))", "bytes", target: small ? 400 : 600)
        var same = Figure("A5", "bytes per refresh, nothing changed, \(text(size))", "bytes", target: 80, .max)
        var changed = Figure("A5", "bytes per refresh, some rows changed, \(text(size))", "bytes", target: 1500, .max)
        var full = Figure("A5", "bytes of a full frame, \(text(size))", "bytes", target: small ? 5120 : 16384)
        peers(&idle, watch: "takes no keys")
        peers(&hanging, htop: "asks none", watch: "takes no keys")
        peers(&bytes, watch: "takes no keys")
        peers(&same)
        peers(&changed, htop: "own data", watch: "")
        peers(&full)
        if let htop {
            let session = try htop.start(size)
            _ = session.firstFrame()
            rest(session, seconds: 1)
            let keys = move(session, htop, keys: effort.keys)
            (idle.htop, bytes.htop) = (keys.times, keys.bytes)
            if let frame = session.press("\u{C}", quiet: 0.05) { full.htop.add(Double(frame.bytes)) }
            // Its own refresh comes every 1.5 s.
            for _ in 0..<3 {
                session.terminal.forgetBytes()
                rest(session, seconds: 1.5)
                same.htop.add(Double(session.terminal.received.count))
            }
            session.end()
        }
        if let watch {
            let session = try watch.start(size)
            if session.firstFrame() != nil {
                full.watch.add(Double(session.terminal.received.count))
                for tick in 0..<3 {
                    try stub.fill(Self.small, tick: tick == 0 ? 0 : tick + 10)
                    session.terminal.forgetBytes()
                    rest(session, seconds: 2.1)
                    let count = Double(session.terminal.received.count)
                    if tick == 0 { same.watch.add(count) } else { changed.watch.add(count) }
                }
            }
            session.end()
            try stub.fill(Self.small)
        }
        if let (session, since, shown) = try startOnBuffers(size, on: stub) {
            defer { session.end() }
            answer.ours.add(Session.milliseconds(since, shown))
            rest(session, seconds: 1)
            let keys = move(session, monitor(on: stub), keys: effort.keys)
            (idle.ours, bytes.ours) = (keys.times, keys.bytes)
            if let frame = session.press("\u{C}", quiet: 0.05) { full.ours.add(Double(frame.bytes)) }
            // What rules find in the second answer of a kind is told with it: only the next has nothing new.
            for round in 1...2 where try refreshAndHang(session, on: stub) {
                // Let go before the answer counts as slow, which the screen would have to tell.
                session.settle(quiet: 0.1)
                session.terminal.forgetBytes()
                stub.release()
                rest(session, seconds: 0.3)
                if round == 2 { same.ours.add(Double(session.terminal.received.count)) }
            }
            var lines = 0
            for round in 1...2 {
                guard try refreshAndHang(session, on: stub) else { break }
                // One row in 100 changes with each tick; of a screenful that is mostly none.
                try stub.fill(Self.small, tick: round * (small ? 5 : 3))
                session.settle(quiet: 0.1)
                session.terminal.forgetBytes()
                let before = session.terminal.emulator
                stub.release()
                rest(session, seconds: 0.3)
                let after = session.terminal.emulator
                lines = max(lines, (0..<size.rows).count { before.line($0) != after.line($0) })
                changed.ours.add(Double(session.terminal.received.count))
            }
            if try refreshAndHang(session, on: stub) {
                session.settle()
                hanging.ours = move(session, monitor(on: stub), keys: effort.keys).times
                stub.release()
            }
            changed.note = "at most \(lines) lines of the screen"
        }
        for figure in [answer, idle, hanging, bytes, same, changed, full] { add(figure) }
    }

    // MARK: N = 100,000

    /// A2, A3, A7, A8 at N=100,000.
    func measureLarge() throws(HarnessError) {
        let size = Size(columns: 80, rows: 24)
        var answer = Figure("A2", "answer to data, N=100,000", "ms", target: 250, .p95)
        var reading = Figure("A3", "key to first byte while 100,000 rows are read", "ms", target: 30, .p99)
        var end = Figure("A8", "G and g, to paint, N=100,000", "ms", target: 20, .p95)
        var page = Figure("A8", "page up and down, to paint, N=100,000", "ms", target: 20, .p95)
        var search = Figure("A8", "a letter of a search, to paint, N=100,000", "ms", target: 20, .p95)
        var filter = Figure("A8", "a letter of a filter, to paint, N=100,000", "ms", target: 50, .p95)
        var memory = Figure("A7", "memory, N=100,000, after some polls", "MiB", target: 200, .max)
        for _ in 1..<max(2, effort.answers) {
            guard let (session, since, shown) = try startOnBuffers(size, on: large) else { continue }
            answer.ours.add(Session.milliseconds(since, shown))
            session.end()
        }
        if let (session, since, shown) = try startOnBuffers(size, on: large) {
            defer { session.end() }
            answer.ours.add(Session.milliseconds(since, shown))
            rest(session, seconds: 3)
            _ = session.press("3")
            for round in 0..<12 {
                if let jump = session.press(round % 2 == 0 ? "G" : "g") { end.ours.add(jump.lastByte) }
                if let jump = session.press(round % 2 == 0 ? "\u{15}" : "\u{4}") { page.ours.add(jump.lastByte) }
            }
            typeEach("/169777", "\u{1B}", session, &search)
            typeEach("\\user=carol", "\u{1B}", session, &filter)
            session.settle()
            for _ in 0..<max(1, effort.answers / 2) where try refreshAndHang(session, on: large) {
                large.release()
                // The answer takes a second or less to be read, joined and shown.
                let deadline = PseudoTerminal.now + 1_200_000_000
                var index = 0
                while PseudoTerminal.now < deadline {
                    if let response = session.press(index % 8 < 5 ? "j" : "k", quiet: 0.005) {
                        reading.ours.add(response.firstByte)
                    }
                    index += 1
                }
            }
            let used = Processes.memory(of: session.program)
            memory.ours.add(used.now)
            memory.note = "at most \(Figure.plain(used.peak)) MiB; no day of history"
        }
        for figure in [answer, reading, end, page, search, filter, memory] { add(figure) }
    }

    /// Types letter by letter, then leaves.
    private func typeEach(_ letters: String, _ leave: String, _ session: Session, _ figure: inout Figure) {
        guard let first = letters.first else { return }
        // Wherever it was left, it is on the buffers now.
        _ = session.press("3")
        _ = session.press(String(first))
        for letter in letters.dropFirst() {
            if let response = session.press(String(letter)) { figure.ours.add(response.lastByte) }
        }
        // Escape alone waits a moment for the rest of a sequence.
        _ = session.press(leave, quiet: 0.1)
    }

    // MARK: Storm

    /// A9: 200 random sizes in 2.5 s.
    func measureStorm() throws(HarnessError) {
        try stub.fill(Self.small)
        var bytes = Figure("A9", "bytes of 200 resizes in 2.5 s", "bytes", target: 300_000)
        var time = Figure("A9", "last resize to last byte of the frame", "ms", target: 150, .max)
        peers(&bytes)
        peers(&time)
        for subject in [monitor(on: stub), htop, watch].compactMap(\.self) {
            let session = try subject.start(Size(columns: 80, rows: 24))
            _ = session.firstFrame()
            rest(session, seconds: 0.5)
            session.terminal.forgetBytes()
            var chance = Chance(seed: 7)
            let start = PseudoTerminal.now
            for index in 1...200 {
                session.terminal.resize(to: Size(columns: 10 + chance.next(211), rows: 3 + chance.next(58)))
                let due = start + UInt64(index) * 12_500_000
                let now = PseudoTerminal.now
                if due > now { session.terminal.wait(seconds: Double(due - now) / 1e9) { _ in false } }
            }
            let last = PseudoTerminal.now
            session.terminal.resize(to: Size(columns: 93, rows: 31))
            session.settle(quiet: 0.2, limit: 2)
            let shown = session.terminal.chunks.last.map { max(0, Session.milliseconds(last, $0.time)) }
            let total = Double(session.terminal.received.count)
            let survived = Processes.isAlive(session.program)
            // What a full repaint shows is what stood there, but for digits.
            let before = session.terminal.emulator.text.filter { !$0.isNumber }
            _ = session.press("\u{C}", quiet: 0.1)
            let isRight = before == session.terminal.emulator.text.filter { !$0.isNumber }
            session.end()
            switch subject.name {
            case "htop":
                bytes.htop.add(total)
                if let shown { time.htop.add(shown) }
            case "watch":
                bytes.watch.add(total)
                if let shown { time.watch.add(shown) }
            default:
                bytes.ours.add(total)
                if let shown, survived, isRight { time.ours.add(shown) }
                time.note = survived ? isRight ? "the frame is right" : "the frame is WRONG" : "it DIED"
            }
        }
        add(bytes)
        add(time)
    }

    /// Numbers that look like chance and are the same in each run.
    private struct Chance {
        var state: UInt64

        init(seed: UInt64) { state = seed }

        mutating func next(_ limit: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % limit
        }
    }

    // MARK: A window of time

    /// A6 and A7: what running on costs, all in the same window, nobody typing.
    func measureWindow() throws(HarnessError) {
        let size = Size(columns: 80, rows: 24)
        var processor = Figure("A6", "processor, N=1,000, every 10 s", "%", target: 0.3)
        var largeProcessor = Figure("A6", "processor, N=100,000, every 60 s", "%", target: 3)
        var wakes = Figure("A6", "wake-ups a second, N=1,000", "1/s", target: 3)
        var memory = Figure("A7", "memory, N=1,000", "MiB", target: 40, .max)
        peers(&processor)
        peers(&wakes)
        peers(&memory)
        try stub.fill(Self.small)
        let big = try startOnBuffers(size, on: large, ["--interval", "60"])?.session
        if let big { rest(big, seconds: 4) }
        let ours = try startOnBuffers(size, on: stub)?.session
        let theirs = try htop?.start(size)
        let other = try watch?.start(size)
        let sessions = [big, ours, theirs, other].compactMap(\.self)
        defer { for session in sessions { session.end() } }
        for session in sessions { rest(session, seconds: 0.5) }
        let start = PseudoTerminal.now
        let before = sessions.map { ($0.processorTime, $0.wakeUps) }
        while Double(PseudoTerminal.now - start) / 1e9 < effort.windowSeconds {
            for session in sessions { session.terminal.wait(seconds: 0.05) { _ in false } }
        }
        let seconds = Double(PseudoTerminal.now - start) / 1e9
        for (index, session) in sessions.enumerated() {
            let share = Double(session.processorTime &- before[index].0) / 1e9 / seconds * 100
            let wakeUps = Double(session.wakeUps - before[index].1) / seconds
            let used = Processes.memory(of: session.program).now
            if session === big {
                largeProcessor.ours.add(share)
            } else if session === ours {
                processor.ours.add(share)
                wakes.ours.add(wakeUps)
                memory.ours.add(used)
            } else if session === theirs {
                processor.htop.add(share)
                wakes.htop.add(wakeUps)
                memory.htop.add(used)
            } else {
                processor.watch.add(share)
                wakes.watch.add(wakeUps)
                memory.watch.add(used)
            }
        }
        processor.note = "without child commands"
        if seconds < 60 { largeProcessor.note = "the window is shorter than the interval" }
        for figure in [processor, wakes, largeProcessor, memory] { add(figure) }
    }
}
