import BurstModel
import BurstScreen
import BurstTestSupport
import Testing

/// What keys and new data do (monitor.md §3.5).
struct MonitorTests {
    /// The ids of a table in the order shown.
    private func ids(_ state: inout MonitorState) -> [RowID] {
        let board = state.board
        let screen = state.screen
        return state.rows(screen).map { Table.id(board, screen, Int($0)) }
    }

    private func job(_ number: UInt32) -> RowID { .job(JobID(number)) }

    // MARK: Cursor

    @Test func theCursorStaysOnItsRowWhenOthersMove() {
        var state = Scene.state(screen: .jobs)
        state.press(.down, .down, .down)
        let selected = state.selected
        let place = state.tables[.jobs]!.place
        state.take { $0.board.jobRows.reverse() }
        state.press(.character("I"))
        #expect(state.selected == selected)
        #expect(state.tables[.jobs]!.place != place)
        #expect(ids(&state)[state.tables[.jobs]!.place] == selected)
    }

    @Test func theCursorTakesTheNextRowWhenItsOwnVanishes() {
        var state = Scene.state(screen: .jobs)
        state.press(.down, .down)
        let before = ids(&state)
        guard case .job(let gone)? = state.selected else { return }
        state.take { $0.board.jobRows.removeAll { $0.id == gone } }
        #expect(state.selected == before[3])
        state.press(.character("G"))
        guard case .job(let last)? = state.selected else { return }
        state.take { $0.board.jobRows.removeAll { $0.id == last } }
        #expect(state.selected == ids(&state).last)
        state.take { $0.board.jobRows = [] }
        #expect(state.selectedIndex(.jobs) == nil)
        state.take { $0.board = Scene.board }
        #expect(state.selectedIndex(.jobs) != nil)
    }

    @Test func movingStopsAtBothEnds() {
        var state = Scene.state(80, 12, screen: .jobs)
        state.press(.character("k"), .pageUp, .control("u"))
        #expect(state.tables[.jobs]!.place == 0)
        state.press(.character("G"), .character("j"), .pageDown, .control("d"))
        let table = state.tables[.jobs]!
        #expect(table.place == state.rows(.jobs).count - 1)
        #expect(table.place < table.top + Draw.tableRows(state))
        state.press(.character("g"))
        #expect(state.tables[.jobs]!.top == 0)
    }

    @Test func growingBackRestoresScreenAndSelection() {
        var state = Scene.state(screen: .buffers)
        state.press(.down, .down, .down)
        let before = Scene.grid(state)
        let selected = state.selected
        for size in [Size(columns: 20, rows: 5), Size(columns: 1, rows: 1), Size(columns: 0, rows: 0)] {
            Monitor.resize(size, &state)
            #expect(Scene.grid(state).size == size)
        }
        Monitor.resize(Size(columns: 80, rows: 24), &state)
        #expect(state.selected == selected)
        #expect(Scene.grid(state) == before)
    }

    // MARK: Frozen

    @Test(arguments: ["z", "/", "c", "p"])
    func theViewIsFrozenWhileItIsRead(key: Character) {
        var state = Scene.state(screen: .jobs)
        state.press(.character(key))
        #expect(state.isFrozen)
        let before = ids(&state)
        for _ in 0..<5 { state.take { $0.board.jobRows.reverse() } }
        #expect(ids(&state) == before)
        #expect(state.missedSamples == 0, "answers about jobs are no samples of the buffers")
        for _ in 0..<5 { state.take { $0.board.burst!.at = $0.board.burst!.at.adding(seconds: 10) } }
        #expect(state.missedSamples == 5)
        #expect(state.live.sequence == 11)
        state.press(key == "z" ? .character("z") : .escape)
        #expect(!state.isFrozen)
        #expect(state.data.sequence == 11)
        #expect(state.missedSamples == 0)
    }

    @Test func healthIsNeverFrozen() {
        var state = Scene.state(screen: .jobs)
        state.press(.character("z"))
        state.take { $0.board = Scene.stale() }
        #expect(Scene.grid(state).text.contains("STALE"))
        #expect(Scene.grid(state).text.contains("data below is OLD"))
    }

