import BurstModel

extension BufferState {
    /// The role that colours it.
    package var role: Role {
        switch self {
        case .pending: .bufferPending
        case .allocating: .bufferAllocating
        case .allocated: .bufferAllocated
        case .deleting: .bufferDeleting
        case .deleted: .bufferDeleted
        case .stagingIn: .bufferStagingIn
        case .stagedIn: .bufferStagedIn
        case .preRun: .bufferPreRun
        case .allocRevoke: .bufferAllocRevoke
        case .running: .bufferRunning
        case .suspended: .bufferSuspended
        case .postRun: .bufferPostRun
        case .stagingOut: .bufferStagingOut
        case .stagedOut: .bufferStagedOut
        case .teardown: .bufferTeardown
        case .teardownFail: .bufferTeardownFail
        case .complete: .bufferComplete
        case .other: .bufferUnknown
        }
    }
}

extension Severity {
    package var role: Role {
        switch self {
        case .info: .severityInfo
        case .warn: .severityWarn
        case .crit: .severityCrit
        }
    }
}

extension Optional where Wrapped == String {
    fileprivate var filterValue: FilterValue { map { .text($0) } ?? .none }
}

extension Amount {
    /// As `short`, without decimals that say nothing: `1G`, not `1.00G`.
    func briefest(bytes: Bool) -> String {
        var text = short(bytes: bytes)
        if let unit = text.last, text.dropLast().hasSuffix(".00") { text = text.dropLast(4) + String(unit) }
        return text
    }
}

/// A dash where Slurm has nothing.
private func dash(_ text: String?) -> (text: String, role: Role) {
    text.map { ($0, Role.row) } ?? ("-", .textDim)
}

extension Table {
    // MARK: Pools

    static let poolColumns: [Column] = {
        func amount(
            _ name: String, _ title: String, weight: Int, aliases: [String] = [], usual: Bool = true, role: Role = .row,
            _ get: @escaping @Sendable (PoolRow) -> Amount?
        ) -> Column {
            Column(
                name, title, width: 7, widthMax: 10, weight: weight, right: true, kind: .amount, aliases: aliases,
                usual: usual,
                cell: { context, index in
                    let row = context.board.poolRows[index]
                    guard let value = get(row) else { return ("-", .textDim) }
                    let over = value.isUnderflow ? Role.poolOver : value.value == 0 ? .textDim : role
                    return (value.short(bytes: row.pool.countsBytes), over)
                },
                value: { context, index in
                    (get(context.board.poolRows[index])?.value).map { .amount($0) } ?? .none
                })
        }
        return [
            Column(
                "pool", "POOL", width: 10, widthMax: 20, weight: 0, aliases: ["name"], free: true,
                cell: { context, index in
                    let row = context.board.poolRows[index]
                    return (row.pool.name + (row.pool.isDefault ? "*" : ""), row.goneSince == nil ? .row : .rowGone)
                },
                value: { context, index in .text(context.board.poolRows[index].pool.name) }),
            Column(
                "share", "USED%", width: 5, weight: 3, right: true, kind: .number, aliases: ["percent"],
                cell: { context, index in
                    let row = context.board.poolRows[index]
                    guard let share = row.pool.unfreeShare else { return ("-", .textDim) }
                    let role: Role = share > 1 ? .poolOver : share >= 0.9 ? .severityWarn : .row
                    return ("\(Int((share * 100).rounded()))%", role)
                },
                value: { context, index in
                    context.board.poolRows[index].pool.unfreeShare.map { .number(Int64(($0 * 100).rounded())) } ?? .none
                }),
            amount("total", "TOTAL", weight: 2) { $0.pool.total },
            amount("used", "USED", weight: 1, role: .poolUsed) { $0.pool.used },
            amount("drained", "DRAIN", weight: 4, role: .poolDrained) { $0.pool.drainedAmount },
            amount("free", "FREE", weight: 0, role: .poolFree) { $0.pool.free },
            amount("fit", "FIT", weight: 2, aliases: ["largest"]) { $0.pool.largestRequest },
            Column(
                "granularity", "GRAN", width: 7, widthMax: 10, weight: 5, right: true, kind: .amount,
                aliases: ["gran"],
                cell: { context, index in
                    let pool = context.board.poolRows[index].pool
                    return (pool.granularity.briefest(bytes: pool.countsBytes), .row)
                },
                value: { context, index in
                    (context.board.poolRows[index].pool.granularity.value).map { .amount($0) } ?? .none
                }),
            Column(
                "grains", "GRAINS", width: 6, weight: 8, right: true, kind: .number,
                cell: { context, index in
                    let pool = context.board.poolRows[index].pool
                    guard let free = pool.free.known, let grain = pool.granularity.known, grain > 0 else {
                        return ("-", .textDim)
                    }
                    return ("\(free / grain)", .row)
                },
                value: { context, index in
                    let pool = context.board.poolRows[index].pool
                    guard let free = pool.free.known, let grain = pool.granularity.known, grain > 0 else {
                        return .none
                    }
                    return .number(Int64(clamping: free / grain))
                }),
            Column(
                "buffers", "BUFS", width: 4, weight: 6, right: true, kind: .number,
                cell: { context, index in ("\(context.board.poolRows[index].bufferCount)", .row) },
                value: { context, index in .number(Int64(context.board.poolRows[index].bufferCount)) }),
            Column(
                "waiting", "WAIT", width: 4, weight: 5, right: true, kind: .number,
                cell: { context, index in
                    let waiting = context.board.poolRows[index].waiting
                    return ("\(waiting)", waiting > 0 ? .severityWarn : .textDim)
                },
                value: { context, index in .number(Int64(context.board.poolRows[index].waiting)) }),
            amount("waste", "WASTE", weight: 9) { Amount($0.waste) },
            amount("reserved", "RESV", weight: 9, role: .poolReserved) { Amount($0.reserved) },
            Column(
                "plugin", "PLUGIN", width: 8, weight: 10, free: true,
                cell: { context, index in (context.board.poolRows[index].pool.plugin, .row) },
                value: { context, index in .text(context.board.poolRows[index].pool.plugin) }),
        ]
    }()

