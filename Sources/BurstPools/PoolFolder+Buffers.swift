package import BurstModel
import CSys
import Glibc
import Synchronization

/// What a session asks of a pool.
package struct PoolRequest: Hashable, Sendable {
    package var name: PoolInventory.Name
    package var uid: UInt32
    package var gid: UInt32
    package var bytes: UInt64
    /// Never removed of our own accord.
    package var isPersistent: Bool
    /// The group may read and write too.
    package var isGroupShared: Bool

    package init(
        id: UInt64, generation: UInt64, uid: UInt32, gid: UInt32, bytes: UInt64, isPersistent: Bool = false,
        isGroupShared: Bool = false
    ) {
        self.name = PoolInventory.Name(id: id, generation: generation)
        self.uid = uid
        self.gid = gid
        self.bytes = bytes
        self.isPersistent = isPersistent
        self.isGroupShared = isGroupShared
    }
}

/// Where the parts of a buffer lie (staging.md §4.2). Absolute paths.
package struct BufferFolder: Hashable, Sendable {
    package var name: PoolInventory.Name
    /// `buffers/ID.GENERATION`
    package var path: String
    /// What it may hold, bytes: whole granules.
    package var bytes: UInt64
    package var inodes: UInt64

    package var striped: String { path + "/data/striped" }
    /// One folder a host, made by `PoolFolder.makePrivate`.
    package var privates: String { path + "/data/private" }
    package var stage: String { path + "/stage" }
}

/// Why there is no room.
package enum Fullness: Hashable, Sendable {
    case room
    /// The buffer has reached its own limit.
    case buffer(used: UInt64, of: UInt64)
    case bufferInodes(used: UInt64, of: UInt64)
    /// The file system that all buffers of the pool share has nothing left.
    case pool(freeBytes: UInt64, freeInodes: UInt64)
}

extension PoolFolder {
    /// Names of hosts, of sessions and of folders have the same rule.
    private static let privatesMode: mode_t = 0o711

    /// Makes a buffer with its limit, or what is missing of it.
    ///
    /// A buffer that is there and was asked for in the same words is returned as it is.
    /// - Throws: `poolFull` before anything is done; else what the system says, and what was made goes to quarantine.
    package func allocate(_ request: PoolRequest, now: Timestamp) throws(PoolFault) -> BufferFolder {
        try claiming(request.name) { () throws(PoolFault) -> BufferFolder in
            // What another life of that name has left in its place is not passed on to this one.
            try finishReleases(of: request.name)
            var record = try reserve(request, now)
            if record.isReady {
                switch capacity.presence(record, place) {
                case .here: return folder(record)
                case .lost:
                    throw PoolFault(
                        .lost, "buffer \(record.name)", "was in memory, which the restart of the machine has emptied",
                        "tear it down")
                case .absent, .unmounted: break
                }
            }
            do throws(PoolFault) {
                place.step("write the record")
                try save(record)
                try capacity.allocate(&record, place)
                place.step("write what was made")
                try save(record)
                try makeTree(record)
                place.step("make it last")
                try capacity.settle(record, place)
                record.isReady = true
                place.step("write that it is ready")
                try save(record)
                return folder(record)
            } catch {
                // What cannot be made whole holds no granules longer than need be. One that was ready keeps its data.
                if !record.isReady { try? releaseClaimed(record.name, now) }
                throw error
            }
        }
    }

