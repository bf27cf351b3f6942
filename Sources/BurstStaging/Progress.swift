import Glibc
import Synchronization

/// How far a run is. What counts as done is durable and has its final name (staging.md §4.7).
final class Progress: Sendable {
    typealias Counter = Atomic<Int>
    let filesTotal = Atomic<Int>(0)
    let filesDone = Atomic<Int>(0)
    let directoriesTotal = Atomic<Int>(0)
    let directoriesDone = Atomic<Int>(0)
    let linksTotal = Atomic<Int>(0)
    let linksDone = Atomic<Int>(0)
    let bytesTotal = Atomic<Int>(0)
    let bytesDone = Atomic<Int>(0)
    /// Of those done: an earlier life had copied them.
    let bytesSkipped = Atomic<Int>(0)
    let bytesVerified = Atomic<Int>(0)
    let bytesCloned = Atomic<Int>(0)
    /// Moved by this life, whatever became of it.
    let bytesMoved = Atomic<Int>(0)
    let skipped = Atomic<Int>(0)
    let errors = Atomic<Int>(0)
    let retries = Atomic<Int>(0)
    let degraded = Atomic<Int>(0)
    let isPlanned = Atomic<Bool>(false)
    /// What percent and the time left go by: allocated bytes, for holes cost nothing.
    let workTotal = Atomic<Int>(0)
    let workDone = Atomic<Int>(0)
    /// Parts of large files that are on the disk and not yet under the final name.
    let workInParts = Atomic<Int>(0)

    static func work(size: Int64, blocks: Int64) -> Int { Int(max(0, min(size, blocks * 512))) }

    /// A file that is being copied and takes a while.
    struct Active {
        var path: [UInt8]
        var size: Int64
        var done: Int64
        var started: Int64
    }

    let active: [Guarded<Active?>]

    init(slots: Int) { active = (0..<slots).map { _ in Guarded(nil) } }
}

/// Turns progress into lines of JSON, and keeps what rates need.
struct ProgressLines {
    let order: StageOrder
    let threads: Int
    let restarts: Int
    let startedWall: Int64
    let startedAt: Int64
    private var samples: [(at: Int64, bytes: Int)] = []
    private var highestPercent = 0
    private var shareAtStart: Double?
    private static let rateSeconds: Int64 = 10
    private static let activeMax = 8
    /// A line fits a pipe at once.
    static let lineBytesMax = 4000

    init(order: StageOrder, threads: Int, restarts: Int) {
        self.order = order
        self.threads = threads
        self.restarts = restarts
        startedWall = wallClock() / 1_000_000_000
        startedAt = now()
    }

