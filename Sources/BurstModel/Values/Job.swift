/// A job as `squeue` or `scontrol show job` tells it; only what concerns burst buffers.
package struct Job: Hashable, Sendable {
    package var id: JobID
    /// The array's id where the job is a task or an array not split yet.
    package var arrayJobID: JobID?
    /// `3`, or `1-5` for tasks not split yet.
    package var arrayTask: String?
    package var name: String
    package var user: String
    package var uid: UInt32
    package var account: String?
    package var partition: String?
    package var qos: String?
    /// `PENDING`, `RUNNING`, `STAGE_OUT`... as printed.
    package var state: JobState
    /// The reason code or the description that stands in its place, whole, with its newlines.
    package var reason: String
    /// 0 means held.
    package var priority: UInt64?
    /// The directives of the job, as printed; nil where it has none.
    package var spec: String?
    package var bufferState: BufferState?
    package var submitted: Timestamp?
    /// When it started or is expected to.
    package var start: Timestamp?
    package var end: Timestamp?
    package var reservation: String?
    /// What slurmctld noted of each failure.
    package var systemComment: String?

    package init(
        id: JobID, name: String = "", user: String = "", uid: UInt32 = 0, state: JobState, reason: String = "None"
    ) {
        self.id = id
        self.name = name
        self.user = user
        self.uid = uid
        self.state = state
        self.reason = reason
    }

    /// `362_3`, `362_[1-5]` or `7`.
    package var shortID: String {
        guard let arrayJobID, let arrayTask else { return "\(id)" }
        return arrayTask.utf8.allSatisfy { $0 >= 0x30 && $0 <= 0x39 }
            ? "\(arrayJobID)_\(arrayTask)" : "\(arrayJobID)_[\(arrayTask)]"
    }

    /// Held by its owner, an administrator or a failed hook: priority 0, or a reason that says so.
    package var isHeld: Bool {
        if priority == 0 { return true }
        return reason.hasPrefix("JobHeld") || reason.hasPrefix("burst_buffer/") && reason.contains(": JobHeldAdmin")
    }

    /// The job asks for a burst buffer.
    package var usesBuffers: Bool { spec != nil || bufferState != nil }

    /// Something is still to be done for the job's buffer.
    package var isActive: Bool { !(state.isFinal && (bufferState == nil || bufferState == .complete)) }

    /// What the directives ask for, a pool and an amount for each line that names one (spec §2.1, §3).
    package var requests: [BufferRequest] { spec.map(BufferRequest.parse) ?? [] }

    /// The reason in one line: newlines become blanks.
    package var reasonLine: String {
        guard reason.utf8.contains(where: { $0 == 0x0a || $0 == 0x0d }) else { return reason }
        return reason.split(whereSeparator: \.isNewline).joined(separator: " ")
    }

    /// Failures that slurmctld noted, oldest first.
    package var incidents: [Incident] { systemComment.map(Incident.parse) ?? [] }
}

