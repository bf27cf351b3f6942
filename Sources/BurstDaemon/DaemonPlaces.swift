import BurstClient
import Glibc

/// Where configuration, state and socket are unless an option says otherwise.
package enum DaemonPlaces {
    package static func config(uid: UInt32 = geteuid(), environment: [String: String]) -> String {
        ConfigPlaces.folder(uid: uid, environment: environment)
    }

    package static func state(uid: UInt32 = geteuid(), environment: [String: String]) -> String {
        if uid == 0 { return "/var/lib/burst" }
        let folder =
            ConfigPlaces.absolute("XDG_STATE_HOME", environment)
            ?? ConfigPlaces.home(uid, environment) + "/.local/state"
        return folder + "/burst"
    }

    /// Nil: an ordinary user without XDG_RUNTIME_DIR has no place for a socket.
    package static func socket(uid: UInt32 = geteuid(), environment: [String: String]) -> String? {
        SocketPlaces.own(uid: uid, environment: environment)
    }

    /// The environment; a name that stands twice counts as it stands first.
    package static var environment: [String: String] {
        var values: [String: String] = [:]
        var entry = environ
        while let text = entry.pointee {
            let pair = String(cString: text)
            if let equals = pair.firstIndex(of: "=") {
                let name = String(pair[..<equals])
                if values[name] == nil { values[name] = String(pair[pair.index(after: equals)...]) }
            }
            entry += 1
        }
        return values
    }

    /// A program of ours, beside the running one.
    package static func beside(_ name: String) -> String {
        let program = executable
        return program[..<(program.lastIndex(of: "/") ?? program.startIndex)] + "/" + name
    }

    package static var executable: String {
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = readlink("/proc/self/exe", &buffer, buffer.count)
        return String(decoding: buffer.prefix(max(0, count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
