import BurstModel

extension Draw {
    /// The help: keys from the table that the dispatcher uses, then signs, states and rules.
    static func helpLines(_ state: MonitorState, glyph: (Glyph) -> String = { $0.rawValue }) -> [Line] {
        var lines: [Line] = []
        for group in Action.Group.allCases {
            let actions = Action.allCases.filter { $0.usual.group == group && state.keys.keys[$0] != nil }
            if actions.isEmpty { continue }
            lines.append(Line(group.rawValue, .title))
            for action in actions {
                let names = (state.keys.keys[action] ?? []).map(\.name).joined(separator: " ")
                lines.append(Line([("  " + padded(names, to: 18), .textKey), (action.usual.text, .text)]))
            }
        }
        lines.append(Line("Filters", .title))
        lines.append(Line("  words of a row, or column=value; also != < > and ~ (contains); * ? in values"))
        lines.append(Line("  a blank means and; or, not, ( ).  Example: pool=nvme size>1T age>2h"))
        if state.screen.isTable {
            lines.append(
                Line("  columns here: " + Table.columns(state.screen).map(\.name).joined(separator: " "), .textDim))
        }
        lines.append(Line("States", .title))
        for state in BufferState.named {
            lines.append(
                Line([
                    ("  ", .text), (glyph(state.stateClass.glyph), state.role),
                    (" " + padded(state.letters, to: 4), .textKey), (padded(state.name, to: 16), state.role),
                    (state.stateClass.rawValue, .textDim),
                ]))
        }
        lines.append(Line("Signs", .title))
        lines.append(Line("  ! critical   ~ warning   i information   * default pool   38m+ at least so long"))
        lines.append(Line("  Copies: ? until the source was walked   + grows still   >= at least so long"))
        lines.append(Line("  FIT: the largest request that can start now.  DRAIN: neither free nor used."))
        lines.append(Line("Rules", .title))
        for rule in ruleTexts { lines.append(Line([("  " + padded(rule.id, to: 5), .textKey), (rule.text, .text)])) }
        lines.append(Line("Commands (:)", .title))
        for verb in Command.verbs where Command.applies(verb.name, state) {
            lines.append(
                Line([("  " + padded("\(verb.name) \(verb.argument)", to: 24), .textKey), (verb.text, .text)]))
        }
        return lines
    }

    /// What each attention rule means and what to do.
    static let ruleTexts: [(id: String, text: String)] = [
        ("R1", "teardown-fail: the teardown hook fails; DataWarp retries for ever. Read the reason, mend the storage."),
        ("R2", "lua teardown failing: given up after the third try, the space counts as free then. Clean up by hand."),
        ("R3", "LEAK?: the buffer vanished after failed teardowns; the storage may still be held. Check with bbstat."),
        ("R4", "stage-out FAIL: data is still in the buffer. Save it, then scancel --hurry (which destroys it)."),
        ("R5", "stage-in or pre-run failed: the job never goes on by itself; scancel it."),
        ("R6", "a stage nears its timeout; at the timeout the job is held, buffer and space stay."),
        ("R7", "teardown, pre-run or post-run takes longer than OtherTimeout."),
        ("R8", "orphan: a buffer whose job Slurm does not know, or a job in a stage without a buffer."),
        ("R9", "a pool is (nearly) full, or jobs wait for space in it."),
        ("R10", "drained: space that is neither used nor free."),
        ("R11", "a pool vanished, or its total fell to 0."),
        ("R12", "a persistent buffer is older than the site's limit."),
        ("R13", "one user holds more than the share limit while others wait."),
        ("R14", "alloc-revoke: a start failed after pre-run; should never happen."),
        ("R15", "accounting gap: pool used, sum of buffers and users' use differ."),
        ("R16", "there is free space, but not one waiting request fits into it."),
        ("R17", "the controller is slow, limits our calls, or does not answer."),
        ("R18", "the buffer is larger than asked for by more than one grain."),
        (
            "R19",
            "a copy of the stager failed; what was copied stays. Read the error, mend it; stage-out: data is at risk."
        ),
        ("R20", "a copy is under way and has moved nothing for long: a file system hangs, or a path is slow."),
        ("R21", "Slurm and the stager call a stage differently for more than a minute: one of them missed something."),
        ("R22", "the stager cannot use a pool: it is not mounted, or not the one that was marked."),
        ("R23", "what a buffer held is gone, as after a restart with a pool in memory."),
        ("R24", "a buffer was torn down and cannot be removed; its space is not free."),
    ]
}

