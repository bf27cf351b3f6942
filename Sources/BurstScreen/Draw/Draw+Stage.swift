import BurstModel

/// The stager's sessions: bars, and what is known of one.
extension Draw {
    /// What stands where the table of copies is empty: what would be there, and how to get it.
    static func noStaging(_ board: Board) -> String {
        if board.staging == nil {
            return "no stager answers; copies of a burstd that has pools are shown here (BURST_SOCKET)"
        }
        return "the stager holds no session; a job with #DW or #BB lines makes one"
    }

    /// A bar in pieces: full only where all is done, and not empty where something is.
    static func bar(_ share: Double, cells: Int, glyph: (Glyph) -> String) -> [(String, Role)] {
        let cells = max(0, cells)
        var filled = Int((min(1, max(0, share)) * Double(cells)).rounded(.down))
        if share > 0, filled == 0, cells > 1 { filled = 1 }
        return [
            (String(repeating: glyph(.barUsed), count: filled), .poolUsed),
            (String(repeating: glyph(.barFree), count: cells - filled), .poolFree),
        ]
    }

    /// The copy of a row's session in one line, for panes about buffers and jobs: the stager's own word, bar, figures.
    static func copyLines(
        _ context: TableContext, _ place: Int32, glyph: (Glyph) -> String, width: Int
    ) -> [Line] {
        guard place >= 0 else { return [] }
        let session = context.board.session(context.board.stagingRows[Int(place)])
        let head: [(String, Role)] = [
            ("stager ", .textDim), (session.phase.name, session.phase.role(session.slurmState)),
        ]
        guard let progress = session.progress else { return [Line(head)] }
        return [Line(head + [("  ", .text)] + figures(session, progress, cells: width >= 70 ? 16 : 6, glyph: glyph))]
    }

    /// `[#####.....] 45%  1.20T/3.00T  512M/s  ETA 12m`
    private static func figures(
        _ session: StagingReport.Session, _ progress: StagingProgress, cells: Int, glyph: (Glyph) -> String
    ) -> [(String, Role)] {
        var text = "] \(progress.percentText)  \(progress.bytesText)"
        if session.phase.isCopying { text += "  \(session.rateText)  ETA \(session.etaText)" }
        return [("[", .text)] + bar(Double(progress.percent ?? 0) / 100, cells: cells, glyph: glyph) + [(text, .text)]
    }

    /// What is known of a session, for the pane below or beside the table.
    static func stageLines(
        _ context: TableContext, _ row: StagingRow, glyph: (Glyph) -> String, width: Int
    ) -> [Line] {
        let board = context.board
        let session = board.session(row)
        let uid = session.owner.map { row.user == "\($0)" ? "" : "(\($0))" } ?? ""
        var lines = [
            Line([
                (session.token, .title), ("  \(row.user)\(uid)  \(Amount(session.bytes).text)", .text),
                (
                    "  generation \(session.key.generation)\(session.isPersistent ? "  persistent" : "")"
                        + (session.isListed ? "" : "  not listed to Slurm"), .textDim
                ),
            ])
        ]
        let age = Age.long(seconds: context.now.seconds(since: row.since)) + (row.sinceSeen ? "" : "+")
        var words: [(String, Role)] = [
            ("stager ", .textDim), (session.phase.name, session.phase.role(session.slurmState)), (" for \(age)", .text),
            ("  Slurm ", .textDim),
        ]
        if case .state(let state) = row.word {
            words.append((state.name, state.role))
        } else {
            words.append((row.word.text, .textDim))
        }
        if let since = row.differsSince {
            let differing = Age.long(seconds: max(0, context.now.seconds(since: since)))
            words.append(("  differs for \(differing)", .severityWarn))
        }
        lines.append(Line(words))
        guard let details = session.details else {
            lines.append(Line("another user's: how far it is, is told to its owner and to operators", .textDim))
            return lines + alertLines(board.alerts.filter { row.isAbout($0.subject) })
        }
        if let progress = details.progress {
            lines += progressLines(session, progress, glyph: glyph, width: width)
        } else {
            lines.append(Line("nothing was copied yet", .textDim))
        }
        lines += alertLines(board.alerts.filter { row.isAbout($0.subject) })
        if let error = details.lastError, error != details.progress?.lastError {
            lines.append(Line([("last error ", .textDim), (error, .severityWarn)]))
        }
        if let progress = details.progress { lines += moreLines(context, progress) }
        var flags: [String] = []
        if details.hasUnsaved { flags.append("holds results that are nowhere else") }
        if details.isHurried { flags.append("torn down in a hurry: what is not saved is LOST") }
        if !flags.isEmpty { lines.append(Line(flags.joined(separator: "; "), .severityWarn)) }
        var facts = "created \(session.created.map { context.dateTime($0) } ?? "-")"
        if !session.creator.isEmpty { facts += " by \(session.creator)" }
        if !details.nodes.isEmpty { facts += "  nodes \(details.nodes.joined(separator: ","))" }
        lines.append(Line(facts, .textDim))
        return lines
    }