    // MARK: Search

    @Test func searchGoesToTheNextMatchAsItIsTyped() {
        var state = Scene.state(screen: .jobs)
        state.press(.character("/"))
        state.type("eri")
        let first = state.selected
        #expect(first == job(169_530))
        state.type("n")
        #expect(state.selected == first)
        state.press(.enter, .character("n"))
        #expect(state.selected == job(169_511))
        state.press(.character("n"))
        #expect(state.selected == job(169_515))
        state.press(.character("n"))
        #expect(state.selected == first, "it goes round")
        state.press(.character("N"))
        #expect(state.selected == job(169_515))
        state.press(.escape)
        #expect(state.search.isEmpty)
        #expect(state.screen == .jobs)
    }

    @Test func aSearchWithoutAMatchSaysSo() {
        var state = Scene.state(screen: .jobs)
        let before = state.selected
        state.press(.character("/"))
        state.type("zzz\"(")
        #expect(state.selected == before)
        #expect(state.message.contains("not found"))
        state.press(.escape)
        #expect(state.search.isEmpty)
    }

    // MARK: Narrowing

    @Test func aFilterAppliesWhileItIsTypedAndSaysWhatIsWrong() {
        var state = Scene.state(screen: .jobs)
        state.press(.character("\\"))
        state.type("user=erin")
        #expect(ids(&state).count == 3)
        state.type(" need>")
        #expect(state.prompt?.fault.isEmpty == false)
        state.press(.control("u"))
        state.type("user=bob")
        #expect(ids(&state).count == 3)
        state.press(.enter)
        #expect(state.prompt == nil)
        state.press(.escape)
        #expect(ids(&state).count == 11)
    }

    @Test func noRowVanishesOverAWordThatIsNotWholeYet() {
        var state = Scene.state(screen: .jobs)
        state.press(.character("\\"))
        var counts: [Int] = []
        for letter in "user=erin need>0" {
            state.type(String(letter))
            counts.append(ids(&state).count)
        }
        // `user` waits for what it is to be, `e` and `er` are the beginning of a name, and so is `need` of a column.
        #expect(counts.prefix(5).allSatisfy { $0 == 11 }, "\(counts)")
        #expect(counts[5...].dropLast(1).allSatisfy { $0 == 3 }, "\(counts)")
        #expect(!counts.contains(0))
        // Whole it is when Enter says so.
        state.press(.control("u"))
        state.type("user=eri")
        #expect(ids(&state).count == 3)
        state.press(.enter)
        #expect(ids(&state).isEmpty)
    }

    /// What is chosen from the rows at hand is what all rows would give.
    @Test func aFilterThatGrowsShowsWhatItWouldFromTheStart() {
        let texts = ["user=bob", "alice wlm", "state!=running", "run or erin", "not bob", "user=*", "pool=wlm*"]
        for text in texts {
            var state = Scene.state(screen: .buffers)
            state.press(.character("\\"))
            for letter in text {
                state.type(String(letter))
                var fresh = state
                fresh.forgetOrders()
                #expect(state.rows(.buffers) == fresh.rows(.buffers), "\(text) at \(letter)")
            }
            for _ in text {
                state.press(.backspace)
                var fresh = state
                fresh.forgetOrders()
                #expect(state.rows(.buffers) == fresh.rows(.buffers), "\(text), back")
            }
        }
    }

