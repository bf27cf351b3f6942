import ArgumentParser
import BurstBench
import BurstTestSupport
import Glibc

/// Benchmarks that run a peer and us in turn, in one go.
struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "burst-bench", abstract: "Measures Burst and its peers in turn, in the same harness.",
        subcommands: [Monitor.self, EngineCommand.self, StagingCommand.self, SessionsCommand.self])
}

/// `burst-bench monitor`
struct Monitor: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measures burstmon, htop and watch, and prints a table with the targets and the ratios.",
        discussion: "Build first (swift build -c release); it takes five minutes. Exit status: 0 all met, 1 not.")

    @Flag(help: "Print JSON instead of a table.")
    var json = false
    @Flag(help: "Fewer rounds and a shorter window, for a look.")
    var quick = false
    @Option(help: ArgumentHelp("The burstmon to measure; usually the one beside this program.", valueName: "FILE"))
    var burstmon: String?

    func run() throws {
        let bench = try MonitorBench(
            burstmon: burstmon ?? Programs.path(of: "burstmon"), effort: quick ? .quick : MonitorBench.Effort(),
            progress: tell)
        try bench.run()
        print(json ? bench.json : bench.markdown, terminator: "")
        if !bench.isMet { throw ExitCode(1) }
    }
}

/// `burst-bench engine`
struct EngineCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "engine",
        abstract:
            "Measures burstd beside Debian's slurmctld 22.05, and prints a table with the targets and the ratios.",
        discussion: """
            Both get the same burst_buffer.lua, of which every function succeeds at once, as many CPUs, and jobs that exit \
            at once; slurmctld is configured to be as fast as it gets. It needs root, and slurmctld, slurmd, slurm-client \
            and munge: each has its folder below /tmp, and listens on the loopback address only.

              cycles   A   whole life cycles a second, ratio
              show     B   show burst with many buffers, ratio
              load     B   show burst while 600 hooks end at once
              pending  CD  submissions, memory and idling with 100,000 jobs that wait
              pass     C   the scheduler's pass, in process
              hooks    E   calls through burst-scriptd, 1 and 64 under way
              store    E   durable commits, beside the bare fsync rate of the disk

            Build first (swift build -c release); all of it takes about ten minutes. Figures move with what else the \
            machine does; only ratios of one run compare. Exit status: 0 all met, 1 not.
            """)

    @Flag(help: "Print JSON instead of a table.")
    var json = false
    @Flag(help: "Fewer rounds and jobs, for a look.")
    var quick = false
    @Flag(help: "Leave slurmctld out; then there are no ratios, and root is not needed.")
    var withoutSlurm = false
    @Option(help: ArgumentHelp("Folder of burstd and its programs; usually that of this program.", valueName: "DIR"))
    var programs: String?
    @Argument(help: ArgumentHelp("What is measured; all of it where nothing is named.", valueName: "PART"))
    var parts: [EngineBench.Part] = []

    func run() throws {
        let bench = try EngineBench(
            programs: programs ?? Programs.path(of: ""), effort: quick ? .quick : EngineBench.Effort(),
            withSlurm: !withoutSlurm, progress: tell)
        try bench.run(parts.isEmpty ? EngineBench.Part.allCases : parts)
        print(json ? bench.json : bench.markdown, terminator: "")
        if !bench.isMet { throw ExitCode(1) }
    }
}

extension EngineBench.Part: ExpressibleByArgument {}

