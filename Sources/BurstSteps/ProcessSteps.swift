import CSys
import Glibc
import Synchronization

/// The steps of this machine: a process of burst-stepd for each, and one thread that waits for them all.
package final class ProcessSteps: StepRunner {
    /// Running at once. Each costs two processes and a descriptor.
    package static let stepsMax = 10_000
    /// How long `adopt` waits for a burst-stepd that has taken its order and not yet said who it is, milliseconds.
    package static let adoptMillisecondsMax = 5000

    package let endings: AsyncStream<StepEnding>
    private let finished: AsyncStream<StepEnding>.Continuation
    private let program: String
    private let spool: String
    private let waker: Int32
    private let boot = Mutex(Boot())
    private let state = Mutex(State())
    /// Under a lock of its own: a name service that hangs keeps starts waiting, and nothing else.
    private let groups = Mutex(UserGroups())

    /// In which run of the machine steps were started, as the file `boot` in the spool folder says.
    private struct Boot {
        /// Those of the daemon's last life in another one; nil: nobody looked yet.
        var wasOther: Bool?
        /// The file names this one.
        var isNoted = false
    }

    private struct Watched {
        var jobID: UInt32
        var folder: StepFolder
        /// Closed by whoever takes it out of the table.
        var pidfd: Int32
    }

    private struct State {
        var watched: [UInt32: Watched] = [:]
        /// Jobs whose step is being started or adopted.
        var claimed: Set<UInt32> = []
        var isStopped = false
    }

    /// - Parameters:
    ///   - program: the path of burst-stepd.
    ///   - spool: a folder that owners of scripts may enter; made where it is missing. Each script lies there, in
    ///     `jobNNNNN/slurm_script`, while it runs. `boot` there names the run of the machine in which steps were
    ///     started.
    package init(program: String, spool: String) throws(StepFault) {
        guard access(program, X_OK) == 0 else { throw .program(program, errno) }
        if mkdir(spool, 0o755) == 0 {
            // Whatever the daemon's umask is.
            chmod(spool, 0o755)
        } else if errno != EEXIST {
            throw .file(spool, errno)
        }
        // Whoever else may write there could put a script of theirs in an owner's place.
        var status = stat()
        guard lstat(spool, &status) == 0 else { throw .file(spool, errno) }
        guard status.st_mode & S_IFMT == S_IFDIR, status.st_uid == geteuid(), status.st_mode & 0o022 == 0 else {
            throw .spool(spool)
        }
        let waker = bb_waker_open()
        guard waker >= 0 else { throw .file("eventfd", errno) }
        self.program = program
        self.spool = spool
        self.waker = waker
        (endings, finished) = AsyncStream.makeStream()
        var thread = pthread_t()
        let own = Unmanaged.passRetained(self)
        let result = pthread_create(
            &thread, nil,
            { pointer in
                Unmanaged<ProcessSteps>.fromOpaque(pointer!).takeRetainedValue().watch()
                return nil
            }, own.toOpaque())
        guard result == 0 else {
            own.release()
            throw .file("a thread", result)
        }
        pthread_detach(thread)
    }

    deinit { close(waker) }

    // MARK: Starting

    package func start(_ order: StepOrder) throws(StepFault) {
        let folder = StepFolder(order.folder)
        let groups = groups.withLock { $0.of(order.userName, order.gid) }
        let bytes = try order.encoded(spool: spoolFolder(order.jobID), groups: groups)
        if let fault = claim(order.jobID) { throw fault }
        defer { state.withLock { _ = $0.claimed.remove(order.jobID) } }
        try noteBoot()
        try folder.make()
        try folder.clear()
        if case .text(let script) = order.script { try folder.write(script, to: "step.script") }
        try folder.write(bytes, to: "step")
        let pid = try spawn([program, order.folder])
        // It is a child of ours that nobody else buries, so the number is still its own.
        let pidfd = bb_pidfd_open(pid)
        guard pidfd >= 0 else {
            let number = errno
            kill(pid, SIGKILL)
            var status: Int32 = 0
            waitpid(pid, &status, 0)
            throw .program(program, number)
        }
        watch(Watched(jobID: order.jobID, folder: folder, pidfd: pidfd))
    }

    /// The machine went down since the daemon's last life. Without the file no step was ever started.
    private var isOtherBoot: Bool {
        boot.withLock { boot in
            if let known = boot.wasOther { return known }
            let last = SystemText.file(spool + "/boot", bytesMax: 64).map { String(decoding: $0, as: UTF8.self) }
            let wasOther = last.map { $0 != Leftovers.boot + "\n" } ?? false
            boot.wasOther = wasOther
            return wasOther
        }
    }

    /// Before the first step of this run of the machine; looked at before.
    private func noteBoot() throws(StepFault) {
        _ = isOtherBoot
        let fault = boot.withLock { boot -> StepFault? in
            guard !boot.isNoted else { return nil }
            do throws(StepFault) {
                try StepFolder(spool).write(Array((Leftovers.boot + "\n").utf8), to: "boot", isDurable: true)
                boot.isNoted = true
                return nil
            } catch {
                return error
            }
        }
        if let fault { throw fault }
    }

    /// As slurmd names it.
    private func spoolFolder(_ jobID: UInt32) -> String {
        let digits = String(jobID)
        return "\(spool)/job" + String(repeating: "0", count: max(0, 5 - digits.count)) + digits
    }

    private func claim(_ jobID: UInt32) -> StepFault? {
        state.withLock { state in
            if state.isStopped { return .stopped }
            if state.watched[jobID] != nil || state.claimed.contains(jobID) { return .isRunning(jobID) }
            if state.watched.count + state.claimed.count >= Self.stepsMax { return .tooMany(max: Self.stepsMax) }
            state.claimed.insert(jobID)
            return nil
        }
    }

    private func spawn(_ words: [String]) throws(StepFault) -> pid_t {
        var arguments: [UnsafePointer<CChar>?] = words.map { UnsafePointer(strdup($0)) } + [nil]
        defer { for word in arguments { free(UnsafeMutableRawPointer(mutating: word)) } }
        var environment: [UnsafePointer<CChar>?] = [nil]
        var pid: pid_t = 0
        let result = bb_spawn_detached(program, &arguments, &environment, &pid)
        guard result == 0 else { throw .program(program, result) }
        return pid
    }

    private func watch(_ step: Watched) {
        state.withLock { $0.watched[step.jobID] = step }
        bb_wake(waker)
    }

    // MARK: Signals

    package func signal(jobID: UInt32, _ signal: StepSignal) {
        // Under the lock, so that the descriptor stays open.
        state.withLock { state in
            guard let step = state.watched[jobID] else { return }
            let first = bb_first_realtime_signal()
            switch signal {
            case .end(let notice):
                // Without its notice it ends all the same.
                if let notice {
                    try? step.folder.write(Array(notice.utf8.prefix(Self.noticeBytesMax)), to: "step.notice")
                }
                bb_pidfd_signal(step.pidfd, SIGTERM)
            case .kill: bb_pidfd_signal_value(step.pidfd, first + 1, SIGKILL)
            case .suspend: bb_pidfd_signal(step.pidfd, SIGUSR1)
            case .resume: bb_pidfd_signal(step.pidfd, SIGUSR2)
            case .script(let number): bb_pidfd_signal_value(step.pidfd, first, number)
            case .all(let number): bb_pidfd_signal_value(step.pidfd, first + 1, number)
            }
        }
    }

    /// As in burst-stepd, which reads no more.
    private static let noticeBytesMax = 1000

    // MARK: After a restart

    package func adopt(jobID: UInt32, folder path: String) -> Adopted {
        let folder = StepFolder(path)
        if let fault = claim(jobID) {
            if case .isRunning = fault { return .running }
            // While we stop, the next life asks again.
            return .running
        }
        defer { state.withLock { _ = $0.claimed.remove(jobID) } }
        for _ in 0..<Self.adoptMillisecondsMax / 5 {
            let said: StepFolder.Said
            switch folder.look() {
            case .gone: return neverStarted(folder)
            case .left(let all):
                if let end = all.end { return .ended(end) }
                guard let keeper = all.keeper else { return neverStarted(folder) }
                Leftovers.kill(of: keeper)
                return .ended(.lost)
            case .held(let all): said = all
            }
            if let end = said.end { return .ended(end) }
            if let keeper = said.keeper, keeper.boot == Leftovers.boot {
                let pidfd = bb_pidfd_open(keeper.pid)
                if pidfd >= 0, Leftovers.startTime(of: keeper.pid) == keeper.start {
                    watch(Watched(jobID: jobID, folder: folder, pidfd: pidfd))
                    return .running
                }
                if pidfd >= 0 { close(pidfd) }
            }
            // It has its order and is about to write who it is.
            poll(nil, 0, 5)
        }
        if let keeper = folder.said.keeper { Leftovers.kill(of: keeper) }
        return .ended(.lost)
    }

    /// Of a step nothing is there. Where the machine went down since the daemon's last life that means nothing: neither
    /// the order nor who took it up was waited for to reach the disk.
    private func neverStarted(_ folder: StepFolder) -> Adopted {
        guard isOtherBoot else { return .neverStarted }
        // Whoever asks again, in a later life of this boot, must hear the same.
        try? folder.leaveLost()
        return .ended(.lost)
    }

    package func stop() {
        state.withLock { $0.isStopped = true }
        bb_wake(waker)
    }

    // MARK: Watching

    private func watch() {
        while true {
            let (steps, isStopped) = state.withLock { (Array($0.watched.values), $0.isStopped) }
            if isStopped { break }
            var descriptors = [pollfd(fd: waker, events: Int16(POLLIN), revents: 0)]
            descriptors += steps.map { pollfd(fd: $0.pidfd, events: Int16(POLLIN), revents: 0) }
            guard poll(&descriptors, nfds_t(descriptors.count), -1) > 0 else { continue }
            if descriptors[0].revents != 0 { bb_waker_clear(waker) }
            for (step, descriptor) in zip(steps, descriptors.dropFirst()) where descriptor.revents != 0 { end(step) }
        }
        let steps = state.withLock { state in
            defer { state.watched = [:] }
            return state.watched.values
        }
        for step in steps { close(step.pidfd) }
        finished.finish()
    }

    /// burst-stepd is no more: its last word counts.
    private func end(_ step: Watched) {
        bb_pidfd_reap(step.pidfd)
        let end: StepEnd
        let said = step.folder.said
        if let last = said.end {
            end = last
        } else if let keeper = said.keeper {
            Leftovers.kill(of: keeper)
            end = .lost
        } else {
            end = .couldNotStart("burst-stepd ended before it began; \(step.folder.path)/step.log may say why")
        }
        state.withLock { _ = $0.watched.removeValue(forKey: step.jobID) }
        close(step.pidfd)
        finished.yield(StepEnding(jobID: step.jobID, end: end))
    }
}
