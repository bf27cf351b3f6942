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
    private let listener: Int32
    private let script: Script
    private let asked = Mutex<[(ask: Question.Ask, body: [UInt8])]>([])

    init(_ script: @escaping Script) throws {
        folder = try TemporaryFolder("burst-cli")
        path = folder("s")
        self.script = script
        listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        let status = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard status == 0, listen(listener, 8) == 0 else { throw HarnessError("cannot listen on \(path)") }
        var thread = pthread_t()
        pthread_create(
            &thread, nil,
            { pointer in
                Unmanaged<FakeServer>.fromOpaque(pointer!).takeRetainedValue().serve()
                return nil
            }, Unmanaged.passRetained(self).toOpaque())
        pthread_detach(thread)
    }

    var questions: [Question.Ask] { asked.withLock { $0.map(\.ask) } }
    var bodies: [[UInt8]] { asked.withLock { $0.map(\.body) } }

    /// Wakes the thread, which then ends.
    func stop() { shutdown(listener, Int32(SHUT_RDWR)) }

    private func serve() {
        while case let client = accept(listener, nil, nil), client >= 0 {
            talk(client)
            close(client)
        }
        close(listener)
    }

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
        guard let bytes else { return }
        _ = Glibc.send(client, bytes, bytes.count, Int32(MSG_NOSIGNAL))
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
