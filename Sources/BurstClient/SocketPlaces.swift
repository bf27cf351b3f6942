internal import Glibc

/// Where `burstd` listens (DESIGN.md, "Where things live at run time").
package enum SocketPlaces {
    package static let system = "/run/burst/burstd.sock"

    /// Root's, or that of the user, which needs XDG_RUNTIME_DIR; nil without it.
    package static func own(uid: UInt32 = geteuid(), environment: [String: String]) -> String? {
        if uid == 0 { return system }
        guard let folder = environment["XDG_RUNTIME_DIR"], folder.hasPrefix("/") else { return nil }
        return folder + "/burst/burstd.sock"
    }

    /// Where a client looks: `BURST_SOCKET`; else the user's own engine where there is one; else the machine's.
    package static func client(uid: UInt32 = geteuid(), environment: [String: String]) -> String {
        if let named = environment["BURST_SOCKET"], !named.isEmpty { return named }
        if let own = own(uid: uid, environment: environment), access(own, F_OK) == 0 { return own }
        return system
    }

    /// What the stager keeps beside its socket for those who must not wait for it (staging.md §4.1, §1.10):
    /// - `pools`: for `slurm_bb_pools`: a line with the time, in seconds since 1970, and the JSON behind it; written
    ///   anew every 10 s and at every change;
    /// - `listing`: which sessions there are, for `show_sessions` and its like while the daemon is away: a line for
    ///   each that came to be or ended;
    /// - `dwstat`: its tables as they were last, for the same time;
    /// - `paths/TOKEN`: for `slurm_bb_paths`: `KEY=VALUE` lines, from setup to teardown.
    package static func stagerFolder(socket: String) -> String {
        String(socket[..<(socket.lastIndex(of: "/") ?? socket.startIndex)]) + "/stager"
    }
}
