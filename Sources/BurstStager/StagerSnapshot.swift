package import BurstModel

/// Everything that can be shown of the stager at one moment, as a value: documents and tables are made from it while
/// the stager goes on.
package struct StagerSnapshot: Sendable {
    package var at: Timestamp
    package var host: String
    package var mountFolder: String
    package var pools: [Pool]
    /// By id; those on their way out included.
    package var sessions: [StagerSession]
    /// By id.
    package var quarantine: [QuarantinedBuffer]

    package struct Pool: Hashable, Sendable {
        package var pool: StagerPool
        package var use: PoolUse

        package init(pool: StagerPool, use: PoolUse) {
            self.pool = pool
            self.use = use
        }

        /// Granules; none where nothing can be had.
        package var free: UInt64 { pool.isAvailable ? use.free(of: pool) : 0 }
    }

    package init(
        at: Timestamp, host: String, mountFolder: String, pools: [Pool], sessions: [StagerSession],
        quarantine: [QuarantinedBuffer]
    ) {
        self.at = at
        self.host = host
        self.mountFolder = mountFolder
        self.pools = pools
        self.sessions = sessions
        self.quarantine = quarantine
    }

    /// What `show_sessions` has.
    package var listed: some Sequence<StagerSession> { sessions.lazy.filter(\.isListed) }
}

extension Stager {
    /// - Parameter withSessions: false where the pools are all that is wanted.
    package func snapshot(at now: Timestamp, withSessions: Bool = true) -> StagerSnapshot {
        StagerSnapshot(
            at: now, host: settings.host, mountFolder: settings.mountFolder,
            pools: pools.map { StagerSnapshot.Pool(pool: $0, use: use[$0.id, default: PoolUse()]) },
            sessions: withSessions ? sessions.sorted : [],
            quarantine: withSessions ? quarantine.values.sorted { $0.id < $1.id } : [])
    }
}

/// The five flags of a state as Cray shows and names them.
struct StateFlags {
    /// `create` or `destroy`.
    var isToBe: Bool
    var actualized: Bool
    var fuseBlown = false
    var transitioning: Bool
    var mixed = false

    init(_ session: StagerSession) {
        isToBe = session.isListed
        fuseBlown = session.lostWhy != nil
        switch session.phase {
        case .waitingForSpace, .allocating, .mounting: (actualized, transitioning) = (false, true)
        case .stagingIn, .preRun, .postRun, .stagingOut: (actualized, transitioning) = (true, true)
        case .saving: (actualized, transitioning) = (true, true)
        case .ready, .stageInFailed, .stagedIn, .running, .ranPost, .stageOutFailed, .stagedOut, .savingFailed, .lost:
            (actualized, transitioning) = (true, false)
        case .ending(.waitingForUsers): (actualized, transitioning) = (true, false)
        case .ending: (actualized, transitioning) = (false, true)
        }
    }

    init(_ buffer: QuarantinedBuffer) {
        isToBe = false
        actualized = false
        transitioning = if case .underWay = buffer.removal { true } else { false }
    }

    /// `CA---`, `D--T-`. The third and the fifth place are inferred from the names in the JSON.
    func append(to bytes: inout [UInt8], places: Int) {
        func flag(_ isSet: Bool, _ letter: UInt8) -> UInt8 { isSet ? letter : UInt8(ascii: "-") }
        bytes.append(isToBe ? UInt8(ascii: "C") : UInt8(ascii: "D"))
        bytes.append(flag(actualized, UInt8(ascii: "A")))
        bytes.append(flag(fuseBlown, UInt8(ascii: "F")))
        bytes.append(flag(transitioning, UInt8(ascii: "T")))
        if places == 5 { bytes.append(flag(mixed, UInt8(ascii: "M"))) }
    }
}
