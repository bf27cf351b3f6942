import BurstModel

/// What only a source that runs the burst buffer script itself can tell: the function under way, progress, the calls.
extension Draw {
    /// Calls that a list shows, the newest ones.
    static let callsShown = 300
    /// Characters of the arguments of a call, and cells for its function.
    private static let argumentsMax = 160
    private static let functionCells = 16
    /// Cells for what came back; a longer answer has a line of its own. Lines that a function logged or printed.
    private static let answerCells = 26
    private static let notesShown = 4

    /// The function under way for a job, and how far its staging is; nothing where neither is known.
    /// - Parameter staging: the place of its session among the staging rows, which know more; -1: none.
    static func workLines(
        _ context: TableContext, _ id: JobID, staging: Int32, glyph: (Glyph) -> String, width: Int
    ) -> [Line] {
        let copy = copyLines(context, staging, glyph: glyph, width: width)
        guard let work = context.board.work[id] else { return copy }
        var lines: [Line] = []
        if let function = work.function {
            let since = work.functionSince.map {
                " for \(Age.long(seconds: max(0, context.now.seconds(since: $0))))"
            }
            lines.append(Line([("now in ", .textDim), (function, .textStrong), (since ?? "", .text)]))
        }
        guard copy.isEmpty, let progress = work.progress, !progress.text.isEmpty else { return lines + copy }
        var parts: [(String, Role)] = [("progress ", .textDim), (progress.text, .text)]
        if let share = progress.share {
            let cells = width >= 70 ? 16 : 4
            let filled = Int((share * Double(cells)).rounded())
            parts += [
                ("  [", .text), (String(repeating: glyph(.barUsed), count: filled), .poolUsed),
                (String(repeating: glyph(.barFree), count: cells - filled), .poolFree), ("]", .text),
            ]
        }
        lines.append(Line(parts))
        return lines
    }

    /// Calls, the newest first: when, what, with which arguments, how long, what came back.
    static func callLines(_ calls: [HookRun], title: String, _ state: MonitorState, showsJob: Bool) -> [Line] {
        var lines = [Line("")]
        let more = calls.count > callsShown ? ", the newest \(callsShown)" : ""
        lines.append(Line([(title, .title), (calls.isEmpty ? ": none yet" : " (\(calls.count)\(more))", .textDim)]))
        let now = state.live.board.now
        for call in calls.suffix(callsShown).reversed() {
            let moment = state.zone.local(call.at).clock
            let thousandths = String(1000 + (call.at.milliseconds % 1000 + 1000) % 1000).dropFirst()
            let job = showsJob ? padded(call.job.map { "\($0)" } ?? "-", to: 7) + " " : ""
            let arguments = shortened(call.arguments.joined(separator: " "))
            let answer = oneLine(call.answer(at: now))
            let role: Role = call.outcome == nil ? .severityInfo : call.hasFailed ? .severityCrit : .text
            lines.append(
                Line([
                    ("\(moment).\(thousandths)  ", .textDim), (job, .row),
                    (padded(shortName(call.function), to: functionCells), .textStrong),
                    (padded(call.durationText, to: 9, right: true) + "  ", .text),
                    (padded(answer, to: answerCells) + "  ", role), (oneLine(arguments), .textDim),
                ]))
            // What a function said is why somebody looks here.
            if CharacterWidth.cells(of: answer) > answerCells { lines.append(Line("    " + answer, role)) }
            for note in call.notes.prefix(notesShown) { lines.append(Line("    " + oneLine(note), .textDim)) }
        }
        return lines
    }

    /// `slurm_bb_data_in` without what all of them have in front.
    private static func shortName(_ function: String) -> String {
        function.hasPrefix("slurm_bb_") ? String(function.dropFirst(9)) : function
    }

    /// The end of a list of arguments tells less than its beginning.
    private static func shortened(_ text: String) -> String {
        text.utf8.count <= argumentsMax ? text : text.prefix(argumentsMax) + "..."
    }

    /// What a script says must not steer the terminal.
    private static func oneLine(_ text: String) -> String {
        String(
            text.unicodeScalars.map { scalar in
                scalar.value < 0x20 || (0x7f..<0xa0).contains(scalar.value) ? " " : Character(scalar)
            })
    }
}
