import BurstClient
import BurstWire
import Glibc
import Synchronization

/// Waits for a job: shows its progress on a terminal, passes its output on, counts interruptions.
struct JobWatch {
    /// How the waiting ended.
    enum End {
        /// As wait(2) gives it, and the states.
        case ended(status: UInt32, jobState: String, bufferState: String?)
        case refused(String)

        /// The job's exit status; 128 and the signal where it was killed.
        var exitStatus: Int32 {
            switch self {
            case .refused: return 1
            case .ended(let status, let state, _):
                let signal = Int32(status & 0x7f)
                if signal != 0 { return 128 + signal }
                let code = Int32(status >> 8 & 0xff)
                // A job that was cancelled or timed out did not succeed, whatever its script said last.
                return code == 0 && state != "COMPLETED" ? 1 : code
            }
        }
    }

    /// Interruptions (Ctrl-C) so far; only ever grows.
    private static let interruptions = Atomic<Int>(0)
    /// Seconds between two looks at the output file.
    private static let lookSeconds = 1

    static func countInterruptions() {
        signal(SIGINT) { _ in JobWatch.interruptions.wrappingAdd(1, ordering: .relaxed) }
    }

    static func wait(
        _ job: UInt32, _ invocation: Invocation, untilStagedOut: Bool = false, streams: Bool = false,
        cancelsOnInterrupt: Bool = false
    ) -> End {
        do throws(ClientError) {
            let connection = try invocation.connect()
            defer { connection.close() }
            return try Watch(
                job: job, invocation: invocation, connection: connection, cancelsOnInterrupt: cancelsOnInterrupt
            ).run(untilStagedOut: untilStagedOut, streams: streams)
        } catch {
            invocation.console.complain("\(invocation.name): \(error.advice)")
            return .refused(error.description)
        }
    }

    private struct Watch {
        let job: UInt32
        let invocation: Invocation
        let connection: BurstConnection
        let cancelsOnInterrupt: Bool
        var beat = 0
        var seen = 0
        var isDrawn = false
        var output: Follower?

        init(job: UInt32, invocation: Invocation, connection: BurstConnection, cancelsOnInterrupt: Bool) {
            self.job = job
            self.invocation = invocation
            self.connection = connection
            self.cancelsOnInterrupt = cancelsOnInterrupt
        }

        func run(untilStagedOut: Bool, streams: Bool) throws(ClientError) -> End {
            var watch = self
            return try watch.wait(untilStagedOut: untilStagedOut, streams: streams)
        }

        private mutating func wait(untilStagedOut: Bool, streams: Bool) throws(ClientError) -> End {
            if streams { output = try outputPath().map(Follower.init) }
            let line = ProgressLine(environment: invocation.environment)
            var latest = Progress(job: job, state: "waiting")
            let question = try connection.send(.wait(job: job, untilStagedOut: untilStagedOut))
            while true {
                let message: BurstConnection.Message?
                do throws(ClientError) {
                    message = try connection.next(seconds: JobWatch.lookSeconds)
                } catch {
                    guard error.kind == .timedOut else {
                        clear()
                        throw error
                    }
                    message = nil
                }
                if let message, message.question == question {
                    switch message.answer {
                    case .progress(_, let progress): latest = progress
                    case .ended(_, let status, let state, let buffer):
                        clear()
                        drain(isLast: true)
                        return .ended(status: status, jobState: state, bufferState: buffer)
                    case .refused(_, _, let text, _):
                        clear()
                        invocation.console.complain("\(invocation.name): job \(job): \(text)")
                        return .refused(text)
                    default: break
                    }
                }
                drain(isLast: false)
                interrupted()
                if let width = invocation.console.progressWidth {
                    beat += 1
                    let text = line.text(latest, beat: beat, width: width)
                    invocation.console.error(Array("\r\u{1b}[K\(text)".utf8))
                    isDrawn = true
                }
            }
        }

        private mutating func clear() {
            if isDrawn { invocation.console.error(Array("\r\u{1b}[K".utf8)) }
            isDrawn = false
        }

        private mutating func drain(isLast: Bool) {
            while let text = output?.more(), !text.isEmpty {
                clear()
                invocation.console.out(text)
                if !isLast { return }
            }
        }

        /// The second Ctrl-C cancels the job, a third leaves it.
        private mutating func interrupted() {
            let count = JobWatch.interruptions.load(ordering: .relaxed)
            guard count > seen else { return }
            seen = count
            clear()
            let name = invocation.name
            if !cancelsOnInterrupt || count > 2 {
                invocation.console.complain("\(name): no longer waiting; burst wait \(job) waits again")
                exit(128 + SIGINT)
            }
            if count == 1 {
                invocation.console.complain("\(name): press Ctrl-C again to cancel job \(job)")
            } else {
                invocation.console.complain("\(name): cancelling job \(job)")
                // Its answer is not waited for: the job's end is.
                _ = try? connection.send(.command(Command(.cancel, jobs: ["\(job)"])))
            }
        }

        private func outputPath() throws(ClientError) -> String? {
            let (answer, body) = try connection.ask(.show(.jobs(id: "\(job)", oneLine: false)))
            guard case .body = answer else { return nil }
            for line in body.split(separator: 10) where line.starts(with: "   StdOut=".utf8) {
                let path = String(decoding: line.dropFirst("   StdOut=".utf8.count), as: UTF8.self)
                return path == "/dev/null" ? nil : path
            }
            return nil
        }
    }

    /// Reads what is appended to a file, once it is there.
    struct Follower {
        let path: String
        private var offset: off_t = 0

        init(_ path: String) { self.path = path }

        /// What is new; empty where the file is not there or not readable yet.
        mutating func more() -> [UInt8] {
            let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
            guard descriptor >= 0 else { return [] }
            defer { close(descriptor) }
            var text: [UInt8] = []
            var buffer = [UInt8](repeating: 0, count: 1 << 16)
            while case let count = pread(descriptor, &buffer, buffer.count, offset), count > 0 {
                text += buffer[..<count]
                offset += off_t(count)
                if text.count >= Self.pieceMax { break }
            }
            return text
        }

        static let pieceMax = 16 * 1024 * 1024
    }
}
