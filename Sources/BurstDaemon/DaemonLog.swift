package import BurstEngine
package import BurstModel
import BurstSources
import Glibc
package import Logging
import Synchronization

/// The daemon's log: lines as slurmctld writes them, to standard error and to a file, through swift-log.
package final class DaemonLog: Sendable {
    private struct State {
        var level = HookLogLine.Level.info
        var path: String?
        var file: Int32 = -1
        var toStandardError = true
        /// Writing to the file failed and was complained of.
        var isBroken = false
    }

    private let state = Mutex(State())
    private let clock: DaemonClock
    private let zone: LocalTime.Zone

    package init(clock: DaemonClock = .system, zone: LocalTime.Zone = .system) {
        self.clock = clock
        self.zone = zone
    }

    /// What libraries of ours log with.
    package var logger: Logger { Logger(label: "burstd") { _ in Handler(log: self) } }

    package func set(level: HookLogLine.Level) { state.withLock { $0.level = level } }

    /// Standard error is not ours any more.
    package func leaveStandardError() { state.withLock { $0.toStandardError = false } }

    /// Opens the file, or opens it anew, as after it was moved away. Nil: none.
    package func open(_ path: String?) throws(StateFault) {
        let file: Int32
        if let path {
            file = Glibc.open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o640)
            guard file >= 0 else { throw .system(path, errno) }
        } else {
            file = -1
        }
        let old = state.withLock { state in
            defer {
                state.file = file
                state.path = path
                state.isBroken = false
            }
            return state.file
        }
        if old >= 0 { close(old) }
    }

    package func reopen() throws(StateFault) { try open(state.withLock { $0.path }) }

    package func write(_ line: HookLogLine) {
        guard Self.rank(line.level) <= state.withLock({ Self.rank($0.level) }) else { return }
        logger.log(level: Self.level(line.level), "\(Self.prefix(line.level))\(line.text)")
    }

    /// Why the daemon ends.
    package func write(_ fault: StateFault) { write(HookLogLine(.error, fault.description)) }

    fileprivate func put(_ text: String) {
        // A script's message may have several lines, or more than text.
        let plain = String(
            text.unicodeScalars.map { scalar in
                scalar.value < 0x20 && scalar != "\t" || scalar.value == 0x7f ? " " : Character(scalar)
            })
        let stamp = zone.local(clock.now()).text
        let fraction = String(1000 + (clock.now().milliseconds % 1000 + 1000) % 1000).dropFirst()
        state.withLock { state in
            if state.toStandardError { Self.write("burstd: \(plain)\n", to: STDERR_FILENO) }
            if state.file >= 0, !Self.write("[\(stamp).\(fraction)] \(plain)\n", to: state.file), !state.isBroken {
                state.isBroken = true
                if state.toStandardError {
                    Self.write(
                        "burstd: error: \(state.path ?? ""): \(SystemError.text(errno)): lines are lost\n",
                        to: STDERR_FILENO)
                }
            }
        }
    }

    @discardableResult
    private static func write(_ text: String, to file: Int32) -> Bool {
        // One write, so that lines of several processes do not mix.
        var text = text
        return text.withUTF8 { Glibc.write(file, $0.baseAddress, $0.count) == $0.count }
    }

    private static func rank(_ level: HookLogLine.Level) -> Int {
        switch level {
        case .error: 0
        case .info: 1
        case .verbose: 2
        case .debug: 3
        case .debug2: 4
        case .debug3: 5
        case .debug4: 6
        }
    }

    private static func prefix(_ level: HookLogLine.Level) -> String {
        switch level {
        case .error: "error: "
        case .info, .verbose: ""
        case .debug: "debug:  "
        case .debug2: "debug2: "
        case .debug3: "debug3: "
        case .debug4: "debug4: "
        }
    }

    private static func level(_ level: HookLogLine.Level) -> Logger.Level {
        switch level {
        case .error: .error
        case .info: .notice
        case .verbose: .info
        case .debug: .debug
        case .debug2, .debug3, .debug4: .trace
        }
    }

    private struct Handler: LogHandler {
        let log: DaemonLog
        var metadata: Logger.Metadata = [:]
        /// What is logged was chosen before.
        var logLevel = Logger.Level.trace

        init(log: DaemonLog) { self.log = log }

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) { log.put(event.message.description) }
    }
}
