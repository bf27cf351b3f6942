internal import BurstClient
internal import BurstModel
internal import BurstReports
internal import BurstScreen
internal import BurstSettings
internal import BurstSources
internal import BurstTerminal
internal import CSys
internal import Glibc
internal import Synchronization

/// Puts the monitor together from its options and runs it.
package struct Launch {
    package static let version = "0.1.0"
    /// From so many rows on, what a sample took to read is given back to the system.
    private static let rowsToReturn = 20_000
    /// The demo begins when the cluster in it has something to do.
    private static let demoBeginSeconds = 300

    let options: MonitorOptions
    let environment: [String: String]
    let settings: Settings
    /// Faults of settings files: the files are not used, and it is said.
    let settingsFaults: [FileFault]
    let zone: LocalTime.Zone

    /// Says what is wrong, in a line on standard error.
    package static func complain(_ text: String) { Places.complain(text) }

    /// Runs the program; returns its exit status.
    package static func run(_ options: MonitorOptions) -> Int32 {
        bb_memory_share()
        do {
            return try Launch(options).run()
        } catch let refusal as Refusal {
            Places.complain(refusal.text)
            return refusal.code
        } catch {
            Places.complain("\(error)")
            return ExitCode.failure.rawValue
        }
    }

    private init(_ options: MonitorOptions) throws {
        self.options = options
        environment = Places.environment
        let userPath = options.config ?? SettingsFile.userPath(environment: environment)
        if let config = options.config, !Places.exists(config) {
            throw Refusal("--config \(config): \(String(cString: strerror(errno)))")
        }
        let outcome = SettingsFile.load(user: userPath)
        if options.config != nil, let fault = outcome.faults.first { throw Refusal(fault.description) }
        var settings = outcome.settings
        if let interval = options.intervalSeconds {
            settings.intervalSeconds = max(interval, settings.intervalFloorSeconds)
        }
        if let jobs = options.jobs { settings.jobs = jobs }
        if options.readOnly { settings.readOnly = true }
        if options.ascii { settings.ascii = true }
        if options.mouse { settings.mouse = true }
        if let color = options.color { settings.color = color }
        self.settings = settings
        settingsFaults = outcome.faults
        switch options.origin {
        case .replay(let path, _, _, _), .follow(let path): zone = Self.zone(of: path)
        case .recordedDemo: zone = .fixed()
        default: zone = .system
        }
    }

    /// A recording's texts are in the local time of where it was made.
    private static func zone(of recording: String) -> LocalTime.Zone {
        guard let reader = try? RecordingReader(path: recording) else { return .system }
        return .fixed(secondsEastOfUTC: reader.utcOffsetSeconds)
    }

    private func run() throws -> Int32 {
        if case .schema = options.mode { return Places.write(BoardDocument.schema.utf8) ? 0 : 1 }
        let isPlain = settings.plain || environment["BURSTMON_PLAIN"] == "1"
        if case .screen = options.mode, !isPlain { return try runScreen() }
        for fault in settingsFaults { Places.complain(fault.description) }
        return try Batch(self).run()
    }

    // MARK: Sources

    /// Where boards come from, for the options given.
    func source(onChange: @escaping @Sendable () -> Void, prepare: @escaping @Sendable (Board) -> Void) throws
        -> any BoardSource
    {
        do {
            switch options.origin {
            case .replay(let path, let begin, let end, let speed):
                return try ReplaySource(
                    path: path, begin: try time(begin, "-b"), end: try time(end, "-e"), speed: speed,
                    viewer: Places.viewer, thresholds: settings.rules, onChange: onChange, prepare: prepare)
            case .recordedDemo(let speed):
                let path = try demoRecording()
                let begun = try RecordingReader(path: path).startedAt
                return try ReplaySource(
                    path: path, begin: begun.adding(seconds: Self.demoBeginSeconds), speed: speed,
                    viewer: Places.viewer, thresholds: settings.rules, onChange: onChange, prepare: prepare)
            case .follow(let path):
                return try FollowSource(
                    path: path, viewer: Places.viewer, thresholds: settings.rules, onChange: onChange,
                    prepare: prepare)
            case .demo: return try demo(onChange: onChange, prepare: prepare)
            case .burstd:
                let socket = options.socket ?? SocketPlaces.client(environment: environment)
                return try engine(socket, onChange: onChange, prepare: prepare)
            case .slurm: return try collector(onChange: onChange, prepare: prepare)
            case .automatic:
                let socket = SocketPlaces.client(environment: environment)
                if let why = whyNoSlurm(socket) {
                    guard Self.answers(socket) else {
                        throw Refusal(
                            "\(why), and no burstd listens at \(socket): start one with burstd, install slurm-client, "
                                + "or try burstmon --demo", code: ExitCode.failure.rawValue)
                    }
                    return try engine(socket, onChange: onChange, prepare: prepare)
                }
                return try collector(onChange: onChange, prepare: prepare)
            }
        } catch let fault as RecordingFault {
            throw Refusal(fault.description)
        }
    }

    func collector(
        onChange: @escaping @Sendable () -> Void, prepare: @escaping @Sendable (Board) -> Void
    ) throws -> Collector {
        if let missing = missingTools() {
            throw Refusal(
                "\(missing): install slurm-client, or try burstmon --demo", code: ExitCode.failure.rawValue)
        }
        return Collector(
            runner: SubprocessRunner(environment: environment), settings: collectorSettings(), zone: zone,
            recorder: try recorder(), eventLog: try eventLog(), stager: SocketPlaces.client(environment: environment),
            program: "burstmon \(Self.version)", onChange: onChange, prepare: prepare)
    }

    private func engine(
        _ socket: String, onChange: @escaping @Sendable () -> Void, prepare: @escaping @Sendable (Board) -> Void
    ) throws -> EngineSource {
        EngineSource(
            path: socket, program: "burstmon \(Self.version)", settings: collectorSettings(), zone: zone,
            recorder: try recorder(), eventLog: try eventLog(), onChange: onChange, prepare: prepare)
    }

    private func demo(
        onChange: @escaping @Sendable () -> Void, prepare: @escaping @Sendable (Board) -> Void
    ) throws -> DemoSource {
        guard let slurm = Places.shared("demo/slurm.conf", inTree: "Sources/burstmon/Resources/demo/slurm.conf") else {
            throw Refusal(
                "the demo's files are not there; they belong into share/burst/demo beside the program's bin", code: 1)
        }
        let beside = Places.programFolder.map { $0 + "/burstd" }
        guard let burstd = ([beside].compactMap { $0 } + folders.map { $0 + "/burstd" }).first(where: Places.isProgram)
        else {
            throw Refusal(
                "--demo runs a burstd, and there is none beside burstmon or in PATH; --demo recorded needs none",
                code: 1)
        }
        let inTree = "Sources/BurstStageClient/Resources/burst_buffer.lua"
        guard let script = Places.shared("burst_buffer.lua", inTree: inTree) else {
            throw Refusal(
                "burst_buffer.lua is not there; it belongs into share/burst beside the program's bin", code: 1)
        }
        let resources = String(slurm.dropLast("/slurm.conf".count))
        return try DemoSource(resources: resources, burstd: burstd, script: script) { socket in
            try engine(socket, onChange: onChange, prepare: prepare)
        }
    }

    private var folders: [String] {
        (environment["PATH"] ?? "/usr/bin:/bin").split(separator: ":").map(String.init)
    }

    /// Which of Slurm's commands cannot be found, and where; nil where they can.
    private func missingTools() -> String? {
        for tool in ["scontrol", "squeue"] where !folders.contains(where: { Places.isProgram($0 + "/" + tool) }) {
            return "\(tool) is not in PATH (\(folders.joined(separator: ":")))"
        }
        return nil
    }

    /// Seconds for scontrol to show that it works, where there is a choice.
    private static let trySeconds = 5

    /// Why Slurm is not what is to be shown; nil where it is. A cluster whose controller is silent at the moment is one
    /// still, unless a burstd answers.
    private func whyNoSlurm(_ socket: String) -> String? {
        let scontrol = folders.lazy.map { $0 + "/scontrol" }.first(where: Places.isProgram)
        if let missing = missingTools() { return missing }
        guard let scontrol else { return nil }
        // The command line of burstd under Slurm's name: its daemon is asked directly.
        if let path = realpath(scontrol, nil) {
            defer { free(path) }
            if String(cString: path).split(separator: "/").last == "burst" { return "scontrol is burst" }
        }
        guard Self.answers(socket) else { return nil }
        let works = Mutex(false)
        let environment = environment
        Places.wait {
            let run = await SubprocessRunner(environment: environment).run(
                ["scontrol", "show", "config"], timeoutSeconds: Self.trySeconds)
            works.withLock { $0 = run.result.end == .exit(0) }
        }
        return works.withLock { $0 } ? nil : "scontrol does not work"
    }

    private static func answers(_ socket: String) -> Bool {
        (try? BurstConnection.connect(path: socket, program: "burstmon \(version)")) != nil
    }

    private func collectorSettings() -> CollectorSettings {
        var collector = CollectorSettings()
        collector.pace.burstSeconds = settings.intervalSeconds
        collector.pace.jobsSeconds = settings.jobsIntervalSeconds
        collector.pace.floorSeconds = settings.intervalFloorSeconds
        collector.pace.asksJobs = settings.jobs != .off
        collector.jobsUser = settings.jobs == .own ? Places.user : nil
        collector.timeoutSeconds = settings.timeoutSeconds
        collector.statusTimeoutSeconds = settings.statusTimeoutSeconds
        collector.thresholds = settings.rules
        collector.viewer = Places.viewer
        if let record = options.record, Places.exists(record) { collector.warmStart = [record] }
        return collector
    }

    private func recorder() throws -> Recorder? {
        guard let path = options.record else { return nil }
        let now = SourceClock.system.now()
        let offset = Int((zone.local(now).secondsSinceEpoch * 1000 - now.milliseconds + 500) / 1000)
        return try Recorder(
            path: path, tool: "burstmon \(Self.version)", host: Places.host, utcOffsetSeconds: offset,
            redacts: options.redact, now: now)
    }

    private func eventLog() throws -> EventLog? {
        guard settings.eventLogPath != nil || settings.syslog else { return nil }
        return try EventLog(path: settings.eventLogPath, bytesMax: settings.eventLogBytesMax, syslog: settings.syslog)
    }

    private func demoRecording() throws -> String {
        guard let path = Places.shared("demo.jsonl", inTree: "Sources/burstmon/Resources/demo.jsonl") else {
            throw Refusal(
                "the demo's recording is not there; it belongs into share/burst beside the program's bin", code: 1)
        }
        return path
    }

    /// A time of the command line: RFC 3339, or local date and time, in the recording's zone.
    private func time(_ text: String?, _ option: String) throws -> Timestamp? {
        guard let text else { return nil }
        if let time = Timestamp(rfc3339: text) { return time }
        if let local = LocalTime(text: text) { return zone.moment(local) }
        if case .replay(let path, _, _, _) = options.origin, let reader = try? RecordingReader(path: path) {
            let day = zone.local(reader.startedAt).text.prefix(10)
            if let local = LocalTime(text: "\(day)T\(text.utf8.count == 5 ? text + ":00" : text)") {
                return zone.moment(local)
            }
        }
        throw Refusal("\(option) \(text): no time; 2026-11-22T14:02:11Z, 2026-11-22T14:02:11 or 14:02")
    }

    // MARK: The screen

    private func runScreen() throws -> Int32 {
        let installed = [Places.shared("Themes", inTree: "Themes")].compactMap { $0 }
        let folders = ThemeFile.folders(environment: environment, installed: installed)
        let wish = ThemeFile.wish(option: options.theme, environment: environment, settings: settings)
        let (theme, themeFault) = ThemeFile.loadOrDefault(wish, folders: folders)
        if options.theme != nil, let themeFault { throw Refusal(themeFault.description) }

        let depth = ColorDepth.choose(
            option: settings.color, environment: environment, terminalColors: CursesTerminal.terminfoColors(),
            isTerminal: isatty(STDOUT_FILENO) == 1)
        var terminalOptions = CursesTerminal.Options()
        terminalOptions.ascii = settings.ascii
        terminalOptions.mouse = settings.mouse
        terminalOptions.clipboard = options.clipboard
        switch depth {
        case .mono: terminalOptions.maximumColors = 0
        case .eight: terminalOptions.maximumColors = 8
        case .sixteen: terminalOptions.maximumColors = 16
        case .indexed256: terminalOptions.maximumColors = 256
        case .trueColor: break
        }

        let wake = Wake()
        let prepared = PreparedTable()
        let zone = zone
        let source = try source(
            onChange: { wake.ring() },
            prepare: { board in
                prepared.prepare(board, zone: zone)
                // 100,000 rows leave 100 MB behind when they have been read.
                if board.bufferRows.count >= Self.rowsToReturn { bb_memory_return() }
            })

        let isReplay: Bool
        switch options.origin {
        case .replay, .recordedDemo: isReplay = true
        default: isReplay = false
        }
        var keys = KeyMap(readOnly: settings.readOnly, replay: isReplay)
        for (action, key) in settings.keys.sorted(by: { $0.key < $1.key }) {
            if let fault = keys.remap(action, to: key) { throw Refusal("[keys] \(action): \(fault)") }
        }
        var state = MonitorState(
            size: Size(columns: 80, rows: 24), data: source.latest(), keys: keys, readOnly: settings.readOnly,
            themeName: theme.name, themes: ThemeFile.list(folders: folders).map(\.name), zone: zone)
        state.showsClock = settings.clock
        state.isRecording = options.record != nil
        try apply(to: &state)

        let terminal: CursesTerminal
        do {
            terminal = try CursesTerminal.start(options: terminalOptions)
        } catch {
            throw Refusal(error.description, code: ExitCode.unfitTerminal.rawValue)
        }
        let now = SourceClock.system.now()
        state.size = terminal.size()
        for fault in settingsFaults.map(\.description) + [themeFault?.description].compactMap({ $0 }) {
            state.say(fault, role: .textError, at: now, seconds: 30)
            source.send(.note(Event(at: now, level: .error, kind: .note, subject: .controller, text: fault)))
        }
        if isReplay { source.send(.replay(.play)) }
        if let demo = source as? DemoSource {
            state.say(
                "a burstd of its own, jobs that copy files; BURST_SOCKET=\(demo.socket) lets burst ask it; q ends all",
                at: now, seconds: 20)
        }
        if case .recordedDemo = options.origin {
            state.say(
                "a recorded hour of a real Slurm; , and . step, Space stops, ? helps, q quits", at: now, seconds: 20)
        }
        var screen = FullScreen(
            terminal: terminal, source: source, wake: wake, prepared: prepared, themeFolders: folders,
            depth: terminal.colors > 256 && depth != .mono ? .trueColor : depth,
            ascii: settings.ascii || !terminal.isUnicode, canCopy: options.clipboard, theme: theme, state: state,
            lastKey: now)
        let signal = screen.run()
        terminal.stop()
        Places.wait { await source.stop() }
        if let signal { Guardian.end(of: signal) }
        return 0
    }

    /// Options that choose what the screens show.
    private func apply(to state: inout MonitorState) throws {
        if let screen = options.screen { state.screen = screen }
        for (name, columns) in settings.columns {
            guard let screen = ScreenID(name: name), screen.isTable else {
                throw Refusal("[columns] \(name): no such table; pools, buffers, users, jobs, events, stage")
            }
            try Batch.check(columns: columns, screen)
            state.tables[screen]?.columns = columns
        }
        if options.filter != nil || options.pool != nil || options.user != nil || options.sort != nil {
            let screen = state.screen.isTable ? state.screen : .buffers
            state.screen = screen
            let view = try Batch.view(options, screen)
            state.tables[screen]?.query = view.query
            state.tables[screen]?.filterText = options.filter ?? ""
            if let columns = view.columns { state.tables[screen]?.columns = columns }
        }
    }
}
