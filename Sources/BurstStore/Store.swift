import GRDB
import GRDBSQLite

/// The durable state and the history of an engine: one SQLite file in the state folder, written by one process only.
///
/// Every call may wait for the disk. Calls from several threads are served one after the other; questions about the
/// history are answered beside the writer.
package final class Store: Sendable {
    let folder: StoreFolder
    let writer: DatabaseQueue
    /// Cannot write, whatever it is asked.
    let reader: DatabaseQueue

    /// Where the database is.
    package var path: String { folder.databasePath }

    /// Opens the store of a state folder, and makes both where there are none.
    ///
    /// - Throws: where another process has the folder, where it cannot be used, and where the file is damaged, of
    /// another
    ///   program or of a newer one. In none of these cases the file is changed.
    package static func open(folder: String) throws(StoreFault) -> Store {
        try Store(StoreFolder(folder))
    }

    private init(_ folder: StoreFolder) throws(StoreFault) {
        self.folder = folder
        let path = folder.databasePath
        (writer, reader) = try Self.guarded(path) {
            let writer = try Self.openWriter(path)
            try Schema.migrator.migrate(writer)
            return (writer, try Self.openReader(path))
        }
    }

    /// Ends the store in order and lets others have the folder. What was acknowledged is durable without it, too.
    package func close() {
        try? reader.close()
        try? writer.close()
        folder.release()
    }

    // MARK: Connections

    private static func openWriter(_ path: String) throws -> DatabaseQueue {
        var configuration = Configuration()
        configuration.label = "burst.store.writer"
        // Only a person's own tools can be in the way: the folder's lock keeps other engines out.
        configuration.busyMode = .timeout(StoreLimits.busySeconds)
        configuration.prepareDatabase { database in
            let isEmpty = try admit(database, at: path)
            if isEmpty { try database.execute(sql: "PRAGMA auto_vacuum = INCREMENTAL") }
            try database.execute(sql: "PRAGMA journal_mode = WAL")
            try database.execute(sql: "PRAGMA synchronous = FULL")
            // Before the first table: a database that a power cut left half made is known as ours.
            if isEmpty { try database.execute(sql: "PRAGMA application_id = \(Schema.applicationID)") }
            try database.execute(sql: "PRAGMA journal_size_limit = \(StoreLimits.walBytesKept)")
        }
        let writer = try DatabaseQueue(path: path, configuration: configuration)
        let (mode, synchronous) = try writer.writeWithoutTransaction { database in
            // Once more, since a library may set it behind our back: an acknowledged commit survives a power cut.
            try database.execute(sql: "PRAGMA synchronous = FULL")
            return (
                try String.fetchOne(database, sql: "PRAGMA journal_mode"),
                try Int.fetchOne(database, sql: "PRAGMA synchronous")
            )
        }
        guard mode == "wal", synchronous == 2 else {
            throw StoreFault(
                .database, place: path,
                wrong: "has journal mode \(mode ?? "none") and synchronous \(synchronous ?? -1), not wal and 2",
                right: "the state folder must be on a local file system")
        }
        return writer
    }

    private static func openReader(_ path: String) throws -> DatabaseQueue {
        var configuration = Configuration()
        configuration.label = "burst.store.reader"
        configuration.readonly = true
        configuration.busyMode = .timeout(StoreLimits.busySeconds)
        configuration.prepareDatabase { database in
            try database.execute(sql: "PRAGMA query_only = 1")
            // A question cannot make values that fill the memory.
            sqlite3_limit(database.sqliteConnection, SQLITE_LIMIT_LENGTH, StoreLimits.valueBytesMax)
            sqlite3_limit(database.sqliteConnection, SQLITE_LIMIT_ATTACHED, 0)
        }
        return try DatabaseQueue(path: path, configuration: configuration)
    }

    /// Refuses what is damaged, not ours, or not yet, before anything is written to it. True for an empty database.
    private static func admit(_ database: Database, at path: String) throws -> Bool {
        let tables = try Set(String.fetchAll(database, sql: "SELECT name FROM sqlite_schema WHERE type = 'table'"))
        guard !tables.isEmpty else { return true }
        guard try Int32.fetchOne(database, sql: "PRAGMA application_id") == Schema.applicationID else {
            throw StoreFault(
                .foreign, place: path, wrong: "is the database of another program, nothing in it was changed",
                right: "move it away, or name another state folder (StateSaveLocation)")
        }
        try check(pagesOf: Schema.stateTables.filter(tables.contains), in: database, at: path)
        if try Schema.migrator.hasBeenSuperseded(database) {
            let known = Set(Schema.migrator.migrations)
            let applied = try String.fetchAll(database, sql: "SELECT identifier FROM grdb_migrations ORDER BY rowid")
            throw StoreFault(
                .newer, place: path,
                wrong: "was written by a newer burstd (\(applied.last { !known.contains($0) } ?? "unknown schema"); "
                    + "this one knows \(Schema.newest)), nothing in it was changed",
                right: "start that newer one, or restore a copy from before")
        }
        return false
    }

    private static func check(pagesOf tables: [String], in database: Database, at path: String) throws {
        for table in tables {
            let said = try String.fetchAll(database, sql: "PRAGMA quick_check(\(table))")
            guard said != ["ok"] else { continue }
            throw StoreFault(
                .damaged, place: path, wrong: "is damaged in table \(table): \(said.first ?? "no answer")",
                right: damagedAdvice)
        }
    }

    // MARK: Errors

    static let damagedAdvice =
        "nothing was changed: restore a copy, or move the file away (with -wal and -shm) to begin with an empty one"

    /// Runs something on the database and says its errors in one line.
    func guarded<Value>(_ body: () throws -> Value) throws(StoreFault) -> Value {
        try Self.guarded(path, body)
    }

    static func guarded<Value>(_ path: String, _ body: () throws -> Value) throws(StoreFault) -> Value {
        do {
            return try body()
        } catch let fault as StoreFault {
            throw fault
        } catch let error as DatabaseError {
            throw fault(of: error, at: path)
        } catch {
            throw StoreFault(.database, place: path, wrong: "\(error)", right: "see burst fsck")
        }
    }

    private static func fault(of error: DatabaseError, at path: String) -> StoreFault {
        let text = error.message ?? "error \(error.extendedResultCode.rawValue)"
        switch error.resultCode {
        case .SQLITE_FULL:
            return StoreFault(
                .full, place: path, wrong: "the disk is full, nothing of this step was kept", right: "make room on it")
        case .SQLITE_IOERR where error.extendedResultCode == .SQLITE_IOERR_WRITE:
            return StoreFault(
                .full, place: path, wrong: "cannot be written (\(text)), nothing of this step was kept",
                right: "make room on the disk, raise the limit of a file's size, or see the kernel's log")
        case .SQLITE_BUSY, .SQLITE_LOCKED:
            return StoreFault(
                .busy, place: path,
                wrong: "another program has held it locked for \(Int(StoreLimits.busySeconds)) s, nothing was kept",
                right: "end that program (fuser -v \(path) names it)")
        case .SQLITE_NOTADB, .SQLITE_CORRUPT:
            return StoreFault(
                .damaged, place: path, wrong: "is no burst database, or damaged: \(text)", right: damagedAdvice)
        default:
            return StoreFault(
                .database, place: path, wrong: "\(text) (\(error.extendedResultCode.rawValue))",
                right: "see the disk's health and burst fsck")
        }
    }
}

/// Limits of the store that no configuration changes.
package enum StoreLimits {
    /// Seconds that a write waits for another program that has the database locked.
    package static let busySeconds: Double = 5
    /// Bytes of the write-ahead log that are kept when a large one was taken in.
    package static let walBytesKept = 16 * 1024 * 1024
    /// Bytes of a text that a question may make.
    package static let valueBytesMax: Int32 = 16 * 1024 * 1024
    /// Seconds that a question may take.
    package static let questionSeconds = 5
    /// Rows and bytes of an answer.
    package static let answerRowsMax = 100_000
    package static let answerBytesMax = 16 * 1024 * 1024
    /// Bytes of a question.
    package static let questionBytesMax = 64 * 1024
    /// Rows that `changes`, `calls` and `actions` give at once.
    package static let historyRowsMax = 100_000
    /// Milliseconds that a step of trimming deletes before it commits.
    package static let trimMilliseconds = 5
    /// Rows that a step of trimming looks at.
    package static let trimRows = 500
    /// Pages that a step of trimming gives back to the file system.
    package static let vacuumPages = 64
}
