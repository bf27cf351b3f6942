import BurstModel
import BurstPools
import BurstTestSupport
import CSys
import Glibc
import Testing

/// What this machine lets tests do.
enum Machine {
    static let isRoot = geteuid() == 0
    /// In CI a test that cannot run fails instead of being left out.
    static let isRequired = getenv("BURST_CI").map { String(cString: $0) } == "1"
    /// `.ci/run` looks whether this machine has loop devices and mounts at all, and says so where it does not.
    static let canMount = (isRoot || isRequired) && getenv("BURST_WITHOUT_MOUNTS") == nil
    /// Of users who have no name here.
    static let owner: UInt32 = isRoot ? 54_321 : geteuid()
    static let group: UInt32 = isRoot ? 54_321 : getegid()
    static let stranger: UInt32 = 54_322

    /// Whether this process has the capability of that number.
    static func hasCapability(_ number: Int) -> Bool {
        let text = String(decoding: Fixtures.bytes(of: "/proc/self/status"), as: UTF8.self)
        let line = text.split(separator: "\n").first { $0.hasPrefix("CapEff:") }
        let set = line.flatMap { UInt64($0.dropFirst(7).drop { $0.isWhitespace }, radix: 16) } ?? 0
        return set >> number & 1 == 1
    }
}

/// A file system in a file, mounted in a folder of the test's own, and a pool in it. All of it goes with the value.
final class PoolBench {
    enum Ground: String, CaseIterable {
        case btrfs, ext4, xfs
        /// The folder itself, without a mount.
        case plain
    }

    let folder: TemporaryFolder
    var settings: PoolSettings
    let ground: Ground

    var path: String { settings.path }

