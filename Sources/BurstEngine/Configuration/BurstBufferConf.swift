/// `burst_buffer.conf` as a value (spec §1.2-1.8). Two that are equal steer alike.
package struct BurstBufferConf: Hashable, Sendable {
    package var plugin: BurstPlugin

    /// Nil: everybody. Empty: nobody, since every name was unknown (spec §1.8).
    package var allowedUserIDs: [UInt32]?
    package var deniedUserIDs: [UInt32]?
    /// As written, for `scontrol show burst`.
    package var allowUsers: String?
    package var denyUsers: String?
    package var createBuffer: String?
    package var destroyBuffer: String?
    package var startStageIn: String?
    package var startStageOut: String?
    package var stopStageIn: String?
    package var stopStageOut: String?
    /// Datawarp only.
    package var defaultPool: String?
    /// What stands behind `#` in scripts. Lua only.
    package var directive = "BB_LUA"
    package var flags: Flags = .disablePersistent
    /// Datawarp only: the commands' paths.
    package var getSysState: String?
    package var getSysStatus: String?
    /// Bytes; of the default pool until it is reported.
    package var granularity: UInt64 = 1
    /// Seconds; 0: no limit.
    package var otherTimeout: UInt32 = 300
    package var stageInTimeout: UInt32 = 86400
    package var stageOutTimeout: UInt32 = 86400
    /// Seconds. Datawarp only.
    package var validateTimeout: UInt32 = 5
    /// Seconds between two calls of `test_data_in` or `test_data_out`. Lua only.
    package var pollInterval: UInt32 = 15
    /// Legacy: pools with granularity 1 and so many units.
    package var pools: [LegacyPool] = []

    package struct LegacyPool: Hashable, Sendable {
        package var name: String
        package var total: UInt32
    }

    /// Seconds, 24 days: lua's largest timeout.
    package static let timeoutMax: UInt32 = 2_073_600

    /// What stands where no file says anything.
    package init(plugin: BurstPlugin) {
        self.plugin = plugin
        if plugin == .datawarp {
            getSysState = "/opt/cray/dw_wlm/default/bin/dw_wlm_cli"
            getSysStatus = "/opt/cray/dws/default/bin/dwstat"
        }
    }

    /// `Flags=` (spec §1.4). The raw values are those that Slurm sends.
    package struct Flags: OptionSet, Hashable, Sendable {
        package let rawValue: UInt32

        package init(rawValue: UInt32) { self.rawValue = rawValue }

        package static let disablePersistent = Flags(rawValue: 0x01)
        package static let enablePersistent = Flags(rawValue: 0x02)
        package static let emulateCray = Flags(rawValue: 0x04)
        package static let privateData = Flags(rawValue: 0x08)
        package static let teardownFailure = Flags(rawValue: 0x10)

        /// In the order in which Slurm prints them.
        static let named: [(name: String, flag: Flags)] = [
            ("DisablePersistent", .disablePersistent), ("EmulateCray", .emulateCray),
            ("EnablePersistent", .enablePersistent), ("PrivateData", .privateData),
            ("TeardownFailure", .teardownFailure),
        ]

        /// As `scontrol show burst` prints them: between commas, without blanks.
        package var text: String { Self.named.filter { contains($0.flag) }.map(\.name).joined(separator: ",") }
    }

    /// Every key that the file may have (spec §1.3).
    package static let keys = [
        "AllowUsers", "CreateBuffer", "DefaultPool", "DenyUsers", "DestroyBuffer", "Directive", "Flags", "GetSysState",
        "GetSysStatus", "Granularity", "OtherTimeout", "PollInterval", "Pools", "StageInTimeout", "StageOutTimeout",
        "StartStageIn", "StartStageOut", "StopStageIn", "StopStageOut", "ValidateTimeout",
    ]
}

/// The plugin that `BurstBufferType` names.
package enum BurstPlugin: String, Codable, CaseIterable, Sendable {
    case lua, datawarp

    /// In front of Slurm's log lines and messages.
    package var fullName: String { "burst_buffer/\(rawValue)" }
}

