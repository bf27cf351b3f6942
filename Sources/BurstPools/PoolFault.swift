import Glibc

/// Why a pool cannot do something: one line that says where, what, and what would be right.
package struct PoolFault: Error, Hashable, Sendable, CustomStringConvertible {
    package enum Kind: Hashable, Sendable {
        /// The mark is missing or another one: unmounted, or never created.
        case unmarked
        /// Owner, mode or kind of a folder are not as they have to be.
        case unsafe
        /// The settings ask for what this pool, machine or user cannot do.
        case impossible
        /// No granules are left.
        case poolFull
        case noBuffer
        /// The buffer was in memory, and the machine has restarted.
        case lost
        /// Another call works on the same buffer, or another program on the pool.
        case busy
        case damaged
        /// The system refused; an errno.
        case system(Int32)
    }

    package var kind: Kind
    /// A path, or the name of a pool or a buffer.
    package var place: String
    package var wrong: String
    package var right: String?

    package init(_ kind: Kind, _ place: String, _ wrong: String, _ right: String? = nil) {
        self.kind = kind
        self.place = place
        self.wrong = wrong
        self.right = right
    }

    /// What the system said of the last call.
    static func system(_ place: String, _ doing: String, _ number: Int32 = errno) -> PoolFault {
        PoolFault(.system(number), place, "cannot \(doing): \(String(cString: strerror(number)))")
    }

    /// The system had no room.
    package var isFull: Bool {
        switch kind {
        case .poolFull, .system(ENOSPC), .system(EDQUOT): true
        default: false
        }
    }

    package var description: String {
        var text = "\(place): \(wrong)"
        if let right { text += "; \(right)" }
        return String(
            String.UnicodeScalarView(
                text.unicodeScalars.map { $0.value < 0x20 || (0x7f..<0xa0).contains($0.value) ? "?" : $0 }))
    }
}
