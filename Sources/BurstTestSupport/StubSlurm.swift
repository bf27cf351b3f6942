import Glibc

/// Stand-ins for scontrol, squeue and scancel in a temporary folder: they print files, note each call, and wait on
/// request,
/// as a controller that hangs.
package final class StubSlurm {
    package let folder: String
    /// The value of PATH with the stand-ins first.
    package var path: String { folder + "/bin:/usr/local/bin:/usr/bin:/bin" }

    private let gate: Int32
    private var released = 0

    package init() throws(HarnessError) {
        let base = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        var template = Array("\(base)/burst-bench-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw HarnessError("cannot make a folder below \(base)") }
        folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        mkdir(folder + "/bin", 0o755)
        guard mkfifo(folder + "/gate", 0o600) == 0 else { throw HarnessError("cannot make a FIFO in \(folder)") }
        // Open at both ends, so that nobody waits for the other to open it.
        gate = open(folder + "/gate", O_RDWR | O_NONBLOCK | O_CLOEXEC)
        try script(
            "scontrol",
            """
            case "$*" in
            *"show burst"*)
                if [ -e "$d/hold" ]; then
                    echo held >>"$d/held"
                    read -r _ <"$d/gate"
                fi
                exec cat "$d/burst"
                ;;
            *"show config"*) exec cat "$d/config" ;;
            *"show reservation"*) echo "No reservations in the system" ;;
            *) echo "stub: $*" ;;
            esac
            """)
        try script("squeue", "exec cat \"$d/jobs\"")
        try script("scancel", "exit 0")
    }

    private func script(_ name: String, _ body: String) throws(HarnessError) {
        let head = "#!/bin/sh\nd='\(folder)'\necho \"$$ \(name) $*\" >>\"$d/calls\"\n"
        try WholeFile.write((head + body + "\n").utf8, to: "\(folder)/bin/\(name)", mode: 0o755)
    }

    /// Replaces a file as a whole, since a stand-in may be reading it.
    private func write(_ bytes: [UInt8], to name: String) throws(HarnessError) {
        try WholeFile.write(bytes, to: "\(folder)/\(name)")
    }

    // MARK: What they answer

    /// From now on the calls answer with this cluster.
    package func fill(_ cluster: SyntheticCluster, tick: Int = 0) throws(HarnessError) {
        try write(cluster.burstText(tick: tick), to: "burst")
        try write(cluster.jobsText(tick: tick), to: "jobs")
        try write(cluster.configText, to: "config")
    }

    /// From now on `show burst` hangs.
    package func hold() throws(HarnessError) {
        // What was let go and did not take its leave must not let another one go.
        var rest = [UInt8](repeating: 0, count: 256)
        while read(gate, &rest, rest.count) > 0 {}
        released = held
        try write([], to: "hold")
    }

    /// Lets hanging calls answer, and those to come. Returns when.
    @discardableResult
    package func release() -> UInt64 {
        unlink(folder + "/hold")
        let count = held - released
        released += max(0, count)
        let now = PseudoTerminal.now
        if count > 0 { _ = Glibc.write(gate, [UInt8](repeating: 10, count: count), count) }
        return now
    }

    /// Calls that were ever held.
    private var held: Int { lines(of: "held").count }
    /// Whether a call hangs now.
    package var isHolding: Bool { held > released }

    // MARK: What was asked

    /// Each call's words, without the process number.
    package var calls: [String] {
        lines(of: "calls").map { String($0.drop { $0 != " " }.dropFirst()) }
    }

    package func forgetCalls() { unlink(folder + "/calls") }

    private func lines(of name: String) -> [Substring] {
        guard access("\(folder)/\(name)", R_OK) == 0 else { return [] }
        return String(decoding: Fixtures.bytes(of: "\(folder)/\(name)"), as: UTF8.self).split(separator: "\n")
    }

    /// Ends stand-ins that still hang, and takes the folder away.
    package func remove() {
        for line in lines(of: "calls") {
            guard let pid = line.split(separator: " ").first.flatMap({ Int32($0) }), pid > 1 else { continue }
            if Processes.commandLine(of: pid).contains(folder) { kill(pid, SIGKILL) }
        }
        close(gate)
        // Programs keep settings in it as their home, too.
        Self.removeAll(below: folder)
        rmdir(folder)
    }

    private static func removeAll(below folder: String) {
        guard let stream = opendir(folder) else { return }
        defer { closedir(stream) }
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name == "." || name == ".." { continue }
            let path = folder + "/" + name
            var status = stat()
            // A link is removed, never followed.
            if lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR {
                removeAll(below: path)
                rmdir(path)
            } else {
                unlink(path)
            }
        }
    }
}
