import BurstModel
import BurstScreen
import BurstSources
import BurstTestSupport
import Glibc

extension FuzzTarget {
    /// Rows that a filter may meet: each kind of value in every place, and none.
    private static let values: [FilterValue] = [
        .none, .text(""), .text("alice"), .text("é\u{301}*"), .amount(0), .amount(UInt64.max), .seconds(-1),
        .seconds(86_400), .number(-1), .number(Int64.max),
    ]

    /// An expression is read or refused in one line; its negation chooses the other rows.
    static let filter = FuzzTarget(
        name: "filter",
        seeds: {
            let texts = [
                "pool=wlm* state!=running,staged-in size>1.5T age>=2h30m \"two words\" or not alice",
                "user~car and !(size<=40GiB or id=169502_7)", "state=\"\"", "((((", "not not not x", "a=b,c,*d?",
            ]
            return texts.map { Array($0.utf8) }
        },
        check: { input in
            let text = String(decoding: input, as: UTF8.self)
            let fields = Table.fields(.buffers)
            do throws(FilterError) {
                let filter = try Filter(text, fields: fields)
                let opposite = filter.isEmpty ? nil : try? Filter("not (\(text))", fields: fields)
                for start in values.indices {
                    let matches = filter.matches { values[(start + $0) % values.count] }
                    if let opposite, matches == opposite.matches({ values[(start + $0) % values.count] }) {
                        broken("a row passes either a filter or its negation")
                    }
                }
            } catch {
                if error.description.contains(where: \.isNewline) { broken("a refusal is one line") }
                if error.position < 1 { broken("columns are counted from 1") }
            }
            _ = Filter.completions(for: text, fields: fields) { _ in ["alice", "two words"] }
        })

    /// A recording is read as far as it is one, or refused in one line.
    static let recording = FuzzTarget(
        name: "recording",
        seeds: {
            let whole = Fixtures.bytes(of: Fixtures.path("recordings/busy-22.05.jsonl"))
            let lines = whole.split(separator: 10).filter { $0.count < 2500 }
            let head = lines.prefix(1).flatMap { $0 + [10] }
            let delta = [
                #"{"at":"2026-11-23T23:01:32.080Z","monotonic":1.5,"argv":["a"],"duration":0.1,"exit":0,"out":"x\ny\n"}"#,
                #"{"at":"2026-11-23T23:01:33.080Z","monotonic":2.5,"argv":["a"],"duration":0.1,"delta":[1,-1,"z\n"]}"#,
                #"{"at":"2026-11-23T23:01:34.080Z","monotonic":3,"argv":["a"],"timeout":true,"err_base64":"AP8="}"#,
            ]
            return [head + Array(delta.joined(separator: "\n").utf8) + [10]]
                + lines.dropFirst().prefix(40).map { head + Array($0) + [10] }
        },
        check: { input in
            let folder = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
            let path = "\(folder)/burst-fuzz-\(getpid())"
            guard let file = fopen(path, "wb") else { fatalError("cannot write \(path)") }
            fwrite(input, 1, input.count, file)
            fclose(file)
            defer { unlink(path) }
            do throws(RecordingFault) {
                var reader = try RecordingReader(path: path)
                if reader.faults.count > RecordingReader.faultsMax { broken("faults are bounded") }
                if reader.bytesRead > Int64(input.count) { broken("no more is read than there is") }
                // A text that cannot be put together is refused by itself.
                for index in reader.entries.indices.prefix(100) { _ = try? reader.run(index) }
            } catch {
                if error.description.contains(where: \.isNewline) { broken("a refusal is one line") }
            }
        })
}