extension Painter {
    mutating func paintOverlay() {
        guard let overlay = state.overlay else { return }
        switch overlay {
        case .help(let top): paintText("Help: \(state.screen.title)", Draw.helpLines(state) { glyph($0) }, top)
        case .text(let title, let lines, let top): paintText(title, lines.map { Draw.Line($0) }, top)
        case .job(let job, let top, let raw):
            paintText(
                raw ? "scontrol show job \(job)" : "Job \(job)", Draw.jobLines(job, raw: raw, state) { glyph($0) }, top)
        case .alerts(let selected, _): paintAlertList(selected)
        case .pick(let list): paintPick(list)
        case .cancel(let dialog): paintCancel(dialog)
        }
    }

    private mutating func paintBox(
        _ box: (column: Int, row: Int, columns: Int, rows: Int), title: String, danger: Bool = false
    ) {
        grid.fill(column: box.column, row: box.row, columns: box.columns, rows: box.rows, Style(.dialog))
        guard box.columns >= 2, box.rows >= 2 else { return }
        let line = String(repeating: glyph(.lineHorizontal), count: box.columns - 2)
        let right = box.column + box.columns - 1
        let bottom = box.row + box.rows - 1
        grid.put(
            glyph(.cornerTopLeft) + line + glyph(.cornerTopRight), column: box.column, row: box.row,
            Style(.borderFocus, over: .dialog))
        grid.put(
            glyph(.cornerBottomLeft) + line + glyph(.cornerBottomRight), column: box.column, row: bottom,
            Style(.borderFocus, over: .dialog))
        for row in (box.row + 1)..<max(box.row + 1, bottom) {
            grid.put(glyph(.lineVertical), column: box.column, row: row, Style(.borderFocus, over: .dialog))
            grid.put(glyph(.lineVertical), column: right, row: row, Style(.borderFocus, over: .dialog))
        }
        let text = " " + cut(title, max(0, box.columns - 6)) + " "
        grid.put(
            text, column: box.column + 2, row: box.row, Style(danger ? .dialogDanger : .dialogTitle, over: .dialog))
    }

    /// A whole screen of lines that scrolls.
    private mutating func paintText(_ title: String, _ lines: [Draw.Line], _ top: Int) {
        let box = (column: 0, row: min(1, rows - 1), columns: columns, rows: max(1, rows - (rows > 4 ? 2 : 1)))
        paintBox(box, title: title)
        let inner = box.rows - 2
        let width = box.columns - 4
        var wrapped: [Draw.Line] = []
        // Only what can be seen is wrapped.
        let start = max(0, min(top, max(0, lines.count - 1)))
        for line in lines.dropFirst(start) {
            wrapped += wrap(line, width: width)
            if wrapped.count >= inner { break }
        }
        for (index, line) in wrapped.prefix(max(0, inner)).enumerated() {
            var at = box.column + 2
            for (text, role) in line.parts {
                at += grid.put(
                    cut(text, box.column + 2 + width - at), column: at, row: box.row + 1 + index,
                    Style(role, over: .dialog))
            }
            markFound(line.text, column: box.column + 2, row: box.row + 1 + index, width: width)
        }
        let hint = " \(start + 1)/\(max(1, lines.count))  j k scroll  / find  Esc closes "
        grid.put(
            hint, column: max(1, box.columns - hint.utf8.count - 2), row: box.row + box.rows - 1,
            Style(.textDim, over: .dialog))
    }

    /// Marks what is looked for in a line of text.
    private mutating func markFound(_ text: String, column: Int, row: Int, width: Int) {
        guard !state.find.isEmpty else { return }
        let needle = Array(state.find.lowercased())
        let characters = Array(text)
        let lower = characters.map { Character($0.lowercased().first.map(String.init) ?? " ") }
        var at = 0
        while at + needle.count <= lower.count {
            guard lower[at..<(at + needle.count)].elementsEqual(needle) else {
                at += 1
                continue
            }
            let before = CharacterWidth.cells(of: String(characters[..<at]))
            let cells = CharacterWidth.cells(of: String(characters[at..<(at + needle.count)]))
            if before + cells <= width { grid.overlay(.match, column: column + before, row: row, columns: cells) }
            at += needle.count
        }
    }

