extension SlurmConf {
    /// A configuration, and what is odd about its file.
    package struct Reading: Hashable, Sendable {
        package var conf = SlurmConf()
        package var notes: [HookLogLine] = []
    }

    /// Reads what concerns us. A key that is none of Slurm's gets a note and no more: versions differ.
    /// - Throws: the first value of one of our keys that is wrong.
    package static func read(_ text: ConfigText) throws(ConfigFault) -> Reading {
        var reading = Reading()
        var latest: [String: ConfigValue] = [:]
        var nodeDefaults: [ConfigText.Pair] = []
        var partitionDefaults: [ConfigText.Pair] = []
        for line in text.lines {
            guard let first = line.pairs.first else { continue }
            let value = ConfigValue(place: line.place, pair: first)
            if first.isKey("NodeName") {
                if first.value.lowercased() == "default" {
                    nodeDefaults = Array(line.pairs.dropFirst())
                } else {
                    try reading.conf.addNodes(value, defaults: nodeDefaults, line.pairs.dropFirst())
                }
            } else if first.isKey("PartitionName") {
                if first.value.lowercased() == "default" {
                    partitionDefaults = Array(line.pairs.dropFirst())
                } else {
                    try reading.conf.addPartition(value, defaults: partitionDefaults, line.pairs.dropFirst())
                }
            } else if !lineKeys.contains(first.key.lowercased()) {
                for pair in line.pairs { reading.take(ConfigValue(place: line.place, pair: pair), into: &latest) }
            }
        }
        for key in ownKeys { if let value = latest[key.lowercased()] { try reading.conf.set(key, value) } }
        reading.finish()
        return reading
    }

    /// Keys whose lines describe one thing each, with keys of their own.
    private static let lineKeys: Set<String> = [
        "slurmctldhost", "nodeset", "downnodes", "frontendname", "switchname", "nodename", "partitionname",
    ]

    static let ownKeys = [
        "ClusterName", "BurstBufferType", "BurstBufferParameters", "DebugFlags", "AccountingStorageTRES",
        "PriorityWeightTRES", "PriorityType", "SchedulerParameters", "MailProg", "MailDomain", "StateSaveLocation",
        "MessageTimeout", "MinJobAge", "MaxJobCount", "FirstJobId", "MaxJobId", "MaxArraySize", "KillWait",
        "OverTimeLimit", "JobRequeue", "JobFileAppend", "PrivateData", "SlurmUser",
    ]

    private mutating func set(_ key: String, _ value: ConfigValue) throws(ConfigFault) {
        let text = value.pair.value
        switch key {
        case "ClusterName": clusterName = try word(value).lowercased()
        case "BurstBufferType": plugin = try plugin(value)
        case "BurstBufferParameters": burstBufferParameters = text
        case "DebugFlags": debugFlags = value.words()
        case "AccountingStorageTRES": accountingStorageTRES = value.words()
        case "PriorityWeightTRES":
            priorityWeightTRES = text
            burstBufferWeight = try burstBufferWeight(value)
        case "PriorityType": priorityType = text
        case "SchedulerParameters": schedulerParameters = try schedulerParameters(value)
        case "MailProg": mailProg = try path(value)
        case "MailDomain": mailDomain = text
        case "StateSaveLocation": stateSaveLocation = try path(value)
        case "MessageTimeout": messageTimeoutSeconds = try number(value, from: 1)
        case "MinJobAge": minJobAgeSeconds = try value.uint32()
        case "MaxJobCount": maxJobCount = try number(value, from: 1)
        case "FirstJobId": firstJobID = try number(value, from: 1)
        case "MaxJobId": maxJobID = try number(value, from: 1)
        case "MaxArraySize": maxArraySize = try number(value, from: 0, to: 4_000_001)
        case "KillWait": killWaitSeconds = try value.uint32()
        case "OverTimeLimit": overTimeLimitMinutes = try value.uint32()
        case "JobRequeue": jobMayRequeue = try value.boolean()
        case "JobFileAppend": appendsOutput = try value.boolean()
        case "PrivateData": privateData = value.words().map { $0.lowercased() }
        case "SlurmUser": slurmUser = try word(value)
        default: break
        }
    }