/// A job's state as Slurm prints it, long form.
package struct JobState: Hashable, Sendable, CustomStringConvertible {
    package let name: String

    package init(_ name: String) { self.name = name }

    package var description: String { name }

    package static let pending = JobState("PENDING")
    package static let configuring = JobState("CONFIGURING")
    package static let running = JobState("RUNNING")
    package static let suspended = JobState("SUSPENDED")
    package static let completing = JobState("COMPLETING")
    package static let stageOut = JobState("STAGE_OUT")
    package static let completed = JobState("COMPLETED")
    package static let cancelled = JobState("CANCELLED")

    private static let codes = [
        "PENDING": "PD", "CONFIGURING": "CF", "RUNNING": "R", "SUSPENDED": "S", "COMPLETING": "CG", "STAGE_OUT": "SO",
        "COMPLETED": "CD", "CANCELLED": "CA", "FAILED": "F", "TIMEOUT": "TO", "NODE_FAIL": "NF", "PREEMPTED": "PR",
        "BOOT_FAIL": "BF", "DEADLINE": "DL", "OUT_OF_MEMORY": "OOM", "REQUEUED": "RQ", "REQUEUE_HOLD": "RH",
        "REQUEUE_FED": "RF", "RESIZING": "RS", "REVOKED": "RV", "SIGNALING": "SI", "SPECIAL_EXIT": "SE",
        "STOPPED": "ST", "RESV_DEL_HOLD": "RD",
    ]

    /// As `squeue %t` prints it; the first two letters of a state that we do not know.
    package var code: String { Self.codes[name] ?? String(name.prefix(2)) }

    /// The job will not run again; its buffer may still be staged out or torn down.
    package var isFinal: Bool {
        switch name {
        case "COMPLETED", "CANCELLED", "FAILED", "TIMEOUT", "NODE_FAIL", "PREEMPTED", "BOOT_FAIL", "DEADLINE",
            "OUT_OF_MEMORY", "REVOKED":
            true
        default: false
        }
    }
}

/// What a directive line asks for.
package struct BufferRequest: Hashable, Sendable {
    /// Nil: the default pool.
    package var pool: String?
    /// As Slurm reads the text, not rounded; nil where it has none or refuses it.
    package var size: UInt64?
    /// The text behind `capacity=`.
    package var sizeText: String
    /// The line creates a persistent buffer: no part of the job's own.
    package var isPersistent = false

    /// Reads lines such as `#BB_LUA pool=pool1 capacity=3TiB`, `#DW jobdw type=scratch capacity=4GB`,
    /// `#BB create_persistent name=a capacity=1TiB`. Lines without a capacity ask for nothing.
    package static func parse(_ spec: String) -> [BufferRequest] {
        var copy = spec
        return copy.withUTF8 { text in
            var requests: [BufferRequest] = []
            for line in text.split(whereSeparator: { $0 == ByteText.newline || $0 == 0x0d }) {
                if let request = request(line) { requests.append(request) }
            }
            return requests
        }
    }

    private static func request(_ line: Slice<UnsafeBufferPointer<UInt8>>) -> BufferRequest? {
        func isBlank(_ byte: UInt8) -> Bool { byte == ByteText.space || byte == 0x09 }
        func text(_ bytes: Slice<UnsafeBufferPointer<UInt8>>) -> String { String(decoding: bytes, as: UTF8.self) }
        var request = BufferRequest(pool: nil, size: nil, sizeText: "")
        var asks = false
        // The first word is the directive itself.
        var rest = line.drop { !isBlank($0) }
        while let start = rest.firstIndex(where: { !isBlank($0) }) {
            let end = rest[start...].firstIndex(where: isBlank) ?? rest.endIndex
            let word = rest[start..<end]
            if word.starts(with: "capacity=".utf8) {
                // White space behind the number ends it, so the rest of the line is part of what Slurm reads.
                request.size = Amount.request(rest[(start + 9)...])
                request.sizeText = text(word.dropFirst(9))
                asks = true
            } else if word.starts(with: "pool=".utf8) {
                request.pool = text(word.dropFirst(5))
            } else if word.elementsEqual("create_persistent".utf8) {
                request.isPersistent = true
            }
            rest = rest[end...]
        }
        return asks ? request : nil
    }
}

