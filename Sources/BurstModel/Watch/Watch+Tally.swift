/// Sums over all buffers and all waiting jobs.
extension Watch {
    /// What pools and users hold.
    struct Tally: Sendable {
        var pools: [PoolTotal] = []
        var users: [UserTotal] = []

        struct PoolTotal: Sendable {
            var count = 0
            /// Slurm's sums wrap, and so does this one.
            var sum: UInt64 = 0
            /// Of it, rows whose setup failed: DataWarp has given their space back already (R15).
            var givenBack: UInt64 = 0
            /// Each size is a number.
            var isKnown = true
            var waste: UInt64 = 0
        }

        struct UserTotal: Sendable {
            var user: String
            var uid: UInt32
            var used: UInt64?
            var sum: UInt64 = 0
            var givenBack: UInt64 = 0
            var isKnown = true
            var buffers = 0
            /// Bits of the first 64 pools.
            var poolBits: UInt64 = 0
            var oldest: Timestamp?
            /// Buffers by the code of their stage.
            var counts: [Int32] = []

            var poolCount: Int { poolBits.nonzeroBitCount }
        }
    }

    /// Jobs that wait for space in a pool.
    struct PoolDemand: Sendable {
        /// Jobs, each task of an array counted.
        var waiting = 0
        /// The smallest request, rounded up.
        var smallest: UInt64?
        var users: Set<UInt32> = []
    }

    mutating func tallyUp() {
        var result = Tally()
        result.pools = Array(repeating: .init(), count: pools.count)
        defer { tally = result }
        guard let report = burst?.value else { return }
        var places: [UInt32: Int] = [:]
        var lastUID: UInt32?
        var lastPlace = 0
        var row = 0
        for record in report.plugins {
            let buffers = record.buffers
            for index in buffers.indices {
                let track = rows[row]
                row += 1
                let uid = buffers[index].uid
                if uid != lastUID {
                    lastUID = uid
                    if let known = places[uid] {
                        lastPlace = known
                    } else {
                        lastPlace = result.users.count
                        places[uid] = lastPlace
                        result.users.append(.init(user: buffers[index].user, uid: uid))
                    }
                }
                let size = buffers[index].size.value
                let hasJob = track.jobTrack >= 0
                let isGivenBack =
                    hasJob && jobTracks[Int(track.jobTrack)].facts.contains(.setupFailed) && record.name == "datawarp"
                result.users[lastPlace].add(
                    size, givenBack: isGivenBack, pool: track.pool,
                    code: track.stage == StateTable.none ? track.state : track.stage, created: track.knownCreation)
                guard track.pool >= 0 else { continue }
                let pool = Int(track.pool)
                result.pools[pool].count += 1
                guard let size else {
                    result.pools[pool].isKnown = false
                    continue
                }
                result.pools[pool].sum &+= size
                if isGivenBack { result.pools[pool].givenBack &+= size }
                if hasJob, let asked = asked(jobTracks[Int(track.jobTrack)].requests, pool: pool), asked < size {
                    result.pools[pool].waste &+= size - asked
                }
            }
            for use in record.users {
                let place = places[use.uid] ?? result.users.count
                if place == result.users.count {
                    places[use.uid] = place
                    result.users.append(.init(user: use.user, uid: use.uid))
                }
                guard let used = use.used.value else { continue }
                result.users[place].used = (result.users[place].used ?? 0) &+ used
            }
        }
    }

    /// Sum of what directives ask of a pool for the job itself; nil where they do not tell.
    func asked(_ requests: [BufferRequest], pool index: Int) -> UInt64? {
        var sum: UInt64 = 0
        var found = false
        for request in requests where !request.isPersistent {
            guard request.pool.map({ $0 == pools[index].pool.name }) ?? pools[index].pool.isDefault else { continue }
            guard let size = request.size, size < 1 << 63 else { return nil }
            let (next, over) = sum.addingReportingOverflow(size)
            if over { return nil }
            sum = next
            found = true
        }
        return found ? sum : nil
    }

    /// Place of the pool that a request means: the named one, else the default pool.
    func poolIndex(_ request: BufferRequest) -> Int? {
        pools.firstIndex { track in request.pool.map { track.pool.name == $0 } ?? track.pool.isDefault }
    }

    /// What a job asks for in the pool of its first directive, rounded up.
    func need(_ track: JobTrack) -> (pool: String?, size: UInt64?, bytes: Bool) {
        guard let first = track.requests.first else { return (nil, nil, true) }
        guard let index = poolIndex(first) else { return (first.pool, first.size, true) }
        let pool = pools[index].pool
        var sum: UInt64 = 0
        for request in track.requests where poolIndex(request) == index {
            guard let size = request.size, let rounded = pool.rounded(size) else {
                return (pool.name, nil, pool.countsBytes)
            }
            sum &+= rounded
        }
        return (pool.name, sum, pool.countsBytes)
    }

    mutating func sumDemand() {
        // While squeue's list is old, what it said stays.
        if !jobsAreCurrent, demand.count == pools.count { return }
        demand = Array(repeating: PoolDemand(), count: pools.count)
        guard jobsAreCurrent, let list = jobs?.value else { return }
        for track in jobTracks where track.facts.contains(.waits) {
            var sums: [Int: UInt64?] = [:]
            for request in track.requests {
                guard let index = poolIndex(request) else { continue }
                let rounded = request.size.flatMap { pools[index].pool.rounded($0) }
                if let earlier = sums[index] {
                    sums[index] = .some(earlier.flatMap { sum in rounded.map { sum &+ $0 } })
                } else {
                    sums[index] = .some(rounded)
                }
            }
            let job = Int(track.index)
            for (index, sum) in sums {
                demand[index].waiting += Self.tasks(list[job].arrayTask)
                demand[index].users.insert(list[job].uid)
                if let sum { demand[index].smallest = min(demand[index].smallest ?? sum, sum) }
            }
        }
    }

    /// How many tasks `1-5`, `0,3-7%2`, `4` stand for; 1 for a job that is no array.
    static func tasks(_ text: String?) -> Int {
        guard let text, !text.isEmpty else { return 1 }
        var count = 0
        for part in text.prefix(while: { $0 != "%" }).split(separator: ",") {
            let range = part.prefix { $0 != ":" }.split(separator: "-").map { Int($0) }
            let step = part.split(separator: ":").dropFirst().first.flatMap { Int($0) } ?? 1
            if range.count == 2, let first = range[0], let last = range[1], last >= first, step > 0 {
                count += (last - first) / step + 1
            } else {
                count += 1
            }
        }
        return max(1, count)
    }
}

extension Watch.Tally.UserTotal {
    mutating func add(_ size: UInt64?, givenBack: Bool, pool: Int16, code: UInt8, created: Timestamp?) {
        buffers += 1
        if let size {
            sum &+= size
            if givenBack { self.givenBack &+= size }
        } else {
            isKnown = false
        }
        if pool >= 0, pool < 64 { poolBits |= 1 << UInt64(pool) }
        while counts.count <= Int(code) { counts.append(0) }
        counts[Int(code)] += 1
        if let created, oldest.map({ created < $0 }) ?? true { oldest = created }
    }
}
