/// Takes in `scontrol show burst`: finds each row's earlier self, logs what changed, keeps what is gone.
extension Watch {
    mutating func take(_ report: BurstReport, raw: [UInt8], _ sample: Sample) {
        let at = sample.endedAt
        let before = burst
        let isFirst = before == nil
        let gap = burstFailing != nil || before.map { at.seconds(since: $0.at) > Self.gapSeconds } ?? false
        burstNumber += 1
        followPlugins(before?.value, report, at: at)
        let ordinals = report.plugins.map { ordinal(ofPlugin: $0.name) }
        followPools(report, at: at, isFirst: isFirst)
        var log = ChangeLog(at: at)
        rows = match(report, ordinals, before: before, at: at, isFirst: isFirst, gap: gap, log: &log)
        linkJobs()
        burst = Sampled(report, at: at, durationMilliseconds: sample.durationMilliseconds)
        self.raw = raw
        burstFailing = nil
        finish(log)
        settleDeparted(byJobs: false, at: at)
        if isFirst {
            let buffers = rows.count == 1 ? "1 buffer" : "\(rows.count) buffers"
            let names = report.plugins.map(\.name).joined(separator: ", ")
            self.log(
                .note, .info, .controller,
                names.isEmpty
                    ? "watching; no burst buffer plugin is configured"
                    : "watching \(names): \(pools.count == 1 ? "1 pool" : "\(pools.count) pools"), \(buffers)", at: at)
        }
        judge(at: at)
    }

    /// State changes of one reply, as many as the log takes.
    struct ChangeLog {
        let at: Timestamp
        var events: [Event] = []
        var count = 0

        init(at: Timestamp) { self.at = at }

        mutating func add(_ event: @autoclosure () -> Event) {
            count += 1
            if events.count < Watch.changesMax { events.append(event()) }
        }
    }

    mutating func finish(_ changes: ChangeLog) {
        for event in changes.events { append(event) }
        if changes.count > changes.events.count {
            log(
                .note, .info, .controller, "\(changes.count - changes.events.count) more changes are not listed",
                at: changes.at)
        }
    }

    // MARK: Rows

    mutating func ordinal(ofPlugin name: String) -> UInt16 {
        if let known = pluginNames.firstIndex(of: name) { return UInt16(clamping: known) }
        // More plugins than Slurm has: damaged replies must not fill the table.
        if pluginNames.count >= 64 { return UInt16(pluginNames.count - 1) }
        pluginNames.append(name)
        return UInt16(pluginNames.count - 1)
    }

