import BurstEngine
import BurstWire
import Glibc
import NIOCore
import NIOPosix
import Synchronization

/// Listens on a Unix socket. Whoever connects is known by the socket's peer credentials.
package final class SocketServer: Sendable {
    package let path: String
    let driver: Driver
    /// Nil: nothing is staged here.
    private let stager: StagerService?
    /// `burstd 0.1`
    let program: String
    private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    private let names = Kitchen()
    private let people = People()
    private let state = Mutex(State())
    private let ownUserID = geteuid()

    private struct Credentials: Hashable {
        var uid: UInt32
        var gid: UInt32
    }

    private struct State {
        var channel: (any Channel)?
        var file: SocketFile.Identity?
        var next: UInt64 = 1
        var open: [UInt64: Peer] = [:]
        var byUser: [UInt32: Int] = [:]
        /// Those whose question had no room.
        var parked: Set<UInt64> = []
        var connectionsMax = DaemonLimits.connectionsMax
        var isStopping = false
        /// Names that were looked up lately.
        var known: [Credentials: (owner: ClientQuestion.Owner, until: Int64)] = [:]
    }

    package init(path: String, driver: Driver, stager: StagerService? = nil, program: String) {
        self.path = path
        self.driver = driver
        self.stager = stager
        self.program = program
    }

    // MARK: Life

    /// Returns when clients can connect.
    package func start() async throws(StateFault) {
        let files = OpenFiles.raise()
        state.withLock { $0.connectionsMax = min(DaemonLimits.connectionsMax, max(16, files - 512)) }
        driver.whenRoom { [weak self] in self?.unpark() }
        stager?.whenRoom { [weak self] in self?.unpark() }
        try SocketFile.prepare(path)
        let bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 1024)
            .childChannelInitializer { [self] channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Connection(server: self))
                }
            }
        let channel: any Channel
        do {
            channel = try await bootstrap.bind(unixDomainSocketPath: path).get()
        } catch {
            throw StateFault(
                "\(path): burstd cannot listen there: \((error as? IOError).map { SystemError.text($0.errnoCode) } ?? "\(error)")"
            )
        }
        // Everybody may ask; who asks decides what is done.
        guard chmod(path, 0o666) == 0 else { throw .system(path, errno) }
        state.withLock { state in
            state.channel = channel
            state.file = SocketFile.identity(path)
        }
    }

    /// Takes no more connections; those that are open go on.
    package func stopListening() async {
        let (channel, file) = state.withLock { state in
            state.isStopping = true
            defer { state.channel = nil }
            return (state.channel, state.file)
        }
        try? await channel?.close()
        // Another burstd may listen there by now.
        if let file, SocketFile.identity(path) == file { unlink(path) }
    }

    /// Ends the connections that are left, when they have taken their last answers.
    package func stop() async {
        await stopListening()
        let peers = state.withLock { Array($0.open.values) }
        for peer in peers { peer.end() }
        let deadline = SystemTime.monotonicMilliseconds() + 2000
        while state.withLock({ !$0.open.isEmpty }), SystemTime.monotonicMilliseconds() < deadline {
            try? await Task.sleep(for: .milliseconds(10))
        }
        names.stop()
        try? await group.shutdownGracefully()
    }

    // MARK: Connections

    package var connectionCount: Int { state.withLock { $0.open.count } }

    /// - Returns: the connection's number, or why there is none.
    func admit(_ peer: Peer, uid: UInt32) -> String? {
        state.withLock { state in
            if state.isStopping { return "burstd is ending" }
            guard state.open.count < state.connectionsMax else {
                return "\(state.open.count) connections are open, and no more can; try again later"
            }
            let own = state.byUser[uid, default: 0]
            guard own < DaemonLimits.connectionsOfUserMax else {
                return "user \(uid) has \(own) connections, and no more can; close some"
            }
            state.byUser[uid] = own + 1
            state.open[peer.number] = peer
            return nil
        }
    }

    func number() -> UInt64 {
        state.withLock { state in
            defer { state.next += 1 }
            return state.next
        }
    }

    func closed(_ number: UInt64, uid: UInt32) {
        let wasOpen = state.withLock { state in
            state.parked.remove(number)
            guard state.open.removeValue(forKey: number) != nil else { return false }
            let left = state.byUser[uid, default: 1] - 1
            state.byUser[uid] = left > 0 ? left : nil
            return true
        }
        guard wasOpen else { return }
        driver.gone(number)
        stager?.gone(number)
    }

    /// Hands a question to whom it is for; false where there is no room now.
    func ask(_ question: ClientQuestion) -> Bool {
        if let stager, StagerService.takes(question.ask) { return stager.ask(question) }
        return driver.ask(question)
    }

    func park(_ number: UInt64) { state.withLock { _ = $0.parked.insert(number) } }

    private func unpark() {
        let peers = state.withLock { state in
            defer { state.parked = [] }
            return state.parked.compactMap { state.open[$0] }
        }
        for peer in peers { peer.tryAgain() }
    }

    // MARK: Names

    /// Who has these credentials; a directory service may take its time, and is not asked for each connection.
    func caller(uid: UInt32, gid: UInt32, _ take: @escaping @Sendable (Caller, ClientQuestion.Owner) -> Void) {
        let isOperator = uid == 0 || uid == ownUserID || uid == driver.slurmUserID
        @Sendable func found(_ owner: ClientQuestion.Owner) {
            take(Caller(uid: uid, gid: gid, userName: owner.user.name, isOperator: isOperator), owner)
        }
        let credentials = Credentials(uid: uid, gid: gid)
        let now = SystemTime.monotonicMilliseconds()
        if let known = state.withLock({ $0.known[credentials] }), known.until > now { return found(known.owner) }
        names.cook { [self] in
            let name = people.user(uid: uid)?.name
            let group = people.groupName(gid)
            let owner = ClientQuestion.Owner(
                user: People.User(uid: uid, gid: gid, name: name ?? "\(uid)"), groupName: group ?? "\(gid)")
            if name != nil, group != nil {
                state.withLock { state in
                    if state.known.count >= DaemonLimits.namesKnownMax { state.known = [:] }
                    state.known[credentials] = (owner, now + DaemonLimits.namesKnownMilliseconds)
                }
            }
            found(owner)
        }
    }

    /// Another user, by name or number.
    func owner(_ named: String, _ take: @escaping @Sendable (ClientQuestion.Owner?) -> Void) {
        names.cook { [people] in
            let user = people.user(named: named) ?? UInt32(named).flatMap { people.user(uid: $0) }
            take(user.map { ClientQuestion.Owner(user: $0, groupName: people.groupName($0.gid) ?? "\($0.gid)") })
        }
    }
}

