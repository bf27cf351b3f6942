/// The rules about pools and users (monitor.md §3.7).
extension Watch {
    // MARK: R9, R10, R11, R15, R16

    mutating func judgePools(_ findings: inout Findings, at: Timestamp) {
        guard let burst else { return }
        let jobsCount = jobsAreCurrent
        for index in pools.indices {
            let track = pools[index]
            if let since = track.goneSince ?? track.zeroSince {
                judgeGone(&findings, track, since: since, at: burst.at)
                if track.goneSince != nil { continue }
            }
            // Totals of 0 are what 22.05 says for up to 30 s after a reconfigure (R11): nothing is full or drained.
            if track.pool.total.value != 0 {
                judgeFull(&findings, index, jobsCount, at: at)
                judgeDrained(&findings, track.pool, at: at)
                judgeFit(&findings, index, jobsCount, at: at)
            }
        }
        for plugin in burst.value.plugins {
            guard let since = poollessSince[plugin.name], burst.at.seconds(since: since) > thresholds.poolGoneSeconds,
                !pools.contains(where: { $0.pool.plugin == plugin.name })
            else { continue }
            findings.add(11, sinceIsKnown: true) {
                let age = Age.long(seconds: burst.at.seconds(since: since))
                return Alert(
                    rule: "R11", severity: .crit, subject: .controller, title: "no pools",
                    message:
                        "plugin \(plugin.name) has reported no pools for \(age)",
                    since: since, sinceSeen: false)
            }
        }
        judgeAccounting(&findings, at: at)
    }

    private func alert(
        _ rule: String, _ severity: Severity, _ pool: Pool, _ title: String, _ message: String, since: Timestamp,
        size: Amount? = nil
    ) -> Alert {
        Alert(
            rule: rule, severity: severity, subject: .pool(pool.key), title: title, size: size, pool: pool.name,
            message: message, since: since)
    }

    private func judgeGone(_ findings: inout Findings, _ track: PoolTrack, since: Timestamp, at: Timestamp) {
        let seconds = at.seconds(since: since)
        guard seconds > thresholds.poolGoneSeconds else { return }
        findings.add(11, sinceIsKnown: true) {
            let had = track.lastTotal.map { ", had \($0.text)" } ?? ""
            let isGone = track.goneSince != nil
            return alert(
                "R11", .crit, track.pool, isGone ? "pool GONE" : "pool total 0",
                "\(isGone ? "no longer reported" : "total fell to 0") \(Age.long(seconds: seconds)) ago\(had)",
                since: since)
        }
    }

    private func waits(_ demand: PoolDemand) -> String {
        let smallest = demand.smallest.map { ", the smallest wants \(Amount($0).text)" } ?? ""
        return "\(demand.waiting == 1 ? "1 job waits" : "\(demand.waiting) jobs wait")\(smallest)"
    }

    /// What fits now, and how much is in use or drained, per cent (spec §6.2).
    private func judgeFull(_ findings: inout Findings, _ index: Int, _ jobsCount: Bool, at: Timestamp) {
        let pool = pools[index].pool
        guard let total = pool.total.known, total > 0 else { return }
        let share = max(pool.unfreeShare ?? 0, Double(pool.used.known ?? 0) / Double(total))
        let percent = Int(share * 100 + 1e-9)
        let demand = jobsCount && index < demand.count ? demand[index] : PoolDemand()
        // A request that would fit waits for the scheduler, as every new job does at first.
        let lacks =
            demand.waiting > 0 && demand.smallest.map { $0 > pool.largestRequest.value ?? 0 } ?? true
        guard lacks || percent >= thresholds.poolWarnPercent else { return }
        let isFull = percent >= thresholds.poolCritPercent
        findings.add(9) {
            let free =
                pool.free.isUnderflow
                ? "over-committed by \(Amount(pool.overcommitted).text)" : "\(pool.free.text) free"
            let tail = demand.waiting > 0 ? waits(demand) : "\(percent)% used or drained"
            return alert(
                "R9", lacks || isFull ? .crit : .warn, pool,
                isFull ? "pool full" : lacks ? Self.jobsWait : "pool \(percent)%",
                "\(free); \(tail)", since: at)
        }
    }

    private func judgeDrained(_ findings: inout Findings, _ pool: Pool, at: Timestamp) {
        // Negative: DataWarp shows more free than there can be after reading its pools; that is no drain.
        guard let drained = pool.drained, drained > 0, pool.free.known != nil else { return }
        findings.add(10, measure: UInt64(drained)) {
            alert(
                "R10", .warn, pool, "drained",
                "\(Amount(UInt64(drained)).text) of \(pool.total.text) neither used nor free", since: at,
                size: Amount(UInt64(drained)))
        }
    }

