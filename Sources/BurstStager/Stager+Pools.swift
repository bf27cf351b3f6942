import BurstModel

/// Pools as they are configured and as they are found.
extension Stager {
    mutating func configure(_ configured: [StagerPool], at now: Timestamp) {
        var next = configured
        for pool in pools where !configured.contains(where: { $0.id == pool.id }) {
            guard use[pool.id, default: PoolUse()].used > 0 else {
                out.records.append(.forgetPool(pool.id))
                isSomethingChanged = true
                continue
            }
            var kept = pool
            kept.state = .unavailable("it is not configured any more")
            next.append(kept)
        }
        let before = pools
        pools = next
        for pool in next {
            let older = before.first { $0.id == pool.id }
            guard older != pool else { continue }
            out.records.append(.pool(pool))
            isSomethingChanged = true
            if let older, older.granularity != pool.granularity { countAnew(pool, at: now) }
        }
        admitWaiting(at: now)
    }

    /// Other granules: what is there takes as many of them as its bytes need.
    private mutating func countAnew(_ pool: StagerPool, at now: Timestamp) {
        for id in sessions.keys.sorted() {
            change(id, at: now) { session in
                for index in session.instances.indices where session.instances[index].pool == pool.id {
                    session.instances[index].granules = pool.granules(for: session.instances[index].bytes)
                }
            }
        }
        for id in quarantine.keys.sorted() {
            guard var buffer = quarantine[id], buffer.instances.contains(where: { $0.pool == pool.id }) else {
                continue
            }
            for index in buffer.instances.indices where buffer.instances[index].pool == pool.id {
                let granules = pool.granules(for: buffer.instances[index].bytes)
                use[pool.id, default: PoolUse()].quarantined -= buffer.instances[index].granules
                use[pool.id, default: PoolUse()].quarantined += granules
                buffer.instances[index].granules = granules
            }
            quarantine[id] = buffer
            out.records.append(.quarantined(buffer))
        }
    }

    mutating func setState(_ state: StagerPool.State, ofPool id: String, at now: Timestamp) {
        guard let index = pools.firstIndex(where: { $0.id == id }), pools[index].state != state else { return }
        pools[index].state = state
        out.records.append(.pool(pools[index]))
        isSomethingChanged = true
        if case .unavailable(let why) = state { log(.error, nil, "pool \(id) is not available: \(why)") }
        admitWaiting(at: now)
    }

    /// Sessions stay listed until Slurm tears them down; what was on its way out has nothing left to save.
    mutating func loseContents(ofPool pool: String, _ why: String, at now: Timestamp) {
        for id in sessions.keys.sorted() {
            guard let session = sessions[id], session.isCharged, session.lostWhy == nil,
                session.instances.contains(where: { $0.pool == pool })
            else { continue }
            log(.error, session, "its data are lost: \(why)")
            let wasSaving = session.hasUnsaved && !session.isListed
            change(id, at: now) {
                $0.lostWhy = StagerText.failure(why)
                $0.lastError = StagerText.failure(why)
            }
            answer([.setup, .create, .dataIn, .preRun, .dataOut], of: id, .failed(lostText(sessions[id] ?? session)))
            answer([.postRun], of: id, .done)
            if wasSaving {
                beginEnding(id, at: now)
            } else if session.isListed {
                if let worker = session.worker { out.effects.append(.stopWorker(worker)) }
                change(id, at: now) { $0.phase = .lost }
            }
        }
    }
}
