import BurstDataWarp
import BurstModel
import BurstPools
import BurstStager
import CSys
import Glibc
import Synchronization

/// Starts `burst-stage`, one process for a session and phase (and for each buffer that takes part in it), as the
/// session's owner; hears its progress, and hands on throttles and stops.
final class CopyWorkers: Sendable {
    private struct Worker {
        var pool: String
        var throttle: Throttle?
        /// Of the process under way: nil before the first, between two, and after the last.
        var pidfd: Int32?
        var input: Int32?
        var isStopped = false
        /// It has other programs under it, here or on other hosts.
        var leads = false
    }

    /// An order, and where the persistent buffers are that it names.
    struct Copy: Sendable {
        var order: WorkerOrder
        var keys: [String: SessionKey] = [:]
        var pools: [String: String] = [:]

        /// The first one's, whose limits of speed count.
        var pool: String { order.instances.first?.pool ?? pools.values.min() ?? "" }
    }

    private struct State {
        var workers: [WorkerID: Worker] = [:]
        var running = 0
        /// Those that wait for one of them to end.
        var waiting: [Copy] = []
        var isClosed = false
    }

    private let program: String
    private let storage: BufferStorage
    private let folder: String
    private let tell: @Sendable (StagerEvent) -> Void
    private let log: @Sendable (StagerLogLine) -> Void
    private let state = Mutex(State())
    private let clock: DaemonClock

    /// - Parameters:
    ///   - program: burst-stage.
    ///   - folder: of journals and reports, within the state folder.
    ///   - tell: takes `workerProgress` and `workerEnded`.
    init(
        program: String, storage: BufferStorage, folder: String, clock: DaemonClock,
        tell: @escaping @Sendable (StagerEvent) -> Void, log: @escaping @Sendable (StagerLogLine) -> Void
    ) throws(StateFault) {
        self.program = program
        self.storage = storage
        self.folder = folder
        self.clock = clock
        self.tell = tell
        self.log = log
        try Folders.make(folder, mode: 0o711)
        try Folders.make(folder + "/journals", mode: 0o700)
        try Folders.make(folder + "/workers", mode: 0o700)
        // Users read their own reports by the path that they are told.
        try Folders.make(folder + "/reports", mode: 0o711)
    }

    // MARK: Earlier lives

    /// Ends the workers that an earlier life of the daemon left: what they did stands in their journals, and others go
    /// on from there. Those that lead others end these first.
    func endLeftovers() {
        let names = JobFiles.names(in: folder + "/workers")
        let left = names.compactMap { Self.process("\(folder)/workers/\($0)") }
        for process in left where bb_process_start(process.pid) == process.start {
            kill(process.pid, process.leads ? SIGTERM : SIGKILL)
        }
        let until = clock.monotonic() + Int64(StagingLimits.leftoverSeconds) * 1000
        let patience = clock.monotonic() + StagingLimits.leaderStopMilliseconds
        for process in left {
            while bb_process_start(process.pid) == process.start, clock.monotonic() < until {
                if process.leads, clock.monotonic() >= patience { kill(process.pid, SIGKILL) }
                usleep(5000)
            }
        }
        for name in names { unlink("\(folder)/workers/\(name)") }
    }

    private static let leader = "leads"

