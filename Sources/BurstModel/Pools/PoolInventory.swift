/// What really lies in a pool: value of a moment, compared with what the engine knows.
package struct PoolInventory: Hashable, Sendable {
    /// A buffer's name in the pool: `ID.GENERATION`, the engine's numbers (staging.md §4.2).
    package struct Name: Hashable, Comparable, Sendable, CustomStringConvertible {
        package var id: UInt64
        package var generation: UInt64

        package init(id: UInt64, generation: UInt64) {
            self.id = id
            self.generation = generation
        }

        package init?(_ text: some StringProtocol) {
            let parts = text.split(separator: ".", omittingEmptySubsequences: false)
            guard parts.count == 2, let id = UInt64(parts[0]), let generation = UInt64(parts[1]) else { return nil }
            self.init(id: id, generation: generation)
            // One way to write it.
            guard description == text else { return nil }
        }

        package var description: String { "\(id).\(generation)" }

        package static func < (left: Name, right: Name) -> Bool {
            (left.id, left.generation) < (right.id, right.generation)
        }
    }

    package struct Buffer: Hashable, Sendable {
        package var name: Name
        /// What it holds of the pool, bytes: whole granules.
        package var bytes: UInt64
        package var createdAt: Timestamp
        package var isPersistent: Bool
        /// All steps of its allocation were done.
        package var isReady: Bool
        /// There is nothing where its data were: memory, and the machine has restarted.
        package var isLost: Bool
        /// Its file system is not mounted.
        package var isUnmounted: Bool

        package init(
            name: Name, bytes: UInt64, createdAt: Timestamp, isPersistent: Bool = false, isReady: Bool = true,
            isLost: Bool = false, isUnmounted: Bool = false
        ) {
            self.name = name
            self.bytes = bytes
            self.createdAt = createdAt
            self.isPersistent = isPersistent
            self.isReady = isReady
            self.isLost = isLost
            self.isUnmounted = isUnmounted
        }
    }

    package struct Quarantined: Hashable, Sendable {
        /// The folder's name below `.bb/quarantine`.
        package var entry: String
        package var bytes: UInt64
        package var since: Timestamp
        /// The move was begun and is not whole: parts of the buffer still stand in their old place.
        package var isUnfinished: Bool

        package init(entry: String, bytes: UInt64, since: Timestamp, isUnfinished: Bool = false) {
            self.entry = entry
            self.bytes = bytes
            self.since = since
            self.isUnfinished = isUnfinished
        }
    }

    /// Something that no record speaks of.
    package struct Stray: Hashable, Sendable {
        /// A path, a device or a number, as the repair needs it.
        package var name: String
        package var bytes: UInt64
        /// Where it has a time of its own.
        package var since: Timestamp?

        package init(name: String, bytes: UInt64 = 0, since: Timestamp? = nil) {
            self.name = name
            self.bytes = bytes
            self.since = since
        }
    }

    package var buffers: [Buffer] = []
    package var quarantined: [Quarantined] = []
    /// Names in `mnt/`: what `DW_JOB_STRIPED` and others point to.
    package var exposed: [Stray] = []
    /// In `buffers/`, without a record.
    package var directories: [Stray] = []
    /// In `.bb/images`, without a record.
    package var images: [Stray] = []
    /// Mounts below the pool that belong to no buffer and to no name in `mnt/`.
    package var mounts: [Stray] = []
    /// Loop devices on files of the pool that belong to no buffer, or on files that are gone.
    package var loops: [Stray] = []
    /// Project numbers with a limit and without a buffer.
    package var projects: [Stray] = []
    /// Quota groups whose subvolume is gone.
    package var groups: [Stray] = []

    package init() {}
}

/// What the engine knows of.
package struct KnownSession: Hashable, Sendable {
    package var name: PoolInventory.Name
    /// Names that its buffer may have in `mnt/`.
    package var exposed: [String]

    package init(name: PoolInventory.Name, exposed: [String] = []) {
        self.name = name
        self.exposed = exposed
    }
}

