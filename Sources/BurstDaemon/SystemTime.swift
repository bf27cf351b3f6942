import BurstModel
import Glibc

/// This machine's clocks.
enum SystemTime {
    static func monotonicMilliseconds() -> Int64 { milliseconds(CLOCK_MONOTONIC) }

    fileprivate static func milliseconds(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
    }
}

extension DaemonClock {
    package static let system = DaemonClock(
        now: { Timestamp(milliseconds: SystemTime.milliseconds(CLOCK_REALTIME)) },
        monotonic: { SystemTime.milliseconds(CLOCK_MONOTONIC) })
}