    private static func progressLines(
        _ session: StagingReport.Session, _ progress: StagingProgress, glyph: (Glyph) -> String, width: Int
    ) -> [Line] {
        let isNarrow = width < 70
        var lines = [Line(figures(session, progress, cells: isNarrow ? 12 : 24, glyph: glyph))]
        var counts = "files \(progress.filesText)  folders \(progress.dirsDone)/\(progress.dirsTotal)"
        if progress.linksDone > 0 { counts += "  links \(progress.linksDone)" }
        let troubles = "errors \(progress.errors)  retries \(progress.retries)  restarts \(progress.restarts)"
        let role: Role = progress.errors > 0 ? .severityWarn : .text
        lines +=
            isNarrow
            ? [Line(counts), Line(troubles, role)] : [Line([(counts + "  ", .text), (troubles, role)])]
        if let error = progress.lastError { lines.append(Line([("last error ", .textDim), (error, .severityWarn)])) }
        for file in progress.active {
            lines.append(
                Line(
                    [("  [", .text)] + bar(file.share, cells: isNarrow ? 6 : 10, glyph: glyph) + [
                        (
                            "] \(padded("\(Int(file.share * 100))%", to: 4, right: true)) "
                                + "\(Amount.short(file.done))/\(Amount.short(file.size))  "
                                + "\(Amount.short(file.rate))/s  ", .text
                        ), (file.path, .row),
                    ]))
        }
        return lines
    }

    private static func moreLines(_ context: TableContext, _ progress: StagingProgress) -> [Line] {
        var lines: [Line] = []
        let average = progress.rateAverage.map { "  average \(Amount.short($0))/s" } ?? ""
        lines.append(
            Line("throttle \(progress.throttleText)\(average)  threads \(progress.threads)", .textDim))
        var times = "started \(progress.started.map { context.dateTime($0) } ?? "-")"
        if let updated = progress.updated {
            let age = Age.short(seconds: max(0, context.now.seconds(since: updated)))
            times += "  updated \(context.clock(updated)) (\(age) ago)"
        }
        lines.append(Line(times, .textDim))
        let kinds = [
            ("skipped", progress.bytesSkipped), ("verified", progress.bytesVerified), ("cloned", progress.bytesCloned),
        ].filter { $0.1 > 0 }.map { "\($0.0) \(Amount.short($0.1))" }
        if !kinds.isEmpty { lines.append(Line(kinds.joined(separator: "  "), .textDim)) }
        if progress.degraded > 0 { lines.append(Line("\(progress.degraded) copied with less than all they had")) }
        var limits: [String] = []
        if let used = progress.quotaUsed {
            limits.append("quota \(Amount.short(used))" + (progress.quotaLimit.map { "/\(Amount.short($0))" } ?? ""))
        }
        if let used = progress.inodeUsed {
            limits.append("inodes \(used)" + (progress.inodeLimit.map { "/\($0)" } ?? ""))
        }
        if !limits.isEmpty { lines.append(Line(limits.joined(separator: "  "), .textDim)) }
        return lines
    }
}
