package import BurstModel

/// The document of `--json`: the whole board with parsed values beside the text that Slurm printed. Its form is fixed
/// by
/// `schema`; `null` stands for what is not known.
package struct BoardDocument: Sendable {
    /// Raised when a key changes its meaning or goes away; new keys do not raise it.
    package static let version = 1

    /// The JSON Schema of the document, as text.
    package static var schema: String { String(decoding: PackageResources.burstmon_schema_json, as: UTF8.self) }

    private let board: Board

    package init(_ board: Board) { self.board = board }

    /// The document in UTF-8, one line without `pretty`. No line feed at the end.
    package func json(pretty: Bool) -> [UInt8] {
        // A row has about so many bytes; a sample of 100,000 of them should not be copied while it grows.
        let rows = board.bufferRows.count + board.jobRows.count
        var writer = JSONWriter(pretty: pretty, expectedCount: 4096 + rows * (pretty ? 640 : 400))
        writer.object { document in
            head(&document)
            document.objects("plugins", board.burst?.value.plugins ?? [], plugin)
            document.objects("pools", board.poolRows.filter { $0.goneSince == nil }, pool)
            document.objects("buffers", board.bufferRows.lazy.filter { $0.gone == nil }, buffer)
            document.objects("gone_buffers", board.bufferRows.lazy.filter { $0.gone != nil }, buffer)
            document.objects("users", board.userRows, user)
            document.objects("jobs", board.jobRows, job)
            document.objects("stagings", board.stagingRows, staging)
            document.objects("stager_pools", board.staging?.value.pools ?? [], stagerPool)
            let names = Dictionary(board.userRows.map { ($0.uid, $0.user) }) { first, _ in first }
            document.objects("quarantine", board.staging?.value.quarantine ?? []) { object, buffer in
                quarantined(&object, buffer, names)
            }
            document.objects("reservations", board.reservations?.value ?? [], reservation)
            // Whoever looks for a rule finds it; of those that tell the same, one is no other's.
            let alerts = board.alerts.flatMap { alert in
                alert.parts.isEmpty ? [(alert, nil)] : alert.parts.map { ($0, $0.id == alert.id ? nil : alert.rule) }
            }
            document.objects("alerts", alerts) { object, entry in alert(&object, entry.0, sameAs: entry.1) }
            document.objects("events", board.events, event)
        }
        return writer.bytes
    }

    private func head(_ document: inout JSONWriter) {
        document.field("schema", Self.version)
        document.object("source") { source in
            source.field("kind", board.source.kind.rawValue)
            source.field("cluster", board.source.cluster)
            source.field("version", board.source.version)
        }
        document.field("generated_at", board.now.rfc3339)
        document.field("sampled_at", board.burst?.at.rfc3339)
        document.field("jobs_sampled_at", board.jobs?.at.rfc3339)
        document.field("stager_sampled_at", board.staging?.at.rfc3339)
        document.field("stager_error", board.stagingLost?.reason)
        document.field("stale", board.isStale)
        document.field("error", board.whyStale)
        document.field("restricted", board.isRestricted)
        document.array("faults", board.faults.map(\.text))
        document.object("calls") { calls in
            calls.field("count", board.calls.count)
            calls.field("failures", board.calls.failures)
            calls.field("per_minute", board.calls.perMinute)
            calls.field("median_milliseconds", board.calls.medianMilliseconds)
            calls.field("p95_milliseconds", board.calls.p95Milliseconds)
        }
    }

    private func plugin(_ object: inout JSONWriter, _ plugin: PluginRecord) {
        object.field("name", plugin.name)
        object.field("default_pool", plugin.defaultPool)
        object.array("flags", plugin.flags)
        object.field("granularity", Self.size(plugin.granularity))
        object.field("total", Self.size(plugin.total))
        object.field("used", Self.size(plugin.used))
        object.field("free", Self.size(plugin.free))
        object.field("stage_in_timeout", plugin.stageInTimeout)
        object.field("stage_out_timeout", plugin.stageOutTimeout)
        object.field("validate_timeout", plugin.validateTimeout)
        object.field("other_timeout", plugin.otherTimeout)
        object.field("poll_interval", plugin.pollInterval)
        object.array("allow_users", Self.list(plugin.setting("AllowUsers")))
        object.array("deny_users", Self.list(plugin.setting("DenyUsers")))
        object.field("get_sys_state", plugin.setting("GetSysState"))
        object.field("get_sys_status", plugin.setting("GetSysStatus"))
        object.object("text") { text in
            text.field("granularity", plugin.granularity.text)
            text.field("total", plugin.total.text)
            text.field("used", plugin.used.text)
            text.field("free", plugin.free.text)
        }
    }

    private func pool(_ object: inout JSONWriter, _ row: PoolRow) {
        let pool = row.pool
        object.field("plugin", pool.plugin)
        object.field("name", pool.name)
        object.field("default", pool.isDefault)
        object.field("unit", pool.countsBytes ? "bytes" : "units")
        object.field("granularity", Self.size(pool.granularity))
        object.field("total", Self.size(pool.total))
        object.field("used", Self.size(pool.used))
        object.field("free", Self.size(pool.free))
        object.field("drained", pool.total.isInfinite || pool.drained == nil ? nil : Self.size(pool.drainedAmount))
        object.field("largest_request", pool.free.value == nil ? nil : Self.size(pool.largestRequest))
        object.field("reserved", row.reserved)
        object.field("buffers", row.bufferCount)
        object.field("waiting_jobs", row.waiting)
        object.object("text") { text in
            text.field("granularity", pool.granularity.text)
            text.field("total", pool.total.text)
            text.field("used", pool.used.text)
            text.field("free", pool.free.text)
        }
    }

    private func buffer(_ object: inout JSONWriter, _ row: BufferRow) {
        guard let buffer = board.buffer(row) else { return }
        let job = board.job(row)
        object.field("plugin", row.key.plugin)
        object.field("id", buffer.id.short)
        object.field("job_id", buffer.id.jobID?.number)
        if case .arrayTask(let array, let task, _) = buffer.id {
            object.field("array_job_id", array.number)
            object.field("array_task_id", task)
        } else {
            object.field("array_job_id", UInt32?.none)
            object.field("array_task_id", UInt32?.none)
        }
        if case .persistent(let name) = buffer.id {
            object.field("name", name)
        } else {
            object.field("name", String?.none)
        }
        object.field("user", buffer.user)
        object.field("uid", buffer.uid)
        object.field("account", buffer.account)
        object.field("partition", buffer.partition)
        object.field("qos", buffer.qos)
        object.field("pool", buffer.pool)
        object.field("size", Self.size(buffer.size))
        object.field("state", buffer.state.name)
        object.field("created_at", row.created?.rfc3339)
        object.field("state_age_seconds", max(0, board.now.seconds(since: row.since)))
        object.field("state_age_seen", row.sinceSeen)
        object.field("job_state", job?.state.name)
        object.field("job_buffer_state", job?.bufferState?.name)
        object.field("reason", job?.reason)
        object.field("gone_at", row.gone?.at.rfc3339)
        object.object("text") { text in
            text.field("id", buffer.id.slurmText)
            text.field("size", buffer.size.text)
            text.field("created", buffer.createdLocal?.text ?? buffer.createdText)
        }
    }

    private func user(_ object: inout JSONWriter, _ row: UserRow) {
        object.field("user", row.user)
        object.field("uid", row.uid)
        object.field("used", row.used)
        object.field("sum", row.sum)
        object.field("buffers", row.buffers)
    }

    private func job(_ object: inout JSONWriter, _ row: JobRow) {
        let job = board.job(row)
        object.field("job_id", job.id.number)
        object.field("id", job.shortID)
        object.field("name", job.name)
        object.field("user", job.user)
        object.field("job_state", job.state.name)
        object.field("buffer_state", job.bufferState?.name)
        object.field("spec", job.spec)
        object.field("reason", job.reason)
        object.field("held", job.isHeld)
        object.field("pool", row.pool)
        object.field("need", row.need)
        // Slurm has one field for both; of a job that has started it is no expectation.
        object.field("expected_start", job.state == .pending ? job.start?.rfc3339 : nil)
    }

    private func staging(_ object: inout JSONWriter, _ row: StagingRow) {
        let session = board.session(row)
        object.field("token", session.token)
        object.field("generation", session.key.generation)
        object.field("job_id", row.job?.number)
        object.field("persistent", session.isPersistent)
        object.field("user", row.user)
        object.field("uid", session.owner)
        object.field("phase", session.phase.name)
        object.field("phase_age_seconds", max(0, board.now.seconds(since: row.since)))
        object.field("phase_age_seen", row.sinceSeen)
        if case .state(let state) = row.word {
            object.field("slurm_state", state.name)
        } else {
            object.field("slurm_state", String?.none)
        }
        object.field("differs_since", row.differsSince?.rfc3339)
        let direction = session.phase.direction
        object.field("direction", direction.isEmpty ? nil : direction)
        object.field("size", session.bytes)
        object.field("lost", session.isLost)
        object.field("last_error", session.details.flatMap { $0.lastError ?? $0.progress?.lastError })
        // What the viewer may not see, and what was never copied, is null.
        let progress = session.progress
        object.field("percent", progress?.percent)
        object.field("plan_complete", progress?.planComplete ?? false)
        object.field("bytes_done", progress?.bytesDone)
        object.field("bytes_total", progress?.bytesTotal)
        object.field("files_done", progress?.filesDone)
        object.field("files_total", progress?.filesTotal)
        object.field("bytes_per_second", session.phase.isCopying ? progress?.rateNow : nil)
        object.field("eta_seconds", session.phase.isCopying ? progress?.eta : nil)
        object.field("eta_is_lower_bound", progress?.isEtaLowerBound ?? false)
        object.field("errors", progress?.errors)
        object.field("retries", progress?.retries)
        object.field("restarts", progress?.restarts)
        object.field("started_at", progress?.started?.rfc3339)
        object.field("updated_at", progress?.updated?.rfc3339)
    }

    private func stagerPool(_ object: inout JSONWriter, _ pool: StagingReport.Pool) {
        // What is too much for a number is not told.
        func bytes(_ granules: UInt64) -> UInt64? {
            let (bytes, isTooMuch) = granules.multipliedReportingOverflow(by: pool.granularity)
            return isTooMuch ? nil : bytes
        }
        object.field("name", pool.id)
        object.field("granularity", pool.granularity)
        object.field("total", bytes(pool.quantity))
        object.field("live", bytes(pool.live))
        object.field("quarantined", bytes(pool.quarantined))
        object.field("reserve", bytes(pool.reserve))
        object.field("free", bytes(pool.free))
        object.field("limit", pool.limit.isEmpty ? nil : pool.limit)
        object.field("unavailable", pool.unavailable)
    }

    private func quarantined(
        _ object: inout JSONWriter, _ buffer: StagingReport.Quarantined, _ names: [UInt32: String]
    ) {
        object.field("token", buffer.key.token)
        object.field("generation", buffer.key.generation)
        object.field("user", buffer.owner.map { names[$0] ?? "\($0)" })
        object.field("uid", buffer.owner)
        object.field("since", buffer.since?.rfc3339)
        object.field("size", buffer.bytes)
        object.field("failures", buffer.failures)
        object.field("last_error", buffer.lastError)
    }

    private func reservation(_ object: inout JSONWriter, _ reservation: Reservation) {
        object.field("name", reservation.name)
        object.field("users", reservation.users)
        object.field("state", reservation.state)
        object.field("start", reservation.start?.rfc3339)
        object.field("end", reservation.end?.rfc3339)
        object.field("burst_buffer", reservation.burstBuffer)
    }

    private func alert(_ object: inout JSONWriter, _ alert: Alert, sameAs rule: String?) {
        object.field("rule", alert.rule)
        object.field("severity", alert.severity.label)
        object.field("subject", alert.subject.short)
        object.field("subject_kind", alert.subject.kind)
        object.field("title", alert.title)
        object.field("message", alert.message)
        object.field("since", alert.since.rfc3339)
        object.field("since_seen", alert.sinceSeen)
        object.field("acknowledged", alert.acknowledged)
        object.field("same_as", rule)
    }

    private func event(_ object: inout JSONWriter, _ event: Event) {
        object.field("at", event.at.rfc3339)
        object.field("level", event.level.rawValue.lowercased())
        object.field("kind", event.kind.rawValue.lowercased())
        object.field("subject", event.subject.short)
        object.field("subject_kind", event.subject.kind)
        object.field("user", event.user.isEmpty ? nil : event.user)
        object.field("text", event.text)
    }

    /// Negative where Slurm's unsigned figure can only be an amount below zero; nil for `INFINITE` and what is no
    /// amount.
    private static func size(_ amount: Amount) -> Int64? {
        if amount.isUnderflow { return -Int64(clamping: amount.shortfall) }
        return amount.known.flatMap { Int64(exactly: $0) }
    }

    private static func list(_ text: String?) -> [String] {
        text?.split(separator: ",").map(String.init) ?? []
    }
}
