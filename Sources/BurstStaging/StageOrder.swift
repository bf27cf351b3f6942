/// What a copy worker is to do: one phase of one session (staging.md §4.4). Read from standard input, a line for each
/// setting.
package struct StageOrder: Hashable, Sendable {
    package enum Phase: String, Hashable, Sendable {
        case stageIn = "stage-in"
        case stageOut = "stage-out"
    }

    package enum Verify: String, Hashable, Sendable, CaseIterable, Comparable {
        case off, size, inline, readback

        package static func < (one: Verify, other: Verify) -> Bool {
            allCases.firstIndex(of: one)! < allCases.firstIndex(of: other)!
        }
    }

    package enum Durability: String, Hashable, Sendable {
        case none, batch, file
    }

    package enum OnError: String, Hashable, Sendable {
        case stop, `continue`
    }

    /// A file or folder of the worker's own: a descriptor that it inherited, or a path that it opens as the user.
    package enum Opened: Hashable, Sendable {
        case descriptor(Int32)
        case path([UInt8])
    }

    /// One end of a transfer.
    package enum Place: Hashable, Sendable {
        /// Below the buffer's descriptor; none of it is trusted. Empty: the buffer's top.
        case buffer([UInt8])
        /// An absolute path, which the user wrote himself.
        case parallel([UInt8])

        package var bytes: [UInt8] {
            switch self {
            case .buffer(let path), .parallel(let path): path
            }
        }
    }

    package struct Transfer: Hashable, Sendable {
        package enum Kind: String, Hashable, Sendable {
            case file, directory, list
        }

        package var kind: Kind
        package var source: Place
        /// Of a list: the folder of the buffer that its relative names are below.
        package var destination: Place

        package init(kind: Kind, source: Place, destination: Place) {
            self.kind = kind
            self.source = source
            self.destination = destination
        }
    }

    package var token = ""
    package var generation: UInt64 = 0
    package var phase = Phase.stageIn
    package var buffer = Opened.path([])
    package var journal = Opened.path([])
    package var report: Opened?
    package var verify = Verify.size
    package var durability = Durability.batch
    /// 0: as many as suit this machine.
    package var threads = 0
    package var onError = OnError.continue
    package var rate = Rate()
    package var retry = Retry()
    /// What the buffer may hold; 0: not known.
    package var capacityBytes: UInt64 = 0
    package var capacityInodes: UInt64 = 0
    package var transfers: [Transfer] = []
    /// Files of at least this many bytes are copied in parts, each of so many; a multiple of the stripe is best.
    package var largeBytes: Int64 = 256 << 20
    package var partBytes: Int64 = 64 << 20
    /// Small files that are made durable together, at most.
    package var batchFiles = 1000
    /// The folder through which several hosts share the order; nil: one host does it all (staging.md §4.8).
    package var parts: [UInt8]?
    /// Which of its parts; nil: what finishes them, or the whole. Not read from an order.
    package var part: Int?
    /// What was found out before. Not read from an order.
    package var known = Known()
    /// Folders that another program has copied, by the number of their transfer, and where their copies lie: they are
    /// compared, not copied. Nil: all is copied. Not read from an order.
    package var compared: [Int: Place]?
    /// The kernel keeps this process to what the order names. Not read from an order.
    package var isConfined = false

    /// What is shown until the run knows better itself.
    package struct Known: Hashable, Sendable {
        package var files = 0
        package var bytes = 0
        package var filesDone = 0
        package var bytesDone = 0

        package init(files: Int = 0, bytes: Int = 0, filesDone: Int = 0, bytesDone: Int = 0) {
            self.files = files
            self.bytes = bytes
            self.filesDone = filesDone
            self.bytesDone = bytesDone
        }
    }

    /// How fast it may be; nil: as fast as it can.
    package struct Rate: Hashable, Sendable {
        /// 0: pause.
        package var bytesPerSecond: UInt64?
        package var filesPerSecond: UInt64?

        package init(bytesPerSecond: UInt64? = nil, filesPerSecond: UInt64? = nil) {
            self.bytesPerSecond = bytesPerSecond
            self.filesPerSecond = filesPerSecond
        }
    }

    /// How often a transient error is borne, and how long to wait: doubled each time.
    package struct Retry: Hashable, Sendable {
        package var tries = 5
        package var firstMilliseconds = 1000
        package var lastMilliseconds = 60_000

        package init() {}
    }

    package init() {}

    package static let tokenBytesMax = 64
    package static let threadsMax = 256
    package static let batchFilesMax = 10_000
    package static let transfersMax = 4096
    package static let lineBytesMax = 64 << 10
    package static let pathBytesMax = 4095
}

/// What is wrong with an order: where, what, and what would be right.
package struct OrderFault: Error, Hashable, Sendable, CustomStringConvertible {
    package var line: Int
    package var text: String

    package var description: String { line > 0 ? "order, line \(line): \(text)" : "order: \(text)" }
}

