import BurstModel
import Testing

/// Plays a plan against a controller in simulated time, in steps of 100 ms.
private struct Simulation {
    struct Made: Hashable {
        var call: Call
        var at: Int64
        var end: Int64
        var succeeded: Bool
    }

    static let start: Int64 = 1_790_000_000_000
    var plan: PollPlan
    var made: [Made] = []
    var flights = 0
    /// Milliseconds since the beginning.
    var time: Int64 = 0
    /// What the wall clock is off by.
    var skew: Int64 = 0
    var answer: (Call, Int64) -> (succeeded: Bool, milliseconds: Int64) = { _, _ in (true, 5) }
    var buffers = 100
    var usesBuffers = true
    private var inFlight: (call: Call, end: Int64, succeeded: Bool, started: Int64)?
    private var state: UInt64 = 7

    init(_ pace: PollPlan.Pace = .init()) {
        plan = PollPlan(pace: pace, at: Timestamp(milliseconds: Self.start))
    }

    var now: Timestamp { Timestamp(milliseconds: Self.start + time + skew) }

    private mutating func jitter() -> Double {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Double(state >> 11) / Double(1 << 53) * 2 - 1
    }

    mutating func run(seconds: Int, _ user: (inout PollPlan, Timestamp, Int64) -> Void = { _, _, _ in }) async {
        let stop = time + Int64(seconds) * 1000
        while time < stop {
            user(&plan, now, time)
            if let flight = inFlight, flight.end <= time {
                inFlight = nil
                let isBurst = flight.call == .burst
                plan.finished(
                    flight.call, succeeded: flight.succeeded, startedAt: now,
                    durationMilliseconds: flight.end - flight.started,
                    bufferCount: isBurst && flight.succeeded ? buffers : nil,
                    hasBuffersOrJobs: flight.succeeded ? usesBuffers : nil, at: now, jitter: jitter())
                made.append(
                    Made(call: flight.call, at: flight.started, end: flight.end, succeeded: flight.succeeded))
            }
            if case .call(let call) = plan.next(at: now) {
                if inFlight != nil { flights += 1 }
                let (succeeded, milliseconds) = answer(call, time)
                inFlight = (call, time + milliseconds, succeeded, time)
            }
            time += 100
            // Others wait for the same few threads.
            if time % 60_000 == 0 { await Task.yield() }
        }
    }

    func starts(_ call: Call, from: Int64 = 0) -> [Int64] { made.filter { $0.call == call && $0.at >= from }.map(\.at) }

    func gaps(_ call: Call, from: Int64 = 0) -> [Int64] {
        let starts = starts(call, from: from)
        return zip(starts.dropFirst(), starts).map { $0 - $1 }
    }
}

/// The rules of monitor.md §3.10, in simulated time.
@Suite struct PollPlanTests {
    @Test func asksEachThingAtItsPace() async {
        var simulation = Simulation()
        await simulation.run(seconds: 1800)
        #expect(simulation.made.prefix(4).map(\.call) == [.burst, .config, .jobs, .reservations])
        #expect((170...180).contains(simulation.starts(.burst).count))
        #expect((56...60).contains(simulation.starts(.jobs).count))
        #expect(simulation.starts(.reservations).count == 6)
        #expect(simulation.starts(.config).count == 1)
        #expect(simulation.flights == 0)
    }

    @Test func keepsTheBudgetWhateverTheUserDoes() async {
        var simulation = Simulation()
        await simulation.run(seconds: 60)
        let before = simulation.made.count
        var job: UInt32 = 1
        await simulation.run(seconds: 300) { plan, now, time in
            plan.refresh(at: now)
            plan.jobsScreenOpen = time / 1000 % 2 == 0
            job += 1
            plan.request(.job(JobID(job)), at: now)
            plan.changeInterval(delta: -1)
        }
        let made = simulation.made.count - before
        #expect(made <= Int(300 * PollPlan.tokensPerSecond + PollPlan.tokensMax))
        #expect(simulation.flights == 0)
        #expect(!simulation.made.contains { if case .status = $0.call { true } else { false } })
        // The board does not starve while the user asks for details without end.
        #expect(simulation.starts(.burst, from: 60_000).count >= 10)
        #expect(simulation.starts(.jobs, from: 60_000).count >= 4)
    }