/// One failure from a job's SystemComment: `11/22/26 21:54:45 burst_buffer/lua: slurm_bb_post_run: post bad`.
package struct Incident: Hashable, Sendable {
    package var time: LocalTime
    /// `lua`, `datawarp`.
    package var plugin: String
    /// `setup`, `data_in`, `teardown`...: without `slurm_bb_`, `dws_`.
    package var hook: String
    package var message: String

    /// Reads every entry of a SystemComment. DataWarp's messages end in newlines of their own; text before the first
    /// entry (a comment of somebody else) is skipped.
    package static func parse(_ comment: String) -> [Incident] {
        var incidents: [Incident] = []
        for line in comment.split(whereSeparator: \.isNewline) {
            if let next = entry(line) {
                incidents.append(next)
            } else if !incidents.isEmpty, line.contains(where: { !$0.isWhitespace }) {
                incidents[incidents.count - 1].message += " " + line
            }
        }
        return incidents
    }

    private static func entry(_ line: Substring) -> Incident? {
        let words = line.split(separator: " ", maxSplits: 3)
        guard words.count >= 3, words[0].utf8.count == 8, words[1].utf8.count == 8 else { return nil }
        let date = words[0].split(separator: "/")
        guard date.count == 3, let time = LocalTime(text: "20\(date[2])-\(date[0])-\(date[1])T\(words[1])"),
            words[2].hasPrefix("burst_buffer/"), words[2].hasSuffix(":")
        else { return nil }
        let rest = words.count > 3 ? words[3] : ""
        let parts = rest.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        var hook = String(parts[0])
        for prefix in ["slurm_bb_", "dws_"] where hook.hasPrefix(prefix) { hook.removeFirst(prefix.count) }
        var message = parts.count > 1 ? parts[1].drop { $0 == " " } : ""
        while message.last == " " { message.removeLast() }
        return Incident(
            time: time, plugin: String(words[2].dropFirst(13).dropLast()), hook: hook, message: String(message))
    }
}

/// A reservation that concerns burst buffers.
package struct Reservation: Hashable, Sendable {
    package var name: String
    package var users: String?
    package var state: String?
    package var start: Timestamp?
    package var end: Timestamp?
    /// The text as typed: `lua:pool3:2,pool1:3GB,nodes:2N`; nil for `(null)`.
    package var burstBuffer: String?
    /// All fields in the order printed.
    package var fields: [Field]

    package init(name: String, fields: [Field] = []) {
        self.name = name
        self.fields = fields
    }

    /// Space that it sets aside in a pool, as Slurm reads the text (spec §2.6, §6.5): `PLUGIN:POOL:SIZE`, `POOL:SIZE`,
    /// and later parts without a plugin.
    package func reserved(in pool: Pool) -> UInt64 {
        guard let burstBuffer else { return 0 }
        return burstBuffer.split(separator: ",").reduce(0) { sum, part in
            let words = part.split(separator: ":").map(String.init)
            guard let size = words.last.flatMap({ Amount.request($0) }), size < 1 << 63 else { return sum }
            let named: Bool
            switch words.count {
            case 1: named = pool.isDefault
            case 2: named = words[0] == pool.name || (words[0] == pool.plugin && pool.isDefault)
            default: named = words[words.count - 2] == pool.name && words[0] == pool.plugin
            }
            return named ? sum &+ size : sum
        }
    }
}

/// A key and its value, as printed.
package struct Field: Hashable, Sendable {
    package var key: String
    package var value: String

    package init(_ key: String, _ value: String) {
        self.key = key
        self.value = value
    }
}

/// What `scontrol show config` says that matters here.
package struct ControllerConfig: Hashable, Sendable {
    package var cluster: String?
    /// `22.05.8`
    package var version: String?
    /// `burst_buffer/lua`; nil for `(null)`: no plugin is configured.
    package var burstBufferType: String?
    package var host: String?
    /// Changes with each start of slurmctld.
    package var bootTime: LocalTime?
    package var minJobAgeSeconds: Int?
    package var messageTimeoutSeconds: Int?
    package var privateData: String?
    /// Every line, in the order printed.
    package var fields: [Field]

    package init(fields: [Field] = []) { self.fields = fields }
}

/// What `scontrol show job ID` says.
package struct JobDetail: Hashable, Sendable {
    package var job: Job
    /// Every field in the order printed.
    package var fields: [Field]
    /// The record as printed.
    package var text: String

    package init(job: Job, fields: [Field], text: String) {
        self.job = job
        self.fields = fields
        self.text = text
    }
}
