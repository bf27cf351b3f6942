import CSys
import Glibc
import Synchronization

/// How a copy ended.
package enum StageExit: Int32, Sendable {
    /// Everything in the plan is done, and marked so.
    case complete = 0
    case partial = 1
    case refused = 2
    case cancelled = 3
    /// ENOSPC, EDQUOT, or a plan that cannot fit.
    case full = 4
}

/// One run of an order: opens what it names, starts the threads, tells of progress, and hears throttle and cancel.
package struct StageSession {
    private let order: StageOrder
    private let seam: (@Sendable (StageMoment, Int32) throws(SystemFault) -> Void)?
    private let whenWhole: () throws(SystemFault) -> Void

    /// How often progress is written while something changes, milliseconds.
    private static let lineMilliseconds: Int64 = 500
    /// After a cancel, how long threads may take to put their files away, milliseconds.
    private static let stopMilliseconds: Int64 = 1500
    private static let threadsLeast = 8
    private static let threadsMost = 16

    /// - Parameters:
    ///   - seam: looks on, and does harm; for tests.
    ///   - whenWhole: called once all is done, before it is marked so; what it throws keeps it from that.
    package init(
        _ order: StageOrder, seam: (@Sendable (StageMoment, Int32) throws(SystemFault) -> Void)? = nil,
        whenWhole: @escaping () throws(SystemFault) -> Void = {}
    ) {
        self.order = order
        self.seam = seam
        self.whenWhole = whenWhole
    }

    /// Why it could not begin, in a line.
    private struct Refusal: Error {
        var text: String
        var isFull = false
    }

    /// - Parameters:
    ///   - input: where `throttle` and `cancel` come from; -1: from nowhere.
    ///   - pending: what was read from it already.
    ///   - signals: of `bb_stop_signals`; -1: none.
    ///   - output: lines of JSON.
    /// - Returns: how it ended. Threads may still be there after a cancel, so that the process should end as well.
    package func run(input: Int32, pending: [UInt8] = [], signals: Int32, output: Int32) -> StageExit {
        do throws(Refusal) {
            return try begin(input, pending, signals, output)
        } catch {
            let exit = error.isFull ? StageExit.full : .refused
            Self.tell(order, exit, error.text, to: output)
            return exit
        }
    }

    /// The last line of a run that did not come far.
    static func tell(_ order: StageOrder, _ exit: StageExit, _ text: String, to output: Int32) {
        let message = StageMessage.plain(order.phase, text, session: order.token)
        say(order, word(exit), [("result", word(exit)), ("message", message)], to: output)
    }

    /// Something that whoever started this should know, though it goes on.
    static func note(_ order: StageOrder, _ text: String, to output: Int32) {
        say(order, "running", [("note", StageMessage.plain(order.phase, text, session: order.token))], to: output)
    }

    private static func say(
        _ order: StageOrder, _ state: String, _ fields: [(String, String)], to output: Int32
    ) {
        let all =
            [("token", order.token), ("phase", order.phase.rawValue), ("engine_state", state)] + fields
        let text = all.map { "\(ProgressLines.json($0.0)):\(ProgressLines.json($0.1))" }
        write("{" + text.joined(separator: ",") + "}\n", to: output)
    }

    private func begin(
        _ input: Int32, _ pending: [UInt8], _ signals: Int32, _ output: Int32
    ) throws(Refusal) -> StageExit {
        let buffer = try opened(order.buffer, O_RDONLY | O_DIRECTORY, "buffer")
        let journalFile = try opened(order.journal, O_RDWR | O_CREAT | O_NOFOLLOW, "journal")
        var reportFile: Int32 = -1
        if let report = order.report {
            reportFile = try opened(report, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, "report")
        }
        let journal: Journal
        var past: Journal.Past
        do throws(Journal.Fault) {
            (journal, past) = try Journal.open(journalFile, plan: order.planKey, synced: order.durability != .none)
        } catch {
            switch error {
            case .inUse: throw Refusal(text: "another copy of this session is running (its journal is locked)")
            case .otherPlan: throw Refusal(text: "the journal belongs to another order")
            case .otherVersion(let version):
                throw Refusal(text: "the journal is of version \(version), this program knows \(Journal.version)")
            case .refused(let fault):
                throw Refusal(text: "journal: \(fault.shown)", isFull: fault.kind == .full)
            }
        }
        let joined = try join(&past)
        let threads = threadCount
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        let run = StageRun(
            order: order, journal: journal, past: past, report: Report(reportFile), buffer: buffer, threads: threads,
            filesMax: Int(clamping: limit.rlim_cur), partsOver: joined.parts, seam: seam)
        run.progress.degraded.add(joined.degraded, ordering: .relaxed)
        var lines = ProgressLines(order: order, threads: threads, restarts: past.starts)
        defer {
            close(order.buffer, buffer)
            close(order.journal, journalFile)
            if let report = order.report { close(report, reportFile) }
        }
        if let summary = past.summary {
            Self.write(already(summary, restarts: past.starts), to: output)
            return .complete
        }
        let waker = bb_waker_open()
        guard waker >= 0 else { throw Refusal(text: "eventfd: \(SystemFault("eventfd").shown)") }
        let left = Guarded(threads + 1)
        // Where one sync is for all, it comes before anything is called done.
        let anchors = Anchors(buffer: buffer, syncs: run.syncs && run.bufferSync == nil)
        @Sendable func ended() {
            if left.with({
                $0 -= 1; return $0 == 0
            }) {
                bb_wake(waker)
            }
        }
        let planner = WorkerThread {
            Planner(run, anchors).plan()
            ended()
        }
        var started = planner == nil ? 0 : 1
        var all = [planner].compactMap { $0 }
        for slot in 0..<threads {
            let thread = WorkerThread {
                CopyWorker(run, slot: slot).work()
                ended()
            }
            if let thread {
                all.append(thread)
                started += 1
            }
        }
        if started < threads + 1 {
            // Fewer threads do the same work, but the plan and one thread are needed.
            if planner == nil || started < 2 { run.stop(.failed) }
            let missing = threads + 1 - started
            if left.with({
                $0 -= missing; return $0 == 0
            }) {
                bb_wake(waker)
            }
        }
        var control = Control(input: input, signals: signals, waker: waker, pending: pending)
        let isQuiet = watch(run, &control, &lines, output)
        if isQuiet {
            for thread in all { thread.join() }
            Glibc.close(waker)
            run.cache.clear()
        }
        return finish(run, &lines, output)
    }

    /// What the parts of an order have done is done for the run that finishes them.
    private func join(_ past: inout Journal.Past) throws(Refusal) -> (parts: Int, degraded: Int) {
        guard let path = order.parts, order.part == nil else { return (0, 0) }
        do {
            let folder = PartFolder(path: path)
            guard let cut = try folder.cut(), cut.plan == order.planKey else {
                throw Refusal(text: "the folder of parts holds none of this order")
            }
            var degraded = 0
            for part in 0..<cut.partsEver {
                let other: Journal.Past
                do throws(Journal.Fault) {
                    other = try folder.past(of: part)
                } catch {
                    if case .inUse = error { throw Refusal(text: "part \(part) is still running") }
                    throw Refusal(text: "the journal of part \(part) cannot be read: \(error)")
                }
                past.done.formUnion(other.done)
                past.madeRoots.formUnion(other.madeRoots)
                degraded += Int(other.summary?.degraded ?? 0)
            }
            past.isJoined = true
            return (cut.partsEver, degraded)
        } catch let error as Refusal {
            throw error
        } catch {
            throw Refusal(text: "the folder of parts: \(error)")
        }
    }

    private var threadCount: Int {
        if order.threads > 0 { return order.threads }
        // Threads mostly wait for the disk: more than two a core are of use on few cores.
        let cores = sysconf(Int32(_SC_NPROCESSORS_ONLN))
        return min(Self.threadsMost, max(Self.threadsLeast, 2 * cores))
    }

    private func opened(_ what: StageOrder.Opened, _ flags: Int32, _ name: String) throws(Refusal) -> Int32 {
        switch what {
        case .descriptor(let fd):
            guard fcntl(fd, F_GETFD) >= 0 else { throw Refusal(text: "\(name): descriptor \(fd) is not open") }
            _ = fcntl(fd, F_SETFD, FD_CLOEXEC)
            return fd
        case .path(let path):
            let fd = Glibc.open(chars(path), flags | O_CLOEXEC, 0o600)
            guard fd >= 0 else {
                throw Refusal(text: "\(name) \(FileName.shown(path)): \(SystemFault("open").shown)")
            }
            return fd
        }
    }

    /// What was inherited belongs to whoever gave it.
    private func close(_ what: StageOrder.Opened, _ fd: Int32) {
        if case .path = what { Glibc.close(fd) }
    }

    // MARK: While it runs

    /// - Returns: whether all threads have ended.
    private func watch(
        _ run: StageRun, _ control: inout Control, _ lines: inout ProgressLines, _ output: Int32
    ) -> Bool {
        var nextLine = now() + Self.lineMilliseconds * 1_000_000
        var last = ""
        var stopAt: Int64?
        while true {
            let time = now()
            if run.isStopping, stopAt == nil { stopAt = time + Self.stopMilliseconds * 1_000_000 }
            if let stopAt, time >= stopAt { return false }
            let wake = min(nextLine, stopAt ?? .max)
            switch control.wait(until: wake) {
            case .ended: return true
            case .cancel: run.stop(.cancelled)
            case .throttle(let rate): run.throttle.set(rate)
            case .time: break
            }
            guard now() >= nextLine else { continue }
            nextLine = now() + Self.lineMilliseconds * 1_000_000
            let line = lines.line(
                run.progress, state: "running", rate: run.throttle.rate, lastError: run.lastError, isComplete: false)
            if line != last, Self.hasRoom(output) { Self.write(line, to: output) }
            last = line
        }
    }

    static func hasRoom(_ output: Int32) -> Bool {
        var descriptor = pollfd(fd: output, events: Int16(POLLOUT), revents: 0)
        return poll(&descriptor, 1, 0) == 1 && descriptor.revents & Int16(POLLOUT) != 0
    }

    static func write(_ line: String, to output: Int32) {
        let bytes = Array(line.utf8)
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes { Glibc.write(output, $0.baseAddress! + written, $0.count - written) }
            guard count > 0 else { return }
            written += count
        }
    }

    // MARK: The end

    private func finish(_ run: StageRun, _ lines: inout ProgressLines, _ output: Int32) -> StageExit {
        let progress = run.progress
        var exit = StageExit.partial
        var message = run.lastError
        switch run.stopped {
        case .cancelled:
            exit = .cancelled
            message = message ?? StageMessage.plain(order.phase, "cancelled", session: order.token)
        case .full: exit = .full
        case .failed:
            message = message ?? StageMessage.plain(order.phase, "no thread could be started", session: order.token)
        case .journal(let fault):
            exit = fault.kind == .full ? .full : .partial
            message = StageMessage.plain(order.phase, "journal: \(fault.shown)", session: order.token)
        case nil:
            do throws(SystemFault) {
                if try mark(run) {
                    exit = .complete
                } else {
                    message =
                        message
                        ?? StageMessage.plain(order.phase, "not all of the plan was done", session: order.token)
                }
            } catch {
                exit = error.kind == .full ? .full : .partial
                message = StageMessage.plain(order.phase, "complete mark: \(error.shown)", session: order.token)
            }
        }
        if order.part == nil, let parts = order.parts { run.report.take(from: PartFolder(path: parts)) }
        run.report.flush()
        let errors = progress.errors.load(ordering: .relaxed)
        let report: String =
            if case .path(let path)? = order.report { ProgressLines.json(FileName.shown(path)) } else { "null" }
        let line = lines.line(
            progress, state: Self.word(exit), rate: run.throttle.rate, lastError: run.lastError,
            isComplete: exit == .complete,
            extra: [
                ("result", ProgressLines.json(Self.word(exit))), ("failed", String(errors)),
                ("message", exit == .complete ? "null" : message.map(ProgressLines.json) ?? "null"),
                ("report", report), ("tree", ProgressLines.json(run.tree.shown)),
            ])
        Self.write(line, to: output)
        return exit
    }

    static func word(_ exit: StageExit) -> String {
        switch exit {
        case .complete: "complete"
        case .partial: "partial"
        case .refused: "refused"
        case .cancelled: "cancelled"
        case .full: "full"
        }
    }

    /// The complete mark, if all of the plan is done.
    private func mark(_ run: StageRun) throws(SystemFault) -> Bool {
        let progress = run.progress
        func value(_ number: borrowing Progress.Counter) -> Int { number.load(ordering: .sequentiallyConsistent) }
        guard progress.isPlanned.load(ordering: .sequentiallyConsistent), value(progress.errors) == 0,
            value(progress.filesDone) == value(progress.filesTotal),
            value(progress.linksDone) == value(progress.linksTotal),
            value(progress.directoriesDone) == value(progress.directoriesTotal),
            value(progress.bytesDone) == value(progress.bytesTotal)
        else { return false }
        try run.bufferSync?.sync()
        try whenWhole()
        let summary = Journal.Summary(
            files: UInt64(value(progress.filesDone)), directories: UInt64(value(progress.directoriesDone)),
            links: UInt64(value(progress.linksDone)), bytes: UInt64(value(progress.bytesDone)),
            skipped: UInt64(value(progress.skipped)), degraded: UInt64(value(progress.degraded)), tree: run.tree)
        try run.journal.append(.complete(summary))
        if run.syncs { try run.journal.sync() }
        return true
    }

    /// An earlier life has done it all.
    private func already(_ summary: Journal.Summary, restarts: Int) -> String {
        "{\"token\":\(ProgressLines.json(order.token)),\"user\":\(geteuid()),"
            + "\"phase\":\(ProgressLines.json(order.phase.rawValue)),\"engine_state\":\"complete\","
            + "\"updated\":\(wallClock() / 1_000_000_000),\"plan_complete\":true,\"percent\":100,"
            + "\"files_total\":\(summary.files),\"files_done\":\(summary.files),"
            + "\"dirs_total\":\(summary.directories),\"dirs_done\":\(summary.directories),"
            + "\"links_total\":\(summary.links),\"links_done\":\(summary.links),"
            + "\"bytes_total\":\(summary.bytes),\"bytes_done\":\(summary.bytes),\"bytes_moved\":0,"
            + "\"bytes_skipped\":\(summary.bytes),\"eta\":0,\"skipped\":\(summary.skipped),\"errors\":0,"
            + "\"degraded\":\(summary.degraded),\"restarts\":\(restarts),\"last_error\":null,"
            + "\"result\":\"complete\",\"failed\":0,\"message\":null,"
            + "\"tree\":\(ProgressLines.json(summary.tree.shown)),\"active\":[]}\n"
    }
}