    @Test func asksForAStatusOnlyWhenItIsWanted() async {
        var simulation = Simulation()
        let request = Call.status(StatusRequest(arguments: ["sessions"]))
        await simulation.run(seconds: 30)
        simulation.plan.request(request, at: simulation.now)
        await simulation.run(seconds: 600)
        #expect(simulation.starts(request).count == 1)
        #expect(simulation.starts(request).first.map { $0 - 30_000 <= 200 } == true)
    }

    @Test func restsTwentyTimesWhatACallTook() async {
        var simulation = Simulation()
        simulation.answer = { call, _ in (true, call == .burst ? 2_000 : 1_000) }
        await simulation.run(seconds: 3600)
        #expect(simulation.gaps(.burst).allSatisfy { $0 >= 42_000 })
        let busy = simulation.made.reduce(0) { $0 + $1.end - $1.at }
        // All calls together keep to about a 20th, but for the first burst.
        #expect(Double(busy) <= 3_600_000 * 0.052 + 10_000)
        #expect(simulation.plan.statistics(at: simulation.now).intervalReason == "slow answers")
    }

    @Test func backsOffFromADeadController() async {
        var simulation = Simulation()
        await simulation.run(seconds: 60)
        simulation.answer = { _, _ in (false, 9_000) }
        await simulation.run(seconds: 1800)
        let failed = simulation.made.filter { !$0.succeeded }
        #expect(failed.allSatisfy { $0.call == .burst || $0.at < 70_000 })
        let rests = zip(failed.dropFirst(), failed).map { $0.at - $1.end }.dropFirst()
        #expect(rests.allSatisfy { $0 >= 16_000 && $0 <= 144_200 })
        #expect(rests.suffix(5).allSatisfy { $0 >= 96_000 })
        let statistics = simulation.plan.statistics(at: simulation.now)
        #expect(statistics.intervalReason.hasPrefix("backing off, try "))
        #expect(statistics.failures == failed.count)

        // It comes back: one back-off step later everything is asked again, two answers later at the base pace.
        simulation.answer = { _, _ in (true, 5) }
        let back = simulation.time
        await simulation.run(seconds: 400)
        let good = simulation.made.filter { $0.succeeded && $0.at >= back }
        #expect(good.first.map { $0.call == .burst && $0.at - back <= 144_200 } == true)
        #expect(good.dropFirst().prefix(2).map(\.call) == [.config, .jobs])
        let gaps = simulation.gaps(.burst, from: back)
        #expect(gaps.first.map { $0 >= 16_000 && $0 <= 24_200 } == true)
        #expect(gaps.dropFirst().allSatisfy { $0 <= 10_200 })
    }

