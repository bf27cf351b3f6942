import BurstModel
import BurstPools
import BurstStager
import Glibc
import Synchronization

/// Carries out on pools what the stager decides. Calls wait for the disk; those for one session come one after the
/// other. Each bears to be repeated (staging.md §4.6, daemon restarts).
final class BufferStorage: Sendable {
    private struct State {
        var settings: [PoolSettings] = []
        var open: [String: PoolFolder] = [:]
        /// Why a pool is not open.
        var faults: [String: String] = [:]
        /// Leaks that were told already, by pool.
        var told: [String: Set<String>] = [:]
    }

    /// The folder whose names `DW_JOB_STRIPED` and the like are: links to the pools' own names.
    let mountFolder: String
    private let host: String
    private let clock: DaemonClock
    private let log: @Sendable (StagerLogLine) -> Void
    private let state = Mutex(State())

    init(
        mountFolder: String, host: String, clock: DaemonClock, log: @escaping @Sendable (StagerLogLine) -> Void
    ) {
        self.mountFolder = mountFolder
        self.host = host
        self.clock = clock
        self.log = log
    }

    private func say(_ level: StagerLogLine.Level, _ text: String) {
        log(StagerLogLine(level: level, text: text))
    }

    // MARK: Pools

    /// Pools as they are configured from now on. Those that are new or changed are opened.
    /// - Parameter known: what the stager has of them: of use where one cannot be opened.
    /// - Returns: all, as the stager counts them.
    func configure(_ settings: [PoolSettings], known: [StagerPool]) -> [StagerPool] {
        let stale = state.withLock { state in
            let changed = state.settings.filter { !settings.contains($0) }.map(\.name)
            state.settings = settings
            for name in changed {
                state.open[name] = nil
                state.faults[name] = nil
            }
            return changed
        }
        if !stale.isEmpty { say(.notice, "pools opened anew: \(stale.joined(separator: ", "))") }
        return settings.map { pool(open($0), $0, known: known.first { [name = $0.name] in $0.id == name }) }
    }

    /// Tries again those that could not be opened, and looks whether the others are still there.
    func look() -> [(pool: String, state: StagerPool.State)] {
        state.withLock { $0.settings }.map { settings in
            if state.withLock({ $0.open[settings.name] != nil }) {
                // A file system that is taken away under us shows in its mark.
                guard let fault = PoolFolder.check(settings).first else { return (settings.name, .available) }
                return (settings.name, .unavailable(fault.description))
            }
            switch open(settings) {
            case .success: return (settings.name, .available)
            case .failure(let fault): return (settings.name, .unavailable(fault.description))
            }
        }
    }

    private func open(_ settings: PoolSettings) -> Result<PoolFolder, PoolFault> {
        if let pool = state.withLock({ $0.open[settings.name] }) { return .success(pool) }
        do throws(PoolFault) {
            let pool = try PoolFolder.open(settings)
            for fault in pool.recover() { say(.error, "pool \(settings.name): \(fault)") }
            state.withLock { state in
                state.open[settings.name] = pool
                state.faults[settings.name] = nil
            }
            let facts = "\(pool.driver.rawValue), \(pool.quantity) granules at \(pool.path)"
            say(.notice, "pool \(settings.name): \(facts); \(settings.staging.shown)")
            return .success(pool)
        } catch {
            let isNew = state.withLock { state in
                defer { state.faults[settings.name] = error.description }
                return state.faults[settings.name] != error.description
            }
            if isNew { say(.error, "pool \(settings.name) cannot be used: \(error)") }
            return .failure(error)
        }
    }

    private func pool(
        _ opened: Result<PoolFolder, PoolFault>, _ settings: PoolSettings, known: StagerPool?
    ) -> StagerPool {
        func made(_ quantity: UInt64, _ state: StagerPool.State, _ driver: PoolDriver?) -> StagerPool {
            let account = PoolAccount(quantity: quantity, reservePercent: settings.metadataReservePercent)
            return StagerPool(
                id: settings.name, granularity: settings.granularity, quantity: quantity, reserve: account.reserve,
                state: state, limit: driver?.isHard ?? (known?.limit == .hard) ? .hard : .soft)
        }
        switch opened {
        case .success(let pool): return made(pool.quantity, .available, pool.driver)
        case .failure(let fault):
            let quantity: UInt64 =
                if case .granules(let granules) = settings.quantity { granules } else { known?.quantity ?? 0 }
            return made(quantity, .unavailable(fault.description), settings.driver)
        }
    }

    /// Pools whose buffers were in memory that the restart of the machine has emptied, and why that is so.
    func lost() -> [(pool: String, why: String)] {
        state.withLock { Array($0.open.values) }.compactMap { pool in
            let count = pool.inventory().buffers.count { $0.isLost }
            guard count > 0 else { return nil }
            return (pool.settings.name, "pool \(pool.settings.name) was in memory, and the machine has restarted")
        }
    }

