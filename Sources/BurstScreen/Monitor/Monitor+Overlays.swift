package import BurstModel

extension Monitor {
    // MARK: Keys of what lies over the screen

    static func overlayKey(_ key: Key, _ state: inout MonitorState, at now: Timestamp) -> [MonitorRequest] {
        guard let overlay = state.overlay else { return [] }
        if case .cancel(let dialog) = overlay { return cancelKey(key, dialog, &state, at: now) }
        if case .pick(let list) = overlay { return pickKey(key, list, &state, at: now) }
        let action = state.keys.action(for: key)
        switch action {
        case .quit? where key == .character("q"), .back?, .interrupt?:
            state.overlay = nil
            state.find = ""
            return []
        case .quit?:
            return [.quit]
        case .redraw?, .suspend?, .refresh?: return perform(action!, &state, at: now)
        case .search? where Draw.overlayLines(state) != nil:
            state.prompt = Prompt(.find)
            return []
        case .searchNext? where Draw.overlayLines(state) != nil:
            findInText(&state, by: 1, at: now)
            return []
        case .searchPrevious? where Draw.overlayLines(state) != nil:
            findInText(&state, by: -1, at: now)
            return []
        default: break
        }
        let page = max(1, state.size.rows - 4)
        let step: Int
        switch action {
        case .down?: step = 1
        case .up?: step = -1
        case .pageDown?, .halfDown?: step = page
        case .pageUp?, .halfUp?: step = -page
        case .top?: step = -Int.max / 2
        case .bottom?: step = Int.max / 2
        default: step = 0
        }
        switch overlay {
        case .help(let top):
            if action == .help {
                state.overlay = nil
            } else {
                state.overlay = .help(top: moved(top, step, Draw.helpLines(state).count))
            }
        case .text(let title, let lines, let top):
            state.overlay = .text(title: title, lines: lines, top: moved(top, step, lines.count))
        case .job(let job, let top, let raw):
            switch action {
            case .raw?: state.overlay = .job(job, top: 0, raw: !raw)
            case .cancel?:
                return openCancel([job], &state, at: now)
            case .goBuffer?:
                state.overlay = nil
                if let row = state.board.bufferRows.first(where: { $0.key.id.jobID == job }) {
                    return open(.buffer(row.key), &state, at: now)
                }
            default:
                state.overlay = .job(job, top: moved(top, step, Draw.jobLines(job, raw: raw, state).count), raw: raw)
            }
        case .alerts(let selected, _):
            let count = state.board.alerts.count
            let now_ = max(0, min(count - 1, clampedSum(selected, step)))
            switch action {
            case .open?:
                guard selected < count else { return [] }
                state.overlay = nil
                return open(state.board.alerts[selected].id, &state, at: now)
            case .goJob?:
                guard selected < count, let job = state.board.alerts[selected].subject.job else { return [] }
                state.overlay = nil
                return open(.job(job), &state, at: now)
            case .acknowledge?:
                guard selected < count else { return [] }
                return [.source(.acknowledge(state.board.alerts[selected].id))]
            case .alerts?: state.overlay = nil
            default: state.overlay = .alerts(selected: now_, top: 0)
            }
        case .pick, .cancel: break
        }
        return []
    }

    /// Goes to the next line of the text over the screen that holds what is looked for; `step` 0 stays on one.
    private static func findInText(_ state: inout MonitorState, by step: Int, at now: Timestamp) {
        guard let overlay = state.overlay, let lines = Draw.overlayLines(state), !lines.isEmpty, !state.find.isEmpty
        else { return }
        let needle = state.find.lowercased()
        let origin: Int
        switch overlay {
        case .help(let top), .text(_, _, let top), .job(_, let top, _): origin = top
        default: return
        }
        for offset in 0..<lines.count {
            let distance = step == 0 ? offset : step > 0 ? offset + 1 : -(offset + 1)
            let place = ((origin + distance) % lines.count + lines.count) % lines.count
            guard lines[place].text.lowercased().contains(needle) else { continue }
            switch overlay {
            case .help: state.overlay = .help(top: place)
            case .text(let title, let lines, _): state.overlay = .text(title: title, lines: lines, top: place)
            case .job(let job, _, let raw): state.overlay = .job(job, top: place, raw: raw)
            default: break
            }
            return
        }
        state.say("not found: \(state.find)", at: now)
    }