    private mutating func match(
        _ report: BurstReport, _ ordinals: [UInt16], before: Sampled<BurstReport>?, at: Timestamp, isFirst: Bool,
        gap: Bool, log: inout ChangeLog
    ) -> [BufferTrack] {
        let old = rows
        var new: [BufferTrack] = []
        new.reserveCapacity(report.bufferCount)
        var seen = [Bool](repeating: false, count: old.count)
        var lookup: RowLookup?
        var missingLookup: RowLookup?
        var returned = Set<Int32>()
        let previous = before?.value
        let previousAt = before?.at
        var cursor = 0
        for (pluginIndex, record) in report.plugins.enumerated() {
            let plugin = ordinals[pluginIndex]
            var lastPool: String?
            var lastPoolIndex: Int16 = -1
            var poolIsKnown = false
            for index in record.buffers.indices {
                let id = record.buffers[index].id
                let job = id.jobID?.number ?? 0
                func key() -> BufferKey { BufferKey(plugin: record.name, id: id) }
                func isSame(_ track: BufferTrack) -> Bool {
                    track.job == job && track.plugin == plugin
                        && (job != 0
                            || previous!.plugins[Int(track.place.plugin)].buffers[Int(track.place.index)].id == id)
                }
                var earlier: BufferTrack?
                if cursor < old.count, !seen[cursor], isSame(old[cursor]) {
                    earlier = old[cursor]
                    seen[cursor] = true
                    cursor += 1
                } else {
                    if lookup == nil { lookup = Self.lookup(old, previous, pluginNames) }
                    if let found = lookup!.find(plugin: plugin, job: job, key: key()), !seen[Int(found)] {
                        earlier = old[Int(found)]
                        seen[Int(found)] = true
                        cursor = Int(found) + 1
                    } else if !missing.isEmpty {
                        if missingLookup == nil {
                            var table = RowLookup()
                            for (place, gone) in missing.enumerated() {
                                table.add(
                                    plugin: gone.track.plugin, job: gone.track.job, key: gone.key, at: Int32(place))
                            }
                            missingLookup = table
                        }
                        if let found = missingLookup!.find(plugin: plugin, job: job, key: key()),
                            returned.insert(found).inserted
                        {
                            earlier = missing[Int(found)].track
                        }
                    }
                }
                if !poolIsKnown || record.buffers[index].pool != lastPool {
                    lastPool = record.buffers[index].pool
                    lastPoolIndex = poolIndex(plugin: record, name: lastPool)
                    poolIsKnown = true
                }
                let place = BufferRow.Place(plugin: Int32(pluginIndex), index: Int32(index))
                let state = states.code(record.buffers[index].state)
                let createdLocal = record.buffers[index].createdLocal?.secondsSinceEpoch ?? .min
                let track: BufferTrack
                if var same = earlier {
                    same.place = place
                    same.pool = lastPoolIndex
                    let restarted = followCreation(
                        &same, createdLocal, at: at, previous: previousAt, now: sample(at))
                    if restarted {
                        same.since = creation(createdLocal, notAfter: at, notBefore: previousAt) ?? at
                        same.sinceSeen = !gap
                        same.watched = !gap
                        same.orphanPolls = 0
                        same.appearedIn = burstNumber
                        log.add(event(record.buffers[index], key(), "created anew", at: at))
                    }
                    if same.state != state {
                        let text = "\(states.name(same.state)) -> \(record.buffers[index].state.name)"
                        log.add(event(record.buffers[index], key(), text, at: at))
                        same.state = state
                        same.changedIn = burstNumber
                        if !restarted {
                            same.since = at
                            same.sinceSeen = !gap
                        }
                    }
                    track = same
                } else {
                    track = firstSight(
                        record.buffers[index], place: place, job: job, plugin: plugin, pool: lastPoolIndex,
                        state: state,
                        createdLocal: createdLocal, at: at, previous: isFirst ? nil : previousAt, gap: gap)
                    if !isFirst { log.add(appearance(record.buffers[index], key(), at: at)) }
                }
                new.append(track)
            }
        }
        // What a damaged reply does not show may still be there.
        let isWhole = report.faults.isEmpty
        if !returned.isEmpty || isWhole {
            var rest: [Departed] = []
            for (place, gone) in missing.enumerated() where !returned.contains(Int32(place)) {
                if isWhole { vanish(gone, at: at, log: &log) } else { rest.append(gone) }
            }
            missing = rest
        }
        if let previous {
            for index in old.indices where !seen[index] {
                let place = old[index].place
                let buffer = previous.plugins[Int(place.plugin)].buffers[Int(place.index)]
                let key = BufferKey(plugin: pluginNames[Int(old[index].plugin)], id: buffer.id)
                let gone = Departed(key: key, track: old[index], buffer: buffer, at: at)
                if isWhole { vanish(gone, at: at, log: &log) } else { missing.append(gone) }
            }
        }
        if missing.count > Self.missingMax { missing.removeFirst(missing.count - Self.missingMax) }
        return new
    }

    private func sample(_ at: Timestamp) -> Int64 { zone.local(at).secondsSinceEpoch }

    private static func lookup(_ tracks: [BufferTrack], _ report: BurstReport?, _ names: [String]) -> RowLookup {
        var table = RowLookup()
        guard let report else { return table }
        table.reserve(tracks.count)
        for (index, track) in tracks.enumerated() {
            table.add(
                plugin: track.plugin, job: track.job,
                key: BufferKey(
                    plugin: names[Int(track.plugin)],
                    id: report.plugins[Int(track.place.plugin)].buffers[Int(track.place.index)].id), at: Int32(index))
        }
        return table
    }

    private func poolIndex(plugin: PluginRecord, name: String?) -> Int16 {
        // After a restart DataWarp rows say Pool=(null); their space is charged to the default pool (spec §5.7).
        guard let name = name ?? plugin.defaultPool else { return -1 }
        let found = pools.firstIndex { $0.pool.name == name && $0.pool.plugin == plugin.name }
        return found.map { Int16(clamping: $0) } ?? -1
    }

    private mutating func firstSight(
        _ buffer: Buffer, place: BufferRow.Place, job: UInt32, plugin: UInt16, pool: Int16, state: UInt8,
        createdLocal: Int64, at: Timestamp, previous: Timestamp?, gap: Bool
    ) -> BufferTrack {
        var track = BufferTrack(
            place: place, job: job, jobTrack: -1, plugin: plugin, pool: pool, state: state, stage: StateTable.none,
            sinceSeen: false, watched: false, createdMoves: false, jobWasKnown: false, orphanPolls: 0, since: at,
            createdLocal: createdLocal, created: createdLocal == .min ? at : hours.moment(createdLocal),
            appearedIn: burstNumber, changedIn: -1)
        if let previous {
            // It came between two reports, or within a gap: in its state no longer than that.
            track.sinceSeen = !gap
            track.watched = !gap
            track.since = creation(createdLocal, notAfter: at, notBefore: previous) ?? at
        } else if let created = creation(createdLocal, notAfter: at, notBefore: nil) {
            // A persistent buffer is allocated from its creation on; a job's buffer is created when stage-in begins.
            if buffer.id.isPersistent && buffer.state == .allocated || buffer.state == .stagingIn {
                track.since = created
                track.sinceSeen = true
            }
        }
        return track
    }

