/// Builds the board from what is known.
extension Watch {
    /// What is known, with ages as of a moment. Asking again without new samples costs little.
    package mutating func board(at now: Timestamp) -> Board {
        if cache == nil { cache = build(at: now) }
        var board = cache!
        board.now = now
        for index in board.userRows.indices {
            board.userRows[index].oldestSeconds = board.userRows[index].oldest.map { max(0, now.seconds(since: $0)) }
        }
        for cancel in cancels {
            let age = now.seconds(since: cancel.at)
            guard age < Self.cancelShownSeconds else { continue }
            for index in rows.indices where rows[index].job == cancel.id.number {
                board.bufferRows[index].flag = "cancel \(max(0, age))s"
            }
        }
        return board
    }

    private func build(at now: Timestamp) -> Board {
        var board = Board(source: source, now: now)
        board.burst = burst
        board.raw = raw
        board.jobs = jobs
        board.reservations = reservations
        board.config = config
        board.faults = faults
        board.health = health
        board.staging = staging
        board.stagingLost = stagingFailing.map { StagingLoss(reason: $0.reason, since: $0.since) }
        board.alerts = sortedAlerts()
        board.events = events
        let noted = alertSeverities()
        board.poolRows = poolRows(noted)
        board.bufferRows = bufferRows(noted)
        board.userRows = userRows(noted)
        (board.jobRows, board.finishedJobs) = jobRows(noted)
        addStaging(to: &board, noted)
        return board
    }

    private var faults: [Fault] {
        var faults = burst?.value.faults ?? []
        faults += jobFaults + reservationFaults + (staging?.value.faults ?? [])
        if let failing = jobsFailing {
            let age = jobs.map { "jobs are of " + zone.local($0.at).clock } ?? "no jobs are known"
            faults.append(Fault(reply: "squeue", line: 0, message: "\(failing.reason) (\(age))"))
        }
        return faults + otherFaults.keys.sorted().map { otherFaults[$0]! }
    }

    private var health: Health {
        if let failing = burstFailing {
            return .stale(reason: failing.reason, since: failing.since, tries: failing.tries, lastGood: burst?.at)
        }
        guard let burst else { return .connecting }
        return burst.value.plugins.isEmpty && burst.value.faults.isEmpty ? .noPlugin : .live
    }

    // MARK: Severities

    /// The worst alert of each subject that no row's own note tells: pools, users, tombstones, alerts that outlived
    /// their condition.
    struct Noted {
        var pools: [PoolKey: Severity] = [:]
        var users: [String: Severity] = [:]
        var buffers: [BufferKey: Severity] = [:]
        var jobs: [JobID: Severity] = [:]
    }

    private func alertSeverities() -> Noted {
        var noted = Noted()
        for entry in active {
            let severity = entry.alert.severity
            switch entry.alert.subject {
            case .pool(let key): noted.pools[key] = max(noted.pools[key] ?? severity, severity)
            case .buffer(let key):
                noted.buffers[key] = max(noted.buffers[key] ?? severity, severity)
                if let job = key.id.jobID { noted.jobs[job] = max(noted.jobs[job] ?? severity, severity) }
            case .job(let id): noted.jobs[id] = max(noted.jobs[id] ?? severity, severity)
            case .user, .controller: break
            }
            let user = entry.alert.user
            if !user.isEmpty { noted.users[user] = max(noted.users[user] ?? severity, severity) }
        }
        return noted
    }

    // MARK: Rows

    private func poolRows(_ noted: Noted) -> [PoolRow] {
        let active = (reservations?.value ?? []).filter { $0.state == nil || $0.state == "ACTIVE" }
        return pools.indices.map { index in
            let track = pools[index]
            var row = PoolRow(pool: track.pool, history: track.history)
            row.goneSince = track.goneSince
            row.reserved = active.reduce(0) { $0 &+ $1.reserved(in: track.pool) }
            if index < tally.pools.count {
                row.bufferCount = tally.pools[index].count
                row.bufferSum = tally.pools[index].sum
                row.waste = track.pool.countsBytes ? tally.pools[index].waste : 0
            }
            if index < demand.count {
                row.waiting = demand[index].waiting
                row.smallestWaiting = demand[index].smallest
            }
            row.severity = noted.pools[track.pool.key]
            return row
        }
    }

