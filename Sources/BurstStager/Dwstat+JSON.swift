package import BurstModel

/// `dwstat --json`: the same tables with whole numbers, and for those who may see it how far a copy is.
extension Dwstat {
    /// Raised when a key changes its meaning or goes away; new keys do not raise it.
    package static let schema = 1

    func json(_ snapshot: StagerSnapshot, viewer: Viewer) -> [UInt8] {
        let wanted: Set<Table> =
            switch selection {
            case .tables(let tables): Set(tables)
            case .most, .all: Set(Table.allCases)
            }
        var writer = JSONWriter(pretty: false, expectedCount: 1024 + snapshot.sessions.count * 900)
        writer.object { document in
            document.field("schema", Self.schema)
            document.field("generated_at", snapshot.at.rfc3339)
            if wanted.contains(.pools) { document.objects("pools", snapshot.pools, Self.pool) }
            if wanted.contains(.sessions) {
                document.objects("sessions", snapshot.sessions) { Self.session(&$0, $1, viewer) }
                document.objects("quarantine", snapshot.quarantine) { Self.quarantined(&$0, $1, viewer) }
            }
            if wanted.contains(.instances) {
                document.objects("instances", snapshot.sessions.lazy.flatMap { s in s.instances.map { (s, $0) } }) {
                    Self.instance(&$0, $1.0, $1.1)
                }
            }
            if wanted.contains(.configurations) {
                document.objects("configurations", Self.configurations(snapshot)) { object, row in
                    object.field("id", row.1.id)
                    object.field("instance", row.0)
                    object.field("access", row.1.access.rawValue)
                    object.field("namespace", row.1.namespace)
                }
            }
            if wanted.contains(.registrations) {
                let rows = snapshot.sessions.lazy.flatMap { s in s.registrations.map { (s, $0) } }
                document.objects("registrations", rows) { object, row in
                    object.field("id", row.1.id)
                    object.field("session", row.0.id.number)
                    object.field("configuration", row.1.configuration)
                    object.field("of", row.1.of.number)
                }
            }
            if wanted.contains(.activations) {
                let rows = snapshot.sessions.lazy.flatMap { s in s.activations.map { (s, $0) } }
                document.objects("activations", rows) { object, row in
                    object.field("id", row.1.id)
                    object.field("session", row.0.id.number)
                    object.field("configuration", row.1.configuration)
                    let isSeen = Self.maySee(viewer, row.0.owner.uid)
                    object.field("mount", isSeen ? snapshot.mountFolder + "/" + row.1.mount : nil)
                }
            }
            if wanted.contains(.nodes) {
                document.objects("nodes", snapshot.pools) { object, row in
                    object.field("node", snapshot.host)
                    object.field("pool", row.pool.id)
                    object.field("online", row.pool.isAvailable)
                }
            }
        }
        return writer.bytes + [0x0a]
    }

    private static func configurations(
        _ snapshot: StagerSnapshot
    ) -> [(UInt64, StagerSession.Configuration)] {
        snapshot.sessions.flatMap { session in
            session.instances.flatMap { instance in instance.configurations.map { (instance.id, $0) } }
        }
    }

    private static func pool(_ object: inout JSONWriter, _ row: StagerSnapshot.Pool) {
        object.field("id", row.pool.id)
        object.field("units", row.pool.units)
        object.field("granularity", row.pool.granularity)
        object.field("quantity", row.pool.quantity)
        object.field("reserve", row.pool.reserve)
        object.field("live", row.use.live)
        object.field("quarantined", row.use.quarantined)
        object.field("free", row.free)
        object.field("limit", row.pool.limit.rawValue)
        if case .unavailable(let why) = row.pool.state {
            object.field("unavailable", why)
        } else {
            object.field("unavailable", nil as String?)
        }
    }

    private static func session(_ object: inout JSONWriter, _ session: StagerSession, _ viewer: Viewer) {
        object.field("id", session.id.number)
        object.field("token", session.token)
        object.field("generation", session.key.generation)
        object.field("owner", session.owner.uid)
        object.field("creator", session.creator.rawValue)
        object.field("created", session.created.rfc3339)
        object.field("phase", session.phaseName)
        object.field("slurm_state", session.slurmState.name)
        object.field("persistent", session.isPersistent)
        object.field("listed", session.isListed)
        object.field("bytes", session.bytes)
        object.field("lost", session.lostWhy != nil)
        guard maySee(viewer, session.owner.uid) else { return }
        object.field("hurry", session.isHurried)
        object.field("unsaved", session.hasUnsaved)
        object.field("last_error", session.lastError)
        object.array("nodes", session.nodes)
        if let progress = session.progress {
            object.object("progress") { progress.write(to: &$0) }
        }
    }

