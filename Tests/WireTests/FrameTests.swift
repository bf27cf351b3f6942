import BurstWire
import Testing

/// Frames are the same however the stream is cut, and what is no frame is refused in one line.
@Suite struct FrameTests {
    private static let frames: [Frame] = [
        Frame(header: Array("{}".utf8)), Frame(header: Array(#"{"a":1}"#.utf8), body: [0, 255, 10]),
        Frame(header: [], body: []), Frame(header: [1], body: Array(repeating: 7, count: 300)),
    ]
    private static let stream = frames.flatMap { (try? $0.encoded()) ?? [] }

    private func decode(_ pieces: [ArraySlice<UInt8>]) throws -> [Frame] {
        var decoder = FrameDecoder()
        var found: [Frame] = []
        for piece in pieces {
            decoder.feed(piece)
            while let frame = try decoder.next() { found.append(frame) }
        }
        #expect(decoder.waiting == 0)
        return found
    }

    @Test func framesAreTheSameHoweverTheStreamIsCut() throws {
        let stream = Self.stream
        for cut in 0...stream.count {
            #expect(try decode([stream[..<cut], stream[cut...]]) == Self.frames)
        }
        #expect(try decode(stream.indices.map { stream[$0...$0] }) == Self.frames)
    }

    @Test func anUnfinishedFrameIsNone() throws {
        let bytes = try Self.frames[1].encoded()
        for end in 0..<bytes.count {
            var decoder = FrameDecoder()
            decoder.feed(bytes[..<end])
            #expect(try decoder.next() == nil)
            #expect(decoder.waiting == end)
        }
    }

    @Test(arguments: [
        ([0, 0, 0, 3] as [UInt8], "a frame of 3 bytes has no room for the length of its header, which takes 4"),
        ([0xff, 0xff, 0xff, 0xff], "a frame of 4294967291 bytes is too long; at most 67108864 are taken"),
        ([0, 0, 0, 8, 0, 0, 0, 5], "a header of 5 bytes in a frame of 4 is too long; at most 8388608 are taken"),
        (
            [0, 0x90, 0, 4, 0, 0x80, 0, 1],
            "a header of 8388609 bytes in a frame of 9437184 is too long; at most 8388608 are taken"
        ),
        (Array("GET / HTTP/1.1\r\n".utf8), "a frame of 1195725852 bytes is too long; at most 67108864 are taken"),
    ])
    func whatIsNoFrameIsRefusedInOneLine(bytes: [UInt8], text: String) {
        var decoder = FrameDecoder()
        decoder.feed(bytes)
        for _ in 0..<2 {
            #expect(throws: FrameError(text)) { try decoder.next() }
            // Nothing that comes later is read as a frame.
            decoder.feed(Self.stream)
        }
    }

    @Test func aReaderMayTakeLess() {
        var decoder = FrameDecoder(frameBytesMax: 10)
        decoder.feed([0, 0, 0, 15])
        #expect(throws: FrameError("a frame of 11 bytes is too long; at most 10 are taken")) { try decoder.next() }
    }

    @Test func tooMuchIsNotSentEither() {
        #expect(throws: FrameError.self) {
            try Frame(header: [], body: Array(repeating: 0, count: Wire.frameBytesMax + 1)).encoded()
        }
        #expect(throws: FrameError.self) {
            try Frame(header: Array(repeating: 0, count: Wire.headerBytesMax + 1)).encoded()
        }
    }

    @Test(arguments: [
        ("", "a header is not what is expected here: "), ("[]", "a header is not what is expected here: "),
        ("{\"id\":1}", "a header is not what is expected here: ask is missing"),
        ("{\"id\":-1,\"ask\":{\"ping\":{}}}", "a header is not what is expected here: "),
        ("{\"id\":1,\"ask\":{\"dance\":{}}}", "a header is not what is expected here: ask"),
    ])
    func aWrongHeaderIsRefusedInOneLine(header: String, text: String) throws {
        let error = try #require(throws: FrameError.self) {
            try Frame(header: Array(header.utf8)).read(Question.self)
        }
        #expect(error.description.hasPrefix(text))
        #expect(!error.description.contains { $0.isNewline })
    }

    @Test func depthIsBounded() throws {
        let header = "{\"id\":1,\"ask\":" + String(repeating: "[", count: 100_000)
        #expect(throws: FrameError.self) { try Frame(header: Array(header.utf8)).read(Question.self) }
    }

    @Test func messagesComeBackAsTheyWere() throws {
        var submission = Submission(name: "é\u{0}\n", workDir: "/")
        submission.environment = ["A=\u{1b}[0m", ""]
        var queue = Show.Queue()
        queue.format = "%i %T"
        let asks: [Question.Ask] = [
            .submit(submission), .command(Command(.cancel, jobs: ["7_[1-3]"])),
            .reserve(Reserve(verb: "create", fields: ["a": "b"])), .show(.queue(queue)),
            .show(.burst(oneLine: true, verbose: false)), .show(.config), .list(.calls),
            .wait(job: 7, untilStagedOut: true), .trace(job: nil, follow: true, last: 10), .subscribe(Subscription()),
            .ping, .reconfigure, .shutdown, .check(repair: false),
        ]
        for (number, ask) in asks.enumerated() {
            let question = Question(id: UInt64(number), ask: ask)
            var decoder = FrameDecoder()
            decoder.feed(try Frame.encode(question, body: [1, 2]))
            let frame = try #require(try decoder.next())
            #expect(try frame.read(Question.self) == question)
            #expect(frame.body == [1, 2])
        }
        let answers: [Answer] = [
            .body(1), .submitted(2, job: 3, notes: ["n"]), .refused(4, code: 2094, text: "t", notes: []),
            .done(5, [Outcome(job: 1, shown: "1", code: 0, text: "")]), .ok(6), .push(.burst(at: 1)),
            .ended(7, status: 256, jobState: "FAILED", bufferState: nil), .progress(8, Progress(job: 1, state: "s")),
        ]
        for answer in answers {
            var decoder = FrameDecoder()
            decoder.feed(try Frame.encode(answer))
            #expect(try decoder.next()?.read(Answer.self) == answer)
        }
    }
}
