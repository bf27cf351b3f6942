internal import BurstModel
internal import BurstReports
internal import BurstScreen
internal import BurstSources
internal import Glibc
internal import Synchronization

/// The modes without a screen: asked, printed, done (monitor.md §3.11).
struct Batch {
    let launch: Launch

    init(_ launch: Launch) { self.launch = launch }

    private var options: MonitorOptions { launch.options }

    func run() throws -> Int32 {
        // A reader that has enough (head) ends us quietly.
        signal(SIGPIPE, SIG_DFL)
        switch options.mode {
        case .schema: return 0
        case .jsonLines(let count): return try stream(count: count, each: line)
        // The screen comes here where the settings ask for plain text.
        case .plain, .screen: return try stream(count: nil, each: PlainText().lines)
        case .check(let list):
            let rules: Set<String>
            do { rules = try CheckReport.rules(list) } catch { throw Refusal(error.description) }
            let delivery: Delivery
            do { delivery = try oneShot() } catch let refusal as Refusal {
                _ = Places.write("BURST UNKNOWN - \(refusal.text)\n".utf8)
                return CheckReport.Status.unknown.rawValue
            }
            let report = CheckReport(delivery.board, rules: rules, thresholds: launch.settings.rules)
            _ = Places.write((report.line + "\n").utf8)
            return report.status.rawValue
        case .once, .json, .csv, .prometheus: break
        }
        // What is wrong with the options is said before the controller is asked.
        let view = try Self.view(options, csvScreen ?? .buffers)
        let board = try narrowed(try oneShot().board)
        let text: [UInt8]
        switch options.mode {
        case .json: text = BoardDocument(board).json(pretty: isatty(STDOUT_FILENO) == 1)
        case .csv(let screen):
            let context = TableContext(board: board, zone: launch.zone)
            text = Array(
                Monitor.csv(screen, rows: Table.order(view.query, context), columns: view.columns, context).utf8)
        case .prometheus(let path):
            do { try AtomicFile.write(Array(PrometheusReport(board).text.utf8), to: path) } catch {
                throw Refusal(error.description, code: ExitCode.failure.rawValue)
            }
            text = []
        default: text = Array(OnceReport(board, width: Self.width(), zone: launch.zone).text.utf8)
        }
        guard Places.write(text) else { return ExitCode.failure.rawValue }
        return Self.status(board)
    }

    /// A report without an answer behind it is a failure, and says why.
    private static func status(_ board: Board) -> Int32 {
        guard case .stale(let reason, _, _, _) = board.health else { return ExitCode.success.rawValue }
        Places.complain(reason)
        return ExitCode.failure.rawValue
    }

    private var csvScreen: ScreenID? { if case .csv(let screen) = options.mode { screen } else { nil } }

    private static func width() -> Int {
        var size = winsize()
        guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col >= 40 else { return 100 }
        return Int(size.ws_col)
    }

    // MARK: Options of the view

    static func check(columns: [String], _ screen: ScreenID) throws {
        let known = Table.columns(screen).map(\.name)
        for column in columns where !known.contains(column) {
            throw Refusal("\(screen.name) has no column \"\(column)\"; \(known.joined(separator: ", "))")
        }
    }

    static func view(_ options: MonitorOptions, _ screen: ScreenID) throws -> (query: TableQuery, columns: [String]?) {
        var query = TableQuery(screen: screen)
        let fields = Table.fields(screen)
        if let text = options.filter {
            do { query.filter = try Filter(text, fields: fields) } catch {
                throw Refusal("--\(error.description)")
            }
        }
        if let sort = options.sort {
            let (column, descending) = Command.sortOrder(sort)
            guard column == "attention" || fields.contains(where: { $0.name == column }) else {
                let names = fields.map(\.name).joined(separator: ", ")
                throw Refusal("--sort: \(screen.name) has no column \"\(column)\"; attention, \(names)")
            }
            query.sort = column
            query.descending = descending ?? false
        }
        if let pool = options.pool, fields.contains(where: { $0.name == "pool" }) { query.quick["pool"] = pool }
        if let user = options.user, fields.contains(where: { $0.name == "user" }) { query.quick["user"] = user }
        let columns = options.columns?.split(separator: ",").map(String.init)
        if let columns { try check(columns: columns, screen) }
        return (query, columns)
    }

    /// `--filter`, `--pool`, `--user` and `--sort` for reports that are no table: they choose and order the buffers;
    /// pool
    /// and user choose jobs, users and pools, too.
    private func narrowed(_ board: Board) throws -> Board {
        guard csvScreen == nil,
            options.filter != nil || options.pool != nil || options.user != nil || options.sort != nil
        else { return board }
        let context = TableContext(board: board, zone: launch.zone)
        var narrowed = board
        narrowed.bufferRows = Table.order(try Self.view(options, .buffers).query, context).map {
            board.bufferRows[Int($0)]
        }
        if let pool = options.pool {
            narrowed.poolRows.removeAll { $0.pool.name != pool }
            narrowed.jobRows.removeAll { $0.pool != pool }
        }
        if let user = options.user {
            narrowed.userRows.removeAll { $0.user != user }
            narrowed.jobRows.removeAll { board.job($0).user != user }
            // Rows hold places of stagings, which are others now; no report asks for them.
            narrowed.stagingRows.removeAll { $0.user != user }
            for index in narrowed.bufferRows.indices { narrowed.bufferRows[index].staging = -1 }
            for index in narrowed.jobRows.indices { narrowed.jobRows[index].staging = -1 }
        }
        return narrowed
    }

