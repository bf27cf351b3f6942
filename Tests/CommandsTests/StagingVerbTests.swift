import BurstModel
import BurstStager
import BurstTestSupport
import BurstWire
import Synchronization
import Testing

@testable import BurstCommands

/// `burst staging` against a server on a real socket.
@Suite(.timeLimit(.minutes(15))) struct StagingVerbTests {
    private static func document(_ change: (inout StagerDocument) -> Void = { _ in }) -> [UInt8] {
        var document = StagerDocument.busy(
            at: Timestamp(seconds: 1_800_000_000), tokens: ["7", "8", "9", "10", "alpha"],
            uids: [4_000_001, 4_000_002, 4_000_001, 4_000_002, 4_000_003])
        document.quarantine("6", failures: 2, error: "busy\u{1b}[31m", since: Timestamp(seconds: 1_800_000_000))
        change(&document)
        return document.json()
    }

    private static func server(_ documents: [[UInt8]]) throws -> FakeServer {
        let number = Asked()
        return try FakeServer { question, _ in
            guard case .list(.staging) = question.ask else {
                return [(.refused(question.id, code: 1, text: "no", notes: []), [])]
            }
            return [(.body(question.id), documents[min(number.next(), documents.count - 1)])]
        }
    }

    /// Counts questions.
    private final class Asked: Sendable {
        private let count = Mutex(0)
        func next() -> Int {
            count.withLock { count in
                count += 1
                return count - 1
            }
        }
    }

    @Test func theTableSaysWhatIsKnownAndNoMore() throws {
        let server = try Self.server([Self.document()])
        defer { server.stop() }
        let ran = Ran.run(["burst", "staging"], on: server.path, environment: ["LC_ALL": "C"])
        #expect(ran.status == 0 && ran.error.isEmpty)
        #expect(
            ran.out == """
                TOKEN  USER     PHASE             PROGRESS                            BYTES      FILES     RATE   ETA  ERR
                7      4000001  staging-in        [##################..]  90%   2.55T/2.83T  3100/3400  4.35G/s    1m    0
                8      4000002  staging-out       [....................]    ?  1.00G/4.00G+   200/800+  25.6M/s  >=2m    0
                10     4000002  stage-out-failed  [##################..]  93%   1.01T/1.07T      45/48        -     -    3
                9      4000001  pre-run           -                         -             -          -        -     -    -
                alpha  4000003  running           -                         -             -          -        -     -    -
                10: /lus/r: Disk quota exceeded
                6: torn down, 2 removals failed: busy?[31m

                """)
    }

    @Test func oneSessionAsTableAndAsJSON() throws {
        let server = try Self.server([Self.document()])
        defer { server.stop() }
        let table = Ran.run(["burst", "staging", "8"], on: server.path, environment: ["LANG": "C.UTF-8"])
        #expect(table.out.split(separator: "\n").count == 2 && table.out.contains("░"))
        let ran = Ran.run(["burst", "staging", "8", "--json"], on: server.path)
        let json = try JSON(ran.out.utf8)
        #expect(json["sessions"].elements.map(\.["token"].text) == ["8"] && json["quarantine"].elements.isEmpty)
        let all = Ran.run(["burst", "staging", "--json"], on: server.path)
        #expect(Array(all.out.utf8) == Self.document())
    }

    @Test func whatIsWrongIsOneLine() throws {
        let server = try Self.server([Self.document()])
        defer { server.stop() }
        let unknown = Ran.run(["burst", "staging", "99"], on: server.path)
        #expect(unknown.status == 1 && unknown.error == "burst: the stager knows no session 99\n")
        let refusing = try FakeServer { question, _ in
            [(.refused(question.id, code: 1, text: "this burstd has no stager", notes: []), [])]
        }
        defer { refusing.stop() }
        let refused = Ran.run(["burst", "staging"], on: refusing.path)
        #expect(refused.status == 1 && refused.error == "burst: this burstd has no stager\n")
        let damaged = try Self.server([Array("{".utf8)])
        defer { damaged.stop() }
        let ran = Ran.run(["burst", "staging"], on: damaged.path)
        #expect(ran.status == 1 && ran.error == "burst: dwstat --json: byte 1: a member's name is missing\n")
    }

    @Test func followingEndsWithItsSession() throws {
        let gone = Self.document { $0.snapshot.sessions.removeFirst() }
        let server = try Self.server([Self.document(), gone])
        defer { server.stop() }
        let ran = Ran.run(["burst", "staging", "7", "--follow"], on: server.path)
        #expect(ran.status == 0 && ran.error.isEmpty)
        #expect(ran.out.split(separator: "\n").count == 2 && server.questions.count == 2)
        // On a terminal the table is drawn over the one before.
        let third = Self.document { $0.snapshot.sessions[0].phase = .stagedIn }
        let next = try Self.server([Self.document(), third, gone])
        defer { next.stop() }
        let drawn = Ran.run(["burst", "staging", "7", "--follow"], on: next.path, outWidth: 60)
        #expect(drawn.out.contains("\u{1b}[2A\r") && drawn.out.contains("staged-in"))
        for line in drawn.out.split(separator: "\n") {
            let shown = line.replacing("\u{1b}[K", with: "").replacing("\u{1b}[2A\r", with: "").replacing(
                "\u{1b}[J", with: "")
            #expect(shown.count < 60)
        }
    }

    @Test func anIdleStagerSaysSo() throws {
        let server = try Self.server([
            Self.document {
                $0.snapshot.sessions = []; $0.snapshot.quarantine = []
            }
        ])
        defer { server.stop() }
        #expect(Ran.run(["burst", "staging"], on: server.path).out == "the stager holds no session\n")
    }
}
