package import BurstModel
package import BurstStager

/// A document of the stager with sessions as a test wants them, written by the stager's own writer.
package struct StagerDocument {
    package static let gibibyte: UInt64 = 1 << 30

    package var snapshot: StagerSnapshot

    /// One pool of 100 granules of 1 GiB.
    package init(at: Timestamp) {
        snapshot = StagerSnapshot(
            at: at, host: "node1", mountFolder: "/mnt/burst",
            pools: [
                StagerSnapshot.Pool(
                    pool: StagerPool(id: "nvme", granularity: Self.gibibyte, quantity: 100), use: PoolUse())
            ], sessions: [], quarantine: [])
    }

    package static func work(since: Timestamp) -> StagerSession.Work {
        StagerSession.Work(worker: WorkerID(1), since: since, until: since.adding(seconds: 86_400), attempt: 1)
    }

    package static func failure(_ text: String, at: Timestamp) -> StagerSession.Failure {
        StagerSession.Failure(text: text, at: at)
    }

    /// How far a copy is: reported at the start and ten times since, so that it has a rate.
    /// - Parameter seconds: since its start.
    package static func progress(
        _ direction: StageDirection, seconds: Int, at: Timestamp, _ fill: (inout ProgressReport) -> Void
    ) -> StagerProgress {
        var report = ProgressReport()
        fill(&report)
        var progress = StagerProgress(direction, started: at.adding(seconds: -seconds))
        for tenth in 1...10 {
            var part = report
            part.bytesDone = report.bytesDone * UInt64(tenth) / 10
            part.filesDone = report.filesDone * UInt64(tenth) / 10
            progress.apply(part, at: at.adding(seconds: -seconds * (10 - tenth) / 10))
        }
        return progress
    }

    @discardableResult
    package mutating func add(
        _ token: String, uid: UInt32 = 1001, gibibytes: UInt64 = 10, generation: UInt64 = 1,
        phase: StagerSession.Phase, progress: StagerProgress? = nil, _ change: (inout StagerSession) -> Void = { _ in }
    ) -> StagerSession {
        let number = UInt64(snapshot.sessions.count + 1)
        var session = StagerSession(
            id: SessionID(number), key: SessionKey(token: token, generation: generation),
            owner: StagerSession.Owner(uid: uid, gid: uid), creator: .slurm,
            created: snapshot.at.adding(seconds: -600), plan: SessionPlan.Lines(stageIn: 1, stageOut: 1), phase: phase)
        session.instances = [
            StagerSession.Instance(
                id: number, pool: "nvme", asked: gibibytes * Self.gibibyte, granules: gibibytes,
                bytes: gibibytes * Self.gibibyte, fragment: number, configurations: [])
        ]
        session.progress = progress
        change(&session)
        snapshot.sessions.append(session)
        return session
    }

    /// A buffer that was torn down and cannot be removed.
    package mutating func quarantine(_ token: String, failures: Int, error: String, since: Timestamp) {
        let session = add(token, phase: .ready)
        snapshot.sessions.removeLast()
        snapshot.pools[0].use.quarantined += session.instances.reduce(0) { $0 + $1.granules }
        snapshot.quarantine.append(
            QuarantinedBuffer(
                id: session.id, key: session.key, owner: session.owner, creator: session.creator,
                created: session.created, since: since, instances: session.instances,
                removal: .again(at: snapshot.at, failures: failures), lastError: error))
    }

    package func json(viewer: Dwstat.Viewer = .operator) -> [UInt8] {
        var dwstat = Dwstat(selection: .tables([.pools, .sessions]))
        dwstat.isJSON = true
        return dwstat.answer(snapshot, viewer: viewer, zone: .fixed())
    }

    /// As a source delivers it.
    package func sample(viewer: Dwstat.Viewer = .operator) -> Sample {
        Sample.read(
            .staging, arguments: Call.staging.arguments(),
            result: CommandResult(end: .exit(0), output: json(viewer: viewer)), startedAt: snapshot.at,
            durationMilliseconds: 0, zone: .fixed())
    }
}

/// A site where copies go both ways: one that is nearly done, one whose source is still being walked, one that waits
/// in the middle, one that failed, one of somebody else.
extension StagerDocument {
    /// - Parameter tokens: of five jobs, in that order.
    package static func busy(at: Timestamp, tokens: [String], uids: [UInt32]) -> StagerDocument {
        var document = StagerDocument(at: at)
        let work = work(since: at.adding(seconds: -300))
        document.add(
            tokens[0], uid: uids[0], gibibytes: 3072, phase: .stagingIn(work),
            progress: progress(.stageIn, seconds: 600, at: at) { report in
                report.planComplete = true
                (report.filesTotal, report.filesDone) = (3400, 3100)
                (report.dirsTotal, report.dirsDone) = (120, 120)
                (report.bytesTotal, report.bytesDone) = (2900 * gibibyte, 2610 * gibibyte)
                report.bytesVerified = 2610 * gibibyte
                (report.threads, report.retries) = (4, 2)
                report.active = [
                    ProgressReport.Transfer(
                        path: "genomes/hg38/chr1.fa", size: 64 * gibibyte, done: 16 * gibibyte, rate: gibibyte),
                    ProgressReport.Transfer(
                        path: "genomes/hg38/chr2.fa", size: 32 * gibibyte, done: 24 * gibibyte, rate: gibibyte / 2),
                ]
                (report.quotaUsed, report.quotaLimit) = (2610 * gibibyte, 3072 * gibibyte)
            })
        document.add(
            tokens[1], uid: uids[1], gibibytes: 1, phase: .stagingOut(work),
            progress: progress(.stageOut, seconds: 40, at: at) { report in
                (report.filesTotal, report.filesDone) = (800, 200)
                (report.bytesTotal, report.bytesDone) = (4 * gibibyte, gibibyte)
                report.threads = 4
            })
        document.add(
            tokens[2], uid: uids[2], gibibytes: 40,
            phase: .preRun(
                StagerSession.Step(
                    operation: OperationID(1), until: at.adding(seconds: 60))))
        document.add(
            tokens[3], uid: uids[3], gibibytes: 1200,
            phase: .stageOutFailed(failure("/lus/r: Disk quota exceeded", at: at.adding(seconds: -5500))),
            progress: progress(.stageOut, seconds: 900, at: at.adding(seconds: -5500)) { report in
                report.planComplete = true
                (report.filesTotal, report.filesDone, report.errors) = (48, 45, 3)
                (report.bytesTotal, report.bytesDone) = (1100 * gibibyte, 1032 * gibibyte)
                report.lastError = "/lus/r/out.0042: Disk quota exceeded"
            }
        ) { session in
            session.hasRun = true
            session.lastError = "/lus/r: Disk quota exceeded"
        }
        document.add(tokens[4], uid: uids[4], gibibytes: 400, phase: .running)
        return document
    }
}