    // MARK: Buffers

    static let bufferColumns: [Column] = {
        func text(
            _ name: String, _ title: String, width: Int, widthMax: Int = 0, weight: Int, aliases: [String] = [],
            free: Bool = false, usual: Bool = true, role: Role = .row,
            _ get: @escaping @Sendable (Board, BufferRow) -> String?
        ) -> Column {
            Column(
                name, title, width: width, widthMax: widthMax, weight: weight, aliases: aliases, free: free,
                usual: usual,
                cell: { context, index in
                    let text = get(context.board, context.board.bufferRows[index])
                    return text.map { ($0, role) } ?? ("-", .textDim)
                },
                value: { context, index in get(context.board, context.board.bufferRows[index]).filterValue })
        }
        return [
            text("id", "ID", width: 11, widthMax: 16, weight: 0, aliases: ["job", "name"], free: true) { _, row in
                row.key.id.short
            },
            text("user", "USER", width: 8, widthMax: 12, weight: 1, free: true) { board, row in
                board.buffer(row) { $0.user }
            },
            text("pool", "POOL", width: 8, widthMax: 16, weight: 3, free: true) { board, row in
                board.buffer(row) { $0.pool } ?? nil
            },
            Column(
                "size", "SIZE", width: 7, widthMax: 10, weight: 0, right: true, kind: .amount,
                cell: { context, index in
                    let row = context.board.bufferRows[index]
                    guard let buffer = context.board.buffer(row) else { return ("-", .textDim) }
                    return (
                        buffer.size.short(bytes: context.countsBytes(plugin: row.key.plugin, pool: buffer.pool)), .row
                    )
                },
                value: { context, index in
                    (context.board.buffer(context.board.bufferRows[index]) { $0.size.value } ?? nil).map { .amount($0) }
                        ?? .none
                }),
            Column(
                "alloc", "ALLOC", width: 10, widthMax: 13, weight: 4, aliases: ["allocation"], free: true,
                cell: { context, index in
                    let row = context.board.bufferRows[index]
                    if row.gone != nil { return ("(gone)", .rowGone) }
                    guard let state = context.board.buffer(row)?.state else { return ("-", .textDim) }
                    return (state == .teardownFail ? "td-fail" : state.name, state.role)
                },
                value: { context, index in
                    let row = context.board.bufferRows[index]
                    if row.gone != nil { return .text("gone") }
                    return context.board.buffer(row) { $0.state.name }.filterValue
                }),
            Column(
                "state", "JOB BB STATE", width: 13, widthMax: 14, weight: 0, aliases: ["stage"], free: true,
                cell: { context, index in
                    let row = context.board.bufferRows[index]
                    if row.key.id.isPersistent { return ("(persistent)", .bufferPersistent) }
                    if let state = context.board.job(row)?.bufferState { return (state.name, state.role) }
                    if row.job != nil { return ("-", .textDim) }
                    return (context.board.jobs == nil ? "(unknown)" : "(no job)", .rowGone)
                },
                value: { context, index in
                    let row = context.board.bufferRows[index]
                    if row.key.id.isPersistent { return .text("persistent") }
                    return .text(context.board.stage(row).name)
                }),
            progress { $0.board.bufferRows[$1].staging },
            text("jobstate", "ST", width: 2, weight: 6, aliases: ["st"]) { board, row in
                board.job(row) { $0.state.code }
            },
            Column(
                "age", "AGE", width: 4, widthMax: 5, weight: 1, right: true, kind: .seconds,
                cell: { context, index in (context.board.bufferRows[index].ageText(at: context.now), .row) },
                value: { context, index in .seconds(context.now.seconds(since: context.board.bufferRows[index].since)) }
            ),
            Column(
                "flag", "FLAG", width: 7, widthMax: 11, weight: 2, aliases: ["flags"], free: true,
                cell: { context, index in
                    let row = context.board.bufferRows[index]
                    return (row.flag, row.severity?.role ?? .row)
                },
                value: { context, index in .text(context.board.bufferRows[index].flag) }),
            text("jobname", "JOB NAME", width: 12, widthMax: 24, weight: 12) { board, row in
                board.job(row) { $0.name }
            },
            text("reason", "REASON", width: 20, widthMax: 60, weight: 13) { board, row in
                board.job(row).map(\.reasonLine).flatMap { $0 == "None" ? nil : $0 }
            },
            text("account", "ACCOUNT", width: 10, weight: 14) { board, row in board.buffer(row) { $0.account } ?? nil },
            text("partition", "PARTITION", width: 10, weight: 15) { board, row in
                board.buffer(row) { $0.partition } ?? nil
            },
            text("qos", "QOS", width: 8, weight: 16) { board, row in board.buffer(row) { $0.qos } ?? nil },
            Column(
                "created", "CREATED", width: 19, weight: 17, kind: .seconds, usual: false,
                cell: { context, index in
                    let row = context.board.bufferRows[index]
                    return dash(row.created.map { context.dateTime($0) })
                },
                value: { context, index in
                    context.board.bufferRows[index].created.map { .seconds(context.now.seconds(since: $0)) } ?? .none
                }),
            Column(
                "uid", "UID", width: 7, weight: 18, right: true, kind: .number, usual: false,
                cell: { context, index in
                    dash((context.board.buffer(context.board.bufferRows[index])?.uid).map { "\($0)" })
                },
                value: { context, index in
                    context.board.buffer(context.board.bufferRows[index]) { .number(Int64($0.uid)) } ?? .none
                }),
            text("plugin", "PLUGIN", width: 8, weight: 19, usual: false) { _, row in row.key.plugin },
            text("class", "CLASS", width: 10, weight: 20, usual: false) { $0.stage($1).stateClass.rawValue },
        ]
    }()

