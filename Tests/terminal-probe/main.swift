// A small program on the real terminal code: shows a table and all roles, echoes keys, and dies in every way on
// request.
// The tests of the terminal drive it. Arguments are name=value; see `Settings`.
import BurstScreen
import BurstTerminal
import Glibc

struct Settings {
    var options = CursesTerminal.Options()
    var guardian = true

    init(_ arguments: [String]) {
        for argument in arguments {
            switch argument {
            case "ascii": options.ascii = true
            case "mono": options.maximumColors = 0
            case "mouse": options.mouse = true
            case "focus": options.focus = true
            case "sync": options.synchronised = true
            case "clipboard": options.clipboard = true
            case "no-guardian": guardian = false
            default: break
            }
        }
    }
}

/// A look for each role: rows as plain as themes have them, else all colours of the palette, some RGB values, all
/// attributes.
func look(_ style: Style) -> Look {
    let index = Role.allCases.firstIndex(of: style.role) ?? 0
    var look = Look(fg: .terminalDefault, bg: .terminalDefault, attributes: [])
    switch style.role {
    case .text, .row: break
    case .textDim: look.attributes = .dim
    case .bufferRunning: look.fg = .indexed(2)
    default:
        let attributes: [TextAttributes] = [[], .bold, .dim, .underline, .italic, [.bold, .underline]]
        look.fg = .indexed(UInt8(index * 3 % 256))
        look.attributes = attributes[index % attributes.count]
        if index % 7 == 0 { look.fg = .rgb(RGB(red: UInt8(index), green: 200, blue: 40)) }
        if index % 5 == 0 { look.bg = .indexed(UInt8(index % 16)) }
    }
    if style.overlay != nil { look.attributes.insert(.reverse) }
    return look
}

/// A key in a word.
func name(_ key: Key) -> String {
    switch key {
    case .character(let letter): String(letter)
    case .control(let letter): "^" + String(letter)
    case .mouse(let mouse):
        "\(mouse.button)@\(mouse.column),\(mouse.row)".split(separator: ".").last.map(String.init) ?? ""
    default: "\(key)"
    }
}

struct Probe {
    var size: Size
    var selected = 0
    var first = 0
    var tick = 0
    /// The last one is shown first, so that narrow windows show it too.
    var keys: [String] = []
    var page = "table"
    var field: String?

    /// A table as the monitor's: header, rows in a few roles, a selected row.
    func draw() -> Grid {
        var grid = Grid(size: size)
        let last = size.rows - 1
        grid.put("terminal-probe \(size.columns)x\(size.rows) tick \(tick)", column: 0, row: 0, Style(.bar))
        switch page {
        case "roles":
            for (index, role) in Role.allCases.enumerated() {
                grid.put(role.rawValue, column: index / 20 * 20, row: 1 + index % 20, Style(role), width: 19)
            }
        case "names":
            let names = [
                "漢字かな交じり", "e\u{301}te\u{301}", "한국어", "👨\u{200D}👩\u{200D}👧 family", "flag 🇩🇪", "heart ❤\u{FE0F}",
                "\u{1B}[31mred\u{7}",
                "tab\there", "\u{202E}right to left", "\u{9B}2J", String(repeating: "long漢", count: 600),
                "a" + String(repeating: "\u{301}", count: 2000), "┌─┬─┐│░▒▓█", "क्षत्रिय", "soft\u{AD}hyphen",
                "null\u{0}byte",
            ]
            for (index, name) in names.enumerated() {
                grid.put(name, column: 2, row: 1 + index, Style(.row), width: 20)
                grid.put("|", column: 22, row: 1 + index, Style(.border))
                grid.put(name, column: size.columns - 7, row: 1 + index, Style(.text))
            }
        default:
            grid.put(" ID           USER     POOL     SIZE     STATE", column: 0, row: 1, Style(.header))
            for row in 2..<max(2, last) {
                let job = first + row - 2
                let state = job % 3 == 0 ? Role.bufferStagingIn : .bufferRunning
                grid.put("\(169400 + job)", column: 1, row: row, Style(.row))
                grid.put(["alice", "bob", "carol"][job % 3], column: 14, row: row, Style(.row))
                grid.put("pool\(job % 4)", column: 23, row: row, Style(.row))
                grid.put("\(job * 7 % 900)GiB", column: 32, row: row, Style(.row))
                grid.put("\(state.rawValue) \(job % 10 == 0 ? tick : 0)", column: 41, row: row, Style(state))
                if size.columns > 100 {
                    grid.put("account=bio qos=normal partition=work node\(job)", column: 64, row: row, Style(.textDim))
                }
                if job == selected { grid.overlay(.rowSelected, row: row) }
            }
        }
        grid.put("keys " + keys.suffix(6).reversed().joined(separator: " "), column: 0, row: last, Style(.bar))
        if let field {
            grid.put("> " + field, column: 0, row: last, Style(.field))
            grid.cursor = (2 + CharacterWidth.cells(of: field), last)
        }
        return grid
    }

