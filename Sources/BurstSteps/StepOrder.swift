/// Which script is to run, as whom, where and with what.
package struct StepOrder: Hashable, Sendable {
    package enum Script: Hashable, Sendable {
        /// A file that only the daemon need be able to read; it is copied. A byte 0 at its end is left out.
        case file(String)
        /// The bytes themselves; they are kept in the job's folder until the step has ended.
        case text([UInt8])
    }

    package var jobID: UInt32
    package var uid: UInt32
    package var gid: UInt32
    /// For the owner's further groups.
    package var userName: String
    /// Where it runs. One that cannot be entered is replaced by /tmp, with a line to the script's standard error.
    package var workDir: String
    package var script: Script
    /// What follows the script's name on its command line.
    package var arguments: [String]
    /// Absolute paths, opened as the owner; folders are not made. The same path twice is one open file.
    package var stdin: String
    package var stdout: String
    package var stderr: String
    /// `--open-mode=append`; else outputs are emptied first. Either way all writing goes to the end.
    package var appends: Bool
    /// `NAME=value`, all of it. SLURM_TASK_PID and BURST_STEP are added.
    package var environment: [String]
    package var umask: UInt32
    /// Between TERM and KILL, seconds.
    package var killWaitSeconds: Int
    /// The job's folder, private to the daemon. Made where it is missing, but not the folders above it.
    package var folder: String

    package init(
        jobID: UInt32, uid: UInt32, gid: UInt32, userName: String, workDir: String, script: Script,
        arguments: [String] = [], stdin: String = "/dev/null", stdout: String, stderr: String? = nil,
        appends: Bool = false, environment: [String], umask: UInt32 = 0o022, killWaitSeconds: Int = 30, folder: String
    ) {
        self.jobID = jobID
        self.uid = uid
        self.gid = gid
        self.userName = userName
        self.workDir = workDir
        self.script = script
        self.arguments = arguments
        self.stdin = stdin
        self.stdout = stdout
        self.stderr = stderr ?? stdout
        self.appends = appends
        self.environment = environment
        self.umask = umask
        self.killWaitSeconds = killWaitSeconds
        self.folder = folder
    }

    /// What the file `step` begins with: fields `name=value`, each with a byte 0 after it, `end` the last.
    /// - Parameter spool: the folder of this job's own in which the owner finds the script.
    /// - Parameter groups: all that the owner is in.
    func encoded(spool: String, groups: [UInt32]) throws(StepFault) -> [UInt8] {
        var bytes: [UInt8] = []
        var fields: [(String, String)] = [
            ("uid", "\(uid)"), ("gid", "\(gid)"), ("groups", groups.map(String.init).joined(separator: ",")),
            ("umask", "\(umask)"),
            ("killwait", "\(killWaitSeconds)"), ("appends", appends ? "1" : "0"), ("workdir", workDir),
            ("script", scriptPath), ("spool", spool), ("stdin", stdin), ("stdout", stdout), ("stderr", stderr),
        ]
        if userName.isEmpty { throw .order("the user has no name") }
        for (name, value) in fields where value.isEmpty { throw .order("\(name) is empty") }
        for path in [workDir, scriptPath, spool, stdin, stdout, stderr, folder] where !path.hasPrefix("/") {
            throw .order("\(path) does not begin with /")
        }
        guard (0...Self.killWaitSecondsMax).contains(killWaitSeconds) else {
            throw .order("KillWait is \(killWaitSeconds), but at most \(Self.killWaitSecondsMax) seconds are possible")
        }
        for variable in environment where !variable.utf8.dropFirst().contains(UInt8(ascii: "=")) {
            throw .order("\(variable.prefix(40)) in the environment is not NAME=value")
        }
        fields += arguments.map { ("arg", $0) } + environment.map { ("env", $0) }
        guard fields.count < Self.fieldsMax else { throw .order("more than \(Self.fieldsMax) variables and arguments") }
        for (name, value) in fields {
            guard !value.utf8.contains(0) else { throw .order("\(name) holds a byte 0") }
            bytes += Array(name.utf8)
            bytes.append(UInt8(ascii: "="))
            bytes += Array(value.utf8)
            bytes.append(0)
        }
        bytes += Array("end".utf8) + [0]
        guard bytes.count <= Self.bytesMax else { throw .order("it has more than \(Self.bytesMax >> 20) MiB") }
        return bytes
    }

    var scriptPath: String {
        switch script {
        case .file(let path): path
        case .text: folder + "/step.script"
        }
    }

    /// As in burst-stepd, which refuses more.
    static let bytesMax = 16 << 20
    static let fieldsMax = 65536
    static let killWaitSecondsMax = 1_000_000
}
