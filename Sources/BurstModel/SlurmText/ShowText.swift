/// Readers of the smaller replies of `scontrol`.
package enum ShowText {
    // MARK: show job

    /// Reads `scontrol show job` (also with `-o`): a record for each `JobId=`. Empty lines are no separators:
    /// DataWarp's
    /// SystemComment holds some (spec §8.3).
    package static func jobs(_ text: [UInt8], zone: LocalTime.Zone) -> (jobs: [JobDetail], faults: [Fault]) {
        var records: [Substring] = []
        let whole = String(decoding: text, as: UTF8.self)
        var start: String.Index?
        var lineStart = whole.startIndex
        while lineStart < whole.endIndex {
            let lineEnd = whole.utf8[lineStart...].firstIndex(of: ByteText.newline) ?? whole.endIndex
            if whole[lineStart..<lineEnd].hasPrefix("JobId=") {
                if let start { records.append(whole[start..<lineStart]) }
                start = lineStart
            }
            lineStart = lineEnd < whole.endIndex ? whole.utf8.index(after: lineEnd) : lineEnd
        }
        if let start { records.append(whole[start...]) }
        var jobs: [JobDetail] = []
        var faults: [Fault] = []
        for (index, record) in records.enumerated() {
            if let detail = detail(record, zone: zone) {
                jobs.append(detail)
            } else {
                let head = record.prefix { !$0.isNewline }.prefix(60)
                faults.append(
                    Fault(reply: "scontrol show job", line: 0, message: "record \(index + 1) is damaged: \"\(head)\""))
            }
        }
        if records.isEmpty, !whole.allSatisfy(\.isWhitespace), !whole.hasPrefix("No jobs in the system") {
            faults.append(Fault(reply: "scontrol show job", line: 1, message: "no record begins with JobId="))
        }
        return (jobs, faults)
    }

    /// Fields whose value may hold blanks and newlines: each ends where a line begins with three blanks and a key, or
    /// (with `-o`) at the next key that Slurm prints.
    private static let freeText: Set<String> = ["SystemComment", "BurstBuffer", "Comment", "AdminComment", "JobName"]

    private static func detail(_ record: Substring, zone: LocalTime.Zone) -> JobDetail? {
        var fields: [Field] = []
        let oneLine = !record.lines.dropFirst().contains { $0.hasPrefix("   ") }
        // Lines of the record; a line that does not begin with three blanks and a key belongs to the field before it.
        for line in record.lines {
            let isContinuation = !fields.isEmpty && (!line.hasPrefix("   ") || key(line.dropFirst(3)) == nil)
            if isContinuation {
                fields[fields.count - 1].value += "\n" + line
                continue
            }
            var rest = line.drop { $0 == " " }
            while let name = key(rest) {
                rest = rest.dropFirst(name.count + 1)
                let whole = freeText.contains(String(name)) && !oneLine && name != "JobName"
                let end = whole ? rest.endIndex : nextKey(rest) ?? rest.endIndex
                fields.append(Field(String(name), String(rest[..<end])))
                rest = rest[end...].drop { $0 == " " }
            }
            if !rest.isEmpty, !fields.isEmpty { fields[fields.count - 1].value += " " + rest }
        }
        func trimmed(_ text: String) -> String {
            var text = text
            while let last = text.last, last.isWhitespace { text.removeLast() }
            return text
        }
        for index in fields.indices { fields[index].value = trimmed(fields[index].value) }
        func value(_ key: String) -> String? {
            guard let text = fields.first(where: { $0.key == key })?.value, text != "(null)", text != "" else {
                return nil
            }
            return text
        }
        guard let id = value("JobId").flatMap({ JobID($0) }), let state = value("JobState") else { return nil }
        var job = Job(id: id, name: value("JobName") ?? "", state: JobState(state))
        if let user = value("UserId"), let open = user.lastIndex(of: "("), user.last == ")" {
            job.user = String(user[..<open])
            job.uid = UInt32(user[user.index(after: open)...].dropLast()) ?? 0
        }
        job.arrayJobID = value("ArrayJobId").flatMap { JobID($0) }
        job.arrayTask = job.arrayJobID == nil ? nil : value("ArrayTaskId")
        job.account = value("Account")
        job.partition = value("Partition")
        job.qos = value("QOS")
        // Blanks of a description are printed as underscores here, so the text differs from squeue's.
        job.reason = value("Reason") ?? "None"
        job.priority = value("Priority").flatMap { UInt64($0) }
        job.spec = value("BurstBuffer")
        job.bufferState = value("BurstBufferState").map { BufferState($0) }
        job.submitted = value("SubmitTime").flatMap { LocalTime(text: $0) }.map(zone.moment)
        job.start = value("StartTime").flatMap { LocalTime(text: $0) }.map(zone.moment)
        job.end = value("EndTime").flatMap { LocalTime(text: $0) }.map(zone.moment)
        job.reservation = value("Reservation")
        job.systemComment = value("SystemComment")
        return JobDetail(job: job, fields: fields, text: trimmed(String(record)))
    }

    /// The key that a text begins with: letters and some signs up to `=`. `CPUs/Task=` and `ReqB:S:C:T=` are keys.
    private static func key(_ text: Substring) -> Substring? {
        guard let first = text.utf8.first, (0x41...0x5a).contains(first) else { return nil }
        for index in text.utf8.indices {
            let byte = text.utf8[index]
            if byte == ByteText.equals { return text[..<index] }
            let letter = byte | 0x20
            let allowed =
                (0x61...0x7a).contains(letter) || (0x30...0x39).contains(byte) || byte == UInt8(ascii: "/")
                || byte == UInt8(ascii: ":") || byte == UInt8(ascii: "_")
            if !allowed { return nil }
        }
        return nil
    }

    private static func nextKey(_ text: Substring) -> Substring.Index? {
        var rest = text
        while let space = rest.utf8.firstIndex(of: ByteText.space) {
            let word = rest[rest.utf8.index(after: space)...]
            if key(word) != nil { return space }
            rest = word
        }
        return nil
    }

    // MARK: show reservation

    /// Reads `scontrol show reservation`: a record for each `ReservationName=`.
    package static func reservations(_ text: [UInt8], zone: LocalTime.Zone) -> (
        reservations: [Reservation], faults: [Fault]
    ) {
        var reservations: [Reservation] = []
        var faults: [Fault] = []
        let whole = String(decoding: text, as: UTF8.self)
        for (number, line) in Substring(whole).lines.enumerated() {
            var rest = line.drop { $0 == " " }
            if rest.isEmpty || rest.hasPrefix("No reservations in the system") { continue }
            var understood = false
            while let name = key(rest) {
                understood = true
                rest = rest.dropFirst(name.count + 1)
                let end = nextKey(rest) ?? rest.endIndex
                let field = Field(String(name), String(rest[..<end]))
                rest = rest[end...].drop { $0 == " " }
                if field.key == "ReservationName" { reservations.append(Reservation(name: field.value)) }
                guard let last = reservations.indices.last else {
                    understood = false
                    break
                }
                reservations[last].fields.append(field)
                let value = field.value == "(null)" ? nil : field.value
                switch field.key {
                case "Users": reservations[last].users = value
                case "State": reservations[last].state = value
                case "BurstBuffer": reservations[last].burstBuffer = value
                case "StartTime": reservations[last].start = LocalTime(text: field.value).map(zone.moment)
                case "EndTime": reservations[last].end = LocalTime(text: field.value).map(zone.moment)
                default: break
                }
            }
            if !understood, faults.count < BurstReport.faultsMax {
                faults.append(
                    Fault(
                        reply: "scontrol show reservation", line: number + 1,
                        message: "not understood: \"\(line.prefix(60))\""))
            }
        }
        return (reservations, faults)
    }

    // MARK: show config

    /// Reads `scontrol show config`: lines `Key = value`.
    package static func config(_ text: [UInt8]) -> ControllerConfig {
        var config = ControllerConfig()
        for line in Substring(String(decoding: text, as: UTF8.self)).lines {
            guard let equals = line.range(of: " = ") else { continue }
            var name = line[..<equals.lowerBound]
            while name.last == " " { name.removeLast() }
            config.fields.append(Field(String(name), String(line[equals.upperBound...])))
        }
        func value(_ key: String) -> String? {
            guard let text = config.fields.first(where: { $0.key == key })?.value, text != "(null)" else { return nil }
            return text
        }
        func seconds(_ key: String) -> Int? { value(key).flatMap { Int($0.prefix { $0.isNumber }) } }
        config.cluster = value("ClusterName")
        config.version = value("SLURM_VERSION")
        config.burstBufferType = value("BurstBufferType")
        config.host = value("SlurmctldHost[0]").map { String($0.prefix { $0 != "(" }) }
        config.bootTime = value("BOOT_TIME").flatMap { LocalTime(text: $0) }
        config.minJobAgeSeconds = seconds("MinJobAge")
        config.messageTimeoutSeconds = seconds("MessageTimeout")
        config.privateData = value("PrivateData")
        return config
    }
}

extension Substring {
    /// Pieces between line feeds. As characters, a carriage return and the line feed behind it would be one.
    fileprivate var lines: [Substring] {
        utf8.split(separator: ByteText.newline, omittingEmptySubsequences: false).map { Substring($0) }
    }

    /// The standard library has no search for a text in a text; this one needs no Foundation.
    fileprivate func range(of pattern: String) -> Range<Index>? {
        guard !pattern.isEmpty else { return nil }
        var start = startIndex
        while start < endIndex {
            if self[start...].hasPrefix(pattern) { return start..<index(start, offsetBy: pattern.count) }
            start = index(after: start)
        }
        return nil
    }
}
