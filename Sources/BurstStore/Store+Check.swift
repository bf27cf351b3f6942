import BurstEngine
package import BurstModel
import GRDB
import Glibc

/// Something that must not be in a store, for `burst fsck` and `burstd --fsck`.
package struct Finding: Hashable, Sendable, CustomStringConvertible {
    /// What mends it.
    package enum Repair: Hashable, Sendable {
        /// The pool's used space becomes the sum of its buffers.
        case setUsed(pool: String, to: UInt64)
        /// A buffer that exists by its stage is listed and charged from now on.
        case setCreated(job: UInt32)
        /// A buffer that does not exist by its stage is no longer charged.
        case clearCreated(job: UInt32)
        /// The row goes to the table `set_aside`, as it is.
        case setAside(job: UInt32)
        /// The folder goes to `lost+found` in the state folder.
        case moveFolder(job: UInt32)
        /// All indexes are made anew.
        case rebuildIndexes
    }

    package var text: String
    /// What to do, for a person.
    package var advice: String
    /// Nil: nothing can be done without losing something.
    package var repair: Repair?

    package init(_ text: String, advice: String, repair: Repair? = nil) {
        self.text = text
        self.advice = advice
        self.repair = repair
    }

    /// `what is wrong; what to do`.
    package var description: String { "\(text); \(advice)" }
}

/// Jobs' folders in a state folder.
package enum JobFolders {
    /// The ids of all jobs that have one: `hash.7/job.17`.
    package static func ids(in stateFolder: String) throws(StoreFault) -> Set<UInt32> {
        var ids: Set<UInt32> = []
        for hash in 0..<10 {
            for name in try names(in: "\(stateFolder)/hash.\(hash)") where name.hasPrefix("job.") {
                if let id = UInt32(name.dropFirst(4)), id % 10 == hash, "job.\(id)" == name { ids.insert(id) }
            }
        }
        return ids
    }

    private static func names(in folder: String) throws(StoreFault) -> [String] {
        guard let stream = opendir(folder) else {
            if errno == ENOENT { return [] }
            throw StoreFault(
                .folder, place: folder, wrong: "cannot be read: \(String(cString: strerror(errno)))",
                right: "it must be readable by burstd's user")
        }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            names.append(
                withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                    pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
                })
        }
        return names
    }
}

extension Store {
    /// Everything that must not be, in the file and in what it says; empty if all is well.
    ///
    /// - Parameter jobFolders: the jobs that have a folder (`JobFolders.ids`); nil: folders are not looked at.
    package func check(jobFolders: Set<UInt32>? = nil) throws(StoreFault) -> [Finding] {
        let (damage, rows, pools, persistent) = try guarded {
            try reader.read { database in
                let reading = Reading(database, at: path)
                return (
                    try String.fetchAll(database, sql: "PRAGMA integrity_check(20)").filter { $0 != "ok" },
                    try reading.jobs(), try reading.pools(), try reading.persistentBuffers()
                )
            }
        }
        var findings = damage.map(Self.damage)
        for row in rows where row.job == nil {
            findings.append(
                Finding(
                    "job \(row.id): its row cannot be read", advice: "--repair sets it aside in the table set_aside",
                    repair: .setAside(job: row.id)))
        }
        let jobs = rows.compactMap(\.job)
        findings += EngineChecks.faults(jobs: jobs, pools: pools, persistent: persistent).map(Self.finding)
        if let jobFolders { findings += Self.folders(jobFolders, jobs, all: Set(rows.map(\.id))) }
        return findings
    }

    /// Mends what can be: all of the database's in one transaction. Says what was done, a line for each.
    ///
    /// - Parameter now: when buffers that are listed anew were created, as far as anybody can tell.
    package func repair(_ findings: [Finding], at now: Timestamp) throws(StoreFault) -> [String] {
        let repairs = findings.compactMap(\.repair)
        var done: [String] = []
        if repairs.contains(.rebuildIndexes) {
            try guarded { try writer.writeWithoutTransaction { try $0.execute(sql: "REINDEX") } }
            done.append("indexes: made anew")
        }
        done += try guarded {
            try writer.write { database in
                var lines: [String] = []
                for repair in repairs {
                    if let line = try Self.mend(repair, at: now, database, path) { lines.append(line) }
                }
                return lines
            }
        }
        for case .moveFolder(let id) in repairs { done.append(try moveFolder(id)) }
        return done
    }

    // MARK: Findings

    private static func damage(_ text: String) -> Finding {
        if text.contains("index") {
            return Finding(
                "database: \(text)", advice: "--repair makes the indexes anew", repair: .rebuildIndexes)
        }
        return Finding("database: \(text)", advice: "restore a copy")
    }

