import BurstEngine
import FoundationEssentials
import Testing

@testable import BurstStore

/// What rows hold is what `JSONEncoder` would write: `JSONDecoder` reads it.
@Suite struct JSONTextTests {
    private func same<Value: Codable & Equatable>(_ value: Value) throws {
        let text = try JSONText.of(value)
        #expect(try JSONDecoder().decode(Value.self, from: Data(text.utf8)) == value, "\(text)")
        // The same members with the same values, in whatever order.
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        let tree = try JSONDecoder().decode(Tree.self, from: Data(text.utf8))
        let expected = try JSONDecoder().decode(Tree.self, from: encoder.encode(value))
        #expect(tree == expected, "\(text)")
    }

    /// Any JSON.
    private indirect enum Tree: Codable, Hashable {
        case null, flag(Bool), whole(Int64), large(UInt64), real(Double), text(String), list([Tree]), members(
            [String: Tree])

        init(from decoder: any Decoder) throws {
            let value = try decoder.singleValueContainer()
            if value.decodeNil() {
                self = .null
            } else if let flag = try? value.decode(Bool.self) {
                self = .flag(flag)
            } else if let number = try? value.decode(Int64.self) {
                self = .whole(number)
            } else if let number = try? value.decode(UInt64.self) {
                self = .large(number)
            } else if let number = try? value.decode(Double.self) {
                self = .real(number)
            } else if let text = try? value.decode(String.self) {
                self = .text(text)
            } else if let list = try? value.decode([Tree].self) {
                self = .list(list)
            } else {
                self = .members(try value.decode([String: Tree].self))
            }
        }

        func encode(to encoder: any Encoder) throws {
            var value = encoder.singleValueContainer()
            switch self {
            case .null: try value.encodeNil()
            case .flag(let flag): try value.encode(flag)
            case .whole(let number): try value.encode(number)
            case .large(let number): try value.encode(number)
            case .real(let number): try value.encode(number)
            case .text(let text): try value.encode(text)
            case .list(let list): try value.encode(list)
            case .members(let members): try value.encode(members)
            }
        }
    }

    @Test func aJobIsWrittenWhole() throws { try same(Samples.job) }

    private enum Kind: String, Codable { case plain, other }
    private struct Empty: Codable, Hashable {}
    private enum Shape: Codable, Hashable {
        case point
        case circle(radius: Double)
        case path([Int], closed: Bool)
        case nested(Empty?, Kind)
    }
    private struct Everything: Codable, Hashable {
        var shapes: [Shape]
        var nothing: String?
        var something: Int?
        var numbers: [Int8: [UInt64]]
        var names: [String: [Kind?]]
        var lists: [[[String]]]
        var real: Float
        var empty = Empty()
        var last: Shape
    }

    @Test func allShapesOfValues() throws {
        try same(
            Everything(
                shapes: [.point, .circle(radius: -1.5e-7), .path([], closed: true), .path([1, -2], closed: false)],
                something: .min, numbers: [-3: [.max, 0], 4: []],
                names: ["a\"\\\n\u{1}ü\u{7f}/": [.plain, nil, .other], "": []],
                lists: [[], [[], ["x", "y"]], [["z"]]],
                real: 0.1, last: .nested(nil, .other)))
        try same([Tree.null, .list([.flag(true), .members(["a": .list([]), "b": .members([:])])]), .text("")])
        #expect(try JSONText.of(["a", "b"]) == #"["a","b"]"#)
        #expect(try JSONText.of(Empty()) == "{}")
    }

    @Test func aNumberThatJSONDoesNotHaveIsRefused() {
        for number in [Double.nan, .infinity, -.infinity] {
            #expect(throws: EncodingError.self) { try JSONText.of([number]) }
        }
    }
}
