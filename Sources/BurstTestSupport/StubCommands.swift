package import BurstScreen
import Glibc

/// Slurm's commands as scripts in a folder of their own: they answer from files, do what files tell, and log each call.
package final class StubCommands: Sendable {
    package let folder: TemporaryFolder

    /// A call's begin or end, as the log has it.
    package struct Mark: Hashable, Sendable {
        package var isEnd: Bool
        /// Wall clock.
        package var seconds: Double
        package var pid: Int32
        /// The command and its arguments, separated by blanks.
        package var line: String
    }

    /// - Parameter cluster: what the commands show at first; nil: a controller that nobody answers for.
    package init(_ cluster: SyntheticCluster? = SyntheticCluster(buffers: 40)) throws(HarnessError) {
        folder = try TemporaryFolder("burst-stub")
        for name in ["bin", "answers", "home"] { folder.makeFolder(name) }
        for name in ["scontrol", "squeue", "scancel"] { folder.write(Self.script, to: "bin/\(name)", mode: 0o755) }
        folder.write("", to: "calls")
        answer("reservation", "No reservations in the system\n")
        if let cluster { show(cluster) }
    }

    /// Each call is noted before and after. `sleep`, `garbage` and the rest lie beside the answers:
    /// `NAME.exit` is the status, `NAME.err` what goes to standard error, `NAME.sleep` the seconds before the answer.
    private static let script = #"""
        #!/bin/bash
        top=$(dirname "$(dirname "$0")")
        me=$(basename "$0")
        words="$me $*"
        words=${words//[$'\n\x1e\x1f']/ }
        echo "B $EPOCHREALTIME $$ $words" >>"$top/calls"
        trap 'echo "E $EPOCHREALTIME $$ $words" >>"$top/calls"; exit 143' TERM
        case "$words" in
            *"show burst"*) name=burst ;;
            *"show config"*) name=config ;;
            *"show reservation"*) name=reservation ;;
            *"show job "*) name=job.${!#} ;;
            *bbstat* | *dwstat*) name=status ;;
            squeue*) name=squeue ;;
            scancel*) name=scancel ;;
            *) name=other ;;
        esac
        answers=$top/answers
        if [ -e "$answers/$name.sleep" ]; then sleep "$(cat "$answers/$name.sleep")"; fi
        if [ -e "$answers/$name" ]; then cat "$answers/$name"; fi
        if [ -e "$answers/$name.err" ]; then cat "$answers/$name.err" >&2; fi
        status=0
        if [ -e "$answers/$name.exit" ]; then status=$(cat "$answers/$name.exit"); fi
        echo "E $EPOCHREALTIME $$ $words" >>"$top/calls"
        exit "$status"

        """#

    // MARK: Answers

    package func answer(_ name: String, _ text: some Sequence<UInt8>) { folder.write(text, to: "answers/\(name)") }
    package func answer(_ name: String, _ text: String) { answer(name, text.utf8) }

    package func show(_ cluster: SyntheticCluster, tick: Int = 0) {
        answer("burst", cluster.burstText(tick: tick))
        answer("squeue", cluster.jobsText(tick: tick))
        answer("config", cluster.configText)
    }

    /// The call fails as Slurm's commands do when the controller is not there.
    package func fail(
        _ name: String, _ text: String = "Unable to contact slurm controller (connect failure)\n", status: Int = 1
    ) {
        folder.write(text, to: "answers/\(name).err")
        folder.write("\(status)\n", to: "answers/\(name).exit")
    }

    package func delay(_ name: String, seconds: Double) { folder.write("\(seconds)\n", to: "answers/\(name).sleep") }

    /// Takes failure and delay away.
    package func heal(_ name: String) {
        for end in ["err", "exit", "sleep"] { folder.remove("answers/\(name).\(end)") }
    }

    /// What `scontrol show job` says of a job, in short.
    package func showJob(_ id: Int, user: String = "alice", state: String, reason: String = "None", stage: String) {
        answer(
            "job.\(id)",
            """
            JobId=\(id) JobName=run_1
               UserId=\(user)(1001) GroupId=\(user)(1001) MCS_label=N/A
               Priority=4294901759 Nice=0 Account=(null) QOS=(null)
               JobState=\(state) Reason=\(reason) Dependency=(null)
               SubmitTime=2026-11-22T22:13:34 EligibleTime=2026-11-22T22:13:35
               StartTime=2026-11-22T22:13:36 EndTime=Unknown Deadline=N/A
               Partition=debug AllocNode:Sid=node1:6876
               BurstBuffer=#BB_LUA pool=nvme capacity=4GB
               BurstBufferState=\(stage)


            """)
    }

    // MARK: The log

    package var marks: [Mark] {
        folder.text(of: "calls").split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ", maxSplits: 3).map(String.init)
            guard words.count == 4, let seconds = Double(words[1]), let pid = Int32(words[2]) else { return nil }
            return Mark(isEnd: words[0] == "E", seconds: seconds, pid: pid, line: words[3])
        }
    }

    /// The calls that were begun.
    package var calls: [Mark] { marks.filter { !$0.isEnd } }

    package func count(_ part: String) -> Int { calls.count { $0.line.contains(part) } }

    /// Calls that have begun and still run.
    package var running: [Int32] {
        let ended = Set(marks.filter(\.isEnd).map(\.pid))
        return calls.map(\.pid).filter { !ended.contains($0) && Processes.isAlive($0) }
    }

    /// The most calls that ran at the same time.
    package var mostAtOnce: Int {
        var open: Set<Int32> = []
        var most = 0
        for mark in marks {
            if mark.isEnd { open.remove(mark.pid) } else { open.insert(mark.pid) }
            most = max(most, open.count)
        }
        return most
    }

    // MARK: burstmon on it

    package static let burstmon = Programs.path(of: "burstmon")

    /// What burstmon needs to find these commands and nothing of the machine's own.
    package func environment(term: String? = "xterm-256color", locale: String = "C.UTF-8") -> [String: String] {
        var variables = [
            "PATH": folder("bin") + ":/usr/bin:/bin", "HOME": folder("home"), "XDG_CONFIG_HOME": folder("home"),
            "LC_ALL": locale, "TZ": "UTC", "SWIFT_BACKTRACE": "enable=no",
        ]
        variables["TERM"] = term
        return variables
    }

    package func screen(
        _ arguments: String..., size: Size = Size(columns: 80, rows: 24), environment: [String: String] = [:]
    ) throws(HarnessError) -> PseudoTerminal {
        try PseudoTerminal(
            [Self.burstmon] + arguments, environment: self.environment().merging(environment) { $1 }, size: size)
    }

    package func run(
        _ arguments: String..., environment: [String: String] = [:], seconds: Double = Wait.hangSeconds
    ) throws(HarnessError) -> PipedProgram.Result {
        try PipedProgram.run(
            [Self.burstmon] + arguments, environment: self.environment().merging(environment) { $1 }, seconds: seconds)
    }

    package func start(_ arguments: String...) throws(HarnessError) -> PipedProgram {
        try PipedProgram([Self.burstmon] + arguments, environment: environment())
    }
}
