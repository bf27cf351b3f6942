import Glibc
import Synchronization

/// Listens on a Unix socket and gives each connection to a thread of its own.
package final class UnixListener: Sendable {
    package let path: String
    private let talk: @Sendable (Int32) -> Void
    private let state = Mutex(State())

    private struct State {
        var listener: Int32 = -1
        var clients: Set<Int32> = []
    }

    /// - Parameter talk: has the connection until it returns.
    package init(_ path: String, _ talk: @escaping @Sendable (Int32) -> Void) throws(HarnessError) {
        self.path = path
        self.talk = talk
        unlink(path)
        let listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        let status = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard status == 0, listen(listener, 64) == 0 else {
            throw HarnessError("cannot listen on \(path): errno \(errno)")
        }
        state.withLock { $0.listener = listener }
        onThread { [weak self] in
            while case let client = accept(listener, nil, nil), client >= 0 {
                _ = fcntl(client, F_SETFD, FD_CLOEXEC)
                guard let self else {
                    close(client)
                    break
                }
                state.withLock { _ = $0.clients.insert(client) }
                onThread { [weak self] in
                    self?.talk(client)
                    self?.state.withLock { _ = $0.clients.remove(client) }
                    close(client)
                }
            }
            close(listener)
        }
    }

    deinit { stop() }

    /// Ends all connections and takes no more. Nobody listens at the path then.
    package func stop() {
        state.withLock { state in
            // Another may listen there by now.
            guard state.listener >= 0 else { return }
            unlink(path)
            shutdown(state.listener, Int32(SHUT_RDWR))
            state.listener = -1
            // While they are known they are not closed, so no other file has their number.
            for client in state.clients { shutdown(client, Int32(SHUT_RDWR)) }
        }
    }

    /// Of connections that go on.
    package var clients: Set<Int32> { state.withLock { $0.clients } }

    /// Sends bytes on a connection that may have ended.
    package static func send(_ client: Int32, _ bytes: [UInt8]) {
        _ = Glibc.send(client, bytes, bytes.count, Int32(MSG_NOSIGNAL))
    }
}

/// Runs something on a thread of its own.
package func onThread(_ body: @escaping @Sendable () -> Void) {
    final class Work: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
    var thread = pthread_t()
    pthread_create(
        &thread, nil,
        { pointer in
            Unmanaged<Work>.fromOpaque(pointer!).takeRetainedValue().body()
            return nil
        }, Unmanaged.passRetained(Work(body)).toOpaque())
    pthread_detach(thread)
}
