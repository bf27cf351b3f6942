internal import BurstClient
internal import BurstSources
internal import BurstWire
internal import CSys
internal import Glibc

/// The process behind `--demo`: makes a temporary folder, runs `burstd` in it, keeps jobs coming, and clears all of it
/// away when its standard input ends, which it does with whoever started it.
///
/// As root it becomes `nobody` first: root's jobs get no burst buffers, and the demo needs no right of root's.
struct DemoKeeper {
    /// Seconds in which burstd must answer, and in which it must have ended.
    static let startSeconds = 10
    static let endSeconds = 2
    /// Milliseconds between two looks at the jobs.
    static let beatMilliseconds: Int32 = 1500
    /// Jobs that are submitted at once at the beginning, and kept in the queue.
    static let firstJobs = 9
    static let jobsMax = 12
    /// Bytes of an input file; more files of one job than this are a slip of the pen.
    static let fileBytes = 256 << 10
    static let filesMax = 1000
    /// What burstd and its hooks need beside it.
    static let programs = ["burst", "burst-scriptd", "burst-stepd", "burst-stage", "dw_wlm_cli", "dwstat"]
    static let prefix = "burst-demo-"

    private let resources: String
    private let burstd: String
    /// The `burst_buffer.lua` that comes with Burst.
    private let script: String

    /// Runs it to its end. Must come before anything else starts a thread.
    /// - Parameter arguments: folder of the demo's files, burstd's path, `burst_buffer.lua`'s path.
    static func run(_ arguments: [String]) -> Int32 {
        signal(SIGPIPE, SIG_IGN)
        signal(SIGHUP, SIG_IGN)
        signal(SIGINT, SIG_IGN)
        guard arguments.count == 3 else { return 2 }
        do {
            try DemoKeeper(resources: arguments[0], burstd: arguments[1], script: arguments[2]).run()
            return 0
        } catch let refusal as Refusal {
            _ = Places.write((refusal.text + "\n").utf8)
            return 1
        } catch {
            _ = Places.write("\(error)\n".utf8)
            return 1
        }
    }

