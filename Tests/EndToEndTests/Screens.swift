import BurstScreen
import BurstTestSupport
import Testing

extension PseudoTerminal {
    /// Waits until the first data are on the screen: the buffers, and the jobs that belong to them.
    func waitForData(seconds: Double = Wait.hangSeconds) -> Bool {
        wait(seconds: seconds) { $0.emulator.contains("LIVE") || $0.emulator.contains("REPLAY") }
    }

    /// Types a key and waits until the screen shows what it did.
    @discardableResult
    func press(_ keys: String, until text: String, seconds: Double = Wait.hangSeconds) -> Bool {
        type(keys)
        return wait(for: text, seconds: seconds)
    }

    /// Waits until the screen has stood still for a moment.
    func waitUntilSettled() {
        var text = ""
        repeat {
            waitUntilIdle()
            text = emulator.text
            wait(seconds: 0.4) { $0.emulator.text != text }
        } while emulator.text != text
    }

    /// Ends the program with `q`.
    func quit() -> End? {
        type("q")
        return waitForEnd()
    }

    /// Sequences that set a colour.
    var colors: [String] {
        let text = received.map { $0 >= 0x20 && $0 < 0x7f ? String(Character(Unicode.Scalar($0))) : "\u{1}" }.joined()
        return text.split(separator: "\u{1}").compactMap { part in
            guard part.hasPrefix("["), let end = part.firstIndex(of: "m") else { return nil }
            let numbers = part[part.index(after: part.startIndex)..<end].split(separator: ";")
            let isColor = numbers.contains { number in
                Int(number).map { (30...49).contains($0) || (90...107).contains($0) } ?? false
            }
            return isColor ? String(part.prefix(20)) : nil
        }
    }
}

extension StubCommands {
    /// The rows of the body of a table screen, the header line and all above left out.
    static func rows(_ terminal: PseudoTerminal) -> [String] {
        (4..<terminal.emulator.size.rows - 1).map(terminal.emulator.line).prefix {
            !$0.hasPrefix("──") && !$0.hasPrefix("--")
        }
        .filter { !$0.isEmpty }
    }

    /// The row under the cursor.
    static func selected(_ terminal: PseudoTerminal) -> String {
        rows(terminal).first { $0.hasPrefix(">") } ?? ""
    }
}