    private func bufferRows(_ noted: Noted) -> [BufferRow] {
        var result: [BufferRow] = []
        result.reserveCapacity(rows.count + tombstones.count)
        guard let report = burst?.value else { return [] }
        var index = 0
        for record in report.plugins {
            for buffer in record.buffers.indices {
                let track = rows[index]
                var row = BufferRow(
                    key: BufferKey(plugin: record.name, id: record.buffers[buffer].id), since: track.since,
                    sinceSeen: track.sinceSeen)
                row.place = track.place
                if track.jobTrack >= 0 { row.job = jobTracks[Int(track.jobTrack)].index }
                row.created = track.knownCreation
                if burstNumber > 1 || jobsNumber > 1 {
                    if track.appearedIn == burstNumber, burstNumber > 1 {
                        row.mark = .new
                    } else if track.changedIn == burstNumber {
                        row.mark = .changed
                    }
                }
                if let note = rowNotes[Int32(index)] {
                    row.severity = note.severity
                    row.flag = note.flag.text
                }
                if row.flag.isEmpty, track.jobTrack >= 0 {
                    let facts = jobTracks[Int(track.jobTrack)].facts
                    if facts.contains([.held, .pending]) { row.flag = RowNote.Flag.held.text }
                }
                if !noted.buffers.isEmpty, let severity = noted.buffers[row.key] {
                    row.severity = max(row.severity ?? severity, severity)
                }
                result.append(row)
                index += 1
            }
        }
        for stone in tombstones {
            var row = BufferRow(key: stone.key, since: stone.at, sinceSeen: true)
            row.gone = BufferRow.Tombstone(buffer: stone.buffer, at: stone.at)
            if let place = jobLookup[stone.track.job] { row.job = jobTracks[Int(place)].index }
            row.created = stone.track.knownCreation
            row.severity = noted.buffers[stone.key]
            row.flag = RowNote.Flag.leak.text
            result.append(row)
        }
        return result
    }

    private func userRows(_ noted: Noted) -> [UserRow] {
        let all = tally.users.reduce(0.0) { $0 + Double($1.used ?? $1.sum) }
        return tally.users.map { total in
            var row = UserRow(user: total.user, uid: total.uid)
            row.used = total.used
            row.sum = total.sum
            row.buffers = total.buffers
            row.share = all > 0 ? Double(total.used ?? total.sum) / all : 0
            row.pools = total.poolCount
            row.oldest = total.oldest
            row.states = total.counts.enumerated().compactMap { code, count in
                guard count > 0, let state = states.state(UInt8(code)) else { return nil }
                return UserRow.StateCount(state: state, count: Int(count))
            }
            row.severity = noted.users[total.user]
            return row
        }
    }

    private func jobRows(_ noted: Noted) -> (rows: [JobRow], finished: Int) {
        guard jobs != nil else { return ([], 0) }
        var result: [JobRow] = []
        result.reserveCapacity(jobTracks.count)
        var finished = 0
        let stones = Set(tombstones.map(\.track.job))
        for (place, track) in jobTracks.enumerated() {
            let isOver =
                track.facts.contains(.final) && (track.stage == StateTable.none || track.stage == Code.complete)
            let severity = worst(jobNotes[Int32(place)], noted.jobs.isEmpty ? nil : noted.jobs[JobID(track.id)])
            // Finished jobs stay in Slurm's list for MinJobAge; they would flood the screen.
            if isOver, track.row < 0, severity == nil, !stones.contains(track.id) {
                finished += 1
                continue
            }
            var row = JobRow(
                job: track.index, id: JobID(track.id), since: track.since,
                sinceSeen: track.facts.contains(.sinceSeen))
            let need = need(track)
            row.pool = need.pool
            row.need = need.size
            row.needCountsBytes = need.bytes
            if track.row >= 0 {
                let buffer = buffer(rows[Int(track.row)])
                row.buffer = key(rows[Int(track.row)])
                row.pool = buffer.pool ?? row.pool
                row.since = rows[Int(track.row)].since
                row.sinceSeen = rows[Int(track.row)].sinceSeen
            }
            row.severity = severity
            result.append(row)
        }
        return (result, finished)
    }

    private func worst(_ one: Severity?, _ other: Severity?) -> Severity? {
        guard let one else { return other }
        return other.map { max(one, $0) } ?? one
    }
}
