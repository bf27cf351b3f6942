import ArgumentParser
import BurstBench
import BurstTestSupport
import Glibc

/// Benchmarks that run a peer and us in turn, in one go.
struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "burst-bench", abstract: "Measures Burst and its peers in turn, in the same harness.",
        subcommands: [Monitor.self])
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
            progress: { line in
                let bytes = Array((line + "\n").utf8)
                _ = write(2, bytes, bytes.count)
            })
        try bench.run()
        print(json ? bench.json : bench.markdown, terminator: "")
        if !bench.isMet { throw ExitCode(1) }
    }
}

Bench.main()