    mutating func move(_ by: Int) {
        selected = max(0, selected + by)
        let visible = max(1, size.rows - 3)
        first = min(max(first, selected - visible + 1), selected)
    }
}

@inline(never) func overflow(_ depth: Int) -> Int { depth < 0 ? 0 : overflow(depth + 1) + overflow(depth + 2) }

func note(_ text: String) { _ = text.withCString { write(STDERR_FILENO, $0, strlen($0)) } }

func die(_ key: Character) {
    switch key {
    case "T":
        let numbers = [Int(getpid())]
        print(numbers[Int(getppid()) + 1])
    case "F": fatalError("the probe ends as it was told")
    case "S": UnsafeMutablePointer<Int>(bitPattern: 8)?.pointee = 1
    case "A": abort()
    case "O": print(overflow(1))
    case "X": exit(7)
    case "H": while true { pause() }
    default: break
    }
}

func run(_ settings: Settings) -> Int32 {
    let terminal: CursesTerminal
    do {
        terminal = try CursesTerminal.start(options: settings.options)
    } catch {
        note("terminal-probe: \(error)\n")
        return 3
    }

    var probe = Probe(size: terminal.size())
    var isDone = false
    var endedBy: TerminalSignal?
    var resizePending = false
    terminal.show(probe.draw(), look: look)

    /// Whatever happened while the terminal was not ours, the size may be another one.
    func goOn(_ resumption: CursesTerminal.Resumption) {
        guard case .resumed(let size) = resumption else { return }
        probe.size = size
        probe.keys.append("resumed")
        terminal.show(probe.draw(), look: look)
    }

    func handle(_ key: Key) {
        switch key {
        case .character("q"): isDone = true
        case .character("t"): probe.tick += 1
        case .character("n"): probe.page = "names"
        case .character("r"): probe.page = "roles"
        case .character("b"): probe.page = "table"
        case .character("f"): probe.field = probe.field == nil ? "typed 漢" : nil
        case .character("e"): note("stray text\n")
        case .character("y"): terminal.copyToClipboard("copied text")
        case .character(let letter) where "TFSAOXH".contains(letter): return die(letter)
        case .down: probe.move(1)
        case .up: probe.move(-1)
        case .pageDown: probe.move(20)
        case .control("z"): return goOn(terminal.suspend())
        case .control("l"): terminal.redraw()
        default: break
        }
        probe.keys.append(name(key))
    }

    while !isDone {
        var wait = [
            pollfd(fd: terminal.inputDescriptor, events: Int16(POLLIN), revents: 0),
            pollfd(fd: terminal.mailbox.descriptor, events: Int16(POLLIN), revents: 0),
        ]
        // Resizes are drawn once in 50 ms: the wait ends by itself only while one is due.
        let count = poll(&wait, 2, resizePending ? 50 : -1)
        if count < 0 && errno != EINTR { break }
        if count == 0 && resizePending {
            resizePending = false
            probe.size = terminal.size()
            terminal.resize(to: probe.size)
            terminal.show(probe.draw(), look: look)
            continue
        }
        for signal in terminal.mailbox.take() {
            switch signal {
            case .stop: goOn(terminal.suspend())
            case .goOn: goOn(terminal.resume())
            case .resized: resizePending = true
            case .user1, .user2: probe.tick += 1
            case .terminate, .interrupt, .quit, .hangUp:
                endedBy = signal
                isDone = true
            }
        }
        if isDone { break }
        if wait[0].revents != 0 {
            let input = terminal.read()
            for key in input.keys where !isDone { handle(key) }
            if input.isHungUp {
                endedBy = .hangUp
                break
            }
        }
        if !isDone { terminal.show(probe.draw(), look: look) }
    }
    terminal.stop()
    if let endedBy { Guardian.end(of: endedBy) }
    return 0
}

func start() -> Int32 { run(Settings(Array(CommandLine.arguments.dropFirst()))) }
exit(Settings(Array(CommandLine.arguments.dropFirst())).guardian ? Guardian.run { start() } : start())
