/// What differs from one run to the next is made the same: times, process numbers, first priorities.
enum Normal {
    /// The lines of what a command printed, each after its sign: `| output`, `! error`.
    static func lines(_ text: String, sign: String) -> [String] {
        var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        if lines.last == "" { lines.removeLast() }
        lines.removeAll { line in fickle.contains { line.hasPrefix($0) } }
        return lines.map { line in
            let line = normal(line)
            return line.isEmpty ? sign : sign + " " + line
        }
    }

    /// salloc tells these or not, as time has it.
    private static let fickle = ["salloc: Waiting for resource", "salloc: Nodes ", "salloc: Job allocation"]

    static func normal(_ line: String) -> String {
        var line = line
        line.replace(/\r/, with: "\\r")
        line.replace(/\0/, with: "\\0")
        line.replace(/[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}/, with: "TIME")
        line.replace(/[0-9]{2}\/[0-9]{2}\/[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}/, with: "TIME")
        line.replace(/Sid=([^: ]*):[0-9]+/) { "Sid=\($0.output.1):SID" }
        line.replace(/\/proc\/[0-9]+\/fd\/[0-9]+/, with: "/proc/PID/fd/N")
        line.replace(/Priority=[1-9][0-9]*/, with: "Priority=N")
        line.replace(/^[A-Z][a-z]{2} [A-Z][a-z]{2} [0-9 ][0-9] [0-9:]{8} [0-9]{4}$/, with: "TIME")
        line.replace(/burst_buffer\.lua:[0-9]+:/, with: "burst_buffer.lua:N:")
        line.replace(/RunTime=[0-9:-]+/, with: "RunTime=SPAN")
        // The column of squeue keeps its width.
        line.replace(#/ ( *[0-9]{1,2}:[0-9]{2}) /#) { found in
            let width = found.output.1.count
            return " " + String(repeating: " ", count: width - 4) + "0:00 "
        }
        return line
    }

    /// Where a line may be one of several (`Reason=«Resources|Priority»`) and is one, the expected text takes over.
    static func settled(_ printed: [String], by wanted: [String]) -> [String] {
        let open = wanted.filter { $0.contains("«") }
        if open.isEmpty { return printed }
        return printed.map { line in
            open.first { choices($0).contains(line) } ?? line
        }
    }

    private static func choices(_ text: String) -> [String] {
        guard let found = text.firstMatch(of: /«([^»]*)»/) else { return [text] }
        return found.output.1.split(separator: "|").flatMap { choices(text.replacing(found.output.0, with: $0)) }
    }

    /// The calls of a job that the recording does not follow to its end are compared as far as it goes.
    static func shortened(_ calls: [String], by wanted: [String]) -> [String] {
        var calls = calls
        for mark in wanted {
            guard let job = mark.firstMatch(of: /^\| \(job ([0-9]+) goes on\)$/).flatMap({ Int($0.output.1) }) else {
                continue
            }
            let known = wanted.count { Self.job(of: $0) == job }
            let own = calls.indices.filter { Self.job(of: calls[$0]) == job }
            if own.count >= known, known > 0 {
                calls.replaceSubrange((own[known - 1] + 1)..<(own[own.count - 1] + 1), with: [mark])
            }
        }
        return calls
    }

    private static func job(of call: String) -> Int? {
        if call.hasPrefix("| get_status(") || call.hasPrefix("| (") { return nil }
        let first = call.firstMatch(of: /^\| [a-z_]+\((?:"--token", )?"([0-9]+)"/).flatMap { Int($0.output.1) }
        return first ?? call.firstMatch(of: /job\.([0-9]+)\//).flatMap { Int($0.output.1) }
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
            let first = call.firstMatch(of: /^[a-z_]+\((?:"--token", )?"([0-9]+)"/).flatMap { Int($0.output.1) }
            call.replace(/"[^"]*\/job\.([0-9]+)\/(script|path|client_nids)"/) {
                "\"STATE/job.\($0.output.1)/\($0.output.2)\""
            }
            byJob[call.hasPrefix("get_status(") ? 0 : first ?? job ?? 0, default: []].append("| " + call)
        }
        return byJob.keys.sorted().flatMap { byJob[$0] ?? [] }
    }
}
