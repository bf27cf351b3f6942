import BurstTestSupport

/// What `scontrol -v show burst` and `squeue` said, read in the simplest way, with none of burstmon's code.
struct Said {
    struct Header {
        var fields: [String: String] = [:]
        var pools: [[String: String]] = []
    }

    var plugins: [Header] = []
    /// Each with its plugin's name under "plugin".
    var buffers: [[String: String]] = []
    /// Name, number, Used.
    var users: [(name: String, uid: Int64, used: Int64)] = []
    var jobs: [[String: String]] = []

    static let jobFields = [
        "JobID", "BurstBufferState", "State", "BurstBuffer", "Reason", "PriorityLong", "Name", "UserName", "ArrayJobID",
        "ArrayTaskID", "StartTime",
    ]
    static let squeue = [
        "squeue", "-a", "-t", "all", "-h", "-O",
        jobFields.dropLast().map { "\($0):\u{1f}" }.joined(separator: ",") + ",StartTime:\u{1e}",
    ]
    static let scontrol = ["scontrol", "-v", "show", "burst"]

    init(burst: String, squeue: String) {
        for line in burst.split(separator: "\n") {
            let words = line.split(separator: " ").compactMap { word -> (String, String)? in
                let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                return parts.count == 2 ? ("\(parts[0])", "\(parts[1])") : nil
            }
            let fields = Dictionary(words) { first, _ in first }
            if line.hasPrefix("Name=") {
                plugins.append(Header(fields: fields))
            } else if line.hasPrefix("  PoolName[") {
                var pool = fields
                pool["name"] = words[0].1
                plugins[plugins.count - 1].pools.append(pool)
            } else if line.hasPrefix("    UserID=") {
                let (name, number) = Self.named(fields["UserID"]!)
                users.append((name, number, Self.bytes(fields["Used"]!)!))
            } else if line.hasPrefix("    ") {
                buffers.append(fields.merging(["plugin": plugins[plugins.count - 1].fields["Name"]!]) { $1 })
            } else {
                plugins[plugins.count - 1].fields.merge(fields) { first, _ in first }
            }
        }
        for record in squeue.split(separator: "\u{1e}") {
            let values = record.drop { $0 == "\n" }.split(separator: "\u{1f}", omittingEmptySubsequences: false)
            guard values.count == Self.jobFields.count else { continue }
            jobs.append(Dictionary(uniqueKeysWithValues: zip(Self.jobFields, values.map(String.init))))
        }
    }

    /// `alice(1001)`
    static func named(_ text: String) -> (String, Int64) {
        let parts = text.split(whereSeparator: { $0 == "(" || $0 == ")" })
        return ("\(parts[0])", Int64(parts[1])!)
    }

    /// `20GiB`, `250KB`, `7`.
    static func bytes(_ text: String) -> Int64? {
        let digits = text.prefix { $0.isNumber }
        guard let number = Int64(digits) else { return nil }
        let unit = text.dropFirst(digits.count)
        if unit.isEmpty { return number }
        guard
            let power = "KMGTPE".firstIndex(of: unit.first!).map({
                "KMGTPE".distance(from: "KMGTPE".startIndex, to: $0) + 1
            })
        else { return nil }
        let factor: Int64 = unit.dropFirst() == "B" ? 1000 : 1024
        return (0..<power).reduce(number) { value, _ in value * factor }
    }
}

/// Compares the document of `--json` with what Slurm said, field by field, and collects the differences.
struct Comparison {
    let said: Said
    let document: JSON
    private(set) var differences: [String] = []
    private(set) var fields = 0

    init(_ said: Said, _ document: JSON) {
        self.said = said
        self.document = document
        check("stale", document["stale"], .flag(false))
        check("error", document["error"], .null)
        check("faults", document["faults"], .array([]))
        plugins()
        pools()
        buffers()
        users()
        jobs()
    }

    private mutating func check(_ what: String, _ found: JSON, _ expected: JSON) {
        fields += 1
        if found != expected { differences.append("\(what): \(found), Slurm says \(expected)") }
    }

    private func text(_ text: String?) -> JSON { text.map { $0 == "(null)" ? .null : .text($0) } ?? .null }
    private func number(_ number: Int64?) -> JSON { number.map { .number($0) } ?? .null }
    private func size(_ text: String?) -> JSON { number(text.flatMap(Said.bytes)) }
    private func list(_ text: String?) -> JSON {
        .array(text.map { $0.split(separator: ",").map { .text("\($0)") } } ?? [])
    }

    private mutating func sizes(_ what: String, _ found: JSON, _ fields: [String: String]) {
        for (key, name) in [
            ("granularity", "Granularity"), ("total", "TotalSpace"), ("used", "UsedSpace"), ("free", "FreeSpace"),
        ] {
            check("\(what) \(key)", found[key], size(fields[name]))
            check("\(what) text \(key)", found["text"][key], text(fields[name]))
        }
    }