    private static func finding(_ fault: EngineChecks.Fault) -> Finding {
        let text = fault.description
        switch (fault.kind, fault.jobID) {
        case (.poolUsed(let pool, let sum), _):
            return Finding(text, advice: "--repair sets used to \(sum)", repair: .setUsed(pool: pool, to: sum))
        case (.bufferMissing, let id?):
            return Finding(text, advice: "--repair lists the buffer again", repair: .setCreated(job: id))
        case (.bufferLeft, let id?):
            return Finding(text, advice: "--repair gives its space back", repair: .clearCreated(job: id))
        case (.poolUnknown, _):
            return Finding(text, advice: "the site must name the pool again")
        case (_, let id?):
            return Finding(text, advice: "see burst history --job \(id), then scancel --hurry \(id)")
        case (_, nil):
            return Finding(text, advice: "see burst history")
        }
    }

    private static func folders(_ folders: Set<UInt32>, _ jobs: [EngineJob], all: Set<UInt32>) -> [Finding] {
        var findings: [Finding] = []
        for id in folders.subtracting(all).sorted() {
            findings.append(
                Finding(
                    "job \(id): there is a folder and no such job", advice: "--repair moves it to lost+found",
                    repair: .moveFolder(job: id)))
        }
        for job in jobs where needsFolder(job) && !folders.contains(job.id) {
            findings.append(
                Finding(
                    "job \(job.id): its folder with script and environment is gone",
                    advice: "restore it, or cancel the job: scancel --hurry \(job.id)"))
        }
        return findings
    }

    /// Until the job is over and its buffer gone, its script is needed: by itself and by hooks (spec §3.7).
    private static func needsFolder(_ job: EngineJob) -> Bool {
        guard job.state.isFinal else { return true }
        guard let buffer = job.buffer else { return false }
        return buffer.stage != .complete && buffer.stage != .pending
    }

    // MARK: Repair

    /// A line on what was done; nil for what is done elsewhere. Charging and giving back set the pools' used space,
    /// too.
    private static func mend(
        _ repair: Finding.Repair, at now: Timestamp, _ database: Database, _ path: String
    ) throws -> String? {
        switch repair {
        case .setUsed(let pool, let used):
            try database.execute(sql: "UPDATE pools SET used = ? WHERE name = ?", arguments: [quantity(used), pool])
            return "pool \(pool): used is \(used)"
        case .setCreated(let id):
            return try change(id, database, path) { $0.created = now } ? "job \(id): its buffer is listed again" : nil
        case .clearCreated(let id):
            return try change(id, database, path) { $0.created = nil } ? "job \(id): its buffer is not listed" : nil
        case .setAside(let id):
            try database.execute(
                sql: "CREATE TABLE IF NOT EXISTS set_aside (id INTEGER NOT NULL, at INTEGER NOT NULL, job TEXT) STRICT")
            try database.execute(
                sql: "INSERT INTO set_aside(id, at, job) SELECT id, ?, job FROM jobs WHERE id = ?",
                arguments: [now.milliseconds, Int64(id)])
            try database.execute(sql: "DELETE FROM jobs WHERE id = ?", arguments: [Int64(id)])
            return "job \(id): its row is in the table set_aside"
        case .moveFolder, .rebuildIndexes:
            return nil
        }
    }

    private static func change(
        _ id: UInt32, _ database: Database, _ path: String, _ change: (inout BufferWork) -> Void
    ) throws -> Bool {
        let reading = Reading(database, at: path)
        guard var job = try reading.jobs().first(where: { $0.id == id })?.job, var buffer = job.buffer else {
            return false
        }
        change(&buffer)
        job.buffer = buffer
        let scribe = Scribe(database)
        try scribe.write(.job(job))
        // The sums of what is there now.
        let faults = EngineChecks.faults(
            jobs: try reading.jobs().compactMap(\.job), pools: try reading.pools(),
            persistent: try reading.persistentBuffers())
        for case .poolUsed(let pool, let sum) in faults.map(\.kind) {
            try database.execute(sql: "UPDATE pools SET used = ? WHERE name = ?", arguments: [quantity(sum), pool])
        }
        return true
    }

    private func moveFolder(_ id: UInt32) throws(StoreFault) -> String {
        let from = EnginePaths.folder(id, in: folder.path)
        let kept = folder.path + "/lost+found"
        mkdir(kept, 0o700)
        // Never over another one.
        for number in 0..<1000 {
            let to = "\(kept)/job.\(id)" + (number == 0 ? "" : ".\(number)")
            if rename(from, to) == 0 { return "job \(id): its folder is \(to)" }
            guard errno == EEXIST || errno == ENOTEMPTY else { break }
        }
        throw StoreFault(
            .folder, place: from, wrong: "cannot be moved to \(kept): \(String(cString: strerror(errno)))",
            right: "move it by hand")
    }
}
