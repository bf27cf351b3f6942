/// A call of a function of the burst buffer script, as a source that makes the calls can tell it. Slurm cannot.
package struct HookRun: Hashable, Sendable {
    /// Grows with each call, also over restarts.
    package var number: UInt64
    /// `slurm_bb_data_in`
    package var function: String
    package var job: JobID?
    package var arguments: [String]
    /// When it was decided.
    package var at: Timestamp
    /// Nil: under way. `success`, `failure`, `broken`, `timeout`, `killed`, `lost`.
    package var outcome: String?
    /// What the function returned: its number, and its text.
    package var status: Int?
    package var message: String?
    /// Of the function itself; nil where it never began.
    package var durationMicroseconds: Int64?
    /// What it logged through `slurm.log_*`, and what it printed.
    package var notes: [String]

    package init(number: UInt64, function: String, job: JobID?, arguments: [String], at: Timestamp) {
        self.number = number
        self.function = function
        self.job = job
        self.arguments = arguments
        self.at = at
        notes = []
    }

    package var hasFailed: Bool { outcome.map { $0 != "success" } ?? false }

    /// The answer in a few words: `ok`, `ok: 42`, `failure -1: no space`, `timeout`; for one under way, since when.
    package func answer(at now: Timestamp) -> String {
        guard let outcome else { return "under way for \(Age.long(seconds: max(0, now.seconds(since: at))))" }
        var text = outcome == "success" ? "ok" : outcome
        if let status, status != 0 { text += " \(status)" }
        if let message, !message.isEmpty {
            text += ": " + message.split(whereSeparator: \.isNewline).joined(separator: " ")
        }
        return text
    }

    /// `850 us`, `12.3 ms`, `2.41 s`; a dash where it is not known.
    package var durationText: String {
        guard let durationMicroseconds else { return "-" }
        let time = Double(durationMicroseconds)
        if time < 1000 { return "\(durationMicroseconds) us" }
        if time < 1_000_000 { return Amount.fixed(time / 1000, decimals: 1) + " ms" }
        return Amount.fixed(time / 1_000_000, decimals: 2) + " s"
    }
}

/// What is being done for a job's buffer right now.
package struct StageWork: Hashable, Sendable {
    /// The function under way, and since when.
    package var function: String?
    package var functionSince: Timestamp?
    package var progress: StageProgress?

    package init() {}

    package var isEmpty: Bool { function == nil && progress == nil }
}

/// How far a staging is; what is nil is not known.
package struct StageProgress: Hashable, Sendable {
    package var filesDone: UInt64?
    package var filesTotal: UInt64?
    package var bytesDone: UInt64?
    package var bytesTotal: UInt64?
    package var bytesPerSecond: Double?
    package var secondsLeft: Double?

    package init() {}

    /// 0 to 1, by bytes, else by files.
    package var share: Double? {
        for (done, total) in [(bytesDone, bytesTotal), (filesDone, filesTotal)] {
            if let done, let total, total > 0 { return min(1, Double(done) / Double(total)) }
        }
        return nil
    }

    /// `3 of 12 files  1.5GiB of 4GiB  210MiB/s  12s left`: what is known of it.
    package var text: String {
        var parts: [String] = []
        if let filesDone { parts.append(filesTotal.map { "\(filesDone) of \($0) files" } ?? "\(filesDone) files") }
        if let bytesDone {
            let done = Amount(bytesDone).short(bytes: true)
            parts.append(bytesTotal.map { "\(done) of \(Amount($0).short(bytes: true))" } ?? done)
        }
        if let bytesPerSecond, bytesPerSecond >= 0, bytesPerSecond < 1e18 {
            parts.append(Amount(UInt64(bytesPerSecond)).short(bytes: true) + "/s")
        }
        if let secondsLeft, secondsLeft >= 0, secondsLeft < 1e9 {
            parts.append(Age.long(seconds: Int(secondsLeft.rounded(.up))) + " left")
        }
        return parts.joined(separator: "  ")
    }
}
