import Glibc

/// The files through which this process and burst-stepd know of each other, in a folder of the job's.
struct StepFolder {
    /// Files of ours are smaller by far.
    private static let bytesMax = 8192

    let path: String

    init(_ path: String) { self.path = path }

    /// Removes what a run left. The folder itself and its other files stay. An earlier run's end must not come back
    /// after a power cut and be taken for that of the next one, so this is durable when it returns.
    func clear() throws(StepFault) {
        // The order first: a burst-stepd that is late must not find it.
        for name in ["order", "notice", "script"] {
            unlink(path + "/" + name)
            unlink(path + "/" + name + ".new")
        }
        var wasThere = false
        for name in ["step", "exit", "log"] where unlink(path + "/" + name) == 0 { wasThere = true }
        guard wasThere else { return }
        let folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { throw .file(path, errno) }
        defer { close(folder) }
        guard fsync(folder) == 0 else { throw .file(path, errno) }
    }

    func make() throws(StepFault) {
        if mkdir(path, 0o700) != 0, errno != EEXIST { throw .file(path, errno) }
    }

    /// Whole or not at all, under its name; not synced.
    func write(_ bytes: [UInt8], to name: String) throws(StepFault) {
        let new = path + "/" + name + ".new"
        let file = open(new, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard file >= 0 else { throw .file(new, errno) }
        var done = 0
        var number: Int32 = 0
        while done < bytes.count, number == 0 {
            let count = bytes.withUnsafeBytes { Glibc.write(file, $0.baseAddress! + done, bytes.count - done) }
            if count > 0 { done += count } else if count == 0 || errno != EINTR { number = count == 0 ? EIO : errno }
        }
        if close(file) != 0, number == 0 { number = errno }
        if number == 0, rename(new, path + "/" + name) != 0 { number = errno }
        guard number == 0 else {
            unlink(new)
            throw .file(new, number)
        }
    }

    /// The lines of a file that is whole: `name=value` each, `end` the last one. nil where there is none.
    private func fields(of name: String) -> [String: String]? {
        let file = open(path + "/" + name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: Self.bytesMax)
        let count = read(file, &bytes, bytes.count)
        guard count > 0 else { return nil }
        let lines = String(decoding: bytes[..<count], as: UTF8.self).split(separator: "\n")
        guard lines.last == "end", lines.first == "version=1" else { return nil }
        var fields: [String: String] = [:]
        for line in lines {
            guard let sign = line.firstIndex(of: "=") else { continue }
            fields[String(line[..<sign])] = String(line[line.index(after: sign)...])
        }
        return fields
    }

    /// What burst-stepd wrote last of all; nil as long as it has not.
    var end: StepEnd? {
        guard let fields = fields(of: "exit") else { return nil }
        if let refused = fields["refused"] { return .couldNotStart(refused) }
        guard let status = fields["status"].flatMap({ Int32($0) }),
            let started = fields["started"].flatMap({ Int64($0) }),
            let ended = fields["ended"].flatMap({ Int64($0) })
        else { return nil }
        let signal = status & 0x7f
        return .ended(
            StepResult(
                exitCode: signal == 0 ? (status >> 8) & 0xff : 0, signal: signal, startedAt: started, endedAt: ended,
                note: fields["note"]))
    }

    /// Which process runs the step.
    struct Keeper {
        var pid: Int32
        /// Clock ticks between the start of the machine and its own.
        var start: UInt64
        var boot: String
    }

    var keeper: Keeper? {
        guard let fields = fields(of: "step"), let pid = fields["pid"].flatMap({ Int32($0) }), pid > 1,
            let start = fields["start"].flatMap({ UInt64($0) }), let boot = fields["boot"]
        else { return nil }
        return Keeper(pid: pid, start: start, boot: boot)
    }

    enum Lock {
        /// There is no order.
        case gone
        /// A burst-stepd has it: it lives.
        case held
        /// Nobody had it, and now it is taken away for good.
        case taken
    }

    /// Takes the order away unless somebody works on it. A burst-stepd that comes later finds nothing to do.
    func takeOrder() -> Lock {
        let file = open(path + "/order", O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard file >= 0 else { return .gone }
        defer { close(file) }
        guard flock(file, LOCK_EX | LOCK_NB) == 0 else { return .held }
        unlink(path + "/order")
        return .taken
    }
}
