import BurstModel
import BurstStager
import BurstTestSupport
import Testing

/// The rules of a phase's progress (staging.md §4.7), on simulated copies (P1, P2).
@Suite struct ProgressTests {
    /// A copy of files of the given sizes at so many units of work a second, unevenly; reported once a second.
    private struct Copy {
        var sizes: [UInt64]
        var planSeconds: Int
        /// Work a second.
        var rate: Double
        /// 0: perfectly even; 1: from nothing to twice as much.
        var unevenness: Double
        var dice: SimulatedDice

        struct Moment {
            var at: Timestamp
            var report: ProgressReport
            /// Of all the work there really is.
            var truth: Double
            var secondsLeft: Double
        }

        mutating func moments(from start: Timestamp) -> [Moment] {
            let cost = Double(StagerProgress.fileCostBytes)
            let total = sizes.reduce(0.0) { $0 + Double($1) + cost }
            var done = 0.0
            var moments: [Moment] = []
            var second = 0
            while done < total {
                second += 1
                let share = 1 + unevenness * (dice.unit() * 2 - 1)
                done = min(total, done + rate * share)
                var report = ProgressReport()
                report.planComplete = second >= planSeconds
                let planned =
                    report.planComplete ? sizes.count : max(1, sizes.count * second / planSeconds)
                report.filesTotal = UInt64(planned)
                report.bytesTotal = sizes.prefix(planned).reduce(0, +)
                // Files one after the other.
                var left = done
                for size in sizes.prefix(planned) {
                    let whole = Double(size) + cost
                    if left >= whole - 0.5 {
                        report.filesDone += 1
                        report.bytesDone += size
                        left -= whole
                    } else {
                        report.bytesDone += UInt64(max(0, min(left, Double(size))))
                        break
                    }
                }
                moments.append(
                    Moment(
                        at: start.adding(seconds: second), report: report, truth: done / total,
                        secondsLeft: (total - done) / rate))
            }
            return moments
        }
    }

    private static let start = Timestamp(seconds: 1_800_000_000)

    private static func copies() -> [Copy] {
        (0..<24).map { seed in
            var dice = SimulatedDice(seed: UInt64(seed) + 1)
            let sizes: [UInt64] =
                switch seed % 4 {
                case 0: (0..<2000).map { _ in 4096 }
                case 1: (0..<10).map { _ in 4 << 30 }
                case 2: (0..<1000).map { _ in UInt64(dice.unit() * dice.unit() * 1e9) }
                default: (0..<500).map { _ in 4096 } + (0..<5).map { _ in 1 << 30 }
                }
            let total = sizes.reduce(0.0) { $0 + Double($1 + StagerProgress.fileCostBytes) }
            let seconds = 60 + dice.unit() * 600
            return Copy(
                sizes: sizes, planSeconds: 1 + Int(dice.unit() * 20), rate: total / seconds,
                unevenness: seed < 12 ? 0 : 0.5, dice: dice)
        }
    }

    @Test func percentIsTrueAndNeverGoesBack() {
        for var copy in Self.copies() {
            var progress = StagerProgress(.stageIn, started: Self.start)
            var last = 0
            for moment in copy.moments(from: Self.start) {
                progress.apply(moment.report, at: moment.at)
                guard moment.report.planComplete else {
                    #expect(progress.percent == nil)
                    continue
                }
                let percent = progress.percent ?? -1
                #expect(abs(Double(percent) - moment.truth * 100) <= 2)
                #expect(percent >= last && percent < 100)
                last = percent
            }
            #expect(last == 99)
            progress.complete(progress.counts, at: progress.updated)
            #expect(progress.percent == 100)
            #expect(progress.etaSeconds == 0)
        }
    }

    @Test func theTimeLeftIsGoodAfterATenth() {
        var good = 0
        var all = 0
        for var copy in Self.copies() {
            var progress = StagerProgress(.stageOut, started: Self.start)
            for moment in copy.moments(from: Self.start) {
                progress.apply(moment.report, at: moment.at)
                guard moment.truth >= 0.1, moment.truth < 0.995, moment.report.planComplete else { continue }
                all += 1
                let left = Double(progress.etaSeconds ?? -1)
                if abs(left - moment.secondsLeft) <= max(0.2 * moment.secondsLeft, 1) { good += 1 }
            }
        }
        #expect(all > 2000)
        #expect(Double(good) / Double(all) >= 0.9)
    }

    @Test func nothingIsSaidOfTheTimeLeftBeforeATwentieth() {
        var progress = StagerProgress(.stageIn, started: Self.start)
        #expect(progress.etaSeconds == nil)
        var report = ProgressReport()
        report.bytesTotal = 1000 << 20
        report.bytesDone = 40 << 20
        progress.apply(report, at: Self.start.adding(seconds: 4))
        #expect(progress.percent == nil && progress.etaSeconds == nil)
        report.bytesDone = 60 << 20
        progress.apply(report, at: Self.start.adding(seconds: 6))
        #expect(progress.etaSeconds == 94)
        #expect(progress.isEtaLowerBound)
        report.planComplete = true
        progress.apply(report, at: Self.start.adding(seconds: 6))
        #expect(progress.percent == 6)
        #expect(!progress.isEtaLowerBound)
    }