    private mutating func plugins() {
        check("plugins", .number(Int64(document["plugins"].elements.count)), .number(Int64(said.plugins.count)))
        for (found, expected) in zip(document["plugins"].elements, said.plugins) {
            let fields = expected.fields
            check("plugin name", found["name"], text(fields["Name"]))
            check("plugin default_pool", found["default_pool"], text(fields["DefaultPool"]))
            check("plugin flags", found["flags"], list(fields["Flags"]))
            sizes("plugin", found, fields)
            for (key, name) in [
                ("stage_in_timeout", "StageInTimeout"), ("stage_out_timeout", "StageOutTimeout"),
                ("validate_timeout", "ValidateTimeout"), ("other_timeout", "OtherTimeout"),
                ("poll_interval", "PollInterval"),
            ] { check("plugin \(key)", found[key], number(fields[name].flatMap { Int64($0) })) }
            check("plugin allow_users", found["allow_users"], list(fields["AllowUsers"]))
            check("plugin deny_users", found["deny_users"], list(fields["DenyUsers"]))
            check("plugin get_sys_state", found["get_sys_state"], text(fields["GetSysState"]))
            check("plugin get_sys_status", found["get_sys_status"], text(fields["GetSysStatus"]))
        }
    }

    private var allPools: [(plugin: String, isDefault: Bool, fields: [String: String])] {
        said.plugins.flatMap { plugin -> [(plugin: String, isDefault: Bool, fields: [String: String])] in
            let name = plugin.fields["Name"]!
            var pools = plugin.pools.map {
                (plugin: name, isDefault: $0["name"] == plugin.fields["DefaultPool"], fields: $0)
            }
            // The plugin's own line is a pool too where it has a default pool and figures of its own.
            if let own = plugin.fields["DefaultPool"], own != "(null)" {
                pools.insert((name, true, plugin.fields.merging(["name": own]) { $1 }), at: 0)
            }
            return pools
        }
    }

    private mutating func pools() {
        let found = document["pools"].elements
        let expected = allPools
        check("pools", .array(found.map { $0["name"] }), .array(expected.map { text($0.fields["name"]) }))
        for (pool, (plugin, isDefault, fields)) in zip(found, expected) {
            let name = fields["name"]!
            check("pool \(name) plugin", pool["plugin"], .text(plugin))
            check("pool \(name) default", pool["default"], .flag(isDefault))
            sizes("pool \(name)", pool, fields)
            let total = Said.bytes(fields["TotalSpace"]!)!
            let free = Said.bytes(fields["FreeSpace"]!)!
            let used = Said.bytes(fields["UsedSpace"]!)!
            let granule = Said.bytes(fields["Granularity"]!)!
            // More free than there can be (a DataWarp pools reading) is no drain, and no request larger than what is
            // not
            // used fits (spec §6.2).
            let fits = min(free, total - used) / granule * granule
            check("pool \(name) drained", pool["drained"], .number(max(0, total - free - used)))
            check(
                "pool \(name) largest_request", pool["largest_request"],
                .number(fits))
            let own = said.buffers.filter { $0["Pool"] == name && $0["plugin"] == plugin }.count
            check("pool \(name) buffers", pool["buffers"], .number(Int64(own)))
        }
    }

    private mutating func buffers() {
        // Slurm's order means nothing.
        func key(_ fields: [String: String]) -> String {
            fields["JobID"].map { "JobID=\($0)" } ?? "Name=\(fields["Name"]!)"
        }
        var left = Dictionary(document["buffers"].elements.map { ($0["text"]["id"].text ?? "", $0) }) { first, _ in
            first
        }
        check("buffers", .number(Int64(document["buffers"].elements.count)), .number(Int64(said.buffers.count)))
        for fields in said.buffers {
            let name = key(fields)
            guard let found = left.removeValue(forKey: name) else {
                differences.append("buffer \(name) is missing; there are \(left.keys.sorted())")
                continue
            }
            let number = fields["JobID"].flatMap { id -> Int64? in
                Int64(id.split(separator: "(").last!.filter(\.isNumber))
            }
            check("buffer \(name) job_id", found["job_id"], self.number(number))
            let array = fields["JobID"].flatMap {
                $0.contains("_") ? $0.split(whereSeparator: { "_(".contains($0) }) : nil
            }
            check("buffer \(name) array_job_id", found["array_job_id"], self.number(array.flatMap { Int64($0[0]) }))
            check("buffer \(name) array_task_id", found["array_task_id"], self.number(array.flatMap { Int64($0[1]) }))
            check("buffer \(name) name", found["name"], text(fields["Name"]))
            check("buffer \(name) plugin", found["plugin"], text(fields["plugin"]))
            let (user, uid) = Said.named(fields["UserID"]!)
            check("buffer \(name) user", found["user"], .text(user))
            check("buffer \(name) uid", found["uid"], .number(uid))
            check("buffer \(name) account", found["account"], text(fields["Account"]))
            check("buffer \(name) partition", found["partition"], text(fields["Partition"]))
            check("buffer \(name) qos", found["qos"], text(fields["QOS"]))
            check("buffer \(name) pool", found["pool"], text(fields["Pool"]))
            check("buffer \(name) size", found["size"], size(fields["Size"]))
            check("buffer \(name) text size", found["text"]["size"], text(fields["Size"]))
            check("buffer \(name) state", found["state"], text(fields["State"]))
            check("buffer \(name) created_at", found["created_at"], text(fields["CreateTime"].map { $0 + "Z" }))
            check("buffer \(name) text created", found["text"]["created"], text(fields["CreateTime"]))
            let job = said.jobs.first { $0["JobID"].flatMap { Int64($0) } == number && number != nil }
            check("buffer \(name) job_state", found["job_state"], text(job?["State"]))
            check("buffer \(name) job_buffer_state", found["job_buffer_state"], text(job?["BurstBufferState"]))
            check("buffer \(name) reason", found["reason"], text(job?["Reason"]))
        }
        if !left.isEmpty { differences.append("buffers that Slurm does not list: \(left.keys.sorted())") }
    }

