extension BurstReport {
    /// The most faults that one reply may leave; the rest are counted in the last one.
    package static let faultsMax = 20

    /// Reads what `scontrol show burst` printed, of any release and any of its layouts (spec §8.1).
    ///
    /// Never fails: what it does not know it keeps, what is damaged becomes a fault and costs no valid row.
    /// Pool names of odd JSON may hold blanks; a word `Key=` that begins with a capital letter starts a new field all
    /// the same, except behind a pool's name in the header, where only `Granularity=` does.
    package static func parse(showBurst text: [UInt8]) -> BurstReport {
        var parser = ShowBurstParser()
        return parser.parse(text.span)
    }
}

extension BurstReport.Layout {
    /// The layout in which a reply was printed.
    package static func detect(_ text: [UInt8]) -> BurstReport.Layout {
        let bytes = text.span
        var layout = BurstReport.Layout()
        var start = 0
        while start < bytes.count {
            let end = ByteText.lineEnd(bytes, from: start)
            let line = start..<end
            if ByteText.hasPrefix(bytes, at: start, end: end, "Name=") {
                layout.oneLine = ByteText.string(bytes, line).contains(" Flags=")
            } else if ByteText.hasPrefix(bytes, at: start, end: end, "    ") {
                layout.verbose = ByteText.string(bytes, line).contains(" Account=")
                return layout
            }
            start = end + 1
        }
        return layout
    }
}

/// Goes through a reply line by line, with the record and the section that it is in.
private struct ShowBurstParser {
    private enum Section { case none, header, buffers, users }

    private var report = BurstReport()
    private var record: PluginRecord?
    private var section = Section.none
    private var lineNumber = 0
    private var faultCount = 0

    private var pools = RepeatedText()
    private var users = RepeatedText()
    private var accounts = RepeatedText()
    private var partitions = RepeatedText()
    private var qoses = RepeatedText()
    private var lastSize = RepeatedText()
    private var lastAmount = Amount.zero
    private var lastState = RepeatedText()
    private var lastStateValue = BufferState.pending

    mutating func parse(_ bytes: Span<UInt8>) -> BurstReport {
        var start = 0
        while start < bytes.count {
            let end = ByteText.lineEnd(bytes, from: start)
            lineNumber += 1
            line(bytes, start..<end)
            if end == bytes.count { fault("the reply ends in the middle of a line; the rest is missing") }
            start = end + 1
        }
        finishRecord()
        if faultCount > report.faults.count, let last = report.faults.indices.last {
            report.faults[last].message += " (and \(faultCount - report.faults.count) more faults)"
        }
        return report
    }

    private mutating func line(_ bytes: Span<UInt8>, _ range: Range<Int>) {
        let (start, end) = (range.lowerBound, range.upperBound)
        if ByteText.hasPrefix(bytes, at: start, end: end, "    ") {
            let isUserUse = ByteText.hasPrefix(bytes, at: start + 4, end: end, "UserID=")
            switch section {
            case .buffers where !isUserUse: buffer(bytes, range)
            case .users where isUserUse: userUse(bytes, range)
            default: rowOutside(bytes, range, isUserUse: isUserUse)
            }
        } else if ByteText.hasPrefix(bytes, at: start, end: end, "Name=") {
            finishRecord()
            record = PluginRecord(name: "")
            section = .header
            header(bytes, range)
        } else if ByteText.equal(bytes, range, "  Allocated Buffers:") {
            if record == nil { missingRecord() }
            section = .buffers
        } else if ByteText.equal(bytes, range, "  Per User Buffer Use:") {
            if record == nil { missingRecord() }
            section = .users
        } else if ByteText.isBlank(bytes, range) {
            return
        } else if ByteText.hasPrefix(bytes, at: start, end: end, "  "), record != nil || isHeader(bytes, range) {
            if record == nil { missingRecord() }
            header(bytes, range)
        } else {
            fault("not understood: \"\(ByteText.excerpt(bytes, range))\"")
        }
    }

