import Glibc

/// What the system says, as text.
enum SystemText {
    /// The words for an errno.
    static func error(_ number: Int32) -> String {
        String(cString: strerror(number))
    }

    /// A small file, such as those in /proc, at most `bytesMax` of it.
    static func file(_ path: String, bytesMax: Int) -> [UInt8]? {
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: bytesMax)
        var done = 0
        while done < bytesMax {
            let count = bytes.withUnsafeMutableBytes { read(file, $0.baseAddress! + done, bytesMax - done) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            done += count
        }
        return Array(bytes[..<done])
    }
}
