/// What differs from one run to the next is made the same: times, process numbers, first priorities.
enum Normal {
    /// The lines of what a command printed, each after its sign: `| output`, `! error`.
    static func lines(_ text: String, sign: String) -> [String] {
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        if lines.last == "" { lines.removeLast() }
        return lines.map { line in
            let line = normal(line)
            return line.isEmpty ? sign : sign + " " + line
        }
    }

    static func normal(_ line: String) -> String {
        var line = line
        line.replace(/\r/, with: "\\r")
        line.replace(/[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}/, with: "TIME")
        line.replace(/[0-9]{2}\/[0-9]{2}\/[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}/, with: "TIME")
        line.replace(/Sid=([^: ]*):[0-9]+/) { "Sid=\($0.output.1):SID" }
        line.replace(/\/proc\/[0-9]+\/fd\/[0-9]+/, with: "/proc/PID/fd/N")
        line.replace(/Priority=[1-9][0-9]*/, with: "Priority=N")
        line.replace(/RunTime=[0-9:-]+/, with: "RunTime=SPAN")
        // The column of squeue keeps its width.
        line.replace(#/ ( *[0-9]{1,2}:[0-9]{2}) /#) { found in
            let width = found.output.1.count
            return " " + String(repeating: " ", count: width - 4) + "0:00 "
        }
        return line
    }

    private static let unneeded = [
        "RunTime=", "SubmitTime=", "AccrueTime=", "StartTime=", "SuspendTime=", "Partition=", "ReqNodeList=",
        "NodeList=", "BatchHost=", "NumNodes=", "TRES=", "ReqTRES=", "AllocTRES=", "Socks/Node=", "MinCPUsNode=",
        "Features=", "OverSubscribe=", "Command=", "SubmitLine=", "WorkDir=", "StdErr=", "StdIn=", "StdOut=", "Power=",
        "Nodes=", "JOB_GRES=", "PreemptEligibleTime=",
    ]

    /// Of `show job` what concerns burst buffers, hook failures and the state.
    static func brief(_ text: String) -> String {
        let kept = text.split(separator: "\n").filter { line in
            let line = line.drop { $0 == " " }
            return !line.isEmpty && !unneeded.contains { line.hasPrefix($0) }
        }
        return kept.isEmpty ? "" : kept.joined(separator: "\n") + "\n"
    }

    /// The calls of the hooks, job by job; within a job in order.
    static func calls(_ log: String) -> [String] {
        var byJob: [Int: [String]] = [:]
        for line in log.split(separator: "\n") {
            // "1732400000 setup(...)"
            guard let space = line.firstIndex(of: " ") else { continue }
            var call = normal(String(line[line.index(after: space)...]))
            let job = call.firstMatch(of: /job\.([0-9]+)\/(script|path)/).flatMap { Int($0.output.1) }
            let first = call.firstMatch(of: /^[a-z_]+\("([0-9]+)"/).flatMap { Int($0.output.1) }
            call.replace(/"[^"]*\/job\.([0-9]+)\/(script|path)"/) { "\"STATE/job.\($0.output.1)/\($0.output.2)\"" }
            byJob[call.hasPrefix("get_status(") ? 0 : first ?? job ?? 0, default: []].append("| " + call)
        }
        return byJob.keys.sorted().flatMap { byJob[$0] ?? [] }
    }
}