// MARK: Reading

extension BurstBufferConf {
    /// A configuration, and what Slurm writes into its log when it loads one.
    package struct Reading: Hashable, Sendable {
        package var conf: BurstBufferConf
        /// What is odd about the file.
        package var notes: [HookLogLine] = []
        /// Each key with its value, as `DebugFlags=BurstBuffer` asks for (spec §1.6).
        package var loaded: [HookLogLine] = []
    }

    /// - Parameters:
    ///   - text: of `burst_buffer.conf`; nil: there is no such file.
    ///   - users: resolves the names of AllowUsers and DenyUsers.
    /// - Throws: the first line that is wrong. Slurm's controller ends there, also when it only reads its configuration
    ///   anew (spec §10, Q2): whoever calls keeps what was.
    package static func read(
        _ text: ConfigText?, plugin: BurstPlugin, users: UserDirectory
    ) throws(ConfigFault) -> Reading {
        var reading = Reading(conf: BurstBufferConf(plugin: plugin))
        guard let text else {
            reading.note(
                .info,
                "Unable to find configuration file burst_buffer_\(plugin.rawValue).conf or burst_buffer.conf")
            reading.logLoaded(users)
            return reading
        }
        var latest: [String: ConfigValue] = [:]
        for line in text.lines {
            for pair in line.pairs {
                let value = ConfigValue(place: line.place, pair: pair)
                guard let key = keys.first(where: { pair.isKey($0) }) else { throw unknown(value) }
                if latest[key] != nil { reading.note(.error, "\(key) 1 specified more than once, latest value used") }
                latest[key] = ConfigValue(place: line.place, pair: ConfigText.Pair(key: key, value: pair.value))
            }
        }
        for key in keys { if let value = latest[key] { try reading.set(value, users: users) } }
        reading.logLoaded(users)
        reading.fit()
        return reading
    }

    private static func unknown(_ value: ConfigValue) -> ConfigFault {
        let key = value.pair.key
        let right: String
        if value.pair.isKey("PrivateData") {
            right = "write Flags=PrivateData"
        } else if let near = PlainText.nearest(key, in: keys) {
            right = "did you mean \(near)?"
        } else {
            right = "the keys are \(keys.joined(separator: ", "))"
        }
        return value.fault("unrecognized key \(PlainText.quoted(key))", right)
    }
}

extension BurstBufferConf.Reading {
    fileprivate mutating func note(_ level: HookLogLine.Level, _ text: String) {
        notes.append(HookLogLine(level, PlainText.oneLine(text)))
    }

    fileprivate mutating func set(_ value: ConfigValue, users: UserDirectory) throws(ConfigFault) {
        let text = value.pair.value
        switch value.pair.key {
        case "AllowUsers": (conf.allowUsers, conf.allowedUserIDs) = (text, userIDs(value, users))
        case "DenyUsers": (conf.denyUsers, conf.deniedUserIDs) = (text, userIDs(value, users))
        case "CreateBuffer": conf.createBuffer = text
        case "DestroyBuffer": conf.destroyBuffer = text
        case "StartStageIn": conf.startStageIn = text
        case "StartStageOut": conf.startStageOut = text
        case "StopStageIn": conf.stopStageIn = text
        case "StopStageOut": conf.stopStageOut = text
        case "DefaultPool": conf.defaultPool = text
        case "GetSysState": conf.getSysState = text
        case "GetSysStatus": conf.getSysStatus = text
        case "Directive": conf.directive = try directive(value)
        case "Flags": conf.flags = flags(value)
        case "Granularity": conf.granularity = granularity(value)
        case "OtherTimeout": conf.otherTimeout = try value.uint32()
        case "StageInTimeout": conf.stageInTimeout = try value.uint32()
        case "StageOutTimeout": conf.stageOutTimeout = try value.uint32()
        case "ValidateTimeout": conf.validateTimeout = try value.uint32()
        case "PollInterval": conf.pollInterval = try value.uint32()
        case "Pools": conf.pools = pools(value)
        default: break
        }
    }

