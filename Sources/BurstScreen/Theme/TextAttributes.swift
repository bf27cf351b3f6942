/// How text is drawn besides its colour. Blink is never used (monitor.md §3.13).
package struct TextAttributes: OptionSet, Hashable, Sendable {
    package let rawValue: UInt8

    package init(rawValue: UInt8) { self.rawValue = rawValue }

    package static let bold = TextAttributes(rawValue: 1)
    package static let dim = TextAttributes(rawValue: 2)
    package static let underline = TextAttributes(rawValue: 4)
    package static let reverse = TextAttributes(rawValue: 8)
    package static let italic = TextAttributes(rawValue: 16)

    /// The names in theme files.
    package static let names: [(name: String, attribute: TextAttributes)] = [
        ("bold", .bold), ("dim", .dim), ("underline", .underline), ("reverse", .reverse), ("italic", .italic),
    ]

    package init?(name: String) {
        guard let found = Self.names.first(where: { $0.name == name }) else { return nil }
        self = found.attribute
    }
}
