import GRDB
import GRDBSQLite

/// The answer to a question in SQL.
package struct SQLAnswer: Hashable, Sendable {
    package var columns: [String]
    package var rows: [[Value]]
    /// There would be more: a limit of rows or bytes was reached.
    package var isCut: Bool

    package init(columns: [String], rows: [[Value]], isCut: Bool) {
        self.columns = columns
        self.rows = rows
        self.isCut = isCut
    }

    package enum Value: Hashable, Sendable {
        case null
        case integer(Int64)
        case number(Double)
        case text(String)
        case bytes([UInt8])

        var size: Int {
            switch self {
            case .null, .integer, .number: 8
            case .text(let text): text.utf8.count
            case .bytes(let bytes): bytes.count
            }
        }
    }
}

extension Store {
    /// The tables with what they mean, as SQL with comments, and a question to begin with.
    package func describe() throws(StoreFault) -> String {
        let tables = try guarded {
            try reader.read { database in
                try String.fetchAll(
                    database,
                    sql: """
                        SELECT sql FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'
                            AND name NOT LIKE 'grdb%' ORDER BY rowid
                        """)
            }
        }
        return tables.map { $0 + ";\n" }.joined(separator: "\n") + """

            -- Which hooks took longest today:
            -- SELECT function, job_id, duration_us / 1000000.0 AS seconds, outcome FROM calls
            --   WHERE at >= 1000 * unixepoch('now', 'start of day') ORDER BY duration_us DESC LIMIT 10;

            """
    }

    /// Answers a question: one `SELECT` (or `WITH`, `VALUES`) that reads.
    ///
    /// - Parameter rowsMax: at most `StoreLimits.answerRowsMax`.
    /// - Throws: `.question` for what is no such text, is wrong SQL, or takes longer than `seconds`.
    package func query(
        sql: String, rowsMax: Int = StoreLimits.answerRowsMax, seconds: Int = StoreLimits.questionSeconds
    ) throws(StoreFault) -> SQLAnswer {
        guard sql.utf8.count <= StoreLimits.questionBytesMax, !sql.utf8.contains(0) else {
            throw Self.refusal("has \(sql.utf8.count) bytes", "at most \(StoreLimits.questionBytesMax), none of them 0")
        }
        let word = Self.firstWord(sql)
        guard ["SELECT", "WITH", "VALUES"].contains(word) else {
            throw Self.refusal(word.isEmpty ? "is empty" : "begins with \(word.prefix(40))", "it must be a SELECT")
        }
        let deadline = Deadline(.now + .seconds(seconds))
        do {
            return try reader.read { database in
                // SQLite asks now and then whether to go on.
                let own = Unmanaged.passUnretained(deadline).toOpaque()
                sqlite3_progress_handler(
                    database.sqliteConnection, 20_000,
                    { Unmanaged<Deadline>.fromOpaque($0!).takeUnretainedValue().isOver ? 1 : 0 }, own)
                defer { sqlite3_progress_handler(database.sqliteConnection, 0, nil, nil) }
                return try Self.answer(database, sql, rowsMax: min(max(0, rowsMax), StoreLimits.answerRowsMax))
            }
        } catch let fault as StoreFault {
            throw fault
        } catch let error as DatabaseError {
            if error.resultCode == .SQLITE_INTERRUPT {
                throw Self.refusal("takes longer than \(seconds) s", "ask for less, or add a LIMIT")
            }
            throw Self.refusal(
                error.message ?? "error \(error.extendedResultCode.rawValue)",
                "burst history --tables lists what there is")
        } catch {
            throw Self.refusal("\(error)", "it must be one SELECT")
        }
    }

    private static func refusal(_ wrong: String, _ right: String) -> StoreFault {
        StoreFault(.question, place: "SQL", wrong: wrong, right: right)
    }

    private static func answer(_ database: Database, _ sql: String, rowsMax: Int) throws -> SQLAnswer {
        let statement = try database.makeStatement(sql: sql)
        guard statement.isReadonly else { throw refusal("would change something", "it must be a SELECT that reads") }
        var answer = SQLAnswer(columns: statement.columnNames, rows: [], isCut: false)
        var bytes = 0
        let rows = try Row.fetchCursor(statement)
        while let row = try rows.next() {
            guard answer.rows.count < rowsMax, bytes <= StoreLimits.answerBytesMax else {
                answer.isCut = true
                break
            }
            let values = Array(row.databaseValues).map { value -> SQLAnswer.Value in
                switch value.storage {
                case .null: .null
                case .int64(let number): .integer(number)
                case .double(let number): .number(number)
                case .string(let text): .text(text)
                case .blob(let data): .bytes(Array(data))
                }
            }
            bytes += values.reduce(0) { $0 + $1.size }
            answer.rows.append(values)
        }
        return answer
    }

    /// In capitals, without comments before it.
    static func firstWord(_ sql: String) -> String {
        var rest = sql[...]
        while true {
            rest = rest.drop { $0.isWhitespace || $0 == "(" }
            if rest.hasPrefix("--") {
                rest = rest.drop { !$0.isNewline }
            } else if rest.hasPrefix("/*") {
                guard let end = rest.dropFirst(2).firstRange(ofEnd: "*/") else { return "" }
                rest = rest[end...]
            } else {
                return rest.prefix { $0.isLetter }.uppercased()
            }
        }
    }
}

extension Substring {
    /// Where the first occurrence of two characters ends.
    fileprivate func firstRange(ofEnd pair: String) -> Index? {
        var index = startIndex
        while index < endIndex {
            if self[index...].hasPrefix(pair) { return self.index(index, offsetBy: pair.count) }
            index = self.index(after: index)
        }
        return nil
    }
}

/// When a question has to be answered.
private final class Deadline: Sendable {
    private let moment: ContinuousClock.Instant

    init(_ moment: ContinuousClock.Instant) { self.moment = moment }

    var isOver: Bool { ContinuousClock.now > moment }
}
