package import BurstModel

/// The nine screens, in the order of their keys.
package enum ScreenID: Int, CaseIterable, Hashable, Sendable {
    case overview = 1
    case pools, buffers, users, jobs, status, events, config, stage

    package var title: String {
        switch self {
        case .overview: "Overview"
        case .pools: "Pools"
        case .buffers: "Buffers"
        case .users: "Users"
        case .jobs: "Jobs"
        case .status: "Status"
        case .events: "Events"
        case .config: "Config"
        case .stage: "Stage"
        }
    }

    /// As on the command line and in settings files.
    package var name: String { title.lowercased() }

    package init?(name: some StringProtocol) {
        guard let screen = Self.allCases.first(where: { $0.name == name.lowercased() }) else { return nil }
        self = screen
    }

    /// The screens that are tables of rows.
    package var isTable: Bool {
        switch self {
        case .pools, .buffers, .users, .jobs, .events, .stage: true
        case .overview, .status, .config: false
        }
    }
}

/// Which row, by what it is, never by its number.
package enum RowID: Hashable, Sendable {
    case pool(PoolKey)
    case buffer(BufferKey)
    case user(String)
    case job(JobID)
    /// An event's time and its number within that time.
    case event(Timestamp, Int)
    case alert(Alert.ID)
    case staging(StagingReport.Key)
}

/// What the cells of a table are made from: a board and how to show it.
package struct TableContext: Sendable {
    package let board: Board
    package let zone: LocalTime.Zone
    private let poolCountsBytes: [PoolKey: Bool]

    package init(board: Board, zone: LocalTime.Zone) {
        self.board = board
        self.zone = zone
        poolCountsBytes = Dictionary(
            board.poolRows.map { ($0.pool.key, $0.pool.countsBytes) }, uniquingKeysWith: { first, _ in first })
    }

    package var now: Timestamp { board.now }

    /// Whether amounts of a pool are bytes; true for a pool that is not reported.
    package func countsBytes(plugin: String, pool: String?) -> Bool {
        pool.flatMap { poolCountsBytes[PoolKey(plugin: plugin, name: $0)] } ?? true
    }

    package func clock(_ time: Timestamp) -> String { zone.local(time).clock }
    package func dateTime(_ time: Timestamp) -> String { zone.local(time).text }
}

/// A column: how it is named, shown, sorted and filtered.
package struct Column: Sendable {
    /// For `--columns`, `--sort` and filters.
    package var name: String
    package var title: String
    /// Cells wanted, and up to how many it grows where there is room.
    package var width: Int
    package var widthMax: Int
    /// The larger, the sooner it is left out; 0 stays.
    package var weight: Int
    package var isRight: Bool
    package var kind: FilterField.Kind
    package var aliases: [String]
    package var isInFreeText: Bool
    /// Shown unless the user chooses columns.
    package var isUsual: Bool
    /// The cell is a bar with its text behind: how much of it is full, 0 to 1; nil: not known. No bar where it is nil.
    package var share: (@Sendable (TableContext, Int) -> Double?)?
    /// Room goes to it before others: what is worst is longest in it.
    package var growsFirst = false
    /// What is shown of a row.
    package var cell: @Sendable (TableContext, Int) -> (text: String, role: Role)
    /// What filters and sorting see of it.
    package var value: @Sendable (TableContext, Int) -> FilterValue

    package init(
        _ name: String, _ title: String, width: Int, widthMax: Int = 0, weight: Int, right: Bool = false,
        kind: FilterField.Kind = .text, aliases: [String] = [], free: Bool = false, usual: Bool = true,
        cell: @escaping @Sendable (TableContext, Int) -> (text: String, role: Role),
        value: @escaping @Sendable (TableContext, Int) -> FilterValue
    ) {
        self.name = name
        self.title = title
        self.width = width
        self.widthMax = max(width, widthMax)
        self.weight = weight
        isRight = right
        self.kind = kind
        self.aliases = aliases
        isInFreeText = free
        isUsual = usual
        self.cell = cell
        self.value = value
    }
}

/// What a table shows: which rows, in which order.
package struct TableQuery: Hashable, Sendable {
    package var screen: ScreenID
    package var filter: Filter?
    /// Exact values from the pick lists and from drilling down, by column name.
    package var quick: [String: String]
    package var attentionOnly: Bool
    package var sort: String
    package var descending: Bool

    package init(screen: ScreenID) {
        self.screen = screen
        quick = [:]
        attentionOnly = false
        sort = Table.usualSort(screen).column
        descending = Table.usualSort(screen).descending
    }
}

