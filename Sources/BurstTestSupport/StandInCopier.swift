import Glibc

/// dcp or dsync of mpiFileUtils, as far as their command lines go (Tests/Fixtures/mpifileutils/stand-in): Debian has
/// neither. It does what it is told wrong.
package final class StandInCopier: Sendable {
    package let name: String
    private let folder: TemporaryFolder

    /// - Parameter name: `dcp` or `dsync`.
    package init(_ name: String) throws(HarnessError) {
        self.name = name
        folder = try TemporaryFolder("burst-tool", openToOthers: true)
        // Whoever runs it notes its calls.
        chmod(folder.path, 0o777)
        folder.write(Fixtures.bytes(of: Fixtures.top + "/Tests/Fixtures/mpifileutils/stand-in"), to: name, mode: 0o755)
    }

    package var path: String { folder(name) }

    /// What goes wrong from now on; once, unless `always` is its last word.
    package func fault(_ words: String) { folder.write(words, to: "fault") }
    package func noFault() { folder.remove("fault") }
    /// Ends the fault `wait`.
    package func letGo() { folder.write("", to: "go") }

    /// The arguments of each call.
    package var calls: [String] { folder.text(of: "calls").split(separator: "\n").map(String.init) }

    /// Of its processes, those that live.
    package var processes: [Int32] {
        folder.text(of: "pids").split(separator: "\n").compactMap { Int32($0) }.filter { pid in
            let words = String(decoding: Self.bytes(of: "/proc/\(pid)/cmdline"), as: UTF8.self)
            return words.contains(path) && state(pid) != "Z"
        }
    }

    /// Nothing where it cannot be read: a process ends when it likes.
    private static func bytes(of path: String) -> [UInt8] {
        guard let file = fopen(path, "rb") else { return [] }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 16)
        let count = fread(&bytes, 1, bytes.count, file)
        return Array(bytes.prefix(count))
    }

    package func forgetProcesses() { folder.remove("pids") }

    /// As `ps` has it: `T` where it is stopped.
    package func state(_ pid: Int32) -> String {
        let text = String(decoding: Self.bytes(of: "/proc/\(pid)/stat"), as: UTF8.self)
        guard let end = text.lastIndex(of: ")") else { return "" }
        return text[text.index(after: end)...].split(separator: " ").first.map(String.init) ?? ""
    }
}
