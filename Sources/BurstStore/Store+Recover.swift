package import BurstEngine
import BurstModel
import FoundationEssentials
import GRDB

extension Store {
    /// What the engine goes on with. Calls of hooks that never ended are over: their outcome becomes `lost`.
    package func recover() throws(StoreFault) -> Engine.Recovered {
        try guarded {
            try writer.write { database in
                try database.execute(sql: "UPDATE calls SET outcome = 'lost' WHERE outcome IS NULL")
                return try Reading(database, at: path).state()
            }
        }
    }

    /// As `recover`, but changes nothing: for questions about a store.
    package func state() throws(StoreFault) -> Engine.Recovered {
        try guarded { try reader.read { try Reading(database: $0, at: path).state() } }
    }
}

/// Reads the state within a transaction.
struct Reading {
    private let database: Database
    private let path: String

    init(_ database: Database, at path: String) {
        self.database = database
        self.path = path
    }

    init(database: Database, at path: String) { self.init(database, at: path) }

    /// - Throws: where a row cannot be read: the engine cannot go on without one.
    func state() throws -> Engine.Recovered {
        var state = Engine.Recovered()
        for row in try jobs() {
            guard let job = row.job else { throw unreadable("jobs", "job \(row.id)") }
            state.jobs.append(job)
        }
        state.pools = try pools()
        state.reservations = try reservations()
        state.persistentBuffers = try persistentBuffers()
        let counted = try Int64.fetchOne(database, sql: "SELECT value FROM counters WHERE name = 'next_job_id'")
        let last = state.jobs.last?.id ?? 0
        state.nextJobID = counted.flatMap(UInt32.init(exactly:)) ?? (last == .max ? 1 : last + 1)
        state.nextCallNumber = try nextCallNumber(state.jobs)
        return state
    }

    /// Greater than that of every call that was ever written, also of those that are trimmed: SQLite keeps that number.
    private func nextCallNumber(_ jobs: [EngineJob]) throws -> UInt64 {
        let sql =
            "SELECT max(coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'calls'), 0), "
            + "coalesce((SELECT max(id) FROM calls), 0))"
        let written = UInt64(max(0, try Int64.fetchOne(database, sql: sql) ?? 0))
        let known = jobs.flatMap { job in (job.buffer?.stage).map(EngineChecks.calls(of:)) ?? [] }.map(\.number)
        return max(written, known.max() ?? 0) + 1
    }

    /// All jobs by id; nil for what cannot be read.
    ///
    /// Each is laid over a blank one, so that a job that an older program wrote has the defaults of fields it did not
    /// know.
    func jobs() throws -> [(id: UInt32, job: EngineJob?)] {
        let plain = EngineJob(
            id: 0, uid: 0, gid: 0, userName: "", name: "", priority: 0, submitted: Timestamp(milliseconds: 0))
        var buffered = plain
        buffered.buffer = BufferWork(spec: "", since: Timestamp(milliseconds: 0))
        let encoder = JSONEncoder()
        func blank(_ job: EngineJob) throws -> String { String(decoding: try encoder.encode(job), as: UTF8.self) }
        let rows = try Row.fetchCursor(
            database,
            sql: """
                SELECT id, CASE
                    WHEN NOT json_valid(job) THEN NULL
                    WHEN json_type(job, '$.buffer') IS NULL THEN json_patch(?, job)
                    ELSE json_patch(json_remove(?, '$.buffer.stage'), job) END
                FROM jobs ORDER BY id
                """, arguments: [try blank(plain), try blank(buffered)])
        let decoder = JSONDecoder()
        var jobs: [(id: UInt32, job: EngineJob?)] = []
        while let row = try rows.next() {
            guard let id = UInt32(exactly: row[0] as Int64) else { throw unreadable("jobs", "id \(row[0] as Int64)") }
            let text = row[1] as String?
            let job = text.flatMap { try? decoder.decode(EngineJob.self, from: Data($0.utf8)) }
            jobs.append((id, job?.id == id ? job : nil))
        }
        return jobs
    }

    func pools() throws -> [EnginePool] {
        let sql = "SELECT name, granularity, total, used, reported_free, is_reported FROM pools ORDER BY position"
        return try Row.fetchAll(database, sql: sql).map { row in
            let name: String = row[0]
            func number(_ index: Int) throws -> UInt64 {
                guard let number = quantity(from: row[index]) else { throw unreadable("pools", "pool \(name)") }
                return number
            }
            return EnginePool(
                name: name, granularity: try number(1), total: try number(2), used: try number(3),
                reportedFree: (row[4] as DatabaseValue).isNull ? nil : try number(4), isReported: row[5])
        }
    }

    func persistentBuffers() throws -> [PersistentBuffer] {
        let rows = try Row.fetchAll(database, sql: "SELECT name, buffer FROM persistent_buffers ORDER BY name")
        return try rows.map { row in
            let name: String = row[0]
            guard let buffer = try? JSONDecoder().decode(PersistentBuffer.self, from: Data((row[1] as String).utf8)),
                buffer.name == name
            else { throw unreadable("persistent_buffers", "buffer \(name)") }
            return buffer
        }
    }

    private func reservations() throws -> [EngineReservation] {
        let sql = "SELECT name, users, starts, ends, burst_buffer, flags FROM reservations ORDER BY name"
        return try Row.fetchAll(database, sql: sql).map { row in
            let name: String = row[0]
            guard let users = try? JSONDecoder().decode([String].self, from: Data((row[1] as String).utf8)) else {
                throw unreadable("reservations", "reservation \(name)")
            }
            var reservation = EngineReservation(
                name: name, users: users, start: Timestamp(milliseconds: row[2]), end: Timestamp(milliseconds: row[3]),
                burstBuffer: row[4])
            reservation.flags = row[5]
            return reservation
        }
    }

    private func unreadable(_ table: String, _ what: String) -> StoreFault {
        StoreFault(
            .damaged, place: "\(path): table \(table)", wrong: "\(what) cannot be read, nothing was changed",
            right: "restore a copy, or let burstd --fsck --repair set it aside")
    }
}