extension StageOrder {
    /// Of what is to be done, not of how.
    var planKey: Key {
        var key = Key.zero
        key.mix(Array(token.utf8))
        key.mix(generation)
        key.mix(Array(phase.rawValue.utf8))
        // The journal counts parts.
        key.mix(UInt64(partBytes))
        for transfer in transfers {
            key.mix(Array(transfer.kind.rawValue.utf8))
            for place in [transfer.source, transfer.destination] {
                switch place {
                case .buffer: key.mix(1)
                case .parallel: key.mix(2)
                }
                key.mix(place.bytes)
            }
        }
        return key
    }
}

/// What a running copy listens to.
struct Control {
    enum Heard {
        case ended
        case cancel
        case throttle(StageOrder.Rate)
        case time
    }

    private(set) var input: Int32
    private let signals: Int32
    /// Readable when there is something else to look at; -1: never.
    var waker: Int32
    private(set) var buffer: [UInt8]

    init(input: Int32, signals: Int32, waker: Int32, pending: [UInt8]) {
        self.input = input
        self.signals = signals
        self.waker = waker
        buffer = pending
    }

    mutating func wait(until deadline: Int64) -> Heard {
        if let heard = takeLine() { return heard }
        let milliseconds = max(0, min(60_000, (deadline - now() + 999_999) / 1_000_000))
        var descriptors = [waker, signals, input].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        guard poll(&descriptors, nfds_t(descriptors.count), Int32(milliseconds)) > 0 else { return .time }
        if descriptors[0].revents != 0 { return .ended }
        if descriptors[1].revents != 0, bb_take_signal(signals) != 0 { return .cancel }
        if descriptors[2].revents != 0 {
            var block = [UInt8](repeating: 0, count: 4096)
            let count = read(input, &block, block.count)
            if count > 0 {
                buffer += block[..<count]
            } else {
                // Whoever started this is gone, or has nothing more to say: the work goes on.
                input = -1
            }
            return takeLine() ?? .time
        }
        return .time
    }

    private mutating func takeLine() -> Heard? {
        while let end = buffer.firstIndex(of: UInt8(ascii: "\n")) {
            let line = Array(buffer[..<end])
            buffer.removeFirst(end + 1)
            switch StageControl(line) {
            case .cancel: return .cancel
            case .throttle(let rate): return .throttle(rate)
            case nil: continue
            }
        }
        // Nobody says anything that long.
        if buffer.count > StageOrder.lineBytesMax { buffer = [] }
        return nil
    }
}
