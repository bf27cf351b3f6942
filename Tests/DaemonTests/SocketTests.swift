import BurstClient
import BurstEngine
import BurstTestSupport
import BurstWire
import Glibc
import Testing

@testable import BurstDaemon

/// Whatever a client does, it is told in one line, and others are served.
@Suite(.onWorkers) struct SocketTests {
    private func refusal(_ frames: [Frame]) throws -> String? {
        let last = try #require(frames.last)
        if let hello = try? last.read(Hello.self) { return hello.refused }
        if case .refused(0, _, let text, _) = try last.read(Answer.self) { return text }
        return nil
    }

    @Test func aPingIsAnswered() async throws {
        let rig = try Rig()
        try await rig.run { () async throws in
            let connection = try rig.connect()
            #expect(connection.server == Hello(program: "burstd test", cluster: "burst"))
            #expect(try connection.ask(.ping).0 == .ok(1))
            #expect(try connection.ask(.ping).0 == .ok(2))
        }
    }

    @Test func anotherVersionIsRefusedInOneLine() async throws {
        let rig = try Rig()
        try await rig.run { () async throws in
            let client = try rig.raw()
            var hello = Hello(program: "burst 9.0")
            hello.burst = 9
            client.send(try Frame.encode(hello))
            #expect(
                try refusal(client.framesToTheEnd())
                    == "burst 9.0 speaks version 9 of the protocol, burstd test version 1: use programs of one release")
        }
    }

    @Test(arguments: [
        (Array("GET / HTTP/1.1\r\n\r\n".utf8), "a frame of 1195725852 bytes is too long; at most 65536 are taken"),
        ([0, 0, 0, 6, 0, 0, 0, 2] + Array("{}".utf8), "the first message is no hello: "),
        ([0, 0, 0, 2] as [UInt8], "a frame of 2 bytes has no room"),
        ([0, 0, 0, 9, 0, 0, 0, 9, 1, 2, 3, 4, 5], "a header of 9 bytes in a frame of 5 is too long"),
    ])
    func nonsenseAtTheStartIsRefusedInOneLine(bytes: [UInt8], text: String) async throws {
        let rig = try Rig()
        try await rig.run { () async throws in
            let other = try rig.connect()
            let client = try rig.raw()
            client.send(bytes)
            let said = try #require(try refusal(client.framesToTheEnd()))
            #expect(said.hasPrefix(text))
            #expect(!said.contains { $0.isNewline })
            #expect(try other.ask(.ping).0 == .ok(1))
        }
    }

    @Test func nonsenseLaterIsRefusedInOneLine() async throws {
        let rig = try Rig()
        try await rig.run { () async throws in
            for bytes: [UInt8] in [
                [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0], try Frame(header: Array("{\"id\":1}".utf8)).encoded(),
                try Frame(header: Array("nonsense".utf8)).encoded(),
                try Frame(header: Array(#"{"id":1,"ask":{"dance":{}}}"#.utf8)).encoded(),
            ] {
                let client = try rig.raw()
                try client.sayHello()
                client.send(bytes)
                let said = try #require(try refusal(client.framesToTheEnd()))
                #expect(!said.contains { $0.isNewline })
            }
            #expect(try rig.connect().ask(.ping).0 == .ok(1))
            #expect(await eventually { rig.server.connectionCount <= 1 })
        }
    }

    @Test func halfOpenClientsCostNothingAndGoAway() async throws {
        let rig = try Rig()
        try await rig.run { () async throws in
            // Nothing, half a length, half a hello.
            let hello = try Frame.encode(Hello(program: "half"))
            let clients = try (0..<90).map { number in
                let client = try rig.raw()
                if number % 3 == 1 { client.send([0, 0]) }
                if number % 3 == 2 { client.send(Array(hello.dropLast(4))) }
                return client
            }
            let connection = try rig.connect()
            for number in 1...20 { #expect(try connection.ask(.ping).0 == .ok(UInt64(number))) }
            // They are ended after the time for a hello, with a line.
            for client in clients {
                #expect(try refusal(client.framesToTheEnd()) == "nothing was said within 10 seconds")
            }
            #expect(try connection.ask(.ping).0 == .ok(21))
            #expect(await eventually { rig.server.connectionCount == 1 })
        }
    }

    @Test func oneWhoDoesNotReadHoldsNobodyUp() async throws {
        let rig = try Rig(texts: ScriptedTexts(bytes: 1 << 20))
        try await rig.run { () async throws in
            let lazy = try rig.raw()
            try lazy.sayHello()
            for id in 1...200 {
                lazy.send(try Frame.encode(Question(id: UInt64(id), ask: .show(.config))))
            }
            let connection = try rig.connect()
            #expect(await eventually { rig.texts.shown.value >= Wire.questionsMax })
            for number in 1...20 { #expect(try connection.ask(.ping).0 == .ok(UInt64(number))) }
            // The questions beyond the limit stay where they are.
            #expect(rig.texts.shown.value <= Wire.questionsMax + 1)
            // Who reads again has all of them.
            connection.close()
            var decoder = FrameDecoder()
            var buffer = [UInt8](repeating: 0, count: 1 << 18)
            var answered = 0
            while answered < 201 {
                let count = recv(lazy.descriptor, &buffer, buffer.count, 0)
                try #require(count > 0)
                decoder.feed(buffer[..<count])
                while try decoder.next() != nil { answered += 1 }
            }
            #expect(rig.texts.shown.value == 200)
        }
    }

    @Test func oneWhoLetsTooMuchLieIsDropped() async throws {
        let rig = try Rig(texts: ScriptedTexts(bytes: 4 << 20))
        try await rig.run { () async throws in
            let lazy = try rig.raw()
            try lazy.sayHello()
            for id in 1...60 { lazy.send(try Frame.encode(Question(id: UInt64(id), ask: .show(.config)))) }
            #expect(await eventually { rig.server.connectionCount == 0 && rig.texts.shown.value > 10 })
            #expect(rig.log.all.contains { $0.hasSuffix("does not read its answers") })
            #expect(try rig.connect().ask(.ping).0 == .ok(1))
        }
    }

    @Test func aThousandClientsWaitAtOnce() async throws {
        let rig = try Rig()
        try await rig.run { () async throws in
            let job = try rig.submit(try rig.connect())
            #expect(await eventually { rig.steps.started.count == 1 })
            let clients = try (0..<1000).map { _ in
                let connection = try rig.connect()
                try connection.send(.wait(job: job, untilStagedOut: true))
                return connection
            }
            // All have been heard: a question behind each has its answer.
            for client in clients {
                let id = try client.send(.ping)
                #expect(try client.next(seconds: 60).question == id)
            }
            rig.steps.end(job, status: 3 << 8)
            for client in clients {
                #expect(
                    try client.next(seconds: 60).answer
                        == .ended(1, status: 3 << 8, jobState: "FAILED", bufferState: nil))
            }
        }
    }

    @Test func whatWaitsIsToldWhenTheDaemonEnds() async throws {
        let rig = try Rig()
        try await rig.start()
        let connection = try rig.connect()
        let job = try rig.submit(connection)
        try connection.send(.wait(job: job, untilStagedOut: false))
        let id = try connection.send(.ping)
        #expect(try connection.next(seconds: 30).question == id)
        await rig.stop()
        #expect(
            try connection.next(seconds: 30).answer
                == .refused(2, code: 0, text: "burstd ended; the job goes on", notes: []))
        #expect(access(rig.socket, F_OK) != 0)
    }

    @Test func aDeadSocketIsReplacedAndALiveOneIsNot() async throws {
        let rig = try Rig()
        rig.folder.makeFolder("s")
        // Bound by nobody any more.
        let old = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: rig.socket.utf8) }
        withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                _ = bind(old, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        close(old)
        #expect(access(rig.socket, F_OK) == 0)
        try await rig.run { () async throws in
            #expect(try rig.connect().ask(.ping).0 == .ok(1))
            let error = #expect(throws: StateFault.self) { try SocketFile.prepare(rig.socket) }
            #expect(
                error?.description
                    == "\(rig.socket): a burstd listens there already; stop it first (burst shutdown)")
            var status = stat()
            #expect(stat(rig.socket, &status) == 0 && status.st_mode & 0o777 == 0o666)
        }
        rig.folder.write("mine", to: "s/file")
        #expect(
            throws: StateFault(
                "\(rig.folder("s/file")): is no socket; name another place with --socket, or move it away")
        ) {
            try SocketFile.prepare(rig.folder("s/file"))
        }
    }

    /// Needs root, who can be somebody else.
    @Test(.enabled(if: geteuid() == 0 && access("/usr/bin/setpriv", X_OK) == 0, "needs root and setpriv"))
    func credentialsDecideWhoAsks() async throws {
        let rig = try Rig()
        try await rig.run { () async throws in
            func probe(_ verb: String, uid: UInt32?) throws -> String {
                let own = [Programs.path(of: "daemon-probe"), rig.socket, verb]
                let words = uid.map { ["/usr/bin/setpriv", "--reuid=\($0)", "--regid=\($0)", "--clear-groups"] } ?? []
                let program = try PipedProgram(words + own, environment: ["PATH": "/usr/bin:/bin"])
                return program.waitForEnd(seconds: 60).text
            }
            for verb in ["shutdown", "reconfigure", "check"] {
                #expect(try probe(verb, uid: 65534) == "refused 2010 Invalid user id\n")
            }
            #expect(rig.shutdowns.value == 0)
            #expect(try probe("submit", uid: 65534) == "submitted 1\n")
            #expect(await eventually { rig.steps.started.first?.job.uid == 65534 })
            #expect(try probe("shutdown", uid: nil) == "ok\n")
            #expect(await eventually { rig.shutdowns.value == 1 })
        }
    }
}
