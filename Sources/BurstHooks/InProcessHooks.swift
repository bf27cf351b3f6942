import BurstEngine
import CLuaGlue
import Glibc
import Synchronization

/// Calls made in this process, one after the other, on a thread of their own: without a limit in time, like Slurm's,
/// but watched, and ended where `kill` asks for it as soon as Lua code runs.
final class InProcessHooks: Sendable {
    private struct Running {
        var call: HookCall
        var since: ContinuousClock.Instant
        var isReported = false
    }

    private struct State {
        var running: Running?
        var isWatched = false
        var isStopped = false
        var hasEnded = false
        var atEnd: [CheckedContinuation<Void, Never>] = []
    }

    private let script: String
    private let cluster: String
    private let limits: HookLimits
    private let log: @Sendable (HookLogLine) -> Void
    private let answer: @Sendable (CallID, HookAnswer) -> Void
    private let queue: HookQueue<HookCall>
    private let state = Mutex(State())
    private let stopper: Stopper

    /// What ends the Lua code that runs.
    private struct Stopper: @unchecked Sendable {
        let pointer: OpaquePointer
    }

    init(
        script: String, cluster: String, limits: HookLimits, log: @escaping @Sendable (HookLogLine) -> Void,
        answer: @escaping @Sendable (CallID, HookAnswer) -> Void
    ) {
        guard let pointer = bb_stop_new() else { fatalError("no memory for hooks") }
        self.script = script
        self.cluster = cluster
        self.limits = limits
        self.log = log
        self.answer = answer
        stopper = Stopper(pointer: pointer)
        queue = HookQueue(countMax: limits.waitingMax)
        // Programs that a script starts are to end by SIGTERM, so no signal is kept from this thread.
        HookThread.start(takesSignals: true) { self.run() }
    }

    deinit { bb_stop_free(stopper.pointer) }

    func start(_ call: HookCall) {
        guard queue.put(call) else {
            let isStopped = state.withLock { $0.isStopped }
            answer(call.id, isStopped ? .now(.killed) : .now(.broken("\(limits.waitingMax) calls wait already")))
            return
        }
    }

    func kill(_ id: CallID) {
        if queue.remove(where: { $0.id == id }) != nil {
            answer(id, .now(.killed))
            return
        }
        state.withLock { state in
            if state.running?.call.id == id { bb_stop_ask(stopper.pointer) }
        }
    }

    /// Waits for the call that runs, but not longer than `HookLimits.stopSeconds`: a C function cannot be ended.
    func stop() async {
        for call in queue.close() { answer(call.id, .now(.killed)) }
        state.withLock { state in
            state.isStopped = true
            if state.running != nil { bb_stop_ask(stopper.pointer) }
        }
        let limit = Task {
            try? await Task.sleep(for: .seconds(limits.stopSeconds))
            if Task.isCancelled { return }
            // A C function that does not return. The call is given up, and its thread with it.
            let lost = state.withLock { state in
                defer { state.running = nil }
                return state.running?.call.id
            }
            if let lost { answer(lost, .now(.killed)) }
            endWaits()
        }
        await withCheckedContinuation { continuation in
            let hasEnded = state.withLock { state in
                if !state.hasEnded { state.atEnd.append(continuation) }
                return state.hasEnded
            }
            if hasEnded { continuation.resume() }
        }
        limit.cancel()
    }

    private func endWaits() {
        let waiting = state.withLock { state in
            state.hasEnded = true
            defer { state.atEnd = [] }
            return state.atEnd
        }
        for continuation in waiting { continuation.resume() }
    }

    private func run() {
        while let call = queue.take() {
            let starts = state.withLock { state in
                bb_stop_reset(stopper.pointer)
                if state.isStopped { return false }
                state.running = Running(call: call, since: .now)
                return true
            }
            guard starts else {
                answer(call.id, .now(.killed))
                continue
            }
            watch()
            var result = make(call)
            let duration: Duration? = state.withLock { state in
                defer { state.running = nil }
                return state.running.map { ContinuousClock.now - $0.since }
            }
            guard let duration else { return }  // it was given up and is answered
            if duration >= .seconds(limits.slowCallSeconds) {
                let milliseconds = Int(duration / .milliseconds(1))
                let text = "\(call.function.rawValue) took \(milliseconds) ms in the daemon's own process"
                result.log.append(HookLogLine(.error, text))
                if result.log.count > HookAnswer.logLinesMax { result.log.remove(at: HookAnswer.logLinesMax - 2) }
            }
            answer(call.id, result)
        }
        endWaits()
    }

    private func make(_ call: HookCall) -> HookAnswer {
        let frame = HookFrame.call(
            call, script: script, cluster: cluster, memoryMax: UInt64(limits.inProcessMemoryBytes))
        guard frame.count <= HookFrame.bytesMax else { return .now(.broken(HookLimits.tooLong(frame.count))) }
        return HookAnswer.made(of: frame, stop: stopper.pointer)
    }

    /// Says so while a call runs for long. The watch ends when no call runs.
    private func watch() {
        let isNew = state.withLock { state in
            defer { state.isWatched = true }
            return !state.isWatched
        }
        guard isNew else { return }
        let slow = Duration.seconds(limits.slowCallSeconds)
        Task { [weak self] in
            while true {
                try? await Task.sleep(for: slow / 4)
                guard let self else { return }
                let (goesOn, name) = self.state.withLock { state -> (Bool, String?) in
                    guard let running = state.running else {
                        state.isWatched = false
                        return (false, nil)
                    }
                    guard !running.isReported, ContinuousClock.now - running.since >= slow else { return (true, nil) }
                    state.running?.isReported = true
                    return (true, running.call.function.rawValue)
                }
                if let name {
                    let seconds = self.limits.slowCallSeconds
                    let text = "\(name) has been running for more than \(seconds) s in the daemon's own process"
                    self.log(HookLogLine(.error, text + "; calls of its kind wait for it"))
                }
                if !goesOn { return }
            }
        }
    }
}

extension HookAnswer {
    /// Makes the call of a frame on this thread.
    static func made(of frame: [UInt8], stop: OpaquePointer?) -> HookAnswer {
        var count = 0
        guard let bytes = bb_hook_call(frame, frame.count, stop, &count) else {
            return .now(.broken("no memory for the answer"))
        }
        defer { free(bytes) }
        var start = 0
        let copy = Array(UnsafeBufferPointer(start: bytes, count: count))
        guard let (_, answer) = try? HookFrame.takeAnswer(from: copy, at: &start) else {
            return .now(.broken("the answer's frame is damaged"))
        }
        return answer
    }

    /// The answer of a call that was never made.
    static func now(_ end: End) -> HookAnswer {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return HookAnswer(end: end, startedAt: Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1000)
    }
}