    private static func moved(_ top: Int, _ step: Int, _ count: Int) -> Int {
        max(0, min(max(0, count - 1), clampedSum(top, step)))
    }

    // MARK: Pick lists

    private static func pickKey(
        _ key: Key, _ list: PickList, _ state: inout MonitorState, at now: Timestamp
    ) -> [MonitorRequest] {
        var list = list
        let before = list.selected
        func close() {
            state.overlay = nil
            if !state.isFrozen { follow(&state) }
        }
        switch key {
        case .escape, .control("c"), .character("q"):
            close()
            return list.purpose == .theme ? [.theme(name: state.themeName, keep: true)] : []
        case .down, .character("j"): list.selected = min(list.entries.count - 1, list.selected + 1)
        case .up, .character("k"): list.selected = max(0, list.selected - 1)
        case .pageDown: list.selected = min(list.entries.count - 1, list.selected + 10)
        case .pageUp: list.selected = max(0, list.selected - 10)
        case .home, .character("g"): list.selected = 0
        case .end, .character("G"): list.selected = list.entries.count - 1
        case .character(" ") where list.purpose == .columns && !list.entries.isEmpty:
            let name = list.entries[list.selected]
            if list.chosen.remove(name) == nil { list.chosen.insert(name) }
        case .enter, .character("o"):
            close()
            guard list.selected >= 0, list.selected < list.entries.count else { return [] }
            return picked(list, &state)
        default: break
        }
        state.overlay = .pick(list)
        if list.purpose == .theme, list.selected != before, list.selected < list.entries.count {
            return [.theme(name: list.entries[list.selected], keep: false)]
        }
        return []
    }

    private static func picked(_ list: PickList, _ state: inout MonitorState) -> [MonitorRequest] {
        let entry = list.entries[list.selected]
        let all = list.selected == 0
        switch list.purpose {
        case .pool: narrow(&state, "pool", to: all ? nil : entry)
        case .user: narrow(&state, "user", to: all ? nil : entry)
        case .state: narrow(&state, "state", to: all ? nil : entry)
        case .sort: changeQuery(&state) { $0.sort = entry }
        case .theme:
            state.themeName = entry
            return [.theme(name: entry, keep: true)]
        case .columns:
            let chosen = list.entries.filter { list.chosen.contains($0) }
            state.tables[state.screen]!.columns = chosen.isEmpty ? nil : chosen
        }
        return []
    }

    // MARK: Cancel

    static func openCancel(_ state: inout MonitorState, at now: Timestamp) -> [MonitorRequest] {
        let tagged = state.tags.compactMap { job(of: $0, state.board) }
        let jobs = tagged.isEmpty ? selectedJob(&state).map { [$0] } ?? [] : Array(Set(tagged)).sorted()
        if jobs.isEmpty {
            if case .buffer(let key)? = selectedID(&state), case .persistent(let name) = key.id {
                state.overlay = .text(
                    title: "\(name) is persistent: no job to cancel",
                    lines: [
                        "A persistent buffer is destroyed by a job of its owner, or of an administrator",
                        "where the site wants it. For example destroy.sh:", "", "  #!/bin/bash",
                        "  #BB destroy_persistent name=\(name)", "", "and then:", "", "  sbatch -N0 destroy.sh", "",
                        "With the word hurry behind the name its data is not staged out but LOST.",
                        "Jobs that use the buffer lose it at once: Slurm does not wait for them.",
                    ], top: 0)
                return []
            }
            state.say("no job is under the cursor", at: now)
            return []
        }
        return openCancel(jobs, &state, at: now)
    }

