import BurstModel
import BurstSources
import BurstTestSupport
import CSys
import Glibc

extension MonitorBench {
    /// Seconds between two samples of the recording, and every how many of them the jobs were asked for, too.
    private static let sampleSeconds = 10
    private static let jobsEvery = 3

    /// A24: a replay goes to each of 1,000 samples of 1,000 buffers, one by one, forth and back.
    func measureReplay() throws(HarnessError) {
        let path = stub.folder + "/replay.jsonl"
        try record(samples: effort.replayed, to: path)
        var (changes, end): ([Int32], [Int32]) = ([-1, -1], [-1, -1])
        guard bb_pipe(&changes) == 0, bb_pipe(&end) == 0 else { throw HarnessError("pipe: errno \(errno)") }
        let (reader, writer, stopped) = (changes[0], changes[1], end[1])
        let source: ReplaySource
        do {
            source = try ReplaySource(
                path: path,
                onChange: {
                    var byte: UInt8 = 0
                    _ = write(writer, &byte, 1)
                })
        } catch { throw HarnessError("\(error)") }
        source.start()
        try wait(for: 0, of: source, reader)
        for (way, step) in [("forth", 1), ("back", -1)] {
            var figure = Figure(
                "A24", "a step \(way) in a replay, \(effort.replayed) samples of N=1,000", "ms", target: 20, .p99)
            for count in 1..<effort.replayed {
                let start = PseudoTerminal.now
                source.send(.replay(.step(step)))
                try wait(for: step > 0 ? count : effort.replayed - 1 - count, of: source, reader)
                figure.ours.add(Session.milliseconds(start, PseudoTerminal.now))
            }
            figure.note = "in process"
            add(figure)
        }
        Task {
            await source.stop()
            close(stopped)
        }
        var descriptor = pollfd(fd: end[0], events: Int16(POLLIN), revents: 0)
        guard poll(&descriptor, 1, Int32(Wait.hangSeconds * 1000)) == 1 else {
            throw HarnessError("the replay does not stop")
        }
        for descriptor in [reader, writer, end[0]] { close(descriptor) }
    }

    /// Reads what changes bring until the replay stands at a sample.
    private func wait(for index: Int, of source: ReplaySource, _ reader: Int32) throws(HarnessError) {
        var bytes = [UInt8](repeating: 0, count: 256)
        while source.latest().replay?.index != index {
            var descriptor = pollfd(fd: reader, events: Int16(POLLIN), revents: 0)
            guard poll(&descriptor, 1, Int32(Wait.hangSeconds * 1000)) == 1 else {
                throw HarnessError("the replay does not come to sample \(index + 1)")
            }
            _ = read(reader, &bytes, bytes.count)
        }
    }

    private func record(samples: Int, to path: String) throws(HarnessError) {
        let begin = LocalTime.Zone.fixed().moment(Self.small.now)
        var limits = Recorder.Limits()
        limits.bytesMax = .max
        do {
            let recorder = try Recorder(
                path: path, tool: "burst-bench", host: "bench", utcOffsetSeconds: 0, limits: limits, now: begin)
            for sample in 0..<samples {
                let at = begin.adding(seconds: sample * Self.sampleSeconds)
                var answers = [(Call.burst, Self.small.burstText(tick: sample))]
                if sample % Self.jobsEvery == 0 { answers.append((.jobs, Self.small.jobsText(tick: sample))) }
                for (call, text) in answers {
                    let run = CommandRun(
                        CommandResult(end: .exit(0), output: text), startedAt: at, durationMilliseconds: 5)
                    let fault = recorder.record(
                        run, arguments: call.arguments(),
                        monotonicMilliseconds: Int64(sample * Self.sampleSeconds) * 1000)
                    if let fault { throw HarnessError(fault.text) }
                }
            }
        } catch { throw HarnessError("\(error)") }
    }
}
