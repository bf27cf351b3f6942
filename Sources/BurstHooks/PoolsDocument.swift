package import BurstEngine
import CJSONC

/// The JSON text that `slurm_bb_pools` returns (spec §4.5), read with json-c like Slurm does. Where json-c would
/// silently change a number, a fault says so.
package enum PoolsDocument {
    /// Bytes; a longer document is refused.
    package static let bytesMax = 16 << 20
    /// Of pools, one line says that there are more.
    package static let poolsMax = 100_000
    /// How much of the document a fault shows, in bytes.
    private static let shownMax = 2048

    package static func read(_ text: String) -> PoolsReading {
        let bytes = Array(text.utf8)
        func refusal(_ why: String) -> PoolsReading {
            PoolsReading(faults: ["_bb_get_pools: \(why)"])
        }
        guard bytes.count <= bytesMax else {
            return refusal("\(bytes.count) bytes of pools, but at most \(bytesMax) are read")
        }
        let shown = "\"\(Self.shown(bytes))\""
        guard let tokener = json_tokener_new() else { return refusal("no memory") }
        defer { json_tokener_free(tokener) }
        let root = bytes.withUnsafeBytes { raw in
            // Without the NUL behind it, so that a lone number is no document, as in Slurm.
            json_tokener_parse_ex(tokener, raw.baseAddress?.assumingMemoryBound(to: CChar.self), CInt(raw.count))
        }
        defer { json_object_put(root) }
        guard !bytes.isEmpty, json_tokener_get_error(tokener) == json_tokener_success else {
            return refusal("Problem parsing \(shown): Failure during parsing")
        }
        var list: OpaquePointer?
        guard json_object_is_type(root, json_type_object) != 0, json_object_object_get_ex(root, "pools", &list) != 0,
            json_object_is_type(list, json_type_array) != 0
        else { return refusal("Did not find pools dictionary; problem parsing \(shown)") }
        let count = json_object_array_length(list)
        guard count > 0 else { return refusal("No pools found, problem parsing \(shown)") }
        var reading = PoolsReading()
        var places: [String: Int] = [:]
        for index in 0..<count {
            guard index < poolsMax else {
                reading.faults.append("_bb_get_pools: \(count) pools, but at most \(poolsMax) are read")
                break
            }
            let entry = self.entry(json_object_array_get_idx(list, index))
            // Of two with the same name the last one holds, in the place of the first.
            if let place = places[entry.pool.name] {
                reading.pools[place] = entry.pool
            } else {
                places[entry.pool.name] = reading.pools.count
                reading.pools.append(entry.pool)
            }
            reading.faults += entry.faults
            if entry.isBad {
                reading.faults.append("_bb_get_pools: Failed to parse pools: \(shown)")
                break
            }
        }
        return reading
    }

    private struct Entry {
        var pool = ReportedPool(name: "(null)", quantity: 0, granularity: 1)
        var faults: [String] = []
        /// Nothing behind it is read.
        var isBad = false
    }

    /// Fields are read in Slurm's order, up to the first bad one; what is missing has its default.
    private static func entry(_ object: OpaquePointer?) -> Entry {
        var entry = Entry()
        var id: OpaquePointer?
        guard json_object_is_type(object, json_type_object) != 0, json_object_object_get_ex(object, "id", &id) != 0,
            json_object_is_type(id, json_type_string) != 0
        else {
            entry.faults = ["_foreach_parse_pool: Failure parsing id"]
            entry.isBad = true
            return entry
        }
        entry.pool.name = string(id)
        func number(_ field: String, _ store: (inout ReportedPool, Int64) -> Void) -> Bool {
            var value: OpaquePointer?
            guard json_object_object_get_ex(object, field, &value) != 0 else { return true }
            guard json_object_is_type(value, json_type_int) != 0 else {
                entry.faults.append("_foreach_parse_pool: Failure parsing \(field)")
                entry.isBad = true
                return false
            }
            // json-c bends what does not fit: upwards to 2^64-1, downwards to -2^63.
            let number = json_object_get_int64(value)
            guard json_object_get_uint64(value) <= UInt64(Int64.max), number != Int64.min else {
                let what = "pool \(line(entry.pool.name)): it has to lie between -\(Int64.max) and \(Int64.max)"
                entry.faults.append("_foreach_parse_pool: Failure parsing \(field): \(what)")
                entry.isBad = true
                return false
            }
            store(&entry.pool, number)
            return true
        }
        if number("free", { $0.free = $1 }), number("granularity", { $0.granularity = $1 == 0 ? 1 : $1 }) {
            _ = number("quantity") { $0.quantity = $1 }
        }
        // As unsigned numbers, like Slurm compares them.
        if let free = entry.pool.free.map(UInt64.init(bitPattern:)),
            case let quantity = UInt64(bitPattern: entry.pool.quantity), free > quantity
        {
            let what = "Underflow on pool=\(line(entry.pool.name)): Free space=\(free) bigger than quantity=\(quantity)"
            if !entry.isBad { entry.faults.append("\(what), setting free space equal to quantity") }
            entry.pool.free = entry.pool.quantity
        }
        return entry
    }

    static func string(_ value: OpaquePointer?) -> String {
        guard let bytes = json_object_get_string(value) else { return "" }
        let count = Int(json_object_get_string_len(value))
        return bytes.withMemoryRebound(to: UInt8.self, capacity: count) {
            String(decoding: UnsafeBufferPointer(start: $0, count: count), as: UTF8.self)
        }
    }

    static func shown(_ bytes: [UInt8]) -> String {
        let text = line(String(decoding: bytes.prefix(shownMax), as: UTF8.self))
        return bytes.count > shownMax ? text + "..." : text
    }

    /// In one line.
    static func line(_ text: String) -> String {
        var line = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\n", "\u{B}", "\u{C}", "\u{85}", "\u{2028}", "\u{2029}": line += "\\n"
            case "\r": line += "\\r"
            default: line.unicodeScalars.append(scalar)
            }
        }
        return line
    }
}
