import BurstModel

extension EngineText {
    /// `scontrol show burst` (spec §8.1): nothing without a plugin.
    /// - Parameters:
    ///   - oneLine: `-o`, joins the header only.
    ///   - verbose: `-v`, adds account, partition and QOS.
    package func showBurst(oneLine: Bool = false, verbose: Bool = false) -> [UInt8] {
        guard let plugin = settings.plugin else { return [] }
        let buffers = visibleBuffers(plugin)
        var text = TextBytes(zone: settings.zone, expectedCount: 2048 + buffers.count * (verbose ? 200 : 128))
        header(plugin, to: &text, oneLine: oneLine)
        if !buffers.isEmpty {
            text.add("  Allocated Buffers:\n")
            for buffer in buffers { line(buffer, plugin, to: &text, verbose: verbose) }
        }
        let uses = usesByUser(buffers)
        if !uses.isEmpty {
            text.add("  Per User Buffer Use:\n")
            for use in uses {
                text.add("    UserID=")
                text.add(text: use.name)
                text.add("(")
                text.add(number: use.uid)
                text.add(") Used=")
                text.add(size: use.used)
                text.add("\n")
            }
        }
        return text.bytes
    }

    /// The buffers that the viewer may see, in Slurm's order: hash bucket `uid % 100` ascending, newest
    /// first inside it, of two buffers of one moment that of the later job (spec §8.1).
    /// - Returns: places in `jobs`, and behind them in `persistent`.
    func visibleBuffers(_ plugin: EngineSettings.Plugin) -> [Int] {
        let isLimited = plugin.hidesOthers && !viewer.isOperator
        var keys: [(bucket: UInt32, created: Int64, number: UInt32, task: UInt32, place: Int)] = []
        for place in jobs.indices {
            guard let created = jobs[place].buffer?.created else { continue }
            let uid = jobs[place].uid
            if isLimited, uid != viewer.uid { continue }
            let (number, task) = jobs[place].place
            // Those of one second stand in the order in which they are considered.
            keys.append((uid % 100, created.milliseconds / 1000, number, task, place))
        }
        for (index, buffer) in persistent.enumerated() where !isLimited || buffer.uid == viewer.uid {
            let created = buffer.created.milliseconds
            keys.append((buffer.uid % 100, created / 1000, 0, UInt32(created % 1000), jobs.count + index))
        }
        keys.sort { ($0.bucket, $1.created, $1.number, $1.task) < ($1.bucket, $0.created, $0.number, $0.task) }
        return keys.map(\.place)
    }

    /// The persistent buffer at a place of `visibleBuffers`; nil: there is a job.
    func persistent(at place: Int) -> PersistentBuffer? { place < jobs.count ? nil : persistent[place - jobs.count] }

    /// A user's space over all pools.
    struct UserUse {
        let uid: UInt32
        let name: String
        var used: UInt64
        var buffers: Int
    }

    /// Users with space, in the order of their buckets.
    func usesByUser(_ buffers: [Int]) -> [UserUse] {
        var places: [UInt32: Int] = [:]
        var uses: [UserUse] = []
        for buffer in buffers {
            let named = self.persistent(at: buffer)
            let uid = named?.uid ?? jobs[buffer].uid
            let place = places[uid] ?? uses.count
            if place == uses.count {
                places[uid] = place
                uses.append(UserUse(uid: uid, name: named?.userName ?? jobs[buffer].userName, used: 0, buffers: 0))
            }
            uses[place].used &+= named?.size ?? jobs[buffer].buffer?.size ?? 0
            uses[place].buffers += 1
        }
        return uses.filter { $0.used > 0 }
    }

