import Glibc
import Synchronization

/// The progress of several hosts as one: the sums of what their lines tell (staging.md §4.7, §4.8).
struct MergedProgress {
    private let order: StageOrder
    private let cut: PartFolder.Cut
    private var lines: ProgressLines
    private var parts: [Int: Part] = [:]
    /// What was said last of how fast all of them may be.
    var rate: StageOrder.Rate?
    /// Lines of parts so far.
    private(set) var heard = 0
    /// Why a part was refused last.
    private(set) var refusal: String?

    private struct Part {
        var numbers: [String: Int] = [:]
        var isPlanned = false
        var result: String?
    }

    private static let summed = [
        "files_total", "files_done", "links_total", "links_done", "bytes_total", "bytes_done", "bytes_moved",
        "bytes_skipped", "bytes_verified", "bytes_cloned", "errors", "retries", "degraded", "skipped",
    ]

    init(order: StageOrder, cut: PartFolder.Cut) {
        self.order = order
        self.cut = cut
        lines = ProgressLines(order: order, threads: cut.parts, restarts: 0)
        // What the order says is for all of them together.
        if order.rate != StageOrder.Rate() { rate = order.rate }
    }

    /// Hosts are started, once more perhaps: who came to an end says so again.
    mutating func begin() { for part in parts.keys { parts[part]?.result = nil } }

    /// All parts came to an end of some kind. One that failed at files did too: whoever finishes meets them again.
    var isOver: Bool { unfinished == 0 || fullPart != nil }

    var unfinished: Int { (0..<cut.parts).count { !["complete", "partial"].contains(parts[$0]?.result) } }

    var fullPart: Int? { parts.first { $0.value.result == "full" }?.key }

    /// A line of a part; what is none counts for nothing.
    mutating func take(_ line: [UInt8]) {
        let text = String(decoding: line, as: UTF8.self)
        let start = "{\"token\":\"\(order.token).p"
        guard text.hasPrefix(start), let number = Int(text.dropFirst(start.count).prefix { $0.isNumber }),
            (0..<cut.parts).contains(number)
        else { return }
        heard += 1
        var part = parts[number] ?? Part()
        for key in Self.summed { if let value = Self.number(key, text) { part.numbers[key] = value } }
        part.isPlanned = text.contains("\"plan_complete\":true")
        for word in ["complete", "partial", "refused", "cancelled", "full"]
        where text.contains("\"result\":\"\(word)\"") { part.result = word }
        parts[number] = part
        if part.result == "refused", let found = text.firstRange(of: "\"message\":\"") {
            refusal = String(text[found.upperBound...].prefix { $0 != "\"" })
        }
    }

    /// Within a string a quote has a backslash before it, so that no name can be taken for a field.
    private static func number(_ key: String, _ text: String) -> Int? {
        guard let found = text.firstRange(of: "\"\(key)\":") else { return nil }
        return Int(text[found.upperBound...].prefix { $0.isNumber })
    }

    func sum(_ key: String) -> Int { parts.values.reduce(0) { $0 + ($1.numbers[key] ?? 0) } }

    /// What the run that finishes need not find out anew.
    var known: StageOrder.Known {
        StageOrder.Known(
            files: max(cut.files, sum("files_total")), bytes: max(Int(cut.bytes), sum("bytes_total")),
            filesDone: sum("files_done"), bytesDone: sum("bytes_done"))
    }

    /// In the form of a copy on one host. Its end is what the run that finishes says.
    mutating func line() -> String {
        let progress = Progress(slots: 0)
        let isPlanned = parts.count == cut.parts && parts.values.allSatisfy(\.isPlanned)
        // The cut knows all of it before the parts have read their lists; links are among its files.
        let known = sum("files_total") + sum("links_total")
        progress.filesTotal.store(
            max(sum("files_total"), isPlanned ? 0 : cut.files - (known - sum("files_total"))), ordering: .relaxed)
        progress.bytesTotal.store(max(sum("bytes_total"), Int(isPlanned ? 0 : cut.bytes)), ordering: .relaxed)
        progress.filesDone.store(sum("files_done"), ordering: .relaxed)
        progress.linksTotal.store(sum("links_total"), ordering: .relaxed)
        progress.linksDone.store(sum("links_done"), ordering: .relaxed)
        progress.bytesDone.store(sum("bytes_done"), ordering: .relaxed)
        progress.bytesMoved.store(sum("bytes_moved"), ordering: .relaxed)
        progress.bytesSkipped.store(sum("bytes_skipped"), ordering: .relaxed)
        progress.bytesVerified.store(sum("bytes_verified"), ordering: .relaxed)
        progress.bytesCloned.store(sum("bytes_cloned"), ordering: .relaxed)
        progress.errors.store(sum("errors"), ordering: .relaxed)
        progress.retries.store(sum("retries"), ordering: .relaxed)
        progress.degraded.store(sum("degraded"), ordering: .relaxed)
        progress.skipped.store(sum("skipped"), ordering: .relaxed)
        progress.workTotal.store(progress.bytesTotal.load(ordering: .relaxed), ordering: .relaxed)
        progress.workDone.store(sum("bytes_done"), ordering: .relaxed)
        progress.isPlanned.store(isPlanned, ordering: .relaxed)
        let errors = sum("errors")
        return lines.line(
            progress, state: "running", rate: rate ?? order.rate,
            lastError: errors == 0
                ? nil : StageMessage.plain(order.phase, "\(errors) failures in parts", session: order.token),
            isComplete: false)
    }
}
