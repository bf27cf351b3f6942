import BurstModel

/// The same as values: JSON whose keys are those of `burstmon --json`; `null` stands for what is not known.
extension EngineText {
    /// An array of jobs.
    package func jobsJSON(pretty: Bool = false) -> [UInt8] {
        array(jobs, pretty: pretty, each: job)
    }

    /// An array of pools; nothing without a plugin.
    package func poolsJSON(pretty: Bool = false) -> [UInt8] {
        array(settings.plugin == nil ? [] : pools, pretty: pretty, each: pool)
    }

    /// An array of buffers that the viewer may see.
    package func buffersJSON(pretty: Bool = false) -> [UInt8] {
        array(settings.plugin.map(visibleBuffers) ?? [], pretty: pretty, each: buffer)
    }

    /// An array of users with space.
    package func usersJSON(pretty: Bool = false) -> [UInt8] {
        let buffers = settings.plugin.map(visibleBuffers) ?? []
        return array(usesByUser(buffers), pretty: pretty) { object, use in
            object.field("user", use.name)
            object.field("uid", use.uid)
            object.field("used", use.used)
            object.field("buffers", use.buffers)
        }
    }

    /// An array of reservations.
    package func reservationsJSON(pretty: Bool = false) -> [UInt8] {
        array(reservations, pretty: pretty) { object, reservation in
            object.field("name", reservation.name)
            object.field("users", reservation.users.joined(separator: ","))
            object.field("state", reservation.start <= now && now < reservation.end ? "ACTIVE" : "INACTIVE")
            object.field("start", reservation.start.rfc3339)
            object.field("end", reservation.end.rfc3339)
            object.field("burst_buffer", reservation.burstBuffer)
        }
    }

    /// One object.
    package func configJSON(pretty: Bool = false) -> [UInt8] {
        var writer = JSONWriter(pretty: pretty)
        writer.object { object in
            object.field("cluster", settings.clusterName)
            object.field("host", settings.hostName)
            object.field("partition", settings.partition)
            object.field("plugin", settings.plugin?.name)
            object.field("directive", settings.plugin?.directive)
            object.field("flags", settings.plugin?.shown.flags)
            object.field("poll_interval", settings.plugin?.pollInterval)
            object.field("stage_in_timeout", settings.plugin?.stageInTimeout)
            object.field("stage_out_timeout", settings.plugin?.stageOutTimeout)
            object.field("other_timeout", settings.plugin?.otherTimeout)
            object.field("allow_users", settings.plugin?.shown.allowUsers)
            object.field("deny_users", settings.plugin?.shown.denyUsers)
            object.field("state_save_location", settings.stateFolder)
            object.field("max_job_count", settings.maxJobCount)
            object.field("max_array_size", settings.maxArraySize)
            object.field("min_job_age", settings.minJobAgeSeconds)
            object.field("next_job_id", nextJobID)
        }
        return writer.bytes + [0x0a]
    }

    private func array<Elements: Collection>(
        _ elements: Elements, pretty: Bool, each: (inout JSONWriter, Elements.Element) -> Void
    ) -> [UInt8] {
        var writer = JSONWriter(pretty: pretty, expectedCount: 64 + elements.count * 400)
        writer.objects(elements, each)
        return writer.bytes + [0x0a]
    }

    private func job(_ object: inout JSONWriter, _ job: EngineJob) {
        object.field("job_id", job.id)
        object.field("id", job.shownID)
        object.field("array_job_id", job.arrayJobID == 0 ? nil : job.arrayJobID)
        object.field("array_task_id", job.arrayTaskID)
        object.field("name", job.name)
        object.field("user", job.userName)
        object.field("uid", job.uid)
        object.field("account", job.account)
        object.field("partition", job.partition.isEmpty ? settings.partition : job.partition)
        object.field("qos", job.qos)
        object.field("job_state", job.shownState.name)
        object.field("base_state", job.state.rawValue)
        object.field("buffer_state", job.buffer?.stage.state.name)
        object.field("buffer_state_since", job.buffer?.since.rfc3339Milliseconds)
        object.field("spec", job.buffer?.spec)
        object.field("reason", job.shownReason)
        object.field("held", job.isHeld)
        object.field("priority", job.priority)
        object.field("pool", job.buffer?.pool)
        object.field("need", job.buffer?.size)
        object.field("submitted_at", job.submitted.rfc3339Milliseconds)
        object.field("started_at", job.hasNode ? job.start?.rfc3339Milliseconds : nil)
        object.field("ended_at", job.state.isFinal ? job.end?.rfc3339Milliseconds : nil)
        object.field("expected_start", job.state == .pending ? job.start?.rfc3339 : nil)
        object.field("exit_code", job.exitStatus >> 8 & 0xff)
        object.field("signal", job.exitStatus & 0x7f)
        object.field("reservation", job.reservation)
        object.field("dependency", job.dependency)
        object.field("system_comment", job.systemComment)
        object.field("work_dir", job.workDir)
        object.field("stdout", outputPath(job))
    }

