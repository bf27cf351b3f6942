import BurstEngine
import CSys
import Glibc

/// The folders of jobs below the state folder (spec §3.7). What returns without an error is durable.
package struct JobFiles: Sendable {
    package let state: String

    package init(state: String) { self.state = state }

    // MARK: Writing

    /// A job whose files are to be written.
    struct Texts {
        var job: UInt32
        var script: String
        var environment: [String]
    }

    /// Jobs that are made durable together; each has three files open meanwhile.
    static let togetherMax = 128
    /// From so many jobs on the file system is synced as a whole: three syncs a job would take longer, most of all
    /// where others write to the disk, too.
    static let wholeFrom = 16

    /// Makes the job's folder with its script and environment, or writes them anew.
    func write(_ job: UInt32, script: String, environment: [String]) throws(StateFault) {
        try write([Texts(job: job, script: script, environment: environment)])
    }

    /// The same for many jobs, which costs little more than for one: the disk is told of all before it is waited for.
    func write(_ jobs: [Texts]) throws(StateFault) {
        var rest = jobs[...]
        while !rest.isEmpty {
            try writeTogether(rest.prefix(Self.togetherMax))
            rest = rest.dropFirst(Self.togetherMax)
        }
    }

    private func writeTogether(_ jobs: ArraySlice<Texts>) throws(StateFault) {
        var open: [(file: Int32, path: String)] = []
        var made: [String] = []
        defer { for (file, _) in open { close(file) } }
        do throws(StateFault) {
            for texts in jobs {
                let new = try begin(texts.job)
                made.append(new)
                var variables: [UInt8] = []
                for entry in texts.environment {
                    variables += Array(entry.utf8)
                    variables.append(0)
                }
                for (name, bytes) in [("/script", Array(texts.script.utf8)), ("/environment", variables)] {
                    let file = try Self.create(new + name)
                    open.append((file, new + name))
                    let number = Self.fill(file, bytes)
                    guard number == 0 else { throw StateFault.system(new + name, number) }
                    // With all of them under way one commit of the file system's journal serves many.
                    bb_begin_writing(file)
                }
                open.append((try Self.open(folder: new), new))
            }
            if jobs.count >= Self.wholeFrom {
                // One wait for all, with whatever else is on its way to this disk.
                if let (file, path) = open.first, bb_sync_file_system(file) != 0 {
                    throw StateFault.system(path, errno)
                }
            } else {
                for (file, path) in open where fsync(file) != 0 { throw StateFault.system(path, errno) }
            }
            for texts in jobs { try place(texts.job) }
            for digit in Set(jobs.map { $0.job % 10 }).sorted() { try Self.sync(folder: "\(state)/hash.\(digit)") }
        } catch {
            for new in made { Self.removeTree(new) }
            throw error
        }
    }

    /// Array tasks share their array's files.
    func link(from: UInt32, to: UInt32) throws(StateFault) {
        let new = try begin(to)
        do throws(StateFault) {
            for name in ["script", "environment"] {
                let old = EnginePaths.folder(from, in: state) + "/" + name
                if Glibc.link(old, new + "/" + name) != 0 { throw StateFault.system(new + "/" + name, errno) }
            }
            try Self.sync(folder: new)
            try place(to)
            try Self.sync(folder: "\(state)/hash.\(to % 10)")
        } catch {
            Self.removeTree(new)
            throw error
        }
    }

    /// Makes a folder beside that of the job, which takes its place when it is complete.
    private func begin(_ job: UInt32) throws(StateFault) -> String {
        let above = "\(state)/hash.\(job % 10)"
        if mkdir(above, 0o700) == 0 {
            try Self.sync(folder: state)
        } else if errno != EEXIST {
            throw .system(above, errno)
        }
        let new = EnginePaths.folder(job, in: state) + ".new"
        Self.removeTree(new)
        guard mkdir(new, 0o700) == 0 else { throw .system(new, errno) }
        return new
    }

    /// Moves what `begin` made in place. Durable with the folder above.
    private func place(_ job: UInt32) throws(StateFault) {
        let folder = EnginePaths.folder(job, in: state)
        let new = folder + ".new"
        // A folder of this number is left over, or the job's files are changed: the new ones take its place.
        if access(folder, F_OK) == 0 {
            for name in ["script", "environment"] where rename(new + "/" + name, folder + "/" + name) != 0 {
                throw StateFault.system(folder + "/" + name, errno)
            }
            try Self.sync(folder: folder)
            rmdir(new)
        } else {
            guard rename(new, folder) == 0 else { throw StateFault.system(folder, errno) }
        }
    }

    func writeSymbols(_ job: UInt32, text: String) throws(StateFault) {
        let path = EnginePaths.symbols(job, in: state)
        let new = path + ".new"
        do throws(StateFault) {
            try Self.file(new, Array(text.utf8))
            guard rename(new, path) == 0 else { throw StateFault.system(path, errno) }
            try Self.sync(folder: EnginePaths.folder(job, in: state))
        } catch {
            unlink(new)
            throw error
        }
    }

    /// As `makePathFile`, with a name a line.
    func writeNodes(_ job: UInt32, _ names: [String]) throws(StateFault) {
        let path = EnginePaths.nodes(job, in: state)
        let file = try Self.create(path)
        let number = Self.fill(file, names.flatMap { Array(($0 + "\n").utf8) })
        close(file)
        if number != 0 { throw .system(path, number) }
    }

    /// Empty, mode 0600. Not synced: it is made again before each call that needs it.
    func makePathFile(_ job: UInt32) throws(StateFault) {
        let path = EnginePaths.path(job, in: state)
        let file = Glibc.open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard file >= 0 else { throw .system(path, errno) }
        close(file)
    }

    // MARK: Reading

    /// As many lines from the top as there are `=` in the file (spec §4.7). The file goes away (spec §10, Q43).
    func takePaths(_ job: UInt32) throws(StateFault) -> [String] {
        let path = EnginePaths.path(job, in: state)
        let bytes = try Self.read(path, bytesMax: DaemonLimits.pathFileBytesMax)
        unlink(path)
        let signs = bytes.count { $0 == UInt8(ascii: "=") }
        var lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        if lines.last?.isEmpty == true { lines.removeLast() }
        return lines.prefix(signs).map { String(decoding: $0, as: UTF8.self) }
    }

    func environment(_ job: UInt32) throws(StateFault) -> [String] {
        let path = EnginePaths.environment(job, in: state)
        let bytes = try Self.read(path, bytesMax: Int(DaemonLimits.questionBytesMax))
        return bytes.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
    }

    // MARK: Removing

    func remove(_ job: UInt32) { Self.removeTree(EnginePaths.folder(job, in: state)) }

    /// Folders of jobs that are in the tree, and what else lies about there.
    func found() -> (jobs: [UInt32], strange: [String]) {
        var jobs: [UInt32] = []
        var strange: [String] = []
        for digit in 0..<10 {
            let above = "\(state)/hash.\(digit)"
            for name in Self.names(in: above) {
                if name.hasPrefix("job."), let job = UInt32(name.dropFirst(4)), job % 10 == UInt32(digit) {
                    jobs.append(job)
                } else {
                    strange.append(above + "/" + name)
                }
            }
        }
        return (jobs.sorted(), strange.sorted())
    }

    func hasScript(_ job: UInt32) -> Bool { access(EnginePaths.script(job, in: state), R_OK) == 0 }

    // MARK: Parts

    private static func file(_ path: String, _ bytes: [UInt8]) throws(StateFault) {
        let file = try create(path)
        var number = fill(file, bytes)
        if number == 0, fsync(file) != 0 { number = errno }
        if close(file) != 0, number == 0 { number = errno }
        if number != 0 { throw .system(path, number) }
    }

    private static func create(_ path: String) throws(StateFault) -> Int32 {
        let file = Glibc.open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard file >= 0 else { throw .system(path, errno) }
        return file
    }

    /// 0, or errno.
    private static func fill(_ file: Int32, _ bytes: [UInt8]) -> Int32 {
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes { Glibc.write(file, $0.baseAddress! + done, $0.count - done) }
            if count > 0 { done += count } else if errno != EINTR { return errno }
        }
        return 0
    }

    private static func open(folder: String) throws(StateFault) -> Int32 {
        let descriptor = Glibc.open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .system(folder, errno) }
        return descriptor
    }

    static func sync(folder: String) throws(StateFault) {
        let descriptor = try open(folder: folder)
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw .system(folder, errno) }
    }

    static func read(_ path: String, bytesMax: Int, followsLinks: Bool = false) throws(StateFault) -> [UInt8] {
        let file = Glibc.open(path, O_RDONLY | O_CLOEXEC | (followsLinks ? 0 : O_NOFOLLOW))
        guard file >= 0 else { throw .system(path, errno) }
        defer { close(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = Glibc.read(file, &buffer, buffer.count)
            if count == 0 { return bytes }
            if count < 0 {
                if errno == EINTR { continue }
                throw .system(path, errno)
            }
            bytes += buffer[..<count]
            guard bytes.count <= bytesMax else { throw StateFault("\(path): it has more than \(bytesMax) bytes") }
        }
    }

    static func names(in folder: String) -> [String] {
        guard let stream = opendir(folder) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names
    }

    /// Within our own folders only, which nobody else can write to.
    static func removeTree(_ path: String) {
        guard unlink(path) != 0, errno == EISDIR || errno == EPERM else { return }
        for name in names(in: path) { removeTree(path + "/" + name) }
        rmdir(path)
    }
}

extension StateFault {
    static func system(_ path: String, _ number: Int32) -> StateFault {
        StateFault("\(path): \(SystemError.text(number))")
    }
}

/// The C library's words for an error.
enum SystemError {
    static func text(_ number: Int32) -> String {
        var buffer = [CChar](repeating: 0, count: 256)
        strerror_r(number, &buffer, buffer.count)
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