/// The socket as a file.
package enum SocketFile {
    struct Identity: Equatable {
        var device: UInt64
        var inode: UInt64
    }

    static func identity(_ path: String) -> Identity? {
        var status = stat()
        guard lstat(path, &status) == 0 else { return nil }
        return Identity(device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
    }

    /// Makes the folder, and takes away what a dead burstd left. What somebody listens on stays.
    package static func prepare(_ path: String) throws(StateFault) {
        let room = MemoryLayout.size(ofValue: sockaddr_un().sun_path)
        guard path.hasPrefix("/"), path.utf8.count < room else {
            throw StateFault("\(path): a socket's path begins with / and has less than \(room) bytes")
        }
        let folder = String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)])
        if !folder.isEmpty { try Folders.make(folder, mode: 0o755) }
        var status = stat()
        guard lstat(path, &status) == 0 else {
            if errno == ENOENT { return }
            throw .system(path, errno)
        }
        guard status.st_mode & S_IFMT == S_IFSOCK else {
            throw StateFault("\(path): is no socket; name another place with --socket, or move it away")
        }
        guard !isAnswered(path) else {
            throw StateFault("\(path): a burstd listens there already; stop it first (burst shutdown)")
        }
        guard unlink(path) == 0 || errno == ENOENT else { throw .system(path, errno) }
    }

    private static func isAnswered(_ path: String) -> Bool {
        let descriptor = socket(
            AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
        guard descriptor >= 0 else { return true }
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let status = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        // A queue that is full is somebody's, too.
        return status == 0 || errno == EAGAIN || errno == EACCES
    }
}

/// Folders that the daemon needs.
package enum Folders {
    /// With those above it.
    package static func make(_ path: String, mode: UInt32) throws(StateFault) {
        var status = stat()
        if stat(path, &status) == 0 {
            guard status.st_mode & S_IFMT == S_IFDIR else { throw StateFault("\(path): is no folder") }
            return
        }
        let above = String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)])
        if !above.isEmpty, above != path { try make(above, mode: 0o755) }
        guard mkdir(path, mode_t(mode)) == 0 || errno == EEXIST else { throw .system(path, errno) }
        // Whatever the umask says.
        _ = chmod(path, mode_t(mode))
    }
}

extension Folders {
    /// Everybody may pass, and nobody but the owner look around.
    static func letPass(_ path: String) throws(StateFault) {
        var status = stat()
        guard stat(path, &status) == 0, chmod(path, status.st_mode & 0o7777 | 0o111) == 0 else {
            throw .system(path, errno)
        }
    }
}

/// How many files this process may have open.
enum OpenFiles {
    /// As many as the system allows.
    static func raise() -> Int {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 1024 }
        if limit.rlim_cur < limit.rlim_max {
            var more = limit
            more.rlim_cur = min(limit.rlim_max, 65_536)
            if more.rlim_cur > limit.rlim_cur, setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &more) == 0 {
                limit = more
            }
        }
        return Int(clamping: limit.rlim_cur)
    }
}
