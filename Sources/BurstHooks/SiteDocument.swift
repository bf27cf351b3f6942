package import BurstEngine
import BurstModel
import CJSONC

/// The JSON that `dw_wlm_cli` prints about a site (spec §5.3), read with json-c like Slurm does: its first key counts,
/// whatever its name; fields of a wrong type are as good as missing. What would end slurmctld is refused with a line.
package enum SiteDocument {
    package static func pools(_ text: String) -> PoolsReading {
        var reading = PoolsReading()
        let fault = each("pools", text, faults: &reading.faults) { record, faults in
            guard let name = string(record, "id") else {
                faults.append("a pool without id is left out")
                return
            }
            let granularity = integer(record, "granularity") ?? 1
            let quantity = max(0, integer(record, "quantity") ?? 0)
            var free = integer(record, "free")
            if let given = free, given > quantity {
                faults.append(
                    "Underflow on pool=\(PoolsDocument.line(name)): Free space=\(given) bigger than "
                        + "quantity=\(quantity), setting free space equal to quantity")
                free = quantity
            }
            let pool = ReportedPool(
                name: name, quantity: quantity, granularity: max(1, granularity), free: free.map { max(0, $0) })
            // Of two with the same name the last one holds.
            if let place = reading.pools.firstIndex(where: { $0.name == name }) {
                reading.pools[place] = pool
            } else {
                reading.pools.append(pool)
            }
        }
        if let fault { reading = PoolsReading(faults: reading.faults + [fault]) }
        if reading.pools.isEmpty, reading.faults.isEmpty { reading.faults = ["No DataWarp pools found"] }
        return reading
    }

    /// - Parameter userName: of an owner's number.
    package static func read(
        _ function: HookFunction, _ text: String, userName: (UInt32) -> String?
    ) -> SiteReading {
        var faults: [String] = []
        if function == .showInstances {
            var bytes: [Int64: UInt64] = [:]
            let fault = each("instances", text, faults: &faults) { record, _ in
                guard let session = integer(object(record, "links"), "session"),
                    let size = integer(object(record, "capacity"), "bytes"), size > 0
                else { return }
                let (sum, over) = bytes[session, default: 0].addingReportingOverflow(UInt64(size))
                bytes[session] = over ? .max : sum
            }
            return fault.map { .unreadable([$0]) } ?? .instances(bytes)
        }
        var sessions: [ReportedSession] = []
        let fault = each("sessions", text, faults: &faults) { record, _ in
            guard let token = string(record, "token"), !token.isEmpty else { return }
            let uid = integer(record, "owner").flatMap { UInt32(exactly: $0) } ?? 0
            sessions.append(
                ReportedSession(
                    id: integer(record, "id") ?? 0, token: token, uid: uid, userName: userName(uid) ?? "nobody",
                    created: integer(record, "created").map { Timestamp(seconds: $0) }))
        }
        return fault.map { .unreadable([$0]) } ?? .sessions(sessions)
    }

    /// Runs `take` for each record.
    /// - Returns: why the document cannot be read: one line.
    private static func each(
        _ what: String, _ text: String, faults: inout [String], _ take: (OpaquePointer?, inout [String]) -> Void
    ) -> String? {
        let bytes = rewritten(Array(text.utf8))
        let shown = "\"\(PoolsDocument.shown(bytes))\""
        func refusal(_ why: String) -> String { "show \(what): \(why) in \(shown)" }
        guard bytes.count <= PoolsDocument.bytesMax else {
            return "\(what): \(bytes.count) bytes, but at most \(PoolsDocument.bytesMax) are read"
        }
        guard !bytes.isEmpty, let tokener = json_tokener_new() else {
            return "json parser failed on \(shown)"
        }
        defer { json_tokener_free(tokener) }
        let root = bytes.withUnsafeBytes { raw in
            json_tokener_parse_ex(tokener, raw.baseAddress?.assumingMemoryBound(to: CChar.self), CInt(raw.count))
        }
        defer { json_object_put(root) }
        guard json_tokener_get_error(tokener) == json_tokener_success,
            json_object_is_type(root, json_type_object) != 0
        else { return "json parser failed on \(shown)" }
        var iterator = json_object_iter_begin(root)
        var end = json_object_iter_end(root)
        guard json_object_iter_equal(&iterator, &end) == 0 else { return refusal("no record") }
        let list = json_object_iter_peek_value(&iterator)
        guard json_object_is_type(list, json_type_array) != 0 else { return refusal("the first key has no list") }
        json_object_iter_next(&iterator)
        if json_object_iter_equal(&iterator, &end) == 0 { faults.append("Multiple \(what) objects: the first counts") }
        for index in 0..<min(json_object_array_length(list), PoolsDocument.poolsMax) {
            let record = json_object_array_get_idx(list, index)
            guard json_object_is_type(record, json_type_object) != 0 else {
                return refusal("record \(index + 1) is no object")
            }
            take(record, &faults)
        }
        return nil
    }

    /// As Python prints values: `u'x'` and `'x'` become `"x"`.
    private static func rewritten(_ bytes: [UInt8]) -> [UInt8] {
        let (quote, letter) = (UInt8(ascii: "'"), UInt8(ascii: "u"))
        var result: [UInt8] = []
        result.reserveCapacity(bytes.count)
        for (index, byte) in bytes.enumerated() {
            if byte == letter, index + 1 < bytes.count, bytes[index + 1] == quote { continue }
            result.append(byte == quote ? UInt8(ascii: "\"") : byte)
        }
        return result
    }

    // MARK: Fields

    private static func value(_ record: OpaquePointer?, _ key: String, _ type: json_type) -> OpaquePointer? {
        var value: OpaquePointer?
        guard record != nil, json_object_object_get_ex(record, key, &value) != 0,
            json_object_is_type(value, type) != 0
        else { return nil }
        return value
    }

    private static func object(_ record: OpaquePointer?, _ key: String) -> OpaquePointer? {
        value(record, key, json_type_object)
    }

    private static func string(_ record: OpaquePointer?, _ key: String) -> String? {
        value(record, key, json_type_string).map { PoolsDocument.string($0) }
    }

    private static func integer(_ record: OpaquePointer?, _ key: String) -> Int64? {
        value(record, key, json_type_int).map { json_object_get_int64($0) }
    }
}
