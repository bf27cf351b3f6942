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
        /// For the one who submits; the job is accepted.
        package var warnings: [String] = []

        /// The pool that `setup` is told: that of the last line with a capacity (spec §3.1).
        package var pool: String? { requests.last?.pool }

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
        var sums: [String: UInt64] = [:]
        var all: UInt64 = 0
        for request in read.requests {
            let place = scan.place(request.number)
            let name = request.pool ?? ""
            let pool = try pool(name, request.number)
            let asked = "capacity=\(PlainText.oneLine(request.sizeText))"
            guard let size = SizeText.rounded(request.size, granularity: pool.granularity) else {
                throw refuse("\(place): \(asked) exceeds 64 bits when rounded to \(name)'s granularity: write less")
            }
            let (sum, over) = sums[name, default: 0].addingReportingOverflow(size)
            let (total, overAll) = all.addingReportingOverflow(size)
            guard !over, !overAll else { throw refuse("\(place): \(asked): the sum exceeds 64 bits: write less") }
            if rules.refusesTooLarge, let most = pool.total, sum > most {
                throw refuse(
                    "\(place): \(asked): pool \(name) has \(Amount.slurmText(most)) in all: write at most that")
            }
            sums[name] = sum
            all = total
            checked.append(BufferWork.Request(pool: name, size: size))
        }
        return checked
    }

    private static func known(_ pools: [Pool]) -> String {
        if pools.isEmpty { return "no pool is known, slurm_bb_pools has not named any" }
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