    /// CreateTime as a moment, if it lies in a span in which it can be true.
    private mutating func creation(_ local: Int64, notAfter at: Timestamp, notBefore: Timestamp?) -> Timestamp? {
        guard local != .min else { return nil }
        let moment = hours.moment(local)
        if let notBefore, moment < notBefore { return nil }
        return moment <= at ? moment : nil
    }

    /// Takes over CreateTime. True where it shows that this is another buffer under the same id.
    private mutating func followCreation(
        _ track: inout BufferTrack, _ local: Int64, at: Timestamp, previous: Timestamp?, now: Int64
    ) -> Bool {
        guard local != track.createdLocal else { return false }
        let was = track.createdLocal
        track.createdLocal = local
        if local != .min { track.created = hours.moment(local) }
        track.changedIn = burstNumber
        if track.createdMoves { return false }
        guard local != .min, was != .min else { return false }
        let nearNow = abs(local - now) <= 5
        let moved = previous.map { abs((local - was) - Int64(at.seconds(since: $0))) <= 3 } ?? false
        if nearNow, moved {
            // Slurm prints the time of the call where it has none (monitor.md §0).
            track.createdMoves = true
            track.changedIn = -1
            return false
        }
        return true
    }

    private func event(_ buffer: Buffer, _ key: BufferKey, _ text: String, at: Timestamp) -> Event {
        let level: Event.Level = buffer.state == .teardownFail || buffer.state == .allocRevoke ? .crit : .info
        return Event(at: at, level: level, kind: .state, subject: .buffer(key), user: buffer.user, text: text)
    }

    private func appearance(_ buffer: Buffer, _ key: BufferKey, at: Timestamp) -> Event {
        event(
            buffer, key, "new: \(buffer.size.text)\(buffer.pool.map { " in " + $0 } ?? ""), \(buffer.state.name)",
            at: at)
    }

    // MARK: Gone

    private mutating func vanish(_ gone: Departed, at: Timestamp, log: inout ChangeLog) {
        let track = gone.track
        var text = "gone, was \(states.name(track.state))"
        if track.stage != StateTable.none, track.stage != track.state {
            text += "; job last seen \(states.name(track.stage))"
        }
        log.add(
            Event(at: at, level: .info, kind: .state, subject: .buffer(gone.key), user: gone.buffer.user, text: text))
        if track.job != 0 { proveCancel(of: track.job, "gone", at: at) }
        active.removeAll { alert in
            // An orphan that vanishes is told as a possible leak instead.
            alert.alert.rule == "R8" && alert.alert.subject == .buffer(gone.key) && track.orphanPolls >= 2
        }
        if track.orphanPolls >= 2 {
            var stone = gone
            stone.at = at
            bury(stone, "its job is unknown to Slurm and it is gone: its space may still be held", at: at)
        } else if track.job != 0, pluginNames[Int(track.plugin)] == "lua" {
            departed.append(gone)
            if departed.count > Self.departedMax { departed.removeFirst(departed.count - Self.departedMax) }
        }
    }

    /// Keeps what is known of a buffer that may have leaked (R3).
    mutating func bury(_ gone: Departed, _ message: String, at: Timestamp) {
        guard settled.insert(gone.track.job).inserted, !thresholds.disabled.contains("R3") else { return }
        tombstones.append(gone)
        if tombstones.count > Self.tombstonesMax {
            let dropped = tombstones.removeFirst().key
            active.removeAll { $0.alert.rule == "R3" && $0.alert.subject == .buffer(dropped) }
        }
        raiseLatched(
            Alert(
                rule: "R3", severity: .crit, subject: .buffer(gone.key), title: "LEAK?", user: gone.buffer.user,
                size: gone.buffer.size, pool: gone.buffer.pool ?? "", message: message, since: gone.at, latched: true),
            at: at)
    }

    // MARK: Pools and plugins