    @Test(arguments: [("hangs", 10_000), ("flaps", 9_000)])
    func bearsABadController(name: String, milliseconds: Int64) async {
        var simulation = Simulation()
        simulation.answer = { _, time in
            if name == "hangs", time > 60_000 { return (false, milliseconds) }
            return time / 7_000 % 2 == 0 ? (true, 5) : (false, milliseconds)
        }
        await simulation.run(seconds: 1800)
        #expect(simulation.flights == 0)
        #expect(simulation.made.count <= Int(1800 * PollPlan.tokensPerSecond + PollPlan.tokensMax))
        // It never gives up.
        #expect(simulation.starts(.burst).last.map { $0 > 1_800_000 - 160_000 } == true)
        if name == "flaps" { #expect(simulation.made.count { $0.succeeded } > 20) }
    }

    @Test func aRefreshIsTriedAlsoWhileItBacksOff() async {
        var simulation = Simulation()
        simulation.answer = { _, _ in (false, 1_000) }
        await simulation.run(seconds: 600)
        let time = simulation.time
        simulation.plan.refresh(at: simulation.now)
        await simulation.run(seconds: 2)
        #expect(simulation.starts(.burst, from: time).count == 1)
        await simulation.run(seconds: 60) { plan, now, _ in plan.refresh(at: now) }
        #expect(simulation.starts(.burst, from: time).count <= 13 + 5)
    }

    @Test func asksLessOfManyBuffers() async {
        for (buffers, seconds, reason) in [
            (20_000, 10, ""), (20_001, 30, "over 20k buffers"), (100_001, 60, "over 100k buffers"),
        ] {
            var simulation = Simulation()
            simulation.buffers = buffers
            await simulation.run(seconds: 600)
            let gaps = simulation.gaps(.burst).dropFirst()
            #expect(gaps.allSatisfy { abs($0 - Int64(seconds) * 1000) <= 300 }, "\(buffers)")
            #expect(simulation.plan.statistics(at: simulation.now).intervalReason == reason)
        }
    }

    @Test func asksLessWhileNobodyLooks() async {
        var simulation = Simulation()
        await simulation.run(seconds: 60)
        simulation.plan.idle = true
        await simulation.run(seconds: 300)
        #expect((4...6).contains(simulation.starts(.burst, from: 60_000).count))
        #expect(simulation.plan.statistics(at: simulation.now).intervalReason == "idle")
        simulation.plan.idle = false
        let time = simulation.time
        await simulation.run(seconds: 1)
        // A key: what is overdue by the usual pace is asked at once.
        #expect(simulation.starts(.burst, from: time).count <= 1)
        await simulation.run(seconds: 60)
        #expect(simulation.starts(.burst, from: time).count >= 5)

        simulation.plan.suspend(at: simulation.now)
        let stopped = simulation.time
        await simulation.run(seconds: 600)
        #expect(simulation.made.allSatisfy { $0.at < stopped })
        #expect(simulation.plan.next(at: simulation.now) == .wait(until: nil))
    }

    @Test(arguments: [(true, 9_900), (false, 9_900), (true, 5)])
    func goesOnAtOnceWhateverRestWasEarned(succeeded: Bool, milliseconds: Int64) async {
        var simulation = Simulation()
        await simulation.run(seconds: 60)
        // Slow answers, or none: the next would come two minutes later.
        simulation.answer = { _, _ in (succeeded, milliseconds) }
        await simulation.run(seconds: 600)
        while simulation.plan.running != nil { await simulation.run(seconds: 1) }
        simulation.plan.suspend(at: simulation.now)
        let stopped = simulation.time
        await simulation.run(seconds: 7)
        #expect(simulation.starts(.burst, from: stopped).isEmpty)
        simulation.plan.resume(at: simulation.now)
        let time = simulation.time
        simulation.answer = { _, _ in (true, 5) }
        await simulation.run(seconds: 20)
        #expect(simulation.starts(.burst, from: time).first.map { $0 - time <= 200 } == true)
        #expect(simulation.starts(.jobs, from: time).first.map { $0 - time <= 10_000 } == true)
        #expect(simulation.flights == 0)

        // Stopping and going on all the time is no way around the budget.
        let before = simulation.made.count
        await simulation.run(seconds: 300) { plan, now, time in
            if time / 100 % 2 == 0 { plan.suspend(at: now) } else { plan.resume(at: now) }
        }
        #expect(simulation.made.count - before <= Int(300 * PollPlan.tokensPerSecond + PollPlan.tokensMax))
    }

    @Test func aStopMakesNoCallSlowAndNoControllerDead() async {
        for succeeded in [true, false] {
            var simulation = Simulation()
            await simulation.run(seconds: 60)
            simulation.answer = { _, _ in (succeeded, 100_000) }
            while simulation.plan.running == nil { await simulation.run(seconds: 1) }
            let call = simulation.plan.running
            let failures = simulation.plan.statistics(at: simulation.now).failures
            simulation.plan.suspend(at: simulation.now)
            #expect(simulation.plan.isInterrupted)
            await simulation.run(seconds: 90)
            simulation.plan.resume(at: simulation.now)
            simulation.answer = { _, _ in (true, 5) }
            await simulation.run(seconds: 15)
            #expect(!simulation.plan.isInterrupted)
            let again = simulation.made.last { $0.end > 90_000 && $0.call == call }
            let ended = simulation.made.first { $0.end - $0.at == 100_000 }?.end ?? 0
            #expect(again.map { $0.at - ended <= 10_000 } == true, "\(simulation.made.suffix(5))")
            #expect(simulation.starts(.burst, from: ended).first.map { $0 - ended <= 5_200 } == true)
            let statistics = simulation.plan.statistics(at: simulation.now)
            #expect(statistics.failures == failures && statistics.intervalReason == "")
            #expect(statistics.p95Milliseconds == 5)
        }
    }

    @Test func asksForJobsOnlyWhereThereMayBeSome() async {
        var simulation = Simulation()
        simulation.usesBuffers = false
        simulation.buffers = 0
        await simulation.run(seconds: 1801)
        #expect((6...7).contains(simulation.starts(.jobs).count))
        simulation.plan.jobsScreenOpen = true
        let time = simulation.time
        await simulation.run(seconds: 60)
        #expect(simulation.starts(.jobs, from: time).count >= 3)

        var pace = PollPlan.Pace()
        pace.asksJobs = false
        var without = Simulation(pace)
        await without.run(seconds: 600)
        #expect(without.starts(.jobs).isEmpty)
    }

    @Test func noIntervalIsBelowTheSitesFloor() async {
        var pace = PollPlan.Pace()
        pace.burstSeconds = 2
        pace.floorSeconds = 20
        var simulation = Simulation(pace)
        for _ in 0..<10 { simulation.plan.changeInterval(delta: -1) }
        simulation.plan.setInterval(seconds: 1)
        await simulation.run(seconds: 300)
        #expect(simulation.gaps(.burst).allSatisfy { $0 >= 20_000 })
        simulation.plan.changeInterval(delta: 1)
        #expect(simulation.plan.statistics(at: simulation.now).burstInterval == 30)
        for _ in 0..<20 { simulation.plan.changeInterval(delta: 1) }
        #expect(simulation.plan.statistics(at: simulation.now).burstInterval == 600)
        simulation.plan.setInterval(seconds: 1_000_000)
        #expect(simulation.plan.statistics(at: simulation.now).burstInterval == PollPlan.intervalMax)
    }

    @Test func sendsCancelsOneASecondAndLooksAfterThem() async {
        var simulation = Simulation()
        await simulation.run(seconds: 120)
        let time = simulation.time
        for id in 1...60 as ClosedRange<UInt32> {
            let fits = simulation.plan.request(.cancel(JobID(id), hurry: false), at: simulation.now)
            #expect(fits == (id <= UInt32(PollPlan.cancelsWaitingMax)))
        }
        await simulation.run(seconds: 10)
        #expect(simulation.plan.stopCancels().count == 50 - 9 || simulation.plan.cancelsWaiting == 0)
        await simulation.run(seconds: 60)
        let cancels = simulation.made.filter { if case .cancel = $0.call { true } else { false } }
        #expect((8...10).contains(cancels.count))
        #expect(zip(cancels.dropFirst(), cancels).allSatisfy { $0.at - $1.end >= 1000 })
        #expect(simulation.flights == 0)
        let last = cancels.last!.end
        let looks = simulation.made.filter {
            $0.at >= last && ($0.call == .burst || $0.call == .jobs) && $0.at < last + 30_000
        }
        #expect(looks.count >= 6)
        let others = simulation.made.filter { made in
            if case .cancel = made.call { return false }
            return made.at >= time
        }
        #expect(others.count <= Int(70 * PollPlan.tokensPerSecond + PollPlan.tokensMax))
    }

    @Test func aClockThatJumpsStopsNothing() async {
        var simulation = Simulation()
        await simulation.run(seconds: 100)
        for jump in [-3_600_000, 86_400_000, -86_400_000, 5_000, -7] as [Int64] {
            simulation.skew += jump
            let time = simulation.time
            await simulation.run(seconds: 120)
            let gaps = simulation.gaps(.burst, from: time)
            #expect(gaps.count >= 8 && gaps.allSatisfy { $0 <= 10_300 }, "after a jump of \(jump) ms")
            if let next = simulation.plan.statistics(at: simulation.now).nextAt {
                #expect(abs(next.milliseconds - simulation.now.milliseconds) <= 11_000)
            }
        }
        #expect(simulation.flights == 0)
    }

    @Test func aDetailIsKeptFiveSeconds() async {
        var simulation = Simulation()
        await simulation.run(seconds: 60)
        let call = Call.job(JobID(7))
        await simulation.run(seconds: 20) { plan, now, _ in plan.request(call, at: now) }
        #expect((3...4).contains(simulation.starts(call).count))
    }

    @Test func tellsWhatTheCallsCost() async {
        var simulation = Simulation()
        simulation.answer = { call, _ in (true, call == .jobs ? 400 : 100) }
        await simulation.run(seconds: 300)
        let statistics = simulation.plan.statistics(at: simulation.now)
        #expect(statistics.count == simulation.made.count)
        #expect((6...9).contains(statistics.perMinute))
        #expect(statistics.medianMilliseconds == 100)
        #expect(statistics.p95Milliseconds == 400)
        #expect(statistics.burstInterval == 10 && statistics.jobsInterval == 30)
        #expect(statistics.nextAt != nil && statistics.running == nil)
        var plan = PollPlan(pace: .init(), at: simulation.now)
        _ = plan.next(at: simulation.now)
        #expect(plan.statistics(at: simulation.now).running == "scontrol show burst")
        #expect(plan.statistics(at: simulation.now).runningSince == simulation.now)
    }
}
