extension StagingReport {
    /// Reads the document. Members that it does not know are passed over; one of a wrong type is a fault, and what is
    /// right beside it is kept. Bytes that are no JSON object are one fault and nothing else.
    package init(json bytes: [UInt8]) {
        self.init()
        let faults = FaultList()
        defer { self.faults = faults.list }
        let document: JSONValue
        do throws(JSONValue.Damage) {
            document = try JSONValue(json: bytes)
        } catch {
            faults.add("", error.description)
            return
        }
        guard case .object(let members) = document else {
            faults.add("", "an object was expected, not \(document.kind)")
            return
        }
        let fields = Fields(members: members, place: { "" }, faults: faults)
        if let schema = fields.whole("schema"), schema != 1 {
            faults.add("schema", "\(schema) is not known, only 1: some of what follows may mean something else")
        }
        generatedAt = fields.time("generated_at")
        pools = fields.objects("pools", max: Self.rowsMax, Self.pool)
        sessions = fields.objects("sessions", max: Self.rowsMax, Self.session)
        quarantine = fields.objects("quarantine", max: Self.rowsMax, Self.quarantined)
    }

    private static func pool(_ fields: Fields) -> Pool? {
        guard let id = fields.needed(fields.text("id"), "id") else { return nil }
        var pool = Pool(id: id)
        pool.granularity = fields.whole("granularity") ?? 1
        pool.quantity = fields.whole("quantity") ?? 0
        pool.reserve = fields.whole("reserve") ?? 0
        pool.live = fields.whole("live") ?? 0
        pool.quarantined = fields.whole("quarantined") ?? 0
        pool.free = fields.whole("free") ?? 0
        pool.limit = fields.text("limit") ?? ""
        pool.unavailable = fields.text("unavailable")
        return pool
    }

    private static func session(_ fields: Fields) -> Session? {
        guard let token = fields.needed(fields.text("token"), "token"),
            let phase = fields.needed(fields.text("phase"), "phase")
        else { return nil }
        var session = Session(
            key: Key(token: token, generation: fields.whole("generation") ?? 0), phase: StagingPhase(phase))
        session.id = fields.whole("id") ?? 0
        session.owner = fields.uid("owner")
        session.creator = fields.text("creator") ?? ""
        session.created = fields.time("created")
        session.slurmState = fields.text("slurm_state").map { BufferState($0) }
        session.isPersistent = fields.flag("persistent") ?? false
        session.isListed = fields.flag("listed") ?? true
        session.bytes = fields.whole("bytes") ?? 0
        session.isLost = fields.flag("lost") ?? false
        // Whoever may see a session is told of all of these.
        if fields.has("hurry") || fields.has("unsaved") || fields.has("progress") {
            var details = Details()
            details.isHurried = fields.flag("hurry") ?? false
            details.hasUnsaved = fields.flag("unsaved") ?? false
            details.lastError = fields.text("last_error")
            details.nodes = fields.texts("nodes")
            details.progress = fields.object("progress").map(Self.progress)
            session.details = details
        }
        return session
    }

    private static func progress(_ fields: Fields) -> StagingProgress {
        var progress = StagingProgress()
        progress.direction = fields.text("phase") ?? ""
        progress.started = fields.time("started")
        progress.updated = fields.time("updated")
        progress.isComplete = fields.flag("complete") ?? false
        progress.planComplete = fields.flag("plan_complete") ?? false
        progress.percent = fields.percent("percent")
        progress.eta = fields.whole("eta")
        progress.isEtaLowerBound = fields.flag("eta_is_lower_bound") ?? false
        progress.filesTotal = fields.whole("files_total") ?? 0
        progress.filesDone = fields.whole("files_done") ?? 0
        progress.dirsTotal = fields.whole("dirs_total") ?? 0
        progress.dirsDone = fields.whole("dirs_done") ?? 0
        progress.linksDone = fields.whole("links_done") ?? 0
        progress.bytesTotal = fields.whole("bytes_total") ?? 0
        progress.bytesDone = fields.whole("bytes_done") ?? 0
        progress.bytesSkipped = fields.whole("bytes_skipped") ?? 0
        progress.bytesVerified = fields.whole("bytes_verified") ?? 0
        progress.bytesCloned = fields.whole("bytes_cloned") ?? 0
        progress.rateNow = fields.whole("rate_now")
        progress.rateAverage = fields.whole("rate_avg")
        progress.threads = fields.whole("threads") ?? 0
        progress.throttleBytes = fields.whole("throttle_bytes")
        progress.throttleFiles = fields.whole("throttle_files")
        progress.errors = fields.whole("errors") ?? 0
        progress.retries = fields.whole("retries") ?? 0
        progress.degraded = fields.whole("degraded") ?? 0
        progress.restarts = fields.whole("restarts") ?? 0
        progress.lastError = fields.text("last_error")
        progress.quotaUsed = fields.whole("quota_used")
        progress.quotaLimit = fields.whole("quota_limit")
        progress.inodeUsed = fields.whole("inode_used")
        progress.inodeLimit = fields.whole("inode_limit")
        progress.active = fields.objects("active", max: Self.activeMax) { file in
            guard let path = file.needed(file.text("path"), "path") else { return nil }
            var transfer = StagingProgress.Transfer(path: path)
            transfer.size = file.whole("size") ?? 0
            transfer.done = file.whole("done") ?? 0
            transfer.rate = file.whole("rate") ?? 0
            return transfer
        }
        return progress
    }

