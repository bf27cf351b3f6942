import CSys
import Glibc

/// One order on several hosts (staging.md §4.8, `slurm-step`): its plan is cut once, `srun` runs this very program on
/// each host with its part, and a run on this host finishes: it looks at every file, copies what is missing, and sets
/// the folders' metadata. It tells and hears what a copy on one host does.
struct ScaleOut {
    /// What the call says of the hosts.
    struct Hosts {
        var count: Int
        /// Further words for srun.
        var options: [[UInt8]] = []
        var srun = Array("srun".utf8)
        /// Fewer bytes are copied by this host alone.
        var fromBytes: Int64 = 0
        /// How long Slurm may take to find the hosts; nil: as long as it likes.
        var waitSeconds: Int?
        /// Where the hosts cannot be had, this one copies all of it, and says so.
        var goesOnAlone = false
    }

    let order: StageOrder
    /// The order as it was given; every host gets it.
    let text: [UInt8]
    let hosts: Hosts

    /// How often hosts are started, if some of them come to no end, and the pause before a further time, which grows.
    private static let triesMax = 3
    private static let pauseMilliseconds: Int64 = 500
    private static let lineMilliseconds: Int64 = 500
    /// After a cancel: how long hosts may take to put their files away before srun is told to end them, and how long
    /// it may take over that, milliseconds.
    private static let askMilliseconds: Int64 = 900
    private static let stopMilliseconds: Int64 = 700
    /// How long srun may outlive its hosts.
    private static let endMilliseconds: Int64 = 5000

    private struct Refusal: Error {
        var text: String
        var exit = StageExit.refused
    }

    func run(pending: [UInt8], signals: Int32, output: Int32) -> StageExit {
        var control = Control(input: 0, signals: signals, waker: -1, pending: pending)
        var order = order
        do throws(Refusal) {
            if let cut = try cutPlan(output) {
                var merged = MergedProgress(order: order, cut: cut)
                defer { order.known = merged.known }
                try runHosts(cut, &control, &merged, output)
            } else {
                order.parts = nil
            }
        } catch {
            let canBeAlone = error.exit == .refused || error.exit == .partial
            guard hosts.goesOnAlone, canBeAlone else {
                StageSession.tell(order, error.exit, error.text, to: output)
                return error.exit
            }
            StageSession.note(order, "\(error.text); this host copies all of it", to: output)
            if !hasParts { order.parts = nil }
        }
        order.confine()
        let exit = StageSession(order).run(
            input: control.input, pending: control.buffer, signals: signals, output: output)
        self.order.forgetParts(after: exit)
        return exit
    }

    /// Hosts may have copied some of it.
    private var hasParts: Bool {
        guard let path = order.parts, let cut = try? PartFolder(path: path).cut() else { return false }
        return cut.plan == order.planKey
    }

    private func runHosts(
        _ cut: PartFolder.Cut, _ control: inout Control, _ merged: inout MergedProgress, _ output: Int32
    ) throws(Refusal) {
        var tries = 0
        while !merged.isOver {
            tries += 1
            guard tries <= Self.triesMax else {
                throw Refusal(
                    text: "\(merged.unfinished) of \(cut.parts) parts came to no end in \(Self.triesMax) tries"
                        + (merged.refusal.map { ": \($0)" } ?? ""),
                    exit: .partial)
            }
            if tries > 1, pause(&control, tries) { throw Refusal(text: "cancelled", exit: .cancelled) }
            let heard = merged.heard
            let end = try runOnce(cut, &control, &merged, output)
            if end.wasCancelled { throw Refusal(text: "cancelled", exit: .cancelled) }
            if merged.heard == heard, let why = end.complaint, hosts.goesOnAlone || tries == Self.triesMax {
                throw Refusal(text: "srun: \(why)")
            }
        }
        if let part = merged.fullPart {
            throw Refusal(text: "ENOSPC (no space left on device) in part \(part)", exit: .full)
        }
    }

    /// - Returns: whether it was cancelled meanwhile.
    private func pause(_ control: inout Control, _ tries: Int) -> Bool {
        let until = now() + Self.pauseMilliseconds * 1_000_000 << (tries - 2)
        control.waker = -1
        while now() < until { if case .cancel = control.wait(until: until) { return true } }
        return false
    }

    // MARK: The plan

