import BurstScreen
import CCurses

/// Makes keys of what curses reads.
///
/// Most sequences are in terminfo and curses knows them. Those that are not (a page key on a vt100, a key with Control
/// held,
/// focus reports) would fall apart into Escape and letters, and letters are commands: they are put together here.
struct KeyDecoder {
    /// One unit from `wget_wch`: a key code of curses, or a character.
    enum Unit: Hashable { case code(Int32), character(UInt32) }

    /// - Parameters:
    ///   - next: the next unit if one has been read already; never waits.
    ///   - mouse: what `getmouse` says, for the code KEY_MOUSE.
    static func key(_ unit: Unit, next: () -> Unit?, mouse: () -> Key?) -> [Key] {
        switch unit {
        case .code(KEY_RESIZE): return []
        case .code(KEY_MOUSE): return mouse().map { [$0] } ?? []
        case .code(let code): return [named(code)]
        case .character(0x1b): return escape(next)
        case .character(let value): return [character(value)]
        }
    }

    private static func named(_ code: Int32) -> Key {
        switch code {
        case KEY_UP, KEY_SR: return .up
        case KEY_DOWN, KEY_SF: return .down
        case KEY_LEFT, KEY_SLEFT: return .left
        case KEY_RIGHT, KEY_SRIGHT: return .right
        case KEY_PPAGE, KEY_SPREVIOUS: return .pageUp
        case KEY_NPAGE, KEY_SNEXT: return .pageDown
        case KEY_HOME, KEY_FIND, KEY_A1, KEY_SHOME: return .home
        case KEY_END, KEY_SELECT, KEY_C1, KEY_SEND: return .end
        case KEY_A3: return .pageUp
        case KEY_C3: return .pageDown
        case KEY_ENTER: return .enter
        case KEY_BACKSPACE: return .backspace
        case KEY_DC, KEY_SDC: return .delete
        case KEY_BTAB: return .backTab
        case (KEY_F0 + 1)...(KEY_F0 + 12): return .function(Int(code - KEY_F0))
        default: return extended(code)
        }
    }

    /// Keys with Shift, Alt or Control, for which terminfo has names of its own (`kUP5` and the like; terminfo(5),
    /// user-defined
    /// capabilities): they count as the key alone.
    private static func extended(_ code: Int32) -> Key {
        guard let found = keyname(code) else { return .unknown }
        let name = String(cString: found)
        let known: [(String, Key)] = [
            ("kUP", .up), ("kDN", .down), ("kLFT", .left), ("kRIT", .right), ("kHOM", .home), ("kEND", .end),
            ("kPRV", .pageUp), ("kNXT", .pageDown), ("kDC", .delete),
        ]
        return known.first { name.hasPrefix($0.0) }?.1 ?? .unknown
    }

    private static func character(_ value: UInt32) -> Key {
        switch value {
        case 0x0a, 0x0d: return .enter
        case 0x09: return .tab
        case 0x08, 0x7f: return .backspace
        case 0x00: return .control("@")
        case 0x01...0x1a: return .control(Character(Unicode.Scalar(UInt8(value) + 0x60)))
        case 0x1c...0x1f: return .control(Character(Unicode.Scalar(UInt8(value) + 0x40)))
        case 0x80..<0xa0: return .unknown
        default: return Unicode.Scalar(value).map { .character(Character($0)) } ?? .unknown
        }
    }

    /// What follows an Escape in the same burst. Curses has waited `escdelay` for it.
    private static func escape(_ next: () -> Unit?) -> [Key] {
        guard let second = next() else { return [.escape] }
        switch second {
        case .character(0x5b): return [controlSequence(next)]
        case .character(0x4f):
            guard let third = next() else { return [.escape, .character("O")] }
            if case .character(let value) = third, let key = applicationKey(value) { return [key] }
            return [.escape, .character("O")] + key(third, next: next, mouse: { nil })
        default: return [.escape] + key(second, next: next, mouse: { nil })
        }
    }

    /// ESC O and a letter: keys in application mode.
    private static func applicationKey(_ final: UInt32) -> Key? {
        switch final {
        case 0x41: .up
        case 0x42: .down
        case 0x43: .right
        case 0x44: .left
        case 0x48: .home
        case 0x46: .end
        case 0x4d: .enter
        case 0x50...0x53: .function(Int(final - 0x50) + 1)
        default: nil
        }
    }

    /// ESC [ parameters final (ECMA-48), at most 32 characters of it.
    private static func controlSequence(_ next: () -> Unit?) -> Key {
        var parameters: [UInt32] = []
        while parameters.count < 32, let unit = next() {
            guard case .character(let value) = unit else { return .unknown }
            if value >= 0x20 && value < 0x40 {
                parameters.append(value)
                continue
            }
            let number = parameters.prefix { $0 >= 0x30 && $0 <= 0x39 }.reduce(0) { $0 * 10 + Int($1 - 0x30) }
            let isPlain = parameters.isEmpty
            switch value {
            case 0x41: return .up
            case 0x42: return .down
            case 0x43: return .right
            case 0x44: return .left
            case 0x48: return .home
            case 0x46: return .end
            case 0x5a: return .backTab
            case 0x49 where isPlain: return .focus(true)
            case 0x4f where isPlain: return .focus(false)
            case 0x50...0x53: return .function(Int(value - 0x50) + 1)
            case 0x7e:
                switch number {
                case 1, 7: return .home
                case 3: return .delete
                case 4, 8: return .end
                case 5: return .pageUp
                case 6: return .pageDown
                case 11...15: return .function(number - 10)
                case 17...21: return .function(number - 11)
                case 23...24: return .function(number - 12)
                default: return .unknown
                }
            case 0x5b:
                // The Linux console: ESC [ [ A to E are F1 to F5.
                if case .character(let letter)? = next(), letter >= 0x41, letter <= 0x45 {
                    return .function(Int(letter - 0x41) + 1)
                }
                return .unknown
            default: return .unknown
            }
        }
        return .unknown
    }
}