    private func run() throws {
        try leaveRoot()
        guard access(burstd, X_OK) == 0 else {
            throw Refusal(
                "\(burstd) cannot be run by \(Places.user): \(String(cString: strerror(errno))); "
                    + "start burstmon --demo as an ordinary user, or install burstd where all may run it")
        }
        for name in Self.programs where access(beside(name), X_OK) != 0 {
            throw Refusal(
                "\(beside(name)): \(String(cString: strerror(errno))); the demo's burstd needs it beside itself: "
                    + "build it with swift build -c release --product \(name)")
        }
        guard bb_keep_orphans() == 0 else { throw fault("prctl") }
        let parent = Self.temporaryFolder()
        Self.removeLeftovers(in: parent)
        let folder = try Self.makeFolder(in: parent)
        let lock = open(folder + "/lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard lock >= 0, flock(lock, LOCK_EX | LOCK_NB) == 0 else { throw fault(folder) }
        defer { Self.remove(folder) }
        let jobs = try prepare(folder)
        // For burst, and for the hooks, which get burstd's environment.
        setenv("BURST_SOCKET", folder + "/burstd.sock", 1)
        setenv("BURST_PROGRAMS", String(burstd.dropLast("/burstd".count)), 1)
        try makePools(folder)
        let daemon = try start(folder)
        defer { Self.end(daemon) }
        let socket = folder + "/burstd.sock"
        let connection = try connect(socket, daemon, folder)
        guard Places.write("ready \(socket)\n".utf8) else { return }
        var crowd = DemoCrowd(jobs: jobs, folder: folder, connection: connection)
        for _ in 0..<Self.firstJobs { try crowd.submit() }
        while !Self.inputEnded(within: Self.beatMilliseconds) {
            do throws(ClientError) {
                try crowd.beat()
            } catch {
                // Without burstd there is nothing to keep; the monitor says that it is gone.
                while !Self.inputEnded(within: -1) {}
            }
        }
    }

    /// A program that comes with burstd.
    private func beside(_ name: String) -> String { burstd.dropLast("burstd".count) + name }

    private func fault(_ what: String) -> Refusal { Refusal("\(what): \(String(cString: strerror(errno)))") }

    // MARK: Who and where

    private func leaveRoot() throws {
        guard geteuid() == 0 else { return }
        guard let nobody = getpwnam("nobody") else {
            throw Refusal("there is no user nobody to run as; start burstmon --demo as an ordinary user")
        }
        let (uid, gid) = (nobody.pointee.pw_uid, nobody.pointee.pw_gid)
        guard setgroups(0, nil) == 0, setgid(gid) == 0, setuid(uid) == 0 else {
            throw Refusal(
                "root's jobs get no burst buffers, and this process may not become nobody "
                    + "(\(String(cString: strerror(errno)))); start burstmon --demo as an ordinary user")
        }
        // What root had told the children about itself.
        setenv("HOME", "/", 1)
        unsetenv("XDG_RUNTIME_DIR")
        _ = chdir("/")
    }

    /// TMPDIR where it is short enough for a socket below it, else /tmp.
    private static func temporaryFolder() -> String {
        if let named = Places.environment["TMPDIR"], named.hasPrefix("/"), named.utf8.count < 60,
            access(named, W_OK | X_OK) == 0
        {
            return named
        }
        return "/tmp"
    }

    private static func makeFolder(in parent: String) throws -> String {
        var name = Array("\(parent)/\(prefix)\(geteuid())-XXXXXX".utf8CString)
        guard mkdtemp(&name) != nil else {
            throw Refusal("\(parent): \(String(cString: strerror(errno)))")
        }
        return String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// What an earlier keeper of this user left that was killed: its lock is free.
    private static func removeLeftovers(in parent: String) {
        guard let directory = opendir(parent) else { return }
        var found: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name.hasPrefix("\(prefix)\(geteuid())-") { found.append(parent + "/" + name) }
        }
        closedir(directory)
        for folder in found {
            var status = stat()
            guard lstat(folder, &status) == 0, status.st_uid == geteuid(), status.st_mode & S_IFMT == S_IFDIR else {
                continue
            }
            let lock = open(folder + "/lock", O_RDWR | O_CLOEXEC | O_NOFOLLOW)
            guard lock >= 0 else { continue }
            if flock(lock, LOCK_EX | LOCK_NB) == 0 {
                if let connection = try? BurstConnection.connect(path: folder + "/burstd.sock", program: "burstmon") {
                    _ = try? connection.ask(.shutdown, seconds: startSeconds)
                }
                remove(folder)
            }
            close(lock)
        }
    }

    static func remove(_ folder: String) {
        _ = try? runToEnd(["/bin/rm", "-rf", "--", folder])
    }

    /// - Returns: what waitpid says of its end.
    private static func runToEnd(_ words: [String], errors: Int32? = nil) throws -> Int32 {
        let null = open("/dev/null", O_RDWR | O_CLOEXEC)
        defer { close(null) }
        let child = try DemoSource.spawn(words, input: null, output: null, errors: errors)
        var status: Int32 = 0
        while waitpid(child, &status, 0) < 0, errno == EINTR {}
        return status
    }

    // MARK: What the demo is made of

    /// The configuration, the scripts, files to stage.
    /// - Returns: the jobs in order.
    private func prepare(_ folder: String) throws -> [DemoJob] {
        for name in ["conf", "data", "pools", "results", "counters", "work"] {
            guard mkdir(folder + "/" + name, 0o700) == 0 else { throw fault(folder + "/" + name) }
        }
        // Into this one nothing can be staged out.
        guard mkdir(folder + "/results/full", 0o500) == 0 else { throw fault(folder + "/results/full") }
        for name in ["slurm.conf", "burst_buffer.conf", "burst_buffer.lua", "burst.toml"] {
            let text = Self.replace("@USER@", "\(geteuid())", in: try Self.text(resources + "/" + name))
            try Self.write(Array(Self.replace("@ROOT@", folder, in: text).utf8), to: folder + "/conf/" + name)
        }
        try Self.write(Array(try Self.text(script).utf8), to: folder + "/conf/stager.lua")
        guard let directory = opendir(resources + "/jobs") else { throw fault(resources + "/jobs") }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name.hasSuffix(".sh") { names.append(name) }
        }
        closedir(directory)
        guard !names.isEmpty else { throw Refusal("\(resources)/jobs: no job is there") }
        let jobs = try names.sorted().map { name in
            let text = try Self.text("\(resources)/jobs/\(name)")
            return DemoJob(name: name, script: Self.replace("@ROOT@", folder, in: text))
        }
        // Chance, which no file system stores in less space than it has.
        var generator = SystemRandomNumberGenerator()
        let words = (0..<Self.fileBytes / 8).map { _ in generator.next() as UInt64 }
        let bytes = words.withUnsafeBytes { Array($0) }
        for job in jobs { try makeInput(of: job, bytes, in: "\(folder)/data/\(job.title)") }
        return jobs
    }

