import BurstStaging
import BurstTestSupport
import Testing

/// Orders, list files and names: text that others wrote (staging.md §5, C3, X5).
@Suite struct OrderTests {
    private func order(_ lines: String...) throws -> StageOrder? {
        var parser = StageOrderParser()
        var order: StageOrder?
        for line in lines { order = try parser.take(line.utf8) }
        return order
    }

    private static let first = [
        "token job.7_x-1", "generation 18446744073709551615", "phase stage-out", "buffer-fd 3", "journal-fd 4",
    ]

    @Test func anOrderSaysAllThereIs() throws {
        var parser = StageOrderParser()
        for line in Self.first + [
            "report /r/a%20b", "stage stage", "verify readback", "durability file", "threads 12", "on-error stop",
            "bytes-per-second 0", "files-per-second -", "retries 2", "retry-first-ms 5", "retry-last-ms 6",
            "capacity 100", "inodes 7", "large-bytes 8192", "part-bytes 4096", "batch-files 9",
            "transfer directory buffer: pfs:/a%FFb/%25", "transfer file buffer:x/./y//z pfs:/q",
            "transfer list pfs:/list buffer:base/",
        ] { #expect(try parser.take(line.utf8) == nil) }
        let order = try #require(try parser.take("end".utf8))
        #expect(order.token == "job.7_x-1")
        #expect(order.generation == .max)
        #expect(order.phase == .stageOut)
        #expect(order.buffer == .descriptor(3))
        #expect(order.journal == .descriptor(4))
        #expect(order.report == .path(Array("/r/a b".utf8)))
        #expect(order.verify == .readback)
        #expect(order.durability == .file)
        #expect(order.threads == 12)
        #expect(order.onError == .stop)
        #expect(order.rate == StageOrder.Rate(bytesPerSecond: 0, filesPerSecond: nil))
        #expect(order.retry.tries == 2)
        #expect(order.retry.firstMilliseconds == 5)
        #expect(order.retry.lastMilliseconds == 6)
        #expect(order.capacityBytes == 100)
        #expect(order.capacityInodes == 7)
        #expect(order.largeBytes == 8192)
        #expect(order.partBytes == 4096)
        #expect(order.batchFiles == 9)
        #expect(
            order.transfers == [
                .init(
                    kind: .directory, source: .buffer([]),
                    destination: .parallel(Array("/a".utf8) + [0xff] + Array("b/%".utf8))),
                .init(kind: .file, source: .buffer(Array("x/y/z".utf8)), destination: .parallel(Array("/q".utf8))),
                .init(
                    kind: .list, source: .parallel(Array("/list".utf8)), destination: .buffer(Array("base".utf8))),
            ])
    }

    @Test func whatIsNotSaidIsUsual() throws {
        var parser = StageOrderParser()
        for line in Self.first + ["transfer directory buffer:a pfs:/b"] { _ = try parser.take(line.utf8) }
        let order = try #require(try parser.take("end".utf8))
        #expect(order.verify == .size)
        #expect(order.durability == .batch)
        #expect(order.onError == .continue)
        #expect(order.rate == StageOrder.Rate())
        #expect(order.retry.tries == 5)
        #expect(order.retry.firstMilliseconds == 1000)
        #expect(order.retry.lastMilliseconds == 60_000)
        #expect(order.largeBytes == 256 << 20)
        #expect(order.partBytes == 64 << 20)
        #expect(order.batchFiles == 1000)
    }

    @Test func controlLines() {
        #expect(StageControl("cancel".utf8) == .cancel)
        #expect(StageControl("throttle 0 -".utf8) == .throttle(.init(bytesPerSecond: 0)))
        #expect(StageControl("throttle - 5".utf8) == .throttle(.init(filesPerSecond: 5)))
        for line in ["", "throttle", "throttle 1", "throttle -1 2", "throttle 1 2 3", "cancel now", "stop"] {
            #expect(StageControl(line.utf8) == nil)
        }
    }

    @Test func anyBytesAsAnOrderAreRefusedOrTaken() {
        var generator = SystemRandomNumberGenerator()
        let words = ["token ", "transfer ", "buffer:", "pfs:/", "%", "end", " ", "-fd 3", "\u{0}", "'", "file ", ".."]
        var refused = 0
        for _ in 0..<3000 {
            var line: [UInt8] = []
            for _ in 0..<Int.random(in: 0...8, using: &generator) {
                if Bool.random(using: &generator) {
                    line += Array(words.randomElement(using: &generator)!.utf8)
                } else {
                    line.append(UInt8.random(in: 0...255, using: &generator))
                }
            }
            var parser = StageOrderParser()
            do {
                _ = try parser.take(line)
            } catch {
                refused += 1
                #expect(error.description.hasPrefix("order"))
                #expect(!error.description.contains("\n"))
            }
        }
        #expect(refused > 1000)
    }

