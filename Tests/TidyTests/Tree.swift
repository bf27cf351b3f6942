import BurstTestSupport
import Glibc

/// A file of the tree, as text.
struct SourceFile {
    /// From the top: `Sources/BurstModel/Values/Job.swift`.
    var path: String
    var lines: [Substring]

    init(path: String, text: String) {
        self.path = path
        lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    }

    var name: Substring { path.split(separator: "/").last ?? "" }
    var suffix: Substring { name.split(separator: ".").last ?? "" }
    var isSwift: Bool { suffix == "swift" }
    /// The target of a file below Sources or Tests.
    var module: Substring { path.split(separator: "/").dropFirst().first ?? "" }
    var isSource: Bool { path.hasPrefix("Sources/") }
    var isTest: Bool { path.hasPrefix("Tests/") }
    /// Output of other programs, kept as it came.
    var isFixture: Bool { path.hasPrefix("Tests/Fixtures/") }

    /// The lines with their numbers, without comments and without what stands in quotes.
    var code: [(number: Int, text: String)] {
        lines.enumerated().map { ($0.offset + 1, Self.code(of: $0.element)) }
    }

    private static func code(of line: Substring) -> String {
        var code = ""
        var isQuoted = false
        var before: Character = " "
        for character in line {
            if character == "\"", before != "\\" {
                isQuoted.toggle()
            } else if !isQuoted, character == "/", before == "/" {
                code.removeLast()
                break
            } else if !isQuoted {
                code.append(character)
            }
            before = character
        }
        return code
    }
}

/// The tree that these tests were built from.
enum Tree {
    /// Names at the top, without what .gitignore leaves out.
    static func top() -> [String] {
        names(in: Fixtures.top).filter { name in
            !name.hasPrefix(".build") && !name.hasSuffix(".profraw") && name != ".git" && name != "Package.resolved"
        }
    }

    /// Every text file, in order.
    static func files() -> [SourceFile] {
        top().sorted().flatMap { files(below: $0) }
    }

    private static func files(below path: String) -> [SourceFile] {
        let full = Fixtures.top + "/" + path
        var status = stat()
        guard lstat(full, &status) == 0 else { return [] }
        switch status.st_mode & S_IFMT {
        case S_IFDIR: return names(in: full).sorted().flatMap { files(below: path + "/" + $0) }
        case S_IFREG: return [SourceFile(path: path, text: String(decoding: Fixtures.bytes(of: full), as: UTF8.self))]
        default: return []
        }
    }

    private static func names(in folder: String) -> [String] {
        guard let stream = opendir(folder) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names
    }
}
