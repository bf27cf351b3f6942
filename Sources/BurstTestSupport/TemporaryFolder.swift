import Glibc

/// A folder of a test's own, which goes away with the value.
package final class TemporaryFolder: Sendable {
    package let path: String

    /// - Parameter openToOthers: other users may enter it and see what lies there.
    package init(_ prefix: String = "burst-test", openToOthers: Bool = false) throws(HarnessError) {
        var template = Array("/tmp/\(prefix)-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw HarnessError("mkdtemp: errno \(errno)") }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        if openToOthers { chmod(path, 0o755) }
    }

    deinit { Self.remove(path) }

    package func callAsFunction(_ name: String) -> String { path + "/" + name }

    package func exists(_ name: String) -> Bool { access(self(name), F_OK) == 0 }

    /// Writes a file, by way of another name so that nobody reads half of it.
    package func write(_ text: some Sequence<UInt8>, to name: String, mode: UInt32 = 0o644) {
        do { try WholeFile.write(text, to: self(name), mode: mode) } catch { fatalError("\(error)") }
    }

    package func write(_ text: String, to name: String, mode: UInt32 = 0o644) {
        write(text.utf8, to: name, mode: mode)
    }

    package func makeFolder(_ name: String) { mkdir(self(name), 0o755) }

    package func text(of name: String) -> String {
        exists(name) ? String(decoding: Fixtures.bytes(of: self(name)), as: UTF8.self) : ""
    }

    package func remove(_ name: String) { unlink(self(name)) }

    private static func remove(_ path: String) {
        var status = stat()
        guard lstat(path, &status) == 0 else { return }
        if status.st_mode & S_IFMT == S_IFDIR, let stream = opendir(path) {
            while let entry = readdir(stream) {
                let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                    pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
                }
                if name != "." && name != ".." { remove(path + "/" + name) }
            }
            closedir(stream)
            rmdir(path)
        } else {
            unlink(path)
        }
    }
}