    /// Whether a line without a first line before it can only be a header's.
    private func isHeader(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Bool {
        let (start, end) = (range.lowerBound + 2, range.upperBound)
        return ByteText.hasPrefix(bytes, at: start, end: end, "PoolName[")
            || ByteText.hasPrefix(bytes, at: start, end: end, "Flags=")
            || ByteText.hasPrefix(bytes, at: start, end: end, "StageInTimeout=")
    }

    /// A row whose heading is damaged or missing is still a row, and so are those that follow it.
    private mutating func rowOutside(_ bytes: Span<UInt8>, _ range: Range<Int>, isUserUse: Bool) {
        let section = isUserUse ? "Per User Buffer Use" : "Allocated Buffers"
        fault("a row outside its section, \(section): \"\(ByteText.excerpt(bytes, range))\"")
        if record == nil { missingRecord() }
        if isUserUse {
            self.section = .users
            userUse(bytes, range)
        } else {
            if buffer(bytes, range) { self.section = .buffers }
        }
    }

    private mutating func missingRecord() {
        fault("the plugin's first line is missing")
        record = PluginRecord(name: "")
        section = .header
    }

    private mutating func finishRecord() {
        if let record { report.plugins.append(record) }
        record = nil
    }

    private mutating func fault(_ message: String) {
        faultCount += 1
        if report.faults.count < BurstReport.faultsMax {
            report.faults.append(Fault(reply: "scontrol show burst", line: lineNumber, message: message))
        }
    }

    // MARK: Fields of a line

    /// Where the word that starts at `start` ends as a key: at its `=`. Nil where it is no key.
    private static func keyEnd(_ bytes: Span<UInt8>, _ start: Int, _ end: Int) -> Int? {
        guard start < end, bytes[start] >= 0x41, bytes[start] <= 0x5a else { return nil }
        var index = start + 1
        while index < end {
            let byte = bytes[index]
            if byte == ByteText.equals { return index }
            let letter = byte | 0x20
            let word =
                (letter >= 0x61 && letter <= 0x7a) || (byte >= 0x30 && byte <= 0x39) || byte == 0x5b || byte == 0x5d
                || byte == 0x5f
            if !word { return nil }
            index += 1
        }
        return nil
    }

    /// Calls `body` with key and value of each field.
    /// - Parameter mayEnd: whether a value may end before this key; where not, the word belongs to the value.
    private static func fields(
        _ bytes: Span<UInt8>, _ range: Range<Int>, mayEnd: (_ current: Range<Int>, _ next: Range<Int>) -> Bool,
        _ body: (_ key: Range<Int>, _ value: Range<Int>) -> Void
    ) -> Range<Int>? {
        var index = range.lowerBound
        while index < range.upperBound, bytes[index] == ByteText.space { index += 1 }
        guard let firstEnd = keyEnd(bytes, index, range.upperBound) else { return index..<range.upperBound }
        var key = index..<firstEnd
        var valueStart = firstEnd + 1
        index = valueStart
        while index < range.upperBound {
            if bytes[index] == ByteText.space, index + 1 < range.upperBound,
                let nextEnd = keyEnd(bytes, index + 1, range.upperBound), mayEnd(key, (index + 1)..<nextEnd)
            {
                body(key, valueStart..<index)
                key = (index + 1)..<nextEnd
                valueStart = nextEnd + 1
                index = valueStart
            } else {
                index += 1
            }
        }
        body(key, valueStart..<range.upperBound)
        return nil
    }

    // MARK: Header

    private mutating func header(_ bytes: Span<UInt8>, _ range: Range<Int>) {
        guard var plugin = record else { return }
        var pool: Pool?
        var poolIndex = 0
        var timeouts = 0
        var isFirst = true
        var inSummary = false
        var problems: [String] = []

        func amount(_ key: Range<Int>, _ value: Range<Int>) -> Amount {
            let amount = Amount(text: ByteText.string(bytes, value))
            if amount.value == nil {
                let name = ByteText.string(bytes, key)
                problems.append("\(name)= is no size: \"\(ByteText.excerpt(bytes, value))\"")
            }
            return amount
        }
        func seconds(_ key: Range<Int>, _ value: Range<Int>) -> Int {
            if let number = ByteText.number32(bytes, value) { return Int(number) }
            let name = ByteText.string(bytes, key)
            problems.append("\(name)= is no number of seconds: \"\(ByteText.excerpt(bytes, value))\"")
            return 0
        }
        func optional(_ value: Range<Int>) -> String? {
            ByteText.equal(bytes, value, "(null)") ? nil : ByteText.string(bytes, value)
        }
        func closePool() {
            guard let done = pool else { return }
            if poolIndex != plugin.alternatePools.count {
                problems.append("PoolName[\(poolIndex)] stands where [\(plugin.alternatePools.count)] is due")
            }
            plugin.header.append(.pool(plugin.alternatePools.count))
            plugin.alternatePools.append(done)
            pool = nil
        }
        func set(
            _ value: Amount, summary: WritableKeyPath<PluginRecord, Amount>, pool path: WritableKeyPath<Pool, Amount>
        ) {
            if pool != nil { pool?[keyPath: path] = value } else { plugin[keyPath: summary] = value }
        }

        let rest = Self.fields(
            bytes, range,
            mayEnd: { current, next in
                let name =
                    ByteText.hasPrefix(bytes, at: current.lowerBound, end: current.upperBound, "PoolName[")
                    || ByteText.equal(bytes, current, "DefaultPool")
                return !name || ByteText.equal(bytes, next, "Granularity")
            },
            { key, value in
                let starts = isFirst
                isFirst = false
                let inSums = pool != nil || inSummary
                switch ByteText.string(bytes, key) {
                case "Name" where starts:
                    plugin.name = ByteText.string(bytes, value)
                    inSummary = true
                case "DefaultPool" where inSummary: plugin.defaultPool = optional(value)
                case "Granularity" where inSums:
                    set(amount(key, value), summary: \.granularity, pool: \.granularity)
                case "TotalSpace" where inSums: set(amount(key, value), summary: \.total, pool: \.total)
                case "FreeSpace" where inSums: set(amount(key, value), summary: \.free, pool: \.free)
                case "UsedSpace" where inSums:
                    set(amount(key, value), summary: \.used, pool: \.used)
                    closePool()
                    inSummary = false
                case "Flags":
                    closePool()
                    let flags = ByteText.string(bytes, value).split(separator: ",", omittingEmptySubsequences: false)
                    plugin.flags = value.isEmpty ? [] : flags.map(String.init)
                    plugin.header.append(.flags)
                case "PollInterval":
                    plugin.pollInterval = seconds(key, value)
                    plugin.header.append(.pollInterval)
                case "StageInTimeout":
                    plugin.stageInTimeout = seconds(key, value)
                    plugin.header.append(.timeouts)
                    timeouts += 1
                case "StageOutTimeout":
                    plugin.stageOutTimeout = seconds(key, value)
                    timeouts += 1
                case "ValidateTimeout":
                    plugin.validateTimeout = seconds(key, value)
                    timeouts += 1
                case "OtherTimeout":
                    plugin.otherTimeout = seconds(key, value)
                    timeouts += 1
                case let label where PluginRecord.settingLabels.contains(label):
                    closePool()
                    plugin.header.append(.setting(plugin.settings.count))
                    plugin.settings.append(.init(label, optional(value)))
                case let name where name.hasPrefix("PoolName[") && name.hasSuffix("]"):
                    closePool()
                    inSummary = false
                    poolIndex = Int(name.dropFirst(9).dropLast()) ?? -1
                    pool = Pool(
                        plugin: plugin.name, name: ByteText.string(bytes, value), granularity: Amount(1), total: .zero,
                        free: .zero, used: .zero)
                case let name:
                    plugin.header.append(
                        .unknown(key: name, value: ByteText.string(bytes, value), startsLine: starts))
                }
            })
        if pool != nil {
            problems.append("the pool's line is cut: UsedSpace= is missing")
            closePool()
        }
        if inSummary { problems.append("the first line is cut: UsedSpace= is missing") }
        if timeouts > 0 && timeouts < 4 { problems.append("\(4 - timeouts) of the 4 timeouts are missing") }
        if let rest { problems.append("not understood: \"\(ByteText.excerpt(bytes, rest))\"") }
        record = plugin
        for problem in problems { fault(problem) }
    }

    // MARK: Rows

    /// Returns whether the line is a buffer's.
    @discardableResult
    private mutating func buffer(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Bool {
        var id: BufferID?
        var found = Buffer(id: .persistent(""), pool: nil, size: .zero, state: .pending, user: "", uid: 0)
        var problem: String?
        var seen: UInt8 = 0
        var after = ""
        // Two thirds of the time of a large sample is spent here, so fields are told apart by length and first letter.
        let rest = Self.fields(bytes, range, mayEnd: { _, _ in true }) { key, value in
            switch (key.count, bytes[key.lowerBound]) {
            case (5, UInt8(ascii: "J")) where id == nil && ByteText.equal(bytes, key, "JobID"):
                id = Self.jobIdentity(bytes, value)
                if id == nil { problem = "JobID= is no job id: \"\(ByteText.excerpt(bytes, value))\"" }
            case (4, UInt8(ascii: "N")) where id == nil && ByteText.equal(bytes, key, "Name"):
                id = .persistent(ByteText.string(bytes, value))
            case (10, UInt8(ascii: "C")) where ByteText.equal(bytes, key, "CreateTime"):
                found.createdLocal = LocalTime.parse(bytes.extracting(value))
                if found.createdLocal == nil { found.createdText = ByteText.string(bytes, value) }
                seen |= 1
                after = "CreateTime"
            case (4, UInt8(ascii: "P")) where ByteText.equal(bytes, key, "Pool"):
                found.pool = pools.optional(bytes, value)
                seen |= 2
                after = "Pool"
            case (4, UInt8(ascii: "S")) where ByteText.equal(bytes, key, "Size"):
                let text = lastSize.string(bytes, value)
                if text != lastAmount.text { lastAmount = Amount(text: text) }
                found.size = lastAmount
                if lastAmount.value == nil { problem = "Size= is no size: \"\(ByteText.excerpt(bytes, value))\"" }
                seen |= 4
                after = "Size"
            case (5, UInt8(ascii: "S")) where ByteText.equal(bytes, key, "State"):
                let text = lastState.string(bytes, value)
                if text != lastStateValue.name { lastStateValue = BufferState(text) }
                found.state = lastStateValue
                seen |= 8
                after = "State"
            case (6, UInt8(ascii: "U")) where ByteText.equal(bytes, key, "UserID"):
                if let (name, uid) = Self.user(bytes, value) {
                    found.user = users.string(bytes, name)
                    found.uid = uid
                } else {
                    problem = "UserID= is no name(uid): \"\(ByteText.excerpt(bytes, value))\""
                }
                seen |= 16
                after = "UserID"
            case (7, UInt8(ascii: "A")) where ByteText.equal(bytes, key, "Account"):
                found.account = accounts.optional(bytes, value)
                after = "Account"
            case (9, UInt8(ascii: "P")) where ByteText.equal(bytes, key, "Partition"):
                found.partition = partitions.optional(bytes, value)
                after = "Partition"
            case (3, UInt8(ascii: "Q")) where ByteText.equal(bytes, key, "QOS"):
                found.qos = qoses.optional(bytes, value)
                after = "QOS"
            default:
                found.extra.append(
                    .init(after: after, key: ByteText.string(bytes, key), value: ByteText.string(bytes, value)))
            }
        }
        if let rest { problem = "not understood: \"\(ByteText.excerpt(bytes, rest))\"" }
        guard let id else {
            fault(problem ?? "a buffer without JobID= or Name=: \"\(ByteText.excerpt(bytes, range))\"")
            return false
        }
        if seen != 31, problem == nil { problem = "the row of \(id.short) is cut or has lost fields" }
        if let problem { fault(problem) }
        found.id = id
        found.rawStart = Int32(clamping: range.lowerBound)
        found.rawCount = Int32(clamping: range.count)
        record?.buffers.append(found)
        return true
    }

    /// `7`, `362_3(362)`.
    private static func jobIdentity(_ bytes: Span<UInt8>, _ value: Range<Int>) -> BufferID? {
        if let job = ByteText.number32(bytes, value) { return .job(JobID(job)) }
        var underscore: Int?
        var open: Int?
        for index in value {
            if bytes[index] == UInt8(ascii: "_") { underscore = index }
            if bytes[index] == UInt8(ascii: "(") { open = index }
        }
        guard let underscore, let open, underscore < open, bytes[value.upperBound - 1] == UInt8(ascii: ")"),
            let array = ByteText.number32(bytes, value.lowerBound..<underscore),
            let task = ByteText.number32(bytes, (underscore + 1)..<open),
            let job = ByteText.number32(bytes, (open + 1)..<(value.upperBound - 1))
        else { return nil }
        return .arrayTask(array: JobID(array), task: task, job: JobID(job))
    }

    /// `alice(1001)`; a name may hold brackets, the number is behind the last one.
    private static func user(_ bytes: Span<UInt8>, _ value: Range<Int>) -> (name: Range<Int>, uid: UInt32)? {
        guard value.count >= 3, bytes[value.upperBound - 1] == UInt8(ascii: ")") else { return nil }
        var open = value.upperBound - 2
        while open > value.lowerBound, bytes[open] != UInt8(ascii: "(") { open -= 1 }
        guard bytes[open] == UInt8(ascii: "("),
            let uid = ByteText.number32(bytes, (open + 1)..<(value.upperBound - 1))
        else { return nil }
        return (value.lowerBound..<open, uid)
    }

    private mutating func userUse(_ bytes: Span<UInt8>, _ range: Range<Int>) {
        var name: String?
        var uid: UInt32 = 0
        var used: Amount?
        let rest = Self.fields(bytes, range, mayEnd: { _, _ in true }) { key, value in
            if ByteText.equal(bytes, key, "UserID"), let (text, number) = Self.user(bytes, value) {
                name = users.string(bytes, text)
                uid = number
            } else if ByteText.equal(bytes, key, "Used") {
                used = Amount(text: ByteText.string(bytes, value))
            }
        }
        guard rest == nil, let name, let used, used.value != nil else {
            fault("a line of user's use is damaged: \"\(ByteText.excerpt(bytes, range))\"")
            return
        }
        record?.users.append(UserUse(user: name, uid: uid, used: used))
    }
}

extension PluginRecord {
    /// Labels of `settings`.
    static let settingLabels: Set<String> = [
        "AllowUsers", "DenyUsers", "CreateBuffer", "DestroyBuffer", "GetSysState", "GetSysStatus", "StartStageIn",
        "StopStageIn",
    ]
}
