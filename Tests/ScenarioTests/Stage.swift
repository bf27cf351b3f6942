import BurstTestSupport
import Glibc

/// Where a scenario is played: a controller that starts and stops, commands of users, hooks that are steered by files.
protocol ScenarioStage: Room {
    var side: Scenario.Side { get }
    /// - Parameters:
    ///   - conf: lines that take the place of ours in slurm.conf.
    ///   - options: the controller's: `-c`.
    func start(conf: [String], options: String) throws
    /// Starts a controller that should refuse: whether it runs all the same.
    func startRuns(conf: [String]) throws -> Bool
    func stop() throws
    func kill() throws
    func freeze() throws
    func thaw() throws
}

extension ScenarioStage {
    /// Files of every stage: configuration, script, hooks' answers.
    func furnish(conf: [String]) throws {
        if !isFurnished {
            isFurnished = true
            let script = Fixtures.bytes(of: Fixtures.top + "/Tests/Reference/scenario.lua")
            try write(script, to: Room.home + "/etc/burst_buffer.lua")
            try write(script, to: Room.home + "/data/good.lua")
            let program = Fixtures.bytes(of: Fixtures.top + "/Tests/Reference/scenario-dw")
            for name in ["dw_wlm_cli", "dwstat"] {
                try write(program, to: Room.home + "/bin/" + name, mode: "0755")
            }
            if read(Room.home + "/etc/burst_buffer.conf").isEmpty {
                try write([], to: Room.home + "/etc/burst_buffer.conf")
            }
        }
        var lines = Self.slurmConf
        for line in conf {
            let key = line.prefix { $0 != "=" } + "="
            lines.removeAll { $0.hasPrefix(key) }
            if line != key { lines.append(line) }
        }
        try write(Array((lines.joined(separator: "\n") + "\n").utf8), to: Room.home + "/etc/slurm.conf")
    }

    private static var slurmConf: [String] {
        [
            "ClusterName=ref", "SlurmctldHost=node1(127.0.0.1)", "SlurmUser=root", "SlurmdUser=root",
            "AuthType=auth/munge", "StateSaveLocation=/srv/ref/state", "SlurmdSpoolDir=/srv/ref/spool",
            "SlurmctldPidFile=/srv/ref/run/slurmctld.pid", "SlurmdPidFile=/srv/ref/run/slurmd.pid",
            "SlurmctldLogFile=/srv/ref/log/slurmctld.log", "SlurmdLogFile=/srv/ref/log/slurmd.log",
            "SlurmctldDebug=info", "DebugFlags=BurstBuffer", "ProctrackType=proctrack/linuxproc",
            "TaskPlugin=task/none", "JobAcctGatherType=jobacct_gather/none", "MpiDefault=none",
            "SchedulerType=sched/backfill",
            "SchedulerParameters=bf_interval=1,sched_interval=5,batch_sched_delay=1", "SelectType=select/cons_tres",
            "SelectTypeParameters=CR_Core", "SlurmdParameters=config_overrides", "ReturnToService=2", "KillWait=5",
            "MailProg=/bin/true", "NodeName=node1 NodeAddr=127.0.0.1 CPUs=64 State=UNKNOWN",
            "PartitionName=debug Nodes=node1 Default=YES MaxTime=INFINITE State=UP",
            "BurstBufferType=burst_buffer/lua",
        ]
    }

    /// State, buffer state and reason of a job as squeue says them.
    func words(of job: Int) throws -> [String] {
        let said = try run("root", "squeue -h -a -t all -j \(job) -O 'State:|,BurstBufferState:|,Reason:|'")
        return said.text.split(whereSeparator: { $0 == "|" || $0 == "\n" }).map(String.init)
    }
}

/// Debian's slurmctld, slurmd and commands.
final class SlurmStage: Room, ScenarioStage {
    let side = Scenario.Side.slurm
    private let controller = "/srv/ref/run/slurmctld.pid"

    /// Why it cannot be played here; nil where it can.
    static var missingPrograms: String? {
        let needed = ["slurmctld", "slurmd", "scontrol", "munged"]
        let absent = needed.filter { name in !["/usr/sbin", "/usr/bin"].contains { access("\($0)/\(name)", X_OK) == 0 }
        }
        return absent.isEmpty ? Room.missing : "not installed: \(absent.joined(separator: " "))"
    }

