import CSys
import Glibc

/// One order on several hosts (staging.md §4.8, `slurm-step`): its plan is cut once, `srun` runs this very program on
/// each host with its part, and a run on this host finishes: it looks at every file, copies what is missing, and sets
/// the folders' metadata. It tells and hears what a copy on one host does.
struct ScaleOut {
    let order: StageOrder
    /// The order as it was given; every host gets it.
    let text: [UInt8]
    let nodes: Int
    /// Further words for srun.
    let options: [[UInt8]]

    /// How often hosts are started, if some of them come to no end.
    private static let triesMax = 3
    private static let lineMilliseconds: Int64 = 500
    /// How long hosts may take to put their files away after a cancel, before srun is told to end them; and then to be
    /// gone, milliseconds.
    private static let stopMilliseconds: Int64 = 5000

    private struct Refusal: Error {
        var text: String
        var exit = StageExit.refused
    }

    func run(pending: [UInt8], signals: Int32, output: Int32) -> StageExit {
        var control = Control(input: 0, signals: signals, waker: -1, pending: pending)
        do throws(Refusal) {
            let cut = try cutPlan()
            var merged = MergedProgress(order: order, cut: cut)
            var tries = 0
            while !merged.isOver {
                tries += 1
                guard tries <= Self.triesMax else {
                    throw Refusal(
                        text: "\(merged.unfinished) of \(cut.parts) parts came to no end in \(Self.triesMax) tries",
                        exit: .partial)
                }
                let wasCancelled = try runHosts(cut, &control, &merged, output)
                if wasCancelled { throw Refusal(text: "cancelled", exit: .cancelled) }
            }
            if let part = merged.fullPart {
                throw Refusal(text: "ENOSPC (no space left on device) in part \(part)", exit: .full)
            }
        } catch {
            let message = StageMessage.plain(order.phase, error.text, session: order.token)
            let word = ProgressLines.json(StageSession.word(error.exit))
            StageSession.write(
                "{\"token\":\(ProgressLines.json(order.token)),\"phase\":\(ProgressLines.json(order.phase.rawValue)),"
                    + "\"engine_state\":\(word),\"result\":\(word),"
                    + "\"message\":\(ProgressLines.json(message))}\n", to: output)
            return error.exit
        }
        return StageSession(order).run(
            input: control.input, pending: control.buffer, signals: signals, output: output)
    }

    // MARK: The plan