/// `burst-bench staging`
struct StagingCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "staging",
        abstract: "Measures burst-stage beside cp, rsync, fpsync and dcp, and prints a table with targets and ratios.",
        discussion: """
            Each copies the same trees in turn, as an ordinary user, from a cold cache to a synced file system; burst-stage \
            with journal and report, as burstd runs it. It needs root (it drops the caches), rsync and setpriv; fpsync \
            and dcp are used where they are installed.

              large    S1  one large file, beside cp --reflink=never
              clone    S2  the same on XFS in a file, beside cp --reflink=always
              small    S3  many small files, beside rsync -aHAXS
              many     S4  a million small files: memory and speed
              mixed    S5  small and large files, beside cp -a and fpsync
              verify   S6  what inline and readback cost

            Build first (swift build -c release); all of it takes about half an hour and 25 GB. Figures move with what \
            else the machine does; only ratios of one run compare. Exit status: 0 all met, 1 not.
            """)

    @Flag(help: "Print JSON instead of a table.")
    var json = false
    @Flag(help: "Fewer rounds and smaller trees, for a look.")
    var quick = false
    @Option(help: ArgumentHelp("A folder on the disk to measure.", valueName: "DIR"))
    var folder = "/var/tmp"
    @Option(help: ArgumentHelp("The burst-stage to measure; usually the one beside this program.", valueName: "FILE"))
    var burstStage: String?
    @Option(help: ArgumentHelp("Rounds of each part; the median counts.", valueName: "N"))
    var rounds: Int?
    @Option(help: ArgumentHelp("Files of part many.", valueName: "N"))
    var files: Int?
    @Argument(help: ArgumentHelp("What is measured; all of it where nothing is named.", valueName: "PART"))
    var parts: [StagingBench.Part] = []

    func validate() throws {
        guard rounds ?? 1 > 0, files ?? 1000 >= 1000 else {
            throw ValidationError("--rounds is at least 1, --files at least 1000")
        }
    }

    func run() throws {
        var effort = quick ? StagingBench.Effort.quick : StagingBench.Effort()
        if let rounds { effort.rounds = rounds }
        if let files { effort.manyFiles = files }
        let bench = try StagingBench(
            stage: burstStage ?? Programs.path(of: "burst-stage"), folder: folder, effort: effort, progress: tell)
        try bench.run(parts.isEmpty ? StagingBench.Part.allCases : parts)
        print(json ? bench.json : bench.markdown, terminator: "")
        if !bench.isMet { throw ExitCode(1) }
    }
}

extension StagingBench.Part: ExpressibleByArgument {}

/// `burst-bench sessions`
struct SessionsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sessions",
        abstract: "Asks a burstd that holds many sessions, and lets buffers live and die by the thousand.",
        discussion: """
            A burstd that is the stager alone, with a pool below /tmp, asked by dw_wlm_cli and dwstat. It needs root, for \
            the buffers are other users'.

              answers    F3  how long the programs take beside so many sessions
              teardowns  F5  how often dw_wlm_cli is started while two teardowns fail
              cycles     L1  lives with faults (sources that are not there, targets that are closed, workers, connections \
                             and burstd itself killed, teardowns in haste): what stays behind

            Build first (swift build -c release); all of it takes about ten minutes. Exit status: 0 all met, 1 not.
            """)

    @Flag(help: "Print JSON instead of a table.")
    var json = false
    @Flag(help: "Fewer sessions and lives, for a look.")
    var quick = false
    @Option(help: ArgumentHelp("Sessions of part answers.", valueName: "N"))
    var sessions: Int?
    @Option(help: ArgumentHelp("Lives of part cycles.", valueName: "N"))
    var cycles: Int?
    @Option(help: ArgumentHelp("Lives of part cycles with a fault, in percent.", valueName: "N"))
    var faults: Int?
    @Option(help: ArgumentHelp("Pool of part cycles: accounting, loop or tmpfs.", valueName: "DRIVER"))
    var driver = "accounting"
    @Option(help: ArgumentHelp("Folder of burstd and its programs; usually that of this program.", valueName: "DIR"))
    var programs: String?
    @Argument(help: ArgumentHelp("What is measured; all of it where nothing is named.", valueName: "PART"))
    var parts: [SessionBench.Part] = []

    func validate() throws {
        guard sessions ?? 10 >= 10, cycles ?? 10 >= 10 else {
            throw ValidationError("--sessions and --cycles are at least 10")
        }
        guard ["accounting", "loop", "tmpfs"].contains(driver) else {
            throw ValidationError("--driver is accounting, loop or tmpfs")
        }
    }

    func run() throws {
        var effort = quick ? SessionBench.Effort.quick : SessionBench.Effort()
        if let sessions { effort.sessions = sessions }
        if let cycles { effort.cycles = cycles }
        if let faults { effort.faults = faults }
        effort.driver = driver
        let bench = try SessionBench(
            programs: programs ?? Programs.path(of: ""), effort: effort, progress: tell)
        try bench.run(parts.isEmpty ? SessionBench.Part.allCases : parts)
        print(json ? bench.json : bench.markdown, terminator: "")
        if !bench.isMet { throw ExitCode(1) }
    }
}

extension SessionBench.Part: ExpressibleByArgument {}

/// To standard error, at once.
private func tell(_ line: String) {
    let bytes = Array((line + "\n").utf8)
    _ = write(2, bytes, bytes.count)
}

Bench.main()
