internal import BurstClient
internal import BurstDataWarp
package import BurstWire
internal import Glibc

/// `dw_wlm_cli` and `dwstat`: hand their words to the stager and print its answer.
///
/// Slurm merges both outputs into one text and reads it (staging.md §0 fact 1): all that is printed goes to standard
/// output, and nothing but the answer. Signals are blocked by slurmctld, and there is no time to clean up: whatever
/// happens to this process, the daemon goes on.
package struct StageClient: Sendable {
    package var program: StageCall.Program
    /// Behind the program's name.
    package var arguments: [String]
    package var socket: String
    /// Nil: what fits the call.
    package var patience: Patience?

    /// What the process prints, and how it ends.
    package struct Reply: Hashable, Sendable {
        package var status: Int32
        package var output: [UInt8]

        package init(status: Int32 = 0, output: [UInt8] = []) {
            self.status = status
            self.output = output
        }

        /// One line, fit for Slurm.
        init(failure: ErrorLine) { self.init(status: 1, output: Array("\(failure.text)\n".utf8)) }
    }

    package init(
        _ program: StageCall.Program, arguments: [String], socket: String, patience: Patience? = nil
    ) {
        self.program = program
        self.arguments = arguments
        self.socket = socket
        self.patience = patience
    }

    /// Bytes of all arguments: beyond there is nothing that the daemon could take for a call.
    static let argumentBytesMax = 256 << 10

    package func run() -> Reply {
        guard arguments.reduce(0, { $0 + $1.utf8.count }) <= Self.argumentBytesMax else {
            return Reply(failure: ErrorLine("arguments of more than \(Self.argumentBytesMax) bytes are too long"))
        }
        switch program {
        case .dwstat:
            let request = try? DwstatRequest(arguments: arguments)
            if request?.isHelp == true { return Reply(output: Array(DwstatRequest.helpText.utf8)) }
            return ask(StageCall(program, arguments: arguments), [], patience ?? .dwstat) {
                request.flatMap { StageFolder(socket: socket).dwstat($0) }
            }.reply
        case .wlm:
            let call = try? StagerCall(arguments: arguments)
            if call == .help { return Reply(output: Array(StagerCall.helpText.utf8)) }
            do throws(ErrorLine) {
                return try run(call)
            } catch {
                return Reply(failure: error)
            }
        }
    }

    /// - Parameter call: nil: the daemon shall say what is wrong with it.
    private func run(_ call: StagerCall?) throws(ErrorLine) -> Reply {
        var question = StageCall(program, arguments: arguments)
        let script = try call?.script.flatMap { path throws(ErrorLine) in try StageFiles.script(path) }
        question.hasScript = script != nil
        question.nodes = call?.nodeFile.map(StageFiles.nodes) ?? []
        let folder = StageFolder(socket: socket)
        let reply = ask(question, script ?? [], patience ?? Patience(call)) { folder.answer(to: call) }
        guard case .paths(_, _, let pathFile) = call, reply.status == 0 else { return reply.reply }
        try StageFiles.replace(pathFile, with: reply.lines)
        return reply.reply
    }

    // MARK: Asking

    /// An answer, and the lines for a file.
    struct Answered {
        var status: Int32
        var output: [UInt8]
        var lines: [String] = []

        var reply: Reply { Reply(status: status, output: output) }
    }

    /// Asks until there is an answer, again after each break: every verb may come twice (staging.md §1.10).
    /// - Parameter without: what can be said without the daemon.
    private func ask(
        _ call: StageCall, _ script: [UInt8], _ patience: Patience, without: () -> Answered?
    ) -> Answered {
        let start = MonotonicClock.milliseconds
        var seen = start
        while true {
            let fault: ClientError
            do throws(ClientError) {
                let now = MonotonicClock.milliseconds
                let left = patience.total - Int(now - start)
                // A daemon that hangs is away as well.
                let forHello = patience.away == 0 ? left : min(left, patience.away - Int(now - seen))
                let connection = try BurstConnection.connect(
                    path: socket, program: "\(program.rawValue) 0.1", milliseconds: max(forHello, 1))
                seen = MonotonicClock.milliseconds
                defer {
                    // It was there until the answer came or failed to.
                    seen = MonotonicClock.milliseconds
                    connection.close()
                }
                let rest = patience.total - Int(seen - start)
                let (answer, body) = try connection.ask(.stage(call), body: script, milliseconds: max(rest, 1))
                if case .refused(_, Answer.daemonEnded, let text, _) = answer {
                    throw ClientError(.broken, "\(socket): \(text)")
                }
                return Self.answered(answer, body)
            } catch {
                fault = error
            }
            if let answer = without() { return answer }
            let now = MonotonicClock.milliseconds
            if now - start >= Int64(patience.total) || now - seen >= Int64(patience.away) {
                return Self.gaveUp(fault, after: now - start)
            }
            poll(nil, 0, Int32(Patience.pause))
        }
    }

    private static func answered(_ answer: Answer, _ body: [UInt8]) -> Answered {
        switch answer {
        case .staged(_, let status, let lines): Answered(status: status, output: body, lines: lines)
        case .refused(_, _, let text, _): Answered(status: 1, output: Array("\(ErrorLine(text).text)\n".utf8))
        default:
            Answered(status: 1, output: Array("burstd answers another question: use programs of one release\n".utf8))
        }
    }

    private static func gaveUp(_ fault: ClientError, after milliseconds: Int64) -> Answered {
        let tried = milliseconds >= 1000 ? ", tried for \(milliseconds / 1000) s" : ""
        let line = ErrorLine("the stager is away: \(fault.description)\(tried)")
        return Answered(status: 1, output: Array("\(line.text)\n".utf8))
    }
}

extension StagerCall {
    var script: String? {
        switch self {
        case .jobProcess(let script, _): script.path
        case .setup(let setup): setup.script.path
        case .dataIn(_, let script, _), .preRun(_, let script, _), .postRun(_, let script), .dataOut(_, let script, _),
            .teardown(_, let script, _):
            script?.path
        // The locks that Slurm holds meanwhile are a reason to do no more than is needed.
        case .paths, .help, .pools, .showConfigurations, .showInstances, .showSessions, .testDataIn, .realSize,
            .testDataOut, .createPersistent:
            nil
        }
    }

    var nodeFile: String? {
        switch self {
        case .setup(let setup): setup.nodeFile
        case .preRun(_, _, let file): file
        default: nil
        }
    }
}

enum MonotonicClock {
    /// Of a clock that nobody sets.
    static var milliseconds: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
    }
}