    static func openCancel(_ jobs: [JobID], _ state: inout MonitorState, at now: Timestamp) -> [MonitorRequest] {
        if let lock = state.cancelLock {
            state.say("cancel is locked: \(lock)", role: .severityWarn, at: now)
            return []
        }
        if jobs.count > CancelDialog.jobsMax {
            state.say(
                "\(jobs.count) jobs are tagged; at most \(CancelDialog.jobsMax) can be cancelled at once",
                role: .severityWarn, at: now)
            return []
        }
        var dialog = CancelDialog(jobs: jobs, openedAt: now)
        for job in jobs { dialog.shown[job] = target(job, state.live).map(situation) }
        state.overlay = .cancel(dialog)
        return jobs.count == 1 ? [.source(.detail(jobs[0], again: true))] : [.source(.refresh)]
    }

    /// What is known of a target: the answer to the call that verified it, else the bulk reply.
    package static func target(_ id: JobID, _ data: Delivery) -> Job? {
        if let detail = data.details[id] { return detail.value?.job }
        return data.board.jobs?.value.first { $0.id == id }
    }

    /// What is known of the targets of a dialog, in one pass: there may be 100,000 jobs, and this is asked at every
    /// key.
    static func targets(_ dialog: CancelDialog, _ data: Delivery) -> [JobID: Job] {
        var known: [JobID: Job] = [:]
        let wanted = Set(dialog.jobs.filter { data.details[$0] == nil })
        for id in dialog.jobs { if let detail = data.details[id] { known[id] = detail.value?.job } }
        guard !wanted.isEmpty, let jobs = data.board.jobs?.value else { return known }
        for index in jobs.indices where wanted.contains(jobs[index].id) { known[jobs[index].id] = jobs[index] }
        return known
    }

    /// The part of a job that decides what a cancel does.
    private static func situation(_ job: Job) -> String { "\(job.state) \(job.bufferState?.name ?? "-")" }

    /// A call newer than the dialog has shown every target.
    package static func isVerified(_ dialog: CancelDialog, _ data: Delivery) -> Bool {
        if dialog.jobs.count == 1 {
            guard let detail = data.details[dialog.jobs[0]], let job = detail.value?.job else { return false }
            return detail.at >= dialog.openedAt && job.id == dialog.jobs[0]
        }
        guard let jobs = data.board.jobs, jobs.at >= dialog.openedAt else { return false }
        let wanted = Set(dialog.jobs)
        return jobs.value.indices.count { wanted.contains(jobs.value[$0].id) } >= wanted.count
    }

    /// New data while the popup is open: a target that changed sends the focus back to Keep.
    static func noticeChanges(_ state: inout MonitorState) {
        guard case .cancel(var dialog)? = state.overlay else { return }
        let targets = targets(dialog, state.live)
        for id in dialog.jobs {
            guard let job = targets[id] else { continue }
            let now = situation(job)
            if let before = dialog.shown[id], before != now {
                dialog.notice = "\(id) changed: \(before) -> \(now)"
                dialog.focus = .keep
                dialog.typed = LineEdit()
            }
            dialog.shown[id] = now
        }
        state.overlay = .cancel(dialog)
    }