    // MARK: Users

    static let userColumns: [Column] = [
        Column(
            "user", "USER", width: 10, widthMax: 20, weight: 0, free: true,
            cell: { context, index in (context.board.userRows[index].user, .row) },
            value: { context, index in .text(context.board.userRows[index].user) }),
        Column(
            "uid", "UID", width: 6, widthMax: 8, weight: 6, right: true, kind: .number,
            cell: { context, index in ("\(context.board.userRows[index].uid)", .row) },
            value: { context, index in .number(Int64(context.board.userRows[index].uid)) }),
        Column(
            "buffers", "BUFS", width: 5, weight: 2, right: true, kind: .number,
            cell: { context, index in ("\(context.board.userRows[index].buffers)", .row) },
            value: { context, index in .number(Int64(context.board.userRows[index].buffers)) }),
        Column(
            "used", "USED", width: 8, weight: 0, right: true, kind: .amount,
            cell: { context, index in
                dash(context.board.userRows[index].used.map { Amount($0).short(bytes: true) })
            },
            value: { context, index in context.board.userRows[index].used.map { .amount($0) } ?? .none }),
        Column(
            "sum", "SUM BUFS", width: 8, weight: 3, right: true, kind: .amount,
            cell: { context, index in
                let row = context.board.userRows[index]
                let role: Role = (row.gap ?? 0) == 0 ? .row : .severityWarn
                return (Amount(row.sum).short(bytes: true), role)
            },
            value: { context, index in .amount(context.board.userRows[index].sum) }),
        Column(
            "share", "SHARE", width: 5, weight: 1, right: true, kind: .number,
            cell: { context, index in ("\(Int((context.board.userRows[index].share * 100).rounded()))%", .row) },
            value: { context, index in .number(Int64((context.board.userRows[index].share * 100).rounded())) }),
        Column(
            "pools", "POOLS", width: 5, weight: 5, right: true, kind: .number,
            cell: { context, index in ("\(context.board.userRows[index].pools)", .row) },
            value: { context, index in .number(Int64(context.board.userRows[index].pools)) }),
        Column(
            "oldest", "OLDEST", width: 6, weight: 4, right: true, kind: .seconds,
            cell: { context, index in
                dash(context.board.userRows[index].oldestSeconds.map { Age.short(seconds: $0) })
            },
            value: { context, index in context.board.userRows[index].oldestSeconds.map { .seconds($0) } ?? .none }),
        Column(
            "states", "STATES", width: 14, widthMax: 60, weight: 3, free: true,
            cell: { context, index in (statesText(context.board.userRows[index]), .row) },
            value: { context, index in .text(statesText(context.board.userRows[index])) }),
    ]

