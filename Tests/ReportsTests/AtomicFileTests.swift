import BurstReports
import BurstTestSupport
import Glibc
import Testing

@Suite struct AtomicFileTests {
    /// A new folder, removed with its files afterwards.
    private func inFolder(_ body: (String) throws -> Void) throws {
        var template = Array("/tmp/burst-atomic-XXXXXX".utf8CString)
        let made = mkdtemp(&template)
        let folder = String(cString: try #require(made))
        defer {
            for name in names(folder) { unlink(folder + "/" + name) }
            rmdir(folder)
        }
        try body(folder)
    }

    private func names(_ folder: String) -> [String] {
        guard let open = opendir(folder) else { return [] }
        defer { closedir(open) }
        var names: [String] = []
        while let entry = readdir(open) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    @Test func theFileIsWholeReadableAndAlone() throws {
        try inFolder { folder in
            let path = folder + "/burst.prom"
            for text in ["old text that is longer", "new", ""] {
                let mask = umask(0o077)
                defer { umask(mask) }
                try AtomicFile.write(Array(text.utf8), to: path)
                #expect(Fixtures.bytes(of: path) == Array(text.utf8))
                var status = stat()
                #expect(stat(path, &status) == 0)
                #expect(status.st_mode & 0o777 == 0o644)
                #expect(names(folder) == ["burst.prom"])
            }
        }
    }

    @Test func aReaderOfTheOldFileKeepsIt() throws {
        try inFolder { folder in
            let path = folder + "/burst.prom"
            try AtomicFile.write(Array("old".utf8), to: path)
            let descriptor = open(path, O_RDONLY)
            defer { close(descriptor) }
            try AtomicFile.write(Array("new".utf8), to: path)
            var bytes = [UInt8](repeating: 0, count: 8)
            #expect(read(descriptor, &bytes, 8) == 3)
            #expect(bytes.prefix(3).elementsEqual("old".utf8))
        }
    }

    @Test func whatAKilledProcessLeftIsNoObstacle() throws {
        try inFolder { folder in
            let left = "\(folder)/.burst.prom.\(getpid()).tmp"
            close(creat(left, 0o600))
            try AtomicFile.write([65], to: folder + "/burst.prom")
            #expect(names(folder) == ["burst.prom"])
        }
    }

    @Test func failuresAreSaidInOneLineAndLeaveNothing() throws {
        try inFolder { folder in
            for (path, reason) in [
                (folder + "/no/such", "No such file or directory"), (folder + "/", "the name of a file is needed"),
                ("", "the name of a file is needed"), ("a\0b", "the name of a file is needed"),
            ] {
                #expect {
                    try AtomicFile.write([1], to: path)
                } throws: { "\($0)" == "\(path): cannot be written: \(reason)" }
            }
            // A folder cannot be replaced by a file.
            mkdir(folder + "/full", 0o755)
            #expect(throws: AtomicFile.Fault.self) { try AtomicFile.write([1], to: folder + "/full") }
            #expect(names(folder) == ["full"])
            rmdir(folder + "/full")
        }
    }
}