    /// - Parameter bytes: the content of each of its files.
    private func makeInput(of job: DemoJob, _ bytes: [UInt8], in folder: String) throws {
        guard mkdir(folder, 0o700) == 0 else { throw fault(folder) }
        for number in 1...job.files { try Self.write(bytes, to: "\(folder)/\(job.title)-\(number).dat") }
    }

    /// Makes the pools that burst.toml names, with the command that an admin would use.
    private func makePools(_ folder: String) throws {
        let errors = open(folder + "/errors", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard errors >= 0 else { throw fault(folder + "/errors") }
        defer { close(errors) }
        for pool in ["nvme", "scratch"] {
            guard mkdir("\(folder)/pools/\(pool)", 0o711) == 0, chmod("\(folder)/pools/\(pool)", 0o711) == 0 else {
                throw fault("\(folder)/pools/\(pool)")
            }
            // A demo may lie on the file system of the system itself.
            let words = [beside("burst"), "pool", "create", pool, "--on-root", "--config", folder + "/conf"]
            guard try Self.runToEnd(words, errors: errors) == 0 else {
                throw Refusal(Self.lastLine(of: folder + "/errors") ?? "burst pool create \(pool): failed")
            }
        }
    }

    private static func lastLine(of path: String) -> String? {
        (try? text(path))?.split(separator: "\n").last.map(String.init)
    }

    private static func replace(_ word: String, _ value: String, in text: String) -> String {
        var parts: [Substring] = []
        var rest = text[...]
        while let range = rest.firstRange(of: word) {
            parts.append(rest[..<range.lowerBound])
            rest = rest[range.upperBound...]
        }
        return (parts + [rest]).joined(separator: value)
    }

    private static func text(_ path: String) throws -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Refusal("\(path): \(String(cString: strerror(errno)))") }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while case let count = read(descriptor, &buffer, buffer.count), count > 0 { bytes += buffer[..<count] }
        return String(decoding: bytes, as: UTF8.self)
    }

    private static func write(_ bytes: [UInt8], to path: String) throws {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0, Places.write(bytes, to: descriptor) else {
            throw Refusal("\(path): \(String(cString: strerror(errno)))")
        }
        close(descriptor)
    }

    // MARK: burstd

    private func start(_ folder: String) throws -> pid_t {
        let null = open("/dev/null", O_RDWR | O_CLOEXEC)
        let errors = open(folder + "/errors", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard null >= 0, errors >= 0 else { throw fault(folder) }
        defer {
            close(null)
            close(errors)
        }
        return try DemoSource.spawn(
            [
                burstd, "--foreground", "--config", folder + "/conf", "--state", folder + "/state", "--socket",
                folder + "/burstd.sock",
            ], input: null, output: null, errors: errors)
    }

    private func connect(_ socket: String, _ daemon: pid_t, _ folder: String) throws -> BurstConnection {
        let clock = SourceClock.system
        let until = clock.monotonicMilliseconds() + Int64(Self.startSeconds) * 1000
        while true {
            do throws(ClientError) {
                return try BurstConnection.connect(path: socket, program: "burstmon \(Launch.version)")
            } catch {
                var status: Int32 = 0
                let hasEnded = waitpid(daemon, &status, WNOHANG) == daemon
                if hasEnded || clock.monotonicMilliseconds() > until {
                    throw Refusal(Self.lastLine(of: folder + "/errors") ?? "\(error)")
                }
            }
            usleep(20_000)
        }
    }

    /// Ends burstd, and whatever it has left running: all of that has become ours.
    private static func end(_ daemon: pid_t) {
        kill(daemon, SIGTERM)
        let clock = SourceClock.system
        let until = clock.monotonicMilliseconds() + Int64(endSeconds) * 1000
        var status: Int32 = 0
        while waitpid(daemon, &status, WNOHANG) == 0, clock.monotonicMilliseconds() < until { usleep(10_000) }
        // Each round may bring children of those that it ended.
        for _ in 0..<500 {
            let children = children()
            if children.isEmpty, waitpid(-1, &status, WNOHANG) < 0 { return }
            for child in children { kill(child, SIGKILL) }
            while waitpid(-1, &status, WNOHANG) > 0 {}
            usleep(5_000)
        }
    }

    /// Processes whose parent is this one.
    private static func children() -> [pid_t] {
        guard let directory = opendir("/proc") else { return [] }
        defer { closedir(directory) }
        var found: [pid_t] = []
        let own = getpid()
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard let pid = pid_t(name), let status = try? text("/proc/\(name)/stat"),
                let close = status.lastIndex(of: ")")
            else { continue }
            let fields = status[close...].split(separator: " ")
            if fields.count > 2, pid_t(fields[2]) == own, fields[1] != "Z" { found.append(pid) }
        }
        return found
    }

    /// Waits so many milliseconds; true: whoever started this is gone, or wants no more. -1: until then.
    private static func inputEnded(within milliseconds: Int32) -> Bool {
        var entry = pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)
        guard poll(&entry, 1, milliseconds) > 0 else { return false }
        var byte: UInt8 = 0
        return read(STDIN_FILENO, &byte, 1) <= 0
    }
}