    private mutating func followPlugins(_ before: BurstReport?, _ report: BurstReport, at: Timestamp) {
        guard let before else { return }
        for record in before.plugins where !report.plugins.contains(where: { $0.name == record.name }) {
            if report.faults.isEmpty { log(.controller, .warn, .controller, "plugin \(record.name) is gone", at: at) }
        }
        for record in report.plugins {
            guard let old = before.plugins.first(where: { $0.name == record.name }) else {
                log(.controller, .info, .controller, "plugin \(record.name) is here", at: at)
                continue
            }
            func changed(_ what: String, _ from: some Equatable, _ to: some Equatable) {
                let (was, now) = ("\(from)", "\(to)")
                if was != now {
                    log(.controller, .info, .controller, "\(record.name): \(what) \(was) -> \(now)", at: at)
                }
            }
            guard report.faults.isEmpty else { continue }
            changed("Flags", old.flags.joined(separator: ","), record.flags.joined(separator: ","))
            changed("StageInTimeout", old.stageInTimeout, record.stageInTimeout)
            changed("StageOutTimeout", old.stageOutTimeout, record.stageOutTimeout)
            changed("ValidateTimeout", old.validateTimeout, record.validateTimeout)
            changed("OtherTimeout", old.otherTimeout, record.otherTimeout)
            changed("PollInterval", old.pollInterval ?? 0, record.pollInterval ?? 0)
            changed("DefaultPool", old.defaultPool ?? "(null)", record.defaultPool ?? "(null)")
            for label in ["AllowUsers", "DenyUsers"] {
                changed(label, old.setting(label) ?? "(null)", record.setting(label) ?? "(null)")
            }
        }
    }

    private mutating func followPools(_ report: BurstReport, at: Timestamp, isFirst: Bool) {
        var seen = Set<Int>()
        for record in report.plugins {
            poollessSince[record.name] = record.pools.isEmpty ? poollessSince[record.name] ?? at : nil
            for pool in record.pools {
                guard
                    let index = pools.firstIndex(where: { $0.pool.name == pool.name && $0.pool.plugin == pool.plugin })
                else {
                    var track = PoolTrack(pool: pool)
                    track.history.add(pool, at: at)
                    if pool.total.known.map({ $0 > 0 }) ?? false { track.lastTotal = pool.total }
                    seen.insert(pools.count)
                    pools.append(track)
                    if !isFirst { log(.pool, .info, .pool(pool.key), "new, total \(pool.total.text)", at: at) }
                    continue
                }
                seen.insert(index)
                follow(pool, at: index, at)
            }
        }
        for index in pools.indices where !seen.contains(index) && pools[index].goneSince == nil && report.faults.isEmpty
        {
            pools[index].goneSince = at
            log(.pool, .crit, .pool(pools[index].pool.key), "no longer reported", at: at)
        }
        // Rows hold places among the pools, so none is taken out while there are any.
        if rows.isEmpty, missing.isEmpty {
            pools.removeAll { $0.goneSince.map { at.seconds(since: $0) > Self.gonePoolSeconds } ?? false }
        }
    }

    private mutating func follow(_ pool: Pool, at index: Int, _ at: Timestamp) {
        let old = pools[index].pool
        let subject = Subject.pool(pool.key)
        if pools[index].goneSince != nil {
            log(.pool, .info, subject, "reported again, total \(pool.total.text)", at: at)
            pools[index].goneSince = nil
        }
        if old.total != pool.total {
            let level: Event.Level = pool.total.value == 0 ? .warn : .info
            log(.pool, level, subject, "total \(old.total.text) -> \(pool.total.text)", at: at)
        }
        if old.granularity != pool.granularity {
            log(.pool, .info, subject, "granularity \(old.granularity.text) -> \(pool.granularity.text)", at: at)
        }
        if old.drainedAmount != pool.drainedAmount {
            let level: Event.Level = (pool.drained ?? 0) > (old.drained ?? 0) ? .warn : .info
            log(.pool, level, subject, "drained \(old.drainedAmount.text) -> \(pool.drainedAmount.text)", at: at)
        }
        func isFull(_ pool: Pool) -> Bool { pool.free.value == 0 || pool.free.isUnderflow }
        if isFull(old) != isFull(pool), pool.total.value != 0 {
            let level: Event.Level = isFull(pool) ? .warn : .info
            let text = pool.free.isUnderflow ? "-" + Amount(pool.free.shortfall).text : pool.free.text
            let before = old.free.isUnderflow ? "-" + Amount(old.free.shortfall).text : old.free.text
            log(.pool, level, subject, "free \(before) -> \(text)", at: at)
        }
        if let total = pool.total.known, total > 0 {
            pools[index].lastTotal = pool.total
            pools[index].zeroSince = nil
        } else if pool.total.value == 0, pools[index].lastTotal != nil, pools[index].zeroSince == nil {
            pools[index].zeroSince = at
        }
        pools[index].pool = pool
        pools[index].history.add(pool, at: at)
    }
}
