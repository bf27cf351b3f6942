import BurstTestSupport
import BurstWire
import Glibc
import Synchronization

@testable import BurstCommands

/// Listens on a socket of its own and answers by a script: real frames over a real socket, no engine.
final class FakeServer: Sendable {
    typealias Script = @Sendable (Question, [UInt8]) -> [(Answer, [UInt8])]

    let folder: TemporaryFolder
    let path: String
    private let listener = Mutex<UnixListener?>(nil)
    private let script: Script
    private let asked = Mutex<[(ask: Question.Ask, body: [UInt8])]>([])

    init(_ script: @escaping Script) throws {
        folder = try TemporaryFolder("burst-cli")
        path = folder("s")
        self.script = script
        let listener = try UnixListener(path) { [weak self] in self?.talk($0) }
        self.listener.withLock { $0 = listener }
    }

    var questions: [Question.Ask] { asked.withLock { $0.map(\.ask) } }
    var bodies: [[UInt8]] { asked.withLock { $0.map(\.body) } }

    func stop() { listener.withLock { $0?.stop() } }

    private func talk(_ client: Int32) {
        var decoder = FrameDecoder()
        var greeted = false
        var buffer = [UInt8](repeating: 0, count: 4096)
        while case let count = recv(client, &buffer, buffer.count, 0), count > 0 {
            decoder.feed(buffer[..<count])
            while let frame = try? decoder.next() {
                if !greeted {
                    greeted = true
                    send(client, try? Frame.encode(Hello(program: "burstd 0.1", cluster: "test")))
                    continue
                }
                guard let question = try? frame.read(Question.self) else { return }
                asked.withLock { $0.append((question.ask, frame.body)) }
                for (answer, body) in script(question, frame.body) {
                    send(client, try? Frame.encode(answer, body: body))
                }
            }
        }
    }

    private func send(_ client: Int32, _ bytes: [UInt8]?) {
        if let bytes { UnixListener.send(client, bytes) }
    }
}

/// What a program printed.
struct Ran: Sendable {
    var out: String
    var error: String
    var status: Int32

    /// Runs a program in this process, against a server or against nobody.
    static func run(
        _ words: [String], on path: String, environment: [String: String] = [:], folder: String = "/",
        progressWidth: Int? = nil, outWidth: Int? = nil
    ) -> Ran {
        let printed = Mutex<(out: [UInt8], error: [UInt8])>(([], []))
        let box = Printed(printed)
        let console = Console(
            out: { more in box.value.withLock { $0.out += more } },
            error: { more in box.value.withLock { $0.error += more } }, progressWidth: progressWidth,
            outWidth: outWidth)
        let invocation = Invocation(
            name: words[0], arguments: Array(words.dropFirst()),
            environment: environment.merging(["BURST_SOCKET": path]) { $1 }, workDir: folder, console: console)
        let status = BurstProgram.run(invocation)
        return box.value.withLock { kept in
            Ran(
                out: String(decoding: kept.out, as: UTF8.self), error: String(decoding: kept.error, as: UTF8.self),
                status: status)
        }
    }

    private final class Printed: Sendable {
        let value: Mutex<(out: [UInt8], error: [UInt8])>
        init(_ value: consuming Mutex<(out: [UInt8], error: [UInt8])>) { self.value = value }
    }
}
