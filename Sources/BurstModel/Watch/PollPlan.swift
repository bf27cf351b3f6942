/// Decides which call comes next and when, so that the controller is never burdened (monitor.md §3.10).
///
/// - One call is in flight in all.
/// - Calls cost a token; tokens come back at 0.2 a second, 5 are held at most. That holds for everything but cancels,
///   which somebody confirmed one by one: they have a budget of their own, one a second.
/// - A poll comes again `interval` after its end, and never before 20 times what it took (120 s at
///   most). All polls together keep to the
///   same share: what a call took, times 20, is a debt that time pays off, and no poll starts under a debt that is
///   larger
///   than its burst.
/// - A poll that fails comes again after twice the interval, then four times, up to 120 s, with a jitter of 20 %. While
///   `show burst` fails nothing else is asked. Its first good answer halves no more than to twice the interval, its
///   second
///   goes back to it; a controller that flaps is therefore asked less.
///
/// A value without a clock: every call says what time it is. A clock that goes back only makes time stand still.
package struct PollPlan: Sendable {
    /// Intervals and what is asked at all.
    package struct Pace: Hashable, Sendable {
        package var burstSeconds = 10
        package var jobsSeconds = 30
        /// No interval may be shorter.
        package var floorSeconds = 5
        package var asksJobs = true

        package init() {}
    }

    /// What to do now.
    package enum Decision: Hashable, Sendable {
        /// Make this call, and say when it has finished.
        case call(Call)
        /// Ask again then, or when something has happened; nil: only then.
        case wait(until: Timestamp?)
    }

    package static let tokensMax = 5.0
    package static let tokensPerSecond = 0.2
    /// A poll may take a 20th of the time.
    package static let restFactor: Int64 = 20
    /// A debt of rest that does not yet hold back polls.
    package static let debtMax: Int64 = 10_000
    package static let backOffMax: Int64 = 120_000
    package static let jitterShare = 0.2
    package static let refreshEvery: Int64 = 2_000
    package static let cancelEvery: Int64 = 1_000
    package static let detailKept: Int64 = 5_000
    package static let reservationsEvery: Int64 = 300_000
    /// Jobs are asked this often even where nothing has to do with buffers.
    package static let idleJobsEvery: Int64 = 300_000
    package static let jobsScreenSeconds = 15
    /// Interval while nobody looks.
    package static let unattendedSeconds = 60
    package static let quickRefreshes = 5
    /// Above so many buffers the interval is at least so many seconds.
    package static let growth = [(buffers: 100_000, seconds: 60), (buffers: 20_000, seconds: 30)]
    /// Intervals that a user steps through.
    package static let steps = [5, 10, 15, 20, 30, 60, 120, 300, 600]
    package static let intervalMax = 3600
    /// Requests of one kind that wait.
    package static let detailsWaitingMax = 3
    package static let cancelsWaitingMax = 50
    /// Durations kept for the statistics.
    package static let durationsMax = 256

    /// A call that comes again by itself.
    private struct Poll: Sendable {
        var call: Call
        /// Ticks of its last end; nil before the first.
        var ended: Int64?
        var lastDuration: Int64 = 0
        var lastFailed = false
        var failures = 0
        /// Good answers since the last failure.
        var good = 2
        /// Share by which the back-off is longer or shorter.
        var jitter = 0.0
        /// Asked for at once, since then. 0: before anything else.
        var wantedAt: Int64?
    }

    private var pace: Pace
    private var burst = Poll(call: .burst)
    private var jobs = Poll(call: .jobs)
    private var reservations = Poll(call: .reservations)
    private var config = Poll(call: .config)

    private var status: Call?
    private var details: [Call] = []
    private var cancels: [Call] = []
    private var detailEnds: [JobID: Int64] = [:]
    private var lastCancelEnd: Int64?
    private var lastRefresh: Int64?
    private var quickLeft = 0
    private var userCallBefore = false

    private var bufferCount = 0
    private var hasBuffersOrJobs = true

    /// Somebody looks at the jobs.
    package var jobsScreenOpen = false
    /// No key for a long time.
    package var idle = false
    /// Nothing at all is asked.
    package private(set) var suspended = false
    /// The program was stopped while the running call was under way: neither its duration nor its failure says anything
    /// of the controller.
    package private(set) var isInterrupted = false
    /// The terminal says that it has lost the focus.
    package var focusLost = false

    package private(set) var running: Call?
    private var runningSince: Timestamp?

    private var tokens = PollPlan.tokensMax
    private var tokensAt: Int64 = 0
    /// Until when what was asked so far is rested off.
    private var restedAt: Int64 = 0

    /// Ticks are milliseconds that never go back: the wall clock plus what it has gone back so far.
    private var lastTick: Int64
    private var skew: Int64 = 0

    private var count = 0
    private var failureCount = 0
    private var starts: [Int64] = []
    private var durations: [Int64] = []
    private var nextDurations = 0

    package init(pace: Pace, at now: Timestamp) {
        self.pace = pace
        lastTick = now.milliseconds
        tokensAt = lastTick
        restedAt = lastTick
    }

    // MARK: Time

    private mutating func tick(_ now: Timestamp) -> Int64 {
        if now.milliseconds + skew < lastTick { skew = lastTick - now.milliseconds }
        lastTick = now.milliseconds + skew
        return lastTick
    }

    private func moment(_ tick: Int64) -> Timestamp { Timestamp(milliseconds: tick - skew) }

    // MARK: Intervals

    private func seconds(_ base: Int) -> (seconds: Int, reason: String) {
        var seconds = max(base, pace.floorSeconds)
        var reason = seconds > base ? "floor \(pace.floorSeconds)s" : ""
        func atLeast(_ least: Int, _ why: String) {
            if seconds < least { (seconds, reason) = (least, why) }
        }
        if quickLeft > 0, seconds > pace.floorSeconds { (seconds, reason) = (pace.floorSeconds, "after a cancel") }
        if let growth = Self.growth.first(where: { bufferCount > $0.buffers }) {
            atLeast(growth.seconds, "over \(growth.buffers / 1000)k buffers")
        }
        if idle { atLeast(Self.unattendedSeconds, "idle") }
        if focusLost { atLeast(Self.unattendedSeconds, "not in focus") }
        return (seconds, reason)
    }

    private func interval(_ poll: Poll) -> (milliseconds: Int64, reason: String) {
        var base: Int64
        var reason: String
        switch poll.call {
        case .burst:
            let pair = seconds(pace.burstSeconds)
            (base, reason) = (Int64(pair.seconds) * 1000, pair.reason)
        case .jobs:
            let pair = seconds(jobsScreenOpen ? min(pace.jobsSeconds, Self.jobsScreenSeconds) : pace.jobsSeconds)
            (base, reason) = (Int64(pair.seconds) * 1000, pair.reason)
            if !hasBuffersOrJobs, !jobsScreenOpen, quickLeft == 0, base < Self.idleJobsEvery {
                (base, reason) = (Self.idleJobsEvery, "no buffers")
            }
        case .reservations: (base, reason) = (Self.reservationsEvery, "")
        default: (base, reason) = (Int64(seconds(pace.burstSeconds).seconds) * 1000, "")
        }
        if poll.failures > 0 || poll.good < 2 {
            let doublings = poll.failures > 0 ? min(poll.failures, 8) : 1
            let backOff = max(base, min(Self.backOffMax, base << doublings))
            base = Int64(Double(backOff) * (1 + Self.jitterShare * poll.jitter))
            reason = poll.failures > 0 ? "backing off, try \(poll.failures)" : "recovering"
        } else if rest(poll.lastDuration) > base {
            base = rest(poll.lastDuration)
            reason = "slow answers"
        }
        return (base, reason)
    }

    /// How long the controller rests after a call that took so long. One slow answer, as after an outage, must not
    /// blind
    /// the monitor for longer than a failure does.
    private func rest(_ duration: Int64) -> Int64 { min(duration * Self.restFactor, Self.backOffMax) }

    /// When a poll may come by its own clock; nil for never.
    private func due(_ poll: Poll) -> Int64? {
        guard let ended = poll.ended else { return lastTick }
        // Under a debt everything waits for its end; without one, whoever has waited longest comes first.
        func rested(_ due: Int64) -> Int64 {
            restedAt - Self.debtMax > lastTick ? max(due, restedAt - Self.debtMax) : due
        }
        // Who asks by hand need not wait for the whole rest, but for as long as the last answer took.
        let byHand = poll.call == .burst || poll.call == .jobs
        let wanted = poll.wantedAt.map { at in
            poll.lastFailed ? at : byHand ? max(at, ended + poll.lastDuration) : rested(at)
        }
        if case .config = poll.call, poll.failures == 0 { return wanted }
        return min(wanted ?? .max, rested(ended + interval(poll).milliseconds))
    }

    private func candidates() -> [(due: Int64, poll: Poll)] {
        var polls = [burst]
        // Nothing else is asked before the first good answer, and none while there are no answers.
        if burst.ended != nil, burst.failures == 0 {
            polls.append(config)
            if pace.asksJobs { polls.append(jobs) }
            polls.append(reservations)
        }
        return polls.compactMap { poll in due(poll).map { ($0, poll) } }
    }

    // MARK: Deciding

    /// What comes next. A call that is returned counts as begun.
    package mutating func next(at now: Timestamp) -> Decision {
        let tick = tick(now)
        refill(tick)
        guard running == nil, !suspended else { return .wait(until: nil) }
        if let cancel = cancels.first {
            let ready = lastCancelEnd.map { $0 + Self.cancelEvery } ?? tick
            if ready <= tick {
                cancels.removeFirst()
                return begin(cancel, tick, now)
            }
            // Others may go between two cancels, but only those that are ready now.
            if let call = ready > tick ? other(tick) : nil { return begin(call, tick, now) }
            return .wait(until: moment(ready))
        }
        if let call = other(tick) { return begin(call, tick, now) }
        return .wait(until: nextMoment(tick))
    }

    private mutating func other(_ tick: Int64) -> Call? {
        guard tokens >= 1 else { return nil }
        let ready = candidates().filter { $0.due <= tick }
        // The one that has waited longest; where two are equal the order of the list decides.
        let poll = ready.min { $0.due < $1.due }?.poll
        let user = status ?? details.last
        // A user's wish comes first, but not twice running where a poll is due: the board must not starve.
        if let user, poll == nil || !userCallBefore {
            if status != nil { status = nil } else { details.removeLast() }
            userCallBefore = true
            tokens -= 1
            return user
        }
        guard let poll else { return nil }
        userCallBefore = false
        tokens -= 1
        return poll.call
    }

    private mutating func begin(_ call: Call, _ tick: Int64, _ now: Timestamp) -> Decision {
        running = call
        runningSince = now
        count += 1
        starts.append(tick)
        if starts.count > 256 { starts.removeFirst(starts.count - 256) }
        return .call(call)
    }

    private func nextMoment(_ tick: Int64) -> Timestamp? {
        let due = candidates().map(\.due).min()
        let wanted = status != nil || !details.isEmpty ? min(tick, due ?? tick) : due
        guard var wanted else { return nil }
        if tokens < 1 { wanted = max(wanted, tick + Int64(((1 - tokens) / Self.tokensPerSecond * 1000).rounded(.up))) }
        // A millisecond at least, so that nobody spins.
        return moment(max(wanted, tick + 1))
    }

    private mutating func refill(_ tick: Int64) {
        tokens = min(Self.tokensMax, tokens + Double(tick - tokensAt) / 1000 * Self.tokensPerSecond)
        tokensAt = tick
    }

    // MARK: What happens

    /// A call has ended.
    /// - Parameters:
    ///   - bufferCount: after `show burst`, how many buffers there are.
    ///   - hasBuffersOrJobs: whether anything has to do with buffers; nil where not known.
    ///   - jitter: -1 to 1, by chance.
    package mutating func finished(
        _ call: Call, succeeded: Bool, startedAt: Timestamp, durationMilliseconds: Int64, bufferCount: Int? = nil,
        hasBuffersOrJobs: Bool? = nil, at now: Timestamp, jitter: Double
    ) {
        let tick = tick(now)
        let interrupted = isInterrupted
        let duration = interrupted ? 0 : max(0, durationMilliseconds)
        running = nil
        runningSince = nil
        isInterrupted = false
        if interrupted, !succeeded, call.isRepeatable {
            askAgain(call, tick)
            return
        }
        if !succeeded { failureCount += 1 }
        if !interrupted { note(duration) }
        if let bufferCount { self.bufferCount = bufferCount }
        if let hasBuffersOrJobs { self.hasBuffersOrJobs = hasBuffersOrJobs }
        // What no controller answered has cost it nothing; back-off takes care of that. A status is the work of a
        // script
        // that somebody asked for.
        var isStatus: Bool { if case .status = call { true } else { false } }
        if succeeded, !isStatus { restedAt = min(max(restedAt, tick) + rest(duration), tick + Self.backOffMax) }
        func end(_ poll: inout Poll) {
            poll.ended = tick
            poll.lastDuration = succeeded ? duration : 0
            poll.lastFailed = !succeeded
            // What was asked before the stop is not what is wanted after it.
            if !interrupted { poll.wantedAt = nil }
            poll.jitter = min(1, max(-1, jitter))
            if succeeded {
                poll.good = poll.failures > 0 ? 1 : min(2, poll.good + 1)
                poll.failures = 0
            } else {
                poll.good = 0
                poll.failures += 1
            }
        }
        switch call {
        case .burst:
            let gap = burst.failures > 0
            end(&burst)
            if succeeded, gap {
                // The controller may be another one now.
                config.wantedAt = 0
                jobs.wantedAt = 1
            }
            if quickLeft > 0 { quickLeft -= 1 }
        case .jobs: end(&jobs)
        case .reservations: end(&reservations)
        case .config: end(&config)
        case .job(let id):
            if succeeded { detailEnds[id] = tick }
            detailEnds = detailEnds.filter { tick - $0.value < Self.detailKept }
        case .status, .staging: break
        case .cancel:
            lastCancelEnd = tick
            quickLeft = Self.quickRefreshes
        }
    }

    /// After a failure that the stop of the program may have made.
    private mutating func askAgain(_ call: Call, _ tick: Int64) {
        switch call {
        case .burst: burst.wantedAt = tick
        case .jobs: jobs.wantedAt = tick
        case .reservations: reservations.wantedAt = tick
        case .config: config.wantedAt = tick
        case .job: if !details.contains(call) { details.append(call) }
        case .status, .cancel, .staging: break
        }
    }

    private mutating func note(_ duration: Int64) {
        if durations.count < Self.durationsMax {
            durations.append(duration)
        } else {
            durations[nextDurations] = duration
            nextDurations = (nextDurations + 1) % Self.durationsMax
        }
    }

    /// What a user wants: a detail, a status, a cancel. What was asked a moment ago, or waits already, is not asked
    /// again.
    /// - Parameter again: a detail is asked for although it was a moment ago, as a popup that cancels has to.
    /// - Returns: false where there are too many cancels.
    @discardableResult
    package mutating func request(_ call: Call, at now: Timestamp, again: Bool = false) -> Bool {
        let tick = tick(now)
        switch call {
        case .job(let id):
            if let ended = detailEnds[id], tick - ended < Self.detailKept, !again { return true }
            if running == call { return true }
            details.removeAll { $0 == call }
            details.append(call)
            if details.count > Self.detailsWaitingMax { details.removeFirst() }
        case .status: status = call
        case .cancel:
            guard cancels.count < Self.cancelsWaitingMax else { return false }
            cancels.append(call)
        case .burst, .jobs, .reservations, .config: refresh(at: now)
        // The stager tells by itself.
        case .staging: break
        }
        return true
    }

    /// Whether a detail is asked for and not answered yet.
    package func awaits(_ call: Call) -> Bool { running == call || details.contains(call) }

    /// Ask for buffers and jobs now; once in two seconds at most.
    package mutating func refresh(at now: Timestamp) {
        let tick = tick(now)
        if let lastRefresh, tick - lastRefresh < Self.refreshEvery { return }
        lastRefresh = tick
        burst.wantedAt = burst.wantedAt ?? tick
        if let ended = jobs.ended, tick - ended > 10_000 { jobs.wantedAt = jobs.wantedAt ?? tick }
    }

    /// The program is about to be stopped.
    package mutating func suspend(at now: Timestamp) {
        _ = tick(now)
        suspended = true
        isInterrupted = running != nil
    }

    /// The program goes on: what it shows is old. Buffers and jobs are asked at once, whatever rest or back-off the
    /// answers before had earned; the stop was a rest. The tokens hold (monitor.md §3.14).
    package mutating func resume(at now: Timestamp) {
        let tick = tick(now)
        guard suspended else { return }
        suspended = false
        burst.wantedAt = tick
        burst.lastDuration = 0
        if pace.asksJobs, jobs.ended != nil {
            jobs.wantedAt = tick
            jobs.lastDuration = 0
        }
    }

    /// Quick refreshes, as after a cancel.
    package mutating func watchMore() { quickLeft = Self.quickRefreshes }

    /// Forgets the cancels that are not sent yet.
    /// - Returns: those.
    package mutating func stopCancels() -> [Call] {
        defer { cancels = [] }
        return cancels
    }

    /// Cancels confirmed and not sent yet.
    package var cancelsWaiting: Int { cancels.count }

    /// A status is asked for and not begun.
    package var statusWaiting: Bool { status != nil }

    /// A step up or down, within the limits.
    package mutating func changeInterval(delta: Int) {
        var steps = Self.steps.filter { $0 > pace.floorSeconds }
        steps.insert(pace.floorSeconds, at: 0)
        let place = steps.lastIndex { $0 <= pace.burstSeconds } ?? 0
        setInterval(seconds: steps[min(steps.count - 1, max(0, place + delta))])
    }

    /// Sets the interval between two `show burst`, within the limits. That of the jobs keeps its ratio upwards only.
    package mutating func setInterval(seconds: Int) {
        pace.burstSeconds = min(Self.intervalMax, max(pace.floorSeconds, seconds))
        pace.jobsSeconds = max(pace.jobsSeconds, pace.burstSeconds)
    }

    // MARK: Telling

    /// What the calls cost so far, and what comes.
    package mutating func statistics(at now: Timestamp) -> CallStatistics {
        let tick = tick(now)
        refill(tick)
        var statistics = CallStatistics()
        statistics.count = count
        statistics.failures = failureCount
        statistics.perMinute = starts.count { tick - $0 < 60_000 }
        let sorted = durations.sorted()
        if !sorted.isEmpty {
            statistics.medianMilliseconds = sorted[sorted.count / 2]
            statistics.p95Milliseconds = sorted[min(sorted.count - 1, sorted.count * 95 / 100)]
        }
        let burstInterval = interval(burst)
        statistics.burstInterval = Int((burstInterval.milliseconds + 500) / 1000)
        statistics.jobsInterval = pace.asksJobs ? Int((interval(jobs).milliseconds + 500) / 1000) : 0
        statistics.intervalReason = burstInterval.reason
        if running == nil, !suspended {
            let cancel = cancels.isEmpty ? nil : lastCancelEnd.map { moment(max(tick, $0 + Self.cancelEvery)) } ?? now
            statistics.nextAt = [cancel, nextMoment(tick)].compactMap { $0 }.min()
        }
        statistics.running = running.map { Self.name($0) }
        statistics.runningSince = runningSince
        return statistics
    }

    private static func name(_ call: Call) -> String {
        if case .jobs = call { return "squeue" }
        return call.arguments().filter { $0 != "-v" }.joined(separator: " ")
    }
}
