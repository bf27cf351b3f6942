import BurstModel

extension Board {
    /// The figures are not those of now, or there are none.
    var isStale: Bool {
        switch health {
        case .live, .noPlugin: burst == nil && health != .noPlugin
        case .connecting, .stale: true
        }
    }

    /// Why there are no figures, or only old ones, in one line.
    var whyStale: String? {
        switch health {
        case .stale(let reason, _, _, _): reason.isEmpty ? "no answer" : reason
        case .noPlugin: "no burst buffer plugin is configured"
        case .connecting: "no answer yet"
        case .live: burst == nil ? "no answer yet" : nil
        }
    }

    /// Names of pools, with the plugin where that alone tells them apart.
    func name(_ pool: Pool) -> String {
        let isAmbiguous = poolRows.contains { $0.pool.name == pool.name && $0.pool.plugin != pool.plugin }
        return isAmbiguous ? "\(pool.plugin)/\(pool.name)" : pool.name
    }
}

extension Severity {
    /// As data: `info`, `warn`, `crit`.
    var label: String { word.lowercased() }
}

extension Subject {
    /// What kind of thing, as data.
    var kind: String {
        switch self {
        case .buffer: "buffer"
        case .job: "job"
        case .pool: "pool"
        case .user: "user"
        case .controller: "controller"
        }
    }
}

extension String {
    /// In printable ASCII and one line: everything else becomes `?`, line ends become blanks.
    var asciiLine: String {
        if utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7f }) { return self }
        return String(
            map { character in
                if character.isNewline || character == "\t" { return " " }
                guard let byte = character.asciiValue, byte >= 0x20, byte < 0x7f else { return "?" }
                return character
            })
    }

    /// Blanks added at the end.
    func left(_ width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }

    /// Blanks added before.
    func right(_ width: Int) -> String { String(repeating: " ", count: max(0, width - count)) + self }
}