    private func folder(_ name: String) throws(PoolFault) -> PoolFolder {
        let (pool, fault) = state.withLock { ($0.open[name], $0.faults[name]) }
        if let pool { return pool }
        throw PoolFault(.unmarked, "pool \(name)", fault ?? "is not open")
    }

    func settings(of pool: String) -> PoolSettings? {
        state.withLock { $0.settings.first { $0.name == pool } }
    }

    /// Closes all: another daemon may have them.
    func close() { state.withLock { $0.open = [:] } }

    // MARK: Buffers

    private static func name(_ session: SessionID, _ key: SessionKey) -> PoolInventory.Name {
        PoolInventory.Name(id: session.number, generation: key.generation)
    }

    /// Bytes that a session has of each pool, in the order of its instances.
    private static func shares(_ instances: [StagerSession.Instance]) -> [(pool: String, bytes: UInt64)] {
        var shares: [(pool: String, bytes: UInt64)] = []
        for instance in instances {
            if let index = shares.firstIndex(where: { $0.pool == instance.pool }) {
                shares[index].bytes += instance.bytes
            } else {
                shares.append((instance.pool, instance.bytes))
            }
        }
        return shares
    }

    /// - Returns: why not; nil: it is there.
    func allocate(_ order: AllocationOrder) -> String? {
        let name = Self.name(order.session, order.key)
        do throws(PoolFault) {
            for share in Self.shares(order.instances) {
                let pool = try folder(share.pool)
                _ = try pool.allocate(
                    PoolRequest(
                        id: name.id, generation: name.generation, uid: order.owner.uid, gid: order.owner.gid,
                        bytes: share.bytes, isPersistent: order.access != nil), now: clock.now())
                if let access = order.access { try pool.grant(name, to: Self.access(access)) }
            }
            return nil
        } catch {
            return error.description
        }
    }

    func grant(
        _ session: SessionID, _ key: SessionKey, _ instances: [StagerSession.Instance], _ list: AccessList
    ) -> String? {
        do throws(PoolFault) {
            for share in Self.shares(instances) {
                try folder(share.pool).grant(Self.name(session, key), to: Self.access(list))
            }
            return nil
        } catch {
            return error.description
        }
    }

    private static func access(_ list: AccessList) -> BufferAccess {
        BufferAccess(everyone: list.everyone, users: list.users, groups: list.groups)
    }

    /// - Returns: why not.
    func quarantine(_ order: QuarantineOrder) -> String? {
        do throws(PoolFault) {
            for share in Self.shares(order.instances) {
                try folder(share.pool).release(Self.name(order.session, order.key), now: clock.now())
            }
            return nil
        } catch {
            return error.description
        }
    }

    /// - Returns: why something is left.
    func remove(_ order: QuarantineOrder) -> String? {
        do throws(PoolFault) {
            for share in Self.shares(order.instances) {
                if let why = try folder(share.pool).removeQuarantined(of: Self.name(order.session, order.key)) {
                    return why
                }
            }
            return nil
        } catch {
            return error.description
        }
    }

    // MARK: Mounts

    /// - Parameter pools: of each instance of the session.
    /// - Returns: why not.
    func activate(_ order: MountOrder, pools: [UInt64: String]) -> String? {
        let name = Self.name(order.session, order.key)
        do throws(PoolFault) {
            for mount in order.mounts {
                guard let pool = try pools[mount.instance].map({ pool throws(PoolFault) in try folder(pool) }) else {
                    throw PoolFault(.noBuffer, "mount \(mount.name)", "belongs to no pool")
                }
                let path: String
                switch mount.access {
                case .swap: continue
                case .striped: path = try pool.expose(name, token: order.key.token)
                case .private:
                    let hosts = order.nodes.isEmpty ? [host] : order.nodes
                    for host in hosts { _ = try pool.makePrivate(name, host: host) }
                    // Other hosts see the pool, if at all, by their own mounts of it.
                    let own = hosts.contains(host) ? host : hosts[0]
                    path = try pool.expose(name, token: order.key.token, .ofHost(own))
                }
                try link(mount.name, to: path)
            }
            return nil
        } catch {
            return error.description
        }
    }

    /// - Returns: what was in the way; the names are gone all the same.
    func deactivate(_ order: MountOrder, pools: [UInt64: String]) -> String? {
        var trouble: String?
        for mount in order.mounts {
            let part: PoolFolder.Part
            switch mount.access {
            case .swap: continue
            case .striped: part = .striped
            case .private: part = .ofHost(host)
            }
            do throws(PoolFault) {
                guard let name = pools[mount.instance] else { continue }
                let pool = try folder(name)
                let target = "\(mountFolder)/\(mount.name)"
                // One of that name that leads elsewhere is another generation's.
                if Self.linked(target) == pool.exposedPath(order.key.token, part) { unlink(target) }
                if try !pool.conceal(token: order.key.token, part) {
                    trouble = "\(mount.name) was still in use, and was detached"
                }
            } catch {
                trouble = error.description
            }
        }
        return trouble
    }

