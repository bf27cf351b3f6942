/// The tasks of a job array as `sbatch --array` names them: `1-5:2,9%3` (sbatch(1)).
package struct ArrayTasks: Hashable, Sendable {
    /// In rising order, each once, at least one.
    package var tasks: [UInt32]
    /// At most so many run at once; 0: no limit.
    package var runningMax: UInt32

    /// - Parameter maxArraySize: of slurm.conf: tasks are smaller than it.
    /// - Throws: `invalidArray` with a line that says what is wrong.
    package init(_ text: String, maxArraySize: UInt32) throws(SubmissionFault) {
        func refuse(_ why: String) -> SubmissionFault {
            SubmissionFault(.invalidArray, ["--array: \(PlainText.quoted(text)): \(why)"])
        }
        var body = Array(text.utf8)[...]
        runningMax = 0
        if let percent = body.lastIndex(of: UInt8(ascii: "%")) {
            guard let limit = Self.number(body[(percent + 1)...]), limit > 0 else {
                throw refuse("write a number above 0 behind %, as 1-5%2")
            }
            runningMax = limit
            body = body[..<percent]
        }
        if body.first == UInt8(ascii: "["), body.last == UInt8(ascii: "]"), body.count > 1 {
            body = body.dropFirst().dropLast()
        }
        guard maxArraySize > 0 else { throw refuse("arrays are switched off: MaxArraySize=0") }
        var wanted = Set<UInt32>()
        for item in body.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false) {
            let shown = PlainText.quoted(String(decoding: item, as: UTF8.self))
            let halves = item.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
            let ends = halves[0].split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
            guard halves.count <= 2, ends.count <= 2, let first = Self.number(ends[0]),
                let last = Self.number(ends[ends.count - 1]), halves.count == 1 || ends.count == 2,
                let step = halves.count == 2 ? Self.number(halves[1]) : 1, step > 0, first <= last
            else {
                throw refuse("\(shown) is no task: write tasks as 3, 1-5 or 0-15:4, between commas")
            }
            guard last < maxArraySize else {
                throw refuse("task \(last) is too large: MaxArraySize=\(maxArraySize) allows up to \(maxArraySize - 1)")
            }
            wanted.formUnion(stride(from: first, through: last, by: Int(step)))
        }
        tasks = wanted.sorted()
    }

    private static func number(_ digits: ArraySlice<UInt8>) -> UInt32? {
        guard (1...10).contains(digits.count), digits.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }) else { return nil }
        return UInt32(String(decoding: digits, as: UTF8.self))
    }

    /// Bytes of a list of tasks that Slurm prints; more end in `...`.
    private static let textBytesMax = 64

    /// Tasks that are not split off yet, as Slurm prints them between the brackets of `7_[3-5%2]`: ranges, or a step
    /// where it is the same for all and they span more than ten.
    package static func text(_ tasks: [UInt32], runningMax: UInt32 = 0) -> String {
        guard let first = tasks.first, let last = tasks.last else { return "" }
        let limit = runningMax > 0 ? "%\(runningMax)" : ""
        if tasks.count > 2, last - first > 10, tasks[1] != first + 1 {
            let step = tasks[1] - first
            if zip(tasks, tasks.dropFirst()).allSatisfy({ $1 - $0 == step }) {
                return "\(first)-\(last):\(step)\(limit)"
            }
        }
        var text = ""
        var start = first
        var end = first
        func close() {
            if !text.isEmpty { text += "," }
            text += start == end ? "\(start)" : "\(start)-\(end)"
        }
        for task in tasks.dropFirst() {
            if task == end + 1 {
                end = task
            } else {
                close()
                (start, end) = (task, task)
            }
        }
        close()
        if text.utf8.count > textBytesMax - 4 {
            text = String(decoding: text.utf8.prefix(textBytesMax - 4), as: UTF8.self) + "..."
        }
        return text + limit
    }
}
