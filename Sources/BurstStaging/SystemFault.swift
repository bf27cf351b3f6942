import CSys
import Glibc

/// What the kernel refused, or what a copy found wrong.
package struct SystemFault: Error, Hashable, Sendable {
    package var call: String
    package var number: Int32

    package init(_ call: String, _ number: Int32 = errno) {
        self.call = call
        self.number = number
    }

    /// Not from the kernel: the source changed under every try; what was read back is not what was written.
    package static let changed = SystemFault("changed while staging", 0)
    /// Copies of a file of which each found another one than it began with: then it is a failure. A count.
    package static let changedTriesMax = 3
    package static let damaged = SystemFault("what was read back is not what was written", 0)
    package static let cancelled = SystemFault("cancelled", ECANCELED)

    package enum Kind { case transient, full, permanent, cancelled }

    /// staging.md §4.4.
    package var kind: Kind {
        switch number {
        case EIO, ESTALE, ETIMEDOUT, EAGAIN: .transient
        // Of this machine, not of the file.
        case EMFILE, ENFILE, ENOMEM, EINTR: .transient
        case ENOSPC, EDQUOT: .full
        case ECANCELED: .cancelled
        default: .permanent
        }
    }

    /// Such as "EACCES (permission denied)".
    package var shown: String {
        guard number != 0 else { return call }
        guard let name = bb_error_name(number) else { return "error \(number)" }
        let text = String(cString: strerror(number))
        return "\(String(cString: name)) (\(text.prefix(1).lowercased() + text.dropFirst()))"
    }
}

/// What came back from a call, unless it failed.
@inline(__always)
func check<Value: SignedInteger>(_ result: Value, _ call: String) throws(SystemFault) -> Value {
    guard result < 0 else { return result }
    throw SystemFault(call, errno)
}