    /// Users that do not exist, and root, are left out with a line in the log (spec §1.8).
    private mutating func userIDs(_ value: ConfigValue, _ users: UserDirectory) -> [UInt32] {
        var found: [UInt32] = []
        for name in value.words() {
            guard let uid = users.find(name), uid != 0 else {
                note(.error, "_parse_users: ignoring invalid user: \(PlainText.oneLine(name))")
                continue
            }
            if !found.contains(uid) { found.append(uid) }
        }
        if found.isEmpty, value.pair.isKey("AllowUsers") {
            // Kept so, and said loudly (spec §10, Q49).
            note(
                .error,
                "\(value.place.file):\(value.place.line): AllowUsers names no user that exists: nobody may use burst "
                    + "buffers; name users of this machine, between commas")
        }
        return found
    }

    /// A directive that is empty would make every comment count.
    private func directive(_ value: ConfigValue) throws(ConfigFault) -> String {
        let text = value.pair.value
        guard !text.isEmpty, !text.utf8.contains(where: ConfigText.isSpace) else {
            throw value.fault("Directive=\(PlainText.quoted(text)) is no word", "write one word, as Directive=BB_LUA")
        }
        guard text.utf8.first != UInt8(ascii: "#") else {
            throw value.fault(
                "Directive=\(PlainText.quoted(text)) begins with #, which is understood",
                "write Directive=\(text.utf8.count > 1 ? String(text.dropFirst()) : "BB_LUA")")
        }
        return text
    }

    /// Any separator will do; Slurm looks for the words within the text. Words that are no flag are ignored there
    /// silently.
    private mutating func flags(_ value: ConfigValue) -> BurstBufferConf.Flags {
        let lower = value.pair.value.lowercased()
        var flags: BurstBufferConf.Flags = []
        for (name, flag) in BurstBufferConf.Flags.named where contains(lower, name.lowercased()) { flags.insert(flag) }
        if flags.contains(.enablePersistent) { flags.remove(.disablePersistent) }
        for word in value.pair.value.split(whereSeparator: { $0 == "," || $0 == " " || $0 == ";" || $0 == "|" }) {
            let isFlag = BurstBufferConf.Flags.named.contains { contains(word.lowercased(), $0.name.lowercased()) }
            if isFlag { continue }
            let known = BurstBufferConf.Flags.named.map(\.name).joined(separator: ", ")
            note(
                .error,
                "\(value.place.file):\(value.place.line): Flags: \(PlainText.quoted(word)) is ignored: flags are \(known)"
            )
        }
        return flags
    }

    private func contains(_ text: String, _ word: String) -> Bool {
        var rest = Substring(text).utf8
        while rest.count >= word.utf8.count {
            if rest.starts(with: word.utf8) { return true }
            rest = rest.dropFirst()
        }
        return false
    }

    /// What is no size counts as 1, as in Slurm; but what Slurm would read as another size is no size (spec §10, Q7).
    private mutating func granularity(_ value: ConfigValue) -> UInt64 {
        do throws(SizeFault) {
            return try SizeText.read(value.pair.value)
        } catch {
            note(.error, "bb_load_config: Granularity=\(PlainText.oneLine(value.pair.value)) is invalid: \(error)")
            return 1
        }
    }

    private mutating func pools(_ value: ConfigValue) -> [BurstBufferConf.LegacyPool] {
        value.words().map { word in
            let name = word.utf8.prefix { $0 != UInt8(ascii: ":") }
            let count = word.utf8[name.endIndex...].dropFirst()
            let total = count.isEmpty ? 1 : SizeText.asSlurm(String(decoding: Array(count), as: UTF8.self)) ?? 0
            return BurstBufferConf.LegacyPool(
                name: String(decoding: Array(name), as: UTF8.self), total: UInt32(truncatingIfNeeded: total))
        }
    }

