import BurstEngine
package import BurstModel
package import BurstWire
import Glibc

/// A batch job made of sbatch's command line, the environment and a script, ready to be sent.
package struct BatchOrder: Sendable {
    package var submission: BurstWire.Submission
    package var script: [UInt8]
    package var isParsable = false
    package var isQuiet = false
    package var waits = false

    /// Lines to print behind `PROGRAM: error: `.
    package struct Fault: Error, Hashable, Sendable {
        package var lines: [String]
        /// sbatch's: 255 where it does not understand its options, but for counts that are no numbers.
        package var exitStatus: Int32 = 1
        init(_ lines: String...) { self.lines = lines }
        init(lines: [String]) { self.lines = lines }

        init(_ fault: OptionFault) {
            lines = [fault.description]
            exitStatus = fault.description.hasPrefix("Invalid numeric value") ? 1 : 255
        }
    }

    /// Bytes of a script that are read; the engine refuses long before.
    static let scriptBytesMax = 16 * 1024 * 1024

    /// - Parameter now: what `--begin=now+1hour` counts from.
    package init(_ invocation: Invocation, now: Timestamp, zone: LocalTime.Zone) throws(Fault) {
        let ofLine: [SbatchOptions.Given]
        let rest: [String]
        let lineOptions: SbatchOptions
        do throws(OptionFault) {
            (ofLine, rest) = try SbatchOptions.given(arguments: invocation.arguments)
            lineOptions = try SbatchOptions(ofLine)
        } catch {
            throw Fault(error)
        }
        var command = ""
        var name: String
        if let wrapped = lineOptions.wrap {
            guard rest.isEmpty else { throw Fault("Script arguments not permitted with --wrap option") }
            script = Array(BatchScript.wrapping(wrapped).utf8)
            name = "wrap"
        } else if let path = rest.first, path != "-" {
            script = try Self.read(path)
            command = Self.absolute(path, in: invocation.workDir)
            name = String(path.split(separator: "/").last ?? "")
        } else {
            script = try Self.readInput()
            name = "sbatch"
        }
        let faults = BatchScript.faults(script)
        guard faults.isEmpty else { throw Fault(lines: faults) }
        let ofScript: [[SbatchOptions.Given]]
        let options: SbatchOptions
        do throws(OptionFault) {
            ofScript = try SbatchOptions.given(script: String(decoding: script, as: UTF8.self))
            let ofEnvironment = SbatchOptions.given(environment: invocation.environment)
            options = try SbatchOptions(ofScript[0] + ofEnvironment + ofLine)
        } catch {
            throw Fault(error)
        }
        guard ofScript.count == 1 else {
            throw Fault("a heterogeneous job cannot be submitted here; submit its components as jobs of their own")
        }
        if let licenses = options.licenses, !licenses.isEmpty {
            // None are configured here.
            throw Fault("Batch job submission failed: Invalid license specification")
        }
        if options.burstBuffer != nil, options.burstBufferFile != nil {
            throw Fault("Cannot specify both --burst-buffer and --bbf")
        }
        if let file = options.burstBufferFile {
            guard let text = try? Self.read(file), !text.isEmpty else { throw Fault("Invalid --bbf specification") }
            script = Self.inserting(text, into: script)
        }
        name = options.jobName ?? name
        submission = BurstWire.Submission(
            name: name, workDir: Self.absolute(options.workDir ?? ".", in: invocation.workDir))
        submission.command = command
        submission.arguments = Array(rest.dropFirst())
        submission.environment = Self.environment(invocation.environment, export: options.export)
        submission.submitLine = ([invocation.name] + invocation.arguments).joined(separator: " ")
        try fill(options, now: now, zone: zone)
        (isParsable, isQuiet, waits) = (options.isParsable, options.isQuiet, options.waits)
    }

    private mutating func fill(_ options: SbatchOptions, now: Timestamp, zone: LocalTime.Zone) throws(Fault) {
        submission.burstBuffer = options.burstBuffer
        submission.user = options.uid
        submission.partition = options.partition
        submission.account = options.account
        submission.qos = options.qos
        submission.comment = options.comment
        submission.stdIn = options.input
        submission.stdOut = options.output
        submission.stdErr = options.error
        submission.appendsOutput = options.appendsOutput ?? false
        submission.nodes = options.nodesMin
        submission.tasks = options.tasks
        submission.cpusPerTask = options.cpusPerTask
        switch options.timeLimit {
        case .minutes(let minutes)? where minutes > 0: submission.timeLimitMinutes = minutes
        // Slurm's INFINITE.
        case .unlimited?: submission.timeLimitMinutes = UInt32.max
        case .minutes?, .invalid?, nil: break
        }
        submission.isHeld = options.isHeld
        submission.priority = options.priority
        submission.nice = options.nice ?? 0
        if let begin = options.begin {
            guard let moment = TimeText.moment(begin, now: now, zone: zone) else {
                var fault = Fault(
                    "Invalid --begin specification: \"\(begin)\"; write HH:MM, YYYY-MM-DDTHH:MM or now+1hour")
                fault.exitStatus = 255
                throw fault
            }
            submission.begin = moment.milliseconds
        }
        submission.dependency = options.dependency
        submission.array = options.array
        submission.reservation = options.reservation
        submission.mayRequeue = options.mayRequeue ?? true
        submission.mailTypes = options.mailTypes?.rawValue ?? 0
        submission.mailUser = options.mailUser
        submission.testOnly = options.isTestOnly
    }

    // MARK: Files

    static func read(_ path: String) throws(Fault) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Fault("Unable to open file \(path)") }
        defer { close(descriptor) }
        return try read(descriptor, path)
    }

    private static func readInput() throws(Fault) -> [UInt8] { try read(STDIN_FILENO, "standard input") }

    private static func read(_ descriptor: Int32, _ path: String) throws(Fault) -> [UInt8] {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            if count > 0 { bytes += buffer[..<count] }
            if count == 0 { return bytes }
            if count < 0, errno != EINTR { throw Fault("\(path): \(String(cString: strerror(errno)))") }
            guard bytes.count <= scriptBytesMax else {
                throw Fault("\(path): the script has more than \(scriptBytesMax) bytes")
            }
        }
    }

    /// Behind the first line where that begins with `#`, else before it (spec §3.4).
    static func inserting(_ text: [UInt8], into script: [UInt8]) -> [UInt8] {
        let line = text.last == 10 ? text : text + [10]
        guard script.first == UInt8(ascii: "#") else { return line + script }
        guard let end = script.firstIndex(of: 10) else { return script + [10] + line }
        return Array(script[...end]) + line + script[(end + 1)...]
    }

    /// The path from the root, `.` and `..` resolved by name.
    static func absolute(_ path: String, in folder: String) -> String {
        var parts: [Substring] = []
        for part in ((path.hasPrefix("/") ? "" : folder + "/") + path).split(separator: "/") where part != "." {
            if part == ".." { _ = parts.popLast() } else { parts.append(part) }
        }
        return "/" + parts.joined(separator: "/")
    }

    /// `--export`: `ALL`, `NONE`, `NAME`, `NAME=VALUE` (sbatch(1)).
    static func environment(_ environment: [String: String], export: String?) -> [String] {
        var chosen = environment
        if let export, export.uppercased() != "ALL" {
            chosen = [:]
            for word in OptionReader.parts(export) {
                if word.uppercased() == "ALL" {
                    chosen.merge(environment) { kept, _ in kept }
                } else if word.uppercased() != "NONE", word.uppercased() != "NIL" {
                    let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
                    chosen[String(parts[0])] = parts.count > 1 ? String(parts[1]) : environment[word]
                }
            }
        }
        return chosen.map { $0.key + "=" + $0.value }.sorted()
    }
}
