import Glibc

/// Real output kept under `Tests/Fixtures`, found from this file's place in the tree.
package enum Fixtures {
    /// One command's output: where it was recorded, the command line, what it printed.
    package struct Section: Sendable, CustomStringConvertible {
        package let origin: String
        package let command: String
        package let output: [UInt8]

        package var description: String { "\(origin): \(command)" }
    }

    /// The top of the source tree.
    package static let top: String = {
        let parts = #filePath.split(separator: "/", omittingEmptySubsequences: false)
        return parts.dropLast(3).joined(separator: "/")
    }()

    package static func path(_ name: String) -> String { top + "/Tests/Fixtures/" + name }

    /// The bytes of a file; stops the test run where it cannot be read, since nothing could be tested without it.
    package static func bytes(of path: String) -> [UInt8] {
        guard let file = fopen(path, "rb") else {
            fatalError("cannot read \(path): \(String(cString: strerror(errno)))")
        }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while case let count = fread(&buffer, 1, buffer.count, file), count > 0 { bytes += buffer[0..<count] }
        return bytes
    }

    /// A file of sections, each begun by a line `@@ ORIGIN COMMAND`.
    package static func sections(_ name: String) -> [Section] {
        var sections: [Section] = []
        var heading: String?
        var body: [UInt8] = []
        func close() {
            guard let heading else { return }
            let words = heading.split(separator: " ", maxSplits: 1).map(String.init)
            sections.append(Section(origin: words[0], command: words.count > 1 ? words[1] : "", output: body))
        }
        for line in bytes(of: path(name)).split(separator: 10, omittingEmptySubsequences: false) {
            if line.starts(with: "@@ ".utf8) {
                close()
                heading = String(decoding: line.dropFirst(3), as: UTF8.self)
                body = []
            } else {
                body += line
                body.append(10)
            }
        }
        // The split leaves an empty line behind the last line feed.
        if body.last == 10 { body.removeLast() }
        close()
        return sections
    }

    /// Both releases and both plugins of one kind of output.
    package static func slurm(_ kind: String) -> [Section] {
        ["22.05-lua", "22.05-datawarp", "26.05-lua", "26.05-datawarp"].flatMap { sections("slurm/\(kind)-\($0).txt") }
    }
}