    private static func quarantined(_ object: inout JSONWriter, _ buffer: QuarantinedBuffer, _ viewer: Viewer) {
        object.field("id", buffer.id.number)
        object.field("token", buffer.key.token)
        object.field("generation", buffer.key.generation)
        object.field("owner", buffer.owner.uid)
        object.field("since", buffer.since.rfc3339)
        object.field("bytes", buffer.instances.reduce(0) { $0 + $1.bytes })
        object.field("failures", buffer.failures)
        if maySee(viewer, buffer.owner.uid) { object.field("last_error", buffer.lastError) }
    }

    private static func instance(
        _ object: inout JSONWriter, _ session: StagerSession, _ instance: StagerSession.Instance
    ) {
        object.field("id", instance.id)
        object.field("session", session.id.number)
        object.field("pool", instance.pool)
        object.field("granules", instance.granules)
        object.field("bytes", instance.bytes)
        object.field("fragment", instance.fragment)
        object.field("label", session.label(of: instance.id))
    }
}

extension StagerSession {
    /// The word that Slurm probably has for it (staging.md §1.9): where Slurm's own lasts long at another one, somebody
    /// should look.
    package var slurmState: BufferState {
        switch phase {
        case .waitingForSpace, .allocating, .mounting: isPersistent ? .allocating : .stagingIn
        case .ready: isPersistent ? .allocated : .stagingIn
        case .stagingIn, .stageInFailed: .stagingIn
        case .stagedIn: .stagedIn
        case .preRun: .preRun
        case .running: .running
        case .postRun: .postRun
        case .ranPost: .postRun
        case .stagingOut, .stageOutFailed: .stagingOut
        case .stagedOut: .stagingOut
        case .saving, .savingFailed: .complete
        case .ending: isPersistent ? .deleted : .teardown
        case .lost: isPersistent ? .allocated : .stagedIn
        }
    }
}

extension StagerProgress {
    /// The members of staging.md §4.7 that belong to the copy; token, user and states stand with the session.
    package func write(to object: inout JSONWriter) {
        object.field("phase", direction.rawValue)
        object.field("started", started.rfc3339)
        object.field("updated", updated.rfc3339)
        object.field("complete", isComplete)
        object.field("plan_complete", counts.planComplete)
        object.field("percent", percent)
        object.field("eta", etaSeconds)
        object.field("eta_is_lower_bound", isEtaLowerBound)
        object.field("files_total", counts.filesTotal)
        object.field("files_done", counts.filesDone)
        object.field("dirs_total", counts.dirsTotal)
        object.field("dirs_done", counts.dirsDone)
        object.field("links_done", counts.linksDone)
        object.field("bytes_total", counts.bytesTotal)
        object.field("bytes_done", counts.bytesDone)
        object.field("bytes_skipped", counts.bytesSkipped)
        object.field("bytes_verified", counts.bytesVerified)
        object.field("bytes_cloned", counts.bytesCloned)
        object.field("rate_now", rateNow)
        object.field("rate_avg", rateAverage)
        object.field("threads", counts.threads)
        object.field("throttle_bytes", limit(\.bytesPerSecond))
        object.field("throttle_files", limit(\.filesPerSecond))
        object.field("errors", counts.errors)
        object.field("retries", counts.retries)
        object.field("degraded", counts.degraded)
        object.field("restarts", restarts)
        object.field("last_error", counts.lastError)
        object.field("quota_used", counts.quotaUsed)
        object.field("quota_limit", counts.quotaLimit)
        object.field("inode_used", counts.inodeUsed)
        object.field("inode_limit", counts.inodeLimit)
        object.objects("active", counts.active) { transfer, one in
            transfer.field("path", one.path)
            transfer.field("size", one.size)
            transfer.field("done", one.done)
            transfer.field("rate", one.rate)
        }
    }
}