    /// - Parameters:
    ///   - megabytes: of the file system; the file is sparse.
    init(
        _ ground: Ground, driver: PoolDriver?, megabytes: Int = 1024, granularity: UInt64 = 16 << 20,
        quantity: PoolSettings.Quantity = .all
    ) throws {
        self.ground = ground
        folder = try TemporaryFolder("burst-pool", openToOthers: true)
        settings = PoolSettings(
            name: "probe", path: folder("fs"), granularity: granularity, quantity: quantity, driver: driver)
        folder.makeFolder("fs")
        guard ground != .plain else { return }
        let image = folder("image")
        let number = Glibc.open(image, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard number >= 0, ftruncate(number, megabytes << 20) == 0 else { throw HarnessError("image: errno \(errno)") }
        close(number)
        switch ground {
        case .btrfs: try Self.run(["mkfs.btrfs", "-q", "-f", image])
        case .ext4: try Self.run(["mkfs.ext4", "-q", "-F", "-m", "0", image])
        case .xfs: try Self.run(["mkfs.xfs", "-q", "-f", image])
        case .plain: break
        }
        try mountGround()
    }

    /// For the driver, what it is usually put on.
    convenience init(for driver: PoolDriver, granularity: UInt64 = 16 << 20) throws {
        switch driver {
        case .btrfs: try self.init(.btrfs, driver: driver, granularity: granularity)
        case .tmpfs:
            try self.init(.ext4, driver: driver, megabytes: 64, granularity: granularity, quantity: .granules(64))
        default: try self.init(.ext4, driver: driver, granularity: granularity)
        }
    }

    deinit {
        unmountAll()
        // The last user of a device is gone a moment after the mount.
        _ = Wait.until { loops().isEmpty }
    }

    static func run(_ words: [String]) throws {
        let paths: [String] = ["/usr/sbin/", "/sbin/", "/usr/bin/"].map { $0 + words[0] }
        guard let path = paths.first(where: { access($0, X_OK) == 0 }) else {
            throw HarnessError("\(words[0]) is not installed: .ci/install tests")
        }
        var arguments: [UnsafePointer<CChar>?] = []
        for word in [path] + words.dropFirst() { arguments.append(UnsafePointer(strdup(word))) }
        arguments.append(nil)
        defer { for word in arguments { free(UnsafeMutableRawPointer(mutating: word)) } }
        var output = [CChar](repeating: 0, count: 4096)
        let status = bb_run(path, &arguments, 60_000, &output, output.count)
        let said = output.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
        guard status == 0 else { throw HarnessError("\(words[0]): status \(status), errno \(errno): \(said)") }
    }

    func mountGround() throws {
        let number = Glibc.open(folder("image"), O_RDWR | O_CLOEXEC)
        guard number >= 0 else { throw HarnessError("image: errno \(errno)") }
        defer { close(number) }
        var device = [CChar](repeating: 0, count: 64)
        let attached = bb_loop_attach(number, 0, &device, device.count)
        guard attached >= 0 else { throw HarnessError("loop device: errno \(errno)") }
        defer { close(attached) }
        let name = device.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
        guard bb_mount(name, folder("fs"), ground.rawValue, nil) == 0 else {
            throw HarnessError("mount: errno \(errno)")
        }
    }

    // MARK: What there is

    /// Mounts at or below a folder of the bench, deepest last.
    func mounts(_ below: String = "") -> [String] {
        let text = String(decoding: Fixtures.bytes(of: "/proc/self/mountinfo"), as: UTF8.self)
        let start = folder.path + below
        return text.split(separator: "\n").map { String($0.split(separator: " ")[4]) }.filter { $0.hasPrefix(start) }
    }

    /// Loop devices on files of the bench, but for that of its own image.
    func loops(all: Bool = false) -> [String] {
        names("/sys/block").filter { $0.hasPrefix("loop") }.compactMap { name in
            let path = "/sys/block/\(name)/loop/backing_file"
            guard let file = fopen(path, "rb") else { return nil }
            defer { fclose(file) }
            var buffer = [UInt8](repeating: 0, count: 4096)
            let count = fread(&buffer, 1, buffer.count, file)
            let text = String(decoding: buffer[..<count].prefix { $0 != 10 }, as: UTF8.self)
            guard text.hasPrefix(folder.path + "/"), all || !text.hasPrefix(folder("image")) else { return nil }
            return text
        }
    }

    func names(_ path: String) -> [String] {
        guard let stream = opendir(path) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// How many descriptors of this process lead below the bench, which no other test does.
    func descriptors() -> Int {
        names("/proc/self/fd").count { name in
            var buffer = [CChar](repeating: 0, count: 4096)
            let count = readlink("/proc/self/fd/\(name)", &buffer, buffer.count - 1)
            return count > 0
                && buffer.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }.hasPrefix(folder.path)
        }
    }

    func unmountAll() {
        for mount in mounts().reversed() { umount2(mount, Int32(MNT_DETACH)) }
    }

    // MARK: The pool

    static let now = Timestamp(milliseconds: 1_700_000_000_000)

    func create() throws { try PoolFolder.create(settings, now: Self.now, onRoot: ground == .plain) }

    func open(_ use: PoolFolder.Use = .own) throws -> PoolFolder { try PoolFolder.open(settings, for: use) }

    /// A pool that is ready.
    func pool() throws -> PoolFolder {
        try create()
        return try open()
    }

    func request(
        _ id: UInt64, generation: UInt64 = 1, bytes: UInt64 = 32 << 20, uid: UInt32 = Machine.owner
    ) -> PoolRequest {
        PoolRequest(id: id, generation: generation, uid: uid, gid: Machine.group, bytes: bytes)
    }

    /// Nothing is left of any buffer.
    func expectEmpty(_ pool: PoolFolder, sourceLocation: SourceLocation = #_sourceLocation) {
        #expect(pool.account.live == 0, sourceLocation: sourceLocation)
        #expect(pool.account.quarantined == 0, sourceLocation: sourceLocation)
        for place in ["buffers", "mnt", ".bb/quarantine", ".bb/records", ".bb/images"] {
            #expect(names("\(path)/\(place)") == [], "in \(place)", sourceLocation: sourceLocation)
        }
        #expect(mounts("/fs/") == [], sourceLocation: sourceLocation)
        #expect(Wait.until { loops() == [] }, sourceLocation: sourceLocation)
        let leaks = Reconciliation.leaks(
            known: [], found: pool.inventory(), now: Self.now.adding(seconds: 1 << 30), graceSeconds: 0)
        #expect(leaks == [], sourceLocation: sourceLocation)
    }

    // MARK: The probe

    func start(_ words: String...) throws -> PipedProgram {
        try PipedProgram(
            [Programs.path(of: "pool-probe")] + words,
            environment: ["PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "SWIFT_BACKTRACE": "enable=no"],
            keepsInput: words.first == "hold")
    }

    struct Written: Equatable {
        var count: UInt64
        var error: Int32
    }

    /// What a user, or root, got done: bytes or files, and the errno that ended it.
    func write(_ mode: String, _ path: String, as uid: UInt32, _ count: UInt64) throws -> Written {
        let result = try start(mode, path, String(uid), String(count)).waitForEnd(seconds: 120)
        let words = result.text.split { $0 == " " || $0 == "\n" }
        guard words.count == 2, let done = UInt64(words[0]), let error = Int32(words[1]) else {
            throw HarnessError("pool-probe said \(result.text) \(result.errorText)")
        }
        return Written(count: done, error: error)
    }

    func fill(_ path: String, as uid: UInt32, _ bytes: UInt64) throws -> Written {
        try write("fill", path, as: uid, bytes)
    }

    func look(_ path: String, as uid: UInt32) throws -> Int32? {
        Int32(try start("look", path, String(uid)).waitForEnd(seconds: 20).text.prefix { $0.isNumber })
    }
}

extension PoolBench {
    func write(_ text: String, to path: String) {
        let file = Glibc.open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        precondition(file >= 0, "\(path): errno \(errno)")
        let bytes = Array(text.utf8)
        _ = Glibc.write(file, bytes, bytes.count)
        close(file)
    }
}
