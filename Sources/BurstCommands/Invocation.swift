package import BurstClient
import BurstModel
package import BurstWire
import Glibc

/// How a program was called, and where it prints.
package struct Invocation: Sendable {
    /// The name in messages: `sbatch`, `burst`.
    package var name: String
    /// Without the name.
    package var arguments: [String]
    package var environment: [String: String]
    package var workDir: String
    package var console: Console
    /// `--socket`; nil: where `SocketPlaces` says.
    package var socket: String?

    package init(
        name: String, arguments: [String], environment: [String: String], workDir: String, console: Console,
        socket: String? = nil
    ) {
        self.name = name
        self.arguments = arguments
        self.environment = environment
        self.workDir = workDir
        self.console = console
        self.socket = socket
    }

    package static let version = "0.1"
    /// What `-V` prints: the release of Slurm whose texts are printed.
    package static let slurmVersion = "slurm 26.05-burst"

    package var socketPath: String { socket ?? SocketPlaces.client(environment: environment) }

    package func connect() throws(ClientError) -> BurstConnection {
        try BurstConnection.connect(path: socketPath, program: "\(name) \(Self.version)")
    }

    /// Connects, asks one question, and leaves.
    package func ask(
        _ question: Question.Ask, body: [UInt8] = [], seconds: Int? = BurstConnection.answerSeconds
    ) throws(ClientError) -> (Answer, [UInt8]) {
        let connection = try connect()
        defer { connection.close() }
        return try connection.ask(question, body: body, seconds: seconds)
    }

    /// Seconds for questions that run a hook: `show bbstat`, submissions. Longer than any OtherTimeout but the longest.
    static let hookSeconds = 900

    /// This machine's short name.
    static let hostName: String = {
        var buffer = [CChar](repeating: 0, count: 256)
        guard gethostname(&buffer, buffer.count - 1) == 0 else { return "localhost" }
        let bytes = buffer.prefix { $0 != 0 && $0 != CChar(UInt8(ascii: ".")) }.map { UInt8(bitPattern: $0) }
        return String(decoding: bytes, as: UTF8.self)
    }()

    static func now() -> Timestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(milliseconds: Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000)
    }
}

/// Standard output and standard error, or what a test puts in their place.
package struct Console: Sendable {
    package var out: @Sendable ([UInt8]) -> Void
    package var error: @Sendable ([UInt8]) -> Void
    /// Characters in a line of the terminal behind standard error; nil: it is no terminal.
    package var progressWidth: Int?
    /// The same of the terminal behind standard output.
    package var outWidth: Int?

    package init(
        out: @escaping @Sendable ([UInt8]) -> Void, error: @escaping @Sendable ([UInt8]) -> Void,
        progressWidth: Int? = nil, outWidth: Int? = nil
    ) {
        self.out = out
        self.error = error
        self.progressWidth = progressWidth
        self.outWidth = outWidth
    }

    package func print(_ line: String) { out(Array((line + "\n").utf8)) }
    package func complain(_ line: String) { error(Array((line + "\n").utf8)) }

    /// The process's own.
    package static func system() -> Console {
        Console(
            out: { write($0, to: STDOUT_FILENO) }, error: { write($0, to: STDERR_FILENO) },
            progressWidth: width(of: STDERR_FILENO), outWidth: width(of: STDOUT_FILENO))
    }

    private static func width(of descriptor: Int32) -> Int? {
        guard isatty(descriptor) == 1 else { return nil }
        var size = winsize()
        return ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0 ? Int(size.ws_col) : 80
    }

    /// Nobody reads any more: nothing is left to do, as for every filter.
    private static func write(_ bytes: [UInt8], to descriptor: Int32) {
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress! + done, $0.count - done) }
            if count > 0 {
                done += count
            } else if errno != EINTR {
                exit(errno == EPIPE ? 141 : 1)
            }
        }
    }
}

extension ClientError {
    /// Slurm's error number and text for it (slurm_errno.h).
    var slurm: (code: Int32, text: String) {
        switch kind {
        case .unreachable: (1800, "Unable to contact slurm controller (connect failure)")
        case .timedOut: (5004, "Socket timed out on send/recv operation")
        case .broken: (5005, "Zero Bytes were transmitted or received")
        case .refused: (1, description)
        }
    }

    /// What `burst` says.
    var advice: String {
        kind == .unreachable
            ? "\(description); start burstd, or name its socket with --socket or BURST_SOCKET" : description
    }
}
