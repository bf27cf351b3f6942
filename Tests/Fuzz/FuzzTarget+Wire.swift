import BurstWire

extension FuzzTarget {
    /// Any bytes are frames or one clear refusal, the same ones however the stream is cut; what was read is written the
    /// same.
    static let frames = FuzzTarget(
        name: "frames",
        seeds: {
            var submission = Submission(name: "a", workDir: "/")
            submission.environment = ["A=1"]
            let asks: [Question.Ask] = [
                .ping, .submit(submission), .command(Command(.cancel, jobs: ["7_[1-3]"])),
                .show(.burst(oneLine: false, verbose: true)), .list(.jobs), .subscribe(Subscription()),
                .wait(job: 1, untilStagedOut: false),
            ]
            let questions = asks.compactMap { try? Frame.encode(Question(id: 1, ask: $0), body: [0, 1]) }
            let hello = (try? Frame.encode(Hello(program: "burst"))) ?? []
            return questions.map { hello + $0 } + [questions.flatMap { $0 }, [0, 0, 0, 4, 0, 0, 0, 0]]
        },
        check: { input in
            let whole = frames(of: [input[...]])
            let cut = input.count / 2
            if frames(of: [input[..<cut], input[cut...]]) != whole { broken("frames do not depend on how bytes come") }
            for frame in whole.frames {
                guard let bytes = try? frame.encoded() else { broken("what was read can be written") }
                if frames(of: [bytes[...]]).frames != [frame] { broken("what was written is read the same") }
                do throws(FrameError) {
                    let question: Question = try frame.read()
                    guard let again = try? Frame.encode(question) else { broken("a question can be written") }
                    guard let back = frames(of: [again[...]]).frames.first, (try? back.read(Question.self)) == question
                    else { broken("a question comes back as it was") }
                } catch {
                    if error.description.contains(where: \.isNewline) { broken("a refusal is one line") }
                }
            }
        })

    private static func frames(of pieces: [ArraySlice<UInt8>]) -> (frames: [Frame], error: String?) {
        var decoder = FrameDecoder(frameBytesMax: 1 << 20)
        var found: [Frame] = []
        do throws(FrameError) {
            for piece in pieces {
                decoder.feed(piece)
                while let frame = try decoder.next() { found.append(frame) }
            }
        } catch {
            return (found, error.description)
        }
        return (found, nil)
    }
}
