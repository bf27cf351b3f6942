import BurstModel
package import BurstStager
import FoundationEssentials
import GRDB

/// The stager's records: sessions, plans, quarantine, pools, tombstones and counters.
extension Store {
    /// Makes a decision's records durable, all or none, in their order: when this returns they survive a power cut.
    /// - Throws: `.full` and `.busy` may be tried again.
    package func persist(_ records: [StagerRecord]) throws(StoreFault) {
        guard !records.isEmpty else { return }
        // Of several records of one session only the last will ever be read.
        var last: [SessionID: Int] = [:]
        for (index, record) in records.enumerated() {
            if case .session(let session) = record { last[session.id] = index }
        }
        try guarded {
            try writer.write { database in
                let scribe = StagerScribe(database)
                for (index, record) in records.enumerated() {
                    if case .session(let session) = record, last[session.id] != index { continue }
                    try scribe.write(record)
                }
            }
        }
    }

    /// What the stager goes on with.
    /// - Throws: where a row cannot be read: it cannot go on without one.
    package func recoverStager() throws(StoreFault) -> Stager.Recovered {
        try guarded { try reader.read { try StagerReading($0, at: path).state() } }
    }
}

/// Writes the stager's records within a transaction.
private struct StagerScribe {
    private let database: Database

    init(_ database: Database) { self.database = database }

    func write(_ record: StagerRecord) throws {
        switch record {
        case .session(let session):
            try run(
                """
                INSERT INTO stager_sessions(id, token, generation, uid, phase, bytes, created, session)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?)
                ON CONFLICT(id) DO UPDATE SET token = excluded.token, generation = excluded.generation,
                    uid = excluded.uid, phase = excluded.phase, bytes = excluded.bytes, session = excluded.session
                """,
                [
                    number(session.id), session.token, quantity(session.key.generation), Int64(session.owner.uid),
                    session.phaseName, quantity(session.bytes), session.created.milliseconds, try JSONText.of(session),
                ])
        case .plan(let id, let text):
            try run("INSERT OR REPLACE INTO stager_plans(session, plan) VALUES (?, ?)", [number(id), text])
        case .forgetSession(let id):
            try run("DELETE FROM stager_sessions WHERE id = ?", [number(id)])
            try run("DELETE FROM stager_plans WHERE session = ?", [number(id)])
        case .quarantined(let buffer):
            try run(
                "INSERT OR REPLACE INTO stager_quarantine(id, token, since, buffer) VALUES (?, ?, ?, ?)",
                [number(buffer.id), buffer.key.token, buffer.since.milliseconds, try JSONText.of(buffer)])
        case .forgetQuarantined(let id): try run("DELETE FROM stager_quarantine WHERE id = ?", [number(id)])
        case .pool(let pool):
            try run(
                "INSERT OR REPLACE INTO stager_pools(name, granularity, quantity, pool) VALUES (?, ?, ?, ?)",
                [pool.id, quantity(pool.granularity), quantity(pool.quantity), try JSONText.of(pool)])
        case .forgetPool(let name): try run("DELETE FROM stager_pools WHERE name = ?", [name])
        case .tombstone(let tombstone):
            try run(
                "INSERT OR REPLACE INTO stager_tombstones(token, generation, at) VALUES (?, ?, ?)",
                [tombstone.key.token, quantity(tombstone.key.generation), tombstone.at.milliseconds])
        case .forgetTombstone(let token): try run("DELETE FROM stager_tombstones WHERE token = ?", [token])
        case .generationFloor(let floor): try count("stager_generation_floor", floor)
        case .nextID(let id): try count("stager_next_id", id)
        case .entered(let id, let token, let phase, let at):
            try run(
                "INSERT INTO stagings(at, session, token, phase) VALUES (?, ?, ?, ?)",
                [at.milliseconds, number(id), token, phase])
        }
    }

    /// Numbers are given out one by one from 1 on: none comes near 2^63.
    private func number(_ id: SessionID) -> Int64 { Int64(clamping: id.number) }

    private func count(_ name: String, _ value: UInt64) throws {
        try run(
            "INSERT OR REPLACE INTO counters(name, value) VALUES (?, ?)", [name, Int64(clamping: value)])
    }

    private func run(_ sql: String, _ values: [any DatabaseValueConvertible]) throws {
        try database.cachedStatement(sql: sql).execute(arguments: StatementArguments(values))
    }
}

private struct StagerReading {
    private let database: Database
    private let path: String
    private let decoder = JSONDecoder()

    init(_ database: Database, at path: String) {
        self.database = database
        self.path = path
    }

    func state() throws -> Stager.Recovered {
        var state = Stager.Recovered()
        state.pools = try values("stager_pools", "SELECT name, pool FROM stager_pools ORDER BY name")
        state.sessions = try values("stager_sessions", "SELECT id, session FROM stager_sessions ORDER BY id")
        state.quarantine = try values("stager_quarantine", "SELECT id, buffer FROM stager_quarantine ORDER BY id")
        for row in try Row.fetchAll(database, sql: "SELECT session, plan FROM stager_plans") {
            state.plans[SessionID(UInt64(clamping: row[0] as Int64))] = row[1]
        }
        for row in try Row.fetchAll(database, sql: "SELECT token, generation, at FROM stager_tombstones") {
            guard let generation = quantity(from: row[1]) else {
                throw unreadable("stager_tombstones", row[0] as String)
            }
            state.tombstones.append(
                Tombstone(
                    key: SessionKey(token: row[0], generation: generation), at: Timestamp(milliseconds: row[2])))
        }
        state.generationFloor = try counter("stager_generation_floor") ?? 0
        state.nextID = try counter("stager_next_id") ?? 1
        return state
    }

    private func values<Value: Decodable>(_ table: String, _ sql: String) throws -> [Value] {
        try Row.fetchAll(database, sql: sql).map { row in
            guard let value = try? decoder.decode(Value.self, from: Data((row[1] as String).utf8)) else {
                throw unreadable(table, "\(row[0] as DatabaseValue)")
            }
            return value
        }
    }

    private func counter(_ name: String) throws -> UInt64? {
        let sql = "SELECT value FROM counters WHERE name = ?"
        return try Int64.fetchOne(database, sql: sql, arguments: [name]).map { UInt64(clamping: $0) }
    }

    private func unreadable(_ table: String, _ what: String) -> StoreFault {
        StoreFault(
            .damaged, place: "\(path): table \(table)", wrong: "row \(what) cannot be read, nothing was changed",
            right: "restore a copy of the state folder")
    }
}
