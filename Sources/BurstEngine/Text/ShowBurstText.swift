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

    /// A job that has a buffer, and since when.
    struct HeldBuffer {
        let job: EngineJob
        let work: BufferWork
        let created: Timestamp
        /// The job's place in the list: of two buffers of one moment that of the later job is newer.
        let place: Int
    }

    /// In Slurm's order: hash bucket `uid % 100` ascending, newest first inside it (spec §8.1).
    func visibleBuffers(_ plugin: EngineSettings.Plugin) -> [HeldBuffer] {
        let isLimited = plugin.hidesOthers && !viewer.isOperator
        var buffers: [HeldBuffer] = []
        for (place, job) in jobs.enumerated() {
            guard let work = job.buffer, let created = work.created else { continue }
            if isLimited, job.uid != viewer.uid { continue }
            buffers.append(HeldBuffer(job: job, work: work, created: created, place: place))
        }
        buffers.sort { left, right in
            if left.job.uid % 100 != right.job.uid % 100 { return left.job.uid % 100 < right.job.uid % 100 }
            if left.created != right.created { return left.created > right.created }
            return left.place > right.place
        }
        return buffers
    }

    /// A user's space over all pools.
    struct UserUse {
        let uid: UInt32
        let name: String
        var used: UInt64
        var buffers: Int
    }

    /// Users with space, in the order of their buckets.
    func usesByUser(_ buffers: [HeldBuffer]) -> [UserUse] {
        var places: [UInt32: Int] = [:]
        var uses: [UserUse] = []
        for buffer in buffers {
            let (uid, name) = (buffer.job.uid, buffer.job.userName)
            let place = places[uid] ?? uses.count
            if place == uses.count {
                places[uid] = place
                uses.append(UserUse(uid: uid, name: name, used: 0, buffers: 0))
            }
            uses[place].used &+= buffer.work.size
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
        // Only datawarp has a default pool; its figures stand in the first line.
        let hasDefault = plugin.name == "datawarp"
        let first = hasDefault ? pools.first : nil
        text.add("Name=")
        text.add(text: plugin.name)
        text.add(" DefaultPool=")
        text.add(or: "(null)", first?.name)
        space(first, granularity: first?.granularity ?? shown.granularity, &text)
        for (index, pool) in pools.dropFirst(hasDefault ? 1 : 0).enumerated() {
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
        text.add(number: shown.validateTimeout)
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
        setting("GetSysState=", nil, always: true)
        setting("GetSysStatus=", nil, always: true)
        setting("StartStageIn=", shown.startStageIn)
        // Slurm prints these two under a wrong label (spec §10, Q29).
        setting("StartStageIn=", shown.startStageOut)
        setting("StopStageIn=", shown.stopStageIn)
        setting("StopStageIn=", shown.stopStageOut)
        text.add("\n")
    }

    private func line(
        _ buffer: HeldBuffer, _ plugin: EngineSettings.Plugin, to text: inout TextBytes, verbose: Bool
    ) {
        let job = buffer.job
        text.add("    JobID=")
        if job.arrayJobID != 0, let task = job.arrayTaskID {
            text.add(number: job.arrayJobID)
            text.add("_")
            text.add(number: task)
            text.add("(")
            text.add(number: job.id)
            text.add(")")
        } else {
            text.add(number: job.id)
        }
        if verbose {
            text.add(" Account=")
            text.add(or: "(null)", job.account)
        }
        text.add(" CreateTime=")
        text.add(time: buffer.created)
        if verbose {
            text.add(" Partition=")
            text.add(text: job.partition.isEmpty ? settings.partition : job.partition)
        }
        text.add(" Pool=")
        text.add(or: "(null)", buffer.work.pool)
        if verbose {
            text.add(" QOS=")
            text.add(or: "(null)", job.qos)
        }
        text.add(" Size=")
        text.add(size: buffer.work.size)
        text.add(" State=")
        text.add(text: Self.rowState(buffer.work, plugin).name)
        text.add(" UserID=")
        text.add(text: job.userName)
        text.add("(")
        text.add(number: job.uid)
        text.add(")\n")
    }

    /// lua's rows say `allocated` from the first moment to the last; datawarp's follow the stages (spec §5.10).
    static func rowState(_ work: BufferWork, _ plugin: EngineSettings.Plugin) -> BufferState {
        guard plugin.name == "datawarp" else { return .allocated }
        switch work.stage {
        case .pending, .stagingIn, .stageInFailed: return .allocated
        case .stagedIn, .preRun, .running, .postRun, .postRunFailed, .stagingOut, .stageOutFailed: return .stagedIn
        case .teardown, .complete: return .teardown
        }
    }
}
