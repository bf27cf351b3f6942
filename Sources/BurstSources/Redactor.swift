import BurstModel

/// Replaces the names of users, accounts, jobs, persistent buffers and files by `user1`, `account1`, `job1`, `buffer1`,
/// `/path1`: the same name by the same word throughout. Numbers are given in the order in which names appear, so a word
/// tells nothing of the name. Sizes, states, ids and times stay, and every parser reads the result as before.
///
/// Of `show config` only the fields that the monitor reads are kept; comments and command lines of jobs go altogether.
struct Redactor: Sendable {
    /// Shorter names are too likely to be ordinary words of a message.
    private static let wordMin = 3

    private enum Kind: String { case user, account, job, buffer, path, host }

    private var words: [Kind.RawValue: [String: String]] = [:]
    /// Names that are replaced in messages too, wherever they stand as a word.
    private var known: [[UInt8]: [UInt8]] = [:]

    mutating func redact(_ arguments: inout [String], _ result: inout CommandResult) {
        let call = Call(arguments: arguments)
        switch call {
        case .jobs:
            if let flag = arguments.firstIndex(of: "-u"), flag + 1 < arguments.count {
                arguments[flag + 1] = list(arguments[flag + 1], .user)
            }
            result.output = squeue(result.output)
        case .burst: result.output = byLine(result.output) { $0.burst($1) }
        case .job: result.output = byLine(result.output) { $0.job($1) }
        case .reservations: result.output = byLine(result.output) { $0.reservation($1) }
        case .config: result.output = config(result.output)
        case .staging: result.output = staging(result.output)
        default:
            // Free text of a site's script, and the arguments that somebody gave it.
            if case .status = call {
                arguments = arguments.prefix(3) + arguments.dropFirst(3).map { message($0) }
            }
            result.output = message(result.output)
        }
        result.errors = message(result.errors)
        if case .failed(let why) = result.end { result.end = .failed(message(why)) }
    }

    // MARK: Words

    private mutating func word(_ name: String, _ kind: Kind) -> String {
        if name.isEmpty || name == "(null)" || name == "N/A" || name == "*" { return name }
        if let word = words[kind.rawValue]?[name] { return word }
        let number = (words[kind.rawValue]?.count ?? 0) + 1
        let word = (kind == .path ? "/" : "") + "\(kind.rawValue)\(number)"
        words[kind.rawValue, default: [:]][name] = word
        if kind != .path, name.utf8.count >= Self.wordMin, !Self.isOrdinary(name) {
            known[Array(name.utf8)] = Array(word.utf8)
        }
        return word
    }

    /// Words that Slurm's own messages are made of must not be replaced in them.
    private static func isOrdinary(_ name: String) -> Bool {
        let ordinary: Set<String> = [
            "slurm", "root", "lua", "datawarp", "burst_buffer", "job", "teardown", "setup", "error", "failed", "stage",
            "data_in", "data_out", "pre_run", "post_run", "exit", "status", "timeout", "buffer", "pool", "nvme",
            "bytes",
            "test", "none", "None",
        ]
        return ordinary.contains(name) || name.utf8.allSatisfy { $0 >= 0x30 && $0 <= 0x39 }
    }

    /// `alice,bob` or `alice(1001),bob(1002)`.
    private mutating func list(_ text: String, _ kind: Kind) -> String {
        text.split(separator: ",", omittingEmptySubsequences: false).map { item in
            let name = item.prefix { $0 != "(" }
            // `-alice` in a reservation: everybody else.
            let sign = name.first == "-" ? "-" : ""
            return sign + word(String(name.dropFirst(sign.count)), kind) + item.dropFirst(name.count)
        }.joined(separator: ",")
    }

    // MARK: Texts

    private mutating func byLine(_ text: [UInt8], _ body: (inout Redactor, String) -> String) -> [UInt8] {
        guard !text.isEmpty else { return [] }
        return Array(
            text.split(separator: 10, omittingEmptySubsequences: false)
                .map { line in body(&self, String(decoding: line, as: UTF8.self)) }
                .joined(separator: "\n").utf8)
    }

    /// A row of `show burst`: known keys in their place, paths anywhere.
    private mutating func burst(_ line: String) -> String {
        let isRow = line.hasPrefix("    ")
        return byKey(line) { redactor, key, value in
            switch key {
            case "UserID", "AllowUsers", "DenyUsers": redactor.list(value, .user)
            case "Account": redactor.word(value, .account)
            case "Name" where isRow: redactor.word(value, .buffer)
            default: redactor.paths(value)
            }
        }
    }

    private mutating func job(_ line: String) -> String {
        byKey(
            line,
            wholeLine: [
                "Command", "WorkDir", "StdErr", "StdIn", "StdOut", "SubmitLine", "Comment", "AdminComment",
                "SystemComment", "BurstBuffer", "JobName", "Reason", "MailUser",
            ]
        ) { redactor, key, value in
            switch key {
            case "UserId", "GroupId", "MailUser": redactor.list(value, .user)
            case "Account": redactor.word(value, .account)
            case "JobName": redactor.word(value, .job)
            case "Command", "WorkDir", "StdErr", "StdIn", "StdOut": redactor.word(value, .path)
            case "SubmitLine", "Comment", "AdminComment": value == "(null)" ? value : "redacted"
            case "Reason": redactor.reason(value)
            case "SystemComment", "BurstBuffer": redactor.message(value)
            default: redactor.paths(value)
            }
        }
    }

