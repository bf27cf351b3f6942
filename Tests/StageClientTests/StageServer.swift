import BurstTestSupport
import BurstWire
import Glibc
import Synchronization

/// Stands in for the stager: says hello over a real socket, and to each call what the test wants.
final class StageServer: Sendable {
    struct Call: Hashable, Sendable {
        var call: StageCall
        var body: [UInt8]
    }

    enum Deed: Sendable {
        case answer(status: Int32, text: String, lines: [String] = [])
        case refuse(String)
        /// As a daemon does that is told to end.
        case end
        /// Ends the connection in place of an answer.
        case hangUp
        case garbage([UInt8])
        /// No answer, until the connection ends.
        case silence
    }

    enum Greeting: Sendable { case hello, none, garbage, refusal }

    let folder: TemporaryFolder
    var path: String { folder("burstd.sock") }
    private let deed: @Sendable (Int) -> Deed
    private let greeting: Greeting
    private let state = Mutex<(listener: UnixListener?, calls: [Call])>((nil, []))

    /// - Parameter deed: what is done about the call of that number, counted from 0.
    init(greeting: Greeting = .hello, starts: Bool = true, _ deed: @escaping @Sendable (Int) -> Deed) throws {
        folder = try TemporaryFolder("burst-stage-client")
        self.deed = deed
        self.greeting = greeting
        folder.makeFolder("stager")
        folder.makeFolder("stager/paths")
        if starts { try start() }
    }

    /// One that answers every call alike.
    convenience init(answers text: String, status: Int32 = 0, lines: [String] = []) throws {
        try self.init { _ in .answer(status: status, text: text, lines: lines) }
    }

    deinit { stop() }

    var calls: [Call] { state.withLock { $0.calls } }

    func start() throws {
        let listener = try UnixListener(path) { [weak self] in self?.talk($0) }
        state.withLock { $0.listener = listener }
    }

    func stop() { state.withLock { $0.listener }?.stop() }

    private func talk(_ client: Int32) {
        var decoder = FrameDecoder()
        var isGreeted = false
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while case let count = recv(client, &buffer, buffer.count, 0), count > 0 {
            decoder.feed(buffer[..<count])
            while let frame = try? decoder.next() {
                if !isGreeted {
                    isGreeted = true
                    greet(client)
                    continue
                }
                guard let question = try? frame.read(Question.self), case .stage(let call) = question.ask else {
                    return
                }
                let number = state.withLock { state in
                    state.calls.append(Call(call: call, body: frame.body))
                    return state.calls.count - 1
                }
                switch deed(number) {
                case .answer(let status, let text, let lines):
                    // What a client must pass over: progress of its question.
                    Self.send(client, .progress(question.id, Progress(job: 7, state: "staging-in")))
                    Self.send(client, .staged(question.id, status: status, lines: lines), Array(text.utf8))
                case .refuse(let text): Self.send(client, .refused(question.id, code: 0, text: text, notes: []))
                case .end:
                    let text = "burstd ended before there was an answer"
                    let answer = Answer.refused(question.id, code: Answer.daemonEnded, text: text, notes: [])
                    Self.send(client, answer)
                case .hangUp: return
                case .garbage(let bytes): UnixListener.send(client, bytes)
                case .silence: break
                }
            }
        }
    }

    private func greet(_ client: Int32) {
        switch greeting {
        case .hello: UnixListener.send(client, (try? Frame.encode(Hello(program: "burstd test"))) ?? [])
        case .refusal:
            UnixListener.send(
                client, (try? Frame.encode(Hello(program: "burstd test", refused: "too many connections"))) ?? [])
        case .garbage: UnixListener.send(client, Array("HTTP/1.1 400 Bad Request\r\n\r\n".utf8))
        case .none: break
        }
    }

    private static func send(_ client: Int32, _ answer: Answer, _ body: [UInt8] = []) {
        if let bytes = try? Frame.encode(answer, body: body) { UnixListener.send(client, bytes) }
    }
}