    // MARK: Asking

    private func oneShot() throws -> Delivery {
        switch options.origin {
        case .replay, .recordedDemo:
            guard let replay = try launch.source(onChange: {}, prepare: { _ in }) as? ReplaySource else {
                throw Refusal("nothing to replay")
            }
            return replay.oneShot()
        case .follow:
            let result = Mutex<Delivery?>(nil)
            let wake = Wake()
            let source = try launch.source(onChange: { wake.ring() }, prepare: { _ in })
            source.start()
            var descriptor = pollfd(fd: wake.descriptor, events: Int16(POLLIN), revents: 0)
            while source.latest().board.burst == nil, poll(&descriptor, 1, 3000) > 0 { _ = wake.take() }
            result.withLock { $0 = source.latest() }
            Places.wait { await source.stop() }
            return result.withLock { $0! }
        case .automatic, .slurm, .burstd, .demo:
            let source = try launch.source(onChange: {}, prepare: { _ in })
            let jobs = launch.settings.jobs != .off
            let result = Mutex<Delivery?>(nil)
            Places.wait {
                let delivery: Delivery?
                switch source {
                case let collector as Collector: delivery = await collector.oneShot(jobs: jobs)
                case let engine as EngineSource: delivery = await engine.oneShot()
                case let demo as DemoSource: delivery = await demo.oneShot()
                default: delivery = nil
                }
                result.withLock { $0 = delivery }
            }
            guard let delivery = result.withLock({ $0 }) else { throw Refusal("nothing to ask") }
            return delivery
        }
    }

    // MARK: Streams

    private func line(_ board: Board) throws -> [UInt8] {
        BoardDocument(try narrowed(board)).json(pretty: false) + [UInt8(ascii: "\n")]
    }

    /// Prints something for each new sample, at once, until there were enough or the reader is gone.
    private func stream(count: Int?, each: (Board) throws -> [UInt8]) throws -> Int32 {
        let wake = Wake()
        let source = try launch.source(onChange: { wake.ring() }, prepare: { _ in })
        source.start()
        defer { Places.wait { await source.stop() } }
        var printed = 0
        var last: (Timestamp?, Health)?
        var descriptor = pollfd(fd: wake.descriptor, events: Int16(POLLIN), revents: 0)
        while count.map({ printed < $0 }) ?? true {
            if poll(&descriptor, 1, -1) < 0, errno != EINTR { break }
            guard wake.take() else { continue }
            let delivery = source.latest()
            let board = delivery.board
            // A line a sample of the buffers, and one for each failure to get one. The jobs of the first are waited
            // for.
            let isComplete = board.jobs != nil || launch.settings.jobs == .off || printed > 0
            let mark = (board.burst?.at, board.health)
            let isNew = last.map { $0.0 != mark.0 || $0.1 != mark.1 } ?? true
            if isNew, board.health != .connecting, isComplete || board.health != .live {
                last = mark
                let bytes = try each(board)
                if !bytes.isEmpty, !Places.write(bytes) { return ExitCode.failure.rawValue }
                printed += 1
            }
            if let replay = delivery.replay, !replay.playing, replay.index + 1 >= replay.count { break }
        }
        return ExitCode.success.rawValue
    }
}

/// `--plain`: what changes, a line each, for screen readers and serial consoles.
private final class PlainText {
    private var seen: (at: Timestamp, count: Int)?
    private var health: Health?

    func lines(_ board: Board) -> [UInt8] {
        var text = ""
        if health == nil {
            text += "burstmon \(board.source.cluster ?? ""): \(board.bufferRows.count) buffers, "
            text += "\(board.criticalCount) critical, \(board.warningCount) warnings. What changes follows.\n"
            for pool in board.poolRows {
                text +=
                    "pool \(pool.pool.name): \(pool.pool.used.text) used, \(pool.pool.free.text) free of \(pool.pool.total.text)\n"
            }
            for alert in board.alerts {
                text += "\(alert.severity.word) \(alert.rule) \(alert.subject.short) \(alert.user): \(alert.message)\n"
            }
        }
        if case .stale(let reason, _, _, _) = board.health, health != board.health { text += "NO ANSWER: \(reason)\n" }
        health = board.health
        for event in board.events where seen.map({ event.at > $0.at }) ?? false {
            text += "\(event.at.rfc3339) \(event.level.rawValue) \(event.subject.short) \(event.user) \(event.text)\n"
        }
        if let last = board.events.last { seen = (last.at, 0) } else if seen == nil { seen = (board.now, 0) }
        // Names are data: nothing in them reaches the terminal as a control character.
        return text.unicodeScalars.flatMap { scalar -> [UInt8] in
            scalar.value < 0x20 && scalar != "\n" || scalar.value == 0x7f
                ? [UInt8(ascii: "?")] : Array(String(scalar).utf8)
        }
    }
}
