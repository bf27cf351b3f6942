/// A pool as `burst pool list` and `burst pool check` show it, and the text of both.
package struct PoolReport: Hashable, Sendable {
    /// What stands in the way of using it; one line each.
    package var faults: [String]
    package var name: String
    package var path: String
    /// nil: not known, since the pool could not be opened.
    package var driver: PoolDriver?
    package var granularity: UInt64
    package var account: PoolAccount?
    package var buffers: Int
    /// Torn down, not yet removed.
    package var quarantinedBuffers: Int
    /// What the file system below has left, bytes.
    package var fileSystemFree: UInt64?
    package var leaks: [Leak]
    package var staging: StagingSettings

    package init(
        name: String, path: String, granularity: UInt64, driver: PoolDriver? = nil, account: PoolAccount? = nil,
        buffers: Int = 0, quarantinedBuffers: Int = 0, fileSystemFree: UInt64? = nil, faults: [String] = [],
        leaks: [Leak] = [], staging: StagingSettings = StagingSettings()
    ) {
        self.name = name
        self.path = path
        self.granularity = granularity
        self.driver = driver
        self.account = account
        self.buffers = buffers
        self.quarantinedBuffers = quarantinedBuffers
        self.fileSystemFree = fileSystemFree
        self.faults = faults
        self.leaks = leaks
        self.staging = staging
    }

    package var isUsable: Bool { faults.isEmpty && account != nil }
}

/// What `burst pool list` and `burst pool check` print.
package enum PoolText {
    private enum Side { case left, right }

    /// A table, columns as wide as their widest cell, with a line break at the end.
    package static func list(_ pools: [PoolReport]) -> String {
        var rows: [[String]] = [
            [
                "POOL", "DRIVER", "LIMIT", "GRANULARITY", "QUANTITY", "USED", "QUARANTINE", "FREE", "BUFFERS", "VERIFY",
                "PATH",
            ]
        ]
        for pool in pools {
            func amount(_ granules: UInt64?) -> String {
                guard let granules else { return "-" }
                let (bytes, overflow) = granules.multipliedReportingOverflow(by: pool.granularity)
                return size(overflow ? .max : bytes)
            }
            let account = pool.account
            rows.append([
                pool.name, pool.driver?.rawValue ?? "-", pool.driver.map { $0.isHard ? "hard" : "soft" } ?? "-",
                size(pool.granularity), amount(account?.quantity), amount(account?.live),
                amount(account?.quarantined), pool.isUsable ? amount(account?.free) : "unusable",
                account == nil ? "-" : String(pool.buffers),
                pool.staging.verify.rawValue, plain(pool.path),
            ])
        }
        let sides: [Side] = [.left, .left, .left, .right, .right, .right, .right, .right, .right, .left, .left]
        return table(rows, sides)
    }

    /// A line for each thing that is wrong, or one that says that nothing is; then leaks. Ends with a line break.
    package static func check(_ pools: [PoolReport]) -> String {
        var text = ""
        for pool in pools {
            for fault in pool.faults { text += "\(pool.name): \(plain(fault))\n" }
            for leak in pool.leaks { text += "\(pool.name): \(leak.description)\n" }
            if pool.faults.isEmpty, pool.leaks.isEmpty {
                let driver = pool.driver.map { "\($0.rawValue), \($0.isHard ? "hard" : "soft") limit" } ?? "no driver"
                let free = pool.account.map { "\($0.free) of \($0.quantity) granules free" } ?? "nothing known"
                text += "\(pool.name): ok (\(driver), \(free))\n"
            }
        }
        return text
    }

    /// 0: all is well; 1: something leaks; 2: a pool cannot be used.
    package static func exitCode(_ pools: [PoolReport]) -> Int32 {
        if pools.contains(where: { !$0.isUsable }) { return 2 }
        return pools.contains { !$0.leaks.isEmpty } ? 1 : 0
    }

    /// An object with `pools`; amounts in bytes where the name says so, else in granules.
    package static func json(_ pools: [PoolReport]) -> [UInt8] {
        var writer = JSONWriter(pretty: true)
        writer.object { document in
            document.objects("pools", pools) { writer, pool in
                writer.field("name", pool.name)
                writer.field("path", pool.path)
                writer.field("usable", pool.isUsable)
                writer.field("driver", pool.driver?.rawValue)
                writer.field("hard_limit", pool.driver?.isHard ?? false)
                writer.field("granularity_bytes", pool.granularity)
                writer.field("quantity", pool.account?.quantity)
                writer.field("live", pool.account?.live)
                writer.field("quarantined", pool.account?.quarantined)
                writer.field("reserve", pool.account?.reserve)
                writer.field("free", pool.account?.free)
                writer.field("buffers", pool.buffers)
                writer.field("quarantined_buffers", pool.quarantinedBuffers)
                writer.field("file_system_free_bytes", pool.fileSystemFree)
                writer.field("copier", pool.staging.copier.rawValue)
                writer.field("verify", pool.staging.verify.rawValue)
                writer.field("nodes", pool.staging.nodes)
                writer.array("faults", pool.faults)
                writer.objects("leaks", pool.leaks) { writer, leak in
                    writer.field("class", leak.kind.rawValue)
                    writer.field("name", leak.name)
                    writer.field("age_seconds", leak.ageSeconds)
                    writer.field("bytes", leak.bytes)
                    writer.field("repair", leak.repair.rawValue)
                }
            }
        }
        return writer.bytes + [0x0a]
    }

    /// Exact where a unit divides it, so that nothing is rounded away: `16MiB`, `1536KiB`, `17`.
    package static func size(_ bytes: UInt64) -> String {
        let units: [(name: String, shift: UInt64)] = [("PiB", 50), ("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)]
        for unit in units where bytes > 0 && bytes % (1 << unit.shift) == 0 {
            return "\(bytes >> unit.shift)\(unit.name)"
        }
        return String(bytes)
    }

    /// Without control characters, for a terminal.
    private static func plain(_ text: String) -> String {
        var plain = ""
        for scalar in text.unicodeScalars {
            let isControl = scalar.value < 0x20 || (0x7f..<0xa0).contains(scalar.value)
            plain.unicodeScalars.append(isControl ? "?" : scalar)
        }
        return plain
    }

    private static func table(_ rows: [[String]], _ sides: [Side]) -> String {
        let widths = sides.indices.map { column in rows.map { $0[column].count }.max() ?? 0 }
        var text = ""
        for row in rows {
            var line = ""
            for (column, cell) in row.enumerated() {
                let blanks = String(repeating: " ", count: widths[column] - cell.count)
                if column > 0 { line += "  " }
                if sides[column] == .right {
                    line += blanks + cell
                } else {
                    line += column == row.count - 1 ? cell : cell + blanks
                }
            }
            text += line + "\n"
        }
        return text
    }
}