    private static func statesText(_ row: UserRow) -> String {
        row.states.map { "\($0.state.letters):\($0.count)" }.joined(separator: " ")
    }

    // MARK: Jobs

    static let jobColumns: [Column] = {
        func text(
            _ name: String, _ title: String, width: Int, widthMax: Int = 0, weight: Int, aliases: [String] = [],
            free: Bool = false, usual: Bool = true, _ get: @escaping @Sendable (Board, JobRow) -> String?
        ) -> Column {
            Column(
                name, title, width: width, widthMax: widthMax, weight: weight, aliases: aliases, free: free,
                usual: usual,
                cell: { context, index in dash(get(context.board, context.board.jobRows[index])) },
                value: { context, index in get(context.board, context.board.jobRows[index]).filterValue })
        }
        return [
            text("job", "JOB", width: 11, widthMax: 12, weight: 0, aliases: ["id"], free: true) { board, row in
                board.job(row) { $0.shortID }
            },
            text("user", "USER", width: 8, widthMax: 12, weight: 1, free: true) { board, row in
                board.job(row) { $0.user }
            },
            text("jobstate", "ST", width: 2, weight: 0, aliases: ["st"], free: true) { board, row in
                board.job(row) { $0.state.code }
            },
            Column(
                "state", "BB STATE", width: 13, widthMax: 14, weight: 0, aliases: ["stage"], free: true,
                cell: { context, index in
                    guard let state = context.board.job(context.board.jobRows[index]).bufferState else {
                        return ("-", .textDim)
                    }
                    return (state.name, state.role)
                },
                value: { context, index in
                    context.board.job(context.board.jobRows[index]) { $0.bufferState?.name }.filterValue
                }),
            progress { $0.board.jobRows[$1].staging },
            text("pool", "POOL", width: 8, widthMax: 14, weight: 3, free: true) { _, row in row.pool },
            Column(
                "need", "NEED", width: 6, widthMax: 10, weight: 2, right: true, kind: .amount, aliases: ["size"],
                cell: { context, index in
                    let row = context.board.jobRows[index]
                    return dash(row.need.map { Amount($0).short(bytes: row.needCountsBytes) })
                },
                value: { context, index in context.board.jobRows[index].need.map { .amount($0) } ?? .none }),
            Column(
                "held", "HELD", width: 4, weight: 4,
                cell: { context, index in
                    context.board.job(context.board.jobRows[index]).isHeld ? ("HELD", .severityWarn) : ("", .row)
                },
                value: { context, index in
                    .text(context.board.job(context.board.jobRows[index]) { $0.isHeld } ? "held" : "")
                }),
            Column(
                "age", "AGE", width: 4, widthMax: 5, weight: 5, right: true, kind: .seconds,
                cell: { context, index in (context.board.jobRows[index].ageText(at: context.now), .row) },
                value: { context, index in .seconds(context.now.seconds(since: context.board.jobRows[index].since)) }),
            Column(
                "reason", "REASON", width: 14, widthMax: 80, weight: 4, free: true,
                cell: { context, index in
                    let reason = context.board.job(context.board.jobRows[index]) { $0.reasonLine }
                    // Which plugin failed is the least that can be said of a failure.
                    for prefix in ["burst_buffer/datawarp: ", "burst_buffer/lua: "] where reason.hasPrefix(prefix) {
                        return (String(reason.dropFirst(prefix.count)), .row)
                    }
                    return dash(reason == "None" ? nil : reason)
                },
                value: { context, index in
                    let reason = context.board.job(context.board.jobRows[index]) { $0.reasonLine }
                    return reason == "None" ? .none : .text(reason)
                }),
            Column(
                "start", "START", width: 8, widthMax: 19, weight: 11, kind: .seconds, aliases: ["expected"],
                cell: { context, index in
                    let job = context.board.job(context.board.jobRows[index])
                    guard let start = job.start else { return ("-", .textDim) }
                    let away = start.seconds(since: context.now)
                    if away > 0 { return ("in " + Age.short(seconds: away), .row) }
                    return (Age.short(seconds: -away) + " ago", .textDim)
                },
                value: { context, index in
                    context.board.job(context.board.jobRows[index]) { $0.start }.map {
                        .seconds($0.seconds(since: context.now))
                    } ?? .none
                }),
            text("name", "NAME", width: 12, widthMax: 24, weight: 10, aliases: ["jobname"], free: true) { board, row in
                board.job(row) { $0.name }
            },
            text("partition", "PARTITION", width: 9, weight: 12) { board, row in board.job(row) { $0.partition } },
            text("account", "ACCOUNT", width: 9, weight: 13) { board, row in board.job(row) { $0.account } },
            text("qos", "QOS", width: 7, weight: 14) { board, row in board.job(row) { $0.qos } },
            text("spec", "SPEC", width: 24, widthMax: 80, weight: 15, usual: false) { board, row in
                board.job(row).spec?.split(whereSeparator: \.isNewline).joined(separator: " | ")
            },
        ]
    }()

