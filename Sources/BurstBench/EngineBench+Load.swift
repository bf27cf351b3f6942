import BurstClient
import BurstTestSupport
import BurstWire
import Glibc

/// How long an answer takes while much happens at once.
extension EngineBench {
    /// Jobs whose hooks wait; burst-scriptd makes no more calls at once than `callsMax`.
    private static let hookJobs = 600
    private static let callsMax = 512
    /// Milliseconds that a `show burst` may take.
    private static let answerMillisecondsMax = 50.0
    /// Milliseconds between two questions.
    private static let pause: Int32 = 2

    /// 600 hooks of which 512 run, then end in one moment, with all that follows until the last buffer is gone.
    func measureLoad() throws(HarnessError) {
        let burstd = try BurstdRig(programs: programs, cpus: Self.hookJobs, buffers: Self.hookJobs, gate: "gate")
        defer { burstd.end() }
        let limit = EngineFigure.Rule.eachAtMost(Self.answerMillisecondsMax)
        var beside = EngineFigure(
            "B2", "show burst beside \(Self.callsMax) hooks that run, connecting each time: longest of 100", "ms",
            limit)
        var resident = EngineFigure(
            "B3", "the same while \(Self.hookJobs) end at once, until all buffers are gone: longest", "ms", limit)
        var program = EngineFigure("B4", "the same with the program burst, from exec to its end: longest", "ms", limit)
        for _ in 0..<max(5, effort.rounds) {
            try holdHooks(burstd)
            var samples = Samples()
            for _ in 0..<100 { _ = try ask(burstd, &samples) }
            if let longest = samples.max { beside.ours.add(longest) }
            try letGo(burstd, "by socket", &resident) { (samples) throws(HarnessError) in
                try ask(burstd, &samples)
            }
            try holdHooks(burstd)
            try letGo(burstd, "by burst", &program) { (samples) throws(HarnessError) in
                let result = try burstd.runShow()
                guard result.end == .exited(0) else { throw HarnessError("burst show burst: \(result.errorText)") }
                samples.add(result.seconds * 1000)
                return result.text
            }
        }
        for figure in [beside, resident, program] { add(figure) }
    }

    /// Submits the jobs and waits until as many hooks run as may.
    private func holdHooks(_ burstd: BurstdRig) throws(HarnessError) {
        guard let scriptd = burstd.processes.dropFirst().first else { throw HarnessError("burst-scriptd does not run") }
        try burstd.submit(Self.hookJobs)
        guard
            try burstd.wait(
                seconds: 60, { () throws(HarnessError) in Processes.children(of: scriptd).count == Self.callsMax })
        else { throw HarnessError("\(Self.callsMax) hooks do not run") }
    }

    /// Opens the gate, and asks until no buffer is left. The longest answer counts.
    private func letGo(
        _ burstd: BurstdRig, _ how: String, _ figure: inout EngineFigure,
        ask: (inout Samples) throws(HarnessError) -> String
    ) throws(HarnessError) {
        var samples = Samples()
        let gate = open(burstd.folder("gate"), O_RDWR | O_NONBLOCK | O_CLOEXEC)
        guard gate >= 0 else { throw HarnessError("the gate does not open: errno \(errno)") }
        defer { close(gate) }
        guard
            try Counting.wait(
                seconds: 120, every: Double(Self.pause) / 1000,
                { () throws(HarnessError) in Counting.lines(of: try ask(&samples), state: "") == 0 })
        else { throw HarnessError("\(Self.hookJobs) jobs do not end") }
        guard let median = samples.median, let late = samples.quantile(0.99), let longest = samples.max else { return }
        figure.ours.add(longest)
        progress(
            "\(how): \(samples.values.count) answers, ms: median \(Figure.plain(median)), 99th percentile "
                + "\(Figure.plain(late)), longest \(Figure.plain(longest))")
    }

    /// Milliseconds from connecting to the whole answer.
    private func ask(_ burstd: BurstdRig, _ samples: inout Samples) throws(HarnessError) -> String {
        let start = PseudoTerminal.now
        let text = try burstd.text(.burst(oneLine: false, verbose: false))
        samples.add(Counting.seconds(since: start) * 1000)
        return text
    }
}
