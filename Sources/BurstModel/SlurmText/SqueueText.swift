/// The one bulk call for jobs and how its answer is read.
///
/// Each field is printed whole (a colon, no width) and ends in a separator of our own, since a BurstBuffer, a Reason
/// and even a job's name may hold newlines (spec §8.4). A field that a release does not know is printed empty with its
/// separator, so that the others keep their places.
package enum SqueueText {
    static let fieldEnd: UInt8 = 0x1f
    static let recordEnd: UInt8 = 0x1e

    static let fields = [
        "JobID", "ArrayJobID", "ArrayTaskID", "UserName", "UserID", "Account", "Partition", "QOS", "Name", "State",
        "Reason", "PriorityLong", "BurstBuffer", "BurstBufferState", "SubmitTime", "StartTime", "EndTime",
        "Reservation", "system_comment",
    ]

    /// The value of `-O`.
    package static let format: String = fields.enumerated()
        .map { index, name in name + (index == fields.count - 1 ? ":\u{1e}" : ":\u{1f}") }
        .joined(separator: ",")

    /// The whole command line.
    /// - Parameter user: only this user's jobs.
    package static func arguments(user: String? = nil) -> [String] {
        ["squeue", "-a", "-t", "all", "-h"] + (user.map { ["-u", $0] } ?? []) + ["-O", format]
    }

    /// Reads the reply. A damaged record costs itself only.
    package static func parse(_ text: [UInt8], zone: LocalTime.Zone) -> (jobs: [Job], faults: [Fault]) {
        var jobs: [Job] = []
        var faults: [Fault] = []
        var damaged = 0
        let bytes = text.span
        var start = 0
        var record = 0
        var times = TimeReader(zone: zone)
        var cache = RowCache()
        while start < bytes.count {
            if bytes[start] == ByteText.newline {
                start += 1
                continue
            }
            record += 1
            var ends: [Int] = []
            ends.reserveCapacity(fields.count)
            var index = start
            while index < bytes.count, bytes[index] != recordEnd {
                if bytes[index] == fieldEnd { ends.append(index) }
                index += 1
            }
            let complete = index < bytes.count
            ends.append(index)
            if complete, ends.count == fields.count, let job = job(bytes, start, ends, &times, &cache) {
                jobs.append(job)
            } else {
                damaged += 1
                if faults.count < BurstReport.faultsMax {
                    let what =
                        complete ? "record \(record) is damaged" : "the reply ends in the middle of record \(record)"
                    faults.append(
                        Fault(
                            reply: "squeue", line: 0,
                            message: what + ": \"\(ByteText.excerpt(bytes, start..<index))\""))
                }
            }
            start = index + 1
        }
        if damaged > faults.count, let last = faults.indices.last {
            faults[last].message += " (and \(damaged - faults.count) more)"
        }
        return (jobs, faults)
    }

    private struct RowCache {
        var users = RepeatedText()
        var accounts = RepeatedText()
        var partitions = RepeatedText()
        var qoses = RepeatedText()
        var states = RepeatedText()
        var reasons = RepeatedText()
        var specs = RepeatedText()
        var reservations = RepeatedText()
        var bufferStates = RepeatedText()
    }

    private static func job(
        _ bytes: Span<UInt8>, _ start: Int, _ ends: [Int], _ times: inout TimeReader, _ cache: inout RowCache
    ) -> Job? {
        func range(_ index: Int) -> Range<Int> { (index == 0 ? start : ends[index - 1] + 1)..<ends[index] }
        guard let number = ByteText.number32(bytes, range(0)), number > 0 else { return nil }
        guard !range(9).isEmpty else { return nil }
        var job = Job(id: JobID(number), state: JobState(cache.states.string(bytes, range(9))))
        if let array = ByteText.number32(bytes, range(1)), !ByteText.equal(bytes, range(2), "N/A"), !range(2).isEmpty {
            job.arrayJobID = JobID(array)
            job.arrayTask = ByteText.string(bytes, range(2))
        }
        job.user = cache.users.string(bytes, range(3))
        job.uid = ByteText.number32(bytes, range(4)) ?? 0
        job.account = nonEmpty(cache.accounts.optional(bytes, range(5)))
        job.partition = nonEmpty(cache.partitions.optional(bytes, range(6)))
        job.qos = nonEmpty(cache.qoses.optional(bytes, range(7)))
        job.name = ByteText.string(bytes, range(8))
        job.reason = cache.reasons.string(bytes, range(10))
        job.priority = ByteText.number(bytes, range(11))
        job.spec = nonEmpty(cache.specs.optional(bytes, range(12)))
        job.bufferState = nonEmpty(cache.bufferStates.optional(bytes, range(13))).map { BufferState($0) }
        job.submitted = times.read(bytes, range(14))
        job.start = times.read(bytes, range(15))
        job.end = times.read(bytes, range(16))
        job.reservation = nonEmpty(cache.reservations.optional(bytes, range(17)))
        if !ByteText.equal(bytes, range(18), "(null)") {
            job.systemComment = nonEmpty(ByteText.string(bytes, range(18)))
        }
        return job
    }

    private static func nonEmpty(_ text: String?) -> String? { text?.isEmpty == true ? nil : text }
}

/// Times of a reply repeat; the zone's rule is asked once for each hour.
struct TimeReader {
    let zone: LocalTime.Zone
    private var hour: Int64 = .min
    private var offset: Int64 = 0

    init(zone: LocalTime.Zone) { self.zone = zone }

    mutating func read(_ bytes: Span<UInt8>, _ range: Range<Int>) -> Timestamp? {
        LocalTime.parse(bytes.extracting(range)).map { moment($0) }
    }

    mutating func moment(_ local: LocalTime) -> Timestamp {
        let seconds = local.secondsSinceEpoch
        let thisHour = seconds / 3600
        if thisHour != hour {
            hour = thisHour
            offset = zone.moment(local).milliseconds - seconds * 1000
        }
        return Timestamp(milliseconds: seconds * 1000 + offset)
    }
}