    private func cutPlan() throws(Refusal) -> PartFolder.Cut {
        guard let path = order.parts else {
            throw Refusal(text: "an order for several hosts needs a line `parts FOLDER`, on a file system of them all")
        }
        guard case .path(let buffer) = order.buffer else {
            throw Refusal(text: "an order for several hosts names the buffer by its path")
        }
        let folder = PartFolder(path: path)
        do {
            if mkdir(chars(path), 0o700) != 0, errno != EEXIST { throw SystemFault("mkdir") }
            if let there = try folder.cut() {
                guard there.plan == order.planKey else {
                    throw Refusal(text: "the folder \(FileName.shown(path)) belongs to another order")
                }
                if there.parts == nodes { return there }
            }
            let fd = try check(open(chars(buffer), O_RDONLY | O_DIRECTORY | O_CLOEXEC), "open")
            defer { close(fd) }
            let survey = PlanSurvey(order, buffer: fd).survey()
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

    /// - Returns: whether it was cancelled.
    private func runHosts(
        _ cut: PartFolder.Cut, _ control: inout Control, _ merged: inout MergedProgress, _ output: Int32
    ) throws(Refusal) -> Bool {
        var program = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
        guard readlink("/proc/self/exe", &program, program.count - 1) > 0 else {
            throw Refusal(text: "/proc/self/exe: \(SystemFault("readlink").shown)")
        }
        let count = String(cut.parts)
        let words =
            ["srun", "--nodes", count, "--ntasks", count, "--ntasks-per-node", "1", "--kill-on-bad-exit=0", "--wait=0"]
            .map { Array($0.utf8) } + options + [bytes(program), Array("--part".utf8), Array("slurm".utf8)]
        let step: Step
        do throws(SystemFault) {
            step = try Step(words)
        } catch {
            throw Refusal(text: "srun cannot be started: \(error.shown)")
        }
        defer { step.end() }
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
                if isTold { return true }
                kill(step.pid, SIGTERM)
                isTold = true
                stopAt = time + Self.stopMilliseconds * 1_000_000
            }
            switch control.wait(until: min(nextLine, stopAt ?? .max)) {
            case .ended:
                guard step.read({ merged.take($0) }) else { return stopAt != nil }
            case .cancel:
                step.send(Array("cancel\n".utf8))
                stopAt = stopAt ?? now() + Self.stopMilliseconds * 1_000_000
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

    /// A step of Slurm's: srun with both ends of it in pipes.
    private final class Step {
        let pid: pid_t
        let output: Int32
        private var input: Int32
        private var rest: [UInt8] = []
        private var hasEnded = false

        init(_ words: [[UInt8]]) throws(SystemFault) {
            var down: [Int32] = [-1, -1]
            var up: [Int32] = [-1, -1]
            _ = try check(bb_pipe(&down), "pipe")
            guard bb_pipe(&up) == 0 else {
                let fault = SystemFault("pipe")
                for end in down { close(end) }
                throw fault
            }
            var actions = posix_spawn_file_actions_t()
            var attributes = posix_spawnattr_t()
            posix_spawn_file_actions_init(&actions)
            posix_spawnattr_init(&attributes)
            posix_spawn_file_actions_adddup2(&actions, down[0], 0)
            posix_spawn_file_actions_adddup2(&actions, up[1], 1)
            var none = sigset_t()
            sigemptyset(&none)
            posix_spawnattr_setsigmask(&attributes, &none)
            posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
            let arguments = words.map { strdup(chars($0)) } + [nil]
            var pid: pid_t = 0
            let result = posix_spawnp(&pid, "srun", &actions, &attributes, arguments, environ)
            for word in arguments { free(word) }
            posix_spawn_file_actions_destroy(&actions)
            posix_spawnattr_destroy(&attributes)
            close(down[0])
            close(up[1])
            input = down[1]
            output = up[0]
            self.pid = pid
            guard result == 0 else {
                close(input)
                close(output)
                throw SystemFault("posix_spawn", result)
            }
            _ = fcntl(output, F_SETFL, O_NONBLOCK)
        }

        func send(_ bytes: [UInt8]) {
            var written = 0
            while written < bytes.count {
                let count = bytes.withUnsafeBytes { write(input, $0.baseAddress! + written, $0.count - written) }
                guard count > 0 else { return }
                written += count
            }
        }

        /// Takes what has come, line by line. False: there will be no more.
        func read(_ take: ([UInt8]) -> Void) -> Bool {
            var block = [UInt8](repeating: 0, count: 64 << 10)
            let count = Glibc.read(output, &block, block.count)
            if count < 0 { return errno == EAGAIN || errno == EINTR }
            if count == 0 { return false }
            rest += block[..<count]
            while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
                take(Array(rest[..<end]))
                rest.removeFirst(end + 1)
            }
            if rest.count > StageOrder.lineBytesMax { rest = [] }
            return true
        }

        /// srun with its hosts, if it is still there, is told to end and waited for.
        func end() {
            guard !hasEnded else { return }
            hasEnded = true
            close(input)
            close(output)
            var status: Int32 = 0
            let deadline = now() + ScaleOut.stopMilliseconds * 1_000_000
            var isTold = false
            while waitpid(pid, &status, WNOHANG) == 0 {
                if now() >= deadline {
                    if isTold {
                        kill(pid, SIGKILL)
                        waitpid(pid, &status, 0)
                        return
                    }
                    kill(pid, SIGTERM)
                    isTold = true
                }
                var rest = timespec(tv_sec: 0, tv_nsec: 20_000_000)
                nanosleep(&rest, nil)
            }
        }
    }
}
