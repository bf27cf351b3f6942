import BurstTestSupport
import Glibc

/// Debian's slurmctld and slurmd on loopback, as fast as their configuration lets them be.
final class SlurmRig {
    let folder: TemporaryFolder
    private let cluster: String
    private let environment: [String: String]

    /// Every pause of the scheduler at its least, no log, no accounting, the cheapest tracking of processes.
    static let settings = [
        "SchedulerParameters=bf_interval=1,bf_resolution=1,bf_max_job_test=10000,sched_interval=1,"
            + "sched_min_interval=0,batch_sched_delay=0,default_queue_depth=10000,max_rpc_cnt=0",
        "DebugFlags=NO_CONF_HASH", "SlurmctldDebug=error", "SlurmdDebug=error", "ProctrackType=proctrack/pgid",
        "MaxJobCount=100000", "KillWait=1",
    ]

    init(cpus: Int, buffers: Int) throws(HarnessError) {
        guard geteuid() == 0 else { throw HarnessError("slurmctld is started as root: run this with sudo") }
        folder = try TemporaryFolder("slurm-bench", openToOthers: true)
        cluster = Fixtures.top + "/Tests/Reference/cluster"
        environment = [
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "SLURM_CONF": folder("c/slurm.conf"),
            "BB_CLUSTER_NAME": "bench",
        ]
        folder.makeFolder("c")
        try call(
            ["start", folder("c"), "--plugin", "lua", "--cpus", "\(cpus)"]
                + Self.settings.flatMap { ["--conf", $0] })
        try call(["halt", folder("c")])
        folder.write(ImmediateScript.lua(buffers: buffers), to: "c/burst_buffer.lua")
        folder.write(ImmediateScript.job, to: "job.sh", mode: 0o755)
        folder.write(ImmediateScript.blocker, to: "blocker.sh", mode: 0o755)
        try call(["restart", folder("c")])
        // Pools are asked for every 30 s.
        guard
            try Counting.wait(
                seconds: 60, every: 0.2,
                { () throws(HarnessError) in try run(["scontrol", "show", "burst"]).contains(ImmediateScript.pool) })
        else { throw HarnessError("slurmctld does not read the pools; see \(folder("c/log"))") }
    }

    func end() { try? call(["stop", folder("c")]) }

    private func call(_ arguments: [String]) throws(HarnessError) {
        let result = try PipedProgram.run([cluster] + arguments, environment: environment, seconds: 120)
        guard result.end == .exited(0) else {
            throw HarnessError("\(cluster) \(arguments[0]): \(result.errorText)")
        }
    }

    /// A command's output.
    @discardableResult
    func run(_ words: [String], seconds: Double = 300) throws(HarnessError) -> String {
        let result = try PipedProgram.run(
            ["/usr/bin/" + words[0]] + words.dropFirst(), environment: environment, seconds: seconds)
        guard result.end == .exited(0) else {
            throw HarnessError("\(words.joined(separator: " ").prefix(100)): \(result.errorText.prefix(300))")
        }
        return result.text
    }

    /// Submits with so many sbatch at a time.
    /// - Returns: the jobs' numbers.
    @discardableResult
    func submit(_ count: Int, isHeld: Bool = false) throws(HarnessError) -> [String] {
        let options = "--parsable -J bench -o /dev/null -D /tmp" + (isHeld ? " -H" : "")
        // Root may have no buffers.
        let output = try run([
            "env", "-", "PATH=/usr/bin:/bin", "SLURM_CONF=\(folder("c/slurm.conf"))", "/usr/sbin/runuser", "-u",
            ImmediateScript.user, "--", "sh", "-c",
            "seq \(count) | xargs -P 4 -n 1 sh -c 'exec sbatch \(options) \(folder("job.sh"))'",
        ])
        let jobs = output.split(separator: "\n").map(String.init)
        guard jobs.count == count else { throw HarnessError("sbatch took \(jobs.count) jobs of \(count)") }
        return jobs
    }

    func release(_ jobs: [String]) throws(HarnessError) {
        try run(["scontrol", "release", jobs.joined(separator: ",")])
    }

    func block(cpus: Int) throws(HarnessError) {
        try run(["sbatch", "-o", "/dev/null", "-D", "/tmp", "-n", "\(cpus)", "-t", "60", folder("blocker.sh")])
        guard try Counting.wait(seconds: 30, every: 0.1, { () throws(HarnessError) in try count(["RUNNING"]) == 1 })
        else { throw HarnessError("the job that keeps the CPUs does not start") }
    }

    func count(_ states: [String]) throws(HarnessError) -> Int {
        try run(["squeue", "-h", "-o", "%T", "-t", states.joined(separator: ",")]).split(separator: "\n").count
    }

    func buffers(_ state: String = "") throws(HarnessError) -> Int {
        Counting.lines(of: try run(["scontrol", "-o", "show", "burst"]), state: state)
    }

    /// Milliseconds of `scontrol show burst`.
    func showTime(expecting buffers: Int) throws(HarnessError) -> Double {
        let result = try PipedProgram.run(["/usr/bin/scontrol", "show", "burst"], environment: environment)
        let found = Counting.lines(of: result.text, state: "")
        guard found == buffers else { throw HarnessError("scontrol show burst lists \(found) buffers, not \(buffers)") }
        return result.seconds * 1000
    }
}
