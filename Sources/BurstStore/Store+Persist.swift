package import BurstEngine
import BurstModel
import GRDB

extension Store {
    /// Makes records durable, all or none, in their order: when this returns they survive a power cut.
    ///
    /// One transaction and one wait for the disk whatever their number: hand over many decisions at once.
    /// - Throws: `.full` and `.busy` may be tried again, with these records first.
    package func persist(_ records: [BurstEngine.Record]) throws(StoreFault) {
        guard !records.isEmpty else { return }
        // Of several records of one job only the last will ever be read.
        var last: [UInt32: Int] = [:]
        for (index, record) in records.enumerated() {
            if case .job(let job) = record { last[job.id] = index }
        }
        try guarded {
            try writer.write { database in
                let scribe = Scribe(database)
                for (index, record) in records.enumerated() {
                    if case .job(let job) = record, last[job.id] != index { continue }
                    try scribe.write(record)
                }
            }
        }
    }
}

/// Writes records within a transaction. Statements are made once for the connection and kept there.
struct Scribe {
    private let database: Database

    init(_ database: Database) { self.database = database }

    func write(_ record: BurstEngine.Record) throws {
        switch record {
        case .job(let job): try write(job)
        case .forget(let id): try run("DELETE FROM jobs WHERE id = ?", [Int64(id)])
        case .pools(let pools): try write(pools)
        case .persistent(let buffer): try write(buffer)
        case .forgetPersistent(let name): try run("DELETE FROM persistent_buffers WHERE name = ?", [name])
        case .reservation(let reservation): try write(reservation)
        case .forgetReservation(let name): try run("DELETE FROM reservations WHERE name = ?", [name])
        case .nextJobID(let id):
            try run("INSERT OR REPLACE INTO counters(name, value) VALUES ('next_job_id', ?)", [Int64(id)])
        case .change(let change): try write(change)
        case .callStarted(let start): try write(start)
        case .callEnded(let end): try write(end)
        case .action(let action):
            try run(
                "INSERT INTO actions(at, uid, verb, job_id, outcome) VALUES (?, ?, ?, ?, ?)",
                [
                    action.at.milliseconds, Int64(action.uid), action.verb, whole(action.jobID),
                    action.outcome,
                ])
        }
    }

    private func write(_ job: EngineJob) throws {
        let buffer = job.buffer
        try run(
            """
            INSERT OR REPLACE INTO jobs(id, array_job_id, array_task_id, het_job_id, uid, user, name, partition,
                job_state, reason, buffer_state, pool, size, buffer_created, submitted, started, ended, job)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """,
            [
                Int64(job.id), job.arrayJobID == 0 ? nil : Int64(job.arrayJobID), whole(job.arrayTaskID),
                job.hetJobID == 0 ? nil : Int64(job.hetJobID), Int64(job.uid), job.userName, job.name,
                job.partition, job.shownState.name, job.shownReason, buffer?.stage.state.name,
                buffer?.pool, buffer.map { quantity($0.size) }, buffer?.created?.milliseconds,
                job.submitted.milliseconds, job.start?.milliseconds, job.end?.milliseconds, try JSONText.of(job),
            ])
    }

    private func write(_ pools: [EnginePool]) throws {
        try run("DELETE FROM pools", [])
        for (position, pool) in pools.enumerated() {
            try run(
                """
                INSERT INTO pools(position, name, granularity, total, used, reported_free, is_reported)
                VALUES (?, ?, ?, ?, ?, ?, ?)
                """,
                [
                    position, pool.name, quantity(pool.granularity), quantity(pool.total), quantity(pool.used),
                    pool.reportedFree.map(quantity), pool.isReported,
                ])
        }
    }

    private func write(_ buffer: PersistentBuffer) throws {
        try run(
            """
            INSERT OR REPLACE INTO persistent_buffers(name, uid, user, pool, size, state, created, buffer)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?)
            """,
            [
                buffer.name, Int64(buffer.uid), buffer.userName, buffer.pool, quantity(buffer.size),
                buffer.state.shown.name, buffer.created.milliseconds, try JSONText.of(buffer),
            ])
    }

    private func write(_ reservation: EngineReservation) throws {
        try run(
            """
            INSERT OR REPLACE INTO reservations(name, users, starts, ends, burst_buffer, flags)
            VALUES (?, ?, ?, ?, ?, ?)
            """,
            [
                reservation.name, try JSONText.of(reservation.users), reservation.start.milliseconds,
                reservation.end.milliseconds, reservation.burstBuffer, reservation.flags,
            ])
    }

    private func write(_ change: StateChange) throws {
        try run(
            """
            INSERT INTO state_changes(at, job_id, uid, job_state, buffer_state, reason, pool, size)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?)
            """,
            [
                change.at.milliseconds, Int64(change.jobID), Int64(change.uid), change.jobState, change.bufferState,
                change.reason, change.pool, quantity(change.size),
            ])
    }

    private func write(_ start: CallStart) throws {
        try run(
            "INSERT INTO calls(id, function, job_id, arguments, at, limit_seconds) VALUES (?, ?, ?, ?, ?, ?)",
            [
                Int64(start.id.number), start.function.rawValue, whole(start.jobID), Self.json(start.arguments),
                start.at.milliseconds, whole(start.limitSeconds),
            ])
    }

    private func write(_ end: CallEnd) throws {
        try run(
            """
            UPDATE calls SET pid = ?, started_us = ?, duration_us = ?, outcome = ?, status = ?, message = ?,
                printed = ?, log = ? WHERE id = ?
            """,
            [
                whole(end.pid), end.startedMicroseconds, end.durationMicroseconds, end.outcome, end.status,
                end.message, end.printed, end.log.isEmpty ? "[]" : try JSONText.of(end.log),
                Int64(end.id.number),
            ])
    }

    // MARK: Values

    private func whole(_ number: UInt32?) -> Int64? { number.map { Int64($0) } }
    private func whole(_ number: Int32?) -> Int64? { number.map { Int64($0) } }

    private func run(_ sql: String, _ values: [(any DatabaseValueConvertible)?]) throws {
        try database.cachedStatement(sql: sql).execute(
            arguments: StatementArguments(values.map(Self.kept)))
    }

    /// Without an encoder: there are nine of these in the life of a buffer.
    static func json(_ texts: [String]) -> String {
        var writer = JSONWriter(pretty: false)
        writer.texts(texts)
        return String(decoding: writer.bytes, as: UTF8.self)
    }

    /// SQLite's texts end at a NUL byte, which a hook may well print.
    private static func kept(_ value: (any DatabaseValueConvertible)?) -> (any DatabaseValueConvertible)? {
        guard let text = value as? String, text.utf8.contains(0) else { return value }
        return String(String.UnicodeScalarView(text.unicodeScalars.map { $0.value == 0 ? "\u{2400}" : $0 }))
    }
}

/// As SQLite keeps a number of 64 bits without sign: as text what its own numbers cannot hold, so that nothing is lost.
func quantity(_ number: UInt64) -> any DatabaseValueConvertible {
    if let small = Int64(exactly: number) { return small }
    return String(number)
}

/// The number that `quantity` kept; nil for what is none.
func quantity(from value: DatabaseValue) -> UInt64? {
    switch value.storage {
    case .int64(let number): UInt64(exactly: number)
    case .string(let text): UInt64(text)
    case .null, .double, .blob: nil
    }
}
