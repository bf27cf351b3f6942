import BurstTestSupport
import BurstWire
import Synchronization
import Testing

@testable import BurstCommands

/// `burst retry`, `throttle` and `access` against a server on a real socket.
@Suite(.timeLimit(.minutes(15))) struct StageOrderVerbTests {
    /// What was asked.
    private final class Heard: Sendable {
        let orders = Mutex<[StageOrder]>([])
        var all: [StageOrder] { orders.withLock { $0 } }
    }

    private static func server(_ heard: Heard, status: Int32 = 0, text: String = "") throws -> FakeServer {
        try FakeServer { question, _ in
            guard case .stageOrder(let order) = question.ask else {
                return [(.refused(question.id, code: 1, text: "no", notes: []), [])]
            }
            heard.orders.withLock { $0.append(order) }
            return [(.staged(question.id, status: status, lines: []), Array(text.utf8))]
        }
    }

    @Test(arguments: [
        (["retry", "7"], StageOrder.retry(token: "7")),
        (
            ["throttle", "7", "--bytes", "100MiB"],
            .throttle(token: "7", bytesPerSecond: 100 << 20, filesPerSecond: nil)
        ),
        (
            ["throttle", "7", "--bytes", "0", "--files", "5"],
            .throttle(token: "7", bytesPerSecond: 0, filesPerSecond: 5)
        ),
        (["throttle", "alpha"], .throttle(token: "alpha", bytesPerSecond: nil, filesPerSecond: nil)),
        (
            ["access", "alpha", "--user", "bob", "--user", "7", "--group", "climate"],
            .access(name: "alpha", everyone: false, users: ["bob", "7"], groups: ["climate"])
        ),
        (["access", "alpha", "--everyone"], .access(name: "alpha", everyone: true, users: [], groups: [])),
    ])
    func whatIsTypedIsAsked(words: [String], order: StageOrder) throws {
        let heard = Heard()
        let server = try Self.server(heard)
        defer { server.stop() }
        let ran = Ran.run(["burst"] + words, on: server.path)
        #expect(ran.status == 0 && ran.out.isEmpty && ran.error.isEmpty)
        #expect(heard.all == [order])
    }

    @Test func aRefusalIsOneLineAndAStatus() throws {
        let server = try Self.server(Heard(), status: 1, text: "token not found\n")
        defer { server.stop() }
        let ran = Ran.run(["burst", "retry", "9"], on: server.path)
        #expect(ran.status == 1 && ran.out.isEmpty)
        #expect(ran.error == "burst: token not found\n")
    }

    @Test func aRateThatIsNoneIsRefusedBeforeAnybodyIsAsked() throws {
        let heard = Heard()
        let server = try Self.server(heard)
        defer { server.stop() }
        let ran = Ran.run(["burst", "throttle", "7", "--bytes", "fast"], on: server.path)
        #expect(ran.status != 0 && ran.error.contains("--bytes fast: write a number and a unit"))
        #expect(heard.all == [])
    }
}
