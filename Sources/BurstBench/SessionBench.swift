import BurstClient
package import BurstTestSupport
import Glibc
import Synchronization

/// Measures a real burstd with many sessions, and lets it live through many lives with faults (staging.md §5: F3, F5,
/// L1).
package final class SessionBench: FigureTable {
    /// How much is measured.
    package struct Effort: Sendable {
        package var sessions = 10_000
        /// Of each program and round.
        package var calls = 100
        package var rounds = 5
        package var cycles = 10_000
        /// Of all cycles, in percent.
        package var faults = 5
        package var driver = "accounting"
        package var teardownSeconds = 20.0

        package init() {}

        /// For a look.
        package static var quick: Effort {
            var effort = Effort()
            effort.sessions = 1000
            effort.calls = 40
            effort.rounds = 3
            effort.cycles = 1000
            effort.teardownSeconds = 10
            return effort
        }
    }

    /// What of it is measured.
    package enum Part: String, CaseIterable, Sendable {
        case answers, teardowns, cycles
    }

    /// Lives at once.
    static let lanes = 8

    let effort: Effort
    let programs: String
    let progress: @Sendable (String) -> Void
    package private(set) var figures: [EngineFigure] = []

    /// - Parameter programs: the folder of burstd, burst, burst-stage, dw_wlm_cli and dwstat.
    package init(
        programs: String, effort: Effort, progress: @escaping @Sendable (String) -> Void
    ) throws(HarnessError) {
        guard geteuid() == 0 else { throw HarnessError("buffers are of others: run this with sudo") }
        let programs = programs.hasSuffix("/") ? programs : programs + "/"
        for name in ["burstd", "burst", "burst-stage", "dw_wlm_cli", "dwstat"]
        where access(programs + name, X_OK) != 0 {
            throw HarnessError("\(programs)\(name) is missing; build it first: swift build -c release")
        }
        self.programs = programs
        self.effort = effort
        self.progress = progress
    }

    package func run(_ parts: [Part]) throws(HarnessError) {
        if parts.contains(.answers) { try measureAnswers() }
        if parts.contains(.teardowns) { try measureTeardowns() }
        if parts.contains(.cycles) { try measureCycles() }
    }

    func add(_ figure: EngineFigure) {
        figures.append(figure)
        progress(figure.markdown)
    }

    /// The table, with the command that makes it.
    package var markdown: String {
        return """
            `sudo .build/release/burst-bench sessions` on \(sysconf(Int32(_SC_NPROCESSORS_ONLN))) processors, load \
            \(load) at its end. Absolute figures move with what else the machine does.

            \(EngineFigure.heading(ours: "burstd", peer: "without sessions"))
            \(figures.sorted { $0.id < $1.id }.map(\.markdown).joined(separator: "\n"))

            """
    }

    // MARK: Answers beside many sessions (F3)

    private func measureAnswers() throws(HarnessError) {
        let rig = try SessionRig(programs: programs, driver: "accounting", granules: effort.sessions + 1000)
        defer { rig.stop() }
        try rig.start()
        rig.fill("source/in", files: 4, bytes: 1000)
        let script = rig.script(source: rig.folder("source/in"), target: rig.folder("target/out"))
        rig.folder.write(script, to: "script")
        var life = EngineFigure("F3", "setup and teardown of one session", "ms")
        for round in 0..<effort.rounds { life.peer.add(try shortLife(rig, script, "\(900_001 + round)")) }
        let began = ContinuousClock().now
        try Self.inLanes(effort.sessions) { number throws(HarnessError) in
            let said = try rig.setUp("\(number + 1)", script)
            guard said.isDone else { throw HarnessError("setup: \(said.text)") }
        }
        let seconds = Self.milliseconds(since: began) / 1000
        progress("\(effort.sessions) sessions were set up in \(Int(seconds)) s")
        for round in 0..<effort.rounds { life.ours.add(try shortLife(rig, script, "\(910_001 + round)")) }
        add(life)
        let path = rig.folder("path")
        let calls: [(name: String, limit: Double, words: [String])] = [
            ("pools", 50, ["dw_wlm_cli", "--function", "pools"]),
            ("show_sessions", 150, ["dw_wlm_cli", "--function", "show_sessions"]),
            ("dwstat", 200, ["dwstat", "most"]),
            ("job_process", 100, ["dw_wlm_cli", "--function", "job_process", "--job", rig.folder("script")]),
            ("paths", 20, ["dw_wlm_cli", "--function", "paths", "--token", "7", "--pathfile", path]),
        ]
        // What the start of a program costs here by itself.
        var start = EngineFigure("F3", "true, the same", "ms")
        for _ in 0..<effort.rounds {
            var samples = Samples()
            for _ in 0..<effort.calls {
                let began = ContinuousClock().now
                _ = try PipedProgram.run(["/usr/bin/true"], environment: rig.environment, seconds: 60)
                samples.add(Self.milliseconds(since: began))
            }
            start.ours.add(samples.quantile(0.99) ?? 0)
        }
        for call in calls {
            var figure = EngineFigure(
                "F3", "\(call.name) beside \(effort.sessions) sessions, 99th percentile of \(effort.calls) calls", "ms",
                .atMost(call.limit))
            for _ in 0..<effort.rounds {
                var samples = Samples()
                for _ in 0..<effort.calls {
                    // Slurm names a file that is not there yet.
                    unlink(path)
                    samples.add(try time(call.words, rig))
                }
                figure.ours.add(samples.quantile(0.99) ?? 0)
            }
            add(figure)
        }
        add(start)
        var memory = EngineFigure("F3", "resident memory of burstd with \(effort.sessions) sessions", "MiB")
        memory.ours.add(Processes.memory(of: rig.pid).now)
        add(memory)
    }

    /// The whole program, from its start to its end, milliseconds.
    private func time(_ words: [String], _ rig: SessionRig) throws(HarnessError) -> Double {
        let began = ContinuousClock().now
        let result = try PipedProgram.run(
            [programs + words[0]] + words.dropFirst(), environment: rig.environment, seconds: 60)
        let spent = Self.milliseconds(since: began)
        guard result.end == .exited(0), result.errors.isEmpty else {
            throw HarnessError("\(words.joined(separator: " ")): \(result.text)\(result.errorText)")
        }
        return spent
    }

    private func shortLife(_ rig: SessionRig, _ script: String, _ token: String) throws(HarnessError) -> Double {
        let began = ContinuousClock().now
        for said in [
            try rig.setUp(token, script), try rig.ask(["teardown", "--token", token, "--hurry"], script: script),
        ] where !said.isDone {
            throw HarnessError("\(token): \(said.text)")
        }
        return Self.milliseconds(since: began)
    }

    // MARK: Teardowns that fail (F5)

    /// Slurm repeats a teardown that failed at once where two fail: who is not allowed to ask gets his answer late.
    private func measureTeardowns() throws(HarnessError) {
        let rig = try SessionRig(programs: programs, driver: "accounting", granules: 100)
        defer { rig.stop() }
        try rig.start()
        let script = rig.script(source: rig.folder("source"), target: rig.folder("target"))
        for token in ["1", "2"] {
            let said = try rig.setUp(token, script)
            guard said.isDone else { throw HarnessError("setup: \(said.text)") }
        }
        let starts = Atomic<Int>(0)
        let seconds = effort.teardownSeconds
        let (client, environment) = (programs + "dw_wlm_cli", rig.environment)
        try Self.inLanes(2) { number throws(HarnessError) in
            let until = ContinuousClock().now + .seconds(seconds)
            while ContinuousClock().now < until {
                starts.wrappingAdd(1, ordering: .relaxed)
                let words = ["/usr/bin/setpriv", "--reuid=\(StagingBench.owner + 1)", "--clear-groups", client]
                let result = try PipedProgram.run(
                    words + ["--function", "teardown", "--token", "\(number + 1)"], environment: environment,
                    seconds: 120)
                guard result.end == .exited(1) else { throw HarnessError("teardown: \(result.text)") }
            }
        }
        var figure = EngineFigure("F5", "starts of dw_wlm_cli, two teardowns failing", "1/s", .atMost(1))
        figure.ours.add(Double(starts.load(ordering: .relaxed)) / seconds)
        add(figure)
    }

    // MARK: Helpers

    static func milliseconds(since began: ContinuousClock.Instant) -> Double {
        let spent = (ContinuousClock().now - began).components
        return Double(spent.seconds) * 1000 + Double(spent.attoseconds) / 1e15
    }

    /// Does something so many times, several at once; the first error ends it.
    static func inLanes(_ count: Int, _ body: @Sendable (Int) throws(HarnessError) -> Void) throws(HarnessError) {
        let next = Atomic<Int>(0)
        let fault = Mutex<HarnessError?>(nil)
        concurrently(min(lanes, count)) { _ in
            while fault.withLock({ $0 == nil }) {
                let number = next.wrappingAdd(1, ordering: .relaxed).oldValue
                guard number < count else { return }
                do throws(HarnessError) {
                    try body(number)
                } catch {
                    fault.withLock { $0 = $0 ?? error }
                }
            }
        }
        if let found = fault.withLock({ $0 }) { throw found }
    }
}
