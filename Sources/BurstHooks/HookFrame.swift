import BurstEngine
import CLuaGlue

/// Calls and answers as bytes; `clua_glue.h` says what they look like.
enum HookFrame {
    static func call(
        _ call: HookCall, script: String, cluster: String, memoryMax: UInt64, function: String? = nil
    ) -> [UInt8] {
        var frame = Writer(kind: BB_FRAME_CALL, id: call.id.number)
        frame.add(UInt64(call.limitSeconds ?? 0) * 1000)
        frame.add(memoryMax)
        frame.add(cluster)
        frame.add(script)
        frame.add(function ?? call.function.rawValue)
        frame.add(call.arguments)
        frame.bytes.append(call.jobInfo == nil ? 0 : 1)
        frame.add(UInt32(call.jobInfo?.count ?? 0))
        for (name, value) in call.jobInfo ?? [:] {
            frame.add(name)
            switch value {
            case .text(let text):
                frame.bytes.append(UInt8(ascii: "S"))
                frame.add(text)
            case .integer(let number):
                frame.bytes.append(UInt8(ascii: "I"))
                frame.add(number)
            case .number(let number):
                frame.bytes.append(UInt8(ascii: "N"))
                frame.add(number.bitPattern)
            case .list(let texts):
                frame.bytes.append(UInt8(ascii: "L"))
                frame.add(texts)
            }
        }
        return frame.finished
    }

    static func kill(_ id: CallID) -> [UInt8] { Writer(kind: BB_FRAME_KILL, id: id.number).finished }

    /// Takes the first whole frame from `bytes` at `start`, which moves behind it.
    /// - Returns: nil where there is no whole frame yet.
    /// - Throws: `Damage` where no frame can begin like this, or it holds no answer.
    static func takeAnswer(
        from bytes: [UInt8], at start: inout Int
    ) throws(Damage) -> (id: CallID, answer: HookAnswer)? {
        guard bytes.count - start >= 4 else { return nil }
        var reader = Reader(bytes: bytes[start...])
        let count = Int(try reader.number(UInt32.self))
        guard count >= 9, count <= Int(BB_FRAME_MAX) - 4 else { throw Damage() }
        guard bytes.count - start - 4 >= count else { return nil }
        reader.bytes = bytes[(start + 4)..<(start + 4 + count)]
        start += 4 + count
        return try answer(&reader)
    }

    /// What a call's frame is not to exceed, in bytes.
    static let bytesMax = Int(BB_FRAME_MAX)

    struct Damage: Error {}

    private static func answer(_ reader: inout Reader) throws(Damage) -> (id: CallID, answer: HookAnswer) {
        guard try reader.number(UInt8.self) == UInt8(BB_FRAME_ANSWER.rawValue) else { throw Damage() }
        let id = CallID(try reader.number(UInt64.self))
        let kind = try reader.number(UInt8.self)
        let status = try reader.number(Int64.self)
        let hasMessage = try reader.number(UInt8.self) != 0
        let text = try reader.text()
        let message = hasMessage ? text : nil
        let end: HookAnswer.End
        switch UInt32(kind) {
        case BB_END_SUCCESS.rawValue: end = .success(message: message)
        case BB_END_FAILURE.rawValue: end = .failure(status: Int(status), message: message)
        case BB_END_BROKEN.rawValue: end = .broken(text)
        case BB_END_TIMED_OUT.rawValue: end = .timedOut
        case BB_END_KILLED.rawValue: end = .killed
        default: throw Damage()
        }
        var answer = HookAnswer(end: end, printed: try reader.text())
        let lines = try reader.number(UInt32.self)
        guard lines <= UInt32(BB_LOG_LINES_MAX) else { throw Damage() }
        for _ in 0..<lines {
            let level = Int(try reader.number(UInt8.self))
            guard levels.indices.contains(level) else { throw Damage() }
            answer.log.append(HookLogLine(levels[level], try reader.text()))
        }
        let pid = try reader.number(Int32.self)
        answer.pid = pid > 0 ? pid : nil
        answer.startedAt = try reader.number(Int64.self)
        answer.durationMicroseconds = try reader.number(Int64.self)
        guard reader.bytes.isEmpty else { throw Damage() }
        return (id, answer)
    }

    /// In the order of `bb_level`.
    private static let levels: [HookLogLine.Level] = [.error, .info, .verbose, .debug, .debug2, .debug3, .debug4]

    private struct Writer {
        var bytes: [UInt8]

        init(kind: bb_frame_kind, id: UInt64) {
            bytes = [0, 0, 0, 0, UInt8(kind.rawValue)]
            add(id)
        }

        mutating func add(_ number: some FixedWidthInteger) {
            withUnsafeBytes(of: number.littleEndian) { bytes.append(contentsOf: $0) }
        }

        mutating func add(_ text: String) {
            add(UInt32(text.utf8.count))
            bytes.append(contentsOf: text.utf8)
            bytes.append(0)
        }

        mutating func add(_ texts: [String]) {
            add(UInt32(texts.count))
            for text in texts { add(text) }
        }

        var finished: [UInt8] {
            var frame = bytes
            withUnsafeBytes(of: UInt32(bytes.count - 4).littleEndian) { frame.replaceSubrange(0..<4, with: $0) }
            return frame
        }
    }

    private struct Reader {
        var bytes: ArraySlice<UInt8>

        mutating func number<Number: FixedWidthInteger>(_ type: Number.Type) throws(Damage) -> Number {
            let size = Number.bitWidth / 8
            guard bytes.count >= size else { throw Damage() }
            let value = bytes.withUnsafeBytes { $0.loadUnaligned(as: Number.self) }
            bytes = bytes.dropFirst(size)
            return Number(littleEndian: value)
        }

        mutating func text() throws(Damage) -> String {
            let count = Int(try number(UInt32.self))
            guard count < bytes.count, bytes[bytes.startIndex + count] == 0 else { throw Damage() }
            defer { bytes = bytes.dropFirst(count + 1) }
            return String(decoding: bytes.prefix(count), as: UTF8.self)
        }
    }
}