    /// Nil: it is too little for several hosts, or hosts cannot share it.
    private func cutPlan(_ output: Int32) throws(Refusal) -> PartFolder.Cut? {
        guard let path = order.parts else {
            throw Refusal(text: "an order for several hosts needs a line `parts FOLDER`, on a file system of them all")
        }
        guard case .path(let buffer) = order.buffer else {
            throw Refusal(text: "an order for several hosts names the buffer by its path")
        }
        let folder = PartFolder(path: path)
        let nodes = hosts.count
        do {
            if mkdir(chars(path), 0o700) != 0 {
                if errno == EACCES, case .descriptor = order.journal {
                    // The folder is one that burstd chose, in a buffer that is shared by its owner.
                    StageSession.note(
                        order, "the buffer is another user's, so that this host copies all of it", to: output)
                    return nil
                }
                guard errno == EEXIST else { throw SystemFault("mkdir") }
                var status = stat()
                _ = try check(lstat(chars(path), &status), "stat")
                // Whoever else could write to it could tell us what was copied.
                guard status.st_mode & S_IFMT == S_IFDIR, status.st_uid == geteuid(), status.st_mode & 0o022 == 0 else {
                    throw Refusal(text: "\(FileName.shown(path)) is not the user's own folder")
                }
            }
            if let there = try folder.cut() {
                guard there.plan == order.planKey else {
                    throw Refusal(text: "the folder \(FileName.shown(path)) belongs to another order")
                }
                if there.parts == nodes { return there }
            }
            let fd = try check(open(chars(buffer), O_RDONLY | O_DIRECTORY | O_CLOEXEC), "open")
            defer { close(fd) }
            let survey = PlanSurvey(order, buffer: fd).survey()
            if survey.bytes < hosts.fromBytes, !hasParts {
                rmdir(chars(path))
                return nil
            }
            if order.capacityBytes > 0, UInt64(clamping: survey.bytes) > order.capacityBytes {
                throw Refusal(
                    text: "ENOSPC (no space left on device): \(StageMessage.size(UInt64(survey.bytes))) of "
                        + StageMessage.size(order.capacityBytes), exit: .full)
            }
            try folder.write(survey.cut(into: nodes), plan: order.planKey)
            guard let cut = try folder.cut() else { throw SystemFault("open", ENOENT) }
            return cut
        } catch let fault as Refusal {
            throw fault
        } catch let fault as SystemFault {
            throw Refusal(
                text: "the folder of parts: \(fault.call): \(fault.shown)", exit: fault.kind == .full ? .full : .refused
            )
        } catch {
            throw Refusal(text: "the folder of parts: \(error)")
        }
    }

    // MARK: Hosts

    private func runOnce(
        _ cut: PartFolder.Cut, _ control: inout Control, _ merged: inout MergedProgress, _ output: Int32
    ) throws(Refusal) -> (wasCancelled: Bool, complaint: String?) {
        var program = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
        guard readlink("/proc/self/exe", &program, program.count - 1) > 0 else {
            throw Refusal(text: "/proc/self/exe: \(SystemFault("readlink").shown)")
        }
        let count = String(cut.parts)
        var words = [
            "--job-name", "burst-\(order.token)", "--nodes", count, "--ntasks", count, "--ntasks-per-node", "1",
            "--kill-on-bad-exit=0", "--wait=0",
        ]
        if let seconds = hosts.waitSeconds { words.append("--immediate=\(seconds)") }
        let step: BoundProgram
        do throws(SystemFault) {
            step = try BoundProgram(
                [hosts.srun] + words.map { Array($0.utf8) } + hosts.options
                    + [bytes(program), Array("--part".utf8), Array("slurm".utf8)], signalAtEnd: SIGTERM)
        } catch {
            throw Refusal(text: "srun cannot be started: \(error.shown)")
        }
        defer { step.end(milliseconds: Self.endMilliseconds) }
        step.send(text)
        if let rate = merged.rate { step.send(Self.throttle(rate, cut.parts)) }
        merged.begin()
        var nextLine = now() + Self.lineMilliseconds * 1_000_000
        var stopAt: Int64?
        var isTold = false
        var last = ""
        control.waker = step.output
        while true {
            let time = now()
            if let at = stopAt, time >= at {
                // First asked through their input, then by Slurm, then left alone.
                if isTold {
                    step.end(milliseconds: 0)
                    return (true, nil)
                }
                step.signal(SIGTERM)
                isTold = true
                stopAt = time + Self.stopMilliseconds * 1_000_000
            }
            switch control.wait(until: min(nextLine, stopAt ?? .max)) {
            case .ended:
                guard step.read({ merged.take($0) }) else {
                    let status = step.end(milliseconds: stopAt == nil ? Self.endMilliseconds : Self.stopMilliseconds)
                    let why = step.complaint ?? BoundProgram.shown(status)
                    return (stopAt != nil, BoundProgram.isSuccess(status) ? nil : why)
                }
            case .cancel:
                step.send(Array("cancel\n".utf8))
                stopAt = stopAt ?? now() + Self.askMilliseconds * 1_000_000
            case .throttle(let rate):
                merged.rate = rate
                step.send(Self.throttle(rate, cut.parts))
            case .time: break
            }
            guard now() >= nextLine else { continue }
            nextLine = now() + Self.lineMilliseconds * 1_000_000
            let line = merged.line()
            if line != last, StageSession.hasRoom(output) { StageSession.write(line, to: output) }
            last = line
        }
    }

    /// Each host has its share; none is paused unless all are.
    private static func throttle(_ rate: StageOrder.Rate, _ parts: Int) -> [UInt8] {
        let words = [rate.bytesPerSecond, rate.filesPerSecond].map { limit in
            limit.map { $0 == 0 ? "0" : String(max(1, $0 / UInt64(parts))) } ?? "-"
        }
        return Array("throttle \(words[0]) \(words[1])\n".utf8)
    }
}