    private mutating func users() {
        let found = document["users"].elements
        var names = Set(said.users.map(\.name))
        names.formUnion(said.buffers.map { Said.named($0["UserID"]!).0 })
        check(
            "users", .array(found.compactMap(\.self["user"].text).sorted().map { .text($0) }),
            .array(names.sorted().map { .text($0) }))
        for user in found {
            guard let name = user["user"].text else { continue }
            let own = said.buffers.filter { Said.named($0["UserID"]!).0 == name }
            let said = said.users.first { $0.name == name }
            check("user \(name) used", user["used"], number(said?.used))
            if let said { check("user \(name) uid", user["uid"], .number(said.uid)) }
            check("user \(name) buffers", user["buffers"], .number(Int64(own.count)))
            check("user \(name) sum", user["sum"], .number(own.compactMap { Said.bytes($0["Size"]!) }.reduce(0, +)))
        }
    }

    private mutating func jobs() {
        let expected = said.jobs.filter { !($0["BurstBuffer"] ?? "").isEmpty && $0["BurstBuffer"] != "(null)" }
        var left = Dictionary(document["jobs"].elements.map { ($0["job_id"].number ?? -1, $0) }) { first, _ in first }
        for fields in expected {
            let id = Int64(fields["JobID"]!)!
            guard let found = left.removeValue(forKey: id) else {
                // A job that is over, buffer and all, need not be listed.
                let isOver = ["COMPLETED", "CANCELLED", "FAILED", "TIMEOUT", "NODE_FAIL"].contains(fields["State"])
                let isGone = ["complete", ""].contains(fields["BurstBufferState"])
                if !isOver || !isGone { differences.append("job \(id) is missing") }
                continue
            }
            let task = fields["ArrayTaskID"]!
            let short =
                task == "N/A" || task.isEmpty
                ? "\(id)" : "\(fields["ArrayJobID"]!)_\(Int(task) == nil ? "[\(task)]" : task)"
            check("job \(id) id", found["id"], .text(short))
            check("job \(id) name", found["name"], text(fields["Name"]))
            check("job \(id) user", found["user"], text(fields["UserName"]))
            check("job \(id) job_state", found["job_state"], text(fields["State"]))
            check(
                "job \(id) buffer_state", found["buffer_state"],
                fields["BurstBufferState"]!.isEmpty ? .null : text(fields["BurstBufferState"]))
            check("job \(id) spec", found["spec"], text(fields["BurstBuffer"]))
            check("job \(id) reason", found["reason"], text(fields["Reason"]))
            check("job \(id) held", found["held"], .flag(fields["PriorityLong"] == "0"))
            let words = fields["BurstBuffer"]!.split(whereSeparator: \.isWhitespace)
            let pool = words.first { $0.hasPrefix("pool=") }.map { String($0.dropFirst(5)) }
            check("job \(id) pool", found["pool"], text(pool))
            if let wanted = words.first(where: { $0.hasPrefix("capacity=") }).flatMap({
                Said.bytes(String($0.dropFirst(9)))
            }),
                let granule = allPools.first(where: { $0.fields["name"] == pool }).flatMap({
                    Said.bytes($0.fields["Granularity"]!)
                })
            {
                check("job \(id) need", found["need"], .number((wanted + granule - 1) / granule * granule))
            }
            let start = fields["StartTime"]!
            let isKnown = fields["State"] == "PENDING" && start.contains("T")
            check("job \(id) expected_start", found["expected_start"], isKnown ? .text(start + "Z") : .null)
        }
        if !left.isEmpty { differences.append("jobs that Slurm does not list: \(left.keys.sorted())") }
    }
}
