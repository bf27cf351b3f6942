import BurstEngine
import BurstModel
import BurstSettings
import BurstSources
import Glibc

/// Reads `slurm.conf` and `burst_buffer.conf` of a folder into settings.
package struct ConfigFolder: SettingsReader {
    package let path: String
    private let state: String?
    private let people = People()

    /// - Parameter state: `--state`; nil: StateSaveLocation, or the usual place.
    package init(path: String, state: String?) {
        self.path = path
        self.state = state
    }

    package var script: String { path + "/burst_buffer.lua" }

    package static let fileBytesMax = 16 << 20

    package func read() throws(StateFault) -> DaemonSettings {
        do throws(ConfigFault) {
            return try load()
        } catch {
            throw StateFault(error.description)
        }
    }

    private func load() throws(ConfigFault) -> DaemonSettings {
        let file = path + "/slurm.conf"
        let staging = try staging()
        guard let text = try contents("slurm.conf") else {
            guard let staging else {
                throw ConfigFault(
                    file: file, line: 0, wrong: "there is no such file",
                    right: "write it (or burst.toml, for the stager alone), or name its folder with --config DIR")
            }
            return try stagerAlone(staging)
        }
        let words = try ConfigText.parse(file: file, text: text) { include($0) }
        let slurm = try SlurmConf.read(words)
        var settings = DaemonSettings(engine: try engine(slurm.conf, file))
        settings.notes = slurm.notes
        settings.pools = staging?.pools
        settings.mailProgram = slurm.conf.mailProg
        for line in words.lines {
            for pair in line.pairs {
                if pair.isKey("SlurmctldLogFile") { settings.logFile = pair.value.isEmpty ? nil : pair.value }
                if pair.isKey("SlurmctldDebug") { settings.logLevel = try level(pair.value, line.place) }
                if pair.isKey("SlurmdSpoolDir") { settings.spoolFolder = pair.value }
            }
        }
        if slurm.conf.nodes.count > 1 {
            settings.notes.append(
                HookLogLine(
                    .error,
                    "\(file): \(slurm.conf.nodes.count) nodes: burstd runs jobs on this machine alone, as "
                        + settings.engine.hostName))
        }
        guard let plugin = slurm.conf.plugin else { return settings }
        let reading = try BurstBufferConf.read(
            try burstBufferText(plugin), plugin: plugin,
            users: UserDirectory(
                uid: { [people] in people.user(named: $0)?.uid }, name: { [people] in people.user(uid: $0)?.name }))
        settings.notes += reading.notes
        if slurm.conf.logsBurstBuffer { settings.notes += reading.loaded }
        settings.engine.plugin = EngineSettings.Plugin(reading.conf)
        return settings
    }

    /// `burst.toml`, where there is one.
    private func staging() throws(ConfigFault) -> PoolsFile.Contents? {
        let file = path + "/" + PoolsFile.name
        do throws(FileFault) {
            let contents = try PoolsFile.contents(file)
            for pool in contents?.pools ?? [] { try check(pool.staging, of: pool.name, file) }
            return contents
        } catch {
            throw ConfigFault(file: error.file, line: error.line, wrong: error.wrong, right: error.right)
        }
    }

    /// What copies need is here. srun is not looked for: a phase can go on without it.
    private func check(_ staging: StagingSettings, of pool: String, _ file: String) throws(FileFault) {
        guard staging.copier != .own else { return }
        for program in [staging.copierPath ?? staging.copier.rawValue] + staging.launcher.prefix(1) {
            let places = program.hasPrefix("/") ? [program] : StagingSettings.searchPath.map { "\($0)/\(program)" }
            guard !places.contains(where: { access($0, X_OK) == 0 }) else { continue }
            throw FileFault(
                file: file, line: 0,
                wrong: "pool \"\(pool)\" copies with \(staging.copier.rawValue), and \(program) is not installed",
                right: "install it, name it by its path, or write copier = \"burst-stage\"")
        }
    }

    /// Jobs are those of the machine's Slurm; this burstd stages for it.
    private func stagerAlone(_ staging: PoolsFile.Contents) throws(ConfigFault) -> DaemonSettings {
        var engine = EngineSettings()
        engine.hostName = Self.hostName
        engine.stateFolder = state ?? Self.usualState()
        engine.zone = .system
        engine.plugin = nil
        // Debian's name for it; where there is none, root alone runs the verbs of a life.
        let name = staging.slurmUser ?? "slurm"
        let user = people.user(named: name) ?? UInt32(name).flatMap { people.user(uid: $0) }
        if staging.slurmUser != nil, user == nil {
            throw ConfigFault(
                file: path + "/" + PoolsFile.name, line: 0, wrong: "slurm_user=\(name) is no user of this machine",
                right: "name one, or leave the key out")
        }
        engine.slurmUserID = user?.uid ?? 0
        var settings = DaemonSettings(engine: engine)
        settings.pools = staging.pools
        settings.isStagerAlone = true
        return settings
    }

    /// `burst_buffer_lua.conf` comes before `burst_buffer.conf` (spec §1.2).
    private func burstBufferText(_ plugin: BurstPlugin) throws(ConfigFault) -> ConfigText? {
        for name in ["burst_buffer_\(plugin.rawValue).conf", "burst_buffer.conf"] {
            if let text = try contents(name) {
                return try ConfigText.parse(file: path + "/" + name, text: text) { include($0) }
            }
        }
        return nil
    }

    // MARK: Files

    private func contents(_ name: String) throws(ConfigFault) -> String? {
        let file = path + "/" + name
        guard access(file, F_OK) == 0 || errno != ENOENT else { return nil }
        do throws(StateFault) {
            let bytes = try JobFiles.read(file, bytesMax: Self.fileBytesMax, followsLinks: true)
            return String(decoding: bytes, as: UTF8.self)
        } catch {
            throw ConfigFault(
                file: file, line: 0, wrong: "cannot be read: \(error)", right: "let burstd's user read it")
        }
    }

    private func include(_ name: String) -> ConfigText.Included {
        let file = name.hasPrefix("/") ? name : path + "/" + name
        do throws(StateFault) {
            let bytes = try JobFiles.read(file, bytesMax: Self.fileBytesMax, followsLinks: true)
            return .text(String(decoding: bytes, as: UTF8.self))
        } catch {
            return .unreadable(error.description)
        }
    }

    // MARK: Values

    private func engine(_ conf: SlurmConf, _ file: String) throws(ConfigFault) -> EngineSettings {
        var engine = EngineSettings()
        engine.clusterName = conf.clusterName
        engine.hostName = conf.nodes.first?.name ?? Self.hostName
        engine.cpus = conf.nodes.first?.cpus ?? UInt32(clamping: sysconf(Int32(_SC_NPROCESSORS_ONLN)))
        if let partition = conf.defaultPartition ?? conf.partitions.first {
            engine.partition = partition.name
            engine.defaultTimeLimitMinutes = partition.defaultTimeMinutes ?? partition.maxTimeMinutes
            engine.maxTimeLimitMinutes = partition.maxTimeMinutes
        }
        engine.minJobAgeSeconds = Int(conf.minJobAgeSeconds)
        engine.maxJobCount = Int(conf.maxJobCount)
        engine.maxArraySize = conf.maxArraySize
        engine.arrayStageCount = Int(conf.schedulerParameters.arrayStageCount)
        engine.killWaitSeconds = Int(conf.killWaitSeconds)
        guard let user = people.user(named: conf.slurmUser) ?? UInt32(conf.slurmUser).flatMap({ people.user(uid: $0) })
        else {
            throw ConfigFault(
                file: file, line: 0, wrong: "SlurmUser=\(conf.slurmUser) is no user of this machine",
                right: "name one, or leave the key out")
        }
        engine.slurmUserID = user.uid
        engine.stateFolder = state ?? conf.stateSaveLocation ?? Self.usualState()
        engine.zone = .system
        engine.plugin = nil
        return engine
    }

    /// slurm.conf(5), SlurmctldDebug: a word or a number.
    private func level(_ text: String, _ place: ConfigText.Place) throws(ConfigFault) -> HookLogLine.Level {
        switch text.lowercased() {
        case "quiet", "fatal", "error", "0", "1", "2": return .error
        case "info", "3": return .info
        case "verbose", "4": return .verbose
        case "debug", "5": return .debug
        case "debug2", "6": return .debug2
        case "debug3", "7": return .debug3
        case "debug4", "debug5", "8", "9": return .debug4
        default:
            throw ConfigFault(
                file: place.file, line: place.line, wrong: "SlurmctldDebug=\(text) is no level",
                right: "write quiet, fatal, error, info, verbose, debug or debug2 to debug5")
        }
    }

    static var hostName: String {
        var buffer = [CChar](repeating: 0, count: 256)
        guard gethostname(&buffer, 255) == 0 else { return "localhost" }
        let name = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return String(name.prefix { $0 != "." })
    }

    /// DESIGN.md, "Where things live at run time".
    static func usualState(uid: UInt32 = geteuid(), environment: [String: String] = DaemonPlaces.environment) -> String
    {
        DaemonPlaces.state(uid: uid, environment: environment)
    }
}
