package import BurstEngine
package import BurstModel
import FoundationEssentials
import GRDB

/// A call of a hook as the history has it.
package struct CallEntry: Hashable, Sendable {
    package var start: CallStart
    /// Nil while it is under way.
    package var end: CallEnd?

    package init(start: CallStart, end: CallEnd?) {
        self.start = start
        self.end = end
    }
}

extension Store {
    /// Changes of states: the newest `limit` that fit, oldest first.
    package func changes(
        job: UInt32? = nil, since: Timestamp? = nil, limit: Int
    ) throws(StoreFault) -> [StateChange] {
        try newest(
            "at, job_id, uid, job_state, buffer_state, reason, pool, size", of: "state_changes", job: job, since: since,
            limit: limit
        ) { row in
            StateChange(
                jobID: row[1], uid: row[2], at: Timestamp(milliseconds: row[0]), jobState: row[3], bufferState: row[4],
                reason: row[5], pool: row[6], size: quantity(from: row[7]) ?? 0)
        }
    }

    /// Calls of hooks by the time they were decided: the newest `limit` that fit, oldest first.
    package func calls(
        job: UInt32? = nil, since: Timestamp? = nil, limit: Int
    ) throws(StoreFault) -> [CallEntry] {
        let columns = """
            id, function, job_id, arguments, at, limit_seconds, pid, started_us, duration_us, outcome, status, message,
            printed, log
            """
        return try newest(columns, of: "calls", job: job, since: since, limit: limit) { row in
            let name: String = row[1]
            guard let function = HookFunction(rawValue: name) else {
                throw unreadable("call \(row[0] as Int64) of \(name)")
            }
            let decoder = JSONDecoder()
            let arguments = try? decoder.decode([String].self, from: Data((row[3] as String).utf8))
            guard let arguments else { throw unreadable("call \(row[0] as Int64)") }
            let id = CallID(UInt64(row[0] as Int64))
            let start = CallStart(
                id: id, function: function, jobID: row[2], arguments: arguments, limitSeconds: row[5],
                at: Timestamp(milliseconds: row[4]))
            guard let outcome = row[9] as String? else { return CallEntry(start: start, end: nil) }
            let lines = (row[13] as String?).map { try? decoder.decode([HookLogLine].self, from: Data($0.utf8)) }
            return CallEntry(
                start: start,
                end: CallEnd(
                    id: id, jobID: row[2], outcome: outcome, status: row[10] ?? 0, message: row[11],
                    printed: row[12] ?? "", log: (lines ?? []) ?? [], pid: row[6], startedMicroseconds: row[7] ?? 0,
                    durationMicroseconds: row[8] ?? 0))
        }
    }

    /// What was asked for: the newest `limit` that fit, oldest first.
    package func actions(
        job: UInt32? = nil, since: Timestamp? = nil, limit: Int
    ) throws(StoreFault) -> [ActionEntry] {
        try newest("at, uid, verb, job_id, outcome", of: "actions", job: job, since: since, limit: limit) { row in
            ActionEntry(
                at: Timestamp(milliseconds: row[0]), uid: row[1], verb: row[2], jobID: row[3], outcome: row[4])
        }
    }

    private func unreadable(_ what: String) -> StoreFault {
        StoreFault(
            .damaged, place: "\(path): table calls", wrong: "\(what) cannot be read", right: "see burst fsck")
    }

    private func newest<Value>(
        _ columns: String, of table: String, job: UInt32?, since: Timestamp?, limit: Int,
        _ value: (Row) throws -> Value
    ) throws(StoreFault) -> [Value] {
        var conditions: [String] = []
        var arguments: [(any DatabaseValueConvertible)?] = []
        if let job {
            conditions.append("job_id = ?")
            arguments.append(Int64(job))
        }
        if let since {
            // The plus keeps SQLite from walking all of that time for one job.
            conditions.append(job == nil ? "at >= ?" : "+at >= ?")
            arguments.append(since.milliseconds)
        }
        let filter = conditions.isEmpty ? "" : "WHERE " + conditions.joined(separator: " AND ")
        arguments.append(min(max(0, limit), StoreLimits.historyRowsMax))
        let sql = "SELECT \(columns) FROM \(table) \(filter) ORDER BY id DESC LIMIT ?"
        return try guarded {
            try reader.read { database in
                let rows = try Row.fetchCursor(database, sql: sql, arguments: StatementArguments(arguments))
                var values: [Value] = []
                while let row = try rows.next() { values.append(try value(row)) }
                return values.reversed()
            }
        }
    }
}