    private func header(_ plugin: EngineSettings.Plugin, to text: inout TextBytes, oneLine: Bool) {
        func startLine(_ text: inout TextBytes) {
            if oneLine { text.add(" ") } else { text.add("\n  ") }
        }
        func space(_ pool: EnginePool?, granularity: UInt64, _ text: inout TextBytes) {
            text.add(" Granularity=")
            text.add(size: granularity)
            text.add(" TotalSpace=")
            text.add(size: pool?.total ?? 0)
            text.add(" FreeSpace=")
            text.add(size: pool?.available ?? 0)
            text.add(" UsedSpace=")
            text.add(size: pool?.used ?? 0)
        }
        let shown = plugin.shown
        // Only datawarp has a default pool; its figures stand in the first line, zeros where it is not reported.
        let first = pools.first { $0.name == defaultPool }
        text.add("Name=")
        text.add(text: plugin.name)
        text.add(" DefaultPool=")
        text.add(or: "(null)", defaultPool)
        space(first, granularity: first?.granularity ?? shown.granularity, &text)
        for (index, pool) in pools.filter({ $0.name != defaultPool }).enumerated() {
            startLine(&text)
            text.add("PoolName[")
            text.add(number: index)
            text.add("]=")
            text.add(text: pool.name)
            space(pool, granularity: pool.granularity, &text)
        }
        startLine(&text)
        text.add("Flags=")
        text.add(text: shown.flags)
        startLine(&text)
        text.add("PollInterval=")
        text.add(number: plugin.pollInterval)
        startLine(&text)
        text.add("StageInTimeout=")
        text.add(number: plugin.stageInTimeout)
        text.add(" StageOutTimeout=")
        text.add(number: plugin.stageOutTimeout)
        text.add(" ValidateTimeout=")
        text.add(number: plugin.validateTimeout)
        text.add(" OtherTimeout=")
        text.add(number: plugin.otherTimeout)
        func setting(_ label: StaticString, _ value: String?, always: Bool = false) {
            guard value != nil || always else { return }
            startLine(&text)
            text.add(label)
            text.add(or: "(null)", value)
        }
        setting("AllowUsers=", shown.allowUsers)
        if shown.allowUsers == nil { setting("DenyUsers=", shown.denyUsers) }
        setting("CreateBuffer=", shown.createBuffer)
        setting("DestroyBuffer=", shown.destroyBuffer)
        setting("GetSysState=", shown.getSysState, always: true)
        setting("GetSysStatus=", shown.getSysStatus, always: true)
        setting("StartStageIn=", shown.startStageIn)
        // Slurm prints these two under a wrong label (spec §10, Q29).
        setting("StartStageIn=", shown.startStageOut)
        setting("StopStageIn=", shown.stopStageIn)
        setting("StopStageIn=", shown.stopStageOut)
        text.add("\n")
    }

    private func line(
        _ place: Int, _ plugin: EngineSettings.Plugin, to text: inout TextBytes, verbose: Bool
    ) {
        if let buffer = persistent(at: place) {
            line(buffer, to: &text, verbose: verbose)
            return
        }
        text.add("    JobID=")
        if jobs[place].arrayJobID != 0, let task = jobs[place].arrayTaskID {
            text.add(number: jobs[place].arrayJobID)
            text.add("_")
            text.add(number: task)
            text.add("(")
            text.add(number: jobs[place].id)
            text.add(")")
        } else {
            text.add(number: jobs[place].id)
        }
        if verbose {
            text.add(" Account=")
            text.add(or: "(null)", jobs[place].account)
        }
        text.add(" CreateTime=")
        text.add(or: "Unknown", time: jobs[place].buffer?.created)
        if verbose {
            text.add(" Partition=")
            text.add(text: jobs[place].partition.isEmpty ? settings.partition : jobs[place].partition)
        }
        text.add(" Pool=")
        text.add(or: "(null)", jobs[place].buffer?.pool)
        if verbose {
            text.add(" QOS=")
            text.add(or: "(null)", jobs[place].qos)
        }
        text.add(" Size=")
        text.add(size: jobs[place].buffer?.size ?? 0)
        text.add(" State=")
        text.add(text: Self.rowState(jobs[place].buffer, plugin).name)
        text.add(" UserID=")
        text.add(text: jobs[place].userName)
        text.add("(")
        text.add(number: jobs[place].uid)
        text.add(")\n")
    }

    private func line(_ buffer: PersistentBuffer, to text: inout TextBytes, verbose: Bool) {
        text.add("    Name=")
        text.add(text: buffer.name)
        if verbose {
            text.add(" Account=")
            text.add(or: "(null)", buffer.account)
        }
        text.add(" CreateTime=")
        text.add(or: "Unknown", time: buffer.created)
        if verbose {
            text.add(" Partition=")
            text.add(or: "(null)", buffer.partition.isEmpty ? nil : buffer.partition)
        }
        text.add(" Pool=")
        text.add(text: buffer.pool)
        if verbose {
            text.add(" QOS=")
            text.add(or: "(null)", buffer.qos)
        }
        text.add(" Size=")
        text.add(size: buffer.size)
        text.add(" State=")
        text.add(text: buffer.state.shown.name)
        text.add(" UserID=")
        text.add(text: buffer.userName)
        text.add("(")
        text.add(number: buffer.uid)
        text.add(")\n")
    }

    /// lua's rows say `allocated` from the first moment to the last; datawarp's follow the stages (spec §5.10).
    static func rowState(_ work: BufferWork?, _ plugin: EngineSettings.Plugin) -> BufferState {
        guard plugin.name == BurstPlugin.datawarp.rawValue, let work else { return .allocated }
        switch work.stage {
        case .pending, .preparing, .stagingIn, .stageInFailed: return .allocated
        case .stagedIn, .preRun, .running, .postRun, .postRunFailed, .stagingOut, .stageOutFailed:
            // What has nothing to stage is never staged in.
            return work.requests.isEmpty ? .allocated : .stagedIn
        case .teardown(let teardown): return teardown.call == nil && teardown.failures > 0 ? .teardownFail : .teardown
        case .complete: return .teardown
        }
    }
}
