import BurstEngine
import BurstHooks
import BurstModel
import CSys
import Glibc
import Logging
import ServiceLifecycle
import UnixSignals

/// A `burstd`, from its start to its end.
package enum Daemon {
    /// What the command line says.
    package struct Options: Hashable, Sendable {
        package var config: String
        /// Nil: StateSaveLocation, or the usual place.
        package var state: String?
        package var socket: String
        /// `burstd 0.1`
        package var program: String
        /// burst-scriptd and burst-stepd; nil: beside this program.
        package var scriptd: String?
        package var stepd: String?
        /// burst-stage; nil: beside this program.
        package var stage: String?

        package init(config: String, state: String?, socket: String, program: String) {
            self.config = config
            self.state = state
            self.socket = socket
            self.program = program
        }
    }

    /// What is wrong with the configuration: a line each, beginning with file and line; and what is odd about it.
    package static func checkConfig(_ options: Options) -> (wrong: [String], notes: [String]) {
        let folder = ConfigFolder(path: options.config, state: options.state)
        do throws(StateFault) {
            let settings = try folder.read()
            let notes = settings.notes.filter { $0.level == .error }.map(\.text)
            if settings.engine.plugin?.name == BurstPlugin.lua.rawValue,
                let fault = LuaCalls.fault(script: folder.script, cluster: settings.engine.clusterName)
            {
                return ([fault], notes)
            }
            return ([], notes)
        } catch {
            return ([error.description], [])
        }
    }

    /// Starts, serves and ends in order. Returns after the end.
    /// - Parameters:
    ///   - whenReady: called once, when the socket answers.
    /// - Throws: why it could not start, in one line; nothing runs then.
    package static func run(_ options: Options, log: DaemonLog, whenReady: @Sendable () -> Void)
        async throws(StateFault)
    {
        signal(SIGPIPE, SIG_IGN)
        bb_memory_share()
        // Hooks that call our own commands mean this daemon.
        setenv("BURST_SOCKET", options.socket, 1)
        let folder = ConfigFolder(path: options.config, state: options.state)
        let settings = try folder.read()
        log.set(level: settings.logLevel)
        try log.open(settings.logFile)
        for note in settings.notes { log.write(note) }
        if settings.engine.plugin?.name == BurstPlugin.lua.rawValue,
            let fault = LuaCalls.fault(script: folder.script, cluster: settings.engine.clusterName)
        {
            throw StateFault(fault)
        }
        // Before anything is touched: somebody may be at work here.
        try SocketFile.prepare(options.socket)
        let state = settings.engine.stateFolder
        let store = try SQLiteState.open(folder: state)
        let parts: Parts
        do throws(StateFault) {
            parts = try Parts(options, settings, folder, store, log)
        } catch {
            store.close()
            throw error
        }
        log.write(
            HookLogLine(.info, "\(options.program) started on cluster \(settings.engine.clusterName), state \(state)"))
        let hangups: UnixSignalsSequence
        do throws(StateFault) {
            // One that comes before somebody listens for it must not end us.
            hangups = await UnixSignalsSequence(trapping: .sighup)
            try await parts.stager?.start()
            try parts.driver.start()
            try await parts.server.start()
        } catch {
            await parts.end()
            throw error
        }
        whenReady()
        await parts.serve(log, hangups)
        log.write(HookLogLine(.info, "\(options.program) ended"))
    }

    /// The parts of a running daemon, wired together.
    private struct Parts: Sendable {
        let driver: Driver
        let stager: StagerService?
        let server: SocketServer
        let wish: AsyncStream<Void>
        let store: SQLiteState
        let clock = DaemonClock.system

        init(
            _ options: Options, _ settings: DaemonSettings, _ folder: ConfigFolder, _ store: SQLiteState,
            _ log: DaemonLog
        ) throws(StateFault) {
            let state = settings.engine.stateFolder
            let write: @Sendable (HookLogLine) -> Void = { log.write($0) }
            let (wish, wisher) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
            self.wish = wish
            self.store = store
            let spool = settings.spoolFolder ?? state + "/spool"
            if settings.spoolFolder == nil, geteuid() == 0 { _ = chmod(state, 0o711) }
            try Folders.make(spool, mode: geteuid() == 0 ? 0o755 : 0o700)
            let steps = try ProcessScripts(program: options.stepd ?? DaemonPlaces.beside("burst-stepd"), spool: spool)
            let programs = Current(settings.engine.programs)
            let hooks: any Hooks =
                switch settings.engine.plugin?.name {
                case nil: NoHooks()
                case BurstPlugin.datawarp.rawValue:
                    DataWarpCalls(
                        programs: { programs.value }, state: state, environment: DaemonPlaces.environment)
                default:
                    try LuaCalls(
                        script: folder.script, cluster: settings.engine.clusterName, scriptd: options.scriptd,
                        record: state + "/scriptd", log: write)
                }
            if let pools = settings.pools {
                stager = try StagerService(
                    StagerService.Options(
                        pools: pools, state: state, socket: options.socket, host: settings.engine.hostName,
                        program: options.stage ?? DaemonPlaces.beside("burst-stage")),
                    store: store, clock: .system, log: write)
            } else {
                stager = nil
            }
            let mail = Current(settings.mailProgram)
            driver = Driver(
                parts: Driver.Parts(
                    store: store, hooks: hooks, steps: steps,
                    mailer: MailPrograms(
                        environment: DaemonPlaces.environment, program: { mail.value }, log: write),
                    texts: SlurmTexts(), reader: folder, files: JobFiles(state: state), clock: .system, log: write,
                    onShutdown: { wisher.yield() },
                    onSettings: { [stager] settings in
                        mail.value = settings.mailProgram
                        programs.value = settings.engine.programs
                        log.set(level: settings.logLevel)
                        do throws(StateFault) {
                            try log.open(settings.logFile)
                        } catch {
                            log.write(HookLogLine(.error, "\(error); the log goes on where it was"))
                        }
                        switch (stager, settings.pools) {
                        case (let stager?, let pools): stager.configure(pools ?? [])
                        case (nil, nil): break
                        case (nil, _?):
                            log.write(HookLogLine(.error, "burst.toml: pools are used from the next start on"))
                        }
                    }),
                settings: settings)
            server = SocketServer(path: options.socket, driver: driver, stager: stager, program: options.program)
            if let stager { driver.show(stager) }
        }

        func end() async {
            await server.stopListening()
            await stager?.stop()
            await driver.stop()
            await server.stop()
        }

        /// Until a signal or a client ends it.
        func serve(_ log: DaemonLog, _ hangups: UnixSignalsSequence) async {
            let trimmer = Task {
                // The history is kept short in small steps; what is new waits for one of them at most.
                while (try? await Task.sleep(for: .seconds(60))) != nil {
                    do throws(StateFault) {
                        while try store.trim(at: clock.now()), !Task.isCancelled { await Task.yield() }
                    } catch {
                        log.write(HookLogLine(.error, "history: \(error)"))
                    }
                }
            }
            let group = ServiceGroup(
                configuration: ServiceGroupConfiguration(
                    services: [.init(service: Serving(parts: self, log: log, hangups: hangups))],
                    gracefulShutdownSignals: [.sigterm, .sigint], logger: Self.quiet(log)))
            let wishes = Task { [wish] in
                for await _ in wish {
                    await group.triggerGracefulShutdown()
                    return
                }
            }
            try? await group.run()
            wishes.cancel()
            trimmer.cancel()
        }

        private static func quiet(_ log: DaemonLog) -> Logger {
            var logger = log.logger
            logger.logLevel = .error
            return logger
        }
    }

    private struct Serving: Service {
        let parts: Parts
        let log: DaemonLog
        let hangups: UnixSignalsSequence

        func run() async throws {
            let reloads = Task { [parts, hangups] in
                for await _ in hangups { parts.driver.reload() }
            }
            try? await gracefulShutdown()
            log.write(HookLogLine(.info, "ending; scripts that run go on"))
            let limit = Task { [log] in
                try await Task.sleep(for: .seconds(DaemonLimits.stopSeconds))
                log.write(
                    HookLogLine(.error, "not all ended within \(DaemonLimits.stopSeconds) s; what is written is whole"))
                _exit(1)
            }
            await parts.end()
            limit.cancel()
            reloads.cancel()
        }
    }
}

extension EngineSettings {
    /// Datawarp's.
    fileprivate var programs: ProgramHooks.Programs {
        ProgramHooks.Programs(state: plugin?.shown.getSysState ?? "", status: plugin?.shown.getSysStatus ?? "")
    }
}
