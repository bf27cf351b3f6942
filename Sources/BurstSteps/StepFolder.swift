import Glibc

/// What this process and burst-stepd know of each other, in a folder of the job's: the file `step` holds the order and,
/// behind its last byte 0, what burst-stepd said: who it is, and how it ended. Its lines are `name=value`, each time
/// between `version=1` and `end`. Beside it: `step.log`, and for a while `step.notice` and `step.script`.
struct StepFolder {
    /// All that burst-stepd says is smaller by far.
    private static let saidBytesMax: Int64 = 8192

    let path: String

    init(_ path: String) { self.path = path }

    private var file: String { path + "/step" }

    /// Removes what a run left. The folder itself and its other files stay. An earlier run's end must not come back
    /// after a power cut and be taken for that of the next one, so this is durable when it returns.
    func clear() throws(StepFault) {
        // The order first: a burst-stepd that is late must not find it.
        let wasThere = unlink(file) == 0
        for name in ["step.new", "step.notice", "step.notice.new", "step.script", "step.script.new", "step.log"] {
            unlink(path + "/" + name)
        }
        guard wasThere else { return }
        try Self.sync(path)
    }

    static func sync(_ path: String) throws(StepFault) {
        let folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { throw .file(path, errno) }
        defer { close(folder) }
        guard fsync(folder) == 0 else { throw .file(path, errno) }
    }

    func make() throws(StepFault) {
        if mkdir(path, 0o700) != 0, errno != EEXIST { throw .file(path, errno) }
    }

    /// Whole or not at all, under its name.
    /// - Parameter isDurable: it and its name are on the disk when this returns.
    func write(_ bytes: [UInt8], to name: String, isDurable: Bool = false) throws(StepFault) {
        let new = path + "/" + name + ".new"
        let file = open(new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard file >= 0 else { throw .file(new, errno) }
        var done = 0
        var number: Int32 = 0
        while done < bytes.count, number == 0 {
            let count = bytes.withUnsafeBytes { Glibc.write(file, $0.baseAddress! + done, bytes.count - done) }
            if count > 0 { done += count } else if count == 0 || errno != EINTR { number = count == 0 ? EIO : errno }
        }
        if isDurable, number == 0, fsync(file) != 0 { number = errno }
        if close(file) != 0, number == 0 { number = errno }
        if number == 0, rename(new, path + "/" + name) != 0 { number = errno }
        guard number == 0 else {
            unlink(new)
            throw .file(new, number)
        }
        if isDurable { try Self.sync(path) }
    }

    /// Which process runs the step.
    struct Keeper {
        var pid: Int32
        /// Clock ticks between the start of the machine and its own.
        var start: UInt64
        var boot: String
    }

    /// What burst-stepd said so far.
    struct Said {
        var keeper: Keeper?
        /// Its last word.
        var end: StepEnd?

        init() {}

        /// Whatever is not whole is left out.
        init(_ bytes: some Sequence<UInt8>) {
            var fields: [Substring: String]?
            for line in String(decoding: Array(bytes), as: UTF8.self).split(separator: "\n") {
                if line == "version=1" {
                    fields = [:]
                } else if line == "end" {
                    if let fields { take(fields) }
                    fields = nil
                } else if let sign = line.firstIndex(of: "=") {
                    fields?[line[..<sign]] = String(line[line.index(after: sign)...])
                } else if line == "lost" {
                    end = .lost
                }
            }
        }

        private mutating func take(_ fields: [Substring: String]) {
            if let refused = fields["refused"] {
                end = .couldNotStart(refused)
            } else if let pid = fields["pid"].flatMap({ Int32($0) }), pid > 1,
                let start = fields["start"].flatMap({ UInt64($0) }), let boot = fields["boot"]
            {
                keeper = Keeper(pid: pid, start: start, boot: boot)
            } else if let status = fields["status"].flatMap({ Int32($0) }),
                let started = fields["started"].flatMap({ Int64($0) }),
                let ended = fields["ended"].flatMap({ Int64($0) })
            {
                let signal = status & 0x7f
                end = .ended(
                    StepResult(
                        exitCode: signal == 0 ? (status >> 8) & 0xff : 0, signal: signal, startedAt: started,
                        endedAt: ended, note: fields["note"]))
            }
        }
    }

    var said: Said {
        let file = open(file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard file >= 0 else { return Said() }
        defer { close(file) }
        return Self.said(file)
    }

    private static func said(_ file: Int32) -> Said {
        var status = stat()
        guard fstat(file, &status) == 0 else { return Said() }
        var bytes = [UInt8](repeating: 0, count: Int(min(Int64(status.st_size), saidBytesMax)))
        let count = pread(file, &bytes, bytes.count, off_t(status.st_size) - off_t(bytes.count))
        guard count > 0 else { return Said() }
        let tail = bytes[..<count]
        return Said(tail.lastIndex(of: 0).map { tail[($0 + 1)...] } ?? tail)
    }

    enum Found {
        /// There is no order.
        case gone
        /// A burst-stepd has it: it lives. What it said up to now.
        case held(Said)
        /// Nobody has it, so that this is all that was said. An order that nobody ever had is taken away: a burst-stepd
        /// that comes later finds nothing to do.
        case left(Said)
    }

    func look() -> Found {
        let file = open(file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard file >= 0 else { return .gone }
        defer { close(file) }
        guard flock(file, LOCK_EX | LOCK_NB) == 0 else { return .held(Self.said(file)) }
        let said = Self.said(file)
        if said.keeper == nil, said.end == nil { unlink(self.file) }
        return .left(said)
    }

    /// From now on `look` says that the step was lost.
    func leaveLost() throws(StepFault) {
        try make()
        try write([0] + Array("\nlost\n".utf8), to: "step")
    }
}