    @Test func aHundredIsTheCompleteMarkAlone() {
        var progress = StagerProgress(.stageIn, started: Self.start)
        var report = ProgressReport()
        report.planComplete = true
        report.bytesTotal = 1 << 30
        report.bytesDone = 1 << 30
        report.filesTotal = 1
        report.filesDone = 1
        progress.apply(report, at: Self.start.adding(seconds: 1))
        #expect(progress.percent == 99)
        #expect(!progress.isComplete)
        // An empty tree is done by its mark as well.
        var empty = StagerProgress(.stageIn, started: Self.start)
        report = ProgressReport()
        report.planComplete = true
        empty.apply(report, at: Self.start.adding(seconds: 1))
        #expect(empty.percent == 0)
        empty.complete(report, at: Self.start.adding(seconds: 2))
        #expect(empty.percent == 100)
    }

    @Test func aWorkerThatBeginsAgainTakesNothingBack() {
        var progress = StagerProgress(.stageIn, started: Self.start)
        var report = ProgressReport()
        report.planComplete = true
        report.bytesTotal = 100 << 20
        report.bytesDone = 60 << 20
        report.errors = 2
        progress.apply(report, at: Self.start.adding(seconds: 60))
        #expect(progress.percent == 60)
        // The next one walks the source anew.
        progress.restarts = 1
        report.planComplete = false
        report.bytesTotal = 10 << 20
        report.bytesDone = 1 << 20
        report.errors = 0
        progress.apply(report, at: Self.start.adding(seconds: 70))
        #expect(progress.percent == 60)
        #expect(progress.counts.bytesTotal == 100 << 20)
        #expect(progress.counts.errors == 2)
        report.planComplete = true
        report.bytesTotal = 100 << 20
        report.bytesDone = 61 << 20
        progress.apply(report, at: Self.start.adding(seconds: 90))
        #expect(progress.percent == 61)
        // What was told is kept over a restart of the daemon.
        #expect(progress.kept.percent == 61)
    }

    @Test func ratesAreOfTenSecondsAndOfAll() {
        var progress = StagerProgress(.stageIn, started: Self.start)
        var report = ProgressReport()
        report.planComplete = true
        report.bytesTotal = 1 << 40
        for second in 1...600 {
            // Ten times as fast in the last minute.
            report.bytesDone += second > 540 ? 100 << 20 : 10 << 20
            progress.apply(report, at: Self.start.adding(seconds: second))
        }
        #expect(progress.rateNow == 100 << 20)
        #expect(progress.rateAverage == 19 << 20)
        for second in 601...620 { progress.apply(report, at: Self.start.adding(seconds: second)) }
        #expect(progress.rateNow == 0)
    }

    @Test func ratesGoByWhatIsMovedWhateverIsDurable() {
        var progress = StagerProgress(.stageIn, started: Self.start)
        var report = ProgressReport()
        report.bytesTotal = 100 << 20
        func move(_ seconds: ClosedRange<Int>, _ moved: (Int) -> Int) {
            for second in seconds {
                report.bytesMoved = UInt64(moved(second))
                progress.apply(report, at: Self.start.adding(seconds: second))
            }
        }
        move(1...10) { $0 << 20 }
        #expect(progress.rateNow == 1 << 20 && progress.rateAverage == 1 << 20)
        #expect(progress.counts.bytesDone == 0)
        // The next worker counts from nothing.
        move(11...20) { ($0 - 10) << 20 }
        #expect(progress.rateNow == 1 << 20 && progress.rateAverage == 1 << 20)
        move(21...30) { _ in 10 << 20 }
        #expect(progress.rateNow == 0)
    }

    @Test func theNarrowestLimitIsShown() {
        var progress = StagerProgress(.stageIn, started: Self.start)
        #expect(progress.limit(\.bytesPerSecond) == nil)
        var report = ProgressReport()
        report.limits = Throttle(bytesPerSecond: 500, filesPerSecond: nil)
        progress.apply(report, at: Self.start)
        #expect(progress.limit(\.bytesPerSecond) == 500 && progress.limit(\.filesPerSecond) == nil)
        progress.throttle = Throttle(bytesPerSecond: 400, filesPerSecond: 7)
        #expect(progress.limit(\.bytesPerSecond) == 400 && progress.limit(\.filesPerSecond) == 7)
        progress.throttle = nil
        progress.complete(report, at: Self.start)
        #expect(progress.limit(\.bytesPerSecond) == nil)
    }

    @Test func aPausedCopyHasNoTimeLeft() {
        var progress = StagerProgress(.stageIn, started: Self.start)
        var report = ProgressReport()
        report.planComplete = true
        report.bytesTotal = 100 << 20
        report.bytesDone = 50 << 20
        progress.apply(report, at: Self.start.adding(seconds: 50))
        #expect(progress.etaSeconds == 50)
        progress.throttle = Throttle(bytesPerSecond: 0, filesPerSecond: nil)
        #expect(progress.etaSeconds == nil)
        progress.throttle = Throttle(bytesPerSecond: 1, filesPerSecond: nil)
        #expect(progress.etaSeconds == 50)
    }
}
