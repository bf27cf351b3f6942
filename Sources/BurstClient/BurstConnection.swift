package import BurstWire
internal import Glibc
internal import Synchronization

/// A connection to `burstd`, with plain blocking calls.
///
/// One thread reads (`ask`, `next`), any thread may `send` and `close`. After `close` the reader's call ends with an
/// error.
package final class BurstConnection: Sendable {
    /// What came: a header, and the bytes behind it.
    package struct Message: Hashable, Sendable {
        package var answer: Answer
        package var body: [UInt8]

        package init(answer: Answer, body: [UInt8]) {
            self.answer = answer
            self.body = body
        }

        /// The number of the question that it answers; nil for a push.
        package var question: UInt64? {
            switch answer {
            case .body(let id), .submitted(let id, _, _), .done(let id, _), .refused(let id, _, _, _),
                .ended(let id, _, _, _), .ok(let id), .progress(let id, _), .staged(let id, _, _):
                id
            case .push: nil
            }
        }
    }

    package let path: String
    /// What the server said of itself.
    package let server: Hello
    private let descriptor: Int32
    private let reader: Mutex<FrameDecoder>
    private let sender = Mutex<UInt64>(1)
    private let isClosed = Atomic<Bool>(false)

    /// Seconds for the connection and both hellos.
    package static let connectSeconds = 10
    /// Seconds for a question whose answer needs no hook and no job's end.
    package static let answerSeconds = 60

    private init(path: String, descriptor: Int32, server: Hello, decoder: FrameDecoder) {
        self.path = path
        self.descriptor = descriptor
        self.server = server
        reader = Mutex(decoder)
    }

    deinit { Glibc.close(descriptor) }

    // MARK: Beginning

    /// Connects and says hello.
    /// - Parameters:
    ///   - program: our name and version: `burst 0.1`.
    ///   - milliseconds: for the connection, and for both hellos.
    package static func connect(
        path: String, program: String, milliseconds: Int = connectSeconds * 1000
    ) throws(ClientError) -> BurstConnection {
        let deadline = now() + Int64(milliseconds)
        let descriptor = try open(path, milliseconds: milliseconds)
        do throws(ClientError) {
            var decoder = FrameDecoder()
            let hello: [UInt8]
            do {
                hello = try Frame.encode(Hello(program: program))
            } catch {
                throw ClientError(.broken, "\(path): \(error)")
            }
            // A server that refuses us at once may have closed its side already; what it said is read all the same.
            let sendError: ClientError?
            do throws(ClientError) {
                try write(hello, to: descriptor, path)
                sendError = nil
            } catch {
                sendError = error
            }
            let frame: Frame
            do throws(ClientError) {
                frame = try read(from: descriptor, &decoder, path, until: deadline)
            } catch {
                throw sendError ?? error
            }
            guard let server = try? frame.read(Hello.self) else {
                throw ClientError(.refused, "\(path): what listens there is not burstd")
            }
            if let refused = server.refused { throw ClientError(.refused, "\(path): \(refused)") }
            guard server.burst == Wire.version else {
                throw ClientError(
                    .refused,
                    "\(path): \(server.program) speaks version \(server.burst) of the protocol, this program "
                        + "version \(Wire.version): use programs of one release")
            }
            return BurstConnection(path: path, descriptor: descriptor, server: server, decoder: decoder)
        } catch {
            Glibc.close(descriptor)
            throw error
        }
    }

    private static func open(_ path: String, milliseconds: Int) throws(ClientError) -> Int32 {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        let room = MemoryLayout.size(ofValue: address.sun_path)
        guard !bytes.isEmpty, bytes.count < room, !bytes.contains(0) else {
            throw ClientError(.unreachable, "\(path): a socket's path has 1 to \(room - 1) bytes")
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw .system(.unreachable, path, "socket", errno) }
        // A full queue of connections makes connect wait, or, without this limit, for ever.
        var limit = timeval(tv_sec: milliseconds / 1000, tv_usec: milliseconds % 1000 * 1000)
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        let status = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard status == 0 else {
            let number = errno
            Glibc.close(descriptor)
            switch number {
            case ENOENT, ECONNREFUSED:
                throw ClientError(.unreachable, "\(path): burstd does not run there")
            case EAGAIN: throw ClientError(.timedOut, "\(path): burstd takes no connection")
            default: throw .system(.unreachable, path, "connect", number)
            }
        }
        return descriptor
    }

    // MARK: Asking

    /// Sends a question and returns its number; for those who read answers themselves with `next`.
    @discardableResult
    package func send(_ ask: Question.Ask, body: [UInt8] = []) throws(ClientError) -> UInt64 {
        try sender.withLock { number throws(ClientError) -> UInt64 in
            let id = number
            number += 1
            let bytes: [UInt8]
            do {
                bytes = try Frame.encode(Question(id: id, ask: ask), body: body)
            } catch {
                throw ClientError(.broken, "\(path): \(error)")
            }
            try Self.write(bytes, to: descriptor, path)
            return id
        }
    }

    /// Asks and waits for the answer.
    /// - Parameters:
    ///   - seconds: how long; nil: until it comes, or the connection ends.
    ///   - meanwhile: gets what comes before: progress of this question, pushes.
    package func ask(
        _ ask: Question.Ask, body: [UInt8] = [], seconds: Int? = BurstConnection.answerSeconds,
        meanwhile: (Message) -> Void = { _ in }
    ) throws(ClientError) -> (Answer, [UInt8]) {
        try self.ask(ask, body: body, milliseconds: seconds.map { $0 * 1000 }, meanwhile: meanwhile)
    }

    /// As above, for those who have little time.
    package func ask(
        _ ask: Question.Ask, body: [UInt8] = [], milliseconds: Int?, meanwhile: (Message) -> Void = { _ in }
    ) throws(ClientError) -> (Answer, [UInt8]) {
        let id = try send(ask, body: body)
        let deadline = milliseconds.map { Self.now() + Int64($0) }
        while true {
            let message = try next(until: deadline)
            if message.question == id {
                guard case .progress = message.answer else { return (message.answer, message.body) }
            }
            meanwhile(message)
        }
    }

    /// Subscribes; then `next` gives the pushes.
    package func subscribe(_ subscription: Subscription) throws(ClientError) {
        let (answer, _) = try ask(.subscribe(subscription))
        if case .refused(_, _, let text, _) = answer { throw ClientError(.refused, "\(path): \(text)") }
    }

    /// The next message. Blocks; nil `seconds`: without limit.
    package func next(seconds: Int? = nil) throws(ClientError) -> Message {
        try next(until: seconds.map { Self.now() + Int64($0) * 1000 })
    }

    private func next(until deadline: Int64?) throws(ClientError) -> Message {
        try reader.withLock { decoder throws(ClientError) -> Message in
            if isClosed.load(ordering: .acquiring) { throw ClientError(.broken, "\(path): the connection was closed") }
            let frame = try Self.read(from: descriptor, &decoder, path, until: deadline)
            do {
                return Message(answer: try frame.read(Answer.self), body: frame.body)
            } catch {
                throw ClientError(.broken, "\(path): \(error)")
            }
        }
    }

    /// Ends the connection; who waits in `next` wakes up.
    package func close() {
        isClosed.store(true, ordering: .releasing)
        shutdown(descriptor, Int32(SHUT_RDWR))
    }

    // MARK: Bytes

    private static func write(_ bytes: [UInt8], to descriptor: Int32, _ path: String) throws(ClientError) {
        var sent = 0
        while sent < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress! + sent, $0.count - sent, Int32(MSG_NOSIGNAL))
            }
            if count > 0 {
                sent += count
            } else if errno == EAGAIN {
                throw ClientError(.timedOut, "\(path): burstd does not read")
            } else if errno != EINTR {
                if errno == EPIPE || errno == ECONNRESET { throw ended(path) }
                throw .system(.broken, path, "send", errno)
            }
        }
    }

    private static func read(
        from descriptor: Int32, _ decoder: inout FrameDecoder, _ path: String, until deadline: Int64?
    ) throws(ClientError) -> Frame {
        var buffer: [UInt8] = []
        while true {
            do {
                if let frame = try decoder.next() { return frame }
            } catch {
                throw ClientError(.broken, "\(path): \(error)")
            }
            try wait(descriptor, path, until: deadline)
            if buffer.isEmpty { buffer = [UInt8](repeating: 0, count: 1 << 16) }
            let count = buffer.withUnsafeMutableBytes { recv(descriptor, $0.baseAddress, $0.count, 0) }
            if count > 0 {
                decoder.feed(buffer[..<count])
            } else if count == 0 || errno == ECONNRESET {
                throw ended(path)
            } else if errno != EINTR && errno != EAGAIN {
                throw .system(.broken, path, "receive", errno)
            }
        }
    }

    private static func wait(_ descriptor: Int32, _ path: String, until deadline: Int64?) throws(ClientError) {
        guard let deadline else { return }
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        while true {
            let left = deadline - now()
            guard left > 0 else { throw ClientError(.timedOut, "\(path): burstd did not answer in time") }
            let ready = poll(&entry, 1, Int32(clamping: left))
            if ready > 0 { return }
            if ready < 0, errno != EINTR { throw .system(.broken, path, "poll", errno) }
        }
    }

    private static func ended(_ path: String) -> ClientError {
        ClientError(.broken, "\(path): burstd ended the connection")
    }

    /// Milliseconds of a clock that nobody sets.
    private static func now() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
    }
}
