package import BurstModel
import CSys
import Glibc
import Synchronization

/// Looking at what is really there, and putting it right (staging.md §4.6, reconciler).
extension PoolFolder {
    /// After a start: mounts what has to be mounted, finishes releases that were begun.
    /// - Returns: faults; the pool is usable all the same, but for the buffers they name.
    package func recover() -> [PoolFault] {
        var faults: [PoolFault] = []
        for record in state.withLock({ $0.records.values.sorted { $0.name < $1.name } }) where record.isReady {
            do throws(PoolFault) { try mount(record.name) } catch { faults.append(error) }
        }
        for entry in state.withLock({ $0.quarantined.keys.sorted() }) {
            guard let name = Self.name(ofEntry: entry) else { continue }
            do throws(PoolFault) {
                try claiming(name) { () throws(PoolFault) in try finishReleases(of: name) }
            } catch {
                faults.append(error)
            }
        }
        return faults
    }

    /// Mounts the file system of a buffer again. One that was in memory is not made anew.
    private func mount(_ name: PoolInventory.Name) throws(PoolFault) {
        try claiming(name) { () throws(PoolFault) in
            var record = try record(name)
            guard capacity.presence(record, place) == .unmounted else { return }
            try capacity.allocate(&record, place)
        }
    }

    /// What is there now, for `Reconciliation.leaks`.
    package func inventory() -> PoolInventory {
        var inventory = PoolInventory()
        let (records, entries) = state.withLock { ($0.records, $0.quarantined) }
        for record in records.values.sorted(by: { $0.name < $1.name }) {
            let presence = capacity.presence(record, place)
            inventory.buffers.append(
                PoolInventory.Buffer(
                    name: record.name, bytes: record.granules * settings.granularity,
                    createdAt: Timestamp(milliseconds: record.createdAt), isPersistent: record.isPersistent,
                    isReady: record.isReady,
                    isLost: presence == .lost || (record.isReady && presence == .absent),
                    isUnmounted: presence == .unmounted))
        }
        var ofEntries: [BufferRecord] = []
        for (entry, granules) in entries.sorted(by: { $0.key < $1.key }) {
            let record = Self.entryRecord(entry, place)
            if let record { ofEntries.append(record) }
            let since = entry.split(separator: ".").last.flatMap { Int64($0) } ?? 0
            inventory.quarantined.append(
                PoolInventory.Quarantined(
                    entry: entry, bytes: granules * settings.granularity, since: Timestamp(milliseconds: since),
                    isUnfinished: isUnfinished(record)))
        }
        for exposed in Files.names(place.mnt) {
            inventory.exposed.append(
                PoolInventory.Stray(
                    name: exposed, since: Files.status(place.mnt, exposed).map(Self.changed)))
        }
        // What a record in quarantine speaks of is an unfinished release, and is told as one.
        let names = Set(records.keys.map(\.description)).union(ofEntries.map(\.name.description))
        for folder in Files.names(place.buffers) where !names.contains(folder) {
            inventory.directories.append(
                PoolInventory.Stray(name: folder, since: Files.status(place.buffers, folder).map(Self.changed)))
        }
        for mount in MountTable.read() {
            guard mount.path.hasPrefix(path + "/"), !isExpected(mount.path, records, entries) else { continue }
            inventory.mounts.append(PoolInventory.Stray(name: mount.path))
        }
        capacity.addStrays(Array(records.values) + ofEntries, &inventory, place)
        return inventory
    }

    private static func changed(_ status: stat) -> Timestamp {
        Timestamp(milliseconds: Int64(status.st_ctim.tv_sec) * 1000 + Int64(status.st_ctim.tv_nsec) / 1_000_000)
    }

    private func isUnfinished(_ record: BufferRecord?) -> Bool {
        guard let record else { return false }
        return Files.status(place.buffers, record.name.description) != nil
            && state.withLock { $0.records[record.name] } == nil
    }

    private func isExpected(
        _ mount: String, _ records: [PoolInventory.Name: BufferRecord], _ entries: [String: UInt64]
    ) -> Bool {
        let parts = mount.dropFirst(path.count + 1).split(separator: "/").map(String.init)
        switch parts.first {
        case "buffers" where parts.count == 2: return PoolInventory.Name(parts[1]).map { records[$0] != nil } ?? false
        // Names in mnt are told by name.
        case "mnt": return parts.count == 2
        case ".bb" where parts.count > 2 && parts[1] == PoolPlace.quarantine: return entries[parts[2]] != nil
        default: return false
        }
    }

    /// Does what a leak says is safe.
    /// - Returns: whether it is gone; false where it was left for later.
    @discardableResult
    package func repair(_ leak: Leak, now: Timestamp) throws(PoolFault) -> Bool {
        switch leak.kind {
        case .missingBuffer, .lostBuffer: return false
        case .unmountedBuffer:
            guard let name = PoolInventory.Name(leak.name) else { return false }
            try mount(name)
            return true
        case .unknownBuffer, .halfAllocated:
            guard leak.repair == .quarantine, let name = PoolInventory.Name(leak.name) else { return false }
            try release(name, now: now)
            return true
        case .unfinishedRelease, .quarantine: return try removeEntry(leak.name) == .removed
        case .strayName:
            guard PoolName.isPart(leak.name) else { return false }
            return try concealName(leak.name)
        case .strayMount:
            guard leak.name.hasPrefix(path + "/") else { return false }
            return try PoolPlace.unmount(leak.name)
        case .strayDirectory:
            guard PoolName.isPart(leak.name) else { return false }
            try PoolPlace.unmount("\(path)/buffers/\(leak.name)")
            let entry = try newEntry(PoolInventory.Name(id: 0, generation: 0), now)
            let folder = try place.entry(entry)
            state.withLock { $0.quarantined[entry] = 0 }
            try place.move(place.buffers, leak.name, to: folder, "stray.\(leak.name)", "\(path)/buffers/\(leak.name)")
            return true
        case .strayImage where !PoolName.isPart(leak.name): return false
        case .strayImage, .strayLoop, .strayProject, .strayGroup:
            try capacity.repair(leak, place)
            return true
        }
    }

    /// The pool as `burst pool list` shows it.
    package func report(faults: [PoolFault] = [], leaks: [Leak] = []) -> PoolReport {
        let facts = try? Files.fileSystem(place.root, path)
        let (buffers, quarantined, account) = state.withLock {
            ($0.records.count, $0.quarantined.count, self.account(of: $0))
        }
        return PoolReport(
            name: settings.name, path: settings.path, granularity: settings.granularity, driver: driver,
            account: account, buffers: buffers, quarantinedBuffers: quarantined,
            fileSystemFree: facts.map { $0.available_blocks * $0.block_bytes }, faults: faults.map(\.description),
            leaks: leaks, staging: settings.staging)
    }

    /// The report of a pool of the settings, whether or not it can be opened.
    package static func report(_ settings: PoolSettings) -> PoolReport {
        let faults = check(settings)
        if faults.isEmpty, let pool = try? open(settings, for: .look) { return pool.report() }
        return PoolReport(
            name: settings.name, path: settings.path, granularity: settings.granularity,
            faults: faults.isEmpty ? ["cannot be opened"] : faults.map(\.description), staging: settings.staging)
    }
}

extension PoolName {
    /// A name of one folder, whoever gave it: no slash, and none of the two that lead elsewhere.
    static func isPart(_ text: String) -> Bool {
        !text.isEmpty && text != "." && text != ".." && !text.utf8.contains(UInt8(ascii: "/"))
            && !text.utf8.contains(0)
    }
}
