import Glibc

/// Files for tests, without Foundation.
enum ReadFile {
    struct Missing: Error { var path: String }

    static func text(_ path: String) throws -> String {
        guard let file = fopen(path, "r") else { throw Missing(path: path) }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = fread(&buffer, 1, buffer.count, file)
            if count == 0 { break }
            bytes += buffer[..<count]
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// A folder of its own for a test, gone when the test is over.
final class ScratchFolder {
    let path: String
    private var made: [String] = []

    init() {
        var template = Array("/tmp/burst-settings-XXXXXX".utf8CString)
        precondition(mkdtemp(&template) != nil, "the temporary folder has to be writable")
        path = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    }

    /// Writes a file, with the folders on its way, and returns its path.
    @discardableResult
    func write(_ text: String, to name: String) -> String { write(Array(text.utf8), to: name) }

    @discardableResult
    func write(_ bytes: [UInt8], to name: String) -> String {
        var folder = path
        for part in name.split(separator: "/").dropLast() {
            folder += "/" + part
            if mkdir(folder, 0o700) == 0 { made.append(folder) }
        }
        let file = path + "/" + name
        let handle = fopen(file, "w")
        precondition(handle != nil, "the temporary folder has to be writable")
        bytes.withUnsafeBufferPointer { _ = fwrite($0.baseAddress, 1, $0.count, handle) }
        fclose(handle)
        made.append(file)
        return file
    }

    func makeFIFO(_ name: String) -> String {
        let file = path + "/" + name
        precondition(mkfifo(file, 0o600) == 0, "the temporary folder has to be writable")
        made.append(file)
        return file
    }

    deinit {
        for path in made.reversed() { remove(path) }
        rmdir(path)
    }
}
