internal import Glibc

/// Where configuration is unless `--config` says otherwise (DESIGN.md, "Where things live at run time").
package enum ConfigPlaces {
    package static func folder(uid: UInt32 = geteuid(), environment: [String: String]) -> String {
        if uid == 0 { return "/etc/burst" }
        return (absolute("XDG_CONFIG_HOME", environment) ?? home(uid, environment) + "/.config") + "/burst"
    }

    /// What the XDG base directory specification says: a relative one counts for nothing.
    package static func absolute(_ name: String, _ environment: [String: String]) -> String? {
        environment[name].flatMap { $0.hasPrefix("/") ? $0 : nil }
    }

    package static func home(_ uid: UInt32, _ environment: [String: String]) -> String {
        if let home = absolute("HOME", environment) { return home }
        return getpwuid(uid).map { String(cString: $0.pointee.pw_dir) } ?? ""
    }
}
