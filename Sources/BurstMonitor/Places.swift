internal import Glibc

/// Where things are at run time, and what the process is.
enum Places {
    /// The environment as a dictionary; a name that stands twice counts as it stands first.
    static var environment: [String: String] {
        var values: [String: String] = [:]
        var entry = environ
        while let text = entry.pointee {
            let pair = String(cString: text)
            if let equals = pair.firstIndex(of: "=") {
                let name = String(pair[..<equals])
                if values[name] == nil { values[name] = String(pair[pair.index(after: equals)...]) }
            }
            entry += 1
        }
        return values
    }

    /// The folder of the running program.
    static var programFolder: String? {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = buffer.withUnsafeMutableBytes {
            readlink("/proc/self/exe", $0.bindMemory(to: CChar.self).baseAddress!, $0.count)
        }
        guard count > 0 else { return nil }
        let path = String(decoding: buffer[0..<count], as: UTF8.self)
        return path.lastIndex(of: "/").map { String(path[..<$0]) }
    }

    static func exists(_ path: String) -> Bool { access(path, R_OK) == 0 }

    static func isProgram(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG && access(path, X_OK) == 0
    }

    /// Files that come with the program: in `share/burst` beside its `bin`, or in the source tree it was built in.
    static func shared(_ installed: String, inTree: String) -> String? {
        guard let folder = programFolder else { return nil }
        let beside = folder + "/../share/burst/" + installed
        if exists(beside) { return beside }
        var parent = folder
        while let slash = parent.lastIndex(of: "/"), slash != parent.startIndex {
            let candidate = parent + "/" + inTree
            if exists(parent + "/Package.swift"), exists(candidate) { return candidate }
            parent = String(parent[..<slash])
        }
        return nil
    }

    /// `root@login1`
    static var viewer: String {
        let name = getpwuid(getuid()).map { String(cString: $0.pointee.pw_name) } ?? "\(getuid())"
        return name + "@" + host
    }

    static var user: String { getpwuid(getuid()).map { String(cString: $0.pointee.pw_name) } ?? "\(getuid())" }

    static var host: String {
        var buffer = [CChar](repeating: 0, count: 256)
        guard gethostname(&buffer, 255) == 0 else { return "localhost" }
        let name = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return String(name.prefix { $0 != "." })
    }

    /// Writes all of it, or says that the reader is gone.
    static func write(_ text: some Sequence<UInt8>, to descriptor: Int32 = STDOUT_FILENO) -> Bool {
        var bytes = Array(text)[...]
        while !bytes.isEmpty {
            let written = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if written < 0 {
                if errno == EINTR { continue }
                return false
            }
            bytes = bytes.dropFirst(written)
        }
        return true
    }

    /// A line of diagnosis.
    static func complain(_ text: String) {
        let line = String(text.unicodeScalars.map { $0.value < 0x20 || $0.value == 0x7f ? " " : Character($0) })
        _ = write(("burstmon: " + line + "\n").utf8, to: STDERR_FILENO)
    }

    /// Runs something asynchronous to its end on another thread.
    static func wait(for work: @escaping @Sendable () async -> Void) {
        let wake = Wake()
        Task.detached {
            await work()
            wake.ring()
        }
        var descriptor = pollfd(fd: wake.descriptor, events: Int16(POLLIN), revents: 0)
        while !wake.take() { _ = poll(&descriptor, 1, -1) }
    }
}
