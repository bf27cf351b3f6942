import BurstStaging
import BurstTestSupport
import CSys
import Glibc

/// Folders for one copy, and the program that does it as an ordinary user.
final class StageBench: Sendable {
    /// Who stages: a user of no account's where the tests run as root, else ourselves.
    struct Owner: Sendable {
        var uid: UInt32
        var gid: UInt32
        /// One more group that he is in.
        var further: UInt32

        static let isRoot = geteuid() == 0
        static let current = isRoot ? Owner(uid: 64_001, gid: 64_001, further: 64_007) : ourselves

        static var ourselves: Owner {
            var groups = [gid_t](repeating: 0, count: 1024)
            let count = getgroups(1024, &groups)
            return Owner(
                uid: getuid(), gid: getgid(), further: groups.prefix(Int(max(0, count))).last ?? getgid())
        }
    }

    let folder: TemporaryFolder
    let owner: Owner
    let token: String

    var source: String { folder("source") }
    var buffer: String { folder("buffer") }
    var target: String { folder("buffer/in") }
    var journal: String { folder("own/journal") }
    var report: String { folder("own/report") }

    /// - Parameter isOurs: whatever there is belongs to whom the tests run as; for copies in this process.
    init(token: String = "4711", isOurs: Bool = false) throws {
        self.token = token
        owner = isOurs ? .ourselves : .current
        folder = try TemporaryFolder("burst-stage", openToOthers: true)
        for name in ["source", "buffer", "own"] {
            folder.makeFolder(name)
            chown(folder(name), owner.uid, owner.gid)
        }
    }

    deinit { Self.remove(folder.path) }

    /// Deep and closed trees are too much for the folder's own removal.
    static func remove(_ path: String) {
        let fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard fd >= 0 else { return }
        empty(fd)
        close(fd)
    }

    private static func empty(_ fd: Int32) {
        let copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard copy >= 0, let stream = fdopendir(copy) else { return }
        fchmod(fd, 0o700)
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { pointer in
                    Array(UnsafeBufferPointer(start: pointer, count: strlen(pointer) + 1))
                }
            }
            if name == [46, 0] || name == [46, 46, 0] || unlinkat(fd, name, 0) == 0 { continue }
            var inner = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
            if inner < 0, bb_chmod_leaf(fd, name, 0o700) == 0 {
                inner = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
            }
            if inner >= 0 {
                empty(inner)
                close(inner)
            }
            unlinkat(fd, name, Int32(AT_REMOVEDIR))
        }
        closedir(stream)
    }

    // MARK: Orders

    /// A stage-in of `source` to `buffer:in`, with settings that differ.
    func order(_ settings: String..., transfers: [String]? = nil, phase: String = "stage-in") -> String {
        let top = ["token \(token)", "generation 1", "phase \(phase)", "buffer \(buffer)", "journal \(journal)"]
        let moves =
            transfers
            ?? [
                phase == "stage-in"
                    ? "transfer directory pfs:\(source) buffer:in"
                    : "transfer directory buffer:in pfs:\(folder("out/deep"))"
            ]
        return (top + ["report \(report)"] + settings + moves + ["end"]).joined(separator: "\n") + "\n"
    }

    var arguments: [String] {
        let program = [Programs.path(of: "burst-stage")]
        guard Owner.isRoot else { return program }
        return program + [
            "--uid", "\(owner.uid)", "--gid", "\(owner.gid)", "--groups", "\(owner.gid),\(owner.further)",
        ]
    }

    func start(_ order: String) throws -> PipedProgram {
        let program = try PipedProgram(arguments, environment: [:], keepsInput: true)
        program.send(order)
        return program
    }

    func run(_ order: String, seconds: Double = 120) throws -> Outcome {
        let program = try start(order)
        program.closeInput()
        return Outcome(program.waitForEnd(seconds: seconds))
    }

    struct Outcome {
        var status: Int32?
        var lines: [JSON]
        var errors: String
        var text: String

        init(_ result: PipedProgram.Result) {
            if case .exited(let status)? = result.end { self.status = status }
            text = result.text
            lines = result.text.split(separator: "\n").compactMap { try? JSON($0.utf8) }
            errors = result.errorText
        }

        var last: JSON? { lines.last }
    }

    /// Forgets what was staged.
    func startOver() {
        unlink(journal)
        Self.remove(target)
        rmdir(target)
    }

    // MARK: Trees

    func makeFile(_ path: String, _ content: some Sequence<UInt8>, mode: mode_t = 0o644) {
        let bytes = Array(content)
        let fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        precondition(fd >= 0, "\(path): errno \(errno)")
        precondition(write(fd, bytes, bytes.count) == bytes.count)
        fchown(fd, owner.uid, owner.gid)
        fchmod(fd, mode)
        close(fd)
    }

    func makeFolder(_ path: String, mode: mode_t = 0o755) {
        mkdir(path, 0o700)
        chown(path, owner.uid, owner.gid)
        chmod(path, mode)
    }

    func makeLink(_ path: String, to text: String) {
        symlink(text, path)
        lchown(path, owner.uid, owner.gid)
    }

    /// Folders with files of that size, the content of each its own.
    func makeFiles(folders: Int, files: Int, bytes: Int) {
        for folder in 0..<folders {
            let path = "\(source)/folder\(folder)"
            makeFolder(path)
            for file in 0..<files {
                makeFile("\(path)/file\(file)", Self.content(bytes, seed: UInt64(folder) << 32 | UInt64(file)))
            }
        }
    }

    static func content(_ count: Int, seed: UInt64) -> [UInt8] {
        var state = seed &* 0x9e37_79b9_7f4a_7c15 | 1
        var bytes = [UInt8]()
        bytes.reserveCapacity(count + 8)
        while bytes.count < count {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            withUnsafeBytes(of: state) { bytes.append(contentsOf: $0) }
        }
        return Array(bytes.prefix(count))
    }

    /// Names below a folder that are no user's.
    func temporaries(below path: String) throws -> [String] {
        try TreeHash(of: path).lines.keys.map { String(decoding: $0, as: UTF8.self) }
            .filter { $0.split(separator: "/").last?.hasPrefix(".bbpart.") == true }
    }

    static func count(_ variable: String, _ usual: Int) -> Int {
        getenv(variable).flatMap { Int(String(cString: $0)) } ?? usual
    }
}
