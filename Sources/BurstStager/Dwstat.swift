package import BurstModel

/// `dwstat`: Cray's tables from a snapshot (staging.md §1.8).
///
/// Slurm passes the words of any user on, without telling whose they are: what is shown is what everybody may see,
/// unless the viewer is known.
package struct Dwstat: Sendable {
    package enum Table: String, CaseIterable, Sendable {
        case pools, sessions, instances, configurations, registrations, activations, fragments, namespaces, nodes
    }

    /// The columns of a release of Cray's.
    package enum Compatibility: String, CaseIterable, Sendable { case y2015 = "2015", y2017 = "2017" }

    /// Who looks. SlurmUser asks for others, so it is nobody.
    package enum Viewer: Hashable, Sendable {
        case nobody
        case user(UInt32)
        case `operator`
    }

    package enum Selection: Hashable, Sendable {
        case tables([Table])
        /// Those that are not empty, and which are.
        case most
        /// All of them.
        case all
    }

    package var selection: Selection
    package var compatibility = Compatibility.y2017
    /// `-H`: powers of 1000.
    package var isDecimal = false
    /// Ours: all that is asked for as JSON.
    package var isJSON = false

    package init(selection: Selection = .tables([.pools])) { self.selection = selection }

    package func answer(_ snapshot: StagerSnapshot, viewer: Viewer, zone: LocalTime.Zone) -> [UInt8] {
        if isJSON { return json(snapshot, viewer: viewer) }
        var out: [UInt8] = []
        var missing: [String] = []
        let tables =
            switch selection {
            case .tables(let tables): tables
            case .most, .all: Table.allCases
            }
        var rows = DwstatRows(self, snapshot, viewer: viewer, zone: zone)
        for table in tables {
            let text = rows.table(table)
            // Staging of type cache does not exist here; Cray's sentence counts it.
            if table == .configurations, selection == .most { missing.append("cache configurations") }
            if text.isEmpty, selection != .all {
                missing.append(table.rawValue)
                continue
            }
            if !out.isEmpty { out.append(0x0a) }
            text.write(to: &out)
        }
        if !missing.isEmpty {
            if !out.isEmpty { out.append(0x0a) }
            out += "did not find any \(missing.joined(separator: ", "))\n".utf8
        }
        return out
    }

    /// Whether the viewer may see what is a user's own: paths, errors, progress.
    static func maySee(_ viewer: Viewer, _ owner: UInt32) -> Bool {
        switch viewer {
        case .nobody: false
        case .user(let uid): uid == owner
        case .operator: true
        }
    }
}

/// Fills the tables.
struct DwstatRows {
    private let dwstat: Dwstat
    private let snapshot: StagerSnapshot
    private let viewer: Dwstat.Viewer
    private let zone: LocalTime.Zone
    /// Activations of each configuration.
    private var activations: [UInt64: UInt64] = [:]
    private let granularities: [String: UInt64]
    /// Each instance with its flags, those in quarantine last.
    private let held: [(instance: StagerSession.Instance, flags: StateFlags)]
    /// Most buffers have one of a few sizes, and most were made today.
    private var sizes: [UInt64: String] = [:]
    private var day: (number: Int64, text: String)?

    init(_ dwstat: Dwstat, _ snapshot: StagerSnapshot, viewer: Dwstat.Viewer, zone: LocalTime.Zone) {
        self.dwstat = dwstat
        self.snapshot = snapshot
        self.viewer = viewer
        self.zone = zone
        granularities = Dictionary(
            snapshot.pools.map { ($0.pool.id, $0.pool.granularity) }, uniquingKeysWith: { first, _ in first })
        var held: [(instance: StagerSession.Instance, flags: StateFlags)] = []
        for session in snapshot.sessions {
            for activation in session.activations { activations[activation.configuration, default: 0] += 1 }
            let flags = StateFlags(session)
            for instance in session.instances { held.append((instance, flags)) }
        }
        for buffer in snapshot.quarantine {
            for instance in buffer.instances { held.append((instance, StateFlags(buffer))) }
        }
        self.held = held
    }

