import BurstModel

/// JSON of a value as `JSONEncoder` makes it, in the order in which the value gives its members and without the tree
/// that `JSONEncoder` builds before: the row of a job is written a dozen times in its life, and that tree was a tenth
/// of what a life costs.
///
/// Texts, numbers, flags, lists, members by name, and what is made of them; keys that are numbers are written as texts,
/// so that a dictionary with such keys reads as it would from `JSONEncoder`. Coding paths are not kept.
enum JSONText {
    /// - Throws: `EncodingError` for a number that JSON does not have, and whatever the value throws.
    static func of(_ value: some Encodable) throws -> String {
        let place = Place()
        place.bytes.reserveCapacity(1024)
        try place.encode(value)
        return String(decoding: place.bytes, as: UTF8.self)
    }

    /// Where the text grows. A container that is written to closes those that were opened within it.
    private final class Place {
        var bytes: [UInt8] = []
        /// What closes each container that is open.
        private var closings: [UInt8] = []
        /// Something stands in it already.
        private var follows: [Bool] = []

        /// Returns the depth within.
        func open(_ opening: UInt8, _ closing: UInt8) -> Int {
            bytes.append(opening)
            closings.append(closing)
            follows.append(false)
            return closings.count
        }

        func close(to depth: Int) {
            while closings.count > depth {
                bytes.append(closings.removeLast())
                follows.removeLast()
            }
        }

        func element(_ depth: Int) {
            close(to: depth)
            if follows[depth - 1] { bytes.append(UInt8(ascii: ",")) }
            follows[depth - 1] = true
        }

        func member(_ key: String, _ depth: Int) {
            element(depth)
            bytes.appendJSON(key)
            bytes.append(UInt8(ascii: ":"))
        }

        func add(_ number: some BinaryInteger) { bytes += String(number).utf8 }
        func add(_ flag: Bool) { bytes += (flag ? "true" : "false").utf8 }
        func addNull() { bytes += "null".utf8 }

        func add(_ number: some BinaryFloatingPoint & CustomStringConvertible) throws {
            guard number.isFinite else {
                throw EncodingError.invalidValue(
                    number, .init(codingPath: [], debugDescription: "\(number) is no number of JSON"))
            }
            bytes += number.description.utf8
        }

        func encode(_ value: some Encodable) throws {
            let (depth, start) = (closings.count, bytes.count)
            try value.encode(to: Encoder(place: self))
            close(to: depth)
            // Nothing was said of it: as JSONEncoder has it.
            if bytes.count == start { bytes += "{}".utf8 }
        }
    }

    private struct Encoder: Swift.Encoder, SingleValueEncodingContainer {
        let place: Place
        var codingPath: [any CodingKey] { [] }
        var userInfo: [CodingUserInfoKey: Any] { [:] }

        func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
            KeyedEncodingContainer(Members(place))
        }

        func unkeyedContainer() -> any UnkeyedEncodingContainer { Elements(place) }
        func singleValueContainer() -> any SingleValueEncodingContainer { self }