    private static func cancelKey(
        _ key: Key, _ dialog: CancelDialog, _ state: inout MonitorState, at now: Timestamp
    ) -> [MonitorRequest] {
        var dialog = dialog
        func close() {
            state.overlay = nil
            if !state.isFrozen { follow(&state) }
        }
        let canAct = state.cancelLock == nil && isVerified(dialog, state.live)
        switch key {
        case .escape, .control("c"), .function(10):
            close()
            return []
        case .tab, .right:
            dialog.focus = dialog.focus == .keep ? .plain : dialog.focus == .plain && dialog.isUnlocked ? .hurry : .keep
        case .backTab, .left:
            dialog.focus =
                dialog.focus == .hurry ? .plain : dialog.focus == .plain ? .keep : dialog.isUnlocked ? .hurry : .plain
        case .enter:
            switch dialog.focus {
            case .keep:
                close()
                return []
            case .plain where canAct:
                close()
                return ordered(dialog, hurry: false, &state, at: now)
            case .hurry where canAct && dialog.isUnlocked:
                close()
                return ordered(dialog, hurry: true, &state, at: now)
            default:
                let failure = dialog.jobs.count == 1 ? Draw.verificationFailure(dialog.jobs[0], state.live) : nil
                dialog.notice =
                    state.cancelLock ?? failure.map { _ in "not verified: close and try again" } ?? "not verified yet"
            }
        case .character("c") where dialog.typed.text.isEmpty: dialog.focus = .plain
        case .character("q") where dialog.typed.text.isEmpty:
            close()
            return []
        default:
            // Only digits go into the field, so that no other key can unlock anything.
            if case .character(let character) = key, !("0"..."9").contains(character) { return [] }
            if dialog.typed.take(key) { if !dialog.isUnlocked, dialog.focus == .hurry { dialog.focus = .keep } }
        }
        state.overlay = .cancel(dialog)
        return []
    }

    private static func ordered(
        _ dialog: CancelDialog, hurry: Bool, _ state: inout MonitorState, at now: Timestamp
    ) -> [MonitorRequest] {
        state.tags = []
        let what = dialog.jobs.count == 1 ? "job \(dialog.jobs[0])" : "\(dialog.jobs.count) jobs, one a second"
        state.say("scancel \(hurry ? "--hurry " : "")sent for \(what); its effect shows in the state", at: now)
        return [.source(.cancel(dialog.jobs.map { CancelOrder(jobID: $0, hurry: hurry) }))]
    }

    // MARK: Lines being typed

    static func promptKey(_ key: Key, _ state: inout MonitorState, at now: Timestamp) -> [MonitorRequest] {
        guard var prompt = state.prompt else { return [] }
        switch key {
        case .escape, .control("c"):
            state.prompt = nil
            if prompt.purpose == .search { state.search = "" }
            if prompt.purpose == .find { state.find = "" }
            if !state.isFrozen { follow(&state) }
            return []
        case .enter:
            state.prompt = nil
            let requests = entered(prompt, &state, at: now)
            if !state.isFrozen { follow(&state) }
            return requests
        case .tab where prompt.purpose == .command || prompt.purpose == .filter:
            complete(&prompt, state)
            state.prompt = prompt
            return []
        case .up, .down:
            let history =
                prompt.purpose == .command ? state.commandHistory : prompt.purpose == .status ? state.statusHistory : []
            guard !history.isEmpty else { return [] }
            var place = prompt.historyPlace ?? history.count
            place = max(0, min(history.count, place + (key == .up ? -1 : 1)))
            prompt.historyPlace = place
            prompt.edit = LineEdit(place < history.count ? history[place] : "")
            state.prompt = prompt
            return []
        case .backspace where prompt.edit.text.isEmpty:
            state.prompt = nil
            if !state.isFrozen { follow(&state) }
            return []
        default: break
        }
        guard prompt.edit.take(key) else { return [] }
        prompt.fault = ""
        prompt.completions = []
        state.prompt = prompt
        switch prompt.purpose {
        case .search:
            state.search = prompt.edit.text
            if !state.search.isEmpty { jump(&state, by: 0, at: now) }
        case .filter:
            // While it is typed, what is whole of a filter applies at once; an unfinished one says what is missing.
            let text = prompt.edit.text
            let fields = Table.fields(state.screen)
            let whole = Filter.whileTyped(text, fields: fields)
            let fault = setFilter(&state, whole)
            if whole.count < text.count {
                state.prompt?.completions = Filter.completions(for: text, fields: fields, values: { _ in [] })
            } else {
                state.prompt?.fault = fault ?? ""
            }
        case .find:
            state.find = prompt.edit.text
            findInText(&state, by: 0, at: now)
        case .command, .status, .goTo, .export: break
        }
        return []
    }