    /// The record of a buffer, a new one if there are granules for it.
    private func reserve(_ request: PoolRequest, _ now: Timestamp) throws(PoolFault) -> BufferRecord {
        let granules = PoolAccount.granules(bytes: request.bytes, granularity: settings.granularity)
        guard !granules.multipliedReportingOverflow(by: settings.granularity).overflow else {
            throw PoolFault(.impossible, "buffer \(request.name)", "is larger than 2^64-1 bytes", "ask for less")
        }
        let inodes = max(1, granules * settings.granularity / settings.bytesPerInode)
        var wanted = BufferRecord(
            id: request.name.id, generation: request.name.generation, uid: request.uid, gid: request.gid,
            bytes: request.bytes, granules: granules, inodes: inodes, isPersistent: request.isPersistent,
            isGroupShared: request.isGroupShared, createdAt: now.milliseconds)
        let driver = driver
        let fault: PoolFault? = state.withLock { state in
            if let known = state.records[request.name] {
                guard known.uid == request.uid, known.gid == request.gid, known.bytes == request.bytes,
                    known.isPersistent == request.isPersistent, known.isGroupShared == request.isGroupShared
                else {
                    return PoolFault(
                        .impossible, "buffer \(request.name)", "is there with another owner or size",
                        "use another generation")
                }
                wanted = known
                return nil
            }
            let account = account(of: state)
            guard granules <= account.free else {
                let size = PoolText.size(settings.granularity)
                return PoolFault(
                    .poolFull, "pool \(settings.name)",
                    "has \(account.free) granules of \(size) free (\(account.quarantined) are still being removed)",
                    "\(granules) are needed")
            }
            if driver == .xfsQuota || driver == .ext4Quota {
                // Numbers of what is in quarantine stay in use until they are forgotten there.
                let ofEntries = state.quarantined.keys.compactMap { Self.entryRecord($0, place)?.project }
                let used = Set(state.records.values.compactMap(\.project) + ofEntries)
                wanted.project = (ProjectDriver.projectFirst...ProjectDriver.projectLast).first { !used.contains($0) }
            }
            state.records[request.name] = wanted
            return nil
        }
        if let fault { throw fault }
        return wanted
    }

    func folder(_ record: BufferRecord) -> BufferFolder {
        BufferFolder(
            name: record.name, path: place.path(of: record.name), bytes: record.granules * settings.granularity,
            inodes: record.inodes)
    }

    /// A buffer that is there, nil if it is not, or not wholly.
    package func folder(of name: PoolInventory.Name) -> BufferFolder? {
        guard let record = state.withLock({ $0.records[name] }), record.isReady else { return nil }
        return folder(record)
    }

    private func makeTree(_ record: BufferRecord) throws(PoolFault) {
        let path = place.path(of: record.name)
        let top = try place.buffer(record.name)
        place.step("make data")
        let data = try Files.makeFolder(top, "data", mode: 0o711, path)
        _ = try Files.makeFolder(data, "private", mode: Self.privatesMode, path + "/data")
        try makeOwned(record, data, "striped", path + "/data")
        try makeOwned(record, top, "stage", path)
    }

    /// A folder of the buffer's owner. On the descriptor, so that it is this one and no other.
    private func makeOwned(
        _ record: BufferRecord, _ parent: Descriptor, _ name: String, _ path: String
    ) throws(PoolFault) {
        place.step("make \(name)")
        let folder = try Files.makeFolder(parent, name, mode: 0o700, path)
        guard fchown(folder.number, record.uid, record.gid) == 0 else {
            throw .system("\(path)/\(name)", "be given to user \(record.uid)")
        }
        let mode: mode_t = record.isGroupShared ? 0o2770 : 0o700
        guard fchmod(folder.number, mode) == 0 else { throw .system("\(path)/\(name)", "get its mode") }
    }

    /// Makes `data/private/HOST`, once or again.
    /// - Returns: its path.
    package func makePrivate(_ name: PoolInventory.Name, host: String) throws(PoolFault) -> String {
        try claiming(name) { () throws(PoolFault) -> String in
            let record = try record(name)
            guard PoolName.isName(host) else {
                throw PoolFault(.impossible, "host \"\(host)\"", "is no name of a folder", PoolName.rule)
            }
            let path = folder(record).privates
            let privates = try Files.openFolder(try place.buffer(name), "data/private", place.path(of: name))
            try makeOwned(record, privates, host, path)
            return "\(path)/\(host)"
        }
    }

    // MARK: Usage