    private static func quarantined(_ fields: Fields) -> Quarantined? {
        guard let token = fields.needed(fields.text("token"), "token") else { return nil }
        var buffer = Quarantined(key: Key(token: token, generation: fields.whole("generation") ?? 0))
        buffer.id = fields.whole("id") ?? 0
        buffer.owner = fields.uid("owner")
        buffer.since = fields.time("since")
        buffer.bytes = fields.whole("bytes") ?? 0
        buffer.failures = fields.whole("failures") ?? 0
        buffer.lastError = fields.text("last_error")
        return buffer
    }

    /// Faults as they are found, up to a limit.
    private final class FaultList {
        private(set) var list: [Fault] = []

        func add(_ place: String, _ message: String) {
            guard list.count < StagingReport.faultsMax else { return }
            list.append(
                Fault(reply: "dwstat --json", line: 0, message: place.isEmpty ? message : "\(place): \(message)"))
        }
    }

    /// The members of an object, and where it stands. A member that is not there, or null, is nil.
    private struct Fields {
        let members: [String: JSONValue]
        /// `sessions[3].progress`; empty for the document itself.
        let place: () -> String
        let faults: FaultList

        func has(_ name: String) -> Bool { members[name] != nil }

        private func path(_ name: String) -> String {
            let place = place()
            return place.isEmpty ? name : "\(place).\(name)"
        }

        private func read<Value>(_ name: String, _ wanted: String, _ get: (JSONValue) -> Value?) -> Value? {
            guard let value = members[name], value != .null else { return nil }
            if let known = get(value) { return known }
            faults.add(path(name), "\(wanted) was expected, not \(value.kind)")
            return nil
        }

        /// A value without which the object says nothing.
        func needed<Value>(_ value: Value?, _ name: String) -> Value? {
            if value == nil, members[name] ?? .null == .null { faults.add(path(name), "is missing") }
            return value
        }

        func text(_ name: String) -> String? {
            read(name, "a text") { value in
                guard case .text(let text) = value else { return nil }
                return text.utf8.count <= StagingReport.textMax ? text : String(text.prefix(StagingReport.textMax))
            }
        }

        func whole(_ name: String) -> UInt64? {
            read(name, "a whole number") { if case .whole(let number) = $0 { number } else { nil } }
        }

        func percent(_ name: String) -> Int? {
            read(name, "a number from 0 to 100") { value in
                if case .whole(let number) = value, number <= 100 { Int(number) } else { nil }
            }
        }

        func uid(_ name: String) -> UInt32? {
            read(name, "a user's number") { value in
                if case .whole(let number) = value { UInt32(exactly: number) } else { nil }
            }
        }

        func flag(_ name: String) -> Bool? {
            read(name, "true or false") { if case .flag(let flag) = $0 { flag } else { nil } }
        }

        func time(_ name: String) -> Timestamp? {
            read(name, "a time") { if case .text(let text) = $0 { Timestamp(rfc3339: text) } else { nil } }
        }

        func texts(_ name: String) -> [String] {
            read(name, "a list of texts") { value in
                guard case .array(let elements) = value else { return nil }
                var texts: [String] = []
                for case .text(let text) in elements.prefix(StagingReport.rowsMax) { texts.append(text) }
                return texts.count == min(elements.count, StagingReport.rowsMax) ? texts : nil
            } ?? []
        }

        func object(_ name: String) -> Fields? {
            let members = read(name, "an object") { if case .object(let members) = $0 { members } else { nil } }
            return members.map { Fields(members: $0, place: { path(name) }, faults: faults) }
        }

        func objects<Value>(_ name: String, max: Int, _ make: (Fields) -> Value?) -> [Value] {
            let elements: [JSONValue] =
                read(name, "a list") { if case .array(let elements) = $0 { elements } else { nil } } ?? []
            if elements.count > max { faults.add(path(name), "has \(elements.count) rows; only \(max) are read") }
            return elements.prefix(max).enumerated().compactMap { index, element in
                guard case .object(let members) = element else {
                    faults.add("\(path(name))[\(index)]", "an object was expected, not \(element.kind)")
                    return nil
                }
                return make(Fields(members: members, place: { "\(path(name))[\(index)]" }, faults: faults))
            }
        }
    }
}
