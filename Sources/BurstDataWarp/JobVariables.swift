/// What `paths` writes for the job's environment: a line `NAME=VALUE` for each mounted buffer (staging.md §1.6).
package struct JobVariables: Sendable {
    package enum Mounted: Hashable, Sendable {
        case striped
        case `private`
        case stripedCache
        case balancedCache
        case persistent(BufferName)

        package var variable: String {
            switch self {
            case .striped: "DW_JOB_STRIPED"
            case .private: "DW_JOB_PRIVATE"
            case .stripedCache: "DW_JOB_STRIPED_CACHE"
            case .balancedCache: "DW_JOB_LDBAL_CACHE"
            case .persistent(let name): name.variable
            }
        }

        /// The folder's own name: site scripts take the token from it, up to the first `_`.
        /// - Parameter token: of the session; a persistent buffer's is its name.
        package func folderName(token: String) -> String {
            switch self {
            case .striped, .persistent: token + "_striped_scratch"
            case .private: token + "_private_scratch"
            case .stripedCache: token + "_striped_cache"
            case .balancedCache: token + "_ldbalance_cache"
            }
        }
    }

    package struct Mount: Hashable, Sendable {
        package var mounted: Mounted
        /// Where the job finds it; absolute.
        package var path: String
        /// `name=` of `jobdw`.
        package var name: BufferName?

        package init(_ mounted: Mounted, path: String, name: BufferName? = nil) {
            self.mounted = mounted
            self.path = path
            self.name = name
        }
    }

    /// What of a plan gets mounted, without the paths.
    package static func mounted(of plan: StagePlan) -> [(mounted: Mounted, name: BufferName?)] {
        var mounted: [(mounted: Mounted, name: BufferName?)] = []
        for buffer in plan.jobBuffers {
            for mode in buffer.modes.choices.map(\.mode) {
                switch (buffer.kind, mode) {
                case (.scratch, .striped): mounted.append((.striped, buffer.name))
                case (.scratch, .private): mounted.append((.private, buffer.name))
                case (.cache, .ldbalance): mounted.append((.balancedCache, buffer.name))
                case (.cache, .striped): mounted.append((.stripedCache, buffer.name))
                // The reader refuses both.
                case (.scratch, .ldbalance), (.cache, .private): break
                }
            }
        }
        return mounted + plan.attachments.map { (.persistent($0.name), nil) }
    }

    /// Names with their values, in the order of the mounts; no name twice.
    package let pairs: [(name: String, value: String)]

    /// The file's text: ends with a line feed, empty without mounts.
    package var lines: String { pairs.map { "\($0.name)=\($0.value)\n" }.joined() }

    /// - Parameters:
    ///   - token: of the session, for Rabbit's set.
    ///   - withRabbit: also the variables of HPE's Rabbit: `DW_JOB_name`, `DW_PERSISTENT_name`, `DW_WORKFLOW_NAME`,
    ///     `DW_WORKFLOW_NAMESPACE`.
    /// - Throws: a path that the file cannot hold: lines end it, and Slurm counts `=` to size its list.
    package init(token: String, mounts: [Mount], withRabbit: Bool = false) throws(ErrorLine) {
        var pairs: [(name: String, value: String)] = []
        var names: Set<String> = []
        func add(_ name: String, _ value: String) {
            if names.insert(name).inserted { pairs.append((name, value)) }
        }
        for mount in mounts {
            let value = try Self.value(mount.path)
            add(mount.mounted.variable, value)
            guard withRabbit else { continue }
            if let name = mount.name { add("DW_JOB_" + name.variablePart, value) }
            if case .persistent(let name) = mount.mounted { add("DW_PERSISTENT_" + name.variablePart, value) }
        }
        if withRabbit {
            guard token.utf8.allSatisfy(BufferName.isAllowed) else {
                throw ErrorLine("token \(ErrorLine.name(token)) cannot be the name of a workflow")
            }
            add("DW_WORKFLOW_NAME", token)
            add("DW_WORKFLOW_NAMESPACE", "default")
        }
        self.pairs = pairs
    }

    /// With `/` at the end: scripts write `${DW_JOB_STRIPED}file`.
    private static func value(_ path: String) throws(ErrorLine) -> String {
        let bytes = path.utf8
        guard bytes.first == UInt8(ascii: "/"), bytes.count < DirectiveLimits.pathBytesMax,
            !bytes.contains(where: { ByteText.isControl($0) || $0 == 0x09 || $0 == UInt8(ascii: "=") })
        else {
            throw ErrorLine(
                "mount path \(ErrorLine.name(path)): a job is given absolute paths without = and control characters")
        }
        return bytes.last == UInt8(ascii: "/") ? path : path + "/"
    }
}
