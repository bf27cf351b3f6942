import BurstEngine
import BurstModel
import FoundationEssentials
import Testing

@testable import BurstStore

/// What rows hold is what `JSONEncoder` would write: `JSONDecoder` reads it.
@Suite struct JSONTextTests {
    private func same<Value: Codable & Equatable>(_ value: Value) throws {
        let text = try JSONText.of(value)
        #expect(try JSONDecoder().decode(Value.self, from: Data(text.utf8)) == value, "\(text)")
        // The same members with the same values, in whatever order.
        let expected = try JSONValue(json: Array(JSONEncoder().encode(value)))
        #expect(try JSONValue(json: Array(text.utf8)) == expected, "\(text)")
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
        try same([[true, nil], [], [nil, false]])
        #expect(try JSONText.of(["a", "b"]) == #"["a","b"]"#)
        #expect(try JSONText.of(Empty()) == "{}")
    }

    @Test func aNumberThatJSONDoesNotHaveIsRefused() {
        for number in [Double.nan, .infinity, -.infinity] {
            #expect(throws: EncodingError.self) { try JSONText.of([number]) }
        }
    }
}