        func encodeNil() { place.addNull() }
        func encode(_ value: Bool) { place.add(value) }
        func encode(_ value: String) { place.bytes.appendJSON(value) }
        func encode(_ value: Double) throws { try place.add(value) }
        func encode(_ value: Float) throws { try place.add(value) }
        func encode(_ value: Int) { place.add(value) }
        func encode(_ value: Int8) { place.add(value) }
        func encode(_ value: Int16) { place.add(value) }
        func encode(_ value: Int32) { place.add(value) }
        func encode(_ value: Int64) { place.add(value) }
        func encode(_ value: UInt) { place.add(value) }
        func encode(_ value: UInt8) { place.add(value) }
        func encode(_ value: UInt16) { place.add(value) }
        func encode(_ value: UInt32) { place.add(value) }
        func encode(_ value: UInt64) { place.add(value) }
        func encode(_ value: some Encodable) throws { try place.encode(value) }
    }

    private struct Members<Key: CodingKey>: KeyedEncodingContainerProtocol {
        let place: Place
        var codingPath: [any CodingKey] { [] }
        let depth: Int

        init(_ place: Place) {
            self.place = place
            depth = place.open(UInt8(ascii: "{"), UInt8(ascii: "}"))
        }

        private func member(_ key: Key) -> Place {
            place.member(key.stringValue, depth)
            return place
        }

        func encodeNil(forKey key: Key) { member(key).addNull() }
        func encode(_ value: Bool, forKey key: Key) { member(key).add(value) }
        func encode(_ value: String, forKey key: Key) { member(key).bytes.appendJSON(value) }
        func encode(_ value: Double, forKey key: Key) throws { try member(key).add(value) }
        func encode(_ value: Float, forKey key: Key) throws { try member(key).add(value) }
        func encode(_ value: Int, forKey key: Key) { member(key).add(value) }
        func encode(_ value: Int8, forKey key: Key) { member(key).add(value) }
        func encode(_ value: Int16, forKey key: Key) { member(key).add(value) }
        func encode(_ value: Int32, forKey key: Key) { member(key).add(value) }
        func encode(_ value: Int64, forKey key: Key) { member(key).add(value) }
        func encode(_ value: UInt, forKey key: Key) { member(key).add(value) }
        func encode(_ value: UInt8, forKey key: Key) { member(key).add(value) }
        func encode(_ value: UInt16, forKey key: Key) { member(key).add(value) }
        func encode(_ value: UInt32, forKey key: Key) { member(key).add(value) }
        func encode(_ value: UInt64, forKey key: Key) { member(key).add(value) }
        func encode(_ value: some Encodable, forKey key: Key) throws { try member(key).encode(value) }

        func nestedContainer<Inner: CodingKey>(
            keyedBy keyType: Inner.Type, forKey key: Key
        ) -> KeyedEncodingContainer<Inner> {
            KeyedEncodingContainer(Members<Inner>(member(key)))
        }

        func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer {
            Elements(member(key))
        }

        func superEncoder() -> any Swift.Encoder {
            place.member("super", depth)
            return Encoder(place: place)
        }

        func superEncoder(forKey key: Key) -> any Swift.Encoder {
            Encoder(place: member(key))
        }
    }

    private struct Elements: UnkeyedEncodingContainer {
        let place: Place
        var codingPath: [any CodingKey] { [] }
        let depth: Int
        private(set) var count = 0

        init(_ place: Place) {
            self.place = place
            depth = place.open(UInt8(ascii: "["), UInt8(ascii: "]"))
        }

        private mutating func element() -> Place {
            place.element(depth)
            count += 1
            return place
        }

        mutating func encodeNil() { element().addNull() }
        mutating func encode(_ value: Bool) { element().add(value) }
        mutating func encode(_ value: String) { element().bytes.appendJSON(value) }
        mutating func encode(_ value: Double) throws { try element().add(value) }
        mutating func encode(_ value: Float) throws { try element().add(value) }
        mutating func encode(_ value: Int) { element().add(value) }
        mutating func encode(_ value: Int8) { element().add(value) }
        mutating func encode(_ value: Int16) { element().add(value) }
        mutating func encode(_ value: Int32) { element().add(value) }
        mutating func encode(_ value: Int64) { element().add(value) }
        mutating func encode(_ value: UInt) { element().add(value) }
        mutating func encode(_ value: UInt8) { element().add(value) }
        mutating func encode(_ value: UInt16) { element().add(value) }
        mutating func encode(_ value: UInt32) { element().add(value) }
        mutating func encode(_ value: UInt64) { element().add(value) }
        mutating func encode(_ value: some Encodable) throws { try element().encode(value) }

        mutating func nestedContainer<Inner: CodingKey>(keyedBy keyType: Inner.Type) -> KeyedEncodingContainer<Inner> {
            KeyedEncodingContainer(Members<Inner>(element()))
        }

        mutating func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer { Elements(element()) }
        mutating func superEncoder() -> any Swift.Encoder { Encoder(place: element()) }
    }
}
