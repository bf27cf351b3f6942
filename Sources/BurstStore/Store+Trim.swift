package import BurstModel
import GRDB

/// How much history is kept.
package struct HistoryLimits: Hashable, Sendable {
    package var days = 30
    /// Of each table.
    package var rows = 1_000_000
    /// Of the database as a whole, without pages that are free again.
    package var bytes = 1 << 30

    package init() {}
}

extension Store {
    /// Forgets some of the oldest history, if there is too much of it. Holds the writer some milliseconds only: call it
    /// again, with a pause, as long as it answers true.
    ///
    /// Calls under way stay, and so does the state, whatever its size.
    package func trim(_ limits: HistoryLimits = HistoryLimits(), at now: Timestamp) throws(StoreFault) -> Bool {
        try guarded {
            let deleted = try writer.write { try Self.trimStep($0, limits, now) }
            guard !deleted else { return true }
            return try writer.writeWithoutTransaction { try Self.giveBackPages($0, limits) }
        }
    }

    private static let tables = ["state_changes", "calls", "actions", "stagings"]

    private static func trimStep(_ database: Database, _ limits: HistoryLimits, _ now: Timestamp) throws -> Bool {
        let oldest = now.milliseconds - Int64(max(0, limits.days)) * 86_400_000
        for table in tables {
            let filter = ended(table)
            var sql = "SELECT id FROM \(table) WHERE at < ? \(filter) ORDER BY at LIMIT \(StoreLimits.trimRows)"
            if try delete(Int64.fetchAll(database, sql: sql, arguments: [oldest]), of: table, database) { return true }
            sql = """
                SELECT id FROM \(table) WHERE id <= (SELECT max(id) FROM \(table)) - ? \(filter)
                ORDER BY id LIMIT \(StoreLimits.trimRows)
                """
            if try delete(Int64.fetchAll(database, sql: sql, arguments: [limits.rows]), of: table, database) {
                return true
            }
        }
        let pages = try usedPages(database)
        guard pages.used * pages.size > limits.bytes else { return false }
        // The oldest rows of all: first those of the table whose first row is oldest.
        var ages: [(at: Int64, table: String)] = []
        for table in tables {
            let sql = "SELECT at FROM \(table) WHERE 1 \(ended(table)) ORDER BY id LIMIT 1"
            if let at = try Int64.fetchOne(database, sql: sql) { ages.append((at, table)) }
        }
        guard let table = ages.min(by: { $0.at < $1.at })?.table else { return false }
        // A tenth of a step's rows, since too much must not go.
        let sql = "SELECT id FROM \(table) WHERE 1 \(ended(table)) ORDER BY id LIMIT \(StoreLimits.trimRows / 10)"
        return try delete(Int64.fetchAll(database, sql: sql), of: table, database)
    }

    /// What may go: the engine has yet to hear of a call that has no outcome.
    private static func ended(_ table: String) -> String { table == "calls" ? "AND outcome IS NOT NULL" : "" }

    /// Deletes in order, until the step's time is over.
    private static func delete(_ ids: [Int64], of table: String, _ database: Database) throws -> Bool {
        guard !ids.isEmpty else { return false }
        let statement = try database.cachedStatement(sql: "DELETE FROM \(table) WHERE id = ?")
        let end = ContinuousClock.now + .milliseconds(StoreLimits.trimMilliseconds)
        for id in ids {
            try statement.execute(arguments: [id])
            if ContinuousClock.now > end { break }
        }
        return true
    }

    private static func usedPages(_ database: Database) throws -> (used: Int, free: Int, size: Int) {
        let all = try Int.fetchOne(database, sql: "PRAGMA page_count") ?? 0
        let free = try Int.fetchOne(database, sql: "PRAGMA freelist_count") ?? 0
        return (all - free, free, try Int.fetchOne(database, sql: "PRAGMA page_size") ?? 4096)
    }

    /// Makes a file smaller that is too large, a few pages at a time. Free pages of others are used again.
    private static func giveBackPages(_ database: Database, _ limits: HistoryLimits) throws -> Bool {
        let pages = try usedPages(database)
        guard pages.free > 0, (pages.used + pages.free) * pages.size > limits.bytes else { return false }
        _ = try Row.fetchAll(database, sql: "PRAGMA incremental_vacuum(\(StoreLimits.vacuumPages))")
        return try usedPages(database).free < pages.free
    }
}
