import BurstModel
import BurstScreen
package import BurstTestSupport
import Glibc

/// Measures burstmon against the criteria of monitor.md §4.2, with htop and `watch scontrol show burst` in turn, in
/// the same
/// harness and in the same run.
package final class MonitorBench {
    /// How much is measured.
    package struct Effort: Sendable {
        package var starts = 8
        package var keys = 60
        package var answers = 4
        package var windowSeconds = 62.0
        /// Samples of the recording that is replayed.
        package var replayed = 1000

        package init() {}

        /// For a look: fewer rounds, a short window.
        package static var quick: Effort {
            var effort = Effort()
            effort.starts = 3
            effort.keys = 25
            effort.answers = 2
            effort.windowSeconds = 12
            effort.replayed = 200
            return effort
        }
    }

    static let small = SyntheticCluster(buffers: 1000)
    static let large = SyntheticCluster(buffers: 100_000)
    static let sizes = [Size(columns: 80, rows: 24), Size(columns: 200, rows: 50)]

    let effort: Effort
    let stub: StubSlurm
    /// With 100,000 buffers.
    let large: StubSlurm
    let burstmon: String
    let htop: Subject?
    let watch: Subject?
    package private(set) var figures: [Figure] = []
    /// Is told what is being measured.
    let progress: (String) -> Void

    /// - Parameter burstmon: the program's path.
    package init(burstmon: String, effort: Effort, progress: @escaping (String) -> Void) throws(HarnessError) {
        guard access(burstmon, X_OK) == 0 else {
            throw HarnessError("\(burstmon) is missing; build it first: swift build -c release")
        }
        self.burstmon = burstmon
        self.effort = effort
        self.progress = progress
        stub = try StubSlurm()
        large = try StubSlurm()
        let environment = Self.environment(stub)
        htop = Self.find("htop").map {
            Subject(
                name: "htop", arguments: [$0], environment: environment, down: "\u{1B}[B", up: "\u{1B}[A")
        }
        watch = Self.find("watch").map {
            Subject(name: "watch", arguments: [$0, "scontrol", "show", "burst"], environment: environment)
        }
    }

    private static func environment(_ stub: StubSlurm) -> [String: String] {
        [
            "PATH": stub.path, "HOME": stub.folder, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8",
            "SWIFT_BACKTRACE": "enable=no", "TZ": "UTC",
        ]
    }

    private static func find(_ program: String) -> String? {
        ["/usr/local/bin/", "/usr/bin/", "/bin/"].map { $0 + program }.first { access($0, X_OK) == 0 }
    }

    /// burstmon on stand-ins.
    func monitor(on stub: StubSlurm, _ arguments: [String] = []) -> Subject {
        Subject(
            name: "burstmon", arguments: [burstmon, "--source", "slurm"] + arguments,
            environment: Self.environment(stub))
    }

    package func run() throws(HarnessError) {
        defer {
            stub.remove()
            large.remove()
        }
        try stub.fill(Self.small)
        try large.fill(Self.large)
        try measureStart()
        for size in Self.sizes { try measureSmall(size) }
        try measureStorm()
        try measureOnce()
        try measureInProcess()
        try measureReplay()
        try measureLarge()
        try measureWindow()
    }

    func add(_ figure: Figure) {
        figures.append(figure)
        progress(figure.markdown)
    }

    /// The table, in the order of the criteria.
    package var markdown: String {
        let sorted = figures.enumerated().sorted { left, right in
            func number(_ figure: Figure) -> Int { Int(figure.id.dropFirst()) ?? 0 }
            return (number(left.element), left.offset) < (number(right.element), right.offset)
        }
        return ([Figure.heading] + sorted.map(\.element.markdown)).joined(separator: "\n") + "\n"
    }

    package var json: String {
        "[\n  " + figures.map(\.json).joined(separator: ",\n  ") + "\n]\n"
    }

    package var isMet: Bool { figures.allSatisfy(\.isMet) }

    func peers(_ figure: inout Figure, htop note: String = "", watch other: String = "") {
        figure.htopNote = htop == nil ? "not installed" : note.isEmpty ? "no value" : note
        figure.watchNote = watch == nil ? "not installed" : other.isEmpty ? "no value" : other
    }

    func text(_ size: Size) -> String { "\(size.columns)x\(size.rows)" }
}

// MARK: Start

extension MonitorBench {
    /// A1: exec to a complete first frame, with a controller that answers and one that hangs.
    private func measureStart() throws(HarnessError) {
        for size in Self.sizes {
            for hangs in [false, true] {
                let what = "exec to first frame, \(text(size)), controller \(hangs ? "hangs" : "answers")"
                var figure = Figure("A1", what, "ms", target: 50, .p95)
                peers(&figure, htop: hangs ? "asks none" : "", watch: hangs ? "no frame" : "")
                for _ in 0..<effort.starts {
                    for subject in [monitor(on: stub), htop, watch].compactMap(\.self) {
                        if hangs && subject.name != "burstmon" { continue }
                        if hangs { try stub.hold() }
                        let session = try subject.start(size)
                        let time = session.firstFrame()
                        session.end()
                        stub.release()
                        guard let time else { continue }
                        switch subject.name {
                        case "htop": figure.htop.add(time)
                        case "watch": figure.watch.add(time)
                        default: figure.ours.add(time)
                        }
                    }
                }
                add(figure)
            }
        }
    }

    /// A23: `--once` beyond the same calls made by a shell.
    private func measureOnce() throws(HarnessError) {
        try stub.fill(Self.small)
        let out = stub.folder + "/out"
        func time(_ script: String) throws(HarnessError) -> Double? {
            let subject = Subject(
                name: "sh", arguments: ["/bin/sh", "-c", script], environment: Self.environment(stub))
            let session = try subject.start(Size(columns: 80, rows: 24))
            guard session.terminal.waitForEnd(seconds: 20) == .exited(0) else { return nil }
            return Session.milliseconds(session.startedAt, PseudoTerminal.now)
        }
        var figure = Figure("A23", "--once beyond its calls, N=1,000", "ms", target: 100)
        figure.htopNote = "no such mode"
        figure.watchNote = "no such mode"
        var baseline = Samples()
        for _ in 0..<max(5, effort.starts) {
            stub.forgetCalls()
            guard let whole = try time("exec '\(burstmon)' --source slurm --once >'\(out)' 2>&1 </dev/null") else {
                add(figure)
                return
            }
            // The same calls, one after another, by the shell alone.
            let calls = stub.calls.map { call in
                call.hasPrefix("squeue") ? "squeue" : call.split(separator: " ").joined(separator: " ")
            }
            guard let bare = try time(calls.map { "\($0) >'\(out)'" }.joined(separator: "; ") + "; exit 0") else {
                continue
            }
            baseline.add(bare)
            figure.ours.add(max(0, whole - bare))
        }
        figure.note = "the calls alone \(Figure.plain(baseline.median ?? 0)) ms"
        add(figure)
    }
}
