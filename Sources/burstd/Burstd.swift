import ArgumentParser
import BurstDaemon
import Glibc

/// `burstd`: the burst buffer half of slurmctld with a small job runner.
@main
struct Burstd: AsyncParsableCommand {
    static let version = "0.1"

    static let configuration = CommandConfiguration(
        commandName: "burstd",
        abstract: "Run burst buffers on this machine: the life cycle that Slurm gives them, with jobs that use them.",
        version: "burstd \(version)")

    @Option(
        help: ArgumentHelp("Folder of slurm.conf, burst_buffer.conf and burst_buffer.lua.", valueName: "dir"))
    var config: String?

    @Option(help: ArgumentHelp("Folder of all that is kept.", valueName: "dir"))
    var state: String?

    @Option(help: ArgumentHelp("Where clients connect.", valueName: "path"))
    var socket: String?

    @Flag(name: [.customShort("D"), .long], help: "Stay in the foreground and log to standard error.")
    var foreground = false

    @Flag(help: "Say what is wrong with the configuration, and do nothing else.")
    var checkConfig = false

    @Flag(help: "With no burstd at work: look for what does not fit in its state, and do nothing else.")
    var fsck = false

    @Flag(help: "With --fsck: mend it.")
    var repair = false

    func run() async throws {
        let environment = DaemonPlaces.environment
        let config = try absolute(config ?? DaemonPlaces.config(environment: environment), "--config")
        guard let socket = socket ?? DaemonPlaces.socket(environment: environment) else {
            throw fail("XDG_RUNTIME_DIR is not set, so there is no place for the socket: name one with --socket PATH")
        }
        var options = Daemon.Options(
            config: config, state: try state.map { try absolute($0, "--state") },
            socket: try absolute(socket, "--socket"), program: "burstd \(Self.version)")
        options.scriptd = environment["BURST_SCRIPTD"]
        options.stepd = environment["BURST_STEPD"]
        options.stage = environment["BURST_STAGE"]
        if checkConfig {
            let (wrong, notes) = Daemon.checkConfig(options)
            for line in notes + wrong { Background.complain(line) }
            if !wrong.isEmpty { throw ExitCode(1) }
            return
        }
        if repair, !fsck { throw fail("--repair goes with --fsck") }
        if fsck {
            try check(options)
            return
        }
        let ready = Background.readiness(environment: environment)
        if !foreground, ready == nil {
            // Paths are handed on as they are meant here.
            let status = Background.start(arguments: arguments(options), socket: options.socket)
            if status != 0 { throw ExitCode(status) }
            return
        }
        // burst_buffer.lua and dw_wlm_cli ask the daemon that runs them.
        setenv("BURST_SOCKET", options.socket, 1)
        let log = DaemonLog()
        do {
            try await Daemon.run(options, log: log) { ready?(log) }
        } catch {
            log.write(error)
            throw ExitCode(1)
        }
    }

    /// Status 0: nothing is wrong, or no longer.
    private func check(_ options: Daemon.Options) throws {
        let (done, wrong): ([String], [String])
        do throws(StateFault) {
            (done, wrong) = try StateCheck.run(options, repair: repair)
        } catch {
            throw fail(error.description)
        }
        for line in done + wrong { print(line) }
        if !wrong.isEmpty { throw ExitCode(1) }
    }

    private func arguments(_ options: Daemon.Options) -> [String] {
        ["burstd", "--config", options.config, "--socket", options.socket]
            + (options.state.map { ["--state", $0] } ?? [])
    }

    private func absolute(_ path: String, _ option: String) throws -> String {
        guard !path.isEmpty else { throw fail("\(option): the path is empty") }
        if path.hasPrefix("/") { return path }
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        guard getcwd(&buffer, buffer.count) != nil else { throw fail("the working folder is gone: name full paths") }
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self) + "/" + path
    }

    private func fail(_ text: String) -> ExitCode {
        Background.complain(text)
        return ExitCode(1)
    }
}
