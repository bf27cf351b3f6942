/// The name of a persistent buffer: letters, digits, `_`, `-` and `.`, not beginning with a digit (Slurm takes such a
/// token for a job's), at most `bytesMax` bytes.
package struct BufferName: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// Leaves room in a file name of 255 bytes for what is added to it.
    package static let bytesMax = 128

    package let text: String
    package var description: String { text }

    package static func < (left: BufferName, right: BufferName) -> Bool { left.text < right.text }

    /// - Parameter what: for the message: `name=`.
    package init(_ bytes: some Collection<UInt8>, what: String = "name=") throws(ErrorLine) {
        func fault(_ rule: String) -> ErrorLine {
            ErrorLine("\(what)\(ErrorLine.name(bytes)): \(rule)")
        }
        guard let first = bytes.first else {
            throw ErrorLine("\(what) has no value: write the name of a buffer, as \(what)alpha")
        }
        if ByteText.isDigit(first) {
            throw fault("a name that begins with a digit is a job to Slurm; write a letter first")
        }
        if bytes.contains(UInt8(ascii: "%")) {
            throw fault("Slurm takes names as written, symbols as %j are for paths; write the name itself")
        }
        guard bytes.count <= Self.bytesMax else { throw fault("write at most \(Self.bytesMax) letters") }
        guard ByteText.isLetter(first) || first == UInt8(ascii: "_"), bytes.allSatisfy(Self.isAllowed) else {
            throw fault("write a letter, then letters, digits, _ - and .")
        }
        text = ByteText.string(bytes)
    }

    static func isAllowed(_ byte: UInt8) -> Bool {
        ByteText.isLetter(byte) || ByteText.isDigit(byte) || "_-.".utf8.contains(byte)
    }

    /// As part of a shell variable's name: `-` and `.` become `_`.
    package var variablePart: String {
        ByteText.string(
            text.utf8.map { ByteText.isLetter($0) || ByteText.isDigit($0) ? $0 : UInt8(ascii: "_") })
    }

    /// `DW_PERSISTENT_STRIPED_alpha`.
    package var variable: String { "DW_PERSISTENT_STRIPED_" + variablePart }
}
