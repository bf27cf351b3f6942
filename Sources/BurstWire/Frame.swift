import FoundationEssentials

/// A message on the socket: a header in JSON, and bytes that travel as they are.
///
/// ```
/// UInt32  bytes that follow this field: 4 + header + body      all numbers big-endian
/// UInt32  bytes of the header
/// header  JSON
/// body
/// ```
package struct Frame: Hashable, Sendable {
    package var header: [UInt8]
    package var body: [UInt8]

    package init(header: [UInt8], body: [UInt8] = []) {
        self.header = header
        self.body = body
    }

    /// Bytes of the two lengths.
    package static let prefixBytes = 8

    /// A header and a body as one frame. Refuses what a reader would refuse.
    package static func encode(_ header: some Encodable, body: [UInt8] = []) throws(FrameError) -> [UInt8] {
        let json: Data
        do {
            json = try JSONEncoder().encode(header)
        } catch {
            throw FrameError("a header cannot be written as JSON: \(error)")
        }
        return try Frame(header: Array(json), body: body).encoded()
    }

    /// The frame as it travels.
    package func encoded() throws(FrameError) -> [UInt8] {
        let total = 4 + header.count + body.count
        try Self.check(total: total, header: header.count, limit: Wire.frameBytesMax)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(4 + total)
        for number in [UInt32(total), UInt32(header.count)] {
            withUnsafeBytes(of: number.bigEndian) { bytes.append(contentsOf: $0) }
        }
        bytes += header
        bytes += body
        return bytes
    }

    /// The header as a value.
    package func read<Header: Decodable>(_ type: Header.Type = Header.self) throws(FrameError) -> Header {
        do {
            return try JSONDecoder().decode(type, from: Data(header))
        } catch let error as DecodingError {
            throw FrameError("a header is not what is expected here: \(Self.explain(error))")
        } catch {
            throw FrameError("a header is not JSON: \(error)")
        }
    }

    /// The lengths of a frame, before any of it is kept.
    static func check(total: Int, header: Int, limit: Int) throws(FrameError) {
        guard total >= 4 else {
            throw FrameError("a frame of \(total) bytes has no room for the length of its header, which takes 4")
        }
        guard total - 4 <= limit else {
            throw FrameError("a frame of \(total - 4) bytes is too long; at most \(limit) are taken")
        }
        guard header <= min(total - 4, Wire.headerBytesMax) else {
            throw FrameError(
                "a header of \(header) bytes in a frame of \(total - 4) is too long; "
                    + "at most \(Wire.headerBytesMax) are taken")
        }
    }

    /// One line: where in the header, and what.
    private static func explain(_ error: DecodingError) -> String {
        let (context, missing): (DecodingError.Context?, String?) =
            switch error {
            case .typeMismatch(_, let context): (context, nil)
            case .valueNotFound(_, let context): (context, nil)
            case .keyNotFound(let key, let context): (context, "\(key.stringValue) is missing")
            case .dataCorrupted(let context): (context, nil)
            @unknown default: (nil, nil)
            }
        let what = missing ?? context?.debugDescription ?? "unreadable"
        let path = context?.codingPath.map(\.stringValue).joined(separator: ".") ?? ""
        let line = String(what.unicodeScalars.map { $0.value < 0x20 ? " " : Character($0) })
        return path.isEmpty ? line : "\(path): \(line)"
    }
}

/// Why bytes are no frame. The connection cannot go on: where the next frame begins is unknown.
package struct FrameError: Error, Hashable, Sendable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}

/// Cuts a stream of bytes into frames, however the bytes arrive.
package struct FrameDecoder: Sendable {
    /// Bytes of one frame, without its first length.
    package var frameBytesMax: Int
    private var kept: [UInt8] = []
    /// Of `kept`, taken already.
    private var taken = 0
    private var failure: FrameError?

    /// - Parameter frameBytesMax: less than `Wire.frameBytesMax` where the sender is not trusted with so much.
    package init(frameBytesMax: Int = Wire.frameBytesMax) { self.frameBytesMax = frameBytesMax }

    /// Bytes of a frame that is not complete yet.
    package var waiting: Int { kept.count - taken }

    /// Takes bytes as they come.
    package mutating func feed(_ bytes: some Sequence<UInt8>) {
        if taken > 0, taken == kept.count || taken > 1 << 16 {
            kept.removeFirst(taken)
            taken = 0
        }
        kept.append(contentsOf: bytes)
    }

    /// The next complete frame; nil: more bytes are needed. After an error nothing more is read.
    package mutating func next() throws(FrameError) -> Frame? {
        if let failure { throw failure }
        do throws(FrameError) {
            guard waiting >= 4 else { return nil }
            let total = number(at: 0)
            // Checked before the frame is there, so that no sender makes us keep what will be refused.
            try Frame.check(total: total, header: 0, limit: frameBytesMax)
            guard waiting >= Frame.prefixBytes else { return nil }
            let headerCount = number(at: 4)
            try Frame.check(total: total, header: headerCount, limit: frameBytesMax)
            guard waiting >= 4 + total else { return nil }
            let start = taken + Frame.prefixBytes
            let frame = Frame(
                header: Array(kept[start..<(start + headerCount)]),
                body: Array(kept[(start + headerCount)..<(taken + 4 + total)]))
            taken += 4 + total
            if taken == kept.count {
                kept = []
                taken = 0
            }
            return frame
        } catch {
            failure = error
            kept = []
            taken = 0
            throw error
        }
    }

    private func number(at offset: Int) -> Int {
        kept[(taken + offset)..<(taken + offset + 4)].reduce(0) { $0 << 8 | Int($1) }
    }
}
