import BurstModel
import BurstScreen
import BurstSettings
import BurstTestSupport

/// A parser with what must hold for any input. A broken promise traps, which libFuzzer reports with the input.
package struct FuzzTarget: Sendable {
    package var name: String
    /// Inputs to start from.
    package var seeds: @Sendable () -> [[UInt8]]
    package var check: @Sendable ([UInt8]) -> Void

    package static let all: [FuzzTarget] = [
        showBurst, showBurstDamaged, squeue, squeueDamaged, showJob, showJobDamaged, reservations, config,
        systemComment, sizes, times, theme, settings, filter, recording, script, slurmConf, burstBufferConf,
        frames, pools, directives, stagePlan, dwarguments, burstToml, staging,
    ]

    package static func named(_ name: String) -> FuzzTarget? { all.first { $0.name == name } }

    /// Ends the run: `promise` was broken.
    static func broken(_ promise: String) -> Never { fatalError("broken promise: \(promise)") }
}

// MARK: scontrol show burst

extension FuzzTarget {
    /// Any bytes are read, and what is printed of them is read and printed the same again.
    static let showBurst = FuzzTarget(
        name: "show-burst", seeds: { Fixtures.slurm("show-burst").map(\.output).filter { $0.count < 6000 } },
        check: { input in
            let report = BurstReport.parse(showBurst: input)
            let layout = BurstReport.Layout(verbose: true)
            let printed = Array(report.slurmText(layout).utf8)
            let again = BurstReport.parse(showBurst: printed)
            if Array(again.slurmText(layout).utf8) != printed { broken("what was printed is read back unchanged") }
            for plugin in report.plugins {
                for buffer in plugin.buffers
                where buffer.rawStart < 0 || buffer.rawCount < 0
                    || Int(buffer.rawStart) + Int(buffer.rawCount) > input.count
                {
                    broken("a row points into its reply")
                }
                for pool in plugin.pools {
                    _ = (pool.drained, pool.drainedAmount, pool.overcommitted, pool.largestRequest, pool.unfreeShare)
                    _ = (pool.rounded(1), pool.countsBytes, pool.free.short(bytes: pool.countsBytes))
                }
            }
            if report.faults.count > BurstReport.faultsMax { broken("faults are bounded") }
            _ = BurstReport.Layout.detect(input)
        })

    private static let validReply: (text: [UInt8], report: BurstReport) = {
        let text = SyntheticCluster(buffers: 24).burstText()
        return (text, BurstReport.parse(showBurst: text))
    }()

    /// One line of a valid reply is overwritten: every other row, user and pool is still there.
    static let showBurstDamaged = FuzzTarget(
        name: "show-burst-damaged", seeds: { damages },
        check: { input in
            guard let damage = Damage(input, separator: 10) else { return }
            let (whole, expected) = validReply
            guard let damaged = damage.apply(to: whole, separator: 10) else { return }
            let found = BurstReport.parse(showBurst: damaged.bytes)
            let line = String(decoding: damaged.line, as: UTF8.self)
            let rows = Set(found.plugins.flatMap(\.buffers).map { $0.slurmText() })
            for buffer in expected.plugins.flatMap(\.buffers) {
                let text = buffer.slurmText()
                if !rows.contains(text), line != "    " + text { broken("no valid row is lost: \(text)") }
            }
            let users = Set(found.plugins.flatMap(\.users))
            for use in expected.plugins.flatMap(\.users) where !users.contains(use) {
                if !line.hasPrefix("    UserID=\(use.user)(") { broken("no user's use is lost: \(use.user)") }
            }
            let pools = Set(found.plugins.flatMap(\.pools).map { $0.name + " " + $0.free.text })
            for pool in expected.plugins.flatMap(\.pools) where !pools.contains(pool.name + " " + pool.free.text) {
                if !line.contains("=\(pool.name) ") { broken("no pool is lost: \(pool.name)") }
            }
        })
}

// MARK: squeue

extension FuzzTarget {
    private static let zone = LocalTime.Zone.fixed()

    static let squeue = FuzzTarget(
        name: "squeue", seeds: { [SyntheticCluster(buffers: 12).jobsText(), Array("1\u{1f}\u{1e}\n".utf8)] },
        check: { input in
            let (jobs, faults) = SqueueText.parse(input, zone: zone)
            if faults.count > BurstReport.faultsMax { broken("faults are bounded") }
            for job in jobs { look(at: job) }
        })

    private static let validJobs: (text: [UInt8], jobs: [Job]) = {
        let text = SyntheticCluster(buffers: 16).jobsText()
        return (text, SqueueText.parse(text, zone: zone).jobs)
    }()