    package func usage(_ name: PoolInventory.Name) throws(PoolFault) -> BufferUsage {
        try capacity.usage(try record(name), place)
    }

    /// So little is left of a limit when a write was refused: the part of the limit, and bytes.
    private static let nearPart: UInt64 = 64
    private static let nearBytes: UInt64 = 1 << 20

    /// Asks why a write was refused for want of room (staging.md §4.3): ENOSPC and EDQUOT do not tell.
    package func fullness(_ name: PoolInventory.Name) throws(PoolFault) -> Fullness {
        let record = try record(name)
        // Figures of quotas are those of the last commit.
        if driver == .btrfs { bb_btrfs_sync(place.root.number) }
        let usage = try capacity.usage(record, place)
        let near = max(Self.nearBytes, usage.bytesMax / Self.nearPart)
        if usage.bytes + near >= usage.bytesMax { return .buffer(used: usage.bytes, of: usage.bytesMax) }
        if let inodes = usage.inodes, let inodesMax = usage.inodesMax, inodes >= inodesMax {
            return .bufferInodes(used: inodes, of: inodesMax)
        }
        let facts = try Files.fileSystem(place.root, path)
        let free = facts.available_blocks * facts.block_bytes
        let isOutOfInodes = facts.inodes > 0 && facts.free_inodes == 0
        if driver != .tmpfs, free < Self.nearBytes || isOutOfInodes || free < facts.blocks * facts.block_bytes / 200 {
            return .pool(freeBytes: free, freeInodes: facts.free_inodes)
        }
        return .room
    }

    /// Changes how much a buffer may hold; granules are taken before and given back after.
    package func resize(_ name: PoolInventory.Name, bytes: UInt64) throws(PoolFault) -> BufferFolder {
        try claiming(name) { () throws(PoolFault) -> BufferFolder in
            let old = try record(name)
            var new = old
            new.bytes = bytes
            new.granules = PoolAccount.granules(bytes: bytes, granularity: settings.granularity)
            guard !new.granules.multipliedReportingOverflow(by: settings.granularity).overflow else {
                throw PoolFault(.impossible, "buffer \(name)", "is larger than 2^64-1 bytes", "ask for less")
            }
            new.inodes = max(1, new.granules * settings.granularity / settings.bytesPerInode)
            if new.granules > old.granules {
                let needed = new.granules - old.granules
                let free = state.withLock { state -> UInt64 in
                    let free = account(of: state).free
                    if needed <= free { state.records[name] = new }
                    return free
                }
                guard needed <= free else {
                    throw PoolFault(
                        .poolFull, "pool \(settings.name)", "has \(free) granules free", "\(needed) are needed")
                }
            }
            do throws(PoolFault) {
                // The larger size is on record whenever either limit may be in force.
                if new.granules > old.granules { try save(new) }
                try capacity.resize(new, from: old, place)
                if new.granules <= old.granules { try save(new) }
            } catch {
                if new.granules > old.granules { try? save(old) }
                throw error
            }
            return folder(new)
        }
    }

    // MARK: Release

    /// Moves a buffer to quarantine, in constant time however much it holds. One that is not there was released before.
    /// Its granules stay counted until `removeQuarantined` is through with it.
    package func release(_ name: PoolInventory.Name, now: Timestamp) throws(PoolFault) {
        try claiming(name) { () throws(PoolFault) in try releaseClaimed(name, now) }
    }

    private func releaseClaimed(_ name: PoolInventory.Name, _ now: Timestamp) throws(PoolFault) {
        guard let record = state.withLock({ $0.records[name] }) else {
            try finishReleases(of: name)
            return
        }
        place.step("make a folder in quarantine")
        let entry = try newEntry(name, now)
        let folder = try place.entry(entry)
        place.step("move the record")
        // From here on the rest follows, now or after a restart.
        if renameat(place.records.number, Self.file(name), folder.number, BufferRecord.file) != 0, errno != ENOENT {
            throw .system("\(path)/.bb/\(PoolPlace.records)/\(Self.file(name))", "be moved")
        }
        state.withLock { state in
            state.records[name] = nil
            state.quarantined[entry] = record.granules
        }
        try Files.sync(folder, entry)
        try Files.sync(place.quarantine, "\(path)/.bb/\(PoolPlace.quarantine)")
        try Files.sync(place.records, "\(path)/.bb/\(PoolPlace.records)")
        try capacity.release(record, entry: entry, place)
    }