    private func pool(_ object: inout JSONWriter, _ pool: EnginePool) {
        let plugin = settings.plugin?.name ?? ""
        let shown = Pool(
            plugin: plugin, name: pool.name, granularity: Amount(pool.granularity), total: Amount(pool.total),
            free: Amount(pool.available), used: Amount(pool.used))
        object.field("plugin", plugin)
        object.field("name", pool.name)
        object.field("default", pool.name == defaultPool)
        object.field("unit", shown.countsBytes ? "bytes" : "units")
        object.field("granularity", pool.granularity)
        object.field("total", pool.total)
        object.field("used", pool.used)
        object.field("free", pool.available)
        object.field("drained", shown.drainedAmount.value)
        object.field("largest_request", shown.largestRequest.value)
        object.field("reported", pool.isReported)
        let ofJobs = jobs.count { $0.buffer?.created != nil && $0.buffer?.pool == pool.name }
        object.field("buffers", ofJobs + persistent.count { $0.pool == pool.name })
        object.object("text") { text in
            text.field("granularity", shown.granularity.text)
            text.field("total", shown.total.text)
            text.field("used", shown.used.text)
            text.field("free", shown.free.text)
        }
    }

    private func buffer(_ object: inout JSONWriter, _ place: Int) {
        if let buffer = persistent(at: place) {
            named(&object, buffer)
            return
        }
        let job = jobs[place]
        guard let work = job.buffer else { return }
        object.field("plugin", settings.plugin?.name)
        object.field("id", job.shownID)
        object.field("job_id", job.id)
        object.field("array_job_id", job.arrayJobID == 0 ? nil : job.arrayJobID)
        object.field("array_task_id", job.arrayTaskID)
        object.field("name", String?.none)
        object.field("user", job.userName)
        object.field("uid", job.uid)
        object.field("account", job.account)
        object.field("partition", job.partition.isEmpty ? settings.partition : job.partition)
        object.field("qos", job.qos)
        object.field("pool", work.pool)
        object.field("size", work.size)
        object.field("state", settings.plugin.map { Self.rowState(work, $0).name })
        object.field("created_at", work.created?.rfc3339)
        object.field("state_age_seconds", max(0, now.seconds(since: work.since)))
        object.field("job_state", job.shownState.name)
        object.field("job_buffer_state", work.stage.state.name)
        object.field("reason", job.shownReason)
    }

    private func named(_ object: inout JSONWriter, _ buffer: PersistentBuffer) {
        object.field("plugin", settings.plugin?.name)
        object.field("id", buffer.name)
        object.field("job_id", UInt32?.none)
        object.field("array_job_id", UInt32?.none)
        object.field("array_task_id", UInt32?.none)
        object.field("name", buffer.name)
        object.field("user", buffer.userName)
        object.field("uid", buffer.uid)
        object.field("account", buffer.account)
        object.field("partition", buffer.partition.isEmpty ? nil : buffer.partition)
        object.field("qos", buffer.qos)
        object.field("pool", buffer.pool)
        object.field("size", buffer.size)
        object.field("state", buffer.state.shown.name)
        object.field("created_at", buffer.created.rfc3339)
        object.field("state_age_seconds", String?.none)
        object.field("job_state", String?.none)
        object.field("job_buffer_state", String?.none)
        object.field("reason", String?.none)
    }
}