    /// One record of a valid reply is overwritten: every other job is still there.
    static let squeueDamaged = FuzzTarget(
        name: "squeue-damaged", seeds: { damages },
        check: { input in
            guard let damage = Damage(input, separator: 0x1e) else { return }
            let (whole, expected) = validJobs
            guard let damaged = damage.apply(to: whole, separator: 0x1e) else { return }
            let found = Set(SqueueText.parse(damaged.bytes, zone: zone).jobs)
            let own = SqueueText.parse(damaged.line + [0x1e], zone: zone).jobs
            for job in expected where !found.contains(job) {
                if !own.contains(job) { broken("no valid job is lost: \(job.id)") }
            }
        })

    private static func look(at job: Job) {
        _ = (job.shortID, job.isHeld, job.requests, job.reasonLine, job.incidents, job.state.code, job.isActive)
    }
}

// MARK: scontrol show job, reservation, config

extension FuzzTarget {
    static let showJob = FuzzTarget(
        name: "show-job", seeds: { Fixtures.slurm("show-job").map(\.output).filter { $0.count < 4000 } },
        check: { input in
            for detail in ShowText.jobs(input, zone: zone).jobs {
                look(at: detail.job)
                if detail.fields.isEmpty { broken("a job has fields") }
            }
        })

    private static let jobRecords: [[UInt8]] = {
        let outputs = Fixtures.slurm("show-job").map(\.output).filter { $0.starts(with: "JobId=".utf8) }
        var seen: Set<JobID> = []
        let records = outputs.flatMap { output in
            ShowText.jobs(output, zone: zone).jobs.filter { seen.insert($0.job.id).inserted }.map(\.text)
        }
        return records.prefix(8).map { Array(($0 + "\n\n").utf8) }
    }()

    /// One line of the records of several jobs is overwritten: every other job is there, with its state and user.
    static let showJobDamaged = FuzzTarget(
        name: "show-job-damaged", seeds: { damages },
        check: { input in
            guard let damage = Damage(input, separator: 10) else { return }
            let records = jobRecords
            guard let (index, damaged) = damage.apply(toOneOf: records, separator: 10) else { return }
            let whole = records.enumerated().flatMap { $0.offset == index ? damaged.bytes : $0.element }
            let found = Set(ShowText.jobs(whole, zone: zone).jobs.map { "\($0.job.id) \($0.job.state) \($0.job.user)" })
            for (other, record) in records.enumerated() where other != index {
                for detail in ShowText.jobs(record, zone: zone).jobs {
                    let text = "\(detail.job.id) \(detail.job.state) \(detail.job.user)"
                    if !found.contains(text) { broken("no valid job is lost: \(text)") }
                }
            }
        })

    static let reservations = FuzzTarget(
        name: "reservations", seeds: { Fixtures.slurm("show-reservation").map(\.output) },
        check: { input in
            let (reservations, faults) = ShowText.reservations(input, zone: zone)
            if faults.count > BurstReport.faultsMax { broken("faults are bounded") }
            var pool = Pool(
                plugin: "lua", name: "pool1", granularity: Amount(1024), total: .zero, free: .zero, used: .zero)
            for reservation in reservations {
                pool.isDefault.toggle()
                _ = reservation.reserved(in: pool)
            }
            // A blank line and another record behind it take nothing away.
            let more = ShowText.reservations(input + "\n\nReservationName=zz_last State=ACTIVE\n".utf8, zone: zone)
            if more.reservations.last?.name != "zz_last" || more.reservations.count != reservations.count + 1 {
                broken("a valid reservation behind anything is read")
            }
        })

    static let config = FuzzTarget(
        name: "config",
        seeds: { Fixtures.slurm("show-config").map(\.output) + [SyntheticCluster(buffers: 0).configText] },
        check: { input in
            let count = ShowText.config(input).fields.count
            let more = ShowText.config(input + "\nZzLast                  = yes\n".utf8)
            if more.fields.last != Field("ZzLast", "yes") || more.fields.count != count + 1 {
                broken("a valid line behind anything is read")
            }
        })
}

// MARK: Small texts

extension FuzzTarget {
    static let systemComment = FuzzTarget(
        name: "system-comment",
        seeds: {
            let jobs = Fixtures.slurm("show-job").flatMap { ShowText.jobs($0.output, zone: zone).jobs }
            return jobs.compactMap { $0.job.systemComment.map { Array($0.utf8) } }
        },
        check: { input in
            let comment = String(decoding: input, as: UTF8.self)
            let entry = "11/22/26 21:54:45 burst_buffer/lua: slurm_bb_post_run: post bad"
            let incidents = Incident.parse(comment + "\n" + entry)
            if incidents.last != Incident.parse(entry).first { broken("a valid entry behind anything is read") }
            if incidents.count != Incident.parse(comment).count + 1 { broken("entries are read one by one") }
        })

