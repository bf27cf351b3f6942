package import BurstModel
import CSys
import Glibc
import Synchronization

/// Who may use a buffer beside its owner: access lists of its folder, and of what is made in it from then on.
package struct BufferAccess: Hashable, Sendable {
    package var everyone: Bool
    package var users: Set<UInt32>
    package var groups: Set<UInt32>

    package init(everyone: Bool = false, users: Set<UInt32> = [], groups: Set<UInt32> = []) {
        self.everyone = everyone
        self.users = users
        self.groups = groups
    }

    var isEmpty: Bool { !everyone && users.isEmpty && groups.isEmpty }

    private enum Tag {
        static let owner: UInt16 = 0x01
        static let user: UInt16 = 0x02
        static let owningGroup: UInt16 = 0x04
        static let group: UInt16 = 0x08
        static let mask: UInt16 = 0x10
        static let others: UInt16 = 0x20
    }

    private static let version: UInt32 = 2
    private static let all: UInt16 = 7
    private static let noID: UInt32 = .max

    /// The value of `system.posix_acl_access`, as the kernel reads it: a version, then an entry each of tag, rights and
    /// id, little-endian, in the order of the tags and then of the ids.
    var attribute: [UInt8] {
        var bytes: [UInt8] = []
        func put<Number: FixedWidthInteger>(_ number: Number) {
            withUnsafeBytes(of: number.littleEndian) { bytes += $0 }
        }
        func entry(_ tag: UInt16, _ rights: UInt16, _ id: UInt32) {
            put(tag)
            put(rights)
            put(id)
        }
        put(Self.version)
        entry(Tag.owner, Self.all, Self.noID)
        for user in users.sorted() { entry(Tag.user, Self.all, user) }
        entry(Tag.owningGroup, 0, Self.noID)
        for group in groups.sorted() { entry(Tag.group, Self.all, group) }
        entry(Tag.mask, Self.all, Self.noID)
        entry(Tag.others, everyone ? Self.all : 0, Self.noID)
        return bytes
    }
}

extension PoolFolder {
    /// Opens `data/striped` of a buffer: what copies begin at. The caller closes it.
    package func openData(_ name: PoolInventory.Name) throws(PoolFault) -> Int32 {
        guard folder(of: name) != nil else {
            throw PoolFault(.noBuffer, "buffer \(name)", "is not there", "tear the session down")
        }
        let top = try place.buffer(name)
        let striped = try Files.openFolder(top, "data/striped", place.path(of: name))
        let copy = fcntl(striped.number, F_DUPFD_CLOEXEC, 3)
        guard copy >= 0 else { throw .system(place.path(of: name), "be opened") }
        return copy
    }

    /// Sets who may use a buffer beside its owner. What was made in it before keeps its rights.
    package func grant(_ name: PoolInventory.Name, to access: BufferAccess) throws(PoolFault) {
        try claiming(name) { () throws(PoolFault) in
            let record = try record(name)
            let path = place.path(of: name)
            let striped = try Files.openFolder(try place.buffer(name), "data/striped", path)
            func fail() -> PoolFault { .system("\(path)/data/striped", "be opened to others") }
            if access.isEmpty {
                for attribute in ["system.posix_acl_access", "system.posix_acl_default"] {
                    guard
                        bb_remove_attribute(striped.number, attribute) == 0 || errno == ENODATA || errno == EOPNOTSUPP
                    else { throw fail() }
                }
                guard fchmod(striped.number, record.isGroupShared ? 0o2770 : 0o700) == 0 else { throw fail() }
                return
            }
            // The owner may use what others make in it: there he is no owner.
            var access = access
            access.users.insert(record.uid)
            let value = access.attribute
            for attribute in ["system.posix_acl_access", "system.posix_acl_default"] {
                guard bb_set_attribute(striped.number, attribute, value, value.count) == 0 else { throw fail() }
            }
        }
    }

    /// Removes what is in quarantine of one buffer. Takes as long as it takes.
    /// - Returns: why something is left for later; nil: nothing is left, or nothing was there.
    package func removeQuarantined(of name: PoolInventory.Name) -> String? {
        for entry in state.withLock({ $0.quarantined.keys.filter { $0.hasPrefix("\(name).") } }).sorted() {
            do throws(PoolFault) {
                if case .later(let reason) = try removeEntry(entry) { return reason }
            } catch {
                return error.description
            }
        }
        return nil
    }
}
