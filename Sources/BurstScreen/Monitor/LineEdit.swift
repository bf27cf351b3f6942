/// A line of text being typed.
package struct LineEdit: Hashable, Sendable {
    /// The most characters that a line takes.
    package static let charactersMax = 1000

    package private(set) var characters: [Character] = []
    package private(set) var cursor = 0

    package init(_ text: String = "") {
        characters = Array(text.prefix(Self.charactersMax))
        cursor = characters.count
    }

    package var text: String { String(characters) }

    package mutating func set(_ text: String) { self = LineEdit(text) }

    /// Takes a key of line editing; false where it is none.
    package mutating func take(_ key: Key) -> Bool {
        switch key {
        case .character(let character):
            if characters.count < Self.charactersMax {
                characters.insert(character, at: cursor)
                cursor += 1
            }
        case .backspace, .control("h"):
            if cursor > 0 {
                characters.remove(at: cursor - 1)
                cursor -= 1
            }
        case .delete: if cursor < characters.count { characters.remove(at: cursor) }
        case .left, .control("b"): cursor = max(0, cursor - 1)
        case .right, .control("f"): cursor = min(characters.count, cursor + 1)
        case .home, .control("a"): cursor = 0
        case .end, .control("e"): cursor = characters.count
        case .control("u"):
            characters.removeFirst(cursor)
            cursor = 0
        case .control("k"): characters.removeLast(characters.count - cursor)
        case .control("w"):
            while cursor > 0, characters[cursor - 1] == " " { removeBefore() }
            while cursor > 0, characters[cursor - 1] != " " { removeBefore() }
        default: return false
        }
        return true
    }

    private mutating func removeBefore() {
        characters.remove(at: cursor - 1)
        cursor -= 1
    }
}