    @Test func theHelpIsSearched() {
        var state = Scene.state(screen: .buffers)
        state.press(.character("?"), .character("/"))
        state.type("TEARDOWN")
        state.press(.enter)
        guard case .help(let first)? = state.overlay else {
            Issue.record("no help")
            return
        }
        #expect(first > 0 && state.prompt == nil && state.find == "TEARDOWN")
        state.press(.character("n"))
        guard case .help(let second)? = state.overlay else {
            Issue.record("no help")
            return
        }
        #expect(second != first)
        state.press(.character("N"))
        if case .help(let top)? = state.overlay { #expect(top == first) }
        state.press(.character("/"))
        state.type("zzzz")
        #expect(state.message.contains("not found"))
        state.press(.escape, .escape)
        #expect(state.overlay == nil && state.find.isEmpty && state.search.isEmpty)
    }

    @Test func quickPicksNarrowToOneValueAndBack() {
        var state = Scene.state(screen: .buffers)
        state.press(.character("p"))
        guard case .pick(let list)? = state.overlay else {
            Issue.record("no list")
            return
        }
        let place = list.entries.firstIndex(of: "pool1")!
        for _ in 0..<place { state.press(.down) }
        state.press(.enter)
        #expect(ids(&state).count == 4)
        state.press(.character("p"), .home, .enter)
        #expect(ids(&state).count == 13)
        state.press(.character("u"), .end, .enter)
        #expect(ids(&state).count == 2, "svc_ml")
        state.press(.character("U"), .character("S"), .escape, .escape)
        #expect(ids(&state).count == 13)
    }

    @Test(arguments: [ScreenID.buffers, .jobs])
    func everyStateOfThePickListFindsRows(screen: ScreenID) {
        var state = Scene.state(screen: screen)
        state.press(.character("S"))
        guard case .pick(let list)? = state.overlay else { return }
        for (index, entry) in list.entries.enumerated().dropFirst() {
            var picked = state
            for _ in 0..<index { picked.press(.down) }
            picked.press(.enter)
            #expect(!ids(&picked).isEmpty, "\(entry) on \(screen)")
        }
    }

    @Test func attentionShowsTheTroubledRowsOnly() {
        var state = Scene.state(screen: .buffers)
        state.press(.character("!"))
        #expect(ids(&state).count == 6)
        state.press(.character("!"))
        #expect(ids(&state).count == 13)
    }

    // MARK: Order and columns

    @Test func sortingByAnyColumnAndTurningItAround() {
        var state = Scene.state(screen: .buffers)
        state.command("sort size")
        let down = ids(&state)
        state.press(.character("I"))
        #expect(ids(&state) == Array(down.reversed()) || Set(ids(&state)) == Set(down))
        #expect(ids(&state) != down)
        state.press(.character(">"))
        #expect(state.tables[.buffers]!.query.sort == "alloc")
        state.press(.character("<"), .character("<"))
        #expect(state.tables[.buffers]!.query.sort == "pool")
        state.press(.character("s"), .home, .enter)
        #expect(state.tables[.buffers]!.query.sort == "attention")
        state.command("sort -age")
        #expect(state.tables[.buffers]!.query.descending)
    }

    @Test func columnsAreChosenAndForgotten() {
        var state = Scene.state(screen: .buffers)
        state.press(.character("C"), .down, .character(" "), .enter)
        #expect(state.tables[.buffers]!.columns?.contains("user") == false)
        #expect(!Scene.grid(state).line(3).contains("USER"))
        state.command("columns id,class,qos")
        #expect(Scene.grid(state).line(3).contains("CLASS"))
        state.command("columns id,nothing")
        #expect(state.message.contains("no column \"nothing\""))
        state.command("columns usual")
        #expect(state.tables[.buffers]!.columns == nil)
        state.press(.character("l"), .character("l"))
        #expect(!Scene.grid(state).line(3).contains("USER"))
        #expect(Scene.grid(state).line(3).contains("ID"), "what a row is stays")
        state.press(.character("h"), .character("h"), .character("h"))
        #expect(Scene.grid(state).line(3).contains("USER"))
    }

    // MARK: In and back

    @Test func enterGoesInWithTheFilterAndEscapeComesBack() {
        var state = Scene.state(screen: .pools)
        state.command("sort pool")
        while state.selected != .pool(PoolKey(plugin: "lua", name: "pool1")) { state.press(.down) }
        state.press(.enter)
        #expect(state.screen == .buffers)
        #expect(ids(&state).count == 4)
        state.press(.down)
        let requests = state.press(.enter)
        guard case .job(let id, _, _)? = state.overlay else {
            Issue.record("no job is shown")
            return
        }
        #expect(requests == [.source(.detail(id, again: false))])
        state.press(.escape)
        #expect(state.overlay == nil)
        #expect(state.screen == .buffers)
        state.press(.escape)
        #expect(state.screen == .pools)
        #expect(state.selected == .pool(PoolKey(plugin: "lua", name: "pool1")))
        state.show(.buffers)
        #expect(ids(&state).count == 13, "coming back takes the narrowing away")
    }

    @Test func anAlertOpensWhatItIsAbout() {
        var state = Scene.state()
        state.press(.enter)
        #expect(state.screen == .buffers)
        #expect(state.selected == .buffer(BufferKey(plugin: "datawarp", id: .job(JobID(169_488)))))
        state.press(.escape)
        #expect(state.screen == .overview)
    }

    @Test func jobAndBufferLeadToEachOther() {
        var state = Scene.state(screen: .jobs)
        state.press(.character("B"))
        #expect(state.screen == .buffers)
        #expect(state.selected == .buffer(BufferKey(plugin: "datawarp", id: .job(JobID(169_471)))))
        state.press(.character("J"))
        #expect(state.screen == .jobs)
        #expect(state.selected == job(169_471))
    }

    @Test func theJobsScreenIsToldToTheSource() {
        var state = Scene.state()
        #expect(state.press(.character("5")) == [.source(.jobsScreen(true))])
        #expect(state.press(.tab) == [.source(.jobsScreen(false))])
        #expect(state.screen == .status)
        state.press(.tab, .tab, .tab, .tab)
        #expect(state.screen == .overview)
        state.press(.backTab)
        #expect(state.screen == .stage)
    }

    // MARK: Acting

    @Test func tagsHoldIdentities() {
        var state = Scene.state(screen: .jobs)
        state.press(.character(" "), .character("m"))
        #expect(state.tags == [job(169_471), job(169_488)])
        state.take { $0.board.jobRows.reverse() }
        #expect(state.tags == [job(169_471), job(169_488)])
        state.press(.character("U"))
        #expect(state.tags.isEmpty)
    }

    @Test func acknowledgingNamesTheAlertOfTheRow() {
        var state = Scene.state()
        let first = state.board.alerts[0].id
        #expect(state.press(.character("a")) == [.source(.acknowledge(first))])
        state.show(.buffers)
        state.command("filter id=169471")
        #expect(state.press(.character("a")).count == 1)
        state.command("filter id=169544")
        #expect(state.press(.character("a")).isEmpty)
        #expect(state.message == "no alert is about this row")
    }

    @Test func refreshIntervalCopyAndExport() {
        var state = Scene.state(screen: .jobs)
        #expect(state.press(.character("R")) == [.source(.refresh)])
        #expect(state.press(.character("+")) == [.source(.interval(delta: 1))])
        #expect(state.press(.character("-")) == [.source(.interval(delta: -1))])
        #expect(state.press(.character("y")) == [.copy("169471")])
        state.press(.character("e"))
        guard case .export(let path, let text)? = state.press(.enter).first else {
            Issue.record("nothing is written")
            return
        }
        #expect(path == "burstmon-jobs.csv")
        #expect(text.split(separator: "\r\n").count == 12)
    }

    @Test func anUnboundKeySaysSoOnce() {
        var state = Scene.state()
        state.press(.character("ü"))
        #expect(state.message.contains("not bound"))
        #expect(Monitor.tick(&state, at: Scene.now.adding(seconds: 7)))
        #expect(state.message.isEmpty)
        state.press(.character("ö"))
        #expect(state.message.isEmpty)
    }

    @Test func leavingAsks() {
        var state = Scene.state()
        #expect(state.press(.character("q")) == [.quit])
        #expect(state.press(.control("c")) == [.quit])
        state.press(.character("?"))
        #expect(state.press(.character("q")).isEmpty)
        #expect(state.overlay == nil)
    }

    // MARK: Commands

    @Test func commandsCompleteAndRemember() {
        var state = Scene.state(screen: .buffers)
        state.type(":sor")
        state.press(.tab)
        #expect(state.prompt?.edit.text == "sort ")
        state.type("si")
        state.press(.tab)
        #expect(state.prompt?.edit.text == "sort size")
        state.press(.enter)
        #expect(state.tables[.buffers]!.query.sort == "size")
        state.command("pool pool1")
        state.type(":")
        state.press(.up)
        #expect(state.prompt?.edit.text == "pool pool1")
        state.press(.up)
        #expect(state.prompt?.edit.text == "sort size")
        state.press(.down, .down)
        #expect(state.prompt?.edit.text == "")
        state.press(.backspace)
        #expect(state.prompt == nil)
    }

    @Test func commandsDoWhatTheyName() {
        var state = Scene.state(screen: .buffers)
        #expect(state.command("interval 30") == [.source(.intervalSet(seconds: 30))])
        #expect(state.command("theme nord") == [.theme(name: "nord", keep: true)])
        #expect(
            state.command("bbstat sessions")
                == [.source(.status(StatusRequest(word: "bbstat", arguments: ["sessions"])))])
        #expect(state.screen == .status)
        #expect(state.command("bbstat --help").isEmpty)
        state.command("state teardown*")
        #expect(ids(&state).count == 1)
        #expect(state.command("stop") == [.source(.stopCancels)])
        #expect(state.command("q") == [.quit])
        for bad in ["interval x", "theme x", "sort x", "screen x", "cancel x", "job 0", "mouse x", "goto 1", "zz"] {
            #expect(state.command(bad).isEmpty)
            #expect(state.messageRole == .textError, "\(bad)")
        }
    }

