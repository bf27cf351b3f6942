internal import BurstModel
import CSys
import FoundationEssentials

/// `.bb/pool.json`: what was decided when the pool was created, and where it stood (staging.md §4.2). An unmounted
/// pool has none.
struct PoolMark: Codable, Hashable, Sendable {
    static let version = 1
    static let file = "pool.json"

    var version = Self.version
    /// By chance; sessions remember it.
    var id: String
    var name: String
    var granularity: UInt64
    var quantity: UInt64
    var driver: String
    var image: String
    /// `uuid:...` or, where the file system has none, `fsid:...`.
    var fileSystem: String
    /// It was created on the root file system on purpose.
    var isOnRoot: Bool
    /// Milliseconds since 1970.
    var createdAt: Int64

    /// The name of a folder's file system.
    static func fileSystem(_ facts: bb_file_system) -> String {
        func hex(_ value: some FixedWidthInteger, _ digits: Int) -> String {
            let text = String(value, radix: 16)
            return String(repeating: "0", count: max(0, digits - text.count)) + text
        }
        guard facts.has_uuid != 0 else { return "fsid:\(hex(facts.type, 8)):\(hex(facts.fsid, 16))" }
        let bytes = withUnsafeBytes(of: facts.uuid) { Array($0) }
        return "uuid:" + bytes.map { hex($0, 2) }.joined()
    }
}

/// `.bb/records/ID.GENERATION.json`: a buffer that holds granules, from before its first step until after the last of
/// its data is gone. It moves to quarantine with the buffer.
struct BufferRecord: Codable, Hashable, Sendable {
    static let version = 1
    static let file = "record.json"

    var version = Self.version
    var id: UInt64
    var generation: UInt64
    var uid: UInt32
    var gid: UInt32
    /// What was asked for; the limit is in whole granules.
    var bytes: UInt64
    var granules: UInt64
    var inodes: UInt64
    var isPersistent: Bool
    var isGroupShared: Bool
    var isReady = false
    /// Milliseconds since 1970.
    var createdAt: Int64
    /// The run of the machine, where the data are in memory.
    var boot: String?
    /// The project, where one limits it.
    var project: UInt32?
    /// What its file system took for itself while it was empty, bytes.
    var overhead: UInt64?
    /// The subvolume, where it is one.
    var subvolume: UInt64?

    var name: PoolInventory.Name { PoolInventory.Name(id: id, generation: generation) }
}

/// JSON of small values of ours.
enum Document {
    static func bytes(_ value: some Encodable) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        guard let data = try? encoder.encode(value) else {
            preconditionFailure("plain numbers and texts can be encoded")
        }
        return Array(data) + [0x0a]
    }

    static func value<Value: Decodable>(
        _ type: Value.Type, _ bytes: [UInt8], version: Int, _ place: String
    ) throws(PoolFault) -> Value {
        let decoder = JSONDecoder()
        let data = Data(bytes)
        guard let found = try? decoder.decode(DocumentVersion.self, from: data) else {
            throw PoolFault(.damaged, place, "is damaged", "it has to be as it was written, JSON with a version")
        }
        guard found.version == version else {
            throw PoolFault(
                .damaged, place, "has version \(found.version)", "this program knows version \(version)")
        }
        guard let value = try? decoder.decode(type, from: data) else {
            throw PoolFault(.damaged, place, "is damaged", "it has to be as it was written")
        }
        return value
    }
}

/// What every version of a document has.
private struct DocumentVersion: Decodable {
    var version: Int
}
