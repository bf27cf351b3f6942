internal import BurstClient
package import BurstWire
internal import Glibc

/// The process around a call.
package enum StageProcess {
    /// Runs the call that the process was started for, prints, and gives its exit status.
    package static func main(_ program: StageCall.Program) -> Int32 {
        // Whoever does not read any more gets the rest of nothing.
        signal(SIGPIPE, SIG_IGN)
        var environment: [String: String] = [:]
        for name in ["BURST_SOCKET", "XDG_RUNTIME_DIR"] {
            if let value = getenv(name) { environment[name] = String(cString: value) }
        }
        let client = StageClient(
            program, arguments: Array(CommandLine.arguments.dropFirst()),
            socket: SocketPlaces.client(environment: environment))
        let reply = client.run()
        guard write(reply.output) else { return 1 }
        // A status whose last byte is 0 would pass for success.
        return reply.status & 0xff != 0 || reply.status == 0 ? reply.status & 0xff : 1
    }

    private static func write(_ output: [UInt8]) -> Bool {
        var rest = output[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(STDOUT_FILENO, $0.baseAddress, $0.count) }
            if count > 0 {
                rest = rest.dropFirst(count)
            } else if errno == EAGAIN {
                var entry = pollfd(fd: STDOUT_FILENO, events: Int16(POLLOUT), revents: 0)
                poll(&entry, 1, -1)
            } else if errno != EINTR {
                return false
            }
        }
        return true
    }
}