    /// Moves to quarantine what a kill kept from following its record there. The buffer is claimed by the caller; one
    /// that has come anew under the same name is left alone.
    func finishReleases(of name: PoolInventory.Name) throws(PoolFault) {
        guard state.withLock({ $0.records[name] }) == nil else { return }
        for entry in entries(of: name) {
            if let record = Self.entryRecord(entry, place) { try capacity.release(record, entry: entry, place) }
        }
    }

    /// Makes a folder in quarantine for a buffer. Its time is that of `now`, or a little later where another one of the
    /// same buffer has it.
    func newEntry(_ name: PoolInventory.Name, _ now: Timestamp) throws(PoolFault) -> String {
        var at = now.milliseconds
        while true {
            let entry = "\(name).\(at)"
            if mkdirat(place.quarantine.number, entry, 0o700) == 0 { return entry }
            guard errno == EEXIST else { throw .system(place.path(ofEntry: entry), "be made") }
            at += 1
        }
    }

    private func entries(of name: PoolInventory.Name) -> [String] {
        state.withLock { $0.quarantined.keys.filter { $0.hasPrefix("\(name).") } }
    }

    /// The buffer whose folder in quarantine it is: `ID.GENERATION.MILLISECONDS`.
    static func name(ofEntry entry: String) -> PoolInventory.Name? {
        let parts = entry.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3 else { return nil }
        return PoolInventory.Name(parts[0] + "." + parts[1])
    }

    // MARK: Removal

    /// Removes what lies in quarantine, oldest first. Takes as long as it takes: call it from a thread of low priority,
    /// as `PoolCleaner` does.
    /// - Parameter isWanted: asked before each entry.
    /// - Returns: entries that are left for later, with the reason.
    @discardableResult
    package func removeQuarantined(while isWanted: () -> Bool = { true }) -> [(entry: String, reason: String)] {
        let entries = state.withLock { $0.quarantined.keys.sorted { Self.age($0) < Self.age($1) } }
        var left: [(entry: String, reason: String)] = []
        for entry in entries where isWanted() {
            do throws(PoolFault) {
                if case .later(let reason) = try removeEntry(entry) { left.append((entry, reason)) }
            } catch {
                left.append((entry, "\(error)"))
            }
        }
        return left
    }

    private static func age(_ entry: String) -> Int64 {
        entry.split(separator: ".").last.flatMap { Int64($0) } ?? 0
    }

    func removeEntry(_ entry: String) throws(PoolFault) -> Removal {
        guard let name = Self.name(ofEntry: entry) else {
            throw PoolFault(.damaged, place.path(ofEntry: entry), "is none of ours", "move it away")
        }
        return try claiming(name) { () throws(PoolFault) -> Removal in
            guard Files.status(place.quarantine, entry) != nil else {
                state.withLock { _ = $0.quarantined.removeValue(forKey: entry) }
                return .removed
            }
            let record = Self.entryRecord(entry, place)
            // Parts of it may still stand in their old place.
            try finishReleases(of: name)
            if case .later(let reason) = try capacity.remove(record, entry: entry, place) { return .later(reason) }
            place.step("remove the folder in quarantine")
            if case .later(let reason) = TreeRemoval.remove(place.quarantine, entry) { return .later(reason) }
            try Files.sync(place.quarantine, "\(path)/.bb/\(PoolPlace.quarantine)")
            state.withLock { _ = $0.quarantined.removeValue(forKey: entry) }
            return .removed
        }
    }
}
