package import BurstModel
import Glibc
import Synchronization

/// Appends events to a file, a line each. At its limit the file becomes `FILE.1` and a new one begins.
package final class EventLog: Sendable {
    private struct State: Sendable {
        var file: AppendedFile
        var hasFailed = false
    }

    private let path: String
    private let bytesMax: Int64
    private let sendsActions: Bool
    private let state: Mutex<State?>

    /// - Parameters:
    ///   - path: nil where only syslog is wanted.
    ///   - syslog: actions go to syslog, too.
    package init(path: String?, bytesMax: Int = 16 << 20, syslog: Bool = false) throws(RecordingFault) {
        self.path = path ?? ""
        self.bytesMax = Int64(bytesMax)
        sendsActions = syslog
        if let path {
            state = Mutex(State(file: try AppendedFile(path: path, isLocked: false)))
        } else {
            state = Mutex(nil)
        }
    }

    /// `2026-11-23T22:40:00Z CRIT STATE 169488 alice teardown -> teardown-fail`
    package static func line(_ event: Event) -> String {
        let words = [
            event.at.rfc3339, event.level.rawValue, event.kind.rawValue, event.subject.short,
            event.user.isEmpty ? "-" : event.user, event.text,
        ]
        // An event is a line, whatever names hold.
        return String(
            words.joined(separator: " ").unicodeScalars.map { $0.value < 0x20 || $0.value == 0x7f ? " " : Character($0) })
    }

    /// Keeps events. A disk that is full costs the log only; nil, or once the event that says so.
    @discardableResult
    package func append(_ events: some Sequence<Event>) -> Event? {
        var failure: Event?
        for event in events {
            let line = Self.line(event)
            if sendsActions, event.kind == .action {
                line.withCString { text in withVaList([text]) { vsyslog(LOG_NOTICE | LOG_USER, "burstmon: %s", $0) } }
            }
            state.withLock { state in
                guard state != nil else { return }
                do throws(RecordingFault) {
                    if state!.file.size + Int64(line.utf8.count) + 1 > bytesMax {
                        rename(path, path + ".1")
                        state!.file = try AppendedFile(path: path, isLocked: false)
                    }
                    try state!.file.append(Array(line.utf8) + [10])
                    state!.hasFailed = false
                } catch {
                    guard !state!.hasFailed else { return }
                    state!.hasFailed = true
                    failure = Event(
                        at: event.at, level: .error, kind: .note, subject: .controller,
                        text: "event log stopped: \(error)")
                }
            }
        }
        return failure
    }
}
