package import BurstModel

/// Reads the pools of `burst.toml`. Each fault is one line with its place in the file.
package enum PoolsFile {
    package static let name = "burst.toml"

    private static let keys = [
        "name", "path", "granularity", "quantity", "driver", "image", "bytes_per_inode", "metadata_reserve_percent",
        "threads", "bytes_per_second", "files_per_second",
    ]
    static let staging = "staging"

    /// All that the file says.
    package struct Contents: Hashable, Sendable {
        /// In the order of the file.
        package var pools: [PoolSettings] = []
        /// `slurm_user`: who runs slurmctld, and with it `dw_wlm_cli`. A name or a number; nil: not said.
        package var slurmUser: String?
    }

    /// Reads the file of that path.
    /// - Returns: nil where there is none.
    package static func contents(_ path: String) throws(FileFault) -> Contents? {
        switch TextFile.read(path) {
        case .missing: return nil
        case .refused(let fault): throw fault
        case .text(let text): return try contents(text, file: path)
        }
    }

    /// The pools alone.
    package static func load(_ path: String) throws(FileFault) -> [PoolSettings]? { try contents(path)?.pools }

    /// The pools in the order of the file.
    /// - Throws: the first thing that is wrong; then nothing of the file counts.
    package static func pools(_ text: String, file: String) throws(FileFault) -> [PoolSettings] {
        try contents(text, file: file).pools
    }

    /// - Throws: the first thing that is wrong; then nothing of the file counts.
    package static func contents(_ text: String, file: String) throws(FileFault) -> Contents {
        let document = try TOMLDocument(text, file: file)
        try document.allow(["slurm_user", staging, "pool"], in: document.root, at: [], "key")
        var contents = Contents()
        if let user = document.root["slurm_user"] {
            let name = try document.text(user, at: ["slurm_user"])
            guard !name.isEmpty else {
                throw document.fault(["slurm_user"], "slurm_user is empty", "name SlurmUser, as slurm.conf has it")
            }
            contents.slurmUser = name
        }
        let table = try document.table(document.root[staging], at: [staging])
        try document.allow(stagingKeys, in: table, at: [staging], "key of [\(staging)]")
        contents.pools = try pools(document, try settings(table, [staging], StagingSettings(), document))
        return contents
    }

    /// - Parameter staging: what holds for pools that do not say it themselves.
    private static func pools(
        _ document: TOMLDocument, _ staging: StagingSettings
    ) throws(FileFault) -> [PoolSettings] {
        guard let list = document.root["pool"] else { return [] }
        guard case .list(let values) = list else {
            throw document.fault(["pool"], "pool is \(list.kind)", "write each pool as [[pool]]")
        }
        guard values.count <= PoolSettings.poolsMax else {
            throw document.fault(
                ["pool", String(PoolSettings.poolsMax)], "there are \(values.count) pools",
                "at most \(PoolSettings.poolsMax) are taken")
        }
        var pools: [PoolSettings] = []
        for (index, value) in values.enumerated() {
            let path = ["pool", String(index)]
            guard case .table(let table) = value else {
                throw document.fault(path, "a pool is \(value.kind)", "write each pool as [[pool]]")
            }
            let pool = try self.pool(table, path, staging, document)
            try check(pool, against: pools, path, document)
            pools.append(pool)
        }
        return pools
    }

    private static func pool(
        _ table: [String: TOMLDocument.Value], _ path: [String], _ staging: StagingSettings, _ document: TOMLDocument
    ) throws(FileFault) -> PoolSettings {
        try document.allow(keys + stagingKeys, in: table, at: path, "key of [[pool]]")
        func needed(_ key: String, _ example: String) throws(FileFault) -> TOMLDocument.Value {
            if let value = table[key] { return value }
            throw document.fault(path, "a pool has no \(key)", "write \(key) = \(example)")
        }
        var pool = PoolSettings(
            name: try name(needed("name", "\"nvme\""), path + ["name"], document),
            path: try folder(needed("path", "\"/mnt/nvme/burst\""), path + ["path"], document),
            granularity: try bytes(
                needed("granularity", "\"16MiB\""), path + ["granularity"],
                PoolSettings.granularityMin...PoolSettings.granularityMax, document),
            quantity: try quantity(needed("quantity", "\"all\""), path + ["quantity"], document))
        for (key, value) in document.ordered(table, at: path) {
            let path = path + [key]
            switch key {
            case "driver": pool.driver = try driver(value, path, document)
            case "image": pool.image = try document.word(value, at: path, as: PoolSettings.Image.self)
            case "bytes_per_inode":
                pool.bytesPerInode = try bytes(
                    value, path, PoolSettings.bytesPerInodeMin...PoolSettings.bytesPerInodeMax, document)
            case "metadata_reserve_percent":
                pool.metadataReservePercent = try document.whole(value, at: path, in: 0...50)
            case "threads": pool.threads = try document.whole(value, at: path, in: 1...PoolSettings.threadsMax)
            case "bytes_per_second": pool.bytesPerSecond = try bytes(value, path, 0...UInt64(Int64.max), document)
            case "files_per_second":
                pool.filesPerSecond = UInt64(try document.whole(value, at: path, in: 0...1_000_000_000))
            default: break  // Read before, or of staging.
            }
        }
        pool.staging = try settings(table.filter { stagingKeys.contains($0.key) }, path, staging, document)
        if pool.staging.nodes > 1, pool.driver == .loop || pool.driver == .tmpfs {
            throw document.fault(
                path + ["nodes"], "nodes is \(pool.staging.nodes) and driver \"\(pool.driver?.rawValue ?? "")\"",
                "other hosts do not see such buffers: write nodes = 1")
        }
        if case .granules(let granules) = pool.quantity,
            granules.multipliedReportingOverflow(by: pool.granularity).overflow
        {
            throw document.fault(
                path + ["quantity"],
                "\(granules) granules of \(PoolText.size(pool.granularity)) are above 2^64-1 bytes",
                "quantity counts granules, not bytes")
        }
        return pool
    }

    private static func name(
        _ value: TOMLDocument.Value, _ path: [String], _ document: TOMLDocument
    ) throws(FileFault) -> String {
        let name = try document.text(value, at: path)
        if PoolName.isName(name) { return name }
        throw document.fault(path, "\(quoted(name)) is no name of a pool", PoolName.rule)
    }

    /// Longer paths leave no room for what a pool puts below.
    private static let pathBytesMax = 1024

    private static func folder(
        _ value: TOMLDocument.Value, _ path: [String], _ document: TOMLDocument
    ) throws(FileFault) -> String {
        let folder = try document.text(value, at: path, bytesMax: pathBytesMax)
        let parts = folder.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
        guard folder.hasPrefix("/"), folder != "/", parts.allSatisfy({ !$0.isEmpty && $0 != "." && $0 != ".." }) else {
            throw document.fault(
                path, "path is \(quoted(folder))", "write an absolute path without ., .., doubled or trailing slashes")
        }
        return folder
    }

    private static func driver(
        _ value: TOMLDocument.Value, _ path: [String], _ document: TOMLDocument
    ) throws(FileFault) -> PoolDriver? {
        let text = try document.text(value, at: path)
        if text == "auto" { return nil }
        if let driver = PoolDriver(rawValue: text) { return driver }
        throw document.fault(
            path, "driver is \(quoted(text))", "use " + alternatives(["auto"] + PoolDriver.allCases.map(\.rawValue)))
    }

    private static func quantity(
        _ value: TOMLDocument.Value, _ path: [String], _ document: TOMLDocument
    ) throws(FileFault) -> PoolSettings.Quantity {
        switch value {
        case .text("all"): return .all
        case .whole(let granules) where granules > 0: return .granules(UInt64(granules))
        case .whole(let granules):
            throw document.fault(path, "quantity is \(granules)", "write a number of granules from 1 on, or \"all\"")
        case .text(let text):
            throw document.fault(path, "quantity is \(quoted(text))", "write a number of granules, or \"all\"")
        default: throw document.fault(path, "quantity is \(value.kind)", "write a number of granules, or \"all\"")
        }
    }

    private static let units: [(name: String, shift: UInt64)] = [
        ("B", 0), ("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40), ("PiB", 50),
    ]

    /// A whole number with a unit, in quotes, or a plain number of bytes.
    static func bytes(
        _ value: TOMLDocument.Value, _ path: [String], _ range: ClosedRange<UInt64>, _ document: TOMLDocument
    ) throws(FileFault) -> UInt64 {
        let key = path.last ?? ""
        let right =
            "write a whole number with B, KiB, MiB, GiB, TiB or PiB in quotes,"
            + " from \(PoolText.size(range.lowerBound)) to \(PoolText.size(range.upperBound))"
        var amount: UInt64?
        var shown: String
        switch value {
        case .whole(let whole):
            shown = String(whole)
            amount = UInt64(exactly: whole)
        case .text:
            let text = try document.text(value, at: path, bytesMax: 64)
            shown = quoted(text)
            let digits = text.prefix { ("0"..."9").contains($0) }
            let unit = text.dropFirst(digits.count).drop { $0 == " " }
            if let number = UInt64(digits), let shift = units.first(where: { $0.name == unit })?.shift {
                let (product, overflow) = number.multipliedReportingOverflow(by: 1 << shift)
                amount = overflow ? nil : product
            }
        default: shown = value.kind
        }
        guard let amount, range.contains(amount) else {
            throw document.fault(path, "\(key) is \(shown)", right)
        }
        return amount
    }

    private static func check(
        _ pool: PoolSettings, against others: [PoolSettings], _ path: [String], _ document: TOMLDocument
    ) throws(FileFault) {
        for other in others {
            if other.name == pool.name {
                throw document.fault(
                    path + ["name"], "there are two pools \(quoted(pool.name))", "give each a name of its own")
            }
            let (inner, outer) =
                pool.path.utf8.count >= other.path.utf8.count ? (pool.path, other.path) : (other.path, pool.path)
            if inner == outer || inner.hasPrefix(outer + "/") {
                throw document.fault(
                    path + ["path"], "pools \(quoted(pool.name)) and \(quoted(other.name)) share \(quoted(outer))",
                    "give each a folder that is not within another's")
            }
        }
    }
}