    // MARK: Events

    static let eventColumns: [Column] = [
        Column(
            "time", "TIME", width: 8, weight: 4, kind: .seconds,
            cell: { context, index in (context.clock(context.board.events[index].at), .textDim) },
            value: { context, index in .seconds(context.now.seconds(since: context.board.events[index].at)) }),
        Column(
            "level", "LVL", width: 4, weight: 6, free: true,
            cell: { context, index in
                let level = context.board.events[index].level
                return (level.rawValue, level.role)
            },
            value: { context, index in .text(context.board.events[index].level.rawValue) }),
        Column(
            "kind", "KIND", width: 10, weight: 5, free: true,
            cell: { context, index in (context.board.events[index].kind.rawValue, .row) },
            value: { context, index in .text(context.board.events[index].kind.rawValue) }),
        Column(
            "subject", "SUBJECT", width: 10, widthMax: 12, weight: 0, aliases: ["id"], free: true,
            cell: { context, index in (context.board.events[index].subject.short, .textStrong) },
            value: { context, index in .text(context.board.events[index].subject.short) }),
        Column(
            "user", "USER", width: 8, weight: 2, free: true,
            cell: { context, index in (context.board.events[index].user, .row) },
            value: { context, index in .text(context.board.events[index].user) }),
        Column(
            "event", "EVENT", width: 14, widthMax: 400, weight: 0, aliases: ["text"], free: true,
            cell: { context, index in (context.board.events[index].text, .row) },
            value: { context, index in .text(context.board.events[index].text) }),
    ]
}

extension Event.Level {
    package var role: Role {
        switch self {
        case .info: .severityInfo
        case .warn: .severityWarn
        case .crit: .severityCrit
        case .error: .textError
        }
    }
}
