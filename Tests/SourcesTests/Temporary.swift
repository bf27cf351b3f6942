import BurstTestSupport
import Glibc
import Synchronization
import Testing

/// A folder of a test's own, gone with it.
final class Temporary: Sendable {
    let path: String

    init() {
        var template = Array("/tmp/burst-sources-XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else { fatalError("no temporary folder can be made") }
        path = String(cString: made)
    }

    deinit {
        for name in names { unlink(path + "/" + name) }
        rmdir(path)
    }

    var names: [String] {
        guard let folder = opendir(path) else { return [] }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    func file(_ name: String) -> String { path + "/" + name }

    @discardableResult
    func write(_ name: String, _ bytes: some Sequence<UInt8>, mode: mode_t = 0o644) -> String {
        let path = file(name)
        if mode & 0o111 != 0 {
            do { try WholeFile.write(bytes, to: path, mode: mode) } catch { fatalError("\(error)") }
            return path
        }
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode)
        let bytes = Array(bytes)
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress! + done, bytes.count - done) }
            if count <= 0 { fatalError("cannot write \(path)") }
            done += count
        }
        close(descriptor)
        chmod(path, mode)
        return path
    }

    func append(_ name: String, _ bytes: some Sequence<UInt8>) {
        let descriptor = open(file(name), O_WRONLY | O_APPEND | O_CLOEXEC)
        let bytes = Array(bytes)
        if Glibc.write(descriptor, bytes, bytes.count) != bytes.count { fatalError("cannot append") }
        close(descriptor)
    }

    func mode(_ name: String) -> mode_t {
        var status = stat()
        return stat(file(name), &status) == 0 ? status.st_mode & 0o777 : 0
    }
}