    private var isOld: Bool { dwstat.compatibility == .y2015 }

    mutating func table(_ table: Dwstat.Table) -> TextTable {
        switch table {
        case .pools: pools()
        case .sessions: sessions()
        case .instances: instances()
        case .configurations: configurations()
        case .registrations: registrations()
        case .activations: activationRows()
        case .fragments: fragments()
        case .namespaces: namespaces()
        case .nodes: nodes()
        }
    }

    private mutating func size(_ bytes: UInt64) -> String {
        if let text = sizes[bytes] { return text }
        let text = IECSize.text(bytes, isDecimal: dwstat.isDecimal)
        sizes[bytes] = text
        return text
    }

    private mutating func size(_ granules: UInt64, _ granularity: UInt64) -> String {
        let (bytes, isOver) = granules.multipliedReportingOverflow(by: granularity)
        return size(isOver ? .max : bytes)
    }

    /// `2015-09-08T16:20:36`
    private mutating func append(_ time: Timestamp, to bytes: inout [UInt8]) {
        let local = zone.local(time)
        let secondsOfDay: Int64 = 86_400
        let number = local.secondsSinceEpoch / secondsOfDay
        if day?.number != number {
            day = (number, String(LocalTime(secondsSinceEpoch: number * secondsOfDay).text.prefix(11)))
        }
        bytes += (day?.text ?? "").utf8
        let second = local.secondsSinceEpoch % secondsOfDay
        for (place, part) in [second / 3600, second / 60 % 60, second % 60].enumerated() {
            if place > 0 { bytes.append(UInt8(ascii: ":")) }
            bytes.append(UInt8(ascii: "0") + UInt8(part / 10))
            bytes.append(UInt8(ascii: "0") + UInt8(part % 10))
        }
    }

    private mutating func pools() -> TextTable {
        var table = TextTable(["pool", "units", "quantity", "free", "gran"])
        for row in snapshot.pools {
            table.cell(row.pool.id)
            table.cell(row.pool.units)
            table.cell(size(row.pool.usable, row.pool.granularity))
            table.cell(size(row.free, row.pool.granularity))
            table.cell(size(row.pool.granularity))
        }
        return table
    }

    private mutating func sessions() -> TextTable {
        var table = TextTable(["sess", "state", "token", "creator", "owner", "created", "expiration", "nodes"])
        for session in snapshot.sessions {
            table.cell(session.id.number)
            table.cell(StateFlags(session))
            table.cell(session.token)
            table.cell(session.creator.rawValue)
            table.cell(UInt64(session.owner.uid))
            table.cell { append(session.created, to: &$0) }
            table.cell("never")
            table.cell(UInt64(session.nodes.count))
        }
        for buffer in snapshot.quarantine {
            table.cell(buffer.id.number)
            table.cell(StateFlags(buffer))
            table.cell(buffer.key.token)
            table.cell(buffer.creator.rawValue)
            table.cell(UInt64(buffer.owner.uid))
            table.cell { append(buffer.created, to: &$0) }
            table.cell("never")
            table.cell(0)
        }
        return table
    }

    private mutating func instances() -> TextTable {
        var table = TextTable([
            "inst", "state", "sess", "bytes", "nodes", "created", "expiration", "intact", "label", "public", "confs",
        ])
        for session in snapshot.sessions {
            let flags = StateFlags(session)
            for instance in session.instances {
                table.cell(instance.id)
                table.cell(flags)
                table.cell(session.id.number)
                table.cell(size(instance.bytes))
                table.cell(1)
                table.cell { append(session.created, to: &$0) }
                table.cell("never")
                table.cell(session.lostWhy == nil ? "true" : "false")
                table.cell(session.label(of: instance.id))
                table.cell(shared(session.isPersistent))
                table.cell(UInt64(instance.configurations.count))
            }
        }
        for buffer in snapshot.quarantine {
            for (index, instance) in buffer.instances.enumerated() {
                table.cell(instance.id)
                table.cell(StateFlags(buffer))
                table.cell(buffer.id.number)
                table.cell(size(instance.bytes))
                table.cell(1)
                table.cell { append(buffer.created, to: &$0) }
                table.cell("never")
                table.cell("false")
                table.cell("I\(buffer.id.number)-\(index)")
                table.cell(shared(false))
                table.cell(UInt64(instance.configurations.count))
            }
        }
        return table
    }