/// A job of the demo: what it wants stands in its script.
struct DemoJob {
    var name: String
    var script: String

    /// `climate` of `02-climate.sh`.
    var title: String {
        let stem = name.prefix { $0 != "." }
        return String(stem.drop { $0.isNumber || $0 == "-" })
    }

    /// Seconds after which somebody cancels it: `#demo cancel-after 60`.
    var cancelAfter: Int? {
        number("cancel-after")
    }

    /// How many files its input has: `#demo files 8`.
    var files: Int { min(max(1, number("files") ?? 1), DemoKeeper.filesMax) }

    private func number(_ word: String) -> Int? {
        let line = script.split(separator: "\n").first { $0.hasPrefix("#demo \(word) ") }
        return line.flatMap { Int($0.split(separator: " ").last ?? "") }
    }
}

/// Keeps jobs coming, and cancels those that nobody else will end.
struct DemoCrowd {
    /// Seconds for an answer: none of them waits for a script.
    private static let answerSeconds = 5

    private let jobs: [DemoJob]
    private let folder: String
    private let connection: BurstConnection
    private var next = 0
    private var doomed: [(job: UInt32, at: Int64)] = []
    private let clock = SourceClock.system

    init(jobs: [DemoJob], folder: String, connection: BurstConnection) {
        self.jobs = jobs
        self.folder = folder
        self.connection = connection
    }

    mutating func submit() throws(ClientError) {
        let job = jobs[next % jobs.count]
        next += 1
        var submission = BurstWire.Submission(name: job.title, workDir: folder + "/work")
        submission.environment = ["PATH=/usr/bin:/bin", "HOME=\(folder)"]
        submission.command = job.name
        submission.stdOut = "/dev/null"
        let (answer, _) = try connection.ask(
            .submit(submission), body: Array(job.script.utf8), seconds: Self.answerSeconds)
        if case .submitted(_, let id, _) = answer, let seconds = job.cancelAfter {
            doomed.append((id, clock.monotonicMilliseconds() + Int64(seconds) * 1000))
        }
    }

    /// One job more where there is room, and the cancels that are due.
    mutating func beat() throws(ClientError) {
        let now = clock.monotonicMilliseconds()
        for (job, at) in doomed where at <= now {
            var command = BurstWire.Command(.cancel, jobs: ["\(job)"])
            command.hurry = true
            _ = try connection.ask(.command(command), seconds: Self.answerSeconds)
        }
        doomed.removeAll { $0.at <= now }
        var queue = Show.Queue()
        queue.header = false
        queue.format = "%i"
        let (_, body) = try connection.ask(.show(.queue(queue)), seconds: Self.answerSeconds)
        if body.count(where: { $0 == UInt8(ascii: "\n") }) < DemoKeeper.jobsMax { try submit() }
    }
}