    private mutating func reservation(_ line: String) -> String {
        byKey(line) { redactor, key, value in
            switch key {
            case "ReservationName": redactor.word(value, .job)
            case "Users": redactor.list(value, .user)
            case "Accounts", "Groups": redactor.list(value, .account)
            default: redactor.paths(value)
            }
        }
    }

    /// Calls `body` with each key and its value. Keys in `wholeLine` own the rest of their line, save that `Reason`,
    /// `JobName` and `MailUser` end where their line's next key begins.
    private mutating func byKey(
        _ line: String, wholeLine: Set<String> = [], _ body: (inout Redactor, String, String) -> String
    ) -> String {
        var result = ""
        var rest = line[...]
        while let (start, equals) = Self.nextKey(rest) {
            let key = String(rest[start..<equals])
            result += message(String(rest[..<start]))
            let valueStart = rest.index(after: equals)
            var end = rest.endIndex
            if !wholeLine.contains(key) || ["Reason", "JobName", "MailUser"].contains(key) {
                var place = valueStart
                while let (next, _) = Self.nextKey(rest[place...]) {
                    if next > valueStart {
                        end = rest.index(before: next)
                        break
                    }
                    place = rest.index(after: next)
                }
            }
            result += key + "=" + body(&self, key, String(rest[valueStart..<end]))
            rest = rest[end...]
        }
        return result + message(String(rest))
    }

    /// A key at the beginning of the text or behind a blank: a capital letter, word characters, an equals sign.
    private static func nextKey(_ text: Substring) -> (start: Substring.Index, equals: Substring.Index)? {
        let bytes = text.utf8
        var start = bytes.startIndex
        while start < bytes.endIndex {
            if (0x41...0x5a).contains(bytes[start]) {
                var index = start
                while index < bytes.endIndex, isKeyByte(bytes[index]) { index = bytes.index(after: index) }
                if index < bytes.endIndex, bytes[index] == UInt8(ascii: "=") { return (start, index) }
            }
            guard let blank = bytes[start...].firstIndex(of: UInt8(ascii: " ")) else { return nil }
            start = bytes.index(after: blank)
        }
        return nil
    }

    private static func isKeyByte(_ byte: UInt8) -> Bool {
        let letter = byte | 0x20
        return (0x61...0x7a).contains(letter) || (0x30...0x39).contains(byte)
            || [0x5b, 0x5d, 0x5f, 0x2f, 0x3a].contains(byte)
    }

    private mutating func config(_ text: [UInt8]) -> [UInt8] {
        let kept: Set<String> = [
            "BOOT_TIME", "BurstBufferType", "MessageTimeout", "MinJobAge", "PrivateData", "SLURM_VERSION",
        ]
        return byLine(text) { _, line in
            guard let equals = line.firstIndex(of: "=") else { return line.hasPrefix("Slurmctld(") ? "" : line }
            var name = line[..<equals]
            while name.last == " " { name.removeLast() }
            if name == "ClusterName" { return "\(line[...equals]) cluster1" }
            return kept.contains(String(name)) ? line : ""
        }
    }

    /// The stager's document: paths of files, names of persistent buffers and hosts, messages.
    private mutating func staging(_ text: [UInt8]) -> [UInt8] {
        guard let document = try? JSONValue(json: text) else { return message(text) }
        var writer = JSONWriter(pretty: false, expectedCount: text.count)
        writer.tree(staging(document, ""))
        return writer.bytes + [0x0a]
    }

    private mutating func staging(_ value: JSONValue, _ name: String) -> JSONValue {
        switch value {
        case .array(let elements): return .array(elements.map { staging($0, name) })
        case .object(let members):
            var redacted: [String: JSONValue] = [:]
            // In the order of their names, so that the same words are given out every time.
            for (name, member) in members.sorted(by: { $0.key < $1.key }) { redacted[name] = staging(member, name) }
            return .object(redacted)
        case .text(let text):
            let plain: Set<String> = [
                "created", "creator", "generated_at", "id", "limit", "phase", "since", "slurm_state", "started",
                "units",
                "updated",
            ]
            if plain.contains(name) { return value }
            switch name {
            case "token": return .text(JobID(text) == nil ? word(text, .buffer) : text)
            case "path": return .text(word(text, .path))
            case "nodes": return .text(word(text, .host))
            default: return .text(message(text))
            }
        case .null, .flag, .whole, .real: return value
        }
    }

