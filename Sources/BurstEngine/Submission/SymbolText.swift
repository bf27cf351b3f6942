/// Replaces the symbols of a job's directives and makes the file that hooks get in the script's place (spec §3.8).
package struct SymbolText: Hashable, Sendable {
    package var jobID: UInt32
    /// 0 for a job that is no array.
    package var arrayJobID: UInt32
    package var arrayTaskID: UInt32?
    package var workDir: String
    package var userName: String
    package var jobName: String
    /// Nil and 0 become 4294967294 and 0, and `\\` ends replacement in all lines that follow. Else, and better (spec
    /// §10, Q35): what a job has not got becomes empty text, and `\\` ends replacement in its own line, as the guide
    /// says.
    package var isAsSlurm = false

    package init(
        jobID: UInt32, arrayJobID: UInt32 = 0, arrayTaskID: UInt32? = nil, workDir: String, userName: String,
        jobName: String
    ) {
        self.jobID = jobID
        self.arrayJobID = arrayJobID
        self.arrayTaskID = arrayTaskID
        self.workDir = workDir
        self.userName = userName
        self.jobName = jobName
    }

    package init(_ job: EngineJob) {
        self.init(
            jobID: job.id, arrayJobID: job.arrayJobID, arrayTaskID: job.arrayTaskID, workDir: job.workDir,
            userName: job.userName, jobName: job.name)
    }

    /// The file: a shell line and the directives, nothing else of the script.
    package func file(_ spec: String) -> String { "#!/bin/sh\n" + replaced(spec) + "\n" }

    /// `spec` with its symbols replaced. Values that are put in are not looked through again; unknown symbols and a
    /// `%` at the end vanish; a single backslash is kept and protects nothing.
    package func replaced(_ spec: String) -> String {
        var text: [UInt8] = []
        var isOver = false
        var rest = Array(spec.utf8)[...]
        while let byte = rest.popFirst() {
            if byte == 10, !isAsSlurm { isOver = false }
            if isOver {
                text.append(byte)
            } else if byte == UInt8(ascii: "\\"), rest.first == byte {
                isOver = true
                text.append(byte)
            } else if byte == UInt8(ascii: "%") {
                // A symbol does not reach over the end of its line.
                if rest.first == 10 { continue }
                if let symbol = rest.popFirst() { text += value(symbol).utf8 }
            } else {
                text.append(byte)
            }
        }
        return String(decoding: text, as: UTF8.self)
    }

    private func value(_ symbol: UInt8) -> String {
        // Slurm's number for "no value".
        let noValue: UInt32 = 0xFFFF_FFFE
        let task = arrayTaskID ?? (isAsSlurm ? noValue : nil)
        switch symbol {
        case UInt8(ascii: "%"): return "%"
        case UInt8(ascii: "A"): return arrayJobID == 0 && !isAsSlurm ? "" : "\(arrayJobID)"
        case UInt8(ascii: "a"): return task.map { "\($0)" } ?? ""
        case UInt8(ascii: "b"): return task.map { "\($0 % 10)" } ?? ""
        case UInt8(ascii: "d"): return workDir
        case UInt8(ascii: "j"): return "\(jobID)"
        case UInt8(ascii: "u"): return userName
        case UInt8(ascii: "x"): return jobName
        default: return ""
        }
    }
}
