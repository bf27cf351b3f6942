import BurstModel

/// The checks of a submission that need no hook, in Slurm's order (spec §3.3): the directives, the owner, AllowUsers,
/// DenyUsers. `slurm_bb_job_process` comes after them.
package enum Submission {
    /// A pool as far as a request is checked against it.
    package struct Pool: Hashable, Sendable {
        package var name: String
        /// Bytes or units; 0 counts as 1.
        package var granularity: UInt64
        /// Nil: not known, so nothing is too large for it.
        package var total: UInt64?

        package init(name: String, granularity: UInt64, total: UInt64? = nil) {
            self.name = name
            self.granularity = granularity
            self.total = total
        }
    }

    /// What of burst_buffer.conf the checks need.
    package struct Rules: Hashable, Sendable {
        package var pluginName: String
        package var directive: String
        /// Nil: everybody.
        package var allowedUserIDs: Set<UInt32>?
        package var deniedUserIDs: Set<UInt32>
        /// Datawarp: what a line without `pool=` means; nil: no pool is known.
        package var defaultPool: String?
        /// Datawarp: whoever submits may create and destroy persistent buffers.
        package var allowsPersistent = false
        /// Refuse what is larger than its whole pool; Slurm lets it wait for ever (spec §10, Q4).
        package var refusesTooLarge = true

        package init(
            pluginName: String = "lua", directive: String = "BB_LUA", allowedUserIDs: Set<UInt32>? = nil,
            deniedUserIDs: Set<UInt32> = []
        ) {
            self.pluginName = pluginName
            self.directive = directive
            self.allowedUserIDs = allowedUserIDs
            self.deniedUserIDs = deniedUserIDs
        }

        package init(_ plugin: EngineSettings.Plugin) {
            self.init(
                pluginName: plugin.name, directive: plugin.directive, allowedUserIDs: plugin.allowedUserIDs,
                deniedUserIDs: plugin.deniedUserIDs)
        }
    }

    /// What a job asks of burst buffers, checked.
    package struct Accepted: Hashable, Sendable {
        /// `BurstBuffer=`.
        package var spec: String
        /// A pool and a rounded size for each line with a capacity, in their order.
        package var requests: [BufferWork.Request] = []
        package var hasSymbols = false
        /// Datawarp: what is done to persistent buffers.
        package var acts: [PersistentAct] = []
        /// Datawarp: the pool of a buffer without a size.
        package var defaultPool: String?
        /// A line asks for it: only then is a mail sent about it. Always so with lua.
        package var stagesOut = true
        /// For the one who submits; the job is accepted.
        package var warnings: [String] = []

        /// The pool that `setup` is told: that of the last line with a capacity (spec §3.1).
        package var pool: String? { requests.last?.pool ?? defaultPool }

        /// The sum that `setup` is told.
        package var size: UInt64 { requests.reduce(0) { $0 + $1.size } }

        /// What each pool is asked for, in the order of first mention. Slurm charges all to the last (spec §10, Q34).
        package var perPool: [BufferWork.Request] {
            var sums: [BufferWork.Request] = []
            for request in requests {
                if let index = sums.firstIndex(where: { $0.pool == request.pool }) {
                    sums[index].size += request.size
                } else {
                    sums.append(request)
                }
            }
            return sums
        }
    }

    /// Where the directives of a job come from.
    package enum Source: Hashable, Sendable {
        /// A batch script, and `--bb`.
        case batch(script: String, option: String?)
        /// `srun --bb` and `salloc --bb`: the text is the whole request.
        case interactive(option: String)
    }

    /// - Parameters:
    ///   - ownerUserID: whose job it is, not who submits it: root may submit for others.
    ///   - pools: those that `slurm_bb_pools` reported.
    /// - Returns: nil where the job asks for no burst buffer; warnings are in `warnings` then.
    package static func check(
        _ source: Source, rules: Rules, pools: [Pool], ownerUserID: UInt32, warnings: inout [String]
    ) throws(SubmissionFault) -> Accepted? {
        if rules.pluginName == BurstPlugin.datawarp.rawValue {
            return try checkDataWarp(
                source, rules: rules, pools: pools, ownerUserID: ownerUserID, warnings: &warnings)
        }
        let scan: DirectiveScan
        let spec: String?
        switch source {
        case .batch(let script, let option):
            var whole = script
            var inserted = 0..<0
            if let option {
                try BurstBufferOption.checkForScript(option, directive: rules.directive)
                whole = BurstBufferOption.inserted(option, into: script)
                inserted = BurstBufferOption.lines(of: option, in: script)
            }
            scan = DirectiveScan(script: whole, directive: rules.directive, inserted: inserted)
            spec = scan.text
        case .interactive(let option):
            try BurstBufferOption.checkAlone(option, directive: rules.directive)
            scan = DirectiveScan(script: option, directive: rules.directive, inserted: 1..<Int.max)
            spec = option
        }
        warnings += scan.warnings
        guard let spec, !scan.lines.isEmpty else { return nil }
        var accepted = Accepted(spec: spec, hasSymbols: scan.hasSymbols)
        accepted.requests = try requests(scan, rules: rules, pools: pools)
        warnings += scan.oddWords(directive: rules.directive)
        accepted.warnings = warnings
        try checkOwner(ownerUserID, rules: rules)
        return accepted
    }

    private static func requests(
        _ scan: DirectiveScan, rules: Rules, pools: [Pool]
    ) throws(SubmissionFault) -> [BufferWork.Request] {
        func refuse(_ text: String) -> SubmissionFault {
            SubmissionFault(.invalidBurstBufferRequest, ["burst_buffer/\(rules.pluginName): \(text)"])
        }
        func pool(_ name: String, _ number: Int) throws(SubmissionFault) -> Pool {
            if let pool = pools.first(where: { $0.name == name }) { return pool }
            throw refuse("\(scan.place(number)): Invalid pool requested (\(PlainText.oneLine(name))): " + known(pools))
        }
        let read: (requests: [DirectiveScan.Request], poolsOnly: [(number: Int, pool: String)])
        do throws(SizeFault) {
            read = try scan.requests(directive: rules.directive)
        } catch {
            throw refuse(error.description)
        }
        // Slurm checks no pool on a line without capacity (spec §10, Q21).
        for (number, name) in read.poolsOnly { _ = try pool(name, number) }
        var checked: [BufferWork.Request] = []
        var sums = Sums()
        for request in read.requests {
            let place = scan.place(request.number)
            let pool = try pool(request.pool ?? "", request.number)
            do throws(SizeFault) {
                let size = try sums.add(request.size, request.sizeText, to: pool, rules)
                checked.append(BufferWork.Request(pool: pool.name, size: size))
            } catch {
                throw refuse("\(place): \(error)")
            }
        }
        return checked
    }

    /// What the lines so far ask for, rounded, by pool and in all.
    private struct Sums {
        private var byPool: [String: UInt64] = [:]
        private var all: UInt64 = 0

        /// - Returns: the size in whole granules.
        mutating func add(_ size: UInt64, _ text: String, to pool: Pool, _ rules: Rules) throws(SizeFault) -> UInt64 {
            let asked = "capacity=\(PlainText.oneLine(text))"
            guard let size = SizeText.rounded(size, granularity: pool.granularity) else {
                throw SizeFault(
                    description:
                        "\(asked) exceeds 64 bits when rounded to \(pool.name)'s granularity: write less")
            }
            let (sum, over) = byPool[pool.name, default: 0].addingReportingOverflow(size)
            let (total, overAll) = all.addingReportingOverflow(size)
            guard !over, !overAll else {
                throw SizeFault(description: "\(asked): the sum exceeds 64 bits: write less")
            }
            if rules.refusesTooLarge, let most = pool.total, sum > most {
                throw SizeFault(
                    description:
                        "\(asked): pool \(pool.name) has \(Amount.slurmText(most)) in all: write at most that")
            }
            byPool[pool.name] = sum
            all = total
            return size
        }
    }

    // MARK: DataWarp

    private static func checkDataWarp(
        _ source: Source, rules: Rules, pools: [Pool], ownerUserID: UInt32, warnings: inout [String]
    ) throws(SubmissionFault) -> Accepted? {
        var script: String
        var inserted = 0..<0
        switch source {
        case .batch(let text, let option):
            script = text
            if let option {
                try BurstBufferOption.checkForScript(option, directive: "DW")
                script = BurstBufferOption.inserted(option, into: text)
                inserted = BurstBufferOption.lines(of: option, in: text)
            }
        case .interactive(let option):
            script = BurstBufferOption.interactiveScript(option)
            inserted = 2..<Int.max
        }
        let read = try DataWarpDirectives(script: script, inserted: inserted)
        warnings += read.warnings
        guard let spec = read.spec else { return nil }
        // Said as what it is, wherever it stands (spec §10, Q40).
        if let persistent = read.persistent, !rules.allowsPersistent {
            throw SubmissionFault(
                .burstBufferPermission,
                [
                    "burst_buffer/datawarp: \(persistent.place): User \(ownerUserID) disabled from "
                        + "\(persistent.verb) persistent burst buffer"
                ])
        }
        var accepted = Accepted(spec: spec, hasSymbols: read.hasSymbols)
        accepted.acts = read.acts
        accepted.defaultPool = rules.defaultPool
        accepted.stagesOut = read.stagesOut
        var sums = Sums()
        for request in read.requests {
            guard let pool = pools.first(where: { $0.name == request.pool ?? rules.defaultPool }) else {
                let name = PlainText.oneLine(request.pool ?? rules.defaultPool ?? "")
                throw DataWarpDirectives.refusal(
                    "\(request.place): Invalid pool requested (\(name)): " + known(pools, by: "dw_wlm_cli"))
            }
            do throws(SizeFault) {
                let size = try sums.add(request.size, request.text, to: pool, rules)
                if let act = request.act {
                    accepted.acts[act].pool = pool.name
                    accepted.acts[act].size = size
                } else {
                    accepted.requests.append(BufferWork.Request(pool: pool.name, size: size))
                }
            } catch {
                throw DataWarpDirectives.refusal("\(request.place): \(error)")
            }
        }
        accepted.warnings = warnings
        try checkOwner(ownerUserID, rules: rules)
        return accepted
    }

    private static func known(_ pools: [Pool], by who: String = HookFunction.pools.rawValue) -> String {
        if pools.isEmpty { return "no pool is known, \(who) has not named any" }
        let names = pools.prefix(20).map(\.name).joined(separator: ", ")
        return "write one of \(names)" + (pools.count > 20 ? " and \(pools.count - 20) more" : "")
    }

    private static func checkOwner(_ uid: UInt32, rules: Rules) throws(SubmissionFault) {
        // Always so (spec §10, Q50).
        if uid == 0 {
            throw SubmissionFault(.burstBufferPermission, ["User root can not allocate burst buffers"])
        }
        if let allowed = rules.allowedUserIDs, !allowed.contains(uid) {
            throw SubmissionFault(.burstBufferPermission, ["User not found in AllowUsers"])
        }
        if rules.deniedUserIDs.contains(uid) {
            throw SubmissionFault(.burstBufferPermission, ["User found in DenyUsers"])
        }
    }

    /// The test of a node count of zero, which comes when the job record is made (spec §3.3).
    /// - Parameter isPart: the job is an array or a component of a heterogeneous job.
    package static func checkNodes(_ nodes: UInt32, hasRequest: Bool, isPart: Bool) throws(SubmissionFault) {
        guard nodes == 0 else { return }
        throw SubmissionFault(hasRequest && !isPart ? .invalidBurstBufferRequest : .invalidNodeCount)
    }

    /// What the client of a job is shown when `slurm_bb_job_process` refused it: the first line of the text behind the
    /// plugin's name, the others as they are, empty ones left out.
    package static func refusedByHook(_ text: String?, pluginName: String) -> SubmissionFault {
        guard let text, !text.isEmpty else { return SubmissionFault(.invalidBurstBufferRequest) }
        var lines = text.utf8.split(separator: 10).map { String(decoding: Array($0), as: UTF8.self) }
        if lines.isEmpty { lines = [""] }
        lines[0] = "burst_buffer/\(pluginName): " + lines[0]
        return SubmissionFault(.invalidBurstBufferRequest, lines)
    }
}