    static let sizes = FuzzTarget(
        name: "sizes",
        seeds: {
            ["200GiB", "1000256KB", "INFINITE", "18446744073709551596", "0", " -3 node", "12GB pool=a", "1.5T"]
                .map { Array($0.utf8) }
        },
        check: { input in
            let text = String(decoding: input, as: UTF8.self)
            let amount = Amount(text: text)
            _ = (amount.short(bytes: true), amount.short(bytes: false))
            if let value = amount.value, Amount(text: Amount.slurmText(value)).value != value, !amount.isInfinite {
                broken("what is printed of an amount is the amount")
            }
            _ = Amount.request(text)
            _ = BufferRequest.parse("#BB_LUA capacity=" + text)
            let number = input.prefix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            if Amount(text: Amount.slurmText(number)).value != number, number < UInt64.max - 1 {
                broken("what is printed of a number is the number: \(number)")
            }
            if Amount.short(number).count > 5 { broken("short forms are short: \(Amount.short(number))") }
            if Amount.grouped(number).filter(\.isNumber) != "\(number)" { broken("grouping keeps the digits") }
        })

    static let times = FuzzTarget(
        name: "times",
        seeds: {
            [
                "2026-11-22T22:10:12Z", "2026-11-22T22:10:12.123+01:00", "1969-12-31T23:59:59.999Z",
                "0000-01-01T00:00:00Z", "9999-12-31T23:59:60-23:59",
            ].map { Array($0.utf8) }
        },
        check: { input in
            let text = String(decoding: input, as: UTF8.self)
            let fourDigitYears = Int64(-62_000_000_000_000)..<253_000_000_000_000
            if let moment = Timestamp(rfc3339: text), fourDigitYears.contains(moment.milliseconds) {
                if Timestamp(rfc3339: moment.rfc3339Milliseconds) != moment { broken("a moment's text is the moment") }
                if let whole = Timestamp(rfc3339: moment.rfc3339),
                    moment.milliseconds - whole.milliseconds >= 1000
                        || whole > moment
                {
                    broken("seconds are rounded down")
                }
            }
            // The leap second at the end of the year 9999 has no text of four digits.
            if let local = LocalTime(text: text), LocalTime(text: local.text) != local, text != "9999-12-31T23:59:60" {
                broken("a local time's text is the local time")
            }
            let number = Int(truncatingIfNeeded: input.prefix(4).reduce(UInt32(0)) { $0 << 8 | UInt32($1) })
            if Age.short(seconds: number % 86_000_000).count > 4 { broken("short ages are short") }
            _ = Age.long(seconds: number)
        })

    private static func themeFiles() -> [[UInt8]] {
        let names = ["default", "light", "ansi16", "mono", "nord", "high-contrast"]
        return names.map { Fixtures.bytes(of: Fixtures.top + "/Themes/\($0).toml") }
    }

    /// A theme is read or refused in one line.
    static let theme = FuzzTarget(
        name: "theme", seeds: { themeFiles() },
        check: { input in
            do throws(FileFault) {
                _ = try ThemeFile.theme(String(decoding: input, as: UTF8.self), file: "fuzz.toml", folders: [])
            } catch {
                if error.description.contains(where: \.isNewline) { broken("a refusal is one line") }
            }
        })

    static let settings = FuzzTarget(
        name: "settings",
        seeds: {
            let text = """
                theme = "nord"
                interval_seconds = 20
                jobs = "own"
                ascii = true
                [rules]
                disabled = ["R12"]
                [keys]
                quit = "x"
                [columns]
                buffers = ["id", "user", "size"]
                """
            return [Array(text.utf8), Array("interval_floor_seconds = 5\nmouse = 1".utf8)]
        },
        check: { input in
            let text = String(decoding: input, as: UTF8.self)
            do throws(FileFault) {
                _ = try SettingsFile.apply(text, file: "fuzz.toml", by: .user, to: Settings())
            } catch {
                if error.description.contains(where: \.isNewline) { broken("a refusal is one line") }
            }
        })

    /// The pools of burst.toml are read or refused in one line, and pools that were read share nothing.
    static let burstToml = FuzzTarget(
        name: "burst-toml",
        seeds: {
            let text = """
                [[pool]]
                name = "nvme"
                path = "/mnt/nvme/burst"
                granularity = "16MiB"
                quantity = 640
                driver = "auto"
                [[pool]]
                name = "ram"
                path = "/run/ram"
                granularity = 1048576
                quantity = "all"
                bytes_per_second = "500MiB"
                """
            return [Array(text.utf8), Array("[[pool]]\nname = \"a\"".utf8)]
        },
        check: { input in
            do throws(FileFault) {
                let pools = try PoolsFile.pools(String(decoding: input, as: UTF8.self), file: "fuzz.toml")
                if Set(pools.map(\.name)).count != pools.count { broken("names are unlike") }
                if Set(pools.map(\.path)).count != pools.count { broken("paths are unlike") }
                for pool in pools {
                    if !PoolName.isName(pool.name) { broken("a name is one") }
                    if case .granules(let granules) = pool.quantity {
                        if granules.multipliedReportingOverflow(by: pool.granularity).overflow {
                            broken("a pool has bytes that can be counted")
                        }
                    }
                }
            } catch {
                if error.description.contains(where: \.isNewline) { broken("a refusal is one line") }
            }
        })
}