    // MARK: Keys

    @Test func everyActionHasAPrintableKeyOfItsOwn() {
        var owners: [Key: Action] = [:]
        for action in Action.allCases {
            let keys = action.usual.keys
            for key in keys {
                #expect(owners[key] == nil, "\(key.name): \(action) and \(owners[key]!)")
                owners[key] = action
            }
            let isPrintable = keys.contains { if case .character = $0 { true } else { false } }
            // Leaving has a letter of its own.
            if action != .interrupt { #expect(isPrintable, "\(action)") }
        }
    }

    @Test(arguments: [(false, false), (true, false), (false, true)])
    func theHelpListsExactlyTheKeysThatAreBound(readOnly: Bool, replay: Bool) {
        var state = Scene.state(80, 300, screen: .buffers, readOnly: readOnly, replay: replay)
        state.press(.character("?"))
        let whole = Scene.grid(state).text
        let text = whole.split(separator: "\n").prefix { !$0.contains(" Filters ") }.joined(separator: "\n")
        for action in Action.allCases {
            let bound = state.keys.keys[action]
            let line = bound.map { $0.map(\.name).joined(separator: " ") }
            #expect(text.contains(action.usual.text) == (bound != nil), "\(action)")
            if let line { #expect(text.contains(line), "\(action)") }
            for key in bound ?? [] { #expect(state.keys.action(for: key) == action) }
        }
        #expect((state.keys.action(for: .character("c")) == nil) == (readOnly || replay))
    }

    @Test func keysAreRemappedOrToldWhyNot() {
        var keys = KeyMap()
        #expect(keys.remap("cancel", to: "X") == nil)
        #expect(keys.action(for: .character("X")) == .cancel)
        #expect(keys.action(for: .character("c")) == nil)
        #expect(keys.remap("cancel", to: "j")?.contains("is down already") == true)
        #expect(keys.remap("nothing", to: "j")?.contains("no action") == true)
        #expect(keys.remap("cancel", to: "Hyper-x")?.contains("is no key") == true)
        #expect(keys.remap("help", to: "C-g") == nil)
        #expect(keys.action(for: .control("g")) == .help)
        for action in Action.allCases {
            for key in action.usual.keys where !key.name.isEmpty { #expect(Key(name: key.name) == key) }
        }
    }
}
