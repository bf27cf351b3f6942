import GRDB

/// The tables, as the database itself keeps them, comments and all: `burst history --tables` prints them from there.
enum Schema {
    /// "BURS": marks a database as ours (PRAGMA application_id).
    static let applicationID: Int32 = 0x4255_5253

    /// Each migration once, in order, for ever: a change is a new migration behind the others.
    static let migrator: DatabaseMigrator = {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("schema 1") { database in
            for sql in first { try database.execute(sql: sql) }
        }
        migrator.registerMigration("persistent buffers") { try $0.execute(sql: persistentTable) }
        return migrator
    }()

    /// The newest that this program knows.
    static var newest: String { migrator.migrations.last ?? "" }

    static let jobsTable = """
        CREATE TABLE jobs (
          -- Jobs as they are now, until they are forgotten (MinJobAge after the end).
          -- Times are milliseconds since 1970 UTC: datetime(submitted / 1000, 'unixepoch', 'localtime').
          id INTEGER PRIMARY KEY,      -- the job's id
          array_job_id INTEGER,        -- the array's id; NULL for a job of no array
          array_task_id INTEGER,       -- the task; NULL for the tasks that are not split off yet
          het_job_id INTEGER,          -- the first component's id; NULL for a job that is not heterogeneous
          uid INTEGER NOT NULL,        -- the owner's user id
          user TEXT NOT NULL,          -- and name
          name TEXT NOT NULL,          -- --job-name
          partition TEXT NOT NULL,
          job_state TEXT NOT NULL,     -- as squeue %T shows it: PENDING, RUNNING, STAGE_OUT...
          reason TEXT NOT NULL,        -- as squeue %r shows it
          buffer_state TEXT,           -- pending, staging-in, staged-in, pre-run, running, post-run, staging-out, teardown,
                                       -- complete; NULL for a job without burst buffers
          pool TEXT,                   -- that is charged; NULL without a size
          size ANY,                    -- bytes or units; text where it is above 9223372036854775807
          buffer_created INTEGER,      -- when the buffer was charged; NULL: there is none
          submitted INTEGER NOT NULL,
          started INTEGER,             -- or expected to start
          ended INTEGER,
          job TEXT NOT NULL            -- all of the job, JSON
        ) STRICT
        """

    static let persistentTable = """
        CREATE TABLE persistent_buffers (
          -- Persistent buffers of datawarp as they are now.
          name TEXT PRIMARY KEY,
          uid INTEGER NOT NULL,        -- the owner's user id
          user TEXT NOT NULL,          -- and name
          pool TEXT NOT NULL,
          size ANY NOT NULL,           -- bytes; text where it is above 9223372036854775807
          state TEXT NOT NULL,         -- allocating, allocated, deleting
          created INTEGER NOT NULL,    -- milliseconds since 1970 UTC
          buffer TEXT NOT NULL         -- all of it, JSON
        ) STRICT
        """

    static let changesTable = """
        CREATE TABLE state_changes (
          -- History: each change of a job's state or of its buffer's.
          id INTEGER PRIMARY KEY,      -- grows with each
          at INTEGER NOT NULL,         -- milliseconds since 1970 UTC
          job_id INTEGER NOT NULL,
          uid INTEGER NOT NULL,
          job_state TEXT NOT NULL,
          buffer_state TEXT,           -- NULL for a job without burst buffers
          reason TEXT NOT NULL,
          pool TEXT,
          size ANY NOT NULL            -- bytes or units; text where it is above 9223372036854775807
        ) STRICT
        """

    static let callsTable = """
        CREATE TABLE calls (
          -- History: each call of a function of burst_buffer.lua.
          id INTEGER PRIMARY KEY AUTOINCREMENT,  -- the call's number; never used again
          function TEXT NOT NULL,      -- slurm_bb_data_in...
          job_id INTEGER,              -- NULL for slurm_bb_pools and slurm_bb_get_status
          arguments TEXT NOT NULL,     -- JSON, a list of texts
          at INTEGER NOT NULL,         -- when it was decided, milliseconds since 1970 UTC
          limit_seconds INTEGER,       -- NULL: none
          pid INTEGER,                 -- of the child; NULL for a call within burstd
          started_us INTEGER,          -- when the function began, microseconds since 1970 UTC
          duration_us INTEGER,         -- how long it took, microseconds
          outcome TEXT,                -- success, failure, broken, timeout, killed, lost (burstd ended first);
                                       -- NULL while it is under way
          status INTEGER,              -- what the function returned, or 255
          message TEXT,                -- its second value
          printed TEXT,                -- what it and its children wrote (a NUL byte is kept as U+2400)
          log TEXT                     -- lines for the log, JSON: [{"level": ..., "text": ...}]
        ) STRICT
        """

    static let actionsTable = """
        CREATE TABLE actions (
          -- History: what somebody asked for.
          id INTEGER PRIMARY KEY,      -- grows with each
          at INTEGER NOT NULL,         -- milliseconds since 1970 UTC
          uid INTEGER NOT NULL,        -- who
          verb TEXT NOT NULL,          -- submit, cancel, cancel --hurry, hold, release, requeue, reconfigure...
          job_id INTEGER,
          outcome TEXT NOT NULL        -- ok, or the error as the client saw it
        ) STRICT
        """

    static let poolsTable = """
        CREATE TABLE pools (
          -- Pools as they are now.
          position INTEGER PRIMARY KEY,  -- in order of first report
          name TEXT NOT NULL UNIQUE,
          granularity ANY NOT NULL,    -- bytes or units, as the next three; text where above 9223372036854775807
          total ANY NOT NULL,          -- 0 when it is no longer reported
          used ANY NOT NULL,           -- the sum of the buffers charged to it
          reported_free ANY,           -- what the site says is free; NULL where it does not say
          is_reported INTEGER NOT NULL
        ) STRICT
        """

    static let reservationsTable = """
        CREATE TABLE reservations (
          -- Reservations that set space of pools aside.
          name TEXT PRIMARY KEY,
          users TEXT NOT NULL,         -- JSON, a list of names
          starts INTEGER NOT NULL,     -- milliseconds since 1970 UTC
          ends INTEGER NOT NULL,
          burst_buffer TEXT NOT NULL,  -- as typed
          flags TEXT NOT NULL
        ) STRICT, WITHOUT ROWID
        """

    static let countersTable = """
        CREATE TABLE counters (
          name TEXT PRIMARY KEY,       -- next_job_id: the id of the next job
          value INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID
        """

    private static let first = [
        jobsTable, poolsTable, reservationsTable, countersTable, changesTable, callsTable, actionsTable,
        "CREATE INDEX state_changes_by_job ON state_changes(job_id, id)",
        "CREATE INDEX state_changes_by_time ON state_changes(at)",
        "CREATE INDEX calls_by_job ON calls(job_id, id)",
        "CREATE INDEX calls_by_time ON calls(at)",
        "CREATE INDEX calls_under_way ON calls(id) WHERE outcome IS NULL",
        "CREATE INDEX actions_by_job ON actions(job_id, id)",
        "CREATE INDEX actions_by_time ON actions(at)",
    ]

    /// What the engine cannot start without: checked page by page at each start, unlike the history, which may be
    /// large.
    static let stateTables = ["jobs", "pools", "reservations", "counters"]
}