    private mutating func paintAlertList(_ selected: Int) {
        let alerts = board.alerts
        let box = (column: 0, row: min(1, rows - 1), columns: columns, rows: max(1, rows - 2))
        paintBox(box, title: "Alerts \(alerts.count)   Enter=open  J=job  a=ack  Esc closes")
        let explain = 4
        let inner = max(1, box.rows - 2 - explain)
        let top = max(0, selected - inner + 1)
        let subjectWidth = alertSubjectWidth(alerts[min(top, alerts.count)..<min(alerts.count, top + inner)])
        for line in 0..<inner where top + line < alerts.count {
            paintAlert(
                alerts[top + line], box.row + 1 + line, column: 1, width: columns - 2, subjectWidth: subjectWidth)
            if top + line == selected {
                grid.overlay(.rowSelected, column: 1, row: box.row + 1 + line, columns: columns - 2)
            }
        }
        guard selected < alerts.count, box.rows > explain + 3 else { return }
        let alert = alerts[selected]
        var row = box.row + box.rows - 1 - explain
        grid.put(
            String(repeating: glyph(.lineHorizontal), count: max(0, columns - 2)), column: 1, row: row,
            Style(.border, over: .dialog))
        row += 1
        let meaning = Draw.ruleTexts.first { $0.id == alert.rule }?.text ?? ""
        let lines =
            wrap(
                Draw.Line("\(alert.rules.joined(separator: " ")) \(alert.subject.short): \(alert.message)"),
                width: columns - 4)
            + wrap(Draw.Line(meaning, .textDim), width: columns - 4)
        for (index, line) in lines.prefix(explain - 1).enumerated() {
            var at = 2
            for (text, role) in line.parts {
                at += grid.put(text, column: at, row: row + index, Style(role, over: .dialog), width: columns - 2 - at)
            }
        }
    }

    private mutating func paintPick(_ list: PickList) {
        let width = min(columns, max(24, (list.entries.map { CharacterWidth.cells(of: $0) }.max() ?? 0) + 8))
        let height = min(rows - 1, list.entries.count + 2)
        let box = (
            column: max(0, columns - width - 2), row: min(2, max(0, rows - height - 1)), columns: width,
            rows: max(3, height)
        )
        paintBox(box, title: list.title)
        let inner = box.rows - 2
        let top = max(0, min(list.selected - inner / 2, list.entries.count - inner))
        for line in 0..<inner where top + line < list.entries.count {
            let entry = list.entries[top + line]
            let mark = list.purpose == .columns ? (list.chosen.contains(entry) ? "[x] " : "[ ] ") : ""
            let text = padded(" " + mark + entry, to: box.columns - 2, sign: glyph(.cut))
            grid.put(text, column: box.column + 1, row: box.row + 1 + line, Style(.dialog))
            if top + line == list.selected {
                grid.overlay(.rowSelected, column: box.column + 1, row: box.row + 1 + line, columns: box.columns - 2)
            }
        }
    }

    // MARK: Cancel