    mutating func line(
        _ progress: Progress, state: String, rate: StageOrder.Rate, lastError: String?, isComplete: Bool,
        extra: [(String, String)] = []
    ) -> String {
        let time = now()
        let moved = progress.bytesMoved.load(ordering: .relaxed)
        samples.append((time, moved))
        while samples.count > 2, samples[1].at < time - Self.rateSeconds * 1_000_000_000 { samples.removeFirst() }
        let seconds = max(0.001, Double(time - startedAt) / 1e9)
        let span = max(0.001, Double(time - samples[0].at) / 1e9)
        let rateNow = samples.count > 1 ? Int(Double(moved - samples[0].bytes) / span) : 0
        let isPlanned = progress.isPlanned.load(ordering: .relaxed)
        var filesTotal = progress.filesTotal.load(ordering: .relaxed)
        var filesDone = progress.filesDone.load(ordering: .relaxed)
        var bytesTotal = progress.bytesTotal.load(ordering: .relaxed)
        var bytesDone = progress.bytesDone.load(ordering: .relaxed)
        if !isComplete {
            if !isPlanned {
                filesTotal = max(filesTotal, order.known.files)
                bytesTotal = max(bytesTotal, order.known.bytes)
            }
            // What another program has copied counts half until it was compared.
            if order.compared != nil { bytesDone = (bytesTotal + bytesDone) / 2 }
            filesDone = min(filesTotal, max(filesDone, order.known.filesDone))
            bytesDone = min(bytesTotal, max(bytesDone, order.known.bytesDone))
        }
        let bytesSkipped = progress.bytesSkipped.load(ordering: .relaxed)
        let workTotal = progress.workTotal.load(ordering: .relaxed)
        let work = progress.workDone.load(ordering: .relaxed) + progress.workInParts.load(ordering: .relaxed)
        let share = Self.share(work, workTotal, filesDone, filesTotal)
        if shareAtStart == nil, share > 0 { shareAtStart = moved == 0 ? share : 0 }
        // A file that has to be copied again takes its parts back; what is shown does not go back.
        highestPercent = max(highestPercent, min(99, Int(share * 100)))
        let percent = isComplete ? 100 : highestPercent
        var eta = "null"
        // What an earlier life did says nothing of this one's speed.
        let shareHere = share - (shareAtStart ?? 0)
        if isPlanned || share >= 0.05, shareHere > 0 {
            eta = String(Int((seconds / shareHere * max(0, 1 - share)).rounded(.up)))
        }
        var fields: [(String, String)] = [
            ("token", json(order.token)), ("user", String(geteuid())), ("phase", json(order.phase.rawValue)),
            ("engine_state", json(state)), ("started", String(startedWall)),
            ("updated", String(wallClock() / 1_000_000_000)), ("plan_complete", isPlanned ? "true" : "false"),
            ("percent", String(percent)), ("files_total", String(filesTotal)), ("files_done", String(filesDone)),
            ("dirs_total", String(progress.directoriesTotal.load(ordering: .relaxed))),
            ("dirs_done", String(progress.directoriesDone.load(ordering: .relaxed))),
            ("links_total", String(progress.linksTotal.load(ordering: .relaxed))),
            ("links_done", String(progress.linksDone.load(ordering: .relaxed))),
            ("bytes_total", String(bytesTotal)), ("bytes_done", String(bytesDone)),
            ("bytes_moved", String(moved)), ("bytes_skipped", String(bytesSkipped)),
            ("bytes_verified", String(progress.bytesVerified.load(ordering: .relaxed))),
            ("bytes_cloned", String(progress.bytesCloned.load(ordering: .relaxed))),
            ("rate_now", String(rateNow)), ("rate_avg", String(Int(Double(moved) / seconds))), ("eta", eta),
            ("threads", String(threads)),
            (
                "throttle",
                "{\"bytes\":\(rate.bytesPerSecond.map(String.init) ?? "null"),"
                    + "\"files\":\(rate.filesPerSecond.map(String.init) ?? "null")}"
            ),
            ("skipped", String(progress.skipped.load(ordering: .relaxed))),
            ("errors", String(progress.errors.load(ordering: .relaxed))),
            ("retries", String(progress.retries.load(ordering: .relaxed))),
            ("degraded", String(progress.degraded.load(ordering: .relaxed))), ("restarts", String(restarts)),
            ("confined", order.isConfined ? "true" : "false"), ("last_error", lastError.map(json) ?? "null"),
        ]
        fields += extra
        var line = "{" + fields.map { "\"\($0.0)\":\($0.1)" }.joined(separator: ",") + ",\"active\":["
        var shown = 0
        for slot in progress.active where shown < Self.activeMax {
            guard let file = slot.with({ $0 }) else { continue }
            let rate = Int(Double(file.done) / max(0.001, Double(time - file.started) / 1e9))
            let text =
                "{\"path\":\(json(FileName.shown(file.path))),\"size\":\(file.size),\"done\":\(file.done),"
                + "\"rate\":\(rate)}"
            guard line.utf8.count + text.utf8.count + 4 <= Self.lineBytesMax else { break }
            line += (shown > 0 ? "," : "") + text
            shown += 1
        }
        return line + "]}\n"
    }

    private static func share(_ work: Int, _ workTotal: Int, _ files: Int, _ filesTotal: Int) -> Double {
        if workTotal > 0 { return min(1, Double(work) / Double(workTotal)) }
        return filesTotal > 0 ? Double(files) / Double(filesTotal) : 0
    }

    private func json(_ text: String) -> String { Self.json(text) }

    /// A string of JSON without an apostrophe in it.
    static func json(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case "'": quoted += "\\u0027"
            case "\n": quoted += "\\n"
            case "\t": quoted += "\\t"
            case _ where scalar.value < 0x20:
                let digits = String(scalar.value, radix: 16)
                quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}