    private func shared(_ isPersistent: Bool) -> String {
        isOld ? (isPersistent ? "true" : "false") : (isPersistent ? "public" : "private")
    }

    private func configurations() -> TextTable {
        var table = TextTable(["conf", "state", "inst", "type"] + (isOld ? [] : ["access_type"]) + ["activs"])
        for (instance, flags) in held {
            for configuration in instance.configurations {
                table.cell(configuration.id)
                table.cell(flags)
                table.cell(instance.id)
                table.cell(configuration.access == .swap ? "swap" : "scratch")
                if !isOld { table.cell(configuration.access.rawValue) }
                table.cell(activations[configuration.id, default: 0])
            }
        }
        return table
    }

    private func registrations() -> TextTable {
        var table = TextTable(["reg", "state", "sess", "conf", "wait"])
        for session in snapshot.sessions {
            let flags = StateFlags(session)
            for registration in session.registrations {
                table.cell(registration.id)
                table.cell(flags)
                table.cell(session.id.number)
                table.cell(registration.configuration)
                // Whether results are waited for.
                table.cell(session.isHurried ? "false" : "true")
            }
        }
        return table
    }

    private func activationRows() -> TextTable {
        var table = TextTable(["activ", "state", "sess", "conf", "nodes", "mount"])
        for session in snapshot.sessions {
            let flags = StateFlags(session)
            let isSeen = Dwstat.maySee(viewer, session.owner.uid)
            for activation in session.activations {
                table.cell(activation.id)
                table.cell(flags)
                table.cell(session.id.number)
                table.cell(activation.configuration)
                table.cell(UInt64(max(1, session.nodes.count)))
                table.cell(isSeen ? snapshot.mountFolder + "/" + activation.mount : "-")
            }
        }
        return table
    }

    private mutating func fragments() -> TextTable {
        var table = TextTable(["frag", "state", "inst", "capacity"] + (isOld ? [] : ["gran"]) + ["node"])
        for (instance, flags) in held {
            table.cell(instance.fragment)
            table.cell(flags, places: 4)
            table.cell(instance.id)
            table.cell(size(instance.bytes))
            if !isOld { table.cell(size(granularities[instance.pool, default: 0])) }
            table.cell(snapshot.host)
        }
        return table
    }

    private func namespaces() -> TextTable {
        var table = TextTable(["ns", "state", "conf", "frag", "span"])
        for (instance, flags) in held {
            for configuration in instance.configurations where configuration.access != .swap {
                table.cell(configuration.namespace)
                table.cell(flags, places: 4)
                table.cell(configuration.id)
                table.cell(instance.fragment)
                table.cell(1)
            }
        }
        return table
    }

    /// A row for each pool: all of them are this machine's.
    private mutating func nodes() -> TextTable {
        var table = TextTable(["node", "pool", "online", "drain", "gran", "capacity", "insts", "activs"])
        var instances: [String: UInt64] = [:]
        var active: [String: UInt64] = [:]
        for (instance, _) in held {
            instances[instance.pool, default: 0] += 1
            for configuration in instance.configurations {
                active[instance.pool, default: 0] += activations[configuration.id, default: 0]
            }
        }
        for row in snapshot.pools {
            let isOnline = row.pool.isAvailable
            table.cell(snapshot.host)
            table.cell(row.pool.id)
            table.cell(isOld ? (isOnline ? "true" : "false") : (isOnline ? "online" : "offline"))
            table.cell(isOld ? (isOnline ? "false" : "true") : (isOnline ? "fill" : "drain"))
            table.cell(size(row.pool.granularity))
            table.cell(size(row.pool.usable, row.pool.granularity))
            table.cell(instances[row.pool.id, default: 0])
            table.cell(active[row.pool.id, default: 0])
        }
        return table
    }
}