    private mutating func paintCancel(_ dialog: CancelDialog) {
        let live = state.live
        let width = min(columns, 72)
        var lines: [Draw.Line] = []
        let verified = Monitor.isVerified(dialog, live)
        let failure = dialog.jobs.count == 1 && !verified ? Draw.verificationFailure(dialog.jobs[0], live) : nil
        func field(_ name: String, _ value: String, _ role: Role = .dialog) {
            lines.append(Draw.Line([(padded(name, to: 12), .textDim), (value, role)]))
        }
        let targets = Monitor.targets(dialog, live)
        let advices = dialog.jobs.compactMap { id in targets[id].map { (id, $0, CancelAdvice.advice(for: $0)) } }
        let isSingle = dialog.jobs.count == 1
        var title = isSingle ? "Cancel job \(dialog.jobs[0])" : "Cancel \(dialog.jobs.count) jobs"
        var isUnknown = false
        // What the box holds when it has no room for more: the state, what would happen, what would run.
        var brief: [Draw.Line] = []
        if isSingle {
            let id = dialog.jobs[0]
            if let (_, job, advice) = advices.first {
                title = "Cancel job \(job.shortID) (\(job.user), \"\(job.name)\")"
                let stage = job.bufferState?.name ?? "none"
                field("Job state", "\(job.state)\(job.isHeld ? " HELD" : "")   BB state  \(stage)")
                if let row = state.bufferRow(of: id, live.board), row.gone == nil, let buffer = live.board.buffer(row) {
                    field(
                        "Buffer",
                        "\(buffer.size.text) in \(buffer.pool ?? "no pool"), allocated state \"\(buffer.state.name)\"")
                } else {
                    field("Buffer", "none is listed")
                }
                field("Reason", fullReason(job))
                if verified, let at = live.details[id]?.at {
                    field(
                        "Verified",
                        "\(context.clock(at)), \(Age.short(seconds: now.seconds(since: at))) ago (scontrol show job)")
                } else if let failure {
                    field("Verified", failure, .severityCrit)
                } else {
                    field("Verified", "asking scontrol show job \(id) ...", .severityWarn)
                }
                lines.append(Draw.Line(""))
                if !advice.situation.isEmpty { lines.append(Draw.Line(advice.situation, .textStrong)) }
                let effects = [
                    ("Cancel", advice.plain, Role.dialog),
                    ("Cancel --hurry", advice.hurry, advice.hurryDestroys ? .dialogDanger : .dialog),
                ]
                for (name, text, role) in effects {
                    lines += hanging(" " + padded(name, to: 16), text, role, width - 4)
                }
                brief = [
                    Draw.Line("\(job.state), bb state \(stage)\(verified || failure != nil ? "" : " (asking ...)")")
                ]
                if let failure { brief.insert(Draw.Line(failure, .severityCrit), at: 0) }
                brief += effects.map { Draw.Line([($0.0 + ": ", .textKey), ($0.1, $0.2)]) }
            } else if let answer = live.details[id], answer.value == nil, answer.at >= dialog.openedAt {
                isUnknown = true
                lines.append(Draw.Line("Slurm does not know job \(id): nothing can be cancelled.", .severityCrit))
                lines.append(Draw.Line("A buffer that is left is freed by the site's own procedure; O asks bbstat."))
                brief = lines
            } else {
                field(
                    "Job", "\(id): \(failure ?? "asking scontrol show job \(id) ...")",
                    failure == nil ? .severityWarn : .severityCrit)
                brief = lines
            }
        } else {
            let destroys = advices.count { $0.2.hurryDestroys }
            let noEffect = advices.count { !$0.2.plainActs }
            for (id, job, _) in advices.prefix(6) {
                lines.append(
                    Draw.Line([
                        (padded("\(id)", to: 11), .textKey), (padded(job.user, to: 10) + " ", .dialog),
                        (padded(job.state.name, to: 12) + " ", .dialog), (job.bufferState?.name ?? "-", .dialog),
                    ]))
            }
            let others = dialog.jobs.filter { id in !advices.prefix(6).contains { $0.0 == id } }
            if !others.isEmpty {
                lines.append(Draw.Line("and " + others.map { "\($0)" }.joined(separator: " "), .dialog))
            }
            field(
                "Verified", verified ? "squeue, newer than this popup" : "asking squeue ...",
                verified ? .dialog : .severityWarn)
            let effects = [
                Draw.Line(" Cancel: no effect on \(noEffect) of \(dialog.jobs.count)"),
                Draw.Line(
                    " Cancel --hurry: DESTROYS un-staged data of \(destroys) of \(dialog.jobs.count)",
                    destroys > 0 ? .dialogDanger : .dialog),
            ]
            lines += [Draw.Line("")] + effects
            lines.append(Draw.Line(" Sent one a second; Esc keeps them all, :stop stops what is not sent", .textDim))
            brief = [Draw.Line(dialog.jobs.map { "\($0)" }.joined(separator: " "))] + effects
        }
        if !isUnknown {
            let hurry = dialog.focus == .hurry ? "--hurry " : ""
            let run = "scancel \(hurry)\(isSingle ? "\(dialog.jobs[0])" : "ID, for each")"
            let field: (String, Role) = (padded(dialog.typed.text, to: 10), .field)
            let what = isSingle ? "job id" : "number of jobs"
            lines.append(Draw.Line(""))
            lines.append(Draw.Line([("Will run:  ", .textDim), (run, .dialog)]))
            lines.append(
                Draw.Line([("Type the \(what) to enable --hurry:  [", .dialog), field, ("]", .dialog)]))
            brief.append(Draw.Line([("Runs: ", .textDim), (run, .dialog)]))
            brief.append(
                Draw.Line([(isSingle ? "Id for --hurry: [" : "Count for --hurry: [", .dialog), field, ("]", .dialog)]))
        }
        if let lock = state.cancelLock {
            lines.append(Draw.Line("LOCKED: \(lock)", .severityCrit))
            brief.insert(Draw.Line("LOCKED: \(lock)", .severityCrit), at: 0)
        } else if !dialog.notice.isEmpty {
            lines.append(Draw.Line(dialog.notice, .severityWarn))
            brief.insert(Draw.Line(dialog.notice, .severityWarn), at: 0)
        }
        var wrapped = lines.flatMap { wrap($0, width: width - 4) }
        var gap = 1
        if wrapped.count + 4 > rows {
            wrapped = brief.flatMap { wrap($0, width: width - 4) }
            gap = wrapped.count + 4 > rows ? 0 : 1
        }
        let height = min(rows, wrapped.count + 3 + gap)
        let box = (
            column: max(0, (columns - width) / 2), row: max(0, (rows - height) / 2), columns: width, rows: height
        )
        let danger = advices.contains { $0.2.hurryDestroys }
        paintBox(box, title: title, danger: danger)
        for (index, line) in wrapped.prefix(max(0, height - 3 - gap)).enumerated() {
            var at = box.column + 2
            for (text, role) in line.parts {
                at += grid.put(
                    text, column: at, row: box.row + 1 + index, Style(role, over: .dialog),
                    width: box.column + width - 2 - at)
            }
        }
        paintButtons(dialog, canAct: verified && state.cancelLock == nil, box)
    }

