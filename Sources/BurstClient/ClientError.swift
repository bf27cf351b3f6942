internal import Glibc

/// Why `burstd` could not be asked: one line that says where and what, and what to do where that is known.
package struct ClientError: Error, Hashable, Sendable, CustomStringConvertible {
    package enum Kind: Hashable, Sendable {
        /// Nobody listens there.
        case unreachable
        /// The other side is not one of ours, or of another version, or will not talk to us.
        case refused
        /// The connection ended, or an answer was not one.
        case broken
        /// No answer in time.
        case timedOut
    }

    package let kind: Kind
    package let description: String

    package init(_ kind: Kind, _ description: String) {
        self.kind = kind
        self.description = description
    }

    /// `SOCKET: WHAT: Connection refused`
    static func system(_ kind: Kind, _ path: String, _ what: String, _ number: Int32) -> ClientError {
        var buffer = [CChar](repeating: 0, count: 256)
        strerror_r(number, &buffer, buffer.count)
        let text = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return ClientError(kind, "\(path): \(what): \(text)")
    }
}
