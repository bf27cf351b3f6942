/// Why the store cannot be opened or does not do what was asked: one line that says where, what, and what would be
/// right.
package struct StoreFault: Error, Hashable, Sendable, CustomStringConvertible {
    package enum Kind: Hashable, Sendable {
        /// The folder or a file in it cannot be used as it is.
        case folder
        /// Another engine has the folder.
        case held
        /// The file was written by a newer program.
        case newer
        /// The file is no database of ours.
        case foreign
        /// The file, or a row in it, cannot be read.
        case damaged
        /// There is no room. Nothing of the batch was kept; the store works on once there is.
        case full
        /// Another program held the database locked for too long. Nothing of the batch was kept.
        case busy
        /// The question cannot be answered: its text is wrong, or it goes past a limit.
        case question
        /// Another error of the database.
        case database
    }

    package var kind: Kind
    /// The folder, the file, or a table and row in it.
    package var place: String
    package var wrong: String
    package var right: String

    package init(_ kind: Kind, place: String, wrong: String, right: String) {
        self.kind = kind
        self.place = place
        self.wrong = wrong
        self.right = right
    }

    /// `WHERE: what is wrong; what would be right`, without control characters.
    package var description: String {
        var plain = ""
        for scalar in "\(place): \(wrong); \(right)".unicodeScalars {
            let isControl = scalar.value < 0x20 || (0x7f..<0xa0).contains(scalar.value)
            plain.unicodeScalars.append(isControl ? " " : scalar)
        }
        return plain
    }
}