    private static func process(_ path: String) -> (pid: pid_t, start: UInt64, leads: Bool)? {
        guard let bytes = try? JobFiles.read(path, bytesMax: 128, followsLinks: false) else { return nil }
        let words = String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isWhitespace)
        guard words.count >= 2, let pid = pid_t(words[0]), pid > 1, let start = UInt64(words[1]), start > 0 else {
            return nil
        }
        return (pid, start, words.count > 2 && words[2] == leader)
    }

    /// What is kept for a session's copies goes with the session.
    func forget(_ session: SessionID) {
        for part in ["journals", "reports"] {
            for name in JobFiles.names(in: "\(folder)/\(part)") where name.hasPrefix("\(session.number).") {
                unlink("\(folder)/\(part)/\(name)")
            }
        }
    }

    // MARK: Orders

    /// Never waits; the end is told.
    func start(_ copy: Copy) {
        let isTaken = state.withLock { state in
            state.workers[copy.order.worker] = Worker(pool: copy.pool, throttle: copy.order.throttle)
            guard !state.isClosed, state.running < StagingLimits.workersMax else {
                state.waiting.append(copy)
                return false
            }
            state.running += 1
            return true
        }
        guard isTaken else { return }
        OwnThread.start { [self] in
            var next: Copy? = copy
            while let copy = next {
                let end = carryOut(copy)
                next = state.withLock { state in
                    state.workers[copy.order.worker] = nil
                    guard !state.waiting.isEmpty, !state.isClosed else {
                        state.running -= 1
                        return nil
                    }
                    return state.waiting.removeFirst()
                }
                share(copy.pool)
                tell(.workerEnded(copy.order.worker, end))
            }
        }
    }

    /// SIGTERM, and SIGKILL a second later, or more where others have to be ended first. One that is not there has told
    /// its end, or will.
    func stop(_ worker: WorkerID) {
        let (pidfd, leads) = state.withLock { state -> (Int32?, Bool) in
            state.workers[worker]?.isStopped = true
            return (state.workers[worker]?.pidfd.map { dup($0) }, state.workers[worker]?.leads ?? false)
        }
        guard let pidfd, pidfd >= 0 else { return }
        let patience = leads ? StagingLimits.leaderStopMilliseconds : StagingLimits.workerStopMilliseconds
        bb_pidfd_signal(pidfd, SIGTERM)
        OwnThread.start {
            var ended = pollfd(fd: pidfd, events: Int16(POLLIN), revents: 0)
            if poll(&ended, 1, Int32(patience)) == 0 { bb_pidfd_signal(pidfd, SIGKILL) }
            close(pidfd)
        }
    }

    func throttle(_ worker: WorkerID, _ throttle: Throttle) {
        let pool = state.withLock { state -> String? in
            state.workers[worker]?.throttle = throttle
            return state.workers[worker]?.pool
        }
        if let pool { share(pool) }
    }

    /// Tells each worker of the pool its part of what the pool may: all together are as fast as it is allowed.
    private func share(_ pool: String?) {
        guard let pool else { return }
        let settings = storage.settings(of: pool)
        state.withLock { state in
            let active = state.workers.values.count { $0.pool == pool && $0.input != nil }
            for worker in state.workers.values where worker.pool == pool {
                guard let input = worker.input else { continue }
                Self.say(Self.throttleLine(worker.throttle, settings, active), to: input)
            }
        }
    }

    private static func rate(
        _ throttle: Throttle?, _ pool: PoolSettings?, _ active: Int
    ) -> (bytes: String, files: String) {
        func least(_ own: UInt64?, _ shared: UInt64?) -> String {
            let part = shared.map { $0 == 0 ? 0 : max(1, $0 / UInt64(max(1, active))) }
            return [own, part].compactMap { $0 }.min().map(String.init) ?? "-"
        }
        return (
            least(throttle?.bytesPerSecond, pool?.bytesPerSecond),
            least(throttle?.filesPerSecond, pool?.filesPerSecond)
        )
    }

    private static func throttleLine(_ throttle: Throttle?, _ pool: PoolSettings?, _ active: Int) -> String {
        let rate = rate(throttle, pool, active)
        return "throttle \(rate.bytes) \(rate.files)\n"
    }

    /// A pipe has room for what is said here; a worker that is gone is no error.
    private static func say(_ text: String, to input: Int32) {
        let bytes = Array(text.utf8)
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes { write(input, $0.baseAddress! + written, $0.count - written) }
            guard count > 0 else { return }
            written += count
        }
    }

    // MARK: One copy

    private func carryOut(_ copy: Copy) -> WorkerEnd {
        let order = copy.order
        let runs: [CopyRuns.Run]
        do throws(ErrorLine) {
            runs = try CopyRuns(plan: order.plan, order.direction).runs
        } catch {
            return .failed(error.text, isTransient: false)
        }
        var done = ProgressReport()
        for (index, run) in runs.enumerated() {
            if state.withLock({ $0.workers[order.worker]?.isStopped != false || $0.isClosed }) { return .stopped }
            let anchor: BufferStorage.Anchor
            do throws(PoolFault) {
                anchor = try open(run.buffer, copy)
            } catch {
                return .failed(error.description, isTransient: false)
            }
            defer { close(anchor.descriptor) }
            let end = carryOut(order, run, index, anchor, earlier: done, isLast: index == runs.count - 1)
            guard case .complete(let report) = end else { return end }
            done = report
        }
        done.planComplete = true
        return .complete(done)
    }

    private func open(_ buffer: StageSide.Buffer, _ copy: Copy) throws(PoolFault) -> BufferStorage.Anchor {
        let order = copy.order
        switch buffer {
        case .job:
            let striped = order.instances.first { instance in
                instance.configurations.contains { $0.access == .striped }
            }
            guard let instance = striped else {
                throw PoolFault(.noBuffer, "session \(order.session.number)", "has no striped buffer")
            }
            return try storage.anchor(instance.pool, order.session, order.key)
        case .persistent(let name):
            guard let id = order.persistent[name.text], let key = copy.keys[name.text],
                let pool = copy.pools[name.text]
            else {
                throw PoolFault(.noBuffer, "persistent buffer \(name)", "is not used by the session")
            }
            return try storage.anchor(pool, id, key)
        }
    }

    private func order(
        _ order: WorkerOrder, _ run: CopyRuns.Run, _ index: Int, _ anchor: BufferStorage.Anchor
    ) -> [String] {
        let settings = storage.settings(of: anchor.pool)
        let active = state.withLock { $0.workers.values.count { $0.pool == anchor.pool && $0.input != nil } } + 1
        let rate = Self.rate(order.throttle, settings, active)
        var lines = [
            "token \(order.session.number)", "generation \(order.key.generation)",
            "phase \(order.direction == .stageIn ? "stage-in" : "stage-out")", "journal-fd 4", "report-fd 5",
            "verify \(settings?.staging.verify.rawValue ?? StagingSettings().verify.rawValue)",
            "bytes-per-second \(rate.bytes)", "files-per-second \(rate.files)",
        ]
        if let threads = settings?.threads { lines.append("threads \(threads)") }
        if settings?.staging.leads == true {
            lines.append("buffer \(CopyRuns.escaped(Array(anchor.path.utf8)))")
        } else {
            lines.append("buffer-fd 3")
        }
        let parts = "\(anchor.stage)/parts.\(order.session.number).\(order.direction.rawValue).\(index)"
        // What hosts did counts, also where hosts are not wanted any more.
        if settings.map({ $0.staging.nodes > 1 }) ?? false || access(parts + "/cut", F_OK) == 0 {
            lines.append("parts \(CopyRuns.escaped(Array(parts.utf8)))")
        }
        if order.direction == .stageIn {
            lines.append("capacity \(anchor.bytes)")
            if anchor.inodes > 0 { lines.append("inodes \(anchor.inodes)") }
        }
        return lines + run.transfers + ["end"]
    }

    /// - Parameter earlier: what the runs before did.
    private func carryOut(
        _ order: WorkerOrder, _ run: CopyRuns.Run, _ index: Int, _ anchor: BufferStorage.Anchor,
        earlier: ProgressReport, isLast: Bool
    ) -> WorkerEnd {
        let stem = "\(order.session.number).\(order.direction.rawValue).\(index)"
        let journal = Glibc.open(
            "\(folder)/journals/\(stem)", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard journal >= 0 else { return failed("journal", errno) }
        defer { close(journal) }
        let reportPath = "\(folder)/reports/\(stem)"
        unlink(reportPath)
        let report = Glibc.open(reportPath, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard report >= 0 else { return failed("report", errno) }
        defer { close(report) }
        if geteuid() == 0 { _ = fchown(report, order.owner.uid, order.owner.gid) }
        var inputs: [Int32] = [-1, -1]
        var outputs: [Int32] = [-1, -1]
        guard bb_pipe(&inputs) == 0 else { return failed("pipe", errno) }
        guard bb_pipe(&outputs) == 0 else {
            let number = errno
            for end in inputs { close(end) }
            return failed("pipe", number)
        }
        defer { close(outputs[0]) }
        var pid: pid_t = 0
        let staging = storage.settings(of: anchor.pool)?.staging ?? StagingSettings()
        let error = spawn(order, staging, inputs[0], outputs[1], [anchor.descriptor, journal, report], &pid)
        // A worker that ends before it has read its order must not be waited for.
        close(inputs[0])
        close(outputs[1])
        guard error == 0 else {
            close(inputs[1])
            return failed("burst-stage", error)
        }
        let record = "\(folder)/workers/\(order.worker.number)"
        Self.note(record, "\(pid) \(bb_process_start(pid))\(staging.leads ? " " + Self.leader : "")\n")
        let pidfd = bb_pidfd_open(pid)
        Self.say(self.order(order, run, index, anchor).joined(separator: "\n") + "\n", to: inputs[1])
        let isStopped = state.withLock { state in
            state.workers[order.worker]?.pidfd = pidfd
            state.workers[order.worker]?.input = inputs[1]
            state.workers[order.worker]?.leads = staging.leads
            return state.workers[order.worker]?.isStopped ?? true
        }
        if isStopped { bb_pidfd_signal(pidfd, SIGTERM) }
        share(anchor.pool)
        let last = listen(order, outputs[0], anchor, earlier: earlier, isLast: isLast)
        state.withLock { state in
            state.workers[order.worker]?.input = nil
            state.workers[order.worker]?.pidfd = nil
        }
        close(inputs[1])
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0, errno == EINTR {}
        close(pidfd)
        unlink(record)
        return end(last, status, anchor, earlier, isLast: isLast, report: reportPath)
    }

    private func failed(_ what: String, _ number: Int32) -> WorkerEnd {
        .failed("\(what): \(SystemError.text(number))", isTransient: number != ENOENT && number != EACCES)
    }

    private func spawn(
        _ order: WorkerOrder, _ staging: StagingSettings, _ input: Int32, _ output: Int32, _ files: [Int32],
        _ pid: inout pid_t
    ) -> Int32 {
        var words = [program]
        if geteuid() == 0 {
            words += ["--uid", "\(order.owner.uid)", "--gid", "\(order.owner.gid)"]
            words += ["--groups", order.owner.groups.sorted().map(String.init).joined(separator: ",")]
        }
        words += staging.arguments
        let sink = Glibc.open("/dev/null", O_WRONLY | O_CLOEXEC)
        guard sink >= 0 else { return errno }
        defer { close(sink) }
        var pointers: [UnsafePointer<CChar>?] = words.map { UnsafePointer(strdup($0)) } + [nil]
        defer { for pointer in pointers { free(UnsafeMutableRawPointer(mutating: pointer)) } }
        return bb_spawn_with_files(program, &pointers, input, output, sink, files, Int32(files.count), &pid)
    }

    private static func note(_ path: String, _ text: String) {
        let file = Glibc.open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard file >= 0 else { return }
        say(text, to: file)
        close(file)
    }

    /// Reads what the worker says until it says no more.
    /// - Returns: its last line.
    private func listen(
        _ order: WorkerOrder, _ output: Int32, _ anchor: BufferStorage.Anchor, earlier: ProgressReport, isLast: Bool
    ) -> WorkerLine? {
        var kept: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 16 << 10)
        var last: WorkerLine?
        var usage: BufferUsage?
        var usageAt = Int64.min / 2
        while true {
            let count = read(output, &block, block.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return last }
            kept += block[..<count]
            while let end = kept.firstIndex(of: UInt8(ascii: "\n")) {
                if let line = WorkerLine.read(kept[..<end]) {
                    if let note = line.note {
                        log(StagerLogLine(level: .notice, session: order.session, token: order.key.token, text: note))
                        kept.removeFirst(end + 1)
                        continue
                    }
                    last = line
                    if line.result == nil {
                        if clock.monotonic() - usageAt >= StagingLimits.usageMilliseconds {
                            usage = storage.usage(anchor)
                            usageAt = clock.monotonic()
                        }
                        var report = line.report.adding(earlier, isLast: isLast)
                        report.add(usage)
                        tell(.workerProgress(order.worker, report))
                    }
                }
                kept.removeFirst(end + 1)
            }
            // No worker says anything that long.
            if kept.count > StagingLimits.workerLineBytesMax { kept = [] }
        }
    }

    private func end(
        _ last: WorkerLine?, _ status: Int32, _ anchor: BufferStorage.Anchor, _ earlier: ProgressReport,
        isLast: Bool, report: String
    ) -> WorkerEnd {
        // Whatever it said before: where it was all done, the next one finds it so.
        if status & 0x7f != 0 { return .failed("the copy was ended by signal \(status & 0x7f)", isTransient: true) }
        let exit = (status >> 8) & 0xff
        guard let last, let result = last.result else {
            return .failed("burst-stage ended with status \(exit) and said nothing", isTransient: false)
        }
        switch result {
        // Its word and its status must agree: neither alone is success.
        case "complete" where exit == 0:
            var sum = last.report.adding(earlier, isLast: true)
            sum.add(storage.usage(anchor))
            return .complete(sum)
        case "cancelled": return .stopped
        case "full":
            let who = storage.whoIsFull(anchor).map { ": \($0)" } ?? ""
            return .failed((last.message ?? "no space left") + who, isTransient: false)
        case "refused":
            let text = last.message ?? "the copy was refused"
            // A forerunner that is still ending.
            return .failed(text, isTransient: text.contains("journal is locked"))
        default:
            let text = last.message ?? "the copy is not complete"
            let count = last.failed ?? 0
            return .failed(count > 0 ? "\(text); \(count) failed, see \(report)" : text, isTransient: false)
        }
    }

    // MARK: The end

    /// Ends the workers that are under way, within two seconds or so; their journals keep what they did.
    func stop() {
        let workers = state.withLock { state in
            state.isClosed = true
            state.waiting = []
            return Array(state.workers.keys)
        }
        for worker in workers { stop(worker) }
        let until = clock.monotonic() + Int64(StagingLimits.leftoverSeconds) * 1000
        while state.withLock({ $0.running > 0 }), clock.monotonic() < until { usleep(5000) }
    }
}

