import Glibc

/// Reads the small text files of this module.
enum TextFile {
    /// Larger files are refused: no theme or settings file comes near it, and nothing in them is worth more memory.
    static let bytesMax = 256 * 1024

    enum Outcome {
        case text(String)
        case missing
        case refused(FileFault)
    }

    /// The whole text of a file. Only regular files are read, so that a FIFO cannot stop the start.
    static func read(_ path: String) -> Outcome {
        func refused(_ wrong: String, _ right: String) -> Outcome {
            .refused(FileFault(file: path, line: 1, wrong: wrong, right: right))
        }
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
        if descriptor < 0 {
            let code = errno
            if code == ENOENT || code == ENOTDIR { return .missing }
            return refused("cannot be opened (\(message(code)))", "it has to be readable for you")
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            return refused("cannot be looked at (\(message(errno)))", "it has to be readable for you")
        }
        guard status.st_mode & S_IFMT == S_IFREG else {
            return refused("is not a regular file", "name a text file")
        }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 16 * 1024)
        while bytes.count <= bytesMax {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            if count == 0 { break }
            if count < 0 {
                if errno == EINTR { continue }
                return refused("cannot be read (\(message(errno)))", "it has to be readable for you")
            }
            bytes += buffer[..<count]
        }
        if bytes.count > bytesMax {
            return refused("is larger than \(bytesMax / 1024) KiB", "such a file is a few KiB")
        }
        return check(bytes, file: path)
    }

    /// The text in bytes, if it is text.
    static func check(_ bytes: [UInt8], file: String) -> Outcome {
        func line(of index: Int) -> Int { 1 + bytes[..<index].count { $0 == UInt8(ascii: "\n") } }
        // The TOML library takes C strings: what follows a zero byte would be dropped without a word.
        if let zero = bytes.firstIndex(of: 0) {
            return .refused(
                FileFault(
                    file: file, line: line(of: zero), wrong: "holds a zero byte", right: "write plain UTF-8 text"))
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            let valid = String(decoding: bytes, as: UTF8.self)
            let before = valid.prefix { $0 != "\u{FFFD}" }
            return .refused(
                FileFault(
                    file: file, line: 1 + before.utf8.count { $0 == UInt8(ascii: "\n") }, wrong: "is not UTF-8",
                    right: "write plain UTF-8 text"))
        }
        return .text(text)
    }

    /// The names in a folder, at most `countMax`; none for a folder that cannot be read.
    static func names(in folder: String, countMax: Int) -> [String] {
        guard let stream = opendir(folder) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while names.count < countMax, let entry = Glibc.readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { field in
                field.withMemoryRebound(to: CChar.self, capacity: MemoryLayout.size(ofValue: field.pointee)) {
                    String(cString: $0)
                }
            }
            names.append(name)
        }
        return names
    }

    private static func message(_ code: Int32) -> String {
        String(cString: strerror(code))
    }
}