/// Rows of a screen's table, and the order in which a query shows them.
package enum Table {
    package static func usualSort(_ screen: ScreenID) -> (column: String, descending: Bool) {
        switch screen {
        case .pools: ("pool", false)
        case .buffers: ("attention", true)
        case .users: ("used", true)
        case .jobs: ("attention", true)
        case .events: ("time", true)
        case .stage: ("activity", true)
        case .overview, .status, .config: ("", false)
        }
    }

    package static func columns(_ screen: ScreenID) -> [Column] {
        switch screen {
        case .pools: poolColumns
        case .buffers: bufferColumns
        case .users: userColumns
        case .jobs: jobColumns
        case .events: eventColumns
        case .stage: stageColumns
        case .overview, .status, .config: []
        }
    }

    package static func fields(_ screen: ScreenID) -> [FilterField] {
        columns(screen).map {
            FilterField($0.name, aliases: $0.aliases, kind: $0.kind, inFreeText: $0.isInFreeText)
        }
    }

    package static func rowCount(_ board: Board, _ screen: ScreenID) -> Int {
        switch screen {
        case .pools: board.poolRows.count
        case .buffers: board.bufferRows.count
        case .users: board.userRows.count
        case .jobs: board.jobRows.count
        case .events: board.events.count
        case .stage: board.stagingRows.count
        case .overview, .status, .config: 0
        }
    }

    package static func id(_ board: Board, _ screen: ScreenID, _ index: Int) -> RowID {
        switch screen {
        case .pools: .pool(board.poolRows[index].pool.key)
        case .buffers: .buffer(board.bufferRows[index].key)
        case .users: .user(board.userRows[index].user)
        case .jobs: .job(board.jobRows[index].id)
        case .stage: .staging(board.stagingRows[index].key)
        default: eventID(board, index)
        }
    }

    /// Whether a row is the one of an id; cheaper than to make its id.
    package static func isRow(_ board: Board, _ screen: ScreenID, _ index: Int, _ id: RowID) -> Bool {
        switch (screen, id) {
        case (.buffers, .buffer(let key)):
            board.bufferRows[index].key.id == key.id && board.bufferRows[index].key.plugin == key.plugin
        case (.jobs, .job(let job)): board.jobRows[index].id == job
        default: Self.id(board, screen, index) == id
        }
    }

    private static func eventID(_ board: Board, _ index: Int) -> RowID {
        let time = board.events[index].at
        var first = index
        while first > 0, board.events[first - 1].at == time { first -= 1 }
        return .event(time, index - first)
    }

    package static func severity(_ board: Board, _ screen: ScreenID, _ index: Int) -> Severity? {
        switch screen {
        case .pools: board.poolRows[index].severity
        case .buffers: board.bufferRows[index].severity
        case .users: board.userRows[index].severity
        case .jobs: board.jobRows[index].severity
        case .stage: board.stagingRows[index].severity
        case .events:
            switch board.events[index].level {
            case .crit, .error: .crit
            case .warn: .warn
            case .info: nil
            }
        case .overview, .status, .config: nil
        }
    }

    /// What decides between rows that are equal otherwise: the identity, so that rows don't move without a reason.
    private static func tie(_ board: Board, _ screen: ScreenID, _ index: Int) -> UInt64 {
        switch screen {
        case .buffers: board.bufferRows[index].key.id.sortKey.0
        case .jobs: UInt64(board.jobRows[index].id.number)
        case .pools: prefix(board.poolRows[index].pool.name)
        case .users: prefix(board.userRows[index].user)
        default: UInt64(index)
        }
    }

    /// The first eight bytes as a number that sorts as they do.
    private static func prefix(_ text: String) -> UInt64 {
        var value: UInt64 = 0
        var count = 0
        for byte in text.utf8.prefix(8) {
            value = value << 8 | UInt64(byte)
            count += 1
        }
        return count == 8 ? value : value << UInt64(8 * (8 - count))
    }

    /// The rows of an order that a filter lets pass. Where the rows may be chosen from an order that is there,
    /// nothing has to be sorted.
    package static func narrowed(_ rows: [Int32], by filter: Filter, _ screen: ScreenID, _ context: TableContext)
        -> [Int32]
    {
        let values = columns(screen).map(\.value)
        return rows.filter { row in filter.matches { values[$0](context, Int(row)) } }
    }

    private struct Item {
        var key: UInt64
        var text: String?
        var tie: UInt64
        var index: Int32
    }

    /// The rows that a query shows, by their index on the board, in its order. Rows without a value come last.
    package static func order(_ query: TableQuery, _ context: TableContext) -> [Int32] {
        let board = context.board
        let columns = columns(query.screen)
        let quick = query.quick.compactMap { name, text in
            columns.first { $0.name == name }.map { (column: $0, text: text) }
        }
        let filter = query.filter.flatMap { $0.isEmpty ? nil : $0 }
        let values = columns.map(\.value)
        var items: [Item] = []
        let count = rowCount(board, query.screen)
        items.reserveCapacity(count)
        let sorted = columns.first { $0.name == query.sort }
        let isEventOrder = query.screen == .events && (query.sort == "time" || sorted == nil)
        for index in 0..<count {
            if query.attentionOnly, severity(board, query.screen, index).map({ $0 < .warn }) ?? true { continue }
            var fits = true
            for (column, text) in quick {
                if case .text(let value) = column.value(context, index), value == text { continue }
                fits = false
                break
            }
            if !fits { continue }
            if let filter, !filter.matches({ values[$0](context, index) }) { continue }
            var item = Item(key: 0, text: nil, tie: 0, index: Int32(index))
            if isEventOrder {
                item.key = UInt64(index)
            } else {
                item.tie = tie(board, query.screen, index)
                if query.sort == "attention" {
                    item.key = UInt64(severity(board, query.screen, index).map { $0.rawValue + 1 } ?? 0)
                } else if let sorted {
                    switch sorted.value(context, index) {
                    case .text(let text):
                        item.key = prefix(text)
                        item.text = text
                    case .amount(let amount): item.key = amount
                    case .seconds(let seconds): item.key = UInt64(bitPattern: Int64(seconds)) ^ 1 << 63
                    case .number(let number): item.key = UInt64(bitPattern: number) ^ 1 << 63
                    case .none: item.key = query.descending ? 0 : .max
                    }
                }
            }
            items.append(item)
        }
        let descending = query.descending
        items.sort { left, right in
            if left.key != right.key { return (left.key < right.key) != descending }
            if let first = left.text, let second = right.text, first != second { return (first < second) != descending }
            if left.tie != right.tie { return left.tie < right.tie }
            return left.index < right.index
        }
        return items.map(\.index)
    }

    // MARK: Layout

    /// A column with the cells that it gets.
    package struct Placed: Sendable {
        package var column: Column
        package var at: Int
        package var width: Int
    }

    /// Chooses columns for a width: those of most weight go first; what is left grows where it may.
    /// - Parameters:
    ///   - chosen: names in the user's order; nil for the usual ones.
    ///   - skip: columns scrolled out at the left, behind the first.
    ///   - without: names of usual columns that say nothing now.
    package static func layout(
        _ screen: ScreenID, width: Int, chosen: [String]?, skip: Int, without: Set<String> = []
    ) -> [Placed] {
        let all = columns(screen)
        var picked: [Column]
        if let chosen {
            picked = chosen.compactMap { name in all.first { $0.name == name } }
            for index in picked.indices { picked[index].weight = min(picked[index].weight, index) }
        } else {
            picked = all.filter { $0.isUsual && !without.contains($0.name) }
        }
        if skip > 0, picked.count > 1 { picked.removeSubrange(1..<min(picked.count, 1 + skip)) }
        func total() -> Int { picked.reduce(-1) { $0 + $1.width + 1 } }
        while total() > width, picked.count > 1 {
            let heaviest = picked.indices.max { picked[$0].weight < picked[$1].weight }!
            if picked[heaviest].weight == 0 { break }
            picked.remove(at: heaviest)
        }
        var room = width - total()
        var placed: [Placed] = []
        var at = 0
        // Room goes first to columns of the least weight; to bars last, which say as much when they are short.
        var extra = [Int](repeating: 0, count: picked.count)
        func rank(_ index: Int) -> (Int, Int, Int) {
            let column = picked[index]
            return (column.growsFirst ? 0 : column.share == nil ? 1 : 2, column.weight, index)
        }
        for index in picked.indices.sorted(by: { rank($0) < rank($1) }) where room > 0 {
            let wanted = min(room, picked[index].widthMax - picked[index].width)
            extra[index] = wanted
            room -= wanted
        }
        for (index, column) in picked.enumerated() {
            let columnWidth = min(column.width + extra[index], max(0, width - at))
            if columnWidth <= 0 { break }
            placed.append(Placed(column: column, at: at, width: columnWidth))
            at += columnWidth + 1
        }
        return placed
    }
}

/// Cuts text to a number of cells; text that is cut ends in a sign for it.
package func clipped(_ text: String, to width: Int, sign: String = ">") -> String {
    guard width > 0 else { return "" }
    if CharacterWidth.cells(of: text) <= width { return text }
    var kept = ""
    var cells = 0
    CharacterWidth.forEachPiece(in: text) { piece, count in
        if cells + count > width - 1 { return false }
        kept += piece
        cells += count
        return true
    }
    return kept + String(repeating: " ", count: width - 1 - cells) + sign
}

/// Text filled up with blanks to a number of cells, or cut.
package func padded(_ text: String, to width: Int, right: Bool = false, sign: String = ">") -> String {
    let text = clipped(text, to: width, sign: sign)
    let blanks = String(repeating: " ", count: max(0, width - CharacterWidth.cells(of: text)))
    return right ? blanks + text : text + blanks
}
