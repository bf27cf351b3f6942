import Glibc

/// The groups that users are in, asked of the system's name service and remembered for a while (Slurm remembers them
/// for GroupUpdateTime, ten minutes; a minute is enough here).
struct UserGroups {
    static let secondsMax = 60
    static let usersMax = 1000
    /// As in burst-stepd. A user who is in more loses the last ones.
    static let groupsMax = 1024

    private struct Known {
        var groups: [UInt32]
        var at: Int
    }

    private struct Key: Hashable {
        var user: String
        var gid: UInt32
    }

    private var known: [Key: Known] = [:]

    /// All of a user's groups, `gid` among them. Of a user whom the name service does not know, `gid` alone.
    mutating func of(_ user: String, _ gid: UInt32) -> [UInt32] {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        let key = Key(user: user, gid: gid)
        if let known = known[key], time.tv_sec - known.at < Self.secondsMax { return known.groups }
        var groups = [gid_t](repeating: 0, count: Self.groupsMax)
        var count = Int32(groups.count)
        _ = getgrouplist(user, gid, &groups, &count)
        let found = Array(groups.prefix(Int(min(max(count, 0), Int32(Self.groupsMax)))))
        if known.count >= Self.usersMax { known = [:] }
        known[key] = Known(groups: found.isEmpty ? [gid] : found, at: time.tv_sec)
        return known[key]?.groups ?? [gid]
    }
}
