import BurstModel
import BurstSources
import BurstTestSupport
import Glibc
import Testing

/// The real runner, with programs of a test's own.
@Suite struct RunnerTests {
    private let folder = Temporary()

    private func runner(outputMax: Int = SubprocessRunner.outputBytesMax, more: [String: String] = [:])
        -> SubprocessRunner
    {
        var environment = ["PATH": "\(folder.path):/usr/bin:/bin", "HOME": "/"]
        environment.merge(more) { $1 }
        return SubprocessRunner(environment: environment, outputMax: outputMax)
    }

    private func stub(_ name: String, _ body: String) {
        folder.write(name, "#!/bin/sh\n\(body)\n".utf8, mode: 0o755)
    }

    private func isAlive(_ pidFile: String) -> Bool {
        let text = String(decoding: Fixture.read(folder.file(pidFile)), as: UTF8.self)
        guard let id = pid_t(text.filter(\.isNumber)), id > 1 else { return false }
        return kill(id, 0) == 0
    }

    @Test func givesOutputErrorsAndStatus() async {
        stub("scontrol", "echo \"$@\"; echo wrong >&2; exit 3")
        let run = await runner().run(["scontrol", "-v", "show", "burst"], timeoutSeconds: 60)
        #expect(run.result.end == .exit(3))
        #expect(run.result.output == Array("-v show burst\n".utf8))
        #expect(run.result.errors == Array("wrong\n".utf8))
        #expect(run.durationMilliseconds >= 0)
    }

    @Test func givesEveryByte() async {
        // Bytes that are no text, no newline at the end, and more than a pipe holds.
        stub("squeue", "head -c 3000000 /dev/zero; printf '\\377\\036x'")
        let run = await runner().run(["squeue"], timeoutSeconds: 60)
        #expect(run.result.output.count == 3_000_003)
        #expect(run.result.output.suffix(3) == [0xff, 0x1e, 0x78])
    }

    @Test func cleansTheEnvironment() async {
        stub("squeue", "env; cat; ps -o sid= -p $$ | tr -d ' '")
        let run = await runner(more: [
            "SLURM_TIME_FORMAT": "%s", "SQUEUE_SORT": "i", "SCANCEL_CTLD": "1", "LC_TIME": "de_DE", "LANG": "de_DE",
            "SLURM_CONF": "/etc/other.conf",
        ]).run(["squeue"], timeoutSeconds: 60)
        let lines = String(decoding: run.result.output, as: UTF8.self).split(separator: "\n")
        #expect(lines.contains("LC_ALL=C.UTF-8") && lines.contains("SLURM_BITSTR_LEN=0"))
        #expect(lines.contains("SLURM_CONF=/etc/other.conf"))
        #expect(!lines.contains { $0.hasPrefix("SLURM_TIME") || $0.hasPrefix("SQUEUE") || $0.hasPrefix("SCANCEL") })
        #expect(!lines.contains { $0.hasPrefix("LC_TIME") })
    }

    @Test func slurmsOwnWordsForAFailure() async {
        let text = "slurm_load_burst_buffer_info error: Unable to contact slurm controller (connect failure)"
        stub("scontrol", "echo '\(text)' >&2; exit 1")
        let arguments = Call.burst.arguments()
        let run = await runner().run(arguments, timeoutSeconds: 60)
        let sample = Sample.read(
            .burst, arguments: arguments, result: run.result, startedAt: run.startedAt, durationMilliseconds: 0,
            zone: .fixed())
        #expect(sample.answer == .failure(text))
    }

    @Test func endsWhatHangsWithAllThatItStarted() async {
        stub(
            "scontrol",
            "trap '' TERM; echo $$ > \(folder.file("first"))\nsh -c 'trap \"\" TERM; echo $$ > \(folder.file("second")); "
                + "while :; do sleep 0.05; done' &\necho begun; while :; do sleep 0.05; done")
        let run = await runner().run(["scontrol"], timeoutSeconds: 5)
        #expect(run.result.end == .timedOut)
        #expect(run.result.output == Array("begun\n".utf8))
        #expect(run.durationMilliseconds >= 5000 && run.durationMilliseconds < 60_000)
        #expect(await eventually { !isAlive("first") && !isAlive("second") })
    }

    @Test func endsWhatIsNoLongerWanted() async {
        stub("scontrol", "trap '' TERM; echo $$ > \(folder.file("pid")); while :; do sleep 0.05; done")
        let runner = runner()
        let task = Task { await runner.run(["scontrol"], timeoutSeconds: 60) }
        #expect(await eventually { isAlive("pid") })
        let begun = ContinuousClock().now
        task.cancel()
        let run = await task.value
        #expect(ContinuousClock().now - begun < .seconds(45))
        #expect(run.result.end == .failed("scontrol was stopped"))
        #expect(await eventually { !isAlive("pid") })
    }

    @Test func aChildLeftBehindDoesNotHoldTheAnswer() async {
        stub(
            "scontrol",
            "sh -c 'trap \"\" TERM; echo $$ > \(folder.file("pid")); while :; do sleep 0.05; done' &\necho done")
        let run = await runner().run(["scontrol"], timeoutSeconds: 60)
        #expect(run.result.end == .exit(0))
        #expect(run.result.output == Array("done\n".utf8))
        #expect(run.durationMilliseconds < 45_000)
        #expect(await eventually { !isAlive("pid") })
    }

    @Test func endsWhatPrintsTooMuch() async {
        stub("scontrol", "exec head -c 1073741824 /dev/zero")
        let run = await runner(outputMax: 1 << 20).run(["scontrol"], timeoutSeconds: 60)
        #expect(run.result.end == .failed("scontrol printed more than 1 MiB and was ended"))
        #expect(run.result.output.isEmpty)
    }

    @Test func saysWhatIsMissing() async {
        let run = await runner().run(["no-such-command"], timeoutSeconds: 60)
        #expect(run.result.end == .failed("no-such-command: not found"))

        stub("scontrol", "exit 0")
        folder.write("squeue", "not executable".utf8)
        let tools = SlurmTools.find(environment: ["PATH": folder.path])
        #expect(tools.scontrol == folder.file("scontrol"))
        #expect(
            tools.complaint
                == "squeue, scancel are not in PATH (\(folder.path)); "
                + "add the folder of Slurm's commands to PATH, such as /usr/bin or /opt/slurm/bin")
        #expect(SlurmTools.find(environment: [:]).complaint?.contains("PATH, which is empty") == true)
    }

    @Test func aSignalIsNoStatus() async {
        stub("scontrol", "kill -SEGV $$")
        let run = await runner().run(["scontrol"], timeoutSeconds: 60)
        #expect(run.result.end == .signal(11))
    }
}

enum Fixture {
    /// A file's bytes; none where it is not there.
    static func read(_ path: String) -> [UInt8] {
        guard let file = fopen(path, "rb") else { return [] }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while case let count = fread(&buffer, 1, buffer.count, file), count > 0 { bytes += buffer[0..<count] }
        return bytes
    }
}

@Suite struct SystemZoneTests {
    @Test func turnsMomentsIntoLocalTimeAndBack() {
        let zone = LocalTime.Zone.system
        for seconds in [0, 1_790_000_000, 1_800_000_000, 1_774_746_000] as [Int64] {
            let moment = Timestamp(seconds: seconds)
            #expect(zone.moment(zone.local(moment)) == moment)
        }
    }
}