extension ProgressReport {
    fileprivate mutating func add(_ usage: BufferUsage?) {
        guard let usage else { return }
        quotaUsed = usage.bytes
        quotaLimit = usage.bytesMax
        inodeUsed = usage.inodes
        inodeLimit = usage.inodesMax
    }
}

extension StagingSettings {
    /// Whether a worker has other programs under it, which find the buffer by its path.
    fileprivate var leads: Bool { nodes > 1 || copier != .own }

    /// Of burst-stage.
    fileprivate var arguments: [String] {
        var words: [String] = []
        func add(_ key: String, _ value: String?) { if let value { words += [key, value] } }
        if nice > 0 { add("--nice", "\(nice)") }
        if ioClass != .none { add("--io-class", ioClass.rawValue) }
        if leads { add("--slurm-conf", slurmConf) }
        if copier != .own {
            add("--copier", copier.rawValue)
            add("--copier-path", copierPath)
            for word in copierOptions { add("--copier-option", word) }
            for word in launcher { add("--launcher-word", word) }
        } else if nodes > 1 {
            add("--nodes", "\(nodes)")
            add("--nodes-from", "\(nodesFrom)")
            add("--nodes-refused", nodesRefused.rawValue)
            add("--nodes-wait", "\(nodesWaitSeconds)")
            add("--srun", srun)
            for word in srunOptions { add("--srun-option", word) }
        }
        return words
    }
}