    private mutating func squeue(_ text: [UInt8]) -> [UInt8] {
        let (fieldEnd, recordEnd) = (UInt8(0x1f), UInt8(0x1e))
        let count = SqueueText.format.split(separator: ",").count
        let records = text.split(separator: recordEnd, omittingEmptySubsequences: false)
        var result: [UInt8] = []
        for (index, record) in records.enumerated() {
            if index > 0 { result.append(recordEnd) }
            var fields = record.split(separator: fieldEnd, omittingEmptySubsequences: false)
                .map { String(decoding: $0, as: UTF8.self) }
            if fields.count == count {
                fields[3] = word(fields[3], .user)
                fields[5] = word(fields[5], .account)
                fields[8] = word(fields[8], .job)
                fields[10] = reason(fields[10])
                for place in [12, 18] { fields[place] = message(fields[place]) }
                fields[17] = word(fields[17], .job)
                result += fields.joined(separator: "\u{1f}").utf8
            } else {
                // Which field is which cannot be told: letters go, the damage stays.
                result += record.map { byte in
                    let letter = byte | 0x20
                    return (0x61...0x7a).contains(letter) || byte >= 0x80 ? UInt8(ascii: "x") : byte
                }
            }
        }
        return result
    }

    /// A code of Slurm's (`Priority`) stays, whatever jobs are called; in a description blanks may be underscores.
    private mutating func reason(_ text: String) -> String {
        if text.utf8.allSatisfy({ (0x41...0x5a).contains($0) || (0x61...0x7a).contains($0) }) { return text }
        return message(text).split(separator: "_", omittingEmptySubsequences: false)
            .map { String(decoding: known[Array($0.utf8)] ?? Array($0.utf8), as: UTF8.self) }.joined(separator: "_")
    }

    private mutating func message(_ text: [UInt8]) -> [UInt8] {
        Array(message(String(decoding: text, as: UTF8.self)).utf8)
    }

    /// Free text: names of persistent buffers behind `name=`, paths, and every name seen before.
    private mutating func message(_ text: String) -> String {
        guard !text.isEmpty else { return "" }
        var result: [UInt8] = []
        let bytes = Array(paths(buffers(text)).utf8)
        var index = 0
        while index < bytes.count {
            guard Self.isWordByte(bytes[index]) else {
                result.append(bytes[index])
                index += 1
                continue
            }
            var end = index
            while end < bytes.count, Self.isWordByte(bytes[end]) { end += 1 }
            let word = Array(bytes[index..<end])
            result += known[word] ?? word
            index = end
        }
        return String(decoding: result, as: UTF8.self)
    }

    private static func isWordByte(_ byte: UInt8) -> Bool {
        let letter = byte | 0x20
        return (0x61...0x7a).contains(letter) || (0x30...0x39).contains(byte) || byte == 0x5f || byte == 0x2d
            || byte == 0x2e || byte >= 0x80
    }

    /// `#BB create_persistent name=alpha`, `#DW persistentdw name=alpha`, `$DW_PERSISTENT_STRIPED_alpha`.
    private mutating func buffers(_ text: String) -> String {
        var result = ""
        for (index, piece) in text.split(separator: " ", omittingEmptySubsequences: false).enumerated() {
            if index > 0 { result += " " }
            if piece.hasPrefix("name=") {
                let name = piece.dropFirst(5).prefix { !$0.isWhitespace }
                result += "name=" + word(String(name), .buffer) + piece.dropFirst(5 + name.count)
            } else {
                result += piece
            }
        }
        return result
    }

    /// Whole paths, and what follows a variable: a slash where a word begins, up to a blank, a quote, a comma or a
    /// bracket.
    private mutating func paths(_ text: String) -> String {
        guard text.utf8.contains(UInt8(ascii: "/")) else { return text }
        let bytes = Array(text.utf8)
        var result: [UInt8] = []
        var index = 0
        var isInVariable = false
        while index < bytes.count {
            let byte = bytes[index]
            let before = index > 0 ? bytes[index - 1] : UInt8(ascii: " ")
            let begins = !Self.isWordByte(before) && before != UInt8(ascii: "/")
            if byte == UInt8(ascii: "/"), begins || isInVariable {
                var end = index
                while end < bytes.count, !Self.endsPath(bytes[end]) { end += 1 }
                // A lone slash names nothing; a full stop ends a sentence, a colon introduces what is wrong.
                while end > index + 1, [UInt8(ascii: "."), UInt8(ascii: ":")].contains(bytes[end - 1]) { end -= 1 }
                let path = String(decoding: bytes[index..<end], as: UTF8.self)
                result += (end == index + 1 ? path : word(path, .path)).utf8
                index = end
                isInVariable = false
                continue
            }
            if byte == UInt8(ascii: "$") { isInVariable = true } else if !Self.isWordByte(byte) { isInVariable = false }
            result.append(byte)
            index += 1
        }
        return String(decoding: result, as: UTF8.self)
    }

    private static func endsPath(_ byte: UInt8) -> Bool {
        byte <= 0x20 || [0x22, 0x27, 0x28, 0x29, 0x2c, 0x3b, 0x5b, 0x5d, 0x7b, 0x7d, 0x7f].contains(byte)
    }
}