    /// One line for each item, in Slurm's order (spec §1.6).
    fileprivate mutating func logLoaded(_ users: UserDirectory) {
        func names(_ uids: [UInt32]?) -> String? {
            uids.map { $0.map { users.name($0) ?? "\($0)" }.joined(separator: ",") }
        }
        let isDefaultDirective = conf.directive == BurstBufferConf(plugin: conf.plugin).directive
        var items: [(String, String?)] = [
            ("AllowUsers", names(conf.allowedUserIDs)), ("CreateBuffer", conf.createBuffer),
            ("DefaultPool", conf.defaultPool), ("DenyUsers", names(conf.deniedUserIDs)),
            ("DestroyBuffer", conf.destroyBuffer), ("Directive", isDefaultDirective ? nil : conf.directive),
            ("Flags", conf.flags.text), ("GetSysState", loggedState(conf.getSysState)),
            ("GetSysStatus", loggedState(conf.getSysStatus)), ("Granularity", "\(conf.granularity)"),
        ]
        for (index, pool) in conf.pools.enumerated() { items.append(("Pool[\(index)]", "\(pool.name):\(pool.total)")) }
        items += [
            ("PollInterval", "\(conf.pollInterval)"), ("OtherTimeout", "\(conf.otherTimeout)"),
            ("StageInTimeout", "\(conf.stageInTimeout)"), ("StageOutTimeout", "\(conf.stageOutTimeout)"),
            ("StartStageIn", conf.startStageIn), ("StartStageOut", conf.startStageOut),
            ("StopStageIn", conf.stopStageIn), ("StopStageOut", conf.stopStageOut),
            ("ValidateTimeout", "\(conf.validateTimeout)"),
        ]
        loaded = items.map { key, value in
            HookLogLine(
                .info, "\(conf.plugin.fullName): bb_load_config: \(key):\(PlainText.oneLine(value ?? "(null)"))")
        }
    }

    /// The default paths come in after the load.
    private func loggedState(_ path: String?) -> String? {
        let defaults = BurstBufferConf(plugin: conf.plugin)
        return path == defaults.getSysState || path == defaults.getSysStatus ? nil : path
    }

    /// What lua does not know is taken out again, each with a line in the log (spec §1.3, §1.4).
    fileprivate mutating func fit() {
        guard conf.plugin == .lua else { return }
        let plugin = conf.plugin.fullName
        if let pool = conf.defaultPool {
            note(.error, "\(plugin): found DefaultPool=\(pool), but DefaultPool is unused for this plugin, unsetting")
            conf.defaultPool = nil
        }
        if conf.flags.contains(.enablePersistent) {
            note(
                .error,
                "\(plugin): found flags=EnablePersistent: persistent burst buffers don't exist in this plugin, "
                    + "setting DisablePersistent")
            conf.flags.remove(.enablePersistent)
            conf.flags.insert(.disablePersistent)
        }
        if conf.flags.contains(.emulateCray) {
            note(.error, "\(plugin): found flags=EmulateCray which is invalid for this plugin, unsetting")
            conf.flags.remove(.emulateCray)
        }
        if conf.getSysState != nil {
            note(.error, "\(plugin): found get_sys_state which is unused in this plugin, unsetting")
            conf.getSysState = nil
        }
        if conf.getSysStatus != nil {
            note(.error, "\(plugin): found get_sys_status which is unused in this plugin, unsetting")
            conf.getSysStatus = nil
        }
        if conf.validateTimeout != 5, conf.validateTimeout != 0 {
            note(.info, "\(plugin): _test_config: \(plugin): ValidateTimeout is not used in this plugin, ignoring")
        }
        let timeouts: [(String, WritableKeyPath<BurstBufferConf, UInt32>)] = [
            ("OtherTimeout", \.otherTimeout), ("StageInTimeout", \.stageInTimeout),
            ("StageOutTimeout", \.stageOutTimeout),
        ]
        for (key, path) in timeouts where conf[keyPath: path] > BurstBufferConf.timeoutMax {
            note(
                .error,
                "\(plugin): \(key)=\(conf[keyPath: path]) exceeds maximum allowed timeout=\(BurstBufferConf.timeoutMax), "
                    + "setting \(key) to maximum")
            conf[keyPath: path] = BurstBufferConf.timeoutMax
        }
    }
}