    // MARK: Values

    private func word(_ value: ConfigValue) throws(ConfigFault) -> String {
        let text = value.pair.value
        guard !text.isEmpty, !text.utf8.contains(where: { ConfigText.isSpace($0) || $0 == UInt8(ascii: "/") }) else {
            throw value.fault(
                "\(value.pair.key) value (\(text)) is no name", "write one word without blanks and slashes")
        }
        return text
    }

    private func path(_ value: ConfigValue) throws(ConfigFault) -> String {
        guard value.pair.value.utf8.first == UInt8(ascii: "/") else {
            throw value.fault(
                "\(value.pair.key) value (\(value.pair.value)) is no absolute path", "begin it with /")
        }
        return value.pair.value
    }

    private func number(
        _ value: ConfigValue, from least: UInt32, to most: UInt32 = .max
    ) throws(ConfigFault) -> UInt32 {
        let number = try value.uint32()
        guard (least...most).contains(number) else {
            throw value.fault(
                "\(value.pair.key) value (\(number)) is out of range", "write a number from \(least) to \(most)")
        }
        return number
    }

    /// Names between commas, each with or without `burst_buffer/`; one at most (spec §1.1).
    private func plugin(_ value: ConfigValue) throws(ConfigFault) -> BurstPlugin? {
        let prefix = "burst_buffer/"
        let names = value.words().map { $0.hasPrefix(prefix) ? String($0.dropFirst(prefix.utf8.count)) : $0 }
        guard let name = names.first else { return nil }
        guard names.count == 1 else {
            throw value.fault(
                "\(names.count) burst buffer plugins configured; can not run with more than one burst buffer plugin",
                "write BurstBufferType=burst_buffer/lua")
        }
        // Slurm says so by "(null)" too.
        if name.lowercased() == "none" || name.lowercased() == "(null)" { return nil }
        guard let plugin = BurstPlugin(rawValue: name) else {
            throw value.fault(
                "cannot create burst_buffer context for burst_buffer/\(name)",
                "write burst_buffer/lua or burst_buffer/datawarp")
        }
        return plugin
    }

    /// The weight behind `bb/NAME=`.
    private func burstBufferWeight(_ value: ConfigValue) throws(ConfigFault) -> Double? {
        for item in value.words() where item.lowercased().hasPrefix("bb/") {
            let parts = item.split(separator: "=", maxSplits: 1)
            guard parts.count == 2, let weight = Double(parts[1]), weight.isFinite, weight >= 0 else {
                throw value.fault(
                    "PriorityWeightTRES: \(PlainText.quoted(item)) has no weight", "write bb/NAME=NUMBER, as bb/lua=100"
                )
            }
            return weight
        }
        return nil
    }

    private func schedulerParameters(_ value: ConfigValue) throws(ConfigFault) -> SchedulerParameters {
        var parameters = SchedulerParameters()
        parameters.words = value.words()
        func number(_ name: String) throws(ConfigFault) -> UInt32? {
            guard let item = parameters.words.last(where: { $0.hasPrefix(name + "=") }) else { return nil }
            let text = item.dropFirst(name.utf8.count + 1)
            guard let number = UInt32(text) else {
                throw value.fault(
                    "SchedulerParameters: \(name) value (\(text)) is not a valid number", "write \(name)=NUMBER")
            }
            return number
        }
        // A value below 1 is ignored (spec §1.1).
        if let count = try number("bb_array_stage_cnt"), count >= 1 { parameters.arrayStageCount = count }
        if let seconds = try number("bf_interval"), seconds >= 1 { parameters.backfillInterval = seconds }
        if let seconds = try number("sched_interval"), seconds >= 1 { parameters.mainInterval = seconds }
        if let bytes = try number("max_script_size"), bytes >= 1 { parameters.maxScriptBytes = bytes }
        parameters.killsInvalidDependents = parameters.words.contains("kill_invalid_depend")
        return parameters
    }

    // MARK: Nodes and partitions