    override var environment: [String: String] {
        Room.environment.merging(["SLURM_CONF": "/srv/ref/etc/slurm.conf"]) { $1 }
    }

    /// munged runs outside of the rooms, one for all; what went wrong, or "".
    private static let munge: String = {
        do {
            let tool = Fixtures.top + "/Tests/Reference/cluster"
            let result = try PipedProgram.run([tool, "users"], environment: Room.environment, seconds: 60)
            return result.end == .exited(0) ? "" : result.errorText + result.text
        } catch { return "\(error)" }
    }()

    func start(conf: [String], options: String) throws {
        if !Self.munge.isEmpty { throw HarnessError("no munge: \(Self.munge)") }
        try furnish(conf: conf)
        try must("slurmctld \(options)")
        if try process("/srv/ref/run/slurmd.pid", named: "slurmd") == nil { try must("slurmd -N node1") }
        let isReady = try Wait.until(every: 0.1) {
            try run("root", "sinfo -h -o %T").text.contains(/^(idle|mixed|allocated|completing)/)
        }
        if !isReady { throw HarnessError("slurmctld is not ready: \(read("/srv/ref/log/slurmctld.log").suffix(1000))") }
    }

    /// It forks first and looks at its configuration afterwards; one that runs answers within a second.
    func startRuns(conf: [String]) throws -> Bool {
        try furnish(conf: conf)
        _ = try run("root", "slurmctld")
        return Wait.until(seconds: 2, every: 0.2) {
            (try? run("root", "timeout 1 scontrol ping").text.contains("is UP")) ?? false
        }
    }

    func stop() throws { try end("TERM", controller, named: "slurmctld") }
    func kill() throws { try end("KILL", controller, named: "slurmctld") }
    func freeze() throws { try signal("STOP", controller, named: "slurmctld") }
    func thaw() throws { try signal("CONT", controller, named: "slurmctld") }
}

/// Our burstd, and burst under the names of Slurm's commands.
final class BurstStage: Room, ScenarioStage {
    let side = Scenario.Side.burst
    private let controller = "/srv/ref/run/burstd.pid"
    private static let socket = "/srv/ref/run/burstd.sock"
    private static let command =
        "/srv/ref/built/burstd -D --config /srv/ref/etc --state /srv/ref/state --socket \(socket)"

    static var missingPrograms: String? {
        let absent = ["burstd", "burst"].filter { access(Programs.path(of: $0), X_OK) != 0 }
        return absent.isEmpty ? Room.missing : "not built: \(absent.joined(separator: " "))"
    }

    override var environment: [String: String] {
        var variables = Room.environment
        variables["PATH"] = "/srv/ref/bin:/usr/bin:/bin:/usr/sbin:/sbin"
        variables["BURST_SOCKET"] = Self.socket
        variables["SWIFT_BACKTRACE"] = "enable=no"
        return variables
    }

    override init() throws {
        try super.init()
        // The folder it was built in may be closed to the users.
        let built = Programs.path(of: "").dropLast()
        try must("mkdir /srv/ref/built && mount --bind '\(built)' /srv/ref/built")
        for name in ["sbatch", "srun", "salloc", "scancel", "scontrol", "squeue"] {
            try must("ln -s /srv/ref/built/burst /srv/ref/bin/\(name)")
        }
    }

    func start(conf: [String], options: String) throws {
        try furnish(conf: conf)
        try must("\(Self.command) \(options) </dev/null >>/srv/ref/log/burstd.log 2>&1 & echo $! >\(controller)")
        let isReady = try Wait.until(every: 0.1) {
            try run("root", "scontrol show burst").end == .exited(0)
        }
        if !isReady { throw HarnessError("burstd is not ready: \(read("/srv/ref/log/burstd.log").suffix(1000))") }
    }

    func startRuns(conf: [String]) throws -> Bool {
        try furnish(conf: conf)
        let said = try run("root", "timeout 60 \(Self.command) </dev/null >>/srv/ref/log/burstd.log 2>&1")
        return said.end == .exited(124) || said.end == .exited(0)
    }

    func stop() throws { try end("TERM", controller, named: "burstd") }
    func kill() throws { try end("KILL", controller, named: "burstd") }
    func freeze() throws { try signal("STOP", controller, named: "burstd") }
    func thaw() throws { try signal("CONT", controller, named: "burstd") }
}
