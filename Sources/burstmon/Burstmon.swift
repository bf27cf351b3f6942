import ArgumentParser
import BurstModel
import BurstMonitor
import BurstScreen
import Glibc

/// The command line of the monitor.
struct Burstmon: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "burstmon",
        abstract: "Shows Slurm's burst buffers: pools, buffers, users, jobs, what is wrong and why.",
        discussion: """
            With no option: the full screen, on Slurm's commands where scontrol works, else on a burstd that can be
            reached. --demo runs a burstd of its own with jobs that stage real files; --demo recorded plays an hour of a
            real Slurm. Press ? on the screen for the keys.
            Exit status: 0 ok; 1 no answer; 2 wrong usage; 3 unfit terminal. --check: 0 ok, 1 warning, 2 critical, 3 unknown.
            """,
        version: "burstmon \(Launch.version)")

    @Option(help: "Where boards come from: slurm or burstd.")
    var source: String?
    @Option(help: ArgumentHelp("Where burstd listens (else BURST_SOCKET, else the usual place).", valueName: "PATH"))
    var socket: String?

    @Flag(help: "Print the overview as text, and end.")
    var once = false
    @Flag(help: "Print one JSON document (see --schema), and end.")
    var json = false
    @Flag(help: "Print a line of JSON for each sample.")
    var jsonl = false
    @Option(
        name: [.customShort("d"), .customLong("delay")],
        help: ArgumentHelp("Seconds between samples of --jsonl.", valueName: "S"))
    var delay: Int?
    @Option(name: [.customShort("n"), .customLong("count")], help: ArgumentHelp("Samples of --jsonl.", valueName: "N"))
    var count: Int?
    @Option(
        help: ArgumentHelp("Print a table as CSV: pools, buffers, users, jobs, events or stage.", valueName: "SCREEN"))
    var csv: String?
    @Flag(help: "One line and an exit status for a monitoring system; rules may follow: R1,R4.")
    var check = false
    @Option(help: ArgumentHelp("Write metrics for Prometheus to a file.", valueName: "FILE"))
    var prometheus: String?
    @Flag(help: "Print the JSON schema of --json.")
    var schema = false
    @Flag(help: "Say what changes, a line each: for screen readers and serial consoles.")
    var plain = false

    @Option(help: ArgumentHelp("Only rows that fit: 'pool=nvme size>1T age>2h'.", valueName: "EXPRESSION"))
    var filter: String?
    @Option(help: ArgumentHelp("Sort by a column; -size or size:desc for the other way.", valueName: "COLUMN"))
    var sort: String?
    @Option(help: ArgumentHelp("Columns, separated by commas.", valueName: "A,B"))
    var columns: String?
    @Option(help: "Only one pool.")
    var pool: String?
    @Option(help: "Only one user.")
    var user: String?

    @Option(help: ArgumentHelp("Record what the commands print.", valueName: "FILE"))
    var record: String?
    @Flag(help: "Replace names and paths in the recording.")
    var redact = false
    @Option(help: ArgumentHelp("Play a recording.", valueName: "FILE"))
    var replay: String?
    @Option(
        name: [.customShort("b"), .customLong("begin")],
        help: ArgumentHelp("Begin the replay at a time.", valueName: "TIME"))
    var begin: String?
    @Option(
        name: [.customShort("e"), .customLong("end")],
        help: ArgumentHelp("End the replay at a time.", valueName: "TIME"))
    var end: String?
    @Option(help: ArgumentHelp("Play N times as fast.", valueName: "N"))
    var speed: Double?
    @Option(help: ArgumentHelp("Show what another burstmon records; makes no calls.", valueName: "FILE"))
    var follow: String?
    @Flag(help: "Run a burstd of its own with jobs, and show it; --demo recorded: play an hour of a real Slurm.")
    var demo = false

    @Flag(help: "Leave out what acts on jobs.")
    var readOnly = false
    @Option(help: ArgumentHelp("A theme's name or file.", valueName: "NAME"))
    var theme: String?
    @Option(help: ArgumentHelp("auto, never, 16, 256 or truecolor.", valueName: "WHEN"))
    var color: String?
    @Flag(help: "Only ASCII.")
    var ascii = false
    @Flag(help: "Take mouse clicks and the wheel.")
    var mouse = false
    @Flag(help: "Let y copy to the terminal's clipboard (OSC 52).")
    var clipboard = false
    @Option(help: ArgumentHelp("Seconds between polls; the site's floor holds.", valueName: "S"))
    var interval: Int?
    @Option(help: ArgumentHelp("Whose jobs are asked for: all, own or off.", valueName: "WHOSE"))
    var jobs: String?
    @Option(help: ArgumentHelp("Settings file instead of the usual one.", valueName: "FILE"))
    var config: String?
    @Option(help: ArgumentHelp("The screen to begin with.", valueName: "NAME"))
    var screen: String?

    @Argument(help: ArgumentHelp("Rules for --check; recorded for --demo.", visibility: .hidden))
    var rules: [String] = []

    /// Reads the command line and runs it; returns the exit status. What is wrong is one line.
    static func start() -> Int32 {
        let command: Burstmon
        let options: MonitorOptions
        do {
            // An explicit list: --sort takes a value that begins with a dash.
            command = try Burstmon.parse(joined(Array(CommandLine.arguments.dropFirst())))
            options = try command.options()
        } catch {
            let text = error is Wrong ? "\(error)" : Burstmon.message(for: error)
            if Burstmon.exitCode(for: error).isSuccess {
                print(Burstmon.fullMessage(for: error))
                return 0
            }
            let line = text.split(separator: "\n").first ?? ""
            Launch.complain("\(line); burstmon --help lists the options")
            return 2
        }
        return Launch.run(options)
    }

    /// `--sort -size` as one word, so that the value is not taken for options.
    private static func joined(_ arguments: [String]) -> [String] {
        var words: [String] = []
        var index = 0
        while index < arguments.count {
            if arguments[index] == "--sort", index + 1 < arguments.count {
                words.append("--sort=" + arguments[index + 1])
                index += 1
            } else {
                words.append(arguments[index])
            }
            index += 1
        }
        return words
    }

    struct Wrong: Error, CustomStringConvertible {
        var description: String
    }

    func options() throws -> MonitorOptions {
        var options = MonitorOptions()
        var modes: [(String, MonitorOptions.Mode)] = []
        if once { modes.append(("--once", .once)) }
        if json { modes.append(("--json", .json)) }
        if schema { modes.append(("--schema", .schema)) }
        if plain { modes.append(("--plain", .plain)) }
        if jsonl { modes.append(("--jsonl", .jsonLines(count: count))) }
        if let csv {
            guard let screen = ScreenID(name: csv), screen.isTable else {
                throw Wrong(description: "--csv \(csv): no such table; pools, buffers, users, jobs, events or stage")
            }
            modes.append(("--csv", .csv(screen)))
        }
        if check { modes.append(("--check", .check(rules.joined(separator: ",")))) }
        if let prometheus { modes.append(("--prometheus", .prometheus(prometheus))) }
        if modes.count > 1 {
            throw Wrong(description: "\(modes[0].0) and \(modes[1].0) exclude each other")
        }
        let isRecorded = demo && rules == ["recorded"]
        if !check, !isRecorded, let word = rules.first { throw Wrong(description: "\"\(word)\" is no option") }
        if let count {
            guard jsonl else { throw Wrong(description: "-n counts the samples of --jsonl") }
            guard count > 0 else { throw Wrong(description: "-n \(count): at least 1") }
        }
        if let delay, !(1...3600).contains(delay) { throw Wrong(description: "-d \(delay): 1 to 3600 seconds") }
        // Without a terminal the overview is printed, as if --once were given.
        options.mode = modes.first?.1 ?? (isatty(1) == 1 ? .screen : .once)

        var origins: [(String, MonitorOptions.Origin)] = []
        let times = speed ?? 1
        guard times > 0, times <= 10_000 else { throw Wrong(description: "--speed \(times): 0.1 to 10000") }
        switch source {
        case nil: break
        case "slurm": origins.append(("--source", .slurm))
        case "burstd": origins.append(("--source", .burstd))
        case let other?: throw Wrong(description: "--source \(other): slurm or burstd")
        }
        if let replay { origins.append(("--replay", .replay(path: replay, begin: begin, end: end, speed: times))) }
        if let follow { origins.append(("--follow", .follow(path: follow))) }
        if demo { origins.append(("--demo", isRecorded ? .recordedDemo(speed: speed ?? 10) : .demo)) }
        if origins.count > 1 { throw Wrong(description: "\(origins[0].0) and \(origins[1].0) exclude each other") }
        if replay == nil, begin != nil || end != nil { throw Wrong(description: "-b and -e belong to --replay") }
        if replay == nil, !isRecorded, speed != nil {
            throw Wrong(description: "--speed belongs to --replay and to --demo recorded")
        }
        if let socket {
            if source == "slurm" || replay != nil || follow != nil || demo {
                throw Wrong(description: "--socket belongs to --source burstd")
            }
            guard !socket.isEmpty, socket.utf8.count < 108 else {
                throw Wrong(description: "--socket \(socket): a socket's path has 1 to 107 bytes")
            }
            if source == nil { origins = [("--socket", .burstd)] }
        }
        options.origin = origins.first?.1 ?? .automatic
        if redact, record == nil { throw Wrong(description: "--redact belongs to --record") }
        if record != nil, replay != nil || follow != nil || isRecorded {
            throw Wrong(description: "--record needs a live source")
        }

        if let color {
            guard let known = ColorOption(rawValue: color) else {
                throw Wrong(description: "--color \(color): auto, never, 16, 256 or truecolor")
            }
            options.color = known
        }
        if let jobs {
            guard let known = Settings.Jobs(rawValue: jobs) else {
                throw Wrong(description: "--jobs \(jobs): all, own or off")
            }
            options.jobs = known
        }
        if let interval, !(1...3600).contains(interval) {
            throw Wrong(description: "--interval \(interval): 1 to 3600 seconds")
        }
        if let screen {
            guard let known = ScreenID(name: screen) ?? Int(screen).flatMap({ ScreenID(rawValue: $0) }) else {
                let names = ScreenID.allCases.map(\.name).joined(separator: ", ")
                throw Wrong(description: "--screen \(screen): \(names)")
            }
            options.screen = known
        }
        options.intervalSeconds = interval ?? delay
        options.filter = filter
        options.sort = sort
        options.columns = columns
        options.pool = pool
        options.user = user
        options.socket = socket
        options.record = record
        options.redact = redact
        options.readOnly = readOnly
        options.theme = theme
        options.ascii = ascii
        options.mouse = mouse
        options.clipboard = clipboard
        options.config = config
        return options
    }
}
