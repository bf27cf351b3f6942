import CSys
import Glibc

/// What of a source's metadata a target could not take (staging.md §4.4, step 5).
struct Degraded: OptionSet, Sendable {
    var rawValue: UInt8

    static let owner = Degraded(rawValue: 1)
    static let group = Degraded(rawValue: 2)
    static let attribute = Degraded(rawValue: 4)
    static let accessList = Degraded(rawValue: 8)
    static let hardLink = Degraded(rawValue: 16)
    static let time = Degraded(rawValue: 32)

    var shown: String {
        let names: [(Degraded, String)] = [
            (.owner, "owner"), (.group, "group"), (.attribute, "extended attribute"), (.accessList, "access list"),
            (.hardLink, "hard link"), (.time, "times"),
        ]
        return names.filter { contains($0.0) }.map(\.1).joined(separator: ", ")
    }
}

/// Makes a target's metadata those of its source, on descriptors.
struct MetadataCopy: ~Copyable {
    private let names = UnsafeMutablePointer<CChar>.allocate(capacity: bytesMax)
    private let value = UnsafeMutableRawPointer.allocate(byteCount: bytesMax, alignment: 16)
    private let uid = geteuid()
    private let groups: Set<gid_t>

    /// The kernel's limit, of a list as of a value.
    private static let bytesMax = 64 << 10
    private static let accessList = "system.posix_acl_access"

    init() {
        var groups = [gid_t](repeating: 0, count: max(0, Int(getgroups(0, nil))))
        let count = getgroups(Int32(groups.count), &groups)
        self.groups = Set(groups.prefix(max(0, Int(count)))).union([getegid()])
    }

    deinit {
        names.deallocate()
        value.deallocate()
    }

    /// - Parameters:
    ///   - group: the target's now.
    ///   - mode: the target's now.
    ///   - clears: the target may have attributes or a list of its own, which go.
    mutating func apply(
        _ status: stat, from source: Int32, to target: Int32, group: gid_t, mode: mode_t, clears: Bool
    ) throws(SystemFault) -> Degraded {
        var degraded: Degraded = []
        var bits = status.st_mode & 0o7777
        if status.st_uid != uid {
            degraded.insert(.owner)
            bits &= ~0o4000
        }
        if status.st_gid != group {
            if !groups.contains(status.st_gid) || fchown(target, uid_t.max, status.st_gid) != 0 {
                degraded.insert(.group)
                bits &= ~0o2000
            }
        }
        // Attributes of a user's need the right to write, which the mode may take away; the list follows the mode.
        let hasList = try copyAttributes(from: source, to: target, clears: clears, &degraded)
        if bits != mode & 0o7777 || status.st_gid != group || clears {
            _ = try check(fchmod(target, bits), "chmod")
        }
        if hasList { try copyList(Self.accessList, from: source, to: target, &degraded) }
        let times = [status.st_atim, status.st_mtim]
        if futimens(target, times) != 0 {
            // Only the owner may; the file is ours unless it was there before.
            guard errno == EPERM || errno == EACCES else { throw SystemFault("utimensat") }
            degraded.insert(.time)
        }
        return degraded
    }

    /// - Returns: whether the source has an access list.
    private mutating func copyAttributes(
        from source: Int32, to target: Int32, clears: Bool, _ degraded: inout Degraded
    ) throws(SystemFault) -> Bool {
        var present: Set<String> = []
        var hasList = false
        let length = bb_list_attributes(source, names, Self.bytesMax)
        if length < 0, errno != EOPNOTSUPP { throw SystemFault("listxattr") }
        var offset = 0
        while offset < length {
            let name = names + offset
            offset += strlen(name) + 1
            if strcmp(name, Self.accessList) == 0 {
                hasList = true
            } else if strncmp(name, "user.", 5) == 0 || strcmp(name, "system.posix_acl_default") == 0
                || strcmp(name, "system.nfs4_acl") == 0 || strcmp(name, "security.capability") == 0
            {
                let isList = strncmp(name, "system.", 7) == 0
                let count = bb_get_attribute(source, name, value, Self.bytesMax)
                // Taken away meanwhile: the source has changed, as the look afterwards will find.
                if count < 0, errno == ENODATA { continue }
                guard count >= 0, bb_set_attribute(target, name, value, count) == 0 else {
                    if errno == ENOSPC || errno == EDQUOT || errno == EIO { throw SystemFault("setxattr") }
                    degraded.insert(isList ? .accessList : .attribute)
                    continue
                }
                if clears { present.insert(String(cString: name)) }
            }
        }
        guard clears else { return hasList }
        let there = max(0, bb_list_attributes(target, names, Self.bytesMax))
        var extra: [String] = []
        offset = 0
        while offset < there {
            let name = String(cString: names + offset)
            offset += name.utf8.count + 1
            let isOurs = name.hasPrefix("user.") || name.hasPrefix("system.posix_acl_")
            if isOurs, !present.contains(name), !(hasList && name == Self.accessList) { extra.append(name) }
        }
        for name in extra { _ = bb_remove_attribute(target, name) }
        return hasList
    }

    /// What of the source's metadata a copy by another program lacks. Modes and times are looked at elsewhere.
    mutating func missing(
        _ status: stat, from source: Int32, in target: Int32, _ there: stat
    ) throws(SystemFault) -> Degraded {
        var degraded: Degraded = []
        if status.st_uid != there.st_uid { degraded.insert(.owner) }
        if status.st_gid != there.st_gid { degraded.insert(.group) }
        let length = bb_list_attributes(source, names, Self.bytesMax)
        if length < 0, errno != EOPNOTSUPP { throw SystemFault("listxattr") }
        var offset = 0
        while offset < length {
            let name = names + offset
            offset += strlen(name) + 1
            let isList = strncmp(name, "system.", 7) == 0
            guard isList || strncmp(name, "user.", 5) == 0 else { continue }
            let count = bb_get_attribute(source, name, value, Self.bytesMax)
            if count < 0, errno == ENODATA { continue }
            let other = UnsafeMutableRawPointer.allocate(byteCount: Self.bytesMax, alignment: 16)
            defer { other.deallocate() }
            guard count >= 0, bb_get_attribute(target, name, other, Self.bytesMax) == count,
                memcmp(value, other, count) == 0
            else {
                degraded.insert(isList ? .accessList : .attribute)
                continue
            }
        }
        return degraded
    }

    private mutating func copyList(
        _ name: String, from source: Int32, to target: Int32, _ degraded: inout Degraded
    ) throws(SystemFault) {
        let count = bb_get_attribute(source, name, value, Self.bytesMax)
        if count < 0, errno == ENODATA { return }
        guard count >= 0, bb_set_attribute(target, name, value, count) == 0 else {
            if errno == ENOSPC || errno == EDQUOT || errno == EIO { throw SystemFault("setxattr") }
            degraded.insert(.accessList)
            return
        }
    }
}