/// Takes an order's lines one by one.
package struct StageOrderParser {
    private var order = StageOrder()
    private var line = 0
    private var seen: Set<String> = []

    package init() {}

    /// - Returns: the order, at the line `end`.
    package mutating func take(_ bytes: some Collection<UInt8>) throws(OrderFault) -> StageOrder? {
        line += 1
        guard bytes.count <= StageOrder.lineBytesMax else {
            throw fault("longer than \(StageOrder.lineBytesMax) bytes")
        }
        let words = Array(bytes).split(separator: UInt8(ascii: " ")).map(Array.init)
        guard let first = words.first else { throw fault("empty; a setting is `key value`, the last line is `end`") }
        let letters = UInt8(ascii: "a")...UInt8(ascii: "z")
        guard first.allSatisfy({ letters.contains($0) || $0 == UInt8(ascii: "-") }) else {
            throw fault("\(FileName.shown(first)) is no setting")
        }
        let key = String(decoding: first, as: UTF8.self)
        var values: [[UInt8]] = []
        for word in words.dropFirst() {
            guard let value = FileName.percentDecoded(word) else {
                throw fault("\(FileName.shown(word)): a % is followed by two hexadecimal digits")
            }
            guard !value.contains(0) else { throw fault("\(key) holds a byte 0") }
            values.append(value)
        }
        if key == "end" {
            guard values.isEmpty else { throw fault("end stands alone") }
            return try finished()
        }
        if key == "transfer" {
            try takeTransfer(values)
            return nil
        }
        // The two ways to name one thing count as one.
        let name = key.hasSuffix("-fd") ? String(key.dropLast(3)) : key
        guard seen.insert(name).inserted else { throw fault("\(name) is given twice") }
        guard values.count == 1 else {
            throw fault("\(FileName.shown(first)) takes one value, here are \(values.count)")
        }
        try takeSetting(key, values[0])
        return nil
    }

    private mutating func takeSetting(_ key: String, _ value: [UInt8]) throws(OrderFault) {
        let text = String(decoding: value, as: UTF8.self)
        switch key {
        case "token":
            let isUsable = value.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "."):
                    true
                default: false
                }
            }
            guard isUsable, (1...StageOrder.tokenBytesMax).contains(value.count) else {
                throw fault("a token has 1 to \(StageOrder.tokenBytesMax) of A-Z a-z 0-9 _ - .")
            }
            order.token = text
        case "generation": order.generation = try number(text, key)
        case "phase": order.phase = try choice(StageOrder.Phase(rawValue: text), key, "stage-in or stage-out")
        case "buffer", "buffer-fd": order.buffer = try opened(key, value)
        case "journal", "journal-fd": order.journal = try opened(key, value)
        case "report", "report-fd": order.report = try opened(key, value)
        case "stage":
            // Names of temporary files do not depend on the target's, so that no folder of their own is needed.
            _ = try relative(value)
        case "verify":
            order.verify = try choice(StageOrder.Verify(rawValue: text), key, "off, size, inline or readback")
        case "durability":
            order.durability = try choice(StageOrder.Durability(rawValue: text), key, "none, batch or file")
        case "threads": order.threads = Int(try number(text, key, max: UInt64(StageOrder.threadsMax)))
        case "on-error": order.onError = try choice(StageOrder.OnError(rawValue: text), key, "stop or continue")
        case "bytes-per-second": order.rate.bytesPerSecond = try limit(text, key)
        case "files-per-second": order.rate.filesPerSecond = try limit(text, key)
        case "retries": order.retry.tries = Int(try number(text, key, max: 100))
        case "retry-first-ms": order.retry.firstMilliseconds = Int(try number(text, key, max: 3_600_000))
        case "retry-last-ms": order.retry.lastMilliseconds = Int(try number(text, key, max: 3_600_000))
        case "large-bytes": order.largeBytes = Int64(try number(text, key, max: 1 << 50))
        case "part-bytes":
            let bytes = try number(text, key, max: 1 << 40)
            guard bytes >= 4096, bytes % 4096 == 0 else { throw fault("part-bytes is a multiple of 4096") }
            order.partBytes = Int64(bytes)
        case "batch-files":
            order.batchFiles = Int(try number(text, key, max: UInt64(StageOrder.batchFilesMax)))
            guard order.batchFiles > 0 else { throw fault("batch-files is at least 1") }
        case "parts":
            guard value.first == UInt8(ascii: "/") else { throw fault("parts is an absolute path") }
            order.parts = value
        case "capacity": order.capacityBytes = try number(text, key)
        case "inodes": order.capacityInodes = try number(text, key)
        default: throw fault("\(FileName.shown(key.utf8)) is no setting")
        }
    }

    private mutating func takeTransfer(_ values: [[UInt8]]) throws(OrderFault) {
        guard values.count == 3 else { throw fault("a transfer is `transfer TYPE SOURCE DESTINATION`") }
        guard order.transfers.count < StageOrder.transfersMax else {
            throw fault("more than \(StageOrder.transfersMax) transfers")
        }
        let kind = try choice(
            StageOrder.Transfer.Kind(rawValue: String(decoding: values[0], as: UTF8.self)), "TYPE",
            "file, directory or list")
        let transfer = StageOrder.Transfer(
            kind: kind, source: try place(values[1]), destination: try place(values[2]))
        if kind == .list {
            guard case .buffer = transfer.destination else {
                throw fault("the destination of a list is the folder of the buffer that its names are below")
            }
        }
        if kind == .file {
            for place in [transfer.source, transfer.destination] where FileName.steps(place.bytes).isEmpty {
                throw fault("a transfer of type file names files")
            }
        }
        order.transfers.append(transfer)
    }

    private func finished() throws(OrderFault) -> StageOrder {
        for name in ["token", "generation", "phase", "buffer", "journal"] where !seen.contains(name) {
            throw OrderFault(line: 0, text: "\(name) is missing")
        }
        guard !order.transfers.isEmpty else { throw OrderFault(line: 0, text: "no transfer") }
        return order
    }

    private func place(_ value: [UInt8]) throws(OrderFault) -> StageOrder.Place {
        let buffer = Array("buffer:".utf8)
        let parallel = Array("pfs:".utf8)
        if value.starts(with: buffer) { return .buffer(try relative(Array(value.dropFirst(buffer.count)))) }
        if value.starts(with: parallel) {
            let path = Array(value.dropFirst(parallel.count))
            guard path.first == UInt8(ascii: "/") else { throw fault("\(FileName.shown(path)): begin with /") }
            guard path.count <= StageOrder.pathBytesMax else { throw fault("a path has more than 4095 bytes") }
            return .parallel(path)
        }
        throw fault("\(FileName.shown(value)): a place is buffer:RELATIVE or pfs:/ABSOLUTE")
    }

    private func relative(_ path: [UInt8]) throws(OrderFault) -> [UInt8] {
        guard path.first != UInt8(ascii: "/") else {
            throw fault("\(FileName.shown(path)): say it without the first /")
        }
        let steps = FileName.steps(path)
        guard steps.allSatisfy(FileName.isUsable) else {
            throw fault("\(FileName.shown(path)): no .. and no name over 255 bytes within a buffer")
        }
        guard path.count <= StageOrder.pathBytesMax else { throw fault("a path has more than 4095 bytes") }
        return Array(steps.joined(separator: [UInt8(ascii: "/")]))
    }

    private func opened(_ key: String, _ value: [UInt8]) throws(OrderFault) -> StageOrder.Opened {
        guard key.hasSuffix("-fd") else {
            guard value.first == UInt8(ascii: "/") else { throw fault("\(key) is an absolute path") }
            return .path(value)
        }
        let number = try number(String(decoding: value, as: UTF8.self), key, max: 1 << 20)
        guard number > 2 else { throw fault("\(key) is an inherited descriptor above 2") }
        return .descriptor(Int32(number))
    }

    private func number(_ text: String, _ key: String, max: UInt64 = .max) throws(OrderFault) -> UInt64 {
        guard let number = UInt64(text), number <= max, text.utf8.first != UInt8(ascii: "+") else {
            throw fault("\(key) is a whole number" + (max == .max ? "" : " up to \(max)"))
        }
        return number
    }

    private func limit(_ text: String, _ key: String) throws(OrderFault) -> UInt64? {
        text == "-" ? nil : try number(text, key)
    }

    private func choice<Value>(_ value: Value?, _ key: String, _ right: String) throws(OrderFault) -> Value {
        guard let value else { throw fault("\(key) is \(right)") }
        return value
    }

    private func fault(_ text: String) -> OrderFault { OrderFault(line: line, text: text) }
}

/// What standard input says once the order is complete.
package enum StageControl: Hashable, Sendable {
    case throttle(StageOrder.Rate)
    case cancel

    /// `throttle BYTES FILES`, each a number or `-`; `cancel`. Nil: neither.
    package init?(_ line: some Collection<UInt8>) {
        let words = line.split(separator: UInt8(ascii: " ")).map { String(decoding: $0, as: UTF8.self) }
        if words == ["cancel"] {
            self = .cancel
            return
        }
        guard words.count == 3, words[0] == "throttle" else { return nil }
        var limits: [UInt64?] = []
        for word in words.dropFirst() {
            if word == "-" {
                limits.append(nil)
            } else if let number = UInt64(word) {
                limits.append(number)
            } else {
                return nil
            }
        }
        self = .throttle(StageOrder.Rate(bytesPerSecond: limits[0], filesPerSecond: limits[1]))
    }
}
