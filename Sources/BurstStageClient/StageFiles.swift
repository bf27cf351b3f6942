internal import BurstDataWarp
internal import Glibc

/// The files that Slurm names.
enum StageFiles {
    /// With the header it fits into a question of `burstd`. Slurm takes scripts of 4 MiB.
    static let scriptBytesMax = 15 << 20
    static let nodeBytesMax = 16 << 20
    /// As the stager has it.
    static let nodesMax = 65_536

    /// A job's script. One that cannot be read is none: for tasks of an array Slurm names files that were never there
    /// (staging.md §1.2).
    /// - Throws: where the script is too large, which no restart mends.
    static func script(_ path: String) throws(ErrorLine) -> [UInt8]? {
        switch read(path, bytesMax: scriptBytesMax) {
        case .bytes(let bytes): return bytes
        case .none: return nil
        case .tooLarge:
            throw ErrorLine(
                "script \(ErrorLine.name(path)) is larger than \(scriptBytesMax >> 20) MiB: shorten it")
        }
    }

    /// A name a line.
    static func nodes(_ path: String) -> [String] {
        guard case .bytes(let bytes) = read(path, bytesMax: nodeBytesMax) else { return [] }
        return bytes.split(separator: 10).prefix(nodesMax).map { String(decoding: $0, as: UTF8.self) }
    }

    enum Content {
        case bytes([UInt8])
        case none
        case tooLarge
    }

    static func read(_ path: String, bytesMax: Int) -> Content {
        // Never waits for the other end of a pipe.
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
        guard file >= 0 else { return .none }
        defer { close(file) }
        var status = stat()
        guard fstat(file, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return .none }
        guard status.st_size <= bytesMax else { return .tooLarge }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = Glibc.read(file, &buffer, buffer.count)
            if count == 0 { return .bytes(bytes) }
            if count < 0 {
                if errno == EINTR { continue }
                return .none
            }
            bytes += buffer[..<count]
            if bytes.count > bytesMax { return .tooLarge }
        }
    }

    /// Lines as the whole of a file, 0600. Where its folder does not exist nothing is written, and that is well: Slurm
    /// names such a file for tasks of an array and cannot read it either (staging.md §1.2).
    static func replace(_ path: String, with lines: [String]) throws(ErrorLine) {
        let slash = path.lastIndex(of: "/") ?? path.startIndex
        let new = String(path[..<slash]) + "/.burst-\(getpid())"
        // What another process of this number left when it was killed.
        unlink(new)
        let file = open(new, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard file >= 0 else {
            if errno == ENOENT { return }
            throw fault(path, errno)
        }
        var bytes = Array(lines.map { $0 + "\n" }.joined().utf8)[...]
        while !bytes.isEmpty {
            let count = bytes.withUnsafeBytes { write(file, $0.baseAddress, $0.count) }
            if count > 0 {
                bytes = bytes.dropFirst(count)
            } else if errno != EINTR {
                let number = errno
                close(file)
                unlink(new)
                throw fault(path, number)
            }
        }
        guard close(file) == 0, rename(new, path) == 0 else {
            let number = errno
            unlink(new)
            throw fault(path, number)
        }
    }

    private static func fault(_ path: String, _ number: Int32) -> ErrorLine {
        ErrorLine("path file \(ErrorLine.name(path)): \(String(cString: strerror(number)))")
    }
}
