import Glibc

/// Which of Slurm's commands are there.
package struct SlurmTools: Hashable, Sendable {
    /// Full paths; nil where a command is in no folder of `PATH`.
    package var scontrol: String?
    package var squeue: String?
    package var scancel: String?
    /// Where was looked.
    package var searched: String

    package static func find(environment: [String: String]) -> SlurmTools {
        let searched = environment["PATH"] ?? ""
        let folders = searched.split(separator: ":").map(String.init)
        func path(_ name: String) -> String? {
            folders.lazy.map { $0 + "/" + name }.first { path in
                var status = stat()
                return stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG && access(path, X_OK) == 0
            }
        }
        return SlurmTools(
            scontrol: path("scontrol"), squeue: path("squeue"), scancel: path("scancel"), searched: searched)
    }

    /// One line that says what is missing and what would be right; nil where everything is there.
    package var complaint: String? {
        let missing = [("scontrol", scontrol), ("squeue", squeue), ("scancel", scancel)].filter { $0.1 == nil }.map(\.0)
        guard !missing.isEmpty else { return nil }
        let verb = missing.count == 1 ? "is" : "are"
        let place = searched.isEmpty ? "PATH, which is empty" : "PATH (\(searched))"
        return "\(missing.joined(separator: ", ")) \(verb) not in \(place); "
            + "add the folder of Slurm's commands to PATH, such as /usr/bin or /opt/slurm/bin"
    }
}
