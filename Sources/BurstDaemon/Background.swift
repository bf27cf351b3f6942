import BurstClient
import BurstWire
import CSys
import Glibc

/// Goes to the background: the program starts itself again in a session of its own, and stays in the foreground
/// until that
/// one answers on its socket or has said what is wrong.
package enum Background {
    /// The descriptor over which the new process says that it is ready.
    package static let variable = "BURSTD_READY_FD"

    /// Starts the daemon.
    /// - Parameter arguments: the program's own, which are handed on.
    /// - Returns: the exit status of the one in the foreground.
    package static func start(arguments: [String], socket: String) -> Int32 {
        var ends: [Int32] = [-1, -1]
        guard bb_pipe(&ends) == 0 else {
            complain("pipe: \(SystemError.text(errno))")
            return 1
        }
        let (reader, writer) = (ends[0], ends[1])
        guard let child = spawn(arguments, ready: writer) else { return 1 }
        close(writer)
        var byte: UInt8 = 0
        var count = read(reader, &byte, 1)
        while count < 0, errno == EINTR { count = read(reader, &byte, 1) }
        close(reader)
        guard count == 1 else {
            var status: Int32 = 0
            while waitpid(child, &status, 0) < 0, errno == EINTR {}
            // It has said why, to our standard error.
            let code = status & 0x7f == 0 ? status >> 8 & 0xff : 1
            return code == 0 ? 1 : code
        }
        do throws(ClientError) {
            let connection = try BurstConnection.connect(path: socket, program: "burstd")
            _ = try connection.ask(.ping, seconds: BurstConnection.connectSeconds)
            return 0
        } catch {
            complain(error.description)
            return 1
        }
    }

    private static func spawn(_ arguments: [String], ready: Int32) -> pid_t? {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0)
        // Standard error stays the terminal until it is ready. The copy is not closed by exec.
        let copy: Int32 = 3
        if ready == copy {
            _ = fcntl(ready, F_SETFD, 0)
        } else {
            posix_spawn_file_actions_adddup2(&actions, ready, copy)
        }
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // POSIX_SPAWN_SETSID
        posix_spawnattr_setflags(&attributes, 0x80)
        var words: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
        var variables: [UnsafeMutablePointer<CChar>?] =
            DaemonPlaces.environment.filter { $0.key != variable }.map { strdup("\($0.key)=\($0.value)") }
            + [strdup("\(variable)=\(copy)"), nil]
        defer { for word in words + variables { free(word) } }
        var child: pid_t = 0
        let status = posix_spawn(&child, DaemonPlaces.executable, &actions, &attributes, &words, &variables)
        guard status == 0 else {
            complain("\(DaemonPlaces.executable): \(SystemError.text(status))")
            return nil
        }
        return child
    }

    /// In the new process: whether it is one, and how it says that it is ready.
    package static func readiness(environment: [String: String]) -> (@Sendable (DaemonLog) -> Void)? {
        guard let descriptor = environment[variable].flatMap({ Int32($0) }), descriptor > 2 else { return nil }
        // Hooks and scripts do not get it.
        unsetenv(variable)
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        // No folder is kept busy.
        _ = chdir("/")
        return { log in
            log.leaveStandardError()
            let null = open("/dev/null", O_WRONLY | O_CLOEXEC)
            if null >= 0 {
                dup2(null, STDERR_FILENO)
                close(null)
            }
            var byte: UInt8 = 1
            _ = write(descriptor, &byte, 1)
            close(descriptor)
        }
    }

    package static func complain(_ text: String) {
        let line = Array("burstd: error: \(text)\n".utf8)
        _ = line.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }
}
