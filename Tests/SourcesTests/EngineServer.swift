import BurstModel
import BurstTestSupport
import BurstWire
import Glibc
import Synchronization

/// A server on a real Unix socket that speaks burstd's protocol and says what the test wants.
final class EngineServer: Sendable {
    private struct State {
        var listener: UnixListener?
        var asked: [Question.Ask] = []
        /// What a new subscriber gets pushed.
        var pushes: [(Push, [UInt8])] = []
        var greets = true
        var pings = true
        var refusal: String?
    }

    let folder: TemporaryFolder
    let path: String
    private let state = Mutex(State())
    private let answer: @Sendable (Question) -> (Answer, [UInt8])?

    /// - Parameter answer: to questions other than subscribe and ping; nil: the usual one.
    init(_ answer: @escaping @Sendable (Question) -> (Answer, [UInt8])? = { _ in nil }) throws {
        folder = try TemporaryFolder("burst-engine")
        path = folder("s")
        self.answer = answer
        state.withLock { $0.pushes = Self.usual }
        try listen()
    }

    deinit { stop() }

    var asked: [Question.Ask] { state.withLock { $0.asked } }
    func count(_ fits: (Question.Ask) -> Bool) -> Int { asked.count(where: fits) }
    var subscriptions: [Subscription] {
        asked.compactMap { if case .subscribe(let subscription) = $0 { subscription } else { nil } }
    }

    func setPushes(_ pushes: [(Push, [UInt8])]) { state.withLock { $0.pushes = pushes } }
    /// Whether it says hello, and answers pings.
    func set(greets: Bool = true, pings: Bool = true, refusal: String? = nil) {
        state.withLock { ($0.greets, $0.pings, $0.refusal) = (greets, pings, refusal) }
    }

    func push(_ push: Push, _ body: [UInt8]) { sendAll(try? Frame.encode(Answer.push(push), body: body)) }
    func sendAll(_ bytes: [UInt8]?) {
        for client in state.withLock({ $0.listener })?.clients ?? [] { Self.send(client, bytes) }
    }

    func listen() throws {
        let listener = try UnixListener(path) { [weak self] in self?.talk($0) }
        state.withLock { $0.listener = listener }
    }

    /// Ends all connections, and takes no more.
    func stop() {
        let listener = state.withLock { state in
            defer { state.listener = nil }
            return state.listener
        }
        listener?.stop()
    }

    private func talk(_ client: Int32) {
        var decoder = FrameDecoder()
        var greeted = false
        var buffer = [UInt8](repeating: 0, count: 4096)
        while case let count = recv(client, &buffer, buffer.count, 0), count > 0 {
            decoder.feed(buffer[..<count])
            while let frame = try? decoder.next() {
                if !greeted {
                    let (greets, refusal) = state.withLock { ($0.greets, $0.refusal) }
                    guard greets else { return }
                    greeted = true
                    Self.send(
                        client, try? Frame.encode(Hello(program: "burstd test", cluster: "alps", refused: refusal)))
                    continue
                }
                guard let question = try? frame.read(Question.self) else { return }
                let (pings, pushes) = state.withLock { state in
                    state.asked.append(question.ask)
                    return (state.pings, state.pushes)
                }
                respond(question, client, pings, pushes)
            }
        }
    }

    private func respond(_ question: Question, _ client: Int32, _ pings: Bool, _ pushes: [(Push, [UInt8])]) {
        func send(_ answer: Answer, _ body: [UInt8] = []) {
            Self.send(client, try? Frame.encode(answer, body: body))
        }
        switch question.ask {
        case .subscribe:
            // A push may come before the answer.
            for (index, (push, body)) in pushes.enumerated() {
                if index == 1 { send(.ok(question.id)) }
                send(.push(push), body)
            }
            if pushes.count < 2 { send(.ok(question.id)) }
        case .ping: if pings { send(.ok(question.id)) }
        default:
            if let (answer, body) = answer(question) {
                send(answer, body)
            } else {
                switch question.ask {
                case .show(.config):
                    send(.body(question.id), Array("ClusterName = alps\nSLURM_VERSION = 26.05.0\n".utf8))
                case .show(.reservations):
                    send(.body(question.id), Array("No reservations in the system\n".utf8))
                case .trace: send(.body(question.id), Self.call(1, ended: true) + [UInt8(ascii: "\n")])
                default: send(.refused(question.id, code: 2017, text: "Invalid job id specified", notes: []))
                }
            }
        }
    }

    private static func send(_ client: Int32, _ bytes: [UInt8]?) {
        if let bytes { UnixListener.send(client, bytes) }
    }

    // MARK: What it usually says

    static let since: Int64 = 1_790_000_000_000 - 754_321

    static func burst(_ state: String = "allocated") -> [UInt8] {
        Array(
            """
            Name=lua DefaultPool=(null) Granularity=1 TotalSpace=0 FreeSpace=0 UsedSpace=0
              PoolName[0]=nvme Granularity=1GiB TotalSpace=8TiB FreeSpace=8TiB UsedSpace=1GiB
              Flags=DisablePersistent
              StageInTimeout=60000 StageOutTimeout=60000 ValidateTimeout=5 OtherTimeout=40
              Allocated Buffers:
                JobID=7 CreateTime=2026-09-21T14:00:00 Pool=nvme Size=1GiB State=\(state) UserID=alice(1001)

            """.utf8)
    }

    static func queue(_ state: String = "staging-in") -> [UInt8] {
        let fields = [
            "7", "7", "N/A", "alice", "1001", "", "work", "", "climate", "PENDING", "None", "1",
            "#BB_LUA pool=nvme capacity=1GiB", state, "2026-09-21T14:00:00", "N/A", "N/A", "", "",
        ]
        return Array((fields.joined(separator: "\u{1f}") + "\u{1e}\n").utf8)
    }

    static func extras(since: Int64? = EngineServer.since, progress: Bool = true) -> [UInt8] {
        let age = since.map { #","buffer_state_since":\#($0)"# } ?? ""
        let done =
            progress
            ? #","progress":{"job":7,"state":"staging-in","files_done":3,"files_total":12,"bytes_done":1024,"bytes_total":4096}"#
            : ""
        return Array(
            #"{"jobs":[{"job":7,"function":"slurm_bb_data_in","function_since":\#(EngineServer.since)\#(age)\#(done)}]}"#
                .utf8)
    }

    static func call(_ number: Int, ended: Bool) -> [UInt8] {
        let end = ended ? #","outcome":"failure","status":-1,"message":"no space","duration_microseconds":2500"# : ""
        return Array(
            (#"{"call":\#(number),"function":"slurm_bb_setup","job_id":7,"arguments":["7","1001"],"#
                + #""at":"2026-09-21T14:00:00.250Z"\#(end)}"#)
                .utf8)
    }

    static let usual: [(Push, [UInt8])] = [
        (.burst(at: 1), burst()), (.queue(at: 1), queue()), (.extras(at: 1), extras()),
    ]
}
