import BurstModel
import FoundationEssentials

/// JSON as read by somebody else's reader.
enum JSON: Decodable, Hashable {
    case null
    case flag(Bool)
    case number(Int64)
    case text(String)
    case array([JSON])
    case object([String: JSON])

    init(_ bytes: [UInt8]) throws { self = try JSONDecoder().decode(JSON.self, from: Data(bytes)) }

    init(from decoder: any Decoder) throws {
        let value = try decoder.singleValueContainer()
        if value.decodeNil() {
            self = .null
        } else if let flag = try? value.decode(Bool.self) {
            self = .flag(flag)
        } else if let number = try? value.decode(Int64.self) {
            self = .number(number)
        } else if let text = try? value.decode(String.self) {
            self = .text(text)
        } else if let array = try? value.decode([JSON].self) {
            self = .array(array)
        } else {
            self = .object(try value.decode([String: JSON].self))
        }
    }

    subscript(key: String) -> JSON? {
        get { if case .object(let members) = self { members[key] } else { nil } }
        set {
            guard case .object(var members) = self else { return }
            members[key] = newValue
            self = .object(members)
        }
    }

    subscript(index: Int) -> JSON {
        get { elements[index] }
        set {
            var changed = elements
            changed[index] = newValue
            self = .array(changed)
        }
    }

    var elements: [JSON] { if case .array(let elements) = self { elements } else { [] } }
    var members: [String: JSON] { if case .object(let members) = self { members } else { [:] } }
    var number: Int64? { if case .number(let number) = self { number } else { nil } }
    var text: String? { if case .text(let text) = self { text } else { nil } }

    var typeName: String {
        switch self {
        case .null: "null"
        case .flag: "boolean"
        case .number: "integer"
        case .text: "string"
        case .array: "array"
        case .object: "object"
        }
    }
}

/// The part of JSON Schema 2020-12 that our schema uses. A keyword outside that part is a fault of the schema.
struct JSONSchema {
    private let root: JSON

    init(_ root: JSON) { self.root = root }

    /// What is wrong with a document, each with its place.
    func faults(in document: JSON) -> [String] { faults(document, root, at: "$") }

    private func faults(_ value: JSON, _ schema: JSON, at place: String) -> [String] {
        var faults: [String] = []
        for (keyword, rule) in schema.members {
            switch keyword {
            case "$schema", "title", "description", "$defs": break
            case "$ref":
                let name = rule.text?.split(separator: "/").last.map(String.init) ?? ""
                guard rule.text == "#/$defs/\(name)", let target = root["$defs"]?[name] else {
                    faults.append("\(place): the schema refers to \(rule)")
                    continue
                }
                faults += self.faults(value, target, at: place)
            case "type":
                let allowed = rule.text.map { [$0] } ?? rule.elements.compactMap(\.text)
                if !allowed.contains(value.typeName) { faults.append("\(place): is \(value.typeName), not \(allowed)") }
            case "enum":
                if !rule.elements.contains(value) { faults.append("\(place): is none of those listed") }
            case "required":
                for name in rule.elements.compactMap(\.text) where value[name] == nil {
                    faults.append("\(place): lacks \(name)")
                }
            case "properties":
                for (name, member) in value.members {
                    if let inner = rule[name] { faults += self.faults(member, inner, at: "\(place).\(name)") }
                }
            case "additionalProperties":
                guard rule == .flag(false) else {
                    faults.append("\(place): additionalProperties has to be false")
                    continue
                }
                for name in value.members.keys where schema["properties"]?[name] == nil {
                    faults.append("\(place): has \(name)")
                }
            case "items":
                for (index, element) in value.elements.enumerated() {
                    faults += self.faults(element, rule, at: "\(place)[\(index)]")
                }
            case "minimum", "maximum":
                guard let limit = rule.number, let number = value.number else { continue }
                if keyword == "minimum" ? number < limit : number > limit {
                    faults.append("\(place): \(number) is outside of its \(keyword) \(limit)")
                }
            case "format":
                guard rule.text == "date-time" else {
                    faults.append("\(place): the schema has format \(rule)")
                    continue
                }
                if let text = value.text, Timestamp(rfc3339: text) == nil { faults.append("\(place): is no time") }
            default: faults.append("\(place): the schema has \(keyword)")
            }
        }
        return faults
    }
}