/// A difference between what the engine knows and what lies in a pool (staging.md §4.6, reconciler).
package struct Leak: Hashable, Sendable, CustomStringConvertible {
    package enum Kind: String, Hashable, Sendable, CaseIterable {
        /// A session has no buffer. Nothing can be repaired here.
        case missingBuffer = "missing-buffer"
        /// Its data were in memory, and the machine has restarted.
        case lostBuffer = "lost-buffer"
        /// Its file system is not mounted.
        case unmountedBuffer = "unmounted-buffer"
        /// No session knows it.
        case unknownBuffer = "unknown-buffer"
        /// Its allocation was never finished, and no session knows it.
        case halfAllocated = "half-allocated"
        /// A teardown was begun and not finished.
        case unfinishedRelease = "unfinished-release"
        /// Torn down, and still not removed.
        case quarantine
        case strayDirectory = "stray-directory"
        case strayImage = "stray-image"
        /// A name in `mnt/` that no session has.
        case strayName = "stray-name"
        case strayMount = "stray-mount"
        case strayLoop = "stray-loop"
        case strayProject = "stray-project"
        case strayGroup = "stray-group"
    }

    /// What is safe to do; see `PoolFolder.repair`.
    package enum Repair: String, Hashable, Sendable {
        /// A person, or the engine, has to decide.
        case none
        case mount
        case quarantine
        case finishRelease = "finish-release"
        case remove
        case unmount
        case detach
        case forget
    }

    package var kind: Kind
    /// What it is about: a buffer's name, a path, a device, a number.
    package var name: String
    /// nil: not known.
    package var ageSeconds: Int?
    package var bytes: UInt64
    package var repair: Repair

    package init(kind: Kind, name: String, ageSeconds: Int?, bytes: UInt64, repair: Repair) {
        self.kind = kind
        self.name = name
        self.ageSeconds = ageSeconds
        self.bytes = bytes
        self.repair = repair
    }

    /// One line, without the pool.
    package var description: String {
        let age = ageSeconds.map { "since \(Age.short(seconds: $0))" } ?? "age unknown"
        return "\(kind.rawValue): \(name) (\(PoolText.size(bytes)), \(age); repair: \(repair.rawValue))"
    }
}

/// Finds the leaks. Pure: the engine's list and the inventory of the same moment go in.
package enum Reconciliation {
    /// - Parameters:
    ///   - graceSeconds: what is younger is being made or removed right now, and is no leak.
    /// - Returns: in the order of the classes, then by name.
    package static func leaks(
        known: [KnownSession], found: PoolInventory, now: Timestamp, graceSeconds: Int = 60
    ) -> [Leak] {
        var leaks: [Leak] = []
        let knownNames = Set(known.map(\.name))
        let foundNames = Set(found.buffers.map(\.name))
        func add(
            _ kind: Leak.Kind, _ name: String, _ bytes: UInt64, _ since: Timestamp?, _ repair: Leak.Repair,
            isOfMoment: Bool = true
        ) {
            let age = since.map { max(0, now.seconds(since: $0)) }
            if isOfMoment, let age, age < graceSeconds { return }
            leaks.append(Leak(kind: kind, name: name, ageSeconds: age, bytes: bytes, repair: repair))
        }
        for session in known where !foundNames.contains(session.name) {
            add(.missingBuffer, session.name.description, 0, nil, .none)
        }
        for buffer in found.buffers {
            let name = buffer.name.description
            guard knownNames.contains(buffer.name) else {
                // Persistent ones are never removed of our own accord.
                let repair: Leak.Repair = buffer.isPersistent ? .none : .quarantine
                add(buffer.isReady ? .unknownBuffer : .halfAllocated, name, buffer.bytes, buffer.createdAt, repair)
                continue
            }
            if buffer.isLost {
                add(.lostBuffer, name, buffer.bytes, buffer.createdAt, .none, isOfMoment: false)
            } else if buffer.isUnmounted, buffer.isReady {
                add(.unmountedBuffer, name, buffer.bytes, buffer.createdAt, .mount, isOfMoment: false)
            }
        }
        for entry in found.quarantined {
            let repair: Leak.Repair = entry.isUnfinished ? .finishRelease : .remove
            add(entry.isUnfinished ? .unfinishedRelease : .quarantine, entry.entry, entry.bytes, entry.since, repair)
        }
        let exposed = Set(known.flatMap(\.exposed))
        for name in found.exposed where !exposed.contains(name.name) {
            add(.strayName, name.name, name.bytes, name.since, .unmount)
        }
        let strays: [(Leak.Kind, [PoolInventory.Stray], Leak.Repair)] = [
            (.strayDirectory, found.directories, .quarantine), (.strayImage, found.images, .remove),
            (.strayMount, found.mounts, .unmount), (.strayLoop, found.loops, .detach),
            (.strayProject, found.projects, .forget), (.strayGroup, found.groups, .forget),
        ]
        for (kind, list, repair) in strays {
            for stray in list { add(kind, stray.name, stray.bytes, stray.since, repair) }
        }
        let order = Dictionary(uniqueKeysWithValues: Leak.Kind.allCases.enumerated().map { ($0.element, $0.offset) })
        return leaks.sorted { (order[$0.kind] ?? 0, $0.name) < (order[$1.kind] ?? 0, $1.name) }
    }
}