    /// The reason of a job with its blanks, which `scontrol show job` prints as underscores.
    private func fullReason(_ job: Job) -> String {
        let board = state.live.board
        if let index = state.jobIndex(of: job.id, board) {
            let known = board.jobs!.value[index].reasonLine
            if known.replacingBlanks == job.reasonLine.replacingBlanks { return known }
        }
        return job.reasonLine
    }

    /// A name, and text that is wrapped under its own beginning.
    private func hanging(_ name: String, _ text: String, _ role: Role, _ width: Int) -> [Draw.Line] {
        let indent = CharacterWidth.cells(of: name)
        return wrap(Draw.Line(text, role), width: max(8, width - indent)).enumerated().map { index, line in
            let text = index == 0 ? line.text : line.text.trimmed
            return Draw.Line([
                (index == 0 ? name : String(repeating: " ", count: indent), .textKey), (text, role),
            ])
        }
    }

    private mutating func paintButtons(
        _ dialog: CancelDialog, canAct: Bool, _ box: (column: Int, row: Int, columns: Int, rows: Int)
    ) {
        let row = box.row + box.rows - 2
        let isTight = box.columns < 68
        let buttons: [(CancelDialog.Focus, String, Bool)] = [
            (.keep, isTight ? "Keep" : "Keep (Esc)", true), (.plain, isTight ? "Cancel" : "Cancel (c)", canAct),
            (.hurry, isTight ? "--hurry" : "Cancel --hurry", canAct && dialog.isUnlocked),
        ]
        var at = box.column + (isTight ? 1 : 2)
        for (focus, text, isOpen) in buttons {
            let isFocused = dialog.focus == focus
            // Round brackets are shut, whatever the colours can tell.
            let label = isOpen ? (isTight ? "[\(text)]" : "[ \(text) ]") : isTight ? "(\(text))" : "(\(text): locked)"
            let shown = isFocused ? ">\(label)<" : " \(label) "
            let role: Role = !isOpen ? .buttonLocked : isFocused ? .buttonFocus : .button
            at +=
                grid.put(
                    shown, column: at, row: row, Style(role, over: isFocused ? nil : .dialog),
                    width: box.column + box.columns - 1 - at) + (isTight ? 0 : 1)
        }
    }
}

extension String {
    /// With underscores for blanks.
    fileprivate var replacingBlanks: String { String(map { $0 == " " ? "_" : $0 }) }
}

extension BufferState.Class {
    /// Its sign.
    var glyph: Glyph {
        switch self {
        case .waiting: .classWaiting
        case .movingIn: .classIn
        case .inUse: .classUse
        case .movingOut: .classOut
        case .ending: .classEnding
        case .broken: .classBroken
        }
    }
}
