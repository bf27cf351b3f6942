import BurstModel

extension StagingPhase {
    /// The role that colours it beside a state of Slurm's.
    func role(_ state: BufferState?) -> Role {
        hasFailed || name == "lost" ? .severityCrit : state?.role ?? .row
    }
}

/// The stager's sessions as a table, and the column that other tables have of them.
extension Table {
    /// How far the copy of a row's session is: per cent, or what was copied until the totals are known.
    /// - Parameter place: the row's session among the staging rows; -1: none.
    static func progress(_ place: @escaping @Sendable (TableContext, Int) -> Int32) -> Column {
        Column(
            "progress", "PROG", width: 6, weight: 3, right: true, kind: .number, aliases: ["prog"],
            cell: { context, index in
                guard let progress = context.board.progress(at: place(context, index)) else { return ("", .row) }
                if let percent = progress.percent { return ("\(percent)%", .row) }
                return (Amount.short(progress.bytesDone) + "+", .row)
            },
            value: { context, index in
                context.board.progress(at: place(context, index))?.percent.map { .number(Int64($0)) } ?? .none
            })
    }

    static let stageColumns: [Column] = {
        @Sendable func session(_ context: TableContext, _ index: Int) -> StagingReport.Session {
            context.board.session(context.board.stagingRows[index])
        }
        func text(
            _ name: String, _ title: String, width: Int, widthMax: Int = 0, weight: Int, right: Bool = false,
            aliases: [String] = [], free: Bool = false, usual: Bool = true,
            _ get: @escaping @Sendable (StagingReport.Session) -> String?
        ) -> Column {
            Column(
                name, title, width: width, widthMax: widthMax, weight: weight, right: right, aliases: aliases,
                free: free, usual: usual,
                cell: { context, index in
                    let text = get(session(context, index))
                    return text.map { ($0, .row) } ?? ("-", .textDim)
                },
                value: { context, index in get(session(context, index)).map { .text($0) } ?? .none })
        }
        /// Figures of a copy, or a dash where who looks may not see it.
        func figure(
            _ name: String, _ title: String, width: Int, widthMax: Int = 0, weight: Int,
            kind: FilterField.Kind = .number, aliases: [String] = [], usual: Bool = true,
            role: @escaping @Sendable (StagingProgress) -> Role = { _ in .row },
            _ get: @escaping @Sendable (StagingProgress) -> String,
            value: @escaping @Sendable (StagingProgress) -> FilterValue
        ) -> Column {
            Column(
                name, title, width: width, widthMax: widthMax, weight: weight, right: true, kind: kind,
                aliases: aliases, usual: usual,
                cell: { context, index in
                    guard let progress = session(context, index).progress else { return ("-", .textDim) }
                    return (get(progress), role(progress))
                },
                value: { context, index in session(context, index).progress.map(value) ?? .none })
        }
        @Sendable func dash(_ text: String) -> (text: String, role: Role) { (text, text == "-" ? .textDim : .row) }
        @Sendable func number(_ value: UInt64) -> FilterValue { .number(Int64(clamping: value)) }
        var percent = figure(
            "progress", "PROGRESS", width: 12, widthMax: 24, weight: 0, aliases: ["prog", "percent"],
            { $0.percentText }, value: { $0.percent.map { .number(Int64($0)) } ?? .none })
        percent.share = { context, index in
            session(context, index).progress.map { Double($0.percent ?? 0) / 100 }
        }
        var phase = Column(
            "phase", "PHASE", width: 11, widthMax: 16, weight: 1, aliases: ["stage"], free: true,
            cell: { context, index in
                let session = session(context, index)
                return (session.phase.name, session.phase.role(session.slurmState))
            },
            value: { context, index in .text(session(context, index).phase.name) })
        phase.growsFirst = true
        return [
            text("token", "TOKEN", width: 8, widthMax: 12, weight: 0, aliases: ["id", "job", "name"], free: true) {
                $0.token
            },
            Column(
                "user", "USER", width: 8, widthMax: 12, weight: 2, free: true,
                cell: { context, index in (context.board.stagingRows[index].user, .row) },
                value: { context, index in .text(context.board.stagingRows[index].user) }),
            text("direction", "DIR", width: 4, weight: 4, aliases: ["dir"], free: true) { session in
                let direction = session.phase.direction
                return direction.isEmpty ? nil : direction
            },
            percent,
            figure(
                "bytes", "BYTES", width: 12, weight: 3, kind: .amount, aliases: ["done"],
                { $0.bytesText }, value: { .amount($0.bytesDone) }),
            figure(
                "files", "FILES", width: 11, widthMax: 16, weight: 7, { $0.filesText }, value: { number($0.filesDone) }),
            Column(
                "rate", "RATE", width: 7, weight: 3, right: true, kind: .amount,
                cell: { context, index in dash(session(context, index).rateText) },
                value: { context, index in
                    let session = session(context, index)
                    guard session.phase.isCopying, let rate = session.progress?.rateNow else { return .none }
                    return .amount(rate)
                }),
            Column(
                "eta", "ETA", width: 5, weight: 1, right: true, kind: .seconds,
                cell: { context, index in dash(session(context, index).etaText) },
                value: { context, index in
                    let session = session(context, index)
                    guard session.phase.isCopying, let eta = session.progress?.eta else { return .none }
                    return .seconds(Int(clamping: eta))
                }),
            figure(
                "errors", "ERR", width: 3, widthMax: 6, weight: 6,
                role: { $0.errors > 0 ? .severityWarn : .textDim }, { "\($0.errors)" }, value: { number($0.errors) }),
            phase,
            Column(
                "slurm", "SLURM SAYS", width: 12, widthMax: 14, weight: 8, aliases: ["state"], free: true,
                cell: { context, index in
                    let row = context.board.stagingRows[index]
                    if row.differsSince != nil { return (row.word.text, .severityWarn) }
                    if case .state(let state) = row.word { return (state.name, state.role) }
                    return (row.word.text, .textDim)
                },
                value: { context, index in
                    let word = context.board.stagingRows[index].word
                    return word == .unknown ? .none : .text(word.text)
                }),
            Column(
                "age", "AGE", width: 4, widthMax: 5, weight: 9, right: true, kind: .seconds,
                cell: { context, index in (context.board.stagingRows[index].ageText(at: context.now), .row) },
                value: { context, index in
                    .seconds(context.now.seconds(since: context.board.stagingRows[index].since))
                }),
            Column(
                "size", "SIZE", width: 7, weight: 10, right: true, kind: .amount,
                cell: { context, index in (Amount.short(session(context, index).bytes), .row) },
                value: { context, index in .amount(session(context, index).bytes) }),
            figure(
                "total", "TOTAL", width: 7, weight: 11, kind: .amount, usual: false,
                { Amount.short($0.bytesTotal) + ($0.planComplete ? "" : "+") }, value: { .amount($0.bytesTotal) }),
            figure(
                "totalfiles", "ALL FILES", width: 9, weight: 11, usual: false,
                { "\($0.filesTotal)" + ($0.planComplete ? "" : "+") }, value: { number($0.filesTotal) }),
            figure(
                "retries", "RETRY", width: 5, weight: 12, usual: false, { "\($0.retries)" },
                value: { number($0.retries) }),
            figure(
                "restarts", "RESTARTS", width: 8, weight: 12, usual: false, { "\($0.restarts)" },
                value: { number($0.restarts) }),
            text("error", "LAST ERROR", width: 20, widthMax: 80, weight: 13, usual: false) { session in
                session.details.flatMap { $0.lastError ?? $0.progress?.lastError }
            },
            Column(
                "activity", "ACT", width: 3, weight: 14, right: true, kind: .number, usual: false,
                cell: { context, index in ("\(session(context, index).phase.rank)", .row) },
                value: { context, index in .number(Int64(session(context, index).phase.rank)) }),
        ]
    }()
}
