import GRDB

@testable import BurstStore

extension Store {
    /// As a disk that has room for so many pages only.
    func limitPages(_ count: Int) throws {
        try writer.writeWithoutTransaction { database in
            _ = try Int.fetchOne(database, sql: "PRAGMA max_page_count = \(count)")
        }
    }

    /// Behind the store's back.
    func tamper(_ sql: String) throws {
        try writer.write { try $0.execute(sql: sql) }
    }
}