    private func link(_ name: String, to path: String) throws(PoolFault) {
        let target = "\(mountFolder)/\(name)"
        if Self.linked(target) == path { return }
        let new = "\(mountFolder)/.\(name).new"
        unlink(new)
        guard symlink(path, new) == 0, rename(new, target) == 0 else {
            throw PoolFault(.system(errno), target, "cannot be linked: \(SystemError.text(errno))")
        }
    }

    private static func linked(_ path: String) -> String? {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink(path, &buffer, buffer.count)
        guard count > 0 else { return nil }
        return String(decoding: buffer.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    // MARK: Copies

    /// What a copy into or out of a buffer begins at.
    struct Anchor {
        /// `data/striped`, open; whoever asked closes it.
        var descriptor: Int32
        /// The same by name, and a folder of its owner's beside it; for programs that are on other hosts.
        var path: String
        var stage: String
        var pool: String
        var name: PoolInventory.Name
        var bytes: UInt64
        /// 0: not bound.
        var inodes: UInt64
    }

    func anchor(_ pool: String, _ session: SessionID, _ key: SessionKey) throws(PoolFault) -> Anchor {
        let folder = try folder(pool)
        let name = Self.name(session, key)
        guard let buffer = folder.folder(of: name) else {
            throw PoolFault(.noBuffer, "buffer \(name)", "is not in pool \(pool)")
        }
        return Anchor(
            descriptor: try folder.openData(name), path: buffer.striped, stage: buffer.stage, pool: pool, name: name,
            bytes: buffer.bytes,
            inodes: folder.driver.limitsInodes ? buffer.inodes : 0)
    }

    /// Nil: nobody knows, or it would have to be counted first.
    func usage(_ anchor: Anchor) -> BufferUsage? {
        guard let folder = try? folder(anchor.pool), folder.driver.isHard else { return nil }
        return try? folder.usage(anchor.name)
    }

    /// Whose room was used up when a write was refused, in words (staging.md §4.3).
    func whoIsFull(_ anchor: Anchor) -> String? {
        guard let folder = try? folder(anchor.pool), let fullness = try? folder.fullness(anchor.name) else {
            return nil
        }
        return switch fullness {
        case .room: nil
        case .buffer(let used, let limit): "the buffer is full (\(PoolText.size(used)) of \(PoolText.size(limit)))"
        case .bufferInodes(let used, let limit): "the buffer has \(used) files of \(limit)"
        case .pool: "pool \(anchor.pool) itself is full"
        }
    }

    // MARK: Leaks

    /// What lies in pools and should not, or is missing.
    func leaks(_ sessions: [StagerSession], _ quarantine: [QuarantinedBuffer]) -> [(pool: PoolFolder, leak: Leak)] {
        let now = clock.now()
        let leaving = Set(quarantine.map { Self.name($0.id, $0.key) })
        return state.withLock { $0.open.values.sorted { $0.settings.name < $1.settings.name } }.flatMap { pool in
            let known = sessions.filter { session in
                session.isCharged && session.instances.contains { $0.pool == pool.settings.name }
            }.map { session in
                KnownSession(
                    name: Self.name(session.id, session.key),
                    exposed: [
                        PoolFolder.exposedName(session.token, .striped),
                        PoolFolder.exposedName(session.token, .ofHost(host)),
                    ])
            }
            return Reconciliation.leaks(known: known, found: pool.inventory(), now: now).filter { leak in
                // What the stager removes itself, sooner or later.
                guard leak.kind == .quarantine else { return true }
                let parts = leak.name.split(separator: ".").prefix(2).joined(separator: ".")
                return PoolInventory.Name(parts).map { !leaving.contains($0) } ?? true
            }.map { (pool, $0) }
        }
    }

    /// Puts right what is safe to put right, and tells of the rest, once each. A buffer that no session knows stays:
    /// the state may be what was lost.
    func reconcile(_ sessions: [StagerSession], _ quarantine: [QuarantinedBuffer]) {
        var told: [String: Set<String>] = [:]
        for (pool, leak) in leaks(sessions, quarantine) {
            let name = pool.settings.name
            told[name, default: []].insert(leak.kind.rawValue + leak.name)
            let isNew = !state.withLock { $0.told[name]?.contains(leak.kind.rawValue + leak.name) ?? false }
            if isNew { say(.error, "pool \(name): \(leak)") }
            switch leak.kind {
            case .unknownBuffer, .missingBuffer, .lostBuffer: continue
            case .unmountedBuffer, .halfAllocated, .unfinishedRelease, .quarantine, .strayDirectory, .strayImage,
                .strayName, .strayMount, .strayLoop, .strayProject, .strayGroup:
                break
            }
            do throws(PoolFault) {
                if try pool.repair(leak, now: clock.now()) { say(.notice, "pool \(name): mended: \(leak)") }
            } catch {
                if isNew { say(.error, "pool \(name): \(leak.kind.rawValue) \(leak.name) is not mended: \(error)") }
            }
        }
        state.withLock { $0.told = told }
    }
}
