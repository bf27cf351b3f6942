import BurstModel
import Glibc

extension LocalTime.Zone {
    /// This machine's time zone (`TZ`), with its summer time.
    static let client: LocalTime.Zone = {
        tzset()
        return LocalTime.Zone(
            moment: { local in
                let part = local.fields
                var time = tm()
                time.tm_year = Int32(clamping: part.year - 1900)
                time.tm_mon = Int32(part.month - 1)
                time.tm_mday = Int32(part.day)
                time.tm_hour = Int32(part.hour)
                time.tm_min = Int32(part.minute)
                time.tm_sec = Int32(part.second)
                time.tm_isdst = -1
                return Timestamp(seconds: Int64(mktime(&time)))
            },
            local: { moment in
                var seconds = time_t((Double(moment.milliseconds) / 1000).rounded(.down))
                var time = tm()
                localtime_r(&seconds, &time)
                return LocalTime(secondsSinceEpoch: Int64(seconds) + Int64(time.tm_gmtoff))
            })
    }()
}