    private static func entered(_ prompt: Prompt, _ state: inout MonitorState, at now: Timestamp) -> [MonitorRequest] {
        let text = prompt.edit.text
        switch prompt.purpose {
        case .search:
            state.search = text
            return []
        case .find:
            state.find = text
            return []
        case .filter:
            if let fault = setFilter(&state, text) { state.say(fault, role: .textError, at: now, seconds: 15) }
            return []
        case .command: return Command.run(text, &state, at: now)
        case .status: return askStatus(text, word: "bbstat", &state, at: now)
        case .goTo:
            guard let time = Command.time(text, state) else {
                state.say("\"\(text)\" is no time; 14:02, 14:02:11 or 2026-11-22T14:02:11", role: .textError, at: now)
                return []
            }
            return [.source(.replay(.seek(time)))]
        case .export:
            guard !text.isEmpty else { return [] }
            return [.export(path: text, text: exportText(&state))]
        }
    }

    static func askStatus(
        _ text: String, word: String, _ state: inout MonitorState, at now: Timestamp
    ) -> [MonitorRequest] {
        if state.isReplay {
            state.say("a replay can ask nothing", at: now)
            return []
        }
        let arguments = text.split(whereSeparator: \.isWhitespace).map(String.init)
        if let option = arguments.first(where: { $0.hasPrefix("-") }) {
            state.say("\(option): scontrol takes words that begin with - itself", role: .textError, at: now)
            return []
        }
        state.statusText = text
        if !text.isEmpty, state.statusHistory.last != text { state.statusHistory.append(text) }
        return [.source(.status(StatusRequest(word: word, arguments: arguments)))]
    }

    /// The table shown as CSV (RFC 4180), or the text of a screen that is none.
    package static func exportText(_ state: inout MonitorState) -> String {
        guard state.screen.isTable else { return Draw.plainText(state) }
        let rows = state.rows(state.screen)
        return csv(state.screen, rows: rows, columns: state.tables[state.screen]!.columns, state.context)
    }

    /// A table as CSV: a header, then a record a row. Amounts are numbers, ages are seconds.
    package static func csv(
        _ screen: ScreenID, rows: [Int32], columns chosen: [String]?, _ context: TableContext
    ) -> String {
        let all = Table.columns(screen)
        let columns = chosen.map { names in names.compactMap { name in all.first { $0.name == name } } } ?? all
        let records = rows.map { row in
            columns.map { column -> String in
                switch column.value(context, Int(row)) {
                case .text(let text): text
                case .amount(let amount): "\(amount)"
                case .seconds(let seconds): "\(seconds)"
                case .number(let number): "\(number)"
                case .none: ""
                }
            }
        }
        return CSVReport(header: columns.map(\.name), rows: records).text
    }

    private static func complete(_ prompt: inout Prompt, _ state: MonitorState) {
        let candidates =
            prompt.purpose == .command
            ? Command.completions(prompt.edit.text, state)
            : Filter.completions(for: prompt.edit.text, fields: Table.fields(state.screen)) { index in
                let name = Table.fields(state.screen)[index].name
                return Command.values(of: name, state)
            }
        guard let first = candidates.first else { return }
        let common = candidates.dropFirst().reduce(first) { common, next in
            String(zip(common, next).prefix { $0 == $1 }.map(\.0))
        }
        prompt.edit = LineEdit(candidates.count == 1 ? first : common)
        prompt.completions = candidates.count == 1 ? [] : candidates
        prompt.fault = ""
    }
}
