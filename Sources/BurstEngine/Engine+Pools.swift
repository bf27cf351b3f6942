import BurstModel

/// Pools as the site reports them (spec §4.5, §6.1).
extension Engine {
    mutating func askPools(at now: Timestamp) {
        guard settings.plugin != nil else {
            nextPoolsAt = nil
            return
        }
        nextPoolsAt = now.adding(seconds: EngineLimits.poolsIntervalSeconds)
        poolsCall = askSite(.pools, for: .pools, at: now)
    }

    /// Asks something that is about no job.
    mutating func askSite(_ function: HookFunction, for purpose: CallPurpose, at now: Timestamp) -> CallID {
        makeCall(
            function, for: purpose, job: nil, arguments: rules.siteArguments(of: function), hasInfo: false,
            limit: limitSeconds(function), at: now)
    }

    mutating func poolsAnswered(_ answer: HookAnswer, _ reading: PoolsReading?, at now: Timestamp) {
        poolsCall = nil
        defer {
            let waiting = early
            early = []
            for one in waiting { submit(one.order, by: one.caller, one.request, at: now) }
        }
        guard case .success(let message) = answer.end else {
            if case .broken(let why) = answer.end { log(.error, "\(rules.fullName): \(why)") }
            log(.error, "Get pools returned error \(answer.status), cannot use pools unless get pools returns success")
            return
        }
        // Datawarp is down as long as no document could be read; later the old pools stay (spec §5.4).
        if rules.plugin == .datawarp, reading?.pools.isEmpty != false {
            for fault in reading?.faults ?? ["dw_wlm_cli --function pools printed nothing"] { log(.error, fault) }
            return
        }
        let wasKnown = poolsKnown
        poolsKnown = true
        defer { if !wasKnown { wantPass(at: now) } }
        guard message != nil, let reading else { return }
        for fault in reading.faults { log(.error, fault) }
        guard !reading.pools.isEmpty else { return }
        let before = pools
        take(reading.pools, isFirst: !wasKnown)
        askSessions(at: now)
        // A long queue is not walked for news that are none.
        if pools != before { wantPass(at: now) }
    }

    /// `Pools=` of burst_buffer.conf: a pool of datawarp's that lua only lists (spec §1.3).
    mutating func addPoolsOfConf() {
        for name in settings.plugin?.listedPools ?? [] where !pools.contains(where: { $0.name == name }) {
            pools.append(EnginePool(name: name, isReported: false))
            poolsChanged = true
        }
    }

    /// - Parameter isFirst: since the start: then the order is that of the report.
    private mutating func take(_ reported: [ReportedPool], isFirst: Bool) {
        let before = pools
        var seen: Set<String> = []
        for pool in reported {
            seen.insert(pool.name)
            let granularity = UInt64(max(1, pool.granularity))
            let quantity = UInt64(max(0, pool.quantity))
            let (product, overflow) = quantity.multipliedReportingOverflow(by: granularity)
            if overflow {
                log(
                    .error,
                    "Pool \(pool.name): quantity \(quantity) times granularity \(granularity) is more than 2^64-1 bytes"
                )
            }
            let total = overflow ? 0 : product
            var free: UInt64?
            if let reportedFree = pool.free {
                if reportedFree > pool.quantity {
                    log(
                        .error,
                        "Underflow on pool=\(pool.name): Free space=\(reportedFree) bigger than quantity=\(pool.quantity), setting free space equal to quantity"
                    )
                    free = total
                } else {
                    free = UInt64(max(0, reportedFree)).multipliedReportingOverflow(by: granularity).partialValue
                }
            }
            if let index = pools.firstIndex(where: { $0.name == pool.name }) {
                pools[index].granularity = granularity
                pools[index].total = total
                pools[index].reportedFree = free
                pools[index].isReported = true
            } else {
                log(.info, "Newly reported pool \(pool.name)")
                pools.append(
                    EnginePool(name: pool.name, granularity: granularity, total: total, reportedFree: free))
            }
        }
        for index in pools.indices where !seen.contains(pools[index].name) && pools[index].isReported {
            log(.error, "Pool \(pools[index].name) is no longer reported by the system, setting size to zero")
            pools[index].total = 0
            pools[index].reportedFree = nil
            pools[index].isReported = false
        }
        if isFirst {
            let listed = Set(settings.plugin?.listedPools ?? [])
            let names = reported.map(\.name)
            pools = pools.enumerated().sorted { left, right in
                func rank(_ place: Int, _ pool: EnginePool) -> (Int, Int) {
                    if rules.plugin == .datawarp, pool.name == settings.plugin?.defaultPool { return (-1, 0) }
                    if listed.contains(pool.name) { return (0, place) }
                    return names.firstIndex(of: pool.name).map { (1, $0) } ?? (2, place)
                }
                return rank(left.offset, left.element) < rank(right.offset, right.element)
            }.map(\.element)
        }
        if pools != before { poolsChanged = true }
    }

    /// Datawarp's, for what names no pool (spec §5.5): the configured one, else the first that was reported.
    package var defaultPool: String? {
        guard let plugin = settings.plugin, rules.plugin == .datawarp else { return nil }
        return plugin.defaultPool ?? pools.first?.name
    }

    mutating func configure(_ new: EngineSettings, at now: Timestamp) {
        settings = new
        // Totals stay as they are until the script answers (spec §10, Q3).
        nextPoolsAt = new.plugin == nil ? nil : now
        for job in jobs.values where job.state.isFinal {
            if let end = job.end { timers.add(end.adding(seconds: new.minJobAgeSeconds), job: job.id) }
        }
        wantPass(at: now)
    }

    // MARK: Status

    mutating func askStatus(_ arguments: [String], by caller: Caller, _ request: RequestID, at now: Timestamp) {
        guard settings.plugin != nil else {
            reply(request, .status(""))
            return
        }
        _ = makeCall(
            .getStatus, for: .status(request), job: nil, arguments: rules.statusArguments(arguments, of: caller),
            hasInfo: false, limit: limitSeconds(.getStatus), at: now)
    }
}