    private mutating func addNodes(
        _ name: ConfigValue, defaults: [ConfigText.Pair], _ own: ArraySlice<ConfigText.Pair>
    ) throws(ConfigFault) {
        var node = Node(name: "")
        var parts: [String: UInt64] = [:]
        var cpus: UInt64?
        for pair in defaults + own {
            let value = ConfigValue(place: name.place, pair: pair)
            switch pair.key.lowercased() {
            case "cpus", "procs": cpus = UInt64(try number(value, from: 1))
            case "realmemory": node.realMemory = UInt64(try number(value, from: 1))
            case "boards", "sockets", "socketsperboard", "corespersocket", "threadspercore":
                parts[pair.key.lowercased()] = UInt64(try number(value, from: 1, to: 65_535))
            default: break
            }
        }
        let sockets = parts["sockets"] ?? parts["boards", default: 1] * parts["socketsperboard", default: 1]
        let product = sockets * parts["corespersocket", default: 1] * parts["threadspercore", default: 1]
        guard let count = UInt32(exactly: cpus ?? product), count > 0 else {
            throw name.fault("NodeName=\(name.pair.value) has \(product) CPUs", "name what one machine can have")
        }
        node.cpus = count
        do throws(HostListFault) {
            for host in try HostList.expand(name.pair.value, max: Self.nodesMax - nodes.count) {
                nodes.append(Node(name: host, cpus: node.cpus, realMemory: node.realMemory))
            }
        } catch {
            throw name.fault("NodeName=\(PlainText.quoted(name.pair.value)): \(error.wrong)", error.right)
        }
    }

    private mutating func addPartition(
        _ name: ConfigValue, defaults: [ConfigText.Pair], _ own: ArraySlice<ConfigText.Pair>
    ) throws(ConfigFault) {
        var partition = Partition(name: try word(name))
        for pair in defaults + own {
            let value = ConfigValue(place: name.place, pair: pair)
            switch pair.key.lowercased() {
            case "nodes": partition.nodes = pair.value
            case "default": partition.isDefault = try value.boolean()
            case "maxtime": partition.maxTimeMinutes = try minutes(value)
            case "defaulttime": partition.defaultTimeMinutes = try minutes(value)
            case "state":
                guard let state = Partition.State(rawValue: pair.value.uppercased()) else {
                    let known = Partition.State.allCases.map(\.rawValue).joined(separator: ", ")
                    throw value.fault("State value (\(pair.value)) is unknown", "write one of \(known)")
                }
                partition.state = state
            default: break
            }
        }
        partitions.removeAll { $0.name == partition.name }
        partitions.append(partition)
    }

    private func minutes(_ value: ConfigValue) throws(ConfigFault) -> UInt32? {
        switch TimeText.limit(value.pair.value) {
        case .minutes(let minutes): return minutes
        case .unlimited: return nil
        case .invalid:
            throw value.fault(
                "\(value.pair.key) value (\(value.pair.value)) is no time", "write minutes, H:MM:SS, D-HH or INFINITE")
        }
    }
}

extension SlurmConf.Reading {
    fileprivate mutating func note(_ value: ConfigValue, _ text: String) {
        notes.append(HookLogLine(.info, PlainText.oneLine("\(value.place.file):\(value.place.line): \(text)")))
    }

    fileprivate mutating func take(_ value: ConfigValue, into latest: inout [String: ConfigValue]) {
        let key = value.pair.key.lowercased()
        let own = SlurmConf.ownKeys.first { $0.lowercased() == key }
        if let own {
            if latest[key] != nil {
                notes.append(HookLogLine(.error, "\(own) 1 specified more than once, latest value used"))
            }
            latest[key] = value
            return
        }
        if SlurmKeys.all.contains(key) { return }
        if let near = PlainText.nearest(value.pair.key, in: SlurmConf.ownKeys) {
            note(value, "\(value.pair.key) is no key of Slurm's: did you mean \(near)?")
        } else {
            note(value, "\(value.pair.key) is not known here and has no effect")
        }
    }

    fileprivate mutating func finish() {
        if conf.firstJobID > conf.maxJobID {
            notes.append(HookLogLine(.error, "FirstJobId exceeds MaxJobId: the defaults are used"))
            (conf.firstJobID, conf.maxJobID) = (SlurmConf().firstJobID, SlurmConf().maxJobID)
        }
    }
}