    // MARK: Lists

    private func pairs(_ bytes: [UInt8], cut: Int? = nil) -> [Result<ListFile.Pair, ListFile.Fault>] {
        var list = ListFile(head: bytes.prefix(ListFile.headBytesMax))
        var found: [Result<ListFile.Pair, ListFile.Fault>] = []
        list.feed(bytes.prefix(cut ?? bytes.count)) { found.append($0) }
        list.feed(bytes.dropFirst(cut ?? bytes.count)) { found.append($0) }
        list.finish { found.append($0) }
        return found
    }

    private func pair(_ source: String, _ destination: String, _ number: Int) -> Result<ListFile.Pair, ListFile.Fault> {
        .success(.init(source: Array(source.utf8), destination: Array(destination.utf8), number: number))
    }

    @Test func linesArePlainOrQuoted() {
        let text = #"""
            # two plain ones
            /a b
              /with\ blank	"in the buffer"

            "/a \"b\" \\ \n \x41" c"d e"f
            /pa'th $DW_JOB_STRIPED/x
            /last one
            """#
        let expected = [
            pair("/a", "b", 2), pair("/with blank", "in the buffer", 3), pair("/a \"b\" \\ \n A", "cd ef", 5),
            pair("/pa'th", "$DW_JOB_STRIPED/x", 6), pair("/last", "one", 7),
        ]
        for cut in 0...text.utf8.count { #expect(pairs(Array(text.utf8), cut: cut) == expected, "cut at \(cut)") }
        #expect(pairs(Array((text + "\r\n").utf8)) == expected)
    }

    @Test func zeroSeparatedNamesAreAsTheyAre() {
        let bytes: [UInt8] = Array("/a b\"".utf8) + [0, 10, 255, 0] + Array("/c\0d\0".utf8)
        for cut in 0...bytes.count {
            let found = pairs(bytes, cut: cut)
            #expect(
                found == [
                    .success(.init(source: Array("/a b\"".utf8), destination: [10, 255], number: 1)),
                    pair("/c", "d", 2),
                ])
        }
    }

    @Test(arguments: [
        "/only-one", "/a b c", "\"/a b", "/a b\\", "\"\" b", "/a \\x0", "/a \\x00", "/a\0b\0/c\0", "/a\0\0",
    ])
    func badEntriesAreSaidWithTheirNumber(text: String) throws {
        let found = pairs(Array((text.contains("\0") ? "/ok\0ok\0" : "/ok ok\n").utf8) + Array(text.utf8))
        #expect(found.first == .success(.init(source: Array("/ok".utf8), destination: Array("ok".utf8), number: 1)))
        let faults = found.compactMap { if case .failure(let fault) = $0 { fault } else { nil } }
        #expect(faults.count == 1)
        #expect(try #require(faults.first).number >= 2)
    }

    @Test func aLongLineIsRefusedAndTheNextIsRead() {
        let long = [UInt8](repeating: 97, count: 100_000)
        let found = pairs(long + [10] + Array("/a b\n".utf8))
        #expect(found.count == 2)
        #expect(found.last == pair("/a", "b", 2))
    }

    // MARK: Names

    @Test func namesAreShownWithoutHarm() {
        let name = Array("a'\\\n\té".utf8) + [0xff, 0x7f] + Array("漢".utf8) + [0xe6]
        #expect(FileName.shown(name) == "a\\x27\\\\\\x0a\\x09é\\xff\\x7f漢\\xe6")
        for byte in UInt8.min...UInt8.max {
            let shown = FileName.shown([byte])
            #expect(!shown.contains("'"))
            #expect(shown.utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7f })
            #expect(FileName.percentDecoded(Array(FileName.percentEncoded([byte]).utf8)) == [byte])
        }
    }

    @Test func namesThatLeadOutAreNone() {
        for name in ["", ".", "..", "a/b", String(repeating: "x", count: 256)] {
            #expect(!FileName.isUsable(Array(name.utf8)))
        }
        #expect(!FileName.isUsable([97, 0]))
        for name in ["...", "..a", " ", String(repeating: "x", count: 255)] {
            #expect(FileName.isUsable(Array(name.utf8)))
        }
    }
}
