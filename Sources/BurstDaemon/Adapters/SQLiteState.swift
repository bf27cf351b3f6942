package import BurstEngine
package import BurstModel
package import BurstStager
package import BurstStore

/// The store behind the driver's door.
package struct SQLiteState: StateStore, StagerStore {
    private let store: Store

    package init(_ store: Store) { self.store = store }

    package static func open(folder: String) throws(StateFault) -> SQLiteState {
        do throws(StoreFault) {
            return SQLiteState(try Store.open(folder: folder))
        } catch {
            throw StateFault(error.description)
        }
    }

    private func said<Value>(_ body: () throws(StoreFault) -> Value) throws(StateFault) -> Value {
        do throws(StoreFault) {
            return try body()
        } catch {
            throw StateFault(error.description)
        }
    }

    package func persist(_ records: [Record]) throws(StateFault) {
        try said { () throws(StoreFault) in try store.persist(records) }
    }

    package func persist(_ records: [StagerRecord]) throws(StateFault) {
        try said { () throws(StoreFault) in try store.persist(records) }
    }

    package func recoverStager() throws(StateFault) -> Stager.Recovered {
        try said { () throws(StoreFault) in try store.recoverStager() }
    }

    package func recover() throws(StateFault) -> Engine.Recovered {
        try said { () throws(StoreFault) in try store.recover() }
    }

    package func calls(job: UInt32?, last: Int) throws(StateFault) -> [TracedCall] {
        try said { () throws(StoreFault) in
            try store.calls(job: job, limit: last).map { TracedCall(start: $0.start, end: $0.end) }
        }
    }

    package func changes(last: Int) throws(StateFault) -> [StateChange] {
        try said { () throws(StoreFault) in try store.changes(limit: last) }
    }

    package func actions(last: Int) throws(StateFault) -> [ActionEntry] {
        try said { () throws(StoreFault) in try store.actions(limit: last) }
    }

    package func query(_ sql: String?, json: Bool) throws(StateFault) -> [UInt8] {
        try said { () throws(StoreFault) in
            guard let sql else { return Array(try store.describe().utf8) }
            let answer = try store.query(sql: sql)
            return json ? SQLText.jsonLines(answer) : SQLText.table(answer)
        }
    }

    /// What only a stopped engine can mend is told, not done: `burstd --fsck --repair`.
    package func check() -> [String] {
        do throws(StoreFault) {
            return try store.check().map(\.description)
        } catch {
            return [error.description]
        }
    }

    package func trim(at now: Timestamp) throws(StateFault) -> Bool {
        try said { () throws(StoreFault) in try store.trim(at: now) }
    }

    package func close() { store.close() }
}