    private func judgeFit(_ findings: inout Findings, _ index: Int, _ jobsCount: Bool, at: Timestamp) {
        guard jobsCount, index < demand.count, demand[index].waiting > 0, let smallest = demand[index].smallest else {
            return
        }
        let pool = pools[index].pool
        guard let free = pool.free.known, free > 0, let fits = pool.largestRequest.value, fits < smallest else {
            return
        }
        findings.add(16) {
            let total = pool.total.known ?? 0
            let tail =
                smallest > total
                ? "more than the pool has" : "at most \(Amount(fits).text) fits in grains of \(pool.granularity.text)"
            return alert(
                "R16", .warn, pool, "does not fit", "\(pool.free.text) free; \(waits(demand[index])): \(tail)",
                since: at)
        }
    }

    /// Sums that Slurm keeps apart and that should agree (R15). All of one report are packed at one moment, so a
    /// difference is one; it counts when two reports show it.
    private mutating func judgeAccounting(_ findings: inout Findings, at: Timestamp) {
        guard let report = burst?.value, report.faults.isEmpty else { return }
        let isNew = countedReport != burstNumber
        countedReport = burstNumber
        for index in pools.indices where pools[index].goneSince == nil && index < tally.pools.count {
            let pool = pools[index].pool
            let total = tally.pools[index]
            let agrees =
                pool.total.value == 0 || pool.used.value == nil || !total.isKnown || pool.used.value == total.sum
                || pool.used.value == total.sum &- total.givenBack
                || pool.used.value == UInt64.max || total.sum >= UInt64.max - 1
            if isNew { pools[index].gapPolls = agrees ? 0 : pools[index].gapPolls + 1 }
            guard pools[index].gapPolls >= 2 else { continue }
            let hides = report.plugins.contains { $0.name == pool.plugin && $0.hidesOtherUsers }
            let used = pool.used.value ?? 0
            let isRestricted = hides && used > total.sum
            findings.add(15) {
                let gap = used > total.sum ? used - total.sum : total.sum - used
                let what = used > total.sum ? "more" : "less"
                return alert(
                    "R15", isRestricted ? .info : .warn, pool, isRestricted ? "restricted" : "accounting gap",
                    isRestricted
                        ? "restricted view: \(Amount(gap).text) of others are in use and hidden (PrivateData)"
                        : "\(pool.used.text) used, \(Amount(gap).text) \(what) than the buffers shown (\(total.count))",
                    since: at, size: Amount(gap))
            }
        }
        // Where the pools agree with the rows, a user's sum may still not.
        let poolsAgree = pools.allSatisfy { $0.gapPolls == 0 }
        let hides = report.plugins.contains(where: \.hidesOtherUsers)
        for user in tally.users {
            let agrees =
                user.used == nil || !user.isKnown || user.used == user.sum || user.used == user.sum &- user.givenBack
            if isNew {
                userGapPolls[user.uid] = agrees ? nil : (userGapPolls[user.uid] ?? 0) + 1
            }
            guard poolsAgree, !hides, (userGapPolls[user.uid] ?? 0) >= 2, let used = user.used else { continue }
            findings.add(15) {
                let gap = used > user.sum ? used - user.sum : user.sum - used
                return Alert(
                    rule: "R15", severity: .warn, subject: .user(user.user), title: "accounting gap", user: user.user,
                    size: Amount(gap),
                    message:
                        "Per User Buffer Use \(Amount(used).text), the buffers shown (\(user.buffers)) hold "
                        + Amount(user.sum).text,
                    since: at)
            }
        }
        if isNew, userGapPolls.count > tally.users.count {
            let present = Set(tally.users.map(\.uid))
            userGapPolls = userGapPolls.filter { present.contains($0.key) }
        }
    }

    // MARK: R13

    func judgeUsers(_ findings: inout Findings, at: Timestamp) {
        guard jobsAreCurrent else { return }
        let waiting = demand.reduce(into: Set<UInt32>()) { $0.formUnion($1.users) }
        guard !waiting.isEmpty else { return }
        let all = tally.users.reduce(0.0) { $0 + Double($1.used ?? $1.sum) }
        guard all > 0 else { return }
        for user in tally.users {
            let share = Double(user.used ?? user.sum) / all * 100
            let others = waiting.count - (waiting.contains(user.uid) ? 1 : 0)
            guard share > Double(thresholds.userSharePercent), others > 0 else { continue }
            findings.add(13) {
                Alert(
                    rule: "R13", severity: .info, subject: .user(user.user), title: "large share", user: user.user,
                    size: Amount(user.used ?? user.sum),
                    message:
                        "\(Int(share))% of all space in use while "
                        + (others == 1 ? "another user waits" : "\(others) others wait"),
                    since: at)
            }
        }
    }
}
